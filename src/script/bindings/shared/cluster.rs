//! `shared.cluster`: what all users of a run share. The board is on the master, or where there is none, as in `check`, in this process; how one comes
//! to it is the lane's courier's.

use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

use mlua::{Lua, MultiValue, Table, Value};

use super::leases::Leases;
use super::plain::Plain;
use crate::load::courier::{self, Begun, Met};
use crate::load::sides::Side;
use crate::load::errand::{BoardAnswer, BoardAsk, KEY_BYTES, Posted};
use crate::script::context::{UserState, VmContext};
use crate::script::answer::{Answer, Later};
use crate::script::library::Operation;
use crate::script::value;

/// One question, whose answer comes at once: `add`, `get` or `set`.
#[derive(Debug)]
pub struct Board {
    word: String,
    /// Boxed: whatever a user asks for goes from hand to hand, and each has room for it.
    ask: Box<BoardAsk>,
}

impl Operation for Board {
    fn read(lua: &Lua, mut values: MultiValue) -> Result<Self, String> {
        let word = text(values.pop_front())?;
        let what = format!("shared.cluster.{word}: ");
        let read = || {
            let key = key(values.pop_front())?;
            let value = values.pop_front().unwrap_or(Value::Nil);
            Ok(match word.as_str() {
                "incr" => BoardAsk::Add { key, by: value::number(&value).ok_or("a number is needed")? },
                "get" => BoardAsk::Get { key },
                _ => BoardAsk::Set { key, value: posted(lua, &value, false)?, ttl: ttl(values.pop_front())? },
            })
        };
        let ask = { read }().map_err(|why: String| what + &why)?;
        Ok(Self { word, ask: Box::new(ask) })
    }

    async fn perform(mut self, user: &Rc<UserState>) -> Option<Answer> {
        if let Some(mistake) = of_no_user(user, &self.word) {
            return Some(mistake);
        }
        match &mut *self.ask {
            BoardAsk::Add { key, .. } | BoardAsk::Get { key } | BoardAsk::Set { key, .. } => *key = key_on_side(user, key),
            // Not of this operation.
            BoardAsk::Begin { .. } | BoardAsk::Finish { .. } | BoardAsk::GiveUp { .. } | BoardAsk::Gather { .. } => {}
        }
        let answer = awaited(user, user.lane.courier.ask(*self.ask)).await?;
        Some(answer_of(user, &self.word, answer))
    }
}

/// Waits for the value of a key, or the right to bring it.
#[derive(Debug)]
pub struct Fetch(String);

impl Operation for Fetch {
    fn read(_lua: &Lua, mut values: MultiValue) -> Result<Self, String> {
        key(values.pop_front()).map(Self).map_err(|why| format!("shared.cluster.cached: {why}"))
    }

    async fn perform(self, user: &Rc<UserState>) -> Option<Answer> {
        if let Some(mistake) = of_no_user(user, "cached") {
            return Some(mistake);
        }
        Some(match awaited(user, user.lane.courier.begin(&key_on_side(user, &self.0), user.index)).await? {
            Begun::Value(posted) => values_of("value", move |lua| lua_of(lua, &posted)),
            Begun::Fill(lease) => {
                #[expect(clippy::cast_precision_loss, reason = "flights are numbered from 1: 2^53 of them take longer than any run")]
                let number = lease.number() as f64;
                user.library::<Leases>().of_cluster.borrow_mut().push(lease);
                values_of("fill", move |_| Ok(Value::Number(number)))
            }
            Begun::Own => Answer::Mistake(format!("shared.cluster.cached: `{}` is asked for inside of the function that fills it", self.0)),
            Begun::Away => away(user),
        })
    }
}

/// Brings the value of a key.
#[derive(Debug)]
pub struct Bring {
    flight: f64,
    ttl: Option<Duration>,
    value: Box<Result<Posted, String>>,
}

impl Operation for Bring {
    fn read(lua: &Lua, mut values: MultiValue) -> Result<Self, String> {
        let flight = values.pop_front().as_ref().and_then(value::number).ok_or("a flight is needed")?;
        let ttl = ttl(values.pop_front())?;
        // What cannot be brought ends the flight all the same.
        let value = posted(lua, &values.pop_front().unwrap_or(Value::Nil), true).and_then(|value| value.ok_or_else(|| "no value".to_owned()));
        Ok(Self { flight, ttl, value: Box::new(value) })
    }

