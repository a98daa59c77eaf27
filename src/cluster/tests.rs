//! Both shells in one process, joined by in-memory links, with users that only sleep and count what they do.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{mpsc, watch};

use super::handle::MasterHandle;
use super::journal::Journal;
use super::link::{Dialer, MasterLinks, MemoryDialer, WorkerLinks};
use super::local::LocalRun;
use super::logs::LogFeed;
use super::master::{FailureCause, MasterConfig, RunFailure, RunStart};
use super::message::{LogLine, OrphanRules, WorkerId};
use super::planner::{BY_HAND, Declined, Planned, Planner, ScriptView};
use super::serve_master::{Ended, MasterSetup, MasterShell};
use super::serve_worker::{WorkerSetup, WorkerShell, Workshop};
use super::worker::{OpenRefusal, WorkerConfig, WorkerEnd};
use crate::load::{Halt, LaneContext, LaneWorkload, Step, UserStart, VirtualUser, Workload};
use crate::plan::{LoadProfile, Plan, Purpose, RunId, StartOrder};
use crate::stats::snapshot::{ClassShare, RunState, Snapshot, WorkerState};

mod iterations;
mod revising;
mod rows;

/// Counts the iterations of all its users.
#[derive(Debug, Default)]
struct Counted {
    done: Arc<AtomicU64>,
}

struct Lane {
    done: Arc<AtomicU64>,
    context: LaneContext,
}

struct User {
    done: Arc<AtomicU64>,
    context: LaneContext,
}

impl Workload for Counted {
    type Lane = Lane;

    fn open_lane(&self, context: LaneContext) -> Result<Lane, String> {
        Ok(Lane { done: self.done.clone(), context })
    }
}

impl LaneWorkload for Lane {
    type User = User;

    fn begin(&self, _zero: Instant) {}

    fn halt(&self) -> Option<Halt> {
        None
    }

    fn new_user(&self, _start: UserStart) -> Result<User, String> {
        Ok(User { done: self.done.clone(), context: self.context.clone() })
    }
}

impl VirtualUser for User {
    async fn on_start(&mut self) -> Step {
        Step::default()
    }

    async fn iterate(&mut self) -> Step {
        tokio::time::sleep(Duration::from_millis(5)).await;
        self.done.fetch_add(1, Ordering::Relaxed);
        self.context.recorder.borrow_mut().check("done", true);
        Step { requests: 1, answered: 1, yielded: true, ..Step::default() }
    }

    async fn on_stop(&mut self) -> Step {
        Step::default()
    }

    fn think_time(&mut self, _ended: std::time::Instant) -> Duration {
        Duration::ZERO
    }

    fn rest(&mut self, _pause: Duration) {}
}

impl Workshop for Counted {
    type Workload = Self;

    fn workload(&self, plan: &Plan) -> Result<Arc<Self>, OpenRefusal> {
        if plan.script == "broken.lua" {
            return Err(OpenRefusal { text: "broken.lua:1: no".into(), differs: None });
        }
        Ok(Arc::new(Self { done: self.done.clone() }))
    }

    fn renewal(&self, plan: &Plan, _before: &Self) -> Result<Arc<Self>, OpenRefusal> {
        self.workload(plan)
    }
}

/// Plans a run with another name for each start.
#[derive(Debug, Default)]
struct TestPlanner {
    runs: AtomicU64,
    /// How many plans are of the scripts before; of those after them.
    behind: AtomicU64,
}

