//! From Lua values to JSON text: sorted keys, bounded depth, and an error that names the place for what JSON cannot hold.
//!
//! It walks tables on Lua's own stack, because a handle for each element would cost more than the writing. It calls no
//! metamethod and so runs no script, and it never panics: it runs inside of Lua, where a panic could not be caught.

use std::ffi::{CStr, c_void};
use std::fmt::Write as _;

use mlua::ffi;

use crate::script::value::digits_in;
use crate::script::watchdog;

/// Writes a value of Lua as JSON.
pub struct Writer {
    out: Vec<u8>,
    indent: usize,
    /// The tables that are being written, outermost first.
    open: Vec<*const c_void>,
    /// Where members are put in order.
    sorting: Vec<u8>,
    /// Values since the watchdog was asked.
    unasked: u32,
}

impl Writer {
    /// `indent` spaces a level; 0 writes all on one line.
    pub fn new(indent: usize) -> Self {
        Self { out: Vec::new(), indent, open: Vec::new(), sorting: Vec::new(), unasked: 0 }
    }

    /// Writes the value at the top of the stack, and leaves it there.
    ///
    /// # Safety
    /// `state` must be a Lua state that runs protected, with a value at its top.
    ///
    /// # Errors
    /// What cannot be written, and where in the value it stands.
    pub unsafe fn write(mut self, state: *mut ffi::lua_State) -> Result<Vec<u8>, String> {
        // SAFETY: the caller's promise is the same.
        match unsafe { self.value(state) } {
            Ok(()) => Ok(self.out),
            Err(fault) => Err(fault.describe()),
        }
    }

    /// # Safety
    /// As `write`.
    unsafe fn value(&mut self, state: *mut ffi::lua_State) -> Result<(), Fault> {
        self.look_up()?;
        // SAFETY: reading the value at the top of a valid stack; none of these calls raises.
        unsafe {
            match ffi::lua_type(state, -1) {
                ffi::LUA_TNIL => self.out.extend_from_slice(b"null"),
                ffi::LUA_TLIGHTUSERDATA if ffi::lua_touserdata(state, -1).is_null() => self.out.extend_from_slice(b"null"),
                ffi::LUA_TBOOLEAN => {
                    let word: &[u8] = if ffi::lua_toboolean(state, -1) == 0 { b"false" } else { b"true" };
                    self.out.extend_from_slice(word);
                }
                ffi::LUA_TNUMBER => self.number(ffi::lua_tonumber(state, -1))?,
                ffi::LUA_TSTRING => self.string(string_at_top(state))?,
                ffi::LUA_TTABLE => return self.table(state),
                LUA_TCDATA => self.integer(state)?,
                kind => {
                    let name = std::ffi::CStr::from_ptr(ffi::lua_typename(state, kind)).to_string_lossy();
                    return Err(Fault::new(format!("a {name} has no place in JSON")));
                }
            }
        }
        Ok(())
    }

    /// A 64-bit integer, by its digits.
    ///
    /// # Safety
    /// As `write`, with cdata at the top.
    unsafe fn integer(&mut self, state: *mut ffi::lua_State) -> Result<(), Fault> {
        // SAFETY: the stack has room after the check; what spells the value runs in a protected call, and its text is copied before it is popped.
        unsafe {
            if ffi::lua_checkstack(state, 6) == 0 {
                return Err(Fault::new("not enough memory".to_owned()));
            }
            ffi::lua_pushcfunction(state, spell);
            ffi::lua_pushvalue(state, -2);
            let is_spelled = ffi::lua_pcall(state, 1, 1, 0) == ffi::LUA_OK && ffi::lua_type(state, -1) == ffi::LUA_TSTRING;
            let text = if is_spelled { String::from_utf8_lossy(string_at_top(state)).into_owned() } else { String::new() };
            ffi::lua_pop(state, 1);
            let digits = digits_in(&text).ok_or_else(|| Fault::new("a cdata has no place in JSON, unless it is a 64-bit integer".to_owned()))?;
            self.out.extend_from_slice(digits.as_bytes());
        }
        Ok(())
    }

