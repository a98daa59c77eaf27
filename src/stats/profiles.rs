//! What is counted by profile, where a run's profiles have names: users, and what became of iterations. Requests bear their profile as a tag.
//!
//! The same is counted over all profiles together, by the tally's `times` and `events`: this is the same numbers apart, and never more.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::drop_reason::DropReason;
use super::snapshot::iterations::{ArrivalsView, ProfileView};
use super::trend::{Spread, Trend, TrendCounts};

/// Counts of one profile; `T` is how a distribution is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct OfProfile<T> {
    /// Users alive at the second's end.
    pub users: u64,
    /// How long finished iterations took.
    pub iterations: T,
    /// The same from the due time on, where they had one.
    pub since_due: T,
    /// How late those began that had one.
    pub lateness: T,
    /// What became of them.
    pub events: ProfileEvents,
}

/// What one profile counted in a second.
pub type ProfileCounts = OfProfile<TrendCounts<Spread>>;

/// What one profile counts.
pub type ProfileSums = OfProfile<Trend<Spread>>;

/// What became of a profile's iterations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProfileEvents {
    /// Iterations that the script ended by an error.
    pub raised: u64,
    /// Iterations that began and were ended before their own end.
    pub interrupted: u64,
    /// Iterations that were due.
    pub due: u64,
    /// Iterations that had a due time and began.
    pub started: u64,
    /// Iterations that were due and could not begin, in the order of [`DropReason::ALL`].
    pub dropped: [u64; DropReason::ALL.len()],
}

impl ProfileEvents {
    /// Iterations that began or were dropped, of those that were due.
    #[must_use]
    pub fn resolved(&self) -> u64 {
        self.started + self.dropped.iter().sum::<u64>()
    }

    fn merge(&mut self, other: &Self) {
        self.raised += other.raised;
        self.interrupted += other.interrupted;
        self.due += other.due;
        self.started += other.started;
        for (sum, count) in self.dropped.iter_mut().zip(other.dropped) {
            *sum += count;
        }
    }
}

impl<T> OfProfile<T> {
    /// The distributions: iterations, since due, lateness.
    pub const fn trends(&self) -> [&T; 3] {
        [&self.iterations, &self.since_due, &self.lateness]
    }

    /// The same, to be changed.
    pub const fn trends_mut(&mut self) -> [&mut T; 3] {
        [&mut self.iterations, &mut self.since_due, &mut self.lateness]
    }
}

impl ProfileSums {
    /// Counts one finished iteration.
    pub fn iteration(&mut self, duration: Duration, raised: bool) {
        self.iterations.add(duration);
        self.events.raised += u64::from(raised);
    }

    fn shared() -> Self {
        let [iterations, since_due, lateness] = std::array::from_fn(|_| Trend::shared());
        Self { users: 0, iterations, since_due, lateness, events: ProfileEvents::default() }
    }

    /// Takes what was counted, and begins anew in the same memory.
    pub(super) fn take(&mut self) -> ProfileCounts {
        ProfileCounts {
            users: 0,
            iterations: self.iterations.take(),
            since_due: self.since_due.take(),
            lateness: self.lateness.take(),
            events: std::mem::take(&mut self.events),
        }
    }

    fn merge(&mut self, counts: &ProfileCounts) {
        for (sum, counts) in self.trends_mut().into_iter().zip(counts.trends()) {
            sum.merge(counts);
        }
        self.events.merge(&counts.events);
    }
}

impl ProfileCounts {
    /// Adds the counts of each profile. `seconds` says how the second of the sums lies to that of the others: users are those of the later one.
    pub(super) fn merge_all(sums: &mut Vec<Self>, others: &[Self], seconds: Ordering) {
        if sums.len() < others.len() {
            sums.resize_with(others.len(), Self::default);
        }
        for (place, sum) in sums.iter_mut().enumerate() {
            let none = Self::default();
            let other = others.get(place).unwrap_or(&none);
            sum.users = match seconds {
                Ordering::Equal => sum.users + other.users,
                Ordering::Less => other.users,
                Ordering::Greater => sum.users,
            };
            for (sum, counts) in sum.trends_mut().into_iter().zip(other.trends()) {
                sum.merge(counts);
            }
            sum.events.merge(&other.events);
        }
    }
}

/// The sums of a run by profile, and what began lately.
#[derive(Debug, Default)]
pub(super) struct ProfileTable {
    profiles: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    sums: ProfileSums,
    /// Finished iterations by second, of the last ones.
    lately: BTreeMap<u64, u64>,
    /// Users by second, of the last ones.
    users: BTreeMap<u64, u64>,
}

impl ProfileTable {
    /// Adds what was counted elsewhere, in its second where that is known.
    pub fn merge(&mut self, counts: &[ProfileCounts], second: Option<u64>) {
        while self.profiles.len() < counts.len() {
            self.profiles.push(Row { sums: ProfileSums::shared(), lately: BTreeMap::new(), users: BTreeMap::new() });
        }
        for (row, counts) in self.profiles.iter_mut().zip(counts) {
            row.sums.merge(counts);
            if let Some(second) = second {
                *row.lately.entry(second).or_default() += counts.iterations.spread.count;
                *row.users.entry(second).or_default() += counts.users;
                for kept in [&mut row.lately, &mut row.users] {
                    while kept.len() > KEPT_SECONDS {
                        kept.pop_first();
                    }
                }
            }
        }
    }

    /// What people see of each, without what the plan says. `window` are the whole seconds that current rates look at.
    pub fn views(&self, window: std::ops::Range<u64>) -> Vec<ProfileView> {
        let view = |row: &Row| {
            let known: Vec<u64> = row.lately.range(window.clone()).map(|(_, count)| *count).collect();
            let sums = &row.sums;
            let events = &sums.events;
            ProfileView {
                users: row.users.range(window.clone()).next_back().map(|(_, users)| *users),
                iterations: sums.iterations.view(Arc::from("iteration_duration")),
                since_due: sums.since_due.view(Arc::from("iteration_duration_due")),
                lateness: sums.lateness.view(Arc::from("iteration_lateness")),
                raised: events.raised,
                interrupted: events.interrupted,
                arrivals: ArrivalsView {
                    due: events.due,
                    started: events.started,
                    dropped: DropReason::ALL.into_iter().zip(events.dropped).filter(|(_, count)| *count > 0).collect(),
                    ..ArrivalsView::default()
                },
                current_rate: (!known.is_empty()).then(|| known.iter().sum::<u64>() as f64 / known.len() as f64),
                ..ProfileView::default()
            }
        };
        self.profiles.iter().map(view).collect()
    }

    /// Iterations of each profile that began or were dropped, of those that were due.
    pub fn resolved(&self, profile: usize) -> u64 {
        self.profiles.get(profile).map_or(0, |row| row.sums.events.resolved())
    }
}

/// More than current rates look at, and what may come late.
const KEPT_SECONDS: usize = 30;
