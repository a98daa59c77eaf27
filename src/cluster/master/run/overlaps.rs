//! Users that ran twice: a worker that was out of reach went on by its plan while others had its users already.
//!
//! Owns what is shown of it. That load is real and counted; people must know of it, since it is more than they asked for.
//!
//! | a worker | is found out by | shown from |
//! |---|---|---|
//! | was given up and comes back with its run | its return | when it was given up |
//! | was given up, and dropped the run's numbers before it came back | the name that it had | when it was given up, to the orphan timeout |
//! | is known from a journal alone, and comes after the takeover, or has dropped the numbers | its return, or the name that it had | the takeover |
//! | is heard, and does not hear: orders that took slots from it do not arrive | deltas of older orders | the orders, until others give it all of them back |

use std::time::{Duration, Instant};

use super::super::peers::{PeerNumber, SILENCE_LIMIT};
use super::super::turn::Turn;
use super::Run;
use super::part::{Overtaken, Part};
use crate::cluster::message::{Followed, WorkerId};
use crate::load::shape::Shape;
use crate::load::slots::{Numbering, SlotSet};
use crate::plan::LoadProfile;
use crate::stats::snapshot::OverlapView;

impl Run {
    /// How many users run in these slots by the profile in force.
    pub(super) fn users_in(&self, slots: &SlotSet, now: Instant) -> u64 {
        users_by(&self.profile, &self.shape, slots, self.elapsed(now))
    }

    /// How many a worker runs in these slots by what it follows, which may be an older profile.
    pub(super) fn users_of(&self, followed: &Followed, slots: &SlotSet, now: Instant) -> u64 {
        users_by(&followed.profile, &Shape::new(&followed.profile), slots, self.elapsed(now))
    }

    /// Whether this master, which has taken the run over, has given slots to others than this worker: all that were to be had, when it was not there.
    pub(super) fn has_dealt_to_others(&self, number: PeerNumber) -> bool {
        self.taken_over.is_some() && self.dealt_to.iter().any(|owner| *owner != number)
    }

    /// Whether others ran the users of a worker that was given up at `from`: those who got them may be away themselves by now, or the run at its end.
    pub(super) fn had_others(&self, number: PeerNumber, from: Duration, was_replaced: bool) -> bool {
        // Of one that was given up when the run was stopped nobody got any.
        let is_in_run = self.stopped.is_none_or(|stopped| from <= stopped);
        is_in_run && (was_replaced || self.assignment.owners().iter().any(|owner| *owner != number))
    }

    /// A worker has come back that was given up at `from`, and has run its users until now, or to the planned end.
    pub(super) fn show_return(&mut self, number: PeerNumber, from: Duration, turn: &mut Turn<'_>) {
        let now = turn.now;
        let to = self.shape.end().map_or(self.elapsed(now), |end| end.min(self.elapsed(now)));
        // It may have had more to come than had begun by its last word.
        let ordered = self.parts.get(&number).map_or(0, |part| self.users_in(&part.ordered, now));
        let Some(part) = self.parts.get_mut(&number) else { return };
        let (users, worker) = (part.users.max(ordered), turn.peers.get(number).hello.worker.to_string());
        // Orders that had not come to it when its last word came belong to the same story.
        let from = part.overtaken.take().map_or(from, |overtaken| overtaken.at.min(from));
        self.overlaps.retain(|overlap| overlap.worker != worker || overlap.to.is_some());
        self.show(OverlapView { worker, from, to: Some(to), users }, turn);
    }

    /// A worker has come that bore another name until it dropped this run: as an orphan it had gone on until its patience ended.
    pub fn show_dropped(&mut self, formerly: &WorkerId, turn: &mut Turn<'_>) {
        let config = turn.config;
        let Some(number) = turn.peers.number_of(formerly).filter(|_| !config.orphan.pauses) else { return };
        let elapsed = self.elapsed(turn.now);
        let away = match (self.parts.get(&number).filter(|part| part.has_run), self.unheard.get(&number)) {
            (Some(part), _) => part.away_since.map(|from| (from, part.was_replaced, part.users)),
            // Of one that the journal alone tells of others have the users since the takeover.
            (None, Some(unheard)) => self.taken_over.map(|from| (from, self.has_dealt_to_others(number), unheard.users)),
            (None, None) => None,
        };
        let Some((from, was_replaced, users)) = away else { return };
        let to = elapsed.min(from.saturating_add(config.orphan.timeout));
        let overtaken = self.parts.get_mut(&number).and_then(|part| part.overtaken.take());
        if !self.had_others(number, from, was_replaced) {
            overtaken.iter().for_each(|overtaken| self.end_overlap(overtaken, to));
            return;
        }
        let worker = formerly.to_string();
        if self.overlaps.iter().any(|overlap| overlap.worker == worker && overlap.to.is_some_and(|to| to >= from)) {
            return; // Its first welcome did not come through, and it greets again.
        }
        // Orders that had not come to it when its last word came belong to the same story.
        let from = overtaken.map_or(from, |overtaken| overtaken.at.min(from));
        self.overlaps.retain(|overlap| overlap.worker != worker || overlap.to.is_some());
        self.show(OverlapView { worker, from, to: Some(to), users }, turn);
    }

