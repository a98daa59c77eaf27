//! The table: the master's sums of one run. Tallies are merged into it, and it makes the snapshot that people see.
//!
//! Sums are exact, and the order of merging does not matter as long as no limit of names is reached. Time is `series`'s.

mod entry;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use self::entry::Entry;
use super::drop_reason::DropReason;
use super::histogram::Histogram;
use super::metric::MetricSums;
use super::names::{EntryName, ErrorName, NameMap, OTHER, OTHER_METHODS, bounded};
use super::origin::Origin;
use super::phases::PHASES;
use super::profiles::ProfileTable;
use super::recorder::{Bounded, Limits};
use super::series::{Current, Series};
use super::snapshot::{
    ArrivalsView, CheckView, EntryView, ErrorView, ExceptionView, HealthView, HistoryPoint, MetricView, RunState, Snapshot, TrendView,
    UnsoundView,
};
use super::soundness::{Account, Reasons, Stretch, Unsound};
use super::tally::{CheckCounts, ClassCounts, ErrorCounts, EventCounts, ExceptionCounts, Tally, kinds_disagree};
use super::threshold::Threshold;
use super::times::Times;
use super::trend::{Spread, Summary as _, Trend};
use crate::plan::RunId;

/// All that was counted in one run.
#[derive(Debug)]
pub struct Table {
    limits: Limits,
    entries: NameMap<EntryName, Entry>,
    /// The durations of all entries. Their other sums are put together where they are shown.
    durations: Histogram,
    /// Those of one tally, while it is merged.
    fresh: Histogram,
    errors: NameMap<ErrorName, ErrorCounts>,
    exceptions: NameMap<Arc<str>, ExceptionCounts>,
    /// Of exceptions; those that nobody asked to note have none.
    origins: NameMap<Arc<str>, Origin>,
    checks: NameMap<Arc<str>, CheckCounts>,
    groups: NameMap<Arc<str>, Option<Trend<Spread>>>,
    metrics: NameMap<Arc<str>, MetricSums>,
    phases: [Trend<Spread>; PHASES.len()],
    since_due: Trend<Spread>,
    times: Times<Trend<Spread>>,
    events: EventCounts,
    /// In the plan's order.
    classes: Vec<ClassCounts>,
    profiles: ProfileTable,
    warnings: Vec<Arc<str>>,
    series: Series,
    soundness: Account,
}

