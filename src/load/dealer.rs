//! Deals the slots that a worker owns to its lanes, and says at which moment each comes and goes. Pure: no clock, no channel.
//!
//! What follows from orders depends on what was owned and awaited before them. That is decided here, once, so that a lane's [`Duty`] is
//! complete in itself: a lane that misses some and sees only the newest is where one is that has seen them all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::slots::{Orders, SLOTS, SlotSet};
use crate::plan::LoadProfile;

/// The slots of one worker and their lanes.
///
/// For each slot, orders that come at `now` mean:
///
/// | in the hand-over | as wanted | a change is pending | then it |
/// |---|---|---|---|
/// | | yes | | stays; what is pending is dropped |
/// | yes | no | | changes at its moment, at once if that is past |
/// | no | no | yes | keeps its moment; goes at once where that was by another profile |
/// | no | no | no | changes at once |
///
/// Whoever hears of all orders is told the new moment of all that is on its way when the profile changes. Who has missed that has moments of its own,
/// maybe minutes off: by those it must not keep what others run since long.
///
/// Of slots that others have run meanwhile, since the worker was out of reach, all goes at once that is not here for good by then: it would run twice
/// until its moment. Of an open profile nothing is the worker's that was due in them until it has them back, be that moment past, and that it has not
/// handed out: it may have stood still for as long as others had them.
///
/// Of an open profile no change that was ordered is taken back or put off before its moment: who hears of the newer orders late has carried
/// it out by then, and an iteration would have two owners. What is newer comes behind it, so that a slot may come and go again.
#[derive(Debug)]
pub(super) struct Dealer {
    /// Owned at the moment of the last orders.
    owned: SlotSet,
    /// What has come and gone in the last [`KEPT`], oldest first: a lane that is late, or that hears late, has to know since when.
    past: Vec<Turnover>,
    /// What came and went until then is forgotten.
    known_since: Duration,
    /// When slots come, if they are not owned, or go, if they are; and so on in turns, ascending. Never empty.
    pending: BTreeMap<u32, Vec<Duration>>,
    /// The lane of each slot that is owned, will be, or was until so lately that its users may still finish.
    lane_of: Vec<Option<usize>>,
    /// When those are forgotten that no lane shall keep.
    leaving: BTreeMap<u32, Duration>,
    lanes: usize,
    /// How long users may finish after their slot has gone.
    linger: Duration,
    /// Of the last orders.
    profile: Option<Arc<LoadProfile>>,
}

impl Dealer {
    /// A worker that owns nothing. `linger` is how long users may finish after their slot has gone.
    pub fn new(lanes: usize, linger: Duration) -> Self {
        let lane_of = vec![None; SLOTS as usize];
        Self {
            owned: SlotSet::none(),
            past: Vec::new(),
            known_since: Duration::ZERO,
            pending: BTreeMap::new(),
            lane_of,
            leaving: BTreeMap::new(),
            lanes,
            linger,
            profile: None,
        }
    }

    /// The worker is told anew when the run's clock stands at `now`, which never goes back. Answers the duty of each lane.
    pub fn follow(&mut self, orders: &Orders, now: Duration) -> Vec<Arc<Duty>> {
        self.settle(now);
        self.give_up(orders, now);
        let mut moments = orders.handover.iter().flat_map(|handover| handover.moments()).peekable();
        let is_other_profile = self.profile.replace(Arc::clone(&orders.profile)).is_some_and(|before| before != orders.profile);
        // Whatever is as it shall be, and neither moves nor is about to, stays so. A run begins with this: the fewer looks, the less late.
        let mut touched = self.owned.differing(&orders.slots);
        self.pending.keys().for_each(|&slot| touched.insert(slot));
        orders.handover.iter().flat_map(|handover| handover.moved.iter()).for_each(|slot| touched.insert(slot));
        for slot in touched.iter() {
            let moment = moments.next_if(|&(moved, _)| moved == slot).map(|(_, at)| at);
            let wanted = orders.slots.contains(slot);
            if orders.profile.is_open() {
                self.decide_in_turn(slot, wanted, moment, now);
            } else {
                let keeps_moment = wanted || !is_other_profile;
                self.decide(slot, wanted, moment, keeps_moment, now);
            }
        }
        self.forget(&orders.slots, now);
        self.deal(&orders.slots);
        self.duties(orders)
    }

