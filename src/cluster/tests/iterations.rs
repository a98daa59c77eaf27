//! Profiles that say how many iterations there are, with real shells, lanes and a journal.

use super::*;
use crate::load::Halt;
use crate::plan::{IterationsProfile, ProfileEnd, Quota};
use crate::stats::snapshot::QuotaView;

/// A start that names one of these has such a profile.
pub(super) fn profile_of(order: &StartOrder) -> Option<LoadProfile> {
    let quota = match order.script.as_deref() {
        Some("total") => Quota::Total(TOTAL),
        Some("each") => Quota::Each(EACH),
        _ => return None,
    };
    Some(LoadProfile::Iterations(IterationsProfile { users: order.users.unwrap_or(12), quota, end: ProfileEnd::Hold }))
}

/// Users that count the iterations that they begin.
#[derive(Debug, Clone, Default)]
struct Beginners(Arc<AtomicU64>);

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
        self.0.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(4)).await;
        Step { requests: 1, answered: 1, yielded: true, ..Step::default() }
    }

    async fn on_stop(&mut self) -> Step {
        Step::default()
    }

    fn think_time(&mut self) -> Duration {
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
    let config = WorkerConfig {
        id: WorkerId { host: format!("w{number}"), incarnation: number.into() },
        lanes: 1,
        script: "test.lua".into(),
        fingerprint: String::new(),
        is_once: false,
        keeps_total: true,
    };
    WorkerShell::start(WorkerSetup { config, workshop: Arc::new(Beginners(begun.clone())), dialer: address.clone(), log_lines: None })
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
