//! A worker's links: dialling, the first Welcome that wins, silence.
//!
//! Owns which link is the master's, when to dial, and since when the worker is alone. What is said on a link is `worker`'s.

use std::time::{Duration, Instant};

use super::action::Action;
use super::clock::ClockEstimate;
use crate::cluster::link::LinkId;
use crate::cluster::message::{OrphanRules, Welcome};

/// All links of one worker.
#[derive(Debug)]
pub(super) struct Links {
    created: Instant,
    /// Dials that have neither succeeded nor failed.
    dials: usize,
    /// No dial before this.
    next_dial: Instant,
    /// Said hello, and waits for its Welcome. One at a time, so that a master never hears of one worker on two new links.
    candidate: Option<Candidate>,
    master: Option<MasterLink>,
    /// Since when no master speaks.
    alone_since: Option<Instant>,
    rules: OrphanRules,
    /// When the next failed dial is worth a line of the log.
    next_complaint: Instant,
}

/// Who speaks on a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaker {
    /// Nobody whom this worker listens to.
    Stranger,
    /// Somebody who may become the master.
    Candidate,
    Master,
    /// The master, after a silence.
    MasterAgain,
}

#[derive(Debug)]
struct Candidate {
    link: LinkId,
    since: Instant,
}

#[derive(Debug)]
struct MasterLink {
    link: LinkId,
    heard: Instant,
    /// When a beat or a delta was sent last.
    spoken: Instant,
    clock: ClockEstimate,
}

impl Links {
    pub fn new(now: Instant) -> Self {
        Self {
            created: now,
            dials: 0,
            next_dial: now,
            candidate: None,
            master: None,
            alone_since: Some(now),
            rules: OrphanRules::default(),
            next_complaint: now,
        }
    }

    /// The dialled link stands. True if it shall say hello; otherwise it is closed.
    pub fn on_linked(&mut self, link: LinkId, now: Instant, out: &mut Vec<Action>) -> bool {
        self.dials = self.dials.saturating_sub(1);
        if self.alone_since.is_none() || self.candidate.is_some() {
            out.push(Action::CloseLink(link));
            return false;
        }
        self.candidate = Some(Candidate { link, since: now });
        true
    }

    pub fn on_dial_failed(&mut self, why: &str, now: Instant, out: &mut Vec<Action>) {
        self.dials = self.dials.saturating_sub(1);
        if self.alone_since.is_some() && now >= self.next_complaint {
            self.next_complaint = now + COMPLAINT_INTERVAL;
            out.push(Action::Log(log::Level::Warn, format!("waiting for a master: {why}")));
        }
    }

    /// The link is gone. True if it was the master's.
    pub fn on_gone(&mut self, link: LinkId, now: Instant) -> bool {
        self.candidate.take_if(|candidate| candidate.link == link);
        let was_master = self.master.take_if(|master| master.link == link).is_some();
        if was_master {
            self.alone_since.get_or_insert(now);
        }
        was_master
    }

    /// Something came on this link. A master that speaks again makes a candidate needless.
    pub fn hear(&mut self, link: LinkId, now: Instant, out: &mut Vec<Action>) -> Speaker {
        if self.candidate.as_ref().is_some_and(|candidate| candidate.link == link) {
            return Speaker::Candidate;
        }
        let Some(master) = self.master.as_mut().filter(|master| master.link == link) else {
            return Speaker::Stranger;
        };
        master.heard = now;
        if self.alone_since.take().is_none() {
            return Speaker::Master;
        }
        if let Some(candidate) = self.candidate.take() {
            out.push(Action::CloseLink(candidate.link));
        }
        Speaker::MasterAgain
    }

    /// The candidate is welcome: it is the master's link from here on.
    pub fn on_welcome(&mut self, link: LinkId, welcome: Welcome, now: Instant, out: &mut Vec<Action>) {
        let hello = self.candidate.take().map_or(now, |candidate| candidate.since);
        if let Some(old) = self.master.take() {
            out.push(Action::CloseLink(old.link));
        }
        let mut clock = ClockEstimate::default();
        clock.add(self.clock_at(hello), self.clock_at(now), welcome.clock);
        self.master = Some(MasterLink { link, heard: now, spoken: now, clock });
        self.alone_since = None;
        self.rules = welcome.orphan;
        self.next_complaint = now;
    }

