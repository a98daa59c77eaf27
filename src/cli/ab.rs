//! `lunamoth ab`: the two targets, and what is asked of their comparison. The rest are settings.

use std::path::PathBuf;

use clap::Args;

use super::script::ScriptFlags;
use super::takes::TakesOfAb;
use super::typed::Typed;
use crate::config::Layer;

/// What was typed after `lunamoth ab`, its settings aside; as texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ab {
    /// The base URL of side A.
    pub a: String,
    /// The base URL of side B, which is judged.
    pub b: String,
    /// How far figures of B may be from those of A, as they were written.
    pub limits: Vec<String>,
    /// Where a table for a pull request goes.
    pub markdown: Option<PathBuf>,
    /// Where the test cases for a build server go.
    pub junit: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct AbFlags {
    /// The base URL of side A: what is there, say; or builtin:shop
    #[arg(long = "a", value_name = "URL", required = true, help_heading = "Sides")]
    a: String,
    /// The base URL of side B, which is held against A
    #[arg(long = "b", value_name = "URL", required = true, help_heading = "Sides")]
    b: String,
    /// How far a figure of B may be above (`+`) or below (`-`) that of A, of the total and of each entry: "p(99) +5%", "avg +10ms", "failures +0.5%"
    /// (percentage points). Broken only where the whole 95 % interval is past it. May be given several times
    #[arg(long = "limit", value_name = "LIMIT", help_heading = "Sides")]
    limits: Vec<String>,
    /// Write a table for a pull request here; `-` is stdout
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    markdown: Option<PathBuf>,
    /// Write a test case for each limit and entry here, for a build server; `-` is stdout
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    script: ScriptFlags,
    #[command(flatten)]
    typed: Typed<TakesOfAb>,
}

impl AbFlags {
    /// The settings, and what is asked besides.
    pub(super) fn into_parts(self) -> (Layer, Ab) {
        let Self { a, b, limits, markdown, junit, script, typed: Typed { mut layer, .. } } = self;
        script.fill(&mut layer);
        (layer, Ab { a, b, limits, markdown, junit })
    }
}
