//! The run over time: the last seconds in detail, and a bounded history of points.
//!
//! What comes late goes into the second in which it was measured. A second of which no tally came is unknown, and no rate counts it as
//! time. Sums of the whole run are the `table`'s.

use std::collections::VecDeque;
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::cells::{Cells, CellsView};
use super::histogram::Histogram;
use super::known::KnownSeconds;
use super::names::EntryName;
use super::snapshot::{HistoryPoint, Seen};
use super::soundness::{Reasons, Unsound};
use super::tally::Tally;

/// The seconds of one run.
#[derive(Debug, Clone, Default)]
pub struct Series {
    /// The run's clock when counting began; `None` where that is not known.
    since: Option<Duration>,
    /// Numbers of the seconds before this one may have come as sums alone.
    summed_before: u64,
    /// Current rates look no further back: another process counted what was before.
    taken_over: u64,
    /// The seconds from `first_recent` on, without gaps.
    recent: VecDeque<Second>,
    /// The second of the front of `recent`.
    first_recent: u64,
    /// Of which seconds a tally came.
    known: KnownSeconds,
    /// Which seconds were unsound.
    unsound: KnownSeconds,
    /// The latest second of which a tally came.
    latest: Option<u64>,
    /// What is before `first_recent`, without gaps; points of this process are `1 << thinning` seconds long, the last one perhaps less.
    points: Vec<HistoryPoint>,
    thinning: u32,
    /// The same time in a few cells, by entry.
    cells: Cells,
    /// Seconds that have become history and were not taken yet, in steps of [`STEP_SECONDS`]; the last one may be incomplete.
    settled: VecDeque<HistoryPoint>,
}

/// What the last seconds say, at one moment.
#[derive(Debug, Clone, Default)]
pub struct Current {
    /// By the entry's number in the table.
    pub entries: FxHashMap<u32, Lately>,
    /// All entries of the window together.
    pub total: Lately,
    /// How much of the last 10 seconds is known; `None` where nothing is.
    pub window: Option<Duration>,
    /// The seconds of the window, on the run's clock.
    pub seconds: std::ops::Range<u64>,
    /// See [`super::snapshot::Snapshot::covered`].
    pub covered: Option<Duration>,
    /// All durations of the window, in microseconds.
    pub histogram: Histogram,
    /// The greatest lag of any lane in the window.
    pub lag_max: Duration,
}

/// Hops of an entry in the last seconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lately {
    /// Hops of the window's seconds.
    pub requests: u64,
    /// Of `requests`, those that failed.
    pub failures: u64,
    /// Of seconds after the window, which are not whole yet.
    pub later_requests: u64,
    /// Of `later_requests`, those that failed.
    pub later_failures: u64,
}

impl Series {
    /// Of a run whose numbers are counted from `since` on; `None` where nobody knows when that was.
    #[must_use]
    pub fn new(since: Option<Duration>) -> Self {
        Self { since, first_recent: since.unwrap_or_default().as_secs(), ..Self::default() }
    }

    /// The run's clock when counting began.
    #[must_use]
    pub const fn since(&self) -> Option<Duration> {
        self.since
    }

    /// Adds a tally to its second, which must lie within the first year. `number_of` is the table's number of each entry, in the tally's
    /// order; `durations` are those of all entries.
    pub fn add(&mut self, tally: &Tally, number_of: &[u32], durations: &Histogram) {
        if tally.second > LAST_SECOND {
            return;
        }
        self.latest = self.latest.max(Some(tally.second));
        let is_first = self.known.insert(tally.second);
        self.cells.add(tally, number_of, durations);
        let (requests, failures) = tally.entries.values().fold((0_u64, 0_u64), |(requests, failures), counts| {
            (requests.saturating_add(counts.hops.timed()), failures.saturating_add(counts.hops.failures()))
        });
        let (lag_max, reasons) = (tally.times.lag.spread.max(), Reasons::of(tally));
        if reasons.any() {
            self.unsound.insert(tally.second);
        }
        if tally.second < self.first_recent {
            let known = if is_first { SECOND } else { Duration::ZERO };
            return self.add_late(tally, Seen { known, requests, failures, ..Seen::default() }, reasons);
        }
        let second = self.second_mut(tally.second);
        second.is_known = true;
        second.requests = second.requests.saturating_add(requests);
        second.failures = second.failures.saturating_add(failures);
        second.unsound.merge(reasons);
        second.users = second.users.saturating_add(tally.users);
        second.lag_max = second.lag_max.max(lag_max);
        second.histogram.merge(durations);
        for (counts, number) in tally.entries.values().zip(number_of) {
            second.max = second.max.max(counts.durations.spread.max());
            let entry = second.entries.entry(*number).or_default();
            entry.0 = entry.0.saturating_add(counts.hops.timed());
            entry.1 = entry.1.saturating_add(counts.hops.failures());
        }
    }

