//! Settings that take one word of a closed list.

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people, as Locust writes them.
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    pub(super) const WORDS: [(&str, Self); 2] = [("text", Self::Text), ("json", Self::Json)];
}

/// The least level that is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the usual five")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    pub(super) const WORDS: [(&str, Self); 6] = [
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("warning", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];
}

/// What a master does with its run when it is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnTerm {
    /// Stops the run, reports, and ends with the verdict.
    Stop,
    /// Leaves the run to the workers and to the master that comes next.
    Handover,
}

impl OnTerm {
    pub(super) const WORDS: [(&str, Self); 2] = [("stop", Self::Stop), ("handover", Self::Handover)];
}

/// What a change of the scripts is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReloadMode {
    /// The next run; the running test goes on as it is.
    Next,
    /// The running test as well: users take it over between two iterations.
    Live,
}

impl ReloadMode {
    pub(super) const WORDS: [(&str, Self); 2] = [("next", Self::Next), ("live", Self::Live)];
}

/// What a worker does that has lost its master, until the orphan timeout ends the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrphanMode {
    /// Goes on by the plan.
    Continue,
    /// Begins no iteration until a master is back.
    Pause,
}

impl OrphanMode {
    pub(super) const WORDS: [(&str, Self); 2] = [("continue", Self::Continue), ("pause", Self::Pause)];
}
