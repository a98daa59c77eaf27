//! A user's cookies, by the rules of RFC 6265. A user without cookies pays one pointer.

use cookie_store::{CookieStore, RawCookie};
use url::Url;

/// A user's cookie jar.
#[derive(Debug, Default)]
pub struct Jar {
    /// Made with the first cookie.
    store: Option<Box<CookieStore>>,
}

impl Jar {
    /// Takes over a `set-cookie` value of an answer from `url`. What cannot be parsed or is not `url`'s to set is left out, as in browsers.
    pub fn store(&mut self, set_cookie: &[u8], url: &Url) {
        let Ok(text) = std::str::from_utf8(set_cookie) else { return };
        let Ok(cookie) = RawCookie::parse(text.to_owned()) else { return };
        self.insert(&cookie, url);
    }

    /// Sets a cookie for all paths of the host of `url`, until the jar is cleared.
    pub fn set(&mut self, name: &str, value: &str, url: &Url) {
        let cookie = RawCookie::build((name.to_owned(), value.to_owned())).path("/").build();
        self.insert(&cookie, url);
    }

    /// Forgets all cookies.
    pub fn clear(&mut self) {
        self.store = None;
    }

    /// The value of the `cookie` field for a request to `url`; longer paths first.
    #[must_use]
    pub fn header_for(&self, url: &Url) -> Option<String> {
        let mut value = String::new();
        for (name, text) in self.all(url) {
            if !value.is_empty() {
                value.push_str("; ");
            }
            value.push_str(name);
            value.push('=');
            value.push_str(text);
        }
        (!value.is_empty()).then_some(value)
    }

    /// The value of the cookie `name` that a request to `url` would bear.
    #[must_use]
    pub fn get(&self, name: &str, url: &Url) -> Option<&str> {
        self.all(url).into_iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Names and values that a request to `url` would bear; longer paths first.
    #[must_use]
    pub fn all(&self, url: &Url) -> Vec<(&str, &str)> {
        let Some(store) = &self.store else { return Vec::new() };
        let mut cookies = store.matches(url);
        cookies.sort_by_key(|cookie| (std::cmp::Reverse(cookie.path.len()), cookie.name().to_owned()));
        cookies.iter().map(|cookie| cookie.name_value()).collect()
    }

    /// Whether no cookie was ever set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.store.is_none()
    }

    fn insert(&mut self, cookie: &RawCookie<'_>, url: &Url) {
        let store = self.store.get_or_insert_with(Box::default);
        // Refused cookies (another domain, an expiry in the past without anything to delete) are no error of anybody here.
        let _ = store.insert_raw(cookie, url);
        // A hostile server shall not fill the memory; browsers have a limit of the kind.
        if store.iter_any().count() > COOKIES_LIMIT {
            let oldest = store.iter_any().next().map(|cookie| (domain_of(cookie), cookie.path.to_string(), cookie.name().to_owned()));
            if let Some((domain, path, name)) = oldest {
                store.remove(&domain, &path, &name);
            }
        }
    }
}

fn domain_of(cookie: &cookie_store::Cookie<'_>) -> String {
    String::from(&cookie.domain)
}

const COOKIES_LIMIT: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn cookies_go_back_to_where_they_came_from() {
        let mut jar = Jar::default();
        jar.store(b"session=abc; Path=/; HttpOnly", &url("http://shop.test/login"));
        jar.store(b"deep=1; Path=/cart", &url("http://shop.test/login"));
        assert_eq!(jar.header_for(&url("http://shop.test/cart/1")).as_deref(), Some("deep=1; session=abc"));
        assert_eq!(jar.header_for(&url("http://shop.test/")).as_deref(), Some("session=abc"));
        assert_eq!(jar.header_for(&url("http://other.test/")), None);
        assert_eq!(jar.get("session", &url("http://shop.test/")), Some("abc"));
    }

    #[test]
    fn secure_expired_and_foreign_cookies_stay_away() {
        let mut jar = Jar::default();
        jar.store(b"s=1; Secure", &url("https://a.test/"));
        jar.store(b"f=1; Domain=b.test", &url("https://a.test/"));
        jar.store(b"gone=1; Max-Age=0", &url("https://a.test/"));
        assert_eq!(jar.header_for(&url("http://a.test/")), None);
        assert_eq!(jar.header_for(&url("https://a.test/")).as_deref(), Some("s=1"));
        assert_eq!(jar.header_for(&url("https://b.test/")), None);
    }

    #[test]
    fn cookies_of_an_address_come_back() {
        let mut jar = Jar::default();
        jar.store(b"a=b", &url("http://127.0.0.1:8080/login"));
        assert_eq!(jar.header_for(&url("http://127.0.0.1:8080/x")).as_deref(), Some("a=b"));
    }

    #[test]
    fn a_cookie_is_replaced_deleted_and_cleared() {
        let mut jar = Jar::default();
        let here = url("http://a.test/x/y");
        jar.set("a", "1", &here);
        jar.set("a", "2", &here);
        assert_eq!(jar.header_for(&here).as_deref(), Some("a=2"));
        jar.store(b"a=; Path=/; Max-Age=0", &here);
        assert_eq!(jar.header_for(&here), None);
        jar.set("b", "1", &here);
        jar.clear();
        assert!(jar.is_empty());
    }

    #[test]
    fn an_empty_jar_is_one_pointer_and_a_full_one_is_bounded() {
        assert_eq!(size_of::<Jar>(), size_of::<usize>());
        let mut jar = Jar::default();
        for number in 0..COOKIES_LIMIT + 50 {
            jar.set(&format!("c{number}"), "x", &url("http://a.test/"));
        }
        assert_eq!(jar.all(&url("http://a.test/")).len(), COOKIES_LIMIT);
    }
}
