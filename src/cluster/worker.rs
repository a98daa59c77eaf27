//! The worker as a state machine: what it does with the master's messages and its lanes' reports. No I/O.
//!
//! Owns the numbering of deltas and keeps each until it is acknowledged.
//!
//! | in | event | actions | goes to |
//! |---|---|---|---|
//! | idle | `Prepare` | open the lanes | preparing |
//! | preparing | lanes open | send `Prepared` | prepared |
//! | preparing | lanes refused | send `Refused` | idle |
//! | prepared | `Begin` | begin | running |
//! | prepared | `Stop`, `Cut` | close the lanes | idle |
//! | running | `Stop`, `Cut` | stop, cut the lanes | running |
//! | running | all lanes have reported a second | send `Delta` | running |
//! | running | all lanes have reported their last | send the last `Delta`, close the lanes | idle |

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::message::{Delta, ToMaster, ToWorker};
use crate::load::lane::LaneReport;
use crate::load::vitals::Vitals;
use crate::plan::{Plan, RunId};
use crate::stats::tally::Tally;

/// One worker.
#[derive(Debug, Default)]
pub struct Worker {
    stage: Stage,
    run: RunId,
    /// The last report of each lane, by lane.
    lanes: BTreeMap<usize, LaneStanding>,
    /// Counted and not yet sent, by second of the run's clock.
    gathered: BTreeMap<u64, Tally>,
    /// Sent and not yet acknowledged, oldest first.
    kept: VecDeque<Arc<Delta>>,
    sequence: u64,
    /// The first misuse that a lane has met.
    misuse: Option<String>,
}

/// What the shell shall do.
#[derive(Debug)]
pub enum Action {
    /// Open the lanes for this plan, then call [`Worker::on_opened`].
    Open(Arc<Plan>),
    /// Begin the run in the lanes; its clock stands at this.
    Begin(Duration),
    /// Tell the lanes to stop.
    Stop,
    /// Tell the lanes to cut.
    Cut,
    /// Close the lanes.
    Close,
    /// Send this to the master.
    Send(ToMaster),
}

impl Worker {
    /// A message of the master's came.
    pub fn on_message(&mut self, message: ToWorker) -> Vec<Action> {
        match message {
            ToWorker::Prepare(plan) => self.on_prepare(plan),
            ToWorker::Begin(elapsed) if self.stage == Stage::Prepared => {
                self.stage = Stage::Running;
                vec![Action::Begin(elapsed)]
            }
            ToWorker::Stop => self.on_end(Action::Stop),
            ToWorker::Cut => self.on_end(Action::Cut),
            ToWorker::Acknowledge(sequence) => {
                self.kept.retain(|delta| delta.sequence > sequence);
                Vec::new()
            }
            ToWorker::Begin(_) => Vec::new(), // A run that was given up while its lanes were opening.
        }
    }

    /// The lanes are open, or could not be opened.
    pub fn on_opened(&mut self, lanes: Result<usize, String>) -> Vec<Action> {
        match lanes {
            Ok(lanes) => {
                self.stage = Stage::Prepared;
                self.lanes = (0..lanes).map(|lane| (lane, LaneStanding::default())).collect();
                vec![Action::Send(ToMaster::Prepared)]
            }
            Err(why) => {
                self.stage = Stage::Idle;
                vec![Action::Send(ToMaster::Refused(why))]
            }
        }
    }

    /// A lane has reported. `vitals` were read just now.
    pub fn on_report(&mut self, report: LaneReport, vitals: Vitals) -> Vec<Action> {
        let standing = self.lanes.entry(report.lane).or_default();
        *standing = LaneStanding {
            has_reported: true,
            users: report.users,
            is_exhausted: report.is_exhausted,
            is_finished: report.is_finished,
            panics: report.panics,
        };
        if self.misuse.is_none() {
            self.misuse = report.misuse;
        }
        match self.gathered.entry(report.tally.second) {
            std::collections::btree_map::Entry::Vacant(place) => drop(place.insert(report.tally)),
            std::collections::btree_map::Entry::Occupied(mut place) => place.get_mut().merge(report.tally),
        }
        if !self.lanes.values().all(|lane| lane.has_reported || lane.is_finished) {
            return Vec::new();
        }
        let delta = self.seal(vitals);
        let mut actions = vec![Action::Send(ToMaster::Delta(delta.clone()))];
        if delta.is_last {
            self.stage = Stage::Idle;
            actions.push(Action::Close);
        }
        actions
    }

    /// Deltas that the master has not acknowledged, oldest first: what the shell could not deliver is sent again from here.
    pub fn unacknowledged(&self) -> impl Iterator<Item = &Arc<Delta>> {
        self.kept.iter()
    }

    fn on_prepare(&mut self, plan: Arc<Plan>) -> Vec<Action> {
        if self.stage != Stage::Idle {
            return vec![Action::Send(ToMaster::Refused("the worker is busy with another run".into()))];
        }
        *self = Self { stage: Stage::Preparing, run: plan.run, ..Self::default() };
        vec![Action::Open(plan)]
    }

    fn on_end(&mut self, action: Action) -> Vec<Action> {
        match self.stage {
            Stage::Running => vec![action],
            Stage::Prepared => {
                self.stage = Stage::Idle;
                vec![Action::Close]
            }
            Stage::Idle | Stage::Preparing => Vec::new(),
        }
    }

    /// Makes all that was gathered one delta.
    fn seal(&mut self, vitals: Vitals) -> Arc<Delta> {
        self.sequence += 1;
        for lane in self.lanes.values_mut() {
            lane.has_reported = false;
        }
        let delta = Arc::new(Delta {
            run: self.run,
            sequence: self.sequence,
            tallies: std::mem::take(&mut self.gathered).into_values().collect(),
            users: self.lanes.values().map(|lane| lane.users).sum(),
            vitals,
            is_exhausted: self.lanes.values().all(|lane| lane.is_exhausted),
            is_last: self.lanes.values().all(|lane| lane.is_finished),
            panics: self.lanes.values().map(|lane| lane.panics).sum(),
            misuse: self.misuse.clone(),
        });
        self.kept.push_back(delta.clone());
        delta
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    #[default]
    Idle,
    Preparing,
    Prepared,
    Running,
}

/// What is known of one lane.
#[derive(Debug, Default)]
struct LaneStanding {
    /// Since the last delta.
    has_reported: bool,
    users: u64,
    is_exhausted: bool,
    is_finished: bool,
    panics: u32,
}
