//! The deadlines of a connection's exchanges, which need no timer each: the connection has one that is moved only when it is armed too late or has
//! gone off too early, so that with equal time limits it is touched once in a limit, not once in a request.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::time::Sleep;

/// A timer that is seldom touched.
#[derive(Debug, Default)]
pub(super) struct Timer {
    sleep: Option<Pin<Box<Sleep>>>,
    armed_for: Option<Instant>,
    /// Whom `sleep` wakes.
    wakes: Option<Waker>,
}

impl Timer {
    /// Ready once `deadline` has passed.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        if self.is_set(cx, deadline) {
            return Poll::Pending;
        }
        loop {
            let sleep = match (&mut self.sleep, self.armed_for) {
                (Some(sleep), Some(armed_for)) => {
                    if armed_for > deadline {
                        sleep.as_mut().reset(deadline.into());
                        self.armed_for = Some(deadline);
                    }
                    sleep
                }
                (slot, _) => {
                    self.armed_for = Some(deadline);
                    slot.insert(Box::pin(tokio::time::sleep_until(deadline.into())))
                }
            };
            if sleep.as_mut().poll(cx).is_pending() {
                match &mut self.wakes {
                    Some(waker) => waker.clone_from(cx.waker()),
                    none => *none = Some(cx.waker().clone()),
                }
                return Poll::Pending;
            }
            // Gone off for the deadline of an earlier exchange: armed again.
            if self.armed_for.is_some_and(|armed_for| armed_for < deadline) {
                sleep.as_mut().reset(deadline.into());
                self.armed_for = Some(deadline);
                continue;
            }
            return Poll::Ready(());
        }
    }

    /// Whether it goes off by `deadline`. One that has gone off does so no more.
    pub(super) fn is_armed_for(&self, deadline: Instant) -> bool {
        self.armed_for.is_some_and(|armed_for| armed_for <= deadline) && self.sleep.as_ref().is_some_and(|sleep| !sleep.is_elapsed())
    }

    /// Whether it goes off in time, has not yet, and wakes who asks: there is nothing to be done, as in nearly every poll.
    fn is_set(&self, cx: &Context<'_>, deadline: Instant) -> bool {
        self.is_armed_for(deadline) && self.wakes.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()))
    }
}
