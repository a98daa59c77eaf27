//! How a command reaches a master afar.

use std::sync::Arc;

use super::failure::Failure;
use crate::config::Settings;
use crate::front::client::ClientOptions;
use crate::protocol::http;

pub(super) fn options(settings: &Settings) -> Result<ClientOptions, Failure> {
    let trust =
        http::Settings { insecure_tls: settings.run.insecure_tls, extra_roots: settings.extra_roots.clone(), ..http::Settings::default() };
    let tls = http::tls_client(&trust).map_err(|why| Failure::bad_use(anyhow::anyhow!(why)))?;
    Ok(ClientOptions {
        url: settings.master_url().to_owned(),
        token: settings.web_token.as_ref().map(|token| token.reveal().to_owned()),
        tls: Some(Arc::unwrap_or_clone(tls)),
        uses_proxy: settings.run.proxy_from_env,
    })
}
