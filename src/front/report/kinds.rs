//! The outputs that there are, a row each, and how one is found by its name.
//!
//! A new output is its own file, which answers to [`Output`], and a row here.

use std::path::{Path, PathBuf};

use super::output::Output;
use super::{CsvFiles, HtmlFile, JsonFile, JunitFile, LinesFile, ReportError};

/// A kind of output.
pub struct Kind {
    /// Its name in `--out NAME=WHERE`.
    pub name: &'static str,
    /// What stands behind the `=`, in capitals.
    pub place: &'static str,
    /// What it writes there.
    pub help: &'static str,
    open: fn(&Path) -> Result<Box<dyn Output>, ReportError>,
}

macro_rules! boxed {
    ($output:ty) => {
        |path| <$output>::create(path).map(|output| Box::new(output) as Box<dyn Output>)
    };
}
/// All kinds of outputs, in the order of the help.
pub const KINDS: [Kind; 5] = [
    Kind { name: "csv", place: "BASE", help: "Locust's four CSV files, current to the second", open: boxed!(CsvFiles) },
    Kind { name: "json", place: "FILE", help: "everything that was measured, at the end", open: boxed!(JsonFile) },
    Kind { name: "html", place: "FILE", help: "a report for people, at the end", open: boxed!(HtmlFile) },
    Kind { name: "jsonl", place: "FILE", help: "the snapshot of each second, a line of JSON each, as they come", open: boxed!(LinesFile) },
    Kind { name: "junit", place: "FILE", help: "verdict and thresholds as test cases of JUnit's XML, at the end", open: boxed!(JunitFile) },
];

/// An output that somebody wants: its kind and where it goes.
#[derive(Clone)]
pub struct Wanted {
    kind: &'static Kind,
    place: PathBuf,
    /// The flag that says so, as a person would type it.
    said: String,
}

impl Wanted {
    /// The output of `--out KIND=PLACE`.
    ///
    /// # Errors
    /// There is no such kind; in words, with those that there are.
    pub fn new(kind: &str, place: &Path) -> Result<Self, String> {
        let said = format!("--out {kind}={}", place.display());
        Self::said_by(said, kind, place)
    }

    /// The same of a flag of its own, such as `--csv`.
    ///
    /// # Errors
    /// As [`Wanted::new`].
    pub fn said_by(said: String, kind: &str, place: &Path) -> Result<Self, String> {
        let found = KINDS.iter().find(|known| known.name == kind);
        let names = || KINDS.map(|known| format!("{}={}", known.name, known.place)).join(", ");
        let kind = found.ok_or_else(|| format!("{said}: there is no output `{kind}`; there are {}", names()))?;
        Ok(Self { kind, place: place.to_owned(), said })
    }

    /// The flag that says so, as a person would type it.
    #[must_use]
    pub fn said(&self) -> &str {
        &self.said
    }

    /// The file, or what the names of its files begin with.
    #[must_use]
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// Looks at its place, and makes it ready for a run.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn open(&self) -> Result<Box<dyn Output>, ReportError> {
        (self.kind.open)(&self.place)
    }
}
