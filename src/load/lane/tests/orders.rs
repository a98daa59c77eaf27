//! Tests of lanes that are told anew in mid-run: slots come and go, the profile changes. In paused time, like the others.

use super::*;
use crate::load::slots::Handover;

/// Users that finish at the very moment at which they are told to.
const PROMPT: Conduct = Conduct::Busy(Duration::ZERO, Duration::from_secs(3_600));

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn set(slots: impl IntoIterator<Item = u32>) -> SlotSet {
    let mut set = SlotSet::none();
    slots.into_iter().for_each(|slot| set.insert(slot));
    set
}

/// Orders to run `profile` with `slots`, which all change at once.
fn orders(profile: &LoadProfile, slots: impl IntoIterator<Item = u32>) -> Orders {
    Orders { slots: Arc::new(set(slots)), ..Orders::of_all_slots(Arc::new(profile.clone())) }
}

/// The same where `moved` change from `at` on, `interval` apart; in milliseconds.
fn handing(
    profile: &LoadProfile,
    slots: impl IntoIterator<Item = u32>,
    moved: impl IntoIterator<Item = u32>,
    at: u64,
    interval: u64,
) -> Orders {
    let handover = Handover { at: millis(at), moved: set(moved), interval: millis(interval) };
    Orders { handover: Some(Arc::new(handover)), ..orders(profile, slots) }
}

/// A jump to `users` that are held.
fn held(users: u32) -> LoadProfile {
    plan(&[(users, 0)], None).profile
}

impl Stand {
    /// One lane that begins at time zero with `slots` of a jump to `users`.
    fn holding(users: u32, slots: impl IntoIterator<Item = u32>, conduct: Conduct) -> Self {
        Self::new(&plan(&[(users, 0)], None), conduct, set(slots), 1_000)
    }

    async fn follow_at(&self, millis: u64, orders: &Orders) {
        self.at(millis).await;
        self.foreman.follow(orders);
    }

    /// Which users started and ended, and when: `+3` at the start of user 3's life, `-3` at its end.
    fn lives(&self) -> Vec<(u128, String)> {
        let of = |what: &str| match what.split(' ').collect::<Vec<_>>()[..] {
            ["start", index, ..] => Some(format!("+{index}")),
            ["gone", index] => Some(format!("-{index}")),
            _ => None,
        };
        self.diary.borrow().iter().filter_map(|(at, what)| Some((*at, of(what)?))).collect()
    }

    /// The lives after `from`, as (milliseconds, what).
    fn lives_after(&self, from: u128) -> Vec<(u128, String)> {
        self.lives().into_iter().filter(|&(at, _)| at > from).collect()
    }

    /// How many lives of each user there are at a moment.
    fn alive_at(&self, at: u128, users: usize) -> Vec<i32> {
        let mut alive = vec![0; users];
        for (_, what) in self.lives().iter().filter(|life| life.0 <= at) {
            let index: usize = what[1..].parse().unwrap();
            alive[index] += if what.starts_with('+') { 1 } else { -1 };
        }
        alive
    }
}

fn told(lives: &[(u128, &str)]) -> Vec<(u128, String)> {
    lives.iter().map(|&(at, what)| (at, what.to_owned())).collect()
}

#[test]
fn slots_come_and_go_at_the_moments_of_their_hand_over() {
    in_paused_time(async {
        let stand = Stand::holding(8, [0, 1, 2, 3], PROMPT);
        // Of the moved slots 1, 2, 5, 6, 7 and 30 this worker gives 1 and 2 and takes 5, 7 and 30, which has no user; 6 is another's affair.
        stand.follow_at(500, &handing(&held(8), [0, 3, 5, 7, 30], [1, 2, 5, 6, 7, 30], 1_000, 100)).await;
        stand.at(3_000).await;
        assert_eq!(stand.lives_after(0), told(&[(1_000, "-1"), (1_100, "-2"), (1_200, "+5"), (1_400, "+7")]));
    });
}

#[test]
fn slots_that_no_hand_over_names_come_and_go_at_once() {
    in_paused_time(async {
        let stand = Stand::holding(4, [0, 1], PROMPT);
        stand.follow_at(700, &orders(&held(4), [1, 2, 9])).await;
        stand.at(3_000).await;
        let mut lives = stand.lives_after(0);
        lives.sort();
        assert_eq!(lives, told(&[(700, "+2"), (700, "-0")]));
    });
}

