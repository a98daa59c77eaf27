//! Slots: the 65,536 shares of the load. User `k` belongs to slot `k mod 65,536`.
//!
//! Owns the set of slots and how one owner deals its slots to its lanes. Who owns which slot is the cluster's to say.

/// How many slots the load has.
pub const SLOTS: u32 = 65_536;

/// A set of slots.
#[derive(Clone, PartialEq, Eq)]
pub struct SlotSet {
    words: Box<[u64]>,
}

impl SlotSet {
    /// No slot.
    #[must_use]
    pub fn none() -> Self {
        Self { words: vec![0; (SLOTS / 64) as usize].into_boxed_slice() }
    }

    /// Every slot.
    #[must_use]
    pub fn all() -> Self {
        Self { words: vec![u64::MAX; (SLOTS / 64) as usize].into_boxed_slice() }
    }

    /// Adds a slot.
    ///
    /// # Panics
    /// If there is no such slot.
    pub fn insert(&mut self, slot: u32) {
        self.words[(slot / 64) as usize] |= 1 << (slot % 64);
    }

    /// Whether user `index` belongs to one of these slots.
    #[must_use]
    pub fn has_user(&self, index: u64) -> bool {
        let slot = index % u64::from(SLOTS);
        self.words[(slot / 64) as usize] & (1 << (slot % 64)) != 0
    }

    /// The slots in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0..SLOTS).filter(|&slot| self.words[(slot / 64) as usize] & (1 << (slot % 64)) != 0)
    }

    /// Deals the slots to `lanes` in turn, so that neighbouring users run in different lanes and the lanes' users differ by one at most.
    #[must_use]
    pub fn deal(&self, lanes: usize) -> Vec<Self> {
        let mut hands = vec![Self::none(); lanes];
        for (turn, slot) in self.iter().enumerate() {
            hands[turn % lanes].insert(slot);
        }
        hands
    }
}

impl std::fmt::Debug for SlotSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SlotSet({} slots)", self.iter().count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_user_belongs_to_exactly_one_lane_and_lanes_are_level() {
        for lanes in 1..=5 {
            let hands = SlotSet::all().deal(lanes);
            for users in [1_u64, 7, 64, 1_000] {
                let counts: Vec<u64> = hands.iter().map(|hand| (0..users).filter(|&k| hand.has_user(k)).count() as u64).collect();
                assert_eq!(counts.iter().sum::<u64>(), users);
                assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
            }
        }
    }

    #[test]
    fn users_past_the_last_slot_begin_again_at_the_first() {
        let mut set = SlotSet::none();
        set.insert(3);
        assert!(set.has_user(3) && set.has_user(3 + u64::from(SLOTS)));
        assert!(!set.has_user(4) && !set.has_user(4 + u64::from(SLOTS)));
    }
}
