//! Windows: how a threshold stands that looks at a part of the run, second by second, from what workers tell as it comes in. Pure.
//!
//! Owns the seconds that are still wanted, and the worst window so far. A window is so many whole seconds of the run's clock, one begins with each
//! second, and the condition must hold in each. It is judged a second after its end, when its numbers are there, and again when late ones
//! come. What a condition says is `threshold`'s, how a value is found `verdict`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::recorder::Limits;
use super::snapshot::{RunState, ThresholdView};
use super::table::{SnapshotContext, Table};
use super::tally::Tally;
use super::threshold::{Operator, Threshold, show};
use super::window_parts::{KEPT_SECONDS, part_of, seconds_handed_over};

/// The windows of one threshold in one run.
#[derive(Debug)]
pub struct Windows {
    threshold: Threshold,
    /// Seconds of a window; `None`: there is one, and it ends with the run.
    length: Option<u64>,
    /// Windows begin with this second, or later.
    first: u64,
    /// What is dated earlier does not count.
    earliest: u64,
    /// What the threshold looks at, by second; of a window without an end all in one.
    parts: BTreeMap<u64, Tally>,
    /// The end of the window that is judged next.
    next_end: u64,
    /// By their ends: windows that late numbers may still change.
    recent: BTreeMap<u64, Option<f64>>,
    /// Of those that nothing changes any more: the end of the worst, and its value.
    settled: Option<(u64, f64)>,
    /// Windows of `recent` that late numbers have come into.
    stale: BTreeSet<u64>,
    judged: u64,
    /// Windows that ended until then were judged, and counted, by another judge.
    judged_to: u64,
    /// It has ended the run, at this end of a window.
    has_aborted: Option<(u64, f64)>,
}

/// The worst window of a threshold so far, as it outlives whoever judges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WorstWindow {
    /// The place of the threshold among the run's.
    pub place: u64,
    /// The second of the run's clock at which it ended.
    pub end: u64,
    /// In the threshold's unit.
    pub value: f64,
    /// How many windows had been judged, this one among them.
    pub judged: u64,
    /// The second at which the last of those ended; 0 of one whose only window ends with the run.
    pub judged_to: u64,
    /// It has ended the run.
    pub has_aborted: bool,
}

impl Windows {
    /// Of a run whose numbers are counted from second `since` on.
    #[must_use]
    pub fn new(threshold: &Threshold, since: u64) -> Self {
        let first = threshold.span.after_seconds.max(since);
        let length = threshold.span.over_seconds;
        Self {
            threshold: threshold.clone(),
            length,
            first,
            earliest: first,
            parts: BTreeMap::new(),
            next_end: first + length.unwrap_or(1),
            recent: BTreeMap::new(),
            settled: None,
            stale: BTreeSet::new(),
            judged: 0,
            judged_to: 0,
            has_aborted: None,
        }
    }

    /// The statistics have begun anew with second `since`: no window begins before it. A worker whose clock is behind dates some of what it has counted
    /// since then to before it: that counts where one window has all, as it does in the table.
    #[must_use]
    pub fn begun_anew(mut self, since: u64) -> Self {
        self.first = self.first.max(since);
        self.next_end = self.first + self.length.unwrap_or(1);
        self
    }

    /// Takes from a tally what the threshold looks at.
    pub fn add(&mut self, tally: &Tally) {
        let oldest = if self.length.is_some() { self.first.max(self.next_end.saturating_sub(KEPT_SECONDS)) } else { self.earliest };
        if tally.second < oldest {
            return;
        }
        let part = part_of(&self.threshold, tally);
        let Some(length) = self.length else {
            // The sum of a window without an end does not change with the seconds that make it up.
            let sum = self.parts.entry(self.first).or_default();
            sum.add(&part);
            sum.second = sum.second.max(tally.second);
            return;
        };
        self.parts.entry(tally.second).or_insert_with(|| Tally { second: tally.second, ..Tally::default() }).add(&part);
        self.stale.extend((tally.second + 1..=tally.second + length).filter(|end| self.recent.contains_key(end)));
    }

