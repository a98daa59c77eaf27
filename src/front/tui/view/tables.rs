//! The tables: statistics, failures, exceptions, workers. Only the rows in sight are made into text.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::frame::empty;
use super::pen::Pen;
use super::theme::Theme;
use crate::front::snapshot_json::{EntryJson, ErrorJson, WorkerJson};
use crate::front::text::{Align, escape};
use crate::front::tui::state::columns::{moment, short_id};
use crate::front::tui::state::{Column, Door, ENTRY_COLUMNS, FAILURE_COLUMNS, Listing, Screen, WORKER_COLUMNS, grouped};
use crate::stats::soundness::LAG_LIMIT;

/// A row for each entry, and the total below.
pub fn statistics(pen: &mut Pen<'_>, body: Rect, screen: &Screen) {
    if screen.snapshot.entries.is_empty() {
        let next = match screen.has_run() {
            false => "n starts a run.",
            true if !screen.snapshot.exceptions.is_empty() => "The script raises before it asks for anything: 4 shows what.",
            true => "The first ones are counted within a second or two.",
        };
        return empty(pen, body, "No request yet.", &[next]);
    }
    table(pen, body, &screen.statistics, &screen.snapshot.entries, ENTRY_COLUMNS, entry_style);
    let shown = shown(ENTRY_COLUMNS, body.width);
    let last = body.height - 1;
    row(pen, body, last, &shown, &screen.snapshot.total, |_, theme| theme.strong());
    pen.text(body, 1, last, "Total       ", pen.theme.strong());
    place(pen, body, &screen.statistics);
}

/// A heading and a row for each of these entries, without a place that the person is at.
pub fn entry_rows<'a>(pen: &mut Pen<'_>, body: Rect, entries: impl Iterator<Item = &'a EntryJson>) {
    let shown = shown(ENTRY_COLUMNS, body.width);
    for place in &shown {
        pen.cell(body, (place.x, 0, place.width), place.column.title, place.column.align, pen.theme.quiet());
    }
    for (y, entry) in (1..body.height).zip(entries) {
        row(pen, body, y, &shown, entry, |column, theme| entry_style(entry, column, theme));
    }
}

fn entry_style(entry: &EntryJson, column: &Column<EntryJson>, theme: Theme) -> Style {
    match column.title {
        "Fails" | "Fail %" | "fail/s" if entry.failures > 0 => theme.bad(),
        "Method" => theme.quiet(),
        _ => theme.plain(),
    }
}

/// A row for each way in which an entry's requests failed, and the chosen one's text in full.
pub fn failures(pen: &mut Pen<'_>, body: Rect, screen: &Screen) {
    let errors = &screen.snapshot.errors;
    if errors.is_empty() {
        let words = if screen.snapshot.total.requests == 0 { "No request has been made yet." } else { "Every request so far has passed." };
        return empty(pen, body, "No failures.", &[words]);
    }
    let style = |_: &ErrorJson, column: &Column<ErrorJson>, theme: Theme| match column.title {
        "Times" => theme.bad(),
        "Method" | "First" | "Last" => theme.quiet(),
        _ => theme.plain(),
    };
    table(pen, body, &screen.failures, errors, FAILURE_COLUMNS, style);
    if let Some(error) = screen.failures.current().and_then(|index| errors.get(index)) {
        let theme = pen.theme;
        let x = pen.text(body, 1, body.height - 1, &error.message, theme.strong());
        pen.text(body, x, body.height - 1, &format!("  of {} {}", error.method, error.name), theme.quiet());
    }
    place(pen, body, &screen.failures);
}