    /// Carries out what was pending until `now`.
    fn settle(&mut self, now: Duration) {
        let (owned, past) = (&mut self.owned, &mut self.past);
        self.pending.retain(|&slot, moments| {
            moments.retain(|&at| {
                if at <= now {
                    let gains = !owned.contains(slot);
                    owned.set(slot, gains);
                    past.push(Turnover { at, slot, gains });
                }
                at > now
            });
            !moments.is_empty()
        });
        self.known_since = now.saturating_sub(KEPT);
        self.past.retain(|turnover| turnover.at > self.known_since);
    }

    /// What others have run meanwhile goes at once where it is not wanted, or not yet.
    fn give_up(&mut self, orders: &Orders, now: Duration) {
        let Some(void) = &orders.void else { return };
        let is_open = orders.profile.is_open();
        let mut stays = (*orders.slots).clone();
        let moments = orders.handover.iter().flat_map(|handover| handover.moments());
        moments.filter(|(_, at)| is_open || *at > now).for_each(|(slot, _)| stays.remove(slot));
        let gone = void.without(&stays);
        if is_open {
            // How they came here is of no account any more.
            self.past.retain(|turnover| !gone.contains(turnover.slot));
        }
        for slot in gone.iter() {
            // Since when others have had them nobody says. What was handed out here is decided, so that they may as well have had them for ever.
            self.change(slot, false, is_open.then_some(Duration::ZERO), now);
        }
    }

    /// See the table above.
    fn decide(&mut self, slot: u32, wanted: bool, moment: Option<Duration>, keeps_moment: bool, now: Duration) {
        if self.owned.contains(slot) == wanted {
            self.pending.remove(&slot);
            return;
        }
        match moment {
            Some(at) if at > now => {
                self.pending.insert(slot, vec![at]);
            }
            None if keeps_moment && self.pending.contains_key(&slot) => {}
            Some(_) | None => self.change(slot, wanted, moment, now),
        }
    }

    /// The same where a change that was ordered comes to pass whatever is ordered after it.
    fn decide_in_turn(&mut self, slot: u32, wanted: bool, moment: Option<Duration>, now: Duration) {
        if let Some(at) = moment.filter(|at| *at > now) {
            let moments = self.pending.entry(slot).or_default();
            moments.retain(|earlier| *earlier < at);
            if (self.owned.contains(slot) == wanted) == (moments.len() % 2 == 1) {
                moments.push(at);
            }
            if moments.is_empty() {
                self.pending.remove(&slot);
            }
            return;
        }
        let turns = self.pending.get(&slot).map_or(0, Vec::len);
        if moment.is_some() || (self.owned.contains(slot) == wanted) == (turns % 2 == 1) {
            self.change(slot, wanted, moment, now);
        }
    }

    /// The slot comes or goes at once; or came and went at a moment that is past.
    fn change(&mut self, slot: u32, wanted: bool, moment: Option<Duration>, now: Duration) {
        self.pending.remove(&slot);
        if self.owned.contains(slot) == wanted {
            return;
        }
        self.owned.set(slot, wanted);
        // Before the run has begun there is no past.
        if now > Duration::ZERO {
            self.past.push(Turnover { at: moment.unwrap_or(now), slot, gains: wanted });
        }
    }

    /// Takes slots from their lanes that went long ago.
    ///
    /// Until then a slot that comes back goes to its former lane, since two lanes would have two lives of one user at a time.
    fn forget(&mut self, wanted: &SlotSet, now: Duration) {
        let lane_of = &mut self.lane_of;
        self.leaving.retain(|&slot, &mut until| {
            if until <= now {
                lane_of[slot as usize] = None;
            }
            until > now
        });
        for slot in (0..SLOTS).filter(|&slot| lane_of[slot as usize].is_some()) {
            if wanted.contains(slot) {
                self.leaving.remove(&slot);
            } else if let Some(goes) = self.pending.get(&slot).and_then(|moments| moments.last()) {
                self.leaving.insert(slot, goes.saturating_add(self.linger));
            } else {
                self.leaving.entry(slot).or_insert(now.saturating_add(self.linger));
            }
        }
    }

    /// Gives each slot that has no lane, in ascending order, to the lane with the fewest up to it: at every level of users the lanes are
    /// as even as the slots allow that stay, and users that come first are in different lanes.
    fn deal(&mut self, wanted: &SlotSet) {
        let mut counts = vec![0_u32; self.lanes];
        for slot in wanted.iter() {
            let lane = self.lane_of[slot as usize].get_or_insert_with(|| poorest(&counts, slot));
            counts[*lane] += 1;
        }
    }

