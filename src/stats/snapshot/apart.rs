//! What stands beside a run's numbers and is in none of them: its warm-up, its setup and teardown.

use std::time::Duration;

use super::{EntryView, ErrorView, Snapshot};

/// The run's setup or teardown.
#[derive(Debug, Clone, Default)]
pub struct ActView {
    /// `setup` or `teardown`.
    pub act: &'static str,
    /// The worker that did it.
    pub worker: String,
    /// From its begin to its end.
    pub took: Duration,
    /// Why it came to no good end, if it did not.
    pub error: Option<String>,
    /// Its requests.
    pub entries: Vec<EntryView>,
    /// What failed of them.
    pub errors: Vec<ErrorView>,
}

/// What was counted before the warm-up's end.
#[derive(Debug, Clone, Default)]
pub struct WarmupView {
    /// The run's clock at its end: whole seconds.
    pub end: Duration,
    /// It has ended, with its time or with the run.
    pub is_over: bool,
    /// Its rows, sums, errors, exceptions and checks; without a history and thresholds.
    pub numbers: Snapshot,
}
