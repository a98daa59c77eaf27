//! The worker as a state machine: what it does with the master's messages, its lanes' reports, and the loss of either. No I/O.
//!
//! Owns what is said when, and the way out. Parts of it: `acts` does setup and teardown, `links` dials and listens for silence, `run` follows orders, `ledger` numbers and keeps
//! deltas, `lanes` hears lanes out or gives them up, `delivery` brings deltas to a master, `greeting` says who it is, `clock` estimates the
//! master's clock, `logbook` bounds what is logged, `rows` asks for rows and carries errands, `orphan` is life without a master, `standstill` what it knows after it stood still, `leaving` the way out.
//!
//! # The link
//!
//! | in | event | actions | goes to |
//! |---|---|---|---|
//! | alone | 1 s since the last dial | dial | alone |
//! | alone | a dialled link stands | send `Hello` | greeting |
//! | greeting | another dialled link stands | close it | greeting |
//! | greeting | 3 s without an answer | close the link | alone |
//! | greeting | `Refuse` | close the link, dial in 5 s; exit if leaving | alone |
//! | greeting | `Welcome` | close the old link; resend what is kept, or the total; `Prepared` if prepared | linked |
//! | linked | 3 s of silence | dial; the old link stays open | alone |
//! | linked | the link is gone, `Refuse` | dial | alone |
//! | linked | 1 s since the last beat or delta | send `Beat` | linked |
//! | alone, greeting | anything on the old link | close the new one; follow the orders again if paused | linked |
//! | alone | 3 s, where orphans pause | follow the orders as of a paused run | alone |
//! | alone | orphan timeout | stop the lanes; close those that never began, and the old link | alone |
//! | alone | orphan timeout twice, lanes finished | drop the run and its numbers; close the old link | alone |
//!
//! # The run
//!
//! | in | event | actions | goes to |
//! |---|---|---|---|
//! | no run | `Prepare` | open the lanes | opening |
//! | opening | lanes open | send `Prepared`; then as prepared, by the orders that came meanwhile | prepared |
//! | opening | lanes refused | send `Refused` | no run |
//! | prepared | `Orders`: run | follow, begin | running |
//! | prepared | `Orders`: stop, cut | close the lanes, send an empty last `Delta` | finished |
//! | running | newer `Orders`: run | follow | running |
//! | running | newer `Orders`: stop, cut | stop, cut the lanes, once each | running |
//! | prepared, finished | `Act` | do it, or tell again how it went | same |
//! | opening, prepared | `Data` | give it to the lanes | same |
//! | any | `Orders` of a higher epoch | forget what was counted before; the numbering goes on | same |
//! | running | all live lanes have reported | send a `Delta`, if fewer than 4 are in flight | running |
//! | running | an `Answer` acknowledges | forget; send what has waited | running |
//! | running | the last lane's last report | send the last `Delta`, close the lanes | finished |
//! | running | some live lanes have reported 1.5 s ago | send a `Delta` without the others | running |
//! | running | a lane is not finished 0.5 s past the stop timeout, 0.4 s past a cut | give it up, as if it had sent its last report | running |
//! | prepared, finished and acknowledged | `Prepare` of another run | close the lanes, forget; open the lanes | opening |
//! | opening, prepared, running | `Prepare` of the same run | send `Prepared`, once it is | same |
//! | prepared, running | `Prepare` of the same run, of a higher revision | renew the lanes' script; then send `Prepared`, or `Refused` | same |
//! | running, finished | any other `Prepare` | send `Refused` | same |
//! | opening, running | `Abandon` | cut the lanes | abandoned |
//! | prepared, finished | `Abandon` | close the lanes, forget | no run |
//! | abandoned | the lanes are finished | close them; open those of a `Prepare` that came meanwhile | no run |
//!
//! # The way out
//!
//! | in | event | actions |
//! |---|---|---|
//! | any | somebody ends the worker; the only run is over | send `Leaving`, stop the lanes |
//! | leaving | somebody ends it again | cut the lanes, 0.9 s are left |
//! | leaving | lanes closed, last `Delta` sent | send `Goodbye` |
//! | leaving | lanes closed, no link, nothing to hand in | exit |
//! | leaving | `Farewell`; `Refuse`; the time is up | exit |

mod action;
mod acts;
mod clock;
mod config;
mod delivery;
mod greeting;
mod lanes;
mod leaving;
mod ledger;
mod links;
mod logbook;
mod memory;
mod orphan;
mod rows;
mod run;
mod scripts;
mod standstill;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use self::action::{Action, OpenRefusal, WorkerEnd};
pub use self::config::WorkerConfig;
pub use self::links::DIALS;
use self::links::{Links, Speaker};
use self::logbook::Logbook;
use self::memory::{Acting, Asks, Leaving};
use self::run::{Run, Stage};
use self::standstill::Standstill;
use super::link::LinkId;
use super::message::{Answer, LogLine, Refusal, RunOrders, ToMaster, ToWorker, WorkerId};
use crate::plan::{Plan, RunId};

