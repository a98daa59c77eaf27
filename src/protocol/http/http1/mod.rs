//! HTTP/1.1 by hand: the hot path.
//!
//! What is read goes through one buffer a thread, so that a connection at rest has none; a response is read in one piece where it
//! comes in one. Making connections and choosing them is not done here.

mod chunked;
mod connection;
mod found;
mod plain_head;
mod request;
mod response;

pub(super) use connection::Connection;
pub(super) use response::Response;

/// Heads longer than this are no answer but an attack or a mistake.
const HEAD_LIMIT: usize = 64 * 1024;
