//! What a run has at hand while one event is handled: when that is, who is there, and where it puts what the shell shall do.

use std::time::Instant;

use super::action::{Action, send};
use super::config::MasterConfig;
use super::peers::{PeerNumber, Peers};
use crate::cluster::message::ToWorker;

/// The handling of one event. All of it happens at one moment, and its actions are carried out in their order.
pub(super) struct Turn<'a> {
    pub config: &'a MasterConfig,
    pub peers: &'a Peers,
    /// The master's clock counts from here.
    pub origin: Instant,
    pub now: Instant,
    pub out: &'a mut Vec<Action>,
}

impl Turn<'_> {
    /// Sends a message to a worker, if it has a link; if not, it will be told when it comes back.
    pub fn send(&mut self, number: PeerNumber, message: ToWorker) {
        send(self.peers, number, message, self.out);
    }

    pub fn log(&mut self, level: log::Level, text: impl Into<String>) {
        self.out.push(Action::Log(level, text.into()));
    }
}
