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

    /// [`Tally::merge`], of a tally that stays.
    pub fn add(&mut self, other: &Self) {
        self.merge(other.clone());
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

/// The warning that two lanes gave one name to different kinds of metrics.
pub(super) fn kinds_disagree(name: &str) -> Arc<str> {
    format!("metric `{name}` is declared with different kinds; only the first kind is counted").into()
}

const _: () = {
    const fn crosses_threads<T: Send + Sync>() {}
    crosses_threads::<Tally>();
};