#[test]
fn a_user_whose_slot_goes_finishes_as_where_the_level_falls() {
    in_paused_time(async {
        let mut stand = Stand::holding(2, [0, 1], busy(700, 0));
        stand.follow_at(1_000, &orders(&held(2), [1])).await;
        stand.at(1_900).await;
        assert_eq!(stand.events("stop"), [(1_400, "stop 0".into())]);
        stand.foreman.end(Ending::Cut);
        assert_eq!(dropped(&stand.reports().await), 1);
        let mut deaf = Stand::holding(2, [0, 1], Conduct::Deaf);
        deaf.follow_at(1_000, &orders(&held(2), [1])).await;
        deaf.end_at(5_000, Ending::Cut).await;
        deaf.reports().await;
        assert_eq!(deaf.lives_after(0), told(&[(3_000, "-0"), (5_000, "-1")]), "the stop timeout is two seconds");
    });
}

#[test]
fn a_slot_that_comes_back_before_its_user_has_finished_starts_it_again_when_it_has() {
    in_paused_time(async {
        let stand = Stand::holding(1, [0], busy(1_500, 0));
        stand.follow_at(1_000, &orders(&held(1), [])).await;
        stand.follow_at(1_200, &orders(&held(1), [0])).await;
        stand.at(1_600).await;
        let expected = [(0, "start 0 class 0 after 0"), (1_500, "stop 0"), (1_500, "gone 0"), (1_500, "start 0 class 0 after 1")];
        assert_eq!(*stand.diary.borrow(), told(&expected));
    });
}

#[test]
fn a_slot_that_comes_back_before_its_user_is_dropped_starts_it_again_at_the_drop() {
    in_paused_time(async {
        let stand = Stand::holding(1, [0], Conduct::Deaf);
        stand.follow_at(1_000, &orders(&held(1), [])).await;
        stand.follow_at(1_200, &orders(&held(1), [0])).await;
        stand.at(4_000).await;
        let mut lives = stand.lives();
        lives.sort();
        assert_eq!(lives, told(&[(0, "+0"), (3_000, "+0"), (3_000, "-0")]));
    });
}

/// What happens to users 1 and 2 of a lane that waits to take slot 1 at 2 s and to give slot 2 at 2.1 s, when at 1.5 s `second` come.
async fn overtaken_by(second: Orders) -> Vec<(u128, String)> {
    let stand = Stand::holding(3, [2], PROMPT);
    stand.follow_at(1_000, &handing(&held(3), [1], [1, 2], 2_000, 100)).await;
    stand.follow_at(1_500, &second).await;
    stand.at(9_000).await;
    let mut lives = stand.lives_after(0);
    lives.sort();
    lives
}

#[test]
fn orders_that_want_the_same_leave_what_is_pending_at_its_moment() {
    in_paused_time(async {
        let as_planned = told(&[(2_000, "+1"), (2_100, "-2")]);
        assert_eq!(overtaken_by(orders(&held(3), [1])).await, as_planned);
        assert_eq!(overtaken_by(handing(&held(3), [1], [7, 8], 5_000, 100)).await, as_planned);
    });
}

#[test]
fn orders_that_hand_over_the_same_slots_move_what_is_pending_to_their_moments() {
    in_paused_time(async {
        assert_eq!(overtaken_by(handing(&held(3), [1], [0, 1, 2], 5_000, 100)).await, told(&[(5_100, "+1"), (5_200, "-2")]));
        assert_eq!(overtaken_by(handing(&held(3), [1], [1, 2], 1_200, 100)).await, told(&[(1_500, "+1"), (1_500, "-2")]), "past");
    });
}

#[test]
fn orders_that_want_it_as_it_is_drop_what_is_pending() {
    in_paused_time(async {
        assert_eq!(overtaken_by(orders(&held(3), [2])).await, []);
        assert_eq!(overtaken_by(handing(&held(3), [2], [1, 2], 5_000, 100)).await, []);
        // One is withdrawn and the other stays.
        assert_eq!(overtaken_by(orders(&held(3), [1, 2])).await, told(&[(2_000, "+1")]));
    });
}

#[test]
fn a_pending_change_survives_orders_that_the_lane_never_saw() {
    in_paused_time(async {
        let stand = Stand::holding(3, [2], PROMPT);
        stand.at(1_000).await;
        // Without a moment between them for the lane to look.
        stand.foreman.follow(&handing(&held(3), [1], [1, 2], 2_000, 100));
        stand.foreman.follow(&orders(&held(3), [1]));
        stand.at(9_000).await;
        assert_eq!(stand.lives_after(0), told(&[(2_000, "+1"), (2_100, "-2")]));
    });
}

