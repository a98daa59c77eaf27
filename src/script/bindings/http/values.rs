//! Lua values as options mean them: durations, texts, counts, pairs, and the name of what came instead.
//!
//! Each error is a fragment that names the option and what it takes; raising it at the caller's line is the caller's part.

use std::time::Duration;

use mlua::{Table, Value};

use crate::script::value::{self, digits_of};
pub(super) use crate::script::value::{kind_of, number};

/// The error for an option of the wrong type.
pub(super) fn wrong(option: &str, takes: &str, value: &Value) -> String {
    format!("option `{option}` must be {takes}, not {}", kind_of(value))
}

/// A text in UTF-8; numbers are texts too, as everywhere in Lua.
pub(super) fn text(option: &str, value: &Value) -> Result<String, String> {
    scalar(value).and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(|| wrong(option, "a string in UTF-8", value))
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
    value::duration(value).ok().filter(|duration| !duration.is_zero()).ok_or_else(|| {
        format!("option `{option}` must be a duration above 0: seconds as a number, or a string such as \"500ms\" or \"2m\"")
    })
}

/// The pairs of a table of names and values, or of a list of `{ name, value }`. A table's pairs come in the order of their names, since
/// Lua's own order differs from run to run; a list keeps its order. A value that is a list stands for several pairs.
pub(super) fn pairs(option: &str, table: &Table) -> Result<Vec<(String, Vec<u8>)>, String> {
    let mut found = Vec::new();
    if table.raw_len() > 0 {
        for pair in list_of(table).ok_or_else(|| mixed(option))? {
            let Value::Table(pair) = &pair else {
                return Err(wrong(option, "a table of names and values, or a list of { name, value }", &pair));
            };
            let name: Value = pair.raw_get(1).map_err(|error| error.to_string())?;
            let value: Value = pair.raw_get(2).map_err(|error| error.to_string())?;
            push_pair(option, &mut found, text(option, &name)?, &value)?;
        }
        return Ok(found);
    }
    for pair in table.pairs::<Value, Value>() {
        let (name, value) = pair.map_err(|error| error.to_string())?;
        push_pair(option, &mut found, text(option, &name)?, &value)?;
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(found)
}

fn push_pair(option: &str, found: &mut Vec<(String, Vec<u8>)>, name: String, value: &Value) -> Result<(), String> {
    match value {
        Value::Table(list) => {
            let nested =
                || format!("option `{option}.{name}` must be a string, a number, a boolean or a list of them, not a table of names");
            for value in list_of(list).ok_or_else(nested)? {
                let bytes =
                    plain(&value).ok_or_else(|| wrong(&format!("{option}.{name}"), "a list of strings, numbers and booleans", &value))?;
                found.push((name.clone(), bytes));
            }
        }
        other => {
            let takes = "a string, a number, a boolean or a list of them";
            let bytes = plain(other).ok_or_else(|| wrong(&format!("{option}.{name}"), takes, other))?;
            found.push((name, bytes));
        }
    }
    Ok(())
}

/// A value of a form or a query as text.
fn plain(value: &Value) -> Option<Vec<u8>> {
    if let Value::Boolean(flag) = value { Some(flag.to_string().into_bytes()) } else { scalar(value) }
}

/// The values of a table that is a list and nothing else; `None` where it has names, or holes.
pub(super) fn list_of(table: &Table) -> Option<Vec<Value>> {
    let list: Vec<Value> = table.sequence_values::<Value>().collect::<Result<_, _>>().ok()?;
    (table.pairs::<Value, Value>().count() == list.len()).then_some(list)
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
    let near = known.iter().map(|known| (strsim::damerau_levenshtein(name, known), known)).min();
    match near {
        Some((distance, known)) if distance <= 1 + name.len() / 3 => format!("; did you mean `{known}`?"),
        _ => format!("; known are {}", known.join(", ")),
    }
}

/// Lua prints whole numbers without a point.
fn spell_number(number: f64) -> String {
    if number == number.trunc() && number.abs() < 1e15 { format!("{number:.0}") } else { number.to_string() }
}

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
}
