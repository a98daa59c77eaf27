//! The JSON report of `--json`: the snapshot as `/api/v1` and the page have it, and more of the same: how the run ended, all percentiles,
//! whole histograms, the whole history and its cells.
//!
//! Owns what is added; the keys of the snapshot are `snapshot_json`'s. Keys are stable and end with their unit. `schema` grows when a key
//! changes its meaning or goes; added keys do not count.

mod cells;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::output::Output;
use super::place::Place;
use super::{Closing, PERCENTILES, ReportError};
use crate::front::moments::{milliseconds, unix_ms};
use crate::front::snapshot_json::{PointJson, SnapshotJson};
use crate::stats::snapshot::{EntryView, MetricValue, Snapshot, TrendView};

/// The version of the file's shape.
pub const SCHEMA: u32 = 1;

/// The report's place, known from before the run; a file only when it is whole.
#[derive(Debug)]
pub struct JsonFile(Place);

impl JsonFile {
    /// Looks at the place, and creates the folder before it.
    ///
    /// # Errors
    /// It cannot be written: no permission, or a folder.
    pub fn create(path: &Path) -> Result<Self, ReportError> {
        Place::new(path).map(Self)
    }
}

impl Output for JsonFile {
    fn keys(&self) -> Vec<PathBuf> {
        vec![self.0.key()]
    }

    fn on_snapshot(&mut self, _: &Snapshot) -> Result<(), ReportError> {
        Ok(())
    }

    fn finish(&mut self, last: &Snapshot, closing: &Closing) -> Result<(), ReportError> {
        self.0.finish(&format!("{:#}\n", render(last, closing)))
    }
}

pub(in crate::front) fn render(snapshot: &Snapshot, closing: &Closing) -> Value {
    // The whole history stands in its own place.
    let shown = SnapshotJson { recent: Vec::new(), ..SnapshotJson::from(snapshot) };
    let mut report = serde_json::to_value(shown).expect("a snapshot's keys are texts, and its numbers finite or null");
    let points = snapshot.history.iter().map(PointJson::from);
    add(&mut report, more(snapshot, closing));
    report["history"] = points.map(|point| json!(point)).collect();
    report["cells"] = cells::cells(&snapshot.cells);
    if let Value::Object(keys) = &mut report {
        keys.remove("recent");
    }
    report
}

/// What a report says beyond a snapshot, in the snapshot's places.
fn more(snapshot: &Snapshot, closing: &Closing) -> Value {
    json!({
        "schema": SCHEMA,
        "program": concat!("lunamoth ", env!("CARGO_PKG_VERSION")),
        "complete": closing.is_complete,
        "verdict": closing.to_json(),
        "seed": snapshot.seed,
        "run": snapshot.run.to_string(),
        "scripts_fingerprint": snapshot.fingerprint,
        "total": entry(&snapshot.total),
        "entries": snapshot.entries.iter().map(entry).collect::<Vec<Value>>(),
        "errors": moments(snapshot),
        "groups": snapshot.groups.iter().map(time_trend).collect::<Vec<Value>>(),
        "metrics": snapshot.metrics.iter().map(|metric| self::metric(&metric.value)).collect::<Vec<Value>>(),
        "phases": snapshot.phases.iter().map(time_trend).collect::<Vec<Value>>(),
        "iterations": {
            "duration": time_trend(&snapshot.times.iterations),
            "since_due": time_trend(&snapshot.since_due),
            "duration_due": time_trend(&snapshot.times.iterations_since_due),
            "lateness": time_trend(&snapshot.times.lateness),
        },
        "generator": { "lag": time_trend(&snapshot.times.lag) },
    })
}

/// Adds the keys of `more` to those of `value`, in lists element by element.
fn add(value: &mut Value, more: Value) {
    match (value, more) {
        (Value::Object(value), Value::Object(more)) => {
            for (key, more) in more {
                add(value.entry(key).or_insert(Value::Null), more);
            }
        }
        (Value::Array(value), Value::Array(more)) if value.len() == more.len() => {
            value.iter_mut().zip(more).for_each(|(value, more)| add(value, more));
        }
        (value, more) => *value = more,
    }
}

