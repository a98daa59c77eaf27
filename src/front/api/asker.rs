//! Who asks for a change of the run, and whether it is really they: a load generator is a weapon, and a page of another site must not pull
//! its trigger through somebody's browser.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::{self, HeaderMap, HeaderName};
use axum::http::request::Parts;
use axum::http::{Method, Request, StatusCode, Uri, Version};
use axum::response::{IntoResponse as _, Response};

use super::reply::problem;
use crate::front::text;

/// Where a connection comes from; the server puts it into each request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub SocketAddr);

/// The names under which a browser on this machine may see and change the run, besides this machine's own; `None` where any name may.
///
/// Without a token a loopback address is kept by nothing but the browser's rule that a page reaches its own site alone, and a site chooses
/// where its name leads (DNS rebinding). What the browser asks for is still in `Host`.
#[derive(Debug, Clone)]
pub(super) struct OwnNames(pub Option<Arc<[String]>>);

impl OwnNames {
    /// Why a request that asks for another name is refused, if it is: the page of another site could read what it is answered.
    pub fn refuse(&self, headers: &HeaderMap, uri: &Uri) -> Option<String> {
        strange_name(self.0.as_deref()?, headers, uri)
    }
}

/// What is wrong with a request's own words about where it goes and where it ends: programs read such ones in more than one way.
pub(super) fn flaw<B>(request: &Request<B>, is_ambiguous: bool) -> Option<&'static str> {
    let headers = request.headers();
    let hosts = headers.get_all(header::HOST).iter().count();
    if request.version() == Version::HTTP_11 && hosts == 0 {
        return Some("the request says no Host");
    }
    if hosts > 1 {
        return Some("the request says Host more than once");
    }
    is_ambiguous.then_some("the request says both Content-Length and Transfer-Encoding")
}

/// Somebody who may change the run. A handler that takes one has refused other sites' requests before it runs.
#[derive(Debug)]
pub(super) struct Asker {
    /// The peer's address, and for whom a proxy says that it asks.
    pub by: String,
}

impl<S: Sync> FromRequestParts<S> for Asker {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        let by = parts.extensions.get::<Peer>().map_or_else(|| "an unknown address".to_owned(), |peer| named(*peer, &parts.headers));
        // Routers take HEAD for GET; whoever only looks whether a page is there must not stop a run.
        if parts.method == Method::HEAD {
            return Err(([(header::ALLOW, "GET,POST")], problem(StatusCode::METHOD_NOT_ALLOWED, "HEAD changes nothing")).into_response());
        }
        if let Some(reason) = foreign(&parts.method, &parts.headers, &parts.uri) {
            log::warn!("refused {} {} of {by}: {reason}", parts.method, text::escape(parts.uri.path()));
            return Err(problem(StatusCode::FORBIDDEN, &reason));
        }
        Ok(Self { by })
    }
}

/// `ADDRESS`, or `ADDRESS for CLIENT` behind a proxy. The client is the proxy's word, or the client's own.
pub(super) fn named(peer: Peer, headers: &HeaderMap) -> String {
    match forwarded_for(headers) {
        Some(client) => format!("{} for {}", peer.0, text::shorten(&text::escape(client), CLIENT_COLUMNS)),
        None => peer.0.to_string(),
    }
}

/// For whom proxies say that they ask, the nearest one last.
pub(super) fn forwarded_for(headers: &HeaderMap) -> Option<&str> {
    value(headers, &FORWARDED_FOR).filter(|clients| !clients.is_empty())
}

