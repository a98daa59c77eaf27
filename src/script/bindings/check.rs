//! Natives of `require "check"`: counts one evaluation.

use std::cell::RefCell;
use std::rc::Rc;

use mlua::{Lua, LuaString, Table, Value};

use crate::script::lane_state::LaneState;
use crate::script::context::VmContext;
use crate::script::traceback;

/// Registers what `lua-stdlib/check.lua` is built on.
///
/// # Errors
/// Lua is out of memory.
pub fn natives(lua: &Lua, context: &Rc<VmContext>) -> mlua::Result<Table> {
    let natives = lua.create_table()?;
    let names: Rc<RefCell<Vec<Box<str>>>> = Rc::default();
    let known = Rc::clone(&names);
    natives.set(
        "learn",
        lua.create_function(move |_, name: LuaString| {
            let mut names = known.borrow_mut();
            if names.len() >= NAMES_LIMIT {
                return Ok(None);
            }
            names.push(name.to_string_lossy().into());
            Ok(Some(names.len()))
        })?,
    )?;
    let lane = context.lane.clone();
    natives.set(
        "record",
        lua.create_function(move |_, (id, passed): (usize, bool)| {
            if let (Some(lane), Some(name)) = (&lane, names.borrow().get(id.wrapping_sub(1))) {
                count(lane, name, passed);
            }
            Ok(())
        })?,
    )?;
    let lane = context.lane.clone();
    natives.set(
        "record_name",
        lua.create_function(move |_, (name, passed): (LuaString, bool)| {
            if let Some(lane) = &lane {
                count(lane, &name.to_string_lossy(), passed);
            }
            Ok(())
        })?,
    )?;
    let lane = context.lane.clone();
    // The check has failed and the script goes on; without a word of the error nobody would find the mistake in it.
    natives.set(
        "raised",
        lua.create_function(move |_, (name, problem): (LuaString, Value)| {
            let text = match &problem {
                Value::Error(error) => traceback::error_text(error),
                other => other.to_string()?,
            };
            if let Some(lane) = &lane {
                let text = format!("check `{}` raised: {text}", name.to_string_lossy());
                lane.recorder.borrow_mut().exception(&text, "");
                if let Some(witness) = &lane.witness {
                    witness.exception(&text, "");
                }
            }
            Ok(())
        })?,
    )?;
    Ok(natives)
}

fn count(lane: &LaneState, name: &str, passed: bool) {
    lane.recorder.borrow_mut().check(name, passed);
    if let Some(witness) = &lane.witness {
        witness.check(name, passed);
    }
}

/// Names that a VM remembers; a script that makes names without end crosses with each of them instead.
const NAMES_LIMIT: usize = 10_000;
