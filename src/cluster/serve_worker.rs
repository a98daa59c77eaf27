//! The worker's shell: carries out what the state machine of [`super::worker`] answers, and decides nothing.
//!
//! It is one task. The lanes have threads of their own, scripts are compiled on threads of their own, and each link has tasks of its
//! own, so that nothing holds up anything else.

mod acting;
mod workshop;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;

pub use self::workshop::Workshop;
use self::workshop::{Outcome, no_end};
use super::link::{Dialer, LinkEvent, LinkId, WorkerLinks};
use super::message::{LogLine, ToMaster, ToWorker};
use super::worker::{Action, OpenRefusal, Worker, WorkerConfig, WorkerEnd, WorkerStatus};
use crate::load::Workload;
use crate::load::courier::Courier;
use crate::load::engine::Engine;
use crate::load::lane::LaneReport;
use crate::load::stock::Stock;
use crate::load::vitals::Vitals;
use crate::plan::{Act, Plan, RunId};

/// What a worker's shell is made of.
#[derive(Debug)]
pub struct WorkerSetup<S, D> {
    /// Who it is, and how patient.
    pub config: WorkerConfig,
    /// Where its workloads come from.
    pub workshop: Arc<S>,
    /// How it comes to its master.
    pub dialer: Arc<D>,
    /// What this process logs and the master shall see.
    pub log_lines: Option<mpsc::Receiver<LogLine>>,
}

/// What a probe may read of a worker; fresh each second, and at once when its link comes or goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WorkerReadings {
    /// As the worker saw itself, when this was published.
    pub status: WorkerStatus,
    /// Of the whole process, whatever else runs in it.
    pub vitals: Vitals,
}

/// A worker that is at work.
#[derive(Debug)]
pub struct WorkerShell {
    readings: watch::Receiver<WorkerReadings>,
    wishes: mpsc::Sender<Wish>,
    task: JoinHandle<WorkerEnd>,
}

impl WorkerShell {
    /// Starts a worker on the current runtime.
    #[must_use]
    pub fn start<S: Workshop, D: Dialer>(setup: WorkerSetup<S, D>) -> Self {
        let (publisher, readings) = watch::channel(WorkerReadings::default());
        let (wishes, inbox) = mpsc::channel(WISHES);
        let task = tokio::spawn(Shell::new(setup, publisher).serve(inbox));
        Self { readings, wishes, task }
    }

    /// What a probe may read; each change wakes who waits for it.
    #[must_use]
    pub fn readings(&self) -> watch::Receiver<WorkerReadings> {
        self.readings.clone()
    }

    /// Ends the worker in order: users finish, numbers are handed in. The second time it ends at once.
    pub async fn leave(&self) {
        // A worker that is gone has left.
        let _ = self.wishes.send(Wish::Leave).await;
    }

    /// Waits for the worker's end. `None` if it panicked.
    pub async fn end(&mut self) -> Option<WorkerEnd> {
        (&mut self.task).await.ok()
    }

    /// The folder of scripts has changed: the name and the fingerprint of what it holds, or why that does not compile.
    pub async fn tell_scripts(&self, compiled: Result<(String, String), String>) {
        // A worker that is gone has nothing to tell.
        let _ = self.wishes.send(Wish::Scripts(compiled)).await;
    }

    /// Closes lanes and links without a word to the master.
    pub async fn close(self) {
        let _ = self.wishes.send(Wish::Close).await;
        // A panic of its own is told by whoever waits for numbers that do not come.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT * 2, self.task).await;
    }
}

/// What people want of a worker.
#[derive(Debug)]
enum Wish {
    Leave,
    Scripts(Result<(String, String), String>),
    Close,
}

struct Shell<S: Workshop, D> {
    worker: Worker,
    lanes: usize,
    workshop: Arc<S>,
    dialer: Arc<D>,
    log_lines: Option<mpsc::Receiver<LogLine>>,
    publisher: watch::Sender<WorkerReadings>,
    outboxes: FxHashMap<LinkId, mpsc::Sender<ToMaster>>,
    links: WorkerLinks,
    events: mpsc::Receiver<LinkEvent<ToWorker, ToMaster>>,
    /// What became of dials that came to nothing and of openings.
    outcomes: mpsc::Receiver<Outcome<S::Workload>>,
    outcome_sender: mpsc::Sender<Outcome<S::Workload>>,
    engine: Option<Engine<S::Workload>>,
    /// What the lanes of the run that was opened last take rows from; it outlives them, for what is left is brought back.
    stock: Option<(RunId, Arc<Stock>)>,
    /// What the lanes of that run ask of the board with.
    courier: Option<Arc<Courier>>,
    /// Counts openings; the result of one that is no longer wanted is thrown away.
    opening: u64,
    /// Ends the act that is under way when it is dropped.
    acting: Option<oneshot::Sender<()>>,
    closings: JoinSet<()>,
    /// The second of `since` in which readings were published last.
    published: Option<u64>,
    since: Instant,
    end: Option<WorkerEnd>,
}

