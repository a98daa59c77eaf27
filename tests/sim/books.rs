//! What was truly counted, kept beside the machines: each worker's requests in each run, as its lanes reported them and as it sealed
//! them. At the end the master's table is held against it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use lunamoth::cluster::message::{Delta, WorkerId};
use lunamoth::load::lane::LaneReport;
use lunamoth::plan::RunId;
use lunamoth::stats::histogram::Histogram;
use lunamoth::stats::snapshot::{EntryView, Snapshot};
use lunamoth::stats::tally::EntryCounts;
use lunamoth::stats::trend::{Spread, Summary};

use super::keeping::KeptHistory;

#[derive(Default)]
pub struct Books {
    accounts: BTreeMap<(RunId, usize), Account>,
}

/// One worker in one run.
#[derive(Default)]
pub struct Account {
    /// The statistics' epoch by the worker's orders.
    pub epoch: u32,
    generation: u64,
    /// The highest generation of each master's orders that it has heard.
    heard: BTreeMap<u32, u64>,
    /// The orders that brought the epoch: whose they were, and their generation.
    epoch_since: Option<(u32, u64)>,
    /// What its lanes have reported in this epoch.
    reported: Count,
    /// The same by second of the run's clock.
    seconds: BTreeMap<u64, u64>,
    /// Lanes that have reported and not for the last time.
    open_lanes: BTreeSet<usize>,
    /// The name under which it numbers, and whether it has numbered anything under it.
    name: Option<WorkerId>,
    has_numbered: bool,
    /// By sequence, as it was sent last.
    sealed: BTreeMap<u64, Arc<Delta>>,
    /// The highest acknowledgement that it has heard, and of which master.
    acknowledged: Option<(u32, u64)>,
    /// The highest delta, or total, that has come to a master, and to which.
    delivered: Option<(u32, u64)>,
    /// Why numbers of its may be missing.
    pub excuse: Option<&'static str>,
    /// Requests that died with its lanes.
    pub buried: u64,
    /// It dropped its numbers and came into the same run again, under another name.
    has_begun_anew: bool,
}

/// Requests and their durations.
#[derive(Default, Clone, PartialEq, Eq, Debug)]
struct Count {
    requests: u64,
    /// Sum, least and greatest.
    spread: Spread,
    histogram: Histogram,
}

impl Count {
    fn of(entry: &EntryView) -> Self {
        let spread = Spread::new(entry.requests, entry.duration_sum, entry.min.unwrap_or_default(), entry.max.unwrap_or_default());
        Self { requests: entry.requests, spread, histogram: entry.histogram.clone() }
    }

    fn add(&mut self, counts: &EntryCounts) {
        self.requests += counts.hops.requests;
        self.spread.merge(&counts.durations.spread);
        self.histogram.merge_sparse(&counts.durations.counts);
    }

    fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.spread.merge(&other.spread);
        self.histogram.merge(&other.histogram);
    }
}

/// What the last master can know of workers that are gone.
pub struct Keeper {
    pub master: u32,
    /// The run of which its journal told when it began.
    pub run: Option<RunId>,
    /// What that said of it: the last delta of each seat's worker.
    pub restored: BTreeMap<usize, u64>,
    /// What that said of seconds that were long past.
    pub history: Option<KeptHistory>,
    /// Whom it has been told to have begun, in which run.
    pub begun: BTreeSet<(RunId, usize)>,
    /// A master before it has taken a part of the journal along, or there never was one.
    pub is_torn: bool,
}

impl Keeper {
    /// The run that it took over is another one than its journal's.
    pub fn turn_to(&mut self, run: RunId) {
        if self.run != Some(run) {
            self.restored.clear();
        }
    }
}

impl Books {
    pub fn account(&mut self, run: RunId, seat: usize) -> &mut Account {
        self.accounts.entry((run, seat)).or_default()
    }

