//! An entry in both runs: how far its figures lie apart, and how much of that chance does.

use super::bootstrap::{Uncertainty, uncertainty};
use super::course::{CellFigures, Course, Metric};
use super::side::{Entry, Side};

/// An entry of two runs.
#[derive(Debug)]
pub(super) struct Pair<'a> {
    pub base: &'a Entry,
    pub new: &'a Entry,
    courses: Result<Courses, Doubt>,
}

/// In what a difference is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// The logarithm of the new figure over the old one.
    Ratio,
    /// The figure's own unit.
    Plain,
}

/// Why no interval can be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// A report without cells, by an older version.
    OldReport,
    /// It is none of the largest entries, of which alone a report has cells.
    Small,
    /// A run of few cells.
    Short,
    /// It has hardly any requests.
    Few,
    /// For a good part of the requests nobody knows the second.
    Undated,
}

impl std::fmt::Display for Doubt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::OldReport => "a report was written by an older version, which kept no cells",
            Self::Small => "it is none of the largest entries, of which alone a report has cells",
            Self::Short => "a run of less than 8 s",
            Self::Few => "too few requests",
            Self::Undated => "of many requests the second is not known, since a master was replaced or a worker was away",
        })
    }
}

#[derive(Debug)]
struct Courses {
    base: Course,
    new: Course,
    /// The runs are equally long: what both do at the same time of their plan, such as a ramp, is not taken for chance.
    is_parallel: bool,
}

impl<'a> Pair<'a> {
    /// The same entry, or the totals, of two sides.
    pub fn new(base: (&Side, &'a Entry), new: (&Side, &'a Entry)) -> Self {
        Self { base: base.1, new: new.1, courses: Courses::new(base, new) }
    }

    /// Why no interval can be given of any of its figures.
    pub fn doubt(&self) -> Option<Doubt> {
        self.courses.as_ref().err().copied()
    }

    /// How far the new figure lies from the old one; `None` where one of them is not known, or has no logarithm.
    pub fn distance(&self, metric: Metric, scale: Scale) -> Option<f64> {
        scale.distance(self.base.figures.of(metric)?, self.new.figures.of(metric)?)
    }

    /// How much of that chance does.
    pub fn uncertainty(&self, metric: Metric, scale: Scale) -> Result<Uncertainty, Doubt> {
        let courses = self.courses.as_ref().map_err(|doubt| *doubt)?;
        if !(is_enough(self.base, metric) && is_enough(self.new, metric)) {
            return Err(Doubt::Few);
        }
        let figure = |course: &Course, weights: &[f64]| scale.point(course.figure(metric, weights)?);
        let Courses { base, new, is_parallel } = courses;
        let found = if *is_parallel {
            uncertainty(base.len(), |weights| Some(figure(new, weights)? - figure(base, weights)?))
        } else {
            let of = |course: &Course| uncertainty(course.len(), |weights| figure(course, weights));
            of(base).zip(of(new)).map(|(base, new)| base.and(new))
        };
        found.ok_or(Doubt::Few)
    }
}

impl Scale {
    fn distance(self, base: f64, new: f64) -> Option<f64> {
        Some(self.point(new)? - self.point(base)?)
    }

    fn point(self, figure: f64) -> Option<f64> {
        match self {
            Self::Ratio => (figure > 0.0).then(|| figure.ln()),
            Self::Plain => Some(figure),
        }
    }
}

impl Courses {
    fn new((base_side, base): (&Side, &Entry), (new_side, new): (&Side, &Entry)) -> Result<Self, Doubt> {
        let (Some(base_length), Some(new_length)) = (base_side.cell_length_s, new_side.cell_length_s) else { return Err(Doubt::OldReport) };
        let (Some(base_cells), Some(new_cells)) = (&base.cells, &new.cells) else { return Err(Doubt::Small) };
        let length = base_length.max(new_length);
        let mut base_cells = lengthened(base_cells, base_length, length);
        let mut new_cells = lengthened(new_cells, new_length, length);
        let known = |cells: &[CellFigures]| cells.iter().filter(|cell| cell.known_s > 0.0).count();
        if known(&base_cells).min(known(&new_cells)) < CELLS_LEAST {
            return Err(Doubt::Short);
        }
        let dated = |cells: &[CellFigures]| cells.iter().fold(0_u64, |sum, cell| sum.saturating_add(cell.requests)) as f64;
        let is_dated = |entry: &Entry, cells: &[CellFigures]| dated(cells) >= DATED_LEAST * entry.figures.requests as f64;
        if !(is_dated(base, &base_cells) && is_dated(new, &new_cells)) {
            return Err(Doubt::Undated);
        }
        let common = base_cells.len().min(new_cells.len());
        let is_parallel = base_cells.len().abs_diff(new_cells.len()) <= (common / 20).max(1);
        if is_parallel {
            base_cells.truncate(common);
            new_cells.truncate(common);
        }
        Ok(Self { base: Course::new(&base_cells), new: Course::new(&new_cells), is_parallel })
    }
}

/// Cells of `length` seconds each, of shorter ones. Both are powers of two.
fn lengthened(cells: &[CellFigures], from: u64, length: u64) -> Vec<CellFigures> {
    let many = usize::try_from(length / from.max(1)).unwrap_or(usize::MAX).max(1);
    let together = |cells: &[CellFigures]| {
        let mut sum = cells[0].clone();
        cells[1..].iter().for_each(|cell| sum.append(cell));
        sum
    };
    cells.chunks(many).map(together).collect()
}

/// Whether an entry was asked often enough for the metric to have an interval.
fn is_enough(entry: &Entry, metric: Metric) -> bool {
    let figures = &entry.figures;
    match metric {
        Metric::Rate => figures.requests >= REQUESTS_LEAST,
        Metric::Failures => figures.judged >= REQUESTS_LEAST,
        Metric::Avg => figures.histogram.count() >= REQUESTS_LEAST,
        Metric::Percentile(quantile) => {
            let (count, share) = (figures.histogram.count() as f64, quantile.share());
            count >= REQUESTS_LEAST as f64 && count * share.min(1.0 - share) >= BEYOND_LEAST
        }
    }
}

/// Cells that tell anything of how seconds differ.
const CELLS_LEAST: usize = 8;

/// The part of an entry's requests whose cell must be known.
const DATED_LEAST: f64 = 0.95;

/// Requests of an entry, and those beyond a percentile, below which chance has no measure.
const REQUESTS_LEAST: u64 = 20;
const BEYOND_LEAST: f64 = 5.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_cells_are_put_together_into_long_ones() {
        let cells: Vec<CellFigures> = (1..=5).map(|requests| CellFigures { requests, known_s: 1.0, ..CellFigures::default() }).collect();
        let requests = |length| lengthened(&cells, 2, length).iter().map(|cell| cell.requests).collect::<Vec<_>>();
        assert_eq!(requests(2), [1, 2, 3, 4, 5]);
        assert_eq!(requests(4), [3, 7, 5]);
        assert_eq!(requests(8), [10, 5]);
    }
}
