//! The only files that know every room: they wire one command and run it to its exit code.
//!
//! Decides nothing about load or numbers; what is decided here is the order in which the rooms are opened and closed. Here stands what
//! all commands share and what is small; each of the others has a file of its own.

mod ab;
mod check;
mod compare;
mod control;
mod files;
mod find;
mod floor;
mod linger;
mod master;
mod plan;
mod planner;
mod reload;
mod run;
mod signals;
mod steering;
mod tui;
mod worker;

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use self::signals::Signals;
pub use self::signals::end_early;
use crate::cli::Command;
use crate::cluster::identity::{self, Identities};
use crate::cluster::logs::LogFeed;
use crate::config::{self, LogFormat, LogLevel, Settings};
use crate::front::console::{Colours, ExitCode, Screen, Tables, log as console_log};
use crate::load::vitals;
use crate::script::starter;
use crate::stats::catalogue;
use crate::target::Target;

/// Runs `command`; the answer is the process's exit code.
#[must_use]
pub fn run(command: Command) -> u8 {
    let done = match command {
        Command::Run(typed) => with_start(&typed, run::run_script),
        Command::Control(control) => with_start(&control.layer, |start| control::control(start, &control)),
        Command::Check(typed, verbose) => with_start(&typed, |start| check::check_script(start, verbose)),
        Command::Fingerprint(typed) => with_start(&typed, check::print_fingerprint),
        Command::Master(typed) => with_start(&typed, master::run_master),
        Command::Worker(typed) => with_start(&typed, worker::run_worker),
        Command::Secret => say(&format!("{}\n", identity::Secret::random_text())),
        Command::Metrics => say(&catalogue::text()),
        Command::Find(typed, asked) => with_start(&typed, |start| find::find(start, &asked)),
        Command::Ab(typed, asked) => ab::compare_sides(&typed, &asked),
        Command::Compare(asked) => compare::compare_reports(&asked),
        Command::New(path) => new_script(&path),
        Command::Tui(typed) => with_start(&typed, tui::attach),
        Command::Target(typed) => with_start(&typed, serve_target),
    };
    done.unwrap_or_else(|failure| {
        // Without a stderr there is nobody left to tell.
        let _gone = writeln!(std::io::stderr(), "lunamoth: {}", whole_text(&failure.reason));
        failure.code.code()
    })
}

/// Runs a command that has settings. A stdout that could not be written, which the screen has told, is bad use whatever the verdict.
fn with_start(typed: &config::Layer, command: impl FnOnce(&Start) -> Result<u8, Failure>) -> Result<u8, Failure> {
    with_tables(typed, false, command)
}

/// The same; where `for_programs` says so, stdout is left to what programs read.
fn with_tables(typed: &config::Layer, for_programs: bool, command: impl FnOnce(&Start) -> Result<u8, Failure>) -> Result<u8, Failure> {
    let start = Start::new(typed, for_programs)?;
    let done = command(&start)?;
    let is_told = start.screen.has_failed() && done != ExitCode::Bug.code();
    Ok(if is_told { ExitCode::BadUse.code() } else { done })
}

/// Writes to stdout for commands that have no screen. A reader that went away has seen enough.
fn say(text: &str) -> Result<u8, Failure> {
    let mut stdout = std::io::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(why) if why.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::bad_use(anyhow::Error::new(why).context("cannot write to stdout")))
        }
        _ => Ok(0),
    }
}

/// What every command begins with: the settings and the console.
struct Start {
    settings: Settings,
    screen: Arc<Screen>,
    /// What the logger writes, for screens.
    logs: LogFeed,
}

impl Start {
    fn new(typed: &config::Layer, for_programs: bool) -> Result<Self, Failure> {
        let (settings, warnings) = config::load(typed).map_err(Failure::bad_use)?;
        let tables = if files::takes_stdout(&settings)? || for_programs { Tables::Stderr } else { Tables::Stdout };
        let screen = Arc::new(Screen::new(Colours::of(settings.no_color, |name| std::env::var_os(name)), tables));
        let logs = LogFeed::default();
        console_log::install(screen.clone(), settings.log == LogFormat::Json, level_filter(settings.log_level), logs.clone())
            .map_err(|why| Failure::bug(anyhow::anyhow!(why.to_string())))?;
        for warning in warnings {
            log::warn!("{warning}");
        }
        Ok(Self { settings, screen, logs })
    }

