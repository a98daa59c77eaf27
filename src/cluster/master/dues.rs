//! What was due in one worker's slots, and what it has told of that: the difference is what is lost with it.
//!
//! Only an open profile has due iterations. Which of them fell to whom follows from the schedule and from who owned which slot when, so
//! that a master knows what a worker owes without hearing of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::run::{Run, Stage};
use crate::load::profile::arrivals::{Schedule, slots_of};
use crate::load::slots::SlotSet;
use crate::plan::LoadProfile;
use crate::stats::snapshot::ArrivalsView;
use crate::stats::tally::Tally;

/// One worker's account.
#[derive(Debug)]
pub(super) struct Dues {
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

impl Default for Dues {
    fn default() -> Self {
        Self { owed: 0, since: 0, slots: Arc::new(SlotSet::none()), due: 0, resolved: 0 }
    }
}

impl Dues {
    /// The worker owns `slots` from iteration `from` on, of which there go `round` to a round.
    fn turn(&mut self, slots: &Arc<SlotSet>, from: u64, round: u32) {
        self.owed = self.owed_before(from, round);
        self.since = self.since.max(from);
        self.slots = Arc::clone(slots);
    }

    /// What the worker has told in addition.
    pub fn note(&mut self, tally: &Tally) {
        let events = &tally.events;
        self.due += events.iterations_due;
        self.resolved += events.iterations_started + events.iterations_dropped.iter().sum::<u64>();
    }

    /// What the worker has told is told again from the beginning.
    pub fn forget_told(&mut self) {
        (self.due, self.resolved) = (0, 0);
    }

    /// The numbers begin anew: nothing is owed before iteration `from`.
    pub fn reset(&mut self, from: u64) {
        *self = Self { since: self.since.max(from), slots: Arc::clone(&self.slots), ..Self::default() };
    }

    /// Iterations before `until` that were due in its slots.
    fn owed_before(&self, until: u64, round: u32) -> u64 {
        let Some(count) = until.checked_sub(self.since).filter(|_| !self.slots.is_empty()) else { return self.owed };
        let holds = |index: &u64| self.slots.contains(u32::try_from(index % u64::from(round)).unwrap_or(0));
        let (rounds, rest) = (count / u64::from(round), count % u64::from(round));
        let whole = if rounds == 0 { 0 } else { rounds * (0..u64::from(round)).filter(holds).count() as u64 };
        self.owed + whole + (until - rest..until).filter(holds).count() as u64
    }
}

impl Run {
    /// The schedule, and how many iterations go to a round of slots; `None` where the profile is closed.
    fn schedule(&self) -> Option<(Schedule, u32)> {
        match &*self.profile {
            LoadProfile::Arrivals(arrivals) => Some((Schedule::new(arrivals, self.plan.seed), slots_of(arrivals))),
            LoadProfile::Ramp(_) | LoadProfile::Iterations(_) => None,
        }
    }

    /// Slots have changed hands: notes who owns what from the hand-over on.
    pub(super) fn note_owners(&mut self) {
        let Some((mut schedule, round)) = self.schedule() else { return };
        let from = self.handover.as_ref().map_or(0, |handover| schedule.due_before(handover.at));
        let mut shares: BTreeMap<_, _> = self.assignment.shares().into_iter().collect();
        for (number, part) in &mut self.parts {
            let share = shares.remove(number).unwrap_or_else(SlotSet::none);
            if share != *part.dues.slots {
                part.dues.turn(&Arc::new(share), from, round);
            }
        }
    }

    /// The numbers begin anew.
    pub(super) fn reset_dues(&mut self) {
        let from = self.schedule().zip(self.counted_since).map_or(0, |((mut schedule, _), since)| schedule.due_before(since));
        self.parts.values_mut().for_each(|part| part.dues.reset(from));
    }

    /// What became of what was due, as far as it is known: `view` has what the workers have told. An iteration belongs where it was begun or
    /// dropped: of those that were due in the warm-up, the ones that waited over its end count.
    pub(super) fn account(&self, view: ArrivalsView) -> ArrivalsView {
        let Some((mut schedule, round)) = self.schedule() else { return view };
        // By its plan a run is over at the same iteration everywhere; when somebody stops it each lane knows for itself.
        let is_over = matches!(self.stage, Stage::Over { .. });
        let end = self.ended_by_plan.filter(|_| is_over).map(|end| schedule.due_before(end));
        let (mut due, mut lost) = (0, 0);
        for part in self.parts.values() {
            // Who has gone has no slots, and owes what it owed then.
            let owed = match end {
                Some(end) => part.dues.owed_before(end, round),
                None if part.dues.slots.is_empty() => part.dues.owed,
                None => part.dues.due,
            };
            let is_silent = !part.is_here() || is_over;
            due += if is_silent { owed.max(part.dues.resolved) } else { owed.max(part.dues.due) };
            lost += if is_silent { owed.max(part.dues.due).saturating_sub(part.dues.resolved) } else { 0 };
        }
        ArrivalsView { due: due.saturating_sub(self.table.resolved_in_warmup()), lost, ..view }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_worker_owes_is_what_was_due_in_its_slots_and_nothing_after_they_went() {
        let set = |slots: &[u32]| {
            let mut set = SlotSet::none();
            slots.iter().for_each(|slot| set.insert(*slot));
            Arc::new(set)
        };
        let mut dues = Dues::default();
        dues.turn(&set(&[0, 3]), 0, 4);
        assert_eq!([0, 1, 3, 4, 9].map(|until| dues.owed_before(until, 4)), [0, 1, 1, 2, 5]);
        dues.turn(&set(&[1]), 9, 4);
        assert_eq!((dues.owed, dues.owed_before(14, 4)), (5, 7));
        dues.turn(&set(&[]), 14, 4);
        assert_eq!(dues.owed_before(1_000_000, 4), 7);
        dues.reset(2_000);
        assert_eq!(dues.owed_before(3_000, 4), 0);
    }
}
