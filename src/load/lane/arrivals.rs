//! An open profile in a lane: what is due goes to a free user, or a user is made for it, or it waits, or it is dropped.
//!
//! Which iterations are due here is the rota's to say, who is free the pool's.
//!
//! | a due iteration finds | then |
//! |---|---|
//! | the run paused | it is dropped as `paused` |
//! | the lane later than a patience that was stated, and not only by a hair | it is dropped as `generator_late` |
//! | a free user of its room: its class and, in a run of two sides, its side | that one begins it |
//! | none, and space for a user | one is made for it |
//! | none and no space for one, but a free user of another room | that one is sent away, and one is made for it |
//! | none of these | it waits up to the profile's patience; then it is dropped as `no_free_user`, or as `generator_late` where the lane itself was |
//!
//! Where the worker has stood still nothing is handed out, and nothing is counted as due, until it knows again whose the slots are: what others had then is
//! theirs, and what nobody had is the master's to account for.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::{LOOKS_IN_A_TURN, Running, STARTS_IN_A_TURN};
use crate::load::alarm::Alarm;
use crate::load::pool::{Arrival, LATE};
use crate::load::rota::{Due, Rota};
use crate::load::{LaneWorkload, UserControl, UserStart, user};
use crate::stats::drop_reason::DropReason;

impl<L: LaneWorkload> Running<L> {
    /// A duty has been taken on.
    pub(super) fn heed_arrivals(&mut self, is_paused: bool) {
        for strand in &self.strands {
            let Some(rota) = &strand.rota else { continue };
            self.alarm.get_or_insert_with(|| Rc::new(Alarm::new()));
            strand.pool.dismiss(self.users.count_of(strand.number).saturating_sub(rota.users_max()));
            if is_paused {
                strand.pool.give_up_waiting(Some(DropReason::Paused));
            }
        }
    }

    /// What wakes the lane more exactly than the runtime's timers do.
    pub(super) fn alarm(&self) -> Option<Rc<Alarm>> {
        self.alarm.clone()
    }

    /// Users of open profiles that have come to their end finish, while others go on.
    pub(super) fn close_ended(&mut self, elapsed: Duration, now: Instant) {
        for place in 0..self.strands.len() {
            if self.strands[place].is_to_close(elapsed) && !self.is_in_doubt(now) {
                self.serve_the_rest(place, elapsed, now);
                let strand = &mut self.strands[place];
                strand.is_closed = true;
                strand.pool.close();
                self.users.drain_of(place, 0..u64::MAX, now + self.lane.plan.settings.stop_timeout);
            }
        }
    }

    /// Hands out what is due in one profile, as much of it as one turn may.
    pub(super) fn serve_due(&mut self, place: usize, elapsed: Duration, now: Instant) {
        // Whoever has left makes room.
        self.on_ended_users();
        let is_in_doubt = self.is_in_doubt(now);
        let strand = &mut self.strands[place];
        let Some(rota) = strand.rota.as_mut().filter(|_| !strand.is_closed) else { return };
        let due = if is_in_doubt { Vec::new() } else { rota.take_due(elapsed, STARTS_IN_A_TURN as usize, LOOKS_IN_A_TURN) };
        for due in due {
            self.admit(place, due, now);
        }
        self.strands[place].pool.expire(now);
    }

    /// Hands out all that is due until the planned end, which has come; nothing where it may be others'.
    pub(super) fn serve_the_rest(&mut self, place: usize, elapsed: Duration, now: Instant) {
        let is_behind = |strand: &mut super::Strand| !strand.is_closed && strand.rota.as_mut().is_some_and(|rota| rota.is_behind(elapsed));
        while !self.is_in_doubt(now) && is_behind(&mut self.strands[place]) {
            self.serve_due(place, elapsed, now);
        }
    }

