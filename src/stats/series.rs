//! The run over time: the last seconds in detail, and a bounded history of points.
//!
//! What comes late goes into the second in which it was measured. Sums of the whole run are the `table`'s.

use std::collections::VecDeque;
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::histogram::Histogram;
use super::snapshot::HistoryPoint;
use super::tally::Tally;

/// The seconds of one run.
#[derive(Debug, Clone, Default)]
pub struct Series {
    /// The seconds from `first_recent` on, without gaps.
    recent: VecDeque<Second>,
    /// The second of the front of `recent`.
    first_recent: u64,
    /// The latest second of which a tally came.
    latest: Option<u64>,
    /// All seconds before `first_recent`, each point `1 << thinning` seconds long; the last one may be incomplete.
    points: Vec<HistoryPoint>,
    thinning: u32,
    /// Seconds that have become history and were not taken yet, in steps of [`STEP_SECONDS`]; the last one may be incomplete.
    settled: VecDeque<HistoryPoint>,
    /// Rates look no further back: what was before was counted elsewhere, and no second of it is known in detail.
    known_from: u64,
}

/// What the last seconds say, at one moment.
#[derive(Debug, Clone, Default)]
pub struct Current {
    /// Hops and failed hops per second, by the entry's number in the table.
    pub entries: FxHashMap<u32, (f64, f64)>,
    /// Hops per second.
    pub rps: f64,
    /// Failed hops per second.
    pub fail_per_sec: f64,
    /// All durations of the window, in microseconds.
    pub histogram: Histogram,
    /// The greatest lag.
    pub lag_max: Duration,
}

impl Series {
    /// Adds a tally to its second, which must lie within the first year. `number_of` is the table's number of each entry, in the tally's
    /// order; `durations` are those of all entries.
    pub fn add(&mut self, tally: &Tally, number_of: &[u32], durations: &Histogram) {
        if tally.second > LAST_SECOND {
            return;
        }
        self.latest = self.latest.max(Some(tally.second));
        let (requests, failures, local) = tally.entries.values().fold((0_u64, 0_u64, 0_u64), |(requests, failures, local), counts| {
            let hops = &counts.hops;
            (requests.saturating_add(hops.requests), failures.saturating_add(hops.failures()), local.saturating_add(hops.local()))
        });
        let lag_max = tally.lag.spread.max;
        let is_unsound = local > 0 || lag_max > LAG_LIMIT;
        if tally.second < self.first_recent {
            let step = 1 << self.thinning;
            // The percentiles of a second that has left the window stay as they were; its sums stay right.
            if let Some(point) = self.points.get_mut((tally.second / step) as usize) {
                point.requests = point.requests.saturating_add(requests);
                point.failures = point.failures.saturating_add(failures);
                point.unsound |= is_unsound;
                // A longer point has the users of its last second.
                point.users = point.users.saturating_add(if step == 1 { tally.users } else { 0 });
            }
            return;
        }
        let second = self.second_mut(tally.second);
        second.requests = second.requests.saturating_add(requests);
        second.failures = second.failures.saturating_add(failures);
        second.is_unsound |= is_unsound;
        second.users = Some(second.users.unwrap_or(0).saturating_add(tally.users));
        second.lag_max = second.lag_max.max(lag_max);
        second.histogram.merge(durations);
        for (counts, number) in tally.entries.values().zip(number_of) {
            second.max = second.max.max(counts.durations.spread.max);
            let entry = second.entries.entry(*number).or_default();
            entry.0 = entry.0.saturating_add(counts.hops.requests);
            entry.1 = entry.1.saturating_add(counts.hops.failures());
        }
    }

