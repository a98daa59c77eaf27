//! The life of a user. Scripts write down what they did in a `check`, whose names come out of the tally: the only way out of the sandbox.

use std::time::{Duration, Instant};

use super::super::testing::{Script, TestLane, block_on};
use crate::load::{Halt, LaneWorkload, UserControl, UserStart, VirtualUser};
use crate::plan::TagFilter;

/// The names of all checks with passes and fails, in alphabetical order.
fn checks(lane: &TestLane) -> Vec<(String, u64, u64)> {
    let mut all: Vec<_> = lane.tally().checks.iter().map(|(name, counts)| (name.to_string(), counts.passes, counts.fails)).collect();
    all.sort();
    all
}

fn passed(lane: &TestLane) -> Vec<String> {
    checks(lane).into_iter().filter(|check| check.1 > 0).map(|check| check.0).collect()
}

#[test]
fn a_user_starts_runs_its_tasks_and_stops_in_one_coroutine() {
    let lane = Script::new(
        r#"
        local scenario, check, time = require "scenario", require "check", require "time"
        local User = scenario.user { name = "Shopper" }
        function User:on_start() self.log = "start" end
        User:task("work", function(self)
          time.sleep(0.001)
          self.log = self.log .. " " .. self.iteration
        end)
        function User:on_stop() check.that(self.log .. " stop " .. self.index .. "/" .. self.number, true) end
        return scenario { users = { User } }
        "#,
    )
    .lane();
    let steps = lane.live(4, 3);
    assert_eq!(passed(&lane), ["start 1 2 3 stop 4/5"]);
    assert!(steps.iter().all(|step| !step.raised && !step.ended), "{steps:?}");
    assert_eq!(steps.iter().map(|step| step.yielded).collect::<Vec<_>>(), [false, true, true, true, false]);
}

#[test]
fn a_script_that_returns_a_function_is_one_class_named_after_the_file() {
    let lane = Script::new("local check = require 'check' return function(self) check.that('ran ' .. self.iteration, true) end").lane();
    assert_eq!(lane.host.description().classes[0].name, "test");
    lane.live(0, 2);
    assert_eq!(passed(&lane), ["ran 1", "ran 2"]);
}

#[test]
fn an_error_is_counted_with_file_line_and_the_scripts_own_frames_and_the_user_goes_on() {
    let lane = Script::new("local check = require 'check'\nlocal function buy(self)\n  if self.iteration == 1 then error('sold out') end\n  check.that('went on', true)\nend\nreturn function(self) buy(self) check.that('end', true) end").lane();
    let steps = lane.live(0, 2);
    assert!(steps[1].raised && !steps[2].raised, "{steps:?}");
    let tally = lane.tally();
    let (message, counts) = tally.exceptions.iter().next().expect("an exception");
    assert_eq!(&**message, "test.lua:3: sold out");
    assert_eq!(&*counts.traceback, "test.lua:3: in function 'buy'\ntest.lua:6: in function 'script'");
    assert_eq!(tally.checks.len(), 2);
}

#[test]
fn a_mistake_in_a_tail_call_is_placed_at_the_function_whose_frame_is_gone() {
    let lane = Script::new("local time = require 'time'\nreturn function()\n  return time.sleep('x')\nend").lane();
    lane.live(0, 1);
    let exceptions = lane.exceptions();
    assert!(exceptions[0].0.starts_with("test.lua:2: time.sleep: a duration is"), "{exceptions:?}");
}

#[test]
fn errors_that_are_no_texts_are_counted_with_what_they_say() {
    let lane = Script::new("local n = 0 return function() n = n + 1 if n == 1 then error({}) elseif n == 2 then error(setmetatable({}, { __tostring = function() return 'mine' end })) else error() end end").lane();
    assert!(lane.live(0, 3)[1..4].iter().all(|step| step.raised));
    let messages: Vec<_> = lane.exceptions().into_iter().map(|exception| exception.0).collect();
    assert_eq!(messages, ["(an error object that is a table)", "mine", "nil"]);
}

