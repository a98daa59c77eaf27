//! The commands that control a master from a shell: what was typed after `swarm`, `stop`, `status` and `reset`.

use clap::Args;

use super::takes::{TakesOfAll, TakesOfAsking, TakesOfSwarm};
use super::typed::Typed;
use crate::config::Layer;

/// What is asked of a master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// The settings: where the master is, and what a start asks for.
    pub layer: Layer,
    /// Which command, with what it needs.
    pub action: ControlAction,
    /// Answer in JSON, a line for each answer.
    pub is_json: bool,
    /// What a start says of the scripts that it wants.
    pub scripts_fingerprint: Option<String>,
    /// Which profile of the run that is under way shall have another level.
    pub profile: Option<String>,
}

/// The commands that control a master.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlAction {
    /// Start a run, or re-target the one that is under way.
    Swarm {
        /// Until the run is over.
        waits: bool,
    },
    /// Let the users finish.
    Stop {
        /// Until the run is over.
        waits: bool,
    },
    /// Show what the run does.
    Status {
        /// Again and again, until interrupted.
        watches: bool,
    },
    /// Clear the statistics; the run goes on.
    Reset,
    /// Print the report of the run, or of the last one.
    Report {
        /// For people, in place of JSON.
        is_html: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct SwarmFlags {
    #[command(flatten)]
    start: Typed<TakesOfSwarm>,
    /// Wait until master and workers have the scripts with this fingerprint, of which `lunamoth check` prints 12 digits
    #[arg(long, value_name = "DIGITS", help_heading = "Scenario")]
    scripts_fingerprint: Option<String>,
    /// Of the run that is under way: whose level shall be this number of users, or this rate
    #[arg(long, value_name = "NAME", help_heading = "Load")]
    profile: Option<String>,
    /// Wait for the run's end; the exit code is its verdict
    #[arg(short = 'w', long)]
    wait: bool,
    #[command(flatten)]
    master: MasterFlags,
}

#[derive(Debug, Args)]
pub(super) struct ReportFlags {
    /// A page for people in place of JSON
    #[arg(long)]
    html: bool,
    #[command(flatten)]
    master: MasterFlags,
}

#[derive(Debug, Args)]
pub(super) struct StopFlags {
    /// Wait for the run's end; the exit code is its verdict
    #[arg(short = 'w', long)]
    wait: bool,
    #[command(flatten)]
    master: MasterFlags,
}

#[derive(Debug, Args)]
pub(super) struct StatusFlags {
    /// Show it each second, until Ctrl-C; a line each where the output is no terminal
    #[arg(short = 'w', long)]
    watch: bool,
    #[command(flatten)]
    master: MasterFlags,
}

#[derive(Debug, Args)]
pub(super) struct ResetFlags {
    #[command(flatten)]
    master: MasterFlags,
}

#[derive(Debug, Args)]
pub(super) struct TuiFlags {
    #[command(flatten)]
    master: MasterFlags,
}

#[derive(Debug, Args)]
struct MasterFlags {
    #[command(flatten)]
    asking: Typed<TakesOfAsking>,
    /// Answer in JSON, a line for each answer
    #[arg(long, help_heading = "Output")]
    json: bool,
    #[command(flatten)]
    general: Typed<TakesOfAll>,
}

impl SwarmFlags {
    pub(super) fn into_control(self) -> Control {
        let control = self.master.into_control(self.start.layer, ControlAction::Swarm { waits: self.wait });
        Control { scripts_fingerprint: self.scripts_fingerprint, profile: self.profile, ..control }
    }
}

impl ReportFlags {
    pub(super) fn into_control(self) -> Control {
        self.master.into_control(Layer::default(), ControlAction::Report { is_html: self.html })
    }
}

impl StopFlags {
    pub(super) fn into_control(self) -> Control {
        self.master.into_control(Layer::default(), ControlAction::Stop { waits: self.wait })
    }
}

impl StatusFlags {
    pub(super) fn into_control(self) -> Control {
        self.master.into_control(Layer::default(), ControlAction::Status { watches: self.watch })
    }
}

impl ResetFlags {
    pub(super) fn into_control(self) -> Control {
        self.master.into_control(Layer::default(), ControlAction::Reset)
    }
}

impl TuiFlags {
    pub(super) fn into_layer(self) -> Layer {
        self.master.into_control(Layer::default(), ControlAction::Reset).layer
    }
}

impl MasterFlags {
    fn into_control(self, mut layer: Layer, action: ControlAction) -> Control {
        layer.add_all(self.asking.layer);
        layer.add_all(self.general.layer);
        Control { layer, action, is_json: self.json, scripts_fingerprint: None, profile: None }
    }
}
