//! Tests of a lane with an open profile.

use super::*;
use crate::load::slots::Handover;
use crate::plan::{ArrivalsProfile, Rate, RateStage, Spacing};
use crate::stats::drop_reason::DropReason;
use crate::stats::tally::Tally;

fn arrivals(rate: f64, length_millis: u64, max_users: u32, patience_millis: u64) -> Plan {
    Plan::for_tests(LoadProfile::Arrivals(ArrivalsProfile {
        stages: vec![RateStage { rate: Rate::per_second(rate), over: Duration::ZERO }],
        end: ProfileEnd::StopAt(Duration::from_millis(length_millis)),
        spacing: Spacing::Even,
        max_users: Some(max_users),
        patience: Duration::from_millis(patience_millis),
    }))
}

/// Runs `test` on a runtime such as a lane's, with paused time and a kernel that has timers of its own.
fn with_alarms<F: Future>(test: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test)
}

/// All that a lane has counted of a whole run.
fn counted(plan: &Plan, conduct: Conduct) -> (Tally, Stand) {
    with_alarms(async {
        let mut stand = Stand::new(plan, conduct, SlotSet::all(), 100);
        let mut sum = Tally::default();
        for report in stand.reports().await {
            sum.merge(report.tally);
        }
        (sum, stand)
    })
}

fn dropped(tally: &Tally, reason: DropReason) -> u64 {
    tally.events.iterations_dropped[reason as usize]
}

#[test]
fn iterations_are_due_at_their_time_and_users_are_made_as_they_are_needed() {
    let (sum, stand) = counted(&arrivals(10.0, 2_000, 50, 0), busy(250, 0));
    assert_eq!((sum.events.iterations_due, sum.events.iterations_started), (20, 20));
    // Three are under way at a time; each user bears the index of the iteration for which it was made.
    let starts: Vec<_> = stand.events("start").into_iter().map(|(_, what)| what).collect();
    assert_eq!(starts, ["start 0 class 0 after 0", "start 1 class 0 after 0", "start 2 class 0 after 0"]);
    assert!(
        sum.times.lateness.spread.count == 20 && sum.times.lateness.spread.max() <= Duration::from_millis(2),
        "{:?}",
        sum.times.lateness.spread
    );
    assert_eq!(sum.times.iterations.spread.count + sum.events.iterations_interrupted, 20);
}

#[test]
fn what_finds_no_user_is_dropped_with_its_reason_and_all_that_was_due_is_accounted_for() {
    let (sum, stand) = counted(&arrivals(10.0, 2_000, 1, 0), busy(250, 0));
    assert_eq!(stand.events("start").len(), 1);
    let (due, started) = (sum.events.iterations_due, sum.events.iterations_started);
    assert_eq!((due, started + dropped(&sum, DropReason::NoFreeUser)), (20, 20));
    assert!((6..=8).contains(&started), "{started}");
}

#[test]
fn patience_lets_iterations_wait_in_their_order_and_their_lateness_is_counted_from_due() {
    let (sum, _) = counted(&arrivals(10.0, 1_000, 1, 60_000), busy(150, 0));
    // One of 150 ms each 100 ms: the tenth is due at 900 ms and would begin at 1,350 ms; the run ends before that.
    let (started, dropped) = (sum.events.iterations_started, dropped(&sum, DropReason::NoFreeUser));
    assert_eq!((sum.events.iterations_due, started + dropped), (10, 10));
    assert!((6..=7).contains(&started), "{started}");
    assert!(sum.times.lateness.spread.max() >= Duration::from_millis(250));
    assert!(sum.times.iterations_since_due.spread.max() >= sum.times.iterations.spread.max() + Duration::from_millis(200));
}

#[test]
fn a_user_that_cannot_be_made_drops_its_iteration_and_a_pause_drops_all() {
    let (sum, _) = counted(&arrivals(10.0, 1_000, 5, 0), Conduct::Refused);
    assert_eq!((sum.events.iterations_due, sum.events.iterations_started, sum.events.users_dropped), (10, 0, 10));
    let plan = arrivals(10.0, 1_000, 5, 0);
    let sum = with_alarms(async {
        let mut stand = Stand::idle(&plan, busy(10, 0), 1, 100);
        let paused = Orders { is_paused: true, ..Orders::of_all_slots(Arc::new(plan.profile.clone())) };
        stand.foreman.follow(&paused);
        stand.foreman.begin(stand.zero);
        let mut sum = Tally::default();
        stand.reports().await.into_iter().for_each(|report| sum.merge(report.tally));
        sum
    });
    assert_eq!((sum.events.iterations_due, dropped(&sum, DropReason::Paused)), (10, 10));
}

#[test]
fn users_that_leave_by_themselves_are_replaced_for_what_waits() {
    let (sum, stand) = counted(&arrivals(10.0, 1_000, 1, 5_000), Conduct::Leaves(Duration::from_millis(50)));
    assert_eq!((sum.events.iterations_due, sum.events.iterations_started), (10, 10));
    assert_eq!(stand.events("start").len(), 10);
}

/// What is counted of 10/s for 6 s with so many milliseconds of patience, where the whole worker stands still from 1.95 s to 4.95 s, and at 5.05 s does
/// `then`.
fn counted_over_a_standstill(patience_millis: u64, then: impl Fn(&Stand, &Plan)) -> Tally {
    with_alarms(async {
        let plan = arrivals(10.0, 6_000, 100, patience_millis);
        let mut stand = Stand::new(&plan, busy(10, 0), SlotSet::all(), 100);
        stand.at(1_950).await;
        stand.foreman.beat(now(), true);
        tokio::time::advance(Duration::from_secs(3)).await;
        stand.at(5_050).await;
        then(&stand, &plan);
        let mut sum = Tally::default();
        stand.reports().await.into_iter().for_each(|report| sum.merge(report.tally));
        sum
    })
}

#[test]
fn a_lane_that_stood_still_hands_nothing_out_until_its_worker_is_sure_whose_it_is() {
    let counts = |sum: &Tally| (sum.events.iterations_due, sum.events.iterations_started);
    let unsure = counted_over_a_standstill(0, |stand, _| stand.foreman.beat(now(), false));
    assert_eq!(counts(&unsure), (20, 20), "what was due before, and no end of the run changes that");
    let sure = counted_over_a_standstill(0, |stand, _| stand.foreman.beat(now(), true));
    assert_eq!(counts(&sure), (60, 60), "nobody else had it");
    let replaced = counted_over_a_standstill(0, |stand, plan| {
        let handover = Handover { at: Duration::from_millis(5_450), moved: SlotSet::all(), interval: Duration::ZERO };
        let void = Some(Arc::new(SlotSet::all()));
        let profile = Arc::new(plan.profile.clone());
        stand.foreman.follow(&Orders { handover: Some(Arc::new(handover)), void, ..Orders::of_all_slots(profile) });
        stand.foreman.beat(now(), true);
    });
    assert_eq!(counts(&replaced), (25, 25), "others had it until 5.45 s");
}

#[test]
fn what_a_lane_comes_to_later_than_a_stated_patience_is_dropped_though_users_could_be_made() {
    let sum = counted_over_a_standstill(500, |stand, _| stand.foreman.beat(now(), true));
    // At 5.05 s: those that were due from 2 s to 4.5 s.
    let (late, started) = (dropped(&sum, DropReason::GeneratorLate), sum.events.iterations_started);
    assert_eq!((sum.events.iterations_due, late, started), (60, 26, 34));
}
