//! The crossing between the lane and a user's coroutine, value by value on LuaJIT's own stack.
//!
//! Owns the unsafe part of a resume. mlua makes a handle for each value and a protected call for each string, which was most of what a request cost in
//! user mode; so the usual request and its answer cross here, and everything else is handed on to mlua. What the values mean is `driver`'s.
//!
//! Two rules keep it sound. Nothing that can raise is called outside of Lua: strings are made by [`take`], which the coroutine itself calls. And while
//! something can raise, nothing here waits to be dropped.

use std::cell::{Cell, RefCell};
use std::ffi::c_int;
use std::ptr;

use mlua::{Function, IntoLuaMulti, Lua, MultiValue, Thread, Value, ffi};

use super::answer::Answer;
use super::bindings::Operation;
use super::context::UserState;
// The one thing that the crossing knows of a library: an answer that crosses value by value, without a handle of mlua's.
use super::bindings::http::{Outcome, Outcomes, VALUES_OF_A_RESULT};
use super::driver::{self, Request};
use super::traceback;

/// Where the coroutines of one VM and the lane meet.
#[derive(Debug, Default)]
pub(super) struct Crossing {
    // Boxed: `take` knows it by its address.
    inbox: Box<Inbox>,
}

/// What waits for the coroutine that is being resumed.
#[derive(Debug, Default)]
struct Inbox {
    /// Changed outside of Lua only.
    outcomes: RefCell<Option<Outcomes>>,
    is_full: Cell<bool>,
}

impl Crossing {
    /// `native.take(...)`: the outcome that waits, as status, whether it is ok, error, kind of error and the packed rest, or those of a batch as one list of
    /// such values; where none waits, its arguments.
    /// Must not be called after the crossing has gone.
    pub(super) fn take_function(&self, lua: &Lua) -> mlua::Result<Function> {
        let inbox = (&raw const *self.inbox).cast_mut().cast();
        // SAFETY: pushes two values where mlua has made room for three, under its protection.
        unsafe {
            lua.exec_raw((), |state| {
                ffi::lua_pushlightuserdata(state, inbox);
                ffi::lua_pushcclosure(state, take, 1);
            })
        }
    }

    /// Resumes `coroutine`, which is `user`'s, with `answer`; what it asks for.
    ///
    /// # Errors
    /// Why the coroutine is dead, as a text for people.
    pub(super) fn resume(&self, lua: &Lua, coroutine: &Thread, user: &UserState, answer: Answer) -> Result<Request, String> {
        let state = coroutine.state();
        // SAFETY: the thread is alive as long as its handle, and it is not running: it has yielded, or was never resumed. `lua_resume` is a protected
        // call by itself, and the functions around it do not raise: `lua_checkstack` answers 0, and numbers and nil take no memory.
        unsafe {
            if ffi::lua_checkstack(state, SLOTS) == 0 {
                return Err("not enough memory".to_owned());
            }
            let count = match answer {
                Answer::Nothing => 0,
                Answer::Start { job, iteration } => {
                    ffi::lua_pushnumber(state, job as f64);
                    match iteration {
                        Some(iteration) => ffi::lua_pushnumber(state, iteration as f64),
                        None => ffi::lua_pushnil(state),
                    }
                    2
                }
                Answer::Outcomes(outcomes) => {
                    self.inbox.put(outcomes);
                    0
                }
                Answer::Values(later) => push(lua, state, later.make(lua)).map_err(|error| traceback::error_text(&error))?,
                Answer::Mistake(text) => {
                    let values = (driver::failed(), text).into_lua_multi(lua);
                    push(lua, state, values).map_err(|error| traceback::error_text(&error))?
                }
            };
            let mut yielded = 0;
            let status = ffi::lua_resume(state, ptr::null_mut(), count, &raw mut yielded);
            self.inbox.outcomes.take();
            if !matches!(status, ffi::LUA_YIELD | ffi::LUA_OK) {
                return Err(error_of(lua, state));
            }
            if let Some(request) = usual_request(state, yielded, user) {
                ffi::lua_settop(state, 0);
                return Ok(request);
            }
            let values = pull(lua, state, yielded).map_err(|error| traceback::error_text(&error))?;
            Request::from_lua(lua, values)
        }
    }
}

impl Inbox {
    fn put(&self, outcomes: Outcomes) {
        self.outcomes.replace(Some(outcomes));
        self.is_full.set(true);
    }
}

/// Moves values of mlua's to the coroutine; how many.
unsafe fn push(lua: &Lua, coroutine: *mut ffi::lua_State, values: mlua::Result<MultiValue>) -> mlua::Result<c_int> {
    let values = values?;
    let count = c_int::try_from(values.len()).unwrap_or(c_int::MAX);
    // SAFETY: replies have at most six values, and the caller has made room for more; both states are of one VM.
    unsafe { lua.exec_raw::<()>(values, |main| ffi::lua_xmove(main, coroutine, count))? };
    Ok(count)
}

/// Moves the `count` values that the coroutine has on its stack to mlua.
unsafe fn pull(lua: &Lua, coroutine: *mut ffi::lua_State, count: c_int) -> mlua::Result<MultiValue> {
    // SAFETY: there are so many values on the coroutine's stack; both states are of one VM, and room is made under mlua's protection.
    unsafe {
        lua.exec_raw((), |main| {
            if ffi::lua_checkstack(main, count) != 0 {
                ffi::lua_xmove(coroutine, main, count);
            }
        })
    }
}

