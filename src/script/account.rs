//! What one user has in its VM: the coroutine, and what its step has taken of the VM's memory.

use std::cell::{Cell, RefCell};

use mlua::Thread;

use crate::load::sides::Side;

/// Which user: its index and, in a run of two sides, its side.
pub(super) type UserKey = (u64, Option<Side>);

/// What one user has in the VM.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// The coroutine; gone once the user was dropped for its hunger.
    pub(super) coroutine: RefCell<Option<Thread>>,
    /// Bytes that the VM has grown by while the user's step ran.
    pub(super) grown_bytes: Cell<isize>,
}

impl Account {
    pub(super) fn begin_step(&self) {
        self.grown_bytes.set(0);
    }
}
