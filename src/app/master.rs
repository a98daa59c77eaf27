//! `lunamoth master`: plans runs, lets workers in, and tells people what comes of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::ending::{ending, on_signal, rules, with_files};
use super::failure::Failure;
use super::files::{RunFiles, keep_report, kept_report};
use super::planner::FolderPlanner;
use super::reload::{Compiled, WatchedFolder, identity};
use super::signals::{KEYS, Signals, note_report};
use super::start::{MAIN, Start, run_to_end};
use super::steering::steer_all;
use super::tui;
use super::web::api_context;
use crate::cluster::handle::MasterHandle;
use crate::cluster::identity::Identities;
use crate::cluster::journal::{Journal, JournalError};
use crate::cluster::master::{FailureCause, MasterConfig};
use crate::cluster::message::{OrphanRules, Scripts};
use crate::cluster::planner::Planner;
use crate::cluster::record::KeptRun;
use crate::cluster::remote::WorkerDoor;
use crate::cluster::serve_master::{Ended, MasterSetup, MasterShell};
use crate::cluster::sole::{another_answers, another_has_the_older_claim};
use crate::cluster::transport::{Instance, MasterEndpoint};
use crate::config::{OnTerm, OrphanMode, ReloadMode, Settings};
use crate::front::api::ApiServer;
use crate::front::console::{Evidence, ExitCode, Interrupt, Printer, PrinterOptions, TABLE_WIDTH, closing, final_report, verdict};
use crate::front::tui::{Door, LocalFeed};
use crate::plan::StartOrder;
use crate::script::{LoadOptions, ScriptFolder, short_fingerprint};
use crate::stats::snapshot::{RunState, Snapshot, WorkerState, WorkerView};

pub(super) fn run_master(start: &Start) -> Result<u8, Failure> {
    let settings = &start.settings;
    let folder = settings.scripts_folder().map_err(Failure::bad_use)?;
    let folder = ScriptFolder::open(folder, settings.script.as_deref().and_then(|script| script.to_str())).map_err(Failure::bad_use)?;
    let bind = settings.cluster_bind().map_err(Failure::bad_use)?;
    let (identities, files) = (start.identities()?, RunFiles::create(settings)?);
    let (journal, kept) = open_journal(start)?;
    let had_run = settings.state.is_none() || kept.as_ref().is_some_and(|kept| !kept.is_over);
    let options = LoadOptions { tags: settings.tag_filter(), env: settings.set.clone(), data: settings.data.clone() };
    let watched = WatchedFolder::compile(folder.clone(), options);
    let (planner, steered) = FolderPlanner::new(settings, folder);
    let hosts = planner.hosts(watched.compiled());
    let offered = Arc::clone(&planner);
    let is_quiet = settings.quiet || settings.tui || !settings.print_stats;
    let options = PrinterOptions { print_interval: settings.print_interval, is_quiet, by: settings.by.clone() };
    let printer = Printer::new(start.screen.clone(), options);
    let (done, followed) = run_to_end(async {
        await_being_alone(settings, &identities).await?;
        let endpoint = MasterEndpoint::bind(bind, &identities).map_err(Failure::bad_use)?;
        let (address, instance) = (endpoint.local_address(), endpoint.instance());
        let shell = MasterShell::start(MasterSetup { config: master_config(settings), planner, journal, kept, logs: start.logs.clone() });
        tokio::spawn(steer_all(steered, shell.handle().clone()));
        tokio::spawn(follow_scripts(watched, Arc::clone(&offered), shell.handle().clone(), settings.reload)?);
        let door = WorkerDoor::open(endpoint, shell.links().clone());
        let api = ApiServer::start(settings.web_bind(), api_context(settings, shell.handle().clone(), hosts, Some(address.port()))?)
            .map_err(Failure::bad_use)?;
        log::info!(target: MAIN, "Starting web monitor at {}", api.shown());
        log::info!(target: MAIN, "Starting Lunamoth {}", env!("CARGO_PKG_VERSION"));
        log::info!(target: MAIN, "workers come in at UDP {address}");
        let followed = printer.follow_runs(shell.handle().snapshots()).map_err(Failure::bug)?;
        let (key, pressed) = mpsc::channel(KEYS);
        let named = Arc::clone(&offered);
        let local = tui::local_feed(shell.handle().clone(), move || named.script_names());
        let _ssh = tui::serve_ssh(start, local.clone())?;
        let left = show_screen(start, local, key)?;
        let serving = Serving {
            settings,
            planner: offered,
            printer,
            files,
            handle: shell.handle().clone(),
            interrupt: Interrupt::None,
            code: ExitCode::Passed,
            lingers_until: None,
            pressed,
        };
        let done = tokio::select! {
            done = serving.serve(&shell, had_run) => done,
            lost = lose_the_name(settings, &identities, instance) => lost.map(|()| Done::GaveWay),
        };
        take_leave(&done, shell, api, door).await;
        if let Some(left) = left {
            // It ends with the snapshots.
            drop(tokio::time::timeout(SCREEN_END, left).await);
        }
        Ok((done, followed))
    })?;
    // The printer ends with the last sender of snapshots, which went with the runtime.
    drop(followed.join());
    Ok(match done? {
        Done::Verdict(code) => code.code(),
        Done::HandedOver => ExitCode::Passed.code(),
        Done::GaveWay => ExitCode::BadUse.code(),
    })
}

