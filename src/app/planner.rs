//! How a master makes runs: the script from the folder, read anew and evaluated once for each start, and the settings put to it. A running test takes over
//! what was compiled of a change when it came.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::mpsc;

use super::failure::{Failure, whole_text};
use super::plan::{plan_run, warn_of_kept_hosts};
use super::reload::{Change, Compiled};
use super::steering::{STEERED, Steered};
use crate::cluster::master::RunStart;
use crate::cluster::planner::{LoadView, Planned, Planner, ScriptView};
use crate::config::Settings;
use crate::load::roster;
use crate::load::shape::Shape;
use crate::plan::{StartOrder, shown_host};
use crate::script::{Host, LoadOptions, ScriptFolder};

/// The planner of a cluster's master.
pub(super) struct FolderPlanner {
    settings: Settings,
    folder: ScriptFolder,
    /// The newest change of the folder, which whoever watches that holds as well.
    change: Mutex<Option<Change>>,
    /// Where runs are told of whose load a function steers.
    steered: mpsc::Sender<Steered>,
}

impl FolderPlanner {
    /// A planner, and where runs come from whose load a function steers.
    pub(super) fn new(settings: &Settings, folder: ScriptFolder) -> (Arc<Self>, mpsc::Receiver<Steered>) {
        let (steered, runs) = mpsc::channel(STEERED);
        (Arc::new(Self { settings: settings.clone(), folder, change: Mutex::new(None), steered }), runs)
    }

    /// The folder has changed: a running test that is asked to take the change over takes this.
    pub(super) fn note_change(&self, change: Change) {
        *self.change() = Some(change);
    }

    fn change(&self) -> MutexGuard<'_, Option<Change>> {
        // It is whole at each moment, whoever panicked.
        self.change.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The base URLs that a start over HTTP may name.
    pub(super) fn hosts(&self, compiled: &Compiled) -> Vec<String> {
        let own = match compiled {
            Ok(host) => host.as_ref().and_then(|host| host.description().host.clone()),
            Err(why) => {
                log::warn!("no run can start as the scripts are: {why}");
                None
            }
        };
        self.settings.allow_host.iter().cloned().chain(self.settings.host.clone()).chain(own).collect()
    }

    /// The scripts that a start may name, the default one first.
    pub(super) fn script_names(&self) -> Vec<String> {
        let default = self.folder.default_script().ok();
        let mut names = self.folder.names();
        names.sort_by_key(|name| default.as_ref() != Some(name));
        names
    }

    /// What a start with this script would be.
    fn view(&self, name: &str) -> Result<ScriptView, Failure> {
        let host = self.load(Some(name))?;
        let base = self.settings.host.clone().or_else(|| host.description().host.clone());
        let plan = plan_run(&self.settings, &host, &StartOrder::default(), base)?.plan;
        let shape = Shape::new(&plan.profile);
        let classes = roster::shares(&plan.profile, &plan.classes);
        let load = (!plan.profile.is_open()).then(|| LoadView {
            users: shape.peak(),
            spawn_rate: Some(plan.profile.spawn_rate()).filter(|rate| rate.is_finite()),
            run_time: shape.end(),
            spawn_rate_of_users: self.settings.spawn_rate.unwrap_or(1.0),
            run_time_of_users: self.settings.run_time,
        });
        let host = plan.host.as_deref().map(shown_host);
        Ok(ScriptView { fingerprint: Some(plan.fingerprint), host, classes, load, ..ScriptView::default() })
    }

    fn load(&self, script: Option<&str>) -> Result<Host, Failure> {
        let settings = &self.settings;
        let options = LoadOptions { tags: settings.tag_filter(), env: settings.set.clone(), data: settings.data.clone() };
        self.folder.load(script, &options).map_err(Failure::bad_use)
    }

    fn try_plan(&self, order: &StartOrder) -> Result<Planned, Failure> {
        let host = self.load(order.script.as_deref())?;
        let (planned, steered) = self.plan_of(&host, order)?;
        if let Some(steered) = steered {
            // Of more starts than have room at once the others hold the level at which they begin.
            self.steered.try_send(steered).map_err(|why| Failure::bug(anyhow::anyhow!("nobody steers the run: {why}")))?;
        }
        Ok(planned)
    }

    /// The run keeps its load, and whoever steers that. A script that the change was not compiled for is read as it lies in the folder.
    fn try_revision(&self, order: &StartOrder) -> Result<Planned, Failure> {
        let script = order.script.as_deref();
        let compiled = script.and_then(|script| self.change().as_ref()?.of(script));
        let host = match compiled {
            Some(compiled) => compiled.map_err(|why| Failure::bad_use(anyhow::anyhow!(why)))?,
            None => Arc::new(self.load(script)?),
        };
        Ok(self.plan_of(&host, order)?.0)
    }

