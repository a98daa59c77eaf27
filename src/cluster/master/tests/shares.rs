//! Who has which users after workers have come and gone, and what is shown of users that ran twice.

use std::time::SystemTime;

use super::*;
use crate::plan::{ProfileEnd, RampProfile, Stage};

#[test]
fn where_a_line_of_the_profile_ends_users_are_shared_out_level_whoever_went_on_the_way() {
    // Seed 31001676: shared out level for four users when a worker was lost, they were 0, 2 and 1 once three were wanted.
    let stages = [(1, 8_649), (4, 6_579), (3, 8_393)].map(|(users, over)| Stage { users, over: Duration::from_millis(over) });
    let ramp = RampProfile { stages: stages.to_vec(), end: ProfileEnd::Hold, spawn_interval: Duration::from_millis(2_193) };
    let mut stand = Stand::new();
    (1..=4).for_each(|worker| stand.hello(worker, None));
    let plan = Plan { fingerprint: "abc".into(), ..Plan::for_tests(LoadProfile::Ramp(ramp)) };
    let start = RunStart { plan: Arc::new(plan), thresholds: Vec::new(), wall: SystemTime::UNIX_EPOCH };
    let actions = stand.master.on_start(start, stand.now).unwrap();
    stand.actions.extend(actions);
    (1..=4).for_each(|worker| stand.message(worker, ToMaster::Prepared { run: RunId(7), revision: 0 }));
    stand.live(Duration::from_secs(8), &[1, 2, 3, 4]);
    stand.live(Duration::from_secs(30), &[1, 2, 4]);
    let orders = stand.orders();
    let users_of = |wanted| [1, 2, 4].map(|worker| users(&orders[&worker], wanted));
    assert_eq!(users_of(3), [1, 1, 1]);
    stand.live(Duration::from_secs(30), &[1, 2, 4]);
    assert!(stand.orders().is_empty(), "once is enough");
}

#[test]
fn who_was_replaced_shows_as_doubled_though_those_that_replaced_it_are_away_when_it_comes_back() {
    // Seed 31004219.
    let mut stand = Stand::running(2, 10);
    stand.live(Duration::from_secs(5), &[2]);
    stand.live(Duration::from_secs(5), &[]);
    stand.message(1, ToMaster::Beat { sent: Duration::ZERO });
    assert_eq!(stand.master.snapshot(stand.now).overlaps.len(), 1);
    // With nobody beside it, nothing of its ran twice.
    let mut stand = Stand::running(1, 10);
    stand.live(Duration::from_secs(5), &[]);
    stand.message(1, ToMaster::Beat { sent: Duration::ZERO });
    assert!(stand.master.snapshot(stand.now).overlaps.is_empty());
}

#[test]
fn a_worker_that_was_out_of_reach_gets_its_share_again_and_the_overlap_is_shown() {
    let mut stand = Stand::running(2, 10);
    stand.live(Duration::from_secs(5), &[2]);
    stand.actions.clear();
    stand.message(1, ToMaster::Beat { sent: Duration::ZERO });
    let orders = stand.orders();
    assert_eq!((users(&orders[&1], 10), users(&orders[&2], 10)), (5, 5));
    let snapshot = stand.master.snapshot(stand.now);
    assert!(snapshot.holes.is_empty());
    assert_eq!(snapshot.overlaps.len(), 1);
    assert!(snapshot.overlaps[0].to > Some(snapshot.overlaps[0].from));
}

#[test]
fn who_comes_back_to_a_run_that_was_stopped_meanwhile_is_shown_as_doubled_and_who_was_lost_after_the_stop_is_not() {
    // Seed 32000155: the run came to its planned end a second before the worker was back.
    for is_lost_before in [true, false] {
        let mut stand = Stand::running(2, 10);
        stand.delta(1, 1, 3);
        let waits = if is_lost_before { 5 } else { 0 };
        stand.live(Duration::from_secs(waits), &[2]);
        let actions = stand.master.on_stop(stand.now);
        stand.actions.extend(actions);
        stand.live(Duration::from_secs(4), &[2]);
        stand.message(1, ToMaster::Beat { sent: Duration::ZERO });
        let snapshot = stand.master.snapshot(stand.now);
        assert_eq!((stand.state(), snapshot.overlaps.len()), (RunState::Stopping, usize::from(is_lost_before)));
    }
}

#[test]
fn the_slots_of_a_worker_whose_first_orders_never_reached_it_go_to_others_though_it_is_lost_before_it_is_ready_again() {
    // Seed 40016425: half of the users were run by nobody, for good.
    let mut stand = Stand::running(1, 10);
    stand.hello(2, None);
    stand.message(2, ToMaster::Prepared { run: RunId(7), revision: 0 });
    let unbegun = RunStanding { orders: None, elapsed: Duration::ZERO, ..standing(&SlotSet::none(), Duration::ZERO, 0) };
    stand.hello(2, Some(unbegun));
    stand.live(Duration::from_secs(5), &[1]);
    let orders = stand.orders();
    assert_eq!(users(&orders[&1], 10), 10);
}

