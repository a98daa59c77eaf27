//! Slots: the 65,536 shares of the load. User `k` belongs to slot `k mod 65,536`; of several profiles see [`Numbering`].
//!
//! Owns the set of slots and what a hand-over of some of them is. Who owns which slot is the cluster's to say; which lane serves it,
//! the dealer's.

use std::sync::Arc;
use std::time::Duration;

use crate::plan::LoadProfile;

/// How many slots the load has.
pub const SLOTS: u32 = 65_536;

/// A set of slots.
#[derive(Clone, PartialEq, Eq)]
pub struct SlotSet {
    words: Box<[u64]>,
}

impl SlotSet {
    /// A set that holds no slot.
    #[must_use]
    pub fn none() -> Self {
        Self { words: vec![0; (SLOTS / 64) as usize].into_boxed_slice() }
    }

    /// A set that holds all 65,536.
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

    /// Takes a slot out.
    ///
    /// # Panics
    /// If there is no such slot.
    pub fn remove(&mut self, slot: u32) {
        self.words[(slot / 64) as usize] &= !(1 << (slot % 64));
    }

    /// Adds a slot, or takes it out.
    ///
    /// # Panics
    /// If there is no such slot.
    pub fn set(&mut self, slot: u32, is_in: bool) {
        if is_in {
            self.insert(slot);
        } else {
            self.remove(slot);
        }
    }

    /// Whether the slot is in the set.
    #[must_use]
    pub fn contains(&self, slot: u32) -> bool {
        self.words.get((slot / 64) as usize).is_some_and(|word| word & (1 << (slot % 64)) != 0)
    }

    /// The slots of the set that are not in `other`.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        Self { words: self.words.iter().zip(&other.words).map(|(word, other)| word & !other).collect() }
    }

    /// The slots that are in one of both sets.
    #[must_use]
    pub fn differing(&self, other: &Self) -> Self {
        Self { words: self.words.iter().zip(&other.words).map(|(word, other)| word ^ other).collect() }
    }

    /// How many slots are in the set.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    /// Whether no slot is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// The set as 1,024 words; slot `s` is bit `s mod 64` of word `s / 64`.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// The set of [`SlotSet::words`]; `None` unless there are 1,024 of them.
    #[must_use]
    pub fn from_words(words: Vec<u64>) -> Option<Self> {
        (words.len() == (SLOTS / 64) as usize).then(|| Self { words: words.into_boxed_slice() })
    }

    /// Whether user `index` of a single profile belongs to one of these slots.
    #[must_use]
    pub fn has_user(&self, index: u64) -> bool {
        self.contains(Numbering::default().slot(index))
    }

    /// The slots in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().zip((0..).step_by(64)).flat_map(|(&word, first)| {
            let mut left = word;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros())?;
                left &= left - 1;
                Some(first + bit)
            })
        })
    }
}

/// How users are numbered where a run has several profiles: number k of profile p has index k * P + p, which is unique in the run.
///
/// It belongs to slot (k + p) mod 65,536. Slots are dealt in turn; were it the index that went round them, of two profiles on two workers each
/// would have one of its own. And were it k alone, the first users of all profiles would be one worker's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbering {
    profiles: u64,
}

impl Numbering {
    /// Of a run of this profile.
    #[must_use]
    pub fn of(profile: &LoadProfile) -> Self {
        Self { profiles: profile.count() as u64 }
    }

    /// How many profiles there are: at least 1.
    #[must_use]
    pub const fn profiles(self) -> u64 {
        self.profiles
    }

    /// The index of number `number` of profile `profile`.
    #[must_use]
    pub const fn index(self, profile: usize, number: u64) -> u64 {
        number.saturating_mul(self.profiles).saturating_add(profile as u64)
    }

    /// The profile of a user or an iteration.
    #[must_use]
    pub const fn profile(self, index: u64) -> usize {
        (index % self.profiles) as usize
    }

    /// Its number in its profile.
    #[must_use]
    pub const fn number(self, index: u64) -> u64 {
        index / self.profiles
    }

