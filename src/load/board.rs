//! The board: what all users of a run share, on whichever worker they live. Values by key, flights that fill a key once for all of them, and
//! gatherings of users that wait for each other.
//!
//! Decides, and does nothing: no I/O, and `now` is the run's clock. The master keeps the board of a run; where nobody carries errands to one, as in a
//! look at the script, a worker's `courier` keeps it. Values are bytes to it, or numbers that can be added to.
//!
//! | event | the key | answer |
//! |---|---|---|
//! | `Begin` | has a value | the value |
//! | `Begin` | nobody fills it, or whoever does is overdue | `Fill`: the asker shall |
//! | `Begin` | somebody fills it | `Wait`; `Landed` to all who wait once that flight has ended, however it ended |
//! | `Finish` of the flight of the key | | it has the value; one of a flight that was overtaken changes nothing where a value has come since |
//! | `GiveUp`; the filler's worker is lost | | the flight has ended without a value |
//!
//! Invariants: an errand of one number changes the board once, and a repeated one has the answers that it had, but for a flight that has ended
//! since: that is asked for again. A key has one flight at most. Of the
//! users of one gathering none is let go before its number is there, and so many as that at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::errand::{BoardAnswer, BoardAsk, Errand, FLIGHTS_MAX, KEY_BYTES, Notice, Posted, Reply, VALUE_BYTES};

/// What an errand changed, for a journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Which key has another value.
    pub key: String,
    /// What it has from here on.
    pub value: Option<Posted>,
    /// Until when, by the run's clock.
    pub expires: Option<Duration>,
}

/// What follows from an errand.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome<Owner> {
    /// The answer to the worker that asked.
    pub reply: Reply,
    /// What to keep before the reply is sent. None of a repeated errand.
    pub changes: Vec<Change>,
    /// What other workers are told meanwhile.
    pub notices: Vec<(Owner, Notice)>,
}

/// The board of one run; `Owner` names a worker.
#[derive(Debug)]
pub struct Board<Owner> {
    values: BTreeMap<String, Entry>,
    /// Of all keys and values.
    bytes: usize,
    flights: BTreeMap<String, Flight<Owner>>,
    flights_begun: u64,
    gatherings: BTreeMap<String, Gathering<Owner>>,
    /// The last reply to each worker.
    last: BTreeMap<Owner, Reply>,
    /// What stood here before is known to nobody.
    is_unknown: bool,
    /// Of an earlier master's run: until then workers tell which flights they hold, and no other begins.
    hears_until: Duration,
    /// Values and keys that found no room.
    refused: u64,
}

#[derive(Debug)]
struct Entry {
    value: Posted,
    bytes: usize,
    expires: Option<Duration>,
}

#[derive(Debug)]
struct Flight<Owner> {
    number: u64,
    owner: Owner,
    ends: Duration,
    /// Who wants to hear of its end.
    waiting: BTreeSet<Owner>,
}

#[derive(Debug)]
struct Gathering<Owner> {
    size: u32,
    /// Users that wait, by worker; none of none.
    waiting: BTreeMap<Owner, u32>,
    /// How many were let go, by worker.
    released: BTreeMap<Owner, u64>,
}

impl<Owner> Default for Board<Owner> {
    fn default() -> Self {
        Self {
            values: BTreeMap::new(),
            bytes: 0,
            flights: BTreeMap::new(),
            flights_begun: 0,
            gatherings: BTreeMap::new(),
            last: BTreeMap::new(),
            is_unknown: false,
            hears_until: Duration::ZERO,
            refused: 0,
        }
    }
}

/// What an errand collects on its way.
struct Tray<Owner> {
    changes: Vec<Change>,
    notices: Vec<(Owner, Notice)>,
    /// Bytes of values that the reply has still room for.
    room: usize,
}

impl<Owner: Ord + Clone> Board<Owner> {
    /// A worker asks. Nothing for an errand that was followed by another one.
    pub fn on_errand(&mut self, owner: &Owner, errand: &Errand, now: Duration) -> Option<Outcome<Owner>> {
        self.hear_of_flights(owner, errand, now);
        if let Some(last) = self.last.get(owner).filter(|last| errand.number <= last.number) {
            let reply = (errand.number == last.number).then(|| self.repeated(owner, errand, last));
            return reply.map(|reply| Outcome { reply, changes: Vec::new(), notices: Vec::new() });
        }
        let mut tray = Tray { changes: Vec::new(), notices: Vec::new(), room: REPLY_BYTES };
        let answers = errand.asks.iter().map(|ask| self.answer(owner, ask, &mut tray, now)).collect();
        let reply = Reply { number: errand.number, answers };
        self.last.insert(owner.clone(), reply.clone());
        Some(Outcome { reply, changes: tray.changes, notices: tray.notices })
    }

