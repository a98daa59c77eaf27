//! The load models of other tools, as README.md has them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::Host;
use super::super::testing::{Script, block_on};
use crate::load::engine::Engine;
use crate::load::profile::arrivals::Schedule;
use crate::load::shape::Shape;
use crate::load::slots::Orders;
use crate::plan::{ArrivalsProfile, LoadProfile, Plan, ProfileEnd, RateStage, Spacing, Stage};
use crate::stats::tally::Tally;

/// The lines of the table that have a load: what it is there, the load here, what it amounts to.
fn lines() -> Vec<(&'static str, &'static str, &'static str)> {
    let readme = include_str!("../../../README.md");
    let (_, table) = readme.split_once("### Their load models here").expect("README.md has the section");
    let (table, _) = table.split_once("\n## ").expect("another one follows");
    let rows = table.lines().filter(|line| line.starts_with("| ") && line.contains("`scenario."));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [there, here, amounts_to] = cells[..] else { panic!("three columns: {row}") };
        (there, here.split('`').nth(1).expect("a load in backticks"), amounts_to)
    })
    .collect()
}

/// A script with this load, whose users tell that they begin.
fn host_of(load: &str) -> Host {
    let source = format!(
        "local scenario, check, time = require 'scenario', require 'check', require 'time' local U = scenario.user {{}} \
         function U:on_start() check.that('began', true) end U:task('t', function() time.sleep(0.002) end) \
         return scenario {{ users = {{ U }}, load = {load} }}"
    );
    Script::new(&source).load().unwrap_or_else(|why| panic!("{load}: {why}"))
}

fn clock(length: Option<Duration>) -> String {
    length.map_or("no end".into(), |length| format!("{}:{:02}", length.as_secs() / 60, length.as_secs() % 60))
}

/// What a profile amounts to, in the words of the table.
fn words(profile: &LoadProfile) -> String {
    let end = Shape::new(profile).end();
    match profile {
        LoadProfile::Ramp(_) => format!("up to {} users in {}", Shape::new(profile).peak(), clock(end)),
        LoadProfile::Iterations(iterations) => format!("{} iterations", iterations.total()),
        LoadProfile::Arrivals(arrivals) => {
            let even = ArrivalsProfile { spacing: Spacing::Even, ..arrivals.clone() };
            let about = if arrivals.spacing == Spacing::Even { "" } else { "about " };
            let due = Schedule::new(&even, 1).due_before(end.expect("it ends"));
            format!("{about}{due} iterations in {}", clock(end))
        }
        LoadProfile::Several(_) => panic!("a line has one profile"),
    }
}

/// The same, a fiftieth as long: as many users, a fiftieth of what is due.
fn hurried(profile: &LoadProfile) -> LoadProfile {
    let end = |end| if let ProfileEnd::StopAt(at) = end { ProfileEnd::StopAt(at / 50) } else { end };
    match profile {
        LoadProfile::Ramp(ramp) => {
            let stages = ramp.stages.iter().map(|stage| Stage { over: stage.over / 50, ..*stage }).collect();
            // A second more: a machine that is busy shall not come to the end before it has started the last user.
            let ProfileEnd::StopAt(at) = end(ramp.end) else { panic!("it ends") };
            LoadProfile::staged(stages, ProfileEnd::StopAt(at + Duration::from_secs(1)))
        }
        LoadProfile::Arrivals(arrivals) => {
            let stages = arrivals.stages.iter().map(|stage| RateStage { over: stage.over / 50, ..*stage }).collect();
            LoadProfile::Arrivals(ArrivalsProfile { stages, end: end(arrivals.end), ..arrivals.clone() })
        }
        LoadProfile::Iterations(_) | LoadProfile::Several(_) => profile.clone(),
    }
}

/// Runs it; all that was counted, and how many iterations began of those that are given out by number.
fn ran(host: &Host, profile: &LoadProfile) -> (Tally, u64) {
    let plan = Arc::new(Plan { classes: host.description().classes.clone(), ..Plan::for_tests(profile.clone()) });
    block_on(async {
        let mut engine = Engine::open(&Arc::new(host.workload()), &plan, 1).await.unwrap();
        engine.follow(&Orders::of_all_slots(Arc::new(profile.clone())));
        engine.begin(Instant::now());
        let (mut sum, mut begun) = (Tally::default(), 0);
        while let Some(report) = engine.next_report().await {
            begun = report.begun.of(0);
            sum.merge(report.tally);
            if report.is_exhausted {
                // What a master does then.
                engine.stop();
            }
        }
        (sum, begun)
    })
}

#[test]
fn each_load_model_of_another_tool_amounts_to_what_the_table_says_and_runs() {
    let lines = lines();
    assert_eq!(lines.len(), 16, "each of k6's executors and of Gatling's steps but the one that is steered by hand");
    for (there, here, amounts_to) in lines {
        let host = host_of(here);
        let profile = host.description().profile.clone().expect("it has a load");
        assert_eq!(words(&profile), amounts_to, "{there}");
        let profile = hurried(&profile);
        let (tally, begun) = ran(&host, &profile);
        let users: u64 = tally.checks.values().map(|counts| counts.passes).sum();
        match &profile {
            LoadProfile::Ramp(_) => assert!(users >= u64::from(Shape::new(&profile).peak()), "{there}: {users} users began"),
            LoadProfile::Iterations(iterations) => {
                assert_eq!((begun, users), (iterations.total(), u64::from(iterations.users)), "{there}");
            }
            LoadProfile::Arrivals(arrivals) => {
                let due = Schedule::new(arrivals, 1).due_before(Shape::new(&profile).end().expect("it ends"));
                assert_eq!(tally.events.iterations_due, due, "{there}");
            }
            LoadProfile::Several(_) => panic!("a line has one profile"),
        }
    }
}
