//! How a run that is under way takes changed scripts over, and what people are told of it: the plan's next revision goes to all workers, and
//! to those that cannot follow yet again and again.
//!
//! What may change in mid-run is [`Plan::revised`]'s.

use std::sync::Arc;
use std::time::Duration;

use super::super::peers::{PeerNumber, Peers};
use super::super::turn::Turn;
use super::Run;
use super::part::{Behind, Part, PartStage};
use crate::cluster::message::{ToWorker, WorkerId};
use crate::plan::Plan;

impl Run {
    /// Takes over the scripts of which `newer` was planned, if the running test can; says so if it cannot, or if they cannot be planned. Answers the
    /// plan's next revision, where there is one.
    pub fn on_newer(&mut self, newer: Result<Plan, String>, turn: &mut Turn<'_>) -> Option<Arc<Plan>> {
        let revised = match newer {
            Ok(newer) if !newer.fingerprint.is_empty() && newer.fingerprint == self.plan.fingerprint => {
                // Changed, and changed back.
                self.unrevised = None;
                return None;
            }
            Ok(newer) => self.plan.revised(newer).map_err(|why| why.to_string()),
            Err(why) => Err(why),
        };
        match revised {
            Ok(plan) => {
                self.revise(Arc::new(plan), turn);
                Some(Arc::clone(&self.plan))
            }
            Err(why) => {
                let text =
                    format!("the running test goes on with the scripts that it has, for the changed ones cannot be taken over: {why}");
                if self.unrevised.as_ref() != Some(&text) {
                    turn.log(log::Level::Error, text.clone());
                }
                self.unrevised = Some(text);
                None
            }
        }
    }

    fn revise(&mut self, plan: Arc<Plan>, turn: &mut Turn<'_>) {
        let now = turn.now;
        let fingerprint = plan.fingerprint.get(..SHORT_DIGITS).unwrap_or("each worker has it");
        let text = format!(
            "users take `{}` over as of {fingerprint} (revision {}), each after the iteration that it is in",
            plan.script, plan.revision
        );
        turn.log(log::Level::Info, text);
        self.plan = plan;
        self.revised = Some(self.elapsed(now));
        self.unrevised = None;
        for (&number, part) in &mut self.parts {
            if part.is_here() && part.stage != PartStage::Finished && !part.has_given_up {
                part.behind = Some(Behind { at: now, why: None });
                turn.send(number, ToWorker::Prepare(self.plan.clone()));
            }
        }
    }

    /// A worker has said which revision it has.
    pub fn on_revision(&mut self, number: PeerNumber, revision: u32, turn: &mut Turn<'_>) {
        let newest = self.plan.revision;
        let Some(part) = self.parts.get_mut(&number) else { return };
        part.revision = revision;
        if part.behind.is_some() && revision == newest {
            part.behind = None;
            turn.log(log::Level::Info, format!("Client '{}' has revision {newest}", turn.peers.get(number).hello.worker));
        }
    }

    /// Asks those again who have not taken the newest revision over: a kubelet brings a change to one machine after the other.
    pub(super) fn ask_those_behind(&mut self, every: Duration, turn: &mut Turn<'_>) {
        let now = turn.now;
        let newest = self.plan.revision;
        for (&number, part) in &mut self.parts {
            let is_behind = part.can_run() && part.revision < newest;
            let is_due = part.behind.as_ref().is_none_or(|behind| now.saturating_duration_since(behind.at) >= every);
            if is_behind && is_due {
                part.behind.get_or_insert(Behind { at: now, why: None }).at = now;
                turn.send(number, ToWorker::Prepare(self.plan.clone()));
            }
        }
    }

    /// What people must know of scripts that changed in mid-run: that the numbers are of several versions, and where the newest is not taken
    /// over.
    pub fn revision_warnings(&self, peers: &Peers) -> Vec<String> {
        let newest = self.plan.revision;
        let mut warnings = Vec::new();
        if newest > 0 {
            // A master that took the run over does not know when that was.
            let since = self.revised.map(|at| format!(", the last time at {:02}:{:02}", at.as_secs() / 60, at.as_secs() % 60));
            let times = if newest == 1 { "once".to_owned() } else { format!("{newest} times") };
            let since = since.unwrap_or_default();
            warnings
                .push(format!("the running test has taken a changed script over {times}{since}: its numbers are of all versions together"));
        }
        if self.is_over() {
            return warnings;
        }
        warnings.extend(self.unrevised.clone());
        let behind = || self.parts.iter().filter(|(_, part)| part.is_here() && part.can_run() && part.revision < newest);
        let workers = self.parts.values().filter(|part| part.can_run()).count();
        if let Some((&number, part)) = behind().next() {
            let host = &peers.get(number).hello.worker.host;
            let why = part.behind.as_ref().and_then(|behind| behind.why.as_deref()).unwrap_or("it has not answered yet");
            warnings.push(format!("{} of {workers} workers run an older revision of the script: {host}: {why}", behind().count()));
        }
        warnings
    }
}

impl Part {
    /// The worker cannot take the changed script over, and goes on with the one that it has. It is asked again and again; people are told
    /// when its answer changes.
    pub(super) fn on_renewal_refused(&mut self, id: &WorkerId, why: String, turn: &mut Turn<'_>) {
        let behind = self.behind.get_or_insert(Behind { at: turn.now, why: None });
        if behind.why.as_ref() != Some(&why) {
            turn.log(log::Level::Warn, format!("Client '{id}' goes on with the script that it has: {why}"));
            behind.why = Some(why);
        }
    }
}

/// As many digits of a fingerprint as other lines of the log show.
const SHORT_DIGITS: usize = 12;
