//! A model of one worker's lanes: who lives, by the lanes' documented rules, and what is counted. Users make requests at known times.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lunamoth::load::Halt;
use lunamoth::load::lane::LaneReport;
use lunamoth::load::roster::Roster;
use lunamoth::load::shape::Shape;
use lunamoth::load::slots::Orders;
use lunamoth::load::stock::{IterationsBegun, Stock, Taken};
use lunamoth::plan::{LoadProfile, Plan, RunId};
use lunamoth::stats::recorder::{EntryId, Limits, Recorder};
use lunamoth::stats::sample::{Answer, Sample};
use lunamoth::stats::tally::Tally;

use super::chance::mixed;
use super::counting::Clerk;
use super::scenario::{Habits, Halting};

/// All lanes of one worker in one run.
pub struct Lanes {
    plan: Arc<Plan>,
    roster: Roster,
    zero: Option<Instant>,
    shape: Shape,
    /// Of the last orders.
    profile: Option<Arc<LoadProfile>>,
    has_orders: bool,
    /// By slot, below [`SLOTS_MODELLED`].
    owned: Vec<bool>,
    /// When slots come, if they are not owned, or go, if they are.
    pending: BTreeMap<u32, Duration>,
    live: BTreeMap<u64, User>,
    /// Users that went by themselves and are still wanted: they do not come back.
    gone: BTreeSet<u64>,
    is_stopping: bool,
    /// No request is made; users stay.
    is_paused: bool,
    recorders: Vec<(Recorder, EntryId)>,
    second: u64,
    pub is_finished: bool,
    /// Requests of which no report has told.
    pub unreported: u64,
    /// Draws numbers, where users do.
    pub clerk: Clerk,
    /// What the setup returned.
    pub data: Option<String>,
    stock: Arc<Stock>,
    /// How many iterations there are, and for each user.
    quota: Option<(u64, Option<u64>)>,
    /// Users take a row of a file for each request; of how many rows, if they do not begin again after the last.
    rows: Option<Option<u64>>,
    /// The user that ends the run.
    halts: Option<Halting>,
    /// By lane: it has done so.
    has_halted: Vec<bool>,
    /// Rows and iterations that users have taken since anybody asked.
    taken: Vec<(&'static str, u64)>,
    /// Iterations by their numbers, of each lane.
    begun: Vec<u64>,
    /// How often they were given orders.
    followed: u64,
}

/// One user that lives.
struct User {
    /// It has been told to finish, and will have by then.
    drained: Option<Duration>,
    next_request: Duration,
    requests: u32,
}

impl Lanes {
    /// Lanes whose requests are counted as the entry `name`.
    pub fn open(plan: Arc<Plan>, lanes: u32, name: &str, stock: Arc<Stock>, habits: Habits) -> Self {
        let recorder = || {
            let mut recorder = Recorder::new(Limits { names: plan.settings.names });
            let entry = recorder.entry("GET", name);
            (recorder, entry)
        };
        Self {
            recorders: (0..lanes).map(|_| recorder()).collect(),
            roster: Roster::new(&plan.classes),
            plan,
            zero: None,
            shape: Shape::default(),
            profile: None,
            has_orders: false,
            owned: vec![false; SLOTS_MODELLED as usize],
            pending: BTreeMap::new(),
            live: BTreeMap::new(),
            gone: BTreeSet::new(),
            is_stopping: false,
            is_paused: false,
            second: 0,
            is_finished: false,
            unreported: 0,
            clerk: Clerk::default(),
            data: None,
            stock,
            quota: None,
            rows: habits.rows,
            halts: habits.halts,
            has_halted: vec![false; lanes as usize],
            taken: Vec::new(),
            begun: vec![0; lanes as usize],
            followed: 0,
        }
    }

    /// Rows and iterations that users have taken since the last time.
    pub fn take_taken(&mut self) -> Vec<(&'static str, u64)> {
        std::mem::take(&mut self.taken)
    }

    pub fn begin(&mut self, zero: Instant) {
        self.zero.get_or_insert(zero);
    }

    pub fn run(&self) -> RunId {
        self.plan.run
    }

    pub const fn is_stopping(&self) -> bool {
        self.is_stopping
    }

    /// A user of its has ended the run.
    pub fn has_halted(&self) -> bool {
        self.has_halted.contains(&true)
    }

    pub const fn has_begun(&self) -> bool {
        self.zero.is_some()
    }

