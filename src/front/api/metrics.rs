//! `/metrics`: the run that is shown, for Prometheus.
//!
//! Counters are those of the run: they begin anew with the next one and with a reset, which Prometheus takes as it takes a restart.
//! Durations are seconds. What a worker says of itself stands at the worker's own `/metrics` (`lunamoth_worker_…`); what the master sees of
//! it is called `lunamoth_cluster_worker_…`, so that scraping both counts nothing twice.

use std::time::{Duration, UNIX_EPOCH};

use crate::front::exposition::{Exposition, Kind};
use crate::front::snapshot_json::StateJson;
use crate::stats::histogram::Histogram;
use crate::stats::snapshot::{EntryView, MetricValue, Snapshot, WorkerState, WorkerView};
use crate::stats::soundness::Unsound;

/// The page of metrics.
pub(super) fn metrics(snapshot: &Snapshot) -> String {
    let mut page = Exposition::default();
    run(&mut page, snapshot);
    requests(&mut page, snapshot);
    durations(&mut page, snapshot);
    phases(&mut page, snapshot);
    iterations(&mut page, snapshot);
    script(&mut page, snapshot);
    generator(&mut page, snapshot);
    workers(&mut page, snapshot);
    page.finish()
}

fn run(page: &mut Exposition, snapshot: &Snapshot) {
    let state = StateJson::from(snapshot.state);
    let run = if state == StateJson::Ready { String::new() } else { snapshot.run.to_string() };
    page.family("lunamoth_run_info", Kind::Gauge, "The run that is shown; always 1.");
    let host = snapshot.host.as_deref().unwrap_or_default();
    let version = env!("CARGO_PKG_VERSION");
    page.sample(&[("run", &run), ("scenario", &snapshot.scenario), ("host", host), ("version", version)], 1);
    page.family("lunamoth_run_state", Kind::Gauge, "1 for the state that the run is in.");
    for other in StateJson::ALL {
        page.sample(&[("state", other.name())], u8::from(state == other));
    }
    let started = snapshot.started_at.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    page.single(
        "lunamoth_run_start_time_seconds",
        Kind::Gauge,
        "When the run began, in Unix time; 0 before the first.",
        started.as_secs_f64(),
    );
    page.single("lunamoth_run_elapsed_seconds", Kind::Gauge, "The run's clock.", snapshot.elapsed.as_secs_f64());
    page.single("lunamoth_users", Kind::Gauge, "Users that run.", snapshot.users);
    page.single("lunamoth_target_users", Kind::Gauge, "Users that the plan wants.", snapshot.target_users);
    page.single("lunamoth_holes", Kind::Gauge, "Stretches of which a worker's numbers are lost.", snapshot.holes.len());
    page.single("lunamoth_overlaps", Kind::Gauge, "Stretches in which load ran twice.", snapshot.overlaps.len());
    page.single("lunamoth_repeats_total", Kind::Counter, "Reports that came again and were dropped.", snapshot.repeats);
}

fn requests(page: &mut Exposition, snapshot: &Snapshot) {
    page.family("lunamoth_requests_total", Kind::Counter, "Requests by status; status none is without an answer.");
    for entry in &snapshot.entries {
        let mut unanswered = entry.requests;
        for (status, count) in &entry.statuses {
            unanswered = unanswered.saturating_sub(*count);
            page.sample(&[("method", &entry.method), ("name", &entry.name), ("status", &status.to_string())], count);
        }
        if unanswered > 0 {
            page.sample(&[("method", &entry.method), ("name", &entry.name), ("status", "none")], unanswered);
        }
    }
    page.family("lunamoth_failures_total", Kind::Counter, "Failed requests by kind; kind local is the generator's own fault.");
    for entry in &snapshot.entries {
        for (kind, count) in &entry.failures_by_kind {
            page.sample(&[("method", &entry.method), ("name", &entry.name), ("kind", kind.name())], count);
        }
    }
    let bytes: [Column<EntryView, u64>; 3] = [
        ("lunamoth_cut_total", "Requests that the end of the run, or of their user, cut off.", |entry| entry.cut),
        ("lunamoth_sent_bytes_total", "Bytes on the wire to the target, headers included.", |entry| entry.bytes_out),
        ("lunamoth_received_bytes_total", "Bytes on the wire from the target, headers included.", |entry| entry.bytes_in),
    ];
    for (name, help, count) in bytes {
        page.family(name, Kind::Counter, help);
        for entry in &snapshot.entries {
            page.sample(&[("method", &entry.method), ("name", &entry.name)], count(entry));
        }
    }
}

