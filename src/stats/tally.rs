//! The tally: all that one lane, or several merged, counted in one second of the run. Sparse, and keyed by names.
//!
//! It is what leaves a lane's thread and what a worker sends: only what changed is in it. Everything is readable, so that a
//! codec elsewhere can write it down.

use std::cmp::Ordering;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use super::drop_reason::DropReason;
use super::holds::{self, HoldCounts, Holder};
use super::hop_counts::HopCounts;
use super::metric::MetricCounts;
use super::names::{EntryName, ErrorName, NameMap};
use super::phases::PHASES;
use super::profiles::ProfileCounts;
use super::times::Times;
use super::trend::{Spread, TrendCounts};

/// Changed counters of one second of the run's clock.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    /// The second of the run's clock in which all of this was counted, 0-based.
    pub second: u64,
    /// Users alive at the second's end.
    pub users: u64,
    /// What hops did, by entry.
    pub entries: NameMap<EntryName, EntryCounts>,
    /// Failed hops by entry, kind and message.
    pub errors: NameMap<ErrorName, ErrorCounts>,
    /// What scripts raised, by message.
    pub exceptions: NameMap<Arc<str>, ExceptionCounts>,
    /// Results of checks, by name.
    pub checks: NameMap<Arc<str>, CheckCounts>,
    /// Passages through groups, by name.
    pub groups: NameMap<Arc<str>, TrendCounts<Spread>>,
    /// The script's own metrics.
    pub metrics: NameMap<Arc<str>, MetricCounts>,
    /// The phases of all entries, in the order of [`PHASES`].
    pub phases: [TrendCounts<Spread>; PHASES.len()],
    /// Durations from the due time on, where there was one.
    pub since_due: TrendCounts<Spread>,
    /// Times of the whole run.
    pub times: Times<TrendCounts<Spread>>,
    /// What happens to users.
    pub events: EventCounts,
    /// Scripts that held a lane; of as many as [`holds::HOLDERS`] at most, and `(other)`.
    pub holds: NameMap<Holder, HoldCounts>,
    /// What became of the iterations of each user class, in the plan's order; classes of which nothing is counted may be missing at the end.
    pub classes: Vec<ClassCounts>,
    /// The same of each profile, in the plan's order; empty where they have no names, and until something is counted.
    pub profiles: Vec<ProfileCounts>,
    /// What a reader of the numbers must know.
    pub warnings: Vec<Arc<str>>,
}

impl Tally {
    /// Adds what another lane counted in the same second.
    ///
    /// Tallies of different seconds can be merged where memory must stay bounded; all of it then belongs to the later second.
    pub fn merge(&mut self, other: Self) {
        self.add(&other);
    }

    /// [`Tally::merge`] for a tally that is wanted elsewhere too: of its names only those not yet known are cloned.
    pub fn add(&mut self, other: &Self) {
        ProfileCounts::merge_all(&mut self.profiles, &other.profiles, self.second.cmp(&other.second));
        self.users = match self.second.cmp(&other.second) {
            Ordering::Equal => self.users + other.users,
            Ordering::Less => other.users,
            Ordering::Greater => self.users,
        };
        self.second = self.second.max(other.second);
        add_named(&mut self.entries, &other.entries, EntryCounts::merge);
        add_named(&mut self.errors, &other.errors, ErrorCounts::merge);
        add_named(&mut self.exceptions, &other.exceptions, ExceptionCounts::merge);
        add_named(&mut self.checks, &other.checks, |sum, counts| sum.merge(*counts));
        add_named(&mut self.groups, &other.groups, TrendCounts::merge);
        for (name, counts) in &other.metrics {
            self.add_metric(name, counts);
        }
        for (sum, counts) in self.phases.iter_mut().zip(&other.phases) {
            sum.merge(counts);
        }
        self.since_due.merge(&other.since_due);
        for (sum, counts) in self.times.each_mut().into_iter().zip(other.times.each()) {
            sum.merge(counts);
        }
        self.events.merge(other.events);
        for (holder, counts) in &other.holds {
            holds::add(&mut self.holds, holder.clone(), *counts);
        }
        ClassCounts::merge_all(&mut self.classes, &other.classes);
        for warning in &other.warnings {
            self.warn(Arc::clone(warning));
        }
    }

