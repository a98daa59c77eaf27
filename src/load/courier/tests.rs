//! Users that ask, and a test that plays the shell: it carries errands to a board, or does not.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;

/// A courier and the board that its errands are carried to.
struct Scene {
    courier: Arc<Courier>,
    board: Board<u8>,
    began: Instant,
}

impl Scene {
    fn new() -> Self {
        let courier = Arc::new(Courier::default());
        courier.attend();
        Self { courier, board: Board::default(), began: Instant::now() }
    }

    /// Carries what there is to carry, until there is nothing.
    fn carry(&mut self) {
        self.carry_at(Instant::now());
    }

    fn carry_at(&mut self, now: Instant) {
        while let Some(errand) = self.courier.take_errand(now) {
            let outcome = self.board.on_errand(&1, &errand, now.saturating_duration_since(self.began)).unwrap();
            self.courier.on_word(BoardWord::Reply(outcome.reply), now);
            for (_, notice) in outcome.notices {
                self.courier.on_word(BoardWord::Notice(notice), now);
            }
        }
    }

    /// Another worker brings a value, as the board sees it.
    fn other(&mut self, number: u64, ask: BoardAsk) -> BoardAnswer {
        self.board
            .on_errand(&2, &Errand { number, asks: vec![ask], flights: Vec::new() }, self.began.elapsed())
            .unwrap()
            .reply
            .answers
            .remove(0)
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn lease_of(begun: Option<Begun>) -> Lease {
    match begun {
        Some(Begun::Fill(lease)) => lease,
        other => panic!("{other:?}"),
    }
}

fn text(text: &str) -> Posted {
    Posted::Bytes(Arc::from(text.as_bytes()))
}

fn add(by: f64) -> BoardAsk {
    BoardAsk::Add { key: "n".into(), by }
}

#[test]
fn asks_of_all_users_go_together_and_each_has_its_own_answer() {
    runtime().block_on(async {
        let mut scene = Scene::new();
        let courier = scene.courier.clone();
        let (mut one, mut other) = (pin!(courier.ask(add(1.0))), pin!(courier.ask(add(2.0))));
        assert!(poll(one.as_mut()).is_none() && poll(other.as_mut()).is_none());
        let errand = courier.take_errand(Instant::now()).unwrap();
        assert_eq!((errand.number & u64::from(u32::MAX), errand.asks.len()), (1, 2));
        assert!(courier.take_errand(Instant::now()).is_none(), "one at a time");
        let reply = scene.board.on_errand(&1, &errand, Duration::ZERO).unwrap().reply;
        courier.on_word(BoardWord::Reply(Reply { number: 9, ..reply.clone() }), Instant::now());
        assert!(poll(one.as_mut()).is_none(), "an answer to something else");
        courier.on_word(BoardWord::Reply(reply), Instant::now());
        assert_eq!(poll(one.as_mut()).flatten(), Some(BoardAnswer::Sum(1.0)));
        assert_eq!(poll(other.as_mut()).flatten(), Some(BoardAnswer::Sum(3.0)));
        scene.carry();
    });
}

#[test]
fn without_a_master_a_user_waits_for_its_time_and_what_was_not_carried_is_withdrawn() {
    runtime().block_on(async {
        let mut scene = Scene::new();
        assert_eq!(scene.courier.ask(add(1.0)).await, None);
        scene.carry();
        assert_eq!(scene.other(1, add(1.0)), BoardAnswer::Sum(1.0), "the other one was never made");
    });
}

#[test]
fn users_of_a_worker_ask_for_a_key_once_and_take_the_copy_while_it_is_good() {
    runtime().block_on(async {
        let mut scene = Scene::new();
        let courier = scene.courier.clone();
        let mut users: Vec<_> = (0..50).map(|user| Box::pin(courier.begin("token", user))).collect();
        assert!(users.iter_mut().all(|user| poll(user.as_mut()).is_none()));
        let errand = courier.take_errand(Instant::now()).unwrap();
        assert_eq!(errand.asks, [BoardAsk::Begin { key: "token".into() }]);
        let reply = scene.board.on_errand(&1, &errand, Duration::ZERO).unwrap().reply;
        courier.on_word(BoardWord::Reply(reply), Instant::now());
        let lease = lease_of(poll(users[3].as_mut()));
        assert!(users.iter_mut().enumerate().all(|(user, begun)| user == 3 || poll(begun.as_mut()).is_none()));
        let mut finished = pin!(courier.finish(lease, text("abc"), Some(Duration::from_secs(50))));
        assert!(poll(finished.as_mut()).is_none());
        for (user, begun) in users.iter_mut().enumerate().filter(|(user, _)| *user != 3) {
            assert!(matches!(poll(begun.as_mut()), Some(Begun::Value(_))), "user {user} need not wait for the master");
        }
        scene.carry();
        assert_eq!(poll(finished.as_mut()).flatten(), Some(BoardAnswer::Done));
        assert!(courier.copy("token", Instant::now()).is_some());
        assert!(courier.take_errand(Instant::now()).is_none(), "a copy that is fresh costs nothing");
    });
}

#[test]
fn a_copy_is_held_against_the_board_each_second_and_given_out_meanwhile() {
    runtime().block_on(async {
        let mut scene = Scene::new();
        let courier = scene.courier.clone();
        assert_eq!(scene.other(1, BoardAsk::Set { key: "token".into(), value: Some(text("old")), ttl: None }), BoardAnswer::Done);
        let mut begun = pin!(courier.begin("token", 1));
        assert!(poll(begun.as_mut()).is_none());
        scene.carry();
        assert!(matches!(poll(begun.as_mut()), Some(Begun::Value(value)) if value == text("old")));
        scene.other(2, BoardAsk::Set { key: "token".into(), value: Some(text("new")), ttl: None });
        let now = Instant::now();
        assert_eq!(courier.copy("token", now), Some(text("old")));
        scene.carry_at(now);
        assert_eq!(courier.copy("token", now), Some(text("old")), "not asked yet");
        let later = now + LOOK_AGAIN;
        assert_eq!(courier.copy("token", later), Some(text("old")), "asked, and given out meanwhile");
        scene.carry_at(later);
        assert_eq!(courier.copy("token", later), Some(text("new")));
        scene.other(3, BoardAsk::Set { key: "token".into(), value: None, ttl: None });
        let last = later + LOOK_AGAIN;
        courier.copy("token", last);
        scene.carry_at(last);
        assert_eq!(courier.copy("token", last), None);
        assert_eq!(
            scene.other(4, BoardAsk::Begin { key: "token".into() }),
            BoardAnswer::Fill { flight: 2 },
            "who only looked fills nothing"
        );
    });
}

#[test]
fn a_copy_of_another_workers_value_ends_with_it() {
    runtime().block_on(async {
        let mut scene = Scene::new();
        let courier = scene.courier.clone();
        scene.other(1, BoardAsk::Set { key: "token".into(), value: Some(text("old")), ttl: Some(Duration::from_secs(5)) });
        let mut begun = pin!(courier.begin("token", 1));
        assert!(poll(begun.as_mut()).is_none());
        scene.carry();
        assert!(poll(begun.as_mut()).is_some());
        assert_eq!(courier.copy("token", Instant::now() + Duration::from_secs(6)), None);
    });
}

#[test]
fn a_lease_that_is_dropped_and_one_that_nobody_waits_for_any_more_are_given_up() {
    runtime().block_on(async {
        let mut scene = Scene::new();
        let courier = scene.courier.clone();
        let mut begun = Box::pin(courier.begin("token", 1));
        assert!(poll(begun.as_mut()).is_none());
        scene.carry();
        drop(lease_of(poll(begun.as_mut())));
        scene.carry();
        assert_eq!(scene.other(1, BoardAsk::Begin { key: "token".into() }), BoardAnswer::Fill { flight: 2 });
        scene.other(2, BoardAsk::GiveUp { key: "token".into(), flight: 2 });
        let mut begun = Box::pin(courier.begin("token", 1));
        assert!(poll(begun.as_mut()).is_none());
        // The user ends while its question is on its way.
        let errand = courier.take_errand(Instant::now()).unwrap();
        drop(begun);
        let reply = scene.board.on_errand(&1, &errand, Duration::ZERO).unwrap().reply;
        assert_eq!(reply.answers, [BoardAnswer::Fill { flight: 3 }]);
        courier.on_word(BoardWord::Reply(reply), Instant::now());
        scene.carry();
        assert_eq!(scene.other(3, BoardAsk::Begin { key: "token".into() }), BoardAnswer::Fill { flight: 4 });
    });
}

#[test]
fn a_user_that_was_to_claim_a_flight_and_ended_leaves_it_to_the_next() {
    runtime().block_on(async {
        let mut scene = Scene::new();
        let courier = scene.courier.clone();
        let (mut one, mut other) = (Box::pin(courier.begin("token", 1)), Box::pin(courier.begin("token", 2)));
        assert!(poll(one.as_mut()).is_none() && poll(other.as_mut()).is_none());
        scene.carry();
        drop(one);
        let lease = lease_of(poll(other.as_mut()));
        let mut own = Box::pin(courier.begin("token", 2));
        assert!(matches!(poll(own.as_mut()), Some(Begun::Own)), "inside of the function that fills it");
        drop((own, lease));
        scene.carry();
        let mut third = Box::pin(courier.begin("token", 3));
        assert!(poll(third.as_mut()).is_none());
        scene.carry();
        drop(third);
        scene.carry();
        assert!(matches!(scene.other(1, BoardAsk::Begin { key: "token".into() }), BoardAnswer::Fill { .. }), "nobody claimed it");
    });
}

#[test]
fn flights_are_told_of_each_second() {
    runtime().block_on(async {
        let mut scene = Scene::new();
        let courier = scene.courier.clone();
        let mut begun = Box::pin(courier.begin("token", 1));
        assert!(poll(begun.as_mut()).is_none());
        let now = Instant::now();
        scene.carry_at(now);
        let _lease = lease_of(poll(begun.as_mut()));
        assert_eq!(courier.take_errand(now), None);
        let reminder = courier.take_errand(now + LOOK_AGAIN).unwrap();
        assert_eq!((reminder.asks, reminder.flights), (vec![], vec![("token".to_owned(), 1)]));
    });
}

#[test]
fn users_meet_across_workers_and_one_whose_time_is_up_does_not_count() {
    runtime().block_on(async {
        let mut scene = Scene::new();
        let courier = scene.courier.clone();
        let gather = |waiting| BoardAsk::Gather { name: "start".into(), size: 3, waiting, seen: 0 };
        assert_eq!(courier.meet("start", 3, Duration::from_secs(1)).await, Met::TimeIsUp);
        let (mut one, mut other) = (Box::pin(courier.meet("start", 3, LEASE)), Box::pin(courier.meet("start", 3, LEASE)));
        assert!(poll(one.as_mut()).is_none() && poll(other.as_mut()).is_none());
        let wrong = courier.meet("start", 4, LEASE).await;
        assert_eq!(wrong, Met::Refused("`start` is for 3 users elsewhere, and for 4 here".into()));
        scene.carry();
        drop(other);
        scene.carry();
        assert_eq!(scene.other(1, gather(1)), BoardAnswer::Gathered { released: 0 });
        let mut third = Box::pin(courier.meet("start", 3, LEASE));
        assert!(poll(third.as_mut()).is_none());
        scene.carry();
        assert_eq!((poll(one.as_mut()), poll(third.as_mut())), (Some(Met::All), Some(Met::All)));
        assert_eq!(scene.other(2, gather(1)), BoardAnswer::Gathered { released: 1 });
    });
}

#[test]
fn where_nobody_carries_errands_the_courier_has_a_board_of_its_own_and_one_user_meets_itself() {
    runtime().block_on(async {
        let courier = Arc::new(Courier::default());
        assert_eq!(courier.ask(add(2.0)).await, Some(BoardAnswer::Sum(2.0)));
        let Begun::Fill(lease) = courier.begin("token", 1).await else { panic!("nobody fills it") };
        assert_eq!(courier.finish(lease, text("abc"), None).await, Some(BoardAnswer::Done));
        assert!(matches!(courier.begin("token", 2).await, Begun::Value(value) if value == text("abc")));
        assert_eq!(courier.meet("start", 500, LEASE).await, Met::All);
    });
}

#[test]
fn without_an_answer_for_its_time_a_user_is_told_that_no_master_is_there() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let scene = Scene::new();
        scene.courier.lock().enter("token");
        let long_ago = Instant::now().checked_sub(ANSWER_TIME).unwrap();
        assert!(matches!(scene.courier.next("token", 1, long_ago, Instant::now()), Next::Is(Begun::Away)));
        scene.courier.lock().heard = Some(Instant::now());
        assert!(matches!(scene.courier.next("token", 1, long_ago, Instant::now()), Next::Wait(_)));
    });
}
