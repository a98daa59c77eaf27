//! The screen as it is: what it knows of the run, what the person looks at, and how it answers events. Owns every decision of the
//! terminal UI; knows no terminal, and draws nothing.
//!
//! | dialog | opened by | ends with |
//! |---|---|---|
//! | filter | `/` on a table | Enter keeps it, Esc drops it |
//! | form | `n`, `t` | Enter asks the master, whose yes closes it and whose no stands in it; Esc drops it |
//! | confirmation | `x`, `r`, `q`, Ctrl-C | `y` does it, anything else does not |
//! | help | `?` | any key |

pub mod columns;
pub mod dialog;
pub mod help;
mod keys;
pub mod levels;
mod listing;
mod log_text;
mod steering;

use std::sync::Arc;
use std::time::Duration;

pub use self::columns::{Column, ENTRY_COLUMNS, FAILURE_COLUMNS, WORKER_COLUMNS, by_number, grouped, millis};
pub use self::dialog::{Confirmed, Dialog, FormKind};
use self::levels::Wanted;
pub use self::listing::Listing;
pub use self::log_text::{LOG_TEXT_AT, log_rows};
use super::feed::{Ask, Event, LogEntry};
use super::history::History;
use crate::front::snapshot_json::{EntryDetailJson, EntryJson, SnapshotJson, StateJson};

/// How a person came to the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// `lunamoth run`: the screen and the run end together.
    Run,
    /// `lunamoth master --tui`: the master goes on without the screen.
    Master,
    /// From afar, over the API or ssh: leaving stops nothing.
    Attached {
        /// Whether the person may only look.
        is_read_only: bool,
    },
}

/// What the screen wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Pass a wish to the master.
    Ask(Ask),
    /// The person leaves the screen, and the run as it is.
    Leave,
    /// The same as Ctrl-C at a terminal without a screen.
    Interrupt,
}

/// Why a screen was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// The person wished it.
    Asked,
    /// Nothing more comes to it: the terminal or the master is gone.
    Cut,
}

/// The parts of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tab {
    /// The run at a glance.
    #[default]
    Overview,
    /// A row for each entry.
    Statistics,
    /// What requests failed of.
    Failures,
    /// Errors that scripts raised.
    Exceptions,
    /// Who makes the load.
    Workers,
    /// The lines of the log.
    Logs,
}

impl Tab {
    /// In the order of their numbers.
    pub const ALL: [Self; 6] = [Self::Overview, Self::Statistics, Self::Failures, Self::Exceptions, Self::Workers, Self::Logs];

    /// What stands in the row of tabs.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Statistics => "Statistics",
            Self::Failures => "Failures",
            Self::Exceptions => "Exceptions",
            Self::Workers => "Workers",
            Self::Logs => "Logs",
        }
    }
}

/// What is said in the last line but one, for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// As the person reads it.
    pub text: String,
    /// Whether something went wrong.
    pub is_error: bool,
    /// On the screen's clock.
    until: Duration,
}

/// The screen of one person: what it shows, and where in it the person is.
#[derive(Debug)]
pub struct Screen {
    /// How the person came here.
    pub door: Door,
    /// In columns and rows.
    pub size: (u16, u16),
    /// What is looked at.
    pub tab: Tab,
    /// The latest view of the run.
    pub snapshot: Arc<SnapshotJson>,
    /// Whether a view has ever come.
    pub has_snapshot: bool,
    /// When the run was heard of last.
    news_at: Duration,
    /// The run over time.
    pub history: History,
    /// What the charts span; none is the whole run.
    pub zoom_s: Option<u32>,
    /// Rows of the statistics.
    pub statistics: Listing,
    /// Rows of the failures.
    pub failures: Listing,
    /// Rows of the exceptions.
    pub exceptions: Listing,
    /// Rows of the workers.
    pub workers: Listing,
    /// Lines of the log, from the oldest one kept.
    pub logs: Vec<LogEntry>,
    /// How many lines of the log the person has gone back; none follows the newest.
    pub log_back: usize,
    /// The entry that is looked at, and what is known of it.
    pub detail: Option<Detail>,
    /// What is in front of everything.
    pub dialog: Option<Dialog>,
    /// The filter of the tables, while it is typed.
    pub is_filtering: bool,
    /// The scripts that a start may name.
    pub scripts: Vec<String>,
    /// Why the master does not answer, since when.
    pub link_down: Option<(String, Duration)>,
    /// What is said for a while.
    pub notice: Option<Notice>,
    /// What was chosen with `+` and `-`, and when it shall be asked for.
    pub wanted: Option<(Wanted, Duration)>,
    /// What this screen has asked the one profile of the run for, until a snapshot tells of it.
    pub goal: Option<Wanted>,
    /// Snapshots since then that told of others.
    goal_misses: u32,
    /// The moment of the latest event.
    now: Duration,
    is_dirty: bool,
}