    /// What is answered to an errand that comes again. Of a flight that has ended meanwhile, since its worker was taken for lost or was overdue, it
    /// asks again: another one may be under way.
    fn repeated(&self, owner: &Owner, errand: &Errand, last: &Reply) -> Reply {
        let is_under_way =
            |key: &String, number: u64| self.flights.get(key).is_some_and(|flight| flight.number == number && flight.owner == *owner);
        let answer = |(answer, ask): (&BoardAnswer, Option<&BoardAsk>)| match (answer, ask) {
            (BoardAnswer::Fill { flight }, Some(BoardAsk::Begin { key })) if !is_under_way(key, *flight) => BoardAnswer::Later,
            _ => answer.clone(),
        };
        let asks = errand.asks.iter().map(Some).chain(std::iter::repeat(None));
        Reply { number: last.number, answers: last.answers.iter().zip(asks).map(answer).collect() }
    }

    /// A worker is gone, with all its users: others fill what they were filling, and do not wait for them. Whom to tell.
    pub fn on_lost(&mut self, owner: &Owner) -> Vec<(Owner, Notice)> {
        for gathering in self.gatherings.values_mut() {
            gathering.waiting.remove(owner);
        }
        let keys: Vec<_> = self.flights.iter().filter(|(_, flight)| flight.owner == *owner).map(|(key, _)| key.clone()).collect();
        let mut notices = Vec::new();
        for key in keys {
            self.land(&key, &mut notices);
        }
        notices
    }

    /// What stood here before is known to nobody: keys that have not been set since are unknown.
    pub fn forget_all(&mut self) {
        self.is_unknown = true;
    }

    /// The run is another master's, taken over at `now`: workers shall tell of their flights before new ones begin.
    pub fn take_over(&mut self, now: Duration) {
        self.hears_until = now + HEARING;
    }

    /// What a journal says of a key.
    pub fn restore_value(&mut self, key: String, (value, expires): (Posted, Option<Duration>)) {
        self.insert(key, value, expires);
    }

    /// What a journal says of a worker's last errand that changed something.
    pub fn restore_reply(&mut self, owner: Owner, reply: Reply) {
        self.last.insert(owner, reply);
    }

    /// Values and keys that found no room so far.
    #[must_use]
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    fn answer(&mut self, owner: &Owner, ask: &BoardAsk, tray: &mut Tray<Owner>, now: Duration) -> BoardAnswer {
        match ask {
            BoardAsk::Add { key, by } => self.add(key, *by, tray, now),
            BoardAsk::Get { key } => match self.fresh(key, now) {
                Some(entry) => entry.shown(tray, now),
                None if self.is_unknown => BoardAnswer::Unknown,
                None => BoardAnswer::Nothing,
            },
            BoardAsk::Set { key, value: Some(value), ttl } => self.put(key, value.clone(), expiry(now, *ttl), tray, now),
            BoardAsk::Set { key, value: None, .. } => {
                self.remove(key);
                tray.changes.push(Change { key: key.clone(), value: None, expires: None });
                BoardAnswer::Done
            }
            BoardAsk::Begin { key } => self.begin(owner, key, tray, now),
            BoardAsk::Finish { key, flight, value, ttl } => {
                let is_current = self.end_flight(owner, key, *flight, tray);
                // One that was overtaken must not replace what a later one brought.
                if is_current || self.fresh(key, now).is_none() {
                    return self.put(key, value.clone(), expiry(now, *ttl), tray, now);
                }
                BoardAnswer::Done
            }
            BoardAsk::GiveUp { key, flight } => {
                self.end_flight(owner, key, *flight, tray);
                BoardAnswer::Done
            }
            BoardAsk::Gather { name, size, waiting, seen } => self.gather(owner, name, (*size).max(1), *waiting, *seen, tray),
        }
    }

