//! The signals that ask a command to end: from the first moment of the process, and then as a wish that the command hears.
//!
//! What a wish means is the command's.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::Failure;
use crate::front::console::ExitCode;

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

/// A command listens.
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
}

impl Signals {
    pub(super) fn new() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(Failure::bug);
        let listening = Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: hangups()?,
            pressed: mpsc::channel(1).1,
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
            Some(()) = self.pressed.recv() => {}
            _ = hangup => {
                // A second one is nothing that the process may die of: tokio's handler stays.
                self.hangup = None;
                log::warn!("the terminal is gone");
            }
        }
    }
}

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
