//! The protocol between a user's coroutine and the lane: what a coroutine yields, and what it is resumed with.
//!
//! A coroutine yields the token, an operation's code, and the operation's values. The driver turns them into owned Rust values at once, so that nothing
//! of Lua but the coroutine itself is held while the user awaits: a VM has room for fewer than 8,000 handles.

use mlua::{LightUserData, Lua, MultiValue, Table, Value};

use super::bindings::Operation;
use super::{traceback, value};

/// What a coroutine asks of the lane.
#[derive(Debug)]
pub(super) enum Request {
    /// The job is done.
    Done,
    /// The job ended in an error.
    Raised {
        /// With file and line.
        message: String,
        /// The script's own frames.
        traceback: String,
    },
    /// A pause as the user's class says.
    Wait,
    /// The user's end, here and now.
    End,
    /// What a library can do for it.
    Asks(Operation),
    /// The values are the caller's mistake: to be raised at the caller's line.
    Mistake(String),
}

impl Request {
    /// From what a coroutine yielded.
    ///
    /// # Errors
    /// The coroutine yielded what no engine function yields.
    pub(super) fn from_lua(lua: &Lua, mut values: MultiValue) -> Result<Self, String> {
        if values.pop_front() != Some(Value::LightUserData(token())) {
            return Err("the script yielded to the lane by itself".to_owned());
        }
        let code = values.pop_front().and_then(|code| code.as_i64());
        match code {
            Some(DONE) => Ok(Self::Done),
            Some(RAISED) => {
                let message = text_of(values.pop_front())?;
                let raw = text_of(values.pop_front())?;
                Ok(Self::Raised { message, traceback: traceback::script_frames(&raw) })
            }
            Some(WAIT) => Ok(Self::Wait),
            Some(STOP) => Ok(Self::End),
            Some(code) => match Operation::read(code - LIBRARIES, lua, values) {
                Some(Ok(operation)) => Ok(Self::Asks(operation)),
                Some(Err(mistake)) => Ok(Self::Mistake(mistake)),
                None => Err("an engine function yielded an unknown operation".to_owned()),
            },
            None => Err("an engine function yielded no operation".to_owned()),
        }
    }
}

/// The codes by the names that Lua has for them (`engine.operation`).
pub(super) fn operations(lua: &Lua) -> mlua::Result<Table> {
    let own = [("done", DONE), ("raised", RAISED), ("wait", WAIT), ("stop", STOP)];
    lua.create_table_from(own.into_iter().chain(Operation::NAMES.iter().copied().zip(LIBRARIES..)))
}

/// The first value of what an engine function yields: an address of ours, which no script can make.
pub(super) fn token() -> LightUserData {
    LightUserData((&raw const MARKS[0]).cast_mut().cast())
}

/// The first value of an answer that is to be raised.
pub(super) fn failed() -> LightUserData {
    LightUserData((&raw const MARKS[1]).cast_mut().cast())
}

/// A text that an engine function has yielded; they check what scripts give them, so that another value is a bug of ours.
fn text_of(value: Option<Value>) -> Result<String, String> {
    match value.unwrap_or(Value::Nil) {
        Value::String(text) => Ok(text.to_string_lossy()),
        other => Err(format!("an engine function yielded {} where a text belongs", value::kind_of(&other))),
    }
}

/// Only the addresses matter; the contents differ so that no compiler makes one of two.
static MARKS: [u64; 2] = [1, 2];

pub(super) const DONE: i64 = 0;
const RAISED: i64 = 1;
const WAIT: i64 = 2;
const STOP: i64 = 3;
/// From here on codes are those of libraries' operations.
pub(super) const LIBRARIES: i64 = 4;
