//! One entry whole: its numbers, how its durations are spread, and where the time goes.

use ratatui::layout::Rect;

use super::frame::empty;
use super::pen::Pen;
use super::theme::BandColour;
use crate::front::snapshot_json::EntryDetailJson;
use crate::front::text::{Align, bytes, escape, shorten, wrap};
use crate::front::tui::state::columns::optional;
use crate::front::tui::state::columns::{percent, rate};
use crate::front::tui::state::{Screen, grouped, millis};

/// The body of the detail.
pub fn detail(pen: &mut Pen<'_>, body: Rect, screen: &Screen) {
    let Some(detail) = &screen.detail else { return };
    let body = Rect { x: body.x + 1, width: body.width - 2, ..body };
    let title = if detail.name.is_empty() { "All entries".to_owned() } else { format!("{} {}", detail.method, detail.name) };
    let rows = TITLE_ROWS.min(usize::from(body.height / 4).max(1));
    let width = usize::from(body.width);
    let lines = wrap(&shorten(&escape(&title), width * rows), width);
    let lines = &lines[..lines.len().min(rows)];
    for (y, line) in (0..).zip(lines) {
        pen.text(body, 0, y, line, pen.theme.strong());
    }
    let more = lines.len() as u16 - 1;
    let Some(entry) = &detail.entry else {
        return empty(pen, body, "Asking the master for this entry.", &["Esc goes back."]);
    };
    let body = Rect { y: body.y + more, height: body.height - more, ..body };
    numbers(pen, Rect { y: body.y + 1, height: 3.min(body.height - 1), ..body }, entry);
    let rest = Rect { y: body.y + 5, height: body.height.saturating_sub(5), ..body };
    if rest.height < 2 {
        return;
    }
    let half = rest.width / 2;
    let left = Rect { width: half.saturating_sub(2), ..rest };
    let right = Rect { x: rest.x + half, width: rest.width - half, ..rest };
    distribution(pen, left, entry);
    let used = phases(pen, right, entry);
    answers(pen, Rect { y: right.y + used, height: right.height.saturating_sub(used), ..right }, entry);
}

fn numbers(pen: &mut Pen<'_>, area: Rect, entry: &EntryDetailJson) {
    let theme = pen.theme;
    let row = &entry.entry;
    let failed = if row.failures > 0 { theme.bad() } else { theme.strong() };
    let lines: [&[(&str, String, ratatui::style::Style)]; 3] = [
        &[
            ("requests ", grouped(row.requests), theme.strong()),
            ("failed ", format!("{} ({})", grouped(row.failures), percent(row.fail_ratio)), failed),
            ("lately ", format!("{} req/s, {} fail/s", rate(row.current_requests_per_s), rate(row.current_failures_per_s)), theme.strong()),
        ],
        &[
            ("avg ", format!("{} ms", optional(row.avg_ms)), theme.strong()),
            ("min ", format!("{} ms", optional(row.min_ms)), theme.strong()),
            ("max ", format!("{} ms", optional(row.max_ms)), theme.strong()),
            (
                "body ",
                row.avg_body_bytes
                    .map_or_else(|| "of unknown length".to_owned(), |mean| format!("{} on average", bytes(mean.max(0.0) as u64))),
                theme.strong(),
            ),
        ],
        &[
            ("in ", bytes(row.bytes_in), theme.plain()),
            ("out ", bytes(row.bytes_out), theme.plain()),
            ("not sent ", grouped(entry.more.not_sent), theme.plain()),
            ("unanswered ", grouped(entry.more.unanswered), theme.plain()),
            ("sent again ", grouped(entry.more.stale_retries), theme.plain()),
        ],
    ];
    for (y, line) in (0..).zip(lines) {
        let mut x = 0;
        for (label, value, style) in line {
            x = pen.words(area, x, y, &[(label, theme.quiet()), (value, *style)]) + 3;
        }
    }
}

/// A row for each percentile, with a bar as long as its time, and the shape of the distribution above them where there is room.
fn distribution(pen: &mut Pen<'_>, area: Rect, entry: &EntryDetailJson) {
    let theme = pen.theme;
    pen.heading(area, 0, "Latency distribution");
    if entry.entry.requests == 0 {
        pen.text(area, 0, 1, "No request yet.", theme.quiet());
        return;
    }
    let shape_rows = area.height.saturating_sub(9).min(8);
    if shape_rows >= 3 {
        shape(pen, Rect { y: area.y + 1, height: shape_rows, ..area }, entry);
    }
    let first = 1 + if shape_rows >= 3 { shape_rows } else { 0 };
    let rows = usize::from(area.height.saturating_sub(first));
    let percentiles = &entry.more.percentiles;
    // Of those that find no room the ones in between go.
    let shown: Vec<_> = if percentiles.len() <= rows {
        percentiles.iter().collect()
    } else {
        percentiles.iter().filter(|percentile| MAIN_PERCENTS.contains(&percentile.percent)).take(rows).collect()
    };
    let peak = percentiles.iter().fold(f64::MIN_POSITIVE, |peak, percentile| peak.max(percentile.ms));
    for (y, percentile) in (first..).zip(shown) {
        let name = if percentile.percent >= 100.0 { "max".to_owned() } else { format!("p{}", percentile.percent) };
        pen.cell(area, (0, y, 8), &name, Align::Left, theme.quiet());
        pen.cell(area, (8, y, 8), &millis(percentile.ms), Align::Right, theme.strong());
        pen.text(area, 17, y, "ms", theme.quiet());
        let room = area.width.saturating_sub(21);
        let length = ((percentile.ms / peak * f64::from(room)).round() as usize).max(1);
        pen.text(area, 20, y, &theme.sign("▬", "=").repeat(length.min(usize::from(room))), theme.band(BandColour::Middle));
    }
}

