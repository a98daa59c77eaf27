//! Tests of the master: each row of its table, with times that the test passes in.

use super::*;
use crate::plan::{LoadProfile, RunId};
use crate::stats::tally::Tally;

/// A master and the moment at which its run was asked for.
struct Stand {
    master: Master,
    asked: Instant,
}

impl Stand {
    /// A run of one user, asked for at second 0 of the stand's clock.
    fn asked(run_time: Option<Duration>) -> Self {
        let (mut master, asked) = (Master::default(), Instant::now());
        let plan = Arc::new(Plan::for_tests(LoadProfile::plain(1, 1.0, run_time)));
        let actions = master.on_start(RunStart { plan, thresholds: Vec::new(), wall: SystemTime::UNIX_EPOCH }, asked);
        assert!(matches!(&actions[..], [Action::Send(ToWorker::Prepare(_))]));
        Self { master, asked }
    }

    /// The same, begun at second 1.
    fn running(run_time: Option<Duration>) -> Self {
        let mut stand = Self::asked(run_time);
        assert_eq!(stand.hears(1, ToMaster::Prepared), ["begin 0ns"]);
        stand
    }

    fn at(&self, second: u64) -> Instant {
        self.asked + Duration::from_secs(second)
    }

    fn hears(&mut self, second: u64, message: ToMaster) -> Vec<String> {
        words(&self.master.on_message(message, self.at(second)))
    }

    fn hears_delta(&mut self, second: u64, delta: Delta) -> Vec<String> {
        self.hears(second, ToMaster::Delta(Arc::new(delta)))
    }

    fn stop(&mut self, second: u64) -> Vec<String> {
        words(&self.master.on_stop(self.at(second)))
    }

    fn cut(&mut self, second: u64) -> Vec<String> {
        words(&self.master.on_cut(self.at(second)))
    }

    fn tick(&mut self, second: u64) -> Vec<String> {
        words(&self.master.on_tick(self.at(second)))
    }

    fn snapshot(&self, second: u64) -> Snapshot {
        self.master.snapshot(self.at(second))
    }
}

/// Actions in words, such as `ack 3`, `stop`, `finish whole`.
fn words(actions: &[Action]) -> Vec<String> {
    actions
        .iter()
        .map(|action| match action {
            Action::Send(ToWorker::Prepare(_)) => "prepare".into(),
            Action::Send(ToWorker::Begin(elapsed)) => format!("begin {elapsed:?}"),
            Action::Send(ToWorker::Stop) => "stop".into(),
            Action::Send(ToWorker::Cut) => "cut".into(),
            Action::Send(ToWorker::Acknowledge(sequence)) => format!("ack {sequence}"),
            Action::Finish(RunEnd { is_complete, failure: None, panics: 0 }) if *is_complete => "finish whole".into(),
            Action::Finish(end) => format!("finish {end:?}"),
        })
        .collect()
}

/// A delta of one second with `iterations` in it, counted by one user.
fn delta(sequence: u64, second: u64, iterations: u64) -> Delta {
    let mut tally = Tally { second, ..Tally::default() };
    for _ in 0..iterations {
        tally.iterations.spread.add(Duration::from_millis(1));
    }
    Delta {
        run: RunId(7),
        sequence,
        tallies: vec![tally],
        users: 1,
        vitals: Vitals::default(),
        is_exhausted: false,
        is_last: false,
        panics: 0,
        misuse: None,
    }
}

fn last(sequence: u64, second: u64) -> Delta {
    Delta { is_last: true, users: 0, ..delta(sequence, second, 0) }
}

#[test]
fn a_master_without_a_run_answers_nothing() {
    let (mut master, now) = (Master::default(), Instant::now());
    assert!(master.on_stop(now).is_empty() && master.on_cut(now).is_empty() && master.on_tick(now).is_empty());
    assert!(master.on_message(ToMaster::Prepared, now).is_empty() && master.on_worker_gone(now).is_empty());
    assert_eq!((master.snapshot(now).state, master.zero()), (RunState::Ready, None));
}

#[test]
fn the_runs_clock_begins_when_the_worker_is_prepared() {
    let stand = Stand::running(None);
    assert_eq!(stand.master.zero(), Some(stand.at(1)));
    let snapshot = stand.snapshot(3);
    assert_eq!((snapshot.elapsed, snapshot.target_users), (Duration::from_secs(2), 1));
    assert_eq!(snapshot.started_at, Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1)));
}

