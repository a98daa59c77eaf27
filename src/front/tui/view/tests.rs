//! What is drawn, cell by cell, at three sizes, with and without colour, with and without more than ASCII.

use std::sync::Arc;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};

use super::{Theme, draw};
use crate::front::tui::feed::Event;
use crate::front::tui::input::Key;
use crate::front::tui::samples::{NOW, busy, detail, screen, worker};
use crate::front::tui::state::{Door, Screen};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 36), (200, 60)];
const COLOURED: Theme = Theme { is_coloured: true, is_unicode: true };
const PLAIN: Theme = Theme { is_coloured: false, is_unicode: true };
const ASCII: Theme = Theme { is_coloured: false, is_unicode: false };
const ATTACHED: Door = Door::Attached { is_read_only: false };

fn drawn(screen: &Screen, theme: Theme) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(screen.size.0, screen.size.1)).unwrap();
    terminal.draw(|frame| draw(frame, screen, theme)).unwrap();
    terminal.backend().buffer().clone()
}

/// The rows as text, without blanks at their ends.
fn text(buffer: &Buffer) -> String {
    let row = |y| {
        let mut skip = 0;
        let mut text = String::new();
        for x in 0..buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            if skip == 0 {
                text.push_str(symbol);
                skip = unicode_width::UnicodeWidthStr::width(symbol).max(1);
            }
            skip -= 1;
        }
        text.trim_end().to_owned()
    };
    (0..buffer.area.height).map(row).collect::<Vec<_>>().join("\n")
}

/// The colour of each cell as a letter, below the text: what an eye sees.
fn coloured(buffer: &Buffer) -> String {
    let letter = |x, y| {
        let cell = &buffer[(x, y)];
        let is_reversed = cell.modifier.contains(Modifier::REVERSED);
        match cell.fg {
            _ if is_reversed => 'V',
            _ if cell.symbol() == " " => ' ',
            Color::Red => 'r',
            Color::Green => 'g',
            Color::Yellow => 'y',
            Color::Blue => 'b',
            Color::Magenta => 'm',
            Color::Cyan => 'c',
            Color::DarkGray => 'd',
            _ if cell.modifier.contains(Modifier::BOLD) => 'B',
            _ => '.',
        }
    };
    let row = |y| (0..buffer.area.width).map(|x| letter(x, y)).collect::<String>().trim_end().to_owned();
    (0..buffer.area.height).map(row).collect::<Vec<_>>().join("\n")
}

fn press(screen: &mut Screen, keys: &[Key]) {
    for key in keys {
        screen.on_event(Event::Key(*key), NOW);
    }
}

/// Every tab, the detail and the dialogs, with the keys that lead there.
fn places() -> Vec<(&'static str, Vec<Key>)> {
    let keys = |text: &str| text.chars().map(Key::Char).collect::<Vec<_>>();
    vec![
        ("overview", vec![]),
        ("statistics", keys("2>>>jj")),
        ("failures", keys("3")),
        ("exceptions", keys("4")),
        ("workers", keys("5>")),
        ("logs", keys("6")),
        ("detail", vec![Key::Char('2'), Key::Enter]),
        ("help", keys("?")),
        ("stop", keys("x")),
        ("users", keys("tz")),
        ("filter", keys("2/products/1")),
    ]
}

fn at(size: (u16, u16), keys: &[Key]) -> Screen {
    let mut screen = screen(ATTACHED, size);
    press(&mut screen, keys);
    let mut detail = detail();
    if let Some(open) = &screen.detail {
        (detail.entry.method, detail.entry.name) = (open.method.clone(), open.name.clone());
    }
    screen.on_event(Event::Detail(Box::new(detail)), NOW);
    screen
}

#[test]
fn every_place_at_three_sizes_with_and_without_colour() {
    for size in SIZES {
        for (name, keys) in places() {
            let screen = at(size, &keys);
            let label = format!("{name}_{}x{}", size.0, size.1);
            insta::assert_snapshot!(label.clone(), text(&drawn(&screen, PLAIN)));
            let buffer = drawn(&screen, COLOURED);
            insta::assert_snapshot!(format!("{label}_coloured"), format!("{}\n\n{}", text(&buffer), coloured(&buffer)));
        }
    }
}

