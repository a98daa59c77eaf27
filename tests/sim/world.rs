//! The simulated world: its clock, the network, one master at a time, the workers; and how a step of time passes in it.
//!
//! What the machines ask for is done in `machines`, what happens to them in `fate`, what must hold in `watch`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use lunamoth::cluster::master::{Master, MasterConfig, RunEnd};
use lunamoth::cluster::message::{OrphanRules, ToMaster, ToWorker, WorkerId};
use lunamoth::cluster::record::Record;
use lunamoth::cluster::worker::{LinkId, Worker, WorkerConfig, WorkerEnd};
use lunamoth::load::vitals::Vitals;
use lunamoth::plan::{ClassPlan, HttpPlan, LoadProfile, Plan, RunId, TagFilter};
use lunamoth::stats::snapshot::Snapshot;

use super::books::{Books, Keeper, host_name};
use super::chance::Chance;
use super::lanes::Lanes;
use super::link::{Link, Parcel};
use super::scenario::{Event, Scenario};
use super::tamper::Tamper;
use super::watch::Watch;

/// One simulated life of a cluster.
pub struct World {
    pub scenario: Scenario,
    pub base: Instant,
    /// The simulated clock.
    pub now: Duration,
    pub chance: Chance,
    pub master: MasterSeat,
    pub seats: Vec<Seat>,
    pub links: BTreeMap<u64, Link>,
    pub next_link: u64,
    pub books: Books,
    pub operator: Operator,
    pub watch: Watch,
    pub tamper: Option<Tamper>,
    /// What is still to happen, in order.
    pub to_come: VecDeque<(Duration, Event)>,
    pub has_started: bool,
    /// What the master showed at the end of each run.
    pub results: Vec<Snapshot>,
    /// What happened last, where somebody wants to read it.
    pub trace: Option<VecDeque<String>>,
    /// The first thing that was wrong.
    pub violation: Option<String>,
}

/// The place of the master: its processes come and go, its journal stays.
pub struct MasterSeat {
    pub machine: Option<Master>,
    /// Of the present process, or the last one.
    pub number: u32,
    pub born: Duration,
    pub back_at: Option<Duration>,
    /// What is synced.
    pub journal: Vec<Record>,
    /// On its way to the disk.
    pub syncing: VecDeque<(Duration, u64, Record)>,
    pub keeper: Keeper,
    next_tick: Duration,
}

/// One worker's process, from its start to its end, and its way to the master.
pub struct Seat {
    pub machine: Option<Worker>,
    pub id: WorkerId,
    /// It starts, if it has not, at this moment.
    pub starts_at: Option<Duration>,
    pub lanes: Option<Lanes>,
    pub opening: Option<(Duration, Arc<Plan>)>,
    /// Changed scripts that are being compiled.
    pub renewing: Option<(Duration, Arc<Plan>)>,
    /// The revision whose scripts had not come to this machine when they were asked for first.
    pub missed: u32,
    pub dials: Vec<Dial>,
    pub up_blocked_until: Duration,
    pub down_blocked_until: Duration,
    pub frozen_until: Duration,
    /// The run that it told of in its last hello.
    pub stands_in: Option<RunId>,
    pub is_leaving: bool,
    pub end: Option<WorkerEnd>,
    next_tick: Duration,
}

/// A dial that is under way.
pub struct Dial {
    pub at: Duration,
    pub gives_up: Duration,
}

/// The person who starts and stops runs.
pub struct Operator {
    pub plan: Arc<Plan>,
    pub asked_stop: bool,
    /// How the run ended, and in which master.
    pub ended: Option<(u32, RunEnd)>,
}

impl World {
    pub fn new(scenario: Scenario, tamper: Option<Tamper>, traces: bool) -> Self {
        let plan = Arc::new(plan_of(&scenario, RunId(1), scenario.profile.clone()));
        let mut world = Self {
            base: Instant::now(),
            now: Duration::ZERO,
            chance: Chance::new(scenario.seed, 2),
            master: MasterSeat::empty(),
            seats: Vec::new(),
            links: BTreeMap::new(),
            next_link: 1,
            books: Books::default(),
            operator: Operator { plan, asked_stop: false, ended: None },
            watch: Watch::default(),
            tamper,
            to_come: scenario.events.iter().cloned().collect(),
            has_started: false,
            results: Vec::new(),
            trace: traces.then(VecDeque::new),
            violation: None,
            scenario,
        };
        for _ in 0..world.scenario.workers {
            let starts_at = world.chance.millis(0, 600);
            world.add_seat(starts_at);
        }
        world.start_master();
        world
    }