    /// The slot of a user.
    #[must_use]
    pub const fn slot(self, index: u64) -> u32 {
        ((self.number(index) % SLOTS as u64 + index % self.profiles) % SLOTS as u64) as u32
    }

    /// The indices of those users of a profile that belong to `slot`, ascending: of numbers below `level`.
    pub fn users_of_slot(self, profile: usize, slot: u32, level: u32) -> impl DoubleEndedIterator<Item = u64> {
        let shift = (profile as u64 % u64::from(SLOTS)) as u32;
        let first = (slot + SLOTS - shift) % SLOTS;
        (first..level).step_by(SLOTS as usize).map(move |number| self.index(profile, u64::from(number)))
    }
}

impl Default for Numbering {
    /// Of a single profile.
    fn default() -> Self {
        Self { profiles: 1 }
    }
}

/// Slots that change their owner in mid-run, at a moment each: the old owner runs a slot's users up to it, the new one from then on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handover {
    /// The run's clock when the first slot moves.
    pub at: Duration,
    /// Every slot that moves, whoever loses or gains it, so that each worker computes the same moments.
    pub moved: SlotSet,
    /// From one slot's moment to the next one's, in ascending order of slots.
    pub interval: Duration,
}

impl Handover {
    /// Each moved slot, ascending, and the moment of the run's clock at which it moves.
    pub fn moments(&self) -> impl Iterator<Item = (u32, Duration)> + '_ {
        self.moved.iter().enumerate().map(|(rank, slot)| {
            let wait = self.interval.saturating_mul(u32::try_from(rank).unwrap_or(u32::MAX));
            (slot, self.at.saturating_add(wait))
        })
    }
}

/// What a worker shall run from here on: replaces whatever it was told before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orders {
    /// How many users the whole cluster wants at which time.
    pub profile: Arc<LoadProfile>,
    /// The slots that this worker owns once `handover`, if there is one, is over.
    pub slots: Arc<SlotSet>,
    /// How slots come to this set. A slot that differs from what the worker owns and is not in it changes at once.
    pub handover: Option<Arc<Handover>>,
    /// Slots that others have run since the worker last heard of what it owns: of these it gives up at once what it still runs, and has back at
    /// their moments those that the hand-over brings. `None` to a worker that was in touch.
    pub void: Option<Arc<SlotSet>>,
    /// No iteration begins, and no user is started into its first one; users that live keep what they have. The run's clock goes on.
    pub is_paused: bool,
}

impl Orders {
    /// The orders of a worker that has the whole load to itself.
    #[must_use]
    pub fn of_all_slots(profile: Arc<LoadProfile>) -> Self {
        Self { profile, slots: Arc::new(SlotSet::all()), handover: None, void: None, is_paused: false }
    }
}

impl std::fmt::Debug for SlotSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SlotSet({} slots)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn users_past_the_last_slot_begin_again_at_the_first() {
        let mut set = SlotSet::none();
        set.insert(3);
        assert!(set.has_user(3) && set.has_user(3 + u64::from(SLOTS)));
        assert!(!set.has_user(4) && !set.has_user(4 + u64::from(SLOTS)));
    }

    proptest! {
        #[test]
        fn each_user_of_any_profile_has_one_slot_and_each_slot_knows_its_users(profiles in 1_u64..9, level in 1_u32..200_000, slot in 0..SLOTS) {
            let numbering = Numbering { profiles };
            let of_slot: Vec<u64> = (0..profiles as usize).flat_map(|profile| numbering.users_of_slot(profile, slot, level)).collect();
            prop_assert!(of_slot.iter().all(|index| numbering.slot(*index) == slot && numbering.number(*index) < u64::from(level)));
            let near = u64::from(slot % level) * profiles..(u64::from(slot % level) + 1) * profiles;
            for index in near {
                prop_assert_eq!(numbering.index(numbering.profile(index), numbering.number(index)), index);
                prop_assert_eq!(of_slot.contains(&index), numbering.slot(index) == slot);
            }
        }
    }
}
