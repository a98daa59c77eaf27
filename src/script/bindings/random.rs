//! The user's seeded generator.

/// Random numbers of one user.
#[derive(Debug)]
pub struct Generator {}
