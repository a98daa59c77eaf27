//! The screen: the one writer of stdout and stderr, so that the log, the tables and the progress line never tear each other.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal as _, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::table::TABLE_WIDTH;

/// Both streams of the console. Shared by the log and the printer.
pub struct Screen {
    state: Mutex<State>,
    stdout_is_terminal: bool,
    stderr_is_terminal: bool,
    /// A terminal that cannot move its cursor.
    is_dumb: bool,
    is_coloured: bool,
}

/// Where tables and reports go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tables {
    /// To stdout, as usual.
    Stdout,
    /// To stderr, since stdout belongs to a report for a program.
    Stderr,
}

/// Whether text may be coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    /// No text is, wherever it goes.
    Never,
    /// On a terminal that can.
    OnTerminal,
    /// Anywhere: somebody asked for it.
    Always,
}

impl Colours {
    /// What `--no-color`, `NO_COLOR`, `CLICOLOR_FORCE`, `CLICOLOR` and `TERM` say together, the first that speaks.
    #[must_use]
    pub fn of(no_color: bool, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let is = |name: &str, holds: &dyn Fn(&OsStr) -> bool| variable(name).is_some_and(|value| !value.is_empty() && holds(&value));
        if no_color || is("NO_COLOR", &|_| true) {
            Self::Never
        } else if is("CLICOLOR_FORCE", &|value| value != "0") {
            Self::Always
        } else if is("CLICOLOR", &|value| value == "0") || is("TERM", &|value| value == "dumb") {
            Self::Never
        } else {
            Self::OnTerminal
        }
    }
}

struct State {
    stdout: Box<dyn Write + Send>,
    stderr: Box<dyn Write + Send>,
    /// What stands on the last line of the terminal; empty without.
    progress: String,
    /// Nobody reads stdout any more, or it cannot be written.
    stdout_is_gone: bool,
    /// It could not be written, and that was no reader's wish.
    has_failed: bool,
    /// What waits behind a terminal UI; none without one.
    behind: Option<Behind>,
}

/// What was to be written while a terminal UI had the terminal.
#[derive(Default)]
struct Behind {
    /// Whether it goes to stdout, and the text.
    texts: VecDeque<(bool, String)>,
    dropped: u64,
}

impl Behind {
    fn keep(&mut self, is_stdout: bool, text: String) {
        if self.texts.len() >= BEHIND {
            self.texts.pop_front();
            self.dropped += 1;
        }
        self.texts.push_back((is_stdout, text));
    }
}

impl Screen {
    /// The process's own streams.
    #[must_use]
    pub fn new(colours: Colours, tables: Tables) -> Self {
        let stderr_is_terminal = io::stderr().is_terminal();
        let (stdout, stdout_is_terminal): (Box<dyn Write + Send>, bool) = match tables {
            Tables::Stdout => (Box::new(io::stdout()), io::stdout().is_terminal()),
            Tables::Stderr => (Box::new(io::stderr()), stderr_is_terminal),
        };
        let stderr = Box::new(io::stderr());
        let state = State { stdout, stderr, progress: String::new(), stdout_is_gone: false, has_failed: false, behind: None };
        Self {
            state: Mutex::new(state),
            stdout_is_terminal,
            stderr_is_terminal,
            is_dumb: std::env::var_os("TERM").is_some_and(|term| term == "dumb"),
            is_coloured: colours == Colours::Always || (stdout_is_terminal && colours == Colours::OnTerminal),
        }
    }

    /// Writes a whole piece of text to stdout. Once the reader is gone, nothing more is written, quietly; any other failure is told once on
    /// stderr, and remembered.
    pub fn print(&self, text: &str) {
        let mut state = self.lock();
        if state.stdout_is_gone {
            return;
        }
        if self.stdout_is_terminal
            && let Some(behind) = &mut state.behind
        {
            return behind.keep(true, text.to_owned());
        }
        state.erase();
        if let Err(why) = state.stdout.write_all(text.as_bytes()).and_then(|()| state.stdout.flush()) {
            state.stdout_is_gone = true;
            // A terminal that hung up answers with an error of its own.
            let is_readers_wish =
                why.kind() == io::ErrorKind::BrokenPipe || (self.stdout_is_terminal && why.raw_os_error() == Some(libc::EIO));
            if !is_readers_wish {
                state.write_stderr(&format!("lunamoth: cannot write to stdout: {why}; what follows is not shown\n"));
                state.has_failed = true;
            }
        }
        state.draw();
    }

