//! Which side an iteration goes to where a run has two (`lunamoth ab`): a pure function of the seed and of the iteration's place.
//!
//! Owns the order alone. Who is made for a side is the lane's to decide, and where its requests go the workload's.
//!
//! Iterations stand in blocks of [`BLOCK`], of which half go to each side in an order that chance draws for each block. So both sides have the same
//! part of whatever the machine or the plan does meanwhile, and no rhythm of the schedule, such as that of the classes, can favour one of them.

use super::tosses::Tosses;

/// One of the two targets of a run that compares them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Its base URL is the plan's host.
    A,
    /// The plan's other host.
    B,
}

impl Side {
    /// Both sides, A before B.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// As the tag of its requests has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// The sides of iterations that are counted by one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SideOrder {
    seed: u64,
    row: u64,
    is_turned: bool,
}

impl SideOrder {
    /// Of the iterations of an open profile, by their number in it.
    pub(super) const fn of_arrivals(seed: u64, profile: usize) -> Self {
        Self { seed, row: ARRIVALS + profile as u64, is_turned: false }
    }

    /// Of the iterations of one user of a closed profile, by how many it has begun. Users 2k and 2k + 1 go to opposite sides, so that users with few
    /// iterations are balanced as well.
    pub(super) const fn of_user(seed: u64, profile: usize, number: u64) -> Self {
        // Two numbers below 2^32 each; past that rows repeat, which leaves each of them as balanced as it was.
        let row = ((profile as u64) << 32) ^ (number / 2);
        Self { seed, row, is_turned: number % 2 == 1 }
    }

    /// Where the iteration at `place`, counted from 0, goes.
    pub(super) fn side(self, place: u64) -> Side {
        let mut chance = Tosses::new(self.seed, self.row, place / BLOCK).next();
        let mut left_to_a = BLOCK / 2;
        for before in 0..place % BLOCK {
            left_to_a -= u64::from(draws_a(&mut chance, left_to_a, BLOCK - before));
        }
        let side = if draws_a(&mut chance, left_to_a, BLOCK - place % BLOCK) { Side::A } else { Side::B };
        if self.is_turned { side.other() } else { side }
    }
}

/// Whether the next of `left` places of a block is one of the `left_to_a` that go to A; takes what it needs from `chance`.
fn draws_a(chance: &mut u64, left_to_a: u64, left: u64) -> bool {
    // The product of all that is divided by is 24: no order is likelier than another by more than 2^-59.
    let drawn = *chance % left;
    *chance /= left;
    drawn < left_to_a
}

/// Iterations of which exactly half go to each side.
pub const BLOCK: u64 = 4;

/// Rows from here on are those of open profiles.
const ARRIVALS: u64 = 1 << 63;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn to_a(order: SideOrder, places: std::ops::Range<u64>) -> u64 {
        places.filter(|place| order.side(*place) == Side::A).count() as u64
    }

    proptest! {
        #[test]
        fn of_each_block_half_goes_to_each_side(seed: u64, profile in 0_usize..100, number in 0_u64..10_000, block in 0_u64..1 << 60) {
            for order in [SideOrder::of_arrivals(seed, profile), SideOrder::of_user(seed, profile, number)] {
                prop_assert_eq!(to_a(order, block * BLOCK..(block + 1) * BLOCK), BLOCK / 2);
            }
        }

        #[test]
        fn wherever_one_begins_and_ends_the_sides_are_no_more_than_two_halves_of_a_block_apart(seed: u64, from in 0_u64..1_000, count in 0_u64..500) {
            let to_a = to_a(SideOrder::of_arrivals(seed, 0), from..from + count);
            prop_assert!((2 * to_a).abs_diff(count) <= BLOCK);
        }

        #[test]
        fn two_neighbours_are_never_on_the_same_side_at_the_same_place(seed: u64, pair in 0_u64..10_000, place: u64) {
            let [one, other] = [2 * pair, 2 * pair + 1].map(|number| SideOrder::of_user(seed, 0, number).side(place));
            prop_assert_ne!(one, other);
        }

        #[test]
        fn whoever_asks_gets_the_same_answer(seed: u64, profile in 0_usize..100, place: u64) {
            prop_assert_eq!(SideOrder::of_arrivals(seed, profile).side(place), SideOrder::of_arrivals(seed, profile).side(place));
        }
    }

    #[test]
    fn all_orders_of_a_block_are_equally_likely_and_no_rhythm_favours_a_side() {
        let order = SideOrder::of_arrivals(11, 0);
        let mut seen = std::collections::BTreeMap::<Vec<Side>, u32>::new();
        for block in 0..6_000 {
            *seen.entry((0..BLOCK).map(|place| order.side(block * BLOCK + place)).collect()).or_default() += 1;
        }
        assert_eq!(seen.len(), 6);
        // 1,000 each; five deviations of 29.
        assert!(seen.values().all(|count| count.abs_diff(1_000) < 145), "{seen:?}");
        for rhythm in 1..=8 {
            for first in 0..rhythm {
                let places = (first..24_000).step_by(rhythm as usize);
                let (count, to_a) =
                    places.fold((0_u64, 0_u64), |(count, to_a), place| (count + 1, to_a + u64::from(order.side(place) == Side::A)));
                assert!(
                    (to_a as f64 / count as f64 - 0.5).abs() < 2.5 / (count as f64).sqrt(),
                    "every {rhythm}th from {first}: {to_a} of {count}"
                );
            }
        }
    }

    #[test]
    fn another_seed_is_another_order() {
        let sides = |seed| (0..400).map(|place| SideOrder::of_arrivals(seed, 0).side(place)).collect::<Vec<Side>>();
        assert_ne!(sides(1), sides(2));
    }
}
