//! What the master does once a run is on its way: re-targets, ends, and runs that another master has left.

use std::time::SystemTime;

use super::*;
use crate::load::Halt;
use crate::load::stock::IterationsBegun;
use crate::plan::ThresholdPlan;
use crate::stats::threshold::Threshold;

#[test]
fn another_number_of_users_reaches_everybody_and_keeps_the_statistics() {
    let mut stand = Stand::running(2, 10);
    stand.live(Duration::from_secs(2), &[1, 2]);
    stand.delta(1, 1, 4);
    stand.actions.clear();
    let retarget = Retarget { users: 21, spawn_rate: 2.0, run_time: None };
    let actions = stand.master.on_retarget(retarget, stand.now).unwrap();
    stand.actions.extend(actions);
    let orders = stand.orders();
    let mut counts: Vec<u64> = orders.values().map(|orders| users(orders, 21)).collect();
    counts.sort_unstable();
    assert_eq!((counts, stand.requests()), (vec![10, 11], 4));
    stand.live(Duration::from_secs(2), &[1, 2]);
    let snapshot = stand.master.snapshot(stand.now);
    assert_eq!((snapshot.target_users, snapshot.goal_users), (15, 21));
}

#[test]
fn a_stop_waits_for_all_last_numbers() {
    let mut stand = Stand::running(2, 10);
    stand.actions.clear();
    let actions = stand.master.on_stop(stand.now);
    stand.actions.extend(actions);
    assert!(stand.orders().values().all(|orders| orders.phase == Phase::Stop));
    assert_eq!(stand.state(), RunState::Stopping);
    stand.last_delta(1, 1);
    assert_eq!(stand.end(), None);
    stand.last_delta(2, 1);
    assert_eq!(stand.end(), Some(RunEnd { is_complete: true, failure: None, panics: 0 }));
    assert_eq!(stand.state(), RunState::Stopped);
    stand.live(Duration::from_secs(60), &[1, 2]);
    assert_eq!(stand.end(), None, "once only");
}

#[test]
fn the_clock_of_a_run_stands_still_with_the_last_worker_that_finished_however_long_a_killed_one_is_waited_for() {
    let mut stand = Stand::running(2, 10);
    stand.live(Duration::from_secs(5), &[1, 2]);
    stand.live(Duration::from_secs(4), &[1]);
    let view = stand.master.snapshot(stand.now);
    let killed = view.workers.iter().find(|worker| worker.state == WorkerState::Lost).expect("it is lost");
    assert_eq!((killed.cpu_cores, killed.memory_bytes, killed.lag), (None, None, None), "what it never told is not zero");
    let actions = stand.master.on_stop(stand.now);
    stand.actions.extend(actions);
    let elapsed = stand.master.snapshot(stand.now).elapsed;
    stand.last_delta(1, 1);
    stand.live(Duration::from_secs(30), &[1]);
    assert_eq!(stand.state(), RunState::Stopped);
    assert_eq!(stand.master.snapshot(stand.now).elapsed, elapsed);
}

#[test]
fn a_script_that_aborts_on_one_worker_ends_the_run_on_all_and_its_reason_is_shown() {
    let mut stand = Stand::running(2, 10);
    stand.live(Duration::from_secs(2), &[1, 2]);
    stand.actions.clear();
    let said = Delta { halt: Some(Halt::Abort("the accounts are locked".into())), ..delta(1, 3) };
    stand.message(2, ToMaster::Delta { sent: Duration::ZERO, delta: Arc::new(said) });
    stand.live(Duration::from_secs(1), &[1, 2]);
    assert!(stand.orders().values().all(|orders| orders.phase == Phase::Stop));
    stand.last_delta(1, 1);
    stand.last_delta(2, 2);
    assert_eq!(stand.end(), Some(RunEnd { is_complete: true, failure: None, panics: 0 }));
    assert_eq!(stand.master.snapshot(stand.now).aborted.as_deref(), Some("the accounts are locked"));
}

