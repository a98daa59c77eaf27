//! The token that keeps an API: who knows it, what a browser gets in its place, and how often anybody may guess.
//!
//! A browser's cookie holds no token but the moment at which it ends and a proof of that moment, which only the token's owner can make. So
//! sessions outlive a restart of the master, and end for all at once with a new token.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, COOKIE};
use hkdf::Hkdf;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::{asker, places};

/// The check of one token.
pub(super) struct Gate {
    /// What depends on the token comes out of it.
    keys: Hkdf<Sha256>,
    /// Of the token; tokens are compared by their proofs, which have one length.
    proof: Proof,
    guesses: Mutex<Guesses>,
}

impl Gate {
    pub fn new(token: &str) -> Self {
        Self { keys: keys(token), proof: prove(&keys(token), b"token"), guesses: Mutex::default() }
    }

    /// Whether who sends these headers may come in.
    pub fn judge(&self, headers: &HeaderMap, peer: IpAddr, now: Instant, wall: SystemTime) -> Judgement {
        let bearer = headers.get(AUTHORIZATION).and_then(|value| {
            let (scheme, token) = value.as_bytes().split_at_checked(BEARER.len())?;
            scheme.eq_ignore_ascii_case(BEARER).then_some(token)
        });
        match bearer {
            Some(token) => self.guess(token.trim_ascii(), headers, peer, now),
            None if cookies(headers).any(|session| self.is_session(session, wall)) => Judgement::Known,
            None => Judgement::Unknown,
        }
    }

    /// Whether `token` is the one. Who is wrong too often learns for a while not even that: behind a proxy's address there may be many, so
    /// that nobody who knows the token may have to wait for another's guesses.
    pub fn guess(&self, token: &[u8], headers: &HeaderMap, peer: IpAddr, now: Instant) -> Judgement {
        // Three plain maps of numbers are sound whatever panicked beside them.
        let mut guesses = self.guesses.lock().unwrap_or_else(PoisonError::into_inner);
        let sources = Source::of(headers, peer);
        let proof = prove(&Hkdf::new(Some(SALT), token), b"token");
        if proof.ct_eq(&self.proof).into() {
            return Judgement::Known;
        }
        if let Some(wait) = guesses.wait(&sources, now) {
            return Judgement::TooOften(wait);
        }
        guesses.count(&sources, now);
        Judgement::Wrong
    }

    /// The cookie's value for who has shown that he knows the token.
    pub fn session(&self, wall: SystemTime) -> String {
        let end = unix_seconds(wall) + SESSION.as_secs();
        format!("{end}.{}", hex(&prove(&self.keys, end.to_string().as_bytes())))
    }

    fn is_session(&self, session: &str, wall: SystemTime) -> bool {
        let Some((end, proof)) = session.split_once('.') else { return false };
        let is_proven = hex(&prove(&self.keys, end.as_bytes())).as_bytes().ct_eq(proof.as_bytes());
        bool::from(is_proven) && end.parse::<u64>().is_ok_and(|end| end > unix_seconds(wall))
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gate(hidden)")
    }
}

/// What is known of who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    /// He knows the token, or has a session.
    Known,
    /// He has shown nothing that is valid.
    Unknown,
    /// He has shown a wrong token.
    Wrong,
    /// He has shown too many wrong ones, and is listened to again after this time.
    TooOften(Duration),
}

/// Wrong tokens of late, by where they came from.
#[derive(Debug, Default)]
struct Guesses {
    buckets: HashMap<Source, Bucket>,
}

impl Guesses {
    /// How long these have to wait, if they must.
    fn wait(&self, sources: &[Source], now: Instant) -> Option<Duration> {
        let wait = |source: &Source| {
            let left = self.buckets.get(source)?.left(source.limits(), now);
            (left < 1.0).then(|| Duration::from_secs_f64((1.0 - left) / source.limits().per_second))
        };
        sources.iter().filter_map(wait).max()
    }

    fn count(&mut self, sources: &[Source], now: Instant) {
        if self.buckets.len() + sources.len() > SOURCES_MAX {
            self.buckets.retain(|source, bucket| bucket.left(source.limits(), now) < source.limits().at_once);
        }
        if self.buckets.len() + sources.len() > SOURCES_MAX {
            // A flood of addresses: clients behind proxies are no longer told apart, their proxies still are.
            self.buckets.retain(|source, _| source.client.is_empty());
        }
        for source in sources {
            let limits = source.limits();
            let bucket = self.buckets.entry(source.clone()).or_insert(Bucket { left: limits.at_once, at: now });
            *bucket = Bucket { left: bucket.left(limits, now) - 1.0, at: now };
        }
    }
}

/// Guesses that are left, at a moment; they come back with time.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    fn left(&self, limits: Limits, now: Instant) -> f64 {
        (self.left + now.saturating_duration_since(self.at).as_secs_f64() * limits.per_second).min(limits.at_once)
    }
}

/// Where a guess comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Source {
    /// The other end of the connection; of IPv6 the network, since a machine has many addresses there.
    peer: IpAddr,
    /// For whom the nearest proxy says that it asks. Empty for the peer as a whole, who may have made the names up.
    client: String,
}

impl Source {
    /// The client, and the peer as a whole, which may be a proxy for many.
    fn of(headers: &HeaderMap, peer: IpAddr) -> [Self; 2] {
        let peer = places::client(peer);
        let client = asker::forwarded_for(headers).and_then(|clients| clients.rsplit(',').next());
        let client = client.map_or_else(|| "-".to_owned(), |client| client.trim().chars().take(CLIENT_CHARACTERS).collect());
        [Self { peer, client: if client.is_empty() { "-".to_owned() } else { client } }, Self { peer, client: String::new() }]
    }