/// The text of the error that ended the coroutine. A panic of ours goes on from here.
unsafe fn error_of(lua: &Lua, coroutine: *mut ffi::lua_State) -> String {
    // SAFETY: a coroutine that has ended by an error has it on top of its stack.
    let error = unsafe { pull(lua, coroutine, 1) };
    match error.map(|mut values| values.pop_front()) {
        Ok(Some(Value::Error(error))) => traceback::error_text(&error),
        Err(error) => traceback::error_text(&error),
        Ok(Some(Value::String(text))) => traceback::error_text(&mlua::Error::RuntimeError(text.to_string_lossy())),
        Ok(other) => traceback::error_text(&mlua::Error::RuntimeError(format!("(an error object that is {other:?})"))),
    }
}

/// Reads the yielded values where they are those of the end of a job or of a plain request.
unsafe fn usual_request(state: *mut ffi::lua_State, count: c_int, user: &UserState) -> Option<Request> {
    // SAFETY: types are looked at before values; reading a string as a string changes and allocates nothing; what lies beyond the top is "none".
    unsafe {
        let is_ours = ffi::lua_type(state, 1) == ffi::LUA_TLIGHTUSERDATA && ffi::lua_touserdata(state, 1) == driver::token().0;
        if !is_ours || ffi::lua_type(state, 2) != ffi::LUA_TNUMBER {
            return None;
        }
        match ffi::lua_tonumber(state, 2) as i64 {
            driver::DONE => Some(Request::Done),
            code if ffi::lua_type(state, 3) == ffi::LUA_TNUMBER => {
                let has_client = count > 5 && ffi::lua_type(state, 6) != ffi::LUA_TNIL;
                let name = match ffi::lua_type(state, 5) {
                    _ if has_client => return None,
                    ffi::LUA_TNIL | ffi::LUA_TNONE => None,
                    _ => Some(bytes_at(state, 5)?),
                };
                Operation::read_plain(user, code - driver::LIBRARIES, ffi::lua_tonumber(state, 3), bytes_at(state, 4)?, name)
                    .map(Request::Asks)
            }
            _ => None,
        }
    }
}

/// The bytes of the string at `place`; `None` where there is none. Valid as long as the value stays on the stack.
unsafe fn bytes_at<'a>(state: *mut ffi::lua_State, place: c_int) -> Option<&'a [u8]> {
    // SAFETY: only a string is read as one.
    unsafe {
        if ffi::lua_type(state, place) != ffi::LUA_TSTRING {
            return None;
        }
        let mut length = 0;
        let bytes = ffi::lua_tolstring(state, place, &raw mut length);
        Some(std::slice::from_raw_parts(bytes.cast(), length))
    }
}

/// See [`Crossing::take_function`]. Raises where memory is out, at the line of the script that made the request.
unsafe extern "C-unwind" fn take(state: *mut ffi::lua_State) -> c_int {
    // SAFETY: the inbox outlives all calls; while Lua runs nobody changes it, so it is looked at without a guard that an error would have to drop. A C
    // function has room for 20 values.
    unsafe {
        let inbox = ffi::lua_touserdata(state, ffi::lua_upvalueindex(1)).cast::<Inbox>();
        let Some(outcomes) = (&*(*inbox).outcomes.as_ptr()).as_ref().filter(|_| (*inbox).is_full.replace(false)) else {
            return ffi::lua_gettop(state);
        };
        match outcomes {
            Outcomes::One(outcome) => push_outcome(state, outcome),
            Outcomes::Batch(outcomes) => push_list(state, outcomes),
        }
    }
}

/// The values of an outcome; how many.
unsafe fn push_outcome(state: *mut ffi::lua_State, outcome: &Outcome) -> c_int {
    // SAFETY: the caller has room for as many values, and can bear an error.
    unsafe {
        ffi::lua_pushnumber(state, outcome.status().into());
        match outcome.failure() {
            Some((error, kind)) => {
                ffi::lua_pushboolean(state, 0);
                push_text(state, error.as_bytes());
                push_text(state, kind.as_bytes());
            }
            None => {
                ffi::lua_pushboolean(state, 1);
                ffi::lua_pushnil(state);
                ffi::lua_pushnil(state);
            }
        }
        push_text(state, outcome.packed());
    }
    5
}

/// One list with the values of all outcomes and their number, as `Reply::into_lua` has it.
unsafe fn push_list(state: *mut ffi::lua_State, outcomes: &[Outcome]) -> c_int {
    let all = c_int::try_from(outcomes.len() * VALUES_OF_A_RESULT).unwrap_or(c_int::MAX);
    // SAFETY: the caller has room for eight values, and can bear an error.
    unsafe {
        ffi::lua_createtable(state, all, 1);
        let list = ffi::lua_gettop(state);
        push_text(state, b"count");
        ffi::lua_pushnumber(state, outcomes.len() as f64);
        ffi::lua_rawset(state, list);
        for (first, outcome) in (1..).step_by(VALUES_OF_A_RESULT).zip(outcomes) {
            // From the last one on, which lies on top.
            for place in (first..first + ffi::lua_Integer::from(push_outcome(state, outcome))).rev() {
                ffi::lua_rawseti(state, list, place);
            }
        }
    }
    1
}

unsafe fn push_text(state: *mut ffi::lua_State, text: &[u8]) {
    // SAFETY: the caller has room for one value, and can bear an error.
    unsafe { ffi::lua_pushlstring(state, text.as_ptr().cast(), text.len()) };
}

/// More than any answer has values.
const SLOTS: c_int = 8;
