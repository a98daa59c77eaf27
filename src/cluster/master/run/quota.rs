//! How many iterations have begun of those that are given out by their number, for whom there are more, and what of rows and iterations is lost with a
//! worker.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Instant;

use super::super::peers::{PeerNumber, Peers, Presence};
use super::Run;
use super::part::PartStage;
use crate::cluster::message::WorkerId;
use crate::cluster::record::{KeptLease, Record};
use crate::load::stock::{Ask, Grant, iterations_of, profile_of};
use crate::stats::snapshot::QuotaView;

impl Run {
    /// How many of the run's iterations have begun, of all profiles that say how many there are; `None` where none does.
    pub fn quota(&self, peers: &Peers) -> Option<QuotaView> {
        let add = |sum: QuotaView, quota: QuotaView| QuotaView {
            total: sum.total.saturating_add(quota.total),
            begun: sum.begun + quota.begun,
            lost: sum.lost + quota.lost,
        };
        (0..self.profile.count()).filter_map(|profile| self.quota_of(profile, peers)).reduce(add)
    }

    /// The same of one profile.
    ///
    /// A worker that has told its last has begun all that it was given and did not bring back. Of one that is lost, what it was given and has not
    /// told of is lost with it: in its hands, or begun after its last word.
    pub(super) fn quota_of(&self, profile: usize, peers: &Peers) -> Option<QuotaView> {
        let (total, _) = self.profile.part(profile)?.quota()?;
        let mut view = QuotaView { total, begun: self.parts.values().map(|part| part.begun.of(profile)).sum(), lost: 0 };
        let numbers: BTreeMap<&WorkerId, PeerNumber> = peers.iter().map(|(number, peer)| (&peer.hello.worker, number)).collect();
        for (worker, given) in self.commons.leases.given(&iterations_of(profile)) {
            // One that has no part has begun, as the journal tells, and nobody has heard of it since.
            let part = numbers.get(worker).and_then(|number| self.parts.get(number));
            let is_silent = part.is_none_or(|part| part.stage != PartStage::Finished && (self.is_over() || !part.is_here()));
            if is_silent {
                view.lost += given.saturating_sub(part.map_or(0, |part| part.begun.of(profile)));
            }
        }
        Some(view)
    }

    /// A worker asks for rows or iterations. The answer, and what is to be kept of it before it is sent; nothing where the question is an old one.
    ///
    /// Of iterations, a worker that is there holds none once it has told of as many as it was given. That it has used up its last ones no question need
    /// tell: its users leave without one where each has done its part, ends itself, or has moved to the very worker that waits.
    pub fn on_ask(&mut self, worker: &WorkerId, ask: &Ask, peers: &Peers, now: Instant) -> Option<(Grant, Option<KeptLease>)> {
        let (parts, profile) = (&self.parts, profile_of(&ask.source));
        let has_begun_all =
            |number: PeerNumber, given: u64| profile.zip(parts.get(&number)).is_some_and(|(of, part)| part.begun.of(of) >= given);
        let may_hold = |holder: &WorkerId, given: u64| {
            let here = peers.number_of(holder).filter(|number| matches!(peers.get(*number).presence, Presence::Here | Presence::Leaving));
            here.is_some_and(|number| !has_begun_all(number, given))
        };
        self.commons.leases.on_ask(worker, ask, may_hold, now)
    }

    /// Why a run ends whose users have all ended by themselves.
    pub(super) fn words_of_exhaustion(&self, peers: &Peers) -> String {
        match self.quota(peers) {
            _ if self.profile.count() > 1 => {
                "every profile has come to its end, or its users have ended by themselves: the run ends".into()
            }
            Some(quota) if quota.begun + quota.lost >= quota.total => format!("all {} iterations are over: the run ends", quota.total),
            Some(quota) => format!("every user has ended by itself, after {} of {} iterations: the run ends", quota.begun, quota.total),
            None => "every user has ended by itself, and none is still to start: the run ends".into(),
        }
    }

    /// What was given out and set is known to nobody; of iterations people are told.
    pub fn forget_commons(&mut self) {
        self.commons.forget_all();
        if self.profile.each().any(|profile| profile.quota().is_some()) {
            let text = "this master took the run over without a journal: which iterations were given out is known to nobody, so none is given \
                        out any more";
            self.tell(text);
        }
    }

    /// A worker has said goodbye: its last numbers say how many iterations it has begun, and what it was given beyond those nobody begins there. One
    /// in which something went wrong cannot say.
    pub fn free_unbegun(&mut self, number: PeerNumber, worker: &WorkerId) -> Vec<Record> {
        let Some(part) = self.parts.get(&number).filter(|part| part.panics() == 0 && part.lanes_lost() == 0) else { return Vec::new() };
        let leases = &mut self.commons.leases;
        let freed = (0..self.profile.count()).filter_map(|profile| leases.on_left(worker, &iterations_of(profile), part.begun.of(profile)));
        freed.map(Record::Lease).collect()
    }

    /// What people are told of rows that are in the hands of workers that are lost.
    pub fn rows_of(&self, is_lost: impl Fn(&WorkerId) -> bool) -> Vec<String> {
        let lost = self.commons.leases.held().filter(|(_, holder, _)| is_lost(holder));
        lost.map(|(source, holder, rows)| self.in_lost_hands(source, holder, rows)).collect()
    }

    fn in_lost_hands(&self, source: &str, worker: &WorkerId, rows: &Range<u64>) -> String {
        let (from, to) = (rows.start + 1, rows.end);
        let Some(profile) = profile_of(source) else {
            return format!(
                "rows {from} to {to} of `{source}` were in the hands of client '{worker}', which is lost: those of them that it had not taken are taken by nobody"
            );
        };
        let name = self.profile.name_of(profile).map_or_else(String::new, |name| format!(" of profile `{name}`"));
        format!(
            "iterations {from} to {to}{name} were in the hands of client '{worker}', which is lost: those of them that it had not begun are begun by nobody"
        )
    }
}
