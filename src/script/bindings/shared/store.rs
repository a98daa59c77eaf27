//! The store that all users of one worker share, and the flights that fill it: one at a time for each key.
//!
//! One lock for all of it: it is held for a look-up only, never while a script runs, and no request needs it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::plain::Plain;

/// Values by key, for all lanes of one worker.
#[derive(Debug, Default)]
pub struct SharedStore {
    content: Mutex<Content>,
}

impl SharedStore {
    /// A store that holds nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str, now: Instant) -> Option<Plain> {
        self.lock().value(key, now).cloned()
    }

    /// Sets a key; `None` removes it.
    ///
    /// # Errors
    /// The store is full.
    pub(super) fn set(&self, key: &str, value: Option<Plain>, now: Instant) -> Result<(), String> {
        let mut content = self.lock();
        match value {
            Some(value) => content.put(key, value, None, now),
            None => {
                content.remove(key);
                Ok(())
            }
        }
    }

    /// Adds to a number, which is 0 where the key is new.
    ///
    /// # Errors
    /// The value is no number, or the store is full.
    pub(super) fn increase(&self, key: &str, by: f64, now: Instant) -> Result<f64, String> {
        let mut content = self.lock();
        let (number, expires) = match content.entries.get(key).filter(|entry| entry.is_fresh(now)) {
            None => (0.0, None),
            Some(Entry { value: Plain::Number(number), expires, .. }) => (*number, *expires),
            Some(other) => return Err(format!("`{key}` is a {}, not a number", other.value.kind())),
        };
        content.put(key, Plain::Number(number + by), expires, now)?;
        Ok(number + by)
    }

    /// What a caller of `cached` shall do: take the value, fill the key itself, or wait for who is filling it.
    pub(super) fn begin(self: &Arc<Self>, key: &str, user: u64, now: Instant) -> Begin {
        let mut content = self.lock();
        if let Some(value) = content.value(key, now) {
            return Begin::Value(value.clone());
        }
        match content.flights.get(key) {
            Some(flight) if flight.user == user && now < flight.ends => return Begin::Own,
            Some(flight) if now < flight.ends => return Begin::Wait,
            _ => {}
        }
        content.flights_begun += 1;
        let number = content.flights_begun;
        // Who waited for an overdue flight wakes up here, because its sender is dropped, and waits for this one.
        content.flights.insert(key.to_owned(), Flight { number, user, ends: now + LEASE, over: watch::Sender::new(()) });
        Begin::Fill(Lease { store: Arc::downgrade(self), key: key.to_owned(), number })
    }

    /// Ends the flight with its value.
    ///
    /// # Errors
    /// The store is full. The flight has ended all the same.
    pub(super) fn finish(&self, lease: Lease, value: Plain, lives: Option<Duration>, now: Instant) -> Result<(), String> {
        let mut content = self.lock();
        let is_current = content.end_flight(&lease.key, lease.number);
        let key = lease.disarmed();
        // An overdue flight must not overwrite what a later one brought.
        if is_current || content.value(&key, now).is_none() {
            let expires = lives.and_then(|lives| now.checked_add(lives));
            return content.put(&key, value, expires, now);
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        // Each change below is complete before anything can panic, so a poisoned lock guards sound content.
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until the flight that fills `key` has ended, however it ended, or is overdue. Then ask again.
pub async fn wait_for_flight(store: Arc<SharedStore>, key: String) {
    let Some((mut over, ends)) = store.lock().flights.get(&key).map(|flight| (flight.over.subscribe(), flight.ends)) else { return };
    drop(store);
    // Nothing is ever sent: the sender is dropped when the flight ends, which cannot be missed.
    let _ = tokio::time::timeout_at(ends.into(), over.changed()).await;
}

/// The answer to [`SharedStore::begin`].
#[derive(Debug)]
pub(super) enum Begin {
    /// The key has a value.
    Value(Plain),
    /// Nobody is filling the key: the holder of the lease shall.
    Fill(Lease),
    /// Another user is filling it.
    Wait,
    /// This very user is filling it, further up: waiting would never end.
    Own,
}

/// The right to fill a key. Dropped without a value, it lets the next one try.
#[derive(Debug)]
pub(super) struct Lease {
    store: Weak<SharedStore>,
    key: String,
    number: u64,
}

impl Lease {
    /// Tells this lease from all others of the store.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    fn disarmed(mut self) -> String {
        self.store = Weak::new();
        std::mem::take(&mut self.key)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(store) = self.store.upgrade() {
            store.lock().end_flight(&self.key, self.number);
        }
    }
}

#[derive(Debug, Default)]
struct Content {
    entries: HashMap<String, Entry>,
    /// Of all keys and values.
    bytes: usize,
    flights: HashMap<String, Flight>,
    flights_begun: u64,
}

#[derive(Debug)]
struct Entry {
    value: Plain,
    bytes: usize,
    expires: Option<Instant>,
}

#[derive(Debug)]
struct Flight {
    number: u64,
    user: u64,
    ends: Instant,
    over: watch::Sender<()>,
}

impl Content {
    fn value(&self, key: &str, now: Instant) -> Option<&Plain> {
        self.entries.get(key).filter(|entry| entry.is_fresh(now)).map(|entry| &entry.value)
    }

    fn put(&mut self, key: &str, value: Plain, expires: Option<Instant>, now: Instant) -> Result<(), String> {
        let bytes = key.len() + value.bytes() + ENTRY_BYTES;
        if !self.has_room(key, bytes) {
            self.remove_expired(now);
            if !self.has_room(key, bytes) {
                return Err(format!(
                    "the store is full: it holds at most {KEYS_MAX} keys and {} MiB; remove keys with shared.set(key, nil)",
                    BYTES_MAX >> 20
                ));
            }
        }
        self.remove(key);
        self.bytes += bytes;
        self.entries.insert(key.to_owned(), Entry { value, bytes, expires });
        Ok(())
    }

    fn has_room(&self, key: &str, bytes: usize) -> bool {
        let known = self.entries.get(key);
        let keys = self.entries.len() + usize::from(known.is_none());
        let freed = known.map_or(0, |entry| entry.bytes);
        keys <= KEYS_MAX && self.bytes - freed + bytes <= BYTES_MAX
    }

    fn remove(&mut self, key: &str) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= entry.bytes;
        }
    }

    fn remove_expired(&mut self, now: Instant) {
        self.entries.retain(|_, entry| entry.is_fresh(now));
        self.bytes = self.entries.values().map(|entry| entry.bytes).sum();
    }

    /// Whether this flight was still the one of its key.
    fn end_flight(&mut self, key: &str, number: u64) -> bool {
        let is_current = self.flights.get(key).is_some_and(|flight| flight.number == number);
        if is_current {
            self.flights.remove(key);
        }
        is_current
    }
}

