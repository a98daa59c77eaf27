//! One exchange on a connection that others may use, too: waits for a stream, sends, and waits for its end.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::time::timeout_at;

use super::answer::Unfit;
use super::frame::Code;
use super::session::{Over, Session};
use super::streams::{Ended, Stream};
use super::wire::Wire;
use crate::protocol::http::attempt::{Attempt, StreamEnd};
use crate::protocol::http::body::Body;
use crate::protocol::http::classify::{Failure, FailureKind};
use crate::protocol::http::exchange::{Progress, Request, Version};
use crate::protocol::http::headers::Headers;

/// Sends the request and reads its answer, until `deadline`.
pub(super) async fn exchange(wire: &Rc<Wire>, request: &Request<'_>, progress: &Progress, deadline: Instant) -> Attempt {
    let has_room = wire.with(|session| !session.is_closed() && session.has_room(None));
    if !has_room {
        // Boxed: hardly a request waits here, and none shall carry the timer.
        let turn = Box::pin(async move { timeout_at(deadline.into(), Turn { wire, ticket: None }.come()).await });
        match turn.await {
            Ok(true) => {}
            Ok(false) => return never_opened(wire, request),
            Err(_) => return Attempt { failure: Some(Failure::timeout(request.timeout)), ..nothing(request, Instant::now()) },
        }
    }
    let began_at = Instant::now();
    let mut rest = request.body.unwrap_or_default();
    let (id, is_alone) = wire.with(|session| {
        let id = session.open(request, deadline);
        session.send(id, &mut rest);
        (id, session.streams.open() == 1)
    });
    let mut open = Open { wire, progress, id, before: (progress.bytes_out.get(), progress.bytes_in.get()) };
    let mut is_first = true;
    let (stream, was_sent) = poll_fn(|cx| open.poll(cx, &mut rest, std::mem::take(&mut is_first).then_some((is_alone, deadline)))).await;
    finish(wire, request, stream, began_at, was_sent)
}

/// What came of a stream.
fn finish(wire: &Wire, request: &Request<'_>, stream: Box<Stream>, began_at: Instant, was_sent: bool) -> Attempt {
    let stream = *stream;
    let ended_at = stream.ended_at.unwrap_or_else(Instant::now);
    let (failure, stream_end) = match stream.ended.unwrap_or(Ended::Lost) {
        Ended::Whole => (None, None),
        Ended::Late => (Some(Failure::timeout(request.timeout)), None),
        Ended::Unfit(Unfit::ByUs(failure)) => (Some(failure), None),
        Ended::Unfit(Unfit::Malformed(what)) => (Some(broken(&wire.peer, &what, Code::PROTOCOL_ERROR)), None),
        Ended::BadWindow(code) => (Some(broken(&wire.peer, "a window that no stream can have", code)), None),
        Ended::Reset(code) => {
            let end = match code {
                Code::REFUSED_STREAM => StreamEnd::Refused,
                Code::HTTP_1_1_REQUIRED => StreamEnd::Http11Required,
                _ => StreamEnd::Reset,
            };
            (Some(Failure::new(FailureKind::Reset, format!("stream reset by {}: {code}", wire.peer))), Some(end))
        }
        Ended::GoneAway(code) => (Some(gone_away(&wire.peer, code)), Some(end_of(code))),
        Ended::Lost => {
            let (failure, has_said_why) = wire.with(|session| {
                (lost(session, request, &wire.peer, stream.answer.status != 0), matches!(session.over(), Some(Over::GoneAway(_))))
            });
            (Some(failure), has_said_why.then_some(StreamEnd::Reset))
        }
    };
    Attempt {
        status: stream.answer.status,
        headers: stream.answer.headers,
        body: stream.answer.body,
        failure,
        began_at: Some(began_at),
        sent_at: stream.sent_at,
        first_byte_at: stream.answer.first_byte_at,
        was_sent,
        stream_end,
        is_reusable: true,
        version: Version::Http2,
        ended_at,
    }
}

/// A request that got no stream before its connection ended, whatever ended that.
fn never_opened(wire: &Wire, request: &Request<'_>) -> Attempt {
    let (failure, end) = wire.with(|session| match session.gone() {
        Some(code) => (gone_away(&wire.peer, code), end_of(code)),
        None => (lost(session, request, &wire.peer, false), StreamEnd::GoneAway),
    });
    Attempt { failure: Some(failure), stream_end: Some(end), ..nothing(request, Instant::now()) }
}

