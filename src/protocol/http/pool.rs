//! The connections of one user that are not in use, how many are, and who waits for one.
//!
//! Invariant: nothing here is borrowed across an await, so several exchanges of one user may run at the same time.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Instant;

use tokio::sync::Notify;
use tokio::time::timeout_at;

use super::exchange::{ConnectionRules, Request};
use super::http1::Connection;
use super::http2::Shared;
use super::origin::Origin;

/// Connections: idle ones, those in use as far as their number counts, and those that are shared.
#[derive(Debug, Default)]
pub(super) struct Pool {
    /// HTTP/1.1, most recently used last.
    places: RefCell<Vec<Entry>>,
    /// HTTP/2, at most one an origin.
    shared: RefCell<Vec<(Rc<Origin>, Shared)>>,
    /// Origins to which a connection is being made that others may be able to share.
    opening: RefCell<Vec<(Rc<Origin>, Rc<Notify>)>>,
    /// Who waits for a place, in order. Invariant: none waits where there is room for it, but those who have been called.
    line: RefCell<VecDeque<(Rc<Origin>, Rc<Notify>)>>,
    in_use: Cell<u32>,
    /// Made when somebody first has to wait.
    freed: RefCell<Option<Rc<Notify>>>,
}

/// A place for an HTTP/1.1 connection.
#[derive(Debug)]
struct Entry {
    origin: Rc<Origin>,
    /// `None` while it is in use or being made.
    idle: Option<Box<Connection>>,
}

impl Entry {
    fn is_to(&self, origin: &Rc<Origin>) -> bool {
        is_same(&self.origin, origin)
    }
}

