//! `require "data"`: rows of files, in memory once for the whole process.
//!
//! `records` finds where rows begin and end, `rows` keeps where; here are the natives. Which row is whose is decided in `lua-stdlib/data.lua`.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use mlua::{AnyUserData, Lua, LuaString, MultiValue, Table, Value};

use self::rows::Row;
use super::{json, random};
use crate::load::stock::Taken;
use crate::script::context::{Stage, UserState, VmContext};
use crate::script::answer::Answer;
use crate::script::library::Operation;
use crate::script::watchdog;

pub(crate) use self::rows::{Form, Header, Rows};

mod records;
pub(in crate::script) mod rows;
#[cfg(test)]
mod tests;

/// Waits for rows that the master gives out.
#[derive(Debug)]
pub struct Arrival;

impl Operation for Arrival {
    fn read(_lua: &Lua, _values: MultiValue) -> Result<Self, String> {
        Ok(Self)
    }

    /// Asked again until there is an answer; an orphan's users wait for the next master.
    async fn perform(self, user: &Rc<UserState>) -> Option<Answer> {
        let stock = Arc::clone(&user.lane.stock);
        user.wait_for(async move { stock.arrival().await }).await
    }
}

/// Rows that Lua holds.
struct RowsHandle {
    rows: Arc<Rows>,
    /// The names of the columns, in this VM.
    columns: Vec<LuaString>,
}

impl mlua::UserData for RowsHandle {}

/// Registers what `lua-stdlib/data.lua` is built on. `open` gives `nil, why` for what it cannot read.
///
/// # Errors
/// Lua is out of memory.
pub fn natives(lua: &Lua, context: &Rc<VmContext>) -> mlua::Result<Table> {
    let natives = lua.create_table()?;
    let of = Rc::clone(context);
    let open = lua.create_function(move |lua, (file, kind, options): (LuaString, String, Table)| {
        let opened = form_of(&kind, &options).and_then(|form| open(&of, &file.to_string_lossy(), &form));
        Ok(match opened {
            Ok(rows) => {
                let columns = rows.columns().iter().map(|name| lua.create_string(name)).collect::<mlua::Result<_>>()?;
                let count = Value::Number(whole(rows.count()));
                MultiValue::from_iter([Value::UserData(lua.create_userdata(RowsHandle { rows, columns })?), count])
            }
            Err(why) => MultiValue::from_iter([Value::Nil, Value::String(lua.create_string(why)?)]),
        })
    })?;
    natives.raw_set("open", open)?;
    let row = lua.create_function(|lua, (handle, index): (AnyUserData, usize)| {
        let handle = handle.borrow::<RowsHandle>()?;
        match handle.rows.row(index) {
            None => Ok(Value::Nil),
            Some(row) => value_of(lua, &handle, &row),
        }
    })?;
    natives.raw_set("row", row)?;
    let of = Rc::clone(context);
    let index = lua.create_function(move |_, ()| Ok(of.current.borrow().as_ref().map(|user| user.index)))?;
    natives.raw_set("user", index)?;
    let of = Rc::clone(context);
    // A row's number, counted over all rounds; or nil and a word for what is in the way.
    let take = lua.create_function(move |_, (source, limit): (LuaString, Option<f64>)| {
        let lane = of.lane.as_ref().ok_or_else(|| mlua::Error::runtime("rows are taken in a lane"))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of rows is whole and below 2^53")]
        let limit = limit.map(|limit| limit as u64);
        Ok(match lane.stock.take(&source.to_string_lossy(), limit, Instant::now()) {
            Taken::Row(row) => (Some(row), None),
            Taken::Wait => (None, Some("wait")),
            Taken::Over => (None, Some("over")),
            Taken::Unknown => (None, Some("unknown")),
        })
    })?;
    natives.raw_set("take", take)?;
    let of = Rc::clone(context);
    let below = lua.create_function(move |_, count: f64| {
        #[expect(clippy::cast_possible_truncation, reason = "a number of rows is whole and below 2^53")]
        let drawn = random::of_user(&of, |generator| generator.int(0, count as i64 - 1));
        Ok(match drawn {
            Ok(index) => (Some(index), None),
            Err(why) => (None, Some(why)),
        })
    })?;
    natives.raw_set("below", below)?;
    Ok(natives)
}

