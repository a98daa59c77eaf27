//! For how long the page and the API of a run that is over still answer: until a key, a time, or a signal.
//!
//! The report has been printed and the files are written by then; what is shown does not change any more.

use std::time::Duration;

use super::signals::Signals;
use super::start::MAIN;
use crate::front::console::Interrupt;
use crate::front::tui;

/// What ends the time after a run, a signal apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Linger {
    /// It is over by the clock, so long after the run.
    Time(Duration),
    /// A key, and the clock nowhere.
    Key,
}

impl Linger {
    /// `asked` is the setting's. Who ended the run by a signal wants the program to end. Where a person has watched the run at the terminal, it
    /// is he who ends it; a pipeline must never wait for a key.
    pub(super) fn of(asked: Option<Duration>, interrupt: Interrupt, has_person: bool) -> Self {
        match asked {
            _ if interrupt != Interrupt::None => Self::Time(Duration::ZERO),
            Some(time) => Self::Time(time),
            None if has_person => Self::Key,
            None => Self::Time(LAST_LOOK),
        }
    }
}

/// Waits. `place` is where the page is, for people.
pub(super) async fn linger(until: Linger, place: &str, signals: &mut Signals) {
    let ends = async {
        match until {
            Linger::Time(time) => tokio::time::sleep(time).await,
            Linger::Key => tui::any_key().await,
        }
    };
    match until {
        Linger::Time(time) if time > LAST_LOOK => {
            log::info!(target: MAIN, "the run is over; its page stays at {place} for {} s, or until Ctrl-C", time.as_secs());
        }
        Linger::Time(_) => {}
        Linger::Key => log::info!(target: MAIN, "the run is over; its page stays at {place} until you press a key"),
    }
    tokio::select! {
        () = ends => {}
        () = signals.next() => {}
    }
}

/// Who looks once a second sees the end.
const LAST_LOOK: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_ends_the_wait_a_time_bounds_it_and_only_a_person_is_waited_for() {
        const MINUTE: Duration = Duration::from_secs(60);
        let of = Linger::of;
        assert_eq!(of(Some(MINUTE), Interrupt::None, true), Linger::Time(MINUTE));
        assert_eq!(of(Some(Duration::ZERO), Interrupt::None, true), Linger::Time(Duration::ZERO));
        assert_eq!((of(None, Interrupt::None, true), of(None, Interrupt::None, false)), (Linger::Key, Linger::Time(LAST_LOOK)));
        for interrupt in [Interrupt::Graceful, Interrupt::Cut] {
            assert_eq!(of(Some(MINUTE), interrupt, true), Linger::Time(Duration::ZERO));
        }
    }
}
