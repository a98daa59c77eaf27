//! The run at a glance: its numbers, its charts, its thresholds, and how sound the generator was.

use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr as _;

use super::chart::{Band, Chart, SCALE_COLUMNS, chart};
use super::frame::empty;
use super::pen::Pen;
use super::tables::entry_rows;
use super::theme::{BandColour, Theme};
use crate::front::profiles::in_short;
use crate::front::snapshot_json::StateJson;
use crate::front::text::{Align, bytes, escape, length, number, wrap};
use crate::front::tui::history::Bucket;
use crate::front::tui::state::columns::{moment, optional, percent, rate};
use crate::front::tui::state::{Door, Screen, by_number, grouped, millis};

/// The body of the overview.
pub fn overview(pen: &mut Pen<'_>, body: Rect, screen: &Screen) {
    if !screen.has_run() {
        return ready(pen, body, screen);
    }
    let body = Rect { x: body.x + 1, width: body.width - 2, ..body };
    tiles(pen, body, screen);
    let rest = Rect { y: body.y + 3, height: body.height.saturating_sub(3), ..body };
    if rest.width < SIDE_BY_SIDE_FROM || rest.height < PANELS_LEAST {
        return summary(pen, rest, screen);
    }
    let (panels_rows, entries_rows) = rows_below(rest.height, screen);
    let charts_area = Rect { height: rest.height - panels_rows - entries_rows, ..rest };
    charts(pen, charts_area, screen);
    let below = Rect { y: charts_area.bottom(), height: panels_rows, ..rest };
    busiest(pen, Rect { y: below.bottom(), height: entries_rows, ..rest }, screen);
    let half = below.width / 2;
    let left = Rect { width: half.saturating_sub(1), ..below };
    let right = Rect { x: below.x + half + 1, width: below.width - half - 1, ..below };
    thresholds(pen, left, screen);
    health(pen, right, screen);
}

/// Rows of the panels below the charts, and of the busiest entries: what the charts can spare goes to both.
fn rows_below(rows: u16, screen: &Screen) -> (u16, u16) {
    let needed = screen.snapshot.thresholds.len().max(HEALTH_LINES + notes(screen).len()) as u16 + 1;
    let panels = needed.clamp(PANELS_LEAST, (rows / 3).max(PANELS_LEAST));
    let spare = rows.saturating_sub(panels + CHARTS_LEAST);
    let entries = (screen.snapshot.entries.len() as u16).saturating_add(2).min(spare / 2);
    (panels, if entries >= 4 { entries } else { 0 })
}

/// Where there is no room for charts and panels: a line each.
fn summary(pen: &mut Pen<'_>, area: Rect, screen: &Screen) {
    let theme = pen.theme;
    let thresholds = &screen.snapshot.thresholds;
    let failed = thresholds.iter().filter(|threshold| !threshold.passed).count();
    let verdict = match (thresholds.len(), failed) {
        (0, _) => ("no thresholds".to_owned(), theme.quiet()),
        (all, 0) => (format!("{}{all} thresholds pass", theme.sign("✓ ", "= ")), theme.good()),
        (all, failed) => (format!("{}{failed} of {all} thresholds FAIL", theme.sign("✗ ", "! ")), theme.bad()),
    };
    pen.text(area, 0, 0, &verdict.0, verdict.1);
    let (word, style) = soundness(screen, theme);
    pen.words(area, 0, 1, &[("generator ", theme.quiet()), (&word, style)]);
    for (row, note) in (2..area.height).zip(notes(screen)) {
        pen.words(area, 0, row, &[(theme.sign("▲ ", "! "), theme.doubtful()), (&note, theme.doubtful())]);
    }
}

