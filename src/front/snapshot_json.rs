//! The snapshot as it travels: the JSON of `/api/v1`, written by the master and read by its page, the shell's commands and an attached
//! terminal. Every screen is drawn from it, so that a local one and one from afar show the same.
//!
//! Owns the keys and their units: a key ends with its unit, durations are milliseconds with whole nanoseconds kept, positions on the
//! run's clock are seconds. Keys are only added; a reader passes over those that it does not know and takes what is missing as empty.

mod build;
mod detail;
mod generator;
mod parts;
mod profiles;
mod replies;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub(super) use build::{errors, exceptions};
pub use generator::{GeneratorJson, HoldJson, UnsoundJson};
pub use parts::*;
pub use profiles::ProfileJson;
pub use replies::*;

/// One view of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Snapshot)]
pub struct SnapshotJson {
    /// The version of the program that sends it.
    pub version: String,
    /// Which run, 16 hexadecimal digits; empty before the first one.
    pub run: String,
    /// What the run is doing.
    pub state: StateJson,
    /// As its script names it.
    pub scenario: String,
    /// The script's file name.
    pub script: String,
    /// The fingerprint of the script's bundle on the master; empty where none is compared.
    pub fingerprint: String,
    /// How often the running test has taken changed scripts over.
    pub revision: u32,
    /// The host that relative URLs go to.
    pub host: Option<String>,
    /// The master's wall clock at the run's start.
    pub started_at_unix_ms: Option<u64>,
    /// Seconds on the run's clock.
    pub elapsed_s: f64,
    /// The run's planned length, where it has one.
    pub planned_s: Option<f64>,
    /// Users that run now.
    pub users: u64,
    /// Users that the plan wants now.
    pub target_users: u64,
    /// Users that the plan is on its way to; zero where no load is made.
    pub goal_users: u64,
    /// Users that start per second, and of a re-target that names no rate; null before the first run, and where they all start at once.
    pub spawn_rate: Option<f64>,
    /// The run's clock when the numbers began to be counted: zero, or the last reset; null where nobody knows.
    pub counted_since_s: Option<f64>,
    /// The median of the last 10 seconds; null without a request.
    pub current_p50_ms: Option<f64>,
    /// The 95th percentile of the last 10 seconds.
    pub current_p95_ms: Option<f64>,
    /// What a request takes of the generator itself, by the slowest worker that has measured it; null where none has.
    pub floor: Option<FloorJson>,
    /// All entries of the run together.
    pub total: EntryJson,
    /// Sorted by (name, method).
    pub entries: Vec<EntryJson>,
    /// The most frequent ones first.
    pub errors: Vec<ErrorJson>,
    /// The most frequent ones first.
    pub exceptions: Vec<ExceptionJson>,
    /// In the order of their first run.
    pub checks: Vec<CheckJson>,
    /// The user classes, in the scenario's order.
    pub classes: Vec<ClassJson>,
    /// The groups of the script, by name.
    pub groups: Vec<TrendJson>,
    /// The script's own metrics.
    pub metrics: Vec<MetricJson>,
    /// The phases of all requests.
    pub phases: Vec<TrendJson>,
    /// Times of the whole run, by metric; iterations and generator have theirs again in their own places.
    pub times: Vec<TrendJson>,
    /// What became of iterations, on all workers.
    pub iterations: IterationsJson,
    /// The load profiles that run side by side, where they have names.
    pub profiles: Vec<ProfileJson>,
    /// In the scenario's order.
    pub thresholds: Vec<ThresholdJson>,
    /// What the warm-up brought, where the run has one: it is in no other number but the points over time.
    pub warmup: Option<WarmupJson>,
    /// What was done once for the whole run, and is over: `setup`, `teardown`. Its requests are in no other number.
    pub acts: Vec<ActJson>,
    /// Why the script ended the run, if it did.
    pub aborted: Option<String>,
    /// What of the script or the settings could not be used, where that has ended the run; its exit code is 2.
    pub misuse: Option<String>,
    /// Why a run that is over could not be finished or collected, if it could not: its exit code is 3.
    pub unfinished: Option<String>,
    /// The generator's own part in the numbers.
    pub generator: GeneratorJson,
    /// In the order in which they came.
    pub workers: Vec<WorkerJson>,
    /// Numbers that are lost.
    pub holes: Vec<HoleJson>,
    /// Load that ran twice.
    pub overlaps: Vec<OverlapJson>,
    /// Reports that came again and were dropped.
    pub repeats: u64,
    /// What a reader of the numbers must know.
    pub warnings: Vec<String>,
    /// The last points of the history, so that a reader who misses a few snapshots has no gap in its charts.
    pub recent: Vec<PointJson>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::tests::busy_snapshot;
    use crate::stats::snapshot::{MetricValue, MetricView, Snapshot};

    #[test]
    fn what_is_sent_is_what_is_read() {
        let sent = SnapshotJson::from(&busy_snapshot());
        let read: SnapshotJson = serde_json::from_str(&serde_json::to_string(&sent).unwrap()).unwrap();
        assert_eq!(read, sent);
        assert_eq!(read.total.requests, busy_snapshot().total.requests);
        assert_eq!(read.entries[0].min_ms, Some(0.42));
    }

    #[test]
    fn a_sum_beyond_all_numbers_can_still_be_read() {
        let metrics = vec![MetricView { name: "orders".into(), value: MetricValue::Counter(f64::INFINITY) }];
        let sent = SnapshotJson::from(&Snapshot { metrics, ..Snapshot::default() });
        let read: SnapshotJson = serde_json::from_str(&serde_json::to_string(&sent).unwrap()).unwrap();
        assert_eq!(read.metrics[0].value, Some(f64::MAX));
    }

    #[test]
    fn a_reader_takes_what_is_missing_as_empty_and_passes_over_the_rest() {
        let read: SnapshotJson = serde_json::from_str(r#"{"state":"paused","later":1}"#).unwrap();
        assert_eq!(read, SnapshotJson { state: StateJson::Paused, ..SnapshotJson::default() });
    }
}