    /// Adds to a second that has left the window. Its percentiles stay as they were; its sums stay right.
    fn add_late(&mut self, tally: &Tally, late: Seen, reasons: Reasons) {
        let at = Duration::from_secs(tally.second);
        let place = self.points.partition_point(|point| point.at <= at);
        let Some(point) = place.checked_sub(1).and_then(|place| self.points.get_mut(place)) else { return };
        if point.at + point.length <= at {
            return;
        }
        point.unsound.merge(reasons);
        // A longer point has the users of its last second.
        let users = if point.length == SECOND || point.seen.is_none() { tally.users } else { 0 };
        let seen = point.seen.get_or_insert_default();
        seen.known = (seen.known + late.known).min(point.length);
        seen.requests = seen.requests.saturating_add(late.requests);
        seen.failures = seen.failures.saturating_add(late.failures);
        seen.users = seen.users.saturating_add(users);
    }

    /// Puts in front what another process, or another table, has kept; nothing may have been added before. Where points overlap, the
    /// earlier one counts.
    pub fn restore(&mut self, history: &[HistoryPoint]) {
        for point in history {
            let (begin, end) = (point.at.as_secs(), point.at.saturating_add(point.length).as_secs());
            if begin < self.first_recent || end > LAST_SECOND {
                continue;
            }
            while self.first_recent < begin {
                self.remember(HistoryPoint { at: Duration::from_secs(self.first_recent), length: SECOND, ..HistoryPoint::default() });
            }
            if point.seen.as_ref().is_some_and(|seen| seen.known >= point.length) {
                (begin..end).for_each(|second| _ = self.known.insert(second));
            }
            if point.unsound.any() {
                (begin..end).for_each(|second| _ = self.unsound.insert(second));
            }
            self.remember(point.clone());
        }
    }

    /// Another process counted until `now`: current rates look no further back.
    pub fn take_over(&mut self, now: Duration) {
        self.taken_over = now.as_secs() + u64::from(now.subsec_nanos() > 0);
    }

    /// Sums came whose seconds are not known; they reach to the end of `second`.
    pub fn note_sums(&mut self, second: u64) {
        if second <= LAST_SECOND {
            self.summed_before = self.summed_before.max(second + 1);
        }
    }

    /// Takes the steps of [`STEP_SECONDS`] that are complete and no longer in the window, oldest first. A tally that comes later still
    /// changes the history, but not them. Of steps that nobody takes the oldest are dropped.
    pub fn take_settled(&mut self) -> Vec<HistoryPoint> {
        let is_complete = self.first_recent.is_multiple_of(STEP_SECONDS);
        let count = self.settled.len() - usize::from(!is_complete && !self.settled.is_empty());
        self.settled.drain(..count).collect()
    }

    /// Notes that the generator was kept from running in a second.
    pub fn note_throttled(&mut self, second: u64) {
        if (self.first_recent..=LAST_SECOND).contains(&second) {
            self.second_mut(second).unsound.add(Unsound::Throttled);
            self.unsound.insert(second);
        }
    }

