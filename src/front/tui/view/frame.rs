//! What is around the body: the run in one line, the tabs, the notice and the keys.

use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr as _;

use super::pen::Pen;
use super::theme::Theme;
use crate::front::snapshot_json::{SnapshotJson, StateJson};
use crate::front::text::{escape, shorten, wrap};
use crate::front::tui::state::columns::moment;
use crate::front::tui::state::levels::Wanted;
use crate::front::tui::state::{CHROME_ROWS, Door, OLD, SILENT, Screen, Tab, grouped};

/// The run, the tabs and a rule.
pub fn head(pen: &mut Pen<'_>, area: Rect, screen: &Screen) {
    let theme = pen.theme;
    let snapshot = &screen.snapshot;
    let right = if screen.has_run() { format!("{}  {} ", users(screen), time(snapshot, area.width, theme)) } else { String::new() };
    let (word, style) = state_word(screen, theme);
    let name = if area.width < ALL_TITLES_FROM { "" } else { "lunamoth  " };
    let x = pen.words(area, 1, 0, &[(name, theme.accent()), (theme.sign("● ", "* "), style), (&word, style.patch(theme.strong()))]);
    let room = area.width.saturating_sub(x + right.width() as u16 + 4);
    let about = match &snapshot.host {
        Some(host) if screen.has_run() => format!("{} at {}", escape(&snapshot.scenario), escape(host)),
        _ => escape(&snapshot.scenario).into_owned(),
    };
    pen.text(area, x + 2, 0, &shorten(&about, usize::from(room)), theme.plain());
    pen.right(area, 0, &right, theme.strong());
    tabs(pen, area, screen);
    pen.rule(area, 2);
}

fn state_word(screen: &Screen, theme: Theme) -> (String, Style) {
    let age = screen.age();
    if age >= SILENT {
        return ("no answer".to_owned(), theme.bad());
    }
    if screen.link_down.is_some() {
        return ("reconnecting".to_owned(), theme.bad());
    }
    let state = screen.snapshot.state;
    if age >= OLD {
        return (format!("{}, {} s ago", state.name(), age.as_secs()), theme.doubtful());
    }
    let style = match state {
        StateJson::Running => theme.good(),
        StateJson::Waiting | StateJson::Spawning | StateJson::Paused | StateJson::Stopping => theme.doubtful(),
        StateJson::Ready | StateJson::Stopped => theme.quiet(),
    };
    (state.name().to_owned(), style)
}

fn users(screen: &Screen) -> String {
    let snapshot = &screen.snapshot;
    let asked = screen.wanted.map(|(wanted, _)| wanted).or(screen.goal);
    let goal = match asked {
        Some(Wanted::Users(users)) => u64::from(users),
        Some(Wanted::Rate(_)) | None => snapshot.goal_users,
    };
    let is_news = goal > 0 && goal != snapshot.users && goal != snapshot.target_users;
    let wanted = if is_news { format!(" -> {}", grouped(goal)) } else { String::new() };
    let due = match (asked, snapshot.iterations.rate_wanted) {
        (Some(wanted @ Wanted::Rate(_)), Some(rate)) if wanted != Wanted::Rate(rate) => {
            format!(" for {}/s -> {}/s", rate_text(rate), wanted.text())
        }
        (_, Some(rate)) => format!(" for {}/s", rate_text(rate)),
        (_, None) => String::new(),
    };
    let progress = match (snapshot.iterations.begun, snapshot.iterations.total) {
        (Some(begun), Some(total)) => format!("  {}/{} iterations", grouped(begun), grouped(total)),
        _ => String::new(),
    };
    if snapshot.users == snapshot.target_users {
        format!("{} users{wanted}{due}{progress}", grouped(snapshot.users))
    } else {
        format!("{}/{} users{wanted}{due}{progress}", grouped(snapshot.users), grouped(snapshot.target_users))
    }
}

