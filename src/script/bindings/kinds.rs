//! Holds that each public function of `lua-stdlib` takes what its annotation says, and refuses all else in words at the caller's line.
//!
//! Driven by the annotations: a parameter's type says which kinds of values it takes. `CALLS` says how a function is called; one that is not in it fails
//! the test, so that none can be forgotten. What options are made of is for the tests of their libraries.

use std::collections::BTreeMap;

use super::annotations::{Declared, declared_in, modules};
use crate::script::testing::Script;

/// How a function is called, with `<parameter:value>` in the places of its parameters; while the script is loaded or by a user. Then what its type does not
/// tell: an example of a kind that it takes, or `!` for a kind that it does not.
struct Call {
    function: &'static str,
    is_at_load: bool,
    code: &'static str,
    examples: &'static [(&'static str, &'static str, &'static str)],
}

const fn user(function: &'static str, code: &'static str, examples: &'static [(&'static str, &'static str, &'static str)]) -> Call {
    Call { function, is_at_load: false, code, examples }
}

const fn load(function: &'static str, code: &'static str, examples: &'static [(&'static str, &'static str, &'static str)]) -> Call {
    Call { function, is_at_load: true, code, examples }
}

const PAGE: &str = "html.parse('<p class=x><a href=/y>z</a></p><form><input name=x></form>', { url = 'http://127.0.0.1:1/' })";