#[test]
fn a_threshold_that_aborts_ends_the_run_within_two_seconds_of_its_window_and_a_reset_begins_its_windows_anew() {
    let plan = ThresholdPlan { metric: "http_reqs".into(), condition: "count < 8 over 2s abort".into() };
    let threshold = Threshold::parse(&plan, &[]).unwrap();
    let mut stand = Stand::running(1, 10);
    let run = stand.master.run.as_mut().unwrap();
    run.judge_by(vec![threshold]);
    run.reset(stand.now);
    let said = |sequence: u64, second: u64, requests| Delta { epoch: 1, tallies: vec![tally(second, requests)], ..delta(sequence, 0) };
    for (sequence, requests) in [(1, 3), (2, 3), (3, 4), (4, 3)] {
        stand.live(Duration::from_secs(1), &[1]);
        stand.message(1, ToMaster::Delta { sent: Duration::ZERO, delta: Arc::new(said(sequence, sequence - 1, requests)) });
    }
    stand.live(Duration::from_secs(1), &[1]);
    assert_eq!(stand.state(), RunState::Running);
    assert_eq!(stand.master.snapshot(stand.now).thresholds[0].actual, "7 from 0:01 to 0:03 (worst of 3 windows)");
    stand.message(1, ToMaster::Delta { sent: Duration::ZERO, delta: Arc::new(said(5, 4, 5)) });
    stand.live(Duration::from_secs(1), &[1]);
    assert_eq!(stand.state(), RunState::Stopping);
    let snapshot = stand.master.snapshot(stand.now);
    assert!(!snapshot.thresholds[0].passed && snapshot.warnings[0].contains("8 at 0:05"), "{:?}", snapshot.warnings);
}

#[test]
fn numbers_that_do_not_come_are_named_after_the_stop_timeout_and_a_grace() {
    let mut stand = Stand::running(2, 10);
    stand.master.on_stop(stand.now);
    stand.last_delta(1, 1);
    stand.live(Duration::from_secs(6), &[1, 2]);
    assert_eq!(stand.end(), None);
    stand.live(Duration::from_secs(2), &[1, 2]);
    let end = stand.end().unwrap();
    let failure = end.failure.unwrap();
    assert!(!end.is_complete && failure.cause == FailureCause::Lost && failure.text.contains(&id(2).to_string()));
}

#[test]
fn late_numbers_of_an_ended_run_go_into_its_table() {
    let mut stand = Stand::running(2, 10);
    stand.live(Duration::from_secs(4), &[2]);
    stand.master.on_stop(stand.now);
    stand.last_delta(2, 1);
    stand.live(Duration::from_secs(16), &[2]);
    assert!(!stand.end().unwrap().is_complete);
    stand.delta(1, 1, 3);
    assert_eq!(stand.requests(), 3);
    assert!(!stand.master.snapshot(stand.now).holes.is_empty(), "there is more to come");
    assert!(stand.orders().values().any(|orders| orders.phase == Phase::Stop), "it is told that the run is over");
    stand.last_delta(1, 2);
    assert!(stand.master.snapshot(stand.now).holes.is_empty());
}

#[test]
fn a_reset_raises_the_epoch_and_numbers_from_before_are_dropped() {
    let mut stand = Stand::running(1, 1);
    stand.delta(1, 1, 5);
    let actions = stand.master.on_reset(stand.now);
    stand.actions.extend(actions);
    assert_eq!(stand.orders()[&1].epoch, 1);
    stand.delta(1, 2, 6);
    assert_eq!(stand.requests(), 0);
    let delta = Arc::new(Delta { epoch: 1, ..delta(3, 2) });
    stand.message(1, ToMaster::Delta { sent: Duration::ZERO, delta });
    assert_eq!(stand.requests(), 2);
}

#[test]
fn after_a_reset_in_the_middle_of_a_second_rates_divide_by_the_seconds_that_are_counted() {
    let mut stand = Stand::running(1, 1);
    stand.live(Duration::from_millis(5_500), &[1]);
    let begin = stand.master.snapshot(stand.now).elapsed.as_secs();
    let actions = stand.master.on_reset(stand.now);
    stand.actions.extend(actions);
    // The lanes' tally of the second of the reset holds all of it.
    let delta = Delta { epoch: 1, tallies: vec![tally(begin, 100), tally(begin + 1, 100)], ..delta(1, 0) };
    stand.message(1, ToMaster::Delta { sent: Duration::ZERO, delta: Arc::new(delta) });
    stand.live(Duration::from_millis(1_500), &[1]);
    let snapshot = stand.master.snapshot(stand.now);
    assert_eq!(snapshot.elapsed.as_secs(), begin + 2);
    assert_eq!((snapshot.counted_since, snapshot.total.requests), (Some(Duration::from_secs(begin)), 200));
    assert_eq!((snapshot.total.current_rps, snapshot.total.total_rps), (Some(100.0), Some(100.0)));
    assert_eq!(snapshot.history.iter().map(|point| point.at.as_secs()).collect::<Vec<_>>(), [begin, begin + 1]);
}