/// What scripts raised: the messages above, the chosen one's traceback below.
pub fn exceptions(pen: &mut Pen<'_>, body: Rect, screen: &Screen) {
    let theme = pen.theme;
    let exceptions = &screen.snapshot.exceptions;
    if exceptions.is_empty() {
        return empty(pen, body, "No exceptions.", &["What the script raises stands here, with its traceback."]);
    }
    let listing = &screen.exceptions;
    let list_rows = (body.height / 2).min(listing.rows.len() as u16 + 1).max(2);
    let list = Rect { height: list_rows, ..body };
    pen.text(list, 1, 0, "    Times  Message", theme.accent());
    let page = usize::from(list_rows - 1);
    // This list is shorter than a page: it is moved by itself.
    let offset = (listing.at + 1).saturating_sub(page);
    for (y, index) in (1..list_rows).zip(listing.rows.iter().skip(offset)) {
        let exception = &exceptions[*index];
        pen.cell(list, (1, y, 9), &grouped(exception.count), Align::Right, theme.bad());
        pen.text(list, 12, y, &exception.message, theme.plain());
        choose(pen, list, y, listing.current() == Some(*index));
    }
    let below = Rect { y: body.y + list_rows, height: body.height - list_rows, x: body.x + 1, width: body.width - 1 };
    let Some(exception) = listing.current().and_then(|index| exceptions.get(index)) else { return };
    pen.heading(below, 0, "Traceback");
    let nodes: Vec<String> = exception.nodes.iter().map(|node| short_id(node)).collect();
    let others = if exception.has_more_nodes { " and others" } else { "" };
    let seen = |at: Option<f64>| at.map_or_else(|| "?".to_owned(), moment);
    let about =
        format!("on {}{others}, first at {}, last at {}", nodes.join(", "), seen(exception.first_seen_s), seen(exception.last_seen_s));
    let below = if nodes.is_empty() {
        below
    } else {
        pen.text(below, 0, 1, &about, theme.quiet());
        Rect { y: below.y + 1, height: below.height.saturating_sub(1), ..below }
    };
    let lines = exception.message.lines().chain(exception.traceback.lines());
    for (y, line) in (1..below.height).zip(lines) {
        let is_frame = line.starts_with(['\t', ' ']);
        pen.text(below, if is_frame { 2 } else { 0 }, y, line.trim_start(), if is_frame { theme.quiet() } else { theme.plain() });
    }
}

/// A row for each worker, and what is missing of their numbers.
pub fn workers(pen: &mut Pen<'_>, body: Rect, screen: &Screen) {
    let theme = pen.theme;
    let snapshot = &screen.snapshot;
    if snapshot.workers.is_empty() {
        return match screen.door {
            Door::Run => empty(pen, body, "This process makes the load itself.", &["The generator's own part stands on the overview."]),
            _ => empty(pen, body, "No worker yet.", &["Start one: lunamoth worker --master HOST:5557 --scripts DIR"]),
        };
    }
    let style = |worker: &WorkerJson, column: &Column<WorkerJson>, theme: Theme| match (column.title, worker.state.as_str()) {
        ("State", "running") => theme.good(),
        ("State", "missing" | "differs") => theme.bad(),
        ("State", "preparing" | "stopping") => theme.doubtful(),
        ("State" | "Fingerprint" | "Script", _) => theme.quiet(),
        ("Lag ms", _) if worker.lag_ms.is_some_and(|lag| lag > LAG_LIMIT_MS) => theme.bad(),
        _ => theme.plain(),
    };
    let lost = snapshot.holes.len() + snapshot.overlaps.len();
    let lost_rows = if lost == 0 { 0 } else { (lost as u16 + 1).min(body.height / 3) };
    let list = Rect { height: body.height - lost_rows, ..body };
    table(pen, list, &screen.workers, &snapshot.workers, WORKER_COLUMNS, style);
    if let Some(worker) = screen.workers.current().and_then(|index| snapshot.workers.get(index)) {
        chosen_worker(pen, list, worker);
    }
    place(pen, list, &screen.workers);
    if lost_rows == 0 {
        return;
    }
    let below = Rect { x: body.x + 1, y: list.bottom(), width: body.width - 1, height: lost_rows };
    pen.heading(below, 0, "Lost and doubled");
    let holes = snapshot
        .holes
        .iter()
        .map(|hole| format!("{}: numbers from {} to {} are lost", short_id(&hole.worker), moment(hole.from_s), moment(hole.to_s)));
    let overlaps = snapshot.overlaps.iter().map(|overlap| {
        let end = overlap.to_s.map_or_else(|| "on, and is still away".to_owned(), |to_s| format!("to {}", moment(to_s)));
        format!("{}: its {} users ran twice from {} {end}", short_id(&overlap.worker), overlap.users, moment(overlap.from_s))
    });
    for (y, line) in (1..below.height).zip(holes.chain(overlaps)) {
        pen.text(below, 0, y, &line, theme.bad());
    }
}

/// What the columns do not say of the worker that the person is at.
fn chosen_worker(pen: &mut Pen<'_>, list: Rect, worker: &WorkerJson) {
    let theme = pen.theme;
    let place = worker.address.as_ref().map_or_else(|| "in this process".to_owned(), |address| format!("at {address}"));
    let x = pen.words(list, 1, list.height - 1, &[(&worker.id, theme.strong()), (&format!(" {place} "), theme.quiet())]);
    if let Some(why) = &worker.script_error {
        pen.text(list, x, list.height - 1, why, theme.bad());
    }
}

