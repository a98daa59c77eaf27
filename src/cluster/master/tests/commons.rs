//! The board of a run: who is answered when, and what a master's end leaves of it.

use super::*;
use crate::cluster::record::KeptRun;
use crate::load::errand::{BoardAnswer, BoardAsk, BoardWord, Errand, Notice, Posted, Reply};

fn errand(number: u64, ask: BoardAsk) -> ToMaster {
    ToMaster::Errand { run: RunId(7), errand: Arc::new(Errand { number, asks: vec![ask], flights: Vec::new() }) }
}

fn add() -> BoardAsk {
    BoardAsk::Add { key: "n".into(), by: 1.0 }
}

fn begin() -> BoardAsk {
    BoardAsk::Begin { key: "token".into() }
}

impl Stand {
    /// What workers have been told of the board.
    fn told(&mut self) -> Vec<(u64, BoardWord)> {
        let word = |(link, message)| if let ToWorker::Board { word, .. } = message { Some((link, word)) } else { None };
        self.sent().into_iter().filter_map(word).collect()
    }

    /// What is to be kept.
    fn kept(&mut self) -> Vec<Record> {
        let record = |action| if let Action::Keep(_, record) = action { Some(record) } else { None };
        std::mem::take(&mut self.actions).into_iter().filter_map(record).collect()
    }

    fn answer(&mut self, worker: u64, number: u64, ask: BoardAsk) -> Vec<BoardAnswer> {
        self.told();
        self.message(worker, errand(number, ask));
        let replies = self.told().into_iter().filter_map(|(link, word)| match word {
            BoardWord::Reply(reply) if link == worker && reply.number == number => Some(reply.answers),
            _ => None,
        });
        replies.flatten().collect()
    }
}

fn with_journal() -> MasterConfig {
    MasterConfig { has_journal: true, ..config() }
}

fn is_errand(action: &Action) -> Option<u64> {
    if let Action::Keep(number, Record::Errand(_)) = action { Some(*number) } else { None }
}

#[test]
fn what_changes_the_board_is_answered_once_the_journal_has_it_and_the_rest_at_once() {
    let mut stand = Stand::running_with(with_journal(), 2, 10);
    stand.message(1, errand(1, add()));
    let record = stand.actions.iter().find_map(is_errand).expect("it is kept");
    assert_eq!(stand.told(), []);
    stand.message(1, errand(1, add()));
    assert!(!stand.actions.iter().any(|action| is_errand(action).is_some()), "said again while it is being kept");
    let actions = stand.master.on_kept(record);
    stand.actions.extend(actions);
    let reply = BoardWord::Reply(Reply { number: 1, answers: vec![BoardAnswer::Sum(1.0)] });
    assert_eq!(stand.told(), [(1, reply)]);
    assert_eq!(stand.answer(1, 1, add()), [BoardAnswer::Sum(1.0)], "said again after a lost link");
    assert_eq!(stand.answer(2, 1, BoardAsk::Get { key: "n".into() }).len(), 1);
}

#[test]
fn a_lost_worker_leaves_its_flights_to_those_who_wait() {
    let mut stand = Stand::running(2, 10);
    assert_eq!(stand.answer(1, 1, begin()), [BoardAnswer::Fill { flight: 1 }]);
    assert_eq!(stand.answer(2, 1, begin()), [BoardAnswer::Wait]);
    stand.live(Duration::from_secs(4), &[2]);
    assert_eq!(stand.told(), [(2, BoardWord::Notice(Notice::Landed("token".into())))]);
    assert_eq!(stand.answer(2, 2, begin()), [BoardAnswer::Fill { flight: 2 }]);
}

#[test]
fn a_worker_that_leaves_in_order_leaves_its_flights_too() {
    let mut stand = Stand::running(2, 10);
    stand.answer(1, 1, begin());
    stand.answer(2, 1, begin());
    stand.message(1, ToMaster::Goodbye);
    assert_eq!(stand.told(), [(2, BoardWord::Notice(Notice::Landed("token".into())))]);
}

#[test]
fn a_run_that_a_worker_brings_has_a_board_that_nobody_knows() {
    let mut stand = Stand::new();
    stand.hello(1, Some(standing(&SlotSet::all(), Duration::from_secs(41), 0)));
    assert_eq!(stand.answer(1, 9, add()), [], "who owns what is not known yet");
    stand.live(Duration::from_secs(5), &[1]);
    assert_eq!(stand.answer(1, 9, add()), [BoardAnswer::Unknown]);
}

#[test]
fn what_one_master_does_not_know_the_next_one_does_not_know_either_though_it_has_a_journal() {
    let mut stand = Stand::with(with_journal());
    stand.hello(1, Some(standing(&SlotSet::all(), Duration::from_secs(41), 0)));
    stand.live(Duration::from_secs(5), &[1]);
    let kept = KeptRun::from_records(stand.kept()).unwrap();
    assert_eq!(KeptRun::from_records(kept.clone().into_records()), Some(kept.clone()));
    let mut next = Stand::new();
    next.master = Master::restored(with_journal(), kept, next.now);
    next.hello(1, Some(standing(&SlotSet::all(), Duration::from_secs(48), 0)));
    next.live(Duration::from_secs(5), &[1]);
    assert_eq!(next.answer(1, 9, add()), [BoardAnswer::Unknown]);
}

#[test]
fn a_run_that_the_journal_knows_goes_on_with_its_board() {
    let mut stand = Stand::running_with(with_journal(), 1, 10);
    stand.message(1, errand(1, add()));
    stand.message(1, errand(2, BoardAsk::Set { key: "t".into(), value: Some(Posted::Number(5.0)), ttl: None }));
    let kept = KeptRun::from_records(stand.kept()).unwrap();
    assert_eq!(KeptRun::from_records(kept.clone().into_records()), Some(kept.clone()), "written anew it says the same");
    let mut next = Stand::new();
    next.master = Master::restored(with_journal(), kept, next.now);
    next.hello(1, Some(standing(&SlotSet::all(), Duration::from_secs(41), 0)));
    next.live(Duration::from_secs(5), &[1]);
    assert_eq!(next.answer(1, 1, add()), [], "it was followed by another one");
    assert_eq!(next.answer(1, 2, add()), [BoardAnswer::Done], "the answer that it had");
    next.message(1, errand(3, add()));
    let record = next.actions.iter().find_map(is_errand).expect("it is kept");
    let actions = next.master.on_kept(record);
    next.actions.extend(actions);
    assert_eq!(next.told(), [(1, BoardWord::Reply(Reply { number: 3, answers: vec![BoardAnswer::Sum(2.0)] }))]);
}

#[test]
fn a_new_run_begins_with_an_empty_board_and_cleared_statistics_change_nothing() {
    let mut stand = Stand::running(1, 10);
    assert_eq!(stand.answer(1, 1, add()), [BoardAnswer::Sum(1.0)]);
    let now = stand.now;
    stand.master.on_reset(now);
    assert_eq!(stand.answer(1, 2, add()), [BoardAnswer::Sum(2.0)]);
    stand.master.on_stop(now);
    assert_eq!(stand.answer(1, 3, add()), [BoardAnswer::Sum(3.0)], "users that finish may ask");
    stand.last_delta(1, 1);
    assert_eq!(stand.answer(1, 4, add()), [], "the run is over");
    stand.start(5);
    stand.message(1, ToMaster::Prepared { run: RunId(7), revision: 0 });
    assert_eq!(stand.answer(1, 1, add()), [BoardAnswer::Sum(1.0)]);
}
