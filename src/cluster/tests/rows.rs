//! Rows that are given out once, with real shells, lanes and a journal.

use super::*;
use crate::load::Halt;
use crate::load::stock::{Stock, Taken};

type Rows = Arc<Mutex<Vec<u64>>>;

/// Users that take rows until there are none.
#[derive(Debug)]
struct Takers {
    stock: Arc<Stock>,
    rows: Rows,
}

struct TakersLane {
    stock: Arc<Stock>,
    rows: Rows,
}

struct Taker {
    stock: Arc<Stock>,
    rows: Rows,
}

impl Workload for Takers {
    type Lane = TakersLane;

    fn open_lane(&self, _context: LaneContext) -> Result<TakersLane, String> {
        Ok(TakersLane { stock: self.stock.clone(), rows: self.rows.clone() })
    }

    fn stock(&self) -> Option<Arc<Stock>> {
        Some(self.stock.clone())
    }
}

impl LaneWorkload for TakersLane {
    type User = Taker;

    fn begin(&self, _zero: Instant) {}

    fn halt(&self) -> Option<Halt> {
        None
    }

    fn new_user(&self, _start: UserStart) -> Result<Taker, String> {
        Ok(Taker { stock: self.stock.clone(), rows: self.rows.clone() })
    }
}

impl VirtualUser for Taker {
    async fn on_start(&mut self) -> Step {
        Step::default()
    }

    async fn iterate(&mut self) -> Step {
        let step = Step { requests: 1, answered: 1, yielded: true, ..Step::default() };
        tokio::time::sleep(Duration::from_millis(4)).await;
        match self.stock.take("rows.csv", Some(ROWS), Instant::now()) {
            Taken::Row(row) => self.rows.lock().unwrap().push(row),
            Taken::Wait => self.stock.arrival().await,
            Taken::Over => return Step { ended: true, ..step },
            Taken::Unknown => panic!("the journal knows"),
        }
        step
    }

    async fn on_stop(&mut self) -> Step {
        Step::default()
    }

    fn think_time(&mut self, _ended: std::time::Instant) -> Duration {
        Duration::ZERO
    }

    fn rest(&mut self, _pause: Duration) {}
}

struct TakersShop {
    rows: Rows,
}

impl Workshop for TakersShop {
    type Workload = Takers;

    fn workload(&self, _plan: &Plan) -> Result<Arc<Takers>, OpenRefusal> {
        Ok(Arc::new(Takers { stock: Arc::default(), rows: self.rows.clone() }))
    }

    fn renewal(&self, _plan: &Plan, before: &Takers) -> Result<Arc<Takers>, OpenRefusal> {
        Ok(Arc::new(Takers { stock: before.stock.clone(), rows: self.rows.clone() }))
    }
}

fn taker(address: &Arc<Address>, number: u32, rows: &Rows) -> WorkerShell {
    let config = WorkerConfig {
        id: WorkerId { host: format!("w{number}"), incarnation: number.into() },
        lanes: 1,
        floor: None,
        script: "test.lua".into(),
        fingerprint: String::new(),
        is_once: false,
        keeps_total: true,
    };
    let workshop = Arc::new(TakersShop { rows: rows.clone() });
    WorkerShell::start(WorkerSetup { config, workshop, dialer: address.clone(), log_lines: None })
}

async fn until_taken(rows: &Rows, count: usize) {
    soon(async {
        while rows.lock().unwrap().len() < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Goal: no row is taken twice, and each that is not taken is named in the report. Method: a worker is killed, one leaves in order, one comes, and the
/// master is replaced by another one with its journal, while users take all rows as fast as they can.
#[tokio::test]
async fn each_row_is_taken_once_though_workers_die_and_come_and_the_master_is_restarted() {
    let state = tempfile::tempdir().unwrap();
    let rows = Rows::default();
    let master = master(Some(state.path()));
    let address = Arc::new(Address { master: Mutex::new(master.links().clone()) });
    let workers = (1..=4).map(|number| taker(&address, number, &rows)).collect();
    let mut cluster = Cluster { ends: master.ends(), master, address: address.clone(), workers, done: Arc::default() };
    cluster.until(|snapshot| snapshot.workers.iter().filter(|worker| worker.state == WorkerState::Ready).count() == 4).await;
    cluster.handle().start(users(12), "a test").await.unwrap();

    until_taken(&rows, 1_000).await;
    soon(cluster.workers.remove(0).close()).await;
    cluster.workers.push(taker(&address, 5, &rows));
    until_taken(&rows, 2_000).await;
    cluster.hand_over(|| super::master(Some(state.path()))).await;
    until_taken(&rows, 3_000).await;
    let mut leaving = cluster.workers.remove(0);
    leaving.leave().await;
    assert_eq!(soon(leaving.end()).await, Some(WorkerEnd::Whole));
    let ended = tokio::time::timeout(Duration::from_secs(60), cluster.end_at_last()).await.expect("the rows come to an end");

    let mut taken = rows.lock().unwrap().clone();
    taken.sort_unstable();
    assert!(taken.windows(2).all(|pair| pair[0] < pair[1]), "a row was taken twice");
    let missing: Vec<u64> = (0..ROWS).filter(|row| taken.binary_search(row).is_err()).collect();
    let named: Vec<(u64, u64)> = ended.last.warnings.iter().filter_map(|warning| named(warning)).collect();
    assert!(named.iter().map(|(from, to)| to - from + 1).sum::<u64>() <= ROWS / 64, "{named:?}");
    for row in missing {
        assert!(named.iter().any(|(from, to)| (*from..=*to).contains(&(row + 1))), "row {} is missing, and {named:?} are named", row + 1);
    }
    cluster.close().await;
}

/// The first and the last of the rows that a warning names.
fn named(warning: &str) -> Option<(u64, u64)> {
    let (from, rest) = warning.strip_prefix("rows ")?.split_once(" to ")?;
    let (to, _) = rest.split_once(" of `rows.csv` were in the hands")?;
    Some((from.parse().ok()?, to.parse().ok()?))
}

impl Cluster {
    async fn end_at_last(&mut self) -> Arc<Ended> {
        self.ends.changed().await.unwrap();
        self.ends.borrow_and_update().clone().unwrap()
    }
}

const ROWS: u64 = 8_000;
