//! The other side of `/api/v1`: a master as the shell's commands ask it, and what they show of its answers. Decides nothing about a run.
//!
//! `reqwest` takes its TLS from the provider that the process has installed.

mod error;
mod master;
mod words;

pub use error::ClientError;
pub use master::{ClientOptions, MasterClient};
pub use words::{accepted, is_over, line, rows, status};
