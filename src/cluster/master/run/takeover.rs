//! How a run is taken over from another master: what its workers bring, and whose word counts.
//!
//! Owns what becomes of claims. When a run is adopted and for how long workers are waited for is `master`'s; how a worker comes, `arrivals`'s.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::super::config::MasterConfig;
use super::super::peers::{PeerNumber, Peers, Presence};
use super::super::turn::Turn;
use super::part::{Part, PartStage};
use super::{LEAD, Run, Stage, takes_slots};
use crate::cluster::message::{Followed, Phase, RunStanding};
use crate::load::shape::Shape;
use crate::load::slots::SlotSet;
use crate::stats::snapshot::OverlapView;

impl Run {
    /// Takes a worker in that brings this very run. Answers what the master holds of it.
    pub fn take_in(&mut self, number: PeerNumber, standing: &RunStanding, now: Instant) -> Option<NonZeroU64> {
        let zero = now.checked_sub(standing.elapsed).unwrap_or(now);
        if self.is_adopting() && standing.orders.is_some() {
            // Of several estimates the earliest suffered the least delay.
            self.zero = Some(self.zero.map_or(zero, |best| best.min(zero)));
        }
        if standing.plan.revision > self.plan.revision {
            // The master that asked for it is gone; this worker has heard of it.
            self.plan = standing.plan.clone();
        }
        if standing.epoch > self.epoch {
            // The master that was told to clear the statistics is gone; this worker has heard of it.
            self.epoch = standing.epoch - 1;
            self.reset_since(None, now);
        }
        self.hear_of(number);
        if standing.orders.is_none() {
            self.forget_overtaken(number);
        }
        let mut users = 0;
        if let Some(followed) = &standing.orders {
            let is_behind = followed.generation == self.generation && followed.phase < self.phase;
            if followed.generation > self.generation || is_behind {
                // Orders of another master's that this one knows nothing of; what it says from here on is newer.
                self.generation = followed.generation + 1;
            }
            self.hear_newer(number, followed);
            users = self.users_of(followed, &followed.slots, now);
        }
        let ordered = standing.orders.as_ref().map(|followed| followed.slots.clone());
        let stage = if standing.orders.is_some() { PartStage::Ordered } else { PartStage::Asked { at: now } };
        // Of one that this master has asked to make ready again, and that its first orders reached after all, the others have the users since then.
        let replaced = self.taken_over.unwrap_or_else(|| self.elapsed(self.ordered));
        let came_late = standing.orders.as_ref().map(|_| replaced);
        let (is_adopting, was_replaced) = (self.is_adopting(), came_late.is_some() && self.has_dealt_to_others(number));
        let needs_not_be_asked =
            |part: &Part| came_late.is_some() && matches!(part.stage, PartStage::Asked { .. } | PartStage::Unable { .. });
        self.parts.retain(|of, part| *of != number || !needs_not_be_asked(part));
        let late = || Part::come_late(stage.clone(), came_late, users, was_replaced);
        let part = self.parts.entry(number).or_insert_with(late);
        part.unstage();
        if part.told.is_none() && part.stage != PartStage::Finished && !standing.is_finished {
            // A journal does not say how many it had.
            part.users = part.users.max(users);
        }
        if standing.orders.is_none() {
            // Its orders never reached it: it has run nobody, and nothing of it is missing.
            self.holes.remove(&number);
        }
        if let Some(slots) = ordered.filter(|_| is_adopting || part.away_since.is_some()) {
            part.ordered = slots;
        }
        part.revision = standing.plan.revision;
        part.says_finished = standing.is_finished;
        let has_stopped = standing.orders.as_ref().is_some_and(|followed| followed.has_stopped || followed.phase != Phase::Run);
        part.has_given_up = self.phase == Phase::Run && (standing.is_finished || has_stopped);
        part.has_run |= standing.orders.is_some();
        if part.stage != PartStage::Finished {
            part.stage = stage;
        }
        if is_adopting {
            part.claimed_since = part.away_since.take();
            self.holes.remove(&number);
        }
        part.held
    }

    /// Nobody else is waited for: the time is over, or nobody is left who could bring the run.
    pub fn has_been_waited_for(&self, peers: &Peers, now: Instant) -> bool {
        matches!(self.stage, Stage::Adopting { until } if now >= until || self.is_awaited_in_vain(peers))
    }

    /// While the run is adopted: no longer than until then.
    pub fn wait_until(&mut self, latest: Instant) {
        if let Stage::Adopting { until } = &mut self.stage {
            *until = (*until).min(latest);
        }
    }

    /// Whether it began before that moment of a master's wall clock.
    pub fn began_before(&self, wall: SystemTime) -> bool {
        self.wall < wall
    }

