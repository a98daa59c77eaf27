//! What was truly counted, kept beside the program's own sums: one plain histogram of all samples of each entry.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use lunamoth::stats::histogram::Histogram;
use lunamoth::stats::snapshot::{EntryView, Snapshot};
use serde::{Deserialize, Serialize};

/// One entry, or all together.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Truth {
    pub method: String,
    pub name: String,
    pub requests: u64,
    pub failures: u64,
    /// In nanoseconds, as the two below.
    pub sum: u64,
    pub min: u64,
    pub max: u64,
    /// Microseconds, and how many samples had as many: all of them, each by itself.
    pub values: std::collections::BTreeMap<u64, u64>,
}

impl Truth {
    /// Counts a hop that was sent `times` times.
    pub fn add(&mut self, duration: Duration, has_failed: bool, times: u64) {
        let nanos = duration.as_nanos() as u64;
        self.min = if self.requests == 0 { nanos } else { self.min.min(nanos) };
        self.max = self.max.max(nanos);
        self.requests += times;
        self.failures += u64::from(has_failed) * times;
        self.sum += nanos * times;
        *self.values.entry((nanos + 500) / 1_000).or_default() += times;
    }

    fn histogram(&self) -> Histogram {
        let mut histogram = Histogram::default();
        for (value, count) in &self.values {
            histogram.record_n(*value, *count);
        }
        histogram
    }

    fn compare(&self, view: &EntryView) -> anyhow::Result<()> {
        let shown = (view.requests, view.failures, view.duration_sum.as_nanos() as u64);
        ensure!(shown == (self.requests, self.failures, self.sum), "shown are (requests, failures, ns) {shown:?}, sent were {self:?}");
        let nanos = |time: Option<Duration>| time.map(|time| time.as_nanos() as u64);
        let shown = (nanos(view.min), nanos(view.max));
        ensure!(shown == (Some(self.min), Some(self.max)), "shown are (least, greatest) {shown:?}, sent were ({}, {})", self.min, self.max);
        let histogram = self.histogram();
        ensure!(view.histogram == histogram, "the histograms differ");
        for quantile in [0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 0.9999, 1.0] {
            ensure!(view.histogram.value_at(quantile) == histogram.value_at(quantile), "the quantile {quantile} differs");
        }
        Ok(())
    }
}

/// Holds the master's last snapshot against what the workers sent, entry by entry and all together.
///
/// # Errors
/// What differs first.
pub fn compare(truths: &[Truth], snapshot: &Snapshot) -> anyhow::Result<()> {
    let sent: Vec<_> = truths.iter().filter(|truth| truth.requests > 0).collect();
    ensure!(snapshot.entries.len() == sent.len(), "{} entries are shown, {} were sent", snapshot.entries.len(), sent.len());
    let mut all = Truth::default();
    for truth in sent {
        let view = snapshot.entries.iter().find(|view| *view.name == *truth.name && *view.method == *truth.method);
        let view = view.with_context(|| format!("`{} {}` is not shown", truth.method, truth.name))?;
        truth.compare(view).with_context(|| format!("`{} {}`", truth.method, truth.name))?;
        all.min = if all.requests == 0 { truth.min } else { all.min.min(truth.min) };
        all.max = all.max.max(truth.max);
        all.requests += truth.requests;
        all.failures += truth.failures;
        all.sum += truth.sum;
        for (value, count) in &truth.values {
            *all.values.entry(*value).or_default() += count;
        }
    }
    all.compare(&snapshot.total).context("all entries together")?;
    let history: u64 = snapshot.history.iter().filter_map(|point| point.seen.as_ref()).map(|seen| seen.requests).sum();
    ensure!(history == all.requests, "the history has {history} requests, {} were sent", all.requests);
    Ok(())
}
