//! Comparisons of runs whose truth is known: drawn from a seed, with durations that wander from second to second as real ones do.

use rand_core::{RngCore as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;

use super::*;
use crate::stats::cells::range_of;
use crate::stats::histogram::Histogram;
use crate::stats::quantile::Quantile;

struct Random(Pcg64Mcg);

impl Random {
    fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.unit()).ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }
}

/// A closed run of two entries: a quarter of the hops are writes, which take longer.
#[derive(Clone, Copy)]
struct Plan {
    seconds: usize,
    /// Hops per second where nothing slows them.
    rate: f64,
    /// What all durations are multiplied by.
    slowness: f64,
    /// The part of the hops that fails.
    failing: f64,
    /// How far the durations wander, as a part of them; each second keeps half of where the last one was.
    wander: f64,
    /// The part of the run in which users come.
    ramp: f64,
}

const PLAN: Plan = Plan { seconds: 50, rate: 300.0, slowness: 1.0, failing: 0.002, wander: 0.015, ramp: 0.0 };

fn side(plan: Plan, seed: u64) -> Side {
    let mut random = Random(Pcg64Mcg::seed_from_u64(seed));
    let mut cells = [Vec::new(), Vec::new()];
    let mut wandered = plan.wander * random.normal();
    for second in 0..plan.seconds {
        wandered = 0.5 * wandered + plan.wander * 0.75_f64.sqrt() * random.normal();
        let slowness = plan.slowness * wandered.exp();
        let users = if plan.ramp > 0.0 { ((second as f64 + 0.5) / (plan.ramp * plan.seconds as f64)).min(1.0) } else { 1.0 };
        let mean = plan.rate * users / slowness;
        let hops = (mean + 0.4 * mean.sqrt() * random.normal()).max(0.0) as u64;
        let mut seconds: [Vec<(f64, bool)>; 2] = [Vec::new(), Vec::new()];
        for _ in 0..hops {
            let is_write = random.unit() < 0.25;
            let typical = if is_write { 35.0 } else { 20.0 };
            let duration = typical * slowness * (0.4 * random.normal()).exp();
            seconds[usize::from(is_write)].push((duration, random.unit() < plan.failing));
        }
        cells.iter_mut().zip(&seconds).for_each(|(cells, hops)| cells.push(cell(hops)));
    }
    let [read, write] = cells;
    let all = read.iter().zip(&write).map(|(read, write)| {
        let mut all = read.clone();
        all.append(write);
        all.known_s = 1.0;
        all
    });
    let total = entry("", "Total", all.collect());
    Side { total, entries: vec![entry("GET", "/read", read), entry("POST", "/write", write)], cell_length_s: Some(1) }
}

fn cell(hops: &[(f64, bool)]) -> CellFigures {
    let mut counts = std::collections::BTreeMap::new();
    for (duration, _) in hops {
        *counts.entry(range_of((duration * 1e3) as u64).start).or_insert(0_u64) += 1;
    }
    let count = hops.len() as u64;
    CellFigures {
        known_s: 1.0,
        requests: count,
        judged: count,
        timed: count,
        failures: hops.iter().filter(|(_, has_failed)| *has_failed).count() as u64,
        sum_ms: hops.iter().map(|(duration, _)| duration).sum(),
        ranges: counts.into_iter().collect(),
    }
}

fn entry(method: &str, name: &str, cells: Vec<CellFigures>) -> Entry {
    let sum = |of: fn(&CellFigures) -> u64| cells.iter().map(of).sum::<u64>();
    let mut histogram = Histogram::default();
    cells.iter().flat_map(|cell| &cell.ranges).for_each(|(low, count)| _ = histogram.record_n(*low, *count));
    let requests = sum(|cell| cell.requests);
    let figures = Figures {
        requests,
        judged: sum(|cell| cell.judged),
        failures: sum(|cell| cell.failures),
        rate: Some(requests as f64 / cells.iter().map(|cell| cell.known_s).sum::<f64>()),
        avg_ms: Some(cells.iter().map(|cell| cell.sum_ms).sum::<f64>() / requests as f64),
        min_ms: Some(0.0),
        max_ms: Some(1e6),
        histogram,
    };
    Entry { method: method.to_owned(), name: name.to_owned(), figures, cells: Some(cells) }
}