    async fn perform(self, user: &Rc<UserState>) -> Option<Answer> {
        let Some(lease) = take_lease(user, self.flight) else { return Some(Answer::Nothing) };
        let value = match *self.value {
            Ok(value) => value,
            Err(why) => return Some(Answer::Mistake(format!("shared.cluster.cached: {why}"))),
        };
        let answer = awaited(user, user.lane.courier.finish(lease, value, self.ttl)).await?;
        Some(match answer {
            // The user has what it wanted; that the others do not have it shows at the master.
            None => {
                let _ = away(user);
                Answer::Nothing
            }
            Some(BoardAnswer::Refused(why)) => Answer::Mistake(format!("shared.cluster.cached: {why}")),
            Some(_) => Answer::Nothing,
        })
    }
}

/// Waits at a barrier.
#[derive(Debug)]
pub struct Meet {
    name: String,
    size: u32,
    timeout: Duration,
}

impl Operation for Meet {
    fn read(_lua: &Lua, mut values: MultiValue) -> Result<Self, String> {
        let mut read = || {
            let name = key(values.pop_front())?;
            let size = values.pop_front().as_ref().and_then(value::number).unwrap_or(0.0);
            if size.fract() != 0.0 || !(1.0..=USERS_MAX).contains(&size) {
                return Err(format!("the number of users is a whole number from 1 to {USERS_MAX}"));
            }
            let timeout = value::duration(&values.pop_front().unwrap_or(Value::Nil))?;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it has just been looked at")]
            Ok(Self { name, size: size as u32, timeout })
        };
        read().map_err(|why| format!("shared.cluster.barrier: {why}"))
    }

    async fn perform(self, user: &Rc<UserState>) -> Option<Answer> {
        if let Some(mistake) = of_no_user(user, "barrier") {
            return Some(mistake);
        }
        Some(match awaited(user, user.lane.courier.meet(&self.name, self.size, self.timeout)).await? {
            Met::All => values(|_| Ok(MultiValue::from_iter([Value::Boolean(true)]))),
            Met::TimeIsUp => nil_and(format!("the {} users of `{}` did not come together within {:?}", self.size, self.name, self.timeout)),
            Met::Refused(why) => Answer::Mistake(format!("shared.cluster.barrier: {why}")),
        })
    }
}

/// Adds what `shared.cluster` needs without waiting.
///
/// # Errors
/// Lua is out of memory.
pub(super) fn add_natives(lua: &Lua, context: &Rc<VmContext>, natives: &Table) -> mlua::Result<()> {
    let of = Rc::clone(context);
    // True and the value that this worker has a good copy of; or nothing.
    let copy = lua.create_function(move |lua, key: mlua::LuaString| {
        let Some(lane) = of.lane.as_ref() else { return Ok(MultiValue::new()) };
        let current = of.current.borrow();
        let key_of = |key: &str| current.as_ref().map_or_else(|| key.to_owned(), |user| key_on_side(user, key));
        let copy = key.to_str().ok().and_then(|key| lane.courier.copy(&key_of(&key), Instant::now()));
        copy.map_or_else(|| Ok(MultiValue::new()), |posted| Ok(MultiValue::from_iter([Value::Boolean(true), lua_of(lua, &posted)?])))
    })?;
    natives.raw_set("copy_of_cluster", copy)?;
    let of = Rc::clone(context);
    let give_up = lua.create_function(move |_, flight: f64| {
        drop(of.current.borrow().as_ref().and_then(|user| take_lease(user, flight)));
        Ok(())
    })?;
    natives.raw_set("give_up_of_cluster", give_up)
}

/// The key on the board: side B of a run of two has values of its own. Barriers are for the users of both, who come to them by turns.
fn key_on_side(user: &UserState, key: &str) -> String {
    match user.ledger.side() {
        None | Some(Side::A) => key.to_owned(),
        Some(Side::B) => format!("{key}{ON_SIDE_B}"),
    }
}

/// What `setup` and `teardown` are told: they run before and after the users, when there is no board.
fn of_no_user(user: &UserState, word: &str) -> Option<Answer> {
    user.is_in_act().then(|| {
        Answer::Mistake(format!(
            "shared.cluster.{word}: setup and teardown run before the users and after them, and share nothing with them here; what setup returns, \
             users have as scenario.data()"
        ))
    })
}

