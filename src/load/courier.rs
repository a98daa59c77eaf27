//! What the users of a worker ask of the board, and what they wait for there: on its way in errands, one at a time, for all lanes.
//!
//! Lanes ask; the worker's shell carries errands to the master and words back. Where nobody does, as in a look at the script, the courier keeps a
//! board of its own. Users that want the same key ask for it once, and a copy of it serves them as long as it is good; the master is asked once a
//! second whether it still is. What stands on the board is decided by `board`.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot, watch};

use super::board::Board;
use super::errand::{ASKS_MAX, BoardAnswer, BoardAsk, BoardWord, Errand, FLIGHTS_MAX, Notice, Posted, Reply};

mod attending;
mod meetings;

use self::meetings::Meetings;
pub use self::meetings::Met;

/// The way of one worker's users to the board.
#[derive(Debug)]
pub struct Courier {
    content: Mutex<Content>,
    /// There is something to carry.
    wanted: Notify,
}

impl Default for Courier {
    fn default() -> Self {
        let content = Content {
            is_attended: false,
            own: Board::default(),
            since: Instant::now(),
            number: COURIERS.fetch_add(1, Ordering::Relaxed) << 32,
            pending: VecDeque::new(),
            carried: None,
            said: None,
            heard: None,
            keys: HashMap::new(),
            meetings: Meetings::default(),
        };
        Self { content: Mutex::new(content), wanted: Notify::new() }
    }
}

#[derive(Debug)]
struct Content {
    /// Somebody carries errands to a master.
    is_attended: bool,
    own: Board<()>,
    since: Instant,
    /// Of the last errand. Rises within the process, whose name the board knows: a run may be opened a second time.
    number: u64,
    /// In no errand yet.
    pending: VecDeque<Pending>,
    /// In the errand that is on its way.
    carried: Option<Vec<Pending>>,
    /// When the last errand was made.
    said: Option<Instant>,
    /// When the last one was answered.
    heard: Option<Instant>,
    keys: HashMap<String, Key>,
    meetings: Meetings,
}

#[derive(Debug)]
struct Pending {
    ask: BoardAsk,
    /// The user that waits for the answer. An ask that nobody waits for any more is withdrawn, unless it says what has happened.
    to: Option<oneshot::Sender<BoardAnswer>>,
}

/// A key that users fill once for all.
#[derive(Debug)]
struct Key {
    copy: Option<Copy>,
    flight: Option<Flight>,
    /// A `Begin` is pending or carried.
    is_asked: bool,
    /// Another worker's user fills it: not to be asked again before this, but for a notice.
    again: Option<Instant>,
    /// Users that wait for its value.
    waiting: u32,
    changed: watch::Sender<()>,
}

#[derive(Debug)]
struct Copy {
    value: Posted,
    until: Option<Instant>,
    /// When the board has said so.
    told: Instant,
}

#[derive(Debug)]
struct Flight {
    number: u64,
    /// Who fills the key; nobody yet of those who wait.
    user: Option<u64>,
    ends: Instant,
}

/// What a user that wants the value of a key shall do.
#[derive(Debug)]
pub enum Begun {
    /// There is a value: take it.
    Value(Posted),
    /// There is none: bring it, and give it with the lease.
    Fill(Lease),
    /// It brings it already, further up: waiting would never end.
    Own,
    /// No master has answered for [`ANSWER_TIME`].
    Away,
}

enum Next {
    Is(Begun),
    Wait(watch::Receiver<()>),
}

/// The right to fill a key in the whole cluster. Dropped without a value, it lets the next one try.
#[derive(Debug)]
pub struct Lease {
    courier: Arc<Courier>,
    key: String,
    number: u64,
    is_over: bool,
}

impl Lease {
    /// Tells this lease from all others of the run.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.is_over {
            let ask = BoardAsk::GiveUp { key: self.key.clone(), flight: self.number };
            let mut content = self.courier.lock();
            content.end_flight(&self.key, self.number);
            content.push(ask, None);
            self.courier.go_on(content);
        }
    }
}

/// One who waits for a key.
struct Waiting<'a> {
    courier: &'a Courier,
    key: &'a str,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut content = self.courier.lock();
        content.leave(self.key);
        self.courier.go_on(content);
    }
}

