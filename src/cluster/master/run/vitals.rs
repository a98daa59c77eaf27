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

    /// Processor time over wall time; `None` before the second reading.
    pub fn cores(&self) -> Option<f64> {
        match (self.recent.front(), self.recent.back()) {
            (Some((from, first)), Some((to, last))) if to > from => {
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
