//! The connections of one user, and one hop over one of them: which connection, whether to try again, what it all took.

use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use super::attempt::Attempt;
use super::classify::{Failure, FailureKind};
use super::connect;
use super::context::Context;
use super::exchange::{Exchange, Progress, Request, Timings, Version};
use super::http1::Connection;
use super::http2::Shared;
use super::pool::Pool;

/// The connections of one user.
#[derive(Debug)]
pub struct Connections {
    context: Rc<Context>,
    pool: Pool,
}

impl Connections {
    /// No connection yet.
    #[must_use]
    pub fn new(context: Rc<Context>) -> Self {
        Self { context, pool: Pool::default() }
    }

    /// Makes one hop. Never fails as Rust: what went wrong stands in [`Exchange::failure`].
    ///
    /// Several may run at the same time. Dropped in mid-flight, it closes its connection, and `progress` tells how far it came.
    pub async fn exchange(&self, request: &Request<'_>, progress: &Progress) -> Exchange {
        let begin = request.asked.unwrap_or_else(Instant::now);
        let deadline = begin.checked_add(request.timeout).unwrap_or_else(|| begin + FAR);
        let mut exchange = Exchange::default();
        let _permit = self.pool.enter().await;
        // One more try is all that a stale connection gets.
        let mut is_retry = false;
        loop {
            let is_wary = self.context.is_wary.get() || !is_idempotent(request.method);
            let idle = if is_retry { None } else { self.pool.take(&request.origin, is_wary) };
            let (mut line, is_reused) = match idle {
                Some(connection) => (Line::Http1(connection), true),
                // Boxed: most requests find a connection, and shall not carry the room for making one.
                None => match Box::pin(self.open(request, deadline, &mut exchange.timings)).await {
                    Ok(opened) => opened,
                    Err(failure) => {
                        fail(failure, progress, begin, &mut exchange);
                        return exchange;
                    }
                },
            };
            let send_begin = Instant::now();
            let mut attempt = match &mut line {
                Line::Http1(connection) => connection.exchange(request, progress, deadline).await,
                Line::Http2(shared) => Box::pin(shared.exchange(request, progress, deadline)).await,
            };
            if is_retry || !is_reused || !is_stale(&attempt) {
                self.give_back(request, line, &attempt);
                finish(progress, [begin, send_begin], attempt, &mut exchange);
                return exchange;
            }
            self.give_back(request, line, &attempt);
            self.context.is_wary.set(true);
            if !may_repeat(request, &attempt) {
                let peer = request.origin.peer();
                let message = format!("kept-alive connection closed by {peer} as the request was sent");
                attempt.failure = Some(Failure::new(FailureKind::Stale, message));
                finish(progress, [begin, send_begin], attempt, &mut exchange);
                return exchange;
            }
            is_retry = true;
            progress.stale_retries.set(progress.stale_retries.get() + 1);
            progress.stale_unanswered.set(progress.stale_unanswered.get() + u32::from(attempt.was_sent));
            progress.was_sent.set(false);
        }
    }

    /// Closes idle connections.
    pub fn clear(&self) {
        self.pool.clear();
    }

    /// A connection that nobody else writes to or that can be shared, and whether it was in use before; within the connect timeout and
    /// the request's own.
    async fn open(&self, request: &Request<'_>, deadline: Instant, timings: &mut Timings) -> Result<(Line, bool), Failure> {
        let limit = Instant::now().checked_add(self.context.connect_timeout).map_or(deadline, |limit| limit.min(deadline));
        let opened = self.open_before(request, limit, timings).await;
        opened.map_err(|failure| if Instant::now() >= deadline { Failure::timeout(request.timeout) } else { failure })
    }

