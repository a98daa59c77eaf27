//! The generator's own part in the numbers, as it travels.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::parts::TrendJson;

/// The generator's own part.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Generator)]
#[expect(missing_docs, reason = "the names say it all, and `HealthView` defines them")]
pub struct GeneratorJson {
    pub lag: TrendJson,
    pub lag_recent_max_ms: f64,
    pub unsound_s: u64,
    /// By worker and reason, as far as this master has seen them.
    pub unsound: Vec<UnsoundJson>,
    /// Requests that came to their end in an unsound second of their own worker, as far as this master has seen them.
    pub unsound_requests: u64,
    pub local_failures: u64,
    /// Null where it is not known.
    pub cpu_cores: Option<f64>,
    pub throttled_ms: f64,
    pub unpacking_ms: f64,
    /// Null where it is not known.
    pub memory_bytes: Option<u64>,
}

/// Unsound seconds of one worker for one reason.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Unsound)]
pub struct UnsoundJson {
    /// Empty in a run of one process.
    pub worker: String,
    /// `late`, `throttled`, `exhausted` or `behind`.
    pub reason: String,
    /// What that means, behind `the generator`.
    pub words: String,
    /// How many seconds were unsound.
    pub seconds: u64,
    /// The run's clock at the begin of the first one.
    pub from_s: f64,
    /// The run's clock at the end of the last one.
    pub to_s: f64,
    /// Where the reason is `late`: scripts that held a lane of the worker, in the whole run, the longest first. At most 17.
    pub holds: Vec<HoldJson>,
}

/// A script that held a lane, while all other users of the lane waited.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Hold)]
pub struct HoldJson {
    /// Class and task, such as `Shopper:checkout`.
    pub by: String,
    /// File and line where it was seen at it; empty where that is not known.
    pub place: String,
    /// How often a lane was held.
    pub count: u64,
    /// The longest single time, in milliseconds.
    pub longest_ms: f64,
    /// All of it in a sentence.
    pub words: String,
}
