//! The workers as people see them: what each is doing, what is lost with one, what ran twice beside one, in which
//! seconds one was at fault. Owns the shape of the view only.

use std::net::SocketAddr;
use std::time::Duration;

use crate::stats::floor::Floor;
use crate::stats::holds::{HoldCounts, Holder};
use crate::stats::soundness::Stretch;

/// A worker that has a part in the run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WorkerView {
    /// `HOST_32HEX`.
    pub id: String,
    /// For people: nothing depends on it.
    pub host: String,
    /// Where its link comes from, such as `10.0.0.7:40123`; `None` of one in this process, and of one that is known from a journal only.
    pub address: Option<SocketAddr>,
    /// The version of its program.
    pub version: String,
    /// What it is doing.
    pub state: WorkerState,
    /// Users alive in it, by its last report.
    pub users: u64,
    /// Slots that it owns.
    pub slots: u32,
    /// Threads that make load.
    pub lanes: u32,
    /// What a request takes of it; `None` where it was not measured.
    pub floor: Option<Floor>,
    /// Processor time over wall time, over the last 10 seconds; `None` where it has reported less than twice.
    pub cpu_cores: Option<f64>,
    /// Resident memory; `None` before its first report of the run.
    pub memory_bytes: Option<u64>,
    /// The greatest lag of its timers in the last report that had any; `None` before that.
    pub lag: Option<Duration>,
    /// The script that it has compiled.
    pub script: String,
    /// The fingerprint of that script's bundle.
    pub fingerprint: String,
    /// How often it has taken changed scripts over in the run; less than the run's where it could not yet.
    pub revision: u32,
    /// Why what lies in its folder cannot be used, for people; it keeps the script that it has.
    pub script_error: Option<String>,
    /// The least round trip that it has measured lately; `None` before the first.
    pub round_trip: Option<Duration>,
    /// How long it has said nothing.
    pub silence: Duration,
}

/// What a worker is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WorkerState {
    /// It has compiled its script and waits for a run.
    #[default]
    Ready,
    /// It opens its lanes for a run.
    Preparing,
    /// Its script is not the master's.
    Differs,
    /// It makes load for the run.
    Running,
    /// Its users finish what they do.
    Stopping,
    /// It has said nothing for too long; others run its users.
    Lost,
    /// It has left in order.
    Left,
}

impl WorkerState {
    /// One word for people and interfaces.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Preparing => "preparing",
            Self::Differs => "differs",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Lost => "missing",
            Self::Left => "left",
        }
    }
}

/// Numbers that are lost: a worker was killed before the master had them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoleView {
    /// `HOST_32HEX`.
    pub worker: String,
    /// The run's clock at the last number that is there.
    pub from: Duration,
    /// The run's clock when the worker was given up.
    pub to: Duration,
}

/// Load that ran twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverlapView {
    /// `HOST_32HEX` of the worker that was out of reach.
    pub worker: String,
    /// The run's clock when others took its users.
    pub from: Duration,
    /// The run's clock when it was back and stopped them; `None` as long as it is away.
    pub to: Option<Duration>,
    /// How many users it had.
    pub users: u64,
}

/// The unsound seconds of one worker for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsoundView {
    /// The worker; empty in a run of one process.
    pub worker: String,
    /// When, how many, and why.
    pub stretch: Stretch,
    /// Where it was late: scripts that held its lanes, the longest first.
    pub holds: Vec<(Holder, HoldCounts)>,
}
