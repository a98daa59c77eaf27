//! `require "regex"`: regular expressions that take time in proportion to the text, whatever the pattern.
//!
//! Works on bytes, so that a body need not be UTF-8. Compiled patterns are kept by each VM, up to a bound.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use mlua::{Lua, LuaString, MultiValue, Table, Value};
use regex_automata::PatternID;
use regex_automata::util::captures::Captures;
use regex_automata::util::interpolate;

use crate::script::context::VmContext;
use crate::script::watchdog;

mod pattern;
mod threads;

pub use pattern::Pattern;
pub use self::threads::TooLong;

/// Registers what `lua-stdlib/regex.lua` is built on. Each native gives `false, why` for a pattern that cannot be compiled.
///
/// # Errors
/// Lua is out of memory.
pub fn natives(lua: &Lua, _context: &Rc<VmContext>) -> mlua::Result<Table> {
    register(lua)
}

/// The compiled patterns of one VM, the oldest leaving first.
#[derive(Default)]
pub struct Patterns {
    compiled: HashMap<Vec<u8>, Pattern>,
    order: VecDeque<Vec<u8>>,
    weight: usize,
}

impl Patterns {
    /// The pattern, compiled if it is not known.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn get(&mut self, pattern: &[u8]) -> Result<Pattern, String> {
        if let Some(known) = self.compiled.get(pattern) {
            return Ok(known.clone());
        }
        let text = std::str::from_utf8(pattern).map_err(|_| "the pattern is not UTF-8; write bytes as `(?-u)\\xff`".to_owned())?;
        let fresh = Pattern::compile(text)?;
        self.weight += fresh.weight();
        self.order.push_back(pattern.to_vec());
        self.compiled.insert(pattern.to_vec(), fresh.clone());
        while self.order.len() > PATTERNS_MAX || (self.weight > WEIGHT_MAX && self.order.len() > 1) {
            let Some(oldest) = self.order.pop_front().and_then(|oldest| self.compiled.remove(&oldest)) else { break };
            self.weight -= oldest.weight();
        }
        Ok(fresh)
    }
}

fn register(lua: &Lua) -> mlua::Result<Table> {
    let natives = lua.create_table()?;
    let patterns = Rc::new(RefCell::new(Patterns::default()));
    add(lua, &natives, "find", &patterns, find)?;
    add(lua, &natives, "match", &patterns, match_once)?;
    add(lua, &natives, "matches", &patterns, match_all)?;
    let replace = lua.create_function(move |lua, (text, pattern, with, limit): (LuaString, LuaString, LuaString, usize)| {
        let pattern = match patterns.borrow_mut().get(&pattern.as_bytes()) {
            Ok(pattern) => pattern,
            Err(why) => return failure(lua, &why),
        };
        replace(lua, &pattern, &text.as_bytes(), &with.as_bytes(), limit)
    })?;
    natives.raw_set("replace", replace)?;
    Ok(natives)
}

type Answer = fn(&Lua, &Pattern, &[u8], usize) -> mlua::Result<MultiValue>;

fn add(lua: &Lua, natives: &Table, name: &str, patterns: &Rc<RefCell<Patterns>>, answer: Answer) -> mlua::Result<()> {
    let patterns = Rc::clone(patterns);
    let native = lua.create_function(move |lua, (text, pattern, from): (LuaString, LuaString, usize)| {
        let pattern = match patterns.borrow_mut().get(&pattern.as_bytes()) {
            Ok(pattern) => pattern,
            Err(why) => return failure(lua, &why),
        };
        answer(lua, &pattern, &text.as_bytes(), from)
    })?;
    natives.raw_set(name, native)
}

fn failure(lua: &Lua, why: &str) -> mlua::Result<MultiValue> {
    Ok(MultiValue::from_iter([Value::Boolean(false), Value::String(lua.create_string(why)?)]))
}

fn find(lua: &Lua, pattern: &Pattern, text: &[u8], from: usize) -> mlua::Result<MultiValue> {
    match pattern.search(text, &watchdog::is_struck).find_at(from) {
        Ok(Some(found)) => Ok(MultiValue::from_iter([position(found.start() + 1), position(found.end())])),
        Ok(None) => Ok(MultiValue::new()),
        Err(TooLong) => failure(lua, TOO_LONG),
    }
}

