//! Dialling, Welcome, silence, beats, the clock, the log.

use super::*;
use crate::cluster::link::LinkId;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_worker_dials_at_once_and_then_every_second_until_it_is_linked() {
    let mut bench = Bench::new(config(1));
    assert_eq!(names(&bench.tick()), ["dial"]);
    assert_eq!(names(&bench.pass(millis(50))), [""; 0]);
    let failed = bench.worker.on_dial_failed("connection refused", bench.now());
    assert_eq!((names(&failed), logged(&failed)), (vec![], "waiting for a master: connection refused".into()));
    assert_eq!(names(&bench.pass(millis(949))), [""; 0]);
    assert_eq!(names(&bench.pass(millis(1))), ["dial"]);
    bench.link(1, None);
    assert_eq!(names(&bench.pass(millis(900))), [""; 0]);
}

#[test]
fn a_worker_without_a_master_complains_every_half_minute() {
    let mut bench = Bench::new(config(1));
    let mut complaints = 0;
    for _ in 0..61 {
        assert_eq!(names(&bench.tick()), ["dial"]);
        complaints += u32::from(!logged(&bench.worker.on_dial_failed("refused", bench.now())).is_empty());
        bench.now += SECOND;
    }
    assert_eq!(complaints, 3);
}

#[test]
fn no_more_dials_are_under_way_than_may_be() {
    let mut bench = Bench::new(config(1));
    let dials: usize = (0..10).map(|_| names(&bench.pass(SECOND)).len()).sum();
    assert_eq!(dials, DIALS);
    assert_eq!(names(&bench.worker.on_dial_failed("timed out", bench.now())), ["dial"]);
    assert_eq!(names(&bench.pass(SECOND)), [""; 0]);
}

#[test]
fn nothing_but_hello_is_said_before_the_welcome() {
    let mut bench = Bench::new(config(1));
    bench.tick();
    assert_eq!(names(&bench.worker.on_linked(LinkId(1), bench.now())), ["1:hello"]);
    bench.worker.on_log(LogLine { wall: SystemTime::UNIX_EPOCH, level: log::Level::Warn, target: "t".into(), text: "x".into() });
    assert_eq!(names(&bench.pass(millis(2_900))), [""; 0]);
    assert_eq!(names(&bench.message(1, ToWorker::Prepare(plan(7)))), [""; 0]);
    bench.welcome(1, None);
    assert_eq!(names(&bench.tick()), ["1:log 1"]);
}

#[test]
fn a_link_that_is_not_welcomed_in_three_seconds_is_given_up() {
    let mut bench = Bench::new(config(1));
    bench.tick();
    bench.worker.on_linked(LinkId(1), bench.now());
    assert_eq!(names(&bench.pass(millis(2_999))), [""; 0]);
    assert_eq!(names(&bench.pass(millis(1))), ["close 1", "dial"]);
    assert!(bench.welcome(1, None).is_empty(), "too late");
    assert!(!bench.worker.status(bench.now()).is_linked);
}

#[test]
fn the_first_welcome_wins_and_the_other_links_are_closed() {
    let mut bench = Bench::running(1);
    bench.pass(3 * SECOND);
    bench.pass(SECOND);
    assert_eq!(names(&bench.worker.on_linked(LinkId(2), bench.now())), ["2:hello"]);
    assert_eq!(names(&bench.worker.on_linked(LinkId(3), bench.now())), ["close 3"]);
    assert_eq!(names(&bench.welcome(2, None)), ["close 1"]);
    assert!(bench.hear(1).is_empty(), "the old link says nothing any more");
}

#[test]
fn a_silent_master_is_lost_after_three_seconds_and_is_dialled_every_second() {
    let mut bench = Bench::running(1);
    assert_eq!(names(&bench.pass(millis(2_999))), ["1:beat"]);
    assert!(bench.worker.status(bench.now()).is_linked);
    assert_eq!(names(&bench.pass(millis(1))), ["dial"]);
    assert_eq!(bench.worker.status(bench.now()).orphaned_for, Some(Duration::ZERO));
    assert_eq!(names(&bench.pass(SECOND)), ["1:beat", "dial"]);
}

