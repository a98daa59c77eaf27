//! The help: which keys there are at this door, as lines of the width that the screen has, and how far they are scrolled.

use super::{Door, Screen};
use crate::front::text::{Align, pad, wrap};

/// A line of the help: a key, and what it does. One of the two is empty where a line goes on, or where both have no room side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelpLine {
    /// As it stands on the keyboard.
    pub key: String,
    /// What the key does.
    pub words: String,
}

impl Screen {
    /// The help's lines, none wider than the frame's inside, and how many of them have room at once.
    #[must_use]
    pub fn help(&self) -> (Vec<HelpLine>, usize) {
        let width = usize::from(HELP_COLUMNS.min(self.size.0).saturating_sub(FRAME_COLUMNS)).max(1);
        let run = if self.has_run() { &self.snapshot.run } else { "none" };
        let version = format!("lunamoth {}, run {run}", self.snapshot.version);
        let mut lines: Vec<HelpLine> = keys(self).into_iter().flat_map(|(key, words)| lines_of(key, words, width)).collect();
        let plain = |words: String| HelpLine { key: String::new(), words };
        lines.push(plain(String::new()));
        lines.extend(wrap(&version, width).into_iter().map(plain));
        let room = usize::from(self.size.1.saturating_sub(FRAME_ROWS)).clamp(1, lines.len());
        (lines, room)
    }

    /// Where the help is once it has been scrolled by `lines` from `top`.
    pub(super) fn scrolled_help(&self, top: usize, lines: isize) -> usize {
        let (all, room) = self.help();
        top.saturating_add_signed(lines).min(all.len() - room)
    }
}

fn lines_of(key: &str, words: &str, width: usize) -> Vec<HelpLine> {
    if width < SIDE_BY_SIDE {
        let indented =
            wrap(words, width.saturating_sub(2).max(1)).into_iter().map(|line| HelpLine { key: String::new(), words: format!("  {line}") });
        let keys = wrap(key, width).into_iter().map(|key| HelpLine { key, words: String::new() });
        return keys.chain(indented).collect();
    }
    let mut keys = wrap(key, KEY_COLUMNS - 1).into_iter();
    let mut words = wrap(words, width - KEY_COLUMNS).into_iter();
    let mut lines = Vec::new();
    loop {
        let line = (keys.next(), words.next());
        if line == (None, None) {
            return lines;
        }
        let [key, words] = [line.0, line.1].map(|part| part.unwrap_or_else(String::new));
        lines.push(HelpLine { key: pad(&key, KEY_COLUMNS, Align::Left), words });
    }
}

/// What can be done at this door: nothing is offered that would be refused.
fn keys(screen: &Screen) -> Vec<(&'static str, &'static str)> {
    let (quit, interrupt) = match screen.door {
        Door::Run => ("end the run, print its report", "end the run; once more cuts it short"),
        Door::Master => ("leave the screen; the master goes on", "end the run and the master"),
        Door::Attached { .. } => ("leave the screen; the run goes on", "leave the screen; the run goes on"),
    };
    let mut keys = vec![
        ("1 ... 6, Tab", "turn to a tab"),
        ("arrows, PgUp, PgDn, Home, End", "move"),
        ("Enter", "one entry: distribution, phases, answers"),
        ("Esc", "back"),
        ("< > o", "sort by another column; the other way round"),
        ("/", "filter a table"),
        ("z", "charts: 5 min, 30 min, the whole run, 1 min"),
    ];
    if screen.may_steer() {
        if screen.door != Door::Run {
            keys.push(("n", "start a run"));
        }
        keys.extend([
            ("+ - t", "a tenth more or less load; a number"),
            ("p", "pause, resume"),
            ("x", "stop the run"),
            ("r", "reset the statistics"),
        ]);
    }
    keys.extend([("q", quit), ("Ctrl-C", interrupt)]);
    keys
}

/// The frame around the help at most, with its sides.
pub const HELP_COLUMNS: u16 = 78;
/// Columns and rows that the frame itself takes.
pub const FRAME_COLUMNS: u16 = 4;
/// See [`FRAME_COLUMNS`].
pub const FRAME_ROWS: u16 = 2;
/// Narrower frames have keys and words below each other.
const SIDE_BY_SIDE: usize = 56;
const KEY_COLUMNS: usize = 17;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use unicode_width::UnicodeWidthStr as _;

    use super::*;
    use crate::front::tui::feed::Event;
    use crate::front::tui::input::Key;
    use crate::front::tui::state::Dialog;

    const NOW: Duration = Duration::from_secs(100);

    #[test]
    fn the_help_can_be_read_to_its_end_at_every_size_and_offers_nothing_that_is_refused() {
        for door in [Door::Run, Door::Master, Door::Attached { is_read_only: true }, Door::Attached { is_read_only: false }] {
            for (columns, rows) in [(20, 6), (40, 12), (59, 24), (80, 24), (200, 60)] {
                let mut screen = Screen::new(door, (columns, rows));
                screen.on_event(Event::Key(Key::Char('?')), NOW);
                let (lines, room) = screen.help();
                assert!(room <= usize::from(rows - FRAME_ROWS));
                let width = usize::from(columns.min(HELP_COLUMNS) - FRAME_COLUMNS);
                assert!(lines.iter().all(|line| line.key.width() + line.words.width() <= width), "{columns}: {lines:?}");
                let mut seen = BTreeSet::new();
                for _ in 0..100 {
                    let Some(Dialog::Help(top)) = screen.dialog else { panic!("the help is closed") };
                    seen.extend(top..top + room);
                    screen.on_event(Event::Key(Key::Down), NOW);
                }
                assert_eq!(seen, (0..lines.len()).collect(), "{door:?} {columns}x{rows}");
                let offers = |key: &str| lines.iter().any(|line| line.key.trim() == key);
                assert_eq!((offers("n"), offers("x")), (screen.may_steer() && door != Door::Run, screen.may_steer()));
                screen.on_event(Event::Key(Key::Home), NOW);
                assert_eq!(screen.dialog, Some(Dialog::Help(0)));
                screen.on_event(Event::Key(Key::Esc), NOW);
                assert_eq!(screen.dialog, None);
            }
        }
    }
}
