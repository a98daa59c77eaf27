//! The master's table, row by row, without any I/O.

use std::sync::Arc;
use std::time::SystemTime;

use super::*;
use crate::cluster::message::{Delta, Followed, Hello, OrphanRules, Refusal, RunOrders, RunStanding, Scripts, WorkerId};
use crate::load::slots::SlotSet;
use crate::load::stock::IterationsBegun;
use crate::load::vitals::Vitals;
use crate::plan::{LoadProfile, Plan};
use crate::stats::recorder::{Limits, Recorder};
use crate::stats::sample::Sample;
use crate::stats::snapshot::{RunState, WorkerState};
use crate::stats::tally::Tally;

mod acts;
mod commons;
mod endings;
mod exhaustion;
mod giving;
mod holes;
mod kept;
mod levels;
mod revision;
mod scriptless;
mod shares;
mod takeover;
mod unmanned;
mod warmup;
mod windows;

/// A master, and the moment that it is.
struct Stand {
    master: Master,
    now: Instant,
    /// What it did since the last look.
    actions: Vec<Action>,
}

impl Stand {
    fn new() -> Self {
        Self::with(config())
    }

    fn with(config: MasterConfig) -> Self {
        let now = Instant::now();
        Self { master: Master::new(config, now), now, actions: Vec::new() }
    }

    fn message(&mut self, worker: u64, message: ToMaster) {
        let actions = self.master.on_message(LinkId(worker), message, self.now);
        self.actions.extend(actions);
    }

    fn hello(&mut self, worker: u64, standing: Option<RunStanding>) {
        self.message(worker, ToMaster::Hello(Box::new(hello(worker, standing))));
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += Duration::from_millis(50);
            let actions = self.master.on_tick(self.now);
            self.actions.extend(actions);
        }
    }

    /// Workers 1 to `count` make load for `users`.
    fn running(count: u64, users: u32) -> Self {
        Self::running_with(config(), count, users)
    }

    fn running_with(config: MasterConfig, count: u64, users: u32) -> Self {
        let mut stand = Self::with(config);
        (1..=count).for_each(|worker| stand.hello(worker, None));
        stand.start(users);
        (1..=count).for_each(|worker| stand.message(worker, ToMaster::Prepared { run: RunId(7), revision: 0 }));
        stand
    }

    fn start(&mut self, users: u32) {
        let plan = Plan { fingerprint: "abc".into(), ..Plan::for_tests(LoadProfile::plain(users, f64::from(users), None)) };
        let start = RunStart { plan: Arc::new(plan), thresholds: Vec::new(), wall: SystemTime::UNIX_EPOCH };
        let actions = self.master.on_start(start, self.now).unwrap();
        self.actions.extend(actions);
    }

    /// A beat of each of these workers, so that none is taken for lost.
    fn live(&mut self, time: Duration, workers: &[u64]) {
        for _ in 0..time.as_millis() / 500 {
            self.pass(Duration::from_millis(500));
            for worker in workers {
                self.message(*worker, ToMaster::Beat { sent: Duration::ZERO });
            }
        }
    }

    fn delta(&mut self, worker: u64, sequence: u64, requests: u64) {
        self.message(worker, ToMaster::Delta { sent: Duration::ZERO, delta: Arc::new(delta(sequence, requests)) });
    }

    fn last_delta(&mut self, worker: u64, sequence: u64) {
        let delta = Arc::new(Delta { is_last: true, ..delta(sequence, 0) });
        self.message(worker, ToMaster::Delta { sent: Duration::ZERO, delta });
    }

    fn sent(&mut self) -> Vec<(u64, ToWorker)> {
        let actions = std::mem::take(&mut self.actions);
        actions
            .into_iter()
            .filter_map(|action| if let Action::Send(link, message) = action { Some((link.0, message)) } else { None })
            .collect()
    }

    /// The latest orders of each worker, by worker.
    fn orders(&mut self) -> BTreeMap<u64, RunOrders> {
        let orders = |(link, message)| if let ToWorker::Orders(orders) = message { Some((link, orders)) } else { None };
        self.sent().into_iter().filter_map(orders).collect()
    }

    fn logged(&mut self) -> Vec<String> {
        let actions = std::mem::take(&mut self.actions);
        actions.into_iter().filter_map(|action| if let Action::Log(_, text) = action { Some(text) } else { None }).collect()
    }

    fn end(&mut self) -> Option<RunEnd> {
        let actions = std::mem::take(&mut self.actions);
        let mut ends = actions.into_iter().filter_map(|action| if let Action::Finish(end) = action { Some(end) } else { None });
        let end = ends.next();
        assert!(ends.next().is_none(), "two ends");
        end
    }

    fn requests(&self) -> u64 {
        self.master.snapshot(self.now).total.requests
    }

    fn state(&self) -> RunState {
        self.master.state(self.now)
    }
}

