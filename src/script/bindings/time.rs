//! Natives of `require "time"`: the two clocks. Sleeping is the lane's.

use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use mlua::{Lua, Table};

use crate::script::context::{Stage, VmContext};

/// Registers what `lua-stdlib/time.lua` is built on.
///
/// # Errors
/// Lua is out of memory.
pub fn natives(lua: &Lua, context: &Rc<VmContext>) -> mlua::Result<Table> {
    let natives = lua.create_table()?;
    let clock = Rc::clone(context);
    natives.set(
        "now",
        lua.create_function(move |_, ()| {
            let is_running = clock.stage.get() == Stage::Running;
            Ok(clock.lane.as_ref().filter(|_| is_running).map(|lane| lane.zero.get().elapsed().as_secs_f64()))
        })?,
    )?;
    // A clock set before 1970 answers 0.
    natives
        .set("unix", lua.create_function(|_, ()| Ok(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()))?)?;
    Ok(natives)
}
