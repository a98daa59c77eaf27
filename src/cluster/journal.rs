//! The journal's file: what a master writes down so that its death loses nothing.
//!
//! Owns the file in the state directory: its header, its frames, its lock, and what is done about a torn end. What a record means is
//! `record`'s, its bytes are `codec`'s. No async: whoever calls does so on a thread that may wait for a disk.
//!
//! The file is a magic, a version, and frames: length and CRC-32 (4 bytes each, least first), then a byte that says whether the record
//! goes on in the next frame, then the record's bytes. It holds one run: a new one goes into a new file that takes the old one's place
//! when it is on the disk. It is bounded: once it is [`GROWTH`] times as long as what is live in it, and [`SLACK_BYTES`] more, it is
//! written anew without what is void. Frames that do not stand, and all behind them, are cut off; they were never acknowledged.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::codec::{RECORD_BYTES, decode_record, encode_record};
use super::record::{KeptRun, Record};
use crate::stats::phases::PHASES;
use crate::stats::times::TIMES;

/// The open journal of one master.
#[derive(Debug)]
pub struct Journal {
    directory: PathBuf,
    path: PathBuf,
    file: File,
    /// Where the next frame goes.
    length: u64,
    /// The length when nothing in the file was void.
    live: u64,
    /// Bytes of a broken end that were cut off when the journal was opened.
    cut_off: u64,
    /// Held until the process ends, or the journal is dropped.
    _lock: File,
}

impl Journal {
    /// Opens the journal in `directory`, which is made where it is missing, and reads what it says of the last run.
    ///
    /// # Errors
    /// The directory cannot be written, another master has it, or the file is none of this program or of another version of it.
    pub fn open(directory: &Path) -> Result<(Self, Option<KeptRun>), JournalError> {
        fs::create_dir_all(directory).map_err(|why| match fs::metadata(directory) {
            Ok(found) if !found.is_dir() => at(Doing::Create, directory)(io::Error::new(why.kind(), "what is there is no directory")),
            _ => at(Doing::Create, directory)(why),
        })?;
        // A pipe would hold whoever opens it, and a device keeps nothing.
        for name in [FILE, NEXT_FILE, LOCK_FILE] {
            let path = directory.join(name);
            if fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
                return Err(at(Doing::Write, &path)(io::Error::new(io::ErrorKind::InvalidInput, "what is there is no regular file")));
            }
        }
        let lock = lock(directory)?;
        let path = directory.join(FILE);
        // What a crash left half written was never in force.
        match fs::remove_file(directory.join(NEXT_FILE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(Doing::Remove, &directory.join(NEXT_FILE))(error)),
            _ => {}
        }
        let (kept, sound, cut_off) = match File::open(&path) {
            Ok(file) => {
                let length = file.metadata().map_err(at(Doing::Read, &path))?.len();
                let mut frames = Frames::new(file, &path)?;
                let kept = KeptRun::from_records(std::iter::from_fn(|| frames.next()));
                let sound = frames.finish()?;
                (kept, sound, length - sound)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => (None, 0, 0),
            Err(error) => return Err(at(Doing::Read, &path)(error)),
        };
        let file = match sound {
            0 => replace(directory, &[])?.0,
            _ => OpenOptions::new().write(true).open(&path).map_err(at(Doing::Write, &path))?,
        };
        if sound > 0 && cut_off > 0 {
            file.set_len(sound).and_then(|()| file.sync_all()).map_err(at(Doing::Write, &path))?;
        }
        let mut live = HEADER_BYTES;
        for record in kept.clone().into_iter().flat_map(KeptRun::into_records) {
            live += frames_of(&record)?.len() as u64;
        }
        let length = sound.max(HEADER_BYTES);
        Ok((Self { directory: directory.to_owned(), path, file, length, live, cut_off, _lock: lock }, kept))
    }