const CALLS: &[Call] = &[
    user("base64.encode", "base64.encode(<text:'x'>, <options:nil>)", &[]),
    user("base64.decode", "base64.decode(<text:'eA=='>, <options:nil>)", &[]),
    user("check", "check(<value:1>, <checks:{ a = true }>)", &[("checks", "table", "{ a = true }")]),
    user("check.that", "check.that(<name:'x'>, <passed:true>)", &[]),
    user("Rows:of", "rows:of(<user:self>)", &[("user", "table", "self")]),
    user("Rows:take", "rows:take(<user:self>)", &[("user", "table", "self")]),
    user("Rows:cycle", "rows:cycle(<user:self>)", &[("user", "table", "self")]),
    load("data.csv", "data.csv(<file:'rows.csv'>, <options:nil>)", &[("file", "text", "'rows.csv'")]),
    load("data.json", "data.json(<file:'rows.json'>, <options:nil>)", &[("file", "text", "'rows.json'")]),
    load("data.jsonl", "data.jsonl(<file:'rows.json'>, <options:nil>)", &[("file", "text", "'rows.json'")]),
    load("data.lines", "data.lines(<file:'rows.csv'>, <options:nil>)", &[("file", "text", "'rows.csv'")]),
    load("env", "env(<name:'X'>, <default:nil>)", &[]),
    user("group", "group(<name:'x'>, <body:print>)", &[]),
    user("hash.md5", "hash.md5(<text:'x'>, <format:nil>)", &[]),
    user("hash.sha1", "hash.sha1(<text:'x'>, <format:nil>)", &[]),
    user("hash.sha224", "hash.sha224(<text:'x'>, <format:nil>)", &[]),
    user("hash.sha256", "hash.sha256(<text:'x'>, <format:nil>)", &[]),
    user("hash.sha384", "hash.sha384(<text:'x'>, <format:nil>)", &[]),
    user("hash.sha512", "hash.sha512(<text:'x'>, <format:nil>)", &[]),
    user("hash.hmac", "hash.hmac(<algorithm:'md5'>, <key:'x'>, <text:'x'>, <format:nil>)", &[]),
    user("hash.hex", "hash.hex(<text:'x'>)", &[]),
    user("hash.unhex", "hash.unhex(<text:'00'>)", &[]),
    user("Page:select", "page:select(<css:'p'>)", &[]),
    user("Page:first", "page:first(<css:'p'>)", &[]),
    user("Page:links", "page:links(<css:nil>)", &[("css", "text", "'a'")]),
    user("Page:form", "page:form(<css:nil>)", &[("css", "text", "'form'")]),
    user("Element:select", "page:first('p'):select(<css:'a'>)", &[]),
    user("Element:first", "page:first('p'):first(<css:'a'>)", &[]),
    user("Element:attr", "page:first('p'):attr(<name:'class'>)", &[]),
    user("Form:submit", "page:form():submit(<values:nil>, <options:nil>)", &[]),
    user("html.parse", "html.parse(<source:'x'>, <options:nil>)", &[("source", "table", "!")]),
    user("header_methods.all", "gone.headers.all(<headers:gone.headers>, <name:'x'>)", &[]),
    user("methods:json", "gone:json(<path:nil>, <options:nil>)", &[]),
    user("methods:fail", "gone:fail(<reason:nil>)", &[]),
    user("http.get", "http.get(<url:GONE>, <options:nil>)", &[("url", "text", "GONE")]),
    user("http.post", "http.post(<url:GONE>, <options:nil>)", &[("url", "text", "GONE")]),
    user("http.put", "http.put(<url:GONE>, <options:nil>)", &[("url", "text", "GONE")]),
    user("http.patch", "http.patch(<url:GONE>, <options:nil>)", &[("url", "text", "GONE")]),
    user("http.delete", "http.delete(<url:GONE>, <options:nil>)", &[("url", "text", "GONE")]),
    user("http.head", "http.head(<url:GONE>, <options:nil>)", &[("url", "text", "GONE")]),
    user("http.options", "http.options(<url:GONE>, <options:nil>)", &[("url", "text", "GONE")]),
    user("http.request", "http.request(<method:'GET'>, <url:GONE>, <options:nil>)", &[("url", "text", "GONE")]),
    user("http.batch", "http.batch(<requests:{ GONE }>)", &[]),
    user("http.defaults", "http.defaults(<template:{}>)", &[]),
    load("http.client", "http.client(<template:{}>)", &[]),
    user("cookies.get", "http.cookies.get(<name:'x'>, <url:GONE>)", &[("url", "text", "GONE"), ("url", "nil", "!")]),
    user("cookies.set", "http.cookies.set(<name:'x'>, <value:'x'>, <url:GONE>)", &[("url", "text", "GONE"), ("url", "nil", "!")]),
    user("cookies.delete", "http.cookies.delete(<name:'x'>, <url:GONE>)", &[("url", "text", "GONE"), ("url", "nil", "!")]),
    user("json.encode", "json.encode(<value:1>, <options:nil>)", &[("value", "function", "!")]),
    user("json.decode", "json.decode(<text:'1'>, <options:nil>)", &[]),
    user("json.list", "json.list(<elements:nil>)", &[]),
    user("jwt.sign", "jwt.sign(<claims:{}>, <key:'x'>, <options:nil>)", &[("claims", "text", "'{}'")]),
    user("jwt.read", "jwt.read(<token:'x'>)", &[]),
    user("jwt.verify", "jwt.verify(<token:'x'>, <key:'x'>, <options:nil>)", &[]),
    user("log.debug", "log.debug(<...:'x'>)", &[]),
    user("log.info", "log.info(<...:'x'>)", &[]),
    user("log.warn", "log.warn(<...:'x'>)", &[]),
    user("log.error", "log.error(<...:'x'>)", &[]),
    user("Counter:add", "counter:add(<amount:nil>)", &[]),
    user("Gauge:set", "gauge:set(<value:1>)", &[]),
    user("Rate:add", "rate:add(<held:true>)", &[]),
    user("Trend:add", "trend:add(<value:1>)", &[]),
    load("metric.counter", "metric.counter(<name:'c'>)", &[("name", "text", "'c'")]),
    load("metric.gauge", "metric.gauge(<name:'g'>)", &[("name", "text", "'g'")]),
    load("metric.rate", "metric.rate(<name:'r'>)", &[("name", "text", "'r'")]),
    load("metric.trend", "metric.trend(<name:'t'>)", &[("name", "text", "'t'")]),
    user("random.int", "random.int(<lo:1>, <hi:9>)", &[]),
    user("random.number", "random.number(<lo:nil>, <hi:nil>)", &[("lo", "whole", "-1"), ("lo", "fraction", "0.5")]),
    user("random.choice", "random.choice(<list:{ 1 }>)", &[("list", "table", "{ 1 }")]),
    user("random.weighted", "random.weighted(<choices:{ a = 1 }>)", &[("choices", "table", "{ a = 1 }")]),
    user("random.string", "random.string(<length:3>, <alphabet:nil>)", &[]),
    user("random.words", "random.words(<count:3>)", &[]),
    user("random.sentence", "random.sentence(<count:nil>)", &[]),
    user("regex.find", "regex.find(<text:'x'>, <pattern:'x'>, <start:nil>)", &[]),
    user("regex.match", "regex.match(<text:'x'>, <pattern:'x'>)", &[]),
    user("regex.matches", "regex.matches(<text:'x'>, <pattern:'x'>)", &[]),
    user("regex.replace", "regex.replace(<text:'x'>, <pattern:'x'>, <with:'y'>, <limit:nil>)", &[]),
    load("scenario", "scenario(<options:{ users = { Class } }>)", &[("options", "table", "{ users = { Class } }")]),
    load(
        "Class:task",
        "scenario.user { name = 'B' }:task(<name:'x'>, <options:{ weight = 2 }>, <body:print>)",
        &[("options", "function", "!"), ("body", "nil", "!"), ("body", "table", "!")],
    ),
    load("scenario.user", "scenario.user(<options:{}>)", &[]),
    load("scenario.tasks", "scenario.tasks(<options:{ print }>)", &[("options", "table", "{ print }")]),
    load("scenario.ramp", "scenario.ramp(<stages:{ { users = 1, over = 1 } }>)", &[("stages", "table", "{ { users = 1, over = 1 } }")]),
    load(
        "scenario.arrivals",
        "scenario.arrivals(<options:{ { rate = 1, over = 1 } }>)",
        &[("options", "table", "{ { rate = 1, over = 1 } }")],
    ),
    load("scenario.steps", "scenario.steps(<options:STEPS>)", &[("options", "table", "STEPS")]),
    load(
        "scenario.iterations",
        "scenario.iterations(<options:{ users = 1, each = 1 }>)",
        &[("options", "table", "{ users = 1, each = 1 }")],
    ),
    load("scenario.spike", "scenario.spike(<options:SPIKE>)", &[("options", "table", "SPIKE")]),
    load("scenario.shape", "scenario.shape(<body:print>, <options:{}>)", &[("body", "nil", "!")]),
    user("scenario.abort", "scenario.abort(<reason:5>)", &[("reason", "text", "-")]),
    user("shared.get", "shared.get(<key:'x'>)", &[]),
    user("shared.set", "shared.set(<key:'x'>, <value:1>)", &[("value", "function", "!")]),
    user("shared.incr", "shared.incr(<key:'n'>, <by:nil>)", &[("key", "text", "'n'")]),
    user("shared.cached", "shared.cached(<key:'x'>, <options:nil>, <make:print>)", &[]),
    user("cluster.get", "shared.cluster.get(<key:'x'>)", &[]),
    user("cluster.set", "shared.cluster.set(<key:'x'>, <value:1>, <options:nil>)", &[("value", "function", "!")]),
    user("cluster.incr", "shared.cluster.incr(<key:'n'>, <by:nil>)", &[("key", "text", "'n'")]),
    user("cluster.cached", "shared.cluster.cached(<key:'x'>, <options:nil>, <make:print>)", &[]),
    user("cluster.barrier", "shared.cluster.barrier(<name:'x'>, <users:1>, <timeout:nil>)", &[("timeout", "text", "'1s'")]),
    user(
        "time.sleep",
        "time.sleep(<duration:0>)",
        &[("duration", "whole", "0"), ("duration", "fraction", "0.001"), ("duration", "text", "'1ms'")],
    ),
    user("url.encode", "url.encode(<text:'x'>)", &[]),
    user("url.decode", "url.decode(<text:'x'>)", &[]),
    user("url.parse", "url.parse(<text:GONE>)", &[]),
    user("url.join", "url.join(<base:GONE>, <reference:'x'>)", &[]),
    user("url.query", "url.query(<params:{}>)", &[]),
    user("url.parse_query", "url.parse_query(<text:'x'>)", &[]),
    user("uuid.parse", "uuid.parse(<text:'x'>)", &[]),
    load("wait.constant", "wait.constant(<duration:1>)", &[("duration", "text", "'1s'")]),
    load("wait.between", "wait.between(<low:1>, <high:9>)", &[("low", "text", "'1s'"), ("high", "text", "'10s'")]),
    load("wait.poisson", "wait.poisson(<mean:1>)", &[("mean", "text", "'1s'")]),
    load("wait.pacing", "wait.pacing(<interval:1>)", &[("interval", "text", "'1s'")]),
    load("wait.throughput", "wait.throughput(<rate:1>)", &[("rate", "text", "'2/s'")]),
    user("Element:get", "xml.parse('<a/>'):get(<path:'//a'>)", &[]),
    user("Element:all", "xml.parse('<a/>'):all(<path:'//a'>)", &[]),
    user("Element:find", "xml.parse('<a/>'):find(<path:'//a'>)", &[]),
    user("Element:elements", "xml.parse('<a/>'):elements(<path:'//a'>)", &[]),
    user("xml.parse", "xml.parse(<source:'<a/>'>)", &[("source", "table", "!"), ("source", "text", "'<a/>'")]),
];

