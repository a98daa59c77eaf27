//! What natives of one VM can reach: the lane's recorder and plan, the user that runs now, and whether a run is on at all.
//!
//! Owned by the VM, shared with its natives by `Rc`. Not the place of any behaviour.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::lane_state::LaneState;
use super::type_map::TypeMap;

/// What a VM's natives find of their surroundings.
#[derive(Debug)]
pub struct VmContext {
    /// Loading or running; decides what may be called.
    pub stage: Cell<Stage>,
    /// The lane; `None` on the master and in `check`'s first look, where the script is only evaluated.
    pub lane: Option<Rc<LaneState>>,
    /// What `env()` was asked for while loading and what it answered. Filled on the master, read everywhere else.
    pub env: RefCell<BTreeMap<String, String>>,
    /// The names that `env()` was asked for while loading, whether or not it had an answer. Written by `env`, read by it and on the master.
    pub asked: RefCell<BTreeSet<String>>,
    /// The hosts of the clients that were made while loading. Written by `http`, read on the master.
    pub client_hosts: RefCell<BTreeSet<String>>,
    /// The user whose coroutine runs now. Set by the driver before each resume, cleared after it.
    pub current: RefCell<Option<Rc<UserState>>>,
    /// Where data files come from, while the script is loaded.
    pub(super) files: RefCell<Option<Rc<super::sources::Sources>>>,
    /// Metrics declared at load, by name.
    pub metrics: RefCell<BTreeMap<String, crate::stats::recorder::MetricKind>>,
}

/// What is going on in a VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The top level is evaluated: no request, no sleep, no random number.
    Loading,
    /// Users, or setup and teardown, run.
    Running,
}

/// One user, as natives see it.
#[derive(Debug)]
pub struct UserState<L: ?Sized = dyn OfLibraries> {
    /// The global index, 0-based.
    pub index: u64,
    /// The user's seeded generator; seeded anew at each iteration from (run seed, index, iteration).
    pub random: RefCell<super::chance::Generator>,
    /// The lane that the user lives in.
    pub lane: Rc<LaneState>,
    /// Samples that are not final yet.
    pub ledger: Rc<super::ledger::Ledger>,
    /// How the lane tells the user to finish; sleeps listen to it.
    pub control: Rc<crate::load::UserControl>,
    /// The base URL of the user's class, where it has one of its own.
    pub class_host: Option<Rc<str>>,
    /// The step that runs is the last one: nothing interrupts its waits.
    pub is_in_on_stop: Cell<bool>,
    /// The script called `self:stop()`.
    pub is_stopping: Cell<bool>,
    /// What the user has of libraries; a library finds its own by `library`. Last, so that it lies here and not behind a pointer of its own.
    pub libraries: L,
}

/// What a user has of all libraries.
pub trait OfLibraries: TypeMap {
    /// The user's step was ended where its coroutine waited, which goes on no more.
    fn on_interrupt(&self);
}

impl UserState {
    /// `setup` or `teardown` runs, which are no user's.
    pub fn is_in_act(&self) -> bool {
        self.index == INDEX_OF_ACTS
    }
}

/// Of what is done once for the whole run: no user has it, and Lua's numbers hold it.
pub(super) const INDEX_OF_ACTS: u64 = 1 << 52;
