//! What no script can do to its neighbours: hold the lane in a call that nothing interrupts, take memory outside of the VM, or reach another user's values.
//!
//! Goal of the table below: each function that a script can reach comes to an end, whatever it is given. Method: its largest arguments; each body is ended
//! by a refusal, by its own end or by the watchdog, and the whole table takes no longer than a few of its bodies took before they were bounded.

use std::time::{Duration, Instant};

use super::super::testing::Script;
use super::super::watchdog;

/// What the first iteration of a function with this body raised, and how long it took.
fn run(body: &str) -> (Option<String>, Duration) {
    run_within(Duration::from_secs(1), body)
}

/// The same under a watchdog that is so patient.
fn run_within(limit: Duration, body: &str) -> (Option<String>, Duration) {
    let libraries = "local http, json, regex, url, random, shared, log, check, metric, group, env, time = require 'http', require 'json', require 'regex', require 'url', \
         require 'random', require 'shared', require 'log', require 'check', require 'metric', require 'group', require 'env', require 'time'";
    watchdog::limit_in_tests(limit);
    let lane = Script::new(&format!("{libraries}\nreturn function(self)\n{body}\nend")).lane();
    let began = Instant::now();
    lane.live(0, 1);
    let took = began.elapsed();
    (lane.exceptions().into_iter().next().map(|exception| exception.0), took)
}

#[test]
fn a_call_that_would_take_too_long_or_grow_too_large_is_refused_at_once() {
    for (body, expected) in [
        ("('a'):rep(1e6):find(('a'):rep(1e4) .. 'b.')", "string.find: the pattern takes too long"),
        ("('a'):rep(1e6):match(('a'):rep(1e4) .. 'b')", "string.match: the pattern takes too long"),
        ("('a'):rep(1e6):match('[^' .. ('xyz'):rep(3000) .. ']-b')", "string.match: the pattern takes too long"),
        ("('a'):rep(1e5):gsub('a*b', '')", "string.gsub: the pattern takes too long"),
        ("for _ in ('a'):rep(1e5):gmatch('a*b') do end", "string.gmatch: the pattern takes too long"),
        ("('x'):find(('x'):rep(1e5) .. '.')", "a pattern may have at most 16 KiB"),
        ("('x'):rep(1e5):gsub('x', ('y'):rep(1e4))", "string.gsub: the result would be longer than 64 MiB"),
        ("('x'):rep(1e5):gsub('.*', ('%0'):rep(1e4))", "string.gsub: the result would be longer than 64 MiB"),
        ("local s = ('x'):rep(4e7) string.format('%s%q', s, s)", "string.format: the result would be longer than 64 MiB"),
        ("('x'):rep(1e9)", "string.rep: the result would be longer than 64 MiB"),
        ("local t = {} table.insert(t, -2147483648, 1)", "table.insert: the position must be 1 or more"),
        ("load(('x = 1 '):rep(1e6))", "load: the text is longer than 1 MiB"),
        ("load(function() return ('x = 1 '):rep(1e4) end)", "load: the text is longer than 1 MiB"),
        ("os.date(('%c'):rep(1e6))", "os.date: a format may have at most 256 bytes"),
        ("local t = { ('x'):rep(1e7) } json.encode { t, t, t, t, t, t, t, t }", "json.encode: the text would be longer than 64 MiB"),
        ("shared.set('k', ('x'):rep(6e7))", "shared.set: the value would take more than 16 MiB"),
        ("regex.replace(('x'):rep(1e5), 'x', ('y'):rep(1e5))", "regex.replace: the result would be longer than 64 MiB"),
        ("regex.replace(('x'):rep(1e6), 'x+', ('$0'):rep(1e4))", "regex.replace: the result would be longer than 64 MiB"),
        ("http.batch { '/a', nil, '/b' }", "http.batch takes a list of requests without gaps, and no names"),
        ("regex.match('a', ('(a)'):rep(5000))", "regex.match: the pattern has too many groups for its size"),
        (
            "local s, t = ('x'):rep(3e7), {} for i = 1, 9 do t['f' .. i] = s end http.post('/', { multipart = t })",
            "option `multipart` may have at most 64 MiB",
        ),
        (
            "local t = {} for i = 1, 101000 do t['k' .. i] = 1 end http.get('/', { headers = t })",
            "option `headers` may have at most 1000 values",
        ),
        (
            "local t = {} for i = 1, 101000 do t['k' .. i] = 1 end http.get('/', { cookies = t })",
            "option `cookies` may have at most 1000 values",
        ),
        ("local t = {} for i = 1, 101000 do t['k' .. i] = 1 end http.get('/', { tags = t })", "option `tags`: at most 8 tags are possible"),
        (
            "local t = {} for i = 1, 101000 do t['k' .. i] = 1 end http.get('/', { params = t })",
            "option `params` may have at most 100000 values",
        ),
        ("http.get('/' .. ('x'):rep(5e7))", "the URL may have at most 1024 KiB"),
        ("http.get('/', { name = ('x'):rep(5e7) })", "option `name` may have at most 64 KiB"),
        (
            "local t = {} for i = 1, 9 do t[i] = { 'POST', '/', { body = ('x'):rep(1e7) } } end http.batch(t)",
            "http.batch: all requests together may have at most 64 MiB",
        ),
        ("url.encode(('%'):rep(6e7))", "url.encode: a text may have at most 16 MiB"),
        ("url.decode(('%41'):rep(2e7))", "url.decode: a text may have at most 16 MiB"),
        ("url.parse('http://h/' .. ('a'):rep(1e6))", "url.parse: a text may have at most 64 KiB"),
        ("url.join('http://h/', ('../'):rep(1e6))", "url.join: a text may have at most 64 KiB"),
        ("url.parse_query(('a&'):rep(3e7))", "url.parse_query: a text may have at most 16 MiB"),
        ("random.string(1e9)", "random.string: the length must be"),
        ("random.string(1, ('ab'):rep(1e6))", "random.string: the alphabet may have at most 65536 bytes"),
        ("local _ = unpack({}, 1, 1e8)", "too many results to unpack"),
        ("local _ = ('x'):rep(1e7):byte(1, -1)", "string slice too long"),
    ] {
        // On a machine that is busy with others even a refusal may take a second.
        let (said, took) = run_within(Duration::from_secs(10), body);
        let said = said.unwrap_or_else(|| panic!("{body} was allowed, and took {took:?}"));
        assert!(said.contains(expected), "{body}\n  said {said}");
        assert!(said.starts_with("test.lua:3: "), "{body}\n  said {said}");
    }
}