#[test]
fn a_worker_that_its_first_orders_reached_after_all_has_a_share_when_it_comes_with_them() {
    // Seeds 41000364 and 43035339: it had been asked to make ready again, and had no users for good, whether or not it was lost meanwhile.
    for is_lost in [true, false] {
        let mut stand = Stand::running(1, 10);
        stand.hello(2, None);
        stand.message(2, ToMaster::Prepared { run: RunId(7), revision: 0 });
        let unbegun = RunStanding { orders: None, elapsed: Duration::ZERO, ..standing(&SlotSet::none(), Duration::ZERO, 0) };
        stand.hello(2, Some(unbegun));
        stand.live(Duration::from_millis(if is_lost { 5_000 } else { 0 }), &[1]);
        stand.actions.clear();
        let mut half = SlotSet::none();
        SlotSet::all().iter().filter(|slot| slot % 2 == 0).for_each(|slot| half.insert(slot));
        let mut brought = standing(&half, Duration::from_secs(5), 0);
        brought.orders.as_mut().unwrap().generation = 2;
        stand.hello(2, Some(brought));
        let orders = stand.orders();
        assert_eq!((users(&orders[&1], 10), users(&orders[&2], 10)), (5, 5));
        // The other one, which had got all back at once that it had given away, ran nothing beside anybody.
        let overlaps = stand.master.snapshot(stand.now).overlaps;
        assert_eq!(
            overlaps.iter().map(|overlap| &*overlap.worker).collect::<Vec<_>>(),
            [id(2).to_string()],
            "it ran its users beside the others"
        );
    }
}

#[test]
fn a_worker_that_does_not_hear_runs_nothing_twice_once_it_has_got_back_what_others_had() {
    let mut stand = Stand::running(1, 10);
    stand.hello(2, None);
    stand.message(2, ToMaster::Prepared { run: RunId(7), revision: 0 });
    // Worker 1 is heard, and tells of no orders.
    stand.live(Duration::from_secs(6), &[1, 2]);
    let overlaps = |stand: &Stand| stand.master.snapshot(stand.now).overlaps;
    assert!(matches!(&overlaps(&stand)[..], [overlap] if overlap.to.is_none() && overlap.worker == id(1).to_string()));
    stand.live(Duration::from_secs(6), &[1]);
    let shown = overlaps(&stand);
    assert!(matches!(&shown[..], [overlap] if overlap.to.is_some_and(|to| to < Duration::from_secs(11))), "worker 2 was lost: {shown:?}");
}

#[test]
fn a_worker_that_was_out_of_reach_is_told_what_others_have_run_meanwhile_until_it_follows() {
    // Seed 50011285: what it got back ran twice for as long as it takes to move it, which at a slow spawn rate are minutes.
    let mut stand = Stand::running(3, 10);
    stand.live(Duration::from_secs(2), &[1, 2, 3]);
    let had = stand.orders()[&1].orders.slots.clone();
    stand.live(Duration::from_secs(5), &[2, 3]);
    stand.actions.clear();
    stand.message(1, ToMaster::Beat { sent: Duration::ZERO });
    let orders = stand.orders();
    assert_eq!(orders[&1].orders.void.as_ref(), Some(&had));
    assert_eq!((&orders[&2].orders.void, &orders[&3].orders.void), (&None, &None), "they were in touch");
    stand.delta(1, 1, 3);
    stand.master.on_retarget(Retarget { users: 20, spawn_rate: 1.0, run_time: None }, stand.now).unwrap();
    stand.live(Duration::from_secs(1), &[1, 2, 3]);
    let actions = stand.master.on_retarget(Retarget { users: 30, spawn_rate: 1.0, run_time: None }, stand.now).unwrap();
    stand.actions.extend(actions);
    assert_eq!(stand.orders()[&1].orders.void, None, "it follows");
}

#[test]
fn what_two_workers_claim_is_void_to_the_one_with_the_older_orders() {
    let mut stand = Stand::new();
    let mut half = SlotSet::none();
    SlotSet::all().iter().filter(|slot| slot % 2 == 0).for_each(|slot| half.insert(slot));
    let mut all = standing(&SlotSet::all(), Duration::from_secs(20), 0);
    all.orders.as_mut().unwrap().generation = 6;
    stand.hello(1, Some(all));
    stand.hello(2, Some(standing(&half, Duration::from_secs(20), 0)));
    stand.live(Duration::from_secs(6), &[1, 2]);
    let orders = stand.orders();
    assert_eq!((orders[&1].orders.void.as_deref(), orders[&2].orders.void.as_deref()), (None, Some(&half)));
}
