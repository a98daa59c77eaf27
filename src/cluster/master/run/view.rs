//! What people see of a run. The workers in it, and what a master says besides, are the master's `view`.

use std::time::{Duration, Instant};

use super::part::PartStage;
use super::{Run, Stage};
use crate::load::Halt;
use crate::load::roster;
use crate::plan::{Rate, shown_host};
use crate::stats::origin::Origin;
use crate::stats::snapshot::{ClassShare, RunState, Snapshot};
use crate::stats::table::{GeneratorReadings, SnapshotContext};
use crate::stats::tally::ClassCounts;

impl Run {
    pub fn state(&self, now: Instant) -> RunState {
        match self.stage {
            Stage::Waiting => RunState::Waiting,
            Stage::Over { .. } => RunState::Stopped,
            Stage::Stopping { .. } => RunState::Stopping,
            Stage::Adopting { .. } if self.wants_stop => RunState::Stopping,
            Stage::Adopting { .. } if self.zero.is_none() => RunState::Waiting,
            Stage::Adopting { .. } | Stage::Live if self.is_paused => RunState::Paused,
            Stage::Adopting { .. } | Stage::Live if self.shape.is_spawning(self.elapsed(now)) => RunState::Spawning,
            Stage::Adopting { .. } | Stage::Live => RunState::Running,
        }
    }

    /// Who has raised an error, as far as it is known.
    pub fn origin_of(&self, message: &str) -> Option<&Origin> {
        self.table.origin_of(message)
    }

    pub(super) fn is_making_load(&self) -> bool {
        self.zero.is_some() && matches!(self.stage, Stage::Live | Stage::Adopting { .. })
    }

    pub fn target_users(&self, now: Instant) -> u64 {
        if self.is_making_load() { u64::from(self.shape.users_at(self.elapsed(now))) } else { 0 }
    }

    pub fn snapshot(&self, now: Instant) -> Snapshot {
        let elapsed = self.elapsed(now);
        let here = || self.parts.values().filter(|part| part.is_here());
        let mut snapshot = self.table.snapshot(SnapshotContext {
            run: self.id(),
            scenario: self.plan.scenario.clone(),
            host: self.plan.host.as_deref().map(shown_host),
            state: self.state(now),
            elapsed,
            reported: here().filter(|part| part.stage == PartStage::Ordered).map(|part| part.covered).min(),
            planned: self.shape.end(),
            started_at: self.zero.map(|_| self.wall),
            users: here().map(|part| part.users).sum(),
            target_users: self.target_users(now),
            thresholds: &self.thresholds,
            generator: GeneratorReadings {
                cpu_cores: sum_of_known(here().map(|part| part.vitals().cores())),
                throttled: self.parts.values().map(|part| part.vitals().throttled()).sum(),
                memory_bytes: sum_of_known(here().map(|part| part.vitals().memory_bytes())),
            },
        });
        snapshot.seed = Some(self.plan.seed);
        snapshot.script.clone_from(&self.plan.script);
        snapshot.fingerprint.clone_from(&self.plan.fingerprint);
        snapshot.revision = self.plan.revision;
        snapshot.arrivals = self.account(std::mem::take(&mut snapshot.arrivals));
        snapshot.arrivals.rate = self.shape.rate_at(elapsed).filter(|_| self.is_making_load()).map(Rate::as_per_second);
        if self.profile.is_open() {
            // It wants iterations, and as many users as those need.
            snapshot.target_users = snapshot.users;
        }
        snapshot.goal_users = if self.is_making_load() { u64::from(self.shape.target_at(elapsed)) } else { 0 };
        snapshot.goal_users = snapshot.goal_users.max(if self.profile.is_open() { snapshot.users } else { 0 });
        // An open profile has no such rate: its users begin as they are needed.
        snapshot.spawn_rate = Some(self.profile.spawn_rate()).filter(|rate| rate.is_finite() && !self.profile.is_open());
        snapshot.classes = roster::shares(&self.profile, &self.plan.classes);
        for (class, counts) in snapshot.classes.iter_mut().zip(self.table.classes()) {
            class.counts = *counts;
        }
        snapshot.holes = self.holes.values().cloned().collect();
        snapshot.overlaps.clone_from(&self.overlaps);
        snapshot.unfinished.clone_from(&self.unfinished);
        snapshot.repeats = self.repeats;
        snapshot.warnings.extend(self.notices.iter().map(ToString::to_string));
        if snapshot.state == RunState::Stopped && self.zero.is_some() {
            snapshot.warnings.extend(self.unmanned(&snapshot.classes, elapsed));
        }
        if let Some(Halt::Abort(why)) = &self.halt {
            snapshot.aborted = Some(why.clone());
        }
        snapshot.misuse.clone_from(&self.misuse);
        snapshot.acts.clone_from(&self.acts.views);
        self.show_windows(&mut snapshot);
        snapshot
    }

    /// That there are classes of which no user ran, for the end of the run: whoever wrote them believes that they were tested.
    fn unmanned(&self, classes: &[ClassShare], elapsed: Duration) -> Option<String> {
        // To count what was due by chance takes long where that is much.
        if classes.iter().all(|class| class.counts != ClassCounts::default()) {
            return None;
        }
        let due = self.due_of_each(elapsed);
        let unreached = roster::unreached(&self.profile, &self.shape, &self.plan.classes, &due).into_iter();
        let idle: Vec<&ClassShare> =
            unreached.filter_map(|place| classes.get(place)).filter(|class| class.counts == ClassCounts::default()).collect();
        // Where nothing was due of any class, others are not why.
        if idle.is_empty() || idle.len() == classes.len() {
            return None;
        }
        let names: Vec<String> = idle.iter().take(NAMES_SHOWN).map(|class| format!("`{}`", class.name)).collect();
        let more = if idle.len() > names.len() { format!(" and {} more", idle.len() - names.len()) } else { String::new() };
        let closed = self.shape.parts().iter().enumerate().filter(|(place, _)| !due.contains_key(place));
        let users: u64 = closed.map(|(_, part)| u64::from(part.peak())).sum();
        let iterations: u64 = due.values().sum();
        let (others, remedies) = match (due.len() < self.shape.parts().len(), due.is_empty()) {
            (true, true) => (format!("users, {users} at the most,"), "more users (-u)"),
            (true, false) => (
                format!("users, {users} at the most, and all iterations that were due, {iterations} of them,"),
                "more users (-u), a higher rate (--rate), a longer run (-t)",
            ),
            (false, _) => (format!("iterations that were due, {iterations} of them,"), "a higher rate (--rate), a longer run (-t)"),
        };
        Some(format!(
            "no user of class {}{more} ran: by weights and counts all {others} were of other classes; {remedies} or other weights give it some",
            names.join(", ")
        ))
    }
}

/// The sum of what is known; `None` where nothing is.
fn sum_of_known<Number: std::ops::Add<Output = Number>>(readings: impl Iterator<Item = Option<Number>>) -> Option<Number> {
    readings.flatten().reduce(|sum, reading| sum + reading)
}

/// Names of classes in one warning.
const NAMES_SHOWN: usize = 10;
