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
    fixed: FxHashMap<String, Vec<IpAddr>>,
    is_fresh: bool,
    cache: RefCell<FxHashMap<String, Rc<Entry>>>,
    resolver: OnceCell<TokioResolver>,
}

impl Names {
    /// `hosts` need no look-up; `is_fresh` asks for each connection.
    pub(super) fn new(hosts: Vec<(String, IpAddr)>, is_fresh: bool) -> Self {
        let mut fixed: FxHashMap<String, Vec<IpAddr>> = FxHashMap::default();
        for (name, address) in hosts {
            fixed.entry(name.to_ascii_lowercase()).or_default().push(address);
        }
        Self { fixed, is_fresh, cache: RefCell::default(), resolver: OnceCell::new() }
    }

    /// Addresses that need no look-up: fixed names, literals, `localhost`.
    pub(super) fn known(&self, host: &str) -> Option<Vec<IpAddr>> {
        if let Some(addresses) = self.fixed.get(host) {
            return Some(addresses.clone());
        }
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
    fn literals_localhost_and_fixed_names_need_no_look_up() {
        let names = Names::new(vec![("Shop.test".into(), "10.0.0.1".parse().unwrap())], false);
        assert_eq!(names.known("shop.test"), Some(vec!["10.0.0.1".parse().unwrap()]));
        assert_eq!(names.known("::1"), Some(vec!["::1".parse().unwrap()]));
        assert_eq!(names.known("127.0.0.2"), Some(vec!["127.0.0.2".parse().unwrap()]));
        assert_eq!(names.known("localhost").unwrap().len(), 2);
        assert_eq!(names.known("example.org"), None);
    }
}
