//! Paths: which route a request means, whatever stands between the client and this program. Only what needs no encoding is decoded, such as
//! `%73` for `s`: to the standard both are one path, and proxies make one of the other.

use std::borrow::Cow;

/// What a path means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A route, without the prefix, without a slash at its end, with one slash between its words.
    Route(String),
    /// The page without the slash at its end, from which its relative links would lead astray: where it stands, relative to the path.
    Page(String),
}

/// Finds the route in a path. `//` is `/`, a slash at the end does not matter, the prefix may be there or not.
pub(super) fn wanted(path: &str, prefix: &str) -> Wanted {
    let decoded = plain(path);
    let words: Vec<&str> = decoded.split('/').filter(|word| !word.is_empty()).collect();
    let whole = format!("/{}", words.join("/"));
    if prefix.is_empty() {
        return Wanted::Route(whole);
    }
    match whole.strip_prefix(prefix) {
        Some("") if path.ends_with('/') => Wanted::Route("/".to_owned()),
        Some("") => Wanted::Page(format!("{}/", words.last().copied().unwrap_or_default())),
        Some(rest) if rest.starts_with('/') => Wanted::Route(rest.to_owned()),
        _ => Wanted::Route(whole),
    }
}

/// The path without needless encoding.
fn plain(path: &str) -> Cow<'_, str> {
    if !path.contains('%') {
        return Cow::Borrowed(path);
    }
    let mut plain = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        plain.push_str(before);
        let byte = after
            .get(..2)
            .and_then(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u8::from_str_radix(digits, 16).ok())?);
        match byte.map(char::from).filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~')) {
            Some(c) => {
                plain.push(c);
                rest = &after[2..];
            }
            None => {
                plain.push('%');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

/// Where `place` beside the page is for a browser that has asked for `path`, in which `route` was found.
pub(super) fn relative(route: &str, path: &str, place: &str) -> String {
    let words = route.split('/').filter(|word| !word.is_empty()).count();
    let folders = if path.ends_with('/') { words } else { words.saturating_sub(1) };
    "../".repeat(folders) + place
}

/// The prefix that a proxy says it has taken away (`X-Forwarded-Prefix`), where it is a plain path: it ends up in the page.
pub(super) fn plain_prefix(text: &str) -> Option<&str> {
    let text = text.trim().trim_end_matches('/');
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.' | '~');
    // `//host` would be another machine's, and `/..//host` a way to write it.
    (text.starts_with('/') && !text.contains("//") && !text.contains("/.") && text.chars().all(is_plain)).then_some(text)
}

/// Where the page stands, relative to the path that Envoy says it has rewritten (`X-Envoy-Original-Path`), where that has no slash at its
/// end: a rewrite of `/locust` to `/` leaves nothing else to tell it by.
pub(super) fn page_before_rewrite(original: &str) -> Option<String> {
    let path = original.split('?').next().unwrap_or_default();
    let word = plain_prefix(path)?.rsplit('/').next()?;
    (!path.ends_with('/')).then(|| format!("{word}/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_found_with_and_without_the_prefix_and_with_too_many_slashes() {
        for path in ["/stats/requests", "//stats//requests", "/stats/requests/", "/a/b/stats/requests", "//a/b//stats/requests//"] {
            assert_eq!(wanted(path, "/a/b"), Wanted::Route("/stats/requests".to_owned()), "{path}");
        }
        for (path, prefix) in [("", ""), ("/", ""), ("//", ""), ("/", "/a"), ("/a/", "/a"), ("//a//", "/a")] {
            assert_eq!(wanted(path, prefix), Wanted::Route("/".to_owned()), "{path}");
        }
    }

    #[test]
    fn needless_encoding_is_undone_and_other_encoding_left() {
        for path in ["/%73tats/reques%74s", "/%6Cocust/stats/requests", "/loc%75st//stats/requests/"] {
            assert_eq!(wanted(path, "/locust"), Wanted::Route("/stats/requests".to_owned()), "{path}");
        }
        for odd in ["/stats%2Frequests", "/%", "/%7", "/%+1", "/%zz", "/%C3%A9", "/a%0Ab", "/%25", "/%é9"] {
            assert_eq!(wanted(odd, ""), Wanted::Route(odd.to_owned()), "{odd}");
        }
        assert_eq!(wanted("/%6Cocust", "/locust"), Wanted::Page("locust/".to_owned()));
    }

    #[test]
    fn words_that_begin_like_the_prefix_are_not_the_prefix() {
        assert_eq!(wanted("/about", "/a"), Wanted::Route("/about".to_owned()));
    }

    #[test]
    fn the_page_without_its_slash_is_sent_to_the_one_with_it() {
        assert_eq!(wanted("/a/b", "/a/b"), Wanted::Page("b/".to_owned()));
        assert_eq!(wanted("//a", "/a"), Wanted::Page("a/".to_owned()));
    }

    #[test]
    fn what_stands_beside_the_page_is_found_from_every_route() {
        for (route, path, place) in [
            ("/", "/locust/", "login"),
            ("/", "//", "login"),
            ("/swarm", "/locust/swarm", "login"),
            ("/swarm", "/swarm/", "../login"),
            ("/stats/report", "/locust/stats/report", "../login"),
            ("/api/v1/run", "//api/v1/run", "../../login"),
        ] {
            assert_eq!(relative(route, path, "login"), place, "{path}");
        }
    }

    #[test]
    fn the_page_without_its_slash_is_known_by_what_envoy_has_rewritten() {
        assert_eq!(page_before_rewrite("/a/locust?theme=dark").as_deref(), Some("locust/"));
        for other in ["", "/", "/locust/", "/locust/?a=b", "//evil.example", "/a b", "http://evil.example"] {
            assert_eq!(page_before_rewrite(other), None, "{other}");
        }
    }

    #[test]
    fn a_prefix_that_could_leave_the_site_or_the_attribute_is_not_believed() {
        assert_eq!(plain_prefix("/locust/"), Some("/locust"));
        assert_eq!(plain_prefix("/"), None);
        for odd in ["", "locust", "//evil.example", "/..//evil.example", "/a/../b", "/a//b", "/a\"onload=", "/a b", "/a,/b"] {
            assert_eq!(plain_prefix(odd), None, "{odd}");
        }
    }
}
