//! Makes the JSON's structures from a snapshot. Owns what becomes of each field; the keys are `snapshot_json`'s.

use super::{
    ActJson, CheckJson, ClassJson, EntryJson, ErrorJson, ExceptionJson, FloorJson, GeneratorJson, HoldJson, HoleJson, IterationsJson,
    LoadJson, LogLineJson, LogsJson, MetricJson, OverlapJson, PointJson, ProfileJson, ScriptJson, SnapshotJson, StateJson, ThresholdJson,
    TrendJson, UnsoundJson, WarmupJson, WorkerJson,
};
use crate::cluster::logs::{LogEntry, LogPage};
use crate::cluster::planner::{LoadView, ScriptView};
use crate::front::moments::{milliseconds, unix_ms};
use crate::stats::floor::Floor;
use crate::stats::holds::{HoldCounts, Holder};
use crate::stats::snapshot::{
    ActView, ClassShare, EntryView, ErrorView, HistoryPoint, MetricValue, MetricView, RunState, Snapshot, TrendView, UnsoundView,
    WarmupView, WorkerView,
};
use crate::stats::soundness::Stretch;
use crate::stats::tally::ClassCounts;

impl From<&Snapshot> for SnapshotJson {
    fn from(snapshot: &Snapshot) -> Self {
        let recent = &snapshot.history[snapshot.history.len().saturating_sub(RECENT_POINTS)..];
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            run: if snapshot.state == RunState::Ready { String::new() } else { snapshot.run.to_string() },
            state: snapshot.state.into(),
            scenario: snapshot.scenario.clone(),
            script: snapshot.script.clone(),
            fingerprint: snapshot.fingerprint.clone(),
            revision: snapshot.revision,
            host: snapshot.host.clone(),
            started_at_unix_ms: snapshot.started_at.and_then(unix_ms),
            elapsed_s: snapshot.elapsed.as_secs_f64(),
            planned_s: snapshot.planned.map(|planned| planned.as_secs_f64()),
            users: snapshot.users,
            target_users: snapshot.target_users,
            goal_users: snapshot.goal_users,
            spawn_rate: snapshot.spawn_rate,
            counted_since_s: snapshot.counted_since.map(|since| since.as_secs_f64()),
            current_p50_ms: snapshot.current_p50.map(milliseconds),
            current_p95_ms: snapshot.current_p95.map(milliseconds),
            floor: snapshot.floor().map(FloorJson::from),
            total: (&snapshot.total).into(),
            entries: snapshot.entries.iter().map(EntryJson::from).collect(),
            errors: errors(snapshot),
            exceptions: exceptions(snapshot),
            checks: checks(snapshot),
            classes: snapshot.classes.iter().map(ClassJson::from).collect(),
            groups: snapshot.groups.iter().map(TrendJson::from).collect(),
            metrics: snapshot.metrics.iter().map(MetricJson::from).collect(),
            phases: snapshot.phases.iter().map(TrendJson::from).collect(),
            times: snapshot.times.each().map(TrendJson::from).into(),
            iterations: iterations(snapshot),
            profiles: snapshot.profiles.iter().map(ProfileJson::from).collect(),
            thresholds: thresholds(snapshot),
            warmup: snapshot.warmup.as_deref().map(WarmupJson::from),
            acts: snapshot.acts.iter().map(|act| ActJson::from(&**act)).collect(),
            aborted: snapshot.aborted.clone(),
            misuse: snapshot.misuse.clone(),
            unfinished: snapshot.unfinished.clone(),
            generator: generator(snapshot),
            workers: snapshot.workers.iter().map(WorkerJson::from).collect(),
            holes: holes(snapshot),
            overlaps: overlaps(snapshot),
            repeats: snapshot.repeats,
            warnings: snapshot.warnings.clone(),
            recent: recent.iter().map(PointJson::from).collect(),
        }
    }
}

impl From<&ActView> for ActJson {
    fn from(act: &ActView) -> Self {
        Self {
            act: act.act.to_owned(),
            worker: act.worker.clone(),
            took_s: act.took.as_secs_f64(),
            error: act.error.clone(),
            entries: act.entries.iter().map(EntryJson::from).collect(),
            errors: error_list(&act.errors),
        }
    }
}

impl From<&WarmupView> for WarmupJson {
    fn from(warmup: &WarmupView) -> Self {
        let numbers = &warmup.numbers;
        Self {
            end_s: warmup.end.as_secs_f64(),
            over: warmup.is_over,
            total: (&numbers.total).into(),
            entries: numbers.entries.iter().map(EntryJson::from).collect(),
            errors: errors(numbers),
            exceptions: exceptions(numbers),
            checks: checks(numbers),
            iterations: iterations(numbers),
        }
    }
}

