//! The users of one lane in an open profile: who is free, and which iterations wait for one.
//!
//! Owns the handing over of an iteration that is due to a user. When one is due is the rota's to say, whether a user is made and which room of the pool
//! is whose the lane's.
//!
//! Invariant: an [`Arrival`] is counted as due when it is made, and then once more, as started or as dropped, whatever becomes of it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::UserControl;
use crate::stats::drop_reason::DropReason;
use crate::stats::recorder::Recorder;

/// An iteration that is due, until a user begins it.
#[derive(Debug)]
pub(super) struct Arrival {
    index: u64,
    due: Instant,
    recorder: Rc<RefCell<Recorder>>,
    /// Its profile, where that has a name.
    profile: Option<usize>,
    /// Why it is dropped, if it is.
    reason: DropReason,
    has_begun: bool,
}

impl Arrival {
    /// Iteration `index`, which was due at `due` and of which the lane took note at `now`.
    pub fn new(index: u64, due: Instant, now: Instant, recorder: Rc<RefCell<Recorder>>, profile: Option<usize>) -> Self {
        recorder.borrow_mut().iteration_due();
        if let Some(profile) = profile {
            recorder.borrow_mut().profile(profile).events.due += 1;
        }
        let is_late = now.saturating_duration_since(due) > LATE;
        let reason = if is_late { DropReason::GeneratorLate } else { DropReason::NoFreeUser };
        Self { index, due, recorder, profile, reason, has_begun: false }
    }

    pub const fn index(&self) -> u64 {
        self.index
    }

    /// A user begins it; how late it is, and its index.
    pub fn begin(mut self, now: Instant) -> (u64, Duration) {
        self.has_begun = true;
        let late = now.saturating_duration_since(self.due);
        let mut recorder = self.recorder.borrow_mut();
        recorder.iteration_started(late);
        if let Some(profile) = self.profile {
            let counts = recorder.profile(profile);
            counts.events.started += 1;
            counts.lateness.add(late);
        }
        drop(recorder);
        (self.index, late)
    }

    /// It is not begun, for this reason.
    pub fn give_up(mut self, reason: DropReason) {
        self.reason = reason;
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        if !self.has_begun {
            let mut recorder = self.recorder.borrow_mut();
            recorder.iteration_dropped(self.reason);
            if let Some(profile) = self.profile {
                recorder.profile(profile).events.dropped[self.reason as usize] += 1;
            }
        }
    }
}

/// Free users and waiting iterations, by room: whoever is free in one can begin what waits there.
pub(super) struct Pool {
    /// Of a room the one that became free last comes first: its connection is the least likely to be closed.
    free: RefCell<Vec<Vec<Rc<Seat>>>>,
    waiting: RefCell<Vec<VecDeque<Waiting>>>,
    /// Users leave, and nothing waits any more.
    is_closed: Cell<bool>,
}

#[derive(Debug)]
struct Waiting {
    arrival: Arrival,
    until: Instant,
}

/// Where one user waits for its next iteration.
#[derive(Default)]
pub(super) struct Seat {
    given: Cell<Option<Arrival>>,
    is_listed: Cell<bool>,
    wake: tokio::sync::Notify,
}

impl Pool {
    pub fn new(rooms: usize) -> Self {
        let free = RefCell::new(vec![Vec::new(); rooms]);
        let waiting = RefCell::new((0..rooms).map(|_| VecDeque::new()).collect());
        Self { free, waiting, is_closed: Cell::new(false) }
    }

    /// Hands an iteration to a free user; gives it back where there is none.
    pub fn hand(&self, room: usize, arrival: Arrival) -> Option<Arrival> {
        let Some(seat) = self.free.borrow_mut()[room].pop() else { return Some(arrival) };
        seat.is_listed.set(false);
        seat.given.set(Some(arrival));
        seat.wake.notify_one();
        None
    }

    /// The iteration waits for a user of its room until `until`.
    pub fn wait(&self, room: usize, arrival: Arrival, until: Instant) {
        let mut waiting = self.waiting.borrow_mut();
        if !self.is_closed.get() && waiting[room].len() < WAITING_MAX {
            waiting[room].push_back(Waiting { arrival, until });
        }
    }

