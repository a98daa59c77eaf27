//! What `lua-stdlib/http.lua` is built on: defaults, clients, cookies, verdicts, and the parts of a result that are read when the script looks.
//!
//! A caller's mistake comes back as nil and a text, which the Lua side raises at the caller's line.

use std::rc::Rc;
use std::time::SystemTime;

use mlua::{AnyUserData, IntoLua, IntoLuaMulti, Lua, LuaString, MultiValue, Table, Value};

use super::super::super::context::{Stage, UserState, VmContext};
use super::super::json;
use super::address::Address;
use super::body_handle::{BodyHandle, HeldBody};
use super::detail::Packed;
use super::lane::LaneHttp;
use super::look;
use super::operation::{ClientHandle, METHODS};
use super::sample::kind_of;
use super::template::Template;
use super::user::UserHttp;
use crate::protocol::http::Unpacker;

/// Registers the natives that `lua-stdlib/http.lua` is built on.
///
/// # Errors
/// Lua is out of memory.
pub fn natives(lua: &Lua, context: &Rc<VmContext>) -> mlua::Result<Table> {
    let natives = lua.create_table()?;
    natives.raw_set("methods", lua.create_sequence_from(METHODS)?)?;
    let of = Rc::clone(context);
    natives.raw_set("client", lua.create_function(move |lua, options: Value| client(lua, &of, &options))?)?;
    natives.raw_set("detail", lua.create_function(detail)?)?;
    natives.raw_set("json", lua.create_function(read_json)?)?;
    natives.raw_set("open", with_user(lua, context, |lua, user, (packed, handle, is_all)| open(lua, user, &packed, handle, is_all))?)?;
    natives.raw_set("opened", with_user(lua, context, |lua, user, (packed, handle)| opened(lua, user, &packed, &handle))?)?;
    natives.raw_set("label", label(lua, context)?)?;
    natives.raw_set("defaults", with_user(lua, context, |lua, user, options: Value| Ok(defaults(lua, user, &options)))?)?;
    natives.raw_set("judge", with_user(lua, context, |_, user, (packed, reason)| Ok(judge(user, &packed, reason)))?)?;
    natives.raw_set("cookie_get", with_state(lua, context, |lua, user, (name, url): (LuaString, _)| cookie_get(lua, user, &name, url))?)?;
    natives.raw_set("cookie_all", with_state(lua, context, cookie_all)?)?;
    natives.raw_set("cookie_set", with_state(lua, context, |_, user, (name, value, url)| cookie_set(user, &name, &value, url))?)?;
    natives.raw_set("cookie_delete", with_state(lua, context, |_, user, (name, url)| Ok(cookie_delete(user, &name, url)))?)?;
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

impl<T: IntoLuaMulti> mlua::IntoLuaMulti for Answer<T> {
    fn into_lua_multi(self, lua: &Lua) -> mlua::Result<MultiValue> {
        match self {
            Self::Good(value) => value.into_lua_multi(lua),
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
    T: IntoLuaMulti + 'static,
    F: Fn(&Lua, &UserHttp, A) -> mlua::Result<Answer<T>> + 'static,
{
    with_state(lua, context, move |lua, user, arguments| work(lua, user.library::<UserHttp>(), arguments))
}

/// The same, where it matters of which class the user is.
fn with_state<A, T, F>(lua: &Lua, context: &Rc<VmContext>, work: F) -> mlua::Result<mlua::Function>
where
    A: mlua::FromLuaMulti,
    T: IntoLuaMulti + 'static,
    F: Fn(&Lua, &UserState, A) -> mlua::Result<Answer<T>> + 'static,
{
    let context = Rc::clone(context);
    lua.create_function(move |lua, arguments: A| {
        let current: Option<Rc<UserState>> = context.current.borrow().clone();
        match current {
            Some(user) => work(lua, &user, arguments),
            None => Ok(Answer::Mistake("is for a user that runs: call it in on_start or a task".to_owned())),
        }
    })
}

/// The entry that a result is of, for errors.
fn label(lua: &Lua, context: &Rc<VmContext>) -> mlua::Result<mlua::Function> {
    let context = Rc::clone(context);
    lua.create_function(move |_, packed: LuaString| {
        let raw_names = context.current.borrow().as_ref().is_some_and(|user| user.library::<UserHttp>().shared().settings.raw_names);
        Ok(Packed::read(&packed.as_bytes()).map(|packed| packed.label(raw_names)))
    })
}

fn client(lua: &Lua, context: &VmContext, options: &Value) -> mlua::Result<Answer<AnyUserData>> {
    let file = |name: &str| {
        let sources = context.files.borrow();
        let sources = sources.as_ref().filter(|_| context.stage.get() == Stage::Loading);
        let sources = sources.ok_or("files are read while the script is loaded: make the client at its top")?;
        sources.named_file(name).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    };
    let lane = context.lane.as_ref().map(|lane| &lane.library::<LaneHttp>().shared);
    match Template::of_client(lua, options, file, |identity| lane.map(|lane| lane.context_of(identity)).transpose()) {
        Ok(template) => {
            if context.stage.get() == Stage::Loading
                && let Some(host) = options.as_table().and_then(|options| options.raw_get::<Option<String>>("host").transpose())
            {
                context.client_hosts.borrow_mut().insert(host?);
            }
            Ok(Answer::Good(lua.create_userdata(ClientHandle(Rc::new(template)))?))
        }
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
    Answer::Good(id.is_some_and(|id| user.ledger.judge(id, reason)))
}

fn cookie_get(lua: &Lua, user: &UserState, name: &LuaString, url: Option<String>) -> mlua::Result<Answer<Option<LuaString>>> {
    let url = match cookie_url(user, url) {
        Ok(url) => url,
        Err(why) => return Ok(Answer::Mistake(why)),
    };
    let value = user.library::<UserHttp>().jar().get(&name.as_bytes(), &url, SystemTime::now()).map(<[u8]>::to_vec);
    Ok(Answer::Good(value.map(|value| lua.create_string(value)).transpose()?))
}

/// Of several cookies of one name the one that a server reads: the first.
fn cookie_all(lua: &Lua, user: &UserState, url: Option<String>) -> mlua::Result<Answer<Table>> {
    let url = match cookie_url(user, url) {
        Ok(url) => url,
        Err(why) => return Ok(Answer::Mistake(why)),
    };
    let found = lua.create_table()?;
    for (name, value) in user.library::<UserHttp>().jar().all(&url, SystemTime::now()).into_iter().rev() {
        found.raw_set(lua.create_string(name)?, lua.create_string(value)?)?;
    }
    Ok(Answer::Good(found))
}

fn cookie_set(user: &UserState, name: &LuaString, value: &LuaString, url: Option<String>) -> mlua::Result<Answer<bool>> {
    let (name, value) = (name.as_bytes(), value.as_bytes());
    let is_bad = |byte: &u8| matches!(byte, b';' | b'\r' | b'\n' | 0);
    if name.is_empty() || name.contains(&b'=') || name.iter().any(is_bad) || value.iter().any(is_bad) {
        return Ok(Answer::Mistake("a cookie's name or value has a character that no cookie can have".to_owned()));
    }
    Ok(cookie_url(user, url).map(|url| user.library::<UserHttp>().jar().set(&name, &value, &url, SystemTime::now())).map(|()| true).into())
}

fn cookie_delete(user: &UserState, name: &LuaString, url: Option<String>) -> Answer<bool> {
    if name.to_string_lossy().contains("://") {
        return Answer::Mistake("the cookie's name comes first, then the URL".to_owned());
    }
    cookie_url(user, url).map(|url| user.library::<UserHttp>().jar().delete(&name.as_bytes(), &url)).into()
}

/// Where a cookie belongs: an URL as requests take it, or the user's host.
fn cookie_url(user: &UserState, url: Option<String>) -> Result<url::Url, String> {
    let http = user.library::<UserHttp>();
    let template = http.template(None);
    let base = http.base_by(&template, user.class_host.as_ref())?;
    let address: Address = http.shared().origins.resolve(url.unwrap_or_else(|| "/".to_owned()), base.as_deref())?;
    address.parsed().ok_or_else(|| format!("bad URL `{}`", address.url()))
}

/// Begins to unpack the body of a result: its handle, and whether it is done; with `is_all` it is, however long that takes.
fn open(
    lua: &Lua,
    user: &UserHttp,
    packed: &LuaString,
    handle: Option<AnyUserData>,
    is_all: bool,
) -> mlua::Result<Answer<(AnyUserData, bool)>> {
    let handle = match handle {
        Some(handle) => handle,
        None => {
            let bytes = packed.as_bytes();
            let Some(packed) = Packed::read(&bytes) else { return Ok(Answer::Mistake("this is no result".to_owned())) };
            let values: Vec<&[u8]> = packed.fields().filter(|(name, _)| name == "content-encoding").map(|(_, value)| value).collect();
            let unpacker = Unpacker::of(packed.body.to_vec(), values.into_iter(), user.shared().settings.body_limit);
            BodyHandle::create(lua, HeldBody::Packed(unpacker))?
        }
    };
    let is_done = {
        let held = handle.borrow::<BodyHandle>()?;
        let packed = held.body.borrow_mut().take_packed();
        match packed.map(|packed| look::unpack_at_once(user, packed, is_all)) {
            Some(Ok(unpacked)) => {
                held.body.borrow_mut().put(unpacked);
                true
            }
            Some(Err(unfinished)) => {
                held.body.replace(HeldBody::Packed(unfinished));
                false
            }
            None => true,
        }
    };
    Ok(Answer::Good((handle, is_done)))
}

/// A body has been unpacked: what its sample says follows. Why and of which kind it failed, where it could not be.
fn opened(
    lua: &Lua,
    user: &UserHttp,
    packed: &LuaString,
    handle: &AnyUserData,
) -> mlua::Result<Answer<(Option<String>, Option<&'static str>)>> {
    let held = handle.borrow::<BodyHandle>()?;
    held.weigh(lua)?;
    let Some(id) = Packed::read(&packed.as_bytes()).map(|packed| packed.id) else {
        return Ok(Answer::Mistake("this is no result".to_owned()));
    };
    Ok(Answer::Good(match &*held.body.borrow() {
        HeldBody::Plain(kept) => {
            user.ledger.note_unpacked(id, Ok(kept.bytes.len() as u64));
            (None, None)
        }
        HeldBody::Bad(failure) => {
            let kind = kind_of(failure.kind);
            user.ledger.note_unpacked(id, Err((kind, &failure.message)));
            (Some(failure.message.clone()), Some(kind.name()))
        }
        HeldBody::Packed(_) | HeldBody::Away => (None, None),
    }))
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
    let Some(handle) = handle else {
        return Ok(if packed.is_closed { CLOSED } else { Value::String(lua.create_string(packed.body)?) });
    };
    let handle = handle.borrow::<BodyHandle>()?;
    let text = match &*handle.body.borrow() {
        HeldBody::Plain(kept) => lua.create_string(&kept.bytes)?,
        HeldBody::Packed(_) | HeldBody::Away => return Ok(CLOSED),
        HeldBody::Bad(_) => return Ok(Value::Nil),
    };
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
) -> mlua::Result<MultiValue> {
    let mistake = |why: &str| Answer::<Value>::Mistake(why.to_owned()).into_lua_multi(lua);
    let path = path.map(|path| path.to_string_lossy());
    let path = path.as_deref();
    if let Some(text) = text {
        return json_answer(lua, &text.as_bytes(), path, big_as_strings);
    }
    let bytes = packed.as_bytes();
    let Some(packed) = Packed::read(&bytes) else { return mistake("this is no result") };
    if packed.is_discarded {
        return mistake("the body was thrown away, as `discard` says");
    }
    let Some(handle) = handle else {
        return if packed.is_closed { closed(lua) } else { json_answer(lua, packed.body, path, big_as_strings) };
    };
    let handle = handle.borrow::<BodyHandle>()?;
    match &*handle.body.borrow() {
        HeldBody::Plain(kept) => json_answer(lua, &kept.bytes, path, big_as_strings),
        HeldBody::Packed(_) | HeldBody::Away => closed(lua),
        HeldBody::Bad(failure) => Answer::<Value>::Mistake(failure.message.clone()).into_lua_multi(lua),
    }
}

fn json_answer(lua: &Lua, bytes: &[u8], path: Option<&str>, big_as_strings: bool) -> mlua::Result<MultiValue> {
    Answer::from(json::decode_path(lua, bytes, path, big_as_strings)).into_lua_multi(lua)
}

/// Nil, and `CLOSED` in the place of a reason.
fn closed(lua: &Lua) -> mlua::Result<MultiValue> {
    (Value::Nil, CLOSED).into_lua_multi(lua)
}

/// Stands for a body that has to be unpacked first: no body and no reason is this.
const CLOSED: Value = Value::Boolean(false);
