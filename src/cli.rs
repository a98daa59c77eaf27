//! What was typed: commands and flags, as texts. What they mean, and whether they are right, is `config`'s.

mod ab;
mod compare;
mod control;
mod examples;
mod find;
mod foreign;
mod script;
mod takes;
mod typed;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

pub use self::ab::Ab;
use self::ab::AbFlags;
pub use self::compare::Compare;
use self::compare::CompareFlags;
pub use self::control::{Control, ControlAction};
use self::control::{ReportFlags as ReportOfFlags, ResetFlags, StatusFlags, StopFlags, SwarmFlags, TuiFlags};
use self::examples::{
    AB_EXAMPLES, CHECK_EXAMPLES, COMPARE_EXAMPLES, EXAMPLES, FIND_EXAMPLES, MASTER_EXAMPLES, METRICS_EXAMPLES, NEW_EXAMPLES,
    REPORT_EXAMPLES, RESET_EXAMPLES, RUN_EXAMPLES, SECRET_EXAMPLES, STATUS_EXAMPLES, STOP_EXAMPLES, SWARM_EXAMPLES, TARGET_EXAMPLES,
    TUI_EXAMPLES, WORKER_EXAMPLES,
};
pub use self::find::Find;
use self::find::FindFlags;
use self::script::ScriptFlags;
use self::takes::{TakesOfCheck, TakesOfMaster, TakesOfRun, TakesOfTarget, TakesOfWorker};
use self::typed::Typed;
use crate::config::{Layer, Setting};

/// What the user asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Run a script, master and worker in one process.
    Run(Layer),
    /// Plan runs, and sum up what workers measure.
    Master(Layer),
    /// Make load for a master.
    Worker(Layer),
    /// Ask something of a master, over its API.
    Control(Control),
    /// Show the terminal UI of a master, over its API.
    Tui(Layer),
    /// Run each task of a script once and show it in full; with headers and bodies, where that is true.
    Check(Layer, bool),
    /// Print the fingerprint of a script, with all that it requires, and make no request.
    Fingerprint(Layer),
    /// Serve the demo target.
    Target(Layer),
    /// Write a script to start from, at this path.
    New(PathBuf),
    /// Make a cluster's secret. It has no settings.
    Secret,
    /// List the metrics of thresholds. It has no settings.
    Metrics,
    /// Find the highest rate that the target of a script holds.
    Find(Layer, Find),
    /// Run against two targets at the same time, and compare them.
    Ab(Layer, Ab),
    /// Compare two reports. It has no settings.
    Compare(Compare),
}

impl Command {
    /// Reads the command line, the program's name first.
    ///
    /// # Errors
    /// A text to print and an exit code: 0 where the text is the help that was asked for, 2 otherwise.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, NoCommand> {
        let arguments: Vec<OsString> = arguments.into_iter().collect();
        let typed: Vec<String> = arguments.iter().map(|argument| argument.to_string_lossy().into_owned()).collect();
        match CommandLine::try_parse_from(arguments) {
            Ok(line) => Ok(line.command.into_command()),
            Err(error) => Err(NoCommand { advice: foreign::advice(&error, &typed, &CommandLine::command()), error }),
        }
    }
}

/// Why there is nothing to run: help was asked for, or the command line is wrong.
#[derive(Debug)]
pub struct NoCommand {
    error: clap::Error,
    /// What is told in place of clap's words, where more is known.
    advice: Option<String>,
}

impl NoCommand {
    /// Prints it, help to stdout and errors to stderr, and gives the exit code.
    #[must_use]
    pub fn print(&self) -> u8 {
        if let Some(advice) = &self.advice {
            // Without a stderr there is nobody left to tell.
            let _gone = writeln!(std::io::stderr(), "lunamoth: {advice}");
            return self.exit_code();
        }
        match self.error.print() {
            // A reader that went away has seen enough.
            Err(why) if why.kind() != std::io::ErrorKind::BrokenPipe && !self.error.use_stderr() => {
                let _gone = writeln!(std::io::stderr(), "lunamoth: cannot write to stdout: {why}");
                2
            }
            _ => self.exit_code(),
        }
    }

