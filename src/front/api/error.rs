//! Why the API is not there.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the API is not there.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the text of an error says what its fields are")]
pub enum ApiError {
    /// Another process has the port, the interface is not this machine's, or the port needs rights.
    #[error("serve the web monitor at `{address}`: {source}; choose another address with --web")]
    Listen { address: SocketAddr, source: std::io::Error },
    /// A certificate or a key that cannot serve.
    #[error("`{}`, for HTTPS at the web monitor, cannot be used: {problem}", path.display())]
    Tls {
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}