impl Planner for TestPlanner {
    fn plan(&self, order: &StartOrder) -> Result<Planned, String> {
        if order.script.as_deref() == Some("absent") {
            return Err("there is no script `absent`".into());
        }
        let run = RunId(self.runs.fetch_add(1, Ordering::Relaxed) + 1);
        let plain = LoadProfile::plain(order.users.unwrap_or(4), order.spawn_rate.unwrap_or(1e6), order.run_time);
        let profile = iterations::profile_of(order).unwrap_or(plain);
        let script = order.script.clone().unwrap_or_else(|| "test.lua".into());
        let host = Some(order.host.clone().unwrap_or_else(|| "http://a".into()));
        let mut plan = Plan { run, script, host, ..Plan::for_tests(profile) };
        if order.scripts_fingerprint.is_some() {
            let is_behind = self.behind.fetch_add(1, Ordering::Relaxed) < 2;
            plan.fingerprint = (if is_behind { "aaaaaaaaaaaa" } else { "bbbbbbbbbbbb" }).into();
        }
        let plan = Arc::new(plan);
        Ok(Planned { start: RunStart { plan, thresholds: Vec::new(), wall: SystemTime::now() }, words: "as ordered".into() })
    }

    fn revision(&self, _order: &StartOrder) -> Result<Planned, String> {
        Err(revising::REFUSED.into())
    }

    fn scripts(&self) -> Vec<ScriptView> {
        let classes = vec![ClassShare { name: "Planned".into(), ratio: 1.0, ..ClassShare::default() }];
        vec![ScriptView { name: "test.lua".into(), is_default: true, classes, ..ScriptView::default() }]
    }
}

/// Dials whatever master there is at the moment.
struct Address {
    master: Mutex<MasterLinks>,
}

impl Dialer for Address {
    async fn dial(&self, links: WorkerLinks) -> Result<(), String> {
        let master = self.master.lock().unwrap().clone();
        MemoryDialer { master }.dial(links).await
    }
}

/// A cluster in this process.
struct Cluster {
    master: MasterShell,
    address: Arc<Address>,
    workers: Vec<WorkerShell>,
    done: Arc<AtomicU64>,
    ends: watch::Receiver<Option<Arc<Ended>>>,
}

impl Cluster {
    async fn of(workers: u32) -> Self {
        let master = master(None);
        let done = Arc::<AtomicU64>::default();
        let address = Arc::new(Address { master: Mutex::new(master.links().clone()) });
        let workers: Vec<_> = (1..=workers).map(|number| worker(&address, number, &done)).collect();
        let cluster = Self { ends: master.ends(), master, address, workers, done };
        let count = cluster.workers.len();
        cluster.until(|snapshot| snapshot.workers.iter().filter(|worker| worker.state == WorkerState::Ready).count() == count).await;
        cluster
    }

    fn handle(&self) -> &MasterHandle {
        self.master.handle()
    }

    /// The first snapshot for which `holds`.
    async fn until(&self, holds: impl FnMut(&Arc<Snapshot>) -> bool) -> Arc<Snapshot> {
        let mut snapshots = self.handle().snapshots();
        soon(snapshots.wait_for(holds)).await.unwrap().clone()
    }

    async fn end(&mut self) -> Arc<Ended> {
        soon(self.ends.changed()).await.unwrap();
        self.ends.borrow_and_update().clone().unwrap()
    }

    /// Another master, at the same address, in place of the one that hands over.
    async fn hand_over(&mut self, next: impl FnOnce() -> MasterShell) {
        // The journal is the next one's only when this one has let go of it.
        soon(std::mem::replace(&mut self.master, master(None)).hand_over()).await;
        soon(std::mem::replace(&mut self.master, next()).close()).await;
        *self.address.master.lock().unwrap() = self.master.links().clone();
        self.ends = self.master.ends();
    }

    async fn close(self) {
        for worker in self.workers {
            soon(worker.close()).await;
        }
        soon(self.master.close()).await;
    }
}

/// A master, with a journal in `state`.
fn master(state: Option<&std::path::Path>) -> MasterShell {
    let config = MasterConfig {
        orphan: OrphanRules::default(),
        skew_timeout: Duration::from_secs(5),
        allows_skew: false,
        adopts: true,
        has_journal: false,
    };
    let (journal, kept) = state.map(|state| Journal::open(state).unwrap()).unzip();
    MasterShell::start(MasterSetup {
        config,
        planner: Arc::<TestPlanner>::default(),
        journal,
        kept: kept.flatten(),
        logs: LogFeed::default(),
    })
}

