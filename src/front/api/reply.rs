//! Replies: JSON, files, plain words, and problems (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use serde_json::json;

/// Text of a media type.
pub(super) fn text(kind: &'static str, body: impl Into<Bytes>) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(kind))], body.into()).into_response()
}

/// An object as compact JSON.
pub(super) fn json(value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(body) => text(JSON, body),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &format!("the answer cannot be written as JSON: {error}")),
    }
}

/// Locust's answer that something is not done: success to HTTP, a refusal to people.
pub(super) fn refusal(style: Style, message: &str) -> Response {
    let message = json!(message);
    match style {
        Style::Spaced => text(JSON, format!("{{\"success\": false, \"message\": {message}}}")),
        Style::Compact => text(JSON, format!("{{\"success\":false,\"message\":{message}}}")),
    }
}

/// How the JSON of a reply is written: pipelines compare it as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Of Locust 0.8.1.
    Spaced,
    /// Of Locust 2.
    Compact,
}

/// A problem document; `detail` is for people.
pub(super) fn problem(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or("Error");
    let body = json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail });
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))], body.to_string()).into_response()
}

pub(super) const JSON: &str = "application/json";
pub(super) const CSV: &str = "text/csv; charset=utf-8";
pub(super) const PLAIN: &str = "text/plain; charset=utf-8";
pub(super) const HTML: &str = "text/html; charset=utf-8";