/// When each error was seen, by the wall clock.
fn moments(snapshot: &Snapshot) -> Vec<Value> {
    let moment = |clock: Duration| snapshot.started_at.and_then(|start| unix_ms(start + clock));
    let errors = snapshot.errors.iter();
    errors.map(|error| json!({ "first_seen_unix_ms": moment(error.first_seen), "last_seen_unix_ms": moment(error.last_seen) })).collect()
}

fn entry(entry: &EntryView) -> Value {
    let by_kind: Map<String, Value> = entry.failures_by_kind.iter().map(|(kind, count)| (kind.name().to_owned(), json!(count))).collect();
    let statuses: Map<String, Value> = entry.statuses.iter().map(|(status, count)| (status.to_string(), json!(count))).collect();
    let phases: Vec<Value> = entry
        .phases
        .iter()
        .map(|phase| {
            json!({
                "name": phase.metric, "count": phase.count,
                "sum_ms": milliseconds(phase.sum),
                "min_ms": (phase.count > 0).then(|| milliseconds(phase.min)), "max_ms": (phase.count > 0).then(|| milliseconds(phase.max)),
            })
        })
        .collect();
    let object = json!({
        "failures_by_kind": by_kind,
        "statuses": statuses,
        "not_sent": entry.not_sent,
        "unanswered": entry.unanswered,
        "stale_retries": entry.stale_retries,
        "body_bytes": entry.body_bytes,
        "bodies": entry.bodies,
        "sum_ms": milliseconds(entry.duration_sum),
        "clamped": entry.clamped,
        "histogram_us_v2_base64": entry.histogram.to_v2_base64(),
        "since_due": (entry.since_due.count > 0).then(|| time_trend(&entry.since_due)),
        "phases": phases,
    });
    with_percentiles(object, "_ms", |quantile| entry.percentile(quantile).map(milliseconds))
}

/// A trend of times.
fn time_trend(trend: &TrendView) -> Value {
    let object = json!({
        "name": &*trend.name,
        "count": trend.count,
        "sum_ms": trend.sum * 1e3,
        "min_ms": trend.min.map(|seconds| seconds * 1e3),
        "max_ms": trend.max.map(|seconds| seconds * 1e3),
        "histogram_us_v2_base64": trend.histogram.to_v2_base64(),
    });
    with_percentiles(object, "_ms", |quantile| trend.percentile(quantile).map(|seconds| seconds * 1e3))
}

/// A metric of the script's own: its values have the unit that the script gave them; histograms hold millionths of it.
fn metric(value: &MetricValue) -> Value {
    match value {
        MetricValue::Counter(_) | MetricValue::Gauge { .. } => json!({}),
        MetricValue::Rate { passes, total } => json!({ "passes": passes, "total": total }),
        MetricValue::Trend(trend) => {
            let object = json!({ "sum": trend.sum, "histogram_millionths_v2_base64": trend.histogram.to_v2_base64() });
            with_percentiles(object, "", |quantile| trend.percentile(quantile))
        }
    }
}

