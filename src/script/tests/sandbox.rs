//! The sandbox: each way out is refused, and all that a script can reach stands in a list that a change has to edit.

use std::collections::{BTreeMap, BTreeSet};

use super::super::testing::{Script, TestLane};
use crate::load::VirtualUser;

/// What the first iteration of a function with this body raised; nothing where it did not.
fn raised(body: &str) -> Option<String> {
    let lane = Script::new(&format!("local check = require 'check'\nreturn function(self)\n{body}\nend")).lane();
    lane.live(0, 1);
    first_exception(&lane)
}

fn first_exception(lane: &TestLane) -> Option<String> {
    lane.exceptions().into_iter().next().map(|exception| exception.0)
}

#[test]
fn each_known_way_out_is_closed() {
    for (body, expected) in [
        ("os.execute('true')", "field 'execute' (a nil value)"),
        ("os.getenv('HOME')", "field 'getenv' (a nil value): write `local env = require \"env\"`"),
        ("os.exit()", "field 'exit' (a nil value)"),
        ("io.popen('true')", "global 'io' (a nil value): a script reads and writes no files"),
        ("require 'ffi'", "no library and no file"),
        ("require 'jit.util'", "no library and no file"),
        ("require 'string.buffer'", "no library and no file"),
        ("ffi.cdef ''", "global 'ffi' (a nil value)"),
        ("debug.getinfo(1)", "global 'debug' (a nil value)"),
        ("debug.getregistry()", "global 'debug' (a nil value)"),
        ("jit.off()", "global 'jit' (a nil value)"),
        ("getfenv(check.that)", "global 'getfenv' (a nil value)"),
        ("setfenv(1, {})", "global 'setfenv' (a nil value)"),
        ("package.loadlib('x', 'y')", "global 'package' (a nil value)"),
        ("loadfile('/etc/passwd')", "global 'loadfile' (a nil value)"),
        ("dofile('/etc/passwd')", "global 'dofile' (a nil value)"),
        ("newproxy(true)", "global 'newproxy' (a nil value)"),
        ("string.dump(function() end)", "field 'dump' (a nil value)"),
        ("assert(load('\\27LJ\\2'))", "attempt to load chunk with wrong mode"),
        ("assert(load('\\27Lua', 'x', 'b'))", "attempt to load chunk with wrong mode"),
        ("require '../secret'", "no library and no file"),
        ("require '/etc/passwd'", "no library and no file"),
        ("getmetatable('').__index = nil", "attempt to index a boolean value"),
        ("setmetatable('', {})", "table expected"),
        ("string.upper = nil", "module `string` is read-only: cannot set `upper`"),
        ("rawset(string, 'upper', nil)", "this table is read-only"),
        ("check.that = nil", "module `check` is read-only"),
        ("setmetatable(_G, {})", "cannot change a protected metatable"),
        ("rawset(_G, 'x', 1)", "this table is read-only"),
        ("string.rep('x', 1e9)", "longer than 64 MiB"),
        ("string.rep('x', '1e9')", "longer than 64 MiB"),
        ("require('http').cookies.get = nil", "module `http.cookies` is read-only: cannot set `get`"),
        ("getmetatable(require('http').get('http://127.0.0.1:1/')).__index = nil", "attempt to index a boolean value"),
        ("getmetatable(require('http').get('http://127.0.0.1:1/').headers).__index = nil", "attempt to index a boolean value"),
        ("('x'):rep(2^40)", "longer than 64 MiB"),
        ("('x'):rep(70 * 2^20, '')", "longer than 64 MiB"),
        ("('a'):rep(300000):find('.-b')", "string.find: the pattern takes too long on a text of 300000 bytes"),
        ("('a'):rep(300):match('a*a*a*a*a*b')", "string.match: the pattern takes too long"),
        ("('a'):rep(300000):gsub('(.-)b', '')", "string.gsub: the pattern takes too long"),
        ("for _ in ('a'):rep(300000):gmatch('.-b') do end", "string.gmatch: the pattern takes too long"),
        ("collectgarbage('collect')", "only \"count\" is possible"),
        ("math.randomseed(1)", "seeded from the run's seed"),
        ("coroutine.yield(1)", "attempt to yield from outside a coroutine"),
        ("assert(coroutine.resume(coroutine.running()))", "that the script did not make"),
        ("require './lib/h.lua'", "write `require \"lib.h\"`"),
        ("local x = nothing.at.all", "nothing has given `nothing` a value"),
        ("self:wiat()", "did you mean `wait`?"),
        (
            "require('scenario').zebra()",
            "module `scenario` has no `zebra`: it has abort, arrivals, data, iterations, ramp, shape, spike, steps, tasks, user",
        ),
    ] {
        let said = raised(body).unwrap_or_else(|| panic!("{body} was allowed"));
        assert!(said.contains(expected), "{body}\n  said {said}");
    }
}

