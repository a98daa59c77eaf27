//! What a value of Lua's is taken for: numbers, durations, and the words for a value that is neither.
//!
//! The one place where numbers and durations cross from Lua. A value is taken in each form that people write it in, a whole number, a
//! fraction, a text, or it is refused in words; none becomes a default. What may be done with the value is its taker's to say.

use std::time::Duration;

use mlua::Value;

use crate::plan::read_duration;

/// What a person calls the type of `value`.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Nil => "nil",
        Value::Boolean(_) => "a boolean",
        Value::Integer(_) | Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Table(_) => "a table",
        Value::Function(_) => "a function",
        Value::Thread(_) => "a coroutine",
        _ => "userdata",
    }
}

/// A number, whichever of its two forms mlua gives it: what is whole comes as an integer, however it was written.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Number(number) => Some(*number),
        _ => None,
    }
}

/// The digits of a 64-bit integer, such as `1LL`, which is no number of Lua's. `None` for any other value.
pub(super) fn digits_of(value: &Value) -> Option<String> {
    let Value::Other(_) = value else { return None };
    digits_in(&value.to_string().ok()?).map(str::to_owned)
}

/// The digits of a 64-bit integer as LuaJIT spells it.
pub(super) fn digits_in(spelled: &str) -> Option<&str> {
    let digits = spelled.strip_suffix("ULL").or_else(|| spelled.strip_suffix("LL"))?;
    let bare = digits.strip_prefix('-').unwrap_or(digits);
    (!bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
}

/// Seconds as a number, or a text as the command line takes it, such as `500ms`, `1.5 s`, `2m`, `1m30s`; from 0 to some thirty years.
///
/// # Errors
/// A fragment that says what a duration is, what came instead, and what is wrong with that where more is known.
pub(super) fn duration(value: &Value) -> Result<Duration, String> {
    duration_in(value)
        .map_err(|instead| format!("a duration is seconds as a number, or a string such as \"500ms\" or \"2m\", not {instead}"))
}

/// As [`duration`], for those who say in words of their own what they take.
///
/// # Errors
/// What came instead, and what is wrong with it where more is known, to stand behind the words "not".
pub(super) fn duration_in(value: &Value) -> Result<Duration, String> {
    let known: Result<Duration, Option<String>> = match value {
        Value::String(text) => text.to_str().map_or(Err(None), |text| read_duration(&text)),
        other => number(other).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).ok_or(None),
    };
    let why = match known {
        Ok(known) if known <= LONGEST => return Ok(known),
        Ok(_) => Some(format!("the longest is {} s", LONGEST.as_secs())),
        Err(why) => why,
    };
    Err(match why {
        Some(why) => format!("{}: {why}", shown(value)),
        None => shown(value),
    })
}

/// A rate above zero, per second: a number, or a text such as `200/s`, `30/m` or `100/h`; at most a thousand million.
///
/// # Errors
/// A fragment that says what a rate is and what came instead.
pub(super) fn per_second(value: &Value) -> Result<f64, String> {
    let rate = match value {
        Value::String(text) => text.to_str().ok().and_then(|text| parse_rate(&text)),
        other => number(other),
    };
    // A comparison with NaN is false.
    rate.filter(|rate| *rate > 0.0 && *rate <= GREATEST_RATE).ok_or_else(|| {
        format!("a rate is a number per second above 0, or a string such as \"200/s\", \"30/m\" or \"100/h\", not {}", shown(value))
    })
}

/// Per second, of a text such as `200/s`; a bare number is per second. `None` for anything else.
fn parse_rate(text: &str) -> Option<f64> {
    let (number, seconds) = match text.trim().split_once('/') {
        None => (text.trim(), 1.0),
        Some((number, unit)) => {
            let seconds = match unit.trim() {
                "s" => 1.0,
                "m" | "min" => 60.0,
                "h" => 3_600.0,
                _ => return None,
            };
            (number.trim(), seconds)
        }
    };
    let is_plain = number.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    number.parse::<f64>().ok().filter(|_| is_plain).map(|number| number / seconds)
}