    const fn limits(&self) -> Limits {
        if self.client.is_empty() { OF_PEER } else { OF_CLIENT }
    }
}

/// How many wrong tokens are taken.
#[derive(Debug, Clone, Copy)]
struct Limits {
    at_once: f64,
    per_second: f64,
}

const OF_CLIENT: Limits = Limits { at_once: 5.0, per_second: 0.2 };
const OF_PEER: Limits = Limits { at_once: 100.0, per_second: 2.0 };

type Proof = [u8; 32];

fn keys(token: &str) -> Hkdf<Sha256> {
    Hkdf::new(Some(SALT), token.as_bytes())
}

fn prove(keys: &Hkdf<Sha256>, what: &[u8]) -> Proof {
    let mut proof = Proof::default();
    keys.expand_multi_info(&[b"lunamoth web ", what], &mut proof).expect("HKDF-SHA256 gives up to 8,160 bytes");
    proof
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(';')).filter_map(|cookie| cookie.trim().strip_prefix(COOKIE_NAME)?.strip_prefix('='))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unix_seconds(wall: SystemTime) -> u64 {
    wall.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The cookie of a session.
pub(super) const COOKIE_NAME: &str = "lunamoth_token";

/// How long a login lasts: a soak test over days keeps its page.
pub(super) const SESSION: Duration = Duration::from_secs(7 * 24 * 3600);

const SALT: &[u8] = b"lunamoth web token";
const BEARER: &[u8] = b"bearer ";
const SOURCES_MAX: usize = 4_096;
const CLIENT_CHARACTERS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (axum::http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn judge(gate: &Gate, name: &'static str, value: &str) -> Judgement {
        gate.judge(&headers(&[(name, value)]), PEER, Instant::now(), SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn the_token_opens_the_gate_and_nothing_else_does() {
        let gate = Gate::new("open sesame 1234");
        for right in ["Bearer open sesame 1234", "bearer  open sesame 1234 "] {
            assert_eq!(judge(&gate, "authorization", right), Judgement::Known, "{right}");
        }
        for wrong in ["Bearer open sesame 123", "Bearer open sesame 12345", "Bearer x"] {
            assert_eq!(judge(&gate, "authorization", wrong), Judgement::Wrong, "{wrong}");
        }
        for no_token in ["Basic open sesame 1234", "open sesame 1234", ""] {
            assert_eq!(judge(&gate, "authorization", no_token), Judgement::Unknown, "{no_token}");
        }
        assert!(!format!("{gate:?}").contains("sesame"));
    }

    #[test]
    fn a_session_holds_for_its_time_with_its_token_and_cannot_be_prolonged() {
        let (gate, begin) = (Gate::new("open sesame 1234"), SystemTime::UNIX_EPOCH);
        let session = gate.session(begin);
        assert!(!session.contains("sesame"));
        let cookie = format!("other=1; lunamoth_token=stale; lunamoth_token={session}");
        let at = |gate: &Gate, cookie: &str, wall| gate.judge(&headers(&[("cookie", cookie)]), PEER, Instant::now(), wall);
        assert_eq!(at(&gate, &cookie, begin + SESSION - Duration::from_secs(1)), Judgement::Known);
        assert_eq!(at(&gate, &cookie, begin + SESSION), Judgement::Unknown);
        assert_eq!(at(&Gate::new("another token 1"), &cookie, begin), Judgement::Unknown);
        let (_, proof) = session.split_once('.').unwrap();
        for forged in [format!("99999999999.{proof}"), session.clone() + "0", "604800.".to_owned(), "604800".to_owned()] {
            assert_eq!(at(&gate, &format!("lunamoth_token={forged}"), begin), Judgement::Unknown, "{forged}");
        }
    }

    #[test]
    fn who_guesses_is_not_listened_to_for_a_while_and_others_are() {
        let (gate, now) = (Gate::new("open sesame 1234"), Instant::now());
        let guess = |token: &[u8], client: &'static str, now| gate.guess(token, &headers(&[("x-forwarded-for", client)]), PEER, now);
        for _ in 0..5 {
            assert_eq!(guess(b"wrong", "1.1.1.1, 9.9.9.9", now), Judgement::Wrong);
        }
        assert_eq!(guess(b"wrong again", "2.2.2.2, 9.9.9.9", now), Judgement::TooOften(Duration::from_secs(5)));
        assert_eq!(guess(b"open sesame 1234", "2.2.2.2, 9.9.9.9", now), Judgement::Known, "who knows the token waits for nobody's guesses");
        assert_eq!(guess(b"open sesame 1234", "8.8.8.8", now), Judgement::Known);
        assert_eq!(guess(b"open sesame 1234", "9.9.9.9", now + Duration::from_secs(5)), Judgement::Known);
        assert_eq!(guess(b"wrong", "9.9.9.9", now + Duration::from_secs(5)), Judgement::Wrong);
        assert_ne!(guess(b"wrong", "9.9.9.9", now + Duration::from_secs(5)), Judgement::Wrong);
    }

    #[test]
    fn names_that_a_client_makes_up_do_not_help_it_to_guess() {
        let (gate, now) = (Gate::new("open sesame 1234"), Instant::now());
        let guesses = (0..10_000).filter(|number| {
            let headers = headers(&[("x-forwarded-for", &format!("10.0.{}.{}", number / 250, number % 250))]);
            gate.guess(b"wrong", &headers, PEER, now) == Judgement::Wrong
        });
        assert_eq!(guesses.count(), 100);
        assert!(gate.guesses.lock().unwrap().buckets.len() <= SOURCES_MAX);
    }
}
