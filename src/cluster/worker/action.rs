//! What a worker asks of its shell, and how it ends.

use std::sync::Arc;
use std::time::Instant;

use crate::cluster::link::LinkId;
use crate::cluster::message::ToMaster;
use crate::load::errand::BoardWord;
use crate::load::slots::Orders;
use crate::load::stock::Grant;
use crate::plan::{Act, Plan};

/// What the shell shall do.
#[derive(Debug)]
pub enum Action {
    /// Dial the master, resolving its name anew; answer with `on_linked` or `on_dial_failed`. At most [`DIALS`](super::DIALS) are under way at once.
    Dial,
    /// Sent on that link, behind what was sent there before.
    Send(LinkId, ToMaster),
    /// Close this link; `on_link_gone` need not follow.
    CloseLink(LinkId),
    /// Compile the plan's script and open the lanes, then call [`Worker::on_opened`](super::Worker::on_opened).
    Open(Arc<Plan>),
    /// Compile this plan's script, the run's in a higher revision, and let the lanes take it over; then call [`Worker::on_renewed`](super::Worker::on_renewed).
    Renew(Arc<Plan>),
    /// Begin the run in the lanes: time zero of its clock.
    Begin(Instant),
    /// Let the lanes follow these orders.
    Follow(Orders),
    /// Tell the lanes to stop.
    Stop,
    /// Tell the lanes to cut.
    Cut,
    /// Do this once for the whole run of this plan, beside the lanes; then call [`Worker::on_acted`](super::Worker::on_acted).
    Act(Arc<Plan>, Act),
    /// Nobody waits for the act any more: cut it short.
    DropAct,
    /// What the setup returned, for all users of the lanes.
    GiveData(String),
    /// Give the lanes these rows.
    Grant(Grant),
    /// Tell the lanes what the board says.
    Board(BoardWord),
    /// Close the lanes: no user of the run lives any more, or none shall.
    CloseLanes,
    /// Write this to the log.
    Log(log::Level, String),
    /// The worker is done.
    Exit(WorkerEnd),
}

/// How a worker ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerEnd {
    /// The master has all its numbers.
    Whole,
    /// Numbers were not collected: no master came for them in time.
    NumbersLost,
}

/// Why lanes did not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRefusal {
    /// What people are told of it.
    pub text: String,
    /// Where the script is not the plan's: its fingerprint.
    pub differs: Option<String>,
}
