//! One entry of the table: what was counted under one (method, name), and how people see it.

use std::sync::Arc;
use std::time::Duration;

use crate::stats::hop_counts::HopCounts;
use crate::stats::phases::PHASES;
use crate::stats::sample::FailureKind;
use crate::stats::series::{Current, Lately};
use crate::stats::snapshot::{EntryView, PhaseView};
use crate::stats::trend::{Spread, Trend};

/// What was counted under one (method, name), or under all together.
#[derive(Debug)]
pub(super) struct Entry {
    pub hops: HopCounts,
    pub durations: Trend<Spread>,
    pub since_due: Trend<Spread>,
}

impl Default for Entry {
    fn default() -> Self {
        Self { hops: HopCounts::default(), durations: Trend::shared(), since_due: Trend::shared() }
    }
}

impl Entry {
    pub fn view(&self, method: Arc<str>, name: Arc<str>, current: &Current, lately: Lately) -> EntryView {
        let HopCounts {
            requests,
            by_kind,
            statuses,
            not_sent,
            unanswered,
            stale_retries,
            bytes_out,
            bytes_in,
            body_bytes,
            bodies_unknown,
            phases,
        } = &self.hops;
        let failures = self.hops.failures();
        let rate = |count: u64, time: Option<Duration>| time.map(|time| count as f64 / time.as_secs_f64());
        // What came of seconds that are not whole yet waits with them.
        let mean = |count: u64, later: u64| rate(count.saturating_sub(later), current.covered);
        EntryView {
            method,
            name,
            requests: *requests,
            failures,
            cut: self.hops.cut(),
            failures_by_kind: FailureKind::ALL
                .into_iter()
                .zip(*by_kind)
                .filter(|(kind, count)| *count > 0 && *kind != FailureKind::Cut)
                .collect(),
            statuses: statuses.clone(),
            not_sent: *not_sent,
            unanswered: *unanswered,
            stale_retries: *stale_retries,
            duration_sum: self.durations.spread.sum(),
            min: (self.durations.spread.count > 0).then_some(self.durations.spread.min()),
            max: (self.durations.spread.count > 0).then_some(self.durations.spread.max()),
            histogram: self.durations.histogram.clone(),
            clamped: self.durations.clamped,
            since_due: self.since_due.view("http_req_duration_due".into()),
            current_rps: rate(lately.requests, current.window),
            current_fail_per_sec: rate(lately.failures, current.window),
            total_rps: mean(self.hops.timed(), lately.later_requests),
            total_fail_per_sec: mean(failures, lately.later_failures),
            bytes_out: *bytes_out,
            bytes_in: *bytes_in,
            body_bytes: *body_bytes,
            bodies: requests.saturating_sub(*bodies_unknown),
            phases: PHASES
                .into_iter()
                .zip(phases)
                .map(|(phase, spread)| PhaseView {
                    metric: phase.metric,
                    count: spread.count,
                    sum: spread.sum(),
                    min: spread.min(),
                    max: spread.max(),
                })
                .collect(),
        }
    }
}
