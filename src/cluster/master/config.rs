//! How a master behaves, whatever its run is.

use std::time::Duration;

use crate::cluster::message::OrphanRules;

/// How a master behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct MasterConfig {
    /// What workers do without it.
    pub orphan: OrphanRules,
    /// How long a start waits for workers whose scripts differ.
    pub skew_timeout: Duration,
    /// Workers whose scripts differ take part.
    pub allows_skew: bool,
    /// It takes over a run that workers bring; otherwise it stops it and collects the numbers.
    pub adopts: bool,
    /// There is a journal: the sums of each worker are kept apart for it.
    pub has_journal: bool,
}
