//! Runs whose load functions of the script steer: asks them once a second, and has the master do what they say.
//!
//! | a function | then |
//! |---|---|
//! | returns another level than before | its profile is re-targeted; a rate is asked for a second ahead, so that all know it when it is to hold |
//! | returns nil | the users of its profile finish, as at a planned end; where it is the only one, those of the run |
//! | raises, runs away, returns nonsense | the run is cut, and ends as bad use |
//! | | somebody has given its profile another level: it is asked no more |
//!
//! A master that takes a run over holds the level that it had: what the function remembers died with the one before.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::cluster::handle::MasterHandle;
use crate::cluster::planner::BY_HAND;
use crate::plan::{LoadProfile, NamedProfile, Purpose, Rate, RunId, StartOrder};
use crate::script::{Helm, HelmView, SteeredProfile};
use crate::stats::snapshot::{RunState, Snapshot};

/// A run and what steers it.
#[derive(Debug, Clone)]
pub(super) struct Steered {
    pub(super) run: RunId,
    /// Every level is multiplied by this.
    pub(super) scale: f64,
    pub(super) helm: Helm,
    /// At least one: a run without any is not steered.
    pub(super) parts: Vec<SteeredPart>,
}

/// A profile of the run that a function steers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SteeredPart {
    /// Among those of the scenario.
    place: usize,
    /// None where it is the only one, and has none.
    name: Option<String>,
    /// The levels of its profile are rates, not numbers of users.
    is_open: bool,
    /// From then on it is steered.
    start: Duration,
    /// What was said of it last.
    level: Option<f64>,
}

impl SteeredPart {
    /// Of a profile of the scenario, whose profiles with names are `all`, as it stands in a run; `None` where it does not.
    pub(super) fn of(steered: &SteeredProfile, all: &[NamedProfile], of_run: &LoadProfile) -> Option<Self> {
        let name = all.get(steered.place).map(|named| named.name.clone());
        let part = match &name {
            Some(name) => &of_run.named().iter().find(|named| named.name == *name)?.profile,
            None => of_run,
        };
        Some(Self { place: steered.place, is_open: part.is_open(), start: steered.start, level: None, name })
    }

    /// The second of the run's clock for which its function is asked, when `second` has come: a rate has to be known to everybody before it holds.
    const fn asked_for(&self, second: u64) -> u64 {
        if self.is_open { second + 1 } else { second }
    }

    /// What makes `level` the profile's from `second` on.
    fn order(&self, level: f64, scale: f64, second: u64) -> StartOrder {
        let (level, order) = (level * scale, self.end(second));
        if self.is_open {
            StartOrder { rate: Some(Rate::per_second(level).max(Rate(1))), ..order }
        } else {
            // A cast saturates.
            StartOrder { users: Some(level.round().max(1.0) as u32), spawn_rate: Some(AT_ONCE), ..order }
        }
    }

    /// What ends the profile at `second`.
    fn end(&self, second: u64) -> StartOrder {
        let at = self.is_open.then(|| Duration::from_secs(second));
        StartOrder { purpose: Purpose::Steer, profile: self.name.clone(), at, ..StartOrder::default() }
    }

    /// In front of a line about it.
    fn words(&self) -> String {
        self.name.as_ref().map_or_else(String::new, |name| format!("profile `{name}`: "))
    }
}

/// Steers each run that begins, for as long as the master lives.
pub(super) async fn steer_all(mut runs: mpsc::Receiver<Steered>, master: MasterHandle) {
    while let Some(steered) = runs.recv().await {
        tokio::spawn(steer(steered, master.clone()));
    }
}

/// Steers one run from its begin to its end; returns if another one begins in its place, or nothing is left to steer.
pub(super) async fn steer(mut steered: Steered, master: MasterHandle) {
    let mut snapshots = master.snapshots();
    let before = snapshots.borrow().run;
    let mut asked = None;
    loop {
        let snapshot = snapshots.borrow_and_update().clone();
        let second = snapshot.elapsed.as_secs();
        match snapshot.state {
            _ if snapshot.run != steered.run && snapshot.run == before => {}
            _ if snapshot.run != steered.run => return,
            RunState::Stopping | RunState::Stopped => return,
            RunState::Spawning | RunState::Running if asked.is_none_or(|asked| second > asked) => {
                asked = Some(second);
                if let Err(why) = steer_parts(&mut steered, &snapshot, &master).await {
                    let _ = master.misuse(why).await;
                    return;
                }
                if steered.parts.is_empty() {
                    return;
                }
            }
            RunState::Ready | RunState::Waiting | RunState::Paused | RunState::Spawning | RunState::Running => {}
        }
        if snapshots.changed().await.is_err() {
            return;
        }
    }
}

/// Asks for each profile once, and does what is said; those that are steered no more are gone then.
async fn steer_parts(steered: &mut Steered, snapshot: &Snapshot, master: &MasterHandle) -> Result<(), String> {
    let mut left = Vec::new();
    for mut part in std::mem::take(&mut steered.parts) {
        let second = part.asked_for(snapshot.elapsed.as_secs());
        if second <= part.start.as_secs() {
            left.push(part);
            continue;
        }
        let wanted = steered.helm.ask(part.place, second, view(snapshot, part.name.as_deref())).await?;
        let asked = match wanted {
            Some(wanted) if part.level == Some(wanted) => None,
            Some(wanted) => Some(part.order(wanted, steered.scale, second)),
            None if part.name.is_none() && !part.is_open => {
                log::info!("scenario.shape ends the run");
                // A run that is over has nothing to end.
                let _ = master.stop("").await;
                return Ok(());
            }
            None => {
                log::info!("{}scenario.shape ends {}", part.words(), if part.name.is_some() { "it" } else { "the run" });
                Some(part.end(second))
            }
        };
        let declined = if let Some(order) = asked { master.start(order, "").await.err() } else { None };
        match declined {
            Some(declined) if declined.reason == BY_HAND => {
                log::info!("{}somebody has changed its load: scenario.shape steers it no more", part.words());
                continue;
            }
            Some(declined) => log::debug!("what scenario.shape says came too late: {declined}"),
            None => {}
        }
        if wanted.is_some() {
            part.level = wanted;
            left.push(part);
        }
    }
    steered.parts = left;
    Ok(())
}

