//! Whom the master did not let in: counted by reason, and told in the log at most once a second.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many attempts were refused since the master began, by reason. A worker that is refused comes again, and is counted
/// each time; one dial with a wrong secret is two attempts, or four where the worker has a previous secret to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Refusals {
    /// The peer's key was not ours, ours not the peer's, or the peer could not prove that its key is its own.
    pub wrong_secret: u64,
    /// A peer of another protocol version that holds the secret.
    pub wrong_version: u64,
    /// Spoke QUIC, but not as a worker does: another protocol, no key at all, no preamble.
    pub not_ours: u64,
    /// Began and did not get to the end of the preamble in time, or went away before.
    pub timed_out: u64,
    /// There were too many half-open attempts, or too many links.
    pub too_many: u64,
}

impl Refusals {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.wrong_secret + self.wrong_version + self.not_ours + self.timed_out + self.too_many
    }
}

/// The counters behind [`Refusals`], shared by whoever shows them.
#[derive(Debug, Default)]
pub struct RefusalCounts {
    counts: [AtomicU64; REASONS],
    log: Mutex<Quiet>,
}

impl RefusalCounts {
    /// The counts at present.
    #[must_use]
    pub fn snapshot(&self) -> Refusals {
        let of = |reason: Reason| self.counts[reason as usize].load(Ordering::Relaxed);
        Refusals {
            wrong_secret: of(Reason::WrongSecret),
            wrong_version: of(Reason::WrongVersion),
            not_ours: of(Reason::NotOurs),
            timed_out: of(Reason::TimedOut),
            too_many: of(Reason::TooMany),
        }
    }

    /// Counts one, and logs it unless something was logged a moment ago.
    pub(super) fn count(&self, reason: Reason, remote: SocketAddr, detail: &str) {
        self.counts[reason as usize].fetch_add(1, Ordering::Relaxed);
        let held_back = self.log.lock().unwrap_or_else(PoisonError::into_inner).speak(Instant::now());
        match held_back {
            None => {}
            Some(0) => log::warn!("refused {remote}: {reason}{detail}"),
            Some(more) => log::warn!("refused {remote}: {reason}{detail} ({more} more since the last such line)"),
        }
    }
}

/// Why a peer is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    WrongSecret,
    WrongVersion,
    NotOurs,
    TimedOut,
    TooMany,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WrongSecret => "it does not share this master's secret",
            Self::WrongVersion => "it speaks another version of the protocol",
            Self::NotOurs => "it is no worker",
            Self::TimedOut => "it did not say in time what it wants",
            Self::TooMany => "there are too many at once",
        })
    }
}

/// Says when a line may be written.
#[derive(Debug, Default)]
struct Quiet {
    spoken: Option<Instant>,
    held_back: u64,
}

impl Quiet {
    /// How many lines were held back since the last one, when this one may be written.
    fn speak(&mut self, now: Instant) -> Option<u64> {
        if self.spoken.is_some_and(|spoken| now.saturating_duration_since(spoken) < LOG_INTERVAL) {
            self.held_back += 1;
            return None;
        }
        self.spoken = Some(now);
        Some(std::mem::take(&mut self.held_back))
    }
}

const REASONS: usize = 5;
const LOG_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_line_a_second_that_tells_how_many_it_stands_for() {
        let (mut quiet, start) = (Quiet::default(), Instant::now());
        assert_eq!(quiet.speak(start), Some(0));
        for millis in [0, 1, 999] {
            assert_eq!(quiet.speak(start + Duration::from_millis(millis)), None);
        }
        assert_eq!(quiet.speak(start + Duration::from_millis(1_000)), Some(3));
        assert_eq!(quiet.speak(start + Duration::from_millis(2_000)), Some(0));
    }

    #[test]
    fn each_reason_has_its_own_count() {
        let counts = RefusalCounts::default();
        let remote = "192.0.2.1:9".parse().unwrap();
        let reasons = [Reason::WrongSecret, Reason::WrongVersion, Reason::NotOurs, Reason::TimedOut, Reason::TooMany];
        for (index, reason) in reasons.into_iter().enumerate() {
            (0..=index).for_each(|_| counts.count(reason, remote, ""));
        }
        let told = Refusals { wrong_secret: 1, wrong_version: 2, not_ours: 3, timed_out: 4, too_many: 5 };
        assert_eq!(counts.snapshot(), told);
        assert_eq!(told.total(), 15);
    }
}
