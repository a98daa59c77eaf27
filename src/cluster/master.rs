//! The master as a state machine: the run from start to end, the sums of all workers, the snapshot that people see. No I/O.
//!
//! | the run is | event | actions | goes to |
//! |---|---|---|---|
//! | none, over | start | send `Prepare` to all workers | waiting |
//! | waiting | all are prepared | deal the slots, send `Orders` to all | live |
//! | waiting | a script differs | ask again each second; after the skew timeout give up and name who differs | over |
//! | waiting | a worker cannot open its lanes | send `Abandon` | over, with the reason |
//! | none | a worker brings a run | gather who owns what | adopting |
//! | adopting | some seconds are over | hand out what nobody owns, send `Orders` to all | live, or stopping |
//! | live | a worker comes | send `Prepare`; once it is prepared move its share of slots, `Orders` to all | |
//! | live | a worker leaves, or is lost | move its slots, `Orders` to all | |
//! | live | re-target | another profile, level the slots, `Orders` to all | |
//! | live | stop, planned end, all users gone | `Orders` with `Stop` to all | stopping |
//! | live, stopping | cut, misuse | `Orders` with `Cut` to all | stopping |
//! | any but waiting | delta, total | merge what is not held, answer with what is | |
//! | stopping | all last deltas are here, or waited for long enough | finish | over |
//! | any | a worker says goodbye | keep its numbers in the journal; then `Farewell` | |
//!
//! A worker is lost when it says nothing for three seconds, or half a second after its link broke; whatever it says next brings it back.

mod numbers;
mod part;
mod peers;
mod run;
mod stages;
mod view;
mod vitals;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::message::{Answer, Followed, Hello, OrphanRules, Phase, RunStanding, ToMaster, ToWorker, Welcome};
use super::record::{KeptRun, Record};
use super::worker::LinkId;
use crate::plan::{Plan, RunId};
use crate::stats::snapshot::OverlapView;
use crate::stats::threshold::Threshold;
use numbers::Merged;
use part::PartStage;
use peers::{Arrival, PeerNumber, Peers, Presence};
use run::{ADOPTION_TIME, Run, Stage};

/// The master of a cluster.
#[derive(Debug)]
pub struct Master {
    config: MasterConfig,
    /// The master's clock counts from here.
    origin: Instant,
    peers: Peers,
    run: Option<Run>,
    /// While a run is adopted: who owns what, as workers say.
    claims: BTreeMap<PeerNumber, Followed>,
    /// Records on their way to the journal, after which a worker gets its farewell.
    goodbyes: BTreeMap<u64, PeerNumber>,
    records: u64,
}

/// How a master behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct MasterConfig {
    /// What workers do without it.
    pub orphan: OrphanRules,
    /// How long a start waits for workers whose scripts differ.
    pub skew_timeout: Duration,
    /// Workers whose scripts differ take part.
    pub allows_skew: bool,
    /// It takes over a run that workers bring; otherwise it stops it and collects the numbers.
    pub adopts: bool,
    /// There is a journal: the sums of each worker are kept apart for it.
    pub has_journal: bool,
}

/// What the shell shall do.
#[derive(Debug)]
pub enum Action {
    /// Send this.
    Send(LinkId, ToWorker),
    /// Close this link, once what was sent before is on its way; `on_link_gone` need not follow.
    CloseLink(LinkId),
    /// Write this to the journal and sync it; then call [`Master::on_kept`] with the number.
    Keep(u64, Record),
    /// Write this to the log.
    Log(log::Level, String),
    /// The run is over.
    Finish(RunEnd),
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEnd {
    /// Every worker's last numbers are in the table.
    pub is_complete: bool,
    /// Why the run could not be started, or not be finished.
    pub failure: Option<RunFailure>,
    /// User tasks and lanes that panicked: bugs of ours.
    pub panics: u32,
}

/// Why a run came to no proper end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFailure {
    /// Whose part it is.
    pub cause: FailureCause,
    /// For people.
    pub text: String,
}

