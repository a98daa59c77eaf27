//! Two reports of `--json` compared, for people: they are read here, and shown on a console, in a pull request, and to a build server.
//!
//! What differs, and how sure that is, is [`crate::stats::comparison`]'s.

mod figures;
mod junit;
mod markdown;
mod notes;
mod read;
mod text;

pub use junit::junit;
pub use markdown::markdown;
pub use notes::notes;
pub use read::{ReadError, Reported, read};
pub use text::text;

use std::path::Path;

use crate::front::report::{Place, ReportError};

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
