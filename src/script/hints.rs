//! What a person can do about LuaJIT's own errors: names that other Luas have and this one has not, and names that are nearly right.
//!
//! Reading an unknown global gives nil, as everywhere in Lua (libraries ask so what there is); using it raises, and there the way out is named.

use super::bindings::{self, LIBRARIES};
use crate::spelling::{nearest, third};

/// The error's text with the way out behind it, where one is known.
pub(super) fn with_hint(text: &str) -> Option<String> {
    let rest = text.get(text.find(ATTEMPT)? + ATTEMPT.len()..)?;
    let (_, rest) = rest.split_once(' ')?;
    // Such as `global 'io' (a nil value)`.
    let (kind, rest) = rest.split_once(" '")?;
    let (name, rest) = rest.split_once("' ")?;
    if rest != "(a nil value)" {
        return None;
    }
    let hint = match kind.rsplit(' ').next()? {
        "global" => global(name),
        "field" => of(FIELDS, name),
        "method" => of(FIELDS, name).or_else(|| near(name, METHODS.iter().copied())),
        _ => None,
    }?;
    Some(format!("{text}: {hint}"))
}

fn global(name: &str) -> Option<String> {
    if LIBRARIES.iter().any(|library| library.0 == name) {
        return Some(format!("write `local {name} = require \"{name}\"` at the top of the script"));
    }
    if bindings::LATER.contains(&name) {
        return Some(format!("this version does not have the library `{name}`"));
    }
    of(GLOBALS, name)
        .or_else(|| near(name, KNOWN.iter().copied()))
        .or_else(|| Some(format!("nothing has given `{name}` a value; a local is known below its line and in its own file only")))
}

fn of(table: &[(&str, &str)], name: &str) -> Option<String> {
    table.iter().find(|entry| entry.0 == name).map(|entry| entry.1.to_owned())
}

fn near<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    nearest(name, known, |_| third(name)).map(|near| format!("did you mean `{near}`?"))
}

const ATTEMPT: &str = "attempt to ";

const FILES: &str =
    "a script reads and writes no files; data can stand in a Lua file beside it (`require`), and lines are written by `require \"log\"`";
const SLEEP: &str = "write `local time = require \"time\"` and `time.sleep(1)`, or `self:wait()`";
const ENVIRONMENT: &str = "write `local env = require \"env\"` and `env(\"NAME\", \"default\")`";
const HOOK: &str = "a class has these by assignment: `function Shopper:on_start() ... end`, and on_stop likewise";
const SHELL: &str = "a script starts no programs and changes no files";
const SANDBOX: &str = "the sandbox has none";
const MODULES: &str = "`require \"name\"` finds files beside the script";

/// Globals of other Luas and of other tools.
const GLOBALS: &[(&str, &str)] = &[
    ("io", FILES),
    ("file", FILES),
    ("package", MODULES),
    ("module", MODULES),
    ("dofile", MODULES),
    ("loadfile", MODULES),
    ("import", MODULES),
    ("debug", "an error comes with its traceback, and `require \"log\"` shows values"),
    ("ffi", SANDBOX),
    ("jit", SANDBOX),
    ("getfenv", SANDBOX),
    ("setfenv", SANDBOX),
    ("newproxy", SANDBOX),
    ("sleep", SLEEP),
    ("socket", SLEEP),
    ("ngx", "this is no nginx: requests are made by `require \"http\"`"),
    ("wrk", "requests are made in a function: `return function() http.get(\"/\") end`"),
    ("utf8", SANDBOX),
    ("_ENV", SANDBOX),
    ("self", "write the task as `function(self) ... end`"),
    ("null", "JSON's null is `require(\"json\").null`, Lua's is `nil`"),
    ("cjson", "write `local json = require \"json\"`"),
    ("console", "write `local log = require \"log\"`"),
    ("printf", "write `print((\"...\"):format(...))`"),
];

