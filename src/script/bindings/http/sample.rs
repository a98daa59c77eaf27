//! From what the client saw of one hop to the sample that the statistics count.

use crate::protocol::http::{Exchange, FailureKind as ClientFailure};
use crate::stats::sample::{Answer, FailureKind, Phases, Sample};

/// The sample of a finished hop; the failure is the exchange's own, before any rule about its status.
pub(super) fn sample_of(exchange: &Exchange) -> Sample {
    let timings = &exchange.timings;
    Sample {
        duration: timings.total,
        since_due: None,
        phases: Phases {
            blocked: timings.blocked,
            dns: timings.dns,
            connecting: timings.connect,
            tls_handshaking: timings.tls,
            sending: timings.send,
            waiting: timings.wait,
            receiving: timings.receive,
        },
        bytes_out: exchange.bytes_out,
        bytes_in: exchange.bytes_in,
        body_bytes: body_bytes(exchange),
        status: exchange.status,
        answer: match (exchange.status, exchange.was_sent) {
            (0, false) => Answer::NotSent,
            (0, true) => Answer::Unanswered,
            _ => Answer::Answered,
        },
        failure: exchange.failure.as_ref().map(|failure| kind_of(failure.kind)),
        stale_retries: exchange.stale_retries,
        stale_unanswered: exchange.stale_unanswered,
    }
}

/// The length of the unpacked body, as far as it is known: what there is of a packed one that was cut short tells nothing.
fn body_bytes(exchange: &Exchange) -> Option<u64> {
    if exchange.failure.is_some() && exchange.body.is_packed() { None } else { exchange.body.plain_length() }
}

/// The statistics' word for a failure of the client.
pub(super) fn kind_of(kind: ClientFailure) -> FailureKind {
    match kind {
        ClientFailure::Refused => FailureKind::Refused,
        ClientFailure::Unreachable => FailureKind::Unreachable,
        ClientFailure::Reset => FailureKind::Reset,
        ClientFailure::Stale => FailureKind::Stale,
        ClientFailure::ConnectTimeout => FailureKind::ConnectTimeout,
        ClientFailure::Timeout => FailureKind::Timeout,
        ClientFailure::Dns => FailureKind::Dns,
        ClientFailure::Tls => FailureKind::Tls,
        ClientFailure::Protocol => FailureKind::Protocol,
        ClientFailure::TooLarge => FailureKind::TooLarge,
        ClientFailure::Local => FailureKind::Local,
    }
}
