//! The run in a bounded number of cells of equal length, each with what every entry did in it: what tells chance from change when two runs are
//! compared, since neighbouring seconds are alike and single samples say nothing of that.
//!
//! What comes late goes into the cell of the second in which it was measured. Which seconds are known is `series`'s.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rustc_hash::{FxHashMap, FxHashSet};

use super::histogram::{Histogram, index_of, lowest_of};
use super::names::EntryName;
use super::sparse::SparseCounts;
use super::tally::{EntryCounts, Tally};

/// The cells of one run.
#[derive(Debug, Clone)]
pub struct Cells {
    /// Seconds in a cell: a power of two, which grows so that the cells stay few.
    length: u64,
    /// The number of the front cell: it begins at `first * length` of the run's clock.
    first: u64,
    cells: VecDeque<Arc<Cell>>,
    /// Pairs of all counts of single entries, which is what takes memory.
    pairs: usize,
    /// Hops by the entry's number in the table.
    requests: FxHashMap<u32, u64>,
    /// Entries that were given up, by their number: there was no room for all, and they were the smallest.
    given_up: FxHashSet<u32>,
}

/// What was counted in one cell of the run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cell {
    /// All entries of the cell together.
    pub total: CellCounts,
    /// By the entry's number in the table.
    pub entries: FxHashMap<u32, CellCounts>,
}

/// What one entry did in a cell.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CellCounts {
    /// Hops that were counted in it.
    pub requests: u64,
    /// Failed hops; see [`EntryView::failures`](super::snapshot::EntryView::failures).
    pub failures: u64,
    /// Hops that failed for want of the generator's own resources.
    pub local: u64,
    /// Hops with a duration.
    pub timed: u64,
    /// The sum of all durations.
    pub sum: Duration,
    /// The durations, in ranges of 1/256 of their value at most.
    pub counts: SparseCounts,
}

/// The cells as people see them.
#[derive(Debug, Clone, Default)]
pub struct CellsView {
    /// How long each is: whole seconds.
    pub length: Duration,
    /// The run's clock at the begin of the first one.
    pub first: Duration,
    /// How much of each somebody measured, and what; without gaps.
    pub cells: Vec<(Duration, Arc<Cell>)>,
    /// The entries by their numbers; those that were given up are in no cell.
    pub names: Vec<EntryName>,
    /// How many entries were given up, since there was no room for all.
    pub given_up: usize,
}

impl Default for Cells {
    fn default() -> Self {
        Self { length: 1, first: 0, cells: VecDeque::new(), pairs: 0, requests: FxHashMap::default(), given_up: FxHashSet::default() }
    }
}

impl Cells {
    /// Adds a tally to the cell of its second, which must lie within the first year. `number_of` is the table's number of each entry, in the
    /// tally's order; `durations` are those of all entries.
    pub fn add(&mut self, tally: &Tally, number_of: &[u32], durations: &Histogram) {
        if tally.entries.values().all(|counts| counts.hops.requests == 0) {
            return;
        }
        let place = self.place_of(tally.second);
        let cell = Arc::make_mut(&mut self.cells[place]);
        cell.total.counts.merge(&coarse(&durations.to_sparse()));
        for (counts, number) in tally.entries.values().zip(number_of) {
            cell.total.add(counts);
            if self.given_up.contains(number) {
                continue;
            }
            let sum = self.requests.entry(*number).or_default();
            *sum = sum.saturating_add(counts.hops.requests);
            let entry = cell.entries.entry(*number).or_default();
            let before = entry.counts.len();
            entry.add(counts);
            entry.counts.merge(&coarse(&counts.durations.counts));
            self.pairs += entry.counts.len() - before;
        }
        self.make_room();
    }

