//! How values are read from text. Each function's error is the problem alone; where it stands is added by the caller.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::address::BindAddress;
use crate::plan::Rate;
pub use crate::plan::parse_duration;

/// A duration above zero.
pub(super) fn positive_duration(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text)?;
    if duration.is_zero() { Err("must be longer than zero".to_owned()) } else { Ok(duration) }
}

/// A duration of whole seconds.
pub(super) fn whole_seconds(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text)?;
    if duration.subsec_nanos() == 0 { Ok(duration) } else { Err(format!("`{}` is not a time of whole seconds", text.trim())) }
}

/// A whole number within bounds that its type holds.
pub(super) fn whole<T: TryFrom<u64>>(text: &str, least: u64, most: u64) -> Result<T, String> {
    let text = text.trim();
    let is_number = !text.trim_start_matches('-').is_empty() && text.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit());
    if !is_number {
        return Err(format!("`{text}` is not a whole number"));
    }
    let number = text.parse().ok().filter(|number| (least..=most).contains(number)).and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| match most {
        u64::MAX => format!("`{text}` is not between {least} and 2^64 - 1"),
        _ => format!("`{text}` is not between {least} and {most}"),
    })
}

/// A whole number of 32 bits.
pub(super) fn any_number(text: &str) -> Result<u32, String> {
    whole(text, 0, u64::from(u32::MAX))
}

/// A whole number of 32 bits above zero.
pub(super) fn positive_number(text: &str) -> Result<u32, String> {
    whole(text, 1, u64::from(u32::MAX))
}

/// A number of things, above zero.
pub(super) fn positive_count(text: &str) -> Result<usize, String> {
    whole(text, 1, u64::from(u32::MAX))
}

/// A file or a folder.
pub(super) fn path(text: &str) -> Result<PathBuf, String> {
    if text.trim().is_empty() { Err("the path is empty".to_owned()) } else { any_path(text) }
}

/// A file, or nothing.
pub(super) fn any_path(text: &str) -> Result<PathBuf, String> {
    Ok(PathBuf::from(text))
}

/// Where to listen; a port alone is all interfaces.
pub(super) fn listen_anywhere(text: &str) -> Result<SocketAddr, String> {
    Ok(BindAddress::parse(text)?.or_interface(Ipv4Addr::UNSPECIFIED))
}

/// A rate of iterations, above zero: `500`, `500/s`, `30/m`, `100/h`.
///
/// # Errors
/// What is wrong with the text, as a fragment for people.
pub fn arrival_rate(text: &str) -> Result<Rate, String> {
    let rate = Rate::per_second(rate_of(text, "iterations")?);
    if rate == Rate::default() { Err(format!("`{text}` is less than one iteration in a century")) } else { Ok(rate) }
}

/// A rate of users, above zero: `5`, `0.5`, `5/s`, `30/m`, `100/h`.
pub(super) fn rate(text: &str) -> Result<f64, String> {
    rate_of(text, "users")
}

fn rate_of(text: &str, what: &str) -> Result<f64, String> {
    let problem = || format!("`{text}` is not a number of {what} per second, nor with `/m` per minute or with `/h` per hour");
    let (number, unit) = text.trim().rsplit_once('/').unwrap_or((text.trim(), "s"));
    // As scripts have it.
    let seconds = match unit.trim_start() {
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(problem()),
    };
    let number = number.trim_end();
    let rate: f64 = number.parse::<f64>().map_err(|_| problem())? / seconds;
    if rate.is_finite() && rate > 0.0 { Ok(rate) } else { Err(format!("`{text}` is not above zero")) }
}

/// What levels are multiplied by: `2`, `0.5`, `50%`.
pub(super) fn factor(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let (number, of) = text.strip_suffix('%').map_or((text, 1.0), |percent| (percent.trim_end(), 100.0));
    let factor = number.parse::<f64>().map_err(|_| format!("`{text}` is not a number"))? / of;
    if factor > 0.0 && factor <= 1e6 { Ok(factor) } else { Err(format!("`{text}` is not above zero and up to 1000000")) }
}

/// On or off: true, 1, yes, on, and their opposites.
pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        other => Err(format!("`{other}` is neither true nor false")),
    }
}

