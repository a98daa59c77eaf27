//! The pulse of a worker, and what its lanes make of it: whether the slots that they hold may have gone to others unheard.
//!
//! A process that is stopped and goes on, a machine that sleeps: whoever stands still does not know it. The clock has leapt, a master may
//! have given the slots to others meanwhile, and all that was due is due at once. A lane wakes before the worker has heard a word. So it hands
//! nothing out where the last beat is old, and goes on once the worker has heard whose the slots are. Which beats are sure is the worker's to say.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What one worker has last said of itself to all of its lanes.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    last: Mutex<Option<Beat>>,
}

#[derive(Debug, Clone, Copy)]
struct Beat {
    at: Instant,
    is_sure: bool,
    /// How often orders had been given by then: a lane that has not looked at those knows less than the worker.
    followed: u64,
}

impl Pulse {
    /// The worker is alive at `now`, and says whether it is sure of its slots by the orders given so far.
    pub fn beat(&self, now: Instant, is_sure: bool, followed: u64) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Beat { at: now, is_sure, followed });
    }

    /// Whether a lane that has taken on so many orders may hand out what is due in its slots. Lanes that nobody minds are always sure.
    pub fn is_sure(&self, now: Instant, followed: u64) -> bool {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_none_or(|beat| beat.is_sure && beat.followed <= followed && now.saturating_duration_since(beat.at) < STANDSTILL)
    }
}

/// A worker that has done nothing for this long may have been given up. A master does that after three seconds of silence; a second of them may have
/// passed since the last beat before, and the next one needs its time to arrive.
pub const STANDSTILL: Duration = Duration::from_millis(1_750);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_sure_as_long_as_its_worker_is_and_has_beaten_lately_and_knows_no_newer_orders() {
        let (pulse, start) = (Pulse::default(), Instant::now());
        assert!(pulse.is_sure(start, 0), "nobody minds it");
        pulse.beat(start, true, 2);
        assert!(pulse.is_sure(start + STANDSTILL - Duration::from_millis(1), 2));
        assert!(!pulse.is_sure(start + STANDSTILL, 2), "all stood still");
        assert!(!pulse.is_sure(start, 1), "orders wait for it");
        pulse.beat(start + STANDSTILL, false, 2);
        assert!(!pulse.is_sure(start + STANDSTILL, 2));
        pulse.beat(start + STANDSTILL, true, 2);
        assert!(pulse.is_sure(start + STANDSTILL, 3));
    }
}
