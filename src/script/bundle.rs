//! The sources of a script, read once into memory: the script itself and the files that it requires from its own folder.
//!
//! Owns names, places and fingerprints. It evaluates nothing; which names belong to libraries, it is told.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::error::LoadScriptError;

/// A file's path relative to the script's folder, and its bytes.
pub type SourceFile = (String, Arc<[u8]>);

/// All files of one script. Every VM of the run is opened from it, so a file that changes on disk changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    main: String,
    files: BTreeMap<String, Arc<[u8]>>,
}

impl Bundle {
    /// The script's file name, such as `shop.lua`.
    #[must_use]
    pub fn main(&self) -> &str {
        &self.main
    }

    /// The script's file name without its ending: the scenario's name.
    #[must_use]
    pub fn scenario_name(&self) -> &str {
        self.main.strip_suffix(".lua").unwrap_or(&self.main)
    }

    /// The bytes of a file, by its path relative to the script's folder.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<&Arc<[u8]>> {
        self.files.get(name)
    }

    /// SHA-256 over all names and contents, as hexadecimal digits.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for (name, content) in &self.files {
            for part in [name.as_bytes(), content] {
                // Each part with its length, so that no two different sets of files run together into the same bytes.
                hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
                hash.update(part);
            }
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The file that `require "name"` means, if it was read: its path and its bytes.
    #[must_use]
    pub fn module(&self, name: &str) -> Option<SourceFile> {
        candidates(name).into_iter().find_map(|path| self.files.get(&path).map(|bytes| (path, Arc::clone(bytes))))
    }
}

/// Reads the files of a bundle while the script is evaluated for the first time.
#[derive(Debug)]
pub(super) struct Reader {
    /// The folder as it was given; names are looked up in it.
    folder: PathBuf,
    /// The folder without symlinks; whatever is read must lie in it.
    real_folder: PathBuf,
    bundle: Bundle,
}

impl Reader {
    /// Reads the script itself.
    pub(super) fn open(path: &Path) -> Result<Self, LoadScriptError> {
        let found = fs::metadata(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => LoadScriptError::NotFound { path: path.to_owned() },
            _ => LoadScriptError::Unreadable { path: path.to_owned(), error },
        })?;
        if found.is_dir() {
            return Err(LoadScriptError::Directory { path: path.to_owned() });
        }
        let main = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let real_folder = fs::canonicalize(&folder).map_err(|error| LoadScriptError::Unreadable { path: folder.clone(), error })?;
        let content = read_bounded(path)?;
        let bundle = Bundle { main: main.clone(), files: BTreeMap::from([(main, content)]) };
        Ok(Self { folder, real_folder, bundle })
    }

    /// A sibling file with the name of one of `libraries` would never be found by `require`: its first.
    pub(super) fn shadowed(&self, libraries: &[&str]) -> Option<PathBuf> {
        libraries
            .iter()
            .map(|name| format!("{name}.lua"))
            .filter(|file| *file != self.bundle.main)
            .map(|file| self.folder.join(file))
            .find(|path| path.exists())
    }

    /// Reads the file that `require "name"` means. `Ok(None)` where there is none.
    pub(super) fn module(&mut self, name: &str) -> Result<Option<SourceFile>, LoadScriptError> {
        for candidate in candidates(name) {
            if let Some(bytes) = self.bundle.files.get(&candidate) {
                return Ok(Some((candidate, Arc::clone(bytes))));
            }
            let path = self.folder.join(&candidate);
            if fs::metadata(&path).is_ok_and(|found| found.is_file()) {
                let bytes = self.read_inside(&path)?;
                self.bundle.files.insert(candidate.clone(), Arc::clone(&bytes));
                return Ok(Some((candidate, bytes)));
            }
        }
        Ok(None)
    }

    /// Reads a file that the script names by its path, relative to the script's folder; a certificate, say.
    pub(super) fn named_file(&mut self, name: &str) -> Result<Arc<[u8]>, LoadScriptError> {
        let path = self.folder.join(name);
        let bytes = if Path::new(name).is_absolute() { read_bounded(&path)? } else { self.read_inside(&path)? };
        self.bundle.files.insert(name.to_owned(), Arc::clone(&bytes));
        Ok(bytes)
    }

    /// What has been read.
    pub(super) fn into_bundle(self) -> Bundle {
        self.bundle
    }

    /// The script's file name.
    pub(super) fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// A ConfigMap's files are symlinks into `..data` in the same folder, which is fine; a link that leads out of it is not.
    fn read_inside(&self, path: &Path) -> Result<Arc<[u8]>, LoadScriptError> {
        let real = fs::canonicalize(path).map_err(|error| LoadScriptError::Unreadable { path: path.to_owned(), error })?;
        if !real.starts_with(&self.real_folder) {
            return Err(LoadScriptError::Outside { path: path.to_owned(), folder: self.folder.clone() });
        }
        read_bounded(&real)
    }
}

