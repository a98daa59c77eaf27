//! Tests of a lane in a run of two sides.

use super::*;
use crate::plan::{ArrivalsProfile, IterationsProfile, Quota, Rate, RateStage, Spacing};

fn two_sided(profile: LoadProfile) -> Plan {
    Plan { host: Some("http://a".into()), other_host: Some("http://b".into()), ..Plan::for_tests(profile) }
}

/// Who did each iteration, in their order: its side and its index.
fn done(plan: &Plan, conduct: Conduct) -> Vec<(String, String)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut stand = Stand::new(plan, conduct, SlotSet::all(), 1_000);
        stand.end_at(4_000, Ending::Stop).await;
        stand.reports().await;
        let words = |what: String| what.split(' ').map(str::to_owned).collect::<Vec<_>>();
        stand.events("on ").into_iter().map(|(_, what)| words(what)).map(|words| (words[1].clone(), words[3].clone())).collect()
    })
}

fn on_a(done: &[(String, String)]) -> usize {
    done.iter().filter(|(side, _)| side == "a").count()
}

#[test]
fn a_user_of_a_closed_profile_is_one_on_each_side_of_which_one_works_at_a_time() {
    let each = IterationsProfile { users: 3, quota: Quota::Each(8), start: Duration::ZERO, end: ProfileEnd::Hold };
    let done = done(&two_sided(LoadProfile::Iterations(each)), busy(100, 0));
    assert_eq!(done.len(), 24);
    for user in ["0", "1", "2"] {
        let own: Vec<_> = done.iter().filter(|(_, index)| index == user).cloned().collect();
        assert_eq!((own.len(), on_a(&own[..4]), on_a(&own[4..])), (8, 2, 2), "user {user}: {own:?}");
    }
    // Users 0 and 1 are never on the same side at the same place.
    let sides = |user: &str| done.iter().filter(|(_, index)| index == user).map(|(side, _)| side.clone()).collect::<Vec<_>>();
    assert!(sides("0").iter().zip(sides("1")).all(|(one, other)| *one != other));
}

#[test]
fn users_of_a_ramp_that_are_cut_short_are_balanced_by_their_neighbours() {
    let done = done(&two_sided(LoadProfile::plain(40, 1_000.0, Some(Duration::from_millis(150)))), busy(100, 0));
    assert!(done.len() >= 40, "{}", done.len());
    assert!((2 * on_a(&done)).abs_diff(done.len()) <= 4, "{} of {}", on_a(&done), done.len());
}

#[test]
fn iterations_of_an_open_profile_go_half_to_each_side_and_no_user_does_both() {
    let arrivals = ArrivalsProfile {
        stages: vec![RateStage { rate: Rate::per_second(20.0), over: Duration::ZERO }],
        end: ProfileEnd::StopAt(Duration::from_millis(3_000)),
        spacing: Spacing::Even,
        max_users: Some(50),
        patience: Duration::ZERO,
    };
    let done = done(&two_sided(LoadProfile::Arrivals(arrivals)), busy(120, 0));
    assert_eq!((done.len(), on_a(&done)), (60, 30));
    let mut users: Vec<(String, String)> = done.iter().map(|(side, index)| (index.clone(), side.clone())).collect();
    users.sort();
    users.dedup();
    let mut indices: Vec<&String> = users.iter().map(|(index, _)| index).collect();
    indices.dedup();
    assert_eq!(indices.len(), users.len(), "{users:?}");
    assert!(users.len() < 15, "users are used again: {users:?}");
}
