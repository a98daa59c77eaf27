//! `require "time"`: the two clocks, and sleep.

use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mlua::{Lua, MultiValue, Table, Value};

use crate::script::context::{Stage, UserState, VmContext};
use crate::script::answer::Answer;
use crate::script::library::{Operation, pause};
use crate::script::value;

/// A pause that a user makes.
#[derive(Debug)]
pub struct Sleep(Duration);

impl Operation for Sleep {
    fn read(_lua: &Lua, mut values: MultiValue) -> Result<Self, String> {
        let time = value::duration(&values.pop_front().unwrap_or(Value::Nil));
        time.map(Self).map_err(|mistake| format!("time.sleep: {mistake}"))
    }

    async fn perform(self, user: &Rc<UserState>) -> Option<Answer> {
        user.wait_for(pause(self.0)).await
    }
}

/// Registers what `lua-stdlib/time.lua` is built on.
///
/// # Errors
/// Lua is out of memory.
pub fn natives(lua: &Lua, context: &Rc<VmContext>) -> mlua::Result<Table> {
    let natives = lua.create_table()?;
    let clock = Rc::clone(context);
    natives.set(
        "now",
        lua.create_function(move |_, ()| {
            let is_running = clock.stage.get() == Stage::Running;
            Ok(clock.lane.as_ref().filter(|_| is_running).map(|lane| lane.zero.get().elapsed().as_secs_f64()))
        })?,
    )?;
    natives.set("unix", lua.create_function(|_, ()| Ok(unix_seconds(SystemTime::now())))?)?;
    Ok(natives)
}

/// Seconds since 1970; below zero where the clock is set before it.
fn unix_seconds(now: SystemTime) -> f64 {
    now.duration_since(UNIX_EPOCH).map_or_else(|before| -before.duration().as_secs_f64(), |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_before_1970_is_told_as_it_stands() {
        let second = Duration::from_secs(1);
        assert_eq!([UNIX_EPOCH - second, UNIX_EPOCH, UNIX_EPOCH + second].map(unix_seconds), [-1.0, 0.0, 1.0]);
    }
}
