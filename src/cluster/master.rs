//! The master as a state machine: the run from start to end, the sums of all workers, the snapshot that people see. No I/O.
//!
//! Owns the run's clock (monotonic) and its state. Which front end shows a snapshot, and how, it does not know.
//!
//! | in | event | actions | goes to |
//! |---|---|---|---|
//! | ready, stopped | start | send `Prepare` | preparing |
//! | preparing | worker prepared | send `Begin` | running |
//! | preparing | worker refused, or too slow | | stopped, with the reason |
//! | running | stop, planned end, all users gone | send `Stop` | stopping |
//! | any of them | cut | send `Cut` | stopping |
//! | running, stopping | delta | merge it, acknowledge | |
//! | stopping | last delta | finish | stopped |
//! | stopping | the worker is gone, or silent past the stop timeout and a grace | finish, incomplete | stopped |

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::message::{Delta, ToMaster, ToWorker};
use crate::load::shape::Shape;
use crate::load::vitals::Vitals;
use crate::plan::Plan;
use crate::stats::recorder::Limits;
use crate::stats::snapshot::{RunState, Snapshot};
use crate::stats::table::{GeneratorReadings, SnapshotContext, Table};
use crate::stats::threshold::Threshold;

/// The master of one worker.
#[derive(Debug, Default)]
pub struct Master {
    run: Option<Run>,
}

/// What the shell shall do.
#[derive(Debug)]
pub enum Action {
    /// Send this to the worker.
    Send(ToWorker),
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
    /// For people.
    pub text: String,
}

impl RunFailure {
    fn lost(text: impl Into<String>) -> Self {
        Self { cause: FailureCause::Lost, text: text.into() }
    }

    fn bad_use(text: impl Into<String>) -> Self {
        Self { cause: FailureCause::BadUse, text: text.into() }
    }
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
    /// The run.
    pub plan: Arc<Plan>,
    /// The plan's thresholds, parsed.
    pub thresholds: Vec<Threshold>,
    /// The wall clock, for people and files.
    pub wall: SystemTime,
}

impl Master {
    /// Somebody starts a run.
    pub fn on_start(&mut self, start: RunStart, now: Instant) -> Vec<Action> {
        let prepare = Action::Send(ToWorker::Prepare(start.plan.clone()));
        self.run = Some(Run::new(start, now));
        vec![prepare]
    }

    /// Somebody stops the run: users finish.
    pub fn on_stop(&mut self, now: Instant) -> Vec<Action> {
        self.run.as_mut().map_or_else(Vec::new, |run| run.stop(now, ToWorker::Stop))
    }

    /// Somebody stops the run at once: users that still live are dropped.
    pub fn on_cut(&mut self, now: Instant) -> Vec<Action> {
        self.run.as_mut().map_or_else(Vec::new, |run| run.cut(now))
    }

    /// The worker has said something.
    pub fn on_message(&mut self, message: ToMaster, now: Instant) -> Vec<Action> {
        let Some(run) = &mut self.run else { return Vec::new() };
        match message {
            ToMaster::Prepared => run.on_prepared(now),
            ToMaster::Refused(why) => run.finish(now, false, Some(RunFailure::bad_use(why))),
            ToMaster::Delta(delta) => run.on_delta(&delta, now),
        }
    }

    /// The worker is gone.
    pub fn on_worker_gone(&mut self, now: Instant) -> Vec<Action> {
        let Some(run) = self.run.as_mut().filter(|run| run.state != RunState::Stopped) else { return Vec::new() };
        run.finish(now, false, Some(RunFailure::lost("the worker ended before the run did")))
    }

    /// Time passes.
    pub fn on_tick(&mut self, now: Instant) -> Vec<Action> {
        self.run.as_mut().map_or_else(Vec::new, |run| run.on_tick(now))
    }

    /// What people see now.
    #[must_use]
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        self.run.as_ref().map_or_else(Snapshot::default, |run| run.snapshot(now))
    }

    /// Time zero of the run's clock, once it has begun.
    #[must_use]
    pub fn zero(&self) -> Option<Instant> {
        self.run.as_ref().and_then(|run| run.zero)
    }
}