/// The entries with the most requests lately.
fn busiest(pen: &mut Pen<'_>, area: Rect, screen: &Screen) {
    let entries = &screen.snapshot.entries;
    if area.height < 3 {
        return;
    }
    let rows = usize::from(area.height - 2);
    let lately = |index: &usize| entries[*index].current_requests_per_s;
    let mut order: Vec<usize> = (0..entries.len()).collect();
    let by_rate = |left: &usize, right: &usize| by_number(lately(right), lately(left));
    if order.len() > rows {
        // Of a thousand entries only those that are shown are sorted.
        order.select_nth_unstable_by(rows - 1, |left, right| by_rate(left, right).then(left.cmp(right)));
        order.truncate(rows);
    }
    order.sort_by(|left, right| by_rate(left, right).then(left.cmp(right)));
    let title = if entries.len() > rows { format!("Busiest of {} entries", grouped(entries.len() as u64)) } else { "Entries".to_owned() };
    pen.heading(area, 0, &title);
    let list = Rect { x: area.x - 1, y: area.y + 1, width: area.width + 2, height: area.height - 1 };
    entry_rows(pen, list, order.into_iter().map(|index| &entries[index]));
}

fn ready(pen: &mut Pen<'_>, body: Rect, screen: &Screen) {
    let count = screen.snapshot.workers.iter().filter(|worker| worker.state == "ready").count();
    let workers = match count {
        0 => "No worker has come in yet: lunamoth worker --master HOST:5557 --scripts DIR".to_owned(),
        1 => "1 worker is ready.".to_owned(),
        count => format!("{count} workers are ready."),
    };
    let next = if screen.door == Door::Run {
        "It begins by itself."
    } else if screen.may_steer() {
        "n starts a run."
    } else {
        "Somebody with an operator's key can start one."
    };
    empty(pen, body, "No run yet.", &[&workers, next]);
}

fn tiles(pen: &mut Pen<'_>, body: Rect, screen: &Screen) {
    let theme = pen.theme;
    let (snapshot, total) = (&screen.snapshot, &screen.snapshot.total);
    let is_over = snapshot.state == StateJson::Stopped;
    let (requests, failures) =
        if is_over { (total.requests_per_s, total.failures_per_s) } else { (total.current_requests_per_s, total.current_failures_per_s) };
    let users = match snapshot.users == snapshot.target_users {
        true => grouped(snapshot.users),
        false => format!("{} of {}", grouped(snapshot.users), grouped(snapshot.target_users)),
    };
    let failed = if total.failures > 0 { theme.bad().patch(theme.strong()) } else { theme.strong() };
    let tiles = [
        ("Users", users, theme.strong()),
        ("Requests/s", rate(requests), theme.strong()),
        ("Failures/s", rate(failures), failed),
        ("Failed", percent(total.fail_ratio), failed),
        ("p50", format!("{} ms", optional(total.p50_ms)), theme.strong()),
        ("p95", format!("{} ms", optional(total.p95_ms)), theme.strong()),
        ("p99", format!("{} ms", optional(total.p99_ms)), theme.strong()),
        ("Requests", grouped(total.requests), theme.strong()),
    ];
    let shown = usize::from(body.width / TILE_LEAST).clamp(1, tiles.len());
    let width = body.width / shown as u16;
    // Where there is room for a few alone, these tell the most.
    let tiles = if shown < 6 { [0, 1, 3, 5, 6, 4, 2, 7].map(|index| tiles[index].clone()) } else { tiles };
    for (index, (label, value, style)) in tiles.into_iter().take(shown).enumerate() {
        let area = Rect { x: body.x + index as u16 * width, width: width.saturating_sub(1), ..body };
        pen.text(area, 0, 0, label, theme.quiet());
        pen.text(area, 0, 1, &value, style);
    }
}