/// Everything that is known of an entry.
#[derive(Debug, Clone, Default)]
pub struct Detail {
    /// Such as `GET`; empty for the total.
    pub method: String,
    /// Such as `/cart`; empty for the total.
    pub name: String,
    /// None until it has come.
    pub entry: Option<Box<EntryDetailJson>>,
}

/// So old are numbers that are no longer those of now.
pub const OLD: Duration = Duration::from_secs(3);

/// So long is nobody's answer to be called silence.
pub const SILENT: Duration = Duration::from_secs(10);

impl Screen {
    /// A screen that knows nothing yet.
    #[must_use]
    pub fn new(door: Door, size: (u16, u16)) -> Self {
        Self {
            door,
            size,
            tab: Tab::Overview,
            snapshot: Arc::default(),
            has_snapshot: false,
            news_at: Duration::ZERO,
            history: History::default(),
            zoom_s: ZOOMS_S[0],
            statistics: Listing::default(),
            failures: Listing::sorted(FAILURE_OCCURRENCES, true),
            exceptions: Listing::default(),
            workers: Listing::default(),
            logs: Vec::new(),
            log_back: 0,
            detail: None,
            dialog: None,
            is_filtering: false,
            scripts: Vec::new(),
            link_down: None,
            notice: None,
            wanted: None,
            goal: None,
            goal_misses: 0,
            now: Duration::ZERO,
            is_dirty: true,
        }
    }

    /// Takes one event in. `now` is any clock that runs forward.
    pub fn on_event(&mut self, event: Event, now: Duration) -> Vec<Action> {
        // Without a link the age of the numbers is told.
        self.now = now;
        self.is_dirty |= !matches!(event, Event::Tick) || self.link_down.is_some() || self.age() >= OLD;
        let mut actions = match event {
            Event::Snapshot(snapshot) => self.on_snapshot(snapshot),
            Event::History { run, points } => {
                if run == self.snapshot.run || !self.has_snapshot {
                    self.history.replace(run, points);
                }
                Vec::new()
            }
            Event::Detail(entry) => {
                self.on_detail(entry);
                Vec::new()
            }
            Event::Scripts(scripts) => {
                self.on_scripts(scripts);
                Vec::new()
            }
            Event::Logs(lines) => {
                self.on_logs(lines);
                Vec::new()
            }
            Event::LinkUp => {
                let was_down = self.link_down.take().is_some();
                if was_down { vec![Action::Ask(Ask::History)] } else { Vec::new() }
            }
            Event::LinkDown(reason) => {
                let since = self.link_down.as_ref().map_or(now, |(_, since)| *since);
                self.link_down = Some((reason, since));
                Vec::new()
            }
            Event::Answered(answer) => {
                self.on_answer(answer, now);
                Vec::new()
            }
            Event::Key(key) => self.on_key(key, now),
            Event::Resize(columns, rows) => {
                self.size = (columns, rows);
                Vec::new()
            }
            Event::Tick => Vec::new(),
        };
        actions.extend(self.on_time(now));
        self.note_goal(&actions);
        self.keep_in_sight();
        actions
    }

