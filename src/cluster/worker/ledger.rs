//! A worker's numbers of one run: gathered by second, sealed into numbered deltas, kept until a master has them, summed up for a
//! master that has lost them.
//!
//! Owns the numbering. When something may be sent, and on which link, is `worker`'s.
//!
//! Invariant: every delta above `acknowledged` is in `kept`, and `total` is the sum of all deltas of this epoch that were ever sealed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::cluster::message::{self, Delta, ToMaster};
use crate::load::Halt;
use crate::load::stock::IterationsBegun;
use crate::load::vitals::Vitals;
use crate::plan::{Plan, RunId};
use crate::stats::tables::Totals;
use crate::stats::tally::Tally;
use crate::stats::threshold::Threshold;
use crate::stats::window_parts::WindowParts;

/// The numbers of one run.
#[derive(Debug)]
pub(super) struct Ledger {
    run: RunId,
    epoch: u32,
    /// The second of the run's clock with which counting begins: those before it are the warm-up's.
    warmup_end: u64,
    /// Counted and not yet sealed, by second of the run's clock.
    gathered: BTreeMap<u64, Tally>,
    /// A round of reports is complete: what is gathered may go.
    is_due: bool,
    /// Sealed and not yet acknowledged, oldest first.
    kept: VecDeque<Arc<Delta>>,
    /// Of the last sealed delta.
    sequence: u64,
    /// The highest that any master has acknowledged.
    acknowledged: u64,
    /// `None` where no total is kept.
    total: Option<Totals>,
    /// By the place of their threshold; none where no total is kept.
    windows: BTreeMap<usize, WindowParts>,
    /// A total was sent that stands for all deltas up to this one, and is not acknowledged.
    transfer: Option<u64>,
    /// The lanes are finished: nothing more will be gathered.
    has_ended: bool,
    /// The last delta was sealed as such.
    is_last_sealed: bool,
    /// Requests counted in this epoch.
    requests: u64,
}

/// What a delta says besides its tallies.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct DeltaHead {
    pub generation: u64,
    pub users: u64,
    pub vitals: Vitals,
    pub is_exhausted: bool,
    pub panics: u32,
    pub lanes_lost: u32,
    pub lost_since: Option<Duration>,
    pub begun: IterationsBegun,
    pub halt: Option<Halt>,
}

impl Ledger {
    pub fn new(plan: &Plan, keeps_total: bool) -> Self {
        let warmup = plan.warmup();
        // Those that cannot be read are the master's to tell.
        let thresholds = if keeps_total { Threshold::of_plan(plan).0 } else { Vec::new() };
        Self {
            run: plan.run,
            warmup_end: warmup.as_secs(),
            epoch: 0,
            gathered: BTreeMap::new(),
            is_due: false,
            kept: VecDeque::new(),
            sequence: 0,
            acknowledged: 0,
            total: keeps_total.then(|| Totals::new(warmup)),
            windows: WindowParts::of(&thresholds, warmup.as_secs()),
            transfer: None,
            has_ended: false,
            is_last_sealed: false,
            requests: 0,
        }
    }

    /// Takes in what a lane counted. Past the bound the two oldest seconds become one: nothing is lost, the second blurs.
    pub fn gather(&mut self, tally: Tally) {
        self.requests += requests_of(&tally);
        merge_into(&mut self.gathered, tally);
        while self.gathered.len() > SECONDS_APART {
            // Not over the warm-up's end: what is after it counts.
            let mut seconds = self.gathered.keys().copied().filter(|second| *second >= self.warmup_end || self.is_followed(*second));
            let Some(oldest) = seconds.next() else { return };
            if let Some(oldest) = self.gathered.remove(&oldest)
                && let Some((_, next)) = self.gathered.range_mut(oldest.second..).next()
            {
                next.merge(oldest);
            }
        }
    }

    /// Every lane has reported: what is gathered may go.
    pub const fn on_round(&mut self) {
        self.is_due = true;
    }

    /// Nothing more will be gathered.
    pub const fn on_end(&mut self) {
        self.has_ended = true;
    }

