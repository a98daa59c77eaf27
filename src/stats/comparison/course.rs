//! The course of an entry: its cells one after the other, and its figures where each cell counts so many times.

use crate::stats::cells::range_of;
use crate::stats::quantile::Quantile;

/// The figures that two runs are compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Requests per second of the run.
    Rate,
    /// Failed hops over those that say something of the target.
    Failures,
    /// The mean of all durations.
    Avg,
    /// The duration that this share of the hops did not exceed.
    Percentile(Quantile),
}

/// What an entry did in one cell of its run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CellFigures {
    /// Seconds of it that somebody measured.
    pub known_s: f64,
    /// Hops that were counted in it.
    pub requests: u64,
    /// Hops that say something of the target.
    pub judged: u64,
    /// Failed ones among them.
    pub failures: u64,
    /// Hops with a duration.
    pub timed: u64,
    /// The sum of their durations.
    pub sum_ms: f64,
    /// The durations: the lowest microsecond of a range of [`range_of`], ascending, and how many lie in it.
    pub ranges: Vec<(u64, u64)>,
}

impl CellFigures {
    /// Adds the cell after this one.
    pub fn append(&mut self, later: &Self) {
        self.known_s += later.known_s;
        self.add(later);
    }

    /// Adds what another entry did in the same cell.
    pub fn add(&mut self, later: &Self) {
        self.requests = self.requests.saturating_add(later.requests);
        self.judged = self.judged.saturating_add(later.judged);
        self.failures = self.failures.saturating_add(later.failures);
        self.timed = self.timed.saturating_add(later.timed);
        self.sum_ms += later.sum_ms;
        self.ranges.extend(&later.ranges);
        self.ranges.sort_unstable();
        self.ranges.dedup_by(|(low, count), (kept, sum)| {
            let is_same = low == kept;
            *sum = if is_same { sum.saturating_add(*count) } else { *sum };
            is_same
        });
    }
}

/// The cells of one entry, laid out so that weighted figures are fast.
#[derive(Debug)]
pub struct Course {
    known_s: Vec<f64>,
    requests: Vec<f64>,
    judged: Vec<f64>,
    failures: Vec<f64>,
    timed: Vec<f64>,
    sum_ms: Vec<f64>,
    /// The lowest microsecond of each range that has a duration in any cell, ascending.
    lows: Vec<u64>,
    /// For each range, for each cell: how many durations lie in it or below.
    reached: Vec<f64>,
}

impl Course {
    /// The course of these cells.
    #[must_use]
    pub fn new(cells: &[CellFigures]) -> Self {
        let mut lows: Vec<u64> = cells.iter().flat_map(|cell| cell.ranges.iter().map(|(low, _)| *low)).collect();
        lows.sort_unstable();
        lows.dedup();
        let mut reached = vec![0.0; lows.len() * cells.len()];
        for (place, cell) in cells.iter().enumerate() {
            let mut ranges = cell.ranges.iter().peekable();
            let mut sum = 0.0;
            for (range, low) in lows.iter().enumerate() {
                sum += ranges.next_if(|(at, _)| at == low).map_or(0.0, |(_, count)| *count as f64);
                reached[range * cells.len() + place] = sum;
            }
        }
        let column = |of: fn(&CellFigures) -> f64| cells.iter().map(of).collect();
        Self {
            known_s: column(|cell| cell.known_s),
            requests: column(|cell| cell.requests as f64),
            judged: column(|cell| cell.judged as f64),
            failures: column(|cell| cell.failures as f64),
            timed: column(|cell| cell.timed as f64),
            sum_ms: column(|cell| cell.sum_ms),
            lows,
            reached,
        }
    }

    /// How many cells there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known_s.len()
    }

    /// Whether there is no cell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known_s.is_empty()
    }

    /// The metric where each cell counts as often as `weights` says, in the units of [`Figures::of`](super::side::Figures::of); `None` where
    /// nothing is left that tells it.
    #[must_use]
    pub fn figure(&self, metric: Metric, weights: &[f64]) -> Option<f64> {
        let ratio = |above: &[f64], below: &[f64]| {
            Some(weighted(below, weights)).filter(|sum| *sum > 0.0).map(|sum| weighted(above, weights) / sum)
        };
        match metric {
            Metric::Rate => ratio(&self.requests, &self.known_s),
            Metric::Failures => ratio(&self.failures, &self.judged),
            Metric::Avg => ratio(&self.sum_ms, &self.timed),
            Metric::Percentile(quantile) => self.percentile(quantile.share(), weights),
        }
    }

    /// Within a range the durations are taken as spread evenly, so that what is resampled moves smoothly.
    fn percentile(&self, share: f64, weights: &[f64]) -> Option<f64> {
        let last = self.lows.len().checked_sub(1)?;
        let count = self.len();
        let reached = |range: usize| weighted(&self.reached[range * count..(range + 1) * count], weights);
        let wanted = Some(reached(last)).filter(|total| *total > 0.0)? * share;
        let (mut from, mut to) = (0, last);
        while from < to {
            let middle = usize::midpoint(from, to);
            if reached(middle) >= wanted {
                to = middle;
            } else {
                from = middle + 1;
            }
        }
        let before = from.checked_sub(1).map_or(0.0, reached);
        let within = reached(from) - before;
        let part = if within > 0.0 { ((wanted - before) / within).clamp(0.0, 1.0) } else { 1.0 };
        let range = range_of(self.lows[from]);
        Some((range.start as f64 + part * (range.end - range.start) as f64) / 1e3)
    }
}

fn weighted(values: &[f64], weights: &[f64]) -> f64 {
    values.iter().zip(weights).map(|(value, weight)| value * weight).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cell(millis: &[u64]) -> CellFigures {
        let mut cell = CellFigures { known_s: 1.0, ..CellFigures::default() };
        for millis in millis {
            let low = range_of(millis * 1_000).start;
            let count = millis.count_ones().into();
            let mut one =
                CellFigures { requests: count, judged: count, timed: count, ranges: vec![(low, count)], ..CellFigures::default() };
            one.sum_ms = (millis * count) as f64;
            one.failures = millis % 2;
            cell.append(&one);
        }
        cell
    }

    proptest! {
        #[test]
        fn a_cell_that_counts_twice_is_the_same_as_two_of_them(
            one in prop::collection::vec(1_u64..5_000, 1..30), other in prop::collection::vec(1_u64..5_000, 1..30), percent in 1_u32..100,
        ) {
            let (one, other) = (cell(&one), cell(&other));
            let weighted = Course::new(&[one.clone(), other.clone()]);
            let written = Course::new(&[one.clone(), other.clone(), one.clone()]);
            let mut appended = one.clone();
            appended.append(&other);
            appended.append(&one);
            let appended = Course::new(&[appended]);
            let percentile = Metric::Percentile(Quantile::from(f64::from(percent) / 100.0));
            for metric in [Metric::Rate, Metric::Failures, Metric::Avg, percentile] {
                let figure = weighted.figure(metric, &[2.0, 1.0]).unwrap();
                prop_assert!((figure - written.figure(metric, &[1.0; 3]).unwrap()).abs() < 1e-9);
                prop_assert!((figure - appended.figure(metric, &[1.0]).unwrap()).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn what_nobody_measured_has_no_figure() {
        let course = Course::new(&[CellFigures::default(), CellFigures::default()]);
        for metric in [Metric::Rate, Metric::Failures, Metric::Avg, Metric::Percentile(Quantile::MEDIAN)] {
            assert_eq!(course.figure(metric, &[1.0, 1.0]), None);
        }
    }
}