    /// The rates and percentiles of the last 10 seconds before `now`, or of all where the run is younger.
    ///
    /// The second that is under way is left out, as its tallies come at its end; so is the one before it as long as none of its
    /// tallies has come, or, where it is known that `reported` seconds are whole, some tallies of it are on their way. Where `is_over`,
    /// nothing more comes, and the last, incomplete second counts with its true length. Only known seconds count, and as time.
    #[must_use]
    pub fn current(&self, now: Duration, is_over: bool, reported: Option<u64>) -> Current {
        let end = self.whole_before(now, is_over, reported);
        let since = self.since.unwrap_or_default();
        let first_whole = since.as_secs() + u64::from(since.subsec_nanos() > 0);
        // A part of a second is measured only as well as the message that began it was fast: it serves where there is nothing else.
        let first = if is_over && now.as_secs() <= first_whole { since.as_secs() } else { first_whole };
        let begin = end.saturating_sub(WINDOW_SECONDS).max(first).max(self.taken_over);
        let mut current = Current { covered: self.covered(now, end), seconds: begin..end.max(begin), ..Current::default() };
        let mut window = Duration::ZERO;
        for (number, second) in (self.first_recent..).zip(&self.recent).filter(|(_, second)| second.is_known) {
            if (begin..end).contains(&number) {
                window += overlap(number, since, now);
                current.histogram.merge(&second.histogram);
                current.lag_max = current.lag_max.max(second.lag_max);
            }
            let is_later = number >= end;
            if !is_later && number < begin {
                continue;
            }
            current.total.add(second.requests, second.failures, is_later);
            for (number, (requests, failures)) in &second.entries {
                current.entries.entry(*number).or_default().add(*requests, *failures, is_later);
            }
        }
        current.window = Some(window).filter(|window| !window.is_zero());
        current
    }

    /// The seconds before this one are whole.
    fn whole_before(&self, now: Duration, is_over: bool, reported: Option<u64>) -> u64 {
        let whole = now.as_secs();
        if is_over {
            return whole + u64::from(now.subsec_nanos() > 0);
        }
        let latest = self.latest.map_or(0, |latest| latest + 1).clamp(whole.saturating_sub(1), whole);
        reported.map_or(latest, |reported| latest.min(reported.max(whole.saturating_sub(2))))
    }

    /// How much of the time before `end` the sums cover.
    fn covered(&self, now: Duration, end: u64) -> Option<Duration> {
        let since = self.since?;
        let summed = Duration::from_secs(self.summed_before.min(end)).min(now).saturating_sub(since);
        let first = self.summed_before.max(since.as_secs());
        let known = Duration::from_secs(self.known.count(first..end));
        // Of the first and the last second only a part may have been.
        let missing = |second: u64| {
            let is_counted = (first..end).contains(&second) && self.known.contains(second);
            if is_counted { SECOND.saturating_sub(overlap(second, since, now)) } else { Duration::ZERO }
        };
        let (begun, last) = (since.as_secs(), now.as_secs());
        let missing = missing(begun) + if last == begun { Duration::ZERO } else { missing(last) };
        Some(summed + known.saturating_sub(missing)).filter(|covered| !covered.is_zero())
    }

    /// One point for each second before `now`, or for several once the run is long; oldest first. Where something was counted later, for an
    /// orphan may go on after a run's end, the points reach to that.
    #[must_use]
    pub fn history(&self, now: Duration) -> Vec<HistoryPoint> {
        let mut points = self.points.clone();
        let counted = self.recent.iter().rposition(|second| second.requests > 0).map_or(0, |place| place + 1);
        for (place, (number, second)) in (self.first_recent..).zip(&self.recent).enumerate() {
            if Duration::from_secs(number) >= now && place >= counted {
                break;
            }
            push(&mut points, second.point(number), self.thinning);
        }
        points
    }

