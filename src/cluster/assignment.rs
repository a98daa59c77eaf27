//! Who owns which slot of the load.
//!
//! Owns the sharing out of the 65,536 slots and how few of them move when an owner comes, goes, or the wanted number of users changes.
//! Does not know when a slot moves (that is a [`Handover`](crate::load::slots::Handover)) nor who or where an owner is.
//!
//! Each operation takes the number of users that the shares shall be level for: pass the level where the profile's current line ends.
//! Slots below it are shared so that the owners' counts differ by one at most, and so are all slots taken together. At any other
//! level, as on the way there, owners are level as near as the slots that had to move allow, because what moves is spread over the
//! whole range. Seen at the worst of all levels, over random rows of 100 churns: up to 4 users apart after three churns, up to 20 in
//! the whole row (4 with up to 6 owners). Whoever wants a level on the way exact as well calls [`Assignment::level`] for it.
//!
//! How it works: `Targets` says how many slots below and above the level each owner shall end with, with the fewest moves; then one
//! `Sweep` over the slots in ascending order says which ones move, to whichever owner is furthest behind at that slot.

use std::cmp::Ordering;

use crate::load::slots::{SLOTS, SlotSet};

/// The owner of each slot. Equal histories give equal assignments: nothing depends on the order of a hash or on a clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment<O> {
    /// Invariant: ascending, without repeats.
    owners: Vec<O>,
    /// For each slot the index of its owner in `owners`, or [`NOBODY`].
    seats: Vec<u32>,
}

impl<O: Copy + Ord> Assignment<O> {
    /// An assignment in which nobody owns anything.
    #[must_use]
    pub fn new() -> Self {
        Self { owners: Vec::new(), seats: vec![NOBODY; SLOTS as usize] }
    }

    /// Deals all slots anew to these owners in turn, in ascending order of their keys: slot `s` to owner `s mod n`. At every number of
    /// users up to 65,536 the owners' users differ by one at most, so it needs no level. For the start of a run only: in mid-run it
    /// would move nearly every user.
    pub fn deal(&mut self, owners: &[O]) {
        self.owners = owners.to_vec();
        self.owners.sort_unstable();
        self.owners.dedup();
        if self.owners.is_empty() {
            self.seats.fill(NOBODY);
        } else {
            let turns = 0..count(self.owners.len());
            self.seats.iter_mut().zip(turns.cycle()).for_each(|(seat, turn)| *seat = turn);
        }
    }

    /// Gives a further owner its share, spread evenly over the whole range, and the slots that nobody owns to whoever is behind.
    /// Returns the slots whose owner changed. If the shares were level for `users`, those are the joiner's share and, at or above the
    /// level, at most one more that each worker gives. An owner that is here already moves nothing.
    pub fn join(&mut self, owner: O, users: u64) -> SlotSet {
        let mut moved = SlotSet::none();
        if self.seat(owner).is_none() {
            self.admit(owner);
            self.settle(users, Lead::Any, &mut moved);
        }
        moved
    }

    /// Takes an owner out: [`Assignment::leave_all`] of one.
    pub fn leave(&mut self, owner: O, users: u64) -> SlotSet {
        self.leave_all(&[owner], users)
    }

    /// Takes owners out and shares their slots among the others. Returns the slots whose owner changed. If the shares were level for
    /// `users`, those are the leavers' and, at or above the level, at most one more that each worker gives. If no owner is left, the
    /// slots are unowned until somebody joins. Owners that are not here are passed over, since one loss is often told twice; if none
    /// is here, nothing moves.
    pub fn leave_all(&mut self, leavers: &[O], users: u64) -> SlotSet {
        let mut moved = SlotSet::none();
        let mut stays = vec![true; self.owners.len()];
        leavers.iter().filter_map(|&leaver| self.seat(leaver)).for_each(|seat| stays[seat as usize] = false);
        if stays.iter().all(|stays| *stays) {
            return moved;
        }
        let mut next = 0..;
        let seats: Vec<u32> = stays.iter().map(|&stays| stays.then(|| next.next()).flatten().unwrap_or(NOBODY)).collect();
        for (slot, seat) in (0..).zip(&mut self.seats).filter(|(_, seat)| **seat != NOBODY) {
            *seat = seats[*seat as usize];
            if *seat == NOBODY {
                moved.insert(slot);
            }
        }
        let mut stays = stays.into_iter();
        self.owners.retain(|_| stays.next().unwrap_or(true));
        self.settle(users, Lead::Any, &mut moved);
        moved
    }

