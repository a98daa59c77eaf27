//! Setup and teardown, as workers do them in simulated lives: each takes its time, and returns what no other one returns.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lunamoth::cluster::master::RunEnd;
use lunamoth::load::act::Acted;
use lunamoth::plan::{Act, RunId};
use lunamoth::stats::tally::Tally;

use super::world::World;

/// An act that a worker does.
#[derive(Debug, Clone, Copy)]
pub struct Acting {
    run: RunId,
    act: Act,
    since: Duration,
    ends: Duration,
    /// Which master asked for it.
    master: u32,
}

/// What was done for whole runs.
#[derive(Debug, Default)]
pub struct Deeds {
    /// What the users of a run were given that the setup returned.
    data: BTreeMap<RunId, String>,
    torn_down: BTreeSet<RunId>,
    setups: u64,
}

impl World {
    pub fn begin_act(&mut self, seat: usize, run: RunId, act: Act) {
        let takes = self.whim.millis(50, 3_000);
        self.note(|| format!("worker {seat} does the {act} of run {run}"));
        if self.seats[seat].acting.is_some() {
            return self.fail(format!("worker {seat} does two things at once"));
        }
        // Whoever is out of reach may be at it still; one that was when another one was asked may hear late that it had been asked before; one that was
        // shortly before it began may be found lost while its words are on their way; and of one that a former master asked the next one knows nothing.
        let (now, master) = (self.now, self.master.number);
        let goes_on = |other: usize| {
            let place = &self.seats[other];
            let is_heard = |since: Duration| [other, seat].iter().all(|one| self.was_in_touch(*one, since));
            place.acting.is_some_and(|it| (it.run, it.act, it.master) == (run, act, master) && is_heard(it.since))
                && now >= place.frozen_until
        };
        let twice = self.alive().find(|&other| goes_on(other));
        if let Some(other) = twice {
            return self.fail(format!("workers {other} and {seat} do the {act} of run {run} at the same time"));
        }
        if let Some(other) = self.gets_ready().filter(|_| act == Act::Setup) {
            return self.fail(format!("the setup of run {run} begins while worker {other} gets ready"));
        }
        let busy = self.alive().find(|&other| self.has_users_in_touch(other, run));
        if let Some(other) = busy.filter(|_| act == Act::Teardown) {
            return self.fail(format!("the teardown of run {run} begins while worker {other} has users"));
        }
        self.seats[seat].acting = Some(Acting { run, act, since: now, ends: now + takes, master });
    }

    fn has_users_in_touch(&self, seat: usize, run: RunId) -> bool {
        let is_heard = self.watch.hears_since(seat).is_some_and(|since| since + IN_TOUCH + self.slack() < self.now);
        let lanes = self.seats[seat].lanes.as_ref().filter(|lanes| lanes.run() == run && lanes.has_begun() && !lanes.is_finished);
        is_heard && self.now > self.seats[seat].frozen_until + IN_TOUCH && lanes.is_some_and(|lanes| lanes.users() > 0)
    }

    /// An act that has taken its time is over.
    pub fn finish_act(&mut self, seat: usize) {
        let now = self.now;
        let Some(Acting { run, act, since, .. }) = self.seats[seat].acting.take_if(|acting| acting.ends <= now) else { return };
        self.deeds.setups += u64::from(act == Act::Setup);
        if act == Act::Teardown {
            self.deeds.torn_down.insert(run);
        }
        let result = Ok(format!("{{\"number\":{}}}", self.deeds.setups));
        let (acted, instant) = (Acted { result, took: now - since, tally: Tally::default() }, self.instant_of(seat));
        if let Some(worker) = &mut self.seats[seat].machine {
            let actions = worker.on_acted(run, act, acted, instant);
            self.do_worker(seat, actions);
        }
    }

    pub fn give_data(&mut self, seat: usize, data: String) {
        self.note(|| format!("worker {seat}: lanes have {data}"));
        if let Some(lanes) = &mut self.seats[seat].lanes {
            lanes.data = Some(data);
        }
    }

    /// Lanes are about to begin: all users of a run have what one setup returned.
    pub fn check_set_up(&mut self, seat: usize) {
        let Some(lanes) = self.seats[seat].lanes.as_ref().filter(|_| self.scenario.habits.acts) else { return };
        let (run, data) = (lanes.run(), lanes.data.clone());
        let known = self.deeds.data.get(&run);
        match data {
            None => self.fail(format!("worker {seat} begins run {run} before its setup is over")),
            Some(data) if known.is_some_and(|known| *known != data) => {
                self.fail(format!("worker {seat} begins run {run} with what another setup returned"));
            }
            Some(data) => drop(self.deeds.data.insert(run, data)),
        }
    }

    /// A run is over. Where all its numbers are there and somebody could do it, its teardown was done.
    pub fn check_torn_down(&mut self, end: &RunEnd) {
        let run = self.operator.plan.run;
        if !self.scenario.habits.acts || end.failure.is_some() || !self.watch.has_begun || self.deeds.torn_down.contains(&run) {
            return;
        }
        let is_told = self.snapshot().is_some_and(|snapshot| snapshot.warnings.iter().any(|warning| warning.contains("teardown")));
        if !is_told {
            self.fail(format!("run {run} is over without its teardown, and nobody is told"));
        }
    }
}

/// Orders have come to whoever was in touch for so long.
const IN_TOUCH: Duration = Duration::from_secs(5);
