//! The snapshot: what people see. One immutable view a second, published by the master and read by every front end.
//!
//! Owns the shape of the view only; `table` and `series` fill it. Times are [`Duration`]s, rates are per second, ratios are 0..=1.
//! Percentiles come from one merged histogram and are the same to the last digit, merged or not.

mod apart;
mod entries;
mod history;
pub(super) mod iterations;
pub(super) mod values;
mod workers;

use std::sync::Arc;
use std::time::Duration;

pub use apart::ActView;
pub use entries::{EntryView, ErrorView, PhaseView};
pub use history::{HistoryPoint, Seen};
pub use iterations::{ArrivalsView, ProfileKind, ProfileView, QuotaView};
pub use values::{MetricValue, MetricView, TrendView};
pub use workers::{HoleView, OverlapView, UnsoundView, WorkerState, WorkerView};

use super::cells::CellsView;
use super::floor::Floor;
use super::tally::ClassCounts;
use super::times::Times;
use crate::plan::RunId;

/// One view of a run.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Which run; zero before the first one.
    pub run: RunId,
    /// As its script names it.
    pub scenario: String,
    /// The script's file name, such as `shop.lua`.
    pub script: String,
    /// The fingerprint of the script's bundle on the master; empty where none is compared.
    pub fingerprint: String,
    /// How often the running test has taken changed scripts over.
    pub revision: u32,
    /// The user classes, in the scenario's order. Empty before the first run.
    pub classes: Vec<ClassShare>,
    /// The host that relative URLs go to.
    pub host: Option<String>,
    /// What the run is doing.
    pub state: RunState,
    /// The run's clock: since the start of the ramp, by the master's monotonic clock.
    pub elapsed: Duration,
    /// The run's planned length, where it has one.
    pub planned: Option<Duration>,
    /// The seed of every random decision in the run; `None` before the first one.
    pub seed: Option<u64>,
    /// The master's wall clock at the run's start, Unix time.
    pub started_at: Option<std::time::SystemTime>,
    /// Users that run now.
    pub users: u64,
    /// Users that the plan wants now.
    pub target_users: u64,
    /// Users that the line of the profile which holds now leads to: `target_users` is on its way there. Zero where no load is made.
    pub goal_users: u64,
    /// Users that start per second; `None` before the first run, and where they all start at once.
    pub spawn_rate: Option<f64>,
    /// All entries together: the row `Total`.
    pub total: EntryView,
    /// The run's clock when the numbers began to be counted: zero, or the last reset; `None` where nobody knows.
    pub counted_since: Option<Duration>,
    /// The time that the sums cover, which mean rates divide by: since the start or the reset, without seconds of which nobody knows;
    /// `None` where that is not known.
    pub covered: Option<Duration>,
    /// The median of the hops of the last 10 seconds; `None` without any.
    pub current_p50: Option<Duration>,
    /// The 95th percentile of the hops of the last 10 seconds; `None` without any.
    pub current_p95: Option<Duration>,
    /// One row for each (method, name), sorted by (name, method).
    pub entries: Vec<EntryView>,
    /// One row for each (method, name, kind, message), most frequent first.
    pub errors: Vec<ErrorView>,
    /// What scripts raised, most frequent first.
    pub exceptions: Vec<ExceptionView>,
    /// Checks, in the order of their first run.
    pub checks: Vec<CheckView>,
    /// Groups: `name` holds the group's, sorted.
    pub groups: Vec<TrendView>,
    /// The script's own metrics, sorted by name.
    pub metrics: Vec<MetricView>,
    /// The whole run's phases: the metrics `http_req_blocked` and so on, in the order of the contract, `http_req_exchange` last.
    pub phases: Vec<TrendView>,
    /// Durations from the due time on, of hops that had one (open model); `name` is `http_req_duration_due`.
    pub since_due: TrendView,
    /// Times of the whole run; each bears its metric as its `name`.
    pub times: Times<TrendView>,
    /// What became of iterations that had a due time. All zero where the profile is closed.
    pub arrivals: ArrivalsView,
    /// How many iterations have begun, where the profile says how many there are; no reset of the statistics takes any away.
    pub quota: Option<QuotaView>,
    /// Each profile by itself, in the order of their indices, where they have names.
    pub profiles: Vec<ProfileView>,
    /// Iterations that the script ended by an error.
    pub iterations_raised: u64,
    /// Iterations that began and were ended before their own end, since their users were to finish or were dropped.
    pub iterations_interrupted: u64,
    /// Iterations that were due and could not begin (open model).
    pub iterations_dropped: u64,
    /// Iterations that ended in the pause after an error.
    pub backoffs: u64,
    /// Pauses of users whose script had held their lane, so that the lane's others had their turns.
    pub hold_pauses: u64,
    /// Users whose `on_start` raised and was tried again.
    pub start_failures: u64,
    /// Users whose `on_stop` raised.
    pub stop_failures: u64,
    /// Users that were dropped (memory limit, or still running at the stop timeout).
    pub users_dropped: u64,
    /// Thresholds in the scenario's order, judged over the whole run so far.
    pub thresholds: Vec<ThresholdView>,
    /// What the warm-up brought, where the run has one: in none of the other numbers but the history, and judged by nothing.
    pub warmup: Option<Arc<WarmupView>>,
    /// What was done once for the whole run, and is over: in none of the other numbers.
    pub acts: Vec<Arc<ActView>>,
    /// Why the script ended the run, if it did.
    pub aborted: Option<String>,
    /// What of the script or the settings could not be used, where that has ended the run.
    pub misuse: Option<String>,
    /// Why a run that is over could not be finished or collected, if it could not. Numbers that are lost with a worker are `holes` besides.
    pub unfinished: Option<String>,
    /// The generator's own part.
    pub health: HealthView,
    /// One point for each second of the run so far, oldest first; bounded, see `series`.
    pub history: Vec<HistoryPoint>,
    /// The same time in a few cells, by entry.
    pub cells: CellsView,
    /// Warnings that a reader of the numbers must know, such as "names limit reached".
    pub warnings: Vec<String>,
    /// The workers, in the order in which they came; those that left stay until the next run.
    pub workers: Vec<WorkerView>,
    /// Numbers that are lost, and whose.
    pub holes: Vec<HoleView>,
    /// Load that ran twice, since a worker out of reach went on while others had its users.
    pub overlaps: Vec<OverlapView>,
    /// Deltas that came again and were dropped.
    pub repeats: u64,
}

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RunState {
    /// No run has begun yet.
    #[default]
    Ready,
    /// The workers compile the script, and have to agree on it; no user runs.
    Waiting,
    /// The number of users is on its way to the level of the last stage reached.
    Spawning,
    /// The users are at their level.
    Running,
    /// No new iteration begins until somebody resumes the run; users keep what they have.
    Paused,
    /// No new iteration begins; users finish.
    Stopping,
    /// The run is over and its numbers are whole.
    Stopped,
}

