//! All entries of two runs compared: better, worse, or no difference seen.

use std::collections::BTreeMap;

use super::course::Metric;
use super::limit::{Limit, Outcome};
use super::pair::{Doubt, Pair, Scale};
use super::side::{Side, name_of, shown};
use crate::stats::quantile::Quantile;

/// What two runs say of each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// All entries of each run together.
    pub total: Row,
    /// Entries of both, by name and method.
    pub rows: Vec<Row>,
    /// Names of entries of the first run alone.
    pub only_base: Vec<String>,
    /// Names of entries of the second run alone.
    pub only_new: Vec<String>,
    /// Each limit on the total and on each entry of both, limit by limit.
    pub outcomes: Vec<Outcome>,
}

/// One entry of both runs, or the total.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Such as `GET /cart`; `Total`.
    pub name: String,
    /// Of [`METRICS`], in their order.
    pub differences: Vec<Difference>,
    /// Why no interval can be given of any of them.
    pub doubt: Option<Doubt>,
}

/// One figure of both runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Which figure is meant.
    pub metric: Metric,
    /// Hops per second, a share of one, or milliseconds.
    pub base: Option<f64>,
    /// See `base`.
    pub new: Option<f64>,
    /// The new figure over the old one, less one; of failures, the new share less the old one.
    pub change: Option<f64>,
    /// The 95 % interval of `change`.
    pub interval: Option<(f64, f64)>,
    /// What may be said of it.
    pub verdict: Verdict,
}

/// What may be said of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The new run is better, surely and by more than a trifle.
    Better,
    /// The new run is worse, surely and by more than a trifle.
    Worse,
    /// Neither better nor worse is sure.
    NoneSeen,
    /// Too little is known to judge at all.
    Unjudged,
}

/// What is judged of each entry.
pub const METRICS: [Metric; 6] = [
    Metric::Rate,
    Metric::Failures,
    Metric::Avg,
    Metric::Percentile(Quantile::MEDIAN),
    Metric::Percentile(Quantile::P90),
    Metric::Percentile(Quantile::P99),
];

/// Compares `new` with `base`, figure by figure.
#[must_use]
pub fn compare(base: &Side, new: &Side, limits: &[Limit]) -> Comparison {
    let by_name = |side: &'_ Side| -> BTreeMap<(String, String), usize> {
        side.entries.iter().enumerate().map(|(place, entry)| ((entry.name.clone(), entry.method.clone()), place)).collect()
    };
    let (base_names, new_names) = (by_name(base), by_name(new));
    let alone = |names: &BTreeMap<(String, String), usize>, others: &BTreeMap<(String, String), usize>| -> Vec<String> {
        names.keys().filter(|name| !others.contains_key(*name)).map(|(name, method)| shown(method, name)).collect()
    };
    let common = base_names.iter().filter_map(|(name, place)| new_names.get(name).map(|other| (*place, *other)));
    let pairs: Vec<Pair<'_>> = common.map(|(place, other)| Pair::new((base, &base.entries[place]), (new, &new.entries[other]))).collect();
    let total = Pair::new((base, &base.total), (new, &new.total));
    let (only_base, only_new) = (alone(&base_names, &new_names), alone(&new_names, &base_names));
    // Where the only entry is all there is, it is the total, and not a second chance to err.
    let is_single = pairs.len() == 1 && only_base.is_empty() && only_new.is_empty();
    let mut rows: Vec<(Row, Vec<Option<f64>>)> = pairs.iter().map(row).collect();
    let mut totals = vec![row(&total)];
    if is_single {
        judge(&mut totals, RISK);
        judge(&mut rows, RISK);
    } else {
        judge(&mut totals, RISK / 2.0);
        judge(&mut rows, RISK / 2.0);
    }
    totals.iter_mut().chain(&mut rows).for_each(|(row, _)| row.withhold());
    let outcomes = limits.iter().flat_map(|limit| std::iter::once(&total).chain(&pairs).map(move |pair| limit.judge(pair))).collect();
    let total = totals.remove(0).0;
    Comparison { total, rows: rows.into_iter().map(|(row, _)| row).collect(), only_base, only_new, outcomes }
}