impl Courier {
    /// Adds, gets or sets; waits for the answer. `None` if no master has answered for [`ANSWER_TIME`], or too much waits to be carried.
    pub async fn ask(&self, ask: BoardAsk) -> Option<BoardAnswer> {
        let answer = {
            let mut content = self.lock();
            if content.pending.len() >= PENDING_MAX {
                return None;
            }
            if let BoardAsk::Set { key, .. } = &ask
                && let Some(known) = content.keys.get_mut(key)
            {
                known.copy = None;
            }
            let (to, answer) = oneshot::channel();
            content.push(ask, Some(to));
            self.go_on(content);
            answer
        };
        tokio::time::timeout(ANSWER_TIME, answer).await.ok()?.ok()
    }

    /// The copy of a key's value that is here and good.
    pub fn copy(&self, key: &str, now: Instant) -> Option<Posted> {
        let mut content = self.lock();
        let value = content.copy(key, now);
        self.go_on(content);
        value
    }

    /// The value of a key, or the right to bring it; waits while another user of the cluster does.
    pub async fn begin(self: &Arc<Self>, key: &str, user: u64) -> Begun {
        self.lock().enter(key);
        let waiting = Waiting { courier: self, key };
        let began = Instant::now();
        let begun = loop {
            match self.next(key, user, began, Instant::now()) {
                Next::Is(begun) => break begun,
                // Nothing is missed: what has changed since was seen by this receiver.
                Next::Wait(mut changed) => drop(tokio::time::timeout(LOOK_AGAIN, changed.changed()).await),
            }
        };
        drop(waiting);
        begun
    }

    /// Ends a flight with its value, and waits until the board has it. `None` as in [`Courier::ask`]: the users of this worker have it all the same.
    pub async fn finish(&self, mut lease: Lease, value: Posted, ttl: Option<Duration>) -> Option<BoardAnswer> {
        lease.is_over = true;
        let answer = {
            let now = Instant::now();
            let mut content = self.lock();
            let is_current = content.end_flight(&lease.key, lease.number);
            if let Some(key) = content.keys.get_mut(&lease.key).filter(|key| is_current || key.fresh(now).is_none()) {
                key.copy = Some(Copy { value: value.clone(), until: ttl.and_then(|ttl| now.checked_add(ttl)), told: now });
            }
            let (to, answer) = oneshot::channel();
            content.push(BoardAsk::Finish { key: lease.key.clone(), flight: lease.number, value, ttl }, Some(to));
            self.go_on(content);
            answer
        };
        tokio::time::timeout(ANSWER_TIME, answer).await.ok()?.ok()
    }

    /// From here on somebody carries errands.
    pub fn attend(&self) {
        self.lock().is_attended = true;
    }

    /// Waits until there is something to carry.
    pub async fn want(&self) {
        self.wanted.notified().await;
    }

    /// What is to be carried, if anything is and nothing is on its way. To be asked now and then, too: what is waited for is asked again each second.
    pub fn take_errand(&self, now: Instant) -> Option<Errand> {
        self.lock().take_errand(now)
    }

    /// A word of the board's came. An answer to another errand changes nothing.
    pub fn on_word(&self, word: BoardWord, now: Instant) {
        let mut content = self.lock();
        match word {
            BoardWord::Reply(reply) => content.on_reply(reply, now),
            BoardWord::Notice(notice) => content.on_notice(notice),
        }
        self.go_on(content);
    }

    fn next(self: &Arc<Self>, key: &str, user: u64, began: Instant, now: Instant) -> Next {
        let mut content = self.lock();
        let next = match content.next(key, user, now) {
            Ok(number) => Next::Is(Begun::Fill(Lease { courier: self.clone(), key: key.to_owned(), number, is_over: false })),
            Err(next) => next,
        };
        let heard = content.heard.map_or(began, |heard| began.max(heard));
        let is_away = matches!(next, Next::Wait(_)) && !content.is_flown(key) && now.saturating_duration_since(heard) >= ANSWER_TIME;
        self.go_on(content);
        if is_away { Next::Is(Begun::Away) } else { next }
    }

