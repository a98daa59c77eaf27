//! `lunamoth find`: the highest rate that a target holds. The search decides which rate is tried next; each hold is a run of its own, in this process
//! or, with `--url`, on a master's cluster.

use std::sync::Arc;
use std::time::SystemTime;

use self::afar::Afar;
use self::asked::{Asked, Holder, nothing_but_raised};
use super::ending::on_signal;
use super::failure::Failure;
use super::plan::{load_script, prepare};
use super::signals::Signals;
use super::start::{Start, lanes, run_to_end};
use crate::cli::Find;
use crate::cluster::local::LocalRun;
use crate::cluster::master::{FailureCause, RunStart};
use crate::front::compare::ComparisonFile;
use crate::front::console::find::{Held, answer, document, head};
use crate::front::console::{ExitCode, Interrupt};
use crate::plan::Plan;
use crate::script::Host;
use crate::stats::search::{Bounds, Finding, Next, Search};
use crate::stats::threshold::Threshold;

mod afar;
mod asked;

/// Searches; the exit code says whether any rate holds.
pub(super) fn find(start: &Start, typed: &Find) -> Result<u8, Failure> {
    if log::max_level() == log::LevelFilter::Info {
        // Each hold is a run, and would tell of its begin and its worker.
        log::set_max_level(log::LevelFilter::Warn);
    }
    let asked = Asked::read(typed, start.settings.run.warmup).map_err(|why| Failure::bad_use(anyhow::anyhow!(why)))?;
    if start.settings.url.is_some() {
        let mut afar = Afar::new(start, asked.clone())?;
        return tell(start, &asked, &mut afar);
    }
    let host = load_script(start)?;
    let prepared = prepare(&start.settings, &host)?;
    if let Some(class) = prepared.plan.classes.iter().find(|class| class.count.is_some()) {
        let text = format!("class `{}` has a count of users, which a rate of iterations has no use for: give it a weight", class.name);
        return Err(Failure::bad_use(anyhow::anyhow!(text)));
    }
    let thresholds = asked.thresholds(&prepared.plan)?;
    let lanes = lanes(&start.settings)?;
    let mut here = Here { start, host: &host, plan: &prepared.plan, asked: &asked, thresholds, lanes };
    tell(start, &asked, &mut here)
}

/// Searches with what makes the load, and tells what was found.
fn tell(start: &Start, asked: &Asked, holder: &mut impl Holder) -> Result<u8, Failure> {
    let file = start.settings.json.as_ref().map(|path| ComparisonFile::create(path)).transpose().map_err(Failure::bad_use)?;
    start.screen.print(&head());
    let (curve, finding, is_interrupted) = run_to_end(search(start, asked.bounds, holder))?;
    start.screen.progress(String::new());
    start.screen.print(&answer(&finding, is_interrupted));
    if let Some(file) = file {
        file.finish(&document(&curve, &finding, is_interrupted)).map_err(Failure::bad_use)?;
    }
    Ok(match (is_interrupted, finding.holds) {
        (true, _) => ExitCode::Interrupted,
        (false, Some(_)) => ExitCode::Passed,
        (false, None) => ExitCode::ThresholdsFailed,
    }
    .code())
}

/// The curve, what was found, and whether somebody has ended the search.
async fn search(start: &Start, bounds: Bounds, holder: &mut impl Holder) -> Result<(Vec<Held>, Finding, bool), Failure> {
    let mut signals = Signals::new()?;
    let mut search = Search::new(bounds);
    let mut curve = Vec::new();
    while let Next::Hold { rate, is_long } = search.next() {
        start.screen.progress(format!("holding {rate:.1}/s ..."));
        let Some(held) = holder.hold(rate, is_long, &mut signals).await? else {
            return Ok((curve, search.finding(), true));
        };
        start.screen.progress(String::new());
        start.screen.print(&held.line());
        search.tell(held.outcome());
        curve.push(held);
    }
    Ok((curve, search.finding(), false))
}

/// Load from this process.
struct Here<'a> {
    start: &'a Start,
    host: &'a Host,
    plan: &'a Plan,
    asked: &'a Asked,
    thresholds: Vec<Threshold>,
    lanes: usize,
}

impl Holder for Here<'_> {
    async fn hold(&mut self, rate: f64, is_long: bool, signals: &mut Signals) -> Result<Option<Held>, Failure> {
        let plan = Arc::new(self.asked.hold_of(self.plan, rate, is_long));
        let run_start = RunStart { plan, thresholds: self.thresholds.clone(), wall: SystemTime::now() };
        let run = LocalRun::start(Arc::new(self.host.workload()), run_start, self.lanes, None, self.start.logs.clone());
        let (snapshots, handle) = (run.handle.snapshots(), run.handle.clone());
        let mut interrupt = Interrupt::None;
        let end = run.end();
        tokio::pin!(end);
        let end = loop {
            tokio::select! {
                end = &mut end => break end,
                () = signals.next() => interrupt = on_signal(interrupt, &handle).await,
            }
        };
        if let Some(failure) = end.failure {
            let code = if failure.cause == FailureCause::BadUse { ExitCode::BadUse } else { ExitCode::ClusterLost };
            return Err(Failure { code, reason: anyhow::anyhow!(failure.text) });
        }
        if end.panics > 0 {
            return Err(Failure::bug(anyhow::anyhow!("a lane panicked: this is a bug of Lunamoth's")));
        }
        if interrupt != Interrupt::None {
            return Ok(None);
        }
        let last = snapshots.borrow().clone();
        if last.total.requests == 0 && last.steps_raised() > 0 {
            return Err(nothing_but_raised(last.exceptions.first().map(|exception| &*exception.message)));
        }
        Ok(Some(Held::of(&last, rate, is_long)))
    }
}
