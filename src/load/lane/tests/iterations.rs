//! Tests of a lane whose profile says how many iterations there are.

use super::*;
use crate::plan::{IterationsProfile, Quota};
use crate::stats::tally::Tally;

fn iterations(users: u32, quota: Quota, within_millis: Option<u64>) -> Plan {
    let end = within_millis.map_or(ProfileEnd::Hold, |millis| ProfileEnd::StopAt(Duration::from_millis(millis)));
    Plan::for_tests(LoadProfile::Iterations(IterationsProfile { users, quota, start: Duration::ZERO, end }))
}

/// The sum of a run that is stopped once it has been exhausted, in all lanes, or has come to its end; when that was, how many iterations began by
/// the reports, and what happened.
fn ran(plan: &Plan, conduct: Conduct, lanes: usize) -> (Tally, u128, u64, Stand) {
    in_paused_time(async {
        let mut stand = Stand::idle(plan, conduct, lanes, 100);
        stand.foreman.follow(&Orders::of_all_slots(Arc::new(plan.profile.clone())));
        stand.foreman.begin(stand.zero);
        let (mut sum, mut last, mut begun) = (Tally::default(), vec![(false, false); lanes], vec![0; lanes]);
        let mut over = None;
        while let Some(report) = stand.reports.recv().await {
            sum.merge(report.tally);
            assert!(report.begun.of(0) >= begun[report.lane], "it never falls");
            begun[report.lane] = report.begun.of(0);
            last[report.lane] = (report.is_exhausted, report.is_finished);
            if over.is_none() && last.iter().all(|(is_exhausted, is_finished)| *is_exhausted || *is_finished) {
                over = Some(now().saturating_duration_since(stand.zero).as_millis());
                stand.foreman.end(Ending::Stop);
            }
        }
        (sum, over.expect("it comes to its end"), begun.iter().sum(), stand)
    })
}

fn finished(tally: &Tally) -> u64 {
    tally.times.iterations.spread.count
}

#[test]
fn each_user_does_as_many_as_it_has_and_leaves_and_the_lane_tells_that_at_once() {
    let (sum, over, begun, stand) = ran(&iterations(3, Quota::Each(4), None), busy(100, 20), 1);
    assert_eq!((finished(&sum), sum.events.iterations_interrupted, begun), (12, 0, 12));
    let stops = ["stop 0", "stop 1", "stop 2"].map(|what| (480, what.to_owned()));
    let mut seen = stand.events("stop");
    seen.sort();
    assert_eq!((seen, over), (stops.to_vec(), 480));
}

#[test]
fn users_of_all_lanes_share_a_total_and_those_that_are_done_first_leave() {
    for lanes in [1, 2] {
        let (sum, _, begun, stand) = ran(&iterations(5, Quota::Total(23), None), busy(100, 0), lanes);
        assert_eq!((finished(&sum), begun, stand.events("stop").len()), (23, 23, 5));
    }
}

#[test]
fn more_users_than_iterations_are_no_more_iterations() {
    let (sum, _, begun, stand) = ran(&iterations(5, Quota::Total(2), None), busy(100, 0), 1);
    assert_eq!((finished(&sum), begun, stand.events("stop").len()), (2, 2, 5));
}

#[test]
fn the_planned_end_comes_before_what_it_leaves_no_time_for() {
    let (sum, over, begun, _) = ran(&iterations(2, Quota::Each(100), Some(1_050)), busy(100, 0), 1);
    // The one that is under way ends by itself here, for this user sleeps without listening.
    assert_eq!((finished(&sum), begun, over), (22, 22, 1_100));
}

#[test]
fn a_user_that_ends_itself_leaves_its_part_to_nobody_where_each_has_its_own_and_to_all_where_they_share() {
    let leaves = Conduct::Leaves(Duration::from_millis(50));
    let (sum, _, begun, _) = ran(&iterations(3, Quota::Each(4), None), leaves, 1);
    assert_eq!((finished(&sum), begun), (3, 3));
}

#[test]
fn a_renewed_user_goes_on_with_what_it_has_left_and_a_pause_begins_nothing() {
    let plan = iterations(1, Quota::Each(10), None);
    in_paused_time(async {
        let mut stand = Stand::new(&plan, busy(100, 0), SlotSet::all(), 100);
        stand.at(250).await;
        let users = Users { conduct: busy(100, 0), diary: stand.diary.clone(), zero: Rc::default(), halt: None };
        stand.renewals[0].send(Renewal { workload: users, plan: Arc::new(plan.clone()) }).await.unwrap_or_else(|_| panic!("it listens"));
        stand.at(550).await;
        let paused = Orders { is_paused: true, ..Orders::of_all_slots(Arc::new(plan.profile.clone())) };
        stand.foreman.follow(&paused);
        stand.at(5_000).await;
        stand.foreman.follow(&Orders { is_paused: false, ..paused });
        stand.end_at(9_000, Ending::Stop).await;
        let reports = stand.reports().await;
        assert_eq!(reports.iter().find(|report| report.tally.second == 3).map(|report| report.begun.of(0)), Some(6));
        assert_eq!(reports.iter().map(|report| finished(&report.tally)).sum::<u64>(), 10);
        assert_eq!(
            stand.events("start").iter().map(|(_, what)| what.as_str()).collect::<Vec<_>>(),
            ["start 0 class 0 after 0", "start 0 class 0 after 3"]
        );
    });
}
