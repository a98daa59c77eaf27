//! A worker on its way out: users finish, numbers are handed in, then goodbye.

use std::time::{Duration, Instant};

use super::Worker;
use super::action::{Action, WorkerEnd};
use super::memory::Leaving;
use super::run::Stage;
use crate::cluster::message::{Phase, ToMaster};

impl Worker {
    /// Somebody ends the worker for the second time: the users are dropped, and the numbers have little time left.
    pub(super) fn hurry(&mut self, now: Instant, out: &mut Vec<Action>) {
        if let Some(leaving) = &mut self.leaving {
            leaving.deadline = leaving.deadline.min(now + LAST_WORDS);
        }
        if let Some(run) = &mut self.run {
            run.end(Phase::Cut, out);
        }
    }

    pub(super) fn leave(&mut self, now: Instant, out: &mut Vec<Action>) {
        let stop_timeout = self.run.as_ref().map_or(Duration::ZERO, |run| run.plan.settings.stop_timeout);
        self.leaving = Some(Leaving { deadline: now + stop_timeout + HAND_IN, has_said_goodbye: false });
        self.next = None;
        // The master has it done by another one, which must not be at it at the same time.
        if let Some(id) = self.run.as_ref().map(|run| run.plan.run) {
            self.drop_act(id, out);
        }
        if let Some(run) = &mut self.run {
            if run.stage() == Stage::Opening {
                run.abandon(out);
            }
            run.end(Phase::Stop, out);
            if run.stage() != Stage::Finished || !run.ledger.is_handed_in() {
                self.say(ToMaster::Leaving, out);
            }
        }
    }

    /// Says goodbye, or ends, where nothing is in the way.
    pub(super) fn go_if_possible(&mut self, now: Instant, out: &mut Vec<Action>) {
        let Some(leaving) = &mut self.leaving else { return };
        if now >= leaving.deadline {
            return self.exit(out);
        }
        if self.run.as_ref().is_some_and(|run| run.stage() != Stage::Finished) {
            return;
        }
        if self.links.master().is_some() {
            if !leaving.has_said_goodbye && self.run.as_ref().is_none_or(|run| run.ledger.is_sealed()) {
                leaving.has_said_goodbye = true;
                if let Some(lines) = self.log.take(now) {
                    self.say(ToMaster::Log(lines), out);
                }
                self.say(ToMaster::Goodbye, out);
            }
        } else if !self.run.as_ref().is_some_and(|run| run.ledger.can_restore() || run.ledger.has_unacknowledged()) {
            self.exit(out);
        }
    }

    pub(super) fn exit(&mut self, out: &mut Vec<Action>) {
        let run = self.run.as_ref().filter(|run| !matches!(run.stage(), Stage::Abandoned { .. }));
        // While lanes run there are numbers that were not even gathered.
        let is_lost = run.is_some_and(|run| run.ledger.has_unacknowledged() || run.stage() == Stage::Running);
        if let Some(run) = run.filter(|_| is_lost) {
            let requests = run.ledger.unacknowledged_requests();
            out.push(Action::Log(log::Level::Error, format!("run {}: {requests} requests were not handed in and are lost", run.plan.run)));
        }
        self.end.get_or_insert(if is_lost { WorkerEnd::NumbersLost } else { WorkerEnd::Whole });
    }
}

/// How long a leaving worker tries to hand in its numbers once its users must have finished.
const HAND_IN: Duration = Duration::from_secs(15);
/// The same for one that was told twice.
const LAST_WORDS: Duration = Duration::from_millis(900);
