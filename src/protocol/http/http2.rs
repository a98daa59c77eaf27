//! HTTP/2 by hyper: one connection to an origin, shared by all exchanges of a user.
//!
//! The connection's own work runs in a local task, which ends when the last sender is dropped.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout_at;

use super::attempt::Attempt;
use super::classify::{Failure, FailureKind};
use super::decode::{Body, Encodings};
use super::exchange::{Progress, Request, Version};
use super::headers::Headers;
use super::stream::Stream;

/// A connection that several exchanges share.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    sender: SendRequest<Full<Bytes>>,
    wire: Rc<Wire>,
}

impl Shared {
    /// Greets the server and sets the connection's own task to work.
    ///
    /// # Errors
    /// `protocol` or `reset` when the greeting fails.
    pub(super) async fn open(stream: Stream, peer: &str) -> Result<Self, Failure> {
        let wire = Rc::new(Wire::default());
        let io = TokioIo::new(Counted { stream, wire: Rc::clone(&wire), peer: peer.to_owned() });
        let (sender, connection) = Builder::new(Local).handshake(io).await.map_err(|error| failure_of(&error, peer))?;
        // How it ended is told to each exchange that it cut; there is nobody else to tell.
        tokio::task::spawn_local(async move { drop(connection.await) });
        Ok(Self { sender, wire })
    }

    /// The server has ended it, or it broke.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Both are the same connection.
    pub(super) fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.wire, &other.wire)
    }

    /// Sends the request and reads its answer, until `deadline`.
    pub(super) async fn exchange(&mut self, request: &Request<'_>, progress: &Progress, deadline: Instant) -> Attempt {
        let mut attempt = Attempt {
            status: 0,
            version: Version::Http2,
            headers: Headers::default(),
            body: Body::new(request.body_limit, request.discard),
            failure: None,
            is_reusable: true,
            sent_at: None,
            first_byte_at: None,
            ended_at: deadline,
            was_sent: false,
        };
        let before = (progress.bytes_out.get(), progress.bytes_in.get());
        let result = timeout_at(deadline.into(), self.run(request, progress, &mut attempt)).await;
        attempt.failure = result.unwrap_or_else(|_| Err(Failure::timeout(request.timeout))).err();
        // hyper tells an exchange only that its connection is gone.
        if let (Some(failure), Some(cause)) = (&mut attempt.failure, self.wire.broken.borrow().as_ref())
            && failure.kind == FailureKind::Reset
        {
            failure.clone_from(cause);
        }
        attempt.ended_at = Instant::now();
        // The wire's bytes cannot be told apart by stream: what nobody has claimed yet is this exchange's, so that sums are right.
        progress.bytes_out.set(before.0 + self.wire.bytes_out.take());
        progress.bytes_in.set(before.1 + self.wire.bytes_in.take());
        attempt
    }

    async fn run(&mut self, request: &Request<'_>, progress: &Progress, attempt: &mut Attempt) -> Result<(), Failure> {
        let peer = request.origin.peer();
        let message = message_of(request)?;
        self.sender.ready().await.map_err(|error| failure_of(&error, &peer))?;
        let sending = self.sender.try_send_request(message);
        // Handed over is as good as written, unless the connection gives it back: it is not known when its task writes.
        let estimate = request.headers.len() + request.path.len() + request.body.map_or(0, <[u8]>::len);
        progress.bytes_out.set(progress.bytes_out.get() + estimate as u64);
        progress.was_sent.set(true);
        attempt.was_sent = true;
        attempt.sent_at = Some(Instant::now());
        let answer = match sending.await {
            Ok(answer) => answer,
            Err(mut error) => {
                if error.take_message().is_some() {
                    attempt.was_sent = false;
                    progress.was_sent.set(false);
                }
                return Err(failure_of(error.error(), &peer));
            }
        };
        attempt.first_byte_at = Some(Instant::now());
        attempt.status = answer.status().as_u16();
        attempt.headers = Headers::from_map(answer.headers());
        progress.status.set(attempt.status);
        if request.decode && request.method != "HEAD" {
            attempt.body.decode(Encodings::of(attempt.headers.all("content-encoding")));
        }
        let mut body = answer.into_body();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| failure_of(&error, &peer))?;
            if let Some(data) = frame.data_ref() {
                progress.bytes_in.set(progress.bytes_in.get() + data.len() as u64);
                attempt.body.push(data)?;
            }
        }
        attempt.body.finish()
    }
}

/// What a connection and its exchanges tell each other.
#[derive(Debug, Default)]
struct Wire {
    /// Read, and claimed by no exchange yet.
    bytes_in: Cell<u64>,
    /// Written, and claimed by no exchange yet.
    bytes_out: Cell<u64>,
    /// Why the stream can no longer be read.
    broken: RefCell<Option<Failure>>,
}

/// Counts what goes through.
#[derive(Debug)]
struct Counted {
    stream: Stream,
    wire: Rc<Wire>,
    peer: String,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if let Err(error) = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer)) {
            self.wire.broken.replace(Some(Failure::during_exchange(&error, &self.peer)));
            return Poll::Ready(Err(error));
        }
        let read = (buffer.filled().len() - before) as u64;
        self.wire.bytes_in.set(self.wire.bytes_in.get() + read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.wire.bytes_out.set(self.wire.bytes_out.get() + written as u64);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// hyper's tasks stay on the lane.
#[derive(Debug, Clone, Copy)]
struct Local;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for Local {
    fn execute(&self, task: F) {
        tokio::task::spawn_local(task);
    }
}

/// The request as hyper wants it. Fields that speak of one HTTP/1.1 connection have no place in HTTP/2.
fn message_of(request: &Request<'_>) -> Result<http::Request<Full<Bytes>>, Failure> {
    let refused = |error: http::Error| Failure::new(FailureKind::Protocol, format!("the request cannot be sent by HTTP/2: {error}"));
    let mut authority = request.origin.authority.clone();
    let mut builder = http::Request::builder().method(request.method).version(http::Version::HTTP_2);
    for line in request.headers.split(|&byte| byte == b'\n') {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let (name, value) = (line[..colon].to_ascii_lowercase(), line[colon + 1..].trim_ascii());
        match name.as_slice() {
            b"host" => authority = String::from_utf8_lossy(value).into_owned(),
            b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" | b"upgrade" => {}
            b"te" if !value.eq_ignore_ascii_case(b"trailers") => {}
            name => builder = builder.header(name, value),
        }
    }
    if request.body.is_none_or(<[u8]>::is_empty) && matches!(request.method, "POST" | "PUT" | "PATCH") {
        builder = builder.header("content-length", "0");
    }
    let body = Full::new(Bytes::copy_from_slice(request.body.unwrap_or_default()));
    builder.uri(format!("https://{authority}{}", request.path)).body(body).map_err(refused)
}

fn failure_of(error: &hyper::Error, peer: &str) -> Failure {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<io::Error>()
            && (io.raw_os_error().is_some() || io.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()))
        {
            return Failure::during_exchange(io, peer);
        }
        // The h2 crate's words begin so when it was we who found the fault.
        let text = inner.to_string();
        if text.contains("error detected") {
            return Failure::protocol(format!("bad HTTP/2 from {peer}: {text}"));
        }
        if text.contains("error received") {
            return Failure::new(FailureKind::Reset, format!("HTTP/2 {text} from {peer}"));
        }
        source = inner.source();
    }
    Failure::reset(peer)
}
