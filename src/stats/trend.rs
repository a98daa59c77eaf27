//! Trends: count, sum, least and greatest of a set of values, and their distribution.
//!
//! [`Trend`] counts into a histogram, [`TrendCounts`] is what it counted, sparse, on its way to another trend. Both exist for
//! durations ([`Spread`], exact) and for plain numbers ([`NumberSpread`]).

use std::sync::Arc;
use std::time::Duration;

use super::histogram::Histogram;
use super::snapshot::values::TrendView;
use super::sparse::SparseCounts;

/// A distribution that grows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trend<S> {
    /// Exact, while the histogram rounds.
    pub spread: S,
    /// The values in microseconds or millionths.
    pub histogram: Histogram,
    /// Values outside the histogram's range; they count at its ends.
    pub clamped: u64,
}

impl<S: Summary> Trend<S> {
    /// An empty trend whose clones share their histogram until it changes.
    #[must_use]
    pub fn shared() -> Self {
        Self { spread: S::default(), histogram: Histogram::shared(), clamped: 0 }
    }

    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, counts: &TrendCounts<S>) {
        self.spread.merge(&counts.spread);
        self.histogram.merge_sparse(&counts.counts);
        self.clamped = self.clamped.saturating_add(counts.clamped);
    }

    /// Takes what was counted, and begins anew in the same memory.
    pub fn take(&mut self) -> TrendCounts<S> {
        TrendCounts {
            spread: std::mem::take(&mut self.spread),
            counts: self.histogram.take_sparse(),
            clamped: std::mem::take(&mut self.clamped),
        }
    }
}

impl Trend<Spread> {
    /// In the sums and in the histogram.
    #[inline]
    pub fn add(&mut self, value: Duration) {
        let value = Nanos::of(value);
        self.spread.add(value);
        self.add_distribution(value);
    }

    /// Counts one duration in the histogram alone, where the sums are kept elsewhere.
    #[inline]
    pub fn add_distribution(&mut self, value: Nanos) {
        self.clamped += u64::from(self.histogram.record(value.micros()));
    }

    /// The numbers that people see, under this name.
    #[must_use]
    pub fn view(&self, name: Arc<str>) -> TrendView {
        let spread = &self.spread;
        let exact = |value: Duration| (spread.count > 0).then_some(value.as_secs_f64());
        TrendView {
            name,
            count: spread.count,
            sum: spread.sum().as_secs_f64(),
            min: exact(spread.min()),
            max: exact(spread.max()),
            histogram: self.histogram.clone(),
        }
    }
}

impl Trend<NumberSpread> {
    /// Counts one finite number.
    pub fn add(&mut self, value: f64) {
        self.spread.add(value);
        let millionths = (value * 1e6).round();
        // A cast saturates: what lies above is clamped by the histogram, what lies below zero counts as zero.
        let above = self.histogram.record_number(millionths as u64);
        self.clamped += u64::from(above || millionths < 0.0);
    }

    /// The numbers that people see, under this name.
    #[must_use]
    pub fn view(&self, name: Arc<str>) -> TrendView {
        let NumberSpread { count, sum, min, max } = self.spread;
        let exact = |value| (count > 0).then_some(value);
        TrendView { name, count, sum, min: exact(min), max: exact(max), histogram: self.histogram.clone() }
    }
}

/// What a [`Trend`] counted, sparse.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrendCounts<S> {
    /// Exact, while the counts are of rounded values.
    pub spread: S,
    /// What changed in the histogram, by index.
    pub counts: SparseCounts,
    /// See [`Trend::clamped`].
    pub clamped: u64,
}

impl<S: Summary> TrendCounts<S> {
    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.spread.merge(&other.spread);
        self.counts.merge(&other.counts);
        self.clamped = self.clamped.saturating_add(other.clamped);
    }
}

/// Sums of values that can be merged.
pub trait Summary: Default {
    /// Adds the sums of `other`.
    fn merge(&mut self, other: &Self);
}

/// A length of time as the hot path counts it; half a millennium and more is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nanos(u64);

impl Nanos {
    /// Exact below 584 years.
    #[inline]
    #[must_use]
    pub fn of(value: Duration) -> Self {
        Self(value.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(value.subsec_nanos())))
    }

    /// Rounded to the nearest microsecond: cut off, a mean would lie half a microsecond low.
    #[inline]
    fn micros(self) -> u64 {
        self.0.saturating_add(500) / 1_000
    }
}

