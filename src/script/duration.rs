//! Durations as scripts write them: `"500ms"`, `"2m"`, `"1h30m"`.

/// Seconds of a text such as `500ms`, `1.5s` or `1h30m`; a bare number is seconds. `None` for anything else.
pub(super) fn parse_seconds(text: &str) -> Option<f64> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return text.starts_with(|first: char| first.is_ascii_digit() || first == '.').then_some(seconds);
    }
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let after = &rest[digits..];
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        total += number * unit_seconds(&after[..letters])?;
        rest = after[letters..].trim_start();
    }
    (!text.is_empty()).then_some(total)
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_units() {
        let cases = [("500ms", 0.5), ("2m", 120.0), ("1h30m", 5_400.0), ("1.5s", 1.5), ("10", 10.0), ("1m 30s", 90.0)];
        for (text, seconds) in cases {
            assert_eq!(parse_seconds(text), Some(seconds), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "5x", "ms", "-1s", "inf", "nan", "1s2", "1..5s", "-3"] {
            assert_eq!(parse_seconds(text), None, "{text}");
        }
    }
}