    /// Somebody stops the run while it is adopted: its workers are told to when they are here.
    pub const fn want_stop(&mut self) {
        self.wants_stop = true;
    }

    pub const fn wants_stop(&self) -> bool {
        self.wants_stop
    }

    /// Somebody clears the statistics while nobody has brought the run.
    pub const fn want_reset(&mut self) {
        self.wants_reset = true;
    }

    pub fn take_wish_to_reset(&mut self) -> bool {
        std::mem::take(&mut self.wants_reset)
    }

    /// What somebody wanted of another run holds for this one.
    pub const fn inherit_wishes(&mut self, other: &Self) {
        (self.wants_stop, self.wants_reset) = (other.wants_stop, other.wants_reset);
    }

    /// A worker that comes when the run has been taken over may have newer orders of the former master's than all that came before: they still tell what
    /// the run was doing, unless somebody has wanted something else since.
    fn hear_newer(&mut self, number: PeerNumber, followed: &Followed) {
        let is_told = self.parts.get(&number).is_some_and(|part| part.told.is_some());
        if self.stage == Stage::Live && !is_told && followed.generation > self.known {
            self.known = followed.generation;
            self.shape = Shape::new(&followed.profile);
            (self.profile, self.is_paused) = (followed.profile.clone(), followed.is_paused);
        }
    }

    /// Who owned what, as workers say; the newest orders count. Whoever followed older ones ran users beside their owners. Answers the slots of those.
    pub(super) fn settle_claims(&mut self, claims: &BTreeMap<PeerNumber, Followed>, turn: &Turn<'_>) -> SlotSet {
        let (peers, now) = (turn.peers, turn.now);
        let mut doubled = SlotSet::none();
        let mut claims: Vec<_> = claims.iter().collect();
        claims.sort_by_key(|(number, followed)| (std::cmp::Reverse(followed.generation), **number));
        let Some((_, newest)) = claims.first() else { return doubled };
        self.generation = self.generation.max(newest.generation);
        // The journal may know of another target that has come to none of those who are here.
        if newest.generation >= self.known && *newest.profile != *self.profile {
            self.profile = newest.profile.clone();
            self.shape = Shape::new(&self.profile);
        }
        self.known = self.known.max(newest.generation);
        self.phase = ordered_phase(&claims);
        if self.phase == Phase::Run {
            self.given_up_by = given_up_by(&claims, peers);
        }
        if !self.given_up_by.is_empty() {
            self.phase = Phase::Stop;
        }
        self.is_paused = newest.is_paused;
        // By newer orders than those that follow; of workers that have stopped by themselves as well, for until then they ran them.
        let mut claimed = SlotSet::none();
        for (&number, followed) in claims {
            if self.parts.get(&number).is_some_and(|part| takes_slots(number, part, peers)) {
                let mut twice = SlotSet::none();
                followed.slots.iter().filter(|slot| claimed.contains(*slot)).for_each(|slot| twice.insert(slot));
                twice.iter().for_each(|slot| doubled.insert(slot));
                followed.slots.iter().for_each(|slot| claimed.insert(slot));
                if self.parts.get(&number).is_some_and(Part::can_run) {
                    self.assignment.adopt(number, &followed.slots);
                }
                let users = self.users_of(followed, &twice, now);
                if users > 0 {
                    let to = self.elapsed(now);
                    let from = self.parts.get(&number).and_then(|part| part.claimed_since).unwrap_or(to);
                    self.overlaps.push(OverlapView { worker: peers.get(number).hello.worker.to_string(), from, to: Some(to), users });
                }
                if let Some(part) = self.parts.get_mut(&number).filter(|_| !twice.is_empty()) {
                    part.void = Some(Arc::new(twice));
                }
            }
        }
        self.taken_over = Some(self.elapsed(now));
        self.stopped = self.taken_over.filter(|_| self.phase != Phase::Run);
        self.on_their_way = SlotSet::all();
        doubled
    }

    /// Why the run ended before its time, where its workers have given it up: who ended its users, and by when. Of those whose numbers reach to the
    /// planned end the users were finishing anyway, and where no iteration was left to begin there was nothing to give up.
    pub(super) fn words_of_giving_up(&self, config: &MasterConfig, peers: &Peers) -> Option<String> {
        let has_all_begun = self.profile.count() == 1 && self.quota(peers).is_some_and(|quota| quota.left() == 0);
        if has_all_begun {
            return None;
        }
        let end = self.shape.end();
        let reached = |number: PeerNumber| self.parts.get(&number).map_or(0, |part| part.covered);
        let is_early = |number: &PeerNumber| end.is_none_or(|end| Duration::from_secs(reached(*number)) < end);
        let words = |number: PeerNumber| {
            let (worker, seconds) = (&peers.get(number).hello.worker, reached(number));
            format!("{worker} by {}:{:02}", seconds / 60, seconds % 60)
        };
        let early: Vec<String> = self.given_up_by.iter().copied().filter(is_early).map(words).collect();
        let text = || {
            let (seconds, whose) = (config.orphan.timeout.as_secs_f64(), early.join(", "));
            format!("its workers had heard nothing of a master for {seconds} s (--orphan-timeout) and ended their users: {whose}")
        };
        (!early.is_empty()).then(text)
    }