/// Count, sum, least and greatest of durations, exact to the nanosecond. The latter two mean nothing while `count` is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spread {
    /// How many durations there were.
    pub count: u64,
    /// In nanoseconds, as the two others: plain numbers are added and compared in a third of the time that [`Duration`] takes.
    sum: u128,
    min: u64,
    max: u64,
}

impl Spread {
    /// What was counted elsewhere.
    #[must_use]
    pub fn new(count: u64, sum: Duration, min: Duration, max: Duration) -> Self {
        Self { count, sum: sum.as_nanos(), min: Nanos::of(min).0, max: Nanos::of(max).0 }
    }

    /// Counts a duration in all four.
    #[inline]
    pub fn add(&mut self, Nanos(value): Nanos) {
        self.min = if self.count == 0 { value } else { self.min.min(value) };
        self.max = self.max.max(value);
        self.count += 1;
        self.sum += u128::from(value);
    }

    /// Of all of them, to the nanosecond.
    #[must_use]
    pub fn sum(&self) -> Duration {
        let seconds = u64::try_from(self.sum / 1_000_000_000).unwrap_or(u64::MAX);
        Duration::new(seconds, (self.sum % 1_000_000_000) as u32)
    }

    /// The least one; nothing while `count` is 0.
    #[must_use]
    pub const fn min(&self) -> Duration {
        Duration::from_nanos(self.min)
    }

    /// The greatest one; nothing while `count` is 0.
    #[must_use]
    pub const fn max(&self) -> Duration {
        Duration::from_nanos(self.max)
    }
}

impl Summary for Spread {
    fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        self.min = if self.count == 0 { other.min } else { self.min.min(other.min) };
        self.max = self.max.max(other.max);
        self.count = self.count.saturating_add(other.count);
        self.sum = self.sum.saturating_add(other.sum);
    }
}

/// Count, sum, least and greatest of plain numbers. The latter two mean nothing while `count` is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[expect(missing_docs, reason = "its own text names them; the least and the greatest are exact")]
pub struct NumberSpread {
    pub count: u64,
    /// Subject to the rounding of floating-point sums.
    pub sum: f64,
    pub min: f64,
    pub max: f64,
}

impl NumberSpread {
    /// Counts one finite number.
    pub fn add(&mut self, value: f64) {
        self.merge(&Self { count: 1, sum: value, min: value, max: value });
    }
}

impl Summary for NumberSpread {
    fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.count = self.count.saturating_add(other.count);
        self.sum += other.sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_rounded_to_the_nearest_microsecond() {
        assert_eq!(Nanos::of(Duration::from_nanos(1_499)).micros(), 1);
        assert_eq!(Nanos::of(Duration::from_nanos(1_500)).micros(), 2);
        assert_eq!(Nanos::of(Duration::from_nanos(3_999_999_999)).micros(), 4_000_000);
        assert_eq!(Nanos::of(Duration::MAX).micros(), u64::MAX / 1_000, "some 584 years");
    }

    #[test]
    fn a_trend_keeps_sum_and_extremes_exact() {
        let mut trend = Trend::<Spread>::default();
        for nanos in [1_234_567, 1_001, 9_999_999_999] {
            trend.add(Duration::from_nanos(nanos));
        }
        let sum = Duration::from_nanos(1_234_567 + 1_001 + 9_999_999_999);
        let spread = Spread::new(3, sum, Duration::from_nanos(1_001), Duration::from_nanos(9_999_999_999));
        assert_eq!(trend.spread, spread);
        let counts = trend.take();
        assert_eq!((counts.spread, counts.counts.count()), (spread, 3));
        assert_eq!(trend, Trend::default());
    }

    #[test]
    fn numbers_outside_the_range_are_clamped_but_summed_as_they_are() {
        let mut trend = Trend::<NumberSpread>::default();
        for value in [-1.0, 0.5, 1e13] {
            trend.add(value);
        }
        assert_eq!(trend.clamped, 2);
        assert_eq!(trend.spread, NumberSpread { count: 3, sum: 1e13 - 0.5, min: -1.0, max: 1e13 });
        assert_eq!(trend.histogram.value_at(0.5), 500_223);
    }
}
