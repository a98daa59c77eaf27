//! Setup and teardown, as a master sees to them.

use std::time::SystemTime;

use super::*;
use crate::load::act::Acted;
use crate::plan::{Act, LifePlan};

/// Workers 1 to `count` are prepared for a run with both.
fn asked(count: u64) -> Stand {
    let mut stand = Stand::new();
    (1..=count).for_each(|worker| stand.hello(worker, None));
    let life = LifePlan { setup: Some(Duration::from_secs(60)), teardown: Some(Duration::from_secs(20)), data: None };
    let plan = Plan { fingerprint: "abc".into(), life, ..Plan::for_tests(LoadProfile::plain(10, 10.0, None)) };
    let start = RunStart { plan: Arc::new(plan), thresholds: Vec::new(), wall: SystemTime::UNIX_EPOCH };
    stand.actions = stand.master.on_start(start, stand.now).unwrap();
    (1..=count).for_each(|worker| stand.message(worker, ToMaster::Prepared { run: RunId(7), revision: 0 }));
    stand.pass(Duration::from_millis(50));
    stand
}

/// Who was asked for which act since the last look.
fn acts(stand: &mut Stand) -> Vec<(u64, Act)> {
    let acts = |(link, message)| if let ToWorker::Act { act, .. } = message { Some((link, act)) } else { None };
    stand.sent().into_iter().filter_map(acts).collect()
}

fn done(stand: &mut Stand, worker: u64, act: Act, result: Result<&str, &str>) {
    let acted = Acted { result: result.map(str::to_owned).map_err(str::to_owned), took: Duration::from_secs(1), tally: tally(0, 3) };
    stand.message(worker, ToMaster::Acted { run: RunId(7), act, acted: Arc::new(acted) });
}

/// The run is under way on both workers.
fn under_way() -> Stand {
    let mut stand = asked(2);
    done(&mut stand, 1, Act::Setup, Ok("[1]"));
    stand.live(Duration::from_secs(2), &[1, 2]);
    stand.actions.clear();
    stand
}

#[test]
fn one_worker_sets_the_run_up_before_anybody_begins_and_all_have_what_it_returned() {
    let mut stand = asked(2);
    assert_eq!(acts(&mut stand), [(1, Act::Setup)]);
    stand.live(Duration::from_secs(20), &[1, 2]);
    assert_eq!((stand.state(), stand.orders().len()), (RunState::Waiting, 0));
    done(&mut stand, 1, Act::Setup, Ok("[1]"));
    let sent = stand.sent();
    for worker in [1, 2] {
        let own: Vec<_> = sent.iter().filter(|(link, _)| *link == worker).map(|(_, message)| message).collect();
        assert!(matches!(own[..], [ToWorker::Data { data, .. }, ToWorker::Orders(_)] if data == "[1]"), "{own:?}");
    }
    stand.hello(3, None);
    let joined = stand.sent().into_iter().find_map(|(_, message)| if let ToWorker::Prepare(plan) = message { Some(plan) } else { None });
    assert_eq!(joined.unwrap().life.data.as_deref(), Some("[1]"));
    let snapshot = stand.master.snapshot(stand.now);
    assert_eq!((snapshot.total.requests, snapshot.acts[0].entries[0].requests, snapshot.acts[0].act), (0, 3, "setup"));
}

#[test]
fn where_the_worker_is_lost_in_its_setup_another_one_does_it_and_that_one_alone_counts() {
    let mut stand = asked(2);
    stand.live(Duration::from_secs(5), &[2]);
    assert_eq!(acts(&mut stand), [(1, Act::Setup), (2, Act::Setup)]);
    done(&mut stand, 1, Act::Setup, Ok("[late]"));
    assert_eq!(stand.state(), RunState::Waiting, "it is not the one's that was asked last");
    done(&mut stand, 2, Act::Setup, Ok("[2]"));
    assert_eq!(stand.state(), RunState::Waiting, "the first one is back, and prepares anew");
    stand.message(1, ToMaster::Prepared { run: RunId(7), revision: 0 });
    assert_ne!(stand.state(), RunState::Waiting);
    assert_eq!(stand.master.run.as_ref().unwrap().plan().life.data.as_deref(), Some("[2]"));
}

#[test]
fn a_setup_that_fails_ends_the_run_before_it_began() {
    let mut stand = asked(2);
    done(&mut stand, 1, Act::Setup, Err("setup: a.lua:3: no"));
    let end = stand.end().unwrap();
    assert_eq!(end.failure, Some(RunFailure { cause: FailureCause::BadUse, text: "setup: a.lua:3: no".into() }));
}

/// A run of two workers that somebody stops while worker 1 sets it up.
fn stopped_in_setup() -> Stand {
    let mut stand = asked(2);
    stand.actions = stand.master.on_stop(stand.now);
    assert!(!stand.actions.iter().any(|action| matches!(action, Action::Finish(_))));
    let told = |(link, message)| if let ToWorker::Abandon(_) = message { Some(link) } else { None };
    assert_eq!(stand.sent().into_iter().filter_map(told).collect::<Vec<_>>(), [1]);
    stand
}

