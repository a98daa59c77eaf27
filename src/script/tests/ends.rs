//! How users end: what a user that shall finish does at its next sleep or wait. And how long sleeps are, in each form in which scripts write them.

use std::rc::Rc;
use std::time::Duration;

use super::super::testing::{Script, TestLane};
use crate::load::{Step, UserControl, VirtualUser};

/// As [`super::super::testing::block_on`], with a clock that jumps to the next thing to do: an hour of sleep takes no time, and can be measured.
fn in_paused_time<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, future)
}

/// Each check that held, with how often.
fn passed(lane: &TestLane) -> Vec<(String, u64)> {
    let mut all: Vec<_> = lane.tally().checks.iter().map(|(name, counts)| (name.to_string(), counts.passes)).collect();
    all.sort();
    all
}

/// Runs one iteration of the first user, which is told to finish after `millis`, and then its `on_stop`: both steps, and how long each took.
fn told_after(lane: &TestLane, millis: u64) -> [(Step, Duration); 2] {
    in_paused_time(async {
        let (mut user, control) = lane.user(0);
        let began = tokio::time::Instant::now();
        let (iteration, ()) = tokio::join!(user.iterate(), tell(&control, millis));
        let iterated = began.elapsed();
        let stop = user.on_stop().await;
        [(iteration, iterated), (stop, began.elapsed() - iterated)]
    })
}

async fn tell(control: &Rc<UserControl>, millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
    control.drain();
}

/// A script of one class whose task is `task` and whose `on_stop` is `on_stop`.
fn script(task: &str, on_stop: &str) -> TestLane {
    Script::new(&format!(
        r#"
        local scenario, check, time, shared, group, wait = require "scenario", require "check", require "time", require "shared", require "group", require "wait"
        local U = scenario.user {{ name = "U", wait = wait.constant("1h") }}
        U:task("t", function(self) {task} end)
        function U:on_stop() {on_stop} end
        return U
        "#
    ))
    .lane()
}

#[test]
fn a_user_that_shall_finish_ends_its_iteration_where_it_sleeps_or_waits_and_runs_its_on_stop() {
    for task in [
        "time.sleep(3600)",
        "time.sleep(3600.5)",
        "time.sleep('1h')",
        "self:wait()",
        "while true do time.sleep(0.1) end",
        "while true do pcall(time.sleep, 60) end",
        "while true do pcall(function() self:wait() end) end",
        "while not shared.get('ready') do time.sleep(1) end",
        "coroutine.wrap(function() while true do time.sleep(1) end end)()",
        "local co = coroutine.create(function() while true do coroutine.yield(pcall(time.sleep, 1)) end end) while true do coroutine.resume(co) end",
        "group('g', function() while true do xpcall(time.sleep, print, 2) end end)",
        "shared.cached('k', function() time.sleep('1h') return 1 end)",
    ] {
        let lane = script(task, "check.that('stopped ' .. self.index .. ' in ' .. self.iteration, true)");
        let [(iteration, took), (stop, _)] = told_after(&lane, 250);
        assert!(iteration.interrupted && iteration.yielded && !iteration.raised && !iteration.ended, "{task}: {iteration:?}");
        assert_eq!(took, Duration::from_millis(250), "{task}");
        assert!(!stop.interrupted && !stop.raised, "{task}: {stop:?}");
        assert_eq!((passed(&lane), lane.exceptions()), (vec![("stopped 0 in 1".to_owned(), 1)], vec![]), "{task}");
    }
}

#[test]
fn what_comes_after_a_sleep_is_not_reached_once_the_user_shall_finish() {
    let lane = script("pcall(time.sleep, 1) check.that('after', true) time.sleep(1) check.that('late', true)", "check.that('stop', true)");
    told_after(&lane, 1_500);
    assert_eq!(passed(&lane), [("after".to_owned(), 1), ("stop".to_owned(), 1)]);
}

#[test]
fn a_user_that_is_told_to_finish_between_two_sleeps_ends_at_the_next_however_short() {
    for sleep in ["time.sleep(1)", "time.sleep(0)", "time.sleep('0s')", "while true do pcall(time.sleep, 0) end"] {
        let lane = script(&format!("check.that('begun', true) {sleep} check.that('late', true)"), "");
        let step = in_paused_time(async {
            let (mut user, control) = lane.user(0);
            control.drain();
            user.iterate().await
        });
        assert!(step.interrupted, "{sleep}: {step:?}");
        assert_eq!(passed(&lane), [("begun".to_owned(), 1)], "{sleep}");
    }
}

#[test]
fn an_iteration_without_a_sleep_comes_to_its_own_end() {
    let lane = script("check.that('whole', true)", "");
    let step = in_paused_time(async {
        let (mut user, control) = lane.user(0);
        control.drain();
        user.iterate().await
    });
    assert!(!step.interrupted && !step.raised, "{step:?}");
    assert_eq!(passed(&lane), [("whole".to_owned(), 1)]);
}

