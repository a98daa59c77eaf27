//! The words of one hop: what is asked, how far it has come, what came of it. Hardly any behaviour.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::body::Body;
use super::classify::Failure;
use super::headers::Headers;
use super::origin::Origin;

/// One hop to be made.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// Upper case, a valid token.
    pub method: &'a str,
    /// The server that it is for.
    pub origin: Rc<Origin>,
    /// Path and query, beginning with `/`, already encoded.
    pub path: &'a str,
    /// Header block as it goes out: `name: value\r\n` each, without `host`, `content-length` and `connection`, which the exchange writes
    /// itself (`host` only unless `has_host`). The caller has checked names and values.
    pub headers: &'a [u8],
    /// The header block bears a `host` of the caller's own.
    pub has_host: bool,
    /// `None`: no body and no `content-length` (0 for POST, PUT, PATCH).
    pub body: Option<&'a [u8]>,
    /// When it was asked for: the hop's duration and its timeout count from here. `None`: from the call of the exchange on.
    pub asked: Option<Instant>,
    /// From the ask to the last byte.
    pub timeout: Duration,
    /// Bytes of the body, packed or unpacked.
    pub body_limit: u64,
    /// The body is to be unpacked where somebody looks: undo `content-encoding`.
    pub decode: bool,
    /// Count the body's bytes and throw them away.
    pub discard: bool,
    /// An event stream that goes on is ended by the timeout, and that is its proper end.
    pub ends_streams: bool,
    /// Which connections it may have.
    pub connection: ConnectionRules,
}

/// Which connections a request may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionRules {
    /// What the server is offered to speak.
    pub offer: Offer,
    /// The connection may be one that was used before, and may be used again. Otherwise the request has one of its own, and says so.
    pub keepalive: bool,
    /// So many HTTP/1.1 connections of the user to the origin may be open at a time; what comes beyond waits in line. At least 1.
    pub max_connections: u32,
    /// A connection that has been open for so long takes no further request, and is closed behind its answer.
    pub max_age: Option<Duration>,
    /// So many requests and a connection takes no further one.
    pub max_requests: Option<NonZeroU32>,
}

impl ConnectionRules {
    /// Whether these rules let a connection that has carried `carried` requests take another one at `age`.
    pub(super) fn allow_another(&self, carried: u32, age: impl FnOnce() -> Duration) -> bool {
        self.max_requests.is_none_or(|max| carried < max.get()) && self.max_age.is_none_or(|max| age() < max)
    }
}

impl Default for ConnectionRules {
    /// Six connections, as browsers have them.
    fn default() -> Self {
        Self { offer: Offer::Any, keepalive: true, max_connections: 6, max_age: None, max_requests: None }
    }
}

/// What a server is offered to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Offer {
    /// Over TLS what it likes best of HTTP/2 and HTTP/1.1, else HTTP/1.1.
    #[default]
    Any,
    /// HTTP/1.1 alone, even over TLS.
    Http11,
    /// HTTP/2 alone; without TLS by prior knowledge.
    Http2,
}

/// How far an exchange has come, readable from outside while it is under way, so that a dropped one can be told apart.
#[derive(Debug, Default)]
pub struct Progress {
    /// When it was asked for; `None` before its first step.
    pub began: Cell<Option<Instant>>,
    /// Bytes written so far.
    pub bytes_out: Cell<u64>,
    /// Bytes read so far.
    pub bytes_in: Cell<u64>,
    /// The response head has arrived: its status, else 0.
    pub status: Cell<u16>,
    /// Bytes of the last attempt's request were written.
    pub was_sent: Cell<bool>,
    /// Stale retries so far.
    pub stale_retries: Cell<u32>,
    /// Stale retries so far that had written bytes.
    pub stale_unanswered: Cell<u32>,
}

/// A finished hop, as the client saw it.
#[derive(Debug, Default)]
pub struct Exchange {
    /// 0 without an answer.
    pub status: u16,
    /// Of the answer, if one came.
    pub version: Version,
    /// Of the answer, if one came.
    pub headers: Headers,
    /// As it came; without bytes if discarded. After a failure, what had arrived until then.
    pub body: Body,
    /// The parts of the hop's time.
    pub timings: Timings,
    /// On the wire, headers included, all attempts.
    pub bytes_out: u64,
    /// On the wire, headers included.
    pub bytes_in: u64,
    /// Why there is no whole answer. A status of 400 or above is no failure here.
    pub failure: Option<Failure>,
    /// Bytes of the last attempt's request were written.
    pub was_sent: bool,
    /// How often a reused connection had turned out closed and the request was sent again.
    pub stale_retries: u32,
    /// Those of them that had written bytes.
    pub stale_unanswered: u32,
}

/// The parts of one hop; `None` where a part did not take place.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timings {
    /// All before the first byte is sent that is no other part.
    pub blocked: Option<Duration>,
    /// Looking a name up at a name server.
    pub dns: Option<Duration>,
    /// The handshake of a TCP connection.
    pub connect: Option<Duration>,
    /// The handshake of TLS, after TCP's.
    pub tls: Option<Duration>,
    /// First to last byte of the request.
    pub send: Option<Duration>,
    /// To the first byte of the answer (HTTP/2: its head).
    pub wait: Option<Duration>,
    /// To the last byte.
    pub receive: Option<Duration>,
    /// All together, from the ask.
    pub total: Duration,
}

impl Timings {
    /// What it took to make the connection.
    pub(super) fn set_up(&self) -> Duration {
        match (self.dns, self.connect, self.tls) {
            // On a kept-alive connection, as nearly always.
            (None, None, None) => Duration::ZERO,
            (dns, connect, tls) => [dns, connect, tls].into_iter().flatten().sum(),
        }
    }
}

/// The protocol version of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names say it all")]
pub enum Version {
    Http10,
    #[default]
    Http11,
    Http2,
}