    fn add(&mut self, key: &str, by: f64, tray: &mut Tray<Owner>, now: Duration) -> BoardAnswer {
        let (number, expires) = match self.fresh(key, now) {
            Some(Entry { value: Posted::Number(number), expires, .. }) => (*number, *expires),
            Some(_) => return BoardAnswer::Refused(format!("`{key}` is not a number")),
            None if self.is_unknown => return BoardAnswer::Unknown,
            None => (0.0, None),
        };
        let sum = number + by;
        if !sum.is_finite() {
            return BoardAnswer::Refused(format!("`{key}` would be no finite number any more"));
        }
        match self.put(key, Posted::Number(sum), expires, tray, now) {
            BoardAnswer::Done => BoardAnswer::Sum(sum),
            refused => refused,
        }
    }

    fn begin(&mut self, owner: &Owner, key: &str, tray: &mut Tray<Owner>, now: Duration) -> BoardAnswer {
        if let Some(entry) = self.fresh(key, now) {
            return entry.shown(tray, now);
        }
        if let Some(flight) = self.flights.get_mut(key).filter(|flight| now < flight.ends) {
            flight.waiting.insert(owner.clone());
            return BoardAnswer::Wait;
        }
        let waiting = self.flights.remove(key).map(|overdue| overdue.waiting);
        if now < self.hears_until || self.flights.len() >= FLIGHTS_MAX {
            // Asked again in a second.
            return BoardAnswer::Wait;
        }
        self.flights_begun += 1;
        let number = self.flights_begun;
        let flight = Flight { number, owner: owner.clone(), ends: now + LEASE, waiting: waiting.unwrap_or_default() };
        self.flights.insert(key.to_owned(), flight);
        BoardAnswer::Fill { flight: number }
    }

    /// Whether this flight was still the one of its key.
    fn end_flight(&mut self, owner: &Owner, key: &str, number: u64, tray: &mut Tray<Owner>) -> bool {
        let is_current = self.flights.get(key).is_some_and(|flight| flight.number == number && flight.owner == *owner);
        if is_current {
            self.land(key, &mut tray.notices);
        }
        is_current
    }

    fn land(&mut self, key: &str, notices: &mut Vec<(Owner, Notice)>) {
        let Some(flight) = self.flights.remove(key) else { return };
        notices.extend(flight.waiting.into_iter().map(|owner| (owner, Notice::Landed(key.to_owned()))));
    }

    /// In a run that was taken over: what the former master knew.
    fn hear_of_flights(&mut self, owner: &Owner, errand: &Errand, now: Duration) {
        if now >= self.hears_until {
            return;
        }
        for (key, number) in &errand.flights {
            self.flights_begun = self.flights_begun.max(*number);
            if self.fresh(key, now).is_none() && self.flights.len() < FLIGHTS_MAX {
                let flight = || Flight { number: *number, owner: owner.clone(), ends: now + LEASE, waiting: BTreeSet::new() };
                self.flights.entry(key.clone()).or_insert_with(flight);
            }
        }
    }

    fn gather(&mut self, owner: &Owner, name: &str, size: u32, waiting: u32, seen: u64, tray: &mut Tray<Owner>) -> BoardAnswer {
        if !self.gatherings.contains_key(name) && self.gatherings.len() >= GATHERINGS_MAX {
            self.gatherings.retain(|_, gathering| !gathering.waiting.is_empty());
            if self.gatherings.len() >= GATHERINGS_MAX {
                self.refused += 1;
                return BoardAnswer::Refused(format!("users wait at {GATHERINGS_MAX} barriers already"));
            }
        }
        let fresh = || Gathering { size, waiting: BTreeMap::new(), released: BTreeMap::new() };
        let gathering = self.gatherings.entry(name.to_owned()).or_insert_with(fresh);
        let released = gathering.released.entry(owner.clone()).or_default();
        // One whose master forgot it knows better.
        *released = (*released).max(seen);
        // Who was let go and does not know it yet waits no more.
        let let_go = u32::try_from(*released - seen).unwrap_or(u32::MAX);
        gathering.waiting.remove(owner);
        if gathering.waiting.is_empty() {
            gathering.size = size;
        }
        let waiting = waiting.saturating_sub(let_go);
        if waiting > 0 && gathering.size != size {
            return BoardAnswer::Refused(format!("`{name}` is for {} users elsewhere, and for {size} here", gathering.size));
        }
        if waiting > 0 {
            gathering.waiting.insert(owner.clone(), waiting);
        }
        for other in gathering.open() {
            let released = gathering.released.get(&other).copied().unwrap_or(0);
            if other != *owner {
                tray.notices.push((other, Notice::Opened { name: name.to_owned(), released }));
            }
        }
        BoardAnswer::Gathered { released: gathering.released.get(owner).copied().unwrap_or(0) }
    }

