//! `require "http"`: from a Lua call to hops on the wire, and from an exchange to a sample and a result.

use std::rc::Rc;

use super::super::context::{LaneState, UserState};
use crate::plan::Plan;

pub use operation::{Call, Reply};

mod operation;

/// What the users of one lane share: the protocol's context, parsed origins.
#[derive(Debug)]
pub struct LaneHttp {}

impl LaneHttp {
    /// Reads roots and certificates once.
    ///
    /// # Errors
    /// A text for people.
    pub fn new(_plan: &Plan) -> Result<Self, String> {
        todo!()
    }
}

/// What one user has: connections, cookies, defaults, and the samples that are not final yet.
#[derive(Debug)]
pub struct UserHttp {}

impl UserHttp {
    /// Nothing yet.
    #[must_use]
    pub fn new(_lane: &Rc<LaneState>) -> Self {
        todo!()
    }

    /// Makes pending samples final: the next request, a wait, or the end of an iteration has come.
    pub fn finish_samples(&self) {
        todo!()
    }

    /// The user is about to be idle: gives memory back that can be had again.
    pub fn rest(&self) {
        todo!()
    }

    /// Requests made and answered since the last call; for the pause after fruitless iterations.
    pub fn take_counts(&self) -> (u32, u32) {
        todo!()
    }
}

/// Registers the natives that `lua-stdlib/http.lua` is built on.
///
/// # Errors
/// Lua is out of memory.
pub fn natives(_lua: &mlua::Lua, _context: &Rc<super::super::context::VmContext>) -> mlua::Result<mlua::Table> {
    todo!()
}

/// Makes one call for `user` and records its samples. Dropped in flight, it records what was in flight as cut.
pub async fn perform(_user: &Rc<UserState>, _call: Call) -> Reply {
    todo!()
}
