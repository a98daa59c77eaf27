//! The two tables of a run: the one that counts, and that of its warm-up, which is shown beside it and judged by nothing.
//!
//! Where something is counted follows from the second of the run's clock in which it ended: before the warm-up's end it is the warm-up's.
//! So a request that began in the warm-up and ended after it counts, nothing is in both tables, and all that was counted is in one of them,
//! whichever worker counted it and however late it comes. What was counted at a time that nobody knows is in the table that counts.

use std::sync::Arc;
use std::time::Duration;

use super::origin::Origin;
use super::recorder::Limits;
use super::snapshot::{HistoryPoint, RunState, Snapshot, WarmupView};
use super::table::{SnapshotContext, Table};
use super::tally::{ClassCounts, Tally};

/// All that was counted in one run.
#[derive(Debug)]
pub struct Tables {
    counted: Table,
    warmup: Option<Warmup>,
}

#[derive(Debug)]
struct Warmup {
    /// The second of the run's clock with which counting begins.
    end: u64,
    table: Table,
}

impl Tables {
    /// The empty tables of numbers that come from this moment of the run's clock on, `None` where nobody knows which it was, of a run whose
    /// first `warmup`, whole seconds, does not count.
    #[must_use]
    pub fn new(limits: Limits, since: Option<Duration>, warmup: Duration) -> Self {
        if since.is_some_and(|since| since >= warmup) {
            return Self { counted: Table::counted_since(limits, since), warmup: None };
        }
        let table = Table::counted_since(limits, since);
        Self {
            counted: Table::counted_since(limits, since.map(|since| since.max(warmup))),
            warmup: Some(Warmup { end: warmup.as_secs(), table }),
        }
    }

    /// Adds what was counted elsewhere, into the second in which it was measured.
    pub fn merge(&mut self, tally: &Tally) {
        self.of_mut(tally.second).merge(tally);
        // A worker says once what a reader of its numbers must know.
        tally.warnings.iter().for_each(|warning| self.counted.warn(warning));
    }

    /// See [`Table::merge_total`]. A total is of the warm-up's seconds, or of later ones.
    pub fn merge_total(&mut self, tally: &Tally) {
        self.of_mut(tally.second).merge_total(tally);
        tally.warnings.iter().for_each(|warning| self.counted.warn(warning));
    }

    /// Adds what was counted at a time that nobody knows.
    pub fn merge_undated(&mut self, tally: &Tally) {
        self.counted.merge_undated(tally);
    }

    /// See [`Table::note_raised`]; `second` is `None` where it is not known when in its table's time.
    pub fn note_raised(&mut self, tally: &Tally, source: u32, second: Option<u64>) {
        self.of_mut(tally.second).note_raised(tally, source, second);
    }

    /// See [`Table::note_raised`], of what [`Tables::merge_undated`] has added.
    pub fn note_raised_undated(&mut self, tally: &Tally, source: u32) {
        self.counted.note_raised(tally, source, None);
    }

    /// Where the exceptions of this message come from, as far as that was noted.
    #[must_use]
    pub fn origin_of(&self, message: &str) -> Option<&Origin> {
        self.counted.origin_of(message)
    }

    /// See [`Table::restore_history`].
    pub fn restore_history(&mut self, history: &[HistoryPoint]) {
        let end = self.warmup.as_ref().map_or(0, |warmup| warmup.end);
        let (before, after) = history.split_at(history.partition_point(|point| point.at.as_secs() < end));
        if let Some(warmup) = &mut self.warmup {
            warmup.table.restore_history(before);
        }
        self.counted.restore_history(after);
    }

    /// See [`Table::take_over`].
    pub fn take_over(&mut self, now: Duration) {
        self.each_mut().for_each(|table| table.take_over(now));
    }

    /// See [`Table::take_settled`].
    pub fn take_settled(&mut self) -> Vec<HistoryPoint> {
        self.each_mut().flat_map(Table::take_settled).collect()
    }

    /// See [`Table::classes`].
    #[must_use]
    pub fn classes(&self) -> &[ClassCounts] {
        self.counted.classes()
    }

    /// The points of the history before `now`, the warm-up's among them, oldest first.
    #[must_use]
    pub fn history(&self, now: Duration) -> Vec<HistoryPoint> {
        let mut points = self.warmup.as_ref().map_or_else(Vec::new, |warmup| warmup.history(now));
        points.extend(self.counted.history(now));
        points
    }

    /// See [`Table::note_soundness`].
    pub fn note_soundness(&mut self, tally: &Tally, source: u32, is_throttled: bool) {
        self.of_mut(tally.second).note_soundness(tally, source, is_throttled);
    }

    /// Goes on with what no sum tells of the tables whose place these take: the accounts of unsound seconds, and what readers must know.
    pub fn go_on_after(&mut self, mut before: Self) {
        before.counted.warnings().iter().for_each(|warning| self.counted.warn(warning));
        for (table, before) in self.each_mut().zip(before.each_mut()) {
            table.restore_soundness(before.take_soundness());
        }
    }

