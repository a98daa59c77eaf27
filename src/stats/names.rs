//! The names under which numbers are kept, how they are looked up without allocating, and what bounds them.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use indexmap::{Equivalent, IndexMap};
use rustc_hash::FxBuildHasher;

use super::sample::FailureKind;

/// A map that keeps the order in which names were first seen.
pub type NameMap<K, V> = IndexMap<K, V, FxBuildHasher>;

/// What bounds the names of one recorder, or of the table.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// (method, name) entries; also bounds checks, groups, exceptions, metrics, and error messages, each by itself.
    pub names: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { names: 2_000 }
    }
}

/// What an entry is called.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryName {
    /// Such as `/cart`.
    pub name: Arc<str>,
    /// Such as `GET`.
    pub method: Arc<str>,
}

/// What one kind of error of an entry is called.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorName {
    /// The entry that it is an error of.
    pub entry: EntryName,
    /// Of the closed list.
    pub kind: FailureKind,
    /// What a person reads.
    pub message: Arc<str>,
}

/// A borrowed [`EntryName`].
#[derive(Hash)]
pub(super) struct EntryLookup<'a> {
    pub name: &'a str,
    pub method: &'a str,
}

impl Equivalent<EntryName> for EntryLookup<'_> {
    fn equivalent(&self, key: &EntryName) -> bool {
        *self.name == *key.name && *self.method == *key.method
    }
}

/// An error within one recorder, where entries have numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LocalError {
    pub entry: u32,
    pub kind: FailureKind,
    pub message: Arc<str>,
}

impl Hash for LocalError {
    fn hash<H: Hasher>(&self, state: &mut H) {
        LocalErrorLookup { entry: self.entry, kind: self.kind, message: &self.message }.hash(state);
    }
}

/// A borrowed [`LocalError`].
#[derive(Hash)]
pub(super) struct LocalErrorLookup<'a> {
    pub entry: u32,
    pub kind: FailureKind,
    pub message: &'a str,
}

impl Equivalent<LocalError> for LocalErrorLookup<'_> {
    fn equivalent(&self, key: &LocalError) -> bool {
        self.entry == key.entry && self.kind == key.kind && *self.message == *key.message
    }
}

/// Where all goes that has no name of its own because a limit was reached.
pub const OTHER: &str = "(other)";

/// Methods that may have an `(other)` of their own past the limit; a script can invent methods without end.
pub(super) const OTHER_METHODS: usize = 16;

/// The longest name or message that is kept, in bytes: a script may put a whole answer into one.
pub const NAME_BYTES: usize = 1_024;

/// The longest traceback that is kept, in bytes.
pub const TRACEBACK_BYTES: usize = 8_192;

/// The beginning of `text`, at most `bytes` long, cut between characters.
#[must_use]
pub(super) fn clip(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// The value under `name`, made where it is missing; under `(other)` once `limit` names are known. The flag says that the limit was met.
pub(super) fn bounded<'a, V: Default>(map: &'a mut NameMap<Arc<str>, V>, name: &str, limit: usize) -> (&'a mut V, bool) {
    let name = clip(name, NAME_BYTES);
    if let Some(place) = map.get_index_of(name) {
        return (&mut map[place], false);
    }
    if map.len() < limit {
        return (map.entry(name.into()).or_default(), false);
    }
    (map.entry(OTHER.into()).or_default(), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_between_characters() {
        assert_eq!(clip("aäb", 2), "a");
        assert_eq!(clip("aäb", 3), "aä");
        assert_eq!(clip("ab", 9), "ab");
    }

    #[test]
    fn a_borrowed_name_finds_the_owned_one() {
        let mut map = NameMap::default();
        map.insert(EntryName { name: "/cart".into(), method: "GET".into() }, 1);
        assert_eq!(map.get(&EntryLookup { name: "/cart", method: "GET" }), Some(&1));
        assert_eq!(map.get(&EntryLookup { name: "/cart", method: "POST" }), None);
        let mut map = NameMap::default();
        map.insert(LocalError { entry: 3, kind: FailureKind::Reset, message: "x".into() }, 1);
        assert_eq!(map.get(&LocalErrorLookup { entry: 3, kind: FailureKind::Reset, message: "x" }), Some(&1));
        assert_eq!(map.get(&LocalErrorLookup { entry: 3, kind: FailureKind::Reset, message: "y" }), None);
    }

    #[test]
    fn past_the_limit_everything_is_other() {
        let mut map = NameMap::<Arc<str>, u32>::default();
        for name in ["a", "b", "a", "c", "d"] {
            *bounded(&mut map, name, 2).0 += 1;
        }
        assert_eq!(map.iter().map(|(name, count)| (&**name, *count)).collect::<Vec<_>>(), [("a", 2), ("b", 1), (OTHER, 2)]);
    }
}
