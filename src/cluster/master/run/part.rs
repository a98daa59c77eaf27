//! One worker's part in one run: what it was asked, what it has reported, which of its numbers are in the table.

use std::cmp::Ordering;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::dues::Dues;
use super::vitals::VitalsOverTime;
use crate::cluster::message::Delta;
use crate::cluster::record::KeptWorker;
use crate::load::slots::SlotSet;
use crate::load::stock::IterationsBegun;
use crate::stats::tables::Totals;
use crate::stats::tally::Tally;
use crate::stats::window_parts::MOST_SECONDS;

/// What the run knows of one worker.
#[derive(Debug)]
pub(in crate::cluster::master) struct Part {
    pub(super) stage: PartStage,
    /// The revision of the plan that it said it has.
    pub(super) revision: u32,
    /// When it was asked last to take over a higher one, and why it could not.
    pub(super) behind: Option<Behind>,
    /// The run's clock when the worker was given up; `None` as long as it is there.
    pub(super) away_since: Option<Duration>,
    /// Others have got its slots since it was given up.
    pub(super) was_replaced: bool,
    /// When it came back last from having been given up.
    pub(super) back: Option<Instant>,
    /// The run's clock when it was given up, of a worker that came while the run was taken over.
    pub(super) claimed_since: Option<Duration>,
    /// The generation of this master's last orders to it.
    pub(super) told: Option<u64>,
    /// It has slots, or has had some: its numbers are waited for at the end.
    pub(super) has_run: bool,
    /// The journal knows that it has begun.
    pub(super) is_begun_kept: bool,
    /// It has told that the run is over in it: once all that it has is here, it is finished.
    pub(super) says_finished: bool,
    /// It has stopped its users by itself, as an orphan does in the end: it takes no slots any more.
    pub(super) has_given_up: bool,
    /// The highest sequence number in the table; `None` if nothing of it is: no delta bears 0.
    pub(super) held: Option<NonZeroU64>,
    /// The seconds of the run's clock before this are in the table.
    pub(super) covered: u64,
    pub(super) users: u64,
    /// It said that no user of its will ever run again, by the last orders to it.
    pub(super) is_exhausted: bool,
    panics: u32,
    /// Lanes that the worker has given up.
    lanes_lost: u32,
    /// The run's clock from which on the numbers of the first of those are unknown.
    lost_since: Option<Duration>,
    /// Iterations that it began so far, of those that are given out by their number.
    pub(super) begun: IterationsBegun,
    /// By its last report that had any.
    lag: Option<Duration>,
    vitals: VitalsOverTime,
    /// What was due in its slots, and what it has told of that, by profile.
    pub(super) dues: Dues,
    /// The slots that it was last told are its own.
    pub(super) ordered: Arc<SlotSet>,
    /// Slots that others have run while it was away, until it follows orders that say so.
    pub(super) void: Option<Arc<SlotSet>>,
    /// Slots that others have got since, and that it may still run.
    pub(super) overtaken: Option<Overtaken>,
    /// Its sums of the whole run, kept apart for the journal.
    pub(super) total: Option<Box<Totals>>,
    /// Deltas up to this one are in the windows of thresholds, or were counted before a reset; `None` if none is.
    pub(super) windows_held: Option<NonZeroU64>,
    finished_at: Option<Instant>,
    staged: Vec<Tally>,
    /// By the place of their threshold.
    staged_windows: Vec<(u32, Tally)>,
}

/// A worker that shall take changed scripts over and has not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Behind {
    /// When the worker was last asked.
    pub at: Instant,
    /// What it answered, if it did.
    pub why: Option<String>,
}

/// Orders that took slots from a worker, and that it has not said it follows.
#[derive(Debug, Clone)]
pub(super) struct Overtaken {
    /// Of the newest orders that took some.
    pub generation: u64,
    /// The run's clock when the first of them went out.
    pub at: Duration,
    /// What it runs beside their owners, as long as the orders have not come to it.
    pub slots: SlotSet,
    /// The worker's name, once people are told.
    pub shown_as: Option<String>,
}

