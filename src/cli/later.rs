//! Commands and flags that the contracts name and this version does not have: they answer with just that.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// The answer where `error` is about a command or a flag of a later version.
pub(super) fn answer(error: &clap::Error) -> Option<String> {
    let said = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let problem = match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let name = said(ContextKind::InvalidSubcommand).filter(|name| COMMANDS.contains(name))?;
            format!("no command `{name}`; it has run, master, worker, swarm, stop, status, reset, check, new, target and secret")
        }
        ErrorKind::UnknownArgument => {
            let flag = said(ContextKind::InvalidArg).filter(|flag| FLAGS.contains(flag))?;
            format!("no flag `{flag}`")
        }
        _ => return None,
    };
    Some(format!("error: this version has {problem}\n\nFor more information, try '--help'.\n"))
}

const COMMANDS: [&str; 1] = ["tui"];

const FLAGS: [&str; 4] = ["--ssh", "--tui", "--html", "--reload"];
