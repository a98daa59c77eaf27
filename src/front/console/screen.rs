//! The screen: the one writer of stdout and stderr, so that the log, the tables and the progress line never tear each other.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::table::TABLE_WIDTH;

/// Both streams of the console. Shared by the log and the printer.
#[derive(Debug)]
pub struct Screen {
    state: Mutex<State>,
    stdout_is_terminal: bool,
    stderr_is_terminal: bool,
    is_coloured: bool,
}

#[derive(Debug, Default)]
struct State {
    /// What stands on the last line of the terminal; empty without.
    progress: String,
    /// Nobody reads stdout any more.
    stdout_is_gone: bool,
}

impl Screen {
    /// The process's own streams. Colours need a terminal at stdout and their permission.
    #[must_use]
    pub fn new(no_color: bool) -> Self {
        let stdout_is_terminal = std::io::stdout().is_terminal();
        Self {
            state: Mutex::default(),
            stdout_is_terminal,
            stderr_is_terminal: std::io::stderr().is_terminal(),
            is_coloured: stdout_is_terminal && !no_color,
        }
    }

    /// Writes a whole piece of text to stdout. Once the reader is gone, nothing more is written, quietly.
    pub fn print(&self, text: &str) {
        let mut state = self.lock();
        if state.stdout_is_gone {
            return;
        }
        self.erase(&state);
        let mut stdout = std::io::stdout().lock();
        if stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).is_err() {
            state.stdout_is_gone = true;
        }
        self.draw(&state);
    }

    /// Writes a whole line of the log to stderr.
    pub fn log(&self, line: &str) {
        let state = self.lock();
        self.erase(&state);
        // One call, so that lines of several processes on one pipe stay whole. There is nowhere left to report a failure.
        let _gone = std::io::stderr().write_all(format!("{line}\n").as_bytes());
        self.draw(&state);
    }

    /// Puts `line` in the place of the progress line. An empty one takes it away. Does nothing without a terminal.
    pub fn progress(&self, line: String) {
        let mut state = self.lock();
        if !self.stderr_is_terminal || state.progress == line {
            return;
        }
        self.erase(&state);
        state.progress = line;
        self.draw(&state);
    }

    /// Whether tables may be coloured.
    #[must_use]
    pub const fn is_coloured(&self) -> bool {
        self.is_coloured
    }

    /// Columns for tables.
    #[must_use]
    pub fn table_width(&self) -> usize {
        if self.stdout_is_terminal { columns(std::io::stdout()).unwrap_or(TABLE_WIDTH) } else { TABLE_WIDTH }
    }

    /// Columns for the progress line. One is left free: a full line would wrap on some terminals.
    #[must_use]
    pub fn progress_width(&self) -> usize {
        columns(std::io::stderr()).unwrap_or(80).saturating_sub(1)
    }

    fn erase(&self, state: &State) {
        if !state.progress.is_empty() {
            let _gone = std::io::stderr().write_all(b"\r\x1b[2K");
        }
    }

    fn draw(&self, state: &State) {
        if !state.progress.is_empty() {
            let _gone = std::io::stderr().write_all(state.progress.as_bytes());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the state as good as it was; the log must still come out.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn columns(stream: impl std::os::fd::AsFd) -> Option<usize> {
    terminal_size::terminal_size_of(stream).map(|(width, _)| usize::from(width.0))
}
