//! `lunamoth check`: each task once, shown in full.

use super::plan::prepare;
use super::run::load_script;
use super::{Failure, Signals, Start, runtime};
use crate::front::console::{ExitCode, check as check_view};

pub(super) fn check_script(start: &Start) -> Result<u8, Failure> {
    let host = load_script(start)?;
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
