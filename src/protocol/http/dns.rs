//! Names to addresses: fixed ones, literals, `localhost`, and the system's DNS with a cache for the lane.
//!
//! One look-up a name is under way at a time; the others wait for it. Each new connection begins with the next address in turn.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use hickory_resolver::config::LookupIpStrategy;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::{ResolverBuilder, TokioResolver};
use rustc_hash::FxHashMap;
use tokio::sync::OnceCell;

use super::classify::{Failure, FailureKind};

/// The known names of a lane.
#[derive(Debug)]
pub(super) struct Names {
    fixed: Vec<HostRule>,
    is_fresh: bool,
    cache: RefCell<FxHashMap<String, Rc<Entry>>>,
    resolver: OnceCell<TokioResolver>,
}

impl Names {
    /// `hosts` need no look-up; `is_fresh` asks for each connection.
    pub(super) fn new(mut hosts: Vec<HostRule>, is_fresh: bool) -> Self {
        hosts.sort_by_key(|rule| std::cmp::Reverse(rule.weight()));
        Self { fixed: hosts, is_fresh, cache: RefCell::default(), resolver: OnceCell::new() }
    }

    /// Where the person has said that `host` and `port` lead: the rule that says most decides.
    pub(super) fn fixed(&self, host: &str, port: u16) -> Option<(IpAddr, u16)> {
        let rule = self.fixed.iter().find(|rule| rule.covers(host, port))?;
        Some((rule.address, rule.to_port.unwrap_or(port)))
    }

    /// Addresses that need no look-up: literals, `localhost`.
    pub(super) fn known(&self, host: &str) -> Option<Vec<IpAddr>> {
        if let Ok(address) = host.parse() {
            return Some(vec![address]);
        }
        // RFC 6761: localhost and names below it are always this machine.
        let is_local = host == "localhost" || host.ends_with(".localhost");
        is_local.then(|| vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)])
    }

    /// All addresses of `host` in the order in which they are to be tried. The caller bounds the wait.
    ///
    /// # Errors
    /// `dns`, with a text that names the host.
    pub(super) async fn look_up(&self, host: &str) -> Result<Vec<IpAddr>, Failure> {
        if self.is_fresh {
            return self.ask(host).await.map(|answer| answer.addresses);
        }
        let entry = self.entry(host);
        let answer = entry.answer.get_or_init(async || self.ask(host).await.map(|answer| (answer.addresses, answer.valid_until))).await;
        match answer {
            Ok((addresses, valid_until)) => {
                entry.valid_until.set(Some(*valid_until));
                let turn = entry.turn.get();
                entry.turn.set(turn.wrapping_add(1));
                let mut addresses = addresses.clone();
                let length = addresses.len();
                addresses.rotate_left(turn % length.max(1));
                Ok(addresses)
            }
            Err(failure) => {
                if entry.valid_until.get().is_none() {
                    entry.valid_until.set(Instant::now().checked_add(TTL_MIN));
                }
                Err(failure.clone())
            }
        }
    }

    /// The cached entry of `host` if it is still valid or under way, else an empty one.
    fn entry(&self, host: &str) -> Rc<Entry> {
        let mut cache = self.cache.borrow_mut();
        let found = cache.get(host).filter(|entry| entry.valid_until.get().is_none_or(|until| Instant::now() < until));
        if let Some(entry) = found {
            return Rc::clone(entry);
        }
        if cache.len() >= NAMES_LIMIT {
            cache.clear();
        }
        let turn = cache.get(host).map_or(0, |entry| entry.turn.get());
        let entry = Rc::new(Entry { answer: OnceCell::new(), valid_until: Cell::new(None), turn: Cell::new(turn) });
        cache.insert(host.to_owned(), Rc::clone(&entry));
        entry
    }

    async fn ask(&self, host: &str) -> Result<Answer, Failure> {
        let resolver = self.resolver.get_or_try_init(async || make_resolver()).await?;
        // Without the dot at its end `name` is tried with the search domains too, as the system does.
        let found = resolver.lookup_ip(host).await.map_err(|error| {
            let reason =
                if error.is_no_records_found() || error.is_nx_domain() { "no such name" } else { "the name server did not answer" };
            Failure::new(FailureKind::Dns, format!("look-up of `{host}` failed: {reason}"))
        })?;
        let addresses: Vec<_> = found.iter().collect();
        if addresses.is_empty() {
            return Err(Failure::new(FailureKind::Dns, format!("look-up of `{host}` failed: no address")));
        }
        let now = Instant::now();
        let ttl = found.valid_until().saturating_duration_since(now).clamp(TTL_MIN, TTL_MAX);
        Ok(Answer { addresses, valid_until: now + ttl })
    }
}

/// A name, or all below it, with or without a port, and where it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRule {
    /// Lower case; without the `*.` of a wildcard.
    name: String,
    is_wildcard: bool,
    port: Option<u16>,
    address: IpAddr,
    to_port: Option<u16>,
}