fn config() -> MasterConfig {
    MasterConfig {
        orphan: OrphanRules::default(),
        skew_timeout: Duration::from_secs(90),
        allows_skew: false,
        adopts: true,
        has_journal: false,
    }
}

fn id(worker: u64) -> WorkerId {
    WorkerId { host: format!("w{worker}"), incarnation: u128::from(worker) }
}

fn hello(worker: u64, standing: Option<RunStanding>) -> Hello {
    Hello {
        floor: None,
        worker: id(worker),
        version: "1".into(),
        lanes: 1,
        script: "main.lua".into(),
        fingerprint: "abc".into(),
        script_error: None,
        is_leaving: false,
        formerly: None,
        standing: standing.map(Box::new),
    }
}

fn delta(sequence: u64, requests: u64) -> Delta {
    Delta {
        run: RunId(7),
        epoch: 0,
        sequence,
        // Whatever was ordered, it is followed.
        generation: 1_000,
        tallies: vec![tally(sequence, requests)],
        users: 1,
        vitals: Vitals::default(),
        is_exhausted: false,
        is_last: false,
        panics: 0,
        lanes_lost: 0,
        lost_since: None,
        begun: IterationsBegun::default(),
        halt: None,
    }
}

fn tally(second: u64, requests: u64) -> Tally {
    let mut recorder = Recorder::new(Limits::default());
    let entry = recorder.entry("GET", "/");
    for _ in 0..requests {
        recorder.record(entry, &Sample { duration: Duration::from_millis(3), ..Sample::default() }, None);
    }
    recorder.take(second)
}

fn standing(slots: &SlotSet, elapsed: Duration, acknowledged: u64) -> RunStanding {
    let plan = Plan::for_tests(LoadProfile::plain(10, 10.0, None));
    RunStanding {
        orders: Some(Followed {
            generation: 5,
            phase: Phase::Run,
            has_stopped: false,
            profile: Arc::new(plan.profile.clone()),
            slots: Arc::new(slots.clone()),
            is_paused: false,
        }),
        plan: Arc::new(plan),
        epoch: 0,
        elapsed,
        wall: SystemTime::UNIX_EPOCH,
        acknowledged,
        is_finished: false,
    }
}

fn users(orders: &RunOrders, users: u64) -> u64 {
    (0..users).filter(|&index| orders.orders.slots.has_user(index)).count() as u64
}

#[test]
fn workers_are_welcomed_and_counted_as_in_the_walk_through() {
    let mut stand = Stand::new();
    stand.hello(1, None);
    stand.hello(2, None);
    let logged = stand.logged();
    assert_eq!(logged[1], format!("Client '{}' reported as ready. Currently 2 clients ready to swarm.", id(2)));
    assert_eq!((stand.master.worker_count(), stand.state()), (2, RunState::Ready));
}

#[test]
fn a_start_without_a_worker_is_declined() {
    let mut stand = Stand::new();
    let plan = Arc::new(Plan::for_tests(LoadProfile::plain(1, 1.0, None)));
    let start = RunStart { plan, thresholds: Vec::new(), wall: SystemTime::UNIX_EPOCH };
    assert!(stand.master.on_start(start, stand.now).unwrap_err().contains("no worker"));
}

#[test]
fn a_run_begins_when_all_workers_are_prepared_and_shares_its_users_evenly() {
    let mut stand = Stand::new();
    (1..=3).for_each(|worker| stand.hello(worker, None));
    stand.sent();
    stand.start(10);
    assert_eq!(stand.sent().iter().filter(|(_, message)| matches!(message, ToWorker::Prepare(_))).count(), 3);
    stand.message(1, ToMaster::Prepared { run: RunId(7), revision: 0 });
    stand.message(2, ToMaster::Prepared { run: RunId(7), revision: 0 });
    assert!(stand.orders().is_empty());
    assert_eq!(stand.state(), RunState::Waiting);
    stand.message(3, ToMaster::Prepared { run: RunId(7), revision: 0 });
    let orders = stand.orders();
    let mut counts: Vec<u64> = orders.values().map(|orders| users(orders, 10)).collect();
    counts.sort_unstable();
    assert_eq!(counts, [3, 3, 4]);
    assert_eq!(stand.state(), RunState::Spawning);
    stand.live(Duration::from_secs(1), &[1, 2, 3]);
    assert_eq!(stand.state(), RunState::Running);
}