#[test]
fn a_global_assigned_in_a_task_is_named_with_what_to_write_instead() {
    let said = raised("total = 1").unwrap();
    assert_eq!(
        said,
        "test.lua:3: cannot assign the global `total` while users run: write `local total`, or `self.total` to keep it for this user"
    );
    assert!(raised("load('n = 1')()").unwrap().contains("cannot assign the global `n`"));
}

#[test]
fn a_class_cannot_be_changed_while_users_run() {
    let lane =
        Script::new("local s = require 'scenario' local U = s.user { name = 'U' } U:task('t', function(self) U.count = 1 end) return U")
            .lane();
    lane.live(0, 1);
    assert_eq!(first_exception(&lane).unwrap(), "test.lua:1: cannot set `count` of class `U` while users run: keep it in `self`");
}

#[test]
fn a_coroutine_belongs_to_the_user_that_made_it() {
    let lane = Script::new(
        r#"
        local check = require "check"
        local kept
        local ids = coroutine.wrap(function() for id = 1, 100 do coroutine.yield(id) end end)
        return function(self)
          check.that("id " .. ids(), true)
          if kept then
            check.that(select(2, coroutine.resume(kept)), true)
          else
            kept = coroutine.create(function() coroutine.yield() end)
            check.that("own " .. tostring(coroutine.resume(kept)), true)
          end
        end
        "#,
    )
    .lane();
    lane.live(0, 1);
    lane.live(1, 1);
    let names: Vec<_> = lane.tally().checks.keys().map(ToString::to_string).collect();
    for expected in ["id 1", "id 2", "own true", "this coroutine belongs to another user: keep it in `self`, so that each user has its own"]
    {
        assert!(names.iter().any(|name| name == expected), "{expected}: {names:?}");
    }
}

#[test]
fn a_coroutine_that_is_in_the_middle_of_a_request_is_resumed_by_nobody_else() {
    let lane = Script::new(
        r#"
        local check, time = require "check", require "time"
        local shared = coroutine.wrap(function() while true do time.sleep(0.01) coroutine.yield("slept") end end)
        return function(self)
          local ok, what = pcall(shared)
          check.that(self.index .. " " .. tostring(what), ok)
        end
        "#,
    )
    .lane();
    crate::script::testing::block_on(async {
        let ((mut first, _a), (mut second, _b)) = (lane.user(0), lane.user(1));
        tokio::join!(first.iterate(), second.iterate());
    });
    let names: Vec<_> = lane.tally().checks.keys().map(ToString::to_string).collect();
    assert!(names.contains(&"0 slept".to_owned()), "{names:?}");
    assert!(names.contains(&"1 this coroutine is in the middle of another user's request: make one for each user".to_owned()), "{names:?}");
}

#[test]
fn a_hook_that_nobody_calls_is_an_error_with_the_right_name() {
    let refused = |body: &str| {
        Script::new(&format!("local s = require 'scenario' local U = s.user {{ name = 'U' }} U:task('t', function() end) {body} return U"))
            .refused()
    };
    for (body, expected) in [
        ("function U:on_strat() end", "class `U` has no hook `on_strat`, did you mean `on_start`?"),
        ("U.onStop = function() end", "class `U` has no hook `onStop`, did you mean `on_stop`?"),
        ("function U:on_error() end", "class `U` has no hook `on_error`: there are on_start and on_stop"),
    ] {
        assert!(refused(body).contains(expected), "{body}: {}", refused(body));
    }
    let fine = "local s = require 'scenario' local U = s.user { name = 'U' } U:task('t', function(self) self:buy() end) function U:buy() end return U";
    assert!(Script::new(fine).load().is_ok());
}

#[test]
fn a_file_in_a_folder_is_required_with_a_dot_or_a_slash_and_is_one_module() {
    let script = Script::new(
        "local a, b = require 'lib/h', require 'lib.h' assert(a == b and a.n == 1)
         return function() end",
    )
    .with_file("lib/h.lua", "return { n = 1 }");
    script.lane();
}