/// Ends what a master serves: a run that it leaves to the next one stays with the workers.
async fn take_leave(done: &Result<Done, Failure>, shell: MasterShell, api: ApiServer, door: WorkerDoor) {
    let reason = if let Ok(Done::HandedOver | Done::GaveWay) = done {
        if is_under_way(&shell.handle().snapshots()) {
            log::info!(target: MAIN, "the run is left to the next master");
        }
        shell.hand_over().await;
        "the run is left to the next master"
    } else {
        api.stop().await;
        shell.close().await;
        "the master ends"
    };
    door.close(reason).await;
}

/// `--sole`: workers that come to one name shall come to one master.
async fn await_being_alone(settings: &Settings, identities: &Identities) -> Result<(), Failure> {
    let Some(name) = settings.sole.as_ref().map(ToString::to_string) else { return Ok(()) };
    let mut is_told = false;
    while another_answers(identities, &name).await.map_err(Failure::bad_use)? {
        if !std::mem::replace(&mut is_told, true) {
            log::warn!(target: MAIN, "another master answers at {name}: this one serves nobody until that is gone. Is one too many running?");
        }
        tokio::time::sleep(SOLE_PAUSE).await;
    }
    Ok(())
}

/// `--sole` of masters that began at the same moment, before any of them listened: returns in the one that is to give way, else never.
async fn lose_the_name(settings: &Settings, identities: &Identities, own: Instance) -> Result<(), Failure> {
    let Some(name) = settings.sole.as_ref().map(ToString::to_string) else { return std::future::pending().await };
    for pause in SOLE_LOOKS_S.map(Duration::from_secs) {
        tokio::time::sleep(pause).await;
        if another_has_the_older_claim(identities, &name, own).await.map_err(Failure::bad_use)? {
            log::error!(
                target: MAIN,
                "another master began to answer at {name} as this one did, and that one stays: this one ends. Is one too many running?"
            );
            return Ok(());
        }
    }
    std::future::pending().await
}

/// The terminal UI of the master's own terminal, where it is wanted; what is answered ends when it is left.
fn show_screen(start: &Start, local: LocalFeed, key: mpsc::Sender<()>) -> Result<Option<JoinHandle<()>>, Failure> {
    if !tui::is_wanted(&start.settings, false)? {
        return Ok(None);
    }
    let shown = tui::show(start, Door::Master, local, key)?;
    Ok(Some(tokio::task::spawn_blocking(move || {
        shown.join();
        log::info!(target: MAIN, "the terminal UI has been left");
    })))
}

/// Tells the cluster what the master's own folder holds, as often as that changes. A run that is under way goes on as it was, or takes the
/// change over.
fn follow_scripts(
    watched: WatchedFolder,
    planner: Arc<FolderPlanner>,
    master: MasterHandle,
    mode: ReloadMode,
) -> Result<impl Future<Output = ()>, Failure> {
    let mut current = as_scripts(watched.compiled(), Scripts::default());
    let mut changes = watched.watch()?;
    Ok(async move {
        // A master that is gone has nobody to tell it to.
        while master.note_scripts(current.clone()).await.is_ok() {
            let Some(change) = changes.recv().await else { return };
            if mode == ReloadMode::Live {
                // Before it is asked for.
                planner.note_change(change.clone());
                if master.revise().await.is_err() {
                    return;
                }
            }
            if change.is_same {
                continue;
            }
            current = as_scripts(&change.compiled, current);
            match (&current.error, current.script.as_str()) {
                (Some(why), _) => log::error!(target: MAIN, "the scripts have changed, and no run can start as they are: {why}"),
                (None, "") => {}
                (None, script) => {
                    let fingerprint = short_fingerprint(&current.fingerprint);
                    log::info!(target: MAIN, "the scripts have changed: the next start uses {script} as of {fingerprint}");
                }
            }
        }
    })
}

