//! Where a redirect leads and what is sent there. Decides only; following is the caller's.

use url::Url;

/// The next request of a chain of redirects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextHop {
    /// `GET` where the body is left behind.
    pub method: String,
    /// Absolute; without a fragment of its own it has the one of the URL before (RFC 9110, section 10.2.2).
    pub url: Url,
    /// The body goes along; otherwise it is left behind with the fields that describe it (`content-type`, `content-encoding`).
    pub keeps_body: bool,
    /// Same scheme, host and port. Otherwise `authorization`, `cookie` and a `host` of the caller's own stay behind.
    pub is_same_origin: bool,
}

/// The next request after an answer of `status` to `method`, if it is a redirect that can be followed.
///
/// As the Fetch standard has it: 301 and 302 make a POST a GET, 303 makes all but GET and HEAD a GET, 307 and 308 change nothing. `None`
/// for any other status and without a `location`.
///
/// # Errors
/// What is wrong with a `location` that is no URL of `http` or `https`.
pub fn next_hop(method: &str, status: u16, location: Option<&[u8]>, current: &Url) -> Result<Option<NextHop>, String> {
    let becomes_get = match status {
        301 | 302 => method == "POST",
        303 => !matches!(method, "GET" | "HEAD"),
        307 | 308 => false,
        _ => return Ok(None),
    };
    let Some(location) = location else { return Ok(None) };
    // Raw UTF-8 in the field is common; `Url` encodes it as a browser does. Bytes of another encoding mean themselves.
    let location = str::from_utf8(location).map_or_else(|_| escaped(location), str::to_owned);
    let malformed = |why: &str| format!("a redirect to `{}`, which is no URL: {why}", shortened(location.trim()));
    let mut url = current.join(location.trim()).map_err(|error| malformed(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("a redirect to a URL of `{}:`, which is not followed: `http` and `https` are", url.scheme()));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(malformed("empty host"));
    }
    if url.fragment().is_none() {
        url.set_fragment(current.fragment());
    }
    Ok(Some(NextHop {
        method: if becomes_get { "GET".to_owned() } else { method.to_owned() },
        keeps_body: !becomes_get,
        is_same_origin: url.origin() == current.origin(),
        url,
    }))
}

/// The text with each byte that is no ASCII as `%XX`.
fn escaped(location: &[u8]) -> String {
    location.iter().fold(
        String::new(),
        |text, &byte| if byte.is_ascii() { text + &char::from(byte).to_string() } else { text + &format!("%{byte:02X}") },
    )
}

/// Errors are counted by their text, so that it shall not be long.
fn shortened(location: &str) -> String {
    match location.char_indices().nth(LOCATION_MAX) {
        Some((end, _)) => format!("{}...", &location[..end]),
        None => location.to_owned(),
    }
}

/// Characters of a `location` in an error.
const LOCATION_MAX: usize = 80;

/// Fields of the caller that must not follow to another origin.
#[must_use]
pub fn stays_behind(name: &str) -> bool {
    ["authorization", "cookie", "host", "proxy-authorization"].iter().any(|secret| name.eq_ignore_ascii_case(secret))
}

/// Fields that describe a body and go with it.
#[must_use]
pub fn describes_body(name: &str) -> bool {
    ["content-type", "content-encoding", "content-language", "content-location"].iter().any(|field| name.eq_ignore_ascii_case(field))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(method: &str, status: u16, location: &str, current: &str) -> Option<NextHop> {
        next_hop(method, status, Some(location.as_bytes()), &Url::parse(current).unwrap()).unwrap()
    }

    #[test]
    fn methods_change_as_the_fetch_standard_says() {
        for (status, method, becomes) in [
            (301, "POST", "GET"),
            (302, "POST", "GET"),
            (302, "PUT", "PUT"),
            (301, "HEAD", "HEAD"),
            (303, "PUT", "GET"),
            (303, "HEAD", "HEAD"),
            (307, "POST", "POST"),
            (308, "DELETE", "DELETE"),
        ] {
            let hop = next(method, status, "/b", "http://a/").unwrap();
            assert_eq!((hop.method.as_str(), hop.keeps_body), (becomes, becomes == method), "{status} {method}");
        }
    }

    #[test]
    fn locations_are_relative_to_where_they_come_from() {
        for (location, url) in [
            ("/x", "http://a:81/x#top"),
            ("x?y#z", "http://a:81/b/x?y#z"),
            ("//c/x", "http://c/x#top"),
            ("https://d", "https://d/#top"),
            (" /ä ", "http://a:81/%C3%A4#top"),
            ("", "http://a:81/b/c#top"),
        ] {
            assert_eq!(next("GET", 302, location, "http://a:81/b/c#top").unwrap().url.as_str(), url, "{location}");
        }
    }

    #[test]
    fn issue_15_a_location_in_another_encoding_keeps_its_bytes() {
        let hop = next_hop("GET", 302, Some(b"/caf\xe9?q=\xfc x"), &Url::parse("http://a/").unwrap()).unwrap().unwrap();
        assert_eq!(hop.url.as_str(), "http://a/caf%E9?q=%FC%20x");
    }

    #[test]
    fn another_scheme_host_or_port_is_another_origin() {
        for (location, is_same) in [("/b", true), ("http://a:80/", true), ("https://a/", false), ("http://a:81/", false), ("//b/", false)] {
            assert_eq!(next("GET", 302, location, "http://a/").unwrap().is_same_origin, is_same, "{location}");
        }
    }

    #[test]
    fn what_is_no_redirect_is_not_followed() {
        for status in [200, 300, 304, 305, 404] {
            assert_eq!(next("GET", status, "/b", "http://a/"), None, "{status}");
        }
        assert_eq!(next_hop("GET", 302, None, &Url::parse("http://a/").unwrap()), Ok(None));
    }

    #[test]
    fn issue_15_a_redirect_that_leads_nowhere_says_so() {
        for (location, words) in [
            ("ftp://a/x", "a redirect to a URL of `ftp:`, which is not followed: `http` and `https` are"),
            ("mailto:a@b", "a redirect to a URL of `mailto:`, which is not followed: `http` and `https` are"),
            ("javascript:1", "a redirect to a URL of `javascript:`, which is not followed: `http` and `https` are"),
            ("http://", "a redirect to `http://`, which is no URL: empty host"),
            ("http://a:99999/", "a redirect to `http://a:99999/`, which is no URL: invalid port number"),
            ("http://[::1/", "a redirect to `http://[::1/`, which is no URL: invalid IPv6 address"),
        ] {
            let why = next_hop("GET", 302, Some(location.as_bytes()), &Url::parse("http://a/").unwrap()).unwrap_err();
            assert_eq!(why, words);
        }
    }
}
