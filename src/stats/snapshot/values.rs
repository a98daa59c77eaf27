//! Single values of a snapshot: a distribution, and a metric of the script's own.

use std::sync::Arc;

use crate::stats::histogram::Histogram;
use crate::stats::quantile::Quantile;

/// A distribution: of durations in microseconds, or of plain numbers scaled as `MetricView` says.
#[derive(Debug, Clone, Default)]
pub struct TrendView {
    /// The metric's or the group's name.
    pub name: Arc<str>,
    /// How many values there are.
    pub count: u64,
    /// Their sum, in seconds.
    pub sum: f64,
    /// The least, in seconds; exact. `None` without any value.
    pub min: Option<f64>,
    /// The greatest, in seconds; exact. `None` without any value.
    pub max: Option<f64>,
    /// The values in microseconds.
    pub histogram: Histogram,
}

impl TrendView {
    /// The mean, in the trend's own unit; `None` without any value.
    #[must_use]
    pub fn avg(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// The value that `quantile` (0..=1) of the values did not exceed, in the trend's own unit; `None` without any. The highest is exact.
    #[must_use]
    pub fn percentile(&self, quantile: impl Into<Quantile>) -> Option<f64> {
        let quantile = quantile.into();
        let (min, max) = (self.min?, self.max?);
        if quantile == Quantile::GREATEST {
            return Some(max);
        }
        // Divided, 420 us are the float nearest to 0.00042. Not `clamp`: it panics on bounds that are not in order, and these come from a
        // script's values.
        Some((self.histogram.value_at(quantile) as f64 / 1e6).min(max).max(min))
    }
}

/// One metric of the script's own.
#[derive(Debug, Clone)]
pub struct MetricView {
    /// Unique in the cluster.
    pub name: Arc<str>,
    /// Its kind and numbers.
    pub value: MetricValue,
}

/// The kinds of a script's own metrics.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the variant's text says it")]
pub enum MetricValue {
    /// A sum of what was added.
    Counter(f64),
    /// The last value, with the least and the greatest seen.
    Gauge {
        /// The value of the latest second.
        last: f64,
        min: f64,
        max: f64,
    },
    /// How many of the values were true.
    Rate { passes: u64, total: u64 },
    /// A distribution. Values are kept in millionths, so that a trend of seconds has microseconds and `TrendView`'s units hold.
    Trend(TrendView),
}
