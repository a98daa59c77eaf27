//! How long the turns of a lane take, for one reading of the clock a turn: one begins where the last one ended, or where the lane woke up.
//!
//! What runs between two turns of users, such as the lane's own loop, counts to the next one; it is short.

use std::cell::Cell;
use std::time::{Duration, Instant};

thread_local! {
    static LAST: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// The lane's thread has slept until now: what begins next begins here.
pub(super) fn wake_up() {
    LAST.set(Some(Instant::now()));
}

/// When the turn that begins here began.
pub(super) fn begin_turn() -> Instant {
    LAST.get().unwrap_or_else(Instant::now)
}

/// The length of the turn that ends here.
pub(super) fn end_turn(begun: Instant) -> Duration {
    let now = Instant::now();
    LAST.set(Some(now));
    now.saturating_duration_since(begun)
}
