//! Workers that have begun, of which a journal tells the next master: a worker that dies just before its master is missed by nobody else.
//!
//! Owns who is in the journal as one that has begun, and those of whom a new master has heard nothing since. Their numbers are `numbers`'s.
//!
//! | a worker | the journal says | and the next master, once it has taken over, |
//! |---|---|---|
//! | gets its first orders, or is back from having been lost | `Began` | shows a hole up to that moment, until it comes |
//! | is lost, or says goodbye | `Worker`, which voids `Began` | shows a hole if it was lost |
//! | is there when the statistics begin anew | `Reset`, which voids all `Began`, then `Began` | as above |

use std::time::Duration;

use super::super::config::MasterConfig;
use super::super::peers::{PeerNumber, Peers, Presence};
use super::super::turn::Turn;
use super::Run;
use super::part::{Part, Unheard};
use crate::cluster::record::{BegunWorker, Record};
use crate::stats::snapshot::HoleView;

impl Run {
    /// Takes over that a worker has begun, of which the journal tells nothing later.
    pub fn restore_begun(&mut self, number: PeerNumber, since: Duration) {
        let since = self.counted_since.map_or(since, |counted| since.max(counted));
        self.awaited.insert(number);
        self.unheard.insert(number, Unheard { since, users: 0 });
    }

    /// Whoever has begun and has not come back shows as a hole up to now: nobody knows when it died, or whether it has.
    pub fn show_unheard(&mut self, turn: &Turn<'_>) {
        let elapsed = self.elapsed(turn.now);
        for (&number, &Unheard { since, .. }) in &self.unheard {
            let worker = turn.peers.get(number).hello.worker.to_string();
            let hole = self.holes.entry(number).or_insert(HoleView { worker, from: since, to: since });
            hole.to = hole.to.max(elapsed);
        }
    }

    /// A worker is there: it brings what it has, or has never begun.
    pub(super) fn hear_of(&mut self, number: PeerNumber) {
        if self.unheard.remove(&number).is_some() {
            self.holes.remove(&number);
        }
    }

    /// A worker that was given up, or comes when nobody is asked any more, knows nothing of the run. One that had begun it and dropped it would
    /// bear another name: its orders never reached it, and nothing of it is missing.
    pub fn forget_unbegun(&mut self, number: PeerNumber) {
        self.hear_of(number);
        let is_given_up = |part: &Part| !part.is_here() || !self.takes_workers();
        if self.parts.get(&number).is_some_and(|part| is_given_up(part) && part.held.is_none()) {
            self.forget_overtaken(number);
            self.parts.remove(&number);
            self.holes.remove(&number);
        }
    }

    /// Whether one of those may still come, by what orphans do: as long after the takeover as they go on.
    pub(super) fn may_hear_of_more(&self, config: &MasterConfig, elapsed: Duration) -> bool {
        let since = elapsed.saturating_sub(self.taken_over.unwrap_or_default());
        !self.unheard.is_empty() && since < config.orphan.timeout
    }

    /// Those of whom the journal does not know that they have begun.
    pub fn take_begun(&mut self, peers: &Peers) -> Vec<Record> {
        let is_there = |number: PeerNumber| matches!(peers.get(number).presence, Presence::Here | Presence::Leaving);
        let has_begun = |part: &Part| part.has_run && part.is_here() && !part.is_begun_kept;
        let new = self.parts.iter_mut().filter(|(number, part)| is_there(**number) && has_begun(part));
        let record = |(number, part): (&PeerNumber, &mut Part)| {
            part.is_begun_kept = true;
            Record::Began(BegunWorker { worker: peers.get(*number).hello.worker.clone(), since: Duration::from_secs(part.covered) })
        };
        new.map(record).collect()
    }
}
