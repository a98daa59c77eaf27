//! Tests of a lane with users that do what a test says, in paused time: every moment is exact.

use crate::load::Halt;
use std::future::pending;

use super::reports::UNSENT_REPORTS;
use super::*;
use crate::load::foreman::Foreman;
use crate::load::slots::{Orders, SLOTS, SlotSet};
use crate::load::{Step, VirtualUser};
use crate::plan::{ClassPlan, LoadProfile, ProfileEnd, Stage};

mod arrivals;
mod iterations;
mod orders;
mod renewal;
mod several;
mod sides;

/// What happened, and at which millisecond of the run's clock.
type Diary = Rc<RefCell<Vec<(u128, String)>>>;

/// What the users of a test do.
#[derive(Debug, Clone, Copy)]
enum Conduct {
    /// Iterations of this length, and then this think time.
    Busy(Duration, Duration),
    /// An iteration that never ends.
    Deaf,
    /// One iteration of this length, then `self:stop()`.
    Leaves(Duration),
    /// One iteration of this length, then a panic.
    Panics(Duration),
    /// It refuses to be made.
    Refused,
}

struct Users {
    conduct: Conduct,
    diary: Diary,
    zero: Rc<std::cell::Cell<Option<Instant>>>,
    halt: Option<Halt>,
}

impl Users {
    fn note(&self, what: String) {
        note(&self.diary, self.zero.get(), what);
    }
}

fn note(diary: &Diary, zero: Option<Instant>, what: String) {
    let at = now().saturating_duration_since(zero.expect("the run has begun"));
    diary.borrow_mut().push((at.as_millis(), what));
}

impl LaneWorkload for Users {
    type User = User;

    fn begin(&self, zero: Instant) {
        self.zero.set(Some(zero));
    }

    fn halt(&self) -> Option<Halt> {
        self.halt.clone()
    }

    fn new_user(&self, start: UserStart) -> Result<User, String> {
        if let Conduct::Refused = self.conduct {
            return Err("no room".into());
        }
        self.note(format!("start {} class {} after {}", start.index, start.class, start.iterations_done));
        let UserStart { index, side, control, .. } = start;
        Ok(User { conduct: self.conduct, index, side, control, diary: self.diary.clone(), zero: self.zero.get() })
    }
}

struct User {
    conduct: Conduct,
    index: u64,
    side: Option<Side>,
    control: Rc<UserControl>,
    diary: Diary,
    zero: Option<Instant>,
}

const DONE: Step = Step { raised: false, interrupted: false, ended: false, requests: 1, answered: 1, yielded: true, held: None };

impl VirtualUser for User {
    async fn on_start(&mut self) -> Step {
        DONE
    }

    async fn iterate(&mut self) -> Step {
        self.control.count_iteration();
        if let Some(side) = self.side {
            note(&self.diary, self.zero, format!("on {} by {}", side.name(), self.index));
        }
        match self.conduct {
            Conduct::Busy(Duration::ZERO, _) => {}
            Conduct::Busy(length, _) | Conduct::Leaves(length) | Conduct::Panics(length) => tokio::time::sleep(length).await,
            Conduct::Deaf | Conduct::Refused => pending().await,
        }
        assert!(!matches!(self.conduct, Conduct::Panics(_)), "a bug, for this test");
        Step { ended: matches!(self.conduct, Conduct::Leaves(_)), ..DONE }
    }

    async fn on_stop(&mut self) -> Step {
        note(&self.diary, self.zero, format!("stop {}", self.index));
        DONE
    }

    fn think_time(&mut self, _ended: Instant) -> Duration {
        if let Conduct::Busy(_, think) = self.conduct { think } else { Duration::ZERO }
    }

    fn rest(&mut self, _pause: Duration) {}
}

impl Drop for User {
    fn drop(&mut self) {
        note(&self.diary, self.zero, format!("gone {}", self.index));
    }
}

/// Lanes under test, as one worker has them.
struct Stand {
    zero: Instant,
    foreman: Foreman,
    renewals: Vec<mpsc::Sender<Renewal<Users>>>,
    reports: mpsc::Receiver<LaneReport>,
    diary: Diary,
}