    /// What lets machines of the same cluster know each other.
    fn identities(&self) -> Result<Identities, Failure> {
        let parse = |secret: &config::Secret| identity::Secret::parse(secret.reveal()).map_err(Failure::bad_use);
        let current = self.settings.secret.as_ref().map(parse).transpose()?.unwrap_or_else(identity::Secret::none);
        let previous = self.settings.previous_secret.as_ref().map(parse).transpose()?;
        Ok(Identities::new(&current, previous.as_ref()))
    }
}

fn new_script(path: &Path) -> Result<u8, Failure> {
    let made = starter::create(path).map_err(Failure::bad_use)?;
    let script = made.script.display();
    let mut text = format!("wrote {script}, and for editors {} and {}/\n", made.settings.display(), made.annotations.display());
    if made.settings_lack_annotations {
        text.push_str(&format!("`{}` was there already: add \".lunamoth\" to its \"workspace.library\"\n", made.settings.display()));
    }
    text.push_str(&format!("try it: lunamoth check {script}\nrun it: lunamoth run {script}\n"));
    say(&text)
}

/// How many lanes a process has: one for each core that is allowed, where no other number is asked for.
fn lanes(settings: &Settings) -> Result<usize, Failure> {
    lanes_of(settings.lanes, vitals::allowed_cores())
}

fn lanes_of(asked: Option<usize>, cores: usize) -> Result<usize, Failure> {
    match asked {
        Some(lanes) if lanes > most_lanes(cores) => Err(Failure::bad_use(anyhow::anyhow!(
            "--lanes {lanes}: a lane is a thread with VMs of its own that can keep a core busy, and {cores} of them are allowed here: give at most {}",
            most_lanes(cores)
        ))),
        Some(lanes) => Ok(lanes),
        None => Ok(cores),
    }
}

/// More than some lanes a core only take turns; small machines may try what large ones do.
fn most_lanes(cores: usize) -> usize {
    (cores * 4).max(16)
}

fn serve_target(start: &Start) -> Result<u8, Failure> {
    let bind = start.settings.target_bind;
    let target = Target::start(bind).map_err(|why| Failure::bad_use(anyhow::anyhow!("{why}; --bind names another address")))?;
    start.screen.print(&format!("the demo target listens on {}\n", target.url()));
    run_to_end(async {
        Signals::new()?.next().await;
        Ok(())
    })?;
    start.screen.print(&format!("served {} requests\n", target.count()));
    Ok(0)
}

/// Does `work` on a runtime of its own. What that leaves behind is not waited for: a thread that is stuck must not keep the process.
fn run_to_end<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::bug)?;
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    done
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

/// An error with its causes. Where an error's own text holds its cause's, the cause is not said twice.
fn whole_text(error: &anyhow::Error) -> String {
    error
        .chain()
        .skip(1)
        .map(ToString::to_string)
        .fold(error.to_string(), |text, cause| if text.contains(&cause) { text } else { format!("{text}: {cause}") })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_lanes_than_a_machine_can_use_are_refused_with_what_is_possible() {
        assert_eq!((most_lanes(1), most_lanes(2), most_lanes(4), most_lanes(64)), (16, 16, 16, 256));
        let with = |lanes| lanes_of(lanes, 2).map_err(|failure| failure.reason.to_string());
        assert_eq!(with(None).unwrap(), 2);
        assert_eq!(with(Some(16)).unwrap(), 16);
        assert!(with(Some(1_000)).unwrap_err().ends_with("give at most 16"));
    }

    #[test]
    fn a_cause_is_said_once() {
        let read = crate::config::ConfigError::Read {
            path: "x.toml".into(),
            named_by: "--config".into(),
            source: std::io::Error::other("no luck"),
        };
        assert_eq!(whole_text(&read.into()), "cannot read `x.toml`, named by `--config`: no luck");
        let inside = anyhow::Error::new(std::io::Error::other("no luck")).context("serve: no luck; choose another address");
        assert_eq!(whole_text(&inside), "serve: no luck; choose another address");
        let other = anyhow::Error::new(std::io::Error::other("no luck")).context("start the target");
        assert_eq!(whole_text(&other), "start the target: no luck");
    }
}
