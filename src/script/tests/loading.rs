//! Loading: what a script describes, and what is said of a script that is wrong.

use std::time::Duration;

use super::super::testing::Script;
use super::super::{Host, LoadOptions};
use crate::plan::{ArrivalsProfile, IterationsProfile, LoadProfile, ProfileEnd, Quota, Spacing, Stage};

const HEAD: &str =
    "local scenario, wait = require 'scenario', require 'wait'\nlocal U = scenario.user { name = 'U' }\nU:task('t', function() end)\n";

#[test]
fn a_whole_scenario_is_described() {
    let host = Script::new(
        r#"
        local scenario, wait = require "scenario", require "wait"
        local A = scenario.user { name = "A", weight = 3, wait = wait.between(1, "3s") }
        A:task("browse", { weight = 3, tags = { "read" } }, function() end)
        A:task("buy", function() end)
        local B = scenario.user { name = "B", count = 2, host = "http://b" }
        B:task("x", function() end)
        local billing = require("http").client { host = "http://billing/v1", headers = { ["x-a"] = "1" } }
        local plain = require("http").client { timeout = "2s" }
        return scenario {
          host = "builtin:shop",
          users = { A, B },
          load = scenario.ramp { { users = 20, over = "10s" }, { hold = "30s" }, { users = 0, over = 5 } },
          thresholds = { http_req_duration = { "p(95) < 200ms", "avg < 50ms" }, ["http_req_failed"] = "rate < 1%" },
          hosts = { ["shop.example"] = "127.0.0.1", six = "::1" },
        }
        "#,
    )
    .load()
    .unwrap();
    let told = host.description();
    assert_eq!(told.name, "test");
    assert_eq!(told.host.as_deref(), Some("builtin:shop"));
    assert_eq!(told.class_hosts.iter().map(|(class, host)| (class.as_str(), host.as_str())).collect::<Vec<_>>(), [("B", "http://b")]);
    assert_eq!(told.client_hosts.iter().map(String::as_str).collect::<Vec<_>>(), ["http://billing/v1"]);
    assert_eq!(
        told.classes.iter().map(|class| (class.name.as_str(), class.weight, class.count)).collect::<Vec<_>>(),
        [("A", 3, None), ("B", 1, Some(2))]
    );
    assert_eq!(told.classes[0].tasks.iter().map(|task| (task.name.as_str(), task.weight)).collect::<Vec<_>>(), [("browse", 3), ("buy", 1)]);
    let profile = told.profile.as_ref().unwrap();
    let stage = |users, seconds| Stage { users, over: Duration::from_secs(seconds) };
    let stages = vec![stage(20, 10), stage(20, 30), stage(0, 5)];
    assert_eq!(*profile, LoadProfile::staged(stages, ProfileEnd::StopAt(Duration::from_secs(45))));
    let thresholds: Vec<_> = told.thresholds.iter().map(|threshold| (threshold.metric.as_str(), threshold.condition.as_str())).collect();
    assert_eq!(thresholds, [("http_req_duration", "p(95) < 200ms"), ("http_req_duration", "avg < 50ms"), ("http_req_failed", "rate < 1%")]);
    assert_eq!(told.hosts["shop.example"].to_string(), "127.0.0.1");
    assert_eq!(told.fingerprint.len(), 64);
}

