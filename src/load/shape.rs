//! The shape of a run: what its profile says of any moment, whichever kind of profile it is.
//!
//! The answers are those of `load::profile`. Nothing here remembers, waits or starts anybody; `lane` does.

use std::time::Duration;

use super::profile::arrivals::{Schedule, slots_of};
use super::profile::ramp::Ramp;
use super::slots::SLOTS;
use crate::plan::{LoadProfile, Rate, USERS_OF_A_WORKER};

/// A [`LoadProfile`] made ready for questions. The default one wants nobody, for ever.
#[derive(Debug, Clone)]
pub enum Shape {
    /// Of a closed profile: so many users at a moment.
    Ramp(Ramp),
    /// Of an open profile: so many iterations a second.
    Arrivals {
        /// The rates. When single iterations are due depends on the run's seed, which is not known here.
        rates: Schedule,
        /// How many slots iterations go round.
        slots: u32,
        /// How many users there may be.
        users: u32,
    },
    /// Several side by side: at least one, none of which is several again.
    Several(Vec<Shape>),
}

impl Default for Shape {
    fn default() -> Self {
        Self::Ramp(Ramp::default())
    }
}

impl Shape {
    /// Makes a profile ready for questions.
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
            LoadProfile::Several(_) => Self::Several(profile.each().map(Self::new).collect()),
        }
    }

    /// Each profile's by itself, in the order of their indices.
    #[must_use]
    pub const fn parts(&self) -> &[Self] {
        match self {
            Self::Several(parts) => parts.as_slice(),
            Self::Ramp(_) | Self::Arrivals { .. } => std::slice::from_ref(self),
        }
    }

    /// Whether it wants iterations, and no users.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.parts().iter().any(|part| matches!(part, Self::Arrivals { .. }))
    }

    /// Whether nothing is wanted from `t` on.
    #[must_use]
    pub fn is_over_at(&self, t: Duration) -> bool {
        self.end().is_some_and(|end| t >= end)
    }

    /// How many users one slot has at most at `t`.
    #[must_use]
    pub fn users_a_slot_at(&self, t: Duration) -> u32 {
        self.parts().iter().map(|part| part.users_at(t).div_ceil(SLOTS)).fold(0, u32::saturating_add)
    }

    /// How many users the plan wants at `t` on the run's clock; zero from the planned end on. An open profile wants iterations, and no users.
    #[must_use]
    pub fn users_at(&self, t: Duration) -> u32 {
        match self {
            Self::Ramp(ramp) => ramp.users_at(t),
            Self::Arrivals { .. } => 0,
            Self::Several(parts) => parts.iter().map(|part| part.users_at(t)).fold(0, u32::saturating_add),
        }
    }

    /// The level that the plan is on its way to at `t`: the one at the end of the line that holds; zero from the planned end on.
    #[must_use]
    pub fn target_at(&self, t: Duration) -> u32 {
        match self {
            Self::Ramp(ramp) => ramp.target_at(t),
            Self::Arrivals { .. } => 0,
            Self::Several(parts) => parts.iter().map(|part| part.target_at(t)).fold(0, u32::saturating_add),
        }
    }

    /// How many iterations an open profile wants at `t`.
    #[must_use]
    pub fn rate_at(&self, t: Duration) -> Option<Rate> {
        match self {
            Self::Ramp(_) => None,
            Self::Arrivals { rates, .. } => Some(rates.rate_at(t)),
            Self::Several(parts) => parts.iter().filter_map(|part| part.rate_at(t)).reduce(|sum, rate| Rate(sum.0.saturating_add(rate.0))),
        }
    }

    /// For how many users, with the lowest indices, slots are shared out level at `t`.
    #[must_use]
    pub fn level_at(&self, t: Duration) -> u64 {
        match self {
            Self::Ramp(ramp) => u64::from(ramp.target_at(t).max(ramp.users_at(t))),
            Self::Arrivals { slots, .. } => u64::from(*slots),
            Self::Several(parts) => level_of(parts, t),
        }
    }

    /// The first moment after `t` at which [`Shape::users_at`] changes; `None` if it never does again.
    #[must_use]
    pub fn next_change(&self, t: Duration) -> Option<Duration> {
        match self {
            Self::Ramp(ramp) => ramp.next_change(t),
            Self::Arrivals { rates, .. } => rates.end().filter(|&end| end > t),
            Self::Several(parts) => parts.iter().filter_map(|part| part.next_change(t)).min(),
        }
    }

    /// Whether a user is still to start after `t`: the level rises again, before the planned end.
    #[must_use]
    pub fn rises_after(&self, t: Duration) -> bool {
        match self {
            Self::Ramp(ramp) => ramp.rises_after(t),
            Self::Arrivals { rates, .. } => rates.end().is_none_or(|end| t < end),
            Self::Several(parts) => parts.iter().any(|part| part.rises_after(t)),
        }
    }

    /// Whether the number of users, or the rate, is on its way at `t`: inside a line that is no hold.
    #[must_use]
    pub fn is_spawning(&self, t: Duration) -> bool {
        match self {
            Self::Ramp(ramp) => ramp.is_spawning(t),
            Self::Arrivals { rates, .. } => rates.is_changing(t),
            Self::Several(parts) => parts.iter().any(|part| part.is_spawning(t)),
        }
    }

    /// When the run ends by itself, counted from its start.
    #[must_use]
    pub fn end(&self) -> Option<Duration> {
        match self {
            Self::Ramp(ramp) => ramp.end(),
            Self::Arrivals { rates, .. } => rates.end(),
            Self::Several(parts) => parts.iter().map(Self::end).collect::<Option<Vec<_>>>().and_then(|ends| ends.into_iter().max()),
        }
    }

    /// The greatest number of users that the profile ever wants, or may have.
    #[must_use]
    pub fn peak(&self) -> u32 {
        match self {
            Self::Ramp(ramp) => ramp.peak(),
            Self::Arrivals { users, .. } => *users,
            Self::Several(parts) => parts.iter().map(Self::peak).fold(0, u32::saturating_add),
        }
    }
}

