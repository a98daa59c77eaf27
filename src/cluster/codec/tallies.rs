//! The layout of a tally: one mask of its parts, then the parts that have something in them.

use std::hash::Hash;
use std::sync::Arc;

use rustc_hash::FxBuildHasher;

use super::error::CodecError;
use super::numbers::{is_empty, phases_mask, take_phases_mask};
use super::primitives::{Input, Output, Wire};
use crate::plan::PROFILES_OF_A_RUN;
use crate::stats::holds::{HOLDER_BYTES, HOLDERS, HoldCounts, Holder};
use crate::stats::names::{EntryName, ErrorName, NAME_BYTES, NameMap, TRACEBACK_BYTES};
use crate::stats::phases::PHASES;
use crate::stats::profiles::{ProfileCounts, ProfileEvents};
use crate::stats::sample::FailureKind;
use crate::stats::tally::{CheckCounts, ClassCounts, EntryCounts, ErrorCounts, EventCounts, ExceptionCounts, Tally};
use crate::stats::times::TIMES;
use crate::stats::trend::{Spread, TrendCounts};

/// Second, users, the mask, a mask of the phases; then each part.
impl Wire for Tally {
    fn put(&self, out: &mut Output) {
        let parts = parts_of(self);
        out.second(self.second);
        out.count(self.users);
        out.number(parts);
        out.number(phases_mask(self.phases.iter().map(|trend| !is_empty(trend))));
        put_entries(&self.entries, parts & ENTRIES_SINCE_DUE != 0, out);
        put_errors(self, out);
        put_map(&self.exceptions, NAME_BYTES, out);
        put_map(&self.checks, NAME_BYTES, out);
        put_map(&self.groups, NAME_BYTES, out);
        put_map(&self.metrics, NAME_BYTES, out);
        for trend in self.phases.iter().chain([&self.since_due]).chain(self.times.each()).filter(|trend| !is_empty(trend)) {
            trend.put(out);
        }
        if parts & EVENTS != 0 {
            self.events.put(out);
        }
        if parts & CLASSES != 0 {
            out.list(&self.classes, CLASSES_MAX);
        }
        if parts & HOLDS != 0 {
            put_holds(&self.holds, out);
        }
        if parts & OF_PROFILES != 0 {
            out.list(&self.profiles, PROFILES_OF_A_RUN);
        }
        if parts & WARNINGS != 0 {
            let warnings: Vec<_> = self.warnings.iter().map(|warning| Warning(Arc::clone(warning))).collect();
            out.list(&warnings, WARNINGS_MAX);
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        let mut tally = Self { second: input.second()?, users: input.count()?, ..Self::default() };
        let parts = input.number_within(ALL_PARTS, "mask of parts")?;
        let phases = take_phases_mask(input)?;
        let has = |part| parts & part != 0;
        if has(ENTRIES) {
            take_entries(&mut tally.entries, has(ENTRIES_SINCE_DUE), input)?;
        }
        if has(ENTRIES_SINCE_DUE) && !has_due_entries(&tally) {
            return Err(CodecError::Invalid { what: "mask of parts" });
        }
        if has(ERRORS) {
            take_errors(&mut tally, input)?;
        }
        if has(EXCEPTIONS) {
            take_map(&mut tally.exceptions, input)?;
        }
        if has(CHECKS) {
            take_map(&mut tally.checks, input)?;
        }
        if has(GROUPS) {
            take_map(&mut tally.groups, input)?;
        }
        if has(METRICS) {
            take_map(&mut tally.metrics, input)?;
        }
        for (phase, trend) in PHASES.iter().zip(&mut tally.phases) {
            if phases & 1 << phase.place != 0 {
                *trend = take_trend(input)?;
            }
        }
        let times = TIMES.iter().map(|time| 1 << time.place).zip(tally.times.each_mut());
        for (part, trend) in [(SINCE_DUE, &mut tally.since_due)].into_iter().chain(times) {
            if has(part) {
                *trend = take_trend(input)?;
            }
        }
        if has(EVENTS) {
            tally.events = EventCounts::take(input)?;
        }
        if has(CLASSES) {
            tally.classes = input.list(CLASSES_MAX, "number of classes")?;
        }
        if has(HOLDS) {
            take_holds(&mut tally.holds, input)?;
        }
        if has(OF_PROFILES) {
            tally.profiles = input.list(PROFILES_OF_A_RUN, "number of profiles")?;
        }
        if has(WARNINGS) {
            tally.warnings = input.list::<Warning>(WARNINGS_MAX, "number of warnings")?.into_iter().map(|Warning(text)| text).collect();
        }
        Ok(tally)
    }
}

fn parts_of(tally: &Tally) -> u64 {
    [
        (ENTRIES, !tally.entries.is_empty()),
        (ERRORS, !tally.errors.is_empty()),
        (EXCEPTIONS, !tally.exceptions.is_empty()),
        (CHECKS, !tally.checks.is_empty()),
        (GROUPS, !tally.groups.is_empty()),
        (METRICS, !tally.metrics.is_empty()),
        (SINCE_DUE, !is_empty(&tally.since_due)),
        (ENTRIES_SINCE_DUE, has_due_entries(tally)),
        (EVENTS, tally.events != EventCounts::default()),
        (CLASSES, !tally.classes.is_empty()),
        (HOLDS, !tally.holds.is_empty()),
        (OF_PROFILES, !tally.profiles.is_empty()),
        (WARNINGS, !tally.warnings.is_empty()),
    ]
    .into_iter()
    .chain(TIMES.iter().map(|time| 1 << time.place).zip(tally.times.each().map(|trend| !is_empty(trend))))
    .fold(0, |mask, (part, has)| mask | if has { part } else { 0 })
}

fn has_due_entries(tally: &Tally) -> bool {
    tally.entries.values().any(|entry| !is_empty(&entry.since_due))
}

fn take_trend(input: &mut Input<'_>) -> Result<TrendCounts<Spread>, CodecError> {
    let trend = TrendCounts::take(input)?;
    if is_empty(&trend) { Err(CodecError::Invalid { what: "mask of parts" }) } else { Ok(trend) }
}

/// A method is its length plus 1 and its bytes; 0 is that of the entry before. Where any has a due time, each says its durations from there on.
fn put_entries(entries: &NameMap<EntryName, EntryCounts>, has_due: bool, out: &mut Output) {
    if entries.is_empty() {
        return;
    }
    out.length(entries.len());
    let mut before: Option<&str> = None;
    for (name, counts) in entries {
        if before == Some(&*name.method) {
            out.number(0);
        } else {
            let method = clip(&name.method);
            out.length(method.len() + 1);
            out.raw(method.as_bytes());
            before = Some(&*name.method);
        }
        out.text(&name.name, NAME_BYTES);
        counts.hops.put(out);
        counts.durations.put(out);
        if has_due {
            counts.since_due.put(out);
        }
    }
}

fn take_entries(entries: &mut NameMap<EntryName, EntryCounts>, has_due: bool, input: &mut Input<'_>) -> Result<(), CodecError> {
    let length = reserve(entries, input)?;
    let mut before: Option<Arc<str>> = None;
    for _ in 0..length {
        let method = match (input.length(NAME_BYTES + 1, "method")?.checked_sub(1), &before) {
            (None, Some(method)) => Arc::clone(method),
            (None, None) => return Err(CodecError::Invalid { what: "method" }),
            (Some(length), _) => {
                input.claim(length)?;
                let text = std::str::from_utf8(input.raw(length)?).map_err(|_| CodecError::Invalid { what: "method" })?;
                Arc::from(text)
            }
        };
        before = Some(Arc::clone(&method));
        let name = EntryName { name: input.shared(NAME_BYTES, "name")?, method };
        let (hops, durations) = (Wire::take(input)?, Wire::take(input)?);
        let since_due = if has_due { Wire::take(input)? } else { TrendCounts::default() };
        insert(entries, name, EntryCounts { hops, durations, since_due })?;
    }
    Ok(())
}

/// An error names its entry by the entry's place in the same tally plus 1; 0 is followed by the entry's name.
fn put_errors(tally: &Tally, out: &mut Output) {
    if tally.errors.is_empty() {
        return;
    }
    out.length(tally.errors.len());
    for (name, counts) in &tally.errors {
        match tally.entries.get_index_of(&name.entry) {
            Some(place) => out.length(place + 1),
            None => {
                out.number(0);
                out.text(&name.entry.method, NAME_BYTES);
                out.text(&name.entry.name, NAME_BYTES);
            }
        }
        out.byte(name.kind as u8);
        out.text(&name.message, NAME_BYTES);
        out.count(counts.occurrences);
        out.second(counts.first_second);
        out.second(counts.last_second);
    }
}

fn take_errors(tally: &mut Tally, input: &mut Input<'_>) -> Result<(), CodecError> {
    let length = reserve(&mut tally.errors, input)?;
    for _ in 0..length {
        let entry = match input.number()? {
            0 => {
                let method = input.shared(NAME_BYTES, "method")?;
                EntryName { method, name: input.shared(NAME_BYTES, "name")? }
            }
            place => {
                let place = usize::try_from(place - 1).unwrap_or(usize::MAX);
                tally.entries.get_index(place).ok_or(CodecError::Invalid { what: "entry of an error" })?.0.clone()
            }
        };
        let kind = usize::from(input.byte()?);
        let kind = *FailureKind::ALL.get(kind).ok_or(CodecError::Invalid { what: "kind of failure" })?;
        let name = ErrorName { entry, kind, message: input.shared(NAME_BYTES, "message")? };
        let counts = ErrorCounts { occurrences: input.count()?, first_second: input.second()?, last_second: input.second()? };
        insert(&mut tally.errors, name, counts)?;
    }
    Ok(())
}

fn put_map<V: Wire>(map: &NameMap<Arc<str>, V>, most: usize, out: &mut Output) {
    if map.is_empty() {
        return;
    }
    out.length(map.len());
    for (name, value) in map {
        out.text(name, most);
        value.put(out);
    }
}

fn take_map<V: Wire>(map: &mut NameMap<Arc<str>, V>, input: &mut Input<'_>) -> Result<(), CodecError> {
    let length = reserve(map, input)?;
    for _ in 0..length {
        insert(map, input.shared(NAME_BYTES, "name")?, V::take(input)?)?;
    }
    Ok(())
}

fn put_holds(holds: &NameMap<Holder, HoldCounts>, out: &mut Output) {
    out.length(holds.len());
    for (holder, counts) in holds {
        out.text(&holder.by, HOLDER_BYTES);
        out.text(&holder.place, HOLDER_BYTES);
        out.count(counts.count);
        out.duration(counts.longest);
    }
}

fn take_holds(holds: &mut NameMap<Holder, HoldCounts>, input: &mut Input<'_>) -> Result<(), CodecError> {
    let length = reserve(holds, input)?;
    if length > HOLDERS + 1 {
        return Err(CodecError::Invalid { what: "number of holders" });
    }
    for _ in 0..length {
        let holder = Holder { by: input.shared(HOLDER_BYTES, "holder")?, place: input.shared(HOLDER_BYTES, "place of a holder")? };
        insert(holds, holder, HoldCounts { count: input.count()?, longest: input.duration()? })?;
    }
    Ok(())
}

/// Reads how many elements follow, at least one, and makes room for them.
fn reserve<K, V>(map: &mut NameMap<K, V>, input: &mut Input<'_>) -> Result<usize, CodecError> {
    let length = input.length(usize::MAX, "number of names")?;
    if length == 0 {
        return Err(CodecError::Invalid { what: "mask of parts" });
    }
    input.claim(length.saturating_mul(size_of::<(K, V)>() + MAP_BYTES))?;
    *map = NameMap::with_capacity_and_hasher(length, FxBuildHasher);
    Ok(length)
}

fn insert<K: Hash + Eq, V>(map: &mut NameMap<K, V>, name: K, value: V) -> Result<(), CodecError> {
    match map.insert(name, value) {
        None => Ok(()),
        Some(_) => Err(CodecError::Invalid { what: "name: it comes twice" }),
    }
}

impl Wire for ExceptionCounts {
    fn put(&self, out: &mut Output) {
        out.text(&self.traceback, TRACEBACK_BYTES);
        out.count(self.count);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(Self { traceback: input.shared(TRACEBACK_BYTES, "traceback")?, count: input.count()? })
    }
}

impl Wire for CheckCounts {
    fn put(&self, out: &mut Output) {
        out.count(self.passes);
        out.count(self.fails);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(Self { passes: input.count()?, fails: input.count()? })
    }
}

impl Wire for EventCounts {
    fn put(&self, out: &mut Output) {
        let iterations = [self.iterations_raised, self.iterations_interrupted, self.iterations_due, self.iterations_started];
        for count in iterations.into_iter().chain(self.iterations_dropped).chain([
            self.backoffs,
            self.hold_pauses,
            self.start_failures,
            self.stop_failures,
            self.users_dropped,
        ]) {
            out.count(count);
        }
        out.duration(self.unpacking);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            iterations_raised: input.count()?,
            iterations_interrupted: input.count()?,
            iterations_due: input.count()?,
            iterations_started: input.count()?,
            iterations_dropped: [input.count()?, input.count()?, input.count()?, input.count()?],
            backoffs: input.count()?,
            hold_pauses: input.count()?,
            start_failures: input.count()?,
            stop_failures: input.count()?,
            users_dropped: input.count()?,
            unpacking: input.duration()?,
        })
    }
}

