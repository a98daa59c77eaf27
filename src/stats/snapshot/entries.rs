//! The rows of a snapshot: one entry, its phases, its errors.

use std::sync::Arc;
use std::time::Duration;

use super::values::TrendView;
use crate::stats::histogram::Histogram;
use crate::stats::quantile::Quantile;
use crate::stats::sample::FailureKind;

/// The numbers of one entry, or of all together.
#[derive(Debug, Clone, Default)]
pub struct EntryView {
    /// Such as `GET`; empty for the total.
    pub method: Arc<str>,
    /// Such as `/cart`; `Total` for the total.
    pub name: Arc<str>,
    /// Hops, failed and cut ones included.
    pub requests: u64,
    /// Failed hops, those of kind `local` not included, nor those that were cut.
    pub failures: u64,
    /// Hops that the end of the run, or of their user, cut off. They have no duration and are judged by nothing.
    pub cut: u64,
    /// Failed hops by kind; kinds without any are left out, and so is `cut`.
    pub failures_by_kind: Vec<(FailureKind, u64)>,
    /// Answered hops by status code, ascending.
    pub statuses: Vec<(u16, u64)>,
    /// Hops of which no byte was written.
    pub not_sent: u64,
    /// Hops, and stale attempts, of which bytes were written and no head arrived.
    pub unanswered: u64,
    /// Hops sent again because a reused connection was closed.
    pub stale_retries: u64,
    /// The sum of all durations.
    pub duration_sum: Duration,
    /// Exact; `None` where no duration is known, since nothing was asked or all of it was cut.
    pub min: Option<Duration>,
    /// Exact; see `min`.
    pub max: Option<Duration>,
    /// All durations, in microseconds.
    pub histogram: Histogram,
    /// Durations outside the histogram's range.
    pub clamped: u64,
    /// Durations from the due time on, of hops that had one (open model).
    pub since_due: TrendView,
    /// Hops that came to their own end, per second, over the last 10 seconds of the run's clock; like the other rates `None` where no whole
    /// second is known yet.
    pub current_rps: Option<f64>,
    /// Failed hops per second over the last 10 seconds.
    pub current_fail_per_sec: Option<f64>,
    /// Hops that came to their own end, per second, over the time that is covered, see [`Snapshot::covered`](super::Snapshot::covered).
    pub total_rps: Option<f64>,
    /// Failed hops per second over the same time.
    pub total_fail_per_sec: Option<f64>,
    /// Bytes on the wire, headers included; of TLS, what it carries.
    pub bytes_out: u64,
    /// Bytes on the wire.
    pub bytes_in: u64,
    /// Unpacked bytes of all bodies whose length is known.
    pub body_bytes: u64,
    /// How many those are: of a packed body that nobody unpacked the length is known only where it states it itself.
    pub bodies: u64,
    /// Count, sum, min and max of each phase of this entry, in the order of [`Snapshot::phases`](super::Snapshot::phases).
    pub phases: Vec<PhaseView>,
}

impl EntryView {
    /// Hops that came to their own end, and so have a duration: all but those that were cut.
    #[must_use]
    pub const fn timed(&self) -> u64 {
        self.requests.saturating_sub(self.cut)
    }

    /// The mean length of the unpacked bodies, in bytes; `None` where no body's is known.
    #[must_use]
    pub fn mean_body_bytes(&self) -> Option<f64> {
        (self.bodies > 0).then(|| self.body_bytes as f64 / self.bodies as f64)
    }

    /// The mean duration; `None` where none is known.
    #[must_use]
    pub fn avg(&self) -> Option<Duration> {
        (self.timed() > 0).then(|| self.duration_sum.div_f64(self.timed() as f64))
    }

    /// The duration that `quantile` (0..=1) of the hops did not exceed; `None` where no duration is known. The highest one is exact.
    #[must_use]
    pub fn percentile(&self, quantile: impl Into<Quantile>) -> Option<Duration> {
        let [percentile] = self.percentiles([quantile]);
        percentile
    }

    /// The durations at several ascending quantiles, for little more than one costs; see [`EntryView::percentile`].
    #[must_use]
    pub fn percentiles<const N: usize>(&self, quantiles: [impl Into<Quantile>; N]) -> [Option<Duration>; N] {
        let quantiles: [Quantile; N] = quantiles.map(Into::into);
        let (Some(min), Some(max)) = (self.min, self.max) else { return [None; N] };
        // The histogram answers with the upper end of a bucket, which may lie above the exact maximum.
        let mut percentiles = self.histogram.values_at(quantiles).map(|value_us| Some(Duration::from_micros(value_us).clamp(min, max)));
        for (percentile, quantile) in percentiles.iter_mut().zip(quantiles) {
            if quantile == Quantile::GREATEST {
                *percentile = Some(max);
            }
        }
        percentiles
    }

    /// Failed hops over all hops, 0..=1; `None` without any. Hops that failed as `local` say nothing of the target, neither for nor against it.
    #[must_use]
    pub fn fail_ratio(&self) -> Option<f64> {
        let judged = self.judged();
        (judged > 0).then(|| self.failures as f64 / judged as f64)
    }

    /// Hops that say something of the target: all but those that were cut or failed as `local`.
    #[must_use]
    pub fn judged(&self) -> u64 {
        self.timed().saturating_sub(self.local())
    }

    /// The mean size of the decoded bodies of hops that came to their own end; zero without any.
    #[must_use]
    pub fn avg_body_bytes(&self) -> f64 {
        if self.timed() == 0 { 0.0 } else { self.body_bytes as f64 / self.timed() as f64 }
    }

    /// Hops that failed for want of the generator's own resources.
    #[must_use]
    pub fn local(&self) -> u64 {
        self.failures_by_kind.iter().find(|(kind, _)| *kind == FailureKind::Local).map_or(0, |(_, count)| *count)
    }
}

/// One phase of one entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PhaseView {
    /// The metric's name, such as `http_req_waiting`.
    pub metric: &'static str,
    /// How often the phase took place.
    pub count: u64,
    /// The sum of its lengths.
    pub sum: Duration,
    /// The shortest of its lengths.
    pub min: Duration,
    /// The longest of its lengths.
    pub max: Duration,
}

/// One kind of error of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorView {
    /// Part of the entry's name.
    pub method: Arc<str>,
    /// Part of the entry's name.
    pub name: Arc<str>,
    /// The kind, of a closed list.
    pub kind: FailureKind,
    /// What a person reads.
    pub message: Arc<str>,
    /// How often it happened, on all workers.
    pub occurrences: u64,
    /// The run's clock at the second of the first and the last one.
    pub first_seen: Duration,
    /// See `first_seen`.
    pub last_seen: Duration,
}