    /// 0 for help and version, 2 for errors.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if self.error.use_stderr() { 2 } else { 0 }
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
    /// Plan runs for workers on other machines, and sum up what they measure
    #[command(after_help = MASTER_EXAMPLES)]
    Master(Box<Typed<TakesOfMaster>>),
    /// Make load for a master
    #[command(after_help = WORKER_EXAMPLES)]
    Worker(Box<Typed<TakesOfWorker>>),
    /// Start a run on a master, or re-target the one that is under way
    #[command(after_help = SWARM_EXAMPLES)]
    Swarm(Box<SwarmFlags>),
    /// End the run on a master: its users finish what they do
    #[command(after_help = STOP_EXAMPLES)]
    Stop(Box<StopFlags>),
    /// Show what the run on a master does
    #[command(after_help = STATUS_EXAMPLES)]
    Status(Box<StatusFlags>),
    /// Clear the statistics of the run on a master; the load goes on
    #[command(after_help = RESET_EXAMPLES)]
    Reset(Box<ResetFlags>),
    /// Print the report of the run on a master, or of the last one
    #[command(after_help = REPORT_EXAMPLES)]
    Report(Box<ReportOfFlags>),
    /// Show the terminal UI of a master from afar; leaving it stops nothing
    #[command(after_help = TUI_EXAMPLES)]
    Tui(Box<TuiFlags>),
    /// Run each task of a script once, as one user, and show every request in full
    #[command(after_help = CHECK_EXAMPLES)]
    Check(CheckFlags),
    /// Write a script to start from, with what an editor needs to complete it
    #[command(after_help = NEW_EXAMPLES)]
    New(NewFlags),
    /// Serve the demo target that scripts know as `builtin:shop`
    #[command(after_help = TARGET_EXAMPLES)]
    Target(Box<Typed<TakesOfTarget>>),
    /// Make a secret, by which master and workers know each other
    #[command(after_help = SECRET_EXAMPLES)]
    Secret,
    /// Find the highest rate of iterations that a target holds, by holds at one rate after the other
    #[command(after_help = FIND_EXAMPLES)]
    Find(Box<FindFlags>),
    /// Run a script against two targets in turn, and compare them: what is better, worse, or no more different than chance
    #[command(after_help = AB_EXAMPLES)]
    Ab(Box<AbFlags>),
    /// Compare the reports of two runs: what is better, worse, or no more different than chance
    #[command(after_help = COMPARE_EXAMPLES)]
    Compare(Box<CompareFlags>),
    /// List the metrics that thresholds may judge, with units, aggregates and selectors
    #[command(after_help = METRICS_EXAMPLES)]
    Metrics,
}

impl TypedCommand {
    fn into_command(self) -> Command {
        match self {
            Self::Run(flags) => Command::Run(flags.into_layer()),
            Self::Master(typed) => Command::Master(typed.layer),
            Self::Worker(typed) => Command::Worker(typed.layer),
            Self::Swarm(flags) => Command::Control(flags.into_control()),
            Self::Stop(flags) => Command::Control(flags.into_control()),
            Self::Status(flags) => Command::Control(flags.into_control()),
            Self::Reset(flags) => Command::Control(flags.into_control()),
            Self::Report(flags) => Command::Control(flags.into_control()),
            Self::Tui(flags) => Command::Tui(flags.into_layer()),
            Self::Check(CheckFlags { verbose, fingerprint, script, typed: Typed { mut layer, .. } }) => {
                script.fill(&mut layer);
                if fingerprint { Command::Fingerprint(layer) } else { Command::Check(layer, verbose) }
            }
            Self::New(flags) => Command::New(flags.name),
            Self::Target(typed) => Command::Target(typed.layer),
            Self::Secret => Command::Secret,
            Self::Metrics => Command::Metrics,
            Self::Find(flags) => {
                let (layer, asked) = flags.into_parts();
                Command::Find(layer, asked)
            }
            Self::Ab(flags) => {
                let (layer, asked) = flags.into_parts();
                Command::Ab(layer, asked)
            }
            Self::Compare(flags) => Command::Compare(flags.into_compare()),
        }
    }
}

