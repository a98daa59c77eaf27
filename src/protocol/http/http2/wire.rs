//! The socket under a session: who reads and writes it, and when it is closed.
//!
//! Invariant: nothing is borrowed when somebody is woken, nor across an await.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frame::Code;
use super::session::Session;
use crate::protocol::http::classify::Failure;
use crate::protocol::http::stream::{Stream, with_input};
use crate::protocol::http::timer::Timer;
use crate::protocol::http::turns::Turns;

/// A session and its socket.
#[derive(Debug)]
pub(super) struct Wire {
    session: RefCell<Session>,
    socket: RefCell<Socket>,
    timer: RefCell<Timer>,
    /// Of the connection's task; `None` before its first step and behind its last.
    task: RefCell<Option<Waker>>,
    /// The task has been woken and has not looked yet.
    is_woken: Cell<bool>,
    pub(super) peer: Box<str>,
}

#[derive(Debug)]
struct Socket {
    /// `None` once it is closed.
    stream: Option<Turns<Stream>>,
    /// What it has taken may not have gone out yet.
    needs_flush: bool,
    /// The server takes nothing any more; what it has said can still be read.
    is_deaf: bool,
    /// Why it takes nothing.
    broken: Option<Failure>,
}

impl Wire {
    pub(super) fn new(stream: Stream, peer: &str, session: Session) -> Self {
        Self {
            session: RefCell::new(session),
            socket: RefCell::new(Socket { stream: Some(Turns::new(stream)), needs_flush: false, is_deaf: false, broken: None }),
            timer: RefCell::default(),
            task: RefCell::default(),
            is_woken: Cell::new(true),
            peer: peer.into(),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.session.borrow().is_closed()
    }

    /// Asks the session; whoever that concerns is woken afterwards.
    pub(super) fn with<T>(&self, ask: impl FnOnce(&mut Session) -> T) -> T {
        let mut session = self.session.borrow_mut();
        let answer = ask(&mut session);
        let wakers = session.take_wakers();
        drop(session);
        wakers.into_iter().for_each(Waker::wake);
        answer
    }

    /// What the connection's task does until it is closed.
    pub(super) async fn run(self: Rc<Self>) {
        poll_fn(|cx| self.poll(cx)).await;
    }

    /// Reads and writes what there is. Ready once the connection is over.
    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut *self.task.borrow_mut() {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        self.is_woken.set(false);
        self.write(cx);
        while self.read(cx).is_ready() {}
        self.write(cx);
        while let Some(earliest) = self.with(|session| session.expire(Instant::now())) {
            if self.timer.borrow_mut().poll(cx, earliest).is_pending() {
                break;
            }
        }
        let is_over = self.with(|session| session.over().is_some() || session.is_closed() && session.streams.open() == 0);
        if is_over {
            self.close();
        }
        if self.socket.borrow().stream.is_some() {
            return Poll::Pending;
        }
        self.task.take();
        Poll::Ready(())
    }

    /// The task looks again: there is something to be written, or a nearer deadline.
    pub(super) fn wake_task(&self) {
        if !self.is_woken.replace(true)
            && let Some(task) = &*self.task.borrow()
        {
            task.wake_by_ref();
        }
    }

    /// Whether the task looks by `deadline` by itself.
    pub(super) fn is_awake_by(&self, deadline: Instant) -> bool {
        self.is_woken.get() || self.timer.borrow().is_armed_for(deadline)
    }

    /// Reads once. Ready where there may be more.
    fn read(&self, cx: &mut Context<'_>) -> Poll<()> {
        with_input(|input| {
            let mut buffer = ReadBuf::new(input);
            let mut socket = self.socket.borrow_mut();
            let Some(stream) = &mut socket.stream else { return Poll::Pending };
            let Poll::Ready(result) = Pin::new(stream).poll_read(cx, &mut buffer) else { return Poll::Pending };
            drop(socket);
            let broken = || self.socket.borrow().broken.clone();
            let bytes = buffer.filled();
            match result {
                Ok(()) if !bytes.is_empty() => {
                    // Before the bytes are looked at: to read them is our time, not the target's.
                    let read_at = Instant::now();
                    let is_over = self.with(|session| {
                        session.on_bytes(bytes, read_at);
                        session.over().is_some()
                    });
                    return if is_over { Poll::Pending } else { Poll::Ready(()) };
                }
                Ok(()) => self.with(|session| session.on_close(broken(), Instant::now())),
                Err(error) => {
                    let failure = broken().unwrap_or_else(|| Failure::during_exchange(&error, &self.peer));
                    self.with(|session| session.on_close(Some(failure), Instant::now()));
                }
            }
            Poll::Pending
        })
    }

    /// Writes what waits to be, as far as the socket takes it.
    ///
    /// A server that has closed may have said before what it has not looked at. So what can no longer be written is dropped, and reading on tells
    /// how the connection ended.
    pub(super) fn write(&self, cx: &mut Context<'_>) {
        self.with(|session| {
            let mut socket = self.socket.borrow_mut();
            let Socket { stream: Some(stream), needs_flush, is_deaf: false, .. } = &mut *socket else { return };
            let mut stream = Pin::new(stream);
            let mut error = None;
            while error.is_none() && !session.output().is_empty() {
                match stream.as_mut().poll_write(cx, session.output()) {
                    Poll::Ready(Ok(count)) => session.on_written(count),
                    Poll::Ready(Err(why)) => error = Some(why),
                    Poll::Pending => break,
                }
                *needs_flush = true;
            }
            if error.is_none() && *needs_flush {
                match stream.poll_flush(cx) {
                    Poll::Ready(Ok(())) => {
                        *needs_flush = false;
                        session.on_flushed(Instant::now());
                    }
                    Poll::Ready(Err(why)) => error = Some(why),
                    Poll::Pending => {}
                }
            }
            let Some(error) = error else { return };
            let failure = Failure::during_exchange(&error, &self.peer);
            socket.is_deaf = true;
            if matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) {
                session.refuse_more();
                socket.broken = Some(failure);
            } else {
                session.on_close(Some(failure), Instant::now());
            }
        });
    }

    /// Whether all that there was has gone out.
    pub(super) fn is_flushed(&self) -> bool {
        !self.socket.borrow().needs_flush && self.session.borrow().output().is_empty()
    }

    /// Says farewell, as far as the socket takes it, and closes it.
    pub(super) fn close(&self) {
        let mut cx = Context::from_waker(Waker::noop());
        self.with(|session| {
            if session.over().is_none() {
                session.go_away(Code::NO_ERROR);
            }
        });
        self.write(&mut cx);
        let closed = self.socket.borrow_mut().stream.take();
        if let Some(mut stream) = closed {
            // It says that it is done, and waits for nobody.
            let _ = Pin::new(&mut stream).poll_shutdown(&mut cx);
        }
        self.with(|session| session.on_close(None, Instant::now()));
        self.wake_task();
    }
}
