//! The sample: what is known of one finished hop, and the closed lists that describe its outcome.
//!
//! Owns the vocabulary of measurement. It does not know who made a sample (`script`, `protocol`) nor how samples are added up (`recorder`).

use std::time::Duration;

pub use super::phases::Phases;

/// One finished hop: one request and its answer, or the lack of one.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// From the ask to the last byte of the body, connection set-up included.
    pub duration: Duration,
    /// From the due time to the last byte, where the iteration had a due time (open model).
    pub since_due: Option<Duration>,
    /// The parts of `duration`.
    pub phases: Phases,
    /// Bytes written to the wire, headers included.
    pub bytes_out: u64,
    /// Bytes read from the wire, headers included.
    pub bytes_in: u64,
    /// Bytes of the unpacked body; `None` where nobody unpacked it and it does not say itself.
    pub body_bytes: Option<u64>,
    /// The status code; 0 without an answer.
    pub status: u16,
    /// How far the hop came.
    pub answer: Answer,
    /// Why the hop counts as failed; `None` if it does not.
    pub failure: Option<FailureKind>,
    /// How often the hop was sent again because a reused connection turned out to be closed.
    pub stale_retries: u32,
    /// How many of those retries had already written bytes of the request, so that the target may have served them unanswered.
    pub stale_unanswered: u32,
}

/// How far a hop came: decides in which of the columns `not_sent` and `unanswered` it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Answer {
    /// No byte of the request was written.
    #[default]
    NotSent,
    /// Bytes were written; no response head arrived.
    Unanswered,
    /// The response head arrived.
    Answered,
}

/// Why a hop failed: the closed list of `measuring.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailureKind {
    /// The connection was refused.
    Refused,
    /// No route to the address.
    Unreachable,
    /// The connection was reset or closed before the answer's end.
    Reset,
    /// A reused connection ended as the request went out, before any byte of the answer, and the request could not be sent again.
    Stale,
    /// Name look-up, connect and TLS took longer than the connect timeout.
    ConnectTimeout,
    /// The answer was not complete within the request timeout.
    Timeout,
    /// The name has no address.
    Dns,
    /// The TLS handshake failed.
    Tls,
    /// What came back was not HTTP, or shorter than it promised.
    Protocol,
    /// The body exceeded the limit.
    TooLarge,
    /// The redirects exceeded the limit.
    TooManyRedirects,
    /// Status 400 or above.
    Status,
    /// An `expect` did not hold.
    Expect,
    /// The script called `res:fail()`.
    Script,
    /// Still in flight when the stop timeout ended.
    Cut,
    /// Descriptors, ports or buffers of the generator itself were exhausted; never held against the target.
    Local,
}

impl FailureKind {
    /// Every kind, in the order of the contract.
    pub const ALL: [Self; 16] = [
        Self::Refused,
        Self::Unreachable,
        Self::Reset,
        Self::Stale,
        Self::ConnectTimeout,
        Self::Timeout,
        Self::Dns,
        Self::Tls,
        Self::Protocol,
        Self::TooLarge,
        Self::TooManyRedirects,
        Self::Status,
        Self::Expect,
        Self::Script,
        Self::Cut,
        Self::Local,
    ];

    /// The kind's name in Lua (`res.error_kind`), tables and files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Reset => "reset",
            Self::Stale => "stale",
            Self::ConnectTimeout => "connect_timeout",
            Self::Timeout => "timeout",
            Self::Dns => "dns",
            Self::Tls => "tls",
            Self::Protocol => "protocol",
            Self::TooLarge => "too_large",
            Self::TooManyRedirects => "too_many_redirects",
            Self::Status => "status",
            Self::Expect => "expect",
            Self::Script => "script",
            Self::Cut => "cut",
            Self::Local => "local",
        }
    }

    /// What a person reads where nobody said more.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Refused => "connection refused",
            Self::Unreachable => "no route to the address",
            Self::Reset => "connection closed before the answer's end",
            Self::Stale => "a reused connection was closed as the request went out, and it could not be sent again",
            Self::ConnectTimeout => "no connection within the connect timeout",
            Self::Timeout => "no complete answer within the request timeout",
            Self::Dns => "the name has no address",
            Self::Tls => "TLS handshake failed",
            Self::Protocol => "the answer is not valid HTTP",
            Self::TooLarge => "the body exceeds the limit",
            Self::TooManyRedirects => "too many redirects",
            Self::Status => "status 400 or above",
            Self::Expect => "an expectation did not hold",
            Self::Script => "failed by the script",
            Self::Cut => "cut off by the end of the run",
            Self::Local => "the generator ran out of descriptors, ports or buffers",
        }
    }
}
