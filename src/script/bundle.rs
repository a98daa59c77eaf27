//! The sources of a script, read once into memory: the script itself and the files that it requires from its own folder.
//!
//! Owns names, contents and fingerprints. Where in a folder a name lies is `folder`'s. It evaluates nothing; which names belong to libraries, it is told.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::data_file::DataFile;
use super::error::LoadScriptError;
use super::folder_version::FolderVersion;

/// A file's path relative to the script's folder, and its bytes.
pub type SourceFile = (String, Arc<[u8]>);

/// All files of one script. Every VM of the run is opened from it, so a file that changes on disk changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The script itself; it is one of the files, too.
    main: SourceFile,
    files: BTreeMap<String, Arc<[u8]>>,
    /// Files of rows, which are large and in memory once.
    data: BTreeMap<String, Arc<DataFile>>,
}

impl Bundle {
    /// A script of one file, which was read from nowhere.
    pub(super) fn of_one(main: &str, text: &str) -> Self {
        Self::of_file((main.to_owned(), text.as_bytes().into()))
    }

    fn of_file(main: SourceFile) -> Self {
        Self { files: BTreeMap::from([main.clone()]), main, data: BTreeMap::new() }
    }

    /// The script's file name, such as `shop.lua`.
    #[must_use]
    pub fn main(&self) -> &str {
        &self.main.0
    }

    /// The script itself: its file name and its bytes.
    pub(super) const fn main_file(&self) -> &SourceFile {
        &self.main
    }

    /// The script's file name without its ending: the scenario's name.
    #[must_use]
    pub fn scenario_name(&self) -> &str {
        self.main.0.strip_suffix(".lua").unwrap_or(&self.main.0)
    }

    /// The bytes of a file, by its path relative to the script's folder.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<&Arc<[u8]>> {
        self.files.get(name)
    }

    /// A file of rows, by the name that the script has for it.
    pub(super) fn data_file(&self, name: &str) -> Option<Arc<DataFile>> {
        self.data.get(name).map(Arc::clone)
    }

    /// Whether one of the files has `name` in it as a whole word: in code, in a text or in a comment.
    #[must_use]
    pub fn mentions(&self, name: &str) -> bool {
        let is_in_word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        self.files.values().any(|content| {
            memchr::memmem::find_iter(content, name.as_bytes()).any(|at| {
                let (before, after) = (at.checked_sub(1).and_then(|before| content.get(before)), content.get(at + name.len()));
                !is_in_word(before) && !is_in_word(after)
            })
        })
    }

    /// SHA-256 over the script's name and the names and contents of all files, in alphabetical order, as hexadecimal digits.
    ///
    /// Two bundles have the same fingerprint exactly when they run the same: folder, symlinks, times and the order of reading are no part of it.
    /// A private key that the script names is one of the files; nothing of it can be learned from the fingerprint.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        let contents = self.files.iter().flat_map(|(name, content)| [name.as_bytes(), content]);
        let data = self.data.iter().flat_map(|(name, file)| [name.as_bytes(), file.digest().as_slice()]);
        for part in std::iter::once(self.main.0.as_bytes()).chain(contents).chain(data) {
            // Each part with its length, so that no two different sets of files run together into the same bytes.
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The file that `require "name"` means, if it was read: its path and its bytes.
    #[must_use]
    pub fn module(&self, name: &str) -> Option<SourceFile> {
        candidates(name).into_iter().find_map(|path| self.files.get(&path).map(|bytes| (path, Arc::clone(bytes))))
    }
}

/// The beginning of a fingerprint, enough for people to tell two apart.
#[must_use]
pub fn short_fingerprint(fingerprint: &str) -> &str {
    fingerprint.get(..SHORT_FINGERPRINT_DIGITS).unwrap_or(fingerprint)
}

/// Reads the files of a bundle while the script is evaluated for the first time.
#[derive(Debug)]
pub(super) struct Reader {
    version: FolderVersion,
    bundle: Bundle,
    /// The folder of `--data`.
    data_folder: Option<PathBuf>,
}

