//! The signals that ask a command to end: from the first moment of the process, and then as a wish that the command hears.
//!
//! What a wish means is the command's, with one exception: what holds up the end of the program for a second after the second wish is not
//! waited for.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::failure::Failure;
use crate::front::console::ExitCode;
use crate::front::tui;

/// Until a command listens by [`Signals`], SIGTERM and Ctrl-C end the process at once, since nothing has begun.
///
/// The system sees to that by itself, but not for process 1 of a container: what process 1 has no handler for is lost, and its pod would
/// be killed only a minute later.
pub fn end_early() {
    if std::process::id() != FIRST_PROCESS {
        return;
    }
    for number in [libc::SIGTERM, libc::SIGINT] {
        if is_ignored(number) {
            continue;
        }
        let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: all zeros are a valid `sigaction` without flags and with an empty mask; the handler does only what a handler may.
        // Should the system refuse, the signal is lost as it would have been.
        unsafe {
            let action = action.assume_init_mut();
            action.sa_sigaction = on_early as *const () as libc::sighandler_t;
            libc::sigaction(number, action, std::ptr::null_mut());
        }
    }
}

/// tokio's handlers, installed later, call the one that was there before: then the command listens.
extern "C" fn on_early(_: libc::c_int) {
    if !IS_HEARD.load(Ordering::Relaxed) {
        // SAFETY: the one way to end a process that a signal's handler may take.
        unsafe { libc::_exit(i32::from(ExitCode::Interrupted.code())) }
    }
}

/// As long as it is false, a signal ends the process by itself.
static IS_HEARD: AtomicBool = AtomicBool::new(false);

const FIRST_PROCESS: u32 = 1;

/// Ctrl-C, SIGTERM, and the hang-up of a terminal: each asks the command to end. SIGQUIT is left to the system, as the way out that needs
/// nothing of this program, and SIGPIPE is ignored: whoever writes sees the error.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// None where a hang-up is nobody's business (`nohup`), and after the first: a closing terminal tells its shell and its processes, and the
    /// shell tells them again, which must not count as a second wish.
    hangup: Option<Signal>,
    /// Ctrl-C in the terminal UI, which takes the key from the terminal.
    pressed: mpsc::Receiver<()>,
    /// Wishes that are no signals, for the last resort.
    others: mpsc::Sender<()>,
}

impl Signals {
    pub(super) fn new() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(Failure::bug);
        let listening = Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: hangups()?,
            pressed: mpsc::channel(1).1,
            others: last_resort()?,
        };
        IS_HEARD.store(true, Ordering::Relaxed);
        Ok(listening)
    }

    /// Listens to the terminal UI as well.
    pub(super) fn with_key(mut self, pressed: mpsc::Receiver<()>) -> Self {
        self.pressed = pressed;
        self
    }

    /// Tells of hang-ups, and does not take them for a wish to end.
    pub(super) fn without_hangup(mut self) -> Self {
        if let Some(mut hangup) = self.hangup.take() {
            drop(tokio::spawn(async move {
                while hangup.recv().await.is_some() {
                    log::warn!("the terminal is gone; the master goes on");
                }
            }));
        }
        self
    }

    pub(super) async fn next(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            Some(()) = self.pressed.recv() => self.pass_on(),
            _ = hangup => {
                self.pass_on();
                // A second one is nothing that the process may die of: tokio's handler stays.
                self.hangup = None;
                log::warn!("the terminal is gone");
            }
        }
    }
}

impl Signals {
    /// The last resort hears of a wish that is no signal. A few that wait say the same as many.
    fn pass_on(&self) {
        let _waits_already = self.others.try_send(());
    }
}

/// The run is over and the report is about to be written. From here on the last resort ends the program with `code`, a second after the second wish; before, it
/// leaves the report some time more.
pub(super) fn note_report(code: u8) {
    VERDICT.store(code, Ordering::Relaxed);
    IS_REPORTED.store(true, Ordering::Release);
}

/// Starts the thread that ends the process when something holds up its end: a pipe that nobody reads, a disk that does not answer, a visitor
/// of the API. It has a runtime of its own, since it is the command's that may be held up.
fn last_resort() -> Result<mpsc::Sender<()>, Failure> {
    let (others, mut told) = mpsc::channel(2);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::bug)?;
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt()).map_err(Failure::bug)?, signal(SignalKind::terminate()).map_err(Failure::bug)?)
    };
    let wait = async move {
        for _ in 0..2 {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                Some(()) = told.recv() => {}
            }
        }
        tokio::time::sleep(PATIENCE).await;
        if !IS_REPORTED.load(Ordering::Acquire) {
            tokio::time::sleep(PATIENCE_FOR_A_REPORT).await;
        }
    };
    let thread = std::thread::Builder::new().name("last-resort".to_owned());
    thread
        .spawn(move || {
            runtime.block_on(wait);
            tui::give_back();
            let code = if IS_REPORTED.load(Ordering::Acquire) { VERDICT.load(Ordering::Relaxed) } else { ExitCode::Interrupted.code() };
            // SAFETY: ends the process without anything that could wait for what is held up.
            unsafe { libc::_exit(i32::from(code)) }
        })
        .map_err(Failure::bug)?;
    Ok(others)
}

static IS_REPORTED: AtomicBool = AtomicBool::new(false);
static VERDICT: AtomicU8 = AtomicU8::new(0);

/// From the second wish on; the rest of the second is for a crowded machine.
const PATIENCE: Duration = Duration::from_millis(900);

/// What a report that has not begun gets besides: on a crowded machine it is worth more than the second.
const PATIENCE_FOR_A_REPORT: Duration = Duration::from_millis(1_500);

/// Hang-ups of the terminal; none where whoever started the process has them ignored.
fn hangups() -> Result<Option<Signal>, Failure> {
    if !HANGUP_IS_IGNORED.get_or_init(|| is_ignored(libc::SIGHUP)) {
        signal(SignalKind::hangup()).map(Some).map_err(Failure::bug)
    } else {
        Ok(None)
    }
}

/// What the process was born with: tokio's handler, once installed, hides it.
static HANGUP_IS_IGNORED: OnceLock<bool> = OnceLock::new();

fn is_ignored(signal: libc::c_int) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: only asks; the answer is written into memory of the right type, which all zeros are valid for.
    let action = unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr());
        action.assume_init()
    };
    action.sa_sigaction == libc::SIG_IGN
}

/// Presses of Ctrl-C that wait to be heard.
pub(super) const KEYS: usize = 4;
