//! The columns of the tables: title, width, text and order of each. Text from targets comes out escaped.

use std::cmp::Ordering;

use crate::front::snapshot_json::{EntryJson, ErrorJson, WorkerJson};
use crate::front::text::{Align, bytes, clock, escape, milliseconds, of_seconds};

/// A column of a table whose rows are `T`.
#[expect(missing_debug_implementations, reason = "functions have no text")]
pub struct Column<T> {
    /// With the unit, where it has one.
    pub title: &'static str,
    /// Columns of the terminal; 0 takes what is left.
    pub width: u16,
    pub align: Align,
    /// 0 is always shown; the greatest is the first to go where room is short.
    pub rank: u8,
    /// What stands in a row.
    pub text: fn(&T) -> String,
    /// The rows' order by this column.
    pub order: fn(&T, &T) -> Ordering,
}

impl<T> Column<T> {
    const fn words(title: &'static str, width: u16, rank: u8, text: fn(&T) -> String, order: fn(&T, &T) -> Ordering) -> Self {
        Self { title, width, align: Align::Left, rank, text, order }
    }

    const fn number(title: &'static str, width: u16, rank: u8, text: fn(&T) -> String, order: fn(&T, &T) -> Ordering) -> Self {
        Self { title, width, align: Align::Right, rank, text, order }
    }

    /// Whether the greatest comes first when one sorts by it.
    #[must_use]
    pub fn is_number(&self) -> bool {
        self.align == Align::Right
    }
}

/// Columns of the statistics.
pub const ENTRY_COLUMNS: &[Column<EntryJson>] = &[
    Column::words("Method", 6, 2, |e| escape(&e.method).into_owned(), |a, b| a.method.cmp(&b.method)),
    Column::words("Name", 0, 0, |e| escape(&e.name).into_owned(), |a, b| a.name.cmp(&b.name)),
    Column::number("Requests", 9, 1, |e| grouped(e.requests), |a, b| a.requests.cmp(&b.requests)),
    Column::number("Fails", 7, 1, |e| grouped(e.failures), |a, b| a.failures.cmp(&b.failures)),
    Column::number("Fail %", 6, 3, |e| share(e.fail_ratio), |a, b| by_number(a.fail_ratio, b.fail_ratio)),
    Column::number("avg ms", 7, 4, |e| optional(e.avg_ms), |a, b| by_number(a.avg_ms, b.avg_ms)),
    Column::number("min ms", 7, 5, |e| optional(e.min_ms), |a, b| by_number(a.min_ms, b.min_ms)),
    Column::number("p50 ms", 7, 2, |e| optional(e.p50_ms), |a, b| by_number(a.p50_ms, b.p50_ms)),
    Column::number("p90 ms", 7, 5, |e| optional(e.p90_ms), |a, b| by_number(a.p90_ms, b.p90_ms)),
    Column::number("p95 ms", 7, 0, |e| optional(e.p95_ms), |a, b| by_number(a.p95_ms, b.p95_ms)),
    Column::number("p99 ms", 7, 3, |e| optional(e.p99_ms), |a, b| by_number(a.p99_ms, b.p99_ms)),
    Column::number("p99.9", 7, 6, |e| optional(e.p99_9_ms), |a, b| by_number(a.p99_9_ms, b.p99_9_ms)),
    Column::number("max ms", 7, 4, |e| optional(e.max_ms), |a, b| by_number(a.max_ms, b.max_ms)),
    Column::number("req/s", 8, 0, |e| rate(e.current_requests_per_s), |a, b| by_number(a.current_requests_per_s, b.current_requests_per_s)),
    Column::number(
        "fail/s",
        7,
        4,
        |e| rate(e.current_failures_per_s),
        |a, b| by_number(a.current_failures_per_s, b.current_failures_per_s),
    ),
    Column::number(
        "Body avg",
        10,
        6,
        |e| e.avg_body_bytes.map_or_else(String::new, |mean| bytes(mean.max(0.0) as u64)),
        |a, b| a.avg_body_bytes.partial_cmp(&b.avg_body_bytes).unwrap_or(Ordering::Equal),
    ),
];

/// Columns of the failures.
pub const FAILURE_COLUMNS: &[Column<ErrorJson>] = &[
    Column::number("Times", 9, 0, |e| grouped(e.occurrences), |a, b| a.occurrences.cmp(&b.occurrences)),
    Column::words("Kind", 9, 1, |e| escape(&e.kind).into_owned(), |a, b| a.kind.cmp(&b.kind)),
    Column::words("Method", 6, 3, |e| escape(&e.method).into_owned(), |a, b| a.method.cmp(&b.method)),
    Column::words("Name", 24, 1, |e| escape(&e.name).into_owned(), |a, b| a.name.cmp(&b.name)),
    Column::words("Error", 0, 0, |e| escape(&e.message).into_owned(), |a, b| a.message.cmp(&b.message)),
    Column::number("First", 8, 5, |e| moment(e.first_seen_s), |a, b| a.first_seen_s.total_cmp(&b.first_seen_s)),
    Column::number("Last", 8, 4, |e| moment(e.last_seen_s), |a, b| a.last_seen_s.total_cmp(&b.last_seen_s)),
];