    /// Whether stdout could not be written, a reader that went away apart.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.lock().has_failed
    }

    /// Writes a whole line of the log to stderr.
    pub fn log(&self, line: &str) {
        let mut state = self.lock();
        if self.stderr_is_terminal
            && let Some(behind) = &mut state.behind
        {
            return behind.keep(false, format!("{line}\n"));
        }
        state.erase();
        // One call, so that lines of several processes on one pipe stay whole.
        state.write_stderr(&format!("{line}\n"));
        state.draw();
    }

    /// Puts `line` in the place of the progress line. An empty one takes it away. Does nothing without a terminal that can do that.
    pub fn progress(&self, line: String) {
        let mut state = self.lock();
        if !self.stderr_is_terminal || self.is_dumb || state.progress == line || state.behind.is_some() {
            return;
        }
        state.erase();
        state.progress = line;
        state.draw();
    }

    /// Leaves the terminal to a terminal UI: what would be written to it waits, the newest few hundred texts of it.
    pub fn cover(&self) {
        self.progress(String::new());
        self.lock().behind.get_or_insert_default();
    }

    /// Has the terminal back, and writes what has waited.
    pub fn uncover(&self) {
        let Some(behind) = self.lock().behind.take() else { return };
        if behind.dropped > 0 {
            self.log(&format!("({} lines of the log before these were dropped)", behind.dropped));
        }
        for (is_stdout, text) in behind.texts {
            if is_stdout {
                self.print(&text);
            } else {
                self.log(text.trim_end_matches('\n'));
            }
        }
    }

    /// Whether both streams may be taken over by a terminal UI.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        self.stdout_is_terminal && self.stderr_is_terminal
    }

    /// Whether a screenful may be drawn over the one before.
    #[must_use]
    pub const fn redraws(&self) -> bool {
        self.stdout_is_terminal && !self.is_dumb
    }

    /// Whether tables may be coloured.
    #[must_use]
    pub const fn is_coloured(&self) -> bool {
        self.is_coloured
    }

    /// How many columns a table may take.
    #[must_use]
    pub fn table_width(&self) -> usize {
        if self.stdout_is_terminal { columns(io::stdout()).or_else(|| columns(io::stderr())).unwrap_or(TABLE_WIDTH) } else { TABLE_WIDTH }
    }

    /// Columns for the progress line. One is left free: a full line would wrap on some terminals.
    #[must_use]
    pub fn progress_width(&self) -> usize {
        columns(io::stderr()).unwrap_or(80).saturating_sub(1)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the state as good as it was; the log must still come out.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn erase(&mut self) {
        if !self.progress.is_empty() {
            self.write_stderr("\r\x1b[2K");
        }
    }

    fn draw(&mut self) {
        if !self.progress.is_empty() {
            let line = self.progress.clone();
            self.write_stderr(&line);
        }
    }

    fn write_stderr(&mut self, text: &str) {
        // There is nowhere left to report that stderr is gone.
        let _gone = self.stderr.write_all(text.as_bytes()).and_then(|()| self.stderr.flush());
    }
}

impl std::fmt::Debug for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Screen").field("stderr_is_terminal", &self.stderr_is_terminal).finish_non_exhaustive()
    }
}

fn columns(stream: impl std::os::fd::AsFd) -> Option<usize> {
    terminal_size::terminal_size_of(stream).map(|(width, _)| usize::from(width.0))
}

