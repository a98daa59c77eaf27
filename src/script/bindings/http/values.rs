//! Lua values as options mean them: durations, texts, counts, pairs, and the name of what came instead.
//!
//! Each error is a fragment that names the option and what it takes; raising it at the caller's line is the caller's part.

use std::time::Duration;

use mlua::{Table, Value};

use crate::script::value::{self, digits_of, shown};
use crate::spelling::nearest;
pub(super) use crate::script::value::{kind_of, number};

/// The error for an option of the wrong type.
pub(super) fn wrong(option: &str, takes: &str, value: &Value) -> String {
    format!("option `{option}` must be {takes}, not {}", kind_of(value))
}

/// A text in UTF-8; numbers are texts too, as everywhere in Lua.
pub(super) fn text(option: &str, value: &Value) -> Result<String, String> {
    scalar(value).and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(|| wrong(option, "a string in UTF-8", value))
}

/// A name among names and values. Lua numbers the places of a list, which is none of those.
pub(super) fn name_of(option: &str, key: &Value) -> Result<String, String> {
    if number(key).is_some() {
        return Err(format!("option `{option}` must be a table of names and values, such as {{ name = value }}, not a list"));
    }
    text(option, key)
}

/// The bytes of a string or a number.
pub(super) fn scalar(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.as_bytes().to_vec()),
        Value::Integer(number) => Some(number.to_string().into_bytes()),
        Value::Number(number) => Some(spell_number(*number).into_bytes()),
        other => digits_of(other).map(String::into_bytes),
    }
}

/// `true` or `false` and nothing else.
pub(super) fn flag(option: &str, value: &Value) -> Result<bool, String> {
    if let Value::Boolean(flag) = value { Ok(*flag) } else { Err(wrong(option, "true or false", value)) }
}

/// A duration that is not zero.
pub(super) fn duration(option: &str, value: &Value) -> Result<Duration, String> {
    let duration = value::duration_in(value).and_then(|duration| if duration.is_zero() { Err(shown(value)) } else { Ok(duration) });
    duration.map_err(|instead| {
        format!("option `{option}` must be a duration above 0: seconds as a number, or a string such as \"500ms\" or \"2m\", not {instead}")
    })
}

/// The pairs of a table of names and values, or of a list of `{ name, value }`. A table's pairs come in the order of their names, since
/// Lua's own order differs from run to run; a list keeps its order. A value that is a list stands for several pairs.
pub(super) fn pairs(option: &str, table: &Table) -> Result<Vec<(String, Vec<u8>)>, String> {
    let mut found = Pairs { option, room: Room::new(option, PAIRS_MAX, PAIRS_BYTES_MAX), list: Vec::new() };
    if table.raw_len() > 0 {
        let is_list = each_of_list(option, table, |pair| {
            let Value::Table(pair) = &pair else {
                return Err(wrong(option, "a table of names and values, or a list of { name, value }", &pair));
            };
            let name: Value = pair.raw_get(1).map_err(|error| error.to_string())?;
            let value: Value = pair.raw_get(2).map_err(|error| error.to_string())?;
            found.push(&text(option, &name)?, &value)
        })?;
        return if is_list { Ok(found.list) } else { Err(mixed(option)) };
    }
    for pair in table.pairs::<Value, Value>() {
        let (name, value) = pair.map_err(|error| error.to_string())?;
        found.push(&text(option, &name)?, &value)?;
    }
    found.list.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(found.list)
}

struct Pairs<'a> {
    option: &'a str,
    room: Room<'a>,
    list: Vec<(String, Vec<u8>)>,
}

impl Pairs<'_> {
    fn push(&mut self, name: &str, value: &Value) -> Result<(), String> {
        let option = self.option;
        if let Value::Table(list) = value {
            let of_list = |value: Value| {
                let bytes =
                    plain(&value).ok_or_else(|| wrong(&format!("{option}.{name}"), "a list of strings, numbers and booleans", &value))?;
                self.add(name, bytes)
            };
            let is_list = each_of_list(&format!("{option}.{name}"), list, of_list)?;
            let nested = || format!("option `{option}.{name}` must be a string, a number, a boolean or a list of them, not a table of names");
            return if is_list { Ok(()) } else { Err(nested()) };
        }
        let takes = "a string, a number, a boolean or a list of them";
        let bytes = plain(value).ok_or_else(|| wrong(&format!("{option}.{name}"), takes, value))?;
        self.add(name, bytes)
    }

    fn add(&mut self, name: &str, value: Vec<u8>) -> Result<(), String> {
        self.room.take(name.len() + value.len())?;
        self.list.push((name.to_owned(), value));
        Ok(())
    }
}

