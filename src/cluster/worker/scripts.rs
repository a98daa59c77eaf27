//! What a worker tells of its folder of scripts: what it held at the start stands in the `Hello`; what comes later is told when it comes, and on each
//! link that follows.

use super::{Action, Worker};
use crate::cluster::message::{Scripts, ToMaster};

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
