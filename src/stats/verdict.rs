//! Verdicts: how a threshold stands in a snapshot. Pure; what a threshold may say is `threshold`'s.

use std::time::Duration;

use super::family::{Aggregate, Family};
use super::histogram::Histogram;
use super::metric::MetricKind;
use super::phases::PHASES;
use super::snapshot::{EntryView, MetricValue, ProfileView, RunState, Snapshot, ThresholdView, TrendView};
use super::tags;
use super::threshold::{Threshold, show};
use super::times::TIMES;

impl Threshold {
    /// Judges the threshold over the whole run so far.
    #[must_use]
    pub fn judge(&self, snapshot: &Snapshot) -> ThresholdView {
        let actual = self.actual(snapshot);
        ThresholdView {
            metric: self.plan.metric.clone(),
            condition: self.plan.condition.clone(),
            actual: actual.map_or_else(|| "no data".to_owned(), |value| show(value, self.family.unit(self.aggregate))),
            passed: actual.map_or(self.span.passes_without_data, |value| self.holds(value)),
        }
    }

    /// The metric's value in its unit; `None` without data.
    pub(super) fn actual(&self, snapshot: &Snapshot) -> Option<f64> {
        let per_second = |count: f64| snapshot.covered.map(|covered| count / covered.as_secs_f64());
        let counted = |count: f64| if self.aggregate == Aggregate::Rate { per_second(count) } else { Some(count) };
        match self.family {
            Family::Duration => self.durations(snapshot),
            Family::DurationDue => {
                self.of_trend(&self.entries(snapshot).map(|entry| &entry.since_due).fold(TrendView::default(), merge_trends))
            }
            Family::Phase => self.phase(snapshot),
            Family::Times if let Some(place) = self.profile => self.time_of(snapshot.profiles.get(place)?),
            Family::Times | Family::Lag => {
                let time = TIMES.iter().zip(snapshot.times.each()).find(|(time, _)| time.metric == self.metric);
                time.and_then(|(_, trend)| self.of_trend(trend))
            }
            Family::Groups => self.groups(snapshot),
            // Counters are watched from the start: no request is a count of zero, and no lack of data.
            Family::Requests => counted(self.sum(snapshot, EntryView::timed) as f64),
            Family::Bytes if self.metric == "data_sent" => counted(self.sum(snapshot, |entry| entry.bytes_out) as f64),
            Family::Bytes => counted(self.sum(snapshot, |entry| entry.bytes_in) as f64),
            Family::Failed => self.share(self.sum(snapshot, |entry| entry.failures), self.sum(snapshot, EntryView::judged)),
            Family::Count if let Some(place) = self.profile => {
                counted(snapshot.profiles.get(place).map_or(0, |profile| self.count_of(profile)) as f64)
            }
            Family::Count if self.metric == "iterations" => counted(snapshot.times.iterations.count as f64),
            Family::Count if self.metric == "iterations_interrupted" => counted(snapshot.iterations_interrupted as f64),
            Family::Count => counted(snapshot.iterations_dropped as f64),
            Family::Checks => {
                let checks = snapshot.checks.iter().filter(|check| self.selects(&[("check", &check.name)]));
                let (passes, fails) = checks.fold((0, 0), |(passes, fails), check| (passes + check.passes, fails + check.fails));
                if self.aggregate == Aggregate::Count && passes + fails > 0 {
                    return Some((passes + fails) as f64);
                }
                self.share(passes, passes + fails)
            }
            Family::Exceptions if let Some(place) = self.profile => {
                let profile = snapshot.profiles.get(place)?;
                let is_count = self.aggregate == Aggregate::Count;
                if is_count { Some(profile.raised as f64) } else { self.share(profile.raised, profile.iterations.count) }
            }
            Family::Exceptions if self.aggregate == Aggregate::Count => Some(snapshot.exceptions_raised() as f64),
            Family::Exceptions => self.share(snapshot.iterations_raised, snapshot.times.iterations.count),
            Family::Users => {
                let mut users: Vec<u64> = snapshot.history.iter().filter_map(|point| point.seen.as_ref()).map(|seen| seen.users).collect();
                match snapshot.state {
                    // At the end nobody runs any more: what counts is who ran until then.
                    RunState::Stopping | RunState::Stopped => {
                        users.truncate(users.iter().rposition(|users| *users > 0).map_or(0, |last| last + 1))
                    }
                    RunState::Ready | RunState::Waiting | RunState::Spawning | RunState::Running | RunState::Paused => {
                        users.push(snapshot.users)
                    }
                }
                let value = match self.aggregate {
                    Aggregate::Min => users.iter().min(),
                    Aggregate::Max => users.iter().max(),
                    // The only other one that users have.
                    Aggregate::Value | Aggregate::Count | Aggregate::Rate | Aggregate::Avg | Aggregate::Percentile(_) => users.last(),
                };
                value.map(|users| *users as f64)
            }
            Family::Own(_) => self.own(snapshot),
        }
    }

