//! `lunamoth ab`: one run whose iterations go to two targets in turn, and what differs between them.

use std::sync::Arc;
use std::time::SystemTime;

use super::compare::{ForPrograms, exit_code};
use super::ending::with_files;
use super::failure::Failure;
use super::files::RunFiles;
use super::floor::measured_floor;
use super::plan::{PreparedSides, load_script, prepare_sides};
use super::run::{Outcome, follow, warn_of_limits};
use super::signals::{Signals, note_report};
use super::start::{Start, lanes, run_to_end, with_tables};
use super::steering::steer;
use crate::cli::Ab;
use crate::cluster::local::LocalRun;
use crate::cluster::master::{FailureCause, RunStart};
use crate::config::{Layer, Settings, target_host};
use crate::front::compare::{ComparisonFile, Names, Shown, Sides, text};
use crate::front::console::{Evidence, ExitCode, Interrupt, Printer, PrinterOptions, closing, troubles};
use crate::front::report::is_stdout;
use crate::stats::comparison::{Limit, compare};

/// Runs and compares; the exit code says whether a limit is broken.
pub(super) fn compare_sides(typed: &Layer, asked: &Ab) -> Result<u8, Failure> {
    let for_programs = asked.markdown.iter().chain(&asked.junit).any(|path| is_stdout(path));
    with_tables(typed, for_programs, |start| run_sides(start, asked))
}

fn run_sides(start: &Start, asked: &Ab) -> Result<u8, Failure> {
    let limits = asked.limits.iter().map(|text| Limit::parse(text)).collect::<Result<Vec<_>, _>>().map_err(Failure::bad_use)?;
    let url = |flag: &str, text: &str| target_host(text).map_err(|why| Failure::bad_use(anyhow::anyhow!("--{flag} {text}: {why}")));
    let urls = [url("a", &asked.a)?, url("b", &asked.b)?];
    let settings = &start.settings;
    if settings.host.is_some() {
        log::warn!("the host of the settings is left aside: --a and --b say where requests go");
    }
    let host = load_script(start)?;
    let PreparedSides { prepared, urls, _target } = prepare_sides(settings, &host, urls)?;
    let report = settings.json.as_deref().map(ComparisonFile::create).transpose().map_err(Failure::bad_use)?;
    let programs = ForPrograms::create(asked.markdown.as_deref(), asked.junit.as_deref())?;
    if programs.take_stdout && settings.json.as_deref().is_some_and(is_stdout) {
        return Err(Failure::bad_use(anyhow::anyhow!("--json and a comparison cannot both be written to stdout")));
    }
    // The report is written with the comparison in it.
    let files = RunFiles::create(&Settings { json: None, ..settings.clone() })?;
    log::info!("{}; each iteration goes to A or to B", prepared.profile_words);
    log::info!("seed: {seed} (--seed {seed} repeats this run's decisions)", seed = prepared.plan.seed);
    warn_of_limits(&prepared.plan);
    let lanes = lanes(settings)?;
    let options = PrinterOptions { print_interval: NEVER, is_quiet: settings.quiet, by: Vec::new() };
    let printer = Printer::new(start.screen.clone(), options);
    let floor = measured_floor(settings);
    let run_start = RunStart { plan: prepared.plan.clone(), thresholds: Vec::new(), wall: SystemTime::now() };
    run_to_end(async {
        let mut signals = Signals::new()?;
        let run = LocalRun::start(Arc::new(host.workload()), run_start, lanes, floor, start.logs.clone());
        if let Some(steered) = prepared.steered.clone() {
            tokio::spawn(steer(steered, run.handle.clone()));
        }
        let outcome = follow(run, &printer, files, settings, &mut signals).await?;
        conclude(start, outcome, [&urls[0], &urls[1]], &limits, report, programs).await
    })
}

/// Shows what a run that is over says of its sides, and writes it; the answer is the exit code.
async fn conclude(
    start: &Start,
    outcome: Outcome,
    urls: [&str; 2],
    limits: &[Limit],
    report: Option<ComparisonFile>,
    programs: ForPrograms,
) -> Result<u8, Failure> {
    let Outcome { last, end, interrupt, exit_code: verdict, mut files } = outcome;
    if let Some(failure) = end.failure.as_ref().filter(|failure| failure.cause == FailureCause::BadUse) {
        return Err(Failure { code: verdict, reason: anyhow::anyhow!("{}", failure.text) });
    }
    if let Some(failure) = &end.failure {
        log::error!("the run is not whole: {}", failure.text);
    }
    let closing = closing(&last, verdict, end.is_complete);
    let sides =
        Sides::new(&last, &closing, urls).map_err(|why| Failure::bug(anyhow::anyhow!("the run's own report cannot be read: {why}")))?;
    let comparison = compare(&sides.a.side, &sides.b.side, limits);
    let shown = Shown { names: Names::SIDES, base: &sides.a, new: &sides.b, comparison: &comparison, notes: &sides.notes };
    start.screen.progress(String::new());
    start.screen.print(&troubles(&last, start.screen.table_width()));
    start.screen.print(&text(&shown, start.screen.is_coloured()));
    // What ends the program while files are written leaves them out.
    note_report(ExitCode::BadUse.code());
    let written = files.finish(&last, &closing).await;
    let verdict = with_files(verdict, written)?;
    if let Some(file) = report {
        file.finish(&sides.document(&comparison)).map_err(Failure::bad_use)?;
    }
    programs.finish(&shown)?;
    let code = match verdict {
        // What came before the numbers outweighs them.
        ExitCode::Bug | ExitCode::BadUse | ExitCode::ClusterLost | ExitCode::Interrupted | ExitCode::Unsound => verdict.code(),
        ExitCode::ThresholdsFailed | ExitCode::RequestsFailed(_) | ExitCode::Passed => {
            if interrupt == Interrupt::None && !sides.has_any() {
                let why = if last.total.requests == 0 {
                    "no request was made"
                } else {
                    "no request went to A or B: the script's URLs all lead elsewhere"
                };
                return Err(Failure::bad_use(anyhow::anyhow!(why)));
            }
            if let Some(why) = Evidence::of(&last).hollow().filter(|_| interrupt == Interrupt::None) {
                log::error!("{why}: what differs between A and B says little of them");
                return Ok(noted(ExitCode::RequestsFailed(1).code()));
            }
            // Too little was measured to judge, since somebody wanted it so.
            let is_judged = comparison.total.differences.iter().any(|difference| difference.interval.is_some());
            if interrupt != Interrupt::None && !is_judged { ExitCode::Interrupted.code() } else { exit_code(&comparison, limits)? }
        }
    };
    Ok(noted(code))
}

/// The exit code, which a signal that comes now changes no more.
fn noted(code: u8) -> u8 {
    note_report(code);
    code
}

/// The table of all entries tells a reader little: the comparison comes at the end.
const NEVER: std::time::Duration = std::time::Duration::from_secs(u32::MAX as u64);