impl From<RunState> for StateJson {
    fn from(state: RunState) -> Self {
        match state {
            RunState::Ready => Self::Ready,
            RunState::Waiting => Self::Waiting,
            RunState::Spawning => Self::Spawning,
            RunState::Running => Self::Running,
            RunState::Paused => Self::Paused,
            RunState::Stopping => Self::Stopping,
            RunState::Stopped => Self::Stopped,
        }
    }
}

impl From<&EntryView> for EntryJson {
    fn from(entry: &EntryView) -> Self {
        let [p50_ms, p90_ms, p95_ms, p99_ms, p99_9_ms] =
            entry.percentiles([0.5, 0.9, 0.95, 0.99, 0.999]).map(|percentile| percentile.map(milliseconds));
        let entry_json = Self {
            method: entry.method.to_string(),
            name: entry.name.to_string(),
            requests: entry.requests,
            failures: entry.failures,
            cut: entry.cut,
            fail_ratio: entry.fail_ratio(),
            avg_ms: entry.avg().map(milliseconds),
            min_ms: entry.min.map(milliseconds),
            max_ms: entry.max.map(milliseconds),
            p50_ms,
            p90_ms,
            p95_ms,
            p99_ms,
            p99_9_ms,
            current_requests_per_s: entry.current_rps,
            current_failures_per_s: entry.current_fail_per_sec,
            requests_per_s: entry.total_rps,
            failures_per_s: entry.total_fail_per_sec,
            avg_body_bytes: entry.mean_body_bytes(),
            bytes_in: entry.bytes_in,
            bytes_out: entry.bytes_out,
            ..Self::default()
        };
        entry_json.with_due(&entry.since_due)
    }
}

impl EntryJson {
    /// With the times from the due moment on; of an entry that was never due they are not known.
    fn with_due(self, since_due: &TrendView) -> Self {
        let ms = |seconds: Option<f64>| seconds.map(|seconds| seconds * 1e3);
        let [due_p50_ms, due_p95_ms, due_p99_ms] = [0.5, 0.95, 0.99].map(|quantile| ms(since_due.percentile(quantile)));
        Self { due_p50_ms, due_p95_ms, due_p99_ms, due_max_ms: ms(since_due.max), ..self }
    }
}

impl From<&TrendView> for TrendJson {
    fn from(trend: &TrendView) -> Self {
        let ms = |seconds: Option<f64>| seconds.map(|seconds| seconds * 1e3);
        Self {
            name: trend.name.to_string(),
            count: trend.count,
            avg_ms: ms(trend.avg()),
            min_ms: ms(trend.min),
            max_ms: ms(trend.max),
            p50_ms: ms(trend.percentile(0.5)),
            p90_ms: ms(trend.percentile(0.9)),
            p95_ms: ms(trend.percentile(0.95)),
            p99_ms: ms(trend.percentile(0.99)),
        }
    }
}

impl From<&ClassShare> for ClassJson {
    fn from(class: &ClassShare) -> Self {
        let ClassCounts { finished, raised, start_failures } = class.counts;
        Self { name: class.name.clone(), ratio: class.ratio, iterations: finished, raised, start_failures }
    }
}

impl From<&MetricView> for MetricJson {
    fn from(metric: &MetricView) -> Self {
        let name = metric.name.to_string();
        match &metric.value {
            MetricValue::Counter(sum) => Self { name, kind: "counter".into(), value: Some(finite(*sum)), ..Self::default() },
            MetricValue::Gauge { last, min, max } => {
                Self { name, kind: "gauge".into(), value: Some(*last), min: Some(*min), max: Some(*max), ..Self::default() }
            }
            MetricValue::Rate { passes, total } => {
                let value = (*total > 0).then(|| *passes as f64 / *total as f64);
                Self { name, kind: "rate".into(), value, count: *total, ..Self::default() }
            }
            MetricValue::Trend(trend) => Self {
                name,
                kind: "trend".into(),
                value: trend.avg().map(finite),
                count: trend.count,
                min: trend.min,
                max: trend.max,
                p50: trend.percentile(0.5),
                p95: trend.percentile(0.95),
                p99: trend.percentile(0.99),
            },
        }
    }
}

