//! The log: the newest lines at the bottom, or those that the person has gone back to.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::layout::Rect;

use super::frame::empty;
use super::pen::Pen;
use crate::front::text::escape;
use crate::front::tui::state::Screen;
use crate::front::tui::state::columns::short_id;

/// The body of the log.
pub fn logs(pen: &mut Pen<'_>, body: Rect, screen: &Screen) {
    let theme = pen.theme;
    if screen.logs.is_empty() {
        return empty(pen, body, "Nothing was logged yet.", &["Lines of the master and of its workers stand here, and what scripts log."]);
    }
    let end = screen.logs.len().saturating_sub(screen.log_back);
    let begin = end.saturating_sub(usize::from(body.height));
    for (y, line) in (0..).zip(&screen.logs[begin..end]) {
        let (word, style) = match line.level.to_ascii_lowercase().as_str() {
            "error" => ("ERROR", theme.bad()),
            "warn" | "warning" => ("WARN ", theme.doubtful()),
            "debug" | "trace" => ("DEBUG", theme.quiet()),
            _ => ("INFO ", theme.good()),
        };
        let mut words = vec![(clock(line.at_unix_ms), theme.quiet()), (format!(" {word} "), style)];
        if !line.source.is_empty() && body.width >= SOURCE_FROM {
            words.push((format!("{} ", short_id(&line.source)), theme.quiet()));
        }
        // A message of several lines stands in one here.
        let text: Vec<_> = line.text.split(['\n', '\t']).map(escape).collect();
        words.push((text.join("  "), theme.plain()));
        let words: Vec<(&str, _)> = words.iter().map(|(text, style)| (text.as_str(), *style)).collect();
        pen.words(body, 1, y, &words);
    }
    if screen.log_back > 0 {
        let rule = Rect { y: body.y - 1, height: 1, ..body };
        pen.right(rule, 0, &format!(" {} newer lines: End shows them ", screen.log_back), theme.doubtful());
    }
}

/// The time of day, in the zone of this machine.
fn clock(at_unix_ms: u64) -> String {
    let at = i64::try_from(at_unix_ms).ok().and_then(|at| Timestamp::from_millisecond(at).ok()).unwrap_or(Timestamp::UNIX_EPOCH);
    at.to_zoned(zone()).strftime("%H:%M:%S").to_string()
}

#[cfg(not(test))]
fn zone() -> TimeZone {
    TimeZone::system()
}

#[cfg(test)]
fn zone() -> TimeZone {
    TimeZone::UTC
}

/// Columns from which on there is room to say whose line it is.
const SOURCE_FROM: u16 = 100;
