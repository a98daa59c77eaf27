//! The terminal of this process as a surface: taken over, and given back as it was, whatever happens in between.

use std::io::{self, IsTerminal as _, Read as _, Stdout, Write as _};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossterm::{cursor, execute, terminal};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::feed::{Ask, Feed};
use super::input::KeyReader;
use super::key::is_readable;
use super::session::{Input, Surface, drive};
use super::state::{Door, Left, Screen};
use super::view::{Theme, draw};

/// Whether there is a terminal to draw on and to read keys from.
#[must_use]
pub fn has_terminal(is_asked_for: bool) -> bool {
    // One without a name is a container's, more often than not: good enough for who asks for it, no reason to draw on it unasked.
    let is_dumb = std::env::var_os("TERM").map_or(!is_asked_for, |term| term == "dumb" || (term.is_empty() && !is_asked_for));
    !is_dumb && io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// What the locale says of the terminal, with colours unless they are not wanted.
#[must_use]
pub fn theme_of_locale(no_color: bool) -> Theme {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| std::env::var(name).ok().filter(|text| !text.is_empty()));
    let is_unicode = locale.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    });
    Theme { is_coloured: !no_color, is_unicode }
}

/// Shows a screen on a thread of its own, until it is left or its feed ends. `make_feed` is called on the runtime of that thread;
/// `interrupts` hears when the person presses Ctrl-C.
///
/// # Errors
/// The system has no thread to give, or the terminal cannot be taken over.
pub fn show(
    door: Door,
    theme: Theme,
    interrupts: mpsc::Sender<()>,
    make_feed: impl FnOnce() -> Feed + Send + 'static,
) -> io::Result<JoinHandle<Left>> {
    let mut surface = TerminalSurface::open(theme, interrupts)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("terminal-ui".to_owned()).spawn(move || {
        let left = runtime.block_on(async {
            let (inputs, inbox) = mpsc::channel(INPUTS);
            let (bytes, pieces) = mpsc::channel(PIECES);
            let reader = std::thread::Builder::new().name("terminal-keys".to_owned()).spawn(move || read_bytes(&bytes));
            let resized = signal(SignalKind::window_change());
            let size = terminal::size().unwrap_or((80, 24));
            let mut screen = Screen::new(door, size);
            let left = match (reader, resized) {
                (Ok(_), Ok(resized)) => {
                    drop(tokio::spawn(read_inputs(pieces, resized, inputs)));
                    drive(&mut screen, make_feed(), inbox, &mut surface).await
                }
                _ => Left::Cut,
            };
            drop(surface);
            left
        });
        // What is still asked of a master must not hold up the person's own terminal.
        runtime.shutdown_background();
        left
    })
}

/// Passes on what the terminal sends, until it or the screen is gone. What is typed after the screen is for others.
fn read_bytes(bytes: &mpsc::Sender<Vec<u8>>) {
    let mut piece = [0; 1024];
    loop {
        if !is_readable(KEY_PATIENCE) {
            if bytes.is_closed() {
                return;
            }
            continue;
        }
        match io::stdin().lock().read(&mut piece) {
            Ok(count) if count > 0 => {
                if bytes.blocking_send(piece[..count].to_vec()).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // A terminal that has hung up is at its end, or fails.
            Ok(_) | Err(_) => return,
        }
    }
}

/// Makes inputs of what the terminal sends and of its sizes, until it is gone or nobody listens any more.
async fn read_inputs(mut bytes: mpsc::Receiver<Vec<u8>>, mut resized: Signal, inputs: mpsc::Sender<Input>) {
    let mut reader = KeyReader::default();
    loop {
        let keys = tokio::select! {
            piece = bytes.recv() => match piece {
                Some(piece) => reader.read(&piece),
                None => return,
            },
            Some(()) = resized.recv() => {
                let Ok((columns, rows)) = terminal::size() else { return };
                if inputs.send(Input::Resize(columns, rows)).await.is_err() {
                    return;
                }
                continue;
            }
            () = sleep(ESCAPE_TIME), if reader.is_in_escape() => reader.settle().into_iter().collect(),
        };
        for key in keys {
            if inputs.send(Input::Key(key)).await.is_err() {
                return;
            }
        }
    }
}

/// The process's own terminal. Dropping it gives the terminal back.
struct TerminalSurface {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    theme: Theme,
    interrupts: mpsc::Sender<()>,
}

impl TerminalSurface {
    fn open(theme: Theme, interrupts: mpsc::Sender<()>) -> io::Result<Self> {
        restore_on_panic();
        terminal::enable_raw_mode()?;
        IS_TAKEN.store(true, Ordering::SeqCst);
        // From here on the terminal is given back on every way out.
        let entered = execute!(io::stdout(), terminal::EnterAlternateScreen, cursor::Hide, terminal::Clear(terminal::ClearType::All));
        let terminal = entered.and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout())));
        if terminal.is_err() {
            give_back();
        }
        Ok(Self { terminal: terminal?, theme, interrupts })
    }
}