    /// Makes the shares level for another number of users and hands out what nobody owns. Returns the slots whose owner changed: below
    /// the level the fewest that can be; above it, where no user is yet, as few as keep the sums level. Of an owner's slots the
    /// last ones below the level move, which on a way up have no user yet.
    pub fn level(&mut self, users: u64) -> SlotSet {
        let mut moved = SlotSet::none();
        self.settle(users, Lead::Clear, &mut moved);
        moved
    }

    /// Learns that an owner holds these slots, and moves nothing: how a master comes to know a run that it did not start. Returns the
    /// claimed slots that it does not get because another claimed them first. When all have been heard, [`Assignment::level`]
    /// hands out what nobody claimed.
    pub fn adopt(&mut self, owner: O, claimed: &SlotSet) -> SlotSet {
        let seat = self.seat(owner).unwrap_or_else(|| self.admit(owner));
        let mut refused = SlotSet::none();
        for slot in claimed.iter() {
            let held = &mut self.seats[slot as usize];
            if *held == NOBODY {
                *held = seat;
            } else if *held != seat {
                refused.insert(slot);
            }
        }
        refused
    }

    /// The owners in ascending order, those without a slot too.
    #[must_use]
    pub fn owners(&self) -> &[O] {
        &self.owners
    }

    /// Who owns the slot; `None` if nobody does.
    ///
    /// # Panics
    /// If there is no such slot.
    #[must_use]
    pub fn owner_of(&self, slot: u32) -> Option<O> {
        self.owners.get(self.seats[slot as usize] as usize).copied()
    }

    /// The slots of one owner; none for an owner that is not here. For all owners at once, [`Assignment::shares`] is one pass.
    #[must_use]
    pub fn slots_of(&self, owner: O) -> SlotSet {
        self.seat(owner).map_or_else(SlotSet::none, |seat| self.slots_at(seat))
    }

    /// Each owner, ascending, and its slots.
    #[must_use]
    pub fn shares(&self) -> Vec<(O, SlotSet)> {
        let mut shares: Vec<(O, SlotSet)> = self.owners.iter().map(|&owner| (owner, SlotSet::none())).collect();
        for (slot, &seat) in (0..).zip(&self.seats) {
            if let Some((_, share)) = shares.get_mut(seat as usize) {
                share.insert(slot);
            }
        }
        shares
    }

    /// Each owner, ascending, and how many slots it has.
    #[must_use]
    pub fn counts(&self) -> Vec<(O, u32)> {
        let mut counts = vec![0; self.owners.len()];
        for &seat in &self.seats {
            if let Some(count) = counts.get_mut(seat as usize) {
                *count += 1;
            }
        }
        self.owners.iter().copied().zip(counts).collect()
    }

    /// The slots that nobody owns.
    #[must_use]
    pub fn unowned(&self) -> SlotSet {
        self.slots_at(NOBODY)
    }

    /// How many users the owner runs when the whole cluster runs `users`. Once level for `users`, the owners differ by at most
    /// one slot's users: `users / 65,536`, rounded up; so by one up to 65,536.
    #[must_use]
    pub fn users_of(&self, owner: O, users: u64) -> u64 {
        let Some(seat) = self.seat(owner) else { return 0 };
        let held = |seats: &[u32]| seats.iter().filter(|held| **held == seat).count() as u64;
        users / u64::from(SLOTS) * held(&self.seats) + held(&self.seats[..boundary(users) as usize])
    }

    fn seat(&self, owner: O) -> Option<u32> {
        self.owners.binary_search(&owner).ok().map(count)
    }

    fn slots_at(&self, seat: u32) -> SlotSet {
        let mut slots = SlotSet::none();
        (0..).zip(&self.seats).filter(|(_, held)| **held == seat).for_each(|(slot, _)| slots.insert(slot));
        slots
    }

    /// Seats an owner that is not here yet, without a slot.
    fn admit(&mut self, owner: O) -> u32 {
        let place = self.owners.partition_point(|other| *other < owner);
        self.owners.insert(place, owner);
        let seat = count(place);
        self.seats.iter_mut().filter(|held| **held != NOBODY && **held >= seat).for_each(|held| *held += 1);
        seat
    }

