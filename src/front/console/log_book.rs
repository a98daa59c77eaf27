//! The newest lines of the log, kept for screens. Bounded: the oldest lines go first.

use std::collections::VecDeque;
use std::sync::{Mutex, OnceLock, PoisonError};

use tokio::sync::watch;

/// One line of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogEntry {
    /// Wall clock.
    pub at_unix_ms: u64,
    /// `error`, `warn`, `info`, `debug` or `trace`, in any case.
    pub level: String,
    /// The process or worker that it comes from; may be empty.
    pub source: String,
    /// What was said.
    pub text: String,
}

/// The book of this process.
pub fn log_book() -> &'static LogBook {
    static BOOK: OnceLock<LogBook> = OnceLock::new();
    BOOK.get_or_init(|| LogBook { lines: Mutex::default(), count: watch::Sender::new(0) })
}

/// Lines with rising numbers, which begin with 1.
#[derive(Debug)]
pub struct LogBook {
    lines: Mutex<VecDeque<LogEntry>>,
    /// The number of the newest line. Changed only while `lines` is locked.
    count: watch::Sender<u64>,
}

impl LogBook {
    /// Adds a line.
    pub fn add(&self, line: LogEntry) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= LINES {
            lines.pop_front();
        }
        lines.push_back(line);
        self.count.send_modify(|count| *count += 1);
    }

    /// The lines after the one with this number that are still kept, and the newest one's number.
    #[must_use]
    pub fn after(&self, number: u64) -> (Vec<LogEntry>, u64) {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let count = *self.count.borrow();
        let wanted = usize::try_from(count.saturating_sub(number)).unwrap_or(usize::MAX).min(lines.len());
        (lines.iter().skip(lines.len() - wanted).cloned().collect(), count)
    }

    /// Tells whenever a line comes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.count.subscribe()
    }
}

/// As many as a screen keeps.
const LINES: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_lines_are_kept_and_told_apart_by_number() {
        let book = LogBook { lines: Mutex::default(), count: watch::Sender::new(0) };
        for number in 0..LINES + 5 {
            book.add(LogEntry { text: number.to_string(), ..LogEntry::default() });
        }
        let (lines, count) = book.after(count_of(&book) - 2);
        assert_eq!(lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>(), ["2003", "2004"]);
        assert_eq!((book.after(0).0.len(), book.after(count).0.len()), (LINES, 0));
    }

    fn count_of(book: &LogBook) -> u64 {
        book.after(u64::MAX).1
    }
}
