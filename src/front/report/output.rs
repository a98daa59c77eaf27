//! What every output of a run answers to.
//!
//! What one writes is its own file's, which there are is `kinds.rs`'s, and when it writes is `writer.rs`'s.

use std::path::PathBuf;

use super::{Closing, ReportError};
use crate::stats::snapshot::Snapshot;

/// Where the numbers of one run go.
pub trait Output: Send {
    /// What two outputs have in common that would be written over each other.
    fn keys(&self) -> Vec<PathBuf>;

    /// Writes what is current during the run; at most once a second, and never at the same time as something else of this output.
    ///
    /// # Errors
    /// It cannot be written now; what comes later is tried again.
    fn on_snapshot(&mut self, snapshot: &Snapshot) -> Result<(), ReportError>;

    /// Writes what is written when the run is over.
    ///
    /// # Errors
    /// It cannot be written.
    fn finish(&mut self, last: &Snapshot, closing: &Closing) -> Result<(), ReportError>;
}
