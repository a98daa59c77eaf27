//! The log: lines as in Locust's walk-through, or JSON, on stderr, unbuffered, never inside the progress line. A worker's lines go to its
//! master as well.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use log::{Level, LevelFilter, Log, Metadata, Record};
use tokio::sync::mpsc;

use super::screen::Screen;
use crate::cluster::logs::{LogEntry, LogFeed, MASTER, RELAYED};
use crate::cluster::message::LogLine;
use crate::front::text::escape;

/// Makes `log`'s macros write to `screen` and to `feed`. Of other crates, warnings are shown, but for those that tell of connections;
/// more only from `Debug` on.
///
/// # Errors
/// A logger is installed already.
pub fn install(screen: Arc<Screen>, is_json: bool, level: LevelFilter, feed: LogFeed) -> Result<(), log::SetLoggerError> {
    // The logger lives as long as the process, as `log` demands.
    log::set_logger(Box::leak(Box::new(ScreenLog { screen, is_json, level, host: host_name(), feed })))?;
    log::set_max_level(level);
    Ok(())
}

/// From here on, lines of at least `Info` are also put into a bounded queue, for whoever takes them to another machine. `None` from the
/// second call on.
#[must_use]
pub fn tee() -> Option<mpsc::Receiver<LogLine>> {
    let (lines, inbox) = mpsc::channel(LINES);
    TEE.set(Tee { lines, dropped: AtomicU64::new(0) }).ok().map(|()| inbox)
}

/// A copy of the log. Never waits, and logs nothing itself: what finds no room is counted, and told with the next line that does.
struct Tee {
    lines: mpsc::Sender<LogLine>,
    dropped: AtomicU64,
}

impl Tee {
    fn put(&self, level: Level, target: &str, text: String) {
        if level > Level::Info {
            return;
        }
        let Ok(room) = self.lines.try_reserve() else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let text = match self.dropped.swap(0, Ordering::Relaxed) {
            0 => text,
            dropped => format!("{text} ({dropped} lines before this one were dropped)"),
        };
        room.send(LogLine { wall: SystemTime::now(), level, target: target.to_owned(), text });
    }
}

static TEE: OnceLock<Tee> = OnceLock::new();

/// Lines that may wait to be taken elsewhere.
const LINES: usize = 256;

struct ScreenLog {
    screen: Arc<Screen>,
    is_json: bool,
    level: LevelFilter,
    host: String,
    feed: LogFeed,
}

impl Log for ScreenLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let is_ours = ["lunamoth", "script"].iter().any(|own| metadata.target().starts_with(own));
        // What goes wrong on a connection is a sample, with its kind and its words: the libraries below would say it again for each one.
        let tells_of_connections = ["rustls", "h2", "hyper"].iter().any(|library| metadata.target().starts_with(library));
        let is_shown = if tells_of_connections { false } else { is_ours || metadata.level() <= Level::Warn };
        metadata.level() <= self.level && (is_shown || self.level >= LevelFilter::Debug)
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = if self.is_json { json_line } else { text_line };
            let text = record.args().to_string();
            self.screen.log(&line(&Zoned::now(), &self.host, record.level(), record.target(), &text));
            if record.target() != RELAYED {
                self.feed.add_own(record.level(), record.target(), text.clone());
            }
            if let Some(tee) = TEE.get() {
                tee.put(record.level(), record.target(), text);
            }
        }
    }

    fn flush(&self) {}
}

/// `[2018-01-02 08:05:14,662] HOST/INFO/lunamoth.main: text`, in local time. Further lines of a message are indented.
fn text_line(now: &Zoned, host: &str, level: Level, target: &str, message: &str) -> String {
    let time = now.strftime("%Y-%m-%d %H:%M:%S");
    let message: Vec<_> = message.split('\n').map(|line| line.split('\t').map(escape).collect::<Vec<_>>().join("\t")).collect();
    format!("[{time},{:03}] {host}/{}/{}: {}", now.millisecond(), level_name(level), target.replace("::", "."), message.join("\n    "))
}

