//! What became of the iterations of a profile that says when they are due, or how many there are, and each named profile by itself. Owns the
//! shape of the view only.

use std::time::Duration;

use super::values::TrendView;
use crate::stats::drop_reason::DropReason;

/// What became of the iterations of an open profile: `started + dropped + lost = due` once the run is over; before, some may wait.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ArrivalsView {
    /// Iterations that were due.
    pub due: u64,
    /// Those that have begun, whether they are over or not.
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

/// One named profile of a run.
#[derive(Debug, Clone, Default)]
pub struct ProfileView {
    /// Unique in the run.
    pub name: String,
    /// Whether its levels are users or iterations.
    pub kind: ProfileKind,
    /// The names of the user classes that it has.
    pub classes: Vec<String>,
    /// The run's clock when it begins.
    pub begins: Duration,
    /// The run's clock when it ends; `None` where nobody knows before.
    pub ends: Option<Duration>,
    /// It has come to its end: its users have left, or finish.
    pub is_over: bool,
    /// Its users that run, as workers told last; `None` before they do.
    pub users: Option<u64>,
    /// Users that it wants now. An open one wants as many as it has.
    pub target_users: u64,
    /// Users that the line which holds now leads to.
    pub goal_users: u64,
    /// Iterations that came to their end per second, over the last 10 seconds; `None` where no whole second is known yet.
    pub current_rate: Option<f64>,
    /// Finished iterations, as `iteration_duration`.
    pub iterations: TrendView,
    /// The same from the due time on.
    pub since_due: TrendView,
    /// How late they began.
    pub lateness: TrendView,
    /// Iterations that the script ended by an error.
    pub raised: u64,
    /// Iterations that were ended before their own end.
    pub interrupted: u64,
    /// What became of iterations that had a due time.
    pub arrivals: ArrivalsView,
    /// How many iterations have begun, where it says how many there are.
    pub quota: Option<QuotaView>,
}

/// What a profile wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ProfileKind {
    /// Its levels are numbers of users.
    #[default]
    Users,
    /// So many iterations a second.
    Arrivals,
    /// It wants a number of iterations.
    Iterations,
}

impl ProfileKind {
    /// As files and interfaces have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Arrivals => "arrivals",
            Self::Iterations => "iterations",
        }
    }
}
