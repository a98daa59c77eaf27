//! What the demo shop's answers are made of: bodies, whole or piece by piece, and refusals; what a request has in its head and its form.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Response, StatusCode};
use serde_json::{Value, json};

use super::state::{Session, Shop};

/// An answer, or the answer to a request that is wrong in itself.
pub(super) type Routed = Result<Response<Answer>, Refusal>;

/// Boxed, because the good way shall not carry the room that the bad one needs.
pub(super) type Refusal = Box<Response<Answer>>;

/// Refuses all methods but `methods`, and answers OPTIONS; both with the list.
pub(super) fn only(head: &Parts, allow: &'static str, methods: &[Method]) -> Result<(), Refusal> {
    if methods.contains(&head.method) {
        return Ok(());
    }
    let answer = if head.method == Method::OPTIONS {
        plain(StatusCode::NO_CONTENT, Answer::empty())
    } else {
        problem(StatusCode::METHOD_NOT_ALLOWED, &format!("`{}` takes {allow}", head.uri.path()))
    };
    Err(Box::new(with_header(answer, ALLOW, HeaderValue::from_static(allow))))
}

/// Runs `act` with the session that the request's bearer token or cookie names, or answers 401.
pub(super) fn with_session(shop: &Shop, headers: &HeaderMap, act: impl FnOnce(&mut Session) -> Response<Answer>) -> Routed {
    let mut sessions = shop.sessions();
    let session = bearer(headers).into_iter().chain(session_cookie(headers));
    for token in session {
        if let Some(session) = sessions.find(token, Instant::now()) {
            return Ok(act(session));
        }
    }
    Err(refusal(StatusCode::UNAUTHORIZED, "log in first: POST /login gives a token and a cookie"))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn session_cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|line| line.split(';')).find_map(|pair| pair.trim().strip_prefix("session="))
}

/// One field of a JSON object or a form, as text.
pub(super) fn field(headers: &HeaderMap, body: &[u8], name: &str) -> Option<String> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if content_type.starts_with("application/x-www-form-urlencoded") {
        return url::form_urlencoded::parse(body).find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    }
    match serde_json::from_slice::<Value>(body).ok()?.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The number in a path, at most `limit`.
pub(super) fn number(text: &str, limit: u64, unit: &str) -> Result<u64, Refusal> {
    let number = text.parse().ok().filter(|number| *number <= limit);
    number.ok_or_else(|| refusal(StatusCode::BAD_REQUEST, &format!("`{text}` is not a number from 0 to {limit} ({unit})")))
}

pub(super) fn refusal(status: StatusCode, message: &str) -> Refusal {
    Box::new(problem(status, message))
}

pub(super) fn problem(status: StatusCode, message: &str) -> Response<Answer> {
    json_value(status, &json!({ "error": message }))
}

pub(super) fn json_value(status: StatusCode, value: &Value) -> Response<Answer> {
    json_bytes(status, Bytes::from(value.to_string()))
}

pub(super) fn json_bytes(status: StatusCode, text: Bytes) -> Response<Answer> {
    typed(status, "application/json", Answer::whole(text))
}

pub(super) fn typed(status: StatusCode, content_type: &'static str, body: Answer) -> Response<Answer> {
    with_header(plain(status, body), CONTENT_TYPE, HeaderValue::from_static(content_type))
}

pub(super) fn plain(status: StatusCode, body: Answer) -> Response<Answer> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

pub(super) fn with_header(mut response: Response<Answer>, name: HeaderName, value: HeaderValue) -> Response<Answer> {
    response.headers_mut().insert(name, value);
    response
}

/// The body of an answer.
#[derive(Debug)]
pub(super) enum Answer {
    /// In one piece, with its length in the head.
    Whole(Option<Bytes>),
    /// `left` bytes, made of `piece` over and over, with their number in the head.
    Repeated { piece: Bytes, left: u64 },
    /// Of a length that the head does not say, so it goes out chunked.
    Pieces(VecDeque<Bytes>),
}

impl Answer {
    pub(super) fn empty() -> Self {
        Self::Whole(None)
    }

    pub(super) fn whole(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes))
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = match &mut *self {
            Self::Whole(bytes) => bytes.take(),
            Self::Repeated { left: 0, .. } => None,
            Self::Repeated { piece, left } => {
                let length = usize::try_from(*left).unwrap_or(usize::MAX).min(piece.len());
                *left -= length as u64;
                Some(piece.slice(..length))
            }
            Self::Pieces(pieces) => pieces.pop_front(),
        };
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Repeated { left, .. } => *left == 0,
            Self::Pieces(pieces) => pieces.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Repeated { left, .. } => SizeHint::with_exact(*left),
            Self::Pieces(_) => SizeHint::default(),
        }
    }
}
