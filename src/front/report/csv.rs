//! The four CSV files of `--csv`, with the names and columns of Locust 2.47.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::output::Output;
use super::place::{Growing, Place};
use super::{Closing, PERCENTILES, ReportError, SecondGate};
use crate::stats::histogram::Histogram;
use crate::stats::snapshot::{EntryView, ErrorView, ExceptionView, Snapshot};

/// The four files, from before the run to its end.
#[derive(Debug)]
pub struct CsvFiles {
    stats: Place,
    history: Growing,
    failures: Place,
    exceptions: Place,
    gate: SecondGate,
    /// Requests, iterations and users of the last row.
    written: Option<(u64, u64, u64)>,
    window: Window,
}

impl CsvFiles {
    /// Creates `BASE_stats.csv`, `BASE_stats_history.csv`, `BASE_failures.csv` and `BASE_exceptions.csv`, and the folder before them.
    ///
    /// # Errors
    /// One of them cannot be written.
    pub fn create(base: &Path) -> Result<Self, ReportError> {
        // Four files have no room in one stream, and a folder gives them no name.
        if base == Path::new("-") || base.as_os_str().as_encoded_bytes().ends_with(b"/") {
            let words = "it is the beginning of four files' names, such as `results/monday`";
            return Err(ReportError { path: base.to_owned(), source: std::io::Error::new(std::io::ErrorKind::InvalidInput, words) });
        }
        let place = |ending| Place::new(&file_of(base, ending));
        let (stats, failures, exceptions) = (place("_stats.csv")?, place("_failures.csv")?, place("_exceptions.csv")?);
        let mut history = Growing::create(&file_of(base, "_stats_history.csv"))?;
        history.write(&history_header())?;
        // What an earlier run left must not be taken for this one's.
        let none = Snapshot::default();
        stats.replace(&stats_header(Ours::default()))?;
        failures.replace(&self::failures(&none))?;
        exceptions.replace(&self::exceptions(&none))?;
        Ok(Self { stats, history, failures, exceptions, gate: SecondGate::default(), written: None, window: Window::default() })
    }

    /// Whether the snapshot was of a second that had no row.
    fn add_row(&mut self, snapshot: &Snapshot) -> Result<bool, ReportError> {
        let Some(second) = self.gate.pass(snapshot) else { return Ok(false) };
        self.write_row(snapshot, second)?;
        Ok(true)
    }

    /// The last row is that of the whole run: of what came after the last second's row there is one more.
    fn add_last_row(&mut self, last: &Snapshot) -> Result<(), ReportError> {
        let state = state_of(last);
        match self.gate.pass(last).or(self.gate.0.filter(|_| last.started_at.is_some() && self.written != Some(state))) {
            Some(second) => self.write_row(last, second),
            None => Ok(()),
        }
    }

    fn write_row(&mut self, snapshot: &Snapshot, second: u64) -> Result<(), ReportError> {
        self.written = Some(state_of(snapshot));
        let current = self.window.advance(second, &snapshot.total.histogram);
        self.history.write(&history_row(snapshot, &current))
    }

    fn tables(&mut self, snapshot: &Snapshot) -> [(&mut Place, String); 3] {
        [(&mut self.stats, stats(snapshot)), (&mut self.failures, failures(snapshot)), (&mut self.exceptions, exceptions(snapshot))]
    }
}

impl Output for CsvFiles {
    fn keys(&self) -> Vec<PathBuf> {
        vec![self.stats.key(), self.history.key(), self.failures.key(), self.exceptions.key()]
    }

