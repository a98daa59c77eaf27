//! The log: the newest lines at the bottom, or those that the person has gone back to.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::frame::empty;
use super::pen::Pen;
use super::theme::Theme;
use crate::front::tui::state::{LOG_TEXT_AT, Screen, log_rows};

/// The body of the log.
pub fn logs(pen: &mut Pen<'_>, body: Rect, screen: &Screen) {
    let theme = pen.theme;
    if screen.logs.is_empty() {
        return empty(pen, body, "Nothing was logged yet.", &["Lines of the master and of its workers stand here, and what scripts log."]);
    }
    let end = screen.logs.len().saturating_sub(screen.log_back);
    let mut bottom = body.height;
    // From the newest one up; of a line for which there is half the room, its end is shown.
    for line in screen.logs[..end].iter().rev() {
        if bottom == 0 {
            break;
        }
        let rows = log_rows(line, body.width);
        let top = i32::from(bottom) - rows.len() as i32;
        for (row, text) in (top..).zip(&rows) {
            if let Ok(y) = u16::try_from(row) {
                pen.text(body, LOG_TEXT_AT, y, text, theme.plain());
            }
        }
        bottom = u16::try_from(top).unwrap_or(0);
        if top >= 0 {
            let (word, style) = level(&line.level, theme);
            pen.words(body, 1, bottom, &[(&clock(line.at_unix_ms), theme.quiet()), (" ", theme.plain()), (word, style)]);
        }
    }
    if screen.log_back > 0 {
        let rule = Rect { y: body.y - 1, height: 1, ..body };
        pen.right(rule, 0, &format!(" {} newer lines: End shows them ", screen.log_back), theme.doubtful());
    }
}

fn level(level: &str, theme: Theme) -> (&'static str, Style) {
    match level.to_ascii_lowercase().as_str() {
        "error" => ("ERROR", theme.bad()),
        "warn" | "warning" => ("WARN", theme.doubtful()),
        "debug" | "trace" => ("DEBUG", theme.quiet()),
        _ => ("INFO", theme.good()),
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