/// An attempt of which nothing was sent: it has only waited.
fn nothing(request: &Request<'_>, now: Instant) -> Attempt {
    Attempt {
        status: 0,
        version: Version::Http2,
        headers: Headers::default(),
        body: Body::new(request.body_limit, request.discard),
        failure: None,
        is_reusable: true,
        began_at: Some(now),
        sent_at: None,
        first_byte_at: None,
        ended_at: now,
        was_sent: false,
        stream_end: None,
    }
}

/// Why the connection of a stream is over.
fn lost(session: &Session, request: &Request<'_>, peer: &str, has_status: bool) -> Failure {
    match session.over() {
        Some(Over::Failed(failure)) => failure.clone(),
        Some(Over::Broken { what, code }) => broken(peer, what, *code),
        Some(Over::GoneAway(code)) => Failure::new(FailureKind::Reset, format!("connection ended by {peer}: GOAWAY {code}")),
        Some(Over::Http1) if !has_status && request.origin.tls => {
            Failure::protocol(format!("{peer} agreed on HTTP/2 and answered in HTTP/1"))
        }
        Some(Over::Http1) if !has_status => Failure::not_http2(&request.origin.peer(), " without TLS (it answered in HTTP/1)"),
        Some(Over::Http1 | Over::Closed) | None => Failure::reset(peer),
    }
}

fn broken(peer: &str, what: &str, code: Code) -> Failure {
    Failure::protocol(format!("bad HTTP/2 from {peer}: {what} ({code})"))
}

fn gone_away(peer: &str, code: Code) -> Failure {
    Failure::new(FailureKind::Reset, format!("connection ended by {peer} before it looked at the request: GOAWAY {code}"))
}

fn end_of(code: Code) -> StreamEnd {
    if code == Code::HTTP_1_1_REQUIRED { StreamEnd::Http11Required } else { StreamEnd::GoneAway }
}

/// A stream under way; dropped, it is given up.
struct Open<'a> {
    wire: &'a Wire,
    progress: &'a Progress,
    id: u32,
    /// What had gone out and come in before.
    before: (u64, u64),
}

impl Open<'_> {
    /// Ready with the stream once it has ended, and with whether a byte of it was written. `first`: whether it is alone, and its deadline.
    fn poll(&mut self, cx: &mut Context<'_>, rest: &mut &[u8], first: Option<(bool, Instant)>) -> Poll<(Box<Stream>, bool)> {
        let has_ended = self.wire.with(|session| {
            if !rest.is_empty() {
                session.send(self.id, rest);
            }
            let Some(stream) = session.streams.get_mut(self.id) else { return true };
            self.progress.bytes_out.set(self.before.0 + stream.bytes_out);
            match &mut stream.waker {
                Some(waker) => waker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            stream.ended.is_some()
        });
        if has_ended && let Some(taken) = self.take() {
            return Poll::Ready(taken);
        }
        match first {
            Some((true, deadline)) => {
                self.wire.write(cx);
                let is_flushed = self.wire.is_flushed();
                if !is_flushed || !self.wire.is_awake_by(deadline) {
                    self.wire.wake_task();
                }
                self.progress.was_sent.set(is_flushed);
            }
            _ => self.wire.wake_task(),
        }
        Poll::Pending
    }

    /// Takes the stream out, and tells `progress` what of it there is.
    fn take(&mut self) -> Option<(Box<Stream>, bool)> {
        let (stream, bytes_out, bytes_in, was_sent) = self.wire.with(|session| session.take(self.id))?;
        self.progress.bytes_out.set(self.before.0 + bytes_out);
        self.progress.bytes_in.set(self.before.1 + bytes_in);
        self.progress.status.set(stream.answer.status);
        self.progress.was_sent.set(was_sent);
        if !self.wire.is_flushed() {
            // The server is told that nobody waits any more.
            self.wire.wake_task();
        }
        Some((stream, was_sent))
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

/// Somebody in line for a stream; dropped, the next one looks.
struct Turn<'a> {
    wire: &'a Wire,
    ticket: Option<u64>,
}

impl Turn<'_> {
    /// False where the connection is closed.
    async fn come(mut self) -> bool {
        poll_fn(|cx| {
            self.wire.with(|session| {
                if session.is_closed() {
                    return Poll::Ready(false);
                }
                if session.has_room(self.ticket) {
                    return Poll::Ready(true);
                }
                self.ticket = Some(session.wait(self.ticket, cx.waker()));
                Poll::Pending
            })
        })
        .await
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.wire.with(|session| session.leave(ticket));
        }
    }
}
