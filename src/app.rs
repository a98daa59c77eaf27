//! The only file that knows every room: it wires one command and runs it to its exit code.
//!
//! Decides nothing about load or numbers; what is decided here is the order in which the rooms are opened and closed.

use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::cli::Command;
use crate::cluster::handle::MasterHandle;
use crate::cluster::local::LocalRun;
use crate::cluster::master::{FailureCause, RunEnd, RunStart};
use crate::config::{self, LogFormat, LogLevel, Settings};
use crate::front::console::{
    Ending, ExitCode, Interrupt, Printer, PrinterOptions, Screen, check as check_view, log as console_log, verdict,
};
use crate::front::report::{CsvFiles, JsonFile};
use crate::load::shape::Shape;
use crate::load::vitals;
use crate::plan::{Plan, RunId};
use crate::script::{Host, LoadOptions, starter};
use crate::stats::snapshot::{RunState, Snapshot};
use crate::stats::threshold::Threshold;
use crate::target::Target;

/// Runs `command`; the answer is the process's exit code.
#[must_use]
pub fn run(command: Command) -> u8 {
    let done = match command {
        Command::Run(typed) => Start::new(&typed).and_then(|start| run_script(&start)),
        Command::Check(typed) => Start::new(&typed).and_then(|start| check_script(&start)),
        Command::Master(typed) => Start::new(&typed).and_then(|start| run_master(&start)),
        Command::Worker(typed) => Start::new(&typed).and_then(|start| run_worker(&start)),
        Command::Secret => Err(not_here("secret")),
        Command::New(path) => new_script(&path),
        Command::Target(typed) => Start::new(&typed).and_then(|start| serve_target(&start)),
    };
    done.unwrap_or_else(|failure| {
        eprintln!("lunamoth: {}", whole_text(&failure.reason));
        failure.code.code()
    })
}

/// What every command begins with: the settings and the console.
struct Start {
    settings: Settings,
    screen: Arc<Screen>,
}

impl Start {
    fn new(typed: &config::Layer) -> Result<Self, Failure> {
        let (settings, warnings) = config::load(typed).map_err(Failure::bad_use)?;
        let screen = Arc::new(Screen::new(settings.no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())));
        console_log::install(screen.clone(), settings.log == LogFormat::Json, level_filter(settings.log_level))
            .map_err(|why| Failure::bug(anyhow::anyhow!(why.to_string())))?;
        for warning in warnings {
            log::warn!("{warning}");
        }
        Ok(Self { settings, screen })
    }

    fn load_script(&self) -> Result<Host, Failure> {
        let Some(script) = &self.settings.script else {
            return Err(Failure::bad_use(anyhow::anyhow!("no script is named: give its path, such as scripts/quickstart.lua")));
        };
        let options = LoadOptions { tags: self.settings.tag_filter(), env: self.settings.set.clone() };
        let host = Host::load(script, &options).map_err(Failure::bad_use)?;
        for class in &host.description().left_out {
            log::warn!("class `{class}` has no users: -T and -E leave none of its tasks");
        }
        Ok(host)
    }
}

/// A run's plan with what was started for it.
struct Prepared {
    plan: Arc<Plan>,
    /// Whose load profile applies, for people.
    profile_words: String,
    thresholds: Vec<Threshold>,
    /// The built-in target, where the host is one; it serves as long as this lives.
    _target: Option<Target>,
}