/// A value as an error shows it.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{:?}", text.to_string_lossy()),
        Value::Integer(number) => number.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Boolean(flag) => flag.to_string(),
        other => kind_of(other).to_owned(),
    }
}

/// Longer than any run; a duration beyond it is a mistake, such as a point in time.
const LONGEST: Duration = Duration::from_secs(1_000_000_000);
/// Per second; more than one a nanosecond is none.
const GREATEST_RATE: f64 = 1e9;

#[cfg(test)]
mod tests {
    use mlua::Lua;

    use super::*;

    fn taken(code: &str) -> Result<Duration, String> {
        let lua = Lua::new();
        duration(&lua.load(format!("return {code}")).eval::<Value>().unwrap())
    }

    #[test]
    fn a_duration_is_taken_in_each_form_in_which_people_write_it() {
        let cases = [
            ("0", 0),
            ("1", 1_000),
            ("2.0", 2_000),
            ("0.5", 500),
            ("1.5", 1_500),
            ("3 / 2", 1_500),
            ("-0", 0),
            ("'500ms'", 500),
            ("'1s'", 1_000),
            ("'2m'", 120_000),
            ("'1h30m'", 5_400_000),
            ("'1m 30s'", 90_000),
            ("'500 ms'", 500),
            ("'1 s'", 1_000),
            ("'30sec'", 30_000),
            ("'1.5s'", 1_500),
            ("'10'", 10_000),
            ("' 2 '", 2_000),
            ("'.5'", 500),
            ("1e9", 1_000_000_000_000),
        ];
        for (code, millis) in cases {
            assert_eq!(taken(code), Ok(Duration::from_millis(millis)), "{code}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_and_shown() {
        let cases = [
            ("nil", "nil"),
            ("true", "true"),
            ("false", "false"),
            ("{}", "a table"),
            ("print", "a function"),
            ("-1", "-1"),
            ("-0.5", "-0.5"),
            ("0/0", "NaN"),
            ("1/0", "inf"),
            ("1e10", "10000000000"),
            ("''", "\"\""),
            ("'5x'", "\"5x\""),
            ("'ms'", "\"ms\""),
            ("'-1s'", "\"-1s\""),
            ("'inf'", "\"inf\""),
            ("'nan'", "\"nan\""),
            ("'1s2'", "\"1s2\""),
            ("'1s 2m'", "\"1s 2m\""),
            ("'1..5s'", "\"1..5s\""),
            ("'1e400'", "\"1e400\""),
            ("'\\255'", "\"\u{fffd}\""),
        ];
        for (code, seen) in cases {
            let why = taken(code).unwrap_err();
            assert!(
                why.starts_with("a duration is seconds as a number, or a string") && why.contains(&format!(", not {seen}")),
                "{code}: {why}"
            );
        }
    }

    #[test]
    fn what_is_wrong_with_a_duration_is_told_where_more_is_known_than_that_it_is_none() {
        let cases = [
            ("'1s5m'", "\"2m\", not \"1s5m\": the units go from large to small, each once"),
            ("'5m30h'", ", not \"5m30h\": the units go from large to small, each once"),
            ("'5x'", ", not \"5x\": there is no unit `x`, the units are d, h, m, s, ms, us"),
            ("'1m30'", ", not \"1m30\": after a number stands one of the units d, h, m, s, ms, us, as in `1h20m`"),
            ("'20000d'", ", not \"20000d\": the longest is 1000000000 s"),
            ("1e10", ", not 10000000000: the longest is 1000000000 s"),
            ("'soon'", "\"2m\", not \"soon\""),
            ("-1", "\"2m\", not -1"),
        ];
        for (code, end) in cases {
            let why = taken(code).unwrap_err();
            assert!(why.ends_with(end), "{code}: {why}");
        }
    }
}