#[test]
fn of_many_orders_in_a_row_the_last_hold_and_no_word_is_lost() {
    in_paused_time(async {
        let mut stand = Stand::holding(40, [0], PROMPT);
        stand.at(1_000).await;
        for slot in 0..40 {
            stand.foreman.follow(&orders(&held(40), [slot]));
        }
        stand.at(1_500).await;
        let mut lives = stand.lives_after(0);
        lives.sort();
        assert_eq!(lives, told(&[(1_000, "+39"), (1_000, "-0")]));
        for slot in 0..40 {
            stand.foreman.follow(&orders(&held(40), [slot]));
        }
        stand.foreman.end(Ending::Stop);
        stand.foreman.follow(&orders(&held(40), [3]));
        stand.reports().await;
        assert_eq!(stand.lives_after(1_000), told(&[(1_500, "-39")]), "and a lane that is stopping starts nobody");
    });
}

#[test]
fn orders_may_come_before_the_run_begins_or_after() {
    in_paused_time(async {
        let before = Stand::idle(&plan(&[], None), PROMPT, 2, 100);
        before.follow_at(100, &orders(&held(9), [0, 1])).await;
        before.follow_at(200, &handing(&held(9), [0, 3], [1, 3], 1_000, 100)).await;
        before.at(300).await;
        // The run is some seconds old, as for a worker that joins it.
        before.foreman.begin(before.zero + millis(300) - millis(1_050));
        before.at(2_000).await;
        let mut lives = before.lives();
        lives.sort();
        assert_eq!(lives, told(&[(1_050, "+0"), (1_100, "+3")]), "slot 1 went before the worker began");
        let after = Stand::idle(&plan(&[], None), PROMPT, 2, 100);
        after.foreman.begin(after.zero);
        after.follow_at(400, &orders(&held(2), [0, 1])).await;
        after.at(2_000).await;
        assert_eq!(after.lives(), told(&[(400, "+0"), (400, "+1")]));
    });
}

#[test]
fn a_lane_that_is_stopped_before_it_begins_ends_as_it_begins() {
    in_paused_time(async {
        let mut stand = Stand::idle(&plan(&[], None), PROMPT, 1, 100);
        stand.foreman.follow(&orders(&held(9), [0, 1]));
        stand.foreman.end(Ending::Stop);
        stand.at(1_000).await;
        stand.foreman.begin(now());
        assert_eq!((stand.reports().await.len(), stand.lives()), (1, vec![]));
    });
}

#[test]
fn a_new_target_is_reached_from_where_the_ramp_was() {
    in_paused_time(async {
        let ramp = plan(&[(10, 10_000)], None);
        let stand = Stand::new(&ramp, PROMPT, SlotSet::all(), 100);
        let at =
            |at: u64, users, rate| ramp.profile.retargeted(millis(at), Shape::new(&ramp.profile).users_at(millis(at)), users, rate, None);
        // Up at twice the rate: users 0 to 3 live, at 0, 1, 2 and 3 s.
        let up = at(3_200, 6, 2.0);
        stand.follow_at(3_200, &Orders::of_all_slots(Arc::new(up.clone()))).await;
        stand.at(5_000).await;
        assert_eq!(stand.lives_after(2_999), told(&[(3_000, "+3"), (3_200, "+4"), (3_700, "+5")]));
        let down = up.retargeted(millis(5_000), 6, 3, 4.0, None);
        stand.foreman.follow(&Orders::of_all_slots(Arc::new(down)));
        stand.at(20_000).await;
        assert_eq!(stand.lives_after(4_000), told(&[(5_250, "-5"), (5_500, "-4"), (5_750, "-3")]));
    });
}

#[test]
fn a_lane_that_hears_of_a_new_target_before_its_moment_goes_on_until_then() {
    in_paused_time(async {
        let stand = Stand::holding(8, 0..SLOTS, PROMPT);
        let profile = held(8).retargeted(millis(1_000), 8, 9, 1.0, Some(millis(2_000)));
        stand.follow_at(300, &Orders::of_all_slots(Arc::new(profile))).await;
        stand.at(2_900).await;
        assert_eq!(stand.lives_after(0), told(&[(1_000, "+8")]));
        stand.at(3_100).await;
        assert_eq!(stand.lives_after(1_000).len(), 9, "the run time counts from that moment");
    });
}

