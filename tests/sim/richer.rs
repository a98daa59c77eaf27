//! The drawing of a life from a seed: what was drawn at first, and chapters in which several things happen together, as they do in clusters.

use std::time::Duration;

use lunamoth::plan::{IterationsProfile, LoadProfile, Quota};

use super::chance::Chance;
use super::scenario::{Demands, Drawing, Event, Halting, LEAST_RATE, Scenario, Weather};

impl Scenario {
    /// The scenario of a seed.
    pub fn drawn(seed: u64) -> Self {
        let mut scenario = Self { drawing: Drawing::Today, ..Self::drawn_at_fifth(seed) };
        let mut chance = Chance::new(seed, 8);
        scenario.habits.demands = chance.percent(20).then(|| Demands {
            over: chance.between(1, 9),
            below: chance.between(5, 600),
            ends_from: chance.percent(30).then(|| chance.between(20, 600)),
        });
        scenario.habits.halts = chance.percent(6).then(|| Halting {
            user: chance.below(12),
            request: u32::try_from(chance.between(2, 50)).unwrap(),
            panics: chance.percent(30),
        });
        scenario.habits.compacts = chance.percent(40).then(|| usize::try_from(chance.between(3, 30)).unwrap());
        scenario.habits.closes = chance.percent(10);
        if chance.percent(8) {
            let (heal, _) = scenario.events.pop().expect("the last event heals");
            scenario.events.push((chance.millis(3_000, u64::try_from(heal.as_millis()).unwrap().max(3_100)), Event::CutShort));
            scenario.heal_at_the_end(heal);
        }
        scenario
    }

    /// As it was drawn before anybody demanded anything of the numbers.
    pub fn drawn_at_fifth(seed: u64) -> Self {
        let mut scenario = Self { drawing: Drawing::Fifth, ..Self::drawn_at_fourth(seed) };
        let mut chance = Chance::new(seed, 7);
        scenario.habits.gathers = chance.percent(15).then(|| u32::try_from(chance.between(2, 12)).unwrap());
        scenario
    }

    /// As it was drawn before users waited for each other.
    pub fn drawn_at_fourth(seed: u64) -> Self {
        let mut scenario = Self { drawing: Drawing::Fourth, ..Self::drawn_at_third(seed) };
        let mut chance = Chance::new(seed, 6);
        scenario.habits.acts = chance.percent(20);
        scenario.habits.shares = chance.percent(15);
        match chance.below(10) {
            0..=2 if scenario.life.is_none() => scenario.have_iterations(&mut chance),
            3 | 4 => scenario.habits.rows = Some(chance.percent(70).then(|| chance.between(20, 4_000))),
            _ => {}
        }
        scenario
    }

    /// The run has a number of iterations, and ends with them unless they are too many.
    fn have_iterations(&mut self, chance: &mut Chance) {
        let users = u32::try_from(chance.between(1, 50)).unwrap();
        let quota = if chance.percent(50) {
            Quota::Total(chance.between(1, 4_000))
        } else {
            Quota::Each(u32::try_from(chance.between(1, 80)).unwrap())
        };
        self.profile = LoadProfile::Iterations(IterationsProfile { users, quota, start: Duration::ZERO, end: self.profile.end() });
        // With another number of users there would be no number of iterations.
        self.events.retain(|(_, event)| !matches!(event, Event::Retarget { .. }));
    }

    /// As it was drawn before runs had more than users.
    pub fn drawn_at_third(seed: u64) -> Self {
        let mut scenario = Self { drawing: Drawing::Third, ..Self::drawn_at_second(seed) };
        let mut chance = Chance::new(seed, 5);
        if chance.percent(30) {
            let (heal, _) = scenario.events.pop().expect("the last event heals");
            let at = chance.millis(3_000, u64::try_from(heal.as_millis()).unwrap().max(3_100));
            match chance.below(4) {
                0 => scenario.add_orders_that_some_have_not_heard(at, &mut chance),
                1 => scenario.add_churns_before_another_target(at, &mut chance),
                2 => scenario.add_resets_while_numbers_come(at, &mut chance),
                _ => scenario.add_end_while_somebody_is_away(at, &mut chance),
            }
            scenario.heal_at_the_end(heal);
        }
        scenario
    }

