//! The keys that one user is filling, which nobody else fills meanwhile. How a key is filled is `store`'s, and in the whole cluster the courier's.

use std::cell::RefCell;
use std::rc::Rc;

use super::store::Lease;
use crate::load::courier;
use crate::script::lane_state::LaneState;
use crate::script::ledger::Ledger;
use crate::script::library::OfUser;

/// The keys that one user is filling. Dropped with the user, it lets others fill them.
#[derive(Debug, Default)]
pub struct Leases {
    held: RefCell<Vec<Lease>>,
    /// Those for the whole cluster.
    pub(super) of_cluster: RefCell<Vec<courier::Lease>>,
}

impl OfUser for Leases {
    fn new(_lane: &Rc<LaneState>, _ledger: &Rc<Ledger>) -> Self {
        Self::default()
    }

    /// Lets others fill what this user was filling: nobody is left in it who would.
    fn on_interrupt(&self) {
        self.held.borrow_mut().clear();
        self.of_cluster.borrow_mut().clear();
    }
}

impl Leases {
    pub(super) fn hold(&self, lease: Lease) {
        self.held.borrow_mut().push(lease);
    }

    pub(super) fn take(&self, number: u64) -> Option<Lease> {
        let mut held = self.held.borrow_mut();
        let at = held.iter().position(|lease| lease.number() == number)?;
        Some(held.swap_remove(at))
    }
}