    /// A time of one profile.
    fn time_of(&self, profile: &ProfileView) -> Option<f64> {
        let trends = [&profile.iterations, &profile.since_due, &profile.lateness];
        trends.into_iter().find(|trend| *trend.name == *self.metric).and_then(|trend| self.of_trend(trend))
    }

    /// A count of one profile.
    fn count_of(&self, profile: &ProfileView) -> u64 {
        match self.metric.as_str() {
            "iterations" => profile.iterations.count,
            "iterations_interrupted" => profile.interrupted,
            _ => profile.arrivals.dropped.iter().map(|(_, count)| count).sum(),
        }
    }

    fn durations(&self, snapshot: &Snapshot) -> Option<f64> {
        let mut selected = self.entries(snapshot).filter(|entry| entry.timed() > 0);
        let mut merged = selected.next()?.clone();
        for entry in selected {
            merged.histogram.merge(&entry.histogram);
            merged.requests += entry.requests;
            merged.cut += entry.cut;
            merged.duration_sum += entry.duration_sum;
            merged.min = merged.min.into_iter().chain(entry.min).min();
            merged.max = merged.max.max(entry.max);
        }
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        match self.aggregate {
            Aggregate::Percentile(quantile) => seconds(merged.percentile(quantile)),
            Aggregate::Avg => seconds(merged.avg()),
            Aggregate::Min => seconds(merged.min),
            Aggregate::Max => seconds(merged.max),
            Aggregate::Count | Aggregate::Rate | Aggregate::Value => Some(merged.timed() as f64),
        }
    }

    fn phase(&self, snapshot: &Snapshot) -> Option<f64> {
        let place = PHASES.iter().position(|phase| phase.metric == self.metric)?;
        if self.selector.is_empty() {
            return self.of_trend(snapshot.phases.get(place)?);
        }
        let phases = self.entries(snapshot).filter_map(|entry| entry.phases.get(place)).filter(|phase| phase.count > 0);
        let merged = phases.fold(TrendView::default(), |merged, phase| {
            let part = TrendView {
                count: phase.count,
                sum: phase.sum.as_secs_f64(),
                min: Some(phase.min.as_secs_f64()),
                max: Some(phase.max.as_secs_f64()),
                ..TrendView::default()
            };
            merge_trends(merged, &part)
        });
        self.of_trend(&merged)
    }

    fn groups(&self, snapshot: &Snapshot) -> Option<f64> {
        let groups = snapshot.groups.iter().filter(|group| self.selects(&[("group", &group.name)]));
        self.of_trend(&groups.fold(TrendView::default(), merge_trends))
    }

    fn own(&self, snapshot: &Snapshot) -> Option<f64> {
        let metric = snapshot.metrics.iter().find(|metric| *metric.name == *self.metric);
        // A counter that was declared and never raised stands at zero.
        let zero = MetricValue::Counter(0.0);
        let unraised = (self.family == Family::Own(MetricKind::Counter)).then_some(&zero);
        match metric.map(|metric| &metric.value).or(unraised)? {
            MetricValue::Counter(sum) if self.aggregate == Aggregate::Rate => snapshot.covered.map(|covered| sum / covered.as_secs_f64()),
            MetricValue::Counter(sum) => Some(*sum),
            MetricValue::Gauge { last, min, max } => Some(match self.aggregate {
                Aggregate::Min => *min,
                Aggregate::Max => *max,
                Aggregate::Value | Aggregate::Count | Aggregate::Rate | Aggregate::Avg | Aggregate::Percentile(_) => *last,
            }),
            MetricValue::Rate { total, .. } if self.aggregate == Aggregate::Count => Some(*total as f64),
            MetricValue::Rate { passes, total } => self.share(*passes, *total),
            MetricValue::Trend(trend) => self.of_trend(trend),
        }
    }

