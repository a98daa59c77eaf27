//! The only files that know every room: they wire one command and run it to its exit code.
//!
//! Decides nothing about load or numbers; what is decided here is the order in which the rooms are opened and closed. Here stand the
//! commands that are small; each of the others has a file of its own.

mod ab;
mod check;
mod client;
mod compare;
mod control;
mod ending;
mod failure;
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
mod start;
mod steering;
mod tui;
mod web;
mod worker;

use std::io::Write as _;
use std::path::Path;

use self::failure::{Failure, whole_text};
use self::signals::Signals;
pub use self::signals::end_early;
use self::start::{Start, run_to_end, with_start};
use crate::cli::Command;
use crate::cluster::identity;
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
