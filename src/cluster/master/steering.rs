//! What people want of a run that is under way: other users, a pause, statistics from here on. Its start and its end are `master`'s.

use std::time::{Duration, Instant};

use super::action::Action;
use super::run::{Run, Stage};
use super::{Master, Refused, Rerate, Retarget};
use crate::cluster::record::Record;
use crate::plan::{LoadProfile, Plan};

impl Master {
    /// Somebody wants another number of users.
    ///
    /// # Errors
    /// No run is under way.
    pub fn on_retarget(&mut self, retarget: Retarget, now: Instant) -> Result<Vec<Action>, Refused> {
        self.on_retarget_of(0, retarget, now)
    }

    /// The same of one of several profiles.
    ///
    /// # Errors
    /// No run is under way.
    pub fn on_retarget_of(&mut self, profile: usize, retarget: Retarget, now: Instant) -> Result<Vec<Action>, Refused> {
        let mut out = Vec::new();
        self.refuse_while_awaited()?;
        self.settle(now, &mut out);
        let Some((run, mut turn)) = self.turn(now, &mut out).filter(|(run, _)| run.stage() == Stage::Live) else {
            return Err(Refused::without_run(out));
        };
        run.retarget(profile, retarget, &mut turn);
        let record = run.profile_as_told();
        self.keep(record, &mut out);
        Ok(out)
    }

    /// Somebody wants another rate of an open profile.
    ///
    /// # Errors
    /// No run is under way.
    pub fn on_rerate_of(&mut self, profile: usize, rerate: Rerate, now: Instant) -> Result<Vec<Action>, Refused> {
        let mut out = Vec::new();
        self.refuse_while_awaited()?;
        self.settle(now, &mut out);
        let Some((run, mut turn)) = self.turn(now, &mut out).filter(|(run, _)| run.stage() == Stage::Live) else {
            return Err(Refused::without_run(out));
        };
        run.rerate(profile, rerate, &mut turn);
        let record = run.profile_as_told();
        self.keep(record, &mut out);
        Ok(out)
    }

    /// What steers one of several profiles wants nothing more of it, at once or from a moment of the run's clock on.
    ///
    /// # Errors
    /// No run is under way.
    pub fn on_end_of(&mut self, profile: usize, at: Option<Duration>, now: Instant) -> Result<Vec<Action>, Refused> {
        let mut out = Vec::new();
        self.refuse_while_awaited()?;
        self.settle(now, &mut out);
        let Some((run, mut turn)) = self.turn(now, &mut out).filter(|(run, _)| run.stage() == Stage::Live) else {
            return Err(Refused::without_run(out));
        };
        run.close(profile, at, &mut turn);
        let record = run.profile_as_told();
        self.keep(record, &mut out);
        Ok(out)
    }

    /// The profile of the run that is under way; one that people have changed is as they have.
    #[must_use]
    pub fn profile(&self) -> Option<&LoadProfile> {
        self.run.as_ref().map(|run| &**run.profile())
    }

    /// The clock of the run that is under way.
    #[must_use]
    pub fn elapsed(&self, now: Instant) -> Duration {
        self.run.as_ref().map_or(Duration::ZERO, |run| run.elapsed(now))
    }

    /// Somebody wants no iteration to begin until they say so. Users keep what they have, and the run's clock goes on: the seconds of a
    /// pause stand in all rates, since the target had them, too.
    ///
    /// # Errors
    /// No run is under way.
    pub fn on_pause(&mut self, now: Instant) -> Result<Vec<Action>, Refused> {
        self.set_paused(true, now)
    }

    /// Somebody lets a paused run go on; one that is not paused goes on as it did.
    ///
    /// # Errors
    /// No run is under way.
    pub fn on_resume(&mut self, now: Instant) -> Result<Vec<Action>, Refused> {
        self.set_paused(false, now)
    }

    fn set_paused(&mut self, is_paused: bool, now: Instant) -> Result<Vec<Action>, Refused> {
        let mut out = Vec::new();
        self.refuse_while_awaited()?;
        self.settle(now, &mut out);
        let Some((run, mut turn)) = self.turn(now, &mut out).filter(|(run, _)| run.stage() == Stage::Live) else {
            return Err(Refused::without_run(out));
        };
        run.set_paused(is_paused, &mut turn);
        Ok(out)
    }

    /// Orders cannot be given before the first worker of a journal's run has brought its clock; workers that were told none go on by the
    /// plan, and must not lose their run to somebody's haste.
    fn refuse_while_awaited(&self) -> Result<(), Refused> {
        let is_awaited = self.run.as_ref().is_some_and(Run::is_awaited);
        let why = || format!("the run is being taken over from the master before: {AWAITED}");
        if is_awaited { Err(Refused { why: why(), actions: Vec::new() }) } else { Ok(()) }
    }

    /// What the script does on the master is wrong: the next tick cuts the run.
    pub fn on_misuse(&mut self, why: String) -> Vec<Action> {
        if let Some(run) = self.run.as_mut().filter(|run| !run.is_over()) {
            run.misuse(why);
        }
        Vec::new()
    }

    /// The epoch of the run's statistics: how often they were reset.
    #[must_use]
    pub fn epoch(&self) -> Option<u32> {
        self.run.as_ref().map(Run::epoch)
    }

    /// The running test shall take over the scripts of which `newer` was planned, or why they cannot be planned.
    pub fn on_revise(&mut self, newer: Result<Plan, String>, now: Instant) -> Vec<Action> {
        let mut out = Vec::new();
        let Some((run, mut turn)) = self.turn(now, &mut out).filter(|(run, _)| run.stage() == Stage::Live) else { return out };
        if let Some(plan) = run.on_newer(newer, &mut turn) {
            self.keep(Record::Revised { plan }, &mut out);
        }
        out
    }

    /// Somebody clears the statistics.
    pub fn on_reset(&mut self, now: Instant) -> Vec<Action> {
        let mut out = Vec::new();
        if self.run.as_ref().is_some_and(Run::is_awaited) {
            if let Some(run) = &mut self.run {
                run.want_reset();
            }
        } else {
            self.settle(now, &mut out);
        }
        if let Some((run, mut turn)) = self.turn(now, &mut out) {
            run.reset(now);
            let record = run.reset_record();
            // Before it has begun it has no clock, and nobody has orders.
            if !run.is_over() && run.zero().is_some() {
                run.order_all(&mut turn);
            }
            // A run that waits has no journal yet: what that begins with tells of the reset.
            if self.run.as_ref().is_some_and(|run| run.stage() != Stage::Waiting) {
                self.keep(record, &mut out);
            }
        }
        out
    }
}

impl Refused {
    /// Nothing can be asked of a run that is not there. One that was taken over for it may have turned out to be at its end: that is told all the same.
    fn without_run(actions: Vec<Action>) -> Self {
        Self { why: "no run is under way".into(), actions }
    }
}

/// What to do about a run of which nobody has come yet.
const AWAITED: &str = "none of its workers has come back yet; try again in some seconds, or stop the run";