fn compared(base: Plan, new: Plan, seed: u64) -> Comparison {
    compare(&side(base, 2 * seed), &side(new, 2 * seed + 1), &[])
}

/// Whether anything in it is called better or worse.
fn sees(comparison: &Comparison) -> bool {
    let mut rows = std::iter::once(&comparison.total).chain(&comparison.rows);
    rows.any(|row| matches!(row.verdict(), Verdict::Better | Verdict::Worse))
}

#[test]
fn of_equal_runs_hardly_any_comparison_sees_a_difference() {
    let seen = (0..40).filter(|seed| sees(&compared(PLAN, PLAN, *seed))).count();
    assert!(seen <= 4, "{seen} of 40");
}

#[test]
fn a_target_that_is_five_percent_slower_is_seen_to_be_worse() {
    let slower = Plan { slowness: 1.05, ..PLAN };
    let seen = (100..120).filter(|seed| compared(PLAN, slower, *seed).total.verdict() == Verdict::Worse).count();
    assert!(seen >= 19, "{seen} of 20");
}

#[test]
fn a_target_that_is_faster_is_better_and_one_that_fails_is_worse() {
    let faster = compared(PLAN, Plan { slowness: 0.9, ..PLAN }, 1);
    assert_eq!(faster.total.verdict(), Verdict::Better);
    assert_eq!(faster.rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["GET /read", "POST /write"]);
    let failing = compared(PLAN, Plan { failing: 0.03, ..PLAN }, 2);
    let verdicts: Vec<Verdict> = failing.total.differences.iter().map(|difference| difference.verdict).collect();
    assert_eq!(verdicts[1], Verdict::Worse);
    assert!(verdicts.iter().enumerate().all(|(place, verdict)| place == 1 || *verdict == Verdict::NoneSeen), "{verdicts:?}");
}

#[test]
fn a_trifle_is_not_called_a_difference_however_sure_it_is() {
    let long = Plan { seconds: 60, rate: 3_000.0, wander: 0.0, ..PLAN };
    assert!(!sees(&compared(long, Plan { slowness: 1.007, ..long }, 3)));
}

#[test]
fn a_ramp_that_both_runs_climb_is_no_chance() {
    let climbing = Plan { ramp: 0.5, ..PLAN };
    let interval = |comparison: &Comparison| comparison.total.differences[0].interval.unwrap();
    let (low, high) = interval(&compared(climbing, climbing, 4));
    assert!(high - low < 0.06, "{low} .. {high}");
    assert_eq!(compared(climbing, Plan { slowness: 1.08, ..climbing }, 4).total.verdict(), Verdict::Worse);
}

#[test]
fn runs_of_different_lengths_are_compared_without_their_ramps_being_laid_side_by_side() {
    let comparison = compared(PLAN, Plan { seconds: 35, slowness: 1.2, ..PLAN }, 5);
    assert_eq!(comparison.total.verdict(), Verdict::Worse);
    let mut folded = side(Plan { slowness: 1.2, ..PLAN }, 9);
    for entry in folded.entries.iter_mut().chain([&mut folded.total]) {
        let cells = entry.cells.take().unwrap();
        let pairs = cells.chunks(2).map(|pair| {
            let mut sum = pair[0].clone();
            pair[1..].iter().for_each(|cell| sum.append(cell));
            sum
        });
        entry.cells = Some(pairs.collect());
    }
    folded.cell_length_s = Some(2);
    assert_eq!(compare(&side(PLAN, 8), &folded, &[]).total.verdict(), Verdict::Worse);
}

#[test]
fn the_same_reports_give_the_same_words() {
    assert_eq!(compared(PLAN, PLAN, 6), compared(PLAN, PLAN, 6));
}