/// The run of workers that a dead master has left, with the numbers of both, at a new master.
pub(super) fn adopted(mut stand: Stand) -> Stand {
    let mut halves = [SlotSet::none(), SlotSet::none()];
    SlotSet::all().iter().for_each(|slot| halves[(slot % 2) as usize].insert(slot));
    for (worker, half) in [1, 2].into_iter().zip(&halves) {
        stand.hello(worker, Some(standing(half, Duration::from_secs(41), 9)));
        stand.message(worker, ToMaster::TotalPart { run: RunId(7), number: 0, tally: Box::new(tally(40, 100)) });
        stand.message(worker, ToMaster::TotalEnd { run: RunId(7), epoch: 0, parts: 1, sequence: 9 });
    }
    stand
}

#[test]
fn a_new_master_takes_over_the_run_that_workers_bring() {
    let mut stand = adopted(Stand::new());
    assert!(stand.sent().iter().all(|(_, message)| !matches!(message, ToWorker::Orders(_))), "they go on by themselves at first");
    stand.live(Duration::from_secs(5), &[1, 2]);
    assert!(stand.logged().contains(&"adopted run 0000000000000007, 00:45 old, from 2 workers".to_owned()));
    assert_eq!((stand.requests(), stand.state()), (200, RunState::Running));
    stand.delta(1, 10, 1);
    assert_eq!(stand.requests(), 201);
}

#[test]
fn a_new_master_gives_the_slots_of_those_that_do_not_come_to_those_that_do() {
    let mut stand = Stand::new();
    let mut half = SlotSet::none();
    SlotSet::all().iter().filter(|slot| slot % 2 == 0).for_each(|slot| half.insert(slot));
    stand.hello(1, Some(standing(&half, Duration::from_secs(41), 0)));
    stand.live(Duration::from_secs(5), &[1]);
    let orders = stand.orders();
    assert_eq!((users(&orders[&1], 10), orders[&1].generation > 5), (10, true));
}

#[test]
fn a_master_that_does_not_adopt_stops_the_run_and_collects_its_numbers() {
    let mut stand = adopted(Stand::with(MasterConfig { adopts: false, ..config() }));
    stand.live(Duration::from_secs(5), &[1, 2]);
    assert!(stand.orders().values().all(|orders| orders.phase == Phase::Stop));
    stand.last_delta(1, 10);
    stand.last_delta(2, 10);
    assert_eq!((stand.end().unwrap().is_complete, stand.requests()), (true, 200));
}

#[test]
fn a_master_with_a_journal_waits_for_its_workers_and_adds_them_to_those_that_had_left() {
    let kept = |worker, has_left| crate::cluster::record::KeptWorker {
        worker: id(worker),
        epoch: 0,
        sequence: std::num::NonZeroU64::new(4),
        has_left,
        begun: IterationsBegun::default(),
        panics: 0,
        lanes_lost: 0,
        lost_since: None,
        tallies: vec![Tally { ..tally(20, 50) }],
    };
    let mut stand = adopted(restored(vec![kept(3, true), kept(1, false)]));
    stand.live(Duration::from_secs(5), &[1, 2]);
    // Worker 1's whole total stands in place of what was kept of it; worker 3 had left with 50.
    assert_eq!((stand.requests(), stand.state()), (250, RunState::Running));
}

/// What a journal says of a run in which these workers had left something.
pub(super) fn kept(workers: Vec<crate::cluster::record::KeptWorker>) -> KeptRun {
    let plan = Arc::new(Plan::for_tests(LoadProfile::plain(10, 10.0, None)));
    let profile = Arc::new(plan.profile.clone());
    KeptRun {
        profile,
        plan,
        wall: SystemTime::UNIX_EPOCH,
        generation: 0,
        epoch: 0,
        counted_since: Some(Duration::ZERO),
        workers,
        leases: Vec::new(),
        board: Default::default(),
        is_forgotten: false,
        began: Vec::new(),
        history: Vec::new(),
        windows: Vec::new(),
        is_over: false,
    }
}

/// A master that has read that in its journal.
pub(super) fn restored(workers: Vec<crate::cluster::record::KeptWorker>) -> Stand {
    let now = Instant::now();
    let master = Master::restored(MasterConfig { has_journal: true, ..config() }, kept(workers), now);
    Stand { master, now, actions: Vec::new() }
}

