//! The connections of one user, and one hop over one of them: which connection, whether to try again, what it all took.

use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use super::attempt::{Attempt, StreamEnd};
use super::classify::{Failure, FailureKind};
use super::connect;
use super::context::Context;
use super::exchange::{Exchange, Offer, Progress, Request, Timings, Version};
use super::http1::Connection;
use super::http2::Shared;
use super::pool::{Place, Pool};

/// The connections of one user.
#[derive(Debug)]
pub struct Connections {
    context: Rc<Context>,
    pool: Pool,
}

impl Connections {
    /// Over `context`; no connection is open.
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
        // The rest of an exchange is made when it is over: users in flight shall not carry the room for it.
        let mut timings = Timings::default();
        progress.began.set(Some(begin));
        // How many streams a connection takes, its server says.
        let _permit = if self.may_be_shared(request) {
            None
        } else {
            match self.pool.enter(&request.connection, deadline).await {
                Some(permit) => Some(permit),
                None => return failed(Failure::timeout(request.timeout), progress, begin, timings),
            }
        };
        let mut tries = Tries::default();
        loop {
            if !tries.pause.is_zero() {
                // Boxed: hardly a request waits here.
                Box::pin(tokio::time::sleep(std::mem::take(&mut tries.pause))).await;
            }
            let is_wary = self.context.is_wary.get() || !is_idempotent(request.method);
            let reuses = request.connection.keepalive && !tries.was_stale;
            let idle = if reuses { self.pool.take(request, begin, is_wary) } else { None };
            let idle = idle.map(|(connection, place)| Found { line: Line::Http1(connection), place: Some(place), is_reused: true });
            let Found { mut line, place, is_reused } = match idle.or_else(|| self.shared_for(request)) {
                Some(found) => found,
                // Boxed: most requests find a connection, and shall not carry the room for making one.
                None => match Box::pin(self.open(request, reuses, deadline, &mut timings)).await {
                    Ok(opened) => opened,
                    Err(failure) => return failed(failure, progress, begin, timings),
                },
            };
            let send_begin = Instant::now();
            let mut attempt = match &mut line {
                Line::Http1(connection) => connection.exchange(request, progress, deadline).await,
                Line::Http2(shared) => Box::pin(shared.exchange(request, progress, deadline)).await,
            };
            if is_ended_by_us(request, &attempt) {
                attempt.failure = None;
            }
            self.give_back(request, line, place, &attempt, begin);
            attempt.began_at.get_or_insert(send_begin);
            match tries.next(request, &attempt, is_reused) {
                Next::Again(pause) if attempt.ended_at + pause < deadline => {
                    self.context.is_wary.set(self.context.is_wary.get() || tries.was_stale);
                    // A stream that was never opened has sent nothing that would be sent again.
                    let has_waited_only = attempt.stream_end.is_some() && !attempt.was_sent;
                    progress.stale_retries.set(progress.stale_retries.get() + u32::from(!has_waited_only));
                    progress.stale_unanswered.set(progress.stale_unanswered.get() + u32::from(attempt.was_sent));
                    progress.was_sent.set(false);
                    tries.pause = pause;
                    continue;
                }
                Next::Stale => {
                    self.context.is_wary.set(true);
                    let peer = request.origin.peer();
                    let message = format!("kept-alive connection closed by {peer} as the request was sent");
                    attempt.failure = Some(Failure::new(FailureKind::Stale, message));
                }
                Next::Done | Next::Again(_) => {}
            }
            return finish(progress, begin, attempt, timings);
        }
    }

    /// Closes connections that nobody uses.
    pub fn clear(&self) {
        self.pool.clear();
    }

    /// A connection that nobody else writes to or that can be shared. To wait for a place takes what the request's time allows, to connect the
    /// connect timeout at most.
    async fn open<'a>(
        &'a self,
        request: &'a Request<'_>,
        reuses: bool,
        deadline: Instant,
        timings: &mut Timings,
    ) -> Result<Found<'a>, Failure> {
        let opened = self.open_before(request, reuses, deadline, timings).await;
        // What waited in line for its whole time says so itself.
        let is_late = |failure: &Failure| failure.kind != FailureKind::Timeout && Instant::now() >= deadline;
        opened.map_err(|failure| if is_late(&failure) { Failure::timeout(request.timeout) } else { failure })
    }

    async fn open_before<'a>(
        &'a self,
        request: &'a Request<'_>,
        reuses: bool,
        deadline: Instant,
        timings: &mut Timings,
    ) -> Result<Found<'a>, Failure> {
        let (origin, rules) = (&request.origin, &request.connection);
        let limit = || Instant::now().checked_add(self.context.connect_timeout).map_or(deadline, |limit| limit.min(deadline));
        let timed_out = |_| Failure::connect_timeout(&origin.peer(), self.context.connect_timeout);
        // Whether a connection can be shared is known only once it stands; until then the others wait for the first.
        let mut opening = None;
        let gate_limit = limit();
        while rules.keepalive && self.may_be_shared(request) {
            if let Some(found) = self.shared_for(request) {
                return Ok(found);
            }
            match self.pool.begin_opening(origin) {
                Ok(right) => {
                    opening = Some(right);
                    break;
                }
                Err(done) => timeout_at(gate_limit.into(), done.notified()).await.map_err(timed_out)?,
            }
        }
        let found = self.pool.place(request, reuses, self.context.is_wary.get(), deadline).await;
        let Some((idle, place)) = found else { return Err(Failure::no_connection_free(&origin.peer(), rules.max_connections)) };
        if let Some(connection) = idle {
            return Ok(Found { line: Line::Http1(connection), place: Some(place), is_reused: true });
        }
        let limit = limit();
        let opened = connect::open(&self.context, origin, rules.offer, limit, timings).await?;
        if !opened.stream.is_http2() && rules.offer != Offer::Http2 {
            let connection = Box::new(Connection::new(opened.stream, opened.through_proxy, rules.offer));
            return Ok(Found { line: Line::Http1(connection), place: Some(place), is_reused: false });
        }
        let shared = Shared::open(opened.stream, &origin.peer());
        shared.count_request();
        // A connection for all takes none of the places.
        let place = if rules.keepalive {
            self.pool.share(origin, shared.clone());
            None
        } else {
            Some(place)
        };
        drop(opening);
        Ok(Found { line: Line::Http2(shared), place, is_reused: false })
    }

    /// The open connection that others share, if there is one that the request may use; it counts there.
    fn shared_for(&self, request: &Request<'_>) -> Option<Found<'_>> {
        if !request.connection.keepalive || !self.may_be_shared(request) {
            return None;
        }
        let shared = self.pool.shared_with(&request.origin, &request.connection)?;
        Some(Found { line: Line::Http2(shared), place: None, is_reused: true })
    }

    /// Whether the request can go over a connection that others share, as far as that is known.
    fn may_be_shared(&self, request: &Request<'_>) -> bool {
        match request.connection.offer {
            Offer::Http11 => false,
            Offer::Http2 => true,
            Offer::Any => request.origin.tls && self.context.spoken_by(&request.origin) != Some(Version::Http11),
        }
    }

    /// Keeps the connection where that is allowed, after a request that was asked for at `begin`.
    fn give_back(&self, request: &Request<'_>, line: Line, place: Option<Place<'_>>, attempt: &Attempt, begin: Instant) {
        let rules = &request.connection;
        if attempt.stream_end == Some(StreamEnd::Http11Required) && is_unprocessed(attempt) && rules.offer == Offer::Any {
            self.context.on_http11_required(&request.origin);
        }
        match (line, place) {
            (Line::Http1(connection), Some(place))
                if attempt.is_reusable && rules.keepalive && connection.allows_another(rules, attempt.ended_at) =>
            {
                place.keep(connection);
            }
            (Line::Http2(shared), _)
                if is_stale(attempt)
                    || is_late(attempt) && shared.is_silent_since(begin)
                    || attempt.stream_end == Some(StreamEnd::GoneAway)
                    || !shared.allows_another(rules, attempt.ended_at) =>
            {
                self.pool.forget(&shared);
            }
            // Closed before its place is free, so that a server never sees one more than are allowed.
            (line, place) => {
                drop(line);
                drop(place);
            }
        }
    }
}

