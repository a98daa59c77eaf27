//! The master's endpoint: takes attempts in, puts each through its paces, and hands out the links that are left.
//!
//! An attempt first shows that its address is its own (a QUIC retry, for which nothing is kept), then takes a place in the
//! [`Doorway`], then has five seconds for TLS and the preamble.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::{Connection, ConnectionError, Endpoint, Incoming, ReadExactError, TokioRuntime, VarInt, WriteError};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::TransportError;
use super::connected::end_in_words;
use super::doorway::Doorway;
use super::link::{CLOSE_DEADLINE, CLOSE_DONE, CLOSE_FOREIGN, CLOSE_TOO_MANY, CLOSE_VERSION, PeerLink, canonical};
use super::preamble::{Instance, PREAMBLE_BYTES, PROTOCOL_VERSION, preamble, version_of};
use super::refusal::{Reason, RefusalCounts, Refusals};
use super::tls::{self, Proof};
use crate::cluster::identity::Identities;

/// Listens for workers. Dropped, it closes all its links.
#[derive(Debug)]
pub struct MasterEndpoint {
    endpoint: Endpoint,
    address: SocketAddr,
    links: mpsc::Receiver<PeerLink>,
    refusals: Arc<RefusalCounts>,
    acceptor: JoinHandle<()>,
    instance: Instance,
}

impl MasterEndpoint {
    /// Listens on this UDP address; `[::]` is for IPv4 too, where the system's `bindv6only` is off, as it is by default. Must
    /// be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// When the port cannot be had.
    pub fn bind(address: SocketAddr, identities: &Identities) -> Result<Self, TransportError> {
        Self::bind_with(address, identities, Limits::default())
    }

    pub(super) fn bind_with(address: SocketAddr, identities: &Identities, limits: Limits) -> Result<Self, TransportError> {
        let cannot = |source| TransportError::Bind { address, source };
        let socket = UdpSocket::bind(address).map_err(cannot)?;
        let bound = socket.local_addr().map_err(cannot)?;
        match super::quic::widen(&socket) {
            Ok(bytes) => log::debug!("UDP `{bound}` holds {} KiB of arriving packets", bytes / 1024),
            Err(error) => log::debug!("UDP `{bound}` keeps its size: {error}"),
        }
        let endpoint = Endpoint::new(
            super::quic::master_endpoint(&identities.current),
            Some(super::quic::master(tls::master(identities))),
            socket,
            Arc::new(TokioRuntime),
        )
        .map_err(cannot)?;
        let (hand_out, links) = mpsc::channel(HANDED_OUT_MAX);
        let refusals = Arc::new(RefusalCounts::default());
        let instance = Instance::random();
        let acceptor = Acceptor {
            endpoint: endpoint.clone(),
            doorway: Doorway::new(limits.half_open, limits.half_open_of_network),
            places: Arc::new(Semaphore::new(limits.links)),
            refusals: refusals.clone(),
            hand_out,
            limits,
            instance,
        };
        Ok(Self { endpoint, address: bound, links, refusals, acceptor: tokio::spawn(acceptor.run()), instance })
    }

    /// The next link whose peer has proved that it holds the secret and speaks this version; nothing when the endpoint is
    /// closed or its socket broke. Cancelled, it loses nothing.
    pub async fn accept(&mut self) -> Option<PeerLink> {
        self.links.recv().await
    }

    /// The address that it listens on, with the port that the system chose where 0 was asked for.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// By which dials know it from other masters.
    #[must_use]
    pub fn instance(&self) -> Instance {
        self.instance
    }

    /// Who was not let in so far.
    #[must_use]
    pub fn refusals(&self) -> Refusals {
        self.refusals.snapshot()
    }

    /// The counters behind [`MasterEndpoint::refusals`], for a part of the program that has not the endpoint.
    #[must_use]
    pub fn refusal_counts(&self) -> Arc<RefusalCounts> {
        self.refusals.clone()
    }

    /// Connections that exist, half-open ones and those that are going included.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.endpoint.open_connections()
    }

    /// Closes all links with this reason, lets nobody in any more, and waits up to a second until the peers have been told.
    pub async fn close(self, reason: &str) {
        self.endpoint.close(CLOSE_DONE, reason.as_bytes());
        // A peer that cannot be told will notice by itself.
        drop(timeout(CLOSE_DEADLINE, self.endpoint.wait_idle()).await);
    }
}

impl Drop for MasterEndpoint {
    fn drop(&mut self) {
        self.acceptor.abort();
        self.endpoint.close(CLOSE_DONE, b"the master went away");
    }
}

/// What the endpoint grants.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// From the first packet of a shown address to the end of the preamble.
    pub deadline: Duration,
    /// Attempts that are under way.
    pub half_open: usize,
    /// Those from one network.
    pub half_open_of_network: usize,
    /// At a time, accepted or not.
    pub links: usize,
    /// Told in the preamble.
    pub version: u16,
}

impl Default for Limits {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(5), half_open: 1_024, half_open_of_network: 768, links: 4_096, version: PROTOCOL_VERSION }
    }
}

/// The task that takes attempts in.
struct Acceptor {
    endpoint: Endpoint,
    doorway: Arc<Doorway>,
    places: Arc<Semaphore>,
    refusals: Arc<RefusalCounts>,
    hand_out: mpsc::Sender<PeerLink>,
    limits: Limits,
    instance: Instance,
}

