//! What workers are told to run, and how slots that change hands do so.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::action::clock_at;
use super::super::peers::PeerNumber;
use super::super::turn::Turn;
use super::part::PartStage;
use super::{LEAD, Run};
use crate::cluster::message::{Phase, RunOrders, ToWorker};
use crate::load::slots::{Handover, Orders, SlotSet};

impl Run {
    /// The orders of one worker that owns `slots`.
    fn orders(&self, number: PeerNumber, slots: SlotSet, origin: Instant) -> RunOrders {
        RunOrders {
            run: self.id(),
            epoch: self.epoch,
            generation: self.generation,
            phase: self.phase,
            zero: self.zero.map_or(Duration::ZERO, |zero| clock_at(origin, zero)),
            wall: self.wall,
            orders: Orders {
                profile: self.profile.clone(),
                slots: Arc::new(slots),
                handover: self.handover.clone(),
                void: self.parts.get(&number).and_then(|part| part.void.clone()),
                is_paused: self.is_paused,
            },
        }
    }

    /// Tells a worker again what it was told: its link is a new one.
    pub(super) fn repeat_orders(&mut self, number: PeerNumber, turn: &mut Turn<'_>) {
        if let Some(part) = self.parts.get_mut(&number) {
            (part.told, part.is_exhausted) = (Some(self.generation), part.is_exhausted && part.told == Some(self.generation));
        }
        turn.send(number, ToWorker::Orders(self.orders(number, self.assignment.slots_of(number), turn.origin)));
    }

    /// Sends new orders to everybody who takes part.
    pub fn order_all(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now;
        self.generation += 1;
        self.ordered = now;
        self.note_owners();
        let mut shares: BTreeMap<_, _> = self.assignment.shares().into_iter().collect();
        if self.phase == Phase::Run {
            self.dealt_to.extend(shares.keys());
        }
        let at = self.elapsed(now);
        let age = at.as_secs();
        let mut ordered = Vec::new();
        for (&number, part) in &mut self.parts {
            if !part.is_here() && shares.keys().any(|owner| *owner != number) {
                part.was_replaced |= self.phase == Phase::Run;
            } else if part.is_here() && matches!(part.stage, PartStage::Prepared | PartStage::Ordered) {
                part.stage = PartStage::Ordered;
                part.told = Some(self.generation);
                if !part.has_run {
                    // What was before it came is none of its numbers.
                    part.covered = part.covered.max(age);
                }
                part.has_run = true;
                part.is_exhausted = false;
                ordered.push(number);
            }
        }
        for number in ordered {
            let orders = self.orders(number, shares.remove(&number).unwrap_or_else(SlotSet::none), turn.origin);
            let part = self.parts.get_mut(&number).filter(|_| self.phase == Phase::Run);
            if let Some(regained) = part.and_then(|part| part.on_ordered(self.generation, at, &orders.orders.slots)) {
                self.end_overlap(&regained, at);
            }
            turn.send(number, ToWorker::Orders(orders));
        }
    }

    /// Slots have changed hands: from now on, one after the other at the spawn rate.
    ///
    /// Of an open profile all slots move at one moment: a little ahead where those who give them live, so that they hear of it before it comes
    /// and no iteration has two owners. What is still on its way moves with them, so that none is without one.
    pub(super) fn hand_over(&mut self, mut moved: SlotSet, lead: Duration, now: Instant) {
        let mut at = self.elapsed(now);
        if self.profile.is_open() {
            let pending = self.handover.as_ref().filter(|handover| handover.at > at);
            let lead = if pending.is_some() { LEAD } else { lead };
            pending.iter().flat_map(|handover| handover.moved.iter()).for_each(|slot| moved.insert(slot));
            at += lead;
        }
        // A slot with several users takes as many turns.
        let users_a_slot = self.shape.users_a_slot_at(at).max(1);
        let interval = self.profile.spawn_interval().saturating_mul(users_a_slot);
        self.forget_arrived(at);
        moved.iter().for_each(|slot| self.on_their_way.insert(slot));
        self.handover = Some(Arc::new(Handover { at, moved, interval }));
    }

    /// Slots whose moment of the last hand-over has come are on their way no more.
    pub(super) fn forget_arrived(&mut self, at: Duration) {
        let moments = self.handover.iter().flat_map(|handover| handover.moments());
        for (slot, _) in moments.take_while(|(_, moment)| *moment <= at) {
            self.on_their_way.remove(slot);
        }
    }
}
