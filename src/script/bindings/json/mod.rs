//! `require "json"`, and the same for the bindings that send and judge JSON without Lua.
//!
//! `reader` and `writer` do the work; here are the natives, the sink that fills Lua's stack, and the seams for `http`.

use std::borrow::Cow;
use std::ffi::c_int;
use std::rc::Rc;

use mlua::{Lua, Table, Value, ffi};

pub use self::reader::judge;
use self::reader::{Reader, Sink};
use self::writer::{LIST_MARK, Writer};
use crate::script::context::VmContext;

pub(in crate::script) mod reader;
mod writer;

/// Registers what `lua-stdlib/json.lua` is built on. `decode` and `encode` give `nil, why` for what they cannot do.
///
/// # Errors
/// Lua is out of memory.
pub fn natives(lua: &Lua, _context: &Rc<VmContext>) -> mlua::Result<Table> {
    register(lua)
}

/// The JSON text of a Lua value.
///
/// # Errors
/// What JSON cannot hold, and where in the value it stands.
pub fn encode_to_vec(lua: &Lua, value: &Value) -> Result<Vec<u8>, String> {
    let mut written = Err(String::new());
    // SAFETY: `exec_raw` runs the closure protected, with the value at the top of the stack.
    let ran = unsafe { lua.exec_raw::<()>(value, |state| written = Writer::new(0).write(state)) };
    ran.map_err(|error| error.to_string())?;
    written
}

/// The value at `path` of a JSON text, or the whole of it. The text is judged to its end either way.
///
/// With `big_as_strings`, integers beyond 2^53 arrive with all their digits, as strings.
///
/// A path is keys and 0-based positions with dots between: `items.0.id`; a dot within a key is written `\.`.
///
/// # Errors
/// What is wrong with the text, or that there is nothing at the path.
pub fn decode_path(lua: &Lua, bytes: &[u8], path: Option<&str>, big_as_strings: bool) -> Result<Value, String> {
    list_mark(lua).map_err(|error| error.to_string())?;
    let picked = match path {
        Some(path) => Some(Reader::new(bytes)?.find(&steps_of(path))?.ok_or_else(|| format!("there is nothing at `{path}` in the JSON"))?),
        None => None,
    };
    let bytes = picked.map_or(bytes, str::as_bytes);
    let mut read = Ok(());
    // SAFETY: `exec_raw` runs the closure protected; on a fault the half-built value is left behind on the stack and taken down with it.
    let value = unsafe { lua.exec_raw::<Value>((), |state| read = push_document(state, bytes, big_as_strings)) };
    read?;
    value.map_err(|error| error.to_string())
}

/// The value at `path` of a JSON text, without Lua. `None` where there is nothing.
///
/// # Errors
/// What is wrong with the text.
pub fn lookup(bytes: &[u8], path: &str) -> Result<Option<serde_json::Value>, String> {
    let found = Reader::new(bytes)?.find(&steps_of(path))?;
    found.map(|text| serde_json::from_str(text).map_err(|error| format!("not valid JSON: {error}"))).transpose()
}

/// Whether two values mean the same: members in any order, and `1`, `1.0` and `1e0` are one number.
#[must_use]
pub fn same(one: &serde_json::Value, other: &serde_json::Value) -> bool {
    use serde_json::Value as Json;
    match (one, other) {
        (Json::Number(one), Json::Number(other)) => one == other || one.as_f64().is_some_and(|number| other.as_f64() == Some(number)),
        (Json::Array(one), Json::Array(other)) => one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other)),
        (Json::Object(one), Json::Object(other)) => {
            one.len() == other.len() && one.iter().all(|(key, value)| other.get(key).is_some_and(|other| same(value, other)))
        }
        _ => one == other,
    }
}

fn register(lua: &Lua) -> mlua::Result<Table> {
    let natives = lua.create_table()?;
    natives.raw_set("list_mark", list_mark(lua)?)?;
    natives.raw_set("null", Value::NULL)?;
    // SAFETY: both functions take their arguments from the stack as `json.lua` gives them, leave only results there, and never panic.
    unsafe {
        natives.raw_set("encode", lua.create_c_function(encode)?)?;
        natives.raw_set("decode", lua.create_c_function(decode)?)?;
    }
    Ok(natives)
}

/// The metatable that marks a table as a list, in this VM.
///
/// # Errors
/// Lua is out of memory.
pub fn list_mark(lua: &Lua) -> mlua::Result<Table> {
    let name = LIST_MARK.to_str().expect("the name is ASCII");
    if let Some(mark) = lua.named_registry_value::<Option<Table>>(name)? {
        return Ok(mark);
    }
    let mark = lua.create_table()?;
    // A script sees a list as it sees any table; only the mark itself is out of its reach.
    mark.raw_set("__metatable", "json.list")?;
    lua.set_named_registry_value(name, &mark)?;
    Ok(mark)
}

fn steps_of(path: &str) -> Vec<Cow<'_, str>> {
    if !path.contains('\\') {
        return path.split('.').map(Cow::Borrowed).collect();
    }
    let mut steps = vec![String::new()];
    let mut letters = path.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '.' => steps.push(String::new()),
            '\\' => steps.last_mut().expect("there is always a step").extend(letters.next()),
            other => steps.last_mut().expect("there is always a step").push(other),
        }
    }
    steps.into_iter().map(Cow::Owned).collect()
}

