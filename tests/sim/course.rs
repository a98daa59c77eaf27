//! The course of one simulated life: a run is started, things happen, all is healed, the run is stopped, the books are audited; then a
//! second run shows that everybody is well.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use lunamoth::cluster::master::Master;
use lunamoth::plan::{LoadProfile, ProfileEnd};
use lunamoth::stats::snapshot::WorkerState;

use super::scenario::{Demands, Scenario};
use super::tamper::Tamper;
use super::world::{World, plan_of};

/// How a life went wrong.
pub struct Failure {
    pub what: String,
    /// The last things that happened.
    pub trace: Vec<String>,
    pub scenario: Scenario,
}

/// Plays a scenario from beginning to end.
pub fn play(scenario: &Scenario, tamper: Option<&dyn Fn() -> Tamper>) -> Result<World, Box<Failure>> {
    let mut world = World::new(scenario.clone(), tamper.map(|make| make()), false);
    world.live_or_break_off();
    if world.violation.is_none() {
        return Ok(world);
    }
    // The same again, with somebody who writes down what happens.
    let mut again = World::new(scenario.clone(), tamper.map(|make| make()), true);
    again.live_or_break_off();
    let what = again.violation.unwrap_or_else(|| "not the same twice: the simulation is not deterministic".into());
    Err(Box::new(Failure { what, trace: again.trace.into_iter().flatten().collect(), scenario: scenario.clone() }))
}

