//! Watches the folder of scripts on a thread of its own, and compiles what comes beside what is there.
//!
//! When a change counts is `script::Watch`'s. What master and worker make of it is theirs. What is handed on is what was compiled: whoever read the folder
//! once more might find what comes next, half of it perhaps.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;

use super::failure::Failure;
use crate::script::{FolderStamp, Host, LoadOptions, LoadScriptError, ScriptFolder, Watch};

/// The script that runs where a start names none; `None` where the folder leaves open which one that is; or why it does not compile.
pub(super) type Compiled = Result<Option<Arc<Host>>, String>;

/// A folder and what it held when it was compiled last.
pub(super) struct WatchedFolder {
    folder: ScriptFolder,
    options: LoadOptions,
    stamp: FolderStamp,
    compiled: Compiled,
}

impl WatchedFolder {
    /// Compiles what lies in the folder.
    pub(super) fn compile(folder: ScriptFolder, options: LoadOptions) -> Self {
        // First, so that what comes meanwhile is a change.
        let stamp = folder.stamp();
        let compiled = compile(&folder, &options);
        Self { folder, options, stamp, compiled }
    }

    /// What came of it.
    pub(super) const fn compiled(&self) -> &Compiled {
        &self.compiled
    }

    /// Looks at the folder for as long as somebody listens, and tells what comes of each change.
    pub(super) fn watch(self) -> Result<mpsc::Receiver<Change>, Failure> {
        let (sender, changes) = mpsc::channel(1);
        let thread = std::thread::Builder::new().name("scripts".into()).spawn(move || self.look(&sender));
        thread.map_err(|why| Failure::bug(anyhow::anyhow!("cannot start the thread that watches the scripts: {why}")))?;
        Ok(changes)
    }

    /// The folder as it is at this moment, compiled; held against what was compiled before.
    pub(super) fn read(&self) -> Change {
        let compiled = compile(&self.folder, &self.options);
        let script = match &compiled {
            Ok(host) => host.as_ref().map(|host| host.bundle().main().to_owned()),
            Err(_) => self.folder.default_script().ok(),
        };
        Change { is_same: identity(&compiled) == identity(&self.compiled), script, compiled }
    }

    fn look(mut self, changes: &mpsc::Sender<Change>) {
        let mut watch = Watch::new(self.stamp);
        while !changes.is_closed() {
            std::thread::sleep(watch.pause());
            if !watch.on_look(self.folder.stamp(), Instant::now()) {
                continue;
            }
            let change = self.read();
            if !watch.on_loaded(self.folder.stamp(), Instant::now()) {
                continue;
            }
            self.compiled = change.compiled.clone();
            if changes.blocking_send(change).is_err() {
                return;
            }
        }
    }
}

/// A change of the folder that was looked at.
#[derive(Clone)]
pub(super) struct Change {
    /// The script that was compiled, or that does not compile; `None` where it is open which one is meant, or the folder as a whole is at fault.
    script: Option<String>,
    /// What came of it.
    pub(super) compiled: Compiled,
    /// The script that runs where a start names none is the same as before; others may have changed.
    pub(super) is_same: bool,
}

impl Change {
    /// What came of the script called `name`; `None` where the change was compiled for another one.
    pub(super) fn of(&self, name: &str) -> Option<Result<Arc<Host>, String>> {
        let is_meant = self.script.as_deref() == Some(name);
        self.compiled.clone().transpose().filter(|_| is_meant)
    }
}

/// The script's name and its fingerprint, both empty where it is open which one is meant.
pub(super) fn identity(compiled: &Compiled) -> Result<(String, String), String> {
    let named = |host: &Arc<Host>| (host.bundle().main().to_owned(), host.description().fingerprint.clone());
    compiled.as_ref().map(|host| host.as_ref().map(named).unwrap_or_default()).map_err(Clone::clone)
}

fn compile(folder: &ScriptFolder, options: &LoadOptions) -> Compiled {
    match folder.load(None, options) {
        Ok(host) => Ok(Some(Arc::new(host))),
        Err(why @ LoadScriptError::WhichScript { .. }) => {
            log::info!("{why}; each start has to name its script");
            Ok(None)
        }
        Err(why) => Err(why.to_string()),
    }
}