fn open(context: &VmContext, name: &str, form: &Form) -> Result<Arc<Rows>, String> {
    let sources = context.files.borrow();
    let sources = sources.as_ref().filter(|_| context.stage.get() == Stage::Loading).ok_or("files are read while the script is loaded: open them at its top")?;
    // A large file takes its time, and no other user waits meanwhile: nobody runs yet.
    let _away = watchdog::away();
    sources.data_file(name)?.rows(form).map_err(|why| format!("`{name}`: {why}"))
}

fn form_of(kind: &str, options: &Table) -> Result<Form, String> {
    Ok(match kind {
        "csv" => Form::Csv { delimiter: one_byte(options, "delimiter")?, quote: quote_of(options)?, header: header_of(options)? },
        "json" => Form::Json,
        "jsonl" => Form::JsonLines,
        "lines" => Form::Lines,
        other => return Err(format!("there is no form `{other}`")),
    })
}

fn option(options: &Table, name: &str) -> Result<Value, String> {
    options.raw_get(name).map_err(|error| error.to_string())
}

fn one_byte(options: &Table, name: &str) -> Result<Option<u8>, String> {
    let value = option(options, name)?;
    match &value {
        Value::Nil => Ok(None),
        Value::String(text) if text.as_bytes().len() == 1 && text.as_bytes()[0].is_ascii() && !matches!(text.as_bytes()[0], b'\n' | b'\r') => {
            Ok(Some(text.as_bytes()[0]))
        }
        _ => Err(format!("`{name}` must be one character, such as \";\"")),
    }
}

fn quote_of(options: &Table) -> Result<Option<u8>, String> {
    match option(options, "quote")? {
        Value::Boolean(false) => Ok(None),
        Value::Nil => Ok(Some(b'"')),
        _ => one_byte(options, "quote").map_err(|_| "`quote` must be one character, or false for none".to_owned()),
    }
}

fn header_of(options: &Table) -> Result<Header, String> {
    const WRONG: &str = "`header` must be true (the first line), false (there is none) or a list of names";
    match option(options, "header")? {
        Value::Nil | Value::Boolean(true) => Ok(Header::First),
        Value::Boolean(false) => Ok(Header::Absent),
        Value::Table(names) => {
            let names: Vec<Value> = names.sequence_values().collect::<mlua::Result<_>>().map_err(|error| error.to_string())?;
            let names: Option<Vec<String>> = names.iter().map(|name| name.as_string().map(LuaString::to_string_lossy)).collect();
            let names = names.filter(|names| !names.is_empty()).ok_or_else(|| WRONG.to_owned())?;
            rows::judge_columns(&names)?;
            Ok(Header::Given(names))
        }
        _ => Err(WRONG.to_owned()),
    }
}

fn value_of(lua: &Lua, handle: &RowsHandle, row: &Row<'_>) -> mlua::Result<Value> {
    match row {
        Row::Text(text) => lua.create_string(text).map(Value::String),
        // It was judged when the file was read; what may still be wrong is the VM's memory. An id that lost its last digits would be another row's.
        Row::Json(text) => json::decode_path(lua, text, None, true).map_err(mlua::Error::RuntimeError),
        Row::Fields(fields) if handle.columns.is_empty() => {
            let list = lua.create_table_with_capacity(fields.len(), 0)?;
            for (at, field) in fields.iter().enumerate() {
                list.raw_set(at + 1, lua.create_string(field)?)?;
            }
            Ok(Value::Table(list))
        }
        Row::Fields(fields) => {
            let table = lua.create_table_with_capacity(0, fields.len())?;
            for (name, field) in handle.columns.iter().zip(fields) {
                table.raw_set(name, lua.create_string(field)?)?;
            }
            Ok(Value::Table(table))
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a file of 2^53 rows is larger than files may be")]
fn whole(count: usize) -> f64 {
    count as f64
}
