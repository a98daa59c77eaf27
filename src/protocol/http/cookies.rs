//! A user's cookies, by the rules of RFC 6265 and with the bounds of browsers. A user without cookies pays one pointer.
//!
//! Names and values are bytes: they go back as they came, whatever their encoding. How dates are read is `cookie_date`'s.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use url::{Host, Url};

use super::cookie_date::seconds_of;

/// A user's cookie jar.
#[derive(Debug, Default)]
pub struct Jar {
    /// Made with the first cookie.
    store: Option<Box<Store>>,
}

#[derive(Debug, Default)]
struct Store {
    /// In the order in which they were made.
    cookies: Vec<Cookie>,
    /// Counts uses, so that the one that was unused longest is known.
    clock: Cell<u64>,
}

#[derive(Debug)]
struct Cookie {
    name: Box<[u8]>,
    value: Box<[u8]>,
    /// Lower case, without a dot in front.
    domain: Box<str>,
    /// Only that host, not those below it.
    is_host_only: bool,
    path: Box<str>,
    is_secure: bool,
    /// `None`: as long as the user lives.
    expires: Option<SystemTime>,
    last_used: Cell<u64>,
}

impl Jar {
    /// Takes over a `set-cookie` value of an answer from `url`. What cannot be parsed or is not `url`'s to set is left out, as in browsers.
    pub fn store(&mut self, set_cookie: &[u8], url: &Url, now: SystemTime) {
        if let Some(cookie) = Cookie::parse(set_cookie, url, now) {
            self.insert(cookie, now);
        }
    }

    /// Sets a cookie for all paths of the host of `url`, until the jar is cleared.
    pub fn set(&mut self, name: &[u8], value: &[u8], url: &Url, now: SystemTime) {
        let Some(host) = host_of(url) else { return };
        let cookie = Cookie {
            name: name.into(),
            value: value.into(),
            domain: host.into(),
            is_host_only: true,
            path: "/".into(),
            is_secure: false,
            expires: None,
            last_used: Cell::new(0),
        };
        self.insert(cookie, now);
    }

    /// Forgets all cookies of every host.
    pub fn clear(&mut self) {
        self.store = None;
    }

    /// Forgets the cookies of this name that go to the host of `url`, whatever their path. Whether there was one.
    pub fn delete(&mut self, name: &[u8], url: &Url) -> bool {
        let (Some(store), Some(host)) = (self.store.as_deref_mut(), host_of(url)) else { return false };
        let before = store.cookies.len();
        store.cookies.retain(|cookie| *cookie.name != *name || !cookie.is_of(&host));
        store.cookies.len() < before
    }

    /// The value of the `cookie` field for a request to `url`; longer paths first, then older cookies. Those for whose names
    /// `is_overridden` are left out.
    #[must_use]
    pub fn header_for(&self, url: &Url, now: SystemTime, is_overridden: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        for (name, value) in self.all(url, now).into_iter().filter(|(name, _)| !is_overridden(name)) {
            if !line.is_empty() {
                line.extend_from_slice(b"; ");
            }
            line.extend_from_slice(name);
            line.push(b'=');
            line.extend_from_slice(value);
        }
        (!line.is_empty()).then_some(line)
    }

    /// The value of the cookie `name` that a request to `url` would bear. It counts as used.
    #[must_use]
    pub fn get(&self, name: &[u8], url: &Url, now: SystemTime) -> Option<&[u8]> {
        let store = self.store.as_deref()?;
        let cookie = store.going_to(url, now).into_iter().find(|cookie| *cookie.name == *name)?;
        cookie.last_used.set(store.tick());
        Some(&cookie.value)
    }

