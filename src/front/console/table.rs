//! The periodic table: Locust 0.8.1's columns and shape, with ours to the right of them.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr;

use crate::front::text::{Align, escape, known, milliseconds, pad, percent, shorten};
use crate::stats::snapshot::{EntryView, RunState, Snapshot};

/// The table's width where there is no terminal: names have 60 columns, as in 0.8.1.
pub const TABLE_WIDTH: usize = NUMBERS_WIDTH + 61;

/// The table as it stands. `width` is the terminal's, or [`TABLE_WIDTH`]; below 112 columns lines are longer than that.
///
/// Rates look at the last 10 seconds; those of a run that is over, at the whole run.
#[must_use]
pub fn table(snapshot: &Snapshot, width: usize) -> String {
    let names: Vec<String> =
        snapshot.entries.iter().map(|entry| escape(&format!("{} {}", entry.method, entry.name)).into_owned()).collect();
    let longest = names.iter().map(|name| name.width()).max().unwrap_or(0).max(60);
    let name_width = longest.min(width.saturating_sub(NUMBERS_WIDTH + 1)).max(20);
    let is_over = snapshot.state == RunState::Stopped;
    let rates = |entry: &EntryView| {
        if is_over { (entry.total_rps, entry.total_fail_per_sec) } else { (entry.current_rps, entry.current_fail_per_sec) }
    };
    // On a terminal narrower than the table a longer rule would only wrap.
    let rule = "-".repeat(if width < TABLE_WIDTH { 1 + name_width + NUMBERS_WIDTH } else { (1 + name_width + NUMBERS_WIDTH).max(140) });

    let mut text = String::new();
    let _infallible = writeln!(
        text,
        " {} {:>7} {:>12} {:>7} {:>7} {:>7}  | {:>7} {:>7} {:>7} {:>7} {:>10}\n{rule}",
        pad("Name", name_width, Align::Left),
        "# reqs",
        "# fails",
        "Avg",
        "Min",
        "Max",
        "Median",
        "req/s",
        "p95",
        "p99",
        "failures/s"
    );
    for (entry, name) in snapshot.entries.iter().zip(&names) {
        let (rps, fails_per_second) = rates(entry);
        let _infallible = writeln!(
            text,
            " {} {:>7} {:>12} {:>7} {:>7} {:>7}  | {:>7} {:>7} {:>7} {:>7} {:>10}",
            pad(&shorten(name, name_width), name_width, Align::Left),
            entry.requests,
            fails(entry),
            milliseconds(entry.avg()),
            milliseconds(entry.min),
            milliseconds(entry.max),
            milliseconds(entry.percentile(0.5)),
            known(rps, 2),
            milliseconds(entry.percentile(0.95)),
            milliseconds(entry.percentile(0.99)),
            known(fails_per_second, 2),
        );
    }
    let total = &snapshot.total;
    let (rps, fails_per_second) = rates(total);
    let _infallible = writeln!(
        text,
        "{rule}\n {} {:>7} {:>12} {:>42} {:>7} {:>7} {:>10}\n",
        pad("Total", name_width, Align::Left),
        total.requests,
        fails(total),
        known(rps, 2),
        milliseconds(total.percentile(0.95)),
        milliseconds(total.percentile(0.99)),
        known(fails_per_second, 2)
    );
    text
}

/// `n(p.pp%)`.
fn fails(entry: &EntryView) -> String {
    format!("{}({}%)", entry.failures, percent(entry.failures, entry.judged()))
}

/// The columns right of the name, with the blank before each.
const NUMBERS_WIDTH: usize = 91;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::tests::busy_snapshot;

    #[test]
    fn a_table_before_the_first_request_has_its_header_and_its_total() {
        insta::assert_snapshot!(table(&Snapshot::default(), TABLE_WIDTH), @r##"
         Name                                                          # reqs      # fails     Avg     Min     Max  |  Median   req/s     p95     p99 failures/s
        --------------------------------------------------------------------------------------------------------------------------------------------------------
        --------------------------------------------------------------------------------------------------------------------------------------------------------
         Total                                                              0     0(0.00%)                                          -    0.00    0.00          -
        "##);
    }

    #[test]
    fn the_table_has_the_shape_of_locusts_and_our_columns_to_the_right() {
        insta::assert_snapshot!(table(&busy_snapshot(), TABLE_WIDTH), @r##"
         Name                                                          # reqs      # fails     Avg     Min     Max  |  Median   req/s     p95     p99 failures/s
        --------------------------------------------------------------------------------------------------------------------------------------------------------
         GET /cart                                                        100     0(0.00%)    0.42    0.42    0.42  |    0.42   10.00    0.42    0.42       0.00
         POST /日本/long/long/long/long…g/long/long/long/end\u{1b}[2J     101     2(1.98%)      27      15    1234  |      15   10.10      15      15       0.20
        --------------------------------------------------------------------------------------------------------------------------------------------------------
         Total                                                            201     2(1.00%)                                      20.10      15      15       0.20
        "##);
    }

    #[test]
    fn names_are_cut_in_the_middle_on_a_narrow_terminal() {
        insta::assert_snapshot!(table(&busy_snapshot(), 120), @r##"
         Name                          # reqs      # fails     Avg     Min     Max  |  Median   req/s     p95     p99 failures/s
        ------------------------------------------------------------------------------------------------------------------------
         GET /cart                        100     0(0.00%)    0.42    0.42    0.42  |    0.42   10.00    0.42    0.42       0.00
         POST /日本/lon…/end\u{1b}[2J     101     2(1.98%)      27      15    1234  |      15   10.10      15      15       0.20
        ------------------------------------------------------------------------------------------------------------------------
         Total                            201     2(1.00%)                                      20.10      15      15       0.20
        "##);
    }

    #[test]
    fn every_line_is_as_wide_as_the_rule() {
        for width in [80, 120, 152, 200, 300] {
            let text = table(&busy_snapshot(), width);
            let widths: Vec<usize> = text.lines().filter(|line| !line.is_empty()).map(|line| line.width()).collect();
            assert!(widths.iter().all(|line| *line == widths[0]), "{width}: {widths:?}");
        }
    }

    #[test]
    fn a_run_that_is_over_shows_the_rates_of_the_whole_run() {
        let mut snapshot = busy_snapshot();
        snapshot.state = RunState::Stopped;
        assert!(table(&snapshot, TABLE_WIDTH).contains(" 33.50 "));
    }
}
