//! Rules on the repository's files: what stands where, and what no text may say.

use std::fs;
use std::path::Path;

use super::code::Source;
use super::{Breach, relative};

/// Every Rust file under `folder`, in order of path; those that only tests bring in are marked.
pub fn sources(root: &Path, folder: &str) -> Vec<Source> {
    let files = texts(root, &[folder]).into_iter().filter(|(path, _)| path.ends_with(".rs"));
    let mut sources: Vec<Source> = files.map(|(path, text)| Source::new(path, text)).collect();
    mark_tests(&mut sources);
    sources
}

/// Marks the files of modules that a file declares under `#[cfg(test)]`, and all below them.
fn mark_tests(sources: &mut [Source]) {
    let modules: Vec<String> = sources.iter().flat_map(Source::test_modules).collect();
    for source in sources {
        let is_of = |module: &String| source.path == format!("{module}.rs") || source.path.starts_with(&format!("{module}/"));
        source.is_test |= modules.iter().any(is_of);
    }
}

/// Path and text of every text file under `folders`, with the files beside them where all the top folders are asked for.
pub fn texts(root: &Path, folders: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in folders {
        walk(root, &root.join(folder), &mut found);
    }
    if folders.len() > 1 {
        walk(root, &root.join(".ci"), &mut found);
        for entry in entries(root).into_iter().filter(|path| path.is_file() && !path.ends_with(".git")) {
            found.extend(fs::read_to_string(&entry).ok().map(|text| (relative(root, &entry), text)));
        }
    }
    found
}

fn walk(root: &Path, folder: &Path, found: &mut Vec<(String, String)>) {
    for path in entries(folder) {
        if path.is_dir() {
            walk(root, &path, found);
        } else if let Ok(text) = fs::read_to_string(&path) {
            found.push((relative(root, &path), text));
        }
    }
}

/// What stands in `folder`, in order; nothing where it is absent.
fn entries(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// Every crate of `[dependencies]` has a home in the table, and every crate of the table is a dependency.
pub fn homeless(manifest: &str, homes: &[(&str, &[&str])]) -> Vec<Breach> {
    let breach = |line, rule, way_out| Breach { path: "Cargo.toml".into(), line, rule, way_out };
    let mut breaches = Vec::new();
    let mut known = Vec::new();
    let mut is_inside = false;
    for (index, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            is_inside = line == "[dependencies]";
        } else if let Some((name, _)) = line.split_once(" = ")
            && is_inside
        {
            let name = name.trim().replace('-', "_");
            if !homes.iter().any(|(home, _)| *home == name) {
                breaches.push(breach(index + 1, format!("`{name}` has no home"), "say in HOMES of tests/tidy.rs which room may name it"));
            }
            known.push(name);
        }
    }
    for (name, _) in homes.iter().filter(|(name, _)| !known.iter().any(|dependency| dependency == name)) {
        breaches.push(breach(1, format!("`{name}` has a home and is no dependency"), "take it out of HOMES in tests/tidy.rs"));
    }
    breaches
}

/// Only the known folders, files and dot-folders stand at the top; what `.gitignore` names is not looked at.
pub fn top(root: &Path, folders: &[&str]) -> Vec<Breach> {
    let ignored = fs::read_to_string(root.join(".gitignore")).unwrap_or_default();
    let is_ignored = |name: &str| ignored.lines().any(|line| line.trim_matches('/') == name);
    entries(root)
        .into_iter()
        .filter(|path| path.is_dir())
        .map(|path| relative(root, &path))
        .filter(|name| !name.starts_with('.') && !folders.contains(&name.as_str()) && !is_ignored(name))
        .map(|name| Breach {
            rule: format!("`{name}/` stands at the top"),
            path: name,
            line: 1,
            way_out: "the top has src, scripts, lua-stdlib, config, deploy and tests; move it into one of them",
        })
        .collect()
}

/// No text holds a path that exists on one machine only.
pub fn machine_paths(path: &str, text: &str) -> Vec<Breach> {
    // Written in two parts, so that this file keeps its own rule.
    let places = [concat!("/ho", "me/"), concat!("/Us", "ers/"), concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!(":\\Us", "ers\\")];
    text.lines()
        .enumerate()
        .flat_map(|(index, line)| places.iter().filter(|place| stands_alone(line, place)).map(move |place| (index + 1, *place)))
        .map(|(line, place)| Breach {
            path: path.to_owned(),
            line,
            rule: format!("a path of one machine: `{place}`"),
            way_out: "make it relative to the repository, or take it from the environment",
        })
        .collect()
}