    async fn open_before(&self, request: &Request<'_>, limit: Instant, timings: &mut Timings) -> Result<(Line, bool), Failure> {
        let (origin, peer) = (&request.origin, request.origin.peer());
        let timed_out = |_| Failure::connect_timeout(&peer, self.context.connect_timeout);
        // Whether a connection can be shared is known only once it stands; until then the others wait for the first.
        let mut opening = None;
        while origin.tls && self.context.spoken_by(origin) != Some(Version::Http11) {
            if let Some(shared) = self.pool.shared_with(origin) {
                return Ok((Line::Http2(shared), true));
            }
            match self.pool.begin_opening(origin) {
                Ok(right) => {
                    opening = Some(right);
                    break;
                }
                Err(done) => timeout_at(limit.into(), done.notified()).await.map_err(timed_out)?,
            }
        }
        let opened = connect::open(&self.context, origin, limit, timings).await?;
        if !opened.stream.is_http2() {
            return Ok((Line::Http1(Connection::new(opened.stream, opened.through_proxy)), false));
        }
        let shared = timeout_at(limit.into(), Shared::open(opened.stream, &peer)).await.map_err(timed_out)??;
        self.pool.share(origin, shared.clone());
        drop(opening);
        Ok((Line::Http2(shared), false))
    }

    /// Keeps the connection where that is allowed.
    fn give_back(&self, request: &Request<'_>, line: Line, attempt: &Attempt) {
        match line {
            Line::Http1(connection) if attempt.is_reusable => self.pool.put(&request.origin, connection),
            Line::Http2(shared) if is_stale(attempt) => self.pool.forget(&shared),
            Line::Http1(_) | Line::Http2(_) => {}
        }
    }
}

/// A connection of either kind.
enum Line {
    Http1(Connection),
    Http2(Shared),
}

/// Writes down what came of the last attempt. The times: of the ask, and when the attempt began to send.
fn finish(progress: &Progress, [begin, send_begin]: [Instant; 2], attempt: Attempt, exchange: &mut Exchange) {
    let end = attempt.ended_at;
    let timings = &mut exchange.timings;
    timings.total = end - begin;
    timings.blocked = Some((send_begin - begin).saturating_sub(timings.set_up()));
    if attempt.was_sent {
        let sent_at = attempt.sent_at.or(attempt.first_byte_at).unwrap_or(end);
        timings.send = Some(sent_at.saturating_duration_since(send_begin));
        // An answer may begin before the request's end.
        let waited_to = attempt.first_byte_at.unwrap_or(end);
        timings.wait = Some(waited_to.saturating_duration_since(sent_at));
        timings.receive = attempt.first_byte_at.map(|first| end.saturating_duration_since(first.max(sent_at)));
    }
    exchange.was_sent = attempt.was_sent;
    exchange.failure = attempt.failure;
    exchange.status = attempt.status;
    exchange.version = attempt.version;
    exchange.headers = attempt.headers;
    (exchange.body, exchange.body_bytes) = attempt.body.into_parts();
    copy_progress(progress, exchange);
}

/// A failure before any byte of an answer, on a connection that could not be told closed beforehand.
fn is_stale(attempt: &Attempt) -> bool {
    attempt.first_byte_at.is_none() && attempt.failure.as_ref().is_some_and(|failure| failure.kind == FailureKind::Reset)
}

fn may_repeat(request: &Request<'_>, attempt: &Attempt) -> bool {
    !attempt.was_sent || is_idempotent(request.method)
}

/// RFC 9110, section 9.2.2: repeating these changes nothing.
fn is_idempotent(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS" | "TRACE")
}

/// Writes down that no connection could be had.
fn fail(failure: Failure, progress: &Progress, begin: Instant, exchange: &mut Exchange) {
    let timings = &mut exchange.timings;
    timings.total = begin.elapsed();
    timings.blocked = Some(timings.total.saturating_sub(timings.set_up()));
    exchange.failure = Some(failure);
    copy_progress(progress, exchange);
}

fn copy_progress(progress: &Progress, exchange: &mut Exchange) {
    exchange.bytes_out = progress.bytes_out.get();
    exchange.bytes_in = progress.bytes_in.get();
    exchange.stale_retries = progress.stale_retries.get();
    exchange.stale_unanswered = progress.stale_unanswered.get();
}

/// As good as for ever, and still a time that a clock can show.
const FAR: Duration = Duration::from_secs(365 * 24 * 3600);
