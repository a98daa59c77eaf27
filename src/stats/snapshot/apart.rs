//! What stands beside a run's numbers and is in none of them: its setup and teardown.

use std::time::Duration;

use super::entries::{EntryView, ErrorView};

/// The run's setup or teardown.
#[derive(Debug, Clone, Default)]
pub struct ActView {
    /// `setup` or `teardown`.
    pub act: &'static str,
    /// The worker that did it.
    pub worker: String,
    /// From its begin to its end.
    pub took: Duration,
    /// Why it came to no good end, if it did not.
    pub error: Option<String>,
    /// What was asked for in it, by entry.
    pub entries: Vec<EntryView>,
    /// What failed of them.
    pub errors: Vec<ErrorView>,
}

impl ActView {
    /// What the `error` of one that somebody ended with the run says behind its name, as in `setup: it was cut short`.
    pub const CUT_SHORT: &'static str = "it was cut short";

    /// Whether somebody ended it, with the run.
    #[must_use]
    pub fn is_cut_short(&self) -> bool {
        let said = self.error.as_deref().and_then(|error| error.strip_prefix(self.act)).and_then(|said| said.strip_prefix(": "));
        said == Some(Self::CUT_SHORT)
    }
}
