//! From a URL as scripts write it to an origin and a path as requests need them.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

use rustc_hash::FxHashMap;
use url::Url;

use crate::stats::entry_name::default_name;
use crate::protocol::http::{Origin, Target};

/// Where relative URLs go: an origin, and a path that stands before theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Base {
    pub(super) origin: Rc<Origin>,
    /// Empty, or begins with a slash and does not end with one.
    pub(super) prefix: Rc<str>,
    /// The value of `authorization` that a user and password in the URL stand for.
    pub(super) credentials: Option<Rc<str>>,
}

impl Base {
    /// Reads a base URL such as `https://example.org/api`.
    ///
    /// # Errors
    /// A text that names the URL.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let target = Target::parse(url.trim()).map_err(|error| error.to_string())?;
        let path = target.path.split('?').next().unwrap_or_default();
        Ok(Self { prefix: path.trim_end_matches('/').into(), origin: target.origin, credentials: target.credentials })
    }

    /// Takes a relative URL as it is where that is safe, and encodes it otherwise.
    fn join(&self, url: String) -> Result<Address, String> {
        let is_plain = url.starts_with('/');
        if is_plain && self.prefix.is_empty() && is_encoded(&url) {
            return Ok(Address { origin: Rc::clone(&self.origin), path: url, credentials: self.credentials.clone() });
        }
        if !is_plain && is_host_with_port(&url) {
            return Err(format!("no scheme in `{url}`: a URL begins with `http://` or `https://`, and a path with a slash"));
        }
        let gap = if is_plain || url.starts_with('?') || url.is_empty() { "" } else { "/" };
        let whole = format!("{}://{}{}{gap}{url}", scheme(&self.origin), self.origin.authority, self.prefix);
        let target = Target::parse(&whole).map_err(|error| error.to_string())?;
        // `/@host/` and the like must never lead a request elsewhere.
        if *target.origin != *self.origin {
            return Err(format!("bad URL `{url}`: it leaves `{}`", self.origin.authority));
        }
        Ok(Address { origin: Rc::clone(&self.origin), path: target.path, credentials: self.credentials.clone() })
    }
}

/// Where one hop goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) origin: Rc<Origin>,
    /// Path and query, encoded.
    pub(super) path: String,
    /// The value of `authorization` that a user and password in the URL stand for.
    pub(super) credentials: Option<Rc<str>>,
}

impl Address {
    pub(super) fn url(&self) -> String {
        format!("{}://{}{}", scheme(&self.origin), self.origin.authority, self.path)
    }

    /// The whole URL, as the rules of cookies and redirects need it.
    pub(super) fn parsed(&self) -> Option<Url> {
        Url::parse(&self.url()).ok()
    }

    /// Adds a query behind the one that may be there.
    pub(super) fn add_query(&mut self, query: &str) {
        if !query.is_empty() {
            self.path.push(if self.path.contains('?') { '&' } else { '?' });
            self.path.push_str(query);
        }
    }
}

/// The origins that the users of one lane have asked for, so that an absolute URL is not parsed each time.
#[derive(Debug, Default)]
pub(super) struct Origins(RefCell<FxHashMap<Box<str>, Rc<Origin>>>);

impl Origins {
    /// Where `url` leads: by itself if it is absolute, from `base` if not.
    ///
    /// # Errors
    /// A text for the caller that names the URL.
    pub(super) fn resolve(&self, url: String, base: Option<&Base>) -> Result<Address, String> {
        // As browsers do: white space around a URL is none of it.
        let url = if url.starts_with(is_around) || url.ends_with(is_around) { url.trim_matches(is_around).to_owned() } else { url };
        let Some(scheme_end) = absolute(&url) else {
            return base.ok_or_else(|| no_host(&url)).and_then(|base| base.join(url));
        };
        let mut address = self.absolute(&url, scheme_end)?;
        if let Some(base) = base
            && address.credentials.is_none()
            && base.credentials.is_some()
            && base.origin == address.origin
        {
            address.credentials.clone_from(&base.credentials);
        }
        Ok(address)
    }

    fn absolute(&self, url: &str, scheme_end: usize) -> Result<Address, String> {
        let path_start = url[scheme_end..].find(['/', '?', '#']).map_or(url.len(), |at| scheme_end + at);
        let (origin, path) = url.split_at(path_start);
        if path.starts_with('/')
            && is_encoded(path)
            && let Some(known) = self.0.borrow().get(origin)
        {
            return Ok(Address { origin: Rc::clone(known), path: path.to_owned(), credentials: None });
        }
        let target = Target::parse(url).map_err(|error| error.to_string())?;
        Ok(Address { origin: self.shared(origin, target.origin), path: target.path, credentials: target.credentials })
    }

    fn shared(&self, text: &str, origin: Rc<Origin>) -> Rc<Origin> {
        let mut known = self.0.borrow_mut();
        if let Some(known) = known.get(text) {
            return Rc::clone(known);
        }
        if known.len() >= ORIGINS_MAX {
            known.clear();
        }
        // User names and passwords in a URL are no part of an origin, and are not kept.
        if !text.contains('@') {
            known.insert(text.into(), Rc::clone(&origin));
        }
        origin
    }
}

fn is_around(character: char) -> bool {
    character <= ' '
}

/// Why a relative URL leads nowhere.
pub(super) fn no_host(url: &str) -> String {
    format!("no host for `{url}`: give the scenario a `host`, run with --host, or write the whole URL")
}

/// Whether a URL needs no base.
pub(super) fn is_absolute(url: &str) -> bool {
    absolute(url.trim_start_matches(is_around)).is_some()
}

/// `http` or `https`.
pub(super) fn scheme(origin: &Origin) -> &'static str {
    if origin.tls { "https" } else { "http" }
}