#[test]
fn mistakes_in_a_scenario_name_the_line_and_the_nearest_right_name() {
    let cases = [
        ("scenario.user { wieght = 2 }", "test.lua:4: scenario.user has no `wieght`, did you mean `weight`?"),
        (
            "scenario { users = { U }, thresholds = { http_req_duration = { 'p(99) < 100ms', abort = true } } }",
            "has no `abort`: it stands in the condition, as in \"p(99) < 300ms over 30s after 1m abort\"",
        ),
        ("scenario { users = { U }, thresholds = { http_req_duration = { p95 = '200ms' } } }", "has no `p95`: write \"p(95) < 200ms\""),
        ("scenario { users = { U }, thresholds = { http_req_duration = { agv = '200ms' } } }", "such as \"avg < 1\""),
        ("scenario { users = { U }, thresholds = { http_req_duration = {} } }", "thresholds of http_req_duration: the list is empty"),
        (
            "scenario.user { tags = { kind = 'read' } }",
            "which has no `kind`: these are for -T and -E; tags of requests are an option of theirs",
        ),
        ("scenario.user { tags = { 'read', nil, 'write' } }", "scenario.user: tags is a list of texts, which has no `3`"),
        ("scenario.user { weight = 0 }", "test.lua:4: scenario.user: weight must be a positive whole number, not 0"),
        ("scenario.user { weight = 1.5 }", "not 1.5"),
        ("scenario.user { weight = '2' }", "not \"2\""),
        ("scenario.user { count = -1 }", "count must be a positive whole number"),
        ("scenario.user { weight = 1, count = 1 }", "either a weight or a count"),
        ("scenario.user { wait = 3 }", "wait must be a rule such as wait.between(1, 3)"),
        ("U:task('t', function() end)", "two tasks with the name `t`"),
        ("U:task('v', { tag = 'x' }, function() end)", "task `v` has no `tag`, did you mean `tags`?"),
        ("U:task('v', { weight = 'x' }, function() end)", "task `v`: weight must be"),
        ("U:task('v', function() end, { weight = 2 })", "options are a table, given before the function"),
        ("U:task('v')", "a function or scenario.tasks"),
        ("U.task('v', function() end)", "write Class:task"),
        ("scenario.tasks { time = 3, { 1, function() end } }", "did you mean `times`?"),
        ("scenario.tasks { {} }", "member 1 must be { weight, function }"),
        ("return scenario { user = { U } }", "test.lua: scenario has no `user`, did you mean `users`?"),
        ("local s = scenario { users = 3 }", "test.lua:4: scenario: users must be a list"),
        ("local s = scenario { usres = {} }", "test.lua:4: scenario has no `usres`"),
        ("return scenario { users = {} }", "users must be a list of classes"),
        ("return scenario { users = { function() end } }", "users[1] is no class"),
        ("return scenario { users = { U }, load = { users = 3 } }", "load must be a profile such as scenario.ramp"),
        ("return scenario { users = { U }, tls = { cert = 'a' } }", "tls needs both cert and key"),
        ("return scenario { users = { U }, http = { versoin = 2 } }", "scenario: http has no `versoin`, did you mean `version`?"),
        ("return scenario { users = { U }, http = { version = 3 } }", "scenario: http: option `version`: HTTP/3 comes with a later"),
        ("return scenario { users = { U }, http = 2 }", "scenario: http must be a table such as { version = \"2\" }, not a number"),
        ("return scenario { users = { U }, max_connections = 6 }", "scenario: `max_connections` stands in its table `http`"),
        ("return scenario { users = { U }, setup = 'x' }", "test.lua: scenario: setup must be a function, not a string"),
        ("return scenario { users = { U }, setup_timeout = 3 }", "test.lua: scenario: setup_timeout needs a setup"),
        ("return scenario { users = { U }, teardown = print, teardown_timeout = 0 }", "teardown_timeout must be longer than 0 s"),
        ("local x = scenario.data()", "test.lua:4: scenario.data() is not possible while the script is loaded"),
        ("return scenario { users = { U }, warmup = '1500ms' }", "test.lua: scenario: warmup: whole seconds are needed, such as \"30s\""),
        ("return scenario { users = { U }, warmup = '-1s' }", "test.lua: scenario: warmup: a duration is"),
        ("return scenario { users = { U }, warmup = false }", "test.lua: scenario: warmup: a duration is"),
        ("return scenario { users = { U }, warm_up = 3 }", "scenario has no `warm_up`, did you mean `warmup`?"),
        ("return scenario { users = { U }, hosts = { a = 'nowhere' } }", "`nowhere` (for `a`) is no IP address"),
        (
            "return scenario { users = { U }, hosts = { a = '[fe80::1%2]:80' } }",
            "`[fe80::1%2]:80` (for `a`) has a zone (`%`), which is not possible",
        ),
        ("return scenario { users = { U, nil, U } }", "scenario: users has a member 3, and none before it: a list has no gaps"),
        ("return scenario { users = { U, count = 3 } }", "scenario: users is a list, which has no `count`"),
        ("return scenario.ramp { { users = 2, over = 1 }, nil, { hold = 5 } }", "scenario.ramp has a member 3, and none before it"),
        (
            "return scenario.ramp { { users = 2, over = 1 }, loop = true }",
            "scenario.ramp has no `loop`: it knows name, classes, start, tags",
        ),
        ("return scenario.arrivals { { rate = 2 }, nil, { hold = 5 } }", "scenario.arrivals has a member 3, and none before it"),
        ("return scenario.tasks { print, nil, print }", "scenario.tasks has a member 3, and none before it"),
        ("return scenario { users = { U, U } }", "two user classes have the name `U`"),
        ("return scenario.ramp { { user = 2 } }", "did you mean `users`?"),
        (
            "return scenario.ramp { { users = 2, over = '5x' } }",
            "a duration is seconds as a number, or a string such as \"500ms\" or \"2m\", not \"5x\"",
        ),
        ("return scenario.ramp { { users = 2, hold = 3 } }", "stage 1 is either"),
        ("scenario.arrivals { }", "test.lua:4: scenario.arrivals: a list of stages is needed"),
        (
            "scenario.arrivals { { rate = -5 }, { hold = 1 } }",
            "test.lua:4: scenario.arrivals: stage 1: a rate is a number per second above 0",
        ),
        ("scenario.arrivals { { rate = 1 / 0 }, { hold = 1 } }", "scenario.arrivals: stage 1: a rate is"),
        ("scenario.arrivals { { rate = '10/day' }, { hold = 1 } }", "not \"10/day\""),
        ("scenario.arrivals { { rate = '10/s', hold = 1 } }", "stage 1 is either { rate = , over = } or { hold = }"),
        ("scenario.arrivals { { rate = 0 }, { hold = 1 } }", "no iteration would ever be due"),
        ("scenario.arrivals { { rate = '10/s' } }", "the run would have no length"),
        ("scenario.arrivals { { rate = 1, over = 1 }, max_users = 0 }", "max_users must be a positive whole number, not 0"),
        ("scenario.arrivals { { rate = 1, over = 1 }, patience = -1 }", "scenario.arrivals: patience: a duration is"),
        ("scenario.arrivals { { rate = 1, over = 1 }, spacing = 'random' }", "spacing is \"even\" or \"poisson\", not random"),
        ("scenario.arrivals { { rate = 1, over = 1 }, max_user = 5 }", "has no `max_user`, did you mean `max_users`?"),
        ("scenario.iterations(5)", "test.lua:4: scenario.iterations: a table is needed"),
        ("scenario.iterations { users = 10 }", "say either how many iterations `each` user does, or how many there are in `total`"),
        ("scenario.iterations { users = 10, each = 1, total = 5 }", "scenario.iterations: say either how many"),
        ("scenario.iterations { users = 0, each = 1 }", "test.lua:4: scenario.iterations: users must be a positive whole number, not 0"),
        ("scenario.iterations { each = 1 }", "users must be a positive whole number, not nil"),
        ("scenario.iterations { users = 2, each = 1.5 }", "each must be a positive whole number, not 1.5"),
        ("scenario.iterations { users = 2, each = 0 }", "each must be a positive whole number, not 0"),
        ("scenario.iterations { users = 2, total = 0 }", "total must be a whole number from 1 to 10^12, not 0"),
        ("scenario.iterations { users = 2, total = 2.5 }", "not 2.5"),
        ("scenario.iterations { users = 2, total = '5' }", "not \"5\""),
        ("scenario.iterations { users = 2, total = 1 / 0 }", "not inf"),
        ("scenario.iterations { users = 2, total = 5, within = 0 }", "scenario.iterations: within must be longer than 0 s"),
        ("scenario.iterations { users = 2, total = 5, within = 'soon' }", "scenario.iterations: within: a duration is"),
        ("scenario.iterations { users = 2, iterations = 5 }", "scenario.iterations has no `iterations`"),
        ("scenario.iterations { users = 2, totl = 5 }", "has no `totl`, did you mean `total`?"),
        ("scenario.steps { from = '1/s', step = 2, every = 1, to = 'x' }", "scenario.steps: to: a rate is"),
        ("wait.pacing(0)", "test.lua:4: wait.pacing: iterations must begin more than 0 s apart"),
        ("wait.pacing('soon')", "test.lua:4: wait.pacing: a duration is"),
        ("wait.throughput('2/d')", "test.lua:4: wait.throughput: a rate is a number per second above 0"),
        ("wait.throughput(-1)", "or a string such as \"200/s\", \"30/m\" or \"100/h\", not -1"),
        ("wait.throughput(1 / 0)", "wait.throughput: a rate is"),
        ("wait.poisson {}", "wait.poisson: a duration is"),
        (
            "scenario.steps { from = 1, step = 0, every = 1, to = 5 }",
            "test.lua:4: scenario.steps: step must be a positive whole number, not 0",
        ),
        ("scenario.steps { from = 1, step = 1, every = 0, to = 5 }", "scenario.steps: every must be longer than 0 s"),
        ("scenario.steps { from = 1, step = 1, evry = 1, to = 5 }", "has no `evry`, did you mean `every`?"),
        ("scenario.steps { from = 1, step = 1, every = 1, to = 5000 }", "more than 1000 steps"),
        ("scenario.spike { base = 5, peak = 5, at = 1, hold = 1 }", "test.lua:4: scenario.spike: the peak is not above the base"),
        ("scenario.spike { base = 5, peak = 9, at = 1 }", "say `over`, `hold` or both"),
        ("wait.between(3, 1)", "the first bound is above the second"),
        ("require 'grpc'", "this version does not have the library `grpc`"),
        ("require 'chekc'", "did you mean `check`?"),
        ("local V = scenario.user { name = 'V' } return V", "class `V` has no task"),
        ("function U:on_start() end U.on_start = 3 return U", "on_start must be a function, not a number"),
    ];
    for (line, expected) in cases {
        let message = Script::new(&format!("{HEAD}{line}\n")).refused();
        assert!(message.contains(expected), "{line}\n  said {message}\n  not  {expected}");
    }
}

