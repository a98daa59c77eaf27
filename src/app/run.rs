//! `lunamoth run`: master and worker in this process, until the run is over.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::{mpsc, watch};

use super::ending::{ending, on_signal, rules, with_files};
use super::failure::Failure;
use super::files::RunFiles;
use super::floor::measured_floor;
use super::linger::{Linger, linger};
use super::plan::{load_script, prepare};
use super::signals::{KEYS, Signals, note_report};
use super::start::{MAIN, Start, lanes, run_to_end};
use super::steering::steer;
use super::tui;
use super::web::api_context;
use crate::cluster::local::LocalRun;
use crate::cluster::master::{FailureCause, RunEnd, RunStart};
use crate::config::Settings;
use crate::front::api::ApiServer;
use crate::front::console::{Evidence, ExitCode, Interrupt, Printer, PrinterOptions, closing, verdict};
use crate::front::tui::Door;
use crate::load::shape::Shape;
use crate::load::vitals;
use crate::plan::{ArrivalsProfile, LoadProfile, Plan};
use crate::stats::snapshot::{RunState, Snapshot};

pub(super) fn run_script(start: &Start) -> Result<u8, Failure> {
    let settings = &start.settings;
    let host = load_script(start)?;
    let prepared = prepare(settings, &host)?;
    let files = RunFiles::create(settings)?;
    log::info!("{}", prepared.profile_words);
    log::info!("seed: {seed} (--seed {seed} repeats this run's decisions)", seed = prepared.plan.seed);
    warn_of_limits(&prepared.plan);
    let lanes = lanes(settings)?;
    let has_ui = tui::is_wanted(settings, true)?;
    let floor = measured_floor(settings);
    let options = PrinterOptions { print_interval: settings.print_interval, is_quiet: settings.quiet || has_ui, by: settings.by.clone() };
    let printer = Printer::new(start.screen.clone(), options);
    let run_start = RunStart { plan: prepared.plan.clone(), thresholds: prepared.thresholds.clone(), wall: SystemTime::now() };
    let hosts = settings.allow_host.iter().cloned().chain(prepared.plan.host.clone()).collect();
    let done = run_to_end(async {
        let mut signals = Signals::new()?;
        let run = LocalRun::start(Arc::new(host.workload()), run_start, lanes, floor, start.logs.clone());
        if let Some(steered) = prepared.steered.clone() {
            tokio::spawn(steer(steered, run.handle.clone()));
        }
        let api = match settings.run_web_bind() {
            Some(address) => {
                Some(ApiServer::start(address, api_context(settings, run.handle.clone(), hosts, None)?).map_err(Failure::bad_use)?)
            }
            None => None,
        };
        if let Some(api) = &api {
            log::info!(target: MAIN, "Starting web monitor at {}", api.shown());
        } else if settings.linger.is_some() {
            log::warn!("--linger keeps page and API, which only --web brings");
        }
        let (key, pressed) = mpsc::channel(KEYS);
        signals = signals.with_key(pressed);
        let local = tui::local_feed(run.handle.clone(), Vec::new);
        let shown = if has_ui { Some(tui::show(start, Door::Run, local, key)?) } else { None };
        let outcome = follow(run, &printer, files, settings, &mut signals).await;
        if let Some(shown) = shown {
            shown.join();
        }
        let outcome = outcome?;
        let interrupt = outcome.interrupt;
        let done = report(&printer, outcome, &mut signals).await;
        if let Some(api) = api {
            if done.is_ok() {
                linger(Linger::of(settings.linger, interrupt, has_ui), &api.shown(), &mut signals).await;
            }
            api.stop().await;
        }
        done
    });
    done.map(ExitCode::code)
}