/// A number of bytes: `1048576`, `64MiB`, `10MB`, `512K` (of 1,024, as is usual without `B`).
pub(super) fn byte_count(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let problem = || format!("`{text}` is not a number of bytes");
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..end].parse().map_err(|_| problem())?;
    let unit = match text[end..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "ki" | "kib" => 1024.0,
        "m" | "mi" | "mib" => 1_048_576.0,
        "g" | "gi" | "gib" => 1_073_741_824.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        _ => return Err(format!("{}; the units are KiB, MiB, GiB, KB, MB, GB", problem())),
    };
    let bytes = number * unit;
    if (1.0..=9e15).contains(&bytes) { Ok(bytes as u64) } else { Err(format!("`{text}` is not between 1 byte and 8 PiB")) }
}

/// One of a closed list of words.
pub(super) fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, String> {
    let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text.trim()));
    found.map(|(_, value)| *value).ok_or_else(|| {
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        format!("`{text}` is not one of {}", all.join(", "))
    })
}

/// Words between commas, from all of the texts.
fn list(texts: &[String]) -> Vec<String> {
    texts.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Words between commas, each read by `read`.
pub(super) fn each(texts: &[String], read: impl Fn(&str) -> Result<String, String>) -> Result<Vec<String>, String> {
    list(texts).iter().map(|word| read(word)).collect()
}

/// Tags between commas. Nothing at all takes back what stands elsewhere; commas alone are a slip, which would run every task.
pub(super) fn tags(texts: &[String]) -> Result<Vec<String>, String> {
    let tags = list(texts);
    if tags.is_empty() && texts.iter().any(|text| !text.trim().is_empty()) { Err("names no tag".to_owned()) } else { Ok(tags) }
}

/// Names of profiles between commas. Nothing at all takes back what stands elsewhere.
pub(super) fn profiles(texts: &[String]) -> Result<Vec<String>, String> {
    let names = list(texts);
    if names.is_empty() && texts.iter().any(|text| !text.trim().is_empty()) { Err("names no profile".to_owned()) } else { Ok(names) }
}

/// `name=value`.
pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is not name=value")),
    }
}

/// `kind=place` between commas.
pub(super) fn outputs(texts: &[String]) -> Result<Vec<(String, String)>, String> {
    let one = |text: &String| match text.split_once('=') {
        Some((kind, place)) if !kind.trim().is_empty() && !place.trim().is_empty() => Ok((kind.trim().to_owned(), place.trim().to_owned())),
        _ => Err(format!("`{text}` is not KIND=PLACE")),
    };
    list(texts).iter().map(one).collect()
}

/// A base URL: `http://` or `https://` and a host, or `builtin:shop`. A slash at the end is dropped.
///
/// # Errors
/// What is wrong with it, in words for people.
pub fn host(text: &str) -> Result<String, String> {
    let text = text.trim();
    if let Some(name) = text.strip_prefix("builtin:") {
        return match name {
            "shop" => Ok(text.to_owned()),
            _ => Err(format!("there is no built-in target `{name}`, only `builtin:shop`")),
        };
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(format!("`{text}` has no `http://` or `https://` in front"));
    };
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(format!("`{scheme}` is neither http nor https"));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let address = authority.rsplit_once('@').map_or(authority, |(_, address)| address);
    if address.is_empty() || address.starts_with(':') {
        return Err(format!("no host after `{scheme}://`"));
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("a URL holds no spaces".to_owned());
    }
    if rest.contains(['?', '#']) {
        return Err("a host has no query and no fragment".to_owned());
    }
    // The colons of an IPv6 address stand inside brackets; what follows the last one outside is the port.
    let after_address = address.rsplit_once(']').map_or(address, |(_, after)| after);
    match after_address.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok_and(|port| port > 0) => {}
        Some((_, port)) => return Err(format!("`{port}` is not a port between 1 and 65535")),
        None => {}
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// A base URL of a target that stands by itself.
pub(super) fn real_host(text: &str) -> Result<String, String> {
    let url = host(text)?;
    if url.starts_with("builtin:") { Err(format!("`{url}` is for run and check alone")) } else { Ok(url) }
}

/// A name under which a server is known, with a port or without, in lower case.
pub(super) fn host_name(text: &str) -> Result<String, String> {
    if text.contains("://") || text.contains('/') {
        return Err(format!("`{text}` is more than a name with a port"));
    }
    if let Some(odd) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']'))) {
        return Err(format!("a host's name holds no `{}`", odd.escape_debug()));
    }
    Ok(text.to_ascii_lowercase())
}