fn prepare(settings: &Settings, host: &Host) -> Result<Prepared, Failure> {
    let scenario = host.description();
    let (profile, profile_words) = settings.profile(scenario.profile.clone());
    let seed = settings.seed.unwrap_or_else(random_number);
    let (base, target) = resolve_host(settings.host.clone().or_else(|| scenario.host.clone()))?;
    let own_metrics: Vec<_> = scenario.metrics.iter().map(|(name, kind)| (name.clone(), *kind)).collect();
    let thresholds: Result<Vec<_>, _> = scenario.thresholds.iter().map(|plan| Threshold::parse(plan, &own_metrics)).collect();
    let mut http = settings.http_plan();
    http.hosts.clone_from(&scenario.hosts);
    http.client_identity.clone_from(&scenario.client_identity);
    let plan = Plan {
        run: RunId(random_number()),
        seed,
        scenario: scenario.name.clone(),
        script: host.bundle().main().to_owned(),
        fingerprint: scenario.fingerprint.clone(),
        host: base,
        classes: scenario.classes.clone(),
        profile,
        thresholds: scenario.thresholds.clone(),
        metrics: own_metrics,
        tags: settings.tag_filter(),
        env: scenario.env.clone(),
        stop_timeout: settings.stop_timeout,
        names_limit: settings.names,
        raw_names: settings.raw_names,
        error_backoff: !settings.no_error_backoff,
        http,
    };
    Ok(Prepared { plan: Arc::new(plan), profile_words, thresholds: thresholds.map_err(Failure::bad_use)?, _target: target })
}

/// The base URL; a `builtin:` target is started for it.
fn resolve_host(host: Option<String>) -> Result<(Option<String>, Option<Target>), Failure> {
    match host.as_deref().and_then(|host| host.strip_prefix("builtin:")) {
        None => Ok((host, None)),
        Some("shop") => {
            let target = Target::start(([127, 0, 0, 1], 0).into())
                .map_err(|why| Failure::bad_use(anyhow::Error::new(why).context("start the built-in target on 127.0.0.1")))?;
            log::info!("the built-in target listens on {}", target.url());
            Ok((Some(target.url()), Some(target)))
        }
        Some(other) => Err(Failure::bad_use(anyhow::anyhow!("there is no built-in target `{other}`; there is `builtin:shop`"))),
    }
}

fn run_script(start: &Start) -> Result<u8, Failure> {
    let settings = &start.settings;
    let host = start.load_script()?;
    let prepared = prepare(settings, &host)?;
    let csv = settings.csv.as_deref().map(CsvFiles::create).transpose().map_err(Failure::bad_use)?;
    let json = settings.json.as_deref().map(JsonFile::create).transpose().map_err(Failure::bad_use)?;
    log::info!("{}", prepared.profile_words);
    log::info!("seed: {seed} (--seed {seed} repeats this run's decisions)", seed = prepared.plan.seed);
    warn_of_limits(&prepared.plan);
    let lanes = settings.lanes.unwrap_or_else(vitals::allowed_cores);
    let printer = Printer::new(start.screen.clone(), PrinterOptions { print_interval: settings.print_interval, is_quiet: settings.quiet });
    let run_start = RunStart { plan: prepared.plan.clone(), thresholds: prepared.thresholds.clone(), wall: SystemTime::now() };
    let outcome = runtime()?.block_on(async {
        let run = LocalRun::start(Arc::new(host.workload()), run_start, lanes);
        follow(run, &printer, csv).await
    })?;
    let exit_code = verdict(&outcome.last, outcome.ending(), settings.exit_code_on_error);
    if let Some(failure) = outcome.end.failure.as_ref().filter(|failure| failure.cause == FailureCause::BadUse) {
        // Nothing worth a report happened; the reason is what a person needs.
        return Err(Failure { code: exit_code, reason: anyhow::anyhow!("{}", failure.text) });
    }
    printer.report(&outcome.last, exit_code);
    if let Some(failure) = &outcome.end.failure {
        log::error!("the run is not whole: {}", failure.text);
    }
    if let Some(mut csv) = outcome.csv {
        csv.finish(&outcome.last).map_err(Failure::bad_use)?;
    }
    if let Some(json) = json {
        json.finish(&outcome.last, outcome.end.is_complete).map_err(Failure::bad_use)?;
    }
    Ok(exit_code.code())
}

/// How a run went, for the verdict and the files.
struct Outcome {
    last: Arc<Snapshot>,
    end: RunEnd,
    interrupt: Interrupt,
    csv: Option<CsvFiles>,
}