    /// What people see. `known` answers how much of the seconds from one to before another somebody measured.
    pub fn view<'a>(&self, names: impl Iterator<Item = &'a EntryName>, known: impl Fn(u64, u64) -> Duration) -> CellsView {
        let begins = (self.first..).map(|number| number * self.length);
        CellsView {
            length: Duration::from_secs(self.length),
            first: Duration::from_secs(self.first * self.length),
            cells: begins.zip(&self.cells).map(|(begin, cell)| (known(begin, begin + self.length), Arc::clone(cell))).collect(),
            names: names.cloned().collect(),
            given_up: self.given_up.len(),
        }
    }

    /// The place of a second's cell, made where it is missing.
    fn place_of(&mut self, second: u64) -> usize {
        if self.cells.is_empty() {
            self.first = second / self.length;
        }
        loop {
            let number = second / self.length;
            let (first, end) = (self.first.min(number), (self.first + self.cells.len() as u64).max(number + 1));
            if end - first <= CELLS {
                while self.first > first {
                    self.cells.push_front(Arc::default());
                    self.first -= 1;
                }
                self.cells.resize_with((end - first) as usize, Arc::default);
                return (number - first) as usize;
            }
            self.fold();
        }
    }

    /// Makes each two cells one.
    fn fold(&mut self) {
        let finer = std::mem::take(&mut self.cells);
        for (number, cell) in (self.first..).zip(finer) {
            let is_second_half = number % 2 == 1;
            match self.cells.back_mut() {
                Some(last) if is_second_half => Arc::make_mut(last).merge(&cell),
                _ => self.cells.push_back(cell),
            }
        }
        self.first /= 2;
        self.length *= 2;
        self.pairs = self.cells.iter().flat_map(|cell| cell.entries.values()).map(|entry| entry.counts.len()).sum();
    }

    /// Gives the smallest entries up until there is room.
    fn make_room(&mut self) {
        while self.pairs > PAIRS {
            let Some(number) = self.requests.iter().min_by_key(|(number, requests)| (**requests, **number)).map(|(number, _)| *number)
            else {
                return;
            };
            self.requests.remove(&number);
            self.given_up.insert(number);
            for cell in self.cells.iter_mut().filter(|cell| cell.entries.contains_key(&number)) {
                let gone = Arc::make_mut(cell).entries.remove(&number);
                self.pairs -= gone.map_or(0, |gone| gone.counts.len());
            }
        }
    }
}

impl Cell {
    fn merge(&mut self, other: &Self) {
        self.total.merge(&other.total);
        for (number, counts) in &other.entries {
            self.entries.entry(*number).or_default().merge(counts);
        }
    }
}

impl CellCounts {
    /// Adds all but the durations' counts.
    fn add(&mut self, counts: &EntryCounts) {
        self.requests = self.requests.saturating_add(counts.hops.requests);
        self.failures = self.failures.saturating_add(counts.hops.failures());
        self.local = self.local.saturating_add(counts.hops.local());
        self.timed = self.timed.saturating_add(counts.durations.spread.count);
        self.sum = self.sum.saturating_add(counts.durations.spread.sum());
    }

    fn merge(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.failures = self.failures.saturating_add(other.failures);
        self.local = self.local.saturating_add(other.local);
        self.timed = self.timed.saturating_add(other.timed);
        self.sum = self.sum.saturating_add(other.sum);
        self.counts.merge(&other.counts);
    }
}

/// The same counts, each at the lowest index of its range.
fn coarse(counts: &SparseCounts) -> SparseCounts {
    let mut pairs: Vec<(u32, u64)> = Vec::with_capacity(counts.len());
    for (index, count) in counts.iter() {
        let low = index_of(range_of(lowest_of(index)).start);
        match pairs.last_mut() {
            Some((last, sum)) if *last == low => *sum = sum.saturating_add(count),
            _ => pairs.push((low, count)),
        }
    }
    SparseCounts::from_ascending(pairs)
}

/// The microseconds that are one range with this one: 1/256 of the value wide at most, and at least one.
#[must_use]
pub fn range_of(value_us: u64) -> std::ops::Range<u64> {
    let shift = (u64::BITS - value_us.leading_zeros()).saturating_sub(RANGE_BITS);
    let low = value_us >> shift << shift;
    low..low + (1 << shift)
}

/// Leading binary digits that a range keeps.
const RANGE_BITS: u32 = 9;

/// Cells at most. Past it, two become one.
const CELLS: u64 = 60;

/// Pairs of counts that are kept at most, 16 bytes each: dozens of entries in full, hundreds that are asked less.
const PAIRS: usize = 1_000_000;

#[cfg(test)]
mod tests {
    use super::super::recorder::{Limits, Recorder};
    use super::super::sample::{Answer, FailureKind, Sample};
    use super::*;
    use proptest::prelude::*;

    /// A tally of (entry, microseconds) hops; every third microsecond fails.
    fn tally(second: u64, hops: &[(u8, u64)]) -> Tally {
        let mut recorder = Recorder::new(Limits::default());
        for (name, micros) in hops {
            let entry = recorder.entry("GET", &format!("/{name}"));
            let failure = (micros % 3 == 0).then_some(FailureKind::Expect);
            let duration = Duration::from_micros(*micros);
            recorder.record(entry, &Sample { duration, answer: Answer::Answered, status: 200, failure, ..Sample::default() }, None);
        }
        recorder.take(second)
    }

