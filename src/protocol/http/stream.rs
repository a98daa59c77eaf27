//! A byte stream to a server, with or without TLS.

use std::cell::RefCell;
use std::io;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// What a connection's bytes go through.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    /// Boxed: its state is a kilobyte, and plain streams shall stay small.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Whether an idle stream can still be used: open, and nothing unasked for has come.
    ///
    /// No system call in the usual case: the runtime has been told by the kernel whether there is anything to read. It hears of it only
    /// when all tasks rest, so a connection that is used again at once can have ended unnoticed: `is_wary` asks the kernel itself.
    pub(super) fn is_quiet(&mut self, is_wary: bool) -> bool {
        let mut byte = [0; 1];
        match self {
            Self::Plain(stream) => {
                matches!(stream.try_read(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
                    && !(is_wary && waiting_bytes(stream) != Waiting::Nothing)
            }
            // Through TLS: session tickets come at any time and mean nothing.
            Self::Tls(stream) => {
                let mut cx = Context::from_waker(Waker::noop());
                Pin::new(stream.as_mut()).poll_read(&mut cx, &mut ReadBuf::new(&mut byte)).is_pending()
                    && !(is_wary && waiting_bytes(stream.get_ref().0) == Waiting::End)
            }
        }
    }

    /// HTTP/2 was agreed on.
    pub(super) fn is_http2(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(stream) => stream.get_ref().1.alpn_protocol() == Some(b"h2"),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, parts: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write_vectored(cx, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}

/// Room for what is read, of whatever connection, until `read` returns. No connection has a buffer of its own.
#[inline]
pub(super) fn with_input<T>(read: impl FnOnce(&mut [u8]) -> T) -> T {
    thread_local! {
        static INPUT: RefCell<Box<[u8]>> = RefCell::new(vec![0; 64 * 1024].into_boxed_slice());
    }
    INPUT.with_borrow_mut(|input| read(input))
}

/// What the kernel holds for a socket that nobody has read yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    Nothing,
    Bytes,
    /// The peer has closed, or the connection is broken.
    End,
}

/// Asks the kernel, and takes nothing away.
fn waiting_bytes(stream: &TcpStream) -> Waiting {
    let mut byte = 0_u8;
    // SAFETY: the descriptor is open as long as `stream` is borrowed, and `byte` has room for the one byte asked for.
    let peeked = unsafe { libc::recv(stream.as_raw_fd(), (&raw mut byte).cast(), 1, libc::MSG_PEEK | libc::MSG_DONTWAIT) };
    match peeked {
        1.. => Waiting::Bytes,
        0 => Waiting::End,
        _ if io::Error::last_os_error().kind() == io::ErrorKind::WouldBlock => Waiting::Nothing,
        _ => Waiting::End,
    }
}