    /// See [`Table::warn`].
    pub fn warn(&mut self, warning: &Arc<str>) {
        self.counted.warn(warning);
    }

    /// Iterations of an open profile of which the warm-up tells what became: begun in it, or dropped.
    #[must_use]
    pub fn resolved_in_warmup(&self) -> u64 {
        self.warmup.as_ref().map_or(0, |warmup| warmup.table.resolved())
    }

    /// The same of one named profile.
    #[must_use]
    pub fn resolved_in_warmup_of(&self, profile: usize) -> u64 {
        self.warmup.as_ref().map_or(0, |warmup| warmup.table.resolved_of(profile))
    }

    /// What people see. Thresholds look at what counts alone; charts show the warm-up as well, and so do, as long as it lasts, the figures of
    /// the last 10 seconds.
    #[must_use]
    pub fn snapshot(&self, context: SnapshotContext<'_>) -> Snapshot {
        let Some(warmup) = &self.warmup else { return self.counted.snapshot(context) };
        let (elapsed, end) = (context.elapsed, Duration::from_secs(warmup.end));
        let is_over = elapsed >= end || context.state == RunState::Stopped;
        let state = if is_over { RunState::Stopped } else { context.state };
        let mut before = warmup.table.snapshot(SnapshotContext { state, elapsed: elapsed.min(end), thresholds: &[], ..context.clone() });
        let mut snapshot = self.counted.snapshot(context);
        let after = std::mem::take(&mut snapshot.history);
        snapshot.history = warmup.history(elapsed);
        snapshot.history.extend(after);
        before.history.clear();
        if !is_over {
            (snapshot.current_p50, snapshot.current_p95) = (before.current_p50, before.current_p95);
            snapshot.total.current_rps = before.total.current_rps;
            snapshot.total.current_fail_per_sec = before.total.current_fail_per_sec;
            snapshot.health.lag_recent_max = before.health.lag_recent_max;
        }
        if !is_over || before.total.requests > 0 || before.times.iterations.count > 0 || !before.exceptions.is_empty() {
            snapshot.warmup = Some(Arc::new(WarmupView { end, is_over, numbers: before }));
        }
        snapshot
    }

    fn of_mut(&mut self, second: u64) -> &mut Table {
        match &mut self.warmup {
            Some(warmup) if second < warmup.end => &mut warmup.table,
            _ => &mut self.counted,
        }
    }

    fn each_mut(&mut self) -> impl Iterator<Item = &mut Table> {
        self.warmup.iter_mut().map(|warmup| &mut warmup.table).chain([&mut self.counted])
    }
}

impl Warmup {
    fn history(&self, now: Duration) -> Vec<HistoryPoint> {
        self.table.history(now.min(Duration::from_secs(self.end)))
    }
}

/// The sums of one worker over the whole run, those of the warm-up apart.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Totals {
    /// The second of the run's clock with which counting begins.
    warmup_end: u64,
    warmup: Tally,
    counted: Tally,
}

impl Totals {
    /// Of a run whose first `warmup`, whole seconds, does not count.
    #[must_use]
    pub fn new(warmup: Duration) -> Self {
        Self { warmup_end: warmup.as_secs(), ..Self::default() }
    }

    /// Adds what was counted up to the end of the tally's second, on one side of the warm-up's end.
    pub fn add(&mut self, tally: &Tally) {
        let sum = if tally.second < self.warmup_end { &mut self.warmup } else { &mut self.counted };
        sum.add(tally);
    }

    /// Nothing was counted in the epoch that begins.
    pub fn clear(&mut self) {
        *self = Self { warmup_end: self.warmup_end, ..Self::default() };
    }