    pub fn get(&self, run: RunId, seat: usize) -> Option<&Account> {
        self.accounts.get(&(run, seat))
    }

    /// A worker is gone, or its run's numbers are: what is missing of it is no fault.
    pub fn excuse(&mut self, seat: usize, why: &'static str) {
        for (_, account) in self.accounts.iter_mut().filter(|((_, owner), _)| *owner == seat) {
            account.excuse.get_or_insert(why);
        }
    }

    /// Requests that the lanes of all workers have served in a run since the last reset, and those that died with killed ones.
    pub fn served(&self, run: RunId) -> u64 {
        self.of(run).map(|(_, account)| account.reported.requests + account.buried).sum()
    }

    /// Holds the table of a run that is over against the books.
    pub fn audit(&self, run: RunId, snapshot: &Snapshot, keeper: &Keeper, of_master: u32) -> Result<(), String> {
        // What has no keeper: a reset of which only workers had heard that are gone, or had done with the run, and a journal that is gone, too. It never was.
        let has_gone = |account: &Account| matches!(account.excuse, Some(LEFT | KILLED | ABANDONED));
        let is_void = |account: &Account| keeper.is_torn && account.epoch > of_master && has_gone(account);
        let heard = self.of(run).filter(|(_, account)| !is_void(account)).map(|(_, account)| account.epoch).max().unwrap_or(0);
        let mut resets: BTreeMap<u32, u64> = BTreeMap::new();
        for (master, generation) in
            self.of(run).filter(|(_, account)| account.epoch == heard).filter_map(|(_, account)| account.epoch_since)
        {
            resets.entry(master).and_modify(|first| *first = generation.min(*first)).or_insert(generation);
        }
        // Of a reset of which no worker has heard, since none was left that could, all the same nothing counts that was counted before.
        let is_unheard = of_master > heard;
        let (epoch, resets) = if is_unheard { (of_master, BTreeMap::new()) } else { (heard, resets) };
        let mut sum = Count::default();
        for (seat, account) in self.of(run) {
            let name = entry_name(seat);
            let held = held_of(snapshot, &name);
            if held.histogram.count() != held.requests {
                return Err(format!("{name}: {} requests, {} in the histogram", held.requests, held.histogram.count()));
            }
            account.audit(&held, (epoch, &resets), snapshot.counted_since, keeper, seat).map_err(|why| format!("{name}: {why}"))?;
            account.audit_hole(&held, epoch, keeper, seat, snapshot)?;
            sum.merge(&held);
        }
        let total = Count::of(&snapshot.total);
        if sum != total {
            return Err(format!("the total is {}, its parts make {}", total.requests, sum.requests));
        }
        self.audit_history(run, epoch, snapshot, keeper)
    }

    /// Whatever came late stands in the second in which it was counted. Of a master that has taken the run over, some seconds are not known.
    fn audit_history(&self, run: RunId, epoch: u32, snapshot: &Snapshot, keeper: &Keeper) -> Result<(), String> {
        let is_whole = keeper.master == 1 && self.of(run).all(|(_, account)| account.excuse.is_none() && account.epoch == epoch);
        let mut told = 0;
        for point in &snapshot.history {
            let seconds = point.at.as_secs()..(point.at + point.length).as_secs();
            let counted: u64 =
                self.of(run).flat_map(|(_, account)| account.seconds.range(seconds.clone())).map(|(_, requests)| requests).sum();
            let Some(seen) = &point.seen else { continue };
            told += seen.requests;
            if seen.requests > counted || is_whole && seen.requests != counted {
                return Err(format!("{counted} requests were counted in the seconds {seconds:?}, the history tells of {}", seen.requests));
            }
        }
        // A machine whose clock has slept dates to before a reset what it counts after it.
        let all = self.counted_from(run, snapshot.counted_since.map_or(0, |since| since.as_secs()));
        if is_whole && told != all { Err(format!("the history tells of {told} requests, {all} were counted")) } else { Ok(()) }
    }