    pub fn instant(&self) -> Instant {
        self.base + self.now
    }

    pub fn fail(&mut self, text: String) {
        if self.violation.is_none() {
            self.note(|| format!("VIOLATION: {text}"));
            self.violation = Some(text);
        }
    }

    pub fn note(&mut self, text: impl FnOnce() -> String) {
        let at = self.now;
        if let Some(trace) = &mut self.trace {
            if trace.len() >= TRACED {
                trace.pop_front();
            }
            trace.push_back(format!("{:8.3}  {}", at.as_secs_f64(), text()));
        }
    }

    /// Time goes on by one step; everything that is due happens.
    pub fn step(&mut self) {
        self.now += STEP;
        if self.master.back_at.is_some_and(|at| at <= self.now) {
            self.start_master();
        }
        for seat in 0..self.seats.len() {
            self.deliver(seat);
            self.step_seat(seat);
        }
        self.step_master();
        self.age_links();
        self.observe();
    }

    pub fn add_seat(&mut self, starts_at: Duration) {
        let number = self.seats.len();
        self.seats.push(Seat {
            machine: None,
            id: WorkerId { host: host_name(number), incarnation: number as u128 + 1 },
            starts_at: Some(starts_at),
            lanes: None,
            opening: None,
            renewing: None,
            missed: 0,
            dials: Vec::new(),
            up_blocked_until: Duration::ZERO,
            down_blocked_until: Duration::ZERO,
            frozen_until: Duration::ZERO,
            stands_in: None,
            is_leaving: false,
            end: None,
            next_tick: Duration::ZERO,
        });
    }

    /// How long the next message is on its way.
    pub fn delay(&mut self) -> Duration {
        let weather = self.scenario.weather;
        let delay = self.chance.millis(weather.delay.0, weather.delay.1);
        if self.chance.percent(weather.stalls) { delay + self.chance.millis(100, 900) } else { delay }
    }

    pub fn master_config(&self) -> MasterConfig {
        let timeout = self.tamper.as_ref().map_or(self.scenario.orphan_timeout, |it| it.patience(self.scenario.orphan_timeout));
        MasterConfig {
            orphan: OrphanRules { timeout, pauses: self.scenario.pauses },
            skew_timeout: Duration::from_secs(10),
            allows_skew: false,
            adopts: self.scenario.adopts,
            has_journal: self.scenario.has_journal,
        }
    }

    pub fn snapshot(&self) -> Option<Snapshot> {
        self.master.machine.as_ref().map(|master| master.snapshot(self.instant()))
    }

    /// Hands over what has come for one worker, and from it.
    fn deliver(&mut self, seat: usize) {
        let links: Vec<u64> = self.links.iter().filter(|(_, link)| link.worker == seat).map(|(&id, _)| id).collect();
        for id in links {
            while self.violation.is_none() && self.seats[seat].comes_down(self.now) {
                let Some(link) = self.links.get_mut(&id) else { break };
                let Some(parcel) = link.down.take_due(self.now) else { break };
                if link.worker_end.is_open {
                    self.give_worker(seat, id, parcel);
                }
            }
            while self.violation.is_none() && self.seats[seat].goes_up(self.now) {
                let Some(link) = self.links.get_mut(&id) else { break };
                let Some(parcel) = link.up.take_due(self.now) else { break };
                if link.master_end.is_open {
                    self.give_master(seat, id, parcel);
                }
            }
        }
    }

    fn give_worker(&mut self, seat: usize, id: u64, parcel: Parcel<ToWorker>) {
        let now = self.instant();
        match parcel {
            Parcel::Gone => self.lose_link_at_worker(id),
            Parcel::Message(message) => {
                let message = match &mut self.tamper {
                    None => message,
                    Some(tamper) => tamper.down(seat, message),
                };
                self.book_down(seat, id, &message);
                self.note(|| format!("worker {seat} <- {id}: {}", brief_down(&message)));
                let Some(worker) = &mut self.seats[seat].machine else { return };
                let actions = worker.on_message(LinkId(id), message, now);
                self.do_worker(seat, actions);
            }
        }
    }

