//! `require "log"`: lines of the script in the program's log, bounded in number.
//!
//! Decides how many lines a lane may write; where lines go is decided by whoever set up the `log` crate.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use log::Level;
use mlua::{Lua, LuaString, Table};

use crate::script::context::{Stage, VmContext};

/// Registers what `lua-stdlib/log.lua` is built on.
///
/// # Errors
/// Lua is out of memory.
pub fn natives(lua: &Lua, context: &Rc<VmContext>) -> mlua::Result<Table> {
    let natives = lua.create_table()?;
    let of = Rc::clone(context);
    let is_heard = lua.create_function(move |_, level: u8| Ok(is_heard(&of, level_of(level))))?;
    natives.raw_set("is_heard", is_heard)?;
    let of = Rc::clone(context);
    let write = lua.create_function(move |_, (level, text): (u8, LuaString)| {
        write(&of, level_of(level), &text.as_bytes());
        Ok(())
    })?;
    natives.raw_set("write", write)?;
    Ok(natives)
}

/// What `print` is in a script: a line at level info, under the same bounds.
///
/// # Errors
/// Lua is out of memory.
pub fn print(lua: &Lua, context: &Rc<VmContext>) -> mlua::Result<mlua::Function> {
    let of = Rc::clone(context);
    lua.create_function(move |_, text: LuaString| {
        if is_heard(&of, Level::Info) {
            write(&of, Level::Info, &text.as_bytes());
        }
        Ok(())
    })
}

/// How many lines may still be written in the current second.
#[derive(Debug, Default)]
struct Budget {
    second: Option<Instant>,
    written: u32,
    dropped: u64,
}

impl Budget {
    /// Whether a line at `now` may be written, and how many were dropped since the last one that was.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        if self.second.is_none_or(|begin| now.saturating_duration_since(begin) >= Duration::from_secs(1)) {
            self.second = Some(now);
            self.written = 0;
        }
        if self.written >= LINES_PER_SECOND {
            self.dropped += 1;
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.dropped))
    }
}

impl Drop for Budget {
    /// The lane has ended: nothing is dropped without a word.
    fn drop(&mut self) {
        tell_dropped(self.dropped);
    }
}

thread_local! {
    /// One a lane: a lane is a thread.
    static BUDGET: RefCell<Budget> = RefCell::new(Budget::default());
}

fn is_heard(context: &VmContext, level: Level) -> bool {
    // Every VM evaluates the top level; the master's evaluation alone speaks.
    let repeats_the_master = context.stage.get() == Stage::Loading && context.lane.is_some();
    !repeats_the_master && log::log_enabled!(target: TARGET, level)
}

fn write(context: &VmContext, level: Level, text: &[u8]) {
    let Some(dropped) = BUDGET.with_borrow_mut(|budget| budget.admit(Instant::now())) else { return };
    tell_dropped(dropped);
    let text = printable(text);
    match &*context.current.borrow() {
        Some(user) if user.is_in_act() => log::log!(target: TARGET, level, "{text}"),
        Some(user) => log::log!(target: TARGET, level, "user {}: {text}", user.index),
        None => log::log!(target: TARGET, level, "{text}"),
    }
}

fn tell_dropped(dropped: u64) {
    if dropped > 0 {
        log::warn!(target: TARGET, "{dropped} lines of the script were dropped: a lane writes at most {LINES_PER_SECOND} a second");
    }
}

/// A bounded text that cannot steer a terminal.
fn printable(text: &[u8]) -> String {
    let cut = text.len() > LINE_BYTES_MAX;
    let text = String::from_utf8_lossy(text.get(..LINE_BYTES_MAX).unwrap_or(text));
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() && letter != '\n' && letter != '\t' {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    if cut {
        shown.push('…');
    }
    shown
}

/// The numbers that `log.lua` uses.
fn level_of(number: u8) -> Level {
    match number {
        1 => Level::Error,
        2 => Level::Warn,
        3 => Level::Info,
        _ => Level::Debug,
    }
}

const TARGET: &str = "lunamoth::script";
const LINES_PER_SECOND: u32 = 100;
const LINE_BYTES_MAX: usize = 8 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// The module over natives that hand lines back instead of writing them.
    fn lines_of(code: &str) -> Vec<String> {
        let lua = Lua::new();
        let setup = "local source = ...
                     lines = {}
                     log = load(source, '=log')({
                       is_heard = function(level) return level < 4 end,
                       write = function(level, text) lines[#lines + 1] = level .. ' ' .. text end,
                     })";
        lua.load(setup).call::<()>(include_str!("../../../lua-stdlib/log.lua")).unwrap();
        lua.load(code).set_name("=script").exec().unwrap();
        lua.globals().get("lines").unwrap()
    }

    #[test]
    fn all_arguments_are_shown() {
        assert_eq!(
            lines_of("log.info('a', 1, nil, true) log.warn() log.error(1.5) log.debug('not heard')"),
            ["3 a 1 nil true", "2 ", "1 1.5"]
        );
    }

    #[test]
    fn tables_are_shown_short() {
        assert_eq!(
            lines_of("log.info({ 1, 'x', { a = true } }, { b = 2, a = { 'y' } }, {})"),
            [r#"3 [1,"x",{"a":true}] {"a":["y"],"b":2} {}"#]
        );
        assert_eq!(lines_of("local t = {}; t.t = t; log.info(t)"), [r#"3 {"t":{"t":{"t":{...}}}}"#]);
        let long = lines_of("local t = {}; for i = 1, 1000 do t[i] = i end; log.info(t)");
        assert!(long[0].ends_with(",20,...]"), "{long:?}");
        assert_eq!(lines_of("log.info(setmetatable({}, { __tostring = function() return 'mine' end }))"), ["3 mine"]);
    }

    #[test]
    fn a_lane_writes_a_bounded_number_of_lines_and_counts_the_rest() {
        let start = Instant::now();
        let mut budget = Budget::default();
        let admitted = (0..150).filter(|_| budget.admit(start).is_some()).count();
        assert_eq!(admitted, 100);
        assert_eq!(budget.admit(start + Duration::from_secs(1)), Some(50));
        assert_eq!(budget.admit(start + Duration::from_secs(1)), Some(0));
    }

    #[test]
    fn a_line_cannot_steer_the_terminal_and_has_an_end() {
        assert_eq!(printable(b"a\x1b[31mb\n\tc\xff"), "a\\u{1b}[31mb\n\tc\u{fffd}");
        assert_eq!(printable(&[b'x'; 10_000]).len(), LINE_BYTES_MAX + '…'.len_utf8());
    }
}
