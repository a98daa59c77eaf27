//! What scripts can call: each file here holds the natives of one `require` name; the public functions around them are in `lua-stdlib`.
//!
//! This file owns the table of libraries. A new one is a row in it, a file (or folder) here and one in `lua-stdlib`; what of it scripts can
//! reach, and at which cost, stands in `script/tests/golden/NAME.txt`.

use std::any::{Any, TypeId};
use std::pin::Pin;
use std::rc::Rc;

use mlua::{Lua, MultiValue, Table};

use super::answer::Answer;
use super::context::{OfLibraries, UserState, VmContext};
use super::lane_state::LaneState;
use super::ledger::Ledger;
use super::library::{self, OfLane, OfUser};
use super::type_map::TypeMap;
use crate::plan::Plan;

#[cfg(test)]
mod annotations;
#[cfg(test)]
mod kinds;
#[cfg(test)]
mod testing;

/// Registers the natives of one library.
pub(super) type Natives = fn(&Lua, &Rc<VmContext>) -> mlua::Result<Table>;

/// An operation under way; `None` where the user's step ends there.
pub(super) type Performing<'a> = Pin<Box<dyn Future<Output = Option<Answer>> + 'a>>;

/// One row a library: its module here, which is called as `require` calls it and has `natives`; then the types in it that are kept for each
/// worker (`Default`), lane ([`OfLane`]) and user ([`OfUser`]), and the operations that its Lua hands to the lane, by the names that
/// `engine.operation` has for them ([`library::Operation`](super::library::Operation)). Its Lua is `lua-stdlib/NAME.lua`.
macro_rules! libraries {
    ($(
        $name:ident $(worker $worker:ident)? $(lane $lane:ident)? $(user $user:ident)? $(asks $($operation:ident $asks:ident)+)?;
    )*) => {
        $(pub mod $name;)*

        /// Every name that `require` knows, with the natives behind its Lua file.
        pub(super) const LIBRARIES: &[(&str, Natives)] = &[$((stringify!($name), $name::natives)),*];

        /// What all users of a worker share of a library, for the length of a run; changed scripts take it over.
        #[derive(Debug, Default)]
        pub struct WorkerLibraries {
            $($($name: $name::$worker,)?)*
        }

        impl TypeMap for WorkerLibraries {
            fn find(&self, wanted: TypeId) -> Option<&dyn Any> {
                $($(if wanted == TypeId::of::<$name::$worker>() { return Some(&self.$name); })?)*
                None
            }
        }

        /// What the users of a lane share of a library.
        #[derive(Debug)]
        pub struct LaneLibraries {
            $($($name: $name::$lane,)?)*
        }

        impl TypeMap for LaneLibraries {
            fn find(&self, wanted: TypeId) -> Option<&dyn Any> {
                $($(if wanted == TypeId::of::<$name::$lane>() { return Some(&self.$name); })?)*
                None
            }
        }

        impl LaneLibraries {
            pub(super) fn open(plan: &Plan) -> Result<Self, String> {
                Ok(Self { $($($name: <$name::$lane as OfLane>::open(plan)?,)?)* })
            }
        }

        /// What a user has of a library.
        #[derive(Debug)]
        pub struct UserLibraries {
            $($($name: $name::$user,)?)*
        }

        impl TypeMap for UserLibraries {
            fn find(&self, wanted: TypeId) -> Option<&dyn Any> {
                $($(if wanted == TypeId::of::<$name::$user>() { return Some(&self.$name); })?)*
                None
            }
        }

        impl UserLibraries {
            pub(super) fn new(lane: &Rc<LaneState>, ledger: &Rc<Ledger>) -> Self {
                Self { $($($name: <$name::$user as OfUser>::new(lane, ledger),)?)* }
            }
        }

        impl OfLibraries for UserLibraries {
            fn on_interrupt(&self) {
                $($(<$name::$user as OfUser>::on_interrupt(&self.$name);)?)*
            }
        }

        /// What a coroutine asks of a library.
        #[derive(Debug)]
        #[expect(non_camel_case_types, reason = "the names are those that Lua has for them")]
        pub(super) enum Operation {
            $($($($operation($name::$asks),)+)?)*
        }

        #[derive(Clone, Copy)]
        #[expect(non_camel_case_types, reason = "the names are those that Lua has for them")]
        enum Place {
            $($($($operation,)+)?)*
        }

        impl Operation {
            /// In the order of their numbers.
            pub(super) const NAMES: &[&str] = &[$($($(stringify!($operation),)+)?)*];

            /// Reads what was yielded for operation `number`; `None` where there is none.
            pub(super) fn read(number: i64, lua: &Lua, values: MultiValue) -> Option<Result<Self, String>> {
                $($($(
                    if number == Place::$operation as i64 {
                        return Some(<$name::$asks as library::Operation>::read(lua, values).map(Self::$operation));
                    }
                )+)?)*
                None
            }

            /// The same of plain values, which most requests are.
            #[inline]
            pub(super) fn read_plain(user: &UserState, number: i64, first: f64, text: &[u8], name: Option<&[u8]>) -> Option<Self> {
                $($($(
                    if number == Place::$operation as i64 {
                        return <$name::$asks as library::Operation>::read_plain(user, first, text, name).map(Self::$operation);
                    }
                )+)?)*
                None
            }

            /// Does it; `None` where the step ends there. Boxed: for most of its life a user asks for nothing, and has no room for what asking takes.
            pub(super) fn perform(self, user: &Rc<UserState>) -> Performing<'_> {
                match self {
                    $($($(Self::$operation(asked) => Box::pin(library::Operation::perform(asked, user)),)+)?)*
                }
            }
        }
    };
}

libraries! {
    base64;
    check;
    data asks rows Arrival;
    env;
    group;
    hash;
    html;
    http lane LaneHttp user UserHttp asks http Call unpack ClosedBody;
    json;
    jwt;
    log;
    metric;
    random;
    regex;
    scenario;
    shared worker Stores user Leases asks flight Flight board Board fetch Fetch bring Bring meet Meet;
    time asks sleep Sleep;
    url;
    uuid;
    wait;
    xml;
}

/// Libraries that have a place in the contract and none in this version.
pub(super) const LATER: &[&str] = &["grpc", "sse", "tcp", "udp", "ws"];