    /// Takes a part of about `bytes` on the wire out of the tally, at least one name or everything else; the parts add up to the whole.
    ///
    /// The first part has all that does not bear a name.
    #[must_use]
    pub fn take_part(&mut self, bytes: usize) -> Self {
        let mut part = Self {
            second: self.second,
            users: std::mem::take(&mut self.users),
            phases: std::mem::take(&mut self.phases),
            since_due: std::mem::take(&mut self.since_due),
            times: std::mem::take(&mut self.times),
            events: std::mem::take(&mut self.events),
            holds: std::mem::take(&mut self.holds),
            classes: std::mem::take(&mut self.classes),
            profiles: std::mem::take(&mut self.profiles),
            warnings: std::mem::take(&mut self.warnings),
            ..Self::default()
        };
        let mut room = Room { bytes: bytes.saturating_sub(part.bytes()), takes_one: part.is_empty() };
        part.entries = room.fill(&mut self.entries, size::entry);
        part.errors = room.fill(&mut self.errors, size::error);
        part.exceptions = room.fill(&mut self.exceptions, size::exception);
        part.checks = room.fill(&mut self.checks, size::check);
        part.groups = room.fill(&mut self.groups, size::group);
        part.metrics = room.fill(&mut self.metrics, size::metric);
        part
    }

    /// The size on the wire, about: rather more than less.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let named = size::all(&self.entries, size::entry)
            + size::all(&self.errors, size::error)
            + size::all(&self.exceptions, size::exception)
            + size::all(&self.checks, size::check)
            + size::all(&self.groups, size::group)
            + size::all(&self.metrics, size::metric);
        let of_profiles = self.profiles.iter().flat_map(|profile| profile.trends());
        let trends = self.phases.iter().chain([&self.since_due]).chain(self.times.each()).chain(of_profiles);
        let warnings = self.warnings.iter().map(|warning| warning.len() + size::NUMBER);
        let holds = self.holds.keys().map(|holder| holder.by.len() + holder.place.len() + 4 * size::NUMBER);
        named
            + trends.map(size::trend).sum::<usize>()
            + warnings.sum::<usize>()
            + holds.sum::<usize>()
            + (24 + 3 * self.classes.len() + 9 * self.profiles.len()) * size::NUMBER
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self { second: self.second, ..Self::default() }
    }

    fn add_metric(&mut self, name: &Arc<str>, counts: &MetricCounts) {
        match self.metrics.get_mut(name) {
            Some(sum) => {
                if !sum.merge(counts) {
                    self.warn(kinds_disagree(name));
                }
            }
            None => drop(self.metrics.insert(Arc::clone(name), counts.clone())),
        }
    }

    fn warn(&mut self, warning: Arc<str>) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

/// What is left of a part's size.
struct Room {
    bytes: usize,
    /// The part is empty: what comes first belongs to it, however large.
    takes_one: bool,
}

impl Room {
    /// Takes out of `map` what there is room for, in its order.
    fn fill<K: Hash + Eq, V>(&mut self, map: &mut NameMap<K, V>, size: impl Fn(&K, &V) -> usize) -> NameMap<K, V> {
        let mut count = 0;
        for (name, counts) in map.iter() {
            let size = size(name, counts);
            if size > self.bytes && !self.takes_one {
                self.bytes = 0; // What comes next must not overtake.
                break;
            }
            self.takes_one = false;
            self.bytes = self.bytes.saturating_sub(size);
            count += 1;
        }
        map.drain(..count).collect()
    }
}

fn add_named<K: Hash + Eq + Clone, V: Clone>(sums: &mut NameMap<K, V>, others: &NameMap<K, V>, merge: impl Fn(&mut V, &V)) {
    for (name, counts) in others {
        match sums.get_mut(name) {
            Some(sum) => merge(sum, counts),
            None => drop(sums.insert(name.clone(), counts.clone())),
        }
    }
}

/// What the parts of a tally take on the wire, about. A codec may be better; it must not be much worse.
mod size {
    use super::*;

    /// A number of any size.
    pub const NUMBER: usize = 9;
    /// Count, sum, least and greatest, of which three are durations.
    const SPREAD: usize = 7 * NUMBER;
    /// A gap in the index space and a count; most take three bytes.
    const PAIR: usize = 8;

    pub fn all<K, V>(map: &NameMap<K, V>, size: impl Fn(&K, &V) -> usize) -> usize {
        map.iter().map(|(name, counts)| size(name, counts)).sum()
    }

    pub fn trend<S>(trend: &TrendCounts<S>) -> usize {
        SPREAD + 2 * NUMBER + trend.counts.len() * PAIR
    }

    pub fn entry(name: &EntryName, counts: &EntryCounts) -> usize {
        let hops = &counts.hops;
        let numbers = hops.by_kind.len() + 2 * hops.statuses.len() + 8;
        name_size(name) + numbers * NUMBER + hops.phases.len() * SPREAD + trend(&counts.durations) + trend(&counts.since_due)
    }

