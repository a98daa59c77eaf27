//! Loads a script: reads it and what it requires once, evaluates it once, and makes the workload that lanes open.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use super::bindings::{self, LaneLibraries, WorkerLibraries};
use super::bundle::{Bundle, Reader};
use super::context::{Stage, VmContext};
use super::error::LoadScriptError;
use super::folder_version::steadily;
use super::helm::Helm;
use super::lane_state::LaneState;
use super::scenario::{ClassRuntime, Described, ScenarioDescription};
use super::session::ScriptLane;
use super::sources::Sources;
use super::vm::Vm;
use super::watchdog::{self, Watchdog};
use super::witness::Witness;
use crate::load::courier::Courier;
use crate::load::stock::Stock;
use crate::load::{LaneContext, Workload};
use crate::plan::{ClassPlan, ClientIdentity, TagFilter, TaskPlan};

/// A script that is loaded, from which lanes make their VMs.
#[derive(Debug)]
pub struct Host {
    bundle: Arc<Bundle>,
    description: ScenarioDescription,
}

/// How a script is loaded.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Of `-T` and `-E`; a class that they leave without a task has no users, and a scenario without any is an error.
    pub tags: TagFilter,
    /// Of `--set`: what `env()` answers before it looks at the environment.
    pub env: BTreeMap<String, String>,
    /// Of `--data`: where files of rows are that do not lie beside the script.
    pub data: Option<PathBuf>,
}

impl Host {
    /// Reads the script at `path` and evaluates it once. A script that does not come to an end is stopped.
    ///
    /// # Errors
    /// Whatever a person can do wrong with a script, each with its place.
    pub fn load(path: &Path, options: &LoadOptions) -> Result<Self, LoadScriptError> {
        let folder = folder_of(path)?;
        steadily(&folder, |version| Self::evaluate(Reader::open(version, path)?, options))
    }

    /// Evaluates the script that `reader` has opened, and reads what it requires.
    pub(super) fn evaluate(reader: Reader, options: &LoadOptions) -> Result<Self, LoadScriptError> {
        let reader = reader.with_data_folder(options.data.clone());
        let names: Vec<_> = bindings::LIBRARIES.iter().map(|library| library.0).chain(bindings::LATER.iter().copied()).collect();
        if let Some(path) = reader.shadowed(&names) {
            return Err(LoadScriptError::Shadowed { path });
        }
        let sources = Rc::new(Sources::Disk(RefCell::new(reader)));
        let context = Rc::new(VmContext {
            stage: Cell::new(Stage::Loading),
            lane: None,
            env: RefCell::new(options.env.clone()),
            asked: RefCell::default(),
            client_hosts: RefCell::default(),
            current: RefCell::default(),
            files: RefCell::default(),
            metrics: RefCell::default(),
        });
        let watchdog = Rc::new(Watchdog::start(watchdog::limit()).map_err(LoadScriptError::Engine)?);
        let (vm, described) = Vm::open(&sources, Rc::clone(&context), &options.tags, watchdog)?;
        drop(vm);
        let mut reader = match Rc::try_unwrap(sources) {
            Ok(Sources::Disk(reader)) => reader.into_inner(),
            _ => return Err(LoadScriptError::Engine("the first VM outlived its use".to_owned())),
        };
        let client_identity = client_identity(&mut reader, described.tls.as_ref())?;
        let bundle = Arc::new(reader.into_bundle());
        let description = describe(described, &bundle, &context, client_identity);
        Ok(Self { bundle, description })
    }

    /// What the script describes.
    #[must_use]
    pub fn description(&self) -> &ScenarioDescription {
        &self.description
    }

    /// The script and all that it requires.
    #[must_use]
    pub fn bundle(&self) -> &Arc<Bundle> {
        &self.bundle
    }

    /// The functions that steer the load; `None` where there is none.
    #[must_use]
    pub fn helm(&self, tags: &TagFilter) -> Option<Helm> {
        let description = &self.description;
        (!description.steered.is_empty()).then(|| Helm::new(Arc::clone(&self.bundle), description.env.clone(), tags.clone()))
    }

    /// What lanes open to run the script.
    #[must_use]
    pub fn workload(&self) -> ScriptWorkload {
        ScriptWorkload::of(Arc::clone(&self.bundle))
    }

    /// What lanes take over from `before` in mid-run; what its users share stays theirs.
    #[must_use]
    pub fn renewal(&self, before: &ScriptWorkload) -> ScriptWorkload {
        ScriptWorkload {
            bundle: Arc::clone(&self.bundle),
            worker: Arc::clone(&before.worker),
            stock: Arc::clone(&before.stock),
            courier: Arc::clone(&before.courier),
            data: Arc::clone(&before.data),
        }
    }
}

