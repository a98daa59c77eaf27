//! Setup and teardown: each once, on a thread of its own, with numbers of their own.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::super::testing::{Script, block_on};
use crate::load::act::{Acted, perform};
use crate::load::{LaneContext, LaneWorkload, UserStart, VirtualUser, Workload};
use crate::plan::{Act, LifePlan, Plan};

const USERS: &str =
    "local scenario, check, json = require 'scenario', require 'check', require 'json' local U = scenario.user { name = 'U' }\n";

fn acted(script: &Script, act: Act, data: Option<&str>) -> Acted {
    let host = script.load().unwrap_or_else(|error| panic!("{error}"));
    let plan = script.plan(&host);
    let plan = Arc::new(Plan { life: LifePlan { data: data.map(str::to_owned), ..plan.life.clone() }, ..plan });
    let (_stop, cancelled) = oneshot::channel();
    block_on(perform(Arc::new(host.workload()), plan, act, cancelled))
}

fn setup(body: &str) -> Result<String, String> {
    let source = format!(
        "{USERS}U:task('t', function() end) return scenario {{ users = {{ U }}, setup_timeout = 0.3, setup = function()\n{body} end }}"
    );
    acted(&Script::new(&source), Act::Setup, None).result
}

#[test]
fn setup_and_teardown_are_told_that_no_board_is_there() {
    for call in ["set('a', 1)", "get('a')", "incr('a')", "cached('a', function() return 1 end)", "barrier('a', 2, '1s')"] {
        let word = call.split('(').next().unwrap();
        let said = setup(&format!("require('shared').cluster.{call}")).unwrap_err();
        let why = format!("shared.cluster.{word}: setup and teardown run before the users and after them");
        assert!(said.starts_with("setup: test.lua:3: ") && said.contains(&why), "{call}: {said}");
    }
    assert_eq!(setup("return pcall(require('shared').cluster.set, 'a', 1)"), Ok("false".to_owned()));
}

#[test]
fn what_setup_returns_is_json_for_all_users_and_each_has_a_copy_of_its_own() {
    assert_eq!(
        setup("return { token = 'a', ids = { 1, 2 }, none = json.null }"),
        Ok(r#"{"ids":[1,2],"none":null,"token":"a"}"#.to_owned())
    );
    assert_eq!(setup(""), Ok("null".to_owned()));
    let script = Script::new(&format!(
        "{USERS}U:task('t', function()
            local data = scenario.data()
            check.that(data.token .. ' ' .. #data.ids .. ' ' .. tostring(data.more), true)
            data.more = 'mine'
         end)
         return scenario {{ users = {{ U }}, setup = function() end }}"
    ));
    let lane = script.lane();
    lane.live(0, 1);
    assert!(lane.exceptions()[0].0.contains("test.lua:3: scenario.data(): there is none"), "before the setup is over");
    let host = script.load().unwrap();
    let workload = host.workload();
    let recorder = Arc::new(script.plan(&host));
    let counted =
        std::rc::Rc::new(std::cell::RefCell::new(crate::stats::recorder::Recorder::new(crate::stats::recorder::Limits::default())));
    let lane = workload.open_lane(LaneContext { plan: recorder, lane: 0, recorder: counted.clone() }).unwrap();
    workload.give_data(r#"{"token":"a","ids":[1,2]}"#);
    block_on(async {
        let mut user =
            lane.new_user(UserStart { index: 0, class: 0, iterations_done: 0, side: None, control: std::rc::Rc::default() }).unwrap();
        for _ in 0..2 {
            assert!(!user.iterate().await.raised);
        }
    });
    let tally = counted.borrow_mut().take(0);
    let seen: Vec<_> = tally.checks.iter().map(|(name, counts)| (name.to_string(), counts.passes)).collect();
    assert_eq!(seen, [("a 2 nil".to_owned(), 2)]);
}

#[test]
fn a_setup_that_comes_to_no_good_end_says_why_and_where() {
    for (body, wanted) in [
        ("error('no accounts left')", "setup: test.lua:3: no accounts left"),
        ("return { f = print }", "setup: test.lua:2: what setup returned cannot be handed to users: "),
        ("return ('x'):rep(1048577)", "it has 1048579 bytes as JSON, and at most 1 MiB is handed to users"),
        ("return '\\255'", "setup: test.lua:2: what setup returned cannot be handed to users: "),
        ("require('time').sleep(9)", "setup: it did not end within 0.3 s (setup_timeout in the scenario)"),
        ("scenario.abort('the shop is closed')", "setup: the script ended the run: the shop is closed"),
        ("require('http').get('/x')", "setup: "),
        ("return scenario.data()", "scenario.data(): there is none"),
    ] {
        let why = setup(body).unwrap_err();
        assert!(why.contains(wanted), "{body}: {why}");
    }
}

#[test]
fn a_teardown_is_given_what_the_setup_returned_and_nothing_without_one() {
    let script = |with: &str| {
        Script::new(&format!(
            "{USERS}U:task('t', function() end) return scenario {{ users = {{ U }}, teardown = function(data) error('got ' .. json.encode(data == nil and 'nothing' or data)) end {with} }}"
        ))
    };
    let with = acted(&script(", setup = print"), Act::Teardown, Some("[3]"));
    assert_eq!(with.result, Err("teardown: test.lua:2: got [3]".to_owned()));
    assert_eq!(with.tally.exceptions.len(), 1);
    assert_eq!(acted(&script(""), Act::Teardown, None).result, Err("teardown: test.lua:2: got \"nothing\"".to_owned()));
}

#[test]
fn an_act_that_nobody_waits_for_ends_where_it_stands() {
    let script = Script::new(&format!(
        "{USERS}U:task('t', function() end) return scenario {{ users = {{ U }}, setup = function() require('time').sleep(3600) end }}"
    ));
    let host = script.load().unwrap();
    let plan = Arc::new(script.plan(&host));
    let (stop, cancelled) = oneshot::channel();
    drop(stop);
    let acted = block_on(perform(Arc::new(host.workload()), plan, Act::Setup, cancelled));
    assert_eq!(acted.result, Err("setup: it was cut short".to_owned()));
}
