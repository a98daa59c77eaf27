//! Profiles that say how many iterations there are, with real shells, lanes and a journal.

use super::*;
use crate::load::Halt;
use crate::plan::{ArrivalsProfile, IterationsProfile, NamedProfile, ProfileEnd, Quota, Rate, RateStage, Spacing};
use crate::stats::snapshot::{ProfileKind, QuotaView};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

/// A start that names one of these has such a profile.
pub(super) fn profile_of(order: &StartOrder) -> Option<LoadProfile> {
    let quota = match order.script.as_deref() {
        Some("total") => Quota::Total(TOTAL),
        Some("each") => Quota::Each(EACH),
        Some("once") => Quota::Each(1),
        Some("several") => return Some(several()),
        _ => return None,
    };
    Some(LoadProfile::Iterations(IterationsProfile {
        users: order.users.unwrap_or(12),
        quota,
        start: Duration::ZERO,
        end: ProfileEnd::Hold,
    }))
}

/// One of each kind side by side, two of which end before the last.
fn several() -> LoadProfile {
    let named = |name: &str, profile| NamedProfile { name: name.into(), classes: Vec::new(), tags: BTreeMap::new(), profile };
    let end = ProfileEnd::StopAt(Duration::from_secs(5));
    let admin = IterationsProfile { users: 5, quota: Quota::Total(1_500), start: Duration::ZERO, end: ProfileEnd::Hold };
    let buy = ArrivalsProfile {
        stages: vec![RateStage { rate: Rate::per_second(100.0), over: Duration::ZERO }],
        end,
        spacing: Spacing::Poisson,
        max_users: Some(40),
        patience: Duration::from_millis(100),
    };
    LoadProfile::Several(vec![
        named("admin", LoadProfile::Iterations(admin)),
        named("browse", LoadProfile::plain(10, 5.0, Some(Duration::from_secs(7)))),
        named("buy", LoadProfile::Arrivals(buy).delayed(Duration::from_millis(500))),
    ])
}

/// Users that count the iterations that they begin.
#[derive(Debug, Clone, Default)]
struct Beginners {
    begun: Arc<AtomicU64>,
    /// No iteration ends as long as this says so.
    is_held: Arc<AtomicBool>,
}

impl Workload for Beginners {
    type Lane = Self;

    fn open_lane(&self, _context: LaneContext) -> Result<Self, String> {
        Ok(self.clone())
    }
}

impl LaneWorkload for Beginners {
    type User = Self;

    fn begin(&self, _zero: Instant) {}

    fn halt(&self) -> Option<Halt> {
        None
    }

    fn new_user(&self, _start: UserStart) -> Result<Self, String> {
        Ok(self.clone())
    }
}

impl VirtualUser for Beginners {
    async fn on_start(&mut self) -> Step {
        Step::default()
    }

    async fn iterate(&mut self) -> Step {
        self.begun.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(4)).await;
        while self.is_held.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(4)).await;
        }
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

impl Workshop for Beginners {
    type Workload = Self;

    fn workload(&self, _plan: &Plan) -> Result<Arc<Self>, OpenRefusal> {
        Ok(Arc::new(self.clone()))
    }

    fn renewal(&self, _plan: &Plan, before: &Self) -> Result<Arc<Self>, OpenRefusal> {
        Ok(Arc::new(before.clone()))
    }
}

fn beginner(address: &Arc<Address>, number: u32, begun: &Arc<AtomicU64>) -> WorkerShell {
    shell_of(address, number, Beginners { begun: begun.clone(), ..Beginners::default() })
}

fn shell_of(address: &Arc<Address>, number: u32, users: Beginners) -> WorkerShell {
    let config = WorkerConfig {
        id: WorkerId { host: format!("w{number}"), incarnation: number.into() },
        lanes: 1,
        floor: None,
        script: "test.lua".into(),
        fingerprint: String::new(),
        is_once: false,
        keeps_total: true,
    };
    WorkerShell::start(WorkerSetup { config, workshop: Arc::new(users), dialer: address.clone(), log_lines: None })
}

async fn cluster(state: Option<&std::path::Path>, workers: u32) -> Cluster {
    let (master, begun) = (master(state), Arc::<AtomicU64>::default());
    let address = Arc::new(Address { master: Mutex::new(master.links().clone()) });
    let workers: Vec<_> = (1..=workers).map(|number| beginner(&address, number, &begun)).collect();
    let count = workers.len();
    let cluster = Cluster { ends: master.ends(), master, address, workers, done: begun };
    cluster.until(|snapshot| snapshot.workers.iter().filter(|worker| worker.state == WorkerState::Ready).count() == count).await;
    cluster
}