/// A worker, as a state machine without I/O: what happens goes in, and what shall be done comes out.
#[derive(Debug)]
pub struct Worker {
    config: WorkerConfig,
    links: Links,
    run: Option<Run>,
    /// Asked for while an abandoned run's lanes are still open.
    next: Option<Arc<Plan>>,
    /// Its name until it dropped a run's numbers, until a master has heard of it.
    formerly: Option<WorkerId>,
    /// Runs in which it has numbered under its name, and that it has dropped since.
    numbered: BTreeSet<RunId>,
    /// The run that it last refused and why: the master asks again each second, and the log says it once.
    refused: Option<(RunId, String)>,
    leaving: Option<Leaving>,
    /// The setup or teardown that it does, or did last.
    acting: Option<Acting>,
    log: Logbook,
    standstill: Standstill,
    /// Why what lies in its folder does not compile, once it has been looked at since the start.
    script_error: Option<Option<String>>,
    /// What its lanes want of the master.
    asks: Asks,
    /// How it ends, once that is settled.
    end: Option<WorkerEnd>,
    /// The shell has been told so: nothing happens any more.
    has_ended: bool,
}

/// What a probe may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WorkerStatus {
    /// A master has welcomed it, and speaks to it.
    pub is_linked: bool,
    /// Since when it is without a master, as a length.
    pub orphaned_for: Option<Duration>,
    /// What lies in its folder does not compile, and never has since it began: it can run nothing.
    pub lacks_script: bool,
    /// The run that it stands in.
    pub run: Option<RunId>,
    /// Those alive, in all lanes together.
    pub users: u64,
    /// Deltas that no master has acknowledged.
    pub unacknowledged: u64,
    /// The least round trip measured lately; `None` before the first.
    pub round_trip: Option<Duration>,
}

impl Worker {
    /// A worker that knows no master.
    #[must_use]
    pub fn new(config: WorkerConfig, now: Instant) -> Self {
        Self {
            config,
            links: Links::new(now),
            run: None,
            next: None,
            formerly: None,
            numbered: BTreeSet::new(),
            refused: None,
            leaving: None,
            acting: None,
            log: Logbook::default(),
            standstill: Standstill::default(),
            script_error: None,
            asks: Asks::default(),
            end: None,
            has_ended: false,
        }
    }

    /// A dialled link stands.
    pub fn on_linked(&mut self, link: LinkId, now: Instant) -> Vec<Action> {
        let mut out = Vec::new();
        if self.links.on_linked(link, now, &mut out) {
            out.push(Action::Send(link, ToMaster::Hello(Box::new(self.hello(now)))));
        }
        self.settle(now, out)
    }

    /// A dial came to nothing, in words for people.
    pub fn on_dial_failed(&mut self, why: &str, now: Instant) -> Vec<Action> {
        let mut out = Vec::new();
        self.links.on_dial_failed(why, now, &mut out);
        self.settle(now, out)
    }

    /// A link is gone.
    pub fn on_link_gone(&mut self, link: LinkId, now: Instant) -> Vec<Action> {
        let mut out = Vec::new();
        if self.links.on_gone(link, now) {
            self.on_master_lost("the link to the master is gone", &mut out);
        }
        self.settle(now, out)
    }

    /// A message of a master's came.
    pub fn on_message(&mut self, link: LinkId, message: ToWorker, now: Instant) -> Vec<Action> {
        let mut out = Vec::new();
        match (self.links.hear(link, now, &mut out), message) {
            (Speaker::Candidate, ToWorker::Welcome(welcome)) => self.on_welcome(link, welcome, now, &mut out),
            (Speaker::Stranger, _) => return out,
            (_, ToWorker::Refuse(why)) => self.on_refuse(link, &why, now, &mut out),
            (Speaker::Candidate, _) => {}
            (Speaker::Master, message) => self.on_masters_word(message, now, &mut out),
            (Speaker::MasterAgain, message) => {
                out.push(Action::Log(log::Level::Info, "the master speaks again".into()));
                self.run.iter_mut().for_each(|run| run.resume(&mut out));
                self.on_masters_word(message, now, &mut out);
            }
        }
        self.settle(now, out)
    }

