//! The master's shell: carries out what the state machine of [`super::master`] answers, and decides nothing about load or numbers.
//!
//! It is one task. Scripts are planned and the journal is written on threads of their own, and each link has tasks of its own, so that
//! no disk, no script and no worker holds up the others. When people may ask for what is `asking`'s.

mod asking;
mod journal_writer;
mod publishing;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use self::asking::{Asking, PlanOutcome};
use self::journal_writer::JournalWriter;
use self::publishing::Publisher;
use super::handle::{MasterHandle, Request};
use super::journal::Journal;
use super::link::{LinkEvent, LinkId, MasterLinks};
use super::logs::{LogFeed, MASTER_TARGET, RELAYED};
use super::master::{Action, Master, MasterConfig, RunEnd};
use super::message::{LogLine, ToMaster, ToWorker, WorkerId};
use super::planner::Planner;
use super::record::KeptRun;
use crate::plan::RunId;
use crate::stats::snapshot::Snapshot;

/// What a master's shell is made of.
pub struct MasterSetup {
    /// How the master behaves. Whether it has a journal follows from `journal`.
    pub config: MasterConfig,
    /// Makes runs from orders.
    pub planner: Arc<dyn Planner>,
    /// The master's journal, opened.
    pub journal: Option<Journal>,
    /// The run that was in the journal.
    pub kept: Option<KeptRun>,
    /// The log: the workers' lines are added to it, and the process's logger adds the master's own.
    pub logs: LogFeed,
}

/// A run that is over.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Which of the master's runs.
    pub run: RunId,
    /// Whether it is complete, and what failed.
    pub end: RunEnd,
    /// What reports are made of.
    pub last: Arc<Snapshot>,
}

/// A master that is at work.
#[derive(Debug)]
pub struct MasterShell {
    handle: MasterHandle,
    links: MasterLinks,
    ends: watch::Receiver<Option<Arc<Ended>>>,
    closer: mpsc::Sender<Closing>,
    task: JoinHandle<()>,
}

impl MasterShell {
    /// Starts a master on the current runtime.
    #[must_use]
    pub fn start(setup: MasterSetup) -> Self {
        let (publisher, snapshots) = watch::channel(Arc::new(Snapshot::default()));
        let (handle, requests) = MasterHandle::new(snapshots, setup.planner.clone(), setup.logs.clone());
        let (links, events) = MasterLinks::new();
        let (ended, ends) = watch::channel(None);
        let (closer, closed) = mpsc::channel(1);
        let task = tokio::spawn(async move {
            Shell::new(setup, Publisher::new(publisher), ended).serve(events, requests, closed).await;
        });
        Self { handle, links, ends, closer, task }
    }

    /// By which front ends see the run and command it.
    #[must_use]
    pub const fn handle(&self) -> &MasterHandle {
        &self.handle
    }

    /// Where links to workers are announced.
    #[must_use]
    pub const fn links(&self) -> &MasterLinks {
        &self.links
    }

    /// The run that ended last. Its final snapshot is published before.
    #[must_use]
    pub fn ends(&self) -> watch::Receiver<Option<Arc<Ended>>> {
        self.ends.clone()
    }

    /// Tells the workers that a run which is over is done with, closes the links, and waits until the journal is written.
    pub async fn close(self) {
        self.end(Closing::Done).await;
    }

    /// Closes the links without a word, so that the workers bring the run to the next master, and waits until the journal is written.
    pub async fn hand_over(self) {
        self.end(Closing::HandedOver).await;
    }

    async fn end(self, closing: Closing) {
        // A shell that is gone, by a panic of its own, has nothing to close.
        let _ = self.closer.send(closing).await;
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, self.task).await;
    }
}

/// How a master takes leave of its workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    Done,
    HandedOver,
}

struct Shell {
    master: Master,
    /// The links that stand, and where they come from.
    outboxes: FxHashMap<LinkId, (mpsc::Sender<ToWorker>, Option<SocketAddr>)>,
    asking: Asking,
    planned: mpsc::Receiver<PlanOutcome>,
    journal: Option<JournalWriter>,
    publisher: Publisher,
    ended: watch::Sender<Option<Arc<Ended>>>,
    logs: LogFeed,
    /// Links that were closed because the worker did not take what was sent to it.
    stuck: u64,
}

impl Shell {
    fn new(setup: MasterSetup, publisher: Publisher, ended: watch::Sender<Option<Arc<Ended>>>) -> Self {
        let now = Instant::now();
        let config = MasterConfig { has_journal: setup.journal.is_some(), ..setup.config };
        let master = match setup.kept {
            Some(kept) => Master::restored(config, kept, now),
            None => Master::new(config, now),
        };
        let (asking, planned) = Asking::new(setup.planner);
        let journal = setup.journal.map(JournalWriter::start);
        Self { master, outboxes: FxHashMap::default(), asking, planned, journal, publisher, ended, logs: setup.logs, stuck: 0 }
    }