/// Counts by duration, the durations on a logarithmic scale from the least to the greatest.
fn shape(pen: &mut Pen<'_>, area: Rect, entry: &EntryDetailJson) {
    let theme = pen.theme;
    let bins = &entry.more.distribution;
    let (Some(first), Some(last)) = (bins.first(), bins.last()) else { return };
    let logarithm = |ms: f64| ms.max(0.001).ln();
    let (low, high) = (logarithm(first.le_ms), logarithm(last.le_ms));
    let columns = usize::from(area.width).min(if high > low { usize::MAX } else { 1 });
    let mut counts = vec![0_u64; columns];
    for bin in bins {
        let place = if high > low { (logarithm(bin.le_ms) - low) / (high - low) * columns as f64 } else { 0.0 };
        counts[(place as usize).min(columns - 1)] += bin.count;
    }
    let peak = counts.iter().copied().max().unwrap_or(1).max(1) as f64;
    let rows = area.height - 1;
    for (x, count) in (area.x..).zip(&counts) {
        let eighths = (*count as f64 / peak * f64::from(rows) * 8.0).ceil() as u16;
        for row in 0..rows {
            let filled = eighths.saturating_sub(row * 8).min(8);
            let sign = match (filled, theme.is_unicode) {
                (0, _) => continue,
                (filled, true) => ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"][usize::from(filled) - 1],
                (4.., false) => "#",
                (_, false) => "_",
            };
            pen.dot(x, area.y + rows - 1 - row, sign, theme.band(BandColour::Low));
        }
    }
    pen.text(area, 0, rows, &format!("{} ms", optional(entry.entry.min_ms)), theme.quiet());
    pen.right(area, rows, &format!("{} ms, logarithmic", optional(entry.entry.max_ms)), theme.quiet());
}

/// The answer is how many rows it took.
fn phases(pen: &mut Pen<'_>, area: Rect, entry: &EntryDetailJson) -> u16 {
    let theme = pen.theme;
    pen.heading(area, 0, "Phases, ms");
    let phases: Vec<_> = entry.more.phases.iter().filter(|phase| phase.count > 0).collect();
    if phases.is_empty() {
        pen.text(area, 0, 1, "None was measured.", theme.quiet());
        return 3;
    }
    for (x, title) in [(12, "times"), (22, "avg"), (30, "max")] {
        pen.cell(area, (x, 1, if x == 12 { 9 } else { 8 }), title, Align::Right, theme.quiet());
    }
    for (y, phase) in (2..).zip(&phases) {
        let name = phase.name.trim_start_matches("http_req_").trim_end_matches("_handshaking").replace('_', " ");
        pen.cell(area, (0, y, 12), &name, Align::Left, theme.plain());
        pen.cell(area, (12, y, 9), &grouped(phase.count), Align::Right, theme.quiet());
        pen.cell(area, (22, y, 8), &optional(phase.avg_ms), Align::Right, theme.strong());
        pen.cell(area, (30, y, 8), &optional(phase.max_ms), Align::Right, theme.plain());
    }
    phases.len() as u16 + 3
}

/// Status codes and kinds of failures.
fn answers(pen: &mut Pen<'_>, area: Rect, entry: &EntryDetailJson) {
    if area.height < 2 {
        return;
    }
    let theme = pen.theme;
    pen.heading(area, 0, "Answers");
    let statuses = entry.more.statuses.iter().map(|status| {
        let style = if status.status >= 400 { theme.bad() } else { theme.good() };
        (status.status.to_string(), status.count, style)
    });
    let kinds = entry.more.failures_by_kind.iter().map(|kind| (format!("failed: {}", kind.kind), kind.count, theme.bad()));
    for (y, (name, count, style)) in (1..area.height).zip(statuses.chain(kinds)) {
        pen.cell(area, (0, y, 20), &name, Align::Left, style);
        pen.cell(area, (20, y, 12), &grouped(count), Align::Right, theme.strong());
    }
}

/// Rows that a long name may take.
const TITLE_ROWS: usize = 3;

/// Those that are shown where room is short.
const MAIN_PERCENTS: [f64; 8] = [50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99, 100.0];