impl Outcome {
    fn ending(&self) -> Ending {
        let cause = self.end.failure.as_ref().map(|failure| failure.cause);
        Ending {
            had_bug: self.end.panics > 0,
            bad_use: cause == Some(FailureCause::BadUse),
            cluster_lost: cause == Some(FailureCause::Lost),
            interrupt: self.interrupt,
        }
    }
}

/// Shows a run while it lasts, listens for signals, and waits for its end.
async fn follow(run: LocalRun, printer: &Printer, csv: Option<CsvFiles>) -> Result<Outcome, Failure> {
    let snapshots = run.handle.snapshots();
    let screen = printer.follow(snapshots.clone()).map_err(Failure::bug)?;
    let csv = tokio::spawn(write_history(snapshots.clone(), csv));
    let mut signals = Signals::new()?;
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
    // Both end with the last snapshot, which is published.
    drop(tokio::task::spawn_blocking(move || screen.join()).await);
    let csv = csv.await.map_err(Failure::bug)?;
    Ok(Outcome { last, end, interrupt, csv })
}

async fn on_signal(interrupt: Interrupt, master: &MasterHandle) -> Interrupt {
    if interrupt == Interrupt::None {
        log::info!("stopping: users finish what they do; once more cuts it short");
        drop(master.stop("a signal").await);
        Interrupt::Graceful
    } else {
        log::info!("cut: what is in flight is dropped and counted");
        drop(master.cut("a signal").await);
        Interrupt::Cut
    }
}

/// Writes a row of the history for each snapshot until the last one. A full disk ends the file, not the run.
async fn write_history(mut snapshots: watch::Receiver<Arc<Snapshot>>, csv: Option<CsvFiles>) -> Option<CsvFiles> {
    let mut csv = csv?;
    loop {
        let snapshot = snapshots.borrow_and_update().clone();
        if let Err(why) = csv.on_snapshot(&snapshot) {
            log::error!("{why}");
            return None;
        }
        if snapshot.state == RunState::Stopped || snapshots.changed().await.is_err() {
            return Some(csv);
        }
    }
}

fn check_script(start: &Start) -> Result<u8, Failure> {
    let host = start.load_script()?;
    let prepared = prepare(&start.settings, &host)?;
    let steps = runtime()?.block_on(async {
        let mut signals = Signals::new()?;
        let tasks = tokio::task::LocalSet::new();
        tokio::select! {
            steps = tasks.run_until(host.check(prepared.plan.clone())) => steps.map_err(|why| Failure::bad_use(anyhow::anyhow!(why))),
            () = signals.next() => Err(Failure { code: ExitCode::Interrupted, reason: anyhow::anyhow!("the check was interrupted") }),
        }
    })?;
    let steps: Vec<_> = steps.into_iter().map(checked_step).collect();
    for step in &steps {
        start.screen.print(&check_view::step(step));
    }
    start.screen.print(&check_view::summary(&steps));
    Ok(check_view::exit_code(&steps))
}

/// From what the script room saw to what the console shows.
fn checked_step(step: crate::script::WitnessedStep) -> check_view::CheckedStep {
    check_view::CheckedStep {
        name: step.name,
        requests: step
            .hops
            .into_iter()
            .map(|hop| check_view::CheckedRequest {
                error: hop.sample.failure.map(|kind| (kind.name(), hop.message.unwrap_or_default())),
                method: hop.method,
                url: hop.url,
                name: hop.name,
                status: hop.sample.status,
                version: hop.version.to_owned(),
                body_bytes: hop.sample.body_bytes,
                duration: hop.sample.duration,
                phases: hop.sample.phases,
            })
            .collect(),
        checks: step.checks.into_iter().map(|(name, passed)| check_view::CheckedCheck { name, passed }).collect(),
        exception: step.exception,
    }
}

fn new_script(path: &Path) -> Result<u8, Failure> {
    let made = starter::create(path).map_err(Failure::bad_use)?;
    let script = made.script.display();
    println!("wrote {script}, and for editors {} and {}/", made.settings.display(), made.annotations.display());
    if made.settings_lack_annotations {
        println!("`{}` was there already: add \".lunamoth\" to its \"workspace.library\"", made.settings.display());
    }
    println!("try it: lunamoth check {script}");
    println!("run it: lunamoth run {script}");
    Ok(0)
}

