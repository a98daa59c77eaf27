//! An open profile's answers: which iteration is due when, and how many are due by a moment. Pure functions of the profile and the seed.
//!
//! Iteration `k` has a *place*: how far the integral of the rate must have come. Evenly spaced it is `k` itself; by chance it is
//! `poisson`'s. It is due at the first nanosecond at which the integral has reached its place, so that every machine computes the same
//! schedule from any iteration on, without the ones before it. All of it is done with whole numbers.

use std::time::Duration;

use super::poisson::{ONE, Poisson};
use crate::load::slots::SLOTS;
use crate::plan::{ArrivalsProfile, ProfileEnd, Rate, Spacing};

/// An [`ArrivalsProfile`] made ready for questions.
#[derive(Debug, Clone)]
pub struct Schedule {
    lines: Vec<Line>,
    /// Where the first line begins that has a rate; `None` where nothing is ever due.
    starts: Option<u64>,
    end: Option<Duration>,
    chance: Option<Poisson>,
}

impl Schedule {
    /// Reads a profile; `seed` is the run's.
    #[must_use]
    pub fn new(profile: &ArrivalsProfile, seed: u64) -> Self {
        let (mut begin, mut sum, mut rate) = (0, 0, 0);
        let mut lines = Vec::with_capacity(profile.stages.len() + 1);
        for stage in &profile.stages {
            let line = Line { begin, sum, from: rate, to: stage.rate.0, over: nanos(stage.over) };
            begin = begin.saturating_add(line.over);
            sum = sum.saturating_add(line.integral(line.over));
            rate = stage.rate.0;
            if line.over > 0 {
                lines.push(line);
            }
        }
        lines.push(Line { begin, sum, from: rate, to: rate, over: u64::MAX });
        let end = match profile.end {
            ProfileEnd::StopAt(at) => Some(at),
            ProfileEnd::Hold => None,
        };
        let chance = (profile.spacing == Spacing::Poisson).then(|| Poisson::new(seed));
        let starts = lines.iter().find(|line| line.from > 0 || line.to > 0).map(|line| line.begin);
        Self { lines, starts, end, chance }
    }

    /// When iteration `index` is due, on the run's clock; `None` if it never is. It may lie past the planned end.
    #[must_use]
    pub fn due_at(&mut self, index: u64) -> Option<Duration> {
        let place = match &mut self.chance {
            None => u128::from(index) * ONE,
            Some(chance) => chance.place_of(index),
        };
        if place == 0 {
            return self.starts.map(Duration::from_nanos);
        }
        // The last line whose beginning has not reached the place.
        let after = self.lines.partition_point(|line| line.sum < place);
        let line = &self.lines[after.saturating_sub(1)];
        line.reaches(place - line.sum).map(|x| Duration::from_nanos(line.begin.saturating_add(x)))
    }

    /// How many iterations are due before `t`, which is also the index of the first one that is due from `t` on. The planned end is not
    /// looked at.
    #[must_use]
    pub fn due_before(&mut self, t: Duration) -> u64 {
        // Due before `t` is due at the nanosecond before it, at the latest.
        let Some(last) = nanos(t).checked_sub(1).filter(|last| self.starts.is_some_and(|starts| starts <= *last)) else { return 0 };
        let after = self.lines.partition_point(|line| line.begin <= last);
        let line = &self.lines[after.saturating_sub(1)];
        let place = line.sum.saturating_add(line.integral(last.saturating_sub(line.begin)));
        match &mut self.chance {
            None => u64::try_from(place / ONE + 1).unwrap_or(u64::MAX),
            Some(chance) => chance.up_to(place),
        }
    }

    /// When the first iteration may be due; `None` if none ever is.
    #[must_use]
    pub fn begin(&self) -> Option<Duration> {
        self.starts.map(Duration::from_nanos)
    }

    /// When the run ends by itself.
    #[must_use]
    pub const fn end(&self) -> Option<Duration> {
        self.end
    }

    /// The rate wanted at `t`; zero from the planned end on.
    #[must_use]
    pub fn rate_at(&self, t: Duration) -> Rate {
        if self.end.is_some_and(|end| t >= end) { Rate::default() } else { self.line_at(t).rate_at(t) }
    }

    /// The rate that the line which holds at `t` leads to; zero from the planned end on.
    #[must_use]
    pub fn target_at(&self, t: Duration) -> Rate {
        if self.end.is_some_and(|end| t >= end) { Rate::default() } else { Rate(self.line_at(t).to) }
    }

