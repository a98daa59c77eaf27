//! What a worker tells of its folder of scripts: what it held at the start stands in the `Hello`; what comes later is told when it comes, and on each
//! link that follows. And how a run that is under way takes changed scripts over.

use std::sync::Arc;

use super::Worker;
use super::action::{Action, OpenRefusal};
use super::run::{Run, Stage};
use crate::cluster::message::{Refusal, Scripts, ToMaster};
use crate::plan::Plan;

impl Worker {
    /// The folder of scripts has changed and was compiled, or could not be: then what was there before stays. A run that is under way goes on as it was.
    pub fn on_scripts(&mut self, compiled: Result<(String, String), String>) -> Vec<Action> {
        let mut out = Vec::new();
        let error = match compiled {
            Ok((script, fingerprint)) => {
                (self.config.script, self.config.fingerprint) = (script, fingerprint);
                None
            }
            Err(mut why) => {
                why.truncate(why.floor_char_boundary(ERROR_BYTES));
                Some(why)
            }
        };
        self.script_error = Some(error);
        self.say_scripts(&mut out);
        out
    }

    /// Whether this is what was asked for last, and the lanes shall take over.
    #[must_use]
    pub fn awaits(&self, plan: &Plan) -> bool {
        let is_live = |run: &Run| run.plan.run == plan.run && matches!(run.stage(), Stage::Prepared | Stage::Running);
        self.run.as_ref().is_some_and(|run| is_live(run) && run.awaits(plan))
    }

    /// The lanes have been told to take the script of this plan over, or it could not be compiled: then they go on with what they have.
    pub fn on_renewed(&mut self, plan: &Arc<Plan>, renewed: Result<(), OpenRefusal>) -> Vec<Action> {
        let mut out = Vec::new();
        if !self.awaits(plan) {
            return out;
        }
        if let Some(run) = &mut self.run {
            run.on_renewed(plan, renewed.is_ok());
        }
        match renewed {
            Ok(()) => {
                self.refused = None;
                self.say(ToMaster::Prepared { run: plan.run, revision: plan.revision }, &mut out);
            }
            Err(OpenRefusal { text, differs }) => {
                let refused = Some((plan.run, text.clone()));
                if self.refused != refused {
                    out.push(Action::Log(log::Level::Warn, format!("run {} goes on with the script that it has: {text}", plan.run)));
                    self.refused = refused;
                }
                self.say(ToMaster::Refused(Refusal { run: plan.run, text, differs }), &mut out);
            }
        }
        out
    }

    /// Says what has come to differ from what the worker began with. A master that has lost nothing hears nothing else by it.
    pub(super) fn say_scripts(&self, out: &mut Vec<Action>) {
        if let Some(error) = &self.script_error {
            let scripts =
                Scripts { script: self.config.script.clone(), fingerprint: self.config.fingerprint.clone(), error: error.clone() };
            self.say(ToMaster::Scripts(scripts), out);
        }
    }
}

/// The longest error that a master is told.
const ERROR_BYTES: usize = 2_048;