impl Surface for TerminalSurface {
    async fn draw(&mut self, screen: &Screen) -> io::Result<()> {
        let theme = self.theme;
        self.terminal.draw(|frame| draw(frame, screen, theme)).map(drop)
    }

    fn resize(&mut self, _columns: u16, _rows: u16) -> io::Result<()> {
        self.terminal.autoresize()
    }

    fn interrupt(&mut self) {
        // A few that wait say the same as many.
        let _waits_already = self.interrupts.try_send(());
    }

    fn note(&mut self, _ask: &Ask) {}
}

impl Drop for TerminalSurface {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back, once; nothing where no screen has it.
pub fn give_back() {
    if IS_TAKEN.swap(false, Ordering::SeqCst) {
        // Nobody is left to tell if the terminal is gone.
        let mut stdout = io::stdout();
        drop(execute!(stdout, cursor::Show, terminal::LeaveAlternateScreen));
        drop(terminal::disable_raw_mode());
        drop(stdout.flush());
    }
}

/// A panic's words are for the terminal as it was.
fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            before(panic);
        }));
    });
}

/// Whether the terminal is in the hands of this file.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// Keys that were pressed while a picture was drawn.
const INPUTS: usize = 64;

/// How often who waits for keys looks whether anybody still wants them.
const KEY_PATIENCE: Duration = Duration::from_millis(100);

/// Pieces of what was typed while they are read.
const PIECES: usize = 4;

/// After an escape, how long what may belong to it can take. Terminals send their sequences at once; slow lines tear them.
const ESCAPE_TIME: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read as _;
    use std::os::fd::FromRawFd as _;
    use std::process::{Command, Stdio};
    use std::ptr::null_mut;

    use super::*;

    /// A terminal of its own: the side of the one who looks, and that of the program.
    fn terminal_pair() -> (File, File) {
        let (mut outer, mut inner) = (0, 0);
        // SAFETY: both numbers are ours to be written, and the rest may be null.
        let made = unsafe { libc::openpty(&mut outer, &mut inner, null_mut(), null_mut(), null_mut()) };
        assert_eq!(made, 0, "{}", io::Error::last_os_error());
        // SAFETY: both were opened just now, and nobody else owns them.
        unsafe { (File::from_raw_fd(outer), File::from_raw_fd(inner)) }
    }

    /// How the terminal treats keys: canonical mode, echo, signals.
    fn modes(terminal: &File) -> [libc::tcflag_t; 3] {
        use std::os::fd::AsRawFd as _;
        let mut modes = std::mem::MaybeUninit::<libc::termios>::zeroed();
        // SAFETY: the pointer is to a `termios` of our own, and of it every bit pattern is right.
        let modes = unsafe {
            assert_eq!(libc::tcgetattr(terminal.as_raw_fd(), modes.as_mut_ptr()), 0);
            modes.assume_init()
        };
        [modes.c_iflag, modes.c_oflag, modes.c_lflag]
    }

    #[test]
    #[ignore = "what `a_panic_gives_the_terminal_back` starts in a process and on a terminal of its own"]
    fn a_screen_whose_feed_panics() {
        let theme = Theme { is_coloured: false, is_unicode: false };
        let thread = show(Door::Master, theme, mpsc::channel(1).0, || panic!("out of moonlight")).unwrap();
        assert!(thread.join().is_err());
        println!("what comes after");
    }

    #[test]
    fn a_panic_gives_the_terminal_back() {
        // Method: this very test's program, once more, on a pseudo-terminal, with a screen that panics; then what it wrote and left.
        let (mut outer, inner) = terminal_pair();
        let before = modes(&inner);
        let stdio = || Stdio::from(inner.try_clone().unwrap());
        let name = "front::tui::terminal::tests::a_screen_whose_feed_panics";
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", name])
            .env("TERM", "xterm")
            .stdin(stdio())
            .stdout(stdio())
            .stderr(stdio())
            .spawn()
            .unwrap();
        let mut written = Vec::new();
        let mut piece = [0; 4096];
        while !String::from_utf8_lossy(&written).contains("test result:") {
            let count = outer.read(&mut piece).unwrap();
            written.extend_from_slice(&piece[..count]);
        }
        assert!(child.wait().unwrap().success());
        let written = String::from_utf8_lossy(&written);
        let place = |text: &str| written.find(text).unwrap_or_else(|| panic!("no {text:?} in {written:?}"));
        let in_order = ["\x1b[?1049h", "\x1b[?25h", "\x1b[?1049l", "out of moonlight", "what comes after"].map(place);
        assert!(in_order.is_sorted(), "{written:?}");
        assert_eq!(modes(&inner), before);
    }
}
