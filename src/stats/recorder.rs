//! The recorder: one a lane, on the lane's own thread. It adds samples up where they are born.
//!
//! No lock, no channel, and no allocation once a name is known. What it counted leaves it once a second as a [`Tally`]; its
//! histograms stay and count anew in the same memory.

use std::sync::Arc;
use std::time::Duration;

pub use super::metric::MetricKind;
pub use super::names::Limits;
pub use super::tally::Tally;

use super::drop_reason::DropReason;
use super::holds::{self, HoldCounts, Holder};
use super::hop_counts::HopCounts;
use super::metric::MetricSums;
use super::names::{
    EntryLookup, EntryName, ErrorName, LocalError, LocalErrorLookup, NAME_BYTES, NameMap, OTHER, OTHER_METHODS, TRACEBACK_BYTES, bounded,
    clip,
};
use super::phases::{PHASES, parts_of};
use super::profiles::{ProfileCounts, ProfileSums};
use super::sample::{FailureKind, Sample};
use super::tally::{CheckCounts, ClassCounts, EntryCounts, ErrorCounts, EventCounts, ExceptionCounts};
use super::times::Times;
use super::trend::{Nanos, Spread, Summary as _, Trend};

/// Adds up what one lane measures.
#[derive(Debug)]
pub struct Recorder {
    limits: Limits,
    entries: NameMap<EntryName, LiveEntry>,
    /// Entries with hops since the last `take`.
    changed: Vec<u32>,
    errors: NameMap<LocalError, u64>,
    exceptions: NameMap<Arc<str>, ExceptionCounts>,
    checks: NameMap<Arc<str>, CheckCounts>,
    groups: NameMap<Arc<str>, Trend<Spread>>,
    metrics: NameMap<Arc<str>, LiveMetric>,
    /// The distributions alone; `take` adds the sums from the entries.
    phases: [Trend<Spread>; PHASES.len()],
    since_due: Trend<Spread>,
    times: Times<Trend<Spread>>,
    events: EventCounts,
    holds: NameMap<Holder, HoldCounts>,
    /// By the plan's order of classes, as long as the highest class of which something was counted.
    classes: Vec<ClassCounts>,
    /// By the plan's order of profiles, where they have names.
    profiles: Vec<ProfileSums>,
    warnings: Vec<Arc<str>>,
    /// How many of `warnings` an earlier tally took along.
    warnings_taken: usize,
    /// Which limits have had their one warning.
    warned: [bool; Bounded::COUNT],
}

/// A (method, name), known to one recorder. It means nothing to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EntryId(pub u32);

/// A metric of the script's own, known to one recorder. It means nothing to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MetricId(pub u32);

