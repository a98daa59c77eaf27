//! What `lunamoth find` is asked, checked, and what makes its holds.

use std::time::Duration;

use super::super::failure::Failure;
use super::super::plan::random_number;
use super::super::signals::Signals;
use crate::cli::Find;
use crate::config::{arrival_rate, parse_duration};
use crate::front::console::find::Held;
use crate::plan::{LoadProfile, Plan, Rate, RunId, RunSettings, ThresholdPlan};
use crate::stats::search::Bounds;
use crate::stats::threshold::Threshold;

/// What is asked, checked.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) bounds: Bounds,
    hold: Duration,
    confirm: Duration,
    pub(super) warmup: Duration,
    pub(super) keeps: Vec<ThresholdPlan>,
}

/// Makes the load of a hold.
pub(super) trait Holder {
    /// What came of holding this rate; `None` where somebody has ended it.
    async fn hold(&mut self, rate: f64, is_long: bool, signals: &mut Signals) -> Result<Option<Held>, Failure>;
}

/// No rate makes a script work that never does.
pub(super) fn nothing_but_raised(first: Option<&str>) -> Failure {
    let first = first.map_or_else(String::new, |message| format!(": {message}"));
    Failure::bad_use(anyhow::anyhow!("the script raised, and made no request{first}"))
}

impl Asked {
    pub(super) fn read(typed: &Find, warmup: Option<Duration>) -> Result<Self, String> {
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
        // Of a lower rate a hold may see nothing at all.
        let least = 1.0 / hold.min(confirm).as_secs_f64();
        if from < least {
            let shortest = hold.min(confirm).as_secs();
            return Err(format!(
                "--from {from}/s: a hold of {shortest} s could end before anything is due in it: hold for longer (--hold, --confirm)"
            ));
        }
        let mut keeps: Vec<_> = typed.keeps.iter().map(|keep| kept(keep)).collect();
        if !keeps.iter().any(|keep| keep.metric.starts_with(FAILED)) {
            keeps.push(ThresholdPlan { metric: FAILED.to_owned(), condition: "rate < 1%".to_owned() });
        }
        let warmup = warmup.unwrap_or(Duration::from_secs(hold.as_secs().div_ceil(5)));
        Ok(Self { bounds: Bounds { from, to, least, close: CLOSE }, hold, confirm, warmup, keeps })
    }

    pub(super) fn thresholds(&self, plan: &Plan) -> Result<Vec<Threshold>, Failure> {
        let read = |keep: &ThresholdPlan| {
            let threshold = Threshold::parse(keep, &plan.metrics)?;
            threshold.fits(self.warmup, self.warmup + self.hold)?;
            Ok(threshold)
        };
        let read: Result<Vec<_>, crate::stats::threshold::ThresholdError> = self.keeps.iter().map(read).collect();
        read.map_err(Failure::bad_use)
    }

    /// The run in which this rate is held.
    pub(super) fn hold_of(&self, plan: &Plan, rate: f64, is_long: bool) -> Plan {
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
    pub(super) fn run_time(&self, is_long: bool) -> Duration {
        self.warmup + if is_long { self.confirm } else { self.hold }
    }
}

/// How many users may be made for a rate.
pub(super) fn users_for(rate: f64) -> u32 {
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
        assert!(why(Some("3/m"), None).contains("a hold of 10 s could end before anything is due in it"));
        assert!(Asked::read(&typed(&["p(99) < 1s"], Some("6/m"), Some("20s")), None).is_ok());
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
