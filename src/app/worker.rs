//! `lunamoth worker`: makes load for a master on another machine.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::failure::Failure;
use super::floor::measured_floor;
use super::reload::{Compiled, WatchedFolder, identity};
use super::signals::Signals;
use super::start::{MAIN, Start, lanes, run_to_end};
use crate::cluster::message::WorkerId;
use crate::cluster::remote::RemoteDialer;
use crate::cluster::serve_worker::{WorkerSetup, WorkerShell, Workshop};
use crate::cluster::worker::{OpenRefusal, WorkerConfig, WorkerEnd};
use crate::front::console::{ExitCode, log as console_log};
use crate::front::health::HealthServer;
use crate::load::vitals;
use crate::plan::Plan;
use crate::script::{Host, LoadOptions, LoadScriptError, ScriptFolder, ScriptWorkload, short_fingerprint};

pub(super) fn run_worker(start: &Start) -> Result<u8, Failure> {
    let settings = &start.settings;
    let master = settings.master_address().map_err(Failure::bad_use)?.to_string();
    let folder = settings.scripts_folder().map_err(Failure::bad_use)?;
    let folder = ScriptFolder::open(folder, settings.script.as_deref().and_then(|script| script.to_str())).map_err(Failure::bad_use)?;
    let options = LoadOptions { tags: settings.tag_filter(), env: settings.set.clone(), data: settings.data.clone() };
    let watched = WatchedFolder::compile(folder.clone(), options);
    let compiled = identity(watched.compiled());
    if let Err(why) = &compiled {
        // A folder may be mended while its worker waits; one that ended would come again and again, and make no load in between.
        log::error!("the scripts cannot be used, and this worker is not ready until they can: {why}");
    }
    let (script, fingerprint) = compiled.clone().unwrap_or_default();
    let identities = start.identities()?;
    let config = WorkerConfig {
        id: WorkerId { host: console_log::host_name(), incarnation: random_incarnation()? },
        lanes: u32::try_from(lanes(settings)?).unwrap_or(u32::MAX),
        floor: measured_floor(settings),
        script,
        fingerprint,
        is_once: settings.once,
        keeps_total: true,
    };
    if vitals::raise_descriptor_limit().is_none() {
        log::debug!("the limit of descriptors is not known");
    }
    run_to_end(async {
        let dialer = Arc::new(RemoteDialer::new(&identities, master.clone()).map_err(Failure::bad_use)?);
        log::info!(target: MAIN, "Starting Lunamoth {}, worker {} of {master}", env!("CARGO_PKG_VERSION"), config.id);
        let kept = watched.compiled().iter().flatten().cloned().collect();
        let workshop = Arc::new(FolderWorkshop { folder, data: settings.data.clone(), kept: Mutex::new(kept) });
        let mut changes = watched.watch()?;
        let mut shell = WorkerShell::start(WorkerSetup { config, workshop: Arc::clone(&workshop), dialer, log_lines: console_log::tee() });
        if compiled.is_err() {
            shell.tell_scripts(compiled).await;
        }
        let _health = match settings.health_bind() {
            Some(address) => Some(HealthServer::start(address, shell.readings()).await.map_err(Failure::bad_use)?),
            None => None,
        };
        let mut signals = Signals::new()?;
        let end = loop {
            let leave = tokio::select! {
                end = shell.end() => break end,
                () = signals.next() => shell.leave(),
                Some(change) = changes.recv() => {
                    if !change.is_same {
                        shell.tell_scripts(on_change(&workshop, change.compiled)).await;
                    }
                    continue;
                }
            };
            log::info!(target: MAIN, "leaving: users finish what they do, and the numbers are handed in; once more ends it at once");
            leave.await;
        };
        match end {
            Some(WorkerEnd::Whole) => Ok(0),
            Some(WorkerEnd::NumbersLost) => Ok(ExitCode::ClusterLost.code()),
            None => Err(Failure::bug(anyhow::anyhow!("the worker has ended without a word"))),
        }
    })
}

