//! `require "shared"`: values that all users of one worker see.
//!
//! `store` holds them and decides who fills a key; `plain` says what a value may be; `cluster` is the same for all users of a run; `leases` are
//! a user's; here are the natives.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use mlua::{Lua, MultiValue, Table, Value};

use self::plain::Plain;
use self::store::{Begin, wait_for_flight};
use crate::load::sides::Side;
use crate::script::answer::Answer;
use crate::script::context::{UserState, VmContext};
use crate::script::library::Operation;
use crate::script::value::duration;

pub use self::cluster::{Board, Bring, Fetch, Meet};
pub use self::leases::Leases;
pub use self::store::SharedStore;

mod cluster;
mod leases;
mod plain;
mod store;

/// The values that the users of one worker share: those of each side by themselves, where a run has two.
#[derive(Debug, Default)]
pub struct Stores {
    usual: Arc<SharedStore>,
    of_side_b: Arc<SharedStore>,
}

impl Stores {
    fn of(&self, side: Option<Side>) -> &Arc<SharedStore> {
        match side {
            None | Some(Side::A) => &self.usual,
            Some(Side::B) => &self.of_side_b,
        }
    }
}

/// Waits for the flight of another user that fills a key.
#[derive(Debug)]
pub struct Flight(String);

impl Operation for Flight {
    fn read(_lua: &Lua, mut values: MultiValue) -> Result<Self, String> {
        match values.pop_front() {
            Some(Value::String(key)) => Ok(Self(key.to_string_lossy())),
            _ => Err("a key of shared values must be a string".to_owned()),
        }
    }

    /// Bounded by the flight's own deadline.
    async fn perform(self, user: &Rc<UserState>) -> Option<Answer> {
        user.wait_for(wait_for_flight(Arc::clone(user.lane.of_worker::<Stores>().of(user.ledger.side())), self.0)).await
    }
}

/// Registers what `lua-stdlib/shared.lua` is built on. Each native gives `false, why` for what it refuses.
///
/// # Errors
/// Lua is out of memory.
pub fn natives(lua: &Lua, context: &Rc<VmContext>) -> mlua::Result<Table> {
    let natives = natives_over(lua, &CurrentUser(Rc::clone(context)))?;
    cluster::add_natives(lua, context, &natives)?;
    Ok(natives)
}

/// Where the natives find the store and the user.
trait Source: Clone + 'static {
    fn store(&self) -> Option<Arc<SharedStore>>;
    /// Answers with the user's index and leases, where a user runs.
    fn with_user<R>(&self, use_it: impl FnOnce(u64, &Leases) -> R) -> Option<R>;
}

#[derive(Clone)]
struct CurrentUser(Rc<VmContext>);

impl Source for CurrentUser {
    fn store(&self) -> Option<Arc<SharedStore>> {
        let side = self.0.current.borrow().as_ref().and_then(|user| user.ledger.side());
        self.0.lane.as_ref().map(|lane| Arc::clone(lane.of_worker::<Stores>().of(side)))
    }

    fn with_user<R>(&self, use_it: impl FnOnce(u64, &Leases) -> R) -> Option<R> {
        self.0.current.borrow().as_ref().map(|user| use_it(user.index, user.library::<Leases>()))
    }
}

fn natives_over<S: Source>(lua: &Lua, source: &S) -> mlua::Result<Table> {
    let natives = lua.create_table()?;
    let of = source.clone();
    natives.raw_set("get", lua.create_function(move |lua, key: String| answer(lua, get(lua, &of, &key)))?)?;
    let of = source.clone();
    natives.raw_set("set", lua.create_function(move |lua, (key, value): (String, Value)| answer(lua, set(lua, &of, &key, &value)))?)?;
    let of = source.clone();
    natives.raw_set("increase", lua.create_function(move |lua, (key, by): (String, f64)| answer(lua, increase(&of, &key, by)))?)?;
    let of = source.clone();
    natives.raw_set("begin", lua.create_function(move |lua, key: String| answer(lua, begin(lua, &of, &key)))?)?;
    let of = source.clone();
    let finish =
        lua.create_function(move |lua, (lease, lives, value): (u64, Value, Value)| answer(lua, finish(lua, &of, lease, &lives, &value)))?;
    natives.raw_set("finish", finish)?;
    let of = source.clone();
    let give_up = lua.create_function(move |_, lease: u64| {
        drop(of.with_user(|_, leases| leases.take(lease)));
        Ok(())
    })?;
    natives.raw_set("give_up", give_up)?;
    Ok(natives)
}

/// `true` and the values, or `false` and why.
fn answer(lua: &Lua, values: Result<Vec<Value>, String>) -> mlua::Result<MultiValue> {
    let (ok, values) = match values {
        Ok(values) => (true, values),
        Err(why) => (false, vec![Value::String(lua.create_string(why)?)]),
    };
    Ok(std::iter::once(Value::Boolean(ok)).chain(values).collect())
}

fn store_of(source: &impl Source) -> Result<Arc<SharedStore>, String> {
    source.store().ok_or_else(|| NO_RUN.to_owned())
}

fn get(lua: &Lua, source: &impl Source, key: &str) -> Result<Vec<Value>, String> {
    let value = store_of(source)?.get(key, Instant::now()).unwrap_or(Plain::Nil);
    Ok(vec![value.to_lua(lua).map_err(|error| error.to_string())?])
}

fn set(lua: &Lua, source: &impl Source, key: &str, value: &Value) -> Result<Vec<Value>, String> {
    let value = if value.is_nil() { None } else { Some(Plain::from_lua(lua, value)?) };
    store_of(source)?.set(key, value, Instant::now())?;
    Ok(Vec::new())
}

fn increase(source: &impl Source, key: &str, by: f64) -> Result<Vec<Value>, String> {
    Ok(vec![Value::Number(store_of(source)?.increase(key, by, Instant::now())?)])
}

/// `"value"` and the value, `"fill"` and the lease, or `"wait"`.
fn begin(lua: &Lua, source: &impl Source, key: &str) -> Result<Vec<Value>, String> {
    let store = store_of(source)?;
    let begun = source.with_user(|index, leases| match store.begin(key, index, Instant::now()) {
        Begin::Value(value) => Ok(("value", value)),
        Begin::Fill(lease) => {
            #[expect(clippy::cast_precision_loss, reason = "flights are numbered from 1: 2^53 of them take longer than any run")]
            let number = lease.number() as f64;
            leases.hold(lease);
            Ok(("fill", Plain::Number(number)))
        }
        Begin::Wait => Ok(("wait", Plain::Nil)),
        Begin::Own => Err(format!("`{key}` is asked for inside of the function that fills it")),
    });
    let (word, value) = begun.ok_or_else(|| NO_RUN.to_owned())??;
    let word = lua.create_string(word).map_err(|error| error.to_string())?;
    Ok(vec![Value::String(word), value.to_lua(lua).map_err(|error| error.to_string())?])
}

fn finish(lua: &Lua, source: &impl Source, lease: u64, lives: &Value, value: &Value) -> Result<Vec<Value>, String> {
    let lease = source.with_user(|_, leases| leases.take(lease)).flatten().ok_or_else(|| NO_RUN.to_owned())?;
    let value = Plain::from_lua(lua, value)?;
    let lives = if lives.is_nil() { None } else { Some(duration(lives).map_err(|why| format!("ttl: {why}"))?) };
    store_of(source)?.finish(lease, value, lives, Instant::now())?;
    Ok(Vec::new())
}

const NO_RUN: &str = "shared values are there for users in a run only: ask for them in a task or in on_start";

#[cfg(test)]
mod tests;
