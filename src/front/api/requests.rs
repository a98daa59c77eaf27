//! `/stats/requests`: the snapshot in the keys of Locust 2.47, those of 0.8.1 beside them, and keys of our own for what neither knows.
//!
//! Times are milliseconds, moments are seconds of Unix time, positions on the run's clock are seconds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use utoipa::ToSchema;

use crate::front::moments::milliseconds;
use crate::front::report::csv::error_text;
use crate::stats::snapshot::{EntryView, RunState, Snapshot, ThresholdView, WorkerState, WorkerView};

/// Whose values are sent; the keys are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Generation {
    /// Locust 0.8.1: `hatching`, `Total`, failed requests not among `num_requests`.
    First,
    /// Locust 2.47: `spawning`, `Aggregated`, all requests in `num_requests`.
    Second,
}

/// The document as JSON.
///
/// # Errors
/// The encoder's.
pub(super) fn requests(snapshot: &Snapshot, generation: Generation) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Requests::new(snapshot, generation))
}

#[derive(Serialize, ToSchema)]
#[schema(as = LocustStats)]
/// What `/stats/requests` answers.
pub(super) struct Requests<'a> {
    state: &'static str,
    user_count: u64,
    worker_count: usize,
    slave_count: usize,
    /// Like the other rates null as long as no whole second is known.
    total_rps: Option<f64>,
    total_fail_per_sec: Option<f64>,
    current_rps: Option<f64>,
    current_fail_per_sec: Option<f64>,
    fail_ratio: f64,
    current_response_time_percentiles: CurrentPercentiles,
    current_response_time_percentile_50: Option<f64>,
    current_response_time_percentile_95: Option<f64>,
    stats: Vec<Row<'a>>,
    errors: Vec<ErrorRow<'a>>,
    workers: Vec<WorkerRow<'a>>,
    run: String,
    scenario: &'a str,
    host: Option<&'a str>,
    elapsed: f64,
    planned: Option<f64>,
    started_at: Option<f64>,
    target_user_count: u64,
    thresholds: Vec<ThresholdRow<'a>>,
    checks: Vec<CheckRow<'a>>,
    iterations: Iterations,
    health: Health,
    holes: Vec<Hole<'a>>,
    overlaps: Vec<Overlap<'a>>,
    repeats: u64,
    warnings: &'a [String],
}

impl<'a> Requests<'a> {
    fn new(snapshot: &'a Snapshot, generation: Generation) -> Self {
        let total = &snapshot.total;
        let p50 = snapshot.current_p50.map(milliseconds);
        let p95 = snapshot.current_p95.map(milliseconds);
        let rows = snapshot.entries.iter().map(|entry| Row::new(entry, Some(&entry.method), &entry.name, generation));
        let last = match generation {
            Generation::First => Row::new(total, None, "Total", generation),
            Generation::Second => Row::new(total, Some(""), "Aggregated", generation),
        };
        Self {
            state: state(snapshot.state, generation),
            user_count: snapshot.users,
            worker_count: worker_count(snapshot),
            slave_count: worker_count(snapshot),
            total_rps: total.total_rps,
            total_fail_per_sec: total.total_fail_per_sec,
            current_rps: total.current_rps,
            current_fail_per_sec: total.current_fail_per_sec,
            // Locust says 0 before the first request, and its clients count on a number.
            fail_ratio: total.fail_ratio().unwrap_or(0.0),
            current_response_time_percentiles: CurrentPercentiles { p50, p95 },
            current_response_time_percentile_50: p50,
            current_response_time_percentile_95: p95,
            stats: rows.chain([last]).collect(),
            errors: errors(snapshot),
            workers: snapshot.workers.iter().map(WorkerRow::new).collect(),
            run: snapshot.run.to_string(),
            scenario: &snapshot.scenario,
            host: snapshot.host.as_deref(),
            elapsed: snapshot.elapsed.as_secs_f64(),
            planned: snapshot.planned.map(|planned| planned.as_secs_f64()),
            started_at: snapshot.started_at.map(unix_seconds),
            target_user_count: snapshot.target_users,
            thresholds: snapshot.thresholds.iter().map(ThresholdRow::new).collect(),
            checks: snapshot.checks.iter().map(|check| CheckRow { name: &check.name, passes: check.passes, fails: check.fails }).collect(),
            iterations: Iterations::new(snapshot),
            health: Health::new(snapshot),
            holes: holes(snapshot),
            overlaps: overlaps(snapshot),
            repeats: snapshot.repeats,
            warnings: &snapshot.warnings,
        }
    }
}

