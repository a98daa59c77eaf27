//! Iterations that are given out by their number: what people are shown of them when workers, statistics and masters have gone.

use std::ops::Range;

use super::*;
use crate::load::stock::{Ask, Given, iterations_of};
use crate::plan::{IterationsProfile, ProfileEnd, Quota};
use crate::stats::snapshot::QuotaView;

const TOTAL: u64 = 1_000;

fn with_journal() -> MasterConfig {
    MasterConfig { has_journal: true, ..config() }
}

fn iterations() -> LoadProfile {
    LoadProfile::Iterations(IterationsProfile { users: 10, quota: Quota::Total(TOTAL), start: Duration::ZERO, end: ProfileEnd::Hold })
}

/// What a worker brings that makes load for them.
fn brought(elapsed: u64) -> RunStanding {
    let mut brought = standing(&SlotSet::all(), Duration::from_secs(elapsed), 0);
    brought.plan = Arc::new(Plan::for_tests(iterations()));
    brought.orders.iter_mut().for_each(|followed| followed.profile = Arc::new(iterations()));
    brought
}

/// Workers 1 to `count` make load for them.
fn running(count: u64) -> Stand {
    let mut stand = Stand::with(with_journal());
    (1..=count).for_each(|worker| stand.hello(worker, None));
    let plan = Arc::new(Plan { fingerprint: "abc".into(), ..Plan::for_tests(iterations()) });
    let actions = stand.master.on_start(RunStart { plan, thresholds: Vec::new(), wall: SystemTime::UNIX_EPOCH }, stand.now).unwrap();
    stand.actions.extend(actions);
    (1..=count).for_each(|worker| stand.message(worker, ToMaster::Prepared { run: RunId(7), revision: 0 }));
    stand
}

/// What a worker is answered that asks for iterations, once the journal has it.
fn given(stand: &mut Stand, worker: u64, number: u64, wanted: u64) -> Option<Given> {
    let before = stand.actions.len();
    let ask = Ask { source: iterations_of(0), number, wanted, limit: Some(TOTAL) };
    stand.message(worker, ToMaster::Ask { run: RunId(7), ask });
    let kept: Vec<u64> = stand.actions[before..]
        .iter()
        .filter_map(|action| if let Action::Keep(number, _) = action { Some(*number) } else { None })
        .collect();
    let late: Vec<Action> = kept.into_iter().flat_map(|record| stand.master.on_kept(record)).collect();
    let grant = |action: &Action| {
        if let Action::Send(_, ToWorker::Grant { grant, .. }) = action { Some(grant.given.clone()) } else { None }
    };
    stand.actions[before..].iter().chain(&late).find_map(grant)
}

/// Asks for iterations for the first time; how many there were.
fn take(stand: &mut Stand, worker: u64, wanted: u64) -> u64 {
    if let Some(Given::Rows(rows)) = given(stand, worker, 1, wanted) { rows.end - rows.start } else { 0 }
}

fn quota(stand: &Stand) -> QuotaView {
    stand.master.snapshot(stand.now).quota.unwrap()
}

#[test]
fn iterations_in_the_hands_of_a_worker_that_was_lost_before_a_reset_are_lost_for_the_next_master_as_well() {
    // Seeds 41000455 and 41001196: the journal kept nothing of whom it had lost before the reset, and they counted as begun.
    let mut before = running(3);
    let given = [1, 2, 3].map(|worker| take(&mut before, worker, 8));
    assert_eq!(given, [8, 8, 8]);
    let begun = |begun| Delta { begun: IterationsBegun(vec![begun]), ..delta(1, 5) };
    for (worker, count) in [(1, 5), (2, 3), (3, 8)] {
        before.message(worker, ToMaster::Delta { sent: Duration::ZERO, delta: Arc::new(begun(count)) });
    }
    before.message(3, ToMaster::Goodbye);
    before.live(Duration::from_secs(5), &[1]);
    let actions = before.master.on_reset(before.now);
    before.actions.extend(actions);
    before.live(Duration::from_secs(1), &[1]);
    assert_eq!(quota(&before), QuotaView { total: TOTAL, begun: 16, lost: 5 });
    let mut stand = endings::next_of(&mut before);
    let mut here = brought(30);
    here.epoch = 1;
    stand.hello(1, Some(here));
    let delta = Delta { epoch: 1, ..begun(5) };
    stand.message(1, ToMaster::Delta { sent: Duration::ZERO, delta: Arc::new(delta) });
    stand.live(Duration::from_secs(6), &[1]);
    assert_eq!(quota(&stand), QuotaView { total: TOTAL, begun: 16, lost: 5 });
    let snapshot = stand.master.snapshot(stand.now);
    assert_eq!((snapshot.holes, snapshot.total.requests), (vec![], 5), "what was counted before the reset is void");
}

#[test]
fn that_nobody_knows_which_iterations_were_given_out_is_told_after_a_reset_and_by_the_next_master_too() {
    // Seed 41000187: the statistics began anew, and with them went what people must know of the run.
    let is_told = |stand: &Stand| stand.master.snapshot(stand.now).warnings.iter().any(|warning| warning.contains("known to nobody"));
    let mut stand = Stand::with(with_journal());
    stand.hello(1, Some(brought(30)));
    stand.live(Duration::from_secs(6), &[1]);
    assert!(is_told(&stand));
    let actions = stand.master.on_reset(stand.now);
    stand.actions.extend(actions);
    assert!(is_told(&stand));
    let mut next = endings::next_of(&mut stand);
    next.hello(1, Some(RunStanding { epoch: 1, ..brought(40) }));
    next.live(Duration::from_secs(6), &[1]);
    assert!(is_told(&next));
}

