//! What every command begins with, and what it runs on: settings, console, lanes, a runtime.
//!
//! Owns what all commands share; what one command is, its own file says.

use std::sync::Arc;

use super::failure::Failure;
use super::files;
use crate::cluster::identity::{self, Identities};
use crate::cluster::logs::LogFeed;
use crate::config::{self, LogFormat, LogLevel, Settings};
use crate::front::console::{Colours, ExitCode, Screen, Tables, log as console_log};
use crate::load::vitals;

/// What every command begins with: the settings and the console.
pub(super) struct Start {
    pub(super) settings: Settings,
    pub(super) screen: Arc<Screen>,
    /// What the logger writes, for screens.
    pub(super) logs: LogFeed,
}

impl Start {
    /// `for_programs`: stdout is no place for tables.
    pub(super) fn new(typed: &config::Layer, for_programs: bool) -> Result<Self, Failure> {
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
    pub(super) fn identities(&self) -> Result<Identities, Failure> {
        let parse = |secret: &config::Secret| identity::Secret::parse(secret.reveal()).map_err(Failure::bad_use);
        let current = self.settings.secret.as_ref().map(parse).transpose()?.unwrap_or_else(identity::Secret::none);
        let previous = self.settings.previous_secret.as_ref().map(parse).transpose()?;
        Ok(Identities::new(&current, previous.as_ref()))
    }
}

/// How many lanes a process has: one for each core that is allowed, where no other number is asked for.
pub(super) fn lanes(settings: &Settings) -> Result<usize, Failure> {
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

/// Does `work` on a runtime of its own. What that leaves behind is not waited for: a thread that is stuck must not keep the process.
pub(super) fn run_to_end<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
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

/// The logger's name of lines about the process as such.
pub(super) const MAIN: &str = "lunamoth::main";

/// Runs a command that has settings. A stdout that could not be written, which the screen has told, is bad use whatever the verdict.
pub(super) fn with_start(typed: &config::Layer, command: impl FnOnce(&Start) -> Result<u8, Failure>) -> Result<u8, Failure> {
    with_tables(typed, false, command)
}

/// The same; where `for_programs` says so, stdout is left to what programs read.
pub(super) fn with_tables(
    typed: &config::Layer,
    for_programs: bool,
    command: impl FnOnce(&Start) -> Result<u8, Failure>,
) -> Result<u8, Failure> {
    let start = Start::new(typed, for_programs)?;
    let done = command(&start)?;
    let is_told = start.screen.has_failed() && done != ExitCode::Bug.code();
    Ok(if is_told { ExitCode::BadUse.code() } else { done })
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
}
