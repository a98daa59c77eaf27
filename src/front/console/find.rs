//! What `lunamoth find` shows: a line for each hold as it ends, and what was found; the same as JSON.

use std::time::Duration;

use serde_json::{Value, json};

use super::verdict::Evidence;
use crate::front::snapshot_json::{SnapshotJson, ThresholdJson};
use crate::front::text::{duration, escape};
use crate::stats::search::{Finding, Outcome};
use crate::stats::snapshot::Snapshot;

/// One rate that was held.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// Iterations per second that were due.
    pub rate: f64,
    /// For longer than the others.
    pub is_long: bool,
    /// Iterations per second that began, of those that count; `None` where nothing was measured.
    pub reached: Option<f64>,
    /// How many requests a second it brought.
    pub requests: Option<f64>,
    /// From the moment at which requests were due.
    pub p50: Option<Duration>,
    /// From the moment that `p50` counts from.
    pub p99: Option<Duration>,
    /// 0..=1, of the requests that say something of the target.
    pub failed: Option<f64>,
    /// What was not kept, in words for people.
    pub broken: Vec<String>,
    /// Seconds in which the generator was at fault, of how many.
    pub unsound: (u64, u64),
}

impl Held {
    /// What a run at this rate shows, whose thresholds are what is to be kept.
    #[must_use]
    pub fn of(snapshot: &Snapshot, rate: f64, is_long: bool) -> Self {
        let arrivals = &snapshot.arrivals;
        let mut broken: Vec<String> = snapshot
            .thresholds
            .iter()
            .filter(|threshold| !threshold.passed)
            .map(|threshold| format!("{} {}: {}", threshold.metric, threshold.condition, threshold.actual))
            .collect();
        broken.extend(unserved(snapshot.iterations_dropped + arrivals.lost, arrivals.due));
        broken.extend(Evidence::of(snapshot).hollow());
        let since_due = |quantile| snapshot.since_due.percentile(quantile).map(|seconds| Duration::from_secs_f64(seconds.max(0.0)));
        Self {
            rate,
            is_long,
            reached: reached(rate, arrivals.started, arrivals.due),
            requests: snapshot.total.total_rps,
            p50: since_due(0.5),
            p99: since_due(0.99),
            failed: snapshot.total.fail_ratio(),
            broken,
            unsound: (snapshot.health.unsound_seconds, Evidence::of(snapshot).seconds),
        }
    }

    /// The same of a snapshot from afar. In a run that has lost a worker no second is sound.
    #[must_use]
    pub fn of_json(snapshot: &SnapshotJson, rate: f64, is_long: bool) -> Self {
        let (iterations, evidence) = (&snapshot.iterations, Evidence::of_json(snapshot));
        let of_threshold = |threshold: &ThresholdJson| format!("{} {}: {}", threshold.metric, threshold.condition, threshold.actual);
        let mut broken: Vec<String> = snapshot.thresholds.iter().filter(|threshold| !threshold.passed).map(of_threshold).collect();
        broken.extend(unserved(iterations.dropped + iterations.lost, iterations.due));
        broken.extend(evidence.hollow());
        let time = |ms: Option<f64>| ms.map(|ms| Duration::from_secs_f64(ms.max(0.0) / 1e3));
        let unsound = if snapshot.holes.is_empty() { snapshot.generator.unsound_s } else { evidence.seconds.max(1) };
        Self {
            rate,
            is_long,
            reached: reached(rate, iterations.started, iterations.due),
            requests: snapshot.total.requests_per_s,
            p50: time(iterations.since_due.p50_ms),
            p99: time(iterations.since_due.p99_ms),
            failed: snapshot.total.fail_ratio,
            broken,
            unsound: (unsound, evidence.seconds),
        }
    }

