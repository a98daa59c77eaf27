//! The rules of the house that a test can hold: who may name whom, where each outside crate lives, sizes, and what never
//! stands in the code. This file holds the tables. The rules are in `tidy/code.rs`, `tidy/docs.rs` (Rust, as tokens) and
//! `tidy/tree.rs` (files). A new edge between rooms is a commit of its own that edits [`ROOMS`] and says why.

#[path = "tidy/circles.rs"]
mod circles;
#[path = "tidy/code.rs"]
mod code;
#[path = "tidy/docs.rs"]
mod docs;
#[path = "tidy/tree.rs"]
mod tree;

use std::fmt;
use std::path::{Path, PathBuf};

use code::Source;

/// Each room and the rooms that it may name. Where a room stands in the table, it may name only rooms above it.
const ROOMS: &[(&str, &[&str])] = &[
    ("plan", &[]),
    ("protocol", &[]),
    ("target", &[]),
    // Any room may have names that people misspell.
    ("spelling", &[]),
    ("stats", &["plan", "spelling"]),
    ("config", &["plan", "spelling"]),
    ("cli", &["config"]),
    ("load", &["plan", "stats"]),
    ("script", &["plan", "stats", "load", "protocol", "spelling"]),
    ("cluster", &["plan", "stats", "load"]),
    ("front", &["plan", "stats", "cluster", "spelling"]),
];

/// The files that may name every room.
const WIRING: &[&str] = &["app", "main", "lib"];

/// Each crate of `[dependencies]` and the places under `src/` that may name it; `*` is everywhere. Tests may name any.
const HOMES: &[(&str, &[&str])] = &[
    ("serde_json", &["*"]),
    ("thiserror", &["*"]),
    ("log", &["*"]),
    ("rustc_hash", &["*"]),
    ("indexmap", &["*"]),
    ("strsim", &["spelling"]),
    ("anyhow", &["app", "main"]),
    ("clap", &["cli", "main"]),
    ("toml", &["config"]),
    ("humantime", &["config", "cli", "front", "protocol", "app"]),
    ("jiff", &["front", "script", "app"]),
    ("anstyle", &["front"]),
    ("terminal_size", &["front"]),
    ("unicode_width", &["front"]),
    // Errors that the standard library has no word for, opening what may have no reader, waiting for room in it, and looking whether a key
    // was pressed.
    ("libc", &["script", "load", "protocol", "app", "front/api/listen", "front/report/place", "front/console/screen", "front/tui/key"]),
    ("tikv_jemallocator", &["main"]),
    ("tokio", &["load", "protocol", "script", "cluster", "front", "target", "app", "main"]),
    ("mlua", &["script"]),
    ("futures_util", &["script"]),
    ("hyper", &["protocol", "target", "front"]),
    ("hyper_util", &["protocol", "target", "front"]),
    ("http_body_util", &["protocol", "target", "front"]),
    ("http", &["protocol", "target", "script", "front"]),
    ("httparse", &["protocol"]),
    ("bytes", &["protocol", "target", "script", "cluster", "front"]),
    ("url", &["protocol", "target", "script", "config"]),
    ("percent_encoding", &["protocol", "script"]),
    ("rustls", &["protocol", "cluster/identity", "cluster/transport", "front/api/tls", "front/client", "main"]),
    ("tokio_rustls", &["protocol", "front/api/tls"]),
    ("rustls_native_certs", &["protocol"]),
    ("webpki_roots", &["protocol"]),
    ("hickory_resolver", &["protocol"]),
    ("flate2", &["protocol", "target", "front/api/packing"]),
    ("brotli_decompressor", &["protocol"]),
    ("zstd", &["protocol"]),
    ("base64", &["protocol", "script", "front", "stats/histogram"]),
    ("regex_automata", &["script/bindings/regex"]),
    ("memchr", &["script"]),
    ("rand_core", &["script", "stats/comparison"]),
    ("rand_pcg", &["script", "stats/comparison"]),
    ("sha2", &["script", "front/page", "cluster/identity", "front/api/token"]),
    ("rust_embed", &["script"]),
    ("md5", &["script/bindings/hash"]),
    ("sha1", &["script/bindings/hash"]),
    ("hmac", &["script/bindings/hash"]),
    ("uuid", &["script/bindings/uuid"]),
    ("jsonwebtoken", &["script/bindings/jwt"]),
    ("quick_xml", &["script/bindings/xml"]),
    ("html5ever", &["script/bindings/html"]),
    ("scraper", &["script/bindings/html"]),
    ("ego_tree", &["script/bindings/html"]),
    ("hdrhistogram", &["stats/histogram"]),
    ("statrs", &["stats/comparison"]),
    ("quinn", &["cluster/transport"]),
    ("quinn_proto", &["cluster/transport"]),
    ("bincode", &["cluster/codec"]),
    ("argon2", &["cluster/identity"]),
    ("hkdf", &["cluster/identity", "front/api/token"]),
    ("getrandom", &["cluster", "app"]),
    ("crc32fast", &["cluster/journal"]),
    ("axum", &["front"]),
    ("tower", &["front"]),
    ("serde", &["front"]),
    ("utoipa", &["front"]),
    ("reqwest", &["front/client", "front/tui"]),
    ("subtle", &["front"]),
    ("ratatui", &["front"]),
    ("crossterm", &["front"]),
    ("russh", &["front/ssh"]),
];

