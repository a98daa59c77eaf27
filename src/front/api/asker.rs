//! Who asks for a change of the run, and whether it is really they: a load generator is a weapon, and a page of another site must not pull
//! its trigger through somebody's browser.

use std::net::SocketAddr;

use axum::extract::FromRequestParts;
use axum::http::header::{self, HeaderMap, HeaderName};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};

use super::reply::problem;
use crate::front::text;

/// Where a connection comes from; the server puts it into each request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub SocketAddr);

/// Somebody who may change the run. A handler that takes one has refused other sites' requests before it runs.
#[derive(Debug)]
pub(super) struct Asker {
    /// The peer's address, and for whom a proxy says that it asks.
    pub by: String,
}

impl<S: Sync> FromRequestParts<S> for Asker {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let peer = parts.extensions.get::<Peer>().map_or_else(|| "an unknown address".to_owned(), |peer| peer.0.to_string());
        let by = named(&peer, &parts.headers);
        // Routers take HEAD for GET; whoever only looks whether a page is there must not stop a run.
        if parts.method == Method::HEAD {
            return Err(([(header::ALLOW, "GET,POST")], problem(StatusCode::METHOD_NOT_ALLOWED, "HEAD changes nothing")).into_response());
        }
        if let Some(reason) = foreign(&parts.headers, &parts.uri) {
            log::warn!("refused {} {} of {by}: {reason}", parts.method, text::escape(parts.uri.path()));
            return Err(problem(StatusCode::FORBIDDEN, &reason));
        }
        Ok(Self { by })
    }
}

/// `ADDRESS`, or `ADDRESS for CLIENT` behind a proxy. The client is the proxy's word, or the client's own.
fn named(peer: &str, headers: &HeaderMap) -> String {
    match value(headers, &FORWARDED_FOR) {
        Some(client) if !client.is_empty() => format!("{peer} for {}", text::shorten(&text::escape(client), CLIENT_COLUMNS)),
        _ => peer.to_owned(),
    }
}

/// Why a request is not the person's own, if it is not.
///
/// Browsers say so by themselves and let no page change what they say. Programs such as curl say nothing, and are believed.
fn foreign(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    for name in [&SEC_PURPOSE, &PURPOSE, &MOZ] {
        if value(headers, name).is_some_and(|purpose| purpose.contains("prefetch") || purpose.contains("preview")) {
            return Some("a browser's prefetch changes nothing".to_owned());
        }
    }
    match value(headers, &SEC_FETCH_SITE) {
        Some("same-origin" | "none") => return None,
        Some(site) => return Some(format!("the request comes from another site (Sec-Fetch-Site: {})", text::escape(site))),
        None => {}
    }
    let (name, origin) = [header::ORIGIN, header::REFERER].into_iter().find_map(|name| Some((name.clone(), headers.get(&name)?)))?;
    let authority = origin.to_str().ok().and_then(|url| url.parse::<Uri>().ok()).and_then(|url| url.authority().cloned());
    let own = [value(headers, &header::HOST), value(headers, &FORWARDED_HOST), uri.authority().map(|authority| authority.as_str())];
    if authority.is_some_and(|authority| own.into_iter().flatten().any(|host| host.eq_ignore_ascii_case(authority.as_str()))) {
        return None;
    }
    let origin = String::from_utf8_lossy(origin.as_bytes()).into_owned();
    Some(format!("the request comes from another site ({name}: {})", text::escape(&origin)))
}

fn value<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_PURPOSE: HeaderName = HeaderName::from_static("sec-purpose");
const PURPOSE: HeaderName = HeaderName::from_static("purpose");
/// What Firefox sent before it knew `Sec-Purpose`.
const MOZ: HeaderName = HeaderName::from_static("x-moz");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// No page can set it without asking this server first (CORS), which does not answer such questions.
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

const CLIENT_COLUMNS: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn is_foreign(lines: &[(&'static str, &'static str)]) -> bool {
        foreign(&headers(lines), &Uri::from_static("/swarm")).is_some()
    }

    #[test]
    fn programs_and_the_own_page_may_change_the_run() {
        for own in [
            &[("host", "a:8089")][..],
            &[("host", "a:8089"), ("origin", "http://a:8089")],
            &[("host", "a:8089"), ("origin", "http://A:8089")],
            &[("host", "inner:80"), ("x-forwarded-host", "a"), ("origin", "https://a")],
            &[("host", "inner:80"), ("sec-fetch-site", "same-origin"), ("origin", "https://a")],
            &[("host", "a"), ("sec-fetch-site", "none")],
            &[("host", "a"), ("referer", "http://a/locust/?x")],
        ] {
            assert!(!is_foreign(own), "{own:?}");
        }
    }

    #[test]
    fn other_sites_and_prefetches_may_not() {
        for foreign in [
            &[("host", "a"), ("sec-fetch-site", "cross-site")][..],
            &[("host", "a"), ("sec-fetch-site", "same-site"), ("origin", "http://a")],
            &[("host", "a:8089"), ("origin", "http://a")],
            &[("host", "a"), ("origin", "null")],
            &[("host", "a"), ("origin", "http://evil.example"), ("referer", "http://a/")],
            &[("host", "a"), ("referer", "http://evil.example/a")],
            &[("host", "a"), ("sec-fetch-site", "none"), ("sec-purpose", "prefetch;prerender")],
            &[("host", "a"), ("purpose", "prefetch")],
        ] {
            assert!(is_foreign(foreign), "{foreign:?}");
        }
    }

    #[test]
    fn a_client_behind_a_proxy_is_named_after_it_and_cannot_forge_a_line() {
        assert_eq!(named("10.0.0.1:5", &headers(&[])), "10.0.0.1:5");
        assert_eq!(named("10.0.0.1:5", &headers(&[("x-forwarded-for", "192.0.2.1, 10.0.0.9")])), "10.0.0.1:5 for 192.0.2.1, 10.0.0.9");
        assert_eq!(named("p", &headers(&[("x-forwarded-for", "a\tb")])), "p for a\\tb");
    }
}
