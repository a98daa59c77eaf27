//! stub
pub use super::recorder::Tally;
