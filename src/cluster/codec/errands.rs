//! The layouts of what is asked of the board, answered, and kept of it.

use std::sync::Arc;

use super::error::CodecError;
use super::primitives::{Input, Output, TEXT_BYTES, Wire};
use crate::cluster::record::KeptErrand;
use crate::load::board::Change;
use crate::load::errand::{ASKS_MAX, BoardAnswer, BoardAsk, BoardWord, Errand, FLIGHTS_MAX, KEY_BYTES, Notice, Posted, Reply, VALUE_BYTES};

impl Wire for Posted {
    fn put(&self, out: &mut Output) {
        match self {
            Self::Number(number) => {
                out.byte(0);
                out.float(*number);
            }
            Self::Bytes(bytes) => {
                out.byte(1);
                out.length(bytes.len());
                out.raw(bytes);
            }
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(match input.byte()? {
            0 => Self::Number(input.float()?),
            1 => {
                let length = input.length(VALUE_BYTES, "length of a value")?;
                input.claim(length)?;
                Self::Bytes(Arc::from(input.raw(length)?))
            }
            _ => return Err(CodecError::Invalid { what: "kind of value" }),
        })
    }
}

impl Wire for Errand {
    fn put(&self, out: &mut Output) {
        out.count(self.number);
        out.list(&self.asks, ASKS_MAX);
        out.list(&self.flights, FLIGHTS_MAX);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            number: input.count()?,
            asks: input.list(ASKS_MAX, "number of questions")?,
            flights: input.list(FLIGHTS_MAX, "number of flights")?,
        })
    }
}

/// The key of a flight and its number.
impl Wire for (String, u64) {
    fn put(&self, out: &mut Output) {
        put_key(&self.0, out);
        out.count(self.1);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok((take_key(input)?, input.count()?))
    }
}

impl Wire for BoardAsk {
    fn put(&self, out: &mut Output) {
        match self {
            Self::Add { key, by } => {
                out.byte(0);
                put_key(key, out);
                out.float(*by);
            }
            Self::Get { key } => {
                out.byte(1);
                put_key(key, out);
            }
            Self::Set { key, value, ttl } => {
                out.byte(2);
                put_key(key, out);
                out.option(value.as_ref(), |out, value| value.put(out));
                out.option(*ttl, Output::duration);
            }
            Self::Begin { key } => {
                out.byte(3);
                put_key(key, out);
            }
            Self::Finish { key, flight, value, ttl } => {
                out.byte(4);
                put_key(key, out);
                out.count(*flight);
                value.put(out);
                out.option(*ttl, Output::duration);
            }
            Self::GiveUp { key, flight } => {
                out.byte(5);
                put_key(key, out);
                out.count(*flight);
            }
            Self::Gather { name, size, waiting, seen } => {
                out.byte(6);
                put_key(name, out);
                out.number(u64::from(*size));
                out.number(u64::from(*waiting));
                out.count(*seen);
            }
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(match input.byte()? {
            0 => Self::Add { key: take_key(input)?, by: input.float()? },
            1 => Self::Get { key: take_key(input)? },
            2 => Self::Set { key: take_key(input)?, value: input.option(Wire::take)?, ttl: input.option(Input::duration)? },
            3 => Self::Begin { key: take_key(input)? },
            4 => Self::Finish {
                key: take_key(input)?,
                flight: input.count()?,
                value: Wire::take(input)?,
                ttl: input.option(Input::duration)?,
            },
            5 => Self::GiveUp { key: take_key(input)?, flight: input.count()? },
            6 => Self::Gather {
                name: take_key(input)?,
                size: input.number_32("number of users")?,
                waiting: input.number_32("number of users")?,
                seen: input.count()?,
            },
            _ => return Err(CodecError::Invalid { what: "kind of question" }),
        })
    }
}

impl Wire for Reply {
    fn put(&self, out: &mut Output) {
        out.count(self.number);
        out.list(&self.answers, ASKS_MAX);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(Self { number: input.count()?, answers: input.list(ASKS_MAX, "number of answers")? })
    }
}

impl Wire for BoardAnswer {
    fn put(&self, out: &mut Output) {
        match self {
            Self::Done => out.byte(0),
            Self::Sum(sum) => {
                out.byte(1);
                out.float(*sum);
            }
            Self::Value { value, left } => {
                out.byte(2);
                value.put(out);
                out.option(*left, Output::duration);
            }
            Self::Nothing => out.byte(3),
            Self::Fill { flight } => {
                out.byte(4);
                out.count(*flight);
            }
            Self::Wait => out.byte(5),
            Self::Gathered { released } => {
                out.byte(6);
                out.count(*released);
            }
            Self::Later => out.byte(7),
            Self::Unknown => out.byte(8),
            Self::Refused(why) => {
                out.byte(9);
                out.text(why, TEXT_BYTES);
            }
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(match input.byte()? {
            0 => Self::Done,
            1 => Self::Sum(input.float()?),
            2 => Self::Value { value: Wire::take(input)?, left: input.option(Input::duration)? },
            3 => Self::Nothing,
            4 => Self::Fill { flight: input.count()? },
            5 => Self::Wait,
            6 => Self::Gathered { released: input.count()? },
            7 => Self::Later,
            8 => Self::Unknown,
            9 => Self::Refused(input.string(TEXT_BYTES, "text")?),
            _ => return Err(CodecError::Invalid { what: "kind of answer" }),
        })
    }
}

impl Wire for BoardWord {
    fn put(&self, out: &mut Output) {
        match self {
            Self::Reply(reply) => {
                out.byte(0);
                reply.put(out);
            }
            Self::Notice(Notice::Landed(key)) => {
                out.byte(1);
                put_key(key, out);
            }
            Self::Notice(Notice::Opened { name, released }) => {
                out.byte(2);
                put_key(name, out);
                out.count(*released);
            }
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(match input.byte()? {
            0 => Self::Reply(Wire::take(input)?),
            1 => Self::Notice(Notice::Landed(take_key(input)?)),
            2 => Self::Notice(Notice::Opened { name: take_key(input)?, released: input.count()? }),
            _ => return Err(CodecError::Invalid { what: "word of the board" }),
        })
    }
}

impl Wire for KeptErrand {
    fn put(&self, out: &mut Output) {
        self.worker.put(out);
        out.count(self.number);
        out.list(&self.answers, ASKS_MAX);
        out.list(&self.changes, usize::MAX);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            worker: Wire::take(input)?,
            number: input.count()?,
            answers: input.list(ASKS_MAX, "number of answers")?,
            changes: input.list(usize::MAX, "number of changes")?,
        })
    }
}

impl Wire for Change {
    fn put(&self, out: &mut Output) {
        put_key(&self.key, out);
        out.option(self.value.as_ref(), |out, value| value.put(out));
        out.option(self.expires, Output::duration);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(Self { key: take_key(input)?, value: input.option(Wire::take)?, expires: input.option(Input::duration)? })
    }
}

fn put_key(key: &str, out: &mut Output) {
    out.text(key, KEY_BYTES);
}

fn take_key(input: &mut Input<'_>) -> Result<String, CodecError> {
    input.string(KEY_BYTES, "key")
}

/// Messages of each kind, for the golden bytes.
#[cfg(test)]
pub(super) mod samples {
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::leases::samples::worker;
    use super::{BoardAnswer, BoardAsk, BoardWord, Change, Errand, KeptErrand, Notice, Posted, Reply};
    use crate::cluster::message::{ToMaster, ToWorker};
    use crate::cluster::record::Record;
    use crate::plan::RunId;