    /// Puts in front what another process has kept of the seconds before `now`, where this one takes over. Each point is dealt to its
    /// seconds, so that sums stay what they were; where points overlap, the earlier one counts.
    pub fn restore(&mut self, history: &[HistoryPoint], now: Duration) {
        self.known_from = now.as_secs() + u64::from(now.subsec_nanos() > 0);
        let mut next = 0;
        for point in history {
            let begin = point.at.as_secs().max(next);
            let end = point.at.saturating_add(point.length).as_secs().min(LAST_SECOND);
            for second in begin..end {
                let share = |sum: u64| {
                    let upto = |seconds: u64| (u128::from(sum) * u128::from(seconds) / u128::from(end - begin)) as u64;
                    upto(second + 1 - begin) - upto(second - begin)
                };
                let (requests, failures) = (share(point.requests), share(point.failures));
                let at = Duration::from_secs(second);
                self.restore_second(HistoryPoint { at, length: Duration::from_secs(1), requests, failures, ..point.clone() });
            }
            next = next.max(end);
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
            self.second_mut(second).is_unsound = true;
        }
    }

    /// The rates and percentiles of the last 10 seconds before `now`, or of all where the run is younger.
    ///
    /// The second that is under way is left out, as its tallies come at its end; so is the one before it as long as none of its
    /// tallies has come, or, where it is known that `reported` seconds are whole, some tallies of it are on their way. Where `is_over`, nothing more comes, and the last, incomplete second
    /// counts with its true length.
    #[must_use]
    pub fn current(&self, now: Duration, is_over: bool, reported: Option<u64>) -> Current {
        let whole = now.as_secs();
        let begun = whole + u64::from(now.subsec_nanos() > 0);
        let end = if is_over || whole == 0 {
            begun
        } else {
            let latest = self.latest.map_or(0, |latest| latest + 1).clamp(whole.saturating_sub(1).max(1), whole);
            reported.map_or(latest, |reported| latest.min(reported.max(whole.saturating_sub(2)).max(1)))
        };
        let begin = end.saturating_sub(WINDOW_SECONDS).max(self.known_from);
        let length = Duration::from_secs(end).min(now).saturating_sub(Duration::from_secs(begin)).as_secs_f64();
        let mut current = Current::default();
        if length == 0.0 {
            return current;
        }
        let (mut requests, mut failures) = (0_u64, 0_u64);
        let mut entries: FxHashMap<u32, (u64, u64)> = FxHashMap::default();
        for (_, second) in (self.first_recent..).zip(&self.recent).filter(|(number, _)| (begin..end).contains(number)) {
            requests = second.requests.saturating_add(requests);
            failures = second.failures.saturating_add(failures);
            current.histogram.merge(&second.histogram);
            current.lag_max = current.lag_max.max(second.lag_max);
            for (number, (requests, failures)) in &second.entries {
                let entry = entries.entry(*number).or_default();
                entry.0 = requests.saturating_add(entry.0);
                entry.1 = failures.saturating_add(entry.1);
            }
        }
        current.rps = requests as f64 / length;
        current.fail_per_sec = failures as f64 / length;
        current.entries = entries
            .into_iter()
            .map(|(number, (requests, failures))| (number, (requests as f64 / length, failures as f64 / length)))
            .collect();
        current
    }

    /// One point for each second before `now`, or for several once the run is long; oldest first.
    #[must_use]
    pub fn history(&self, now: Duration) -> Vec<HistoryPoint> {
        let mut points = self.points.clone();
        let mut users = points.last().map_or(0, |point| point.users);
        for (number, second) in (self.first_recent..).zip(&self.recent) {
            if Duration::from_secs(number) >= now && second.requests == 0 {
                break;
            }
            users = second.users.unwrap_or(users);
            push(&mut points, second.point(number, users), self.thinning);
        }
        points
    }

    /// How many seconds were unsound; of thinned points, each counts with its length.
    #[must_use]
    pub fn unsound_seconds(&self) -> u64 {
        let past: u64 = self.points.iter().filter(|point| point.unsound).map(|point| point.length.as_secs()).sum();
        past + self.recent.iter().filter(|second| second.is_unsound).count() as u64
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
        let users = second.users.unwrap_or_else(|| self.points.last().map_or(0, |point| point.users));
        let point = second.point(self.first_recent, users);
        match self.settled.back_mut() {
            Some(last) if last.at.as_secs() / STEP_SECONDS == point.at.as_secs() / STEP_SECONDS => last.append(&point),
            _ => self.settled.push_back(point.clone()),
        }
        if self.settled.len() > SETTLED {
            self.settled.pop_front();
        }
        self.remember(point);
    }