    /// Makes users for what waits, where others have left.
    pub(super) fn serve_waiting(&mut self, now: Instant) {
        let mut starts = 0;
        for place in 0..self.strands.len() {
            let Some(most) = self.strands[place].rota.as_ref().map(Rota::users_max) else { continue };
            while !self.is_stopping
                && starts < STARTS_IN_A_TURN
                && self.users.count_of(place) < most
                && let Some(room) = self.strands[place].pool.room_that_waits()
                && let Some(arrival) = self.strands[place].pool.take_waiting(room, now)
            {
                self.make_user(place, room, arrival);
                starts += 1;
            }
        }
    }

    /// When the lane has to look again for what is due or has waited long enough.
    pub(super) fn next_arrival(&mut self, elapsed: Duration, now: Instant) -> Option<Instant> {
        let is_in_doubt = self.is_in_doubt(now);
        let mut next: Option<Instant> = None;
        for strand in self.strands.iter_mut().filter(|strand| !strand.is_closed) {
            let Some(rota) = &mut strand.rota else { continue };
            if is_in_doubt {
                next = next.into_iter().chain(strand.pool.next_expiry()).chain(Some(now + DOUBT_LOOK)).min();
                continue;
            }
            if rota.is_behind(elapsed) {
                return Some(now);
            }
            let due = rota.next_due().and_then(|at| self.zero.checked_add(at));
            next = next.into_iter().chain(due).chain(strand.pool.next_expiry()).min();
        }
        next
    }

    /// Whether slots that are held here may have gone to others unheard.
    fn is_in_doubt(&self, now: Instant) -> bool {
        !self.pulse.is_sure(now, self.followed)
    }

    fn admit(&mut self, place: usize, due: Due, now: Instant) {
        let strand = &self.strands[place];
        let Some((at, most)) = self.zero.checked_add(due.at).zip(strand.rota.as_ref().map(Rota::users_max)) else { return };
        let index = self.numbering.index(place, due.index);
        let arrival = Arrival::new(index, at, now, self.lane.recorder.clone(), strand.counted_as());
        if self.duty.as_ref().is_some_and(|duty| duty.is_paused) {
            return arrival.give_up(DropReason::Paused);
        }
        // It has waited for the lane as long as it would have for a user. Where no patience is stated, it is late and begins.
        if !strand.patience.is_zero() && now.saturating_duration_since(at) > strand.patience.max(LATE) {
            return arrival.give_up(DropReason::GeneratorLate);
        }
        // Only classes with fixed counts have none, which an open profile may not have.
        let Some(class) = strand.roster.class_of(due.index) else { return };
        let room = strand.room_of(class, due.index);
        // Nobody overtakes those who wait.
        let arrival = if strand.pool.has_waiting(room) { Some(arrival) } else { strand.pool.hand(room, arrival) };
        let Some(arrival) = arrival else { return };
        if self.users.count_of(place) < most || strand.pool.dismiss_one_for(room) {
            self.make_user(place, room, arrival);
        } else {
            strand.pool.wait(room, arrival, at.checked_add(strand.patience).unwrap_or(now));
        }
    }

    /// Makes a user for an iteration. It bears the iteration's index, which no other iteration in the run has, and so no other user.
    fn make_user(&mut self, place: usize, room: usize, arrival: Arrival) {
        let (index, strand) = (arrival.index(), &self.strands[place]);
        let (class, side) = strand.of_room(room);
        let control = Rc::new(UserControl::behind(Rc::clone(&self.gate), Rc::clone(&self.debt), 0));
        match self.lane.workload.new_user(UserStart { index, class, iterations_done: 0, side, control: Rc::clone(&control) }) {
            Ok(mut user) => {
                let (recorder, pool, life_control) = (self.lane.recorder.clone(), Rc::clone(&strand.pool), Rc::clone(&control));
                let counted = strand.place(class);
                let life = async move { user::serve(&mut user, arrival, &life_control, &recorder, (&pool, room), counted).await };
                self.users.spawn(index, control, life);
            }
            Err(why) => {
                log::error!("user {index} could not be made: {why}");
                self.lane.recorder.borrow_mut().user_dropped();
            }
        }
    }
}

/// How often a lane in doubt looks whether it still is.
const DOUBT_LOOK: Duration = Duration::from_millis(10);
