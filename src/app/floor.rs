//! What a request takes of this process, measured before its first run.

use std::sync::mpsc;
use std::time::Duration;

use crate::config::Settings;
use crate::script::floor::{LENGTH, measure};
use crate::stats::floor::Floor;
use crate::target::Echo;

/// The floor of this process; `None` where it shall not be measured or could not be. Takes half a second at most, and nothing of it is in any number of
/// a run, which has not begun.
pub(super) fn measured_floor(settings: &Settings) -> Option<Floor> {
    if settings.no_floor {
        return None;
    }
    match floor() {
        Ok(floor) => Some(floor),
        Err(why) => {
            log::warn!("what a request takes of this machine itself was not measured: {why}");
            None
        }
    }
}

fn floor() -> Result<Floor, String> {
    let echo = Echo::start().map_err(|why| format!("no echo could be started: {why}"))?;
    let (url, (done, measured)) = (echo.url(), mpsc::sync_channel(1));
    // On a thread of its own, as lanes are: nothing that it leaves behind is met by anybody else.
    let thread = std::thread::Builder::new().name("floor".to_owned()).spawn(move || {
        // Who has waited for long enough does not take it.
        let _late = done.send(measure(&url));
    });
    thread.map_err(|why| format!("there is no thread for it: {why}"))?;
    measured.recv_timeout(LENGTH + PATIENCE).map_err(|_| "it took too long".to_owned())?
}

/// For what begins within the time and ends after it: the opening of a lane, the last request.
const PATIENCE: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_is_more_than_nothing_and_one_that_is_not_wanted_is_absent() {
        // On a crowded machine one measurement may take too long, which is told and no number.
        let floor = (0..20).find_map(|_| floor().ok()).expect("one of twenty is in time");
        assert!(floor.requests >= 100 && floor.cpu > Duration::ZERO, "{floor:?}");
        assert!(floor.p50 > Duration::ZERO && floor.p99 >= floor.p50, "{floor:?}");
        assert_eq!(measured_floor(&Settings { no_floor: true, ..Settings::default() }), None);
    }
}