fn charts(pen: &mut Pen<'_>, area: Rect, screen: &Screen) {
    let count = if area.width >= THREE_CHARTS_FROM { 3 } else { 2 };
    let gap = 2;
    let width = (area.width - gap * (count - 1)) / count;
    let columns = width.saturating_sub(SCALE_COLUMNS).max(1);
    // A young run has a column a second, whatever the span.
    let span_s = screen.zoom_s.map_or(f64::INFINITY, f64::from).min(screen.snapshot.elapsed_s);
    let bucket_s = (span_s / f64::from(columns)).ceil().max(1.0);
    let (begin_s, buckets) = screen.history.buckets(usize::from(columns), bucket_s);
    let last = buckets.iter().rev().find(|bucket| bucket.covered_s > 0.0);
    // The end of the axis, which a young run has not come to.
    let end_s = begin_s + bucket_s * f64::from(columns);
    let below = [moment(begin_s), span_words(screen, bucket_s), moment(end_s)];
    // What nobody knows is a gap: a column without time, and the percentiles of one without requests.
    let of = |value: fn(&Bucket) -> Option<f64>| {
        buckets.iter().map(|bucket| value(bucket).filter(|_| bucket.covered_s > 0.0)).collect::<Vec<_>>()
    };
    let area_of = |index: u16| Rect { x: area.x + index * (width + gap), width, ..area };
    let band = |name, latest, colour, signs, values| Band { name, latest, colour, signs, values };
    let failures =
        band("failed", rate(last.map(|bucket| bucket.failures)), BandColour::Bad, ("█", "X"), of(|bucket| Some(bucket.failures)));
    let requests = band("all", rate(last.map(|bucket| bucket.requests)), BandColour::Good, ("░", ":"), of(|bucket| Some(bucket.requests)));
    let load = Chart { title: "Requests/s", bands: vec![failures, requests], scale: rate_scale, below: below.clone() };
    chart(pen, area_of(0), &load);
    let p50 = band("p50", optional(last.and_then(|bucket| bucket.p50_ms)), BandColour::Low, ("█", "#"), of(|bucket| bucket.p50_ms));
    let p95 = band("p95", optional(last.and_then(|bucket| bucket.p95_ms)), BandColour::Middle, ("▒", "+"), of(|bucket| bucket.p95_ms));
    let p99 = band("p99", optional(last.and_then(|bucket| bucket.p99_ms)), BandColour::High, ("░", "."), of(|bucket| bucket.p99_ms));
    let latency =
        Chart { title: if width < 50 { "ms" } else { "Time, ms" }, bands: vec![p50, p95, p99], scale: time_scale, below: below.clone() };
    chart(pen, area_of(1), &latency);
    if count == 3 {
        let users = band(
            "users",
            last.map_or_else(|| "-".to_owned(), |bucket| grouped(bucket.users as u64)),
            BandColour::Low,
            ("░", ":"),
            of(|bucket| Some(bucket.users)),
        );
        chart(pen, area_of(2), &Chart { title: "Users", bands: vec![users], scale: rate_scale, below });
    }
}

fn span_words(screen: &Screen, bucket_s: f64) -> String {
    let span = if screen.zoom_s.is_none() { "whole run, " } else { "" };
    match bucket_s {
        ..1.5 => span.trim_end_matches(", ").to_owned(),
        ..100.0 => format!("{span}{bucket_s:.0} s a column"),
        _ => format!("{span}{} a column", moment(bucket_s)),
    }
}

/// Milliseconds at a scale, without zeros at their end.
fn time_scale(ms: f64) -> String {
    if ms < 10_000.0 { number(ms) } else { format!("{}k", number(ms / 1e3)) }
}

fn rate_scale(value: f64) -> String {
    if value >= 1_000_000.0 {
        format!("{:.1}M", value / 1e6)
    } else if value >= 10_000.0 {
        format!("{:.0}k", value / 1e3)
    } else if value >= 10.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.1}")
    }
}