/// A connection of either kind.
enum Line {
    /// Boxed: it goes from hand to hand with each request.
    Http1(Box<Connection>),
    Http2(Shared),
}

/// A connection for a request.
struct Found<'a> {
    line: Line,
    /// `None` for a connection that all share.
    place: Option<Place<'a>>,
    /// It was in use before.
    is_reused: bool,
}

/// Writes down what came of the last attempt.
#[inline]
fn finish(progress: &Progress, begin: Instant, attempt: Attempt, mut timings: Timings) -> Exchange {
    let end = attempt.ended_at;
    let send_begin = attempt.began_at.unwrap_or(begin);
    timings.total = end - begin;
    timings.blocked = Some((send_begin - begin).saturating_sub(timings.set_up()));
    if attempt.was_sent {
        let sent_at = attempt.sent_at.or(attempt.first_byte_at).unwrap_or(end);
        timings.send = Some(sent_at.saturating_duration_since(send_begin));
        // An answer may begin before the request's end.
        let waited_to = attempt.first_byte_at.unwrap_or(end);
        timings.wait = Some(waited_to.saturating_duration_since(sent_at));
        timings.receive = attempt.first_byte_at.map(|first| match first.max(sent_at) {
            // All of it in one read.
            began if began == end => Duration::ZERO,
            began => end.saturating_duration_since(began),
        });
    }
    Exchange {
        status: attempt.status,
        version: attempt.version,
        headers: attempt.headers,
        body: attempt.body,
        timings,
        bytes_out: progress.bytes_out.get(),
        bytes_in: progress.bytes_in.get(),
        failure: attempt.failure,
        was_sent: attempt.was_sent,
        stale_retries: progress.stale_retries.get(),
        stale_unanswered: progress.stale_unanswered.get(),
    }
}

