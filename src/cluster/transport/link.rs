//! A link whose peer has proved itself: two halves for frames, and a handle on the connection under them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quinn::{Connection, RecvStream, SendStream, VarInt};
use tokio::sync::OwnedSemaphorePermit;

use super::connected::{Connected, end_in_words};
use super::frame::{FrameReceiver, FrameSender};
use super::preamble::Instance;

/// A link to a peer that holds the secret and speaks this version. It closes when all its parts are dropped.
#[derive(Debug)]
pub struct PeerLink {
    /// Frames to the peer.
    pub sender: FrameSender,
    /// Frames from the peer.
    pub receiver: FrameReceiver,
    /// Where the peer was when the link came about; [`LinkHandle::remote`] follows it.
    pub remote: SocketAddr,
    /// Which master the peer is; none of a worker.
    pub instance: Instance,
}

impl PeerLink {
    pub(super) fn new(
        connection: Connection,
        streams: (SendStream, RecvStream),
        place: Option<OwnedSemaphorePermit>,
        instance: Instance,
    ) -> Self {
        let remote = canonical(connection.remote_address());
        let connected = Arc::new(Connected { connection, _place: place });
        let (send, receive) = streams;
        Self { sender: FrameSender::new(send, connected.clone()), receiver: FrameReceiver::new(receive, connected), remote, instance }
    }

    /// A handle that outlives the split into halves.
    #[must_use]
    pub fn handle(&self) -> LinkHandle {
        LinkHandle(self.sender.connected().clone())
    }

    /// The connection's estimate of the time to the peer and back.
    #[must_use]
    pub fn rtt(&self) -> Duration {
        self.handle().rtt()
    }

    /// Closes the link at once; see [`LinkHandle::close`].
    pub fn close(&self, reason: &str) {
        self.handle().close(reason);
    }
}

/// The connection under a link. While a clone of it lives, the link does not close by itself.
#[derive(Debug, Clone)]
pub struct LinkHandle(Arc<Connected>);

impl LinkHandle {
    /// The connection's estimate of the time to the peer and back, smoothed.
    #[must_use]
    pub fn rtt(&self) -> Duration {
        self.0.connection.rtt()
    }

    /// Where the peer is at present: a link follows a peer that changes its address.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        canonical(self.0.connection.remote_address())
    }

    /// Closes the link at once and tells the peer why. What was sent and has not arrived is lost:
    /// [`FrameSender::finish`] first where that matters.
    pub fn close(&self, reason: &str) {
        self.0.connection.close(CLOSE_DONE, reason.as_bytes());
    }

    /// Closes the link with the code of a refusal.
    pub(super) fn refuse(&self, code: VarInt, reason: &str) {
        self.0.connection.close(code, reason.as_bytes());
    }

    /// Waits until the link is closed or lost, and says why, in words.
    pub async fn closed(&self) -> String {
        end_in_words(&self.0.connection.closed().await)
    }
}

/// IPv4 addresses as such: a socket for both families shows them inside IPv6.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The peer is done, or says why not in its words.
pub(super) const CLOSE_DONE: VarInt = VarInt::from_u32(0);
/// The two versions do not mix.
pub(super) const CLOSE_VERSION: VarInt = VarInt::from_u32(1);
/// The peer did not begin with the preamble.
pub(super) const CLOSE_FOREIGN: VarInt = VarInt::from_u32(2);
/// The master has all the links it may have.
pub(super) const CLOSE_TOO_MANY: VarInt = VarInt::from_u32(3);
/// For an endpoint that closes to tell its peers.
pub(super) const CLOSE_DEADLINE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_peer_of_a_socket_for_both_families_shows_as_ipv4() {
        assert_eq!(canonical("[::ffff:10.0.0.7]:5557".parse().unwrap()), "10.0.0.7:5557".parse().unwrap());
        assert_eq!(canonical("[fe80::1]:5557".parse().unwrap()), "[fe80::1]:5557".parse().unwrap());
    }
}
