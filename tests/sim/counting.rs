//! Numbers that users draw from the board of the run, as `shared.cluster.incr` does: none is handed out twice, and none is more than were asked for,
//! whatever happens to workers, links, masters and their journals. And a value that one user fetches for all of them, as `shared.cluster.cached` does.
//!
//! A clerk in each worker's lanes draws one number after the other, as its courier would, and looks for the value. Two masters at a time, and a journal of which a part is gone that
//! was on the disk, may hand out what they do not know of: there nothing is promised.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lunamoth::load::errand::{BoardAnswer, BoardAsk, BoardWord, Errand, Posted};
use lunamoth::plan::RunId;

use super::scenario::Scenario;
use super::world::World;

/// What was drawn in a life.
#[derive(Debug, Default)]
pub struct Counting {
    asked: BTreeMap<RunId, u64>,
    drawn: BTreeMap<RunId, BTreeSet<u64>>,
    /// How often a master has said that nobody knows.
    pub unknown: u64,
    /// Nothing is promised any more.
    pub is_in_doubt: bool,
    errands: u64,
}

impl Counting {
    /// How many numbers were drawn in all runs.
    pub fn count(&self) -> usize {
        self.drawn.values().map(BTreeSet::len).sum()
    }
}

/// Draws for the users of one worker.
#[derive(Debug, Default)]
pub struct Clerk {
    /// The errand that is under way, and what it asks.
    open: Option<(u64, Vec<BoardAsk>)>,
    next: Duration,
    /// The value that a user of the worker fetches.
    fetching: Option<Fetching>,
    /// When somebody wants it again.
    wants_value: Duration,
}

/// A value on its way to the board.
#[derive(Debug, Clone, Copy)]
struct Fetching {
    flight: u64,
    since: Duration,
    ends: Duration,
}

impl World {
    /// A worker's users draw, where none of their draws is under way.
    pub fn draw_numbers(&mut self, seat: usize) {
        let (now, instant) = (self.now, self.instant_of(seat));
        let place = &mut self.seats[seat];
        let (Some(counting), Some(lanes), Some(worker)) = (&mut self.counting, &mut place.lanes, &mut place.machine) else { return };
        if lanes.users() == 0 || lanes.clerk.open.is_some() || now < lanes.clerk.next {
            return;
        }
        counting.errands += 1;
        let mut asks = vec![BoardAsk::Add { key: "numbers".into(), by: 1.0 }; 1 + seat % 3];
        *counting.asked.entry(lanes.run()).or_default() += asks.len() as u64;
        let mut flights: Vec<_> = lanes.clerk.fetching.iter().map(|fetching| (VALUE.to_owned(), fetching.flight)).collect();
        match lanes.clerk.fetching {
            None if now >= lanes.clerk.wants_value => asks.push(BoardAsk::Begin { key: VALUE.into() }),
            Some(Fetching { flight, ends, .. }) if ends <= now => {
                let value = Posted::Number(flight as f64);
                let ttl = Some(Duration::from_secs(3));
                asks.push(if flight.is_multiple_of(5) {
                    BoardAsk::GiveUp { key: VALUE.into(), flight }
                } else {
                    BoardAsk::Finish { key: VALUE.into(), flight, value, ttl }
                });
                flights.clear();
            }
            _ => {}
        }
        lanes.clerk.open = Some((counting.errands, asks.clone()));
        let actions = worker.on_errand(Errand { number: counting.errands, asks, flights }, instant);
        self.do_worker(seat, actions);
    }