    /// As the search is told it.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let (unsound, seconds) = self.unsound;
        Outcome { is_kept: self.broken.is_empty(), is_sound: unsound * UNSOUND_SHARE <= seconds }
    }

    /// Its line in the table.
    #[must_use]
    pub fn line(&self) -> String {
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"));
        let time = |time: Option<Duration>| time.map_or_else(|| "-".to_owned(), duration);
        let failed = self.failed.map_or_else(|| "-".to_owned(), |share| format!("{:.2}%", share * 100.0));
        let mut words = if self.broken.is_empty() { "holds".to_owned() } else { format!("breaks  {}", escape(&self.broken.join("; "))) };
        if !self.outcome().is_sound {
            words.push_str(&format!("  (unsound: the generator was at fault in {} of {} s)", self.unsound.0, self.unsound.1));
        }
        let long = if self.is_long { "*" } else { " " };
        format!(
            "{:>10}{long} {:>10} {:>10} {:>9} {:>9} {:>8}  {words}\n",
            rate(self.rate),
            number(self.reached),
            number(self.requests),
            time(self.p50),
            time(self.p99),
            failed
        )
    }
}

/// Iterations per second that began: the share of those that were due, of the rate at which they were. The time in which the last ones ended is none of it.
fn reached(rate: f64, started: u64, due: u64) -> Option<f64> {
    (due > 0).then(|| rate * started as f64 / due as f64)
}

/// That so many of those that were due did not begin, if they are too many.
fn unserved(unserved: u64, due: u64) -> Option<String> {
    (unserved > due / MISSED_AT_MOST).then(|| format!("{unserved} of {due} iterations found no user that was free"))
}

/// What stands above the lines.
#[must_use]
pub fn head() -> String {
    let titles = format!("{:>10}  {:>10} {:>10} {:>9} {:>9} {:>8}", "rate/s", "reached/s", "requests/s", "p50", "p99", "failed");
    format!("{titles}\n{}\n", "-".repeat(titles.len() + 8))
}

/// What was found, below the lines.
#[must_use]
pub fn answer(finding: &Finding, is_interrupted: bool) -> String {
    let [holds, breaks] = [finding.holds, finding.breaks].map(|at| at.map(rate));
    let mut text = match (holds, breaks) {
        (Some(holds), Some(breaks)) => {
            format!("The highest rate that holds lies between {holds}/s, which held, and {breaks}/s, which did not.")
        }
        (Some(holds), None) => format!("{holds}/s holds; no rate that was tried does not."),
        (None, Some(breaks)) if finding.is_lowest => format!(
            "Not even {breaks}/s holds, and no lower rate can be tried: a hold could end before anything is due in it (a longer --hold and \
             --confirm go lower)."
        ),
        (None, Some(breaks)) => format!("Not even {breaks}/s holds."),
        (None, None) => "Nothing is known yet.".to_owned(),
    };
    if finding.is_generators {
        text.push_str(
            " The generator was at fault where it broke: the target may hold more, asked from a quieter machine or from several.",
        );
    }
    if is_interrupted {
        text.push_str(" The search was interrupted: this is what is known so far.");
    } else if !finding.is_certain {
        text.push_str(" It is not certain: longer holds said otherwise than shorter ones, again and again (--hold, --confirm).");
    }
    format!("\n* held for longer\n{text}\n")
}

/// All of it for programs. Rates are per second.
#[must_use]
pub fn document(curve: &[Held], finding: &Finding, is_interrupted: bool) -> String {
    let ms = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1e3);
    let holds: Vec<Value> = curve
        .iter()
        .map(|held| {
            json!({
                "rate_per_s": held.rate, "long": held.is_long, "reached_per_s": held.reached, "requests_per_s": held.requests,
                "p50_ms": ms(held.p50), "p99_ms": ms(held.p99), "fail_ratio": held.failed, "kept": held.broken.is_empty(),
                "broken": held.broken, "sound": held.outcome().is_sound, "unsound_s": held.unsound.0,
            })
        })
        .collect();
    let document = json!({
        "schema": 1,
        "program": concat!("lunamoth ", env!("CARGO_PKG_VERSION")),
        "holds_per_s": finding.holds, "breaks_per_s": finding.breaks, "certain": finding.is_certain,
        "generator_at_fault": finding.is_generators, "interrupted": is_interrupted,
        "curve": holds,
    });
    format!("{document:#}\n")
}