#[test]
fn sleeps_in_on_stop_take_their_time() {
    let lane = script("time.sleep(60)", "time.sleep(2) self:wait() check.that('out', true)");
    let [_, (stop, took)] = told_after(&lane, 10);
    assert!(!stop.interrupted && !stop.raised, "{stop:?}");
    assert_eq!((took, passed(&lane)), (Duration::from_secs(3_602), vec![("out".to_owned(), 1)]));
}

#[test]
fn on_stop_has_the_self_of_the_iteration_that_was_interrupted() {
    let lane = script("self.token = 'abc' .. self.iteration time.sleep(60)", "check.that(self.token, true)");
    told_after(&lane, 10);
    assert_eq!(passed(&lane), [("abc1".to_owned(), 1)]);
}

#[test]
fn a_sleep_in_on_start_ends_where_the_user_shall_finish() {
    let lane = Script::new(
        "local s, t = require 'scenario', require 'time' local U = s.user {} function U:on_start() pcall(t.sleep, 60) t.sleep(60) end U:task('t', function() end) return U",
    )
    .lane();
    let step = in_paused_time(async {
        let (mut user, control) = lane.user(0);
        tokio::join!(user.on_start(), tell(&control, 10)).0
    });
    assert!(step.interrupted && !step.raised, "{step:?}");
}

#[test]
fn a_user_that_gives_way_or_ends_itself_sleeps_on() {
    let lane = script("self:stop() time.sleep(1) check.that('slept', true)", "");
    let step = in_paused_time(async {
        let (mut user, control) = lane.user(0);
        control.supersede();
        user.iterate().await
    });
    assert!(!step.interrupted && step.ended, "{step:?}");
    assert_eq!(passed(&lane), [("slept".to_owned(), 1)]);
}

#[test]
fn a_flight_whose_user_was_interrupted_in_it_is_anothers_to_fill() {
    for library in ["shared", "shared.cluster"] {
        let source = "if self.index == 0 then L.cached('k', function() time.sleep(3600) return 'never' end) \
             else check.that(L.cached('k', function() return 'second' end), true) end";
        let lane = script(&source.replace("L.", &format!("{library}.")), "");
        in_paused_time(async {
            let (mut first, control) = lane.user(0);
            let (mut second, _other) = lane.user(1);
            let began = tokio::time::Instant::now();
            let (first, second, ()) = tokio::join!(first.iterate(), second.iterate(), tell(&control, 20));
            assert!(first.interrupted && !second.interrupted && !second.raised, "{first:?} {second:?}");
            // The first user lives on, until its on_stop is over; the flight does not wait for that.
            assert_eq!(began.elapsed(), Duration::from_millis(20));
        });
        assert_eq!(passed(&lane), [("second".to_owned(), 1)]);
    }
}

#[test]
fn a_user_that_waits_for_anothers_flight_ends_there_where_it_shall_finish() {
    for library in ["shared", "shared.cluster"] {
        let lane = script(&format!("{library}.cached('k', function() time.sleep(3600) return 1 end)"), "");
        in_paused_time(async {
            let (mut first, _holds_on) = lane.user(0);
            let (mut second, control) = lane.user(1);
            tokio::select! {
                _ = first.iterate() => panic!("the first one sleeps for an hour"),
                (step, ()) = async { tokio::join!(second.iterate(), tell(&control, 20)) } => assert!(step.interrupted, "{step:?}"),
            }
        });
    }
}

#[test]
fn a_sleep_is_as_long_as_it_is_written_in_each_form() {
    let cases = [
        ("1", 1_000),
        ("2.0", 2_000),
        ("0.5", 500),
        ("1.5", 1_500),
        ("'1s'", 1_000),
        ("'500ms'", 500),
        ("'1.5s'", 1_500),
        ("'2'", 2_000),
        ("'1m30s'", 90_000),
        ("3 * 2", 6_000),
        ("math.floor(2.7)", 2_000),
        ("10 / 4", 2_500),
        ("60 * 60", 3_600_000),
        ("tonumber('3')", 3_000),
        ("0", 0),
        ("'0s'", 0),
    ];
    for (code, millis) in cases {
        for sleep in ["time.sleep(D)", "coroutine.wrap(function() time.sleep(D) end)()", "pcall(time.sleep, D)"] {
            let lane = script(&sleep.replace('D', code), "");
            let took = in_paused_time(async {
                let (mut user, _control) = lane.user(0);
                let began = tokio::time::Instant::now();
                assert!(!user.iterate().await.raised, "{code}");
                began.elapsed()
            });
            assert_eq!(took, Duration::from_millis(millis), "{sleep} with {code}");
        }
    }
}

