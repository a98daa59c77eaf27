//! The master as a state machine: the run from start to end, the sums of all workers, the snapshot that people see. No I/O.
//!
//! | the run is | event | actions | goes to |
//! |---|---|---|---|
//! | none, over | start | send `Prepare` to all workers | waiting |
//! | waiting | all are prepared | deal the slots, send `Orders` to all | live |
//! | waiting | a script differs | ask again each second; after the skew timeout give up and name who differs | over |
//! | waiting | stop, while a worker does the setup | send `Abandon` to that one | over, once it has told what it had counted, or after 2 s |
//! | waiting | any other stop, cut | send `Abandon` | over |
//! | waiting | a worker cannot open its lanes | send `Abandon` | over, with the reason |
//! | none, adopting | a worker brings a run, one that began later | gather who owns what | adopting |
//! | adopting | some seconds are over | hand out what nobody owns, send `Orders` to all | live, or stopping |
//! | adopting | all of whom the journal tells are here, and none of them in the run | | over |
//! | live | a worker comes | send `Prepare`; once it is prepared move its share of slots, `Orders` to all | |
//! | live | a worker leaves, or is lost | move its slots, `Orders` to all | |
//! | live | re-target | another profile, level the slots, `Orders` to all | |
//! | live | changed scripts shall be taken over | the plan's next revision, `Prepare` to all; again to those who are behind | |
//! | live | stop, planned end, all users gone | `Orders` with `Stop` to all | stopping |
//! | live, stopping | cut, misuse | `Orders` with `Cut` to all | stopping |
//! | any but waiting | delta, total | merge what is not held, answer with what is | |
//! | stopping | all last deltas are here, or waited for long enough | finish | over |
//! | any | a worker says goodbye | keep its numbers in the journal; then `Farewell` | |
//!
//! A worker is lost when it says nothing for three seconds, or half a second after its link broke; whatever it says next brings it back.

mod action;
mod arrivals;
mod commons;
mod config;
mod errands;
mod giving;
mod leases;
mod peers;
mod run;
mod scripts;
mod steering;
mod turn;
mod view;
mod words;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::link::LinkId;
use super::message::{Followed, Phase, Scripts, ToMaster, ToWorker};
use super::record::{KeptRun, Record};
use crate::plan::{Rate, RunId};
pub use action::{Action, FailureCause, RunEnd, RunFailure, RunStart};
use action::{clock_at, send};
pub use config::MasterConfig;
use peers::{Arrival, PeerNumber, Peers, Presence};
use run::{ADOPTION_TIME, AWAY_GRACE, Run, Stage};
use turn::Turn;

/// The master of a cluster.
#[derive(Debug)]
pub struct Master {
    config: MasterConfig,
    /// The master's clock counts from here.
    origin: Instant,
    peers: Peers,
    run: Option<Run>,
    /// The run that its journal calls over: it has been reported, and no worker can bring it again.
    reported: Option<RunId>,
    /// While a run is adopted: who owns what, as workers say.
    claims: BTreeMap<PeerNumber, Followed>,
    /// Records on their way to the journal, after which a worker gets its farewell.
    goodbyes: BTreeMap<u64, PeerNumber>,
    /// Rows that are given once their records are kept.
    grants: BTreeMap<u64, (PeerNumber, ToWorker)>,
    records: u64,
    /// What a start would run that names no script.
    scripts: Scripts,
}

/// Why something that was asked for is not done.
#[derive(Debug)]
pub struct Refused {
    /// What whoever asked is told.
    pub why: String,
    /// What the shell shall do all the same: what was asked may have brought to light that the run is over.
    pub actions: Vec<Action>,
}

/// Another number of users for a run that is under way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retarget {
    /// In the whole run, on all workers together.
    pub users: u32,
    /// Users that start or stop per second.
    pub spawn_rate: f64,
    /// From here on; without it the planned end, if there is one, stays.
    pub run_time: Option<Duration>,
}

/// Another rate for an open run that is under way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rerate {
    /// Above zero; of all workers together.
    pub rate: Rate,
    /// Since when, on the run's clock; at the earliest when everybody has heard of it.
    pub at: Option<Duration>,
    /// From then on; without it the planned end, if there is one, stays.
    pub run_time: Option<Duration>,
}

