//! Where a request goes, parsed from a URL once and shared by all requests to it.

use std::rc::Rc;

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
            other => return Err(BadUrl::UnknownScheme { url: text.to_owned(), scheme: other.to_owned() }),
        };
        let Some(named) = url.host_str().filter(|host| !host.is_empty()) else {
            return Err(BadUrl::NoHost { url: text.to_owned() });
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
    /// Where to.
    pub origin: Rc<Origin>,
    /// Path and query, beginning with `/`, encoded, without a fragment.
    pub path: String,
}

impl Target {
    /// Takes an absolute URL apart.
    ///
    /// # Errors
    /// See [`BadUrl`].
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        let url = parse_url(text)?;
        Ok(Self { origin: Rc::new(Origin::of(&url, text)?), path: path_of(&url) })
    }

    /// Joins `reference` (a path, a query, another absolute URL) to `base` as a browser does.
    ///
    /// # Errors
    /// See [`BadUrl`].
    pub fn join(base: &Url, reference: &str) -> Result<Self, BadUrl> {
        let url = base.join(reference).map_err(|error| bad(reference, error))?;
        Ok(Self { origin: Rc::new(Origin::of(&url, reference)?), path: path_of(&url) })
    }

    /// The whole URL again.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}{}", self.origin.base(), self.path)
    }
}

/// Why a text is no URL that can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// Nothing before `://`.
    #[error("no scheme in `{url}`: a URL begins with `http://` or `https://`")]
    NoScheme {
        /// As given.
        url: String,
    },
    /// Neither `http` nor `https`.
    #[error("unknown scheme `{scheme}` in `{url}`: `http` and `https` are known")]
    UnknownScheme {
        /// As given.
        url: String,
        /// The part before the colon.
        scheme: String,
    },
    /// Nothing between `//` and the path.
    #[error("no host in `{url}`")]
    NoHost {
        /// As given.
        url: String,
    },
    /// Anything else.
    #[error("bad URL `{url}`: {reason}")]
    Malformed {
        /// As given.
        url: String,
        /// The parser's words.
        reason: String,
    },
}

fn parse_url(text: &str) -> Result<Url, BadUrl> {
    if !text.contains("://") {
        let scheme = text.split_once(':').map(|(scheme, _)| scheme).filter(|scheme| matches!(*scheme, "http" | "https"));
        return Err(match scheme {
            Some(_) => BadUrl::NoHost { url: text.to_owned() },
            None => BadUrl::NoScheme { url: text.to_owned() },
        });
    }
    Url::parse(text).map_err(|error| bad(text, error))
}

fn bad(text: &str, error: url::ParseError) -> BadUrl {
    match error {
        url::ParseError::RelativeUrlWithoutBase => BadUrl::NoScheme { url: text.to_owned() },
        url::ParseError::EmptyHost => BadUrl::NoHost { url: text.to_owned() },
        other => BadUrl::Malformed { url: text.to_owned(), reason: other.to_string() },
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
        ] {
            assert_eq!(Origin::parse(text).unwrap_err().to_string(), message);
        }
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