#[test]
fn a_stop_cuts_a_setup_short_and_its_requests_are_shown() {
    for result in [Err("setup: it was cut short"), Ok("[1]")] {
        let mut stand = stopped_in_setup();
        stand.hello(3, None);
        assert!(!stand.sent().iter().any(|(_, message)| matches!(message, ToWorker::Prepare(_))), "nobody joins it any more");
        done(&mut stand, 1, Act::Setup, result);
        assert_eq!(stand.end().unwrap().failure, None, "{result:?}");
        let snapshot = stand.master.snapshot(stand.now);
        assert_eq!((snapshot.total.requests, snapshot.acts[0].entries[0].requests), (0, 3), "{result:?}");
        assert_eq!(snapshot.acts[0].error.as_deref(), result.err());
        assert_eq!(snapshot.acts[0].is_cut_short(), result.is_err());
    }
}

#[test]
fn a_stop_waits_for_a_setup_for_a_moment_only_and_a_second_stop_not_at_all() {
    let mut stand = stopped_in_setup();
    stand.pass(Duration::from_millis(1_950));
    assert_eq!(stand.end(), None);
    stand.pass(Duration::from_millis(50));
    assert_eq!(stand.end().unwrap().failure, None);
    for again in [Master::on_stop, Master::on_cut] {
        let mut stand = stopped_in_setup();
        stand.actions = again(&mut stand.master, stand.now);
        assert_eq!(stand.end().unwrap().failure, None);
    }
}

#[test]
fn a_worker_that_never_tells_of_its_setup_ends_the_wait() {
    let mut stand = asked(1);
    stand.live(Duration::from_secs(69), &[1]);
    assert_eq!(stand.end(), None);
    stand.live(Duration::from_secs(2), &[1]);
    assert!(stand.end().unwrap().failure.unwrap().text.contains("has not told of its end within 70 s"));
}

#[test]
fn after_the_last_user_one_worker_tears_down_and_the_runs_clock_stands_still() {
    let mut stand = under_way();
    stand.actions = stand.master.on_stop(stand.now);
    stand.last_delta(1, 1);
    stand.last_delta(2, 1);
    let elapsed = stand.master.snapshot(stand.now).elapsed;
    stand.live(Duration::from_secs(9), &[1, 2]);
    assert_eq!((acts(&mut stand), stand.end()), (vec![(1, Act::Teardown)], None));
    done(&mut stand, 1, Act::Teardown, Err("teardown: a.lua:9: no"));
    stand.pass(Duration::from_millis(50));
    let told: Vec<_> = stand
        .actions
        .iter()
        .filter_map(|action| if let Action::Send(link, ToWorker::Abandon(_)) = action { Some(link.0) } else { None })
        .collect();
    assert_eq!(told, [1, 2], "who waits for one run alone may go");
    assert_eq!(stand.end(), Some(RunEnd { is_complete: true, failure: None, panics: 0 }));
    let snapshot = stand.master.snapshot(stand.now);
    assert_eq!((snapshot.elapsed, &*snapshot.warnings), (elapsed, &["teardown: a.lua:9: no".to_owned()][..]));
    assert_eq!(snapshot.acts.iter().map(|act| (act.act, act.error.is_some())).collect::<Vec<_>>(), [("setup", false), ("teardown", true)]);
}

#[test]
fn a_run_that_is_cut_leaves_its_teardown_out_and_says_so() {
    let mut stand = under_way();
    stand.actions = stand.master.on_stop(stand.now);
    stand.last_delta(1, 1);
    stand.last_delta(2, 1);
    stand.live(Duration::from_secs(1), &[1, 2]);
    let actions = stand.master.on_cut(stand.now);
    stand.actions.extend(actions);
    assert!(stand.end().is_some());
    assert!(stand.master.snapshot(stand.now).warnings[0].contains("was cut before its teardown"));
}

#[test]
fn a_worker_that_was_prepared_when_its_master_died_has_what_the_setup_returned_before_it_begins() {
    // Seed 41000521: the word of it had been on its way.
    let life = LifePlan { setup: Some(Duration::from_secs(60)), teardown: None, data: None };
    let brought = |data: Option<&str>, orders: bool| {
        let mut standing = standing(&SlotSet::all(), Duration::from_secs(41), 0);
        let life = LifePlan { data: data.map(str::to_owned), ..life.clone() };
        standing.plan = Arc::new(Plan { life, ..Plan::clone(&standing.plan) });
        standing.orders = standing.orders.filter(|_| orders);
        standing
    };
    let mut stand = Stand::new();
    stand.hello(1, Some(brought(Some("[1]"), true)));
    stand.hello(2, Some(brought(None, false)));
    stand.message(2, ToMaster::Prepared { run: RunId(7), revision: 0 });
    stand.sent();
    stand.live(Duration::from_secs(5), &[1, 2]);
    let own: Vec<ToWorker> = stand.sent().into_iter().filter(|(link, _)| *link == 2).map(|(_, message)| message).collect();
    let place = |is_it: fn(&ToWorker) -> bool| own.iter().position(is_it);
    let data = place(|message| matches!(message, ToWorker::Data { data, .. } if data == "[1]"));
    assert!(data.is_some() && data < place(|message| matches!(message, ToWorker::Orders(_))), "{own:?}");
}
