//! How people write a duration: the one reader of the command line, the file, the API and scripts. What a duration may be used for is its taker's to say.

use std::time::Duration;

/// Reads a duration: seconds as a bare number, or numbers with `d`, `h`, `m`, `s`, `ms`, `us`, largest first.
///
/// `20`, `20s`, `3m`, `2h`, `1h20m`, `3h30m10s` (Locust's forms), and `500ms`, `1.5s`, `2d`, `5min`, `30sec`; with blanks as well, as in `1 s` and `1m 30s`.
///
/// # Errors
/// What is wrong with the text, as a fragment for people.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    read_duration(text).map_err(|why| {
        let why = why.as_deref().unwrap_or("write seconds, such as `90`, or numbers with units, such as `1.5s`, `500 ms` or `1h20m`");
        format!("`{}` is not a duration: {why}", text.trim())
    })
}

/// As [`parse_duration`], for those who say in words of their own what a duration is.
///
/// # Errors
/// What is wrong with this text in particular, as a fragment for people; `None` where it has no form of a duration at all.
pub fn read_duration(text: &str) -> Result<Duration, Option<String>> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return seconds_checked(seconds).ok_or(None);
    }
    let mut rest = text;
    let mut sum = 0.0;
    let mut largest_allowed = f64::INFINITY;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let Ok(number) = rest[..number_end].parse::<f64>() else { return Err(None) };
        let after = rest[number_end..].trim_start();
        let (unit, others) = after.split_at(after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len()));
        let Some((_, seconds)) = UNITS.into_iter().find(|(names, _)| names.contains(&unit)) else {
            return Err(Some(match unit {
                "" => "after a number stands one of the units d, h, m, s, ms, us, as in `1h20m`".to_owned(),
                _ => format!("there is no unit `{unit}`, the units are d, h, m, s, ms, us"),
            }));
        };
        if seconds >= largest_allowed {
            return Err(Some("the units go from large to small, each once".to_owned()));
        }
        largest_allowed = seconds;
        sum += number * seconds;
        rest = others.trim_start();
    }
    if text.is_empty() { Err(None) } else { seconds_checked(sum).ok_or(None) }
}

/// What [`parse_duration`] takes, as a regular expression of JSON Schema, for those who look at a text before they send it. How long a duration may be
/// it does not say.
#[must_use]
pub fn duration_pattern() -> String {
    let parts = UNITS.map(|(names, _)| format!(r"{NUMBER}\s*(?:{})\s*", names.join("|")));
    // One alternative for each unit that may stand first: some unit has to, and each that follows is smaller.
    let from = |first: usize| {
        let mut pattern = parts[first].clone();
        parts[first + 1..].iter().for_each(|part| pattern.push_str(&format!("(?:{part})?")));
        pattern
    };
    let with_units = (0..parts.len()).map(from).collect::<Vec<_>>().join("|");
    format!(r"^\s*(?:(?:\+?{NUMBER}|-{NOUGHT})(?:[eE][+-]?[0-9]+)?\s*|{with_units})$")
}

/// As it may stand before a unit.
const NUMBER: &str = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)";
/// The one number that is no less for a minus before it.
const NOUGHT: &str = r"(?:0+\.?0*|\.0+)";

/// The units of a duration in seconds.
const UNITS: [(&[&str], f64); 6] =
    [(&["d"], 86_400.0), (&["h"], 3600.0), (&["m", "min"], 60.0), (&["s", "sec"], 1.0), (&["ms"], 1e-3), (&["us"], 1e-6)];

fn seconds_checked(seconds: f64) -> Option<Duration> {
    // Rounded to whole nanoseconds, so that 1.1s is 1.1s and not 1.100000000000000088s. A century bounds later sums.
    (0.0..=3.2e9).contains(&seconds).then(|| Duration::from_nanos((seconds * 1e9).round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts and what they mean in milliseconds.
    const READ: &[(&str, u64)] = &[
        ("20", 20_000),
        ("20s", 20_000),
        ("3m", 180_000),
        ("2h", 7_200_000),
        ("1h20m", 4_800_000),
        ("3h30m10s", 12_610_000),
        ("500ms", 500),
        ("1.5s", 1_500),
        ("0.25", 250),
        ("2d", 172_800_000),
        ("1d12h", 129_600_000),
        ("5min", 300_000),
        ("1m30sec", 90_000),
        ("1s500ms", 1_500),
        ("0", 0),
        ("1 s", 1_000),
        (" 500 ms ", 500),
        ("1m 30s", 90_000),
        ("1 h 20 m", 4_800_000),
        ("\t1 min\n", 60_000),
        (".5", 500),
        ("5.", 5_000),
        ("+5", 5_000),
        ("-0", 0),
        ("1e3", 1_000_000),
        ("2.5E-1", 250),
        (".5m5.s", 35_000),
        ("1d 1h 1min 1sec 1ms 1000us", 90_061_002),
    ];

    /// Texts that are no durations, whatever they may be for.
    const REFUSED: &[&str] = &[
        "", " ", ".", "+", "5e", "1e3s", "+1s", "-1s", "-1e3", "1.2.3", "1ms1s", "1ms1ms", "1S", "1 hours", "1h,20m", "5x", "abc", "-1",
        "nan", "inf", "1m1h", "1s1s", "1..5s", "s", "5 5", "1h20", "1 h 20", "1 . 5s", "1 m s",
    ];

    /// Of which only the length is wrong.
    const TOO_LONG: &[&str] = &["1e400", "9999999999h"];

    #[test]
    fn durations_are_read_in_locusts_forms_and_ours() {
        for (text, millis) in READ {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(*millis)), "{text}");
        }
    }

    #[test]
    fn the_pattern_takes_what_is_read_and_refuses_what_is_refused_for_more_than_its_length() {
        let pattern = regex_automata::meta::Regex::new(&duration_pattern()).unwrap();
        for (text, _) in READ {
            assert!(pattern.is_match(*text), "{text:?}");
        }
        for text in REFUSED {
            assert!(!pattern.is_match(*text), "{text:?}");
        }
        assert!(TOO_LONG.iter().all(|text| pattern.is_match(*text)));
    }

    #[test]
    fn what_is_no_duration_is_refused_with_its_reason() {
        for text in REFUSED.iter().chain(TOO_LONG) {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        assert_eq!(parse_duration("5x"), Err("`5x` is not a duration: there is no unit `x`, the units are d, h, m, s, ms, us".to_owned()));
        for text in ["1h30", "1:30", "1_000"] {
            assert!(parse_duration(text).unwrap_err().contains("one of the units d, h, m, s, ms, us"), "{text}");
        }
        assert_eq!(parse_duration("1m2h"), Err("`1m2h` is not a duration: the units go from large to small, each once".to_owned()));
        for text in ["abc", "-1", ""] {
            assert!(parse_duration(text).unwrap_err().ends_with("such as `1.5s`, `500 ms` or `1h20m`"), "{text}");
            assert_eq!(read_duration(text), Err(None), "{text}");
        }
    }
}