#[test]
fn a_think_time_is_as_long_as_it_is_written_in_each_form() {
    for (rule, least, most) in [
        ("constant(2)", 2_000, 2_000),
        ("constant(1.5)", 1_500, 1_500),
        ("constant('3s')", 3_000, 3_000),
        ("constant(0)", 0, 0),
        ("between(1, 1)", 1_000, 1_000),
        ("between(1, '2s')", 1_000, 2_000),
        ("between(0.5, 3)", 500, 3_000),
    ] {
        let source = "local s, w = require 'scenario', require 'wait' local U = s.user { wait = w.RULE } U:task('t', function(self) self:wait() end) return U";
        let lane = Script::new(&source.replace("RULE", rule)).lane();
        let took = in_paused_time(async {
            let (mut user, _control) = lane.user(0);
            let began = tokio::time::Instant::now();
            user.iterate().await;
            began.elapsed().as_millis()
        });
        // The timer's steps are milliseconds, and it never fires early.
        assert!((least..=most + 1).contains(&took), "{rule}: {took} ms");
    }
}

/// Each place that takes a duration: how it is written, and in which words it refuses. At load or in a task.
const DURATIONS: [(&str, &str, bool); 7] = [
    ("require('time').sleep(V)", "time.sleep: a duration is", false),
    ("require('shared').cached('k', { ttl = V }, function() return 1 end)", "shared.cached: ttl: a duration is", false),
    ("http.get('http://127.0.0.1:1/', { timeout = V })", "option `timeout` must be a duration", false),
    ("http.get('http://127.0.0.1:1/', { expect = { max_time = V } })", "option `expect.max_time` must be a duration", false),
    ("require('wait').constant(V)", "wait.constant: a duration is", true),
    ("require('wait').between(0, V)", "wait.between: a duration is", true),
    ("require('scenario').ramp { { users = 1, over = V } }", "scenario.ramp: stage 1: a duration is", true),
];

#[test]
fn what_is_no_duration_is_refused_in_words_wherever_one_is_taken() {
    for value in ["-1", "0/0", "1/0", "'5x'", "''", "'soon'", "true", "false", "{}", "print", "1e12"] {
        for (place, words, is_at_load) in DURATIONS {
            let code = place.replace('V', value);
            let why = if is_at_load {
                Script::new(&format!("local http = require 'http' {code} return function() end")).refused()
            } else {
                let lane = Script::new(&format!("local http = require 'http' return function() {code} end")).lane();
                lane.live(0, 1);
                lane.exceptions().remove(0).0
            };
            assert!(why.contains(words) && why.contains("test.lua:1"), "{code}: {why}");
        }
    }
}

/// Each place that takes a whole number or a number, with the words in which it refuses.
const NUMBERS: [(&str, &str, bool); 14] = [
    ("require('scenario').user { weight = V }", "scenario.user: weight must be a positive whole number", true),
    ("require('scenario').user { count = V }", "scenario.user: count must be a positive whole number", true),
    ("require('scenario').user { name = 'A' }:task('t', { weight = V }, print)", "weight must be a positive whole number", true),
    ("require('scenario').tasks { times = V, print }", "scenario.tasks: times must be a positive whole number", true),
    ("require('scenario').ramp { { users = V, over = 1 } }", "users must be a positive whole number", true),
    ("require('json').encode({}, { indent = V })", "json.encode: `indent` must be a whole number", false),
    ("require('random').int(V, 5)", "random.int: the limits must be whole numbers", false),
    ("require('random').string(V)", "random.string: the length must be a whole number", false),
    ("require('random').weighted { a = V }", "random.weighted: a weight must be a number", false),
    ("require('random').number(V, 2)", "random.number: two finite numbers", false),
    ("require('shared').incr('n', V)", "shared.incr: a finite number", false),
    ("require('regex').find('a', 'a', V)", "regex.find: the start must be a whole number", false),
    ("http.get('http://127.0.0.1:1/', { redirects = V })", "option `redirects` must be a whole number", false),
    ("http.get('http://127.0.0.1:1/', { expect = { status = V } })", "option `expect.status` ", false),
];

#[test]
fn what_is_no_number_is_refused_in_words_wherever_one_is_taken() {
    for value in ["0/0", "'x'", "true", "{}", "print"] {
        for (place, words, is_at_load) in NUMBERS {
            let code = place.replace('V', value);
            let why = if is_at_load {
                Script::new(&format!("local http = require 'http' {code} return function() end")).refused()
            } else {
                let lane = Script::new(&format!("local http = require 'http' return function() {code} end")).lane();
                lane.live(0, 1);
                lane.exceptions().into_iter().next().unwrap_or_else(|| panic!("{code} was accepted")).0
            };
            assert!(why.contains(words) && why.contains("test.lua:1"), "{code}: {why}");
        }
    }
}

#[test]
fn false_is_no_number_that_was_left_out() {
    for code in [
        "require('scenario').user { weight = false }",
        "require('scenario').user { count = false }",
        "require('scenario').tasks { times = false, print }",
        "require('scenario').user { tags = false }",
        "require('scenario').ramp { { users = 1, over = false } }",
        "require('scenario') { users = { require('scenario').user {} }, thresholds = false }",
    ] {
        let why = Script::new(&format!("{code} return function() end")).refused();
        assert!(why.contains("test.lua:1") && why.contains("must be") || why.contains("a duration is"), "{code}: {why}");
    }
}
