//! `lunamoth find`: what is to be kept, and between which rates. The rest are settings.

use clap::Args;

use super::script::ScriptFlags;
use super::takes::TakesOfFind;
use super::typed::Typed;
use crate::config::Layer;

/// What was typed after `lunamoth find`, its settings aside; as texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Find {
    /// At least one: `p(99) < 200ms`, `METRIC: CONDITION`.
    pub keeps: Vec<String>,
    /// The rate that is tried first.
    pub from: Option<String>,
    /// No higher rate is tried.
    pub to: Option<String>,
    /// How long each rate is held.
    pub hold: Option<String>,
    /// How long the rates are held that are told in the end.
    pub confirm: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct FindFlags {
    /// What must hold, such as "p(99) < 200ms" or "http_req_failed: rate < 0.1%"; may be given several times
    #[arg(long = "keep", value_name = "CONDITION", required = true, help_heading = "Search")]
    keeps: Vec<String>,
    /// The rate to begin with [default: 10/s]
    #[arg(long, value_name = "RATE", help_heading = "Search")]
    from: Option<String>,
    /// The greatest rate to try [default: 100000/s]
    #[arg(long, value_name = "RATE", help_heading = "Search")]
    to: Option<String>,
    /// How long each rate is held, a warm-up of a fifth before it aside [default: 10s]
    #[arg(long, value_name = "TIME", help_heading = "Search")]
    hold: Option<String>,
    /// How long the rates are held that are told in the end [default: three holds]
    #[arg(long, value_name = "TIME", help_heading = "Search")]
    confirm: Option<String>,
    #[command(flatten)]
    script: ScriptFlags,
    #[command(flatten)]
    typed: Typed<TakesOfFind>,
}

impl FindFlags {
    /// The settings, and what is asked besides.
    pub(super) fn into_parts(self) -> (Layer, Find) {
        let Self { keeps, from, to, hold, confirm, script, typed: Typed { mut layer, .. } } = self;
        script.fill(&mut layer);
        (layer, Find { keeps, from, to, hold, confirm })
    }
}
