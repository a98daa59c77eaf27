//! Why bytes are no message.

/// Why bytes are no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The bytes end within the message.
    #[error("the message is cut off")]
    Cut,
    /// Bytes are left over.
    #[error("{bytes} bytes are left over behind the message")]
    LeftOver {
        /// How many.
        bytes: usize,
    },
    /// It would take too much memory, or is longer than a message may be.
    #[error("the message is too large")]
    TooLarge,
    /// A value that no encoder writes.
    #[error("the message has no valid {what}")]
    Invalid {
        /// Of what.
        what: &'static str,
    },
}