impl Recorder {
    /// A recorder that has counted nothing.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            entries: NameMap::default(),
            changed: Vec::new(),
            errors: NameMap::default(),
            exceptions: NameMap::default(),
            checks: NameMap::default(),
            groups: NameMap::default(),
            metrics: NameMap::default(),
            phases: Default::default(),
            since_due: Trend::default(),
            times: Times::default(),
            events: EventCounts::default(),
            holds: NameMap::default(),
            classes: Vec::new(),
            profiles: Vec::new(),
            warnings: Vec::new(),
            warnings_taken: 0,
            warned: [false; Bounded::COUNT],
        }
    }

    /// The entry of (method, name); `(other)` once the limit is reached.
    pub fn entry(&mut self, method: &str, name: &str) -> EntryId {
        match self.entries.get_index_of(&EntryLookup { name, method }) {
            Some(place) => EntryId(place as u32),
            None => self.add_entry(clip(method, NAME_BYTES), clip(name, NAME_BYTES)),
        }
    }

    /// Counts one finished hop. `message` says why it failed, where it did; `None` takes the kind's own words.
    ///
    /// One that was cut is counted as such alone: how long it would have taken is not known, and it has not failed.
    pub fn record(&mut self, entry: EntryId, sample: &Sample, message: Option<&str>) {
        let live = &mut self.entries[entry.0 as usize];
        if !live.is_changed {
            live.is_changed = true;
            self.changed.push(entry.0);
        }
        live.hops.add(sample);
        if sample.failure == Some(FailureKind::Cut) {
            return;
        }
        live.durations.add(sample.duration);
        let parts = parts_of(&sample.phases);
        // By their places, all three lists at once: this is the most that a request costs here.
        for (place, part) in parts.iter().enumerate() {
            if let Some(part) = part {
                let part = Nanos::of(*part);
                live.hops.phases[place].add(part);
                self.phases[place].add_distribution(part);
            }
        }
        if let Some(since_due) = sample.since_due {
            live.since_due.add(since_due);
            self.since_due.add(since_due);
        }
        if let Some(kind) = sample.failure {
            self.add_error(entry, kind, clip(message.unwrap_or(kind.words()), NAME_BYTES));
        }
    }

    /// Counts one evaluation of a check.
    pub fn check(&mut self, name: &str, passed: bool) {
        let (counts, is_over) = bounded(&mut self.checks, name, self.limits.names);
        counts.passes += u64::from(passed);
        counts.fails += u64::from(!passed);
        self.warn_if(is_over, Bounded::Checks);
    }

    /// Counts one passage through a group.
    pub fn group(&mut self, name: &str, duration: Duration) {
        let (trend, is_over) = bounded(&mut self.groups, name, self.limits.names);
        trend.add(duration);
        self.warn_if(is_over, Bounded::Groups);
    }

    /// Counts one finished iteration of user class `class`.
    pub fn iteration(&mut self, class: usize, duration: Duration, raised: bool) {
        self.times.iterations.add(duration);
        self.events.iterations_raised += u64::from(raised);
        let counts = self.class(class);
        counts.finished += 1;
        counts.raised += u64::from(raised);
    }

    fn class(&mut self, class: usize) -> &mut ClassCounts {
        if self.classes.len() <= class {
            self.classes.resize(class + 1, ClassCounts::default());
        }
        &mut self.classes[class]
    }

    /// What is counted of a named profile besides all that is counted over all of them.
    pub fn profile(&mut self, place: usize) -> &mut ProfileSums {
        if self.profiles.len() <= place {
            self.profiles.resize_with(place + 1, ProfileSums::default);
        }
        &mut self.profiles[place]
    }

    /// Counts one iteration that began and was ended before its own end, since its user was to finish or was dropped.
    pub fn iteration_interrupted(&mut self) {
        self.events.iterations_interrupted += 1;
    }

    /// Counts one iteration that is due (open model).
    pub fn iteration_due(&mut self) {
        self.events.iterations_due += 1;
    }

    /// Counts one iteration that was due and begins, so late.
    pub fn iteration_started(&mut self, late: Duration) {
        self.events.iterations_started += 1;
        self.times.lateness.add(late);
    }

    /// Counts how long after its due time a finished iteration ended.
    pub fn iteration_since_due(&mut self, duration: Duration) {
        self.times.iterations_since_due.add(duration);
    }

    /// Counts one iteration that was due and could not begin.
    pub fn iteration_dropped(&mut self, reason: DropReason) {
        self.events.iterations_dropped[reason as usize] += 1;
    }

    /// Counts what a script raised. The traceback is kept for the first of each message.
    pub fn exception(&mut self, message: &str, traceback: &str) {
        let (counts, is_over) = bounded(&mut self.exceptions, message, self.limits.names);
        if counts.traceback.is_empty() && !traceback.is_empty() {
            counts.traceback = clip(traceback, TRACEBACK_BYTES).into();
        }
        counts.count += 1;
        self.warn_if(is_over, Bounded::Exceptions);
    }

    /// Counts one pause after a failed iteration.
    pub fn backoff(&mut self) {
        self.events.backoffs += 1;
    }

    /// Counts one pause of a user that had held its lane.
    pub fn hold_pause(&mut self) {
        self.events.hold_pauses += 1;
    }

    /// Counts one `on_start` that raised.
    pub fn start_failure(&mut self, class: usize) {
        self.events.start_failures += 1;
        self.class(class).start_failures += 1;
    }

    /// Counts one `on_stop` that raised.
    pub fn stop_failure(&mut self) {
        self.events.stop_failures += 1;
    }

    /// Counts one user that was dropped.
    pub fn user_dropped(&mut self) {
        self.events.users_dropped += 1;
    }

    /// Counts processor time that a body took to be unpacked or judged.
    pub fn unpacking(&mut self, took: Duration) {
        self.events.unpacking += took;
    }

    /// Notes how late one of the lane's timers was.
    pub fn lag(&mut self, late: Duration) {
        self.times.lag.add(late);
    }

    /// Notes that `by`, a class and its task, held the lane so long, at `place`, a file and a line, where that is known.
    pub fn held(&mut self, by: &str, place: Option<&str>, length: Duration) {
        holds::add(&mut self.holds, Holder::new(by, place.unwrap_or("")), HoldCounts { count: 1, longest: length });
    }

    /// Adds a text that a reader of the numbers must know, once.
    pub fn warn(&mut self, warning: &str) {
        if self.warnings.len() < WARNINGS && !self.warnings.iter().any(|known| **known == *warning) {
            self.warnings.push(clip(warning, NAME_BYTES).into());
        }
    }

    /// Makes a metric of the script's own known, or finds it. Past the limit, what is added to it is dropped, with a warning.
    ///
    /// # Errors
    /// The kind that the name already has.
    pub fn declare(&mut self, name: &str, kind: MetricKind) -> Result<MetricId, MetricKind> {
        let name = clip(name, NAME_BYTES);
        if let Some((place, _, live)) = self.metrics.get_full(name) {
            let known = live.sums.kind();
            return if known == kind { Ok(MetricId(place as u32)) } else { Err(known) };
        }
        if self.metrics.len() >= self.limits.names {
            self.warn_if(true, Bounded::Metrics);
            return Ok(MetricId(u32::MAX));
        }
        let live = LiveMetric { sums: MetricSums::empty(kind, Trend::default()), is_changed: false };
        let (place, _) = self.metrics.insert_full(name.into(), live);
        Ok(MetricId(place as u32))
    }

    /// Adds a value to a metric: a counter's increment, a gauge's value, a rate's 0 or 1, a trend's value. A value that is not finite is left out, with a warning.
    pub fn metric(&mut self, metric: MetricId, value: f64) {
        let Some((name, live)) = self.metrics.get_index_mut(metric.0 as usize) else { return };
        if value.is_finite() {
            live.sums.add(value);
            live.is_changed = true;
        } else {
            let warning = format!("metric `{name}` was given a value that is not a finite number; such values are left out");
            self.warn(&warning);
        }
    }

    /// Takes all that was counted since the last call, and begins anew. `second` is the second of the run's clock in which it was counted.
    pub fn take(&mut self, second: u64) -> Tally {
        let mut tally = Tally { second, ..Tally::default() };
        for (counts, phase) in tally.phases.iter_mut().zip(&mut self.phases) {
            *counts = phase.take();
        }
        self.take_entries(&mut tally);
        self.take_errors(&mut tally);
        for (message, counts) in self.exceptions.iter_mut().filter(|(_, counts)| counts.count > 0) {
            let taken = ExceptionCounts { traceback: Arc::clone(&counts.traceback), count: std::mem::take(&mut counts.count) };
            tally.exceptions.insert(Arc::clone(message), taken);
        }
        for (name, counts) in self.checks.iter_mut().filter(|(_, counts)| **counts != CheckCounts::default()) {
            tally.checks.insert(Arc::clone(name), std::mem::take(counts));
        }
        for (name, trend) in self.groups.iter_mut().filter(|(_, trend)| trend.spread.count > 0) {
            tally.groups.insert(Arc::clone(name), trend.take());
        }
        for (name, live) in self.metrics.iter_mut().filter(|(_, live)| live.is_changed) {
            live.is_changed = false;
            tally.metrics.insert(Arc::clone(name), live.sums.take(second));
        }
        tally.since_due = self.since_due.take();
        for (counts, time) in tally.times.each_mut().into_iter().zip(self.times.each_mut()) {
            *counts = time.take();
        }
        tally.events = std::mem::take(&mut self.events);
        tally.holds = std::mem::take(&mut self.holds);
        tally.classes = std::mem::take(&mut self.classes);
        tally.profiles = self.profiles.iter_mut().map(ProfileSums::take).collect();
        if tally.profiles.iter().all(|counts| *counts == ProfileCounts::default()) {
            tally.profiles.clear();
        }
        tally.warnings = self.warnings[self.warnings_taken..].to_vec();
        self.warnings_taken = self.warnings.len();
        tally
    }

    fn take_entries(&mut self, tally: &mut Tally) {
        tally.entries.reserve(self.changed.len());
        for id in self.changed.drain(..) {
            let (name, live) = self.entries.get_index_mut(id as usize).expect("`changed` holds ids of known entries only");
            live.is_changed = false;
            let counts = EntryCounts { hops: live.hops.take(), durations: live.durations.take(), since_due: live.since_due.take() };
            for (sum, spread) in tally.phases.iter_mut().zip(&counts.hops.phases) {
                sum.spread.merge(spread);
            }
            tally.entries.insert(name.clone(), counts);
        }
    }

    fn take_errors(&mut self, tally: &mut Tally) {
        for (error, occurrences) in self.errors.iter_mut().filter(|(_, occurrences)| **occurrences > 0) {
            let (entry, _) = self.entries.get_index(error.entry as usize).expect("errors are of known entries only");
            let name = ErrorName { entry: entry.clone(), kind: error.kind, message: Arc::clone(&error.message) };
            let counts = ErrorCounts { occurrences: std::mem::take(occurrences), first_second: tally.second, last_second: tally.second };
            tally.errors.insert(name, counts);
        }
    }

    #[cold]
    fn add_entry(&mut self, method: &str, name: &str) -> EntryId {
        let (method, name) = match self.entries.len() {
            known if known < self.limits.names => (method, name),
            known => {
                self.warn_if(true, Bounded::Entries);
                let is_known = self.entries.contains_key(&EntryLookup { name: OTHER, method });
                (if is_known || known < self.limits.names + OTHER_METHODS { method } else { OTHER }, OTHER)
            }
        };
        if let Some(place) = self.entries.get_index_of(&EntryLookup { name, method }) {
            return EntryId(place as u32);
        }
        let (place, _) = self.entries.insert_full(EntryName { name: name.into(), method: method.into() }, LiveEntry::default());
        EntryId(place as u32)
    }

    #[cold]
    fn add_error(&mut self, entry: EntryId, kind: FailureKind, message: &str) {
        let EntryId(entry) = entry;
        if let Some(occurrences) = self.errors.get_mut(&LocalErrorLookup { entry, kind, message }) {
            *occurrences += 1;
            return;
        }
        let is_over = self.errors.len() >= self.limits.names;
        let message = if is_over { OTHER } else { message };
        *self.errors.entry(LocalError { entry, kind, message: message.into() }).or_default() += 1;
        self.warn_if(is_over, Bounded::Errors);
    }

    fn warn_if(&mut self, is_over: bool, bounded: Bounded) {
        if is_over && !self.warned[bounded as usize] {
            self.warned[bounded as usize] = true;
            self.warnings.push(bounded.warning(self.limits.names));
        }
    }
}

