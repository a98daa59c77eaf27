//! How QUIC is set up on both sides: what it keeps alive, how much it buffers, how it answers loss.

use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use quinn::congestion::BbrConfig;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::crypto::{CryptoError, HmacKey};
use quinn::udp::{UdpSockRef, UdpSocketState};
use quinn::{ClientConfig, EndpointConfig, IdleTimeout, ServerConfig, TransportConfig, VarInt};
use quinn_proto::HashedConnectionIdGenerator;

use crate::cluster::identity::{Identity, RESET_TAG_BYTES, ResetKey};

/// The master's endpoint: its connection ids and reset tokens follow from the secret, so that after a restart it knows the
/// ids of old connections and ends them at the first packet instead of leaving the workers to time out.
pub(super) fn master_endpoint(identity: &Identity) -> EndpointConfig {
    let mut config = EndpointConfig::new(Arc::new(identity.reset_key().clone()));
    let key = identity.connection_id_key();
    config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(key)));
    config.min_reset_interval(RESET_INTERVAL);
    config
}

/// A worker's endpoint has random keys: were they the master's, anybody could have a worker reset the master's connections.
pub(super) fn worker_endpoint() -> EndpointConfig {
    EndpointConfig::default()
}

/// Asks the system for a socket that holds what hundreds of workers send in the same moment, and answers how much it got.
/// The system may give less; then packets are lost in such moments and sent again.
pub(super) fn widen(socket: &UdpSocket) -> io::Result<usize> {
    let state = UdpSocketState::new(UdpSockRef::from(socket))?;
    state.set_recv_buffer_size(UdpSockRef::from(socket), SOCKET_BYTES)?;
    state.set_send_buffer_size(UdpSockRef::from(socket), SOCKET_BYTES)?;
    state.recv_buffer_size(UdpSockRef::from(socket))
}

/// What the master offers whoever comes.
pub(super) fn master(tls: QuicServerConfig) -> ServerConfig {
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    config
        .transport_config(Arc::new(transport(1)))
        .max_incoming(INCOMING_MAX)
        .incoming_buffer_size(INCOMING_BYTES)
        .incoming_buffer_size_total(INCOMING_BYTES_TOTAL);
    config
}

/// What a worker dials with.
pub(super) fn worker(tls: QuicClientConfig) -> ClientConfig {
    let mut config = ClientConfig::new(Arc::new(tls));
    config.transport_config(Arc::new(transport(0)));
    config
}

/// `streams` is how many the peer may open.
fn transport(streams: u32) -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(streams))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from_u32(WINDOW_BYTES))
        .receive_window(VarInt::from_u32(WINDOW_BYTES))
        .send_window(u64::from(WINDOW_BYTES))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(Some(IdleTimeout::try_from(IDLE).expect("ten seconds are a short time")))
        .initial_rtt(INITIAL_RTT)
        // Cubic takes every lost packet for a full queue and shrinks to two packets a round trip; BBR goes by what arrives. With
        // one packet of five lost and 100 ms each way, 400 kB take 1.2 s with BBR and 27 s with Cubic (the test in
        // `tests/lossy.rs`, quinn 0.11.12, debug build on two cores, 2026-11-24). quinn calls its BBR experimental.
        .congestion_controller_factory(Arc::new(BbrConfig::default()));
    config
}

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], signature_out: &mut [u8]) {
        signature_out.copy_from_slice(&Self::sign(self, data));
    }

    fn signature_len(&self) -> usize {
        RESET_TAG_BYTES
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        if self.is_tag_of(data, signature) { Ok(()) } else { Err(CryptoError) }
    }
}

const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// Silence after which a connection is gone. The master and the worker lose patience earlier, by their own beats.
const IDLE: Duration = Duration::from_secs(10);
/// Before there is a measurement. RFC 9002 says 333 ms; this repeats a lost first packet after 300 ms instead of one second.
const INITIAL_RTT: Duration = Duration::from_millis(100);
/// In each direction of a link: at a round trip of 200 ms it allows 2.5 MB/s.
const WINDOW_BYTES: u32 = 512 * 1024;
/// Five hundred workers of a restarted master are reset within half a second; the answers are smaller than what asks for them.
const RESET_INTERVAL: Duration = Duration::from_millis(1);
/// The largest that Linux grants without a change of `net.core.rmem_max`, where that is at its newer default.
const SOCKET_BYTES: usize = 4 * 1024 * 1024;
/// Attempts that wait to be looked at. Each is looked at as soon as it comes, and most are answered at once.
const INCOMING_MAX: usize = 1_024;
const INCOMING_BYTES: u64 = 16 * 1024;
const INCOMING_BYTES_TOTAL: u64 = 4 * 1024 * 1024;