/// Iterations per second as they are at this moment, which on the way to another rate may be any fraction.
fn rate_text(rate: f64) -> String {
    if rate < 1.0 { Wanted::Rate(rate).text() } else { Wanted::Rate((rate * 10.0).round() / 10.0).text() }
}

fn time(snapshot: &SnapshotJson, width: u16, theme: Theme) -> String {
    let Some(planned_s) = snapshot.planned_s.filter(|planned_s| *planned_s > 0.0) else { return moment(snapshot.elapsed_s) };
    let text = format!("{}/{}", moment(snapshot.elapsed_s), moment(planned_s));
    if width < BAR_FROM_COLUMNS {
        return text;
    }
    let filled = ((snapshot.elapsed_s / planned_s).clamp(0.0, 1.0) * BAR_COLUMNS as f64) as usize;
    let (full, free) = (theme.sign("━", "#"), theme.sign("╌", "."));
    format!("{text} {}{}", full.repeat(filled), free.repeat(BAR_COLUMNS - filled))
}

fn tabs(pen: &mut Pen<'_>, area: Rect, screen: &Screen) {
    let theme = pen.theme;
    let snapshot = &screen.snapshot;
    let mut x = 0;
    let is_tight = area.width < ALL_TITLES_FROM;
    for (index, tab) in Tab::ALL.into_iter().enumerate() {
        let count = match tab {
            Tab::Failures => snapshot.errors.len(),
            Tab::Exceptions => snapshot.exceptions.len(),
            Tab::Workers => snapshot.workers.len(),
            _ => 0,
        };
        let count_text = if count > 0 && !is_tight { format!(" {}", grouped(count as u64)) } else { String::new() };
        let title = if is_tight && tab != screen.tab { "" } else { tab.title() };
        let style = match tab {
            _ if tab == screen.tab => theme.chosen(),
            Tab::Failures | Tab::Exceptions if count > 0 => theme.bad(),
            _ => theme.plain(),
        };
        x = pen.words(area, x, 1, &[(&format!(" {}{}{title}{count_text} ", index + 1, if title.is_empty() { "" } else { " " }), style)]);
    }
}

/// The notice and the keys.
pub fn foot(pen: &mut Pen<'_>, area: Rect, screen: &Screen) {
    let theme = pen.theme;
    let row = area.height - 2;
    if screen.is_filtering {
        let filter = screen.listing().map_or("", |listing| listing.filter.as_str());
        let words = [(" / ", theme.accent()), (filter, theme.strong()), (theme.sign("▏", "_"), theme.accent())];
        let x = pen.words(area, 0, row, &words);
        pen.text(area, x + 2, row, "Enter keeps the filter, Esc drops it", theme.quiet());
    } else if let Some((reason, _)) = screen.link_down.as_ref().filter(|_| screen.has_snapshot) {
        let age = format!("; trying again; the numbers are {} s old", screen.age().as_secs());
        // In one row: it stands for as long as it takes, and must not cover numbers.
        let room = usize::from(area.width.saturating_sub(4)).saturating_sub(age.len());
        say(pen, area, &format!("{}{age}", shorten(&escape(reason), room)), true);
    } else if screen.age() >= SILENT {
        say(pen, area, &format!("nobody has answered for {} s: the numbers are from before", screen.age().as_secs()), true);
    } else if let Some(notice) = &screen.notice {
        say(pen, area, &notice.text, notice.is_error);
    }
    keys(pen, area, screen);
}

/// Says something above the keys, in as many rows as it takes.
fn say(pen: &mut Pen<'_>, area: Rect, text: &str, is_error: bool) {
    let theme = pen.theme;
    let (sign, style) = if is_error { (theme.sign(" ✗ ", " ! "), theme.bad()) } else { (theme.sign(" ✓ ", " = "), theme.good()) };
    let lines = wrap(&escape(text), usize::from(area.width.saturating_sub(4)));
    let count = (lines.len() as u16).min(NOTICE_ROWS).min(area.height.saturating_sub(CHROME_ROWS));
    let first = area.height - 1 - count;
    if count > 1 {
        pen.clear(Rect { y: area.y + first, height: count, ..area });
    }
    for (y, line) in (first..area.height - 1).zip(&lines) {
        pen.words(area, 0, y, &[(if y == first { sign } else { "   " }, style), (line, style)]);
    }
}

