//! What people type who come from other tools: their flags, and ours that does the same. Also flags that stand at the wrong command of ours.
//!
//! Holds words alone; nothing here is a flag.

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// What to tell of a command line that clap refuses, where more can be told than clap knows. `line` is all that may be typed.
pub(super) fn advice(error: &clap::Error, typed: &[String], line: &Command) -> Option<String> {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let flag = context(ContextKind::InvalidArg)?;
            let command = typed.get(1).map_or("", String::as_str);
            if flag.starts_with('-') {
                of_flag(flag.split('=').next().unwrap_or(flag), command, line)
            } else {
                of_word(flag, command, typed, line)
            }
        }
        ErrorKind::InvalidSubcommand => {
            let word = context(ContextKind::InvalidSubcommand)?;
            let is_script = word.ends_with(".lua");
            is_script.then(|| format!("`{word}` is a script, not a command: `lunamoth run {word}`, or `lunamoth check {word}` to try it"))
        }
        ErrorKind::InvalidValue => {
            // clap tells of a flag without its value as of an empty one.
            let is_json = context(ContextKind::InvalidArg).is_some_and(|flag| flag.starts_with("--json"));
            let is_empty = context(ContextKind::InvalidValue).is_none_or(str::is_empty);
            (is_json && is_empty).then(|| "`--json` needs the name of a file, or `-` for stdout: `--json -`".to_owned())
        }
        _ => None,
    }
}

fn of_flag(flag: &str, command: &str, line: &Command) -> Option<String> {
    if command == "ab" && matches!(flag, "-H" | "--host") {
        return Some(format!("`{flag}` names one host, and `lunamoth ab` compares two: --a URL --b URL"));
    }
    let others: Vec<&str> =
        line.get_subcommands().filter(|other| other.get_name() != command && has(other, flag)).map(Command::get_name).collect();
    // Theirs comes before ours elsewhere: `-c` is meant as another tool's more often than as one of another command's.
    let foreign = FLAGS.iter().find(|(names, _, _)| names.contains(&flag));
    if let Some((_, tool, ours)) = foreign
        && takes_load(command, line)
    {
        return Some(format!("`{flag}` is {tool}; here it is {ours}"));
    }
    match others.as_slice() {
        [] => None,
        [one] => Some(format!("`{flag}` is no flag of {}; it is one of `lunamoth {one}`", named(command, line))),
        [first @ .., last] => Some(format!(
            "`{flag}` is no flag of {}; it is one of `lunamoth {}` and `lunamoth {last}`",
            named(command, line),
            first.join("`, `lunamoth ")
        )),
    }
}

/// A word too many: most often the value of a flag that takes none here.
fn of_word(word: &str, command: &str, typed: &[String], line: &Command) -> Option<String> {
    let before = typed.iter().position(|other| other == word).and_then(|at| typed.get(at.checked_sub(1)?))?;
    let of_command = line.get_subcommands().find(|other| other.get_name() == command)?;
    if before == "-q" && word.parse::<f64>().is_ok() {
        return Some(format!("`-q {word}` is a rate with hey and oha; here `-q` is quiet, and a rate is `--rate {word}`"));
    }
    let is_switch = of_command.get_arguments().any(|argument| is_named(argument, before) && argument.is_require_equals_set());
    is_switch.then(|| format!("`{before}` is on when it stands alone; with a value it is written `{before}={word}`"))
}

fn takes_load(command: &str, line: &Command) -> bool {
    matches!(command, "run" | "master" | "check" | "swarm") || !line.get_subcommands().any(|other| other.get_name() == command)
}

fn named(command: &str, line: &Command) -> String {
    let is_command = line.get_subcommands().any(|other| other.get_name() == command);
    if is_command { format!("`lunamoth {command}`") } else { "`lunamoth` alone".to_owned() }
}

fn has(command: &Command, flag: &str) -> bool {
    command.get_arguments().any(|argument| is_named(argument, flag))
}

fn is_named(argument: &clap::Arg, flag: &str) -> bool {
    let is_short = |short: char| flag.strip_prefix('-').is_some_and(|name| name.chars().eq([short]));
    let is_long = |long: &str| flag.strip_prefix("--").is_some_and(|name| name == long);
    argument.get_short().is_some_and(is_short)
        || argument.get_long().is_some_and(is_long)
        || argument.get_all_aliases().unwrap_or_default().iter().any(|alias| is_long(alias))
}

