//! Runs whose load a function of the script steers: asks it once a second, and has the master do what it says.
//!
//! | the function | then |
//! |---|---|
//! | returns another level than before | the run is re-targeted |
//! | returns nil | users finish, as at a planned end |
//! | raises, runs away, returns nonsense | the run is cut, and ends as bad use |
//!
//! A master that takes a run over holds the level that it had: what the function remembers died with the one before.

use tokio::sync::mpsc;

use crate::cluster::handle::MasterHandle;
use crate::plan::{Purpose, Rate, RunId, StartOrder};
use crate::script::{Helm, HelmView};
use crate::stats::snapshot::{RunState, Snapshot};

/// A run and what steers it.
#[derive(Debug, Clone)]
pub(super) struct Steered {
    pub(super) run: RunId,
    /// Levels are rates.
    pub(super) is_open: bool,
    /// Every level is multiplied by this.
    pub(super) scale: f64,
    pub(super) helm: Helm,
}

impl Steered {
    /// What makes `level` of the run's.
    fn order(&self, level: f64) -> StartOrder {
        let level = level * self.scale;
        let order = StartOrder { purpose: Purpose::Retarget, ..StartOrder::default() };
        if self.is_open {
            StartOrder { rate: Some(Rate::per_second(level).max(Rate(1))), ..order }
        } else {
            // A cast saturates.
            StartOrder { users: Some(level.round().max(1.0) as u32), spawn_rate: Some(AT_ONCE), ..order }
        }
    }
}

/// Steers each run that begins, for as long as the master lives.
pub(super) async fn steer_all(mut runs: mpsc::Receiver<Steered>, master: MasterHandle) {
    while let Some(steered) = runs.recv().await {
        tokio::spawn(steer(steered, master.clone()));
    }
}

/// Steers one run from its begin to its end; returns if another one begins in its place.
pub(super) async fn steer(mut steered: Steered, master: MasterHandle) {
    let mut snapshots = master.snapshots();
    let before = snapshots.borrow().run;
    let (mut asked, mut level) = (0, None);
    loop {
        let snapshot = snapshots.borrow_and_update().clone();
        let second = snapshot.elapsed.as_secs();
        match snapshot.state {
            _ if snapshot.run != steered.run && snapshot.run == before => {}
            _ if snapshot.run != steered.run => return,
            RunState::Stopping | RunState::Stopped => return,
            RunState::Spawning | RunState::Running if second > asked => {
                asked = second;
                match steered.helm.ask(second, view(&snapshot)).await {
                    Ok(Some(wanted)) if level == Some(wanted) => {}
                    Ok(Some(wanted)) => {
                        level = Some(wanted);
                        if let Err(declined) = master.start(steered.order(wanted), "").await {
                            log::debug!("what scenario.shape says came too late: {declined}");
                        }
                    }
                    Ok(None) => {
                        log::info!("scenario.shape ends the run");
                        // A run that is over has nothing to end.
                        let _ = master.stop("").await;
                        return;
                    }
                    Err(why) => {
                        let _ = master.misuse(why).await;
                        return;
                    }
                }
            }
            RunState::Ready | RunState::Waiting | RunState::Paused | RunState::Spawning | RunState::Running => {}
        }
        if snapshots.changed().await.is_err() {
            return;
        }
    }
}

fn view(snapshot: &Snapshot) -> HelmView {
    let total = &snapshot.total;
    HelmView {
        users: snapshot.users,
        requests: total.requests,
        failures: total.failures,
        requests_per_s: total.current_rps,
        fail_ratio: total.fail_ratio(),
        p50: snapshot.current_p50,
        p95: snapshot.current_p95,
    }
}

/// Users a second where they shall all begin or end together.
const AT_ONCE: f64 = 1e6;

/// Runs that may be planned before the first of them is looked at.
pub(super) const STEERED: usize = 64;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::cluster::local::LocalRun;
    use crate::cluster::logs::LogFeed;
    use crate::cluster::master::{FailureCause, RunEnd, RunStart};
    use crate::plan::{Plan, TagFilter};
    use crate::script::testing::Script;

    /// Runs a script whose load is this function; how it ended, and the levels of users that it was on its way to.
    async fn steered(body: &str, scale: f64) -> (RunEnd, Vec<u64>) {
        let source = format!(
            "local scenario, time = require 'scenario', require 'time' local U = scenario.user {{}} \
             U:task('t', function() time.sleep(0.01) end)\nreturn scenario {{ users = {{ U }}, load = scenario.shape(function(t) {body} end) }}"
        );
        let host = Script::new(&source).load().unwrap();
        let description = host.description();
        let profile = description.profile.clone().unwrap().scaled(scale);
        let plan = Arc::new(Plan { classes: description.classes.clone(), ..Plan::for_tests(profile) });
        let start = RunStart { plan: Arc::clone(&plan), thresholds: Vec::new(), wall: SystemTime::now() };
        let run = LocalRun::start(Arc::new(host.workload()), start, 1, None, LogFeed::default());
        let helm = host.helm(&TagFilter::default()).unwrap();
        tokio::spawn(steer(Steered { run: plan.run, is_open: false, scale, helm }, run.handle.clone()));
        let mut snapshots = run.handle.snapshots();
        let watching = tokio::spawn(async move {
            let mut levels = Vec::new();
            while snapshots.changed().await.is_ok() {
                let snapshot = snapshots.borrow_and_update().clone();
                levels.extend(Some(snapshot.goal_users).filter(|level| *level > 0 && levels.last() != Some(level)));
            }
            levels
        });
        let end = tokio::time::timeout(Duration::from_secs(60), run.end()).await.expect("the function ends it");
        (end, watching.await.unwrap())
    }

    #[tokio::test]
    async fn a_function_has_as_many_users_run_as_it_says_and_ends_the_run() {
        let (end, levels) = steered("if t >= 4 then return nil end return { users = t * 3 + 2 }", 2.0).await;
        assert_eq!((end.is_complete, end.failure), (true, None));
        // A second that a busy machine has slept through is missing.
        assert!(levels.len() > 1 && levels.is_sorted() && levels.iter().all(|level| [4, 10, 16, 22].contains(level)), "{levels:?}");
    }

    #[tokio::test]
    async fn a_function_that_raises_in_mid_run_ends_it_as_bad_use_in_its_own_words() {
        let (end, _) = steered("if t >= 1 then error('no more') end return { users = 1 }", 1.0).await;
        let failure = end.failure.unwrap();
        assert_eq!((failure.cause, failure.text.as_str()), (FailureCause::BadUse, "test.lua:2: no more"));
    }
}
