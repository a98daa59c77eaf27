//! The layouts of what workers count: deltas, and what windows of thresholds need. Their tallies are `tallies`'s.

use super::error::CodecError;
use super::messages::{put_epoch, take_epoch};
use super::primitives::{Input, Output, Wire};
use crate::cluster::message::{Delta, WindowParts};
use crate::load::vitals::Vitals;
use crate::stats::tally::Tally;

impl Wire for Delta {
    fn put(&self, out: &mut Output) {
        self.run.put(out);
        put_epoch(self.epoch, out);
        out.count(self.sequence);
        out.count(self.generation);
        out.list(&self.tallies, usize::MAX);
        out.count(self.users);
        self.vitals.put(out);
        out.flag(self.is_exhausted);
        out.flag(self.is_last);
        out.number(u64::from(self.panics));
        out.number(u64::from(self.lanes_lost));
        out.option(self.lost_since, |out, since| out.duration(since));
        self.begun.put(out);
        out.option(self.halt.as_ref(), |out, halt| halt.put(out));
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            run: Wire::take(input)?,
            epoch: take_epoch(input)?,
            sequence: input.count()?,
            generation: input.count()?,
            tallies: input.list::<Tally>(usize::MAX, "number of tallies")?,
            users: input.count()?,
            vitals: Wire::take(input)?,
            is_exhausted: input.flag()?,
            is_last: input.flag()?,
            panics: input.number_32("number of panics")?,
            lanes_lost: input.number_32("number of lanes")?,
            lost_since: input.option(Input::duration)?,
            begun: Wire::take(input)?,
            halt: input.option(Wire::take)?,
        })
    }
}

impl Wire for WindowParts {
    fn put(&self, out: &mut Output) {
        self.run.put(out);
        put_epoch(self.epoch, out);
        out.count(self.sequence);
        out.number(u64::from(self.place));
        out.list(&self.tallies, SECONDS_OF_WINDOWS);
        out.flag(self.is_last);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            run: Wire::take(input)?,
            epoch: take_epoch(input)?,
            sequence: input.count()?,
            place: input.number_32("place of a threshold")?,
            tallies: input.list(SECONDS_OF_WINDOWS, "number of seconds")?,
            is_last: input.flag()?,
        })
    }
}

impl Wire for Vitals {
    fn put(&self, out: &mut Output) {
        out.duration(self.cpu);
        out.duration(self.throttled);
        out.count(self.memory_bytes);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(Self { cpu: input.duration()?, throttled: input.duration()?, memory_bytes: input.count()? })
    }
}

/// More than a worker keeps of one threshold.
const SECONDS_OF_WINDOWS: usize = 4_096;
