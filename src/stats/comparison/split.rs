//! A run of two sides, taken apart: what each entry did on either of them, as two runs that can be compared.
//!
//! The entries of a side bear its tag. Both sides have the same cells, since they ran at the same time: what disturbed one of them disturbed the
//! other, and is no difference.

use std::borrow::Cow;

use super::course::CellFigures;
use super::side::{Entry, Figures, Side};
use crate::stats::tags;

/// What a run of two sides measured.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Split {
    /// What was measured on side A.
    pub a: Side,
    /// What was measured on side B.
    pub b: Side,
    /// Entries that went to neither host, as absolute URLs do that lead elsewhere.
    pub neither: Vec<Entry>,
}

/// Takes the entries of `whole` apart by the tag of their side, `a` or `b`, which their names lose. The totals are those of the side alone.
#[must_use]
pub fn split(whole: Side) -> Split {
    let Side { total, entries, cell_length_s } = whole;
    let (mut of_a, mut of_b, mut neither) = (Vec::new(), Vec::new(), Vec::new());
    for entry in entries {
        match tags::take_side(&entry.name) {
            (Cow::Owned(name), Some("a")) => of_a.push(Entry { name, ..entry }),
            (Cow::Owned(name), Some("b")) => of_b.push(Entry { name, ..entry }),
            _ => neither.push(entry),
        }
    }
    let side = |entries: Vec<Entry>| Side { total: total_of(&entries, &total), entries, cell_length_s };
    Split { a: side(of_a), b: side(of_b), neither }
}

impl Split {
    /// Hops that went to neither host.
    #[must_use]
    pub fn requests_to_neither(&self) -> u64 {
        self.neither.iter().fold(0, |sum, entry| sum.saturating_add(entry.figures.requests))
    }
}

/// All entries of a side together. `whole` is the total of the run, which knows how much of each cell was measured.
fn total_of(entries: &[Entry], whole: &Entry) -> Entry {
    let mut sum = Figures::default();
    let (mut timed, mut sum_ms) = (0_u64, 0.0);
    for Entry { figures, .. } in entries {
        sum.requests = sum.requests.saturating_add(figures.requests);
        sum.judged = sum.judged.saturating_add(figures.judged);
        sum.failures = sum.failures.saturating_add(figures.failures);
        sum.rate = figures.rate.map(|rate| sum.rate.unwrap_or(0.0) + rate).or(sum.rate);
        sum.min_ms = [sum.min_ms, figures.min_ms].into_iter().flatten().reduce(f64::min);
        sum.max_ms = [sum.max_ms, figures.max_ms].into_iter().flatten().reduce(f64::max);
        if let Some(avg_ms) = figures.avg_ms {
            timed = timed.saturating_add(figures.histogram.count());
            sum_ms += avg_ms * figures.histogram.count() as f64;
        }
        sum.histogram.merge(&figures.histogram);
    }
    sum.avg_ms = (timed > 0).then(|| sum_ms / timed as f64);
    let cells = whole.cells.as_ref().map(|cells| {
        let mut sums: Vec<CellFigures> = cells.iter().map(|cell| CellFigures { known_s: cell.known_s, ..CellFigures::default() }).collect();
        for cells in entries.iter().filter_map(|entry| entry.cells.as_ref()) {
            sums.iter_mut().zip(cells).for_each(|(sum, cell)| sum.add(cell));
        }
        sums
    });
    Entry { method: String::new(), name: whole.name.clone(), figures: sum, cells }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, requests: u64, micros: u64) -> Entry {
        let mut figures = Figures { requests, judged: requests, failures: 1, rate: Some(requests as f64), ..Figures::default() };
        (figures.avg_ms, figures.min_ms, figures.max_ms) = (Some(micros as f64 / 1e3), Some(1.0), Some(micros as f64 / 1e3));
        assert!(!figures.histogram.record_n(micros, requests), "it lies in the range");
        let cell = |requests| CellFigures { known_s: 1.0, requests, ranges: vec![(micros, requests)], ..CellFigures::default() };
        Entry { method: "GET".into(), name: name.into(), figures, cells: Some(vec![cell(requests - 1), cell(1)]) }
    }

    #[test]
    fn each_side_has_its_entries_under_their_plain_names_and_its_own_total() {
        let entries = vec![
            entry("/cart {ab:a}", 10, 2_000),
            entry("/cart {ab:b}", 20, 4_000),
            entry("/list {ab:a,kind:read}", 30, 6_000),
            entry("cdn.example/logo", 5, 1_000),
        ];
        let total = Entry { name: "Total".into(), ..entry("", 65, 1_000) };
        let Split { a, b, neither } = split(Side { total, entries, cell_length_s: Some(1) });
        let names = |side: &Side| side.entries.iter().map(|entry| entry.name.clone()).collect::<Vec<_>>();
        assert_eq!((names(&a), names(&b)), (vec!["/cart".to_owned(), "/list {kind:read}".to_owned()], vec!["/cart".to_owned()]));
        assert_eq!(neither.iter().map(|entry| entry.figures.requests).sum::<u64>(), 5);
        let figures = &a.total.figures;
        assert_eq!((figures.requests, figures.failures, figures.rate, figures.max_ms), (40, 2, Some(40.0), Some(6.0)));
        assert!((figures.avg_ms.unwrap() - 5.0).abs() < 1e-9, "{:?}", figures.avg_ms);
        assert_eq!(figures.histogram.count(), 40);
        let cells = a.total.cells.unwrap();
        assert_eq!(cells.iter().map(|cell| (cell.known_s, cell.requests)).collect::<Vec<_>>(), [(1.0, 38), (1.0, 2)]);
        assert_eq!(cells[0].ranges, [(2_000, 9), (6_000, 29)]);
    }

    #[test]
    fn a_side_without_a_request_has_no_figures() {
        let split = split(Side { entries: vec![entry("elsewhere/", 5, 1_000)], ..Side::default() });
        assert_eq!((split.a.total.figures.rate, split.a.total.figures.avg_ms, split.requests_to_neither()), (None, None, 5));
    }
}