/// Fields and methods of other Luas.
const FIELDS: &[(&str, &str)] = &[
    ("getenv", ENVIRONMENT),
    ("execute", SHELL),
    ("exit", "`self:stop()` ends the user, `error(...)` the iteration; thresholds decide the exit code"),
    ("remove", SHELL),
    ("rename", SHELL),
    ("tmpname", SHELL),
    ("setlocale", SANDBOX),
    ("dump", SANDBOX),
    ("getn", "write `#list`"),
    ("setn", "a list is as long as its elements"),
    ("foreach", "write `for key, value in pairs(t) do`"),
    ("foreachi", "write `for i, value in ipairs(t) do`"),
    ("gfind", "write `string.gmatch`"),
    ("split", "Lua has none: `for part in text:gmatch(\"[^,]+\") do`"),
    ("trim", "Lua has none: `text:match(\"^%s*(.-)%s*$\")`"),
    ("startswith", "Lua has none: `text:sub(1, #start) == start`"),
    ("starts_with", "Lua has none: `text:sub(1, #start) == start`"),
    ("endswith", "Lua has none: `text:sub(-#ending) == ending`"),
    ("ends_with", "Lua has none: `text:sub(-#ending) == ending`"),
    ("contains", "Lua has none: `text:find(part, 1, true)`"),
    ("replace", "Lua has none: `text:gsub(pattern, with)`, or `require \"regex\"`"),
    ("sleep", SLEEP),
    ("pause", SLEEP),
    ("on_start", HOOK),
    ("on_stop", HOOK),
];

/// Methods of what scripts have in hand.
const METHODS: &[&str] = &[
    "wait", "stop", "task", "json", "must", "fail", "pass", "all", "add", "set", "upper", "lower", "sub", "find", "match", "gmatch",
    "gsub", "format", "rep", "reverse", "byte", "len",
];

/// Globals that there are.
const KNOWN: &[&str] = &[
    "assert",
    "bit",
    "collectgarbage",
    "coroutine",
    "error",
    "getmetatable",
    "ipairs",
    "load",
    "loadstring",
    "math",
    "next",
    "os",
    "pairs",
    "pcall",
    "print",
    "rawequal",
    "rawget",
    "rawlen",
    "rawset",
    "require",
    "select",
    "setmetatable",
    "string",
    "table",
    "tonumber",
    "tostring",
    "type",
    "unpack",
    "xpcall",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_out_is_named_behind_luajits_words() {
        for (text, hint) in [
            ("a.lua:3: attempt to index global 'io' (a nil value)", "no files"),
            ("a.lua:3: attempt to call field 'getenv' (a nil value)", "env(\"NAME\", \"default\")"),
            ("attempt to call field 'execute' (a nil value)", "starts no programs"),
            ("attempt to index global 'http' (a nil value)", "local http = require \"http\""),
            ("attempt to index global 'ws' (a nil value)", "does not have the library `ws`"),
            ("attempt to call global 'pirnt' (a nil value)", "did you mean `print`?"),
            ("attempt to call method 'wiat' (a nil value)", "did you mean `wait`?"),
            ("attempt to perform arithmetic on global 'users' (a nil value)", "nothing has given `users` a value"),
            ("attempt to call field 'split' (a nil value)", "gmatch"),
            ("attempt to call method 'on_start' (a nil value)", "by assignment"),
        ] {
            let shown = with_hint(text).unwrap_or_else(|| panic!("{text}"));
            assert!(shown.starts_with(text) && shown.contains(hint), "{shown}");
        }
    }

    #[test]
    fn other_errors_are_left_as_they_are() {
        for text in [
            "boom",
            "a.lua:1: attempt to index local 'x' (a nil value)",
            "attempt to index a nil value",
            "attempt to call field 'zzz' (a nil value)",
            "attempt to call global 'print' (a table value)",
            "attempt to ",
            "attempt to index global 'io",
        ] {
            assert_eq!(with_hint(text), None, "{text}");
        }
    }
}
