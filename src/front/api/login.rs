//! The way in where a token keeps the API: a form for browsers, a header for programs. Probes come in without.
//!
//! The cookie names no path: browsers then take the folder of the page that set it, which is the API's own under every prefix, also under
//! those that a proxy takes away without a word.

use std::time::{Instant, SystemTime};

use axum::body::Body;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, Request, StatusCode};
use axum::response::{IntoResponse as _, Response};

use super::asker::{self, Peer};
use super::path::{plain_prefix, relative};
use super::reply::{HTML, problem, text};
use super::token::{COOKIE_NAME, Gate, Judgement, SESSION};
use super::{Limits, form};
use crate::front::page as forms;

/// Routes after health, which everybody may ask, by whatever name.
pub(super) fn is_probe(route: &str) -> bool {
    matches!(route, "/healthz" | "/readyz")
}

/// Answers in the place of the routes: lets somebody in, or turns him away. `Err` gives the request back, which may go on.
pub(super) async fn receive(gate: &Gate, request: Request<Body>, call: &Call<'_>) -> Result<Response, Request<Body>> {
    if is_probe(call.route) {
        return Err(request);
    }
    if matches!(call.route, "/login" | "/logout") && request.uri().path().ends_with('/') {
        // The form's own address, and the folder of its cookie, hold without the slash alone.
        return Ok(to(StatusCode::PERMANENT_REDIRECT, &relative(call.route, request.uri().path(), &call.route[1..])));
    }
    match (call.route, request.method()) {
        ("/login", &Method::GET | &Method::HEAD) => Ok(page(StatusCode::OK, "")),
        ("/login", &Method::POST) => Ok(log_in(gate, request, call).await),
        ("/logout", &Method::POST) => Ok(log_out(&request, call)),
        ("/login", _) => Ok(wrong_method("GET,HEAD,POST")),
        ("/logout", _) => Ok(wrong_method("POST")),
        _ => match gate.judge(request.headers(), call.peer.0.ip(), Instant::now(), SystemTime::now()) {
            Judgement::Known => Err(request),
            judgement => Ok(turn_away(judgement, &request, call)),
        },
    }
}

/// What is known of a request besides what it says itself.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub peer: Peer,
    /// The connection is TLS.
    pub is_secure: bool,
    /// The route in the request's path.
    pub route: &'a str,
    pub limits: &'a Limits,
}

async fn log_in(gate: &Gate, request: Request<Body>, call: &Call<'_>) -> Response {
    let headers = request.headers().clone();
    // Wrong guesses from another site's page would shut the person out whose browser makes them.
    if asker::value(&headers, &asker::SEC_FETCH_SITE).is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return problem(StatusCode::FORBIDDEN, "the request comes from another site: log in from this one's own form");
    }
    let by = asker::named(call.peer, &headers);
    let parameters = match form::parameters(request, call.limits).await {
        Ok(parameters) => parameters,
        Err(unreadable) => return unreadable.into_response(),
    };
    let token = parameters.iter().find(|(name, _)| name == "token").map_or("", |(_, value)| value.trim());
    match gate.guess(token.as_bytes(), &headers, call.peer.0.ip(), Instant::now()) {
        Judgement::Known => {
            log::info!("{by} has logged in");
            let is_secure = call.is_secure || asker::value(&headers, &FORWARDED_PROTO).is_some_and(|scheme| scheme == "https");
            with_cookie(to(StatusCode::SEE_OTHER, "./"), &gate.session(SystemTime::now()), SESSION.as_secs(), is_secure)
        }
        judgement => {
            let (status, words) = refuse(judgement, &by);
            let mut response = if wants_html(&headers) { page(status, &words) } else { problem(status, &words) };
            mark(&mut response, judgement);
            response
        }
    }
}

fn log_out(request: &Request<Body>, call: &Call<'_>) -> Response {
    if let Some(reason) = asker::foreign(request.method(), request.headers(), request.uri()) {
        return problem(StatusCode::FORBIDDEN, &reason);
    }
    log::info!("{} has logged out", asker::named(call.peer, request.headers()));
    with_cookie(to(StatusCode::SEE_OTHER, "login"), "", 0, call.is_secure)
}

/// A person is shown the way to the form; a program is told what is wanted.
fn turn_away(judgement: Judgement, request: &Request<Body>, call: &Call<'_>) -> Response {
    let headers = request.headers();
    let is_visit = matches!(*request.method(), Method::GET | Method::HEAD) && wants_html(headers);
    if judgement == Judgement::Unknown && is_visit {
        let known = asker::value(headers, &FORWARDED_PREFIX).and_then(plain_prefix).filter(|_| call.route == "/");
        let place = known.map_or_else(|| relative(call.route, request.uri().path(), "login"), |prefix| format!("{prefix}/login"));
        return to(StatusCode::SEE_OTHER, &place);
    }
    let (status, words) = refuse(judgement, &asker::named(call.peer, headers));
    let mut response = problem(status, &words);
    mark(&mut response, judgement);
    response
}

/// What somebody is told, and the log with it where it was a guess.
fn refuse(judgement: Judgement, by: &str) -> (StatusCode, String) {
    match judgement {
        Judgement::TooOften(wait) => {
            let seconds = wait.as_secs() + 1;
            (StatusCode::TOO_MANY_REQUESTS, format!("too many wrong tokens came from here; try again in {seconds} s"))
        }
        Judgement::Wrong => {
            log::warn!("a wrong token came from {by}");
            (StatusCode::UNAUTHORIZED, "the token is wrong".to_owned())
        }
        Judgement::Unknown | Judgement::Known => {
            (StatusCode::UNAUTHORIZED, "a token is wanted here: send `Authorization: Bearer TOKEN`, or log in with a browser".to_owned())
        }
    }
}

fn mark(response: &mut Response, judgement: Judgement) {
    let headers = response.headers_mut();
    match judgement {
        Judgement::TooOften(wait) => headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1)),
        Judgement::Known | Judgement::Unknown | Judgement::Wrong => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"lunamoth\""))
        }
    };
}

fn with_cookie(mut response: Response, value: &str, seconds: u64, is_secure: bool) -> Response {
    let secure = if is_secure { "; Secure" } else { "" };
    let cookie = format!("{COOKIE_NAME}={value}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    let cookie = HeaderValue::try_from(cookie).expect("a session is hexadecimal digits and a point");
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    response
}

fn wants_html(headers: &HeaderMap) -> bool {
    asker::value(headers, &header::ACCEPT).is_some_and(|kinds| kinds.contains("text/html"))
}

fn to(status: StatusCode, place: &str) -> Response {
    match HeaderValue::from_str(place) {
        Ok(place) => (status, [(header::LOCATION, place)]).into_response(),
        Err(_) => problem(StatusCode::BAD_REQUEST, "the request's path cannot be read"),
    }
}

fn wrong_method(allowed: &'static str) -> Response {
    let words = "the header Allow says what this route takes";
    ([(header::ALLOW, allowed)], problem(StatusCode::METHOD_NOT_ALLOWED, words)).into_response()
}

/// The form, and what was wrong with what came from it; `words` are ours alone.
fn page(status: StatusCode, words: &str) -> Response {
    let mut response = text(HTML, forms::login(words));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(forms::login_rules()));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