    fn fresh(&self, key: &str, now: Duration) -> Option<&Entry> {
        self.values.get(key).filter(|entry| entry.is_fresh(now))
    }

    fn put(&mut self, key: &str, value: Posted, expires: Option<Duration>, tray: &mut Tray<Owner>, now: Duration) -> BoardAnswer {
        let bytes = entry_bytes(key, &value);
        if !self.has_room(key, bytes) {
            let stale: Vec<_> = self.values.iter().filter(|(_, entry)| !entry.is_fresh(now)).map(|(key, _)| key.clone()).collect();
            for key in stale {
                self.remove(&key);
                tray.changes.push(Change { key, value: None, expires: None });
            }
        }
        if bytes > VALUE_BYTES + KEY_BYTES + ENTRY_BYTES {
            self.refused += 1;
            return BoardAnswer::Refused(format!("the value of `{key}` takes more than {} KiB", VALUE_BYTES >> 10));
        }
        if !self.has_room(key, bytes) {
            self.refused += 1;
            return BoardAnswer::Refused(format!(
                "there is no room: the cluster holds at most {KEYS_MAX} keys and {} MiB; remove keys with shared.cluster.set(key, nil)",
                BYTES_MAX >> 20
            ));
        }
        self.insert(key.to_owned(), value.clone(), expires);
        tray.changes.push(Change { key: key.to_owned(), value: Some(value), expires });
        BoardAnswer::Done
    }

    fn has_room(&self, key: &str, bytes: usize) -> bool {
        let known = self.values.get(key);
        let keys = self.values.len() + usize::from(known.is_none());
        keys <= KEYS_MAX && self.bytes - known.map_or(0, |entry| entry.bytes) + bytes <= BYTES_MAX
    }

    fn insert(&mut self, key: String, value: Posted, expires: Option<Duration>) {
        self.remove(&key);
        let bytes = entry_bytes(&key, &value);
        self.bytes += bytes;
        self.values.insert(key, Entry { value, bytes, expires });
    }

    fn remove(&mut self, key: &str) {
        if let Some(entry) = self.values.remove(key) {
            self.bytes -= entry.bytes;
        }
    }
}

impl Entry {
    fn is_fresh(&self, now: Duration) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }

    fn shown<Owner>(&self, tray: &mut Tray<Owner>, now: Duration) -> BoardAnswer {
        if tray.room == 0 {
            return BoardAnswer::Later;
        }
        tray.room = tray.room.saturating_sub(self.bytes);
        BoardAnswer::Value { value: self.value.clone(), left: self.expires.map(|expires| expires.saturating_sub(now)) }
    }
}

impl<Owner: Ord + Clone> Gathering<Owner> {
    /// Lets so many users go as make the number full, as often as they do. Answers of which workers.
    fn open(&mut self) -> Vec<Owner> {
        let there: u64 = self.waiting.values().map(|waiting| u64::from(*waiting)).sum();
        let mut left = there - there % u64::from(self.size);
        let mut told = Vec::new();
        for (owner, waiting) in &mut self.waiting {
            let part = left.min(u64::from(*waiting));
            if part > 0 {
                left -= part;
                *waiting -= u32::try_from(part).unwrap_or(u32::MAX);
                *self.released.entry(owner.clone()).or_default() += part;
                told.push(owner.clone());
            }
        }
        self.waiting.retain(|_, waiting| *waiting > 0);
        told
    }
}

fn entry_bytes(key: &str, value: &Posted) -> usize {
    let bytes = if let Posted::Bytes(bytes) = value { bytes.len() } else { 0 };
    key.len() + bytes + ENTRY_BYTES
}

/// A time that is beyond all clocks is none.
fn expiry(now: Duration, ttl: Option<Duration>) -> Option<Duration> {
    ttl.and_then(|ttl| now.checked_add(ttl))
}

/// How long a user may take to fill a key before the next one may try.
const LEASE: Duration = Duration::from_secs(60);
/// How long workers may take to tell a new master of their flights: they say each second which they hold.
const HEARING: Duration = Duration::from_millis(2_500);
const GATHERINGS_MAX: usize = 1_000;
const KEYS_MAX: usize = 100_000;
const BYTES_MAX: usize = 32 << 20;
/// What an entry takes besides its key and value, roughly.
const ENTRY_BYTES: usize = 96;
/// Bytes of values in one reply, about.
const REPLY_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests;