impl Master {
    /// A master without a run.
    #[must_use]
    pub fn new(config: MasterConfig, now: Instant) -> Self {
        Self {
            config,
            origin: now,
            peers: Peers::default(),
            run: None,
            reported: None,
            claims: BTreeMap::new(),
            goodbyes: BTreeMap::new(),
            grants: BTreeMap::new(),
            records: 0,
            scripts: Scripts::default(),
        }
    }

    /// A master that has read its predecessor's journal: it waits for the workers of that run, for as long as orphans go on and then some. Of a run that
    /// is over by it, it has none: what a worker still has of that is not all, and could not be told from it.
    #[must_use]
    pub fn restored(config: MasterConfig, mut kept: KeptRun, now: Instant) -> Self {
        let mut master = Self::new(config, now);
        if kept.is_over {
            master.reported = Some(kept.plan.run);
            return master;
        }
        let (workers, began) = (std::mem::take(&mut kept.workers), std::mem::take(&mut kept.began));
        let until = now + master.config.orphan.timeout + ADOPTION_TIME;
        let mut run = Run::restored(kept, until, now);
        for worker in workers {
            let number = master.peers.remember(worker.worker.clone(), worker.has_left, now);
            run.restore(number, worker);
        }
        for begun in began {
            let number = master.peers.remember(begun.worker, false, now);
            run.restore_begun(number, begun.since);
        }
        master.run = Some(run);
        master
    }

    /// A message came on a link.
    pub fn on_message(&mut self, link: LinkId, message: ToMaster, now: Instant) -> Vec<Action> {
        let mut out = Vec::new();
        let message = match message {
            ToMaster::Hello(hello) => {
                self.on_hello(link, *hello, now, &mut out);
                return out;
            }
            message => message,
        };
        let Some(number) = self.peers.on_link(link) else {
            // A link that was replaced may still deliver: the worker sends all of it again on the other one.
            out.push(Action::CloseLink(link));
            return out;
        };
        let was_lost = self.peers.get(number).presence == Presence::Lost;
        self.peers.get_mut(number).heard = now;
        if was_lost {
            let peer = self.peers.get_mut(number);
            peer.presence = if peer.hello.is_leaving { Presence::Leaving } else { Presence::Here };
            self.log_arrival(number, Arrival::Back, &mut out);
            self.on_return(number, now, &mut out);
        }
        self.on_word(number, link, message, now, &mut out);
        out
    }

    /// A link is gone.
    pub fn on_link_gone(&mut self, link: LinkId, now: Instant) -> Vec<Action> {
        self.peers.unlink(link, now);
        Vec::new()
    }

    /// What the shell has measured of a link.
    pub fn note_round_trip(&mut self, link: LinkId, round_trip: Duration) {
        if let Some(number) = self.peers.on_link(link) {
            self.peers.get_mut(number).round_trip = Some(round_trip);
        }
    }

    /// The link of a worker, which has said hello, comes from this address.
    pub fn note_address(&mut self, link: LinkId, address: SocketAddr) {
        if let Some(number) = self.peers.on_link(link) {
            self.peers.get_mut(number).address = Some(address);
        }
    }

    /// Somebody starts a run.
    ///
    /// # Errors
    /// Why it cannot be: one is under way, or no worker is there.
    pub fn on_start(&mut self, start: RunStart, now: Instant) -> Result<Vec<Action>, String> {
        if self.run.as_ref().is_some_and(|run| !run.is_over()) {
            return Err("a run is under way: stop it first".into());
        }
        if self.peers.count_here() == 0 {
            return Err("no worker is connected: start one with `lunamoth worker --master HOST:5557 --scripts DIR`".into());
        }
        let mut out = Vec::new();
        self.end_former_run(&mut out);
        if self.goodbyes.is_empty() {
            self.peers.forget_gone();
        }
        self.claims.clear();
        // Of the former run, and by numbers that workers have no more.
        self.grants.clear();
        self.run = Some(Run::new(start, now));
        if let Some((run, mut turn)) = self.turn(now, &mut out) {
            for (number, _) in turn.peers.iter() {
                run.ask(number, &mut turn);
            }
        }
        Ok(out)
    }