/// A worker that has begun, as the journal tells, and has not come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unheard {
    /// The second of the run's clock from which its numbers are missing.
    pub since: Duration,
    /// Users that others have got in its place: its share of those that nobody brought when the run was taken over.
    pub users: u64,
}

/// How far a worker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cluster::master) enum PartStage {
    /// It was asked to prepare.
    Asked { at: Instant },
    /// It cannot take part as it is, but may be asked again: its script differs, or it is busy with what it was before.
    Unable { at: Instant, why: String, differs: bool },
    /// Its lanes are open.
    Prepared,
    /// It has been sent orders.
    Ordered,
    /// It has sent its last delta.
    Finished,
}

/// What a delta is to the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sequence {
    Next,
    /// It is in the table already.
    Repeat,
    /// One before it is missing.
    Gap,
}

impl Part {
    pub fn asked(now: Instant) -> Self {
        Self::new(PartStage::Asked { at: now })
    }

    pub fn new(stage: PartStage) -> Self {
        Self {
            stage,
            revision: 0,
            behind: None,
            away_since: None,
            was_replaced: false,
            back: None,
            claimed_since: None,
            told: None,
            has_run: false,
            is_begun_kept: false,
            says_finished: false,
            has_given_up: false,
            held: None,
            covered: 0,
            users: 0,
            is_exhausted: false,
            panics: 0,
            lanes_lost: 0,
            lost_since: None,
            begun: IterationsBegun::default(),
            lag: None,
            vitals: VitalsOverTime::default(),
            dues: Dues::default(),
            ordered: Arc::new(SlotSet::none()),
            void: None,
            overtaken: None,
            total: None,
            windows_held: None,
            finished_at: None,
            staged: Vec::new(),
            staged_windows: Vec::new(),
        }
    }

    /// Of a worker that comes with `users` when the others may have taken them over, `since` then; `was_replaced` if it is known that they have.
    pub(super) fn come_late(stage: PartStage, since: Option<Duration>, users: u64, was_replaced: bool) -> Self {
        Self { away_since: since, users, was_replaced, ..Self::new(stage) }
    }

    pub const fn stage(&self) -> &PartStage {
        &self.stage
    }

    pub const fn revision(&self) -> u32 {
        self.revision
    }

    /// By its last delta; of one that is away as many as it had.
    pub const fn users(&self) -> u64 {
        self.users
    }

    /// What went wrong in the worker by the time at which a journal kept this of it.
    pub(super) const fn take_failings(&mut self, kept: &KeptWorker) {
        (self.panics, self.lanes_lost, self.lost_since) = (kept.panics, kept.lanes_lost, kept.lost_since);
    }

    pub(super) const fn panics(&self) -> u32 {
        self.panics
    }

    pub(super) const fn lanes_lost(&self) -> u32 {
        self.lanes_lost
    }

    /// The run's clock from which on the numbers of the first lost lane are unknown.
    pub(super) const fn lost_since(&self) -> Option<Duration> {
        self.lost_since
    }

    /// By its last report that had any.
    pub const fn lag(&self) -> Option<Duration> {
        self.lag
    }

    pub const fn vitals(&self) -> &VitalsOverTime {
        &self.vitals
    }

    /// There, and taking part or about to.
    pub fn is_here(&self) -> bool {
        self.away_since.is_none()
    }

    /// When it finished, if it has.
    pub(super) const fn finished_at(&self) -> Option<Instant> {
        self.finished_at
    }

    /// Its users run, or may run: it can have slots.
    pub(super) fn can_run(&self) -> bool {
        self.is_here() && self.stage == PartStage::Ordered && !self.has_given_up
    }

