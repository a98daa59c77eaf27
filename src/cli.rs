//! What was typed: commands and flags, as texts. What they mean, and whether they are right, is `config`'s.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};

use crate::config::{Layer, Setting};

/// What the user asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Run a script.
    Run(Layer),
    /// Run each task of a script once and show it in full.
    Check(Layer),
    /// Serve the demo target.
    Target(Layer),
}

impl Command {
    /// Reads the command line, the program's name first.
    ///
    /// # Errors
    /// A text to print and an exit code: 0 where the text is the help that was asked for, 2 otherwise.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, NoCommand> {
        match CommandLine::try_parse_from(arguments) {
            Ok(line) => Ok(line.command.into_command()),
            Err(error) => Err(later_command(&error).map_or(NoCommand::Clap(error), NoCommand::Ours)),
        }
    }
}

/// Why there is nothing to run: help was asked for, or the command line is wrong.
#[derive(Debug)]
pub enum NoCommand {
    /// Said by the parser.
    Clap(clap::Error),
    /// Said by this file.
    Ours(String),
}

impl NoCommand {
    /// Prints it, help to stdout and errors to stderr, and gives the exit code.
    #[must_use]
    pub fn print(&self) -> u8 {
        match self {
            // Nobody is left to tell if the terminal is gone.
            Self::Clap(error) => drop(error.print()),
            Self::Ours(text) => eprint!("{text}"),
        }
        self.exit_code()
    }

    /// 0 for help and version, 2 for errors.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Clap(error) if !error.use_stderr() => 0,
            _ => 2,
        }
    }
}

#[derive(Debug, Parser)]
#[command(
    name = "lunamoth",
    version,
    about = "Load tests with scenarios in Lua",
    after_help = EXAMPLES,
    arg_required_else_help = true,
    max_term_width = 120
)]
struct CommandLine {
    #[command(subcommand)]
    command: TypedCommand,
}

#[derive(Debug, Subcommand)]
enum TypedCommand {
    /// Run a script on this machine
    #[command(after_help = RUN_EXAMPLES)]
    Run(Box<RunFlags>),
    /// Run each task of a script once, as one user, and show every request in full
    Check(Box<CheckFlags>),
    /// Serve the demo target that scripts know as `builtin:shop`
    Target(TargetFlags),
}

impl TypedCommand {
    fn into_command(self) -> Command {
        let mut layer = Layer::default();
        match self {
            Self::Run(flags) => {
                flags.script.fill(&mut layer);
                flags.load.fill(&mut layer);
                flags.scenario.fill(&mut layer);
                flags.http.fill(&mut layer);
                flags.engine.fill(&mut layer);
                flags.output.fill(&mut layer);
                flags.general.fill(&mut layer);
                Command::Run(layer)
            }
            Self::Check(flags) => {
                flags.script.fill(&mut layer);
                flags.scenario.fill(&mut layer);
                flags.http.fill(&mut layer);
                flags.general.fill(&mut layer);
                Command::Check(layer)
            }
            Self::Target(flags) => {
                add(&mut layer, Setting::TargetBind, flags.bind);
                flags.general.fill(&mut layer);
                Command::Target(layer)
            }
        }
    }
}

#[derive(Debug, Args)]
struct RunFlags {
    #[command(flatten)]
    script: ScriptFlags,
    #[command(flatten)]
    load: LoadFlags,
    #[command(flatten)]
    scenario: ScenarioFlags,
    #[command(flatten)]
    http: HttpFlags,
    #[command(flatten)]
    engine: EngineFlags,
    #[command(flatten)]
    output: OutputFlags,
    #[command(flatten)]
    general: GeneralFlags,
}

#[derive(Debug, Args)]
struct CheckFlags {
    #[command(flatten)]
    script: ScriptFlags,
    #[command(flatten)]
    scenario: ScenarioFlags,
    #[command(flatten)]
    http: HttpFlags,
    #[command(flatten)]
    general: GeneralFlags,
}

#[derive(Debug, Args)]
struct TargetFlags {
    /// Where to listen: `:8080`, `8080`, `127.0.0.1:8080`, `[::]:8080` [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<String>,
    #[command(flatten)]
    general: GeneralFlags,
}

#[derive(Debug, Args)]
struct ScriptFlags {
    /// The Lua file that returns a scenario
    #[arg(value_name = "SCRIPT")]
    script: Option<String>,
    /// The same, as Locust spells it
    #[arg(short = 'f', long = "script", value_name = "FILE", conflicts_with = "script")]
    script_flag: Option<String>,
}