fn view(snapshot: &Snapshot, profile: Option<&str>) -> HelmView {
    let total = &snapshot.total;
    let own = profile.and_then(|name| snapshot.profiles.iter().find(|profile| profile.name == name));
    HelmView {
        users: own.and_then(|profile| profile.users).unwrap_or(snapshot.users),
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
        let (end, levels) = run(&format!("scenario.shape(function(t) {body} end)"), scale, |snapshot| snapshot.goal_users).await;
        (end, levels.into_iter().filter(|level| *level > 0).collect())
    }

    /// Runs a script with this load; how it ended, and what `look` saw on the way, each time that it changed.
    async fn run<T: PartialEq + Send + 'static>(load: &str, scale: f64, look: fn(&Snapshot) -> T) -> (RunEnd, Vec<T>) {
        let source = format!(
            "local scenario, time = require 'scenario', require 'time' local U = scenario.user {{}} \
             U:task('t', function() time.sleep(0.01) end)\nreturn scenario {{ users = {{ U }}, load = {load} }}"
        );
        let host = Script::new(&source).load().unwrap();
        let description = host.description();
        let profile = description.profile.clone().unwrap().scaled(scale);
        let plan = Arc::new(Plan { classes: description.classes.clone(), ..Plan::for_tests(profile) });
        let start = RunStart { plan: Arc::clone(&plan), thresholds: Vec::new(), wall: SystemTime::now() };
        let run = LocalRun::start(Arc::new(host.workload()), start, 1, None, LogFeed::default());
        let helm = host.helm(&TagFilter::default()).unwrap();
        let all = description.profile.as_ref().unwrap().named();
        let parts = description.steered.iter().filter_map(|steered| SteeredPart::of(steered, all, &plan.profile)).collect();
        tokio::spawn(steer(Steered { run: plan.run, scale, helm, parts }, run.handle.clone()));
        let mut snapshots = run.handle.snapshots();
        let watching = tokio::spawn(async move {
            let mut levels = Vec::new();
            while snapshots.changed().await.is_ok() {
                let snapshot = snapshots.borrow_and_update().clone();
                levels.extend(Some(look(&snapshot)).filter(|level| levels.last() != Some(level)));
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
    async fn beside_others_a_function_steers_its_own_profile_and_ends_it_alone() {
        let load = "{ base = scenario.ramp { { users = 2 }, { hold = 7 } }, \
                    wave = scenario.shape(function(t) if t >= 5 then return nil end return { users = t + 3 } end, { start = 1 }) }";
        let goals = |snapshot: &Snapshot| {
            let of = |name: &str| snapshot.profiles.iter().find(|profile| profile.name == name).map_or(0, |profile| profile.goal_users);
            (of("base"), of("wave"), snapshot.elapsed.as_secs())
        };
        let (end, seen) = run(load, 1.0, goals).await;
        assert_eq!((end.is_complete, end.failure), (true, None));
        assert!(seen.iter().all(|(base, wave, _)| [0, 2].contains(base) && [0, 4, 5, 6, 7].contains(wave)), "{seen:?}");
        assert!(seen.iter().any(|(base, wave, _)| *base == 2 && *wave >= 5), "{seen:?}");
        // It is over before the other one, which ends the run.
        assert!(seen.iter().any(|(base, wave, second)| *base == 2 && *wave == 0 && *second >= 5), "{seen:?}");
        assert_eq!(seen.last().map(|seen| seen.2), Some(7), "{seen:?}");
    }

    #[tokio::test]
    async fn a_rate_that_a_function_says_holds_from_its_second_on() {
        let load = "scenario.shape(function(t) if t >= 4 then return nil end return { rate = t < 2 and 20 or 40 } end)";
        let (end, seen) = run(load, 1.0, |snapshot| (snapshot.arrivals.due, snapshot.planned)).await;
        assert_eq!((end.is_complete, end.failure), (true, None));
        let (due, ended) = *seen.last().unwrap();
        // 2 s of 20 and 2 s of 40. A machine that is busy with other tests may hear of one of them late.
        let late = ended.expect("it has a planned end").checked_sub(Duration::from_secs(4)).expect("it ends no earlier");
        let most = 120.0 + 40.0 * late.as_secs_f64();
        assert!(late < Duration::from_secs(1) && due >= 100 && due as f64 <= most.ceil(), "{due} due, {late:?} late");
    }

    #[tokio::test]
    async fn a_function_that_raises_in_mid_run_ends_it_as_bad_use_in_its_own_words() {
        let (end, _) = steered("if t >= 1 then error('no more') end return { users = 1 }", 1.0).await;
        let failure = end.failure.unwrap();
        assert_eq!((failure.cause, failure.text.as_str()), (FailureCause::BadUse, "test.lua:2: no more"));
    }
}