const KINDS: [(&str, &str); 7] =
    [("whole", "7"), ("fraction", "1.5"), ("text", "'x'"), ("nil", "nil"), ("boolean", "true"), ("table", "{}"), ("function", "print")];

/// What stands above and around the calls; line 1 of the script.
fn head() -> String {
    let names: Vec<_> = super::LIBRARIES.iter().map(|library| library.0).collect();
    let requires: Vec<_> = names.iter().map(|name| format!("require '{name}'")).collect();
    format!(
        "local {} = {} local GONE = 'http://127.0.0.1:1/' local STEPS = {{ from = 1, step = 1, every = 1, to = 2 }} local SPIKE = {{ base = 1, peak = 2, at = 1, hold = 1 }} \
         local Class, rows = scenario.user {{ name = 'A' }}, data.csv('rows.csv', {{ at_end = 'cycle' }}) Class:task('t', print) \
         local counter, gauge, rate, trend = metric.counter 'c', metric.gauge 'g', metric.rate 'r', metric.trend 't' \
         local said = {{}} local function try(case, body) local ok, why = pcall(body) said[#said + 1] = case .. '|' .. (ok and 'taken' or tostring(why):sub(1, 160)) end",
        names.join(", "),
        requires.join(", ")
    )
}

/// What is said of each case: by its line in the script, from 2 on.
fn outcomes(cases: &[String], is_at_load: bool) -> BTreeMap<usize, String> {
    let tries: String = (2..).zip(cases).map(|(line, case)| format!("try({line}, function() local _ = {case} end)\n")).collect();
    let tell = "for _, what in ipairs(said) do check.that(what, true) end";
    let source = if is_at_load {
        format!("{}\n{tries} return function() {tell} end", head())
    } else {
        let made = format!("local page, gone = {PAGE}, http.get(GONE)");
        format!("{} return function(self) {made}\n{tries} {tell} end", head())
    };
    let script = Script::new(&source).with_file("rows.csv", "name\nada\nbob\n").with_file("rows.json", "[1]");
    let lane = script.lane();
    assert!(!lane.live(0, 1)[1].raised, "{source}\n{:?}", lane.exceptions());
    let said = lane.tally().checks;
    said.keys().filter_map(|what| what.split_once('|')).map(|(line, what)| (line.parse().unwrap(), what.to_owned())).collect()
}

