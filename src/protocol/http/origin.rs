//! Where a request goes, parsed from a URL once and shared by all requests to it.

use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use url::Url;

/// Where a request goes: parsed once, shared by all requests to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// `https`.
    pub tls: bool,
    /// Lower case; an IPv6 address without brackets.
    pub host: String,
    /// The default filled in.
    pub port: u16,
    /// As the `Host` header has it: without the scheme's default port, IPv6 in brackets.
    pub authority: String,
}

impl Origin {
    /// The origin of an absolute URL; its path is ignored.
    ///
    /// # Errors
    /// See [`BadUrl`].
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        Self::of(&parse_url(text)?, text)
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }

    /// `https://example.org:8443`, without a slash at the end.
    #[must_use]
    pub fn base(&self) -> String {
        format!("{}://{}", self.scheme(), self.authority)
    }

    /// `host:port` for people, IPv6 in brackets.
    #[must_use]
    pub fn peer(&self) -> String {
        if self.host.contains(':') { format!("[{}]:{}", self.host, self.port) } else { format!("{}:{}", self.host, self.port) }
    }

    fn of(url: &Url, text: &str) -> Result<Self, BadUrl> {
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            other => return Err(BadUrl::UnknownScheme { url: without_credentials(text), scheme: other.to_owned() }),
        };
        let Some(named) = url.host_str().filter(|host| !host.is_empty()) else {
            return Err(BadUrl::NoHost { url: without_credentials(text) });
        };
        let port = url.port_or_known_default().unwrap_or(if tls { 443 } else { 80 });
        let authority = match url.port() {
            Some(port) => format!("{named}:{port}"),
            None => named.to_owned(),
        };
        let host = named.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Self { tls, host, port, authority })
    }
}

/// An absolute URL taken apart for a [`super::Request`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Where a request for it goes.
    pub origin: Rc<Origin>,
    /// Path and query, beginning with `/`, encoded, without a fragment.
    pub path: String,
    /// What a user and password in the URL become: the value of `authorization`. They are for this origin alone, and shown to nobody.
    pub credentials: Option<Rc<str>>,
}

impl Target {
    /// Takes an absolute URL apart.
    ///
    /// # Errors
    /// See [`BadUrl`].
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        let url = parse_url(text)?;
        Self::of(&url, text)
    }

    /// Joins `reference` (a path, a query, another absolute URL) to `base` as a browser does.
    ///
    /// # Errors
    /// See [`BadUrl`].
    pub fn join(base: &Url, reference: &str) -> Result<Self, BadUrl> {
        let url = base.join(reference).map_err(|error| bad(reference, error))?;
        Self::of(&url, reference)
    }

    fn of(url: &Url, text: &str) -> Result<Self, BadUrl> {
        Ok(Self { origin: Rc::new(Origin::of(url, text)?), path: path_of(url), credentials: credentials_of(url, text)? })
    }

    /// The whole URL again.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}{}", self.origin.base(), self.path)
    }
}

/// Why a text is no URL that can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the text of an error says what its fields are")]
pub enum BadUrl {
    /// Nothing before `://`.
    #[error("no scheme in `{url}`: a URL begins with `http://` or `https://`")]
    NoScheme { url: String },
    /// Neither `http` nor `https`.
    #[error("unknown scheme `{scheme}` in `{url}`: `http` and `https` are known")]
    UnknownScheme {
        url: String,
        /// The part before the colon.
        scheme: String,
    },
    /// Nothing between `//` and the path.
    #[error("no host in `{url}`")]
    NoHost { url: String },
    /// Basic authentication would take what stands behind the colon for the password (RFC 7617).
    #[error("the user in `{url}` has a colon (`%3A`), which basic authentication takes for the beginning of the password")]
    ColonInUser {
        /// Without the user and the password.
        url: String,
    },
    /// All that the parser refuses.
    #[error("bad URL `{url}`: {reason}")]
    Malformed { url: String, reason: String },
}

fn parse_url(text: &str) -> Result<Url, BadUrl> {
    if !text.contains("://") {
        let scheme = text.split_once(':').map(|(scheme, _)| scheme).filter(|scheme| matches!(*scheme, "http" | "https"));
        return Err(match scheme {
            Some(_) => BadUrl::NoHost { url: without_credentials(text) },
            None => BadUrl::NoScheme { url: without_credentials(text) },
        });
    }
    Url::parse(text).map_err(|error| bad(text, error))
}

fn bad(text: &str, error: url::ParseError) -> BadUrl {
    match error {
        url::ParseError::RelativeUrlWithoutBase => BadUrl::NoScheme { url: without_credentials(text) },
        url::ParseError::EmptyHost => BadUrl::NoHost { url: without_credentials(text) },
        url::ParseError::InvalidIpv6Address if text.split_once(']').is_some_and(|(host, _)| host.contains('%')) => {
            let reason = "an IPv6 address with a zone (`%`), which no URL can have".to_owned();
            BadUrl::Malformed { url: without_credentials(text), reason }
        }
        other => BadUrl::Malformed { url: without_credentials(text), reason: other.to_string() },
    }
}

