//! The group of flags of whoever serves the API: a master, and a run that is asked to.

use clap::Args;

use super::flags::add;
use crate::config::{Layer, Setting};

#[derive(Debug, Args)]
#[command(next_help_heading = "Web")]
pub(super) struct WebFlags {
    /// Where the API and its page are served; a port alone is all interfaces with a secret or a token, this machine without one [default: :8089 for
    /// a master, nowhere for a run]
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = ":8089")]
    web: Option<String>,
    /// How long page and API still answer when the run of `run --web` or --autostart is over; a signal ends that [default: until a key after the
    /// terminal UI, else not at all]
    #[arg(long, value_name = "TIME", alias = "web-linger", allow_negative_numbers = true)]
    linger: Option<String>,
    /// Before every route of the API, such as /locust
    #[arg(long, value_name = "PATH", alias = "web-base-path")]
    path_prefix: Option<String>,
    /// Let in who knows the token in this file alone, in place of the variable LUNAMOTH_WEB_TOKEN
    #[arg(long, value_name = "FILE")]
    web_token_file: Option<String>,
    /// Serve HTTPS with the certificate in this PEM file, which is read again when it changes
    #[arg(long, value_name = "FILE")]
    web_cert: Option<String>,
    /// That certificate's key, in a PEM file
    #[arg(long, value_name = "FILE")]
    web_key: Option<String>,
    /// Names under which browsers reach an API on this machine alone, such as a proxy's
    #[arg(long, value_name = "NAME,...")]
    web_host: Vec<String>,
    /// Hosts that a start through an API without a token may name, besides the scenario's and that of -H
    #[arg(long, value_name = "URL,...")]
    allow_host: Vec<String>,
}

impl WebFlags {
    /// Gives back what `--web` has swallowed: in `run --web load.lua` the script is no address.
    pub(super) fn take_script(&mut self) -> Option<String> {
        let script = self.web.take_if(|web| web.ends_with(".lua"))?;
        self.web = Some(":8089".to_owned());
        Some(script)
    }

    pub(super) fn fill(self, layer: &mut Layer) {
        add(layer, Setting::Web, self.web);
        add(layer, Setting::Linger, self.linger);
        add(layer, Setting::PathPrefix, self.path_prefix);
        add(layer, Setting::WebTokenFile, self.web_token_file);
        add(layer, Setting::WebCert, self.web_cert);
        add(layer, Setting::WebKey, self.web_key);
        add(layer, Setting::WebHost, self.web_host);
        add(layer, Setting::AllowHost, self.allow_host);
    }
}
