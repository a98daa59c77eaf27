//! One screen over ssh: draws what has changed into the channel, and ends with its viewer, the channel, or their limits.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossterm::{cursor, execute, terminal};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};
use russh::server::{Handle, Msg};
use russh::{Channel, Disconnect};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::keys::Guest;
use crate::front::tui::{Ask, Door, Input, LocalFeed, Screen, Surface, Theme, draw, drive, feed_of};

/// What a screen over ssh needs.
pub(super) struct Viewing {
    pub(super) local: LocalFeed,
    pub(super) is_coloured: bool,
    pub(super) is_unicode: bool,
    pub(super) guest: Guest,
    pub(super) peer: SocketAddr,
    pub(super) size: (u16, u16),
    pub(super) last_key: watch::Receiver<Instant>,
    pub(super) place: OwnedSemaphorePermit,
}

/// Shows the screen until its end, then closes the connection.
pub(super) async fn view(viewing: Viewing, channel: Channel<Msg>, inputs: mpsc::Receiver<Input>, handle: Handle) {
    let Viewing { local, is_coloured, is_unicode, guest, peer, size, last_key, place } = viewing;
    let door = Door::Attached { is_read_only: guest.is_read_only };
    let theme = Theme { is_coloured, is_unicode };
    let mut screen = Screen::new(door, size);
    if let Ok(mut surface) = ChannelSurface::open(channel, theme, size, guest.name.clone()) {
        let feed = feed_of(&local, door, &format!("ssh {}", guest.name));
        let why = tokio::select! {
            left = drive(&mut screen, feed, inputs, &mut surface) => match left {
                crate::front::tui::Left::Asked => "has left",
                crate::front::tui::Left::Cut => "is gone",
            },
            () = idle(last_key) => "has pressed no key for half an hour, and is sent away",
        };
        surface.close(why).await;
        log::info!("ssh: {} at {peer} {why}", guest.name);
    }
    drop(place);
    // A client that has read its exit status leaves by itself.
    tokio::time::sleep(GOODBYE).await;
    drop(timeout(GOODBYE, handle.disconnect(Disconnect::ByApplication, String::new(), String::new())).await);
}

async fn idle(last_key: watch::Receiver<Instant>) {
    loop {
        let until = *last_key.borrow() + IDLE_TIME;
        if Instant::now() >= until {
            return;
        }
        sleep_until(until).await;
    }
}

/// A channel as a terminal.
struct ChannelSurface {
    channel: Channel<Msg>,
    terminal: Terminal<CrosstermBackend<Sink>>,
    sink: Sink,
    theme: Theme,
    by: String,
}

impl ChannelSurface {
    fn open(channel: Channel<Msg>, theme: Theme, size: (u16, u16), by: String) -> io::Result<Self> {
        let mut sink = Sink::default();
        execute!(sink, terminal::EnterAlternateScreen, cursor::Hide, terminal::Clear(terminal::ClearType::All))?;
        let viewport = Viewport::Fixed(Rect::new(0, 0, size.0, size.1));
        let terminal = Terminal::with_options(CrosstermBackend::new(sink.clone()), TerminalOptions { viewport })?;
        Ok(Self { channel, terminal, sink, theme, by })
    }

    async fn close(&mut self, why: &str) {
        let written = execute!(self.sink, cursor::Show, terminal::LeaveAlternateScreen);
        drop(
            written
                .and_then(|()| io::Write::write_all(&mut self.sink, format!("lunamoth: the screen {why}; the run goes on\r\n").as_bytes())),
        );
        let goodbye = async {
            drop(self.send().await);
            drop(self.channel.exit_status(0).await);
            drop(self.channel.eof().await);
            drop(self.channel.close().await);
        };
        drop(timeout(GOODBYE, goodbye).await);
    }

    /// Waits until the client has room: a client that stands still holds up its own screen alone.
    async fn send(&self) -> io::Result<()> {
        let bytes = self.sink.take();
        if bytes.is_empty() {
            return Ok(());
        }
        let sent = timeout(STALL, self.channel.data_bytes(bytes)).await.map_err(|_| io::ErrorKind::TimedOut)?;
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Surface for ChannelSurface {
    async fn draw(&mut self, screen: &Screen) -> io::Result<()> {
        let theme = self.theme;
        self.terminal.draw(|frame| draw(frame, screen, theme))?;
        self.send().await
    }

    fn resize(&mut self, columns: u16, rows: u16) -> io::Result<()> {
        execute!(self.sink, terminal::Clear(terminal::ClearType::All))?;
        self.terminal.resize(Rect::new(0, 0, columns, rows))
    }

    fn interrupt(&mut self) {}

    fn note(&mut self, ask: &Ask) {
        let what = match ask {
            Ask::Start(_) => "starts a run",
            Ask::Retarget(_) => "wants other users",
            Ask::Stop => "stops the run",
            Ask::Pause => "pauses the run",
            Ask::Resume => "resumes the run",
            Ask::Reset => "resets the statistics",
            Ask::History | Ask::Detail { .. } | Ask::Scripts => return,
        };
        log::info!("ssh: {} {what}", self.by);
    }
}

/// Bytes on their way to the client.
#[derive(Debug, Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Sink {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How long a screen may stand without a key.
const IDLE_TIME: Duration = Duration::from_secs(1_800);

/// How long a client may take nothing.
const STALL: Duration = Duration::from_secs(60);

const GOODBYE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn half_an_hour_without_a_key_is_the_end_and_each_key_begins_it_anew() {
        let (pressed, last_key) = watch::channel(Instant::now());
        let begin = Instant::now();
        let idle = tokio::spawn(idle(last_key));
        for _ in 0..3 {
            sleep(IDLE_TIME - Duration::from_secs(1)).await;
            pressed.send_replace(Instant::now());
        }
        assert!(!idle.is_finished());
        idle.await.unwrap();
        assert_eq!(begin.elapsed(), (IDLE_TIME - Duration::from_secs(1)) * 3 + IDLE_TIME);
    }
}