    /// Writes a record. A [`Record::Run`] begins the file anew and is on the disk at once; others are once [`Journal::sync`] returns.
    ///
    /// # Errors
    /// The disk is full or broken. The journal stands as before: the caller may go on, try again, and must say so loudly.
    pub fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        let frames = frames_of(record)?;
        if matches!(record, Record::Run { .. }) {
            return self.begin(&frames);
        }
        let written = self.file.seek(SeekFrom::Start(self.length)).and_then(|_| self.file.write_all(&frames));
        if let Err(error) = written {
            // Half a frame must not stand before later ones. If even that fails, reading cuts it off.
            let _ = self.file.set_len(self.length);
            return Err(at(Doing::Write, &self.path)(error));
        }
        self.length += frames.len() as u64;
        if self.length > self.live.saturating_mul(GROWTH).saturating_add(SLACK_BYTES) {
            // The record stands, compacted or not. If the disk has no room for a second file, the next try waits for the same growth
            // again; that there is no room at all is told by the record that finds none.
            self.compact().unwrap_or_else(|_| self.live = self.length);
        }
        Ok(())
    }

    /// Returns once all that was appended is on the disk.
    ///
    /// # Errors
    /// As [`Journal::append`].
    pub fn sync(&mut self) -> Result<(), JournalError> {
        self.file.sync_data().map_err(at(Doing::Write, &self.path))
    }

    /// How many bytes of a broken end were cut off when the journal was opened: worth a warning if not 0.
    #[must_use]
    pub fn cut_off_bytes(&self) -> u64 {
        self.cut_off
    }

    /// Where the journal is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the file anew without what is void.
    fn compact(&mut self) -> Result<(), JournalError> {
        let mut frames = Frames::new(File::open(&self.path).map_err(at(Doing::Read, &self.path))?, &self.path)?;
        let kept = KeptRun::from_records(std::iter::from_fn(|| frames.next()));
        frames.finish()?;
        let mut bytes = Vec::new();
        for record in kept.into_iter().flat_map(KeptRun::into_records) {
            bytes.extend(frames_of(&record)?);
        }
        self.begin(&bytes)
    }

    fn begin(&mut self, frames: &[u8]) -> Result<(), JournalError> {
        (self.file, self.length) = replace(&self.directory, frames)?;
        self.live = self.length;
        Ok(())
    }
}

/// Why there is no journal, or a record is not in it.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the text of an error says what its fields are")]
pub enum JournalError {
    /// The operating system said no.
    #[error("{doing} `{}`: {source}; make room or give --state another directory", path.display())]
    Io {
        doing: Doing,
        /// Which file or directory.
        path: PathBuf,
        source: io::Error,
    },
    /// Another master has the directory.
    #[error("use the state directory `{}`: another master has it; stop that one or give --state another directory", directory.display())]
    Locked { directory: PathBuf },
    /// The file was not written by this program.
    #[error("read `{}`: it is no journal of lunamoth; move it away or give --state another directory", path.display())]
    Foreign { path: PathBuf },
    /// The file was written by another version.
    #[error(
        "read `{}`: it has version {found} and this program reads version {VERSION}; end that run with the program that began it, or move the file away", path.display()
    )]
    Version { path: PathBuf, found: u32 },
    /// A record longer than could be read again.
    #[error("write a record of {bytes} bytes: more than {RECORD_BYTES} are not kept")]
    TooLarge {
        /// How long it is.
        bytes: usize,
    },
}

/// What was tried with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// A directory was to be made.
    Create,
    /// A file was to be read.
    Read,
    /// A file was to be written.
    Write,
    /// A file was to be removed.
    Remove,
}

impl std::fmt::Display for Doing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Read => "read",
            Self::Write => "write",
            Self::Remove => "remove",
        })
    }
}

/// The records of a file, up to the first frame that does not stand.
struct Frames<'a> {
    reader: BufReader<File>,
    path: &'a Path,
    /// The end of the last whole record.
    sound: u64,
    broken: Option<JournalError>,
}

