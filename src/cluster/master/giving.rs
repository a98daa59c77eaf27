//! Workers that ask for rows or iterations, bring some back, or are lost with some in their hands. How many are begun is the run's `quota`.

use std::time::Instant;

use super::super::message::{ToWorker, WorkerId};
use super::super::record::Record;
use super::Master;
use super::action::{Action, send};
use super::peers::{PeerNumber, Presence};
use super::run::Stage;
use crate::load::stock::{Ask, Leftover};
use crate::plan::RunId;

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
        let Some(run) = self.run.as_mut().filter(|run| run.id() == id && matches!(run.stage(), Stage::Live | Stage::Stopping { .. }))
        else {
            return;
        };
        let worker = &peers.get(number).hello.worker;
        let Some((grant, kept)) = run.on_ask(worker, ask, peers, now) else { return };
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

    /// A worker has said goodbye: what it was given and has not begun is for others.
    pub(super) fn free_unbegun(&mut self, number: PeerNumber, out: &mut Vec<Action>) {
        let worker = &self.peers.get(number).hello.worker;
        let Some(run) = self.run.as_mut().filter(|run| !run.is_over()) else { return };
        let records = run.free_unbegun(number, worker);
        self.keep_all(records, out);
    }

    /// A worker is lost: which rows go with it, unless it comes back.
    pub(super) fn tell_rows_of_lost(&self, worker: &WorkerId, out: &mut Vec<Action>) {
        let Some(run) = self.run.as_ref().filter(|run| !run.is_over()) else { return };
        for text in run.rows_of(|holder| holder == worker) {
            out.push(Action::Log(log::Level::Warn, text));
        }
    }

    /// The run is over: which rows went with workers that are not there, for the report.
    pub(super) fn name_rows_of_lost(&mut self) {
        let peers = &self.peers;
        let Some(run) = &mut self.run else { return };
        let is_here = |worker: &WorkerId| {
            peers.iter().any(|(_, peer)| peer.hello.worker == *worker && matches!(peer.presence, Presence::Here | Presence::Leaving))
        };
        let texts = run.rows_of(|holder| !is_here(holder));
        for text in texts {
            run.tell(&text);
        }
    }
}
