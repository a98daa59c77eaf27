//! The option `expect`: what an answer must be like, read from Lua once and judged without it.
//!
//! Messages have few distinct texts, since failures are grouped by them: what was expected is in them, what came only where it is a status.

use std::cell::RefCell;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use mlua::{Lua, Table, Value};
use memchr::memmem;

use super::super::json;
use super::super::regex::{Pattern, Patterns, TooLong};
use super::values::{did_you_mean, each_of_list, duration, kind_of, number, pairs, scalar, text, wrong};
use crate::protocol::http::Exchange;

/// What an answer must be like. Empty parts are not judged.
#[derive(Debug, Default)]
pub(super) struct Expect {
    /// Any of these; they take the place of the rule that 400 and above is a failure.
    statuses: Vec<StatusRule>,
    max_time: Option<Duration>,
    /// `None` means that the header must be there, whatever it says.
    headers: Vec<WantedHeader>,
    body: Arc<BodyRules>,
}

/// What a body must be like; it can be judged on another thread.
#[derive(Debug, Default)]
pub(super) struct BodyRules {
    /// What must stand in the body, and the words for it in the failure.
    texts: Vec<(Text, String)>,
    json: Vec<(String, serde_json::Value)>,
}

impl BodyRules {
    /// Whether judging so many bytes costs little, whatever they are.
    fn is_cheap(&self, length: usize) -> bool {
        self.texts.iter().all(|(text, _)| match text {
            Text::Part(_) => true,
            Text::Pattern(pattern) => pattern.is_cheap(length),
        })
    }

    /// Judges an unpacked body: the verdict, which is an error that names the first part that does not hold, as a text for people.
    ///
    /// # Errors
    /// `is_over` said that it took too long, and nothing is known of the body.
    pub(super) fn judge(&self, body: &[u8], is_over: &dyn Fn() -> bool) -> Result<Result<(), String>, TooLong> {
        for (text, words) in &self.texts {
            let is_there = match text {
                Text::Part(part) => memmem::find(body, part).is_some(),
                Text::Pattern(pattern) => pattern.is_match(body, is_over)?,
            };
            if !is_there {
                return Ok(Err(format!("expected a body that {words}")));
            }
        }
        Ok(self.judge_json(body))
    }

    fn judge_json(&self, body: &[u8]) -> Result<(), String> {
        for (path, wanted) in &self.json {
            match json::lookup(body, path) {
                Ok(Some(got)) if json::same(&got, wanted) => {}
                Ok(Some(_)) => return Err(format!("expected json `{path}` to be {wanted}")),
                Ok(None) => return Err(format!("expected json `{path}` to be {wanted}, got nothing there")),
                Err(_) => return Err(format!("expected json `{path}` to be {wanted}, got no valid JSON")),
            }
        }
        Ok(())
    }
}

/// What a body must have in it.
#[derive(Debug)]
enum Text {
    Part(Vec<u8>),
    Pattern(Pattern),
}

impl Expect {
    /// Reads the option's value.
    ///
    /// # Errors
    /// The caller's mistake.
    pub(super) fn from_lua(lua: &Lua, value: &Value) -> Result<Self, String> {
        let mut expect = Self::default();
        match value {
            Value::Table(table) if table.raw_len() == 0 => {
                let mut body = BodyRules::default();
                expect.read_table(lua, table, &mut body)?;
                // Lua's own order differs from run to run, and the first part that does not hold names the failure.
                body.texts.sort_by(|one, other| one.1.cmp(&other.1));
                expect.body = Arc::new(body);
            }
            other => expect.statuses = statuses("expect", other)?,
        }
        Ok(expect)
    }

    /// Whether a stated status takes the place of the usual rule.
    pub(super) fn states_status(&self) -> bool {
        !self.statuses.is_empty()
    }

    /// Whether it looks into the body.
    pub(super) fn needs_body(&self) -> bool {
        !self.body.texts.is_empty() || !self.body.json.is_empty()
    }

    /// Whether looking into so many bytes costs little.
    pub(super) fn is_cheap(&self, length: usize) -> bool {
        self.body.is_cheap(length)
    }

