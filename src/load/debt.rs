//! What the users of a lane owe each other: whoever holds the lane for long leaves it to those who do not, for ten times as long, as long as they want it.
//!
//! A turn is one poll of a user's task: the lane is a single thread, and nobody else runs meanwhile. A user that holds the lane for a millisecond again and
//! again is heavy, all others are light. The debt is the lane's, not a user's: where several hold it in turn, they wait for each other's time, too, so
//! that all of them together have a tenth of it. Among heavy users alone nobody waits: the lane would stand idle, and the load would be another than the
//! script's. Owns no clock and waits for nobody; the waiting is `UserControl`'s.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// The debt of one lane.
#[derive(Debug, Default)]
pub struct Debt {
    /// Until then the lane is for those who do not hold it.
    owed_until: Cell<Option<Instant>>,
    /// Turns of light users so far; wraps.
    light_turns: Cell<u64>,
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

    /// Nobody wants what is owed.
    pub(super) fn forgive(&self) {
        self.owed_until.set(None);
    }

    /// A number that changes with each turn of a light user.
    pub(super) fn light_turns(&self) -> u64 {
        self.light_turns.get()
    }

    /// Whether people shall be told: once a lane.
    pub fn is_news(&self) -> bool {
        !self.is_told.replace(true)
    }
}

/// How one user has held its lane lately.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Turns until it is light again, if it does not hold the lane in them.
    heavy_for: Cell<u32>,
    /// What it has held the lane for and not paid yet.
    held: Cell<Duration>,
    /// What the turn that is under way holds is paid already.
    is_paid: Cell<bool>,
}

impl Turns {
    /// A turn of so long a time is over. One hold by itself counts for nothing: it may be the machine's, which gave the lane's core to somebody else.
    pub(super) fn end_turn(&self, debt: &Debt, length: Duration) {
        let heavy_for = self.heavy_for.get();
        if length < HOLD {
            match heavy_for.checked_sub(1) {
                Some(left) => self.heavy_for.set(left),
                None => debt.light_turns.set(debt.light_turns.get().wrapping_add(1)),
            }
        } else {
            self.heavy_for.set(HEAVY_TURNS);
            if heavy_for > 0 && !self.is_paid.get() {
                self.held.set(self.held.get().saturating_add(length));
            }
        }
        self.is_paid.set(false);
    }

    /// What is held in the turn that is under way is paid for now.
    pub(super) fn pay_now(&self) {
        self.is_paid.set(true);
        self.held.set(Duration::ZERO);
    }

    /// What the user has held the lane for and not paid; it pays now.
    pub(super) fn take_held(&self) -> Option<Duration> {
        let held = self.held.get();
        (!held.is_zero()).then(|| self.held.replace(Duration::ZERO))
    }
}

/// Of a lane that some users hold for long, the others shall have nine tenths; a little more is owed, for what the waiting itself costs them.
pub const OTHERS: u32 = 10;

/// A turn that is as long keeps the others waiting: some forty of them have a turn in that time.
const HOLD: Duration = Duration::from_millis(1);

/// A user is heavy for so many turns after a hold: it holds the lane in one turn of sixteen, or more.
const HEAVY_TURNS: u32 = 16;

/// Nobody stands back for longer.
const LONGEST_DEBT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::UserControl;
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

        #[test]
        fn a_user_owes_what_it_holds_again_and_again_and_nothing_for_a_hold_that_comes_alone(
            light_between in prop::collection::vec(0_u32..40, 1..20),
        ) {
            let (debt, turns, mut owed) = (Debt::default(), Turns::default(), Duration::ZERO);
            for (place, &light) in light_between.iter().enumerate() {
                turns.end_turn(&debt, HOLD);
                if place > 0 && light_between[place - 1] < HEAVY_TURNS {
                    owed += HOLD;
                }
                (0..light).for_each(|_| turns.end_turn(&debt, HOLD / 50));
            }
            prop_assert_eq!(turns.take_held().unwrap_or_default(), owed);
            prop_assert_eq!(turns.take_held(), None);
            let light: u64 = light_between.iter().map(|&light| u64::from(light.saturating_sub(HEAVY_TURNS))).sum();
            prop_assert_eq!(debt.light_turns(), light);
        }
    }

    #[test]
    fn a_debt_that_is_paid_is_forgotten() {
        let (debt, now) = (Debt::default(), Instant::now());
        assert_eq!(debt.owe(now, Duration::from_millis(100)), now + Duration::from_millis(1_000));
        assert_eq!(debt.owe(now + Duration::from_millis(100), Duration::from_millis(100)), now + Duration::from_millis(2_000));
        let later = now + Duration::from_secs(10);
        assert_eq!(debt.owe(later, Duration::from_millis(100)), later + Duration::from_millis(1_000));
        assert!(debt.is_news() && !debt.is_news());
    }

    #[test]
    fn what_was_paid_in_its_own_turn_is_not_owed_again() {
        let (debt, turns) = (Debt::default(), Turns::default());
        turns.end_turn(&debt, HOLD * 100);
        turns.pay_now();
        turns.end_turn(&debt, HOLD * 100);
        assert_eq!(turns.take_held(), None);
        turns.end_turn(&debt, HOLD * 100);
        assert_eq!(turns.take_held(), Some(HOLD * 100));
    }

    /// A user that holds the lane beside a light one, which has a turn each millisecond for `light_ms` ms: whether it made room, and for how many ms.
    fn makes_room(held_ms: u64, light_ms: u64) -> (bool, u128) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let debt = std::rc::Rc::<Debt>::default();
            let control = UserControl::behind(std::rc::Rc::default(), debt.clone(), 0);
            let begin = tokio::time::Instant::now();
            let light = async {
                while begin.elapsed() < Duration::from_millis(light_ms) {
                    debt.light_turns.set(debt.light_turns() + 1);
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                biased;
                made = control.make_room(Duration::from_millis(held_ms)) => (made, begin.elapsed().as_millis()),
                () = light => unreachable!(),
            }
        })
    }

    #[test]
    fn the_lane_is_left_to_those_who_want_it_and_to_nobody_else() {
        assert_eq!(makes_room(100, 0), (false, 0), "nobody is there");
        let (made, for_ms) = makes_room(100, 10_000);
        assert!(made && (1_000..1_010).contains(&for_ms), "{for_ms}");
        let (made, for_ms) = makes_room(100, 250);
        assert!(made && (300..=400).contains(&for_ms), "they want it no more: {for_ms}");
    }
}
