//! `lunamoth compare`: two reports, and what is asked of their comparison. It has no settings.

use std::path::PathBuf;

use clap::Args;

/// What was typed after `lunamoth compare`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compare {
    /// The report of the run to compare with.
    pub base: PathBuf,
    /// The report of the run that is judged.
    pub new: PathBuf,
    /// How far figures may move, as they were written.
    pub limits: Vec<String>,
    /// Where a table for a pull request goes.
    pub markdown: Option<PathBuf>,
    /// Where the test cases for a build server go.
    pub junit: Option<PathBuf>,
    /// The new report takes the place of the base where no limit is broken, or where there is no base yet.
    pub updates: bool,
}

#[derive(Debug, Args)]
pub(super) struct CompareFlags {
    /// The report of the run to compare with, of `--json`
    #[arg(value_name = "BASE.json")]
    base: PathBuf,
    /// The report of the run that is judged
    #[arg(value_name = "NEW.json")]
    new: PathBuf,
    /// How far a figure may rise (`+`) or fall (`-`), of the total and of each entry: "p(99) +5%", "avg +10ms", "rate -5%", "failures +0.5%"
    /// (percentage points). Broken only where the whole 95 % interval is past it. May be given several times
    #[arg(long = "limit", value_name = "LIMIT")]
    limits: Vec<String>,
    /// Write a table for a pull request here; `-` is stdout
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Write a test case for each limit and entry here, for a build server; `-` is stdout
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Where no limit is broken, NEW takes the place of BASE; where there is no BASE yet, NEW becomes it. For runs that come each night
    #[arg(long)]
    update: bool,
}

impl CompareFlags {
    pub(super) fn into_compare(self) -> Compare {
        let Self { base, new, limits, markdown, junit, update: updates } = self;
        Compare { base, new, limits, markdown, junit, updates }
    }
}
