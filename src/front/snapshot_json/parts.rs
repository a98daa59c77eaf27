//! The parts of a snapshot as they travel.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The run's setup or teardown.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Act)]
pub struct ActJson {
    /// `setup` or `teardown`.
    pub act: String,
    /// The worker that did it.
    pub worker: String,
    /// From its begin to its end.
    pub took_s: f64,
    /// Why it came to no good end, if it did not.
    pub error: Option<String>,
    /// Its requests, sorted by (name, method).
    pub entries: Vec<EntryJson>,
    /// What failed of them.
    pub errors: Vec<ErrorJson>,
}

/// What was counted before the warm-up's end.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Warmup)]
pub struct WarmupJson {
    /// The run's clock at its end.
    pub end_s: f64,
    /// It has ended, with its time or with the run.
    pub over: bool,
    /// All entries of the warm-up together.
    pub total: EntryJson,
    /// Sorted by (name, method).
    pub entries: Vec<EntryJson>,
    /// The most frequent ones first.
    pub errors: Vec<ErrorJson>,
    /// The most frequent ones first.
    pub exceptions: Vec<ExceptionJson>,
    /// In the order of their first run.
    pub checks: Vec<CheckJson>,
    /// What became of iterations, on all workers.
    pub iterations: IterationsJson,
}

/// What a run is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = State)]
pub enum StateJson {
    /// No run has begun yet.
    #[default]
    Ready,
    /// Workers compile the script.
    Waiting,
    /// The number of users is on its way.
    Spawning,
    /// The users are at their level.
    Running,
    /// No new iteration begins, until somebody resumes the run.
    Paused,
    /// Users finish what they do.
    Stopping,
    /// The run is over.
    Stopped,
}

impl StateJson {
    /// All of them, in the order of a run.
    pub const ALL: [Self; 7] = [Self::Ready, Self::Waiting, Self::Spawning, Self::Running, Self::Paused, Self::Stopping, Self::Stopped];

    /// The word, as in the JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Waiting => "waiting",
            Self::Spawning => "spawning",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
        }
    }

    /// Whether users run, or are about to.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Waiting | Self::Spawning | Self::Running | Self::Paused | Self::Stopping)
    }
}

