//! What thresholds with windows look at, second by second, as a worker keeps it of the last seconds: a master that comes in mid-run judges the windows
//! that reach across the death of the one before it by these. What becomes of them is `windows`'s.

use std::collections::BTreeMap;

use super::family::Family;
use super::names::EntryName;
use super::tags;
use super::tally::Tally;
use super::threshold::Threshold;

/// The last seconds of one threshold, as one worker counted them.
#[derive(Debug)]
pub struct WindowParts {
    threshold: Threshold,
    /// Windows begin with this second, or later.
    first: u64,
    /// By second; of a window that ends with the run all in one, at the second with which it begins.
    parts: BTreeMap<u64, Tally>,
}

impl WindowParts {
    /// Of each of these thresholds that looks at a part of the run, or ends it, by its place among them; of numbers that are counted from second
    /// `since` on.
    #[must_use]
    pub fn of(thresholds: &[Threshold], since: u64) -> BTreeMap<usize, Self> {
        let needed = thresholds.iter().enumerate().filter(|(_, threshold)| threshold.span.needs_windows());
        let parts = |threshold: &Threshold| Self {
            first: threshold.span.after_seconds.max(since),
            threshold: threshold.clone(),
            parts: BTreeMap::new(),
        };
        needed.map(|(place, threshold)| (place, parts(threshold))).collect()
    }

    /// Takes from a tally what the threshold looks at, and forgets the seconds that are too old for any master.
    pub fn add(&mut self, tally: &Tally) {
        if tally.second < self.first {
            return;
        }
        let part = part_of(&self.threshold, tally);
        let Some(length) = self.threshold.span.over_seconds else {
            let sum = self.parts.entry(self.first).or_default();
            sum.add(&part);
            sum.second = sum.second.max(tally.second);
            return;
        };
        self.parts.entry(tally.second).or_insert_with(|| Tally { second: tally.second, ..Tally::default() }).add(&part);
        let newest = self.parts.last_key_value().map_or(0, |(second, _)| *second);
        self.parts = self.parts.split_off(&newest.saturating_sub(seconds_handed_over(length)));
    }

    /// The statistics were reset.
    pub fn clear(&mut self) {
        self.parts.clear();
    }

    /// What is kept, oldest first.
    pub fn tallies(&self) -> impl Iterator<Item = &Tally> {
        self.parts.values()
    }
}

/// How many seconds before its time a master that comes in mid-run has of windows of this `length`, where they are that long ago; in seconds.
#[must_use]
pub fn seconds_handed_over(length: u64) -> u64 {
    (length + KEPT_SECONDS).min(MOST_SECONDS)
}

/// What a threshold looks at of a tally: as little as finds the value.
pub(super) fn part_of(threshold: &Threshold, tally: &Tally) -> Tally {
    let mut part = Tally { second: tally.second, ..Tally::default() };
    match threshold.family {
        Family::Phase if threshold.selector.is_empty() => part.phases.clone_from(&tally.phases),
        // All that are selected become one, of a name that is.
        Family::Duration | Family::DurationDue | Family::Requests | Family::Failed | Family::Bytes | Family::Phase => {
            let label = |wanted| threshold.selector.iter().find(|(key, _)| key == wanted).map_or("", |(_, value)| value);
            let wanted_tags = threshold.selector.iter().filter(|(key, _)| key != "name" && key != "method").cloned().collect();
            let name = tags::tagged(label("name").into(), &tags::text_of(&wanted_tags)).as_ref().into();
            let sum = part.entries.entry(EntryName { name, method: label("method").into() }).or_default();
            let wanted = tally.entries.iter().filter(|(name, _)| threshold.selects_entry(&name.name, &name.method));
            wanted.for_each(|(_, counts)| sum.merge(counts));
        }
        Family::Times | Family::Count | Family::Exceptions if threshold.profile.is_some() => part.profiles.clone_from(&tally.profiles),
        Family::Times | Family::Lag => part.times.clone_from(&tally.times),
        Family::Groups => {
            let wanted = tally.groups.iter().filter(|(name, _)| threshold.selects(&[("group", name)]));
            part.groups = wanted.map(|(name, counts)| (name.clone(), counts.clone())).collect();
        }
        Family::Checks => {
            let wanted = tally.checks.iter().filter(|(name, _)| threshold.selects(&[("check", name)]));
            part.checks = wanted.map(|(name, counts)| (name.clone(), *counts)).collect();
        }
        Family::Count | Family::Exceptions => {
            part.times.iterations.clone_from(&tally.times.iterations);
            part.events = tally.events;
            part.exceptions.clone_from(&tally.exceptions);
        }
        Family::Own(_) => {
            let wanted = tally.metrics.iter().filter(|(name, _)| ***name == *threshold.metric);
            part.metrics = wanted.map(|(name, counts)| (name.clone(), counts.clone())).collect();
        }
        Family::Users => part.users = tally.users,
    }
    part
}

/// Numbers may come so late and still change a window. After that, a worker that was out of reach is lost to windows, not to sums.
pub(super) const KEPT_SECONDS: u64 = 300;
/// What a worker keeps of one threshold at most.
pub const MOST_SECONDS: u64 = 3_600;