fn state(state: RunState, generation: Generation) -> &'static str {
    match (state, generation) {
        (RunState::Ready, _) => "ready",
        (RunState::Waiting | RunState::Spawning, Generation::First) => "hatching",
        (RunState::Waiting | RunState::Spawning, Generation::Second) => "spawning",
        (RunState::Stopping, Generation::Second) => "stopping",
        (RunState::Running | RunState::Paused | RunState::Stopping, _) => "running",
        (RunState::Stopped, _) => "stopped",
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = LocustCurrentPercentiles)]
struct CurrentPercentiles {
    #[serde(rename = "response_time_percentile_0.5")]
    p50: Option<f64>,
    #[serde(rename = "response_time_percentile_0.95")]
    p95: Option<f64>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = LocustRow)]
struct Row<'a> {
    method: Option<&'a str>,
    name: &'a str,
    num_requests: u64,
    num_failures: u64,
    avg_response_time: f64,
    min_response_time: f64,
    max_response_time: f64,
    median_response_time: f64,
    /// Like the other times zero where there is no request: Locust never sends null here, and its clients reckon with that.
    #[serde(rename = "response_time_percentile_0.95")]
    p95: f64,
    #[serde(rename = "response_time_percentile_0.99")]
    p99: f64,
    avg_content_length: Option<f64>,
    current_rps: Option<f64>,
    current_fail_per_sec: Option<f64>,
    total_rps: Option<f64>,
    total_fail_per_sec: Option<f64>,
}

impl<'a> Row<'a> {
    fn new(entry: &EntryView, method: Option<&'a str>, name: &'a str, generation: Generation) -> Self {
        // Locust says zero where it knows no time, and its clients compute with it.
        let time = |time: Option<Duration>| time.map_or(0.0, milliseconds);
        let [p50, p95, p99] = entry.percentiles([0.5, 0.95, 0.99]).map(time);
        Self {
            method,
            name,
            num_requests: match generation {
                Generation::First => entry.judged().saturating_sub(entry.failures),
                Generation::Second => entry.requests,
            },
            num_failures: entry.failures,
            avg_response_time: time(entry.avg()),
            min_response_time: time(entry.min),
            max_response_time: time(entry.max),
            median_response_time: p50,
            p95,
            p99,
            avg_content_length: entry.mean_body_bytes(),
            current_rps: entry.current_rps,
            current_fail_per_sec: entry.current_fail_per_sec,
            total_rps: entry.total_rps,
            total_fail_per_sec: entry.total_fail_per_sec,
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = LocustErrorRow)]
struct ErrorRow<'a> {
    method: &'a str,
    name: &'a str,
    error: String,
    occurrences: u64,
    /// The spelling of 0.8.1.
    occurences: u64,
    first_seen: Option<f64>,
    last_seen: Option<f64>,
    kind: &'static str,
}

fn errors(snapshot: &Snapshot) -> Vec<ErrorRow<'_>> {
    let moment = |clock: Duration| snapshot.started_at.map(|start| unix_seconds(start + clock));
    let mut rows = Vec::with_capacity(snapshot.errors.len());
    for error in &snapshot.errors {
        rows.push(ErrorRow {
            method: &error.method,
            name: &error.name,
            error: error_text(error),
            occurrences: error.occurrences,
            occurences: error.occurrences,
            first_seen: moment(error.first_seen),
            last_seen: moment(error.last_seen),
            kind: error.kind.name(),
        });
    }
    rows
}

#[derive(Serialize, ToSchema)]
#[schema(as = LocustWorkerRow)]
struct WorkerRow<'a> {
    id: &'a str,
    state: &'static str,
    user_count: u64,
    /// In percent of one core, as Locust has it.
    cpu_usage: Option<f64>,
    /// In bytes, as Locust has it.
    memory_usage: Option<u64>,
    host: &'a str,
    slots: u32,
    lanes: u32,
    lag_ms: Option<f64>,
    script: &'a str,
    fingerprint: &'a str,
    /// Why what lies in its folder cannot be used; it keeps the script that it has.
    script_error: Option<&'a str>,
    round_trip_ms: Option<f64>,
    silence_ms: f64,
}

