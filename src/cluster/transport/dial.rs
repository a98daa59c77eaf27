//! A worker's endpoint: finds the master by name, at each dial anew, and says in words why it is not let in.
//!
//! In TLS 1.3 the worker's side of the handshake is done before the master has looked at the worker's key. Only the master's
//! preamble shows that the worker is in.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quinn::{
    ClientConfig, ConnectError, ConnectionError, Endpoint, ReadError, ReadExactError, TokioRuntime, TransportErrorCode, WriteError,
};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::TransportError;
use super::connected::end_in_words;
use super::link::{CLOSE_DEADLINE, CLOSE_DONE, CLOSE_FOREIGN, CLOSE_VERSION, PeerLink};
use super::preamble::{Instance, PREAMBLE_BYTES, PROTOCOL_VERSION, instance_of, preamble, version_of};
use super::tls::{self, ASK_CURRENT, ASK_PREVIOUS, Proof};
use crate::cluster::identity::{Identities, Identity};

/// Dials masters. One serves for the whole life of a worker. Dropped, it lets its links live on.
#[derive(Debug)]
pub struct WorkerEndpoint {
    /// Replaced when its socket broke.
    endpoint: Mutex<Endpoint>,
    /// What may be tried with a master, in order.
    ways: Vec<Way>,
    /// The way that went well last; tried first.
    good_way: AtomicUsize,
    version: u16,
}

impl WorkerEndpoint {
    /// An endpoint on a port of the system's choice, for IPv6 and IPv4 where the machine has both. Must be called within a
    /// tokio runtime.
    ///
    /// # Errors
    ///
    /// When there is no port to be had.
    pub fn new(identities: &Identities) -> Result<Self, TransportError> {
        Self::with_version(identities, PROTOCOL_VERSION)
    }

    pub(super) fn with_version(identities: &Identities, version: u16) -> Result<Self, TransportError> {
        Ok(Self { endpoint: Mutex::new(open()?), ways: ways(identities), good_way: AtomicUsize::new(0), version })
    }

    /// Dials the master at `host` (`HOST:PORT`) and waits at most [`DIAL_DEADLINE`]; see [`WorkerEndpoint::dial_within`].
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn dial(&self, host: &str) -> Result<PeerLink, DialError> {
        self.dial_within(host, DIAL_DEADLINE).await
    }

    /// Dials the master at `host` (`HOST:PORT`), whose name is resolved anew, and tries each of its addresses; a link comes
    /// back once the master has let this worker in. While nobody listens it goes on trying, for a master that restarts
    /// may be back in a moment.
    ///
    /// # Errors
    ///
    /// When the name is unknown, when the master refuses this worker, or when the deadline passes.
    pub async fn dial_within(&self, host: &str, deadline: Duration) -> Result<PeerLink, DialError> {
        let mut told = DialError::NoAnswer { host: host.to_owned(), waited: deadline };
        timeout(deadline, self.dial_all_ways(host, &mut told)).await.unwrap_or(None).ok_or(told)
    }

    /// Closes all links with this reason, and waits up to a second until the master has been told: a process that ends without
    /// it leaves the master to find out by the silence.
    pub async fn close(self, reason: &str) {
        let endpoint = self.endpoint();
        endpoint.close(CLOSE_DONE, reason.as_bytes());
        // A master that cannot be told will notice by itself.
        drop(timeout(CLOSE_DEADLINE, endpoint.wait_idle()).await);
    }

    /// Moves all links to another port of this machine, as a change of its address would: for tests of migration.
    ///
    /// # Errors
    ///
    /// When there is no port to be had.
    pub fn rebind(&self) -> io::Result<()> {
        self.endpoint().rebind(any_port()?)
    }

    async fn dial_all_ways(&self, host: &str, told: &mut DialError) -> Option<PeerLink> {
        let addresses = match resolve(host).await {
            Ok(addresses) => addresses,
            Err(error) => {
                *told = error;
                return None;
            }
        };
        let first = self.good_way.load(Ordering::Relaxed);
        for index in (0..self.ways.len()).map(|index| (first + index) % self.ways.len()) {
            let dial = Dial { endpoint: self.endpoint(), host: host.to_owned(), way: self.ways[index].clone(), version: self.version };
            if let Some(link) = dial.any_of(&addresses, told).await {
                self.good_way.store(index, Ordering::Relaxed);
                return Some(link);
            }
            match told {
                DialError::WrongSecret { .. } => {}
                DialError::Local { reason, .. } if reason == SOCKET_BROKE => {
                    self.reopen();
                    return None;
                }
                _ => return None,
            }
        }
        None
    }

