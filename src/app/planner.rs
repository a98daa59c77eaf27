//! How a master makes runs: the script from the folder, read anew for each start, and the settings put to it.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::mpsc;

use super::failure::{Failure, whole_text};
use super::plan::plan_run;
use super::reload::Compiled;
use super::steering::{STEERED, Steered};
use crate::cluster::master::RunStart;
use crate::cluster::planner::{LoadView, Planned, Planner, ScriptView};
use crate::config::Settings;
use crate::load::roster;
use crate::load::shape::Shape;
use crate::plan::{StartOrder, shown_host};
use crate::script::{LoadOptions, ScriptFolder};

/// The planner of a cluster's master.
pub(super) struct FolderPlanner {
    settings: Settings,
    folder: ScriptFolder,
    /// Where runs are told of whose load a function steers.
    steered: mpsc::Sender<Steered>,
}

impl FolderPlanner {
    /// A planner, and where runs come from whose load a function steers.
    pub(super) fn new(settings: &Settings, folder: ScriptFolder) -> (Arc<Self>, mpsc::Receiver<Steered>) {
        let (steered, runs) = mpsc::channel(STEERED);
        (Arc::new(Self { settings: settings.clone(), folder, steered }), runs)
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
        let options = LoadOptions { tags: self.settings.tag_filter(), env: self.settings.set.clone(), data: self.settings.data.clone() };
        let host = self.folder.load(Some(name), &options).map_err(Failure::bad_use)?;
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

    fn try_plan(&self, order: &StartOrder) -> Result<Planned, Failure> {
        let settings = &self.settings;
        let options = LoadOptions { tags: settings.tag_filter(), env: settings.set.clone(), data: settings.data.clone() };
        let host = self.folder.load(order.script.as_deref(), &options).map_err(Failure::bad_use)?;
        for class in &host.description().left_out {
            log::warn!("class `{class}` has no users: -T and -E leave none of its tasks");
        }
        for profile in &host.description().left_out_profiles {
            log::warn!("profile `{profile}` does not run: -T and -E leave no task of its classes");
        }
        let own = settings.host.clone().or_else(|| host.description().host.clone());
        // People are shown the host without its user and password; named as it is shown, it is the same.
        let is_own = order.host.is_none() || order.host == own.as_deref().map(shown_host);
        let base = if is_own { own } else { order.host.clone() };
        if let Some(builtin) = base.as_deref().filter(|base| base.starts_with("builtin:")) {
            return Err(Failure::bad_use(anyhow::anyhow!(
                "`{builtin}` is for `lunamoth run` and `check`: it lives inside one process, where workers do not reach it. Start `lunamoth \
                 target --bind 0.0.0.0:8080` on a machine, and name it with -H http://MACHINE:8080"
            )));
        }
        let mut planning = plan_run(settings, &host, order, base)?;
        if settings.allow_script_skew {
            // Workers compare nothing where there is nothing to compare with.
            planning.plan.fingerprint.clear();
        }
        if let Some(steered) = planning.steered {
            // Of more starts than have room at once the others hold the level at which they begin.
            self.steered.try_send(steered).map_err(|why| Failure::bug(anyhow::anyhow!("nobody steers the run: {why}")))?;
        }
        let start = RunStart { plan: Arc::new(planning.plan), thresholds: planning.thresholds, wall: SystemTime::now() };
        Ok(Planned { start, words: planning.profile_words })
    }
}

impl Planner for FolderPlanner {
    fn plan(&self, order: &StartOrder) -> Result<Planned, String> {
        self.try_plan(order).map_err(|failure| whole_text(&failure.reason))
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
