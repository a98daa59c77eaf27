//! The script that a command runs, and where its data files lie: by position or by flag.

use clap::Args;

use crate::config::{Layer, Setting};

#[derive(Debug, Args)]
pub(super) struct ScriptFlags {
    /// The Lua file that returns a scenario
    #[arg(value_name = "SCRIPT")]
    pub(super) script: Option<String>,
    /// The same, as Locust spells it
    #[arg(short = 'f', long = "script", value_name = "FILE", conflicts_with = "script")]
    pub(super) script_flag: Option<String>,
    /// The folder with the script's data files, where they do not lie beside it
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
}

impl ScriptFlags {
    /// Adds them to what was typed.
    pub(super) fn fill(self, layer: &mut Layer) {
        for (setting, text) in [(Setting::Script, self.script.or(self.script_flag)), (Setting::Data, self.data)] {
            if let Some(text) = text {
                layer.add_flag(setting, text);
            }
        }
    }
}