/// Waits for an answer, as one waits in a sleep. `None` if the user is to finish.
async fn awaited<T>(user: &Rc<UserState>, answer: impl Future<Output = T>) -> Option<T> {
    let mut slot = None;
    user.wait_for(async { slot = Some(answer.await) }).await?;
    slot
}

fn take_lease(user: &UserState, flight: f64) -> Option<courier::Lease> {
    let mut held = user.library::<Leases>().of_cluster.borrow_mut();
    #[expect(clippy::cast_precision_loss, reason = "as where it was given")]
    let at = held.iter().position(|lease| lease.number() as f64 == flight)?;
    Some(held.swap_remove(at))
}

fn answer_of(user: &UserState, word: &str, answer: Option<BoardAnswer>) -> Answer {
    match answer {
        Some(BoardAnswer::Sum(sum)) => values(move |_| Ok(MultiValue::from_iter([Value::Number(sum)]))),
        Some(BoardAnswer::Value { value, .. }) => values(move |lua| Ok(MultiValue::from_iter([lua_of(lua, &value)?]))),
        Some(BoardAnswer::Done) => values(|_| Ok(MultiValue::from_iter([Value::Boolean(true)]))),
        Some(BoardAnswer::Refused(why)) => Answer::Mistake(format!("shared.cluster.{word}: {why}")),
        Some(BoardAnswer::Unknown) => {
            user.lane.recorder.borrow_mut().warn(FORGOTTEN);
            nil_and(FORGOTTEN.to_owned())
        }
        Some(_) => Answer::Nothing,
        None => away(user),
    }
}

fn away(user: &UserState) -> Answer {
    user.lane.recorder.borrow_mut().warn("shared.cluster: no master has answered for 30 s; scripts went on without");
    nil_and(format!("no master has answered for {} s", courier::ANSWER_TIME.as_secs()))
}

fn nil_and(why: String) -> Answer {
    values(move |lua| Ok(MultiValue::from_iter([Value::Nil, Value::String(lua.create_string(why)?)])))
}

fn values_of(word: &'static str, value: impl FnOnce(&Lua) -> mlua::Result<Value> + 'static) -> Answer {
    values(move |lua| Ok(MultiValue::from_iter([Value::String(lua.create_string(word)?), value(lua)?])))
}

fn values(make: impl FnOnce(&Lua) -> mlua::Result<MultiValue> + 'static) -> Answer {
    Answer::Values(Later::new(make))
}

fn lua_of(lua: &Lua, posted: &Posted) -> mlua::Result<Value> {
    let plain = Plain::from_posted(posted).ok_or_else(|| mlua::Error::runtime("a value of the cluster cannot be read: it is of another version"))?;
    plain.to_lua(lua)
}

fn text(value: Option<Value>) -> Result<String, String> {
    match value {
        Some(Value::String(text)) => Ok(text.to_string_lossy()),
        _ => Err("a text is needed".to_owned()),
    }
}

/// Behind a key of side B.
const ON_SIDE_B: &str = " (side B)";

/// Bytes of a key as scripts write it.
const KEY_BYTES_MAX: usize = KEY_BYTES - ON_SIDE_B.len();

fn key(value: Option<Value>) -> Result<String, String> {
    match value {
        Some(Value::String(text)) if text.as_bytes().len() <= KEY_BYTES_MAX => {
            text.to_str().map(|text| text.to_owned()).map_err(|_| "the key must be UTF-8".to_owned())
        }
        Some(Value::String(_)) => Err(format!("the key is longer than {KEY_BYTES_MAX} bytes")),
        _ => Err("the key must be a string".to_owned()),
    }
}

/// `None` of nil, unless nil is a value.
fn posted(lua: &Lua, value: &Value, is_nil_a_value: bool) -> Result<Option<Posted>, String> {
    if value.is_nil() && !is_nil_a_value {
        return Ok(None);
    }
    Plain::from_lua(lua, value)?.to_posted().map(Some)
}

fn ttl(value: Option<Value>) -> Result<Option<Duration>, String> {
    match value {
        None | Some(Value::Nil) => Ok(None),
        Some(value) => value::duration(&value).map(Some).map_err(|why| format!("ttl: {why}")),
    }
}