    /// Orders of this generation go out, by which `slots` are its own. Answers what is over of what others had got: all of it is its own again,
    /// whether or not it has heard that it was not.
    pub(super) fn on_ordered(&mut self, generation: u64, at: Duration, slots: &Arc<SlotSet>) -> Option<Overtaken> {
        let taken = self.ordered.without(slots);
        self.ordered = Arc::clone(slots);
        if let Some(overtaken) = &mut self.overtaken {
            overtaken.slots = overtaken.slots.without(slots);
        }
        let regained = self.overtaken.take_if(|overtaken| overtaken.slots.is_empty());
        if taken.is_empty() {
            return regained;
        }
        let overtaken = self.overtaken.get_or_insert_with(|| Overtaken { generation, at, slots: SlotSet::none(), shown_as: None });
        overtaken.generation = generation;
        taken.iter().for_each(|slot| overtaken.slots.insert(slot));
        regained
    }

    pub(super) fn place_of(&self, sequence: u64) -> Sequence {
        let next = self.held.map_or(1, |held| held.get().saturating_add(1));
        match sequence.cmp(&next) {
            Ordering::Less => Sequence::Repeat,
            Ordering::Equal => Sequence::Next,
            Ordering::Greater => Sequence::Gap,
        }
    }

    /// Takes over what a delta says of the worker itself. Answers how long it was throttled in it.
    pub(super) fn note(&mut self, delta: &Delta, horizon: u64, now: Instant) -> Duration {
        self.held = NonZeroU64::new(delta.sequence);
        self.has_run = true;
        self.users = delta.users;
        self.is_exhausted = delta.is_exhausted && self.told.is_some_and(|told| delta.generation >= told);
        self.panics = self.panics.max(delta.panics);
        self.lanes_lost = self.lanes_lost.max(delta.lanes_lost);
        self.lost_since = delta.lost_since.or(self.lost_since);
        self.begun.raise(&delta.begun);
        self.lag = delta.tallies.iter().map(|tally| tally.times.lag.spread.max()).max().or(self.lag);
        self.cover(&delta.tallies, horizon);
        if delta.is_last {
            self.finish(now);
        }
        self.vitals.add(now, delta.vitals)
    }

    /// All that it has counted is here: no user of its runs any more.
    pub fn finish(&mut self, now: Instant) {
        self.stage = PartStage::Finished;
        self.finished_at.get_or_insert(now);
        self.users = 0;
    }

    /// The seconds of these tallies are in the table, those after `horizon` left aside.
    pub(super) fn cover(&mut self, tallies: &[Tally], horizon: u64) {
        let last = tallies.iter().map(|tally| tally.second).filter(|second| *second <= horizon).max();
        self.covered = last.map_or(0, |second| second + 1).max(self.covered);
    }

    /// Stages a piece of a total; false if it is not the next one, or too many.
    pub(super) fn stage_total(&mut self, number: u32, tally: Tally) -> bool {
        if number == 0 {
            self.staged.clear();
        }
        let fits = number as usize == self.staged.len() && self.staged.len() < STAGED_PARTS;
        if fits {
            self.staged.push(tally);
        }
        fits
    }

    /// The staged pieces, if there are as many as were announced; nothing is staged afterwards.
    pub(super) fn take_staged(&mut self, parts: u32) -> Option<Vec<Tally>> {
        let staged = std::mem::take(&mut self.staged);
        (staged.len() == parts as usize).then_some(staged)
    }

    /// Its link is gone, or a new one: what was left half done is void.
    pub(super) fn unstage(&mut self) {
        (self.staged, self.staged_windows) = (Vec::new(), Vec::new());
    }

    /// Stages what one threshold's windows need; false if that is more than can be, of so many `thresholds`.
    pub(super) fn stage_windows(&mut self, place: u32, tallies: Vec<Tally>, thresholds: usize) -> bool {
        let fits = self.staged_windows.len() + tallies.len() <= thresholds.saturating_mul(MOST_SECONDS as usize + 1);
        if fits {
            self.staged_windows.extend(tallies.into_iter().map(|tally| (place, tally)));
        }
        fits
    }

    /// What is staged for windows, which stands for all deltas up to `sequence`.
    pub fn take_windows(&mut self, sequence: u64) -> Vec<(u32, Tally)> {
        self.windows_held = NonZeroU64::new(sequence);
        std::mem::take(&mut self.staged_windows)
    }
}

/// More pieces than any total has.
const STAGED_PARTS: usize = 4_096;
