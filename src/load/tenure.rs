//! The slots that one lane holds, and the changes that are ahead of it.
//!
//! Owns how far the lane has carried out its duty. What the duty is, and when slots change, is the dealer's; what becomes of a slot's
//! users is the lane's.

use std::collections::VecDeque;
use std::time::Duration;

use super::dealer::{Duty, Turnover};
use super::slots::{Numbering, SlotSet};

/// The slots that a lane holds, as it carries its duty out.
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
    /// moment counts, whatever it holds. Where no slot `has_users`, nothing is to be done for those that change by now: the lane holds them at once.
    pub fn follow(&mut self, duty: &Duty, elapsed: Duration, has_users: bool) {
        let wanted = duty.held_at(elapsed);
        let later = duty.turnovers.iter().filter(|turnover| turnover.at > elapsed).copied();
        if has_users {
            let overdue = self.held.differing(&wanted);
            let overdue = overdue.iter().map(|slot| Turnover { at: elapsed, slot, gains: wanted.contains(slot) });
            self.ahead = overdue.chain(later).collect();
        } else {
            self.ahead = later.collect();
            self.held = wanted;
        }
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

    /// Whether a slot's users belong here.
    pub fn holds(&self, slot: u32) -> bool {
        self.held.contains(slot)
    }

    /// Whether a slot is still to come that has users of profile number `profile`, where `level` of them are wanted.
    pub fn awaits_users(&self, numbering: Numbering, profile: usize, level: u32) -> bool {
        self.ahead.iter().any(|turnover| turnover.gains && numbering.users_of_slot(profile, turnover.slot, level).next().is_some())
    }
}

impl Default for Tenure {
    fn default() -> Self {
        Self { held: SlotSet::none(), ahead: VecDeque::new() }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::plan::LoadProfile;

    fn seconds(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    fn change(at: u64, slot: u32, gains: bool) -> Turnover {
        Turnover { at: seconds(at), slot, gains }
    }

    fn duty(held: &[u32], turnovers: &[Turnover]) -> Duty {
        let mut set = SlotSet::none();
        held.iter().for_each(|&slot| set.insert(slot));
        Duty {
            profile: Arc::new(LoadProfile::plain(1, 1.0, None)),
            lanes: 1,
            known_since: Duration::ZERO,
            past: Vec::new(),
            held: set,
            turnovers: turnovers.to_vec(),
            is_paused: false,
        }
    }

    /// All that is due by `elapsed`: slots, negative where they go.
    fn due(tenure: &mut Tenure, elapsed: u64) -> Vec<i64> {
        let taken = std::iter::from_fn(|| tenure.take_due(seconds(elapsed)));
        taken.map(|turnover| if turnover.gains { i64::from(turnover.slot) } else { -i64::from(turnover.slot) }).collect()
    }

    /// Holds slots 1 and 2; takes 3 at 10 s and gives 1 at 11 s.
    fn tenure() -> Tenure {
        let mut tenure = Tenure::default();
        tenure.follow(&duty(&[1, 2], &[change(10, 3, true), change(11, 1, false)]), seconds(5), true);
        assert_eq!(due(&mut tenure, 5), [1, 2]);
        tenure
    }

    #[test]
    fn a_change_is_held_from_the_moment_at_which_it_is_taken() {
        let mut tenure = tenure();
        assert_eq!((due(&mut tenure, 9), tenure.next_due(), tenure.holds(3)), (vec![], Some(seconds(10)), false));
        assert_eq!((due(&mut tenure, 10), tenure.next_due(), tenure.holds(3)), (vec![3], Some(seconds(11)), true));
        assert_eq!((due(&mut tenure, 60), tenure.next_due(), tenure.holds(1)), (vec![-1], None, false));
    }

    #[test]
    fn a_change_that_was_carried_out_while_the_next_duty_was_on_its_way_stays() {
        let mut tenure = tenure();
        assert_eq!(due(&mut tenure, 10), [3]);
        // Drawn up at 9 s, when slot 3 was still to come.
        tenure.follow(&duty(&[1, 2, 7], &[change(10, 3, true), change(12, 1, false)]), seconds(10), true);
        assert_eq!((due(&mut tenure, 10), due(&mut tenure, 12)), (vec![7], vec![-1]));
    }

    #[test]
    fn a_lane_that_is_late_goes_straight_to_what_is_wanted() {
        let mut tenure = tenure();
        // At 20 s, nothing of the last duty carried out: slot 3 is wanted no more, slot 1 is gone as it was to be.
        tenure.follow(&duty(&[2, 4], &[change(30, 5, true)]), seconds(20), true);
        assert_eq!((due(&mut tenure, 20), tenure.next_due()), (vec![-1, 4], Some(seconds(30))));
        tenure.follow(&duty(&[2, 4], &[change(30, 5, true), change(31, 5, false)]), seconds(32), true);
        assert_eq!((due(&mut tenure, 40), tenure.next_due()), (vec![], None));
    }

    #[test]
    fn what_changes_by_now_is_held_at_once_where_nobody_lives() {
        let mut tenure = tenure();
        tenure.follow(&duty(&[2, 4], &[change(30, 5, true)]), seconds(20), false);
        assert_eq!([1, 2, 4, 5].map(|slot| tenure.holds(slot)), [false, true, true, false]);
        assert_eq!((due(&mut tenure, 20), due(&mut tenure, 30)), (vec![], vec![5]));
    }

    #[test]
    fn only_slots_that_come_and_have_users_are_awaited() {
        let tenure = tenure();
        assert_eq!([3, 4, 100].map(|level| tenure.awaits_users(Numbering::default(), 0, level)), [false, true, true]);
        let mut leaving = Tenure::default();
        leaving.follow(&duty(&[], &[change(10, 0, false)]), seconds(5), true);
        assert!(!leaving.awaits_users(Numbering::default(), 0, 100));
    }
}