/// The parts of a type between `|`, outside of brackets.
fn parts(of: &str, separator: char) -> Vec<String> {
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for character in of.chars() {
        match character {
            '(' | '{' | '<' | '[' => depth += 1,
            ')' | '}' | '>' | ']' => depth -= 1,
            _ => {}
        }
        if character == separator && depth == 0 {
            parts.push(String::new());
        } else {
            parts.last_mut().unwrap().push(character);
        }
    }
    parts.into_iter().map(|part| part.trim().to_owned()).collect()
}

/// The kinds that a type takes, each with an example where another one would not do.
fn kinds_of(kind: &str, is_optional: bool, aliases: &BTreeMap<String, String>) -> BTreeMap<&'static str, Option<String>> {
    let mut taken = BTreeMap::new();
    if is_optional {
        taken.insert("nil", None);
    }
    for part in parts(kind, '|') {
        let (part, may_lack) = part.strip_suffix('?').map_or((part.as_str(), false), |part| (part, true));
        if may_lack {
            taken.insert("nil", None);
        }
        match part {
            "string" => drop(taken.insert("text", None)),
            "number" => taken.extend([("whole", None), ("fraction", None)]),
            "integer" => drop(taken.insert("whole", None)),
            "boolean" | "true" | "false" => drop(taken.insert("boolean", None)),
            "nil" => drop(taken.insert("nil", None)),
            "any" | "T" => taken.extend(KINDS.map(|(kind, _)| (kind, None))),
            literal if literal.starts_with('"') => drop(taken.insert("text", Some(literal.to_owned()))),
            function if function.starts_with("fun(") => drop(taken.insert("function", None)),
            other => match aliases.get(other) {
                Some(alias) => taken.extend(kinds_of(alias, false, aliases)),
                None => drop(taken.insert("table", None)),
            },
        }
    }
    taken
}

