//! Rows that are given out once in the cluster: the lanes' questions on their way to a master, until they are answered.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Action, Worker};
use crate::cluster::message::ToMaster;
use crate::load::stock::{Ask, Grant};
use crate::plan::RunId;

/// Questions without an answer, by source: one each.
#[derive(Debug, Default)]
pub(super) struct Asks {
    open: BTreeMap<String, (Ask, Option<Instant>)>,
}

impl Worker {
    /// The lanes want rows.
    pub fn on_ask(&mut self, ask: Ask, now: Instant) -> Vec<Action> {
        let mut out = Vec::new();
        self.asks.open.insert(ask.source.clone(), (ask, None));
        self.say_asks(now, &mut out);
        self.settle(now, out)
    }

    /// Says what has not been said for a second: a master that was not there, or not ready, did not answer.
    pub(super) fn say_asks(&mut self, now: Instant, out: &mut Vec<Action>) {
        let (Some(link), Some(run)) = (self.links.master(), &self.run) else { return };
        for (ask, said) in self.asks.open.values_mut() {
            if said.is_none_or(|said| now.saturating_duration_since(said) >= AGAIN) {
                *said = Some(now);
                out.push(Action::Send(link, ToMaster::Ask { run: run.plan.run, ask: ask.clone() }));
            }
        }
    }

    pub(super) fn on_grant(&mut self, run: RunId, grant: Grant, out: &mut Vec<Action>) {
        let is_asked = self.asks.open.get(&grant.source).is_some_and(|(ask, _)| ask.number == grant.number);
        if is_asked && self.run.as_ref().is_some_and(|current| current.plan.run == run) {
            self.asks.open.remove(&grant.source);
            out.push(Action::Grant(grant));
        }
    }
}

/// How long an answer may take before the question is said again.
const AGAIN: Duration = Duration::from_secs(1);
