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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::LoadProfile;

    fn plan() -> Arc<Plan> {
        Arc::new(Plan::for_tests(LoadProfile::plain(1, 1.0, None)))
    }

    /// A worker whose lanes make load.
    fn running(lanes: usize) -> Worker {
        let mut worker = Worker::default();
        worker.on_message(ToWorker::Prepare(plan()));
        worker.on_opened(Ok(lanes));
        worker.on_message(ToWorker::Begin(Duration::ZERO));
        worker
    }

    /// A lane's report of one second with as many iterations as users.
    fn report(lane: usize, second: u64, users: u64) -> LaneReport {
        let mut tally = Tally { second, ..Tally::default() };
        for _ in 0..users {
            tally.iterations.spread.add(Duration::from_millis(1));
        }
        LaneReport { lane, tally, users, is_exhausted: false, is_finished: false, panics: 0, misuse: None }
    }

    fn last(lane: usize, second: u64) -> LaneReport {
        LaneReport { is_finished: true, ..report(lane, second, 0) }
    }

    fn on_report(worker: &mut Worker, report: LaneReport) -> Vec<Action> {
        worker.on_report(report, Vitals::default())
    }

    /// The one delta among `actions`.
    fn delta_of(actions: &[Action]) -> &Delta {
        let mut deltas =
            actions.iter().filter_map(|action| if let Action::Send(ToMaster::Delta(delta)) = action { Some(delta) } else { None });
        let delta = deltas.next().unwrap_or_else(|| panic!("no delta in {actions:?}"));
        assert!(deltas.next().is_none(), "two deltas in {actions:?}");
        delta
    }

    /// (second, iterations) of each tally.
    fn counted(delta: &Delta) -> Vec<(u64, u64)> {
        delta.tallies.iter().map(|tally| (tally.second, tally.iterations.spread.count)).collect()
    }

    #[test]
    fn a_run_is_prepared_then_begun() {
        let mut worker = Worker::default();
        assert!(matches!(&worker.on_message(ToWorker::Prepare(plan()))[..], [Action::Open(_)]));
        assert!(matches!(&worker.on_opened(Ok(2))[..], [Action::Send(ToMaster::Prepared)]));
        let elapsed = Duration::from_millis(40);
        assert!(matches!(worker.on_message(ToWorker::Begin(elapsed))[..], [Action::Begin(at)] if at == elapsed));
    }

    #[test]
    fn a_worker_whose_lanes_do_not_open_says_why_and_takes_the_next_run() {
        let mut worker = Worker::default();
        worker.on_message(ToWorker::Prepare(plan()));
        assert!(
            matches!(&worker.on_opened(Err("no such file".into()))[..], [Action::Send(ToMaster::Refused(why))] if why == "no such file")
        );
        assert!(worker.on_message(ToWorker::Begin(Duration::ZERO)).is_empty());
        assert!(matches!(&worker.on_message(ToWorker::Prepare(plan()))[..], [Action::Open(_)]));
    }

    #[test]
    fn a_busy_worker_refuses_another_run_and_goes_on() {
        let mut worker = running(1);
        assert!(matches!(&worker.on_message(ToWorker::Prepare(plan()))[..], [Action::Send(ToMaster::Refused(_))]));
        assert_eq!(delta_of(&on_report(&mut worker, report(0, 0, 1))).sequence, 1);
    }

    #[test]
    fn an_end_before_the_begin_closes_the_lanes_and_a_late_begin_is_passed_over() {
        for end in [ToWorker::Stop, ToWorker::Cut] {
            let mut worker = Worker::default();
            assert!(worker.on_message(end.clone()).is_empty(), "idle");
            worker.on_message(ToWorker::Prepare(plan()));
            worker.on_opened(Ok(1));
            assert!(matches!(worker.on_message(end)[..], [Action::Close]));
            assert!(worker.on_message(ToWorker::Begin(Duration::ZERO)).is_empty());
        }
    }

    #[test]
    fn stop_and_cut_reach_the_lanes_of_a_run_under_way() {
        let mut worker = running(1);
        assert!(matches!(worker.on_message(ToWorker::Stop)[..], [Action::Stop]));
        assert!(matches!(worker.on_message(ToWorker::Cut)[..], [Action::Cut]));
    }

    #[test]
    fn a_delta_goes_out_once_every_lane_has_reported_and_lanes_of_one_second_are_one_tally() {
        let mut worker = running(2);
        assert!(on_report(&mut worker, report(0, 0, 3)).is_empty());
        let actions = on_report(&mut worker, report(1, 0, 2));
        let delta = delta_of(&actions);
        assert_eq!((delta.sequence, delta.users, counted(delta), delta.is_last), (1, 5, vec![(0, 5)], false));
    }

    #[test]
    fn seconds_of_a_lane_that_runs_ahead_stay_apart_and_go_out_oldest_first() {
        let mut worker = running(2);
        on_report(&mut worker, report(0, 1, 3));
        on_report(&mut worker, report(0, 2, 4));
        let actions = on_report(&mut worker, report(1, 1, 2));
        assert_eq!(counted(delta_of(&actions)), [(1, 5), (2, 4)]);
        assert_eq!(delta_of(&actions).users, 6, "the latest report of each lane");
    }

    #[test]
    fn a_lane_that_has_finished_is_not_waited_for() {
        let mut worker = running(2);
        assert!(on_report(&mut worker, last(0, 3)).is_empty());
        assert!(!delta_of(&on_report(&mut worker, report(1, 3, 1))).is_last);
        assert!(!delta_of(&on_report(&mut worker, report(1, 4, 1))).is_last);
        let actions = on_report(&mut worker, last(1, 5));
        assert!(delta_of(&actions).is_last);
        assert!(matches!(actions.last(), Some(Action::Close)));
        assert!(worker.on_message(ToWorker::Stop).is_empty(), "idle again");
    }

    #[test]
    fn deltas_are_numbered_and_kept_until_they_are_acknowledged() {
        let mut worker = running(1);
        for second in 0..3 {
            on_report(&mut worker, report(0, second, 1));
        }
        let kept = |worker: &Worker| worker.unacknowledged().map(|delta| delta.sequence).collect::<Vec<_>>();
        assert_eq!(kept(&worker), [1, 2, 3]);
        worker.on_message(ToWorker::Acknowledge(2));
        assert_eq!(kept(&worker), [3]);
        worker.on_message(ToWorker::Acknowledge(1));
        assert_eq!(kept(&worker), [3], "an acknowledgement that comes late takes nothing back");
    }

    #[test]
    fn the_next_run_counts_from_the_beginning() {
        let mut worker = running(1);
        on_report(&mut worker, last(0, 0));
        worker.on_message(ToWorker::Prepare(plan()));
        assert_eq!(worker.unacknowledged().count(), 0);
        worker.on_opened(Ok(1));
        worker.on_message(ToWorker::Begin(Duration::ZERO));
        assert_eq!(delta_of(&on_report(&mut worker, report(0, 0, 1))).sequence, 1);
    }

    #[test]
    fn a_worker_is_exhausted_only_when_all_its_lanes_are() {
        let exhausted = |lane, is_exhausted| LaneReport { is_exhausted, ..report(lane, 0, 0) };
        let mut worker = running(2);
        on_report(&mut worker, exhausted(0, true));
        assert!(!delta_of(&on_report(&mut worker, exhausted(1, false))).is_exhausted);
        on_report(&mut worker, exhausted(0, true));
        assert!(delta_of(&on_report(&mut worker, exhausted(1, true))).is_exhausted);
    }

    #[test]
    fn panics_of_all_lanes_are_added_and_the_first_misuse_is_told() {
        let trouble = |lane, panics, misuse: &str| LaneReport { panics, misuse: Some(misuse.into()), ..report(lane, 0, 1) };
        let mut worker = running(2);
        on_report(&mut worker, trouble(0, 2, "no host"));
        let actions = on_report(&mut worker, trouble(1, 1, "another"));
        let delta = delta_of(&actions);
        assert_eq!((delta.panics, delta.misuse.as_deref()), (3, Some("no host")));
    }
}
