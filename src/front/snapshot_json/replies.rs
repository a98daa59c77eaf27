//! The other bodies of `/api/v1`: parts of a snapshot by themselves, what may be asked of a run, and what is said to it.
//!
//! Owns their shape, for the server, which writes them, and for clients, which read them. Keys follow the rules of `snapshot_json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::parts::{EntryJson, ErrorJson, ExceptionJson, PointJson, StateJson, TrendJson, WorkerJson};

/// What program answers, and by which interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Program)]
pub struct ProgramJson {
    /// `lunamoth`.
    pub program: String,
    /// The version of the program.
    pub version: String,
    /// `v1`.
    pub api: String,
}

/// The run in a few words.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Run)]
pub struct RunJson {
    /// Which run, 16 hexadecimal digits; empty before the first one.
    pub run: String,
    /// What it is doing.
    pub state: StateJson,
    /// As its script names it.
    pub scenario: String,
    /// The script's file name.
    pub script: String,
    /// The host that relative URLs go to.
    pub host: Option<String>,
    /// Users that run now.
    pub users: u64,
    /// Users that the plan wants now.
    pub target_users: u64,
    /// Seconds on the run's clock.
    pub elapsed_s: f64,
    /// The run's planned length, where it has one.
    pub planned_s: Option<f64>,
}

/// Points of a run's history, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = History)]
pub struct HistoryJson {
    /// The run that these are of; empty before the first.
    pub run: String,
    /// Those that begin after the moment that was asked for.
    pub points: Vec<PointJson>,
}

/// The rows of the statistics.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Entries)]
pub struct EntriesJson {
    /// The run that these are of; empty before the first.
    pub run: String,
    /// All entries of the run together.
    pub total: EntryJson,
    /// Sorted by (name, method).
    pub entries: Vec<EntryJson>,
}

/// One entry, or all together, with everything that is known of it. The keys of both parts stand beside each other.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
#[schema(as = EntryDetail)]
pub struct EntryDetailJson {
    /// What the statistics' row says.
    #[serde(flatten)]
    pub entry: EntryJson,
    /// What is known beyond its row.
    #[serde(flatten)]
    pub more: EntryMoreJson,
}

/// What is known of an entry beyond its row.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = EntryMore)]
pub struct EntryMoreJson {
    /// The run that these are of; empty before the first.
    pub run: String,
    /// Answered requests by status code, ascending.
    pub statuses: Vec<StatusJson>,
    /// Failed requests by kind; kinds without any are left out.
    pub failures_by_kind: Vec<KindJson>,
    /// Requests of which no byte was written.
    pub not_sent: u64,
    /// Requests, and stale attempts, of which bytes were written and no answer came.
    pub unanswered: u64,
    /// Requests sent again because a reused connection was closed.
    pub stale_retries: u64,
    /// The phases of a request. Entries have no percentiles of them; the total has.
    pub phases: Vec<TrendJson>,
    /// Counts by duration, ascending; a bin holds what lies above the bin before it. Empty bins are left out.
    pub distribution: Vec<BinJson>,
    /// From the median upwards.
    pub percentiles: Vec<PercentileJson>,
}

/// How often a status code came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[expect(missing_docs, reason = "the names say it all")]
#[schema(as = Status)]
pub struct StatusJson {
    pub status: u16,
    pub count: u64,
}

/// How often requests failed in one way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[expect(missing_docs, reason = "the names say it all")]
#[schema(as = Kind)]
pub struct KindJson {
    pub kind: String,
    pub count: u64,
}

/// Requests whose durations lie close to each other.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Bin)]
pub struct BinJson {
    /// The longest duration that falls into it.
    pub le_ms: f64,
    /// How many durations fall into it.
    pub count: u64,
}

/// A percentile of the durations.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Percentile)]
pub struct PercentileJson {
    /// From 0 to 100.
    pub percent: f64,
    /// The duration that so many requests did not exceed.
    pub ms: f64,
}

/// What failed, by entry and kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Errors)]
pub struct ErrorsJson {
    /// The run that these are of; empty before the first.
    pub run: String,
    /// The most frequent ones first.
    pub errors: Vec<ErrorJson>,
}