    fn give_master(&mut self, seat: usize, id: u64, parcel: Parcel<ToMaster>) {
        let now = self.instant();
        match parcel {
            Parcel::Gone => self.lose_link_at_master(id),
            Parcel::Message(message) => {
                let messages = match &mut self.tamper {
                    None => vec![message],
                    Some(tamper) => tamper.up(seat, message),
                };
                for message in messages {
                    self.watch.on_heard(self.now);
                    self.note(|| format!("master <- {id} ({seat}): {}", brief_up(&message)));
                    let Some(master) = &mut self.master.machine else { return };
                    let actions = master.on_message(LinkId(id), message, now);
                    self.do_master(actions);
                }
            }
        }
    }

    fn step_seat(&mut self, seat: usize) {
        let (now, instant) = (self.now, self.instant());
        let place = &mut self.seats[seat];
        if place.starts_at.is_some_and(|at| at <= now) {
            place.starts_at = None;
            place.machine = Some(Worker::new(config_of(place.id.clone(), self.scenario.lanes), instant));
            place.next_tick = now + Duration::from_millis(seat as u64 * 7 % 50);
            self.note(|| format!("worker {seat} starts"));
        }
        let place = &mut self.seats[seat];
        if place.machine.is_none() || now < place.frozen_until {
            return;
        }
        if let Some((_, plan)) = place.opening.take_if(|(at, _)| *at <= now) {
            self.finish_opening(seat, &plan);
        }
        let place = &mut self.seats[seat];
        if let Some((_, plan)) = place.renewing.take_if(|(at, _)| *at <= now) {
            self.finish_renewing(seat, &plan);
        }
        self.finish_dials(seat);
        let place = &mut self.seats[seat];
        if now < place.next_tick {
            return;
        }
        place.next_tick = now + TICK;
        self.turn_lanes(seat);
        if let Some(worker) = &mut self.seats[seat].machine {
            let actions = worker.on_tick(instant);
            self.do_worker(seat, actions);
        }
    }

    fn turn_lanes(&mut self, seat: usize) {
        let instant = self.instant();
        let place = &mut self.seats[seat];
        let Some(lanes) = &mut place.lanes else { return };
        let run = lanes.run();
        for report in lanes.turn(instant) {
            self.books.account(run, seat).on_report(&report);
            let Some(worker) = &mut self.seats[seat].machine else { return };
            let actions = worker.on_report(report, Vitals::default(), instant);
            self.do_worker(seat, actions);
        }
    }

    fn step_master(&mut self) {
        let (now, instant) = (self.now, self.instant());
        while let Some((_, number, record)) = self.master.syncing.pop_front_if(|(at, ..)| *at <= now) {
            self.master.journal.push(record);
            if let Some(master) = &mut self.master.machine {
                let actions = master.on_kept(number);
                self.do_master(actions);
            }
        }
        if now >= self.master.next_tick
            && let Some(master) = &mut self.master.machine
        {
            self.master.next_tick = now + TICK;
            let actions = master.on_tick(instant);
            self.do_master(actions);
        }
    }

    /// Links of which one end is gone, or through which nothing comes, die at the other end as well.
    fn age_links(&mut self) {
        let ids: Vec<u64> = self.links.keys().copied().collect();
        for id in ids {
            let (now, number) = (self.now, self.master.number);
            let link = self.links.get_mut(&id).expect("ids of links that stand");
            let seat = &self.seats[link.worker];
            let is_awake = now >= seat.frozen_until;
            let up = is_awake && seat.machine.is_some() && now >= seat.up_blocked_until;
            let master_lives = self.master.machine.is_some();
            let down = master_lives && now >= seat.down_blocked_until;
            let master_open = link.master_end.is_open && link.master == number;
            let worker_open = link.worker_end.is_open;
            // A machine that knows nothing of a link says so only to packets that reach it.
            let told = down && (master_open || now >= seat.up_blocked_until);
            let worker_learns = worker_open && is_awake && link.worker_end.learns(master_open, told, now, &mut self.chance);
            let master_learns = master_open && link.master_end.learns(worker_open, up, now, &mut self.chance);
            if worker_learns {
                self.lose_link_at_worker(id);
            }
            if master_learns {
                self.lose_link_at_master(id);
            }
            if self.links.get(&id).is_some_and(|link| !link.worker_end.is_open && !link.master_end.is_open) {
                self.links.remove(&id);
            }
        }
    }

    fn lose_link_at_worker(&mut self, id: u64) {
        let now = self.instant();
        let Some(link) = self.links.get_mut(&id) else { return };
        link.worker_end.is_open = false;
        let seat = link.worker;
        self.note(|| format!("worker {seat}: link {id} is gone"));
        if let Some(worker) = &mut self.seats[seat].machine {
            let actions = worker.on_link_gone(LinkId(id), now);
            self.do_worker(seat, actions);
        }
    }