/// What has been compiled, or `before` with the reason why that has not.
fn as_scripts(compiled: &Compiled, before: Scripts) -> Scripts {
    match identity(compiled) {
        Ok((script, fingerprint)) => Scripts { script, fingerprint, error: None },
        Err(why) => Scripts { error: Some(why), ..before },
    }
}

fn master_config(settings: &Settings) -> MasterConfig {
    MasterConfig {
        orphan: OrphanRules { timeout: settings.orphan_timeout, pauses: settings.orphan == OrphanMode::Pause },
        skew_timeout: settings.skew_timeout,
        allows_skew: settings.allow_script_skew,
        adopts: !settings.no_adopt,
        has_journal: settings.state.is_some(),
    }
}

/// The journal and the run in it, and what else a master before has left in the state directory: the report of its last run, for people.
fn open_journal(start: &Start) -> Result<(Option<Journal>, Option<KeptRun>), Failure> {
    let settings = &start.settings;
    let Some(folder) = &settings.state else {
        log::info!(target: MAIN, "nothing is kept on disk, for want of --state DIR: what workers have handed in and left dies with this master");
        return Ok((None, None));
    };
    let begin = Instant::now();
    let (journal, kept) = loop {
        match Journal::open(folder) {
            // The master before leaves the run to this one, and may be about to end.
            Err(JournalError::Locked { .. }) if settings.on_term == OnTerm::Handover && begin.elapsed() < LOCK_PATIENCE => {
                std::thread::sleep(LOCK_PAUSE);
            }
            opened => break opened.map_err(Failure::bad_use)?,
        }
    };
    if journal.cut_off_bytes() > 0 {
        let path = journal.path().display();
        log::warn!(target: MAIN, "`{path}` had a broken end, and {} bytes of it were cut off", journal.cut_off_bytes());
    }
    if let Some(report) = kept_report(folder) {
        start.screen.print(&format!("The last run that a master with this state directory has brought to its end:\n{report}"));
    }
    Ok((Some(journal), kept))
}

/// How a master came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    Verdict(ExitCode),
    HandedOver,
    /// To another master that began at the same moment.
    GaveWay,
}

/// What a master does besides leading workers: it listens for signals, starts what shall start by itself, and reports each run.
struct Serving<'a> {
    settings: &'a Settings,
    planner: Arc<dyn Planner>,
    printer: Printer,
    files: RunFiles,
    handle: MasterHandle,
    interrupt: Interrupt,
    /// The verdict on the last run.
    code: ExitCode,
    /// The run that started by itself is over; until then who wants its report may still ask.
    lingers_until: Option<Instant>,
    /// Ctrl-C in the terminal UI.
    pressed: mpsc::Receiver<()>,
}

