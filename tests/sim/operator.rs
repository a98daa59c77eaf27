//! The person who starts, steers and stops runs: asks again where a request is refused or forgotten, and wants no more than that.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lunamoth::cluster::master::{Action, Master, Refused, Retarget, RunEnd, RunStart};
use lunamoth::plan::{LoadProfile, Plan, ProfileEnd, RunId};
use lunamoth::stats::snapshot::RunState;

use super::demands::thresholds_of;
use super::tamper::Tamper;
use super::world::{World, plan_of, wall};

/// What this person wants.
pub struct Operator {
    /// The run that was asked for last.
    pub plan: Arc<Plan>,
    pub asked_stop: bool,
    /// Which master was asked first to stop it, and when.
    pub first_stop: Option<(u32, Duration)>,
    /// The run was to end at once: which master was told, and when.
    pub cut: Option<(u32, Duration)>,
    /// How the run ended, and in which master.
    pub ended: Option<(u32, RunEnd)>,
    /// When the run was asked for.
    pub started: Duration,
    /// No iteration shall begin for now.
    pub wants_pause: bool,
    /// Once the run is over, another one with so many users at such a rate.
    pub wants_again: Option<(u32, u32)>,
    next_look: Duration,
    next_press: Duration,
}

impl Operator {
    pub const fn of(plan: Arc<Plan>) -> Self {
        Self {
            plan,
            asked_stop: false,
            first_stop: None,
            cut: None,
            ended: None,
            started: Duration::ZERO,
            wants_pause: false,
            wants_again: None,
            next_look: Duration::ZERO,
            next_press: Duration::ZERO,
        }
    }

    /// Another run shall be started.
    pub fn plan_next(&mut self, plan: Plan) {
        (self.plan, self.asked_stop, self.first_stop, self.cut, self.ended) = (Arc::new(plan), false, None, None, None);
    }

    pub fn next_run(&self) -> RunId {
        RunId(self.plan.run.0 + 1)
    }
}

impl World {
    /// Looks twice a second whether what is wanted is so.
    pub fn mind_operator(&mut self) {
        if self.now < self.operator.next_look {
            return;
        }
        self.operator.next_look = self.now + LOOK_INTERVAL;
        if let Some((users, spawn_rate)) = self.operator.wants_again {
            if self.is_over() {
                self.operator.wants_again = None;
                self.begin_anew(users, spawn_rate);
            } else {
                self.press_stop();
            }
        }
        let instant = self.master_instant();
        let is_paused = self.awake_master().is_some_and(|(master, _)| master.state(instant) == RunState::Paused);
        if is_paused && !self.operator.wants_pause && self.ask("resume", Master::on_resume) {
            // Another pause that follows at once is not this one.
            self.watch.paused_since = None;
        }
    }

    /// Whoever wants a run to end asks again, where a master that was killed may have forgotten it.
    pub fn press_stop(&mut self) {
        let is_ended_here = self.operator.ended.as_ref().is_some_and(|(master, _)| *master == self.master.number);
        if self.now >= self.operator.next_press && !is_ended_here {
            self.operator.next_press = self.now + Duration::from_secs(3);
            self.stop();
        }
    }

    pub fn stop(&mut self) {
        self.operator.asked_stop = true;
        if self.operator.first_stop.is_none() && self.awake_master().is_some() {
            self.operator.first_stop = Some((self.master.number, self.now));
        }
        self.ask("stop", |master, now| Ok(master.on_stop(now)));
    }

    pub fn cut_short(&mut self) {
        let cuts = self.tamper.as_ref().is_none_or(Tamper::cuts);
        let (run, instant) = (self.operator.plan.run, self.master_instant());
        let Some((master, number)) = self.awake_master().filter(|_| self.operator.ended.is_none()) else { return };
        let is_known = master.run().is_some_and(|(id, _)| id == run);
        let is_on = is_known && master.state(instant) != RunState::Stopped;
        // Who cuts a run that has not been started, or that this master has not heard of, ends nothing.
        self.operator.asked_stop |= is_known;
        self.operator.cut = is_on.then_some((number, self.now)).or(self.operator.cut);
        self.ask("cut", |master, now| Ok(if cuts { master.on_cut(now) } else { master.on_stop(now) }));
    }

    /// The master's process ends in order.
    pub fn close(&mut self) -> bool {
        self.ask("close", |master, _| Ok(master.on_close()))
    }

    pub fn pause(&mut self) {
        if self.operator.ended.is_none() && self.ask("pause", Master::on_pause) {
            self.operator.wants_pause = true;
            self.watch.on_paused(self.now);
        }
    }

    pub fn retarget(&mut self, users: u32, spawn_rate: u32) {
        let retarget = Retarget { users, spawn_rate: f64::from(spawn_rate), run_time: None };
        if self.operator.ended.is_none() && self.ask("re-target", |master, now| master.on_retarget(retarget, now)) {
            self.watch.on_retargeted(users, self.now);
        }
    }

