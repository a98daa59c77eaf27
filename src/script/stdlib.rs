//! The Lua files of `lua-stdlib`: in the binary, and read from disk in debug builds.

use std::borrow::Cow;

/// The source of a file of `lua-stdlib`, such as `http.lua`.
pub(super) fn source(path: &str) -> Option<Cow<'static, [u8]>> {
    <Files as rust_embed::RustEmbed>::get(path).map(|file| file.data)
}

#[derive(rust_embed::RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/lua-stdlib"]
struct Files;
