//! Runs one screen: takes events from its feed and from the terminal, and draws when something has changed, at most ten times a second.

use std::io;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::feed::{Ask, Event, Feed};
use super::input::Key;
use super::state::{Action, Left, Screen};

/// What comes from a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// A key was pressed.
    Key(Key),
    /// The new size in columns and rows.
    Resize(u16, u16),
}

/// What a screen is drawn on.
pub trait Surface {
    /// Draws what has changed.
    ///
    /// # Errors
    /// The terminal is gone.
    fn draw(&mut self, screen: &Screen) -> impl Future<Output = io::Result<()>> + Send;

    /// The terminal has another size.
    ///
    /// # Errors
    /// The terminal is gone.
    fn resize(&mut self, columns: u16, rows: u16) -> io::Result<()>;

    /// The person presses Ctrl-C, in the sense that it has without a screen.
    fn interrupt(&mut self);

    /// A wish goes to the master; whoever keeps a log notes it.
    fn note(&mut self, ask: &Ask);
}

/// Shows the screen until the person leaves it, the terminal is gone, or the feed ends.
pub async fn drive(screen: &mut Screen, mut feed: Feed, mut inputs: mpsc::Receiver<Input>, surface: &mut (impl Surface + Send)) -> Left {
    let start = Instant::now();
    let mut drawn_at: Option<Instant> = None;
    let mut needs_drawing = false;
    let mut next_tick = start + TICK;
    loop {
        needs_drawing |= screen.take_dirty();
        let may_draw_at = drawn_at.map_or(start, |drawn_at| drawn_at + FRAME);
        let wakes_at = screen.wakes_at().map_or(next_tick, |wakes_at| next_tick.min(start + wakes_at));
        let sleeps_until = if needs_drawing { may_draw_at.min(wakes_at) } else { wakes_at };
        let event = if needs_drawing && Instant::now() >= may_draw_at {
            if surface.draw(screen).await.is_err() {
                return Left::Cut;
            }
            needs_drawing = false;
            drawn_at = Some(Instant::now());
            continue;
        } else {
            tokio::select! {
                biased;
                input = inputs.recv() => match input {
                    Some(Input::Key(key)) => Event::Key(key),
                    Some(Input::Resize(columns, rows)) => {
                        if surface.resize(columns, rows).is_err() {
                            return Left::Cut;
                        }
                        Event::Resize(columns, rows)
                    }
                    None => return Left::Cut,
                },
                event = feed.events.recv() => match event {
                    Some(event) => event,
                    None => return Left::Cut,
                },
                () = sleep_until(sleeps_until) => {
                    let now = Instant::now();
                    if now >= next_tick {
                        next_tick = now + TICK;
                    }
                    Event::Tick
                }
            }
        };
        for action in screen.on_event(event, start.elapsed()) {
            match action {
                Action::Leave => return Left::Asked,
                Action::Interrupt => surface.interrupt(),
                Action::Ask(ask) => {
                    surface.note(&ask);
                    if feed.asks.try_send(ask).is_err() {
                        let answer = Err("the master has not answered what was asked before; try again".to_owned());
                        screen.on_event(Event::Answered(answer), start.elapsed());
                    }
                }
            }
        }
    }
}

/// The least time between two pictures.
const FRAME: Duration = Duration::from_millis(100);

/// How often a screen looks at its clock.
const TICK: Duration = Duration::from_secs(1);
