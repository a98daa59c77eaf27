//! Where a report goes. What stands at its path decides how it is written.
//!
//! | at the path | how it is written |
//! |---|---|
//! | nothing, or a regular file | whole or not at all: beside it, then renamed over it, with the mode and the owner that it had |
//! | a file with several names, or whose owner or folder does not allow that | in place |
//! | `-`, `/dev/stdout`, `/dev/fd/N` | to that descriptor of the process, after what it has written there |
//! | a pipe, a terminal, a device | in place; a pipe gets some seconds until somebody reads it |
//! | a symbolic link | where it leads, by this table |
//! | a folder, a block device, a socket | an error before the run |

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd as _, BorrowedFd, RawFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{ReportError, create_folder};

/// A place that was looked at before the run, so that a path that cannot be written is known at once.
#[derive(Debug)]
pub(in crate::front) struct Place {
    /// As the user wrote it.
    path: PathBuf,
    way: Way,
}

#[derive(Debug)]
enum Way {
    /// A regular file, or nothing yet, at this path.
    File(PathBuf),
    /// A pipe or a device. It is kept open where it could be opened at once: a reader that waits already must not see an end.
    Through(Option<File>),
    /// A descriptor that the process was born with.
    Descriptor(File),
}

impl Place {
    /// Looks at the path, and creates the folder before it.
    pub(in crate::front) fn new(path: &Path) -> Result<Self, ReportError> {
        let way = look(path).map_err(|source| ReportError { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), way })
    }

    /// Whether what is written here takes the place of what was written before, so that it may be written as often as one likes.
    pub(super) const fn is_file(&self) -> bool {
        matches!(self.way, Way::File(_))
    }

    /// What two places have in common that are one.
    pub(super) fn key(&self) -> PathBuf {
        match &self.way {
            Way::File(path) => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
                let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
                path.file_name().map_or_else(|| path.clone(), |name| folder.join(name))
            }
            Way::Through(_) => self.path.canonicalize().unwrap_or_else(|_| self.path.clone()),
            Way::Descriptor(_) => match follow(&self.path) {
                Ok(Target::Descriptor(number)) => PathBuf::from(format!("/dev/fd/{number}")),
                _ => self.path.clone(),
            },
        }
    }

    /// Writes `text` in the place of what stands there, not waiting for the disk. For files alone: a pipe would get it again and again.
    pub(super) fn replace(&self, text: &str) -> Result<(), ReportError> {
        match &self.way {
            Way::File(path) => put(path, text, false).map_err(|source| self.failed(source)),
            Way::Through(_) | Way::Descriptor(_) => Ok(()),
        }
    }

    /// Writes the text that stays. When that fails, a file of an earlier run stays as it was wherever it can.
    pub(in crate::front) fn finish(&mut self, text: &str) -> Result<(), ReportError> {
        let written = match &mut self.way {
            Way::File(path) => put(path, text, true),
            Way::Descriptor(file) => pour(file, &mut text.as_bytes(), PATIENCE),
            Way::Through(open) => match open.take().map_or_else(|| open_through(&self.path, PATIENCE), Ok) {
                Ok(mut file) => pour(&mut file, &mut text.as_bytes(), PATIENCE),
                Err(why) => Err(why),
            },
        };
        match written {
            // Whoever went away has seen enough.
            Err(why) if why.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written.map_err(|source| self.failed(source)),
        }
    }

    fn failed(&self, source: io::Error) -> ReportError {
        ReportError { path: self.path.clone(), source }
    }
}

/// A file that grows while the run lasts, row by row.
#[derive(Debug)]
pub(super) struct Growing {
    path: PathBuf,
    file: File,
    key: PathBuf,
    /// How much of a regular file is whole; none where it is none.
    length: Option<u64>,
    /// The rest of a row of which the reader of a pipe has the beginning.
    begun: Vec<u8>,
    /// The reader of a pipe took nothing for so long that he is not waited for until he takes something.
    is_stalled: bool,
}

