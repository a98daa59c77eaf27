//! An HTTP client for a load generator: one hop in, one exchange with phase times, sizes and an outcome out.
//!
//! HTTP/1.1 is written by hand on `TcpStream` (it is the hot path); HTTP/2 is hyper's. Each user has its own [`Connections`];
//! users of one lane share a [`Context`] (TLS configuration, DNS cache). Redirects, cookies and names are decisions of the caller,
//! with pure helpers here.

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

/// What all requests of one lane obey.
#[derive(Debug, Clone)]
pub struct Settings {
    /// For name look-up, connect and TLS together.
    pub connect_timeout: Duration,
    /// Accept any certificate.
    pub insecure_tls: bool,
    /// PEM text of certificate authorities to trust besides the usual ones.
    pub extra_roots: Option<String>,
    /// PEM text of a client certificate chain and its key.
    pub client_identity: Option<(String, String)>,
    /// Look each name up for each new connection.
    pub dns_fresh: bool,
    /// Names and their addresses that need no look-up.
    pub hosts: Vec<(String, IpAddr)>,
    /// Honour `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`.
    pub proxy_from_env: bool,
}

/// What the users of one lane share.
#[derive(Debug)]
pub struct Context {}

impl Context {
    /// Reads roots and certificates once.
    ///
    /// # Errors
    /// A text for people that names the certificate or setting at fault.
    pub fn new(_settings: Settings) -> Result<Self, String> {
        todo!()
    }
}

/// Where a request goes: parsed once, shared by all requests to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// `https`.
    pub tls: bool,
    /// Lower case; an IPv6 address without brackets.
    pub host: String,
    /// The default filled in.
    pub port: u16,
    /// As the `Host` header has it: without the scheme's default port, IPv6 in brackets.
    pub authority: String,
}

/// One hop to be made.
#[derive(Debug)]
pub struct Request<'a> {
    /// Upper case, a valid token.
    pub method: &'a str,
    /// Where to.
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
    /// From now to the last byte.
    pub timeout: Duration,
    /// Decoded bytes.
    pub body_limit: u64,
    /// Undo `content-encoding`.
    pub decode: bool,
    /// Count the body's bytes and throw them away.
    pub discard: bool,
}

/// How far an exchange has come, readable from outside while it is under way, so that a dropped one can be told apart.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes written so far.
    pub bytes_out: Cell<u64>,
    /// Bytes read so far.
    pub bytes_in: Cell<u64>,
    /// The response head has arrived: its status, else 0.
    pub status: Cell<u16>,
    /// Stale retries so far.
    pub stale_retries: Cell<u32>,
    /// Stale retries so far that had written bytes.
    pub stale_unanswered: Cell<u32>,
}

/// One finished hop.
#[derive(Debug, Default)]
pub struct Exchange {
    /// 0 without an answer.
    pub status: u16,
    /// Of the answer.
    pub version: Version,
    /// Of the answer.
    pub headers: Headers,
    /// Decoded; empty if discarded.
    pub body: Vec<u8>,
    /// Length of the decoded body, discarded or not.
    pub body_bytes: u64,
    /// The parts.
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
    /// Name look-up.
    pub dns: Option<Duration>,
    /// TCP connect.
    pub connect: Option<Duration>,
    /// TLS handshake.
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

/// Why there is no whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The closed kind.
    pub kind: FailureKind,
    /// For people: lower-case fragment such as `connection refused by 127.0.0.1:80`. Few distinct texts: no counters, no ports of ours.
    pub message: String,
}

/// Kinds of failure that an HTTP client can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the closed list of the statistics, documented there")]
pub enum FailureKind {
    Refused,
    Unreachable,
    Reset,
    Stale,
    ConnectTimeout,
    Timeout,
    Dns,
    Tls,
    Protocol,
    TooLarge,
    Local,
}

/// The protocol version of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    #[default]
    Http11,
    /// HTTP/2.
    Http2,
}

/// The header fields of an answer, kept as one block and searched when asked.
#[derive(Debug, Clone, Default)]
pub struct Headers {}

impl Headers {
    /// The first value of `name`, any case; bytes as they came.
    #[must_use]
    pub fn get(&self, _name: &str) -> Option<&[u8]> {
        todo!()
    }

    /// All fields in order; names in lower case.
    pub fn iter(&self) -> impl Iterator<Item = (std::borrow::Cow<'_, str>, &[u8])> {
        std::iter::empty()
    }
}

/// The connections of one user.
#[derive(Debug)]
pub struct Connections {}

impl Connections {
    /// No connection yet.
    #[must_use]
    pub fn new(_context: Rc<Context>) -> Self {
        todo!()
    }

    /// Makes one hop. Never fails as Rust: what went wrong stands in [`Exchange::failure`].
    pub async fn exchange(&self, _request: &Request<'_>, _progress: &Progress) -> Exchange {
        todo!()
    }

    /// Closes idle connections.
    pub fn clear(&self) {
        todo!()
    }
}
