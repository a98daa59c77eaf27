//! Where a worker's workloads come from, and what tasks of its shell report of them.

use std::sync::Arc;

use crate::cluster::worker::OpenRefusal;
use crate::load::Workload;
use crate::load::act::Acted;
use crate::load::engine::Engine;
use crate::plan::{Act, Plan, RunId};

/// Where a worker's workloads come from.
pub trait Workshop: Send + Sync + 'static {
    /// What the lanes open.
    type Workload: Workload;

    /// What the lanes of a run open. May read files and compile: it is called on a thread of its own.
    ///
    /// # Errors
    /// The plan's script is not there, is broken, or is another one.
    fn workload(&self, plan: &Plan) -> Result<Arc<Self::Workload>, OpenRefusal>;

    /// What the lanes of a run take over from `before` in mid-run. Called as [`Workshop::workload`] is.
    ///
    /// # Errors
    /// The plan's script is not there, is broken, or is another one.
    fn renewal(&self, plan: &Plan, before: &Self::Workload) -> Result<Arc<Self::Workload>, OpenRefusal>;
}

/// What tasks of the shell report to it.
pub(super) enum Outcome<W> {
    DialFailed(String),
    Opened { opening: u64, run: RunId, opened: Result<Box<Engine<W>>, OpenRefusal> },
    Renewed { opening: u64, plan: Arc<Plan>, renewed: Result<Arc<W>, OpenRefusal> },
    Acted { run: RunId, act: Act, acted: Box<Acted> },
}

/// Why a workload is not there whose maker panicked.
pub(super) fn no_end(why: &tokio::task::JoinError) -> OpenRefusal {
    OpenRefusal { text: format!("compiling the script came to no end: {why}"), differs: None }
}