#[test]
fn a_second_word_of_being_prepared_moves_no_clock() {
    let mut stand = Stand::running(None);
    assert!(stand.hears(2, ToMaster::Prepared).is_empty());
    assert_eq!(stand.master.zero(), Some(stand.at(1)));
}

#[test]
fn a_worker_that_refuses_ends_the_run_as_bad_use_in_its_words() {
    let mut stand = Stand::asked(None);
    let actions = stand.master.on_message(ToMaster::Refused("no such file".into()), stand.at(1));
    let [Action::Finish(end)] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!(*end, RunEnd { is_complete: false, failure: Some(RunFailure::bad_use("no such file")), panics: 0 });
    assert_eq!(stand.snapshot(2).state, RunState::Stopped);
}

#[test]
fn a_worker_that_is_not_ready_in_time_is_lost() {
    let mut stand = Stand::asked(None);
    assert!(stand.tick(PREPARE_TIMEOUT.as_secs() - 1).is_empty());
    let actions = stand.master.on_tick(stand.at(PREPARE_TIMEOUT.as_secs()));
    let [Action::Finish(RunEnd { is_complete: false, failure: Some(failure), .. })] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!(failure.cause, FailureCause::Lost);
    assert!(stand.hears(31, ToMaster::Prepared).is_empty(), "too late");
}

#[test]
fn a_stop_before_the_begin_ends_the_run_at_once() {
    let mut stand = Stand::asked(None);
    assert_eq!(stand.stop(1), ["stop", "finish whole"]);
    assert!(stand.hears(2, ToMaster::Prepared).is_empty());
    let mut stand = Stand::asked(None);
    assert_eq!(stand.cut(1), ["cut", "finish whole"]);
}

#[test]
fn a_delta_is_acknowledged_each_time_and_merged_once() {
    let mut stand = Stand::running(None);
    assert_eq!(stand.hears_delta(2, delta(1, 0, 5)), ["ack 1"]);
    assert_eq!(stand.hears_delta(3, delta(1, 0, 5)), ["ack 1"]);
    assert_eq!(stand.hears_delta(3, delta(2, 1, 4)), ["ack 2"]);
    assert_eq!(stand.hears_delta(3, delta(1, 0, 5)), ["ack 1"]);
    assert_eq!(stand.snapshot(3).iterations.count, 9);
}

#[test]
fn a_delta_of_another_run_is_not_merged() {
    let mut stand = Stand::running(None);
    let foreign = Delta { run: RunId(8), ..last(1, 0) };
    assert_eq!(stand.hears_delta(2, foreign), ["ack 1"]);
    assert_eq!(stand.hears_delta(2, delta(1, 0, 3)), ["ack 1"]);
    assert_eq!(stand.snapshot(2).iterations.count, 3);
}

#[test]
fn a_delta_that_comes_late_belongs_to_the_seconds_in_which_it_was_counted() {
    let mut stand = Stand::running(None);
    let mut late = delta(1, 0, 5);
    late.tallies.push(delta(1, 1, 2).tallies.remove(0));
    stand.hears_delta(9, late);
    assert_eq!(stand.snapshot(9).iterations.count, 7);
    let users: Vec<u64> = stand.snapshot(9).history.iter().map(|point| point.users).take(2).collect();
    assert_eq!(users, [1, 1]);
}

#[test]
fn numbers_of_users_that_finish_still_count_and_the_last_delta_ends_the_run() {
    let mut stand = Stand::running(None);
    assert_eq!(stand.stop(2), ["stop"]);
    assert_eq!(stand.snapshot(2).state, RunState::Stopping);
    assert!(stand.stop(3).is_empty(), "said once");
    assert_eq!(stand.hears_delta(3, delta(1, 1, 5)), ["ack 1"]);
    assert_eq!(stand.hears_delta(4, Delta { tallies: delta(2, 2, 4).tallies, ..last(2, 2) }), ["ack 2", "finish whole"]);
    let snapshot = stand.snapshot(60);
    assert_eq!((snapshot.state, snapshot.iterations.count, snapshot.users), (RunState::Stopped, 9, 0));
    assert_eq!(snapshot.elapsed, Duration::from_secs(3), "the clock stands still once the run is over");
}

#[test]
fn a_cut_reaches_the_worker_also_while_users_finish() {
    let mut stand = Stand::running(None);
    assert_eq!(stand.cut(2), ["cut"]);
    assert_eq!(stand.cut(3), ["cut"]);
    let mut stand = Stand::running(None);
    assert_eq!((stand.stop(2), stand.cut(3)), (vec!["stop".to_owned()], vec!["cut".to_owned()]));
    assert_eq!(stand.hears_delta(4, last(1, 2)), ["ack 1", "finish whole"]);
    assert!(stand.cut(5).is_empty() && stand.stop(5).is_empty());
}