/// A rate with as many digits as mean something.
fn rate(rate: f64) -> String {
    if rate >= 1_000.0 {
        format!("{rate:.0}")
    } else if rate >= 10.0 {
        format!("{rate:.1}")
    } else {
        format!("{rate:.3}")
    }
}

/// One iteration of so many may be missed.
const MISSED_AT_MOST: u64 = 1_000;
/// One second of so many may be unsound.
const UNSOUND_SHARE: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::snapshot::{ArrivalsView, EntryView, HealthView, ThresholdView};

    fn snapshot(passed: bool, dropped: u64, unsound_seconds: u64) -> Snapshot {
        let threshold = ThresholdView { metric: "m".into(), condition: "p(99) < 1s".into(), actual: "2s".into(), passed };
        Snapshot {
            elapsed: Duration::from_secs(10),
            covered: Some(Duration::from_secs(10)),
            total: EntryView { requests: 1_000, ..EntryView::default() },
            thresholds: vec![threshold],
            arrivals: ArrivalsView { due: 1_000, started: 1_000 - dropped, ..ArrivalsView::default() },
            iterations_dropped: dropped,
            health: HealthView { unsound_seconds, ..HealthView::default() },
            ..Snapshot::default()
        }
    }

    #[test]
    fn a_rate_holds_where_all_is_kept_and_iterations_find_users_and_is_sound_where_the_generator_kept_up() {
        let of = |passed, dropped, unsound| Held::of(&snapshot(passed, dropped, unsound), 100.0, false);
        let outcome = |passed, dropped, unsound| {
            let Outcome { is_kept, is_sound } = of(passed, dropped, unsound).outcome();
            (is_kept, is_sound)
        };
        assert_eq!(
            [outcome(true, 1, 1), outcome(false, 0, 0), outcome(true, 2, 0), outcome(true, 0, 2)],
            [(true, true), (false, true), (false, true), (true, false)]
        );
        assert!(of(false, 0, 0).line().contains("breaks  m p(99) < 1s: 2s"));
        assert!(of(true, 0, 2).line().contains("holds  (unsound: the generator was at fault in 2 of 10 s)"));
        assert_eq!(of(true, 0, 0).reached, Some(100.0));
        // The time in which the last answers came is none of that in which iterations were due.
        let slow = Snapshot { covered: Some(Duration::from_secs(12)), ..snapshot(true, 100, 0) };
        assert_eq!(Held::of(&slow, 100.0, false).reached, Some(90.0));
        let hollow = Held::of(&Snapshot::default(), 100.0, false);
        assert_eq!(hollow.broken, ["no request was made"]);
    }

    #[test]
    fn the_answer_names_both_ends_and_whose_fault_it_was() {
        let finding = Finding { holds: Some(198.0), breaks: Some(202.5), is_generators: false, is_certain: true, is_lowest: false };
        assert!(answer(&finding, false).contains("between 198.0/s, which held, and 202.5/s, which did not."));
        let text = answer(&Finding { is_generators: true, is_certain: false, ..finding }, false);
        assert!(text.contains("The generator was at fault") && text.contains("not certain"), "{text}");
        assert!(answer(&Finding { holds: None, ..finding }, true).contains("Not even 202.5/s holds. The search was interrupted"));
        let lowest = answer(&Finding { holds: None, is_lowest: true, ..finding }, false);
        assert!(lowest.contains("Not even 202.5/s holds, and no lower rate can be tried"), "{lowest}");
        let read: Value = serde_json::from_str(&document(&[Held::of(&snapshot(true, 0, 0), 100.0, true)], &finding, false)).unwrap();
        assert_eq!((&read["holds_per_s"], &read["curve"][0]["kept"]), (&json!(198.0), &json!(true)));
    }
}