    /// The run's clock stands at `elapsed`: windows that ended a second ago are judged, all of them where the run `is_over`. A bounded number at a
    /// time; the rest follows.
    pub fn judge(&mut self, elapsed: Duration, is_over: bool) {
        let now = elapsed.as_secs();
        let Some(length) = self.length else {
            if now >= self.next_end || is_over && now > self.first {
                self.recent = BTreeMap::from([(now, self.value(self.first, now))]);
                self.next_end = now + 1;
            }
            return;
        };
        let until = if is_over { now } else { now.saturating_sub(GRACE_SECONDS) };
        let mut most = if is_over { usize::MAX } else { AT_ONCE };
        while self.next_end <= until && most > 0 {
            let end = self.next_end;
            let value = self.value(end - length, end);
            self.recent.insert(end, value);
            self.judged += u64::from(value.is_some() && end > self.judged_to);
            self.next_end += 1;
            most -= 1;
        }
        while most > 0
            && let Some(end) = self.stale.pop_first()
        {
            let value = self.value(end - length, end);
            let old = self.recent.insert(end, value);
            self.judged += u64::from(value.is_some() && end > self.judged_to && old.is_none_or(|old| old.is_none()));
            most -= 1;
        }
        self.settle(length);
    }

    /// Forgets the seconds into which nothing late can come any more.
    fn settle(&mut self, length: u64) {
        let oldest = self.next_end.saturating_sub(KEPT_SECONDS);
        self.parts = self.parts.split_off(&oldest.saturating_sub(length));
        let kept = self.recent.split_off(&oldest);
        let settled = std::mem::replace(&mut self.recent, kept);
        self.stale = self.stale.split_off(&oldest);
        for (end, value) in settled {
            self.settled = self.worse(self.settled, value.map(|value| (end, value)));
        }
    }

    /// The value of the seconds from `from` to `to`; `None` without data.
    fn value(&self, from: u64, to: u64) -> Option<f64> {
        let since = Duration::from_secs(from);
        let mut table = Table::counted_since(Limits { names: NAMES }, Some(since));
        let parts = self.parts.range(from..to);
        let parts: Vec<&Tally> = if self.length.is_some() { parts.map(|(_, part)| part).collect() } else { self.parts.values().collect() };
        if parts.is_empty() {
            return None;
        }
        parts.into_iter().for_each(|part| table.merge(part));
        let elapsed = Duration::from_secs(to);
        let mut snapshot = table.snapshot(SnapshotContext { state: RunState::Stopped, elapsed, ..SnapshotContext::default() });
        if self.length.is_none() {
            // Of the sum nobody knows any more in which seconds it came; all of them count as time.
            snapshot.covered = Some(Duration::from_secs(to - from));
        }
        self.threshold.actual(&snapshot)
    }

    /// The worse of two windows: the further one from where it should be.
    fn worse(&self, one: Option<(u64, f64)>, other: Option<(u64, f64)>) -> Option<(u64, f64)> {
        let (Some(one), Some(other)) = (one, other) else { return one.or(other) };
        let (limit, operator) = (self.threshold.limit, self.threshold.operator);
        let is_worse = match operator {
            Operator::Less | Operator::LessOrEqual => other.1 > one.1,
            Operator::Greater | Operator::GreaterOrEqual => other.1 < one.1,
            Operator::Equal | Operator::NotEqual => operator.holds(one.1, limit) && !operator.holds(other.1, limit),
        };
        Some(if is_worse { other } else { one })
    }

    /// The end of the worst window so far, and its value.
    fn worst(&self) -> Option<(u64, f64)> {
        let recent = self.recent.iter().filter_map(|(end, value)| value.map(|value| (*end, value)));
        recent.fold(self.settled, |worst, window| self.worse(worst, Some(window)))
    }

    /// What is to be known of it once this is gone, of the threshold at `place`; `None` where nothing is, and of one whose only window goes on to the
    /// end of the run.
    #[must_use]
    pub fn to_keep(&self, place: usize) -> Option<WorstWindow> {
        let judged = self.has_aborted.or_else(|| self.worst().filter(|_| self.length.is_some()));
        judged.map(|(end, value)| WorstWindow {
            place: place as u64,
            end,
            value,
            judged: self.judged,
            judged_to: if self.length.is_some() { self.next_end - 1 } else { 0 },
            has_aborted: self.has_aborted.is_some(),
        })
    }