/// What an option that is a table may bring: it is copied out of the VM, whose limit of memory does not count it, while the lane's users wait.
#[derive(Debug)]
pub(super) struct Room<'a> {
    option: &'a str,
    most: usize,
    most_bytes: usize,
    values: usize,
    bytes: usize,
}

impl<'a> Room<'a> {
    /// For at most so many values and bytes in all.
    pub(super) const fn new(option: &'a str, most: usize, most_bytes: usize) -> Self {
        Self { option, most, most_bytes, values: 0, bytes: 0 }
    }

    /// One more value of `length` bytes.
    ///
    /// # Errors
    /// There is no room for it, in words for people.
    pub(super) fn take(&mut self, length: usize) -> Result<(), String> {
        self.values += 1;
        self.bytes = self.bytes.saturating_add(length);
        if self.values > self.most {
            Err(format!("option `{}` may have at most {} values", self.option, self.most))
        } else if self.bytes > self.most_bytes {
            Err(format!("option `{}` may have at most {} MiB", self.option, self.most_bytes >> 20))
        } else {
            Ok(())
        }
    }
}

/// Gives `take` the values of a table that is a list and nothing else, one by one: a VM has no room for handles to all of a long one. False where
/// it has names or holes, and nothing was taken.
///
/// # Errors
/// Those of `take`, or that the list is too long.
pub(super) fn each_of_list(option: &str, table: &Table, mut take: impl FnMut(Value) -> Result<(), String>) -> Result<bool, String> {
    let length = table.raw_len();
    if length > PAIRS_MAX {
        return Err(format!("option `{option}` may have at most {PAIRS_MAX} values"));
    }
    if table.pairs::<Value, Value>().take(length + 1).count() != length {
        return Ok(false);
    }
    for place in 1..=length {
        let value: Value = table.raw_get(place).map_err(|error| error.to_string())?;
        if value.is_nil() {
            return Ok(false);
        }
        take(value)?;
    }
    Ok(true)
}

/// A value of a form or a query as text.
fn plain(value: &Value) -> Option<Vec<u8>> {
    if let Value::Boolean(flag) = value { Some(flag.to_string().into_bytes()) } else { scalar(value) }
}

/// The error for a list that has names too, or holes.
pub(super) fn mixed(option: &str) -> String {
    format!("option `{option}` must be a table of names or a list without holes, not both")
}

/// `name=value&…` as forms and queries have it.
pub(super) fn encode_pairs(pairs: &[(String, Vec<u8>)]) -> String {
    let mut encoded = String::new();
    for (name, value) in pairs {
        if !encoded.is_empty() {
            encoded.push('&');
        }
        encoded.extend(url::form_urlencoded::byte_serialize(name.as_bytes()));
        encoded.push('=');
        encoded.extend(url::form_urlencoded::byte_serialize(value));
    }
    encoded
}

/// The nearest of `known` to `name`, as the end of an error: `; did you mean `x`?`, or nothing where none is near.
pub(super) fn did_you_mean(name: &str, known: &[&str]) -> String {
    match nearest(name, known.iter().copied(), |_| 1 + name.len() / 3) {
        Some(known) => format!("; did you mean `{known}`?"),
        None => format!("; known are {}", known.join(", ")),
    }
}

/// Lua prints whole numbers without a point.
fn spell_number(number: f64) -> String {
    if number == number.trunc() && number.abs() < 1e15 { format!("{number:.0}") } else { number.to_string() }
}

/// Values of one option: a form of so many takes some tens of milliseconds.
pub(super) const PAIRS_MAX: usize = 100_000;