/// What became of a change of the folder, for the log and for the master.
fn on_change(workshop: &FolderWorkshop, compiled: Compiled) -> Result<(String, String), String> {
    let told = identity(&compiled);
    match &told {
        Ok((script, _)) if script.is_empty() => {}
        Ok((script, fingerprint)) => {
            log::info!("the scripts have changed: the next run uses {script} as of {}", short_fingerprint(fingerprint))
        }
        Err(why) if workshop.kept().is_empty() => log::error!("the scripts have changed and still cannot be used: {why}"),
        Err(why) => log::error!("the scripts have changed and cannot be used, those from before stay: {why}"),
    }
    if let Ok(Some(host)) = compiled {
        workshop.keep(host);
    }
    told
}

fn random_incarnation() -> Result<u128, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|why| Failure::bug(anyhow::anyhow!("the system gives no random bytes: {why}")))?;
    Ok(u128::from_ne_bytes(bytes))
}

/// Takes scripts from this machine's folder, and from memory what lay there before.
struct FolderWorkshop {
    folder: ScriptFolder,
    /// Of `--data`.
    data: Option<PathBuf>,
    /// The scripts that compiled last, the newest first. The master may be behind: a kubelet brings a change to one machine after the other.
    kept: Mutex<VecDeque<Arc<Host>>>,
}

impl FolderWorkshop {
    fn keep(&self, host: Arc<Host>) {
        let mut kept = self.kept();
        kept.push_front(host);
        kept.truncate(KEPT_SCRIPTS);
    }

    /// A kept script that is the plan's; the newest of that name where nothing is compared.
    fn kept_for(&self, plan: &Plan) -> Option<Arc<Host>> {
        let is_meant = |host: &&Arc<Host>| {
            host.bundle().main() == plan.script && (plan.fingerprint.is_empty() || host.description().fingerprint == plan.fingerprint)
        };
        self.kept().iter().find(is_meant).cloned()
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Arc<Host>>> {
        // It is whole at each moment, whoever panicked.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The plan's script: as it lies in the folder, or lay there before.
    fn host_for(&self, plan: &Plan) -> Result<Arc<Host>, OpenRefusal> {
        let refusal = match self.load(plan) {
            Ok(host) => return Ok(Arc::new(host)),
            Err(refusal) => refusal,
        };
        let Some(kept) = self.kept_for(plan) else { return Err(refusal) };
        let fingerprint = short_fingerprint(&kept.description().fingerprint);
        log::info!("run {} uses `{}` as of {fingerprint}, which lay in the folder before: {}", plan.run, plan.script, refusal.text);
        Ok(kept)
    }

    fn load(&self, plan: &Plan) -> Result<Host, OpenRefusal> {
        let options = LoadOptions { tags: plan.tags.clone(), env: plan.env.clone(), data: self.data.clone() };
        let host = self.folder.load(Some(&plan.script), &options).map_err(|why| {
            // It compiled on the master: what lies here is something else, or is on its way. With nothing to compare it may be at fault itself.
            let is_missing = matches!(why, LoadScriptError::NoSuchScript { .. } | LoadScriptError::NoScripts { .. });
            OpenRefusal { text: why.to_string(), differs: (is_missing || !plan.fingerprint.is_empty()).then(String::new) }
        })?;
        let own = &host.description().fingerprint;
        if !plan.fingerprint.is_empty() && *own != plan.fingerprint {
            let text = format!("its `{}` is not the master's, or something that it requires is not", plan.script);
            return Err(OpenRefusal { text, differs: Some(own.clone()) });
        }
        Ok(host)
    }
}

impl Workshop for FolderWorkshop {
    type Workload = ScriptWorkload;

    fn renewal(&self, plan: &Plan, before: &ScriptWorkload) -> Result<Arc<ScriptWorkload>, OpenRefusal> {
        let host = self.host_for(plan)?;
        log::info!("run {} takes `{}` over as of {}", plan.run, plan.script, short_fingerprint(&host.description().fingerprint));
        Ok(Arc::new(host.renewal(before)))
    }

    fn workload(&self, plan: &Plan) -> Result<Arc<ScriptWorkload>, OpenRefusal> {
        if let Some(builtin) = plan.host.as_deref().filter(|host| host.starts_with("builtin:")) {
            let text = format!("`{builtin}` is for `lunamoth run` and `check`; name a host that workers reach with -H");
            return Err(OpenRefusal { text, differs: None });
        }
        Ok(Arc::new(self.host_for(plan)?.workload()))
    }
}

/// Versions of the script that a worker keeps in memory: what compiled last, and what was there before.
const KEPT_SCRIPTS: usize = 2;