#[derive(Debug, Default)]
struct LiveEntry {
    is_changed: bool,
    hops: HopCounts,
    durations: Trend<Spread>,
    since_due: Trend<Spread>,
}

#[derive(Debug)]
struct LiveMetric {
    is_changed: bool,
    sums: MetricSums,
}

/// What has a limit, and one warning when it is reached.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bounded {
    Entries,
    Errors,
    Exceptions,
    Checks,
    Groups,
    Metrics,
}

impl Bounded {
    pub(super) const COUNT: usize = 6;

    pub(super) fn warning(self, limit: usize) -> Arc<str> {
        let (what, becomes) = match self {
            Self::Entries => ("request names", "further ones are counted as `(other)`; give requests that belong together one `name`"),
            Self::Errors => ("error messages", "further ones are counted as `(other)`"),
            Self::Exceptions => ("exceptions", "further ones are counted as `(other)`"),
            Self::Checks => ("check names", "further ones are counted as `(other)`"),
            Self::Groups => ("group names", "further ones are counted as `(other)`"),
            Self::Metrics => ("metrics", "further ones are not counted"),
        };
        format!("the limit of {limit} {what} is reached: {becomes}").into()
    }
}

/// Warnings of one recorder at most; those of the limits are not counted.
const WARNINGS: usize = 32;