    /// Whether an iteration of `room` waits; those that come later must not overtake it.
    pub fn has_waiting(&self, room: usize) -> bool {
        !self.waiting.borrow()[room].is_empty()
    }

    /// Drops the iterations whose patience is over.
    pub fn expire(&self, now: Instant) {
        // Their drop looks at the recorder alone.
        for waiting in self.waiting.borrow_mut().iter_mut() {
            while waiting.pop_front_if(|waiting| waiting.until <= now).is_some() {}
        }
    }

    /// When the next waiting iteration's patience is over.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.waiting.borrow().iter().filter_map(|waiting| waiting.front()).map(|waiting| waiting.until).min()
    }

    /// The iteration of `room` that has waited longest.
    pub fn take_waiting(&self, room: usize, now: Instant) -> Option<Arrival> {
        self.expire(now);
        self.waiting.borrow_mut()[room].pop_front().map(|waiting| waiting.arrival)
    }

    /// The room whose oldest iteration has waited longest.
    pub fn room_that_waits(&self) -> Option<usize> {
        let waiting = self.waiting.borrow();
        let fronts = waiting.iter().enumerate().filter_map(|(room, waiting)| waiting.front().map(|front| (front.until, room)));
        fronts.min().map(|(_, room)| room)
    }

    /// Sends one free user of another room than `room` away, if there is any.
    pub fn dismiss_one_for(&self, room: usize) -> bool {
        let mut free = self.free.borrow_mut();
        // The one that has been free longest, of the room with the most.
        let richest = (0..free.len()).filter(|&other| other != room && !free[other].is_empty()).max_by_key(|&other| free[other].len());
        let Some(other) = richest else { return false };
        dismiss(&free[other].remove(0));
        true
    }

    /// Sends all free users away.
    pub fn dismiss_free(&self) {
        for seat in self.free.borrow_mut().iter_mut().flat_map(|seats| seats.drain(..)) {
            dismiss(&seat);
        }
    }

    /// Sends away free users, as many as there are up to `count`.
    pub fn dismiss(&self, count: usize) {
        let mut free = self.free.borrow_mut();
        let seats = free.iter_mut().flat_map(|seats| seats.drain(..seats.len().min(count)).collect::<Vec<_>>());
        seats.take(count).for_each(|seat| dismiss(&seat));
    }

    /// What waits is dropped for this reason.
    pub fn give_up_waiting(&self, reason: Option<DropReason>) {
        for waiting in self.waiting.borrow_mut().iter_mut().flat_map(|waiting| waiting.drain(..)) {
            match reason {
                Some(reason) => waiting.arrival.give_up(reason),
                None => drop(waiting),
            }
        }
    }

    /// No iteration begins any more. Users that are free are told by their control.
    pub fn close(&self) {
        self.is_closed.set(true);
        self.give_up_waiting(None);
    }

    /// A user's next iteration, once there is one; `None` where the user shall leave.
    pub async fn next(&self, room: usize, seat: &Rc<Seat>, control: &UserControl) -> Option<Arrival> {
        if self.is_closed.get() || control.is_at_its_end() {
            return None;
        }
        if let Some(arrival) = self.take_waiting(room, super::now()) {
            return Some(arrival);
        }
        seat.is_listed.set(true);
        self.free.borrow_mut()[room].push(Rc::clone(seat));
        let place = Place { pool: self, room, seat };
        tokio::select! {
            biased;
            () = seat.wake.notified() => {}
            () = control.drained() => {}
        }
        drop(place);
        // What it was given as it was told to leave has a user, and begins.
        seat.given.take()
    }
}

/// A user's place in the list, which it leaves whatever ends it.
struct Place<'a> {
    pool: &'a Pool,
    room: usize,
    seat: &'a Rc<Seat>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.seat.is_listed.replace(false) {
            self.pool.free.borrow_mut()[self.room].retain(|seat| !Rc::ptr_eq(seat, self.seat));
        }
    }
}

fn dismiss(seat: &Seat) {
    seat.is_listed.set(false);
    // It wakes without having been given anything.
    seat.wake.notify_one();
}

/// A lane that takes note of an iteration later than this has been kept from its work: what is dropped then is dropped for that.
pub(super) const LATE: Duration = Duration::from_millis(100);
/// Iterations of one room that may wait in one lane.
const WAITING_MAX: usize = 1_000_000;