#[test]
fn the_planned_end_stops_the_worker_once() {
    let mut stand = Stand::running(Some(Duration::from_secs(5)));
    assert!(stand.tick(5).is_empty());
    assert_eq!(stand.tick(6), ["stop"]);
    assert!(stand.tick(7).is_empty());
}

#[test]
fn lanes_that_reach_the_planned_end_by_themselves_end_the_run() {
    let mut stand = Stand::running(Some(Duration::from_secs(5)));
    assert_eq!(stand.hears_delta(6, last(1, 4)), ["ack 1", "finish whole"]);
    assert!(stand.tick(7).is_empty());
}

#[test]
fn a_run_whose_users_are_all_gone_is_stopped() {
    let mut stand = Stand::running(None);
    assert_eq!(stand.hears_delta(2, Delta { is_exhausted: true, ..delta(1, 0, 1) }), ["ack 1", "stop"]);
}

#[test]
fn a_panic_stops_the_run_and_is_told_at_its_end() {
    let mut stand = Stand::running(None);
    assert_eq!(stand.hears_delta(2, Delta { panics: 2, ..delta(1, 0, 1) }), ["ack 1", "stop"]);
    let actions = stand.master.on_message(ToMaster::Delta(Arc::new(Delta { panics: 2, ..last(2, 1) })), stand.at(3));
    assert!(matches!(&actions[..], [_, Action::Finish(RunEnd { is_complete: true, failure: None, panics: 2 })]), "{actions:?}");
}

#[test]
fn misuse_cuts_the_run_and_ends_it_as_bad_use() {
    let mut stand = Stand::running(None);
    assert_eq!(stand.hears_delta(2, Delta { misuse: Some("no host".into()), ..delta(1, 0, 1) }), ["ack 1", "cut"]);
    let actions = stand.master.on_message(ToMaster::Delta(Arc::new(last(2, 1))), stand.at(3));
    let [_, Action::Finish(end)] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!(end.failure, Some(RunFailure::bad_use("no host")));
}

#[test]
fn a_worker_that_is_gone_leaves_the_run_incomplete_and_is_noticed_once() {
    let mut stand = Stand::running(None);
    stand.hears_delta(2, delta(1, 0, 5));
    let actions = stand.master.on_worker_gone(stand.at(3));
    let [Action::Finish(RunEnd { is_complete: false, failure: Some(failure), .. })] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!(failure.cause, FailureCause::Lost);
    assert_eq!(stand.snapshot(3).iterations.count, 5, "what it had sent stays");
    assert!(stand.master.on_worker_gone(stand.at(4)).is_empty());
}

#[test]
fn a_worker_that_owes_its_last_numbers_is_waited_for_past_the_stop_timeout_and_no_longer() {
    let mut stand = Stand::running(None);
    stand.stop(2);
    let patience = (Duration::from_secs(2) + LAST_DELTA_GRACE).as_secs();
    assert!(stand.tick(2 + patience).is_empty());
    let actions = stand.master.on_tick(stand.at(3 + patience));
    assert!(
        matches!(
            &actions[..],
            [Action::Finish(RunEnd { is_complete: false, failure: Some(RunFailure { cause: FailureCause::Lost, .. }), .. })]
        ),
        "{actions:?}"
    );
}

#[test]
fn a_snapshot_says_whether_users_are_still_starting() {
    let mut stand = Stand::running(None);
    assert_eq!(stand.snapshot(1).state, RunState::Spawning);
    stand.tick(3);
    assert_eq!(stand.snapshot(3).state, RunState::Running);
}

#[test]
fn vitals_are_those_of_the_last_ten_seconds_and_throttling_that_of_the_run() {
    let mut stand = Stand::running(None);
    for second in 1..=30 {
        let cpu = Duration::from_secs(if second <= 15 { 0 } else { (second - 15) / 2 });
        let throttled = Duration::from_secs(100) + Duration::from_millis(if second >= 20 { 300 } else { 0 });
        let vitals = Vitals { cpu, throttled, memory_bytes: second };
        stand.hears_delta(second + 1, Delta { vitals, ..delta(second, second - 1, 0) });
    }
    let health = stand.snapshot(31).health;
    assert_eq!((health.cpu_cores, health.throttled, health.memory_bytes), (0.5, Duration::from_millis(300), 30));
}
