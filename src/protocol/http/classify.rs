//! What can go wrong in a hop, and which kind an operating system's error is.
//!
//! Messages are grouped by their text in the statistics, so they name the target and the limit, never a count or a port of ours.

use std::io;
use std::time::Duration;

use super::tls_words;

/// Why there is no whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The kind, of a closed list.
    pub kind: FailureKind,
    /// For people: lower-case fragment such as `connection refused by 127.0.0.1:80`. Few distinct texts: no counters, no ports of ours.
    pub message: String,
}

impl Failure {
    /// A failure with its text.
    #[must_use]
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The answer breaks the rules of HTTP.
    pub(super) fn protocol(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Protocol, message)
    }

    /// The connection to `peer` ended where it must not.
    pub(super) fn reset(peer: &str) -> Self {
        Self::new(FailureKind::Reset, format!("connection closed by {peer} before the answer"))
    }

    /// The request's own time is over.
    #[must_use]
    pub fn timeout(limit: Duration) -> Self {
        Self::new(FailureKind::Timeout, format!("{NO_ANSWER} {}", spell(limit)))
    }

    /// This one, with `limit` as the request's whole time where that is what was over.
    pub fn name_limit(&mut self, limit: Duration) {
        if self.kind == FailureKind::Timeout && self.message.starts_with(NO_ANSWER) {
            *self = Self::timeout(limit);
        }
    }

    /// The request's own time is over, and all of it that was left went by in line for a connection.
    pub(super) fn no_connection_free(peer: &str, max: u32) -> Self {
        let what = if max == 1 { "the one connection".to_owned() } else { format!("all {max} connections") };
        Self::new(FailureKind::Timeout, format!("{what} to {peer} that `max_connections` allows stayed in use until the timeout"))
    }

    /// HTTP/2 alone was wanted, and `peer` does not speak it.
    pub(super) fn not_http2(peer: &str, how: &str) -> Self {
        Self::protocol(format!("{peer} does not speak HTTP/2{how}, and the request's `version` allows nothing else"))
    }

    /// The time for look-up, connect and TLS is over.
    pub(super) fn connect_timeout(peer: &str, limit: Duration) -> Self {
        Self::new(FailureKind::ConnectTimeout, format!("no connection to {peer} within {}", spell(limit)))
    }

    /// The decoded body is larger than allowed.
    pub(super) fn too_large(limit: u64) -> Self {
        Self::new(FailureKind::TooLarge, format!("body larger than the limit of {limit} bytes"))
    }

    /// A failed connect to `peer`.
    pub(super) fn connecting(error: &io::Error, peer: &str) -> Self {
        match kind_of(error) {
            FailureKind::Refused => Self::new(FailureKind::Refused, format!("connection refused by {peer}")),
            FailureKind::Local => Self::local(error),
            FailureKind::ConnectTimeout => {
                Self::new(FailureKind::ConnectTimeout, format!("no connection to {peer}: timed out by the system"))
            }
            FailureKind::Unreachable => Self::new(FailureKind::Unreachable, format!("no route to {peer}")),
            _ => Self::new(FailureKind::Reset, format!("connection closed by {peer} while connecting")),
        }
    }

    /// A failed read or write on a connection to `peer`.
    pub(super) fn during_exchange(error: &io::Error, peer: &str) -> Self {
        if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return Self::tls(tls, peer);
        }
        match kind_of(error) {
            FailureKind::Local => Self::local(error),
            FailureKind::Unreachable => Self::new(FailureKind::Unreachable, format!("route to {peer} lost")),
            FailureKind::ConnectTimeout => Self::new(FailureKind::Reset, format!("connection to {peer} given up by the system")),
            _ => Self::new(FailureKind::Reset, format!("connection reset by {peer}")),
        }
    }

    /// A TLS error in plain words.
    pub(super) fn tls(error: &rustls::Error, peer: &str) -> Self {
        Self::new(FailureKind::Tls, tls_words::spell(error, peer))
    }

    fn local(error: &io::Error) -> Self {
        let what = match error.raw_os_error() {
            Some(libc::EMFILE) => "out of file descriptors: raise `ulimit -n` of the load generator",
            Some(libc::ENFILE) => "the load generator's machine is out of file descriptors",
            Some(libc::EADDRNOTAVAIL) => "out of local ports: widen `net.ipv4.ip_local_port_range` or keep connections alive",
            Some(libc::EACCES | libc::EPERM) => "the load generator's machine forbids the connection",
            _ => "the load generator's machine is out of network buffers or memory",
        };
        Self::new(FailureKind::Local, what)
    }
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

/// The kind of an operating system's error, whatever was being done.
pub(super) fn kind_of(error: &io::Error) -> FailureKind {
    match error.raw_os_error() {
        Some(libc::ECONNREFUSED) => FailureKind::Refused,
        Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::ENETDOWN | libc::EHOSTDOWN | libc::EAFNOSUPPORT) => FailureKind::Unreachable,
        Some(
            libc::EMFILE
            | libc::ENFILE
            | libc::EADDRNOTAVAIL
            | libc::EADDRINUSE
            | libc::ENOBUFS
            | libc::ENOMEM
            | libc::EACCES
            | libc::EPERM,
        ) => FailureKind::Local,
        Some(libc::ETIMEDOUT) => FailureKind::ConnectTimeout,
        _ => FailureKind::Reset,
    }
}

/// How the text of a timeout begins.
const NO_ANSWER: &str = "no whole answer within";

/// A limit as people write it: `30s`, `250ms`.
fn spell(limit: Duration) -> String {
    humantime::format_duration(limit).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_errors_fall_into_their_kinds() {
        for (code, kind) in [
            (libc::ECONNREFUSED, FailureKind::Refused),
            (libc::EHOSTUNREACH, FailureKind::Unreachable),
            (libc::ECONNRESET, FailureKind::Reset),
            (libc::EPIPE, FailureKind::Reset),
            (libc::EMFILE, FailureKind::Local),
            (libc::EADDRNOTAVAIL, FailureKind::Local),
        ] {
            assert_eq!(kind_of(&io::Error::from_raw_os_error(code)), kind, "{code}");
        }
    }

    #[test]
    fn a_refusal_names_the_target() {
        let failure = Failure::connecting(&io::Error::from_raw_os_error(libc::ECONNREFUSED), "127.0.0.1:80");
        assert_eq!(failure, Failure::new(FailureKind::Refused, "connection refused by 127.0.0.1:80"));
    }

    #[test]
    fn limits_are_spelled_with_units() {
        assert_eq!(Failure::timeout(Duration::from_millis(1500)).message, "no whole answer within 1s 500ms");
    }
}