    /// The lanes are open, or could not be opened.
    pub fn on_opened(&mut self, run: RunId, opened: Result<(), OpenRefusal>, now: Instant) -> Vec<Action> {
        let mut out = Vec::new();
        let Some(current) = self.run.as_mut().filter(|current| current.plan.run == run) else {
            return out;
        };
        match (current.stage(), opened) {
            (Stage::Opening, Ok(())) => {
                // Before the lanes begin: the master hears things in their order.
                let revision = current.plan.revision;
                self.say(ToMaster::Prepared { run, revision }, &mut out);
                self.run.iter_mut().for_each(|current| current.on_opened(self.config.lanes, &mut out));
            }
            (Stage::Opening, Err(OpenRefusal { text, differs })) => {
                self.run = None;
                let refused = Some((run, text.clone()));
                if self.refused != refused {
                    out.push(Action::Log(log::Level::Error, format!("run {run}: {text}")));
                    self.refused = refused;
                }
                self.say(ToMaster::Refused(Refusal { run, text, differs }), &mut out);
            }
            (Stage::Abandoned { is_open: false }, opened) => {
                if opened.is_ok() {
                    out.push(Action::CloseLanes);
                }
                self.run = None;
            }
            _ => return out,
        }
        self.settle(now, out)
    }

    /// The program has logged something that the master shall see. Bounded: what is too much is dropped and counted.
    pub fn on_log(&mut self, line: LogLine) {
        self.log.add(line);
    }

    /// Somebody ends the worker: users finish, numbers are handed in. The second time it ends at once.
    pub fn on_leave(&mut self, now: Instant) -> Vec<Action> {
        let mut out = Vec::new();
        if self.leaving.is_some() {
            self.hurry(now, &mut out);
        } else {
            self.leave(now, &mut out);
        }
        self.settle(now, out)
    }

    /// Time passes; called every 50 ms or so.
    pub fn on_tick(&mut self, now: Instant) -> Vec<Action> {
        let mut out = Vec::new();
        if self.links.watch(now, &mut out) {
            self.on_master_lost("the master is silent", &mut out);
        }
        self.mind_being_alone(now, &mut out);
        self.mind_lanes(now, &mut out);
        if self.links.is_beat_due(now) {
            let sent = self.links.on_spoken(now);
            self.say(ToMaster::Beat { sent }, &mut out);
        }
        self.say_asks(now, &mut out);
        if self.links.alone_since().is_none()
            && let Some(lines) = self.log.take_if_due(now)
        {
            self.say(ToMaster::Log(lines), &mut out);
        }
        self.settle(now, out)
    }

    /// Whether its slots are its own at `now`, as far as it can know: lanes hand nothing out in an open profile while they may be others'.
    pub fn is_sure_of_slots(&mut self, now: Instant) -> bool {
        self.standstill.look(now);
        self.standstill.is_sure()
    }

    /// What a probe may ask of it.
    #[must_use]
    pub fn status(&self, now: Instant) -> WorkerStatus {
        let alone_since = self.links.alone_since();
        WorkerStatus {
            is_linked: alone_since.is_none(),
            orphaned_for: alone_since.map(|since| now.saturating_duration_since(since)),
            lacks_script: self.script_error.as_ref().is_some_and(Option::is_some) && self.config.fingerprint.is_empty(),
            run: self.run.as_ref().map(|run| run.plan.run),
            users: self.run.as_ref().map_or(0, Run::users),
            unacknowledged: self.run.as_ref().map_or(0, |run| run.ledger.unacknowledged()),
            round_trip: self.links.round_trip(),
        }
    }

    fn on_refuse(&mut self, link: LinkId, why: &str, now: Instant, out: &mut Vec<Action>) {
        self.links.on_refused(link, now, out);
        out.push(Action::Log(log::Level::Error, format!("the master refuses this worker: {why}")));
        if self.leaving.is_some() {
            self.exit(out);
        }
    }

    fn on_masters_word(&mut self, message: ToWorker, now: Instant, out: &mut Vec<Action>) {
        match message {
            ToWorker::Prepare(plan) => self.on_prepare(plan, now, out),
            ToWorker::Orders(orders) => {
                self.on_orders(orders, out);
                self.standstill.on_orders();
            }
            ToWorker::Answer(answer) => self.on_answer(answer, now),
            ToWorker::Abandon(run) => self.on_abandon(run, now, out),
            ToWorker::Act { run, act } => self.on_act(run, act, out),
            ToWorker::Data { run, data } => self.run.iter_mut().for_each(|current| current.on_data(run, &data, out)),
            ToWorker::Farewell if self.leaving.as_ref().is_some_and(|leaving| leaving.has_said_goodbye) => {
                self.run = None;
                self.exit(out);
            }
            ToWorker::Grant { run, grant } => self.on_grant(run, grant, out),
            ToWorker::Board { run, word } => self.on_board(run, word, out),
            ToWorker::Farewell if self.config.is_once && self.leaving.is_none() && !self.has_begun() => {
                out.push(Action::Log(log::Level::Info, "the master has ended without a run for this worker, which ends with it".into()));
                self.leave(now, out);
            }
            // A second Welcome on one link says nothing; a farewell answers a goodbye, or tells those that wait for one run that none comes.
            ToWorker::Welcome(_) | ToWorker::Farewell | ToWorker::Refuse(_) => {}
        }
    }

