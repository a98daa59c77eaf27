//! The commands that control a master from a shell: what was typed after `swarm`, `stop`, `status` and `reset`.

use clap::Args;

use super::flags::{GeneralFlags, LoadFlags, add};
use crate::config::{Layer, Setting};

/// What is asked of a master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// The settings: where the master is, and what a start asks for.
    pub layer: Layer,
    /// What is asked.
    pub action: ControlAction,
    /// Answer in JSON, a line for each answer.
    pub is_json: bool,
    /// What a start says of the scripts that it wants.
    pub scripts_fingerprint: Option<String>,
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
        /// Again and again.
        watches: bool,
    },
    /// Clear the statistics.
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
    load: LoadFlags,
    /// The base URL in place of the scenario's
    #[arg(short = 'H', long, value_name = "URL", help_heading = "Scenario")]
    host: Option<String>,
    /// Which script of the master's folder runs [default: the master's choice]
    #[arg(short = 'f', long, value_name = "NAME", help_heading = "Scenario")]
    script: Option<String>,
    /// Wait until master and workers have the scripts with this fingerprint, of which `lunamoth check` prints 12 digits
    #[arg(long, value_name = "DIGITS", help_heading = "Scenario")]
    scripts_fingerprint: Option<String>,
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
    /// The master, with its path prefix where it has one [default: http://127.0.0.1:8089]
    #[arg(long, value_name = "URL", help_heading = "Master")]
    url: Option<String>,
    /// Read the master's token from this file, in place of the variable LUNAMOTH_WEB_TOKEN
    #[arg(long, value_name = "FILE", help_heading = "Master")]
    web_token_file: Option<String>,
    /// Trust the certificate authorities in this PEM file, besides the usual ones
    #[arg(long, value_name = "FILE", alias = "ca", help_heading = "Master")]
    ca_file: Option<String>,
    /// Accept any certificate
    #[arg(
        long,
        value_name = "BOOL",
        alias = "insecure",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        help_heading = "Master"
    )]
    insecure_tls: Option<String>,
    /// Honour HTTP_PROXY, HTTPS_PROXY and NO_PROXY
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Master")]
    proxy_from_env: Option<String>,
    /// Answer in JSON, a line for each answer
    #[arg(long, help_heading = "Output")]
    json: bool,
    #[command(flatten)]
    general: GeneralFlags,
}

impl SwarmFlags {
    pub(super) fn into_control(self) -> Control {
        let mut layer = Layer::default();
        self.load.fill(&mut layer);
        add(&mut layer, Setting::Host, self.host);
        add(&mut layer, Setting::Script, self.script);
        let control = self.master.into_control(layer, ControlAction::Swarm { waits: self.wait });
        Control { scripts_fingerprint: self.scripts_fingerprint, ..control }
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
        add(&mut layer, Setting::Url, self.url);
        add(&mut layer, Setting::WebTokenFile, self.web_token_file);
        add(&mut layer, Setting::CaFile, self.ca_file);
        add(&mut layer, Setting::InsecureTls, self.insecure_tls);
        add(&mut layer, Setting::ProxyFromEnv, self.proxy_from_env);
        self.general.fill(&mut layer);
        Control { layer, action, is_json: self.json, scripts_fingerprint: None }
    }
}
