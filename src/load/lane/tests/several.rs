//! Tests of lanes that run several profiles side by side.

use std::collections::BTreeMap;

use super::*;
use crate::plan::{ArrivalsProfile, IterationsProfile, NamedProfile, Quota, Rate, RateStage, Spacing};
use crate::stats::profiles::ProfileCounts;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn named(name: &str, class: &str, profile: LoadProfile) -> NamedProfile {
    NamedProfile { name: name.into(), classes: vec![class.into()], tags: BTreeMap::new(), profile }
}

fn ramp(users: u32, end_millis: u64) -> LoadProfile {
    LoadProfile::staged(vec![Stage { users, over: Duration::ZERO }], ProfileEnd::StopAt(millis(end_millis)))
}

fn arrivals(rate: f64, end_millis: u64) -> LoadProfile {
    LoadProfile::Arrivals(ArrivalsProfile {
        stages: vec![RateStage { rate: Rate::per_second(rate), over: Duration::ZERO }],
        end: ProfileEnd::StopAt(millis(end_millis)),
        spacing: Spacing::Even,
        max_users: Some(20),
        patience: Duration::ZERO,
    })
}

fn iterations(users: u32, total: u64) -> LoadProfile {
    LoadProfile::Iterations(IterationsProfile { users, quota: Quota::Total(total), start: Duration::ZERO, end: ProfileEnd::Hold })
}

/// A plan of the classes `a`, `b` and `c`.
fn plan_of(profiles: Vec<NamedProfile>) -> Plan {
    let class = |name: &str| ClassPlan { name: name.into(), weight: 1, count: None, tasks: Vec::new() };
    Plan { classes: ["a", "b", "c"].map(class).into(), ..Plan::for_tests(LoadProfile::Several(profiles)) }
}

/// What each profile counted in a run that is stopped once it has been exhausted; when it was over, how many iterations began by number in each, and
/// what happened.
fn ran(plan: &Plan, conduct: Conduct, lanes: usize) -> (Tally, u128, [u64; 3], Stand) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut stand = Stand::idle(plan, conduct, lanes, 200);
        stand.foreman.follow(&Orders::of_all_slots(Arc::new(plan.profile.clone())));
        stand.foreman.begin(stand.zero);
        let (mut sum, mut last, mut begun) = (Tally::default(), vec![false; lanes], vec![IterationsBegun::default(); lanes]);
        while let Some(report) = stand.reports.recv().await {
            sum.merge(report.tally);
            last[report.lane] = report.is_exhausted;
            begun[report.lane] = report.begun;
            if last.iter().all(|is_exhausted| *is_exhausted) {
                stand.foreman.end(Ending::Stop);
            }
        }
        let over = now().saturating_duration_since(stand.zero).as_millis();
        let of = |profile| begun.iter().map(|begun| begun.of(profile)).sum();
        (sum, over, [of(0), of(1), of(2)], stand)
    })
}

/// The indices of the users of each class that began.
fn indices_by_class(stand: &Stand) -> [Vec<u64>; 3] {
    let mut found = [vec![], vec![], vec![]];
    for (_, what) in stand.events("start") {
        let words: Vec<&str> = what.split(' ').collect();
        found[words[3].parse::<usize>().unwrap()].push(words[1].parse().unwrap());
    }
    found.each_mut().into_iter().for_each(|indices| indices.sort_unstable());
    found
}

#[test]
fn each_profile_has_its_classes_its_own_indices_and_its_own_account_and_all_of_them_add_up() {
    for lanes in 1..=3 {
        let plan = plan_of(vec![
            named("first", "c", ramp(4, 2_000)),
            named("second", "a", arrivals(10.0, 3_000)),
            named("third", "b", iterations(2, 15).delayed(millis(500))),
        ]);
        let (sum, over, begun, stand) = ran(&plan, busy(100, 0), lanes);
        assert_eq!(begun, [0, 0, 15], "{lanes}");
        assert_eq!(over, 3_000, "what is due last ends with the last profile");
        let [of_a, of_b, of_c] = indices_by_class(&stand);
        assert_eq!((of_c, of_b), (vec![0, 3, 6, 9], vec![2, 5]));
        assert!(of_a.iter().all(|index| index % 3 == 1) && (1..=4).contains(&of_a.len()), "{of_a:?}");
        let [first, second, third] = &sum.profiles[..] else { panic!("{:?}", sum.profiles) };
        assert_eq!((second.events.due, second.events.started, second.iterations.spread.count), (30, 30, 30));
        assert_eq!((third.iterations.spread.count, third.events.interrupted), (15, 0));
        // At its end each of four may have just begun another one.
        assert!((80..=84).contains(&(first.iterations.spread.count + first.events.interrupted)), "{first:?}");
        assert_eq!((second.lateness.spread.count, second.since_due.spread.count), (30, 30));
        let all: u64 = sum.profiles.iter().map(|profile| profile.iterations.spread.count).sum();
        assert_eq!(all, sum.times.iterations.spread.count);
        assert_eq!(sum.events.iterations_due, 30);
    }
}