fn durations(page: &mut Exposition, snapshot: &Snapshot) {
    page.family("lunamoth_request_duration_seconds", Kind::Histogram, "How long requests took, failed ones included.");
    for entry in &snapshot.entries {
        histogram(page, &[("method", &entry.method), ("name", &entry.name)], &entry.histogram, entry.duration_sum.as_secs_f64());
    }
    page.family("lunamoth_request_since_due_seconds", Kind::Histogram, "The same from the moment at which the requests were due.");
    for entry in snapshot.entries.iter().filter(|entry| entry.since_due.count > 0) {
        histogram(page, &[("method", &entry.method), ("name", &entry.name)], &entry.since_due.histogram, entry.since_due.sum);
    }
}

/// Buckets hold what the histogram knows to lie at or below their bounds: its ranges are a thousandth wide, and begin below the bound.
fn histogram(page: &mut Exposition, labels: &[(&str, &str)], histogram: &Histogram, sum: f64) {
    let with = |bound| [labels, &[("le", bound)]].concat();
    let mut values = histogram.iter().peekable();
    let mut count = 0;
    for (bound_us, bound) in BOUNDS {
        while let Some((_, more)) = values.next_if(|(value_us, _)| *value_us <= bound_us) {
            count += more;
        }
        page.part("_bucket", &with(bound), count);
    }
    count += values.map(|(_, more)| more).sum::<u64>();
    page.part("_bucket", &with("+Inf"), count);
    page.part("_sum", labels, sum);
    page.part("_count", labels, count);
}

/// Where the time of all requests went; how often each phase took place divides it.
fn phases(page: &mut Exposition, snapshot: &Snapshot) {
    page.family("lunamoth_phase_seconds_total", Kind::Counter, "How long each phase of requests took together.");
    for phase in &snapshot.phases {
        page.sample(&[("phase", &phase.name)], phase.sum);
    }
    page.family("lunamoth_phases_total", Kind::Counter, "How often each phase of requests took place.");
    for phase in &snapshot.phases {
        page.sample(&[("phase", &phase.name)], phase.count);
    }
}

fn iterations(page: &mut Exposition, snapshot: &Snapshot) {
    let lost = snapshot.arrivals.lost + snapshot.quota.as_ref().map_or(0, |quota| quota.lost);
    let rows = [
        ("lunamoth_iterations_total", "Iterations that ended.", snapshot.times.iterations.count),
        ("lunamoth_iterations_raised_total", "Iterations that raised an error.", snapshot.iterations_raised),
        ("lunamoth_iterations_interrupted_total", "Iterations that were ended before their own end.", snapshot.iterations_interrupted),
        ("lunamoth_iterations_due_total", "Iterations that were due at a time of their own.", snapshot.arrivals.due),
        ("lunamoth_iterations_started_total", "Iterations that were due and began.", snapshot.arrivals.started),
        ("lunamoth_iterations_dropped_total", "Iterations that were due and could not begin.", snapshot.iterations_dropped),
        ("lunamoth_iterations_lost_total", "Iterations that were due, or the load profile's, in the hands of workers that are gone.", lost),
        (
            "lunamoth_hold_pauses_total",
            "Pauses of users that had held their lane, so that its others had their turns.",
            snapshot.hold_pauses,
        ),
        ("lunamoth_backoffs_total", "Iterations that ended in the pause after an error.", snapshot.backoffs),
        ("lunamoth_start_failures_total", "Users whose start raised and was tried again.", snapshot.start_failures),
        ("lunamoth_stop_failures_total", "Users whose end raised.", snapshot.stop_failures),
        ("lunamoth_users_dropped_total", "Users that were dropped.", snapshot.users_dropped),
    ];
    for (name, help, count) in rows {
        page.single(name, Kind::Counter, help, count);
    }
    if let Some(quota) = &snapshot.quota {
        page.single("lunamoth_iterations_planned", Kind::Gauge, "Iterations that the load profile has in all.", quota.total);
        page.single("lunamoth_iterations_begun_total", Kind::Counter, "Those of them that began.", quota.begun);
    }
    page.family("lunamoth_iterations_dropped_by_reason_total", Kind::Counter, "Iterations that were due and could not begin, by why.");
    for (reason, count) in &snapshot.arrivals.dropped {
        page.sample(&[("reason", reason.name())], count);
    }
    if let Some(rate) = snapshot.arrivals.rate {
        page.single("lunamoth_iterations_rate_wanted", Kind::Gauge, "Iterations that are due in a second now.", rate);
    }
    page.family("lunamoth_iteration_lateness_seconds", Kind::Histogram, "How long after they were due iterations began.");
    if snapshot.arrivals.due > 0 {
        histogram(page, &[], &snapshot.times.lateness.histogram, snapshot.times.lateness.sum);
    }
    let seconds = snapshot.times.iterations.sum;
    page.single("lunamoth_iteration_seconds_total", Kind::Counter, "How long the iterations took together.", seconds);
}