    /// Goes on at second `elapsed` of the run's clock where another judge of the same threshold has died: behind what it `kept`, if that is known, and
    /// with the seconds that have been added since, which are those that workers hand over; all that counted have where it `is_whole`. True if there may be
    /// windows that neither knows.
    ///
    /// The other judge may not have heard of all that a worker had counted by then. So its windows are judged anew where nothing of them is missing.
    pub fn take_over(&mut self, elapsed: u64, kept: Option<WorstWindow>, is_whole: bool) -> bool {
        let before = self.first;
        if let Some(length) = self.length {
            let handed_over = before.max(elapsed.saturating_sub(seconds_handed_over(length)));
            // Of the windows after those none was worse as long as the other judge lived.
            let unjudged = kept.map_or(0, |kept| (kept.judged_to + 1).saturating_sub(length));
            self.first = if is_whole { handed_over } else { handed_over.max(unjudged) };
            self.next_end = self.first + length;
            self.parts = self.parts.split_off(&self.first);
            if is_whole && self.first == before {
                // All of them are.
                (self.settled, self.judged) = (None, 0);
            } else {
                self.judged_to = kept.map_or(0, |kept| kept.judged_to);
            }
        }
        kept.is_none() && self.first > before
    }

    /// Takes over what another judge of the same threshold has kept: it stands, even if nobody brings the run any more.
    pub fn resume(&mut self, kept: WorstWindow) {
        let worst = Some((kept.end, kept.value));
        self.settled = self.worse(self.settled, worst);
        self.judged += kept.judged;
        if kept.has_aborted {
            self.has_aborted = worst;
        }
    }

    /// Whether the run shall end for it, and why. Answers once.
    pub fn take_abort(&mut self) -> Option<String> {
        if !self.threshold.span.aborts || self.has_aborted.is_some() {
            return None;
        }
        let (end, value) = self.worst().filter(|(_, value)| !self.threshold.holds(*value))?;
        self.has_aborted = Some((end, value));
        let (plan, shown) = (&self.threshold.plan, self.shown(value));
        Some(format!("the threshold `{}: {}` does not hold: {shown} at {}", plan.metric, plan.condition, clock(end)))
    }

    /// Whether this is how the threshold stands; one that only may end the run is judged over the whole of it as long as it does not.
    #[must_use]
    pub fn are_shown(&self) -> bool {
        self.threshold.span.is_partial() || self.has_aborted.is_some()
    }

    /// How the threshold stands.
    #[must_use]
    pub fn view(&self) -> ThresholdView {
        let plan = &self.threshold.plan;
        let worst = self.has_aborted.or_else(|| self.worst());
        let shown = worst.map(|(end, value)| (end, self.shown(value)));
        let actual = match (shown, self.length) {
            (None, _) => "no data".to_owned(),
            (Some((end, value)), Some(length)) => {
                let from = clock(end - length);
                format!("{value} from {from} to {} (worst of {} windows)", clock(end), self.judged)
            }
            (Some((_, value)), None) if self.first > 0 => format!("{value} after {}", clock(self.first)),
            (Some((_, value)), None) => value,
        };
        ThresholdView {
            metric: plan.metric.clone(),
            condition: plan.condition.clone(),
            actual,
            passed: worst.map_or(self.threshold.span.passes_without_data, |(_, value)| self.threshold.holds(value)),
        }
    }

    fn shown(&self, value: f64) -> String {
        show(value, self.threshold.family.unit(self.threshold.aggregate))
    }
}

