//! What all VMs of one lane share. Not the place of any behaviour.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::type_map::TypeMap;
use crate::load::Halt;
use crate::plan::Plan;
use crate::stats::recorder::Recorder;

/// What all VMs of one lane share.
#[derive(Debug)]
pub struct LaneState {
    pub plan: Arc<Plan>,
    pub recorder: Rc<RefCell<Recorder>>,
    /// Time zero of the run's clock; the lane sets it when the run begins.
    pub zero: Cell<Instant>,
    /// Rows that users take once in the whole cluster.
    pub stock: Arc<crate::load::stock::Stock>,
    /// The way to what users share across the cluster.
    pub courier: Arc<crate::load::courier::Courier>,
    /// What the script cannot run without and the plan does not have, such as a host; see `LaneWorkload::halt`.
    pub halt: RefCell<Option<Halt>>,
    /// Results that the lane's users have had so far.
    pub results: Cell<u64>,
    /// What the run's setup returned, as JSON; once it has.
    pub data: Arc<std::sync::OnceLock<String>>,
    /// The same, in the lane in which it has just returned.
    pub returned: RefCell<Option<String>>,
    /// Sees all that users do, in `check`.
    pub witness: Option<Rc<super::witness::Witness>>,
    /// What all users of the worker share of libraries; a library finds its own by `of_worker`.
    pub worker: Arc<dyn TypeMap + Send + Sync>,
    /// What the lane's users share of libraries; a library finds its own by `library`.
    pub libraries: Box<dyn TypeMap>,
}