fn script(page: &mut Exposition, snapshot: &Snapshot) {
    page.family("lunamoth_checks_total", Kind::Counter, "Checks by result.");
    for check in &snapshot.checks {
        page.sample(&[("check", &check.name), ("result", "pass")], check.passes);
        page.sample(&[("check", &check.name), ("result", "fail")], check.fails);
    }
    page.family("lunamoth_threshold_passed", Kind::Gauge, "Whether a threshold holds so far.");
    for threshold in &snapshot.thresholds {
        page.sample(&[("metric", &threshold.metric), ("condition", &threshold.condition)], u8::from(threshold.passed));
    }
    page.family(
        "lunamoth_script_metric",
        Kind::Gauge,
        "The script's own metrics: a counter's sum, a gauge's last value, a rate's share, a trend's mean.",
    );
    for metric in &snapshot.metrics {
        let (kind, value) = match &metric.value {
            MetricValue::Counter(sum) => ("counter", Some(*sum)),
            MetricValue::Gauge { last, .. } => ("gauge", Some(*last)),
            MetricValue::Rate { passes, total } => ("rate", (*total > 0).then(|| *passes as f64 / *total as f64)),
            MetricValue::Trend(trend) => ("trend", trend.avg()),
        };
        if let Some(value) = value {
            page.sample(&[("metric", &metric.name), ("kind", kind)], value);
        }
    }
    let raised: u64 = snapshot.exceptions.iter().map(|exception| exception.count).sum();
    page.single("lunamoth_exceptions_total", Kind::Counter, "Errors that scripts raised.", raised);
}

fn generator(page: &mut Exposition, snapshot: &Snapshot) {
    let health = &snapshot.health;
    let lag = health.lag_recent_max.as_secs_f64();
    page.single("lunamoth_generator_lag_seconds", Kind::Gauge, "The greatest lag of the generator's timers in the last 10 seconds.", lag);
    let unsound = health.unsound_seconds;
    page.single(
        "lunamoth_generator_unsound_seconds_total",
        Kind::Counter,
        "Seconds in which the generator made the numbers unsound.",
        unsound,
    );
    page.family("lunamoth_generator_unsound_worker_seconds_total", Kind::Counter, "Unsound seconds of all workers together, by reason.");
    for reason in Unsound::ALL {
        let stretches = health.unsound.iter().filter(|unsound| unsound.stretch.reason == reason);
        page.sample(&[("reason", reason.name())], stretches.map(|unsound| unsound.stretch.seconds).sum::<u64>());
    }
    let local = health.local_failures;
    page.single("lunamoth_generator_local_failures_total", Kind::Counter, "Requests that failed by the generator's own fault.", local);
    if let Some(cores) = health.cpu_cores {
        page.single("lunamoth_generator_cpu_cores", Kind::Gauge, "Processor cores that the generator uses, over 10 seconds.", cores);
    }
    let throttled = health.throttled.as_secs_f64();
    page.single(
        "lunamoth_generator_throttled_seconds_total",
        Kind::Counter,
        "How long cgroups kept the generator from running.",
        throttled,
    );
    page.single(
        "lunamoth_generator_unpacking_seconds_total",
        Kind::Counter,
        "Processor time for unpacking bodies, which is in no duration of a request.",
        health.unpacking.as_secs_f64(),
    );
    if let Some(memory) = health.memory_bytes {
        page.single("lunamoth_generator_memory_bytes", Kind::Gauge, "Resident memory of the generator.", memory);
    }
}

