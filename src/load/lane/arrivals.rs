//! An open profile in a lane: what is due goes to a free user, or a user is made for it, or it waits, or it is dropped.
//!
//! Which iterations are due here is the rota's to say, who is free the pool's.
//!
//! | a due iteration finds | then |
//! |---|---|
//! | the run paused | it is dropped as `paused` |
//! | a free user of its class | that one begins it |
//! | none, and room for a user | one is made for it |
//! | none and no room, but a free user of another class | that one is sent away, and one is made for it |
//! | none of these | it waits up to the profile's patience; then it is dropped as `no_free_user`, or as `generator_late` where the lane itself was |

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{LOOKS_IN_A_TURN, Running, STARTS_IN_A_TURN};
use crate::load::alarm::Alarm;
use crate::load::dealer::Duty;
use crate::load::pool::Arrival;
use crate::load::rota::{Due, Rota};
use crate::load::{LaneWorkload, UserControl, UserStart, user};
use crate::plan::LoadProfile;
use crate::stats::tally::DropReason;

impl<L: LaneWorkload> Running<L> {
    /// Takes a duty on, where its profile is open.
    pub(super) fn follow_rota(&mut self, duty: &Arc<Duty>) {
        let follows = self.rota.as_mut().is_some_and(|rota| rota.follow(duty));
        if !follows {
            self.rota = Rota::new(duty, self.lane.plan.seed, self.since);
        }
        let Some(rota) = &self.rota else { return };
        self.alarm.get_or_insert_with(|| Rc::new(Alarm::new()));
        self.pool.dismiss(self.users.count().saturating_sub(rota.users_max()));
        if duty.is_paused {
            self.pool.give_up_waiting(Some(DropReason::Paused));
        }
    }

    /// What wakes the lane more exactly than the runtime's timers do.
    pub(super) fn alarm(&self) -> Option<Rc<Alarm>> {
        self.alarm.clone()
    }

    /// Hands out what is due, as much of it as one turn may.
    pub(super) fn serve_due(&mut self, elapsed: Duration, now: Instant) {
        // Whoever has left makes room.
        self.on_ended_users();
        let Some(rota) = &mut self.rota else { return };
        for due in rota.take_due(elapsed, STARTS_IN_A_TURN as usize, LOOKS_IN_A_TURN) {
            self.admit(due, now);
        }
        self.pool.expire(now);
    }

    /// Hands out all that is due until the planned end, which has come.
    pub(super) fn serve_the_rest(&mut self, elapsed: Duration, now: Instant) {
        while self.rota.as_mut().is_some_and(|rota| rota.is_behind(elapsed)) {
            self.serve_due(elapsed, now);
        }
    }

    /// Makes users for what waits, where others have left.
    pub(super) fn serve_waiting(&mut self, now: Instant) {
        let Some(most) = self.rota.as_ref().map(Rota::users_max) else { return };
        let mut starts = 0;
        while !self.is_stopping
            && starts < STARTS_IN_A_TURN
            && self.users.count() < most
            && let Some(class) = self.pool.class_that_waits()
            && let Some(arrival) = self.pool.take_waiting(class, now)
        {
            self.make_user(class, arrival);
            starts += 1;
        }
    }

    /// When the lane has to look again for what is due or has waited long enough.
    pub(super) fn next_arrival(&mut self, elapsed: Duration, now: Instant) -> Option<Instant> {
        let rota = self.rota.as_mut()?;
        if rota.is_behind(elapsed) {
            return Some(now);
        }
        let due = rota.next_due().and_then(|at| self.zero.checked_add(at));
        due.into_iter().chain(self.pool.next_expiry()).min()
    }

    fn admit(&mut self, due: Due, now: Instant) {
        let Some((at, most)) = self.zero.checked_add(due.at).zip(self.rota.as_ref().map(Rota::users_max)) else { return };
        let arrival = Arrival::new(due.index, at, now, self.lane.recorder.clone());
        let (is_paused, patience) = self.duty.as_ref().map_or((false, Duration::ZERO), |duty| (duty.is_paused, patience_of(&duty.profile)));
        if is_paused {
            return arrival.give_up(DropReason::Paused);
        }
        // Only classes with fixed counts have none, which an open profile may not have.
        let Some(class) = self.roster.class_of(due.index) else { return };
        // Nobody overtakes those who wait.
        let arrival = if self.pool.has_waiting(class) { Some(arrival) } else { self.pool.hand(class, arrival) };
        let Some(arrival) = arrival else { return };
        if self.users.count() < most || self.pool.dismiss_one_for(class) {
            self.make_user(class, arrival);
        } else {
            self.pool.wait(class, arrival, at.checked_add(patience).unwrap_or(now));
        }
    }

    /// Makes a user for an iteration. It bears the iteration's index, which no other iteration in the run has, and so no other user.
    fn make_user(&mut self, class: usize, arrival: Arrival) {
        let index = arrival.index();
        let control = Rc::new(UserControl::behind(Rc::clone(&self.gate)));
        match self.lane.workload.new_user(UserStart { index, class, iterations_done: 0, control: Rc::clone(&control) }) {
            Ok(user) => {
                let (recorder, pool, life_control) = (self.lane.recorder.clone(), Rc::clone(&self.pool), Rc::clone(&control));
                let life = async move { user::serve(user, arrival, &life_control, &recorder, &pool, class).await };
                self.users.spawn(index, control, life);
            }
            Err(why) => {
                log::error!("user {index} could not be made: {why}");
                self.lane.recorder.borrow_mut().user_dropped();
            }
        }
    }
}

fn patience_of(profile: &LoadProfile) -> Duration {
    match profile {
        LoadProfile::Arrivals(arrivals) => arrivals.patience,
        LoadProfile::Ramp(_) | LoadProfile::Iterations(_) => Duration::ZERO,
    }
}