    /// A word of the board's has come to a worker's users.
    pub fn on_board(&mut self, seat: usize, word: BoardWord) {
        let BoardWord::Reply(reply) = word else { return };
        let (Some(counting), Some(lanes)) = (&mut self.counting, &mut self.seats[seat].lanes) else { return };
        let Some((_, asks)) = lanes.clerk.open.take_if(|(number, _)| *number == reply.number) else { return };
        lanes.clerk.next = self.now + Duration::from_millis(150);
        let run = lanes.run();
        let asked = counting.asked.get(&run).copied().unwrap_or(0);
        let (mut wrong, mut filled) = (None, None);
        for (ask, answer) in asks.into_iter().zip(reply.answers) {
            match (ask, answer) {
                (BoardAsk::Begin { .. }, BoardAnswer::Fill { flight }) => filled = Some(flight),
                (BoardAsk::Begin { .. }, _) => lanes.clerk.wants_value = self.now + Duration::from_secs(1),
                (BoardAsk::Finish { .. } | BoardAsk::GiveUp { .. }, _) => lanes.clerk.fetching = None,
                (_, BoardAnswer::Sum(number)) => {
                    let number = number as u64;
                    if !counting.drawn.entry(run).or_default().insert(number) {
                        wrong = Some(format!("number {number} of run {run} was handed out twice"));
                    } else if number > asked {
                        wrong = Some(format!("number {number} of run {run} was handed out, and {asked} were asked for"));
                    }
                }
                (_, BoardAnswer::Unknown) => counting.unknown += 1,
                (_, other) => wrong = Some(format!("a draw was answered by {other:?}")),
            }
        }
        if let Some(flight) = filled {
            let takes = Duration::from_millis(200 + flight * 397 % 1_800);
            lanes.clerk.fetching = Some(Fetching { flight, since: self.now, ends: self.now + takes });
            wrong = wrong.or_else(|| self.fetched_twice(seat, run));
        }
        let is_in_doubt = self.counting.as_ref().is_none_or(|counting| counting.is_in_doubt);
        if let Some(wrong) = wrong.filter(|_| !is_in_doubt) {
            self.fail(wrong);
        }
    }

    /// Somebody else who is in touch fetches the value as well.
    fn fetched_twice(&self, seat: usize, run: RunId) -> Option<String> {
        let fetches = |other: usize| {
            let lanes = self.seats[other].lanes.as_ref().filter(|lanes| lanes.run() == run && !lanes.is_finished);
            let fetching = lanes.and_then(|lanes| lanes.clerk.fetching);
            // What has been fetched is on its way to the board.
            let is_at_it = fetching.filter(|fetching| self.now < fetching.ends);
            is_at_it.is_some_and(|fetching| self.watch.hears_since(other).is_some_and(|heard| heard <= fetching.since))
        };
        let other = self.alive().find(|&other| other != seat && fetches(other))?;
        Some(format!("workers {other} and {seat} fetch one value at the same time"))
    }

    /// What a journal says of numbers and rows is not all that was given out.
    pub fn doubt_what_was_given(&mut self, is_in_doubt: bool) {
        self.takings.is_in_doubt |= is_in_doubt;
        if let Some(counting) = &mut self.counting {
            counting.is_in_doubt |= is_in_doubt;
        }
    }
}

fn lived(scenario: Scenario, prepare: impl Fn(&mut World)) -> World {
    let mut world = World::new(scenario, None, false);
    world.counting = Some(Counting::default());
    prepare(&mut world);
    world.live();
    world
}

#[test]
fn no_number_is_handed_out_twice_whatever_happens() {
    let (mut drawn, mut unknown, mut told) = (0, 0, 0);
    for seed in 0..LIVES {
        let world = lived(Scenario::drawn(16_000_000 + seed), |_| {});
        let counting = world.counting.unwrap();
        // What else goes wrong is told by the lives in which nobody draws.
        if let Some(why) = world.violation.filter(|why| why.contains("number ") || why.contains("a draw")) {
            panic!("seed {}: {why}", 16_000_000 + seed);
        }
        drawn += counting.count();
        unknown += u64::from(counting.unknown > 0);
        told += u64::from(!counting.is_in_doubt);
    }
    println!("{LIVES} lives: {drawn} numbers; in {unknown} somebody heard that nobody knows; in {told} nothing was in doubt");
    assert!(drawn > 3_000 && unknown > 0 && told > LIVES / 2, "{drawn} numbers, {unknown} and {told} of {LIVES} lives");
}

/// The key of the value that is fetched once for all.
const VALUE: &str = "token";
const LIVES: u64 = 30;