#[test]
fn a_new_target_below_the_level_turns_a_rising_ramp() {
    in_paused_time(async {
        let ramp = plan(&[(10, 1_000)], None).profile;
        let stand = Stand::new(&plan(&[(10, 1_000)], None), PROMPT, SlotSet::all(), 100);
        let level = Shape::new(&ramp).users_at(millis(450));
        stand.follow_at(450, &Orders::of_all_slots(Arc::new(ramp.retargeted(millis(450), level, 2, 10.0, None)))).await;
        stand.at(9_000).await;
        assert_eq!(stand.lives_after(399), told(&[(400, "+4"), (550, "-4"), (650, "-3"), (750, "-2")]));
    });
}

/// When the last report comes, in seconds, of a lane whose end is planned for 3 s and is told another at 1 s.
async fn end_of(end: ProfileEnd) -> u64 {
    let mut stand = Stand::new(&plan(&[(1, 0)], Some(3_000)), PROMPT, SlotSet::all(), 100);
    stand.follow_at(1_000, &Orders::of_all_slots(Arc::new(held(1).ending(end)))).await;
    stand.end_at(8_000, Ending::Stop).await;
    stand.reports().await.pop().unwrap().tally.second
}

#[test]
fn the_planned_end_may_come_earlier_or_later_or_not_at_all() {
    in_paused_time(async {
        assert_eq!(end_of(ProfileEnd::StopAt(millis(2_000))).await, 2);
        assert_eq!(end_of(ProfileEnd::StopAt(millis(5_000))).await, 5);
        assert_eq!(end_of(ProfileEnd::StopAt(millis(500))).await, 1, "past");
        assert_eq!(end_of(ProfileEnd::Hold).await, 8);
    });
}

#[test]
fn a_slot_brings_and_takes_all_of_its_users() {
    in_paused_time(async {
        let stand = Stand::holding(2 * SLOTS + 2, [1, 3], PROMPT);
        stand.at(500).await;
        let mut first: Vec<String> = stand.lives().into_iter().map(|(_, what)| what).collect();
        first.sort();
        assert_eq!(first, ["+1", "+131073", "+3", "+65537", "+65539"]);
        stand.follow_at(1_000, &handing(&held(2 * SLOTS + 2), [0, 3], [0, 1], 2_000, 1_000)).await;
        stand.at(4_000).await;
        let moved = [(2_000, "+0"), (2_000, "+65536"), (2_000, "+131072"), (3_000, "-131073"), (3_000, "-65537"), (3_000, "-1")];
        assert_eq!(stand.lives_after(500), told(&moved));
    });
}

#[test]
fn thousands_of_slots_that_come_at_once_leave_the_lane_to_its_users_between_starts() {
    in_paused_time(async {
        let many = STARTS_IN_A_TURN * 40;
        // Users that are through at their first turn: where one has gone, users had their turn.
        let stand = Stand::holding(many, [0], Conduct::Leaves(Duration::ZERO));
        stand.follow_at(1_000, &orders(&held(many), 0..SLOTS)).await;
        stand.at(1_100).await;
        assert_eq!(stand.events("start").len(), many as usize);
        let diary = stand.diary.borrow();
        let between = diary.split(|(_, what)| what.starts_with("gone"));
        let longest = between.map(|events| events.iter().filter(|(_, what)| what.starts_with("start")).count()).max();
        // The end of a user may wake the lane once more before the others had their turn.
        assert!(longest <= Some(2 * STARTS_IN_A_TURN as usize), "{longest:?} starts in a row");
    });
}

#[test]
fn thousands_of_slots_that_come_and_go_at_once_are_all_carried_out() {
    in_paused_time(async {
        let many = STARTS_IN_A_TURN * 40;
        let mut stand = Stand::holding(many, [0], busy(20, 0));
        stand.follow_at(1_000, &orders(&held(many), 0..SLOTS)).await;
        stand.at(1_040).await;
        assert_eq!(stand.alive_at(1_040, many as usize), vec![1; many as usize]);
        stand.follow_at(1_500, &orders(&held(many), [0])).await;
        stand.at(1_600).await;
        assert_eq!(stand.alive_at(1_600, many as usize).iter().sum::<i32>(), 1);
        stand.end_at(1_700, Ending::Stop).await;
        assert_eq!(dropped(&stand.reports().await), 0);
    });
}

