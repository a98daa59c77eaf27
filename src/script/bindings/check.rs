//! Natives of `require "check"`: counts one evaluation.

use std::cell::RefCell;
use std::ffi::c_int;
use std::rc::Rc;

use mlua::{Function, Lua, LuaString, Table, Value, ffi};

use crate::script::lane_state::LaneState;
use crate::script::context::VmContext;
use crate::script::traceback;

/// Registers what `lua-stdlib/check.lua` is built on.
///
/// # Errors
/// Lua is out of memory.
pub fn natives(lua: &Lua, context: &Rc<VmContext>) -> mlua::Result<Table> {
    let natives = lua.create_table()?;
    let counter = Rc::new(Counter { lane: context.lane.clone(), names: RefCell::default() });
    natives.set("record", record_function(lua, &counter)?)?;
    // It has the counter for as long as there is `record`, which the library keeps beside it.
    natives.set(
        "learn",
        lua.create_function(move |_, name: LuaString| {
            let mut names = counter.names.borrow_mut();
            if names.len() >= NAMES_LIMIT {
                return Ok(None);
            }
            names.push(name.to_string_lossy().into());
            Ok(Some(names.len()))
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

/// What `record` counts with.
struct Counter {
    /// Where nothing is counted there is none.
    lane: Option<Rc<LaneState>>,
    /// By their numbers, from 1.
    names: RefCell<Vec<Box<str>>>,
}

/// `native.record(number, passed)`. A plain C function, since nearly every request has a check, and mlua's way of a call costs three times as much. It must not
/// be called after `counter` has gone.
fn record_function(lua: &Lua, counter: &Rc<Counter>) -> mlua::Result<Function> {
    unsafe extern "C-unwind" fn record(state: *mut ffi::lua_State) -> c_int {
        // SAFETY: the upvalue is the counter, which outlives all calls; numbers and booleans are read without raising, and what is none reads as 0.
        let (counter, number, passed) = unsafe {
            let counter = &*ffi::lua_touserdata(state, ffi::lua_upvalueindex(1)).cast::<Counter>();
            (counter, ffi::lua_tonumber(state, 1) as usize, ffi::lua_toboolean(state, 2) != 0)
        };
        if let (Some(lane), Some(name)) = (&counter.lane, counter.names.borrow().get(number.wrapping_sub(1))) {
            count(lane, name, passed);
        }
        0
    }
    let counter = Rc::as_ptr(counter).cast_mut().cast();
    // SAFETY: pushes two values where mlua has made room for three, under its protection.
    unsafe {
        lua.exec_raw((), |state| {
            ffi::lua_pushlightuserdata(state, counter);
            ffi::lua_pushcclosure(state, record, 1);
        })
    }
}

fn count(lane: &LaneState, name: &str, passed: bool) {
    lane.recorder.borrow_mut().check(name, passed);
    if let Some(witness) = &lane.witness {
        witness.check(name, passed);
    }
}

/// Names that a VM remembers; a script that makes names without end crosses with each of them instead.
const NAMES_LIMIT: usize = 10_000;
