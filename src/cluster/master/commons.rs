//! What the users of a run have in common, wherever they live: rows that are given out once, and the board. What comes of an errand is
//! `errands`'s.

use super::leases::Leases;
use crate::cluster::message::WorkerId;
use crate::cluster::record::{KeptBoard, KeptLease};
use crate::load::board::Board;

/// All of one run.
#[derive(Debug, Default)]
pub(super) struct Commons {
    pub leases: Leases,
    pub board: Board<WorkerId>,
}

impl Commons {
    /// What was given out and set before this master is known to nobody.
    pub fn forget_all(&mut self) {
        self.leases.is_unknown = true;
        self.board.forget_all();
    }

    /// What the journal says.
    pub fn restore(&mut self, leases: &[KeptLease], board: KeptBoard) {
        self.leases.restore(leases);
        for (key, kept) in board.values {
            self.board.restore_value(key, kept);
        }
        for (worker, reply) in board.replies {
            self.board.restore_reply(worker, reply);
        }
    }
}