    pub fn error(name: &ErrorName, _: &ErrorCounts) -> usize {
        name_size(&name.entry) + name.message.len() + 5 * NUMBER
    }

    pub fn exception(message: &Arc<str>, counts: &ExceptionCounts) -> usize {
        message.len() + counts.traceback.len() + 3 * NUMBER
    }

    pub fn check(name: &Arc<str>, _: &CheckCounts) -> usize {
        name.len() + 3 * NUMBER
    }

    pub fn group(name: &Arc<str>, counts: &TrendCounts<Spread>) -> usize {
        name.len() + NUMBER + trend(counts)
    }

    pub fn metric(name: &Arc<str>, counts: &MetricCounts) -> usize {
        let pairs = if let MetricCounts::Trend(counts) = counts { counts.counts.len() } else { 0 };
        name.len() + 10 * NUMBER + pairs * PAIR
    }

    fn name_size(name: &EntryName) -> usize {
        name.name.len() + name.method.len() + 2 * NUMBER
    }
}

/// The hops of one entry.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EntryCounts {
    /// All but the durations.
    pub hops: HopCounts,
    /// From the request of the script to the last byte.
    pub durations: TrendCounts<Spread>,
    /// The durations from the due time on, of hops that had one.
    pub since_due: TrendCounts<Spread>,
}

impl EntryCounts {
    pub(super) fn merge(&mut self, other: &Self) {
        self.hops.merge(&other.hops);
        self.durations.merge(&other.durations);
        self.since_due.merge(&other.since_due);
    }
}

/// How often one error happened, and when.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ErrorCounts {
    /// How often it happened in the second.
    pub occurrences: u64,
    /// The second of the run's clock of the first one.
    pub first_second: u64,
    /// The second of the run's clock of the last one.
    pub last_second: u64,
}

impl ErrorCounts {
    pub(super) fn merge(&mut self, other: &Self) {
        if other.occurrences == 0 {
            return;
        }
        self.first_second = if self.occurrences == 0 { other.first_second } else { self.first_second.min(other.first_second) };
        self.last_second = self.last_second.max(other.last_second);
        self.occurrences += other.occurrences;
    }
}

/// How often a script raised one message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExceptionCounts {
    /// Lua's traceback of the first one.
    pub traceback: Arc<str>,
    /// How often it was raised in the second.
    pub count: u64,
}

impl ExceptionCounts {
    /// Of two tracebacks the lesser is kept, so that the order of merging does not matter.
    pub(super) fn merge(&mut self, other: &Self) {
        if self.count == 0 || (other.count > 0 && other.traceback < self.traceback) {
            self.traceback = Arc::clone(&other.traceback);
        }
        self.count += other.count;
    }
}

/// How often a check held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CheckCounts {
    /// How often it held.
    pub passes: u64,
    /// How often it did not, or raised.
    pub fails: u64,
}

impl CheckCounts {
    pub(super) fn merge(&mut self, other: Self) {
        self.passes += other.passes;
        self.fails += other.fails;
    }
}

/// What became of one user class's iterations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClassCounts {
    /// Iterations that came to their end, those that raised included.
    pub finished: u64,
    /// Iterations that the script ended by an error.
    pub raised: u64,
    /// `on_start`s that raised.
    pub start_failures: u64,
}

impl ClassCounts {
    /// Adds the counts of each class.
    pub(super) fn merge_all(sums: &mut Vec<Self>, others: &[Self]) {
        if sums.len() < others.len() {
            sums.resize(others.len(), Self::default());
        }
        for (sum, other) in sums.iter_mut().zip(others) {
            sum.finished += other.finished;
            sum.raised += other.raised;
            sum.start_failures += other.start_failures;
        }
    }
}

/// What happens to users and iterations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventCounts {
    /// Iterations that the script ended by an error.
    pub iterations_raised: u64,
    /// Iterations that began and were ended before their own end, since their users were to finish or were dropped. They are no finished
    /// iterations and none that raised.
    pub iterations_interrupted: u64,
    /// Iterations that were due (open model). Each of them starts or is dropped, in this second or a later one.
    pub iterations_due: u64,
    /// Iterations that had a due time and began.
    pub iterations_started: u64,
    /// Iterations that were due and could not begin, in the order of [`DropReason::ALL`].
    pub iterations_dropped: [u64; DropReason::ALL.len()],
    /// Pauses after a failed iteration.
    pub backoffs: u64,
    /// Pauses of users that had held their lane, so that its others have their turns.
    pub hold_pauses: u64,
    /// `on_start`s that raised.
    pub start_failures: u64,
    /// `on_stop`s that raised.
    pub stop_failures: u64,
    /// Users that were dropped.
    pub users_dropped: u64,
    /// Processor time for unpacking bodies and judging large ones.
    pub unpacking: Duration,
}