    /// # Safety
    /// As `write`, with a table at the top.
    unsafe fn table(&mut self, state: *mut ffi::lua_State) -> Result<(), Fault> {
        // SAFETY: the stack has room after the check; `lua_next` is called with keys that it gave itself, and no table changes meanwhile.
        unsafe {
            let identity = ffi::lua_topointer(state, -1);
            if self.open.contains(&identity) {
                return Err(Fault::new("a table that contains itself".to_owned()));
            }
            if self.open.len() >= super::reader::DEPTH_MAX || ffi::lua_checkstack(state, 6) == 0 {
                return Err(Fault::new("nested deeper than 128 levels".to_owned()));
            }
            self.open.push(identity);
            let is_list = has_list_mark(state);
            ffi::lua_pushnil(state);
            if ffi::lua_next(state, -2) == 0 {
                self.out.extend_from_slice(if is_list { b"[]" } else { b"{}" });
            } else if is_list || ffi::lua_type(state, -2) == ffi::LUA_TNUMBER {
                ffi::lua_pop(state, 2);
                self.list(state)?;
            } else {
                self.object(state)?;
            }
            self.open.pop();
        }
        Ok(())
    }

    /// # Safety
    /// As `write`, with a table at the top that has at least one key.
    unsafe fn list(&mut self, state: *mut ffi::lua_State) -> Result<(), Fault> {
        // SAFETY: as in `table`, which has made room on the stack.
        unsafe {
            let length = ffi::lua_objlen(state, -1);
            let mut count = 0_usize;
            ffi::lua_pushnil(state);
            while ffi::lua_next(state, -2) != 0 {
                ffi::lua_pop(state, 1);
                if ffi::lua_type(state, -1) != ffi::LUA_TNUMBER {
                    return Err(Fault::new("a table with both list elements and named members".to_owned()));
                }
                let key = ffi::lua_tonumber(state, -1);
                if !(key >= 1.0 && key <= length as f64 && key.fract() == 0.0) {
                    return Err(Fault::new(format!(
                        "a list with holes (key {key} of a list of {length}): fill them with json.null, or use strings as keys"
                    )));
                }
                count += 1;
            }
            if count != length {
                return Err(Fault::new("a list with holes: fill them with json.null, or use strings as keys".to_owned()));
            }
            let Ok(length) = std::ffi::c_int::try_from(length) else {
                return Err(Fault::new("a list of more elements than Lua can count".to_owned()));
            };
            self.out.push(b'[');
            for position in 1..=length {
                if position > 1 {
                    self.out.push(b',');
                }
                self.new_line(self.open.len());
                ffi::lua_rawgeti_(state, -1, position);
                self.value(state).map_err(|fault| fault.within(&format!("[{position}]")))?;
                ffi::lua_pop(state, 1);
            }
            self.new_line(self.open.len().saturating_sub(1));
            self.out.push(b']');
        }
        Ok(())
    }

    /// Writes members as they come, and puts them in the order of their keys afterwards: looking keys up anew would cost more.
    ///
    /// # Safety
    /// As `write`, with the table, its first key and its first value at the top.
    unsafe fn object(&mut self, state: *mut ffi::lua_State) -> Result<(), Fault> {
        self.out.push(b'{');
        let begin = self.out.len();
        let mut members: Vec<Member> = Vec::new();
        // SAFETY: as in `table`. The keys' bytes stay where they are while the table holds them.
        unsafe {
            loop {
                if ffi::lua_type(state, -2) != ffi::LUA_TSTRING {
                    return Err(Fault::new(match ffi::lua_type(state, -2) {
                        ffi::LUA_TNUMBER => "a table with both list elements and named members".to_owned(),
                        _ => "a table with keys that are neither strings nor the numbers of a list".to_owned(),
                    }));
                }
                ffi::lua_pushvalue(state, -2);
                let key: *const [u8] = string_at_top(state);
                ffi::lua_pop(state, 1);
                if is_engines_own(state, &*key) {
                    ffi::lua_pop(state, 1);
                    if ffi::lua_next(state, -2) == 0 {
                        break;
                    }
                    continue;
                }
                if !members.is_empty() {
                    self.out.push(b',');
                }
                let from = self.out.len();
                self.new_line(self.open.len());
                self.string(&*key)?;
                self.out.extend_from_slice(if self.indent > 0 { b": " } else { b":" });
                self.value(state).map_err(|fault| fault.within(&format!(".{}", String::from_utf8_lossy(&*key))))?;
                members.push(Member { key, from, to: self.out.len() });
                ffi::lua_pop(state, 1);
                if ffi::lua_next(state, -2) == 0 {
                    break;
                }
            }
            if !members.is_sorted_by_key(|member| &*member.key) {
                members.sort_unstable_by_key(|member| &*member.key);
                self.reorder(begin, &members)?;
            }
        }
        self.new_line(self.open.len().saturating_sub(1));
        self.out.push(b'}');
        Ok(())
    }

