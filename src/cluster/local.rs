//! The shell of a local run: one master and one worker on the same thread, joined by the in-memory link.
//!
//! Carries out what the state machines answer, and decides nothing. The lanes have threads of their own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};

use super::link::{MasterEnd, WorkerEnd, link};
use super::master::{self, Master, RunEnd, RunStart};
use super::message::ToMaster;
use super::worker::{self, Worker};
use crate::load::Workload;
use crate::load::engine::Engine;
use crate::load::slots::Orders;
use crate::load::vitals::Vitals;
use crate::stats::snapshot::Snapshot;

/// What people tell the master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Users finish.
    Stop,
    /// Users that still live are dropped.
    Cut,
}

/// The master as front ends know it.
#[derive(Debug, Clone)]
pub struct MasterHandle {
    commands: mpsc::Sender<Command>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
}

impl MasterHandle {
    /// Tells the master something. A master that is gone has nothing left to do.
    pub async fn command(&self, command: Command) {
        // The master takes a command at every turn of its loop, so the queue is never full for long.
        let _ = self.commands.send(command).await;
    }

    /// The snapshots, one a second; the last one is the run's final one.
    #[must_use]
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }
}

/// A local run that is under way.
#[derive(Debug)]
pub struct LocalRun {
    /// For front ends.
    pub handle: MasterHandle,
    end: oneshot::Receiver<RunEnd>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl LocalRun {
    /// Starts master and worker on the current runtime, and the run.
    #[must_use]
    pub fn start<W: Workload>(workload: Arc<W>, start: RunStart, lanes: usize) -> Self {
        let (master_end, worker_end) = link();
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let (publisher, snapshots) = watch::channel(Arc::new(Snapshot::default()));
        let (ended, end) = oneshot::channel();
        let worker = tokio::spawn(serve_worker(worker_end, workload, lanes));
        let master = tokio::spawn(serve_master(master_end, start, inbox, publisher, ended));
        Self { handle: MasterHandle { commands, snapshots }, end, tasks: vec![master, worker] }
    }

    /// Waits for the run's end; the last snapshot is published by then.
    pub async fn end(self) -> RunEnd {
        let end = self.end.await.unwrap_or(RunEnd { is_complete: false, failure: None, panics: 1 });
        for task in self.tasks {
            // A panic of theirs has been told by the lost `end`.
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, task).await;
        }
        end
    }
}

async fn serve_master(
    mut link: MasterEnd,
    start: RunStart,
    mut commands: mpsc::Receiver<Command>,
    publisher: watch::Sender<Arc<Snapshot>>,
    ended: oneshot::Sender<RunEnd>,
) {
    let mut master = Master::default();
    let mut actions = master.on_start(start, Instant::now());
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut published = None;
    loop {
        for action in actions.drain(..) {
            match action {
                master::Action::Send(message) => {
                    if link.to_worker.send(message).await.is_err() {
                        log::debug!("the worker is gone");
                    }
                }
                master::Action::Finish(end) => {
                    publisher.send_replace(Arc::new(master.snapshot(Instant::now())));
                    // Whoever waits for the end may have given up; the numbers are published all the same.
                    let _ = ended.send(end);
                    return;
                }
            }
        }
        actions = tokio::select! {
            Some(command) = commands.recv() => match command {
                Command::Stop => master.on_stop(Instant::now()),
                Command::Cut => master.on_cut(Instant::now()),
            },
            message = link.from_worker.recv() => match message {
                Some(message) => master.on_message(message, Instant::now()),
                None => master.on_worker_gone(Instant::now()),
            },
            _ = tick.tick() => {
                let now = Instant::now();
                let actions = master.on_tick(now);
                // A little after the full second, when the lanes' reports of it are in.
                let due = master.zero().map(|zero| now.saturating_duration_since(zero).saturating_sub(SNAPSHOT_DELAY).as_secs());
                if due > published {
                    published = due;
                    publisher.send_replace(Arc::new(master.snapshot(now)));
                }
                actions
            }
        };
    }
}

async fn serve_worker<W: Workload>(mut link: WorkerEnd, workload: Arc<W>, lanes: usize) {
    let mut worker = Worker::default();
    let mut engine: Option<Engine> = None;
    let mut actions = Vec::new();
    loop {
        for action in std::mem::take(&mut actions) {
            match action {
                worker::Action::Open(plan) => {
                    let opened = Engine::open(&workload, &plan, lanes).await;
                    tell(opened.as_ref().ok(), |engine| engine.follow(&Orders::of_all_slots(Arc::new(plan.profile.clone()))));
                    let answer = opened.as_ref().map(|_| lanes).map_err(ToString::to_string);
                    engine = opened.ok();
                    actions.extend(worker.on_opened(answer));
                }
                worker::Action::Begin(elapsed) => {
                    let now = Instant::now();
                    tell(engine.as_ref(), |engine| engine.begin(now.checked_sub(elapsed).unwrap_or(now)));
                }
                worker::Action::Stop => tell(engine.as_ref(), Engine::stop),
                worker::Action::Cut => tell(engine.as_ref(), Engine::cut),
                worker::Action::Close => close(engine.take()).await,
                worker::Action::Send(message) => send(&link, message).await,
            }
        }
        if !actions.is_empty() {
            continue;
        }
        actions = tokio::select! {
            message = link.from_master.recv() => match message {
                Some(message) => worker.on_message(message),
                None => return close(engine.take()).await,
            },
            Some(report) = next_report(engine.as_mut()) => worker.on_report(report, Vitals::read()),
        };
    }
}

/// Waits for room: the master takes a message at every turn of its loop, and it is on this very thread.
async fn send(link: &WorkerEnd, message: ToMaster) {
    if link.to_master.send_timeout(message, SEND_TIMEOUT).await.is_err() {
        log::debug!("the master is gone");
    }
}

fn tell(engine: Option<&Engine>, what: impl FnOnce(&Engine)) {
    if let Some(engine) = engine {
        what(engine);
    }
}

async fn next_report(engine: Option<&mut Engine>) -> Option<crate::load::lane::LaneReport> {
    match engine {
        Some(engine) => engine.next_report().await,
        None => std::future::pending().await,
    }
}

/// Joins the lanes' threads without keeping this one from its other tasks.
async fn close(engine: Option<Engine>) {
    if let Some(engine) = engine {
        let joined = tokio::task::spawn_blocking(move || engine.close());
        if tokio::time::timeout(CLOSE_TIMEOUT, joined).await.is_err() {
            log::warn!("a lane did not end within {} s", CLOSE_TIMEOUT.as_secs());
        }
    }
}

const COMMANDS: usize = 8;
const TICK: Duration = Duration::from_millis(50);
const SNAPSHOT_DELAY: Duration = Duration::from_millis(60);
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