    /// Somebody stops the run: users finish.
    pub fn on_stop(&mut self, now: Instant) -> Vec<Action> {
        self.end_users(Phase::Stop, now)
    }

    /// Somebody stops the run at once: users that still live are dropped.
    pub fn on_cut(&mut self, now: Instant) -> Vec<Action> {
        self.end_users(Phase::Cut, now)
    }

    /// The master ends in order, and its run, if any, is over and reported: nobody shall bring it to the next master, nor wait for it.
    pub fn on_close(&mut self) -> Vec<Action> {
        let mut out = Vec::new();
        if self.run.as_ref().is_some_and(|run| !run.is_over()) {
            return out;
        }
        if let Some(run) = self.run.as_ref().filter(|run| run.is_over()) {
            for (number, _) in run.parts() {
                send(&self.peers, number, ToWorker::Abandon(run.id()), &mut out);
            }
        }
        for (number, _) in self.peers.iter().filter(|(_, peer)| peer.presence == Presence::Here) {
            send(&self.peers, number, ToWorker::Farewell, &mut out);
        }
        out
    }

    /// The journal has kept a record.
    pub fn on_kept(&mut self, record: u64) -> Vec<Action> {
        let mut out = Vec::new();
        if let Some(number) = self.goodbyes.remove(&record) {
            send(&self.peers, number, ToWorker::Farewell, &mut out);
        }
        if let Some((number, grant)) = self.grants.remove(&record) {
            send(&self.peers, number, grant, &mut out);
        }
        out
    }

    /// Time passes; called every 50 ms or so.
    pub fn on_tick(&mut self, now: Instant) -> Vec<Action> {
        let mut out = Vec::new();
        for (number, silence) in self.peers.take_lost(now) {
            self.on_lost(number, silence, now, &mut out);
        }
        if self.run.as_ref().is_some_and(|run| run.has_been_waited_for(&self.peers, now)) {
            self.settle(now, &mut out);
        }
        let Some((run, mut turn)) = self.turn(now, &mut out) else { return out };
        let before = run.stage();
        let end = run.on_tick(&mut turn);
        self.note_begin(before, &mut out);
        if let Some(run) = self.run.as_mut().filter(|_| self.config.has_journal) {
            let records = [run.take_history(), run.take_windows()];
            self.keep_all(records.into_iter().flatten().collect(), &mut out);
        }
        self.keep_begun(&mut out);
        self.finish(end, &mut out);
        out
    }

    /// The run and its clock's time zero, once it has begun.
    #[must_use]
    pub fn run(&self) -> Option<(RunId, Option<Instant>)> {
        self.run.as_ref().map(|run| (run.id(), run.zero()))
    }

    /// How long a start waits for scripts to be where they shall be.
    #[must_use]
    pub const fn skew_timeout(&self) -> Duration {
        self.config.skew_timeout
    }

    /// Workers that are there and take users.
    #[must_use]
    pub fn worker_count(&self) -> usize {
        self.peers.count_here()
    }

    fn after_numbers(&mut self, now: Instant, out: &mut Vec<Action>) {
        let Some((run, turn)) = self.turn(now, out) else { return };
        run.close_holes();
        if let Stage::Stopping { since } = run.stage() {
            let end = run.finish_if_done(since, &turn);
            self.finish(end, out);
        }
    }

    fn end_users(&mut self, phase: Phase, now: Instant) -> Vec<Action> {
        let mut out = Vec::new();
        let is_awaited = self.run.as_ref().is_some_and(Run::is_awaited);
        if phase == Phase::Cut || !is_awaited {
            self.settle(now, &mut out);
        }
        let Some((run, mut turn)) = self.turn(now, &mut out).filter(|(run, _)| !run.is_over()) else { return out };
        if run.is_adopting() && phase == Phase::Stop {
            // Its workers are waited for as long as any that are away when their run is stopped.
            run.wait_until(now + AWAY_GRACE);
            run.want_stop();
        } else if run.zero().is_none() {
            // Nobody has run: there are no numbers to wait for but those of a setup.
            if phase == Phase::Stop && run.cut_setup(&mut turn) {
                return out;
            }
            let end = run.end(turn.peers, now, None);
            self.finish(Some(end), &mut out);
        } else {
            run.end_users(phase, &mut turn);
            self.after_numbers(now, &mut out);
        }
        out
    }