#[test]
fn what_a_script_returns_must_be_something_to_run() {
    assert_eq!(
        Script::new("local x = 1").refused(),
        "test.lua: the script returned nothing: it must return scenario { ... }, a user class or a function"
    );
    assert!(Script::new("return 5").refused().contains("the script returned a number"));
    assert!(Script::new("return {}").refused().contains("the script returned a table"));
}

#[test]
fn a_syntax_error_names_file_and_line() {
    assert_eq!(Script::new("local a = 1\nlocal b == 2").refused(), "test.lua:2: unexpected symbol near '=='");
    let message = Script::new("return require 'part'").with_file("part.lua", "local = 1").refused();
    assert!(message.contains("part.lua:1: "), "{message}");
}

#[test]
fn an_error_at_the_top_level_has_a_place_and_a_short_traceback() {
    let message = Script::new("local function f() error('bad table') end\nf()").refused();
    assert_eq!(message, "test.lua:1: bad table\n    test.lua:1: in function 'f'\n    test.lua:2: in function 'script'");
}

#[test]
fn paths_that_are_no_script_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |path: &std::path::Path| Host::load(path, &LoadOptions::default()).unwrap_err().to_string();
    assert!(refused(&folder.path().join("none.lua")).starts_with("no script at `"));
    assert!(refused(folder.path()).contains("is a directory"));
}

