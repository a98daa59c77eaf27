//! Workers that ask for rows or iterations, bring some back, or are lost with some in their hands; and how many iterations have begun of those
//! that are given out by their number.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Instant;

use super::super::message::{ToWorker, WorkerId};
use super::super::record::Record;
use super::Master;
use super::action::{Action, send};
use super::part::PartStage;
use super::peers::{PeerNumber, Peers, Presence};
use super::run::{Run, Stage};
use crate::load::stock::{Ask, Leftover, iterations_of, profile_of};
use crate::plan::RunId;
use crate::stats::snapshot::QuotaView;

impl Master {
    /// Answered once the journal has it, where there is one; not at all while it is open what other workers hold, for the worker asks again.
    pub(super) fn on_ask(&mut self, number: PeerNumber, id: RunId, ask: &Ask, now: Instant, out: &mut Vec<Action>) {
        let is_pending = |(of, message): &(PeerNumber, ToWorker)| {
            *of == number && matches!(message, ToWorker::Grant { grant, .. } if grant.source == ask.source)
        };
        if self.grants.values().any(is_pending) {
            return;
        }
        if self.peers.get(number).presence == Presence::Left {
            return; // It has said goodbye: nobody is left there who would take any.
        }
        let peers = &self.peers;
        let is_here = |worker: &WorkerId| {
            peers.iter().any(|(_, peer)| peer.hello.worker == *worker && matches!(peer.presence, Presence::Here | Presence::Leaving))
        };
        let Some(run) = self.run.as_mut().filter(|run| run.id() == id && matches!(run.stage, Stage::Live | Stage::Stopping { .. })) else {
            return;
        };
        let worker = &peers.get(number).hello.worker;
        let Some((grant, kept)) = run.commons.leases.on_ask(worker, ask, is_here, now) else { return };
        let message = ToWorker::Grant { run: id, grant };
        match kept.filter(|_| self.config.has_journal) {
            Some(kept) => {
                let record = self.keep(Record::Lease(kept), out);
                self.grants.insert(record, (number, message));
            }
            None => send(&self.peers, number, message, out),
        }
    }

    pub(super) fn on_leftover(&mut self, number: PeerNumber, id: RunId, leftover: &Leftover, out: &mut Vec<Action>) {
        let worker = &self.peers.get(number).hello.worker;
        let Some(run) = self.run.as_mut().filter(|run| run.id() == id) else { return };
        if let Some(kept) = run.commons.leases.on_leftover(worker, leftover) {
            self.keep(Record::Lease(kept), out);
        }
    }

    /// A worker has said goodbye: its last numbers say how many iterations it has begun, and what it was given beyond those nobody begins there. One
    /// in which something went wrong cannot say.
    pub(super) fn free_unbegun(&mut self, number: PeerNumber, out: &mut Vec<Action>) {
        let worker = &self.peers.get(number).hello.worker;
        let Some(run) = self.run.as_mut().filter(|run| !run.is_over()) else { return };
        let Some(part) = run.parts.get(&number).filter(|part| part.panics == 0 && part.lanes_lost == 0) else { return };
        let leases = &mut run.commons.leases;
        let freed = (0..run.profile.count()).filter_map(|profile| leases.on_left(worker, &iterations_of(profile), part.begun.of(profile)));
        let records = freed.map(Record::Lease).collect();
        self.keep_all(records, out);
    }

    /// A worker is lost: which rows go with it, unless it comes back.
    pub(super) fn tell_rows_of_lost(&self, worker: &WorkerId, out: &mut Vec<Action>) {
        let Some(run) = self.run.as_ref().filter(|run| !run.is_over()) else { return };
        for (source, holder, rows) in run.commons.leases.held().filter(|(_, holder, _)| *holder == worker) {
            out.push(Action::Log(log::Level::Warn, run.in_lost_hands(source, holder, rows)));
        }
    }

    /// The run is over: which rows went with workers that are not there, for the report.
    pub(super) fn name_rows_of_lost(&mut self) {
        let peers = &self.peers;
        let Some(run) = &mut self.run else { return };
        let is_here = |worker: &WorkerId| {
            peers.iter().any(|(_, peer)| peer.hello.worker == *worker && matches!(peer.presence, Presence::Here | Presence::Leaving))
        };
        let lost = run.commons.leases.held().filter(|(_, holder, _)| !is_here(holder));
        let texts: Vec<_> = lost.map(|(source, holder, rows)| run.in_lost_hands(source, holder, rows)).collect();
        for text in texts {
            run.tell(&text);
        }
    }
}

impl Run {
    /// How many of the run's iterations have begun, of all profiles that say how many there are; `None` where none does.
    pub(super) fn quota(&self, peers: &Peers) -> Option<QuotaView> {
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
    pub(super) fn forget_commons(&mut self) {
        self.commons.forget_all();
        if self.profile.each().any(|profile| profile.quota().is_some()) {
            let text = "this master took the run over without a journal: which iterations were given out is known to nobody, so none is given \
                        out any more";
            self.tell(text);
        }
    }
}

impl Run {
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