/// What stands before every route: empty, or words with a `/` before each. Slashes at the ends are mended.
pub(super) fn path_prefix(text: &str) -> Result<String, String> {
    let words = text.trim().trim_matches('/');
    if words.is_empty() {
        return Ok(String::new());
    }
    if let Some(odd) = words.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.' | '~'))) {
        return Err(format!("a prefix holds no `{}`, only letters, digits and - _ . ~ between its slashes", odd.escape_debug()));
    }
    if words.split('/').any(|word| matches!(word, "" | "." | "..")) {
        return Err(format!("`{}` is not a plain path", text.trim()));
    }
    Ok(format!("/{words}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_per_second_unless_they_say_otherwise() {
        for (text, users) in
            [("5", 5.0), ("0.5", 0.5), ("1e3", 1000.0), ("5/s", 5.0), ("30/m", 0.5), ("3600 /h", 1.0), ("30/min", 0.5), ("10 / s", 10.0)]
        {
            assert_eq!(rate(text), Ok(users), "{text}");
        }
        for text in ["", "0", "-1", "nan", "inf", "5/x", "5/", "/s", "x", "0/m", "5 users"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn hosts_are_taken_or_refused_with_what_is_wrong() {
        for good in ["http://a", "https://a.b:8443/base", "http://[::1]:80", "http://user:pass@a:1", "builtin:shop", "HTTP://a"] {
            assert_eq!(host(good), Ok(good.to_owned()));
        }
        assert_eq!(host("http://a/"), Ok("http://a".to_owned()));
        let cases = [
            ("a.example", "`a.example` has no `http://` or `https://` in front"),
            ("http:/a", "`http:/a` has no `http://` or `https://` in front"),
            ("ftp://a", "`ftp` is neither http nor https"),
            ("http://", "no host after `http://`"),
            ("http://:80", "no host after `http://`"),
            ("http://a:x", "`x` is not a port between 1 and 65535"),
            ("http://a:70000", "`70000` is not a port between 1 and 65535"),
            ("http://a b", "a URL holds no spaces"),
            ("http://a/?q", "a host has no query and no fragment"),
            ("builtin:bank", "there is no built-in target `bank`, only `builtin:shop`"),
        ];
        for (text, problem) in cases {
            assert_eq!(host(text), Err(problem.to_owned()));
        }
    }

    #[test]
    fn commas_alone_are_no_tags() {
        assert_eq!(tags(&["a, b".to_owned(), String::new()]).map(|tags| tags.len()), Ok(2));
        assert_eq!(tags(&[String::new()]), Ok(Vec::new()));
        assert_eq!(tags(&[" ,,".to_owned()]), Err("names no tag".to_owned()));
    }

    #[test]
    fn byte_counts_know_both_families_of_units() {
        assert_eq!(byte_count("64MiB"), Ok(64 << 20));
        assert_eq!(byte_count("1.5 KB"), Ok(1500));
        assert_eq!(byte_count("512k"), Ok(512 << 10));
        assert_eq!(byte_count("10"), Ok(10));
        assert!(byte_count("0").is_err() && byte_count("1XB").is_err() && byte_count("MiB").is_err());
    }

    #[test]
    fn a_prefix_has_a_slash_before_each_word_and_none_at_its_end() {
        for (text, prefix) in [("", ""), ("/", ""), ("/locust", "/locust"), ("locust/", "/locust"), ("//a/b-c.d~e_f/", "/a/b-c.d~e_f")] {
            assert_eq!(path_prefix(text), Ok(prefix.to_owned()));
        }
        assert_eq!(path_prefix("/a//b"), Err("`/a//b` is not a plain path".to_owned()));
        assert_eq!(path_prefix("/a/../b"), Err("`/a/../b` is not a plain path".to_owned()));
        for text in ["/a?b", "/a b", "http://a/b", "/\u{e9}", "/%2e"] {
            assert!(path_prefix(text).unwrap_err().starts_with("a prefix holds no `"), "{text}");
        }
    }

    #[test]
    fn a_name_of_the_server_is_a_name_alone() {
        assert_eq!(host_name("Load.example:8443"), Ok("load.example:8443".to_owned()));
        for text in ["http://load.example", "load.example/locust", "a b", "a*"] {
            assert!(host_name(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_host_that_others_may_name_is_no_builtin_one() {
        assert_eq!(real_host("https://a/"), Ok("https://a".to_owned()));
        assert_eq!(real_host("builtin:shop"), Err("`builtin:shop` is for run and check alone".to_owned()));
    }
}