impl<'a> Frames<'a> {
    fn new(file: File, path: &'a Path) -> Result<Self, JournalError> {
        let mut reader = BufReader::new(file);
        let mut header = Vec::new();
        reader.by_ref().take(HEADER_BYTES).read_to_end(&mut header).map_err(at(Doing::Read, path))?;
        let (magic, version) = header.split_at(MAGIC.len().min(header.len()));
        if !MAGIC.starts_with(magic) {
            return Err(JournalError::Foreign { path: path.to_owned() });
        }
        let sound = match <[u8; 4]>::try_from(version).map(u32::from_le_bytes) {
            Ok(VERSION) => HEADER_BYTES,
            Ok(found) => return Err(JournalError::Version { path: path.to_owned(), found }),
            // Not even the header is whole: there is nothing behind it.
            Err(_) => 0,
        };
        Ok(Self { reader, path, sound, broken: None })
    }

    /// The next record. None where the file ends, or does not stand, or cannot be read.
    fn next(&mut self) -> Option<Record> {
        let mut record = Vec::new();
        let mut length = 0;
        loop {
            let frame = match self.frame() {
                Ok(frame) => frame?,
                Err(error) => {
                    self.broken = Some(at(Doing::Read, self.path)(error));
                    return None;
                }
            };
            length += FRAME_HEAD_BYTES + frame.len() as u64;
            let (goes_on, part) = frame.split_first()?;
            if record.len() + part.len() > RECORD_BYTES {
                return None;
            }
            record.extend_from_slice(part);
            match *goes_on {
                0 => break,
                1 => {}
                _ => return None,
            }
        }
        let record = decode_record(&record).ok()?;
        self.sound += length;
        Some(record)
    }

    /// The payload of the next frame that stands.
    fn frame(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut head = [0; FRAME_HEAD_BYTES as usize];
        if !fill(&mut self.reader, &mut head)? {
            return Ok(None);
        }
        let (length, checksum) = head.split_at(4);
        let [length, checksum] = [length, checksum].map(|bytes| bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte)));
        if length as usize > PART_BYTES + 1 {
            return Ok(None);
        }
        let mut payload = vec![0; length as usize];
        let is_whole = fill(&mut self.reader, &mut payload)?;
        Ok((is_whole && crc32fast::hash(&payload) == checksum).then_some(payload))
    }

    /// The length of all whole records, header included; 0 if there is no header.
    fn finish(self) -> Result<u64, JournalError> {
        self.broken.map_or(Ok(self.sound), Err)
    }
}

/// Whether so many bytes were left.
fn fill(reader: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn frames_of(record: &Record) -> Result<Vec<u8>, JournalError> {
    let bytes = encode_record(record);
    if bytes.len() > RECORD_BYTES {
        return Err(JournalError::TooLarge { bytes: bytes.len() });
    }
    let mut frames = Vec::with_capacity(bytes.len() + bytes.len() / 1_024 + 16);
    let mut parts = bytes.chunks(PART_BYTES).peekable();
    while let Some(part) = parts.next() {
        let goes_on = [u8::from(parts.peek().is_some())];
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(&goes_on);
        checksum.update(part);
        frames.extend_from_slice(&(part.len() as u32 + 1).to_le_bytes());
        frames.extend_from_slice(&checksum.finalize().to_le_bytes());
        frames.extend_from_slice(&goes_on);
        frames.extend_from_slice(part);
    }
    Ok(frames)
}

/// Puts a journal of these frames in place of the present one, if any: whoever reads sees the one or the other, whole.
fn replace(directory: &Path, frames: &[u8]) -> Result<(File, u64), JournalError> {
    let next = directory.join(NEXT_FILE);
    let path = directory.join(FILE);
    // A plan may hold secrets: the values of variables, the key of a client certificate.
    let options = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&next);
    let written = options.and_then(|mut file| {
        file.write_all(MAGIC)?;
        file.write_all(&VERSION.to_le_bytes())?;
        file.write_all(frames)?;
        file.sync_all()?;
        fs::rename(&next, &path)?;
        Ok(file)
    });
    let file = written.map_err(|error| {
        // Half a file would take the room that the next try needs.
        let _ = fs::remove_file(&next);
        at(Doing::Write, &next)(error)
    })?;
    // The new name is kept once the directory is on the disk. Some file systems cannot be asked for that; the file is in place by now.
    let _ = File::open(directory).and_then(|directory| directory.sync_all());
    Ok((file, HEADER_BYTES + frames.len() as u64))
}

