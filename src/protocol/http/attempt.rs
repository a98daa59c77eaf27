//! What came of one request on one connection, whatever the protocol's version.

use std::time::Instant;

use super::classify::Failure;
use super::decode::Body;
use super::exchange::Version;
use super::headers::Headers;

/// What came of one request on one connection.
#[derive(Debug)]
pub(super) struct Attempt {
    /// 0 until the head has arrived.
    pub status: u16,
    /// Of the answer.
    pub version: Version,
    /// Of the answer.
    pub headers: Headers,
    /// As far as it came.
    pub body: Body,
    /// Why the answer is not whole.
    pub failure: Option<Failure>,
    /// The connection may carry the next request.
    pub is_reusable: bool,
    /// The last byte of the request was written (HTTP/2: handed over).
    pub sent_at: Option<Instant>,
    /// The first byte of the answer was read (HTTP/2: its head).
    pub first_byte_at: Option<Instant>,
    /// The last byte of the answer was read, or the failure seen.
    pub ended_at: Instant,
    /// A byte of the request was written.
    pub was_sent: bool,
}