    /// Shares out what is unowned and levels the owners, adding to `moved` each slot that gets another owner.
    fn settle(&mut self, users: u64, lead: Lead, moved: &mut SlotSet) {
        if self.owners.is_empty() {
            return;
        }
        let boundary = boundary(users);
        let targets = Targets::of(&self.seats, self.owners.len(), boundary);
        if targets.are_met() {
            return;
        }
        let mut sweep = Sweep::over(&mut self.seats, self.owners.len(), lead, moved);
        sweep.pass(0..boundary, &targets.below);
        sweep.pass(boundary..SLOTS, &targets.above);
    }
}

impl<O: Copy + Ord> Default for Assignment<O> {
    fn default() -> Self {
        Self::new()
    }
}

/// How far ahead of a receiver a giver must be at a slot to give that slot away, as long as it need not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lead {
    /// By one: what moves is spread over the whole range.
    Any,
    /// By two: the last slots move, and earlier ones only where that makes the owners more level on the way.
    Clear,
}

/// How many slots each owner holds and shall hold, below and above the boundary.
struct Targets {
    below: Vec<Share>,
    above: Vec<Share>,
    has_unowned: bool,
}

/// How many slots of a range one owner has and shall have.
#[derive(Debug, Clone, Copy, Default)]
struct Share {
    has: u32,
    wants: u32,
}

impl Targets {
    /// The targets that are level, below the boundary and in sum, with the fewest moves: first below, then above.
    fn of(seats: &[u32], owners: usize, boundary: u32) -> Self {
        let mut below = vec![Share::default(); owners];
        let mut above = vec![Share::default(); owners];
        let mut has_unowned = false;
        for (slot, &seat) in (0..).zip(seats) {
            let shares = if slot < boundary { &mut below } else { &mut above };
            match shares.get_mut(seat as usize) {
                Some(share) => share.has += 1,
                None => has_unowned = true,
            }
        }
        let mut order: Vec<usize> = (0..owners).collect();

        // Whoever holds more than the even share keeps one more than it before anybody is given one more. Among equals it is
        // whoever holds least above, so that the sums need least mending.
        let (even, over) = (boundary / count(owners), boundary as usize % owners);
        order.sort_unstable_by_key(|&owner| (below[owner].has <= even, above[owner].has, owner));
        for (rank, &owner) in order.iter().enumerate() {
            below[owner].wants = even + u32::from(rank < over);
        }

        // The same for the sums. Whoever has a whole sum below the boundary already must come first: above it, it cannot hold less
        // than nothing.
        let (even, over) = (SLOTS / count(owners), SLOTS as usize % owners);
        order.sort_unstable_by_key(|&owner| {
            let wanted = below[owner].wants;
            (wanted <= even, above[owner].has + wanted <= even, wanted, owner)
        });
        for (rank, &owner) in order.iter().enumerate() {
            above[owner].wants = even + u32::from(rank < over) - below[owner].wants;
        }
        Self { below, above, has_unowned }
    }

    fn are_met(&self) -> bool {
        !self.has_unowned && self.below.iter().chain(&self.above).all(|share| share.has == share.wants)
    }
}

/// One pass over the slots in ascending order that hands each slot that moves to the owner that holds the fewest slots so far.
struct Sweep<'a> {
    seats: &'a mut [u32],
    moved: &'a mut SlotSet,
    lead: Lead,
    /// For each slot the next one of the same owner, as the sweep found them; [`SLOTS`] after the last.
    following: Vec<u32>,
    hands: Vec<Hand>,
    receivers: Receivers,
}

/// What the sweep knows of one owner at the slot where it stands.
#[derive(Debug, Clone, Copy)]
struct Hand {
    /// Slots below this one that the owner ends with.
    count: u32,
    /// The owner's own next slot, from this one on.
    next: u32,
    /// The owner's own slots from this one to the end of the range.
    left: u32,
    /// How many of those it still has to give away.
    gives: u32,
    /// How many slots of the range it still has to get.
    gets: u32,
}

