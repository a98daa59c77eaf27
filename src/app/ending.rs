//! The end of a run, of whichever command: what a signal asks of it, and what its verdict must know.

use super::failure::Failure;
use crate::cluster::handle::MasterHandle;
use crate::cluster::master::{FailureCause, RunEnd};
use crate::config::Settings;
use crate::front::console::{Ending, ExitCode, Interrupt, Rules};

pub(super) async fn on_signal(interrupt: Interrupt, master: &MasterHandle) -> Interrupt {
    if interrupt == Interrupt::None {
        log::info!("stopping: users finish what they do; once more cuts it short");
        drop(master.stop("").await);
        Interrupt::Graceful
    } else {
        log::info!("cut: what is in flight is dropped and counted");
        drop(master.cut("").await);
        Interrupt::Cut
    }
}

/// What the verdict must know of a run's end.
pub(super) fn ending(end: &RunEnd, interrupt: Interrupt) -> Ending {
    let cause = end.failure.as_ref().map(|failure| failure.cause);
    Ending {
        had_bug: end.panics > 0,
        bad_use: cause == Some(FailureCause::BadUse),
        cluster_lost: cause == Some(FailureCause::Lost),
        interrupt,
    }
}

/// What the settings say of the verdict.
pub(super) const fn rules(settings: &Settings) -> Rules {
    Rules { exit_code_on_error: settings.exit_code_on_error, is_strict: settings.strict }
}

/// The exit code of a run whose files were written, or were not: what could not be written is told, and outweighs all but a bug of ours.
pub(super) fn with_files(verdict: ExitCode, written: Result<(), Failure>) -> Result<ExitCode, Failure> {
    match written {
        Err(failure) if verdict == ExitCode::Bug => {
            log::error!("{}", failure.reason);
            Ok(verdict)
        }
        written => written.map(|()| verdict),
    }
}
