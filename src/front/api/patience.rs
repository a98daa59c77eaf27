//! How long a connection may take: a wrapper around its socket that fails where a client is too slow. Knows nothing of HTTP but its phases,
//! and that a head which says two ends of its body is ambiguous: what stands on this socket hides one of the two from whoever comes later.
//!
//! | the connection | may last | until |
//! |---|---|---|
//! | is new and has said nothing | `arrival` | its first byte |
//! | waits for a further request | `idle` | its first byte |
//! | receives a request's head | `arrival` | the service is called |
//! | has a request under way | no bound here; the service has its own | the answer is handed over |
//! | writes and the client does not read | `idle` | the next byte goes |
//!
//! In HTTP/2 frames come outside of requests, so that only `idle` holds.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::Limits;

/// A socket, or TLS over one, with a watch on its client.
#[derive(Debug)]
pub(super) struct PatientStream<S> {
    stream: S,
    limits: Limits,
    progress: Arc<Mutex<Progress>>,
    read_alarm: Pin<Box<Sleep>>,
    /// Set while a write waits.
    write_alarm: Option<Pin<Box<Sleep>>>,
    is_http2: Option<bool>,
    /// Nothing has come yet.
    is_new: bool,
    /// Of HTTP/1: what has come of the head that is on its way.
    head: Vec<u8>,
}

impl<S> PatientStream<S> {
    pub fn new(stream: S, limits: Limits) -> Self {
        let now = Instant::now();
        let progress = Progress { active: 0, head_since: Some(now), last: now, is_ambiguous: false };
        Self {
            stream,
            limits,
            progress: Arc::new(Mutex::new(progress)),
            read_alarm: Box::pin(sleep_until(now + limits.arrival)),
            write_alarm: None,
            is_http2: None,
            is_new: true,
            head: Vec::new(),
        }
    }

    /// For the service, to tell when requests are under way.
    pub fn watch(&self) -> Watch {
        Watch(Arc::clone(&self.progress))
    }

    fn on_read(&mut self, bytes: &[u8]) {
        let is_http2 =
            *self.is_http2.get_or_insert(bytes.first() == Some(&b'P') && HTTP2_PREFACE.starts_with(&bytes[..bytes.len().min(4)]));
        let mut progress = lock(&self.progress);
        progress.last = Instant::now();
        if self.is_new {
            (self.is_new, progress.head_since) = (false, None);
        }
        if is_http2 || progress.active > 0 {
            return;
        }
        if progress.head_since.is_none() {
            progress.head_since = Some(progress.last);
            self.head.clear();
        }
        let room = HEAD_SEEN.saturating_sub(self.head.len());
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        progress.is_ambiguous = says_two_ends(&self.head);
    }

    /// When the client has been waited for long enough; never while a request is under way.
    fn read_deadline(&self) -> Option<Instant> {
        let progress = lock(&self.progress);
        match progress.head_since {
            _ if progress.active > 0 => None,
            Some(since) => Some(since + self.limits.arrival),
            None => Some(progress.last + self.limits.idle),
        }
    }

    fn written<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.write_alarm = None;
            lock(&self.progress).last = Instant::now();
            return result;
        }
        let deadline = Instant::now() + self.limits.idle;
        let alarm = self.write_alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        ready!(alarm.as_mut().poll(cx));
        Poll::Ready(Err(too_slow()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PatientStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        if let Poll::Ready(result) = Pin::new(&mut this.stream).poll_read(cx, buffer) {
            if buffer.filled().len() > before {
                this.on_read(&buffer.filled()[before..]);
            }
            return Poll::Ready(result);
        }
        let Some(deadline) = this.read_deadline() else { return Poll::Pending };
        if this.read_alarm.deadline() != deadline {
            this.read_alarm.as_mut().reset(deadline);
        }
        ready!(this.read_alarm.as_mut().poll(cx));
        Poll::Ready(Err(too_slow()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PatientStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.written(cx, result)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, slices: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.written(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // TLS keeps what it could not write yet.
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_flush(cx);
        if result.is_ready() && this.write_alarm.is_none() { result } else { this.written(cx, result) }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_shutdown(cx);
        this.written(cx, result)
    }
}

/// Tells a connection's socket when requests are under way.
#[derive(Debug, Clone)]
pub(super) struct Watch(Arc<Mutex<Progress>>);

impl Watch {
    /// A request's head is whole. The request is under way until what is returned is dropped.
    pub fn begin(&self) -> UnderWay {
        let mut progress = lock(&self.0);
        progress.active += 1;
        progress.head_since = None;
        UnderWay { is_ambiguous: std::mem::take(&mut progress.is_ambiguous), progress: Arc::clone(&self.0) }
    }
}

/// One request that is under way.
#[derive(Debug)]
pub(super) struct UnderWay {
    /// Its head says both a length of its body and that it comes in chunks.
    pub is_ambiguous: bool,
    progress: Arc<Mutex<Progress>>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut progress = lock(&self.progress);
        progress.active -= 1;
        progress.last = Instant::now();
    }
}

#[derive(Debug)]
struct Progress {
    /// Requests that are being answered.
    active: usize,
    /// When the first byte came of a head that is not whole yet.
    head_since: Option<Instant>,
    /// When the last byte came or went, or the last request ended.
    last: Instant,
    /// See [`UnderWay::is_ambiguous`]; of the head that is on its way.
    is_ambiguous: bool,
}

fn lock(progress: &Mutex<Progress>) -> std::sync::MutexGuard<'_, Progress> {
    // Three plain fields are sound whatever panicked beside them.
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a head of HTTP/1 has both Content-Length and Transfer-Encoding; what comes after it is none of it.
fn says_two_ends(head: &[u8]) -> bool {
    let lines = head.split(|byte| *byte == b'\n').skip(1).map(<[u8]>::trim_ascii_end).take_while(|line| !line.is_empty());
    let names: Vec<&[u8]> = lines.filter_map(|line| line.split(|byte| *byte == b':').next()).collect();
    let has = |name: &[u8]| names.iter().any(|other| other.trim_ascii().eq_ignore_ascii_case(name));
    has(b"content-length") && has(b"transfer-encoding")
}

fn too_slow() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the client is too slow")
}

/// Bytes of a head that are looked at; a longer one is refused by its length.
const HEAD_SEEN: usize = 32 << 10;

const HTTP2_PREFACE: &[u8] = b"PRI ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_that_says_two_ends_of_its_body_is_seen_in_either_order_and_a_body_is_no_head() {
        for head in [
            "POST / HTTP/1.1\r\nContent-Length: 3\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding : chunked\r\nCONTENT-LENGTH:3\r\n\r\n",
        ] {
            assert!(says_two_ends(head.as_bytes()), "{head}");
        }
        for head in [
            "POST / HTTP/1.1\r\ncontent-length: 40\r\n\r\ntransfer-encoding: chunked\r\n",
            "content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
            "GET / HTTP/1.1\r\nx: content-length: transfer-encoding:\r\n\r\n",
            "",
        ] {
            assert!(!says_two_ends(head.as_bytes()), "{head}");
        }
    }
}
