//! How workers come: the hello, and what a worker that comes does in the run that is there, or that it brings.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::message::{Hello, RunStanding, ToWorker, Welcome};
use super::super::record::Record;
use super::Master;
use super::action::{Action, send};
use super::peers::{Arrival, PeerNumber};
use super::run::{ADOPTION_TIME, Counted, PartStage, Run, Stage};
use crate::cluster::link::LinkId;
use crate::plan::RunId;

impl Master {
    pub(super) fn on_hello(&mut self, link: LinkId, mut hello: Hello, now: Instant, out: &mut Vec<Action>) {
        let standing = hello.standing.take();
        let formerly = hello.formerly.take();
        let (number, arrival, replaced) = self.peers.arrive(link, hello, now);
        out.extend(replaced.map(Action::CloseLink));
        if let Some(standing) = standing.as_ref().filter(|standing| self.reported != Some(standing.plan.run)) {
            self.adopt_if_free(standing, now, out);
        }
        let epoch = self.run.as_ref().map(Run::epoch);
        let profile = self.run.as_ref().map(|run| Arc::clone(run.profile()));
        let held = match (&standing, &mut self.run) {
            (Some(standing), Some(run)) if run.id() == standing.plan.run => run.take_in(number, standing, now),
            _ => None,
        };
        let held = held.map(NonZeroU64::get);
        let of_its_run =
            standing.as_ref().and_then(|standing| Some((standing, self.run.as_ref().filter(|run| run.id() == standing.plan.run)?)));
        let wants_windows = of_its_run.is_some_and(|(standing, run)| run.wants_windows(number, standing));
        let has_risen = self.run.as_ref().map(Run::epoch).is_some_and(|risen| Some(risen) != epoch);
        send(
            &self.peers,
            number,
            ToWorker::Welcome(Welcome { clock: self.clock(now), held, wants_windows, orphan: self.config.orphan }),
            out,
        );
        self.log_arrival(number, arrival, out);
        if let (Some(formerly), Some((run, mut turn))) = (formerly, self.turn(now, out)) {
            run.show_dropped(&formerly, &mut turn);
        }
        self.bring_in(number, standing.as_deref(), now, out);
        let is_changed = |run: &Run| run.stage() == Stage::Live && profile.is_some_and(|before| before != *run.profile());
        if let Some((run, mut turn)) = self.turn(now, out).filter(|(run, _)| is_changed(run)) {
            run.order_all(&mut turn);
            let record = run.profile_as_told();
            self.keep(record, out);
        }
        if let Some((run, mut turn)) = self.turn(now, out).filter(|_| has_risen) {
            if !run.is_adopting() && !run.is_over() {
                run.order_all(&mut turn);
            }
            let record = run.reset_record();
            self.keep(record, out);
        }
    }

    /// A worker is welcome: what it does in the run.
    fn bring_in(&mut self, number: PeerNumber, standing: Option<&RunStanding>, now: Instant, out: &mut Vec<Action>) {
        let id = self.run.as_ref().map(Run::id);
        match standing {
            Some(standing) if Some(standing.plan.run) == id => {
                let Some((run, mut turn)) = self.turn(now, out) else { return };
                if let (Stage::Adopting { .. }, Some(followed)) = (run.stage(), &standing.orders) {
                    self.claims.insert(number, followed.clone());
                } else if standing.orders.is_some() {
                    self.on_return(number, now, out);
                } else if run.is_adopting() {
                    // Its lanes are open, or about to be: it says so, and has orders when the run is taken over.
                } else if run.takes_workers() {
                    run.ask(number, &mut turn);
                } else {
                    turn.send(number, ToWorker::Abandon(run.id()));
                }
            }
            standing => {
                // First of all: while it is busy it can only refuse.
                if let Some(foreign) = standing.map(|standing| standing.plan.run) {
                    self.abandon(number, foreign, out);
                }
                if let Some((run, mut turn)) = self.turn(now, out) {
                    if standing.is_none() {
                        run.forget_unbegun(number);
                    }
                    run.ask(number, &mut turn);
                }
            }
        }
    }

    fn abandon(&mut self, number: PeerNumber, run: RunId, out: &mut Vec<Action>) {
        let peer = self.peers.get_mut(number);
        peer.was_abandoned = true;
        let id = peer.hello.worker.to_string();
        out.push(Action::Log(log::Level::Warn, format!("Client '{id}' brings run {run}, which is none of this master's; it drops it")));
        send(&self.peers, number, ToWorker::Abandon(run), out);
    }

