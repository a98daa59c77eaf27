//! What happens in one simulated life of a cluster: the events, and the first drawing of them from a seed. What has come to it since is
//! `richer`'s.

use std::time::Duration;

use lunamoth::plan::{LoadProfile, ProfileEnd, Stage};

use super::chance::Chance;

/// What a simulated life begins with, and what happens in it.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub seed: u64,
    pub drawing: Drawing,
    /// Workers at the start.
    pub workers: usize,
    pub lanes: u32,
    pub profile: LoadProfile,
    /// Users end by themselves after so many requests.
    pub life: Option<u32>,
    pub has_journal: bool,
    pub adopts: bool,
    pub orphan_timeout: Duration,
    pub pauses: bool,
    pub stop_timeout: Duration,
    pub weather: Weather,
    /// By the simulated clock; the run begins at about a second.
    pub events: Vec<(Duration, Event)>,
    /// The run is stopped when all faults are healed; otherwise amid them.
    pub stops_in_quiet: bool,
    pub habits: Habits,
}

/// What runs have, and users do, besides requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Habits {
    /// Runs have a setup and a teardown.
    pub acts: bool,
    /// Users take a row of a file for each request; of how many rows, if they do not begin again after the last.
    pub rows: Option<Option<u64>>,
    /// Users draw numbers from the board, and fetch a value once for all of them.
    pub shares: bool,
    /// They do so, and wait for each other at a barrier for so many.
    pub gathers: Option<u32>,
    /// Thresholds look at windows.
    pub demands: Option<Demands>,
    /// A user ends the run by what it does.
    pub halts: Option<Halting>,
    /// The journal is written anew, without what is void, after so many records.
    pub compacts: Option<usize>,
    /// The last master ends in order.
    pub closes: bool,
}

/// What thresholds demand of the requests in each window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demands {
    /// Seconds of a window.
    pub over: u64,
    /// Fewer than so many.
    pub below: u64,
    /// And fewer than so many, or the run ends.
    pub ends_from: Option<u64>,
}

/// A user ends the run in its request of this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Halting {
    pub user: u64,
    pub request: u32,
    /// By a bug of ours, and not since its script says so.
    pub panics: bool,
}

/// How a life was made of its seed. A seed that failed once is played as it was drawn then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drawing {
    First = 1,
    /// With several runs in a life, roll-outs, two masters, sleeping clocks.
    Second,
    /// With chapters that end where it hurts.
    Third,
    /// With setup and teardown, numbers of iterations, rows and a board.
    Fourth,
    /// With barriers on top of that.
    Fifth,
    /// With thresholds, scripts that end the run, cuts, journals that are written anew, and masters that end in order.
    Today,
}

/// The network as it is for everybody all the time.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    /// Milliseconds on the way.
    pub delay: (u64, u64),
    /// Of a hundred messages so many wait for a packet that was lost.
    pub stalls: u64,
}

/// What a person, a machine or the network does. `worker` is the number of one of those that live, as often as it takes to find one.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    Join,
    Kill {
        worker: usize,
        comes_back_after: Option<Duration>,
    },
    Leave {
        worker: usize,
    },
    /// Nothing comes through to the master, or from it, or both.
    Partition {
        worker: usize,
        up: bool,
        down: bool,
        lasts: Duration,
    },
    /// The link dies, with a suffix of what is on its way.
    Cut {
        worker: usize,
    },
    /// The worker's process stands still.
    Freeze {
        worker: usize,
        lasts: Duration,
    },
    KillMaster {
        back_after: Duration,
        loses_journal: bool,
        /// So many of its last records were never written, or are torn.
        forgets: usize,
    },
    /// The worker's machine sleeps, and its clock with it.
    Sleep {
        worker: usize,
        lasts: Duration,
    },
    /// The master's process stands still; where its machine sleeps, its clock as well.
    FreezeMaster {
        lasts: Duration,
        sleeps: bool,
    },
    /// A second master is there for so long before the first one goes, as where a Deployment surges.
    Surge {
        lasts: Duration,
    },
    /// The worker that has been there for longest is drained.
    Roll,
    Pause,
    Resume,
    /// The run is stopped, and another one started as soon as it is over.
    Again {
        users: u32,
        spawn_rate: u32,
    },
    Retarget {
        users: u32,
        spawn_rate: u32,
    },
    Reset,
    /// The running test shall take changed scripts over.
    Revise,
    Stop,
    /// The run is stopped at once: users are dropped.
    CutShort,
    Heal,
}