impl Entry {
    fn is_fresh(&self, now: Instant) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

/// How long a user may take to fill a key before the next one may try.
const LEASE: Duration = Duration::from_secs(60);
const KEYS_MAX: usize = 100_000;
const BYTES_MAX: usize = 64 << 20;
/// What a map takes for an entry besides its key and value, roughly.
const ENTRY_BYTES: usize = 96;

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Plain {
        Plain::Text(text.as_bytes().into())
    }

    fn lease_of(begin: Begin) -> Lease {
        match begin {
            Begin::Fill(lease) => lease,
            other => panic!("{other:?}"),
        }
    }

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
    }

    #[test]
    fn values_are_set_replaced_and_removed() {
        let (store, now) = (SharedStore::new(), Instant::now());
        store.set("a", Some(text("1")), now).unwrap();
        store.set("a", Some(Plain::Boolean(true)), now).unwrap();
        assert_eq!(store.get("a", now), Some(Plain::Boolean(true)));
        store.set("a", None, now).unwrap();
        assert_eq!(store.get("a", now), None);
        assert_eq!(store.lock().bytes, 0);
    }

    #[test]
    fn numbers_are_increased_from_zero_and_nothing_else_is() {
        let (store, now) = (SharedStore::new(), Instant::now());
        assert_eq!(store.increase("n", 1.0, now), Ok(1.0));
        assert_eq!(store.increase("n", -0.5, now), Ok(0.5));
        store.set("t", Some(text("x")), now).unwrap();
        assert_eq!(store.increase("t", 1.0, now), Err("`t` is a string, not a number".to_owned()));
    }

    #[test]
    fn one_user_fills_a_key_and_the_others_get_its_value_until_it_expires() {
        let (store, now) = (Arc::new(SharedStore::new()), Instant::now());
        let lease = lease_of(store.begin("token", 1, now));
        assert!(matches!(store.begin("token", 2, now), Begin::Wait));
        assert!(matches!(store.begin("token", 1, now), Begin::Own));
        store.finish(lease, text("abc"), Some(Duration::from_secs(5)), now).unwrap();
        assert!(matches!(store.begin("token", 2, now), Begin::Value(value) if value == text("abc")));
        assert!(matches!(store.begin("token", 2, now + Duration::from_secs(5)), Begin::Fill(_)));
    }

    #[test]
    fn a_lease_that_is_dropped_lets_the_next_one_try() {
        let (store, now) = (Arc::new(SharedStore::new()), Instant::now());
        drop(lease_of(store.begin("token", 1, now)));
        let _second = lease_of(store.begin("token", 2, now));
        assert!(matches!(store.begin("token", 3, now), Begin::Wait));
    }

    #[test]
    fn an_overdue_flight_is_taken_over_and_its_late_value_changes_nothing() {
        let (store, now) = (Arc::new(SharedStore::new()), Instant::now());
        let late = lease_of(store.begin("token", 1, now));
        let later = now + LEASE;
        let next = lease_of(store.begin("token", 2, later));
        store.finish(next, text("fresh"), None, later).unwrap();
        store.finish(late, text("stale"), None, later).unwrap();
        assert_eq!(store.get("token", later), Some(text("fresh")));
    }

    #[test]
    fn an_overdue_lease_that_is_dropped_does_not_end_the_flight_of_its_successor() {
        let (store, now) = (Arc::new(SharedStore::new()), Instant::now());
        let late = lease_of(store.begin("token", 1, now));
        let _next = lease_of(store.begin("token", 2, now + LEASE));
        drop(late);
        assert!(matches!(store.begin("token", 3, now + LEASE), Begin::Wait));
    }

    #[test]
    fn those_who_wait_go_on_when_the_flight_ends_in_another_thread() {
        let (store, now) = (Arc::new(SharedStore::new()), Instant::now());
        let lease = lease_of(store.begin("token", 1, now));
        let waiting = Arc::clone(&store);
        let waiter = std::thread::spawn(move || {
            runtime().block_on(wait_for_flight(Arc::clone(&waiting), "token".to_owned()));
            waiting.get("token", Instant::now())
        });
        store.finish(lease, text("abc"), None, now).unwrap();
        assert_eq!(waiter.join().unwrap(), Some(text("abc")));
    }

    #[test]
    fn waiting_for_no_flight_returns_at_once_and_for_an_overdue_one_too() {
        let store = Arc::new(SharedStore::new());
        let long_ago = Instant::now().checked_sub(LEASE).unwrap();
        let _lease = lease_of(store.begin("overdue", 1, long_ago));
        runtime().block_on(async {
            wait_for_flight(Arc::clone(&store), "nobody".to_owned()).await;
            wait_for_flight(store, "overdue".to_owned()).await;
        });
    }

    #[test]
    fn keys_are_bounded_and_expired_ones_make_room() {
        let (store, now) = (Arc::new(SharedStore::new()), Instant::now());
        let lease = lease_of(store.begin("short", 1, now));
        store.finish(lease, Plain::Nil, Some(Duration::from_secs(1)), now).unwrap();
        for number in 1..KEYS_MAX {
            store.set(&number.to_string(), Some(Plain::Nil), now).unwrap();
        }
        assert!(store.set("more", Some(Plain::Nil), now).unwrap_err().contains("the store is full"));
        store.set("7", Some(text("a known key can change")), now).unwrap();
        store.set("more", Some(Plain::Nil), now + Duration::from_secs(1)).unwrap();
    }

    #[test]
    fn bytes_are_bounded() {
        let (store, now) = (SharedStore::new(), Instant::now());
        let big = Plain::Text(vec![0; 40 << 20].into());
        store.set("a", Some(big.clone()), now).unwrap();
        assert!(store.set("b", Some(big.clone()), now).is_err());
        store.set("a", Some(big), now).unwrap();
    }
}
