//! The parameters of a request, whichever way they come: in the query, as a form, as `multipart/form-data`, as JSON.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Form, FromRequest as _, Multipart, Query, Request};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use serde_json::Value;

use super::Limits;
use super::reply::problem;

/// Names and values as they came; a name may come several times. Empty values are what an empty field of a page sends, and left out.
pub(super) type Parameters = Vec<(String, String)>;

/// Reads all parameters of a request.
///
/// # Errors
/// The body is too large, too slow, torn, or of a kind that is not known.
pub(super) async fn parameters(request: Request, limits: &Limits) -> Result<Parameters, Unreadable> {
    let (parts, body) = request.into_parts();
    let body = collect(body, limits).await?;
    let query = query(&parts.uri)?;
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let request = |body: Bytes| Request::from_parts(parts.clone(), Body::from(body));
    let fields = match &*essence {
        _ if body.is_empty() => Parameters::new(),
        "application/x-www-form-urlencoded" => {
            Form::<Parameters>::from_request(request(body), &()).await.map_err(|error| bad(&format!("the form cannot be read: {error}")))?.0
        }
        "multipart/form-data" => multipart(request(body)).await?,
        "application/json" => json(&body)?,
        _ => {
            let known = "application/x-www-form-urlencoded, multipart/form-data, application/json";
            let detail = format!("the body's Content-Type is none of {known}");
            return Err(Unreadable { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, detail });
        }
    };
    Ok(query.into_iter().chain(fields).filter(|(_, value)| !value.trim().is_empty()).collect())
}

/// The parameters of a request's address, empty ones too.
///
/// # Errors
/// It cannot be read.
pub(super) fn query(uri: &Uri) -> Result<Parameters, Unreadable> {
    Query::<Parameters>::try_from_uri(uri).map(|query| query.0).map_err(|error| bad(&format!("the query cannot be read: {error}")))
}

/// Why a request's parameters cannot be read.
#[derive(Debug)]
pub(super) struct Unreadable {
    pub status: StatusCode,
    pub detail: String,
}

impl IntoResponse for Unreadable {
    fn into_response(self) -> Response {
        problem(self.status, &self.detail)
    }
}

/// Takes the rest of a body from a client and throws it away, so that the client is not cut off before it has read the answer. Not for longer
/// than `time`.
pub(super) fn drain(mut body: Body, time: Duration) {
    tokio::spawn(tokio::time::timeout(time, async move { while let Some(Ok(_)) = body.frame().await {} }));
}

/// That a body is larger than it may be.
pub(super) fn too_large(limits: &Limits) -> Unreadable {
    Unreadable { status: StatusCode::PAYLOAD_TOO_LARGE, detail: format!("a body has {} bytes at most", limits.body_bytes) }
}

/// The whole body.
///
/// # Errors
/// It is too large, too slow, or torn.
pub(super) async fn collect(mut body: Body, limits: &Limits) -> Result<Bytes, Unreadable> {
    let mut whole = BytesMut::new();
    let arrive = async {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| bad(&format!("the body broke off: {error}")))?;
            let Ok(bytes) = frame.into_data() else { continue };
            if whole.len() + bytes.len() > limits.body_bytes {
                return Err(too_large(limits));
            }
            whole.extend_from_slice(&bytes);
        }
        Ok(())
    };
    match tokio::time::timeout(limits.arrival, arrive).await {
        Ok(Ok(())) => Ok(whole.freeze()),
        Ok(Err(unreadable)) => {
            drain(body, limits.arrival);
            Err(unreadable)
        }
        Err(_) => Err(Unreadable { status: StatusCode::REQUEST_TIMEOUT, detail: "the body took too long".to_owned() }),
    }
}

async fn multipart(request: Request) -> Result<Parameters, Unreadable> {
    let torn = |error: &dyn std::fmt::Display| bad(&format!("the multipart body cannot be read: {error}"));
    let mut multipart = Multipart::from_request(request, &()).await.map_err(|error| torn(&error.body_text()))?;
    let mut fields = Parameters::new();
    while let Some(field) = multipart.next_field().await.map_err(|error| torn(&error.body_text()))? {
        let name = field.name().unwrap_or_default().to_owned();
        let value = field.text().await.map_err(|error| torn(&error.body_text()))?;
        fields.push((name, value));
    }
    Ok(fields)
}

fn json(body: &[u8]) -> Result<Parameters, Unreadable> {
    let value: Value = serde_json::from_slice(body).map_err(|error| bad(&format!("the body is not JSON: {error}")))?;
    let Value::Object(object) = value else { return Err(bad("the body is not a JSON object")) };
    let mut fields = Parameters::new();
    for (name, value) in object {
        let values = if let Value::Array(values) = value { values } else { vec![value] };
        for value in values {
            let text = match value {
                Value::Null => continue,
                Value::String(text) => text,
                Value::Number(number) => number.to_string(),
                Value::Bool(flag) => flag.to_string(),
                Value::Array(_) | Value::Object(_) => return Err(bad(&format!("{name}: neither a text nor a number"))),
            };
            fields.push((name.clone(), text));
        }
    }
    Ok(fields)
}

fn bad(detail: &str) -> Unreadable {
    Unreadable { status: StatusCode::BAD_REQUEST, detail: detail.to_owned() }
}
