//! What scripts can call: each file here holds the natives of one `require` name; the public functions around them are in `lua-stdlib`.
//!
//! This file owns the table of names. A new library is a row in it, a file (or folder) here and one in `lua-stdlib`; what of it scripts
//! can reach, and at which cost, stands in `script/tests/golden/NAME.txt`.

use std::rc::Rc;

use mlua::{Lua, Table};

use super::context::VmContext;

#[cfg(test)]
mod annotations;
#[cfg(test)]
mod testing;

/// Registers the natives of one library.
pub(super) type Natives = fn(&Lua, &Rc<VmContext>) -> mlua::Result<Table>;

/// One row a library: its module here, which is called as `require` calls it, and `natives` in it. Its Lua is `lua-stdlib/NAME.lua`.
macro_rules! libraries {
    ($($name:ident)*) => {
        $(pub mod $name;)*

        /// Every name that `require` knows, with the natives behind its Lua file.
        pub(super) const LIBRARIES: &[(&str, Natives)] = &[$((stringify!($name), $name::natives)),*];
    };
}

libraries! {
    base64
    check
    data
    env
    group
    hash
    html
    http
    json
    jwt
    log
    metric
    random
    regex
    scenario
    shared
    time
    url
    uuid
    wait
    xml
}

/// Libraries that have a place in the contract and none in this version.
pub(super) const LATER: &[&str] = &["grpc", "sse", "tcp", "udp", "ws"];

/// The name of `known` that a person who wrote `name` most likely meant.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    let scored = known.map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate));
    let best = scored.min_by_key(|(distance, _)| *distance)?;
    // A third of the letters may be wrong; beyond that it is another word.
    (best.0 <= (name.chars().count() / 3).max(1)).then_some(best.1)
}
