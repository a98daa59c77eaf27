//! What is shown to be missing of a run whose end did without somebody, and what is shown to have run twice where nobody did.

use super::*;
use crate::load::slots::{SLOTS, SlotSet};

#[test]
fn a_run_that_ends_without_a_workers_last_numbers_has_a_hole_of_it_until_they_come() {
    let mut stand = Stand::running(2, 10);
    stand.live(Duration::from_secs(3), &[1, 2]);
    stand.delta(2, 1, 3);
    stand.master.on_stop(stand.now);
    stand.last_delta(1, 1);
    stand.live(Duration::from_secs(8), &[1, 2]);
    let end = stand.end().expect("it is waited for no longer");
    assert!(!end.is_complete && end.failure.is_some(), "{end:?}");
    let hole = |stand: &Stand| stand.master.snapshot(stand.now).holes.first().map(|hole| (hole.worker.clone(), hole.from.as_secs()));
    assert_eq!(hole(&stand), Some((id(2).to_string(), 2)), "what it has told of is not missing");
    stand.live(Duration::from_secs(20), &[1]);
    assert_eq!(hole(&stand), Some((id(2).to_string(), 2)), "nor is less when it is lost");
    stand.delta(2, 2, 4);
    assert!(hole(&stand).is_some_and(|(worker, _)| worker == id(2).to_string()), "there is more to come");
    stand.last_delta(2, 3);
    assert_eq!(hole(&stand), None);
}

#[test]
fn a_worker_that_was_waited_for_in_vain_and_had_never_begun_leaves_no_hole_when_it_comes() {
    let mut stand = Stand::running(2, 10);
    stand.master.on_stop(stand.now);
    stand.last_delta(1, 1);
    stand.live(Duration::from_secs(8), &[1, 2]);
    assert_eq!(stand.master.snapshot(stand.now).holes.len(), 1);
    stand.hello(2, None);
    assert_eq!(stand.master.snapshot(stand.now).holes, []);
}

#[test]
fn the_last_worker_is_drained_and_does_not_follow_for_long_but_nobody_runs_its_users_beside_it_until_another_comes() {
    let mut stand = Stand::running(1, 10);
    stand.live(Duration::from_secs(2), &[1]);
    stand.message(1, ToMaster::Leaving);
    stand.live(Duration::from_secs(6), &[1]);
    assert_eq!(stand.master.snapshot(stand.now).overlaps, []);
    stand.hello(2, None);
    stand.message(2, ToMaster::Prepared { run: RunId(7), revision: 0 });
    let came = stand.master.elapsed(stand.now);
    stand.live(Duration::from_secs(6), &[1, 2]);
    let overlaps = stand.master.snapshot(stand.now).overlaps;
    let [overlap] = &overlaps[..] else { panic!("one: {overlaps:?}") };
    assert!(overlap.users == 10 && overlap.from.abs_diff(came) < Duration::from_millis(100), "{overlap:?} at {came:?}");
}

#[test]
fn a_worker_that_no_orders_had_reached_has_run_nobody_beside_those_who_got_its_slots() {
    // Seed 2026113000012: it was shown to run users for ever.
    for brings_the_run in [false, true] {
        let mut stand = Stand::running(1, 10);
        stand.hello(2, None);
        stand.message(2, ToMaster::Prepared { run: RunId(7), revision: 0 });
        stand.live(Duration::from_secs(6), &[1, 2]);
        assert_eq!(stand.master.snapshot(stand.now).overlaps.len(), 1, "for all that is known it may");
        stand.live(Duration::from_secs(5), &[2]);
        let standing = RunStanding { orders: None, ..standing(&SlotSet::none(), Duration::ZERO, 0) };
        stand.hello(1, brings_the_run.then_some(standing));
        assert_eq!(stand.master.snapshot(stand.now).overlaps, [], "{brings_the_run}");
    }
}

#[test]
fn a_worker_of_which_the_journal_told_is_shown_with_the_users_that_it_ran_by_what_it_follows() {
    let mut stand = Stand::running_with(MasterConfig { has_journal: true, ..config() }, 2, 10);
    stand.live(Duration::from_secs(3), &[1, 2]);
    let mut slots = SlotSet::none();
    (1..SLOTS).step_by(2).for_each(|slot| slots.insert(slot));
    stand.live(Duration::from_secs(4), &[1]);
    let mut next = super::endings::next_of(&mut stand);
    next.hello(1, Some(standing(&SlotSet::all(), Duration::from_secs(9), 0)));
    next.live(Duration::from_secs(5), &[1]);
    next.hello(2, Some(standing(&slots, Duration::from_secs(14), 0)));
    let overlaps = next.master.snapshot(next.now).overlaps;
    assert!(overlaps.iter().any(|overlap| overlap.worker == id(2).to_string() && overlap.users == 5), "{overlaps:?}");
}