/// A moment of the run's clock, for people.
fn clock(seconds: u64) -> String {
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// Names in a window at most.
const NAMES: usize = 1_000;
/// A lane's second comes within the next one.
const GRACE_SECONDS: u64 = 1;
/// Windows in one call at most: what is judged anew after a long silence must not hold the master up.
const AT_ONCE: usize = 20;

/// By the threshold's place in the plan; of a run whose warm-up ends with second `warmup`, and whose statistics have begun anew with second `since`.
#[must_use]
pub fn windows_of(thresholds: &[Threshold], warmup: u64, since: u64) -> BTreeMap<usize, Windows> {
    let needed = thresholds.iter().enumerate().filter(|(_, threshold)| threshold.span.needs_windows());
    needed.map(|(place, threshold)| (place, Windows::new(threshold, warmup).begun_anew(since))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plan::ThresholdPlan;
    use crate::stats::histogram::Histogram;
    use crate::stats::names::EntryName;
    use crate::stats::trend::{Spread, TrendCounts};
    use crate::stats::window_parts::WindowParts;

    fn threshold(metric: &str, condition: &str) -> Threshold {
        Threshold::parse(&ThresholdPlan { metric: metric.into(), condition: condition.into() }, &[]).unwrap()
    }

    /// What was counted of `/a` in one second: so many requests, all of which took so long.
    fn tally(second: u64, requests: u64, millis: u64) -> Tally {
        let mut tally = Tally { second, users: 1, ..Tally::default() };
        let mut histogram = Histogram::default();
        histogram.record_n(millis * 1_000, requests);
        let time = Duration::from_millis(millis);
        let spread = Spread::new(requests, time * u32::try_from(requests).unwrap(), time, time);
        let counts = tally.entries.entry(EntryName { name: "/a".into(), method: "GET".into() }).or_default();
        counts.hops.requests = requests;
        if requests > 0 {
            counts.durations = TrendCounts { spread, counts: histogram.to_sparse(), clamped: 0 };
        }
        tally
    }

    /// Ten requests a second, of 50 ms, but for some seconds.
    fn course(windows: &mut Windows, seconds: u64, millis_at: impl Fn(u64) -> u64) {
        for second in 0..seconds {
            windows.add(&tally(second, 10, millis_at(second)));
            windows.judge(Duration::from_secs(second + 1), false);
        }
        windows.judge(Duration::from_secs(seconds), true);
    }

    #[test]
    fn a_spike_breaks_the_windows_that_it_fills_and_no_longer_ones() {
        let spike = |second| if (300..312).contains(&second) { 400 } else { 50 };
        let stands = |condition: &str| {
            let mut windows = Windows::new(&threshold("http_req_duration{name:/a}", condition), 0);
            course(&mut windows, 600, spike);
            let view = windows.view();
            (view.passed, view.actual)
        };
        let (passed, actual) = stands("avg < 300ms over 10s");
        assert_eq!((passed, actual.as_str()), (false, "400.0ms from 5:00 to 5:10 (worst of 591 windows)"));
        assert_eq!(stands("avg < 300ms over 5m").1, "64.00ms from 0:12 to 5:12 (worst of 301 windows)");
        assert!(stands("avg < 300ms over 5m").0 && stands("med < 300ms over 30s").0 && stands("avg < 300ms over 10s after 306s").0);
        assert_eq!(stands("avg < 52ms after 310s"), (false, "52.41ms after 5:10".to_owned()));
    }

    #[test]
    fn a_run_is_ended_for_it_within_two_seconds_and_once() {
        let mut windows = Windows::new(&threshold("http_req_duration", "p(95) < 300ms over 5s abort"), 0);
        let mut ended = Vec::new();
        for second in 0..60 {
            windows.add(&tally(second, 10, if second >= 20 { 400 } else { 50 }));
            windows.judge(Duration::from_secs(second + 1), false);
            ended.extend(windows.take_abort().map(|why| (second + 1, why)));
        }
        let why = "the threshold `http_req_duration: p(95) < 300ms over 5s abort` does not hold: 400.0ms at 0:21";
        assert_eq!(ended, [(22, why.to_owned())]);
        assert!(!windows.view().passed);
    }

    #[test]
    fn without_a_window_a_threshold_may_still_end_the_run_and_is_shown_of_the_whole_one_until_it_does() {
        let mut windows = Windows::new(&threshold("http_req_duration", "max < 300ms abort"), 0);
        course(&mut windows, 5, |_| 50);
        assert_eq!((windows.take_abort(), windows.are_shown()), (None, false));
        windows.add(&tally(5, 1, 301));
        windows.judge(Duration::from_secs(6), false);
        assert!(windows.take_abort().is_some() && windows.are_shown() && !windows.view().passed);
        course(&mut windows, 9, |_| 50);
        assert_eq!(windows.take_abort(), None);
    }

    #[test]
    fn a_window_of_which_nothing_is_known_is_not_judged_and_a_rate_divides_by_the_seconds_that_are() {
        let mut windows = Windows::new(&threshold("http_reqs", "rate > 9 over 4s or no data"), 0);
        assert!(windows.view().passed);
        windows.judge(Duration::from_secs(20), false);
        assert_eq!(windows.view().actual, "no data");
        for second in [20, 21, 23] {
            windows.add(&tally(second, 12, 1));
        }
        windows.judge(Duration::from_secs(25), true);
        assert_eq!(windows.view().actual, "12 from 0:17 to 0:21 (worst of 5 windows)");
    }

    #[test]
    fn statistics_that_begin_anew_have_no_window_before_and_lose_nothing_that_is_dated_so() {
        let stands = |condition: &str| {
            let mut windows = Windows::new(&threshold("http_reqs", condition), 0).begun_anew(14);
            (13..30).for_each(|second| windows.add(&tally(second, 10, 1)));
            windows.judge(Duration::from_secs(30), true);
            windows.view().actual
        };
        assert_eq!(stands("count > 0 after 5s"), "170 after 0:14");
        assert_eq!(stands("count > 0 after 20s"), "100 after 0:20");
        assert_eq!(stands("count > 15 over 2s"), "20 from 0:14 to 0:16 (worst of 15 windows)");
    }

    #[test]
    fn a_judge_that_takes_over_says_whether_there_may_be_windows_that_nobody_knows() {
        let threshold = threshold("http_req_duration", "avg < 300ms over 10s");
        let kept = WorstWindow { place: 0, end: 110, value: 0.09, judged: 106, judged_to: 115, has_aborted: false };
        for (elapsed, kept, is_unknown) in [(200, None, false), (1_000, None, true), (1_000, Some(kept), false)] {
            let mut parts = WindowParts::of(std::slice::from_ref(&threshold), 0).remove(&0).unwrap();
            (0..elapsed).for_each(|second| parts.add(&tally(second, 10, if second == 120 { 95 } else { 50 })));
            let mut windows = Windows::new(&threshold, 0);
            parts.tallies().for_each(|tally| windows.add(tally));
            assert!(parts.tallies().count() <= 311, "what a worker keeps is bounded");
            kept.into_iter().for_each(|kept| windows.resume(kept));
            assert_eq!(windows.take_over(elapsed, kept, true), is_unknown);
            (0..100).for_each(|_| windows.judge(Duration::from_secs(elapsed), true));
            let judged = if elapsed == 200 { 191 } else { 301 + kept.map_or(0, |kept| kept.judged) };
            assert_eq!(windows.judged, judged);
            let worst = kept.map_or(if elapsed == 200 { 0.0545 } else { 0.05 }, |kept| kept.value);
            assert_eq!(windows.shown(windows.worst().unwrap().1), windows.shown(worst), "{elapsed}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
        /// Whenever a judge dies and whenever another one takes over: it has the journal's worst window and the workers' seconds, and says what one
        /// judge would have said.
        #[test]
        fn another_judge_goes_on_as_if_there_had_been_one(
            seconds in prop::collection::vec((0_u64..20, 1_u64..500, 1_u64..500), 2..60),
            (died, taken) in (0_usize..60, 0_usize..8),
            (length, after, warmup) in (prop::option::of(1_u64..15), 0_u64..10, 0_u64..4),
            aggregate in prop::sample::select(vec!["avg", "p(90)", "max", "count"]),
            (is_upper, is_whole) in any::<(bool, bool)>(),
        ) {
            let over = length.map_or_else(String::new, |length| format!(" over {length}s"));
            let unit = if aggregate == "count" { "" } else { "ms" };
            let condition = format!("{aggregate} {} 100{unit}{over} after {after}s abort", if is_upper { "<" } else { ">" });
            let threshold = threshold("http_req_duration", &condition);
            let end = seconds.len();
            let (died, taken) = (died.min(end), (died + taken).min(end));
            let workers: Vec<[Tally; 2]> = (0..).zip(&seconds).map(|(second, (requests, one, other))| {
                [tally(second, *requests, *one), tally(second, 20 - requests, *other)]
            }).collect();
            let mut single = Windows::new(&threshold, warmup);
            let (mut kept, mut next) = (None::<WorstWindow>, None::<Windows>);
            let mut parts = [(); 2].map(|()| WindowParts::of(std::slice::from_ref(&threshold), warmup).remove(&0).unwrap());
            for (now, tallies) in (1_u64..).zip(&workers) {
                let elapsed = Duration::from_secs(now);
                for (tally, parts) in tallies.iter().zip(&mut parts) {
                    single.add(tally);
                    parts.add(tally);
                    next.iter_mut().for_each(|next| next.add(tally));
                }
                single.judge(elapsed, false);
                if now <= died as u64 {
                    let known = single.to_keep(0);
                    if known.map(|known| (known.end, known.value.to_bits())) != kept.map(|kept| (kept.end, kept.value.to_bits())) {
                        kept = known;
                    }
                }
                if now == taken.max(1) as u64 {
                    let mut another = Windows::new(&threshold, warmup);
                    kept.into_iter().for_each(|kept| another.resume(kept));
                    parts.iter().flat_map(WindowParts::tallies).for_each(|tally| another.add(tally));
                    prop_assert!(!another.take_over(now, kept, is_whole));
                    next = Some(another);
                }
                next.iter_mut().for_each(|next| next.judge(elapsed, false));
            }
            let next = next.as_mut().unwrap();
            for windows in [&mut single, &mut *next] {
                (0..5).for_each(|_| windows.judge(Duration::from_secs(end as u64), true));
            }
            prop_assert_eq!(next.view(), single.view());
        }

        /// From some second on one of two workers is out of reach until the judge dies; the next one hears of all that it counted.
        #[test]
        fn another_judge_hears_of_what_the_first_did_not(
            seconds in prop::collection::vec((1_u64..20, 1_u64..500, 1_u64..500), 2..60),
            (cut, died, taken) in (0_usize..60, 0_usize..60, 0_usize..8),
            (length, after) in (1_u64..15, 0_u64..10),
            aggregate in prop::sample::select(vec!["avg", "p(90)", "max", "count"]),
            is_upper: bool,
        ) {
            let unit = if aggregate == "count" { "" } else { "ms" };
            let condition = format!("{aggregate} {} 100{unit} over {length}s after {after}s", if is_upper { "<" } else { ">" });
            let threshold = threshold("http_req_duration", &condition);
            let (end, cut) = (seconds.len(), cut as u64);
            let (died, taken) = (died.min(end), (died + taken).min(end));
            let (mut single, mut first, mut next) = (Windows::new(&threshold, 0), Windows::new(&threshold, 0), Windows::new(&threshold, 0));
            for (second, (requests, one, other)) in (0_u64..).zip(&seconds) {
                let (reached, away) = (tally(second, *requests, *one), tally(second, 20 - requests, *other));
                for windows in [&mut single, &mut next] {
                    windows.add(&reached);
                    windows.add(&away);
                }
                first.add(&reached);
                if second < cut {
                    first.add(&away);
                }
                if second < died as u64 {
                    first.judge(Duration::from_secs(second + 1), false);
                }
            }
            let kept = first.to_keep(0);
            kept.into_iter().for_each(|kept| next.resume(kept));
            prop_assert!(!next.take_over(taken as u64, kept, true));
            for windows in [&mut single, &mut next] {
                (0..5).for_each(|_| windows.judge(Duration::from_secs(end as u64), true));
            }
            prop_assert_eq!(next.view(), single.view());
        }

        /// Whatever is late, as long as it comes: the worst window is that of a plain sum over all windows.
        #[test]
        fn late_numbers_change_windows_as_if_they_had_been_in_time(
            seconds in prop::collection::vec((0_u64..20, 1_u64..500, 0_u64..40), 1..60),
            length in 1_u64..15,
            after in 0_u64..10,
            (metric, aggregate) in prop::sample::select(vec![
                ("http_reqs", "count"), ("http_reqs", "rate"), ("http_req_duration", "avg"), ("http_req_duration", "p(90)"), ("http_req_duration", "max"),
            ]),
            is_upper: bool,
        ) {
            let unit = if metric == "http_reqs" { "" } else { "ms" };
            let condition = format!("{aggregate} {} 100{unit} over {length}s after {after}s", if is_upper { "<" } else { ">" });
            let threshold = threshold(metric, &condition);
            let mut windows = Windows::new(&threshold, 0);
            let tallies: Vec<Tally> = seconds.iter().zip(0..).map(|((requests, millis, _), second)| tally(second, *requests, *millis)).collect();
            let end = tallies.len() as u64;
            for now in 0..=end + 40 {
                for (tally, (.., late)) in tallies.iter().zip(&seconds) {
                    if tally.second + late == now {
                        windows.add(tally);
                    }
                }
                windows.judge(Duration::from_secs(now.min(end)), false);
            }
            for _ in 0..5 {
                windows.judge(Duration::from_secs(end), true);
            }
            let mut worst = None;
            for to in after + length..=end {
                let mut table = Table::counted_since(Limits { names: 9 }, Some(Duration::from_secs(to - length)));
                tallies.iter().filter(|tally| (to - length..to).contains(&tally.second)).for_each(|tally| table.merge(tally));
                let context = SnapshotContext { state: RunState::Stopped, elapsed: Duration::from_secs(to), ..SnapshotContext::default() };
                let value = threshold.actual(&table.snapshot(context));
                worst = windows.worse(worst, value.map(|value| (to, value)));
            }
            prop_assert_eq!(windows.worst().map(|worst| worst.1), worst.map(|worst| worst.1));
        }
    }
}
