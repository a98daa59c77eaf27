//! `/api/v1/events`: Server-Sent Events, one for each snapshot and one for each line of the log from the beginning of the stream on.
//!
//! A snapshot's event is rendered once and shared by all who listen. A client takes the next one when it has room for it, and whatever came meanwhile is
//! passed over for the newest, so that a slow client costs nothing. Of lines it gets as many as the master keeps. What keeps proxies and the connection's own watch from taking a quiet
//! stream for a dead one is a comment every few seconds. The stream ends with the server. Whoever reads gzip gets it packed.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use hyper::body::Frame;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

use super::super::documents::Document;
use super::super::packing;
use super::super::reply::problem;
use crate::cluster::logs::LogEntry;
use crate::front::api::shared::Api;
use crate::front::snapshot_json::LogLineJson;
use crate::stats::snapshot::Snapshot;

/// Answers with the stream.
pub(super) async fn events(State(api): State<Arc<Api>>, asked: HeaderMap) -> Response {
    let turn = api.open_streams() / AT_ONCE % TURNS;
    let Ok(place) = Arc::clone(&api.streams).try_acquire_owned() else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "too many clients listen to events; api/v1/snapshot says the same once");
    };
    let is_packed = packing::is_read_by(&asked);
    let feed = Feed {
        is_packed,
        snapshots: api.context.handle.snapshots(),
        is_last: false,
        ending: api.ending.clone(),
        // Well within the limit of a connection that says nothing.
        heartbeat: HEARTBEAT.min(api.context.limits.idle / 3),
        has_begun: false,
        pause: PAUSE * u32::try_from(turn).unwrap_or_default(),
        told: *api.context.handle.logs().watch().borrow(),
        lines: api.context.handle.logs().watch(),
        next_lines: Instant::now(),
        api,
        _place: place,
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        // nginx hands on what comes at once.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    let mut response = (headers, Body::new(Events { next: Some(feed.step()) })).into_response();
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if is_packed {
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// One client's view of the run.
struct Feed {
    api: Arc<Api>,
    /// All goes out as pieces of gzip.
    is_packed: bool,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    /// No further snapshot comes: the run is over, and its page stays for a while.
    is_last: bool,
    ending: watch::Receiver<bool>,
    heartbeat: Duration,
    has_begun: bool,
    /// How long it waits with a snapshot, while others get theirs.
    pause: Duration,
    /// Tells of new lines of the log.
    lines: watch::Receiver<u64>,
    /// The number of the last line that was sent.
    told: u64,
    /// When lines may be sent again: together, however fast they come.
    next_lines: Instant,
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
            return Some(if self.is_packed {
                [packing::BEGIN, &packing::pack(GREETING)].concat().into()
            } else {
                Bytes::from_static(GREETING)
            });
        }
        let ending = async { drop(self.ending.wait_for(|ending| *ending).await) };
        let lines = async {
            tokio::time::sleep_until(self.next_lines).await;
            self.lines.changed().await
        };
        tokio::select! {
            biased;
            () = ending => None,
            changed = self.snapshots.changed(), if !self.is_last => {
                if changed.is_err() {
                    self.is_last = true;
                    return Some(self.piece(Bytes::from_static(COMMENT)));
                }
                tokio::time::sleep(self.pause).await;
                // Whatever came in the pause is what is sent.
                self.snapshots.mark_unchanged();
                self.api.bytes(if self.is_packed { Document::PackedEvent } else { Document::Event }).await.ok()
            }
            Ok(()) = lines => {
                self.next_lines = Instant::now() + LINES_PACE;
                let lines = self.log_events();
                Some(self.piece(lines))
            }
            () = tokio::time::sleep(self.heartbeat) => Some(self.piece(Bytes::from_static(COMMENT))),
        }
    }

    /// Text as this client reads it.
    fn piece(&self, text: Bytes) -> Bytes {
        if self.is_packed { packing::pack(&text).into() } else { text }
    }
}

impl Feed {
    /// The lines since the last time, as many as go into one piece. The JSON of each is on one line.
    fn log_events(&mut self) -> Bytes {
        self.lines.borrow_and_update();
        let page = self.api.context.handle.logs().after(self.told, LINES);
        self.told = page.lines.last().map_or(page.newest, |line| line.number);
        if self.told < page.newest {
            self.lines.mark_changed();
        }
        let event = |line: &Arc<LogEntry>| {
            let json = serde_json::to_string(&LogLineJson::from(&**line)).unwrap_or_default();
            format!("event: log\ndata: {json}\n\n")
        };
        let text: String = page.lines.iter().map(event).collect();
        if text.is_empty() { Bytes::from_static(COMMENT) } else { Bytes::from(text) }
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
/// Lines in one piece.
const LINES: usize = 200;
/// Streams that get a snapshot at the same moment. Many large ones at once would hold up whoever asks for something then.
const AT_ONCE: usize = 8;
/// Between them and the next ones.
const PAUSE: Duration = Duration::from_millis(15);
/// So many different moments there are: the last stream has a snapshot a fifth of a second after the first.
const TURNS: usize = 14;
const LINES_PACE: Duration = Duration::from_millis(200);
const HEARTBEAT: Duration = Duration::from_secs(15);
