//! Links as QUIC streams behave: in order, nothing lost or repeated in mid-stream; a link that dies loses what is on its way from some
//! point on, and each end learns of it at a time of its own, or by silence only.

use std::collections::VecDeque;
use std::time::Duration;

use lunamoth::cluster::message::{ToMaster, ToWorker};

use super::chance::Chance;

/// A connection of a worker with a master.
pub struct Link {
    pub worker: usize,
    /// Which of the masters, one after the other.
    pub master: u32,
    pub up: Pipe<ToMaster>,
    pub down: Pipe<ToWorker>,
    pub worker_end: End,
    pub master_end: End,
}

/// One direction of a link.
pub struct Pipe<M> {
    queue: VecDeque<(Duration, Parcel<M>)>,
    last: Duration,
}

/// What travels on a link, in one of its directions.
pub enum Parcel<M> {
    Message(M),
    /// The sender has closed the link.
    Gone,
}

/// What one end of a link knows.
pub struct End {
    pub is_open: bool,
    /// Since when no packet has come.
    deaf_since: Option<Duration>,
    /// When a packet of the other machine says that it knows nothing of the link.
    reset_at: Option<Duration>,
}

impl Link {
    pub const fn new(worker: usize, master: u32) -> Self {
        Self { worker, master, up: Pipe::new(), down: Pipe::new(), worker_end: End::open(), master_end: End::open() }
    }
}

impl<M> Pipe<M> {
    const fn new() -> Self {
        Self { queue: VecDeque::new(), last: Duration::ZERO }
    }

    pub fn send(&mut self, at: Duration, parcel: Parcel<M>) {
        self.last = self.last.max(at);
        self.queue.push_back((self.last, parcel));
    }

    pub fn take_due(&mut self, now: Duration) -> Option<Parcel<M>> {
        self.queue.pop_front_if(|(at, _)| *at <= now).map(|(_, parcel)| parcel)
    }

    /// Whether such a message is on its way.
    pub fn carries(&self, is_it: impl Fn(&M) -> bool) -> bool {
        self.queue.iter().any(|(_, parcel)| matches!(parcel, Parcel::Message(message) if is_it(message)))
    }

    /// The first such message on its way is lost, with all that comes after it.
    pub fn lose_from(&mut self, is_it: impl Fn(&M) -> bool) {
        let place = self.queue.iter().position(|(_, parcel)| matches!(parcel, Parcel::Message(message) if is_it(message)));
        self.queue.truncate(place.unwrap_or(self.queue.len()));
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// From some point on, what is on its way is lost.
    pub fn lose_suffix(&mut self, chance: &mut Chance) {
        let rest = chance.below(self.queue.len() as u64 + 1);
        self.queue.truncate(usize::try_from(rest).unwrap());
    }
}

impl End {
    const fn open() -> Self {
        Self { is_open: true, deaf_since: None, reset_at: None }
    }

    /// Whether the end finds out at `now` that the link is dead. It hears of the other machine where packets come through, and of the other
    /// end where that is open as well.
    pub fn learns(&mut self, other_is_open: bool, packets_come: bool, now: Duration, chance: &mut Chance) -> bool {
        if packets_come && other_is_open {
            self.deaf_since = None;
            return false;
        }
        if packets_come && now >= *self.reset_at.get_or_insert_with(|| now + chance.millis(50, 1_200)) {
            return true;
        }
        now >= *self.deaf_since.get_or_insert(now) + IDLE_TIMEOUT
    }
}

/// After so much silence QUIC gives a connection up.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