fn lock(directory: &Path) -> Result<File, JournalError> {
    let path = directory.join(LOCK_FILE);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(at(Doing::Write, &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(JournalError::Locked { directory: directory.to_owned() }),
        Err(TryLockError::Error(error)) => Err(at(Doing::Write, &path)(error)),
    }
}

fn at(doing: Doing, path: &Path) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.to_owned();
    move |source| JournalError::Io { doing, path, source }
}

/// The journal is written anew when it is this many times as long as when nothing in it was void.
pub const GROWTH: u64 = 4;

/// What the journal may grow besides, in bytes.
pub const SLACK_BYTES: u64 = 16 << 20;

const FILE: &str = "journal";
const NEXT_FILE: &str = "journal.new";
const LOCK_FILE: &str = "lock";

const MAGIC: &[u8; 8] = b"LUNAJRNL";

/// As [`PROTOCOL_VERSION`](super::transport::PROTOCOL_VERSION): its last two digits are the number of phases and times.
const VERSION: u32 = LAYOUT * 100 + (PHASES.len() + TIMES.len()) as u32;

/// Raised with each other change of the frames or of a record's layout.
const LAYOUT: u32 = 21;

const HEADER_BYTES: u64 = 12;
const FRAME_HEAD_BYTES: u64 = 8;

