//! The worker as a state machine: what it does with the master's messages, its lanes' reports, and the loss of either. No I/O.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::message::{LogLine, ToMaster, ToWorker, WorkerId};
use crate::load::lane::LaneReport;
use crate::load::slots::Orders;
use crate::load::vitals::Vitals;
use crate::plan::{Plan, RunId};

/// One worker.
#[derive(Debug)]
pub struct Worker {
    config: WorkerConfig,
}

/// What a worker is.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerConfig {
    /// Its name.
    pub id: WorkerId,
    /// How many lanes it opens.
    pub lanes: u32,
    /// The script that it has compiled.
    pub script: String,
    /// The fingerprint of that script's bundle.
    pub fingerprint: String,
    /// It ends after its first run.
    pub is_once: bool,
    /// It keeps the sums of the whole run, for a master that has lost them. A local run's master cannot be lost alone.
    pub keeps_total: bool,
}

/// One connection to a master, numbered by the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub u64);

/// What the shell shall do.
#[derive(Debug)]
pub enum Action {
    /// Dial the master, resolving its name anew; answer with `on_linked` or `on_dial_failed`. At most [`DIALS`] are under way at once.
    Dial,
    /// Send this.
    Send(LinkId, ToMaster),
    /// Close this link; `on_link_gone` need not follow.
    CloseLink(LinkId),
    /// Compile the plan's script and open the lanes, then call [`Worker::on_opened`].
    Open(Arc<Plan>),
    /// Begin the run in the lanes: time zero of its clock.
    Begin(Instant),
    /// Let the lanes follow these orders.
    Follow(Orders),
    /// Tell the lanes to stop.
    Stop,
    /// Tell the lanes to cut.
    Cut,
    /// Close the lanes.
    CloseLanes,
    /// Write this to the log.
    Log(log::Level, String),
    /// The worker is done.
    Exit(WorkerEnd),
}

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerEnd {
    /// The master has all its numbers.
    Whole,
    /// Numbers were not collected: no master came for them in time.
    NumbersLost,
}

/// Why lanes did not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRefusal {
    /// For people.
    pub text: String,
    /// Where the script is not the plan's: its fingerprint.
    pub differs: Option<String>,
}

/// What a probe may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WorkerStatus {
    /// A master has welcomed it, and speaks to it.
    pub is_linked: bool,
    /// Since when it is without a master, as a length.
    pub orphaned_for: Option<Duration>,
    /// The run that it stands in.
    pub run: Option<RunId>,
    /// Users alive.
    pub users: u64,
    /// Deltas that no master has acknowledged.
    pub unacknowledged: u64,
    /// The least round trip measured lately.
    pub round_trip: Duration,
}

impl Worker {
    /// A worker that knows no master.
    #[must_use]
    pub fn new(config: WorkerConfig, _now: Instant) -> Self {
        Self { config }
    }

    /// A dialled link stands.
    pub fn on_linked(&mut self, _link: LinkId, _now: Instant) -> Vec<Action> {
        todo!("{:?}", self.config)
    }

    /// A dial came to nothing, in words for people.
    pub fn on_dial_failed(&mut self, _why: &str, _now: Instant) -> Vec<Action> {
        todo!()
    }

    /// A link is gone.
    pub fn on_link_gone(&mut self, _link: LinkId, _now: Instant) -> Vec<Action> {
        todo!()
    }

    /// A message of a master's came.
    pub fn on_message(&mut self, _link: LinkId, _message: ToWorker, _now: Instant) -> Vec<Action> {
        todo!()
    }

    /// The lanes are open, or could not be opened.
    pub fn on_opened(&mut self, _run: RunId, _opened: Result<(), OpenRefusal>, _now: Instant) -> Vec<Action> {
        todo!()
    }

    /// A lane has reported. `vitals` were read just now.
    pub fn on_report(&mut self, _report: LaneReport, _vitals: Vitals, _now: Instant) -> Vec<Action> {
        todo!()
    }

    /// The program has logged something that the master shall see. Bounded: what is too much is dropped and counted.
    pub fn on_log(&mut self, _line: LogLine) {
        todo!()
    }

    /// Somebody ends the worker: users finish, numbers are handed in. The second time it ends at once.
    pub fn on_leave(&mut self, _now: Instant) -> Vec<Action> {
        todo!()
    }

    /// Time passes; called every 50 ms or so.
    pub fn on_tick(&mut self, _now: Instant) -> Vec<Action> {
        todo!()
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self, _now: Instant) -> WorkerStatus {
        todo!()
    }
}

/// Dials that may be under way at once.
pub const DIALS: usize = 3;
