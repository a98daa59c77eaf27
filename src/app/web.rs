//! The page and the API as settings want them, of a run and of a master alike.

use super::failure::Failure;
use crate::cluster::handle::MasterHandle;
use crate::config::{Settings, arrival_rate, parse_duration};
use crate::front::api::{Access, ApiContext, Limits, TlsFiles};

/// `hosts` are those that a start may name; `workers_port` is where workers come in, of a master.
pub(super) fn api_context(
    settings: &Settings,
    handle: MasterHandle,
    hosts: Vec<String>,
    workers_port: Option<u16>,
) -> Result<ApiContext, Failure> {
    let tls = settings.web_tls().map_err(Failure::bad_use)?;
    Ok(ApiContext {
        handle,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        path_prefix: settings.path_prefix.clone(),
        kept_reports: settings.state.clone(),
        hosts,
        workers_port,
        read_run_time: parse_duration,
        read_rate: arrival_rate,
        access: Access {
            token: settings.web_token.as_ref().map(|token| token.reveal().to_owned()),
            tls: tls.map(|(certificate, key)| TlsFiles { certificate: certificate.to_owned(), key: key.to_owned() }),
            names: settings.web_host.clone(),
        },
        limits: Limits::default(),
    })
}