/// Whose part a failed run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureCause {
    /// The person's who wrote the script or the settings.
    BadUse,
    /// A machine's or the network's: numbers are missing.
    Lost,
}

/// What starts a run.
#[derive(Debug, Clone)]
pub struct RunStart {
    /// The run.
    pub plan: Arc<Plan>,
    /// The plan's thresholds, parsed.
    pub thresholds: Vec<Threshold>,
    /// The wall clock, for people and files.
    pub wall: SystemTime,
}

/// Another number of users for a run that is under way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retarget {
    /// How many.
    pub users: u32,
    /// Users that start or stop per second.
    pub spawn_rate: f64,
    /// From here on; without it the planned end, if there is one, stays.
    pub run_time: Option<Duration>,
}

impl Master {
    /// A master without a run.
    #[must_use]
    pub fn new(config: MasterConfig, now: Instant) -> Self {
        Self { config, origin: now, peers: Peers::default(), run: None, claims: BTreeMap::new(), goodbyes: BTreeMap::new(), records: 0 }
    }

    /// A master that has read its predecessor's journal: it waits for the workers of that run, for as long as orphans go on and then some.
    #[must_use]
    pub fn restored(config: MasterConfig, kept: KeptRun, now: Instant) -> Self {
        let mut master = Self::new(config, now);
        let mut run = Run::adopted(kept.plan, kept.wall, kept.profile, kept.epoch, now);
        run.stage = Stage::Adopting { until: now + master.config.orphan.timeout + ADOPTION_TIME };
        run.table.restore_history(kept.history);
        for worker in kept.workers {
            let number = master.peers.remember(worker.worker.clone(), worker.has_left, now);
            run.restore(number, worker);
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
            self.peers.get_mut(number).presence = Presence::Here;
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
            self.peers.get_mut(number).round_trip = round_trip;
        }
    }

    /// Somebody starts a run.
    ///
    /// # Errors
    /// Why it cannot be: one is under way, or no worker is there.
    pub fn on_start(&mut self, mut start: RunStart, now: Instant) -> Result<Vec<Action>, String> {
        if self.run.as_ref().is_some_and(|run| !run.is_over()) {
            return Err("a run is under way: stop it first".into());
        }
        if self.peers.count_here() == 0 {
            return Err("no worker is connected: start one with `lunamoth worker --master HOST:5557 --scripts DIR`".into());
        }
        if self.config.allows_skew && !start.plan.fingerprint.is_empty() {
            start.plan = Arc::new(Plan { fingerprint: String::new(), ..(*start.plan).clone() });
        }
        self.peers.forget_gone();
        self.claims.clear();
        let mut out = Vec::new();
        let mut run = Run::new(start, now);
        let numbers: Vec<_> = self.peers.iter().map(|(number, _)| number).collect();
        for number in numbers {
            run.ask(number, &self.peers, now, &mut out);
        }
        self.run = Some(run);
        Ok(out)
    }