impl From<&LogEntry> for LogLineJson {
    fn from(entry: &LogEntry) -> Self {
        Self {
            number: entry.number,
            at_unix_ms: entry.at_unix_ms,
            level: entry.level.as_str().to_ascii_lowercase(),
            source: entry.source.clone(),
            target: entry.target.clone(),
            text: entry.text.clone(),
        }
    }
}

impl From<LogPage> for LogsJson {
    fn from(page: LogPage) -> Self {
        let LogPage { lines, newest, dropped } = page;
        Self { lines: lines.iter().map(|line| LogLineJson::from(&**line)).collect(), newest, dropped }
    }
}

impl From<&ScriptView> for ScriptJson {
    fn from(script: &ScriptView) -> Self {
        Self {
            name: script.name.clone(),
            fingerprint: script.fingerprint.clone(),
            is_default: script.is_default,
            host: script.host.clone(),
            classes: script.classes.iter().map(|class| class.name.clone()).collect(),
            load: script.load.as_ref().map(LoadJson::from),
            error: script.error.clone(),
        }
    }
}

impl From<&LoadView> for LoadJson {
    fn from(load: &LoadView) -> Self {
        Self {
            users: load.users,
            spawn_rate: load.spawn_rate,
            run_time_s: load.run_time.map(|time| time.as_secs_f64()),
            spawn_rate_of_users: load.spawn_rate_of_users,
            run_time_of_users_s: load.run_time_of_users.map(|time| time.as_secs_f64()),
        }
    }
}

impl From<&WorkerView> for WorkerJson {
    fn from(worker: &WorkerView) -> Self {
        Self {
            id: worker.id.clone(),
            host: worker.host.clone(),
            address: worker.address.map(|address| address.to_string()),
            version: worker.version.clone(),
            state: worker.state.name().to_owned(),
            users: worker.users,
            slots: worker.slots,
            lanes: worker.lanes,
            floor: worker.floor.map(FloorJson::from),
            cpu_cores: worker.cpu_cores,
            memory_bytes: worker.memory_bytes,
            lag_ms: worker.lag.map(milliseconds),
            script: worker.script.clone(),
            fingerprint: worker.fingerprint.clone(),
            revision: worker.revision,
            script_error: worker.script_error.clone(),
            round_trip_ms: worker.round_trip.map(milliseconds),
            silence_s: worker.silence.as_secs_f64(),
        }
    }
}

impl From<&HistoryPoint> for PointJson {
    fn from(point: &HistoryPoint) -> Self {
        let seen = point.seen.as_ref();
        let percentile = |index: usize| seen.and_then(|seen| seen.percentiles).map(|percentiles| milliseconds(percentiles[index]));
        Self {
            at_s: point.at.as_secs_f64(),
            length_s: point.length.as_secs_f64(),
            known_s: seen.map_or(0.0, |seen| seen.known.as_secs_f64()),
            users: seen.map(|seen| seen.users),
            requests: seen.map(|seen| seen.requests),
            failures: seen.map(|seen| seen.failures),
            p50_ms: percentile(0),
            p95_ms: percentile(1),
            p99_ms: percentile(2),
            unsound: point.unsound.any(),
            reasons: point.unsound.iter().map(|reason| reason.name().to_owned()).collect(),
        }
    }
}

pub(in crate::front) fn errors(snapshot: &Snapshot) -> Vec<ErrorJson> {
    error_list(&snapshot.errors)
}

fn error_list(errors: &[ErrorView]) -> Vec<ErrorJson> {
    let json = errors.iter().map(|error| ErrorJson {
        method: error.method.to_string(),
        name: error.name.to_string(),
        kind: error.kind.name().to_owned(),
        message: error.message.to_string(),
        occurrences: error.occurrences,
        first_seen_s: error.first_seen.as_secs_f64(),
        last_seen_s: error.last_seen.as_secs_f64(),
    });
    json.collect()
}

pub(in crate::front) fn exceptions(snapshot: &Snapshot) -> Vec<ExceptionJson> {
    let exceptions = snapshot.exceptions.iter();
    let json = exceptions.map(|exception| ExceptionJson {
        message: exception.message.to_string(),
        traceback: exception.traceback.to_string(),
        count: exception.count,
        nodes: exception.nodes.clone(),
        has_more_nodes: exception.has_more_nodes,
        first_seen_s: exception.first_seen.map(|seen| seen.as_secs_f64()),
        last_seen_s: exception.last_seen.map(|seen| seen.as_secs_f64()),
    });
    json.collect()
}

