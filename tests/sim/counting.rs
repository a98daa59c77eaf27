//! Numbers that users draw from the board of the run, as `shared.cluster.incr` does: none is handed out twice, and none is more than were asked for,
//! whatever happens to workers, links, masters and their journals. A value that one user fetches for all of them, as `shared.cluster.cached` does. And
//! users that wait for each other, as at `shared.cluster.barrier`.
//!
//! A clerk in each worker's lanes draws one number after the other, as its courier would, and looks for the value. Two masters at a time, and a journal of which a part is gone that
//! was on the disk, may hand out what they do not know of: there nothing is promised.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lunamoth::load::errand::{BoardAnswer, BoardAsk, BoardWord, Errand, Notice, Posted};
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
    /// Users that have come to the barrier, and those that heard that they may go on.
    came: BTreeMap<RunId, u64>,
    let_go: BTreeMap<RunId, u64>,
    let_go_last: Duration,
    /// Since when as many wait as are needed.
    crowded_since: Option<Duration>,
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
    meeting: Meeting,
}

/// Users of one worker at the barrier.
#[derive(Debug, Default)]
struct Meeting {
    waiting: u32,
    came: u64,
    /// How many the board has let go.
    seen: u64,
}

impl Meeting {
    /// The board says how many it has let go of this worker's. How many of those are news.
    fn on_released(&mut self, released: u64) -> u64 {
        let news = released.saturating_sub(self.seen);
        self.seen += news;
        self.waiting = self.waiting.saturating_sub(u32::try_from(news).unwrap_or(u32::MAX));
        news
    }
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
        let (now, instant, gathers) = (self.now, self.instant_of(seat), self.scenario.habits.gathers);
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
        if let Some(size) = gathers {
            let users = lanes.users() as u64;
            let (run, meeting) = (lanes.run(), &mut lanes.clerk.meeting);
            if u64::from(meeting.waiting) < users {
                (meeting.waiting, meeting.came) = (meeting.waiting + 1, meeting.came + 1);
                *counting.came.entry(run).or_default() += 1;
            }
            asks.push(BoardAsk::Gather { name: BARRIER.into(), size, waiting: meeting.waiting, seen: meeting.seen });
        }
        lanes.clerk.open = Some((counting.errands, asks.clone()));
        let actions = worker.on_errand(Errand { number: counting.errands, asks, flights }, instant);
        self.do_worker(seat, actions);
    }

    /// A word of the board's has come to a worker's users.
    pub fn on_board(&mut self, seat: usize, word: BoardWord) {
        let reply = match word {
            BoardWord::Reply(reply) => reply,
            BoardWord::Notice(Notice::Opened { released, .. }) => return self.on_released(seat, released),
            BoardWord::Notice(Notice::Landed(_)) => return,
        };
        let (Some(counting), Some(lanes)) = (&mut self.counting, &mut self.seats[seat].lanes) else { return };
        let Some((_, asks)) = lanes.clerk.open.take_if(|(number, _)| *number == reply.number) else { return };
        lanes.clerk.next = self.now + Duration::from_millis(150);
        let run = lanes.run();
        let asked = counting.asked.get(&run).copied().unwrap_or(0);
        let (mut wrong, mut filled, mut let_go) = (None, None, None);
        for (ask, answer) in asks.into_iter().zip(reply.answers) {
            match (ask, answer) {
                (BoardAsk::Begin { .. }, BoardAnswer::Fill { flight }) => filled = Some(flight),
                (BoardAsk::Begin { .. }, _) => lanes.clerk.wants_value = self.now + Duration::from_secs(1),
                (BoardAsk::Finish { .. } | BoardAsk::GiveUp { .. }, _) => lanes.clerk.fetching = None,
                (BoardAsk::Gather { .. }, BoardAnswer::Gathered { released }) => let_go = Some(released),
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
        let_go.into_iter().for_each(|released| self.on_released(seat, released));
    }

    /// Users of a worker hear that so many of them are let go, in all.
    fn on_released(&mut self, seat: usize, released: u64) {
        let has_one_master = self.master.number == 1;
        let Some(size) = self.scenario.habits.gathers.map(u64::from) else { return };
        let (Some(counting), Some(lanes)) = (&mut self.counting, &mut self.seats[seat].lanes) else { return };
        let run = lanes.run();
        let news = lanes.clerk.meeting.on_released(released);
        let let_go = counting.let_go.entry(run).or_default();
        *let_go += news;
        if news > 0 {
            counting.let_go_last = self.now;
        }
        let (let_go, came) = (*let_go, counting.came.get(&run).copied().unwrap_or(0));
        let Meeting { came: here, seen, .. } = lanes.clerk.meeting;
        // What a master that died had let go is known to the workers that it told, and to nobody else.
        let is_early = seen > here || has_one_master && let_go > came / size * size;
        if is_early && !counting.is_in_doubt {
            self.fail(format!(
                "of {came} users, {here} of them on worker {seat}, {let_go} and {seen} were let go, where {size} wait for each other"
            ));
        }
    }

    /// So many wait as are needed, everybody hears the master, and nobody has been let go for long.
    pub fn kept_waiting(&mut self) -> Option<String> {
        let size = u64::from(self.scenario.habits.gathers?);
        let is_quiet = self.operator.ended.is_none() && !self.operator.asked_stop && self.retiring.is_none();
        let waiting: u64 =
            self.running().filter(|(_, lanes)| lanes.users() > 0).map(|(_, lanes)| u64::from(lanes.clerk.meeting.waiting)).sum();
        let (now, within, quiet_since) = (self.now, LET_GO_WITHIN + self.slack(), self.watch.disturbed_until());
        let counting = self.counting.as_mut()?;
        let crowded_since = counting.crowded_since.take().filter(|_| waiting >= size).unwrap_or(now);
        counting.crowded_since = (waiting >= size).then_some(crowded_since);
        let is_late = is_quiet && now > crowded_since.max(counting.let_go_last).max(quiet_since) + within;
        is_late.then(|| format!("{waiting} users are kept waiting where {size} wait for each other"))
    }

    /// Somebody else who is in touch fetches the value as well. One that was out of reach when that one was asked to may hear late that it had been
    /// asked before.
    fn fetched_twice(&self, seat: usize, run: RunId) -> Option<String> {
        let fetches = |other: usize| {
            let lanes = self.seats[other].lanes.as_ref().filter(|lanes| lanes.run() == run && !lanes.is_finished);
            let fetching = lanes.and_then(|lanes| lanes.clerk.fetching);
            // What has been fetched is on its way to the board.
            let is_at_it = fetching.filter(|fetching| self.now < fetching.ends);
            is_at_it.is_some_and(|fetching| [other, seat].iter().all(|one| self.was_in_touch(*one, fetching.since)))
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
/// Where users wait for each other.
const BARRIER: &str = "start";
/// An errand and its answer, or two of them.
const LET_GO_WITHIN: Duration = Duration::from_secs(6);
const LIVES: u64 = 30;