fn run_master(start: &Start) -> Result<u8, Failure> {
    start.settings.scripts_folder().map_err(Failure::bad_use)?;
    start.settings.cluster_bind().map_err(Failure::bad_use)?;
    Err(not_here("master"))
}

fn run_worker(start: &Start) -> Result<u8, Failure> {
    start.settings.master_address().map_err(Failure::bad_use)?;
    start.settings.scripts_folder().map_err(Failure::bad_use)?;
    Err(not_here("worker"))
}

fn not_here(command: &str) -> Failure {
    Failure::bad_use(anyhow::anyhow!("`{command}` is not wired yet: this version reads its settings and does nothing with them"))
}

fn serve_target(start: &Start) -> Result<u8, Failure> {
    let bind = start.settings.target_bind;
    let target = Target::start(bind).map_err(|why| Failure::bad_use(anyhow::anyhow!("{why}; --bind names another address")))?;
    start.screen.print(&format!("the demo target listens on {}\n", target.url()));
    runtime()?.block_on(async {
        Signals::new()?.next().await;
        Ok(())
    })?;
    start.screen.print(&format!("served {} requests\n", target.count()));
    Ok(0)
}

/// What goes wrong for want of descriptors or classes shows in the numbers; here it is said before.
fn warn_of_limits(plan: &Plan) {
    let peak = Shape::new(&plan.profile).peak();
    if let Some(limit) = vitals::raise_descriptor_limit()
        && limit < u64::from(peak) + SPARE_DESCRIPTORS
    {
        log::warn!("{peak} users need as many connections, but this process may open {limit} descriptors: raise `ulimit -n`");
    }
    if plan.classes.iter().all(|class| class.count.is_some()) {
        let places: u64 = plan.classes.iter().filter_map(|class| class.count).map(u64::from).sum();
        if places < u64::from(peak) {
            log::warn!("the classes have fixed counts for {places} users; the other {} do not start", u64::from(peak) - places);
        }
    }
}

/// Ctrl-C and SIGTERM.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(Failure::bug);
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::bug)
}

fn level_filter(level: LogLevel) -> log::LevelFilter {
    match level {
        LogLevel::Error => log::LevelFilter::Error,
        LogLevel::Warn => log::LevelFilter::Warn,
        LogLevel::Info => log::LevelFilter::Info,
        LogLevel::Debug => log::LevelFilter::Debug,
        LogLevel::Trace => log::LevelFilter::Trace,
    }
}

/// A number that differs from run to run: the standard library's own random seed, drawn from the system.
fn random_number() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

/// An error with its causes. Where an error's own text ends with its cause's, the cause is not said twice.
fn whole_text(error: &anyhow::Error) -> String {
    error
        .chain()
        .skip(1)
        .map(ToString::to_string)
        .fold(error.to_string(), |text, cause| if text.ends_with(&cause) { text } else { format!("{text}: {cause}") })
}

/// Why a command ended early.
struct Failure {
    code: ExitCode,
    reason: anyhow::Error,
}

impl Failure {
    fn bad_use(reason: impl Into<anyhow::Error>) -> Self {
        Self { code: ExitCode::BadUse, reason: reason.into() }
    }

    fn bug(reason: impl Into<anyhow::Error>) -> Self {
        Self { code: ExitCode::Bug, reason: reason.into() }
    }
}

/// Descriptors beside the users' connections: the target, the files, the runtimes.
const SPARE_DESCRIPTORS: u64 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let read =
            crate::config::ConfigError::Read { path: "x.toml".into(), named_by: "--config", source: std::io::Error::other("no luck") };
        assert_eq!(whole_text(&read.into()), "cannot read `x.toml`, named by `--config`: no luck");
        let other = anyhow::Error::new(std::io::Error::other("no luck")).context("start the target");
        assert_eq!(whole_text(&other), "start the target: no luck");
    }
}