    /// One aggregate of a distribution, in seconds or plain numbers.
    fn of_trend(&self, trend: &TrendView) -> Option<f64> {
        if trend.count == 0 {
            return None;
        }
        match self.aggregate {
            Aggregate::Percentile(quantile) => trend.percentile(quantile),
            Aggregate::Avg => trend.avg(),
            Aggregate::Min => trend.min,
            Aggregate::Max => trend.max,
            Aggregate::Count | Aggregate::Rate | Aggregate::Value => Some(trend.count as f64),
        }
    }

    /// `part` of `whole`, or the part itself where the count is asked for; `None` of nothing.
    fn share(&self, part: u64, whole: u64) -> Option<f64> {
        match self.aggregate {
            _ if whole == 0 => None,
            Aggregate::Count => Some(part as f64),
            Aggregate::Rate | Aggregate::Value | Aggregate::Min | Aggregate::Max | Aggregate::Avg | Aggregate::Percentile(_) => {
                Some(part as f64 / whole as f64)
            }
        }
    }

    /// A sum over the selected entries.
    fn sum(&self, snapshot: &Snapshot, of: impl Fn(&EntryView) -> u64) -> u64 {
        self.entries(snapshot).map(of).sum()
    }

    fn entries<'a>(&'a self, snapshot: &'a Snapshot) -> impl Iterator<Item = &'a EntryView> {
        let (total, entries) = if self.selector.is_empty() { (Some(&snapshot.total), &[][..]) } else { (None, &snapshot.entries[..]) };
        total.into_iter().chain(entries.iter().filter(|entry| self.selects_entry(&entry.name, &entry.method)))
    }

    /// Whether an entry is one that the threshold looks at. A name stands for all entries of it, whatever tags they have.
    pub(super) fn selects_entry(&self, name: &str, method: &str) -> bool {
        let (plain, tags) = tags::split(name);
        let tags: Vec<_> = tags.collect();
        self.selector.iter().all(|(key, wanted)| match key.as_str() {
            "name" => name == wanted || plain == wanted,
            "method" => method == wanted,
            tag => tags.contains(&(tag, wanted.as_str())),
        })
    }

    pub(super) fn selects(&self, labels: &[(&str, &str)]) -> bool {
        self.selector.iter().all(|(key, wanted)| labels.iter().any(|(label, value)| label == key && value == wanted))
    }
}

fn merge_trends(mut merged: TrendView, part: &TrendView) -> TrendView {
    if part.count == 0 {
        return merged;
    }
    if merged.count == 0 {
        return part.clone();
    }
    // `f64::min` leaves out what is no number, and a script's values may be that.
    merged.min = merged.min.into_iter().chain(part.min).reduce(f64::min);
    merged.max = merged.max.into_iter().chain(part.max).reduce(f64::max);
    merged.count += part.count;
    merged.sum += part.sum;
    Histogram::merge(&mut merged.histogram, &part.histogram);
    merged
}

#[cfg(test)]
mod tests {
    use super::super::recorder::{Limits, Recorder};
    use super::super::sample::{Answer, FailureKind, Phases, Sample};
    use super::super::snapshot::{HistoryPoint, Seen};
    use super::super::table::{SnapshotContext, Table};
    use super::super::tally::Tally;
    use super::*;
    use crate::plan::ThresholdPlan;

    /// 10 s with 100 hops of 1..=100 ms on `GET /cart`, one failed of kind `timeout` and one of kind `local` on `POST /cart`.
    fn snapshot() -> Snapshot {
        let mut recorder = Recorder::new(Limits::default());
        let entry = recorder.entry("GET", "/cart");
        for millis in 1..=100 {
            let duration = Duration::from_millis(millis);
            let phases = Phases { waiting: Some(duration / 2), ..Phases::default() };
            recorder.record(
                entry,
                &Sample { duration, phases, answer: Answer::Answered, status: 200, bytes_in: 1_000, ..Sample::default() },
                None,
            );
        }
        let entry = recorder.entry("POST", "/cart");
        for kind in [FailureKind::Timeout, FailureKind::Local] {
            recorder.record(entry, &Sample { duration: Duration::from_secs(2), failure: Some(kind), ..Sample::default() }, None);
        }
        for passed in [true, true, true, false] {
            recorder.check("has a price", passed);
        }
        recorder.group("checkout", Duration::from_millis(30));
        recorder.iteration(0, Duration::from_secs(1), false);
        for (name, kind, value) in
            [("price", MetricKind::Trend, 12.5), ("sold", MetricKind::Counter, 30.0), ("depth", MetricKind::Gauge, 4.0)]
        {
            let metric = recorder.declare(name, kind).unwrap();
            recorder.metric(metric, value);
        }
        let mut table = Table::new(Limits::default());
        table.merge(&Tally { users: 7, ..recorder.take(0) });
        (1..10).for_each(|second| table.merge(&Tally { second, users: 7, ..Tally::default() }));
        table.snapshot(SnapshotContext { elapsed: Duration::from_secs(10), users: 5, ..SnapshotContext::default() })
    }

