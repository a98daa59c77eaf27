//! Whom the master did not let in: counted by reason, and told in the log once for each peer, then as a count each minute.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
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
    /// Of every kind together.
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

    /// Counts one, and logs it unless the same was logged of this peer in the last minute.
    pub(super) fn count(&self, reason: Reason, remote: SocketAddr, detail: &str) {
        self.counts[reason as usize].fetch_add(1, Ordering::Relaxed);
        let held_back = self.log.lock().unwrap_or_else(PoisonError::into_inner).speak(reason, remote.ip(), Instant::now());
        match held_back {
            None => {}
            Some(0) => log::warn!("refused {remote}: {reason}{detail}"),
            Some(more) => log::warn!("still refused {remote}: {reason}{detail} ({more} times since the last such line)"),
        }
    }
}

/// Why a peer is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

/// Says when a line may be written. A worker with a wrong secret comes again each second.
#[derive(Debug, Default)]
struct Quiet {
    /// By reason and peer; those for whom there is no room are one peer together.
    told: HashMap<(Reason, Option<IpAddr>), Told>,
}

#[derive(Debug)]
struct Told {
    at: Instant,
    held_back: u64,
}

impl Quiet {
    /// How many lines were held back since the last one of its kind, when this one may be written.
    fn speak(&mut self, reason: Reason, peer: IpAddr, now: Instant) -> Option<u64> {
        let mut key = (reason, Some(peer));
        if !self.told.contains_key(&key) && self.told.len() >= TOLD_MAX {
            self.told.retain(|_, told| now.saturating_duration_since(told.at) < FORGOTTEN);
            if self.told.len() >= TOLD_MAX {
                key = (reason, None);
            }
        }
        let Some(told) = self.told.get_mut(&key) else {
            self.told.insert(key, Told { at: now, held_back: 0 });
            return Some(0);
        };
        told.held_back += 1;
        if now.saturating_duration_since(told.at) < LOG_INTERVAL {
            return None;
        }
        told.at = now;
        Some(std::mem::take(&mut told.held_back))
    }
}

const REASONS: usize = 5;
const LOG_INTERVAL: Duration = Duration::from_secs(60);
/// Peers that are told apart.
const TOLD_MAX: usize = 256;
/// One that has not come for so long is told of anew.
const FORGOTTEN: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_told_of_once_and_then_counted_each_minute() {
        let (mut quiet, start) = (Quiet::default(), Instant::now());
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(|address| address.parse().unwrap());
        let mut speak = |peer, seconds| quiet.speak(Reason::WrongSecret, peer, start + Duration::from_secs(seconds));
        assert_eq!((speak(one, 0), speak(other, 1)), (Some(0), Some(0)));
        for second in 1..60 {
            assert_eq!(speak(one, second), None);
        }
        assert_eq!((speak(one, 60), speak(one, 61), speak(one, 120)), (Some(60), None, Some(2)));
        assert_eq!(speak(other, 120), Some(1));
        assert_eq!(quiet.speak(Reason::NotOurs, one, start), Some(0), "another reason is another line");
    }

    #[test]
    fn a_flood_from_everywhere_takes_bounded_room_and_is_one_line_a_minute() {
        let (mut quiet, start) = (Quiet::default(), Instant::now());
        let lines =
            (0..10_000_u32).filter(|number| quiet.speak(Reason::NotOurs, IpAddr::from(number.to_be_bytes()), start).is_some()).count();
        assert_eq!((lines, quiet.told.len()), (TOLD_MAX + 1, TOLD_MAX + 1));
        assert_eq!(quiet.speak(Reason::NotOurs, "203.0.113.9".parse().unwrap(), start + LOG_INTERVAL), Some(10_000 - TOLD_MAX as u64));
        assert_eq!(quiet.speak(Reason::NotOurs, "203.0.113.9".parse().unwrap(), start + FORGOTTEN), Some(0));
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