    /// Appends the point of the second `first_recent` to the history.
    fn remember(&mut self, point: HistoryPoint) {
        push(&mut self.points, point, self.thinning);
        self.first_recent += 1;
        if self.points.len() > POINTS {
            self.thinning += 1;
            let finer = std::mem::take(&mut self.points);
            for point in finer {
                push(&mut self.points, point, self.thinning);
            }
        }
    }

    fn restore_second(&mut self, point: HistoryPoint) {
        let number = point.at.as_secs();
        if self.recent.is_empty() {
            while self.first_recent < number {
                let at = Duration::from_secs(self.first_recent);
                self.remember(HistoryPoint { at, length: Duration::from_secs(1), ..HistoryPoint::default() });
            }
            if self.first_recent == number {
                return self.remember(point);
            }
        }
        if number >= self.first_recent {
            let second = self.second_mut(number);
            second.requests = second.requests.saturating_add(point.requests);
            second.failures = second.failures.saturating_add(point.failures);
            second.is_unsound |= point.unsound;
        } else if let Some(sum) = self.points.get_mut((number >> self.thinning) as usize) {
            let (length, users) = (sum.length, sum.users.max(point.users));
            sum.append(&point);
            (sum.length, sum.users) = (length, users);
        }
    }
}

/// One second in detail.
#[derive(Debug, Clone, Default)]
struct Second {
    requests: u64,
    failures: u64,
    /// `None` until a tally came.
    users: Option<u64>,
    histogram: Histogram,
    /// The longest of its durations; exact.
    max: Duration,
    /// Hops and failed hops, by the entry's number in the table.
    entries: FxHashMap<u32, (u64, u64)>,
    lag_max: Duration,
    is_unsound: bool,
}

impl Second {
    fn point(&self, number: u64, users: u64) -> HistoryPoint {
        // The upper end of the last bucket may lie above the exact maximum.
        let percentile = |quantile| Duration::from_micros(self.histogram.value_at(quantile)).min(self.max);
        HistoryPoint {
            at: Duration::from_secs(number),
            length: Duration::from_secs(1),
            users,
            requests: self.requests,
            failures: self.failures,
            p50: percentile(0.5),
            p95: percentile(0.95),
            p99: percentile(0.99),
            unsound: self.is_unsound,
        }
    }
}

/// Appends a point, or adds it to the last one where both belong to the same `1 << thinning` seconds.
fn push(points: &mut Vec<HistoryPoint>, point: HistoryPoint, thinning: u32) {
    let step = |point: &HistoryPoint| point.at.as_secs() >> thinning;
    match points.last_mut() {
        Some(last) if step(last) == step(&point) => last.append(&point),
        _ => points.push(point),
    }
}