    /// Adds the row `Aggregated` to the history, one for each second of the run's clock, whatever the number of snapshots, and writes the
    /// other three as they stand.
    fn on_snapshot(&mut self, snapshot: &Snapshot) -> Result<(), ReportError> {
        if !self.add_row(snapshot)? {
            return Ok(());
        }
        for (place, text) in self.tables(snapshot) {
            if place.is_file() {
                place.replace(&text)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, last: &Snapshot, _: &Closing) -> Result<(), ReportError> {
        let row = self.add_last_row(last);
        // Each is written, whatever became of the others.
        self.tables(last).into_iter().map(|(place, text)| place.finish(&text)).fold(row, Result::and)
    }
}

/// What the next row would tell anew.
const fn state_of(snapshot: &Snapshot) -> (u64, u64, u64) {
    (snapshot.total.requests, snapshot.times.iterations.count, snapshot.users)
}

fn file_of(base: &Path, ending: &str) -> PathBuf {
    let mut path = base.as_os_str().to_owned();
    path.push(ending);
    PathBuf::from(path)
}

/// What was counted in the last 10 seconds, as the difference of two states of a histogram that only grows.
#[derive(Debug, Default)]
struct Window {
    /// (second, value in microseconds and count), oldest first.
    states: VecDeque<(u64, Vec<(u64, u64)>)>,
}

impl Window {
    /// Notes the state at `second` and gives what was counted since the state of 10 seconds before.
    fn advance(&mut self, second: u64, whole: &Histogram) -> Histogram {
        while self.states.get(1).is_some_and(|(at, _)| at + WINDOW_SECONDS <= second) {
            self.states.pop_front();
        }
        // Until the run is 10 seconds old the window begins with the run itself.
        let start = self.states.front().filter(|(at, _)| at + WINDOW_SECONDS <= second).map_or(&[][..], |(_, state)| state);
        let state: Vec<(u64, u64)> = whole.iter().collect();
        let mut before = start.iter().peekable();
        let mut current = Histogram::default();
        for &(value, count) in &state {
            while before.peek().is_some_and(|(old, _)| *old < value) {
                before.next();
            }
            let old = before.peek().filter(|(old, _)| *old == value).map_or(0, |(_, old)| *old);
            // A reset makes counts shrink; what is left then is new.
            let difference = count.checked_sub(old).unwrap_or(count);
            if difference > 0 {
                current.record_n(value, difference);
            }
        }
        self.states.push_back((second, state));
        current
    }
}

const WINDOW_SECONDS: u64 = 10;

/// Which columns of ours stand behind Locust's.
#[derive(Debug, Clone, Copy, Default)]
struct Ours {
    /// How many requests were cut.
    cut: bool,
    /// Times from the moment at which requests were due.
    due: bool,
}

fn stats_header(ours: Ours) -> String {
    let mut columns = vec![
        "Type",
        "Name",
        "Request Count",
        "Failure Count",
        "Median Response Time",
        "Average Response Time",
        "Min Response Time",
        "Max Response Time",
        "Average Content Size",
        "Requests/s",
        "Failures/s",
    ];
    columns.extend(PERCENTILES.iter().map(|(name, _)| *name));
    columns.extend(ours.cut.then_some("Cut Count"));
    columns.extend(ours.due.then_some(DUE.map(|(name, _)| name)).into_iter().flatten());
    row(columns.into_iter().map(str::to_owned))
}

/// The rows of `BASE_stats.csv`: Locust's columns, where anything was cut one more, and where requests were due four more.
pub(in crate::front) fn stats(snapshot: &Snapshot) -> String {
    let ours = Ours { cut: snapshot.total.cut > 0, due: snapshot.total.since_due.count > 0 };
    let mut text = stats_header(ours);
    let entries = snapshot.entries.iter().map(|entry| (entry, &*entry.name));
    for (entry, name) in entries.chain([(&snapshot.total, "Aggregated")]) {
        let cells = [cell(&entry.method), cell(name), entry.requests.to_string(), entry.failures.to_string()];
        let times = times(entry);
        let rates = [entry.total_rps, entry.total_fail_per_sec].map(rate);
        let percentiles = PERCENTILES.iter().map(|(_, quantile)| time(entry.percentile(*quantile)));
        let cut = ours.cut.then(|| entry.cut.to_string());
        let since_due = |quantile| time(entry.since_due.percentile(quantile).map(Duration::from_secs_f64));
        let due = ours.due.then(|| DUE.map(|(_, quantile)| since_due(quantile)));
        text.push_str(&row(cells.into_iter().chain(times).chain(rates).chain(percentiles).chain(cut).chain(due.into_iter().flatten())));
    }
    text
}

/// Columns of times from the moment at which requests were due.
const DUE: [(&str, f64); 4] = [("Due 50%", 0.5), ("Due 95%", 0.95), ("Due 99%", 0.99), ("Due 100%", 1.0)];

/// Median, average, min and max in milliseconds, average content size in bytes, which is empty where none is known.
fn times(entry: &EntryView) -> [String; 5] {
    [
        time(entry.percentile(0.5)),
        time(entry.avg()),
        time(entry.min),
        time(entry.max),
        entry.mean_body_bytes().map_or_else(String::new, |content| format!("{content:.2}")),
    ]
}

/// Empty where nobody knows it.
fn rate(rate: Option<f64>) -> String {
    rate.map_or_else(String::new, |rate| format!("{rate:.6}"))
}

/// Of an entry of which nothing has come to its own end no duration is known.
fn time(time: Option<Duration>) -> String {
    time.map_or_else(|| NOT_AVAILABLE.to_owned(), milliseconds)
}

/// Locust's word where there is no number.
const NOT_AVAILABLE: &str = "N/A";

fn history_header() -> String {
    let before = ["Timestamp", "User Count", "Type", "Name", "Requests/s", "Failures/s"];
    let after = [
        "Total Request Count",
        "Total Failure Count",
        "Total Median Response Time",
        "Total Average Response Time",
        "Total Min Response Time",
        "Total Max Response Time",
        "Total Average Content Size",
    ];
    row(before.into_iter().chain(PERCENTILES.iter().map(|(name, _)| *name)).chain(after).chain(ARRIVALS).map(str::to_owned))
}

/// Columns behind Locust's, of the whole run so far: empty where no iteration was due.
const ARRIVALS: [&str; 5] =
    ["Total Iterations Due", "Total Iterations Started", "Total Iterations Dropped", "Total Lateness 50%", "Total Lateness 99%"];

/// What stands in them.
fn arrivals(snapshot: &Snapshot) -> [String; ARRIVALS.len()] {
    let arrivals = &snapshot.arrivals;
    if arrivals.due == 0 {
        return Default::default();
    }
    let late = |quantile| time(snapshot.times.lateness.percentile(quantile).map(Duration::from_secs_f64));
    let [due, started, dropped] = [arrivals.due, arrivals.started, snapshot.iterations_dropped].map(|count| count.to_string());
    [due, started, dropped, late(0.5), late(0.99)]
}

/// Rates and percentiles look at the last 10 seconds, the totals at the whole run.
fn history_row(snapshot: &Snapshot, current: &Histogram) -> String {
    let total = &snapshot.total;
    let timestamp = snapshot.started_at.map_or(0, |start| unix_seconds(start + snapshot.elapsed));
    let before = [
        timestamp.to_string(),
        snapshot.users.to_string(),
        String::new(),
        "Aggregated".to_owned(),
        rate(total.current_rps),
        rate(total.current_fail_per_sec),
    ];
    let percentiles = PERCENTILES.iter().map(|(_, quantile)| {
        if current.iter().next().is_none() {
            return NOT_AVAILABLE.to_owned();
        }
        // The upper end of the last bucket may lie above the exact maximum of the run.
        let value = Duration::from_micros(current.value_at(*quantile));
        milliseconds(total.max.map_or(value, |max| value.min(max)))
    });
    let counts = [total.requests.to_string(), total.failures.to_string()];
    row(before.into_iter().chain(percentiles).chain(counts).chain(times(total)).chain(arrivals(snapshot)))
}

/// The rows of `BASE_stats_history.csv` that the snapshot's own history knows: rates and percentiles are those of each point by itself, and
/// what is not kept of a point is not available.
pub(in crate::front) fn full_history(snapshot: &Snapshot) -> String {
    let mut text = history_header();
    let (mut requests, mut failures) = (0_u64, 0_u64);
    for point in &snapshot.history {
        let seen = point.seen.as_ref();
        requests += seen.map_or(0, |seen| seen.requests);
        failures += seen.map_or(0, |seen| seen.failures);
        let timestamp = snapshot.started_at.map_or(0, |start| unix_seconds(start + point.at + point.length));
        let users = seen.map_or_else(String::new, |seen| seen.users.to_string());
        let before = [timestamp.to_string(), users, String::new(), "Aggregated".to_owned()];
        let percentiles = PERCENTILES.iter().map(|(name, _)| {
            let place = ["50%", "95%", "99%"].iter().position(|kept| kept == name);
            let kept = place.and_then(|place| seen?.percentiles.map(|percentiles| milliseconds(percentiles[place])));
            kept.unwrap_or_else(|| NOT_AVAILABLE.to_owned())
        });
        let counts = [requests.to_string(), failures.to_string()];
        let times = (0..5).map(|_| NOT_AVAILABLE.to_owned());
        let rates = [rate(seen.map(|seen| seen.per_second(seen.requests))), rate(seen.map(|seen| seen.per_second(seen.failures)))];
        let arrivals = ARRIVALS.map(|_| String::new());
        text.push_str(&row(before.into_iter().chain(rates).chain(percentiles).chain(counts).chain(times).chain(arrivals)));
    }
    text
}

/// The rows of Locust 0.8.1's distribution of durations in milliseconds.
pub(in crate::front) fn distribution(snapshot: &Snapshot) -> String {
    let quantiles = || PERCENTILES.iter().filter(|(name, _)| !name.contains('.'));
    let header = ["Name", "# requests"].into_iter().chain(quantiles().map(|(name, _)| *name));
    let mut text = row(header.map(str::to_owned));
    for entry in snapshot.entries.iter().chain([&snapshot.total]) {
        let name = if entry.method.is_empty() { "Total".to_owned() } else { format!("{} {}", entry.method, entry.name) };
        let percentiles = quantiles().map(|(_, quantile)| time(entry.percentile(*quantile)));
        text.push_str(&row([cell(&name), entry.requests.to_string()].into_iter().chain(percentiles)));
    }
    text
}

/// The rows of `BASE_failures.csv`.
pub(in crate::front) fn failures(snapshot: &Snapshot) -> String {
    let header = ["Method", "Name", "Error", "Occurrences", "First Seen", "Last Seen"];
    let mut text = row(header.into_iter().map(str::to_owned));
    let moment = |clock: Duration| snapshot.started_at.map_or_else(String::new, |start| iso_time(start + clock));
    for error in &snapshot.errors {
        let cells = [cell(&error.method), cell(&error.name), cell(&error_text(error)), error.occurrences.to_string()];
        text.push_str(&row(cells.into_iter().chain([moment(error.first_seen), moment(error.last_seen)])));
    }
    text
}

/// An error in one line: its kind, and what is known beyond that.
pub(in crate::front) fn error_text(error: &ErrorView) -> String {
    if *error.message == *error.kind.name() { error.message.to_string() } else { format!("{}: {}", error.kind.name(), error.message) }
}

/// The workers that told of an exception, as Locust lists them.
pub(in crate::front) fn nodes(exception: &ExceptionView) -> String {
    let others = exception.has_more_nodes.then_some("and others");
    exception.nodes.iter().map(String::as_str).chain(others).collect::<Vec<_>>().join(", ")
}

/// The rows of `BASE_exceptions.csv`.
pub(in crate::front) fn exceptions(snapshot: &Snapshot) -> String {
    let mut text = row(["Count", "Message", "Traceback", "Nodes"].into_iter().map(str::to_owned));
    for exception in &snapshot.exceptions {
        text.push_str(&row(
            [exception.count.to_string(), cell(&exception.message), cell(&exception.traceback), cell(&nodes(exception))].into_iter()
        ));
    }
    text
}

/// One record of RFC 4180. Cells are quoted where they must be.
fn row(cells: impl Iterator<Item = String>) -> String {
    let quoted: Vec<String> =
        cells.map(|cell| if cell.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }).collect();
    quoted.join(",") + "\r\n"
}

/// Text from targets and scripts: a cell that a spreadsheet would take for a formula gets a quote mark in front.
fn cell(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}

/// Milliseconds with microseconds behind the point, without zeros at the end.
fn milliseconds(duration: Duration) -> String {
    crate::front::text::number(duration.as_secs_f64() * 1e3)
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn iso_time(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).map_or_else(|_| String::new(), |time| format!("{time:.0}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::tests::busy_snapshot;

    /// A reader of RFC 4180 that shares nothing with the writer.
    fn parse(text: &str) -> Vec<Vec<String>> {
        let (mut rows, mut cells, mut cell, mut is_quoted) = (Vec::new(), Vec::new(), String::new(), false);
        let mut characters = text.chars().peekable();
        while let Some(c) = characters.next() {
            match (c, is_quoted) {
                ('"', true) if characters.peek() == Some(&'"') => cell.extend(characters.next()),
                ('"', _) => is_quoted = !is_quoted,
                (',', false) => cells.push(std::mem::take(&mut cell)),
                ('\r', false) => {}
                ('\n', false) => {
                    cells.push(std::mem::take(&mut cell));
                    rows.push(std::mem::take(&mut cells));
                }
                (c, _) => cell.push(c),
            }
        }
        rows
    }

    #[test]
    fn the_four_files_read_back_as_they_were_meant() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("results/monday");
        let mut files = CsvFiles::create(&base).unwrap();
        let mut snapshot = busy_snapshot();
        for second in [1, 2, 2, 3] {
            snapshot.elapsed = Duration::from_secs(second);
            files.on_snapshot(&snapshot).unwrap();
        }
        files.finish(&snapshot, &Closing::default()).unwrap();
        let read = |ending: &str| parse(&std::fs::read_to_string(format!("{}{ending}", base.display())).unwrap());

        let stats = read("_stats.csv");
        assert_eq!(stats[0].join(","), STATS_HEADER);
        assert_eq!(stats[1][..9], ["GET", "/cart", "100", "0", "0.42", "0.42", "0.42", "0.42", "100.00"]);
        assert_eq!(stats.last().unwrap()[..4], ["", "Aggregated", "201", "2"]);
        assert_eq!(stats.last().unwrap().last().unwrap(), "1234");

        let history = read("_stats_history.csv");
        assert_eq!(history[0].join(","), HISTORY_HEADER);
        let seconds: Vec<&str> = history[1..].iter().map(|row| row[0].as_str()).collect();
        assert_eq!(seconds, ["1700000001", "1700000002", "1700000003"]);
        assert_eq!(history[1][1..6], ["8", "", "Aggregated", "20.100000", "0.200000"]);

        let failures = read("_failures.csv");
        assert_eq!(failures[0].join(","), "Method,Name,Error,Occurrences,First Seen,Last Seen");
        assert_eq!(
            failures[1],
            ["POST", "/login", "status: =503 Service\nUnavailable", "2", "2023-11-14T22:13:21Z", "2023-11-14T22:13:25Z"]
        );
        let exceptions = read("_exceptions.csv");
        assert_eq!(
            exceptions[1],
            ["3", "shop.lua:3: attempt to index nil", "stack traceback:\n\tshop.lua:3: in function", "node-1_0a, node-2_0b, and others"]
        );
        assert!([stats, history, failures, exceptions].iter().all(|rows| rows.iter().all(|row| row.len() == rows[0].len())));
    }

    #[test]
    fn the_last_row_of_the_history_is_that_of_the_whole_run() {
        let folder = tempfile::tempdir().unwrap();
        for (more, rows) in [(0, 2), (10, 3)] {
            let base = folder.path().join(more.to_string());
            let mut files = CsvFiles::create(&base).unwrap();
            let mut snapshot = busy_snapshot();
            snapshot.elapsed = Duration::from_secs(4);
            files.on_snapshot(&snapshot).unwrap();
            snapshot.elapsed = Duration::from_millis(4_300);
            snapshot.total.requests += more;
            files.finish(&snapshot, &Closing::default()).unwrap();
            let history = std::fs::read_to_string(file_of(&base, "_stats_history.csv")).unwrap();
            let (history, stats) = (parse(&history), parse(&std::fs::read_to_string(file_of(&base, "_stats.csv")).unwrap()));
            assert_eq!(history.len(), rows);
            let count = history[0].iter().position(|name| name == "Total Request Count").unwrap();
            let requests = stats[0].iter().position(|name| name == "Request Count").unwrap();
            assert_eq!(history.last().unwrap()[count], stats.last().unwrap()[requests]);
        }
    }

    #[test]
    fn times_from_the_due_moment_have_columns_where_something_was_due() {
        let mut snapshot = crate::front::tests::busy_snapshot();
        assert!(!stats(&snapshot).contains("Due"));
        let due = crate::front::tests::trend("http_req_duration_due", &[(1_000, 98), (2_000_000, 2)]);
        (snapshot.entries[0].since_due, snapshot.total.since_due) = (due.clone(), due);
        let text = stats(&snapshot);
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
        let ends: Vec<&[&str]> = rows.iter().map(|row| &row[row.len() - 4..]).collect();
        assert_eq!(ends[0], ["Due 50%", "Due 95%", "Due 99%", "Due 100%"]);
        assert_eq!(ends[1], ["1", "1", "2000", "2000"]);
        assert!(rows[2..].iter().any(|row| row[row.len() - 1] == "N/A") || rows.len() == 3, "{text}");
    }

    #[test]
    fn the_history_tells_of_due_iterations_where_there_are_any() {
        let mut snapshot = crate::front::tests::busy_snapshot();
        let last_five = |snapshot: &Snapshot| {
            let row = history_row(snapshot, &Histogram::default());
            row.trim_end().rsplit(',').take(5).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(last_five(&snapshot), ["", "", "", "", ""]);
        (snapshot.arrivals.due, snapshot.arrivals.started, snapshot.iterations_dropped) = (100, 97, 3);
        snapshot.times.lateness = crate::front::tests::trend("iteration_lateness", &[(1_000, 98), (2_000_000, 2)]);
        assert_eq!(last_five(&snapshot), ["2000", "1", "3", "97", "100"]);
    }

    #[test]
    fn what_was_cut_has_a_column_behind_locusts_where_there_is_any() {
        let cut = |cut| EntryView { name: "/poll".into(), requests: 5, cut, ..EntryView::default() };
        let text = |count| stats(&Snapshot { entries: vec![cut(count)], total: cut(count), ..Snapshot::default() });
        let ends: Vec<String> = text(3).lines().map(|line| line.rsplit(',').next().unwrap().to_owned()).collect();
        assert_eq!(ends, ["Cut Count", "3", "3"]);
        assert!(!text(0).contains("Cut"));
    }

    #[test]
    fn a_cell_that_looks_like_a_formula_is_defused() {
        assert_eq!(["=1+1", "@a", "-1", "+1", "/a"].map(cell), ["'=1+1", "'@a", "'-1", "'+1", "/a"]);
        assert_eq!(row(["a\"b".to_owned(), "c,d".to_owned(), "e".to_owned()].into_iter()), "\"a\"\"b\",\"c,d\",e\r\n");
    }

    #[test]
    fn an_entry_without_requests_has_no_percentiles() {
        assert!(stats(&Snapshot::default()).ends_with(",,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A,N/A\r\n"));
    }

    #[test]
    fn current_percentiles_forget_what_is_older_than_ten_seconds() {
        let mut whole = Histogram::default();
        let mut window = Window::default();
        whole.record_n(1_000, 100);
        assert_eq!(window.advance(1, &whole).value_at(0.5), 1_000);
        for second in 2..=10 {
            assert_eq!(window.advance(second, &whole).value_at(0.5), 1_000);
        }
        whole.record_n(2_000, 1);
        let current = window.advance(11, &whole);
        assert_eq!((current.value_at(0.0), current.iter().map(|(_, count)| count).sum::<u64>()), (whole.value_at(1.0).min(2_000), 1));
        assert_eq!(window.states.len(), 11);
        window.advance(12, &whole);
        assert_eq!(window.states.len(), 11);
    }

    #[test]
    fn a_path_that_cannot_be_written_is_known_at_once() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        let error = CsvFiles::create(&folder.path().join("file/monday")).unwrap_err();
        assert!(error.to_string().starts_with("cannot write `"), "{error}");
        for base in ["-", "results/"] {
            assert!(CsvFiles::create(Path::new(base)).unwrap_err().to_string().contains("four files' names"), "{base}");
        }
    }

    #[test]
    fn the_files_are_current_during_the_run_and_forget_the_run_before() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("monday");
        let rows = |ending: &str| parse(&std::fs::read_to_string(format!("{}{ending}", base.display())).unwrap()).len();
        let endings = ["_stats.csv", "_stats_history.csv", "_failures.csv", "_exceptions.csv"];
        let mut snapshot = busy_snapshot();
        for _ in 0..2 {
            let mut files = CsvFiles::create(&base).unwrap();
            assert_eq!(endings.map(rows), [1, 1, 1, 1], "headers alone");
            for second in [1, 2] {
                snapshot.elapsed = Duration::from_secs(second);
                files.on_snapshot(&snapshot).unwrap();
                let expected = [snapshot.entries.len() + 2, 1 + second as usize, 1 + snapshot.errors.len(), 1 + snapshot.exceptions.len()];
                assert_eq!(endings.map(rows), expected);
            }
        }
    }

    const STATS_HEADER: &str = "Type,Name,Request Count,Failure Count,Median Response Time,Average Response Time,Min Response Time,Max Response Time,Average Content Size,Requests/s,Failures/s,50%,66%,75%,80%,90%,95%,98%,99%,99.9%,99.99%,100%";
    const HISTORY_HEADER: &str = "Timestamp,User Count,Type,Name,Requests/s,Failures/s,50%,66%,75%,80%,90%,95%,98%,99%,99.9%,99.99%,100%,Total Request Count,Total Failure Count,Total Median Response Time,Total Average Response Time,Total Min Response Time,Total Max Response Time,Total Average Content Size,Total Iterations Due,Total Iterations Started,Total Iterations Dropped,\
        Total Lateness 50%,Total Lateness 99%";

    #[test]
    fn the_snapshots_own_history_has_the_columns_of_the_file() {
        let mut snapshot = busy_snapshot();
        let unknown =
            crate::stats::snapshot::HistoryPoint { at: Duration::from_secs(7), length: Duration::from_secs(1), ..Default::default() };
        snapshot.history[0].length = Duration::from_secs(2);
        let seen = snapshot.history[0].seen.as_mut().unwrap();
        (seen.known, seen.percentiles) = (Duration::from_secs(2), Some([0, 15, 15].map(Duration::from_millis)));
        snapshot.history.push(unknown);
        let text = full_history(&snapshot);
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
        assert_eq!((rows.len(), rows[0].join(",")), (3, HISTORY_HEADER.to_owned()));
        assert_eq!(rows[2][..7], ["1700000008", "", "", "Aggregated", "", "", "N/A"], "what nobody knows is empty");
        assert_eq!(rows[1][..7], ["1700000007", "8", "", "Aggregated", "16.500000", "0.000000", "0"]);
        let of = |name: &str| rows[1][rows[0].iter().position(|column| *column == name).unwrap()];
        assert_eq!((of("95%"), of("90%"), of("Total Request Count"), rows[1].len()), ("15", "N/A", "33", rows[0].len()));
    }
}