impl Row {
    /// Where surely more requests fail, nothing else is called better: what fails at once is quick, and there can be many of it.
    fn withhold(&mut self) {
        let of_failures = self.differences.iter().find(|difference| difference.metric == Metric::Failures);
        if of_failures.is_some_and(|failures| failures.verdict == Verdict::Worse) {
            let better = self.differences.iter_mut().filter(|difference| difference.verdict == Verdict::Better);
            better.for_each(|difference| difference.verdict = Verdict::Unjudged);
        }
    }

    /// What may be said of the entry as a whole: worse where any figure is, better where some are and none is worse.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let any = |verdict: Verdict| self.differences.iter().any(|difference| difference.verdict == verdict);
        [Verdict::Worse, Verdict::Better, Verdict::NoneSeen].into_iter().find(|verdict| any(*verdict)).unwrap_or(Verdict::Unjudged)
    }
}

impl Metric {
    /// Whether a change of it is told as a part of the old figure; else in its own unit.
    #[must_use]
    pub const fn is_counted_in_parts(self) -> bool {
        !matches!(self, Self::Failures)
    }

    /// In what a change of it is counted.
    pub(super) const fn scale(self) -> Scale {
        if matches!(self, Self::Failures) { Scale::Plain } else { Scale::Ratio }
    }

    /// A change of this size is a trifle.
    fn negligible(self) -> f64 {
        if matches!(self, Self::Failures) { POINTS_LEAST } else { RATIO_LEAST.ln_1p() }
    }

    const fn is_better_when_higher(self) -> bool {
        matches!(self, Self::Rate)
    }
}

/// The row of an entry without verdicts, and how likely chance alone does what is seen of each figure, where that is known.
fn row(pair: &Pair<'_>) -> (Row, Vec<Option<f64>>) {
    let (differences, chances) = METRICS.into_iter().map(|metric| difference(pair, metric)).unzip();
    (Row { name: name_of(pair.new), differences, doubt: pair.doubt() }, chances)
}

fn difference(pair: &Pair<'_>, metric: Metric) -> (Difference, Option<f64>) {
    let scale = metric.scale();
    let (base, new) = (pair.base.figures.of(metric), pair.new.figures.of(metric));
    let seen = |distance: f64| if scale == Scale::Ratio { distance.exp_m1() } else { distance };
    let distance = pair.distance(metric, scale);
    let measured = distance.zip(pair.uncertainty(metric, scale).ok());
    // Where nothing ever failed there is nothing to tell chance from.
    let is_idle = metric == Metric::Failures && base == Some(0.0) && new == Some(0.0);
    let interval = measured.filter(|_| !is_idle).map(|(distance, uncertainty)| {
        let margin = uncertainty.margin();
        (seen(distance - margin), seen(distance + margin))
    });
    let chance = measured.filter(|_| !is_idle).map(|(distance, uncertainty)| uncertainty.chance_of(distance, metric.negligible()));
    let verdict = if is_idle { Verdict::NoneSeen } else { Verdict::Unjudged };
    (Difference { metric, base, new, change: distance.map(seen), interval, verdict }, chance)
}

/// Judges all figures whose chances are known, so that the risk to call any of them a difference that is none is `risk` in all (Holm).
fn judge(rows: &mut [(Row, Vec<Option<f64>>)], risk: f64) {
    let mut judged = Vec::new();
    for (place, (_, chances)) in rows.iter().enumerate() {
        judged.extend(chances.iter().enumerate().filter_map(|(metric, chance)| chance.map(|chance| (chance, place, metric))));
    }
    judged.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut left = judged.len();
    let mut is_sure = true;
    for (chance, place, metric) in judged {
        is_sure &= chance <= risk / left as f64;
        left -= 1;
        let difference = &mut rows[place].0.differences[metric];
        let rises = difference.change.is_some_and(|change| change > 0.0);
        difference.verdict = match (is_sure, rises == difference.metric.is_better_when_higher()) {
            (false, _) => Verdict::NoneSeen,
            (true, true) => Verdict::Better,
            (true, false) => Verdict::Worse,
        };
    }
}

/// The risk to see any difference between runs that do not differ.
const RISK: f64 = 0.05;

/// Smaller changes are called none, however sure.
const RATIO_LEAST: f64 = 0.01;
/// Of failures, as a share of the requests.
const POINTS_LEAST: f64 = 0.001;