fn keys(pen: &mut Pen<'_>, area: Rect, screen: &Screen) {
    let theme = pen.theme;
    let mut x = 1;
    for (key, word) in hints(screen) {
        if usize::from(x) + key.width() + word.width() + 1 > usize::from(area.width) {
            break;
        }
        x = pen.words(area, x, area.height - 1, &[(key, theme.accent()), (" ", theme.plain()), (word, theme.quiet())]) + 2;
    }
}

/// The keys that mean something here, the most useful first.
fn hints(screen: &Screen) -> Vec<(&'static str, &'static str)> {
    let mut hints = vec![("?", "help"), ("q", if screen.door == Door::Run { "end" } else { "leave" })];
    if screen.detail.is_some() {
        hints.push(("Esc", "back"));
        return hints;
    }
    let may_start = screen.may_steer() && screen.door != Door::Run;
    if may_start && matches!(screen.snapshot.state, StateJson::Ready | StateJson::Stopped) {
        hints.insert(0, ("n", "new run"));
    }
    match screen.tab {
        Tab::Overview if !screen.has_run() => {}
        Tab::Overview => hints.extend([("z", "zoom"), ("Enter", "total")]),
        Tab::Statistics => hints.extend([("< > o", "sort"), ("/", "filter"), ("Enter", "detail")]),
        Tab::Failures | Tab::Workers => hints.extend([("< > o", "sort"), ("/", "filter")]),
        Tab::Exceptions => hints.push(("/", "filter")),
        Tab::Logs => hints.push(("End", "newest")),
    }
    if screen.may_steer() {
        let state = screen.snapshot.state;
        match state {
            StateJson::Paused => hints.extend([("p", "resume"), ("x", "stop")]),
            StateJson::Spawning | StateJson::Running => hints.extend([("x", "stop"), ("+ - t", "load"), ("p", "pause"), ("r", "reset")]),
            StateJson::Waiting | StateJson::Stopping => hints.push(("x", "stop")),
            StateJson::Ready | StateJson::Stopped => {}
        }
    }
    hints
}

/// The body before the first view of the run.
pub fn nothing_yet(pen: &mut Pen<'_>, body: Rect, screen: &Screen) {
    match &screen.link_down {
        Some((reason, _)) => empty(pen, body, "The master does not answer.", &[reason, "This screen tries again by itself. q leaves it."]),
        None => empty(pen, body, "Waiting for the first numbers.", &["They come once a second."]),
    }
}

/// An empty body that says what to do next.
pub fn empty(pen: &mut Pen<'_>, body: Rect, title: &str, lines: &[&str]) {
    let theme = pen.theme;
    let begin = (body.height / 3).saturating_sub(1);
    let x = |text: &str| body.width.saturating_sub(text.width() as u16) / 2;
    pen.text(body, x(title), begin, title, theme.strong());
    let room = usize::from(body.width.saturating_sub(2)).min(EMPTY_COLUMNS);
    let lines = lines.iter().flat_map(|line| wrap(&escape(line), room));
    for (row, line) in (begin + 2..).zip(lines) {
        pen.text(body, x(&line), row, &line, theme.quiet());
    }
}

/// Columns that all titles of the tabs with their counts need.
const ALL_TITLES_FROM: u16 = 76;

/// Columns of the words of an empty body, at the most.
const EMPTY_COLUMNS: usize = 76;

/// Rows that a notice takes at most.
const NOTICE_ROWS: u16 = 5;

const BAR_FROM_COLUMNS: u16 = 100;
const BAR_COLUMNS: usize = 20;
