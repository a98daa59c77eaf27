//! Deltas: rounds of reports, numbering, the window, resending, the total, epochs.

use super::*;
use crate::load::Halt;
use crate::plan::ThresholdPlan;

/// The worker's link broke, and the next one stands; the master of it holds `held`.
fn relink(bench: &mut Bench, link: u64, held: Option<u64>) -> Vec<Action> {
    bench.gone(link - 1);
    bench.pass(Duration::from_secs(1));
    bench.link(link, held)
}

#[test]
fn a_delta_goes_out_once_every_lane_has_reported_and_lanes_of_one_second_are_one_tally() {
    let mut bench = Bench::running(2);
    assert!(bench.report(report(0, 0, 3)).is_empty());
    let delta = delta_of(&bench.report(report(1, 0, 2)));
    assert_eq!((delta.sequence, delta.users, counted(&delta), delta.is_last), (1, 5, vec![(0, 5)], false));
}

#[test]
fn seconds_of_a_lane_that_runs_ahead_stay_apart_and_go_out_oldest_first() {
    let mut bench = Bench::running(2);
    bench.report(report(0, 1, 3));
    bench.report(report(0, 2, 4));
    let delta = delta_of(&bench.report(report(1, 1, 2)));
    assert_eq!((counted(&delta), delta.users), (vec![(1, 5), (2, 4)], 6));
}

#[test]
fn a_lane_that_has_finished_is_not_waited_for() {
    let mut bench = Bench::running(2);
    assert!(bench.report(last(0, 3)).is_empty());
    assert_eq!(names(&bench.report(report(1, 3, 1))), ["1:delta 1"]);
    assert_eq!(names(&bench.report(report(1, 4, 1))), ["1:delta 2"]);
    assert_eq!(names(&bench.report(last(1, 5))), ["1:delta 3 last", "close lanes"]);
    assert_eq!(names(&bench.orders(1, orders(2, Phase::Stop))), [""; 0], "the run is over");
}

#[test]
fn a_worker_is_exhausted_only_when_all_its_lanes_are() {
    let exhausted = |lane, is_exhausted| LaneReport { is_exhausted, ..report(lane, 0, 0) };
    let mut bench = Bench::running(2);
    bench.report(exhausted(0, true));
    assert!(!delta_of(&bench.report(exhausted(1, false))).is_exhausted);
    bench.report(exhausted(0, true));
    assert!(delta_of(&bench.report(exhausted(1, true))).is_exhausted);
}

#[test]
fn what_a_lane_says_of_exhaustion_by_orders_of_before_does_not_count() {
    let exhausted = |followed| LaneReport { is_exhausted: true, followed, ..report(0, 0, 0) };
    let mut bench = Bench::running(1);
    bench.orders(1, orders(2, Phase::Run));
    assert!(!delta_of(&bench.report(exhausted(1))).is_exhausted, "it was on its way when the second orders came");
    let mut bench = Bench::running(1);
    bench.report(exhausted(1));
    bench.acknowledge(1, 1);
    bench.orders(1, orders(2, Phase::Run));
    assert!(!delta_of(&bench.report(LaneReport { is_exhausted: false, ..exhausted(2) })).is_exhausted);
    assert!(delta_of(&bench.report(exhausted(2))).is_exhausted);
}

#[test]
fn panics_of_all_lanes_are_added_and_the_first_misuse_is_told() {
    let trouble = |lane, panics, halt: &str| LaneReport { panics, halt: Some(Halt::Misuse(halt.into())), ..report(lane, 0, 1) };
    let mut bench = Bench::running(2);
    bench.report(trouble(0, 2, "no host"));
    let delta = delta_of(&bench.report(trouble(1, 1, "another")));
    assert_eq!((delta.panics, &delta.halt), (3, &Some(Halt::Misuse("no host".into()))));
}

#[test]
fn four_deltas_are_in_flight_at_most_and_what_waits_goes_out_by_second_when_there_is_room() {
    let mut bench = Bench::running(1);
    let sent: usize = (0..7).map(|second| deltas(&bench.report(report(0, second, 1))).len()).sum();
    assert_eq!((sent, bench.worker.status(bench.now()).unacknowledged), (4, 5));
    let delta = delta_of(&bench.acknowledge(1, 1));
    assert_eq!((delta.sequence, counted(&delta)), (5, vec![(4, 1), (5, 1), (6, 1)]));
    assert!(deltas(&bench.acknowledge(1, 1)).is_empty());
}

#[test]
fn an_acknowledgement_that_comes_late_takes_nothing_back() {
    let mut bench = Bench::running(1);
    for second in 0..3 {
        bench.report(report(0, second, 1));
    }
    bench.acknowledge(1, 2);
    bench.acknowledge(1, 1);
    assert_eq!(bench.worker.status(bench.now()).unacknowledged, 1);
    let stranger = Answer { echo: bench.now, clock: bench.now, acknowledged: Some((RunId(8), 3)) };
    bench.message(1, ToWorker::Answer(stranger));
    assert_eq!(bench.worker.status(bench.now()).unacknowledged, 1, "another run's");
}

