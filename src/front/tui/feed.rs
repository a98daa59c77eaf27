//! What goes between a screen and its master: events one way, wishes the other. Owns the words, not the way.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::input::Key;
pub use crate::front::snapshot_json::LogLineJson as LogEntry;
use crate::front::snapshot_json::{EntryDetailJson, PointJson, SnapshotJson};

/// What happens to a screen.
#[derive(Debug, Clone)]
pub enum Event {
    /// A view of the run.
    Snapshot(Arc<SnapshotJson>),
    /// The whole history of a run.
    History {
        /// The run that the points are of.
        run: String,
        /// Points in time, oldest first.
        points: Vec<PointJson>,
    },
    /// Everything of one entry.
    Detail(Box<EntryDetailJson>),
    /// The scripts that a start may name; the default one first.
    Scripts(Vec<String>),
    /// Lines of the log, oldest first.
    Logs(Vec<LogEntry>),
    /// The master answers again.
    LinkUp,
    /// The master does not answer; why, for people.
    LinkDown(String),
    /// The answer to a wish that changes something: what was done, or why not.
    Answered(Result<String, String>),
    /// A key was pressed.
    Key(Key),
    /// The terminal's columns and rows.
    Resize(u16, u16),
    /// Nothing happened for a while.
    Tick,
}

/// What a screen wishes of its master.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// The whole history of the run.
    History,
    /// Everything of the entry of this method and name; of the total where both are empty.
    Detail {
        /// Such as `GET`.
        method: String,
        /// Such as `/cart`.
        name: String,
    },
    /// The scripts that a start may name.
    Scripts,
    /// A new run, ordered so.
    Start(Order),
    /// Another level for the run that is under way.
    Retarget(Order),
    /// Users finish, within the stop timeout.
    Stop,
    /// No new iteration begins.
    Pause,
    /// Iterations begin again after a pause.
    Resume,
    /// The statistics are cleared.
    Reset,
}

/// What is asked of a start or a re-target; what is left out is the script's, or the settings'.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Order {
    /// How many users there shall be.
    pub users: Option<u32>,
    /// Iterations that are due in place of users: a number per second, or such as `30/m`.
    pub rate: Option<String>,
    /// Of a run of several profiles: whose level it is.
    pub profile: Option<String>,
    /// Users that start per second.
    pub spawn_rate: Option<f64>,
    /// Such as `1m30s`, or seconds.
    pub run_time: Option<String>,
    /// The base URL of the target.
    pub host: Option<String>,
    /// The script's name in the master's folder.
    pub script: Option<String>,
}

/// A screen's end of the line to its master. Both directions are bounded.
#[derive(Debug)]
pub struct Feed {
    /// What happens, in its order.
    pub events: mpsc::Receiver<Event>,
    /// What the person wishes of the master.
    pub asks: mpsc::Sender<Ask>,
}

/// The master's end of that line.
#[derive(Debug)]
pub struct FeedEnd {
    /// Where the screen hears what happens.
    pub events: mpsc::Sender<Event>,
    /// Where wishes come from.
    pub asks: mpsc::Receiver<Ask>,
}

impl Feed {
    /// Both ends of a line.
    #[must_use]
    pub fn new() -> (Self, FeedEnd) {
        let (events, event_inbox) = mpsc::channel(EVENTS);
        let (asks, ask_inbox) = mpsc::channel(ASKS);
        (Self { events: event_inbox, asks }, FeedEnd { events, asks: ask_inbox })
    }
}

/// A screen that does not keep up holds up its own feed alone, which then passes over snapshots.
const EVENTS: usize = 4;

/// More than fingers can type while one wish is being answered.
const ASKS: usize = 16;