#[test]
fn files_beside_the_script_are_required_once_and_travel_in_memory() {
    let script = Script::new("local a, b = require 'lib.a', require 'lib.a' assert(a == b and a.name == 'lib.a') return function() end")
        .with_file("lib/a.lua", "return { name = ... }");
    let host = script.load().unwrap();
    assert!(host.bundle().file("lib/a.lua").is_some());
    let lane = script.lane();
    std::fs::remove_file(script.folder().join("lib/a.lua")).unwrap();
    assert!(!lane.live(0, 1)[1].raised);
}

#[test]
fn a_file_with_a_librarys_name_is_to_be_renamed() {
    let message = Script::new("return function() end").with_file("http.lua", "return {}").refused();
    assert!(message.contains("http.lua` has the name of a library: rename it"), "{message}");
}

#[test]
fn a_file_that_requires_itself_is_told_so() {
    let message = Script::new("return require 'a'").with_file("a.lua", "return require 'a'").refused();
    assert!(message.contains("test.lua: require: `a` requires itself"), "{message}");
}

#[test]
fn a_file_that_was_not_read_at_load_cannot_be_required_later() {
    let script = Script::new("return function() require 'late' end").with_file("late.lua", "return {}");
    let lane = script.lane();
    lane.live(0, 1);
    let said = &lane.exceptions()[0].0;
    assert!(
        said.starts_with("test.lua:1: require: no library and no file that was read when the script was loaded is called `late`: require files at the top"),
        "{said}"
    );
}