    /// Puts the members that stand from `begin` on in their order.
    fn reorder(&mut self, begin: usize, members: &[Member]) -> Result<(), Fault> {
        // A level moves all that is in it, and levels lie in each other.
        self.unasked = self.unasked.saturating_add(u32::try_from((self.out.len() - begin) / BYTES_A_VALUE).unwrap_or(u32::MAX));
        self.look_up()?;
        self.sorting.clear();
        for (position, member) in members.iter().enumerate() {
            if position > 0 {
                self.sorting.push(b',');
            }
            self.sorting.extend_from_slice(self.out.get(member.from..member.to).unwrap_or_default());
        }
        self.out.truncate(begin);
        self.out.extend_from_slice(&self.sorting);
        Ok(())
    }

    /// A graph of tables can stand for a text that is far larger than itself.
    fn look_up(&mut self) -> Result<(), Fault> {
        self.unasked += 1;
        if self.out.len() > LONGEST {
            return Err(Fault::new(format!("the text would be longer than {} MiB", LONGEST >> 20)));
        }
        if self.unasked >= ASK_EVERY {
            self.unasked = 0;
            if watchdog::is_struck() {
                return Err(Fault::new("it takes too long".to_owned()));
            }
        }
        Ok(())
    }

    fn new_line(&mut self, level: usize) {
        if self.indent > 0 {
            self.out.push(b'\n');
            self.out.resize(self.out.len() + level * self.indent, b' ');
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "only whole numbers within 2^53 are cast")]
    fn number(&mut self, number: f64) -> Result<(), Fault> {
        if !number.is_finite() {
            let name = if number.is_nan() { "NaN" } else { "an infinite number" };
            return Err(Fault::new(format!("{name} has no place in JSON")));
        }
        let mut text = String::new();
        let written = if number.fract() != 0.0 || number.abs() >= 1e21 {
            write!(text, "{number:?}")
        } else if number.abs() <= 9_007_199_254_740_992.0 {
            write!(text, "{}", number as i64)
        } else {
            // All digits up to 1e21, as JavaScript does: readers of whole numbers often do not know exponents.
            write!(text, "{number:.0}")
        };
        debug_assert!(written.is_ok(), "writing to a string cannot fail");
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn string(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if let Err(error) = std::str::from_utf8(bytes) {
            let shown: String = String::from_utf8_lossy(bytes).chars().take(40).collect();
            return Err(Fault::new(format!("a string that is not UTF-8 (its byte {}): {shown:?}", error.valid_up_to() + 1)));
        }
        self.out.push(b'"');
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\') {
            let (plain, special) = rest.split_at(at);
            self.out.extend_from_slice(plain);
            let Some((&byte, after)) = special.split_first() else { break };
            self.escape(byte);
            rest = after;
        }
        self.out.extend_from_slice(rest);
        self.out.push(b'"');
        Ok(())
    }

