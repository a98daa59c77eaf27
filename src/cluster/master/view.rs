//! What people see of a master: its run's snapshot with the workers in it.

use std::time::Instant;

use super::Master;
use super::part::PartStage;
use super::peers::{Peer, PeerNumber, Presence};
use super::run::{Run, Stage};
use crate::load::Halt;
use crate::load::roster;
use crate::plan::{Rate, shown_host};
use crate::stats::snapshot::{RunState, Snapshot, WorkerState, WorkerView};
use crate::stats::table::{GeneratorReadings, SnapshotContext};

impl Master {
    /// What people see now.
    #[must_use]
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        let mut snapshot = self.run.as_ref().map_or_else(Snapshot::default, |run| run.snapshot(now));
        let counts = self.run.as_ref().map(|run| run.assignment.counts()).unwrap_or_default();
        let slots_of = |number| counts.binary_search_by_key(&number, |(owner, _)| *owner).map_or(0, |place| counts[place].1);
        if let Some(run) = &self.run {
            snapshot.quota = run.quota(&self.peers);
            run.show_profiles(&mut snapshot, &self.peers, now);
            let name = |&number: &PeerNumber| self.peers.get(number).hello.worker.to_string();
            if self.peers.iter().count() > 1 {
                snapshot.health.unsound.iter_mut().for_each(|unsound| unsound.worker = name(&unsound.stretch.source));
            }
            for exception in &mut snapshot.exceptions {
                let origin = run.table.origin_of(&exception.message);
                exception.nodes = origin.map(|origin| origin.sources().iter().map(name).collect()).unwrap_or_default();
            }
        }
        snapshot.workers = self.peers.iter().map(|(number, peer)| self.worker(number, peer, slots_of(number), now)).collect();
        snapshot.warnings.extend(self.script_warnings());
        snapshot
    }

    /// The script that the run is of, and its base URL.
    #[must_use]
    pub fn script(&self) -> Option<(Option<String>, Option<String>)> {
        self.run.as_ref().map(|run| (Some(run.plan.script.clone()), run.plan.host.clone()))
    }

    /// The fingerprint of the scripts that it runs.
    #[must_use]
    pub fn fingerprint(&self) -> Option<&str> {
        self.run.as_ref().map(|run| &*run.plan.fingerprint)
    }

    /// Users that the plan wants now; none where no load is made.
    #[must_use]
    pub fn target_users(&self, now: Instant) -> u64 {
        self.run.as_ref().map_or(0, |run| run.target_users(now))
    }

    /// What the run is doing.
    #[must_use]
    pub fn state(&self, now: Instant) -> RunState {
        self.run.as_ref().map_or(RunState::Ready, |run| run.state(now))
    }

    fn worker(&self, number: PeerNumber, peer: &Peer, slots: u32, now: Instant) -> WorkerView {
        let part = self.run.as_ref().and_then(|run| run.parts.get(&number));
        let is_over = self.run.as_ref().is_none_or(Run::is_over);
        let is_stopping = self.run.as_ref().is_some_and(|run| matches!(run.stage, Stage::Stopping { .. }));
        let state = match (peer.presence, part.map(|part| &part.stage)) {
            (Presence::Lost, _) => WorkerState::Lost,
            (Presence::Left, _) => WorkerState::Left,
            (_, Some(PartStage::Unable { differs: true, .. })) => WorkerState::Differs,
            (Presence::Leaving, _) => WorkerState::Stopping,
            (Presence::Here, _) if is_over && (self.differs(peer) || peer.lacks_script()) => WorkerState::Differs,
            (Presence::Here, _) if is_over => WorkerState::Ready,
            (Presence::Here, Some(PartStage::Asked { .. } | PartStage::Prepared)) => WorkerState::Preparing,
            (Presence::Here, Some(PartStage::Ordered)) if is_stopping => WorkerState::Stopping,
            (Presence::Here, Some(PartStage::Ordered)) => WorkerState::Running,
            (Presence::Here, _) => WorkerState::Ready,
        };
        WorkerView {
            id: peer.hello.worker.to_string(),
            host: peer.hello.worker.host.clone(),
            address: peer.address,
            version: peer.hello.version.clone(),
            state,
            users: part.filter(|part| part.is_here()).map_or(0, |part| part.users),
            slots,
            lanes: peer.hello.lanes,
            floor: peer.hello.floor,
            cpu_cores: part.and_then(|part| part.vitals.cores()),
            memory_bytes: part.and_then(|part| part.vitals.memory_bytes()),
            lag: part.and_then(|part| part.lag),
            script: peer.hello.script.clone(),
            fingerprint: peer.hello.fingerprint.clone(),
            revision: part.map_or(0, |part| part.revision),
            script_error: peer.script_error.clone(),
            round_trip: peer.round_trip,
            silence: now.saturating_duration_since(peer.heard),
        }
    }
}

impl Run {
    pub(super) fn state(&self, now: Instant) -> RunState {
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

    pub(super) fn is_making_load(&self) -> bool {
        self.zero.is_some() && matches!(self.stage, Stage::Live | Stage::Adopting { .. })
    }

    fn target_users(&self, now: Instant) -> u64 {
        if self.is_making_load() { u64::from(self.shape.users_at(self.elapsed(now))) } else { 0 }
    }

    fn snapshot(&self, now: Instant) -> Snapshot {
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
                cpu_cores: sum_of_known(here().map(|part| part.vitals.cores())),
                throttled: self.parts.values().map(|part| part.vitals.throttled()).sum(),
                memory_bytes: sum_of_known(here().map(|part| part.vitals.memory_bytes())),
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
        snapshot.repeats = self.repeats;
        snapshot.warnings.extend(self.notices.iter().map(ToString::to_string));
        if let Some(Halt::Abort(why)) = &self.halt {
            snapshot.aborted = Some(why.clone());
        }
        snapshot.acts.clone_from(&self.acts.views);
        self.show_windows(&mut snapshot);
        snapshot
    }
}

/// The sum of what is known; `None` where nothing is.
fn sum_of_known<Number: std::ops::Add<Output = Number>>(readings: impl Iterator<Item = Option<Number>>) -> Option<Number> {
    readings.flatten().reduce(|sum, reading| sum + reading)
}