/// How often a request was sent, and why not for the last time.
#[derive(Debug, Default)]
struct Tries {
    /// A kept-alive connection had ended; one more try is all that this gets.
    was_stale: bool,
    /// Times that the server has said that it did not process the request.
    unprocessed: u32,
    /// Before the next time.
    pause: Duration,
}

/// What follows from an attempt.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// What came of it stands.
    Done,
    /// The connection ended as the request went out, and nobody knows whether it was processed.
    Stale,
    /// It is sent again after a pause.
    Again(Duration),
}

impl Tries {
    /// RFC 9113, section 8.7: what a server says it has not processed is sent again, whatever the method. What a broken connection leaves
    /// open is sent again only where that changes nothing, and where the server may never have had it: it closes idle connections as it likes.
    ///
    /// The attempt bears when it began.
    fn next(&mut self, request: &Request<'_>, attempt: &Attempt, is_reused: bool) -> Next {
        // Where HTTP/2 alone is wanted, that the server wants HTTP/1.1 is the end of it.
        let is_refusal = attempt.stream_end == Some(StreamEnd::Http11Required) && request.connection.offer == Offer::Http2;
        if is_unprocessed(attempt) && self.unprocessed < UNPROCESSED_MAX && !is_refusal {
            self.unprocessed += 1;
            // A new connection takes its time by itself; a full server is asked at once, and then less and less often.
            let is_full = attempt.stream_end == Some(StreamEnd::Refused) && self.unprocessed > 1;
            return Next::Again(if is_full { REFUSED_PAUSE * 2_u32.pow(self.unprocessed - 2) } else { Duration::ZERO });
        }
        if self.was_stale || !is_reused || !is_stale(attempt) || !has_ended_as_sent(attempt) {
            return Next::Done;
        }
        if attempt.was_sent && !is_idempotent(request.method) {
            return Next::Stale;
        }
        self.was_stale = true;
        Next::Again(Duration::ZERO)
    }
}

/// The server has said so.
fn is_unprocessed(attempt: &Attempt) -> bool {
    let says_so = matches!(attempt.stream_end, Some(StreamEnd::Refused | StreamEnd::GoneAway | StreamEnd::Http11Required));
    says_so && attempt.first_byte_at.is_none()
}

/// An event stream that the request's time has ended: all that was asked for has come.
fn is_ended_by_us(request: &Request<'_>, attempt: &Attempt) -> bool {
    request.ends_streams
        && attempt.failure.as_ref().is_some_and(|failure| failure.kind == FailureKind::Timeout)
        && attempt.status != 0
        && attempt.headers.are_of_event_stream()
}

/// A failure before any byte of an answer, on a connection that could not be told closed beforehand.
fn is_stale(attempt: &Attempt) -> bool {
    attempt.stream_end.is_none()
        && attempt.first_byte_at.is_none()
        && attempt.failure.as_ref().is_some_and(|failure| failure.kind == FailureKind::Reset)
}