    /// Names and values that a request to `url` would bear; longer paths first, then older cookies. All of them count as used.
    #[must_use]
    pub fn all(&self, url: &Url, now: SystemTime) -> Vec<(&[u8], &[u8])> {
        let Some(store) = &self.store else { return Vec::new() };
        let cookies = store.going_to(url, now);
        for cookie in &cookies {
            cookie.last_used.set(store.tick());
        }
        cookies.into_iter().map(|cookie| (&*cookie.name, &*cookie.value)).collect()
    }

    /// Whether no cookie was ever set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.store.is_none()
    }

    fn insert(&mut self, cookie: Cookie, now: SystemTime) {
        let store = self.store.get_or_insert_with(Box::default);
        let known = store.cookies.iter().position(|known| known.is_same(&cookie));
        match known {
            Some(at) if cookie.is_over(now) => drop(store.cookies.remove(at)),
            // It keeps its place: a cookie is as old as it was first set (RFC 6265, section 5.3).
            Some(at) => {
                cookie.last_used.set(store.tick());
                store.cookies[at] = cookie;
            }
            None if cookie.is_over(now) => {}
            None => {
                store.make_room(&cookie.domain, now);
                cookie.last_used.set(store.tick());
                store.cookies.push(cookie);
            }
        }
    }
}

impl Store {
    /// Cookies that a request to `url` would bear; longer paths first, then older ones.
    fn going_to(&self, url: &Url, now: SystemTime) -> Vec<&Cookie> {
        let Some(host) = url.host_str() else { return Vec::new() };
        let is_secure = url.scheme() == "https";
        let goes = |cookie: &&Cookie| !cookie.is_over(now) && cookie.goes_to(host, url.path(), is_secure);
        let mut cookies: Vec<&Cookie> = self.cookies.iter().filter(goes).collect();
        // Stable: cookies of paths of one length keep the order in which they were made.
        cookies.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        cookies
    }

    fn tick(&self) -> u64 {
        self.clock.set(self.clock.get() + 1);
        self.clock.get()
    }

    /// Room for one more of `domain`: what is over goes first, then what was unused longest, of the domain or of all.
    fn make_room(&mut self, domain: &str, now: SystemTime) {
        if self.cookies.len() >= COOKIES_MAX || self.of_domain(domain) >= COOKIES_PER_DOMAIN_MAX {
            self.cookies.retain(|cookie| !cookie.is_over(now));
        }
        if self.of_domain(domain) >= COOKIES_PER_DOMAIN_MAX {
            self.remove_oldest(|cookie| &*cookie.domain == domain);
        }
        if self.cookies.len() >= COOKIES_MAX {
            self.remove_oldest(|_| true);
        }
    }

    fn of_domain(&self, domain: &str) -> usize {
        self.cookies.iter().filter(|cookie| &*cookie.domain == domain).count()
    }

    fn remove_oldest(&mut self, is_meant: impl Fn(&Cookie) -> bool) {
        let oldest =
            self.cookies.iter().enumerate().filter(|(_, cookie)| is_meant(cookie)).min_by_key(|(_, cookie)| cookie.last_used.get());
        if let Some((at, _)) = oldest {
            self.cookies.remove(at);
        }
    }
}

