//! Log lines on their way to the master: bounded in number and in length. What is too much is dropped and counted.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use crate::cluster::message::LogLine;

/// Lines that wait to be sent to the master.
#[derive(Debug, Default)]
pub(super) struct Logbook {
    lines: VecDeque<LogLine>,
    /// How many found no room since the last time, and the wall clock of the last one.
    dropped: Option<(u64, SystemTime)>,
    sent: Option<Instant>,
}

impl Logbook {
    /// Keeps the line, cut to [`LINE_BYTES`], if there is room.
    pub fn add(&mut self, mut line: LogLine) {
        if self.lines.len() >= LINES {
            let before = self.dropped.map_or(0, |(count, _)| count);
            self.dropped = Some((before + 1, line.wall));
            return;
        }
        line.text.truncate(line.text.floor_char_boundary(LINE_BYTES));
        line.target.truncate(line.target.floor_char_boundary(LINE_BYTES));
        self.lines.push_back(line);
    }

    /// What shall be sent, if something waits and the last time is a second ago.
    pub fn take_if_due(&mut self, now: Instant) -> Option<Vec<LogLine>> {
        let is_due = self.sent.is_none_or(|sent| now.saturating_duration_since(sent) >= INTERVAL);
        is_due.then(|| self.take(now)).flatten()
    }

    /// Takes all that waits, whenever the last time was.
    pub fn take(&mut self, now: Instant) -> Option<Vec<LogLine>> {
        let mut lines: Vec<LogLine> = self.lines.drain(..).collect();
        if let Some((count, wall)) = self.dropped.take() {
            let text = format!("{count} log lines were dropped: more came than could be sent");
            lines.push(LogLine { wall, level: log::Level::Warn, target: module_path!().into(), text });
        }
        if lines.is_empty() {
            return None;
        }
        self.sent = Some(now);
        Some(lines)
    }
}

/// Lines that may wait.
const LINES: usize = 200;
/// Of a line's text; what is longer is cut.
const LINE_BYTES: usize = 2_048;
const INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> LogLine {
        LogLine { wall: SystemTime::UNIX_EPOCH, level: log::Level::Info, target: "test".into(), text: text.into() }
    }

    #[test]
    fn lines_past_the_bound_are_dropped_and_one_line_says_how_many() {
        let now = Instant::now();
        let mut book = Logbook::default();
        for number in 0..203 {
            book.add(line(&number.to_string()));
        }
        let lines = book.take_if_due(now).unwrap();
        assert_eq!((lines.len(), lines[0].text.as_str(), lines[199].text.as_str()), (201, "0", "199"));
        assert_eq!(lines[200].text, "3 log lines were dropped: more came than could be sent");
        book.add(line("next"));
        assert_eq!(book.take_if_due(now + INTERVAL), Some(vec![line("next")]));
    }

    #[test]
    fn lines_go_out_once_a_second_at_most() {
        let now = Instant::now();
        let mut book = Logbook::default();
        assert_eq!(book.take_if_due(now), None);
        book.add(line("a"));
        assert_eq!(book.take_if_due(now), Some(vec![line("a")]));
        book.add(line("b"));
        assert_eq!(book.take_if_due(now + Duration::from_millis(999)), None);
        assert_eq!(book.take_if_due(now + INTERVAL), Some(vec![line("b")]));
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let mut book = Logbook::default();
        book.add(line(&format!("a{}", "ä".repeat(2_000))));
        let lines = book.take_if_due(Instant::now()).unwrap();
        assert_eq!(lines[0].text.len(), 2_047);
    }
}