    /// It makes load, or has made some.
    fn has_begun(&self) -> bool {
        self.run.as_ref().is_some_and(|run| matches!(run.stage(), Stage::Running | Stage::Finished))
    }

    fn on_prepare(&mut self, plan: Arc<Plan>, now: Instant, out: &mut Vec<Action>) {
        let refuse = |text: &str| ToMaster::Refused(Refusal { run: plan.run, text: text.into(), differs: None });
        if self.leaving.is_some() {
            return self.say(refuse("the worker is about to end"), out);
        }
        let Some(run) = &mut self.run else {
            return self.open(plan, now, out);
        };
        let (is_same, revision) = (run.plan.run == plan.run, run.plan.revision);
        if let Some(data) = &plan.life.data {
            run.on_data(plan.run, data, out);
        }
        match run.stage() {
            // Answered once the lanes are open.
            Stage::Opening if is_same => {}
            Stage::Prepared | Stage::Running if is_same && plan.revision > revision => run.renew(plan, out),
            Stage::Prepared | Stage::Running if is_same => self.say(ToMaster::Prepared { run: plan.run, revision }, out),
            Stage::Finished if is_same => self.say(refuse("the run is over in this worker"), out),
            Stage::Finished if !run.ledger.is_handed_in() => self.say(refuse("the worker still has numbers of another run"), out),
            Stage::Running => self.say(refuse("the worker is busy with another run"), out),
            Stage::Abandoned { .. } => self.next = Some(plan),
            Stage::Opening | Stage::Prepared | Stage::Finished => {
                self.numbered.extend(run.numbered());
                if run.abandon(out) {
                    self.open(plan, now, out);
                } else {
                    self.next = Some(plan);
                }
            }
        }
    }

    fn on_orders(&mut self, orders: RunOrders, out: &mut Vec<Action>) {
        let zero = self.links.instant_of(orders.zero);
        if let Some(run) = self.run.as_mut().filter(|run| run.plan.run == orders.run)
            && run.on_orders(orders, zero, out)
        {
            self.send_total(out);
        }
    }

    fn on_answer(&mut self, answer: Answer, now: Instant) {
        self.links.on_answer(answer.echo, answer.clock, now);
        self.standstill.on_answer(self.links.own_instant(answer.echo));
        if let (Some(run), Some((acknowledged_run, sequence))) = (&mut self.run, answer.acknowledged)
            && run.plan.run == acknowledged_run
        {
            run.ledger.on_acknowledged(sequence);
        }
    }

    /// What follows from the state, whatever led to it.
    fn settle(&mut self, now: Instant, mut out: Vec<Action>) -> Vec<Action> {
        if self.has_ended {
            return Vec::new();
        }
        // Before anything is said: the answer to that ends the doubt.
        self.standstill.look(now);
        if self.run.is_none()
            && let Some(plan) = self.next.take()
        {
            self.open(plan, now, &mut out);
        }
        self.hand_in(now, &mut out);
        if self.is_through() {
            self.leave(now, &mut out);
        }
        self.go_if_possible(now, &mut out);
        match self.end {
            Some(end) => {
                self.has_ended = true;
                out.push(Action::Exit(end));
            }
            None => self.links.dial_if_due(now, &mut out),
        }
        out
    }

    fn open(&mut self, plan: Arc<Plan>, now: Instant, out: &mut Vec<Action>) {
        if self.numbered.contains(&plan.run) || self.numbered.len() >= RUNS_OF_A_NAME {
            return self.come_as_another(now, out);
        }
        self.asks = Asks::default();
        self.run = Some(Run::new(Arc::clone(&plan), self.config.keeps_total));
        out.push(Action::Open(plan));
    }

    /// Without a link nothing is said: what must be said after all follows from the state at the next Welcome.
    fn say(&self, message: ToMaster, out: &mut Vec<Action>) {
        if let Some(link) = self.links.master() {
            out.push(Action::Send(link, message));
        }
    }
}

/// A worker that has numbered so many runs takes another name, so that what it remembers has a bound.
const RUNS_OF_A_NAME: usize = 1_024;

#[cfg(test)]
mod tests;