impl<'a> Sweep<'a> {
    fn over(seats: &'a mut [u32], owners: usize, lead: Lead, moved: &'a mut SlotSet) -> Self {
        let mut hands = vec![Hand { count: 0, next: SLOTS, left: 0, gives: 0, gets: 0 }; owners];
        let mut following = vec![SLOTS; seats.len()];
        for (slot, &seat) in (0..SLOTS).zip(seats.iter()).rev() {
            if let Some(hand) = hands.get_mut(seat as usize) {
                following[slot as usize] = hand.next;
                hand.next = slot;
            }
        }
        Self { seats, moved, lead, following, hands, receivers: Receivers::none(owners) }
    }

    /// Moves slots of one range until each owner has there what it wants.
    fn pass(&mut self, range: std::ops::Range<u32>, shares: &[Share]) {
        for (seat, share) in shares.iter().enumerate() {
            let hand = &mut self.hands[seat];
            hand.left = share.has;
            hand.gives = share.has.saturating_sub(share.wants);
            hand.gets = share.wants.saturating_sub(share.has);
            self.receivers.place(seat, *hand);
        }
        for slot in range {
            let holder = self.seats[slot as usize] as usize;
            let gives = holder >= self.hands.len() || self.is_given(holder);
            if let Some(hand) = self.hands.get_mut(holder) {
                hand.left -= 1;
                hand.next = self.following[slot as usize];
                if gives {
                    hand.gives -= 1;
                } else {
                    hand.count += 1;
                }
                if hand.gets > 0 {
                    self.receivers.place(holder, *hand);
                }
            }
            if gives {
                self.hand_on(slot);
            }
        }
    }

    /// Whether the owner gives away the slot at which the sweep stands.
    fn is_given(&self, holder: usize) -> bool {
        let hand = &self.hands[holder];
        let lead = match self.lead {
            Lead::Any => 1,
            Lead::Clear => 2,
        };
        hand.gives > 0 && (hand.left <= hand.gives || hand.count >= self.receivers.first().count.saturating_add(lead))
    }

    /// Gives the slot to the receiver that is furthest behind.
    fn hand_on(&mut self, slot: u32) {
        let receiver = self.receivers.first().seat;
        let hand = &mut self.hands[receiver as usize];
        hand.count += 1;
        hand.gets -= 1;
        self.receivers.place(receiver as usize, *hand);
        self.seats[slot as usize] = receiver;
        self.moved.insert(slot);
    }
}

/// The owners that still have to get slots, as a tournament: each inner node is the first of its two children, the root the first of
/// all. So a change costs one climb, which ends early where it changes nothing.
struct Receivers {
    nodes: Vec<Receiver>,
}

/// An owner's claim to the next slot that moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Receiver {
    count: u32,
    next: u32,
    seat: u32,
}

impl Receivers {
    fn none(owners: usize) -> Self {
        Self { nodes: vec![Receiver::NONE; owners.next_power_of_two() * 2] }
    }

    fn first(&self) -> Receiver {
        self.nodes[1]
    }

    fn place(&mut self, seat: usize, hand: Hand) {
        let mut node = self.nodes.len() / 2 + seat;
        self.nodes[node] = if hand.gets > 0 { Receiver { count: hand.count, next: hand.next, seat: count(seat) } } else { Receiver::NONE };
        while node > 1 {
            node /= 2;
            let first = self.nodes[node * 2].min(self.nodes[node * 2 + 1]);
            if self.nodes[node] == first {
                break;
            }
            self.nodes[node] = first;
        }
    }
}

impl Receiver {
    /// Comes after every owner.
    const NONE: Self = Self { count: u32::MAX, next: 0, seat: NOBODY };
}

impl Ord for Receiver {
    /// Who holds fewest slots comes first; among those, whose own next slot is farthest, since the others catch up by themselves.
    fn cmp(&self, other: &Self) -> Ordering {
        self.count.cmp(&other.count).then(other.next.cmp(&self.next)).then(self.seat.cmp(&other.seat))
    }
}

impl PartialOrd for Receiver {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The first slot whose users are one fewer than those of the slots before it.
fn boundary(users: u64) -> u32 {
    u32::try_from(users % u64::from(SLOTS)).expect("a remainder of 65,536 fits")
}

/// An index or number of owners as the seats hold it.
fn count(owners: usize) -> u32 {
    u32::try_from(owners).expect("owners are numbered by 32 bits")
}

/// The seat of a slot that nobody owns.
const NOBODY: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What may happen to a cluster; numbers pick among the owners that are there.
    #[derive(Debug, Clone)]
    enum Change {
        Join,
        Leave(Vec<usize>),
        Level(u64),
    }

