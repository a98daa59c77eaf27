//! Any course of a run (numbers that come late or never, resets, masters that die with or without a journal, pauses) beside a plain
//! model of it: every rate and every second of the history is the model's, or unknown.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::recorder::Recorder;
use super::super::sample::{Answer, FailureKind, Sample};
use super::super::snapshot::Seen;
use super::*;

/// What happens in one second of the run.
#[derive(Debug, Clone, Copy)]
struct Step {
    /// Hops that each of two workers makes, and in how many seconds its report comes; `None` is lost for ever.
    hops: [(u8, Option<u8>); 2],
    /// At this tenth of the second the statistics are reset.
    reset: Option<u8>,
    /// The master dies at the second's end; true: its successor has its journal.
    death: Option<bool>,
}

fn course() -> impl Strategy<Value = Vec<Step>> {
    let late = prop_oneof![12 => Just(Some(0_u8)), 3 => (1_u8..6).prop_map(Some), 1 => (6_u8..13).prop_map(Some), 1 => Just(None)];
    let worker = (prop_oneof![1 => Just(0_u8), 5 => 1_u8..20], late);
    let reset = prop_oneof![30 => Just(None), 1 => (0_u8..10).prop_map(Some)];
    let death = prop_oneof![40 => Just(None), 1 => any::<bool>().prop_map(Some)];
    let step = ([worker.clone(), worker], reset, death).prop_map(|(hops, reset, death)| Step { hops, reset, death });
    prop::collection::vec(step, 1..90)
}

/// Every third hop fails.
fn tally(second: u64, hops: u64) -> Tally {
    let mut recorder = Recorder::new(Limits::default());
    let entry = recorder.entry("GET", "/");
    for hop in 0..hops {
        let failure = hop.is_multiple_of(3).then_some(FailureKind::Status);
        let duration = Duration::from_millis(1);
        recorder.record(entry, &Sample { duration, answer: Answer::Answered, status: 500, failure, ..Sample::default() }, None);
    }
    Tally { users: hops + 1, ..recorder.take(second) }
}

/// What was truly measured, as plain as it can be said.
#[derive(Debug, Default)]
struct Model {
    since: Duration,
    /// Hops and users by second, as far as they have come; of this master's time.
    seconds: BTreeMap<u64, (u64, u64)>,
    /// What a journal has kept of masters before: by second.
    kept: BTreeMap<u64, (u64, u64)>,
    /// Hops of the time before this master, and the seconds that they reach to.
    sum: (u64, u64),
    /// The first whole second of this master.
    taken_over: u64,
}

impl Model {
    fn rate(&self, seconds: std::ops::Range<u64>) -> Option<f64> {
        let known: Vec<u64> = self.seconds.range(seconds).map(|(_, (hops, _))| *hops).collect();
        (!known.is_empty()).then(|| known.iter().sum::<u64>() as f64 / known.len() as f64)
    }

    /// The mean over all that is covered before `end`.
    fn mean(&self, end: u64) -> Option<f64> {
        let (mut hops, mut time) = (self.sum.0, Duration::from_secs(self.sum.1.min(end)).saturating_sub(self.since));
        for (second, (more, _)) in self.seconds.range(..end) {
            hops += more;
            if *second >= self.sum.1 {
                time += Duration::from_secs(second + 1) - Duration::from_secs(*second).max(self.since);
            }
        }
        (!time.is_zero()).then(|| hops as f64 / time.as_secs_f64())
    }

    /// What was measured in a stretch.
    fn seen(&self, from: u64, to: u64) -> Option<(u64, u64)> {
        let all: Vec<_> = self.kept.range(from..to).chain(self.seconds.range(from..to)).map(|(_, seen)| *seen).collect();
        Some((all.iter().map(|(hops, _)| hops).sum(), all.last()?.1))
    }
}

/// The run as the program has it.
struct Course {
    table: Table,
    journal: Vec<HistoryPoint>,
    model: Model,
    /// On their way: when they come, and from when.
    mail: Vec<(u64, Tally)>,
    /// All hops of each worker since the last reset, and those that are lost.
    total: Tally,
}