#[test]
fn a_long_call_that_is_possible_comes_to_its_end_or_is_stopped_by_the_watchdog() {
    for body in [
        "assert(('a'):rep(2e7):find(('a'):rep(5000) .. 'b', 1, true) == nil)",
        "assert(('a'):rep(2e7):find(('a'):rep(5000) .. 'b') == nil)",
        "local t = {} for i = 1, 1e7 do t[i] = -i end table.sort(t)",
        "local t = {} for i = 1, 3e6 do t[i] = i % 7 end table.sort(t, function(a, b) return a < b end)",
        "table.sort({ 3, 1, 2 }, function() while true do end end)",
        "local t = {} for i = 1, 3e6 do t[i] = 'x' end assert(#table.concat(t, ',') == 6e6 - 1)",
        "local t = {} for i = 1, 3e6 do t[i] = i end for i = 1, 1e3 do table.insert(t, 1, i) end",
        "local t = {} for i = 1, 3e6 do t[i] = i end for i = 1, 1e3 do table.remove(t, 1) end",
        "table.move({}, 1, 1e15, 2)",
        "local s = ('aB'):rep(2e7) assert(s:upper():lower() == ('ab'):rep(2e7) and #s:reverse() == 4e7)",
        "local text = '[' .. ('1,'):rep(4e6) .. '1]' json.decode(text)",
        "local text = ('['):rep(1e6) assert(json.decode(text) == nil)",
        "local t = {} for i = 1, 25 do t = { t, t } end json.encode(t)",
        "local t = {} for i = 1, 60 do t = { b = t, a = t } end json.encode(t)",
        "local t = {} for i = 1, 25 do t = { t, t } end shared.set('k', t)",
        "regex.matches(('x'):rep(3e6), 'x')",
        "regex.find(('ab'):rep(1e7), '(?-u)[ab]*a[ab]{3000}c')",
        "regex.match(('aab'):rep(1e6), [[(\\w+)(\\w+)(\\w+)(\\w+)(\\w+)$]])",
        "regex.matches(('A'):rep(1e6), '.*[^A-Z]|[A-Z]')",
        "regex.replace(('größe '):rep(1e6), [[\\b\\w{1,9}\\b!]], '')",
        "regex.replace(('x'):rep(3e6), 'x', 'y')",
        "error(('x'):rep(6e7))",
        "error(setmetatable({}, { __tostring = function() while true do end end }))",
        "log.info(('x'):rep(6e7))",
        "local t = {} for i = 1, 1e6 do t['k' .. i] = i end log.info(t)",
        "check.that(('x'):rep(3e7), true)",
        "group(('x'):rep(3e7), function() end)",
        "local function f() return f() + 1 end f()",
        "tonumber(('1'):rep(6e7))",
        "local co = coroutine.wrap(function() while true do coroutine.yield() end end) while true do co() end",
        "('x'):rep(100):gsub('x', function() while true do end end)",
        "local t = setmetatable({}, { __index = function(t, k) return t[k + 1] end }) local _ = t[1]",
        "local s = 'x' while true do s = s .. s end",
        "local t = {} while true do t[#t + 1] = {} end",
        "for i = 1, 1e9 do end",
        "repeat until pcall(error)",
    ] {
        let (said, took) = run_within(Duration::from_millis(200), body);
        // The watchdog's limit, a strike that is swallowed, and the slowest call between two looks; a machine that is shared by many tests.
        assert!(took < Duration::from_secs(8), "{body}\n  took {took:?} and said {said:?}");
        if let Some(said) = said {
            assert!(!said.contains("[lunamoth"), "{body}\n  said {said}");
        }
    }
}

