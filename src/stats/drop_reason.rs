//! Why an iteration that was due did not begin. A closed list.

/// Why an iteration that was due did not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// No user of its class was free, no further one could be made, and its patience was over.
    NoFreeUser,
    /// The generator had come to look at it late: by more than its patience, or so that no user was to be had any more.
    GeneratorLate,
    /// The `on_start` of the user that was made for it raised.
    OnStartFailed,
    /// The run was paused.
    Paused,
}

impl DropReason {
    /// All reasons, in the order in which they are counted.
    pub const ALL: [Self; 4] = [Self::NoFreeUser, Self::GeneratorLate, Self::OnStartFailed, Self::Paused];

    /// As files and interfaces have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoFreeUser => "no_free_user",
            Self::GeneratorLate => "generator_late",
            Self::OnStartFailed => "on_start_failed",
            Self::Paused => "paused",
        }
    }
}