impl Growing {
    /// Opens the place, empties a regular file, and waits some seconds for the reader of a pipe.
    pub(super) fn create(path: &Path) -> Result<Self, ReportError> {
        let place = Place::new(path)?;
        let (key, failed) = (place.key(), |source| ReportError { path: path.to_owned(), source });
        let (file, length) = match place.way {
            Way::File(path) => (File::create(path).map_err(failed)?, Some(0)),
            Way::Descriptor(file) | Way::Through(Some(file)) => (file, None),
            Way::Through(None) => (open_through(path, PATIENCE).map_err(failed)?, None),
        };
        Ok(Self { path: path.to_owned(), file, key, length, begun: Vec::new(), is_stalled: false })
    }

    /// As [`Place::key`].
    pub(super) fn key(&self) -> PathBuf {
        self.key.clone()
    }

    fn pour(&mut self, text: &[u8]) -> io::Result<()> {
        let patience = if self.is_stalled { Duration::ZERO } else { PATIENCE };
        self.is_stalled = true;
        let begun = std::mem::take(&mut self.begun);
        for (row, has_begun) in [(&*begun, true), (text, false)] {
            let mut rest = row;
            if let Err(why) = pour(&mut self.file, &mut rest, patience) {
                if has_begun || rest.len() < row.len() {
                    self.begun = rest.to_vec();
                }
                return Err(why);
            }
        }
        self.is_stalled = false;
        Ok(())
    }

    /// Adds `text`, whole or not at all. The reader of a pipe who takes nothing for some seconds loses it; of what he has begun he gets the rest
    /// before anything else.
    pub(super) fn write(&mut self, text: &str) -> Result<(), ReportError> {
        let written = match &mut self.length {
            None => self.pour(text.as_bytes()),
            Some(length) => match self.file.write_all(text.as_bytes()) {
                Ok(()) => {
                    *length += text.len() as u64;
                    Ok(())
                }
                Err(why) => {
                    // Half a row must not stand before later ones; where even that fails, the error has been told all the same.
                    let _cut = self.file.set_len(*length).and_then(|()| io::Seek::seek(&mut self.file, io::SeekFrom::Start(*length)));
                    Err(why)
                }
            },
        };
        match written {
            Err(why) if why.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written.map_err(|source| ReportError { path: self.path.clone(), source }),
        }
    }
}

/// Whether a report at `path` goes to the stdout of this process.
#[must_use]
pub fn is_stdout(path: &Path) -> bool {
    matches!(follow(path), Ok(Target::Descriptor(1)))
}

/// Where a path leads, its links followed.
enum Target {
    Path(PathBuf),
    Descriptor(RawFd),
}

fn follow(path: &Path) -> io::Result<Target> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        if let Some(number) = descriptor_of(&path) {
            return Ok(Target::Descriptor(number));
        }
        match fs::read_link(&path) {
            Ok(next) => path = path.parent().unwrap_or(Path::new("")).join(next),
            // It is no link, or there is nothing.
            Err(why) if matches!(why.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::NotFound) => return Ok(Target::Path(path)),
            Err(why) => return Err(why),
        }
    }
    Err(io::Error::from_raw_os_error(libc::ELOOP))
}

/// The number of the descriptor that `path` is a name of.
fn descriptor_of(path: &Path) -> Option<RawFd> {
    match path.to_str()? {
        "-" | "/dev/stdout" => Some(1),
        "/dev/stderr" => Some(2),
        path => ["/dev/fd/", "/proc/self/fd/"].iter().find_map(|folder| path.strip_prefix(folder)?.parse().ok()),
    }
}

fn look(path: &Path) -> io::Result<Way> {
    let path = match follow(path)? {
        Target::Path(path) => path,
        Target::Descriptor(number) => return descriptor(number).map(Way::Descriptor),
    };
    if path.file_name().is_none() || path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(refused("a report needs the name of a file"));
    }
    let found = match fs::metadata(&path) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => {
            create_folder(&path)?;
            // Created and removed: whoever looks before the end of the run finds no empty report.
            File::create_new(&path)?;
            fs::remove_file(&path)?;
            return Ok(Way::File(path));
        }
        found => found?.file_type(),
    };
    if found.is_dir() {
        Err(io::ErrorKind::IsADirectory.into())
    } else if found.is_file() {
        OpenOptions::new().write(true).open(&path)?;
        Ok(Way::File(path))
    } else if found.is_block_device() {
        Err(refused("it is a block device, and what is on it would be overwritten"))
    } else if found.is_socket() {
        Err(refused("it is a socket"))
    } else {
        match open_through(&path, Duration::ZERO) {
            Err(why) if found.is_fifo() && why.kind() == io::ErrorKind::TimedOut => Ok(Way::Through(None)),
            opened => opened.map(|file| Way::Through(Some(file))),
        }
    }
}