fn worker(address: &Arc<Address>, number: u32, done: &Arc<AtomicU64>) -> WorkerShell {
    let config = WorkerConfig {
        id: WorkerId { host: format!("w{number}"), incarnation: number.into() },
        lanes: 1,
        floor: None,
        script: "test.lua".into(),
        fingerprint: String::new(),
        is_once: false,
        keeps_total: true,
    };
    let workshop = Arc::new(Counted { done: done.clone() });
    let (lines, inbox) = mpsc::channel(1);
    let text = format!("worker {number} is up");
    lines.try_send(LogLine { wall: SystemTime::now(), level: log::Level::Info, target: "test".into(), text }).unwrap();
    WorkerShell::start(WorkerSetup { config, workshop, dialer: address.clone(), log_lines: Some(inbox) })
}

/// A test that would wait for ever fails instead.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it happens soon")
}

fn users(users: u32) -> StartOrder {
    StartOrder { users: Some(users), ..StartOrder::default() }
}

fn counted(snapshot: &Snapshot) -> u64 {
    snapshot.checks.iter().map(|check| check.passes).sum()
}

#[tokio::test]
async fn a_run_is_shared_by_two_workers_and_every_count_of_theirs_arrives() {
    let mut cluster = Cluster::of(2).await;
    let first = cluster.handle().start(users(10), "a test").await.unwrap();
    assert_eq!((first.host.as_deref(), first.words.as_str()), (Some("http://a"), "as ordered"));
    let full = cluster.until(|snapshot| snapshot.users == 10).await;
    let shares: Vec<_> = full.workers.iter().map(|worker| worker.users).collect();
    assert_eq!((shares, full.target_users, full.state), (vec![5, 5], 10, RunState::Running));
    cluster.handle().stop("a test").await.unwrap();
    let ended = cluster.end().await;
    assert_eq!((ended.run, ended.end.is_complete, &ended.end.failure), (first.run, true, &None));
    assert_eq!((counted(&ended.last), ended.last.state), (cluster.done.load(Ordering::Relaxed), RunState::Stopped));
    assert!(counted(&ended.last) > 0);

    cluster.done.store(0, Ordering::Relaxed);
    let second = cluster.handle().start(users(3), "a test").await.unwrap();
    assert_ne!(second.run, first.run);
    cluster.until(|snapshot| snapshot.run == second.run && snapshot.users == 3).await;
    cluster.handle().cut("a test").await.unwrap();
    let ended = cluster.end().await;
    assert!(ended.end.is_complete);
    assert_eq!(counted(&ended.last), cluster.done.load(Ordering::Relaxed));
    cluster.close().await;
}

#[tokio::test]
async fn a_run_that_its_script_steers_wrongly_is_cut_and_is_bad_use() {
    let mut cluster = Cluster::of(2).await;
    cluster.handle().start(users(4), "").await.unwrap();
    cluster.until(|snapshot| snapshot.users == 4).await;
    cluster.handle().misuse("test.lua:3: no".into()).await.unwrap();
    let ended = cluster.end().await;
    let failure = RunFailure { cause: FailureCause::BadUse, text: "test.lua:3: no".into() };
    assert_eq!((ended.end.failure.as_ref(), ended.end.is_complete), (Some(&failure), true));
    cluster.close().await;
}

