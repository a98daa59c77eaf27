//! What the users of a lane owe each other: whoever has held the lane for long leaves it to the others for nine times as long.
//!
//! The debt is the lane's, not a user's: where several hold it in turn, they wait for each other's time, too, so that all of them together have a tenth of
//! it. Owns no clock and waits for nobody.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::load::user::OTHERS;

/// The debt of one lane.
#[derive(Debug, Default)]
pub struct Debt {
    /// Until then the lane is for those who do not hold it.
    owed_until: Cell<Option<Instant>>,
    is_told: Cell<bool>,
}

impl Debt {
    /// A user has held the lane for `held` up to `now`: until when it stands back.
    pub(super) fn owe(&self, now: Instant, held: Duration) -> Instant {
        let from = self.owed_until.get().map_or(now, |until| until.max(now));
        let until = from + held.saturating_mul(OTHERS).min(LONGEST_DEBT);
        // A crowd of such users would else be told to come back after the run.
        let until = until.min(now + LONGEST_DEBT);
        self.owed_until.set(Some(until));
        until
    }

    /// Whether people shall be told: once a lane.
    pub(super) fn is_news(&self) -> bool {
        !self.is_told.replace(true)
    }
}

/// Nobody stands back for longer.
const LONGEST_DEBT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn however_many_hold_the_lane_in_turn_the_others_have_nine_tenths_of_it(
            holds in prop::collection::vec((0_usize..5, 50_u64..1_100), 1..60),
        ) {
            let (debt, begin) = (Debt::default(), Instant::now());
            let (mut now, mut held_in_all) = (begin, Duration::ZERO);
            let mut back = [begin; 5];
            for (user, length) in holds {
                // It runs as soon as it may and the lane is free.
                now = now.max(back[user]);
                let held = Duration::from_millis(length);
                now += held;
                held_in_all += held;
                back[user] = debt.owe(now, held);
            }
            let end = back.into_iter().max().unwrap_or(now).max(now);
            // The longest debt is reached by a crowd only.
            if end < begin + LONGEST_DEBT {
                prop_assert!(end.duration_since(begin) >= held_in_all * OTHERS, "{:?} held of {:?}", held_in_all, end.duration_since(begin));
            }
            prop_assert!(back.iter().all(|back| *back <= now + LONGEST_DEBT));
        }
    }

    #[test]
    fn a_debt_that_is_paid_is_forgotten() {
        let (debt, now) = (Debt::default(), Instant::now());
        assert_eq!(debt.owe(now, Duration::from_millis(100)), now + Duration::from_millis(900));
        assert_eq!(debt.owe(now + Duration::from_millis(100), Duration::from_millis(100)), now + Duration::from_millis(1_800));
        let later = now + Duration::from_secs(10);
        assert_eq!(debt.owe(later, Duration::from_millis(100)), later + Duration::from_millis(900));
        assert!(debt.is_news() && !debt.is_news());
    }
}