fn refused(words: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, words)
}

/// A second handle of a descriptor of this process: one offset, so that a report stands after what was written there before it.
fn descriptor(number: RawFd) -> io::Result<File> {
    if number < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: the descriptor is borrowed for this one call, which answers EBADF where there is none; it is not closed.
    let owned = unsafe { BorrowedFd::borrow_raw(number) }.try_clone_to_owned()?;
    Ok(File::from(owned))
}

/// Opens a pipe or a device. A pipe that nobody reads cannot be opened; `patience` is how long somebody may take to come.
fn open_through(path: &Path, patience: Duration) -> io::Result<File> {
    let begin = Instant::now();
    loop {
        match OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path) {
            Err(why) if why.raw_os_error() == Some(libc::ENXIO) && fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo()) => {
                if begin.elapsed() >= patience {
                    let words = format!("nobody reads this pipe, not within {} s", PATIENCE.as_secs());
                    return Err(io::Error::new(io::ErrorKind::TimedOut, words));
                }
                std::thread::sleep(STEP);
            }
            opened => return opened,
        }
    }
}

/// Writes all of `bytes`, as fast as the reader takes them, and leaves those that he did not take; `patience` is how long he may take none.
fn pour(file: &mut File, bytes: &mut &[u8], patience: Duration) -> io::Result<()> {
    while !bytes.is_empty() {
        await_room(file, patience)?;
        // No more than a pipe with any room takes at once, so that a blocking one does not block.
        match file.write(&bytes[..bytes.len().min(PIECE)]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => *bytes = &bytes[written..],
            Err(why) if matches!(why.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
            Err(why) => return Err(why),
        }
    }
    Ok(())
}

fn await_room(file: &File, patience: Duration) -> io::Result<()> {
    let begin = Instant::now();
    loop {
        let left = patience.saturating_sub(begin.elapsed());
        let mut wanted = libc::pollfd { fd: file.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
        // SAFETY: one valid entry, as the count says; the descriptor is open as long as `file` is borrowed.
        match unsafe { libc::poll(&raw mut wanted, 1, i32::try_from(left.as_millis()).unwrap_or(i32::MAX)) } {
            0 => {
                let words = format!("its reader has taken nothing for {} s", PATIENCE.as_secs());
                return Err(io::Error::new(io::ErrorKind::TimedOut, words));
            }
            -1 if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted => return Err(io::Error::last_os_error()),
            -1 => {}
            // Room, or an error, which the write tells.
            _ => return Ok(()),
        }
    }
}

/// Writes a regular file: beside it and over it, or in place where its own mode, owner or names would be lost.
fn put(path: &Path, text: &str, is_durable: bool) -> io::Result<()> {
    let before = match fs::metadata(path) {
        Ok(found) if found.is_file() => Some(found),
        Ok(_) => return Err(refused("something that is no file has taken its place")),
        Err(why) if why.kind() == io::ErrorKind::NotFound => None,
        Err(why) => return Err(why),
    };
    if before.as_ref().is_none_or(|before| before.nlink() == 1)
        && let Ok(draft) = Draft::create(path, before.as_ref())
    {
        // A full disk is told from here; what stands there stays as it was.
        let draft = draft.write(text, is_durable)?;
        if draft.rename_over(path).is_ok() {
            return Ok(());
        }
        // A file that is mounted by itself is busy.
    }
    let mut file = File::create(path)?;
    file.write_all(text.as_bytes())?;
    if is_durable { file.sync_all() } else { Ok(()) }
}

/// A file on its way to its place.
struct Draft {
    path: PathBuf,
    file: File,
}

impl Draft {
    /// An empty one beside `path`, with the mode and the owner of what stands there.
    fn create(path: &Path, before: Option<&Metadata>) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let mut draft_name = std::ffi::OsString::from(".");
        draft_name.push(name);
        draft_name.push(format!(".{}.draft", std::process::id()));
        let draft_path = path.with_file_name(draft_name);
        // One that was left behind by a process of the same number. Usually there is none.
        let _left = fs::remove_file(&draft_path);
        let mode = before.map_or(0o666, |before| before.mode() & 0o777);
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft_path)?;
        let draft = Self { path: draft_path, file };
        if let Some(before) = before {
            let own = draft.file.metadata()?;
            if (own.uid(), own.gid()) != (before.uid(), before.gid()) {
                fchown(&draft.file, Some(before.uid()), Some(before.gid()))?;
            }
            draft.file.set_permissions(before.permissions())?;
        }
        Ok(draft)
    }

    fn write(mut self, text: &str, is_durable: bool) -> io::Result<Self> {
        self.file.write_all(text.as_bytes())?;
        if is_durable {
            self.file.sync_all()?;
        }
        Ok(self)
    }

    fn rename_over(self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After `rename_over` there is no draft any more, and nothing is removed.
        let _gone = fs::remove_file(&self.path);
    }
}