/// Bytes of a record in one frame at most: a broken length never makes a reader take more memory than this.
const PART_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::message::WorkerId;
    use crate::cluster::record::KeptWorker;
    use crate::load::stock::IterationsBegun;
    use crate::plan::{LoadProfile, Plan, RunId};
    use crate::stats::names::EntryName;
    use crate::stats::snapshot::HistoryPoint;
    use crate::stats::tally::{EntryCounts, Tally};
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    fn run(number: u64) -> Record {
        let plan = Plan { run: RunId(number), ..Plan::for_tests(LoadProfile::plain(10, 1.0, None)) };
        Record::Run { plan: plan.into(), wall: SystemTime::UNIX_EPOCH + Duration::from_secs(number) }
    }

    fn worker(host: &str, sequence: u64, entries: usize) -> Record {
        let mut tally = Tally::default();
        for number in 0..entries {
            // Many entries are to be many bytes.
            let name = if entries < 1_000 { format!("/{number}") } else { format!("{number:0>900}") };
            let name = EntryName { name: name.into(), method: "GET".into() };
            tally.entries.insert(name, EntryCounts::default());
        }
        let worker = WorkerId { host: host.into(), incarnation: 1 };
        Record::Worker(Box::new(KeptWorker {
            worker,
            epoch: 0,
            sequence: std::num::NonZeroU64::new(sequence),
            has_left: true,
            begun: IterationsBegun::default(),
            panics: 0,
            lanes_lost: 0,
            lost_since: None,
            tallies: vec![tally],
        }))
    }

    fn history(second: u64) -> Record {
        Record::History(vec![HistoryPoint { at: Duration::from_secs(second), length: Duration::from_secs(10), ..Default::default() }])
    }

    fn written(directory: &Path, records: &[Record]) -> u64 {
        let (mut journal, _) = Journal::open(directory).unwrap();
        records.iter().for_each(|record| journal.append(record).unwrap());
        journal.sync().unwrap();
        journal.length
    }

    fn read(directory: &Path) -> (Option<KeptRun>, u64) {
        let (journal, kept) = Journal::open(directory).unwrap();
        (kept, journal.cut_off_bytes())
    }

    #[test]
    fn what_was_written_is_read_by_the_next_master() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("deep/state");
        let records = [run(1), worker("a", 1, 2), history(0), worker("b", 2, 0), history(10), worker("a", 3, 1)];
        written(&state, &records);
        let kept = KeptRun::from_records(records.clone());
        assert_eq!(read(&state), (kept.clone(), 0));
        assert_eq!(kept.map(|kept| (kept.workers.len(), kept.history.len())), Some((2, 2)));
        // It goes on where it was.
        written(&state, &[Record::End]);
        assert_eq!(read(&state).0.map(|kept| (kept.is_over, kept.workers.len())), Some((true, 2)));
    }

    #[test]
    fn a_run_begins_a_file_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let first = written(directory.path(), &[run(1), worker("a", 1, 50), Record::End]);
        let second = written(directory.path(), &[run(2)]);
        assert!(second < first);
        assert_eq!(read(directory.path()).0.map(|kept| (kept.plan.run, kept.workers.len(), kept.is_over)), Some((RunId(2), 0, false)));
    }

    #[test]
    fn a_crash_at_any_byte_keeps_every_record_before_it() {
        let directory = tempfile::tempdir().unwrap();
        let records = [run(1), worker("a", 1, 1), history(0), worker("b", 2, 0)];
        let ends: Vec<u64> = (0..=records.len()).map(|count| written(directory.path(), &records[..count])).collect();
        let whole = fs::read(directory.path().join(FILE)).unwrap();
        for length in 0..whole.len() {
            fs::write(directory.path().join(FILE), &whole[..length]).unwrap();
            let count = ends.iter().rposition(|end| *end <= length as u64);
            let sound = count.map_or(0, |count| ends[count]);
            let expected = KeptRun::from_records(records[..count.unwrap_or(0)].to_vec());
            assert_eq!(read(directory.path()), (expected, length as u64 - sound), "at {length}");
            // What is appended behind the cut is read.
            if length % 97 == 0 {
                written(directory.path(), &[run(9), Record::End]);
                assert_eq!(read(directory.path()).0.map(|kept| (kept.plan.run, kept.is_over)), Some((RunId(9), true)));
            }
        }
    }

    #[test]
    fn a_flipped_bit_costs_its_record_and_those_behind_it() {
        let directory = tempfile::tempdir().unwrap();
        let records = [run(1), worker("a", 1, 1), history(0)];
        let ends: Vec<u64> = (0..=records.len()).map(|count| written(directory.path(), &records[..count])).collect();
        let whole = fs::read(directory.path().join(FILE)).unwrap();
        for place in HEADER_BYTES as usize..whole.len() {
            let mut flipped = whole.clone();
            flipped[place] ^= 1 << (place % 8);
            fs::write(directory.path().join(FILE), &flipped).unwrap();
            let count = ends.iter().rposition(|end| *end <= place as u64).unwrap();
            assert_eq!(
                read(directory.path()),
                (KeptRun::from_records(records[..count].to_vec()), whole.len() as u64 - ends[count]),
                "at {place}"
            );
        }
    }

    #[test]
    fn a_file_of_another_kind_or_version_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        fs::write(&path, "a letter to a friend").unwrap();
        assert!(matches!(Journal::open(directory.path()), Err(JournalError::Foreign { .. })));
        fs::write(&path, [&MAGIC[..], &(VERSION + 1).to_le_bytes(), b"whatever"].concat()).unwrap();
        let error = Journal::open(directory.path()).unwrap_err();
        assert!(matches!(error, JournalError::Version { found, .. } if found == VERSION + 1));
        assert!(error.to_string().contains("move the file away"), "{error}");
        assert_eq!(fs::read(&path).unwrap().len(), 20);
    }

    #[test]
    fn two_masters_cannot_share_a_directory() {
        let directory = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(directory.path()).unwrap();
        let error = Journal::open(directory.path()).unwrap_err();
        assert!(matches!(error, JournalError::Locked { .. }));
        assert!(error.to_string().contains("another master has it"), "{error}");
        drop(journal);
        Journal::open(directory.path()).unwrap();
    }

    #[test]
    fn a_record_longer_than_a_frame_comes_back_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let large = worker("a", 1, 3_000);
        written(directory.path(), &[run(1)]);
        let begin = fs::metadata(directory.path().join(FILE)).unwrap().len();
        let end = written(directory.path(), std::slice::from_ref(&large));
        assert!(end > begin + 2 * PART_BYTES as u64);
        assert_eq!(read(directory.path()), (KeptRun::from_records([run(1), large]), 0));
        File::options().write(true).open(directory.path().join(FILE)).unwrap().set_len(end - 1).unwrap();
        assert_eq!(read(directory.path()), (KeptRun::from_records([run(1)]), end - 1 - begin));
    }

    #[test]
    fn what_is_void_is_thrown_away_before_the_file_grows_without_bounds() {
        let directory = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(directory.path()).unwrap();
        let mut lengths = Vec::new();
        journal.append(&run(1)).unwrap();
        for sequence in 1..=30 {
            journal.append(&worker("a", sequence, 1_000)).unwrap();
            journal.append(&history(sequence)).unwrap();
            lengths.push(journal.length);
        }
        assert!(lengths.windows(2).any(|pair| pair[1] < pair[0]));
        assert!(*lengths.iter().max().unwrap() < SLACK_BYTES + 8_000_000);
        drop(journal);
        let kept = read(directory.path()).0.unwrap();
        assert_eq!((kept.workers.len(), kept.workers[0].sequence, kept.history.len()), (1, std::num::NonZeroU64::new(30), 30));
    }

    #[test]
    fn a_restart_does_not_count_what_is_void_as_live() {
        let directory = tempfile::tempdir().unwrap();
        let begun = written(directory.path(), &[run(1), worker("a", 1, 40)]);
        for sequence in 2..20 {
            written(directory.path(), &[worker("a", sequence, 40)]);
        }
        let (journal, _) = Journal::open(directory.path()).unwrap();
        assert!(journal.length > 4 * begun && journal.live < 2 * begun, "{} {}", journal.length, journal.live);
    }

    #[test]
    fn nobody_else_may_read_the_plan() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        written(directory.path(), &[run(1)]);
        assert_eq!(fs::metadata(directory.path().join(FILE)).unwrap().permissions().mode() & 0o077, 0);
    }

    #[test]
    fn a_disk_that_takes_nothing_is_told_with_the_path() {
        let directory = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(directory.path()).unwrap();
        // Every write to this file fails as on a full disk.
        journal.file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let error = journal.append(&Record::End).unwrap_err().to_string();
        assert!(error.contains("write `") && error.contains("journal`") && error.contains("give --state another directory"), "{error}");
    }

    #[test]
    fn issue_15_what_is_no_directory_or_no_file_is_named_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let said = |path: &Path| Journal::open(path).map(drop).unwrap_err().to_string();
        assert!(said(&file).contains("`: what is there is no directory; make room or give --state another directory"), "{}", said(&file));
        std::os::unix::fs::symlink("/dev/null", directory.path().join(FILE)).unwrap();
        assert!(said(directory.path()).contains("journal`: what is there is no regular file"), "{}", said(directory.path()));
    }

    #[test]
    fn records_of_earlier_epochs_are_void() {
        let kept = KeptRun::from_records([
            worker("lost", 9, 0),
            run(1),
            Record::Retargeted { profile: Arc::new(LoadProfile::plain(99, 1.0, None)), generation: 3 },
            worker("a", 1, 3),
            history(0),
            Record::Reset { epoch: 1, at: Some(Duration::from_millis(12_345)) },
            worker("b", 2, 3),
            history(10),
        ])
        .unwrap();
        assert_eq!((kept.epoch, kept.counted_since, kept.history.len()), (1, Some(Duration::from_millis(12_345)), 1));
        // Who was there, and what it had begun, stays.
        let void: Vec<_> = kept.workers.iter().map(|kept| (&*kept.worker.host, kept.tallies.iter().all(Tally::is_empty))).collect();
        assert_eq!(void, [("a", true), ("b", true)]);
        assert_eq!(*kept.profile, LoadProfile::plain(99, 1.0, None));
        assert_eq!(KeptRun::from_records(kept.clone().into_records()), Some(kept));
    }
}
