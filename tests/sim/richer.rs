//! The drawing of a life from a seed: what was drawn at first, and chapters in which several things happen together, as they do in clusters.

use std::time::Duration;

use super::chance::Chance;
use super::scenario::{Event, LEAST_RATE, Scenario, Weather};

impl Scenario {
    /// The scenario of a seed.
    pub fn drawn(seed: u64) -> Self {
        let mut scenario = Self { is_of_first_drawing: false, ..Self::drawn_at_first(seed) };
        let mut chance = Chance::new(seed, 3);
        if chance.percent(3) {
            scenario.workers = usize::try_from(chance.between(12, 50)).unwrap();
            scenario.lanes = 1;
        }
        if chance.percent(8) {
            // From report to report it is a second.
            scenario.weather = Weather { delay: (700, 1_200), stalls: 0 };
        }
        let (heal, _) = scenario.events.pop().expect("the last event heals");
        for _ in 0..chance.between(0, 2) {
            let at = chance.millis(1_500, u64::try_from(heal.as_millis()).unwrap().max(1_600));
            scenario.add_chapter(at, &mut chance);
        }
        scenario.events.sort_by_key(|(at, _)| *at);
        let last = scenario.events.last().map_or(heal, |(at, _)| *at);
        scenario.events.push((heal.max(last), Event::Heal));
        scenario
    }

    fn add_chapter(&mut self, at: Duration, chance: &mut Chance) {
        let worker = usize::try_from(chance.below(60)).unwrap();
        match chance.below(9) {
            0 => self.add_pause(at, chance),
            1 => self.add_impatience(at, chance),
            2 => self.add_rollout(at, chance),
            3 => self.events.push((at, Event::FreezeMaster { lasts: chance.millis(300, 12_000), sleeps: false })),
            4 => self.events.push((at, Event::FreezeMaster { lasts: chance.millis(300, 4_000), sleeps: true })),
            5 => {
                let (back_after, forgets) = (chance.millis(200, 5_000), usize::try_from(chance.between(1, 20)).unwrap());
                self.events.push((at, Event::KillMaster { back_after, loses_journal: false, forgets }));
            }
            6 => self.events.push((at, again(chance))),
            7 if !self.has_journal => self.events.push((at, Event::Surge { lasts: chance.millis(300, 9_000) })),
            7 => self.events.push((at, Event::Sleep { worker, lasts: chance.millis(300, 4_000) })),
            _ => self.add_haste(at, worker, chance),
        }
    }

    fn add_pause(&mut self, at: Duration, chance: &mut Chance) {
        self.events.push((at, Event::Pause));
        self.events.push((at + chance.millis(300, 12_000), Event::Resume));
    }

    /// Somebody cannot make up their mind.
    fn add_impatience(&mut self, mut at: Duration, chance: &mut Chance) {
        for _ in 0..chance.between(3, 8) {
            self.events.push((at, retarget(chance)));
            at += chance.millis(20, 900);
        }
    }

    /// All workers are replaced, one after the other.
    fn add_rollout(&mut self, mut at: Duration, chance: &mut Chance) {
        for _ in 0..self.workers {
            self.events.push((at, Event::Join));
            at += chance.millis(0, 3_000);
            self.events.push((at, Event::Roll));
            at += chance.millis(0, 2_500);
        }
    }

    /// Users are about to move, and something else is wanted before they have.
    fn add_haste(&mut self, at: Duration, worker: usize, chance: &mut Chance) {
        let churn = match chance.below(4) {
            0 => Event::Join,
            1 => Event::Leave { worker },
            2 => Event::Kill { worker, comes_back_after: Some(chance.millis(100, 3_000)) },
            _ => retarget(chance),
        };
        self.events.push((at, churn));
        let at = at + chance.millis(0, 4_500);
        match chance.below(5) {
            0 => self.events.push((at, Event::Reset)),
            1 => self.events.push((at, again(chance))),
            2 => self.add_pause(at, chance),
            3 => self.events.push((at, Event::Revise)),
            _ => self.events.push((at, retarget(chance))),
        }
    }
}

fn users_and_rate(chance: &mut Chance) -> (u32, u32) {
    (u32::try_from(chance.between(1, 90)).unwrap(), u32::try_from(chance.between(LEAST_RATE, 60)).unwrap())
}

fn retarget(chance: &mut Chance) -> Event {
    let (users, spawn_rate) = users_and_rate(chance);
    Event::Retarget { users, spawn_rate }
}

fn again(chance: &mut Chance) -> Event {
    let (users, spawn_rate) = users_and_rate(chance);
    Event::Again { users, spawn_rate }
}