fn match_once(lua: &Lua, pattern: &Pattern, text: &[u8], _from: usize) -> mlua::Result<MultiValue> {
    match pattern.search(text, &watchdog::is_struck).next() {
        Ok(Some(captures)) => groups(lua, text, captures, &Value::Nil).collect(),
        Ok(None) => Ok(MultiValue::new()),
        Err(TooLong) => failure(lua, TOO_LONG),
    }
}

/// A list: texts where the pattern has at most one group, lists of texts where it has more.
fn match_all(lua: &Lua, pattern: &Pattern, text: &[u8], _from: usize) -> mlua::Result<MultiValue> {
    let list = lua.create_table()?;
    let is_flat = pattern.groups() <= 1;
    let mut search = pattern.search(text, &watchdog::is_struck);
    loop {
        let captures = match search.next() {
            Ok(Some(captures)) if !watchdog::is_struck() => captures,
            Ok(None) => return Ok(MultiValue::from_iter([Value::Table(list)])),
            Ok(Some(_)) | Err(TooLong) => return failure(lua, TOO_LONG),
        };
        // A hole would make the list's length unsure, so a group that took no part is `false` here.
        let mut texts = groups(lua, text, captures, &Value::Boolean(false));
        if is_flat {
            let first = texts.next().transpose()?.unwrap_or(Value::Boolean(false));
            drop(texts);
            list.raw_push(first)?;
        } else {
            list.raw_push(lua.create_sequence_from(texts.collect::<mlua::Result<Vec<_>>>()?)?)?;
        }
    }
}

fn replace(lua: &Lua, pattern: &Pattern, text: &[u8], with: &[u8], limit: usize) -> mlua::Result<MultiValue> {
    let mut replaced = Vec::with_capacity(text.len());
    let (mut copied, mut count) = (0, 0);
    let references = with.iter().filter(|byte| **byte == b'$').count();
    let mut search = pattern.search(text, &watchdog::is_struck);
    while limit == 0 || count < limit {
        let captures = match search.next() {
            Ok(Some(captures)) if !watchdog::is_struck() => captures,
            Ok(None) => break,
            Ok(Some(_)) | Err(TooLong) => return failure(lua, TOO_LONG),
        };
        let Some(whole) = captures.get_match() else { break };
        // Known before it is made: one replacement can repeat one match as often as it likes.
        let grown = with.len().saturating_add(references.saturating_mul(whole.len()));
        if (replaced.len() + text.len() - copied).saturating_add(grown) > LONGEST_RESULT {
            return failure(lua, &format!("the result would be longer than {} MiB", LONGEST_RESULT >> 20));
        }
        replaced.extend_from_slice(&text[copied..whole.start()]);
        let append = |group: usize, replaced: &mut Vec<u8>| {
            if let Some(span) = captures.get_group(group) {
                replaced.extend_from_slice(&text[span]);
            }
        };
        interpolate::bytes(with, append, |name| captures.group_info().to_index(PatternID::ZERO, name), &mut replaced);
        copied = whole.end();
        count += 1;
    }
    replaced.extend_from_slice(&text[copied..]);
    Ok(MultiValue::from_iter([Value::String(lua.create_string(replaced)?), position(count)]))
}

/// The texts of the groups, or of the whole match where the pattern has none.
fn groups<'a>(lua: &'a Lua, text: &'a [u8], captures: &'a Captures, absent: &'a Value) -> impl Iterator<Item = mlua::Result<Value>> + 'a {
    let first = usize::from(captures.group_len() > 1);
    (first..captures.group_len()).map(move |group| match captures.get_group(group) {
        Some(found) => lua.create_string(&text[found]).map(Value::String),
        None => Ok(absent.clone()),
    })
}

fn position(number: usize) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

/// The watchdog has struck; its own error follows with the script's next instruction.
const TOO_LONG: &str = "it takes too long";

/// Bytes that a replacement may make, outside of the VM's own memory.
const LONGEST_RESULT: usize = 64 << 20;

/// Patterns that one VM keeps.
const PATTERNS_MAX: usize = 256;