#[test]
fn a_file_that_another_file_required_at_load_can_be_required_later() {
    let script = Script::new("require 'a' return function() assert(require('b') == 2) assert(require 'json') end")
        .with_file("a.lua", "require 'b'")
        .with_file("b.lua", "return 2");
    assert!(!script.lane().live(0, 1)[1].raised);
}

#[test]
fn a_certificate_that_is_not_there_is_named() {
    let message =
        Script::new(&format!("{HEAD}return scenario {{ users = {{ U }}, tls = {{ cert = 'none.pem', key = 'none.key' }} }}")).refused();
    assert!(message.starts_with("no file at `") && message.ends_with("none.pem`, which the script names"), "{message}");
}

#[test]
fn the_top_level_is_pure() {
    for (line, expected) in [
        ("require('time').sleep(1)", "test.lua:1: a request, a wait or a sleep is not possible while the script is loaded"),
        ("math.random()", "test.lua:1: random numbers are not available while the script is loaded"),
        ("require('check').that('x', true)", "check() is not possible while the script is loaded"),
        ("require('group')('x', function() end)", "group() is not possible while the script is loaded"),
        ("require('time').now()", "time.now() is not possible while the script is loaded"),
        ("local c = coroutine.wrap(function() require('time').sleep(1) end) c()", "is not possible while the script is loaded"),
    ] {
        let message = Script::new(line).refused();
        assert!(message.contains(expected), "{line}\n  said {message}");
    }
}

#[test]
fn a_top_level_that_does_not_end_is_stopped() {
    let message = Script::new("local n = 0\nwhile true do n = n + 1 end").refused();
    assert!(message.starts_with("test.lua:2: the script ran for more than 1 s without yielding"), "{message}");
}

#[test]
fn a_function_that_a_library_does_not_have_is_named_with_the_nearest_one() {
    let message = Script::new("local wait = require 'wait'\nlocal x = wait.betwen(1, 2)").refused();
    assert!(message.starts_with("test.lua:2: module `wait` has no `betwen`, did you mean `between`?"), "{message}");
    let message = Script::new("local x = require('env').HOME").refused();
    assert!(message.starts_with("test.lua:1: module `env` has no `HOME`\n"), "{message}");
}

#[test]
fn a_library_of_a_later_version_is_refused_at_the_callers_line() {
    let message = Script::new("\nlocal ws = require 'ws'").refused();
    assert!(message.starts_with("test.lua:2: require: this version does not have the library `ws`"), "{message}");
}

#[test]
fn a_file_that_raised_is_read_again_by_the_next_require() {
    let script = Script::new("pcall(require, 'a')\nreturn require 'a'").with_file("a.lua", "error('not yet')");
    assert!(script.refused().starts_with("a.lua:1: not yet"));
}

#[test]
fn steps_and_spikes_are_ramps_written_short() {
    let stages = |load: &str| -> Vec<(u32, f64)> {
        let script = format!(
            "local scenario = require 'scenario' local U = scenario.user {{}} U:task('t', function() end) \
             return scenario {{ users = {{ U }}, load = {load} }}"
        );
        let lane = Script::new(&script).lane();
        let Some(LoadProfile::Ramp(profile)) = &lane.host.description().profile else { panic!("no ramp") };
        profile.stages.iter().map(|stage| (stage.users, stage.over.as_secs_f64())).collect()
    };
    assert_eq!(
        stages("scenario.steps { from = 10, step = 4, every = '30s', to = 17 }"),
        [(10, 0.0), (10, 30.0), (14, 0.0), (14, 30.0), (17, 0.0), (17, 30.0)]
    );
    assert_eq!(stages("scenario.steps { from = 5, step = 4, every = 2, to = 1 }"), [(5, 0.0), (5, 2.0), (1, 0.0), (1, 2.0)]);
    assert_eq!(stages("scenario.steps { from = 3, step = 1, every = 0.5, to = 3 }"), [(3, 0.0), (3, 0.5)]);
    assert_eq!(
        stages("scenario.spike { base = 0, peak = 9, at = '10s', over = 1.5, hold = '3s' }"),
        [(0, 0.0), (0, 10.0), (9, 1.5), (9, 3.0), (0, 1.5), (0, 10.0)]
    );
}

