//! The master as a state machine: the run from start to end, the sums of all workers, the snapshot that people see. No I/O.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::message::{OrphanRules, ToMaster, ToWorker};
use super::record::{KeptRun, Record};
use super::worker::LinkId;
use crate::plan::{Plan, RunId};
use crate::stats::snapshot::{RunState, Snapshot};
use crate::stats::threshold::Threshold;

/// The master of a cluster.
#[derive(Debug)]
pub struct Master {
    config: MasterConfig,
}

/// How a master behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct MasterConfig {
    /// What workers do without it.
    pub orphan: OrphanRules,
    /// How long a start waits for workers whose scripts differ.
    pub skew_timeout: Duration,
    /// Workers whose scripts differ take part.
    pub allows_skew: bool,
    /// It takes over a run that workers bring; otherwise it stops it and collects the numbers.
    pub adopts: bool,
    /// There is a journal: the sums of each worker are kept apart for it.
    pub has_journal: bool,
}

/// What the shell shall do.
#[derive(Debug)]
pub enum Action {
    /// Send this.
    Send(LinkId, ToWorker),
    /// Close this link, once what was sent before is on its way; `on_link_gone` need not follow.
    CloseLink(LinkId),
    /// Write this to the journal and sync it; then call [`Master::on_kept`] with the number.
    Keep(u64, Record),
    /// Write this to the log.
    Log(log::Level, String),
    /// The run is over.
    Finish(RunEnd),
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEnd {
    /// Every worker's last numbers are in the table.
    pub is_complete: bool,
    /// Why the run could not be started, or not be finished.
    pub failure: Option<RunFailure>,
    /// User tasks and lanes that panicked: bugs of ours.
    pub panics: u32,
}

/// Why a run came to no proper end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFailure {
    /// Whose part it is.
    pub cause: FailureCause,
    /// For people.
    pub text: String,
}

/// Whose part a failed run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureCause {
    /// The person's who wrote the script or the settings.
    BadUse,
    /// A machine's or the network's: numbers are missing.
    Lost,
}

/// What starts a run.
#[derive(Debug, Clone)]
pub struct RunStart {
    /// The run.
    pub plan: Arc<Plan>,
    /// The plan's thresholds, parsed.
    pub thresholds: Vec<Threshold>,
    /// The wall clock, for people and files.
    pub wall: SystemTime,
}

/// Another number of users for a run that is under way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retarget {
    /// How many.
    pub users: u32,
    /// Users that start or stop per second.
    pub spawn_rate: f64,
    /// From here on; without it the planned end, if there is one, stays.
    pub run_time: Option<Duration>,
}

impl Master {
    /// A master without a run.
    #[must_use]
    pub fn new(config: MasterConfig, _now: Instant) -> Self {
        Self { config }
    }

    /// A master that has read its predecessor's journal: it waits for the workers of that run.
    #[must_use]
    pub fn restored(_config: MasterConfig, _kept: KeptRun, _now: Instant) -> (Self, Vec<Action>) {
        todo!()
    }

    /// A message came on a link.
    pub fn on_message(&mut self, _link: LinkId, _message: ToMaster, _now: Instant) -> Vec<Action> {
        todo!("{:?}", self.config)
    }

    /// A link is gone.
    pub fn on_link_gone(&mut self, _link: LinkId, _now: Instant) -> Vec<Action> {
        todo!()
    }

    /// Somebody starts a run.
    ///
    /// # Errors
    /// Why it cannot be: one is under way, or no worker is there.
    pub fn on_start(&mut self, _start: RunStart, _now: Instant) -> Result<Vec<Action>, String> {
        todo!()
    }

    /// Somebody wants another number of users.
    ///
    /// # Errors
    /// No run is under way.
    pub fn on_retarget(&mut self, _retarget: Retarget, _now: Instant) -> Result<Vec<Action>, String> {
        todo!()
    }

    /// Somebody stops the run: users finish.
    pub fn on_stop(&mut self, _now: Instant) -> Vec<Action> {
        todo!()
    }

    /// Somebody stops the run at once: users that still live are dropped.
    pub fn on_cut(&mut self, _now: Instant) -> Vec<Action> {
        todo!()
    }

    /// Somebody clears the statistics.
    pub fn on_reset(&mut self, _now: Instant) -> Vec<Action> {
        todo!()
    }

    /// The journal has kept a record.
    pub fn on_kept(&mut self, _number: u64, _now: Instant) -> Vec<Action> {
        todo!()
    }

    /// Time passes; called every 50 ms or so.
    pub fn on_tick(&mut self, _now: Instant) -> Vec<Action> {
        todo!()
    }

    /// What people see now.
    #[must_use]
    pub fn snapshot(&self, _now: Instant) -> Snapshot {
        todo!()
    }

    /// What the run is doing.
    #[must_use]
    pub fn state(&self) -> RunState {
        todo!()
    }

    /// The run and its clock's time zero, once it has begun.
    #[must_use]
    pub fn run(&self) -> Option<(RunId, Option<Instant>)> {
        todo!()
    }

    /// Workers that are ready for a run, or in it.
    #[must_use]
    pub fn worker_count(&self) -> usize {
        todo!()
    }
}
