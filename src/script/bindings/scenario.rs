//! Natives of `require "scenario"`: the stage, the end of a user, and the draw of a nested set.

use std::rc::Rc;

use mlua::{Lua, Table};

use crate::script::context::{Stage, VmContext};

/// Registers what `lua-stdlib/scenario.lua` is built on.
///
/// # Errors
/// Lua is out of memory.
pub fn natives(lua: &Lua, context: &Rc<VmContext>) -> mlua::Result<Table> {
    let natives = lua.create_table()?;
    let loading = Rc::clone(context);
    natives.set("is_loading", lua.create_function(move |_, ()| Ok(loading.stage.get() == Stage::Loading))?)?;
    let stopping = Rc::clone(context);
    natives.set(
        "stop",
        lua.create_function(move |_, ()| {
            if let Some(user) = stopping.current.borrow().as_ref() {
                user.is_stopping.set(true);
            }
            Ok(())
        })?,
    )?;
    let drawing = Rc::clone(context);
    natives.set(
        "int",
        lua.create_function(move |_, (low, high): (i64, i64)| {
            Ok(drawing.current.borrow().as_ref().map(|user| user.random.borrow_mut().int(low, high)))
        })?,
    )?;
    Ok(natives)
}
