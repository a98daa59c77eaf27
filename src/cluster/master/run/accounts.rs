//! What became of the iterations that were due, over all workers: what of them is lost, and with whom.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::dues::{Account, Course};
use super::{Run, Stage};
use crate::load::profile::arrivals::{Schedule, slots_of};
use crate::load::profile::seed_of;
use crate::load::slots::SlotSet;
use crate::plan::LoadProfile;
use crate::stats::snapshot::ArrivalsView;

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

    /// How many iterations of each open profile were due before `elapsed`, whatever became of them, by the profile's place among all.
    pub(super) fn due_of_each(&self, elapsed: Duration) -> BTreeMap<usize, u64> {
        self.courses().into_iter().map(|mut course| (course.profile, course.due_before(elapsed))).collect()
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