/// Texts that wait behind a terminal UI.
const BEHIND: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// Both streams of a test screen, in the order of writing, as one terminal would show them.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// A pipe whose reader is gone; counts the tries.
    struct Broken(Arc<Mutex<u32>>);

    impl Write for Broken {
        fn write(&mut self, _bytes: &[u8]) -> std::io::Result<usize> {
            *self.0.lock().unwrap() += 1;
            Err(std::io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// A disk that is full.
    struct Full;

    impl Write for Full {
        fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn screen(stdout: Box<dyn Write + Send>, paper: &Paper, stderr_is_terminal: bool) -> Screen {
        let state = State {
            stdout,
            stderr: Box::new(paper.clone()),
            progress: String::new(),
            stdout_is_gone: false,
            has_failed: false,
            behind: None,
        };
        Screen { state: Mutex::new(state), stdout_is_terminal: false, stderr_is_terminal, is_dumb: false, is_coloured: false }
    }

    fn text(paper: &Paper) -> String {
        String::from_utf8(paper.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn the_progress_line_makes_way_for_tables_and_the_log_and_comes_back() {
        let paper = Paper::default();
        let screen = screen(Box::new(paper.clone()), &paper, true);
        screen.progress("10%".to_owned());
        screen.print("table\n");
        screen.log("line");
        screen.progress("20%".to_owned());
        screen.progress(String::new());
        screen.print("report\n");
        let erase = "\r\x1b[2K";
        assert_eq!(text(&paper), format!("10%{erase}table\n10%{erase}line\n10%{erase}20%{erase}report\n"));
    }

    #[test]
    fn without_a_terminal_there_is_no_progress_line() {
        let paper = Paper::default();
        let screen = screen(Box::new(paper.clone()), &paper, false);
        screen.progress("10%".to_owned());
        screen.log("line");
        assert_eq!(text(&paper), "line\n");
    }

    #[test]
    fn printing_ends_quietly_when_nobody_reads_any_more() {
        let (paper, tries) = (Paper::default(), Arc::default());
        let screen = screen(Box::new(Broken(Arc::clone(&tries))), &paper, false);
        screen.print("a");
        screen.print("b");
        screen.log("still here");
        assert_eq!((*tries.lock().unwrap(), text(&paper).as_str()), (1, "still here\n"));
        assert!(!screen.has_failed());
    }

    #[test]
    fn a_stdout_that_cannot_be_written_is_told_once_and_remembered() {
        let paper = Paper::default();
        let screen = screen(Box::new(Full), &paper, false);
        screen.print("a");
        screen.print("b");
        assert_eq!(text(&paper).matches("cannot write to stdout").count(), 1, "{}", text(&paper));
        assert!(screen.has_failed());
    }

    #[test]
    fn colours_follow_the_variables_that_people_set() {
        let of = |no_color, variables: &[(&str, &str)]| {
            let variables: std::collections::HashMap<_, _> = variables.iter().copied().collect();
            Colours::of(no_color, |name| variables.get(name).map(OsString::from))
        };
        assert_eq!(of(false, &[("TERM", "xterm"), ("NO_COLOR", "")]), Colours::OnTerminal);
        assert_eq!(of(false, &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")]), Colours::Never);
        assert_eq!(of(true, &[("CLICOLOR_FORCE", "1")]), Colours::Never);
        assert_eq!(of(false, &[("CLICOLOR_FORCE", "1"), ("TERM", "dumb")]), Colours::Always);
        assert_eq!(of(false, &[("CLICOLOR_FORCE", "0"), ("TERM", "dumb")]), Colours::Never);
        assert_eq!(of(false, &[("CLICOLOR", "0")]), Colours::Never);
    }

    #[test]
    fn a_dumb_terminal_has_no_progress_line() {
        let paper = Paper::default();
        let mut screen = screen(Box::new(paper.clone()), &paper, true);
        screen.is_dumb = true;
        screen.progress("10%".to_owned());
        screen.print("table\n");
        assert_eq!(text(&paper), "table\n");
    }

    #[test]
    fn what_is_written_behind_a_terminal_ui_comes_out_when_it_is_left() {
        let paper = Paper::default();
        let mut screen = screen(Box::new(paper.clone()), &paper, true);
        screen.stdout_is_terminal = true;
        screen.cover();
        screen.progress("10%".to_owned());
        screen.log("line");
        screen.print("report\n");
        assert_eq!(text(&paper), "");
        screen.uncover();
        assert_eq!(text(&paper), "line\nreport\n");
        screen.cover();
        (0..=BEHIND).for_each(|number| screen.log(&number.to_string()));
        screen.uncover();
        assert!(text(&paper).contains("(1 lines of the log before these were dropped)\n1\n2\n"));
    }
}