#[derive(Debug, Args)]
struct RunFlags {
    #[command(flatten)]
    script: ScriptFlags,
    #[command(flatten)]
    typed: Typed<TakesOfRun>,
}

impl RunFlags {
    fn into_layer(self) -> Layer {
        let Self { mut script, typed: Typed { mut layer, .. } } = self;
        // `--web` may have swallowed it: in `run --web load.lua` the script is no address.
        // Where a script is named besides, it is an address that is none, and said to be.
        if let (None, None, Some(bare)) = (&script.script, &script.script_flag, Setting::Web.row().bare) {
            script.script = layer.replace_flag(Setting::Web, bare, |web| web.ends_with(".lua"));
        }
        script.fill(&mut layer);
        layer
    }
}

#[derive(Debug, Args)]
struct CheckFlags {
    /// Show the headers and bodies of each request and answer, with secrets masked
    #[arg(short, long)]
    verbose: bool,
    /// Make no request: print the fingerprint of the script and all that it requires, for `lunamoth swarm --scripts-fingerprint`
    #[arg(long, conflicts_with = "verbose")]
    fingerprint: bool,
    #[command(flatten)]
    script: ScriptFlags,
    #[command(flatten)]
    typed: Typed<TakesOfCheck>,
}

#[derive(Debug, Args)]
struct NewFlags {
    /// The script's name, with a folder before it if you like; `.lua` is added
    #[arg(value_name = "NAME")]
    name: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{OnTerm, OrphanMode, ReloadMode, Settings};
    use std::path::Path;
    use std::time::Duration;

    fn parse(line: &str) -> Result<Command, NoCommand> {
        Command::parse(std::iter::once("lunamoth").chain(line.split_whitespace()).map(OsString::from))
    }

    fn settings(line: &str) -> Settings {
        match parse(line).unwrap() {
            Command::Tui(layer)
            | Command::Run(layer)
            | Command::Check(layer, _)
            | Command::Find(layer, _)
            | Command::Ab(layer, _)
            | Command::Fingerprint(layer)
            | Command::Target(layer)
            | Command::Master(layer)
            | Command::Worker(layer) => Settings::resolve(&layer, [], None).unwrap().0,
            Command::Control(control) => Settings::resolve(&control.layer, [], None).unwrap().0,
            Command::New(_) | Command::Secret | Command::Metrics | Command::Compare(_) => panic!("`{line}` has no settings"),
        }
    }

    fn message(line: &str) -> String {
        parse(line).unwrap_err().error.to_string()
    }

