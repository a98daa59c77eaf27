//! Several profiles side by side in one run, by name: what is asked of each of them, and their indices. Each is a profile like any other.
//!
//! Users and iterations have one index in the whole run: with P profiles, number k of profile p has k * P + p. How many profiles there are
//! never changes in mid-run.

use std::time::Duration;

use super::profile::{IterationsProfile, LoadProfile, NamedProfile, ProfileEnd, RateStage, Stage};

impl LoadProfile {
    /// How many profiles there are side by side: at least 1.
    #[must_use]
    pub fn count(&self) -> usize {
        self.named().len().max(1)
    }

    /// Those that have names; none where there is a single one without.
    #[must_use]
    pub fn named(&self) -> &[NamedProfile] {
        match self {
            Self::Several(profiles) => profiles,
            Self::Ramp(_) | Self::Arrivals(_) | Self::Iterations(_) => &[],
        }
    }

    /// Each profile by itself, in the order of their indices.
    pub fn each(&self) -> impl Iterator<Item = &Self> {
        let single = self.named().is_empty().then_some(self);
        single.into_iter().chain(self.named().iter().map(|named| &named.profile))
    }

    /// Profile number `place` by itself; `None` if there are not as many.
    #[must_use]
    pub fn part(&self, place: usize) -> Option<&Self> {
        self.each().nth(place)
    }

    /// The name of profile number `place`, where it has one.
    #[must_use]
    pub fn name_of(&self, place: usize) -> Option<&str> {
        self.named().get(place).map(|named| named.name.as_str())
    }

    /// The same with another one in the place of profile number `place`.
    #[must_use]
    pub fn with_part(&self, place: usize, part: Self) -> Self {
        let mut profiles = match self {
            Self::Several(profiles) => profiles.clone(),
            Self::Ramp(_) | Self::Arrivals(_) | Self::Iterations(_) => return part,
        };
        if let Some(named) = profiles.get_mut(place) {
            named.profile = part;
        }
        Self::Several(profiles)
    }

    /// The same, begun `start` later: until then it wants nobody.
    #[must_use]
    pub fn delayed(self, start: Duration) -> Self {
        if start.is_zero() {
            return self;
        }
        let later = |end| match end {
            ProfileEnd::StopAt(at) => ProfileEnd::StopAt(start.saturating_add(at)),
            ProfileEnd::Hold => ProfileEnd::Hold,
        };
        match self {
            Self::Ramp(mut ramp) => {
                ramp.stages.insert(0, Stage { users: 0, over: start });
                ramp.end = later(ramp.end);
                Self::Ramp(ramp)
            }
            Self::Arrivals(mut arrivals) => {
                arrivals.stages.insert(0, RateStage { rate: super::Rate::default(), over: start });
                arrivals.end = later(arrivals.end);
                Self::Arrivals(arrivals)
            }
            Self::Iterations(iterations) => Self::Iterations(IterationsProfile {
                start: iterations.start.saturating_add(start),
                end: later(iterations.end),
                ..iterations
            }),
            Self::Several(mut profiles) => {
                for named in &mut profiles {
                    named.profile = named.profile.clone().delayed(start);
                }
                Self::Several(profiles)
            }
        }
    }

    /// The moment before which it wants nothing, and from which on it wants something.
    #[must_use]
    pub fn start(&self) -> Duration {
        // Where nothing is ever wanted there is nothing to wait for.
        let until = |levels: &mut dyn Iterator<Item = (bool, Duration)>| {
            let mut start = Duration::ZERO;
            for (is_nothing, over) in levels {
                if !is_nothing {
                    return start;
                }
                start = start.saturating_add(over);
            }
            Duration::ZERO
        };
        match self {
            Self::Ramp(ramp) => until(&mut ramp.stages.iter().map(|stage| (stage.users == 0, stage.over))),
            Self::Arrivals(arrivals) => until(&mut arrivals.stages.iter().map(|stage| (stage.rate == super::Rate::default(), stage.over))),
            Self::Iterations(iterations) => iterations.start,
            Self::Several(profiles) => profiles.iter().map(|named| named.profile.start()).min().unwrap_or(Duration::ZERO),
        }
    }
}

