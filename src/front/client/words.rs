//! What the shell's commands show of a master's answers: pure functions from JSON to text.

use std::fmt::Write as _;

use crate::front::profiles::in_short;
use crate::front::snapshot_json::{AcceptedJson, EntryJson, RunJson, SnapshotJson, StateJson};
use crate::front::text::{Align, clock, escape, length, milliseconds, number, of_seconds, pad, shorten};

/// What was done, on one line.
#[must_use]
pub fn accepted(reply: &AcceptedJson) -> String {
    let host = reply.host.as_deref().map_or_else(String::new, |host| format!(" against {}", escape(host)));
    match &*reply.run {
        "" => format!("{}\n", escape(&reply.message)),
        run => format!("run {}{host}: {}\n", escape(run), escape(&reply.message)),
    }
}

/// Whether run `run` is over, or another one is in its place.
#[must_use]
pub fn is_over(run: &str, shown: &RunJson) -> bool {
    shown.run != run || !shown.state.is_active()
}

/// The run on one line, for a log.
#[must_use]
pub fn line(snapshot: &SnapshotJson) -> String {
    let total = &snapshot.total;
    let progress = match (snapshot.iterations.begun, snapshot.iterations.total) {
        (Some(begun), Some(total)) => format!("  iterations {begun}/{total}"),
        _ => String::new(),
    };
    format!(
        "{} {}  users {}/{}{progress}  requests {} ({}/s)  failures {} ({})  p50 {} ms  p95 {} ms  workers {}",
        of_seconds(snapshot.elapsed_s, clock),
        state(snapshot.state),
        snapshot.users,
        snapshot.target_users,
        total.requests,
        number_short(total.current_requests_per_s),
        total.failures,
        fail_percent(total),
        millis(snapshot.current_p50_ms),
        millis(snapshot.current_p95_ms),
        present(snapshot),
    )
}

/// The run whole: its state, its rows, what fails, `columns` wide and at most `rows` high.
#[must_use]
pub fn status(snapshot: &SnapshotJson, columns: usize, rows: usize) -> String {
    let mut lines = head(snapshot);
    if snapshot.total.requests > 0 {
        lines.push(String::new());
        lines.extend(table(snapshot, columns, rows.saturating_sub(lines.len() + 2)));
    }
    let left = rows.saturating_sub(lines.len());
    let failures = snapshot.errors.iter().map(|error| {
        let (method, name, message) = (escape(&error.method), escape(&error.name), escape(&error.message));
        format!("{:>8}  {method} {name}: {message}", error.occurrences)
    });
    let raised = snapshot.exceptions.iter().map(|raised| {
        let message = raised.message.lines().next().unwrap_or_default().to_owned();
        format!("{:>8}  {}", raised.count, escape(&message))
    });
    let failures: Vec<String> = failures.chain(raised).collect();
    if !failures.is_empty() && left > 2 {
        lines.extend([String::new(), "failures".to_owned()]);
        lines.extend(failures.into_iter().take((left - 2).min(FAILURES)));
    }
    lines.iter().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{}", shorten(line, columns).trim_end());
        text
    })
}

fn head(snapshot: &SnapshotJson) -> Vec<String> {
    let planned = snapshot.planned_s.map_or_else(String::new, |planned| format!(" of {}", of_seconds(planned, clock)));
    let total = &snapshot.total;
    let mut rows = vec![("state", format!("{}, {}{planned}", state(snapshot.state), of_seconds(snapshot.elapsed_s, clock)))];
    if snapshot.run.is_empty() {
        rows[0].1 = state(snapshot.state).to_owned();
    } else {
        rows.push(("run", format!("{}  {}", escape(&snapshot.run), escape(&snapshot.scenario))));
    }
    rows.extend(snapshot.host.iter().map(|host| ("host", escape(host).into_owned())));
    rows.push(("users", format!("{} of {}", snapshot.users, snapshot.target_users)));
    if let (Some(begun), Some(total)) = (snapshot.iterations.begun, snapshot.iterations.total) {
        rows.push(("iterations", format!("{begun} of {total} begun")));
    }
    for words in in_short(&snapshot.profiles, length(snapshot.elapsed_s)) {
        rows.push(("profile", escape(&words).into_owned()));
    }
    rows.push(("workers", present(snapshot).to_string()));
    if total.requests > 0 {
        let rate = number_short(total.current_requests_per_s);
        let failed = fail_percent(total);
        rows.push(("requests", format!("{} ({rate}/s), {} failed ({failed})", total.requests, total.failures)));
        let (p50, p95) = (millis(snapshot.current_p50_ms), millis(snapshot.current_p95_ms));
        rows.push(("last 10 s", format!("p50 {p50} ms, p95 {p95} ms")));
    }
    for threshold in &snapshot.thresholds {
        let mark = if threshold.passed { "holds" } else { "FAILS" };
        let (metric, condition) = (escape(&threshold.metric), escape(&threshold.condition));
        rows.push(("threshold", format!("{mark}  {metric} {condition}  ({})", escape(&threshold.actual))));
    }
    if !snapshot.holes.is_empty() {
        let workers = snapshot.holes.len();
        rows.push(("LOST", format!("numbers are missing of {workers} worker{}", if workers == 1 { "" } else { "s" })));
    }
    rows.extend(snapshot.aborted.iter().map(|why| ("ENDED", escape(why).into_owned())));
    rows.extend(snapshot.misuse.iter().map(|why| ("FAILED", escape(why).into_owned())));
    rows.extend(snapshot.unfinished.iter().map(|why| ("INCOMPLETE", escape(why).into_owned())));
    rows.extend(snapshot.warnings.iter().map(|warning| ("warning", escape(warning).into_owned())));
    rows.into_iter().map(|(name, value)| format!("{}{value}", pad(name, 11, Align::Left))).collect()
}

