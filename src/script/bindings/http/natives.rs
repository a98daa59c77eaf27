//! What `lua-stdlib/http.lua` is built on: defaults, clients, cookies, verdicts, and the parts of a result that are read when the script looks.
//!
//! A caller's mistake comes back as nil and a text, which the Lua side raises at the caller's line.

use std::rc::Rc;

use mlua::{AnyUserData, IntoLua, Lua, LuaString, MultiValue, Table, Value};

use super::super::super::context::{UserState, VmContext};
use super::super::json;
use super::address::Address;
use super::body_handle::BodyHandle;
use super::detail::Packed;
use super::operation::{ClientHandle, METHODS};
use super::template::Template;
use super::user::UserHttp;

/// Registers the natives that `lua-stdlib/http.lua` is built on.
///
/// # Errors
/// Lua is out of memory.
pub fn natives(lua: &Lua, context: &Rc<VmContext>) -> mlua::Result<Table> {
    let natives = lua.create_table()?;
    natives.raw_set("methods", lua.create_sequence_from(METHODS)?)?;
    natives.raw_set("client", lua.create_function(client)?)?;
    natives.raw_set("detail", lua.create_function(detail)?)?;
    natives.raw_set("json", lua.create_function(read_json)?)?;
    natives
        .raw_set("label", lua.create_function(|_, packed: LuaString| Ok(Packed::read(&packed.as_bytes()).map(|packed| packed.label())))?)?;
    natives.raw_set("defaults", with_user(lua, context, |lua, user, options: Value| Ok(defaults(lua, user, &options)))?)?;
    natives.raw_set("judge", with_user(lua, context, |_, user, (packed, reason)| Ok(judge(user, &packed, reason)))?)?;
    natives.raw_set("cookie_get", with_user(lua, context, |_, user, (name, url)| cookie_get(user, &name, url))?)?;
    natives.raw_set("cookie_all", with_user(lua, context, |_, user, url| cookie_all(user, url))?)?;
    natives.raw_set("cookie_set", with_user(lua, context, |_, user, (name, value, url)| cookie_set(user, &name, &value, url))?)?;
    natives.raw_set(
        "cookie_clear",
        with_user(lua, context, |_, user, (): ()| {
            user.jar().clear();
            Ok(Answer::Good(true))
        })?,
    )?;
    Ok(natives)
}

/// What a native gives back: a value, or the caller's mistake.
enum Answer<T> {
    Good(T),
    Mistake(String),
}

impl<T: IntoLua> mlua::IntoLuaMulti for Answer<T> {
    fn into_lua_multi(self, lua: &Lua) -> mlua::Result<MultiValue> {
        match self {
            Self::Good(value) => (value,).into_lua_multi(lua),
            Self::Mistake(why) => (Value::Nil, why).into_lua_multi(lua),
        }
    }
}

impl<T> From<Result<T, String>> for Answer<T> {
    fn from(result: Result<T, String>) -> Self {
        match result {
            Ok(value) => Self::Good(value),
            Err(why) => Self::Mistake(why),
        }
    }
}

/// A native that works on the user whose coroutine runs.
fn with_user<A, T, F>(lua: &Lua, context: &Rc<VmContext>, work: F) -> mlua::Result<mlua::Function>
where
    A: mlua::FromLuaMulti,
    T: IntoLua + 'static,
    F: Fn(&Lua, &UserHttp, A) -> mlua::Result<Answer<T>> + 'static,
{
    let context = Rc::clone(context);
    lua.create_function(move |lua, arguments: A| {
        let current: Option<Rc<UserState>> = context.current.borrow().clone();
        match current {
            Some(user) => work(lua, &user.http, arguments),
            None => Ok(Answer::Mistake("is for a user that runs: call it in on_start or a task".to_owned())),
        }
    })
}

fn client(lua: &Lua, options: Value) -> mlua::Result<Answer<AnyUserData>> {
    match Template::from_lua(lua, &options) {
        Ok(template) => Ok(Answer::Good(lua.create_userdata(ClientHandle(Rc::new(template)))?)),
        Err(why) => Ok(Answer::Mistake(why)),
    }
}

fn defaults(lua: &Lua, user: &UserHttp, options: &Value) -> Answer<bool> {
    Template::from_lua(lua, options).map(|template| user.add_defaults(&template)).map(|()| true).into()
}

/// `reason` makes a failure of the sample, nil makes none.
fn judge(user: &UserHttp, packed: &LuaString, reason: Option<LuaString>) -> Answer<bool> {
    let reason = reason.map(|reason| reason.to_string_lossy());
    let id = Packed::read(&packed.as_bytes()).map(|packed| packed.id);
    Answer::Good(id.is_some_and(|id| user.judge(id, reason)))
}

fn cookie_get(user: &UserHttp, name: &LuaString, url: Option<String>) -> mlua::Result<Answer<Option<String>>> {
    let name = name.to_string_lossy();
    Ok(cookie_url(user, url).map(|url| user.jar().get(&name, &url).map(str::to_owned)).into())
}

fn cookie_all(user: &UserHttp, url: Option<String>) -> mlua::Result<Answer<std::collections::BTreeMap<String, String>>> {
    let all = |url| user.jar().all(&url).into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Ok(cookie_url(user, url).map(all).into())
}