impl Acceptor {
    async fn run(self) {
        // No more of them than there are places in the doorway, and as many that wait to be handed out.
        let mut attempts = JoinSet::new();
        while let Some(incoming) = self.endpoint.accept().await {
            while attempts.try_join_next().is_some() {}
            self.on_incoming(incoming, &mut attempts);
        }
    }

    fn on_incoming(&self, incoming: Incoming, attempts: &mut JoinSet<()>) {
        if !incoming.remote_address_validated() {
            // Fails only for an address that is validated already.
            drop(incoming.retry());
            return;
        }
        let remote = canonical(incoming.remote_address());
        let Some(in_doorway) = self.doorway.enter(remote.ip()) else {
            self.refusals.count(Reason::TooMany, remote, ": half-open attempts");
            return incoming.refuse();
        };
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            self.refusals.count(Reason::TooMany, remote, ": links");
            return incoming.refuse();
        };
        let (refusals, hand_out, limits, instance) = (self.refusals.clone(), self.hand_out.clone(), self.limits, self.instance);
        attempts.spawn(async move {
            let outcome = timeout(limits.deadline, prove(incoming, limits.version, instance)).await;
            drop(in_doorway);
            match outcome {
                Ok(Ok(proved)) => {
                    let link = PeerLink::new(proved.connection, proved.streams, Some(place), Instance::default());
                    if let Err(late) = hand_out.send_timeout(link, limits.deadline).await {
                        refusals.count(Reason::TooMany, remote, ": links that nobody takes");
                        late.into_inner().handle().refuse(CLOSE_TOO_MANY, "the master is too busy");
                    }
                }
                Ok(Err(refused)) => {
                    refusals.count(refused.reason, remote, &refused.detail);
                    refused.say_goodbye().await;
                }
                // What there was of a connection was dropped with the attempt, which closes it.
                Err(_) => refusals.count(Reason::TimedOut, remote, ""),
            }
        });
    }
}

/// An attempt that came through.
struct Proved {
    connection: Connection,
    streams: (quinn::SendStream, quinn::RecvStream),
}

/// An attempt that did not.
struct Refused {
    reason: Reason,
    detail: String,
    /// Where there is a connection: it, the code to close it with, and the words.
    farewell: Option<(Connection, VarInt, String)>,
}

impl Refused {
    /// The connection ended by itself.
    fn ended(end: &ConnectionError) -> Self {
        let reason = match tls::proof(end) {
            Proof::Refused => Reason::WrongSecret,
            Proof::Foreign => Reason::NotOurs,
            Proof::Untold if matches!(end, ConnectionError::TransportError(_)) => Reason::NotOurs,
            Proof::Untold => Reason::TimedOut,
        };
        let detail = if reason == Reason::WrongSecret { String::new() } else { format!(": {}", end_in_words(end)) };
        Self { reason, detail, farewell: None }
    }

    fn foreign(connection: Connection) -> Self {
        let words = "a Lunamoth master lives here, and this did not begin as a worker does".to_owned();
        Self { reason: Reason::NotOurs, detail: ": no preamble".into(), farewell: Some((connection, CLOSE_FOREIGN, words)) }
    }

    fn version(connection: Connection, ours: u16, theirs: u16) -> Self {
        let words = format!("the master speaks version {ours} of the protocol and the worker version {theirs}");
        Self { reason: Reason::WrongVersion, detail: format!(": {theirs}, not {ours}"), farewell: Some((connection, CLOSE_VERSION, words)) }
    }

    /// Leaves the peer a moment to read the preamble, which closing would throw away, then closes.
    async fn say_goodbye(self) {
        if let Some((connection, code, words)) = self.farewell {
            drop(timeout(GOODBYE, connection.closed()).await);
            connection.close(code, words.as_bytes());
        }
    }
}

/// TLS, then the preambles.
async fn prove(incoming: Incoming, version: u16, instance: Instance) -> Result<Proved, Refused> {
    let connecting = incoming.accept().map_err(|end| Refused::ended(&end))?;
    let connection = connecting.await.map_err(|end| Refused::ended(&end))?;
    let (mut send, mut receive) = connection.accept_bi().await.map_err(|end| Refused::ended(&end))?;
    let mut theirs = [0; PREAMBLE_BYTES];
    match receive.read_exact(&mut theirs).await {
        Ok(()) => {}
        Err(ReadExactError::ReadError(quinn::ReadError::ConnectionLost(end))) => return Err(Refused::ended(&end)),
        Err(_) => return Err(Refused::foreign(connection)),
    }
    let Some(their_version) = version_of(&theirs) else {
        return Err(Refused::foreign(connection));
    };
    match send.write_all(&preamble(version, instance)).await {
        Ok(()) => {}
        Err(WriteError::ConnectionLost(end)) => return Err(Refused::ended(&end)),
        Err(_) => return Err(Refused::foreign(connection)),
    }
    if their_version == version {
        return Ok(Proved { connection, streams: (send, receive) });
    }
    // The stream ends after the preamble; dropped without an end it would be reset.
    drop(send.finish());
    Err(Refused::version(connection, version, their_version))
}

/// Links that wait for [`MasterEndpoint::accept`].
const HANDED_OUT_MAX: usize = 64;
/// For the peer to read why it is refused.
const GOODBYE: Duration = Duration::from_secs(1);
