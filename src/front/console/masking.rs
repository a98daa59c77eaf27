//! What `lunamoth check -v` shows of headers and bodies: all but secrets, which go into terminals, logs and bug reports.

use serde_json::Value;

/// The lines of a header block, those of secrets masked.
#[must_use]
pub fn headers(block: &str) -> Vec<String> {
    block.lines().filter(|line| !line.trim().is_empty()).map(header).collect()
}

/// A URL, the values of secrets in its query masked.
#[must_use]
pub fn url(text: &str) -> String {
    match text.split_once('?') {
        Some((path, query)) => format!("{path}?{}", pairs(query)),
        None => text.to_owned(),
    }
}

/// A body, the values of secrets masked where it is JSON or a form.
#[must_use]
pub fn body(text: &str) -> String {
    if let Ok(mut value) = serde_json::from_str::<Value>(text) {
        mask_value(&mut value);
        return value.to_string();
    }
    if text.contains('=') && !text.contains(char::is_whitespace) && !text.contains(['<', '{']) {
        return pairs(text);
    }
    text.to_owned()
}

fn pairs(text: &str) -> String {
    text.split('&').map(|pair| mask_pair(pair, is_secret)).collect::<Vec<_>>().join("&")
}

fn header(line: &str) -> String {
    let Some((name, value)) = line.split_once(':') else { return line.to_owned() };
    let value = value.trim();
    let shown = match name.to_ascii_lowercase().as_str() {
        // The scheme tells what was meant.
        "authorization" | "proxy-authorization" => value.split_once(' ').map_or(MASK.to_owned(), |(scheme, _)| format!("{scheme} {MASK}")),
        "cookie" => value.split("; ").map(|pair| mask_pair(pair, |_| true)).collect::<Vec<_>>().join("; "),
        "set-cookie" => match value.split_once(';') {
            Some((pair, attributes)) => format!("{};{attributes}", mask_pair(pair, |_| true)),
            None => mask_pair(value, |_| true),
        },
        "location" | "referer" => url(value),
        name if is_secret(name) => MASK.to_owned(),
        _ => value.to_owned(),
    };
    format!("{name}: {shown}")
}

fn mask_pair(pair: &str, is_masked: impl Fn(&str) -> bool) -> String {
    match pair.split_once('=') {
        Some((name, value)) if !value.is_empty() && is_masked(name) => format!("{name}={MASK}"),
        _ => pair.to_owned(),
    }
}

fn mask_value(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                if is_secret(name) && !matches!(value, Value::Null | Value::Object(_) | Value::Array(_)) {
                    *value = Value::String(MASK.to_owned());
                } else {
                    mask_value(value);
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(mask_value),
        _ => {}
    }
}

/// Whether a name says that its value is nobody's business.
fn is_secret(name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    ["token", "password", "passwd", "passwort", "secret", "apikey", "credential", "authorization", "session", "csrf"]
        .iter()
        .any(|word| plain.contains(word))
        || plain == "pwd"
        || plain == "pin"
        || plain == "otp"
}

const MASK: &str = "***";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_headers_are_masked_and_the_rest_is_shown() {
        let block = "Authorization: Bearer abc.def\r\ncookie: sid=1234; theme=dark\r\nX-Api-Key: k\r\nx-trace: 7\r\nset-cookie: sid=99; Path=/; HttpOnly\r\n\r\n";
        assert_eq!(
            headers(block),
            [
                "Authorization: Bearer ***",
                "cookie: sid=***; theme=***",
                "X-Api-Key: ***",
                "x-trace: 7",
                "set-cookie: sid=***; Path=/; HttpOnly"
            ]
        );
        assert_eq!(headers("authorization: abc"), ["authorization: ***"]);
    }

    #[test]
    fn secrets_of_urls_are_masked_wherever_they_stand() {
        assert_eq!(url("http://h/a?id=7&access_token=abc&x"), "http://h/a?id=7&access_token=***&x");
        assert_eq!(url("http://h/token=1"), "http://h/token=1");
        assert_eq!(headers("Location: /next?session=9&a=b"), ["Location: /next?session=***&a=b"]);
    }

    #[test]
    fn secrets_of_bodies_are_masked() {
        assert_eq!(
            body(r#"{"user":"u1","password":"hush","deep":[{"access_token":"t","n":1}],"tokens":null}"#),
            r#"{"user":"u1","password":"***","deep":[{"access_token":"***","n":1}],"tokens":null}"#
        );
        assert_eq!(body("user=u1&Password=hush&pin=&a=b"), "user=u1&Password=***&pin=&a=b");
        assert_eq!(body("<p>x=1</p>"), "<p>x=1</p>");
        assert_eq!(body(""), "");
    }
}