impl<S: Workshop, D: Dialer> Shell<S, D> {
    fn new(setup: WorkerSetup<S, D>, publisher: watch::Sender<WorkerReadings>) -> Self {
        let (links, events) = WorkerLinks::new();
        let (outcome_sender, outcomes) = mpsc::channel(OUTCOMES);
        let now = Instant::now();
        Self {
            lanes: usize::try_from(setup.config.lanes).unwrap_or(usize::MAX),
            worker: Worker::new(setup.config, now),
            workshop: setup.workshop,
            dialer: setup.dialer,
            log_lines: setup.log_lines,
            publisher,
            outboxes: FxHashMap::default(),
            links,
            events,
            outcomes,
            outcome_sender,
            engine: None,
            stock: None,
            courier: None,
            opening: 0,
            acting: None,
            closings: JoinSet::new(),
            published: None,
            since: now,
            end: None,
        }
    }

    async fn serve(mut self, mut wishes: mpsc::Receiver<Wish>) -> WorkerEnd {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.end.is_none() {
            let actions = tokio::select! {
                Some(event) = self.events.recv() => self.on_link(event),
                Some(report) = next_report(self.engine.as_mut()) => self.worker.on_report(report, Vitals::read(), Instant::now()),
                Some(outcome) = self.outcomes.recv() => self.on_outcome(outcome),
                () = question(self.stock.as_ref()) => self.ask(),
                () = want(self.courier.as_ref()) => self.carry_errand(),
                Some(line) = next_line(self.log_lines.as_mut()) => {
                    self.worker.on_log(line);
                    Vec::new()
                }
                wish = wishes.recv() => match wish {
                    Some(Wish::Leave) => self.worker.on_leave(Instant::now()),
                    Some(Wish::Scripts(compiled)) => self.worker.on_scripts(compiled),
                    Some(Wish::Close) | None => break,
                },
                _ = tick.tick() => {
                    let mut actions = self.worker.on_tick(Instant::now());
                    actions.extend(self.carry_errand());
                    actions
                }
            };
            self.carry_out(actions);
            let now = Instant::now();
            // Behind what it was told: lanes that become sure have their orders.
            let is_sure = self.worker.is_sure_of_slots(now);
            self.tell(|engine| engine.beat(now, is_sure));
            self.publish(now);
        }
        // What was said last is on its way: dropped outboxes are emptied before their links close.
        self.outboxes.clear();
        self.close_lanes();
        let closed = async { while self.closings.join_next().await.is_some() {} };
        // A lane that was given up is not waited for.
        let _ = tokio::time::timeout(LAST_CLOSE, closed).await;
        self.end.unwrap_or(WorkerEnd::NumbersLost)
    }

    fn on_link(&mut self, event: LinkEvent<ToWorker, ToMaster>) -> Vec<Action> {
        let now = Instant::now();
        match event {
            LinkEvent::Up { link, outbox, .. } => {
                self.outboxes.insert(link, outbox);
                self.worker.on_linked(link, now)
            }
            // What was still on its way when the link was closed is of no more use.
            LinkEvent::Message { link, message } if self.outboxes.contains_key(&link) => self.worker.on_message(link, message, now),
            LinkEvent::Down { link } if self.outboxes.remove(&link).is_some() => self.worker.on_link_gone(link, now),
            // It measures by its messages, as its clock needs it.
            LinkEvent::Measured { .. } | LinkEvent::Message { .. } | LinkEvent::Down { .. } => Vec::new(),
        }
    }

    fn on_outcome(&mut self, outcome: Outcome<S::Workload>) -> Vec<Action> {
        match outcome {
            Outcome::DialFailed(why) => self.worker.on_dial_failed(&why, Instant::now()),
            Outcome::Opened { opening, run, opened } if opening == self.opening => {
                let answer = match opened {
                    Ok(engine) => {
                        engine.stock().attend();
                        self.stock = Some((run, engine.stock().clone()));
                        self.courier = engine.workload().courier();
                        if let Some(courier) = &self.courier {
                            courier.attend();
                        }
                        self.engine = Some(*engine);
                        Ok(())
                    }
                    Err(refusal) => Err(refusal),
                };
                self.worker.on_opened(run, answer, Instant::now())
            }
            Outcome::Opened { opened, .. } => {
                self.close_engine(opened.ok().map(|engine| *engine));
                Vec::new()
            }
            Outcome::Renewed { opening, plan, renewed } if opening == self.opening && self.worker.awaits(&plan) => {
                let answer = renewed.map(|workload| {
                    if let Some(engine) = &mut self.engine {
                        engine.renew(workload, plan.clone());
                    }
                });
                self.worker.on_renewed(&plan, answer)
            }
            Outcome::Acted { run, act, acted } => self.worker.on_acted(run, act, *acted, Instant::now()),
            // A newer revision is on its way, or the run's lanes are closed.
            Outcome::Renewed { .. } => Vec::new(),
        }
    }

