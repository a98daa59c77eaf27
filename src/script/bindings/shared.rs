//! The store that all users of one worker share.

/// Values by key.
#[derive(Debug, Default)]
pub struct SharedStore {}
