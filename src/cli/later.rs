//! Flags that the contracts name and this version does not have: they answer with just that.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// The answer where `error` is about a flag of a later version.
pub(super) fn answer(error: &clap::Error) -> Option<String> {
    let said = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let problem = match error.kind() {
        ErrorKind::UnknownArgument => {
            let flag = said(ContextKind::InvalidArg).filter(|flag| FLAGS.contains(flag))?;
            format!("no flag `{flag}`")
        }
        _ => return None,
    };
    Some(format!("error: this version has {problem}\n\nFor more information, try '--help'.\n"))
}

const FLAGS: [&str; 1] = ["--reload"];