    fn add(cells: &mut Cells, tally: &Tally) {
        let mut durations = Histogram::default();
        tally.entries.values().for_each(|counts| durations.merge_sparse(&counts.durations.counts));
        let numbers: Vec<u32> = tally.entries.keys().map(|name| name.name[1..].parse().unwrap()).collect();
        cells.add(tally, &numbers, &durations);
    }

    fn view(cells: &Cells) -> CellsView {
        cells.view(std::iter::empty(), |from, to| Duration::from_secs(to - from))
    }

    proptest! {
        #[test]
        fn cells_stay_few_and_their_sums_are_the_runs_in_whatever_order_seconds_come(
            seconds in prop::collection::vec((0_u64..400, prop::collection::vec((0_u8..4, 1_u64..5_000_000), 1..6)), 1..60),
        ) {
            let (mut forth, mut back) = (Cells::default(), Cells::default());
            seconds.iter().for_each(|(second, hops)| add(&mut forth, &tally(*second, hops)));
            seconds.iter().rev().for_each(|(second, hops)| add(&mut back, &tally(*second, hops)));
            let (forth, back) = (view(&forth), view(&back));
            prop_assert!(forth.cells.len() <= CELLS as usize);
            prop_assert_eq!((&forth.length, &forth.first, &forth.cells), (&back.length, &back.first, &back.cells));
            let all: Vec<_> = seconds.iter().flat_map(|(_, hops)| hops).collect();
            let mut total = CellCounts::default();
            forth.cells.iter().for_each(|(_, cell)| total.merge(&cell.total));
            prop_assert_eq!(total.requests, all.len() as u64);
            prop_assert_eq!(total.timed, total.counts.count());
            prop_assert_eq!(total.sum, Duration::from_micros(all.iter().map(|(_, micros)| micros).sum()));
            prop_assert_eq!(total.failures, all.iter().filter(|(_, micros)| micros % 3 == 0).count() as u64);
            for name in 0..4 {
                let here: u64 = forth.cells.iter().filter_map(|(_, cell)| cell.entries.get(&name)).map(|entry| entry.requests).sum();
                prop_assert_eq!(here, all.iter().filter(|(of, _)| u32::from(*of) == name).count() as u64);
            }
            for (second, hops) in &seconds {
                let place = (second - forth.first.as_secs()) / forth.length.as_secs();
                prop_assert!(forth.cells[place as usize].1.total.requests >= hops.len() as u64);
            }
        }

        #[test]
        fn a_range_is_as_narrow_as_it_says(value in 0_u64..Histogram::HIGHEST_US) {
            let range = range_of(value);
            prop_assert!(range.contains(&value) && range == range_of(range.start) && range == range_of(range.end - 1));
            prop_assert!(range.end - range.start <= (value / 256).max(1));
            let index = index_of(range.start);
            prop_assert_eq!(lowest_of(index), range.start);
        }
    }

    #[test]
    fn a_minute_has_a_cell_for_each_second_and_an_hour_one_for_each_64() {
        let mut cells = Cells::default();
        (0..60).for_each(|second| add(&mut cells, &tally(second, &[(0, 100)])));
        assert_eq!((view(&cells).length.as_secs(), view(&cells).cells.len()), (1, 60));
        (60..3_600).for_each(|second| add(&mut cells, &tally(second, &[(0, 100)])));
        assert_eq!((view(&cells).length.as_secs(), view(&cells).cells.len()), (64, 57));
        assert!(view(&cells).cells[..56].iter().all(|(_, cell)| cell.total.requests == 64));
    }

    #[test]
    fn where_there_is_no_room_the_smallest_entries_are_given_up_and_stay_so() {
        let mut cells = Cells::default();
        add(&mut cells, &tally(0, &[(0, 100), (0, 200), (1, 300), (2, 400), (2, 500), (2, 600)]));
        cells.pairs = PAIRS + 1;
        cells.make_room();
        // As many as there are in truth.
        cells.pairs = 5;
        add(&mut cells, &tally(1, &[(1, 300), (2, 400)]));
        let shown = view(&cells);
        let numbers: Vec<u32> = shown.cells.iter().flat_map(|(_, cell)| cell.entries.keys().copied()).collect();
        assert!(!numbers.contains(&1) && numbers.contains(&0) && numbers.contains(&2), "{numbers:?}");
        assert_eq!((shown.given_up, shown.cells[1].1.total.requests), (1, 2));
    }
}