    fn judged(snapshot: &Snapshot, metric: &str, condition: &str) -> (String, bool) {
        let own = [("price", MetricKind::Trend), ("sold", MetricKind::Counter), ("depth", MetricKind::Gauge)];
        let own = own.map(|(name, kind)| (name.to_owned(), kind));
        let plan = ThresholdPlan { metric: metric.to_owned(), condition: condition.to_owned() };
        let view = Threshold::parse(&plan, &own).unwrap().judge(snapshot);
        (view.actual, view.passed)
    }

    #[test]
    fn users_are_those_who_ran_until_the_end_began() {
        let mut snapshot = snapshot();
        let point = |users| HistoryPoint { seen: Some(Seen { users, ..Seen::default() }), ..HistoryPoint::default() };
        snapshot.history = [4, 7, 6, 0, 0].map(point).into();
        (snapshot.users, snapshot.state) = (0, RunState::Stopped);
        for (condition, actual) in [("value == 6", "6"), ("min == 4", "4"), ("max == 7", "7")] {
            assert_eq!(judged(&snapshot, "users", condition), (actual.to_owned(), true));
        }
    }

    #[test]
    fn local_failures_are_no_part_of_the_share_of_failed_requests() {
        let mut recorder = Recorder::new(Limits::default());
        let (mixed, starved) = (recorder.entry("GET", "/mixed"), recorder.entry("GET", "/starved"));
        for (entry, kind) in [(mixed, FailureKind::Reset), (mixed, FailureKind::Local), (starved, FailureKind::Local)] {
            recorder.record(entry, &Sample { failure: Some(kind), ..Sample::default() }, None);
        }
        let mut table = Table::new(Limits::default());
        table.merge(&recorder.take(0));
        let snapshot = table.snapshot(SnapshotContext { elapsed: Duration::from_secs(1), ..SnapshotContext::default() });
        assert_eq!(snapshot.total.fail_ratio(), Some(1.0));
        assert_eq!(judged(&snapshot, "http_req_failed{name:/mixed}", "rate < 1%"), ("100.00%".to_owned(), false));
        assert_eq!(judged(&snapshot, "http_req_failed{name:/starved}", "rate < 1%"), ("no data".to_owned(), false));
    }

    #[test]
    fn every_metric_is_judged_by_its_own_numbers() {
        let snapshot = snapshot();
        for (metric, condition, actual, passed) in [
            ("http_req_duration", "max < 2s", "2.00s", false),
            ("http_req_duration", "max <= 2s", "2.00s", true),
            ("http_req_duration{name:/cart,method:GET}", "p(95) < 96ms", "95.04ms", true),
            ("http_req_duration{name:/cart,method:GET}", "avg == 50.5ms", "50.50ms", true),
            ("http_req_duration{name:/cart}", "count == 102", "102", true),
            ("http_req_waiting", "max < 51ms", "50.00ms", true),
            ("http_req_waiting{method:GET}", "min > 1ms", "500us", false),
            ("http_req_failed", "rate < 1%", "0.99%", true),
            ("http_req_failed{method:POST}", "rate < 1%", "100.00%", false),
            ("http_req_failed", "count < 2", "1", true),
            ("http_reqs", "rate > 10", "10.200", true),
            ("data_received", "count < 1MB", "100.0kB", true),
            ("checks", "rate > 80%", "75.00%", false),
            ("checks{check:has a price}", "rate >= 75%", "75.00%", true),
            ("group_duration{group:checkout}", "avg < 31ms", "30.00ms", true),
            ("iterations", "count > 0", "1", true),
            ("dropped_iterations", "count == 0", "0", true),
            ("iterations_interrupted", "count == 0", "0", true),
            ("users", "max == 7", "7", true),
            ("users", "value == 5", "5", true),
            ("price", "med < 13", "12.500", true),
            ("sold", "rate == 3", "3", true),
            ("depth", "value > 4", "4", false),
        ] {
            assert_eq!(judged(&snapshot, metric, condition), (actual.to_owned(), passed), "{metric} {condition}");
        }
    }

