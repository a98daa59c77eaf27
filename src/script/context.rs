//! What natives of one VM can reach: the lane's recorder and plan, the user that runs now, and whether a run is on at all.
//!
//! Owned by the VM, shared with its natives by `Rc`. Not the place of any behaviour.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use crate::load::Halt;
use crate::plan::Plan;
use crate::stats::recorder::Recorder;

/// One VM's surroundings.
#[derive(Debug)]
pub struct VmContext {
    /// Loading or running; decides what may be called.
    pub stage: Cell<Stage>,
    /// The lane; `None` on the master and in `check`'s first look, where the script is only evaluated.
    pub lane: Option<Rc<LaneState>>,
    /// What `env()` was asked for while loading and what it answered. Filled on the master, read everywhere else.
    pub env: RefCell<BTreeMap<String, String>>,
    /// The user whose coroutine runs now. Set by the driver before each resume, cleared after it.
    pub current: RefCell<Option<Rc<UserState>>>,
    /// Where data files come from, while the script is loaded.
    pub(super) files: RefCell<Option<Rc<super::vm::Sources>>>,
    /// Metrics declared at load, by name.
    pub metrics: RefCell<BTreeMap<String, crate::stats::recorder::MetricKind>>,
}

/// What is going on in a VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The top level is evaluated: no request, no sleep, no random number.
    Loading,
    /// Users run.
    Running,
}

/// What all VMs of one lane share.
#[derive(Debug)]
pub struct LaneState {
    /// The run.
    pub plan: Arc<Plan>,
    /// Where samples go.
    pub recorder: Rc<RefCell<Recorder>>,
    /// Time zero of the run's clock; the lane sets it when the run begins.
    pub zero: Cell<Instant>,
    /// `require "shared"`: one store for the whole worker.
    pub shared: Arc<super::bindings::shared::SharedStore>,
    /// `require "data"`: rows that users take once in the whole cluster.
    pub stock: Arc<crate::load::stock::Stock>,
    /// What the script cannot run without and the plan does not have, such as a host; see `LaneWorkload::halt`.
    pub halt: RefCell<Option<Halt>>,
    /// Whether it was said that a user held the lane.
    pub told_of_holding: Cell<bool>,
    /// Sees all that users do, in `check`.
    pub witness: Option<Rc<super::witness::Witness>>,
    /// `require "http"`: what the lane's users share.
    pub http: super::bindings::http::LaneHttp,
}

/// One user, as natives see it.
#[derive(Debug)]
pub struct UserState {
    /// The global index, 0-based.
    pub index: u64,
    /// The user's seeded generator; seeded anew at each iteration from (run seed, index, iteration).
    pub random: RefCell<super::bindings::random::Generator>,
    /// The lane that the user lives in.
    pub lane: Rc<LaneState>,
    /// Connections, cookies, defaults, pending samples.
    pub http: super::bindings::http::UserHttp,
    /// Keys of `shared` that the user is filling; others may when the user is dropped.
    pub leases: super::bindings::shared::Leases,
    /// How the lane tells the user to finish; sleeps listen to it.
    pub control: Rc<crate::load::UserControl>,
    /// The base URL of the user's class, where it has one of its own.
    pub class_host: Option<Rc<str>>,
    /// The script called `self:stop()`.
    pub is_stopping: Cell<bool>,
}