    /// The run of this very script, and what steers its load.
    fn plan_of(&self, host: &Host, order: &StartOrder) -> Result<(Planned, Option<Steered>), Failure> {
        let settings = &self.settings;
        for class in &host.description().left_out {
            log::warn!("class `{class}` has no users: -T and -E leave none of its tasks");
        }
        for profile in &host.description().left_out_profiles {
            log::warn!("profile `{profile}` does not run: -T and -E leave no task of its classes");
        }
        let own = settings.host.clone().or_else(|| host.description().host.clone());
        // People are shown the host without its user and password; named as it is shown, it is the same.
        let is_own = order.host.is_none() || order.host == own.as_deref().map(shown_host);
        warn_of_kept_hosts(host, if is_own { settings.host.as_deref() } else { order.host.as_deref() });
        let base = if is_own { own } else { order.host.clone() };
        if let Some(builtin) = base.as_deref().filter(|base| base.starts_with("builtin:")) {
            return Err(Failure::bad_use(anyhow::anyhow!(
                "`{builtin}` is for `lunamoth run` and `check`: it lives inside one process, where workers do not reach it. Start `lunamoth \
                 target --bind 0.0.0.0:8080` on a machine, and name it with -H http://MACHINE:8080"
            )));
        }
        let mut planning = plan_run(settings, host, order, base)?;
        if settings.allow_script_skew {
            // Workers compare nothing where there is nothing to compare with.
            planning.plan.fingerprint.clear();
        }
        let start = RunStart { plan: Arc::new(planning.plan), thresholds: planning.thresholds, wall: SystemTime::now() };
        Ok((Planned { start, words: planning.profile_words }, planning.steered))
    }
}

impl Planner for FolderPlanner {
    fn plan(&self, order: &StartOrder) -> Result<Planned, String> {
        self.try_plan(order).map_err(|failure| whole_text(&failure.reason))
    }

    fn revision(&self, order: &StartOrder) -> Result<Planned, String> {
        self.try_revision(order).map_err(|failure| whole_text(&failure.reason))
    }

    fn scripts(&self) -> Vec<ScriptView> {
        let default = self.folder.default_script().ok();
        let view = |(place, name): (usize, String)| {
            let is_default = default.as_ref() == Some(&name);
            let view = if place < EVALUATED { self.view(&name) } else { Ok(ScriptView::default()) };
            let view = view.unwrap_or_else(|failure| ScriptView { error: Some(whole_text(&failure.reason)), ..ScriptView::default() });
            ScriptView { name, is_default, ..view }
        };
        self.script_names().into_iter().enumerate().map(view).collect()
    }
}

/// Scripts that are evaluated to be shown; of those after them the name is.
const EVALUATED: usize = 100;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::reload::WatchedFolder;
    use super::*;

    const BROKEN: &str = "return function(";

    /// A script that is told from others by its number.
    fn version(number: u32) -> String {
        format!("local version = {number} return function() end")
    }

    fn of(script: &str) -> StartOrder {
        StartOrder { script: Some(script.into()), ..StartOrder::default() }
    }

    fn fingerprint(planned: Result<Planned, String>) -> Result<String, String> {
        planned.map(|planned| planned.start.plan.fingerprint.clone())
    }

    /// The folder holds another thing after a change was compiled, as it may at each moment: what is taken over is what was compiled.
    #[test]
    fn a_running_test_takes_over_what_was_compiled_and_not_what_lies_in_the_folder_by_then() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("main.lua", &version(1));
        let folder = ScriptFolder::open(dir.path(), None).unwrap();
        let (planner, _steered) = FolderPlanner::new(&Settings::default(), folder.clone());
        let watched = WatchedFolder::compile(folder, LoadOptions::default());
        let main = of("main.lua");
        let first = fingerprint(planner.plan(&main)).unwrap();

        write("main.lua", &version(2));
        let second = fingerprint(planner.plan(&main)).unwrap();
        assert_ne!(second, first);
        planner.note_change(watched.read());
        for next in [version(3), BROKEN.to_owned()] {
            write("main.lua", &next);
            assert_eq!(fingerprint(planner.revision(&main)).as_ref(), Ok(&second));
            assert_ne!(fingerprint(planner.plan(&main)).as_ref(), Ok(&second), "a start reads the folder anew");
        }

        // What was judged broken is not taken over because it is whole a moment later.
        planner.note_change(watched.read());
        write("main.lua", &version(4));
        let refused = planner.revision(&main).map(drop).unwrap_err();
        assert!(refused.starts_with("main.lua:1:"), "{refused}");
        // Nobody has compiled the script of a run that named another one.
        write("other.lua", &version(5));
        assert!(planner.revision(&of("other.lua")).is_ok());
        fs::remove_file(dir.path().join("main.lua")).unwrap();
        planner.note_change(watched.read());
        let refused = planner.revision(&main).map(drop).unwrap_err();
        assert!(refused.starts_with("no script `main.lua`"), "{refused}");
    }

    #[test]
    fn a_revision_of_a_steered_run_has_nobody_steer_a_run_that_never_begins() {
        let dir = tempfile::tempdir().unwrap();
        let script = r#"
            local scenario = require "scenario"
            local Shopper = scenario.user { name = "Shopper" }
            Shopper:task("ask", function() end)
            return scenario { users = { Shopper }, load = scenario.shape(function() return { users = 1 } end) }
        "#;
        fs::write(dir.path().join("main.lua"), script).unwrap();
        let (planner, mut steered) = FolderPlanner::new(&Settings::default(), ScriptFolder::open(dir.path(), None).unwrap());
        let run = planner.plan(&of("main.lua")).unwrap().start.plan.run;
        assert_eq!(steered.try_recv().unwrap().run, run);
        planner.revision(&of("main.lua")).unwrap();
        assert!(steered.try_recv().is_err());
    }
}