#[test]
fn the_users_of_a_profile_that_ends_finish_while_those_of_the_others_go_on() {
    let plan =
        plan_of(vec![named("closed", "a", ramp(2, 1_000)), named("open", "b", arrivals(10.0, 1_500)), named("last", "c", ramp(1, 4_000))]);
    let (sum, over, _, stand) = ran(&plan, busy(300, 0), 1);
    let stops: Vec<_> =
        stand.events("stop").into_iter().map(|(at, what)| (at, what.split(' ').nth(1).unwrap().parse::<u64>().unwrap() % 3)).collect();
    let of = |profile| stops.iter().filter(|(_, of)| *of == profile).map(|(at, _)| *at).max().unwrap();
    assert!((1_000..=1_300).contains(&of(0)) && (1_500..=1_800).contains(&of(1)) && of(2) >= 4_000, "{stops:?}");
    assert!(over <= 4_300, "{over}");
    let events = &sum.profiles[1].events;
    assert_eq!((events.due, events.resolved()), (15, 15), "nothing is due after its end");
}

#[test]
fn a_profile_that_begins_later_keeps_a_run_whose_other_users_have_left_from_being_over() {
    let plan = plan_of(vec![named("soon", "a", iterations(1, 2)), named("late", "b", iterations(1, 3).delayed(millis(5_000)))]);
    let (_, over, begun, stand) = ran(&plan, busy(100, 0), 2);
    assert_eq!((begun, over), ([2, 3, 0], 5_300));
    let starts: Vec<_> = stand.events("start").into_iter().map(|(at, _)| at).collect();
    assert_eq!(starts, [0, 5_000]);
}

#[test]
fn each_second_tells_how_many_users_each_profile_has() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let plan = plan_of(vec![named("three", "a", ramp(3, 5_000)), named("five", "b", ramp(5, 5_000).delayed(millis(2_500)))]);
    let users: Vec<Vec<u64>> = tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut stand = Stand::new(&plan, busy(100, 0), SlotSet::all(), 100);
        let of = |profile: &ProfileCounts| profile.users;
        stand.reports().await.iter().map(|report| report.tally.profiles.iter().map(of).collect()).collect()
    });
    assert_eq!(users[..4], [vec![3], vec![3], vec![3, 5], vec![3, 5]]);
}

#[test]
fn a_lane_has_the_users_of_its_slots_of_every_profile_and_gives_them_up_with_those() {
    in_paused_time(async {
        let plan = plan_of(vec![named("one", "a", ramp(6, 9_000)), named("other", "b", ramp(6, 9_000))]);
        let even = |shift: u32| {
            let mut set = SlotSet::none();
            (0..20).filter(|slot| slot % 2 == shift).for_each(|slot| set.insert(slot));
            Arc::new(set)
        };
        let stand = Stand::new(&plan, busy(100, 0), (*even(0)).clone(), 100);
        stand.at(1_000).await;
        // Numbers 0, 2 and 4 of the first, and 1, 3 and 5 of the other, which begins a slot later.
        assert_eq!(indices_by_class(&stand)[..2], [vec![0, 4, 8], vec![3, 7, 11]]);
        stand.foreman.follow(&Orders { slots: even(1), ..Orders::of_all_slots(Arc::new(plan.profile.clone())) });
        stand.at(2_000).await;
        let mut stopped: Vec<u64> = stand.events("stop").iter().map(|(_, what)| what[5..].parse().unwrap()).collect();
        stopped.sort_unstable();
        assert_eq!(stopped, [0, 3, 4, 7, 8, 11]);
        assert_eq!(indices_by_class(&stand)[..2], [vec![0, 2, 4, 6, 8, 10], vec![1, 3, 5, 7, 9, 11]]);
    });
}