    fn escape(&mut self, byte: u8) {
        let letter = match byte {
            b'"' | b'\\' => byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0c => b'f',
            _ => {
                const HEX: [u8; 16] = *b"0123456789abcdef";
                self.out.extend_from_slice(b"\\u00");
                self.out.push(HEX[usize::from(byte >> 4) & 15]);
                self.out.push(HEX[usize::from(byte) & 15]);
                return;
            }
        };
        self.out.extend_from_slice(&[b'\\', letter]);
    }
}

/// Bytes of a text, whatever its value shares.
const LONGEST: usize = 64 << 20;

/// Values between two looks at the watchdog.
const ASK_EVERY: u32 = 4_096;

/// So many bytes are moved in the time of writing a value.
const BYTES_A_VALUE: usize = 256;

/// One member that stands in `out`, comma excluded.
struct Member {
    key: *const [u8],
    from: usize,
    to: usize,
}

/// What cannot be written; the place grows from the inside out.
struct Fault {
    what: String,
    place: String,
}

impl Fault {
    fn new(what: String) -> Self {
        Self { what, place: String::new() }
    }

    fn within(mut self, step: &str) -> Self {
        // A cycle or a deep nesting would fill the line with its own name.
        if self.place.len() < 120 {
            self.place.insert_str(0, step);
        }
        self
    }

    fn describe(&self) -> String {
        if self.place.is_empty() { self.what.clone() } else { format!("{} (at {})", self.what, self.place.trim_start_matches('.')) }
    }
}

/// # Safety
/// The top of the stack must be a string; the bytes live as long as Lua holds it.
unsafe fn string_at_top<'a>(state: *mut ffi::lua_State) -> &'a [u8] {
    let mut length = 0;
    // SAFETY: a string is not converted, so nothing is allocated; its bytes are `length` long.
    unsafe {
        let bytes = ffi::lua_tolstring(state, -1, &raw mut length);
        if bytes.is_null() { &[] } else { std::slice::from_raw_parts(bytes.cast(), length) }
    }
}

/// Whether the member is what the engine keeps in a result of a request, which `pairs` does not show either (`lua-stdlib/http.lua`). A script's own
/// table may have such a key: it has no metatable that a script cannot see.
///
/// # Safety
/// As [`Writer::write`], with the table, a key and its value at the top.
unsafe fn is_engines_own(state: *mut ffi::lua_State, key: &[u8]) -> bool {
    if !matches!(key, b"_packed" | b"_handle") {
        return false;
    }
    // SAFETY: `table` has made room on the stack, and a raw look-up raises nothing.
    unsafe {
        if ffi::lua_getmetatable(state, -3) == 0 {
            return false;
        }
        ffi::lua_pushlstring(state, c"__metatable".as_ptr(), 11);
        let kind = ffi::lua_rawget(state, -2);
        ffi::lua_pop(state, 2);
        kind == ffi::LUA_TBOOLEAN
    }
}

/// Whether the table at the top was marked by `json.list`.
///
/// # Safety
/// As `Writer::write`, with room for two values.
unsafe fn has_list_mark(state: *mut ffi::lua_State) -> bool {
    // SAFETY: what is pushed is popped again.
    unsafe {
        if ffi::lua_getmetatable(state, -1) == 0 {
            return false;
        }
        ffi::lua_getfield_(state, ffi::LUA_REGISTRYINDEX, LIST_MARK.as_ptr());
        let is_list = ffi::lua_rawequal(state, -1, -2) != 0;
        ffi::lua_pop(state, 2);
        is_list
    }
}

/// The text of the first argument, as `tostring` gives it.
unsafe extern "C-unwind" fn spell(state: *mut ffi::lua_State) -> std::ffi::c_int {
    // SAFETY: it is called with one value.
    unsafe { ffi::luaL_tolstring(state, 1, std::ptr::null_mut()) };
    1
}

/// LuaJIT's own kind of value: 64-bit integers among others.
const LUA_TCDATA: std::ffi::c_int = 10;

/// The registry's name of the metatable that marks a table as a list.
pub(super) const LIST_MARK: &CStr = c"lunamoth.json.list";
