//! The layouts of what is said and kept of rows that are given out once.

use std::ops::Range;

use super::error::CodecError;
use super::primitives::{Input, Output, TEXT_BYTES, Wire};
use crate::cluster::record::KeptLease;
use crate::load::stock::{Ask, Given, Grant, IterationsBegun, Leftover};
use crate::plan::PROFILES_OF_A_RUN;

impl Wire for Ask {
    fn put(&self, out: &mut Output) {
        out.text(&self.source, TEXT_BYTES);
        out.number(self.number);
        out.number(self.wanted);
        out.option(self.limit, |out, limit| out.number(limit));
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            source: input.string(TEXT_BYTES, SOURCE)?,
            number: input.number()?,
            wanted: input.number()?,
            limit: input.option(Input::number)?,
        })
    }
}

impl Wire for Grant {
    fn put(&self, out: &mut Output) {
        out.text(&self.source, TEXT_BYTES);
        out.number(self.number);
        match &self.given {
            Given::Rows(rows) => {
                out.byte(0);
                put_rows(rows, out);
            }
            Given::Later => out.byte(1),
            Given::Over => out.byte(2),
            Given::Unknown => out.byte(3),
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            source: input.string(TEXT_BYTES, SOURCE)?,
            number: input.number()?,
            given: match input.byte()? {
                0 => Given::Rows(take_rows(input)?),
                1 => Given::Later,
                2 => Given::Over,
                3 => Given::Unknown,
                _ => return Err(CodecError::Invalid { what: "answer about rows" }),
            },
        })
    }
}

impl Wire for IterationsBegun {
    fn put(&self, out: &mut Output) {
        out.length(self.0.len());
        self.0.iter().for_each(|count| out.count(*count));
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        let profiles = input.length(PROFILES_OF_A_RUN, "number of profiles")?;
        (0..profiles).map(|_| input.count()).collect::<Result<_, _>>().map(Self)
    }
}

impl Wire for Leftover {
    fn put(&self, out: &mut Output) {
        out.text(&self.source, TEXT_BYTES);
        out.number(self.number);
        put_rows(&self.rows, out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(Self { source: input.string(TEXT_BYTES, SOURCE)?, number: input.number()?, rows: take_rows(input)? })
    }
}

impl Wire for KeptLease {
    fn put(&self, out: &mut Output) {
        out.text(&self.source, TEXT_BYTES);
        self.worker.put(out);
        out.number(self.number);
        put_rows(&self.rows, out);
        out.flag(self.is_return);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            source: input.string(TEXT_BYTES, SOURCE)?,
            worker: Wire::take(input)?,
            number: input.number()?,
            rows: take_rows(input)?,
            is_return: input.flag()?,
        })
    }
}

/// The first and how many; never none.
fn put_rows(rows: &Range<u64>, out: &mut Output) {
    out.number(rows.start);
    out.number(rows.end.saturating_sub(rows.start));
}

fn take_rows(input: &mut Input<'_>) -> Result<Range<u64>, CodecError> {
    let (start, length) = (input.number()?, input.number()?);
    let end = start.checked_add(length).filter(|_| length > 0).ok_or(CodecError::Invalid { what: "range of rows" })?;
    Ok(start..end)
}

const SOURCE: &str = "name of a file";

/// One message of each kind, for the golden bytes.
#[cfg(test)]
pub(super) mod samples {
    use super::{Ask, Given, Grant, KeptLease, Leftover};
    use crate::cluster::message::{ToMaster, ToWorker, WorkerId};
    use crate::cluster::record::Record;
    use crate::plan::RunId;

    pub fn grant() -> ToWorker {
        ToWorker::Grant { run: RunId(7), grant: Grant { source: "users.csv".into(), number: 3, given: Given::Rows(128..192) } }
    }

    pub fn ask() -> ToMaster {
        ToMaster::Ask { run: RunId(7), ask: Ask { source: "users.csv".into(), number: 3, wanted: 64, limit: Some(30_000) } }
    }

    pub fn leftover() -> ToMaster {
        ToMaster::Leftover { run: RunId(7), leftover: Leftover { source: "users.csv".into(), number: 3, rows: 150..192 } }
    }

    pub fn worker() -> WorkerId {
        WorkerId { host: "box-1".into(), incarnation: 0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10 }
    }

    pub fn lease() -> Record {
        Record::Lease(KeptLease { source: "users.csv".into(), worker: worker(), number: 3, rows: 128..192, is_return: true })
    }
}
