//! The master as people reach it: what they may ask for, and the snapshots that they see. Front ends know nothing else of it.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use super::catalogue::Catalogue;
use super::logs::LogFeed;
use super::message::Scripts;
use super::planner::{Declined, Planner, ScriptView};
use crate::plan::{RunId, StartOrder};
use crate::stats::snapshot::{ClassShare, Snapshot};

/// The master as front ends know it.
#[derive(Debug, Clone)]
pub struct MasterHandle {
    requests: mpsc::Sender<Request>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    catalogue: Arc<Catalogue>,
    logs: LogFeed,
}

impl MasterHandle {
    /// A handle, and the end that the master's shell listens at.
    #[must_use]
    pub fn new(snapshots: watch::Receiver<Arc<Snapshot>>, planner: Arc<dyn Planner>, logs: LogFeed) -> (Self, mpsc::Receiver<Request>) {
        let (requests, inbox) = mpsc::channel(REQUESTS);
        (Self { requests, snapshots, catalogue: Arc::new(Catalogue::new(planner)), logs }, inbox)
    }

    /// The snapshots, one a second; the last one of a run is its final one.
    #[must_use]
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    /// The newest lines of the log, the master's own and its workers'.
    #[must_use]
    pub fn logs(&self) -> &LogFeed {
        &self.logs
    }

    /// The scripts that a start may name, the default one first. They are evaluated for it, so that it may take a second; the answer may be a
    /// few seconds old.
    ///
    /// # Errors
    /// The scripts cannot be looked at. What is wrong with one of them is told in its view.
    pub async fn scripts(&self) -> Result<Arc<[ScriptView]>, Declined> {
        self.catalogue.scripts().await
    }

    /// The user classes and their tasks: of the run, or before the first one of the script that would be started. Empty where that cannot be.
    pub async fn tasks(&self) -> Vec<ClassShare> {
        let of_run = self.snapshots.borrow().classes.clone();
        if !of_run.is_empty() {
            return of_run;
        }
        let scripts = self.scripts().await.ok();
        let default = scripts.iter().flat_map(|scripts| scripts.iter()).find(|script| script.is_default);
        default.map(|script| script.classes.clone()).unwrap_or_default()
    }

    /// Starts a run, or re-targets the one that is under way. `by` says who asks, for the log.
    ///
    /// # Errors
    /// Why it is not done, for people.
    pub async fn start(&self, order: StartOrder, by: &str) -> Result<Accepted, Declined> {
        self.ask(Command::Start(order), by).await
    }

    /// Lets the users finish. Answers at once; the run's state tells when it is over.
    ///
    /// # Errors
    /// The master is gone.
    pub async fn stop(&self, by: &str) -> Result<Accepted, Declined> {
        self.ask(Command::Stop, by).await
    }

    /// Drops the users that still live.
    ///
    /// # Errors
    /// The master is gone.
    pub async fn cut(&self, by: &str) -> Result<Accepted, Declined> {
        self.ask(Command::Cut, by).await
    }

    /// Lets no iteration begin until the run is resumed; users keep what they have.
    ///
    /// # Errors
    /// No run is under way.
    pub async fn pause(&self, by: &str) -> Result<Accepted, Declined> {
        self.ask(Command::Pause, by).await
    }

    /// Lets a paused run go on.
    ///
    /// # Errors
    /// No run is under way.
    pub async fn resume(&self, by: &str) -> Result<Accepted, Declined> {
        self.ask(Command::Resume, by).await
    }

    /// Clears the statistics; the run goes on.
    ///
    /// # Errors
    /// The master is gone.
    pub async fn reset(&self, by: &str) -> Result<Accepted, Declined> {
        self.ask(Command::Reset, by).await
    }

    /// Tells what the master's own folder of scripts holds, so that workers can be compared with it before a start.
    ///
    /// # Errors
    /// The master is gone.
    pub async fn note_scripts(&self, scripts: Scripts) -> Result<Accepted, Declined> {
        self.ask(Command::NoteScripts(scripts), "").await
    }

    /// The running test shall take over what the master's folder of scripts holds; nothing happens where none runs. What comes of it is told
    /// in the log and in snapshots.
    ///
    /// # Errors
    /// The master is gone.
    pub async fn revise(&self) -> Result<Accepted, Declined> {
        self.ask(Command::Revise, "").await
    }

    /// Ends the run as bad use, for these reasons.
    ///
    /// # Errors
    /// The master takes no orders any more.
    pub async fn misuse(&self, why: String) -> Result<Accepted, Declined> {
        self.ask(Command::Misuse(why), "").await
    }

    async fn ask(&self, command: Command, by: &str) -> Result<Accepted, Declined> {
        let (reply, answer) = oneshot::channel();
        let gone = || Declined { reason: "the master takes no orders any more: its run is over, or it is shutting down".into() };
        self.requests.send(Request { command, by: by.to_owned(), reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

/// One thing that somebody asks for.
#[derive(Debug)]
pub struct Request {
    /// What the master shall do.
    pub command: Command,
    /// Who asks, for the log: an address, a key's name.
    pub by: String,
    /// Where the answer goes; whoever asked may have given up.
    pub reply: oneshot::Sender<Result<Accepted, Declined>>,
}

/// What people tell the master.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Start, or re-target what runs.
    Start(StartOrder),
    /// Users finish, within the plan's stop timeout.
    Stop,
    /// Users that still live are dropped.
    Cut,
    /// No iteration begins until the run is resumed.
    Pause,
    /// Iterations begin again after a pause.
    Resume,
    /// The statistics are cleared.
    Reset,
    /// The run cannot go on, for what its script does on the master: it is cut, and ends as bad use.
    Misuse(String),
    /// The master's folder of scripts has changed.
    NoteScripts(Scripts),
    /// The running test takes changed scripts over.
    Revise,
}

/// The answer to a command that was carried out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Accepted {
    /// The run that it was carried out on; of a start, the one it began.
    pub run: RunId,
    /// The base URL of that run; `None` where it has none.
    pub host: Option<String>,
    /// Which profile applies, for people.
    pub words: String,
}

const REQUESTS: usize = 64;