#[test]
fn arrivals_are_rates_over_time_and_steps_of_rates_are_arrivals() {
    let told = |load: &str| {
        let script = format!(
            "local scenario = require 'scenario' local U = scenario.user {{}} U:task('t', function() end) \
             return scenario {{ users = {{ U }}, load = {load} }}"
        );
        let lane = Script::new(&script).lane();
        let Some(LoadProfile::Arrivals(profile)) = lane.host.description().profile.clone() else { panic!("no arrivals") };
        profile
    };
    let stages = |profile: &ArrivalsProfile| -> Vec<(String, f64)> {
        profile.stages.iter().map(|stage| (stage.rate.to_string(), stage.over.as_secs_f64())).collect()
    };
    let text = |pairs: &[(&str, f64)]| -> Vec<(String, f64)> { pairs.iter().map(|&(rate, over)| (rate.to_owned(), over)).collect() };
    let full = told(
        "scenario.arrivals { { rate = '200/s', over = '30s' }, { hold = '5m' }, { rate = 0, over = 1.5 }, spacing = 'poisson', max_users = 500, patience = '2s' }",
    );
    assert_eq!(stages(&full), text(&[("200/s", 30.0), ("200/s", 300.0), ("0/s", 1.5)]));
    assert_eq!((full.spacing, full.max_users, full.patience), (Spacing::Poisson, Some(500), Duration::from_secs(2)));
    assert_eq!(full.end, ProfileEnd::StopAt(Duration::from_millis(331_500)));
    let plain = told("scenario.arrivals { { rate = '1/m' }, { hold = 60 } }");
    assert_eq!(stages(&plain), text(&[("1/m", 0.0), ("1/m", 60.0)]));
    assert_eq!((plain.spacing, plain.max_users, plain.patience), (Spacing::Even, None, Duration::ZERO));
    let steps = told("scenario.steps { from = '100/s', step = '50/s', every = 2, to = '190/s', max_users = 7 }");
    assert_eq!(stages(&steps), text(&[("100/s", 0.0), ("100/s", 2.0), ("150/s", 0.0), ("150/s", 2.0), ("190/s", 0.0), ("190/s", 2.0)]));
    assert_eq!(steps.max_users, Some(7));
    let spike = told("scenario.spike { base = 0, peak = '9/s', at = 1, hold = 2 }");
    assert_eq!(stages(&spike)[2..4], text(&[("9/s", 0.0), ("9/s", 2.0)]));
}

#[test]
fn iterations_are_each_users_or_all_users_together_and_may_have_a_limit() {
    let told = |load: &str| {
        let script = format!(
            "local scenario = require 'scenario' local U = scenario.user {{}} U:task('t', function() end) \
             return scenario {{ users = {{ U }}, load = scenario.iterations {load} }}"
        );
        let lane = Script::new(&script).lane();
        let Some(LoadProfile::Iterations(profile)) = lane.host.description().profile.clone() else { panic!("no iterations") };
        profile
    };
    let wanted = |users, quota, end| IterationsProfile { users, quota, start: Duration::ZERO, end };
    assert_eq!(told("{ users = 10, each = 100 }"), wanted(10, Quota::Each(100), ProfileEnd::Hold));
    let within = ProfileEnd::StopAt(std::time::Duration::from_secs(600));
    assert_eq!(told("{ users = 10, total = 5000, within = '10m' }"), wanted(10, Quota::Total(5_000), within));
    assert_eq!(told("{ users = 1, total = 1e12 }"), wanted(1, Quota::Total(1_000_000_000_000), ProfileEnd::Hold));
}