    fn levels() -> impl Strategy<Value = u64> {
        prop_oneof![0..100_u64, 0..=u64::from(SLOTS), u64::from(SLOTS)..=u64::from(SLOTS) + 500, 0..5_000_000_u64]
    }

    fn changes() -> impl Strategy<Value = Vec<Change>> {
        let leavers = prop::collection::vec(any::<usize>(), 1..4);
        prop::collection::vec(prop_oneof![Just(Change::Join), leavers.prop_map(Change::Leave), levels().prop_map(Change::Level)], 1..12)
    }

    /// A dealt cluster of the owners 0, 10, 20 and so on, so that joiners come between them.
    fn dealt(owners: u32) -> Assignment<u32> {
        let mut assignment = Assignment::new();
        assignment.deal(&(0..owners).map(|owner| owner * 10).collect::<Vec<_>>());
        assignment
    }

    fn slots(slots: impl IntoIterator<Item = u32>) -> SlotSet {
        let mut set = SlotSet::none();
        slots.into_iter().for_each(|slot| set.insert(slot));
        set
    }

    /// The slots whose owner differs, told from the owners alone.
    fn difference(before: &Assignment<u32>, after: &Assignment<u32>) -> SlotSet {
        slots((0..SLOTS).filter(|&slot| before.owner_of(slot) != after.owner_of(slot)))
    }

    /// By how many users the owners differ at this level.
    fn spread(assignment: &Assignment<u32>, users: u64) -> u64 {
        let mut counts = vec![0_u64; assignment.owners.len()];
        for (slot, &seat) in (0..).zip(&assignment.seats).filter(|(_, seat)| **seat != NOBODY) {
            counts[seat as usize] += users / u64::from(SLOTS) + u64::from(slot < boundary(users));
        }
        let last = assignment.owners().last().copied();
        assert_eq!(last.map(|owner| assignment.users_of(owner, users)), counts.last().copied());
        counts.iter().max().map_or(0, |most| most - counts.iter().min().unwrap())
    }

    /// The greatest number of users by which the owners differ at any level up to 65,536.
    fn worst_spread(assignment: &Assignment<u32>) -> u32 {
        let mut counts = vec![0_u32; assignment.owners.len()];
        // How many owners hold so many slots.
        let mut owners_with = vec![0_usize; SLOTS as usize + 1];
        owners_with[0] = counts.len();
        let (mut least, mut most, mut worst) = (0, 0, 0);
        for &seat in assignment.seats.iter().filter(|seat| **seat != NOBODY) {
            let held = &mut counts[seat as usize];
            owners_with[*held as usize] -= 1;
            *held += 1;
            owners_with[*held as usize] += 1;
            most = most.max(*held);
            while owners_with[least as usize] == 0 {
                least += 1;
            }
            worst = worst.max(most - least);
        }
        worst
    }

    /// The slots that moved though their old owner stays and their new one did not just join, by old owner.
    fn extra_moves(before: &Assignment<u32>, after: &Assignment<u32>) -> std::collections::BTreeMap<u32, Vec<u32>> {
        let mut extra = std::collections::BTreeMap::<u32, Vec<u32>>::new();
        for slot in difference(before, after).iter() {
            let (Some(from), Some(to)) = (before.owner_of(slot), after.owner_of(slot)) else { continue };
            if after.owners().contains(&from) && before.owners().contains(&to) {
                extra.entry(from).or_default().push(slot);
            }
        }
        extra
    }

    fn union(sets: impl IntoIterator<Item = SlotSet>) -> SlotSet {
        slots(sets.into_iter().flat_map(|set| set.iter().collect::<Vec<_>>()))
    }

    #[test]
    fn the_first_deal_is_level_within_one_at_every_number_of_users() {
        for owners in [1, 2, 3, 7, 64, 500] {
            let assignment = dealt(owners);
            assert_eq!(assignment.owner_of(owners + 1), Some(if owners == 1 { 0 } else { 10 }));
            assert!(worst_spread(&assignment) <= 1);
            assert!(assignment.unowned().is_empty());
        }
    }

