//! Proxies as the environment names them: which requests go through which.

use std::net::IpAddr;

use super::origin::{Origin, credentials_of};

/// What `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` say. Empty: every request goes straight to its target.
#[derive(Debug, Default)]
pub(super) struct Proxies {
    plain: Option<Proxy>,
    tls: Option<Proxy>,
    except: Vec<Exception>,
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
        let except = match read("no_proxy") {
            Some((name, entries)) => {
                let entries = entries.split([',', ' ', '\t']).filter(|entry| !entry.is_empty());
                entries.map(Exception::parse).collect::<Result<_, _>>().map_err(|why| format!("{why} in `{name}`"))?
            }
            None => Vec::new(),
        };
        Ok(Self { plain: proxy("http_proxy")?, tls: proxy("https_proxy")?, except })
    }

    /// The proxy for requests to `origin`.
    pub(super) fn proxy_for(&self, origin: &Origin) -> Option<&Proxy> {
        let proxy = if origin.tls { self.tls.as_ref() } else { self.plain.as_ref() }?;
        let address = origin.host.parse().ok();
        (!self.except.iter().any(|exception| exception.covers(origin, address))).then_some(proxy)
    }
}

/// One entry of `NO_PROXY`: a name with those below it, an address, a block of addresses, or all; for one port or for all.
#[derive(Debug)]
struct Exception {
    hosts: Hosts,
    port: Option<u16>,
}

#[derive(Debug)]
enum Hosts {
    All,
    /// And those below it.
    Named(String),
    /// Addresses whose first `bits` are those of `address`.
    Block {
        address: IpAddr,
        bits: u32,
    },
}

impl Exception {
    /// Reads `example.org`, `.example.org`, `*.example.org`, `10.0.0.0/8`, `::1`, `[::1]:8080`, `example.org:81` or `*`.
    ///
    /// # Errors
    /// It is none of these, so that it would keep nothing from the proxy.
    fn parse(entry: &str) -> Result<Self, String> {
        let (host, port) = split_port(entry);
        let hosts = match block_of(host) {
            Some((address, bits)) => Hosts::Block { address, bits },
            None if host == "*" => Hosts::All,
            None => {
                let name = host.trim_start_matches("*.").trim_start_matches('.').to_ascii_lowercase();
                if name.contains(['/', '*', ':', '[', ']', '%']) {
                    let takes = "a name such as `example.org`, an address, a block such as `10.0.0.0/8`, or `*`";
                    return Err(format!("`{entry}` is no host that could be left out ({takes})"));
                }
                Hosts::Named(name)
            }
        };
        Ok(Self { hosts, port })
    }

    fn covers(&self, origin: &Origin, host: Option<IpAddr>) -> bool {
        let is_meant = match &self.hosts {
            Hosts::All => true,
            Hosts::Named(name) => {
                !name.is_empty() && origin.host.strip_suffix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            Hosts::Block { address, bits } => host.is_some_and(|host| is_in(host, *address, *bits)),
        };
        is_meant && self.port.is_none_or(|port| port == origin.port)
    }
}

/// A port stands behind the only colon, or behind brackets.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    let bare = |host: &'_ str| -> bool { !host.contains(':') || host.ends_with(']') };
    match entry.rsplit_once(':') {
        Some((host, port)) if bare(host) && port.parse::<u16>().is_ok() => (host, port.parse().ok()),
        _ => (entry, None),
    }
}

fn block_of(text: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    // URLs have no zones, so that an address of a zone is this address.
    let address = address.trim_start_matches('[').trim_end_matches(']').split('%').next()?;
    let address: IpAddr = address.parse().ok()?;
    let all = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Some(all), |bits| bits.trim_end_matches(']').parse().ok())?;
    (bits <= all).then_some((address, bits))
}

fn is_in(host: IpAddr, block: IpAddr, bits: u32) -> bool {
    match (host.to_canonical(), block.to_canonical()) {
        (IpAddr::V4(host), IpAddr::V4(block)) => (host.to_bits() ^ block.to_bits()).leading_zeros() >= bits.min(32),
        (IpAddr::V6(host), IpAddr::V6(block)) => (host.to_bits() ^ block.to_bits()).leading_zeros() >= bits,
        _ => false,
    }
}

/// One proxy, spoken to in plain HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proxy {
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
        let credentials = credentials_of(&url, &text).map_err(|error| error.to_string())?;
        let authorization = credentials.as_deref().unwrap_or_default().to_owned();
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
    fn issue_15_exceptions_name_blocks_of_addresses() {
        for (except, url, goes_through) in [
            ("127.0.0.0/8", "http://127.9.9.9:8080/", false),
            ("127.0.0.0/8", "http://128.0.0.1/", true),
            ("127.0.0.0/8", "http://localhost/", true),
            ("10.1.2.3/32", "http://10.1.2.3/", false),
            ("10.1.2.3/32", "http://10.1.2.4/", true),
            ("10.0.0.0/7", "http://11.255.0.1/", false),
            ("0.0.0.0/0", "http://8.8.8.8/", false),
            ("0.0.0.0/0", "http://[::1]/", true),
            ("fd00::/8", "http://[fd12::1]/", false),
            ("fd00::/8", "http://[fe80::1]/", true),
            ("::1", "http://[::1]:81/", false),
            ("[::1]:81", "http://[::1]:81/", false),
            ("[::1]:81", "http://[::1]:82/", true),
            ("10.0.0.1:81", "http://10.0.0.1:81/", false),
            ("10.0.0.1:81", "http://10.0.0.1/", true),
            ("fe80::1%eth0", "http://[fe80::1]/", false),
            ("*", "http://any.test/", false),
            ("a.test *.inner.test", "http://x.inner.test/", false),
            ("a.test *.inner.test", "http://a.test/", false),
            ("A.Test", "http://b.a.test/", false),
            ("a.test:80", "https://a.test/", true),
            (",, ,", "http://a.test/", true),
        ] {
            let proxies = proxies(&[("http_proxy", "p:1"), ("https_proxy", "p:1"), ("no_proxy", except)]).unwrap();
            assert_eq!(chosen(&proxies, url).is_some(), goes_through, "{except}: {url}");
        }
    }

    #[test]
    fn an_exception_that_would_except_nothing_is_refused() {
        for except in ["10.0.0.0/33", "10.*", "http://a.test", "a.test:99999", "a.test, 192.168.0.0/", "*a.test"] {
            let why = proxies(&[("http_proxy", "p:1"), ("NO_PROXY", except)]).unwrap_err();
            assert!(why.contains("is no host that could be left out") && why.ends_with("in `NO_PROXY`"), "{except}: {why}");
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