/// One user class of a run and its share of the users.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClassShare {
    /// Unique in the scenario.
    pub name: String,
    /// 0..=1: its part of the users at the profile's highest level. All classes together have 1, or 0 where none has a user.
    pub ratio: f64,
    /// Its tasks, in the script's order.
    pub tasks: Vec<TaskShare>,
    /// What became of its iterations in the run.
    pub counts: ClassCounts,
}

/// One task of a class and its share of the class's iterations.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TaskShare {
    /// Unique in its class.
    pub name: String,
    /// 0..=1: how likely an iteration of the class runs it.
    pub ratio: f64,
}

impl Snapshot {
    /// What a request takes of the slowest worker that has measured it; `None` where none has.
    #[must_use]
    pub fn floor(&self) -> Option<Floor> {
        self.workers.iter().filter_map(|worker| worker.floor).max_by_key(|floor| floor.p50)
    }

    /// How many steps of users raised: iterations, `on_start`s and `on_stop`s.
    #[must_use]
    pub const fn steps_raised(&self) -> u64 {
        self.iterations_raised + self.start_failures + self.stop_failures
    }

    /// How often the script raised an error, in checks and wherever else.
    #[must_use]
    pub fn exceptions_raised(&self) -> u64 {
        self.exceptions.iter().fold(0, |sum, exception| sum.saturating_add(exception.count))
    }
}

/// One error that scripts raised.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExceptionView {
    /// `file:line: message`.
    pub message: Arc<str>,
    /// The traceback that Lua gave with it.
    pub traceback: Arc<str>,
    /// How often it was raised, on all workers.
    pub count: u64,
    /// `HOST_32HEX` of the first workers that told of it.
    pub nodes: Vec<String>,
    /// Other workers told of it as well.
    pub has_more_nodes: bool,
    /// The run's clock at the second of the first one; `None` where that is not known, since the run was taken over from another master.
    pub first_seen: Option<Duration>,
    /// The run's clock at the second of the last one, as far as it is known.
    pub last_seen: Option<Duration>,
}

/// A check of the script, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckView {
    /// As the script names it.
    pub name: Arc<str>,
    /// How often it held.
    pub passes: u64,
    /// How often it did not, or raised.
    pub fails: u64,
}

/// One threshold and how it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct ThresholdView {
    /// As the script wrote it.
    pub metric: String,
    /// As the script wrote it.
    pub condition: String,
    /// The value in the metric's unit, for people, such as `183.2ms` or `0.4%`; `no data` without any.
    pub actual: String,
    /// Whether it holds by the numbers so far.
    pub passed: bool,
}

/// The generator's own part in the numbers.
#[derive(Debug, Clone, Default)]
pub struct HealthView {
    /// The greatest lag of the last 10 seconds.
    pub lag_recent_max: Duration,
    /// Seconds of the run in which the lag, an exhausted resource or throttling made the numbers unsound.
    pub unsound_seconds: u64,
    /// Those of each worker by reason, as far as this master has seen them.
    pub unsound: Vec<UnsoundView>,
    /// Requests that came to their end in an unsound second of their own worker, as far as this master has seen them.
    pub unsound_requests: u64,
    /// Hops that failed as `local`.
    pub local_failures: u64,
    /// Processor time of the generator over wall time, in cores, over the last 10 seconds; `None` where no worker has told enough.
    pub cpu_cores: Option<f64>,
    /// Time that the cgroup kept the process from running, over the whole run.
    pub throttled: Duration,
    /// Processor time for unpacking bodies and for judging large ones, over the whole run: the generator's, and in no duration of a request.
    pub unpacking: Duration,
    /// Resident memory; `None` where no worker has told.
    pub memory_bytes: Option<u64>,
}

/// What was counted before the warm-up's end.
#[derive(Debug, Clone, Default)]
pub struct WarmupView {
    /// The run's clock at its end: whole seconds.
    pub end: Duration,
    /// It has ended, with its time or with the run.
    pub is_over: bool,
    /// Its rows, sums, errors, exceptions and checks; without a history and thresholds.
    pub numbers: Snapshot,
}
