//! Two reports of `--json` compared, or the two sides of one run, for people: they are read here, and shown on a console, in a pull request, and to a
//! build server.
//!
//! What differs, and how sure that is, is [`crate::stats::comparison`]'s.

mod figures;
mod junit;
mod markdown;
mod notes;
mod read;
mod sides;
mod text;

pub use junit::junit;
pub use markdown::markdown;
pub use notes::notes;
pub use read::{ReadError, Reported, read};
pub use sides::Sides;
pub use text::text;

use std::path::Path;

use crate::front::report::{Place, ReportError};
use crate::stats::comparison::Comparison;

/// A comparison, and what it is of.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// How its halves are called.
    pub names: Names,
    /// What the other is held against.
    pub base: &'a Reported,
    /// What is judged by `base`.
    pub new: &'a Reported,
    /// What differs, figure by figure.
    pub comparison: &'a Comparison,
    /// What a reader must know before he believes in it; a line each.
    pub notes: &'a [String],
}

/// How the halves of a comparison are called, and the command that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names {
    command: &'static str,
    base: &'static str,
    new: &'static str,
}

impl Names {
    /// The names for two reports.
    pub const REPORTS: Self = Self { command: "compare", base: "base", new: "new" };
    /// Of the two sides of a run.
    pub const SIDES: Self = Self { command: "ab", base: "A", new: "B" };
}

/// A file of a comparison: looked at before the work, so that a path that cannot be written is known at once.
#[derive(Debug)]
pub struct ComparisonFile(Place);

impl ComparisonFile {
    /// Looks at the place, and creates the folder before it; `-` is stdout.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn create(path: &Path) -> Result<Self, ReportError> {
        Place::new(path).map(Self)
    }

    /// Writes it.
    ///
    /// # Errors
    /// The disk is full or gone, or nobody reads a pipe.
    pub fn finish(mut self, text: &str) -> Result<(), ReportError> {
        self.0.finish(text)
    }
}
