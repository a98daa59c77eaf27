//! The rota of one lane in one open profile: which iterations are its own, and which of them are due. Pure: no clock, no channel.
//!
//! Iteration `k` belongs to whoever holds its slot at the moment at which it is due. Every iteration below `next` has been decided, once:
//! those of this lane were handed out, the others passed over. Where newer orders say that the lane held a slot earlier than it knew, what
//! was due there meanwhile is handed out late, and never twice: by its index, and not by its time, an iteration is known.
//!
//! Of users at most `max_users` may be made, so that iterations go round as many slots: iteration `k` belongs to slot `k mod max_users`,
//! where that is less than 65,536. Each slot has users of its own then, and each lane the same share of iterations and of users.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::dealer::{Duty, Turnover};
use super::profile::arrivals::{Schedule, slot_in_round, slots_of};
use super::profile::seed_of;
use super::slots::SlotSet;
use crate::plan::{ArrivalsProfile, LoadProfile, USERS_OF_A_WORKER};

/// The iterations of one lane and one profile, by their numbers in that.
#[derive(Debug)]
pub(super) struct Rota {
    /// Which of the run's.
    profile: usize,
    schedule: Schedule,
    duty: Arc<Duty>,
    /// Who has which slot when, by the duty.
    tenure: Tenures,
    /// Every iteration below it has been decided.
    next: u64,
    /// Iterations that are due and came here with their slot, oldest first.
    taken_over: VecDeque<u64>,
    /// How many slots iterations go round.
    slots: u32,
    users_max: usize,
    /// The first iteration of this lane from `next` on, and when it is due; looked up when somebody asks.
    upcoming: Option<(u64, Option<Duration>)>,
    seed: u64,
}

/// An iteration that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    pub index: u64,
    /// On the run's clock.
    pub at: Duration,
}

impl Rota {
    /// The rota of a lane that takes part from `since` on, in profile number `place` of a run of this seed; `None` where that is not open.
    pub fn new(duty: &Arc<Duty>, place: usize, seed: u64, since: Duration) -> Option<Self> {
        let profile = arrivals_in(duty, place)?;
        let mut schedule = Schedule::new(profile, seed_of(seed, place));
        let next = schedule.due_before(since);
        let mut rota = Self {
            profile: place,
            schedule,
            duty: Arc::clone(duty),
            tenure: Tenures::new(duty),
            next,
            taken_over: VecDeque::new(),
            slots: slots_of(profile),
            users_max: 0,
            upcoming: None,
            seed,
        };
        rota.users_max = rota.count_users(profile);
        Some(rota)
    }

    /// Follows a newer duty; false, and nothing done, where its profile is not open.
    pub fn follow(&mut self, duty: &Arc<Duty>) -> bool {
        let Some(profile) = arrivals_in(duty, self.profile) else { return false };
        if arrivals_in(&self.duty, self.profile) != Some(profile) {
            self.schedule = Schedule::new(profile, seed_of(self.seed, self.profile));
            self.slots = slots_of(profile);
        }
        self.duty = Arc::clone(duty);
        let old = std::mem::replace(&mut self.tenure, Tenures::new(duty));
        self.catch_up(&old);
        self.users_max = self.count_users(profile);
        self.upcoming = None;
        true
    }

    /// What was passed over by the old duty, and is this lane's by the one that holds.
    fn catch_up(&mut self, old: &Tenures) {
        let Some(from) = self.tenure.first_turnover().into_iter().chain(old.first_turnover()).min() else { return };
        // Who held what before is not known any more, and was decided then.
        let from = from.max(self.duty.known_since);
        for index in self.schedule.due_before(from)..self.next {
            let slot = self.slot_of(index);
            if (self.tenure.changes(slot) || old.changes(slot))
                && let Some(at) = self.schedule.due_at(index)
                && self.tenure.holds(slot, at)
                && !old.holds(slot, at)
            {
                self.taken_over.push_back(index);
            }
        }
    }

    /// The next iterations of this lane that are due by `elapsed`, at most `most`; of others at most `looks` are passed over.
    pub fn take_due(&mut self, elapsed: Duration, most: usize, looks: u32) -> Vec<Due> {
        let mut due = Vec::new();
        while due.len() < most
            && let Some(index) = self.taken_over.pop_front()
        {
            due.extend(self.schedule.due_at(index).map(|at| Due { index, at }));
        }
        let until = self.due_by(elapsed);
        if let Some((upcoming, _)) = self.upcoming {
            // What lies before it has been looked at.
            self.next = self.next.max(upcoming.min(until));
        }
        let mut looks = looks;
        while due.len() < most && looks > 0 && self.next < until {
            let index = self.next;
            self.next += 1;
            looks -= 1;
            due.extend(self.is_ours(index).map(|at| Due { index, at }));
        }
        if self.upcoming.is_some_and(|(upcoming, _)| upcoming < self.next) {
            self.upcoming = None;
        }
        due
    }

