//! Other levels of a run that is under way: from when on they hold.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::*;
use crate::cluster::master::run::LEAD;
use crate::plan::{ArrivalsProfile, NamedProfile, ProfileEnd, Rate};

const SECOND: Duration = Duration::from_secs(1);

/// Worker 1 runs these profiles, and did so for two seconds.
fn running(profiles: [LoadProfile; 2]) -> Stand {
    let named =
        |(name, profile): (&str, LoadProfile)| NamedProfile { name: name.into(), classes: Vec::new(), tags: BTreeMap::new(), profile };
    let mut stand = Stand::new();
    stand.hello(1, None);
    let several = LoadProfile::Several(["first", "later"].into_iter().zip(profiles).map(named).collect());
    let plan = Plan { fingerprint: "abc".into(), ..Plan::for_tests(several) };
    let start = RunStart { plan: Arc::new(plan), thresholds: Vec::new(), wall: SystemTime::UNIX_EPOCH };
    stand.actions = stand.master.on_start(start, stand.now).unwrap();
    stand.message(1, ToMaster::Prepared { run: RunId(7), revision: 0 });
    stand.live(2 * SECOND, &[1]);
    stand
}

fn arrivals(stand: &Stand) -> ArrivalsProfile {
    match stand.master.profile().unwrap().part(1) {
        Some(LoadProfile::Arrivals(arrivals)) => arrivals.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn another_level_of_a_profile_that_has_not_started_leaves_its_start() {
    let (first, later) =
        (LoadProfile::plain(1, 1.0, None), LoadProfile::plain_arrivals(Rate::per_second(10.0), Some(2 * SECOND)).delayed(6 * SECOND));
    let mut stand = running([first.clone(), later]);
    let rerate = Rerate { rate: Rate::per_second(12.0), at: None, run_time: None };
    stand.master.on_rerate_of(1, rerate, stand.now).unwrap();
    let changed = arrivals(&stand);
    let begin: Duration = changed.stages.iter().take_while(|stage| stage.rate == Rate::default()).map(|stage| stage.over).sum();
    assert_eq!((begin, changed.end), (6 * SECOND, ProfileEnd::StopAt(8 * SECOND)));
    assert_eq!(changed.stages.last().unwrap().rate, Rate::per_second(12.0));
    // The same of users, of which some would have begun at once.
    let mut stand = running([first, LoadProfile::plain(2, 100.0, Some(3 * SECOND)).delayed(6 * SECOND)]);
    stand.master.on_retarget_of(1, Retarget { users: 3, spawn_rate: 100.0, run_time: None }, stand.now).unwrap();
    let wanted = |stand: &Stand| stand.master.snapshot(stand.now).profiles[1].target_users;
    stand.live(3 * SECOND, &[1]);
    assert_eq!(wanted(&stand), 0, "a second before its start");
    stand.live(2 * SECOND, &[1]);
    assert_eq!(wanted(&stand), 3, "a second after");
}

#[test]
fn a_rate_that_is_known_before_holds_from_its_moment_on_and_one_that_is_not_from_when_all_have_heard_of_it() {
    let both = [LoadProfile::plain(1, 1.0, None), LoadProfile::plain_arrivals(Rate::per_second(10.0), None)];
    for (at, since) in [(Some(3 * SECOND), 3 * SECOND), (Some(SECOND), 2 * SECOND + LEAD), (None, 2 * SECOND + LEAD)] {
        let mut stand = running(both.clone());
        stand.master.on_rerate_of(1, Rerate { rate: Rate::per_second(40.0), at, run_time: None }, stand.now).unwrap();
        let changed = arrivals(&stand);
        let before: Duration = changed.stages.iter().take_while(|stage| stage.rate == Rate::per_second(10.0)).map(|stage| stage.over).sum();
        assert_eq!(before, since, "{at:?}");
        let mut stand = running(both.clone());
        stand.master.on_end_of(1, at, stand.now).unwrap();
        assert_eq!(arrivals(&stand).end, ProfileEnd::StopAt(since), "{at:?}");
    }
}