/// Columns of the workers.
pub const WORKER_COLUMNS: &[Column<WorkerJson>] = &[
    Column::words("Worker", 0, 0, |w| short_id(&w.id), |a, b| a.id.cmp(&b.id)),
    Column::words("State", 9, 0, |w| escape(&w.state).into_owned(), |a, b| a.state.cmp(&b.state)),
    Column::number("Users", 7, 0, |w| grouped(w.users), |a, b| a.users.cmp(&b.users)),
    Column::number("Slots", 6, 3, |w| grouped(u64::from(w.slots)), |a, b| a.slots.cmp(&b.slots)),
    Column::number("Lanes", 5, 4, |w| w.lanes.to_string(), |a, b| a.lanes.cmp(&b.lanes)),
    Column::number("CPU cores", 9, 1, |w| known(w.cpu_cores, |cores| format!("{cores:.2}")), |a, b| by_number(a.cpu_cores, b.cpu_cores)),
    Column::number("Memory", 9, 2, |w| known(w.memory_bytes, bytes), |a, b| a.memory_bytes.cmp(&b.memory_bytes)),
    Column::number("Lag ms", 7, 1, |w| known(w.lag_ms, millis), |a, b| by_number(a.lag_ms, b.lag_ms)),
    Column::number("RTT ms", 7, 2, |w| known(w.round_trip_ms, millis), |a, b| by_number(a.round_trip_ms, b.round_trip_ms)),
    Column::number("Silent s", 8, 4, |w| format!("{:.0}", w.silence_s), |a, b| a.silence_s.total_cmp(&b.silence_s)),
    Column::words("Script", 14, 5, |w| escape(&w.script).into_owned(), |a, b| a.script.cmp(&b.script)),
    Column::words("Fingerprint", 12, 4, |w| escape(&w.fingerprint).chars().take(12).collect(), |a, b| a.fingerprint.cmp(&b.fingerprint)),
];

/// What is known, as text; a dash where nothing is.
fn known<Reading>(reading: Option<Reading>, text: impl Fn(Reading) -> String) -> String {
    reading.map_or_else(|| NONE.to_owned(), text)
}

/// A whole number with commas between thousands.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Milliseconds without their unit, as everywhere in the program.
#[must_use]
pub fn millis(ms: f64) -> String {
    of_seconds(ms / 1e3, milliseconds)
}

/// A rate with as many digits as it deserves; a dash where nobody knows it.
#[must_use]
pub fn rate(per_s: Option<f64>) -> String {
    let Some(per_s) = per_s else { return NONE.to_owned() };
    if per_s >= 9_999.5 {
        grouped(per_s.round() as u64)
    } else if per_s >= 99.95 {
        format!("{per_s:.0}")
    } else if per_s >= 9.995 {
        format!("{per_s:.1}")
    } else {
        format!("{per_s:.2}")
    }
}

/// A share in percent, without the sign; never none or all where it is neither, and a dash where nobody knows it.
#[must_use]
pub fn share(ratio: Option<f64>) -> String {
    let Some(ratio) = ratio else { return NONE.to_owned() };
    let percent = ratio * 100.0;
    let bounded = if ratio <= 0.0 || ratio >= 1.0 { percent } else { percent.clamp(0.01, 99.99) };
    format!("{bounded:.2}")
}

/// A share in percent, with the sign where there is a number.
#[must_use]
pub fn percent(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| NONE.to_owned(), |_| format!("{} %", share(ratio)))
}

/// A number that may be missing.
#[must_use]
pub fn optional(ms: Option<f64>) -> String {
    ms.map_or_else(|| NONE.to_owned(), millis)
}

/// A moment on the run's clock.
#[must_use]
pub fn moment(seconds: f64) -> String {
    of_seconds(seconds, clock)
}

/// A worker's host and the beginning of its number, which is enough to tell workers apart.
#[must_use]
pub fn short_id(id: &str) -> String {
    let id = escape(id);
    match id.rsplit_once('_') {
        Some((host, number)) if number.len() == 32 => format!("{host}_{}", &number[..6.min(number.len())]),
        _ => id.into_owned(),
    }
}

/// What stands where there is no number.
const NONE: &str = "-";

/// The order of numbers that may be missing: a missing one is the least.
pub fn by_number(left: Option<f64>, right: Option<f64>) -> Ordering {
    left.unwrap_or(f64::NEG_INFINITY).total_cmp(&right.unwrap_or(f64::NEG_INFINITY))
}