impl Table {
    /// The empty table of a run.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self::counted_since(limits, Some(Duration::ZERO))
    }

    /// The empty table of numbers that are counted from this moment of the run's clock on; `None` where nobody knows which it was.
    #[must_use]
    pub fn counted_since(limits: Limits, since: Option<Duration>) -> Self {
        Self {
            limits,
            entries: NameMap::default(),
            durations: Histogram::shared(),
            fresh: Histogram::default(),
            errors: NameMap::default(),
            exceptions: NameMap::default(),
            origins: NameMap::default(),
            checks: NameMap::default(),
            groups: NameMap::default(),
            metrics: NameMap::default(),
            phases: std::array::from_fn(|_| Trend::shared()),
            since_due: Trend::shared(),
            times: Times::from_fn(Trend::shared),
            events: EventCounts::default(),
            classes: Vec::new(),
            profiles: ProfileTable::default(),
            warnings: Vec::new(),
            series: Series::new(since),
            soundness: Account::default(),
        }
    }

    /// Adds what was counted elsewhere, into the second in which it was measured.
    pub fn merge(&mut self, tally: &Tally) {
        let number_of = self.merge_sums(tally);
        self.profiles.merge(&tally.profiles, Some(tally.second));
        self.series.add(tally, &number_of, &self.fresh);
    }

    /// Adds all that a worker has counted up to the end of the tally's second. The seconds of it are not known, so that history and
    /// current rates stay as they are.
    pub fn merge_total(&mut self, tally: &Tally) {
        self.series.note_sums(tally.second);
        self.profiles.merge(&tally.profiles, None);
        self.merge_sums(tally);
    }

    /// Adds what was counted at a time that nobody knows.
    pub fn merge_undated(&mut self, tally: &Tally) {
        self.profiles.merge(&tally.profiles, None);
        self.merge_sums(tally);
    }

    /// Notes that the exceptions of a tally, which is merged already, were counted by `source`, in this second of the run's clock where that is
    /// known.
    pub fn note_raised(&mut self, tally: &Tally, source: u32, second: Option<u64>) {
        for (message, _) in tally.exceptions.iter().filter(|(_, counts)| counts.count > 0) {
            let message: Arc<str> = if self.exceptions.contains_key(message) { Arc::clone(message) } else { OTHER.into() };
            self.origins.entry(message).or_default().note(source, second);
        }
    }

    /// Where the exceptions of this message come from, as far as that was noted.
    #[must_use]
    pub fn origin_of(&self, message: &str) -> Option<&Origin> {
        self.origins.get(message)
    }

    /// What was kept of the history comes first. Nothing with a second may have been merged before.
    pub fn restore_history(&mut self, history: &[HistoryPoint]) {
        self.series.restore(history);
    }

    /// Takes over at `now` of the run's clock: current rates look no further back.
    pub fn take_over(&mut self, now: Duration) {
        self.series.take_over(now);
    }

    /// The steps of the history that are final since the last time; see [`Series::take_settled`].
    pub fn take_settled(&mut self) -> Vec<HistoryPoint> {
        self.series.take_settled()
    }

    /// What became of each class's iterations, in the plan's order; those of which nothing was counted may be missing at the end.
    #[must_use]
    pub fn classes(&self) -> &[ClassCounts] {
        &self.classes
    }

    /// Iterations of an open profile that began or were dropped.
    #[must_use]
    pub fn resolved(&self) -> u64 {
        self.events.iterations_started + self.events.iterations_dropped.iter().sum::<u64>()
    }

    /// The same of one named profile.
    #[must_use]
    pub fn resolved_of(&self, profile: usize) -> u64 {
        self.profiles.resolved(profile)
    }

    /// The points of the history before `now`, oldest first.
    #[must_use]
    pub fn history(&self, now: Duration) -> Vec<HistoryPoint> {
        self.series.history(now)
    }

    /// Notes whether the second of a tally, which is merged already, was sound on its worker `source`, which its cgroup kept from running or not.
    pub fn note_soundness(&mut self, tally: &Tally, source: u32, is_throttled: bool) {
        let mut reasons = Reasons::of(tally);
        if is_throttled {
            reasons.add(Unsound::Throttled);
            self.series.note_throttled(tally.second);
        }
        self.soundness.note(source, tally, reasons);
    }

    /// The account of unsound seconds, for the table that takes this one's place.
    pub fn take_soundness(&mut self) -> Account {
        std::mem::take(&mut self.soundness)
    }

    /// Goes on with the account of the table whose place this one takes.
    pub fn restore_soundness(&mut self, account: Account) {
        self.soundness = account;
    }

    /// Adds a text that a reader of the numbers must know, once; the number of texts is bounded.
    pub fn warn(&mut self, warning: &Arc<str>) {
        if self.warnings.len() < WARNINGS && !self.warnings.contains(warning) {
            self.warnings.push(Arc::clone(warning));
        }
    }

    /// What readers of the numbers must know, in the order in which it came to light.
    #[must_use]
    pub fn warnings(&self) -> &[Arc<str>] {
        &self.warnings
    }

    /// What people see, at `context.elapsed` of the run's clock.
    #[must_use]
    pub fn snapshot(&self, context: SnapshotContext<'_>) -> Snapshot {
        let elapsed = context.elapsed;
        let is_over = context.state == RunState::Stopped;
        let current = self.series.current(elapsed, is_over, context.reported);
        let total = self.total();
        let has_any = current.histogram.count() > 0;
        let percentile =
            |quantile| has_any.then(|| Duration::from_micros(current.histogram.value_at(quantile)).min(total.durations.spread.max()));
        let mut snapshot = Snapshot {
            run: context.run,
            scenario: context.scenario,
            host: context.host,
            state: context.state,
            elapsed,
            planned: context.planned,
            started_at: context.started_at,
            users: context.users,
            target_users: context.target_users,
            current_p50: percentile(0.5),
            current_p95: percentile(0.95),
            counted_since: self.series.since(),
            covered: current.covered,
            total: total.view("".into(), "Total".into(), &current, current.total),
            entries: self.entry_views(&current),
            errors: self.error_views(),
            exceptions: self.exception_views(),
            checks: self.check_views(),
            groups: self.group_views(),
            metrics: self.metric_views(),
            phases: PHASES.iter().zip(&self.phases).map(|(phase, trend)| trend.view(phase.metric.into())).collect(),
            since_due: self.since_due.view("http_req_duration_due".into()),
            times: self.times.map(|metric, trend| trend.view(metric.into())),
            arrivals: self.arrivals_view(),
            quota: None,
            profiles: self.profiles.views(current.seconds.clone()),
            iterations_raised: self.events.iterations_raised,
            iterations_interrupted: self.events.iterations_interrupted,
            iterations_dropped: self.events.iterations_dropped.iter().sum(),
            backoffs: self.events.backoffs,
            hold_pauses: self.events.hold_pauses,
            start_failures: self.events.start_failures,
            stop_failures: self.events.stop_failures,
            users_dropped: self.events.users_dropped,
            health: HealthView {
                lag_recent_max: current.lag_max,
                unsound_seconds: self.series.unsound_seconds(),
                unsound: self.soundness.stretches().map(|stretch| self.unsound_view(stretch)).collect(),
                unsound_requests: self.soundness.touched(),
                local_failures: total.hops.local(),
                cpu_cores: context.generator.cpu_cores,
                throttled: context.generator.throttled,
                unpacking: self.events.unpacking,
                memory_bytes: context.generator.memory_bytes,
            },
            history: self.series.history(elapsed),
            cells: self.series.cells(elapsed, self.entries.keys()),
            warnings: self.warnings.iter().map(ToString::to_string).collect(),
            ..Snapshot::default()
        };
        snapshot.thresholds = context.thresholds.iter().map(|threshold| threshold.judge(&snapshot)).collect();
        snapshot
    }

    /// Adds a tally to all sums but the series'. Answers with the table's number of each entry, in the tally's order.
    fn merge_sums(&mut self, tally: &Tally) -> Vec<u32> {
        let mut number_of = Vec::with_capacity(tally.entries.len());
        self.fresh.clear();
        for (name, counts) in &tally.entries {
            let number = self.number(name);
            let entry = &mut self.entries[number];
            entry.hops.merge(&counts.hops);
            entry.durations.merge(&counts.durations);
            entry.since_due.merge(&counts.since_due);
            self.fresh.merge_sparse(&counts.durations.counts);
            number_of.push(number as u32);
        }
        self.durations.merge(&self.fresh);
        self.merge_errors(tally);
        self.merge_named(tally);
        for (sum, counts) in self.phases.iter_mut().zip(&tally.phases) {
            sum.merge(counts);
        }
        self.since_due.merge(&tally.since_due);
        for (sum, counts) in self.times.each_mut().into_iter().zip(tally.times.each()) {
            sum.merge(counts);
        }
        self.events.merge(tally.events);
        ClassCounts::merge_all(&mut self.classes, &tally.classes);
        for warning in &tally.warnings {
            self.warn(warning);
        }
        number_of
    }

    fn total(&self) -> Entry {
        let mut total = Entry::default();
        for entry in self.entries.values() {
            total.hops.merge(&entry.hops);
            total.durations.spread.merge(&entry.durations.spread);
            total.durations.clamped = total.durations.clamped.saturating_add(entry.durations.clamped);
        }
        total.durations.histogram = self.durations.clone();
        total.since_due = self.since_due.clone();
        total
    }

    /// The number of an entry, made where it is missing; that of `(other)` past the limit.
    fn number(&mut self, name: &EntryName) -> usize {
        if let Some(number) = self.entries.get_index_of(name) {
            return number;
        }
        let known = self.entries.len();
        let mut name = name.clone();
        if known >= self.limits.names {
            if *name.name != *OTHER {
                name.name = OTHER.into();
                self.warn(&Bounded::Entries.warning(self.limits.names));
            }
            if known >= self.limits.names + OTHER_METHODS && !self.entries.contains_key(&name) {
                name.method = OTHER.into();
            }
        }
        self.entries.entry(name.clone()).or_default();
        self.entries.get_index_of(&name).expect("the entry stands in the map since the line above")
    }

    fn merge_errors(&mut self, tally: &Tally) {
        for (name, counts) in &tally.errors {
            if let Some(sum) = self.errors.get_mut(name) {
                sum.merge(counts);
                continue;
            }
            // The entry of an error goes where its hops go.
            let number = self.number(&name.entry);
            let (entry, _) = self.entries.get_index(number).expect("a number of this table");
            let mut name = ErrorName { entry: entry.clone(), kind: name.kind, message: Arc::clone(&name.message) };
            if self.errors.len() >= self.limits.names && !self.errors.contains_key(&name) {
                name.message = OTHER.into();
                self.warn(&Bounded::Errors.warning(self.limits.names));
            }
            self.errors.entry(name).or_default().merge(counts);
        }
    }

    fn merge_named(&mut self, tally: &Tally) {
        let limit = self.limits.names;
        let mut over = Vec::new();
        for (message, counts) in &tally.exceptions {
            let (sum, is_over) = bounded(&mut self.exceptions, message, limit);
            sum.merge(counts);
            over.extend(is_over.then_some(Bounded::Exceptions));
        }
        for (name, counts) in &tally.checks {
            let (sum, is_over) = bounded(&mut self.checks, name, limit);
            sum.merge(*counts);
            over.extend(is_over.then_some(Bounded::Checks));
        }
        for (name, counts) in &tally.groups {
            let (sum, is_over) = bounded(&mut self.groups, name, limit);
            sum.get_or_insert_with(Trend::shared).merge(counts);
            over.extend(is_over.then_some(Bounded::Groups));
        }
        for (name, counts) in &tally.metrics {
            if self.metrics.len() >= limit && !self.metrics.contains_key(name) {
                over.push(Bounded::Metrics);
                continue;
            }
            let sums = self.metrics.entry(Arc::clone(name)).or_insert_with(|| MetricSums::empty(counts.kind(), Trend::shared()));
            if !sums.merge(counts) {
                self.warn(&kinds_disagree(name));
            }
        }
        for bounded in over {
            self.warn(&bounded.warning(limit));
        }
    }

    fn check_views(&self) -> Vec<CheckView> {
        let view =
            |(name, counts): (&Arc<str>, &CheckCounts)| CheckView { name: Arc::clone(name), passes: counts.passes, fails: counts.fails };
        self.checks.iter().map(view).collect()
    }

    fn unsound_view(&self, stretch: Stretch) -> UnsoundView {
        let holds = if stretch.reason == Unsound::Late { self.soundness.holds_of(stretch.source) } else { Vec::new() };
        UnsoundView { worker: String::new(), stretch, holds }
    }

    fn arrivals_view(&self) -> ArrivalsView {
        ArrivalsView {
            due: self.events.iterations_due,
            started: self.events.iterations_started,
            dropped: DropReason::ALL.into_iter().zip(self.events.iterations_dropped).filter(|(_, count)| *count > 0).collect(),
            ..ArrivalsView::default()
        }
    }

    fn entry_views(&self, current: &Current) -> Vec<EntryView> {
        let mut views: Vec<_> = self
            .entries
            .iter()
            .enumerate()
            .map(|(number, (name, entry))| {
                let lately = current.entries.get(&(number as u32)).copied().unwrap_or_default();
                entry.view(Arc::clone(&name.method), Arc::clone(&name.name), current, lately)
            })
            .collect();
        views.sort_unstable_by(|a, b| (&a.name, &a.method).cmp(&(&b.name, &b.method)));
        views
    }

    fn error_views(&self) -> Vec<ErrorView> {
        let mut errors: Vec<_> = self.errors.iter().collect();
        errors.sort_unstable_by(|(a_name, a), (b_name, b)| b.occurrences.cmp(&a.occurrences).then_with(|| a_name.cmp(b_name)));
        let view = |(name, counts): (&ErrorName, &ErrorCounts)| ErrorView {
            method: Arc::clone(&name.entry.method),
            name: Arc::clone(&name.entry.name),
            kind: name.kind,
            message: Arc::clone(&name.message),
            occurrences: counts.occurrences,
            first_seen: Duration::from_secs(counts.first_second),
            last_seen: Duration::from_secs(counts.last_second),
        };
        errors.into_iter().map(view).collect()
    }

    fn exception_views(&self) -> Vec<ExceptionView> {
        let mut exceptions: Vec<_> = self.exceptions.iter().collect();
        exceptions.sort_unstable_by(|(a_message, a), (b_message, b)| b.count.cmp(&a.count).then_with(|| a_message.cmp(b_message)));
        let view = |(message, counts): (&Arc<str>, &ExceptionCounts)| {
            let origin = self.origins.get(message);
            ExceptionView {
                message: Arc::clone(message),
                traceback: Arc::clone(&counts.traceback),
                count: counts.count,
                nodes: Vec::new(),
                has_more_nodes: origin.is_some_and(Origin::has_more),
                first_seen: origin.and_then(Origin::first_seen),
                last_seen: origin.and_then(Origin::last_seen),
            }
        };
        exceptions.into_iter().map(view).collect()
    }

    fn group_views(&self) -> Vec<TrendView> {
        let sorted: BTreeMap<_, _> = self.groups.iter().collect();
        sorted.into_iter().filter_map(|(name, trend)| trend.as_ref().map(|trend| trend.view(Arc::clone(name)))).collect()
    }

    fn metric_views(&self) -> Vec<MetricView> {
        let sorted: BTreeMap<_, _> = self.metrics.iter().collect();
        sorted.into_iter().map(|(name, sums)| MetricView { name: Arc::clone(name), value: sums.view(name) }).collect()
    }
}