fn workers(page: &mut Exposition, snapshot: &Snapshot) {
    page.family("lunamoth_workers", Kind::Gauge, "Workers by state.");
    for state in WORKER_STATES {
        let count = snapshot.workers.iter().filter(|worker| worker.state == state).count();
        page.sample(&[("state", state.name())], count);
    }
    // What a worker has not told has no line.
    let families: [Column<WorkerView, Option<f64>>; 7] = [
        ("lunamoth_cluster_worker_users", "Users in a worker.", |worker| Some(worker.users as f64)),
        ("lunamoth_cluster_worker_lanes", "Threads of a worker that make load.", |worker| Some(f64::from(worker.lanes))),
        ("lunamoth_cluster_worker_cpu_cores", "Processor cores that a worker uses, over 10 seconds.", |worker| worker.cpu_cores),
        ("lunamoth_cluster_worker_memory_bytes", "Resident memory of a worker.", |worker| worker.memory_bytes.map(|bytes| bytes as f64)),
        ("lunamoth_cluster_worker_lag_seconds", "The greatest lag of a worker's timers lately.", |worker| worker.lag.map(seconds)),
        ("lunamoth_cluster_worker_round_trip_seconds", "The least round trip of a worker lately.", |worker| worker.round_trip.map(seconds)),
        ("lunamoth_cluster_worker_silence_seconds", "How long a worker has said nothing.", |worker| Some(seconds(worker.silence))),
    ];
    for (name, help, value) in families {
        page.family(name, Kind::Gauge, help);
        for worker in &snapshot.workers {
            if let Some(value) = value(worker) {
                page.sample(&[("worker", &worker.id), ("host", &worker.host)], value);
            }
        }
    }
    page.family("lunamoth_cluster_worker_script", Kind::Gauge, "1; the labels say which version of which script a worker has.");
    for worker in &snapshot.workers {
        let labels = [("worker", &*worker.id), ("host", &*worker.host), ("script", &*worker.script), ("fingerprint", &*worker.fingerprint)];
        page.sample(&labels, 1);
    }
    page.family("lunamoth_cluster_worker_script_error", Kind::Gauge, "1 while what lies in a worker's folder of scripts cannot be used.");
    for worker in &snapshot.workers {
        page.sample(&[("worker", &worker.id), ("host", &worker.host)], u8::from(worker.script_error.is_some()));
    }
}

/// A family's name, what it is, and the number that a row has in it.
type Column<Row, Number> = (&'static str, &'static str, fn(&Row) -> Number);

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}

/// Upper bounds in microseconds, and as they stand in the label `le`, in seconds.
const BOUNDS: [(u64, &str); 17] = [
    (250, "0.00025"),
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (5_000_000, "5"),
    (10_000_000, "10"),
    (30_000_000, "30"),
    (60_000_000, "60"),
];

