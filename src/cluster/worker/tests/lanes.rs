//! Lanes that do not answer: what the others have counted goes on its way, and no end waits for one that a script holds.

use super::*;

/// Passes `time` in steps, in which the master is heard; all that was done.
fn live(bench: &mut Bench, time: Duration) -> Vec<Action> {
    let until = bench.now + time;
    let mut all = Vec::new();
    while bench.now < until {
        all.extend(bench.pass(millis(50).min(until - bench.now)));
        bench.hear(1);
    }
    all
}

fn deltas(actions: &[Action]) -> Vec<Arc<Delta>> {
    let delta = |action: &Action| if let Action::Send(_, ToMaster::Delta { delta, .. }) = action { Some(Arc::clone(delta)) } else { None };
    actions.iter().filter_map(delta).collect()
}

fn closes(actions: &[Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::CloseLanes))
}

#[test]
fn what_the_other_lanes_have_counted_goes_out_while_one_does_not_answer_and_its_own_follows() {
    let mut bench = Bench::running(2);
    assert!(deltas(&bench.report(report(0, 0, 3))).is_empty());
    let sent = deltas(&live(&mut bench, millis(1_600)));
    assert_eq!(sent.iter().map(|delta| counted(delta)).collect::<Vec<_>>(), [vec![(0, 3)]]);
    assert!(deltas(&bench.report(report(0, 1, 3))).is_empty());
    let sent = deltas(&bench.report(report(1, 0, 2)));
    assert_eq!(sent.iter().map(|delta| (counted(delta), delta.lanes_lost)).collect::<Vec<_>>(), [(vec![(0, 2), (1, 3)], 0)]);
}

#[test]
fn a_lane_that_does_not_end_by_the_stop_timeout_is_given_up_and_the_last_delta_says_so() {
    let mut bench = Bench::running(2);
    assert_eq!(names(&bench.orders(1, orders(2, Phase::Stop))), ["stop"]);
    bench.report(report(1, 0, 2));
    bench.report(report(1, 1, 2));
    bench.report(last(0, 1));
    let before = live(&mut bench, plan(7).settings.stop_timeout + millis(400));
    assert!(!closes(&before) && deltas(&before).iter().all(|delta| !delta.is_last), "{before:?}");
    let after = live(&mut bench, millis(300));
    let sent = deltas(&after);
    let lost = (1, Some(Duration::from_secs(2)));
    assert_eq!(
        sent.iter().map(|delta| (delta.is_last, (delta.lanes_lost, delta.lost_since), delta.users)).collect::<Vec<_>>(),
        [(true, lost, 0)]
    );
    assert!(closes(&after), "{after:?}");
    assert!(names(&bench.report(last(1, 1))).is_empty(), "what a lane says that was given up is said to nobody");
}

#[test]
fn a_lane_that_a_cut_does_not_end_is_given_up_within_half_a_second() {
    let mut bench = Bench::running(2);
    bench.orders(1, orders(2, Phase::Stop));
    live(&mut bench, millis(100));
    assert_eq!(names(&bench.orders(1, orders(3, Phase::Cut))), ["cut"]);
    bench.report(last(0, 1));
    let actions = live(&mut bench, millis(500));
    assert!(closes(&actions) && deltas(&actions).last().is_some_and(|delta| delta.is_last && delta.lanes_lost == 1), "{actions:?}");
}

#[test]
fn a_lane_that_does_not_come_to_the_planned_end_is_given_up_though_nobody_has_told_it() {
    let mut bench = Bench::linked(config(2));
    bench.prepare(7);
    let mut planned = orders(1, Phase::Run);
    planned.orders.profile = Arc::new(LoadProfile::plain(1, 1.0, Some(Duration::from_secs(3))));
    bench.orders(1, planned);
    bench.report(last(0, 3));
    let due = Duration::from_secs(3) + plan(7).settings.stop_timeout + millis(500);
    let left = due - bench.now;
    let before = live(&mut bench, left - millis(60));
    assert!(!closes(&before), "{before:?}");
    let after = live(&mut bench, millis(200));
    assert!(closes(&after) && deltas(&after).last().is_some_and(|delta| delta.is_last && delta.lanes_lost == 1), "{after:?}");
}

#[test]
fn a_process_that_stood_still_across_the_planned_end_gives_its_lanes_their_time_to_finish() {
    let mut bench = Bench::linked(config(2));
    bench.prepare(7);
    let mut planned = orders(1, Phase::Run);
    planned.orders.profile = Arc::new(LoadProfile::plain(1, 1.0, Some(Duration::from_secs(3))));
    bench.orders(1, planned);
    bench.now += Duration::from_secs(60);
    let before = live(&mut bench, plan(7).settings.stop_timeout + millis(400));
    assert!(!closes(&before) && deltas(&before).iter().all(|delta| delta.lanes_lost == 0), "{before:?}");
    bench.report(last(0, 3));
    let sent = deltas(&bench.report(last(1, 2)));
    assert_eq!(sent.iter().map(|delta| (delta.is_last, delta.lanes_lost)).collect::<Vec<_>>(), [(true, 0)]);
}

#[test]
fn a_run_that_nobody_wants_is_left_with_the_lane_that_does_not_end_and_the_next_one_opens() {
    let mut bench = Bench::running(2);
    bench.message(1, ToWorker::Abandon(RUN));
    assert!(names(&bench.message(1, ToWorker::Prepare(plan(8)))).is_empty());
    bench.report(last(0, 1));
    let actions = live(&mut bench, millis(600));
    assert!(closes(&actions) && names(&actions).contains(&"open 8".to_owned()), "{actions:?}");
}