    fn carry_out(&mut self, actions: Vec<Action>) {
        let mut waiting = std::collections::VecDeque::from(actions);
        while let Some(action) = waiting.pop_front() {
            match action {
                Action::Dial => self.dial(),
                Action::Send(link, ToMaster::Goodbye) => {
                    for leftover in self.leftovers() {
                        waiting.extend(self.send(link, leftover));
                    }
                    waiting.extend(self.send(link, ToMaster::Goodbye));
                }
                Action::Send(link, message) => waiting.extend(self.send(link, message)),
                Action::Grant(grant) => {
                    if let Some((_, stock)) = &self.stock {
                        stock.on_grant(grant, Instant::now());
                    }
                }
                Action::Board(word) => {
                    if let Some(courier) = &self.courier {
                        courier.on_word(word, Instant::now());
                    }
                }
                Action::CloseLink(link) => drop(self.outboxes.remove(&link)),
                Action::Open(plan) => self.open(plan),
                Action::Renew(plan) => self.renew(plan),
                Action::Act(plan, act) => self.act(plan, act),
                Action::DropAct => self.acting = None,
                Action::GiveData(data) => self.tell(|engine| engine.workload().give_data(&data)),
                Action::Begin(zero) => self.tell(|engine| engine.begin(zero)),
                Action::Follow(orders) => self.tell(|engine| engine.follow(&orders)),
                Action::Stop => self.tell(Engine::stop),
                Action::Cut => self.tell(Engine::cut),
                Action::CloseLanes => self.close_lanes(),
                Action::Log(level, text) => log::log!(target: LOG_TARGET, level, "{text}"),
                Action::Exit(end) => self.end = Some(end),
            }
        }
    }

    /// Carries what goes back, and then the lanes' questions for rows.
    fn ask(&mut self) -> Vec<Action> {
        let Some((run, stock)) = self.stock.clone() else { return Vec::new() };
        let now = Instant::now();
        let mut actions = Vec::new();
        for leftover in stock.take_returns() {
            actions.extend(self.worker.on_leftover(run, leftover, now));
        }
        for ask in stock.take_questions() {
            actions.extend(self.worker.on_ask(ask, now));
        }
        actions
    }

    /// Carries what users ask of the board.
    fn carry_errand(&mut self) -> Vec<Action> {
        let now = Instant::now();
        let errand = self.courier.as_ref().and_then(|courier| courier.take_errand(now));
        errand.map_or_else(Vec::new, |errand| self.worker.on_errand(errand, now))
    }

    /// Rows that nobody will take here any more, as they are brought back before the goodbye.
    fn leftovers(&self) -> Vec<ToMaster> {
        let Some((run, stock)) = &self.stock else { return Vec::new() };
        stock.leftovers().into_iter().map(|leftover| ToMaster::Leftover { run: *run, leftover }).collect()
    }

    /// Puts a message to a link; a link that is full is closed, since the messages that follow build on this one.
    fn send(&mut self, link: LinkId, message: ToMaster) -> Vec<Action> {
        let Some(outbox) = self.outboxes.get(&link) else { return Vec::new() };
        match outbox.try_send(message) {
            Ok(()) => return Vec::new(),
            Err(mpsc::error::TrySendError::Full(_)) => log::warn!(target: LOG_TARGET, "the link to the master is stuck, and is closed"),
            Err(mpsc::error::TrySendError::Closed(_)) => {}
        }
        self.outboxes.remove(&link);
        self.worker.on_link_gone(link, Instant::now())
    }

    fn dial(&self) {
        let (dialer, links, outcomes) = (self.dialer.clone(), self.links.clone(), self.outcome_sender.clone());
        tokio::spawn(async move {
            let dialled = tokio::time::timeout(DIAL_TIMEOUT, dialer.dial(links)).await;
            let failed = dialled.unwrap_or_else(|_| Err(format!("no answer within {} s", DIAL_TIMEOUT.as_secs())));
            if let Err(why) = failed {
                // A shell that is gone has no use for it.
                let _ = outcomes.send(Outcome::DialFailed(why)).await;
            }
        });
    }

