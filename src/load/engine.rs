//! The engine: all lanes of one worker. Opens them, tells them to begin, to stop and to cut, and gathers their reports.
//!
//! Owns threads and channels; the lanes' loop is `lane`'s. One message a second and lane crosses the channel.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use super::lane::{Lane, LaneCommand, LaneReport, recorder_for};
use super::slots::SlotSet;
use super::{LaneContext, Workload};
use crate::plan::Plan;
use crate::stats::tally::Tally;

/// The lanes of one run on one machine.
#[derive(Debug)]
pub struct Engine {
    lanes: Vec<LaneHandle>,
    reports: mpsc::Receiver<LaneReport>,
    /// Lanes that have not sent their last report.
    unfinished: usize,
}

/// Why an engine could not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenEngineError {
    /// The workload refused, in words for people.
    #[error("{0}")]
    Workload(String),
    /// The operating system gave no thread or runtime.
    #[error("start lane {lane}: {source}")]
    Thread {
        /// Which lane, 0-based.
        lane: usize,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Engine {
    /// Opens `lanes` lanes that share the users of `slots`; returns when all of them have compiled what they run.
    ///
    /// # Errors
    /// When one lane cannot be opened; the others are closed again.
    pub async fn open<W: Workload>(
        workload: &Arc<W>,
        plan: &Arc<Plan>,
        slots: &SlotSet,
        lanes: usize,
    ) -> Result<Self, OpenEngineError> {
        let (report_sender, reports) = mpsc::channel(lanes * REPORTS_A_LANE);
        let mut engine = Self { lanes: Vec::with_capacity(lanes), reports, unfinished: lanes };
        let mut openings = Vec::with_capacity(lanes);
        for (number, slots) in slots.deal(lanes).into_iter().enumerate() {
            let (opened, opening) = oneshot::channel();
            let (commands, inbox) = mpsc::channel(COMMANDS);
            let seat = Seat { workload: workload.clone(), plan: plan.clone(), number, slots, reports: report_sender.clone() };
            let thread = thread::Builder::new()
                .name(format!("lane-{number}"))
                .spawn(move || seat.run(inbox, opened))
                .map_err(|source| OpenEngineError::Thread { lane: number, source })?;
            engine.lanes.push(LaneHandle { commands, thread });
            openings.push(opening);
        }
        for opening in openings {
            opening.await.unwrap_or_else(|_| Err("the lane ended before it was open".into())).map_err(OpenEngineError::Workload)?;
        }
        Ok(engine)
    }

    /// The run begins; `zero` is time zero of its clock.
    pub fn begin(&self, zero: Instant) {
        self.tell(LaneCommand::Begin(zero));
    }

    /// Users finish, within the plan's stop timeout.
    pub fn stop(&self) {
        self.tell(LaneCommand::Stop);
    }

    /// Users that still live are dropped.
    pub fn cut(&self) {
        self.tell(LaneCommand::Cut);
    }

    fn tell(&self, command: LaneCommand) {
        for lane in &self.lanes {
            // A lane takes commands at each turn; one whose box is full or gone has been told to stop before, or is finished.
            let _ = lane.commands.try_send(command);
        }
    }

    /// The next report of any lane; `None` once each has sent its last, or ended without one.
    pub async fn next_report(&mut self) -> Option<LaneReport> {
        if self.unfinished == 0 {
            return None;
        }
        let report = self.reports.recv().await?;
        if report.is_finished {
            self.unfinished -= 1;
        }
        Some(report)
    }

    /// Whether every lane has sent its last report.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.unfinished == 0
    }

    /// Waits for the lanes' threads.
    pub fn close(self) {
        // Dropping the command channels ends lanes that have not been told to.
        let threads: Vec<_> = self.lanes.into_iter().map(|lane| lane.thread).collect();
        for thread in threads {
            // A lane's panic was caught in the lane and reported.
            let _ = thread.join();
        }
    }
}

#[derive(Debug)]
struct LaneHandle {
    commands: mpsc::Sender<LaneCommand>,
    thread: thread::JoinHandle<()>,
}

/// What a lane's thread takes with it.
struct Seat<W> {
    workload: Arc<W>,
    plan: Arc<Plan>,
    number: usize,
    slots: SlotSet,
    reports: mpsc::Sender<LaneReport>,
}

impl<W: Workload> Seat<W> {
    fn run(self, inbox: mpsc::Receiver<LaneCommand>, opened: oneshot::Sender<Result<(), String>>) {
        let reports = self.reports.clone();
        let lane = self.number;
        if catch_unwind(AssertUnwindSafe(|| self.serve(inbox, opened))).is_err() {
            log::error!("lane {lane} panicked: this is a bug of Lunamoth's; its last second is lost");
            let tally = Tally::default();
            let report = LaneReport { lane, tally, users: 0, is_exhausted: false, is_finished: true, panics: 1, misuse: None };
            // The thread has nothing else to do than wait; a worker that is gone answers at once.
            let _ = reports.blocking_send(report);
        }
    }

    fn serve(self, inbox: mpsc::Receiver<LaneCommand>, opened: oneshot::Sender<Result<(), String>>) {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(why) => return drop(opened.send(Err(format!("start the lane's runtime: {why}")))),
        };
        let tasks = tokio::task::LocalSet::new();
        let recorder = recorder_for(&self.plan);
        let context = LaneContext { plan: self.plan.clone(), lane: self.number, recorder: recorder.clone() };
        tasks.block_on(&runtime, async {
            match self.workload.open_lane(context) {
                Ok(workload) => {
                    // Without a listener the opening was given up; the closed inbox ends the lane at once.
                    let _ = opened.send(Ok(()));
                    Lane::new(workload, self.number, self.plan, self.slots, recorder, self.reports).run(inbox).await;
                }
                Err(why) => drop(opened.send(Err(why))),
            }
        });
    }
}

const COMMANDS: usize = 8;
/// Reports of one lane that may wait for the worker: more than it can miss in an ordinary stall.
const REPORTS_A_LANE: usize = 8;
