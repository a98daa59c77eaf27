//! One entry with everything that is known of it.

use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::{BinJson, EntryDetailJson, EntryJson, EntryMoreJson, KindJson, PercentileJson, StatusJson, TrendJson};
use crate::front::moments::milliseconds;
use crate::stats::histogram::Histogram;
use crate::stats::snapshot::{EntryView, PhaseView, TrendView};

impl EntryDetailJson {
    /// The detail of an entry. `phases` are those of the whole run, for the total.
    #[must_use]
    pub fn new(run: String, entry: &EntryView, phases: Option<&[TrendView]>) -> Self {
        let percentile = |percent: f64| Some(PercentileJson { percent, ms: milliseconds(entry.percentile(percent / 100.0)?) });
        let more = EntryMoreJson {
            run,
            statuses: entry.statuses.iter().map(|(status, count)| StatusJson { status: *status, count: *count }).collect(),
            failures_by_kind: entry
                .failures_by_kind
                .iter()
                .map(|(kind, count)| KindJson { kind: kind.name().into(), count: *count })
                .collect(),
            not_sent: entry.not_sent,
            unanswered: entry.unanswered,
            stale_retries: entry.stale_retries,
            phases: phases
                .map_or_else(|| entry.phases.iter().map(TrendJson::from).collect(), |phases| phases.iter().map(TrendJson::from).collect()),
            distribution: distribution(&entry.histogram),
            percentiles: PERCENTS.into_iter().filter_map(percentile).collect(),
        };
        Self { entry: entry.into(), more }
    }
}

/// By hand, since serde's own way through `flatten` does not understand numbers that keep all their digits.
impl<'de> Deserialize<'de> for EntryDetailJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let entry = EntryJson::deserialize(&value).map_err(D::Error::custom)?;
        let more = EntryMoreJson::deserialize(&value).map_err(D::Error::custom)?;
        Ok(Self { entry, more })
    }
}

impl From<&PhaseView> for TrendJson {
    fn from(phase: &PhaseView) -> Self {
        let known = |time: Duration| (phase.count > 0).then(|| milliseconds(time));
        Self {
            name: phase.metric.to_owned(),
            count: phase.count,
            avg_ms: (phase.count > 0).then(|| milliseconds(phase.sum.div_f64(phase.count as f64))),
            min_ms: known(phase.min),
            max_ms: known(phase.max),
            ..Self::default()
        }
    }
}

/// Each value by itself, or bins whose widths grow with their values where there are too many.
fn distribution(histogram: &Histogram) -> Vec<BinJson> {
    let values: Vec<(u64, u64)> = histogram.iter().collect();
    let (Some((first, _)), Some((last, _))) = (values.first(), values.last()) else { return Vec::new() };
    // From 1 us on, so that the logarithm of a zero is not asked for.
    let (low, high) = (((*first).max(1) as f64).ln(), ((*last).max(1) as f64).ln());
    let width = if values.len() <= BINS { 0.0 } else { (high - low) / BINS as f64 };
    let mut bins: Vec<BinJson> = Vec::new();
    let mut place = None;
    for (value_us, count) in values {
        let new_place = (width > 0.0).then(|| ((((value_us.max(1) as f64).ln() - low) / width) as usize).min(BINS - 1));
        let le_ms = value_us as f64 / 1e3;
        match bins.last_mut() {
            Some(bin) if new_place.is_some() && new_place == place => {
                bin.le_ms = le_ms;
                bin.count += count;
            }
            _ => bins.push(BinJson { le_ms, count }),
        }
        place = new_place;
    }
    bins
}

/// As many bars as a chart can show.
const BINS: usize = 200;

const PERCENTS: [f64; 15] = [50.0, 60.0, 66.0, 70.0, 75.0, 80.0, 85.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.9, 99.99, 100.0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_stand_by_themselves_and_many_share_bins() {
        let mut histogram = Histogram::default();
        histogram.record_n(0, 3);
        histogram.record_n(420, 2);
        assert_eq!(distribution(&histogram), [BinJson { le_ms: 0.0, count: 3 }, BinJson { le_ms: 0.42, count: 2 }]);
        (0..5_000).for_each(|value| {
            histogram.record(value * 7);
        });
        let bins = distribution(&histogram);
        assert!(bins.len() > 100 && bins.len() <= BINS, "{}", bins.len());
        assert_eq!(bins.iter().map(|bin| bin.count).sum::<u64>(), 5_005);
        assert!(bins.is_sorted_by(|a, b| a.le_ms < b.le_ms));
    }
}
