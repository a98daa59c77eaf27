//! A worker without a master: on by the plan, pausing, stopping, dropping.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn an_orphan_goes_on_by_the_plan_then_stops_then_drops_its_numbers_and_says_how_many() {
    let mut bench = Bench::running(1);
    bench.report(report(0, 0, 7));
    bench.gone(1);
    assert_eq!(names(&bench.pass(millis(59_999))), ["dial"]);
    bench.report(report(0, 1, 4));
    assert_eq!(names(&bench.pass(millis(1))), ["stop"]);
    assert_eq!(names(&bench.report(last(0, 60))), ["close lanes"]);
    bench.pass(millis(59_999));
    assert_eq!(bench.worker.status(bench.now()).run, Some(RUN));
    let dropped = bench.pass(millis(1));
    assert!(logged(&dropped).contains("11 requests are lost"), "{dropped:?}");
    assert_eq!(bench.worker.status(bench.now()).run, None);
    bench.worker.on_dial_failed("refused", bench.now());
    assert_eq!(names(&bench.pass(SECOND)), ["dial"], "it goes on dialling");
}

#[test]
fn numbers_are_not_dropped_while_users_finish() {
    let mut bench = Bench::running(1);
    bench.gone(1);
    bench.pass(60 * SECOND);
    bench.pass(70 * SECOND);
    assert_eq!(bench.worker.status(bench.now()).run, Some(RUN));
    bench.report(last(0, 60));
    bench.tick();
    assert_eq!(bench.worker.status(bench.now()).run, None);
}

#[test]
fn an_orphan_whose_run_never_began_is_idle_after_the_timeout() {
    let mut bench = Bench::linked(config(1));
    bench.prepare(7);
    bench.gone(1);
    assert!(names(&bench.pass(60 * SECOND)).contains(&"close lanes".into()));
    assert_eq!(bench.worker.status(bench.now()).run, None);
}

#[test]
fn an_orphan_that_pauses_lets_no_iteration_begin_until_the_master_speaks() {
    let mut bench = Bench { rules: OrphanRules { pauses: true, ..OrphanRules::default() }, ..Bench::new(config(1)) };
    bench.tick();
    bench.link(1, None);
    bench.prepare(7);
    bench.orders(1, orders(1, Phase::Run));
    assert_eq!(names(&bench.pass(3 * SECOND)), ["follow 1 paused", "1:beat", "dial"]);
    assert_eq!(names(&bench.pass(millis(50))), [""; 0]);
    assert_eq!(names(&bench.hear(1)), ["follow 1"]);
}

#[test]
fn an_orphan_that_pauses_follows_orders_again_that_come_again_on_a_new_link() {
    let mut bench = Bench { rules: OrphanRules { pauses: true, ..OrphanRules::default() }, ..Bench::new(config(1)) };
    bench.tick();
    bench.link(1, None);
    bench.prepare(7);
    bench.orders(1, orders(1, Phase::Run));
    bench.pass(SECOND);
    bench.gone(1);
    assert_eq!(names(&bench.pass(millis(2_999))), ["dial"]);
    assert_eq!(names(&bench.pass(millis(1))), ["follow 1 paused"]);
    assert_eq!(names(&bench.link(2, None)), [""; 0]);
    assert_eq!(names(&bench.orders(2, orders(1, Phase::Run))), ["follow 1"]);
}

#[test]
fn a_welcome_ends_the_orphans_clock() {
    let mut bench = Bench::running(1);
    bench.gone(1);
    bench.pass(59 * SECOND);
    bench.link(2, None);
    bench.gone(2);
    assert!(!names(&bench.pass(59 * SECOND)).contains(&"stop".into()));
    assert!(names(&bench.pass(SECOND)).contains(&"stop".into()));
}

#[test]
fn a_worker_that_stopped_by_itself_says_so_to_the_next_master() {
    let mut bench = Bench::running(1);
    bench.gone(1);
    bench.pass(60 * SECOND);
    let followed = bench.hello(2).standing.unwrap().orders.unwrap();
    assert_eq!((followed.phase, followed.has_stopped), (Phase::Run, true), "what it was told, and what it did");
}

#[test]
fn a_worker_of_one_run_whose_numbers_nobody_fetched_ends_with_the_loss() {
    let mut bench = Bench::running_with(WorkerConfig { is_once: true, ..config(1) });
    bench.report(report(0, 0, 7));
    bench.gone(1);
    bench.pass(60 * SECOND);
    bench.report(last(0, 60));
    assert!(names(&bench.pass(60 * SECOND)).contains(&"exit NumbersLost".into()));
}

#[test]
fn an_orphan_that_has_dropped_a_run_is_given_no_users_of_it_on_the_old_link() {
    // Seed 2026120107350: the link had stalled and spoke again, and its users were run by nobody.
    let mut bench = Bench::linked(config(1));
    bench.prepare(7);
    bench.pass(3 * SECOND);
    assert_eq!(names(&bench.pass(60 * SECOND))[..2], ["close lanes", "close 1"]);
    assert!(bench.orders(1, orders(1, Phase::Run)).is_empty(), "nobody speaks there");
    assert!(bench.hello(2).standing.is_none(), "the master hears that it is in no run");
}

#[test]
fn an_orphan_that_has_dropped_its_numbers_is_another_one_on_another_link() {
    let mut bench = Bench::running(1);
    bench.report(report(0, 0, 7));
    bench.pass(3 * SECOND);
    bench.pass(60 * SECOND);
    bench.report(last(0, 60));
    assert!(names(&bench.pass(60 * SECOND)).contains(&"close 1".into()));
    assert!(bench.message(1, ToWorker::Prepare(plan(7))).is_empty(), "nobody speaks there");
    assert_eq!(bench.hello(2).worker.incarnation, 2);
}

#[test]
fn a_worker_that_stood_still_is_sure_of_its_slots_again_once_the_master_has_answered_what_it_said_since() {
    let mut bench = Bench::running(1);
    for _ in 0..100 {
        bench.pass(millis(50));
    }
    assert!(bench.worker.is_sure_of_slots(bench.now()), "a silent master is another thing");
    bench.pass(2 * SECOND);
    assert!(!bench.worker.is_sure_of_slots(bench.now()));
    let answer = |echo| ToWorker::Answer(Answer { echo, clock: Duration::ZERO, acknowledged: None });
    let now = bench.now;
    bench.message(1, answer(now - 2 * SECOND));
    bench.orders(1, orders(2, Phase::Run));
    assert!(!bench.worker.is_sure_of_slots(bench.now()), "that may have lain there all the time");
    bench.now += millis(20);
    bench.message(1, answer(now));
    assert!(bench.worker.is_sure_of_slots(bench.now()));
}

#[test]
fn a_worker_that_stood_still_for_longer_than_its_link_is_sure_of_its_slots_with_the_orders_on_the_next_one() {
    let mut bench = Bench::running(1);
    bench.now += 20 * SECOND;
    bench.gone(1);
    bench.tick();
    bench.link(2, None);
    assert!(!bench.worker.is_sure_of_slots(bench.now()));
    bench.orders(2, orders(1, Phase::Run));
    assert!(bench.worker.is_sure_of_slots(bench.now()));
}
