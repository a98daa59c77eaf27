//! All messages between the master and its workers, in one place.
//!
//! Owns their shape and meaning. Who sends which one when is told by the tables of `master` and `worker`; their bytes are `codec`'s.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::load::Halt;
use crate::load::act::Acted;
use crate::load::errand::{BoardWord, Errand};
use crate::load::slots::{Orders, SlotSet};
use crate::load::stock::{Ask, Grant, IterationsBegun, Leftover};
use crate::load::vitals::Vitals;
use crate::plan::{Act, LoadProfile, Plan, RunId};
use crate::stats::floor::Floor;
use crate::stats::tally::Tally;

/// From the master to a worker.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "`run` is the run that a message is about; a worker ignores what is about another than its own")]
pub enum ToWorker {
    /// The worker is in. The answer to `Hello`, and the first message on a link.
    Welcome(Welcome),
    /// The worker is not wanted, in words for people; the master closes the link.
    Refuse(String),
    /// Make ready for this run: compile its script, open the lanes. May come again for the same run, when scripts have to agree first; and in
    /// mid-run with a higher revision, when the running test takes changed scripts over.
    Prepare(Arc<Plan>),
    /// What to run from here on. Only the highest generation counts; it comes again on each new link.
    Orders(RunOrders),
    /// The answer to a `Beat` or a `Delta`.
    Answer(Answer),
    /// The run is none of this master's: drop its users at once, forget its numbers.
    Abandon(RunId),
    /// The worker's goodbye is kept: it may go. Without a goodbye: the master has ended, and none shall wait for a run of its.
    Farewell,
    /// The answer to an `Ask`; once the journal has it, where there is one.
    Grant {
        run: RunId,
        /// What the worker gets.
        grant: Grant,
    },
    /// The answer to an `Errand`, once the journal has it, where there is one; or something that its users wait for.
    Board { run: RunId, word: BoardWord },
    /// Do this once for the whole run. May come again on another link.
    Act { run: RunId, act: Act },
    /// What the run's setup returned, for all users; before the first orders. A plan that is asked for later has it.
    Data {
        run: RunId,
        /// As JSON, as `setup` returned it.
        data: String,
    },
}

/// From a worker to the master.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "`run` is the run that a message is about; a master ignores what is about another than its own")]
pub enum ToMaster {
    /// The first message on a link.
    Hello(Box<Hello>),
    /// The lanes are open for this run.
    Prepared {
        run: RunId,
        /// The revision of its plan that they run, or take over at their users' next iterations.
        revision: u32,
    },
    /// The worker cannot take part in this run.
    Refused(Refusal),
    /// What was counted since the last delta.
    Delta {
        /// The worker's clock when it sent this.
        sent: Duration,
        /// Kept until it is acknowledged.
        delta: Arc<Delta>,
    },
    /// Nothing was counted, and the worker is there.
    Beat {
        /// The worker's clock when it sent this.
        sent: Duration,
    },
    /// A piece of all that the worker has ever counted in the run; the master stages it.
    TotalPart {
        run: RunId,
        /// Of the pieces of this total, from 0.
        number: u32,
        /// The pieces add up to the total.
        tally: Box<Tally>,
    },
    /// The total is whole: it replaces whatever the master holds of this worker and stands for all deltas up to `sequence`.
    TotalEnd {
        run: RunId,
        /// Numbers of earlier epochs are not in it.
        epoch: u32,
        /// How many parts came before.
        parts: u32,
        /// The last delta that is in the total.
        sequence: u64,
    },
    /// What one threshold looks at of all deltas up to `sequence`, as far as windows may still need it: to a master that has asked for it in its
    /// `Welcome`, before all else that it is told of the run. The master stages it.
    WindowParts(WindowParts),
    /// The worker is told to end: its users finish, and it takes no new ones.
    Leaving,
    /// The last message of a worker that ends in order: all its numbers have been sent.
    Goodbye,
    /// What the worker has logged since the last time.
    Log(Vec<LogLine>),
    /// The worker's folder of scripts has changed, or has come to differ from what its `Hello` said.
    Scripts(Scripts),
    /// The worker wants rows. Asked again each second until it is answered.
    Ask { run: RunId, ask: Ask },
    /// Rows that a worker was given and did not take; said before its goodbye. Of iterations when no user is left that would take them, and again on
    /// each link.
    Leftover { run: RunId, leftover: Leftover },
    /// What the worker's users ask of the board. Said again each second, and on each new link, until it is answered.
    Errand { run: RunId, errand: Arc<Errand> },
    /// The answer to an `Act`.
    Acted { run: RunId, act: Act, acted: Arc<Acted> },
}

