//! The run at a glance: its numbers, its charts, its thresholds, and how sound the generator was.

use ratatui::layout::Rect;

use super::chart::{Band, Chart, SCALE_COLUMNS, chart};
use super::frame::empty;
use super::pen::Pen;
use super::theme::BandColour;
use crate::front::snapshot_json::StateJson;
use crate::front::text::{bytes, escape};
use crate::front::tui::history::Bucket;
use crate::front::tui::state::columns::{moment, optional, rate, share};
use crate::front::tui::state::{Door, Screen, grouped, millis};

/// The body of the overview.
pub fn overview(pen: &mut Pen<'_>, body: Rect, screen: &Screen) {
    if !screen.has_run() {
        return ready(pen, body, screen);
    }
    let body = Rect { x: body.x + 1, width: body.width - 2, ..body };
    tiles(pen, body, screen);
    let rest = Rect { y: body.y + 3, height: body.height.saturating_sub(3), ..body };
    let notes_rows = (rest.height / 3).max(7).min(rest.height);
    let charts_area = Rect { height: rest.height - notes_rows, ..rest };
    charts(pen, charts_area, screen);
    let below = Rect { y: charts_area.bottom(), height: notes_rows, ..rest };
    let half = below.width / 2;
    let left = Rect { width: half.saturating_sub(1), ..below };
    let right = Rect { x: below.x + half + 1, width: below.width - half - 1, ..below };
    thresholds(pen, left, screen);
    health(pen, right, screen);
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
        ("Failed", format!("{} %", share(total.fail_ratio)), failed),
        ("p50", format!("{} ms", optional(total.p50_ms)), theme.strong()),
        ("p95", format!("{} ms", optional(total.p95_ms)), theme.strong()),
        ("p99", format!("{} ms", optional(total.p99_ms)), theme.strong()),
        ("Requests", grouped(total.requests), theme.strong()),
    ];
    let shown = if body.width < 90 { 7 } else { tiles.len() };
    let width = body.width / shown as u16;
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
    let last = buckets.iter().rev().find(|bucket| bucket.covered_s > 0.0).copied().unwrap_or_default();
    let step = if bucket_s > 1.5 { format!("{} a column, {}", moment(bucket_s), span_words(screen)) } else { span_words(screen) };
    let ends = (moment(begin_s), step);
    let of = |value: fn(&Bucket) -> f64| buckets.iter().map(value).collect::<Vec<f64>>();
    let area_of = |index: u16| Rect { x: area.x + index * (width + gap), width, ..area };
    let band = |name, latest, colour, signs, values| Band { name, latest, colour, signs, values };
    let failures = band("failed", rate(last.failures), BandColour::Bad, ("█", "X"), of(|bucket| bucket.failures));
    let requests = band("all", rate(last.requests), BandColour::Good, ("░", ":"), of(|bucket| bucket.requests));
    let load = Chart { title: "Requests/s", bands: vec![failures, requests], scale: rate_scale, ends: ends.clone() };
    chart(pen, area_of(0), &load);
    let p50 = band("p50", millis(last.p50_ms), BandColour::Low, ("█", "#"), of(|bucket| bucket.p50_ms));
    let p95 = band("p95", millis(last.p95_ms), BandColour::Middle, ("▒", "+"), of(|bucket| bucket.p95_ms));
    let p99 = band("p99", millis(last.p99_ms), BandColour::High, ("░", "."), of(|bucket| bucket.p99_ms));
    let latency =
        Chart { title: if width < 50 { "ms" } else { "Time, ms" }, bands: vec![p50, p95, p99], scale: millis, ends: ends.clone() };
    chart(pen, area_of(1), &latency);
    if count == 3 {
        let users = band("users", grouped(last.users as u64), BandColour::Low, ("░", ":"), of(|bucket| bucket.users));
        chart(pen, area_of(2), &Chart { title: "Users", bands: vec![users], scale: rate_scale, ends });
    }
}

fn span_words(screen: &Screen) -> String {
    let newest = moment(screen.snapshot.elapsed_s);
    match screen.zoom_s {
        None => format!("whole run, {newest}"),
        Some(_) => newest,
    }
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
        pen.cell(area, (x, row, room), &escape(&rule), crate::front::text::Align::Left, theme.plain());
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
    let is_sound = generator.unsound_s == 0 && generator.local_failures == 0;
    let (sign, word, style) = if is_sound {
        (theme.sign("✓ ", "= "), "sound".to_owned(), theme.good())
    } else {
        (theme.sign("✗ ", "! "), format!("{} s unsound", grouped(generator.unsound_s)), theme.bad())
    };
    let load = format!("   {:.2} cores   {}", generator.cpu_cores, bytes(generator.memory_bytes));
    pen.words(area, 0, 1, &[(sign, style), (&word, style), (&load, theme.plain())]);
    let lag = format!(
        "lag p99 {}, max {}, lately {} ms",
        optional(generator.lag.p99_ms),
        millis(generator.lag.max_ms),
        millis(generator.lag_recent_max_ms)
    );
    pen.text(area, 0, 2, &lag, theme.quiet());
    let iterations = &snapshot.iterations;
    let iterations = format!(
        "iterations {}, p50 {} ms, raised {}",
        grouped(iterations.duration.count),
        optional(iterations.duration.p50_ms),
        iterations.raised
    );
    pen.text(area, 0, 3, &iterations, theme.quiet());
    let notes = notes(screen);
    let room = usize::from(area.height.saturating_sub(4));
    let shown = if notes.len() > room { room.saturating_sub(1) } else { notes.len() };
    for (row, note) in (4..).zip(notes.iter().take(shown)) {
        pen.words(area, 0, row, &[(theme.sign("▲ ", "! "), theme.doubtful()), (note, theme.doubtful())]);
    }
    if notes.len() > shown && area.height > 4 {
        pen.text(area, 0, area.height - 1, &format!("and {} more warnings", notes.len() - shown), theme.doubtful());
    }
}

/// What a reader of the numbers must know, the gravest first.
fn notes(screen: &Screen) -> Vec<String> {
    let snapshot = &screen.snapshot;
    let generator = &snapshot.generator;
    let mut notes = Vec::new();
    let short = |id: &str| super::super::state::columns::short_id(id);
    for hole in &snapshot.holes {
        notes.push(format!("numbers lost, {} to {}: {}", moment(hole.from_s), moment(hole.to_s), short(&hole.worker)));
    }
    for overlap in &snapshot.overlaps {
        let end = overlap.to_s.map_or_else(|| "still".to_owned(), |to_s| format!("to {}", moment(to_s)));
        notes.push(format!("{} users doubled, {} {end}: {}", overlap.users, moment(overlap.from_s), short(&overlap.worker)));
    }
    if generator.local_failures > 0 {
        notes.push(format!("{} requests failed for want of the generator's own resources", grouped(generator.local_failures)));
    }
    if generator.throttled_ms > 0.0 {
        notes.push(format!("throttled for {} ms", millis(generator.throttled_ms)));
    }
    let iterations = &snapshot.iterations;
    for (count, words) in [
        (iterations.users_dropped, "users were dropped"),
        (iterations.dropped, "iterations were due and could not begin"),
        (iterations.start_failures, "times an on_start raised"),
    ] {
        if count > 0 {
            notes.push(format!("{} {words}", grouped(count)));
        }
    }
    notes.extend(snapshot.warnings.iter().cloned());
    notes
}

const THREE_CHARTS_FROM: u16 = 140;