    fn endpoint(&self) -> Endpoint {
        self.endpoint.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The next dial shall not fail because a socket broke.
    fn reopen(&self) {
        if let Ok(endpoint) = open() {
            *self.endpoint.lock().unwrap_or_else(PoisonError::into_inner) = endpoint;
        }
    }
}

/// Why there is no link to the master. Each names the master as it was asked for.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the text of an error says what its fields are")]
pub enum DialError {
    /// The text is no `HOST:PORT`, or the name is not known.
    #[error("find `{host}`: {source}")]
    Resolve {
        /// The master's host and port.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// The two have different secrets.
    #[error(
        "join `{host}`: the master does not accept this worker's secret. LUNAMOTH_SECRET must be the same on both, \
         or unset on both"
    )]
    WrongSecret {
        /// The master's host and port.
        host: String,
    },
    /// The two are of different builds.
    #[error(
        "join `{host}`: the master speaks version {theirs} of the protocol and this worker version {ours}: run the same Lunamoth on both"
    )]
    WrongVersion {
        /// The master's host and port.
        host: String,
        ours: u16,
        theirs: u16,
    },
    /// The master has a reason of its own.
    #[error("join `{host}`: the master refused: {reason}")]
    Refused {
        /// The master's host and port.
        host: String,
        reason: String,
    },
    /// Something else lives there.
    #[error("join `{host}`: what answers there is no Lunamoth master ({reason})")]
    NotAMaster {
        /// The master's host and port.
        host: String,
        reason: String,
    },
    /// Nobody listens, or no packet comes through.
    #[error("join `{host}`: no answer within {waited:?}. Is the master up, and does UDP get through?")]
    NoAnswer {
        /// The master's host and port.
        host: String,
        waited: Duration,
    },
    /// This machine cannot send there.
    #[error("join `{host}`: cannot dial from this machine: {reason}")]
    Local {
        /// The master's host and port.
        host: String,
        reason: String,
    },
}

impl DialError {
    /// Of the failures at several addresses the one that says most is told.
    fn weight(&self) -> u8 {
        match self {
            Self::NoAnswer { .. } => 0,
            Self::Local { .. } => 1,
            Self::NotAMaster { .. } => 2,
            Self::Resolve { .. } | Self::Refused { .. } => 3,
            Self::WrongSecret { .. } => 4,
            Self::WrongVersion { .. } => 5,
        }
    }
}

/// One way to come to terms with a master while secrets are being changed.
#[derive(Debug, Clone)]
struct Way {
    config: ClientConfig,
    /// Which identity the master is asked to present.
    ask: &'static str,
}

/// Whichever of its identities either side has to present: first as if nothing changes, then for a master that has a newer
/// secret than this worker, then for one that has only the older one. There is no cheaper way to agree, for neither side
/// shows what it holds before the other has proved itself.
fn ways(identities: &Identities) -> Vec<Way> {
    std::iter::once(&identities.current)
        .chain(&identities.previous)
        .flat_map(|presented: &Identity| {
            [ASK_CURRENT, ASK_PREVIOUS].map(|ask| Way { config: super::quic::worker(tls::worker(presented, identities)), ask })
        })
        .collect()
}

/// What all attempts of one dial by one way have in common.
#[derive(Debug, Clone)]
struct Dial {
    endpoint: Endpoint,
    host: String,
    way: Way,
    version: u16,
}

impl Dial {
    /// The first link to come about. Begins with the first address, and with the next when one has failed or is slow;
    /// `told` gets the failure that says most, at once, in case the deadline passes while another address is silent.
    async fn any_of(self, addresses: &[SocketAddr], told: &mut DialError) -> Option<PeerLink> {
        let mut waiting = addresses.iter().copied();
        let mut attempts = JoinSet::new();
        loop {
            let begun = waiting.next().map(|address| attempts.spawn(self.clone().attempt(address)));
            let ended = tokio::select! {
                ended = attempts.join_next() => ended,
                () = sleep(NEXT_ADDRESS), if begun.is_some() => continue,
            };
            match ended {
                Some(Ok(Ok(link))) => return Some(link),
                Some(Ok(Err(error))) if error.weight() > told.weight() => *told = error,
                Some(Ok(Err(_))) => {}
                Some(Err(broken)) => {
                    if let Ok(panic) = broken.try_into_panic() {
                        std::panic::resume_unwind(panic);
                    }
                }
                None => return None,
            }
        }
    }

