//! A folder of scripts as it was at one moment: where its files lie, and whether another version has taken its place.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use super::error::LoadScriptError;

/// A folder as it was at one moment.
///
/// A ConfigMap's files are links to `..data/NAME`, and `..data` is a link to a folder with the time in its name, which is replaced as a whole: the link
/// first, then the old folder is deleted. Names are therefore looked up in the folder that `..data` led to at that moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FolderVersion {
    /// As it was given, for people.
    folder: PathBuf,
    /// Without symlinks; whatever is read must lie in it.
    real: PathBuf,
    /// Where `..data` led to; the same as `real` where there is none.
    pinned: PathBuf,
}

impl FolderVersion {
    /// The folder as it is at this moment.
    pub(super) fn of(folder: &Path) -> Result<Self, LoadScriptError> {
        let real = fs::canonicalize(folder).map_err(|error| match error.kind() {
            ErrorKind::NotFound => LoadScriptError::NoFolder { path: folder.to_owned() },
            ErrorKind::NotADirectory => LoadScriptError::NotFolder { path: folder.to_owned() },
            _ => LoadScriptError::Unreadable { path: folder.to_owned(), error },
        })?;
        if !real.is_dir() {
            return Err(LoadScriptError::NotFolder { path: folder.to_owned() });
        }
        let pinned = fs::canonicalize(real.join("..data")).ok().filter(|data| data.is_dir() && data.starts_with(&real));
        let pinned = pinned.unwrap_or_else(|| real.clone());
        Ok(Self { folder: folder.to_owned(), real, pinned })
    }

    /// The folder as it was given.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the file `name` lies, without symlinks; a path relative to the folder is a name too. `Ok(None)` where there is no such file.
    pub(super) fn find(&self, name: &str) -> Result<Option<PathBuf>, LoadScriptError> {
        let climbs = Path::new(name).components().any(|part| part == Component::ParentDir);
        // Beside the pinned files lie those that come from elsewhere, such as a certificate mounted into the ConfigMap's folder.
        let places = if climbs || self.pinned == self.real { [None, Some(&self.real)] } else { [Some(&self.pinned), Some(&self.real)] };
        for place in places.into_iter().flatten() {
            if let Some(found) = self.find_at(&place.join(name), name)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn find_at(&self, path: &Path, name: &str) -> Result<Option<PathBuf>, LoadScriptError> {
        let real = match fs::canonicalize(path) {
            Ok(real) => real,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            Err(error) => return Err(LoadScriptError::Unreadable { path: self.folder.join(name), error }),
        };
        if !real.is_file() {
            return Ok(None);
        }
        let Ok(inside) = real.strip_prefix(&self.real) else {
            return Err(LoadScriptError::Outside { path: self.folder.join(name), folder: self.folder.clone() });
        };
        let is_versioned = inside.components().next().is_some_and(|first| first.as_os_str().as_encoded_bytes().starts_with(b".."));
        // What lies in another version is not there: it came after this one, or it is left over from before.
        Ok((!is_versioned || real.starts_with(&self.pinned)).then_some(real))
    }

    /// The `*.lua` files at the top, sorted. Those that lead out of the folder are among them, so that a load can say what is wrong with them.
    pub(super) fn scripts(&self) -> Result<Vec<String>, LoadScriptError> {
        let mut names = BTreeSet::new();
        for place in BTreeSet::from([&self.pinned, &self.real]) {
            let unreadable = |error| LoadScriptError::Unreadable { path: self.folder.clone(), error };
            for entry in fs::read_dir(place).map_err(unreadable)? {
                let name = entry.map_err(unreadable)?.file_name();
                let Some(name) = name.to_str() else { continue };
                if file_name(name).is_ok_and(|as_script| as_script == name) && !matches!(self.find(name), Ok(None)) {
                    names.insert(name.to_owned());
                }
            }
        }
        Ok(names.into_iter().collect())
    }

    /// The script called `asked`, else `main.lua`, else the only one.
    pub(super) fn chosen(&self, asked: Option<&str>) -> Result<String, LoadScriptError> {
        let wanted = asked.unwrap_or("main.lua");
        if !matches!(self.find(wanted), Ok(None)) {
            return Ok(wanted.to_owned());
        }
        let names = self.scripts()?;
        let folder = self.folder.clone();
        match (asked, names.as_slice()) {
            (_, []) => Err(LoadScriptError::NoScripts { folder }),
            (Some(name), _) => Err(LoadScriptError::NoSuchScript { name: name.to_owned(), folder, names }),
            (None, [only]) => Ok(only.clone()),
            (None, _) => Err(LoadScriptError::WhichScript { folder, names }),
        }
    }

    /// `named` without the path of this very folder before it, as a shell completes it.
    pub(super) fn inside<'a>(&self, named: &'a str) -> &'a str {
        named
            .rsplit_once('/')
            .filter(|(folder, _)| fs::canonicalize(folder).is_ok_and(|real| real == self.real))
            .map_or(named, |parts| parts.1)
    }

    pub(super) fn is_current(&self) -> bool {
        Self::of(&self.folder).is_ok_and(|now| now == *self)
    }
}

/// Reads from one version of `folder`; anew where another took its place meanwhile, for then files may have been missing.
pub(super) fn steadily<T>(folder: &Path, mut read: impl FnMut(FolderVersion) -> Result<T, LoadScriptError>) -> Result<T, LoadScriptError> {
    for _ in 0..ATTEMPTS {
        let version = FolderVersion::of(folder)?;
        let done = read(version.clone());
        if version.is_current() {
            return done;
        }
    }
    Err(LoadScriptError::Unsteady { folder: folder.to_owned() })
}

/// The file name of the script that people call `name`.
pub(super) fn file_name(name: &str) -> Result<String, LoadScriptError> {
    let stem = name.strip_suffix(".lua").unwrap_or(name);
    let is_fine = !stem.is_empty() && !stem.starts_with('.') && stem.len() <= LONGEST_NAME && !stem.contains(['/', '\\']);
    if is_fine && !stem.chars().any(char::is_control) {
        return Ok(format!("{stem}.lua"));
    }
    Err(LoadScriptError::BadName { name: name.escape_debug().take(LONGEST_NAME).collect() })
}

/// How often a folder may be replaced under a load. Kubernetes replaces it about once a minute, and a load takes two seconds at the most.
pub(super) const ATTEMPTS: usize = 5;
/// Bytes of a script's name without its ending; file systems take 255.
const LONGEST_NAME: usize = 200;
