//! Files of a run: Locust's four CSV files, everything as JSON, and a page of HTML.
//!
//! All are looked at before the run, so that a path that cannot be written is known at once. The CSV files are current while it lasts.

pub(in crate::front) mod csv;
pub(in crate::front) mod html;
pub(in crate::front) mod json;
mod place;

use std::path::PathBuf;

pub use csv::CsvFiles;
pub use html::HtmlFile;
pub use json::{JsonFile, SCHEMA};
pub(in crate::front) use place::Place;
pub use place::is_stdout;

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write `{}`: {source}", path.display())]
pub struct ReportError {
    /// The file.
    pub path: PathBuf,
    /// The system's words.
    pub source: std::io::Error,
}

/// How a run ended, for those who read of it afterwards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Closing {
    /// False where numbers of a worker are missing.
    pub is_complete: bool,
    /// The exit code that the run's numbers and its end come to.
    pub exit_code: u8,
    /// Whether that is a passed run.
    pub has_passed: bool,
    /// The verdict in words, such as `FAILED: 1 of 2 thresholds`.
    pub words: String,
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
/// As of `--json`.
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
