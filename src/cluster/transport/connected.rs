//! The connection that the parts of a link share, and how it ended, in words.

use quinn::{Connection, ConnectionError};
use tokio::sync::OwnedSemaphorePermit;

/// What the parts of a link share.
#[derive(Debug)]
pub(super) struct Connected {
    pub(super) connection: Connection,
    /// The link's place among those that the master may have.
    pub(super) _place: Option<OwnedSemaphorePermit>,
}

/// Whether somebody ended the connection on purpose.
pub(super) fn is_orderly(end: &ConnectionError) -> bool {
    matches!(end, ConnectionError::ApplicationClosed(_) | ConnectionError::LocallyClosed)
}

/// The end of a connection for people.
pub(super) fn end_in_words(end: &ConnectionError) -> String {
    match end {
        ConnectionError::ApplicationClosed(close) if close.reason.is_empty() => "the peer went away".into(),
        ConnectionError::ApplicationClosed(close) => words(&close.reason),
        ConnectionError::LocallyClosed => "closed by this side".into(),
        ConnectionError::Reset => "the peer was restarted and does not know the link".into(),
        ConnectionError::TimedOut => "no sign of life for 10 s".into(),
        end => end.to_string(),
    }
}

/// A peer's words as they may stand in a log: one line of bounded length.
fn words(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).take(REASON_CHARACTERS_MAX).collect()
}

const REASON_CHARACTERS_MAX: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_peer_are_one_bounded_line() {
        assert_eq!(words(b"two\nlines\x1b[31m"), "two lines [31m");
        assert_eq!(words(&[b'x'; 1_000]).len(), REASON_CHARACTERS_MAX);
        assert_eq!(words(b"\xff"), "\u{fffd}");
    }
}