/// Where `require "a.b"` looks: `a/b.lua`, then `a.b.lua`, for a ConfigMap's key has no slash. Nothing for what is no module name.
fn candidates(name: &str) -> Vec<String> {
    let is_word = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    if !name.split('.').all(is_word) {
        return Vec::new();
    }
    let mut paths = vec![format!("{}.lua", name.replace('.', "/"))];
    if name.contains('.') {
        paths.push(format!("{name}.lua"));
    }
    paths
}

fn read_bounded(path: &Path) -> Result<Arc<[u8]>, LoadScriptError> {
    use std::io::Read;

    let unreadable = |error| LoadScriptError::Unreadable { path: path.to_owned(), error };
    let file = fs::File::open(path).map_err(unreadable)?;
    let mut content = Vec::new();
    file.take(LARGEST_SOURCE + 1).read_to_end(&mut content).map_err(unreadable)?;
    if content.len() as u64 > LARGEST_SOURCE {
        return Err(LoadScriptError::TooLarge { path: path.to_owned() });
    }
    Ok(content.into())
}

/// Bytes of one source file. Far above any script, far below what would hurt.
const LARGEST_SOURCE: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a temporary folder")
    }

    #[test]
    fn a_dotted_name_is_looked_up_as_a_path_and_then_as_a_file_name() {
        let folder = folder();
        fs::write(folder.path().join("main.lua"), "").unwrap();
        fs::write(folder.path().join("a.b.lua"), "flat").unwrap();
        let mut reader = Reader::open(&folder.path().join("main.lua")).unwrap();
        assert_eq!(reader.module("a.b").unwrap().unwrap().0, "a.b.lua");

        fs::create_dir(folder.path().join("a")).unwrap();
        fs::write(folder.path().join("a/b.lua"), "nested").unwrap();
        let mut reader = Reader::open(&folder.path().join("main.lua")).unwrap();
        assert_eq!(reader.module("a.b").unwrap().unwrap().0, "a/b.lua");
        assert_eq!(reader.into_bundle().module("a.b").unwrap().1.as_ref(), b"nested");
    }

    #[test]
    fn names_that_climb_or_hide_are_no_modules() {
        for name in ["../x", "a..b", ".hidden", "/etc/passwd", "a/b", "", "a.", "a\0b"] {
            assert_eq!(candidates(name), Vec::<String>::new(), "{name}");
        }
    }

    #[test]
    fn a_symlink_out_of_the_folder_is_refused_and_one_inside_is_not() {
        let outside = folder();
        fs::write(outside.path().join("secret.lua"), "").unwrap();
        let folder = folder();
        fs::write(folder.path().join("main.lua"), "").unwrap();
        fs::create_dir(folder.path().join("..data")).unwrap();
        fs::write(folder.path().join("..data/near.lua"), "").unwrap();
        std::os::unix::fs::symlink("..data/near.lua", folder.path().join("near.lua")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("secret.lua"), folder.path().join("far.lua")).unwrap();
        let mut reader = Reader::open(&folder.path().join("main.lua")).unwrap();
        assert!(reader.module("near").unwrap().is_some());
        assert!(matches!(reader.module("far"), Err(LoadScriptError::Outside { .. })));
    }

    #[test]
    fn the_fingerprint_tells_names_from_contents() {
        let bundle =
            |name: &str, content: &str| Bundle { main: "m.lua".into(), files: BTreeMap::from([(name.into(), content.as_bytes().into())]) };
        assert_ne!(bundle("a", "bc").fingerprint(), bundle("ab", "c").fingerprint());
        assert_eq!(bundle("a", "b").fingerprint().len(), 64);
    }
}