#[tokio::test]
async fn a_start_during_a_run_changes_its_users_and_nothing_else() {
    let mut cluster = Cluster::of(2).await;
    let run = cluster.handle().start(users(4), "").await.unwrap().run;
    cluster.until(|snapshot| snapshot.users == 4).await;
    let more = cluster.handle().start(users(9), "").await.unwrap();
    assert_eq!((more.run, more.words.as_str()), (run, "users: 9 at 1000000 per second, as before; the run goes on"));
    cluster.until(|snapshot| snapshot.users == 9).await;
    let decline = |order| async { cluster.handle().start(order, "").await.unwrap_err().reason };
    let other_host = StartOrder { host: Some("http://b".into()), ..users(1) };
    assert_eq!(decline(other_host).await, "a run against `http://a` is under way: stop it before one against `http://b` begins");
    let other_script = StartOrder { script: Some("other".into()), ..users(1) };
    assert_eq!(decline(other_script).await, "a run of `test` is under way: stop it before one of `other` begins");
    assert!(decline(StartOrder::default()).await.starts_with("a run is under way: say how many users"));
    let new_run = StartOrder { purpose: Purpose::NewRun, ..users(1) };
    assert_eq!(decline(new_run).await, "a run is under way: stop it first, or re-target it");
    let retarget = StartOrder { purpose: Purpose::Retarget, ..users(9) };
    assert_eq!(cluster.handle().start(retarget, "").await.unwrap().run, run);
    let steers = StartOrder { purpose: Purpose::Steer, ..users(5) };
    assert_eq!(cluster.handle().start(steers, "").await.unwrap_err().reason, BY_HAND, "what people say stands");
    let same_host = StartOrder { host: Some("http://a/".into()), ..users(2) };
    assert!(cluster.handle().start(same_host, "").await.is_ok());
    cluster.until(|snapshot| snapshot.users == 2).await;
    cluster.handle().stop("").await.unwrap();
    assert_eq!(cluster.end().await.run, run);
    cluster.close().await;
}

#[tokio::test]
async fn in_a_pause_the_clock_goes_on_and_no_iteration_begins_not_even_in_a_worker_that_comes_then() {
    let mut cluster = Cluster::of(1).await;
    assert_eq!(cluster.handle().pause("").await.unwrap_err().reason, "no run is under way");
    let run = cluster.handle().start(users(6), "").await.unwrap().run;
    cluster.until(|snapshot| snapshot.users == 6 && counted(snapshot) > 0).await;
    assert_eq!(cluster.handle().pause("").await.unwrap().run, run);
    let paused = cluster.until(|snapshot| snapshot.state == RunState::Paused).await;
    let joiner = worker(&cluster.address, 2, &cluster.done);
    cluster.workers.push(joiner);
    // What had begun has ended well before the next second of the clock.
    let later = |from: &Snapshot| from.elapsed + Duration::from_millis(1_500);
    cluster.until(|snapshot| snapshot.elapsed > later(&paused) && snapshot.users == 6).await;
    let still = cluster.done.load(Ordering::Relaxed);
    let stood = cluster.until(|snapshot| snapshot.elapsed > later(&paused) + Duration::from_secs(1)).await;
    assert_eq!((cluster.done.load(Ordering::Relaxed), counted(&stood), stood.users), (still, still, 6));
    cluster.handle().resume("").await.unwrap();
    let on = cluster.until(|snapshot| counted(snapshot) > still && snapshot.state == RunState::Running).await;
    assert_eq!((on.run, on.users), (run, 6));
    cluster.handle().pause("").await.unwrap();
    cluster.until(|snapshot| snapshot.state == RunState::Paused).await;
    cluster.handle().stop("").await.unwrap();
    let ended = cluster.end().await;
    assert_eq!((ended.end.is_complete, counted(&ended.last)), (true, cluster.done.load(Ordering::Relaxed)));
    cluster.close().await;
}

#[tokio::test]
async fn the_lines_of_all_workers_are_in_the_masters_log_under_their_names() {
    let cluster = Cluster::of(2).await;
    let logs = cluster.handle().logs().clone();
    let mut newest = logs.watch();
    soon(newest.wait_for(|newest| *newest == 2)).await.unwrap();
    let mut told: Vec<_> = logs.after(0, 10).lines.iter().map(|line| (line.source.clone(), line.text.clone())).collect();
    told.sort();
    let of = |number: u128| (WorkerId { host: format!("w{number}"), incarnation: number }.to_string(), format!("worker {number} is up"));
    assert_eq!(told, [of(1), of(2)]);
    cluster.close().await;
}

