//! A comparison as a table for a pull request.

use super::{Shown, figures};
use crate::front::text::escape;
use crate::stats::comparison::{Row, Verdict};

/// The whole text: what it comes to, what is judged, and all figures folded away.
#[must_use]
pub fn markdown(shown: &Shown<'_>) -> String {
    let Shown { names: halves, base, new, comparison, notes } = *shown;
    let mut text = format!("### Load test: {}\n\n", figures::summary(comparison));
    text.push_str(&format!("`{}` against `{}`\n\n", code(&new.label), code(&base.label)));
    if !comparison.outcomes.is_empty() {
        text.push_str("| limit | entry | | |\n|---|---|---|---|\n");
        for outcome in &comparison.outcomes {
            let cells =
                [plain(&outcome.limit), plain(&outcome.name), figures::state(&outcome.state).to_owned(), plain(&figures::outcome(outcome))];
            text.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
        text.push('\n');
    }
    let rows: Vec<&Row> = std::iter::once(&comparison.total).chain(&comparison.rows).collect();
    text.push_str(&format!(
        "| entry | figure | {} | {} | change | 95 % interval | |\n|---|---|--:|--:|--:|--:|---|\n",
        halves.base, halves.new
    ));
    for row in rows {
        for (place, difference) in row.differences.iter().enumerate() {
            let metric = difference.metric;
            let is_part = metric.is_counted_in_parts();
            let word = figures::verdict(difference.verdict);
            let cells = [
                if place == 0 { plain(&row.name) } else { String::new() },
                figures::metric(metric),
                figures::figure(metric, difference.base),
                figures::figure(metric, difference.new),
                difference.change.map_or_else(|| "-".to_owned(), |change| figures::change(metric, is_part, change)),
                figures::interval(metric, is_part, difference.interval),
                if matches!(difference.verdict, Verdict::Better | Verdict::Worse) { format!("**{word}**") } else { word.to_owned() },
            ];
            text.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
    }
    text.push('\n');
    for (whose, names) in [(halves.base, &comparison.only_base), (halves.new, &comparison.only_new)] {
        if !names.is_empty() {
            text.push_str(&format!(
                "- only in {whose}, not compared: {}\n",
                names.iter().map(|name| plain(name)).collect::<Vec<_>>().join(", ")
            ));
        }
    }
    notes.iter().for_each(|note| text.push_str(&format!("- {}\n", plain(note))));
    if !figures::has_intervals(comparison) {
        text.push_str("- no interval can be given, so that nothing is judged: the differences above may be chance\n");
    }
    text
}

/// Text that is nothing but text: no table, no markup, no tag.
fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in escape(text).chars() {
        match letter {
            '<' => safe.push_str("&lt;"),
            '&' => safe.push_str("&amp;"),
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' | '~' | '#' | '!' => {
                safe.push('\\');
                safe.push(letter);
            }
            _ => safe.push(letter),
        }
    }
    safe
}

/// As code, which no backtick of its own ends.
fn code(text: &str) -> String {
    escape(text).replace('`', "'")
}