#[test]
fn what_is_harmless_works() {
    assert_eq!(
        raised(
            r#"
            assert(collectgarbage("count") > 0)
            assert(("abc"):upper() == "ABC" and string.format("%d", 3) == "3" and ("ab"):rep(2, "-") == "ab-ab")
            assert(load("return 1 + 1")() == 2 and load("x", "n", "t", {}) == nil)
            assert(("k=v"):match("(%w+)=(%w+)") == "k" and select(2, ("aXbX"):gsub("X", "-")) == 2 and ("a.b"):find(".", 1, true) == 2)
            assert((("x"):rep(1e6) .. "needle"):find("needle") == 1000001 and (("x"):rep(1e6) .. "=1"):match("x=(%d)") == "1")
            assert(not pcall(string.find, "x", "[") and not pcall(string.gsub, "x", "x"))
            local parts = { "return", " 7" }
            assert(load(function() return table.remove(parts, 1) end)() == 7)
            assert(os.time() > 0 and os.date("%Y") and os.clock() and os.difftime(2, 1) == 1)
            assert(bit.band(6, 3) == 2 and math.floor(1.5) == 1 and table.pack(1, 2).n == 2)
            local names = {}
            for name in pairs(string) do names[#names + 1] = name end
            assert(#names > 8)
            assert(getmetatable("") == false)
            local t = setmetatable({}, { __index = function(_, k) return k end, __call = function() return 1 end })
            assert(t.x == "x" and t() == 1 and rawget(t, "x") == nil)
            rawset(t, "y", 2)
            assert(t.y == 2)
            local r = math.random(3, 5)
            assert(r >= 3 and r <= 5 and math.random() < 1)
            "#
        ),
        None
    );
}

/// Goal: nothing is reachable that nobody decided on, and each function has a bound of time and memory that somebody stated. Each line of the list that is a
/// function says it behind a `|`, beginning with what the cost is proportional to: `constant`, `arguments`, `text`, `table`, `copy`, `steps`, `Lua` (written
/// in Lua: the watchdog stops it) or `lane` (it yields). `bounds` tries them with their largest arguments. Method: the script itself walks all tables that it can reach, from its globals and from every
/// library; run with `UPDATE_GOLDEN=1` to write the
/// list anew, and read the difference. A library with a file in `golden` has its lines there; all others stand in `sandbox_golden.txt`.
#[test]
fn all_that_a_script_can_reach_stands_in_the_golden_list() {
    let libraries: Vec<_> = super::super::bindings::LIBRARIES.iter().map(|library| format!("{:?}", library.0)).collect();
    let source = format!(
        r#"
        local check = require "check"
        local roots = {{ _G = _G }}
        for _, name in ipairs {{ {} }} do roots["require " .. name] = require(name) end
        local seen = {{}}
        local function walk(path, value)
          local meta = getmetatable(value)
          if type(meta) == "table" and type(value) ~= "string" then walk(path .. "<metatable>", meta) end
          check.that(path .. " " .. type(value), true)
          if type(value) ~= "table" or seen[value] then return end
          seen[value] = true
          for key, inner in pairs(value) do walk(path .. "." .. tostring(key), inner) end
        end
        return function() walk("_G", _G) for path, root in pairs(roots) do walk(path, root) end end
        "#,
        libraries.join(", ")
    );
    let lane = Script::new(&source).lane();
    assert!(!lane.live(0, 1)[1].raised, "{:?}", first_exception(&lane));
    let reached: BTreeSet<String> = lane.tally().checks.keys().map(ToString::to_string).collect();
    let lists = golden_lists();
    let golden: String = lists.values().map(|list| list.1.as_str()).collect();
    let costs: BTreeMap<&str, &str> = golden.lines().filter_map(|line| line.split_once(" | ")).collect();
    let with_cost = |line: &String| match costs.get(&**line) {
        Some(cost) => format!("{line} | {cost}\n"),
        None if line.ends_with(" function") => format!("{line} | ?\n"),
        None => format!("{line}\n"),
    };
    let mut said: BTreeMap<&str, String> = lists.keys().map(|owner| (owner.as_str(), String::new())).collect();
    for line in &reached {
        let owner = line.strip_prefix("require ").and_then(|rest| rest.split(['.', ' ', '<']).next()).unwrap_or_default();
        let owner = if lists.contains_key(owner) { owner } else { "" };
        said.get_mut(owner).expect("each list has its text").push_str(&with_cost(line));
    }
    for (owner, list) in said {
        let (path, golden) = &lists[owner];
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, &list).unwrap();
        }
        assert!(list == *golden, "what scripts can reach has changed ({}):\n{}", path.display(), difference(golden, &list));
    }
    for (function, cost) in golden.lines().filter_map(|line| line.split_once(" | ")) {
        let begins = cost.split([':', ';', ',', ' ']).next().unwrap();
        assert!(
            ["constant", "arguments", "text", "table", "copy", "steps", "Lua", "lane"].contains(&begins),
            "state what bounds the time and memory of {function}, as the list's test says: {cost}"
        );
    }
}

/// The list of each library that has one of its own, by its name, and under an empty name that of all the others: where it is and what it says.
fn golden_lists() -> BTreeMap<String, (std::path::PathBuf, String)> {
    let tests = std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/script/tests"));
    let mut lists = BTreeMap::from([(String::new(), tests.join("sandbox_golden.txt"))]);
    for file in std::fs::read_dir(tests.join("golden")).unwrap() {
        let path = file.unwrap().path();
        lists.insert(path.file_stem().unwrap().to_str().unwrap().to_owned(), path);
    }
    lists.into_iter().map(|(owner, path)| (owner, (path.clone(), std::fs::read_to_string(path).unwrap()))).collect()
}

fn difference(old: &str, new: &str) -> String {
    let (old, new): (BTreeSet<_>, BTreeSet<_>) = (old.lines().collect(), new.lines().collect());
    let gone = old.difference(&new).map(|line| format!("- {line}\n"));
    let come = new.difference(&old).map(|line| format!("+ {line}\n"));
    gone.chain(come).collect()
}
