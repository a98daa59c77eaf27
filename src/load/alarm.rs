//! An alarm that rings within some hundred microseconds of its time, where the runtime's timers have ticks of a millisecond.
//!
//! It is the kernel's timer, waited for as a file. Where the kernel gives none, the runtime's timers have to do.

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::time::Instant;

use tokio::io::unix::AsyncFd;

/// One alarm of one lane.
#[derive(Debug)]
pub(super) struct Alarm {
    timer: Option<AsyncFd<OwnedFd>>,
}

impl Alarm {
    /// An alarm that is not set. Must be called inside a runtime that drives I/O.
    pub fn new() -> Self {
        let timer = open().inspect_err(|why| log::warn!("the kernel gives no timer, so that iterations begin up to 2 ms late: {why}"));
        Self { timer: timer.ok() }
    }

    /// Waits until `at`; for ever where there is no timer. Another timer of the runtime's must stand beside it.
    pub async fn ring_at(&self, at: Instant) {
        let Some(timer) = &self.timer else { return std::future::pending().await };
        if set(timer.get_ref(), at).is_err() {
            return std::future::pending().await;
        }
        loop {
            let Ok(mut ready) = timer.readable().await else { return std::future::pending().await };
            // A ring of an earlier setting has been taken back by the new one, and the file is not readable then.
            if ready.try_io(|timer| take_ring(timer.get_ref())).is_ok() {
                return;
            }
        }
    }
}

fn open() -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the call takes no memory of ours.
    let raw = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC) };
    if raw < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was opened above, and belongs to nobody else.
    let timer = unsafe { OwnedFd::from_raw_fd(raw) };
    // SAFETY: `timer` owns the descriptor, which is neither replaced nor closed while the registration lives.
    Ok(unsafe { AsyncFd::register(timer)? })
}

fn set(timer: &OwnedFd, at: Instant) -> io::Result<()> {
    // By the runtime's clock: in a test whose clock stands still, nothing would ever be left to wait by the machine's.
    let wait = at.saturating_duration_since(super::now());
    let zero = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // A time of zero would switch the timer off.
    let value = libc::timespec {
        tv_sec: libc::time_t::try_from(wait.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(wait.subsec_nanos().max(1) as i32),
    };
    let setting = libc::itimerspec { it_interval: zero, it_value: value };
    // SAFETY: the descriptor is open, and `setting` is valid for the whole call; nothing is written back.
    let done = unsafe { libc::timerfd_settime(timer.as_raw_fd(), 0, &raw const setting, std::ptr::null_mut()) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn take_ring(timer: &OwnedFd) -> io::Result<()> {
    let mut rings = [0_u8; 8];
    // SAFETY: eight bytes may be written to `rings`, which lives for the whole call.
    let read = unsafe { libc::read(timer.as_raw_fd(), rings.as_mut_ptr().cast(), rings.len()) };
    if read < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn it_never_rings_early_and_a_setting_takes_the_one_before_back() {
        let alarm = Alarm::new();
        let begin = Instant::now();
        tokio::select! {
            () = alarm.ring_at(begin + Duration::from_micros(300)) => {}
            () = std::future::ready(()) => {}
        }
        for micros in [400, 2_000, 2_100, 0] {
            alarm.ring_at(begin + Duration::from_micros(micros)).await;
            assert!(begin.elapsed() >= Duration::from_micros(micros));
        }
    }
}
