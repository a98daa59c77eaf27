//! The terminal UI over ssh: a server that opens the screen at once, with no shell behind it.
//!
//! `keys` says who may come in, `doorstep` and `server` who is let in and for how long, `visitor` what an ssh client may ask for, `viewer` draws.

mod doorstep;
mod keys;
mod server;
mod viewer;
mod visitor;

pub use keys::{HostKey, SshError, host_key};
pub use server::{SshOptions, SshServer};