fn thresholds(pen: &mut Pen<'_>, area: Rect, screen: &Screen) {
    let theme = pen.theme;
    let thresholds = &screen.snapshot.thresholds;
    pen.heading(area, 0, "Thresholds");
    // What was measured stands beside its rule.
    let area = Rect { width: area.width.min(THRESHOLD_COLUMNS), ..area };
    if thresholds.is_empty() {
        pen.text(area, 0, 1, "The scenario states none: any failed", theme.quiet());
        pen.text(area, 0, 2, "request fails the run.", theme.quiet());
        return;
    }
    let room = usize::from(area.height.saturating_sub(2));
    // Where room is short, those that fail are what a person must see.
    let failed = thresholds.iter().filter(|threshold| !threshold.passed);
    let passed = thresholds.iter().filter(|threshold| threshold.passed);
    let is_tight = thresholds.len() > room;
    let shown: Vec<_> = if is_tight { failed.chain(passed).take(room.saturating_sub(1)).collect() } else { thresholds.iter().collect() };
    for (row, threshold) in (1..).zip(&shown) {
        let (word, style) = if threshold.passed {
            (theme.sign("✓ pass ", "= pass "), theme.good())
        } else {
            (theme.sign("✗ FAIL ", "! FAIL "), theme.bad())
        };
        let actual = format!(" {}", escape(&threshold.actual));
        let x = pen.text(area, 0, row, word, style);
        let room = area.width.saturating_sub(x + actual.chars().count() as u16);
        let rule = format!("{}: {}", threshold.metric, threshold.condition);
        let rule = if rule.width() > usize::from(room) { rule.trim_start_matches("http_req_") } else { &rule };
        pen.cell(area, (x, row, room), &escape(rule), Align::Left, theme.plain());
        pen.right(area, row, &actual, style.patch(theme.strong()));
    }
    if is_tight {
        pen.text(area, 0, area.height - 1, &format!("and {} more", thresholds.len() - shown.len()), theme.quiet());
    }
}

fn health(pen: &mut Pen<'_>, area: Rect, screen: &Screen) {
    let theme = pen.theme;
    let snapshot = &screen.snapshot;
    let generator = &snapshot.generator;
    pen.heading(area, 0, "Generator");
    let (word, style) = soundness(screen, theme);
    let cores = generator.cpu_cores.map_or_else(String::new, |cores| format!("   {cores:.2} cores"));
    let memory = generator.memory_bytes.map_or_else(String::new, |memory| format!("   {}", bytes(memory)));
    let load = cores + &memory;
    pen.words(area, 0, 1, &[(&word, style), (&load, theme.plain())]);
    let lag = format!(
        "lag p99 {}, max {}, lately {} ms",
        optional(generator.lag.p99_ms),
        optional(generator.lag.max_ms),
        millis(generator.lag_recent_max_ms)
    );
    pen.text(area, 0, 2, &lag, theme.quiet());
    let iterations = &snapshot.iterations;
    let (count, raised) = (grouped(iterations.duration.count), grouped(iterations.raised));
    let p50 = optional(iterations.duration.p50_ms);
    let whole = format!("iterations {count}, p50 {p50} ms, raised {raised}");
    let short = format!("iterations {count}, raised {raised}");
    let fitting = |whole: String, short: String| if whole.len() <= usize::from(area.width) { whole } else { short };
    pen.text(area, 0, 3, &fitting(whole, short), theme.quiet());
    let mut used = 4;
    if iterations.due > 0 {
        let wanted = iterations.rate_wanted.map_or_else(String::new, |rate| format!("{}/s of ", millis(rate)));
        let short = format!("due {wanted}{}, begun late p99 {} ms", grouped(iterations.due), optional(iterations.lateness.p99_ms));
        let whole = format!("{short}, p99 from due {} ms, lost {}", optional(snapshot.total.due_p99_ms), grouped(iterations.lost));
        pen.text(area, 0, used, &fitting(whole, short), theme.quiet());
        used += 1;
    }
    for words in in_short(&snapshot.profiles, length(snapshot.elapsed_s)) {
        if used < area.height {
            pen.text(area, 0, used, &escape(&words), theme.plain());
            used += 1;
        }
    }
    warnings(pen, Rect { y: area.y + used, height: area.height.saturating_sub(used), ..area }, &notes(screen));
}

/// As many warnings as there is room for, each whole, and how many others there are.
fn warnings(pen: &mut Pen<'_>, area: Rect, notes: &[String]) {
    let style = pen.theme.doubtful();
    let sign = pen.theme.sign("▲ ", "! ");
    let mut y = 0;
    for (index, note) in notes.iter().enumerate() {
        let lines = wrap(&escape(note), usize::from(area.width.saturating_sub(2)));
        let is_last = index + 1 == notes.len();
        if y + lines.len() as u16 + u16::from(!is_last) > area.height {
            if y > 0 || area.height < 2 {
                let others = notes.len() - index;
                let text = format!("{sign}{others} more warning{}", if others == 1 { "" } else { "s" });
                pen.text(area, 0, area.height.saturating_sub(1), &text, style);
                return;
            }
            // The gravest one is told as far as it goes.
            pen.words(area, 0, y, &[(sign, style), (&lines[0], style)]);
            y += 1;
            continue;
        }
        for (row, line) in lines.iter().enumerate() {
            pen.words(area, 0, y, &[(if row == 0 { sign } else { "  " }, style), (line, style)]);
            y += 1;
        }
    }
}