impl Cluster {
    fn begun(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    async fn until_begun(&self, count: u64) {
        soon(async {
            while self.begun() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    async fn end_by_itself(&mut self) -> Arc<Ended> {
        tokio::time::timeout(Duration::from_secs(60), self.ends.changed()).await.expect("the iterations come to an end").unwrap();
        self.ends.borrow_and_update().clone().unwrap()
    }
}

fn of(script: &str, users: u32) -> StartOrder {
    StartOrder { script: Some(script.into()), users: Some(users), ..StartOrder::default() }
}

/// Goal: `begun + lost` is the total, no iteration is begun twice, and none is forgotten. Method: a worker is killed, one comes, the master is replaced by
/// another one with its journal, and one leaves in order, while users do all there is as fast as they can.
#[tokio::test]
async fn a_total_is_begun_once_though_workers_die_and_come_and_the_master_is_restarted() {
    let state = tempfile::tempdir().unwrap();
    let mut cluster = cluster(Some(state.path()), 4).await;
    cluster.handle().start(of("total", 12), "a test").await.unwrap();
    cluster.until_begun(1_500).await;
    soon(cluster.workers.remove(0).close()).await;
    cluster.workers.push(beginner(&cluster.address, 5, &cluster.done));
    cluster.until_begun(3_000).await;
    cluster.hand_over(|| super::master(Some(state.path()))).await;
    cluster.until_begun(4_500).await;
    let mut leaving = cluster.workers.remove(0);
    leaving.leave().await;
    assert_eq!(soon(leaving.end()).await, Some(WorkerEnd::Whole));
    let ended = cluster.end_by_itself().await;

    let quota = ended.last.quota.unwrap();
    assert_eq!((quota.begun + quota.lost, quota.left()), (TOTAL, 0), "{quota:?}");
    // Some of the lost ones were begun in truth: nobody was told.
    assert!((quota.begun..=TOTAL).contains(&cluster.begun()), "{quota:?}, and {} in truth", cluster.begun());
    assert!(quota.lost > 0 && quota.lost < TOTAL / 4, "{quota:?}");
    cluster.close().await;
}

/// Goal: the sum is right to the unit where nobody dies. Method: users move to a worker that comes, and from one that leaves in order.
#[tokio::test]
async fn each_users_iterations_are_done_to_the_unit_wherever_users_move() {
    let mut cluster = cluster(None, 2).await;
    cluster.handle().start(of("each", 9), "a test").await.unwrap();
    cluster.until_begun(300).await;
    let [more, other] =
        [(Some(20), None), (None, Some(Rate::per_second(5.0)))].map(|(users, rate)| StartOrder { users, rate, ..StartOrder::default() });
    for order in [more, other] {
        let declined = cluster.handle().start(order, "a test").await.unwrap_err().reason;
        assert!(declined.starts_with("a run of iterations ends by itself when they are done"), "{declined}");
    }
    let coming = cluster.until(|snapshot| snapshot.quota.is_some_and(|quota| quota.begun > 0)).await;
    assert_eq!(coming.quota.map(|quota| quota.total), Some(9 * u64::from(EACH)));
    cluster.workers.push(beginner(&cluster.address, 3, &cluster.done));
    cluster.until(|snapshot| snapshot.workers.iter().all(|worker| worker.users == 3)).await;
    let mut leaving = cluster.workers.remove(0);
    leaving.leave().await;
    assert_eq!(soon(leaving.end()).await, Some(WorkerEnd::Whole));
    let ended = cluster.end_by_itself().await;
    let total = 9 * u64::from(EACH);
    assert_eq!((ended.last.quota, cluster.begun()), (Some(QuotaView { total, begun: total, lost: 0 }), total));
    assert!(ended.end.is_complete && ended.end.failure.is_none(), "{:?}", ended.end);
    cluster.close().await;
}

/// Goal: users that come to a worker when all iterations are given out leave. Method: a worker comes while the only other one's users are each in their
/// only iteration, after which none of them asks for another.
#[tokio::test]
async fn users_that_moved_to_a_worker_that_comes_late_leave_when_nothing_is_left_for_them() {
    let mut cluster = cluster(None, 0).await;
    let users = Beginners { begun: cluster.done.clone(), is_held: Arc::new(AtomicBool::new(true)) };
    cluster.workers.push(shell_of(&cluster.address, 1, users.clone()));
    cluster.until(|snapshot| snapshot.workers.iter().any(|worker| worker.state == WorkerState::Ready)).await;
    cluster.handle().start(of("once", 6), "a test").await.unwrap();
    cluster.until_begun(6).await;
    cluster.workers.push(shell_of(&cluster.address, 2, users.clone()));
    // Its users may have left again before anybody could see them.
    cluster.until(|snapshot| snapshot.workers.iter().filter(|worker| worker.state == WorkerState::Running).count() == 2).await;
    users.is_held.store(false, Ordering::Relaxed);
    let ended = cluster.end_by_itself().await;
    assert_eq!((ended.last.quota, cluster.begun()), (Some(QuotaView { total: 6, begun: 6, lost: 0 }), 6));
    assert!(ended.end.is_complete && ended.end.failure.is_none(), "{:?}", ended.end);
    cluster.close().await;
}

/// Goal: what holds of one profile holds of each of several: `begun + lost` is its total, `started + dropped + lost` what was due, no user is too many.
/// Method: one worker is killed and one comes, while all of them run.
#[tokio::test]
async fn of_several_profiles_each_has_its_whole_account_though_a_worker_dies_and_one_comes() {
    let mut cluster = cluster(None, 3).await;
    cluster.handle().start(of("several", 1), "a test").await.unwrap();
    let level = cluster.until(|snapshot| snapshot.profiles.get(1).is_some_and(|browse| browse.users == Some(10))).await;
    assert_eq!((level.profiles[1].target_users, level.profiles[0].kind), (10, ProfileKind::Iterations));
    soon(cluster.workers.remove(0).close()).await;
    cluster.workers.push(beginner(&cluster.address, 5, &cluster.done));
    let ended = cluster.end_by_itself().await;
    let [admin, browse, buy] = &ended.last.profiles[..] else { panic!("{:?}", ended.last.profiles) };
    let quota = admin.quota.unwrap();
    assert_eq!((quota.begun + quota.lost, quota.left(), ended.last.quota), (1_500, 0, Some(quota)), "{quota:?}");
    assert_eq!((browse.quota, browse.arrivals.due), (None, 0));
    let arrivals = &buy.arrivals;
    let dropped: u64 = arrivals.dropped.iter().map(|(_, count)| count).sum();
    assert_eq!(arrivals.started + dropped + arrivals.lost, arrivals.due, "{arrivals:?}");
    // In 4.5 s, by chance; what a worker that dies leaves before others have its slots is lost.
    assert!((350..=550).contains(&arrivals.due) && arrivals.lost > 0 && arrivals.lost < arrivals.due, "{arrivals:?}");
    assert_eq!((ended.last.arrivals.due, ended.last.arrivals.lost), (arrivals.due, arrivals.lost));
    assert_eq!(ended.last.elapsed.as_secs(), 7, "the last profile ends the run");
    let finished: u64 = ended.last.profiles.iter().map(|profile| profile.iterations.count).sum();
    assert_eq!(finished, ended.last.times.iterations.count);
    cluster.close().await;
}

#[tokio::test]
async fn clearing_the_statistics_takes_no_iteration_away_and_gives_none_anew() {
    let mut cluster = cluster(None, 1).await;
    cluster.handle().start(of("each", 3), "a test").await.unwrap();
    cluster.until(|snapshot| snapshot.quota.is_some_and(|quota| quota.begun > 0)).await;
    cluster.handle().reset("a test").await.unwrap();
    let ended = cluster.end_by_itself().await;
    let total = 3 * u64::from(EACH);
    assert_eq!((ended.last.quota, cluster.begun()), (Some(QuotaView { total, begun: total, lost: 0 }), total));
    assert!(ended.last.times.iterations.count < total, "the statistics begin anew");
    cluster.close().await;
}

#[tokio::test]
async fn a_master_that_knows_of_no_number_given_out_gives_none_and_says_why_the_rest_is_not_begun() {
    let mut cluster = cluster(None, 1).await;
    cluster.handle().start(of("total", 12), "a test").await.unwrap();
    cluster.until_begun(300).await;
    cluster.hand_over(|| super::master(None)).await;
    let ended = cluster.end_by_itself().await;
    let quota = ended.last.quota.unwrap();
    assert_eq!((quota.begun, quota.lost), (cluster.begun(), 0));
    assert!(quota.left() > 0);
    assert!(ended.last.warnings.iter().any(|warning| warning.contains("none is given out any more")), "{:?}", ended.last.warnings);
    cluster.close().await;
}

const TOTAL: u64 = 9_000;
const EACH: u32 = 600;
