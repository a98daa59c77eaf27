//! The folder that scripts come from: what it holds, which script is meant, and that one load sees one state of it.
//!
//! Owns names, links and versions of a folder. What a script requires is `bundle`'s, what it describes `host`'s.

use std::path::{Path, PathBuf};

use super::bundle::Reader;
use super::error::LoadScriptError;
use super::folder_version::{FolderVersion, file_name, steadily};
use super::host::{Host, LoadOptions};
use super::watch::FolderStamp;

/// The folder of `--scripts`, with the script of `--script` where one was named.
///
/// Holds paths only and reads the disk at each call, so that a start sees what a changed ConfigMap brings. Calls block: not for an async thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptFolder {
    /// As it was given.
    folder: PathBuf,
    /// The name of `--script`, with its ending.
    named: Option<String>,
}

impl ScriptFolder {
    /// The folder `dir`, and the script in it that is meant where a start names none: `shop`, `shop.lua`, or its path in the folder.
    ///
    /// # Errors
    /// There is no such folder, or `named` cannot be in it. Which scripts are there is seen later, at each load.
    pub fn open(dir: &Path, named: Option<&str>) -> Result<Self, LoadScriptError> {
        let version = FolderVersion::of(dir)?;
        let named = named.map(|named| file_name(version.inside(named))).transpose()?;
        Ok(Self { folder: dir.to_owned(), named })
    }

