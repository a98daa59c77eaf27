//! The load profile as data: how work arrives over time.
//!
//! Owns the data and what makes one profile of another. What follows from a profile (who runs at which moment, what is due when) is
//! answered in `load::profile`, a file for each kind.

use std::collections::BTreeMap;
use std::time::Duration;

/// How work arrives: what is wanted when, and what ends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadProfile {
    /// Closed: so many users, each of which begins its next iteration when its last one is over.
    Ramp(RampProfile),
    /// Open: iterations are due at their time, whether or not a user is free.
    Arrivals(ArrivalsProfile),
    /// Closed, and over by itself once so many iterations are done.
    Iterations(IterationsProfile),
    /// Several of these side by side; at least one, and none of them several again.
    Several(Vec<NamedProfile>),
}

/// The wanted number of users over time: straight lines from level to level, beginning at 0 users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RampProfile {
    /// The stages, one after the other.
    pub stages: Vec<Stage>,
    /// What follows the last stage.
    pub end: ProfileEnd,
    /// How far apart users begin that a hand-over has moved to another worker; zero lets all of them begin at once.
    pub spawn_interval: Duration,
}

/// One straight line of a [`RampProfile`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage {
    /// The number of users at the stage's end. Equal to the level before, it is a hold.
    pub users: u32,
    /// The stage's length. Zero is a jump.
    pub over: Duration,
}

/// The wanted rate of iterations over time: straight lines from rate to rate, beginning at zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArrivalsProfile {
    /// The stages, one after the other.
    pub stages: Vec<RateStage>,
    /// What follows the last stage.
    pub end: ProfileEnd,
    /// How iterations are spaced.
    pub spacing: Spacing,
    /// At most so many users in the whole cluster; at least 1. `None` leaves it to each worker: [`USERS_OF_A_WORKER`].
    pub max_users: Option<u32>,
    /// How long a due iteration waits for a user where no further one may be made.
    pub patience: Duration,
}

/// One straight line of an [`ArrivalsProfile`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateStage {
    /// The rate at the stage's end. Equal to the one before, it is a hold.
    pub rate: Rate,
    /// The stage's length. Zero is a jump.
    pub over: Duration,
}

/// So many users from the start on, and so many iterations for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IterationsProfile {
    /// How many users; at least 1.
    pub users: u32,
    /// The iterations, of each user or of all.
    pub quota: Quota,
    /// When its users begin.
    pub start: Duration,
    /// What ends the run that is not over by then.
    pub end: ProfileEnd,
}

/// How many iterations the users of an [`IterationsProfile`] have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// Each user has so many, and leaves then; at least 1.
    Each(u32),
    /// All users together have so many, whoever is free takes the next; at least 1.
    Total(u64),
}

/// A rate of iterations, in millionths of an iteration an hour: so `200/s`, `0.1/s`, `1/m` and `7/h` are what they say, exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Rate(pub u64);

/// How iterations are spaced in an open profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Spacing {
    /// As evenly as the rate says.
    #[default]
    Even,
    /// By chance, as independent visitors come: gaps are exponentially distributed.
    Poisson,
}

/// What follows the last stage of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProfileEnd {
    /// The run ends this long after its start.
    StopAt(Duration),
    /// The last level is held until somebody stops the run.
    Hold,
}

/// Users of one worker in an open profile that does not say how many there may be.
pub const USERS_OF_A_WORKER: u32 = 10_000;

impl Rate {
    /// The greatest one: an iteration a nanosecond.
    pub const GREATEST: Self = Self(3_600_000_000_000_000_000);

    /// So many iterations per second, to the next millionth an hour. What is not above zero is none; what is above [`Rate::GREATEST`], that.
    #[must_use]
    pub fn per_second(rate: f64) -> Self {
        // A cast saturates.
        Self((rate * MILLIONTHS_AN_HOUR).round() as u64).min(Self::GREATEST)
    }

    /// The rate in iterations per second.
    #[must_use]
    pub fn as_per_second(self) -> f64 {
        self.0 as f64 / MILLIONTHS_AN_HOUR
    }
}

