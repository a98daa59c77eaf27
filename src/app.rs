//! The only files that know every room: they wire one command and run it to its exit code.
//!
//! Decides nothing about load or numbers; what is decided here is the order in which the rooms are opened and closed. Here stands what
//! all commands share and what is small; each of the others has a file of its own.

mod check;
mod control;
mod files;
mod master;
mod plan;
mod planner;
mod reload;
mod run;
mod tui;
mod worker;

use std::path::Path;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::cli::Command;
use crate::cluster::identity::{self, Identities};
use crate::cluster::logs::LogFeed;
use crate::config::{self, LogFormat, LogLevel, Settings};
use crate::front::console::{ExitCode, Screen, log as console_log};
use crate::script::starter;
use crate::target::Target;

/// Runs `command`; the answer is the process's exit code.
#[must_use]
pub fn run(command: Command) -> u8 {
    let done = match command {
        Command::Run(typed) => Start::new(&typed).and_then(|start| run::run_script(&start)),
        Command::Control(control) => control::control(&control),
        Command::Check(typed) => Start::new(&typed).and_then(|start| check::check_script(&start)),
        Command::Master(typed) => Start::new(&typed).and_then(|start| master::run_master(&start)),
        Command::Worker(typed) => Start::new(&typed).and_then(|start| worker::run_worker(&start)),
        Command::Secret => Ok(print_secret()),
        Command::New(path) => new_script(&path),
        Command::Tui(typed) => Start::new(&typed).and_then(|start| tui::attach(&start)),
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
    /// What the logger writes, for screens.
    logs: LogFeed,
}

impl Start {
    fn new(typed: &config::Layer) -> Result<Self, Failure> {
        let (settings, warnings) = config::load(typed).map_err(Failure::bad_use)?;
        let screen = Arc::new(Screen::new(settings.no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())));
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

fn print_secret() -> u8 {
    println!("{}", identity::Secret::random_text());
    0
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

/// Ctrl-C and SIGTERM.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// Ctrl-C in the terminal UI, which takes the key from the terminal.
    pressed: mpsc::Receiver<()>,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(Failure::bug);
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())?, pressed: mpsc::channel(1).1 })
    }

    /// Listens to the terminal UI as well.
    fn with_key(mut self, pressed: mpsc::Receiver<()>) -> Self {
        self.pressed = pressed;
        self
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            Some(()) = self.pressed.recv() => {}
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
