//! Looking at bodies: packed ones are unpacked when somebody looks first, and what takes long is done aside, so that the lane's other users run on.
//!
//! The processor time of it is the generator's and is counted as such; it is in no duration.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mlua::{AnyUserData, Lua, MultiValue, Value};

use super::super::super::context::UserState;
use crate::script::answer::Answer;
use super::super::regex::TooLong;
use super::super::super::library::Operation;
use super::aside::{Done, Work, thread_time};
use super::body_handle::{BodyHandle, SharedBody};
use super::expect::{BodyRules, Expect};
use super::user::UserHttp;
use crate::protocol::http::{Exchange, Failure, FailureKind, Kept, Unpacker};

/// A body that a script looks at and that takes a while to be unpacked.
#[derive(Debug)]
pub struct ClosedBody(SharedBody);

impl Operation for ClosedBody {
    fn read(_lua: &Lua, mut values: MultiValue) -> Result<Self, String> {
        let value = values.pop_front().unwrap_or(Value::Nil);
        let handle = value.as_userdata().and_then(|handle| AnyUserData::borrow::<BodyHandle>(handle).ok());
        handle.map(|handle| Self(SharedBody::clone(&handle.body))).ok_or_else(|| "this is no body".to_owned())
    }

    /// Unpacks it, while others run: bounded by the body's limit, and by the user's end. No sample becomes final by it.
    async fn perform(self, user: &Rc<UserState>) -> Option<Answer> {
        let packed = self.0.borrow_mut().take_packed();
        if let Some(packed) = packed {
            let unpacked = unpack_aside(user.library::<UserHttp>(), packed).await;
            self.0.borrow_mut().put(unpacked);
        }
        Some(Answer::Nothing)
    }
}

/// Whether the body must be unpacked first, or is so large that judging it would hold the lane.
pub(super) fn takes_time(expect: &Expect, exchange: &Exchange) -> bool {
    let body = &exchange.body;
    expect.needs_body() && exchange.failure.is_none() && (body.is_packed() || !is_at_once(expect, body.bytes()))
}

/// Unpacks the body of a whole answer, and judges it where it is large. `None` where that is left to the caller, or pointless.
///
/// A body that cannot be unpacked makes a failure of the exchange.
pub(super) async fn judge_body(user: &UserHttp, expect: &Expect, exchange: &mut Exchange) -> Option<Result<(), String>> {
    // Nobody has to look where the answer has failed without.
    expect.judge_head(exchange).ok()?;
    if exchange.body.is_packed() {
        match unpack(user, exchange.body.take_packed()).await {
            Ok(plain) => exchange.body.put_plain(plain),
            Err(failure) => {
                exchange.failure = Some(failure);
                return None;
            }
        }
    }
    if is_at_once(expect, exchange.body.bytes()) {
        return None;
    }
    let judging = Judging { rules: Arc::clone(expect.body()), body: exchange.body.take() };
    match user.shared().aside.run(judging).await {
        Ok(Done { product: (verdict, body), took }) => {
            user.ledger.count_unpacking(took);
            exchange.body.put_plain(body);
            // It is not the target's fault that nobody knows what it sent.
            verdict.map_err(|TooLong| exchange.failure = Some(Failure::new(FailureKind::Local, DEAR))).ok()
        }
        Err(why) => {
            exchange.failure = Some(Failure::new(FailureKind::Local, why));
            None
        }
    }
}

/// Unpacks a little at once, or all of it if that is to be; what is not done then is given back.
pub(super) fn unpack_at_once(user: &UserHttp, mut packed: Unpacker, is_all: bool) -> Result<Result<Kept, Failure>, Unpacker> {
    let begin = Instant::now();
    let unpacked = loop {
        match packed.step() {
            Ok(None) if !is_all && (packed.unpacked() >= AT_ONCE_BYTES || begin.elapsed() > AT_ONCE) => break Err(packed),
            Ok(None) => {}
            Ok(Some(plain)) => break Ok(Ok(plain)),
            Err(failure) => break Ok(Err(failure)),
        }
    };
    user.ledger.count_unpacking(begin.elapsed());
    unpacked
}

async fn unpack(user: &UserHttp, packed: Unpacker) -> Result<Kept, Failure> {
    match unpack_at_once(user, packed, false) {
        Ok(unpacked) => unpacked,
        Err(packed) => unpack_aside(user, packed).await,
    }
}

async fn unpack_aside(user: &UserHttp, packed: Unpacker) -> Result<Kept, Failure> {
    match user.shared().aside.run(packed).await {
        Ok(Done { product, took }) => {
            user.ledger.count_unpacking(took);
            product
        }
        Err(why) => Err(Failure::new(FailureKind::Local, why)),
    }
}

impl Work for Unpacker {
    type Product = Result<Kept, Failure>;

    fn step(&mut self) -> Option<Self::Product> {
        Self::step(self).transpose()
    }
}

fn is_at_once(expect: &Expect, body: &[u8]) -> bool {
    body.len() <= AT_ONCE_BYTES && expect.is_cheap(body.len())
}

/// A large body, or one with a dear pattern, that is judged in one step.
struct Judging {
    rules: Arc<BodyRules>,
    body: Kept,
}

impl Work for Judging {
    type Product = (Result<Result<(), String>, TooLong>, Kept);

    fn step(&mut self) -> Option<Self::Product> {
        let begin = thread_time();
        let is_over = || thread_time().saturating_sub(begin) > JUDGING_MAX;
        Some((self.rules.judge(&self.body.bytes, &is_over), std::mem::take(&mut self.body)))
    }
}

/// What is unpacked or judged on the lane itself.
const AT_ONCE_BYTES: usize = 64 * 1024;
/// Processor time that the rules of one body may take: other bodies wait for it.
const JUDGING_MAX: Duration = Duration::from_millis(250);
const DEAR: &str = "the pattern of `expect.matches` takes too long for a body like this one, which nobody has judged";
/// How long the lane itself unpacks: a body can be dear without becoming long.
const AT_ONCE: Duration = Duration::from_micros(300);