#[tokio::test]
async fn classes_are_the_default_scripts_before_a_run_and_the_runs_own_from_then_on() {
    let mut cluster = Cluster::of(1).await;
    let names = |classes: Vec<ClassShare>| classes.into_iter().map(|class| class.name).collect::<Vec<_>>();
    assert_eq!(names(cluster.handle().tasks().await), ["Planned"]);
    assert_eq!(cluster.handle().scripts().await.unwrap()[0].name, "test.lua");
    cluster.handle().start(users(1), "").await.unwrap();
    let running = cluster.until(|snapshot| snapshot.users == 1).await;
    assert_eq!((running.script.as_str(), running.fingerprint.as_str()), ("test.lua", ""));
    assert_eq!(names(cluster.handle().tasks().await), ["User"]);
    cluster.handle().stop("").await.unwrap();
    cluster.end().await;
    cluster.close().await;
}

#[tokio::test]
async fn a_start_while_a_run_stops_waits_for_its_end() {
    let mut cluster = Cluster::of(1).await;
    let first = cluster.handle().start(users(2), "").await.unwrap();
    cluster.until(|snapshot| snapshot.users == 2).await;
    cluster.handle().stop("").await.unwrap();
    let second = soon(cluster.handle().start(users(3), "")).await.unwrap();
    assert_ne!(first.run, second.run);
    assert_eq!(cluster.end().await.run, first.run);
    cluster.until(|snapshot| snapshot.run == second.run && snapshot.users == 3).await;
    cluster.handle().stop("").await.unwrap();
    cluster.end().await;
    cluster.close().await;
}

#[tokio::test]
async fn what_cannot_be_started_is_declined_in_words() {
    let cluster = Cluster::of(0).await;
    let decline = |order| async { cluster.handle().start(order, "").await.unwrap_err() };
    assert!(decline(users(1)).await.reason.starts_with("no worker is connected"));
    let retarget = StartOrder { purpose: Purpose::Retarget, ..users(1) };
    assert_eq!(decline(retarget).await.reason, "no run is under way: start one");
    let absent = StartOrder { script: Some("absent".into()), ..StartOrder::default() };
    assert_eq!(decline(absent).await, Declined { reason: "there is no script `absent`".into() });
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let order = StartOrder { spawn_rate: Some(rate), ..users(1) };
        assert_eq!(decline(order).await.reason, "a start needs at least one user, and a spawn rate above zero");
    }
    cluster.close().await;
}

#[tokio::test]
async fn a_start_waits_for_the_scripts_that_it_names() {
    let mut cluster = Cluster::of(1).await;
    let asked = Instant::now();
    let start = |fingerprint: &str| StartOrder { scripts_fingerprint: Some(fingerprint.into()), ..users(1) };
    let run = cluster.handle().start(start("bbbbbbbb"), "a test").await.unwrap().run;
    assert!(asked.elapsed() >= Duration::from_secs(2), "two plans were of the scripts before");
    cluster.until(|snapshot| snapshot.users == 1).await;
    let declined = cluster.handle().start(start("cccccccc"), "a test").await.unwrap_err();
    assert!(declined.reason.starts_with("a run of the scripts as of bbbbbbbbbbbb is under way"), "{declined:?}");
    cluster.handle().stop("a test").await.unwrap();
    assert_eq!(cluster.end().await.run, run);
    let declined = cluster.handle().start(start("cccccccc"), "a test").await.unwrap_err();
    assert!(declined.reason.contains("it has test.lua as of bbbbbbbbbbbb"), "{declined:?}");
    cluster.close().await;
}