/// A master that has read the records which another one has kept.
pub(super) fn next_of(before: &mut Stand) -> Stand {
    let records = before.actions.drain(..).filter_map(|action| if let Action::Keep(_, record) = action { Some(record) } else { None });
    let kept = KeptRun::from_records(records).unwrap();
    assert_eq!(KeptRun::from_records(kept.clone().into_records()), Some(kept.clone()));
    let now = Instant::now();
    let master = Master::restored(MasterConfig { has_journal: true, ..config() }, kept, now);
    Stand { master, now, actions: Vec::new() }
}

fn holes(stand: &Stand) -> Vec<(String, u64)> {
    stand.master.snapshot(stand.now).holes.into_iter().map(|hole| (hole.worker, hole.from.as_secs())).collect()
}

#[test]
fn a_worker_that_died_just_before_its_master_is_a_hole_until_it_comes_back() {
    let mut before = Stand::running_with(MasterConfig { has_journal: true, ..config() }, 2, 10);
    before.live(Duration::from_secs(2), &[1, 2]);
    let mut stand = next_of(&mut before);
    stand.hello(1, Some(standing(&SlotSet::all(), Duration::from_secs(30), 0)));
    assert_eq!(holes(&stand), [], "it may still come");
    stand.live(Duration::from_secs(6), &[1]);
    assert_eq!((holes(&stand), stand.state()), (vec![(id(2).to_string(), 0)], RunState::Running));
    assert!(stand.master.snapshot(stand.now).holes[0].to >= Duration::from_secs(30), "nobody knows when it died");
    stand.hello(2, Some(standing(&SlotSet::none(), Duration::from_secs(36), 0)));
    assert_eq!(holes(&stand), []);
}

#[test]
fn a_stop_soon_after_a_takeover_waits_for_a_worker_of_which_only_the_journal_knows() {
    let mut before = Stand::running_with(MasterConfig { has_journal: true, ..config() }, 2, 10);
    before.live(Duration::from_secs(2), &[1, 2]);
    let mut stand = next_of(&mut before);
    stand.hello(1, Some(standing(&SlotSet::all(), Duration::from_secs(30), 0)));
    stand.live(Duration::from_secs(6), &[1]);
    stand.master.on_stop(stand.now);
    stand.last_delta(1, 1);
    stand.live(Duration::from_secs(10), &[1]);
    assert_eq!(stand.end(), None);
    stand.live(Duration::from_secs(6), &[1]);
    assert!(!stand.end().unwrap().is_complete);
    assert_eq!(holes(&stand), [(id(2).to_string(), 0)]);
}

#[test]
fn who_left_or_was_lost_before_a_reset_is_no_hole_of_the_next_master() {
    let mut before = Stand::running_with(MasterConfig { has_journal: true, ..config() }, 3, 10);
    before.live(Duration::from_secs(2), &[1, 2, 3]);
    before.message(3, ToMaster::Goodbye);
    before.live(Duration::from_secs(5), &[1]);
    let actions = before.master.on_reset(before.now);
    before.actions.extend(actions);
    before.live(Duration::from_secs(1), &[1]);
    let mut stand = next_of(&mut before);
    stand.hello(4, None);
    stand.live(Duration::from_secs(70), &[4]);
    assert_eq!(holes(&stand), [(id(1).to_string(), 7)], "from the reset on");
}

#[test]
fn a_stop_before_any_worker_is_back_reaches_those_who_come() {
    let mut stand = restored(Vec::new());
    let actions = stand.master.on_stop(stand.now);
    stand.actions.extend(actions);
    assert_eq!((stand.end(), stand.state()), (None, RunState::Stopping));
    stand.hello(1, Some(standing(&SlotSet::all(), Duration::from_secs(30), 0)));
    stand.live(Duration::from_secs(5), &[1]);
    let orders = stand.orders();
    assert_eq!((orders[&1].phase, orders[&1].generation > 5), (Phase::Stop, true));
    let mut alone = restored(Vec::new());
    alone.master.on_stop(alone.now);
    alone.pass(Duration::from_secs(66));
    assert_eq!(alone.end().unwrap().failure.unwrap().cause, FailureCause::Lost);
}