#[test]
fn two_workers_that_hand_over_half_their_slots_run_every_user_once_at_every_moment() {
    const USERS: usize = 40;
    in_paused_time(async {
        let ramp = plan(&[(40, 4_000), (40, 3_000), (10, 3_000)], None).profile;
        let shape = Shape::new(&ramp);
        let workers = [0, 1].map(|_| Stand::idle(&plan(&[], None), PROMPT, 2, 1_000));
        let owned_by = |share: u32| (0..SLOTS).filter(move |slot| slot % 2 == share);
        // After the hand-over: a half of each one's slots is the other's.
        let then_by = |share: u32| (0..SLOTS).filter(move |slot| (slot % 2 + u32::from(slot % 4 >= 2)) % 2 == share);
        for (worker, share) in workers.iter().zip([0, 1]) {
            worker.foreman.follow(&orders(&ramp, owned_by(share)));
            worker.foreman.begin(worker.zero);
        }
        for (worker, share) in workers.iter().zip([0, 1]) {
            let moved = (0..SLOTS).filter(|slot| slot % 4 >= 2);
            worker.follow_at(1_500, &handing(&ramp, then_by(share), moved, 2_000, 300)).await;
        }
        workers[0].at(12_000).await;
        for at in (0_u32..12_000).step_by(10) {
            let [one, two] = [0, 1].map(|worker: usize| workers[worker].alive_at(at.into(), USERS));
            let level = shape.users_at(millis(at.into())) as usize;
            let lives: Vec<i32> = one.iter().zip(&two).map(|(one, two)| one + two).collect();
            let wanted: Vec<i32> = (0..USERS).map(|index| i32::from(index < level)).collect();
            assert_eq!(lives, wanted, "at {at} ms");
        }
        let moved: Vec<i32> = workers[0].alive_at(7_900, USERS).into_iter().take(24).collect();
        assert_eq!(moved.iter().sum::<i32>(), 12);
        assert_eq!((moved[0], moved[2], moved[3], moved[1]), (1, 0, 1, 0), "half of the slots are the other's");
    });
}

#[test]
fn a_lane_without_users_of_its_own_is_exhausted_and_one_without_orders_or_with_users_to_come_is_not() {
    in_paused_time(async {
        let mut stand = Stand::idle(&plan(&[], None), Conduct::Leaves(millis(100)), 1, 100);
        stand.foreman.begin(stand.zero);
        // No orders; no slot; no slot with a user; a slot with a user to come, come, and gone; nobody wanted.
        stand.follow_at(1_500, &orders(&held(2), [])).await;
        stand.follow_at(3_500, &orders(&held(2), [5])).await;
        stand.follow_at(5_500, &handing(&held(2), [1, 5], [1], 7_500, 0)).await;
        stand.follow_at(9_500, &orders(&held(0), [1, 5])).await;
        stand.end_at(11_500, Ending::Stop).await;
        let said: Vec<(u64, bool)> = stand.reports().await.iter().map(|report| (report.followed, report.is_exhausted)).collect();
        let followed = [0, 1, 1, 2, 2, 3, 3, 3, 3, 4, 4, 4];
        let is_exhausted = [false, true, true, true, true, false, false, true, true, false, false, false];
        assert_eq!(said, followed.into_iter().zip(is_exhausted).collect::<Vec<_>>());
    });
}

#[test]
fn lanes_that_join_a_run_report_from_then_on_and_are_late_for_nothing_that_was_before() {
    in_paused_time(async {
        let plan = plan(&[(2, 0)], None);
        let mut stand = Stand::idle(&plan, busy(100, 0), 1, 100);
        stand.follow_at(10, &handing(&plan.profile, [0, 1], [0, 1], 7_200_000, 0)).await;
        // The run is two hours old, and half a second more.
        stand.foreman.begin(now() - millis(7_200_500));
        stand.at(2_300).await;
        stand.foreman.end(Ending::Stop);
        let reports = stand.reports().await;
        let seconds: Vec<u64> = reports.iter().map(|report| report.tally.second).collect();
        assert_eq!(seconds, [7_200, 7_201, 7_202]);
        let latest = reports.iter().map(|report| report.tally.times.lag.spread.max()).max().unwrap();
        assert!(latest <= millis(500), "{latest:?}");
    });
}
