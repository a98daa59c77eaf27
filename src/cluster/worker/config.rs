//! What a worker is.

use crate::cluster::message::WorkerId;
use crate::stats::floor::Floor;

/// What a worker is.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerConfig {
    /// The same on every link of the process.
    pub id: WorkerId,
    /// How many lanes it opens.
    pub lanes: u32,
    /// What a request takes of it; `None` where it was not measured.
    pub floor: Option<Floor>,
    /// The script that it has compiled.
    pub script: String,
    /// The fingerprint of that script's bundle.
    pub fingerprint: String,
    /// It ends after its first run.
    pub is_once: bool,
    /// It keeps the sums of the whole run, for a master that has lost them. A local run's master cannot be lost alone.
    pub keeps_total: bool,
}