    /// What orders mean for a slot: the table above `load/dealer.rs`.
    pub fn follow(&mut self, orders: &Orders, now: Instant) {
        let now = self.elapsed(now);
        self.settle(now);
        let moments = orders.handover.iter().flat_map(|handover| handover.moments());
        let moments: BTreeMap<u32, Duration> = moments.take_while(|(slot, _)| *slot < SLOTS_MODELLED).collect();
        if let Some(void) = &orders.void {
            let stays = |slot: u32| orders.slots.contains(slot) && moments.get(&slot).is_none_or(|at| *at <= now);
            for slot in (0..SLOTS_MODELLED).filter(|slot| void.contains(*slot) && !stays(*slot)) {
                self.pending.remove(&slot);
                self.owned[slot as usize] = false;
            }
        }
        let is_other_profile = self.profile.replace(Arc::clone(&orders.profile)).is_some_and(|before| before != orders.profile);
        for slot in 0..SLOTS_MODELLED {
            let wanted = orders.slots.contains(slot);
            if self.owned[slot as usize] == wanted {
                self.pending.remove(&slot);
                continue;
            }
            match moments.get(&slot) {
                Some(&at) if at > now => {
                    self.pending.insert(slot, at);
                }
                None if (wanted || !is_other_profile) && self.pending.contains_key(&slot) => {}
                _ => {
                    self.pending.remove(&slot);
                    self.owned[slot as usize] = wanted;
                }
            }
        }
        self.shape = Shape::new(&orders.profile);
        self.quota = orders.profile.quota();
        self.has_orders = true;
        self.followed += 1;
        self.is_paused = orders.is_paused;
    }

    pub fn stop(&mut self, now: Instant) {
        if !self.is_stopping {
            self.is_stopping = true;
            let elapsed = self.elapsed(now);
            let indices: Vec<u64> = self.live.keys().copied().collect();
            indices.into_iter().for_each(|index| self.drain(index, elapsed));
        }
    }

    pub fn cut(&mut self, now: Instant) {
        self.stop(now);
        std::mem::take(&mut self.live).into_values().for_each(|_| self.stock.leave(ITERATIONS));
    }

    /// Does what is due; the reports are due at once.
    pub fn turn(&mut self, now: Instant) -> Vec<LaneReport> {
        let mut reports = Vec::new();
        if self.zero.is_none() || self.is_finished {
            return reports;
        }
        let elapsed = self.elapsed(now);
        if self.shape.end().is_some_and(|end| elapsed >= end) {
            self.stop(now);
        }
        self.settle(elapsed);
        self.request(elapsed, now);
        self.renew(elapsed);
        while self.second < elapsed.as_secs() {
            reports.extend((0..self.recorders.len()).map(|lane| self.report(lane, false)));
            self.second += 1;
        }
        if self.is_stopping && self.live.is_empty() {
            self.is_finished = true;
            reports.extend((0..self.recorders.len()).map(|lane| self.report(lane, true)));
            self.unreported = 0;
        }
        reports
    }

    /// Users live and begin no iteration.
    pub const fn is_paused(&self) -> bool {
        self.is_paused
    }

    pub fn users(&self) -> usize {
        self.live.len()
    }

    /// Users that live and have not been told to finish.
    pub fn running(&self) -> impl Iterator<Item = u64> + '_ {
        self.live.iter().filter(|(_, user)| user.drained.is_none()).map(|(&index, _)| index)
    }

    /// Running users of a class, by the plan that these lanes were opened with.
    pub fn running_of_class(&self, class: usize) -> u64 {
        self.running().filter(|&index| self.roster.class_of(index) == Some(class)).count() as u64
    }

    pub fn elapsed(&self, now: Instant) -> Duration {
        self.zero.map_or(Duration::ZERO, |zero| now.saturating_duration_since(zero))
    }

    fn settle(&mut self, now: Duration) {
        let owned = &mut self.owned;
        self.pending.retain(|&slot, &mut at| {
            if at <= now {
                owned[slot as usize] ^= true;
            }
            at > now
        });
    }

    fn is_wanted(&self, index: u64, level: u32) -> bool {
        !self.is_stopping && index < u64::from(level) && self.owned[usize::try_from(index).unwrap()]
    }

    /// Users begin and are told to finish.
    fn renew(&mut self, elapsed: Duration) {
        let level = self.shape.users_at(elapsed).min(SLOTS_MODELLED);
        let unwanted: Vec<u64> = self.live.keys().copied().filter(|&index| !self.is_wanted(index, level)).collect();
        unwanted.into_iter().for_each(|index| self.drain(index, elapsed));
        let gone = std::mem::take(&mut self.gone);
        self.gone = gone.into_iter().filter(|&index| self.is_wanted(index, level)).collect();
        for index in 0..u64::from(level) {
            if self.is_wanted(index, level) && !self.live.contains_key(&index) && !self.gone.contains(&index) {
                self.quota.iter().for_each(|(total, _)| self.stock.enter(ITERATIONS, *total));
                self.live.insert(index, User { drained: None, next_request: elapsed + pace(index), requests: 0 });
            }
        }
    }

