//! The tally: all that one lane, or several merged, counted in one second of the run. Sparse, and keyed by names.
//!
//! It is what leaves a lane's thread and what a worker sends: only what changed is in it. Everything is readable, so that a
//! codec elsewhere can write it down.

use std::cmp::Ordering;
use std::sync::Arc;

use super::hop_counts::HopCounts;
use super::hop_counts::PHASES;
use super::metric::MetricCounts;
use super::names::{EntryName, ErrorName, NameMap};
use super::trend::{Spread, TrendCounts};

/// Changed counters of one second of the run's clock.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    /// The second of the run's clock in which all of this was counted, 0-based.
    pub second: u64,
    /// Users alive at the second's end.
    pub users: u64,
    /// Hops by entry.
    pub entries: NameMap<EntryName, EntryCounts>,
    /// Failed hops by entry, kind and message.
    pub errors: NameMap<ErrorName, ErrorCounts>,
    /// What scripts raised, by message.
    pub exceptions: NameMap<Arc<str>, ExceptionCounts>,
    /// Checks by name.
    pub checks: NameMap<Arc<str>, CheckCounts>,
    /// Passages through groups, by name.
    pub groups: NameMap<Arc<str>, TrendCounts<Spread>>,
    /// The script's own metrics.
    pub metrics: NameMap<Arc<str>, MetricCounts>,
    /// The phases of all entries, in the order of [`PHASES`].
    pub phases: [TrendCounts<Spread>; PHASES.len()],
    /// Durations from the due time on, where there was one.
    pub since_due: TrendCounts<Spread>,
    /// Finished iterations.
    pub iterations: TrendCounts<Spread>,
    /// How late the lane's own timers were.
    pub lag: TrendCounts<Spread>,
    /// What happens to users.
    pub events: EventCounts,
    /// What a reader of the numbers must know.
    pub warnings: Vec<Arc<str>>,
}

impl Tally {
    /// Adds what another lane counted in the same second.
    ///
    /// Tallies of different seconds can be merged where memory must stay bounded; all of it then belongs to the later second.
    pub fn merge(&mut self, other: Self) {
        self.users = match self.second.cmp(&other.second) {
            Ordering::Equal => self.users.saturating_add(other.users),
            Ordering::Less => other.users,
            Ordering::Greater => self.users,
        };
        self.second = self.second.max(other.second);
        for (name, counts) in other.entries {
            self.entries.entry(name).or_default().merge(&counts);
        }
        for (name, counts) in other.errors {
            self.errors.entry(name).or_default().merge(&counts);
        }
        for (message, counts) in other.exceptions {
            self.exceptions.entry(message).or_default().merge(&counts);
        }
        for (name, counts) in other.checks {
            self.checks.entry(name).or_default().merge(counts);
        }
        for (name, counts) in other.groups {
            self.groups.entry(name).or_default().merge(&counts);
        }
        for (name, counts) in other.metrics {
            self.merge_metric(name, counts);
        }
        for (sum, counts) in self.phases.iter_mut().zip(&other.phases) {
            sum.merge(counts);
        }
        self.since_due.merge(&other.since_due);
        self.iterations.merge(&other.iterations);
        self.lag.merge(&other.lag);
        self.events.merge(other.events);
        for warning in other.warnings {
            self.warn(warning);
        }
    }

    /// Tallies that merge to this one, none of which takes more than about `bytes` when it is written down; a single entry of more, or
    /// the part without names (some MB at worst), stands alone.
    #[must_use]
    pub fn into_parts(mut self, bytes: usize) -> Vec<Self> {
        let second = self.second;
        let groups = std::mem::take(&mut self.groups);
        let (entries, errors) = (std::mem::take(&mut self.entries), std::mem::take(&mut self.errors));
        let (exceptions, checks, metrics) =
            (std::mem::take(&mut self.exceptions), std::mem::take(&mut self.checks), std::mem::take(&mut self.metrics));
        let trends = self.phases.iter().chain([&self.since_due, &self.iterations, &self.lag]);
        let weight = FIXED_BYTES + trends.map(|trend| FIXED_BYTES + trend.counts.len() * PAIR_BYTES).sum::<usize>();
        let mut parts = Parts { full: Vec::new(), last: self, weight, bytes, second };
        for (name, counts) in entries {
            let (pairs, statuses) = (counts.durations.counts.len(), counts.hops.statuses.len());
            let weight = name.name.len() + name.method.len() + (pairs + statuses) * PAIR_BYTES;
            parts.with_room(weight).entries.insert(name, counts);
        }
        for (name, counts) in errors {
            let weight = name.entry.name.len() + name.entry.method.len() + name.message.len();
            parts.with_room(weight).errors.insert(name, counts);
        }
        for (message, counts) in exceptions {
            parts.with_room(message.len() + counts.traceback.len()).exceptions.insert(message, counts);
        }
        for (name, counts) in checks {
            parts.with_room(name.len()).checks.insert(name, counts);
        }
        for (name, trend) in groups {
            parts.with_room(name.len() + trend.counts.len() * PAIR_BYTES).groups.insert(name, trend);
        }
        for (name, metric) in metrics {
            let pairs = if let MetricCounts::Trend(trend) = &metric { trend.counts.len() } else { 0 };
            parts.with_room(name.len() + pairs * PAIR_BYTES).metrics.insert(name, metric);
        }
        parts.full.push(parts.last);
        parts.full
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self { second: self.second, ..Self::default() }
    }

