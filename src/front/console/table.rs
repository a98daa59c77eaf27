//! The periodic table: Locust 0.8.1's columns and shape, with ours to the right of them.

use std::fmt::Write as _;
use std::time::Duration;

use unicode_width::UnicodeWidthStr;

use crate::front::text::{Align, clock, escape, known, milliseconds, pad, percent, shorten};
use crate::stats::snapshot::{EntryView, RunState, Snapshot, WarmupView};

/// The table's width where there is no terminal: names have 60 columns, as in 0.8.1.
pub const TABLE_WIDTH: usize = 152;

/// The table as it stands. `width` is the terminal's, or [`TABLE_WIDTH`]; where not all columns have room, the dearest go first.
///
/// Rates look at the last 10 seconds; those of a run that is over, at the whole run, and the table says so.
#[must_use]
pub fn table(snapshot: &Snapshot, width: usize) -> String {
    table_of(snapshot, width, "whole run")
}

fn table_of(snapshot: &Snapshot, width: usize, whole: &str) -> String {
    let names: Vec<String> =
        snapshot.entries.iter().map(|entry| escape(&format!("{} {}", entry.method, entry.name)).into_owned()).collect();
    let longest = names.iter().map(|name| name.width()).max().unwrap_or(0);
    let columns = columns_within(width, longest.clamp(NAME_LEAST, NAME_ENOUGH), snapshot.total.cut > 0);
    let numbers_width: usize = columns.iter().map(|column| column.width()).sum();
    let name_width = longest.max(60).min(width.saturating_sub(numbers_width + 1)).max(NAME_LEAST);
    let line_width = 1 + name_width + numbers_width;
    // On a terminal narrower than the table a longer rule would only wrap.
    let rule = "-".repeat(if width < TABLE_WIDTH { line_width } else { line_width.max(140) });
    let is_over = snapshot.state == RunState::Stopped;
    let line = |name: &str, cell: &dyn Fn(&Column) -> String| {
        let mut text = format!(" {}", pad(&shorten(name, name_width), name_width, Align::Left));
        for column in &columns {
            let _infallible = write!(text, "{}{}", column.gap, pad(&cell(column), column.digits, Align::Right));
        }
        text
    };
    let row = |name: &str, entry: &EntryView| line(name, &|column| (column.value)(entry, is_over));

    let header = line("Name", &|column| column.title.to_owned());
    let body: String = snapshot.entries.iter().zip(&names).map(|(entry, name)| row(name, entry) + "\n").collect();
    let total = row("Total", &snapshot.total);
    let note = if is_over && snapshot.total.requests > 0 { format!(" Rates are those of the {whole}.\n") } else { String::new() };
    format!("{header}\n{rule}\n{body}{rule}\n{total}\n{note}\n")
}

/// The warm-up's table as long as it lasts, then the one that counts.
#[must_use]
pub fn current_table(snapshot: &Snapshot, width: usize) -> String {
    match &snapshot.warmup {
        Some(warmup) if !warmup.is_over => warmup_table(warmup, width),
        _ => table(snapshot, width),
    }
}

/// The table of the warm-up, marked as such; empty where nothing was counted in it.
#[must_use]
pub fn warmup_table(warmup: &WarmupView, width: usize) -> String {
    format!(" Warm-up, to {}: counted apart, and judged by nothing.\n{}", clock(warmup.end), table_of(&warmup.numbers, width, "warm-up"))
}

/// One column of numbers.
struct Column {
    title: &'static str,
    digits: usize,
    /// What stands before it.
    gap: &'static str,
    /// Those of the highest rank leave a narrow table first; of rank 0, never.
    rank: u8,
    /// `true`: the run is over.
    value: fn(&EntryView, bool) -> String,
}

impl Column {
    const fn width(&self) -> usize {
        self.gap.len() + self.digits
    }
}

/// The columns that have room beside names of `name_width` columns; that of the cut ones only where there are any.
fn columns_within(width: usize, name_width: usize, has_cut: bool) -> Vec<&'static Column> {
    let (before, after) = COLUMNS.split_at(2);
    let mut columns: Vec<&Column> = before.iter().chain(has_cut.then_some(&CUT)).chain(after).collect();
    while 1 + name_width + columns.iter().map(|column| column.width()).sum::<usize>() > width {
        let dearest = columns.iter().enumerate().max_by_key(|(_, column)| column.rank).filter(|(_, column)| column.rank > 0);
        let Some((place, _)) = dearest else { break };
        columns.remove(place);
    }
    columns
}

const fn column(title: &'static str, digits: usize, gap: &'static str, rank: u8, value: fn(&EntryView, bool) -> String) -> Column {
    Column { title, digits, gap, rank, value }
}