    /// Somebody wants another number of users.
    ///
    /// # Errors
    /// No run is under way.
    pub fn on_retarget(&mut self, retarget: Retarget, now: Instant) -> Result<Vec<Action>, String> {
        let mut out = Vec::new();
        self.settle(now, &mut out);
        let run = self.run.as_mut().filter(|run| run.stage == Stage::Live).ok_or("no run is under way")?;
        run.retarget(retarget, &self.peers, self.origin, now, &mut out);
        let profile = run.profile.clone();
        self.keep(Record::Retargeted { profile }, &mut out);
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

    /// Somebody clears the statistics.
    pub fn on_reset(&mut self, now: Instant) -> Vec<Action> {
        let mut out = Vec::new();
        self.settle(now, &mut out);
        if let Some(run) = &mut self.run {
            run.reset(now);
            let epoch = run.epoch;
            if !run.is_over() {
                run.order_all(&self.peers, self.origin, now, &mut out);
            }
            self.keep(Record::Reset { epoch }, &mut out);
        }
        out
    }

    /// The master ends in order, and its run is over and reported: nobody shall bring it to the next master.
    pub fn on_close(&mut self) -> Vec<Action> {
        let mut out = Vec::new();
        if let Some(run) = self.run.as_ref().filter(|run| run.is_over()) {
            for number in run.parts.keys() {
                send(&self.peers, *number, ToWorker::Abandon(run.id()), &mut out);
            }
        }
        out
    }

    /// The journal has kept a record.
    pub fn on_kept(&mut self, record: u64) -> Vec<Action> {
        let mut out = Vec::new();
        if let Some(number) = self.goodbyes.remove(&record) {
            send(&self.peers, number, ToWorker::Farewell, &mut out);
        }
        out
    }

    /// Time passes; called every 50 ms or so.
    pub fn on_tick(&mut self, now: Instant) -> Vec<Action> {
        let mut out = Vec::new();
        for (number, silence) in self.peers.take_lost(now) {
            self.on_lost(number, silence, now, &mut out);
        }
        if let Some(Run { stage: Stage::Adopting { until }, .. }) = self.run
            && now >= until
        {
            self.settle(now, &mut out);
        }
        let Some(run) = &mut self.run else { return out };
        let before = run.stage;
        let end = run.on_tick(&self.config, &self.peers, self.origin, now, &mut out);
        self.note_begin(before, &mut out);
        if let Some(record) = self.run.as_mut().filter(|_| self.config.has_journal).and_then(Run::take_history) {
            self.keep(record, &mut out);
        }
        self.finish(end, &mut out);
        out
    }

    /// The run and its clock's time zero, once it has begun.
    #[must_use]
    pub fn run(&self) -> Option<(RunId, Option<Instant>)> {
        self.run.as_ref().map(|run| (run.id(), run.zero))
    }

    /// Workers that are there and take users.
    #[must_use]
    pub fn worker_count(&self) -> usize {
        self.peers.count_here()
    }

    fn on_hello(&mut self, link: LinkId, mut hello: Hello, now: Instant, out: &mut Vec<Action>) {
        let standing = hello.standing.take();
        let (number, arrival, replaced) = self.peers.arrive(link, hello, now);
        out.extend(replaced.map(Action::CloseLink));
        if let Some(standing) = &standing {
            self.adopt_if_free(standing, now, out);
        }
        let run = self.run.as_mut();
        let held = match (&standing, run) {
            (Some(standing), Some(run)) if run.id() == standing.plan.run => run.take_in(number, standing, now),
            _ => None,
        };
        send(&self.peers, number, ToWorker::Welcome(Welcome { clock: self.clock(now), held, orphan: self.config.orphan }), out);
        self.log_arrival(number, arrival, out);
        self.bring_in(number, standing.as_deref(), now, out);
    }

    /// A worker is welcome: what it does in the run.
    fn bring_in(&mut self, number: PeerNumber, standing: Option<&RunStanding>, now: Instant, out: &mut Vec<Action>) {
        let Some(run) = &mut self.run else {
            if let Some(standing) = standing {
                self.abandon(number, standing.plan.run, out);
            }
            return;
        };
        match standing {
            Some(standing) if standing.plan.run == run.id() => {
                if let (Stage::Adopting { .. }, Some(followed)) = (run.stage, &standing.orders) {
                    self.claims.insert(number, followed.clone());
                } else if standing.orders.is_some() {
                    self.on_return(number, now, out);
                } else {
                    run.ask(number, &self.peers, now, out);
                }
            }
            standing => {
                let foreign = standing.map(|standing| standing.plan.run);
                run.ask(number, &self.peers, now, out);
                if let Some(foreign) = foreign {
                    self.abandon(number, foreign, out);
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

    /// The first worker that brings a run to a master without one.
    fn adopt_if_free(&mut self, standing: &RunStanding, now: Instant, out: &mut Vec<Action>) {
        if standing.orders.is_none() || self.run.as_ref().is_some_and(|run| run.id() == standing.plan.run || !run.is_over()) {
            if let Some(run) = self.run.as_mut().filter(|run| run.id() == standing.plan.run && run.zero.is_none())
                && let Stage::Adopting { until } = &mut run.stage
            {
                // The journal's run: with its first worker the others are near.
                *until = (*until).min(now + ADOPTION_TIME);
            }
            return;
        }
        if self.run.is_some() {
            return;
        }
        let profile = standing.orders.as_ref().map_or_else(|| Arc::new(standing.plan.profile.clone()), |followed| followed.profile.clone());
        let run = Run::adopted(standing.plan.clone(), standing.wall, profile, standing.epoch, now);
        let record = run.record();
        out.push(Action::Log(log::Level::Info, format!("a worker brings run {}; waiting for the others", run.id())));
        self.run = Some(run);
        self.keep(record, out);
    }

    /// A worker that takes part is there again, or on another link.
    fn on_return(&mut self, number: PeerNumber, now: Instant, out: &mut Vec<Action>) {
        let Some(run) = &mut self.run else { return };
        let elapsed = run.elapsed(now);
        let Some(part) = run.parts.get_mut(&number) else { return };
        let was_away = part.away_since.take();
        if let Some(from) = was_away {
            run.holes.remove(&number);
            if part.stage == PartStage::Ordered && !self.config.orphan.pauses && run.phase == Phase::Run {
                let worker = self.peers.get(number).hello.worker.to_string();
                out.push(Action::Log(
                    log::Level::Warn,
                    format!(
                        "overlap: {worker}, from {from:.0?} to {elapsed:.0?}, {} users ran beside those that had taken over",
                        part.users
                    ),
                ));
                run.overlaps.push(OverlapView { worker, from, to: Some(elapsed), users: part.users });
            }
        }
        let is_leaving = self.peers.get(number).presence == Presence::Leaving;
        let part_stage = part.stage.clone();
        match (run.stage, part_stage) {
            (Stage::Live, PartStage::Ordered) if was_away.is_some() && !is_leaving => {
                run.join(number, &self.peers, self.origin, now, out);
            }
            (Stage::Live | Stage::Stopping { .. } | Stage::Over { .. }, PartStage::Ordered) => {
                run.repeat_orders(number, &self.peers, self.origin, out);
            }
            _ => {}
        }
    }

    fn on_word(&mut self, number: PeerNumber, link: LinkId, message: ToMaster, now: Instant, out: &mut Vec<Action>) {
        match message {
            ToMaster::Hello(_) => {}
            ToMaster::Beat { sent } => self.answer(number, sent, None, now, out),
            ToMaster::Delta { sent, delta } => {
                let Some(run) = self.run.as_mut().filter(|run| run.id() == delta.run) else {
                    return self.answer(number, sent, None, now, out);
                };
                match run.on_delta(number, &delta, self.config.has_journal, now) {
                    Merged::Held(held) => self.answer(number, sent, Some((delta.run, held)), now, out),
                    Merged::Broken(why) => self.break_off(number, link, why, out),
                }
                self.after_numbers(now, out);
            }
            ToMaster::TotalPart { run: id, number: place, tally } => {
                if let Some(run) = self.run.as_mut().filter(|run| run.id() == id)
                    && let Err(why) = run.on_total_part(number, place, *tally)
                {
                    self.break_off(number, link, why, out);
                }
            }
            ToMaster::TotalEnd { run: id, epoch, parts, sequence } => {
                let Some(run) = self.run.as_mut().filter(|run| run.id() == id) else { return };
                match run.on_total_end(number, epoch, parts, sequence, self.config.has_journal) {
                    Merged::Held(held) => {
                        let answer = Answer { echo: Duration::MAX, clock: self.clock(now), acknowledged: Some((id, held)) };
                        send(&self.peers, number, ToWorker::Answer(answer), out);
                    }
                    Merged::Broken(why) => self.break_off(number, link, why, out),
                }
            }
            ToMaster::Prepared(id) => {
                if let Some(run) = self.run.as_mut().filter(|run| run.id() == id) {
                    let before = run.stage;
                    run.on_prepared(number, &self.peers, self.origin, now, out);
                    self.note_begin(before, out);
                }
            }
            ToMaster::Refused(refusal) => {
                if let Some(run) = self.run.as_mut().filter(|run| run.id() == refusal.run)
                    && let Some(failure) = run.on_refused(number, refusal, &self.peers, now, out)
                {
                    let end = run.end(now, Some(failure));
                    self.finish(Some(end), out);
                }
            }
            ToMaster::Leaving => self.on_leaving(number, now, out),
            ToMaster::Goodbye => self.on_goodbye(number, now, out),
            ToMaster::Log(lines) => {
                let peer = self.peers.get_mut(number);
                for line in lines {
                    out.push(Action::Log(line.level, format!("[{}] {}", peer.hello.worker.host, line.text)));
                    peer.keep_log(line);
                }
            }
        }
    }

    fn on_leaving(&mut self, number: PeerNumber, now: Instant, out: &mut Vec<Action>) {
        self.peers.get_mut(number).presence = Presence::Leaving;
        let id = self.peers.get(number).hello.worker.to_string();
        out.push(Action::Log(
            log::Level::Info,
            format!("Client '{id}' is leaving. Currently {} clients ready to swarm.", self.peers.count_here()),
        ));
        if let Some(run) = &mut self.run {
            run.part_with(number, &self.peers, self.origin, now, out);
        }
    }

    /// All that the worker has counted is here. With a journal it stays until that is kept.
    fn on_goodbye(&mut self, number: PeerNumber, now: Instant, out: &mut Vec<Action>) {
        if self.peers.get(number).presence == Presence::Here {
            self.on_leaving(number, now, out);
        }
        let peer = self.peers.get_mut(number);
        peer.presence = Presence::Left;
        let worker = peer.hello.worker.clone();
        out.push(Action::Log(
            log::Level::Info,
            format!("Client '{worker}' left in order. Currently {} clients ready to swarm.", self.peers.count_here()),
        ));
        let kept = self.run.as_ref().filter(|run| self.config.has_journal && !run.is_over());
        match kept.and_then(|run| run.record_of(number, worker, true)) {
            Some(record) => {
                let record = self.keep(record, out);
                self.goodbyes.insert(record, number);
            }
            None => send(&self.peers, number, ToWorker::Farewell, out),
        }
    }

    fn on_lost(&mut self, number: PeerNumber, silence: Duration, now: Instant, out: &mut Vec<Action>) {
        let worker = self.peers.get(number).hello.worker.clone();
        let count = self.peers.count_here();
        out.push(Action::Log(
            log::Level::Warn,
            format!("Client '{worker}' is lost: no word for {:.1} s. Currently {count} clients ready to swarm.", silence.as_secs_f64()),
        ));
        let Some(run) = &mut self.run else { return };
        run.on_lost(number, &self.peers, self.origin, now, out);
        if self.config.has_journal
            && !run.is_over()
            && let Some(record) = run.record_of(number, worker, false)
        {
            self.keep(record, out);
        }
    }

    fn after_numbers(&mut self, now: Instant, out: &mut Vec<Action>) {
        let Some(run) = &mut self.run else { return };
        if let Stage::Stopping { since } = run.stage {
            let end = run.finish_if_done(&self.config, &self.peers, since, now);
            self.finish(end, out);
        }
    }

    fn end_users(&mut self, phase: Phase, now: Instant) -> Vec<Action> {
        let mut out = Vec::new();
        self.settle(now, &mut out);
        let Some(run) = self.run.as_mut().filter(|run| !run.is_over()) else { return out };
        if run.zero.is_none() {
            // Nothing has run: there are no numbers to wait for.
            let end = run.end(now, None);
            self.finish(Some(end), &mut out);
        } else {
            run.end_users(phase, &self.peers, self.origin, now, &mut out);
            self.after_numbers(now, &mut out);
        }
        out
    }

    /// A run that is adopted becomes this master's own.
    fn settle(&mut self, now: Instant, out: &mut Vec<Action>) {
        let Some(run) = self.run.as_mut().filter(|run| matches!(run.stage, Stage::Adopting { .. })) else { return };
        if run.zero.is_none() && self.claims.is_empty() {
            // Nobody has come.
            let end = run.end(now, Some(RunFailure::lost("no worker of the run that the journal tells of has come back")));
            return self.finish(Some(end), out);
        }
        run.settle(&self.claims, &self.peers, self.origin, now, out);
        self.claims.clear();
        if !self.config.adopts {
            out.push(Action::Log(log::Level::Info, "the run is not taken over: its users finish, and its numbers are collected".into()));
            run.end_users(Phase::Stop, &self.peers, self.origin, now, out);
        }
        self.after_numbers(now, out);
    }

    /// The run has begun: that is the first thing that its journal says.
    fn note_begin(&mut self, before: Stage, out: &mut Vec<Action>) {
        let Some(run) = self.run.as_ref().filter(|run| before == Stage::Waiting && run.stage == Stage::Live) else { return };
        let record = run.record();
        self.keep(record, out);
    }

    fn finish(&mut self, end: Option<RunEnd>, out: &mut Vec<Action>) {
        let Some(end) = end else { return };
        if let Some(run) = self.run.as_ref().filter(|run| run.zero.is_none()) {
            for number in run.parts.keys() {
                send(&self.peers, *number, ToWorker::Abandon(run.id()), out);
            }
        }
        self.keep(Record::End, out);
        out.push(Action::Finish(end));
    }

    /// The master cannot follow what the worker sends: on a new link it begins again from what is held.
    fn break_off(&self, number: PeerNumber, link: LinkId, why: &str, out: &mut Vec<Action>) {
        let id = &self.peers.get(number).hello.worker;
        out.push(Action::Log(log::Level::Warn, format!("Client '{id}': {why}; its link is closed, and it sends again")));
        out.push(Action::CloseLink(link));
    }

    fn answer(&self, number: PeerNumber, echo: Duration, acknowledged: Option<(RunId, u64)>, now: Instant, out: &mut Vec<Action>) {
        send(&self.peers, number, ToWorker::Answer(Answer { echo, clock: self.clock(now), acknowledged }), out);
    }

    fn clock(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.origin)
    }

    /// Has a record kept, where there is a journal; answers its number.
    fn keep(&mut self, record: Record, out: &mut Vec<Action>) -> u64 {
        self.records += 1;
        if self.config.has_journal {
            out.push(Action::Keep(self.records, record));
        }
        self.records
    }

    fn log_arrival(&self, number: PeerNumber, arrival: Arrival, out: &mut Vec<Action>) {
        let id = &self.peers.get(number).hello.worker;
        let count = self.peers.count_here();
        let text = match arrival {
            Arrival::New => format!("Client '{id}' reported as ready. Currently {count} clients ready to swarm."),
            Arrival::Back => format!("Client '{id}' is back. Currently {count} clients ready to swarm."),
            Arrival::Relinked => format!("Client '{id}' has a new link. Currently {count} clients ready to swarm."),
        };
        out.push(Action::Log(log::Level::Info, text));
    }
}

/// Sends a message to a worker, if it has a link; if not, it will be told when it comes back.
fn send(peers: &Peers, number: PeerNumber, message: ToWorker, out: &mut Vec<Action>) {
    if let Some(link) = peers.get(number).link {
        out.push(Action::Send(link, message));
    }
}
