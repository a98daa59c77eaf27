//! Runs scripts in tests: a source, some users, some iterations, all on one thread.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use super::{Host, LoadOptions, LoadScriptError, ScriptLane, ScriptUser};
use crate::load::{LaneContext, LaneWorkload, Step, UserControl, UserStart, VirtualUser, Workload};
use crate::plan::{HttpPlan, LoadProfile, Plan, RunId, RunSettings, TagFilter};
use crate::stats::recorder::{Limits, Recorder};

/// A script in a folder of its own.
pub(crate) struct Script {
    folder: tempfile::TempDir,
    /// Changes the plan before the lane opens.
    pub(crate) tags: TagFilter,
    pub(crate) seed: u64,
    pub(crate) host: Option<String>,
    pub(crate) body_limit: u64,
}

impl Script {
    /// A script called `test.lua`.
    pub(crate) fn new(source: &str) -> Self {
        let script = Self { folder: tempfile::tempdir().unwrap(), tags: TagFilter::default(), seed: 1, host: None, body_limit: 64 << 20 };
        script.with_file("test.lua", source)
    }

    /// A further file beside it.
    pub(crate) fn with_file(self, name: &str, content: &str) -> Self {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Loads it, as the master does.
    pub(crate) fn load(&self) -> Result<Host, LoadScriptError> {
        Host::load(&self.folder.path().join("test.lua"), &LoadOptions { tags: self.tags.clone(), ..LoadOptions::default() })
    }

    /// Why it does not load.
    pub(crate) fn refused(&self) -> String {
        match self.load() {
            Ok(_) => panic!("the script was accepted"),
            Err(error) => error.to_string(),
        }
    }

    /// Loads it and opens a lane.
    pub(crate) fn lane(&self) -> TestLane {
        let host = self.load().unwrap_or_else(|error| panic!("the script was refused: {error}"));
        let plan = Arc::new(self.plan(&host));
        let recorder = Rc::new(RefCell::new(Recorder::new(Limits { names: plan.settings.names })));
        let context = LaneContext { plan, lane: 0, recorder: Rc::clone(&recorder) };
        let lane = host.workload().open_lane(context).unwrap_or_else(|error| panic!("the lane did not open: {error}"));
        TestLane { host, lane, recorder }
    }

    /// What the master would plan of it.
    pub(crate) fn plan(&self, host: &Host) -> Plan {
        let description = host.description();
        Plan {
            script: "test.lua".into(),
            fingerprint: String::new(),
            metrics: Vec::new(),
            run: RunId(1),
            revision: 0,
            seed: self.seed,
            scenario: description.name.clone(),
            host: self.host.clone().or_else(|| description.host.clone()),
            other_host: None,
            classes: description.classes.clone(),
            profile: description.profile.clone().unwrap_or_else(|| LoadProfile::plain(1, 1.0, None)),
            thresholds: description.thresholds.clone(),
            tags: self.tags.clone(),
            env: description.env.clone(),
            settings: RunSettings { body_limit: self.body_limit, ..RunSettings::default() },
            http: HttpPlan { hosts: description.hosts.clone(), connections: description.connections, ..HttpPlan::default() },
            life: description.life.clone(),
        }
    }
}

/// A lane that runs a [`Script`].
pub(crate) struct TestLane {
    pub(crate) host: Host,
    pub(crate) lane: ScriptLane,
    pub(crate) recorder: Rc<RefCell<Recorder>>,
}

impl TestLane {
    /// A user of the first class.
    pub(crate) fn user(&self, index: u64) -> (ScriptUser, Rc<UserControl>) {
        self.user_of(0, index)
    }

    /// A user of the class at `class`.
    pub(crate) fn user_of(&self, class: usize, index: u64) -> (ScriptUser, Rc<UserControl>) {
        let control = Rc::new(UserControl::default());
        let start = UserStart { index, class, iterations_done: 0, side: None, control: Rc::clone(&control) };
        (self.lane.new_user(start).unwrap(), control)
    }

    /// One user of the first class: `on_start`, so many iterations, `on_stop`; the steps in that order.
    pub(crate) fn live(&self, index: u64, iterations: usize) -> Vec<Step> {
        block_on(async {
            let (mut user, _control) = self.user(index);
            let mut steps = vec![user.on_start().await];
            for _ in 0..iterations {
                steps.push(user.iterate().await);
            }
            steps.push(user.on_stop().await);
            steps
        })
    }
}

/// Runs a future on a thread of its own runtime, with its clock paused: sleeps take no time.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, future)
}

impl TestLane {
    /// All that was counted since the last call.
    pub(crate) fn tally(&self) -> crate::stats::tally::Tally {
        self.recorder.borrow_mut().take(0)
    }

    /// What scripts raised, with the traceback of the first.
    pub(crate) fn exceptions(&self) -> Vec<(String, String)> {
        let mut all: Vec<_> =
            self.tally().exceptions.iter().map(|(message, counts)| (message.to_string(), counts.traceback.to_string())).collect();
        all.sort();
        all
    }
}