    fn open(&mut self, plan: Arc<Plan>) {
        self.close_lanes();
        // What users of the run before still asked is none of this one's.
        self.courier = None;
        let (workshop, lanes, opening, outcomes) = (self.workshop.clone(), self.lanes, self.opening, self.outcome_sender.clone());
        tokio::spawn(async move {
            let run = plan.run;
            let opened = open_engine(workshop, plan, lanes).await.map(Box::new);
            if let Err(mpsc::error::SendError(Outcome::Opened { opened: Ok(engine), .. })) =
                outcomes.send(Outcome::Opened { opening, run, opened }).await
            {
                close(*engine).await;
            }
        });
    }

    fn act(&mut self, plan: Arc<Plan>, act: Act) {
        let (stop, cancelled) = oneshot::channel();
        self.acting = Some(stop);
        tokio::spawn(acting::perform(self.workshop.clone(), plan, act, cancelled, self.outcome_sender.clone()));
    }

    /// Compiles beside what the lanes run.
    fn renew(&self, plan: Arc<Plan>) {
        let Some(before) = self.engine.as_ref().map(|engine| engine.workload().clone()) else { return };
        let (workshop, opening, outcomes) = (self.workshop.clone(), self.opening, self.outcome_sender.clone());
        tokio::spawn(async move {
            let compiling = {
                let plan = plan.clone();
                tokio::task::spawn_blocking(move || workshop.renewal(&plan, &before))
            };
            let renewed = compiling.await.unwrap_or_else(|why| Err(no_end(&why)));
            // A shell that is gone has no use for it.
            let _ = outcomes.send(Outcome::Renewed { opening, plan, renewed }).await;
        });
    }

    fn tell(&self, what: impl FnOnce(&Engine<S::Workload>)) {
        if let Some(engine) = &self.engine {
            what(engine);
        }
    }

    fn close_lanes(&mut self) {
        self.opening += 1;
        let engine = self.engine.take();
        self.close_engine(engine);
    }

    fn close_engine(&mut self, engine: Option<Engine<S::Workload>>) {
        if let Some(engine) = engine {
            self.closings.spawn(close(engine));
        }
        // Those that are through need no more looking after.
        while self.closings.try_join_next().is_some() {}
    }

    fn publish(&mut self, now: Instant) {
        let second = Some(now.saturating_duration_since(self.since).as_secs());
        let status = self.worker.status(now);
        let told = |status: &WorkerStatus| (status.is_linked, status.lacks_script);
        let has_turned = told(&status) != told(&self.publisher.borrow().status);
        if has_turned || self.published != second {
            self.published = second;
            self.publisher.send_replace(WorkerReadings { status, vitals: Vitals::read() });
        }
    }
}

/// Compiles and opens; a workload that panics is a refusal like any other.
async fn open_engine<S: Workshop>(workshop: Arc<S>, plan: Arc<Plan>, lanes: usize) -> Result<Engine<S::Workload>, OpenRefusal> {
    let made = {
        let plan = plan.clone();
        tokio::task::spawn_blocking(move || workshop.workload(&plan)).await
    };
    let workload = made.map_err(|why| no_end(&why))??;
    Engine::open(&workload, &plan, lanes).await.map_err(|why| OpenRefusal { text: why.to_string(), differs: None })
}

async fn next_report<W: Workload>(engine: Option<&mut Engine<W>>) -> Option<LaneReport> {
    match engine {
        Some(engine) => engine.next_report().await,
        None => None,
    }
}

/// Waits until the lanes want rows.
async fn question(stock: Option<&(RunId, Arc<Stock>)>) {
    match stock {
        Some((_, stock)) => stock.question().await,
        None => std::future::pending().await,
    }
}

/// Waits until the lanes want something of the board.
async fn want(courier: Option<&Arc<Courier>>) {
    match courier {
        Some(courier) => courier.want().await,
        None => std::future::pending().await,
    }
}

async fn next_line(lines: Option<&mut mpsc::Receiver<LogLine>>) -> Option<LogLine> {
    match lines {
        Some(lines) => lines.recv().await,
        None => None,
    }
}

/// Waits for the lanes' threads without keeping this one from its other tasks.
async fn close<W: Workload>(engine: Engine<W>) {
    let left = engine.close(CLOSE_TIMEOUT).await;
    if left > 0 {
        log::warn!(target: LOG_TARGET, "{left} lane{} did not end within {} s", if left == 1 { "" } else { "s" }, CLOSE_TIMEOUT.as_secs());
    }
}

const WISHES: usize = 8;
const OUTCOMES: usize = 8;
const TICK: Duration = Duration::from_millis(50);
/// A dialer has deadlines of its own; this one is for a dialer that has not.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// The same once the worker itself ends: its process follows.
const LAST_CLOSE: Duration = Duration::from_millis(100);
const LOG_TARGET: &str = "lunamoth::worker";
