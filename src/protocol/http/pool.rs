//! The connections of one user that are not in use, and how many are.
//!
//! Invariant: nothing here is borrowed across an await, so several exchanges of one user may run at the same time.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use tokio::sync::Notify;
use tokio::time::timeout_at;

use super::http1::Connection;
use super::http2::Shared;
use super::origin::Origin;

/// Idle connections, and those that are shared.
#[derive(Debug, Default)]
pub(super) struct Pool {
    /// HTTP/1.1, most recently used last.
    idle: RefCell<Vec<(Rc<Origin>, Connection)>>,
    /// HTTP/2, at most one an origin.
    shared: RefCell<Vec<(Rc<Origin>, Shared)>>,
    /// Origins to which a connection is being made that others may be able to share.
    opening: RefCell<Vec<(Rc<Origin>, Rc<Notify>)>>,
    in_use: Cell<u32>,
    /// Made when somebody first has to wait.
    freed: RefCell<Option<Rc<Notify>>>,
}

impl Pool {
    /// The most recently used connection to `origin` that is still open, as a browser picks it. Closed ones on the way are dropped.
    ///
    /// `is_wary` asks the kernel, which knows of an end that the runtime has not been told of yet; for one system call.
    pub(super) fn take(&self, origin: &Rc<Origin>, is_wary: bool) -> Option<Connection> {
        let mut idle = self.idle.borrow_mut();
        loop {
            let at = idle.iter().rposition(|(known, _)| Rc::ptr_eq(known, origin) || known == origin)?;
            let (_, mut connection) = idle.remove(at);
            if connection.is_quiet(is_wary) {
                return Some(connection);
            }
        }
    }

    /// Takes back a connection that may be used again. The one that was idle longest gives way when there are too many.
    pub(super) fn put(&self, origin: &Rc<Origin>, connection: Connection) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() >= CONNECTIONS_LIMIT as usize {
            idle.remove(0);
        }
        if idle.capacity() == 0 {
            // Most users have one connection; the usual growth would begin at four.
            idle.reserve_exact(1);
        }
        idle.push((Rc::clone(origin), connection));
    }

    /// Closes what is idle.
    pub(super) fn clear(&self) {
        self.idle.take();
        self.shared.take();
    }

    /// The open HTTP/2 connection to `origin`, if there is one.
    pub(super) fn shared_with(&self, origin: &Rc<Origin>) -> Option<Shared> {
        let mut shared = self.shared.borrow_mut();
        shared.retain_mut(|(_, connection)| !connection.is_closed());
        shared.iter().find(|(known, _)| known == origin).map(|(_, connection)| connection.clone())
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

    /// Waits until one more exchange may have a connection; `None` if that is not before `deadline`.
    pub(super) async fn enter(&self, deadline: Instant) -> Option<Permit<'_>> {
        while self.in_use.get() >= CONNECTIONS_LIMIT {
            let freed = Rc::clone(self.freed.borrow_mut().get_or_insert_default());
            // Boxed: hardly a request waits here, and none shall carry the timer.
            Box::pin(async move { timeout_at(deadline.into(), freed.notified()).await }).await.ok()?;
        }
        self.in_use.set(self.in_use.get() + 1);
        Some(Permit(self))
    }
}

/// The right to use one connection; dropped, the next exchange has it.
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

/// Connections of one user at a time: so many in use, and so many idle. Browsers stop at 6 an origin; a batch of a script means what it says, and its
/// further requests wait for a connection, which is part of their time (`blocked`) and bounded by their timeout.
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
                permits.push(pool.enter(second(1)).await.expect("there is room"));
            }
            assert!(pool.enter(second(1)).await.is_none());
            let (entered, ()) = tokio::join!(pool.enter(second(1)), async { drop(permits.pop()) });
            assert!(entered.is_some());
        });
    }
}