/// The numbers of one entry, or of all together. Percentiles are null without requests.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Entry)]
#[expect(missing_docs, reason = "the names say it all, and `EntryView` defines them")]
pub struct EntryJson {
    pub method: String,
    pub name: String,
    pub requests: u64,
    pub failures: u64,
    /// Requests that the end of the run, or of their user, cut off; they have no duration and are judged by nothing.
    pub cut: u64,
    /// 0..=1, of the requests that say something of the target; null without any.
    pub fail_ratio: Option<f64>,
    /// Null, as the other times, where no request has come to its own end.
    pub avg_ms: Option<f64>,
    pub min_ms: Option<f64>,
    pub max_ms: Option<f64>,
    pub p50_ms: Option<f64>,
    pub p90_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    #[serde(rename = "p99.9_ms")]
    pub p99_9_ms: Option<f64>,
    /// From the moment at which the requests were due, as the next three; null where nothing was due at a time of its own.
    pub due_p50_ms: Option<f64>,
    pub due_p95_ms: Option<f64>,
    pub due_p99_ms: Option<f64>,
    pub due_max_ms: Option<f64>,
    /// Over the last 10 seconds; like the other rates null as long as no whole second is known.
    pub current_requests_per_s: Option<f64>,
    /// Over the last 10 seconds.
    pub current_failures_per_s: Option<f64>,
    /// Over the time that is counted, since the start or the reset.
    pub requests_per_s: Option<f64>,
    /// Over the same time.
    pub failures_per_s: Option<f64>,
    /// Of unpacked bodies, on average; `None` where no body's length is known.
    pub avg_body_bytes: Option<f64>,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

/// One kind of error of one entry.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Error)]
#[expect(missing_docs, reason = "the names say it all, and `ErrorView` defines them")]
pub struct ErrorJson {
    pub method: String,
    pub name: String,
    pub kind: String,
    pub message: String,
    pub occurrences: u64,
    pub first_seen_s: f64,
    pub last_seen_s: f64,
}

/// One error that scripts raised.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Exception)]
#[expect(missing_docs, reason = "the names say it all, and `ExceptionView` defines them")]
pub struct ExceptionJson {
    pub message: String,
    pub traceback: String,
    pub count: u64,
    /// Ids of the first workers that told of it.
    pub nodes: Vec<String>,
    /// Other workers told of it as well.
    pub has_more_nodes: bool,
    /// Null where it is not known, since the run was taken over from another master.
    pub first_seen_s: Option<f64>,
    /// As far as it is known.
    pub last_seen_s: Option<f64>,
}

/// A check of the script, by its name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Check)]
#[expect(missing_docs, reason = "the names say it all, and `CheckView` defines them")]
pub struct CheckJson {
    pub name: String,
    pub passes: u64,
    pub fails: u64,
}

/// A distribution of times. Percentiles are null without values.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Trend)]
#[expect(missing_docs, reason = "the names say it all, and `TrendView` defines them")]
pub struct TrendJson {
    pub name: String,
    pub count: u64,
    /// Null, as the other times, without any value.
    pub avg_ms: Option<f64>,
    pub min_ms: Option<f64>,
    pub max_ms: Option<f64>,
    pub p50_ms: Option<f64>,
    pub p90_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub p99_ms: Option<f64>,
}

/// A user class and what became of its iterations.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Class)]
pub struct ClassJson {
    /// Unique in the scenario.
    pub name: String,
    /// 0..=1: its part of the users.
    pub ratio: f64,
    /// Iterations that came to their end, those that raised included.
    pub iterations: u64,
    /// Iterations that the script ended by an error.
    pub raised: u64,
    /// `on_start`s that raised.
    pub start_failures: u64,
}

/// A metric of the script's own, in the unit that the script gave it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Metric)]
pub struct MetricJson {
    /// The script's name for it.
    pub name: String,
    /// `counter`, `gauge`, `rate` or `trend`.
    pub kind: String,
    /// A counter's sum, a gauge's last value, a rate's share of true ones (0..=1), a trend's mean; null of a rate or trend without values.
    pub value: Option<f64>,
    /// How many values a rate or a trend has.
    pub count: u64,
    /// A gauge's and a trend's.
    pub min: Option<f64>,
    /// A gauge's and a trend's.
    pub max: Option<f64>,
    /// Of a trend alone; null without values.
    pub p50: Option<f64>,
    /// Of a trend alone; null without values.
    pub p95: Option<f64>,
    /// Of a trend alone; null without values.
    pub p99: Option<f64>,
}

/// Iterations and what became of users.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Iterations)]
#[expect(missing_docs, reason = "the names say it all, and `Snapshot` defines them")]
pub struct IterationsJson {
    pub duration: TrendJson,
    pub since_due: TrendJson,
    pub duration_due: TrendJson,
    pub lateness: TrendJson,
    pub due: u64,
    pub started: u64,
    /// Iterations that could not begin, by reason.
    pub dropped_by_reason: BTreeMap<String, u64>,
    pub lost: u64,
    pub rate_wanted: Option<f64>,
    /// How many the profile has in all; null where it does not say.
    pub total: Option<u64>,
    /// Those of them that began.
    pub begun: Option<u64>,
    pub raised: u64,
    pub interrupted: u64,
    pub dropped: u64,
    pub backoffs: u64,
    pub hold_pauses: u64,
    pub start_failures: u64,
    pub stop_failures: u64,
    pub users_dropped: u64,
}

impl IterationsJson {
    /// As [`crate::stats::snapshot::Snapshot::steps_raised`].
    #[must_use]
    pub const fn steps_raised(&self) -> u64 {
        self.raised + self.start_failures + self.stop_failures
    }
}

/// A threshold and how it stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Threshold)]
pub struct ThresholdJson {
    /// As the script wrote it.
    pub metric: String,
    /// As the script wrote it.
    pub condition: String,
    /// For people, such as `183.2ms`; `no data` without any.
    pub actual: String,
    /// Whether it holds by the numbers so far.
    pub passed: bool,
}

/// A worker that has a part in the run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Worker)]
#[expect(missing_docs, reason = "the names say it all, and `WorkerView` defines them")]
pub struct WorkerJson {
    pub id: String,
    pub host: String,
    /// `ADDRESS:PORT`; null of a worker in the master's own process.
    pub address: Option<String>,
    pub version: String,
    /// `ready`, `preparing`, `differs`, `running`, `stopping`, `missing` or `left`.
    pub state: String,
    pub users: u64,
    pub slots: u32,
    pub lanes: u32,
    /// What a request takes of it; null where it was not measured.
    pub floor: Option<FloorJson>,
    /// Null, as the next two, of a worker that has not reported in the run.
    pub cpu_cores: Option<f64>,
    pub memory_bytes: Option<u64>,
    pub lag_ms: Option<f64>,
    pub script: String,
    pub fingerprint: String,
    /// How often it has taken changed scripts over in the run.
    pub revision: u32,
    pub script_error: Option<String>,
    /// Null before the first.
    pub round_trip_ms: Option<f64>,
    pub silence_s: f64,
}

/// Numbers that are lost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Hole)]
#[expect(missing_docs, reason = "the names say it all, and `HoleView` defines them")]
pub struct HoleJson {
    pub worker: String,
    pub from_s: f64,
    pub to_s: f64,
}

/// Load that ran twice.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Overlap)]
#[expect(missing_docs, reason = "the names say it all, and `OverlapView` defines them")]
pub struct OverlapJson {
    pub worker: String,
    pub from_s: f64,
    /// Null as long as the worker is away.
    pub to_s: Option<f64>,
    pub users: u64,
}

/// One second of the run, or a few of them once the run is long.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Point)]
#[expect(missing_docs, reason = "the names say it all, and `HistoryPoint` defines them")]
pub struct PointJson {
    pub at_s: f64,
    pub length_s: f64,
    /// How much of it somebody measured, which rates divide by. Of a point without any all numbers are null: nobody knows.
    pub known_s: f64,
    pub users: Option<u64>,
    pub requests: Option<u64>,
    pub failures: Option<u64>,
    /// Null without a request, too.
    pub p50_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    pub unsound: bool,
    /// Why it is unsound: `late`, `throttled`, `exhausted`, `behind`.
    pub reasons: Vec<String>,
}

/// What a request takes of a worker itself, measured against an echo in its own process before its first run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Floor)]
pub struct FloorJson {
    /// Requests that were measured.
    pub requests: u64,
    /// Processor time of one of them.
    pub cpu_ms: f64,
    /// The duration that half of them did not exceed.
    pub p50_ms: f64,
    /// The same of 99 in a hundred.
    pub p99_ms: f64,
}