impl Cookie {
    /// RFC 6265, sections 5.2 and 5.3. `None` for what is to be ignored.
    fn parse(text: &[u8], url: &Url, now: SystemTime) -> Option<Self> {
        if text.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
            return None;
        }
        let host = host_of(url)?;
        let mut parts = text.split(|&byte| byte == b';');
        let (name, value) = pair_of(parts.next()?);
        let value = value?;
        if name.is_empty() || name.len() + value.len() > COOKIE_BYTES_MAX {
            return None;
        }
        let mut cookie = Self {
            name: name.into(),
            value: value.into(),
            domain: host.as_str().into(),
            is_host_only: true,
            path: default_path(url).into(),
            is_secure: false,
            expires: None,
            last_used: Cell::new(0),
        };
        let (mut max_age, mut expires) = (None, None);
        for (name, value) in parts.map(pair_of) {
            let value = value.unwrap_or_default();
            if value.len() > ATTRIBUTE_BYTES_MAX {
                continue;
            }
            // The last one of a name counts.
            match name.to_ascii_lowercase().as_slice() {
                b"expires" => expires = seconds_of(value).or(expires),
                b"max-age" => max_age = seconds_from_now(value).or(max_age),
                b"domain" => cookie.take_domain(value, &host, url)?,
                b"path" if value.first() == Some(&b'/') => cookie.path = String::from_utf8_lossy(value).into(),
                b"path" => cookie.path = default_path(url).into(),
                b"secure" => cookie.is_secure = true,
                _ => {}
            }
        }
        cookie.expires = match (max_age, expires) {
            (Some(seconds), _) => Some(seconds.and_then(|seconds| now.checked_add(seconds)).unwrap_or(SystemTime::UNIX_EPOCH)),
            (None, Some(seconds)) => Some(at(seconds)),
            (None, None) => None,
        };
        cookie.keeps_its_prefix(url).then_some(cookie)
    }

    /// What the beginning of a name promises (RFC 6265bis, section 4.1.3), and browsers insist on.
    fn keeps_its_prefix(&self, url: &Url) -> bool {
        let begins = |prefix: &[u8]| self.name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
        let is_secure = self.is_secure && url.scheme() == "https";
        if begins(b"__Host-") { is_secure && self.is_host_only && &*self.path == "/" } else { is_secure || !begins(b"__Secure-") }
    }

    /// `None`: the cookie is not this host's to set.
    fn take_domain(&mut self, value: &[u8], host: &str, url: &Url) -> Option<()> {
        let domain = std::str::from_utf8(value).ok()?.to_ascii_lowercase();
        let domain = domain.strip_prefix('.').unwrap_or(&domain);
        if domain.is_empty() {
            return Some(());
        }
        if domain == host {
            // An address has nothing below it.
            self.is_host_only = matches!(url.host(), Some(Host::Ipv4(_) | Host::Ipv6(_)));
            return Some(());
        }
        // A name without a dot is everybody's.
        if !domain.contains('.') || !is_below(host, domain) || !matches!(url.host(), Some(Host::Domain(_))) {
            return None;
        }
        self.is_host_only = false;
        self.domain = domain.into();
        Some(())
    }

    fn is_same(&self, other: &Self) -> bool {
        self.name == other.name && self.domain == other.domain && self.path == other.path && self.is_host_only == other.is_host_only
    }

    fn is_over(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    fn is_of(&self, host: &str) -> bool {
        &*self.domain == host || (!self.is_host_only && is_below(host, &self.domain))
    }

    fn goes_to(&self, host: &str, path: &str, is_secure: bool) -> bool {
        let is_its_path =
            path.strip_prefix(&*self.path).is_some_and(|rest| rest.is_empty() || self.path.ends_with('/') || rest.starts_with('/'));
        self.is_of(host) && is_its_path && (is_secure || !self.is_secure)
    }
}

/// `a.b.test` is below `b.test`.
fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

/// Name and value around the first equals sign, without the white space around them.
fn pair_of(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|&byte| byte == b'=') {
        Some(equals) => (text[..equals].trim_ascii(), Some(text[equals + 1..].trim_ascii())),
        None => (text.trim_ascii(), None),
    }
}

fn host_of(url: &Url) -> Option<String> {
    url.host_str().map(str::to_owned)
}

/// The path up to its last slash (RFC 6265, section 5.1.4).
fn default_path(url: &Url) -> &str {
    let path = url.path();
    match path.rfind('/') {
        Some(1..) => &path[..path.rfind('/').unwrap_or(1)],
        _ => "/",
    }
}