#[test]
fn a_master_that_speaks_again_before_a_new_welcome_is_the_master_still() {
    let mut bench = Bench::running(1);
    bench.pass(3 * SECOND);
    bench.pass(SECOND);
    bench.worker.on_linked(LinkId(2), bench.now());
    assert_eq!(names(&bench.hear(1)), ["close 2"]);
    assert!(bench.worker.status(bench.now()).is_linked);
    assert_eq!(names(&bench.worker.on_linked(LinkId(3), bench.now())), ["close 3"], "a dial that was under way");
    assert_eq!(names(&bench.pass(millis(1_500))), ["1:beat"]);
}

#[test]
fn a_broken_link_is_dialled_anew_at_once() {
    let mut bench = Bench::running(1);
    bench.pass(SECOND);
    assert_eq!(names(&bench.gone(1)), ["dial"]);
    assert_eq!(names(&bench.gone(1)), [""; 0]);
}

#[test]
fn a_refused_worker_closes_the_link_and_dials_in_five_seconds() {
    let mut bench = Bench::new(config(1));
    bench.tick();
    bench.worker.on_linked(LinkId(1), bench.now());
    let refused = bench.message(1, ToWorker::Refuse("another version".into()));
    assert_eq!((names(&refused), logged(&refused)), (vec!["close 1".into()], "the master refuses this worker: another version".into()));
    assert_eq!(names(&bench.pass(millis(4_999))), [""; 0]);
    assert_eq!(names(&bench.pass(millis(1))), ["dial"]);
}

#[test]
fn a_beat_goes_out_a_second_after_the_last_beat_or_delta() {
    let mut bench = Bench::running(1);
    assert_eq!(names(&bench.pass(millis(999))), [""; 0]);
    assert_eq!(names(&bench.report(report(0, 0, 1))), ["1:delta 1"]);
    assert_eq!(names(&bench.pass(millis(999))), [""; 0]);
    let actions = bench.pass(millis(1));
    assert!(matches!(actions[..], [Action::Send(_, ToMaster::Beat { sent })] if sent == millis(1_999)), "{actions:?}");
}

#[test]
fn time_zero_is_taken_from_the_answer_with_the_least_round_trip() {
    let mut bench = Bench::linked(config(1));
    bench.prepare(7);
    bench.now = millis(1_040);
    // The master's clock is 9,000 ms ahead; the answer was half-way at 1,020 ms.
    bench.message(1, ToWorker::Answer(Answer { echo: millis(1_000), clock: millis(10_020), acknowledged: None }));
    // The Welcome's round trip, of no time, said 0 ms ahead; only a link's last answers count.
    for _ in 0..30 {
        bench.message(1, ToWorker::Answer(Answer { echo: millis(1_000), clock: millis(10_020), acknowledged: None }));
    }
    assert_eq!(bench.worker.status(bench.now()).round_trip, Some(millis(40)));
    let actions = bench.orders(1, RunOrders { zero: millis(10_500), ..orders(1, Phase::Run) });
    assert!(matches!(actions[1], Action::Begin(zero) if zero == bench.start + millis(1_500)), "{actions:?}");
}

#[test]
fn log_lines_are_held_back_while_the_master_is_silent() {
    let mut bench = Bench::linked(config(1));
    bench.pass(3 * SECOND);
    bench.worker.on_log(LogLine { wall: SystemTime::UNIX_EPOCH, level: log::Level::Warn, target: "t".into(), text: "x".into() });
    assert_eq!(names(&bench.pass(millis(50))), [""; 0]);
    bench.hear(1);
    assert_eq!(names(&bench.pass(millis(50))), ["1:log 1"]);
}

#[test]
fn a_change_of_scripts_is_told_at_once_and_on_each_link_that_follows() {
    let mut bench = Bench::linked(config(1));
    assert_eq!(names(&bench.worker.on_scripts(Ok(("main.lua".into(), "g".into())))), ["1:scripts g None"]);
    assert_eq!(names(&bench.worker.on_scripts(Err("no".into()))), [r#"1:scripts g Some("no")"#]);
    bench.gone(1);
    assert_eq!(names(&bench.worker.on_scripts(Err("x".repeat(5_000)))), [""; 0], "there is nobody to tell");
    bench.now += SECOND;
    assert_eq!(bench.hello(2).fingerprint, "g");
    let told = names(&bench.welcome(2, None));
    assert!(told.iter().any(|name| *name == format!("2:scripts g Some({:?})", "x".repeat(2_048))), "{told:?}");
}