/// The lag of a lane's timers above which a second is unsound: what the target is said to have taken may be the generator's own
/// delay to this extent.
pub const LAG_LIMIT: Duration = Duration::from_millis(50);

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

    fn counts(series: &Series, now: u64) -> Vec<u64> {
        series.history(Duration::from_secs(now)).iter().map(|point| point.requests).collect()
    }

    #[test]
    fn a_late_tally_goes_into_its_own_second() {
        let mut series = Series::default();
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
    fn current_rates_look_at_the_last_ten_whole_seconds() {
        let mut series = Series::default();
        for second in 0..20 {
            add(&mut series, &tally(second, second), &[7]);
        }
        let current = series.current(Duration::from_millis(20_300), false, None);
        assert_eq!(current.rps, f64::from((10..20).sum::<u32>()) / 10.0);
        assert_eq!(current.entries[&7].0, current.rps);
        assert_eq!(current.histogram.count(), (10..20).sum::<u64>());
        // The tallies of second 20 are on their way, but those of 21 must have come.
        assert_eq!(series.current(Duration::from_millis(21_100), false, None).rps, current.rps);
        assert_eq!(series.current(Duration::from_millis(22_100), false, None).rps, f64::from((11..20).sum::<u32>()) / 10.0);
        assert_eq!(
            series.current(Duration::from_millis(20_300), false, Some(19)).rps,
            f64::from((9..19).sum::<u32>()) / 10.0,
            "one worker is late"
        );
        assert_eq!(
            series.current(Duration::from_millis(20_300), false, Some(3)).rps,
            f64::from((8..18).sum::<u32>()) / 10.0,
            "much too late"
        );
        assert_eq!(series.current(Duration::from_secs(60), false, None).rps, 0.0);
    }

    #[test]
    fn young_runs_divide_by_their_age() {
        let mut series = Series::default();
        assert_eq!(series.current(Duration::ZERO, false, None).rps, 0.0);
        add(&mut series, &tally(0, 50), &[0]);
        assert_eq!(series.current(Duration::from_millis(500), false, None).rps, 100.0);
        assert_eq!(series.current(Duration::from_millis(1_100), false, None).rps, 50.0);
        add(&mut series, &tally(1, 30), &[0]);
        assert_eq!(series.current(Duration::from_millis(2_000), false, None).rps, 40.0);
    }

    #[test]
    fn the_last_part_of_a_second_counts_once_the_run_is_over() {
        let mut series = Series::default();
        for second in 0..3 {
            add(&mut series, &tally(second, 10), &[0]);
        }
        add(&mut series, &tally(3, 5), &[0]);
        assert_eq!(series.current(Duration::from_millis(3_500), false, None).rps, 10.0);
        assert_eq!(series.current(Duration::from_millis(3_500), true, None).rps, 10.0);
        assert_eq!(series.current(Duration::from_secs(4), true, None).rps, 35.0 / 4.0);
    }

    #[test]
    fn a_long_history_is_thinned_and_keeps_its_sums() {
        let mut series = Series::default();
        let seconds = 3 * POINTS as u64;
        for second in 0..seconds {
            add(&mut series, &tally(second, 1 + second % 2), &[0]);
        }
        let history = series.history(Duration::from_secs(seconds));
        assert!(history.len() <= POINTS + KEPT_SECONDS);
        assert_eq!(history.iter().map(|point| point.requests).sum::<u64>(), seconds * 3 / 2);
        assert_eq!(history.iter().map(|point| point.length.as_secs()).sum::<u64>(), seconds);
        assert!(history.windows(2).all(|pair| pair[0].at + pair[0].length == pair[1].at));
    }

    #[test]
    fn the_users_of_a_second_are_those_of_all_lanes_in_whatever_order_they_report() {
        let mut series = Series::default();
        for (second, users) in [(0, 3), (1, 3), (0, 2), (2, 0), (1, 2), (2, 1)] {
            add(&mut series, &Tally { second, users, ..Tally::default() }, &[]);
        }
        assert_eq!(series.history(Duration::from_secs(3)).iter().map(|point| point.users).collect::<Vec<_>>(), [5, 5, 1]);
        let mut merged = Tally { second: 4, users: 2, ..Tally::default() };
        merged.merge(Tally { second: 4, users: 1, ..Tally::default() });
        merged.merge(Tally { second: 3, users: 7, ..Tally::default() });
        assert_eq!((merged.second, merged.users), (4, 3));
    }

    #[test]
    fn lag_and_local_failures_and_throttling_make_a_second_unsound() {
        let mut series = Series::default();
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
        assert_eq!(series.history(Duration::from_secs(5)).iter().map(|point| point.users).collect::<Vec<_>>(), [0, 0, 0, 8, 9]);
        assert_eq!(series.current(Duration::from_secs(5), true, None).lag_max, LAG_LIMIT + Duration::from_nanos(1));
    }

    #[test]
    fn steps_are_settled_once_they_have_left_the_window() {
        let mut series = Series::default();
        let mut taken = Vec::new();
        for second in 0..100 {
            add(&mut series, &tally(second, 1 + second / 10), &[0]);
            add(&mut series, &Tally { second, users: 3, ..Tally::default() }, &[]);
            taken.extend(series.take_settled());
        }
        // The last seconds may still change.
        let steps: Vec<_> = taken.iter().map(|step| (step.at.as_secs(), step.length.as_secs(), step.requests, step.users)).collect();
        assert_eq!(steps, (0..8).map(|step| (step * 10, 10, 10 * (1 + step), 3)).collect::<Vec<_>>());
        assert_eq!(taken[0].p50, Duration::from_millis(1));
    }

    #[test]
    fn steps_that_nobody_takes_are_bounded() {
        let mut series = Series::default();
        add(&mut series, &tally(1_000_000, 1), &[0]);
        assert!(series.take_settled().len() <= SETTLED);
        assert_eq!(series.take_settled(), []);
    }

    #[test]
    fn a_restored_history_stands_before_what_is_counted_from_there_on() {
        let step = |at: u64, requests| HistoryPoint {
            at: Duration::from_secs(at),
            length: Duration::from_secs(10),
            users: 4,
            requests,
            failures: requests / 10,
            p50: Duration::from_millis(3),
            unsound: at == 20,
            ..HistoryPoint::default()
        };
        let mut series = Series::default();
        // The step of 10 s is missing.
        series.restore(&[step(0, 57), step(20, 100)], Duration::from_millis(33_500));
        for second in 31..45 {
            add(&mut series, &tally(second, 20), &[0]);
        }
        let history = series.history(Duration::from_secs(45));
        assert_eq!(history.len(), 45);
        assert!(history.windows(2).all(|pair| pair[0].at + pair[0].length == pair[1].at));
        let sum = |range: std::ops::Range<usize>| history[range].iter().map(|point| point.requests).sum::<u64>();
        assert_eq!([sum(0..10), sum(10..20), sum(20..30), sum(30..31), sum(31..45)], [57, 0, 100, 0, 280]);
        assert_eq!((history[9].users, history[9].p50, history[29].failures), (4, Duration::from_millis(3), 1));
        assert_eq!(series.unsound_seconds(), 10);
        // What was restored is not settled again.
        assert_eq!(series.take_settled(), []);
        add(&mut series, &tally(54, 20), &[0]);
        assert_eq!(series.take_settled().iter().map(|step| step.at.as_secs()).collect::<Vec<_>>(), [30]);
    }

    #[test]
    fn rates_do_not_look_back_before_the_takeover() {
        let mut series = Series::default();
        series.restore(&[], Duration::from_millis(40_200));
        for second in 39..50 {
            add(&mut series, &tally(second, 20), &[0]);
        }
        assert_eq!(series.current(Duration::from_millis(41_500), false, None).rps, 0.0);
        assert_eq!(series.current(Duration::from_millis(43_500), false, None).rps, 20.0);
        assert_eq!(series.current(Duration::from_millis(50_000), false, None).rps, 20.0);
    }

    #[test]
    fn a_history_that_comes_after_the_first_numbers_is_added_to_them() {
        let mut series = Series::default();
        for second in 0..30 {
            add(&mut series, &tally(second, 1), &[0]);
        }
        let point = HistoryPoint { length: Duration::from_secs(30), requests: 60, ..HistoryPoint::default() };
        series.restore(&[point], Duration::from_secs(30));
        assert_eq!(counts(&series, 30), [3; 30]);
    }

    #[test]
    fn a_second_far_ahead_does_not_fill_memory() {
        let mut series = Series::default();
        add(&mut series, &tally(1_000_000, 1), &[0]);
        assert!(series.history(Duration::from_secs(1_000_001)).len() <= POINTS + KEPT_SECONDS);
        assert_eq!(counts(&series, 1_000_001).iter().sum::<u64>(), 1);
        add(&mut series, &tally(u64::MAX, 1), &[0]);
        assert_eq!(counts(&series, 1_000_001).iter().sum::<u64>(), 1);
    }
}
