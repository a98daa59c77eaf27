//! A run that warms up: which of its numbers count, whatever becomes of workers and masters.

use std::time::SystemTime;

use super::*;
use crate::plan::{RunSettings, ThresholdPlan};
use crate::stats::threshold::Threshold;

/// Worker 1 runs a plan that warms up for three seconds.
fn warming(config: MasterConfig, thresholds: &[&str]) -> Stand {
    let mut stand = Stand::with(config);
    stand.hello(1, None);
    let plain = Plan::for_tests(LoadProfile::plain(10, 10.0, None));
    let settings = RunSettings { warmup: Some(Duration::from_secs(3)), ..plain.settings.clone() };
    let parsed = |condition: &&str| {
        let plan = ThresholdPlan { metric: "http_reqs".into(), condition: (*condition).into() };
        Threshold::parse(&plan, &[]).unwrap()
    };
    let thresholds = thresholds.iter().map(parsed).collect();
    let plan = Plan { fingerprint: "abc".into(), settings, ..plain };
    let start = RunStart { plan: Arc::new(plan), thresholds, wall: SystemTime::UNIX_EPOCH };
    stand.actions = stand.master.on_start(start, stand.now).unwrap();
    stand.message(1, ToMaster::Prepared { run: RunId(7), revision: 0 });
    stand
}

fn say(stand: &mut Stand, second: u64, requests: u64) {
    stand.live(Duration::from_secs(1), &[1]);
    let delta = Delta { tallies: vec![tally(second, requests)], ..delta(second + 1, 0) };
    stand.message(1, ToMaster::Delta { sent: Duration::ZERO, delta: Arc::new(delta) });
}

/// Requests of the warm-up, and those that count.
fn requests(stand: &Stand) -> (Option<u64>, u64) {
    let snapshot = stand.master.snapshot(stand.now);
    (snapshot.warmup.as_ref().map(|warmup| warmup.numbers.total.requests), snapshot.total.requests)
}

#[test]
fn what_the_warm_up_brings_is_shown_apart_and_moves_no_threshold() {
    let mut stand = warming(config(), &["count < 8 over 1s abort", "count < 12"]);
    (0..3).for_each(|second| say(&mut stand, second, 100));
    (3..5).for_each(|second| say(&mut stand, second, 5));
    assert_eq!((requests(&stand), stand.state()), ((Some(300), 10), RunState::Running));
    let thresholds = stand.master.snapshot(stand.now).thresholds;
    assert!(thresholds.iter().all(|threshold| threshold.passed), "{thresholds:?}");
    say(&mut stand, 5, 9);
    stand.live(Duration::from_secs(2), &[1]);
    assert_eq!((requests(&stand), stand.state()), ((Some(300), 19), RunState::Stopping));
}

#[test]
fn a_total_that_comes_for_deltas_leaves_both_tables_as_they_were() {
    let mut stand = warming(MasterConfig { has_journal: true, ..config() }, &[]);
    for second in 0..5 {
        say(&mut stand, second, 10 + second);
    }
    assert_eq!(requests(&stand), (Some(33), 27));
    for (number, second, requests) in [(0, 2, 33), (1, 5, 40)] {
        stand.message(1, ToMaster::TotalPart { run: RunId(7), number, tally: Box::new(tally(second, requests)) });
    }
    stand.message(1, ToMaster::TotalEnd { run: RunId(7), epoch: 0, parts: 2, sequence: 6 });
    assert_eq!(requests(&stand), (Some(33), 40));
}

#[test]
fn a_worker_that_leaves_is_kept_with_its_warm_up_apart_and_the_next_master_has_it_so() {
    let mut stand = warming(MasterConfig { has_journal: true, ..config() }, &[]);
    for second in 0..5 {
        say(&mut stand, second, 10 + second);
    }
    stand.actions.clear();
    stand.live(Duration::from_secs(5), &[]);
    let kept = stand.actions.iter().find_map(|action| match action {
        Action::Keep(_, Record::Worker(kept)) => Some((**kept).clone()),
        _ => None,
    });
    let kept = kept.unwrap();
    assert_eq!(kept.tallies.iter().map(|tally| tally.second).collect::<Vec<_>>(), [2, 4]);
    let run = stand.master.run.as_ref().unwrap();
    let records = run.records().into_iter().chain([Record::Worker(Box::new(kept))]);
    let restored = Master::restored(config(), KeptRun::from_records(records).unwrap(), stand.now);
    let stand = Stand { master: restored, now: stand.now, actions: Vec::new() };
    let snapshot = stand.master.run.as_ref().unwrap().table().snapshot(crate::stats::table::SnapshotContext {
        elapsed: Duration::from_secs(9),
        ..crate::stats::table::SnapshotContext::default()
    });
    assert_eq!((snapshot.warmup.as_ref().unwrap().numbers.total.requests, snapshot.total.requests), (33, 27));
}
