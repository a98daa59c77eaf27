//! The floor: what a request takes of the generator itself, measured against a target that costs nothing. No duration of the run is less; what is
//! near to it is not the target's.

use std::time::Duration;

/// What a worker measured of itself before its first run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Floor {
    /// Requests that were measured.
    pub requests: u64,
    /// Processor time of one of them, on the lane's thread.
    pub cpu: Duration,
    /// The time that half of them did not exceed, from asked to the last byte.
    pub p50: Duration,
    /// The same of 99 in a hundred.
    pub p99: Duration,
}
