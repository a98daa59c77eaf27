//! Natives of `require "wait"`: none. A rule is two numbers, which `scenario` hands over with its class.

use std::rc::Rc;

use mlua::{Lua, Table};

use crate::script::context::VmContext;

/// An empty table.
///
/// # Errors
/// Lua is out of memory.
pub fn natives(lua: &Lua, _context: &Rc<VmContext>) -> mlua::Result<Table> {
    lua.create_table()
}
