//! Natives of `require "group"`: start and end of a measured whole.

use std::rc::Rc;
use std::time::{Duration, Instant};

use mlua::{Lua, LuaString, Table};

use crate::script::context::VmContext;

/// Registers what `lua-stdlib/group.lua` is built on.
///
/// # Errors
/// Lua is out of memory.
pub fn natives(lua: &Lua, context: &Rc<VmContext>) -> mlua::Result<Table> {
    let natives = lua.create_table()?;
    // A number crosses to Lua and back while the group runs; a double holds the microseconds of any run exactly.
    let origin = Instant::now();
    natives.set("start", lua.create_function(move |_, ()| Ok(origin.elapsed().as_secs_f64()))?)?;
    let context = Rc::clone(context);
    natives.set(
        "finish",
        lua.create_function(move |_, (name, began): (LuaString, f64)| {
            // Not below zero, whatever the last bit of a double was rounded to.
            let seconds = (origin.elapsed().as_secs_f64() - began).max(0.0);
            let duration = Duration::try_from_secs_f64(seconds).map_err(mlua::Error::external)?;
            if let Some(lane) = &context.lane {
                lane.recorder.borrow_mut().group(&name.to_string_lossy(), duration);
            }
            Ok(())
        })?,
    )?;
    Ok(natives)
}
