//! Screens full of numbers, for the tests of the view and of its cost.

use std::sync::Arc;
use std::time::Duration;

use super::feed::{Event, LogEntry};
use super::state::{Door, Screen};
use crate::front::snapshot_json::*;
use crate::front::tests::busy_snapshot;

pub(super) const NOW: Duration = Duration::from_secs(1);

/// A run of six minutes on three workers, with something of everything.
pub(super) fn busy() -> SnapshotJson {
    let mut snapshot = SnapshotJson::from(&busy_snapshot());
    snapshot.version = "0.1.0".into();
    snapshot.elapsed_s = 366.0;
    snapshot.planned_s = Some(600.0);
    (snapshot.users, snapshot.target_users, snapshot.goal_users) = (180, 200, 200);
    snapshot.entries = (0..40).map(entry).collect();
    snapshot.total = EntryJson { method: String::new(), name: "Total".into(), requests: 123_456, failures: 617, ..entry(3) };
    snapshot.workers = (0..3).map(worker).collect();
    snapshot.holes = vec![HoleJson { worker: worker(2).id, from_s: 61.0, to_s: 75.0 }];
    snapshot.overlaps = vec![OverlapJson { worker: worker(1).id, from_s: 80.0, to_s: Some(92.0), users: 33 }];
    snapshot.recent = Vec::new();
    snapshot
}

pub(super) fn entry(number: u64) -> EntryJson {
    let ms = 3.0 + number as f64 * 7.3;
    EntryJson {
        method: if number.is_multiple_of(3) { "POST" } else { "GET" }.into(),
        name: format!("/products/{number}/reviews"),
        requests: 40_000 / (number + 1),
        cut: 0,
        failures: number % 5,
        fail_ratio: Some((number % 5) as f64 / (40_000 / (number + 1)) as f64),
        avg_ms: Some(ms),
        min_ms: Some(ms / 4.0),
        max_ms: Some(ms * 12.0),
        p50_ms: Some(ms * 0.9),
        p90_ms: Some(ms * 2.0),
        p95_ms: Some(ms * 3.0),
        p99_ms: Some(ms * 6.0),
        p99_9_ms: Some(ms * 9.0),
        current_requests_per_s: Some(400.0 / (number + 1) as f64),
        current_failures_per_s: Some((number % 5) as f64 / 10.0),
        requests_per_s: Some(390.0 / (number + 1) as f64),
        failures_per_s: Some((number % 5) as f64 / 10.0),
        avg_body_bytes: Some(2_345.0),
        bytes_in: 12_345_678,
        bytes_out: 2_345_678,
        ..EntryJson::default()
    }
}

pub(super) fn worker(number: u64) -> WorkerJson {
    WorkerJson {
        id: format!("load-{number}_{:032x}", number.wrapping_mul(0x1234_5678_9abc_def0)),
        host: format!("load-{number}"),
        state: ["running", "running", "missing"][number as usize % 3].into(),
        users: 60,
        slots: 21_845,
        lanes: 4,
        cpu_cores: Some(1.25),
        memory_bytes: Some(80 << 20),
        lag_ms: Some(0.4 + number as f64 * 40.0),
        script: "shop".into(),
        fingerprint: "3f9ac0de55aa3f9ac0de".into(),
        script_error: None,
        round_trip_ms: Some(0.31),
        silence_s: number as f64 * 6.0,
        ..WorkerJson::default()
    }
}

/// Waves, so that the charts have a shape.
pub(super) fn points(count: u32) -> Vec<PointJson> {
    let point = |second: u32| {
        let wave = (f64::from(second) / 30.0).sin() + 1.2;
        PointJson {
            at_s: f64::from(second),
            length_s: 1.0,
            known_s: 1.0,
            users: Some(u64::from(second.min(180))),
            requests: Some((wave * 200.0) as u64),
            failures: Some(if (100..140).contains(&second) { (wave * 40.0) as u64 } else { 0 }),
            p50_ms: Some(wave * 5.0),
            p95_ms: Some(wave * 15.0),
            p99_ms: Some(wave * 30.0),
            unsound: false,
            reasons: Vec::new(),
        }
    };
    (0..count).map(point).collect()
}

pub(super) fn detail() -> EntryDetailJson {
    let bins = (1..60).map(|step| BinJson { le_ms: 1.1_f64.powi(step), count: (60 - step as u64).pow(2) * (step as u64).pow(2) / 100 });
    let phase = |name: &str, avg_ms| TrendJson {
        name: name.into(),
        count: 40_000,
        avg_ms: Some(avg_ms),
        max_ms: Some(avg_ms * 9.0),
        ..TrendJson::default()
    };
    let percentile = |percent: f64| PercentileJson { percent, ms: percent * percent / 50.0 };
    EntryDetailJson {
        entry: EntryJson { failures: 12, fail_ratio: Some(0.0003), ..entry(0) },
        more: EntryMoreJson {
            statuses: vec![StatusJson { status: 200, count: 39_988 }, StatusJson { status: 503, count: 9 }],
            failures_by_kind: vec![KindJson { kind: "status".into(), count: 9 }, KindJson { kind: "timeout".into(), count: 3 }],
            unanswered: 3,
            phases: vec![phase("http_req_connecting", 0.4), phase("http_req_sending", 0.02), phase("http_req_waiting", 4.2)],
            distribution: bins.collect(),
            percentiles: [50.0, 75.0, 90.0, 95.0, 98.0, 99.0, 99.9, 99.99, 100.0].map(percentile).to_vec(),
            ..EntryMoreJson::default()
        },
    }
}

/// A screen that has seen all of it.
pub(super) fn screen(door: Door, size: (u16, u16)) -> Screen {
    let mut screen = Screen::new(door, size);
    let snapshot = busy();
    let run = snapshot.run.clone();
    screen.on_event(Event::Snapshot(Arc::new(snapshot)), NOW);
    screen.on_event(Event::History { run, points: points(366) }, NOW);
    let line = |number: u64| LogEntry {
        at_unix_ms: 1_700_000_000_000 + number * 1_234,
        level: ["info", "warn", "error", "debug"][number as usize % 4].into(),
        source: if number.is_multiple_of(2) { worker(1).id } else { String::new() },
        text: format!("line {number}: \x1b[31mnot red\n\tand its second line"),
        ..LogEntry::default()
    };
    screen.on_event(Event::Logs((0..80).map(line).collect()), NOW);
    screen
}
