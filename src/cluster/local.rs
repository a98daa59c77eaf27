//! A local run: one master and one worker in this process, joined by the in-memory link.

use std::sync::Arc;

use super::handle::MasterHandle;
use super::master::{RunEnd, RunStart};
use crate::load::Workload;

/// A local run that is under way.
#[derive(Debug)]
pub struct LocalRun {
    /// For front ends.
    pub handle: MasterHandle,
}

impl LocalRun {
    /// Starts master and worker on the current runtime, and the run.
    #[must_use]
    pub fn start<W: Workload>(_workload: Arc<W>, _start: RunStart, _lanes: usize) -> Self {
        todo!()
    }

    /// Waits for the run's end; the last snapshot is published by then.
    pub async fn end(self) -> RunEnd {
        todo!()
    }
}