/// Whether `place` begins a path in `line`, rather than going on with one (`/a/home/` is somebody's route).
fn stands_alone(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| !line[..at].ends_with(|before: char| before.is_alphanumeric() || "._-}".contains(before)))
}

/// A shipped Lua file begins with a doc comment.
pub fn lua_header(path: &str, text: &str) -> Option<Breach> {
    (!text.starts_with("---")).then(|| Breach {
        path: path.to_owned(),
        line: 1,
        rule: "no `---` doc comment at the start".into(),
        way_out: "begin with what the module is for, as an editor shall show it",
    })
}

/// An example script that no index names.
pub fn unnamed(path: &str, index: &str) -> Option<Breach> {
    let name = path.strip_prefix("scripts/")?;
    (name != "README.md" && !name.starts_with('.') && !index.contains(name)).then(|| Breach {
        path: path.to_owned(),
        line: 1,
        rule: "no index names this script".into(),
        way_out: "name it in README.md or scripts/README.md, with a line on what it shows",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_without_a_home_and_a_home_without_a_dependency_are_found() {
        let manifest = "[dependencies]\nserde = \"1\"\nhyper-util = \"1\"\n\n[dev-dependencies]\nsyn = \"2\"\n";
        let rules = |homes: &[(&str, &[&str])]| homeless(manifest, homes).into_iter().map(|b| (b.line, b.rule)).collect::<Vec<_>>();
        assert_eq!(rules(&[("serde", &["*"]), ("hyper_util", &["*"])]), []);
        assert_eq!(rules(&[("serde", &["*"])]), [(3, "`hyper_util` has no home".to_owned())]);
        assert_eq!(rules(&[("serde", &[]), ("hyper_util", &[]), ("syn", &[])]), [(1, "`syn` has a home and is no dependency".to_owned())]);
    }

    #[test]
    fn a_stray_folder_at_the_top_is_found() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["src", "docs", "target", ".ci"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join(".gitignore"), "/target\n").unwrap();
        fs::write(folder.path().join("README.md"), "").unwrap();
        let found: Vec<String> = top(folder.path(), &["src"]).into_iter().map(|breach| breach.path).collect();
        assert_eq!(found, ["docs"]);
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        let found = |text: &str| machine_paths("a", text).len();
        assert_eq!(found(concat!("\nlet x = \"/ho", "me/ann/x\";")), 1);
        assert_eq!(found(concat!("/ro", "ot/x and /wo", "rk/y")), 2);
        assert_eq!(found(concat!("http.get(\"/api/ho", "me/\"), http://host/ho", "me/x")), 0);
        assert_eq!(found("/usr/share, ./work, workers"), 0);
    }

    #[test]
    fn a_file_that_only_tests_bring_in_is_marked() {
        let mut sources = vec![
            Source::new("src/load/mod.rs", "#[cfg(test)] mod testing; mod lane;"),
            Source::new("src/load/testing.rs", ""),
            Source::new("src/load/lane.rs", "#[cfg(test)]\nmod tests;"),
            Source::new("src/load/lane/tests.rs", ""),
            Source::new("src/load/lane/tests/deep.rs", ""),
        ];
        mark_tests(&mut sources);
        let marks: Vec<bool> = sources.iter().map(|source| source.is_test).collect();
        assert_eq!(marks, [false, true, false, true, true]);
    }

    #[test]
    fn a_lua_file_without_documentation_is_found() {
        assert!(lua_header("a.lua", "local M = {}").is_some());
        assert!(lua_header("a.lua", "---Rows.\nlocal M = {}").is_none());
    }

    #[test]
    fn a_script_that_no_index_names_is_found() {
        assert!(unnamed("scripts/cart.lua", "see scripts/quickstart.lua").is_some());
        assert!(unnamed("scripts/cart.lua", "see scripts/cart.lua").is_none());
        assert!(unnamed("scripts/README.md", "").is_none());
    }
}