impl Reader {
    /// Reads a script that is named by its path. It may be a link to anywhere; what it requires lies in `version`, the link's own folder.
    pub(super) fn open(version: FolderVersion, path: &Path) -> Result<Self, LoadScriptError> {
        let main = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let real = version.find(&main).ok().flatten().unwrap_or_else(|| path.to_owned());
        Self::with_main(version, main, path, &real)
    }

    /// Reads the script called `main` in the folder. `Ok(None)` where there is none.
    pub(super) fn open_in(version: FolderVersion, main: &str) -> Result<Option<Self>, LoadScriptError> {
        let Some(real) = version.find(main)? else { return Ok(None) };
        let path = version.folder().join(main);
        Self::with_main(version, main.to_owned(), &path, &real).map(Some)
    }

    fn with_main(version: FolderVersion, main: String, path: &Path, real: &Path) -> Result<Self, LoadScriptError> {
        let content = read_bounded(path, real)?;
        must_be_text(path, &content)?;
        let bundle = Bundle::of_file((main, content));
        Ok(Self { version, bundle, data_folder: None })
    }

    /// Files of rows that are not beside the script are looked for in `folder`.
    pub(super) fn with_data_folder(self, folder: Option<PathBuf>) -> Self {
        Self { data_folder: folder, ..self }
    }

    /// Reads a file of rows that the script names: beside the script, then in the folder of `--data`.
    ///
    /// # Errors
    /// The name is none, or there is no such file.
    pub(super) fn data_file(&mut self, name: &str) -> Result<Arc<DataFile>, String> {
        if let Some(file) = self.bundle.data.get(name) {
            return Ok(Arc::clone(file));
        }
        let is_inside = |part: Component<'_>| matches!(part, Component::Normal(part) if !part.as_encoded_bytes().starts_with(b"."));
        if name.is_empty() || !Path::new(name).components().all(is_inside) {
            return Err(format!(
                "`{name}` is no name of a file in the script's folder or in that of --data; one that begins with a dot is no part of it"
            ));
        }
        let beside = self.version.find(name).map_err(|error| error.to_string())?;
        let in_data = || self.data_folder.as_ref().map(|folder| folder.join(name)).filter(|path| path.is_file());
        let Some(path) = beside.or_else(in_data) else {
            return Err(match &self.data_folder {
                Some(folder) => format!("there is no file `{name}` in `{}` nor in `{}`", self.version.folder().display(), folder.display()),
                None => format!("there is no file `{name}` in `{}`; --data DIR names another folder", self.version.folder().display()),
            });
        };
        let file = DataFile::read(&path).map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
        self.bundle.data.insert(name.to_owned(), Arc::clone(&file));
        Ok(file)
    }

    /// A sibling file with the name of one of `libraries` would never be found by `require`: its first.
    pub(super) fn shadowed(&self, libraries: &[&str]) -> Option<PathBuf> {
        libraries
            .iter()
            .map(|name| format!("{name}.lua"))
            .filter(|file| *file != self.bundle.main.0)
            .find(|file| !matches!(self.version.find(file), Ok(None)))
            .map(|file| self.version.folder().join(file))
    }

    /// Reads the file that `require "name"` means. `Ok(None)` where there is none.
    pub(super) fn module(&mut self, name: &str) -> Result<Option<SourceFile>, LoadScriptError> {
        for candidate in candidates(name) {
            if let Some(bytes) = self.bundle.files.get(&candidate) {
                return Ok(Some((candidate, Arc::clone(bytes))));
            }
            if let Some(real) = self.version.find(&candidate)? {
                let path = self.version.folder().join(&candidate);
                let bytes = read_bounded(&path, &real)?;
                must_be_text(&path, &bytes)?;
                self.bundle.files.insert(candidate.clone(), Arc::clone(&bytes));
                return Ok(Some((candidate, bytes)));
            }
        }
        Ok(None)
    }