#[test]
fn what_the_journal_has_kept_when_the_next_run_has_been_asked_for_is_given_to_nobody() {
    // Of seeds 42017200 to 42018799 one ended here: the master looked for a worker that it had forgotten.
    let mut stand = running(2);
    stand.actions.clear();
    let ask = Ask { source: iterations_of(0), number: 1, wanted: 8, limit: Some(TOTAL) };
    stand.message(2, ToMaster::Ask { run: RunId(7), ask });
    let record = stand.actions.iter().find_map(|action| if let Action::Keep(number, _) = action { Some(*number) } else { None }).unwrap();
    stand.master.on_link_gone(LinkId(2), stand.now);
    stand.live(Duration::from_secs(5), &[1]);
    let actions = stand.master.on_stop(stand.now);
    stand.actions.extend(actions);
    stand.last_delta(1, 1);
    stand.live(Duration::from_secs(30), &[1]);
    assert!(stand.end().is_some());
    stand.start(1);
    assert!(stand.master.on_kept(record).is_empty());
}

/// What a worker is given, or has brought back, by the journal.
fn leases(stand: &Stand) -> Vec<(u128, Range<u64>, bool)> {
    let kept =
        stand.actions.iter().filter_map(|action| if let Action::Keep(_, Record::Lease(lease)) = action { Some(lease) } else { None });
    kept.map(|lease| (lease.worker.incarnation, lease.rows.clone(), lease.is_return)).collect()
}

#[test]
fn iterations_that_a_worker_asked_for_as_it_said_goodbye_are_the_next_ones() {
    // Seed 42015078: they were given to it, begun by nobody, and not shown as lost.
    let mut stand = running(2);
    assert_eq!([1, 2].map(|worker| take(&mut stand, worker, 8)), [8, 8]);
    stand.actions.clear();
    let ask = |number| ToMaster::Ask { run: RunId(7), ask: Ask { source: iterations_of(0), number, wanted: 8, limit: Some(TOTAL) } };
    // The answer to its second question is on its way when it goes.
    stand.message(2, ask(2));
    let told = Delta { begun: IterationsBegun(vec![8]), is_last: true, ..delta(1, 8) };
    stand.message(2, ToMaster::Delta { sent: Duration::ZERO, delta: Arc::new(told) });
    stand.message(2, ToMaster::Goodbye);
    stand.message(2, ask(3));
    stand.message(1, ask(2));
    assert_eq!(leases(&stand), [(2, 16..24, false), (2, 16..24, true), (1, 16..24, false)], "what comes after a goodbye is not answered");
    let view = quota(&stand);
    assert_eq!((view.begun, view.lost), (8, 0));
}

#[test]
fn who_waits_for_iterations_hears_that_there_are_none_when_the_others_have_begun_all_that_they_were_given() {
    // Users that have each done their part ask no more, and those that had moved from them to another worker waited for ever.
    let mut stand = running(2);
    let (mut taken, mut number) = (0, 0);
    while taken < TOTAL {
        number += 1;
        let Some(Given::Rows(rows)) = given(&mut stand, 1, number, TOTAL) else { panic!("some are left after {taken}") };
        taken += rows.end - rows.start;
    }
    assert_eq!(given(&mut stand, 2, 1, 8), Some(Given::Later));
    for (sequence, begun, answer) in [(1, TOTAL - 1, Given::Later), (2, TOTAL, Given::Over)] {
        let told = Delta { begun: IterationsBegun(vec![begun]), ..delta(sequence, 5) };
        stand.message(1, ToMaster::Delta { sent: Duration::ZERO, delta: Arc::new(told) });
        assert_eq!(given(&mut stand, 2, 1, 8), Some(answer), "{begun} have begun");
    }
}

#[test]
fn of_iterations_that_a_worker_was_given_in_whose_lanes_something_went_wrong_none_is_given_out_again() {
    for broken in [Delta { panics: 1, ..delta(1, 5) }, Delta { lanes_lost: 1, ..delta(1, 5) }] {
        let mut stand = running(2);
        assert_eq!(take(&mut stand, 2, 8), 8);
        stand.actions.clear();
        let told = Delta { begun: IterationsBegun(vec![5]), is_last: true, ..broken };
        stand.message(2, ToMaster::Delta { sent: Duration::ZERO, delta: Arc::new(told) });
        stand.message(2, ToMaster::Goodbye);
        assert_eq!(leases(&stand), [], "it may have begun more than it could say");
    }
}

#[test]
fn a_journal_that_ends_with_a_run_that_a_worker_has_brought_does_not_say_that_nothing_was_given_out() {
    // Seed 44013423: the master died before it had written so, and the next one gave rows out that had been taken.
    let mut before = Stand::with(with_journal());
    before.hello(1, Some(brought(30)));
    let is_word = |action: &Action| matches!(action, Action::Keep(_, Record::Forgotten));
    let cut_off = before.actions.iter().position(is_word).unwrap();
    before.actions.truncate(cut_off);
    let mut next = endings::next_of(&mut before);
    next.hello(1, Some(brought(35)));
    next.live(Duration::from_secs(6), &[1]);
    assert_eq!(take(&mut next, 1, 8), 0);
    assert!(next.master.snapshot(next.now).warnings.iter().any(|warning| warning.contains("known to nobody")));
    // Where somebody has begun, the journal is that of the run's own master.
    let mut begun = running(1);
    begun.live(Duration::from_secs(1), &[1]);
    let mut next = endings::next_of(&mut begun);
    next.hello(1, Some(brought(35)));
    next.live(Duration::from_secs(6), &[1]);
    assert_eq!(take(&mut next, 1, 8), 8);
}