/// Locust's, and ours to the right of them.
const COLUMNS: [Column; 10] = [
    column("# reqs", 7, " ", 0, |entry, _| entry.requests.to_string()),
    column("# fails", 12, " ", 0, |entry, _| format!("{}({})", entry.failures, percent(entry.failures, entry.judged()))),
    column("Avg", 7, " ", 2, |entry, _| time(entry.avg())),
    column("Min", 7, " ", 5, |entry, _| time(entry.min)),
    column("Max", 7, " ", 3, |entry, _| time(entry.max)),
    column("Median", 7, "  | ", 1, |entry, _| time(entry.percentile(0.5))),
    column("req/s", 7, " ", 0, |entry, is_over| known(if is_over { entry.total_rps } else { entry.current_rps }, 2)),
    column("p95", 7, " ", 4, |entry, _| time(entry.percentile(0.95))),
    column("p99", 7, " ", 0, |entry, _| time(entry.percentile(0.99))),
    column("failures/s", 10, " ", 6, |entry, is_over| {
        known(if is_over { entry.total_fail_per_sec } else { entry.current_fail_per_sec }, 2)
    }),
];

/// Requests that ended with their users: in `# reqs`, in no share of failures, no time and no rate.
const CUT: Column = column("# cut", 6, " ", 1, |entry, _| entry.cut.to_string());

/// A dash where no duration is known: before the first answer, or where all was cut.
pub(super) fn time(time: Option<Duration>) -> String {
    time.map_or_else(|| "-".to_owned(), milliseconds)
}

/// Names are cut to no less.
const NAME_LEAST: usize = 20;
/// For longer names no column goes.
const NAME_ENOUGH: usize = 23;

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
         Total                                                              0         0(-)       -       -       -  |       -       -       -       -          -
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
         Total                                                            201     2(1.00%)      14    0.42    1234  |      15   20.10      15      15       0.20
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
         Total                            201     2(1.00%)      14    0.42    1234  |      15   20.10      15      15       0.20
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
    fn no_line_is_wider_than_the_terminal_and_the_most_wanted_numbers_stay() {
        for width in 70..160 {
            let text = table(&busy_snapshot(), width);
            assert!(text.lines().all(|line| line.width() <= width), "{width}:\n{text}");
            for wanted in ["# reqs", "# fails", "req/s", "p99"] {
                assert!(text.contains(wanted), "{wanted} at {width}:\n{text}");
            }
        }
        insta::assert_snapshot!(table(&busy_snapshot(), 80), @r##"
         Name                     # reqs      # fails     Avg  |  Median   req/s     p99
        --------------------------------------------------------------------------------
         GET /cart                   100     0(0.00%)    0.42  |    0.42   10.00    0.42
         POST /日本/…nd\u{1b}[2J     101     2(1.98%)      27  |      15   10.10      15
        --------------------------------------------------------------------------------
         Total                       201     2(1.00%)      14  |      15   20.10      15
        "##);
        insta::assert_snapshot!(table(&busy_snapshot(), 100), @r##"
         Name                         # reqs      # fails     Avg     Max  |  Median   req/s     p95     p99
        ----------------------------------------------------------------------------------------------------
         GET /cart                       100     0(0.00%)    0.42    0.42  |    0.42   10.00    0.42    0.42
         POST /日本/lo…/end\u{1b}[2J     101     2(1.98%)      27    1234  |      15   10.10      15      15
        ----------------------------------------------------------------------------------------------------
         Total                           201     2(1.00%)      14    1234  |      15   20.10      15      15
        "##);
    }

    #[test]
    fn a_row_whose_requests_were_all_cut_has_no_times() {
        let mut snapshot = busy_snapshot();
        let cut = EntryView { name: "/poll".into(), requests: 3, cut: 3, unanswered: 3, ..EntryView::default() };
        snapshot.entries = vec![cut.clone()];
        snapshot.total = cut;
        let text = table(&snapshot, TABLE_WIDTH);
        assert!(text.lines().filter(|line| line.contains("3         0(-)      3       -")).count() == 2, "{text}");
        assert!(text.contains("# cut") && !table(&busy_snapshot(), TABLE_WIDTH).contains("cut"));
        for width in 70..160 {
            let text = table(&snapshot, width);
            assert!(text.lines().all(|line| line.width() <= width) && text.contains("# cut"), "{width}:\n{text}");
        }
    }

    #[test]
    fn a_run_that_is_over_shows_the_rates_of_the_whole_run() {
        let mut snapshot = busy_snapshot();
        snapshot.state = RunState::Stopped;
        assert!(table(&snapshot, TABLE_WIDTH).contains(" 33.50 "));
    }
}
