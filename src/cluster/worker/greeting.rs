//! What a worker says of itself on each new link.

use std::time::Instant;

use super::Worker;
use super::config::WorkerConfig;
use crate::cluster::message::Hello;

impl Worker {
    pub(super) fn hello(&self, now: Instant) -> Hello {
        let WorkerConfig { id, lanes, floor, script, fingerprint, .. } = self.config.clone();
        Hello {
            worker: id,
            version: env!("CARGO_PKG_VERSION").into(),
            lanes,
            floor,
            script,
            fingerprint,
            script_error: self.script_error.clone().flatten(),
            is_leaving: self.leaving.is_some(),
            formerly: self.formerly.clone(),
            standing: self.run.as_ref().and_then(|run| run.standing(now)),
        }
    }
}