impl Pool {
    /// The most recently used connection for `request` that is still open, as a browser picks it, and its place. Closed ones on the way are
    /// dropped, and those that are past what the request's rules allow. `None` too where others wait in line for a place.
    ///
    /// `is_wary` asks the kernel, which knows of an end that the runtime has not been told of yet; for one system call.
    pub(super) fn take<'a>(&'a self, request: &'a Request<'_>, now: Instant, is_wary: bool) -> Option<(Box<Connection>, Place<'a>)> {
        if self.line.borrow().iter().any(|(waiting, _)| is_same(waiting, &request.origin)) {
            return None;
        }
        self.take_idle(request, now, is_wary)
    }

    fn take_idle<'a>(&'a self, request: &'a Request<'_>, now: Instant, is_wary: bool) -> Option<(Box<Connection>, Place<'a>)> {
        let (origin, rules) = (&request.origin, &request.connection);
        let mut places = self.places.borrow_mut();
        let mut end = places.len();
        loop {
            let at = places[..end]
                .iter()
                .rposition(|entry| entry.is_to(origin) && entry.idle.as_ref().is_some_and(|connection| connection.fits(rules.offer)))?;
            if places.iter().filter(|entry| entry.idle.is_none() && entry.is_to(origin)).count() >= rules.max_connections as usize {
                return None;
            }
            let mut connection = places[at].idle.take()?;
            if connection.allows_another(rules, now) && connection.is_quiet(is_wary) {
                return Some((connection, Place { pool: self, origin }));
            }
            places.remove(at);
            end = at;
        }
    }

    /// A place for a connection to be made, if there is room under `max`. Idle connections to the origin that this request cannot use give way.
    fn reserve<'a>(&'a self, origin: &'a Rc<Origin>, max: u32) -> Option<Place<'a>> {
        let mut places = self.places.borrow_mut();
        let (mut open, mut in_use) = (0, 0);
        for entry in places.iter().filter(|entry| entry.is_to(origin)) {
            open += 1;
            in_use += u32::from(entry.idle.is_none());
        }
        if in_use >= max {
            return None;
        }
        while open >= max {
            let oldest = places.iter().position(|entry| entry.idle.is_some() && entry.is_to(origin))?;
            places.remove(oldest);
            open -= 1;
        }
        // Of all origins the connection that was idle longest gives way.
        if places.len() >= CONNECTIONS_LIMIT as usize
            && let Some(oldest) = places.iter().position(|entry| entry.idle.is_some())
        {
            places.remove(oldest);
        }
        if places.capacity() == 0 {
            // Most users have one connection; the usual growth would begin at four.
            places.reserve_exact(1);
        }
        places.push(Entry { origin: Rc::clone(origin), idle: None });
        Some(Place { pool: self, origin })
    }

    /// Waits in line for a place, and for a connection in it where one is idle that the request may use (`reuses`). `None` if that is not
    /// before `deadline`.
    pub(super) async fn place<'a>(
        &'a self,
        request: &'a Request<'_>,
        reuses: bool,
        is_wary: bool,
        deadline: Instant,
    ) -> Option<(Option<Box<Connection>>, Place<'a>)> {
        let (origin, max) = (&request.origin, request.connection.max_connections);
        let is_first_come = !self.line.borrow().iter().any(|(waiting, _)| is_same(waiting, origin));
        if is_first_come && let Some(place) = self.reserve(origin, max) {
            return Some((None, place));
        }
        let turn = Turn { pool: self, origin, called: Rc::default() };
        self.line.borrow_mut().push_back((Rc::clone(origin), Rc::clone(&turn.called)));
        loop {
            if turn.is_first() {
                let idle = if reuses { self.take_idle(request, Instant::now(), is_wary) } else { None };
                if let Some((connection, place)) = idle {
                    return Some((Some(connection), place));
                }
                if let Some(place) = self.reserve(origin, max) {
                    return Some((None, place));
                }
            }
            timeout_at(deadline.into(), turn.called.notified()).await.ok()?;
        }
    }

    /// Whoever has waited longest for a place at `origin` looks again.
    fn call_first(&self, origin: &Rc<Origin>) {
        let line = self.line.borrow();
        if let Some((_, called)) = line.iter().find(|(waiting, _)| is_same(waiting, origin)) {
            called.notify_one();
        }
    }

    /// Closes what is idle.
    pub(super) fn clear(&self) {
        self.places.borrow_mut().retain(|entry| entry.idle.is_none());
        self.shared.take();
    }

    /// The open HTTP/2 connection to `origin`, if there is one that takes another request by `rules`; that request is counted. One that takes
    /// none is closed once its last answer has come.
    pub(super) fn shared_with(&self, origin: &Rc<Origin>, rules: &ConnectionRules) -> Option<Shared> {
        let mut shared = self.shared.borrow_mut();
        shared.retain_mut(|(known, connection)| {
            !connection.is_closed() && (!is_same(known, origin) || connection.allows_another(rules, Instant::now()))
        });
        let (_, connection) = shared.iter().find(|(known, _)| is_same(known, origin))?;
        connection.count_request();
        Some(connection.clone())
    }

    /// From here on exchanges with `origin` share `connection`.
    pub(super) fn share(&self, origin: &Rc<Origin>, connection: Shared) {
        let mut shared = self.shared.borrow_mut();
        shared.retain(|(known, _)| known != origin);
        if shared.len() >= CONNECTIONS_LIMIT as usize {
            shared.remove(0);
        }
        shared.push((Rc::clone(origin), connection));
    }

    /// Nobody begins on `connection` any more.
    pub(super) fn forget(&self, connection: &Shared) {
        self.shared.borrow_mut().retain(|(_, known)| !known.is(connection));
    }

    /// The right to make the one connection to `origin`; `Err` with what to wait for when somebody else has it.
    pub(super) fn begin_opening(&self, origin: &Rc<Origin>) -> Result<Opening<'_>, Rc<Notify>> {
        let mut opening = self.opening.borrow_mut();
        if let Some((_, done)) = opening.iter().find(|(known, _)| known == origin) {
            return Err(Rc::clone(done));
        }
        opening.push((Rc::clone(origin), Rc::default()));
        Ok(Opening { pool: self, origin: Rc::clone(origin) })
    }

    /// Waits until one more exchange may be under way; `None` if that is not before `deadline`.
    pub(super) async fn enter(&self, rules: &ConnectionRules, deadline: Instant) -> Option<Permit<'_>> {
        while self.in_use.get() >= rules.max_connections.max(CONNECTIONS_LIMIT) {
            let freed = Rc::clone(self.freed.borrow_mut().get_or_insert_default());
            // Boxed: hardly a request waits here, and none shall carry the timer.
            Box::pin(async move { timeout_at(deadline.into(), freed.notified()).await }).await.ok()?;
        }
        self.in_use.set(self.in_use.get() + 1);
        Some(Permit(self))
    }
}