/// Some seconds of what one threshold looks at.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowParts {
    /// The run that was counted.
    pub run: RunId,
    /// The statistics' epoch in which it was counted.
    pub epoch: u32,
    /// Of the last delta that is in it.
    pub sequence: u64,
    /// The place of the threshold among the plan's.
    pub place: u32,
    /// By second of the run's clock, oldest first.
    pub tallies: Vec<Tally>,
    /// No more of it follows, of this threshold or another one.
    pub is_last: bool,
}

/// The script that a process would run unless told otherwise, as its folder stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scripts {
    /// The file name of the last one that compiled; empty where the folder leaves open which one is meant.
    pub script: String,
    /// The fingerprint of its bundle.
    pub fingerprint: String,
    /// Why what lies in the folder does not compile.
    pub error: Option<String>,
}

/// One process of a worker: the name of its machine, and a number that no other process has.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct WorkerId {
    /// For people: nothing depends on it.
    pub host: String,
    /// Drawn at the start of the process.
    pub incarnation: u128,
}

impl fmt::Display for WorkerId {
    /// `HOST_32HEX`, as Locust names its clients.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{:032x}", self.host, self.incarnation)
    }
}

/// Who a worker is and what it has.
#[derive(Debug, Clone, PartialEq)]
pub struct Hello {
    /// Says whether it was here before: a new process has a new one.
    pub worker: WorkerId,
    /// The program's version, for people.
    pub version: String,
    /// How many lanes it will open.
    pub lanes: u32,
    /// What a request takes of it; `None` where it was not measured.
    pub floor: Option<Floor>,
    /// The script that it will run unless told otherwise.
    pub script: String,
    /// The fingerprint of that script's bundle.
    pub fingerprint: String,
    /// Why what lies in its folder does not compile, so that it has no script, or keeps one that lies there no more.
    pub script_error: Option<String>,
    /// It has been told to end: it brings numbers, and takes no users.
    pub is_leaving: bool,
    /// Its name until it dropped the numbers of a run for which no master had come; `None` once a master has welcomed it since.
    pub formerly: Option<WorkerId>,
    /// The run that it is in the middle of, or whose numbers it still has.
    pub standing: Option<Box<RunStanding>>,
}

/// A run, as a worker knows it: enough for a new master to take it over.
#[derive(Debug, Clone, PartialEq)]
pub struct RunStanding {
    /// As the worker has it, with what was changed in mid-run.
    pub plan: Arc<Plan>,
    /// The highest epoch that the worker has heard of.
    pub epoch: u32,
    /// The orders that it follows; `None` before the first.
    pub orders: Option<Followed>,
    /// By the run's clock, as the worker reckons it.
    pub elapsed: Duration,
    /// The master's wall clock at the run's start.
    pub wall: SystemTime,
    /// The highest sequence number that any master has acknowledged.
    pub acknowledged: u64,
    /// The run is over in this worker.
    pub is_finished: bool,
}

/// The orders that a worker follows.
#[derive(Debug, Clone, PartialEq)]
pub struct Followed {
    /// Of the newest orders that it has.
    pub generation: u64,
    /// What the run is doing, by them.
    pub phase: Phase,
    /// The worker has ended its users by itself, whatever the orders say: it was told to end, or has waited for a master for too long.
    pub has_stopped: bool,
    /// How many users the cluster wants.
    pub profile: Arc<LoadProfile>,
    /// The worker's own slots.
    pub slots: Arc<SlotSet>,
    /// The run is paused.
    pub is_paused: bool,
}