impl<'a> WorkerRow<'a> {
    fn new(worker: &'a WorkerView) -> Self {
        Self {
            id: &worker.id,
            state: worker.state.name(),
            user_count: worker.users,
            cpu_usage: worker.cpu_cores.map(|cores| cores * 100.0),
            memory_usage: worker.memory_bytes,
            host: &worker.host,
            slots: worker.slots,
            lanes: worker.lanes,
            lag_ms: worker.lag.map(milliseconds),
            script: &worker.script,
            fingerprint: &worker.fingerprint,
            script_error: worker.script_error.as_deref(),
            round_trip_ms: worker.round_trip.map(milliseconds),
            silence_ms: milliseconds(worker.silence),
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = LocustThresholdRow)]
struct ThresholdRow<'a> {
    metric: &'a str,
    condition: &'a str,
    actual: &'a str,
    passed: bool,
}

impl<'a> ThresholdRow<'a> {
    fn new(threshold: &'a ThresholdView) -> Self {
        Self { metric: &threshold.metric, condition: &threshold.condition, actual: &threshold.actual, passed: threshold.passed }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = LocustCheckRow)]
struct CheckRow<'a> {
    name: &'a str,
    passes: u64,
    fails: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = LocustIterations)]
struct Iterations {
    count: u64,
    raised: u64,
    interrupted: u64,
    dropped: u64,
    backoffs: u64,
    start_failures: u64,
    stop_failures: u64,
    users_dropped: u64,
}

impl Iterations {
    fn new(snapshot: &Snapshot) -> Self {
        Self {
            count: snapshot.times.iterations.count,
            raised: snapshot.iterations_raised,
            interrupted: snapshot.iterations_interrupted,
            dropped: snapshot.iterations_dropped,
            backoffs: snapshot.backoffs,
            start_failures: snapshot.start_failures,
            stop_failures: snapshot.stop_failures,
            users_dropped: snapshot.users_dropped,
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = LocustHealth)]
struct Health {
    lag_recent_max_ms: f64,
    unsound_s: u64,
    local_failures: u64,
    cpu_cores: Option<f64>,
    throttled_ms: f64,
    unpacking_ms: f64,
    memory_bytes: Option<u64>,
}

impl Health {
    fn new(snapshot: &Snapshot) -> Self {
        let health = &snapshot.health;
        Self {
            lag_recent_max_ms: milliseconds(health.lag_recent_max),
            unsound_s: health.unsound_seconds,
            local_failures: health.local_failures,
            cpu_cores: health.cpu_cores,
            throttled_ms: milliseconds(health.throttled),
            unpacking_ms: milliseconds(health.unpacking),
            memory_bytes: health.memory_bytes,
        }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = LocustHole)]
struct Hole<'a> {
    worker: &'a str,
    from: f64,
    to: f64,
}

fn holes(snapshot: &Snapshot) -> Vec<Hole<'_>> {
    let mut rows = Vec::with_capacity(snapshot.holes.len());
    for hole in &snapshot.holes {
        rows.push(Hole { worker: &hole.worker, from: hole.from.as_secs_f64(), to: hole.to.as_secs_f64() });
    }
    rows
}

#[derive(Serialize, ToSchema)]
#[schema(as = LocustOverlap)]
struct Overlap<'a> {
    worker: &'a str,
    from: f64,
    to: Option<f64>,
    users: u64,
}

fn overlaps(snapshot: &Snapshot) -> Vec<Overlap<'_>> {
    let mut rows = Vec::with_capacity(snapshot.overlaps.len());
    for overlap in &snapshot.overlaps {
        let to = overlap.to.map(|to| to.as_secs_f64());
        rows.push(Overlap { worker: &overlap.worker, from: overlap.from.as_secs_f64(), to, users: overlap.users });
    }
    rows
}

