//! One side of a comparison: a run as its report has it.

use super::course::{CellFigures, Metric};
use crate::stats::histogram::Histogram;

/// What a comparison takes of one run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Side {
    /// All entries of the run together.
    pub total: Entry,
    /// In any order; no two have the same method and name.
    pub entries: Vec<Entry>,
    /// How long a cell is, in seconds; `None` where the report has none, since an older version wrote it.
    pub cell_length_s: Option<u64>,
}

/// One entry, or all together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entry {
    /// Such as `GET`; empty for the total.
    pub method: String,
    /// Such as `/cart`.
    pub name: String,
    /// Over the whole run.
    pub figures: Figures,
    /// Without gaps; `None` where the report has none of this entry.
    pub cells: Option<Vec<CellFigures>>,
}

/// The numbers of an entry over the whole run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Figures {
    /// Hops over the whole run.
    pub requests: u64,
    /// Hops that say something of the target.
    pub judged: u64,
    /// Failed ones among them.
    pub failures: u64,
    /// Hops per second; `None` where nobody knows the time.
    pub rate: Option<f64>,
    /// The mean of all durations, in milliseconds; `None` without any.
    pub avg_ms: Option<f64>,
    /// The shortest duration; exact.
    pub min_ms: Option<f64>,
    /// The longest duration; exact.
    pub max_ms: Option<f64>,
    /// The durations in microseconds.
    pub histogram: Histogram,
}

impl Figures {
    /// The metric over the whole run: per second, a share of one, or milliseconds. `None` where nothing tells it.
    #[must_use]
    pub fn of(&self, metric: Metric) -> Option<f64> {
        match metric {
            Metric::Rate => self.rate,
            Metric::Failures => (self.judged > 0).then(|| self.failures as f64 / self.judged as f64),
            Metric::Avg => self.avg_ms,
            Metric::Percentile(quantile) => {
                let (min, max) = (self.min_ms?, self.max_ms?);
                // The histogram answers with the upper end of a bucket, which may lie above the exact maximum.
                (!self.histogram.is_empty()).then(|| (self.histogram.value_at(quantile) as f64 / 1e3).clamp(min, max.max(min)))
            }
        }
    }
}

/// An entry's name as people see it.
pub(super) fn shown(method: &str, name: &str) -> String {
    if method.is_empty() { name.to_owned() } else { format!("{method} {name}") }
}

/// The same of an entry.
pub(super) fn name_of(entry: &Entry) -> String {
    shown(&entry.method, &entry.name)
}
