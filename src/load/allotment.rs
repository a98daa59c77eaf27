//! Which user of a lane and one profile has one more iteration, where the profile says how many there are.
//!
//! Owns the question before each iteration, and the count of those that began. Numbers come from the worker's stock, which has them from the
//! master: each is given out once in the whole cluster, and whoever has one begins one iteration. So no iteration is begun twice, whatever
//! becomes of workers and wherever users move.
//!
//! Where each user has so many, no life does more than that. What a user has done elsewhere is not known here, for a worker that died cannot tell:
//! one that was moved counts anew. All of them together have no more numbers than there are, so that the sum stays; the user may do a part of
//! another one's share.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::UserControl;
use super::stock::{LOOK_AGAIN, Stock, Taken, iterations_of};
use crate::plan::LoadProfile;

/// What the users of a lane have in common that are of one profile.
#[derive(Debug)]
pub(super) struct Allotment {
    stock: Arc<Stock>,
    /// Under which name the stock has the profile's iterations.
    source: String,
    bound: Cell<Option<Bound>>,
    begun: Cell<u64>,
}

/// How many iterations there are.
#[derive(Debug, Clone, Copy)]
struct Bound {
    total: u64,
    each: Option<u64>,
}

/// Whether a user begins an iteration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Begins,
    /// It has to ask again.
    Waits,
    /// There is none for it any more.
    IsThrough,
}

impl Allotment {
    /// Of profile number `profile`, of which nothing is known. Numbers come from `stock`.
    pub fn new(stock: Arc<Stock>, profile: usize) -> Self {
        Self { stock, source: iterations_of(profile), bound: Cell::default(), begun: Cell::default() }
    }

    /// From here on work arrives by this profile.
    pub fn follow(&self, profile: &LoadProfile) {
        self.bound.set(profile.quota().map(|(total, each)| Bound { total, each }));
    }

    /// Whether there is a number of them.
    pub fn is_bound(&self) -> bool {
        self.bound.get().is_some()
    }

    /// How many iterations began by a number that was given out.
    pub fn begun(&self) -> u64 {
        self.begun.get()
    }

    /// A life begins whose user has done so many iterations in this lane before.
    pub fn share(self: &Rc<Self>, done: u64) -> Share {
        let has_entered = self.bound.get().map(|bound| self.stock.enter(&self.source, bound.total)).is_some();
        Share { allotment: Rc::clone(self), done, has_entered }
    }
}

/// The part of an allotment that one life of a user has.
#[derive(Debug)]
pub(super) struct Share {
    allotment: Rc<Allotment>,
    done: u64,
    has_entered: bool,
}

impl Share {
    /// Whether it is plain that the user has nothing to begin.
    pub fn is_used_up(&self) -> bool {
        self.allotment.bound.get().is_some_and(|bound| self.has_done(bound) || self.allotment.stock.is_over(&self.allotment.source))
    }

    /// Asks for one more, and waits a while where others may bring some back, or an answer is on its way.
    pub async fn next(&mut self, control: &UserControl, now: Instant) -> Next {
        let Some(bound) = self.allotment.bound.get() else { return Next::Begins };
        let next = self.take(bound, now);
        if next != Next::Waits {
            return next;
        }
        let allotment = Rc::clone(&self.allotment);
        let news = allotment.stock.news();
        // An answer that came in between is not missed.
        let next = self.take(bound, now);
        if next != Next::Waits {
            return next;
        }
        tokio::select! {
            () = news => {}
            () = control.drained() => {}
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
        Next::Waits
    }

    fn take(&mut self, bound: Bound, now: Instant) -> Next {
        if self.has_done(bound) {
            return Next::IsThrough;
        }
        match self.allotment.stock.take(&self.allotment.source, Some(bound.total), now) {
            Taken::Row(_) => {
                self.done += 1;
                self.allotment.begun.set(self.allotment.begun.get() + 1);
                Next::Begins
            }
            Taken::Wait => Next::Waits,
            // Of what a master knew that is gone nothing can be given out: the rest is not begun, and shown as such.
            Taken::Over | Taken::Unknown => Next::IsThrough,
        }
    }

    fn has_done(&self, bound: Bound) -> bool {
        bound.each.is_some_and(|each| self.done >= each)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.has_entered {
            self.allotment.stock.leave(&self.allotment.source);
        }
    }
}
