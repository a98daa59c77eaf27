//! What the demo shop remembers: how often each path was asked for, its sessions, its products.
//!
//! All of it is bounded. Sessions end after an hour, or earlier when there are too many; a cart holds so many things and
//! no more. It knows nothing of HTTP.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};

/// The path that probes ask.
pub(super) const PROBED: &str = "/healthz";

/// The state that all connections share.
#[derive(Debug)]
pub(super) struct Shop {
    served: [AtomicU64; PATH_CLASSES.len()],
    /// Of `/healthz`, which are none of a load test's.
    probes: AtomicU64,
    flaky: AtomicU64,
    orders: AtomicU64,
    form_tokens: AtomicU64,
    /// Makes tokens of forms differ from one start of the shop to the next.
    salt: RandomState,
    began: Instant,
    sessions: Mutex<Sessions>,
    catalogue: Catalogue,
}

impl Shop {
    pub(super) fn new() -> Self {
        Self {
            served: std::array::from_fn(|_| AtomicU64::new(0)),
            probes: AtomicU64::new(0),
            flaky: AtomicU64::new(0),
            orders: AtomicU64::new(0),
            form_tokens: AtomicU64::new(0),
            salt: RandomState::new(),
            began: Instant::now(),
            sessions: Mutex::new(Sessions::new(SESSIONS_MAX, SESSION_LIFE)),
            catalogue: Catalogue::new(),
        }
    }

