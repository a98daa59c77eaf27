//! The tables of `--by TAG`: all requests that bear one value of a tag, in one row.

use std::collections::BTreeMap;
use std::time::Duration;

use super::grid::Grid;
use super::table::time;
use crate::front::text::{Align, escape, percent};
use crate::stats::histogram::Histogram;
use crate::stats::snapshot::{EntryView, Snapshot};
use crate::stats::tags;

/// What the entries with one value come to.
#[derive(Default)]
struct Group {
    requests: u64,
    failures: u64,
    sum: Duration,
    max: Option<Duration>,
    histogram: Histogram,
}

impl Group {
    fn add(&mut self, entry: &EntryView) {
        self.requests += entry.requests;
        self.failures += entry.failures;
        self.sum += entry.duration_sum;
        self.max = self.max.max(entry.max);
        self.histogram.merge(&entry.histogram);
    }

    fn percentile(&self, quantile: f64) -> Option<Duration> {
        // The upper end of the last bucket may lie above the exact maximum.
        self.max.map(|max| Duration::from_micros(self.histogram.value_at(quantile)).min(max))
    }

    fn avg(&self) -> Option<Duration> {
        let timed = u32::try_from(self.histogram.count()).ok().filter(|count| *count > 0);
        timed.map(|count| self.sum / count)
    }
}

/// A row for each value of each of the tags, and one for the requests without it; a line in words for a tag that no request bears.
pub(super) fn by_tag(snapshot: &Snapshot, keys: &[String], width: usize) -> String {
    let right = Align::Right;
    let columns = [
        ("Tag", Align::Left),
        ("# reqs", right),
        ("# fails", right),
        ("Avg", right),
        ("50%", right),
        ("95%", right),
        ("99%", right),
        ("Max", right),
    ];
    let (mut grid, mut absent) = (Grid::new("Requests by tag, times in ms", &columns), String::new());
    for key in keys {
        let (mut groups, mut rest) = (BTreeMap::<&str, Group>::new(), Group::default());
        for entry in &snapshot.entries {
            let (_, mut tags) = tags::split(&entry.name);
            match tags.find(|(tag, _)| tag == key) {
                Some((_, value)) => groups.entry(value).or_default().add(entry),
                None => rest.add(entry),
            }
        }
        if groups.is_empty() {
            absent.push_str(&format!("No request bears the tag `{}` of --by\n\n", escape(key)));
            continue;
        }
        let rest = (rest.requests > 0).then(|| (format!("without {key}"), rest));
        for (tag, group) in groups.into_iter().map(|(value, group)| (format!("{key}:{value}"), group)).chain(rest) {
            let failures = format!("{}({})", group.failures, percent(group.failures, group.requests));
            let times = [group.avg(), group.percentile(0.5), group.percentile(0.95), group.percentile(0.99), group.max];
            grid.row([tag, group.requests.to_string(), failures].into_iter().chain(times.map(time)).collect());
        }
    }
    grid.render(width) + &absent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_with_one_value_of_a_tag_are_one_row_whatever_their_names() {
        let entry = |name: &str, requests: u64, failures: u64, micros: u64| {
            let mut histogram = Histogram::default();
            histogram.record_n(micros, requests);
            let duration = Duration::from_micros(micros);
            let sum = duration * u32::try_from(requests).unwrap();
            EntryView { name: name.into(), requests, failures, histogram, max: Some(duration), duration_sum: sum, ..EntryView::default() }
        };
        let entries = vec![
            entry("/a {kind:read}", 90, 0, 1_000),
            entry("/b {kind:read,team:x}", 10, 5, 50_000),
            entry("/c {kind:write}", 4, 0, 2_000),
            entry("/d", 7, 0, 3_000),
        ];
        let snapshot = Snapshot { entries, ..Snapshot::default() };
        insta::assert_snapshot!(by_tag(&snapshot, &["kind".to_owned(), "planet".to_owned()], 100), @"
        Requests by tag, times in ms
         Tag           # reqs   # fails   Avg   50%   95%   99%   Max
        --------------------------------------------------------------
         kind:read        100  5(5.00%)  5.90  1.00    50    50    50
         kind:write         4  0(0.00%)  2.00  2.00  2.00  2.00  2.00
         without kind       7  0(0.00%)  3.00  3.00  3.00  3.00  3.00

        No request bears the tag `planet` of --by
        ");
        assert_eq!(by_tag(&snapshot, &[], 100), "");
    }
}