    /// What the body must be like.
    pub(super) fn body(&self) -> &Arc<BodyRules> {
        &self.body
    }

    /// Judges a whole answer with an unpacked body, which has been judged already where there is a verdict.
    ///
    /// # Errors
    /// The first part that does not hold, as a text for people.
    pub(super) fn judge(&self, exchange: &Exchange, verdict_on_body: Option<Result<(), String>>) -> Result<(), String> {
        self.judge_head(exchange)?;
        // What is judged here is cheap (`look::takes_time`), and nobody breaks it off.
        let here = || self.body.judge(exchange.body.bytes(), &|| false).unwrap_or_else(|TooLong| Err("expected a body that can be judged".to_owned()));
        verdict_on_body.unwrap_or_else(here)?;
        match self.max_time {
            Some(limit) if exchange.timings.total > limit => Err(format!("expected at most {limit:?}")),
            _ => Ok(()),
        }
    }

    /// Judges status and headers.
    ///
    /// # Errors
    /// The first part that does not hold, as a text for people.
    pub(super) fn judge_head(&self, exchange: &Exchange) -> Result<(), String> {
        if self.states_status() && !self.statuses.iter().any(|rule| rule.holds(exchange.status)) {
            return Err(format!("expected status {}, got {}", spell(&self.statuses), exchange.status));
        }
        for (name, wanted) in &self.headers {
            match (exchange.headers.get(name), wanted) {
                (None, _) => return Err(format!("expected header `{name}`, got none")),
                (Some(_), None) => {}
                (Some(got), Some(wanted)) if got == wanted.as_slice() => {}
                (Some(_), Some(wanted)) => return Err(format!("expected header `{name}` to be `{}`", String::from_utf8_lossy(wanted))),
            }
        }
        Ok(())
    }

    fn read_table(&mut self, lua: &Lua, table: &Table, body: &mut BodyRules) -> Result<(), String> {
        for pair in table.pairs::<Value, Value>() {
            let (key, value) = pair.map_err(|error| error.to_string())?;
            let key = text("expect", &key)?;
            match key.as_str() {
                "status" => self.statuses = statuses("expect.status", &value)?,
                "max_time" => self.max_time = Some(duration("expect.max_time", &value)?),
                "header" => self.headers = headers(&value)?,
                "contains" => {
                    let part = scalar(&value).ok_or_else(|| wrong("expect.contains", "a string", &value))?;
                    let part = String::from_utf8(part).map_err(|_| "option `expect.contains` must be in UTF-8".to_owned())?;
                    if part.len() > PART_BYTES_MAX {
                        return Err(format!("option `expect.contains` may have at most {} KiB", PART_BYTES_MAX >> 10));
                    }
                    let words = format!("contains `{part}`");
                    body.texts.push((Text::Part(part.into_bytes()), words));
                }
                "matches" => {
                    let pattern = text("expect.matches", &value)?;
                    let compiled =
                        compiled(lua, &pattern).map_err(|why| format!("option `expect.matches` is no regular expression: {why}"))?;
                    body.texts.push((Text::Pattern(compiled), format!("matches `{pattern}`")));
                }
                "json" => body.json = json_values(lua, &value)?,
                other => return Err(format!("unknown option `expect.{other}`{}", did_you_mean(other, &KNOWN))),
            }
        }
        Ok(())
    }
}

/// A name, and the value that it must have if it must have a certain one.
type WantedHeader = (String, Option<Vec<u8>>);

/// One status, or a hundred of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StatusRule {
    Exactly(u16),
    Class(u16),
}

impl StatusRule {
    fn holds(self, status: u16) -> bool {
        match self {
            Self::Exactly(code) => code == status,
            Self::Class(class) => class == status / 100,
        }
    }
}

/// Those of one VM, compiled once each: compiling costs more than a request.
#[derive(Default)]
struct KnownPatterns(RefCell<Patterns>);

fn compiled(lua: &Lua, pattern: &str) -> Result<Pattern, String> {
    if lua.app_data_ref::<KnownPatterns>().is_none() {
        lua.set_app_data(KnownPatterns::default());
    }
    let patterns = lua.app_data_ref::<KnownPatterns>().ok_or("the VM's store of patterns is gone")?;
    patterns.0.borrow_mut().get(pattern.as_bytes())
}