#[test]
fn a_runaway_that_swallows_its_errors_is_named_with_file_and_line_and_ends() {
    for body in [
        "while true do pcall(function()\nwhile true do end\nend) end",
        "while true do xpcall(function()\nwhile true do end\nend, function() end) end",
        "xpcall(function()\nwhile true do end\nend, function() while true do end end)",
        "while true do pcall(xpcall, function()\nwhile true do end\nend, function() while true do end end) end",
        "local co = coroutine.wrap(function() while true do pcall(function()\nwhile true do end\nend) end end)\nwhile true do pcall(co) end",
        // It goes on, and asks for a sleep: it would run away again after it.
        "while true do pcall(function()\nwhile true do end\nend) time.sleep(0.001) end",
        "check('x', { slow = function()\nwhile true do end\nend }) time.sleep(1)",
    ] {
        let (said, took) = run_within(Duration::from_millis(200), body);
        let said = said.unwrap_or_else(|| panic!("{body} was allowed"));
        assert!(said.ends_with("test.lua:4: the script ran for more than 1 s without yielding"), "{body}\n  said {said}");
        assert!(took < Duration::from_secs(6), "{body} took {took:?}");
    }
}

#[test]
fn a_strike_that_finds_no_line_of_the_script_is_told_with_that_of_the_function_that_was_run() {
    for body in [
        "local t = {} for i = 1, 3e6 do t[i] = -i % 977 end return table.sort(t)",
        "local t = {} for i = 1, 3e6 do t[i] = -i % 977 end return pcall(table.sort, t)",
    ] {
        let (said, took) = run_within(Duration::from_millis(100), body);
        let said = said.unwrap_or_else(|| panic!("{body} was allowed, and took {took:?}"));
        let places = [
            "test.lua:2: the script ran for more than 1 s without yielding",
            "test.lua:3: the script ran for more than 1 s without yielding",
        ];
        // The strike may come while the list is made.
        assert!(places.contains(&said.as_str()), "{body}\n  said {said}");
    }
}

#[test]
fn a_step_that_ends_in_a_runaway_says_how_long_it_held_the_lane_and_one_that_does_not_says_nothing() {
    watchdog::limit_in_tests(Duration::from_millis(200));
    let lane = Script::new("local time = require 'time'\nreturn function(self)\ntime.sleep(0.001) while true do end\nend").lane();
    let began = Instant::now();
    let step = lane.live(0, 1)[1];
    assert!(step.raised && step.yielded, "{step:?}");
    let held = step.held.expect("it has held the lane");
    assert!(held >= Duration::from_millis(150) && held <= began.elapsed(), "{held:?}");
    let quick = Script::new("local time = require 'time'\nreturn function(self) time.sleep(0.001) end").lane();
    assert_eq!(quick.live(0, 1)[1].held, None);
}