impl std::fmt::Display for Rate {
    /// Such as `200/s`, `0.5/s`, `1/m` or `7/h`: in the largest unit that has a whole number, else per second.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(rate) = *self;
        let whole = [(3_600_000_000, "s"), (60_000_000, "m"), (1_000_000, "h")].into_iter().find(|(unit, _)| rate % unit == 0);
        match whole {
            Some((unit, name)) => write!(f, "{}/{name}", rate / unit),
            None => write!(f, "{}/s", (self.as_per_second() * 1e6).round() / 1e6),
        }
    }
}

impl LoadProfile {
    /// A plain ramp to `users` at `spawn_rate` users a second; `run_time` counts from the start of the ramp.
    ///
    /// `spawn_rate` must be positive and finite; the settings check that.
    #[must_use]
    pub fn plain(users: u32, spawn_rate: f64, run_time: Option<Duration>) -> Self {
        // The upper bound keeps a tiny rate from overflowing `Duration`: a century is as good as for ever.
        let seconds = (f64::from(users) / spawn_rate).min(3.2e9);
        Self::Ramp(RampProfile {
            stages: vec![Stage { users, over: Duration::from_secs_f64(seconds) }],
            end: end_of(run_time),
            spawn_interval: interval_of(spawn_rate),
        })
    }

    /// A ramp of stages. Users that are moved begin as fast as the steepest stage lets users begin.
    #[must_use]
    pub fn staged(stages: Vec<Stage>, end: ProfileEnd) -> Self {
        let mut level = 0;
        let mut spawn_interval = None;
        for stage in &stages {
            if let Some(interval) = stage.over.checked_div(stage.users.saturating_sub(level)) {
                spawn_interval = Some(spawn_interval.map_or(interval, |least: Duration| least.min(interval)));
            }
            level = stage.users;
        }
        Self::Ramp(RampProfile { stages, end, spawn_interval: spawn_interval.unwrap_or(Duration::ZERO) })
    }

    /// Plain arrivals, evenly spaced, from the start at `rate`.
    #[must_use]
    pub fn plain_arrivals(rate: Rate, run_time: Option<Duration>) -> Self {
        Self::Arrivals(ArrivalsProfile {
            stages: vec![RateStage { rate, over: Duration::ZERO }],
            end: end_of(run_time),
            spacing: Spacing::Even,
            max_users: None,
            patience: Duration::ZERO,
        })
    }

    /// The same with so many users at most in the whole cluster, where it is open; at least 1. `None` leaves it as it is.
    #[must_use]
    pub fn with_max_users(self, most: Option<u32>) -> Self {
        match (self, most) {
            (Self::Arrivals(arrivals), Some(_)) => Self::Arrivals(ArrivalsProfile { max_users: most, ..arrivals }),
            (profile, _) => profile,
        }
    }

    /// What follows the last stage.
    #[must_use]
    pub fn end(&self) -> ProfileEnd {
        match self {
            Self::Ramp(ramp) => ramp.end,
            Self::Arrivals(arrivals) => arrivals.end,
            Self::Iterations(iterations) => iterations.end,
            Self::Several(profiles) => last_end(profiles),
        }
    }

    /// The same with another end. Of several profiles those that end before it keep theirs.
    #[must_use]
    pub fn ending(mut self, end: ProfileEnd) -> Self {
        match &mut self {
            Self::Several(profiles) => {
                let sooner = |own: ProfileEnd| match (own, end) {
                    (ProfileEnd::StopAt(own), ProfileEnd::StopAt(end)) => ProfileEnd::StopAt(own.min(end)),
                    (ProfileEnd::Hold, end) => end,
                    (own, ProfileEnd::Hold) => own,
                };
                return mapped(profiles, |profile| profile.clone().ending(sooner(profile.end())));
            }
            Self::Ramp(ramp) => ramp.end = end,
            Self::Arrivals(arrivals) => arrivals.end = end,
            Self::Iterations(iterations) => iterations.end = end,
        }
        self
    }

