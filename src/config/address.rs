//! Addresses: where a server listens, and where the master is found. Nothing is looked up here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where to listen, as it was given: a port, and perhaps an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BindAddress {
    /// `None` where only a port was given; which interfaces that means is decided by who listens.
    pub interface: Option<IpAddr>,
    /// 0 takes any free port.
    pub port: u16,
}

impl BindAddress {
    /// `:8080`, `8080`, `0.0.0.0:8080`, `[::]:8080`, `localhost:8080`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let problem = || format!("`{text}` is not an address with a port");
        let port_alone = text.strip_prefix(':').unwrap_or(text);
        if !port_alone.is_empty() && port_alone.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self { interface: None, port: port_alone.parse().map_err(|_| problem())? });
        }
        let full = match text.strip_prefix("localhost:") {
            Some(port) => format!("127.0.0.1:{port}"),
            None => text.to_owned(),
        };
        if full.contains('%') {
            return Err(format!("`{text}` has a zone (`%`), which is not possible: give an address without"));
        }
        let address: SocketAddr = full.parse().map_err(|_| problem())?;
        Ok(Self { interface: Some(address.ip()), port: address.port() })
    }

    /// The address with `interface` where none was given.
    #[must_use]
    pub fn or_interface(self, interface: impl Into<IpAddr>) -> SocketAddr {
        SocketAddr::new(self.interface.unwrap_or_else(|| interface.into()), self.port)
    }

    /// The address where a bare port means all interfaces with a secret, and this machine alone without one.
    pub(super) fn guarded(self, has_secret: bool) -> SocketAddr {
        if has_secret { self.or_interface(Ipv6Addr::UNSPECIFIED) } else { self.or_interface(Ipv4Addr::LOCALHOST) }
    }
}

/// Where a worker finds its master: `HOST` or `HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterAddress {
    /// A name, which is looked up again at each try, or an address; an IPv6 address without its brackets.
    pub host: String,
    /// A port of UDP, never 0.
    pub port: u16,
}

impl MasterAddress {
    /// `HOST` or `HOST:PORT`; an IPv6 address stands in brackets.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.contains("://") {
            return Err(format!("`{text}` begins with a scheme; it takes a host and a port alone"));
        }
        if let Some(rest) = text.strip_prefix('[') {
            let (host, port) = rest.split_once(']').ok_or_else(|| format!("`{text}` has no `]`"))?;
            host.parse::<Ipv6Addr>().map_err(|_| format!("`{host}` is not an IPv6 address"))?;
            let port = match port.strip_prefix(':') {
                Some(port) => known_port(port)?,
                None if port.is_empty() => DEFAULT_MASTER_PORT,
                None => return Err(format!("`{port}` after the `]` is not a port")),
            };
            return Ok(Self { host: host.to_owned(), port });
        }
        if text.matches(':').count() > 1 {
            return Err(format!("`{text}` has several colons: an IPv6 address stands in brackets"));
        }
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, known_port(port)?),
            None => (text, DEFAULT_MASTER_PORT),
        };
        if host.is_empty() {
            return Err("names no host".to_owned());
        }
        if host.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("`{text}` is a number without a host"));
        }
        if let Some(odd) = host.chars().find(|c| !(c.is_alphanumeric() || matches!(c, '.' | '-' | '_'))) {
            return Err(format!("a host's name holds no `{}`", odd.escape_debug()));
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl std::fmt::Display for MasterAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') { write!(f, "[{}]:{}", self.host, self.port) } else { write!(f, "{}:{}", self.host, self.port) }
    }
}

fn known_port(text: &str) -> Result<u16, String> {
    text.parse().ok().filter(|port| *port > 0).ok_or_else(|| format!("`{text}` is not a port between 1 and 65535"))
}

/// Where a master listens for workers, and where workers seek it.
pub(super) const DEFAULT_MASTER_PORT: u16 = 5557;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_to_listen_on_may_leave_out_the_host() {
        for (text, address) in [
            (":5557", "9.9.9.9:5557"),
            ("5557", "9.9.9.9:5557"),
            (" 0 ", "9.9.9.9:0"),
            ("0.0.0.0:5557", "0.0.0.0:5557"),
            ("[::]:5557", "[::]:5557"),
            ("[::1]:5557", "[::1]:5557"),
            ("localhost:1", "127.0.0.1:1"),
        ] {
            assert_eq!(BindAddress::parse(text).unwrap().or_interface([9, 9, 9, 9]).to_string(), address);
        }
        for text in ["", ":", "70000", ":70000", "a:b", "a:1", "0.0.0.0", "::1:5557", "localhost:", "tcp://10.0.0.1:5557"] {
            assert_eq!(BindAddress::parse(text), Err(format!("`{text}` is not an address with a port")));
        }
    }

    #[test]
    fn a_bare_port_opens_the_machine_only_with_a_secret() {
        let bare = BindAddress::parse(":5557").unwrap();
        assert_eq!((bare.guarded(false).to_string().as_str(), bare.guarded(true).to_string().as_str()), ("127.0.0.1:5557", "[::]:5557"));
        let stated = BindAddress::parse("10.0.0.1:5557").unwrap();
        assert_eq!(stated.guarded(false), stated.guarded(true));
    }

    #[test]
    fn a_master_is_a_host_with_or_without_a_port() {
        for (text, shown) in [
            ("10.0.0.1", "10.0.0.1:5557"),
            ("lunamoth-master", "lunamoth-master:5557"),
            ("lunamoth-master.load.svc.cluster.local.:6000", "lunamoth-master.load.svc.cluster.local.:6000"),
            ("localhost:5557", "localhost:5557"),
            ("[::1]", "[::1]:5557"),
            ("[2001:db8::7]:6000", "[2001:db8::7]:6000"),
        ] {
            assert_eq!(MasterAddress::parse(text).unwrap().to_string(), shown);
        }
        assert_eq!(MasterAddress::parse("[::1]").unwrap().host, "::1");
    }

    #[test]
    fn what_is_no_master_is_refused_with_its_reason() {
        for (text, problem) in [
            ("", "names no host"),
            (":5557", "names no host"),
            ("5557", "`5557` is a number without a host"),
            ("a:0", "`0` is not a port between 1 and 65535"),
            ("a:", "`` is not a port between 1 and 65535"),
            ("a:70000", "`70000` is not a port between 1 and 65535"),
            ("::1", "`::1` has several colons: an IPv6 address stands in brackets"),
            ("[::1", "`[::1` has no `]`"),
            ("[a]:1", "`a` is not an IPv6 address"),
            ("[::1]5557", "`5557` after the `]` is not a port"),
            ("tcp://10.0.0.1:5557", "`tcp://10.0.0.1:5557` begins with a scheme; it takes a host and a port alone"),
            ("a/b:5557", "a host's name holds no `/`"),
            ("a b", "a host's name holds no ` `"),
        ] {
            assert_eq!(MasterAddress::parse(text), Err(problem.to_owned()));
        }
    }
}
