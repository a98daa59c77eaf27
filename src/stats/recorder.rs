//! The recorder: one a lane, on the lane's own thread. It adds samples up where they are born.
//!
//! No lock, no channel, and no allocation once an entry is known.

use std::time::Duration;

use super::sample::Sample;

/// Adds up what one lane measures.
#[derive(Debug)]
pub struct Recorder {}

/// A (method, name), known to one recorder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EntryId(pub u32);

/// A metric of the script's own, known to one recorder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MetricId(pub u32);

/// The kinds of a script's own metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// A sum.
    Counter,
    /// The last value.
    Gauge,
    /// A share of true values.
    Rate,
    /// A distribution.
    Trend,
}

/// All that one lane, or several merged, counted in a span of the run: changed counters only, keyed by names, sparse.
#[derive(Debug, Clone, Default)]
pub struct Tally {}

/// What bounds a recorder.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// (method, name) entries; also bounds checks, groups, and error messages an entry.
    pub names: usize,
}

impl Recorder {
    /// An empty recorder.
    #[must_use]
    pub fn new(_limits: Limits) -> Self {
        todo!()
    }

    /// The entry of (method, name); `(other)` once the limit is reached.
    pub fn entry(&mut self, _method: &str, _name: &str) -> EntryId {
        todo!()
    }

    /// Counts one finished hop. `message` says why it failed, where it did; `None` takes the kind's own words.
    pub fn record(&mut self, _entry: EntryId, _sample: &Sample, _message: Option<&str>) {
        todo!()
    }

    /// Counts one evaluation of a check.
    pub fn check(&mut self, _name: &str, _passed: bool) {
        todo!()
    }

    /// Counts one passage through a group.
    pub fn group(&mut self, _name: &str, _duration: Duration) {
        todo!()
    }

    /// Counts one finished iteration.
    pub fn iteration(&mut self, _duration: Duration, _raised: bool) {
        todo!()
    }

    /// Counts what a script raised. The traceback is kept for the first of each message.
    pub fn exception(&mut self, _message: &str, _traceback: &str) {
        todo!()
    }

    /// Counts one pause after a failed iteration.
    pub fn backoff(&mut self) {
        todo!()
    }

    /// Counts one `on_start` that raised.
    pub fn start_failure(&mut self) {
        todo!()
    }

    /// Counts one user that was dropped.
    pub fn user_dropped(&mut self) {
        todo!()
    }

    /// Notes how late one of the lane's timers was.
    pub fn lag(&mut self, _late: Duration) {
        todo!()
    }

    /// Makes a metric of the script's own known, or finds it. `Err` holds the kind that the name already has.
    pub fn declare(&mut self, _name: &str, _kind: MetricKind) -> Result<MetricId, MetricKind> {
        todo!()
    }

    /// Adds a value to a metric: a counter's increment, a gauge's value, a rate's 0 or 1, a trend's value.
    pub fn metric(&mut self, _metric: MetricId, _value: f64) {
        todo!()
    }

    /// Takes all that was counted since the last call, and begins anew. `second` is the second of the run's clock in which it was counted.
    pub fn take(&mut self, _second: u64) -> Tally {
        todo!()
    }
}
impl Tally { pub fn merge(&mut self, _o: Tally) { todo!() } }
