//! An HTTP client for a load generator: one hop in, one exchange with phase times, sizes and an outcome out.
//!
//! HTTP/1.1 and HTTP/2 are written by hand on `TcpStream`: they are the hot path. Each user has its own [`Connections`];
//! users of one lane share a [`Context`] (TLS configuration, DNS cache). Redirects, cookies and names are decisions of the caller,
//! with pure helpers here: [`redirect`], [`cookies`], [`multipart`], [`Target`].
//!
//! All of it lives on one thread, in a current-thread runtime inside a `LocalSet`. Bytes are counted as HTTP has them, that is
//! above TLS.

mod attempt;
mod body;
mod classify;
mod connect;
mod connections;
mod context;
mod cookie_date;
pub mod cookies;
mod dns;
mod exchange;
mod headers;
mod http1;
mod http2;
mod kept;
mod memory;
pub mod multipart;
mod origin;
mod pool;
mod proxy;
pub mod redirect;
mod settings;
mod stream;
mod timer;
mod tls;
mod tls_trust;
mod tls_words;
mod turns;
mod unpack;

pub use body::Body;
pub use classify::{Failure, FailureKind};
pub use connections::Connections;
pub use context::Context;
pub use dns::HostRule;
pub use exchange::{ConnectionRules, Exchange, Offer, Progress, Request, Timings, Version};
pub use headers::Headers;
pub use kept::Kept;
pub use memory::BodyMemory;
pub use origin::{BadUrl, Origin, Target};
pub use settings::Settings;
pub use tls::configure as tls_client;
pub use unpack::Unpacker;

#[cfg(test)]
mod tests;