    /// The sums that are not empty, the warm-up's first.
    pub fn tallies(&self) -> impl Iterator<Item = &Tally> {
        [&self.warmup, &self.counted].into_iter().filter(|tally| !tally.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::recorder::Recorder;
    use super::super::sample::{Answer, Sample};
    use super::*;

    fn limits() -> Limits {
        Limits { names: 20 }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A tally of `requests` hops of 1 ms each in `second`, as many due and begun iterations, and an exception.
    fn tally(second: u64, requests: u64) -> Tally {
        let mut recorder = Recorder::new(limits());
        let entry = recorder.entry("GET", "/");
        for _ in 0..requests {
            recorder.record(
                entry,
                &Sample { duration: seconds(1) / 1_000, answer: Answer::Answered, status: 200, ..Sample::default() },
                None,
            );
        }
        recorder.exception("a.lua:1: no", "");
        recorder.warn("something");
        let mut tally = recorder.take(second);
        tally.events.iterations_started = requests;
        tally
    }

    fn shown(tables: &Tables, elapsed: u64, state: RunState) -> Snapshot {
        tables.snapshot(SnapshotContext { elapsed: seconds(elapsed), state, ..SnapshotContext::default() })
    }

    fn requests(snapshot: &Snapshot) -> [u64; 2] {
        [snapshot.warmup.as_ref().map_or(0, |warmup| warmup.numbers.total.requests), snapshot.total.requests]
    }

    #[test]
    fn what_ends_before_the_warm_ups_end_is_in_its_table_and_all_else_in_the_one_that_counts() {
        let mut tables = Tables::new(limits(), Some(Duration::ZERO), seconds(3));
        for second in [0, 2, 3, 4] {
            tables.merge(&tally(second, 10 + second));
        }
        let snapshot = shown(&tables, 5, RunState::Running);
        assert_eq!((requests(&snapshot), tables.resolved_in_warmup()), ([22, 27], 22));
        assert_eq!((snapshot.covered, snapshot.counted_since), (Some(seconds(2)), Some(seconds(3))));
        assert_eq!(snapshot.total.total_rps, Some(13.5), "of the time that counts alone");
        let exceptions = |snapshot: &Snapshot| snapshot.exceptions.iter().map(|exception| exception.count).sum::<u64>();
        assert_eq!([exceptions(&snapshot), exceptions(&snapshot.warmup.as_ref().unwrap().numbers)], [2, 2]);
        assert_eq!(snapshot.cells.first, seconds(3));
        let seen: Vec<_> =
            snapshot.history.iter().map(|point| (point.at.as_secs(), point.seen.as_ref().map(|seen| seen.requests))).collect();
        assert_eq!(seen, [(0, Some(10)), (1, None), (2, Some(12)), (3, Some(13)), (4, Some(14))]);
        assert_eq!(snapshot.warnings, ["something"]);
    }

    #[test]
    fn while_it_lasts_the_figures_of_the_last_seconds_are_the_warm_ups_and_the_sums_are_empty() {
        let mut tables = Tables::new(limits(), Some(Duration::ZERO), seconds(10));
        tables.merge(&tally(0, 4));
        tables.merge(&tally(1, 8));
        let snapshot = shown(&tables, 2, RunState::Running);
        let warmup = snapshot.warmup.clone().unwrap();
        assert_eq!((requests(&snapshot), snapshot.total.current_rps, warmup.is_over), ([12, 0], Some(6.0), false));
        assert_eq!((snapshot.covered, snapshot.total.total_rps), (None, None));
        let ended = shown(&tables, 2, RunState::Stopped);
        assert!(ended.warmup.as_ref().unwrap().is_over && ended.total.current_rps.is_none(), "{:?}", ended.total.current_rps);
    }

    #[test]
    fn tables_that_take_the_place_of_others_say_what_those_said() {
        let mut tables = Tables::new(limits(), Some(Duration::ZERO), seconds(3));
        tables.warn(&"counted at a time that nobody knows".into());
        let mut rebuilt = Tables::new(limits(), Some(Duration::ZERO), seconds(3));
        rebuilt.go_on_after(tables);
        assert_eq!(shown(&rebuilt, 1, RunState::Running).warnings, ["counted at a time that nobody knows"]);
    }

    #[test]
    fn a_reset_after_the_warm_up_leaves_none_and_one_in_it_what_is_left_of_it() {
        let after = Tables::new(limits(), Some(seconds(7)), seconds(3));
        assert!(shown(&after, 9, RunState::Running).warmup.is_none());
        let mut within = Tables::new(limits(), Some(seconds(1)), seconds(3));
        within.merge(&tally(2, 5));
        let snapshot = shown(&within, 4, RunState::Running);
        assert_eq!((requests(&snapshot), snapshot.counted_since), ([5, 0], Some(seconds(3))));
    }

    #[test]
    fn a_history_that_was_kept_goes_to_the_tables_of_its_seconds() {
        let mut first = Tables::new(limits(), Some(Duration::ZERO), seconds(2));
        (0..4).for_each(|second| first.merge(&tally(second, 1 + second)));
        let mut second = Tables::new(limits(), Some(Duration::ZERO), seconds(2));
        second.restore_history(&first.history(seconds(4)));
        assert_eq!(second.history(seconds(4)), first.history(seconds(4)));
    }

    proptest! {
        /// Whatever comes in whichever order, as deltas or as a worker's totals: each request is in one table, and the totals say the same.
        #[test]
        fn nothing_is_in_both_tables_and_nothing_in_none(
            tallies in prop::collection::vec((0_u64..8, 0_u64..5), 0..12),
            warmup in 0_u64..8,
        ) {
            let mut deltas = Tables::new(limits(), Some(Duration::ZERO), seconds(warmup));
            let mut sums = Tables::new(limits(), Some(Duration::ZERO), seconds(warmup));
            let mut totals = Totals::new(seconds(warmup));
            for (second, requests) in &tallies {
                deltas.merge(&tally(*second, *requests));
                totals.add(&tally(*second, *requests));
            }
            totals.tallies().for_each(|tally| sums.merge_total(tally));
            let sum = |is_warmup: bool| -> u64 {
                tallies.iter().filter(|(second, _)| (*second < warmup) == is_warmup).map(|(_, requests)| requests).sum()
            };
            let wanted = [sum(true), sum(false)];
            for tables in [&deltas, &sums] {
                prop_assert_eq!(requests(&shown(tables, 9, RunState::Stopped)), wanted);
                prop_assert_eq!(tables.resolved_in_warmup(), wanted[0]);
            }
        }
    }
}