#[tokio::test]
async fn a_script_that_a_worker_cannot_open_ends_the_run_with_the_reason() {
    let mut cluster = Cluster::of(1).await;
    let broken = StartOrder { script: Some("broken.lua".into()), ..users(1) };
    cluster.handle().start(broken, "").await.unwrap();
    let failure = cluster.end().await.end.failure.clone().unwrap();
    assert!(failure.text.contains("broken.lua:1: no"), "{failure:?}");
    cluster.close().await;
}

#[tokio::test]
async fn a_worker_that_leaves_hands_in_its_numbers_and_others_take_its_users() {
    let mut cluster = Cluster::of(2).await;
    cluster.handle().start(users(6), "").await.unwrap();
    cluster.until(|snapshot| snapshot.users == 6).await;
    let mut leaver = cluster.workers.remove(0);
    leaver.leave().await;
    assert_eq!(soon(leaver.end()).await, Some(WorkerEnd::Whole));
    cluster.until(|snapshot| snapshot.workers.iter().any(|worker| worker.users == 6)).await;
    cluster.handle().stop("").await.unwrap();
    let ended = cluster.end().await;
    assert!(ended.end.is_complete);
    assert_eq!(counted(&ended.last), cluster.done.load(Ordering::Relaxed));
    cluster.close().await;
}

#[tokio::test]
async fn a_worker_that_comes_in_mid_run_gets_its_share() {
    let mut cluster = Cluster::of(1).await;
    cluster.handle().start(users(8), "").await.unwrap();
    cluster.until(|snapshot| snapshot.users == 8).await;
    let joiner = worker(&cluster.address, 2, &cluster.done);
    cluster.workers.push(joiner);
    let shared = cluster.until(|snapshot| snapshot.workers.len() == 2 && snapshot.workers.iter().all(|worker| worker.users == 4)).await;
    assert_eq!(shared.users, 8);
    cluster.handle().stop("").await.unwrap();
    let ended = cluster.end().await;
    assert_eq!((ended.end.is_complete, counted(&ended.last)), (true, cluster.done.load(Ordering::Relaxed)));
    cluster.close().await;
}

#[tokio::test]
async fn the_next_master_has_the_run_with_the_numbers_of_who_left_before() {
    let state = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::of(0).await;
    cluster.hand_over(|| master(Some(state.path()))).await;
    cluster.workers = (1..=2).map(|number| worker(&cluster.address, number, &cluster.done)).collect();
    cluster.until(|snapshot| snapshot.workers.len() == 2).await;
    let run = cluster.handle().start(users(4), "").await.unwrap().run;
    cluster.until(|snapshot| snapshot.users == 4).await;
    let mut leaver = cluster.workers.remove(0);
    leaver.leave().await;
    assert_eq!(soon(leaver.end()).await, Some(WorkerEnd::Whole));
    cluster.hand_over(|| master(Some(state.path()))).await;
    let adopted = cluster.until(|snapshot| snapshot.users == 4).await;
    assert_eq!(adopted.run, run);
    cluster.handle().stop("").await.unwrap();
    let ended = cluster.end().await;
    assert_eq!((ended.run, ended.end.is_complete, counted(&ended.last)), (run, true, cluster.done.load(Ordering::Relaxed)));
    cluster.close().await;
}

#[tokio::test]
async fn a_local_run_ends_by_its_plan_with_all_its_numbers() {
    let workload = Arc::new(Counted::default());
    let plan = Arc::new(Plan::for_tests(LoadProfile::plain(3, 1e6, Some(Duration::from_secs(2)))));
    let run =
        LocalRun::start(workload.clone(), RunStart { plan, thresholds: Vec::new(), wall: SystemTime::now() }, 2, None, LogFeed::default());
    let snapshots = run.handle.snapshots();
    let end = soon(run.end()).await;
    let last = snapshots.borrow().clone();
    assert_eq!((end.is_complete, end.failure, last.state), (true, None, RunState::Stopped));
    assert_eq!(counted(&last), workload.done.load(Ordering::Relaxed));
    assert!(counted(&last) > 0);
}