/// The parameters of a function and their types; `?` behind the name of one that may be left out.
fn parameters(comment: &[String]) -> Vec<(String, String)> {
    let lines = comment.iter().filter_map(|line| line.strip_prefix("@param "));
    let is_table = |kind: &str| kind == "T" && comment.iter().any(|line| line == "@generic T: table");
    let typed = |(name, rest): (&str, &str)| {
        let kind = rest.split("  ").next().unwrap().trim();
        (name.to_owned(), if is_table(kind) { "table" } else { kind }.to_owned())
    };
    lines.filter_map(|line| line.split_once(' ')).map(typed).collect()
}

/// The functions of a module, the module itself where it can be called.
fn functions(module: &str, text: &str) -> Vec<(String, Vec<(String, String)>)> {
    let is_public = |function: &&Declared| !["engine.", "native."].iter().any(|private| function.name.starts_with(private));
    let mut functions: Vec<_> =
        declared_in(text).iter().filter(is_public).map(|function| (function.name.clone(), parameters(&function.comment))).collect();
    let overloads = text.lines().filter_map(|line| line.strip_prefix("---@overload fun")?.split_once('('));
    if let Some((_, rest)) = overloads.max_by_key(|(_, rest)| rest.len()) {
        let mut depth = 0;
        let is_end = |character: char| {
            depth += i32::from(character == '(') - i32::from(character == ')');
            depth < 0
        };
        let inner = &rest[..rest.find(is_end).unwrap()];
        let typed = |parameter: &String| parameter.split_once(": ").map(|(name, kind)| (name.to_owned(), kind.to_owned()));
        functions.push((module.to_owned(), parts(inner, ',').iter().filter_map(typed).collect()));
    }
    functions.retain(|(_, parameters)| !parameters.is_empty());
    functions
}

/// The call with `value` in the place of `parameter` and the others as they are meant.
fn filled(code: &str, parameter: &str, value: &str) -> String {
    let mut rest = code;
    let mut filled = String::new();
    // A parameter stands behind a bracket or a comma: what else begins so is a value.
    while let Some(at) = rest.find("(<").map(|at| at + 1).into_iter().chain(rest.find(", <").map(|at| at + 2)).min() {
        filled.push_str(&rest[..at]);
        let (name, behind) = rest[at + 1..].split_once(':').unwrap();
        let end = behind.find(">)").into_iter().chain(behind.find(">,")).min().unwrap();
        filled.push_str(if name == parameter { value } else { &behind[..end] });
        rest = &behind[end + 1..];
    }
    filled + rest
}

