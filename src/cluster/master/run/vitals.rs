//! One worker's vitals over the last ten seconds, as its deltas bring them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::load::vitals::Vitals;

/// The readings of the last ten seconds.
#[derive(Debug, Default)]
pub(in crate::cluster::master) struct VitalsOverTime {
    first: Option<Vitals>,
    recent: VecDeque<(Instant, Vitals)>,
}

impl VitalsOverTime {
    /// Adds a reading; answers how long the cgroup kept the worker from running since the one before.
    pub fn add(&mut self, now: Instant, vitals: Vitals) -> Duration {
        let before = self.throttled();
        self.first.get_or_insert(vitals);
        self.recent.push_back((now, vitals));
        while self.recent.len() > 2 && now.saturating_duration_since(self.recent[1].0) >= WINDOW {
            self.recent.pop_front();
        }
        self.throttled().saturating_sub(before)
    }

    /// Processor time over wall time; `None` where no two readings are far enough from each other.
    pub fn cores(&self) -> Option<f64> {
        match (self.recent.front(), self.recent.back()) {
            (Some((from, first)), Some((to, last))) if to.saturating_duration_since(*from) >= COVERED_LEAST => {
                Some(last.cpu.saturating_sub(first.cpu).as_secs_f64() / (*to - *from).as_secs_f64())
            }
            _ => None,
        }
    }

    /// Since the run's first delta: what the cgroup suffered before is not the run's.
    pub fn throttled(&self) -> Duration {
        match (self.first, self.recent.back()) {
            (Some(first), Some((_, last))) => last.throttled.saturating_sub(first.throttled),
            _ => Duration::ZERO,
        }
    }

    /// Resident, by the last reading.
    pub fn memory_bytes(&self) -> Option<u64> {
        self.recent.back().map(|(_, vitals)| vitals.memory_bytes)
    }
}

const WINDOW: Duration = Duration::from_secs(10);

/// A reading is dated by when it arrives. What lies between that of a run's only second and that of its end may be a few milliseconds here and far more there.
const COVERED_LEAST: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_known_only_of_a_time_that_is_long_beside_a_messages_way() {
        let (mut vitals, begin) = (VitalsOverTime::default(), Instant::now());
        let reading = |cpu_ms| Vitals { cpu: Duration::from_millis(cpu_ms), ..Vitals::default() };
        assert_eq!(vitals.cores(), None);
        vitals.add(begin, reading(1_000));
        assert_eq!(vitals.cores(), None);
        vitals.add(begin + Duration::from_millis(20), reading(1_300));
        assert_eq!(vitals.cores(), None, "fifteen cores would be told of a machine with two");
        vitals.add(begin + Duration::from_secs(1), reading(2_500));
        assert_eq!(vitals.cores(), Some(1.5));
    }
}
