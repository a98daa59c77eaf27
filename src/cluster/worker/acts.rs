//! The run's setup and teardown, where the master asks this worker for them, and the data that users are given.

use std::sync::Arc;
use std::time::Instant;

use super::Worker;
use super::action::Action;
use super::memory::Acting;
use super::run::{Run, Stage};
use crate::cluster::message::ToMaster;
use crate::load::act::Acted;
use crate::plan::{Act, LifePlan, Plan, RunId};

impl Run {
    /// What the setup of a run returned, for all users: by itself, or with a plan that is asked for, in whichever revision.
    pub(super) fn on_data(&mut self, run: RunId, data: &str, out: &mut Vec<Action>) {
        let is_missing = self.plan.run == run && self.plan.life.data.is_none();
        if !is_missing || !matches!(self.stage(), Stage::Opening | Stage::Prepared | Stage::Running) {
            return;
        }
        let life = LifePlan { data: Some(data.to_owned()), ..self.plan.life.clone() };
        self.plan = Arc::new(Plan { life, ..(*self.plan).clone() });
        // Lanes that are being opened are given it when they are.
        if self.stage() != Stage::Opening {
            out.push(Action::GiveData(data.to_owned()));
        }
    }
}

impl Worker {
    /// The master asks for an act; again, where it cannot know whether this worker has heard.
    pub(super) fn on_act(&mut self, run: RunId, act: Act, out: &mut Vec<Action>) {
        let Some(current) = self.run.as_ref().filter(|current| current.plan.run == run) else { return };
        match &self.acting {
            Some(Acting { run: known, act: asked, acted }) if (*known, *asked) == (run, act) => {
                if let Some(acted) = acted.clone() {
                    self.say(ToMaster::Acted { run, act, acted }, out);
                }
            }
            // The question has crossed its word that it is about to end: another one is asked.
            _ if self.leaving.is_some() => {}
            _ => {
                out.push(Action::Act(Arc::clone(&current.plan), act));
                self.acting = Some(Acting { run, act, acted: None });
            }
        }
    }

    /// An act has come to its end.
    pub fn on_acted(&mut self, run: RunId, act: Act, acted: Acted, now: Instant) -> Vec<Action> {
        let mut out = Vec::new();
        if let Some(acting) = self.acting.as_mut().filter(|acting| (acting.run, acting.act) == (run, act)) {
            let acted = Arc::new(acted);
            acting.acted = Some(Arc::clone(&acted));
            self.say(ToMaster::Acted { run, act, acted }, &mut out);
        }
        self.settle(now, out)
    }

    /// A master lets go of a run: its act ends where it stands. What it has counted until then is told all the same, since the target has served it.
    fn cut_act(&mut self, run: RunId, out: &mut Vec<Action>) {
        self.acting.take_if(|acting| acting.run == run && acting.acted.is_some());
        if self.acting.as_ref().is_some_and(|acting| acting.run == run) {
            out.push(Action::DropAct);
        }
    }

    /// The run is none of this worker's any more: nobody waits for its act.
    pub(super) fn drop_act(&mut self, run: RunId, out: &mut Vec<Action>) {
        if let Some(acting) = self.acting.take_if(|acting| acting.run == run)
            && acting.acted.is_none()
        {
            out.push(Action::DropAct);
        }
    }

    /// A master lets go of a run.
    pub(super) fn on_abandon(&mut self, run: RunId, now: Instant, out: &mut Vec<Action>) {
        self.next.take_if(|plan| plan.run == run);
        self.cut_act(run, out);
        let Some(current) = self.run.as_mut().filter(|current| current.plan.run == run) else { return };
        self.numbered.extend(current.numbered());
        let requests = current.ledger.requests();
        let is_done = current.stage() == Stage::Finished && current.ledger.is_sealed() && !current.ledger.has_unacknowledged();
        out.push(if is_done {
            // How a master takes leave of a run that is over.
            Action::Log(log::Level::Debug, format!("run {run} is done with"))
        } else if matches!(current.stage(), Stage::Opening | Stage::Prepared) {
            Action::Log(log::Level::Info, format!("run {run} has ended before it began"))
        } else {
            let text = format!("run {run} is none of the master's: {requests} counted requests are dropped with it");
            Action::Log(log::Level::Warn, text)
        });
        if current.abandon(out) {
            self.run = None;
            if is_done && self.config.is_once && self.leaving.is_none() {
                self.leave(now, out);
            }
        }
    }

    /// The only run of a worker that has one is over; it stays where it may still be asked for the teardown.
    pub(super) fn is_through(&self) -> bool {
        let is_over = |run: &Run| run.stage() == Stage::Finished && run.ledger.is_handed_in() && run.plan.life.teardown.is_none();
        self.config.is_once && self.leaving.is_none() && self.run.as_ref().is_some_and(is_over)
    }
}