#[cfg(test)]
mod tests {
    use super::super::sample::{Answer, Phases};
    use super::*;

    fn limited(names: usize) -> Recorder {
        Recorder::new(Limits { names })
    }

    fn answered(millis: u64) -> Sample {
        Sample { duration: Duration::from_millis(millis), answer: Answer::Answered, status: 200, ..Sample::default() }
    }

    fn failed(kind: FailureKind) -> Sample {
        Sample { failure: Some(kind), ..Sample::default() }
    }

    #[test]
    fn a_tally_holds_only_what_changed_since_the_last_one() {
        let mut recorder = limited(10);
        let (cart, home) = (recorder.entry("GET", "/cart"), recorder.entry("GET", "/"));
        assert_eq!(recorder.entry("GET", "/cart"), cart);
        recorder.record(cart, &answered(5), None);
        recorder.record(home, &answered(7), None);
        assert_eq!(recorder.take(0).entries.len(), 2);
        recorder.record(cart, &answered(9), None);
        let tally = recorder.take(1);
        let (name, counts) = tally.entries.get_index(0).unwrap();
        assert_eq!((tally.second, tally.entries.len(), &*name.method, &*name.name), (1, 1, "GET", "/cart"));
        assert_eq!((counts.hops.requests, counts.durations.spread.max()), (1, Duration::from_millis(9)));
        assert!(recorder.take(2).is_empty());
    }