    /// The link is refused: it is closed, and the next dial waits.
    pub fn on_refused(&mut self, link: LinkId, now: Instant, out: &mut Vec<Action>) {
        self.on_gone(link, now);
        out.push(Action::CloseLink(link));
        self.next_dial = now + REFUSED_PAUSE;
    }

    /// The worker has another name, under which it must be welcomed anew.
    pub fn leave(&mut self, now: Instant, out: &mut Vec<Action>) {
        if let Some(master) = self.master.take() {
            out.push(Action::CloseLink(master.link));
            self.alone_since.get_or_insert(now);
            self.next_dial = now;
        }
    }

    /// Gives up a candidate that is not answered. True if the master's silence has just become too long.
    pub fn watch(&mut self, now: Instant, out: &mut Vec<Action>) -> bool {
        if let Some(late) = self.candidate.take_if(|candidate| now.saturating_duration_since(candidate.since) >= SILENCE) {
            out.push(Action::CloseLink(late.link));
        }
        let is_silent = self.master.as_ref().is_some_and(|master| now.saturating_duration_since(master.heard) >= SILENCE);
        if is_silent && self.alone_since.is_none() {
            self.alone_since = Some(now);
            return true;
        }
        false
    }

    /// Asks for a dial if there is need of one, a second after the last one at the earliest.
    pub fn dial_if_due(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.alone_since.is_some() && self.candidate.is_none() && self.dials < DIALS && now >= self.next_dial {
            self.dials += 1;
            self.next_dial = now + DIAL_INTERVAL;
            out.push(Action::Dial);
        }
    }

    /// An answer came on the master's link.
    pub fn on_answer(&mut self, echo: Duration, clock: Duration, now: Instant) {
        let received = self.clock_at(now);
        if let Some(master) = &mut self.master {
            master.clock.add(echo, received, clock);
        }
    }

    /// A beat or a delta is being sent; answers the worker's clock.
    pub fn on_spoken(&mut self, now: Instant) -> Duration {
        if let Some(master) = &mut self.master {
            master.spoken = now;
        }
        self.clock_at(now)
    }

    /// The master has heard nothing for a second.
    pub fn is_beat_due(&self, now: Instant) -> bool {
        self.master.as_ref().is_some_and(|master| now.saturating_duration_since(master.spoken) >= BEAT_INTERVAL)
    }

    /// The link to the master, though it may be silent.
    pub fn master(&self) -> Option<LinkId> {
        self.master.as_ref().map(|master| master.link)
    }

    /// Since when no master speaks.
    pub const fn alone_since(&self) -> Option<Instant> {
        self.alone_since
    }

    /// A master has been told who this is and has not answered.
    pub const fn is_greeting(&self) -> bool {
        self.candidate.is_some()
    }

    pub const fn rules(&self) -> OrphanRules {
        self.rules
    }

    pub fn round_trip(&self) -> Option<Duration> {
        self.master.as_ref().and_then(|master| master.clock.round_trip())
    }

    /// When the master's clock stood, or will stand, at `master_clock`.
    pub fn instant_of(&self, master_clock: Duration) -> Instant {
        let own = self.master.as_ref().map_or(0, |master| master.clock.own_nanos(master_clock));
        let distance = Duration::from_nanos(u64::try_from(own.unsigned_abs()).unwrap_or(u64::MAX));
        let instant = if own < 0 { self.created.checked_sub(distance) } else { self.created.checked_add(distance) };
        instant.unwrap_or(self.created)
    }

    /// When this worker's own clock stood at `own_clock`, as messages bear it.
    pub fn own_instant(&self, own_clock: Duration) -> Instant {
        self.created.checked_add(own_clock).unwrap_or(self.created)
    }

    fn clock_at(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.created)
    }
}

/// A master that has not been heard for this long is lost.
const SILENCE: Duration = Duration::from_secs(3);
const BEAT_INTERVAL: Duration = Duration::from_secs(1);
const DIAL_INTERVAL: Duration = Duration::from_secs(1);
const REFUSED_PAUSE: Duration = Duration::from_secs(5);
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(30);

/// Dials that may be under way at once.
pub const DIALS: usize = 3;