impl Stand {
    /// Lanes that have been told nothing.
    fn idle(plan: &Plan, conduct: Conduct, lanes: usize, room_for_reports: usize) -> Self {
        let (reporter, reports) = mpsc::channel(room_for_reports);
        let (foreman, inboxes) = Foreman::new(lanes, plan.settings.stop_timeout);
        let diary = Diary::default();
        let stock = Arc::<Stock>::default();
        let mut renewals = Vec::new();
        for (number, inbox) in inboxes.into_iter().enumerate() {
            let users = Users { conduct, diary: diary.clone(), zero: Rc::default(), halt: None };
            let lane = Lane::new(users, number, Arc::new(plan.clone()), recorder_for(plan), stock.clone(), reporter.clone());
            let (renewal, renewed) = mpsc::channel(1);
            renewals.push(renewal);
            tokio::task::spawn_local(lane.run(inbox, renewed));
        }
        Self { zero: now(), foreman, renewals, reports, diary }
    }

    /// A lane that follows `plan` with the users of `slots`, and begins at time zero.
    fn new(plan: &Plan, conduct: Conduct, slots: SlotSet, room_for_reports: usize) -> Self {
        let stand = Self::idle(plan, conduct, 1, room_for_reports);
        stand.foreman.follow(&Orders { slots: Arc::new(slots), ..Orders::of_all_slots(Arc::new(plan.profile.clone())) });
        stand.foreman.begin(stand.zero);
        stand
    }

    async fn at(&self, millis: u64) {
        tokio::time::sleep_until((self.zero + Duration::from_millis(millis)).into()).await;
    }

    async fn end_at(&self, millis: u64, ending: Ending) {
        self.at(millis).await;
        self.foreman.end(ending);
    }

    /// All reports up to the last one.
    async fn reports(&mut self) -> Vec<LaneReport> {
        let mut reports = Vec::new();
        while let Some(report) = self.reports.recv().await {
            reports.push(report);
        }
        assert!(reports.last().is_some_and(|last| last.is_finished), "a lane ends with its last report");
        reports
    }

    /// What happened, of the events that begin with `word`.
    fn events(&self, word: &str) -> Vec<(u128, String)> {
        self.diary.borrow().iter().filter(|(_, what)| what.starts_with(word)).cloned().collect()
    }
}

/// Runs `test` on a runtime such as a lane's, with paused time.
fn in_paused_time<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test)
}

/// A plan of (users, milliseconds) stages.
fn plan(stages: &[(u32, u64)], end_millis: Option<u64>) -> Plan {
    Plan::for_tests(LoadProfile::staged(
        stages.iter().map(|&(users, millis)| Stage { users, over: Duration::from_millis(millis) }).collect(),
        end_millis.map_or(ProfileEnd::Hold, |millis| ProfileEnd::StopAt(Duration::from_millis(millis))),
    ))
}

fn stand(stages: &[(u32, u64)], end_millis: Option<u64>, conduct: Conduct) -> Stand {
    Stand::new(&plan(stages, end_millis), conduct, SlotSet::all(), 100)
}

fn busy(iteration_millis: u64, think_millis: u64) -> Conduct {
    Conduct::Busy(Duration::from_millis(iteration_millis), Duration::from_millis(think_millis))
}

fn iterations(reports: &[LaneReport]) -> u64 {
    reports.iter().map(|report| report.tally.times.iterations.spread.count).sum()
}

fn dropped(reports: &[LaneReport]) -> u64 {
    reports.iter().map(|report| report.tally.events.users_dropped).sum()
}

#[test]
fn users_start_at_the_moments_that_the_shape_names() {
    in_paused_time(async {
        let mut stand = stand(&[(4, 2_000)], Some(3_000), busy(100, 0));
        stand.reports().await;
        let starts = [0, 500, 1_000, 1_500].iter().enumerate().map(|(index, &at)| (at, format!("start {index} class 0 after 0")));
        assert_eq!(stand.events("start"), starts.collect::<Vec<_>>());
    });
}

