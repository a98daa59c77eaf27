//! The layouts of the journal's records: the number of the kind, then the fields in their order.

use std::num::NonZeroU64;
use std::time::Duration;

use super::error::CodecError;
use super::messages::{put_epoch, take_epoch};
use super::primitives::{Input, Output, Wire};
use crate::cluster::record::{BegunWorker, KeptWorker, Record};
use crate::stats::snapshot::{HistoryPoint, Seen};
use crate::stats::soundness::Reasons;
use crate::stats::windows::WorstWindow;

impl Wire for Record {
    fn put(&self, out: &mut Output) {
        match self {
            Self::Run { plan, wall } => {
                out.byte(0);
                plan.put(out);
                out.time(*wall);
            }
            Self::Retargeted { profile, generation } => {
                out.byte(1);
                profile.put(out);
                out.number(*generation);
            }
            Self::Reset { epoch, at } => {
                out.byte(2);
                put_epoch(*epoch, out);
                out.option(at.as_ref(), |out, at| out.duration(*at));
            }
            Self::Worker(worker) => {
                out.byte(3);
                worker.put(out);
            }
            Self::History(points) => {
                out.byte(4);
                out.list(points, usize::MAX);
            }
            Self::End => out.byte(5),
            Self::Revised { plan } => {
                out.byte(6);
                plan.put(out);
            }
            Self::Lease(lease) => {
                out.byte(7);
                lease.put(out);
            }
            Self::Errand(errand) => {
                out.byte(9);
                errand.put(out);
            }
            Self::Forgotten => out.byte(10),
            Self::Windows(windows) => {
                out.byte(11);
                out.list(windows, usize::MAX);
            }
            Self::Began(begun) => {
                out.byte(8);
                begun.worker.put(out);
                out.second(begun.since.as_secs());
            }
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(match input.byte()? {
            0 => Self::Run { plan: Wire::take(input)?, wall: input.time()? },
            1 => Self::Retargeted { profile: Wire::take(input)?, generation: input.number()? },
            2 => Self::Reset { epoch: take_epoch(input)?, at: input.option(Input::duration)? },
            3 => Self::Worker(Box::new(Wire::take(input)?)),
            4 => Self::History(input.list(usize::MAX, "number of points")?),
            5 => Self::End,
            6 => Self::Revised { plan: Wire::take(input)? },
            7 => Self::Lease(Wire::take(input)?),
            9 => Self::Errand(Box::new(Wire::take(input)?)),
            10 => Self::Forgotten,
            11 => Self::Windows(input.list(usize::MAX, "number of windows")?),
            8 => Self::Began(BegunWorker { worker: Wire::take(input)?, since: Duration::from_secs(input.second()?) }),
            _ => return Err(CodecError::Invalid { what: "kind of record" }),
        })
    }
}

impl Wire for KeptWorker {
    fn put(&self, out: &mut Output) {
        self.worker.put(out);
        put_epoch(self.epoch, out);
        out.count(self.sequence.map_or(0, NonZeroU64::get));
        out.flag(self.has_left);
        self.begun.put(out);
        out.number(u64::from(self.panics));
        out.number(u64::from(self.lanes_lost));
        out.option(self.lost_since, Output::duration);
        self.tallies.put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            worker: Wire::take(input)?,
            epoch: take_epoch(input)?,
            sequence: NonZeroU64::new(input.count()?),
            has_left: input.flag()?,
            begun: Wire::take(input)?,
            panics: input.number_32("number of panics")?,
            lanes_lost: input.number_32("number of lanes")?,
            lost_since: input.option(Input::duration)?,
            tallies: Wire::take(input)?,
        })
    }
}

impl Wire for WorstWindow {
    fn put(&self, out: &mut Output) {
        out.count(self.place);
        out.second(self.end);
        out.float(self.value);
        out.count(self.judged);
        out.second(self.judged_to);
        out.flag(self.has_aborted);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            place: input.count()?,
            end: input.second()?,
            value: input.float()?,
            judged: input.count()?,
            judged_to: input.second()?,
            has_aborted: input.flag()?,
        })
    }
}

/// Begin and length in whole seconds, percentiles in nanoseconds.
impl Wire for HistoryPoint {
    fn put(&self, out: &mut Output) {
        out.second(self.at.as_secs());
        out.second(self.length.as_secs());
        out.option(self.seen.as_ref(), |out, seen| seen.put(out));
        out.byte(self.unsound.bits());
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            at: Duration::from_secs(input.second()?),
            length: Duration::from_secs(input.second()?),
            seen: input.option(Seen::take)?,
            unsound: Reasons::of_bits(input.byte()?).ok_or(CodecError::Invalid { what: "reasons of an unsound second" })?,
        })
    }
}

impl Wire for Seen {
    fn put(&self, out: &mut Output) {
        out.second(self.known.as_secs());
        for count in [self.users, self.requests, self.failures] {
            out.count(count);
        }
        out.option(self.percentiles.as_ref(), |out, percentiles| percentiles.iter().for_each(|percentile| out.duration(*percentile)));
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            known: Duration::from_secs(input.second()?),
            users: input.count()?,
            requests: input.count()?,
            failures: input.count()?,
            percentiles: input.option(|input| Ok([input.duration()?, input.duration()?, input.duration()?]))?,
        })
    }
}

/// Records of some kinds, for the golden bytes.
#[cfg(test)]
pub(super) mod samples {
    use std::time::Duration;

    use super::super::leases::samples::worker;
    use super::{BegunWorker, HistoryPoint, Record, Seen, WorstWindow};

    pub fn windows() -> Record {
        Record::Windows(vec![WorstWindow { place: 2, end: 75, value: 0.25, judged: 61, judged_to: 91, has_aborted: true }])
    }

    pub fn began() -> Record {
        Record::Began(BegunWorker { worker: worker(), since: Duration::from_secs(41) })
    }

    pub fn history() -> Record {
        let seen = Seen { known: Duration::from_secs(9), users: 8, requests: 700, ..Default::default() };
        let step = HistoryPoint {
            at: Duration::from_secs(30),
            length: Duration::from_secs(10),
            seen: Some(seen),
            unsound: crate::stats::soundness::Reasons::default(),
        };
        let unknown = HistoryPoint { at: Duration::from_secs(40), length: Duration::from_secs(10), ..Default::default() };
        Record::History(vec![step, unknown])
    }
}
