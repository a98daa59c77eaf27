//! Files of rows: read once, kept once in the process, whoever loads them.
//!
//! Owns the bytes, their digest, and the tables that were made of them. What a table is is `bindings::data`'s; where a file lies, `bundle`'s.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use sha2::{Digest, Sha256};

use super::bindings::data::rows::{Form, Rows};

/// A file of rows.
pub(crate) struct DataFile {
    bytes: Arc<Vec<u8>>,
    digest: [u8; 32],
    /// By how they were asked for. Each holds some bytes for four rows, and a share in `bytes`.
    tables: Mutex<Vec<(Form, Arc<Rows>)>>,
}

impl DataFile {
    /// The file at `path`, from memory where the process has read the same bytes before.
    pub(super) fn read(path: &Path) -> io::Result<Arc<Self>> {
        let length = std::fs::metadata(path)?.len();
        if length > LARGEST {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {} GiB", LARGEST >> 30)));
        }
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|file| file.strong_count() > 0);
        let twins: Vec<Arc<Self>> = known.iter().filter_map(Weak::upgrade).filter(|file| file.bytes.len() as u64 == length).collect();
        if !twins.is_empty() {
            // Looked at in pieces, so that the same file is never in memory twice.
            let digest = digest_of(path)?;
            if let Some(twin) = twins.into_iter().find(|file| file.digest == digest) {
                return Ok(twin);
            }
        }
        // One byte more than it takes: the end is seen without growing.
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(usize::MAX).saturating_add(1));
        File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
        bytes.shrink_to_fit();
        let file = Arc::new(Self { digest: Sha256::digest(&bytes).into(), bytes: Arc::new(bytes), tables: Mutex::default() });
        known.push(Arc::downgrade(&file));
        Ok(file)
    }

    /// SHA-256 of the bytes.
    pub(super) fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The rows of the file in this form, made when they are asked for first.
    ///
    /// # Errors
    /// What is wrong with the file, with the line.
    pub(crate) fn rows(&self, form: &Form) -> Result<Arc<Rows>, String> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, rows)) = tables.iter().find(|(known, _)| known == form) {
            return Ok(Arc::clone(rows));
        }
        let rows = Arc::new(Rows::of(Arc::clone(&self.bytes), form)?);
        tables.push((form.clone(), Arc::clone(&rows)));
        Ok(rows)
    }
}

impl PartialEq for DataFile {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for DataFile {}

impl fmt::Debug for DataFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataFile").field("bytes", &self.bytes.len()).finish_non_exhaustive()
    }
}

fn digest_of(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hash.finalize().into()),
            count => hash.update(&piece[..count]),
        }
    }
}

/// The files that somebody in this process holds.
static KNOWN: Mutex<Vec<Weak<DataFile>>> = Mutex::new(Vec::new());

/// Bytes of one file.
const LARGEST: u64 = 16 << 30;

const PIECE_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_are_in_memory_once_and_others_are_not_taken_for_them() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
            DataFile::read(&folder.path().join(name)).unwrap()
        };
        let (first, twin, other) = (write("a.csv", "x\n1\n"), write("b.csv", "x\n1\n"), write("a.csv", "x\n2\n"));
        assert!(Arc::ptr_eq(&first, &twin) && !Arc::ptr_eq(&first, &other));
        let form = Form::Lines;
        assert!(Arc::ptr_eq(&first.rows(&form).unwrap(), &twin.rows(&form).unwrap()));
        assert_eq!((first.bytes.as_slice(), other.bytes.as_slice()), (b"x\n1\n".as_slice(), b"x\n2\n".as_slice()));
    }
}