#[test]
fn a_lane_runs_the_users_of_its_slots_only() {
    in_paused_time(async {
        let mut hand = SlotSet::none();
        (1..SLOTS).step_by(2).for_each(|slot| hand.insert(slot));
        let mut stand = Stand::new(&plan(&[(5, 0)], Some(1_000)), busy(100, 0), hand, 100);
        stand.reports().await;
        let starts: Vec<String> = stand.events("start").into_iter().map(|(_, what)| what).collect();
        assert_eq!(starts, ["start 1 class 0 after 0", "start 3 class 0 after 0"]);
    });
}

#[test]
fn on_the_way_down_the_highest_index_finishes_first() {
    in_paused_time(async {
        let mut stand = stand(&[(3, 0), (3, 1_000), (0, 3_000)], Some(5_000), busy(700, 0));
        stand.reports().await;
        // They are told at 2, 3 and 4 s, and end the iteration that they are in.
        assert_eq!(stand.events("stop"), [(2_100, "stop 2".into()), (3_500, "stop 1".into()), (4_200, "stop 0".into())]);
    });
}

#[test]
fn a_stop_cuts_the_thinking_and_runs_every_on_stop_from_the_highest_index_down() {
    in_paused_time(async {
        let mut stand = stand(&[(3, 0)], None, busy(100, 60_000));
        stand.end_at(1_500, Ending::Stop).await;
        let reports = stand.reports().await;
        assert_eq!(stand.events("stop"), [2, 1, 0].map(|index| (1_500, format!("stop {index}"))));
        assert_eq!((iterations(&reports), dropped(&reports)), (3, 0));
    });
}

#[test]
fn the_planned_end_stops_the_users_without_a_word_from_outside() {
    in_paused_time(async {
        let mut stand = stand(&[(1, 0)], Some(2_050), busy(100, 0));
        let reports = stand.reports().await;
        assert_eq!((stand.events("stop"), iterations(&reports)), (vec![(2_100, "stop 0".into())], 21));
    });
}

#[test]
fn a_user_that_is_wanted_again_while_it_finishes_starts_anew_and_counts_on() {
    in_paused_time(async {
        let stages = [(1, 0), (1, 1_000), (0, 0), (0, 200), (1, 0)];
        let mut stand = stand(&stages, Some(2_000), busy(1_500, 0));
        stand.reports().await;
        let lives: Vec<_> = stand.diary.borrow().iter().take(4).cloned().collect();
        let expected = [(0, "start 0 class 0 after 0"), (1_500, "stop 0"), (1_500, "gone 0"), (1_500, "start 0 class 0 after 1")];
        assert_eq!(lives, expected.map(|(at, what)| (at, what.to_owned())));
    });
}

#[test]
fn a_user_that_does_not_finish_is_dropped_at_the_stop_timeout_and_counted() {
    in_paused_time(async {
        let mut stand = stand(&[(2, 0)], None, Conduct::Deaf);
        stand.end_at(1_500, Ending::Stop).await;
        let reports = stand.reports().await;
        assert_eq!(stand.events("gone").iter().map(|&(at, _)| at).collect::<Vec<_>>(), [3_500, 3_500]);
        assert_eq!((stand.events("stop").len(), dropped(&reports)), (0, 2));
    });
}

#[test]
fn in_a_pause_no_iteration_begins_and_users_keep_their_lives() {
    in_paused_time(async {
        let plan = plan(&[(2, 0)], Some(5_000));
        let mut stand = stand(&[(2, 0)], Some(5_000), busy(100, 0));
        let orders = |is_paused| Orders { is_paused, ..Orders::of_all_slots(Arc::new(plan.profile.clone())) };
        stand.at(1_050).await;
        stand.foreman.follow(&orders(true));
        stand.at(3_000).await;
        stand.foreman.follow(&orders(false));
        let reports = stand.reports().await;
        let by_second: Vec<u64> = reports.iter().map(|report| iterations(std::slice::from_ref(report))).collect();
        // Those that end at 1.0 s and those that had begun end; from 3.0 s on there are as many as before.
        assert_eq!(by_second[1..3], [4, 0], "{by_second:?}");
        assert_eq!(by_second[3], by_second[0], "{by_second:?}");
        assert_eq!(stand.events("start").len(), 2, "nobody was started anew");
    });
}