/// The master's answer to a `Hello`.
#[derive(Debug, Clone, PartialEq)]
pub struct Welcome {
    /// The master's clock when it sent this: counts from its own start.
    pub clock: Duration,
    /// The highest sequence number that the master holds of this worker in the run that it stands in; `None` if it holds nothing.
    pub held: Option<u64>,
    /// It wants to know what thresholds with windows look at of what other masters were told.
    pub wants_windows: bool,
    /// What to do without a master.
    pub orphan: OrphanRules,
}

/// What a worker does that has lost its master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrphanRules {
    /// How long it goes on making load; then it stops, and keeps its numbers for as long again.
    pub timeout: Duration,
    /// It begins no iteration meanwhile.
    pub pauses: bool,
}

impl Default for OrphanRules {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(60), pauses: false }
    }
}

/// The orders of one worker.
#[derive(Debug, Clone, PartialEq)]
pub struct RunOrders {
    /// Workers ignore orders of a run that they are not prepared for.
    pub run: RunId,
    /// Rises with each reset of the statistics; deltas bear it.
    pub epoch: u32,
    /// Rises with each change.
    pub generation: u64,
    /// What the run is doing.
    pub phase: Phase,
    /// The master's clock at time zero of the run.
    pub zero: Duration,
    /// The master's wall clock at time zero.
    pub wall: SystemTime,
    /// What this worker shall run.
    pub orders: Orders,
}

/// What a run is doing, as far as workers are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Users run, or wait for the run's start.
    Run,
    /// Users finish, within the plan's stop timeout.
    Stop,
    /// Users that still live are dropped.
    Cut,
}

/// The answer to a delta or a beat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The worker's clock, as the message bore it: gives the round trip.
    pub echo: Duration,
    /// By the master's clock, when it answered.
    pub clock: Duration,
    /// Of this run, deltas up to this sequence number are in the table; the worker may forget them.
    pub acknowledged: Option<(RunId, u64)>,
}

/// Why a worker cannot take part in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which it cannot take part in.
    pub run: RunId,
    /// In words for people.
    pub text: String,
    /// Where the worker's script differs from the plan's: its fingerprint. The master may ask again.
    pub differs: Option<String>,
}

/// What a worker counted since its last delta.
#[derive(Debug, Clone, PartialEq)]
pub struct Delta {
    /// In which it was counted; a master ignores numbers of another.
    pub run: RunId,
    /// The statistics' epoch in which it was counted.
    pub epoch: u32,
    /// 1 for the worker's first delta of this run.
    pub sequence: u64,
    /// Of the orders that the worker followed when it sealed the delta; 0 before the first.
    pub generation: u64,
    /// What was counted, one tally for each second of the run's clock that it covers, oldest first.
    pub tallies: Vec<Tally>,
    /// Users alive at its end.
    pub users: u64,
    /// The worker's own vitals at its end.
    pub vitals: Vitals,
    /// No user is alive in this worker and none will ever start again, though nobody stopped the run.
    pub is_exhausted: bool,
    /// The worker's last delta of this run: its lanes are finished.
    pub is_last: bool,
    /// User tasks and lanes that panicked so far: bugs of ours.
    pub panics: u32,
    /// Lanes that did not come to their end in time and were given up: their last numbers are missing.
    pub lanes_lost: u32,
    /// The run's clock from which on the numbers of the first of those are unknown.
    pub lost_since: Option<Duration>,
    /// Iterations that began so far, where a profile says how many there are; no reset of the statistics takes any away.
    pub begun: IterationsBegun,
    /// What the script cannot run without and the plan does not have, such as a host: the run has no use.
    pub halt: Option<Halt>,
}

/// One line of a worker's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When, by the worker's wall clock.
    pub wall: SystemTime,
    /// As its writer graded it.
    pub level: log::Level,
    /// Where in the program.
    pub target: String,
    /// As it was logged; too long a line is cut.
    pub text: String,
}