/// Shares can be level for one number. Of several profiles it is the most users that a closed one wants: an open one goes round so many slots that a
/// few more or less are nothing.
fn level_of(parts: &[Shape], t: Duration) -> u64 {
    let of = |is_open| parts.iter().filter(|part| part.is_open() == is_open).map(|part| part.level_at(t)).max().filter(|level| *level > 0);
    of(false).or_else(|| of(true)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::plan::NamedProfile;

    #[test]
    fn several_shapes_want_what_they_want_together_and_end_with_the_last() {
        let seconds = Duration::from_secs;
        let named = |name: &str, profile: LoadProfile| NamedProfile { name: name.into(), classes: vec![], tags: BTreeMap::new(), profile };
        let shape = Shape::new(&LoadProfile::Several(vec![
            named("browse", LoadProfile::plain(4, 4.0, Some(seconds(10)))),
            named("buy", LoadProfile::plain_arrivals(Rate::per_second(5.0), Some(seconds(20))).delayed(seconds(3))),
            named("more", LoadProfile::plain(70_000, 1e9, Some(seconds(10))).delayed(seconds(5))),
        ]));
        let at = |t| (shape.users_at(seconds(t)), shape.rate_at(seconds(t)).map(|rate| rate.to_string()), shape.level_at(seconds(t)));
        assert_eq!(at(2), (4, Some("0/s".into()), 4));
        assert_eq!(at(6), (70_004, Some("5/s".into()), 70_000));
        assert_eq!(at(16), (0, Some("5/s".into()), 65_536));
        assert_eq!((shape.end(), shape.peak(), shape.users_a_slot_at(seconds(6))), (Some(seconds(23)), 80_004, 3));
        assert_eq!(shape.parts()[1].next_change(seconds(4)), Some(seconds(23)));
        assert!(shape.rises_after(seconds(4)) && shape.is_over_at(seconds(23)) && !shape.is_over_at(seconds(22)));
    }
}
