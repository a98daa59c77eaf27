//! `lunamoth find`: the highest rate that a target holds. The search decides which rate is tried next; each hold is a run of its own, in this process
//! or, with `--url`, on a master's cluster.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use self::afar::Afar;
use super::ending::on_signal;
use super::failure::Failure;
use super::plan::{load_script, prepare, random_number};
use super::signals::Signals;
use super::start::{Start, lanes, run_to_end};
use crate::cli::Find;
use crate::cluster::local::LocalRun;
use crate::cluster::master::{FailureCause, RunStart};
use crate::config::{arrival_rate, parse_duration};
use crate::front::compare::ComparisonFile;
use crate::front::console::find::{Held, answer, document, head};
use crate::front::console::{ExitCode, Interrupt};
use crate::plan::{LoadProfile, Plan, Rate, RunId, RunSettings, ThresholdPlan};
use crate::script::Host;
use crate::stats::search::{Bounds, Finding, Next, Search};
use crate::stats::threshold::Threshold;

mod afar;

/// What is asked, checked.
#[derive(Clone)]
struct Asked {
    bounds: Bounds,
    hold: Duration,
    confirm: Duration,
    warmup: Duration,
    keeps: Vec<ThresholdPlan>,
}

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

/// Makes the load of a hold.
trait Holder {
    /// What came of holding this rate; `None` where somebody has ended it.
    async fn hold(&mut self, rate: f64, is_long: bool, signals: &mut Signals) -> Result<Option<Held>, Failure>;
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

/// No rate makes a script work that never does.
fn nothing_but_raised(first: Option<&str>) -> Failure {
    let first = first.map_or_else(String::new, |message| format!(": {message}"));
    Failure::bad_use(anyhow::anyhow!("the script raised, and made no request{first}"))
}

impl Asked {
    fn read(typed: &Find, warmup: Option<Duration>) -> Result<Self, String> {
        let rate = |flag: &str, text: &Option<String>, default: f64| match text {
            Some(text) => arrival_rate(text).map(Rate::as_per_second).map_err(|why| format!("--{flag}: {why}")),
            None => Ok(default),
        };
        let time = |flag: &str, text: &Option<String>, default: Duration| {
            let time = match text {
                Some(text) => parse_duration(text).map_err(|why| format!("--{flag}: {why}"))?,
                None => default,
            };
            if time.subsec_nanos() == 0 && time >= LEAST {
                Ok(time)
            } else {
                Err(format!("--{flag}: whole seconds are needed, at least {}", LEAST.as_secs()))
            }
        };
        let (from, to) = (rate("from", &typed.from, FROM)?, rate("to", &typed.to, TO)?);
        if from > to {
            return Err(format!("--from {from}/s is above --to {to}/s"));
        }
        let hold = time("hold", &typed.hold, HOLD)?;
        let confirm = time("confirm", &typed.confirm, hold * 3)?;
        let mut keeps: Vec<_> = typed.keeps.iter().map(|keep| kept(keep)).collect();
        if !keeps.iter().any(|keep| keep.metric.starts_with(FAILED)) {
            keeps.push(ThresholdPlan { metric: FAILED.to_owned(), condition: "rate < 1%".to_owned() });
        }
        let warmup = warmup.unwrap_or(Duration::from_secs(hold.as_secs().div_ceil(5)));
        Ok(Self { bounds: Bounds { from, to, close: CLOSE }, hold, confirm, warmup, keeps })
    }

    fn thresholds(&self, plan: &Plan) -> Result<Vec<Threshold>, Failure> {
        let read = |keep: &ThresholdPlan| {
            let threshold = Threshold::parse(keep, &plan.metrics)?;
            threshold.fits(self.warmup, self.warmup + self.hold)?;
            Ok(threshold)
        };
        let read: Result<Vec<_>, crate::stats::threshold::ThresholdError> = self.keeps.iter().map(read).collect();
        read.map_err(Failure::bad_use)
    }

    /// The run in which this rate is held.
    fn hold_of(&self, plan: &Plan, rate: f64, is_long: bool) -> Plan {
        let profile = LoadProfile::plain_arrivals(Rate::per_second(rate), Some(self.run_time(is_long)));
        Plan {
            run: RunId(random_number()),
            profile: profile.with_max_users(Some(users_for(rate))),
            thresholds: self.keeps.clone(),
            settings: RunSettings { warmup: Some(self.warmup), ..plan.settings.clone() },
            ..plan.clone()
        }
    }

