//! `require "uuid"`: ids of RFC 9562, from the user's seeded generator.

use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use mlua::{Lua, LuaString, MultiValue, Table, Value};
use uuid::{Builder, Uuid};

use super::base64::given;
use super::random::of_user;
use crate::script::chance::Generator;
use crate::script::context::VmContext;

/// Registers what `lua-stdlib/uuid.lua` is built on. `v4` and `v7` give `nil, why` where no user runs.
///
/// # Errors
/// Lua is out of memory.
pub fn natives(lua: &Lua, context: &Rc<VmContext>) -> mlua::Result<Table> {
    let natives = lua.create_table()?;
    let of = Rc::clone(context);
    natives.raw_set("v4", lua.create_function(move |lua, ()| given(lua, of_user(&of, v4).map_err(str::to_owned)))?)?;
    let of = Rc::clone(context);
    let v7 = lua.create_function(move |lua, ()| {
        let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        given(lua, of_user(&of, |random| v7(random, millis)).map_err(str::to_owned))
    })?;
    natives.raw_set("v7", v7)?;
    let parse = lua.create_function(|lua, text: LuaString| {
        let parsed = text.to_str().ok().and_then(|text| Uuid::try_parse(&text).ok());
        Ok(match parsed {
            Some(id) => MultiValue::from_iter([
                Value::String(lua.create_string(id.hyphenated().to_string())?),
                Value::Integer(i64::try_from(id.get_version_num()).expect("a version has four bits")),
            ]),
            None => MultiValue::from_iter([Value::Nil, Value::String(lua.create_string("it is no UUID")?)]),
        })
    })?;
    natives.raw_set("parse", parse)?;
    Ok(natives)
}

fn v4(random: &mut Generator) -> Vec<u8> {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&random.bits().to_be_bytes());
    bytes[8..].copy_from_slice(&random.bits().to_be_bytes());
    Builder::from_random_bytes(bytes).into_uuid().hyphenated().to_string().into_bytes()
}

fn v7(random: &mut Generator, millis: u64) -> Vec<u8> {
    let mut bytes = [0; 10];
    bytes[..8].copy_from_slice(&random.bits().to_be_bytes());
    bytes[8..].copy_from_slice(&random.bits().to_be_bytes()[..2]);
    Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid().hyphenated().to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{judges, raised};
    use super::*;

    #[test]
    fn ids_have_the_form_that_the_standard_says() {
        let said = raised(
            "local form = '^%x%x%x%x%x%x%x%x%-%x%x%x%x%-(%x)%x%x%x%-([89ab])%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$'
             local seen, last = {}, ''
             for _ = 1, 1000 do
               local four, seven = uuid.v4(), uuid.v7()
               assert(four:match(form) == '4' and seven:match(form) == '7', four .. ' ' .. seven)
               assert(not seen[four] and not seen[seven] and seven:sub(1, 13) >= last)
               seen[four], seen[seven], last = true, true, seven:sub(1, 13)
             end
             local ms = tonumber((last:gsub('-', '')), 16) assert(math.abs(ms / 1000 - time.unix()) < 60)
             local id, version = uuid.parse('F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6')
             assert(id == 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6' and version == 1)
             local none, why = uuid.parse('f81d4fae-7dec') assert(none == nil and why == 'it is no UUID')",
        );
        assert_eq!(said, None);
    }

    /// The example of RFC 9562, A.6.
    #[test]
    fn the_time_of_version_7_stands_where_the_standard_says() {
        let id = v7(&mut Generator::new(1, 2, 3), 0x017F_22E2_79B0);
        assert_eq!(&id[..15], b"017f22e2-79b0-7");
    }

    #[test]
    fn a_run_of_the_same_seed_draws_the_same_ids() {
        let draw = |iteration| v4(&mut Generator::new(7, 1, iteration));
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn values_are_taken_or_refused() {
        judges("uuid.parse(%)", &["text"]);
        let refused = crate::script::testing::Script::new("local id = require('uuid').v4() return function() end").refused();
        assert!(refused.contains("test.lua:1: random numbers are not available while the script is loaded"), "{refused}");
    }
}
