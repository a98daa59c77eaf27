//! `/api/v1/events`: Server-Sent Events, one for each snapshot.
//!
//! An event is rendered once and shared by all who listen. A client takes the next one when it has room for it, and whatever came meanwhile is
//! passed over for the newest, so that a slow client costs nothing. What keeps proxies and the connection's own watch from taking a quiet
//! stream for a dead one is a comment every few seconds. The stream ends with the server.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use hyper::body::Frame;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::super::documents::Document;
use super::super::reply::problem;
use super::super::routes::Api;
use crate::stats::snapshot::Snapshot;

/// Answers with the stream.
pub(super) async fn events(State(api): State<Arc<Api>>) -> Response {
    let Ok(place) = Arc::clone(&api.streams).try_acquire_owned() else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "too many clients listen to events; api/v1/snapshot says the same once");
    };
    let feed = Feed {
        snapshots: api.context.handle.snapshots(),
        ending: api.ending.clone(),
        // Well within the limit of a connection that says nothing.
        heartbeat: HEARTBEAT.min(api.context.limits.idle / 3),
        has_begun: false,
        api,
        _place: place,
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        // nginx hands on what comes at once.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (headers, Body::new(Events { next: Some(feed.step()) })).into_response()
}

/// One client's view of the run.
struct Feed {
    api: Arc<Api>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    ending: watch::Receiver<bool>,
    heartbeat: Duration,
    has_begun: bool,
    _place: OwnedSemaphorePermit,
}

impl Feed {
    fn step(mut self) -> Step {
        Box::pin(async move { self.next().await.map(|bytes| (bytes, self)) })
    }

    /// What is to be sent next; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if !self.has_begun {
            self.has_begun = true;
            self.snapshots.mark_changed();
            return Some(Bytes::from_static(GREETING));
        }
        let ending = async { drop(self.ending.wait_for(|ending| *ending).await) };
        tokio::select! {
            biased;
            () = ending => None,
            changed = self.snapshots.changed() => {
                changed.ok()?;
                self.api.bytes(Document::Event).await.ok()
            }
            () = tokio::time::sleep(self.heartbeat) => Some(Bytes::from_static(COMMENT)),
        }
    }
}

type Step = Pin<Box<dyn Future<Output = Option<(Bytes, Feed)>> + Send>>;

/// The stream as a body. Nothing is made before the connection asks for it.
struct Events {
    /// `None` after the end.
    next: Option<Step>,
}

impl hyper::body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(step) = &mut self.next else { return Poll::Ready(None) };
        let Some((bytes, feed)) = ready!(step.as_mut().poll(cx)) else {
            self.next = None;
            return Poll::Ready(None);
        };
        self.next = Some(feed.step());
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}

/// How soon a browser comes back, in milliseconds.
const GREETING: &[u8] = b"retry: 2000\n\n";
const COMMENT: &[u8] = b":\n\n";
const HEARTBEAT: Duration = Duration::from_secs(15);
