//! What was due in one worker's slots, and what it has told of that: the difference is what is lost with it.
//!
//! Only open profiles have due iterations, and each has an account of its own. Which of them fell to whom follows from the schedule and from who owned
//! which slot when, so that a master knows what a worker owes without hearing of it.

use std::sync::Arc;
use std::time::Duration;

use crate::load::profile::arrivals::{Schedule, slot_in_round};
use crate::load::slots::SlotSet;
use crate::stats::tally::Tally;

/// One worker's accounts, by profile.
#[derive(Debug, Default)]
pub(super) struct Dues(pub(super) Vec<Account>);

/// One worker's account of one profile.
#[derive(Debug)]
pub(super) struct Account {
    /// Iterations that were due in its slots, up to `since`.
    pub(super) owed: u64,
    /// The first iteration that is not in `owed`.
    pub(super) since: u64,
    /// Its slots from there on.
    pub(super) slots: Arc<SlotSet>,
    /// What it has told: due, and begun or dropped.
    pub(super) due: u64,
    pub(super) resolved: u64,
}

impl Default for Account {
    fn default() -> Self {
        Self { owed: 0, since: 0, slots: Arc::new(SlotSet::none()), due: 0, resolved: 0 }
    }
}

impl Dues {
    /// The account of profile number `profile`.
    pub(super) fn of(&mut self, profile: usize) -> &mut Account {
        self.0.resize_with(self.0.len().max(profile + 1), Account::default);
        &mut self.0[profile]
    }

    /// What the worker has told in addition.
    pub fn note(&mut self, tally: &Tally) {
        if tally.profiles.is_empty() {
            // A profile without a name is the only one.
            let events = &tally.events;
            let resolved = events.iterations_started + events.iterations_dropped.iter().sum::<u64>();
            self.of(0).note(events.iterations_due, resolved);
        }
        for (profile, counts) in tally.profiles.iter().enumerate() {
            self.of(profile).note(counts.events.due, counts.events.resolved());
        }
    }

    /// What the worker has told is told again from the beginning.
    pub fn forget_told(&mut self) {
        self.0.iter_mut().for_each(|account| (account.due, account.resolved) = (0, 0));
    }
}

/// Which iterations of one profile are due when, and in whose slots.
pub(super) struct Course {
    pub(super) profile: usize,
    pub(super) schedule: Schedule,
    /// How many iterations go to a round of slots.
    pub(super) round: u32,
}

impl Course {
    /// How many are due before a moment; those after the profile's end never are.
    pub(super) fn due_before(&mut self, at: Duration) -> u64 {
        self.schedule.due_before(self.schedule.end().map_or(at, |end| at.min(end)))
    }
}

impl Account {
    fn note(&mut self, due: u64, resolved: u64) {
        self.due += due;
        self.resolved += resolved;
    }

    /// The worker owns `slots` from iteration `from` on.
    pub(super) fn turn(&mut self, slots: &Arc<SlotSet>, from: u64, course: &Course) {
        self.owed = self.owed_before(from, course);
        self.since = self.since.max(from);
        self.slots = Arc::clone(slots);
    }

    /// The numbers begin anew: nothing is owed before iteration `from`.
    pub(super) fn reset(&mut self, from: u64) {
        *self = Self { since: self.since.max(from), slots: Arc::clone(&self.slots), ..Self::default() };
    }

    /// Iterations before `until` that were due in its slots.
    pub(super) fn owed_before(&self, until: u64, course: &Course) -> u64 {
        let Some(count) = until.checked_sub(self.since).filter(|_| !self.slots.is_empty()) else { return self.owed };
        let round = u64::from(course.round);
        let holds = |index: &u64| self.slots.contains(slot_in_round(*index, course.profile, course.round));
        let (rounds, rest) = (count / round, count % round);
        let whole = if rounds == 0 { 0 } else { rounds * (0..round).filter(holds).count() as u64 };
        self.owed + whole + (until - rest..until).filter(holds).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{ArrivalsProfile, LoadProfile, ProfileEnd, Rate};

    #[test]
    fn what_a_worker_owes_is_what_was_due_in_its_slots_and_nothing_after_they_went() {
        let set = |slots: &[u32]| {
            let mut set = SlotSet::none();
            slots.iter().for_each(|slot| set.insert(*slot));
            Arc::new(set)
        };
        let schedule = Schedule::new(&ArrivalsProfile { stages: vec![], end: ProfileEnd::Hold, ..arrivals() }, 0);
        let mut course = Course { profile: 0, schedule, round: 4 };
        let mut dues = Account::default();
        dues.turn(&set(&[0, 3]), 0, &course);
        assert_eq!([0, 1, 3, 4, 9].map(|until| dues.owed_before(until, &course)), [0, 1, 1, 2, 5]);
        dues.turn(&set(&[1]), 9, &course);
        assert_eq!((dues.owed, dues.owed_before(14, &course)), (5, 7));
        dues.turn(&set(&[]), 14, &course);
        assert_eq!(dues.owed_before(1_000_000, &course), 7);
        dues.reset(2_000);
        assert_eq!(dues.owed_before(3_000, &course), 0);
        // Iterations of a later profile begin with a later slot.
        course.profile = 5;
        let mut dues = Account::default();
        dues.turn(&set(&[1]), 0, &course);
        assert_eq!([1, 4, 5].map(|until| dues.owed_before(until, &course)), [1, 1, 2]);
    }

    #[test]
    fn what_would_be_due_after_a_profiles_end_is_owed_by_nobody() {
        let at = |seconds| Duration::from_secs(seconds);
        let mut course = Course { profile: 0, schedule: Schedule::new(&arrivals(), 0), round: 4 };
        assert_eq!([course.due_before(at(9)), course.due_before(at(10)), course.due_before(at(60))], [90, 100, 100]);
    }

    /// Ten a second for ten seconds.
    fn arrivals() -> ArrivalsProfile {
        match LoadProfile::plain_arrivals(Rate::per_second(10.0), Some(Duration::from_secs(10))) {
            LoadProfile::Arrivals(arrivals) => arrivals,
            LoadProfile::Ramp(_) | LoadProfile::Iterations(_) | LoadProfile::Several(_) => panic!("it is open"),
        }
    }
}