    /// The folder, as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.folder
    }

    /// The file names of all scripts at the top of the folder, sorted; modules are among them. Empty where it cannot be read.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        FolderVersion::of(&self.folder).and_then(|version| version.scripts()).unwrap_or_default()
    }

    /// What the folder is known by at this moment, for a [`Watch`](super::Watch). Reads no file.
    #[must_use]
    pub fn stamp(&self) -> FolderStamp {
        FolderStamp::of(&self.folder)
    }

    /// The script that a start means which names none: that of `--script`, else `main.lua`, else the only one.
    ///
    /// # Errors
    /// There is none, or it is not clear which; the text lists what is there.
    pub fn default_script(&self) -> Result<String, LoadScriptError> {
        FolderVersion::of(&self.folder)?.chosen(self.named.as_deref())
    }

    /// Loads the script called `name`, with or without `.lua`, or the default one. All files are of one version of the folder.
    ///
    /// # Errors
    /// As of [`Host::load`]; the script is not in the folder; or the folder did not stay the same for as long as a load takes.
    pub fn load(&self, name: Option<&str>, options: &LoadOptions) -> Result<Host, LoadScriptError> {
        let asked = name.map(file_name).transpose()?;
        let asked = asked.as_deref().or(self.named.as_deref());
        steadily(&self.folder, |version| {
            let main = version.chosen(asked)?;
            let missing = LoadScriptError::NoFile { path: self.folder.join(&main) };
            let reader = Reader::open_in(version, &main)?.ok_or(missing)?;
            Host::evaluate(reader, options)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::super::ScriptWorkload;
    use super::*;
    use crate::script::folder_version::ATTEMPTS;

    const SCRIPT: &str = "return function() end";

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        write(folder.path(), files);
        folder
    }

    fn write(folder: &Path, files: &[(&str, &str)]) {
        for (name, content) in files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }

    /// Brings `files` into a mounted ConfigMap in the order of the kubelet: a folder with the time in its name, the link `..data` in one step, the
    /// links of the files, and away with the old folder.
    fn mount(folder: &Path, time: &str, files: &[(&str, &str)]) {
        let old = fs::read_link(folder.join("..data")).ok();
        let versioned = format!("..{time}");
        write(&folder.join(&versioned), files);
        symlink(&versioned, folder.join("..data_tmp")).unwrap();
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
        for (name, _) in files {
            let top = name.split('/').next().unwrap();
            // A link of the version before does as well.
            let _ = symlink(Path::new("..data").join(top), folder.join(top));
        }
        if let Some(old) = old {
            fs::remove_dir_all(folder.join(old)).unwrap();
        }
    }

    fn loaded(folder: &Path, name: Option<&str>) -> Result<Host, String> {
        let scripts = ScriptFolder::open(folder, None).map_err(|error| error.to_string())?;
        scripts.load(name, &LoadOptions::default()).map_err(|error| error.to_string())
    }

    fn text(error: &LoadScriptError, folder: &Path) -> String {
        error.to_string().replace(&folder.display().to_string(), "DIR")
    }

    #[test]
    fn the_default_is_main_or_the_only_script_or_the_one_that_was_named() {
        let folder = folder(&[("shop.lua", SCRIPT), ("notes.txt", ""), (".hidden.lua", ""), ("lib/deep.lua", "")]);
        let scripts = ScriptFolder::open(folder.path(), None).unwrap();
        assert_eq!(scripts.names(), ["shop.lua"]);
        assert_eq!(scripts.default_script().unwrap(), "shop.lua");
        write(folder.path(), &[("main.lua", SCRIPT), ("cart.lua", SCRIPT)]);
        assert_eq!(scripts.names(), ["cart.lua", "main.lua", "shop.lua"]);
        assert_eq!(scripts.default_script().unwrap(), "main.lua");
        let path = folder.path().join("cart.lua");
        for named in ["cart", "cart.lua", path.to_str().unwrap()] {
            let scripts = ScriptFolder::open(folder.path(), Some(named)).unwrap();
            assert_eq!(scripts.default_script().unwrap(), "cart.lua");
            let options = LoadOptions::default();
            assert_eq!(scripts.load(None, &options).unwrap().bundle().main(), "cart.lua");
            assert_eq!(scripts.load(Some("shop"), &options).unwrap().description().name, "shop");
        }
    }

    #[test]
    fn what_is_wrong_with_the_folder_is_said_with_the_way_out() {
        let folder = folder(&[]);
        let dir = folder.path();
        let refused = |path: &str| text(&ScriptFolder::open(&dir.join(path), None).unwrap_err(), dir);
        assert_eq!(refused("none"), "no folder at `DIR/none`: --scripts names the folder that holds the scripts");
        let scripts = ScriptFolder::open(dir, None).unwrap();
        let default = || text(&scripts.default_script().unwrap_err(), dir);
        assert_eq!(default(), "`DIR` holds no `*.lua` file: put the script there as `main.lua`");
        write(dir, &[("a.lua", SCRIPT), ("b.lua", SCRIPT)]);
        for path in ["a.lua", "a.lua/."] {
            assert!(refused(path).contains("is no folder: --scripts names the folder"), "{}", refused(path));
        }
        assert_eq!(default(), "`DIR` holds `a.lua`, `b.lua` and no `main.lua`: choose one by --script NAME");
        let options = LoadOptions::default();
        let missing = text(&scripts.load(Some("c"), &options).unwrap_err(), dir);
        assert_eq!(missing, "no script `c.lua` in `DIR`: it holds `a.lua`, `b.lua`; choose one by --script NAME");
        // The folder is looked at anew: it may go away, too.
        fs::remove_dir_all(dir).unwrap();
        assert_eq!(scripts.names(), Vec::<String>::new());
        assert_eq!(default(), "no folder at `DIR`: --scripts names the folder that holds the scripts");
    }

    #[test]
    fn a_long_list_of_scripts_is_cut() {
        let folder = folder(&[]);
        for number in 10..30 {
            write(folder.path(), &[(&format!("s{number}.lua"), "")]);
        }
        let error = ScriptFolder::open(folder.path(), None).unwrap().default_script().unwrap_err();
        assert!(error.to_string().contains("`s19.lua` and 10 more and no `main.lua`"), "{error}");
    }

    #[test]
    fn names_that_climb_hide_or_hold_a_path_are_refused() {
        let folder = folder(&[("main.lua", SCRIPT), ("lib/deep.lua", SCRIPT)]);
        let scripts = ScriptFolder::open(folder.path(), None).unwrap();
        let long = "x".repeat(5_000);
        let absolute = folder.path().join("main.lua");
        for name in [
            "",
            ".lua",
            "..",
            "../main.lua",
            "lib/deep.lua",
            ".hidden",
            "..data",
            "a\\b",
            "a\0b",
            "a\nb",
            &long,
            absolute.to_str().unwrap(),
        ] {
            let error = scripts.load(Some(name), &LoadOptions::default()).unwrap_err();
            assert!(matches!(error, LoadScriptError::BadName { .. }), "{name:?}: {error}");
            assert!(error.to_string().len() < 400 && !error.to_string().contains('\n'));
        }
        for named in ["lib/deep.lua", "../main.lua", "/etc/main.lua"] {
            assert!(matches!(ScriptFolder::open(folder.path(), Some(named)), Err(LoadScriptError::BadName { .. })), "{named}");
        }
    }

    #[test]
    fn a_broken_script_is_told_with_file_and_line() {
        let folder = folder(&[("main.lua", "require 'lib.a'\nreturn function() end"), ("lib/a.lua", "local x = 1\nlocal y = = 2")]);
        let error = loaded(folder.path(), None).unwrap_err();
        assert!(error.contains("lib/a.lua:2:"), "{error}");
        write(folder.path(), &[("lib/a.lua", ""), ("broken.lua", "\n\nreturn (")]);
        assert!(loaded(folder.path(), None).is_ok());
        assert!(loaded(folder.path(), Some("broken")).unwrap_err().starts_with("broken.lua:3: "));
    }

    #[test]
    fn a_config_map_loads_like_a_plain_folder_with_the_same_fingerprint() {
        let files =
            [("main.lua", "require 'near' require 'lib.deep' return function() end"), ("near.lua", ""), ("lib/deep.lua", "return 1")];
        let plain = folder(&files);
        let mounted = folder(&[]);
        mount(mounted.path(), "2026_11_23_21_00_00.123", &files);
        let linked = folder(&[]);
        symlink(mounted.path(), linked.path().join("scripts")).unwrap();
        let print = |path: &Path| loaded(path, None).unwrap().bundle().fingerprint();
        assert_eq!(print(plain.path()), print(mounted.path()));
        assert_eq!(print(plain.path()), print(&linked.path().join("scripts")));
        let by_path = Host::load(&mounted.path().join("main.lua"), &LoadOptions::default()).unwrap();
        assert_eq!(print(plain.path()), by_path.bundle().fingerprint());
        let scripts = ScriptFolder::open(mounted.path(), None).unwrap();
        assert_eq!(scripts.names(), ["main.lua", "near.lua"]);
        // A sub-directory of a projected volume, itself a link into `..data`.
        assert_eq!(ScriptFolder::open(&mounted.path().join("lib"), None).unwrap().names(), ["deep.lua"]);
    }

    #[test]
    fn the_next_load_sees_a_changed_config_map() {
        let folder = folder(&[]);
        mount(folder.path(), "1", &[("main.lua", SCRIPT)]);
        let scripts = ScriptFolder::open(folder.path(), None).unwrap();
        let options = LoadOptions::default();
        let first = scripts.load(None, &options).unwrap().bundle().fingerprint();
        assert_eq!(scripts.load(None, &options).unwrap().bundle().fingerprint(), first);
        mount(folder.path(), "2", &[("main.lua", "require 'fresh' return function() end"), ("fresh.lua", "")]);
        let second = scripts.load(None, &options).unwrap();
        assert_ne!(second.bundle().fingerprint(), first);
        assert!(second.bundle().module("fresh").is_some());
    }

    #[test]
    fn a_version_that_is_replaced_while_it_is_read_is_never_mixed_with_the_next() {
        let folder = folder(&[]);
        let dir = folder.path();
        mount(dir, "1", &[("main.lua", "return 1"), ("lib.lua", "1")]);
        let pinned = FolderVersion::of(dir).unwrap();
        let mut reader = Reader::open_in(pinned.clone(), "main.lua").unwrap().unwrap();
        // The next version as it comes: first the link, while the old files are still there; `fresh` is only in it.
        write(&dir.join("..2"), &[("main.lua", "return 2"), ("lib.lua", "2"), ("fresh.lua", "2")]);
        symlink("..2", dir.join("..data_tmp")).unwrap();
        fs::rename(dir.join("..data_tmp"), dir.join("..data")).unwrap();
        symlink("..data/fresh.lua", dir.join("fresh.lua")).unwrap();
        assert!(!pinned.is_current());
        assert_eq!(reader.module("lib").unwrap().unwrap().1.as_ref(), b"1");
        assert_eq!(reader.module("fresh").unwrap(), None);
        assert_eq!(reader.named_file("lib.lua").unwrap().as_ref(), b"1");
        // Then the old files go.
        fs::remove_dir_all(dir.join("..1")).unwrap();
        let mut reader = Reader::open_in(FolderVersion::of(dir).unwrap(), "main.lua").unwrap().unwrap();
        assert_eq!(reader.module("lib").unwrap().unwrap().1.as_ref(), b"2");
    }

    #[test]
    fn a_load_begins_anew_when_the_version_that_it_reads_is_deleted() {
        let files = |number: &'static str, content: &'static str| [("main.lua", content), ("optional.lua", number)];
        // A script that does without a file must not be taken for whole because the file went away.
        let tolerant = "local _, n = pcall(require, 'optional') return function() end";
        let folder = folder(&[]);
        mount(folder.path(), "1", &files("return 1", tolerant));
        let mut loads = 0;
        let host = steadily(folder.path(), |version| {
            let reader = Reader::open_in(version, "main.lua")?.expect("main.lua is in both versions");
            loads += 1;
            if loads == 1 {
                mount(folder.path(), "2", &files("return 2", tolerant));
            }
            Host::evaluate(reader, &LoadOptions::default())
        });
        assert_eq!(loads, 2);
        assert_eq!(host.unwrap().bundle().module("optional").unwrap().1.as_ref(), b"return 2");

        let mut loads = 0;
        let never = steadily(folder.path(), |_| {
            loads += 1;
            mount(folder.path(), &format!("again{loads}"), &files("", tolerant));
            Ok(())
        });
        assert!(matches!(never, Err(LoadScriptError::Unsteady { .. })));
        assert_eq!(loads, ATTEMPTS);
    }

    #[test]
    fn loads_beside_swaps_see_whole_versions_only() {
        let folder = folder(&[]);
        let mounted = |number: usize| {
            let content = format!("return {number}");
            let main = format!("for _, m in ipairs {{ 'a', 'b', 'lib.c' }} do assert(require(m) == {number}, m) end return function() end");
            mount(
                folder.path(),
                &number.to_string(),
                &[("main.lua", &main), ("a.lua", &content), ("b.lua", &content), ("lib/c.lua", &content)],
            );
        };
        mounted(0);
        let is_done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| (1..1_000).take_while(|_| !is_done.load(Ordering::Relaxed)).for_each(mounted));
            for _ in 0..10 {
                let loaded = loaded(folder.path(), None);
                assert!(loaded.as_ref().err().is_none_or(|why| why.contains("again and again")), "{loaded:?}");
            }
            is_done.store(true, Ordering::Relaxed);
        });
        loaded(folder.path(), None).unwrap();
    }

    #[test]
    fn a_file_mounted_beside_the_config_maps_own_is_found() {
        let folder = folder(&[("certs/extra.lua", "return 1")]);
        mount(folder.path(), "1", &[("main.lua", "assert(require 'certs.extra' == 1) return function() end")]);
        assert!(loaded(folder.path(), None).is_ok());
    }

    #[test]
    fn links_out_of_the_folder_are_refused_by_their_name() {
        let outside = folder(&[("far.lua", SCRIPT)]);
        let folder = folder(&[("main.lua", "return require 'far'")]);
        symlink(outside.path().join("far.lua"), folder.path().join("far.lua")).unwrap();
        for name in [None, Some("far")] {
            let error = loaded(folder.path(), name).unwrap_err();
            assert!(error.contains("far.lua` leads out of the script's folder"), "{error}");
        }
    }

    #[test]
    fn a_script_is_loaded_on_one_thread_and_run_on_others() {
        fn travels<T: Send + Sync>() {}
        fn is_copied<T: Clone>() {}
        travels::<Host>();
        travels::<ScriptWorkload>();
        travels::<ScriptFolder>();
        travels::<LoadScriptError>();
        travels::<LoadOptions>();
        is_copied::<ScriptFolder>();
    }
}