    #[test]
    fn phases_are_summed_by_entry_and_distributed_over_the_lane() {
        let mut recorder = limited(10);
        let [a, b] = ["/a", "/b"].map(|name| recorder.entry("GET", name));
        let millis = |millis| Some(Duration::from_millis(millis));
        let phases = Phases { sending: millis(1), waiting: millis(4), receiving: millis(2), ..Phases::default() };
        for entry in [a, b, b] {
            recorder.record(entry, &Sample { phases, ..answered(9) }, None);
        }
        let tally = recorder.take(0);
        let exchange = &tally.phases[PHASES.len() - 1];
        assert_eq!((exchange.spread.count, exchange.spread.sum()), (3, Duration::from_millis(21)));
        assert_eq!(exchange.counts.count(), 3);
        assert_eq!(tally.phases[0].spread.count, 0, "nothing was blocked");
        assert_eq!(tally.entries[1].hops.phases[5].sum(), Duration::from_millis(8));
    }

    #[test]
    fn a_local_failure_is_no_failure_of_the_target() {
        let mut recorder = limited(10);
        let entry = recorder.entry("GET", "/");
        recorder.record(entry, &failed(FailureKind::Local), None);
        recorder.record(entry, &failed(FailureKind::Refused), None);
        let tally = recorder.take(0);
        let hops = &tally.entries[0].hops;
        assert_eq!((hops.requests, hops.failures(), hops.local(), hops.not_sent), (2, 1, 1, 2));
    }

    #[test]
    fn past_the_limit_samples_go_to_other_with_one_warning() {
        let mut recorder = limited(2);
        for name in ["/a", "/b", "/c", "/d"] {
            for method in ["GET", "POST"] {
                let entry = recorder.entry(method, name);
                recorder.record(entry, &answered(1), None);
            }
        }
        let tally = recorder.take(0);
        let names: Vec<_> = tally.entries.iter().map(|(name, counts)| (&*name.method, &*name.name, counts.hops.requests)).collect();
        assert_eq!(names, [("GET", "/a", 1), ("POST", "/a", 1), ("GET", OTHER, 3), ("POST", OTHER, 3)]);
        assert_eq!(tally.warnings.len(), 1);
        for method in 0..1_000 {
            recorder.entry(&method.to_string(), "/");
        }
        assert_eq!(recorder.entries.len(), 2 + OTHER_METHODS + 1);
    }

    #[test]
    fn error_messages_are_bounded_and_none_is_lost() {
        let mut recorder = limited(2);
        let entry = recorder.entry("GET", "/");
        for message in ["a", "b", "c", "d", "a"] {
            recorder.record(entry, &failed(FailureKind::Expect), Some(message));
        }
        recorder.record(entry, &failed(FailureKind::Timeout), None);
        let tally = recorder.take(3);
        let errors: Vec<_> = tally.errors.iter().map(|(name, counts)| (&*name.message, counts.occurrences)).collect();
        assert_eq!(errors, [("a", 2), ("b", 1), (OTHER, 2), (OTHER, 1)]);
        assert_eq!(tally.errors[0], ErrorCounts { occurrences: 2, first_second: 3, last_second: 3 });
        assert_eq!(tally.warnings.len(), 1);
    }

    #[test]
    fn the_first_traceback_of_a_message_is_kept() {
        let mut recorder = limited(2);
        recorder.exception("cart.lua:3: no", "first");
        recorder.exception("cart.lua:3: no", "second");
        let tally = recorder.take(0);
        assert_eq!(tally.exceptions[0], ExceptionCounts { traceback: "first".into(), count: 2 });
    }

    #[test]
    fn a_metric_has_one_kind_and_finite_values() {
        let mut recorder = limited(1);
        let cost = recorder.declare("cost", MetricKind::Trend).unwrap();
        assert_eq!(recorder.declare("cost", MetricKind::Trend), Ok(cost));
        assert_eq!(recorder.declare("cost", MetricKind::Rate), Err(MetricKind::Trend));
        recorder.metric(cost, 1.5);
        recorder.metric(cost, f64::NAN);
        let beyond = recorder.declare("more", MetricKind::Counter).unwrap();
        recorder.metric(beyond, 1.0);
        let tally = recorder.take(0);
        assert_eq!((tally.metrics.len(), tally.warnings.len()), (1, 2));
        let super::super::metric::Metric::Trend(trend) = &tally.metrics[0] else { panic!("no trend") };
        assert_eq!((trend.spread.count, trend.spread.sum), (1, 1.5));
    }
}