/// One run.
#[derive(Debug)]
struct Run {
    start: RunStart,
    shape: Shape,
    state: RunState,
    /// When somebody asked for the run.
    asked: Instant,
    zero: Option<Instant>,
    /// When users began to finish.
    stopping: Option<Instant>,
    /// When the run was over.
    over: Option<Instant>,
    table: Table,
    /// The highest sequence number in the table.
    merged: u64,
    users: u64,
    vitals: VitalsOverTime,
    panics: u32,
    /// What a script cannot run without and the plan does not have.
    misuse: Option<String>,
}

impl Run {
    fn new(start: RunStart, now: Instant) -> Self {
        let names = start.plan.names_limit;
        Self {
            shape: Shape::new(&start.plan.profile),
            start,
            state: RunState::Spawning,
            asked: now,
            zero: None,
            stopping: None,
            over: None,
            table: Table::new(Limits { names }),
            merged: 0,
            users: 0,
            vitals: VitalsOverTime::default(),
            panics: 0,
            misuse: None,
        }
    }

    fn on_prepared(&mut self, now: Instant) -> Vec<Action> {
        if self.state != RunState::Spawning || self.zero.is_some() {
            return Vec::new();
        }
        self.zero = Some(now);
        self.start.wall += now.saturating_duration_since(self.asked);
        vec![Action::Send(ToWorker::Begin(Duration::ZERO))]
    }

    fn on_delta(&mut self, delta: &Delta, now: Instant) -> Vec<Action> {
        let mut actions = vec![Action::Send(ToWorker::Acknowledge(delta.sequence))];
        // A delta comes again when its acknowledgement was late.
        if delta.run != self.start.plan.run || delta.sequence <= self.merged {
            return actions;
        }
        self.merged = delta.sequence;
        let throttled_before = self.vitals.throttled();
        self.vitals.add(now, delta.vitals);
        let is_throttled = self.vitals.throttled().saturating_sub(throttled_before) >= NOTABLE_THROTTLING;
        for tally in &delta.tallies {
            self.table.merge(tally);
            self.table.note_second(tally.second, delta.users, is_throttled);
        }
        self.users = delta.users;
        self.panics = delta.panics;
        if self.misuse.is_none() {
            self.misuse.clone_from(&delta.misuse);
        }
        if delta.is_last {
            let failure = self.misuse.take().map(RunFailure::bad_use);
            actions.extend(self.finish(now, true, failure));
        } else if self.misuse.is_some() {
            actions.extend(self.stop(now, ToWorker::Cut));
        } else if delta.is_exhausted || self.panics > 0 {
            actions.extend(self.stop(now, ToWorker::Stop));
        }
        actions
    }

    fn on_tick(&mut self, now: Instant) -> Vec<Action> {
        let elapsed = self.elapsed(now);
        match (self.state, self.stopping) {
            (RunState::Stopped | RunState::Ready, _) => Vec::new(),
            (_, Some(since)) if now.saturating_duration_since(since) > self.start.plan.stop_timeout + LAST_DELTA_GRACE => {
                self.finish(now, false, Some(RunFailure::lost("the worker did not send its last numbers in time")))
            }
            (_, Some(_)) => Vec::new(),
            (_, None) if self.zero.is_none() => {
                if now.saturating_duration_since(self.asked) < PREPARE_TIMEOUT {
                    return Vec::new();
                }
                self.finish(now, false, Some(RunFailure::lost(format!("the worker was not ready within {} s", PREPARE_TIMEOUT.as_secs()))))
            }
            // The lanes know the planned end by themselves; the message is for those that are late.
            (_, None) if self.shape.end().is_some_and(|end| elapsed >= end) => self.stop(now, ToWorker::Stop),
            (_, None) => {
                self.state = if self.shape.is_spawning(elapsed) { RunState::Spawning } else { RunState::Running };
                Vec::new()
            }
        }
    }

