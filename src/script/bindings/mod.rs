//! What scripts can call: each file here holds the natives of one `require` name; the public functions around them are in `lua-stdlib`.
//!
//! This file owns the table of names.

use std::rc::Rc;

use mlua::{Lua, Table};

use super::context::VmContext;

pub mod check;
pub mod env;
pub mod group;
pub mod http;
pub mod json;
pub mod log;
pub mod metric;
pub mod random;
pub mod regex;
pub mod scenario;
pub mod shared;
pub mod time;
pub mod url;
pub mod wait;

#[cfg(test)]
mod annotations;
#[cfg(test)]
mod testing;

/// Registers the natives of one library.
pub(super) type Natives = fn(&Lua, &Rc<VmContext>) -> mlua::Result<Table>;

/// Every name that `require` knows, with the natives behind its Lua file.
pub(super) const LIBRARIES: &[(&str, Natives)] = &[
    ("check", check::natives),
    ("env", env::natives),
    ("group", group::natives),
    ("http", http::natives),
    ("json", json::natives),
    ("log", log::natives),
    ("metric", metric::natives),
    ("random", random::natives),
    ("regex", regex::natives),
    ("scenario", scenario::natives),
    ("shared", shared::natives),
    ("time", time::natives),
    ("url", url::natives),
    ("wait", wait::natives),
];

/// Libraries that have a place in the contract and none in this version.
pub(super) const LATER: &[&str] = &["base64", "data", "grpc", "hash", "html", "jwt", "sse", "tcp", "udp", "uuid", "ws", "xml"];

/// The name of `known` that a person who wrote `name` most likely meant.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let scored = known.map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate));
    let best = scored.min_by_key(|(distance, _)| *distance)?;
    // A third of the letters may be wrong; beyond that it is another word.
    (best.0 <= (name.chars().count() / 3).max(1)).then_some(best.1)
}