#[test]
fn entries_of_one_run_alone_are_named_and_what_has_no_cells_is_not_judged() {
    let (base, mut new) = (side(PLAN, 1), side(Plan { slowness: 2.0, ..PLAN }, 2));
    new.entries[0].name = "/new".to_owned();
    new.entries[1].cells = None;
    let comparison = compare(&base, &new, &[]);
    assert_eq!((comparison.only_base, comparison.only_new), (vec!["GET /read".to_owned()], vec!["GET /new".to_owned()]));
    assert_eq!((comparison.rows[0].verdict(), comparison.rows[0].doubt), (Verdict::Unjudged, Some(Doubt::Small)));
    assert!(comparison.rows[0].differences[2].change.is_some_and(|change| change > 0.9));
    new.cell_length_s = None;
    let old = compare(&base, &new, &[]);
    assert_eq!((old.total.verdict(), old.total.doubt), (Verdict::Unjudged, Some(Doubt::OldReport)));
}

#[test]
fn what_was_counted_at_an_unknown_second_is_not_judged() {
    let (base, mut new) = (side(PLAN, 1), side(PLAN, 2));
    new.total.figures.requests *= 2;
    assert_eq!(compare(&base, &new, &[]).total.doubt, Some(Doubt::Undated));
    let short = compared(Plan { seconds: 7, ..PLAN }, Plan { seconds: 7, ..PLAN }, 3);
    assert_eq!(short.total.doubt, Some(Doubt::Short));
}

#[test]
fn a_limit_is_broken_only_where_the_whole_interval_is_past_it() {
    let state = |slowness: f64, limit: &str| {
        let limits = [Limit::parse(limit).unwrap()];
        compare(&side(PLAN, 20), &side(Plan { slowness, ..PLAN }, 21), &limits).outcomes.remove(0)
    };
    assert_eq!(state(1.2, "p(90) +5%").state, State::Broken);
    assert_eq!(state(1.2, "rate -5%").state, State::Broken);
    assert_eq!(state(1.2, "avg +2ms").state, State::Broken);
    assert_eq!(state(1.0, "p(90) +5%").state, State::Kept);
    assert_eq!(state(1.2, "rate +5%").state, State::Kept, "it fell, and only rising has a limit");
    let near = state(1.2, "p(50) +5%").change.unwrap();
    assert_eq!(state(1.2, &format!("p(50) +{:.3}%", near * 100.0 - 0.1)).state, State::Unsure);
    let rare = state(1.2, "p(99.999) +5%");
    assert!(matches!(&rare.state, State::Unjudged(why) if why.contains("too few")), "{rare:?}");
    assert_eq!((rare.metric, rare.name.as_str()), (Metric::Percentile(Quantile::from(0.999_99)), "Total"));
}

#[test]
fn a_run_of_which_much_more_fails_is_in_nothing_better_and_keeps_no_limit_but_that_of_failures() {
    let limits: Vec<Limit> =
        ["p(90) +5%", "rate -5%", "avg +2ms", "failures +60%"].iter().map(|text| Limit::parse(text).unwrap()).collect();
    let against = |failing: f64| compare(&side(PLAN, 30), &side(Plan { failing, slowness: 0.1, ..PLAN }, 31), &limits);
    // What fails at once is quick.
    for failing in [0.5, 0.05] {
        let failed = against(failing);
        assert_eq!(failed.total.verdict(), Verdict::Worse);
        let rows = || std::iter::once(&failed.total).chain(&failed.rows);
        assert!(rows().flat_map(|row| &row.differences).all(|difference| difference.verdict != Verdict::Better), "{failing}");
        let (of_failures, others): (Vec<_>, Vec<_>) = failed.outcomes.iter().partition(|outcome| outcome.metric == Metric::Failures);
        assert!(of_failures.iter().all(|outcome| outcome.state == State::Kept), "{of_failures:?}");
        assert!(others.iter().all(|outcome| matches!(outcome.state, State::Failing(_)) && outcome.state.is_broken()), "{others:?}");
    }
    let whole = against(0.002);
    assert_eq!(whole.total.verdict(), Verdict::Better);
    assert!(whole.outcomes.iter().all(|outcome| outcome.state == State::Kept), "{:?}", whole.outcomes);
}