    /// How far apart users begin that a hand-over has moved to another worker.
    #[must_use]
    pub fn spawn_interval(&self) -> Duration {
        match self {
            Self::Ramp(ramp) => ramp.spawn_interval,
            // Where one is open, slots change hands all at once.
            Self::Several(_) if self.is_open() => Duration::ZERO,
            // As fast as the fastest.
            Self::Several(_) => self.each().map(Self::spawn_interval).min().unwrap_or(Duration::ZERO),
            // They are made as iterations are due, or begin together.
            Self::Arrivals(_) | Self::Iterations(_) => Duration::ZERO,
        }
    }

    /// Whether iterations are due whether or not a user is free; of several profiles, those of one at least.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.each().any(|profile| matches!(profile, Self::Arrivals(_)))
    }

    /// How many iterations there are in all, and how many of them one user has; `None` where it ends by time alone. Several profiles are to be asked
    /// one by one.
    #[must_use]
    pub fn quota(&self) -> Option<(u64, Option<u64>)> {
        let Self::Iterations(iterations) = self else { return None };
        Some((iterations.total(), if let Quota::Each(each) = iterations.quota { Some(u64::from(each)) } else { None }))
    }

    /// The same with every level multiplied by `factor`, in the same time. A level that is not zero keeps one user at least; a number of
    /// iterations that users share is multiplied as they are.
    ///
    /// `factor` must be positive and finite; the settings check that.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        match self {
            Self::Ramp(ramp) => {
                let level = |users: u32| if users == 0 { 0 } else { (f64::from(users) * factor).round().max(1.0) as u32 };
                let stages = ramp.stages.iter().map(|stage| Stage { users: level(stage.users), over: stage.over }).collect();
                Self::staged(stages, ramp.end)
            }
            Self::Arrivals(arrivals) => {
                let scaled = |rate: Rate| {
                    let scaled = Rate::per_second(rate.as_per_second() * factor);
                    if rate == Rate::default() { rate } else { scaled.max(Rate(1)) }
                };
                let stages = arrivals.stages.iter().map(|stage| RateStage { rate: scaled(stage.rate), over: stage.over }).collect();
                Self::Arrivals(ArrivalsProfile { stages, ..arrivals.clone() })
            }
            Self::Iterations(iterations) => Self::Iterations(iterations.scaled(factor)),
            Self::Several(profiles) => mapped(profiles, |profile| profile.scaled(factor)),
        }
    }

    /// How many users begin in a second; infinite where they all begin at once.
    #[must_use]
    pub fn spawn_rate(&self) -> f64 {
        // Nanoseconds are what is left of the rate that a person wrote, such as 3: a millionth is nothing to anybody.
        let rate = 1.0 / self.spawn_interval().as_secs_f64();
        (rate * 1e6).round() / 1e6
    }

    /// The profile of a run whose users are re-targeted at `at` of its clock, when `level` of them are wanted: from there a plain ramp to
    /// `users`. `run_time` counts from `at`; without it the run's planned end, if it has one, stays.
    #[must_use]
    pub fn retargeted(&self, at: Duration, level: u32, users: u32, spawn_rate: f64, run_time: Option<Duration>) -> Self {
        let seconds = (f64::from(level.abs_diff(users)) / spawn_rate).min(3.2e9);
        // What was before `at` is over; the level stands for all of it. A worker that hears of it a little before `at` then goes on, where
        // a line that rises from zero would have it stop some users.
        let jump = Stage { users: level, over: Duration::ZERO };
        let stages = vec![jump, Stage { users: level, over: at }, Stage { users, over: Duration::from_secs_f64(seconds) }];
        let end = run_time.map_or(self.end(), |run_time| ProfileEnd::StopAt(at.saturating_add(run_time)));
        Self::Ramp(RampProfile { stages, end, spawn_interval: interval_of(spawn_rate) })
    }
}

