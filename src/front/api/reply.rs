//! Replies: JSON, files, plain words, and problems (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use serde_json::json;

use crate::front::snapshot_json::ProblemJson;

/// Text of a media type.
pub(super) fn text(kind: &'static str, body: impl Into<Bytes>) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], body.into()).into_response()
}

/// An object as compact JSON.
pub(super) fn json(value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(body) => text(JSON, body),
        Err(error) => {
            log::error!("an answer of the web monitor cannot be written as JSON: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Locust 0.8.1's answer that something is not done: success to HTTP, a refusal to people.
pub(super) fn refusal(message: &str) -> Response {
    text(JSON, format!("{{\"success\": false, \"message\": {}}}", json!(message)))
}

/// How the JSON of a reply is written: pipelines compare it as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// With spaces, as Locust 0.8.1 wrote it.
    Spaced,
    /// Without spaces, as Locust 2 writes it.
    Compact,
}

/// A problem document; `detail` is for people.
pub(super) fn problem(status: StatusCode, detail: &str) -> Response {
    problem_of(status, None, detail)
}

/// A problem document that names the parameter at fault.
pub(super) fn problem_of(status: StatusCode, field: Option<&str>, detail: &str) -> Response {
    let problem = ProblemJson {
        kind: "about:blank".to_owned(),
        title: status.canonical_reason().unwrap_or("Error").to_owned(),
        status: status.as_u16(),
        detail: detail.to_owned(),
        field: field.map(str::to_owned),
    };
    let mut response = json(&problem);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
    response
}

pub(super) const JSON: &str = "application/json";
pub(super) const PROBLEM: &str = "application/problem+json";
pub(super) const CSV: &str = "text/csv; charset=utf-8";
pub(super) const PLAIN: &str = "text/plain; charset=utf-8";
pub(super) const HTML: &str = "text/html; charset=utf-8";