impl Wire for ClassCounts {
    fn put(&self, out: &mut Output) {
        for count in [self.finished, self.raised, self.start_failures] {
            out.count(count);
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(Self { finished: input.count()?, raised: input.count()?, start_failures: input.count()? })
    }
}

/// Users, the three distributions, the counts.
impl Wire for ProfileCounts {
    fn put(&self, out: &mut Output) {
        out.count(self.users);
        for trend in self.trends() {
            trend.put(out);
        }
        let events = &self.events;
        for count in [events.raised, events.interrupted, events.due, events.started].into_iter().chain(events.dropped) {
            out.count(count);
        }
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            users: input.count()?,
            iterations: Wire::take(input)?,
            since_due: Wire::take(input)?,
            lateness: Wire::take(input)?,
            events: ProfileEvents {
                raised: input.count()?,
                interrupted: input.count()?,
                due: input.count()?,
                started: input.count()?,
                dropped: [input.count()?, input.count()?, input.count()?, input.count()?],
            },
        })
    }
}

struct Warning(Arc<str>);

impl Wire for Warning {
    fn put(&self, out: &mut Output) {
        out.text(&self.0, WARNING_BYTES);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecError> {
        input.shared(WARNING_BYTES, "warning").map(Self)
    }
}

fn clip(text: &str) -> &str {
    &text[..text.floor_char_boundary(NAME_BYTES)]
}

const ENTRIES: u64 = 1;
const ERRORS: u64 = 1 << 2;
const CHECKS: u64 = 1 << 3;
const GROUPS: u64 = 1 << 4;
const METRICS: u64 = 1 << 5;
const EXCEPTIONS: u64 = 1 << 7;
const SINCE_DUE: u64 = 1 << 8;
const EVENTS: u64 = 1 << 9;
const WARNINGS: u64 = 1 << 10;
const CLASSES: u64 = 1 << 11;
const ENTRIES_SINCE_DUE: u64 = 1 << 14;
const OF_PROFILES: u64 = 1 << 15;
const HOLDS: u64 = 1 << 16;
/// With those of [`TIMES`].
const ALL_PARTS: u64 = (1 << (13 + TIMES.len())) - 1;

/// Warnings of one tally at most; further ones are left out, as the table would.
const WARNINGS_MAX: usize = 64;
/// As many as a plan may have.
const CLASSES_MAX: usize = 100_000;

/// A warning that names a name.
const WARNING_BYTES: usize = 2 * NAME_BYTES;

/// What a map takes for each element besides the element.
const MAP_BYTES: usize = 32;