#[test]
fn seconds_that_wait_are_bounded_and_lose_nothing() {
    let mut bench = Bench::running(1);
    bench.gone(1);
    for second in 0..100 {
        assert!(deltas(&bench.report(report(0, second, 2))).is_empty());
    }
    let delta = delta_of(&bench.link(2, None));
    assert_eq!((delta.tallies.len(), counted(&delta)[0], counted(&delta)[1]), (60, (40, 82), (41, 2)));
}

#[test]
fn a_large_second_goes_out_in_several_deltas_of_which_only_the_last_is_last() {
    let mut bench = Bench::running(1);
    let mut tally = Tally::default();
    for number in 0..2_000 {
        let name = format!("/{number}/{}", "x".repeat(1_500));
        tally.merge(super::tally(0, &name, 1));
    }
    let bytes = tally.bytes();
    let mut all = deltas(&bench.report(LaneReport { tally, is_finished: true, ..report(0, 0, 0) }));
    for sequence in 1..=all.len() {
        all.extend(deltas(&bench.acknowledge(1, sequence as u64)));
    }
    assert_eq!(all.iter().map(|delta| delta.sequence).collect::<Vec<_>>(), (1..=all.len() as u64).collect::<Vec<_>>());
    assert!(all.len() > bytes >> 21 && all.iter().all(|delta| delta.tallies.iter().map(Tally::bytes).sum::<usize>() <= 2 << 20));
    assert_eq!(all.iter().flat_map(|delta| &delta.tallies).map(requests).sum::<u64>(), 2_000);
    assert_eq!(all.iter().filter(|delta| delta.is_last).map(|delta| delta.sequence).collect::<Vec<_>>(), [all.len() as u64]);
}

#[test]
fn a_master_that_holds_what_was_acknowledged_gets_the_rest_again_under_the_same_numbers() {
    let mut bench = Bench::running(1);
    for second in 0..4 {
        bench.report(report(0, second, second + 1));
    }
    bench.acknowledge(1, 1);
    let again = relink(&mut bench, 2, Some(2));
    assert_eq!(names(&again), ["2:delta 3", "2:delta 4"]);
    assert_eq!(counted(&deltas(&again)[0]), [(2, 3)]);
    assert_eq!(names(&bench.report(report(0, 4, 1))), ["2:delta 5"]);
}

#[test]
fn a_master_that_holds_nothing_gets_the_total_and_then_the_deltas_that_follow() {
    let mut bench = Bench::running(1);
    for second in 0..4 {
        bench.report(report(0, second, 10));
        bench.acknowledge(1, second.min(2));
    }
    let total = relink(&mut bench, 2, None);
    assert_eq!(names(&total), ["2:part 0 of 40", "2:end of 1, up to 4"]);
    assert_eq!(names(&bench.report(report(0, 4, 1))), ["2:delta 5"]);
    assert_eq!(bench.worker.status(bench.now()).unacknowledged, 3, "3 and 4 are kept until the total is acknowledged");
    bench.acknowledge(2, 4);
    assert_eq!(bench.worker.status(bench.now()).unacknowledged, 1);
}

#[test]
fn a_master_that_holds_less_than_was_acknowledged_gets_the_total() {
    let mut bench = Bench::running(1);
    for second in 0..3 {
        bench.report(report(0, second, 10));
    }
    bench.acknowledge(1, 3);
    assert_eq!(names(&relink(&mut bench, 2, Some(2))), ["2:part 0 of 30", "2:end of 1, up to 3"]);
}

#[test]
fn a_total_that_was_cut_off_starts_over_with_what_was_sealed_since() {
    let mut bench = Bench::running(1);
    bench.report(report(0, 0, 10));
    bench.acknowledge(1, 1);
    relink(&mut bench, 2, None);
    bench.report(report(0, 1, 10));
    assert_eq!(names(&relink(&mut bench, 3, None)), ["3:part 0 of 20", "3:end of 1, up to 2"]);
}

#[test]
fn a_worker_that_has_sealed_nothing_has_nothing_to_resend() {
    let mut bench = Bench::running(1);
    assert_eq!(names(&relink(&mut bench, 2, None)), [""; 0]);
}

#[test]
fn the_total_of_a_finished_run_is_followed_by_one_more_last_delta() {
    let mut bench = Bench::finished();
    bench.acknowledge(1, 1);
    assert_eq!(names(&relink(&mut bench, 2, None)), ["2:part 0 of 5", "2:end of 1, up to 1", "2:delta 2 last"]);
    assert_eq!(names(&bench.message(2, ToWorker::Prepare(plan(8)))), ["2:refused 8"]);
    bench.acknowledge(2, 2);
    assert_eq!(names(&bench.message(2, ToWorker::Prepare(plan(8)))), ["open 8"]);
}