/// Profiles of one run at most.
pub const PROFILES_OF_A_RUN: usize = 100;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::plan::{Quota, RampProfile, Rate};

    fn seconds(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    fn named(name: &str, profile: LoadProfile) -> NamedProfile {
        NamedProfile { name: name.into(), classes: Vec::new(), tags: BTreeMap::new(), profile }
    }

    #[test]
    fn a_run_of_several_profiles_ends_with_the_last_of_them_and_not_at_all_where_one_does_not() {
        let first = named("first", LoadProfile::plain(2, 1.0, Some(seconds(5))));
        let last = named("last", LoadProfile::plain_arrivals(Rate::per_second(1.0), Some(seconds(9))).delayed(seconds(3)));
        let endless = named("endless", LoadProfile::plain(2, 1.0, None));
        assert_eq!(LoadProfile::Several(vec![first.clone(), last.clone()]).end(), ProfileEnd::StopAt(seconds(12)));
        assert_eq!(LoadProfile::Several(vec![first, endless, last]).end(), ProfileEnd::Hold);
    }

    #[test]
    fn a_profile_that_begins_later_is_the_same_from_then_on() {
        let quota = Quota::Total(7);
        let iterations = IterationsProfile { users: 2, quota, start: Duration::ZERO, end: ProfileEnd::StopAt(seconds(60)) };
        let LoadProfile::Iterations(late) = LoadProfile::Iterations(iterations).delayed(seconds(10)) else { panic!("it stays one") };
        assert_eq!((late.start, late.end), (seconds(10), ProfileEnd::StopAt(seconds(70))));
        assert_eq!(late.as_ramp().stages, [Stage { users: 0, over: seconds(10) }, Stage { users: 2, over: Duration::ZERO }]);
        let plain = LoadProfile::plain(3, 1.0, None);
        assert_eq!(plain.clone().delayed(Duration::ZERO), plain);
    }

    #[test]
    fn a_profile_starts_with_the_first_level_above_zero() {
        let plain = LoadProfile::plain(3, 1.0, None);
        let rate = LoadProfile::plain_arrivals(Rate::per_second(8.0), None);
        for (profile, start) in
            [(plain.clone(), 0), (rate.clone(), 0), (plain.clone().delayed(seconds(6)), 6), (rate.clone().delayed(seconds(5)), 5)]
        {
            assert_eq!(profile.start(), seconds(start), "{profile:?}");
        }
        assert_eq!(plain.delayed(seconds(4)).retargeted(seconds(4), 0, 9, 1.0, None).start(), seconds(4), "and another level leaves it");
        let nothing = Stage { users: 0, over: seconds(9) };
        let idle = RampProfile { stages: vec![nothing, nothing], end: ProfileEnd::Hold, spawn_interval: Duration::ZERO };
        assert_eq!(LoadProfile::Ramp(idle).start(), Duration::ZERO, "whoever waits to be given a level has it at once");
    }

    #[test]
    fn every_level_of_every_profile_is_multiplied_and_one_can_be_put_in_the_place_of_another() {
        let both = LoadProfile::Several(vec![
            named("browse", LoadProfile::plain(4, 1.0, None)),
            named("buy", LoadProfile::plain_arrivals(Rate::per_second(8.0), None)),
        ]);
        let LoadProfile::Several(half) = both.scaled(0.5) else { panic!("they stay two") };
        assert_eq!(half[0].profile.scaled(1.0), LoadProfile::plain(4, 1.0, None).scaled(0.5));
        assert_eq!(half[1].profile, LoadProfile::plain_arrivals(Rate::per_second(4.0), None));
        let other = LoadProfile::plain(9, 1.0, None);
        assert_eq!(both.with_part(1, other.clone()).part(1), Some(&other));
        assert_eq!((both.part(2), both.name_of(1), both.count()), (None, Some("buy"), 2));
    }
}
