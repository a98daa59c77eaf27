//! A call as it crosses from Lua to Rust and back: owned values only, so that nothing of Lua is held across an await.

use std::borrow::Cow;
use std::rc::Rc;
use std::time::Instant;

use mlua::{AnyUserData, Lua, LuaString, MultiValue, Value};

use super::call::{Call, CallKind, Wanted};
use super::options::{NAME_BYTES_MAX, Options};
use super::super::super::context::UserState;
use crate::script::answer::{Answer, Later};
use super::super::super::library::Operation;
use super::headers::is_token_byte;
use super::perform::perform;
use super::template::Template;
use super::user::UserHttp;
use super::values::{did_you_mean, kind_of, number, scalar, text};

impl Operation for Call {
    /// The values after the operation's code: a method's number or name, a URL, nil or a name or a table of
    /// options, nil or a client; or 0, a list of requests, nil or a client.
    fn read(lua: &Lua, mut values: MultiValue) -> Result<Self, String> {
        let asked = Instant::now();
        let mut next = || values.pop_front().unwrap_or(Value::Nil);
        let (method, url, options) = (next(), next(), next());
        if number(&method) == Some(0.0) {
            let client = client_of(&options)?;
            return Ok(Self { kind: CallKind::Batch(batch(lua, &url, client.as_ref())?), asked });
        }
        let client = client_of(&next())?;
        Ok(Self { kind: CallKind::One(Box::new(wanted(lua, &method, &url, &options, client)?)), asked })
    }

    /// The usual request: a method by its number, nothing but a name besides the URL, no client.
    #[inline]
    fn read_plain(user: &UserState, method: f64, url: &[u8], name: Option<&[u8]>) -> Option<Self> {
        let asked = Instant::now();
        let method = *METHODS.get((method as usize).checked_sub(1)?)?;
        if user.class_host.is_none()
            && let Some((known, template)) = user.library::<UserHttp>().known((method, url, name))
        {
            return Some(Self { kind: CallKind::Known(known, template), asked });
        }
        let (url, name) = (str::from_utf8(url).ok()?, name.map(str::from_utf8).transpose().ok()?);
        if url.len() > URL_BYTES_MAX || name.is_some_and(|name| name.len() > NAME_BYTES_MAX) {
            return None; // Refused in words on the way for all others.
        }
        let wanted = Wanted { method: Cow::Borrowed(method), url: url.to_owned(), name: name.map(str::to_owned), options: None, client: None };
        Some(Self { kind: CallKind::One(Box::new(wanted)), asked })
    }

    /// Makes the call and records its samples; the last hops' stay pending. Dropped in flight, it records what was in flight as cut.
    async fn perform(self, user: &Rc<UserState>) -> Option<Answer> {
        let reply = perform(user.library::<UserHttp>(), user.class_host.as_ref(), self).await;
        Some(reply.into_outcomes().map_or_else(|reply| Answer::Values(Later::new(|lua| reply.into_lua(lua))), Answer::Outcomes))
    }
}

fn wanted(lua: &Lua, method: &Value, url: &Value, options: &Value, client: Option<Rc<Template>>) -> Result<Wanted, String> {
    let method = method_of(method)?;
    let Value::String(url) = url else {
        let hint = if url.is_table() { "; the functions of `http` are called with a dot: http.get(url)" } else { "" };
        return Err(format!("the URL must be a string, not {}{hint}", kind_of(url)));
    };
    let url = bounded(url, "the URL", URL_BYTES_MAX)?;
    let (name, options) = match options {
        Value::Nil => (None, None),
        // Lua hands the name over by itself where it is the only option, and sees to it that no script does: the usual request needs no table.
        Value::String(name) => (Some(bounded(name, "option `name`", NAME_BYTES_MAX)?), None),
        Value::Table(table) => (None, Some(Box::new(Options::of_request(lua, table)?))),
        other => return Err(format!("options must be a table, not {}", kind_of(other))),
    };
    Ok(Wanted { method, url, name, options, client })
}

/// A text that goes out, or into the table.
fn bounded(text: &LuaString, what: &str, most: usize) -> Result<String, String> {
    let text = text.to_str().map_err(|_| format!("{what} must be a string in UTF-8"))?;
    if text.len() > most { Err(format!("{what} may have at most {} KiB", most >> 10)) } else { Ok(text.to_owned()) }
}

