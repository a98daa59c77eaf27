//! What the lanes want of the master, for rows that are given out once and of the board: questions on their way, until they are answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Worker;
use super::action::Action;
use super::memory::Said;
use super::run::Stage;
use crate::cluster::message::ToMaster;
use crate::load::errand::{BoardWord, Errand};
use crate::load::stock::{Ask, Grant, Leftover};
use crate::plan::RunId;

impl Worker {
    /// The lanes want rows.
    pub fn on_ask(&mut self, ask: Ask, now: Instant) -> Vec<Action> {
        let mut out = Vec::new();
        self.asks.open.insert(ask.source.clone(), (ask, None));
        self.say_asks(now, &mut out);
        self.settle(now, out)
    }

    /// Rows that the lanes were given and that nobody is left to take here, though the run goes on.
    pub fn on_leftover(&mut self, run: RunId, leftover: Leftover, now: Instant) -> Vec<Action> {
        let mut out = Vec::new();
        if self.run.as_ref().is_some_and(|current| current.plan.run == run) {
            self.say(ToMaster::Leftover { run, leftover: leftover.clone() }, &mut out);
            self.asks.returned.insert(leftover.source.clone(), leftover);
        }
        self.settle(now, out)
    }

    /// Says again what went back: it may have been lost with the last link. A master that knows of it is not disturbed.
    pub(super) fn say_returned(&self, out: &mut Vec<Action>) {
        let Some(run) = &self.run else { return };
        for leftover in self.asks.returned.values() {
            self.say(ToMaster::Leftover { run: run.plan.run, leftover: leftover.clone() }, out);
        }
    }

    /// Users ask something of the board; the errand before is answered.
    pub fn on_errand(&mut self, errand: Errand, now: Instant) -> Vec<Action> {
        let mut out = Vec::new();
        self.asks.errand = Some((Arc::new(errand), None));
        self.say_asks(now, &mut out);
        self.settle(now, out)
    }

    /// Says what has not been said for a second, or not on this link: a master that was not there, or not ready, did not answer.
    pub(super) fn say_asks(&mut self, now: Instant, out: &mut Vec<Action>) {
        let (Some(link), Some(run)) = (self.links.master(), &self.run) else { return };
        let (run, is_running) = (run.plan.run, run.stage() == Stage::Running);
        let is_due = |said: &mut Said| {
            let is_due = said.is_none_or(|(at, on)| on != link || now.saturating_duration_since(at) >= AGAIN);
            if is_due {
                *said = Some((now, link));
            }
            is_due
        };
        for (ask, said) in self.asks.open.values_mut() {
            if is_due(said) {
                out.push(Action::Send(link, ToMaster::Ask { run, ask: ask.clone() }));
            }
        }
        if let Some((errand, said)) = &mut self.asks.errand
            && is_running
            && is_due(said)
        {
            out.push(Action::Send(link, ToMaster::Errand { run, errand: Arc::clone(errand) }));
        }
    }

    pub(super) fn on_grant(&mut self, run: RunId, grant: Grant, out: &mut Vec<Action>) {
        let is_asked = self.asks.open.get(&grant.source).is_some_and(|(ask, _)| ask.number == grant.number);
        if is_asked && self.run.as_ref().is_some_and(|current| current.plan.run == run) {
            self.asks.open.remove(&grant.source);
            out.push(Action::Grant(grant));
        }
    }

    pub(super) fn on_board(&mut self, run: RunId, word: BoardWord, out: &mut Vec<Action>) {
        if self.run.as_ref().is_none_or(|current| current.plan.run != run) {
            return;
        }
        if let BoardWord::Reply(reply) = &word
            && self.asks.errand.take_if(|(errand, _)| errand.number == reply.number).is_none()
        {
            return;
        }
        out.push(Action::Board(word));
    }
}

/// How long an answer may take before the question is said again.
const AGAIN: Duration = Duration::from_secs(1);