/// `object` with `p50` to `p99.99` and the unit's ending added; null where nothing was counted. The 100th is the maximum.
fn with_percentiles(mut object: Value, ending: &str, value: impl Fn(f64) -> Option<f64>) -> Value {
    for (name, quantile) in PERCENTILES.iter().filter(|(_, quantile)| *quantile < 1.0) {
        object[format!("p{}{ending}", name.trim_end_matches('%'))] = json!(value(*quantile));
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::tests::busy_snapshot;

    #[test]
    fn the_report_is_whole_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results/monday.json");
        let names = || -> Vec<_> { std::fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect() };
        let mut file = JsonFile::create(&path).unwrap();
        assert!(!path.exists());
        file.finish(&busy_snapshot(), &Closing { is_complete: true, ..Closing::default() }).unwrap();
        assert_eq!(names(), ["monday.json"]);
        drop(JsonFile::create(&path).unwrap());
        assert_eq!(names(), ["monday.json"]);
        let report: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!((&report["schema"], &report["complete"]), (&json!(1), &json!(true)));
    }

    #[test]
    fn numbers_bear_their_units_and_read_back() {
        let words = "FAILED: 1 of 2 thresholds".to_owned();
        let report = render(&busy_snapshot(), &Closing { is_complete: false, exit_code: 99, has_passed: false, words });
        let report: Value = serde_json::from_str(&report.to_string()).unwrap();
        assert_eq!(report["complete"], json!(false));
        assert_eq!(report["verdict"], json!({ "passed": false, "exit_code": 99, "words": "FAILED: 1 of 2 thresholds" }));
        assert_eq!(report["seed"], json!(42));
        assert_eq!(report["workers"].as_array().unwrap().len(), busy_snapshot().workers.len());
        assert_eq!(report["run"], json!("0000000000000abc"));
        assert_eq!(report["started_at_unix_ms"].to_string(), "1700000000000");
        assert_eq!(report["total"]["p50_ms"].to_string(), "15.007");
        assert_eq!(report["total"]["max_ms"].to_string(), "1234.0");
        assert_eq!(report["entries"][0]["min_ms"].to_string(), "0.42");
        assert_eq!(report["errors"][0]["first_seen_unix_ms"].to_string(), "1700000001000");
        assert_eq!(report["metrics"][1]["p99"].to_string(), "5.0");
        assert_eq!(report["thresholds"][1]["passed"], json!(false));
    }

    /// Whoever reads `/api/v1/snapshot` can read a report.
    #[test]
    fn a_report_is_a_snapshot_and_more() {
        let shown = SnapshotJson { recent: Vec::new(), ..SnapshotJson::from(&busy_snapshot()) };
        let report = render(&busy_snapshot(), &Closing::default());
        let read: SnapshotJson = serde_json::from_value(report).unwrap();
        assert_eq!(read, shown);
    }

    #[test]
    fn workers_and_what_is_lost_with_them_are_told() {
        let report = render(&crate::front::tests::snapshot_of_a_cluster(), &Closing::default());
        let ids: Vec<&Value> = report["workers"].as_array().unwrap().iter().map(|worker| &worker["state"]).collect();
        assert_eq!(ids, [&json!("ready"), &json!("missing")]);
        assert_eq!(report["holes"], json!([{ "worker": "b_2", "from_s": 3.0, "to_s": 6.0 }]));
        assert_eq!(report["overlaps"], json!([{ "worker": "b_2", "from_s": 4.0, "to_s": null, "users": 7 }]));
    }

    #[test]
    fn histograms_are_whole() {
        let snapshot = busy_snapshot();
        let report = render(&snapshot, &Closing::default());
        assert_eq!(report["total"]["histogram_us_v2_base64"], json!(snapshot.total.histogram.to_v2_base64()));
        assert_eq!(report["entries"][0]["histogram_us_v2_base64"], json!(snapshot.entries[0].histogram.to_v2_base64()));
    }

    #[test]
    fn what_nobody_measured_is_null() {
        let report = render(&Snapshot::default(), &Closing::default());
        for key in ["p50_ms", "p99.99_ms", "avg_ms", "min_ms", "max_ms", "requests_per_s", "fail_ratio"] {
            assert_eq!(report["total"][key], Value::Null, "{key}");
        }
        assert_eq!(report["generator"]["lag"]["max_ms"], Value::Null);
    }

    #[test]
    fn a_folder_is_no_report() {
        let folder = tempfile::tempdir().unwrap();
        assert!(JsonFile::create(folder.path()).unwrap_err().to_string().contains("directory"));
    }
}