impl IterationsProfile {
    /// How many iterations all users have together.
    #[must_use]
    pub const fn total(&self) -> u64 {
        match self.quota {
            Quota::Each(each) => self.users as u64 * each as u64,
            Quota::Total(total) => total,
        }
    }

    /// The same as a number of users over time.
    #[must_use]
    pub fn as_ramp(&self) -> RampProfile {
        let begin = (!self.start.is_zero()).then_some(Stage { users: 0, over: self.start });
        let stages = begin.into_iter().chain([Stage { users: self.users, over: Duration::ZERO }]).collect();
        RampProfile { stages, end: self.end, spawn_interval: Duration::ZERO }
    }

    fn scaled(self, factor: f64) -> Self {
        // Casts saturate.
        let users = (f64::from(self.users) * factor).round().max(1.0) as u32;
        let quota = match self.quota {
            Quota::Each(each) => Quota::Each(each),
            Quota::Total(total) => Quota::Total((total as f64 * factor).round().max(1.0) as u64),
        };
        Self { users, quota, ..self }
    }
}

impl ArrivalsProfile {
    /// The profile of a run whose rate becomes `rate` at `at` of its clock. What is due before stays as it was, so that no iteration's index
    /// changes its meaning; of one that has come to its end nothing is due from then to `at`. `run_time` counts from `at`; without it the run's
    /// planned end, if it has one, stays.
    #[must_use]
    pub fn retargeted(&self, at: Duration, rate: Rate, run_time: Option<Duration>) -> Self {
        let ended = if let ProfileEnd::StopAt(end) = self.end { end.min(at) } else { at };
        let (mut stages, mut begin, mut before) = (Vec::new(), Duration::ZERO, Rate::default());
        for stage in &self.stages {
            let room = ended.saturating_sub(begin);
            if stage.over > room {
                // A stage that is under way ends where its line is then.
                let (from, to) = (i128::from(before.0), i128::from(stage.rate.0));
                let reached = from + (to - from) * room.as_nanos() as i128 / stage.over.as_nanos() as i128;
                before = Rate(u64::try_from(reached).unwrap_or(0));
                stages.push(RateStage { rate: before, over: room });
                begin = ended;
                break;
            }
            stages.push(*stage);
            begin = begin.saturating_add(stage.over);
            before = stage.rate;
        }
        if begin < ended {
            stages.push(RateStage { rate: before, over: ended.saturating_sub(begin) });
        }
        if ended < at {
            stages.extend([Duration::ZERO, at.saturating_sub(ended)].map(|over| RateStage { rate: Rate::default(), over }));
        }
        stages.push(RateStage { rate, over: Duration::ZERO });
        let end = run_time.map_or(self.end, |run_time| ProfileEnd::StopAt(at.saturating_add(run_time)));
        Self { stages, end, ..self.clone() }
    }
}

fn end_of(run_time: Option<Duration>) -> ProfileEnd {
    run_time.map_or(ProfileEnd::Hold, ProfileEnd::StopAt)
}

fn interval_of(spawn_rate: f64) -> Duration {
    Duration::from_secs_f64((1.0 / spawn_rate).min(3.2e9))
}

/// Millionths of an iteration an hour in one a second.
const MILLIONTHS_AN_HOUR: f64 = 3.6e9;

/// One of several profiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedProfile {
    /// Unique in the run; fit for a tag's value.
    pub name: String,
    /// The names of the user classes that it has; empty where it has all of them.
    pub classes: Vec<String>,
    /// What all requests of its users bear besides its name.
    pub tags: BTreeMap<String, String>,
    /// How its work arrives, on the run's clock; never [`LoadProfile::Several`].
    pub profile: LoadProfile,
}

/// Applies `change` to each of several profiles.
pub(super) fn mapped(profiles: &[NamedProfile], change: impl Fn(&LoadProfile) -> LoadProfile) -> LoadProfile {
    let changed = profiles.iter().map(|named| NamedProfile { profile: change(&named.profile), ..named.clone() });
    LoadProfile::Several(changed.collect())
}

