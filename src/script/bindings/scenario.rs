//! Natives of `require "scenario"`: the stage, the end of a user and of the run, the draw of a nested set, and a look at the table `http`.

use std::rc::Rc;

use mlua::{Lua, Table, Value};

use super::http::{connection_plan, tags_of};
use super::json::{decode_path, encode_to_vec};
use crate::load::Halt;
use crate::load::sides::Side;
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
    let aborting = Rc::clone(context);
    natives.set(
        "abort",
        lua.create_function(move |_, reason: mlua::LuaString| {
            if let Some(user) = aborting.current.borrow().as_ref() {
                let reason: String = reason.to_string_lossy().chars().take(REASON_LETTERS).collect();
                user.lane.halt.borrow_mut().get_or_insert(Halt::Abort(reason));
            }
            Ok(())
        })?,
    )?;
    let returning = Rc::clone(context);
    natives.set(
        "returned",
        lua.create_function(move |lua, value: Value| {
            let text = match encode_to_vec(lua, &value).map(String::from_utf8) {
                Err(why) => return Ok(Some(why)),
                Ok(Err(_)) => return Ok(Some("a text in it is not UTF-8".to_owned())),
                Ok(Ok(text)) if text.len() > DATA_BYTES => return Ok(Some(format!("it has {} bytes as JSON, and at most 1 MiB is handed to users", text.len()))),
                Ok(Ok(text)) => text,
            };
            if let Some(user) = returning.current.borrow().as_ref() {
                user.lane.returned.replace(Some(text));
            }
            Ok(None)
        })?,
    )?;
    let looking = Rc::clone(context);
    natives.set(
        "data",
        lua.create_function(move |lua, ()| {
            let current = looking.current.borrow();
            // In a run of two sides, the text is the list of what the setups of both returned.
            let place = current.as_ref().and_then(|user| user.ledger.side()).map(|side| if side == Side::A { "0" } else { "1" });
            match current.as_ref().and_then(|user| user.lane.data.get()) {
                Some(text) => decode_path(lua, text.as_bytes(), place, false).map(|value| (true, value)).map_err(mlua::Error::runtime),
                None => Ok((false, Value::Nil)),
            }
        })?,
    )?;
    natives.set("check_tags", lua.create_function(|_, tags: Value| Ok(tags_of(&tags).err()))?)?;
    natives.set("check_http", lua.create_function(|_, table: Table| Ok(connection_plan(&table).err()))?)?;
    let drawing = Rc::clone(context);
    natives.set(
        "int",
        lua.create_function(move |_, (low, high): (i64, i64)| {
            Ok(drawing.current.borrow().as_ref().map(|user| user.random.borrow_mut().int(low, high)))
        })?,
    )?;
    Ok(natives)
}

/// Of the reason why a script ends a run.
const REASON_LETTERS: usize = 500;
/// Of what a setup returns.
const DATA_BYTES: usize = 1 << 20;
