//! The sandbox: each way out is refused, and all that a script can reach stands in a list that a change has to edit.

use std::collections::BTreeSet;

use super::super::testing::{Script, TestLane};

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
        ("os.getenv('HOME')", "field 'getenv' (a nil value)"),
        ("os.exit()", "field 'exit' (a nil value)"),
        ("io.popen('true')", "global 'io' (a nil value)"),
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

/// Goal: nothing is reachable that nobody decided on. Method: the script itself walks all tables that it can reach, from its globals and from every
/// library; run with `UPDATE_GOLDEN=1` to write the list anew, and read the difference.
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
    let list: String = reached.iter().map(|line| format!("{line}\n")).collect();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/script/tests/sandbox_golden.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &list).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    assert!(list == golden, "what scripts can reach has changed:\n{}", difference(&golden, &list));
}

fn difference(old: &str, new: &str) -> String {
    let (old, new): (BTreeSet<_>, BTreeSet<_>) = (old.lines().collect(), new.lines().collect());
    let gone = old.difference(&new).map(|line| format!("- {line}\n"));
    let come = new.difference(&old).map(|line| format!("+ {line}\n"));
    gone.chain(come).collect()
}
