//! The run in a few cells, as the JSON report has it: what `lunamoth compare` tells chance from change by.

use serde_json::{Map, Value, json};

use crate::front::moments::milliseconds;
use crate::stats::cells::{CellCounts, CellsView};
use crate::stats::histogram::Histogram;

/// All cells; null where there are none. Of the entries, the largest [`ENTRIES`].
pub(super) fn cells(view: &CellsView) -> Value {
    if view.cells.is_empty() {
        return Value::Null;
    }
    let mut largest: Vec<(u64, u32)> = Vec::new();
    for number in 0..view.names.len() as u32 {
        let counts = view.cells.iter().filter_map(|(_, cell)| cell.entries.get(&number));
        let requests = counts.fold(0_u64, |sum, counts| sum.saturating_add(counts.requests));
        largest.extend((requests > 0).then_some((requests, number)));
    }
    largest.sort_unstable_by_key(|(requests, number)| (std::cmp::Reverse(*requests), *number));
    largest.truncate(ENTRIES);
    let empty = CellCounts::default();
    let entries: Vec<Value> = largest
        .iter()
        .map(|(_, number)| {
            let name = &view.names[*number as usize];
            let mut columns = columns(view.cells.iter().map(|(_, cell)| cell.entries.get(number).unwrap_or(&empty)));
            columns["method"] = json!(&*name.method);
            columns["name"] = json!(&*name.name);
            columns
        })
        .collect();
    json!({
        "length_s": view.length.as_secs(),
        "first_s": view.first.as_secs(),
        "known_s": view.cells.iter().map(|(known, _)| known.as_secs_f64()).collect::<Vec<f64>>(),
        "total": columns(view.cells.iter().map(|(_, cell)| &cell.total)),
        "entries": entries,
    })
}

/// A list for each number, with a place for each cell.
fn columns<'a>(cells: impl Iterator<Item = &'a CellCounts>) -> Value {
    let mut columns: [Vec<Value>; COLUMNS.len()] = Default::default();
    for cell in cells {
        let mut durations = Histogram::default();
        durations.merge_sparse(&cell.counts);
        let histogram = (!durations.is_empty()).then(|| durations.to_v2_base64());
        let values = [
            json!(cell.requests),
            json!(cell.failures),
            json!(cell.local),
            json!(cell.timed),
            json!(milliseconds(cell.sum)),
            json!(histogram),
        ];
        columns.iter_mut().zip(values).for_each(|(column, value)| column.push(value));
    }
    Value::Object(COLUMNS.iter().map(|name| (*name).to_owned()).zip(columns.map(Value::Array)).collect::<Map<_, _>>())
}

/// The lists of an entry. Histograms are in microseconds, in ranges of 1/256 of their value at most; null where nothing was timed.
const COLUMNS: [&str; 6] = ["requests", "failures", "local", "timed", "sum_ms", "histograms_us_v2_base64"];

/// Entries at most, the largest ones: a report must stay small enough to be kept for years.
const ENTRIES: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::cells::Cell;
    use crate::stats::names::EntryName;
    use std::sync::Arc;
    use std::time::Duration;

    #[test]
    fn only_the_largest_entries_have_cells_and_the_total_has_all() {
        let cell = |more: u64| {
            let mut cell = Cell::default();
            for number in 0..60_u32 {
                cell.entries.insert(number, CellCounts { requests: u64::from(number) + more, ..CellCounts::default() });
            }
            cell.total.requests = 7_000;
            (Duration::from_secs(2), Arc::new(cell))
        };
        let names = (0..60).map(|number| EntryName { method: "GET".into(), name: format!("/{number}").into() }).collect();
        let view =
            CellsView { length: Duration::from_secs(2), first: Duration::from_secs(4), cells: vec![cell(0), cell(1)], names, given_up: 0 };
        let shown = cells(&view);
        assert_eq!((&shown["length_s"], &shown["first_s"], &shown["known_s"]), (&json!(2), &json!(4), &json!([2.0, 2.0])));
        assert_eq!(shown["total"]["requests"], json!([7_000, 7_000]));
        let entries = shown["entries"].as_array().unwrap();
        assert_eq!(entries.len(), ENTRIES);
        assert_eq!((&entries[0]["name"], &entries[0]["requests"]), (&json!("/59"), &json!([59, 60])));
        assert_eq!(entries[49]["name"], json!("/10"));
        assert_eq!(entries[0]["histograms_us_v2_base64"], json!([null, null]));
        assert_eq!(cells(&CellsView::default()), Value::Null);
    }
}
