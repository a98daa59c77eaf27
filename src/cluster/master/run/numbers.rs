//! How numbers come into a run's table: deltas, whole totals, and what the journal has kept.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::config::MasterConfig;
use super::super::peers::PeerNumber;
use super::Run;
use super::part::{Part, PartStage, Sequence};
use crate::cluster::message::{Delta, RunStanding, WindowParts};
use crate::cluster::record::{KeptWorker, Record};
use crate::stats::recorder::Limits;
use crate::stats::snapshot::HoleView;
use crate::stats::tables::{Tables, Totals};
use crate::stats::tally::Tally;
use crate::stats::windows::{Windows, windows_of};

/// What became of a message with numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cluster::master) enum Merged {
    /// It is in the table, now or since before; this is held, if anything is.
    Held(Option<NonZeroU64>),
    /// It cannot be: something before it is missing. The worker has to send again from what is held.
    Broken(&'static str),
}

impl Run {
    /// Whether each worker's sums are kept apart: for the journal; and where the run was taken over, since a worker may have handed numbers in to another
    /// master since, and then brings a total that replaces what is held.
    pub fn keeps_apart(&self, config: &MasterConfig) -> bool {
        config.has_journal || self.is_adopting() || self.taken_over.is_some()
    }

    pub fn on_delta(&mut self, number: PeerNumber, delta: &Delta, keeps_totals: bool, now: Instant) -> Merged {
        let horizon = self.horizon(now);
        let part = self.parts.entry(number).or_insert_with(|| Part::new(PartStage::Ordered));
        match part.place_of(delta.sequence) {
            Sequence::Repeat => {
                self.repeats += 1;
                return Merged::Held(part.held);
            }
            Sequence::Gap => return Merged::Broken("a delta is missing before this one"),
            Sequence::Next => {}
        }
        let throttled = part.note(delta, horizon, now);
        let is_new_to_windows = part.windows_held < part.held;
        part.windows_held = part.windows_held.max(part.held);
        // Numbers from before a reset are taken and not counted.
        if delta.epoch == self.epoch {
            delta.tallies.iter().for_each(|tally| part.dues.note(tally));
            for tally in &delta.tallies {
                if tally.second > horizon {
                    // What was counted counts; when it was counted is not believed.
                    self.misdated += 1;
                    self.table.merge_undated(tally);
                    self.table.note_raised_undated(tally, number);
                    self.table.warn(&MISDATED.into());
                    continue;
                }
                self.table.merge(tally);
                if is_new_to_windows {
                    self.windows.values_mut().for_each(|windows| windows.add(tally));
                }
                self.table.note_raised(tally, number, Some(tally.second));
                self.table.note_soundness(tally, number, throttled >= NOTABLE_THROTTLING);
            }
            if keeps_totals {
                let total = part.total.get_or_insert_with(|| Totals::new(self.plan.warmup()).into());
                delta.tallies.iter().for_each(|tally| total.add(tally));
            }
        }
        if self.halt.is_none() {
            self.halt.clone_from(&delta.halt);
        }
        self.on_followed(number, delta.generation, delta.is_last, now);
        Merged::Held(NonZeroU64::new(delta.sequence))
    }

    /// No second after this one can have been counted yet, however far a worker's clock is off. The clock of a run that is over goes on
    /// here: an orphan may not have heard of its end.
    fn horizon(&self, now: Instant) -> u64 {
        self.zero.map_or(Duration::ZERO, |zero| now.saturating_duration_since(zero)).as_secs() + CLOCKS_APART_SECONDS
    }

    /// Whether a worker that comes has told other masters what this one's windows lack.
    pub fn wants_windows(&self, number: PeerNumber, standing: &RunStanding) -> bool {
        let lacks_all = self.parts.get(&number).is_some_and(|part| part.windows_held.is_none());
        !self.windows.is_empty() && lacks_all && standing.acknowledged > 0
    }

