//! A snapshot with something of everything, for the tests of all that shows snapshots.

use std::time::{Duration, SystemTime};

use crate::plan::RunId;
use crate::stats::histogram::Histogram;
use crate::stats::sample::FailureKind;
use crate::stats::snapshot::*;
use crate::stats::soundness::{Reasons, Stretch, Unsound};
use crate::stats::times::Times;

fn histogram(values_us: &[(u64, u64)]) -> Histogram {
    let mut histogram = Histogram::default();
    for (value, count) in values_us {
        histogram.record_n(*value, *count);
    }
    histogram
}

fn entry(method: &str, name: &str, failures: u64, values_us: &[(u64, u64)]) -> EntryView {
    let requests = values_us.iter().map(|(_, count)| count).sum();
    EntryView {
        method: method.into(),
        name: name.into(),
        requests,
        failures,
        duration_sum: Duration::from_micros(values_us.iter().map(|(value, count)| value * count).sum()),
        min: Some(Duration::from_micros(values_us[0].0)),
        max: Some(Duration::from_micros(values_us[values_us.len() - 1].0)),
        histogram: histogram(values_us),
        current_rps: Some(requests as f64 / 10.0),
        current_fail_per_sec: Some(failures as f64 / 10.0),
        total_rps: Some(requests as f64 / 6.0),
        total_fail_per_sec: Some(failures as f64 / 6.0),
        body_bytes: requests * 100,
        bodies: requests,
        ..EntryView::default()
    }
}

pub(super) fn trend(name: &str, values_us: &[(u64, u64)]) -> TrendView {
    TrendView {
        name: name.into(),
        count: values_us.iter().map(|(_, count)| count).sum(),
        sum: values_us.iter().map(|(value, count)| value * count).sum::<u64>() as f64 / 1e6,
        min: Some(values_us[0].0 as f64 / 1e6),
        max: Some(values_us[values_us.len() - 1].0 as f64 / 1e6),
        histogram: histogram(values_us),
    }
}

/// A run with something of everything, for the tests of all that shows snapshots.
pub(super) fn busy_snapshot() -> Snapshot {
    Snapshot {
        run: RunId(0xabc),
        scenario: "shop".to_owned(),
        host: Some("http://127.0.0.1:8080".to_owned()),
        state: RunState::Running,
        elapsed: Duration::from_secs(6),
        planned: Some(Duration::from_secs(60)),
        seed: Some(42),
        started_at: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)),
        users: 8,
        target_users: 10,
        total: entry("", "Total", 2, &[(420, 100), (15_000, 100), (1_234_000, 1)]),
        counted_since: Some(Duration::ZERO),
        covered: Some(Duration::from_secs(6)),
        current_p50: Some(Duration::from_millis(15)),
        current_p95: Some(Duration::from_millis(15)),
        entries: vec![
            entry("GET", "/cart", 0, &[(420, 100)]),
            entry("POST", &format!("/日本/{}end\x1b[2J", "long/".repeat(14)), 2, &[(15_000, 100), (1_234_000, 1)]),
        ],
        errors: vec![ErrorView {
            method: "POST".into(),
            name: "/login".into(),
            kind: FailureKind::Status,
            message: "=503 Service\nUnavailable".into(),
            occurrences: 2,
            first_seen: Duration::from_secs(1),
            last_seen: Duration::from_secs(5),
        }],
        exceptions: vec![ExceptionView {
            message: "shop.lua:3: attempt to index nil".into(),
            traceback: "stack traceback:\n\tshop.lua:3: in function".into(),
            count: 3,
            nodes: vec!["node-1_0a".into(), "node-2_0b".into()],
            has_more_nodes: true,
            first_seen: Some(Duration::from_secs(2)),
            last_seen: Some(Duration::from_secs(3)),
        }],
        checks: vec![CheckView { name: "has a price".into(), passes: 99, fails: 1 }],
        groups: vec![trend("checkout", &[(20_000, 4)])],
        metrics: vec![
            MetricView { name: "orders".into(), value: MetricValue::Counter(7.0) },
            MetricView { name: "basket".into(), value: MetricValue::Trend(trend("basket", &[(2_000_000, 3), (5_000_000, 1)])) },
            MetricView { name: "hits".into(), value: MetricValue::Rate { passes: 1, total: 4 } },
            MetricView { name: "depth".into(), value: MetricValue::Gauge { last: 2.5, min: 1.0, max: 9.0 } },
        ],
        phases: vec![trend("http_req_waiting", &[(400, 200)])],
        times: Times {
            iterations: trend("iteration_duration", &[(16_000, 90)]),
            lag: trend("generator_lag", &[(80, 1000)]),
            ..Times::default()
        },
        thresholds: vec![
            ThresholdView { metric: "http_req_duration".into(), condition: "p(95) < 200ms".into(), actual: "15ms".into(), passed: true },
            ThresholdView { metric: "http_req_failed".into(), condition: "rate < 1%".into(), actual: "1.5%".into(), passed: false },
        ],
        health: HealthView {
            unsound_seconds: 1,
            unsound: vec![UnsoundView {
                worker: String::new(),
                stretch: Stretch {
                    source: 0,
                    reason: Unsound::Late,
                    seconds: 1,
                    first: Duration::from_secs(5),
                    end: Duration::from_secs(6),
                },
                holds: Vec::new(),
            }],
            unsound_requests: 20,
            cpu_cores: Some(0.42),
            memory_bytes: Some(30 << 20),
            ..HealthView::default()
        },
        history: vec![HistoryPoint {
            at: Duration::from_secs(5),
            length: Duration::from_secs(1),
            seen: Some(Seen { known: Duration::from_secs(1), users: 8, requests: 33, ..Seen::default() }),
            unsound: Reasons::default(),
        }],
        warnings: vec!["names limit reached".to_owned()],
        ..Snapshot::default()
    }
}

/// The end of a run on two workers, one of which was killed.
pub(super) fn snapshot_of_a_cluster() -> Snapshot {
    let worker = |id: &str, state, memory_bytes: Option<u64>| WorkerView {
        id: id.to_owned(),
        address: Some(([10, 0, 0, 7], 40_123).into()),
        state,
        lanes: 2,
        cpu_cores: memory_bytes.map(|_| 0.5),
        memory_bytes,
        lag: memory_bytes.map(|_| Duration::from_micros(80)),
        ..WorkerView::default()
    };
    Snapshot {
        state: RunState::Stopped,
        workers: vec![worker("a_1", WorkerState::Ready, Some(30 << 20)), worker("b_2", WorkerState::Lost, None)],
        holes: vec![HoleView { worker: "b_2".to_owned(), from: Duration::from_secs(3), to: Duration::from_secs(6) }],
        overlaps: vec![OverlapView { worker: "b_2".to_owned(), from: Duration::from_secs(4), to: None, users: 7 }],
        ..busy_snapshot()
    }
}
