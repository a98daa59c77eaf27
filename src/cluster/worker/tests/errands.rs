//! What users ask of the board, on its way to a master and back.

use super::*;
use crate::load::errand::{BoardAnswer, BoardAsk, BoardWord, Notice, Reply};

fn errand(number: u64) -> Errand {
    Errand { number, asks: vec![BoardAsk::Get { key: "k".into() }], flights: Vec::new() }
}

fn reply(number: u64) -> ToWorker {
    ToWorker::Board { run: RUN, word: BoardWord::Reply(Reply { number, answers: vec![BoardAnswer::Nothing] }) }
}

/// What it sends of errands.
fn errands(actions: &[Action]) -> Vec<String> {
    names(actions).into_iter().filter(|name| name.contains("errand")).collect()
}

#[test]
fn an_errand_is_said_each_second_and_at_once_on_a_new_link_until_it_is_answered() {
    let mut bench = Bench::running(1);
    let now = bench.now();
    assert_eq!(errands(&bench.worker.on_errand(errand(1), now)), ["1:errand 1"]);
    assert_eq!(errands(&bench.pass(millis(999))), [""; 0]);
    assert_eq!(errands(&bench.pass(millis(1))), ["1:errand 1"]);
    bench.gone(1);
    bench.tick();
    bench.link(2, None);
    assert_eq!(errands(&bench.tick()), ["2:errand 1"]);
    assert_eq!(names(&bench.message(2, reply(1))).len(), 1);
    assert_eq!(names(&bench.message(2, reply(1))), [""; 0], "the same answer again");
    assert_eq!(errands(&bench.pass(millis(1_000))), [""; 0]);
}

#[test]
fn an_answer_of_another_run_or_to_another_errand_is_none_and_a_notice_is_handed_on() {
    let mut bench = Bench::running(1);
    let now = bench.now();
    bench.worker.on_errand(errand(2), now);
    assert_eq!(names(&bench.message(1, reply(1))), [""; 0]);
    let landed = |run| ToWorker::Board { run, word: BoardWord::Notice(Notice::Landed("k".into())) };
    assert_eq!(names(&bench.message(1, landed(RunId(8)))), [""; 0]);
    assert_eq!(names(&bench.message(1, landed(RUN))).len(), 1);
    assert_eq!(names(&bench.message(1, reply(2))).len(), 1);
}

#[test]
fn what_is_left_of_a_run_that_is_over_is_not_said() {
    let mut bench = Bench::finished();
    let now = bench.now();
    assert_eq!(errands(&bench.worker.on_errand(errand(1), now)), [""; 0]);
    assert_eq!(errands(&bench.pass(millis(1_000))), [""; 0]);
}