    /// The run in a few cells, at `now` of its clock; `names` are the table's entries in the order of their numbers.
    #[must_use]
    pub fn cells<'a>(&self, now: Duration, names: impl Iterator<Item = &'a EntryName>) -> CellsView {
        let since = self.since.unwrap_or_default();
        // An orphan may have gone on after the run's end.
        let end = self.latest.filter(|latest| *latest > now.as_secs()).map_or(now, |latest| Duration::from_secs(latest + 1));
        let known = |second: &u64| self.known.contains(*second);
        self.cells.view(names, |from, to| {
            let last = to.min(end.as_secs() + 1);
            let missing = |second: u64| SECOND.saturating_sub(overlap(second, since, end));
            let ends = [since.as_secs(), end.as_secs()];
            let partial = (0..2).filter(|place| *place == 0 || ends[0] != ends[1]).map(|place| ends[place]);
            let missing: Duration = partial.filter(|second| (from..last).contains(second)).filter(known).map(missing).sum();
            Duration::from_secs(self.known.count(from..last)).saturating_sub(missing)
        })
    }

    /// How many seconds were unsound; of a point that another process has kept, its whole length.
    #[must_use]
    pub fn unsound_seconds(&self) -> u64 {
        self.unsound.count(0..LAST_SECOND + 1)
    }

    fn second_mut(&mut self, number: u64) -> &mut Second {
        let last = number.max(self.first_recent);
        while self.first_recent + self.recent.len() as u64 <= last {
            if self.recent.len() >= KEPT_SECONDS {
                self.retire();
            }
            self.recent.push_back(Second::default());
        }
        &mut self.recent[(last - self.first_recent) as usize]
    }

    /// Moves the oldest detailed second into the history.
    fn retire(&mut self) {
        let Some(second) = self.recent.pop_front() else { return };
        let point = second.point(self.first_recent);
        match self.settled.back_mut() {
            Some(last) if last.at.as_secs() / STEP_SECONDS == point.at.as_secs() / STEP_SECONDS => last.append(&point),
            _ => self.settled.push_back(point.clone()),
        }
        if self.settled.len() > SETTLED {
            self.settled.pop_front();
        }
        self.remember(point);
    }

    /// Appends a point that begins at the second `first_recent` to the history.
    fn remember(&mut self, point: HistoryPoint) {
        self.first_recent += point.length.as_secs();
        push(&mut self.points, point, self.thinning);
        if self.points.len() > POINTS {
            self.thinning += 1;
            let finer = std::mem::take(&mut self.points);
            for point in finer {
                push(&mut self.points, point, self.thinning);
            }
        }
    }
}

impl Lately {
    fn add(&mut self, requests: u64, failures: u64, is_later: bool) {
        let (sum, failed) =
            if is_later { (&mut self.later_requests, &mut self.later_failures) } else { (&mut self.requests, &mut self.failures) };
        *sum = sum.saturating_add(requests);
        *failed = failed.saturating_add(failures);
    }
}

/// One second in detail.
#[derive(Debug, Clone, Default)]
struct Second {
    /// At least one tally came for it.
    is_known: bool,
    requests: u64,
    failures: u64,
    users: u64,
    histogram: Histogram,
    /// The longest of its durations; exact.
    max: Duration,
    /// Hops and failed hops, by the entry's number in the table.
    entries: FxHashMap<u32, (u64, u64)>,
    lag_max: Duration,
    unsound: Reasons,
}

impl Second {
    fn point(&self, number: u64) -> HistoryPoint {
        // The upper end of the last bucket may lie above the exact maximum.
        let percentile = |quantile| Duration::from_micros(self.histogram.value_at(quantile)).min(self.max);
        let seen = Seen {
            known: SECOND,
            users: self.users,
            requests: self.requests,
            failures: self.failures,
            percentiles: (!self.histogram.is_empty()).then(|| [0.5, 0.95, 0.99].map(percentile)),
        };
        HistoryPoint { at: Duration::from_secs(number), length: SECOND, seen: self.is_known.then_some(seen), unsound: self.unsound }
    }
}

/// How much of a second lies between two moments.
fn overlap(second: u64, since: Duration, now: Duration) -> Duration {
    Duration::from_secs(second + 1).min(now).saturating_sub(Duration::from_secs(second).max(since))
}