type Row = (&'static [&'static str], &'static str, &'static str);

/// Their names, whose word it is, and ours.
const FLAGS: &[Row] = &[
    (&["--vus"], "k6's", "`-u N`, the number of users"),
    (
        &["--duration", "-d"],
        "k6's, wrk's and vegeta's",
        "`-t TIME`, the length of the run (`-t` is no number of threads: that is `--lanes N`)",
    ),
    (&["-z"], "hey's and oha's", "`-t TIME`, the length of the run"),
    (
        &["--iterations", "-i", "-n", "--num-requests", "--requests"],
        "k6's, ab's, hey's and oha's",
        "`load = scenario.iterations { users = 10, total = 5000 }` in the script, or a run by time, `-t TIME`",
    ),
    (&["--stage", "--stages"], "k6's", "the scenario's `load = scenario.ramp { { users = 20, over = \"10s\" }, { hold = \"30s\" } }`"),
    (
        &["--connections", "-c", "--concurrency", "--clients", "--num-clients", "--workers"],
        "wrk's, ab's, hey's, oha's and Locust's",
        "`-u N`, the number of users: each has connections of its own",
    ),
    (
        &["--threads", "--cpus", "-cpus", "--processes", "--worker-threads", "--thread-count"],
        "wrk's, hey's, oha's and Locust's",
        "`--lanes N`, the cores that make load",
    ),
    (
        &["-R", "--rps", "--arrival-rate", "--query-per-second"],
        "wrk2's, k6's and oha's",
        "`--rate 500/s`, or `load = scenario.arrivals { ... }` in the script",
    ),
    (&["--latency", "--latencies", "--print-latencies"], "wrk's", "always shown"),
    (&["--only-summary", "--no-summary"], "Locust's and k6's", "`-q`: the final report alone"),
    (
        &["--summary-export", "-o", "--output", "--output-format", "--summary-mode", "--report", "--outdir"],
        "k6's, oha's and vegeta's",
        "`--json FILE` (`-` is stdout), `--csv BASE`, `--html FILE`, or `--out KIND=FILE`",
    ),
    (&["--results-folder", "-rf"], "Gatling's", "`--csv BASE`, `--json FILE` or `--html FILE`"),
    (&["--simulation"], "Gatling's", "the script's path, without a flag: `lunamoth run SCRIPT`"),
    (&["--locustfile"], "Locust's", "the script's path, without a flag, or `-f FILE`"),
    (&["--csv-full-history"], "Locust's", "always written by `--csv BASE`"),
    (&["--env", "-e"], "k6's", "`--set NAME=VALUE`, which `env(\"NAME\")` answers"),
    (&["--insecure-skip-tls-verify", "--insecure", "-k", "--skip-verify"], "k6's, oha's and curl's", "`--insecure-tls`"),
    (&["--max-redirects", "--redirect"], "k6's, oha's and vegeta's", "`--redirects N`"),
    (&["--http-debug", "--debug"], "k6's", "`lunamoth check SCRIPT`, which shows each request"),
    (&["--verbose", "-v"], "k6's and hey's", "`-L debug` for the log, and `lunamoth check SCRIPT` for each request"),
    (&["--logfile", "--log-output"], "Locust's and k6's", "the shell's `2> FILE`: the log goes to stderr"),
    (&["--loglevel"], "Locust's", "`-L LEVEL`"),
    (&["--no-tui", "--no-web"], "oha's and Locust's", "`--headless`"),
    (
        &["--method", "-m", "--body", "--header", "-b", "--content-type", "--user-agent", "--form", "--body-file", "-D"],
        "curl's, hey's, oha's and vegeta's",
        "the script's: `http.request(\"POST\", \"/orders\", { headers = ..., body = ... })`",
    ),
    (&["--url", "--target", "--targets"], "oha's, artillery's and vegeta's", "`-H URL` for the host, and paths in the script"),
    (&["--proxy", "-x", "-X"], "curl's, oha's and ab's", "`--proxy-from-env` with HTTP_PROXY and HTTPS_PROXY"),
    (&["--web-port", "--web-addr", "--address"], "Locust's and k6's", "`--web ADDRESS`, such as `--web :8089`"),
    (&["--web-auth", "--web-login"], "Locust's", "a token: LUNAMOTH_WEB_TOKEN or `--web-token-file FILE`"),
    (&["--tls-cert"], "Locust's", "`--web-cert FILE`"),
    (&["--tls-key"], "Locust's", "`--web-key FILE`"),
    (
        &["--master", "--worker", "--slave", "--standalone"],
        "Locust's",
        "a command: `lunamoth master --scripts DIR`, `lunamoth worker --master HOST --scripts DIR`",
    ),
    (&["--master-host", "--master-port"], "Locust's", "`lunamoth worker --master HOST:PORT`"),
    (&["--master-bind-host", "--master-bind-port"], "Locust's", "`lunamoth master --bind ADDRESS`"),
    (&["--reset-stats", "--no-reset-stats"], "Locust's", "`lunamoth reset` or the page: numbers are never reset by themselves"),
    (
        &["--spawn-rate-per-second", "--ramp-up", "--rampup", "--ramp"],
        "other tools'",
        "`-r RATE`, users started per second, or the scenario's `load`",
    ),
    (&["--autoquit", "--autoquit-timeout"], "Locust's", "`run`, which ends with its load"),
    (&["--no-thresholds"], "k6's", "a scenario without `thresholds`"),
    (&["--http2", "-h2", "--http-version"], "oha's, hey's and vegeta's", "agreed on with the server: HTTP/2 wherever TLS offers it"),
];

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::CommandLine;

    /// The advice on `line`; the whole of clap's text where there is none.
    fn told(line: &str) -> String {
        let typed: Vec<String> = std::iter::once("lunamoth").chain(line.split_whitespace()).map(str::to_owned).collect();
        let error = CommandLine::try_parse(&typed);
        advice(&error, &typed, &CommandLine::command()).unwrap_or_else(|| error.to_string())
    }

    impl CommandLine {
        fn try_parse(typed: &[String]) -> clap::Error {
            use clap::Parser as _;
            CommandLine::try_parse_from(typed).unwrap_err()
        }
    }

    #[test]
    fn flags_of_other_tools_name_ours() {
        for (line, ours) in [
            ("run a.lua --vus 10", "`-u N`"),
            ("run a.lua --vus=10", "`-u N`"),
            ("run a.lua --duration 30s", "`-t TIME`"),
            ("run a.lua -t12 -c400 -d30s", "`-u N`"),
            ("run a.lua -d 30s", "`--lanes N`"),
            ("run a.lua --only-summary", "`-q`"),
            ("run a.lua --summary-export=x.json", "`--json FILE`"),
            ("run a.lua -n 1000", "`-t TIME`"),
            ("run a.lua --insecure", "`--insecure-tls`"),
            ("run a.lua --env A=b", "`--set NAME=VALUE`"),
            ("run a.lua --verbose", "`-L debug`"),
            ("--locustfile a.lua --headless", "the script's path"),
            ("master --processes 4", "`--lanes N`"),
            ("run a.lua --master", "lunamoth master"),
        ] {
            let told = told(line);
            assert!(told.contains(" here it is ") && told.contains(ours) && !told.contains('\n'), "{line}: {told}");
        }
    }

    #[test]
    fn a_flag_at_the_wrong_command_names_the_right_ones() {
        assert_eq!(
            told("worker -u 5"),
            "`-u` is no flag of `lunamoth worker`; it is one of `lunamoth run`, `lunamoth master`, `lunamoth swarm` and `lunamoth ab`"
        );
        assert_eq!(told("run a.lua --once"), "`--once` is no flag of `lunamoth run`; it is one of `lunamoth worker`");
        assert_eq!(told("-u 5").split(';').next(), Some("`-u` is no flag of `lunamoth` alone"));
    }

    #[test]
    fn words_too_many_say_what_they_were_taken_for() {
        assert_eq!(
            told("run a.lua --headless true"),
            "`--headless` is on when it stands alone; with a value it is written `--headless=true`"
        );
        assert!(told("run a.lua -q 10").contains("`-q` is quiet"));
        assert!(told("load.lua").contains("`lunamoth run load.lua`"));
        assert!(told("run a.lua --json").contains("`--json -`"));
        assert!(told("run a.lua b.lua").contains("unexpected argument 'b.lua'"));
    }

    #[test]
    fn no_flag_of_theirs_is_one_that_a_run_takes() {
        let line = CommandLine::command();
        let run = line.get_subcommands().find(|command| command.get_name() == "run").unwrap();
        for flag in FLAGS.iter().flat_map(|(names, _, _)| *names).filter(|flag| **flag != "--loglevel") {
            assert!(!has(run, flag), "{flag}");
        }
    }
}
