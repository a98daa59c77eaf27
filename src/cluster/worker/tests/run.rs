//! From Prepare to the end: stages, orders, abandonment.

use super::*;

#[test]
fn a_run_is_prepared_then_followed_and_begun() {
    let mut bench = Bench::linked(config(2));
    assert_eq!(names(&bench.message(1, ToWorker::Prepare(plan(7)))), ["open 7"]);
    assert_eq!(names(&bench.worker.on_opened(RUN, Ok(()), bench.now())), ["1:prepared 7"]);
    assert_eq!(names(&bench.orders(1, orders(1, Phase::Run))), ["follow 1", "begin"]);
}

#[test]
fn a_worker_whose_lanes_do_not_open_says_why_and_takes_the_next_run() {
    let mut bench = Bench::linked(config(1));
    bench.message(1, ToWorker::Prepare(plan(7)));
    let refusal = OpenRefusal { text: "no such file".into(), differs: Some("abc".into()) };
    let actions = bench.worker.on_opened(RUN, Err(refusal), bench.now());
    let refused =
        actions.iter().find_map(|action| if let Action::Send(_, ToMaster::Refused(refused)) = action { Some(refused) } else { None });
    assert_eq!(refused, Some(&Refusal { run: RUN, text: "no such file".into(), differs: Some("abc".into()) }));
    assert_eq!(names(&bench.orders(1, orders(1, Phase::Run))), [""; 0]);
    assert_eq!(names(&bench.message(1, ToWorker::Prepare(plan(7)))), ["open 7"]);
}

#[test]
fn a_worker_that_is_asked_every_second_logs_a_refusal_once_for_each_reason() {
    let mut bench = Bench::linked(config(1));
    let logged = ["no such file", "no such file", "has 123, not abc", "has 123, not abc"].map(|text| {
        bench.message(1, ToWorker::Prepare(plan(7)));
        let actions = bench.worker.on_opened(RUN, Err(OpenRefusal { text: text.into(), differs: None }), bench.now());
        assert!(actions.iter().any(|action| matches!(action, Action::Send(_, ToMaster::Refused(_)))));
        actions.iter().filter(|action| matches!(action, Action::Log(..))).count()
    });
    assert_eq!(logged, [1, 0, 1, 0]);
}

#[test]
fn a_prepare_that_comes_again_is_answered_again_once_the_lanes_are_open() {
    let mut bench = Bench::linked(config(1));
    bench.message(1, ToWorker::Prepare(plan(7)));
    assert_eq!(names(&bench.message(1, ToWorker::Prepare(plan(7)))), [""; 0]);
    bench.worker.on_opened(RUN, Ok(()), bench.now());
    assert_eq!(names(&bench.message(1, ToWorker::Prepare(plan(7)))), ["1:prepared 7"]);
}

#[test]
fn a_worker_with_users_or_numbers_refuses_another_run_and_goes_on() {
    let mut bench = Bench::running(1);
    assert_eq!(names(&bench.message(1, ToWorker::Prepare(plan(8)))), ["1:refused 8"]);
    assert_eq!(names(&bench.report(LaneReport { is_finished: true, ..report(0, 0, 3) })), ["1:delta 1 last", "close lanes"]);
    assert_eq!(names(&bench.message(1, ToWorker::Prepare(plan(8)))), ["1:refused 8"]);
    bench.acknowledge(1, 1);
    assert_eq!(names(&bench.message(1, ToWorker::Prepare(plan(8)))), ["open 8"]);
}

#[test]
fn a_run_that_never_began_makes_room_for_another() {
    let mut bench = Bench::linked(config(1));
    bench.prepare(7);
    assert_eq!(names(&bench.message(1, ToWorker::Prepare(plan(8)))), ["close lanes", "open 8"]);
    assert_eq!(names(&bench.message(1, ToWorker::Prepare(plan(9)))), [""; 0], "the lanes are being opened");
    assert_eq!(names(&bench.worker.on_opened(RunId(8), Ok(()), bench.now())), ["close lanes", "open 9"]);
}

#[test]
fn the_next_run_counts_from_the_beginning() {
    let mut bench = Bench::finished();
    bench.acknowledge(1, 1);
    bench.prepare(8);
    bench.orders(1, RunOrders { run: RunId(8), ..orders(1, Phase::Run) });
    assert_eq!(delta_of(&bench.report(report(0, 0, 1))).sequence, 1);
}

#[test]
fn only_newer_orders_of_the_same_run_are_followed() {
    let mut bench = Bench::running(1);
    assert_eq!(names(&bench.orders(1, orders(3, Phase::Run))), ["follow 3"]);
    assert_eq!(names(&bench.orders(1, orders(3, Phase::Run))), [""; 0]);
    assert_eq!(names(&bench.orders(1, orders(2, Phase::Cut))), [""; 0]);
    assert_eq!(names(&bench.orders(1, RunOrders { run: RunId(8), ..orders(4, Phase::Cut) })), [""; 0]);
}

#[test]
fn time_zero_never_moves_once_the_run_has_begun() {
    let mut bench = Bench::running(1);
    assert_eq!(names(&bench.orders(1, RunOrders { zero: millis(9_000), ..orders(2, Phase::Run) })), ["follow 2"]);
    bench.now = millis(5_000);
    bench.gone(1);
    assert_eq!(bench.hello(2).standing.unwrap().elapsed, millis(5_000));
}

#[test]
fn stop_and_cut_reach_the_lanes_once_each() {
    let mut bench = Bench::running(1);
    assert_eq!(names(&bench.orders(1, orders(2, Phase::Stop))), ["stop"]);
    assert_eq!(names(&bench.orders(1, orders(3, Phase::Stop))), [""; 0]);
    assert_eq!(names(&bench.orders(1, orders(4, Phase::Cut))), ["cut"]);
    assert_eq!(names(&bench.orders(1, orders(5, Phase::Cut))), [""; 0]);
    assert_eq!(names(&bench.orders(1, orders(6, Phase::Run))), [""; 0], "lanes that stop cannot go on");
}

