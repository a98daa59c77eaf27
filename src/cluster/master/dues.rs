//! What was due in one worker's slots, and what it has told of that: the difference is what is lost with it.
//!
//! Only open profiles have due iterations, and each has an account of its own. Which of them fell to whom follows from the schedule and from who owned
//! which slot when, so that a master knows what a worker owes without hearing of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::run::{Run, Stage};
use crate::load::profile::arrivals::{Schedule, slot_in_round, slots_of};
use crate::load::profile::seed_of;
use crate::load::slots::SlotSet;
use crate::plan::LoadProfile;
use crate::stats::snapshot::ArrivalsView;
use crate::stats::tally::Tally;

/// One worker's accounts, by profile.
#[derive(Debug, Default)]
pub(super) struct Dues(Vec<Account>);

/// One worker's account of one profile.
#[derive(Debug)]
struct Account {
    /// Iterations that were due in its slots, up to `since`.
    owed: u64,
    /// The first iteration that is not in `owed`.
    since: u64,
    /// Its slots from there on.
    slots: Arc<SlotSet>,
    /// What it has told: due, and begun or dropped.
    due: u64,
    resolved: u64,
}

impl Default for Account {
    fn default() -> Self {
        Self { owed: 0, since: 0, slots: Arc::new(SlotSet::none()), due: 0, resolved: 0 }
    }
}

impl Dues {
    fn of(&mut self, profile: usize) -> &mut Account {
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
struct Course {
    profile: usize,
    schedule: Schedule,
    /// How many iterations go to a round of slots.
    round: u32,
}

impl Course {
    /// How many are due before a moment; those after the profile's end never are.
    fn due_before(&mut self, at: Duration) -> u64 {
        self.schedule.due_before(self.schedule.end().map_or(at, |end| at.min(end)))
    }
}

impl Account {
    fn note(&mut self, due: u64, resolved: u64) {
        self.due += due;
        self.resolved += resolved;
    }

    /// The worker owns `slots` from iteration `from` on.
    fn turn(&mut self, slots: &Arc<SlotSet>, from: u64, course: &Course) {
        self.owed = self.owed_before(from, course);
        self.since = self.since.max(from);
        self.slots = Arc::clone(slots);
    }

    /// The numbers begin anew: nothing is owed before iteration `from`.
    fn reset(&mut self, from: u64) {
        *self = Self { since: self.since.max(from), slots: Arc::clone(&self.slots), ..Self::default() };
    }

    /// Iterations before `until` that were due in its slots.
    fn owed_before(&self, until: u64, course: &Course) -> u64 {
        let Some(count) = until.checked_sub(self.since).filter(|_| !self.slots.is_empty()) else { return self.owed };
        let round = u64::from(course.round);
        let holds = |index: &u64| self.slots.contains(slot_in_round(*index, course.profile, course.round));
        let (rounds, rest) = (count / round, count % round);
        let whole = if rounds == 0 { 0 } else { rounds * (0..round).filter(holds).count() as u64 };
        self.owed + whole + (until - rest..until).filter(holds).count() as u64
    }
}

impl Run {
    /// The course of profile number `profile`; `None` where it is closed.
    fn course(&self, profile: usize) -> Option<Course> {
        match self.profile.part(profile)? {
            LoadProfile::Arrivals(arrivals) => {
                let schedule = Schedule::new(arrivals, seed_of(self.plan.seed, profile));
                Some(Course { profile, schedule, round: slots_of(arrivals) })
            }
            LoadProfile::Ramp(_) | LoadProfile::Iterations(_) | LoadProfile::Several(_) => None,
        }
    }

    fn courses(&self) -> Vec<Course> {
        (0..self.profile.count()).filter_map(|profile| self.course(profile)).collect()
    }

    /// Slots have changed hands: notes who owns what from the hand-over on.
    pub(super) fn note_owners(&mut self) {
        let mut courses = self.courses();
        if courses.is_empty() {
            return;
        }
        let mut shares: BTreeMap<_, _> = self.assignment.shares().into_iter().collect();
        for (number, part) in &mut self.parts {
            let share = Arc::new(shares.remove(number).unwrap_or_else(SlotSet::none));
            for course in &mut courses {
                let account = part.dues.of(course.profile);
                if share != account.slots {
                    let from = self.handover.as_ref().map_or(0, |handover| course.due_before(handover.at));
                    account.turn(&share, from, course);
                }
            }
        }
    }

    /// The numbers begin anew.
    pub(super) fn reset_dues(&mut self) {
        for mut course in self.courses() {
            let from = self.counted_since.map_or(0, |since| course.due_before(since));
            self.parts.values_mut().for_each(|part| part.dues.of(course.profile).reset(from));
        }
    }

    /// What became of what was due, as far as it is known: `view` has what the workers have told. An iteration belongs where it was begun or
    /// dropped: of those that were due in the warm-up, the ones that waited over its end count.
    pub(super) fn account(&self, view: ArrivalsView) -> ArrivalsView {
        let accounts: Vec<_> = (0..self.profile.count()).filter_map(|profile| self.due_and_lost(profile)).collect();
        if accounts.is_empty() {
            return view;
        }
        let (due, lost) = accounts.iter().fold((0, 0), |(due, lost), account| (due + account.0, lost + account.1));
        ArrivalsView { due: due.saturating_sub(self.table.resolved_in_warmup()), lost, ..view }
    }

    /// The same of one named profile.
    pub(super) fn account_of(&self, profile: usize, view: ArrivalsView) -> ArrivalsView {
        let Some((due, lost)) = self.due_and_lost(profile) else { return view };
        ArrivalsView { due: due.saturating_sub(self.table.resolved_in_warmup_of(profile)), lost, ..view }
    }

    /// How many iterations of a profile were due, those of the warm-up included, and how many of them nobody tells of.
    fn due_and_lost(&self, profile: usize) -> Option<(u64, u64)> {
        let mut course = self.course(profile)?;
        // By its plan a run is over at the same iteration everywhere; when somebody stops it each lane knows for itself.
        let is_over = matches!(self.stage, Stage::Over { .. });
        let end = self.ended_by_plan.filter(|_| is_over).map(|end| course.due_before(end));
        let none = Account::default();
        let (mut due, mut lost) = (0, 0);
        for part in self.parts.values() {
            let account = part.dues.0.get(profile).unwrap_or(&none);
            // Who has gone has no slots, and owes what it owed then.
            let owed = match end {
                Some(end) => account.owed_before(end, &course),
                None if account.slots.is_empty() => account.owed,
                None => account.due,
            };
            let is_silent = !part.is_here() || is_over;
            due += if is_silent { owed.max(account.resolved) } else { owed.max(account.due) };
            lost += if is_silent { owed.max(account.due).saturating_sub(account.resolved) } else { 0 };
        }
        Some((due, lost))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{ArrivalsProfile, ProfileEnd, Rate};

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