#[test]
fn a_paused_run_can_be_stopped() {
    in_paused_time(async {
        let plan = plan(&[(2, 0)], None);
        let mut stand = stand(&[(2, 0)], None, busy(100, 0));
        stand.at(1_000).await;
        stand.foreman.follow(&Orders { is_paused: true, ..Orders::of_all_slots(Arc::new(plan.profile.clone())) });
        stand.end_at(2_000, Ending::Stop).await;
        let reports = stand.reports().await;
        assert_eq!(dropped(&reports), 0);
        assert_eq!(stand.events("stop").len(), 2, "each user ran its on_stop");
    });
}

#[test]
fn a_cut_drops_all_users_at_once() {
    in_paused_time(async {
        let mut stand = stand(&[(2, 0)], None, busy(400, 0));
        stand.end_at(1_500, Ending::Cut).await;
        let reports = stand.reports().await;
        assert_eq!((stand.events("gone").len(), stand.events("gone")[0].0, dropped(&reports)), (2, 1_500, 2));
    });
}

#[test]
fn a_lane_whose_commands_end_ends_too() {
    in_paused_time(async {
        let mut stand = stand(&[(2, 0)], None, Conduct::Deaf);
        stand.at(1_500).await;
        stand.foreman = Foreman::new(1, Duration::ZERO).0;
        assert_eq!(dropped(&stand.reports().await), 2);
    });
}

#[test]
fn each_second_is_reported_once_with_what_was_counted_in_it() {
    in_paused_time(async {
        let mut stand = stand(&[(2, 0)], Some(2_550), busy(100, 0));
        let reports = stand.reports().await;
        let seconds: Vec<_> = reports.iter().map(|report| (report.tally.second, report.users, report.is_finished)).collect();
        assert_eq!(seconds, [(0, 2, false), (1, 2, false), (2, 0, true)]);
        assert_eq!(iterations(&reports), 2 * 26, "each user ends the iteration that it began at the end");
        assert!(reports.iter().all(|report| report.panics == 0 && !report.is_exhausted && report.tally.times.lag.spread.count > 0));
    });
}

#[test]
fn reports_that_find_no_room_wait_and_nothing_is_lost() {
    in_paused_time(async {
        let seconds = UNSENT_REPORTS as u64 + 40;
        let mut stand = Stand::new(&plan(&[(1, 0)], Some(seconds * 1_000)), busy(500, 0), SlotSet::all(), 1);
        stand.at(seconds * 1_000 - 500).await;
        let reports = stand.reports().await;
        assert_eq!(iterations(&reports), seconds * 2);
        assert!(reports.len() <= UNSENT_REPORTS + 3, "{}", reports.len());
        assert!(reports.is_sorted_by_key(|report| report.tally.second));
    });
}

#[test]
fn a_lane_says_when_nobody_is_left_and_nobody_will_come() {
    in_paused_time(async {
        let mut stand = stand(&[(2, 0)], None, Conduct::Leaves(Duration::from_millis(1_200)));
        let [first, second] = [stand.reports.recv().await.unwrap(), stand.reports.recv().await.unwrap()];
        assert_eq!((first.is_exhausted, first.users, second.is_exhausted, second.users), (false, 2, true, 0));
        stand.end_at(2_500, Ending::Stop).await;
        stand.reports().await;
    });
}

#[test]
fn a_lane_whose_users_have_all_left_says_so_though_the_plan_has_an_end_or_a_way_down_ahead() {
    for (stages, end) in
        [(&[(2, 0)][..], Some(60_000)), (&[(2, 0), (2, 30_000), (0, 10_000)][..], Some(60_000)), (&[(2, 0), (2, 30_000), (1, 0)][..], None)]
    {
        in_paused_time(async {
            let mut stand = stand(stages, end, Conduct::Leaves(Duration::from_millis(1_200)));
            let [first, second] = [stand.reports.recv().await.unwrap(), stand.reports.recv().await.unwrap()];
            assert_eq!((first.is_exhausted, second.is_exhausted), (false, true), "{stages:?}");
            stand.end_at(2_500, Ending::Stop).await;
            stand.reports().await;
        });
    }
}

