//! How far the setup and the teardown of a run are.

use std::sync::Arc;
use std::time::Instant;

use super::super::peers::PeerNumber;
use crate::cluster::link::LinkId;
use crate::plan::Act;
use crate::stats::snapshot::ActView;

/// How far the acts of a run are.
#[derive(Debug, Default)]
pub(super) struct Acts {
    pub(super) under_way: Option<UnderWay>,
    /// The teardown is due since then: the run's clock stands still.
    pub(super) ended: Option<Instant>,
    /// It is over, or was left out.
    pub(super) is_torn_down: bool,
    /// What people see of those that are over.
    pub(super) views: Vec<Arc<ActView>>,
}

/// An act that a worker was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct UnderWay {
    pub(super) act: Act,
    pub(super) worker: PeerNumber,
    /// Where it was asked; on another link it is asked again.
    pub(super) link: Option<LinkId>,
    pub(super) since: Instant,
    /// It was told to end it where it stands, and to say what it has counted.
    pub(super) cut_at: Option<Instant>,
}
