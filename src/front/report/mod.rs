//! What the numbers of a run are written to, as units: each kind is a file here and a row in `kinds.rs`, and works on a thread of its own.
//!
//! All are looked at before the run, so that a path that cannot be written is known at once.

pub(in crate::front) mod csv;
pub(in crate::front) mod html;
pub(in crate::front) mod json;
mod junit;
mod kinds;
mod lines;
mod output;
mod place;
mod writer;

use std::path::PathBuf;
use std::time::Duration;

use crate::stats::snapshot::Snapshot;

pub use csv::CsvFiles;
pub use html::HtmlFile;
pub use json::{JsonFile, SCHEMA};
pub use junit::JunitFile;
pub use kinds::{KINDS, Kind, Wanted};
pub use lines::LinesFile;
pub use output::Output;
pub(in crate::front) use place::Place;
pub use place::is_stdout;
pub use writer::{Finishing, WriteError, Writer};

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write `{}`: {source}", path.display())]
pub struct ReportError {
    /// Which file or directory.
    pub path: PathBuf,
    /// What the operating system said.
    pub source: std::io::Error,
}

/// How a run ended, for those who read of it afterwards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Closing {
    /// False where numbers of a worker are missing, or the run could not be finished.
    pub is_complete: bool,
    /// The exit code that the run's numbers and its end come to.
    pub exit_code: u8,
    /// Whether that is a passed run.
    pub has_passed: bool,
    /// The verdict in words, such as `FAILED: 1 of 2 thresholds`.
    pub words: String,
}

impl Closing {
    /// As `verdict` in reports.
    pub(in crate::front) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({ "passed": self.has_passed, "exit_code": self.exit_code, "words": self.words })
    }
}

/// Lets one snapshot through for each second of a run's clock, however many there are.
#[derive(Debug, Default)]
struct SecondGate(Option<u64>);

impl SecondGate {
    /// The second that the snapshot is of, where none of it has passed.
    fn pass(&mut self, snapshot: &Snapshot) -> Option<u64> {
        // A snapshot that came a little early belongs to the second that it almost reached.
        let second = (snapshot.elapsed + Duration::from_millis(500)).as_secs();
        if snapshot.started_at.is_none() || self.0.is_some_and(|passed| second <= passed) {
            return None;
        }
        self.0 = Some(second);
        Some(second)
    }
}

/// The percentiles of the files and of the final table, by Locust's names.
pub const PERCENTILES: [(&str, f64); 11] = [
    ("50%", 0.5),
    ("66%", 0.66),
    ("75%", 0.75),
    ("80%", 0.8),
    ("90%", 0.9),
    ("95%", 0.95),
    ("98%", 0.98),
    ("99%", 0.99),
    ("99.9%", 0.999),
    ("99.99%", 0.9999),
    ("100%", 1.0),
];

/// The names of a run's report in a master's state directory: for people, for programs, for a terminal.
pub const KEPT_HTML: &str = "report.html";
/// Its content is that of `--json`.
pub const KEPT_JSON: &str = "report.json";
/// As it is printed at the end of a run.
pub const KEPT_TEXT: &str = "report.txt";

/// Creates the folder that a file shall stand in.
fn create_folder(path: &std::path::Path) -> std::io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => std::fs::create_dir_all(folder),
        _ => Ok(()),
    }
}