    fn duties(&self, orders: &Orders) -> Vec<Arc<Duty>> {
        let of_nobody =
            || Duty { is_paused: orders.is_paused, lanes: self.lanes, known_since: self.known_since, ..Duty::none(orders.profile.clone()) };
        let mut duties: Vec<Duty> = (0..self.lanes).map(|_| of_nobody()).collect();
        for slot in self.owned.iter() {
            if let Some(lane) = self.lane_of[slot as usize] {
                duties[lane].held.insert(slot);
            }
        }
        for turnover in &self.past {
            if let Some(lane) = self.lane_of[turnover.slot as usize] {
                duties[lane].past.push(*turnover);
            }
        }
        for (&slot, moments) in &self.pending {
            let Some(lane) = self.lane_of[slot as usize] else { continue };
            for (turn, &at) in moments.iter().enumerate() {
                duties[lane].turnovers.push(Turnover { at, slot, gains: self.owned.contains(slot) == (turn % 2 == 1) });
            }
        }
        for duty in &mut duties {
            duty.turnovers.sort_by_key(|turnover| (turnover.at, turnover.slot));
        }
        duties.into_iter().map(Arc::new).collect()
    }
}

/// The lane with the fewest slots; among several the one that `slot` picks, as if by lot.
///
/// Were it always the first, a worker of two lanes would have its even slots in one and its odd ones in the other; and a joiner that takes
/// every other slot, which is how slots are shared out, would leave one of the lanes without any user.
fn poorest(counts: &[u32], slot: u32) -> usize {
    if counts.len() == 1 {
        return 0;
    }
    let least = counts.iter().min();
    let ties = || (0..counts.len()).filter(|&lane| counts.get(lane) == least);
    let lot = (u64::from(scattered(slot)) * ties().count() as u64) >> 32;
    usize::try_from(lot).ok().and_then(|lot| ties().nth(lot)).unwrap_or(0)
}

/// The last step of MurmurHash3: numbers in a row become numbers all over the range.
fn scattered(number: u32) -> u32 {
    let mut mixed = number;
    mixed = (mixed ^ (mixed >> 16)).wrapping_mul(0x85eb_ca6b);
    mixed = (mixed ^ (mixed >> 13)).wrapping_mul(0xc2b2_ae35);
    mixed ^ (mixed >> 16)
}

/// What one lane shall run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Duty {
    /// How work arrives in the whole cluster.
    pub profile: Arc<LoadProfile>,
    /// How many lanes the worker has.
    pub lanes: usize,
    /// How the slots came to be the lane's in the last seconds, in the order in which that was learnt. A change that was heard of late bears the
    /// moment at which it should have been.
    pub past: Vec<Turnover>,
    /// What came and went until then is in no `past` any more.
    pub known_since: Duration,
    /// The lane's slots at the moment of the orders.
    pub held: SlotSet,
    /// How those change later: by moment, then by slot; at most one a slot where the profile is closed.
    pub turnovers: Vec<Turnover>,
    /// No user begins an iteration.
    pub is_paused: bool,
}

impl Duty {
    fn none(profile: Arc<LoadProfile>) -> Self {
        Self {
            profile,
            lanes: 1,
            past: Vec::new(),
            known_since: Duration::ZERO,
            held: SlotSet::none(),
            turnovers: Vec::new(),
            is_paused: false,
        }
    }

    /// The lane's slots when the run's clock stands at `t`, which is not before the orders.
    pub fn held_at(&self, t: Duration) -> SlotSet {
        let mut held = self.held.clone();
        for turnover in self.turnovers.iter().take_while(|turnover| turnover.at <= t) {
            held.set(turnover.slot, turnover.gains);
        }
        held
    }
}

/// A slot comes to a lane or leaves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turnover {
    /// On the run's clock.
    pub at: Duration,
    pub slot: u32,
    /// It comes to the lane; otherwise it leaves it.
    pub gains: bool,
}

