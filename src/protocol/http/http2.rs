//! HTTP/2 by the h2 crate: one connection to an origin, shared by all exchanges of a user.
//!
//! The connection's own work runs in a local task, which ends when the last sender is dropped. Here a stream is opened, the request sent
//! and its answer read; whether a stream that ended without an answer is tried again is decided in `connections`.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{Reason, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout_at;

use super::attempt::{Attempt, StreamEnd};
use super::body::Body;
use super::classify::{Failure, FailureKind};
use super::exchange::{ConnectionRules, Progress, Request, Version};
use super::headers::Headers;
use super::stream::Stream;
use super::turns::Turns;
use super::unpack::Encodings;

/// A connection that several exchanges share.
#[derive(Debug, Clone)]
pub(super) struct Shared {
    sender: SendRequest<Bytes>,
    wire: Rc<Wire>,
}

impl Shared {
    /// Greets the server and sets the connection's own task to work.
    ///
    /// # Errors
    /// `reset` when the greeting cannot be written.
    pub(super) async fn open(stream: Stream, peer: &str) -> Result<Self, Failure> {
        let wire = Rc::new(Wire::new());
        let counted = Counted { stream: Turns::new(stream), is_deaf: false, wire: Rc::clone(&wire), peer: peer.to_owned() };
        let mut builder = Builder::new();
        builder
            .enable_push(false)
            // The server's own limit comes with its first frame. Until then one stream is sure not to be refused.
            .initial_max_send_streams(1)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(HEAD_LIMIT)
            .max_send_buffer_size(SEND_BUFFER);
        let (sender, connection) = builder.handshake(counted).await.map_err(|error| failure_of(&error, peer).0)?;
        // How it ended is told to each exchange that it cut; there is nobody else to tell.
        tokio::task::spawn_local(async move { drop(connection.await) });
        Ok(Self { sender, wire })
    }

    /// No further stream can be opened: the server has said so, or the connection broke.
    pub(super) fn is_closed(&mut self) -> bool {
        matches!(self.sender.poll_ready(&mut Context::from_waker(Waker::noop())), Poll::Ready(Err(_)))
    }

    /// One more request begins.
    pub(super) fn count_request(&self) {
        self.wire.carried.set(self.wire.carried.get().saturating_add(1));
    }

    /// Whether it may carry another request at `now`.
    pub(super) fn allows_another(&self, rules: &ConnectionRules, now: Instant) -> bool {
        rules.allow_another(self.wire.carried.get(), || now.saturating_duration_since(self.wire.opened_at))
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
            began_at: None,
            sent_at: None,
            first_byte_at: None,
            ended_at: deadline,
            was_sent: false,
            stream_end: None,
        };
        let before = (progress.bytes_out.get(), progress.bytes_in.get());
        let result = timeout_at(deadline.into(), self.run(request, progress, &mut attempt)).await;
        attempt.failure = result.unwrap_or_else(|_| Err(Failure::timeout(request.timeout))).err();
        // h2 tells an exchange only that its connection is gone.
        if let (Some(failure), Some(cause)) = (&mut attempt.failure, self.wire.broken.borrow().as_ref())
            && failure.kind == FailureKind::Reset
            && attempt.stream_end.is_none()
        {
            failure.clone_from(cause);
        }
        if attempt.failure.is_some() && attempt.status == 0 && self.wire.is_http1.get() {
            attempt.failure = Some(Failure::not_http2(&request.origin.peer(), " without TLS (it answered in HTTP/1)"));
            attempt.stream_end = None;
        }
        attempt.ended_at = Instant::now();
        // A stream that the server never had room for has only waited.
        attempt.began_at.get_or_insert(attempt.ended_at);
        // The wire's bytes cannot be told apart by stream: what nobody has claimed yet is this exchange's, so that sums are right.
        progress.bytes_out.set(before.0 + self.wire.bytes_out.take());
        progress.bytes_in.set(before.1 + self.wire.bytes_in.take());
        attempt
    }

    async fn run(&mut self, request: &Request<'_>, progress: &Progress, attempt: &mut Attempt) -> Result<(), Failure> {
        let peer = request.origin.peer();
        let message = message_of(request)?;
        let body = request.body.filter(|body| !body.is_empty()).map(Bytes::copy_from_slice);
        let written = self.wire.written.get();
        let (response, sender) = match self.sender.send_request(message, body.is_none()) {
            Ok(stream) => stream,
            Err(error) if self.is_closed() => {
                let (failure, end) = failure_of(&error, &peer);
                // No stream was opened, whatever ended the connection.
                attempt.stream_end = Some(end.unwrap_or(StreamEnd::GoneAway));
                return Err(failure);
            }
            Err(error) => return Err(Failure::protocol(format!("the request cannot be sent by HTTP/2: {error}"))),
        };
        // Ends when the server's limit leaves room for this stream. How a connection ended meanwhile is told by the answer.
        let opened = poll_fn(|cx| self.sender.poll_ready(cx)).await;
        attempt.began_at = Some(Instant::now());
        attempt.was_sent = opened.is_ok() || self.wire.written.get() > written;
        progress.was_sent.set(attempt.was_sent);
        // An estimate while it is under way: it is not known when the connection's task writes.
        let length = request.headers.len() + request.path.len() + body.as_ref().map_or(0, Bytes::len);
        progress.bytes_out.set(progress.bytes_out.get() + length as u64);
        let sent_at = Cell::new(None);
        let result = {
            let mut sending = pin!(send(sender, body));
            let mut receiving = pin!(receive(response, request, progress, attempt));
            poll_fn(|cx| {
                if sent_at.get().is_none() && sending.as_mut().poll(cx).is_ready() {
                    sent_at.set(Some(Instant::now()));
                }
                receiving.as_mut().poll(cx)
            })
            .await
        };
        attempt.sent_at = sent_at.get();
        result.map_err(|broken| match broken {
            Broken::ByUs(failure) => failure,
            Broken::Stream(error) => {
                let (failure, end) = failure_of(&error, &peer);
                attempt.stream_end = end;
                let is_refused = error.is_library() && error.is_reset();
                if is_refused { words_of_bad_answer(attempt, &peer).unwrap_or(failure) } else { failure }
            }
        })
    }
}