    #[test]
    fn owners_are_level_within_one_slots_users_past_the_last_slot() {
        for users in [65_536_u64, 65_537, 131_072, 200_000, 1_000_003, 6_553_600] {
            let mut assignment = dealt(7);
            assignment.leave(30, users);
            assignment.join(31, users);
            let counts: Vec<u64> = assignment.owners().iter().map(|&owner| assignment.users_of(owner, users)).collect();
            assert_eq!(counts.iter().sum::<u64>(), users);
            assert!(spread(&assignment, users) <= users.div_ceil(u64::from(SLOTS)), "{users}: {counts:?}");
        }
    }

    #[test]
    fn the_last_leaver_leaves_its_slots_unowned_and_the_next_joiner_gets_them_all() {
        let mut assignment = dealt(2);
        assert_eq!(assignment.leave_all(&[0, 10], 100), SlotSet::all());
        assert_eq!((assignment.unowned(), assignment.owners().len()), (SlotSet::all(), 0));
        assert!(assignment.level(5_000).is_empty());
        assert_eq!(assignment.join(3, 100), SlotSet::all());
        assert_eq!(assignment.slots_of(3), SlotSet::all());
        assert_eq!(assignment.users_of(3, 70_000), 70_000);
    }

    #[test]
    fn what_is_told_twice_moves_nothing() {
        let mut assignment = dealt(3);
        assignment.leave(10, 50);
        let before = assignment.clone();
        assert!(assignment.leave(10, 50).is_empty());
        assert!(assignment.join(20, 50).is_empty());
        assert!(assignment.level(50).is_empty());
        assert_eq!(assignment, before);
        assert!(assignment.slots_of(10).is_empty());
        assert_eq!(assignment.users_of(10, 50), 0);
    }

    #[test]
    fn an_adopted_run_keeps_its_owners_and_only_unclaimed_slots_are_handed_out() {
        let running = dealt(4);
        let mut learned = Assignment::new();
        for owner in [30, 0, 10] {
            assert!(learned.adopt(owner, &running.slots_of(owner)).is_empty());
        }
        assert_eq!(learned.unowned(), running.slots_of(20));
        assert_eq!(learned.level(1_000), running.slots_of(20));
        assert_eq!(spread(&learned, 1_000), 1);
    }

    #[test]
    fn a_slot_claimed_twice_stays_with_the_first() {
        let mut assignment = Assignment::new();
        assert!(assignment.adopt(7, &slots([1, 2, 3])).is_empty());
        assert_eq!(assignment.adopt(4, &slots([3, 4])), slots([3]));
        assert!(assignment.adopt(7, &slots([3, 5])).is_empty());
        assert_eq!(assignment.slots_of(7), slots([1, 2, 3, 5]));
        assert_eq!(assignment.slots_of(4), slots([4]));
    }

    #[test]
    fn a_new_level_moves_only_the_surplus_below_it() {
        let mut assignment = Assignment::new();
        assignment.adopt(1, &slots(0..600));
        assignment.adopt(2, &slots(600..SLOTS));
        let moved = assignment.level(1_000);
        let below = moved.iter().filter(|slot| *slot < 1_000).count();
        assert_eq!(below, 100, "500 each");
        assert_eq!(moved.len() - 100, SLOTS / 2 - 500, "above, as many as level the sums");
    }

    #[test]
    fn the_same_owner_may_leave_and_come_back_again_and_again() {
        for users in [500, 40_000] {
            let mut assignment = dealt(20);
            for _ in 0..30 {
                let left = assignment.leave(50, users);
                assert_eq!(left.len() / 100, SLOTS / 20 / 100);
                let joined = assignment.join(50, users);
                assert_eq!(joined, assignment.slots_of(50));
                assert!(spread(&assignment, users) <= 1 && worst_spread(&assignment) <= 3);
            }
        }
    }

    #[test]
    fn every_level_stays_nearly_level_after_many_churns() {
        // The churns are the same at each run; the bounds are those at the head of this file.
        for (fewest, most, users, bound) in [(2, 6, 30_000, 4), (20, 60, 5_000, 20), (20, 60, 60_000, 20), (250, 300, 20_000, 20)] {
            let mut assignment = dealt(most);
            let mut draw = 20_u32;
            for churn in 1..=40_u32 {
                draw = draw.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let here = count(assignment.owners().len());
                if here == fewest || (here < most && draw >> 31 == 0) {
                    assignment.join(10_000 + churn, users);
                } else {
                    assignment.leave(assignment.owners()[(draw >> 8) as usize % here as usize], users);
                }
                let worst = worst_spread(&assignment);
                assert!(worst <= if churn <= 3 { 4 } else { bound }, "churn {churn} of {fewest} to {most}: {worst}");
            }
        }
    }

