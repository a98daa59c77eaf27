//! Numbers that users draw from the board of the run, as `shared.cluster.incr` does: none is handed out twice, and none is more than were asked for,
//! whatever happens to workers, links, masters and their journals.
//!
//! A clerk in each worker's lanes draws one number after the other, as its courier would. Two masters at a time, and a journal of which a part is gone that
//! was on the disk, may hand out what they do not know of: there nothing is promised.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lunamoth::load::errand::{BoardAnswer, BoardAsk, BoardWord, Errand};
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
    /// Of the errand that is under way.
    open: Option<u64>,
    next: Duration,
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
        lanes.clerk.open = Some(counting.errands);
        let asks = vec![BoardAsk::Add { key: "numbers".into(), by: 1.0 }; 1 + seat % 3];
        *counting.asked.entry(lanes.run()).or_default() += asks.len() as u64;
        let actions = worker.on_errand(Errand { number: counting.errands, asks, flights: Vec::new() }, instant);
        self.do_worker(seat, actions);
    }

    /// A word of the board's has come to a worker's users.
    pub fn on_board(&mut self, seat: usize, word: BoardWord) {
        let BoardWord::Reply(reply) = word else { return };
        let (Some(counting), Some(lanes)) = (&mut self.counting, &mut self.seats[seat].lanes) else { return };
        if lanes.clerk.open != Some(reply.number) {
            return;
        }
        lanes.clerk.open = None;
        lanes.clerk.next = self.now + Duration::from_millis(150);
        let run = lanes.run();
        let asked = counting.asked.get(&run).copied().unwrap_or(0);
        let mut wrong = None;
        for answer in reply.answers {
            match answer {
                BoardAnswer::Sum(number) => {
                    let number = number as u64;
                    if !counting.drawn.entry(run).or_default().insert(number) {
                        wrong = Some(format!("number {number} of run {run} was handed out twice"));
                    } else if number > asked {
                        wrong = Some(format!("number {number} of run {run} was handed out, and {asked} were asked for"));
                    }
                }
                BoardAnswer::Unknown => counting.unknown += 1,
                other => wrong = Some(format!("a draw was answered by {other:?}")),
            }
        }
        if let Some(wrong) = wrong.filter(|_| !counting.is_in_doubt) {
            self.fail(wrong);
        }
    }

    pub fn doubt_numbers(&mut self, is_in_doubt: bool) {
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

const LIVES: u64 = 30;