/// Whether a relative URL begins as `example.org:8080` does: its writer meant another host, not a path of that name on this one.
fn is_host_with_port(url: &str) -> bool {
    let first = url.split(['/', '?', '#']).next().unwrap_or(url);
    let is_name = |name: &str| {
        (name.contains('.') || name == "localhost") && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    };
    first.split_once(':').is_some_and(|(name, port)| is_name(name) && port.parse::<u16>().is_ok())
}

/// Where the authority of an absolute URL begins.
fn absolute(url: &str) -> Option<usize> {
    // The usual URL is a path, and no scheme begins with a slash.
    if url.starts_with('/') {
        return None;
    }
    let colon = url.find("://")?;
    url[..colon].bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)).then_some(colon + 3)
}

/// Whether a path can go out as it is: nothing to be encoded, no dot segment to be resolved, no fragment.
fn is_encoded(path: &str) -> bool {
    let mut before = 0;
    for byte in path.bytes() {
        if !IS_SAFE[usize::from(byte)] || (byte == b'.' && before == b'/') {
            return false;
        }
        before = byte;
    }
    true
}

/// Bytes that stand for themselves in a path and its query.
const IS_SAFE: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] =
            matches!(byte, b'!' | b'$'..=b';' | b'=' | b'?'..=b'_' | b'a'..=b'z' | b'~') && byte != b'\\' && byte != b'^';
        byte += 1;
    }
    table
};

/// A script that makes hosts up would otherwise fill the memory.
const ORIGINS_MAX: usize = 1_024;

/// The default name of an entry on the scenario's own host.
pub(super) fn path_name(path: &str, raw_names: bool) -> Cow<'_, str> {
    if raw_names { Cow::Borrowed(&path[..path.find('?').unwrap_or(path.len())]) } else { default_name(path) }
}

/// Whether a text names an entry: a row without a name that can be seen would tell nobody anything.
pub(super) fn is_name(name: &str) -> bool {
    !name.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(url: &str, base: Option<&str>) -> Result<String, String> {
        let base = base.map(|base| Base::parse(base).unwrap());
        Origins::default().resolve(url.to_owned(), base.as_ref()).map(|address| address.url())
    }

    #[test]
    fn relative_urls_stand_behind_the_base() {
        for (url, base, whole) in [
            ("/a?b=c", "http://h:8080", "http://h:8080/a?b=c"),
            ("a", "http://h", "http://h/a"),
            ("", "http://h", "http://h/"),
            ("?q=1", "http://h/api/", "http://h/api?q=1"),
            ("/a", "http://h/api/", "http://h/api/a"),
            ("/a b/ä#part", "http://h", "http://h/a%20b/%C3%A4"),
            ("/a/../b", "http://h", "http://h/b"),
            ("/a/.hidden", "http://h", "http://h/a/.hidden"),
            ("//a", "http://h", "http://h//a"),
            ("/go?to=http://x/", "http://h", "http://h/go?to=http://x/"),
            (" /a", "http://h", "http://h/a"),
            ("/a\n", "http://h/b", "http://h/b/a"),
            (" http://x/a ", "http://h", "http://x/a"),
            ("\thttps://x", "http://h", "https://x/"),
        ] {
            assert_eq!(resolved(url, Some(base)).as_deref(), Ok(whole), "{url}");
        }
    }

    #[test]
    fn absolute_urls_need_no_base_and_share_their_origin() {
        let origins = Origins::default();
        let one = origins.resolve("https://Example.org/a".into(), None).unwrap();
        let two = origins.resolve("https://Example.org/b".into(), None).unwrap();
        assert_eq!((one.url().as_str(), two.url().as_str()), ("https://example.org/a", "https://example.org/b"));
        assert!(Rc::ptr_eq(&one.origin, &two.origin));
    }

    #[test]
    fn mistakes_name_the_url() {
        assert_eq!(
            resolved("/a", None).unwrap_err(),
            "no host for `/a`: give the scenario a `host`, run with --host, or write the whole URL"
        );
        for url in ["127.0.0.1:8080/x", "localhost:80", "api.example.org:443?q"] {
            let why = resolved(url, Some("http://h")).unwrap_err();
            assert!(why.starts_with(&format!("no scheme in `{url}`: a URL begins with `http://`")), "{why}");
        }
        assert_eq!(resolved("items:7/x", Some("http://h")).as_deref(), Ok("http://h/items:7/x"));
        assert!(resolved("ftp://a/", None).unwrap_err().contains("`ftp://a/`"));
        assert!(resolved("http://a:99999/", None).unwrap_err().contains("`http://a:99999/`"));
        assert!(resolved("http://", Some("http://h")).unwrap_err().contains("`http://`"));
    }

    #[test]
    fn issue_15_credentials_of_the_host_go_to_its_origin_and_nowhere_else() {
        let base = Base::parse("http://bob:secret@h:81/api").unwrap();
        let of = |url: &str| Origins::default().resolve(url.to_owned(), Some(&base)).unwrap().credentials;
        let bobs = Some(Rc::from("Basic Ym9iOnNlY3JldA=="));
        for (url, credentials) in [
            ("/a", bobs.clone()),
            ("a b", bobs.clone()),
            ("http://h:81/", bobs.clone()),
            ("http://h/", None),
            ("https://h:81/", None),
            ("http://ann:x@h:81/", Some("Basic YW5uOng=".into())),
        ] {
            assert_eq!(of(url), credentials, "{url}");
        }
    }

    #[test]
    fn a_query_is_added_behind_the_one_that_is_there() {
        let mut address = Origins::default().resolve("http://a/b".into(), None).unwrap();
        address.add_query("");
        address.add_query("x=1");
        address.add_query("y=2");
        assert_eq!(address.path, "/b?x=1&y=2");
    }
}