/// Hands the body over as the server's windows allow. It may end early: an answer can come before the request's end, and says itself
/// whether that is a failure.
async fn send(mut stream: SendStream<Bytes>, body: Option<Bytes>) {
    let Some(mut rest) = body else { return };
    while !rest.is_empty() {
        stream.reserve_capacity(rest.len().min(SEND_STEP));
        let Some(Ok(room)) = poll_fn(|cx| stream.poll_capacity(cx)).await else { return };
        let part = rest.split_to(room.min(rest.len()));
        if !part.is_empty() && stream.send_data(part, rest.is_empty()).is_err() {
            return;
        }
    }
}

/// Reads the answer to its end.
async fn receive(response: ResponseFuture, request: &Request<'_>, progress: &Progress, attempt: &mut Attempt) -> Result<(), Broken> {
    let answer = response.await.map_err(Broken::Stream)?;
    attempt.first_byte_at = Some(Instant::now());
    attempt.status = answer.status().as_u16();
    attempt.headers = Headers::from_map(answer.headers());
    progress.status.set(attempt.status);
    if request.decode && request.method != "HEAD" {
        attempt.body.is_packed_by(Encodings::of(attempt.headers.all("content-encoding")));
    }
    let mut body = answer.into_body();
    let mut since_rest = 0;
    while let Some(data) = body.data().await {
        let data = data.map_err(Broken::Stream)?;
        progress.bytes_in.set(progress.bytes_in.get() + data.len() as u64);
        // Fails only where the connection is gone, which the next read tells.
        drop(body.flow_control().release_capacity(data.len()));
        attempt.body.push(&data).map_err(Broken::ByUs)?;
        since_rest += data.len();
        if since_rest >= READ_PER_TURN {
            since_rest = 0;
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

/// Why an answer is not whole.
enum Broken {
    /// What came is not acceptable.
    ByUs(Failure),
    /// The stream or its connection ended.
    Stream(h2::Error),
}

/// What a connection and its exchanges tell each other.
#[derive(Debug)]
struct Wire {
    opened_at: Instant,
    /// Requests so far, those under way included.
    carried: Cell<u32>,
    /// What came first was no frame, but an answer in HTTP/1.
    is_http1: Cell<bool>,

    /// Read, and claimed by no exchange yet.
    bytes_in: Cell<u64>,
    /// Written, and claimed by no exchange yet.
    bytes_out: Cell<u64>,
    /// All that was ever written.
    written: Cell<u64>,
    /// A byte has come from the server.
    has_read: Cell<bool>,
    /// Why the stream can no longer be read.
    broken: RefCell<Option<Failure>>,
}

impl Wire {
    fn new() -> Self {
        Self {
            opened_at: Instant::now(),
            carried: Cell::default(),
            is_http1: Cell::default(),
            bytes_in: Cell::default(),
            bytes_out: Cell::default(),
            written: Cell::default(),
            has_read: Cell::default(),
            broken: RefCell::default(),
        }
    }
}

/// Counts what goes through.
#[derive(Debug)]
struct Counted {
    stream: Turns<Stream>,
    /// The server takes nothing any more; what it has said can still be read.
    is_deaf: bool,
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
        if read > 0 && !self.wire.has_read.replace(true) {
            self.wire.is_http1.set(buffer.filled()[before..].starts_with(b"HTTP/1"));
        }
        self.wire.bytes_in.set(self.wire.bytes_in.get() + read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Counted {
    /// A server that has closed may have said before what it has not looked at. h2 would give all streams up at the first failed write, with
    /// that unread; so what can no longer be written is dropped, and reading on tells how the connection ended.
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_deaf {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = match ready!(Pin::new(&mut self.stream).poll_write(cx, bytes)) {
            Ok(written) => written,
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => {
                self.is_deaf = true;
                self.wire.broken.replace(Some(Failure::during_exchange(&error, &self.peer)));
                return Poll::Ready(Ok(bytes.len()));
            }
            Err(error) => return Poll::Ready(Err(error)),
        };
        self.wire.bytes_out.set(self.wire.bytes_out.get() + written as u64);
        self.wire.written.set(self.wire.written.get() + written as u64);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.stream).poll_flush(cx)) {
            Err(error) if !self.is_deaf && !matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => {
                Poll::Ready(Err(error))
            }
            Err(_) => {
                self.is_deaf = true;
                Poll::Ready(Ok(()))
            }
            Ok(()) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The request as h2 wants it.
fn message_of(request: &Request<'_>) -> Result<http::Request<()>, Failure> {
    let (mut headers, host) = fields_of(request.headers).map_err(refused)?;
    match request.body.map_or(0, <[u8]>::len) {
        0 if !matches!(request.method, "POST" | "PUT" | "PATCH") => {}
        length => drop(headers.insert(http::header::CONTENT_LENGTH, length.into())),
    }
    let authority = host.as_deref().unwrap_or(&request.origin.authority);
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(if request.origin.tls { http::uri::Scheme::HTTPS } else { http::uri::Scheme::HTTP });
    parts.authority = Some(http::uri::Authority::try_from(authority).map_err(|error| refused(error.into()))?);
    parts.path_and_query = Some(http::uri::PathAndQuery::try_from(request.path).map_err(|error| refused(error.into()))?);
    let mut message = http::Request::new(());
    *message.method_mut() = http::Method::from_bytes(request.method.as_bytes()).map_err(|error| refused(error.into()))?;
    *message.uri_mut() = http::Uri::from_parts(parts).map_err(|error| refused(error.into()))?;
    *message.version_mut() = http::Version::HTTP_2;
    *message.headers_mut() = headers;
    Ok(message)
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn refused(error: http::Error) -> Failure {
    Failure::new(FailureKind::Protocol, format!("the request cannot be sent by HTTP/2: {error}"))
}

/// The fields of a header block, and the `host` that stands among them. Those that speak of one HTTP/1.1 connection have no place in HTTP/2. A script says
/// the same again and again; so the last block is remembered.
fn fields_of(block: &[u8]) -> Result<Fields, http::Error> {
    thread_local! {
        static LAST: RefCell<Option<(Vec<u8>, Fields)>> = const { RefCell::new(None) };
    }
    LAST.with_borrow_mut(|last| {
        if let Some((known, fields)) = last
            && known.as_slice() == block
        {
            return Ok(fields.clone());
        }
        let fields = parse_fields(block)?;
        *last = Some((block.to_vec(), fields.clone()));
        Ok(fields)
    })
}

/// Header fields, and the `host` that stood among them.
type Fields = (HeaderMap, Option<Rc<str>>);

fn parse_fields(block: &[u8]) -> Result<Fields, http::Error> {
    let (mut headers, mut host) = (HeaderMap::new(), None);
    for line in block.split(|&byte| byte == b'\n') {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let (name, value) = (line[..colon].to_ascii_lowercase(), line[colon + 1..].trim_ascii());
        match name.as_slice() {
            b"host" => host = Some(String::from_utf8_lossy(value).into()),
            b"connection" | b"keep-alive" | b"proxy-connection" | b"transfer-encoding" | b"upgrade" => {}
            b"te" if !value.eq_ignore_ascii_case(b"trailers") => {}
            name => drop(headers.try_append(HeaderName::from_bytes(name)?, HeaderValue::from_bytes(value)?)?),
        }
    }
    Ok((headers, host))
}

/// An error of a stream or its connection in words, and what it says of the request.
fn failure_of(error: &h2::Error, peer: &str) -> (Failure, Option<StreamEnd>) {
    let Some(reason) = error.reason() else {
        return (Failure::reset(peer), None);
    };
    let name = name_of(reason);
    if !error.is_remote() {
        return (Failure::protocol(format!("bad HTTP/2 from {peer}: {name}")), None);
    }
    if error.is_reset() {
        let end = match reason {
            Reason::REFUSED_STREAM => StreamEnd::Refused,
            Reason::HTTP_1_1_REQUIRED => StreamEnd::Http11Required,
            _ => StreamEnd::Reset,
        };
        return (Failure::new(FailureKind::Reset, format!("stream reset by {peer}: {name}")), Some(end));
    }
    // h2 tells a stream of a GOAWAY only if it lies above the last one that the server will process.
    let end = if reason == Reason::HTTP_1_1_REQUIRED { StreamEnd::Http11Required } else { StreamEnd::GoneAway };
    (Failure::new(FailureKind::Reset, format!("connection ended by {peer} before it looked at the request: GOAWAY {name}")), Some(end))
}

/// What h2 refused of an answer, where it can be told from what came of it.
fn words_of_bad_answer(attempt: &Attempt, peer: &str) -> Option<Failure> {
    let what = match (attempt.status, attempt.headers.get("content-length")) {
        (0, _) => format!("the head of the answer is malformed or larger than {HEAD_LIMIT} bytes"),
        (_, Some(length)) => format!("the body is not as long as its content-length of {} says", String::from_utf8_lossy(length)),
        (_, None) => return None,
    };
    Some(Failure::protocol(format!("bad HTTP/2 from {peer}: {what}")))
}

/// As RFC 9113, section 7, calls it.
fn name_of(reason: Reason) -> String {
    let code = u32::from(reason);
    match ERROR_CODES.get(code as usize) {
        Some(name) => (*name).to_owned(),
        None => format!("error code {code:#x}"),
    }
}

const ERROR_CODES: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

/// What a server may send before it is told that there is room for more: on one stream, and on all of a connection.
const STREAM_WINDOW: u32 = 2 << 20;
const CONNECTION_WINDOW: u32 = 5 << 20;

/// Of an answer's head, as for HTTP/1.1.
const HEAD_LIMIT: u32 = 64 << 10;

/// Of one stream, beyond what the server's window takes.
const SEND_BUFFER: usize = 1 << 20;

/// So much of a body is handed over at a time.
const SEND_STEP: usize = 64 << 10;

/// After so many bytes others have a turn, and the deadline is looked at.
const READ_PER_TURN: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[test]
    fn what_a_server_said_before_it_closed_is_read_although_nothing_can_be_written() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (mut server, _) = listener.accept().unwrap();
            server.write_all(b"GOAWAY").unwrap();
            // Closed with something unread: a reset, not an end.
            (&client).write_all(b"unread").unwrap();
            let mut byte = [0];
            while server.peek(&mut byte).unwrap() == 0 {}
            drop(server);
            client.set_nonblocking(true).unwrap();
            // The kernel knows of the reset once it wakes who waits for it.
            let stream = tokio::net::TcpStream::from_std(client).unwrap();
            stream.ready(tokio::io::Interest::ERROR | tokio::io::Interest::READABLE).await.unwrap();
            let stream = Turns::new(Stream::Plain(stream));
            let mut counted = Counted { stream, is_deaf: false, wire: Rc::new(Wire::new()), peer: "h:1".to_owned() };
            for _ in 0..3 {
                counted.write_all(b"more").await.unwrap();
                counted.flush().await.unwrap();
            }
            assert!(counted.is_deaf);
            let mut said = [0; 6];
            counted.read_exact(&mut said).await.unwrap();
            assert_eq!(&said, b"GOAWAY");
            assert!(!matches!(counted.read(&mut said).await, Ok(1..)));
        });
    }
}
