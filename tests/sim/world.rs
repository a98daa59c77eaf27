//! The simulated world: its clock, the network, one master at a time, the workers; and how a step of time passes in it.
//!
//! What the machines ask for is done in `machines`, what happens to them in `fate`, what must hold in `watch`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use lunamoth::cluster::master::{Master, MasterConfig};
use lunamoth::cluster::message::{OrphanRules, WorkerId};
use lunamoth::cluster::record::Record;
use lunamoth::cluster::worker::{Worker, WorkerConfig, WorkerEnd};
use lunamoth::load::stock::Stock;
use lunamoth::load::vitals::Vitals;
use lunamoth::plan::{ClassPlan, HttpPlan, LifePlan, LoadProfile, Plan, RunId, RunSettings, TagFilter};
use lunamoth::stats::snapshot::Snapshot;

use super::acts::{Acting, Deeds};
use super::books::{Books, Keeper, host_name};
use super::chance::Chance;
use super::counting::Counting;
use super::demands::{Wishes, conditions_of};
use super::lanes::Lanes;
use super::link::Link;
use super::operator::Operator;
use super::promises::Told;
use super::scenario::{Event, Scenario};
use super::takings::Takings;
use super::tamper::Tamper;
use super::watch::Watch;

/// One simulated life of a cluster.
pub struct World {
    pub scenario: Scenario,
    pub base: Instant,
    /// The simulated clock, which nothing else moves.
    pub now: Duration,
    pub chance: Chance,
    /// Of its own, so that what came later to the simulation changes no life that was drawn before.
    pub whim: Chance,
    pub master: MasterSeat,
    /// How much the clock of a master that is gone was behind.
    pub former_slept: Duration,
    /// The former one, where two are there for a moment.
    pub retiring: Option<Retiring>,
    /// `master` is the former one just now, see [`World::as_master`].
    pub is_former_speaking: bool,
    pub seats: Vec<Seat>,
    pub links: BTreeMap<u64, Link>,
    pub next_link: u64,
    pub books: Books,
    pub operator: Operator,
    pub watch: Watch,
    /// Where users draw numbers.
    pub counting: Option<Counting>,
    pub takings: Takings,
    pub deeds: Deeds,
    pub wishes: Wishes,
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

/// A master beside which another one has been started.
pub struct Retiring {
    pub until: Duration,
    pub seat: MasterSeat,
}

/// The place of the master: its processes come and go, its journal stays.
pub struct MasterSeat {
    pub machine: Option<Master>,
    /// Of the present process, or the last one.
    pub number: u32,
    pub born: Duration,
    /// When a worker brought it the run that it is about to take over, or has.
    pub brought: Duration,
    pub back_at: Option<Duration>,
    /// What a crash leaves of it.
    pub journal: Vec<Record>,
    /// How many records were there when it was written anew last.
    pub compacted: usize,
    /// On its way to the disk.
    pub syncing: VecDeque<(Duration, u64, Option<Record>)>,
    pub keeper: Keeper,
    /// A part of it is gone with a master.
    pub is_torn: bool,
    /// Who was told to begin by this master, or one before it of whose journal nothing is lost, and when.
    pub begun: BTreeMap<(RunId, usize), Duration>,
    /// Its process stands still.
    pub frozen_until: Duration,
    /// Its clock stands still meanwhile.
    pub sleeps: bool,
    /// How much its clock is behind.
    pub slept: Duration,
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
    /// The rows and iterations of the last run for which lanes were opened.
    pub stock: Option<(RunId, Arc<Stock>)>,
    /// A setup or teardown that is being done.
    pub acting: Option<Acting>,
    /// Changed scripts that are being compiled.
    pub renewing: Option<(Duration, Arc<Plan>)>,
    /// The revision whose scripts had not come to this machine when they were asked for first.
    pub missed: u32,
    pub dials: Vec<Dial>,
    pub up_blocked_until: Duration,
    pub down_blocked_until: Duration,
    pub frozen_until: Duration,
    /// While it stands still its clock does, too.
    pub sleeps: bool,
    /// How much its clock is behind.
    pub slept: Duration,
    /// The last orders that came to it.
    pub told: Option<Told>,
    /// The run whose users it was told to end.
    pub told_to_end: Option<RunId>,
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

impl World {
    pub fn new(scenario: Scenario, tamper: Option<Tamper>, traces: bool) -> Self {
        let plan = Arc::new(plan_of(&scenario, RunId(1), scenario.profile.clone()));
        let mut world = Self {
            base: Instant::now(),
            now: Duration::ZERO,
            chance: Chance::new(scenario.seed, 2),
            whim: Chance::new(scenario.seed, 4),
            master: MasterSeat::empty(),
            former_slept: Duration::ZERO,
            retiring: None,
            is_former_speaking: false,
            seats: Vec::new(),
            links: BTreeMap::new(),
            next_link: 1,
            books: Books::default(),
            operator: Operator::of(plan),
            watch: Watch::default(),
            counting: (scenario.habits.shares || scenario.habits.gathers.is_some()).then(Counting::default),
            takings: Takings::default(),
            deeds: Deeds::default(),
            wishes: Wishes::default(),
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

    /// The clock of a worker's machine.
    pub fn instant_of(&self, seat: usize) -> Instant {
        self.base + self.now - self.seats[seat].slept
    }

    /// The clock of the master's machine.
    pub fn master_instant(&self) -> Instant {
        self.base + self.now - self.master.slept
    }

    /// What slow links and clocks that have slept add to whatever takes its time.
    pub fn slack(&self) -> Duration {
        let clocks = || self.seats.iter().map(|seat| seat.slept).chain([self.master.slept, self.former_slept]);
        let apart = clocks().max().unwrap_or_default() - clocks().min().unwrap_or_default();
        apart + (Duration::from_millis(self.scenario.weather.delay.1).saturating_sub(FAST)) * 6
    }

    /// Does something with the master of this number, which may be the former one of two.
    pub fn as_master<R>(&mut self, number: u32, act: impl FnOnce(&mut Self) -> R) -> R {
        let is_former = self.retiring.as_ref().is_some_and(|retiring| retiring.seat.number == number) && !self.is_former_speaking;
        if is_former {
            self.swap_masters();
        }
        let answer = act(self);
        if is_former {
            self.swap_masters();
        }
        answer
    }

    fn swap_masters(&mut self) {
        if let Some(retiring) = &mut self.retiring {
            std::mem::swap(&mut self.master, &mut retiring.seat);
            self.is_former_speaking ^= true;
        }
    }

    /// Whether the master of this number is there and does not stand still.
    pub fn is_master_awake(&self, number: u32) -> bool {
        let is_it = |seat: &&MasterSeat| seat.number == number && seat.machine.is_some() && self.now >= seat.frozen_until;
        [Some(&self.master), self.retiring.as_ref().map(|retiring| &retiring.seat)].into_iter().flatten().any(|seat| is_it(&seat))
    }

    /// The former master, and the present one.
    pub fn masters(&self) -> impl Iterator<Item = u32> + use<> {
        self.retiring.as_ref().map(|retiring| retiring.seat.number).into_iter().chain([self.master.number])
    }

    pub fn fail(&mut self, text: String) {
        if self.violation.is_none() {
            self.note(|| format!("VIOLATION: {text}"));
            self.violation = Some(text);
        }
    }

    pub fn note(&mut self, text: impl FnOnce() -> String) {
        let at = self.now;
        if let Some(trace) = self.trace.as_mut().filter(|_| self.violation.is_none()) {
            if trace.len() >= TRACED {
                trace.pop_front();
            }
            trace.push_back(format!("{:8.3}  {}", at.as_secs_f64(), text()));
        }
    }

    /// Time goes on by one step; everything that is due happens.
    pub fn step(&mut self) {
        self.now += STEP;
        for seat in self.seats.iter_mut().filter(|seat| seat.sleeps && self.now <= seat.frozen_until) {
            seat.slept += STEP;
        }
        if self.master.sleeps && self.now <= self.master.frozen_until {
            self.master.slept += STEP;
        }
        if self.retiring.as_ref().is_some_and(|retiring| retiring.until <= self.now) {
            self.retire();
        }
        if self.master.back_at.is_some_and(|at| at <= self.now) {
            self.start_master();
        }
        for seat in 0..self.seats.len() {
            self.deliver(seat);
            self.step_seat(seat);
        }
        for number in self.masters() {
            self.as_master(number, Self::step_master);
        }
        self.age_links();
        self.mind_operator();
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
            stock: None,
            acting: None,
            renewing: None,
            missed: 0,
            dials: Vec::new(),
            up_blocked_until: Duration::ZERO,
            down_blocked_until: Duration::ZERO,
            frozen_until: Duration::ZERO,
            sleeps: false,
            slept: Duration::ZERO,
            told: None,
            told_to_end: None,
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
        let config = MasterConfig {
            orphan: OrphanRules { timeout: self.scenario.orphan_timeout, pauses: self.scenario.pauses },
            skew_timeout: Duration::from_secs(10),
            allows_skew: false,
            adopts: self.scenario.adopts,
            has_journal: self.scenario.has_journal,
        };
        self.tamper.as_ref().map_or_else(|| config.clone(), |tamper| tamper.config(config.clone()))
    }

    pub fn snapshot(&self) -> Option<Snapshot> {
        let snapshot = self.master.machine.as_ref().map(|master| master.snapshot(self.master_instant()))?;
        Some(self.tamper.as_ref().map_or_else(|| snapshot.clone(), |tamper| tamper.show(snapshot.clone())))
    }

    fn step_seat(&mut self, seat: usize) {
        let (now, instant) = (self.now, self.instant_of(seat));
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
        self.finish_act(seat);
        self.finish_dials(seat);
        let place = &mut self.seats[seat];
        if now < place.next_tick {
            return;
        }
        place.next_tick = now + TICK;
        self.turn_lanes(seat);
        self.carry_stock(seat);
        if let Some(worker) = &mut self.seats[seat].machine {
            let actions = worker.on_tick(instant);
            self.do_worker(seat, actions);
        }
        self.draw_numbers(seat);
    }

    fn turn_lanes(&mut self, seat: usize) {
        let instant = self.instant_of(seat);
        let place = &mut self.seats[seat];
        let Some(lanes) = &mut place.lanes else { return };
        let run = lanes.run();
        let reports = lanes.turn(instant);
        let taken = lanes.take_taken();
        if lanes.has_halted() {
            self.wishes.on_halted(run, seat, self.now);
        }
        self.note_taken(seat, run, &taken);
        for report in reports {
            self.books.account(run, seat).on_report(&report);
            let Some(worker) = &mut self.seats[seat].machine else { return };
            let actions = worker.on_report(report, Vitals::default(), instant);
            self.do_worker(seat, actions);
        }
    }

    fn step_master(&mut self) {
        let (now, instant) = (self.now, self.master_instant());
        if now < self.master.frozen_until {
            return;
        }
        while let Some((_, number, record)) = self.master.syncing.pop_front_if(|(at, ..)| *at <= now) {
            if matches!(record, Some(Record::Run { .. })) {
                self.master.compacted = 0;
            }
            self.master.journal.extend(record);
            self.write_anew();
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
}

impl MasterSeat {
    pub fn empty() -> Self {
        Self {
            machine: None,
            number: 0,
            born: Duration::ZERO,
            brought: Duration::ZERO,
            back_at: None,
            journal: Vec::new(),
            compacted: 0,
            syncing: VecDeque::new(),
            keeper: Keeper { master: 0, run: None, restored: BTreeMap::new(), history: None, begun: BTreeSet::new(), is_torn: false },
            is_torn: false,
            begun: BTreeMap::new(),
            frozen_until: Duration::ZERO,
            sleeps: false,
            slept: Duration::ZERO,
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

    /// Until when it stood still or was out of reach last; zero where it never was.
    pub fn hindered_until(&self) -> Duration {
        self.frozen_until.max(self.up_blocked_until).max(self.down_blocked_until)
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
        other_host: None,
        classes: vec![class("Reader", 3), class("Buyer", 1)],
        profile,
        thresholds: conditions_of(scenario.habits.demands),
        metrics: Vec::new(),
        tags: TagFilter::default(),
        env: BTreeMap::new(),
        settings: RunSettings { stop_timeout: scenario.stop_timeout, names: 1_000, ..RunSettings::default() },
        http: HttpPlan::default(),
        life: if scenario.habits.acts {
            LifePlan { setup: Some(ACT_LIMIT), teardown: Some(ACT_LIMIT), data: None }
        } else {
            LifePlan::default()
        },
    }
}

fn config_of(id: WorkerId, lanes: u32) -> WorkerConfig {
    WorkerConfig { id, lanes, floor: None, script: "main.lua".into(), fingerprint: String::new(), is_once: false, keeps_total: true }
}

/// The wall clock at a moment of the simulated one.
pub fn wall(now: Duration) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000) + now
}

/// The simulated clock goes in these steps; nothing happens between two of them.
pub const STEP: Duration = Duration::from_millis(10);
/// Links that take no longer than that have no part in what takes seconds.
const FAST: Duration = Duration::from_millis(400);
/// From one tick of a machine to the next.
const TICK: Duration = Duration::from_millis(50);
/// More than any setup or teardown takes, whatever stands still meanwhile.
const ACT_LIMIT: Duration = Duration::from_secs(60);
/// How much of what happened a failure shows.
const TRACED: usize = 6_000;
