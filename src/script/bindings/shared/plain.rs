//! Values that can leave a VM: plain data, copied.

use std::sync::Arc;

use mlua::{Lua, Table, Value};

use crate::script::bindings::json;
use crate::script::watchdog;

/// What `require "shared"` can hold. Cloning is cheap; tables are shared and never change.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Plain {
    Nil,
    /// `json.null`.
    Null,
    Boolean(bool),
    Number(f64),
    Text(Arc<[u8]>),
    Table(Arc<PlainTable>),
}

/// A table's members, and whether `json.list` marked it.
#[derive(Debug, PartialEq)]
pub(super) struct PlainTable {
    members: Vec<(Plain, Plain)>,
    is_list: bool,
}

impl Plain {
    /// A copy of a Lua value.
    ///
    /// # Errors
    /// What cannot be copied.
    pub(super) fn from_lua(lua: &Lua, value: &Value) -> Result<Self, String> {
        let mark = json::list_mark(lua).map_err(|error| error.to_string())?;
        Self::copy(value, &mark, 0, &mut { BYTES_MAX })
    }

    /// `left` are the bytes that the whole copy may still take: tables that share others would grow without end.
    fn copy(value: &Value, mark: &Table, depth: usize, left: &mut usize) -> Result<Self, String> {
        let text = if let Value::String(text) = value { text.as_bytes().len() } else { 0 };
        let too_large = || format!("the value would take more than {} MiB; share its parts under keys of their own", BYTES_MAX >> 20);
        *left = left.checked_sub(size_of::<Self>() + text).ok_or_else(too_large)?;
        Ok(match value {
            Value::Nil => Self::Nil,
            null if *null == Value::NULL => Self::Null,
            Value::Boolean(boolean) => Self::Boolean(*boolean),
            #[expect(clippy::cast_precision_loss, reason = "LuaJIT has no integers of its own: what mlua calls one came from an f64")]
            Value::Integer(number) => Self::Number(*number as f64),
            Value::Number(number) => Self::Number(*number),
            Value::String(text) => Self::Text(text.as_bytes().as_ref().into()),
            Value::Table(_) if depth >= DEPTH_MAX => {
                return Err(format!("a table is nested deeper than {DEPTH_MAX} levels, or contains itself"));
            }
            Value::Table(_) if watchdog::is_struck() => return Err("it takes too long".to_owned()),
            Value::Table(table) => {
                let mut members = Vec::new();
                let copied = table.for_each(|key: Value, value: Value| {
                    let mut copy = |value: &Value| Self::copy(value, mark, depth + 1, left).map_err(mlua::Error::RuntimeError);
                    members.push((copy(&key)?, copy(&value)?));
                    Ok(())
                });
                // The watchdog may strike in here: what it says has a traceback of the engine's own below its line.
                copied.map_err(|error| match error {
                    mlua::Error::RuntimeError(why) => why.lines().next().map_or_else(String::new, str::to_owned),
                    other => other.to_string(),
                })?;
                Self::Table(Arc::new(PlainTable { members, is_list: table.metatable().as_ref() == Some(mark) }))
            }
            other => return Err(format!("a {} cannot leave its user: plain data only", other.type_name())),
        })
    }

    /// A Lua value of its own.
    ///
    /// # Errors
    /// Lua is out of memory.
    pub(super) fn to_lua(&self, lua: &Lua) -> mlua::Result<Value> {
        Ok(match self {
            Self::Nil => Value::Nil,
            Self::Null => Value::NULL,
            Self::Boolean(boolean) => Value::Boolean(*boolean),
            Self::Number(number) => Value::Number(*number),
            Self::Text(text) => Value::String(lua.create_string(text)?),
            Self::Table(plain) => {
                let table = lua.create_table_with_capacity(0, plain.members.len())?;
                for (key, value) in &plain.members {
                    table.raw_set(key.to_lua(lua)?, value.to_lua(lua)?)?;
                }
                if plain.is_list {
                    table.set_metatable(Some(json::list_mark(lua)?))?;
                }
                Value::Table(table)
            }
        })
    }

    /// Lua's name of the kind.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Null => "json.null",
            Self::Boolean(_) => "boolean",
            Self::Number(_) => "number",
            Self::Text(_) => "string",
            Self::Table(_) => "table",
        }
    }

    /// Bytes in memory, roughly.
    pub(super) fn bytes(&self) -> usize {
        let own = size_of::<Self>();
        match self {
            Self::Text(text) => own + text.len(),
            Self::Table(table) => own + table.members.iter().map(|(key, value)| key.bytes() + value.bytes()).sum::<usize>(),
            _ => own,
        }
    }
}

const DEPTH_MAX: usize = 64;

/// Of one value. Each `get` makes a copy of it.
const BYTES_MAX: usize = 16 << 20;
