//! A worker without a master: it goes on by the plan, pauses or stops, and keeps its numbers for a while.

use std::time::{Duration, Instant};

use super::Worker;
use super::action::{Action, WorkerEnd};
use super::run::{Run, Stage};
use crate::cluster::message::Phase;

impl Worker {
    pub(super) fn on_master_lost(&self, how: &str, out: &mut Vec<Action>) {
        let what = match self.run.as_ref().map(Run::stage) {
            Some(Stage::Running) => ": the run goes on by its plan meanwhile",
            Some(Stage::Finished) => ": the numbers are kept for it",
            Some(Stage::Opening | Stage::Prepared | Stage::Abandoned { .. }) | None => "",
        };
        out.push(Action::Log(log::Level::Warn, format!("{how}{what}")));
    }

    /// What a worker does with its run while no master speaks.
    pub(super) fn mind_being_alone(&mut self, now: Instant, out: &mut Vec<Action>) {
        let (Some(since), Some(run)) = (self.links.alone_since(), &mut self.run) else { return };
        let rules = self.links.rules();
        let alone_for = now.saturating_duration_since(since);
        if alone_for < rules.timeout {
            // The silence that made it alone was as long as a pause waits; a link that broke has to be given that time.
            if rules.pauses && (self.links.master().is_some() || alone_for >= PAUSE_AFTER) {
                run.pause(out);
            }
            return;
        }
        let seconds = rules.timeout.as_secs();
        if self.links.is_greeting() {
            return; // A master was told of the run as it is, and may be giving it slots.
        }
        match run.stage() {
            Stage::Running if !run.is_ending() => {
                out.push(Action::Log(log::Level::Warn, format!("no master for {seconds} s: the users finish; the numbers are kept")));
                run.end(Phase::Stop, out);
            }
            Stage::Prepared => {
                out.push(Action::CloseLanes);
                self.run = None;
                // A master that speaks again on the old link would give slots to a worker that is in no run.
                self.links.leave(now, out);
            }
            Stage::Finished if alone_for >= rules.timeout.saturating_mul(2) => {
                let (run_id, requests) = (run.plan.run, run.ledger.unacknowledged_requests());
                let is_lost = run.ledger.has_unacknowledged();
                self.drop_run(now, out);
                if is_lost {
                    let text = format!("no master came for the numbers of run {run_id}: {requests} requests are lost");
                    out.push(Action::Log(log::Level::Error, text));
                }
                if self.config.is_once || self.leaving.is_some() {
                    self.end.get_or_insert(if is_lost { WorkerEnd::NumbersLost } else { WorkerEnd::Whole });
                }
            }
            _ => {}
        }
    }

    /// Drops a run that has begun, with numbers that a master may have in part: from here on the worker is another one. A numbering never
    /// begins anew under one name, so that a master that asks for the same run again cannot take one delta for another. Nor on the old link, where the
    /// master knows the old name.
    fn drop_run(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.run = None;
        self.come_as_another(now, out);
    }

    /// A run is asked for in which it has numbered and that it has dropped: for a master, too, that takes it over from others who had not heard
    /// of its end, it is another one, on another link.
    pub(super) fn come_as_another(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.take_another_name();
        self.links.leave(now, out);
    }

    fn take_another_name(&mut self) {
        self.numbered.clear();
        let old = self.config.id.clone();
        self.config.id.incarnation = old.incarnation.wrapping_add(1);
        self.formerly = Some(old);
    }
}

/// How long an orphan whose link broke goes on before it pauses, where orphans pause.
const PAUSE_AFTER: Duration = Duration::from_secs(3);