#[test]
fn a_lane_whose_users_have_all_left_waits_for_those_of_a_later_rise() {
    in_paused_time(async {
        let mut stand = stand(&[(2, 0), (2, 2_500), (1, 0), (1, 1_000), (2, 0)], Some(60_000), Conduct::Leaves(Duration::from_millis(100)));
        let mut said = Vec::new();
        for _ in 0..5 {
            said.push(stand.reports.recv().await.unwrap().is_exhausted);
        }
        assert_eq!(said, [false, false, false, true, true]);
        stand.end_at(5_500, Ending::Stop).await;
        stand.reports().await;
    });
}

#[test]
fn a_lane_is_not_exhausted_while_users_are_still_to_come() {
    in_paused_time(async {
        let mut stand = stand(&[(1, 0), (1, 3_000), (2, 0)], None, Conduct::Leaves(Duration::from_millis(100)));
        let mut said = Vec::new();
        for _ in 0..4 {
            said.push(stand.reports.recv().await.unwrap().is_exhausted);
        }
        assert_eq!(said, [false, false, false, true]);
        stand.end_at(4_500, Ending::Stop).await;
        stand.reports().await;
    });
}

#[test]
fn a_user_that_panics_is_counted_and_not_started_again() {
    in_paused_time(async {
        let mut stand = stand(&[(1, 0)], Some(2_000), Conduct::Panics(Duration::from_millis(100)));
        let reports = stand.reports().await;
        assert_eq!((stand.events("start").len(), reports[0].panics, dropped(&reports)), (1, 1, 1));
    });
}

#[test]
fn a_user_that_cannot_be_made_is_counted_as_dropped() {
    in_paused_time(async {
        let mut stand = stand(&[(3, 0)], Some(1_000), Conduct::Refused);
        assert_eq!(dropped(&stand.reports().await), 3);
    });
}

#[test]
fn users_without_a_class_are_not_started() {
    in_paused_time(async {
        let mut plan = plan(&[(3, 0)], Some(1_000));
        plan.classes = vec![ClassPlan { name: "Few".into(), weight: 1, count: Some(2), tasks: Vec::new() }];
        let mut stand = Stand::new(&plan, busy(100, 0), SlotSet::all(), 100);
        let reports = stand.reports().await;
        assert_eq!((stand.events("start").len(), dropped(&reports)), (2, 0));
    });
}

#[test]
fn a_jump_to_many_users_starts_them_all_at_its_moment() {
    in_paused_time(async {
        let many = STARTS_IN_A_TURN * 3 + 1;
        let mut stand = stand(&[(many, 0)], Some(1_000), busy(100, 0));
        stand.reports().await;
        let starts = stand.events("start");
        assert_eq!(starts.len(), many as usize);
        assert!(starts.iter().all(|&(at, _)| at <= 10), "{:?}", starts.last());
    });
}

#[test]
fn every_second_that_a_lane_has_slept_through_has_its_lateness() {
    let plan = Arc::new(plan(&[], None));
    let (sender, mut reports) = mpsc::channel(8);
    let users = Users { conduct: Conduct::Refused, diary: Diary::default(), zero: Rc::default(), halt: None };
    let lane = Lane::new(users, 0, plan.clone(), recorder_for(&plan), Arc::default(), sender);
    let mut running = Running::new(lane, Instant::now(), Duration::ZERO);
    running.report_if_due(Duration::from_millis(1_001));
    running.report_if_due(Duration::from_millis(4_200));
    let mut lateness = Vec::new();
    while let Ok(report) = reports.try_recv() {
        lateness.push((report.tally.second, report.tally.times.lag.spread.max()));
    }
    let millis = Duration::from_millis;
    assert_eq!(lateness, [(0, millis(1)), (1, millis(2_200)), (2, millis(2_200)), (3, millis(1_200))]);
    assert!(millis(1_200) > crate::stats::soundness::LAG_LIMIT);
}
