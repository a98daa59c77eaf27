//! What travels between the users of a worker and the board of the run: the shape only. What the board makes of it is `board`'s, how it is carried
//! `courier`'s.

use std::sync::Arc;
use std::time::Duration;

/// What stands under a key.
#[derive(Debug, Clone, PartialEq)]
pub enum Posted {
    /// Finite; it can be added to.
    Number(f64),
    /// Anything else, as its library writes it.
    Bytes(Arc<[u8]>),
}

/// What the users of a worker ask of the board, in one go. The next one comes when this one is answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Errand {
    /// Above 0; rises with each of the worker.
    pub number: u64,
    /// At most [`ASKS_MAX`], in their order.
    pub asks: Vec<BoardAsk>,
    /// The flights that users of the worker hold: the key, and its number. For a master that does not know of them.
    pub flights: Vec<(String, u64)>,
}

/// One question of an errand.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "`key` and `name` are as the script has them")]
pub enum BoardAsk {
    /// Add to a number, 0 where the key has no value, and say the sum.
    Add {
        /// At most [`KEY_BYTES`] long, as all keys.
        key: String,
        /// What is added, a finite number.
        by: f64,
    },
    /// Say the value of a key.
    Get { key: String },
    /// Set the value of a key, or take it away.
    Set {
        key: String,
        /// `None` takes it away. At most [`VALUE_BYTES`].
        value: Option<Posted>,
        /// How long it is good; `None`: as long as the run.
        ttl: Option<Duration>,
    },
    /// Say the value, or who shall bring it.
    Begin { key: String },
    /// The value of a flight.
    Finish {
        /// Which key it fills.
        key: String,
        /// As in [`BoardAnswer::Fill`].
        flight: u64,
        /// At most [`VALUE_BYTES`].
        value: Posted,
        /// How long it is good; `None`: as long as the run.
        ttl: Option<Duration>,
    },
    /// A flight has ended without a value.
    GiveUp {
        /// Which key it was to fill.
        key: String,
        /// As in [`BoardAnswer::Fill`].
        flight: u64,
    },
    /// How many users of the worker wait in a gathering: all of them each time, so that it may be said again.
    Gather {
        name: String,
        /// How many users it takes.
        size: u32,
        /// Users that wait, those included of whom the worker does not know yet that they are let go.
        waiting: u32,
        /// How many the worker knows to have been let go, in all.
        seen: u64,
    },
}

/// The answers to an errand, in the order of its questions.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// As in the errand.
    pub number: u64,
    /// One for each question.
    pub answers: Vec<BoardAnswer>,
}

/// The answer to one question.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the variant's text says it")]
pub enum BoardAnswer {
    /// It is done; there is nothing to say.
    Done,
    /// What an addition came to.
    Sum(f64),
    /// The value that the key has.
    Value {
        value: Posted,
        /// How long it is good from here on; `None`: as long as the run.
        left: Option<Duration>,
    },
    /// The key has no value.
    Nothing,
    /// The asker shall bring the value.
    Fill {
        /// The number of its flight.
        flight: u64,
    },
    /// Somebody brings the value: [`Notice::Landed`] follows.
    Wait,
    /// How many users of the worker have been let go from the gathering, in all. More may follow by [`Notice::Opened`].
    Gathered { released: u64 },
    /// The reply has no room for it, or what it was has ended: ask again.
    Later,
    /// Nobody knows: the master that kept the board is gone, and kept no journal.
    Unknown,
    /// Why it cannot be, for people.
    Refused(String),
}

/// What a worker is told without having asked. It may be lost: the worker asks again after a second.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "`name` is the gathering's")]
pub enum Notice {
    /// The flight of this key has ended.
    Landed(String),
    /// Users are let go from a gathering.
    Opened {
        name: String,
        /// How many users of the worker have been, in all.
        released: u64,
    },
}

/// What a worker hears of the board.
#[derive(Debug, Clone, PartialEq)]
pub enum BoardWord {
    /// The answer to its errand.
    Reply(Reply),
    /// Something that it waits for.
    Notice(Notice),
}

/// Questions of one errand.
pub const ASKS_MAX: usize = 1_000;
/// Of a key or a gathering's name.
pub const KEY_BYTES: usize = 1_024;
/// The longest value that the board takes.
pub const VALUE_BYTES: usize = 256 << 10;
/// Flights at a time.
pub const FLIGHTS_MAX: usize = 10_000;