    /// Another run is about to be asked for, and the former one's table was kept until now. Whoever is still in that, since it heard too late of
    /// its end, drops what is left of it; and whoever has finished waits for no answer any more: its last word may be on its way.
    pub(super) fn end_former_run(&mut self, out: &mut Vec<Action>) {
        let Some(run) = &self.run else { return };
        for (number, part) in run.parts() {
            let peer = self.peers.get_mut(number);
            if peer.link.is_some() && *part.stage() != PartStage::Finished {
                peer.was_abandoned = true;
                let text =
                    format!("Client '{}' is still in run {}, which is over; it drops what is left of it", peer.hello.worker, run.id());
                out.push(Action::Log(log::Level::Info, text));
            }
            send(&self.peers, number, ToWorker::Abandon(run.id()), out);
        }
    }

    /// Of two runs that could be taken over the one that began later is under way: the journal may be an older one, and whoever brings the other run
    /// may have been out of reach when it ended. Answers the one that gives way.
    fn take_outdated(&mut self, standing: &RunStanding, out: &mut Vec<Action>) -> Option<Run> {
        let is_outdated = |run: &mut Run| {
            run.is_adopting() && standing.orders.is_some() && run.id() != standing.plan.run && run.began_before(standing.wall)
        };
        let outdated = self.run.take_if(is_outdated)?;
        let text = format!(
            "run {} is over, though nobody has said so: a worker brings run {}, which began later",
            outdated.id(),
            standing.plan.run
        );
        out.push(Action::Log(log::Level::Warn, text));
        self.claims.clear();
        for (number, _) in outdated.parts() {
            if self.peers.get(number).link.is_some() {
                self.abandon(number, outdated.id(), out);
            }
        }
        Some(outdated)
    }

    /// The first worker that brings a run to a master without one, or one that began later.
    fn adopt_if_free(&mut self, standing: &RunStanding, now: Instant, out: &mut Vec<Action>) {
        let outdated = self.take_outdated(standing, out);
        if standing.orders.is_none() || self.run.as_ref().is_some_and(|run| run.id() == standing.plan.run || !run.is_over()) {
            let is_first = |run: &&mut Run| run.id() == standing.plan.run && run.is_awaited() && standing.orders.is_some();
            if let Some(run) = self.run.as_mut().filter(is_first) {
                // The journal's run: with its first worker the others are near. One that has not begun says nothing of them, and brings no clock.
                run.wait_until(now + ADOPTION_TIME);
            }
            return;
        }
        if self.run.is_some() {
            return;
        }
        let profile = standing.orders.as_ref().map_or_else(|| Arc::new(standing.plan.profile.clone()), |followed| followed.profile.clone());
        let counted = Counted { epoch: standing.epoch, since: (standing.epoch == 0).then_some(Duration::ZERO) };
        let mut run = Run::adopted(standing.plan.clone(), standing.wall, profile, counted, now);
        run.forget_commons();
        if let Some(outdated) = outdated {
            // Whoever asked for that meant the run that is under way.
            run.inherit_wishes(&outdated);
        }
        let mut records = run.records();
        // The next master shall not take this journal for all that there was.
        records.push(Record::Forgotten);
        out.push(Action::Log(log::Level::Info, format!("a worker brings run {}; waiting for the others", run.id())));
        self.run = Some(run);
        self.keep_all(records, out);
    }

    /// A worker that takes part is there again, or on another link.
    pub(super) fn on_return(&mut self, number: PeerNumber, now: Instant, out: &mut Vec<Action>) {
        if let Some((run, mut turn)) = self.turn(now, out) {
            run.on_return(number, &mut turn);
        }
    }

    pub(super) fn log_arrival(&self, number: PeerNumber, arrival: Arrival, out: &mut Vec<Action>) {
        let peer = self.peers.get(number);
        let id = &peer.hello.worker;
        if let Some(error) = peer.script_error.as_ref().filter(|_| peer.lacks_script()) {
            let text = format!("Client '{id}' is here and not ready, for it has no script that it could run: {error}");
            return out.push(Action::Log(log::Level::Error, text));
        }
        let count = self.peers.count_ready();
        let text = match arrival {
            Arrival::New => format!("Client '{id}' reported as ready. Currently {count} clients ready to swarm."),
            Arrival::Back => format!("Client '{id}' is back. Currently {count} clients ready to swarm."),
            Arrival::Relinked => format!("Client '{id}' has a new link. Currently {count} clients ready to swarm."),
        };
        out.push(Action::Log(log::Level::Info, text));
    }
}