    /// Connects to one address, and shakes hands.
    async fn attempt(self, address: SocketAddr) -> Result<PeerLink, DialError> {
        let connecting = match self.endpoint.connect_with(self.way.config.clone(), address, self.way.ask) {
            Ok(connecting) => connecting,
            Err(ConnectError::InvalidRemoteAddress(_)) => return Err(self.local("it has no IPv6".into())),
            Err(ConnectError::EndpointStopping) => return Err(self.local(SOCKET_BROKE.into())),
            Err(error) => return Err(self.local(error.to_string())),
        };
        let connection = connecting.await.map_err(|end| self.ended(&end))?;
        let (mut send, mut receive) = connection.open_bi().await.map_err(|end| self.ended(&end))?;
        match send.write_all(&preamble(self.version, Instance::default())).await {
            Ok(()) => {}
            Err(WriteError::ConnectionLost(end)) => return Err(self.ended(&end)),
            Err(error) => return Err(self.not_a_master(error.to_string())),
        }
        let mut bytes = [0; PREAMBLE_BYTES];
        match receive.read_exact(&mut bytes).await {
            Ok(()) => {}
            Err(ReadExactError::ReadError(ReadError::ConnectionLost(end))) => return Err(self.ended(&end)),
            Err(error) => return Err(self.not_a_master(error.to_string())),
        }
        match version_of(&bytes) {
            Some(theirs) if theirs == self.version => Ok(PeerLink::new(connection, (send, receive), None, instance_of(&bytes))),
            Some(theirs) => {
                connection.close(CLOSE_VERSION, b"another version of the protocol");
                Err(DialError::WrongVersion { host: self.host, ours: self.version, theirs })
            }
            None => {
                connection.close(CLOSE_FOREIGN, b"no preamble");
                Err(self.not_a_master("it does not begin as a master does".into()))
            }
        }
    }

    /// What the end of a connection before its link means.
    fn ended(&self, end: &ConnectionError) -> DialError {
        let host = self.host.clone();
        match (tls::proof(end), end) {
            (Proof::Refused, _) => DialError::WrongSecret { host },
            (Proof::Foreign, _) => self.not_a_master(end_in_words(end)),
            (Proof::Untold, ConnectionError::ApplicationClosed(_)) => DialError::Refused { host, reason: end_in_words(end) },
            (Proof::Untold, ConnectionError::ConnectionClosed(close)) if close.error_code == TransportErrorCode::CONNECTION_REFUSED => {
                DialError::Refused { host, reason: "it takes no connections at present".into() }
            }
            // How an attempt ends that has run out of the master's time.
            (Proof::Untold, ConnectionError::ConnectionClosed(close)) if close.error_code == TransportErrorCode::APPLICATION_ERROR => {
                DialError::Refused { host, reason: "the handshake took too long".into() }
            }
            (Proof::Untold, ConnectionError::TimedOut | ConnectionError::Reset) => DialError::NoAnswer { host, waited: DIAL_DEADLINE },
            (Proof::Untold, ConnectionError::LocallyClosed | ConnectionError::CidsExhausted) => self.local(end.to_string()),
            (Proof::Untold, _) => self.not_a_master(end_in_words(end)),
        }
    }

    fn not_a_master(&self, reason: String) -> DialError {
        DialError::NotAMaster { host: self.host.clone(), reason }
    }

    fn local(&self, reason: String) -> DialError {
        DialError::Local { host: self.host.clone(), reason }
    }
}

async fn resolve(host: &str) -> Result<Vec<SocketAddr>, DialError> {
    let failed = |source| DialError::Resolve { host: host.to_owned(), source };
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host(host).await.map_err(failed)?.take(ADDRESSES_MAX).collect();
    if addresses.is_empty() {
        return Err(failed(io::Error::new(io::ErrorKind::NotFound, "the name has no address")));
    }
    Ok(addresses)
}

fn open() -> Result<Endpoint, TransportError> {
    let cannot = |source| TransportError::Bind { address: (Ipv6Addr::UNSPECIFIED, 0).into(), source };
    let socket = any_port().map_err(cannot)?;
    Endpoint::new(super::quic::worker_endpoint(), None, socket, Arc::new(TokioRuntime)).map_err(cannot)
}

/// A socket for both families, or for IPv4 where the machine has no IPv6.
fn any_port() -> io::Result<UdpSocket> {
    UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).or_else(|_| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))
}

/// By it a dial knows that its endpoint is of no more use.
const SOCKET_BROKE: &str = "its socket broke";
/// How long [`WorkerEndpoint::dial`] waits over all.
pub const DIAL_DEADLINE: Duration = Duration::from_secs(10);
/// After it the next address is tried beside the one that does not answer.
const NEXT_ADDRESS: Duration = Duration::from_millis(300);
/// More addresses of one name are not dialed.
const ADDRESSES_MAX: usize = 16;