    async fn serve(
        mut self,
        mut events: mpsc::Receiver<LinkEvent<ToMaster, ToWorker>>,
        mut requests: mpsc::Receiver<Request>,
        mut closed: mpsc::Receiver<Closing>,
    ) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let closing = loop {
            let actions = tokio::select! {
                Some(event) = events.recv() => self.on_link(event),
                Some(request) = requests.recv() => self.asking.on_request(request, &mut self.master, Instant::now()),
                Some(outcome) = self.planned.recv() => self.asking.on_planned(outcome, &mut self.master, Instant::now()),
                Some(number) = next_kept(self.journal.as_mut()) => self.master.on_kept(number),
                _ = tick.tick() => self.master.on_tick(Instant::now()),
                closing = closed.recv() => break closing,
            };
            self.carry_out(actions);
            let more = self.asking.proceed(&mut self.master, Instant::now());
            self.carry_out(more);
            self.publisher.publish_if_due(&self.master, Instant::now());
        };
        if closing == Some(Closing::Done) {
            let actions = self.master.on_close();
            self.carry_out(actions);
        }
        // What was said last is on its way: dropped outboxes are emptied before their links close.
        self.outboxes.clear();
        if let Some(journal) = self.journal {
            journal.close().await;
        }
    }

    fn on_link(&mut self, event: LinkEvent<ToMaster, ToWorker>) -> Vec<Action> {
        let now = Instant::now();
        match event {
            LinkEvent::Up { link, address, outbox } => {
                self.outboxes.insert(link, (outbox, address));
                Vec::new()
            }
            // What was still on its way when the link was closed is of no more use.
            LinkEvent::Message { link, message } if let Some((_, address)) = self.outboxes.get(&link) => {
                let address = address.filter(|_| matches!(message, ToMaster::Hello(_)));
                let actions = self.master.on_message(link, message, now);
                if let Some(address) = address {
                    self.master.note_address(link, address);
                }
                actions
            }
            LinkEvent::Measured { link, round_trip } => {
                self.master.note_round_trip(link, round_trip);
                Vec::new()
            }
            LinkEvent::Down { link } if self.outboxes.remove(&link).is_some() => self.master.on_link_gone(link, now),
            LinkEvent::Message { .. } | LinkEvent::Down { .. } => Vec::new(),
        }
    }

    fn carry_out(&mut self, actions: Vec<Action>) {
        let mut waiting = VecDeque::from(actions);
        while let Some(action) = waiting.pop_front() {
            match action {
                Action::Send(link, message) => waiting.extend(self.send(link, message)),
                Action::CloseLink(link) => drop(self.outboxes.remove(&link)),
                Action::Keep(number, record) => {
                    if let Some(journal) = &mut self.journal {
                        journal.keep(number, record);
                    }
                }
                Action::Log(level, text) => log::log!(target: MASTER_TARGET, level, "{text}"),
                Action::Relay(worker, line) => self.relay(&worker, line),
                Action::Finish(end) => self.finish(end),
            }
        }
    }

    /// Puts a message to a link; a link that is full is closed, since the messages that follow build on this one.
    fn send(&mut self, link: LinkId, message: ToWorker) -> Vec<Action> {
        let Some((outbox, _)) = self.outboxes.get(&link) else { return Vec::new() };
        match outbox.try_send(message) {
            Ok(()) => return Vec::new(),
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.stuck += 1;
                log::warn!(target: MASTER_TARGET, "link {} is stuck, and is closed ({} so far)", link.0, self.stuck);
            }
            Err(mpsc::error::TrySendError::Closed(_)) => {}
        }
        self.outboxes.remove(&link);
        self.master.on_link_gone(link, Instant::now())
    }

    fn relay(&self, worker: &WorkerId, line: LogLine) {
        log::log!(target: RELAYED, line.level, "[{}] {}", worker.host, line.text);
        self.logs.add(&worker.to_string(), line);
    }

    /// The final snapshot is out before anybody hears of the end.
    fn finish(&mut self, end: RunEnd) {
        let last = self.publisher.publish(&self.master, Instant::now());
        self.ended.send_replace(Some(Arc::new(Ended { run: last.run, end, last })));
    }
}

async fn next_kept(journal: Option<&mut JournalWriter>) -> Option<u64> {
    match journal {
        Some(journal) => journal.next_kept().await,
        None => None,
    }
}

const TICK: Duration = Duration::from_millis(50);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);