    /// Counts one request for `path`.
    pub(super) fn count(&self, path: &str) {
        if path == PROBED {
            self.probes.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.served[path_class(path)].fetch_add(1, Ordering::Relaxed);
    }

    /// All requests counted so far.
    pub(super) fn served(&self) -> u64 {
        self.served.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// The body of `/count`: the total, and each class of paths that was asked for at all; probes beside them, if there were any.
    pub(super) fn count_report(&self) -> Value {
        let paths: serde_json::Map<String, Value> = PATH_CLASSES
            .iter()
            .zip(&self.served)
            .map(|(class, count)| ((*class).to_owned(), count.load(Ordering::Relaxed)))
            .filter(|(_, count)| *count > 0)
            .map(|(class, count)| (class, json!(count)))
            .collect();
        let total: u64 = paths.values().filter_map(Value::as_u64).sum();
        let mut report = json!({ "total": total, "paths": paths });
        if let probes @ 1.. = self.probes.load(Ordering::Relaxed) {
            report["probes"] = json!(probes);
        }
        report
    }

    /// Whether this request for `/flaky` is the tenth, the twentieth, and so on.
    pub(super) fn flaky_fails(&self) -> bool {
        (self.flaky.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(FLAKY_EVERY)
    }

    /// The number of the next order, from 1.
    pub(super) fn next_order(&self) -> u64 {
        self.orders.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A token for a form, unlike those before it.
    pub(super) fn form_token(&self) -> String {
        let number = self.form_tokens.fetch_add(1, Ordering::Relaxed);
        format!("{:016x}{number:08x}", self.salt.hash_one(number))
    }

    /// Since the shop's start.
    pub(super) fn age(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// The sessions. A panic while they were held leaves them whole, since no step of theirs leaves them half done.
    pub(super) fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who is logged in. The oldest session goes when there are too many.
#[derive(Debug)]
pub(super) struct Sessions {
    by_token: HashMap<String, Session>,
    /// Tokens by age, the oldest in front; exactly the keys of `by_token`.
    by_age: VecDeque<String>,
    issued: u64,
    /// Makes tokens differ from one start of the shop to the next.
    salt: RandomState,
    limit: usize,
    life: Duration,
}

impl Sessions {
    fn new(limit: usize, life: Duration) -> Self {
        Self { by_token: HashMap::new(), by_age: VecDeque::new(), issued: 0, salt: RandomState::new(), limit, life }
    }

    /// Logs `user` in at `now` and gives the token.
    pub(super) fn open(&mut self, user: &str, now: Instant) -> String {
        self.forget_old(now);
        self.issued += 1;
        // The counter makes the token unique, the hash makes it look like one.
        let token = format!("{:016x}{:08x}", self.salt.hash_one(self.issued), self.issued);
        self.by_token.insert(token.clone(), Session { user: user.to_owned(), cart: Vec::new(), opened: now });
        self.by_age.push_back(token.clone());
        token
    }

    /// The session of `token`, unless it has ended.
    pub(super) fn find(&mut self, token: &str, now: Instant) -> Option<&mut Session> {
        self.by_token.get_mut(token).filter(|session| now.duration_since(session.opened) < self.life)
    }

    fn forget_old(&mut self, now: Instant) {
        while let Some(oldest) = self.by_age.front() {
            let is_over = self.by_token.get(oldest).is_none_or(|session| now.duration_since(session.opened) >= self.life);
            if !is_over && self.by_age.len() < self.limit {
                return;
            }
            self.by_token.remove(oldest);
            self.by_age.pop_front();
        }
    }
}

/// A user of the shop that has logged in.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) user: String,
    /// Product numbers, in the order in which they were put in.
    cart: Vec<u64>,
    opened: Instant,
}

impl Session {
    /// Puts product `id` into the cart; `false` where the cart is full.
    pub(super) fn put(&mut self, id: u64) -> bool {
        let has_room = self.cart.len() < CART_MAX;
        if has_room {
            self.cart.push(id);
        }
        has_room
    }

    pub(super) fn cart(&self) -> &[u64] {
        &self.cart
    }

    /// Empties the cart and gives what was in it.
    pub(super) fn take_cart(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.cart)
    }
}

/// The products, rendered once.
#[derive(Debug)]
pub(super) struct Catalogue {
    list: Bytes,
    /// Product N stands at N - 1.
    products: Vec<Bytes>,
}

impl Catalogue {
    fn new() -> Self {
        let products: Vec<Value> = (1..=PRODUCTS).map(product).collect();
        Self {
            list: Bytes::from(json!({ "count": PRODUCTS, "products": products }).to_string()),
            products: products.iter().map(|product| Bytes::from(product.to_string())).collect(),
        }
    }

    /// All products, as JSON.
    pub(super) fn list(&self) -> Bytes {
        self.list.clone()
    }

    /// Product `number` as JSON, where there is one.
    pub(super) fn product(&self, number: u64) -> Option<Bytes> {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        self.products.get(index).cloned()
    }
}

fn product(number: u64) -> Value {
    json!({ "id": number, "name": format!("Moth lamp no. {number}"), "price": f64::from(price_cents(number)) / 100.0 })
}

/// What product `number` costs: the same in every run, so that scripts may expect it.
pub(super) fn price_cents(number: u64) -> u32 {
    // The remainder is below 5,000, so it always fits.
    499 + u32::try_from(number * 137 % 5_000).unwrap_or(0)
}

/// Whether the shop has something at `path`, `/count` aside.
pub(super) fn is_known(path: &str) -> bool {
    path_class(path) < PATH_CLASSES.len() - 1
}

/// The class that `path` is counted under: an index into [`PATH_CLASSES`].
fn path_class(path: &str) -> usize {
    let last = PATH_CLASSES.len() - 1;
    PATH_CLASSES[..last]
        .iter()
        .position(|class| match class.split_once(":n") {
            Some((prefix, _)) => path.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && !rest.contains('/')),
            None => path == *class,
        })
        .unwrap_or(last)
}

/// How requests are sorted in `/count`, and all the paths that there are. `:n` stands for one segment; the last class takes whatever is left.
const PATH_CLASSES: [&str; 24] = [
    "/",
    "/about",
    "/search",
    "/products",
    "/products/:n",
    "/login",
    "/me",
    "/cart",
    "/checkout",
    "/delay/:n",
    "/status/:n",
    "/bytes/:n",
    "/flaky",
    "/gzip",
    "/chunked",
    "/redirect/:n",
    "/echo",
    "/signin",
    "/account",
    "/orders",
    "/jobs",
    "/jobs/:n",
    "/upload",
    "(other)",
];

/// Products are numbered from 1 to this.
pub(super) const PRODUCTS: u64 = 100;

/// Every so many requests to `/flaky` one fails.
const FLAKY_EVERY: u64 = 10;

/// About 25 MiB of sessions at most.
const SESSIONS_MAX: usize = 100_000;
const SESSION_LIFE: Duration = Duration::from_secs(3_600);

/// Things in one cart.
const CART_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_counted_under_its_class() {
        let class = |path: &str| PATH_CLASSES[path_class(path)];
        assert_eq!(class("/"), "/");
        assert_eq!(class("/products"), "/products");
        assert_eq!(class("/products/7"), "/products/:n");
        assert_eq!(class("/products/7/reviews"), "(other)");
        assert_eq!(class("/delay/250"), "/delay/:n");
        assert_eq!(class("/delay/"), "(other)");
        assert_eq!(class("/nowhere"), "(other)");
    }

    #[test]
    fn a_session_ends_after_its_life() {
        let start = Instant::now();
        let mut sessions = Sessions::new(10, Duration::from_secs(60));
        let token = sessions.open("ann", start);
        assert_eq!(sessions.find(&token, start + Duration::from_secs(59)).map(|s| s.user.clone()), Some("ann".to_owned()));
        assert!(sessions.find(&token, start + Duration::from_secs(60)).is_none());
    }

    #[test]
    fn the_oldest_session_goes_when_there_are_too_many() {
        let now = Instant::now();
        let mut sessions = Sessions::new(3, Duration::from_secs(60));
        let tokens: Vec<String> = (0..5).map(|n| sessions.open(&format!("u{n}"), now)).collect();
        let known: Vec<bool> = tokens.iter().map(|token| sessions.find(token, now).is_some()).collect();
        assert_eq!(known, [false, false, true, true, true]);
        assert_eq!((sessions.by_token.len(), sessions.by_age.len()), (3, 3));
    }

    #[test]
    fn a_full_cart_takes_nothing_more() {
        let mut session = Session { user: "ann".into(), cart: vec![1; CART_MAX - 1], opened: Instant::now() };
        assert!(session.put(2));
        assert!(!session.put(3));
        assert_eq!(session.take_cart().len(), CART_MAX);
        assert!(session.cart().is_empty());
    }

    #[test]
    fn every_tenth_flaky_request_fails() {
        let shop = Shop::new();
        let failed: Vec<usize> = (1..=30).filter(|_| shop.flaky_fails()).collect();
        assert_eq!(failed, [10, 20, 30]);
    }

    #[test]
    fn products_are_numbered_from_one() {
        let catalogue = Catalogue::new();
        assert!(catalogue.product(0).is_none());
        assert!(catalogue.product(PRODUCTS + 1).is_none());
        let last: Value = serde_json::from_slice(&catalogue.product(PRODUCTS).unwrap()).unwrap();
        assert_eq!(last["id"], json!(PRODUCTS));
        assert!(last["price"].as_f64().unwrap() > 0.0);
    }
}
