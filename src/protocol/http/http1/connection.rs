//! One HTTP/1.1 connection and one exchange on it.
//!
//! Writing and reading run side by side, since a server may answer before it has read the whole request.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::request::write_head;
use super::response::Response;
use crate::protocol::http::attempt::Attempt;
use crate::protocol::http::classify::{Failure, FailureKind};
use crate::protocol::http::exchange::{ConnectionRules, Offer, Progress, Request};
use crate::protocol::http::stream::{Stream, with_input};
use crate::protocol::http::timer::Timer;
use crate::protocol::http::turns::Turns;

/// A connection that speaks HTTP/1.1, one exchange after another.
#[derive(Debug)]
pub(in crate::protocol::http) struct Connection {
    stream: Turns<Stream>,
    timer: Timer,
    /// The target is reached through a plain proxy: its `proxy-authorization`, or an empty text.
    through_proxy: Option<Box<str>>,
    opened_at: Instant,
    /// Requests that it has carried, or carries.
    carried: u32,
    /// The server had no choice, so the connection tells nothing of what it would choose.
    is_forced: bool,
}

impl Connection {
    /// On a stream that is ready for a request, to a server that was offered `offer`.
    pub(in crate::protocol::http) fn new(stream: Stream, through_proxy: Option<Box<str>>, offer: Offer) -> Self {
        let is_forced = offer == Offer::Http11 && matches!(stream, Stream::Tls(_));
        Self { stream: Turns::new(stream), timer: Timer::default(), through_proxy, opened_at: Instant::now(), carried: 0, is_forced }
    }

    /// Whether a request that offers `offer` may have it.
    pub(in crate::protocol::http) fn fits(&self, offer: Offer) -> bool {
        match offer {
            Offer::Any => !self.is_forced,
            Offer::Http11 => true,
            Offer::Http2 => false,
        }
    }

    /// Whether it may carry another request at `now`.
    pub(in crate::protocol::http) fn allows_another(&self, rules: &ConnectionRules, now: Instant) -> bool {
        rules.allow_another(self.carried, || now.saturating_duration_since(self.opened_at))
    }

    /// Whether the connection can be used again after having been idle.
    pub(in crate::protocol::http) fn is_quiet(&mut self, is_wary: bool) -> bool {
        self.stream.get_mut().is_quiet(is_wary)
    }

    /// Sends the request and reads its answer, until `deadline`.
    pub(in crate::protocol::http) async fn exchange(&mut self, request: &Request<'_>, progress: &Progress, deadline: Instant) -> Attempt {
        self.stream.begin();
        self.carried = self.carried.saturating_add(1);
        let mut flight = Flight {
            response: Response::new(request.method, request.body_limit, request.decode, request.discard),
            unsent: Vec::new(),
            unsent_from: 0,
            body: &[],
            write: Write::Begin,
            bytes_before: progress.bytes_out.get(),
            sent_at: None,
            first_byte_at: None,
            ended_at: None,
        };
        let failure = poll_fn(|cx| flight.poll(cx, self, request, progress, deadline)).await.err();
        let is_reusable = failure.is_none() && flight.response.keeps_alive && flight.write == Write::Done;
        let response = flight.response;
        Attempt {
            status: response.status,
            version: response.version,
            headers: response.headers,
            body: response.body,
            failure,
            is_reusable,
            began_at: None,
            sent_at: flight.sent_at,
            first_byte_at: flight.first_byte_at,
            ended_at: flight.ended_at.unwrap_or_else(Instant::now),
            was_sent: progress.bytes_out.get() > flight.bytes_before,
            stream_end: None,
        }
    }
}

/// An exchange under way.
struct Flight<'a> {
    response: Response,
    /// What the socket did not take of the head (and of a small body).
    unsent: Vec<u8>,
    unsent_from: usize,
    /// What is left of a large body.
    body: &'a [u8],
    write: Write,
    bytes_before: u64,
    sent_at: Option<Instant>,
    first_byte_at: Option<Instant>,
    ended_at: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Write {
    Begin,
    Rest,
    Flush,
    Done,
    Broken,
}