    /// Whether one call of [`Rota::take_due`] was not enough.
    pub fn is_behind(&mut self, elapsed: Duration) -> bool {
        !self.taken_over.is_empty() || self.next < self.due_by(elapsed) && self.next_due().is_some_and(|at| at <= elapsed)
    }

    /// When the next iteration of this lane is due, by the orders that it has; where there is none for a whole round of slots, when that is over.
    pub fn next_due(&mut self) -> Option<Duration> {
        if let Some((_, at)) = self.upcoming {
            return at;
        }
        let round = self.next..self.next.saturating_add(u64::from(self.slots));
        let found = round.clone().find_map(|index| self.is_ours(index).map(|at| (index, Some(at))));
        let upcoming = found.unwrap_or_else(|| (round.end, self.schedule.due_at(round.end)));
        self.upcoming = Some(upcoming);
        upcoming.1
    }

    /// How many users this lane may have.
    pub const fn users_max(&self) -> usize {
        self.users_max
    }

    /// How many are due at `elapsed` or before it, those of others included; from the planned end on none is.
    fn due_by(&mut self, elapsed: Duration) -> u64 {
        let past = elapsed.saturating_add(Duration::from_nanos(1));
        self.schedule.due_before(self.schedule.end().map_or(past, |end| past.min(end)))
    }

    /// When iteration `index` is due, if it is this lane's.
    fn is_ours(&mut self, index: u64) -> Option<Duration> {
        let slot = self.slot_of(index);
        if self.tenure.changes(slot) {
            self.schedule.due_at(index).filter(|&at| self.tenure.holds(slot, at))
        } else if self.duty.held.contains(slot) {
            self.schedule.due_at(index)
        } else {
            None
        }
    }

    fn slot_of(&self, index: u64) -> u32 {
        slot_in_round(index, self.profile, self.slots)
    }

    /// The lane's share of the users that may be made, once all that it was told of has come to pass.
    fn count_users(&self, profile: &ArrivalsProfile) -> usize {
        let Some(most) = profile.max_users else {
            return (USERS_OF_A_WORKER as usize).div_ceil(self.duty.lanes);
        };
        let (each, more) = (most / self.slots, most % self.slots);
        (0..self.slots).filter(|slot| self.tenure.holds(*slot, Duration::MAX)).map(|slot| (each + u32::from(slot < more)) as usize).sum()
    }
}

fn arrivals_in(duty: &Duty, place: usize) -> Option<&ArrivalsProfile> {
    match duty.profile.part(place)? {
        LoadProfile::Arrivals(arrivals) => Some(arrivals),
        LoadProfile::Ramp(_) | LoadProfile::Iterations(_) | LoadProfile::Several(_) => None,
    }
}

/// Which slots a lane holds at any moment from some seconds ago on.
#[derive(Debug)]
struct Tenures {
    /// Before the first of the turnovers.
    held: SlotSet,
    /// By slot, then by moment.
    turnovers: BTreeMap<u32, Vec<Turnover>>,
}

impl Tenures {
    fn new(duty: &Duty) -> Self {
        let (mut held, mut turnovers): (_, BTreeMap<u32, Vec<Turnover>>) = (duty.held.clone(), BTreeMap::new());
        for turnover in duty.past.iter().chain(&duty.turnovers) {
            turnovers.entry(turnover.slot).or_default().push(*turnover);
        }
        for list in turnovers.values_mut() {
            list.sort_by_key(|turnover| turnover.at);
            if let Some(first) = list.first() {
                held.set(first.slot, !first.gains);
            }
        }
        Self { held, turnovers }
    }

    /// Whether the slot comes or goes.
    fn changes(&self, slot: u32) -> bool {
        !self.turnovers.is_empty() && self.turnovers.contains_key(&slot)
    }

    fn holds(&self, slot: u32, at: Duration) -> bool {
        let last = self.turnovers.get(&slot).and_then(|list| list.iter().rfind(|turnover| turnover.at <= at));
        last.map_or_else(|| self.held.contains(slot), |turnover| turnover.gains)
    }

