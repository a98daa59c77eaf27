//! Flags in groups, each of which fills a layer with the texts that were typed. Which command takes which group stands in `cli`; the
//! groups that only a cluster needs in `cluster`.

use clap::Args;

use crate::config::{Layer, Setting};

#[derive(Debug, Args)]
pub(super) struct ScriptFlags {
    /// The Lua file that returns a scenario
    #[arg(value_name = "SCRIPT")]
    script: Option<String>,
    /// The same, as Locust spells it
    #[arg(short = 'f', long = "script", value_name = "FILE", conflicts_with = "script")]
    script_flag: Option<String>,
    /// The folder with the script's data files, where they do not lie beside it
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
}

impl ScriptFlags {
    /// The same, or `script` where none was typed.
    pub(super) fn or(self, script: Option<String>) -> Self {
        Self { script: self.script.or(script), ..self }
    }

    pub(super) fn fill(self, layer: &mut Layer) {
        add(layer, Setting::Script, self.script.or(self.script_flag));
        add(layer, Setting::Data, self.data);
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Load (-u, -r, -t and --rate replace the scenario's own by a plain ramp)")]
pub(super) struct LoadFlags {
    /// How many users run [default: the scenario's load, else 1]
    #[arg(short, long, value_name = "N", allow_negative_numbers = true)]
    users: Option<String>,
    /// How many users start per second: 5, 0.5, 30/m [default: 1]
    #[arg(short = 'r', long, value_name = "RATE", alias = "hatch-rate", allow_negative_numbers = true)]
    spawn_rate: Option<String>,
    /// How long the run takes, ramp included: 20, 20s, 3m, 1h20m, 2d, 500ms [default: until stopped]
    #[arg(short = 't', long, value_name = "TIME", allow_negative_numbers = true)]
    run_time: Option<String>,
    /// How many iterations are due, whether or not a user is free: 500, 500/s, 30/m, 100/h; in place of users
    #[arg(long, value_name = "RATE", allow_negative_numbers = true, conflicts_with_all = ["users", "spawn_rate"])]
    rate: Option<String>,
    /// Multiply every level of the load, the scenario's or this: 0.5, 2, 150% [default: 1]
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true)]
    scale: Option<String>,
}

impl LoadFlags {
    pub(super) fn fill(self, layer: &mut Layer) {
        add(layer, Setting::Users, self.users);
        add(layer, Setting::SpawnRate, self.spawn_rate);
        add(layer, Setting::RunTime, self.run_time);
        add(layer, Setting::Rate, self.rate);
        add(layer, Setting::Scale, self.scale);
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Scenario")]
pub(super) struct ScenarioFlags {
    /// The base URL in place of the scenario's, such as http://127.0.0.1:8080; builtin:shop for run and check
    #[arg(short = 'H', long, value_name = "URL")]
    host: Option<String>,
    /// Run only tasks that bear one of these tags
    #[arg(short = 'T', long, value_name = "TAG,...")]
    tags: Vec<String>,
    /// Leave out tasks that bear one of these tags
    #[arg(short = 'E', long, value_name = "TAG,...")]
    exclude_tags: Vec<String>,
    /// What `env(NAME)` answers in the script; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Make every random decision repeatable [default: a new seed for each run]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    seed: Option<String>,
}

impl ScenarioFlags {
    pub(super) fn fill(self, layer: &mut Layer) {
        add(layer, Setting::Host, self.host);
        add(layer, Setting::Tags, self.tags);
        add(layer, Setting::ExcludeTags, self.exclude_tags);
        add(layer, Setting::Set, self.set);
        add(layer, Setting::Seed, self.seed);
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "HTTP")]
pub(super) struct HttpFlags {
    /// For a whole request, to the last byte of its answer [default: 30s]
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    timeout: Option<String>,
    /// For name look-up, connect and TLS together [default: 10s]
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    connect_timeout: Option<String>,
    /// How many redirects one request follows [default: 10]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    redirects: Option<String>,
    /// The largest body, decoded [default: 64MiB]
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true)]
    body_limit: Option<String>,
    /// Accept any certificate
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    insecure_tls: Option<String>,
    /// Trust the certificate authorities in this PEM file, besides the usual ones
    #[arg(long, value_name = "FILE")]
    ca_file: Option<String>,
    /// cached: addresses are kept for their time to live; fresh: asked for each new connection [default: cached]
    #[arg(long, value_name = "MODE")]
    dns: Option<String>,
    /// Honour HTTP_PROXY, HTTPS_PROXY and NO_PROXY
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    proxy_from_env: Option<String>,
}

impl HttpFlags {
    pub(super) fn fill(self, layer: &mut Layer) {
        add(layer, Setting::Timeout, self.timeout);
        add(layer, Setting::ConnectTimeout, self.connect_timeout);
        add(layer, Setting::Redirects, self.redirects);
        add(layer, Setting::BodyLimit, self.body_limit);
        add(layer, Setting::InsecureTls, self.insecure_tls);
        add(layer, Setting::CaFile, self.ca_file);
        add(layer, Setting::Dns, self.dns);
        add(layer, Setting::ProxyFromEnv, self.proxy_from_env);
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Engine")]
pub(super) struct LimitFlags {
    /// How long requests in flight may take once the run stops [default: 10s]
    #[arg(short = 's', long, value_name = "TIME", allow_negative_numbers = true)]
    stop_timeout: Option<String>,
    /// Do not pause a user whose iteration failed
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    no_error_backoff: Option<String>,
    /// Keep numbers and UUIDs in the names of requests
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    raw_names: Option<String>,
    /// How many names are counted apart; the rest is counted as (other) [default: 2000]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    names: Option<String>,
}

impl LimitFlags {
    pub(super) fn fill(self, layer: &mut Layer) {
        add(layer, Setting::StopTimeout, self.stop_timeout);
        add(layer, Setting::NoErrorBackoff, self.no_error_backoff);
        add(layer, Setting::RawNames, self.raw_names);
        add(layer, Setting::Names, self.names);
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Engine")]
pub(super) struct LaneFlags {
    /// Threads that make load [default: the cores that the cgroup allows]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    lanes: Option<String>,
}

impl LaneFlags {
    pub(super) fn fill(self, layer: &mut Layer) {
        add(layer, Setting::Lanes, self.lanes);
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct ScreenFlags {
    /// Table and progress line instead of the terminal UI, even on a terminal
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    headless: Option<String>,
    /// The terminal UI: the default on a terminal, an error without one
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    tui: Option<String>,
    /// Neither the periodic table nor the progress line; the final report only
    #[arg(short, long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    quiet: Option<String>,
}

impl ScreenFlags {
    pub(super) fn fill(self, layer: &mut Layer) {
        add(layer, Setting::Headless, self.headless);
        add(layer, Setting::Tui, self.tui);
        add(layer, Setting::Quiet, self.quiet);
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct ReportFlags {
    /// How often the table is printed [default: 2s]
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    print_interval: Option<String>,
    /// Write BASE_stats.csv, BASE_stats_history.csv, BASE_failures.csv and BASE_exceptions.csv, current to the second while the run lasts
    #[arg(long, value_name = "BASE")]
    csv: Option<String>,
    /// Write everything that was measured, histograms included; `-` is stdout, and tables go to stderr then
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
    /// Write a report for people: charts and tables in one HTML file; `-` as for --json
    #[arg(long, value_name = "FILE")]
    html: Option<String>,
    /// The exit code when a request failed and the scenario states no threshold [default: 1]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    exit_code_on_error: Option<String>,
    /// Exit code 4 where in more than 1 % of the run's seconds the generator was late, held back or out of resources
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    strict: Option<String>,
}

impl ReportFlags {
    pub(super) fn fill(self, layer: &mut Layer) {
        add(layer, Setting::PrintInterval, self.print_interval);
        add(layer, Setting::Csv, self.csv);
        add(layer, Setting::Json, self.json);
        add(layer, Setting::Html, self.html);
        add(layer, Setting::ExitCodeOnError, self.exit_code_on_error);
        add(layer, Setting::Strict, self.strict);
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "General")]
pub(super) struct GeneralFlags {
    /// Read settings from this TOML file; flags and LUNAMOTH_* variables come before it
    #[arg(long, value_name = "FILE")]
    config: Option<String>,
    /// The form of the log on stderr: text or json [default: text]
    #[arg(long, value_name = "FORM")]
    log: Option<String>,
    /// The least level that is logged: error, warn, info, debug, trace [default: info]
    #[arg(short = 'L', long, value_name = "LEVEL", alias = "loglevel")]
    log_level: Option<String>,
    /// No colours, even on a terminal
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    no_color: Option<String>,
}

impl GeneralFlags {
    pub(super) fn fill(self, layer: &mut Layer) {
        add(layer, Setting::Config, self.config);
        add(layer, Setting::Log, self.log);
        add(layer, Setting::LogLevel, self.log_level);
        add(layer, Setting::NoColor, self.no_color);
    }
}

pub(super) fn add(layer: &mut Layer, setting: Setting, texts: impl IntoIterator<Item = String>) {
    for text in texts {
        layer.add_flag(setting, text);
    }
}