/// Why a request is not the person's own, if it is not.
///
/// Browsers say so by themselves and let no page change what they say. Programs such as curl say nothing, and are believed.
pub(super) fn foreign(method: &Method, headers: &HeaderMap, uri: &Uri) -> Option<String> {
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
    let said = [header::ORIGIN, header::REFERER].into_iter().find_map(|name| Some((name.clone(), headers.get(&name)?)));
    let Some((name, origin)) = said else {
        // An image of another site may ask for any address, and the site may have the browser keep silent about itself.
        let is_browser = value(headers, &header::USER_AGENT).is_some_and(|agent| agent.starts_with("Mozilla/"));
        let reason = "a browser that does not say from which page it asks changes nothing by GET; use the page, or POST";
        return (is_browser && *method == Method::GET).then(|| reason.to_owned());
    };
    let authority = origin.to_str().ok().and_then(|url| url.parse::<Uri>().ok()).and_then(|url| url.authority().cloned());
    let own = [value(headers, &header::HOST), value(headers, &FORWARDED_HOST), uri.authority().map(|authority| authority.as_str())];
    if authority.is_some_and(|authority| own.into_iter().flatten().any(|host| host.eq_ignore_ascii_case(authority.as_str()))) {
        return None;
    }
    let origin = String::from_utf8_lossy(origin.as_bytes()).into_owned();
    let own = own.into_iter().flatten().next().unwrap_or_default();
    let (origin, own) = (text::escape(&origin), text::escape(own));
    Some(format!(
        "the request comes from another site ({name}: {origin}) than this one ({own}); a proxy must pass Host, or X-Forwarded-Host, with its port"
    ))
}

/// Why a request that asks for another name than those of this machine is refused, if it does.
fn strange_name(names: &[String], headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let host = uri.authority().map(|authority| authority.as_str()).or_else(|| value(headers, &header::HOST))?.to_ascii_lowercase();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => &host,
    };
    let address: Option<IpAddr> = name.trim_start_matches('[').trim_end_matches(']').parse().ok();
    let is_own = name == "localhost" || address.is_some_and(|address| address.to_canonical().is_loopback());
    if is_own || names.iter().any(|own| *own == host || own == name) {
        return None;
    }
    let host = text::escape(&host);
    Some(format!(
        "the run is shown and changed here under this machine's own names alone, such as localhost, and not under `{host}`: a page of another site could \
         stand behind that. --web-host {host} takes it, and so does any name where a token is wanted (--web-token-file)"
    ))
}

pub(super) fn value<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

pub(super) const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
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
        foreign(&Method::POST, &headers(lines), &Uri::from_static("/swarm")).is_some()
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
    fn an_image_of_another_site_that_keeps_silent_changes_nothing() {
        let by = |method, agent| foreign(&method, &headers(&[("host", "a"), ("user-agent", agent)]), &Uri::from_static("/stop")).is_some();
        assert!(by(Method::GET, "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"));
        assert!(!by(Method::GET, "curl/8.0") && !by(Method::GET, "python-requests/2.31") && !by(Method::POST, "Mozilla/5.0"));
    }

    #[test]
    fn on_a_loopback_address_only_own_names_change_the_run() {
        let names = ["load.example".to_owned(), "other.example:8443".to_owned()];
        let is_strange = |host| strange_name(&names, &headers(&[("host", host)]), &Uri::from_static("/swarm")).is_some();
        for own in [
            "localhost",
            "LOCALHOST:8089",
            "127.0.0.1:8089",
            "127.8.0.1",
            "[::1]:8089",
            "load.example",
            "load.example:80",
            "other.example:8443",
        ] {
            assert!(!is_strange(own), "{own}");
        }
        for strange in
            ["evil.example", "evil.example:8089", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "other.example", ""]
        {
            assert!(is_strange(strange), "{strange}");
        }
        assert!(strange_name(&names, &headers(&[]), &Uri::from_static("http://evil.example/swarm")).is_some());
    }

    #[test]
    fn a_client_behind_a_proxy_is_named_after_it_and_cannot_forge_a_line() {
        let peer = Peer("10.0.0.1:5".parse().unwrap());
        assert_eq!(named(peer, &headers(&[])), "10.0.0.1:5");
        assert_eq!(named(peer, &headers(&[("x-forwarded-for", "192.0.2.1, 10.0.0.9")])), "10.0.0.1:5 for 192.0.2.1, 10.0.0.9");
        assert_eq!(named(peer, &headers(&[("x-forwarded-for", "a\tb")])), "10.0.0.1:5 for a\\tb");
    }
}
