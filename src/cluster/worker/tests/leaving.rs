//! The way out.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn leave(bench: &mut Bench) -> Vec<String> {
    names(&bench.worker.on_leave(bench.now()))
}

#[test]
fn a_leaving_worker_lets_its_users_finish_hands_in_says_goodbye_and_waits_for_the_farewell() {
    let mut bench = Bench::running(1);
    assert_eq!(leave(&mut bench), ["stop", "1:leaving"]);
    assert_eq!(names(&bench.message(1, ToWorker::Prepare(plan(8)))), ["1:refused 8"]);
    assert_eq!(names(&bench.report(LaneReport { is_finished: true, ..report(0, 0, 5) })), ["1:delta 1 last", "close lanes", "1:goodbye"]);
    assert_eq!(names(&bench.pass(millis(500))), [""; 0]);
    assert_eq!(names(&bench.message(1, ToWorker::Farewell)), ["exit Whole"]);
    assert!(bench.pass(SECOND).is_empty(), "nothing follows the end");
}

#[test]
fn a_worker_without_a_run_says_goodbye_at_once() {
    let mut bench = Bench::linked(config(1));
    assert_eq!(leave(&mut bench), ["1:goodbye"]);
    assert_eq!(names(&bench.message(1, ToWorker::Farewell)), ["exit Whole"]);
}

#[test]
fn a_worker_without_a_run_and_without_a_link_ends_at_once() {
    let mut bench = Bench::new(config(1));
    bench.tick();
    assert_eq!(leave(&mut bench), ["exit Whole"]);
}

#[test]
fn a_prepared_run_is_closed_and_an_opening_one_waited_for() {
    let mut bench = Bench::linked(config(1));
    bench.prepare(7);
    assert_eq!(leave(&mut bench), ["close lanes", "1:leaving", "1:delta 1 last", "1:goodbye"]);
    let mut bench = Bench::linked(config(1));
    bench.message(1, ToWorker::Prepare(plan(7)));
    assert_eq!(leave(&mut bench), ["1:leaving"]);
    assert_eq!(names(&bench.worker.on_opened(RUN, Ok(()), bench.now())), ["close lanes", "1:goodbye"]);
}

#[test]
fn a_farewell_that_answers_no_goodbye_says_nothing() {
    let mut bench = Bench::running(1);
    assert_eq!(names(&bench.message(1, ToWorker::Farewell)), [""; 0]);
    leave(&mut bench);
    assert_eq!(names(&bench.message(1, ToWorker::Farewell)), [""; 0]);
}

#[test]
fn told_twice_it_cuts_and_has_less_than_a_second_to_hand_in() {
    let mut bench = Bench::running(1);
    bench.report(report(0, 0, 5));
    leave(&mut bench);
    assert_eq!(leave(&mut bench), ["cut"]);
    assert!(!names(&bench.pass(millis(899))).contains(&"exit NumbersLost".into()));
    let ended = bench.pass(millis(1));
    assert_eq!(names(&ended), ["exit NumbersLost"]);
    assert!(logged(&ended).contains("5 requests"), "{ended:?}");
}

#[test]
fn a_worker_that_cannot_hand_in_ends_after_the_stop_timeout_and_fifteen_seconds() {
    let mut bench = Bench::running(1);
    bench.gone(1);
    bench.report(LaneReport { is_finished: true, ..report(0, 0, 5) });
    assert_eq!(leave(&mut bench), [""; 0]);
    assert!(!names(&bench.pass(millis(16_999))).contains(&"exit NumbersLost".into()));
    assert_eq!(names(&bench.pass(millis(1))), ["exit NumbersLost"]);
}

#[test]
fn a_worker_whose_numbers_are_acknowledged_is_whole_when_its_time_is_up() {
    let mut bench = Bench::finished();
    bench.acknowledge(1, 1);
    assert_eq!(leave(&mut bench), ["1:goodbye"]);
    let ended = bench.pass(17 * SECOND);
    assert!(names(&ended).contains(&"exit Whole".into()), "{ended:?}");
}

#[test]
fn a_leaving_worker_that_finds_a_new_master_hands_in_all_it_has_and_says_goodbye_again() {
    let mut bench = Bench::finished();
    bench.acknowledge(1, 1);
    leave(&mut bench);
    bench.gone(1);
    bench.pass(SECOND);
    let hello = bench.hello(2);
    assert!(hello.is_leaving && hello.standing.is_some_and(|standing| standing.is_finished));
    assert_eq!(names(&bench.welcome(2, None)), ["2:part 0 of 5", "2:end of 1, up to 1", "2:delta 2 last", "2:goodbye"]);
    assert_eq!(names(&bench.message(2, ToWorker::Farewell)), ["exit Whole"]);
}

#[test]
fn a_leaving_worker_that_is_refused_ends() {
    let mut bench = Bench::finished();
    leave(&mut bench);
    assert_eq!(names(&bench.message(1, ToWorker::Refuse("no".into()))), ["close 1", "exit NumbersLost"]);
}

#[test]
fn a_worker_of_one_run_leaves_when_its_numbers_are_acknowledged() {
    let mut bench = Bench::running_with(WorkerConfig { is_once: true, ..config(1) });
    bench.report(LaneReport { is_finished: true, ..report(0, 0, 5) });
    assert_eq!(names(&bench.acknowledge(1, 1)), ["1:goodbye"]);
    assert_eq!(names(&bench.message(1, ToWorker::Farewell)), ["exit Whole"]);
}

#[test]
fn a_worker_of_one_run_ends_with_a_master_that_has_none_for_it_and_others_wait_for_the_next() {
    let mut bench = Bench::linked(WorkerConfig { is_once: true, ..config(1) });
    assert_eq!(names(&bench.message(1, ToWorker::Farewell)), ["1:goodbye"]);
    assert_eq!(names(&bench.gone(1)), ["exit Whole"]);
    let mut bench = Bench::linked(WorkerConfig { is_once: true, ..config(1) });
    bench.prepare(7);
    bench.message(1, ToWorker::Abandon(RUN));
    bench.message(1, ToWorker::Farewell);
    assert_eq!(names(&bench.gone(1)), ["exit Whole"]);
    let mut bench = Bench::linked(config(1));
    assert!(names(&bench.message(1, ToWorker::Farewell)).is_empty());
    let mut bench = Bench::running_with(WorkerConfig { is_once: true, ..config(1) });
    assert!(names(&bench.message(1, ToWorker::Farewell)).is_empty(), "its run is the next master's to end");
}

#[test]
fn a_worker_without_a_script_says_why_in_its_first_words_and_is_not_ready() {
    let mut bench = Bench::new(WorkerConfig { script: String::new(), fingerprint: String::new(), ..config(1) });
    bench.worker.on_scripts(Err("main.lua:1: no".into()));
    bench.tick();
    assert_eq!(bench.hello(1).script_error.as_deref(), Some("main.lua:1: no"));
    bench.welcome(1, None);
    assert!(bench.worker.status(bench.now()).lacks_script);
    bench.worker.on_scripts(Ok(("main.lua".into(), "f".into())));
    assert!(!bench.worker.status(bench.now()).lacks_script);
    bench.worker.on_scripts(Err("main.lua:1: no".into()));
    assert!(!bench.worker.status(bench.now()).lacks_script, "it keeps the one that it has");
}