/// What the caller of [`Table::snapshot`] knows and the table does not.
#[derive(Debug, Clone, Default)]
pub struct SnapshotContext<'a> {
    /// See [`Snapshot::run`].
    pub run: RunId,
    /// See [`Snapshot::scenario`].
    pub scenario: String,
    /// See [`Snapshot::host`].
    pub host: Option<String>,
    /// Once it is `Stopped`, the caller keeps `elapsed` at the run's end, which freezes all rates.
    pub state: RunState,
    /// The run's clock at this moment.
    pub elapsed: Duration,
    /// How many whole seconds of the run's clock have come from every worker that is there; `None` where nobody waits for anybody.
    pub reported: Option<u64>,
    /// See [`Snapshot::planned`].
    pub planned: Option<Duration>,
    /// See [`Snapshot::started_at`].
    pub started_at: Option<SystemTime>,
    /// See [`Snapshot::users`].
    pub users: u64,
    /// See [`Snapshot::target_users`].
    pub target_users: u64,
    /// In the scenario's order.
    pub thresholds: &'a [Threshold],
    /// What the operating system says of the generator.
    pub generator: GeneratorReadings,
}

/// Readings of the generator's own process. The fields mean what those of [`HealthView`] mean.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct GeneratorReadings {
    /// Over the last 10 seconds, where that is known.
    pub cpu_cores: Option<f64>,
    /// Over the whole run.
    pub throttled: Duration,
    /// Resident, where that is known.
    pub memory_bytes: Option<u64>,
}