/// A script, ready to be run by the lanes of one worker. Make one for each run: what its users share is the run's.
#[derive(Debug)]
pub struct ScriptWorkload {
    bundle: Arc<Bundle>,
    worker: Arc<WorkerLibraries>,
    stock: Arc<Stock>,
    courier: Arc<Courier>,
    /// What the run's setup returned, as JSON.
    data: Arc<OnceLock<String>>,
}

impl Workload for ScriptWorkload {
    type Lane = ScriptLane;

    fn open_lane(&self, lane: LaneContext) -> Result<ScriptLane, String> {
        self.open_witnessed(lane, None)
    }

    fn stock(&self) -> Option<Arc<Stock>> {
        Some(Arc::clone(&self.stock))
    }

    fn courier(&self) -> Option<Arc<Courier>> {
        Some(Arc::clone(&self.courier))
    }

    fn give_data(&self, data: &str) {
        // There is one setup a run: what comes again is the same.
        self.data.get_or_init(|| data.to_owned());
    }
}

impl ScriptWorkload {
    /// Of a script whose users have shared nothing yet.
    pub(super) fn of(bundle: Arc<Bundle>) -> Self {
        Self { bundle, worker: Arc::default(), stock: Arc::default(), courier: Arc::default(), data: Arc::default() }
    }

    /// Opens a lane whose users are seen by `witness`.
    pub(super) fn open_witnessed(&self, lane: LaneContext, witness: Option<Rc<Witness>>) -> Result<ScriptLane, String> {
        if let Some(data) = &lane.plan.life.data {
            self.give_data(data);
        }
        let state = LaneState {
            libraries: Box::new(LaneLibraries::open(&lane.plan)?),
            plan: lane.plan,
            recorder: lane.recorder,
            zero: Cell::new(std::time::Instant::now()),
            worker: Arc::<WorkerLibraries>::clone(&self.worker),
            stock: Arc::clone(&self.stock),
            courier: Arc::clone(&self.courier),
            witness,
            halt: RefCell::default(),
            results: Cell::new(0),
            data: Arc::clone(&self.data),
            returned: RefCell::default(),
        };
        ScriptLane::open(Rc::new(state), Arc::clone(&self.bundle))
    }
}

/// The folder of the script at `path`, where its siblings are looked up.
fn folder_of(path: &Path) -> Result<PathBuf, LoadScriptError> {
    let found = fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => LoadScriptError::NotFound { path: path.to_owned() },
        _ => LoadScriptError::Unreadable { path: path.to_owned(), error },
    })?;
    if found.is_dir() {
        return Err(LoadScriptError::Directory { path: path.to_owned() });
    }
    Ok(match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    })
}

fn client_identity(reader: &mut Reader, tls: Option<&(String, String)>) -> Result<Option<ClientIdentity>, LoadScriptError> {
    let Some((cert, key)) = tls else { return Ok(None) };
    let mut text = |name: &str| reader.named_file(name).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Ok(Some(ClientIdentity { cert: text(cert)?, key: text(key)? }))
}

fn describe(described: Described, bundle: &Bundle, context: &VmContext, client_identity: Option<ClientIdentity>) -> ScenarioDescription {
    let tasks = described
        .runtimes
        .iter()
        .map(|class| class.tasks.iter().map(|task| TaskPlan { name: task.name.clone(), weight: task.weight }).collect());
    let host_of = |(class, runtime): (&ClassPlan, &ClassRuntime)| Some((class.name.clone(), runtime.host.as_deref()?.to_owned()));
    let class_hosts = described.plans.iter().zip(&described.runtimes).filter_map(host_of).collect();
    let classes = described.plans.into_iter().zip(tasks).map(|(class, tasks)| ClassPlan { tasks, ..class });
    ScenarioDescription {
        name: bundle.scenario_name().to_owned(),
        host: described.host,
        class_hosts,
        classes: classes.collect(),
        left_out: described.left_out,
        left_out_profiles: described.left_out_profiles,
        profile: described.profile,
        steered: described.steered,
        thresholds: described.thresholds,
        warmup: described.warmup,
        life: described.life,
        env: context.env.borrow().clone(),
        asked: context.asked.borrow().clone(),
        client_hosts: context.client_hosts.borrow().clone(),
        metrics: context.metrics.borrow().clone(),
        hosts: described.hosts,
        client_identity,
        connections: described.connections,
        fingerprint: bundle.fingerprint(),
    }
}
