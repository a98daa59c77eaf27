//! What all requests of one lane obey.

use std::time::Duration;

use super::dns::HostRule;

/// What all requests of one lane obey.
#[derive(Debug, Clone)]
pub struct Settings {
    /// For name look-up, connect and TLS together.
    pub connect_timeout: Duration,
    /// Accept any certificate that a server shows.
    pub insecure_tls: bool,
    /// PEM text of certificate authorities to trust besides the usual ones.
    pub extra_roots: Option<String>,
    /// PEM text of a client certificate chain and its key.
    pub client_identity: Option<(String, String)>,
    /// Look each name up for each new connection.
    pub dns_fresh: bool,
    /// Names and their addresses that need no look-up.
    pub hosts: Vec<HostRule>,
    /// Honour `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`.
    pub proxy_from_env: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            insecure_tls: false,
            extra_roots: None,
            client_identity: None,
            dns_fresh: false,
            hosts: Vec::new(),
            proxy_from_env: false,
        }
    }
}