    /// The statistics were reset. Deltas that a master may never have seen stay in the numbering, without their numbers.
    ///
    /// True if a total is on its way, which the reset has voided: it has to be sent anew.
    pub fn on_epoch(&mut self, epoch: u32) -> bool {
        if epoch <= self.epoch {
            return false;
        }
        self.epoch = epoch;
        self.requests = 0;
        self.gathered.clear();
        if let Some(total) = &mut self.total {
            total.clear();
        }
        self.windows.values_mut().for_each(WindowParts::clear);
        for delta in &mut self.kept {
            *delta = Arc::new(Delta { epoch, tallies: Vec::new(), ..Delta::clone(delta) });
        }
        self.transfer.is_some()
    }

    /// The next delta, if there is something to say and room for it among those in flight.
    pub fn seal(&mut self, head: &DeltaHead) -> Option<Arc<Delta>> {
        let has_more = if self.has_ended { !self.is_last_sealed } else { self.is_due };
        if !has_more || self.kept.len() >= WINDOW {
            return None;
        }
        let tallies = self.take_tallies();
        self.is_due = !self.gathered.is_empty();
        let is_last = self.has_ended && self.gathered.is_empty();
        self.is_last_sealed = is_last;
        self.sequence += 1;
        if let Some(total) = &mut self.total {
            for tally in &tallies {
                total.add(tally);
            }
        }
        self.windows.values_mut().for_each(|windows| tallies.iter().for_each(|tally| windows.add(tally)));
        let DeltaHead { generation, users, vitals, is_exhausted, panics, lanes_lost, lost_since, begun, halt } = head.clone();
        let (run, epoch, sequence) = (self.run, self.epoch, self.sequence);
        let delta = Arc::new(Delta {
            run,
            epoch,
            sequence,
            generation,
            tallies,
            users,
            vitals,
            is_exhausted,
            is_last,
            panics,
            lanes_lost,
            lost_since,
            begun,
            halt,
        });
        self.kept.push_back(Arc::clone(&delta));
        Some(delta)
    }

    /// The master has all deltas up to this one.
    pub fn on_acknowledged(&mut self, sequence: u64) {
        let sequence = sequence.min(self.sequence);
        self.acknowledged = self.acknowledged.max(sequence);
        self.kept.retain(|delta| delta.sequence > sequence);
        self.transfer.take_if(|end| *end <= sequence);
    }

    /// A master welcomes the worker and holds its deltas up to `held`. True if it holds less than it, or another one, had: then it needs
    /// the total. Otherwise it needs what is kept.
    pub fn on_held(&mut self, held: Option<u64>) -> bool {
        self.transfer = None;
        if self.sequence == 0 {
            return false;
        }
        // Where nothing was ever acknowledged, all that there is is kept, each second by itself.
        let held = held.unwrap_or(0);
        if held >= self.acknowledged {
            self.on_acknowledged(held);
            return false;
        }
        self.total.is_some()
    }

    /// The total in pieces, and the message that ends it. The deltas in it stay kept until the master acknowledges the whole.
    pub fn begin_transfer(&mut self) -> Vec<ToMaster> {
        let (run, epoch, sequence) = (self.run, self.epoch, self.sequence);
        let mut messages = Vec::new();
        let mut parts = 0;
        for mut rest in self.total.iter().flat_map(Totals::tallies).cloned() {
            while !rest.is_empty() {
                messages.push(ToMaster::TotalPart { run, number: parts, tally: Box::new(rest.take_part(PART_BYTES)) });
                parts += 1;
            }
        }
        messages.push(ToMaster::TotalEnd { run, epoch, parts, sequence });
        self.transfer = Some(sequence);
        // A total does not say that it is the last; one more delta, empty, will.
        self.is_last_sealed = false;
        messages
    }