impl HostRule {
    /// `name` is `shop.test`, `shop.test:8443`, `*.shop.test` or `*.shop.test:8443`; `to_port` is another port than the URL's.
    ///
    /// # Errors
    /// A text for people.
    pub fn new(name: &str, address: IpAddr, to_port: Option<u16>) -> Result<Self, String> {
        let wrong = || format!("`{name}` is no name of a host: write `shop.test`, `shop.test:8443` or `*.shop.test`");
        let lower = name.trim().to_ascii_lowercase();
        let (host, port) = match lower.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port.parse().map_err(|_| wrong())?)),
            _ => (lower.as_str(), None),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let (host, is_wildcard) = host.strip_prefix("*.").map_or((host, false), |host| (host, true));
        if host.is_empty() || host.contains(['*', '/', ' ', '@']) {
            return Err(wrong());
        }
        Ok(Self { name: host.to_owned(), is_wildcard, port, address, to_port })
    }

    fn covers(&self, host: &str, port: u16) -> bool {
        let is_named = if self.is_wildcard {
            host.strip_suffix(&*self.name).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
        } else {
            host == self.name
        };
        is_named && self.port.is_none_or(|own| own == port)
    }

    /// The rule that says most: a whole name before a wildcard, a longer one before a shorter, one with a port before one without.
    fn weight(&self) -> (bool, usize, bool) {
        (!self.is_wildcard, self.name.len(), self.port.is_some())
    }
}

/// One name of the cache.
#[derive(Debug)]
struct Entry {
    answer: OnceCell<Result<(Vec<IpAddr>, Instant), Failure>>,
    /// `None` while the look-up is under way.
    valid_until: Cell<Option<Instant>>,
    /// Counts connections, so that each begins with the next address.
    turn: Cell<usize>,
}

struct Answer {
    addresses: Vec<IpAddr>,
    valid_until: Instant,
}

fn make_resolver() -> Result<TokioResolver, Failure> {
    let failed =
        |error: &dyn std::fmt::Display| Failure::new(FailureKind::Dns, format!("the system's DNS configuration cannot be used: {error}"));
    build_resolver(TokioResolver::builder_tokio().map_err(|error| failed(&error))?).map_err(|error| failed(&error))
}

fn build_resolver(mut builder: ResolverBuilder<TokioRuntimeProvider>) -> Result<TokioResolver, NetError> {
    let options = builder.options_mut();
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    // Cached by us, with limits of our own.
    options.cache_size = 0;
    builder.build()
}

const TTL_MIN: Duration = Duration::from_secs(1);
const TTL_MAX: Duration = Duration::from_secs(300);
const NAMES_LIMIT: usize = 10_000;

#[cfg(test)]
impl Names {
    /// Asks the name server at `address` and no other.
    pub(super) fn with_server(address: std::net::SocketAddr, is_fresh: bool) -> Self {
        use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
        let mut connection = ConnectionConfig::udp();
        connection.port = address.port();
        let server = NameServerConfig::new(address.ip(), true, vec![connection]);
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let resolver = build_resolver(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())).unwrap();
        Self { resolver: OnceCell::new_with(Some(resolver)), ..Self::new(Vec::new(), is_fresh) }
    }

    /// For how long the answer about `host` is valid.
    pub(super) fn time_to_live(&self, host: &str) -> Duration {
        self.cache.borrow()[host].valid_until.get().unwrap().saturating_duration_since(Instant::now())
    }

    /// Makes the answer about `host` as old as it can be.
    pub(super) fn expire(&self, host: &str) {
        self.cache.borrow()[host].valid_until.set(Some(Instant::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issue_15_fixed_names_may_have_ports_and_wildcards() {
        let rule = |name: &str, address: &str, port| HostRule::new(name, address.parse().unwrap(), port).unwrap();
        let rules = vec![
            rule("*.test", "10.0.0.1", None),
            rule("Shop.test", "10.0.0.2", None),
            rule("shop.test:8443", "10.0.0.3", Some(9443)),
            rule("*.shop.test", "10.0.0.4", Some(81)),
            rule("[::1]:80", "10.0.0.5", None),
        ];
        let names = Names::new(rules, false);
        for (host, port, expected) in [
            ("shop.test", 80, Some(("10.0.0.2", 80))),
            ("shop.test", 8443, Some(("10.0.0.3", 9443))),
            ("a.shop.test", 80, Some(("10.0.0.4", 81))),
            ("b.a.shop.test", 80, Some(("10.0.0.4", 81))),
            ("other.test", 1, Some(("10.0.0.1", 1))),
            ("test", 80, None),
            ("shop.example", 80, None),
            ("::1", 80, Some(("10.0.0.5", 80))),
        ] {
            let expected = expected.map(|(address, port)| (address.parse().unwrap(), port));
            assert_eq!(names.fixed(host, port), expected, "{host}:{port}");
        }
        for bad in ["", "*.", "a*b", "http://a", "a:b", "a:99999"] {
            assert!(HostRule::new(bad, "::1".parse().unwrap(), None).unwrap_err().contains("is no name of a host"), "{bad}");
        }
    }

    #[test]
    fn literals_and_localhost_need_no_look_up() {
        let names = Names::new(Vec::new(), false);
        assert_eq!(names.known("::1"), Some(vec!["::1".parse().unwrap()]));
        assert_eq!(names.known("127.0.0.2"), Some(vec!["127.0.0.2".parse().unwrap()]));
        assert_eq!(names.known("localhost").unwrap().len(), 2);
        assert_eq!(names.known("example.org"), None);
    }
}