#[test]
fn no_function_writes_into_a_table_that_all_users_see() {
    for target in ["_G", "string", "table", "coroutine", "os", "json", "regex", "time"] {
        for (call, name) in [
            ("table.insert(X, 1)", "table.insert"),
            ("table.insert(X, 1, 'v')", "table.insert"),
            ("table.remove(X)", "table.remove"),
            ("table.remove(X, 1)", "table.remove"),
            ("table.move({ 1, 2 }, 1, 2, 1, X)", "table.move"),
            ("table.move(X, 1, 2, 3)", "table.move"),
            ("table.sort(X)", "table.sort"),
            ("rawset(X, 1, 1)", "rawset"),
            ("X[1] = 1", ""),
            ("setmetatable(X, {})", ""),
            ("json.list(X)", ""),
        ] {
            let body = call.replace('X', target);
            let (said, _) = run(&format!("{body}\nassert(rawget({target}, 1) == nil and {target}[1] == nil, 'it was written')"));
            let said = said.unwrap_or_else(|| panic!("{body} was allowed"));
            assert!(said.starts_with("test.lua:3: ") && said.contains(name), "{body}\n  said {said}");
        }
    }
}

#[test]
fn sorting_inserting_and_joining_give_what_lua_gives() {
    let (said, _) = run(r#"
        local function is_sorted(list, before)
          for i = 2, #list do assert(not before(list[i], list[i - 1])) end
        end
        for size = 0, 60 do
          local list, texts = {}, {}
          for i = 1, size do list[i], texts[i] = math.random(20), tostring(math.random(1000)) end
          table.sort(list) is_sorted(list, function(a, b) return a < b end)
          table.sort(list, function(a, b) return a > b end) is_sorted(list, function(a, b) return a > b end)
          table.sort(texts) is_sorted(texts, function(a, b) return a < b end)
          assert(#list == size and #texts == size)
        end
        local ok, why = pcall(table.sort, { 1, "x" }) assert(not ok and why:find("attempt to compare"), why)
        local ok, why = pcall(table.sort, { 3, 1, 2, 5, 4, 7, 6 }, function() return true end) assert(not ok and why:find("invalid order function"), why)
        local ok, why = pcall(table.sort, { 2, 1 }, function() error("mine", 0) end) assert(not ok and why == "mine", why)
        local ok, why = pcall(table.sort, nil) assert(not ok and why:find("table expected, got nil"), why)
        local list = {}
        for i = 1, 30000 do list[i] = i end
        table.insert(list, 2, "new") assert(#list == 30001 and list[1] == 1 and list[2] == "new" and list[3] == 2 and list[30001] == 30000)
        assert(table.remove(list, 2) == "new" and #list == 30000 and list[30000] == 30000)
        local text = table.concat(list, "-") assert(text:find("^1%-2%-3") and text:find("%-29999%-30000$"))
        assert(select(2, text:gsub("%-", "")) == 29999)
        local small = { 1, 2 } table.insert(small, 3) table.insert(small, 1, 0) table.insert(small, 9, "far")
        assert(table.concat(small, ",") == "0,1,2,3" and small[9] == "far")
        assert(not pcall(table.insert, {}) and not pcall(table.insert, {}, 1, 2, 3) and not pcall(table.concat, { {} }))
        assert(table.concat({ 1, 2, 3 }, ",", 2) == "2,3" and table.concat({}, ",") == "")
        "#);
    assert_eq!(said, None);
}

#[test]
fn what_is_made_of_long_texts_in_pieces_is_what_lua_makes() {
    let (said, _) = run(r#"
        local text = ("aBc-1"):rep(500000) .. "end"
        assert(text:upper() == ("ABC-1"):rep(500000) .. "END" and text:lower() == ("abc-1"):rep(500000) .. "end")
        local back = text:reverse()
        assert(#back == #text and back:sub(1, 8) == "dne1-cBa" and back:reverse() == text)
        local at, to = text:find(("aBc-1"):rep(2000) .. "end", 1, true) assert(to == #text and to - at + 1 == 10003)
        assert(text:find(("aBc-1"):rep(2000) .. "end", 5, true) == at and text:find("end") == #text - 2 and text:find("end", -2) == nil)
        assert(("x"):find("", 2, true) == 2 and ("x"):find("", 3, true) == nil)
        "#);
    assert_eq!(said, None);
}
