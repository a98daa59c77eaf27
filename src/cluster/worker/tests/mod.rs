//! Rows of the worker's tables, one by one: explicit instants, no sleeps. `model` has the property tests.

mod acts;
mod errands;
mod lanes;
mod leaving;
mod links;
mod model;
mod numbers;
mod orphan;
mod revision;
mod run;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::super::message::Hello;
use super::*;
use crate::cluster::link::LinkId;
use crate::cluster::message::{Delta, OrphanRules, Phase, Welcome};
use crate::load::errand::Errand;
use crate::load::lane::LaneReport;
use crate::load::slots::{Orders, SlotSet};
use crate::load::stock::IterationsBegun;
use crate::load::vitals::Vitals;
use crate::plan::LoadProfile;
use crate::stats::names::EntryName;
use crate::stats::tally::{EntryCounts, Tally};

/// A worker and its clock.
struct Bench {
    worker: Worker,
    start: Instant,
    now: Duration,
    rules: OrphanRules,
}

const RUN: RunId = RunId(7);

fn config(lanes: u32) -> WorkerConfig {
    let id = WorkerId { host: "here".into(), incarnation: 1 };
    WorkerConfig { id, lanes, floor: None, script: "main.lua".into(), fingerprint: "f".into(), is_once: false, keeps_total: true }
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn plan(run: u64) -> Arc<Plan> {
    Arc::new(Plan { run: RunId(run), ..Plan::for_tests(LoadProfile::plain(1, 1.0, None)) })
}

fn orders(generation: u64, phase: Phase) -> RunOrders {
    RunOrders {
        run: RUN,
        epoch: 0,
        generation,
        phase,
        zero: Duration::ZERO,
        wall: SystemTime::UNIX_EPOCH,
        orders: Orders {
            profile: Arc::new(LoadProfile::plain(u32::try_from(generation).unwrap(), 1.0, None)),
            slots: Arc::new(SlotSet::all()),
            handover: None,
            void: None,
            is_paused: false,
        },
    }
}

/// A lane's report of one second with as many requests as users.
fn report(lane: usize, second: u64, users: u64) -> LaneReport {
    LaneReport {
        lane,
        tally: tally(second, "/", users),
        users,
        is_exhausted: false,
        followed: u64::MAX,
        is_finished: false,
        panics: 0,
        begun: IterationsBegun::default(),
        halt: None,
    }
}

fn tally(second: u64, name: &str, requests: u64) -> Tally {
    let mut tally = Tally { second, ..Tally::default() };
    if requests > 0 {
        let mut counts = EntryCounts::default();
        counts.hops.requests = requests;
        tally.entries.insert(EntryName { name: name.into(), method: "GET".into() }, counts);
    }
    tally
}

fn last(lane: usize, second: u64) -> LaneReport {
    LaneReport { is_finished: true, ..report(lane, second, 0) }
}

/// (second, requests) of each tally.
fn counted(delta: &Delta) -> Vec<(u64, u64)> {
    delta.tallies.iter().map(|tally| (tally.second, requests(tally))).collect()
}

fn requests(tally: &Tally) -> u64 {
    tally.entries.values().map(|entry| entry.hops.requests).sum()
}

impl Bench {
    fn new(config: WorkerConfig) -> Self {
        let start = Instant::now();
        Self { worker: Worker::new(config, start), start, now: Duration::ZERO, rules: OrphanRules::default() }
    }

    /// A worker that is linked by link 1, at 0 s.
    fn linked(config: WorkerConfig) -> Self {
        let mut bench = Self::new(config);
        bench.tick();
        bench.link(1, None);
        bench
    }

    /// A worker whose lanes make load.
    fn running(lanes: u32) -> Self {
        Self::running_with(config(lanes))
    }

    fn running_with(config: WorkerConfig) -> Self {
        let mut bench = Self::linked(config);
        bench.prepare(7);
        bench.orders(1, orders(1, Phase::Run));
        bench
    }

    /// A worker whose users have finished; the last delta, number 1, is not acknowledged.
    fn finished() -> Self {
        let mut bench = Self::running(1);
        bench.report(LaneReport { is_finished: true, ..report(0, 0, 5) });
        bench
    }

    fn prepare(&mut self, run: u64) {
        self.message(1, ToWorker::Prepare(plan(run)));
        let now = self.now();
        self.worker.on_opened(RunId(run), Ok(()), now);
    }

    fn now(&self) -> Instant {
        self.start + self.now
    }

    fn pass(&mut self, time: Duration) -> Vec<Action> {
        self.now += time;
        self.tick()
    }

    fn tick(&mut self) -> Vec<Action> {
        self.worker.on_tick(self.now())
    }

    /// The dialled link stands and is welcome.
    fn link(&mut self, link: u64, held: Option<u64>) -> Vec<Action> {
        self.worker.on_linked(LinkId(link), self.now());
        self.welcome(link, held)
    }

    fn welcome(&mut self, link: u64, held: Option<u64>) -> Vec<Action> {
        self.message(link, ToWorker::Welcome(Welcome { clock: self.now, held, wants_windows: false, orphan: self.rules }))
    }

    fn message(&mut self, link: u64, message: ToWorker) -> Vec<Action> {
        self.worker.on_message(LinkId(link), message, self.now())
    }

    fn orders(&mut self, link: u64, orders: RunOrders) -> Vec<Action> {
        self.message(link, ToWorker::Orders(orders))
    }

    fn acknowledge(&mut self, link: u64, sequence: u64) -> Vec<Action> {
        let answer = Answer { echo: self.now, clock: self.now, acknowledged: Some((RUN, sequence)) };
        self.message(link, ToWorker::Answer(answer))
    }

    /// The master says that it is there, and nothing else.
    fn hear(&mut self, link: u64) -> Vec<Action> {
        self.message(link, ToWorker::Answer(Answer { echo: self.now, clock: self.now, acknowledged: None }))
    }

    fn report(&mut self, report: LaneReport) -> Vec<Action> {
        self.worker.on_report(report, Vitals::default(), self.now())
    }

    fn gone(&mut self, link: u64) -> Vec<Action> {
        self.worker.on_link_gone(LinkId(link), self.now())
    }

    fn hello(&mut self, link: u64) -> Hello {
        let actions = self.worker.on_linked(LinkId(link), self.now());
        let hello = actions.iter().find_map(|action| if let Action::Send(_, ToMaster::Hello(hello)) = action { Some(hello) } else { None });
        *hello.unwrap_or_else(|| panic!("no hello in {actions:?}")).clone()
    }
}

/// The actions in short, log lines left out.
fn names(actions: &[Action]) -> Vec<String> {
    actions
        .iter()
        .filter_map(|action| {
            Some(match action {
                Action::Log(..) => return None,
                Action::Send(link, message) => format!("{}:{}", link.0, message_name(message)),
                Action::CloseLink(link) => format!("close {}", link.0),
                Action::Open(plan) => format!("open {}", plan.run.0),
                Action::Renew(plan) => format!("renew {} as {}", plan.run.0, plan.revision),
                Action::Follow(orders) if orders.is_paused => format!("follow {} paused", first_level(&orders.profile)),
                Action::Follow(orders) => format!("follow {}", first_level(&orders.profile)),
                Action::Begin(_) => "begin".into(),
                Action::Dial => "dial".into(),
                Action::Stop => "stop".into(),
                Action::Cut => "cut".into(),
                Action::Act(plan, act) => format!("{act} of {}", plan.run.0),
                Action::DropAct => "drop act".into(),
                Action::GiveData(data) => format!("data {data}"),
                Action::Grant(grant) => format!("grant {} {:?}", grant.number, grant.given),
                Action::Board(word) => format!("board {word:?}"),
                Action::CloseLanes => "close lanes".into(),
                Action::Exit(end) => format!("exit {end:?}"),
            })
        })
        .collect()
}

fn message_name(message: &ToMaster) -> String {
    match message {
        ToMaster::Hello(_) => "hello".into(),
        ToMaster::Prepared { run, revision: 0 } => format!("prepared {}", run.0),
        ToMaster::Prepared { run, revision } => format!("prepared {} as {revision}", run.0),
        ToMaster::Refused(refusal) => format!("refused {}", refusal.run.0),
        ToMaster::Delta { delta, .. } => format!("delta {}{}", delta.sequence, if delta.is_last { " last" } else { "" }),
        ToMaster::Beat { .. } => "beat".into(),
        ToMaster::TotalPart { number, tally, .. } => format!("part {number} of {}", requests(tally)),
        ToMaster::TotalEnd { sequence, parts, .. } => format!("end of {parts}, up to {sequence}"),
        ToMaster::Leaving => "leaving".into(),
        ToMaster::Goodbye => "goodbye".into(),
        ToMaster::Scripts(scripts) => format!("scripts {} {:?}", scripts.fingerprint, scripts.error),
        ToMaster::Log(lines) => format!("log {}", lines.len()),
        ToMaster::Ask { ask, .. } => format!("ask {} for {}", ask.number, ask.wanted),
        ToMaster::Acted { act, acted, .. } => format!("{act} {:?}", acted.result),
        ToMaster::Leftover { leftover, .. } => format!("leftover {:?}", leftover.rows),
        ToMaster::Errand { errand, .. } => format!("errand {}", errand.number),
        ToMaster::WindowParts(parts) => {
            let seconds = parts.tallies.iter().map(|tally| tally.second).collect::<Vec<_>>();
            format!("windows {} {seconds:?}{}", parts.place, if parts.is_last { " last" } else { "" })
        }
    }
}

fn logged(actions: &[Action]) -> String {
    actions.iter().filter_map(|action| if let Action::Log(_, text) = action { Some(text.as_str()) } else { None }).collect()
}

fn deltas(actions: &[Action]) -> Vec<Arc<Delta>> {
    actions
        .iter()
        .filter_map(|action| if let Action::Send(_, ToMaster::Delta { delta, .. }) = action { Some(Arc::clone(delta)) } else { None })
        .collect()
}

/// The one delta among `actions`.
/// The number of users that the first stage leads to.
fn first_level(profile: &LoadProfile) -> u32 {
    let LoadProfile::Ramp(ramp) = profile else { panic!("these tests run closed profiles") };
    ramp.stages[0].users
}

fn delta_of(actions: &[Action]) -> Arc<Delta> {
    let [delta] = &deltas(actions)[..] else { panic!("not one delta in {actions:?}") };
    Arc::clone(delta)
}
