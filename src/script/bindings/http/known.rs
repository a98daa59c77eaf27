//! Requests without options that are made again and again: what follows from method, URL and name alone is worked out once a lane.
//!
//! Owns the table of them, not how one is worked out (`user`) or made (`repeat`).
//!
//! The table has a fixed number of places. A request is known from its second time on, so that URLs that never come again, such as those with a number
//! made up, cost a look and take no memory.

use std::cell::RefCell;
use std::hash::Hasher as _;
use std::rc::Rc;

use rustc_hash::FxHasher;
use url::Url;

use super::address::Address;
use crate::stats::recorder::EntryId;

/// A request by its method, in upper case, and by URL and name as the script has them.
pub(super) type Spelling<'a> = (&'static str, &'a [u8], Option<&'a [u8]>);

/// What follows from a request's method, URL and name, and from the tags of its user.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) method: &'static str,
    /// As the script has it.
    pub(super) url: Box<str>,
    /// As the script has it.
    pub(super) name: Option<Box<str>>,
    /// The tags that the entry has.
    pub(super) tags: Rc<str>,
    pub(super) address: Address,
    /// The same as a URL, by which the jar's cookies go.
    pub(super) whole: Url,
    /// Where its hops count.
    pub(super) entry: EntryId,
    /// It goes to another host than the scenario's.
    pub(super) is_foreign: bool,
    /// What was asked for, as results have it.
    pub(super) asked: Box<[u8]>,
}

impl Known {
    fn is(&self, tags: &str, (method, url, name): Spelling<'_>) -> bool {
        self.url.as_bytes() == url
            && self.name.as_deref().map(str::as_bytes) == name
            && self.method == method
            && *self.tags == *tags
    }
}

/// The requests of one lane that were asked for before.
#[derive(Debug, Default)]
pub(super) struct KnownRequests(RefCell<Table>);

#[derive(Debug, Default)]
struct Table {
    /// [`PLACES`] once there is anything; those of one hash lie in [`NEIGHBOURS`] places beside each other.
    known: Vec<Option<Rc<Known>>>,
    /// Hashes of requests that were asked for and not known: [`SEEN`], each at the place that follows from it.
    seen: Vec<u32>,
}

impl KnownRequests {
    /// What is known of a request, where it was seen before; worked out by `know` the second time.
    #[inline]
    pub(super) fn find(&self, tags: &str, spelling: Spelling<'_>, know: impl FnOnce() -> Option<Known>) -> Option<Rc<Known>> {
        let (hash, mut table) = (hash_of(spelling), self.0.borrow_mut());
        let first = hash as usize % (PLACES / NEIGHBOURS) * NEIGHBOURS;
        let neighbours = table.known.get(first..first + NEIGHBOURS).unwrap_or_default();
        match neighbours.iter().flatten().find(|known| known.is(tags, spelling)) {
            Some(known) => Some(Rc::clone(known)),
            None => table.learn(first, hash, know),
        }
    }
}

impl Table {
    /// Notes that a request was seen; makes it known the second time.
    #[cold]
    fn learn(&mut self, first: usize, hash: u32, know: impl FnOnce() -> Option<Known>) -> Option<Rc<Known>> {
        if self.known.is_empty() {
            self.known.resize(PLACES, None);
            self.seen.resize(SEEN, 0);
        }
        if std::mem::replace(&mut self.seen[(hash >> 16) as usize % SEEN], hash) != hash {
            return None;
        }
        let known = Rc::new(know()?);
        let neighbours = &mut self.known[first..first + NEIGHBOURS];
        // Where all are taken, one of them gives way, and comes again as any other.
        let at = neighbours.iter().position(Option::is_none).unwrap_or((hash >> 24) as usize % NEIGHBOURS);
        neighbours[at] = Some(Rc::clone(&known));
        Some(known)
    }
}

fn hash_of((method, url, name): Spelling<'_>) -> u32 {
    let mut hasher = FxHasher::default();
    hasher.write(url);
    hasher.write(name.unwrap_or_default());
    hasher.write(method.as_bytes());
    hasher.write_u8(u8::from(name.is_some()));
    hasher.finish() as u32
}

/// More than most scripts have URLs that they ask for all the time; 8 KiB a lane.
const PLACES: usize = 1_024;

/// Requests of which so many others may come before they come again; 16 KiB a lane.
const SEEN: usize = 4_096;

/// Of requests whose hashes fall together so many are known.
const NEIGHBOURS: usize = 4;