fn statuses(option: &str, value: &Value) -> Result<Vec<StatusRule>, String> {
    let Value::Table(list) = value else { return Ok(vec![status(option, value)?]) };
    let mut rules = Vec::new();
    let mut add = |value: Value| status(option, &value).map(|rule| rules.push(rule));
    if !each_of_list(option, list, &mut add)? {
        return Err(format!("option `{option}` must be a list without gaps and names"));
    }
    if rules.is_empty() { Err(format!("option `{option}` is an empty list: no status would do")) } else { Ok(rules) }
}

fn status(option: &str, value: &Value) -> Result<StatusRule, String> {
    let takes =
        || format!("option `{option}` must be a status such as 201, a class such as \"2xx\", or a list of them, not {}", shown(value));
    if let Some(code) = number(value) {
        if code != code.trunc() || !(100.0..=999.0).contains(&code) {
            return Err(takes());
        }
        return Ok(StatusRule::Exactly(code as u16));
    }
    let Value::String(text) = value else { return Err(takes()) };
    let bytes = text.as_bytes();
    match &*bytes {
        [class @ b'1'..=b'9', b'x' | b'X', b'x' | b'X'] => Ok(StatusRule::Class(u16::from(class - b'0'))),
        [class @ b'1'..=b'9', tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
            Ok(StatusRule::Exactly(u16::from(class - b'0') * 100 + u16::from(tens - b'0') * 10 + u16::from(ones - b'0')))
        }
        _ => Err(takes()),
    }
}

fn shown(value: &Value) -> String {
    match (scalar(value), value) {
        (Some(bytes), Value::String(_)) => format!("{:?}", String::from_utf8_lossy(&bytes)),
        (Some(bytes), _) => String::from_utf8_lossy(&bytes).into_owned(),
        (None, other) => kind_of(other).to_owned(),
    }
}

fn headers(value: &Value) -> Result<Vec<WantedHeader>, String> {
    let Value::Table(table) = value else { return Err(wrong("expect.header", "a table of names and texts", value)) };
    let mut found = pairs("expect.header", table)?;
    let mut present = Vec::new();
    for (name, _) in &found {
        if table.raw_get::<Value>(name.as_str()).is_ok_and(|value| value == Value::Boolean(true)) {
            present.push(name.clone());
        }
    }
    Ok(found.drain(..).map(|(name, text)| if present.contains(&name) { (name, None) } else { (name, Some(text)) }).collect())
}

