//! The shape of a run: what its profile says of any moment, whichever kind of profile it is.
//!
//! The answers are those of `load::profile`. Nothing here remembers, waits or starts anybody; `lane` does.

use std::time::Duration;

use super::profile::arrivals::{Schedule, slots_of};
use super::profile::ramp::Ramp;
use crate::plan::{LoadProfile, Rate, USERS_OF_A_WORKER};

/// A [`LoadProfile`] made ready for questions. The default one wants nobody, for ever.
#[derive(Debug, Clone)]
pub enum Shape {
    /// Closed.
    Ramp(Ramp),
    /// Open.
    Arrivals {
        /// The rates. When single iterations are due depends on the run's seed, which is not known here.
        rates: Schedule,
        /// How many slots iterations go round.
        slots: u32,
        /// How many users there may be.
        users: u32,
    },
}

impl Default for Shape {
    fn default() -> Self {
        Self::Ramp(Ramp::default())
    }
}

impl Shape {
    /// Reads a profile.
    #[must_use]
    pub fn new(profile: &LoadProfile) -> Self {
        match profile {
            LoadProfile::Ramp(ramp) => Self::Ramp(Ramp::new(ramp)),
            // When its iterations are used up is not known before: by then its users have left.
            LoadProfile::Iterations(iterations) => Self::Ramp(Ramp::new(&iterations.as_ramp())),
            LoadProfile::Arrivals(arrivals) => Self::Arrivals {
                rates: Schedule::new(arrivals, 0),
                slots: slots_of(arrivals),
                users: arrivals.max_users.unwrap_or(USERS_OF_A_WORKER),
            },
        }
    }

    /// How many users the plan wants at `t` on the run's clock; zero from the planned end on. An open profile wants iterations, and no users.
    #[must_use]
    pub fn users_at(&self, t: Duration) -> u32 {
        match self {
            Self::Ramp(ramp) => ramp.users_at(t),
            Self::Arrivals { .. } => 0,
        }
    }

    /// The level that the plan is on its way to at `t`: the one at the end of the line that holds; zero from the planned end on.
    #[must_use]
    pub fn target_at(&self, t: Duration) -> u32 {
        match self {
            Self::Ramp(ramp) => ramp.target_at(t),
            Self::Arrivals { .. } => 0,
        }
    }

    /// How many iterations an open profile wants at `t`.
    #[must_use]
    pub fn rate_at(&self, t: Duration) -> Option<Rate> {
        match self {
            Self::Ramp(_) => None,
            Self::Arrivals { rates, .. } => Some(rates.rate_at(t)),
        }
    }

    /// For how many users, with the lowest indices, slots are shared out level at `t`.
    #[must_use]
    pub fn level_at(&self, t: Duration) -> u64 {
        match self {
            Self::Ramp(ramp) => u64::from(ramp.target_at(t).max(ramp.users_at(t))),
            Self::Arrivals { slots, .. } => u64::from(*slots),
        }
    }

    /// The first moment after `t` at which [`Shape::users_at`] changes; `None` if it never does again.
    #[must_use]
    pub fn next_change(&self, t: Duration) -> Option<Duration> {
        match self {
            Self::Ramp(ramp) => ramp.next_change(t),
            Self::Arrivals { rates, .. } => rates.end().filter(|&end| end > t),
        }
    }

    /// Whether a user is still to start after `t`: the level rises again, before the planned end.
    #[must_use]
    pub fn rises_after(&self, t: Duration) -> bool {
        match self {
            Self::Ramp(ramp) => ramp.rises_after(t),
            Self::Arrivals { rates, .. } => rates.end().is_none_or(|end| t < end),
        }
    }

    /// Whether the number of users, or the rate, is on its way at `t`: inside a line that is no hold.
    #[must_use]
    pub fn is_spawning(&self, t: Duration) -> bool {
        match self {
            Self::Ramp(ramp) => ramp.is_spawning(t),
            Self::Arrivals { rates, .. } => rates.is_changing(t),
        }
    }

    /// When the run ends by itself, counted from its start.
    #[must_use]
    pub fn end(&self) -> Option<Duration> {
        match self {
            Self::Ramp(ramp) => ramp.end(),
            Self::Arrivals { rates, .. } => rates.end(),
        }
    }

    /// The greatest number of users that the profile ever wants, or may have.
    #[must_use]
    pub fn peak(&self) -> u32 {
        match self {
            Self::Ramp(ramp) => ramp.peak(),
            Self::Arrivals { users, .. } => *users,
        }
    }
}
