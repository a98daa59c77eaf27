//! One second of the run's history as people see it, and what is known of it. How seconds are gathered is `series`'s.

use std::time::Duration;

use crate::stats::soundness::Reasons;

/// One second of the run, or a few of them once the run is long.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HistoryPoint {
    /// The run's clock at the second's begin.
    pub at: Duration,
    /// How much of the run the point stands for: whole seconds.
    pub length: Duration,
    /// What was measured in it; `None` where nobody knows, which is not the same as nothing.
    pub seen: Option<Seen>,
    /// Why it is not sound, if it is not; of several seconds in one point, of any of them.
    pub unsound: Reasons,
}

/// What was measured in a stretch of the history.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// How much of the stretch somebody measured: what rates divide by.
    pub known: Duration,
    /// Users at its end.
    pub users: u64,
    /// Hops that came to their own end in it.
    pub requests: u64,
    /// Failed hops in it.
    pub failures: u64,
    /// p50, p95 and p99 of the hops in it; `None` without any, or where they came too late. Of several seconds in one point, the greatest.
    pub percentiles: Option<[Duration; 3]>,
}

impl HistoryPoint {
    /// Lets the point stand for all up to the end of `later` too.
    pub fn append(&mut self, later: &Self) {
        self.length = (later.at + later.length).saturating_sub(self.at);
        self.unsound.merge(later.unsound);
        match (&mut self.seen, &later.seen) {
            (_, None) => {}
            (seen @ None, later) => seen.clone_from(later),
            (Some(seen), Some(later)) => {
                seen.known += later.known;
                seen.users = later.users;
                seen.requests = seen.requests.saturating_add(later.requests);
                seen.failures = seen.failures.saturating_add(later.failures);
                seen.percentiles = match (seen.percentiles, later.percentiles) {
                    (Some(one), Some(other)) => Some(std::array::from_fn(|index| one[index].max(other[index]))),
                    (one, other) => one.or(other),
                };
            }
        }
    }
}

impl Seen {
    /// How many of `count` that is a second.
    #[must_use]
    pub fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.known.max(Duration::from_millis(1)).as_secs_f64()
    }
}
