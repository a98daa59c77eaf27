//! What people see of a master: its run's snapshot with the workers in it.

use std::time::Instant;

use super::Master;
use super::peers::{Peer, PeerNumber, Presence};
use super::run::{Part, PartStage, Run, Stage};
use crate::stats::snapshot::{RunState, Snapshot, WorkerState, WorkerView};

impl Master {
    /// What people see now.
    #[must_use]
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        let mut snapshot = self.run.as_ref().map_or_else(Snapshot::default, |run| run.snapshot(now));
        let counts = self.run.as_ref().map(|run| run.slot_counts()).unwrap_or_default();
        let slots_of = |number| counts.binary_search_by_key(&number, |(owner, _)| *owner).map_or(0, |place| counts[place].1);
        if let Some(run) = &self.run {
            snapshot.quota = run.quota(&self.peers);
            run.show_profiles(&mut snapshot, &self.peers, now);
            let name = |&number: &PeerNumber| self.peers.get(number).hello.worker.to_string();
            if self.peers.iter().count() > 1 {
                snapshot.health.unsound.iter_mut().for_each(|unsound| unsound.worker = name(&unsound.stretch.source));
            }
            for exception in &mut snapshot.exceptions {
                let origin = run.origin_of(&exception.message);
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
        self.run.as_ref().map(|run| (Some(run.plan().script.clone()), run.plan().host.clone()))
    }

    /// The fingerprint of the scripts that it runs.
    #[must_use]
    pub fn fingerprint(&self) -> Option<&str> {
        self.run.as_ref().map(|run| &*run.plan().fingerprint)
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
        let part = self.run.as_ref().and_then(|run| run.part(number));
        let is_over = self.run.as_ref().is_none_or(Run::is_over);
        let is_stopping = self.run.as_ref().is_some_and(|run| matches!(run.stage(), Stage::Stopping { .. }));
        let state = match (peer.presence, part.map(Part::stage)) {
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
            users: part.filter(|part| part.is_here()).map_or(0, Part::users),
            slots,
            lanes: peer.hello.lanes,
            floor: peer.hello.floor,
            cpu_cores: part.and_then(|part| part.vitals().cores()),
            memory_bytes: part.and_then(|part| part.vitals().memory_bytes()),
            lag: part.and_then(Part::lag),
            script: peer.hello.script.clone(),
            fingerprint: peer.hello.fingerprint.clone(),
            revision: part.map_or(0, Part::revision),
            script_error: peer.script_error.clone(),
            round_trip: peer.round_trip,
            silence: now.saturating_duration_since(peer.heard),
        }
    }
}
