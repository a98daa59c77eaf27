//! The connections of one user, and one hop over one of them: which connection, whether to try again, what it all took.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::classify::{Failure, FailureKind};
use super::connect::{self, Opened};
use super::context::Context;
use super::exchange::{Exchange, Progress, Request, Timings};
use super::http1::{Attempt, Connection};
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
        let begin = Instant::now();
        let deadline = begin.checked_add(request.timeout).unwrap_or_else(|| begin + FAR);
        let mut exchange = Exchange::default();
        let _permit = self.pool.enter().await;
        if let Some(mut connection) = self.pool.take(&request.origin) {
            let attempt = connection.exchange(request, progress, deadline).await;
            if !is_stale(&attempt) {
                self.finish(request, progress, begin, begin, connection, attempt, &mut exchange);
                return exchange;
            }
            drop(connection);
            if !may_repeat(request, &attempt) {
                let peer = request.origin.peer();
                let failure = Failure::new(FailureKind::Stale, format!("kept-alive connection closed by {peer} as the request was sent"));
                fail(failure, attempt.was_sent, progress, begin, &mut exchange);
                return exchange;
            }
            progress.stale_retries.set(progress.stale_retries.get() + 1);
            if attempt.was_sent {
                progress.stale_unanswered.set(progress.stale_unanswered.get() + 1);
            }
            progress.was_sent.set(false);
        }
        // Boxed: most requests find a connection, and shall not carry the room for making one.
        match Box::pin(self.open(request, deadline, &mut exchange.timings)).await {
            Err(failure) => fail(failure, false, progress, begin, &mut exchange),
            Ok(opened) => {
                let mut connection = Connection::new(opened.stream, opened.through_proxy);
                let send_begin = Instant::now();
                let attempt = connection.exchange(request, progress, deadline).await;
                self.finish(request, progress, begin, send_begin, connection, attempt, &mut exchange);
            }
        }
        exchange
    }

    /// Closes idle connections.
    pub fn clear(&self) {
        self.pool.clear();
    }

    /// A fresh connection, within the connect timeout and the request's own.
    async fn open(&self, request: &Request<'_>, deadline: Instant, timings: &mut Timings) -> Result<Opened, Failure> {
        let limit = Instant::now().checked_add(self.context.connect_timeout).map_or(deadline, |limit| limit.min(deadline));
        let opened = connect::open(&self.context, &request.origin, limit, timings).await;
        opened.map_err(|failure| if Instant::now() >= deadline { Failure::timeout(request.timeout) } else { failure })
    }

    /// Writes down what came of the last attempt and keeps its connection where that is allowed.
    #[expect(clippy::too_many_arguments, reason = "the parts of one attempt, passed on once")]
    fn finish(
        &self,
        request: &Request<'_>,
        progress: &Progress,
        begin: Instant,
        send_begin: Instant,
        connection: Connection,
        attempt: Attempt,
        exchange: &mut Exchange,
    ) {
        if attempt.is_reusable {
            self.pool.put(&request.origin, connection);
        }
        // One reading of the clock serves an answer that came in one piece.
        let end = attempt.ended_at;
        let timings = &mut exchange.timings;
        timings.total = end - begin;
        let set_up = [timings.dns, timings.connect, timings.tls].into_iter().flatten().sum();
        timings.blocked = Some((send_begin - begin).saturating_sub(set_up));
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
        exchange.status = attempt.response.status;
        exchange.version = attempt.response.version;
        exchange.headers = attempt.response.headers;
        (exchange.body, exchange.body_bytes) = attempt.response.body.into_parts();
        copy_progress(progress, exchange);
    }
}

/// A failure before any byte of an answer, on a connection that could not be told closed beforehand.
fn is_stale(attempt: &Attempt) -> bool {
    attempt.first_byte_at.is_none() && attempt.failure.as_ref().is_some_and(|failure| failure.kind == FailureKind::Reset)
}

/// RFC 9110, section 9.2.2: repeating these changes nothing.
fn may_repeat(request: &Request<'_>, attempt: &Attempt) -> bool {
    !attempt.was_sent || matches!(request.method, "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS" | "TRACE")
}

fn fail(failure: Failure, was_sent: bool, progress: &Progress, begin: Instant, exchange: &mut Exchange) {
    exchange.timings.total = begin.elapsed();
    exchange.failure = Some(failure);
    exchange.was_sent = was_sent;
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