fn checks(snapshot: &Snapshot) -> Vec<CheckJson> {
    snapshot.checks.iter().map(|check| CheckJson { name: check.name.to_string(), passes: check.passes, fails: check.fails }).collect()
}

fn iterations(snapshot: &Snapshot) -> IterationsJson {
    IterationsJson {
        duration: (&snapshot.times.iterations).into(),
        since_due: (&snapshot.since_due).into(),
        duration_due: (&snapshot.times.iterations_since_due).into(),
        lateness: (&snapshot.times.lateness).into(),
        due: snapshot.arrivals.due,
        started: snapshot.arrivals.started,
        dropped_by_reason: snapshot.arrivals.dropped.iter().map(|(reason, count)| (reason.name().to_owned(), *count)).collect(),
        lost: snapshot.arrivals.lost + snapshot.quota.map_or(0, |quota| quota.lost),
        rate_wanted: snapshot.arrivals.rate,
        total: snapshot.quota.map(|quota| quota.total),
        begun: snapshot.quota.map(|quota| quota.begun),
        raised: snapshot.iterations_raised,
        interrupted: snapshot.iterations_interrupted,
        dropped: snapshot.iterations_dropped,
        backoffs: snapshot.backoffs,
        hold_pauses: snapshot.hold_pauses,
        start_failures: snapshot.start_failures,
        stop_failures: snapshot.stop_failures,
        users_dropped: snapshot.users_dropped,
    }
}

fn thresholds(snapshot: &Snapshot) -> Vec<ThresholdJson> {
    let thresholds = snapshot.thresholds.iter();
    let json = thresholds.map(|threshold| ThresholdJson {
        metric: threshold.metric.clone(),
        condition: threshold.condition.clone(),
        actual: threshold.actual.clone(),
        passed: threshold.passed,
    });
    json.collect()
}

fn generator(snapshot: &Snapshot) -> GeneratorJson {
    let health = &snapshot.health;
    GeneratorJson {
        lag: (&snapshot.times.lag).into(),
        lag_recent_max_ms: milliseconds(health.lag_recent_max),
        unsound_s: health.unsound_seconds,
        unsound: health.unsound.iter().map(UnsoundJson::from).collect(),
        unsound_requests: health.unsound_requests,
        local_failures: health.local_failures,
        cpu_cores: health.cpu_cores,
        throttled_ms: milliseconds(health.throttled),
        unpacking_ms: milliseconds(health.unpacking),
        memory_bytes: health.memory_bytes,
    }
}

impl From<&UnsoundView> for UnsoundJson {
    fn from(view: &UnsoundView) -> Self {
        let Stretch { reason, seconds, first, end, .. } = view.stretch;
        Self {
            worker: view.worker.clone(),
            reason: reason.name().to_owned(),
            words: reason.words().to_owned(),
            seconds,
            from_s: first.as_secs_f64(),
            to_s: end.as_secs_f64(),
            holds: view.holds.iter().map(|(holder, counts)| hold(holder, *counts)).collect(),
        }
    }
}

impl From<Floor> for FloorJson {
    fn from(floor: Floor) -> Self {
        let Floor { requests, cpu, p50, p99 } = floor;
        Self { requests, cpu_ms: milliseconds(cpu), p50_ms: milliseconds(p50), p99_ms: milliseconds(p99) }
    }
}

fn hold(holder: &Holder, counts: HoldCounts) -> HoldJson {
    HoldJson {
        by: holder.by.to_string(),
        place: holder.place.to_string(),
        count: counts.count,
        longest_ms: milliseconds(counts.longest),
        words: holder.words(counts),
    }
}

fn holes(snapshot: &Snapshot) -> Vec<HoleJson> {
    let holes = snapshot.holes.iter();
    holes.map(|hole| HoleJson { worker: hole.worker.clone(), from_s: hole.from.as_secs_f64(), to_s: hole.to.as_secs_f64() }).collect()
}

fn overlaps(snapshot: &Snapshot) -> Vec<OverlapJson> {
    let overlaps = snapshot.overlaps.iter();
    let json = overlaps.map(|overlap| OverlapJson {
        worker: overlap.worker.clone(),
        from_s: overlap.from.as_secs_f64(),
        to_s: overlap.to.map(|to| to.as_secs_f64()),
        users: overlap.users,
    });
    json.collect()
}

/// JSON has no infinity, which sums of a script's numbers may reach.
fn finite(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value.clamp(f64::MIN, f64::MAX) }
}

/// How many of the newest points travel with a snapshot.
const RECENT_POINTS: usize = 10;