impl<'a> Flight<'a> {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut Connection,
        request: &Request<'a>,
        progress: &Progress,
        deadline: Instant,
    ) -> Poll<Result<(), Failure>> {
        if !matches!(self.write, Write::Done | Write::Broken) {
            match self.poll_write(cx, connection, request, progress) {
                Poll::Ready(Ok(())) => {
                    self.write = Write::Done;
                    self.sent_at = Some(Instant::now());
                }
                Poll::Ready(Err(_)) => {
                    // The peer takes no more; an early answer may still be there to be read.
                    self.write = Write::Broken;
                }
                Poll::Pending => {}
            }
        }
        if let Poll::Ready(result) = self.poll_read(cx, connection, request, progress) {
            return Poll::Ready(result);
        }
        ready!(connection.timer.poll(cx, deadline));
        Poll::Ready(Err(Failure::timeout(request.timeout)))
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut Connection,
        request: &Request<'a>,
        progress: &Progress,
    ) -> Poll<io::Result<()>> {
        let mut stream = Pin::new(&mut connection.stream);
        if self.write == Write::Begin {
            self.write = Write::Rest;
            let through_proxy = connection.through_proxy.as_deref();
            OUTPUT.with_borrow_mut(|output| self.write_first(cx, stream.as_mut(), output, request, through_proxy, progress))?;
        }
        while self.write == Write::Rest {
            let (head, body) = (&self.unsent[self.unsent_from..], self.body);
            if head.is_empty() && body.is_empty() {
                self.write = Write::Flush;
                break;
            }
            let written = ready!(poll_write_both(stream.as_mut(), cx, head, body))?;
            let of_head = written.min(head.len());
            self.unsent_from += of_head;
            self.body = &body[written - of_head..];
            progress.add_out(written);
        }
        stream.poll_flush(cx)
    }

    /// Writes head and small body in one go; what the socket does not take is kept.
    fn write_first(
        &mut self,
        cx: &mut Context<'_>,
        stream: Pin<&mut Turns<Stream>>,
        output: &mut Vec<u8>,
        request: &Request<'a>,
        through_proxy: Option<&str>,
        progress: &Progress,
    ) -> io::Result<()> {
        output.clear();
        write_head(output, request, through_proxy);
        match request.body {
            Some(body) if body.len() <= SMALL_BODY => output.extend_from_slice(body),
            Some(body) => self.body = body,
            None => {}
        }
        let written = match poll_write_both(stream, cx, output, self.body) {
            Poll::Ready(result) => result?,
            Poll::Pending => 0,
        };
        progress.add_out(written);
        let of_head = written.min(output.len());
        if of_head < output.len() {
            self.unsent = output[of_head..].to_vec();
        }
        self.body = &self.body[written - of_head..];
        Ok(())
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut Connection,
        request: &Request<'_>,
        progress: &Progress,
    ) -> Poll<Result<(), Failure>> {
        with_input(|input| {
            loop {
                let mut buffer = ReadBuf::new(input);
                let result = ready!(Pin::new(&mut connection.stream).poll_read(cx, &mut buffer));
                let bytes = buffer.filled();
                if let Err(error) = result {
                    return Poll::Ready(Err(self.on_read_error(&error, request)));
                }
                if bytes.is_empty() {
                    return Poll::Ready(self.on_close(request));
                }
                progress.bytes_in.set(progress.bytes_in.get() + bytes.len() as u64);
                // Before the bytes are looked at: to read them is our time, not the target's.
                let read_at = Instant::now();
                self.first_byte_at.get_or_insert(read_at);
                let is_done = self.response.feed(bytes);
                progress.status.set(self.response.status);
                match is_done {
                    Ok(false) => {}
                    Ok(true) => {
                        self.ended_at = Some(read_at);
                        return Poll::Ready(Ok(()));
                    }
                    Err(failure) => return Poll::Ready(Err(failure)),
                }
            }
        })
    }

    fn on_close(&mut self, request: &Request<'_>) -> Result<(), Failure> {
        self.response.on_close().map_err(|failure| failure.unwrap_or_else(|| Failure::reset(&request.origin.peer())))
    }

    fn on_read_error(&mut self, error: &io::Error, request: &Request<'_>) -> Failure {
        // TLS without a close notice: the end of the stream, as far as a body with a length of its own is concerned.
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return match self.response.on_close() {
                Err(Some(failure)) => failure,
                Err(None) => Failure::reset(&request.origin.peer()),
                Ok(()) => Failure::new(FailureKind::Protocol, "TLS connection closed without notice in a body without a length"),
            };
        }
        Failure::during_exchange(error, &request.origin.peer())
    }
}

fn poll_write_both(stream: Pin<&mut Turns<Stream>>, cx: &mut Context<'_>, head: &[u8], body: &[u8]) -> Poll<io::Result<usize>> {
    if body.is_empty() {
        stream.poll_write(cx, head)
    } else if head.is_empty() {
        stream.poll_write(cx, body)
    } else {
        stream.poll_write_vectored(cx, &[io::IoSlice::new(head), io::IoSlice::new(body)])
    }
}

impl Progress {
    fn add_out(&self, bytes: usize) {
        if bytes > 0 {
            self.bytes_out.set(self.bytes_out.get() + bytes as u64);
            self.was_sent.set(true);
        }
    }
}

thread_local! {
    /// Borrowed for one poll only. No exchange has a buffer of its own.
    static OUTPUT: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(SMALL_BODY + 4096));
}

/// Bodies up to this size are copied behind the head, so that both go out in one plain write.
const SMALL_BODY: usize = 16 * 1024;