    /// A run that is adopted becomes this master's own.
    fn settle(&mut self, now: Instant, out: &mut Vec<Action>) {
        // Gathered for this; nothing else is under way while a run is adopted.
        let claims = if self.run.as_ref().is_some_and(Run::is_adopting) { std::mem::take(&mut self.claims) } else { return };
        let Some((run, mut turn)) = self.turn(now, out) else { return };
        if run.is_awaited() {
            let why = if run.is_awaited_in_vain(turn.peers) {
                "the workers of the run that the journal tells of have come back, and none of them is in it any more"
            } else {
                "no worker of the run that the journal tells of has come back"
            };
            run.show_unheard(&turn);
            let end = run.end(turn.peers, now, Some(RunFailure::lost(why)));
            return self.finish(Some(end), out);
        }
        let known = Arc::clone(run.profile());
        run.settle(&claims, &mut turn);
        run.show_unheard(&turn);
        let newer = (*run.profile() != known).then(|| run.profile_as_told());
        if let Some(newer) = newer {
            self.keep(newer, out);
        }
        let Some((run, mut turn)) = self.turn(now, out) else { return };
        if run.take_wish_to_reset() {
            run.reset(now);
            run.order_all(&mut turn);
            let record = run.reset_record();
            self.keep(record, out);
        }
        let Some((run, mut turn)) = self.turn(now, out) else { return };
        if run.wants_stop() {
            run.end_users(Phase::Stop, &mut turn);
        } else if !turn.config.adopts {
            turn.log(log::Level::Info, "the run is not taken over: its users finish, and its numbers are collected");
            run.end_users(Phase::Stop, &mut turn);
        }
        self.after_numbers(now, out);
    }

    /// The run has begun: that is the first thing that its journal says.
    fn note_begin(&mut self, before: Stage, out: &mut Vec<Action>) {
        let Some(run) = self.run.as_ref().filter(|run| before == Stage::Waiting && run.stage() == Stage::Live) else { return };
        let records = run.records();
        self.keep_all(records, out);
    }

    /// Tells the journal of workers that have begun.
    fn keep_begun(&mut self, out: &mut Vec<Action>) {
        let is_to_be_kept = |run: &&mut Run| run.zero().is_some() && !matches!(run.stage(), Stage::Waiting | Stage::Over { .. });
        let Some(run) = self.run.as_mut().filter(|_| self.config.has_journal).filter(is_to_be_kept) else { return };
        let records = run.take_begun(&self.peers);
        self.keep_all(records, out);
    }

    fn finish(&mut self, end: Option<RunEnd>, out: &mut Vec<Action>) {
        let Some(end) = end else { return };
        self.name_rows_of_lost();
        if let Some(run) = &self.run {
            for number in run.waiting_at_end() {
                send(&self.peers, number, ToWorker::Abandon(run.id()), out);
            }
        }
        self.keep(Record::End, out);
        out.push(Action::Finish(end));
    }

    /// The run, and the turn in which something happens to it.
    fn turn<'a>(&'a mut self, now: Instant, out: &'a mut Vec<Action>) -> Option<(&'a mut Run, Turn<'a>)> {
        let Self { config, peers, origin, run, .. } = self;
        Some((run.as_mut()?, Turn { config, peers, origin: *origin, now, out }))
    }

    fn clock(&self, now: Instant) -> Duration {
        clock_at(self.origin, now)
    }

    fn keep_all(&mut self, records: Vec<Record>, out: &mut Vec<Action>) {
        for record in records {
            self.keep(record, out);
        }
    }

    /// Has a record kept, where there is a journal; answers its number.
    fn keep(&mut self, record: Record, out: &mut Vec<Action>) -> u64 {
        self.records += 1;
        if self.config.has_journal {
            out.push(Action::Keep(self.records, record));
        }
        self.records
    }
}

#[cfg(test)]
mod tests;