    /// Whether the rate is on its way at `t`.
    #[must_use]
    pub fn is_changing(&self, t: Duration) -> bool {
        let line = self.line_at(t);
        self.end.is_none_or(|end| t < end) && line.from != line.to
    }

    fn line_at(&self, t: Duration) -> &Line {
        let t = nanos(t);
        let after = self.lines.partition_point(|line| line.begin <= t);
        // The first line begins at zero.
        &self.lines[after.saturating_sub(1)]
    }
}

/// How many slots iterations go round: as many as there may be users, so that each slot has some.
#[must_use]
pub fn slots_of(profile: &ArrivalsProfile) -> u32 {
    profile.max_users.unwrap_or(SLOTS).clamp(1, SLOTS)
}

/// The slot of iteration `index` of profile number `profile`, of which so many slots go to a round.
#[must_use]
pub fn slot_in_round(index: u64, profile: usize, slots: u32) -> u32 {
    let slots = u64::from(slots.max(1));
    // Below `slots`.
    ((index % slots + profile as u64) % slots) as u32
}

/// One straight line: from rate to rate, in millionths an hour, within a span of nanoseconds.
#[derive(Debug, Clone, Copy)]
struct Line {
    begin: u64,
    /// The integral up to `begin`.
    sum: u128,
    from: u64,
    to: u64,
    over: u64,
}

impl Line {
    fn rate_at(&self, t: Duration) -> Rate {
        let x = nanos(t).saturating_sub(self.begin).min(self.over);
        let change = u128::from(self.from.abs_diff(self.to)) * u128::from(x) / u128::from(self.over.max(1));
        let change = u64::try_from(change).unwrap_or(u64::MAX);
        Rate(if self.to >= self.from { self.from + change } else { self.from - change })
    }

    /// The integral over the line's first `x` nanoseconds, rounded down.
    fn integral(&self, x: u64) -> u128 {
        let x = x.min(self.over);
        let (level, slope) = (u128::from(self.from) * u128::from(x), u128::from(self.from.abs_diff(self.to)));
        if slope == 0 || self.over == 0 {
            return level;
        }
        // slope * x * x / (2 * over), in two steps since the product may have more than 128 bits: whole parts of the divisor, and the rest.
        let (product, x, divisor) = (slope * u128::from(x), u128::from(x), 2 * u128::from(self.over));
        let (whole, rest) = (product / divisor * x, product % divisor * x);
        if self.to > self.from { level + whole + rest / divisor } else { level - whole - rest.div_ceil(divisor) }
    }