impl Scenario {
    /// The scenario of a seed as it was drawn at first: seeds that failed once are played as they were.
    pub fn drawn_at_first(seed: u64) -> Self {
        let mut chance = Chance::new(seed, 1);
        let workers = usize::try_from(chance.between(1, 5)).unwrap();
        let users = u32::try_from(if chance.percent(10) { chance.between(1, 3) } else { chance.between(4, 70) }).unwrap();
        let mut events = Vec::new();
        let mut at = chance.millis(1_500, 12_000);
        for _ in 0..chance.between(1, 7) {
            events.push((at, Event::drawn(&mut chance)));
            at += if chance.percent(35) { chance.millis(0, 1_500) } else { chance.millis(2_000, 13_000) };
        }
        let stops_in_quiet = chance.percent(75);
        if !stops_in_quiet {
            events.push((at, Event::Stop));
            at += chance.millis(0, 4_000);
        }
        at += chance.millis(0, 12_000);
        events.push((at, Event::Heal));
        Self {
            seed,
            drawing: Drawing::First,
            workers,
            lanes: u32::try_from(chance.between(1, 2)).unwrap(),
            profile: profile(users, at, &mut chance),
            life: chance.percent(5).then(|| u32::try_from(chance.between(5, 60)).unwrap()),
            has_journal: chance.percent(65),
            adopts: !chance.percent(5),
            orphan_timeout: if chance.percent(20) { chance.millis(8_000, 15_000) } else { Duration::from_secs(60) },
            pauses: chance.percent(10),
            stop_timeout: chance.millis(500, 3_000),
            weather: Weather::drawn(&mut chance),
            events,
            stops_in_quiet,
            habits: Habits::default(),
        }
    }

    /// A plain one: `users` at once on `workers`, a fast network, nothing happens until it is healed at `end`.
    pub fn plain(workers: usize, users: u32, end: Duration) -> Self {
        Self {
            seed: 7,
            drawing: Drawing::Today,
            workers,
            lanes: 1,
            profile: LoadProfile::plain(users, f64::from(users) * 2.0, None),
            life: None,
            has_journal: true,
            adopts: true,
            orphan_timeout: Duration::from_secs(60),
            pauses: false,
            stop_timeout: Duration::from_secs(2),
            weather: Weather { delay: (1, 5), stalls: 0 },
            events: vec![(end, Event::Heal)],
            stops_in_quiet: true,
            habits: Habits::default(),
        }
    }

    /// The same with something that happens.
    pub fn with(mut self, at: Duration, event: Event) -> Self {
        self.events.push((at, event));
        self.events.sort_by_key(|(at, _)| *at);
        self
    }

    /// When the last fault is healed.
    pub fn healed(&self) -> Duration {
        self.events.last().map_or(Duration::ZERO, |(at, _)| *at)
    }
}

impl Weather {
    /// No message is late enough to be missed.
    pub const fn is_fair(&self) -> bool {
        self.delay.1 <= 300 && self.stalls == 0
    }

    fn drawn(chance: &mut Chance) -> Self {
        match chance.below(4) {
            0 => Self { delay: (1, 4), stalls: 0 },
            1 => Self { delay: (10, 60), stalls: 1 },
            2 => Self { delay: (1, 300), stalls: 3 },
            _ => Self { delay: (80, 120), stalls: 20 },
        }
    }
}

impl Event {
    pub fn drawn(chance: &mut Chance) -> Self {
        let worker = usize::try_from(chance.below(60)).unwrap();
        match chance.below(20) {
            0 | 1 => Self::Join,
            2 | 3 => Self::Kill { worker, comes_back_after: chance.percent(50).then(|| chance.millis(100, 8_000)) },
            4 | 5 => Self::Leave { worker },
            6..=9 => {
                let one_way = chance.percent(25).then(|| chance.percent(50));
                let lasts = if chance.percent(30) { chance.millis(200, 3_500) } else { chance.millis(3_000, 30_000) };
                Self::Partition { worker, up: one_way != Some(false), down: one_way != Some(true), lasts }
            }
            10 | 11 => Self::Cut { worker },
            12 => Self::Freeze { worker, lasts: chance.millis(300, 15_000) },
            13..=15 => {
                let back_after = if chance.percent(70) { chance.millis(200, 5_000) } else { chance.millis(5_000, 25_000) };
                Self::KillMaster { back_after, loses_journal: chance.percent(25), forgets: 0 }
            }
            16 | 17 => {
                let users = u32::try_from(chance.between(1, 90)).unwrap();
                Self::Retarget { users, spawn_rate: u32::try_from(chance.between(LEAST_RATE, 60)).unwrap() }
            }
            18 => Self::Reset,
            _ => Self::Revise,
        }
    }
}

/// Most runs climb to a level and hold it; some have stages, some a planned end about when the faults are healed.
fn profile(users: u32, healed: Duration, chance: &mut Chance) -> LoadProfile {
    let spawn_rate = chance.between(LEAST_RATE, 60) as f64;
    let end = chance.percent(10).then(|| healed + chance.millis(0, 30_000));
    if chance.percent(15) {
        let stages = (0..chance.between(1, 4))
            .map(|_| Stage { users: u32::try_from(chance.between(1, u64::from(users))).unwrap(), over: chance.millis(0, 9_000) });
        let stages: Vec<Stage> = stages.collect();
        return LoadProfile::staged(stages, end.map_or(ProfileEnd::Hold, ProfileEnd::StopAt));
    }
    LoadProfile::plain(users, spawn_rate, end)
}

/// Users a second: at a lower rate the most users that are drawn are still on their way when everything should have settled.
pub const LEAST_RATE: u64 = 8;