const FORGOTTEN: &str = "nobody knows the values of shared.cluster: the master that kept them is gone, and kept no journal (--state DIR)";
/// Users of one barrier.
const USERS_MAX: f64 = 1e6;

#[cfg(test)]
mod tests {
    use super::super::super::testing::{judges, raised};

    #[test]
    fn without_a_master_the_cluster_is_this_process() {
        let why = raised(
            r#"
            local cluster = shared.cluster
            assert(cluster.incr("n") == 1 and cluster.incr("n", 2.5) == 3.5 and cluster.get("n") == 3.5 and cluster.get("none") == nil)
            assert(cluster.set("t", { a = { 1, "\\xff", json.null }, [5] = true }, { ttl = "1h" }))
            local t = cluster.get("t")
            assert(t.a[2] == "\\xff" and t.a[3] == json.null and #t.a == 3 and t[5] == true)
            assert(cluster.set("t", nil) and cluster.get("t") == nil)
            local made = 0
            local function make() made = made + 1 time.sleep(0.001) return { token = made } end
            assert(cluster.cached("k", make).token == 1 and cluster.cached("k", make).token == 1 and made == 1)
            assert(cluster.cached("short", { ttl = 0 }, make).token == 2 and cluster.cached("short", { ttl = 0 }, make).token == 3)
            local ok, why = pcall(cluster.cached, "failing", function() error("no token") end)
            assert(not ok and why:find("no token") and cluster.cached("failing", function() return false end) == false)
            assert(cluster.cached("nothing", function() end) == nil and cluster.cached("nothing", make) == nil)
            assert(cluster.barrier("b", 500) == true)
            "#,
        );
        assert_eq!(why, None);
    }

    #[test]
    fn whatever_does_not_fit_is_said_at_the_callers_line() {
        for (call, why) in [
            ("shared.cluster.incr('t' , 0/0)", "a finite number is needed"),
            ("shared.cluster.get(('k'):rep(2000))", "the key is longer than 1015 bytes"),
            ("shared.cluster.get('\\xff')", "the key must be UTF-8"),
            ("shared.cluster.get('')", "the key must be a string that is not empty"),
            ("shared.cluster.set('k', print)", "a function cannot leave its user"),
            ("shared.cluster.set('k', ('x'):rep(300000))", "256 KiB at most"),
            ("shared.cluster.set('k', 1, { tl = 5 })", "unknown option `tl`; there is `ttl`"),
            ("shared.cluster.set('k', 1, { ttl = -5 })", "ttl: a duration is"),
            ("shared.cluster.cached('k', function() return print end)", "a function cannot leave its user"),
            ("shared.cluster.cached('k', function() local t = shared.cluster.cached('k', print) return t end)", "asked for inside of the function"),
            ("shared.cluster.barrier('b', 2.5)", "a whole number from 1 to 1000000"),
            ("shared.cluster.barrier('b', 0)", "a whole number from 1 to 1000000"),
            ("shared.cluster.barrier('b', 2, 'soon')", "timeout: a duration is"),
        ] {
            let said = raised(&format!("local _ = {call}")).unwrap_or_else(|| panic!("{call} was taken"));
            assert!(said.starts_with("test.lua:3: shared.cluster.") && said.contains(why), "{call}: {said}");
        }
        assert!(raised("shared.cluster.set('s', 'x')\nshared.cluster.incr('s')").unwrap().contains("test.lua:4: shared.cluster.incr: `s` is not a number"));
    }

    #[test]
    fn each_function_takes_the_kinds_that_it_says() {
        judges("shared.cluster.incr(%)", &["text"]);
        judges("shared.cluster.incr('k', %)", &["whole", "fraction", "nil"]);
        judges("shared.cluster.get(%)", &["text"]);
        judges("shared.cluster.set('k', %)", &["whole", "fraction", "text", "nil", "boolean", "table"]);
        judges("shared.cluster.set('k', 1, { ttl = % })", &["whole", "fraction", "nil"]);
        judges("shared.cluster.cached('k', %, function() return 1 end)", &["nil", "table"]);
        judges("shared.cluster.barrier(%, 1)", &["text"]);
        judges("shared.cluster.barrier('b', %)", &["whole"]);
        judges("shared.cluster.barrier('b', 1, %)", &["whole", "fraction", "nil"]);
    }
}
