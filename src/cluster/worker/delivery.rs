//! How numbers get to a master: what a new one is sent that holds less, and what is sealed as there is room for it.

use std::time::Instant;

use super::Worker;
use super::action::Action;
use super::run::Stage;
use crate::cluster::link::LinkId;
use crate::cluster::message::{ToMaster, Welcome};

impl Worker {
    pub(super) fn on_welcome(&mut self, link: LinkId, welcome: Welcome, now: Instant, out: &mut Vec<Action>) {
        let (held, wants_windows) = (welcome.held, welcome.wants_windows);
        self.links.on_welcome(link, welcome, now, out);
        self.standstill.on_welcome();
        self.formerly = None;
        out.push(Action::Log(log::Level::Info, "linked to the master".into()));
        if let Some(leaving) = &mut self.leaving {
            leaving.has_said_goodbye = false;
        }
        self.say_scripts(out);
        self.say_returned(out);
        // The master was told nothing of an abandoned run.
        let Some(run) = self.run.as_mut().filter(|run| !matches!(run.stage(), Stage::Abandoned { .. })) else { return };
        if wants_windows {
            let parts = run.ledger.window_parts();
            parts.into_iter().for_each(|message| self.say(message, out));
        }
        let Some(run) = self.run.as_mut() else { return };
        if run.ledger.on_held(held) {
            self.send_total(out);
        } else {
            let missing = run.ledger.acknowledged().saturating_sub(held.unwrap_or(0));
            if missing > 0 {
                let text = format!("the master has lost {missing} deltas of run {}, and no total was kept", run.plan.run);
                out.push(Action::Log(log::Level::Error, text));
            }
            let kept: Vec<_> = run.ledger.kept().cloned().collect();
            for delta in kept {
                let sent = self.links.on_spoken(now);
                self.say(ToMaster::Delta { sent, delta }, out);
            }
        }
        if let Some(run) = &self.run
            && run.stage() == Stage::Prepared
        {
            self.say(ToMaster::Prepared { run: run.plan.run, revision: run.plan.revision }, out);
        }
    }

    /// Seals and sends what may be sent.
    pub(super) fn hand_in(&mut self, now: Instant, out: &mut Vec<Action>) {
        let (Some(link), Some(run)) = (self.links.master(), &mut self.run) else { return };
        if matches!(run.stage(), Stage::Abandoned { .. }) {
            return;
        }
        let head = run.head();
        while let Some(delta) = run.ledger.seal(&head) {
            let sent = self.links.on_spoken(now);
            out.push(Action::Send(link, ToMaster::Delta { sent, delta }));
        }
    }

    pub(super) fn send_total(&mut self, out: &mut Vec<Action>) {
        if let (Some(link), Some(run)) = (self.links.master(), &mut self.run) {
            out.extend(run.ledger.begin_transfer().into_iter().map(|message| Action::Send(link, message)));
        }
    }
}