#[test]
fn a_large_total_comes_in_parts_that_add_up() {
    let mut bench = Bench::running(1);
    for round in 0..3 {
        let mut tally = Tally { second: round, ..Tally::default() };
        for number in 0..2_000 {
            tally.merge(super::tally(round, &format!("/{number}/{}", "x".repeat(500)), 1));
        }
        bench.report(LaneReport { tally, ..report(0, round, 0) });
        bench.acknowledge(1, round + 1);
    }
    let actions = relink(&mut bench, 2, None);
    let mut whole = Tally::default();
    let mut parts = 0;
    for action in &actions {
        match action {
            Action::Send(_, ToMaster::TotalPart { number, tally, .. }) => {
                assert_eq!(*number, parts);
                assert!(tally.bytes() <= 1 << 20);
                parts += 1;
                whole.add(tally);
            }
            Action::Send(_, ToMaster::TotalEnd { parts: said, .. }) => assert_eq!(*said, parts),
            _ => {}
        }
    }
    assert!(parts > 1);
    assert_eq!((whole.entries.len(), requests(&whole)), (2_000, 6_000));
}

#[test]
fn a_master_that_asks_for_it_is_told_what_windows_need_before_all_else() {
    let thresholds = ["count < 8 over 2s", "count > 1", "rate < 9 after 1s abort"];
    let thresholds = thresholds.map(|condition| ThresholdPlan { metric: "http_reqs".into(), condition: condition.into() }).to_vec();
    let mut bench = Bench::linked(config(1));
    bench.message(1, ToWorker::Prepare(Arc::new(Plan { thresholds, ..(*plan(7)).clone() })));
    let now = bench.now();
    bench.worker.on_opened(RUN, Ok(()), now);
    bench.orders(1, orders(1, Phase::Run));
    for second in 0..3 {
        bench.report(report(0, second, 5));
        bench.acknowledge(1, second + 1);
    }
    bench.gone(1);
    bench.pass(Duration::from_secs(1));
    bench.worker.on_linked(LinkId(2), bench.now());
    let welcome = Welcome { clock: bench.now, held: None, wants_windows: true, orphan: bench.rules };
    let told = names(&bench.message(2, ToWorker::Welcome(welcome.clone())));
    assert_eq!(told, ["2:windows 0 [0, 1, 2]", "2:windows 2 [2] last", "2:part 0 of 15", "2:end of 1, up to 3"]);
    bench.orders(2, RunOrders { epoch: 1, ..orders(2, Phase::Run) });
    bench.gone(2);
    bench.pass(Duration::from_secs(1));
    bench.worker.on_linked(LinkId(3), bench.now());
    let told = names(&bench.message(3, ToWorker::Welcome(welcome)));
    assert_eq!(told[0], "3:windows 0 [] last", "a reset leaves nothing of it");
}

#[test]
fn without_a_total_what_is_kept_is_all_that_a_master_can_have() {
    let mut bench = Bench::running_with(WorkerConfig { keeps_total: false, ..config(1) });
    bench.report(report(0, 0, 1));
    bench.report(report(0, 1, 1));
    bench.acknowledge(1, 1);
    let actions = relink(&mut bench, 2, None);
    assert_eq!(names(&actions), ["2:delta 2"]);
    assert!(logged(&actions).contains("lost 1 deltas"), "{actions:?}");
}

#[test]
fn a_reset_forgets_what_was_counted_and_the_numbering_goes_on() {
    let mut bench = Bench::running(1);
    for second in 0..6 {
        bench.report(report(0, second, 1));
    }
    bench.orders(1, RunOrders { epoch: 1, ..orders(2, Phase::Run) });
    let delta = delta_of(&bench.acknowledge(1, 3));
    assert_eq!((delta.sequence, delta.epoch, counted(&delta)), (5, 1, vec![]));
    bench.report(report(0, 6, 2));
    // The reset was of everything before, so the total has second 6 alone; what is resent keeps its numbers and has lost its counts.
    let again = deltas(&relink(&mut bench, 2, Some(3)));
    assert_eq!(
        again.iter().map(|delta| (delta.sequence, delta.epoch, counted(delta).len())).collect::<Vec<_>>(),
        [(4, 1, 0), (5, 1, 0), (6, 1, 1)]
    );
    assert_eq!(names(&relink(&mut bench, 3, None)), ["3:part 0 of 2", "3:end of 1, up to 6"]);
}

#[test]
fn a_reset_during_a_transfer_sends_it_anew() {
    let mut bench = Bench::running(1);
    bench.report(report(0, 0, 10));
    bench.acknowledge(1, 1);
    relink(&mut bench, 2, None);
    let actions = bench.orders(2, RunOrders { epoch: 1, ..orders(2, Phase::Run) });
    assert_eq!(names(&actions), ["follow 2", "2:end of 0, up to 1"]);
    assert!(matches!(actions.last(), Some(Action::Send(_, ToMaster::TotalEnd { epoch: 1, .. }))));
}
