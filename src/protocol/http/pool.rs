//! The connections of one user that are not in use, and how many are.
//!
//! Invariant: nothing here is borrowed across an await, so several exchanges of one user may run at the same time.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tokio::sync::Notify;

use super::http1::Connection;
use super::origin::Origin;

/// Idle connections, most recently used last.
#[derive(Debug, Default)]
pub(super) struct Pool {
    idle: RefCell<Vec<(Rc<Origin>, Connection)>>,
    in_use: Cell<u32>,
    /// Made when somebody first has to wait.
    freed: RefCell<Option<Rc<Notify>>>,
}

impl Pool {
    /// The most recently used connection to `origin` that is still open, as a browser picks it. Closed ones on the way are dropped.
    pub(super) fn take(&self, origin: &Rc<Origin>) -> Option<Connection> {
        let mut idle = self.idle.borrow_mut();
        loop {
            let at = idle.iter().rposition(|(known, _)| Rc::ptr_eq(known, origin) || known == origin)?;
            let (_, mut connection) = idle.remove(at);
            if connection.is_quiet() {
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

/// Connections of one user at a time, in use or idle. Browsers stop at 6 an origin; a batch of a script means what it says.
const CONNECTIONS_LIMIT: u32 = 64;
