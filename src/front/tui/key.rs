//! Waiting for a key at the terminal of this process, without taking the terminal over: what is written there stands as it does, and Ctrl-C
//! is the signal that it always is.

use std::io::{self, Read as _};
use std::mem::MaybeUninit;
use std::time::Duration;

/// Waits until a key is pressed, or the terminal is gone. Never comes back in a process that its shell has put into the background: to read
/// there would stop it.
pub async fn any_key() {
    let _unbuffered = is_in_foreground().then(Unbuffered::new);
    loop {
        if is_in_foreground() && is_readable(Duration::ZERO) {
            // The key is for us, and no text of the shell's next line.
            let mut piece = [0; 64];
            let _key = io::stdin().lock().read(&mut piece);
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Whether there is something to read at stdin, or it is at its end; waits for it for so long.
pub(super) fn is_readable(patience: Duration) -> bool {
    let mut look = libc::pollfd { fd: libc::STDIN_FILENO, events: libc::POLLIN, revents: 0 };
    let patience = libc::c_int::try_from(patience.as_millis()).unwrap_or(libc::c_int::MAX);
    // SAFETY: one entry, which lives as long as the call.
    let found = unsafe { libc::poll(&raw mut look, 1, patience) };
    found > 0
}

/// Whether this process may read from its terminal.
fn is_in_foreground() -> bool {
    // SAFETY: both only ask.
    unsafe { libc::tcgetpgrp(libc::STDIN_FILENO) == libc::getpgrp() }
}

/// A terminal that hands on keys and not lines, and does not show them. Dropping it gives back what was before.
struct Unbuffered(Option<libc::termios>);

impl Unbuffered {
    fn new() -> Self {
        let mut modes = MaybeUninit::<libc::termios>::zeroed();
        // SAFETY: `modes` is written by the call and of it every bit pattern is right; what has been read is set again with two bits cleared.
        unsafe {
            if libc::tcgetattr(libc::STDIN_FILENO, modes.as_mut_ptr()) != 0 {
                return Self(None);
            }
            let before = modes.assume_init();
            let mut keys = before;
            keys.c_lflag &= !(libc::ICANON | libc::ECHO);
            let is_set = libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, &raw const keys) == 0;
            Self(is_set.then_some(before))
        }
    }
}

impl Drop for Unbuffered {
    fn drop(&mut self) {
        if let Some(before) = self.0.take().filter(|_| is_in_foreground()) {
            // SAFETY: the modes that this terminal had. Where that fails there is no terminal any more.
            unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSANOW, &raw const before) };
        }
    }
}

/// Between two looks at the keyboard.
const LOOK_EVERY: Duration = Duration::from_millis(50);