    /// Has carried what there is to carry.
    fn go_on(&self, mut content: MutexGuard<'_, Content>) {
        if !content.is_attended {
            content.serve_itself(Instant::now());
        } else if content.carried.is_none() && (!content.pending.is_empty() || content.meetings.has_news()) {
            self.wanted.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        // Each change is complete before anything can panic, so a poisoned lock guards sound content.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    fn push(&mut self, ask: BoardAsk, to: Option<oneshot::Sender<BoardAnswer>>) {
        self.pending.push_back(Pending { ask, to });
    }

    fn enter(&mut self, key: &str) {
        if self.keys.len() >= KEYS_MAX && !self.keys.contains_key(key) {
            self.keys.retain(|_, key| key.waiting > 0 || key.flight.is_some() || key.is_asked);
        }
        self.keys.entry(key.to_owned()).or_insert_with(Key::new).waiting += 1;
    }

    fn leave(&mut self, key: &str) {
        let Some(known) = self.keys.get_mut(key) else { return };
        known.waiting -= 1;
        if known.waiting == 0
            && let Some(unclaimed) = known.flight.take_if(|flight| flight.user.is_none())
        {
            self.push(BoardAsk::GiveUp { key: key.to_owned(), flight: unclaimed.number }, None);
        }
    }

    fn copy(&mut self, key: &str, now: Instant) -> Option<Posted> {
        let known = self.keys.get_mut(key)?;
        let copy = known.fresh(now)?;
        let (value, is_old) = (copy.value.clone(), now.saturating_duration_since(copy.told) >= LOOK_AGAIN);
        if is_old && !known.is_asked {
            known.is_asked = true;
            self.push(BoardAsk::Begin { key: key.to_owned() }, None);
        }
        Some(value)
    }

    /// The number of the flight that the user shall make, or what else it shall do.
    fn next(&mut self, key: &str, user: u64, now: Instant) -> Result<u64, Next> {
        if let Some(value) = self.copy(key, now) {
            return Err(Next::Is(Begun::Value(value)));
        }
        let known = self.keys.entry(key.to_owned()).or_insert_with(Key::new);
        known.flight.take_if(|flight| flight.ends <= now);
        if let Some(flight) = &mut known.flight {
            return match flight.user {
                None => {
                    flight.user = Some(user);
                    Ok(flight.number)
                }
                Some(filler) if filler == user => Err(Next::Is(Begun::Own)),
                Some(_) => Err(Next::Wait(known.changed.subscribe())),
            };
        }
        let changed = known.changed.subscribe();
        if !known.is_asked && known.again.is_none_or(|again| again <= now) {
            known.is_asked = true;
            self.push(BoardAsk::Begin { key: key.to_owned() }, None);
        }
        Err(Next::Wait(changed))
    }

    /// Whether a user of this worker fills it.
    fn is_flown(&self, key: &str) -> bool {
        self.keys.get(key).is_some_and(|key| key.flight.is_some())
    }

    /// Whether this flight was the one of its key.
    fn end_flight(&mut self, key: &str, number: u64) -> bool {
        let Some(known) = self.keys.get_mut(key) else { return false };
        let is_current = known.flight.take_if(|flight| flight.number == number).is_some();
        known.changed.send_replace(());
        is_current
    }

    fn take_errand(&mut self, now: Instant) -> Option<Errand> {
        if self.carried.is_some() {
            return None;
        }
        let mut carried: Vec<Pending> = self.meetings.asks(now, ASKS_MAX / 2).into_iter().map(|ask| Pending { ask, to: None }).collect();
        let mut bytes = 0;
        while carried.len() < ASKS_MAX && bytes < ERRAND_BYTES {
            let Some(pending) = self.pending.pop_front() else { break };
            let is_withdrawn =
                pending.to.as_ref().is_some_and(oneshot::Sender::is_closed) && !matches!(pending.ask, BoardAsk::Finish { .. });
            if !is_withdrawn {
                bytes += bytes_of(&pending.ask);
                carried.push(pending);
            }
        }
        let flights: Vec<_> =
            self.keys.iter().filter_map(|(key, known)| Some((key.clone(), known.flight.as_ref()?.number))).take(FLIGHTS_MAX).collect();
        let is_reminder = !flights.is_empty() && self.said.is_none_or(|said| now.saturating_duration_since(said) >= LOOK_AGAIN);
        if carried.is_empty() && !is_reminder {
            return None;
        }
        self.number += 1;
        self.said = Some(now);
        let asks = carried.iter().map(|pending| pending.ask.clone()).collect();
        self.carried = Some(carried);
        Some(Errand { number: self.number, asks, flights })
    }

    fn on_reply(&mut self, reply: Reply, now: Instant) {
        if reply.number != self.number {
            return;
        }
        let Some(carried) = self.carried.take() else { return };
        self.heard = Some(now);
        let mut answers = reply.answers.into_iter();
        let mut later = VecDeque::new();
        for pending in carried {
            let answer = answers.next().unwrap_or(BoardAnswer::Later);
            if answer == BoardAnswer::Later {
                later.push_back(pending);
                continue;
            }
            match (&pending.ask, pending.to) {
                (BoardAsk::Begin { key }, _) => self.on_begun(key.clone(), answer, now),
                (BoardAsk::Gather { name, .. }, _) => self.meetings.on_answer(name, answer),
                (_, Some(to)) => drop(to.send(answer)),
                (_, None) => {}
            }
        }
        later.append(&mut self.pending);
        self.pending = later;
    }

    fn on_begun(&mut self, name: String, answer: BoardAnswer, now: Instant) {
        let Some(key) = self.keys.get_mut(&name) else {
            if let BoardAnswer::Fill { flight } = answer {
                self.push(BoardAsk::GiveUp { key: name, flight }, None);
            }
            return;
        };
        key.is_asked = false;
        key.again = None;
        match answer {
            BoardAnswer::Value { value, left } => {
                key.copy = Some(Copy { value, until: left.and_then(|left| now.checked_add(left)), told: now });
            }
            BoardAnswer::Fill { flight } => {
                key.copy = None;
                if key.waiting > 0 {
                    key.flight = Some(Flight { number: flight, user: None, ends: now + LEASE });
                } else {
                    self.pending.push_back(Pending { ask: BoardAsk::GiveUp { key: name, flight }, to: None });
                }
            }
            _ => {
                key.copy = None;
                key.again = Some(now + LOOK_AGAIN);
            }
        }
        key.changed.send_replace(());
    }

    fn on_notice(&mut self, notice: Notice) {
        match notice {
            Notice::Landed(key) => {
                if let Some(key) = self.keys.get_mut(&key) {
                    key.again = None;
                    key.changed.send_replace(());
                }
            }
            Notice::Opened { name, released } => self.meetings.on_released(&name, released),
        }
    }

    /// Where nobody carries errands: the own board answers, and one user is enough for a gathering.
    fn serve_itself(&mut self, now: Instant) {
        while let Some(mut errand) = self.take_errand(now) {
            for ask in &mut errand.asks {
                if let BoardAsk::Gather { size, .. } = ask {
                    *size = 1;
                }
            }
            let Some(outcome) = self.own.on_errand(&(), &errand, now.saturating_duration_since(self.since)) else { return };
            self.on_reply(outcome.reply, now);
            outcome.notices.into_iter().for_each(|(_, notice)| self.on_notice(notice));
        }
    }
}

impl Key {
    fn new() -> Self {
        Self { copy: None, flight: None, is_asked: false, again: None, waiting: 0, changed: watch::Sender::new(()) }
    }

    fn fresh(&self, now: Instant) -> Option<&Copy> {
        self.copy.as_ref().filter(|copy| copy.until.is_none_or(|until| now < until))
    }
}

fn bytes_of(ask: &BoardAsk) -> usize {
    match ask {
        BoardAsk::Set { value: Some(Posted::Bytes(bytes)), .. } | BoardAsk::Finish { value: Posted::Bytes(bytes), .. } => bytes.len(),
        _ => 0,
    }
}

/// How many there have been in this process.
static COURIERS: AtomicU64 = AtomicU64::new(0);

/// How long a user waits for a master to answer.
pub const ANSWER_TIME: Duration = Duration::from_secs(30);
/// How long a copy is given out before the board is asked whether it still is good, and how often one who waits looks again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// The same as the board's.
const LEASE: Duration = Duration::from_secs(60);
/// Asks that may wait to be carried: those of more users than a worker has.
const PENDING_MAX: usize = 100_000;
/// Keys of which something is known here.
const KEYS_MAX: usize = 10_000;
/// Values of one errand, about: an errand is far shorter than a message may be.
const ERRAND_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests;