/// Links that are followed one after the other, as the system does.
const LINKS: usize = 40;

/// How long the reader of a pipe may take to come, and then to take something.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often somebody looks whether a pipe has a reader.
const STEP: Duration = Duration::from_millis(20);

/// What a pipe with room in it takes at once.
const PIECE: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn write(path: &Path, text: &str) -> Result<(), ReportError> {
        Place::new(path)?.finish(text)
    }

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn fifo(path: &Path) {
        let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        // SAFETY: the name ends with a zero and lives as long as the call.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    }

    #[test]
    fn nothing_stands_there_before_the_end_and_nothing_else_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/down/run.json");
        let mut place = Place::new(&path).unwrap();
        assert!(names(path.parent().unwrap()).is_empty());
        place.finish("{}").unwrap();
        assert_eq!((names(path.parent().unwrap()), read(&path)), (vec!["run.json".to_owned()], "{}".to_owned()));
    }

    #[test]
    fn a_link_stays_a_link_and_the_file_behind_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let (link, middle, file) = (folder.path().join("link"), folder.path().join("middle"), folder.path().join("real/run.json"));
        symlink("middle", &link).unwrap();
        symlink(&file, &middle).unwrap();
        for text in ["first", "second"] {
            write(&link, text).unwrap();
            assert!(fs::symlink_metadata(&link).unwrap().is_symlink() && fs::symlink_metadata(&middle).unwrap().is_symlink());
            assert_eq!((read(&file).as_str(), names(file.parent().unwrap()).len()), (text, 1));
        }
        symlink("loop", folder.path().join("loop")).unwrap();
        assert!(write(&folder.path().join("loop"), "").is_err());
    }

    #[test]
    fn a_file_keeps_its_mode_and_all_of_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let (path, second) = (folder.path().join("run.json"), folder.path().join("second"));
        fs::write(&path, "a longer text of an earlier run").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        write(&path, "one").unwrap();
        assert_eq!((fs::metadata(&path).unwrap().mode() & 0o777, read(&path)), (0o640, "one".to_owned()));
        fs::hard_link(&path, &second).unwrap();
        write(&path, "two").unwrap();
        assert_eq!((read(&second).as_str(), fs::metadata(&path).unwrap().nlink()), ("two", 2));
    }

    #[test]
    fn a_pipe_is_written_through_and_stays_a_pipe() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        fifo(&path);
        // More than a pipe holds, so that it goes on while the other side reads.
        let text = "x".repeat(300_000);
        for waits_first in [true, false] {
            let begun = (!waits_first).then(|| Place::new(&path).unwrap());
            let reader = std::thread::spawn({
                let path = path.clone();
                move || {
                    let mut got = String::new();
                    File::open(path).unwrap().read_to_string(&mut got).unwrap();
                    got
                }
            });
            begun.map_or_else(|| Place::new(&path), Ok).unwrap().finish(&text).unwrap();
            assert!(reader.join().unwrap() == text);
        }
        assert!(fs::symlink_metadata(&path).unwrap().file_type().is_fifo());
    }

    #[test]
    fn a_pipe_without_a_reader_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        fifo(&path);
        assert_eq!(open_through(&path, Duration::from_millis(1)).unwrap_err().kind(), io::ErrorKind::TimedOut);
        // And one whose reader takes nothing.
        let _reader = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&path).unwrap();
        let mut file = open_through(&path, Duration::ZERO).unwrap();
        assert_eq!(pour(&mut file, &mut &[0; 1 << 20][..], Duration::ZERO).unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let path = PathBuf::from(format!("/dev/fd/{}", writer.as_raw_fd()));
        write(&path, "too late").unwrap();
    }

    #[test]
    fn a_descriptor_is_written_where_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let mut file = File::create(&path).unwrap();
        file.write_all(b"table\n").unwrap();
        let link = folder.path().join("link");
        symlink(format!("/proc/self/fd/{}", file.as_raw_fd()), &link).unwrap();
        write(&link, "report\n").unwrap();
        file.write_all(b"more\n").unwrap();
        assert_eq!(read(&path), "table\nreport\nmore\n");
        assert!(Place::new(Path::new("/dev/fd/987654")).is_err() && Place::new(Path::new("/dev/fd/-1")).is_err());
        assert_eq!(
            ["-", "/dev/stdout", "/dev/fd/1", "/dev/fd/2", "a"].map(|path| is_stdout(Path::new(path))),
            [true, true, true, false, false]
        );
    }

    #[test]
    fn a_device_is_written_and_stays_a_device() {
        let folder = tempfile::tempdir().unwrap();
        let (full, null) = (folder.path().join("full"), folder.path().join("null"));
        symlink("/dev/full", &full).unwrap();
        symlink("/dev/null", &null).unwrap();
        assert!(write(&full, "text").unwrap_err().to_string().contains("No space left"));
        write(&null, "text").unwrap();
        for device in ["/dev/full", "/dev/null"] {
            assert!(fs::symlink_metadata(device).unwrap().file_type().is_char_device());
        }
    }

    #[test]
    fn what_is_no_place_for_a_report_is_known_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let slash = folder.path().join("results/");
        let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        for path in
            [folder.path(), &slash, &folder.path().join("socket"), &folder.path().join("file/run.json"), Path::new(""), Path::new("/")]
        {
            assert!(Place::new(path).is_err(), "{}", path.display());
        }
        assert_eq!(names(folder.path()), ["file", "socket"]);
    }

    #[test]
    fn a_full_disk_takes_no_row_that_stood_and_leaves_no_half_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows");
        let mut rows = Growing::create(&path).unwrap();
        rows.write("one\n").unwrap();
        let whole = std::mem::replace(&mut rows.file, File::open("/dev/full").unwrap());
        assert!(rows.write("two\n").is_err());
        rows.file = whole;
        rows.write("three\n").unwrap();
        assert_eq!(read(&path), "one\nthree\n");
    }

    #[test]
    fn two_names_of_one_place_have_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("run"), folder.path().join("link"));
        symlink(&file, &link).unwrap();
        let key = |path: &Path| Place::new(path).unwrap().key();
        assert_eq!(key(&file), key(&link));
        assert_eq!(key(&folder.path().join("./run")), key(&file));
        assert_ne!(key(&file), key(&folder.path().join("other")));
    }

    #[test]
    fn a_reader_who_comes_late_gets_whole_rows_and_those_alone_that_had_room() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        fifo(&path);
        let mut reader = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&path).unwrap();
        let mut growing = Growing::create(&path).unwrap();
        // As after the seconds that a reader is waited for.
        growing.is_stalled = true;
        let row = |letter: &str| letter.repeat(49_999) + "\n";
        // A pipe holds 64 KiB: one row and the beginning of the next.
        growing.write(&row("a")).unwrap();
        growing.is_stalled = true;
        assert!(growing.write(&row("b")).is_err() && growing.write(&row("c")).is_err());
        let mut seen = vec![0; 1 << 17];
        let first = reader.read(&mut seen).unwrap();
        growing.write("d\n").unwrap();
        assert!(!growing.is_stalled);
        let second = reader.read(&mut seen[first..]).unwrap();
        assert!(String::from_utf8(seen[..first + second].to_vec()).unwrap() == row("a") + &row("b") + "d\n");
    }
}