/// Bytes of names and values together.
pub(super) const PAIRS_BYTES_MAX: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_seconds_or_texts_with_a_unit() {
        let lua = mlua::Lua::new();
        let spelled = |text: &str| duration("timeout", &Value::String(lua.create_string(text).unwrap()));
        assert_eq!(duration("timeout", &Value::Number(0.25)), Ok(Duration::from_millis(250)));
        assert_eq!(duration("timeout", &Value::Integer(2)), Ok(Duration::from_secs(2)));
        assert_eq!(spelled("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(spelled("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(spelled("1.5h"), Ok(Duration::from_secs(5400)));
        for bad in ["", "5x", "ms", "-1s", "1..2s"] {
            assert!(spelled(bad).unwrap_err().contains("`timeout` must be a duration"), "{bad}");
        }
        for bad in [Value::Nil, Value::Number(-1.0), Value::Number(f64::NAN), Value::Number(f64::INFINITY), Value::Boolean(true)] {
            assert!(duration("timeout", &bad).is_err());
        }
        for (bad, end) in [
            ("1s5m", "or \"2m\", not \"1s5m\": the units go from large to small, each once"),
            ("5x", "not \"5x\": there is no unit `x`, the units are d, h, m, s, ms, us"),
            ("0s", "or \"2m\", not \"0s\""),
        ] {
            let why = spelled(bad).unwrap_err();
            assert!(why.ends_with(end), "{bad}: {why}");
        }
    }

    #[test]
    fn pairs_of_a_table_are_sorted_and_pairs_of_a_list_keep_their_order() {
        let lua = mlua::Lua::new();
        let table: Table = lua.load("return { b = 'x y', a = { 1, 2.5 }, c = true }").call(()).unwrap();
        assert_eq!(encode_pairs(&pairs("params", &table).unwrap()), "a=1&a=2.5&b=x+y&c=true");
        let table: Table = lua.load("return { a = { 9007199254740993LL, 7ULL }, b = -1LL }").call(()).unwrap();
        assert_eq!(encode_pairs(&pairs("params", &table).unwrap()), "a=9007199254740993&a=7&b=-1");
        let table: Table = lua.load("return { a = 1i }").call(()).unwrap();
        assert!(pairs("params", &table).unwrap_err().starts_with("option `params.a` must be a string"));
        let list: Table = lua.load("return { { 'z', 'ä' }, { 'a', '&' } }").call(()).unwrap();
        assert_eq!(encode_pairs(&pairs("params", &list).unwrap()), "z=%C3%A4&a=%26");
    }

    #[test]
    fn issue_15_nothing_in_a_form_or_query_is_dropped() {
        let lua = mlua::Lua::new();
        let encoded = |code: &str| {
            let table: Table = lua.load(format!("return {code}")).call(()).unwrap();
            pairs("form", &table).map(|pairs| encode_pairs(&pairs))
        };
        assert_eq!(encoded("{ a = { true, false, 1, 'x' }, b = {} }").as_deref(), Ok("a=true&a=false&a=1&a=x"));
        for (code, words) in [
            ("{ a = 1, n = { b = 2 } }", "option `form.n` must be a string, a number, a boolean or a list of them, not a table of names"),
            ("{ n = { 1, b = 2 } }", "option `form.n` must be a string"),
            ("{ n = { 1, nil, 3 } }", "option `form.n` must be"),
            ("{ n = { 1, {} } }", "option `form.n` must be a list of strings, numbers and booleans, not a table"),
            ("{ n = print }", "option `form.n` must be a string, a number, a boolean or a list of them, not a function"),
            ("{ { 'a', 1 }, b = 2 }", "option `form` must be a table of names or a list without holes, not both"),
            ("{ 'a', 'b' }", "option `form` must be a table of names and values"),
        ] {
            let why = encoded(code).unwrap_err();
            assert!(why.starts_with(words), "{code}: {why}");
        }
    }

    #[test]
    fn a_near_name_is_offered_and_a_far_one_is_not() {
        assert_eq!(did_you_mean("timout", &["timeout", "name"]), "; did you mean `timeout`?");
        assert_eq!(did_you_mean("zzzzzz", &["timeout", "name"]), "; known are timeout, name");
    }

    #[test]
    fn a_long_list_is_read_whole_and_what_would_take_too_much_is_refused_in_words() {
        let lua = mlua::Lua::new();
        let of = |code: &str| {
            let table: Table = lua.load(code).call(()).unwrap();
            pairs("form", &table)
        };
        // More than there is room for handles in a VM.
        let list = "local t = {} for i = 1, 20000 do t[i] = 'v' .. i end";
        let found = of(&format!("{list} return {{ ids = t }}")).unwrap();
        assert_eq!((found.len(), &found[19_999]), (20_000, &("ids".to_owned(), b"v20000".to_vec())));
        assert_eq!(of(&format!("{list} for i = 1, 20000 do t[i] = {{ 'k', i }} end return t")).unwrap().len(), 20_000);
        assert_eq!(of(&format!("{list} t.x = 1 return {{ ids = t }}")).unwrap_err(), "option `form.ids` must be a string, a number, a boolean or a list of them, not a table of names");
        for (code, why) in [
            ("local t = {} for i = 1, 100001 do t['k' .. i] = i end return t", "option `form` may have at most 100000 values"),
            ("local t = {} for i = 1, 100001 do t[i] = i end return { ids = t }", "option `form.ids` may have at most 100000 values"),
            ("local t = {} for i = 1, 60000 do t[i] = i end return { a = t, b = t }", "option `form` may have at most 100000 values"),
            ("local s, t = ('x'):rep(1e6), {} for i = 1, 20 do t[i] = s end return { a = t }", "option `form` may have at most 16 MiB"),
            ("return { [('x'):rep(1e6)] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18 } }", "option `form` may have at most 16 MiB"),
        ] {
            assert_eq!(of(code).unwrap_err(), why, "{code}");
        }
    }
}
