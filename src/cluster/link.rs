//! The in-memory link that joins master and worker of a local run: two bounded queues of messages, nothing is copied or encoded.

use tokio::sync::mpsc;

use super::message::{ToMaster, ToWorker};

/// Both ends of a new link.
#[must_use]
pub fn link() -> (MasterEnd, WorkerEnd) {
    let (to_worker, from_master) = mpsc::channel(QUEUE);
    let (to_master, from_worker) = mpsc::channel(QUEUE);
    (MasterEnd { to_worker, from_worker }, WorkerEnd { to_master, from_master })
}

/// The master's end.
#[derive(Debug)]
pub struct MasterEnd {
    /// Full only if the worker has not looked for [`QUEUE`] messages.
    pub to_worker: mpsc::Sender<ToWorker>,
    /// Ends when the worker is gone.
    pub from_worker: mpsc::Receiver<ToMaster>,
}

/// The worker's end.
#[derive(Debug)]
pub struct WorkerEnd {
    /// A delta that finds no room is kept by the worker and sent again.
    pub to_master: mpsc::Sender<ToMaster>,
    /// Ends when the master is gone.
    pub from_master: mpsc::Receiver<ToWorker>,
}

/// Messages that may wait in one direction: some seconds of deltas.
pub const QUEUE: usize = 32;
