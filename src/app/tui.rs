//! The terminal UI's part in the commands: `lunamoth tui`, and the screens of `run` and `master`.

use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::mpsc;

use super::{Failure, Start, runtime};
use crate::cluster::handle::MasterHandle;
use crate::config::{Settings, parse_duration};
use crate::front::console::Screen;
use crate::front::tui::{self, Door, Left, LocalFeed, Reader, feed_of};

/// A terminal UI that is shown.
pub(super) struct Shown {
    thread: JoinHandle<Left>,
    screen: Arc<Screen>,
}

impl Shown {
    /// Waits until it is left, and has the terminal back.
    pub(super) fn join(self) {
        // A panic in it has been told by its hook.
        drop(self.thread.join());
        self.screen.uncover();
    }
}

/// Whether a run shows a screen: it does on a terminal, unless somebody wants it otherwise.
pub(super) fn is_wanted(settings: &Settings, by_default: bool) -> Result<bool, Failure> {
    if settings.tui && !tui::has_terminal() {
        return Err(Failure::bad_use(anyhow::anyhow!("there is no terminal for `--tui` to draw on: leave it out")));
    }
    Ok(settings.tui || (by_default && !settings.headless && !settings.quiet && tui::has_terminal()))
}

/// Shows the screen of a master in this process. `interrupts` hears of Ctrl-C.
pub(super) fn show(start: &Start, door: Door, local: LocalFeed, interrupts: mpsc::Sender<()>) -> Result<Shown, Failure> {
    let screen = Arc::clone(&start.screen);
    screen.cover();
    let theme = tui::theme_of_locale(!screen.is_coloured());
    let shown = tui::show(door, theme, interrupts, move || feed_of(&local, door, "the terminal"));
    match shown {
        Ok(thread) => Ok(Shown { thread, screen }),
        Err(why) => {
            screen.uncover();
            Err(Failure::bad_use(anyhow::Error::new(why).context("failed to take over the terminal; `--headless` does without")))
        }
    }
}

/// What screens need besides the master.
pub(super) fn local_feed(handle: MasterHandle, scripts: impl Fn() -> Vec<String> + Send + Sync + 'static) -> LocalFeed {
    LocalFeed::new(handle, Reader { run_time: parse_duration, scripts: Arc::new(scripts) })
}

pub(super) fn attach(_start: &Start) -> Result<u8, Failure> {
    let _ = runtime()?;
    Err(Failure::bad_use(anyhow::anyhow!("not yet")))
}
