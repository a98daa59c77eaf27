//! The workers that a master knows: their links, and whether they speak. What they do in a run is `run`'s.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use super::super::message::{Hello, WorkerId};
use crate::cluster::link::LinkId;

/// A worker's number in this master.
pub(super) type PeerNumber = u32;

/// All of them, by number.
#[derive(Debug, Default)]
pub(super) struct Peers {
    peers: Vec<Peer>,
    by_id: FxHashMap<WorkerId, PeerNumber>,
    by_link: FxHashMap<LinkId, PeerNumber>,
}

/// A worker that has said hello, whether it is linked at the moment or not.
#[derive(Debug)]
pub(super) struct Peer {
    pub hello: Hello,
    /// The link that it was last welcomed on, as long as that stands.
    pub link: Option<LinkId>,
    /// When its last message came, or its link broke.
    pub heard: Instant,
    pub presence: Presence,
    /// It has been told to forget a run of another master's, and may still be busy with that.
    pub was_abandoned: bool,
    /// As the shell measured it last.
    pub round_trip: Option<Duration>,
    /// Where its last link came from, where that has an address.
    pub address: Option<SocketAddr>,
    /// The worker's clock in the last message that was answered.
    pub sent: Duration,
    /// Why what lies in its folder does not compile.
    pub script_error: Option<String>,
}

impl Peer {
    /// What lies in its folder does not compile, and never has since it began.
    pub fn lacks_script(&self) -> bool {
        self.script_error.is_some() && self.hello.fingerprint.is_empty()
    }
}

/// Whether a worker is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Here,
    /// It has been told to end: it takes no users.
    Leaving,
    /// It was silent for too long, or its link broke and did not come back.
    Lost,
    /// It has said goodbye.
    Left,
}

/// How a worker came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    New,
    /// On another link, before anybody missed it.
    Relinked,
    /// It had been lost.
    Back,
}

impl Peers {
    /// A worker said hello. Answers its number, how it came, and the link that this one replaces.
    pub fn arrive(&mut self, link: LinkId, mut hello: Hello, now: Instant) -> (PeerNumber, Arrival, Option<LinkId>) {
        let presence = if hello.is_leaving { Presence::Leaving } else { Presence::Here };
        let script_error = hello.script_error.take();
        if let Some(&number) = self.by_id.get(&hello.worker) {
            let peer = &mut self.peers[number as usize];
            let arrival = if peer.presence == Presence::Lost { Arrival::Back } else { Arrival::Relinked };
            let replaced = peer.link.replace(link).filter(|old| *old != link);
            (peer.hello, peer.heard, peer.presence, peer.script_error) = (hello, now, presence, script_error);
            if let Some(old) = replaced {
                self.by_link.remove(&old);
            }
            self.by_link.insert(link, number);
            return (number, arrival, replaced);
        }
        let number = PeerNumber::try_from(self.peers.len()).unwrap_or(PeerNumber::MAX);
        self.by_id.insert(hello.worker.clone(), number);
        self.by_link.insert(link, number);
        self.peers.push(Peer {
            hello,
            link: Some(link),
            heard: now,
            presence,
            was_abandoned: false,
            round_trip: None,
            address: None,
            sent: Duration::ZERO,
            script_error,
        });
        (number, Arrival::New, None)
    }

    /// The worker that speaks on `link`.
    pub fn on_link(&self, link: LinkId) -> Option<PeerNumber> {
        self.by_link.get(&link).copied()
    }

    /// The worker of this name.
    pub fn number_of(&self, worker: &WorkerId) -> Option<PeerNumber> {
        self.by_id.get(worker).copied()
    }

    /// A link is gone: the worker has a moment to come back on another one.
    pub fn unlink(&mut self, link: LinkId, now: Instant) {
        if let Some(number) = self.by_link.remove(&link) {
            let peer = &mut self.peers[number as usize];
            if peer.link == Some(link) {
                peer.link = None;
                peer.heard = now;
            }
        }
    }

    /// Workers that must be given up at `now`; they are marked so.
    pub fn take_lost(&mut self, now: Instant) -> Vec<(PeerNumber, Duration)> {
        let mut lost = Vec::new();
        for (number, peer) in (0..).zip(&mut self.peers) {
            let silence = now.saturating_duration_since(peer.heard);
            let limit = if peer.link.is_some() { SILENCE_LIMIT } else { RELINK_TIME };
            if matches!(peer.presence, Presence::Here | Presence::Leaving) && silence >= limit {
                peer.presence = Presence::Lost;
                lost.push((number, silence));
            }
        }
        lost
    }

    pub fn get(&self, number: PeerNumber) -> &Peer {
        &self.peers[number as usize]
    }

    pub fn get_mut(&mut self, number: PeerNumber) -> &mut Peer {
        &mut self.peers[number as usize]
    }

    /// A worker that is known from a journal only.
    pub fn remember(&mut self, worker: WorkerId, has_left: bool, now: Instant) -> PeerNumber {
        let hello = Hello {
            worker,
            version: String::new(),
            lanes: 0,
            floor: None,
            script: String::new(),
            fingerprint: String::new(),
            script_error: None,
            is_leaving: false,
            formerly: None,
            standing: None,
        };
        let (number, ..) = self.arrive(LinkId(u64::MAX), hello, now);
        self.by_link.remove(&LinkId(u64::MAX));
        let peer = self.get_mut(number);
        peer.link = None;
        peer.presence = if has_left { Presence::Left } else { Presence::Lost };
        number
    }

    pub fn iter(&self) -> impl Iterator<Item = (PeerNumber, &Peer)> {
        (0..).zip(&self.peers)
    }

    /// Workers that take users.
    pub fn count_here(&self) -> usize {
        self.peers.iter().filter(|peer| peer.presence == Presence::Here).count()
    }

    /// Those of them that have a script to run.
    pub fn count_ready(&self) -> usize {
        self.peers.iter().filter(|peer| peer.presence == Presence::Here && !peer.lacks_script()).count()
    }

    /// Forgets workers that are gone and that `keeps` does not name, so that a master of many short-lived workers stays small. Numbers
    /// change; only to be called between runs.
    pub fn forget_gone(&mut self) {
        let gone = |peer: &Peer| matches!(peer.presence, Presence::Lost | Presence::Left) && peer.link.is_none();
        self.peers.retain(|peer| !gone(peer));
        self.by_id = (0..).zip(&self.peers).map(|(number, peer)| (peer.hello.worker.clone(), number)).collect();
        self.by_link = (0..).zip(&self.peers).filter_map(|(number, peer)| Some((peer.link?, number))).collect();
    }
}

/// Without a word for this long a worker is lost: three beats.
pub(super) const SILENCE_LIMIT: Duration = Duration::from_secs(3);

/// How long a worker whose link broke may take to come back on another one.
const RELINK_TIME: Duration = Duration::from_millis(500);