fn unix_seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// Workers that are connected.
pub(super) fn worker_count(snapshot: &Snapshot) -> usize {
    snapshot.workers.iter().filter(|worker| !matches!(worker.state, WorkerState::Lost | WorkerState::Left)).count()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::front::tests::busy_snapshot;
    use crate::plan::RunId;
    use crate::stats::snapshot::{HoleView, OverlapView, WorkerState};

    fn document(snapshot: &Snapshot, generation: Generation) -> Value {
        serde_json::from_str(&requests(snapshot, generation).unwrap()).unwrap()
    }

    fn keys(value: &Value) -> Vec<&str> {
        value.as_object().unwrap().keys().map(String::as_str).collect()
    }

    #[test]
    fn every_key_of_both_generations_is_there() {
        let mut snapshot = busy_snapshot();
        snapshot.workers.push(WorkerView::default());
        let document = document(&snapshot, Generation::Second);
        let has = |value: &Value, wanted: &str| {
            for key in wanted.split(' ') {
                assert!(keys(value).contains(&key), "{key}");
            }
        };
        has(
            &document,
            "current_fail_per_sec current_rps current_response_time_percentiles errors fail_ratio state stats total_fail_per_sec",
        );
        has(&document, "total_rps user_count worker_count workers slave_count");
        has(&document, "current_response_time_percentile_50 current_response_time_percentile_95");
        has(&document["current_response_time_percentiles"], "response_time_percentile_0.5 response_time_percentile_0.95");
        has(&document["errors"][0], "error first_seen last_seen method name occurrences occurences");
        has(&document["stats"][0], "avg_content_length avg_response_time current_fail_per_sec current_rps max_response_time");
        has(&document["stats"][0], "median_response_time method min_response_time name num_failures num_requests");
        has(&document["stats"][0], "response_time_percentile_0.95 response_time_percentile_0.99 total_fail_per_sec total_rps");
        has(&document["workers"][0], "cpu_usage id memory_usage state user_count");
    }

    #[test]
    fn numbers_are_locusts() {
        let document = document(&busy_snapshot(), Generation::Second);
        assert_eq!(
            (&document["state"], &document["user_count"], &document["target_user_count"]),
            (&json!("running"), &json!(8), &json!(10))
        );
        let stats = document["stats"].as_array().unwrap();
        assert_eq!((&stats[0]["method"], &stats[0]["name"], &stats[0]["num_requests"]), (&json!("GET"), &json!("/cart"), &json!(100)));
        assert_eq!(stats[0]["avg_response_time"].to_string(), "0.42");
        let last = stats.last().unwrap();
        assert_eq!((&last["method"], &last["name"], &last["num_requests"]), (&json!(""), &json!("Aggregated"), &json!(201)));
        assert_eq!(last["max_response_time"].to_string(), "1234.0");
        let error = &document["errors"][0];
        assert_eq!((error["first_seen"].to_string(), &error["occurences"]), ("1700000001.0".to_owned(), &json!(2)));
        assert_eq!(document["run"], json!("0000000000000abc"));
    }

    #[test]
    fn the_first_generation_has_its_own_words() {
        let mut snapshot = busy_snapshot();
        snapshot.state = RunState::Spawning;
        let document = document(&snapshot, Generation::First);
        let last = document["stats"].as_array().unwrap().last().unwrap();
        assert_eq!((&document["state"], &last["method"], &last["name"]), (&json!("hatching"), &Value::Null, &json!("Total")));
        assert_eq!((&last["num_requests"], &last["num_failures"]), (&json!(199), &json!(2)));
    }

    #[test]
    fn without_data_current_percentiles_are_null_and_the_total_row_is_there_with_numbers() {
        let document = document(&Snapshot::default(), Generation::Second);
        assert_eq!(document["state"], json!("ready"));
        assert_eq!(document["stats"].as_array().unwrap().len(), 1);
        assert_eq!(document["stats"][0]["response_time_percentile_0.99"].to_string(), "0.0");
        assert_eq!(document["current_response_time_percentiles"]["response_time_percentile_0.5"], Value::Null);
        assert_eq!(document["stats"][0]["median_response_time"].to_string(), "0.0");
    }

    #[test]
    fn what_was_lost_or_ran_twice_is_shown_and_who_is_gone_does_not_count() {
        let worker = |state| WorkerView { id: "a".into(), state, ..WorkerView::default() };
        let snapshot = Snapshot {
            run: RunId(1),
            workers: [WorkerState::Running, WorkerState::Lost, WorkerState::Left, WorkerState::Differs].map(worker).into(),
            holes: vec![HoleView { worker: "a".into(), from: Duration::from_millis(1_500), to: Duration::from_secs(3) }],
            overlaps: vec![OverlapView { worker: "b".into(), from: Duration::from_secs(4), to: None, users: 3 }],
            repeats: 9,
            ..Snapshot::default()
        };
        let document = document(&snapshot, Generation::Second);
        assert_eq!((&document["worker_count"], &document["slave_count"]), (&json!(2), &json!(2)));
        assert_eq!(document["workers"][1]["state"], json!("missing"));
        assert_eq!(document["holes"].to_string(), r#"[{"worker":"a","from":1.5,"to":3.0}]"#);
        assert_eq!(document["overlaps"].to_string(), r#"[{"worker":"b","from":4.0,"to":null,"users":3}]"#);
        assert_eq!(document["repeats"], json!(9));
    }
}
