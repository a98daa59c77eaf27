//! Thresholds that look at windows, through a restart of the master.

use std::time::SystemTime;

use super::endings::next_of;
use super::*;
use crate::plan::ThresholdPlan;
use crate::stats::threshold::Threshold;
use crate::stats::windows::windows_of;

#[test]
fn a_window_that_was_broken_before_the_master_was_restarted_stays_broken() {
    let thresholds = ["count < 8 over 2s", "count < 800 over 2s"]
        .map(|condition| Threshold::parse(&ThresholdPlan { metric: "http_reqs".into(), condition: condition.into() }, &[]).unwrap());
    let mut stand = Stand::running(1, 10);
    let run = stand.master.run.as_mut().unwrap();
    run.thresholds = thresholds.to_vec();
    run.windows = windows_of(&run.thresholds, 0);
    stand.master.config.has_journal = true;
    let plan = Arc::clone(&stand.master.run.as_ref().unwrap().plan);
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
    run.thresholds = thresholds.to_vec();
    run.zero = Some(next.now);
    run.begin_windows_anew(next.now);
    run.windows.values_mut().for_each(|windows| windows.judge(Duration::from_secs(60), true));
    let views: Vec<_> = run.windows.values().map(|windows| windows.view()).collect();
    assert_eq!((views[0].passed, views[1].passed), (false, true), "{views:?}");
    assert!(views[0].actual.starts_with("9 from 0:00 to 0:02 ("), "{views:?}");
}
