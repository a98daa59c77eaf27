//! `lunamoth check`: each task once, shown in full.

use super::failure::Failure;
use super::plan::{load_script, prepare};
use super::signals::Signals;
use super::start::{Start, run_to_end};
use crate::front::console::ExitCode;
use crate::front::console::check::{self as view, CheckedCheck, CheckedEvent, CheckedRequest, CheckedStep, Exposed};
use crate::script::{Witnessed, WitnessedHop, WitnessedStep, short_fingerprint};

pub(super) fn check_script(start: &Start, is_verbose: bool) -> Result<u8, Failure> {
    let host = load_script(start)?;
    let prepared = prepare(&start.settings, &host)?;
    let fingerprint = short_fingerprint(&host.description().fingerprint).to_owned();
    let mut steps = Vec::new();
    run_to_end(async {
        let mut signals = Signals::new()?;
        let tasks = tokio::task::LocalSet::new();
        let tell = |step| {
            let step = checked_step(step, is_verbose);
            start.screen.print(&view::step(&step));
            steps.push(step);
        };
        tokio::select! {
            done = tasks.run_until(host.check(prepared.plan.clone(), tell)) => done.map_err(|why| Failure::bad_use(anyhow::anyhow!(why))),
            () = signals.next() => Err(Failure { code: ExitCode::Interrupted, reason: anyhow::anyhow!("the check was interrupted") }),
        }
    })?;
    start.screen.print(&view::summary(&steps));
    start.screen.print(&format!("scripts fingerprint: {fingerprint}\n"));
    Ok(view::exit_code(&steps))
}

/// `--fingerprint`: what `swarm --scripts-fingerprint` takes, and nothing else.
pub(super) fn print_fingerprint(start: &Start) -> Result<u8, Failure> {
    let host = load_script(start)?;
    start.screen.print(&format!("{}\n", short_fingerprint(&host.description().fingerprint)));
    Ok(0)
}

/// From what the script room saw to what the console shows.
fn checked_step(step: WitnessedStep, is_verbose: bool) -> CheckedStep {
    let events = step.events.into_iter().map(|event| match event {
        Witnessed::Hop(hop) => CheckedEvent::Request(Box::new(checked_request(*hop, is_verbose))),
        Witnessed::Check { name, passed } => CheckedEvent::Check(CheckedCheck { name, passed }),
        Witnessed::Raised(text) => CheckedEvent::Raised(text),
    });
    CheckedStep { name: step.name, events: events.collect() }
}

fn checked_request(hop: WitnessedHop, is_verbose: bool) -> CheckedRequest {
    let exposed = is_verbose.then(|| Exposed {
        request_headers: String::from_utf8_lossy(&hop.request_headers).into_owned(),
        request_body: String::from_utf8_lossy(&hop.request_body).into_owned(),
        headers: hop.headers.iter().map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value))).collect(),
        body: String::from_utf8_lossy(&hop.body).into_owned(),
    });
    CheckedRequest {
        error: hop.sample.failure.map(|kind| (kind.name(), hop.message.unwrap_or_default())),
        method: hop.method,
        url: hop.url,
        name: hop.name,
        status: hop.sample.status,
        version: hop.version.to_owned(),
        body_bytes: hop.sample.body_bytes,
        duration: hop.sample.duration,
        phases: hop.sample.phases,
        exposed,
    }
}
