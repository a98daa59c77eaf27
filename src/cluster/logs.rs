//! The newest lines of the cluster's log: the master's own and those that workers send. Owns their numbers and their bound; how a line looks
//! is the fronts'.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use super::message::LogLine;

/// The log as everybody in the process shares it: cheap to clone, written from any thread. Nobody waits for its readers.
#[derive(Debug, Clone, Default)]
pub struct LogFeed {
    shared: Arc<Shared>,
}

impl LogFeed {
    /// Adds a line of `source`: a worker's id, or [`MASTER`]. The oldest line goes where there are [`LINES`] already.
    pub fn add(&self, source: &str, line: LogLine) {
        let LogLine { wall, level, mut target, mut text } = line;
        cut(&mut target);
        cut(&mut text);
        let unix = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut lines = self.shared.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let number = *self.shared.newest.borrow() + 1;
        let at_unix_ms = u64::try_from(unix.as_millis()).unwrap_or(u64::MAX);
        if lines.len() >= LINES {
            lines.pop_front();
        }
        lines.push_back(Arc::new(LogEntry { number, at_unix_ms, level, source: source.to_owned(), target, text }));
        self.shared.newest.send_replace(number);
    }

    /// Adds a line of the master's own, which is logged at this moment.
    pub fn add_own(&self, level: log::Level, target: &str, text: String) {
        self.add(MASTER, LogLine { wall: SystemTime::now(), level, target: target.to_owned(), text });
    }

    /// The oldest `limit` of the lines that came after the one with this number. A number that has not been reached yet is from the life of
    /// another master: it is taken as 0.
    #[must_use]
    pub fn after(&self, number: u64, limit: usize) -> LogPage {
        let lines = self.shared.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = *self.shared.newest.borrow();
        let number = if number > newest { 0 } else { number };
        let wanted = newest - number;
        let kept = wanted.min(lines.len() as u64);
        // Invariant: the numbers of the lines that are kept have no gaps and end with `newest`.
        let skipped = lines.len() - usize::try_from(kept).unwrap_or(lines.len());
        LogPage { lines: lines.iter().skip(skipped).take(limit).cloned().collect(), newest, dropped: wanted - kept }
    }

    /// Tells the newest line's number whenever one comes; 0 before the first.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.shared.newest.subscribe()
    }
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Rises by one from line to line; 1 for the first of a master's life.
    pub number: u64,
    /// When, by the wall clock of whoever logged it.
    pub at_unix_ms: u64,
    /// As its writer graded it.
    pub level: log::Level,
    /// [`MASTER`], or the id of a worker.
    pub source: String,
    /// Where in the program, such as `lunamoth::master` or `script`.
    pub target: String,
    /// What, as it was said: text from scripts and targets is not escaped here.
    pub text: String,
}

/// Some lines of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogPage {
    /// In the order of their numbers.
    pub lines: Vec<Arc<LogEntry>>,
    /// The number of the newest line that there is, on this page or not.
    pub newest: u64,
    /// How many of the lines that were asked for are no longer kept.
    pub dropped: u64,
}

#[derive(Debug, Default)]
struct Shared {
    lines: Mutex<VecDeque<Arc<LogEntry>>>,
    /// Changed only while `lines` is locked.
    newest: watch::Sender<u64>,
}

fn cut(text: &mut String) {
    if text.len() > LINE_BYTES {
        text.truncate(text.floor_char_boundary(LINE_BYTES));
        text.push('…');
    }
}

/// The source of the master's own lines. No worker's id looks like it, since those end with 32 digits.
pub const MASTER: &str = "master";

/// The logger's name of what a master's shell has to say.
pub(super) const MASTER_TARGET: &str = "lunamoth::master";

/// The logger's name of lines that a worker has sent. They are in the feed under the worker's own id, so that a logger which shows them must
/// not add them to it.
pub const RELAYED: &str = "lunamoth::worker";

/// Lines that are kept.
pub const LINES: usize = 1_000;
/// The longest line; a traceback of Lua is shorter.
const LINE_BYTES: usize = 4_096;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn line(text: &str) -> LogLine {
        LogLine { wall: UNIX_EPOCH + Duration::from_millis(5), level: log::Level::Info, target: "test".into(), text: text.into() }
    }

    fn texts(page: &LogPage) -> Vec<&str> {
        page.lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn the_newest_lines_are_kept_and_those_that_went_are_counted() {
        let feed = LogFeed::default();
        for number in 1..=LINES + 3 {
            feed.add("a", line(&number.to_string()));
        }
        let page = feed.after(0, usize::MAX);
        assert_eq!((page.lines.len(), page.newest, page.dropped), (LINES, 1_003, 3));
        assert_eq!(page.lines[0].number, 4);
        assert_eq!(feed.after(2, 2).dropped, 1, "line 3 is gone");
        assert_eq!(texts(&feed.after(1_000, 2)), ["1001", "1002"]);
        assert_eq!(feed.after(1_003, 10), LogPage { lines: Vec::new(), newest: 1_003, dropped: 0 });
    }

    #[test]
    fn who_knows_a_number_of_another_life_gets_this_one_from_the_beginning() {
        let feed = LogFeed::default();
        feed.add("a", line("first"));
        assert_eq!(texts(&feed.after(77, 10)), ["first"]);
    }

    #[test]
    fn a_line_says_when_and_whose_it_is_and_is_cut_between_characters() {
        let feed = LogFeed::default();
        feed.add("host_1", line(&format!("a{}", "ä".repeat(LINE_BYTES))));
        let page = feed.after(0, 1);
        assert_eq!((page.lines[0].at_unix_ms, page.lines[0].source.as_str()), (5, "host_1"));
        assert_eq!(page.lines[0].text.len(), LINE_BYTES - 1 + '…'.len_utf8());
    }

    #[tokio::test]
    async fn whoever_follows_is_told_of_each_line() {
        let feed = LogFeed::default();
        let mut watch = feed.watch();
        feed.clone().add_own(log::Level::Warn, "test", "now".into());
        watch.changed().await.unwrap();
        assert_eq!((*watch.borrow(), &*feed.after(0, 1).lines[0].source), (1, MASTER));
    }
}
