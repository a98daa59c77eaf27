//! Proxies as the environment names them: which requests go through which.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::origin::Origin;

/// What `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` say. Empty: every request goes straight to its target.
#[derive(Debug, Default)]
pub(super) struct Proxies {
    plain: Option<Proxy>,
    tls: Option<Proxy>,
    except: Vec<String>,
}

impl Proxies {
    /// Reads the variables, the lower-case name first, as curl does.
    ///
    /// # Errors
    /// A text for people that names the variable.
    pub(super) fn from_env(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let read = |lower: &str| {
            let upper = lower.to_ascii_uppercase();
            variable(lower).map(|value| (lower.to_owned(), value)).or_else(|| variable(&upper).map(|value| (upper, value)))
        };
        let proxy = |name: &str| match read(name) {
            Some((name, value)) if !value.is_empty() => Proxy::parse(&value).map(Some).map_err(|why| format!("{why} in `{name}`")),
            _ => Ok(None),
        };
        let except = read("no_proxy").map(|(_, value)| value).unwrap_or_default();
        let except = except.split(',').map(|entry| entry.trim().trim_start_matches('.').to_ascii_lowercase());
        Ok(Self { plain: proxy("http_proxy")?, tls: proxy("https_proxy")?, except: except.filter(|entry| !entry.is_empty()).collect() })
    }

    /// The proxy for requests to `origin`.
    pub(super) fn proxy_for(&self, origin: &Origin) -> Option<&Proxy> {
        let proxy = if origin.tls { self.tls.as_ref() } else { self.plain.as_ref() }?;
        let is_excepted = self.except.iter().any(|entry| {
            let (name, port) = match entry.rsplit_once(':') {
                Some((name, port)) if !name.contains(':') => (name, port.parse().ok()),
                _ => (entry.as_str(), None),
            };
            let is_named = entry == "*" || origin.host == name || origin.host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
            is_named && port.is_none_or(|port: u16| port == origin.port)
        });
        (!is_excepted).then_some(proxy)
    }
}

/// One proxy, spoken to in plain HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proxy {
    /// Where it listens.
    pub origin: Origin,
    /// The value of `proxy-authorization`; empty without a user in the URL.
    pub authorization: String,
}

impl Proxy {
    fn parse(value: &str) -> Result<Self, String> {
        let text = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
        let origin = Origin::parse(&text).map_err(|error| error.to_string())?;
        if origin.tls {
            return Err("a proxy that is itself reached by https is not supported".to_owned());
        }
        let url = url::Url::parse(&text).map_err(|error| error.to_string())?;
        let decoded = |part: &str| percent_encoding::percent_decode_str(part).collect::<Vec<u8>>();
        let authorization = if url.username().is_empty() {
            String::new()
        } else {
            let mut pair = decoded(url.username());
            pair.push(b':');
            pair.extend(decoded(url.password().unwrap_or_default()));
            format!("Basic {}", STANDARD.encode(pair))
        };
        // A URL without a port means 80 here too, as its scheme says.
        Ok(Self { origin, authorization })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Result<Proxies, String> {
        Proxies::from_env(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    fn chosen(proxies: &Proxies, url: &str) -> Option<String> {
        proxies.proxy_for(&Origin::parse(url).unwrap()).map(|proxy| proxy.origin.peer())
    }

    #[test]
    fn each_scheme_has_its_proxy() {
        let proxies = proxies(&[("HTTP_PROXY", "http://u%40:p@one:3128"), ("https_proxy", "two:8080")]).unwrap();
        assert_eq!(chosen(&proxies, "http://a/"), Some("one:3128".into()));
        assert_eq!(chosen(&proxies, "https://a/"), Some("two:8080".into()));
        assert_eq!(proxies.plain.unwrap().authorization, "Basic dUA6cA==");
    }

    #[test]
    fn exceptions_name_hosts_domains_and_ports() {
        let proxies = proxies(&[("http_proxy", "p:1"), ("NO_PROXY", "local, .inner.test, other:81")]).unwrap();
        for (url, goes_through) in [
            ("http://local/", false),
            ("http://a.local/", false),
            ("http://nonlocal/", true),
            ("http://x.inner.test/", false),
            ("http://other:81/", false),
            ("http://other/", true),
        ] {
            assert_eq!(chosen(&proxies, url).is_some(), goes_through, "{url}");
        }
    }

    #[test]
    fn a_bad_proxy_names_its_variable() {
        assert_eq!(
            proxies(&[("HTTP_PROXY", "ftp://x")]).unwrap_err(),
            "unknown scheme `ftp` in `ftp://x`: `http` and `https` are known in `HTTP_PROXY`"
        );
    }
}