    #[test]
    fn a_churn_of_hundreds_moves_one_more_slot_a_worker_at_most() {
        for (owners, users) in [(375, 43_245), (500, 65_530), (500, 65_536), (301, 7), (613, 20_000)] {
            let mut assignment = dealt(owners);
            for churn in 0..6_u32 {
                assignment.level(users);
                let before = assignment.clone();
                if churn % 3 == 2 {
                    assignment.join(churn * 10 + 5, users);
                } else {
                    let leavers: Vec<u32> = before.owners().iter().skip(churn as usize).step_by(97).copied().collect();
                    assignment.leave_all(&leavers, users);
                }
                let extra = extra_moves(&before, &assignment);
                assert!(extra.values().all(|slots| slots.len() == 1 && slots[0] >= boundary(users)), "{owners}, {users}: {extra:?}");
                let counts = |slots: u32| {
                    let mut counts = vec![0_u32; assignment.owners().len()];
                    (0..slots).for_each(|slot| counts[assignment.seats[slot as usize] as usize] += 1);
                    counts.iter().max().unwrap() - counts.iter().min().unwrap()
                };
                assert!(counts(SLOTS) <= 1 && counts(boundary(users)) <= 1);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(6))]

        #[test]
        fn whatever_happens_shares_stay_whole_and_level_and_few_slots_move(
            owners in 1..40_u32, mut users in levels(), changes in changes()
        ) {
            let mut assignment = dealt(owners);
            assignment.level(users);
            let mut twin = assignment.clone();
            let mut joiner = 1;
            for change in changes {
                let before = assignment.clone();
                let (moved, must_move) = match &change {
                    Change::Join => {
                        joiner += 7;
                        let owner = joiner * 10 % 397;
                        if before.owners().contains(&owner) {
                            continue;
                        }
                        twin.join(owner, users);
                        let moved = assignment.join(owner, users);
                        let share = assignment.slots_of(owner);
                        (moved, share)
                    }
                    Change::Leave(picks) if !before.owners().is_empty() => {
                        let leavers: Vec<u32> = picks.iter().map(|pick| before.owners()[pick % before.owners().len()]).collect();
                        twin.leave_all(&leavers, users);
                        let moved = assignment.leave_all(&leavers, users);
                        (moved, union(leavers.iter().map(|&leaver| before.slots_of(leaver))))
                    }
                    Change::Leave(_) => continue,
                    Change::Level(level) => {
                        users = *level;
                        twin.level(users);
                        (assignment.level(users), SlotSet::none())
                    }
                };
                prop_assert_eq!(&assignment, &twin);
                prop_assert_eq!(&moved, &difference(&before, &assignment));
                prop_assert!(must_move.iter().all(|slot| moved.contains(slot)));
                if !matches!(change, Change::Level(_)) {
                    let extra = extra_moves(&before, &assignment);
                    prop_assert_eq!(moved.len(), must_move.len() + count(extra.values().map(Vec::len).sum()));
                    prop_assert!(extra.values().all(|slots| slots.len() == 1 && slots[0] >= boundary(users)), "{:?}", extra);
                }
                if assignment.owners().is_empty() {
                    prop_assert_eq!(assignment.unowned(), SlotSet::all());
                    continue;
                }
                let shares = assignment.shares();
                let (first, last) = (&shares[0], shares.last().unwrap());
                prop_assert!([first, last].iter().all(|(owner, share)| *share == assignment.slots_of(*owner)));
                prop_assert!(shares.iter().all(|(owner, share)| share.iter().all(|slot| assignment.owner_of(slot) == Some(*owner))));
                prop_assert_eq!(shares.iter().map(|(_, share)| share.len()).sum::<u32>(), SLOTS);
                prop_assert!(assignment.unowned().is_empty());
                prop_assert!(spread(&assignment, u64::from(SLOTS)) <= 1);
                prop_assert!(spread(&assignment, users) <= users.div_ceil(u64::from(SLOTS)));
            }
        }
    }
}