/// `decode(text, big_integers_as_strings)`: the value, or nil and why.
unsafe extern "C-unwind" fn decode(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: the text is an argument, so Lua holds it during the call; whatever is pushed fits after `luaL_checkstack`.
    unsafe {
        ffi::luaL_checkstack(state, 8, std::ptr::null());
        let mut length = 0;
        let bytes = ffi::lua_tolstring(state, 1, &raw mut length);
        if bytes.is_null() {
            return push_failure(state, "text is needed".to_owned());
        }
        let bytes = std::slice::from_raw_parts(bytes.cast(), length);
        let big_as_strings = ffi::lua_toboolean(state, 2) != 0;
        ffi::lua_settop(state, 2);
        match push_document(state, bytes, big_as_strings) {
            Ok(()) => 1,
            Err(why) => push_failure(state, why),
        }
    }
}

/// `encode(indent, value)`: the text, or nil and why.
unsafe extern "C-unwind" fn encode(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: as in `decode`.
    unsafe {
        ffi::luaL_checkstack(state, 8, std::ptr::null());
        ffi::lua_settop(state, 2);
        let indent = usize::try_from(ffi::lua_tointeger_(state, 1)).unwrap_or(0).min(8);
        match Writer::new(indent).write(state) {
            Ok(text) => {
                ffi::lua_settop(state, 0);
                ffi::lua_pushlstring(state, text.as_ptr().cast(), text.len());
                1
            }
            Err(why) => push_failure(state, why),
        }
    }
}

/// # Safety
/// `state` must be a Lua state inside of a call.
unsafe fn push_failure(state: *mut ffi::lua_State, why: String) -> c_int {
    // SAFETY: the stack is emptied first, so there is room for two.
    unsafe {
        ffi::lua_settop(state, 0);
        ffi::lua_pushnil(state);
        ffi::lua_pushlstring(state, why.as_ptr().cast(), why.len());
    }
    2
}

/// Leaves the value of the text at the top of the stack; where it fails, some of it may be left there.
///
/// # Safety
/// `state` must be a Lua state that runs protected, and `bytes` must not be freed by what Lua collects.
unsafe fn push_document(state: *mut ffi::lua_State, bytes: &[u8], big_as_strings: bool) -> Result<(), String> {
    Reader::new(bytes)?.read(&mut LuaStack { state, big_as_strings })
}

/// Builds a document on Lua's stack.
///
/// Invariant: `state` runs protected, and each level has made room for a table, a key, a value and a metatable before it pushes.
struct LuaStack {
    state: *mut ffi::lua_State,
    big_as_strings: bool,
}

impl LuaStack {
    fn open(&mut self, elements: c_int, members: c_int) -> bool {
        // SAFETY: the type's invariant.
        unsafe {
            if ffi::lua_checkstack(self.state, 6) == 0 {
                return false;
            }
            ffi::lua_createtable(self.state, elements, members);
        }
        true
    }
}

impl Sink for LuaStack {
    fn null(&mut self) {
        // SAFETY: the type's invariant.
        unsafe { ffi::lua_pushlightuserdata(self.state, std::ptr::null_mut()) };
    }

    fn boolean(&mut self, value: bool) {
        // SAFETY: the type's invariant.
        unsafe { ffi::lua_pushboolean(self.state, c_int::from(value)) };
    }

    fn number(&mut self, literal: &str) -> bool {
        let Some(number) = short_integer(literal).or_else(|| literal.parse::<f64>().ok().filter(|number| number.is_finite())) else {
            return false;
        };
        if self.big_as_strings && number.abs() >= 9_007_199_254_740_992.0 && !literal.contains(['.', 'e', 'E']) {
            self.string(literal.as_bytes());
        } else {
            // SAFETY: the type's invariant.
            unsafe { ffi::lua_pushnumber(self.state, number) };
        }
        true
    }

    fn string(&mut self, text: &[u8]) {
        // SAFETY: the type's invariant; Lua copies the bytes.
        unsafe {
            ffi::lua_pushlstring(self.state, text.as_ptr().cast(), text.len());
        }
    }

    fn begin_array(&mut self) -> bool {
        self.open(4, 0)
    }

    fn end_element(&mut self, position: usize) {
        // A text of 2^31 elements is longer than any body limit; were there one, its end would be cut here.
        let position = c_int::try_from(position).unwrap_or(c_int::MAX);
        // SAFETY: the array is below the value.
        unsafe { ffi::lua_rawseti_(self.state, -2, position) };
    }

    fn end_array(&mut self, count: usize) {
        if count == 0 {
            // SAFETY: the array is at the top; without its mark it would be written as `{}` again.
            unsafe {
                ffi::lua_getfield_(self.state, ffi::LUA_REGISTRYINDEX, LIST_MARK.as_ptr());
                ffi::lua_setmetatable(self.state, -2);
            }
        }
    }

    fn begin_object(&mut self) -> bool {
        self.open(0, 4)
    }

    fn end_member(&mut self) {
        // SAFETY: the object is below the key and the value.
        unsafe { ffi::lua_rawset(self.state, -3) };
    }
}

/// Most numbers of most documents: up to 15 digits without fraction, which every f64 holds exactly.
#[inline]
fn short_integer(literal: &str) -> Option<f64> {
    let (negative, digits) = literal.strip_prefix('-').map_or((false, literal), |digits| (true, digits));
    if digits.is_empty() || digits.len() > 15 {
        return None;
    }
    let mut number = 0_i64;
    for byte in digits.bytes() {
        number = number * 10 + i64::from(byte.checked_sub(b'0').filter(|digit| *digit <= 9)?);
    }
    #[expect(clippy::cast_precision_loss, reason = "15 digits fit an f64 exactly")]
    let number = number as f64;
    Some(if negative { -number } else { number })
}

#[cfg(test)]
mod tests;
