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
use crate::plan::{Plan, RunId};
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
        let compiled_first = watched.compiled().iter().flatten().cloned();
        let workshop = Arc::new(FolderWorkshop::new(folder, settings.data.clone(), compiled_first));
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
        Err(why) if workshop.kept().compiled.is_empty() => log::error!("the scripts have changed and still cannot be used: {why}"),
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

/// Takes scripts from memory, where they were compiled before, and from this machine's folder.
struct FolderWorkshop {
    folder: ScriptFolder,
    /// Of `--data`.
    data: Option<PathBuf>,
    kept: Mutex<Kept>,
}

/// The scripts that are in memory.
struct Kept {
    /// The scripts that compiled last, the newest first. The master may be behind: a kubelet brings a change to one machine after the other.
    compiled: VecDeque<Arc<Host>>,
    /// The script of the run that was opened last, which may be none of these. Its setup, its users and its teardown have the same one.
    opened: Option<Opened>,
}

struct Opened {
    run: RunId,
    revision: u32,
    host: Arc<Host>,
}

impl Kept {
    /// What the plan's run has at this revision.
    fn opened_for(&self, plan: &Plan) -> Option<Arc<Host>> {
        let opened = self.opened.as_ref().filter(|opened| (opened.run, opened.revision) == (plan.run, plan.revision));
        opened.map(|opened| Arc::clone(&opened.host)).filter(|host| is_meant(host, plan))
    }

    /// A script that compiled before and is the plan's, and how many are newer; the newest of that name where nothing is compared.
    fn compiled_for(&self, plan: &Plan) -> Option<(usize, Arc<Host>)> {
        let mut all = self.compiled.iter().enumerate();
        all.find(|(_, host)| is_meant(host, plan)).map(|(newer, host)| (newer, Arc::clone(host)))
    }
}

/// Whether this is the plan's script. Two of one fingerprint run the same, whatever they were compiled for.
fn is_meant(host: &Host, plan: &Plan) -> bool {
    host.bundle().main() == plan.script && (plan.fingerprint.is_empty() || host.description().fingerprint == plan.fingerprint)
}

impl FolderWorkshop {
    fn new(folder: ScriptFolder, data: Option<PathBuf>, compiled: impl Iterator<Item = Arc<Host>>) -> Self {
        Self { folder, data, kept: Mutex::new(Kept { compiled: compiled.collect(), opened: None }) }
    }

    fn keep(&self, host: Arc<Host>) {
        let mut kept = self.kept();
        kept.compiled.push_front(host);
        kept.compiled.truncate(KEPT_SCRIPTS);
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // It is whole at each moment, whoever panicked.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The plan's script. A run has it once, at each revision: what was compiled for its setup is what its users run.
    fn host_for(&self, plan: &Plan) -> Result<Arc<Host>, OpenRefusal> {
        let opened = self.kept().opened_for(plan);
        if let Some(host) = opened {
            return Ok(host);
        }
        // Rows of a run that is over make room for those of this one.
        let over = self.kept().opened.take_if(|opened| opened.run != plan.run);
        drop(over);
        let host = self.find(plan)?;
        self.kept().opened = Some(Opened { run: plan.run, revision: plan.revision, host: Arc::clone(&host) });
        Ok(host)
    }

    /// The plan's script: as it was compiled when it came; else as it lies in the folder, or lay there before.
    fn find(&self, plan: &Plan) -> Result<Arc<Host>, OpenRefusal> {
        let fingerprint = |host: &Host| short_fingerprint(&host.description().fingerprint).to_owned();
        // Where nothing is compared it may have been compiled with other values of `--set` and other tags, and so have read other files.
        let compiled = self.kept().compiled_for(plan).filter(|_| !plan.fingerprint.is_empty());
        if let Some((newer, host)) = compiled {
            if newer > 0 {
                log::info!("run {} uses `{}` as of {}, which lay in the folder before", plan.run, plan.script, fingerprint(&host));
            }
            return Ok(host);
        }
        let refusal = match self.load(plan) {
            Ok(host) => return Ok(Arc::new(host)),
            Err(refusal) => refusal,
        };
        let compiled = self.kept().compiled_for(plan);
        let Some((_, host)) = compiled else { return Err(refusal) };
        let (run, script, text) = (plan.run, &plan.script, &refusal.text);
        log::info!("run {run} uses `{script}` as of {}, which lay in the folder before: {text}", fingerprint(&host));
        Ok(host)
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::plan::LoadProfile;

    /// A script that is told from others by its number.
    fn version(number: u32) -> String {
        format!("local version = {number} return function() end")
    }

    /// A folder with this script, and what it compiled to.
    fn mounted(name: &str) -> (tempfile::TempDir, ScriptFolder, Arc<Host>) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(name), version(1)).unwrap();
        let folder = ScriptFolder::open(dir.path(), None).unwrap();
        let host = Arc::new(folder.load(Some(name), &LoadOptions::default()).unwrap());
        (dir, folder, host)
    }

    fn plan(host: &Host) -> Plan {
        let (script, fingerprint) = (host.bundle().main().to_owned(), host.description().fingerprint.clone());
        Plan { script, fingerprint, ..Plan::for_tests(LoadProfile::plain(1, 1.0, None)) }
    }

    #[test]
    fn what_was_compiled_when_it_came_is_what_a_run_opens_without_another_look_at_the_folder() {
        let (dir, folder, first) = mounted("main.lua");
        let workshop = FolderWorkshop::new(folder.clone(), None, std::iter::once(Arc::clone(&first)));
        assert!(Arc::ptr_eq(&workshop.host_for(&plan(&first)).unwrap(), &first));
        // A worker that is ahead of its master still has what that has.
        fs::write(dir.path().join("main.lua"), version(2)).unwrap();
        let second = Arc::new(folder.load(None, &LoadOptions::default()).unwrap());
        workshop.keep(Arc::clone(&second));
        drop(dir);
        let next = |host: &Host, run| Plan { run: RunId(run), ..plan(host) };
        assert!(Arc::ptr_eq(&workshop.host_for(&next(&second, 8)).unwrap(), &second));
        assert!(Arc::ptr_eq(&workshop.host_for(&next(&first, 9)).unwrap(), &first));
        let unknown = Plan { fingerprint: "0123".into(), ..next(&first, 10) };
        assert!(workshop.host_for(&unknown).is_err());
    }

    #[test]
    fn setup_users_and_teardown_of_a_run_have_one_script_whatever_comes_into_the_folder_between_them() {
        let (dir, folder, shop) = mounted("shop.lua");
        // No script of those that were compiled when they came: the start has named it.
        let workshop = FolderWorkshop::new(folder, None, std::iter::empty());
        for (run, fingerprint) in [(1, shop.description().fingerprint.clone()), (2, String::new())] {
            fs::write(dir.path().join("shop.lua"), version(1)).unwrap();
            let plan = Plan { run: RunId(run), fingerprint, ..plan(&shop) };
            let setup = workshop.host_for(&plan).unwrap();
            assert_eq!(setup.bundle(), shop.bundle());
            fs::write(dir.path().join("shop.lua"), version(2)).unwrap();
            for what in ["users", "teardown"] {
                assert!(Arc::ptr_eq(&workshop.host_for(&plan).unwrap(), &setup), "{what}");
            }
            // The next revision is another script, and so is the next run.
            let revised = Plan { revision: 1, fingerprint: String::new(), ..plan };
            assert_ne!(workshop.host_for(&revised).unwrap().bundle(), shop.bundle());
        }
    }
}