/// Whether the connection may have been closed before the server had the request. Later than that the server had it, and broke off: to send it again
/// would hide a fault of the server's, and double the load that brings it about.
fn has_ended_as_sent(attempt: &Attempt) -> bool {
    let begin = attempt.began_at.unwrap_or(attempt.ended_at);
    !attempt.was_sent || attempt.ended_at.saturating_duration_since(begin) <= CLOSING_TIME
}

/// The time was over before the answer was whole.
fn is_late(attempt: &Attempt) -> bool {
    attempt.failure.as_ref().is_some_and(|failure| failure.kind == FailureKind::Timeout)
}

/// RFC 9110, section 9.2.2: repeating these changes nothing.
fn is_idempotent(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS" | "TRACE")
}

/// No connection could be had.
fn failed(failure: Failure, progress: &Progress, begin: Instant, mut timings: Timings) -> Exchange {
    timings.total = begin.elapsed();
    timings.blocked = Some(timings.total.saturating_sub(timings.set_up()));
    Exchange {
        timings,
        bytes_out: progress.bytes_out.get(),
        bytes_in: progress.bytes_in.get(),
        failure: Some(failure),
        stale_retries: progress.stale_retries.get(),
        stale_unanswered: progress.stale_unanswered.get(),
        ..Exchange::default()
    }
}

/// A request that a server says it has not processed is sent again so often, within its own time.
const UNPROCESSED_MAX: u32 = 10;

/// Before the second time that a refused request is sent again; twice as long before each further one.
const REFUSED_PAUSE: Duration = Duration::from_millis(1);

/// How long after a request began to go out it may still meet a connection that its server closed before it came: the news of that takes one round
/// trip, which is shorter anywhere on Earth, even where a packet is lost and sent again.
const CLOSING_TIME: Duration = Duration::from_millis(500);

/// As good as for ever, and still a time that a clock can show.
const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::super::body::Body;
    use super::super::exchange::ConnectionRules;
    use super::super::headers::Headers;
    use super::super::origin::Origin;
    use super::*;

    fn request(method: &str) -> Request<'_> {
        Request {
            method,
            origin: Rc::new(Origin::parse("http://shop.test").unwrap()),
            path: "/",
            headers: b"",
            has_host: false,
            body: None,
            asked: None,
            timeout: Duration::from_secs(30),
            body_limit: 1,
            decode: true,
            discard: false,
            ends_streams: false,
            connection: ConnectionRules::default(),
        }
    }

    /// The connection broke so long after the request had begun to go out.
    fn broken(after: Duration, was_sent: bool) -> Attempt {
        let begin = Instant::now();
        Attempt {
            status: 0,
            version: Version::Http11,
            headers: Headers::default(),
            body: Body::new(1, false),
            failure: Some(Failure::reset("shop.test:80")),
            is_reusable: false,
            began_at: Some(begin),
            sent_at: None,
            first_byte_at: None,
            ended_at: begin + after,
            was_sent,
            stream_end: None,
        }
    }

    #[test]
    fn what_breaks_later_than_a_round_trip_was_with_the_server_and_is_not_sent_again() {
        let (soon, late) = (CLOSING_TIME, CLOSING_TIME + Duration::from_nanos(1));
        let again = || Next::Again(Duration::ZERO);
        for (method, after, was_sent, is_reused, next) in [
            ("GET", soon, true, true, again()),
            ("GET", late, true, true, Next::Done),
            ("GET", late, false, true, again()),
            ("GET", soon, true, false, Next::Done),
            ("POST", soon, true, true, Next::Stale),
            ("POST", late, true, true, Next::Done),
            ("POST", late, false, true, again()),
        ] {
            let found = Tries::default().next(&request(method), &broken(after, was_sent), is_reused);
            assert_eq!(found, next, "{method} {after:?} {was_sent} {is_reused}");
        }
    }

    #[test]
    fn a_request_that_was_sent_again_for_a_closed_connection_is_not_sent_a_third_time() {
        let mut tries = Tries::default();
        let broken = broken(Duration::ZERO, true);
        assert_eq!(tries.next(&request("GET"), &broken, true), Next::Again(Duration::ZERO));
        assert_eq!(tries.next(&request("GET"), &broken, true), Next::Done);
    }
}