    fn bytes() -> Posted {
        Posted::Bytes(Arc::from(&b"\x02a\xff"[..]))
    }

    pub fn errand() -> ToMaster {
        let (key, ttl) = (|| "token".to_owned(), Some(Duration::from_secs(50)));
        let asks = vec![
            BoardAsk::Add { key: "orders".into(), by: -0.5 },
            BoardAsk::Get { key: key() },
            BoardAsk::Set { key: key(), value: Some(Posted::Number(7.0)), ttl },
            BoardAsk::Set { key: key(), value: None, ttl: None },
            BoardAsk::Begin { key: key() },
            BoardAsk::Finish { key: key(), flight: 3, value: bytes(), ttl },
            BoardAsk::GiveUp { key: key(), flight: 4 },
            BoardAsk::Gather { name: "start".into(), size: 500, waiting: 20, seen: 2 },
        ];
        ToMaster::Errand { run: RunId(7), errand: Arc::new(Errand { number: 9, asks, flights: vec![(key(), 3)] }) }
    }

    fn answers() -> Vec<BoardAnswer> {
        vec![
            BoardAnswer::Sum(8.5),
            BoardAnswer::Done,
            BoardAnswer::Nothing,
            BoardAnswer::Fill { flight: 3 },
            BoardAnswer::Wait,
            BoardAnswer::Gathered { released: 22 },
            BoardAnswer::Later,
            BoardAnswer::Unknown,
            BoardAnswer::Refused("no".into()),
        ]
    }

    pub fn reply() -> ToWorker {
        let mut answers = answers();
        answers.push(BoardAnswer::Value { value: bytes(), left: Some(Duration::from_secs(49)) });
        ToWorker::Board { run: RunId(7), word: BoardWord::Reply(Reply { number: 9, answers }) }
    }

    pub fn landed() -> ToWorker {
        ToWorker::Board { run: RunId(7), word: BoardWord::Notice(Notice::Landed("token".into())) }
    }

    pub fn opened() -> ToWorker {
        ToWorker::Board { run: RunId(7), word: BoardWord::Notice(Notice::Opened { name: "start".into(), released: 22 }) }
    }

    pub fn kept() -> Record {
        let changes = vec![
            Change { key: "orders".into(), value: Some(Posted::Number(8.5)), expires: None },
            Change { key: "token".into(), value: None, expires: Some(Duration::from_secs(61)) },
        ];
        Record::Errand(Box::new(KeptErrand { worker: worker(), number: 9, answers: answers(), changes }))
    }
}