/// Prints the report of a run that is over, and writes its files; the answer is its verdict.
async fn report(printer: &Printer, outcome: Outcome, signals: &mut Signals) -> Result<ExitCode, Failure> {
    let Outcome { last, end, exit_code, mut files, .. } = outcome;
    let misuse = end.failure.as_ref().filter(|failure| failure.cause == FailureCause::BadUse);
    let closing = closing(&last, exit_code, end.is_complete);
    if let Some(failure) = misuse.filter(|_| last.total.requests == 0) {
        // Nothing worth a table happened; the reason is what a person needs.
        if let Err(failure) = files.finish(&last, &closing).await {
            log::error!("{}", failure.reason);
        }
        return Err(Failure { code: exit_code, reason: anyhow::anyhow!("{}", failure.text) });
    }
    printer.report(&last, exit_code);
    if let Some(failure) = &end.failure {
        log::error!("{}: {}", if misuse.is_some() { "the run came to nothing" } else { "the run is not whole" }, failure.text);
    }
    // What ends the program while they are written leaves them out.
    note_report(if exit_code == ExitCode::Bug { exit_code } else { ExitCode::BadUse }.code());
    let written = files.finish(&last, &closing);
    tokio::pin!(written);
    let written = loop {
        tokio::select! {
            biased;
            written = &mut written => break written,
            () = signals.next() => log::info!("the report's files are being written; once more ends the program without them"),
        }
    };
    let exit_code = with_files(exit_code, written)?;
    note_report(exit_code.code());
    Ok(exit_code)
}

/// How a run went, for the verdict and the files.
pub(super) struct Outcome {
    pub(super) last: Arc<Snapshot>,
    pub(super) end: RunEnd,
    pub(super) interrupt: Interrupt,
    pub(super) exit_code: ExitCode,
    pub(super) files: RunFiles,
}

/// Shows a run while it lasts, listens for signals, and waits for its end.
pub(super) async fn follow(
    run: LocalRun,
    printer: &Printer,
    files: RunFiles,
    settings: &Settings,
    signals: &mut Signals,
) -> Result<Outcome, Failure> {
    let snapshots = run.handle.snapshots();
    let screen = printer.follow(snapshots.clone()).map_err(Failure::bug)?;
    let files = tokio::spawn(hand_out(snapshots.clone(), files));
    let handle = run.handle.clone();
    let mut interrupt = Interrupt::None;
    let end = run.end();
    tokio::pin!(end);
    let end = loop {
        tokio::select! {
            end = &mut end => break end,
            () = signals.next() => interrupt = on_signal(interrupt, &handle).await,
        }
    };
    let last = snapshots.borrow().clone();
    let exit_code = verdict(&Evidence::of(&last), ending(&end, interrupt), rules(settings));
    note_report(exit_code.code());
    // Both end with the last snapshot, which is published.
    drop(tokio::task::spawn_blocking(move || screen.join()).await);
    let files = files.await.map_err(Failure::bug)?;
    Ok(Outcome { last, end, interrupt, exit_code, files })
}

/// Hands the snapshots to the outputs, up to the last one.
async fn hand_out(mut snapshots: watch::Receiver<Arc<Snapshot>>, mut files: RunFiles) -> RunFiles {
    loop {
        let snapshot = snapshots.borrow_and_update().clone();
        let is_last = snapshot.state == RunState::Stopped;
        files.on_snapshot(&snapshot);
        if is_last || snapshots.changed().await.is_err() {
            return files;
        }
    }
}

/// What goes wrong for want of descriptors or classes shows in the numbers; here it is said before.
pub(super) fn warn_of_limits(plan: &Plan) {
    let peak_of = |profile: &LoadProfile| match profile {
        // Nobody has said how many users there may be, and most runs need far fewer.
        LoadProfile::Arrivals(ArrivalsProfile { max_users: None, .. }) => 0,
        profile => Shape::new(profile).peak(),
    };
    let peak = plan.profile.each().map(peak_of).fold(0, u32::saturating_add);
    if let Some(limit) = vitals::raise_descriptor_limit()
        && limit < u64::from(peak) + SPARE_DESCRIPTORS
    {
        log::warn!("{peak} users need as many connections, but this process may open {limit} descriptors: raise `ulimit -n`");
    }
    for (place, profile) in plan.profile.each().enumerate() {
        let own = plan.profile.named().get(place).map_or(&[][..], |named| &named.classes);
        let classes: Vec<_> = plan.classes.iter().filter(|class| own.is_empty() || own.contains(&class.name)).collect();
        let places: u64 = classes.iter().filter_map(|class| class.count).map(u64::from).sum();
        let peak = u64::from(peak_of(profile));
        if classes.iter().all(|class| class.count.is_some()) && places < peak {
            let of = plan.profile.name_of(place).map_or_else(String::new, |name| format!(" of profile `{name}`"));
            log::warn!("the classes{of} have fixed counts for {places} users; the other {} do not start", peak - places);
        }
    }
}

/// Descriptors beside the users' connections: the target, the files, the runtimes.
const SPARE_DESCRIPTORS: u64 = 100;