    #[test]
    fn the_flags_are_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn every_setting_has_the_flag_that_messages_name() {
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
        for setting in Setting::ALL.iter().copied() {
            assert!(flags.contains(&setting.flag()), "{}", setting.flag());
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
        assert!(settings.run.insecure_tls && !settings.run.raw_names && settings.quiet && settings.run.dns != Settings::default().run.dns);
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
    fn the_flags_of_a_master_reach_their_settings() {
        let settings = settings(
            "master --scripts loads --script shop --bind 127.0.0.1:6000 --web localhost:80 --web-base-path locust/ --expect-workers 3 --autostart \
             --state kept --print-stats --no-adopt --on-term handover --reload live --allow-script-skew --orphan-timeout 5s --skew-timeout 6s \
             --stop-timeout 7s --orphan pause --allow-host http://a,http://b --allow-host http://c -u 4 -r 2 -t 1m -H http://h -T a -E b \
             --set x=1 --seed 7 --csv base --json file --html page --print-interval 3s --exit-code-on-error 5 --secret-file secret.txt --timeout 9s \
             --expect-workers-timeout 11s --linger 12s --sole masters",
        );
        assert_eq!((settings.expect_workers_timeout.as_secs(), settings.linger), (11, Some(Duration::from_secs(12))));
        assert_eq!(settings.sole.as_ref().map(ToString::to_string).as_deref(), Some("masters:5557"));
        assert_eq!(settings.scripts_folder().unwrap(), Path::new("loads"));
        assert_eq!((settings.script.as_deref(), settings.state.as_deref()), (Some(Path::new("shop")), Some(Path::new("kept"))));
        assert_eq!(settings.cluster_bind().unwrap().to_string(), "127.0.0.1:6000");
        assert_eq!((settings.web_bind().to_string().as_str(), settings.path_prefix.as_str()), ("127.0.0.1:80", "/locust"));
        assert_eq!((settings.expect_workers, settings.exit_code_on_error), (3, 5));
        assert!(settings.autostart && settings.print_stats && settings.no_adopt && settings.allow_script_skew);
        assert_eq!((settings.on_term, settings.orphan, settings.reload), (OnTerm::Handover, OrphanMode::Pause, ReloadMode::Live));
        let times =
            [settings.print_interval, settings.orphan_timeout, settings.skew_timeout, settings.run.stop_timeout, settings.run.timeout];
        assert_eq!(times.map(|time| time.as_secs()), [3, 5, 6, 7, 9]);
        assert_eq!(settings.allow_host, ["http://a", "http://b", "http://c"]);
        assert_eq!((settings.users, settings.seed, settings.set.len()), (Some(4), Some(7), 1));
        assert_eq!((settings.csv.as_deref(), settings.json.as_deref()), (Some(Path::new("base")), Some(Path::new("file"))));
        assert_eq!(settings.html.as_deref(), Some(Path::new("page")));
        assert_eq!(settings.secret_file.as_deref(), Some(Path::new("secret.txt")));
    }

    #[test]
    fn the_flags_of_a_worker_reach_their_settings() {
        let settings = settings(
            "worker --master [::1]:6000 --scripts loads -f shop --health :8090 --once --lanes 2 --stop-timeout 7s --secret-file secret.txt",
        );
        assert_eq!(settings.master_address().unwrap().to_string(), "[::1]:6000");
        assert_eq!((settings.scripts_folder().unwrap(), settings.script.as_deref()), (Path::new("loads"), Some(Path::new("shop"))));
        assert_eq!(settings.health_bind().map(|address| address.port()), Some(8090));
        assert!(settings.once);
        assert_eq!((settings.lanes, settings.run.stop_timeout), (Some(2), Duration::from_secs(7)));
        assert_eq!(settings.secret_file.as_deref(), Some(Path::new("secret.txt")));
    }

    #[test]
    fn what_only_the_master_decides_is_no_flag_of_a_worker() {
        for flag in ["-u 5", "--timeout 5s", "--orphan pause", "--web :80"] {
            assert_eq!(parse(&format!("worker {flag}")).unwrap_err().exit_code(), 2, "{flag}");
        }
    }

    #[test]
    fn a_run_serves_its_api_with_and_without_an_address() {
        let web = |line| settings(line).run_web_bind().map(|address| address.to_string());
        assert_eq!(web("run a.lua"), None);
        assert_eq!(web("run a.lua --web").as_deref(), Some("127.0.0.1:8089"));
        assert_eq!(web("run a.lua --web :9000 -u 5").as_deref(), Some("127.0.0.1:9000"));
        assert_eq!(web("run --web a.lua").as_deref(), Some("127.0.0.1:8089"));
        assert_eq!(settings("run --web a.lua").script.as_deref(), Some(Path::new("a.lua")));
        let settings = settings("master --web-token-file t --web-cert c --web-key k --web-host load.example");
        assert_eq!(settings.web_tls().unwrap(), Some((Path::new("c"), Path::new("k"))));
        assert_eq!((settings.web_token_file.as_deref(), &*settings.web_host), (Some(Path::new("t")), &["load.example".to_owned()][..]));
    }

    #[test]
    fn a_master_is_controlled_by_what_was_typed() {
        let control = |line| match parse(line).unwrap() {
            Command::Control(control) => control,
            other => panic!("{other:?}"),
        };
        let swarm = control("swarm --url https://a/locust/ -u 5 -r 2 -t 1m -H http://h -f shop --wait --json --insecure --ca ca.pem");
        assert_eq!((swarm.action, swarm.is_json), (ControlAction::Swarm { waits: true }, true));
        let settings = Settings::resolve(&swarm.layer, [], None).unwrap().0;
        assert_eq!((settings.users, settings.host.as_deref(), settings.run.insecure_tls), (Some(5), Some("http://h"), true));
        assert_eq!((settings.master_url(), settings.ca_file.as_deref()), ("https://a/locust", Some(Path::new("ca.pem"))));
        assert_eq!(control("stop").action, ControlAction::Stop { waits: false });
        assert_eq!(control("status -w").action, ControlAction::Status { watches: true });
        assert_eq!(control("reset --url http://a").action, ControlAction::Reset);
        assert_eq!(parse("stop -u 5").unwrap_err().exit_code(), 2);
        assert_eq!(parse("status --web-token=hush").unwrap_err().exit_code(), 2);
    }

    #[test]
    fn a_secret_has_neither_settings_nor_a_flag() {
        assert_eq!(parse("secret").unwrap(), Command::Secret);
        assert_eq!(parse("secret --config a.toml").unwrap_err().exit_code(), 2);
        for line in ["master --secret hush_hush_hush", "worker --secret=hush_hush_hush"] {
            let message = message(line);
            assert!(message.contains("--secret-file") && !message.contains("hush"), "{message}");
        }
    }

    #[test]
    fn two_reports_are_compared_by_what_was_typed() {
        let line =
            ["lunamoth", "compare", "a.json", "b.json", "--limit", "p(99) +5%", "--limit", "rate -5%", "--markdown", "-", "--update"];
        let Command::Compare(asked) = Command::parse(line.map(OsString::from)).unwrap() else { panic!("compare was typed") };
        assert_eq!((asked.base.as_path(), asked.new.as_path()), (Path::new("a.json"), Path::new("b.json")));
        assert_eq!((asked.limits.len(), asked.markdown.as_deref(), asked.junit), (2, Some(Path::new("-")), None));
        assert!(asked.updates);
        assert_eq!(parse("compare a.json").unwrap_err().exit_code(), 2);
    }

    #[test]
    fn two_sides_are_compared_by_what_was_typed_and_no_host_beside_them() {
        let line = ["lunamoth", "ab", "a.lua", "--a", "http://a", "--b", "http://b", "--limit", "p(99) +5%", "-u", "5", "-t", "1m"];
        let Command::Ab(layer, asked) = Command::parse(line.map(OsString::from)).unwrap() else { panic!("ab was typed") };
        assert_eq!((asked.a.as_str(), asked.b.as_str(), asked.limits.len()), ("http://a", "http://b", 1));
        assert_eq!(Settings::resolve(&layer, [], None).unwrap().0.users, Some(5));
        assert!(message("ab a.lua --a http://a").contains("--b"));
        for host in ["-H", "--host"] {
            let refused = parse(&format!("ab a.lua --a http://a --b http://b {host} http://c")).unwrap_err();
            assert!(refused.advice.is_some_and(|advice| advice.contains("--a URL --b URL")), "{host}");
        }
    }

    #[test]
    fn what_a_search_shall_keep_and_between_which_rates_is_as_it_was_typed() {
        let line = ["lunamoth", "find", "a.lua", "--keep", "p(99) < 200ms", "--keep", "rate < 1%", "--from", "50/s", "-H", "http://h"];
        let Command::Find(layer, asked) = Command::parse(line.map(OsString::from)).unwrap() else { panic!("find was typed") };
        assert_eq!((asked.keeps.len(), asked.from.as_deref(), asked.to), (2, Some("50/s"), None));
        assert_eq!(Settings::resolve(&layer, [], None).unwrap().0.script.as_deref(), Some(Path::new("a.lua")));
        assert!(message("find a.lua").contains("--keep"));
    }

    #[test]
    fn a_command_that_is_misspelt_is_answered_with_the_right_one() {
        assert!(message("chekc a.lua").contains("'check'"));
    }

    #[test]
    fn every_command_shows_examples_of_itself() {
        for command in CommandLine::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(&format!("lunamoth {}", command.get_name())), "{}", command.get_name());
        }
    }

    #[test]
    fn help_is_no_error_and_an_unknown_flag_is_one() {
        assert_eq!(parse("--help").unwrap_err().exit_code(), 0);
        assert_eq!(parse("run --help").unwrap_err().exit_code(), 0);
        assert_eq!(parse("run a.lua --userz 5").unwrap_err().exit_code(), 2);
        assert!(message("run a.lua --userz 5").contains("--users"));
    }
}
