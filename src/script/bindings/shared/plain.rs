//! Values that can leave a VM: plain data, copied.

use std::sync::Arc;

use mlua::{Lua, Table, Value};

use crate::load::errand::{Posted, VALUE_BYTES};
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

    /// As it stands on the board: a number that can be added to, or bytes.
    ///
    /// # Errors
    /// It is too large.
    pub(super) fn to_posted(&self) -> Result<Posted, String> {
        if let Self::Number(number) = self
            && number.is_finite()
        {
            return Ok(Posted::Number(*number));
        }
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        if bytes.len() > VALUE_BYTES {
            return Err(format!("the value would take {} KiB; the cluster takes {} KiB at most", bytes.len() >> 10, VALUE_BYTES >> 10));
        }
        Ok(Posted::Bytes(bytes.into()))
    }

    /// What stands on the board; `None` of bytes that no [`Plain::to_posted`] writes.
    pub(super) fn from_posted(posted: &Posted) -> Option<Self> {
        match posted {
            Posted::Number(number) => Some(Self::Number(*number)),
            Posted::Bytes(bytes) => {
                let mut rest = &**bytes;
                Self::read(&mut rest, 0).filter(|_| rest.is_empty())
            }
        }
    }

    /// A byte for the kind, then what it has: 8 bytes of a number, the length of a text or a table in 4 bytes and its content.
    fn write(&self, out: &mut Vec<u8>) {
        let length = |out: &mut Vec<u8>, length: usize| out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        match self {
            Self::Nil => out.push(0),
            Self::Null => out.push(1),
            Self::Boolean(boolean) => out.push(2 + u8::from(*boolean)),
            Self::Number(number) => {
                out.push(4);
                out.extend_from_slice(&number.to_le_bytes());
            }
            Self::Text(text) => {
                out.push(5);
                length(out, text.len());
                out.extend_from_slice(text);
            }
            Self::Table(table) => {
                out.push(6 + u8::from(table.is_list));
                length(out, table.members.len());
                for (key, value) in &table.members {
                    key.write(out);
                    value.write(out);
                }
            }
        }
    }

    fn read(rest: &mut &[u8], depth: usize) -> Option<Self> {
        let kind = take(rest, 1)?[0];
        let length = |rest: &mut &[u8]| Some(u32::from_le_bytes(take(rest, 4)?.try_into().ok()?) as usize);
        Some(match kind {
            0 => Self::Nil,
            1 => Self::Null,
            2 | 3 => Self::Boolean(kind == 3),
            4 => Self::Number(f64::from_le_bytes(take(rest, 8)?.try_into().ok()?)),
            5 => {
                let length = length(rest)?;
                Self::Text(take(rest, length)?.into())
            }
            6 | 7 if depth <= DEPTH_MAX => {
                let count = length(rest)?;
                let mut members = Vec::new();
                for _ in 0..count {
                    members.push((Self::read(rest, depth + 1)?, Self::read(rest, depth + 1)?));
                }
                Self::Table(Arc::new(PlainTable { members, is_list: kind == 7 }))
            }
            _ => return None,
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

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(count)?;
    *rest = left;
    Some(taken)
}

const DEPTH_MAX: usize = 64;

/// Of one value. Each `get` makes a copy of it.
const BYTES_MAX: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &[u8]) -> Plain {
        Plain::Text(text.into())
    }

    #[test]
    fn whatever_can_leave_a_user_comes_back_from_the_board_as_it_was() {
        let list = Plain::Table(Arc::new(PlainTable { members: vec![(Plain::Number(1.0), Plain::Null)], is_list: true }));
        let members = vec![(text(b"\xff\0key"), list), (Plain::Number(0.5), Plain::Boolean(false)), (Plain::Boolean(true), text(b""))];
        let table = Plain::Table(Arc::new(PlainTable { members, is_list: false }));
        for plain in [Plain::Nil, Plain::Number(1e300), Plain::Number(f64::NEG_INFINITY), text(b"\xfe"), table] {
            assert_eq!(Plain::from_posted(&plain.to_posted().unwrap()), Some(plain));
        }
    }

    #[test]
    fn bytes_that_are_cut_or_too_long_are_none() {
        let Posted::Bytes(bytes) = text(b"abc").to_posted().unwrap() else { panic!("a text is no number") };
        for length in 0..bytes.len() {
            assert_eq!(Plain::from_posted(&Posted::Bytes(bytes[..length].into())), None, "{length}");
        }
        assert_eq!(Plain::from_posted(&Posted::Bytes([&*bytes, &[0]].concat().into())), None);
        assert_eq!(Plain::from_posted(&Posted::Bytes([6, 255, 255, 255, 255].into())), None);
        assert!(text(&vec![b'x'; VALUE_BYTES]).to_posted().unwrap_err().contains("256 KiB at most"));
    }
}