    /// The first nanosecond of the line at which the integral has reached `amount`, which is above zero; `None` if it never
    /// does.
    fn reaches(&self, amount: u128) -> Option<u64> {
        if self.from == self.to {
            let from = u128::from(self.from);
            return if from == 0 { None } else { u64::try_from(amount.div_ceil(from)).ok() };
        }
        if self.integral(self.over) < amount {
            // The next line's sum is this one's end: only rounding can leave it a hair below.
            return Some(self.over);
        }
        let (mut low, mut high) = self.bracket(amount);
        // Invariant: the integral has not reached the amount at `low`, or `low` is 0; it has at `high`.
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.integral(middle) >= amount {
                high = middle;
            } else {
                low = middle;
            }
        }
        Some(high)
    }

    /// Two moments around the one at which the integral reaches `amount`, near each other: floating numbers are almost right.
    fn bracket(&self, amount: u128) -> (u64, u64) {
        let (from, over) = (self.from as f64, self.over as f64);
        let slope = (self.to as f64 - from) / over;
        let root = (from * from + 2.0 * slope * amount as f64).max(0.0).sqrt();
        // The form that does not subtract two numbers of about one size.
        let guess = ((2.0 * amount as f64 / (from + root)) as u64).min(self.over);
        let (mut low, mut high, mut step) = (guess, guess, 64_u64);
        while low > 0 && self.integral(low) >= amount {
            low = low.saturating_sub(step);
            step = step.saturating_mul(4);
        }
        step = 64;
        while high < self.over && self.integral(high) < amount {
            high = high.saturating_add(step).min(self.over);
            step = step.saturating_mul(4);
        }
        (low, high.max(low + 1))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plan::{LoadProfile, RateStage};

    fn schedule(stages: &[(f64, f64)], spacing: Spacing) -> Schedule {
        let stages =
            stages.iter().map(|&(rate, over)| RateStage { rate: Rate::per_second(rate), over: Duration::from_secs_f64(over) }).collect();
        let LoadProfile::Arrivals(plain) = LoadProfile::plain_arrivals(Rate(1), None) else { panic!("it is open") };
        Schedule::new(&ArrivalsProfile { stages, spacing, ..plain }, 7)
    }

    fn seconds(s: f64) -> Duration {
        Duration::from_secs_f64(s)
    }

    #[test]
    fn a_steady_rate_is_due_at_its_whole_parts_to_the_nanosecond() {
        for (rate, gap) in [(1_000.0, 1_000_000), (0.1, 10_000_000_000), (1.0 / 60.0, 60_000_000_000), (50_000.0, 20_000), (1e9, 1)] {
            let mut schedule = schedule(&[(rate, 0.0)], Spacing::Even);
            for index in [0, 1, 2, 999, 1_000_000, 86_400_000] {
                assert_eq!(schedule.due_at(index), Some(Duration::from_nanos(index * gap)), "{rate} {index}");
            }
            assert_eq!(schedule.due_before(Duration::from_nanos(1_000 * gap)), 1_000, "{rate}");
            assert_eq!(schedule.due_before(Duration::from_nanos(1_000 * gap + 1)), 1_001, "{rate}");
        }
        let mut thirds = schedule(&[(3.0, 0.0)], Spacing::Even);
        assert_eq!(thirds.due_at(1), Some(Duration::from_nanos(333_333_334)));
        assert_eq!(thirds.due_at(3), Some(Duration::from_secs(1)));
    }

    #[test]
    fn a_ramp_of_rates_holds_the_area_under_its_line() {
        // 0 to 100/s in 10 s: 500 iterations, the k-th at sqrt(k / 5) seconds; then 200 a second.
        let mut schedule = schedule(&[(100.0, 10.0), (200.0, 0.0)], Spacing::Even);
        assert_eq!(schedule.due_at(0), Some(Duration::ZERO));
        assert_eq!(schedule.due_at(5), Some(seconds(1.0)));
        assert_eq!(schedule.due_at(125), Some(seconds(5.0)));
        assert_eq!(schedule.due_at(500), Some(seconds(10.0)));
        assert_eq!(schedule.due_at(501), Some(seconds(10.005)));
        assert_eq!(schedule.due_before(seconds(10.0)), 500);
        assert_eq!((schedule.rate_at(seconds(2.5)), schedule.rate_at(seconds(11.0))), (Rate::per_second(25.0), Rate::per_second(200.0)));
        assert_eq!(schedule.target_at(seconds(2.5)), Rate::per_second(100.0));
        assert!(schedule.is_changing(seconds(9.9)) && !schedule.is_changing(seconds(10.0)));
    }

    #[test]
    fn a_rate_that_falls_to_zero_leaves_what_never_comes_without_a_time() {
        let mut schedule = schedule(&[(10.0, 0.0), (0.0, 10.0)], Spacing::Even);
        assert_eq!(schedule.due_before(seconds(1e6)), 51, "50 fit the area, and the first is at zero of it");
        assert_eq!(schedule.due_at(49).map(|at| at < seconds(9.0)), Some(true));
        assert_eq!(schedule.due_at(51), None);
    }

    #[test]
    fn the_same_seed_gives_the_same_schedule_wherever_one_begins() {
        let stages = [(500.0, 3.0), (500.0, 20.0), (50.0, 5.0)];
        let mut whole = schedule(&stages, Spacing::Poisson);
        let all: Vec<_> = (0..9_000).map(|index| whole.due_at(index)).collect();
        assert!(all.windows(2).all(|pair| pair[0] <= pair[1]));
        for begin in [8_999, 4_000, 1_025, 17, 0] {
            assert_eq!(schedule(&stages, Spacing::Poisson).due_at(begin), all[usize::try_from(begin).unwrap()]);
        }
    }

    proptest! {
        #[test]
        fn counts_and_times_are_two_sides_of_one_schedule(
            stages in prop::collection::vec((0_u32..3_000, 0_u64..3_000), 1..5), last in 1_u32..2_000, is_even: bool,
            moments in prop::collection::vec(0_u64..9_000_000, 8),
        ) {
            let mut stages: Vec<(f64, f64)> = stages.iter().map(|&(rate, ms)| (f64::from(rate) / 10.0, ms as f64 / 1e3)).collect();
            stages.push((f64::from(last), 0.0));
            let mut schedule = schedule(&stages, if is_even { Spacing::Even } else { Spacing::Poisson });
            for micros in moments {
                let t = Duration::from_micros(micros);
                let count = schedule.due_before(t);
                prop_assert!(schedule.due_at(count).unwrap() >= t);
                if let Some(before) = count.checked_sub(1) {
                    prop_assert!(schedule.due_at(before).unwrap() < t);
                }
            }
        }
    }
}
