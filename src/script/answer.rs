//! What a coroutine is resumed with.

use std::fmt;

use mlua::{Lua, MultiValue};

use super::bindings::http::Outcomes;

/// What a coroutine is resumed with.
#[derive(Debug)]
pub(super) enum Answer {
    /// Run this job; the iteration's number, counted from 1, where it is one.
    Start {
        /// The number of the job's function in the VM.
        job: i64,
        /// `None` for `on_start` and `on_stop`.
        iteration: Option<i64>,
    },
    /// The pause is over.
    Nothing,
    /// What crosses by itself.
    Outcomes(Outcomes),
    /// The values that are made when Lua is there.
    Values(Later),
    /// Raise this at the caller's line.
    Mistake(String),
}

/// Values that are made once Lua is there.
pub(super) struct Later(Box<Make>);

type Make = dyn FnOnce(&Lua) -> mlua::Result<MultiValue>;

impl Later {
    pub(super) fn new(make: impl FnOnce(&Lua) -> mlua::Result<MultiValue> + 'static) -> Self {
        Self(Box::new(make))
    }

    pub(super) fn make(self, lua: &Lua) -> mlua::Result<MultiValue> {
        (self.0)(lua)
    }
}

impl fmt::Debug for Later {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Later")
    }
}