    /// A delta tells which orders its worker follows.
    pub(super) fn on_followed(&mut self, number: PeerNumber, generation: u64, is_last: bool, now: Instant) {
        let elapsed = self.elapsed(now);
        let Some(part) = self.parts.get_mut(&number) else { return };
        part.void.take_if(|_| is_last || part.told.is_some_and(|told| told <= generation));
        let is_over = |overtaken: &mut Overtaken| is_last || overtaken.generation <= generation;
        let Some(overtaken) = part.overtaken.take_if(is_over) else { return };
        self.end_overlap(&overtaken, elapsed);
    }

    /// What others had got ran twice until now, if people were told of it.
    pub(super) fn end_overlap(&mut self, overtaken: &Overtaken, elapsed: Duration) {
        let is_it = |shown: &&mut OverlapView| shown.to.is_none() && Some(&shown.worker) == overtaken.shown_as.as_ref();
        if let Some(shown) = self.overlaps.iter_mut().find(is_it) {
            shown.to = Some(elapsed);
        }
    }

    /// A worker is back that none of its orders had reached: it has run nobody beside those who got its slots.
    pub(super) fn forget_overtaken(&mut self, number: PeerNumber) {
        let Some(overtaken) = self.parts.get_mut(&number).and_then(|part| part.overtaken.take()) else { return };
        self.overlaps.retain(|shown| shown.to.is_some() || Some(&shown.worker) != overtaken.shown_as.as_ref());
    }

    /// Shows workers that speak, and have not followed for long what was ordered.
    pub(super) fn show_overtaken(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now;
        if turn.config.orphan.pauses {
            return; // They do not hear the master either, and begin no iteration.
        }
        let elapsed = self.elapsed(now);
        if self.assignment.owners().is_empty() {
            // The last worker is drained: nobody runs its users beside it, and whoever comes may from then on.
            let unseen = self.parts.values_mut().filter_map(|part| part.overtaken.as_mut()).filter(|it| it.shown_as.is_none());
            return unseen.for_each(|overtaken| overtaken.at = elapsed);
        }
        let is_due = |part: &Part| {
            part.is_here()
                && part.overtaken.as_ref().is_some_and(|it| it.shown_as.is_none() && elapsed.saturating_sub(it.at) >= FOLLOWED_WITHIN)
        };
        let due: Vec<PeerNumber> = self.parts.iter().filter(|(_, part)| is_due(part)).map(|(&number, _)| number).collect();
        for number in due {
            let worker = turn.peers.get(number).hello.worker.to_string();
            let Some(overtaken) = self.parts.get_mut(&number).and_then(|part| part.overtaken.as_mut()) else { continue };
            overtaken.shown_as = Some(worker.clone());
            let (from, slots) = (overtaken.at, overtaken.slots.clone());
            let users = self.users_in(&slots, now);
            if users > 0 {
                self.show(OverlapView { worker, from, to: None, users }, turn);
            }
        }
    }

    fn show(&mut self, overlap: OverlapView, turn: &mut Turn<'_>) {
        let OverlapView { worker, from, to, users } = &overlap;
        let to = to.map_or_else(|| "now on".to_owned(), |to| format!("to {to:.0?}"));
        let text = format!("overlap: {worker}, from {from:.0?} {to}, {users} users ran beside those that had taken over");
        turn.log(log::Level::Warn, text);
        self.overlaps.push(overlap);
    }
}

fn users_by(profile: &LoadProfile, shape: &Shape, slots: &SlotSet, at: Duration) -> u64 {
    let numbering = Numbering::of(profile);
    let levels = shape.parts().iter().map(|part| u64::from(part.users_at(at))).enumerate();
    let users = levels.flat_map(|(profile, level)| (0..level).map(move |number| numbering.index(profile, number)));
    users.filter(|user| slots.contains(numbering.slot(*user))).count() as u64
}

/// Orders take less than that to a worker and, with its next delta, back: a second until that is due, and what silence may last.
const FOLLOWED_WITHIN: Duration = SILENCE_LIMIT.saturating_add(Duration::from_secs(1));