    #[test]
    fn counters_that_stand_at_zero_are_data() {
        let snapshot = Snapshot { covered: Some(Duration::from_secs(1)), ..Snapshot::default() };
        for metric in ["http_reqs", "http_reqs{name:/x}", "iterations", "dropped_iterations", "exceptions", "sold"] {
            assert_eq!(judged(&snapshot, metric, "count == 0"), ("0".to_owned(), true), "{metric}");
        }
        assert_eq!(judged(&snapshot, "data_sent", "count == 0"), ("0B".to_owned(), true));
        assert_eq!(judged(&snapshot, "http_reqs", "rate > 0"), ("0".to_owned(), false));
    }

    #[test]
    fn requests_that_were_cut_are_no_thresholds_business() {
        let mut recorder = Recorder::new(Limits::default());
        let entry = recorder.entry("GET", "/poll");
        recorder.record(
            entry,
            &Sample { duration: Duration::from_millis(10), answer: Answer::Answered, status: 200, ..Sample::default() },
            None,
        );
        let cut = Sample {
            duration: Duration::from_secs(60),
            answer: Answer::Unanswered,
            failure: Some(FailureKind::Cut),
            phases: Phases { sending: Some(Duration::from_secs(1)), ..Phases::default() },
            ..Sample::default()
        };
        recorder.record(entry, &cut, None);
        let mut table = Table::new(Limits::default());
        table.merge(&recorder.take(0));
        let snapshot = table.snapshot(SnapshotContext { elapsed: Duration::from_secs(1), ..SnapshotContext::default() });
        let total = &snapshot.total;
        assert_eq!((total.requests, total.cut, total.failures, total.unanswered, total.judged()), (2, 1, 0, 1, 1));
        assert_eq!(
            (total.avg(), total.max, total.percentile(1.0)),
            (Some(Duration::from_millis(10)), Some(Duration::from_millis(10)), Some(Duration::from_millis(10)))
        );
        let mut seen = snapshot.history.iter().filter_map(|point| point.seen.as_ref());
        assert!(
            snapshot.errors.is_empty() && total.failures_by_kind.is_empty() && seen.all(|seen| (seen.requests, seen.failures) == (1, 0))
        );
        assert_eq!((total.total_rps, total.current_rps, total.fail_ratio()), (Some(1.0), Some(1.0), Some(0.0)));
        for (metric, condition) in [
            ("http_reqs", "count == 1"),
            ("http_req_failed", "rate == 0%"),
            ("http_req_duration", "max < 11ms"),
            ("http_req_duration{name:/poll}", "count == 1"),
            ("http_req_sending", "count == 0 or no data"),
        ] {
            assert!(judged(&snapshot, metric, condition).1, "{metric}: {condition}");
        }
    }

    #[test]
    fn p99_9_of_a_thousand_requests_is_the_999th_slowest_for_tables_and_thresholds_alike() {
        let mut recorder = Recorder::new(Limits::default());
        let entry = recorder.entry("GET", "/");
        for number in 0..1_000 {
            let duration = if number == 0 { Duration::from_secs(1) } else { Duration::from_micros(720) };
            recorder.record(entry, &Sample { duration, answer: Answer::Answered, status: 200, ..Sample::default() }, None);
        }
        let mut table = Table::new(Limits::default());
        table.merge(&recorder.take(0));
        let snapshot = table.snapshot(SnapshotContext { elapsed: Duration::from_secs(1), ..SnapshotContext::default() });
        assert_eq!(judged(&snapshot, "http_req_duration", "p(99.9) < 1ms"), ("720us".to_owned(), true));
        assert_eq!(snapshot.total.percentile(0.999), Some(Duration::from_micros(720)));
        assert_eq!(judged(&snapshot, "http_req_duration", "p(99.91) == 1s"), ("1.00s".to_owned(), true));
    }

    #[test]
    fn without_data_a_threshold_fails_unless_it_says_otherwise() {
        let snapshot = Snapshot { elapsed: Duration::from_secs(1), ..Snapshot::default() };
        for metric in ["http_req_duration", "http_req_duration{name:/x}", "http_req_tls_handshaking", "group_duration", "price"] {
            assert_eq!(judged(&snapshot, metric, "count < 5"), ("no data".to_owned(), false), "{metric}");
            assert_eq!(judged(&snapshot, metric, "count < 5 or no data"), ("no data".to_owned(), true), "{metric}");
        }
        assert_eq!(judged(&snapshot, "http_req_failed", "rate < 1%"), ("no data".to_owned(), false));
        assert_eq!(judged(&snapshot, "checks", "rate > 1%"), ("no data".to_owned(), false));
    }
}