/// A line of the feed as Locust's `/logs` has it: like one on the console of whoever logged it.
#[must_use]
pub(in crate::front) fn line_of(entry: &LogEntry, own_host: &str) -> String {
    let at = i64::try_from(entry.at_unix_ms).ok().and_then(|at| Timestamp::from_millisecond(at).ok()).unwrap_or_default();
    let host = if entry.source == MASTER { own_host } else { entry.source.rsplit_once('_').map_or(&*entry.source, |(host, _)| host) };
    text_line(&at.to_zoned(TimeZone::system()), &escape(host), entry.level, &escape(&entry.target), &entry.text)
}

/// One object with `time` (RFC 3339, UTC), `level`, `host`, `logger`, `message`.
fn json_line(now: &Zoned, host: &str, level: Level, target: &str, message: &str) -> String {
    serde_json::json!({
        "time": format!("{:.3}", now.timestamp()),
        "level": level_name(level),
        "host": host,
        "logger": target.replace("::", "."),
        "message": message,
    })
    .to_string()
}

/// Python's names, since scripts around Locust look for them.
const fn level_name(level: Level) -> &'static str {
    match level {
        Level::Error => "ERROR",
        Level::Warn => "WARNING",
        Level::Info => "INFO",
        Level::Debug => "DEBUG",
        Level::Trace => "TRACE",
    }
}

/// The name of this machine; `localhost` where it has none.
#[must_use]
pub fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok());
    name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::console::{Colours, Tables};

    fn moment() -> Zoned {
        "2018-01-02T08:05:14.662[UTC]".parse().unwrap()
    }

    #[test]
    fn lines_look_as_in_the_walk_through() {
        assert_eq!(
            text_line(&moment(), "node-1", Level::Info, "lunamoth::main", "Starting Lunamoth 0.1.0"),
            "[2018-01-02 08:05:14,662] node-1/INFO/lunamoth.main: Starting Lunamoth 0.1.0"
        );
    }

    #[test]
    fn a_copy_of_the_log_is_bounded_and_tells_what_it_lacks() {
        let (lines, mut inbox) = mpsc::channel(2);
        let tee = Tee { lines, dropped: AtomicU64::new(0) };
        tee.put(Level::Debug, "a", "not for others".into());
        for number in 0..4 {
            tee.put(Level::Info, "script", number.to_string());
        }
        let mut next = || inbox.try_recv().map(|line| line.text).ok();
        assert_eq!((next(), next(), next()), (Some("0".into()), Some("1".into()), None));
        tee.put(Level::Warn, "script", "more".into());
        assert_eq!(inbox.try_recv().unwrap().text, "more (2 lines before this one were dropped)");
    }

    #[test]
    fn a_tab_stays_a_tab() {
        assert!(text_line(&moment(), "h", Level::Info, "script", "a\tb").ends_with(": a\tb"));
    }

    #[test]
    fn a_message_of_several_lines_cannot_pass_for_another_record() {
        assert_eq!(
            text_line(&moment(), "h", Level::Warn, "script", "a\n[2018] b\x1b[2J"),
            "[2018-01-02 08:05:14,662] h/WARNING/script: a\n    [2018] b\\u{1b}[2J"
        );
    }

    #[test]
    fn json_lines_are_one_object_each() {
        assert_eq!(
            json_line(&moment(), "h", Level::Error, "lunamoth::app", "a\nb"),
            r#"{"time":"2018-01-02T08:05:14.662Z","level":"ERROR","host":"h","logger":"lunamoth.app","message":"a\nb"}"#
        );
    }

    #[test]
    fn chatter_of_other_crates_is_left_out_until_somebody_asks_for_it() {
        let enabled = |own: LevelFilter, target: &str, level: Level| {
            let log = ScreenLog {
                screen: Arc::new(Screen::new(Colours::Never, Tables::Stdout)),
                is_json: false,
                level: own,
                host: String::new(),
                feed: LogFeed::default(),
            };
            log.enabled(&Metadata::builder().target(target).level(level).build())
        };
        assert!(enabled(LevelFilter::Info, "lunamoth::app", Level::Info));
        assert!(!enabled(LevelFilter::Info, "rustls::client", Level::Info));
        // What a target does wrong is a sample, and no line for each request.
        assert!(!enabled(LevelFilter::Info, "rustls::client", Level::Warn));
        assert!(enabled(LevelFilter::Info, "quinn::endpoint", Level::Warn));
        assert!(enabled(LevelFilter::Debug, "rustls::client", Level::Debug));
        assert!(!enabled(LevelFilter::Error, "lunamoth::app", Level::Warn));
    }
}
