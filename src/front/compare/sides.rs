//! The two sides of one run as a comparison shows them, and the run's report with that comparison in it.

use serde_json::{Value, json};

use super::figures;
use super::read::{Reported, read_value};
use crate::front::report::{Closing, json};
use crate::front::text::escape;
use crate::plan::shown_host;
use crate::stats::comparison::{Comparison, Entry, Row, split};
use crate::stats::snapshot::Snapshot;

/// A run of two sides, taken apart.
#[derive(Debug)]
pub struct Sides {
    /// What went to A.
    pub a: Reported,
    /// What went to B.
    pub b: Reported,
    /// What a reader must know of the run; a line each.
    pub notes: Vec<String>,
    /// Hops that went to neither.
    neither: u64,
    /// The run as a report has it.
    report: Value,
}

impl Sides {
    /// Of the last snapshot of a run whose sides have these URLs.
    ///
    /// # Errors
    /// The report cannot be read back, which would be a mistake of this program.
    pub fn new(last: &Snapshot, closing: &Closing, urls: [&str; 2]) -> Result<Self, String> {
        let report = json::render(last, closing);
        let whole = read_value(&report, String::new())?;
        let apart = split(whole.side.clone());
        let notes = notes(&whole, &apart.neither, last.iterations_dropped + last.arrivals.lost);
        let neither = apart.requests_to_neither();
        let [a, b] = [(apart.a, urls[0]), (apart.b, urls[1])].map(|(side, url)| Reported {
            label: shown_host(url),
            side,
            host: None,
            ..whole.clone()
        });
        Ok(Self { a, b, notes, neither, report })
    }

    /// Whether a request went to A or B.
    #[must_use]
    pub fn has_any(&self) -> bool {
        [&self.a, &self.b].iter().any(|reported| reported.side.total.figures.requests > 0)
    }

    /// The report of the run, as `--json` of a run has it, with `ab`: both sides and what differs between them.
    #[must_use]
    pub fn document(&self, comparison: &Comparison) -> String {
        let side = |reported: &Reported| json!({ "url": reported.label, "requests": reported.side.total.figures.requests });
        let limits = comparison.outcomes.iter().map(|outcome| {
            json!({
                "limit": outcome.limit, "name": outcome.name, "state": figures::state(&outcome.state),
                "change": outcome.change, "interval": outcome.interval,
            })
        });
        let mut report = self.report.clone();
        report["ab"] = json!({
            "a": side(&self.a),
            "b": side(&self.b),
            "neither_requests": self.neither,
            "total": row(&comparison.total),
            "entries": comparison.rows.iter().map(row).collect::<Vec<Value>>(),
            "only_a": comparison.only_base,
            "only_b": comparison.only_new,
            "limits": limits.collect::<Vec<Value>>(),
            "notes": self.notes,
        });
        format!("{report:#}\n")
    }
}

/// One entry on both sides. Figures are per second, shares of one and milliseconds; a change is a part of A's figure, of failures a difference of shares.
fn row(row: &Row) -> Value {
    let figures = row.differences.iter().map(|difference| {
        json!({
            "figure": figures::metric(difference.metric), "a": difference.base, "b": difference.new,
            "change": difference.change, "interval": difference.interval, "verdict": figures::verdict(difference.verdict),
        })
    });
    json!({
        "name": row.name, "verdict": figures::verdict(row.verdict()), "figures": figures.collect::<Vec<Value>>(),
        "no_interval": row.doubt.map(|doubt| doubt.to_string()),
    })
}

/// What a reader must know of a run before he believes in a difference between its sides, the gravest first.
fn notes(whole: &Reported, neither: &[Entry], dropped: u64) -> Vec<String> {
    let mut notes = Vec::new();
    if !whole.is_complete {
        notes.push("the numbers of the run are not complete".to_owned());
    }
    let mut counted = |count: u64, what: &str| {
        if count > 0 {
            notes.push(format!("{count} {what}"));
        }
    };
    counted(whole.unsound_s, "s were unsound: the generator itself was late, and its delay may stand in the durations of both sides");
    counted(whole.holes as u64, "holes: numbers of workers are lost");
    counted(whole.overlaps as u64, "overlaps: load ran twice");
    counted(dropped, "iterations found no user that was free, and went to neither side");
    let requests = neither.iter().fold(0_u64, |sum, entry| sum.saturating_add(entry.figures.requests));
    if requests > 0 {
        let names: Vec<_> = neither.iter().take(NAMES).map(|entry| escape(&entry.name)).collect();
        let more = if neither.len() > NAMES { format!(" and {} more", neither.len() - NAMES) } else { String::new() };
        notes.push(format!(
            "{requests} requests went to neither side, by URLs that lead to another host, and are not compared: {}{more}",
            names.join(", ")
        ));
    }
    notes
}

/// Entries of neither side that are named.
const NAMES: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::tests::busy_snapshot;
    use crate::stats::comparison::compare;

    fn two_sided() -> Snapshot {
        let mut snapshot = busy_snapshot();
        let first = snapshot.entries[0].clone();
        snapshot.entries = ["/x {ab:a}", "/x {ab:b}", "cdn.example/logo"]
            .map(|name| crate::stats::snapshot::EntryView { name: name.into(), ..first.clone() })
            .into();
        snapshot
    }

    #[test]
    fn both_sides_have_the_entry_under_one_name_and_what_went_elsewhere_is_told() {
        let sides = Sides::new(&two_sided(), &Closing::default(), ["http://bob:hush@a:1", "http://b:2"]).unwrap();
        assert_eq!((sides.a.label.as_str(), sides.b.label.as_str()), ("http://a:1", "http://b:2"));
        assert_eq!(sides.a.side.entries[0].name, "/x");
        assert!(
            sides.has_any() && sides.notes.iter().any(|note| note.contains("went to neither side") && note.contains("cdn.example/logo")),
            "{:?}",
            sides.notes
        );
        let document: Value = serde_json::from_str(&sides.document(&compare(&sides.a.side, &sides.b.side, &[]))).unwrap();
        assert_eq!(document["ab"]["entries"][0]["figures"].as_array().unwrap().len(), 6);
        assert_eq!(document["ab"]["neither_requests"], document["entries"][2]["requests"]);
        assert_eq!(document["schema"], json!(1));
    }

    #[test]
    fn a_run_that_asked_neither_side_has_nothing_to_compare() {
        assert!(!Sides::new(&busy_snapshot(), &Closing::default(), ["http://a", "http://b"]).unwrap().has_any());
    }
}