    fn merge_metric(&mut self, name: Arc<str>, counts: MetricCounts) {
        match self.metrics.entry(name) {
            indexmap::map::Entry::Vacant(place) => {
                place.insert(counts);
            }
            indexmap::map::Entry::Occupied(mut place) => {
                if !place.get_mut().merge(&counts) {
                    let warning = kinds_disagree(place.key());
                    self.warn(warning);
                }
            }
        }
    }

    fn warn(&mut self, warning: Arc<str>) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

/// Parts of a tally that is being dealt out.
struct Parts {
    full: Vec<Tally>,
    last: Tally,
    /// Of `last`.
    weight: usize,
    bytes: usize,
    second: u64,
}

impl Parts {
    /// The last part, or another one if that has no room for an element of `weight`.
    fn with_room(&mut self, weight: usize) -> &mut Tally {
        let weight = weight + FIXED_BYTES;
        if self.weight > 0 && self.weight + weight > self.bytes {
            self.full.push(std::mem::replace(&mut self.last, Tally { second: self.second, ..Tally::default() }));
            self.weight = 0;
        }
        self.weight += weight;
        &mut self.last
    }
}

/// The hops of one entry.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EntryCounts {
    /// All but the durations.
    pub hops: HopCounts,
    /// The durations.
    pub durations: TrendCounts<Spread>,
}

impl EntryCounts {
    fn merge(&mut self, other: &Self) {
        self.hops.merge(&other.hops);
        self.durations.merge(&other.durations);
    }
}

/// How often one error happened, and when.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ErrorCounts {
    /// How often.
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
        self.occurrences = self.occurrences.saturating_add(other.occurrences);
    }
}

/// How often a script raised one message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExceptionCounts {
    /// Lua's traceback of the first one.
    pub traceback: Arc<str>,
    /// How often.
    pub count: u64,
}

impl ExceptionCounts {
    /// Of two tracebacks the lesser is kept, so that the order of merging does not matter.
    pub(super) fn merge(&mut self, other: &Self) {
        if self.count == 0 || (other.count > 0 && other.traceback < self.traceback) {
            self.traceback = Arc::clone(&other.traceback);
        }
        self.count = self.count.saturating_add(other.count);
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
        self.passes = self.passes.saturating_add(other.passes);
        self.fails = self.fails.saturating_add(other.fails);
    }
}

/// What happens to users and iterations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventCounts {
    /// Iterations that raised.
    pub iterations_raised: u64,
    /// Iterations that were due and could not begin (open model).
    pub iterations_dropped: u64,
    /// Pauses after a failed iteration.
    pub backoffs: u64,
    /// `on_start`s that raised.
    pub start_failures: u64,
    /// Users that were dropped.
    pub users_dropped: u64,
}

impl EventCounts {
    pub(super) fn merge(&mut self, other: Self) {
        self.iterations_raised = self.iterations_raised.saturating_add(other.iterations_raised);
        self.iterations_dropped = self.iterations_dropped.saturating_add(other.iterations_dropped);
        self.backoffs = self.backoffs.saturating_add(other.backoffs);
        self.start_failures = self.start_failures.saturating_add(other.start_failures);
        self.users_dropped = self.users_dropped.saturating_add(other.users_dropped);
    }
}

/// What an element takes at most when it is written down, names, statuses and distribution apart.
const FIXED_BYTES: usize = 1_024;

/// What a pair of a distribution, or a status and its count, takes at most when it is written down.
const PAIR_BYTES: usize = 14;

/// The warning that two lanes gave one name to different kinds of metrics.
pub(super) fn kinds_disagree(name: &str) -> Arc<str> {
    format!("metric `{name}` is declared with different kinds; only the first kind is counted").into()
}

const _: () = {
    const fn crosses_threads<T: Send + Sync>() {}
    crosses_threads::<Tally>();
};