#[test]
fn a_worker_that_runs_on_by_orders_of_the_same_number_hears_that_the_run_is_over() {
    let mut stand = restored(Vec::new());
    let actions = stand.master.on_cut(stand.now);
    stand.actions.extend(actions);
    assert!(stand.end().is_some());
    let mut brought = standing(&SlotSet::all(), Duration::from_secs(30), 0);
    // The generation of a run that was ended before this master gave any orders.
    brought.orders = brought.orders.map(|followed| Followed { generation: 1, ..followed });
    stand.hello(1, Some(brought));
    let orders = stand.orders();
    assert_eq!((orders[&1].phase, orders[&1].generation), (Phase::Stop, 2));
}

#[test]
fn a_worker_that_comes_back_without_orders_leaves_no_hole() {
    let mut stand = Stand::running(2, 10);
    stand.live(Duration::from_secs(4), &[1]);
    assert_eq!(stand.master.snapshot(stand.now).holes.len(), 1);
    stand.hello(2, Some(RunStanding { orders: None, elapsed: Duration::ZERO, ..standing(&SlotSet::none(), Duration::ZERO, 0) }));
    assert_eq!(stand.master.snapshot(stand.now).holes, []);
}

#[test]
fn a_run_of_another_master_is_abandoned() {
    let mut stand = Stand::running(1, 1);
    stand.actions.clear();
    let mut other = standing(&SlotSet::all(), Duration::from_secs(3), 0);
    other.plan = Arc::new(Plan { run: RunId(8), ..(*other.plan).clone() });
    stand.hello(2, Some(other));
    assert!(stand.sent().iter().any(|(worker, message)| *worker == 2 && matches!(message, ToWorker::Abandon(RunId(8)))));
}

#[test]
fn a_run_without_any_worker_ends_after_the_orphan_timeout() {
    let mut stand = Stand::running(1, 1);
    stand.pass(Duration::from_secs(62));
    assert_eq!(stand.end(), None);
    stand.pass(Duration::from_secs(3));
    assert_eq!(stand.end().unwrap().failure.unwrap().cause, FailureCause::Lost);
}

#[test]
fn seconds_far_ahead_of_the_masters_clock_count_in_the_sums_and_in_no_second() {
    let mut stand = Stand::running(1, 1);
    stand.actions.clear();
    for (sequence, second) in [(1, 1), (2, u64::MAX), (3, 1_000_000)] {
        let delta = Delta { tallies: vec![tally(second, 5)], ..delta(sequence, 0) };
        stand.message(1, ToMaster::Delta { sent: Duration::ZERO, delta: Arc::new(delta) });
    }
    stand.live(Duration::from_secs(3), &[1]);
    let logged = stand.logged();
    assert_eq!(logged.iter().filter(|text| text.contains("ahead of the master's clock")).count(), 2, "{logged:?}");
    let snapshot = stand.master.snapshot(stand.now);
    assert_eq!(snapshot.total.requests, 15);
    assert_eq!(snapshot.warnings.len(), 1);
    stand.live(Duration::from_secs(3), &[]);
    assert!(stand.master.snapshot(stand.now).holes.iter().all(|hole| hole.from == Duration::from_secs(2)));
}

#[test]
fn slots_on_a_slow_way_go_on_at_the_pace_of_a_new_target() {
    let mut stand = Stand::running(2, 1);
    // One user a second: half of all slots would take hours.
    stand.live(Duration::from_secs(5), &[2]);
    stand.actions.clear();
    let retarget = Retarget { users: 40, spawn_rate: 20.0, run_time: None };
    let actions = stand.master.on_retarget(retarget, stand.now).unwrap();
    stand.actions.extend(actions);
    let handover = stand.orders()[&2].orders.handover.clone().unwrap();
    let late = handover.moments().take_while(|(slot, _)| *slot < 40).map(|(_, at)| at - handover.at).last().unwrap();
    assert!(handover.moved.len() > 30_000 && late <= Duration::from_secs(2), "{} slots, {late:?}", handover.moved.len());
}

#[test]
fn slots_that_have_arrived_are_not_handed_over_again() {
    let mut stand = Stand::running(2, 10_000);
    stand.live(Duration::from_secs(12), &[2]);
    stand.actions.clear();
    let retarget = Retarget { users: 20_000, spawn_rate: 1.0, run_time: None };
    let actions = stand.master.on_retarget(retarget, stand.now).unwrap();
    stand.actions.extend(actions);
    let handover = stand.orders()[&2].orders.handover.clone().unwrap();
    assert!(handover.moved.iter().next().is_none_or(|slot| slot > 10_000), "the first ones are there since long ago");
}

