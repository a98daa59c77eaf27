//! What came of one request on one connection, whatever the protocol's version.

use std::time::Instant;

use super::body::Body;
use super::classify::Failure;
use super::exchange::Version;
use super::headers::Headers;

/// What came of one request on one connection.
#[derive(Debug)]
pub(super) struct Attempt {
    /// 0 until the head has arrived.
    pub status: u16,
    pub version: Version,
    pub headers: Headers,
    /// As far as it came.
    pub body: Body,
    /// Why the answer is not whole.
    pub failure: Option<Failure>,
    /// The connection may carry the next request.
    pub is_reusable: bool,
    /// The connection had room for the request (HTTP/2: its stream was opened); `None` where it has at once.
    pub began_at: Option<Instant>,
    /// The last byte of the request was written.
    pub sent_at: Option<Instant>,
    /// The first byte of the answer was read (HTTP/2: its head).
    pub first_byte_at: Option<Instant>,
    /// The last byte of the answer was read, or the failure seen.
    pub ended_at: Instant,
    /// A byte of the request was written.
    pub was_sent: bool,
    /// What the server said of an HTTP/2 stream that it ended; `None` too where only the connection broke.
    pub stream_end: Option<StreamEnd>,
}

/// How a server ends an HTTP/2 stream without a whole answer (RFC 9113, section 8.7: the first two were not processed).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamEnd {
    /// `REFUSED_STREAM`: not processed, and the connection goes on.
    Refused,
    /// `GOAWAY`, and the stream lies above the last one that is processed; also a stream that never was opened, as its connection ended.
    GoneAway,
    /// `HTTP_1_1_REQUIRED`: the server will hear it over HTTP/1.1 only.
    Http11Required,
    /// Any other `RST_STREAM`: an answer of its kind, which another try does not mend.
    Reset,
}