    /// Reads a file that the script names by its path, relative to the script's folder; a certificate, say.
    pub(super) fn named_file(&mut self, name: &str) -> Result<Arc<[u8]>, LoadScriptError> {
        let path = self.version.folder().join(name);
        let real = if Path::new(name).is_absolute() { Some(path.clone()) } else { self.version.find(name)? };
        let real = real.ok_or_else(|| LoadScriptError::NoFile { path: path.clone() })?;
        let bytes = read_bounded(&path, &real)?;
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

/// Reads the file at `real`, which people know as `path`.
fn read_bounded(path: &Path, real: &Path) -> Result<Arc<[u8]>, LoadScriptError> {
    use std::io::Read;

    let unreadable = |error| LoadScriptError::Unreadable { path: path.to_owned(), error };
    let file = open_patiently(real).map_err(unreadable)?;
    let mut content = Vec::new();
    file.take(LARGEST_SOURCE + 1).read_to_end(&mut content).map_err(unreadable)?;
    if content.len() as u64 > LARGEST_SOURCE {
        return Err(LoadScriptError::TooLarge { path: path.to_owned() });
    }
    Ok(content.into())
}

/// Opens a file. Of a pipe the first byte is waited for, but not for ever: nobody may ever write to it.
fn open_patiently(path: &Path) -> std::io::Result<fs::File> {
    use std::os::fd::AsRawFd as _;
    use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};

    if !fs::metadata(path)?.file_type().is_fifo() {
        return fs::File::open(path);
    }
    let file = fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let mut look = libc::pollfd { fd: file.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let patience = libc::c_int::try_from(PIPE_PATIENCE.as_millis()).unwrap_or(libc::c_int::MAX);
    // SAFETY: one entry, which lives as long as the call; then the flags of a descriptor of our own.
    unsafe {
        if libc::poll(&raw mut look, 1, patience) == 0 {
            let words = format!("nobody writes to this pipe, not within {} s", PIPE_PATIENCE.as_secs());
            return Err(std::io::Error::new(std::io::ErrorKind::TimedOut, words));
        }
        libc::fcntl(file.as_raw_fd(), libc::F_SETFL, 0);
    }
    Ok(file)
}

/// How long the writer of a pipe may take to begin.
const PIPE_PATIENCE: std::time::Duration = std::time::Duration::from_secs(if cfg!(test) { 1 } else { 10 });

/// LuaJIT's words about a binary file, or one in UTF-16, would be of no use to anybody.
fn must_be_text(path: &Path, content: &[u8]) -> Result<(), LoadScriptError> {
    let is_bytecode = content.first() == Some(&0x1b);
    if is_bytecode || content.iter().take(LOOKED_AT_BYTES).any(|&byte| byte == 0) {
        return Err(LoadScriptError::Binary { path: path.to_owned() });
    }
    Ok(())
}

/// Whether a file is text shows in its beginning.
const LOOKED_AT_BYTES: usize = 4096;

/// Bytes of one source file. Far above any script, far below what would hurt.
const LARGEST_SOURCE: u64 = 16 << 20;

/// 48 bits: two that differ by chance and look alike are one in 280 trillion.
const SHORT_FINGERPRINT_DIGITS: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a temporary folder")
    }

    fn open(folder: &tempfile::TempDir, main: &str) -> Result<Reader, LoadScriptError> {
        Reader::open(FolderVersion::of(folder.path())?, &folder.path().join(main))
    }

    #[test]
    fn a_dotted_name_is_looked_up_as_a_path_and_then_as_a_file_name() {
        let folder = folder();
        fs::write(folder.path().join("main.lua"), "").unwrap();
        fs::write(folder.path().join("a.b.lua"), "flat").unwrap();
        let mut reader = open(&folder, "main.lua").unwrap();
        assert_eq!(reader.module("a.b").unwrap().unwrap().0, "a.b.lua");

        fs::create_dir(folder.path().join("a")).unwrap();
        fs::write(folder.path().join("a/b.lua"), "nested").unwrap();
        let mut reader = open(&folder, "main.lua").unwrap();
        assert_eq!(reader.module("a.b").unwrap().unwrap().0, "a/b.lua");
        assert_eq!(reader.into_bundle().module("a.b").unwrap().1.as_ref(), b"nested");
    }

