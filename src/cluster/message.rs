//! All messages between the master and its workers, in one place.
//!
//! Owns their shape and meaning. Who sends which one when is told by the tables of `master` and `worker`.

use std::sync::Arc;
use std::time::Duration;

use crate::load::vitals::Vitals;
use crate::plan::{Plan, RunId};
use crate::stats::tally::Tally;

/// From the master to a worker.
#[derive(Debug, Clone)]
pub enum ToWorker {
    /// Make ready for this run: open the lanes.
    Prepare(Arc<Plan>),
    /// The run's clock stands at this: make load.
    Begin(Duration),
    /// Users finish, within the plan's stop timeout.
    Stop,
    /// Users that still live are dropped.
    Cut,
    /// Deltas up to this sequence number are in the table; the worker may forget them.
    Acknowledge(u64),
}

/// From a worker to the master.
#[derive(Debug)]
pub enum ToMaster {
    /// The lanes are open.
    Prepared,
    /// The lanes could not be opened, in words for people.
    Refused(String),
    /// What was counted since the last delta.
    Delta(Arc<Delta>),
}

/// What a worker counted since its last delta.
#[derive(Debug, Clone)]
pub struct Delta {
    /// Which run it was counted in.
    pub run: RunId,
    /// 1 for the run's first delta of this worker, then one more each.
    pub sequence: u64,
    /// One for each second of the run's clock that it covers, oldest first.
    pub tallies: Vec<Tally>,
    /// Users alive at its end.
    pub users: u64,
    /// The worker's own vitals at its end.
    pub vitals: Vitals,
    /// No user is alive in this worker and none will ever start again, though nobody stopped the run.
    pub is_exhausted: bool,
    /// The worker's last delta of this run: its lanes are finished.
    pub is_last: bool,
    /// User tasks and lanes that panicked so far: bugs of ours.
    pub panics: u32,
    /// What the script cannot run without and the plan does not have, such as a host: the run has no use.
    pub misuse: Option<String>,
}