#[test]
fn a_reset_while_workers_get_ready_orders_nobody_to_begin() {
    let mut stand = Stand::new();
    (1..=2).for_each(|worker| stand.hello(worker, None));
    stand.start(2);
    stand.message(1, ToMaster::Prepared { run: RunId(7), revision: 0 });
    let actions = stand.master.on_reset(stand.now);
    stand.actions.extend(actions);
    assert!(stand.orders().is_empty());
    stand.message(2, ToMaster::Prepared { run: RunId(7), revision: 0 });
    let orders = stand.orders();
    assert_eq!((orders.len(), orders[&1].epoch), (2, 1));
    assert!(orders[&1].zero > Duration::ZERO);
}

#[test]
fn a_worker_whose_script_differs_is_asked_again_and_named_when_time_is_up() {
    let mut stand = Stand::new();
    (1..=2).for_each(|worker| stand.hello(worker, None));
    stand.start(2);
    stand.message(1, ToMaster::Prepared { run: RunId(7), revision: 0 });
    let refusal = || ToMaster::Refused(Refusal { run: RunId(7), text: "has 123, not abc".into(), differs: Some("123".into()) });
    stand.message(2, refusal());
    stand.sent();
    stand.live(Duration::from_millis(1_500), &[1, 2]);
    assert!(stand.sent().iter().any(|(worker, message)| *worker == 2 && matches!(message, ToWorker::Prepare(_))));
    stand.message(2, refusal());
    assert_eq!(stand.master.snapshot(stand.now).workers[1].state, WorkerState::Differs);
    stand.live(Duration::from_secs(89), &[1, 2]);
    let failure = stand.end().unwrap().failure.unwrap();
    assert_eq!(failure.cause, FailureCause::BadUse);
    assert!(failure.text.contains(&id(2).to_string()) && !failure.text.contains(&id(1).to_string()), "{}", failure.text);
    assert_eq!(stand.state(), RunState::Stopped);
}

#[test]
fn a_worker_that_cannot_take_part_is_logged_once_for_each_reason_however_often_it_is_asked() {
    let mut stand = Stand::running(1, 10);
    for (worker, differs) in [(2, Some("123".to_owned())), (3, None)] {
        stand.hello(worker, None);
        let mut said = 0;
        for second in 0..60 {
            let text = if second < 30 { "has 123, not abc" } else { "main.lua:3: oops" };
            stand.message(worker, ToMaster::Refused(Refusal { run: RunId(7), text: text.into(), differs: differs.clone() }));
            let about = |line: &&String| line.contains(&id(worker).to_string()) && line.contains(text);
            said += stand.logged().iter().filter(about).count();
            stand.live(Duration::from_secs(1), &[1, 2, 3]);
        }
        assert_eq!(said, 2);
    }
}

#[test]
fn a_worker_that_comes_round_lets_the_run_begin() {
    let mut stand = Stand::new();
    (1..=2).for_each(|worker| stand.hello(worker, None));
    stand.start(2);
    stand.message(1, ToMaster::Prepared { run: RunId(7), revision: 0 });
    stand.message(2, ToMaster::Refused(Refusal { run: RunId(7), text: String::new(), differs: Some("123".into()) }));
    stand.live(Duration::from_secs(2), &[1, 2]);
    stand.message(2, ToMaster::Prepared { run: RunId(7), revision: 0 });
    assert_eq!(stand.orders().len(), 2);
}

#[test]
fn a_worker_that_cannot_open_its_lanes_ends_the_start_with_its_words() {
    let mut stand = Stand::new();
    stand.hello(1, None);
    stand.start(2);
    stand.message(1, ToMaster::Refused(Refusal { run: RunId(7), text: "main.lua:3: oops".into(), differs: None }));
    let sent = stand.master.on_tick(stand.now);
    drop(sent);
    let failure = stand.end().unwrap().failure.unwrap();
    assert!(failure.cause == FailureCause::BadUse && failure.text.contains("main.lua:3: oops"));
}