    #[test]
    fn a_file_that_is_no_text_is_said_to_be_none() {
        let folder = folder();
        let utf_16: Vec<u8> = "return 1".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for content in [b"\x1bLJ\x02".as_slice(), b"\x7fELF\0\0", &utf_16] {
            fs::write(folder.path().join("main.lua"), content).unwrap();
            assert!(matches!(open(&folder, "main.lua"), Err(LoadScriptError::Binary { .. })));
            fs::write(folder.path().join("good.lua"), "").unwrap();
            fs::write(folder.path().join("bad.lua"), content).unwrap();
            let mut reader = open(&folder, "good.lua").unwrap();
            assert!(matches!(reader.module("bad"), Err(LoadScriptError::Binary { .. })));
        }
    }

    #[test]
    fn issue_15_a_pipe_is_read_and_one_that_nobody_writes_to_is_given_up() {
        let folder = folder();
        let pipe = folder.path().join("main.lua");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let said = open(&folder, "main.lua").map(drop).unwrap_err().to_string();
        assert!(said.contains("main.lua`: nobody writes to this pipe, not within 1 s"), "{said}");
        let writer = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::write(pipe, "return 1").unwrap()
        });
        assert!(open(&folder, "main.lua").is_ok());
        writer.join().unwrap();
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
        let mut reader = open(&folder, "main.lua").unwrap();
        assert!(reader.module("near").unwrap().is_some());
        assert!(matches!(reader.module("far"), Err(LoadScriptError::Outside { .. })));
    }

    #[test]
    fn the_fingerprint_is_the_same_wherever_and_in_whatever_order_files_are_read() {
        let print = |order: [&str; 2], is_linked: bool| {
            let folder = folder();
            let real = folder.path().join("..data");
            fs::create_dir(&real).unwrap();
            for (name, content) in [("main.lua", "main"), ("a.lua", "a"), ("b.lua", "b"), ("key.pem", "key")] {
                if is_linked {
                    fs::write(real.join(name), content).unwrap();
                    std::os::unix::fs::symlink(format!("..data/{name}"), folder.path().join(name)).unwrap();
                } else {
                    fs::write(folder.path().join(name), content).unwrap();
                }
            }
            let mut reader = open(&folder, "main.lua").unwrap();
            for name in order {
                reader.module(name).unwrap().unwrap();
            }
            let without_key = reader.bundle().fingerprint();
            reader.named_file("key.pem").unwrap();
            assert_ne!(reader.bundle().fingerprint(), without_key);
            reader.into_bundle().fingerprint()
        };
        assert_eq!(print(["a", "b"], false), print(["b", "a"], true));
    }

    #[test]
    fn a_name_is_mentioned_where_it_stands_as_a_whole_word_in_any_file() {
        let mut bundle = Bundle::of_one("m.lua", "local MAX_RATE, RATES = 1, 2 return function() env('TENANT') end");
        bundle.files.insert("part.lua".to_owned(), b"REGION".as_slice().into());
        for (name, is_mentioned) in [("TENANT", true), ("REGION", true), ("RATE", false), ("MAX_RATE", true), ("TENANTS", false)] {
            assert_eq!(bundle.mentions(name), is_mentioned, "{name}");
        }
    }

    #[test]
    fn the_fingerprint_tells_names_from_contents() {
        let bundle = |name: &str, content: &str| Bundle {
            main: ("m.lua".into(), [].into()),
            files: BTreeMap::from([(name.into(), content.as_bytes().into())]),
            data: BTreeMap::new(),
        };
        assert_ne!(bundle("a", "bc").fingerprint(), bundle("ab", "c").fingerprint());
        assert_eq!(bundle("a", "b").fingerprint().len(), 64);
        assert_ne!(Bundle { main: ("n.lua".into(), [].into()), ..bundle("a", "b") }.fingerprint(), bundle("a", "b").fingerprint());
        assert_eq!(short_fingerprint(&bundle("a", "b").fingerprint()).len(), 12);
        assert_eq!(short_fingerprint("short"), "short");
    }
}