/// What the user and password in a URL, which was written as `text`, become as the value of `authorization` (RFC 7617).
///
/// # Errors
/// [`BadUrl::ColonInUser`] alone.
pub(super) fn credentials_of(url: &Url, text: &str) -> Result<Option<Rc<str>>, BadUrl> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let decoded = |part: &str| percent_encoding::percent_decode_str(part).collect::<Vec<u8>>();
    let user = decoded(url.username());
    if user.contains(&b':') {
        return Err(BadUrl::ColonInUser { url: without_credentials(text) });
    }
    let pair = [user, vec![b':'], decoded(url.password().unwrap_or_default())].concat();
    Ok(Some(format!("Basic {}", STANDARD.encode(pair)).into()))
}

/// `url` as it may be shown: what stands before an `@` in its authority is left out.
fn without_credentials(url: &str) -> String {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    match url[start..end].rfind('@') {
        Some(at) => format!("{}{}", &url[..start], &url[start + at + 1..]),
        None => url.to_owned(),
    }
}

fn path_of(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let target = Target::parse("https://Example.org/a b?q=ä#part").unwrap();
        assert_eq!((target.origin.tls, target.origin.host.as_str(), target.origin.port), (true, "example.org", 443));
        assert_eq!(target.origin.authority, "example.org");
        assert_eq!(target.path, "/a%20b?q=%C3%A4");
        assert_eq!(target.url(), "https://example.org/a%20b?q=%C3%A4");
    }

    #[test]
    fn an_ipv6_address_loses_its_brackets_as_a_host_only() {
        let origin = Origin::parse("http://[::1]:8080").unwrap();
        assert_eq!((origin.host.as_str(), origin.authority.as_str(), origin.port), ("::1", "[::1]:8080", 8080));
        assert_eq!(origin.peer(), "[::1]:8080");
    }

    #[test]
    fn a_default_port_is_left_out_of_the_authority() {
        assert_eq!(Origin::parse("http://a:80/").unwrap().authority, "a");
        assert_eq!(Origin::parse("https://a:80/").unwrap().authority, "a:80");
    }

    #[test]
    fn bad_urls_say_what_is_wrong() {
        for (text, message) in [
            ("localhost:8080", "no scheme in `localhost:8080`: a URL begins with `http://` or `https://`"),
            ("/path", "no scheme in `/path`: a URL begins with `http://` or `https://`"),
            ("ftp://a/", "unknown scheme `ftp` in `ftp://a/`: `http` and `https` are known"),
            ("http://", "no host in `http://`"),
            ("http:", "no host in `http:`"),
            ("http://a:99999/", "bad URL `http://a:99999/`: invalid port number"),
            ("http://[fe80::1%25lo]/", "bad URL `http://[fe80::1%25lo]/`: an IPv6 address with a zone (`%`), which no URL can have"),
            ("http://[fe80::1/", "bad URL `http://[fe80::1/`: invalid IPv6 address"),
        ] {
            assert_eq!(Origin::parse(text).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn issue_15_a_user_and_password_are_credentials_and_never_shown() {
        for (text, credentials) in [
            ("http://bob:secret@a/x", Some("Basic Ym9iOnNlY3JldA==")),
            ("http://u%40b:p%3a@a/x", Some("Basic dUBiOnA6")),
            ("http://bob@a/x", Some("Basic Ym9iOg==")),
            ("http://:secret@a/x", Some("Basic OnNlY3JldA==")),
            ("http://a/x@y", None),
        ] {
            let target = Target::parse(text).unwrap();
            assert_eq!(target.credentials.as_deref(), credentials, "{text}");
            assert!(!target.url().contains("secret") && !target.url().contains("bob"), "{text}");
        }
        for text in ["http://bob:secret@a:99999/", "ftp://bob:secret@a/", "bob:secret@a/", "http://bob:secret@"] {
            assert!(!Target::parse(text).unwrap_err().to_string().contains("secret"), "{text}");
        }
    }

    #[test]
    fn a_user_with_a_colon_is_no_basic_authentication() {
        let why = Target::parse("http://bob%3aby:secret@a/x").unwrap_err().to_string();
        assert!(why.starts_with("the user in `http://a/x` has a colon") && !why.contains("secret") && !why.contains("bob"), "{why}");
        assert!(Target::join(&Url::parse("http://a/b").unwrap(), "//bob%3Aby@c/").is_err());
    }

    #[test]
    fn references_join_as_in_a_browser() {
        let base = Url::parse("http://a/b/c?x").unwrap();
        assert_eq!(Target::join(&base, "d?y#z").unwrap().url(), "http://a/b/d?y");
        assert_eq!(Target::join(&base, "/e").unwrap().url(), "http://a/e");
        assert_eq!(Target::join(&base, "https://f").unwrap().url(), "https://f/");
        assert_eq!(Target::join(&base, "?q").unwrap().url(), "http://a/b/c?q");
    }
}
