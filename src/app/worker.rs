//! `lunamoth worker`: makes load for a master on another machine.

use std::sync::Arc;

use super::{Failure, Signals, Start, runtime};
use crate::cluster::message::WorkerId;
use crate::cluster::remote::RemoteDialer;
use crate::cluster::serve_worker::{WorkerSetup, WorkerShell, Workshop};
use crate::cluster::worker::{OpenRefusal, WorkerConfig, WorkerEnd};
use crate::front::console::{ExitCode, log as console_log};
use crate::front::health::HealthServer;
use crate::load::vitals;
use crate::plan::Plan;
use crate::script::{LoadOptions, LoadScriptError, ScriptFolder, ScriptWorkload};

pub(super) fn run_worker(start: &Start) -> Result<u8, Failure> {
    let settings = &start.settings;
    let master = settings.master_address().map_err(Failure::bad_use)?.to_string();
    let folder = settings.scripts_folder().map_err(Failure::bad_use)?;
    let folder = ScriptFolder::open(folder, settings.script.as_deref().and_then(|script| script.to_str())).map_err(Failure::bad_use)?;
    let options = LoadOptions { tags: settings.tag_filter(), env: settings.set.clone() };
    let (script, fingerprint) = compile(&folder, &options)?;
    let identities = start.identities()?;
    let config = WorkerConfig {
        id: WorkerId { host: console_log::host_name(), incarnation: random_incarnation()? },
        lanes: u32::try_from(settings.lanes.unwrap_or_else(vitals::allowed_cores)).unwrap_or(u32::MAX),
        script,
        fingerprint,
        is_once: settings.once,
        keeps_total: true,
    };
    if vitals::raise_descriptor_limit().is_none() {
        log::debug!("the limit of descriptors is not known");
    }
    runtime()?.block_on(async {
        let dialer = Arc::new(RemoteDialer::new(&identities, master.clone()).map_err(Failure::bad_use)?);
        log::info!(target: super::master::MAIN, "Starting Lunamoth {}, worker {} of {master}", env!("CARGO_PKG_VERSION"), config.id);
        let workshop = Arc::new(FolderWorkshop { folder });
        let mut shell = WorkerShell::start(WorkerSetup { config, workshop, dialer, log_lines: console_log::tee() });
        let _health = match settings.health_bind() {
            Some(address) => Some(HealthServer::start(address, shell.readings()).await.map_err(Failure::bad_use)?),
            None => None,
        };
        let mut signals = Signals::new()?;
        let end = loop {
            let leave = tokio::select! {
                end = shell.end() => break end,
                () = signals.next() => shell.leave(),
            };
            log::info!(target: super::master::MAIN, "leaving: users finish what they do, and the numbers are handed in; once more ends it at once");
            leave.await;
        };
        match end {
            Some(WorkerEnd::Whole) => Ok(0),
            Some(WorkerEnd::NumbersLost) => Ok(ExitCode::ClusterLost.code()),
            None => Err(Failure::bug(anyhow::anyhow!("the worker has ended without a word"))),
        }
    })
}

/// The name and the fingerprint of the script that runs where a start names none. Empty where the folder leaves open which one that is.
fn compile(folder: &ScriptFolder, options: &LoadOptions) -> Result<(String, String), Failure> {
    match folder.load(None, options) {
        Ok(host) => Ok((host.bundle().main().to_owned(), host.description().fingerprint.clone())),
        Err(why @ LoadScriptError::WhichScript { .. }) => {
            log::info!("{why}; each start has to name its script");
            Ok((String::new(), String::new()))
        }
        Err(why) => Err(Failure::bad_use(why)),
    }
}

fn random_incarnation() -> Result<u128, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|why| Failure::bug(anyhow::anyhow!("the system gives no random bytes: {why}")))?;
    Ok(u128::from_ne_bytes(bytes))
}

/// Takes scripts from this machine's folder.
struct FolderWorkshop {
    folder: ScriptFolder,
}

impl Workshop for FolderWorkshop {
    type Workload = ScriptWorkload;

    fn workload(&self, plan: &Plan) -> Result<Arc<ScriptWorkload>, OpenRefusal> {
        if let Some(builtin) = plan.host.as_deref().filter(|host| host.starts_with("builtin:")) {
            let text = format!("`{builtin}` is for `lunamoth run` and `check`; name a host that workers reach with -H");
            return Err(OpenRefusal { text, differs: None });
        }
        let options = LoadOptions { tags: plan.tags.clone(), env: plan.env.clone() };
        let host = self.folder.load(Some(&plan.script), &options).map_err(|why| {
            // A file that is not there yet may be on its way.
            let is_missing = matches!(why, LoadScriptError::NoSuchScript { .. } | LoadScriptError::NoScripts { .. });
            OpenRefusal { text: why.to_string(), differs: is_missing.then(String::new) }
        })?;
        let own = &host.description().fingerprint;
        if !plan.fingerprint.is_empty() && *own != plan.fingerprint {
            let text = format!("its `{}` is not the master's, or something that it requires is not", plan.script);
            return Err(OpenRefusal { text, differs: Some(own.clone()) });
        }
        Ok(Arc::new(host.workload()))
    }
}