/// The rows of the statistics; those with the most requests where not all have place.
fn table(snapshot: &SnapshotJson, columns: usize, places: usize) -> Vec<String> {
    let mut entries: Vec<&EntryJson> = snapshot.entries.iter().collect();
    if entries.len() > places {
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.requests));
        entries.truncate(places.max(1));
        entries.sort_by(|one, other| (&one.name, &one.method).cmp(&(&other.name, &other.method)));
    }
    let left_out = snapshot.entries.len() - entries.len();
    let title = |entry: &EntryJson| format!("{} {}", escape(&entry.method), escape(&entry.name)).trim().to_owned();
    let width = columns.saturating_sub(NUMBERS.len() * COLUMN).clamp(12, 48);
    let row = |name: &str, numbers: [String; 7]| {
        numbers.iter().fold(pad(&shorten(name, width), width, Align::Left), |line, number| line + &pad(number, COLUMN, Align::Right))
    };
    let mut lines = vec![row("", NUMBERS.map(str::to_owned))];
    lines.extend(entries.into_iter().map(|entry| row(&title(entry), numbers(entry))));
    let total = if left_out == 0 { "total".to_owned() } else { format!("total, {left_out} more too") };
    lines.push(row(&total, numbers(&snapshot.total)));
    lines
}

fn numbers(entry: &EntryJson) -> [String; 7] {
    [
        entry.requests.to_string(),
        entry.failures.to_string(),
        number_short(entry.current_requests_per_s),
        millis(entry.avg_ms),
        millis(entry.p50_ms),
        millis(entry.p95_ms),
        millis(entry.p99_ms),
    ]
}

/// Of the requests that are judged, as the master counts them.
fn fail_percent(entry: &EntryJson) -> String {
    entry.fail_ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{:.2}%", ratio * 100.0))
}

fn state(state: StateJson) -> &'static str {
    if state == StateJson::Waiting { "waiting for workers" } else { state.name() }
}

fn present(snapshot: &SnapshotJson) -> usize {
    snapshot.workers.iter().filter(|worker| !matches!(&*worker.state, "missing" | "left")).count()
}

fn millis(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| of_seconds(value / 1e3, milliseconds))
}

/// A dash where nobody knows it.
fn number_short(value: Option<f64>) -> String {
    let Some(value) = value else { return "-".to_owned() };
    if value < 99.95 { number((value * 10.0).round() / 10.0) } else { format!("{value:.0}") }
}

/// Lines of the terminal; `None` without one.
#[must_use]
pub fn rows() -> Option<usize> {
    terminal_size::terminal_size_of(std::io::stdout()).map(|(_, height)| usize::from(height.0))
}

const NUMBERS: [&str; 7] = ["requests", "failed", "req/s", "avg ms", "p50 ms", "p95 ms", "p99 ms"];
const COLUMN: usize = 10;
const FAILURES: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::tests::busy_snapshot;

    #[test]
    fn a_busy_run_is_shown_whole_and_within_its_bounds() {
        let snapshot = SnapshotJson::from(&busy_snapshot());
        let text = status(&snapshot, 120, 60);
        for wanted in ["state", "running", "GET /cart", "total", "p95 ms", "failures", "shop.lua:3: attempt to index nil"] {
            assert!(text.contains(wanted), "{wanted} in\n{text}");
        }
        for (columns, rows) in [(80, 24), (40, 12), (20, 5)] {
            let text = status(&snapshot, columns, rows);
            assert!(text.lines().all(|line| unicode_width::UnicodeWidthStr::width(line) <= columns), "{text}");
        }
        assert!(line(&snapshot).contains("running  users"), "{}", line(&snapshot));
    }

    #[test]
    fn before_the_first_run_there_are_no_numbers() {
        assert_eq!(status(&SnapshotJson::default(), 80, 24), "state      ready\nusers      0 of 0\nworkers    0\n");
    }

    #[test]
    fn text_of_targets_cannot_move_the_cursor() {
        let mut snapshot = SnapshotJson::from(&busy_snapshot());
        snapshot.entries[0].name = "\x1b[2J".to_owned();
        snapshot.host = Some("http://\x1b[31m".to_owned());
        let text = status(&snapshot, 120, 60) + &line(&snapshot);
        assert!(!text.contains('\x1b'), "{text}");
        let said = accepted(&AcceptedJson { run: "1".to_owned(), host: None, message: "\x07".to_owned() });
        assert!(!said.contains('\x07'));
    }
}
