//! Thresholds that look at windows, through a restart of the master.

use std::time::SystemTime;

use super::endings::next_of;
use super::*;
use crate::cluster::message::WindowParts;
use crate::plan::ThresholdPlan;
use crate::stats::threshold::Threshold;

#[test]
fn windows_that_reach_across_the_death_of_the_master_are_judged_by_the_next_one() {
    let thresholds = ["count < 8 over 2s", "count < 800 over 2s"]
        .map(|condition| Threshold::parse(&ThresholdPlan { metric: "http_reqs".into(), condition: condition.into() }, &[]).unwrap());
    let mut stand = Stand::running(1, 10);
    let run = stand.master.run.as_mut().unwrap();
    run.judge_by(thresholds.to_vec());
    stand.master.config.has_journal = true;
    let plan = Arc::clone(stand.master.run.as_ref().unwrap().plan());
    stand.actions = vec![Action::Keep(1, Record::Run { plan: Arc::clone(&plan), wall: SystemTime::UNIX_EPOCH })];
    for (sequence, requests) in [(1, 3), (2, 6), (3, 3), (4, 1), (5, 1)] {
        stand.live(Duration::from_secs(1), &[1]);
        let said = Delta { tallies: vec![tally(sequence - 1, requests)], ..delta(sequence, 0) };
        stand.message(1, ToMaster::Delta { sent: Duration::ZERO, delta: Arc::new(said) });
    }
    stand.live(Duration::from_secs(1), &[1]);
    let before = stand.master.snapshot(stand.now).thresholds;
    assert_eq!((before[0].passed, before[1].passed), (false, true), "{before:?}");
    let kept = stand.actions.iter().filter(|action| matches!(action, Action::Keep(_, Record::Windows(_)))).count();
    assert!((1..=3).contains(&kept), "it is written down when it becomes worse, {kept} times");

    let mut next = next_of(&mut stand);
    let run = next.master.run.as_mut().unwrap();
    run.judge_by(thresholds.to_vec());
    // Seed 2026113001793: nobody may ever bring it.
    let known = next.master.snapshot(next.now).thresholds;
    assert!(!known[0].passed && known[0].actual.starts_with("9 from 0:00 to 0:02 ("), "{known:?}");
    next.hello(1, Some(standing(&SlotSet::all(), Duration::from_secs(7), 5)));
    assert!(next.sent().iter().any(|(_, message)| matches!(message, ToWorker::Welcome(welcome) if welcome.wants_windows)));
    // The first master's deltas, and one that never came to it.
    let parts =
        |place, tallies, is_last| ToMaster::WindowParts(WindowParts { run: RunId(7), epoch: 0, sequence: 6, place, tallies, is_last });
    let seconds: Vec<_> = (0..).zip([3, 6, 3, 1, 1, 900]).map(|(second, requests)| tally(second, requests)).collect();
    next.message(1, parts(0, seconds.clone(), false));
    next.message(1, parts(1, seconds[..3].to_vec(), false));
    next.message(1, parts(1, seconds[3..].to_vec(), true));
    next.message(1, parts(1, seconds, true));
    // It comes again by itself, and counts once.
    next.message(1, ToMaster::TotalPart { run: RunId(7), number: 0, tally: Box::new(tally(5, 914)) });
    next.message(1, ToMaster::TotalEnd { run: RunId(7), epoch: 0, parts: 1, sequence: 5 });
    let said = Delta { tallies: vec![tally(5, 900)], ..delta(6, 0) };
    next.message(1, ToMaster::Delta { sent: Duration::ZERO, delta: Arc::new(said) });
    next.live(Duration::from_secs(6), &[1]);
    let after = next.master.snapshot(next.now);
    assert!(after.warnings.is_empty(), "all is known: {:?}", after.warnings);
    let views: Vec<_> = after.thresholds.iter().map(|threshold| (threshold.passed, threshold.actual.as_str())).collect();
    assert!(views.iter().all(|(passed, actual)| !passed && actual.starts_with("901 from 0:04 to 0:06 (")), "{views:?}");
}

#[test]
fn of_seconds_that_nobody_has_people_are_told() {
    let thresholds = [Threshold::parse(&ThresholdPlan { metric: "http_reqs".into(), condition: "count < 8 over 2s".into() }, &[]).unwrap()];
    let mut stand = Stand::new();
    stand.hello(1, Some(standing(&SlotSet::all(), Duration::from_secs(7), 5)));
    let run = stand.master.run.as_mut().unwrap();
    run.judge_by(thresholds.to_vec());
    stand.live(Duration::from_secs(6), &[1]);
    let warnings = stand.master.snapshot(stand.now).warnings;
    assert!(warnings.iter().any(|warning| warning.contains("lack what workers counted that are gone")), "{warnings:?}");
}

#[test]
fn of_a_run_that_was_reset_the_next_master_judges_no_window_that_began_before_and_forgets_nothing_that_is_dated_so() {
    // Seed 2026120107415: the worker's clock was behind, and the two masters said different numbers.
    let thresholds = ["count > 5 over 2s", "count > 0 after 1s"]
        .map(|condition| Threshold::parse(&ThresholdPlan { metric: "http_reqs".into(), condition: condition.into() }, &[]).unwrap());
    let mut stand = Stand::running(1, 10);
    stand.master.run.as_mut().unwrap().judge_by(thresholds.to_vec());
    stand.master.config.has_journal = true;
    let plan = Arc::clone(stand.master.run.as_ref().unwrap().plan());
    stand.actions = vec![Action::Keep(1, Record::Run { plan: Arc::clone(&plan), wall: SystemTime::UNIX_EPOCH })];
    stand.live(Duration::from_secs(5), &[1]);
    let actions = stand.master.on_reset(stand.now);
    stand.actions.extend(actions);
    let since = stand.master.snapshot(stand.now).counted_since.unwrap().as_secs();
    let seconds: Vec<_> = (since - 1..since + 4).zip([3, 3, 3, 3, 9]).map(|(second, requests)| tally(second, requests)).collect();
    let said = Delta { epoch: 1, tallies: seconds.clone(), ..delta(1, 0) };
    stand.message(1, ToMaster::Delta { sent: Duration::ZERO, delta: Arc::new(said) });
    stand.live(Duration::from_secs(6), &[1]);

    let mut next = next_of(&mut stand);
    next.master.run.as_mut().unwrap().judge_by(thresholds.to_vec());
    next.hello(1, Some(RunStanding { epoch: 1, ..standing(&SlotSet::all(), Duration::from_secs(since + 6), 1) }));
    let parts =
        |place, tallies, is_last| ToMaster::WindowParts(WindowParts { run: RunId(7), epoch: 1, sequence: 1, place, tallies, is_last });
    next.message(1, parts(0, seconds, false));
    next.message(1, parts(1, vec![tally(since + 3, 21)], true));
    next.live(Duration::from_secs(6), &[1]);
    for stand in [stand, next] {
        let views = stand.master.snapshot(stand.now).thresholds;
        let [short, later] = &views[..] else { panic!("two: {views:?}") };
        let from = format!("6 from 0:{since:02} to 0:{:02} (", since + 2);
        assert!(short.passed && short.actual.starts_with(&from), "{short:?}");
        assert_eq!(later.actual, format!("21 after 0:{since:02}"));
    }
}
