//! What a master asks of its shell, how a run begins and ends, and the way of a message to a worker.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::peers::{PeerNumber, Peers};
use crate::cluster::link::LinkId;
use crate::cluster::message::{LogLine, ToWorker, WorkerId};
use crate::cluster::record::Record;
use crate::plan::Plan;
use crate::stats::threshold::Threshold;

/// What the shell shall do.
#[derive(Debug)]
pub enum Action {
    /// Sent on that link, behind what was sent there before.
    Send(LinkId, ToWorker),
    /// Close this link, once what was sent before is on its way; `on_link_gone` need not follow.
    CloseLink(LinkId),
    /// Write this to the journal and sync it; then call [`Master::on_kept`](super::Master::on_kept) with the number.
    Keep(u64, Record),
    /// Write this to the log.
    Log(log::Level, String),
    /// Write this line of a worker's to the log.
    Relay(WorkerId, LogLine),
    /// The run is over.
    Finish(RunEnd),
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEnd {
    /// Every worker's last numbers are in the table.
    pub is_complete: bool,
    /// Why the run could not be started, or not be finished.
    pub failure: Option<RunFailure>,
    /// User tasks and lanes that panicked: bugs of ours.
    pub panics: u32,
}

/// Why a run came to no proper end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFailure {
    /// Whose part it is.
    pub cause: FailureCause,
    /// What people are told of it.
    pub text: String,
}

/// Whose part a failed run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureCause {
    /// The person's who wrote the script or the settings.
    BadUse,
    /// A machine's or the network's: numbers are missing.
    Lost,
}

/// What starts a run.
#[derive(Debug, Clone)]
pub struct RunStart {
    /// The run, as workers will have it.
    pub plan: Arc<Plan>,
    /// The plan's thresholds, parsed.
    pub thresholds: Vec<Threshold>,
    /// The wall clock, for people and files.
    pub wall: SystemTime,
}

impl RunFailure {
    pub(super) fn lost(text: impl Into<String>) -> Self {
        Self { cause: FailureCause::Lost, text: text.into() }
    }

    pub(super) fn bad_use(text: impl Into<String>) -> Self {
        Self { cause: FailureCause::BadUse, text: text.into() }
    }
}

/// A moment on the clock of the master whose process began at `origin`. A run that was adopted began before that, so that the clock does
/// not begin at zero.
pub(super) fn clock_at(origin: Instant, moment: Instant) -> Duration {
    let since = moment.saturating_duration_since(origin);
    (CLOCK_AT_ORIGIN + since).saturating_sub(origin.saturating_duration_since(moment))
}

/// Sends a message to a worker, if it has a link; if not, it will be told when it comes back.
pub(super) fn send(peers: &Peers, number: PeerNumber, message: ToWorker, out: &mut Vec<Action>) {
    if let Some(link) = peers.get(number).link {
        out.push(Action::Send(link, message));
    }
}

/// No run is older than a year.
const CLOCK_AT_ORIGIN: Duration = Duration::from_secs(366 * 86_400);