/// Warnings of a run at most.
const WARNINGS: usize = 64;

#[cfg(test)]
mod course_tests;

#[cfg(test)]
mod tests {
    use super::super::cells::{Cell, CellsView};
    use super::super::recorder::{MetricKind, Recorder};
    use super::super::sample::{Answer, FailureKind, Phases, Sample};
    use super::*;
    use proptest::prelude::*;

    fn context(seconds: u64) -> SnapshotContext<'static> {
        SnapshotContext { elapsed: Duration::from_secs(seconds), ..SnapshotContext::default() }
    }

    /// Counts (name, microseconds) hops in one recorder; every third one fails.
    fn tally_of(second: u64, hops: &[(u8, u64)]) -> Tally {
        let mut recorder = Recorder::new(Limits::default());
        let cost = recorder.declare("cost", MetricKind::Counter).unwrap();
        for (name, micros) in hops {
            let entry = recorder.entry("GET", &format!("/{name}"));
            let duration = Duration::from_micros(*micros);
            let phases = Phases { waiting: Some(duration / 2), ..Phases::default() };
            let (answer, status, failure) =
                if micros % 3 == 0 { (Answer::Unanswered, 0, Some(FailureKind::Timeout)) } else { (Answer::Answered, 200, None) };
            recorder.record(entry, &Sample { duration, phases, answer, status, failure, ..Sample::default() }, None);
            recorder.check("is small", *micros < 1_000);
            recorder.group("all", duration);
            recorder.iteration(0, duration, false);
            recorder.metric(cost, f64::from(*name));
        }
        recorder.take(second)
    }

    fn table_of<'a>(tallies: impl IntoIterator<Item = &'a Tally>) -> Table {
        let mut table = Table::new(Limits::default());
        for tally in tallies {
            table.merge(tally);
        }
        table
    }

    fn seconds() -> impl Strategy<Value = Vec<Vec<(u8, u64)>>> {
        prop::collection::vec(prop::collection::vec((0_u8..5, 1_u64..100_000_000), 0..30), 1..6)
    }

    #[test]
    fn the_highest_percentile_is_the_maximum_even_beyond_the_histogram() {
        let mut recorder = Recorder::new(Limits::default());
        let entry = recorder.entry("GET", "/");
        for duration in [Duration::from_nanos(1_499), Duration::from_secs(7_200)] {
            recorder.record(entry, &Sample { duration, ..Sample::default() }, None);
        }
        recorder.group("slow", Duration::from_secs(7_200));
        let snapshot = table_of([&recorder.take(0)]).snapshot(context(1));
        assert_eq!(snapshot.total.percentile(1.0), Some(Duration::from_secs(7_200)));
        assert_eq!((snapshot.total.percentile(0.0), snapshot.total.clamped), (Some(Duration::from_nanos(1_499)), 1));
        assert_eq!(snapshot.groups[0].percentile(1.0), Some(7_200.0));
    }

    #[test]
    fn the_percentiles_of_a_second_do_not_exceed_its_longest_request() {
        let longest = Duration::from_micros(123_457);
        let mut recorder = Recorder::new(Limits::default());
        let entry = recorder.entry("GET", "/");
        recorder.record(entry, &Sample { duration: longest, ..Sample::default() }, None);
        let point = table_of([&recorder.take(0)]).snapshot(context(1)).history[0].clone();
        assert_eq!(point.seen.and_then(|seen| seen.percentiles), Some([longest; 3]));
    }

    proptest! {
        #[test]
        fn the_order_of_merging_does_not_matter(seconds in seconds()) {
            let tallies: Vec<_> = seconds.iter().enumerate().map(|(second, hops)| tally_of(second as u64, hops)).collect();
            let forth = table_of(&tallies).snapshot(context(6));
            let back = table_of(tallies.iter().rev()).snapshot(context(6));
            // Cells know entries by the numbers that they got, which follow the order.
            let cells = |snapshot: &mut Snapshot| {
                let CellsView { length, first, cells, names, given_up } = std::mem::take(&mut snapshot.cells);
                let of = |(known, cell): (Duration, Arc<Cell>)| {
                    let named = cell.entries.iter().map(|(number, counts)| (names[*number as usize].clone(), format!("{counts:?}")));
                    (known, format!("{:?}", cell.total), named.collect::<BTreeMap<_, _>>())
                };
                (length, first, cells.into_iter().map(of).collect::<Vec<_>>(), given_up)
            };
            let (mut forth, mut back) = (forth, back);
            prop_assert_eq!(cells(&mut forth), cells(&mut back));
            prop_assert_eq!(format!("{forth:?}"), format!("{back:?}"));
        }

        #[test]
        fn merged_or_not_the_numbers_are_the_same_to_the_last_digit(lanes in seconds()) {
            let apart: Vec<_> = lanes.iter().map(|hops| tally_of(0, hops)).collect();
            let mut merged = Tally::default();
            for tally in apart.clone() {
                merged.merge(tally);
            }
            let one = tally_of(0, &lanes.concat());
            let [apart, merged, one] = [table_of(&apart), table_of([&merged]), table_of([&one])].map(|table| table.snapshot(context(1)));
            for other in [apart, merged] {
                for quantile in [0.0, 0.5, 0.9, 0.95, 0.99, 0.9999, 1.0] {
                    prop_assert_eq!(one.total.percentile(quantile), other.total.percentile(quantile));
                }
                prop_assert_eq!(format!("{:?}", one.entries.iter().map(|e| (&e.name, e.requests, e.min, e.max, e.duration_sum, &e.phases)).collect::<Vec<_>>()),
                    format!("{:?}", other.entries.iter().map(|e| (&e.name, e.requests, e.min, e.max, e.duration_sum, &e.phases)).collect::<Vec<_>>()));
                for (a, b) in one.phases.iter().zip(&other.phases) {
                    prop_assert_eq!((a.count, a.sum, &a.histogram), (b.count, b.sum, &b.histogram));
                }
                prop_assert_eq!(&one.errors, &other.errors);
                prop_assert_eq!(&one.checks, &other.checks);
            }
        }
    }

    #[test]
    fn the_total_is_all_entries_together() {
        let table = table_of(&[tally_of(0, &[(1, 10), (2, 21), (2, 30)]), tally_of(1, &[(1, 999)])]);
        let snapshot = table.snapshot(context(2));
        let total = &snapshot.total;
        assert_eq!((total.requests, total.failures, total.unanswered), (4, 3, 3));
        assert_eq!((total.min, total.max), (Some(Duration::from_micros(10)), Some(Duration::from_micros(999))));
        assert_eq!(total.histogram.count(), 4);
        assert_eq!(total.total_rps, Some(2.0));
        assert_eq!(total.failures_by_kind, [(FailureKind::Timeout, 3)]);
        assert_eq!(snapshot.errors.len(), 2);
        assert_eq!([0, 1].map(|place| snapshot.errors[place].last_seen), [0, 1].map(Duration::from_secs));
        assert_eq!(snapshot.entries.iter().map(|entry| &*entry.name).collect::<Vec<_>>(), ["/1", "/2"]);
    }

    #[test]
    fn a_total_adds_to_the_sums_and_to_no_second() {
        let (apart, total) = (tally_of(0, &[(1, 10), (2, 21)]), tally_of(7, &[(1, 999), (3, 5)]));
        let mut table = table_of([&apart]);
        table.merge_total(&total);
        let expected = table_of([&apart, &total]).snapshot(context(8));
        let snapshot = table.snapshot(context(8));
        assert_eq!((snapshot.total.requests, &snapshot.total.histogram), (4, &expected.total.histogram));
        assert_eq!((&snapshot.errors, &snapshot.checks), (&expected.errors, &expected.checks));
        assert_eq!(snapshot.history.iter().map(|point| point.seen.as_ref().map(|seen| seen.requests)).collect::<Vec<_>>(), [Some(2)]);
    }

    #[test]
    fn rates_freeze_at_the_end_of_the_run() {
        let table = table_of(&[tally_of(0, &[(1, 10), (1, 20)]), tally_of(1, &[(1, 10)])]);
        let over = SnapshotContext { state: RunState::Stopped, elapsed: Duration::from_millis(1_500), ..SnapshotContext::default() };
        let snapshot = table.snapshot(over);
        assert_eq!((snapshot.total.current_rps, snapshot.total.total_rps), (Some(2.0), Some(2.0)));
        assert_eq!(snapshot.entries[0].current_rps, Some(2.0));
    }

    #[test]
    fn names_are_bounded_over_all_lanes_and_no_hop_is_lost() {
        let mut table = Table::new(Limits { names: 3 });
        table.merge(&tally_of(0, &[(1, 10), (2, 10)]));
        table.merge(&tally_of(0, &[(3, 10), (4, 12), (5, 12)]));
        let snapshot = table.snapshot(context(1));
        assert_eq!(
            snapshot.entries.iter().map(|entry| (&*entry.name, entry.requests)).collect::<Vec<_>>(),
            [(OTHER, 2), ("/1", 1), ("/2", 1), ("/3", 1)]
        );
        assert_eq!(snapshot.total.requests, 5);
        assert_eq!(snapshot.warnings.len(), 1);
        assert_eq!(snapshot.errors.iter().map(|error| (&*error.name, error.occurrences)).collect::<Vec<_>>(), [(OTHER, 2)]);
    }
}