/// A heading and the rows in sight. The last row of `body` is left free.
fn table<T>(
    pen: &mut Pen<'_>,
    body: Rect,
    listing: &Listing,
    items: &[T],
    columns: &'static [Column<T>],
    style: impl Fn(&T, &Column<T>, Theme) -> Style,
) {
    let theme = pen.theme;
    let shown = shown(columns, body.width);
    for place in &shown {
        let is_sorted = listing.sort == Some(place.index);
        let arrow = if listing.is_descending { theme.sign("▼", "v") } else { theme.sign("▲", "^") };
        let title = place.column.title;
        let title = if is_sorted { format!("{arrow}{title}") } else { title.to_owned() };
        let style = if is_sorted { theme.accent() } else { theme.quiet() };
        pen.cell(body, (place.x, 0, place.width), &title, place.column.align, style);
    }
    if listing.rows.is_empty() {
        return empty(pen, body, "Nothing matches the filter.", &["Esc drops it."]);
    }
    // Where other rows stand below, fewer are in sight than the listing thinks.
    let offset = listing.offset.max((listing.at + 1).saturating_sub(usize::from(body.height.saturating_sub(2))));
    for (y, index) in (1..body.height.saturating_sub(1)).zip(listing.rows.iter().skip(offset)) {
        let Some(item) = items.get(*index) else { continue };
        row(pen, body, y, &shown, item, |column, theme| style(item, column, theme));
        choose(pen, body, y, listing.current() == Some(*index));
    }
}

/// A column that has found room.
struct Place<T: 'static> {
    column: &'static Column<T>,
    index: usize,
    x: u16,
    width: u16,
}

fn row<T>(pen: &mut Pen<'_>, body: Rect, y: u16, shown: &[Place<T>], item: &T, style: impl Fn(&Column<T>, Theme) -> Style) {
    for place in shown {
        let style = style(place.column, pen.theme);
        pen.cell(body, (place.x, y, place.width), &(place.column.text)(item), place.column.align, style);
    }
}

/// The columns that find room in `width`, and where they stand: the least important go first, until names can be read.
fn shown<T>(columns: &'static [Column<T>], width: u16) -> Vec<Place<T>> {
    let fixed = |rank: u8| columns.iter().filter(|column| column.rank <= rank).map(|column| column.width + 1).sum::<u16>();
    let greatest = columns.iter().map(|column| column.rank).max().unwrap_or(0);
    let rank = (0..=greatest).rev().find(|rank| fixed(*rank) + NAME_LEAST + 2 <= width).unwrap_or(0);
    let free = width.saturating_sub(fixed(rank) + 2);
    let mut x = 1;
    let mut places = Vec::new();
    for (index, column) in columns.iter().enumerate().filter(|(_, column)| column.rank <= rank) {
        let width = if column.width == 0 { free } else { column.width };
        places.push(Place { column, index, x, width });
        x += width + 1;
    }
    places
}

fn choose(pen: &mut Pen<'_>, body: Rect, y: u16, is_chosen: bool) {
    if is_chosen {
        let style = pen.theme.chosen();
        pen.paint(Rect { y: body.y + y, height: 1, ..body }, style);
    }
}

/// At the right of the tabs' rule: which rows are in sight, and what the filter leaves out.
fn place(pen: &mut Pen<'_>, body: Rect, listing: &Listing) {
    let theme = pen.theme;
    let rule = Rect { y: body.y - 1, height: 1, ..body };
    let filter = if listing.filter.is_empty() { String::new() } else { format!(" /{}", escape(&listing.filter)) };
    let total = if listing.rows.len() == listing.total { String::new() } else { format!(" of {}", grouped(listing.total as u64)) };
    let at = if listing.rows.is_empty() { 0 } else { listing.at + 1 };
    pen.right(rule, 0, &format!("{filter} row {} of {}{total} ", grouped(at as u64), grouped(listing.rows.len() as u64)), theme.quiet());
}

/// Columns that a name needs.
const NAME_LEAST: u16 = 16;

/// Above it a second counts as unsound.
const LAG_LIMIT_MS: f64 = LAG_LIMIT.as_millis() as f64;