#[test]
fn a_worker_that_is_about_to_end_does_not_stop_the_run_that_it_brings() {
    let mut stand = Stand::new();
    let mut half = SlotSet::none();
    SlotSet::all().iter().filter(|slot| slot % 2 == 0).for_each(|slot| half.insert(slot));
    let claim = |has_stopped| {
        let mut standing = standing(&half, Duration::from_secs(41), 0);
        standing.orders.as_mut().unwrap().has_stopped = has_stopped;
        standing
    };
    stand.message(1, ToMaster::Hello(Box::new(Hello { is_leaving: true, ..hello(1, Some(claim(true))) })));
    stand.live(Duration::from_secs(5), &[1]);
    assert_eq!(stand.state(), RunState::Running);
    stand.hello(2, Some(claim(false)));
    stand.live(Duration::from_secs(1), &[1, 2]);
    assert_eq!(stand.state(), RunState::Running);
}

#[test]
fn a_worker_that_is_lost_while_a_run_is_taken_over_still_says_what_the_run_was_doing() {
    let mut stand = Stand::new();
    let mut stopped = standing(&SlotSet::all(), Duration::from_secs(41), 0);
    stopped.orders.as_mut().unwrap().phase = Phase::Stop;
    stand.hello(1, Some(stopped));
    let mut behind = standing(&SlotSet::none(), Duration::from_secs(41), 0);
    behind.orders.as_mut().unwrap().generation = 4;
    stand.hello(2, Some(behind));
    stand.live(Duration::from_secs(5), &[2]);
    assert_eq!(stand.state(), RunState::Stopping);
}

#[test]
fn a_pause_reaches_everybody_outlives_the_master_and_ends_with_a_word() {
    let mut stand = Stand::running(2, 10);
    assert!(Stand::new().master.on_pause(stand.now).is_err(), "there is no run");
    let actions = stand.master.on_pause(stand.now).unwrap();
    stand.actions.extend(actions);
    assert!(stand.orders().values().all(|orders| orders.orders.is_paused && orders.phase == Phase::Run));
    assert_eq!(stand.state(), RunState::Paused);
    assert!(stand.master.on_pause(stand.now).unwrap().is_empty(), "it is paused already");
    let actions = stand.master.on_resume(stand.now).unwrap();
    stand.actions.extend(actions);
    assert!(stand.orders().values().all(|orders| !orders.orders.is_paused));
    assert_ne!(stand.state(), RunState::Paused);
}

#[test]
fn a_run_of_which_a_lane_was_given_up_is_not_whole_and_says_whose() {
    let mut stand = Stand::running(2, 10);
    stand.master.on_stop(stand.now);
    let delta = Arc::new(Delta { is_last: true, lanes_lost: 1, lost_since: Some(Duration::from_secs(6)), ..delta(1, 5) });
    stand.message(1, ToMaster::Delta { sent: Duration::ZERO, delta });
    stand.last_delta(2, 1);
    let end = stand.end().unwrap();
    let failure = end.failure.unwrap();
    assert!(!end.is_complete && failure.cause == FailureCause::Lost, "{failure:?}");
    assert!(failure.text.contains(&format!("1 lane of {} from 6 s of the run on", id(1))), "{failure:?}");
    assert_eq!(stand.requests(), 5, "what the others counted is there");
}

#[test]
fn a_cut_waits_for_nobody_for_longer_than_a_second() {
    let mut stand = Stand::running(2, 10);
    stand.master.on_stop(stand.now);
    stand.live(Duration::from_secs(1), &[1, 2]);
    stand.master.on_cut(stand.now);
    stand.last_delta(1, 1);
    stand.pass(Duration::from_millis(700));
    assert_eq!(stand.end(), None);
    stand.pass(Duration::from_millis(200));
    assert!(stand.end().is_some_and(|end| !end.is_complete));
}

#[test]
fn the_spawn_rate_is_that_of_the_start_and_then_of_the_last_re_target() {
    let mut stand = Stand::running(1, 10);
    assert_eq!(stand.master.profile().unwrap().spawn_rate(), 10.0);
    stand.master.on_retarget(Retarget { users: 21, spawn_rate: 3.0, run_time: None }, stand.now).unwrap();
    assert_eq!(stand.master.profile().unwrap().spawn_rate(), 3.0);
}