fn json_values(lua: &Lua, value: &Value) -> Result<Vec<(String, serde_json::Value)>, String> {
    let Value::Table(table) = value else { return Err(wrong("expect.json", "a table of paths and values", value)) };
    let mut found = Vec::new();
    for pair in table.pairs::<Value, Value>() {
        let (path, value) = pair.map_err(|error| error.to_string())?;
        let path = text("expect.json", &path)?;
        let encoded = json::encode_to_vec(lua, &value).map_err(|why| format!("option `expect.json.{path}`: {why}"))?;
        let value = serde_json::from_slice(&encoded).map_err(|error| format!("option `expect.json.{path}`: {error}"))?;
        found.push((path, value));
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(found)
}

fn spell(rules: &[StatusRule]) -> String {
    let mut words = String::new();
    for rule in rules {
        let gap = if words.is_empty() { "" } else { " or " };
        // Writing to a string cannot fail.
        let _ = match rule {
            StatusRule::Exactly(code) => write!(words, "{gap}{code}"),
            StatusRule::Class(class) => write!(words, "{gap}{class}xx"),
        };
    }
    words
}

const KNOWN: [&str; 6] = ["status", "max_time", "header", "contains", "matches", "json"];

/// Bytes of a text that a body must contain: it stands in the failure's message.
const PART_BYTES_MAX: usize = 64 << 10;

/// Whether a request throws away the body that it wants looked at, which is its caller's mistake.
pub(super) fn contradicts_itself(discards: bool, expect: Option<&Expect>) -> bool {
    discards && expect.is_some_and(Expect::needs_body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expect(code: &str) -> Result<Expect, String> {
        let lua = Lua::new();
        let value: Value = lua.load(format!("return {code}")).call(()).unwrap();
        Expect::from_lua(&lua, &value)
    }

    fn answer(status: u16, body: &str) -> Exchange {
        let mut exchange = Exchange { status, body: body.as_bytes().to_vec().into(), ..Exchange::default() };
        exchange.timings.total = Duration::from_millis(300);
        exchange
    }

    #[test]
    fn a_status_is_one_of_a_list_a_class_or_a_number() {
        for (code, good, bad, words) in [
            ("201", 201, 200, "expected status 201, got 200"),
            ("'2xx'", 299, 300, "expected status 2xx, got 300"),
            ("{ status = { 200, 503 } }", 503, 404, "expected status 200 or 503, got 404"),
            ("{ 404, '2xx' }", 204, 500, "expected status 404 or 2xx, got 500"),
            ("{ status = '404' }", 404, 405, "expected status 404, got 405"),
        ] {
            let expect = expect(code).unwrap();
            assert_eq!(expect.judge(&answer(good, ""), None), Ok(()), "{code}");
            assert_eq!(expect.judge(&answer(bad, ""), None), Err(words.to_owned()));
        }
    }

    #[test]
    fn the_body_is_searched_matched_and_read_as_json() {
        let body = r#"{"items":[{"id":7.0,"ok":true}],"name":"a.b"}"#;
        for good in [
            "{ contains = 'a.b' }",
            "{ matches = '\"id\":[0-9.]+' }",
            "{ json = { ['items.0.id'] = 7, name = 'a.b', ['items.0.ok'] = true } }",
        ] {
            assert_eq!(expect(good).unwrap().judge(&answer(200, body), None), Ok(()), "{good}");
        }
        for (bad, words) in [
            ("{ contains = 'a,b' }", "expected a body that contains `a,b`"),
            ("{ matches = '^x' }", "expected a body that matches `^x`"),
            ("{ json = { ['items.0.id'] = 8 } }", "expected json `items.0.id` to be 8"),
            ("{ json = { ['items.1.id'] = 8 } }", "expected json `items.1.id` to be 8, got nothing there"),
        ] {
            assert_eq!(expect(bad).unwrap().judge(&answer(200, body), None), Err(words.to_owned()));
        }
        assert_eq!(
            expect("{ json = { a = 1 } }").unwrap().judge(&answer(200, "{"), None),
            Err("expected json `a` to be 1, got no valid JSON".into())
        );
    }

    #[test]
    fn the_time_is_judged_last() {
        let slow = expect("{ max_time = '200ms', status = 200 }").unwrap();
        assert_eq!(slow.judge(&answer(500, ""), None), Err("expected status 200, got 500".into()));
        assert_eq!(slow.judge(&answer(200, ""), None), Err("expected at most 200ms".into()));
        assert_eq!(expect("{ max_time = 0.3 }").unwrap().judge(&answer(200, ""), None), Ok(()));
    }

    #[test]
    fn mistakes_name_the_part() {
        for (code, words) in [
            ("'2x'", "option `expect` must be a status such as 201, a class such as \"2xx\", or a list of them, not \"2x\""),
            ("{ status = 20 }", "option `expect.status` must be a status such as 201, a class such as \"2xx\", or a list of them, not 20"),
            ("{ status = { 200, nil, 503 } }", "option `expect.status` must be a list without gaps and names"),
            ("{ statsu = 200 }", "unknown option `expect.statsu`; did you mean `status`?"),
            ("{ matches = '(' }", "option `expect.matches` is no regular expression"),
            ("{ matches = ('a?'):rep(500) .. '{100}{100}' }", "option `expect.matches` is no regular expression: the pattern is too large"),
            ("{ contains = ('x'):rep(1e6) }", "option `expect.contains` may have at most 64 KiB"),
            ("{ json = 7 }", "option `expect.json` must be a table of paths and values, not a number"),
        ] {
            assert!(expect(code).unwrap_err().starts_with(words), "{:?}", expect(code).unwrap_err());
        }
    }
}