    /// Of the run in which a rate is held, its warm-up included.
    fn run_time(&self, is_long: bool) -> Duration {
        self.warmup + if is_long { self.confirm } else { self.hold }
    }
}

/// How many users may be made for a rate.
fn users_for(rate: f64) -> u32 {
    (rate * SECONDS_OF_USERS).ceil().clamp(LEAST_USERS, MOST_USERS) as u32
}

/// `CONDITION`, or `METRIC: CONDITION`.
fn kept(text: &str) -> ThresholdPlan {
    // In a selector colons stand, too; no condition has one.
    let after_selector = text.rfind('}').map_or(0, |end| end + 1);
    match text[after_selector..].split_once(':') {
        Some((rest, condition)) => {
            let metric = format!("{}{rest}", &text[..after_selector]);
            ThresholdPlan { metric: metric.trim().to_owned(), condition: condition.trim().to_owned() }
        }
        None => {
            let metric = if text.trim_start().starts_with("rate") { FAILED } else { DURATION };
            ThresholdPlan { metric: metric.to_owned(), condition: text.trim().to_owned() }
        }
    }
}

const DURATION: &str = "http_req_duration_due";
const FAILED: &str = "http_req_failed";
const FROM: f64 = 10.0;
const TO: f64 = 100_000.0;
const HOLD: Duration = Duration::from_secs(10);
/// Less says nothing of a percentile.
const LEAST: Duration = Duration::from_secs(2);
/// What is told to hold and what is told to break are so far apart at most.
const CLOSE: f64 = 0.02;
/// Users for iterations of so many seconds: where they take longer, a target does not hold the rate, and need not be buried.
const SECONDS_OF_USERS: f64 = 10.0;
const LEAST_USERS: f64 = 100.0;
const MOST_USERS: f64 = 10_000.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keeps: &[&str], from: Option<&str>, hold: Option<&str>) -> Find {
        let keeps = keeps.iter().map(|keep| (*keep).to_owned()).collect();
        Find { keeps, from: from.map(str::to_owned), to: None, hold: hold.map(str::to_owned), confirm: None }
    }

    #[test]
    fn a_condition_says_of_what_or_means_the_time_from_when_it_was_due() {
        let of = |text| {
            let ThresholdPlan { metric, condition } = kept(text);
            (metric, condition)
        };
        let pair = |metric: &str, condition: &str| (metric.to_owned(), condition.to_owned());
        assert_eq!(of("p(99) < 200ms"), pair(DURATION, "p(99) < 200ms"));
        assert_eq!(of(" rate<1%"), pair(FAILED, "rate<1%"));
        assert_eq!(of("http_req_waiting: avg < 5ms"), pair("http_req_waiting", "avg < 5ms"));
        assert_eq!(
            of("http_req_duration{name:/cart,method:GET}: p(95) < 1s"),
            pair("http_req_duration{name:/cart,method:GET}", "p(95) < 1s")
        );
    }

    #[test]
    fn failures_are_kept_below_a_hundredth_unless_it_is_said_otherwise() {
        let asked = |keeps: &[&str]| Asked::read(&typed(keeps, None, None), None).unwrap();
        assert_eq!(asked(&["p(99) < 1s"]).keeps.len(), 2);
        assert_eq!(asked(&["p(99) < 1s", "rate < 50%"]).keeps.len(), 2);
        let asked = asked(&["p(99) < 1s"]);
        assert_eq!([asked.hold, asked.confirm, asked.warmup].map(|time| time.as_secs()), [10, 30, 2]);
    }

    #[test]
    fn what_is_typed_wrongly_is_told_with_its_flag() {
        let why = |from, hold| Asked::read(&typed(&["p(99) < 1s"], from, hold), None).err().unwrap();
        assert!(why(Some("fast"), None).starts_with("--from: "));
        assert!(why(Some("200000/s"), None).contains("above --to"));
        assert!(why(None, Some("1500ms")).contains("whole seconds"));
        assert!(why(None, Some("1s")).contains("at least 2"));
    }

    #[test]
    fn a_hold_is_the_run_with_another_load_and_nothing_of_the_scenarios_own_thresholds() {
        let asked = Asked::read(&typed(&["p(99) < 1s"], None, None), None).unwrap();
        let plan = Plan::for_tests(LoadProfile::plain(3, 1.0, None));
        let hold = asked.hold_of(&plan, 50.0, true);
        assert!(matches!(&hold.profile, LoadProfile::Arrivals(arrivals) if arrivals.max_users == Some(500)));
        assert_eq!((hold.warmup().as_secs(), hold.thresholds.len(), hold.seed), (2, 2, plan.seed));
        assert_ne!(hold.run, plan.run);
    }
}