    fn first_turnover(&self) -> Option<Duration> {
        self.turnovers.values().flatten().map(|turnover| turnover.at).min()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::dealer::Dealer;
    use super::super::slots::{Handover, Orders};
    use super::*;
    use crate::plan::{NamedProfile, ProfileEnd, Rate, RateStage, Spacing};

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn profile(max_users: u32, spacing: Spacing) -> Arc<LoadProfile> {
        let stage = |rate: f64, over| RateStage { rate: Rate::per_second(rate), over: millis(over) };
        Arc::new(LoadProfile::Arrivals(ArrivalsProfile {
            stages: vec![stage(400.0, 1_000), stage(400.0, 5_000), stage(50.0, 2_000)],
            end: ProfileEnd::StopAt(millis(8_000)),
            spacing,
            max_users: Some(max_users),
            patience: Duration::ZERO,
        }))
    }

    /// The same as the profile at `place` of several, beside others.
    fn several(place: usize, max_users: u32, spacing: Spacing) -> Arc<LoadProfile> {
        let named = |of: usize| NamedProfile {
            name: of.to_string(),
            classes: Vec::new(),
            tags: BTreeMap::new(),
            profile: if of == place { (*profile(max_users, spacing)).clone() } else { LoadProfile::plain(3, 1.0, None) },
        };
        Arc::new(LoadProfile::Several((0..place + 2).map(named).collect()))
    }

    /// One worker of two lanes, as the engine has it.
    struct Worker {
        place: usize,
        dealer: Dealer,
        rotas: Vec<Option<Rota>>,
        since: Option<Duration>,
        done: Vec<(u64, Duration)>,
    }

    impl Worker {
        fn new(place: usize) -> Self {
            Self { place, dealer: Dealer::new(2, Duration::from_secs(7)), rotas: vec![None, None], since: None, done: Vec::new() }
        }

        fn hear(&mut self, orders: &Orders, now: Duration) {
            let since = *self.since.get_or_insert(orders.handover.as_ref().map_or(Duration::ZERO, |handover| handover.at));
            for (rota, duty) in self.rotas.iter_mut().zip(self.dealer.follow(orders, now)) {
                match rota {
                    Some(rota) => assert!(rota.follow(&duty)),
                    None => *rota = Rota::new(&duty, self.place, 7, since),
                }
            }
        }

        fn work(&mut self, now: Duration) {
            for rota in self.rotas.iter_mut().flatten() {
                while rota.is_behind(now) {
                    self.done.extend(rota.take_due(now, 3, 50).into_iter().map(|due| (due.index, due.at)));
                }
                // What is due as the run ends is due no more.
                assert!(rota.next_due().is_none_or(|at| at > now || at >= millis(8_000)));
            }
        }
    }

    #[test]
    fn of_few_users_each_slot_has_one_and_each_lane_its_share() {
        let orders = Orders::of_all_slots(profile(5, Spacing::Even));
        let duties = Dealer::new(2, millis(9)).follow(&orders, Duration::ZERO);
        let users: Vec<usize> = duties.iter().map(|duty| Rota::new(duty, 0, 7, Duration::ZERO).unwrap().users_max()).collect();
        assert_eq!((users.iter().sum::<usize>(), users.iter().max()), (5, Some(&3)));
    }

    #[test]
    fn a_lane_that_hears_late_of_its_slots_runs_what_was_due_in_them_and_one_that_hears_twice_runs_it_once() {
        let mut worker = Worker::new(0);
        let all = Orders::of_all_slots(profile(20, Spacing::Even));
        worker.hear(&Orders { slots: Arc::new(SlotSet::none()), ..all.clone() }, Duration::ZERO);
        worker.work(millis(1_500));
        assert_eq!(worker.done, []);
        let handover = Handover { at: millis(1_000), moved: SlotSet::all(), interval: Duration::ZERO };
        let late = Orders { handover: Some(Arc::new(handover)), ..all };
        worker.hear(&late, millis(1_600));
        worker.work(millis(1_700));
        worker.hear(&late, millis(1_710));
        worker.work(millis(8_000));
        let mut done: Vec<u64> = worker.done.iter().map(|done| done.0).collect();
        done.sort_unstable();
        // 200 were due before 1 s, and 2,650 in all.
        assert_eq!(done, (200..2_650).collect::<Vec<_>>());
    }

    #[test]
    fn what_was_due_while_a_worker_stood_still_is_its_own_unless_others_had_its_slots_until_they_came_back() {
        let all = Orders::of_all_slots(profile(20, Spacing::Even));
        let back_at = |at| {
            let handover = Handover { at: millis(at), moved: SlotSet::all(), interval: Duration::ZERO };
            Orders { handover: Some(Arc::new(handover)), void: Some(Arc::new(SlotSet::all())), ..all.clone() }
        };
        // It wakes at 5 s. 200 are due before 1 s, 1,600 before 4.5 s, 2,000 before 5.5 s, and 2,650 in all.
        for (orders, first) in [(all.clone(), 200), (back_at(5_500), 2_000), (back_at(4_500), 1_600)] {
            let mut worker = Worker::new(0);
            worker.hear(&all, Duration::ZERO);
            worker.work(millis(999));
            worker.hear(&orders, millis(5_000));
            worker.work(millis(5_600));
            // Told twice, it means the same.
            worker.hear(&orders, millis(5_700));
            worker.work(millis(8_000));
            let mut done: Vec<u64> = worker.done.iter().map(|done| done.0).collect();
            done.sort_unstable();
            assert_eq!(done, (0..200).chain(first..2_650).collect::<Vec<_>>());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
        #[test]
        fn whatever_comes_and_goes_no_iteration_is_run_twice_and_none_is_forgotten(
            churns in prop::collection::vec((50_u64..1_500, prop::collection::vec(0_usize..4, 13), prop::array::uniform4(1_u64..450)), 0..9),
            ticks in prop::collection::vec(1_u64..90, 60),
            is_even: bool,
            place in prop::option::of(0_usize..20),
        ) {
            const LEAD: u64 = 500;
            let spacing = if is_even { Spacing::Even } else { Spacing::Poisson };
            let profile = place.map_or_else(|| profile(13, spacing), |place| several(place, 13, spacing));
            let place = place.unwrap_or(0);
            let mut workers: Vec<Worker> = (0..4).map(|_| Worker::new(place)).collect();
            let slots_of = |owners: &[usize], worker| {
                let mut set = SlotSet::none();
                (0..13).filter(|slot| owners[*slot as usize] == worker).for_each(|slot| set.insert(slot));
                set
            };
            let orders = |owners: &[usize], worker, handover: Option<Arc<Handover>>| Orders {
                slots: Arc::new(slots_of(owners, worker)), handover, ..Orders::of_all_slots(profile.clone())
            };
            let mut owners: Vec<usize> = (0..13).map(|slot| slot % 2).collect();
            let mut heard: Vec<(u64, usize, Orders)> = (0..4).map(|worker| (0, worker, orders(&owners, worker, None))).collect();
            let (mut at, mut last, mut heard_by): (u64, Option<Arc<Handover>>, [u64; 4]) = (0, None, [0; 4]);
            for (wait, newer, delays) in churns {
                at += wait;
                let mut moved = SlotSet::none();
                (0..13).filter(|slot| owners[*slot as usize] != newer[*slot as usize]).for_each(|slot| moved.insert(slot));
                // As the master does: what is still on its way moves with what is new.
                last.iter().filter(|last| last.at > millis(at)).flat_map(|last| last.moved.iter()).for_each(|slot| moved.insert(slot));
                let handover = Arc::new(Handover { at: millis(at + LEAD), moved, interval: Duration::ZERO });
                (owners, last) = (newer, Some(handover.clone()));
                for worker in 0..4 {
                    heard_by[worker] = heard_by[worker].max(at + delays[worker]);
                    heard.push((heard_by[worker], worker, orders(&owners, worker, Some(handover.clone()))));
                }
            }
            heard.sort_by_key(|(at, ..)| *at);
            let (mut now, mut news, mut ticks) = (0, heard.into_iter().peekable(), ticks.into_iter().cycle());
            while now < 8_000 {
                while let Some((at, worker, orders)) = news.next_if(|(at, ..)| *at <= now) {
                    workers[worker].hear(&orders, millis(at.max(now)));
                }
                workers.iter_mut().for_each(|worker| worker.work(millis(now)));
                now += ticks.next().unwrap();
            }
            workers.iter_mut().for_each(|worker| worker.work(millis(8_000)));
            let mut done: Vec<u64> = workers.iter().flat_map(|worker| &worker.done).map(|done| done.0).collect();
            done.sort_unstable();
            let due = Rota::new(&workers[0].rotas[0].as_ref().unwrap().duty.clone(), place, 7, millis(8_000)).unwrap().next;
            prop_assert_eq!(done, (0..due).collect::<Vec<_>>());
        }
    }
}
