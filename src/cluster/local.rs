//! A local run: one master and one worker in this process, joined by the in-memory link.

use std::sync::Arc;

use tokio::sync::watch;

use super::handle::MasterHandle;
use super::link::MemoryDialer;
use super::logs::LogFeed;
use super::master::{FailureCause, MasterConfig, RunEnd, RunFailure, RunStart};
use super::message::{OrphanRules, WorkerId};
use super::planner::{Planned, Planner, ScriptView};
use super::serve_master::{Ended, MasterSetup, MasterShell};
use super::serve_worker::{WorkerSetup, WorkerShell, Workshop};
use super::worker::{OpenRefusal, WorkerConfig};
use crate::load::{Workload, roster};
use crate::plan::{Plan, StartOrder, shown_host};
use crate::stats::floor::Floor;

/// A local run that is under way.
#[derive(Debug)]
pub struct LocalRun {
    /// By which front ends see the run and command it.
    pub handle: MasterHandle,
    master: MasterShell,
    worker: WorkerShell,
}

impl LocalRun {
    /// Starts master and worker on the current runtime. The run begins once [`LocalRun::end`] is waited for. `floor` is
    /// what was measured before, `logs` what the process's logger adds its lines to.
    #[must_use]
    pub fn start<W: Workload>(workload: Arc<W>, start: RunStart, lanes: usize, floor: Option<Floor>, logs: LogFeed) -> Self {
        let plan = start.plan.clone();
        let setup = MasterSetup { config: master_config(), planner: Arc::new(Only { start }), journal: None, kept: None, logs };
        let master = MasterShell::start(setup);
        let config = WorkerConfig {
            id: WorkerId { host: "local".into(), incarnation: 1 },
            lanes: u32::try_from(lanes).unwrap_or(u32::MAX),
            floor,
            script: plan.script.clone(),
            fingerprint: plan.fingerprint.clone(),
            is_once: false,
            keeps_total: false,
        };
        let dialer = Arc::new(MemoryDialer { master: master.links().clone() });
        let worker = WorkerShell::start(WorkerSetup { config, workshop: Arc::new(Ready { workload }), dialer, log_lines: None });
        Self { handle: master.handle().clone(), master, worker }
    }

    /// Waits for the run's end; the last snapshot is published by then.
    pub async fn end(self) -> RunEnd {
        let mut ends = self.master.ends();
        let end = match self.begin().await {
            Ok(()) => wait(&mut ends).await,
            Err(reason) => {
                let failure = RunFailure { cause: FailureCause::Lost, text: reason };
                Some(RunEnd { is_complete: false, failure: Some(failure), panics: 0 })
            }
        };
        self.worker.close().await;
        self.master.close().await;
        end.unwrap_or(RunEnd { is_complete: false, failure: None, panics: 1 })
    }

    /// Starts the run as soon as the worker is there, which is at once.
    async fn begin(&self) -> Result<(), String> {
        let mut snapshots = self.handle.snapshots();
        if snapshots.wait_for(|snapshot| !snapshot.workers.is_empty()).await.is_err() {
            // The master's panic is told by its end, which does not come.
            return Ok(());
        }
        // Nobody needs to be told of a start that he has asked for himself.
        self.handle.start(StartOrder::default(), "").await.map(drop).map_err(|declined| declined.reason)
    }
}

/// How the run ended; `None` if the master is gone without a word.
async fn wait(ends: &mut watch::Receiver<Option<Arc<Ended>>>) -> Option<RunEnd> {
    ends.wait_for(Option::is_some).await.ok().and_then(|ended| ended.as_ref().map(|ended| ended.end.clone()))
}

/// Of a master whose only worker cannot be lost alone.
fn master_config() -> MasterConfig {
    MasterConfig {
        orphan: OrphanRules::default(),
        skew_timeout: std::time::Duration::ZERO,
        allows_skew: true,
        adopts: false,
        has_journal: false,
    }
}

/// The one run that there is.
struct Only {
    start: RunStart,
}

impl Planner for Only {
    fn plan(&self, _order: &StartOrder) -> Result<Planned, String> {
        Ok(Planned { start: self.start.clone(), words: String::new() })
    }

    fn scripts(&self) -> Vec<ScriptView> {
        let plan = &self.start.plan;
        vec![ScriptView {
            name: plan.script.clone(),
            is_default: true,
            fingerprint: Some(plan.fingerprint.clone()),
            host: plan.host.as_deref().map(shown_host),
            classes: roster::shares(&plan.profile, &plan.classes),
            load: None,
            error: None,
        }]
    }
}

/// The workload that is ready.
struct Ready<W> {
    workload: Arc<W>,
}

impl<W: Workload> Workshop for Ready<W> {
    type Workload = W;

    fn workload(&self, _plan: &Plan) -> Result<Arc<W>, OpenRefusal> {
        Ok(self.workload.clone())
    }

    fn renewal(&self, _plan: &Plan, _before: &W) -> Result<Arc<W>, OpenRefusal> {
        Err(OpenRefusal { text: "a local run keeps the script that it began with".into(), differs: None })
    }
}