impl ScriptFlags {
    fn fill(self, layer: &mut Layer) {
        add(layer, Setting::Script, self.script.or(self.script_flag));
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Load (any of these replaces the scenario's own by a plain ramp)")]
struct LoadFlags {
    /// How many users run [default: the scenario's load, else 1]
    #[arg(short, long, value_name = "N", allow_negative_numbers = true)]
    users: Option<String>,
    /// How many users start per second [default: 1]
    #[arg(short = 'r', long, value_name = "RATE", alias = "hatch-rate", allow_negative_numbers = true)]
    spawn_rate: Option<String>,
    /// How long the run takes, ramp included: 20, 20s, 3m, 1h20m, 500ms [default: until stopped]
    #[arg(short = 't', long, value_name = "TIME", allow_negative_numbers = true)]
    run_time: Option<String>,
}

impl LoadFlags {
    fn fill(self, layer: &mut Layer) {
        add(layer, Setting::Users, self.users);
        add(layer, Setting::SpawnRate, self.spawn_rate);
        add(layer, Setting::RunTime, self.run_time);
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Scenario")]
struct ScenarioFlags {
    /// The base URL in place of the scenario's, such as http://127.0.0.1:8080 or builtin:shop
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
    fn fill(self, layer: &mut Layer) {
        add(layer, Setting::Host, self.host);
        add(layer, Setting::Tags, self.tags);
        add(layer, Setting::ExcludeTags, self.exclude_tags);
        add(layer, Setting::Set, self.set);
        add(layer, Setting::Seed, self.seed);
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "HTTP")]
struct HttpFlags {
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
    fn fill(self, layer: &mut Layer) {
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
struct EngineFlags {
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
    /// Threads that make load [default: the cores that the cgroup allows]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    lanes: Option<String>,
}

impl EngineFlags {
    fn fill(self, layer: &mut Layer) {
        add(layer, Setting::StopTimeout, self.stop_timeout);
        add(layer, Setting::NoErrorBackoff, self.no_error_backoff);
        add(layer, Setting::RawNames, self.raw_names);
        add(layer, Setting::Names, self.names);
        add(layer, Setting::Lanes, self.lanes);
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
struct OutputFlags {
    /// Table and progress line, even on a terminal; this version has no other face
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    headless: Option<String>,
    /// How often the table is printed [default: 2s]
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    print_interval: Option<String>,
    /// Write BASE_stats.csv, BASE_stats_history.csv, BASE_failures.csv and BASE_exceptions.csv
    #[arg(long, value_name = "BASE")]
    csv: Option<String>,
    /// Write everything that was measured, histograms included
    #[arg(long, value_name = "FILE")]
    json: Option<String>,
    /// The exit code when a request failed and the scenario states no threshold [default: 1]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    exit_code_on_error: Option<String>,
    /// Neither the periodic table nor the progress line; the final report only
    #[arg(short, long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    quiet: Option<String>,
}

impl OutputFlags {
    fn fill(self, layer: &mut Layer) {
        add(layer, Setting::Headless, self.headless);
        add(layer, Setting::PrintInterval, self.print_interval);
        add(layer, Setting::Csv, self.csv);
        add(layer, Setting::Json, self.json);
        add(layer, Setting::ExitCodeOnError, self.exit_code_on_error);
        add(layer, Setting::Quiet, self.quiet);
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "General")]
struct GeneralFlags {
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
    fn fill(self, layer: &mut Layer) {
        add(layer, Setting::Config, self.config);
        add(layer, Setting::Log, self.log);
        add(layer, Setting::LogLevel, self.log_level);
        add(layer, Setting::NoColor, self.no_color);
    }
}

fn add(layer: &mut Layer, setting: Setting, texts: impl IntoIterator<Item = String>) {
    for text in texts {
        layer.add_flag(setting, text);
    }
}

/// The answer to a command that the contracts name and this version does not have.
fn later_command(error: &clap::Error) -> Option<String> {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return None;
    }
    let clap::error::ContextValue::String(name) = error.get(clap::error::ContextKind::InvalidSubcommand)? else {
        return None;
    };
    LATER_COMMANDS.contains(&name.as_str()).then(|| {
        format!("error: this version has no command `{name}`; it has run, check and target\n\nFor more information, try '--help'.\n")
    })
}

/// Commands of `commands.md` that wait for their issues.
const LATER_COMMANDS: [&str; 9] = ["master", "worker", "swarm", "stop", "status", "reset", "tui", "new", "secret"];

const EXAMPLES: &str = "\
Examples:
  lunamoth run scripts/quickstart.lua                          the tutorial's script against the built-in shop
  lunamoth run load.lua -H http://127.0.0.1:8080 -u 200 -r 20 -t 5m
  lunamoth check load.lua                                      each task once, shown in full

Every flag is also a variable (LUNAMOTH_USERS=50) and a key in the file of --config (users = 50).";

const RUN_EXAMPLES: &str = "\
Examples:
  lunamoth run scripts/quickstart.lua
  lunamoth run load.lua -u 200 -r 20 -t 5m --csv results/monday --json results/monday.json
  lunamoth run load.lua -T read -E slow --set tenant=blue --config load.toml

Exit codes: 0 passed, 1 a request failed (no thresholds stated), 2 bad use, 70 a bug of ours, 99 a threshold failed, 130 Ctrl-C before any verdict.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;
    use std::path::Path;
    use std::time::Duration;

    fn parse(line: &str) -> Result<Command, NoCommand> {
        Command::parse(std::iter::once("lunamoth").chain(line.split_whitespace()).map(OsString::from))
    }

    fn settings(line: &str) -> Settings {
        let (Command::Run(layer) | Command::Check(layer) | Command::Target(layer)) = parse(line).unwrap();
        Settings::resolve(&layer, [], None).unwrap().0
    }

    fn message(line: &str) -> String {
        match parse(line).unwrap_err() {
            NoCommand::Clap(error) => error.to_string(),
            NoCommand::Ours(text) => text,
        }
    }

    #[test]
    fn the_flags_are_consistent() {
        use clap::CommandFactory;
        CommandLine::command().debug_assert();
    }

    #[test]
    fn every_setting_has_the_flag_that_messages_name() {
        use clap::CommandFactory;
        let command = CommandLine::command();
        let flags: Vec<String> = command
            .get_subcommands()
            .flat_map(clap::Command::get_arguments)
            .flat_map(|argument| {
                let short = argument.get_short().map(|short| format!("-{short}"));
                let long = argument.get_long().map(|long| format!("--{long}"));
                short.into_iter().chain(long)
            })
            .collect();
        for setting in Setting::ALL {
            assert!(flags.iter().any(|flag| flag == setting.flag()), "{}", setting.flag());
        }
    }

    #[test]
    fn flags_reach_their_settings() {
        let settings = settings(
            "run a.lua -u 5 -r 2 -t 1m -H http://h -T a,b -T c -E d --set x=1 --set y=2 --seed 7 --insecure-tls --dns fresh --raw-names=false -q",
        );
        assert_eq!(settings.script.as_deref(), Some(Path::new("a.lua")));
        assert_eq!((settings.users, settings.spawn_rate, settings.run_time), (Some(5), Some(2.0), Some(Duration::from_secs(60))));
        assert_eq!((settings.tags.len(), settings.exclude_tags.len(), settings.set.len()), (3, 1, 2));
        assert!(settings.insecure_tls && !settings.raw_names && settings.quiet && settings.http_plan().dns_fresh);
    }

    #[test]
    fn a_switch_does_not_swallow_the_script() {
        assert_eq!(settings("run --headless a.lua").script.as_deref(), Some(Path::new("a.lua")));
    }

    #[test]
    fn the_script_may_come_by_position_or_by_flag_but_not_both() {
        assert_eq!(settings("check -f a.lua").script, settings("check --script a.lua").script);
        assert_eq!(parse("run -f a.lua b.lua").unwrap_err().exit_code(), 2);
    }

    #[test]
    fn a_negative_number_reaches_the_check_of_its_setting() {
        let Command::Run(layer) = parse("run a.lua -u -5").unwrap() else { panic!("run was typed") };
        assert!(Settings::resolve(&layer, [], None).unwrap_err().to_string().starts_with("`-u -5`"));
    }

    #[test]
    fn a_command_of_a_later_version_is_named_as_such() {
        assert!(message("master").starts_with("error: this version has no command `master`; it has run, check and target\n"));
        assert!(message("chekc a.lua").contains("'check'"));
    }

    #[test]
    fn help_is_no_error_and_an_unknown_flag_is_one() {
        assert_eq!(parse("--help").unwrap_err().exit_code(), 0);
        assert_eq!(parse("run --help").unwrap_err().exit_code(), 0);
        assert_eq!(parse("run a.lua --userz 5").unwrap_err().exit_code(), 2);
        assert!(message("run a.lua --userz 5").contains("--users"));
    }
}