#[test]
fn a_table_that_is_raised_is_shown_with_its_plain_fields_in_order_and_within_bounds() {
    let raised = |value: &str| {
        let lane = Script::new(&format!("return function() error({value}) end")).lane();
        lane.live(0, 1);
        lane.exceptions().remove(0).0
    };
    assert_eq!(raised(r#"{ why = "x", code = 3 }"#), r#"{ code = 3, why = "x" }"#);
    assert_eq!(
        raised(r#"{ why = 'say "no"\n', retry = false, of = { 1 }, done = print }"#),
        r#"{ of = {...}, retry = false, why = "say \"no\" " }"#
    );
    assert_eq!(raised("{ 'a', 2.5, at = 1 }"), r#"{ [1] = "a", [2] = 2.5, at = 1 }"#);
    assert_eq!(raised("{ done = print }"), "(an error object that is a table)");
    let long = raised("{ a = ('é'):rep(1000), b = 1 }");
    assert!(long.starts_with("{ a = \"éé") && long.ends_with("... }") && long.len() <= 210 && !long.contains('\u{fffd}'), "{long}");
    assert_eq!(raised("setmetatable({ code = 3 }, { __tostring = function(self) return 'code ' .. self.code end })"), "code 3");
}

#[test]
fn tasks_are_chosen_by_weight_and_the_same_seed_chooses_the_same() {
    let script = Script::new(
        r#"
        local scenario, check = require "scenario", require "check"
        local User = scenario.user { name = "U" }
        User:task("often", { weight = 3 }, function(self) check.that("often", true) check.that("o" .. self.iteration, true) end)
        User:task("seldom", function() check.that("seldom", true) end)
        return User
        "#,
    );
    let first = script.lane();
    first.live(7, 400);
    let counted = checks(&first);
    let of = |name: &str| counted.iter().find(|check| check.0 == name).map_or(0, |check| check.1);
    assert_eq!(of("often") + of("seldom"), 400);
    assert!((270..=330).contains(&of("often")), "{}", of("often"));
    let second = script.lane();
    second.live(7, 400);
    assert_eq!(checks(&second), counted);
}

#[test]
fn a_nested_set_runs_its_members_so_many_times_with_the_classs_wait_between() {
    let lane = Script::new(
        r#"
        local scenario, check, wait = require "scenario", require "check", require "wait"
        local User = scenario.user { name = "U", wait = wait.constant("20ms") }
        local inner = scenario.tasks { times = 2, { 1, function() check.that("inner", true) end } }
        User:task("set", scenario.tasks { times = 3, { 2, function() check.that("member", true) end }, { 1, inner } })
        return User
        "#,
    )
    .lane();
    let began = Instant::now();
    lane.live(0, 1);
    let ran: u64 = checks(&lane).iter().map(|check| check.1).sum();
    assert!((3..=6).contains(&ran), "{ran}");
    assert!(began.elapsed() >= Duration::from_millis(40));
}

#[test]
fn tags_choose_tasks_and_a_class_without_any_left_is_an_error() {
    let mut script = Script::new(
        r#"
        local scenario, check = require "scenario", require "check"
        local User = scenario.user { name = "U", tags = { "all" } }
        User:task("read", { tags = { "read" } }, function() check.that("read", true) end)
        User:task("set", scenario.tasks { { 1, function() check.that("write", true) end, tags = { "write" } }, { 1, function() check.that("other", true) end } })
        return User
        "#,
    );
    let run = |script: &Script| {
        let lane = script.lane();
        lane.live(0, 30);
        passed(&lane)
    };
    assert_eq!(run(&script), ["other", "read", "write"]);
    script.tags = TagFilter { include: vec!["write".into()], exclude: vec![] };
    assert_eq!(run(&script), ["write"]);
    script.tags = TagFilter { include: vec!["all".into()], exclude: vec!["read".into(), "write".into()] };
    assert_eq!(run(&script), ["other"]);
    script.tags = TagFilter { include: vec!["nothing".into()], exclude: vec![] };
    assert_eq!(
        script.refused(),
        "test.lua: -T nothing: no task of the scenario has this tag: its tasks have the tags `all`, `read`, `write`"
    );
    script.tags = TagFilter { include: vec![], exclude: vec!["read".into(), "writ".into()] };
    assert_eq!(script.refused(), "test.lua: -E writ: no task of the scenario has this tag: its tasks have the tags `all`, `read`, `write`");
    script.tags = TagFilter { include: vec!["write".into()], exclude: vec!["all".into()] };
    assert_eq!(script.refused(), "test.lua: -T and -E leave no task of the scenario: its tasks have the tags `all`, `read`, `write`");
}

#[test]
fn a_class_that_the_tags_leave_without_a_task_has_no_users() {
    let mut script = Script::new(
        "local check, scenario = require 'check', require 'scenario' local A, B = scenario.user { name = 'A' }, scenario.user { name = 'B' } \
         A:task('a', function() check.that('a', true) end) B:task('b', { tags = { 'b' } }, function() check.that('b', true) end) \
         return scenario { users = { A, B } }",
    );
    script.tags = TagFilter { include: vec!["b".into()], exclude: vec![] };
    let lane = script.lane();
    lane.live(0, 1);
    assert_eq!(passed(&lane), ["b"]);
}

#[test]
fn stop_ends_the_user_after_the_running_task() {
    let lane = Script::new("local check = require 'check' local s = require 'scenario' local U = s.user {} U:task('t', function(self) self:stop() check.that('rest', true) end) return U").lane();
    let steps = lane.live(0, 1);
    assert!(steps[1].ended && !steps[1].raised);
    assert_eq!(passed(&lane), ["rest"]);
}

#[test]
fn abort_ends_the_iteration_past_any_pcall_and_the_run_has_the_first_reason() {
    let lane = Script::new(
        "local check = require 'check' local s = require 'scenario' local U = s.user {} \
         U:task('t', function(self) pcall(s.abort, 'locked ' .. self.index) check.that('rest', true) end) return U",
    )
    .lane();
    assert_eq!(lane.lane.halt(), None);
    let steps = lane.live(7, 1);
    assert!(steps[1].ended && steps[1].interrupted && !steps[1].raised, "{steps:?}");
    lane.live(8, 1);
    assert_eq!(lane.lane.halt(), Some(Halt::Abort("locked 7".into())));
    assert_eq!(passed(&lane), [""; 0]);
    for (call, why) in
        [("s.abort()", "give it the reason, a text; got nil"), ("s.abort ''", "got an empty one"), ("s.abort { 1 }", "got table")]
    {
        let lane = Script::new(&format!("local s = require 'scenario' return function() {call} end")).lane();
        lane.live(0, 1);
        assert!(lane.exceptions()[0].0.contains(why), "{:?}", lane.exceptions());
        assert_eq!(lane.lane.halt(), None);
    }
}

#[test]
fn an_engine_call_passes_through_the_scripts_own_coroutines_and_back() {
    let lane = Script::new(
        r#"
        local check, time = require "check", require "time"
        return function()
          local steps = {}
          local inner = coroutine.wrap(function(a)
            local deeper = coroutine.create(function(b) time.sleep(0.001) return b + 1 end)
            local ok, value = coroutine.resume(deeper, a)
            steps[#steps + 1] = tostring(ok) .. value
            local more = coroutine.yield("out")
            time.sleep(0.001)
            return more
          end)
          local first, second = inner(1), inner("in")
          steps[#steps + 1] = first .. " " .. second
          check.that(table.concat(steps, " "), true)
        end
        "#,
    )
    .lane();
    assert!(!lane.live(0, 1)[1].raised);
    assert_eq!(passed(&lane), ["true2 out in"]);
}

#[test]
fn an_engine_call_inside_a_callback_of_a_c_function_says_so() {
    for body in [
        "('abc'):gsub('b', function() time.sleep(1) end)",
        "table.sort({ 2, 1, 3 }, function(a, b) time.sleep(1) return a < b end)",
        "local t = setmetatable({}, { __tostring = function() time.sleep(1) end }) string.format('%s', t)",
    ] {
        let lane = Script::new(&format!("local time = require 'time' return function() {body} end")).lane();
        assert!(lane.live(0, 1)[1].raised, "{body}");
        let exceptions = lane.exceptions();
        assert!(
            exceptions[0].0.starts_with("test.lua:1: a request, a wait or a sleep is not possible inside a callback"),
            "{exceptions:?}"
        );
    }
}

#[test]
fn waiting_inside_a_coroutine_that_a_callback_resumes_raises_there() {
    let lane = Script::new(
        "local time = require 'time' return function() local co = coroutine.wrap(function() time.sleep(1) end); ('a'):gsub('a', function() co() end) end",
    )
    .lane();
    assert!(lane.live(0, 1)[1].raised);
    let exceptions = lane.exceptions();
    assert!(exceptions[0].0.contains("is not possible inside a callback"), "{exceptions:?}");
}

#[test]
fn a_group_passes_results_and_errors_through_and_measures_both() {
    let lane = Script::new(
        r#"
        local group, check, time = require "group", require "check", require "time"
        local function deep() error("inside") end
        return function(self)
          if self.iteration == 1 then
            local a, b = group("fine", function(x) time.sleep(0.001) return x, 2 end, 1)
            check.that(a .. b, true)
          else
            group("bad", function() deep() end)
          end
        end
        "#,
    )
    .lane();
    lane.live(0, 2);
    let tally = lane.tally();
    assert!(tally.checks.keys().any(|name| &**name == "12"));
    assert_eq!(tally.groups.len(), 2);
    let (message, counts) = tally.exceptions.iter().next().unwrap();
    assert_eq!(&**message, "test.lua:3: inside");
    assert!(counts.traceback.contains("in function 'deep'"), "{}", counts.traceback);
}

#[test]
fn checks_count_each_name_and_answer_whether_all_held() {
    let lane = Script::new(
        r#"
        local check = require "check"
        return function()
          local all = check(5, { ["a is five"] = function(v) return v == 5 end, b = true, c = function() error("broken") end, d = nil, e = false })
          check.that("all held", all)
          check.that("one held", check(1, { one = function(v) return v end }))
          local ok, why = pcall(check, 1, { ["has a token"] = nil })
          check.that("what is missing is not judged in silence", not ok and tostring(why):find("write `x ~= nil`", 1, true) ~= nil)
        end
        "#,
    )
    .lane();
    assert!(!lane.live(0, 1)[1].raised);
    let fails: Vec<_> = checks(&lane).into_iter().filter(|check| check.2 > 0).map(|check| check.0).collect();
    assert_eq!(fails, ["all held", "c", "e"]);
}

#[test]
fn random_numbers_repeat_with_the_seed_and_differ_between_users_and_iterations() {
    let script =
        Script::new("local check = require 'check' return function() check.that(math.random(1000000) .. ' ' .. math.random(), true) end");
    let draw = |index| {
        let lane = script.lane();
        lane.live(index, 2);
        passed(&lane)
    };
    assert_eq!(draw(3), draw(3));
    assert_eq!(draw(3).len(), 2);
    assert_ne!(draw(3), draw(4));
}

#[test]
fn a_script_that_never_yields_is_stopped_and_its_user_goes_on() {
    let lane = Script::new("local check = require 'check' return function(self)\n if self.iteration == 1 then while true do end end\n check.that('on', true) end").lane();
    // That it is stopped within two seconds is `tests/world`'s to measure: here a crowded machine may take longer.
    let steps = lane.live(0, 2);
    assert!(steps[1].raised && !steps[1].ended && !steps[2].raised);
    assert_eq!(lane.exceptions()[0].0, "test.lua:2: the script ran for more than 1 s without yielding");
}

#[test]
fn a_script_that_catches_the_stop_loses_its_user_and_the_others_go_on() {
    let lane = Script::new("local check = require 'check' return function(self) if self.index == 0 then while true do pcall(function() while true do end end) end end check.that('other', true) end").lane();
    let steps = lane.live(0, 1);
    assert!(steps[1].ended);
    assert!(!lane.live(1, 1)[1].raised);
    assert_eq!(lane.tally().events.users_dropped, 1);
}

#[test]
fn at_the_memory_limit_the_user_whose_iteration_grew_it_most_is_dropped() {
    let lane = Script::new(
        r#"
        local time, check = require "time", require "check"
        return function(self)
          local held = {}
          if self.index == 0 then for i = 1, 50 do held[i] = ("x"):rep(4 * 1024 * 1024) .. i end end  -- about 200 MiB, in use
          time.sleep(self.index == 0 and 0.5 or 0.02)  -- the hungry one still holds all of it when the other one asks for more
          if self.index == 1 then for i = 1, 30 do held[i] = ("y"):rep(4 * 1024 * 1024) .. i end end  -- 120 MiB more
          check.that("done " .. self.index .. " " .. self.iteration, true)
          if self.index == 0 then return #held end
        end
        "#,
    )
    .lane();
    block_on(async {
        let (mut hungry, _a) = lane.user(0);
        let (mut modest, _b) = lane.user(1);
        let (hungry, modest) = tokio::join!(hungry.iterate(), modest.iterate());
        assert!(hungry.ended, "{hungry:?} {:?}", lane.exceptions());
        assert!(!modest.ended, "{modest:?}");
    });
    let tally = lane.tally();
    assert_eq!(tally.events.users_dropped, 1);
}

#[test]
fn a_thousand_users_fill_a_vm_and_an_idle_user_is_small() {
    let lane = Script::new("local s, w = require 'scenario', require 'wait' local U = s.user { wait = w.constant(1) } U:task('t', function(self) self:wait() end) return U").lane();
    let vm = lane.lane.vms()[0].clone();
    let before = vm.used_bytes();
    let users: Vec<_> = (0..1_000).map(|index| lane.user(index).0).collect();
    let each = (vm.used_bytes() - before) / users.len();
    assert!(each < 3 * 1024, "{each} bytes");
    assert_eq!(lane.lane.vms().len(), 1);
    let start = UserStart { index: 1_000, class: 0, iterations_done: 0, side: None, control: std::rc::Rc::new(UserControl::default()) };
    let _next = lane.lane.new_user(start).unwrap();
    assert_eq!(lane.lane.vms().len(), 2);
    drop(users);
    assert_eq!(vm.users(), 0);
    assert!(vm.used_bytes() < before + 100 * 1024, "{} of {before}", vm.used_bytes());
}

#[test]
fn a_lane_that_is_given_up_takes_its_vms_along_once_their_last_user_is_gone() {
    let lane = Script::new("local http = require 'http' return function() http.get('/') end").lane();
    let user = lane.user(0).0;
    let vm = std::rc::Rc::downgrade(&lane.lane.vms()[0]);
    // As when a running test takes changed scripts over: the users that live go on.
    drop(lane);
    assert!(vm.upgrade().is_some());
    drop(user);
    assert!(vm.upgrade().is_none());
}

#[test]
fn a_paced_users_iterations_begin_so_far_apart_however_long_they_take() {
    let lane = Script::new(
        r#"
        local scenario, time, wait = require "scenario", require "time", require "wait"
        local U = scenario.user { wait = wait.pacing("1s") }
        U:task("t", function(self) time.sleep(self.iteration == 2 and 1.25 or 0.25) end)
        return U
        "#,
    )
    .lane();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let began: Vec<f64> = tokio::task::LocalSet::new().block_on(&runtime, async {
        let zero = tokio::time::Instant::now();
        let (mut user, _control) = lane.user(0);
        let mut began = Vec::new();
        for _ in 0..4 {
            began.push(zero.elapsed().as_secs_f64());
            user.iterate().await;
            let pause = user.think_time(tokio::time::Instant::now().into_std());
            tokio::time::sleep(pause).await;
        }
        began
    });
    // The second took longer than the pace: the third follows at once, and paces the ones after it. Timers have ticks of a millisecond.
    let wanted = [0.0, 1.0, 2.25, 3.25];
    assert!(began.iter().zip(wanted).all(|(began, wanted)| (began - wanted).abs() < 0.003), "{began:?}");
}

#[test]
fn what_a_user_has_under_way_takes_less_than_three_kibibytes() {
    let lane = Script::new("return function() end").lane();
    let (mut user, _control) = lane.user(0);
    let on_start = size_of_val(&user.on_start());
    let iterate = size_of_val(&user.iterate());
    assert!(on_start.max(iterate) <= 2_816, "{on_start} and {iterate} bytes: is an argument or a future there that belongs into a box?");
}
