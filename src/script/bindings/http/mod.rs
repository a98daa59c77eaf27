//! `require "http"`: from a Lua call to hops on the wire, and from an exchange to a sample and a result.
//!
//! The way of a call: `operation` takes the values that the coroutine yielded (with `options`, `body`, `headers`, `expect`), `perform` makes the hops for
//! a `user` of a `lane` and decides what failed; of a request that is `known`, `repeat` does it. `detail` packs the result, and `natives` reads its parts when the script looks. A packed body
//! is unpacked when somebody `look`s, in part by a thread that works `aside`. The Lua side is `lua-stdlib/http.lua`.

pub use connections::plan_of as connection_plan;
pub use detail::Outcome;
pub use lane::LaneHttp;
pub use look::ClosedBody;
pub use natives::natives;
pub use self::call::{Call, Outcomes, VALUES_OF_A_RESULT};
pub use options::tags_of;
pub use user::UserHttp;

mod address;
mod aside;
mod body;
pub(super) mod body_handle;
mod call;
mod connections;
pub(in crate::script) mod detail;
mod expect;
mod headers;
mod identity;
mod in_flight;
mod known;
mod lane;
mod look;
mod natives;
mod operation;
mod options;
mod perform;
mod repeat;
mod sample;
mod status;
mod template;
#[cfg(test)]
mod tests;
mod user;
mod values;