    fn lose_link_at_master(&mut self, id: u64) {
        let now = self.instant();
        let Some(link) = self.links.get_mut(&id) else { return };
        link.master_end.is_open = false;
        let seat = link.worker;
        self.note(|| format!("master: link {id} ({seat}) is gone"));
        if let Some(master) = &mut self.master.machine {
            let actions = master.on_link_gone(LinkId(id), now);
            self.do_master(actions);
        }
    }
}

impl MasterSeat {
    fn empty() -> Self {
        Self {
            machine: None,
            number: 0,
            born: Duration::ZERO,
            back_at: None,
            journal: Vec::new(),
            syncing: VecDeque::new(),
            keeper: Keeper { master: 0, restored: BTreeMap::new() },
            next_tick: Duration::ZERO,
        }
    }
}

impl Seat {
    pub fn is_alive(&self) -> bool {
        self.machine.is_some()
    }

    pub fn goes_up(&self, now: Duration) -> bool {
        now >= self.up_blocked_until
    }

    pub fn comes_down(&self, now: Duration) -> bool {
        now >= self.down_blocked_until && now >= self.frozen_until
    }
}

/// The plan of a run in a scenario.
pub fn plan_of(scenario: &Scenario, run: RunId, profile: LoadProfile) -> Plan {
    let class = |name: &str, weight| ClassPlan { name: name.into(), weight, count: None, tasks: Vec::new() };
    Plan {
        run,
        revision: 0,
        // The model of the lanes takes a user's life from it.
        seed: u64::from(scenario.life.unwrap_or(u32::MAX)),
        scenario: "simulated".into(),
        script: "main.lua".into(),
        fingerprint: String::new(),
        host: None,
        classes: vec![class("Reader", 3), class("Buyer", 1)],
        profile,
        thresholds: Vec::new(),
        metrics: Vec::new(),
        tags: TagFilter::default(),
        env: BTreeMap::new(),
        stop_timeout: scenario.stop_timeout,
        names_limit: 100,
        raw_names: false,
        error_backoff: true,
        http: HttpPlan::default(),
    }
}

fn config_of(id: WorkerId, lanes: u32) -> WorkerConfig {
    WorkerConfig { id, lanes, script: "main.lua".into(), fingerprint: String::new(), is_once: false, keeps_total: true }
}

/// The wall clock at a moment of the simulated one.
pub fn wall(now: Duration) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000) + now
}

fn brief_up(message: &ToMaster) -> String {
    match message {
        ToMaster::Hello(hello) => {
            let standing = hello.standing.as_ref().map(|standing| {
                let orders = standing.orders.as_ref().map(|orders| (orders.generation, orders.phase, orders.slots.len()));
                (standing.plan.run, standing.epoch, orders, standing.acknowledged, standing.is_finished)
            });
            format!("Hello leaving={} standing={standing:?}", hello.is_leaving)
        }
        ToMaster::Delta { delta, .. } => {
            let requests = delta.tallies.iter().flat_map(|tally| tally.entries.values()).map(|counts| counts.hops.requests).sum::<u64>();
            let (run, sequence, epoch, users) = (delta.run, delta.sequence, delta.epoch, delta.users);
            format!("Delta {run} #{sequence} epoch {epoch}: {requests} requests, {users} users, last={}", delta.is_last)
        }
        ToMaster::TotalPart { number, .. } => format!("TotalPart {number}"),
        ToMaster::Prepared { run, .. } => format!("Prepared {run}"),
        other => format!("{other:?}"),
    }
}

fn brief_down(message: &ToWorker) -> String {
    match message {
        ToWorker::Prepare(plan) => format!("Prepare {}", plan.run),
        ToWorker::Orders(orders) => {
            let moved = orders.orders.handover.as_ref().map(|handover| (handover.at, handover.moved.len(), handover.interval));
            let (run, generation, epoch, phase) = (orders.run, orders.generation, orders.epoch, orders.phase);
            format!("Orders {run} g{generation} e{epoch} {phase:?}: {} slots, moved {moved:?}", orders.orders.slots.len())
        }
        other => format!("{other:?}"),
    }
}

/// The simulated clock goes in these steps; nothing happens between two of them.
pub const STEP: Duration = Duration::from_millis(10);
/// From one tick of a machine to the next.
const TICK: Duration = Duration::from_millis(50);
/// How much of what happened a failure shows.
const TRACED: usize = 6_000;