    /// What was counted in this second of the run's clock and later.
    pub fn counted_from(&self, run: RunId, second: u64) -> u64 {
        self.of(run).flat_map(|(_, account)| account.seconds.range(second..)).map(|(_, requests)| requests).sum()
    }

    /// Of all windows of so many seconds that begin with second `from` or later and end with `to` at the latest, the most that was counted in one.
    pub fn worst_window(&self, run: RunId, from: u64, to: u64, length: u64) -> Option<u64> {
        let counted = |end: u64| {
            self.of(run).flat_map(|(_, account)| account.seconds.range(end - length..end)).map(|(_, requests)| requests).sum::<u64>()
        };
        (from + length..=to).map(counted).max()
    }

    /// Nothing of a run is missing, and all count for one epoch.
    pub fn are_whole(&self, run: RunId, epoch: u32) -> bool {
        self.of(run).all(|(_, account)| account.excuse.is_none() && account.epoch == epoch)
    }

    /// All that was counted in a run whose workers all count for the same epoch, and dropped nothing.
    pub fn served_in_one_epoch(&self, run: RunId, of_master: u32) -> Option<u64> {
        let epoch = self.epoch_heard(run).max(of_master);
        let is_plain = |account: &Account| account.epoch == epoch && matches!(account.excuse, None | Some(LEFT | KILLED));
        self.of(run).all(|(_, account)| is_plain(account)).then(|| self.served(run))
    }

    /// Holds the table of a run that ended amid faults against the books: whose numbers may still be on their way, they may be missing.
    pub fn audit_amid_faults(&self, run: RunId, snapshot: &Snapshot, keeper: &Keeper, of_master: u32) -> Result<(), String> {
        // Whoever has heard of a later reset may be out of reach, and the next master too has not heard of it.
        let epoch = of_master;
        self.of(run).try_for_each(|(seat, account)| {
            let name = entry_name(seat);
            account
                .audit_prefix(&held_of(snapshot, &name), epoch, snapshot.counted_since, keeper, seat)
                .map_err(|why| format!("{name}: {why}"))
        })
    }

    /// A worker that ends as whole has handed everything in.
    pub fn audit_exit(&self, seat: usize) -> Result<(), String> {
        for ((run, _), account) in self.accounts.iter().filter(|((_, owner), account)| *owner == seat && account.excuse.is_none()) {
            // Of a reset that it has heard of, nothing counts that was counted before.
            let sealed = account.last_that_counts().unwrap_or(0);
            let acknowledged = account.acknowledged.map_or(0, |(_, sequence)| sequence);
            if acknowledged < sealed {
                return Err(format!("run {run}: delta {acknowledged} of {sealed} acknowledged"));
            }
        }
        Ok(())
    }

    /// The highest epoch of which a worker has heard.
    fn epoch_heard(&self, run: RunId) -> u32 {
        self.of(run).map(|(_, account)| account.epoch).max().unwrap_or(0)
    }

    fn of(&self, run: RunId) -> impl Iterator<Item = (usize, &Account)> {
        self.accounts.iter().filter(move |((of, _), _)| *of == run).map(|((_, seat), account)| (*seat, account))
    }
}

impl Account {
    /// Lanes are opened for the run. False if another numbering of it has begun under the same name: deltas could be taken for one another.
    pub fn on_opened(&mut self, name: &WorkerId) -> bool {
        self.has_begun_anew |= !self.sealed.is_empty();
        self.open_lanes.clear();
        let is_another = self.name.replace(name.clone()).is_none_or(|before| before != *name);
        self.has_numbered &= !is_another;
        !self.has_numbered
    }

    pub fn on_report(&mut self, report: &LaneReport) {
        if report.is_finished {
            self.open_lanes.remove(&report.lane);
        } else {
            self.open_lanes.insert(report.lane);
        }
        for counts in report.tally.entries.values() {
            self.reported.add(counts);
            *self.seconds.entry(report.tally.second).or_default() += counts.hops.requests;
        }
    }