/// How long what slots did is remembered. Not longer than a slot that went keeps its lane, see `forget`.
const KEPT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::load::slots::Handover;

    const LINGER: Duration = Duration::from_secs(3);

    fn seconds(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    fn set(slots: impl IntoIterator<Item = u32>) -> SlotSet {
        let mut set = SlotSet::none();
        slots.into_iter().for_each(|slot| set.insert(slot));
        set
    }

    fn orders(slots: impl IntoIterator<Item = u32>) -> Orders {
        Orders { slots: Arc::new(set(slots)), ..Orders::of_all_slots(Arc::new(LoadProfile::plain(10, 1.0, None))) }
    }

    /// Orders with a hand-over of `moved`, a second from slot to slot.
    fn handing(slots: impl IntoIterator<Item = u32>, at: Duration, moved: impl IntoIterator<Item = u32>) -> Orders {
        let handover = Handover { at, moved: set(moved), interval: seconds(1) };
        Orders { handover: Some(Arc::new(handover)), ..orders(slots) }
    }

    /// The slots below 20 that the worker owns at each of `moments`.
    fn owned_at(duties: &[Arc<Duty>], moments: impl IntoIterator<Item = u64>) -> Vec<Vec<u32>> {
        let owned = |t: u64| {
            let held: Vec<SlotSet> = duties.iter().map(|duty| duty.held_at(seconds(t))).collect();
            (0..20).filter(|&slot| held.iter().any(|held| held.contains(slot))).collect()
        };
        moments.into_iter().map(owned).collect()
    }

    /// The lane of each slot that has one.
    fn lanes_of(duties: &[Arc<Duty>]) -> Vec<(u32, usize)> {
        (0..20).filter_map(|slot| duties.iter().position(|duty| duty.held.contains(slot)).map(|lane| (slot, lane))).collect()
    }

    #[test]
    fn who_missed_a_new_profile_keeps_no_slot_by_the_pace_of_the_old_one_and_takes_none_before_its_moment() {
        // Seed 50000770: out of reach, it kept for a minute what others had run since the re-target.
        for is_other_profile in [false, true] {
            let mut dealer = Dealer::new(1, LINGER);
            dealer.follow(&orders(0..10), seconds(0));
            dealer.follow(&handing(0..20, seconds(1), 10..20), seconds(1));
            dealer.follow(&handing(5..20, seconds(3), 0..5), seconds(3));
            let profile = Arc::new(LoadProfile::plain(10, if is_other_profile { 50.0 } else { 1.0 }, None));
            let duties = dealer.follow(&Orders { profile, ..handing(5..20, seconds(4), 25..26) }, seconds(4));
            let leaving: Vec<u32> = if is_other_profile { vec![] } else { vec![2, 3, 4] };
            let expected: Vec<u32> = leaving.into_iter().chain(5..14).collect();
            assert_eq!(owned_at(&duties, [4]), [expected], "{is_other_profile}");
        }
    }

    #[test]
    fn each_user_belongs_to_exactly_one_lane_and_lanes_are_level() {
        for lanes in 1..=5 {
            let all = Orders::of_all_slots(Arc::new(LoadProfile::plain(1, 1.0, None)));
            let duties = Dealer::new(lanes, LINGER).follow(&all, seconds(0));
            let mut counts = vec![0; lanes];
            for user in 0..1_000 {
                let holders: Vec<usize> = (0..lanes).filter(|&lane| duties[lane].held.has_user(user)).collect();
                assert_eq!(holders.len(), 1);
                counts[holders[0]] += 1;
                assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
            }
        }
    }

    #[test]
    fn lanes_stay_about_level_when_another_worker_takes_every_second_or_third_slot() {
        for (lanes, every) in [(2, 2), (2, 3), (3, 3), (4, 2), (4, 4)] {
            let mut dealer = Dealer::new(lanes, LINGER);
            dealer.follow(&orders(0..SLOTS), seconds(0));
            let duties = dealer.follow(&orders((0..SLOTS).step_by(every)), seconds(9));
            let share = SLOTS / (lanes * every) as u32;
            for duty in duties {
                assert!(duty.held.len().abs_diff(share) < share / 10, "{} slots of {share}", duty.held.len());
            }
        }
    }

    #[test]
    fn of_an_open_profile_a_change_comes_to_pass_that_newer_orders_would_put_off_and_what_is_newer_comes_behind_it() {
        let profile = Arc::new(LoadProfile::plain_arrivals(crate::plan::Rate::per_second(9.0), None));
        let open = |orders: Orders| Orders { profile: Arc::clone(&profile), ..orders };
        let mut dealer = Dealer::new(2, LINGER);
        dealer.follow(&open(orders([1, 2])), seconds(0));
        // 1 goes and 3 comes at 10 s.
        let moved = |slots, at, moved| {
            let handover = Handover { at: seconds(at), moved: set(moved), interval: Duration::ZERO };
            open(Orders { handover: Some(Arc::new(handover)), ..orders(slots) })
        };
        dealer.follow(&moved(vec![2, 3], 10, vec![1, 3]), seconds(5));
        // By newer orders 3 is another's, and nothing of it is to be changed before 12 s.
        let duties = dealer.follow(&moved(vec![2], 12, vec![1, 3]), seconds(6));
        assert_eq!(owned_at(&duties, [9, 10, 11, 12]), [vec![1, 2], vec![2, 3], vec![2, 3], vec![2]]);
        let duties = dealer.follow(&moved(vec![2, 3], 13, vec![3]), seconds(7));
        assert_eq!(owned_at(&duties, [9, 10, 12, 13]), [vec![1, 2], vec![2, 3], vec![2], vec![2, 3]]);
    }

    #[test]
    fn a_slot_stays_with_its_lane_and_others_fill_the_lanes_up_from_the_lowest_on() {
        let mut dealer = Dealer::new(2, LINGER);
        let first = lanes_of(&dealer.follow(&orders(0..20), seconds(0)));
        let of_lane = |lane: usize| first.iter().filter(move |dealt| dealt.1 == lane).map(|dealt| dealt.0);
        let kept: Vec<u32> = of_lane(0).take(5).chain(of_lane(1)).collect();
        let then = lanes_of(&dealer.follow(&orders(kept.clone()), seconds(10)));
        assert!(then.iter().all(|dealt| first.contains(dealt)), "{then:?}");
        // Long gone, the five others come back: whichever lane they are dealt to, the lanes are level at their end.
        let last = lanes_of(&dealer.follow(&orders(0..20), seconds(20)));
        assert!(then.iter().all(|dealt| last.contains(dealt)), "{last:?}");
        assert_eq!(last.iter().filter(|dealt| dealt.1 == 0).count(), 10);
    }

    #[test]
    fn a_slot_that_comes_back_soon_goes_to_the_lane_where_its_users_may_still_finish() {
        let mut dealer = Dealer::new(2, LINGER);
        let first = lanes_of(&dealer.follow(&orders(0..20), seconds(0)));
        let of_one_lane: Vec<u32> = first.iter().filter(|dealt| dealt.1 == 1).map(|dealt| dealt.0).collect();
        dealer.follow(&orders([]), seconds(10));
        let back = lanes_of(&dealer.follow(&orders(of_one_lane.clone()), seconds(12)));
        assert!(back.iter().all(|dealt| dealt.1 == 1), "{back:?}");
        dealer.follow(&orders([]), seconds(20));
        let anew = lanes_of(&dealer.follow(&orders(of_one_lane), seconds(23)));
        assert_eq!(anew.iter().filter(|dealt| dealt.1 == 0).count(), 5, "long gone, they are dealt anew");
    }

    #[test]
    fn a_slot_that_goes_later_keeps_its_lane_until_its_users_are_gone() {
        let mut dealer = Dealer::new(2, LINGER);
        let first = lanes_of(&dealer.follow(&orders(0..20), seconds(0)));
        let of_one_lane: Vec<u32> = first.iter().filter(|dealt| dealt.1 == 1).map(|dealt| dealt.0).collect();
        dealer.follow(&handing([], seconds(50), of_one_lane.clone()), seconds(10));
        // The last of them went at 59 s, the first may finish until 53 s.
        let back = lanes_of(&dealer.follow(&orders(of_one_lane), seconds(52)));
        assert!(back.len() == 10 && back.iter().all(|dealt| dealt.1 == 1), "{back:?}");
    }

    #[test]
    fn moved_slots_change_at_their_moments_and_others_at_once() {
        let mut dealer = Dealer::new(2, LINGER);
        dealer.follow(&orders([0, 1, 2, 3]), seconds(0));
        let duties = dealer.follow(&handing([2, 3, 5, 6, 7], seconds(10), [0, 3, 6, 7, 9]), seconds(8));
        let before = vec![2, 3, 5];
        let owned = owned_at(&duties, [8, 9, 10, 11, 12, 13]);
        assert_eq!(owned[0], [0, 2, 3, 5], "1 goes and 5 comes at once");
        assert_eq!(owned[1..4], [vec![0, 2, 3, 5], before.clone(), before]);
        assert_eq!(owned[4..], [vec![2, 3, 5, 6], vec![2, 3, 5, 6, 7]]);
    }

    #[test]
    fn a_moment_that_is_past_is_at_once() {
        let duties = Dealer::new(1, LINGER).follow(&handing([1, 2], seconds(10), [1, 2]), seconds(11));
        assert_eq!((duties[0].held.clone(), duties[0].turnovers.len()), (set([1, 2]), 0));
        let since: Vec<_> = duties[0].past.iter().map(|turnover| (turnover.slot, turnover.at)).collect();
        assert_eq!(since, [(1, seconds(10)), (2, seconds(11))], "a lane that is late knows since when");
        let duties = Dealer::new(1, LINGER).follow(&handing([1, 2], seconds(10), [1, 2]), seconds(10));
        assert_eq!(owned_at(&duties, [10, 11]), [vec![1], vec![1, 2]]);
    }

    /// Slot 1 comes at 10 s and slot 2 goes at 11 s, by orders at 0 s.
    fn awaiting() -> Dealer {
        let mut dealer = Dealer::new(2, LINGER);
        dealer.follow(&orders([2]), seconds(0));
        dealer.follow(&handing([1], seconds(10), [1, 2]), seconds(0));
        dealer
    }

    #[test]
    fn a_change_keeps_its_moment_when_later_orders_want_it_without_a_word_of_when() {
        let duties = awaiting().follow(&orders([1, 5]), seconds(5));
        assert_eq!(owned_at(&duties, [5, 9, 10, 11]), [vec![2, 5], vec![2, 5], vec![1, 2, 5], vec![1, 5]]);
        let duties = awaiting().follow(&handing([1], seconds(30), [7]), seconds(5));
        assert_eq!(owned_at(&duties, [9, 10, 11]), [vec![2], vec![1, 2], vec![1]], "another hand-over does not name them");
    }

    #[test]
    fn a_change_takes_its_newest_moment_when_a_later_hand_over_names_it() {
        let duties = awaiting().follow(&handing([1], seconds(20), [1, 2]), seconds(5));
        assert_eq!(owned_at(&duties, [19, 20, 21]), [vec![2], vec![1, 2], vec![1]]);
        let duties = awaiting().follow(&handing([1], seconds(4), [1, 2]), seconds(5));
        assert_eq!((owned_at(&duties, [5]), duties.iter().map(|duty| duty.turnovers.len()).sum::<usize>()), (vec![vec![1]], 0));
    }

    #[test]
    fn a_change_that_is_wanted_no_more_is_dropped_whether_a_hand_over_names_it_or_not() {
        for withdrawn in [orders([2]), handing([2], seconds(20), [1, 2]), handing([2], seconds(20), [1])] {
            assert_eq!(owned_at(&awaiting().follow(&withdrawn, seconds(5)), [5, 10, 20, 30]), vec![vec![2]; 4], "{withdrawn:?}");
        }
    }

    #[test]
    fn what_others_have_run_meanwhile_goes_at_once_and_comes_back_at_its_moment() {
        let mut dealer = Dealer::new(2, LINGER);
        dealer.follow(&orders([1, 2, 3, 4]), seconds(0));
        dealer.follow(&handing([1, 2, 3], seconds(30), [4]), seconds(1));
        // 1 is here for good, 2 comes back at 20 s, 3 goes to others at 21 s, and 4 would have gone at 30 s.
        let handover = Handover { at: seconds(20), moved: set([2, 3]), interval: seconds(1) };
        let void = Some(Arc::new(set([1, 2, 3, 4])));
        let back = Orders { handover: Some(Arc::new(handover)), void, ..orders([1, 2]) };
        for _ in 0..2 {
            // Told twice, it means the same.
            let duties = dealer.follow(&back, seconds(5));
            assert_eq!(owned_at(&duties, [5, 19, 20, 31]), [vec![1], vec![1], vec![1, 2], vec![1, 2]]);
        }
    }

    #[test]
    fn a_change_whose_moment_has_come_is_done_and_reversed_anew() {
        let mut dealer = awaiting();
        let duties = dealer.follow(&handing([2], seconds(20), [2]), seconds(12));
        assert_eq!(owned_at(&duties, [12, 19, 20]), [vec![], vec![], vec![2]], "1 goes at once, 2 comes back at 20 s");
    }

    /// The slots below 12 of a worker, told one by one by the rule's words.
    #[derive(Default, Clone, Copy)]
    struct Told {
        owned: bool,
        pending: Option<(Duration, bool)>,
    }

    impl Told {
        fn pass(&mut self, now: Duration) {
            if let Some((at, to)) = self.pending
                && at <= now
            {
                (self.owned, self.pending) = (to, None);
            }
        }

        fn hear(&mut self, want: bool, moment: Option<Duration>, now: Duration) {
            self.pass(now);
            match (moment, self.pending) {
                (Some(at), _) if self.owned != want && at > now => self.pending = Some((at, want)),
                (Some(_), _) => (self.owned, self.pending) = (want, None),
                (None, Some((_, to))) if to == want => {}
                (None, _) => (self.owned, self.pending) = (want, None),
            }
        }

        /// Others have run the slot meanwhile.
        fn void(&mut self, want: bool, moment: Option<Duration>, now: Duration) {
            self.pass(now);
            if !want || moment.is_some_and(|at| at > now) {
                (self.owned, self.pending) = (false, None);
            }
        }
    }

    /// When, the slots, those on the move, and those that others have run meanwhile.
    type Given = (u64, u16, Option<(u64, u16)>, Option<u16>);

    fn some_orders() -> impl Strategy<Value = Given> {
        (0_u64..6, 0_u16..1 << 12, prop::option::of((0_u64..40, 0_u16..1 << 12)), prop::option::of(0_u16..1 << 12))
    }

    fn slots_of(bits: u16) -> Vec<u32> {
        (0..12).filter(|bit| bits & (1 << bit) != 0).collect()
    }

    proptest! {
        // Each case walks all slots some thousand times.
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn whatever_the_orders_each_slot_is_where_the_rule_says_and_in_one_lane(told in prop::collection::vec(some_orders(), 1..12)) {
            let mut dealer = Dealer::new(3, LINGER);
            let mut rule = [Told::default(); 12];
            let mut now = 0;
            for (wait, slots, handover, void) in told {
                now += wait;
                let orders = match handover {
                    Some((at, moved)) => handing(slots_of(slots), seconds(at), slots_of(moved)),
                    None => orders(slots_of(slots)),
                };
                let orders = Orders { void: void.map(|bits| Arc::new(set(slots_of(bits)))), ..orders };
                let moments: BTreeMap<u32, Duration> = orders.handover.iter().flat_map(|handover| handover.moments()).collect();
                for (slot, rule) in (0..).zip(&mut rule) {
                    if void.is_some_and(|bits| bits & (1 << slot) != 0) {
                        rule.void(orders.slots.contains(slot), moments.get(&slot).copied(), seconds(now));
                    }
                    rule.hear(orders.slots.contains(slot), moments.get(&slot).copied(), seconds(now));
                }
                let duties = dealer.follow(&orders, seconds(now));
                for t in now..now + 55 {
                    let held: Vec<SlotSet> = duties.iter().map(|duty| duty.held_at(seconds(t))).collect();
                    for (slot, rule) in (0..).zip(&rule) {
                        let mut rule = *rule;
                        rule.pass(seconds(t));
                        let holders = held.iter().filter(|held| held.contains(slot)).count();
                        prop_assert_eq!(holders, usize::from(rule.owned), "slot {} at {} s", slot, t);
                    }
                }
            }
        }

        #[test]
        fn two_workers_that_hear_of_one_hand_over_own_each_slot_once_at_every_moment(
            first in any::<u16>(), then in any::<u16>(), at in 0_u64..30, lanes in 1_usize..4,
        ) {
            let [first, then] = [first, then].map(|bits| bits & 0xfff);
            let mut workers = [Dealer::new(lanes, LINGER), Dealer::new(lanes, LINGER)];
            let masks = [0, 0xfff];
            for (worker, mask) in workers.iter_mut().zip(masks) {
                worker.follow(&orders(slots_of(first ^ mask)), seconds(0));
            }
            let duties: Vec<_> = workers
                .iter_mut()
                .zip(masks)
                .flat_map(|(worker, mask)| worker.follow(&handing(slots_of(then ^ mask), seconds(at), slots_of(first ^ then)), seconds(5)))
                .collect();
            for t in 5..50 {
                let held: Vec<SlotSet> = duties.iter().map(|duty| duty.held_at(seconds(t))).collect();
                for slot in 0..12 {
                    prop_assert_eq!(held.iter().filter(|held| held.contains(slot)).count(), 1);
                }
            }
        }
    }
}
