//! Why bytes are no message.

/// Why bytes are no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the text of an error says what its fields are")]
pub enum CodecError {
    /// The bytes end within the message.
    #[error("the message is cut off")]
    Cut,
    /// Bytes are left over.
    #[error("{bytes} bytes are left over behind the message")]
    LeftOver { bytes: usize },
    /// It would take too much memory, or is longer than a message may be.
    #[error("the message is too large")]
    TooLarge,
    /// A value that no encoder writes.
    #[error("the message has no valid {what}")]
    Invalid { what: &'static str },
}