    fn stop(&mut self, now: Instant, message: ToWorker) -> Vec<Action> {
        if self.state == RunState::Stopped || self.stopping.is_some() {
            return Vec::new();
        }
        self.stopping = Some(now);
        self.state = RunState::Stopping;
        if self.zero.is_none() {
            // Nothing has run: there are no numbers to wait for.
            let mut actions = self.finish(now, true, None);
            actions.insert(0, Action::Send(message));
            return actions;
        }
        vec![Action::Send(message)]
    }

    fn cut(&mut self, now: Instant) -> Vec<Action> {
        if self.state == RunState::Stopped {
            return Vec::new();
        }
        let mut actions = self.stop(now, ToWorker::Cut);
        if actions.is_empty() {
            actions.push(Action::Send(ToWorker::Cut));
        }
        actions
    }

    fn finish(&mut self, now: Instant, is_complete: bool, failure: Option<RunFailure>) -> Vec<Action> {
        if self.state == RunState::Stopped {
            return Vec::new();
        }
        self.state = RunState::Stopped;
        self.over = Some(now);
        self.users = 0;
        vec![Action::Finish(RunEnd { is_complete, failure, panics: self.panics })]
    }

    /// The run's clock; it stands still once the run is over.
    fn elapsed(&self, now: Instant) -> Duration {
        self.zero.map_or(Duration::ZERO, |zero| self.over.unwrap_or(now).saturating_duration_since(zero))
    }

    fn snapshot(&self, now: Instant) -> Snapshot {
        let elapsed = self.elapsed(now);
        let plan = &self.start.plan;
        let is_making_load = self.zero.is_some() && self.stopping.is_none() && self.over.is_none();
        self.table.snapshot(SnapshotContext {
            run: plan.run,
            scenario: plan.scenario.clone(),
            host: plan.host.clone(),
            state: self.state,
            elapsed,
            planned: self.shape.end(),
            started_at: self.zero.map(|_| self.start.wall),
            users: self.users,
            target_users: if is_making_load { u64::from(self.shape.users_at(elapsed)) } else { 0 },
            thresholds: &self.start.thresholds,
            generator: GeneratorReadings {
                cpu_cores: self.vitals.cores(),
                throttled: self.vitals.throttled(),
                memory_bytes: self.vitals.memory_bytes(),
            },
        })
    }
}

/// The worker's vitals over the last ten seconds.
#[derive(Debug, Default)]
struct VitalsOverTime {
    first: Option<Vitals>,
    recent: std::collections::VecDeque<(Instant, Vitals)>,
}

impl VitalsOverTime {
    fn add(&mut self, now: Instant, vitals: Vitals) {
        self.first.get_or_insert(vitals);
        self.recent.push_back((now, vitals));
        while self.recent.len() > 2 && now.saturating_duration_since(self.recent[1].0) >= VITALS_WINDOW {
            self.recent.pop_front();
        }
    }

    /// Processor time over wall time.
    fn cores(&self) -> f64 {
        match (self.recent.front(), self.recent.back()) {
            (Some((from, first)), Some((to, last))) if to > from => {
                last.cpu.saturating_sub(first.cpu).as_secs_f64() / (*to - *from).as_secs_f64()
            }
            _ => 0.0,
        }
    }

    /// Since the run's first delta: what the cgroup suffered before is not the run's.
    fn throttled(&self) -> Duration {
        match (self.first, self.recent.back()) {
            (Some(first), Some((_, last))) => last.throttled.saturating_sub(first.throttled),
            _ => Duration::ZERO,
        }
    }

    fn memory_bytes(&self) -> u64 {
        self.recent.back().map_or(0, |(_, vitals)| vitals.memory_bytes)
    }
}

/// How long a worker may take to open its lanes.
const PREPARE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long past the stop timeout the last delta may take.
const LAST_DELTA_GRACE: Duration = Duration::from_secs(5);
const VITALS_WINDOW: Duration = Duration::from_secs(10);
/// Less than this in a second does not move a latency that people read.
const NOTABLE_THROTTLING: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests;
