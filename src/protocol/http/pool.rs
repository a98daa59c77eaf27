//! The connections of one user that are not in use, and how many are.
//!
//! Invariant: nothing here is borrowed across an await, so several exchanges of one user may run at the same time.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tokio::sync::Notify;

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
        shared.retain(|(_, connection)| !connection.is_closed());
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

    /// Waits until one more exchange may have a connection.
    pub(super) async fn enter(&self) -> Permit<'_> {
        while self.in_use.get() >= CONNECTIONS_LIMIT {
            let freed = Rc::clone(self.freed.borrow_mut().get_or_insert_default());
            freed.notified().await;
        }
        self.in_use.set(self.in_use.get() + 1);
        Permit(self)
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

/// Connections of one user at a time, in use or idle. Browsers stop at 6 an origin; a batch of a script means what it says.
const CONNECTIONS_LIMIT: u32 = 64;
