//! A file that is there once it is whole: written as a draft beside its place, then put into it.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::{ReportError, create_folder};

/// The draft of a file, from before the run on, so that a path that cannot be written is known at once.
#[derive(Debug)]
pub(super) struct Draft {
    path: PathBuf,
    draft_path: PathBuf,
    file: File,
}

impl Draft {
    /// Creates the draft, and the folder before it.
    pub(super) fn create(path: &Path) -> Result<Self, ReportError> {
        create_folder(path)?;
        let fail = |source| ReportError { path: path.to_owned(), source };
        if path.is_dir() {
            return Err(fail(std::io::ErrorKind::IsADirectory.into()));
        }
        let name = path.file_name().ok_or_else(|| fail(std::io::ErrorKind::InvalidInput.into()))?;
        let mut draft_name = std::ffi::OsString::from(".");
        draft_name.push(name);
        draft_name.push(format!(".{}.draft", std::process::id()));
        let draft_path = path.with_file_name(draft_name);
        let file = File::create(&draft_path).map_err(fail)?;
        Ok(Self { path: path.to_owned(), draft_path, file })
    }

    /// Writes `text` and puts the file in its place. When that fails, a file of an earlier run stays as it was.
    pub(super) fn finish(mut self, text: &str) -> Result<(), ReportError> {
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_all());
        written
            .and_then(|()| std::fs::rename(&self.draft_path, &self.path))
            .map_err(|source| ReportError { path: self.path.clone(), source })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After `finish` there is no draft any more, and nothing is removed.
        let _gone = std::fs::remove_file(&self.draft_path);
    }
}