impl Serving<'_> {
    async fn serve(mut self, shell: &MasterShell, may_be_brought_a_run: bool) -> Result<Done, Failure> {
        // A master outlives the terminal that it was started from.
        let mut signals = Signals::new()?.without_hangup().with_key(std::mem::replace(&mut self.pressed, mpsc::channel(1).1));
        let (mut snapshots, mut ends) = (shell.handle().snapshots(), shell.ends());
        let starting = start_by_itself(self.settings, Arc::clone(&self.planner), self.handle.clone(), may_be_brought_a_run);
        tokio::pin!(starting);
        let mut is_starting = self.settings.autostart;
        loop {
            tokio::select! {
                biased;
                changed = ends.changed() => {
                    if changed.is_err() {
                        return Err(Failure::bug(anyhow::anyhow!("the master has ended without a word")));
                    }
                    let ended = ends.borrow_and_update().clone();
                    if let Some(ended) = ended {
                        self.report(&ended).await?;
                        if self.interrupt != Interrupt::None || (self.settings.autostart && self.linger_time().is_zero()) {
                            return Ok(Done::Verdict(self.code));
                        }
                        self.linger();
                    }
                }
                Ok(()) = snapshots.changed() => {
                    let snapshot = snapshots.borrow_and_update().clone();
                    self.files.on_snapshot(&snapshot);
                }
                started = &mut starting, if is_starting => {
                    is_starting = false;
                    started?;
                }
                () = until(self.lingers_until) => return Ok(Done::Verdict(self.code)),
                () = signals.next() => {
                    if self.lingers_until.is_some() {
                        return Ok(Done::Verdict(self.code));
                    }
                    if self.settings.on_term == OnTerm::Handover && self.interrupt == Interrupt::None && is_under_way(&snapshots) {
                        return Ok(Done::HandedOver);
                    }
                    if !is_under_way(&snapshots) && self.interrupt == Interrupt::None {
                        // A start that was waited for has no verdict.
                        let code = if self.settings.autostart { ExitCode::Interrupted } else { ExitCode::Passed };
                        return Ok(Done::Verdict(code));
                    }
                    self.interrupt = on_signal(self.interrupt, &self.handle).await;
                }
            }
        }
    }

    /// How long a run that started by itself can be looked at when it is over.
    fn linger_time(&self) -> Duration {
        self.settings.linger.unwrap_or(Duration::ZERO)
    }

    fn linger(&mut self) {
        if self.settings.autostart {
            let (linger, code) = (self.linger_time(), self.code.code());
            log::info!(target: MAIN, "the run is over, and its report can be fetched for {} s; the exit code will be {code}", linger.as_secs());
            self.lingers_until = Some(Instant::now() + linger);
        }
    }

    /// Tells people of a run that is over.
    async fn report(&mut self, ended: &Ended) -> Result<(), Failure> {
        let Ended { end, last, .. } = ended;
        self.code = verdict(&Evidence::of(last), ending(end, self.interrupt), rules(self.settings));
        let misuse = end.failure.as_ref().filter(|failure| failure.cause == FailureCause::BadUse);
        if let Some(failure) = misuse.filter(|_| last.total.requests == 0) {
            // Nothing worth a table happened; the reason is what a person needs. Files tell of this run, not of the one before.
            let reason = anyhow::anyhow!("{}", failure.text);
            if let Err(failure) = self.files.finish(last, &closing(last, self.code, end.is_complete)).await {
                log::error!(target: MAIN, "{}", failure.reason);
            }
            if self.settings.autostart {
                return Err(Failure { code: self.code, reason });
            }
            log::error!(target: MAIN, "the run came to nothing: {reason}");
            return Ok(());
        }
        if self.interrupt != Interrupt::None || self.settings.autostart {
            // The last one of this process.
            note_report(self.code.code());
        }
        self.printer.report(last, self.code);
        if let Some(folder) = self.settings.state.clone() {
            let text = final_report(last, self.code, TABLE_WIDTH, false, &self.settings.by);
            if let Err(failure) = keep_report(folder, Arc::clone(last), closing(last, self.code, end.is_complete), text).await {
                log::error!(target: MAIN, "the report is not in the state directory: {}", failure.reason);
            }
        }
        if let Some(failure) = &end.failure {
            let words = if misuse.is_some() { "the run came to nothing" } else { "the run is not whole" };
            log::error!(target: MAIN, "{words}: {}", failure.text);
        }
        match self.files.finish(last, &closing(last, self.code, end.is_complete)).await {
            // Other runs may follow, and have files of their own.
            Err(failure) if !self.settings.autostart => log::error!(target: MAIN, "{}", failure.reason),
            written => self.code = with_files(self.code, written)?,
        }
        Ok(())
    }
}

/// `--autostart`: the run of the settings, once the expected workers are ready; or the one that they bring from another master.
async fn start_by_itself(
    settings: &Settings,
    planner: Arc<dyn Planner>,
    master: MasterHandle,
    may_be_brought_a_run: bool,
) -> Result<(), Failure> {
    let mut snapshots = master.snapshots();
    // Before anybody is waited for: workers with the same broken script would never come.
    let planning = tokio::task::spawn_blocking(move || planner.plan(&StartOrder::default()));
    let planned = planning.await.map_err(Failure::bug)?.map_err(|why| Failure::bad_use(anyhow::anyhow!("the run cannot start: {why}")));
    if may_be_brought_a_run {
        if let Err(failure) = &planned {
            // A run that is brought needs no plan; who waits for this one shall know by now that it will not come.
            log::error!(target: MAIN, "{}", failure.reason);
        }
        log::info!(target: MAIN, "waiting {} s for workers that bring a run of another master's", BRING_TIME.as_secs());
        let brought = snapshots.wait_for(|snapshot| !matches!(snapshot.state, RunState::Ready | RunState::Stopped));
        if tokio::time::timeout(BRING_TIME, brought).await.is_ok() {
            return Ok(());
        }
    }
    planned?;
    let expected = settings.expect_workers as usize;
    log::info!(target: MAIN, "waiting for {expected} ready worker{}", if expected == 1 { "" } else { "s" });
    // A start itself waits for those whose scripts differ, and names them.
    let is_ready = |worker: &&WorkerView| matches!(worker.state, WorkerState::Ready | WorkerState::Differs);
    let ready = |snapshot: &Arc<Snapshot>| snapshot.workers.iter().filter(is_ready).count();
    let limit = settings.expect_workers_timeout;
    // The master's end is told by itself.
    let waited = tokio::time::timeout(limit, snapshots.wait_for(|snapshot| ready(snapshot) >= expected)).await.is_ok();
    if !waited {
        let reason = missing_workers(&snapshots.borrow(), expected, limit);
        return Err(Failure { code: ExitCode::ClusterLost, reason: anyhow::anyhow!(reason) });
    }
    master.start(StartOrder::default(), "--autostart").await.map(drop).map_err(Failure::bad_use)
}