fn cookie_set(user: &UserHttp, name: &LuaString, value: &LuaString, url: Option<String>) -> mlua::Result<Answer<bool>> {
    let (name, value) = (name.to_string_lossy(), value.to_string_lossy());
    if name.is_empty() || name.contains(['=', ';', '\r', '\n']) || value.contains([';', '\r', '\n']) {
        return Ok(Answer::Mistake("a cookie's name or value has a character that no cookie can have".to_owned()));
    }
    Ok(cookie_url(user, url).map(|url| user.jar().set(&name, &value, &url)).map(|()| true).into())
}

/// Where a cookie belongs: an URL as requests take it, or the user's host.
fn cookie_url(user: &UserHttp, url: Option<String>) -> Result<url::Url, String> {
    let template = user.template(None);
    let base = template.settings.host.as_ref().or(user.shared().base.as_ref());
    let address: Address = user.shared().origins.resolve(url.unwrap_or_else(|| "/".to_owned()), base)?;
    address.parsed().ok_or_else(|| format!("bad URL `{}`", address.url()))
}

/// One part of a result, by its name: `body, headers, cookies, url, proto, timings, history`.
fn detail(lua: &Lua, (packed, handle, part): (LuaString, Option<AnyUserData>, LuaString)) -> mlua::Result<MultiValue> {
    let bytes = packed.as_bytes();
    let Some(packed) = Packed::read(&bytes) else { return Ok(MultiValue::new()) };
    let value = match &*part.as_bytes() {
        b"body" => body(lua, &packed, handle)?,
        b"headers" => return headers(lua, &packed),
        b"cookies" => Value::Table(cookies(lua, &packed)?),
        b"url" => packed.url().into_lua(lua)?,
        b"proto" => packed.proto.into_lua(lua)?,
        b"timings" => Value::Table(lua.create_table_from(packed.timings())?),
        b"history" => Value::Table(history(lua, &packed)?),
        _ => Value::Nil,
    };
    Ok(MultiValue::from_iter([value]))
}

fn body(lua: &Lua, packed: &Packed<'_>, handle: Option<AnyUserData>) -> mlua::Result<Value> {
    if packed.is_discarded {
        return Ok(Value::Nil);
    }
    let Some(handle) = handle else { return Ok(Value::String(lua.create_string(packed.body)?)) };
    let handle = handle.borrow::<BodyHandle>()?;
    let text = handle.with(|bytes| lua.create_string(bytes))?;
    handle.release();
    Ok(Value::String(text))
}

/// First values by name, and all values of the names that came more than once.
fn headers(lua: &Lua, packed: &Packed<'_>) -> mlua::Result<MultiValue> {
    let (first, more) = (lua.create_table()?, lua.create_table()?);
    for (name, value) in packed.fields() {
        let value = lua.create_string(value)?;
        let known: Value = first.raw_get(name.as_str())?;
        if known.is_nil() {
            first.raw_set(name, value)?;
            continue;
        }
        match more.raw_get::<Option<Table>>(name.as_str())? {
            Some(list) => list.raw_push(value)?,
            None => more.raw_set(name, lua.create_sequence_from([known, Value::String(value)])?)?,
        }
    }
    Ok(MultiValue::from_iter([Value::Table(first), Value::Table(more)]))
}

fn cookies(lua: &Lua, packed: &Packed<'_>) -> mlua::Result<Table> {
    let found = lua.create_table()?;
    for (name, value) in packed.fields() {
        if name != "set-cookie" {
            continue;
        }
        let pair = value.split(|&byte| byte == b';').next().unwrap_or_default();
        if let Some(equals) = pair.iter().position(|&byte| byte == b'=') {
            found.raw_set(lua.create_string(pair[..equals].trim_ascii())?, lua.create_string(pair[equals + 1..].trim_ascii())?)?;
        }
    }
    Ok(found)
}

fn history(lua: &Lua, packed: &Packed<'_>) -> mlua::Result<Table> {
    let hops = lua.create_table()?;
    for (method, url, status, seconds) in packed.history() {
        let hop = lua.create_table()?;
        hop.raw_set("method", method)?;
        hop.raw_set("url", url)?;
        hop.raw_set("status", status)?;
        hop.raw_set("duration", seconds)?;
        hops.raw_push(hop)?;
    }
    Ok(hops)
}

/// The body as JSON, or what stands at a path in it; nil and why otherwise.
fn read_json(
    lua: &Lua,
    (packed, handle, text, path, big_as_strings): (LuaString, Option<AnyUserData>, Option<LuaString>, Option<LuaString>, bool),
) -> mlua::Result<Answer<Value>> {
    let path = path.map(|path| path.to_string_lossy());
    let path = path.as_deref();
    if let Some(text) = text {
        return Ok(json::decode_path(lua, &text.as_bytes(), path, big_as_strings).into());
    }
    let bytes = packed.as_bytes();
    let Some(packed) = Packed::read(&bytes) else { return Ok(Answer::Mistake("this is no result".to_owned())) };
    if packed.is_discarded {
        return Ok(Answer::Mistake("the body was thrown away, as `discard` says".to_owned()));
    }
    match handle {
        Some(handle) => Ok(handle.borrow::<BodyHandle>()?.with(|bytes| json::decode_path(lua, bytes, path, big_as_strings)).into()),
        None => Ok(json::decode_path(lua, packed.body, path, big_as_strings).into()),
    }
}
