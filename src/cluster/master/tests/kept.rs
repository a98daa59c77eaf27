//! What a journal keeps that the next master must not lose, and must not take up again.

use super::endings::{adopted, kept, restored};
use super::*;

#[test]
fn lanes_that_a_worker_gave_up_before_it_left_are_missing_to_the_next_master_too() {
    let kept = crate::cluster::record::KeptWorker {
        worker: id(3),
        epoch: 0,
        sequence: std::num::NonZeroU64::new(4),
        has_left: true,
        begun: IterationsBegun::default(),
        panics: 1,
        lanes_lost: 1,
        lost_since: Some(Duration::from_secs(17)),
        tallies: vec![tally(20, 50)],
    };
    let mut stand = adopted(restored(vec![kept]));
    stand.live(Duration::from_secs(5), &[1, 2]);
    let actions = stand.master.on_stop(stand.now);
    stand.actions.extend(actions);
    stand.last_delta(1, 10);
    stand.last_delta(2, 10);
    let end = stand.end().unwrap();
    let why = format!("{:?}", end.failure);
    assert_eq!((end.panics, why.contains("1 lane of "), why.contains("from 17 s of the run on")), (1, true, true), "{why}");
}

#[test]
fn a_run_that_was_reported_is_not_brought_again_to_a_master_that_would_lack_the_numbers_of_those_who_are_gone() {
    // Seed 50002798: of two workers one was killed after the end, and the other one's numbers were called the whole run's.
    let now = Instant::now();
    let reported = KeptRun { is_over: true, ..kept(Vec::new()) };
    let master = Master::restored(MasterConfig { has_journal: true, ..config() }, reported, now);
    let mut stand = Stand { master, now, actions: Vec::new() };
    stand.hello(1, Some(RunStanding { is_finished: true, ..standing(&SlotSet::all(), Duration::from_secs(41), 5) }));
    assert!(stand.sent().iter().any(|(_, message)| matches!(message, ToWorker::Abandon(RunId(7)))));
    stand.live(Duration::from_secs(6), &[1]);
    assert!(stand.master.run.is_none(), "and the worker is free for the next one");
}