impl Course {
    fn deliver(&mut self, now: u64) {
        let (due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.mail).into_iter().partition(|(when, _)| *when <= now);
        self.mail = later;
        for (_, tally) in due {
            self.table.merge(&tally);
            let seen = self.model.seconds.entry(tally.second).or_default();
            seen.0 += tally.entries.values().map(|counts| counts.hops.requests).sum::<u64>();
            seen.1 += tally.users;
        }
        self.journal.extend(self.table.take_settled());
    }

    fn reset(&mut self, at: Duration) {
        self.table = Table::counted_since(Limits::default(), Some(at));
        self.journal.clear();
        self.mail.clear();
        self.total = Tally::default();
        self.model = Model { since: at, ..Model::default() };
    }

    /// Workers bring all that they have counted; what was on its way is in that.
    fn die(&mut self, now: u64, has_journal: bool) {
        let kept_until = self.journal.last().map_or(0, |point| (point.at + point.length).as_secs());
        let before: BTreeMap<u64, (u64, u64)> =
            std::mem::take(&mut self.model.kept).into_iter().chain(std::mem::take(&mut self.model.seconds)).collect();
        self.table = Table::counted_since(Limits::default(), Some(self.model.since));
        self.mail.clear();
        if has_journal {
            self.table.restore_history(&self.journal);
            self.model.kept = before.into_iter().filter(|(second, _)| *second < kept_until).collect();
        } else {
            self.journal.clear();
        }
        self.table.merge_total(&self.total);
        self.table.take_over(Duration::from_secs(now));
        let hops = self.total.entries.values().map(|counts| counts.hops.requests).sum();
        self.model.sum = (hops, self.total.second + 1);
        self.model.taken_over = now;
    }

    fn check(&self, now: u64) -> Result<(), TestCaseError> {
        let elapsed = Duration::from_millis(now * 1_000 + 100);
        let snapshot = self.table.snapshot(SnapshotContext { state: RunState::Running, elapsed, ..SnapshotContext::default() });
        let latest = self.model.seconds.keys().last().map_or(0, |second| second + 1);
        let end = latest.clamp(now.saturating_sub(1), now);
        let first = Duration::from_secs(end.saturating_sub(10)).max(self.model.since).as_nanos().div_ceil(1_000_000_000) as u64;
        prop_assert_eq!(snapshot.total.current_rps, self.model.rate(first.max(self.model.taken_over)..end), "now, at {}", now);
        let near = |one: Option<f64>, other: Option<f64>| match (one, other) {
            (Some(one), Some(other)) => (one - other).abs() <= 1e-9 * other.abs(),
            (one, other) => one == other,
        };
        prop_assert!(
            near(snapshot.total.total_rps, self.model.mean(end)),
            "{:?} is not {:?}, at {}",
            snapshot.total.total_rps,
            self.model.mean(end),
            now
        );
        let mut at = Duration::from_secs(self.model.since.as_secs());
        for point in &snapshot.history {
            prop_assert_eq!(point.at, at, "a hole or an overlap");
            at += point.length;
            let seen = point.seen.as_ref().map(|Seen { requests, users, .. }| (*requests, *users));
            prop_assert_eq!(seen, self.model.seen(point.at.as_secs(), at.as_secs()), "the seconds from {:?} on, at {}", point.at, now);
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn every_rate_and_every_second_is_that_of_a_plain_model_or_unknown(steps in course()) {
        let (table, total) = (Table::new(Limits::default()), Tally::default());
        let mut run = Course { table, total, journal: Vec::new(), model: Model::default(), mail: Vec::new() };
        for (second, step) in (0_u64..).zip(steps) {
            if let Some(tenth) = step.reset {
                run.reset(Duration::from_millis(second * 1_000 + u64::from(tenth) * 100));
            }
            for (hops, late) in step.hops {
                let tally = tally(second, u64::from(hops));
                run.total.add(&tally);
                run.mail.extend(late.map(|late| (second + 1 + u64::from(late), tally)));
            }
            run.deliver(second + 1);
            run.check(second + 1)?;
            if let Some(has_journal) = step.death {
                run.die(second + 1, has_journal);
                run.check(second + 1)?;
            }
        }
    }
}