    /// It has numbered something, or is about to.
    pub fn has_counted(&self) -> bool {
        !self.sealed.is_empty() || self.reported != Count::default()
    }

    /// There are numbers in the deltas up to this one.
    pub fn counts_until(&self, sequence: u64) -> bool {
        self.sealed.range(..=sequence).any(|(_, delta)| delta.tallies.iter().any(|tally| !tally.entries.is_empty()))
    }

    /// The highest delta that this master has acknowledged.
    pub fn acknowledged_by(&self, master: u32) -> Option<u64> {
        self.acknowledged.filter(|(of, _)| *of == master).map(|(_, sequence)| sequence)
    }

    /// The highest delta that this master has, whether or not the worker knows.
    pub fn delivered_to(&self, master: u32) -> Option<u64> {
        self.delivered.filter(|(of, _)| *of == master).map(|(_, sequence)| sequence)
    }

    pub fn on_delivered(&mut self, master: u32, sequence: u64) {
        let best = self.delivered_to(master).unwrap_or(0);
        self.delivered = Some((master, best.max(sequence)));
    }

    /// The last delta with numbers of this epoch, of one that has dropped nothing.
    pub fn last_that_counts(&self) -> Option<u64> {
        let counts = |delta: &Delta| delta.epoch == self.epoch && delta.tallies.iter().any(|tally| !tally.entries.is_empty());
        self.sealed.values().rev().filter(|_| self.excuse.is_none()).find(|delta| counts(delta)).map(|delta| delta.sequence)
    }

    pub fn on_sealed(&mut self, delta: &Arc<Delta>) {
        self.has_numbered = true;
        self.sealed.insert(delta.sequence, Arc::clone(delta));
    }

    /// Orders of a master's reached the worker. After a reset it counts anew.
    pub fn on_orders(&mut self, master: u32, generation: u64, epoch: u32) {
        let heard = self.heard.entry(master).or_default();
        *heard = generation.max(*heard);
        if generation > self.generation {
            self.generation = generation;
            if epoch > self.epoch {
                (self.epoch, self.epoch_since) = (epoch, Some((master, generation)));
                self.reported = Count::default();
                self.seconds.clear();
            }
        }
    }

    pub fn on_answer(&mut self, master: u32, sequence: u64) {
        let best = self.acknowledged.filter(|(of, _)| *of == master).map_or(0, |(_, best)| best);
        self.acknowledged = Some((master, best.max(sequence)));
    }

    /// The numbers of an excused account must be those of its first deltas, up to one that is not before what was acknowledged. The epoch
    /// comes with the first orders of each master that told anybody of it.
    fn audit(
        &self,
        held: &Count,
        (epoch, resets): (u32, &BTreeMap<u32, u64>),
        since: Option<Duration>,
        keeper: &Keeper,
        seat: usize,
    ) -> Result<(), String> {
        if self.excuse.is_none() {
            // Another master, which did not know of it, may have told it of its end.
            let was_told = resets.iter().any(|(master, first)| self.heard.get(master).is_some_and(|heard| heard >= first));
            if self.epoch < epoch && !was_told && self.open_lanes.is_empty() {
                // It has finished without a word of the reset, and nothing of what it had counted before counts.
                return if *held == Count::default() { Ok(()) } else { Err(format!("{} of before the reset in the table", held.requests)) };
            }
            if self.epoch != epoch {
                return Err(format!("it counts for epoch {}, others for {epoch}", self.epoch));
            }
            let same = *held == self.reported;
            return if same { Ok(()) } else { Err(format!("{} served, {} in the table", self.reported.requests, held.requests)) };
        }
        self.audit_prefix(held, epoch, since, keeper, seat)
    }