/// `max-age`: `Some(None)` for one that is over, `None` for what is no number.
fn seconds_from_now(value: &[u8]) -> Option<Option<Duration>> {
    let digits = value.strip_prefix(b"-").unwrap_or(value);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    if digits.len() < value.len() || digits.iter().all(|&digit| digit == b'0') {
        return Some(None);
    }
    // More digits than that are for ever; browsers stop at 400 days.
    let seconds = std::str::from_utf8(digits).ok()?.parse().unwrap_or(u64::MAX);
    Some(Some(Duration::from_secs(seconds.min(LIFE_MAX_SECONDS))))
}

fn at(seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds < 0 { SystemTime::UNIX_EPOCH.checked_sub(distance) } else { SystemTime::UNIX_EPOCH.checked_add(distance) };
    // A time that no clock of this machine can show is long over.
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Name and value together, as browsers have it.
const COOKIE_BYTES_MAX: usize = 4_096;
const ATTRIBUTE_BYTES_MAX: usize = 1_024;
const COOKIES_PER_DOMAIN_MAX: usize = 50;
const COOKIES_MAX: usize = 3_000;
const LIFE_MAX_SECONDS: u64 = 400 * 24 * 3_600;

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn now() -> SystemTime {
        // 1 January 2026.
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600)
    }

    /// What goes to `there` after `here` has set `cookies`.
    fn line(cookies: &[&[u8]], here: &str, there: &str) -> Option<String> {
        let mut jar = Jar::default();
        cookies.iter().for_each(|cookie| jar.store(cookie, &url(here), now()));
        jar.header_for(&url(there), now(), |_| false).map(|line| String::from_utf8_lossy(&line).into_owned())
    }

    #[test]
    fn issue_15_a_prefix_of_a_name_is_a_promise() {
        let kept = |cookie: &str, url: &str| line(&[cookie.as_bytes()], url, url).is_some();
        assert!(kept("__Host-a=1; Secure; Path=/", "https://a.test/") && kept("__secure-a=1; Secure; Domain=a.test", "https://a.test/"));
        for cookie in ["__Host-a=1; Path=/", "__Host-a=1; Secure; Path=/x", "__host-a=1; Secure; Path=/; Domain=a.test", "__Secure-a=1"] {
            assert!(!kept(cookie, "https://a.test/x/y"), "{cookie}");
        }
        assert!(!kept("__Secure-a=1; Secure", "http://a.test/") && kept("__Hosts=1", "http://a.test/"));
    }

    #[test]
    fn issue_15_a_requests_own_cookie_stands_for_the_jars() {
        let mut jar = Jar::default();
        jar.store(b"sid=jar", &url("http://a.test/"), now());
        jar.store(b"b=2", &url("http://a.test/"), now());
        assert_eq!(jar.header_for(&url("http://a.test/"), now(), |name| name == b"sid"), Some(b"b=2".to_vec()));
    }

    #[test]
    fn cookies_go_back_to_where_they_came_from() {
        let cookies: [&[u8]; 2] = [b"session=abc; Path=/; HttpOnly", b"deep=1; Path=/cart"];
        for (there, expected) in [
            ("http://shop.test/cart/1", Some("deep=1; session=abc")),
            ("http://shop.test/cart", Some("deep=1; session=abc")),
            ("http://shop.test/carts", Some("session=abc")),
            ("http://shop.test/", Some("session=abc")),
            ("http://other.test/", None),
            ("http://a.shop.test/", None),
        ] {
            assert_eq!(line(&cookies, "http://shop.test/login", there).as_deref(), expected, "{there}");
        }
    }

    #[test]
    fn what_a_host_may_set_and_where_it_goes() {
        for (cookie, here, there, expected) in [
            ("s=1; Secure", "https://a.test/", "http://a.test/", None),
            ("s=1; Secure", "https://a.test/", "https://a.test/", Some("s=1")),
            ("f=1; Domain=b.test", "https://a.test/", "https://b.test/", None),
            ("d=1; Domain=.shop.test", "http://www.shop.test/", "http://shop.test/", Some("d=1")),
            ("d=1; Domain=SHOP.test", "http://www.shop.test/", "http://img.shop.test/", Some("d=1")),
            ("d=1; Domain=shop.test", "http://shop.test/", "http://notshop.test/", None),
            ("d=1; Domain=test", "http://shop.test/", "http://shop.test/", None),
            ("d=1; Domain=localhost", "http://localhost/", "http://localhost/", Some("d=1")),
            ("d=1; Domain=0.0.1", "http://127.0.0.1/", "http://127.0.0.1/", None),
            ("d=1; Domain=127.0.0.1", "http://127.0.0.1:80/", "http://127.0.0.1:8080/", Some("d=1")),
            ("d=1", "http://[::1]:1/", "http://[::1]:2/", Some("d=1")),
            ("d=1; Domain=", "http://a.test/", "http://a.test/", Some("d=1")),
            ("p=1", "http://a.test/x/y", "http://a.test/x/z", Some("p=1")),
            ("p=1", "http://a.test/x/y", "http://a.test/", None),
            ("p=1; Path=nonsense", "http://a.test/x/y", "http://a.test/x/", Some("p=1")),
            ("p=1; path=/x; path=/", "http://a.test/x/y", "http://a.test/", Some("p=1")),
            ("q=\"quoted; value\"", "http://a.test/", "http://a.test/", Some("q=\"quoted")),
            ("  spaced  =  a b  ; x", "http://a.test/", "http://a.test/", Some("spaced=a b")),
            ("e=a=b==", "http://a.test/", "http://a.test/", Some("e=a=b==")),
            ("empty=", "http://a.test/", "http://a.test/", Some("empty=")),
            ("nothing", "http://a.test/", "http://a.test/", None),
            ("=noname", "http://a.test/", "http://a.test/", None),
            ("c=a\u{1}b", "http://a.test/", "http://a.test/", None),
        ] {
            assert_eq!(line(&[cookie.as_bytes()], here, there).as_deref(), expected, "{cookie} from {here} to {there}");
        }
    }

    #[test]
    fn issue_15_bytes_go_back_as_they_came() {
        let mut jar = Jar::default();
        jar.store(b"l=caf\xe9; Path=/", &url("http://a.test/"), now());
        jar.store("u=caf\u{e9}".as_bytes(), &url("http://a.test/"), now());
        assert_eq!(jar.header_for(&url("http://a.test/"), now(), |_| false), Some(b"l=caf\xe9; u=caf\xc3\xa9".to_vec()));
    }

    #[test]
    fn issue_15_longer_paths_come_first_and_then_older_cookies() {
        let cookies: [&[u8]; 5] = [b"z=1; Path=/", b"a=1; Path=/", b"m=1; Path=/x/y", b"b=1; Path=/x/y", b"z=2; Path=/"];
        assert_eq!(line(&cookies, "http://a.test/x/y/", "http://a.test/x/y/").as_deref(), Some("m=1; b=1; z=2; a=1"));
    }

    #[test]
    fn issue_15_a_cookie_ends_by_any_form_of_its_date() {
        for date in [
            "Thu, 01 Jan 1970 00:00:00 GMT",
            "Thu, 01 Jan 1970 00:00:00 UTC",
            "Thu, 1 Jan 1970 00:00:00 +0000",
            "thu, 01 jan 1970 00:00:00 gmt",
            "\"Thu, 01-Jan-1970 00:00:01 GMT\"",
            "Thu, 01 January 1970 00:00:00 GMT",
            "Wed, 31 Dec 2025 23:59:59 GMT",
        ] {
            let cookie = format!("sid=gone; path=/; expires={date}");
            assert_eq!(line(&[b"sid=live; path=/", cookie.as_bytes()], "http://a.test/", "http://a.test/"), None, "{date}");
        }
        for stays in
            ["expires=Wed, 01 Jan 2031 00:00:00 GMT", "expires=soon", "max-age=soon", "max-age=5; expires=Thu, 01 Jan 1970 00:00:00 GMT"]
        {
            assert_eq!(line(&[format!("a=1; {stays}").as_bytes()], "http://a.test/", "http://a.test/").as_deref(), Some("a=1"), "{stays}");
        }
        for over in ["max-age=0", "max-age=-1", "Max-Age=0; expires=Wed, 01 Jan 2031 00:00:00 GMT"] {
            assert_eq!(line(&[b"a=1", format!("a=1; {over}").as_bytes()], "http://a.test/", "http://a.test/"), None, "{over}");
        }
        let mut jar = Jar::default();
        jar.store(b"a=1; max-age=10", &url("http://a.test/"), now());
        assert!(jar.header_for(&url("http://a.test/"), now() + Duration::from_secs(9), |_| false).is_some());
        assert!(jar.header_for(&url("http://a.test/"), now() + Duration::from_secs(10), |_| false).is_none());
    }

    #[test]
    fn a_cookie_is_replaced_deleted_and_cleared() {
        let mut jar = Jar::default();
        let here = url("http://a.test/x/y");
        jar.set(b"a", b"1", &here, now());
        jar.set(b"a", b"2", &here, now());
        assert_eq!(jar.get(b"a", &here, now()), Some(&b"2"[..]));
        jar.store(b"a=; Path=/; Max-Age=0", &here, now());
        assert_eq!(jar.header_for(&here, now(), |_| false), None);
        jar.set(b"b", b"1", &here, now());
        jar.clear();
        assert!(jar.is_empty());
    }

    #[test]
    fn a_cookie_is_deleted_by_its_name_on_its_host_and_left_out_where_another_takes_its_place() {
        let mut jar = Jar::default();
        let here = url("http://a.b.test/x/y");
        assert!(!jar.delete(b"a", &here));
        jar.set(b"a", b"1", &here, now());
        jar.set(b"b", b"2", &here, now());
        jar.store(b"a=deep; Path=/x/y; Domain=b.test", &here, now());
        jar.set(b"a", b"other", &url("http://c.test/"), now());
        assert_eq!(jar.header_for(&here, now(), |name| name == b"a").as_deref(), Some(&b"b=2"[..]));
        assert_eq!(jar.header_for(&here, now(), |_| true), None);
        assert!(jar.delete(b"a", &url("http://a.b.test/")) && !jar.delete(b"a", &here));
        assert_eq!(jar.header_for(&here, now(), |_| false).as_deref(), Some(&b"b=2"[..]));
        assert_eq!(jar.get(b"a", &url("http://c.test/"), now()), Some(&b"other"[..]));
    }

    #[test]
    fn issue_15_a_jar_is_bounded_as_browsers_are() {
        assert_eq!(size_of::<Jar>(), size_of::<usize>());
        let mut jar = Jar::default();
        let here = url("http://a.test/");
        for number in 0..60 {
            jar.set(format!("c{number}").as_bytes(), b"x", &here, now());
            // The first one is in use all the time, and stays.
            assert!(jar.get(b"c0", &here, now()).is_some());
        }
        let names: Vec<_> = jar.all(&here, now()).into_iter().map(|(name, _)| String::from_utf8_lossy(name).into_owned()).collect();
        assert_eq!((names.len(), names[0].as_str(), names[49].as_str()), (50, "c0", "c59"));
        for number in 0..4_000 {
            jar.set(b"c", b"x", &url(&format!("http://h{number}.test/")), now());
        }
        assert_eq!(jar.store.as_ref().unwrap().cookies.len(), 3_000);
        let large = [b"l=".as_slice(), &[b'x'; 4_095]].concat();
        assert_eq!(line(&[&large], "http://b.test/", "http://b.test/").map(|line| line.len()), Some(4_097));
        let larger = [b"l=".as_slice(), &[b'x'; 4_096]].concat();
        assert_eq!(line(&[&larger], "http://b.test/", "http://b.test/"), None);
    }
}
