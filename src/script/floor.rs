//! The floor of this machine: a script's own requests to an echo in this process, through all that a request of a run goes through: Lua, bindings, client
//! and recorder.
//!
//! Owns the measurement. What it runs against is its caller's, and so is the thread: a lane of its own, which must share nothing with those of a run.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bundle::Bundle;
use super::host::ScriptWorkload;
use crate::load::lane::recorder_for;
use crate::load::vitals::thread_time;
use crate::load::{LaneContext, LaneWorkload as _, UserStart, VirtualUser as _, Workload as _};
use crate::plan::{ClassPlan, HttpPlan, LifePlan, LoadProfile, Plan, RunId, RunSettings, TagFilter, TaskPlan};
use crate::stats::floor::Floor;
use crate::stats::histogram::Histogram;

/// Measures against the echo at `url`, on the calling thread, for about [`LENGTH`] at most.
///
/// # Errors
/// Why there is no number, in words for people.
pub fn measure(url: &str) -> Result<Floor, String> {
    let options = tokio::runtime::LocalOptions::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(options).map_err(|why| why.to_string())?;
    runtime.block_on(requests(url))
}

async fn requests(url: &str) -> Result<Floor, String> {
    let begin = Instant::now();
    let plan = Arc::new(plan(url));
    let recorder = recorder_for(&plan);
    let workload = ScriptWorkload::of(Arc::new(Bundle::of_one(MAIN, SCRIPT)));
    let lane = workload.open_lane(LaneContext { plan, lane: 0, recorder: Rc::clone(&recorder) })?;
    lane.begin(begin);
    let mut user = lane.new_user(UserStart { index: 0, class: 0, iterations_done: 0, side: None, control: Rc::default() })?;
    let may_go_on = |done: u64, most: u64, until: Duration| done < most && begin.elapsed() < until;
    // The first ones pay for what is made once: connection, code, memory.
    let mut warm = 0;
    while may_go_on(warm, WARM, LENGTH / 2) {
        user.iterate().await;
        warm += 1;
    }
    drop(recorder.borrow_mut().take(0));
    let before = thread_time().ok_or("the system has no clock of a thread")?;
    let mut done = 0;
    while may_go_on(done, MOST, LENGTH) {
        user.iterate().await;
        done += 1;
    }
    let used = thread_time().unwrap_or(before).saturating_sub(before);
    user.on_stop().await;
    let tally = recorder.borrow_mut().take(1);
    let mut durations = Histogram::default();
    let mut failures = 0;
    for counts in tally.entries.values() {
        failures += counts.hops.failures() + counts.hops.local();
        durations.merge_sparse(&counts.durations.counts);
    }
    if failures > 0 || durations.count() < LEAST {
        return Err(format!("{} of {done} requests to the echo were answered", durations.count().saturating_sub(failures)));
    }
    let percentile = |quantile| Duration::from_micros(durations.value_at(quantile));
    Ok(Floor { requests: done, cpu: used / u32::try_from(done).unwrap_or(u32::MAX).max(1), p50: percentile(0.5), p99: percentile(0.99) })
}

fn plan(url: &str) -> Plan {
    let task = TaskPlan { name: "ask".to_owned(), weight: 1 };
    Plan {
        run: RunId(0),
        revision: 0,
        seed: 0,
        scenario: "floor".to_owned(),
        script: MAIN.to_owned(),
        fingerprint: String::new(),
        host: Some(url.to_owned()),
        other_host: None,
        classes: vec![ClassPlan { name: "Floor".to_owned(), weight: 1, count: None, tasks: vec![task] }],
        profile: LoadProfile::plain(1, 1.0, None),
        thresholds: Vec::new(),
        metrics: Vec::new(),
        tags: TagFilter::default(),
        env: BTreeMap::new(),
        settings: RunSettings { timeout: LENGTH, connect_timeout: LENGTH, ..RunSettings::default() },
        http: HttpPlan::default(),
        life: LifePlan::default(),
    }
}

const MAIN: &str = "floor.lua";

const SCRIPT: &str = r#"
local http, scenario = require "http", require "scenario"
local Floor = scenario.user { name = "Floor" }
Floor:task("ask", function() http.get("/") end)
return scenario { users = { Floor } }
"#;

/// Requests before those that count.
const WARM: u64 = 100;

/// Requests that count at most; fewer than the least of them say nothing of a percentile.
const MOST: u64 = 500;
const LEAST: u64 = 100;

/// From the opening of the lane on; a request that has begun by then may still end.
pub const LENGTH: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nobody_answers_there_is_no_number() {
        let why = measure("http://127.0.0.1:1").unwrap_err();
        assert!(why.contains("0 of"), "{why}");
    }
}