    /// What windows need of a worker came, or a piece of it.
    pub fn on_window_parts(&mut self, number: PeerNumber, parts: WindowParts, now: Instant) -> Result<(), &'static str> {
        let WindowParts { epoch, sequence, place, tallies, is_last, .. } = parts;
        let horizon = self.horizon(now);
        let Some(part) = self.parts.get_mut(&number).filter(|part| part.windows_held.is_none()) else { return Ok(()) };
        if !part.stage_windows(place, tallies, self.windows.len()) {
            return Err("there is more for windows than thresholds can look at");
        }
        if is_last {
            let staged = part.take_windows(sequence);
            for (place, tally) in staged.iter().filter(|(_, tally)| epoch == self.epoch && tally.second <= horizon) {
                if let Some(windows) = self.windows.get_mut(&(*place as usize)) {
                    windows.add(tally);
                }
            }
        }
        Ok(())
    }

    /// A piece of a total came.
    pub fn on_total_part(&mut self, number: PeerNumber, place: u32, tally: Tally) -> Result<(), &'static str> {
        let part = self.parts.entry(number).or_insert_with(|| Part::new(PartStage::Ordered));
        if part.stage_total(place, tally) { Ok(()) } else { Err("the pieces of a total came out of order") }
    }

    /// A total is whole: it replaces what is held of the worker.
    pub fn on_total_end(&mut self, number: PeerNumber, epoch: u32, parts: u32, sequence: u64, keeps_totals: bool, now: Instant) -> Merged {
        let horizon = self.horizon(now);
        let part = self.parts.entry(number).or_insert_with(|| Part::new(PartStage::Ordered));
        let Some(staged) = part.take_staged(parts) else { return Merged::Broken("a total ended before all its pieces were there") };
        let sequence = NonZeroU64::new(sequence);
        if part.held >= sequence {
            self.repeats += 1;
            return Merged::Held(part.held);
        }
        let replaces = part.held.is_some();
        if replaces && part.total.is_none() {
            return Merged::Broken("a total came for a worker whose numbers are not kept apart");
        }
        part.held = sequence;
        part.has_run = true;
        if part.says_finished {
            part.finish(now);
        }
        part.cover(&staged, horizon);
        let is_current = epoch == self.epoch;
        if is_current {
            // A total has all that deltas told before it.
            part.dues.forget_told();
            staged.iter().for_each(|tally| part.dues.note(tally));
        }
        if keeps_totals {
            let mut total = Totals::new(self.plan.warmup());
            if is_current {
                staged.iter().for_each(|tally| total.add(tally));
            }
            part.total = Some(total.into());
        }
        if replaces {
            self.rebuild(now);
        } else if is_current {
            for tally in &staged {
                self.table.merge_total(tally);
                self.table.note_raised(tally, number, None);
            }
        }
        Merged::Held(sequence)
    }

    /// Puts the table together from what is kept of each worker.
    fn rebuild(&mut self, now: Instant) {
        let elapsed = self.elapsed(now);
        let history = self.table.history(elapsed);
        let empty = self.empty_tables();
        let before = std::mem::replace(&mut self.table, empty);
        self.table.go_on_after(before);
        self.table.restore_history(&history);
        self.table.take_over(elapsed);
        for (&number, total) in self.parts.iter().filter_map(|(number, part)| Some((number, part.total.as_deref()?))) {
            for tally in total.tallies() {
                self.table.merge_total(tally);
                self.table.note_raised(tally, number, None);
            }
        }
    }

    /// Takes over what a journal has kept of one worker.
    pub fn restore(&mut self, number: PeerNumber, kept: KeptWorker) {
        let mut part = Part::new(if kept.has_left { PartStage::Finished } else { PartStage::Ordered });
        let mut total = Totals::new(self.plan.warmup());
        for tally in &kept.tallies {
            self.table.merge_total(tally);
            self.table.note_raised(tally, number, None);
            part.dues.note(tally);
            total.add(tally);
        }
        part.has_run = true;
        part.held = kept.sequence;
        part.take_failings(&kept);
        part.begun = kept.begun;
        part.covered = kept.tallies.iter().map(|tally| tally.second + 1).max().unwrap_or(0);
        part.total = Some(total.into());
        part.away_since = Some(Duration::from_secs(part.covered));
        // What was counted before a reset is missing to nobody.
        if !kept.has_left && kept.epoch >= self.epoch {
            let at = Duration::from_secs(part.covered);
            self.holes.insert(number, HoleView { worker: kept.worker.to_string(), from: at, to: at });
        }
        self.awaited.extend((!kept.has_left).then_some(number));
        self.parts.insert(number, part);
    }

    /// What the journal shall keep of a worker that is gone; `None` if it has not begun. Of one that has counted nothing it knows just that.
    pub fn record_of(&self, number: PeerNumber, worker: crate::cluster::message::WorkerId, has_left: bool) -> Option<Record> {
        let part = self.parts.get(&number).filter(|part| part.has_run)?;
        let nothing = || Tally { second: part.covered.saturating_sub(1), ..Tally::default() };
        let mut tallies: Vec<_> = part.total.iter().flat_map(|total| total.tallies()).cloned().collect();
        if tallies.is_empty() {
            tallies.push(nothing());
        }
        let sequence = part.held;
        let has_left = has_left || part.stage == PartStage::Finished;
        let (panics, lanes_lost, lost_since) = (part.panics(), part.lanes_lost(), part.lost_since());
        let (epoch, begun) = (self.epoch, part.begun.clone());
        Some(Record::Worker(Box::new(KeptWorker { worker, epoch, sequence, has_left, begun, panics, lanes_lost, lost_since, tallies })))
    }

    /// The statistics begin anew, with the second that is under way: lanes count by whole ones.
    pub fn reset(&mut self, now: Instant) {
        // Of a run that nobody has brought yet the clock is not known.
        let since = (!self.is_awaited()).then(|| Duration::from_secs(self.elapsed(now).as_secs()));
        self.reset_since(since, now);
        // What they had counted is void, and they hear of the reset before they count anew.
        self.unheard.clear();
    }

    /// The statistics have begun anew at this moment of the run's clock; `None` where nobody knows when that was.
    pub(super) fn reset_since(&mut self, since: Option<Duration>, now: Instant) {
        self.epoch += 1;
        self.counted_since = since;
        let elapsed = self.elapsed(now);
        (self.table, self.windows) = (self.empty_tables(), self.empty_windows());
        self.kept_windows.clear();
        self.holes.clear();
        self.overlaps.clear();
        self.repeats = 0;
        self.reset_dues();
        for part in self.parts.values_mut() {
            part.total.iter_mut().for_each(|total| total.clear());
            part.is_begun_kept = false;
            if let Some(overtaken) = &mut part.overtaken {
                (overtaken.at, overtaken.shown_as) = (elapsed, None);
            }
        }
    }

    pub(super) fn empty_tables(&self) -> Tables {
        Tables::new(Limits { names: self.plan.settings.names }, self.counted_since, self.plan.warmup())
    }

    pub(super) fn empty_windows(&self) -> BTreeMap<usize, Windows> {
        // Where nobody knows when they began anew, workers bring nothing of what was before.
        let since = self.counted_since.map_or(0, |since| since.as_secs());
        windows_of(&self.thresholds, self.plan.warmup().as_secs(), since)
    }

    /// History that is final and that the journal has not got, in steps of ten seconds.
    pub fn take_history(&mut self) -> Option<Record> {
        let points = self.table.take_settled();
        (!points.is_empty()).then_some(Record::History(points))
    }

    /// What a run needs to be taken over, as it stands when its journal begins: somebody may have cleared the statistics while it waited.
    pub fn records(&self) -> Vec<Record> {
        let mut records = vec![Record::Run { plan: Arc::clone(&self.plan), wall: self.wall }];
        if self.epoch > 0 {
            records.push(self.reset_record());
        }
        if *self.profile != self.plan.profile {
            records.push(self.profile_as_told());
        }
        records
    }

    /// When the statistics began anew the last time.
    pub fn reset_record(&self) -> Record {
        Record::Reset { epoch: self.epoch, at: self.counted_since }
    }

    /// The profile in force, and the last orders.
    pub fn profile_as_told(&self) -> Record {
        Record::Retargeted { profile: Arc::clone(&self.profile), generation: self.generation }
    }
}

/// Less than this in a second does not move a latency that people read.
const NOTABLE_THROTTLING: Duration = Duration::from_millis(50);
/// So far a worker's clock may be ahead of the master's.
const CLOCKS_APART_SECONDS: u64 = 60;
const MISDATED: &str =
    "a worker reported seconds that lie ahead of the master's clock: their numbers are in the sums and not in the history";
