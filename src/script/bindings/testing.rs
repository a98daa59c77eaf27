//! For the tests of this folder: the surroundings of a VM outside of any lane.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::script::context::{Stage, VmContext};

/// A VM's context as on the master: no lane, no user.
pub fn context_at(stage: Stage) -> Rc<VmContext> {
    Rc::new(VmContext {
        stage: Cell::new(stage),
        lane: None,
        env: RefCell::new(BTreeMap::new()),
        current: RefCell::new(None),
        metrics: RefCell::new(BTreeMap::new()),
    })
}