fn soundness(screen: &Screen, theme: Theme) -> (String, Style) {
    let generator = &screen.snapshot.generator;
    if generator.unsound_s == 0 && generator.local_failures == 0 {
        (format!("{}sound", theme.sign("✓ ", "= ")), theme.good())
    } else {
        (format!("{}{} s unsound", theme.sign("✗ ", "! "), grouped(generator.unsound_s)), theme.bad())
    }
}

/// What a reader of the numbers must know, the gravest first.
fn notes(screen: &Screen) -> Vec<String> {
    let snapshot = &screen.snapshot;
    let generator = &snapshot.generator;
    let mut notes = Vec::new();
    let short = |id: &str| super::super::state::columns::short_id(id);
    notes.extend(snapshot.aborted.iter().map(|why| format!("the script ended the run: {why}")));
    notes.extend(snapshot.misuse.iter().map(|why| format!("the run came to nothing: {why}")));
    notes.extend(snapshot.unfinished.iter().map(|why| format!("incomplete: {why}")));
    for hole in &snapshot.holes {
        notes.push(format!("lost {} to {}: {}", moment(hole.from_s), moment(hole.to_s), short(&hole.worker)));
    }
    for overlap in &snapshot.overlaps {
        let end = overlap.to_s.map_or_else(|| "still".to_owned(), |to_s| format!("to {}", moment(to_s)));
        notes.push(format!("{} users doubled, {} {end}: {}", overlap.users, moment(overlap.from_s), short(&overlap.worker)));
    }
    for one in &generator.unsound {
        let whose = if one.worker.is_empty() { "the generator".to_owned() } else { short(&one.worker) };
        // The one that held a lane longest stands for all: there is little room.
        let words = one.holds.first().map_or_else(|| one.words.clone(), |hold| format!("was late: {}", hold.words));
        notes.push(format!("{whose} {words}: {} s, {} to {}", grouped(one.seconds), moment(one.from_s), moment(one.to_s)));
    }
    if generator.local_failures > 0 {
        notes.push(format!("{} requests failed for want of the generator's own resources", grouped(generator.local_failures)));
    }
    if generator.throttled_ms > 0.0 {
        notes.push(format!("throttled for {} ms", millis(generator.throttled_ms)));
    }
    if generator.unpacking_ms >= 1_000.0 {
        notes.push(format!("unpacking took {} ms", millis(generator.unpacking_ms)));
    }
    let iterations = &snapshot.iterations;
    for (count, words) in [
        (snapshot.total.cut, "requests cut off with their users; they are no failures"),
        (iterations.users_dropped, "users were dropped"),
        (iterations.dropped, "iterations were due and could not begin"),
        (iterations.interrupted, "iterations interrupted, for their users were to finish"),
        (iterations.start_failures, "times an on_start raised"),
        (iterations.stop_failures, "times an on_stop raised"),
    ] {
        if count > 0 {
            notes.push(format!("{} {words}", grouped(count)));
        }
    }
    notes.extend(snapshot.warnings.iter().cloned());
    notes
}

const THREE_CHARTS_FROM: u16 = 140;

/// Columns from which on charts and panels stand side by side.
const SIDE_BY_SIDE_FROM: u16 = 60;

/// Rows of the panels at the least, of the generator's without its warnings, and of charts beside which entries are shown.
const PANELS_LEAST: u16 = 6;
const HEALTH_LINES: usize = 3;
const CHARTS_LEAST: u16 = 12;

/// Columns of a tile at the least, and of the thresholds at the most.
const TILE_LEAST: u16 = 11;
const THRESHOLD_COLUMNS: u16 = 72;