/// The folders at the top of the repository. Files and folders whose name begins with a dot may stand beside them.
const TOP_FOLDERS: &[&str] = &["src", "scripts", "lua-stdlib", "config", "deploy", "tests"];

/// Lines of a file before its tests, and lines of a function outside tests.
const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

/// Words of a doc text that names nothing of the code.
const DOC_WORDS_MIN: usize = 4;

/// One place where a rule is broken.
#[derive(Debug, PartialEq, Eq)]
struct Breach {
    path: String,
    /// The first line is 1.
    line: usize,
    rule: String,
    way_out: &'static str,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}\n    way out: {}", self.path, self.line, self.rule, self.way_out)
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Applies `rule` to every Rust file under the given folders and fails with all the breaches.
fn each_source(folders: &[&str], rule: impl Fn(&Source) -> Vec<Breach>) {
    let sources: Vec<Source> = folders.iter().flat_map(|folder| tree::sources(&root(), folder)).collect();
    assert!(!sources.is_empty(), "no Rust file under {folders:?}: a rule that looks at nothing holds nothing");
    settle(sources.iter().flat_map(rule).collect());
}

fn settle(breaches: Vec<Breach>) {
    let lines: Vec<String> = breaches.iter().map(Breach::to_string).collect();
    assert!(lines.is_empty(), "{} broken:\n\n{}\n", lines.len(), lines.join("\n"));
}

#[test]
fn a_room_names_only_the_rooms_below_it() {
    each_source(&["src"], |source| code::layers(source, ROOMS, WIRING));
}

#[test]
fn the_table_of_rooms_has_no_circle() {
    for (index, (room, may_name)) in ROOMS.iter().enumerate() {
        for named in *may_name {
            assert!(ROOMS[..index].iter().any(|(above, _)| above == named), "`{room}` may name `{named}`, which is not above it");
        }
    }
}

#[test]
fn no_files_name_each_other_in_a_circle() {
    settle(circles::circles(&tree::sources(&root(), "src")));
}

#[test]
fn an_outside_crate_is_named_only_at_its_home() {
    each_source(&["src"], |source| code::homes(source, HOMES));
}

#[test]
fn every_dependency_has_a_home() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    settle(tree::homeless(&manifest, HOMES));
}

#[test]
fn every_rust_file_says_what_it_owns() {
    each_source(&["src", "tests"], code::header);
}

#[test]
fn files_and_functions_keep_their_size() {
    each_source(&["src", "tests"], |source| code::sizes(source, FILE_LINES_MAX, FUNCTION_LINES_MAX));
}

#[test]
fn documentation_says_more_than_a_name() {
    each_source(&["src", "tests"], |source| docs::short_docs(source, DOC_WORDS_MIN));
}

#[test]
fn nothing_is_unwrapped_outside_tests() {
    each_source(&["src"], code::unwraps);
}

#[test]
fn no_lint_is_silenced_without_a_reason() {
    each_source(&["src", "tests"], code::allows);
}

#[test]
fn nothing_is_left_to_do() {
    each_source(&["src", "tests"], code::stubs);
}

#[test]
fn the_top_of_the_repository_is_tidy() {
    settle(tree::top(&root(), TOP_FOLDERS));
}

#[test]
fn no_file_knows_the_machine_it_was_written_on() {
    let files = tree::texts(&root(), TOP_FOLDERS);
    assert!(files.len() > 20, "only {} files were looked at", files.len());
    settle(files.iter().flat_map(|(path, text)| tree::machine_paths(path, text)).collect());
}

#[test]
fn every_shipped_lua_file_starts_with_its_documentation() {
    let files = tree::texts(&root(), &["lua-stdlib"]);
    settle(files.iter().filter(|(path, _)| path.ends_with(".lua")).flat_map(|(path, text)| tree::lua_header(path, text)).collect());
}

#[test]
fn every_example_script_is_named_in_an_index() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap_or_default();
    let index = read("README.md") + &read("scripts/README.md");
    let scripts = tree::texts(&root(), &["scripts"]);
    settle(scripts.iter().filter_map(|(path, _)| tree::unnamed(path, &index)).collect());
}

/// `path` below `root`, with slashes.
fn relative(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path);
    below.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}