#[test]
fn an_exception_names_the_workers_that_told_of_it_and_its_seconds() {
    let mut stand = Stand::running(2, 10);
    let mut raise = |worker, sequence, second| {
        let mut recorder = Recorder::new(Limits::default());
        recorder.exception("main.lua:3: oh", "traceback");
        let delta = Delta { tallies: vec![recorder.take(second)], ..delta(sequence, 0) };
        stand.message(worker, ToMaster::Delta { sent: Duration::ZERO, delta: Arc::new(delta) });
    };
    raise(2, 1, 5);
    raise(1, 1, 7);
    raise(2, 2, 6);
    let raised = &stand.master.snapshot(stand.now).exceptions[0];
    assert_eq!((&raised.nodes, raised.has_more_nodes), (&vec![id(2).to_string(), id(1).to_string()], false));
    let second = |second| Some(Duration::from_secs(second));
    assert_eq!((raised.count, raised.first_seen, raised.last_seen), (3, second(5), second(7)));
}

#[test]
fn deltas_are_merged_once_and_repeats_are_counted() {
    let mut stand = Stand::running(1, 1);
    stand.delta(1, 1, 5);
    stand.delta(1, 2, 6);
    stand.sent();
    stand.delta(1, 2, 6);
    assert_eq!(stand.requests(), 11);
    assert_eq!(stand.master.snapshot(stand.now).repeats, 1);
    assert!(matches!(stand.sent()[..], [(1, ToWorker::Answer(answer))] if answer.acknowledged == Some((RunId(7), 2))));
}

#[test]
fn a_gap_closes_the_link_and_nothing_is_merged() {
    let mut stand = Stand::running(1, 1);
    stand.actions.clear();
    stand.delta(1, 2, 5);
    assert_eq!(stand.requests(), 0);
    assert!(stand.actions.iter().any(|action| matches!(action, Action::CloseLink(LinkId(1)))));
}

#[test]
fn a_silent_workers_users_go_to_the_others_at_the_spawn_rate() {
    let mut stand = Stand::running(2, 10);
    stand.delta(1, 1, 1);
    stand.actions.clear();
    stand.live(Duration::from_secs(4), &[2]);
    let orders = stand.orders();
    assert_eq!(orders.keys().collect::<Vec<_>>(), [&2]);
    assert_eq!(users(&orders[&2], 10), 10);
    let handover = orders[&2].orders.handover.clone().unwrap();
    assert_eq!(handover.interval, Duration::from_millis(100));
    let snapshot = stand.master.snapshot(stand.now);
    assert_eq!(snapshot.workers[0].state, WorkerState::Lost);
    assert_eq!(snapshot.holes[0].from, Duration::from_secs(2), "second 1 is there");
}

#[test]
fn a_worker_whose_link_breaks_is_lost_within_a_second_unless_it_comes_back() {
    let mut stand = Stand::running(2, 10);
    stand.actions.clear();
    stand.master.on_link_gone(LinkId(1), stand.now);
    stand.pass(Duration::from_millis(900));
    assert_eq!(users(&stand.orders()[&2], 10), 10);
    let mut stand = Stand::running(2, 10);
    stand.master.on_link_gone(LinkId(1), stand.now);
    stand.actions.clear();
    stand.message(11, ToMaster::Hello(Box::new(hello(1, Some(standing(&SlotSet::all(), Duration::ZERO, 0))))));
    stand.pass(Duration::from_millis(900));
    assert!(stand.orders().keys().all(|worker| *worker == 11), "only the new link is told again");
}

#[test]
fn a_worker_that_comes_in_mid_run_takes_its_share_only() {
    let mut stand = Stand::running(2, 12);
    stand.hello(3, None);
    stand.actions.clear();
    stand.message(3, ToMaster::Prepared { run: RunId(7), revision: 0 });
    let orders = stand.orders();
    assert_eq!(orders.values().map(|orders| users(orders, 12)).collect::<Vec<_>>(), [4, 4, 4]);
    let moved = &orders[&3].orders.handover.as_ref().unwrap().moved;
    assert_eq!((0..12).filter(|&index| moved.has_user(index)).count(), 4);
}

