//! A comparison on a console: an aligned table, and what it comes to.

use anstyle::{AnsiColor, Style};

use super::read::Reported;
use super::{Shown, figures};
use crate::front::text::{Align, escape, pad, wrap};
use crate::stats::comparison::{Comparison, Difference, Row, State, Verdict};

/// The whole text. Only words of a judgement are coloured.
#[must_use]
pub fn text(shown: &Shown<'_>, is_coloured: bool) -> String {
    let Shown { names, base, new, comparison, .. } = *shown;
    let wide = names.base.len().max(names.new.len());
    let mut text = format!("{:wide$}  {}\n{:wide$}  {}\n\n", names.base, run(base), names.new, run(new));
    let titles = ["", names.base, names.new, "change", "95 % interval"];
    let rows: Vec<&Row> = std::iter::once(&comparison.total).chain(&comparison.rows).collect();
    let cells: Vec<[String; 5]> = rows.iter().flat_map(|row| row.differences.iter().map(cells_of)).collect();
    let widths: [usize; 5] = std::array::from_fn(|column| {
        cells.iter().map(|cells| cells[column].chars().count()).chain([titles[column].chars().count()]).max().unwrap_or(0)
    });
    let line = |cells: &[String; 5], word: &str| {
        let columns = cells.iter().zip(widths).enumerate();
        let columns: Vec<String> =
            columns.map(|(column, (cell, width))| pad(cell, width, if column == 0 { Align::Left } else { Align::Right })).collect();
        format!("  {}  {word}", columns.join("  ")).trim_end().to_owned() + "\n"
    };
    text.push_str(&line(&titles.map(str::to_owned), ""));
    text.push_str(&format!("{}\n", "-".repeat(widths.iter().sum::<usize>() + 32)));
    for row in rows {
        text.push_str(&format!("{}\n", escape(&row.name)));
        for difference in &row.differences {
            text.push_str(&line(&cells_of(difference), &judged(difference.verdict, is_coloured)));
        }
        if let Some(doubt) = row.doubt {
            text.push_str(&format!("  no interval: {doubt}\n"));
        }
    }
    text.push('\n');
    text.push_str(&below(shown));
    text.push_str(&limits(comparison, is_coloured));
    text.push_str(&format!("{}\n", figures::summary(comparison)));
    text
}

fn cells_of(difference: &Difference) -> [String; 5] {
    let metric = difference.metric;
    let is_part = metric.is_counted_in_parts();
    [
        figures::metric(metric),
        figures::figure(metric, difference.base),
        figures::figure(metric, difference.new),
        difference.change.map_or_else(|| "-".to_owned(), |change| figures::change(metric, is_part, change)),
        figures::interval(metric, is_part, difference.interval),
    ]
}

fn run(run: &Reported) -> String {
    let users = run.users.map_or_else(String::new, |users| format!(", {users} users"));
    let host = run.host.as_deref().map_or_else(String::new, |host| format!(", {}", escape(host)));
    format!("{}  ({}, {:.0} s{users}{host})", escape(&run.label), escape(&run.scenario), run.elapsed_s)
}

/// Entries of one run alone, and notes.
fn below(shown: &Shown<'_>) -> String {
    let Shown { names: halves, comparison, notes, .. } = *shown;
    let mut text = String::new();
    for (whose, names) in [(halves.base, &comparison.only_base), (halves.new, &comparison.only_new)] {
        if !names.is_empty() {
            text.push_str(&format!(
                "only in {whose}, not compared: {}\n",
                names.iter().map(|name| escape(name)).collect::<Vec<_>>().join(", ")
            ));
        }
    }
    for note in notes {
        for line in wrap(note, NOTE_WIDTH) {
            text.push_str(&format!("{line}\n"));
        }
    }
    if !figures::has_intervals(comparison) {
        text.push_str("no interval can be given, so that nothing is judged: the differences above may be chance\n");
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

fn limits(comparison: &Comparison, is_coloured: bool) -> String {
    let mut text = String::new();
    for outcome in &comparison.outcomes {
        let word = figures::state(&outcome.state);
        let colour = match outcome.state {
            State::Kept => AnsiColor::Green,
            State::Unsure | State::Unjudged(_) => AnsiColor::Yellow,
            State::Broken | State::Failing(_) => AnsiColor::Red,
        };
        let word = painted(&pad(word, 12, Align::Left), colour, is_coloured);
        text.push_str(&format!("{word}  {}  {}: {}\n", outcome.limit, escape(&outcome.name), figures::outcome(outcome)));
    }
    if text.is_empty() { text } else { format!("Limits\n{text}\n") }
}

fn judged(verdict: Verdict, is_coloured: bool) -> String {
    let word = figures::verdict(verdict);
    match verdict {
        Verdict::Better => painted(word, AnsiColor::Green, is_coloured),
        Verdict::Worse => painted(word, AnsiColor::Red, is_coloured),
        Verdict::NoneSeen | Verdict::Unjudged => word.to_owned(),
    }
}

fn painted(word: &str, colour: AnsiColor, is_coloured: bool) -> String {
    let style = Style::new().fg_color(Some(colour.into()));
    if is_coloured { format!("{style}{word}{style:#}") } else { word.to_owned() }
}

const NOTE_WIDTH: usize = 120;