#[test]
fn each_function_takes_what_its_annotation_says_and_refuses_all_else_in_words_at_the_callers_line() {
    let calls: BTreeMap<&str, &Call> = CALLS.iter().map(|call| (call.function, call)).collect();
    let mut problems = Vec::new();
    let mut cases: BTreeMap<bool, Vec<(String, bool, String)>> = BTreeMap::new();
    for (module, text) in modules() {
        let alias = |line: &str| {
            line.strip_prefix("---@alias ")?.split("  ").next()?.split_once(' ').map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        };
        let aliases = text.lines().filter_map(alias).collect();
        for (name, parameters) in functions(&module, &text) {
            let Some(call) = calls.get(&*name) else {
                problems.push(format!("{module}.lua: `{name}` is in no call of CALLS"));
                continue;
            };
            for (parameter, kind) in parameters {
                let (parameter, is_optional) = parameter.strip_suffix('?').map_or((&*parameter, false), |parameter| (parameter, true));
                if !call.code.contains(&format!("<{parameter}:")) {
                    problems.push(format!("{module}.lua: `{name}` is called without its `{parameter}`"));
                }
                let taken = kinds_of(&kind, is_optional, &aliases);
                for (kind, value) in KINDS {
                    let told = call.examples.iter().find(|(of, of_kind, _)| *of == parameter && *of_kind == kind).map(|told| told.2);
                    let is_taken = taken.contains_key(kind) && told != Some("!");
                    let literal = taken.get(kind).and_then(Option::as_deref);
                    let example = told.filter(|told| *told != "!").or(literal).unwrap_or(value);
                    let mut add = |value: &str, is_taken: bool| {
                        let code = filled(call.code, parameter, value);
                        cases.entry(call.is_at_load).or_default().push((
                            format!("{module}: {name}, {parameter} = {value}"),
                            is_taken,
                            code,
                        ));
                    };
                    if told != Some("-") {
                        add(example, is_taken);
                    }
                    if literal.is_some() {
                        // Another text than those that it lists.
                        add(value, false);
                    }
                }
            }
        }
    }
    for (is_at_load, cases) in cases {
        for cases in cases.chunks(100) {
            let code: Vec<_> = cases.iter().map(|case| case.2.clone()).collect();
            let said = outcomes(&code, is_at_load);
            for (line, (what, is_taken, _)) in (2..).zip(cases) {
                match said.get(&line).map(String::as_str) {
                    Some("taken") if *is_taken => {}
                    Some("taken") => problems.push(format!("{what}: taken, against its annotation")),
                    Some(why) if *is_taken => problems.push(format!("{what}: refused, against its annotation: {why}")),
                    Some(why)
                        if !why.contains(&format!("test.lua:{line}: ")) || why.contains("lunamoth") || why.contains("bad argument") =>
                    {
                        problems.push(format!("{what}: refused in other words than the caller's: {why}"));
                    }
                    Some(_) => {}
                    None => problems.push(format!("{what}: nothing came of it")),
                }
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn a_type_is_read_as_it_is_written() {
    let aliases = BTreeMap::from([("Format".to_owned(), "\"hex\"|\"raw\"".to_owned())]);
    let read = |kind: &str| kinds_of(kind, false, &aliases).into_keys().collect::<Vec<_>>().join(" ");
    assert_eq!(read("string|number?"), "fraction nil text whole");
    assert_eq!(read("table<string, string|number>|fun(self: User): any"), "function table");
    assert_eq!(read("{ times: integer?, [integer]: any }"), "table");
    assert_eq!(kinds_of("Format", true, &aliases), BTreeMap::from([("nil", None), ("text", Some("\"raw\"".to_owned()))]));
    assert_eq!(filled("f(<a:1>, <b:'<x>'>):g(<c:{ 1 }>)", "b", "nil"), "f(1, nil):g({ 1 })");
}
