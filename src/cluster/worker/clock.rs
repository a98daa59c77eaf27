//! The master's clock, as a worker estimates it from round trips.
//!
//! Owns the estimate for one link. Which messages bear which times is `message`'s.

use std::collections::VecDeque;
use std::time::Duration;

/// How far the master's clock is ahead of the worker's, from the answers of one link.
///
/// An answer was given somewhere between the question's sending and the answer's coming; half-way is wrong by half the round trip at
/// most, so the least round trip gives the best estimate. Only the last answers count: clocks drift.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ClockEstimate {
    /// Oldest first, and only the last few.
    exchanges: VecDeque<Exchange>,
}

impl ClockEstimate {
    /// An answer came at `received` of the worker's clock to what it sent at `sent`, and bore `master` of the master's clock.
    pub fn add(&mut self, sent: Duration, received: Duration, master: Duration) {
        let Some(round_trip) = received.checked_sub(sent) else {
            return; // No answer can come before its question; the echo is not one of this worker's.
        };
        if self.exchanges.len() == WINDOW {
            self.exchanges.pop_front();
        }
        let half_way = nanos(sent) + nanos(round_trip) / 2;
        self.exchanges.push_back(Exchange { round_trip, ahead_nanos: nanos(master) - half_way });
    }

    /// The least round trip of the last answers; `None` where there was none.
    pub fn round_trip(&self) -> Option<Duration> {
        self.best().map(|exchange| exchange.round_trip)
    }

    /// Nanoseconds of the worker's clock when the master's clock stood at `master`; below zero where that was before the worker began. Before the
    /// first answer both clocks are taken for one.
    pub fn own_nanos(&self, master: Duration) -> i128 {
        nanos(master) - self.best().map_or(0, |exchange| exchange.ahead_nanos)
    }

    /// Of equals the latest: it has drifted the least.
    fn best(&self) -> Option<Exchange> {
        self.exchanges.iter().rev().min_by_key(|exchange| exchange.round_trip).copied()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Exchange {
    round_trip: Duration,
    ahead_nanos: i128,
}

fn nanos(time: Duration) -> i128 {
    i128::try_from(time.as_nanos()).unwrap_or(i128::MAX / 4)
}

/// Answers that count: half a minute of them.
const WINDOW: usize = 30;

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_answer_with_the_least_round_trip_decides() {
        let mut clock = ClockEstimate::default();
        // The master's clock is 1,000 ms ahead. The second answer spent 300 ms on its way back, the third is even.
        clock.add(millis(0), millis(100), millis(1_050));
        clock.add(millis(1_000), millis(1_310), millis(2_010));
        clock.add(millis(2_000), millis(2_020), millis(3_010));
        assert_eq!(clock.round_trip(), Some(millis(20)));
        assert_eq!(clock.own_nanos(millis(5_000)), 4_000_000_000);
    }

    #[test]
    fn an_old_answer_is_forgotten_so_that_drift_does_not_stick() {
        let mut clock = ClockEstimate::default();
        clock.add(millis(0), millis(2), millis(501));
        for second in 1..=30 {
            clock.add(millis(second * 1_000), millis(second * 1_000 + 10), millis(second * 1_000 + 605));
        }
        assert_eq!(clock.round_trip(), Some(millis(10)));
        assert_eq!(clock.own_nanos(millis(1_600)), 1_000_000_000);
    }

    #[test]
    fn a_time_before_the_worker_began_is_below_zero() {
        let mut clock = ClockEstimate::default();
        clock.add(millis(0), millis(0), millis(9_000));
        assert_eq!(clock.own_nanos(millis(1_000)), -8_000_000_000);
    }

    #[test]
    fn an_answer_from_before_its_question_counts_for_nothing() {
        let mut clock = ClockEstimate::default();
        clock.add(millis(10), millis(5), millis(500));
        assert_eq!(clock, ClockEstimate::default());
    }
}
