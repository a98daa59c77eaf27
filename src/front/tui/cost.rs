//! What a screen costs: processor time for each second that it is shown, by `getrusage`. Run with `--ignored --nocapture`.

use std::sync::Arc;
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;

use super::feed::Event;
use super::input::Key;
use super::samples::{busy, entry, points};
use super::state::{Door, Screen};
use super::view::{Theme, draw};

fn cpu() -> Duration {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to a `rusage` of our own, and of it every bit pattern is right.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr());
        usage.assume_init()
    };
    let time = |time: libc::timeval| Duration::new(time.tv_sec.unsigned_abs(), time.tv_usec.unsigned_abs() as u32 * 1_000);
    time(usage.ru_utime) + time(usage.ru_stime)
}

#[test]
#[ignore = "a measurement"]
fn seconds_of_a_screen_with_a_thousand_entries() {
    const SECONDS: u32 = 100;
    for (place, key) in [("overview", '1'), ("statistics", '2')] {
        let mut screen = Screen::new(Door::Master, (200, 60));
        let mut terminal = Terminal::with_options(
            CrosstermBackend::new(Vec::new()),
            ratatui::TerminalOptions { viewport: ratatui::Viewport::Fixed(ratatui::layout::Rect::new(0, 0, 200, 60)) },
        )
        .unwrap();
        screen.on_event(Event::History { run: busy().run, points: points(3_600) }, Duration::ZERO);
        screen.on_event(Event::Key(Key::Char(key)), Duration::ZERO);
        let snapshots: Vec<_> = (0..SECONDS)
            .map(|second| {
                let mut snapshot = busy();
                snapshot.entries = (0..1_000).map(entry).collect();
                snapshot.entries.iter_mut().for_each(|entry| entry.requests += u64::from(second) * 7);
                snapshot.elapsed_s += f64::from(second);
                Arc::new(snapshot)
            })
            .collect();
        let begin = cpu();
        for (second, snapshot) in (0..).zip(snapshots) {
            screen.on_event(Event::Snapshot(snapshot), Duration::from_secs(second));
            terminal.draw(|frame| draw(frame, &screen, Theme { is_coloured: true, is_unicode: true })).unwrap();
        }
        let spent = (cpu() - begin) / SECONDS;
        println!("{place}: {spent:?} a second, {:.3} % of a core", spent.as_secs_f64() * 100.0);
        screen.take_dirty();
        let begin = cpu();
        for second in 1_000..1_000 + SECONDS {
            screen.on_event(Event::Tick, Duration::from_secs(u64::from(second)));
            assert!(!screen.take_dirty());
        }
        println!("{place}, nothing new: {:?} a second", (cpu() - begin) / SECONDS);
    }
}
