//! Bytes between master and workers: QUIC with mutual authentication, a preamble, and frames. Knows nothing of messages.
//!
//! A link is one QUIC connection with one stream that the worker opens. Both sides first send the `preamble`, then frames
//! (`frame`). A master ([`MasterEndpoint`]) hands out only links whose peer has proved that it holds the secret and speaks
//! this version; whoever else came is counted ([`Refusals`]). A worker ([`WorkerEndpoint`]) dials, and is told in words why
//! it may not come in.
//!
//! What a peer can cost: before it has proved itself, nothing until it has shown that its address is its own, then the
//! state of one connection and at most 16 KiB of handshake for each of TLS's three stages, for five seconds; no more than 1,024
//! such peers stand in the door at once. A link buffers at most 512 KiB in each direction, besides the one frame that is being
//! put together: 500 links are bounded by 500 MiB, and use what is really on its way. There are at most 4,096 links.

use std::io;
use std::net::SocketAddr;

mod accept;
mod connected;
mod dial;
mod doorway;
mod frame;
mod link;
mod preamble;
mod quic;
mod refusal;
mod tls;

pub use accept::MasterEndpoint;
pub use dial::{DIAL_DEADLINE, DialError, WorkerEndpoint};
pub use frame::{FRAME_BYTES_MAX, FrameError, FrameReceiver, FrameSender};
pub use link::{LinkHandle, PeerLink};
pub use preamble::{Instance, PROTOCOL_VERSION};
pub use refusal::{RefusalCounts, Refusals};

/// An endpoint could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The UDP port could not be had.
    #[error("listen on UDP `{address}`: {source}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests;
