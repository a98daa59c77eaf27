//! The slots that one lane holds, and the changes that are ahead of it.
//!
//! Owns how far the lane has carried out its duty. What the duty is, and when slots change, is the dealer's; what becomes of a slot's
//! users is the lane's.

use std::collections::VecDeque;
use std::time::Duration;

use super::dealer::{Duty, Turnover};
use super::slots::{SLOTS, SlotSet};

/// A lane's slots.
#[derive(Debug)]
pub(super) struct Tenure {
    /// The slots whose users live here.
    held: SlotSet,
    /// What has not been carried out, by moment.
    ahead: VecDeque<Turnover>,
}

impl Tenure {
    /// Takes a duty on when the run's clock stands at `elapsed`.
    ///
    /// The duty was drawn up a little earlier, and the lane may be late with the one before: only what the lane should hold by this
    /// moment counts, whatever it holds.
    pub fn follow(&mut self, duty: &Duty, elapsed: Duration) {
        let wanted = duty.held_at(elapsed);
        let overdue = (0..SLOTS).filter(|&slot| self.held.contains(slot) != wanted.contains(slot));
        let overdue = overdue.map(|slot| Turnover { at: elapsed, slot, gains: wanted.contains(slot) });
        let later = duty.turnovers.iter().filter(|turnover| turnover.at > elapsed).copied();
        self.ahead = overdue.chain(later).collect();
    }

    /// The next change that is due by `elapsed`; the lane holds its slots accordingly from here on.
    pub fn take_due(&mut self, elapsed: Duration) -> Option<Turnover> {
        let turnover = self.ahead.pop_front_if(|turnover| turnover.at <= elapsed)?;
        self.held.set(turnover.slot, turnover.gains);
        Some(turnover)
    }

    /// When the next change is due, on the run's clock.
    pub fn next_due(&self) -> Option<Duration> {
        self.ahead.front().map(|turnover| turnover.at)
    }

    /// Whether user `index` belongs here.
    pub fn has_user(&self, index: u64) -> bool {
        self.held.has_user(index)
    }

    /// Whether a slot is still to come that has users where `level` of them are wanted.
    pub fn awaits_users(&self, level: u32) -> bool {
        self.ahead.iter().any(|turnover| turnover.gains && turnover.slot < level)
    }
}

impl Default for Tenure {
    fn default() -> Self {
        Self { held: SlotSet::none(), ahead: VecDeque::new() }
    }
}