/// When the last of several profiles ends; not at all where one of them does not.
pub(super) fn last_end(profiles: &[NamedProfile]) -> ProfileEnd {
    let mut last = Duration::ZERO;
    for named in profiles {
        match named.profile.end() {
            ProfileEnd::StopAt(at) => last = last.max(at),
            ProfileEnd::Hold => return ProfileEnd::Hold,
        }
    }
    ProfileEnd::StopAt(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_exact_and_read_as_they_were_written() {
        for (rate, text) in
            [(200.0, "200/s"), (0.1, "6/m"), (1.0 / 60.0, "1/m"), (7.0 / 3600.0, "7/h"), (50_000.0, "50000/s"), (0.3, "18/m")]
        {
            assert_eq!(Rate::per_second(rate).to_string(), text);
        }
        assert_eq!(Rate::per_second(1.0 / 60.0), Rate(60_000_000));
        assert_eq!(Rate::per_second(1e300), Rate::GREATEST);
    }

    #[test]
    fn a_new_rate_leaves_what_was_before_it_as_it_was() {
        let seconds = Duration::from_secs;
        let stage = |rate: f64, over| RateStage { rate: Rate::per_second(rate), over: seconds(over) };
        let LoadProfile::Arrivals(plain) = LoadProfile::plain_arrivals(Rate::per_second(1.0), Some(seconds(60))) else {
            panic!("it is open")
        };
        let profile = ArrivalsProfile { stages: vec![stage(100.0, 10), stage(100.0, 20)], ..plain };
        let new = profile.retargeted(seconds(5), Rate::per_second(7.0), None);
        assert_eq!((new.stages, new.end), (vec![stage(50.0, 5), stage(7.0, 0)], ProfileEnd::StopAt(seconds(60))));
        let new = profile.retargeted(seconds(40), Rate::per_second(7.0), Some(seconds(9)));
        assert_eq!(new.stages, [stage(100.0, 10), stage(100.0, 20), stage(100.0, 10), stage(7.0, 0)]);
        assert_eq!(new.end, ProfileEnd::StopAt(seconds(49)));
    }

    #[test]
    fn a_new_rate_of_arrivals_that_have_ended_makes_nothing_due_in_between() {
        let seconds = Duration::from_secs;
        let stage = |rate: f64, over| RateStage { rate: Rate::per_second(rate), over: seconds(over) };
        let LoadProfile::Arrivals(plain) = LoadProfile::plain_arrivals(Rate::per_second(100.0), Some(seconds(10))) else {
            panic!("it is open")
        };
        let again = plain.retargeted(seconds(30), Rate::per_second(7.0), Some(seconds(5)));
        assert_eq!(again.stages, [stage(100.0, 0), stage(100.0, 10), stage(0.0, 0), stage(0.0, 20), stage(7.0, 0)]);
        assert_eq!(again.end, ProfileEnd::StopAt(seconds(35)));
        let shortened = ArrivalsProfile { stages: vec![stage(100.0, 20)], ..plain };
        assert_eq!(shortened.retargeted(seconds(30), Rate::per_second(7.0), None).stages[..2], [stage(50.0, 10), stage(0.0, 0)]);
    }

    #[test]
    fn the_scale_of_iterations_is_that_of_their_users_and_of_what_these_share() {
        let of = |users, quota| LoadProfile::Iterations(IterationsProfile { users, quota, start: Duration::ZERO, end: ProfileEnd::Hold });
        assert_eq!(of(10, Quota::Each(3)).scaled(0.5), of(5, Quota::Each(3)));
        assert_eq!(of(10, Quota::Total(5_000)).scaled(0.01), of(1, Quota::Total(50)));
        assert_eq!(of(10, Quota::Total(5)).scaled(0.01), of(1, Quota::Total(1)));
        assert_eq!((of(10, Quota::Each(3)).quota(), of(9, Quota::Total(4)).quota()), (Some((30, Some(3))), Some((4, None))));
        assert_eq!(LoadProfile::plain(1, 1.0, None).quota(), None);
    }
}