/// The bytes of the texts of kept patterns.
const WEIGHT_MAX: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn vm() -> Lua {
        let lua = Lua::new();
        let module: Table =
            lua.load(include_str!("../../../lua-stdlib/regex.lua")).set_name("=regex").call(register(&lua).unwrap()).unwrap();
        lua.globals().set("regex", module).unwrap();
        lua
    }

    fn run(code: &str) {
        vm().load(code).set_name("=script").exec().unwrap();
    }

    #[test]
    fn find_gives_the_place_counted_from_one() {
        run("local from, to = regex.find('say hello', 'h.l+'); assert(from == 5 and to == 8)
             assert(regex.find('abc', 'x') == nil)
             local from, to = regex.find('aXbX', 'X', 3); assert(from == 4 and to == 4)
             assert(regex.find('abc', 'a', 9) == nil)
             assert(regex.find('aa', '^a', 2) == nil, 'a later start is not the start of the text')");
    }

    #[test]
    fn match_gives_the_groups_or_the_whole() {
        run("assert(regex.match('id=42;', [[\\d+]]) == '42')
             local key, value = regex.match('id=42;', [[(\\w+)=(\\d+)]]); assert(key == 'id' and value == '42')
             local a, b, c = regex.match('ac', '(a)(b)?(c)'); assert(a == 'a' and b == nil and c == 'c')
             assert(regex.match('x', 'y') == nil)");
    }

    #[test]
    fn matches_gives_a_list_of_all() {
        run("local all = regex.matches('a1b22c333', [[\\d+]]); assert(#all == 3 and all[3] == '333')
             local links = regex.matches('<a href=\"/x\"><a href=\"/y\">', 'href=\"([^\"]*)\"'); assert(links[1] == '/x' and links[2] == '/y')
             local pairs = regex.matches('k=v a=', [[(\\w)=(\\w)?]]); assert(#pairs == 2 and pairs[1][2] == 'v' and pairs[2][2] == false)
             assert(#regex.matches('abc', 'x') == 0)");
    }

    #[test]
    fn replace_puts_groups_in() {
        run("local text, count = regex.replace('a1b2', [[([a-z])(\\d)]], '$2$1'); assert(text == '1a2b' and count == 2)
             assert(regex.replace('aaa', 'a', 'b', 2) == 'bba')
             assert(regex.replace('5', [[(\\d)]], '${1}0$$') == '50$')
             assert(regex.replace('abc', 'x', 'y') == 'abc')");
    }

    #[test]
    fn bytes_that_are_no_text_can_be_searched() {
        run("local from, to = regex.find('\\255\\0key\\254', 'key'); assert(from == 3 and to == 5)
             assert(regex.match('\\255\\254', '(?-u:\\\\xfe)') == '\\254')");
    }

    #[test]
    fn a_mistake_is_raised_at_the_callers_line() {
        for (code, why) in [
            ("regex.find('a', '(')", "script:1: regex.find: `(`: unclosed group"),
            ("regex.match('a', 'a{100000}{100000}')", "script:1: regex.match: the pattern is too large"),
            ("regex.matches('a', ('a'):rep(20000))", "script:1: regex.matches: the pattern is longer than 16384 bytes"),
            ("regex.replace('a', '\\255', '')", "script:1: regex.replace: the pattern is not UTF-8"),
            ("regex.find(nil, 'a')", "script:1: regex.find: the text must be a string, got nil"),
            ("regex.find('a', 5)", "script:1: regex.find: the pattern must be a string, got number"),
            ("regex.find('a', 'a', 0)", "script:1: regex.find: the start must be a whole number of 1 or more"),
            ("regex.replace('a', 'a', print)", "script:1: regex.replace: the replacement must be a string, got function"),
        ] {
            let error = vm().load(code).set_name("=script").exec().unwrap_err().to_string();
            assert!(error.contains(why), "{code}: {error}");
        }
    }

    #[test]
    fn the_patterns_kept_are_bounded() {
        let mut patterns = Patterns::default();
        for number in 0..1_000 {
            patterns.get(format!("a{number}").as_bytes()).unwrap();
        }
        assert_eq!((patterns.compiled.len(), patterns.order.len()), (PATTERNS_MAX, PATTERNS_MAX));
        assert!(patterns.compiled.contains_key(b"a999".as_slice()) && !patterns.compiled.contains_key(b"a0".as_slice()));
    }

    #[test]
    fn a_pattern_that_ruins_backtracking_engines_takes_linear_time() {
        run("assert(regex.find(('a'):rep(100000), '(a*)*b') == nil)");
    }
}
