//! The script's own metrics: counters, gauges, rates and trends, as they are counted and as they are merged.

use super::snapshot::values::MetricValue;
use super::trend::{NumberSpread, Trend, TrendCounts};
use std::sync::Arc;

pub use crate::plan::MetricKind;

/// One metric's numbers; `T` is how a trend is kept.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the variant's text says it")]
pub enum Metric<T> {
    /// A sum, subject to the rounding of floating-point sums.
    Counter(f64),
    /// The value that was set last.
    Gauge(Gauge),
    /// How many of the values were true.
    Rate { passes: u64, total: u64 },
    /// A distribution in millionths.
    Trend(T),
}

/// A metric that grows.
pub type MetricSums = Metric<Trend<NumberSpread>>;

/// What a metric counted, on its way.
pub type MetricCounts = Metric<TrendCounts<NumberSpread>>;

impl<T> Metric<T> {
    /// The kind that it was declared as.
    #[must_use]
    pub const fn kind(&self) -> MetricKind {
        match self {
            Self::Counter(_) => MetricKind::Counter,
            Self::Gauge(_) => MetricKind::Gauge,
            Self::Rate { .. } => MetricKind::Rate,
            Self::Trend(_) => MetricKind::Trend,
        }
    }
}

impl MetricSums {
    /// An empty metric. `trend` is what a trend begins as.
    #[must_use]
    pub fn empty(kind: MetricKind, trend: Trend<NumberSpread>) -> Self {
        match kind {
            MetricKind::Counter => Self::Counter(0.0),
            MetricKind::Gauge => Self::Gauge(Gauge::default()),
            MetricKind::Rate => Self::Rate { passes: 0, total: 0 },
            MetricKind::Trend => Self::Trend(trend),
        }
    }

    /// Counts one finite value.
    pub fn add(&mut self, value: f64) {
        match self {
            Self::Counter(sum) => *sum += value,
            Self::Gauge(gauge) => gauge.set(value),
            Self::Rate { passes, total } => {
                *passes += u64::from(value != 0.0);
                *total += 1;
            }
            Self::Trend(trend) => trend.add(value),
        }
    }

    /// Takes what was counted, in the given second of the run.
    pub fn take(&mut self, second: u64) -> MetricCounts {
        match self {
            Self::Counter(sum) => Metric::Counter(std::mem::take(sum)),
            Self::Gauge(gauge) => Metric::Gauge(Gauge { second, ..std::mem::take(gauge) }),
            Self::Rate { passes, total } => Metric::Rate { passes: std::mem::take(passes), total: std::mem::take(total) },
            Self::Trend(trend) => Metric::Trend(trend.take()),
        }
    }

    /// Adds what was counted elsewhere. Answers whether the kinds agree; nothing is added if not.
    pub fn merge(&mut self, counts: &MetricCounts) -> bool {
        match (self, counts) {
            (Self::Trend(sums), Metric::Trend(counts)) => sums.merge(counts),
            (Self::Counter(sum), Metric::Counter(more)) => *sum += more,
            (Self::Gauge(gauge), Metric::Gauge(other)) => gauge.merge(other),
            (Self::Rate { passes, total }, Metric::Rate { passes: more_passes, total: more }) => {
                *passes = passes.saturating_add(*more_passes);
                *total = total.saturating_add(*more);
            }
            _ => return false,
        }
        true
    }

    /// The numbers that people see.
    #[must_use]
    pub fn view(&self, name: &Arc<str>) -> MetricValue {
        match self {
            Self::Counter(sum) => MetricValue::Counter(*sum),
            Self::Gauge(Gauge { last, min, max, .. }) => MetricValue::Gauge { last: *last, min: *min, max: *max },
            Self::Rate { passes, total } => MetricValue::Rate { passes: *passes, total: *total },
            Self::Trend(trend) => MetricValue::Trend(trend.view(Arc::clone(name))),
        }
    }
}

impl MetricCounts {
    /// Adds what was counted elsewhere. Answers whether the kinds agree; nothing is added if not.
    pub fn merge(&mut self, other: &Self) -> bool {
        match (self, other) {
            (Self::Trend(sums), Self::Trend(counts)) => sums.merge(counts),
            (Self::Counter(sum), Self::Counter(more)) => *sum += more,
            (Self::Gauge(gauge), Self::Gauge(other)) => gauge.merge(other),
            (Self::Rate { passes, total }, Self::Rate { passes: more_passes, total: more }) => {
                *passes = passes.saturating_add(*more_passes);
                *total = total.saturating_add(*more);
            }
            _ => return false,
        }
        true
    }
}

/// The last value of a gauge, with the least and the greatest.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[expect(missing_docs, reason = "its own text names them")]
pub struct Gauge {
    /// How often it was set; the other fields mean nothing while it is 0.
    pub count: u64,
    /// The second of the run's clock in which `last` was set.
    pub second: u64,
    pub last: f64,
    pub min: f64,
    pub max: f64,
}

impl Gauge {
    fn set(&mut self, value: f64) {
        self.min = if self.count == 0 { value } else { self.min.min(value) };
        self.max = if self.count == 0 { value } else { self.max.max(value) };
        self.last = value;
        self.count += 1;
    }

    /// The value of the later second lasts; of one second, the greater one, so that the order of merging does not matter.
    fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        if (other.second, other.last) > (self.second, self.last) {
            (self.second, self.last) = (other.second, other.last);
        }
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.count = self.count.saturating_add(other.count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gauge(second: u64, values: &[f64]) -> MetricCounts {
        let mut sums = MetricSums::empty(MetricKind::Gauge, Trend::default());
        for value in values {
            sums.add(*value);
        }
        sums.take(second)
    }

    #[test]
    fn a_gauge_keeps_the_value_of_the_later_second_however_it_is_merged() {
        let early = gauge(3, &[9.0, 1.0]);
        let late = gauge(4, &[5.0, 4.0]);
        for order in [[&early, &late], [&late, &early]] {
            let mut merged = MetricSums::empty(MetricKind::Gauge, Trend::default());
            for counts in order {
                assert!(merged.merge(counts));
            }
            assert_eq!(merged, Metric::Gauge(Gauge { count: 4, second: 4, last: 4.0, min: 1.0, max: 9.0 }));
        }
    }

    #[test]
    fn metrics_of_different_kinds_do_not_mix() {
        let mut counter = MetricCounts::Counter(2.0);
        assert!(!counter.merge(&gauge(0, &[1.0])));
        assert_eq!(counter, Metric::Counter(2.0));
    }
}