/// The right to one HTTP/1.1 connection. Dropped, that is no more, and who waits for it is called.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pool: &'a Pool,
    origin: &'a Rc<Origin>,
}

impl Place<'_> {
    /// Keeps the connection for the next request.
    pub(super) fn keep(self, connection: Box<Connection>) {
        let mut places = self.pool.places.borrow_mut();
        if let Some(at) = places.iter().position(|entry| entry.idle.is_none() && entry.is_to(self.origin)) {
            places[at..].rotate_left(1);
            if let Some(last) = places.last_mut() {
                last.idle = Some(connection);
            }
        }
        drop(places);
        self.pool.call_first(self.origin);
        // There is nothing left to be given up.
        std::mem::forget(self);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut places = self.pool.places.borrow_mut();
        if let Some(at) = places.iter().position(|entry| entry.idle.is_none() && entry.is_to(self.origin)) {
            places.remove(at);
        }
        drop(places);
        self.pool.call_first(self.origin);
    }
}

/// Somebody in line for a place; dropped, the next one is called.
struct Turn<'a> {
    pool: &'a Pool,
    origin: &'a Rc<Origin>,
    called: Rc<Notify>,
}

impl Turn<'_> {
    fn is_first(&self) -> bool {
        let line = self.pool.line.borrow();
        line.iter().find(|(waiting, _)| is_same(waiting, self.origin)).is_some_and(|(_, first)| Rc::ptr_eq(first, &self.called))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.pool.line.borrow_mut().retain(|(_, called)| !Rc::ptr_eq(called, &self.called));
        self.pool.call_first(self.origin);
    }
}

fn is_same(one: &Rc<Origin>, other: &Rc<Origin>) -> bool {
    Rc::ptr_eq(one, other) || one == other
}

/// The right to be under way; dropped, the next exchange has it.
#[derive(Debug)]
pub(super) struct Permit<'a>(&'a Pool);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.in_use.set(self.0.in_use.get() - 1);
        if let Some(freed) = self.0.freed.borrow().as_ref() {
            freed.notify_one();
        }
    }
}

/// A connection in the making; dropped, those who wait for it look again.
#[derive(Debug)]
pub(super) struct Opening<'a> {
    pool: &'a Pool,
    origin: Rc<Origin>,
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        let mut opening = self.pool.opening.borrow_mut();
        if let Some(at) = opening.iter().position(|(known, _)| *known == self.origin) {
            opening.swap_remove(at).1.notify_waiters();
        }
    }
}

/// Of one user, whatever the origins: exchanges under way unless a request's own rules allow more connections, and connections kept.
/// Further exchanges wait, which is part of their time (`blocked`) and bounded by their timeout.
const CONNECTIONS_LIMIT: u32 = 64;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn past_the_bound_an_exchange_waits_until_its_deadline_and_no_longer() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let pool = Pool::default();
            let second = |count| tokio::time::Instant::now().into_std() + Duration::from_secs(count);
            let mut permits = Vec::new();
            for _ in 0..CONNECTIONS_LIMIT {
                permits.push(pool.enter(&ConnectionRules::default(), second(1)).await.expect("there is room"));
            }
            assert!(pool.enter(&ConnectionRules::default(), second(1)).await.is_none());
            let rules = ConnectionRules::default();
            let (entered, ()) = tokio::join!(pool.enter(&rules, second(1)), async { drop(permits.pop()) });
            assert!(entered.is_some());
        });
    }
}