#[test]
fn without_colour_there_is_none_and_without_unicode_there_is_ascii_alone() {
    for size in SIZES {
        for (name, keys) in places() {
            let screen = at(size, &keys);
            let is_colourless = |buffer: &Buffer| buffer.content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset);
            assert!(is_colourless(&drawn(&screen, PLAIN)), "{name}");
            let ascii = text(&drawn(&screen, ASCII));
            assert!(ascii.is_ascii(), "{name}: {ascii}");
            if name == "overview" {
                insta::assert_snapshot!(format!("{name}_{}x{}_ascii", size.0, size.1), ascii);
            }
        }
    }
}

#[test]
fn text_of_targets_reaches_no_cell_as_a_control_character() {
    for (name, keys) in places() {
        let buffer = drawn(&at((200, 60), &keys), COLOURED);
        assert!(buffer.content.iter().all(|cell| !cell.symbol().contains(|c: char| c.is_control())), "{name}");
    }
}

#[test]
fn an_empty_screen_says_what_to_do_next() {
    let fresh = |door, keys: &[Key]| {
        let mut screen = Screen::new(door, (80, 24));
        screen.on_event(Event::Snapshot(Default::default()), NOW);
        press(&mut screen, keys);
        text(&drawn(&screen, PLAIN))
    };
    insta::assert_snapshot!("empty_overview", fresh(ATTACHED, &[]));
    for (tab, words) in
        [('2', "n starts a run"), ('3', "No request has been made"), ('5', "lunamoth worker --master"), ('6', "Nothing was logged")]
    {
        assert!(fresh(ATTACHED, &[Key::Char(tab)]).contains(words), "{tab}");
    }
    assert!(fresh(Door::Attached { is_read_only: true }, &[]).contains("operator's key"));
    let mut lost = Screen::new(ATTACHED, (80, 24));
    lost.on_event(Event::LinkDown("connection refused".into()), NOW);
    assert!(text(&drawn(&lost, PLAIN)).contains("connection refused"));
}

#[test]
fn the_chosen_worker_is_in_sight_above_what_is_lost() {
    let mut snapshot = busy();
    snapshot.workers = (0..30).map(worker).collect();
    let mut screen = screen(ATTACHED, (80, 24));
    screen.on_event(Event::Snapshot(Arc::new(snapshot)), NOW);
    press(&mut screen, &[Key::Char('5'), Key::End]);
    let buffer = drawn(&screen, COLOURED);
    let chosen = (3..24).find(|y| buffer[(1, *y)].modifier.contains(Modifier::REVERSED)).expect("a row is chosen");
    let row: String = (0..80).map(|x| buffer[(x, chosen)].symbol()).collect();
    assert!(row.contains("load-29_"), "{row}");
    assert!(text(&buffer).contains("Lost and doubled"));
}

#[test]
fn what_the_master_refuses_stands_in_the_form_whole_at_any_size() {
    let why = "the host `http://elsewhere.example:8080` is none that the scenario, -H or --allow-host name";
    for size in [(40, 12), (80, 24), (200, 60)] {
        let mut screen = Screen::new(ATTACHED, size);
        screen.on_event(Event::Snapshot(Default::default()), NOW);
        press(&mut screen, &[Key::Char('n'), Key::Enter]);
        screen.on_event(Event::Answered(Err(why.into())), NOW);
        let shown = text(&drawn(&screen, PLAIN));
        let inside = shown.lines().filter_map(|line| line.split('│').nth(1)).map(str::trim).collect::<Vec<_>>().join(" ");
        assert!(inside.contains(why), "{size:?}: {shown}");
    }
}

#[test]
fn no_size_makes_the_view_stumble() {
    for size in [(0, 0), (1, 1), (39, 9), (40, 10), (41, 11), (60, 12), (80, 16), (139, 20), (140, 14), (300, 100)] {
        for (_, keys) in places() {
            drawn(&at(size, &keys), COLOURED);
            drawn(&at(size, &keys), ASCII);
        }
    }
}
