//! Figures of a comparison as people read them.

use crate::front::text;
use crate::stats::comparison::{Comparison, Metric, Outcome, State, Verdict};

/// Such as `p99`.
pub(super) fn metric(metric: Metric) -> String {
    match metric {
        Metric::Rate => "rate".to_owned(),
        Metric::Failures => "failures".to_owned(),
        Metric::Avg => "avg".to_owned(),
        Metric::Percentile(quantile) => format!("p{}", quantile.percent()),
    }
}

/// A figure with its unit, or a dash where nobody knows it.
pub(super) fn figure(metric: Metric, value: Option<f64>) -> String {
    let Some(value) = value else { return "-".to_owned() };
    match metric {
        Metric::Rate => format!("{value:.1}/s"),
        Metric::Failures => format!("{:.2} %", value * 100.0),
        Metric::Avg | Metric::Percentile(_) => milliseconds(value),
    }
}

/// A change with its sign and unit. `is_part` says whether it is a part of the old figure.
pub(super) fn change(metric: Metric, is_part: bool, value: f64) -> String {
    if is_part {
        return format!("{:+.1} %", tidy(value * 100.0, 0.05));
    }
    match metric {
        Metric::Rate => format!("{:+.1}/s", tidy(value, 0.05)),
        Metric::Failures => format!("{:+.2} pp", tidy(value * 100.0, 0.005)),
        Metric::Avg | Metric::Percentile(_) => format!("{}{}", if value < 0.0 { '-' } else { '+' }, milliseconds(value.abs())),
    }
}

/// Both ends, or a dash.
pub(super) fn interval(metric: Metric, is_part: bool, interval: Option<(f64, f64)>) -> String {
    interval.map_or_else(|| "-".to_owned(), |(low, high)| format!("{} .. {}", change(metric, is_part, low), change(metric, is_part, high)))
}

pub(super) const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Better => "better",
        Verdict::Worse => "worse",
        Verdict::NoneSeen => "no difference seen",
        Verdict::Unjudged => "not judged",
    }
}

/// What is said of a limit on one entry.
pub(super) fn outcome(outcome: &Outcome) -> String {
    let Some(moved) = outcome.change else { return state(&outcome.state).to_owned() };
    let name = metric(outcome.metric);
    let (old, new) = (figure(outcome.metric, outcome.base), figure(outcome.metric, outcome.new));
    let moved = change(outcome.metric, outcome.is_part, moved);
    let within = interval(outcome.metric, outcome.is_part, outcome.interval);
    match &outcome.state {
        State::Broken => format!("{name} went from {old} to {new}: {moved}, and the whole interval ({within}) is past the limit"),
        State::Unsure => format!("{name} went from {old} to {new}: {moved}, past the limit, but its interval ({within}) is not"),
        State::Kept => format!("{name} went from {old} to {new}: {moved}"),
        State::Failing(why) => format!("{name} went from {old} to {new}, which says nothing of the target: {why}"),
        State::Unjudged(why) => format!("{name} went from {old} to {new}: {moved}, and how much of that is chance is not known: {why}"),
    }
}

pub(super) const fn state(state: &State) -> &'static str {
    match state {
        State::Kept => "kept",
        State::Unsure => "kept, unsure",
        State::Broken | State::Failing(_) => "BROKEN",
        State::Unjudged(_) => "not judged",
    }
}

/// Whether anything at all has an interval.
pub(super) fn has_intervals(comparison: &Comparison) -> bool {
    let mut rows = std::iter::once(&comparison.total).chain(&comparison.rows);
    rows.any(|row| row.differences.iter().any(|difference| difference.interval.is_some()))
}

/// What it comes to, in a line.
pub(super) fn summary(comparison: &Comparison) -> String {
    let count = |verdict: Verdict| comparison.rows.iter().filter(|row| row.verdict() == verdict).count();
    let total = verdict(comparison.total.verdict());
    let mut words = format!("Total: {total}.");
    if !comparison.rows.is_empty() {
        let entries = comparison.rows.len();
        let (worse, better) = (count(Verdict::Worse), count(Verdict::Better));
        words.push_str(&format!(" Of {entries} {} {worse} worse, {better} better.", if entries == 1 { "entry" } else { "entries" }));
    }
    words
}

/// Without a sign before a zero.
fn tidy(value: f64, half: f64) -> f64 {
    if value.abs() < half { 0.0 } else { value }
}

fn milliseconds(value: f64) -> String {
    // A change of a few percent must be seen in the figures too.
    if (10.0..999.5).contains(&value) { format!("{value:.1}ms") } else { text::of_seconds(value / 1e3, text::duration) }
}