    /// What is held is what the first deltas say, up to one that is not before what must be there. Of one that died without a word of a reset
    /// nothing must be there that was counted before that.
    fn audit_prefix(&self, held: &Count, epoch: u32, since: Option<Duration>, keeper: &Keeper, seat: usize) -> Result<(), String> {
        if self.has_begun_anew {
            // Two numberings in one account: only that nothing counts that was not served can be told.
            let is_served = held.requests <= self.reported.requests;
            return if is_served { Ok(()) } else { Err(format!("{} served, {} in the table", self.reported.requests, held.requests)) };
        }
        let floor = self.floor(keeper, seat);
        let is_before = |delta: &Arc<Delta>| since.is_some_and(|since| delta.tallies.iter().all(|tally| tally.second < since.as_secs()));
        let least = if self.sealed.range(..=floor).all(|(_, delta)| is_before(delta)) { 0 } else { floor };
        let mut prefix = Count::default();
        let mut fits = least == 0 && *held == prefix;
        for delta in self.sealed.values() {
            if delta.epoch == epoch {
                delta.tallies.iter().flat_map(|tally| tally.entries.values()).for_each(|counts| prefix.add(counts));
            }
            fits |= delta.sequence >= least && *held == prefix;
        }
        let sealed = prefix.requests;
        if fits {
            return Ok(());
        }
        let excuse = self.excuse.unwrap_or("amid faults");
        Err(format!("{excuse}; {sealed} sealed, delta {least} and all before it must be there, {} in the table", held.requests))
    }

    /// Whoever was killed in mid-run with numbers that are missing shows as a hole.
    fn audit_hole(&self, held: &Count, epoch: u32, keeper: &Keeper, seat: usize, snapshot: &Snapshot) -> Result<(), String> {
        let host = host_name(seat);
        let is_shown = snapshot.holes.iter().any(|hole| hole.worker.starts_with(&format!("{host}_")));
        let is_begun = keeper.begun.contains(&(snapshot.run, seat)) && self.counts_from(snapshot.counted_since);
        let is_known =
            self.acknowledged.is_some_and(|(master, _)| master == keeper.master) || keeper.restored.contains_key(&seat) || is_begun;
        let missing = self.reported.requests.saturating_sub(held.requests) + self.buried;
        match self.excuse {
            Some(KILLED) if missing > 0 && is_known && self.epoch == epoch && !is_shown => {
                Err(format!("{host}: {missing} requests are missing and no hole is shown"))
            }
            None if is_shown => Err(format!("{host}: a hole is shown where nothing is missing")),
            _ => Ok(()),
        }
    }

    /// Something was counted in the time that the table covers.
    fn counts_from(&self, since: Option<Duration>) -> bool {
        since.is_some_and(|since| self.seconds.range(since.as_secs()..).any(|(_, requests)| *requests > 0))
    }

    /// The delta that must be in the last master's table whatever became of the worker.
    fn floor(&self, keeper: &Keeper, seat: usize) -> u64 {
        match self.acknowledged {
            _ if self.excuse == Some(ABANDONED) => 0,
            Some((master, sequence)) if master == keeper.master => sequence,
            _ => keeper.restored.get(&seat).copied().unwrap_or(0),
        }
    }
}

/// What a snapshot says of a seat's entry.
fn held_of(snapshot: &Snapshot, name: &str) -> Count {
    let entry = snapshot.entries.iter().find(|entry| *entry.name == *name);
    entry.map_or_else(Count::default, Count::of)
}

/// The name under which a seat's requests are counted.
pub fn entry_name(seat: usize) -> String {
    format!("/of/{seat}")
}

/// The host that a seat's worker gives itself.
pub fn host_name(seat: usize) -> String {
    format!("host{seat}")
}

/// Why numbers may be missing.
pub const KILLED: &str = "the worker was killed";
pub const LEFT: &str = "the worker has left";
pub const GAVE_UP: &str = "the worker gave up, without a master";
pub const ABANDONED: &str = "a master told the worker to forget it";