    /// As it was drawn when lives had become rich.
    pub fn drawn_at_second(seed: u64) -> Self {
        let mut scenario = Self { drawing: Drawing::Second, ..Self::drawn_at_first(seed) };
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
        scenario.heal_at_the_end(heal);
        scenario
    }

    fn heal_at_the_end(&mut self, heal: Duration) {
        self.events.sort_by_key(|(at, _)| *at);
        let last = self.events.last().map_or(heal, |(at, _)| *at);
        self.events.push((heal.max(last), Event::Heal));
    }

    /// Orders are given while some are out of reach, the master dies, and of the next one those are out of reach who have heard them.
    fn add_orders_that_some_have_not_heard(&mut self, at: Duration, chance: &mut Chance) {
        let workers = self.workers.min(6);
        let unheard = usize::try_from(chance.below(workers as u64)).unwrap();
        let away = |worker, lasts| Event::Partition { worker, up: true, down: true, lasts };
        let lasts = chance.millis(2_000, 12_000);
        self.events.push((at, away(unheard, lasts)));
        let mut ordered = at + chance.millis(100, 1_000);
        for _ in 0..chance.between(1, 8) {
            self.events.push((ordered, retarget(chance)));
            ordered += chance.millis(20, 700);
        }
        let killed = ordered.max(at + lasts.saturating_sub(chance.millis(0, 2_500))) + chance.millis(0, 1_000);
        self.events
            .push((killed, Event::KillMaster { back_after: chance.millis(200, 3_000), loses_journal: chance.percent(50), forgets: 0 }));
        for worker in (0..workers).filter(|worker| *worker != unheard) {
            if chance.percent(60) {
                self.events.push((killed, away(worker, chance.millis(1_000, 12_000))));
            }
        }
    }

    /// Workers come and go, and then another number of users is wanted of those that are there.
    fn add_churns_before_another_target(&mut self, mut at: Duration, chance: &mut Chance) {
        for _ in 0..chance.between(2, 7) {
            let worker = usize::try_from(chance.below(60)).unwrap();
            let churn = match chance.below(4) {
                0 => Event::Leave { worker },
                1 => Event::Kill { worker, comes_back_after: Some(chance.millis(100, 3_000)) },
                _ => Event::Join,
            };
            self.events.push((at, churn));
            at += chance.millis(200, 5_000);
        }
        self.events.push((at, retarget(chance)));
    }

    /// A new master is being told everything, and somebody clears the statistics meanwhile.
    fn add_resets_while_numbers_come(&mut self, at: Duration, chance: &mut Chance) {
        if chance.percent(60) {
            self.weather = Weather { delay: (200, 600), stalls: 0 };
        }
        let back_after = chance.millis(200, 3_000);
        self.events.push((at, Event::KillMaster { back_after, loses_journal: chance.percent(60), forgets: 0 }));
        let mut reset = at + back_after + chance.millis(100, 3_000);
        for _ in 0..chance.between(1, 4) {
            self.events.push((reset, Event::Reset));
            reset += chance.millis(50, 1_200);
        }
    }

    /// The run is ended while somebody is out of reach who will come back with numbers.
    fn add_end_while_somebody_is_away(&mut self, at: Duration, chance: &mut Chance) {
        let worker = usize::try_from(chance.below(60)).unwrap();
        let lasts = chance.millis(4_000, 14_000);
        self.events.push((at, Event::Partition { worker, up: true, down: true, lasts }));
        self.events.push((at + chance.millis(3_200, 8_000).min(lasts), again(chance)));
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