#[test]
fn a_worker_whose_last_numbers_are_here_has_finished_whatever_it_answers_to_a_changed_script() {
    // Seeds 61002307, 61003648 and 2026113003646: asked to take the script over in the same moment, it was waited for in vain, and its hole stayed.
    let mut stand = Stand::running(2, 10);
    stand.live(Duration::from_secs(3), &[1, 2]);
    stand.last_delta(2, 1);
    let refusal = Refusal { run: RunId(7), text: "the run is over in this worker".into(), differs: None };
    stand.message(2, ToMaster::Refused(refusal));
    stand.master.on_stop(stand.now);
    stand.actions.clear();
    stand.last_delta(1, 1);
    stand.live(Duration::from_secs(1), &[1, 2]);
    let end = stand.end().expect("nobody is waited for");
    assert!(end.is_complete && end.failure.is_none(), "{end:?}");
    assert_eq!(stand.master.snapshot(stand.now).holes, []);
}

#[test]
fn a_worker_that_did_not_follow_and_dropped_the_run_afterwards_is_shown_once_from_the_first_to_the_last() {
    // Seed 61003916: it was shown to run users for ever, and a second time for the time after it had been given up.
    let mut stand = Stand::running(1, 10);
    stand.hello(2, None);
    stand.message(2, ToMaster::Prepared { run: RunId(7), revision: 0 });
    let taken = stand.master.elapsed(stand.now);
    stand.live(Duration::from_secs(6), &[1, 2]);
    stand.live(Duration::from_secs(20), &[2]);
    let renamed = WorkerId { incarnation: 99, ..id(1) };
    for link in [11, 12] {
        let hello = Hello { worker: renamed.clone(), formerly: Some(id(1)), ..hello(1, None) };
        stand.message(link, ToMaster::Hello(Box::new(hello)));
    }
    let overlaps = stand.master.snapshot(stand.now).overlaps;
    let [overlap] = &overlaps[..] else { panic!("one: {overlaps:?}") };
    assert!(overlap.worker == id(1).to_string() && overlap.from.abs_diff(taken) < Duration::from_millis(100), "{overlap:?}");
    assert!(overlap.to.is_some_and(|to| to > overlap.from + Duration::from_secs(10)), "{overlap:?}");
}

#[test]
fn a_late_delta_of_a_worker_that_died_does_not_take_its_hole_away_when_the_run_is_over() {
    // Seed 2026120104749: the delta had stalled on its link until after the end, and nobody was told of what the worker had counted behind it.
    let mut stand = Stand::running(2, 10);
    stand.live(Duration::from_secs(2), &[1, 2]);
    stand.delta(2, 1, 3);
    stand.live(Duration::from_secs(4), &[1]);
    stand.master.on_cut(stand.now);
    stand.last_delta(1, 1);
    assert!(stand.end().is_some_and(|end| !end.is_complete));
    let has_hole = |stand: &Stand| stand.master.snapshot(stand.now).holes.iter().any(|hole| hole.worker == id(2).to_string());
    assert!(has_hole(&stand));
    stand.delta(2, 2, 4);
    assert!(has_hole(&stand), "there is more to come");
    stand.live(Duration::from_secs(5), &[1]);
    assert!(has_hole(&stand), "and it has not");
    stand.last_delta(2, 3);
    assert!(!has_hole(&stand));
}

#[test]
fn a_worker_that_comes_when_the_run_is_over_is_a_hole_until_it_has_handed_in_what_it_has() {
    let mut before = Stand::running_with(MasterConfig { has_journal: true, ..config() }, 2, 10);
    before.live(Duration::from_secs(2), &[1, 2]);
    let mut stand = super::endings::next_of(&mut before);
    stand.hello(1, Some(standing(&SlotSet::all(), Duration::from_secs(30), 0)));
    stand.live(Duration::from_secs(6), &[1]);
    stand.master.on_cut(stand.now);
    stand.last_delta(1, 1);
    assert!(stand.end().is_some());
    // The journal told of the second one, nobody of the third.
    for worker in [2, 3] {
        stand.hello(worker, Some(standing(&SlotSet::none(), Duration::from_secs(37), 0)));
        let has_hole = |stand: &Stand| stand.master.snapshot(stand.now).holes.iter().any(|hole| hole.worker == id(worker).to_string());
        assert!(has_hole(&stand), "{worker} may be gone before its numbers are here");
        stand.last_delta(worker, 1);
        assert!(!has_hole(&stand), "{worker} has handed them in");
    }
}

#[test]
fn a_worker_that_has_dropped_the_run_before_it_began_is_not_waited_for_at_the_stop() {
    let mut stand = Stand::running(2, 10);
    stand.live(Duration::from_secs(1), &[1, 2]);
    stand.master.on_stop(stand.now);
    stand.hello(2, None);
    stand.last_delta(1, 1);
    let end = stand.end().expect("nobody is waited for");
    assert!(end.is_complete && end.failure.is_none(), "{end:?}");
    assert_eq!(stand.master.snapshot(stand.now).holes, []);
}
