//! The layouts of what is counted: spreads, distributions, hop counts, metrics.

use std::time::Duration;

use super::error::CodecError;
use super::primitives::{Input, MOST, Output, Wire};
use crate::stats::hop_counts::HopCounts;
use crate::stats::metric::{Gauge, Metric, MetricCounts};
use crate::stats::phases::PHASES;
use crate::stats::sample::FailureKind;
use crate::stats::sparse::SparseCounts;
use crate::stats::trend::{NumberSpread, Spread, TrendCounts};

/// Sums that say whether there is anything in them; what is empty is not written at all.
pub trait Sums: Wire + Default {
    /// How many values are in them.
    fn count(&self) -> u64;
}

impl Sums for Spread {
    fn count(&self) -> u64 {
        self.count
    }
}

/// The doubled count, plus 1 for a lone value, which follows. Otherwise least, width and sum follow.
impl Wire for Spread {
    fn put(&self, out: &mut Output) {
        let count = self.count.min(MOST);
        let (sum, min, max) = (self.sum(), self.min(), self.max());
        let is_lone = count == 1 && min == max && sum == min;
        out.number(count << 1 | u64::from(is_lone));
        out.duration(min);
        if !is_lone {
            out.duration(max.saturating_sub(min));
            out.wide(sum.as_nanos());
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        let head = input.number()?;
        let (count, is_lone) = (head >> 1, head & 1 == 1);
        if count == 0 || count > MOST || (is_lone && count > 1) {
            return Err(CodecError::Invalid { what: "count" });
        }
        let min = input.duration()?;
        if is_lone {
            return Ok(Self::new(count, min, min, min));
        }
        // Least and greatest may be written again, as what they are together.
        let max = min + input.duration()?;
        if max > LONGEST {
            return Err(CodecError::Invalid { what: "duration" });
        }
        Ok(Self::new(count, wide_duration(input.wide()?)?, min, max))
    }
}

impl Sums for NumberSpread {
    fn count(&self) -> u64 {
        self.count
    }
}

impl Wire for NumberSpread {
    fn put(&self, out: &mut Output) {
        out.count(self.count);
        for number in [self.sum, self.min, self.max] {
            out.float(number);
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        let count = input.count()?;
        if count == 0 {
            return Err(CodecError::Invalid { what: "count" });
        }
        Ok(Self { count, sum: input.float()?, min: input.float()?, max: input.float()? })
    }
}

/// Four times the number of pairs, plus 2 if values were clamped, plus 1 if there are sums.
impl<S: Sums> Wire for TrendCounts<S> {
    fn put(&self, out: &mut Output) {
        let has_sums = self.spread.count() > 0;
        out.number((self.counts.len() as u64) << 2 | u64::from(self.clamped > 0) << 1 | u64::from(has_sums));
        if has_sums {
            self.spread.put(out);
        }
        if self.clamped > 0 {
            out.count(self.clamped);
        }
        put_pairs(&self.counts, out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        let head = input.number()?;
        let spread = if head & 1 == 1 { S::take(input)? } else { S::default() };
        let clamped = if head & 2 == 2 { some_count(input)? } else { 0 };
        Ok(Self { spread, counts: take_pairs(input, head >> 2)?, clamped })
    }
}

/// Whether nothing was counted.
pub fn is_empty<S: Sums>(trend: &TrendCounts<S>) -> bool {
    trend.spread.count() == 0 && trend.clamped == 0 && trend.counts.is_empty()
}

/// The doubled gap before each index, plus 1 if its count is not 1 and follows.
fn put_pairs(counts: &SparseCounts, out: &mut Output) {
    for (gap, count) in counts.gaps() {
        let is_many = count > 1;
        out.number(u64::from(gap) << 1 | u64::from(is_many));
        if is_many {
            out.count(count);
        }
    }
}

fn take_pairs(input: &mut Input<'_>, length: u64) -> Result<SparseCounts, CodecError> {
    if length > input.left() as u64 {
        return Err(CodecError::Cut);
    }
    input.claim(length as usize * size_of::<(u32, u64)>())?;
    let mut broken = None;
    // A pair that cannot be read becomes one that is refused: an iterator that knows its length lets the list be made at once.
    let pairs = (0..length).map(|_| {
        take_pair(input).unwrap_or_else(|error| {
            broken = Some(error);
            (0, 0)
        })
    });
    let counts = SparseCounts::from_gaps(pairs);
    match broken {
        Some(error) => Err(error),
        None => counts.map_err(|_| CodecError::Invalid { what: "histogram" }),
    }
}

fn take_pair(input: &mut Input<'_>) -> Result<(u32, u64), CodecError> {
    let head = input.number()?;
    let gap = u32::try_from(head >> 1).map_err(|_| CodecError::Invalid { what: "histogram" })?;
    let count = if head & 1 == 1 { input.count()? } else { 1 };
    Ok((gap, count))
}

/// The mask of the phases in which there is something.
pub fn phases_mask(are_some: impl Iterator<Item = bool>) -> u64 {
    PHASES.iter().zip(are_some).fold(0, |mask, (phase, is_some)| mask | u64::from(is_some) << phase.place)
}

/// As [`phases_mask`].
pub fn take_phases_mask(input: &mut Input<'_>) -> Result<u64, CodecError> {
    input.number_within((1 << PHASES.len()) - 1, "mask of phases")
}

/// Requests, a mask of what is not zero, a mask of the phases; then what the masks say, in their order.
impl Wire for HopCounts {
    fn put(&self, out: &mut Output) {
        let rare =
            [self.not_sent, self.unanswered, self.stale_retries, self.bytes_out, self.bytes_in, self.body_bytes, self.bodies_unknown];
        let requests = self.requests.min(MOST);
        let is_uniform = matches!(self.statuses[..], [(_, count)] if count == requests);
        let mut mask = rare.iter().enumerate().fold(0, |mask, (place, count)| mask | u64::from(*count > 0) << place);
        mask |= if is_uniform { UNIFORM } else { 0 };
        mask |= if self.by_kind.iter().any(|count| *count > 0) { KINDS } else { 0 };
        mask |= if !is_uniform && !self.statuses.is_empty() { STATUSES } else { 0 };
        out.count(requests);
        out.number(mask);
        out.number(phases_mask(self.phases.iter().map(|spread| spread.count > 0)));
        for count in rare.iter().filter(|count| **count > 0) {
            out.count(*count);
        }
        if mask & KINDS != 0 {
            put_kinds(&self.by_kind, out);
        }
        if is_uniform {
            out.number(u64::from(self.statuses[0].0));
        } else if mask & STATUSES != 0 {
            out.length(self.statuses.len());
            for (status, count) in &self.statuses {
                out.number(u64::from(*status));
                out.count(*count);
            }
        }
        for spread in self.phases.iter().filter(|spread| spread.count > 0) {
            spread.put(out);
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        let requests = input.count()?;
        let mask = input.number_within(STATUSES | KINDS | UNIFORM | (UNIFORM - 1), "mask of counts")?;
        let phases = take_phases_mask(input)?;
        let mut rare = [0; RARE];
        for (place, count) in rare.iter_mut().enumerate() {
            if mask & 1 << place != 0 {
                *count = some_count(input)?;
            }
        }
        let [not_sent, unanswered, stale_retries, bytes_out, bytes_in, body_bytes, bodies_unknown] = rare;
        let by_kind = if mask & KINDS != 0 { take_kinds(input)? } else { [0; FailureKind::ALL.len()] };
        let statuses = match (mask & UNIFORM != 0, mask & STATUSES != 0) {
            (false, false) => Vec::new(),
            (true, false) => vec![(take_status(input)?, requests)],
            (false, true) => take_statuses(input)?,
            (true, true) => return Err(CodecError::Invalid { what: "mask of counts" }),
        };
        let mut counts = Self {
            requests,
            by_kind,
            statuses,
            not_sent,
            unanswered,
            stale_retries,
            bytes_out,
            bytes_in,
            body_bytes,
            bodies_unknown,
            phases: [Spread::default(); PHASES.len()],
        };
        for (phase, spread) in PHASES.iter().zip(&mut counts.phases) {
            if phases & 1 << phase.place != 0 {
                *spread = Spread::take(input)?;
            }
        }
        Ok(counts)
    }
}

fn put_kinds(by_kind: &[u64], out: &mut Output) {
    let mask = by_kind.iter().enumerate().fold(0, |mask, (place, count)| mask | u64::from(*count > 0) << place);
    out.number(mask);
    for count in by_kind.iter().filter(|count| **count > 0) {
        out.count(*count);
    }
}

fn take_kinds(input: &mut Input<'_>) -> Result<[u64; FailureKind::ALL.len()], CodecError> {
    let mut by_kind = [0; FailureKind::ALL.len()];
    let mask = input.number_within((1 << FailureKind::ALL.len()) - 1, "mask of failures")?;
    for (place, count) in by_kind.iter_mut().enumerate() {
        if mask & 1 << place != 0 {
            *count = some_count(input)?;
        }
    }
    Ok(by_kind)
}

fn take_statuses(input: &mut Input<'_>) -> Result<Vec<(u16, u64)>, CodecError> {
    let length = input.length(STATUS_CODES, "number of statuses")?;
    input.claim(length * size_of::<(u16, u64)>())?;
    let mut statuses: Vec<(u16, u64)> = Vec::with_capacity(length);
    for _ in 0..length {
        let status = take_status(input)?;
        if statuses.last().is_some_and(|(last, _)| *last >= status) {
            return Err(CodecError::Invalid { what: "order of statuses" });
        }
        statuses.push((status, input.count()?));
    }
    Ok(statuses)
}

fn take_status(input: &mut Input<'_>) -> Result<u16, CodecError> {
    u16::try_from(input.number()?).map_err(|_| CodecError::Invalid { what: "status" })
}

/// The kind, then its numbers.
impl Wire for MetricCounts {
    fn put(&self, out: &mut Output) {
        match self {
            Self::Counter(sum) => {
                out.byte(0);
                out.float(*sum);
            }
            Self::Gauge(Gauge { count, second, last, min, max }) => {
                out.byte(1);
                out.count(*count);
                out.second(*second);
                for number in [last, min, max] {
                    out.float(*number);
                }
            }
            Self::Rate { passes, total } => {
                out.byte(2);
                out.count(*passes);
                out.count(*total);
            }
            Self::Trend(trend) => {
                out.byte(3);
                trend.put(out);
            }
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(match input.byte()? {
            0 => Metric::Counter(input.float()?),
            1 => Metric::Gauge(Gauge {
                count: input.count()?,
                second: input.second()?,
                last: input.float()?,
                min: input.float()?,
                max: input.float()?,
            }),
            2 => Metric::Rate { passes: input.count()?, total: input.count()? },
            3 => Metric::Trend(TrendCounts::take(input)?),
            _ => return Err(CodecError::Invalid { what: "kind of metric" }),
        })
    }
}

/// A count that stands behind a mask is not zero.
fn some_count(input: &mut Input<'_>) -> Result<u64, CodecError> {
    match input.count()? {
        0 => Err(CodecError::Invalid { what: "count" }),
        count => Ok(count),
    }
}

/// A sum of durations: more than 64 bits of nanoseconds where many users wait for days.
fn wide_duration(nanos: u128) -> Result<Duration, CodecError> {
    if let Ok(nanos) = u64::try_from(nanos) {
        return Ok(Duration::from_nanos(nanos));
    }
    let seconds = u64::try_from(nanos / 1_000_000_000).map_err(|_| CodecError::Invalid { what: "sum of durations" })?;
    Ok(Duration::new(seconds, (nanos % 1_000_000_000) as u32))
}

/// The counts of [`HopCounts`] that are mostly zero or may be.
const RARE: usize = 7;

/// All hops were answered with one status, which follows.
const UNIFORM: u64 = 1 << RARE;
const KINDS: u64 = 1 << (RARE + 1);
const STATUSES: u64 = 1 << (RARE + 2);

const STATUS_CODES: usize = 1 << 16;

/// What 64 bits of nanoseconds hold.
const LONGEST: Duration = Duration::from_nanos(u64::MAX);