/// The numbers of `METHODS` stand for the usual methods; others come as they are spelled.
fn method_of(value: &Value) -> Result<Cow<'static, str>, String> {
    if let Some(code) = number(value)
        && let Some(method) = METHODS.get((code as usize).wrapping_sub(1))
    {
        return Ok(Cow::Borrowed(method));
    }
    let Value::String(text) = value else { return Err(format!("the method must be a string, not {}", kind_of(value))) };
    if let Some(known) = METHODS.iter().find(|known| text.as_bytes().eq_ignore_ascii_case(known.as_bytes())) {
        return Ok(Cow::Borrowed(known));
    }
    let method = text.to_string_lossy().to_ascii_uppercase();
    if method.is_empty() || !method.bytes().all(is_token_byte) || method == "CONNECT" {
        return Err(format!("`{}` is no method of a request", method.escape_debug()));
    }
    Ok(Cow::Owned(method))
}

fn client_of(value: &Value) -> Result<Option<Rc<Template>>, String> {
    match value {
        Value::Nil => Ok(None),
        Value::UserData(handle) => Ok(Some(template_of(handle)?)),
        other => Err(format!("a client must come from http.client, not be {}", kind_of(other))),
    }
}

fn template_of(handle: &AnyUserData) -> Result<Rc<Template>, String> {
    handle.borrow::<ClientHandle>().map(|client| Rc::clone(&client.0)).map_err(|_| "a client must come from http.client".to_owned())
}

/// The list of `http.batch`, in which `http.lua` has seen neither a gap nor a name: strings, `{ "GET", "/a", {options} }`, or tables with named parts.
fn batch(lua: &Lua, list: &Value, client: Option<&Rc<Template>>) -> Result<Vec<Wanted>, String> {
    let Value::Table(list) = list else { return Err(format!("http.batch takes a list of requests, not {}", kind_of(list))) };
    let count = list.raw_len();
    if count > BATCH_MAX {
        return Err(format!("http.batch takes at most {BATCH_MAX} requests, not {count}"));
    }
    let (mut all, mut bytes) = (Vec::with_capacity(count), 0);
    for place in 1..=count {
        let request: Value = list.raw_get(place).map_err(|error| error.to_string())?;
        let wanted = batch_member(lua, &request, client.cloned()).map_err(|why| format!("request {place}: {why}"))?;
        bytes += wanted.length();
        if bytes > BATCH_BYTES_MAX {
            return Err(format!("http.batch: all requests together may have at most {} MiB", BATCH_BYTES_MAX >> 20));
        }
        all.push(wanted);
    }
    Ok(all)
}

fn batch_member(lua: &Lua, request: &Value, client: Option<Rc<Template>>) -> Result<Wanted, String> {
    let get = Value::Integer(1);
    let table = match request {
        Value::String(_) => return wanted(lua, &get, request, &Value::Nil, client),
        Value::Table(table) => table,
        other => return Err(format!("must be a URL or a table, not {}", kind_of(other))),
    };
    // As `http.lua` has put it together: what stands beside the three is among the options.
    if table.raw_len() > 0 {
        let part = |place: usize| table.raw_get::<Value>(place).map_err(|error| error.to_string());
        return wanted(lua, &part(1)?, &part(2)?, &part(3)?, client);
    }
    let options = lua.create_table().map_err(|error| error.to_string())?;
    let (mut method, mut url, mut has_options) = (get, Value::Nil, false);
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair.map_err(|error| error.to_string())?;
        match scalar(&key).as_deref() {
            Some(b"method") => method = value,
            Some(b"url") => url = value,
            _ => {
                options.raw_set(key, value).map_err(|error| error.to_string())?;
                has_options = true;
            }
        }
    }
    if url.is_nil() {
        let given: Vec<String> = table.pairs::<Value, Value>().flatten().filter_map(|(key, _)| text("", &key).ok()).collect();
        let near = given.iter().map(|key| did_you_mean(key, &["url"])).find(|hint| hint.starts_with("; did"));
        return Err(format!("has no `url`{}", near.unwrap_or_default()));
    }
    wanted(lua, &method, &url, &if has_options { Value::Table(options) } else { Value::Nil }, client)
}

/// What `http.client` gives to Lua.
pub(super) struct ClientHandle(pub(super) Rc<Template>);

impl mlua::UserData for ClientHandle {}

/// The usual methods; `http.lua` knows them by their place, counted from 1.
pub(super) const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

/// Bytes of a URL, and of a name.
const URL_BYTES_MAX: usize = 1 << 20;

/// Bytes of all requests of a batch, which are copied out of the VM at the same time.
const BATCH_BYTES_MAX: usize = 64 << 20;

/// All requests of a batch are under way at the same time.
const BATCH_MAX: usize = 1_000;
