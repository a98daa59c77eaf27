//! Counts over one fixed index space: 1 us to 1 h with three significant digits, blocks allocated as touched.

/// Counts of durations in microseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {}

impl Histogram {
    /// The value below or at which `quantile` (0..=1) of the counted values lie, in microseconds.
    #[must_use]
    pub fn value_at(&self, _quantile: f64) -> u64 {
        todo!()
    }
}