impl World {
    /// A machine that panics is what is wrong with this life: other lives go on, and its seed is known.
    fn live_or_break_off(&mut self) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.live())) {
            let words = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
            self.fail(format!("a panic: {}", words.unwrap_or("without words")));
        }
    }

    pub fn live(&mut self) {
        self.live_until(self.scenario.healed());
        let patience = Duration::from_secs(90) + self.scenario.orphan_timeout;
        self.go_on(patience, |world| world.operator.wants_again.is_none());
        if self.operator.wants_again.is_some() {
            return self.fail("the run does not end".into());
        }
        self.need_a_worker();
        self.go_on(Duration::from_secs(40), |world| {
            world.has_started = world.has_started || world.start_if_ready();
            world.has_started
        });
        if !self.has_started {
            return self.fail("the run could not be started".into());
        }
        self.bring_to_end();
        self.second_run();
        self.end_in_order();
    }

    /// The first run from where it is up to a moment of the simulated clock, with all that happens to it.
    pub fn live_until(&mut self, until: Duration) {
        while self.violation.is_none() && self.now < until {
            self.step();
            while let Some((_, event)) = self.to_come.pop_front_if(|(at, _)| *at <= self.now) {
                self.suffer(&event);
            }
            self.has_started = self.has_started || self.start_if_ready();
        }
    }

    /// Starts the run once enough workers are there.
    fn start_if_ready(&mut self) -> bool {
        let is_patient = self.now < Duration::from_secs(6) && !self.scenario.seed.is_multiple_of(5);
        let Some(master) = &self.master.machine else { return false };
        if self.now < Duration::from_secs(1) || is_patient && master.worker_count() < self.scenario.workers {
            return false;
        }
        self.start_run()
    }

    fn bring_to_end(&mut self) {
        let quiet = self.scenario.stops_in_quiet;
        if quiet {
            let is_ended = |world: &mut Self| world.operator.ended.is_some();
            // Users climb to their level from when they have begun: once all are ready, and the setup is over.
            let has_begun = |world: &mut Self| world.running().any(|(_, lanes)| lanes.has_begun());
            self.go_on(SET_UP_WITHIN + self.slack(), |world| is_ended(world) || has_begun(world));
            self.go_on(QUIET.max(self.climb_left() + LEVEL_SEEN) + self.slack(), is_ended);
            // Nobody has the clock of a run that the only one who comes back has not begun.
            let has_begun = self.running().any(|(_, lanes)| lanes.has_begun());
            let stood_still = self.operator.ended.is_some() || !has_begun || self.is_finite();
            let is_level = self.operator.plan.profile.end() == ProfileEnd::Hold;
            if self.violation.is_none() && !stood_still && is_level && self.watch.quiet_looks == 0 {
                return self.fail("there was no quiet after everything was healed".into());
            }
        }
        let patience = Duration::from_secs(90) + self.scenario.orphan_timeout;
        self.go_on(patience, |world| {
            world.press_stop();
            world.is_over()
        });
        if !self.is_over() {
            return self.fail("the run does not end".into());
        }
        self.go_on(LATE_NUMBERS + self.slack(), |_| false);
        self.audit();
    }

    /// How long the plan's stages last from here on: while they move users no number of them stands for long enough to be looked at.
    pub fn climb_left(&self) -> Duration {
        let elapsed = self
            .master
            .machine
            .as_ref()
            .and_then(Master::run)
            .and_then(|(_, zero)| zero)
            .map_or(Duration::ZERO, |zero| self.master_instant().saturating_duration_since(zero));
        let stages: Duration = match &self.operator.plan.profile {
            LoadProfile::Ramp(ramp) => ramp.stages.iter().map(|stage| stage.over).sum(),
            LoadProfile::Arrivals(arrivals) => arrivals.stages.iter().map(|stage| stage.over).sum(),
            LoadProfile::Iterations(_) | LoadProfile::Several(_) => Duration::ZERO,
        };
        stages.saturating_sub(elapsed)
    }

    /// The run has ended, or never began, or nobody is left who knows of it.
    pub fn is_over(&self) -> bool {
        let knows = self.master.machine.as_ref().and_then(|master| master.run()).is_some_and(|(id, _)| id == self.operator.plan.run);
        // While no master is there, its journal may still know.
        let is_forgotten = !knows && self.master.machine.is_some() && self.now > self.master.born + Duration::from_secs(20);
        self.operator.ended.as_ref().is_some_and(|(master, _)| *master == self.master.number)
            || is_forgotten && (!self.watch.has_begun || self.has_vanished() || self.operator.ended.is_some())
    }

    /// The run's end amid faults: nothing may be there that was not served, nor be missing that this master has acknowledged.
    pub fn audit_amid_faults(&mut self) {
        let run = self.operator.plan.run;
        self.master.keeper.turn_to(run);
        let (Some(snapshot), Some(master)) = (self.snapshot(), &self.master.machine) else { return };
        if self.violation.is_some() || master.run().is_none_or(|(id, _)| id != run) || !self.watch.has_begun {
            return;
        }
        if let Err(why) = self.books.audit_amid_faults(run, &snapshot, &self.master.keeper, master.epoch().unwrap_or(0)) {
            self.fail(format!("at the end of run {run}, {why}"));
        }
    }

    fn audit(&mut self) {
        let run = self.operator.plan.run;
        self.master.keeper.turn_to(run);
        let (Some(snapshot), Some(master)) = (self.snapshot(), &self.master.machine) else { return };
        if self.violation.is_some() || master.run().is_none_or(|(id, _)| id != run) || !self.watch.has_begun {
            return;
        }
        let epoch = master.epoch().unwrap_or(0);
        let audit = self
            .check_rates_and_rest(&snapshot)
            .and_then(|()| self.check_complete(&snapshot, epoch))
            .and_then(|()| self.books.audit(run, &snapshot, &self.master.keeper, epoch))
            .and_then(|()| self.check_overlaps(&snapshot))
            .and_then(|()| self.check_takings(&snapshot))
            .and_then(|()| self.check_demands(&snapshot, epoch))
            .and_then(|()| self.check_history(&snapshot, epoch));
        if let Err(why) = audit {
            return self.fail(format!("at the end, {why}"));
        }
        self.results.push(snapshot.clone());
        let staying: Vec<usize> = self.alive().filter(|seat| !self.seats[*seat].is_leaving).collect();
        for seat in staying {
            let id = self.seats[seat].id.to_string();
            let view = snapshot.workers.iter().find(|view| view.id == id);
            if view.is_none_or(|view| view.state != WorkerState::Ready || view.users > 0) {
                return self.fail(format!("after the run worker {seat} is {:?}", view.map(|view| (view.state, view.users))));
            }
        }
    }

    fn second_run(&mut self) {
        if self.violation.is_some() {
            return;
        }
        self.need_a_worker();
        self.scenario.life = None;
        self.scenario.habits.halts = None;
        self.scenario.habits.demands = self.scenario.habits.demands.map(|demands| Demands { ends_from: None, ..demands });
        self.operator.plan_next(plan_of(&self.scenario, self.operator.next_run(), LoadProfile::plain(13, 50.0, None)));
        self.watch.renew();
        let mut has_started = false;
        self.go_on(Duration::from_secs(45), |world| {
            has_started = has_started || world.start_run();
            has_started
        });
        if !has_started {
            return self.fail("no second run can be started".into());
        }
        if self.scenario.habits.acts {
            // Users begin when its setup is over.
            self.go_on(SET_UP_WITHIN + self.slack(), |world| world.running().any(|(_, lanes)| lanes.has_begun()));
        }
        self.watch.settle_by(self.now + Duration::from_secs(9) + self.slack());
        self.go_on(Duration::from_secs(13) + self.slack() * 2, |_| false);
        if self.violation.is_none() && self.watch.quiet_looks == 0 {
            return self.fail("the second run does not come to its level".into());
        }
        self.stop();
        self.go_on(Duration::from_secs(30), |world| world.operator.ended.is_some());
        match &self.operator.ended {
            None => return self.fail("the second run does not end".into()),
            Some((_, end)) if end.failure.is_some() || !end.is_complete => {
                let text = format!("the second run ended as {end:?}");
                return self.fail(text);
            }
            Some(_) => {}
        }
        self.go_on(Duration::from_secs(3), |_| false);
        self.audit();
    }

    /// Nobody starts a run where no worker is left.
    fn need_a_worker(&mut self) {
        if !self.seats.iter().any(|seat| (seat.is_alive() || seat.starts_at.is_some()) && !seat.is_leaving) {
            self.add_seat(self.now);
        }
    }

    /// Lets time pass until `is_done` or for so long.
    pub fn go_on(&mut self, at_most: Duration, mut is_done: impl FnMut(&mut Self) -> bool) {
        let until = self.now + at_most;
        while self.violation.is_none() && self.now < until && !is_done(self) {
            self.step();
        }
    }
}

/// From the last fault to the stop: time enough for quiet.
const QUIET: Duration = Duration::from_secs(26);
/// From the end of the last stage on: who is to go has gone and that is told, and all users have been counted.
const LEVEL_SEEN: Duration = Duration::from_secs(10);
/// All are ready, and one of them has done the setup.
const SET_UP_WITHIN: Duration = Duration::from_secs(20);
/// Numbers that come after a run's end are in its table by then.
const LATE_NUMBERS: Duration = Duration::from_secs(14);
