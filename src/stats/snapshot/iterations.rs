//! What became of the iterations of a profile that says when they are due, or how many there are. Owns the shape of the view only.

use crate::stats::tally::DropReason;

/// What became of the iterations of an open profile: `started + dropped + lost = due` once the run is over; before, some may wait.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ArrivalsView {
    /// Iterations that were due.
    pub due: u64,
    /// Those that began.
    pub started: u64,
    /// Those that could not begin, by reason; reasons without any are left out.
    pub dropped: Vec<(DropReason, u64)>,
    /// Those that nobody tells of: they were in the hands of a worker that was lost.
    pub lost: u64,
    /// Iterations per second that the plan wants now; `None` where the profile is closed.
    pub rate: Option<f64>,
}

/// How far a run has come that has a number of iterations: `begun + lost = total` once all are given out and nobody holds any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QuotaView {
    /// How many there are.
    pub total: u64,
    /// Those that began, as workers have told.
    pub begun: u64,
    /// Those that nobody tells of: they were given to a worker that was lost. None of them is begun by another one.
    pub lost: u64,
}

impl QuotaView {
    /// Those that have not begun and are not lost.
    #[must_use]
    pub const fn left(&self) -> u64 {
        self.total.saturating_sub(self.begun).saturating_sub(self.lost)
    }
}