    pub fn reset(&mut self) {
        let epoch = |world: &Self| world.master.machine.as_ref().and_then(Master::epoch);
        let before = epoch(self);
        if self.operator.ended.is_none() && self.ask("reset", |master, now| Ok(master.on_reset(now))) {
            self.watch.last_reset = Some(self.now);
            // One of a run that nobody has brought yet comes when somebody does.
            let snapshot = self.snapshot().filter(|_| epoch(self) > before);
            if let Some(left) = snapshot.filter(|left| left.total.requests > 0 || !left.holes.is_empty() || !left.overlaps.is_empty()) {
                let (requests, holes, overlaps) = (left.total.requests, left.holes.len(), left.overlaps.len());
                self.fail(format!("a reset leaves {requests} requests, {holes} holes and {overlaps} overlaps of before"));
            }
        }
    }

    pub fn revise(&mut self) {
        let instant = self.master_instant();
        let Some((master, _)) = self.awake_master().filter(|_| self.operator.ended.is_none()) else { return };
        let before = master.snapshot(instant);
        let newer = Plan { fingerprint: format!("{}+", before.fingerprint), ..(*self.operator.plan).clone() };
        self.ask("revise", |master, now| Ok(master.on_revise(Ok(newer), now)));
        let revision = self.awake_master().map_or(0, |(master, _)| master.snapshot(instant).revision);
        if before.run == self.operator.plan.run && revision > before.revision {
            self.watch.revised = Some((revision, self.now));
        }
    }

    pub fn start_run(&mut self) -> bool {
        let plan = self.operator.plan.clone();
        let plan = self.tamper.as_ref().map_or_else(|| plan.clone(), |tamper| tamper.start(&plan));
        let start = RunStart { thresholds: thresholds_of(&plan), plan, wall: wall(self.now) };
        let is_started = self.ask("start", |master, now| master.on_start(start, now).map_err(|why| Refused { why, actions: Vec::new() }));
        if is_started {
            self.operator.started = self.now;
            let profile = &self.operator.plan.profile;
            let target = match profile {
                lunamoth::plan::LoadProfile::Ramp(ramp) => ramp.stages.last().map_or(0, |stage| stage.users),
                lunamoth::plan::LoadProfile::Iterations(iterations) => iterations.users,
                lunamoth::plan::LoadProfile::Arrivals(_) | lunamoth::plan::LoadProfile::Several(_) => 0,
            };
            self.watch.target = (profile.end() == ProfileEnd::Hold).then_some(target);
            self.watch.disturb(self.now + Duration::from_secs(8) + self.slack());
        } else {
            self.stop_what_is_in_the_way();
        }
        is_started
    }

    /// A start is refused while another run is under way, and people are told to stop that: one that had ended in a master which is gone may have been
    /// brought to the next one by a worker that was out of reach.
    fn stop_what_is_in_the_way(&mut self) {
        let (instant, wanted) = (self.master_instant(), self.operator.plan.run);
        let is_over = |master: &Master| matches!(master.state(instant), RunState::Ready | RunState::Stopping | RunState::Stopped);
        let is_in_the_way = |master: &Master| master.run().is_some_and(|(id, _)| id != wanted) && !is_over(master);
        if self.now >= self.operator.next_press && self.awake_master().is_some_and(|(master, _)| is_in_the_way(master)) {
            self.operator.next_press = self.now + Duration::from_secs(3);
            self.ask("stop", |master, now| Ok(master.on_stop(now)));
        }
    }

    /// The run is over: another one is planned, and started as soon as it can be.
    fn begin_anew(&mut self, users: u32, spawn_rate: u32) {
        self.audit_amid_faults();
        let profile = LoadProfile::plain(users, f64::from(spawn_rate), None);
        self.operator.plan_next(plan_of(&self.scenario, self.operator.next_run(), profile));
        self.watch.renew();
        self.has_started = false;
    }

    /// Asks the master for something. False if it is not there, or refuses.
    fn ask(&mut self, what: &str, request: impl FnOnce(&mut Master, Instant) -> Result<Vec<Action>, Refused>) -> bool {
        let instant = self.master_instant();
        let is_awake = self.now >= self.master.frozen_until;
        let Some(master) = self.master.machine.as_mut().filter(|_| is_awake) else { return false };
        match request(master, instant) {
            Ok(actions) => {
                self.note(|| format!("somebody asks for: {what}"));
                self.do_master(actions);
                true
            }
            Err(Refused { why, actions }) => {
                if what != "start" {
                    self.note(|| format!("somebody asks for: {what}; refused: {why}"));
                }
                self.do_master(actions);
                false
            }
        }
    }

    fn awake_master(&self) -> Option<(&Master, u32)> {
        self.master.machine.as_ref().filter(|_| self.now >= self.master.frozen_until).map(|master| (master, self.master.number))
    }
}

const LOOK_INTERVAL: Duration = Duration::from_millis(500);