/// Appends a point, or adds it to the last one where both belong to the same `1 << thinning` seconds.
fn push(points: &mut Vec<HistoryPoint>, point: HistoryPoint, thinning: u32) {
    let step = |point: &HistoryPoint| point.at.as_secs() >> thinning;
    match points.last_mut() {
        Some(last) if step(last) == step(&point) => last.append(&point),
        _ => points.push(point),
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// How far back the current rates and percentiles look.
pub const WINDOW_SECONDS: u64 = 10;

/// Seconds that are kept in detail: the window, the second under way, and three that may still be reported.
const KEPT_SECONDS: usize = WINDOW_SECONDS as usize + 4;

/// No run is longer than a year: a number beyond it is an error, and would fill the seconds up to it one by one.
const LAST_SECOND: u64 = 366 * 86_400;

/// How many seconds are settled together.
pub const STEP_SECONDS: u64 = 10;

/// Settled steps that wait to be taken at most: two hours of them.
const SETTLED: usize = 720;

/// Points of the history at most: two hours of single seconds. Past it, two points become one.
const POINTS: usize = 7_200;

#[cfg(test)]
mod tests {
    use super::super::recorder::{Limits, Recorder};
    use super::super::sample::{Answer, FailureKind, Sample};
    use super::*;
    use crate::stats::soundness::LAG_LIMIT;

    fn add(series: &mut Series, tally: &Tally, number_of: &[u32]) {
        let mut durations = Histogram::default();
        tally.entries.values().for_each(|counts| durations.merge_sparse(&counts.durations.counts));
        series.add(tally, number_of, &durations);
    }

    /// A tally of `requests` hops of 1 ms each in `second`.
    fn tally(second: u64, requests: u64) -> Tally {
        let mut recorder = Recorder::new(Limits::default());
        let entry = recorder.entry("GET", "/");
        for _ in 0..requests {
            let sample = Sample { duration: Duration::from_millis(1), answer: Answer::Answered, status: 200, ..Sample::default() };
            recorder.record(entry, &sample, None);
        }
        recorder.take(second)
    }

    fn seen(point: &HistoryPoint) -> &Seen {
        point.seen.as_ref().unwrap()
    }

    fn counts(series: &Series, now: u64) -> Vec<u64> {
        series.history(Duration::from_secs(now)).iter().map(|point| point.seen.as_ref().map_or(0, |seen| seen.requests)).collect()
    }

    /// Hops per second of all entries.
    fn rate(current: &Current) -> Option<f64> {
        current.window.map(|window| current.total.requests as f64 / window.as_secs_f64())
    }

    fn mean(numbers: std::ops::Range<u32>) -> Option<f64> {
        Some(f64::from(numbers.clone().sum::<u32>()) / numbers.len() as f64)
    }

    #[test]
    fn a_late_tally_goes_into_its_own_second() {
        let mut series = Series::new(Some(Duration::ZERO));
        for second in [0, 1, 3] {
            add(&mut series, &tally(second, 10), &[0]);
        }
        add(&mut series, &tally(2, 4), &[0]);
        add(&mut series, &tally(1, 1), &[0]);
        assert_eq!(counts(&series, 4), [10, 11, 4, 10]);
        // Later than the window: its second is a point already.
        add(&mut series, &tally(40, 1), &[0]);
        add(&mut series, &tally(2, 3), &[0]);
        assert_eq!(counts(&series, 41)[..5], [10, 11, 7, 10, 0]);
        assert_eq!(counts(&series, 41).iter().sum::<u64>(), 39);
    }

    #[test]
    fn what_an_orphan_served_after_the_end_stands_in_its_seconds_whatever_silence_was_before_it() {
        let mut series = Series::new(Some(Duration::ZERO));
        for (second, requests) in [(0, 5), (1, 0), (5, 7), (6, 0)] {
            add(&mut series, &tally(second, requests), &[0]);
        }
        assert_eq!(counts(&series, 2), [5, 0, 0, 0, 0, 7]);
    }

    #[test]
    fn current_rates_look_at_the_last_ten_whole_seconds() {
        let mut series = Series::new(Some(Duration::ZERO));
        for second in 0..20 {
            add(&mut series, &tally(second, second), &[7]);
        }
        let at = |millis, reported| series.current(Duration::from_millis(millis), false, reported);
        let current = at(20_300, None);
        assert_eq!(rate(&current), mean(10..20));
        assert_eq!(current.entries[&7].requests, current.total.requests);
        assert_eq!(current.histogram.count(), (10..20).sum::<u64>());
        // The tallies of second 20 are on their way, and those that have not come are no time.
        assert_eq!(rate(&at(21_100, None)), mean(10..20));
        assert_eq!(rate(&at(22_100, None)), mean(11..20));
        assert_eq!(rate(&at(20_300, Some(19))), mean(9..19), "one worker is late");
        assert_eq!(rate(&at(20_300, Some(3))), mean(8..18), "much too late");
        assert_eq!(rate(&at(60_000, None)), None, "nobody knows");
    }

    #[test]
    fn young_runs_divide_by_what_is_known_of_them() {
        let mut series = Series::new(Some(Duration::ZERO));
        assert_eq!(rate(&series.current(Duration::ZERO, false, None)), None);
        assert_eq!(rate(&series.current(Duration::from_millis(1_100), false, None)), None, "its first second is on its way");
        add(&mut series, &tally(0, 50), &[0]);
        assert_eq!(rate(&series.current(Duration::from_millis(500), true, None)), Some(100.0));
        assert_eq!(rate(&series.current(Duration::from_millis(1_100), false, None)), Some(50.0));
        add(&mut series, &tally(1, 30), &[0]);
        assert_eq!(rate(&series.current(Duration::from_millis(2_000), false, None)), Some(40.0));
    }

    #[test]
    fn the_last_part_of_a_second_counts_once_the_run_is_over() {
        let mut series = Series::new(Some(Duration::ZERO));
        for second in 0..3 {
            add(&mut series, &tally(second, 10), &[0]);
        }
        add(&mut series, &tally(3, 5), &[0]);
        let current = series.current(Duration::from_millis(3_500), false, None);
        assert_eq!((rate(&current), current.covered, current.total.later_requests), (Some(10.0), Some(Duration::from_secs(3)), 5));
        let current = series.current(Duration::from_millis(3_500), true, None);
        assert_eq!((rate(&current), current.covered, current.total.later_requests), (Some(10.0), Some(Duration::from_millis(3_500)), 0));
        assert_eq!(rate(&series.current(Duration::from_secs(4), true, None)), Some(35.0 / 4.0));
    }

    #[test]
    fn after_a_reset_rates_divide_by_the_time_since_it() {
        let reset = Duration::from_millis(30_250);
        let mut series = Series::new(Some(reset));
        assert_eq!(series.current(Duration::from_millis(30_900), false, None).covered, None);
        for second in 30..35 {
            add(&mut series, &tally(second, if second == 30 { 15 } else { 20 }), &[0]);
        }
        let current = series.current(Duration::from_millis(33_100), false, Some(33));
        assert_eq!((rate(&current), current.covered), (Some(20.0), Some(Duration::from_millis(2_750))));
        let history = series.history(Duration::from_secs(35));
        assert_eq!(history[0].at, Duration::from_secs(30), "what was before the reset is none of its history");
        // Where there is no whole second, the part of one serves.
        let mut series = Series::new(Some(reset));
        add(&mut series, &tally(30, 10), &[0]);
        let current = series.current(Duration::from_millis(30_750), true, None);
        assert_eq!((rate(&current), current.covered), (Some(20.0), Some(Duration::from_millis(500))));
    }

    #[test]
    fn a_long_history_is_thinned_and_keeps_its_sums() {
        let mut series = Series::new(Some(Duration::ZERO));
        let seconds = 3 * POINTS as u64;
        for second in 0..seconds {
            add(&mut series, &tally(second, 1 + second % 2), &[0]);
        }
        let history = series.history(Duration::from_secs(seconds));
        assert!(history.len() <= POINTS + KEPT_SECONDS);
        assert_eq!(history.iter().filter_map(|point| point.seen.as_ref()).map(|seen| seen.requests).sum::<u64>(), seconds * 3 / 2);
        assert_eq!(history.iter().map(|point| point.length.as_secs()).sum::<u64>(), seconds);
        assert!(history.windows(2).all(|pair| pair[0].at + pair[0].length == pair[1].at));
    }

    #[test]
    fn the_users_of_a_second_are_those_of_all_lanes_in_whatever_order_they_report() {
        let mut series = Series::new(Some(Duration::ZERO));
        for (second, users) in [(0, 3), (1, 3), (0, 2), (2, 0), (1, 2), (2, 1)] {
            add(&mut series, &Tally { second, users, ..Tally::default() }, &[]);
        }
        assert_eq!(
            series.history(Duration::from_secs(3)).iter().map(|point| point.seen.as_ref().unwrap().users).collect::<Vec<_>>(),
            [5, 5, 1]
        );
        let mut merged = Tally { second: 4, users: 2, ..Tally::default() };
        merged.merge(Tally { second: 4, users: 1, ..Tally::default() });
        merged.merge(Tally { second: 3, users: 7, ..Tally::default() });
        assert_eq!((merged.second, merged.users), (4, 3));
    }

    #[test]
    fn lag_and_local_failures_and_throttling_make_a_second_unsound() {
        let mut series = Series::new(Some(Duration::ZERO));
        let mut recorder = Recorder::new(Limits::default());
        let entry = recorder.entry("GET", "/");
        recorder.lag(LAG_LIMIT);
        add(&mut series, &recorder.take(0), &[]);
        assert_eq!(series.unsound_seconds(), 0);
        recorder.lag(LAG_LIMIT + Duration::from_nanos(1));
        add(&mut series, &recorder.take(1), &[]);
        recorder.record(entry, &Sample { failure: Some(FailureKind::Local), ..Sample::default() }, None);
        add(&mut series, &recorder.take(2), &[0]);
        add(&mut series, &Tally { second: 3, users: 8, ..Tally::default() }, &[]);
        series.note_throttled(3);
        add(&mut series, &Tally { second: 4, users: 9, ..Tally::default() }, &[]);
        assert_eq!(series.unsound_seconds(), 3);
        assert_eq!(
            series.history(Duration::from_secs(5)).iter().map(|point| point.seen.as_ref().unwrap().users).collect::<Vec<_>>(),
            [0, 0, 0, 8, 9]
        );
        assert_eq!(series.current(Duration::from_secs(5), true, None).lag_max, LAG_LIMIT + Duration::from_nanos(1));
    }

    #[test]
    fn steps_are_settled_once_they_have_left_the_window() {
        let mut series = Series::new(Some(Duration::ZERO));
        let mut taken = Vec::new();
        for second in 0..100 {
            add(&mut series, &tally(second, 1 + second / 10), &[0]);
            add(&mut series, &Tally { second, users: 3, ..Tally::default() }, &[]);
            taken.extend(series.take_settled());
        }
        // The last seconds may still change.
        let steps: Vec<_> =
            taken.iter().map(|step| (step.at.as_secs(), step.length.as_secs(), seen(step).requests, seen(step).users)).collect();
        assert_eq!(steps, (0..8).map(|step| (step * 10, 10, 10 * (1 + step), 3)).collect::<Vec<_>>());
        assert_eq!(seen(&taken[0]).percentiles, Some([Duration::from_millis(1); 3]));
    }

    #[test]
    fn steps_that_nobody_takes_are_bounded() {
        let mut series = Series::new(Some(Duration::ZERO));
        add(&mut series, &tally(1_000_000, 1), &[0]);
        assert!(series.take_settled().len() <= SETTLED);
        assert_eq!(series.take_settled(), []);
    }

    #[test]
    fn a_restored_history_stands_before_what_is_counted_from_there_on_and_what_is_missing_is_unknown() {
        let step = |at: u64, requests| HistoryPoint {
            at: Duration::from_secs(at),
            length: Duration::from_secs(10),
            seen: Some(Seen { known: Duration::from_secs(10), users: 4, requests, ..Seen::default() }),
            unsound: Reasons::of_bits(u8::from(at == 20)).unwrap(),
        };
        let mut series = Series::new(Some(Duration::ZERO));
        // The step of 10 s is missing.
        series.restore(&[step(0, 57), step(20, 100)]);
        series.take_over(Duration::from_millis(33_500));
        for second in 34..48 {
            add(&mut series, &tally(second, 20), &[0]);
        }
        let history = series.history(Duration::from_secs(48));
        assert!(history.windows(2).all(|pair| pair[0].at + pair[0].length == pair[1].at));
        assert_eq!(history[0], step(0, 57));
        assert!(history[1..11].iter().all(|point| point.seen.is_none()));
        assert_eq!(history[11], step(20, 100));
        assert!(history[12..16].iter().all(|point| point.seen.is_none()), "the death of the other master");
        assert!(history[16..].iter().all(|point| seen(point).requests == 20));
        assert_eq!(series.unsound_seconds(), 10);
        // What was restored is not settled again, and what nobody knows is settled as that.
        assert_eq!(series.take_settled(), []);
        add(&mut series, &tally(54, 20), &[0]);
        let settled = series.take_settled();
        assert_eq!(settled.iter().map(|step| (step.at.as_secs(), seen(step).known.as_secs())).collect::<Vec<_>>(), [(30, 6)]);
    }

    #[test]
    fn rates_do_not_look_back_before_the_takeover() {
        let mut series = Series::new(Some(Duration::ZERO));
        series.take_over(Duration::from_millis(40_200));
        series.note_sums(39);
        for second in 39..50 {
            add(&mut series, &tally(second, 20), &[0]);
        }
        assert_eq!(rate(&series.current(Duration::from_millis(41_500), false, Some(41))), None);
        let current = series.current(Duration::from_millis(43_500), false, None);
        assert_eq!((rate(&current), current.covered), (Some(20.0), Some(Duration::from_secs(43))));
        assert_eq!(rate(&series.current(Duration::from_millis(50_000), false, None)), Some(20.0));
    }

    #[test]
    fn where_nobody_knows_since_when_there_is_no_mean() {
        let mut series = Series::new(None);
        add(&mut series, &tally(5, 20), &[0]);
        let current = series.current(Duration::from_secs(6), false, None);
        assert_eq!((rate(&current), current.covered), (Some(20.0), None));
    }

    #[test]
    fn seconds_without_a_word_are_no_time_and_no_zero() {
        let mut series = Series::new(Some(Duration::ZERO));
        [0, 1, 5].iter().for_each(|&second| add(&mut series, &tally(second, 12), &[0]));
        let current = series.current(Duration::from_secs(6), false, None);
        assert_eq!((rate(&current), current.covered), (Some(12.0), Some(Duration::from_secs(3))));
        let history = series.history(Duration::from_secs(6));
        assert_eq!(history.iter().map(|point| point.seen.is_some()).collect::<Vec<_>>(), [true, true, false, false, false, true]);
        // Late is not never.
        add(&mut series, &tally(3, 4), &[0]);
        assert_eq!(rate(&series.current(Duration::from_secs(6), false, None)), Some(10.0));
        add(&mut series, &tally(60, 1), &[0]);
        add(&mut series, &tally(2, 5), &[0]);
        add(&mut series, &tally(2, 5), &[0]);
        let late = seen(&series.history(Duration::from_secs(61))[2]).clone();
        assert_eq!((late.requests, late.known, late.percentiles), (10, Duration::from_secs(1), None));
    }

    #[test]
    fn a_second_far_ahead_does_not_fill_memory() {
        let mut series = Series::new(Some(Duration::ZERO));
        add(&mut series, &tally(1_000_000, 1), &[0]);
        assert!(series.history(Duration::from_secs(1_000_001)).len() <= POINTS + KEPT_SECONDS);
        assert_eq!(counts(&series, 1_000_001).iter().sum::<u64>(), 1);
        add(&mut series, &tally(u64::MAX, 1), &[0]);
        assert_eq!(counts(&series, 1_000_001).iter().sum::<u64>(), 1);
    }
}
