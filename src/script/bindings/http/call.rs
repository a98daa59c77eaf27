//! What a script asks of HTTP, one request or a batch, and what the coroutine is resumed with.

use std::borrow::Cow;
use std::rc::Rc;
use std::time::Instant;

use mlua::{IntoLua, Lua, MultiValue, Value};

use super::body::Body;
use super::body_handle::BodyHandle;
use super::detail::Outcome;
use super::known::Known;
use super::options::Options;
use super::template::Template;

/// One request, or a batch of them.
#[derive(Debug)]
pub struct Call {
    pub(super) kind: CallKind,
    /// When the script asked: what is made of its values from here on, such as a body of JSON, is part of the request's duration.
    pub(super) asked: Instant,
}

/// What a call asks for.
#[derive(Debug)]
pub(super) enum CallKind {
    /// Boxed: a call goes from hand to hand, and each has room for it as long as the request is under way.
    One(Box<Wanted>),
    /// One that was asked for before, and what the user's requests obey.
    Known(Rc<Known>, Rc<Template>),
    Batch(Vec<Wanted>),
}

/// One request as the script wants it.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Upper case, a valid token.
    pub(super) method: Cow<'static, str>,
    /// As the script wrote it.
    pub(super) url: String,
    /// The entry's name, where that is the only option.
    pub(super) name: Option<String>,
    /// All options, where there are others.
    pub(super) options: Option<Box<Options>>,
    /// The client that the call was made on.
    pub(super) client: Option<Rc<Template>>,
}

impl Wanted {
    /// Bytes that it holds, or nearly so.
    pub(super) fn length(&self) -> usize {
        let of_options = |options: &Options| options.query.len() + options.body.as_ref().map_or(0, Body::length);
        self.url.len() + self.options.as_deref().map_or(0, of_options)
    }
}

/// What the coroutine is resumed with.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) kind: ReplyKind,
}

/// What crosses to Lua value by value; what that is, [`Reply::into_lua`] says.
#[derive(Debug)]
pub enum Outcomes {
    /// Of a single request.
    One(Outcome),
    /// Of a batch, in the order of its requests.
    Batch(Vec<Outcome>),
}

/// What came of a call.
#[derive(Debug)]
pub(super) enum ReplyKind {
    One(Outcome),
    Batch(Vec<Outcome>),
    /// The caller's mistake, which only the user's own state could show.
    Mistake(String),
}

impl Reply {
    /// What came of the requests where it can cross without a handle, as nearly all of it can.
    ///
    /// # Errors
    /// The reply itself, which has to go through [`Reply::into_lua`].
    pub(super) fn into_outcomes(self) -> Result<Outcomes, Self> {
        match self.kind {
            ReplyKind::One(outcome) if outcome.is_packed() => Ok(Outcomes::One(outcome)),
            ReplyKind::Batch(outcomes) if outcomes.iter().all(Outcome::is_packed) => Ok(Outcomes::Batch(outcomes)),
            kind => Err(Self { kind }),
        }
    }

    /// Plain values: status, whether it is ok, error, kind of error, and the packed rest that `detail` unpacks when the script asks; a body too large for
    /// that as a handle. A batch is one list, six values for each result. A mistake is nil and its text.
    ///
    /// # Errors
    /// Lua is out of memory.
    pub(super) fn into_lua(self, lua: &Lua) -> mlua::Result<MultiValue> {
        match self.kind {
            ReplyKind::One(outcome) => Ok(MultiValue::from_iter(outcome_values(lua, outcome)?)),
            ReplyKind::Batch(outcomes) => {
                let list = lua.create_table_with_capacity(outcomes.len() * VALUES_OF_A_RESULT, 1)?;
                list.raw_set("count", outcomes.len())?;
                for (place, outcome) in outcomes.into_iter().enumerate() {
                    for (offset, value) in outcome_values(lua, outcome)?.into_iter().enumerate() {
                        list.raw_set(place * VALUES_OF_A_RESULT + offset + 1, value)?;
                    }
                }
                Ok(MultiValue::from_iter([Value::Table(list)]))
            }
            ReplyKind::Mistake(text) => Ok(MultiValue::from_iter([Value::Nil, text.into_lua(lua)?])),
        }
    }
}

/// Of a batch; `http.lua` counts on it.
pub const VALUES_OF_A_RESULT: usize = 6;

fn outcome_values(lua: &Lua, outcome: Outcome) -> mlua::Result<[Value; VALUES_OF_A_RESULT]> {
    let (error, kind) = match outcome.failure() {
        Some((message, kind)) => (Value::String(lua.create_string(message)?), Value::String(lua.create_string(kind)?)),
        None => (Value::Nil, Value::Nil),
    };
    let packed = Value::String(lua.create_string(&outcome.packed)?);
    let (status, is_ok) = (Value::Integer(outcome.status.into()), Value::Boolean(outcome.failure.is_none()));
    let handle = match outcome.large_body {
        Some(body) => Value::UserData(BodyHandle::create(lua, *body)?),
        None => Value::Nil,
    };
    Ok([status, is_ok, error, kind, packed, handle])
}
