//! Classes of which no user ran: what the end of a run says of them.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::*;
use crate::plan::{ClassPlan, NamedProfile, Rate};

const SECONDS: Option<Duration> = Some(Duration::from_secs(2));

/// What the end of a run of this profile says of its classes, the one of nine users in ten and the one of the tenth.
fn told(profile: LoadProfile) -> Vec<String> {
    let class = |name: &str, weight| ClassPlan { name: name.into(), weight, count: None, tasks: Vec::new() };
    let plan = Plan { fingerprint: "abc".into(), classes: vec![class("Often", 9), class("Rare", 1)], ..Plan::for_tests(profile) };
    let mut stand = Stand::new();
    stand.hello(1, None);
    let start = RunStart { plan: Arc::new(plan), thresholds: Vec::new(), wall: SystemTime::UNIX_EPOCH };
    stand.actions = stand.master.on_start(start, stand.now).unwrap();
    stand.message(1, ToMaster::Prepared { run: RunId(7), revision: 0 });
    stand.live(Duration::from_secs(3), &[1]);
    stand.last_delta(1, 1);
    stand.live(Duration::from_millis(500), &[1]);
    assert_eq!(stand.state(), RunState::Stopped);
    let warnings = stand.master.snapshot(stand.now).warnings;
    warnings.into_iter().filter(|warning| warning.starts_with("no user of class")).collect()
}

#[test]
fn a_class_that_no_user_had_is_named_with_how_many_there_were() {
    let words = "no user of class `Rare` ran: by weights and counts all users, 2 at the most, were of other classes; more users (-u) or other weights give it some";
    assert_eq!(told(LoadProfile::plain(2, 2.0, SECONDS)), [words]);
    assert!(told(LoadProfile::plain(10, 10.0, SECONDS)).is_empty());
}

#[test]
fn a_class_that_no_iteration_of_an_open_profile_had_is_named_with_how_many_were_due() {
    let of_rate = |rate| LoadProfile::plain_arrivals(Rate::per_second(rate), SECONDS);
    let words = "no user of class `Rare` ran: by weights and counts all iterations that were due, 4 of them, were of other classes; \
                 a higher rate (--rate), a longer run (-t) or other weights give it some";
    assert_eq!(told(of_rate(2.0)), [words]);
    assert!(told(of_rate(10.0)).is_empty());
}

#[test]
fn a_class_that_neither_users_nor_iterations_had_is_named_with_both_numbers() {
    let named = |name: &str, profile| NamedProfile { name: name.into(), classes: Vec::new(), tags: BTreeMap::new(), profile };
    let (steady, rush) = (LoadProfile::plain(3, 3.0, SECONDS), LoadProfile::plain_arrivals(Rate::per_second(2.0), SECONDS));
    let lines = told(LoadProfile::Several(vec![named("steady", steady), named("rush", rush)]));
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains("all users, 3 at the most, and all iterations that were due, 4 of them, were of other classes"), "{lines:?}");
}