#[test]
fn a_worker_that_leaves_hands_its_users_over_and_gets_its_farewell() {
    let mut stand = Stand::running(2, 10);
    stand.actions.clear();
    stand.message(1, ToMaster::Leaving);
    assert_eq!(users(&stand.orders()[&2], 10), 10);
    stand.last_delta(1, 1);
    stand.message(1, ToMaster::Goodbye);
    assert!(stand.sent().iter().any(|(worker, message)| *worker == 1 && matches!(message, ToWorker::Farewell)));
    assert_eq!(stand.master.snapshot(stand.now).workers[0].state, WorkerState::Left);
}

#[test]
fn with_a_journal_the_farewell_waits_until_the_numbers_are_kept() {
    let mut stand = Stand::running_with(MasterConfig { has_journal: true, ..config() }, 2, 10);
    stand.delta(1, 1, 9);
    stand.last_delta(1, 2);
    stand.actions.clear();
    stand.message(1, ToMaster::Goodbye);
    let kept = stand
        .actions
        .iter()
        .find_map(|action| if let Action::Keep(number, Record::Worker(kept)) = action { Some((*number, kept)) } else { None });
    let (number, kept) = kept.unwrap();
    assert_eq!((kept.sequence, kept.has_left, kept.tallies[0].entries[0].hops.requests), (std::num::NonZeroU64::new(2), true, 9));
    assert!(!stand.sent().iter().any(|(_, message)| matches!(message, ToWorker::Farewell)));
    let actions = stand.master.on_kept(number);
    assert!(matches!(actions[..], [Action::Send(LinkId(1), ToWorker::Farewell)]));
}

fn scripts(fingerprint: &str, error: Option<&str>) -> Scripts {
    Scripts { script: "main.lua".into(), fingerprint: fingerprint.into(), error: error.map(Into::into) }
}

#[test]
fn a_worker_with_another_version_of_the_masters_script_is_shown_before_any_start() {
    let mut stand = Stand::new();
    (1..=2).for_each(|worker| stand.hello(worker, None));
    let states = |stand: &Stand| stand.master.snapshot(stand.now).workers.iter().map(|worker| worker.state).collect::<Vec<_>>();
    assert_eq!(states(&stand), [WorkerState::Ready, WorkerState::Ready], "the master has not said what it has");
    stand.master.on_own_scripts(scripts("new", None));
    assert_eq!(states(&stand), [WorkerState::Differs, WorkerState::Differs]);
    stand.actions.clear();
    for _ in 0..2 {
        stand.message(2, ToMaster::Scripts(scripts("new", None)));
    }
    assert_eq!(stand.logged(), ["w2 has the script main.lua as of new"]);
    assert_eq!(states(&stand), [WorkerState::Differs, WorkerState::Ready]);
    stand.message(1, ToMaster::Scripts(Scripts { script: "other.lua".into(), ..scripts("x", None) }));
    assert_eq!(states(&stand)[0], WorkerState::Ready, "another file is no other version");
}

#[test]
fn scripts_that_do_not_compile_are_a_warning_and_one_line_of_the_log() {
    let mut stand = Stand::new();
    (1..=3).for_each(|worker| stand.hello(worker, None));
    stand.actions.clear();
    for worker in [1, 1, 2] {
        stand.message(worker, ToMaster::Scripts(scripts("abc", Some("main.lua:1: no"))));
    }
    let line = |worker| format!("w{worker} keeps the script that it has, for what its folder holds cannot be used: main.lua:1: no");
    assert_eq!(stand.logged(), [line(1), line(2)]);
    stand.master.on_own_scripts(scripts("abc", Some("main.lua:1: no")));
    let snapshot = stand.master.snapshot(stand.now);
    assert_eq!(
        snapshot.warnings,
        [
            "no run can start as the scripts on the master are: main.lua:1: no",
            "the scripts on w1 cannot be used, and it keeps those that it has: main.lua:1: no (and on 1 more workers)"
        ]
    );
    assert_eq!(snapshot.workers[0].script_error.as_deref(), Some("main.lua:1: no"));
    assert_eq!((snapshot.workers[0].fingerprint.as_str(), snapshot.workers[0].state), ("abc", WorkerState::Ready));
    stand.master.on_own_scripts(scripts("abc", None));
    (1..=2).for_each(|worker| stand.message(worker, ToMaster::Scripts(scripts("abc", None))));
    assert_eq!(stand.logged(), ["w1 has the script main.lua as of abc", "w2 has the script main.lua as of abc"]);
    assert!(stand.master.snapshot(stand.now).warnings.is_empty());
}