#[test]
fn an_end_before_the_beginning_closes_the_lanes_and_hands_in_an_empty_last_delta() {
    for phase in [Phase::Stop, Phase::Cut] {
        let mut bench = Bench::linked(config(1));
        bench.prepare(7);
        let actions = bench.orders(1, orders(1, phase));
        assert_eq!(names(&actions), ["close lanes", "1:delta 1 last"]);
        assert!(delta_of(&actions).tallies.is_empty());
        assert_eq!(names(&bench.orders(1, orders(2, Phase::Run))), [""; 0]);
    }
}

#[test]
fn orders_that_come_while_the_lanes_open_are_followed_when_they_are() {
    let mut bench = Bench::linked(config(1));
    bench.message(1, ToWorker::Prepare(plan(7)));
    assert_eq!(names(&bench.orders(1, orders(1, Phase::Run))), [""; 0]);
    assert_eq!(names(&bench.worker.on_opened(RUN, Ok(()), bench.now())), ["1:prepared 7", "follow 1", "begin"]);
}

#[test]
fn an_abandoned_run_is_cut_and_its_numbers_are_forgotten() {
    let mut bench = Bench::running(1);
    bench.report(report(0, 0, 3));
    let actions = bench.message(1, ToWorker::Abandon(RUN));
    assert_eq!(names(&actions), ["cut"]);
    assert!(logged(&actions).contains("3 counted requests"), "{actions:?}");
    assert_eq!(names(&bench.message(1, ToWorker::Prepare(plan(8)))), [""; 0], "the lanes are not closed");
    assert_eq!(names(&bench.report(last(0, 1))), ["close lanes", "open 8"]);
    assert_eq!(bench.worker.status(bench.now()).run, Some(RunId(8)));
}

#[test]
fn a_run_abandoned_before_it_began_or_after_it_ended_is_gone_at_once() {
    let mut bench = Bench::linked(config(1));
    bench.prepare(7);
    assert_eq!(names(&bench.message(1, ToWorker::Abandon(RUN))), ["close lanes"]);
    assert_eq!(bench.worker.status(bench.now()).run, None);
    let mut bench = Bench::finished();
    assert_eq!(names(&bench.message(1, ToWorker::Abandon(RunId(9)))), [""; 0], "another run");
    bench.message(1, ToWorker::Abandon(RUN));
    assert_eq!((bench.worker.status(bench.now()).run, bench.worker.status(bench.now()).unacknowledged), (None, 0));
}

#[test]
fn a_worker_that_is_asked_for_a_run_again_that_it_has_counted_in_and_dropped_comes_as_another_one() {
    // Seed 16003732: a master took over a run that was over, from one that had not heard of it, and asked one that had.
    let mut bench = Bench::finished();
    bench.acknowledge(1, 1);
    let before = bench.worker.config.id.clone();
    bench.message(1, ToWorker::Abandon(RUN));
    bench.prepare(8);
    bench.message(1, ToWorker::Abandon(RunId(8)));
    assert_eq!(names(&bench.message(1, ToWorker::Prepare(plan(7)))), ["close 1", "dial"]);
    let hello = bench.hello(2);
    assert_eq!((hello.worker == before, hello.formerly, hello.standing), (false, Some(before), None));
    bench.welcome(2, None);
    assert_eq!(names(&bench.message(2, ToWorker::Prepare(plan(7)))), ["open 7"]);
}

#[test]
fn a_worker_that_has_counted_in_several_runs_begins_none_of_them_anew_under_its_name() {
    // Seed 31000652: it had counted in a further run since, and a master without a journal took the first one over from a worker that stood still.
    let mut bench = Bench::finished();
    bench.acknowledge(1, 1);
    let before = bench.worker.config.id.clone();
    bench.message(1, ToWorker::Abandon(RUN));
    bench.worker.numbered.insert(RunId(8));
    assert_eq!(names(&bench.message(1, ToWorker::Prepare(plan(7)))), ["close 1", "dial"]);
    assert_ne!(bench.worker.config.id, before);
    assert!(bench.worker.numbered.is_empty());
}

#[test]
fn a_finished_run_stands_until_the_next_prepare() {
    let mut bench = Bench::finished();
    bench.acknowledge(1, 1);
    bench.gone(1);
    bench.pass(Duration::from_secs(1));
    let standing = bench.hello(2).standing.unwrap();
    assert_eq!((standing.plan.run, standing.acknowledged, standing.is_finished), (RUN, 1, true));
    bench.welcome(2, Some(1));
    bench.message(2, ToWorker::Prepare(plan(8)));
    bench.gone(2);
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.hello(3).standing.unwrap().plan.run, RunId(8));
}

#[test]
fn what_the_master_may_have_missed_is_said_again_on_the_next_link() {
    let mut bench = Bench::linked(config(1));
    bench.message(1, ToWorker::Prepare(plan(7)));
    bench.gone(1);
    assert_eq!(names(&bench.worker.on_opened(RUN, Ok(()), bench.now())), [""; 0]);
    bench.pass(Duration::from_secs(1));
    assert_eq!(names(&bench.link(2, None)), ["2:prepared 7"]);
}

#[test]
fn a_new_link_hears_nothing_of_an_abandoned_run() {
    let mut bench = Bench::running(1);
    bench.report(report(0, 0, 3));
    bench.message(1, ToWorker::Abandon(RUN));
    bench.gone(1);
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.hello(2).standing, None);
    assert_eq!(names(&bench.welcome(2, None)), [""; 0]);
}