/// Errors that scripts raised.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Exceptions)]
pub struct ExceptionsJson {
    /// The run that these are of; empty before the first.
    pub run: String,
    /// The most frequent ones first.
    pub exceptions: Vec<ExceptionJson>,
}

/// The workers that have a part in the run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Workers)]
pub struct WorkersJson {
    /// The run that these are of; empty before the first.
    pub run: String,
    /// In the order in which they came.
    pub workers: Vec<WorkerJson>,
}

/// Lines of the log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Logs)]
pub struct LogsJson {
    /// Oldest first, by their numbers.
    pub lines: Vec<LogLineJson>,
    /// The number of the newest line that there is, on this page or not.
    pub newest: u64,
    /// How many of the lines that were asked for are no longer kept.
    pub dropped: u64,
}

/// One line of the log. Its text is as it was said: whoever shows it escapes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = LogLine)]
pub struct LogLineJson {
    /// Rises by one from line to line; 1 for the first of a master's life.
    pub number: u64,
    /// When, by the wall clock of whoever logged it.
    pub at_unix_ms: u64,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// `master`, or the id of a worker.
    pub source: String,
    /// Where in the program, such as `lunamoth::master` or `script`.
    pub target: String,
    /// As it was logged, not escaped.
    pub text: String,
}

/// The scripts that a start may name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Scripts)]
pub struct ScriptsJson {
    /// The default one first.
    pub scripts: Vec<ScriptJson>,
}

/// One script of the master's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Script)]
pub struct ScriptJson {
    /// What a start names it by.
    pub name: String,
    /// 64 hexadecimal digits; null where the script cannot be read.
    pub fingerprint: Option<String>,
    /// A start that names none means this one.
    pub is_default: bool,
    /// The base URL that it runs against by itself.
    pub host: Option<String>,
    /// The names of its user classes.
    pub classes: Vec<String>,
    /// The load of a start that says nothing; null where the script was not looked at, of arrivals, which want no number of users, and of a
    /// local run, which nobody starts.
    pub load: Option<LoadJson>,
    /// Why no run can start with it; null where one can.
    pub error: Option<String>,
}

/// What holds of a start where it says nothing itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Load)]
pub struct LoadJson {
    /// The most users at once.
    pub users: u32,
    /// Users that start per second, on the steepest way up; null where they all start at once.
    pub spawn_rate: Option<f64>,
    /// When the run ends by itself; null where somebody has to stop it.
    pub run_time_s: Option<f64>,
    /// The spawn rate of a start that says how many users, and nothing else.
    pub spawn_rate_of_users: f64,
    /// The run time of such a start.
    pub run_time_of_users_s: Option<f64>,
}

/// A start, or a re-target, which takes neither host nor script. What is left out, or null, is the script's, or the settings'.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct OrderJson {
    /// How many users. Without it a start runs the script's own profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<u32>,
    /// Iterations that are due in place of users, such as `30/m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
    /// Of a run of several load profiles: whose level it shall be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Users that start per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spawn_rate: Option<f64>,
    /// With a rate: at most so many users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_users: Option<u32>,
    /// Such as `1m30s`, or seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_time: Option<String>,
    /// What is measured in it counts in no total; whole seconds, such as `30s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup: Option<String>,
    /// What the run is judged by in place of the script's thresholds: conditions by metric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<BTreeMap<String, Vec<String>>>,
    /// The base URL of the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The script's name in the master's folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// The beginning of the fingerprint that the scripts on the master and all workers must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scripts_fingerprint: Option<String>,
}

/// What was done of what was asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Accepted)]
pub struct AcceptedJson {
    /// To which run; empty where there is none.
    pub run: String,
    /// The base URL of the run.
    pub host: Option<String>,
    /// For people, not for programs.
    pub message: String,
}

/// Why something is not done (RFC 9457).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Problem)]
pub struct ProblemJson {
    /// `about:blank`: the status says it all.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The status of the answer.
    pub status: u16,
    /// For people, not for programs.
    pub detail: String,
    /// Which parameter is at fault, where one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}