/// Why a run did not start for which too few workers came, in words for people.
fn missing_workers(snapshot: &Snapshot, expected: usize, limit: Duration) -> String {
    let (ready, others): (Vec<_>, Vec<_>) = snapshot.workers.iter().partition(|worker| worker.state == WorkerState::Ready);
    let count = ready.len();
    let mut text = format!(
        "{count} of {expected} expected workers {} ready within {} s (--expect-workers-timeout)",
        if count == 1 { "was" } else { "were" },
        limit.as_secs_f64()
    );
    for worker in others {
        let why = worker.script_error.as_ref().map_or_else(String::new, |error| format!(", {error}"));
        text.push_str(&format!("; {} is {}{why}", worker.host, worker.state.name()));
    }
    if snapshot.workers.is_empty() {
        text.push_str("; none has come in at all: do they run, do they reach this master by UDP, and have they its secret?");
    }
    text
}

/// Never, where there is no such moment.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}

fn is_under_way(snapshots: &watch::Receiver<Arc<Snapshot>>) -> bool {
    !matches!(snapshots.borrow().state, RunState::Ready | RunState::Stopped)
}

/// Between two looks for other masters.
const SOLE_PAUSE: Duration = Duration::from_secs(1);

/// When a master that serves looks for others that began as it did: it may take a service some seconds to lead to both.
const SOLE_LOOKS_S: [u64; 5] = [1, 2, 4, 8, 16];

/// How long the state directory of a master that ends is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);
const LOCK_PAUSE: Duration = Duration::from_millis(200);

/// How long the screen may take to give the terminal back.
const SCREEN_END: Duration = Duration::from_secs(5);

/// How long `--autostart` waits for workers that are in the middle of a run.
const BRING_TIME: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::cluster::logs::LogFeed;
    use crate::cluster::planner::{Planned, ScriptView};

    /// Plans nothing, and notes that it was asked to.
    #[derive(Default)]
    struct Broken {
        was_asked: AtomicBool,
    }

    impl Planner for Broken {
        fn plan(&self, _order: &StartOrder) -> Result<Planned, String> {
            self.was_asked.store(true, Ordering::Relaxed);
            Err("main.lua:2: no".to_owned())
        }

        fn scripts(&self) -> Vec<ScriptView> {
            Vec::new()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_that_cannot_start_is_looked_at_before_workers_that_may_bring_one_are_waited_for() {
        let (publish, snapshots) = watch::channel(Arc::new(Snapshot::default()));
        let planner = Arc::new(Broken::default());
        let (master, _inbox) = MasterHandle::new(snapshots, planner.clone(), LogFeed::default());
        let settings = Settings::default();
        let starting = start_by_itself(&settings, planner.clone(), master.clone(), true);
        tokio::pin!(starting);
        assert!(tokio::time::timeout(BRING_TIME / 2, &mut starting).await.is_err(), "a worker may still bring a run");
        assert!(planner.was_asked.load(Ordering::Relaxed));
        let failure = starting.await.unwrap_err();
        assert_eq!((failure.code, failure.reason.to_string()), (ExitCode::BadUse, "the run cannot start: main.lua:2: no".to_owned()));
        publish.send_replace(Arc::new(Snapshot { state: RunState::Running, ..Snapshot::default() }));
        assert!(start_by_itself(&settings, planner, master, true).await.is_ok(), "a run that is brought needs no plan");
    }

    #[test]
    fn workers_that_did_not_come_are_told_with_the_reason_of_those_who_could_not() {
        let worker = |host: &str, state, error: Option<&str>| WorkerView {
            host: host.to_owned(),
            state,
            script_error: error.map(str::to_owned),
            ..WorkerView::default()
        };
        let workers = vec![worker("w1", WorkerState::Ready, None), worker("w2", WorkerState::Lost, Some("main.lua:1: no"))];
        let text = missing_workers(&Snapshot { workers, ..Snapshot::default() }, 3, Duration::from_secs(300));
        assert_eq!(text, "1 of 3 expected workers was ready within 300 s (--expect-workers-timeout); w2 is missing, main.lua:1: no");
        assert!(missing_workers(&Snapshot::default(), 1, Duration::from_secs(5)).contains("none has come in at all"));
    }
}