const WORKER_STATES: [WorkerState; 7] = [
    WorkerState::Ready,
    WorkerState::Preparing,
    WorkerState::Differs,
    WorkerState::Running,
    WorkerState::Stopping,
    WorkerState::Lost,
    WorkerState::Left,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::tests::{busy_snapshot, trend};
    use crate::stats::drop_reason::DropReason;
    use crate::stats::sample::FailureKind;
    use crate::stats::snapshot::ArrivalsView;

    #[test]
    fn counts_are_those_of_the_snapshot() {
        let mut snapshot = busy_snapshot();
        snapshot.entries[0].statuses = vec![(200, 97), (503, 1)];
        snapshot.entries[0].failures_by_kind = vec![(FailureKind::Status, 1)];
        let page = metrics(&snapshot);
        for line in [
            "lunamoth_requests_total{method=\"GET\",name=\"/cart\",status=\"200\"} 97",
            "lunamoth_requests_total{method=\"GET\",name=\"/cart\",status=\"none\"} 2",
            "lunamoth_failures_total{method=\"GET\",name=\"/cart\",kind=\"status\"} 1",
            "lunamoth_request_duration_seconds_bucket{method=\"GET\",name=\"/cart\",le=\"0.00025\"} 0",
            "lunamoth_request_duration_seconds_bucket{method=\"GET\",name=\"/cart\",le=\"0.0005\"} 100",
            "lunamoth_request_duration_seconds_bucket{method=\"GET\",name=\"/cart\",le=\"+Inf\"} 100",
            "lunamoth_request_duration_seconds_sum{method=\"GET\",name=\"/cart\"} 0.042",
            "lunamoth_request_duration_seconds_count{method=\"GET\",name=\"/cart\"} 100",
            "lunamoth_phase_seconds_total{phase=\"http_req_waiting\"} 0.08",
            "lunamoth_phases_total{phase=\"http_req_waiting\"} 200",
            "lunamoth_users 8",
            "lunamoth_run_state{state=\"running\"} 1",
            "lunamoth_run_state{state=\"stopped\"} 0",
            "lunamoth_checks_total{check=\"has a price\",result=\"fail\"} 1",
            "lunamoth_workers{state=\"missing\"} 0",
        ] {
            assert!(page.contains(&format!("\n{line}\n")), "{line} is not in {page}");
        }
    }

    #[test]
    fn what_was_due_at_a_time_of_its_own_has_its_counts_and_its_times_and_a_closed_run_has_no_rate() {
        let mut snapshot = busy_snapshot();
        let closed = metrics(&snapshot);
        assert!(!closed.contains("\nlunamoth_iterations_rate_wanted ") && !closed.contains("since_due_seconds_count"), "{closed}");
        snapshot.arrivals = ArrivalsView { due: 12, started: 9, dropped: vec![(DropReason::NoFreeUser, 2)], lost: 1, rate: Some(2.5) };
        snapshot.iterations_dropped = 2;
        snapshot.entries[0].since_due = trend("http_req_duration_due", &[(2_000_000, 4)]);
        snapshot.times.lateness = trend("iteration_lateness", &[(3_000, 9)]);
        let page = metrics(&snapshot);
        for line in [
            "lunamoth_iterations_due_total 12",
            "lunamoth_iterations_started_total 9",
            "lunamoth_iterations_dropped_by_reason_total{reason=\"no_free_user\"} 2",
            "lunamoth_iterations_lost_total 1",
            "lunamoth_iterations_rate_wanted 2.5",
            "lunamoth_request_since_due_seconds_count{method=\"GET\",name=\"/cart\"} 4",
            "lunamoth_request_since_due_seconds_sum{method=\"GET\",name=\"/cart\"} 8",
            "lunamoth_iteration_lateness_seconds_bucket{le=\"0.005\"} 9",
            "lunamoth_iteration_lateness_seconds_count 9",
        ] {
            assert!(page.contains(&format!("\n{line}\n")), "{line} is not in {page}");
        }
    }

    #[test]
    fn buckets_rise_to_the_count_and_a_bound_holds_its_own_value() {
        let mut snapshot = busy_snapshot();
        for value_us in BOUNDS.map(|(bound_us, _)| bound_us).into_iter().chain([1, 61_000_000]) {
            snapshot.entries[0].histogram.record(value_us);
        }
        snapshot.entries.truncate(1);
        let page = metrics(&snapshot);
        let buckets: Vec<u64> = page
            .lines()
            .filter(|line| line.starts_with("lunamoth_request_duration_seconds_bucket"))
            .map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
            .collect();
        let expected: Vec<u64> = (2..=18).map(|count| if count == 2 { 2 } else { count + 100 }).chain([119]).collect();
        assert_eq!(buckets, expected);
    }
}