    /// Whether the picture has changed since this was last asked.
    pub fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.is_dirty)
    }

    /// When something happens by itself, on the screen's clock.
    #[must_use]
    pub fn wakes_at(&self) -> Option<Duration> {
        let notice = self.notice.as_ref().map(|notice| notice.until);
        let wanted = self.wanted.map(|(_, at)| at);
        notice.into_iter().chain(wanted).min()
    }

    /// How old the numbers are: numbers that stand still must not look alive. Those of a run that does nothing are never old, unless the
    /// link is down.
    #[must_use]
    pub fn age(&self) -> Duration {
        if self.has_snapshot && (self.link_down.is_some() || self.snapshot.state.is_active()) {
            self.now.saturating_sub(self.news_at)
        } else {
            Duration::ZERO
        }
    }

    /// Rows of a table that fit below its heading.
    #[must_use]
    pub fn page(&self) -> usize {
        usize::from(self.size.1.saturating_sub(CHROME_ROWS + 2)).max(1)
    }

    /// The entry in a row of the statistics; the total comes after the last one.
    #[must_use]
    pub fn entry(&self, index: usize) -> &EntryJson {
        self.snapshot.entries.get(index).unwrap_or(&self.snapshot.total)
    }

    /// Whether there is anything to look at.
    #[must_use]
    pub fn has_run(&self) -> bool {
        self.snapshot.state != StateJson::Ready
    }

    fn on_snapshot(&mut self, snapshot: Arc<SnapshotJson>) -> Vec<Action> {
        let is_first = !self.has_snapshot;
        let is_other_run = snapshot.run != self.snapshot.run;
        let has_gap = self.history.add(&snapshot.run, snapshot.counted_since_s, &snapshot.recent);
        self.news_at = self.now;
        self.snapshot = snapshot;
        self.has_snapshot = true;
        if is_other_run {
            self.detail = None;
        }
        self.check_goal(is_other_run);
        self.relist();
        let mut actions = Vec::new();
        if is_first || has_gap {
            actions.push(Action::Ask(Ask::History));
        }
        if let Some(Detail { method, name, .. }) = &self.detail {
            actions.push(Action::Ask(Ask::Detail { method: method.clone(), name: name.clone() }));
        }
        actions
    }

    /// Sorts and filters the tables anew.
    fn relist(&mut self) {
        let snapshot = Arc::clone(&self.snapshot);
        let whole = |parts: [&str; 2]| parts.join(" ");
        self.statistics.relist(&snapshot.entries, ENTRY_COLUMNS, |entry| whole([&entry.method, &entry.name]));
        self.failures
            .relist(&snapshot.errors, FAILURE_COLUMNS, |error| [error.kind.as_str(), &error.method, &error.name, &error.message].join(" "));
        self.exceptions.relist(&snapshot.exceptions, &[], |exception| exception.message.clone());
        self.workers.relist(&snapshot.workers, WORKER_COLUMNS, |worker| whole([&worker.id, &worker.state]));
    }

    fn on_detail(&mut self, entry: Box<EntryDetailJson>) {
        if let Some(detail) = &mut self.detail {
            let is_total = detail.method.is_empty() && detail.name.is_empty();
            if is_total || (detail.method == entry.entry.method && detail.name == entry.entry.name) {
                detail.entry = Some(entry);
            }
        }
    }

    fn on_scripts(&mut self, scripts: Vec<String>) {
        if let Some(Dialog::Form(form)) = &mut self.dialog {
            form.offer_scripts(&scripts);
        }
        self.scripts = scripts;
    }

    fn on_logs(&mut self, lines: Vec<LogEntry>) {
        if self.log_back > 0 {
            // Who reads further up keeps the lines where they are.
            self.log_back += lines.len();
        }
        self.logs.extend(lines);
        let surplus = self.logs.len().saturating_sub(LOG_LINES);
        self.logs.drain(..surplus);
        self.log_back = self.log_back.min(self.furthest_back());
    }

    /// How far one can go back in the log: the oldest lines then fill the body.
    fn furthest_back(&self) -> usize {
        let body = usize::from(self.size.1.saturating_sub(CHROME_ROWS)).max(1);
        let rows = |line| log_rows(line, self.size.0).len();
        let mut used = 0;
        let fitting = self.logs.iter().take_while(|line| {
            used += rows(*line);
            used <= body
        });
        self.logs.len().saturating_sub(fitting.count().max(1))
    }

    fn on_answer(&mut self, answer: Result<String, String>, now: Duration) {
        let asked = match &mut self.dialog {
            Some(Dialog::Form(form)) if form.is_asked => Some(form),
            _ => None,
        };
        match (answer, asked) {
            (Ok(text), asked) => {
                if asked.is_some() {
                    self.dialog = None;
                }
                self.say(text, false, now);
            }
            (Err(text), Some(form)) => {
                form.on_refusal(text);
                self.goal = None;
            }
            (Err(text), None) => {
                self.goal = None;
                self.say(text, true, now);
            }
        }
    }

    fn say(&mut self, text: impl Into<String>, is_error: bool, now: Duration) {
        let time = if is_error { ERROR_TIME } else { NOTICE_TIME };
        self.notice = Some(Notice { text: text.into(), is_error, until: now + time });
    }

    fn on_time(&mut self, now: Duration) -> Vec<Action> {
        if self.notice.as_ref().is_some_and(|notice| notice.until <= now) {
            self.notice = None;
            self.is_dirty = true;
        }
        match self.wanted {
            Some((wanted, at)) if at <= now => {
                self.wanted = None;
                self.is_dirty = true;
                self.one_level().map_or_else(Vec::new, |level| vec![Action::Ask(Ask::Retarget(level.order(wanted)))])
            }
            _ => Vec::new(),
        }
    }

    fn keep_in_sight(&mut self) {
        let page = self.page();
        for listing in [&mut self.statistics, &mut self.failures, &mut self.exceptions, &mut self.workers] {
            listing.keep_in_sight(page);
        }
    }
}

/// What the charts span, in seconds; the last one is the whole run.
pub const ZOOMS_S: [Option<u32>; 4] = [Some(300), Some(1_800), None, Some(60)];

/// Rows above and below the body: the run, the tabs, a rule; the notice and the keys.
pub const CHROME_ROWS: u16 = 5;

/// Where the column of occurrences stands among those of the failures.
const FAILURE_OCCURRENCES: usize = 0;

/// Lines of the log that a screen keeps.
const LOG_LINES: usize = 2_000;

const NOTICE_TIME: Duration = Duration::from_secs(6);
const ERROR_TIME: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests;