    /// What windows need of all that was ever sealed, for a master that has none of it.
    pub fn window_parts(&self) -> Vec<ToMaster> {
        let (run, epoch, sequence) = (self.run, self.epoch, self.sequence);
        let empty = |place: u32| message::WindowParts { run, epoch, sequence, place, tallies: Vec::new(), is_last: false };
        let mut messages = Vec::new();
        let mut next = empty(0);
        // No plan has more thresholds than a number of 32 bits counts.
        let numbered = self.windows.iter().filter_map(|(place, windows)| Some((u32::try_from(*place).ok()?, windows)));
        for (place, tally) in numbered.flat_map(|(place, windows)| windows.tallies().map(move |tally| (place, tally))) {
            let bytes = next.tallies.iter().map(Tally::bytes).sum::<usize>();
            if next.place != place || bytes >= PART_BYTES || next.tallies.len() >= SECONDS_A_MESSAGE {
                messages.push(std::mem::replace(&mut next, empty(place)));
            }
            next.tallies.push(tally.clone());
        }
        messages.push(message::WindowParts { is_last: true, ..next });
        messages.into_iter().map(ToMaster::WindowParts).collect()
    }

    /// What no master has acknowledged, oldest first.
    pub fn kept(&self) -> impl Iterator<Item = &Arc<Delta>> {
        self.kept.iter()
    }

    /// All that there will ever be is sealed, and so has been sent or is sent at the next Welcome.
    pub const fn is_sealed(&self) -> bool {
        self.has_ended && self.is_last_sealed
    }

    /// The run is over and a master has all its numbers.
    pub fn is_handed_in(&self) -> bool {
        self.is_sealed() && self.kept.is_empty() && self.transfer.is_none()
    }

    /// Something was counted that no master has acknowledged.
    pub fn has_unacknowledged(&self) -> bool {
        self.transfer.is_some() || self.unacknowledged_tallies().any(|tally| !tally.is_empty())
    }

    /// Deltas in flight, and one more if something is gathered.
    pub fn unacknowledged(&self) -> u64 {
        self.kept.len() as u64 + u64::from(!self.gathered.is_empty())
    }

    /// Requests that no master has acknowledged.
    pub fn unacknowledged_requests(&self) -> u64 {
        self.unacknowledged_tallies().map(requests_of).sum()
    }

    /// Requests counted in this epoch.
    pub const fn requests(&self) -> u64 {
        self.requests
    }

    /// A master that has lost the numbers can be given them.
    pub const fn can_restore(&self) -> bool {
        self.total.is_some() && self.sequence > 0
    }

    /// A delta was sealed.
    pub const fn has_numbered(&self) -> bool {
        self.sequence > 0
    }

    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    pub const fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// A second of the warm-up after which another one of it is gathered.
    fn is_followed(&self, second: u64) -> bool {
        self.gathered.range(second + 1..).next().is_some_and(|(next, _)| *next < self.warmup_end)
    }

    fn unacknowledged_tallies(&self) -> impl Iterator<Item = &Tally> {
        self.gathered.values().chain(self.kept.iter().flat_map(|delta| &delta.tallies))
    }

    /// The oldest seconds, up to [`DELTA_BYTES`]; of a second that is larger a part.
    fn take_tallies(&mut self) -> Vec<Tally> {
        let mut room = DELTA_BYTES;
        let mut tallies = Vec::new();
        while let Some(mut oldest) = self.gathered.first_entry() {
            let bytes = oldest.get().bytes();
            if bytes <= room {
                room -= bytes;
                tallies.push(oldest.remove());
            } else if tallies.is_empty() {
                tallies.push(oldest.get_mut().take_part(DELTA_BYTES));
                break;
            } else {
                break;
            }
        }
        tallies
    }
}

fn merge_into(gathered: &mut BTreeMap<u64, Tally>, tally: Tally) {
    match gathered.entry(tally.second) {
        std::collections::btree_map::Entry::Vacant(place) => {
            place.insert(tally);
        }
        std::collections::btree_map::Entry::Occupied(mut place) => place.get_mut().merge(tally),
    }
}

fn requests_of(tally: &Tally) -> u64 {
    tally.entries.values().map(|entry| entry.hops.requests).sum()
}

/// Deltas that may be in flight.
const WINDOW: usize = 4;
/// Seconds that are kept apart while they wait.
const SECONDS_APART: usize = 60;
/// The size of a delta's tallies on the wire, about.
const DELTA_BYTES: usize = 2 << 20;
/// Seconds of a threshold's windows in one message at most.
const SECONDS_A_MESSAGE: usize = 1_000;
/// The size of a piece of the total on the wire, about.
const PART_BYTES: usize = 1 << 20;