    fn drain(&mut self, index: u64, elapsed: Duration) {
        let timeout = self.plan.settings.stop_timeout;
        let takes = Duration::from_millis(mixed(index ^ elapsed.as_secs()) % 1_500).min(timeout);
        if let Some(user) = self.live.get_mut(&index) {
            user.drained.get_or_insert(elapsed + takes);
        }
    }

    /// Users make their requests; those that have finished go.
    fn request(&mut self, elapsed: Duration, now: Instant) {
        let lanes = self.recorders.len() as u64;
        // A life may have an end, as a script's `self:stop()`: the plan's seed says so.
        let life = u32::try_from(self.plan.seed).unwrap();
        let quota = self.quota;
        let mut ended = Vec::new();
        for (&index, user) in &mut self.live {
            let lane = usize::try_from(index % lanes).unwrap();
            let (recorder, entry) = &mut self.recorders[lane];
            let until = user.drained.unwrap_or(elapsed).min(elapsed);
            let mut is_through = false;
            if self.is_paused {
                user.next_request = user.next_request.max(until + pace(index));
            }
            while user.next_request <= until && user.requests < life && !is_through {
                let taken = match (quota, self.rows) {
                    (Some((_, Some(each))), _) if u64::from(user.requests) >= each => Taken::Over,
                    (Some((total, _)), _) => self.stock.take(ITERATIONS, Some(total), now),
                    (None, Some(limit)) => self.stock.take(ROWS, limit, now),
                    (None, None) => Taken::Over,
                };
                match taken {
                    Taken::Row(row) => self.taken.push((if quota.is_some() { ITERATIONS } else { ROWS }, row)),
                    Taken::Wait => {
                        // It asks again at the next turn, and does not make up for the time.
                        user.next_request = until;
                        break;
                    }
                    Taken::Over | Taken::Unknown => is_through = quota.is_some(),
                }
                if is_through {
                    break;
                }
                self.begun[lane] += u64::from(quota.is_some());
                user.next_request += pace(index);
                user.requests += 1;
                self.unreported += 1;
                recorder.record(*entry, &sample(index, user.requests), None);
                self.has_halted[lane] |= self.halts.is_some_and(|halts| (halts.user, halts.request) == (index, user.requests));
            }
            if user.drained.is_some_and(|at| at <= elapsed) || user.requests >= life || is_through {
                ended.push(index);
            }
        }
        for index in ended {
            self.stock.leave(ITERATIONS);
            let is_drained = self.live.remove(&index).is_some_and(|user| user.drained.is_some());
            if !is_drained {
                self.gone.insert(index);
            }
        }
    }

    fn report(&mut self, lane: usize, is_finished: bool) -> LaneReport {
        let lanes = self.recorders.len() as u64;
        let mine = |index: u64| index % lanes == lane as u64;
        let users = self.live.keys().filter(|index| mine(**index)).count() as u64;
        let elapsed = Duration::from_secs(self.second);
        let level = self.shape.users_at(elapsed);
        let awaits = self.pending.keys().any(|&slot| !self.owned[slot as usize] && slot < level && mine(u64::from(slot)));
        let is_exhausted = users == 0 && self.has_orders && !self.is_stopping && level > 0 && !self.shape.rises_after(elapsed) && !awaits;
        let tally = Tally { users, ..self.recorders[lane].0.take(self.second) };
        self.unreported -= tally.entries.values().map(|counts| counts.hops.requests).sum::<u64>();
        let (followed, begun) = (self.followed, IterationsBegun(vec![self.begun[lane]]));
        let has_halted = self.has_halted[lane];
        let panics = u32::from(has_halted && self.halts.is_some_and(|halts| halts.panics));
        let halt = (has_halted && panics == 0).then(|| Halt::Abort(ENOUGH.into()));
        LaneReport { lane, tally, users, is_exhausted, followed, is_finished, panics, begun, halt }
    }
}

/// From one request of a user to the next.
const fn pace(index: u64) -> Duration {
    Duration::from_millis(600 + index * 37 % 300)
}

fn sample(index: u64, number: u32) -> Sample {
    let micros = 300 + mixed(index * 1_000_003 + u64::from(number)) % 40 * 173;
    Sample { duration: Duration::from_micros(micros), status: 200, answer: Answer::Answered, ..Sample::default() }
}

/// Why a script ends the run.
pub const ENOUGH: &str = "enough";
/// The source of the first profile's iterations.
pub const ITERATIONS: &str = "";
/// A file whose rows are taken once in the whole cluster.
pub const ROWS: &str = "rows.csv";
/// More users than any scenario has.
pub const SLOTS_MODELLED: u32 = 512;