    /// What nobody owns goes to those who are there; and `strays`, which are on their way by another pace than the profile's, go on at that.
    pub(super) fn fill_gaps(&mut self, strays: &SlotSet, turn: &Turn<'_>) {
        let now = turn.now;
        let level = self.level(now);
        let is_ready = |part: &Part| part.can_run() || part.stage == PartStage::Prepared;
        let can_run = |number: PeerNumber, part: &Part| is_ready(part) && takes_slots(number, part, turn.peers);
        let here = self.parts.iter().filter(|(number, part)| can_run(**number, part)).map(|(&number, _)| number).collect::<Vec<_>>();
        let mut moved = self.assignment.unowned();
        let (left_behind, unheard) = (self.users_in(&moved, now), self.unheard.len() as u64);
        self.unheard.values_mut().for_each(|worker| worker.users = left_behind.div_ceil(unheard));
        strays.iter().for_each(|slot| moved.insert(slot));
        for number in here {
            self.assignment.join(number, level).iter().for_each(|slot| moved.insert(slot));
        }
        self.assignment.level(level).iter().for_each(|slot| moved.insert(slot));
        self.hand_over(moved, LEAD, now);
    }

    /// A new master has heard long enough who owns what. Everybody gets its orders.
    pub fn settle(&mut self, claims: &BTreeMap<PeerNumber, Followed>, turn: &mut Turn<'_>) {
        let now = turn.now;
        let age = self.elapsed(now).as_secs();
        let here = self.parts.values().filter(|part| part.is_here()).count();
        let workers = if here == 1 { "worker" } else { "workers" };
        turn.log(log::Level::Info, format!("adopted run {}, {:02}:{:02} old, from {here} {workers}", self.id(), age / 60, age % 60));
        self.table.take_over(self.elapsed(now));
        self.commons.board.take_over(self.elapsed(now));
        self.take_windows_over(now);
        let doubled = self.settle_claims(claims, turn);
        let is_ending = self.phase != Phase::Run;
        self.stage = if is_ending { Stage::Stopping { since: now } } else { Stage::Live };
        if !is_ending {
            // Who has not heard of the target in force may have users on their way at the pace of another one.
            let has_other_pace = claims.values().any(|followed| *followed.profile != *self.profile);
            // Of those that two have one is dropped at once.
            let strays = if has_other_pace { self.on_their_way.without(&doubled) } else { SlotSet::none() };
            self.fill_gaps(&strays, turn);
        }
        // Of those that were prepared when their master died some were not told what the setup returned.
        let prepared = self.parts.iter().filter(|(_, part)| part.stage == PartStage::Prepared);
        prepared.for_each(|(&number, _)| self.hand_data_to(number, turn));
        self.order_all(turn);
        for (number, peer) in turn.peers.iter() {
            if peer.presence == Presence::Here && !self.parts.contains_key(&number) {
                self.ask(number, turn);
            }
        }
    }
}

/// What the run was doing by the newest orders.
fn ordered_phase(claims: &[(&PeerNumber, &Followed)]) -> Phase {
    let newest = claims.iter().map(|(_, followed)| followed.generation).max();
    let ordered = claims.iter().filter(|(_, followed)| Some(followed.generation) == newest).map(|(_, followed)| followed.phase).min();
    ordered.unwrap_or(Phase::Run)
}

/// The workers that have given up waiting for a master, where all of them have: the run is at its end as well. What one did that is about to end
/// says nothing of the others.
fn given_up_by(claims: &[(&PeerNumber, &Followed)], peers: &Peers) -> Vec<PeerNumber> {
    // Who is out of reach stays, unless it had said that it goes.
    let stays = |number: PeerNumber| {
        let peer = peers.get(number);
        matches!(peer.presence, Presence::Here | Presence::Lost) && !peer.hello.is_leaving
    };
    let staying: Vec<_> = claims.iter().filter(|(number, _)| stays(**number)).collect();
    let have_given_up = staying.iter().all(|(_, followed)| followed.has_stopped);
    if have_given_up { staying.iter().map(|(number, _)| **number).collect() } else { Vec::new() }
}
