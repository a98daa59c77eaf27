//! HTTP/2 by hand: one connection to an origin, shared by all exchanges of a user.
//!
//! A [`Session`] knows the protocol; here it meets a socket. What comes from the server is read by a task of the connection's own, so that pings
//! are answered when nobody asks anything; it ends with the last [`Shared`]. An exchange that is alone on its connection writes by itself; several
//! are written together, by that task. Whether a stream that ended without an answer is tried again is decided in `connections`.

mod answer;
mod decoder;
mod encoder;
mod exchange;
mod fields;
mod frame;
mod huffman;
mod line;
mod session;
mod streams;
mod wire;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use super::attempt::Attempt;
use super::exchange::{ConnectionRules, Progress, Request};
use super::stream::Stream;
use session::Session;
use wire::Wire;

/// A connection that several exchanges share.
#[derive(Debug)]
pub(super) struct Shared {
    wire: Rc<Wire>,
    life: Rc<Life>,
}

/// What all who share a connection know of it.
#[derive(Debug)]
struct Life {
    opened_at: Instant,
    /// Requests so far, those under way included.
    carried: Cell<u32>,
    /// Who may still begin an exchange.
    sharers: Cell<usize>,
}

impl Shared {
    /// Sets a connection's task to work on a stream to `peer`. The greeting goes out with the first request.
    pub(super) fn open(stream: Stream, peer: &str) -> Self {
        let wire = Rc::new(Wire::new(stream, peer, Session::new()));
        // How it ended is told to each exchange that it cut; there is nobody else to tell.
        tokio::task::spawn_local(Rc::clone(&wire).run());
        Self { wire, life: Rc::new(Life { opened_at: Instant::now(), carried: Cell::new(0), sharers: Cell::new(1) }) }
    }

    /// No further stream can be opened: the server has said so, or the connection broke.
    pub(super) fn is_closed(&self) -> bool {
        self.wire.is_closed()
    }

    /// Whether nothing at all has come from the server since `moment`.
    pub(super) fn is_silent_since(&self, moment: Instant) -> bool {
        self.wire.with(|session| session.is_silent_since(moment))
    }

    /// One more request begins.
    pub(super) fn count_request(&self) {
        self.life.carried.set(self.life.carried.get().saturating_add(1));
    }

    /// Whether it may carry another request at `now`.
    pub(super) fn allows_another(&self, rules: &ConnectionRules, now: Instant) -> bool {
        rules.allow_another(self.life.carried.get(), || now.saturating_duration_since(self.life.opened_at))
    }

    /// Both are the same connection.
    pub(super) fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.wire, &other.wire)
    }

    /// Sends the request and reads its answer, until `deadline`.
    pub(super) async fn exchange(&self, request: &Request<'_>, progress: &Progress, deadline: Instant) -> Attempt {
        exchange::exchange(&self.wire, request, progress, deadline).await
    }
}

impl Clone for Shared {
    fn clone(&self) -> Self {
        self.life.sharers.set(self.life.sharers.get() + 1);
        Self { wire: Rc::clone(&self.wire), life: Rc::clone(&self.life) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.life.sharers.set(self.life.sharers.get() - 1);
        if self.life.sharers.get() == 0 {
            self.wire.close();
        }
    }
}