impl EventCounts {
    pub(super) fn merge(&mut self, other: Self) {
        self.iterations_raised += other.iterations_raised;
        self.iterations_interrupted += other.iterations_interrupted;
        self.iterations_due += other.iterations_due;
        self.iterations_started += other.iterations_started;
        for (sum, count) in self.iterations_dropped.iter_mut().zip(other.iterations_dropped) {
            *sum += count;
        }
        self.backoffs += other.backoffs;
        self.hold_pauses += other.hold_pauses;
        self.start_failures += other.start_failures;
        self.stop_failures += other.stop_failures;
        self.users_dropped += other.users_dropped;
        self.unpacking = self.unpacking.saturating_add(other.unpacking);
    }
}

/// The warning that two lanes gave one name to different kinds of metrics.
pub(super) fn kinds_disagree(name: &str) -> Arc<str> {
    format!("metric `{name}` is declared with different kinds; only the first kind is counted").into()
}

const _: () = {
    const fn crosses_threads<T: Send + Sync>() {}
    crosses_threads::<Tally>();
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::sample::FailureKind;
    use crate::stats::trend::{NumberSpread, Trend};
    use proptest::prelude::*;

    fn durations(millis: &[u64]) -> TrendCounts<Spread> {
        let mut trend = Trend::<Spread>::default();
        for millis in millis {
            trend.add(Duration::from_millis(*millis));
        }
        trend.take()
    }

    /// A tally in which every part has something, under names of `length` bytes and more.
    fn tally(second: u64, names: u64, length: usize) -> Tally {
        let mut tally = Tally { second, users: 3, ..Tally::default() };
        tally.times.iterations = durations(&[5, 6]);
        tally.events.backoffs = 2;
        tally.warnings.push("careful".into());
        for number in 0..names {
            let name: Arc<str> = format!("{number}{}", "x".repeat(length)).into();
            let entry = EntryName { name: Arc::clone(&name), method: "GET".into() };
            let mut counts = EntryCounts { durations: durations(&[number, number + 9]), ..EntryCounts::default() };
            counts.hops.requests = 2;
            tally.entries.insert(entry.clone(), counts);
            let error = ErrorName { entry, kind: FailureKind::Reset, message: Arc::clone(&name) };
            tally.errors.insert(error, ErrorCounts { occurrences: 1, first_second: second, last_second: second });
            tally.exceptions.insert(Arc::clone(&name), ExceptionCounts { traceback: "at".into(), count: 1 });
            tally.checks.insert(Arc::clone(&name), CheckCounts { passes: 1, fails: 2 });
            tally.groups.insert(Arc::clone(&name), durations(&[7]));
            let mut numbers = Trend::<NumberSpread>::default();
            numbers.add(1.5);
            tally.metrics.insert(name, MetricCounts::Trend(numbers.take()));
        }
        tally
    }

    proptest! {
        #[test]
        fn the_parts_of_a_tally_are_no_larger_than_asked_for_and_add_up_to_it(names in 0..40_u64, length in 0..200_usize, bytes in 1..20_000_usize) {
            let whole = tally(4, names, length);
            let mut rest = whole.clone();
            let mut sum = Tally { second: 4, ..Tally::default() };
            while !rest.is_empty() {
                let before = rest.bytes();
                let part = rest.take_part(bytes);
                prop_assert!(!part.is_empty() && rest.bytes() < before, "each part takes something");
                let named = part.entries.len() + part.errors.len() + part.exceptions.len() + part.checks.len() + part.groups.len() + part.metrics.len();
                // What bears no name is in one piece, and so is a name; the frame of a tally itself is some 1,100 bytes.
                prop_assert!(part.bytes() <= bytes + 1_200 || named <= 1, "{} bytes, {named} names", part.bytes());
                sum.add(&part);
            }
            prop_assert_eq!(sum, whole);
        }
    }

    #[test]
    fn adding_and_merging_are_the_same() {
        for (left, right) in [(tally(1, 3, 0), tally(2, 5, 0)), (tally(2, 5, 0), tally(2, 0, 0)), (tally(2, 0, 0), tally(1, 4, 0))] {
            let mut added = left.clone();
            added.add(&right);
            let mut merged = left.clone();
            merged.merge(right.clone());
            assert_eq!(added, merged);
            assert_eq!(added.times.iterations.spread.count, 4);
            assert_eq!(added.entries.len(), left.entries.len().max(right.entries.len()));
        }
    }
}
