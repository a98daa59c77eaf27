//! Faults of the machines themselves, put in on purpose: they show that the checks bite.

use std::sync::Arc;
use std::time::Duration;

use lunamoth::cluster::master::MasterConfig;
use lunamoth::cluster::message::{Answer, Delta, Phase, RunOrders, ToMaster, ToWorker};
use lunamoth::cluster::record::Record;
use lunamoth::load::errand::{BoardAnswer, BoardWord, Notice};
use lunamoth::load::slots::{Orders, SLOTS, SlotSet};
use lunamoth::load::stock::{Given, Grant, IterationsBegun};
use lunamoth::plan::{Act, IterationsProfile, LifePlan, LoadProfile, Plan, ProfileEnd, Quota, RunId};
use lunamoth::stats::snapshot::{HoleView, Snapshot};

use super::books::host_name;
use super::course::{Failure, play};
use super::scenario::{Event, Habits, Scenario, Weather};
use super::verdict;

/// One fault, of the first worker or of the master.
pub struct Tamper {
    fault: Fault,
    /// How far the master's numbering is ahead of the worker's.
    shift: i64,
    /// The worker was told to stop.
    is_stopped: bool,
    /// The seat that was asked for the setup of a run, where nobody else has been.
    asked: Option<(usize, RunId)>,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The worker counts its fifth delta twice: it comes again under another number.
    CountsTwice,
    /// The worker forgets its fifth delta before anybody has it.
    ForgetsTooEarly,
    /// The worker takes every slot for its own.
    TakesEverySlot,
    /// The worker leaves out the slots that a hand-over brings.
    IgnoresHandedSlots,
    /// The worker has every second user for a buyer, where of four one is wanted.
    WeighsWrongly,
    /// The worker does not hear that the statistics were reset.
    IgnoresReset,
    /// The master gives a run up in half the time that orphans go on.
    EndsTooEarly,
    /// The master finishes without those who are out of reach.
    WaitsForNobody,
    /// The worker dates what it counted by when it sends it.
    DatesByArrival,
    /// The worker stops as an orphan before its time.
    GivesUpEarly,
    /// The worker goes on as an orphan for ever.
    NeverGivesUp,
    /// The worker goes on as an orphan that shall pause.
    NeverPausesAlone,
    /// The worker makes load in a paused run.
    IgnoresPause,
    /// The worker does not hear that a paused run goes on.
    NeverResumes,
    /// The worker says that it has finished when it is told to stop.
    FinishesAtOnce,
    /// The worker does not hear that the run is over.
    IgnoresStop,
    /// The worker says never that its users have all ended.
    NeverExhausted,
    /// The worker has the first revision of the script for ever.
    IgnoresRevisions,
    /// Each churn gives all workers other slots.
    Reshuffles,
    /// Users move at once, whatever the spawn rate.
    MovesAtOnce,
    /// The master lets workers go before their numbers are kept.
    FarewellUnkept,
    /// The master lets workers go that have not heard that it has their numbers.
    LetsGoUnheard,
    /// The board hands a number out to the worker that another one has.
    HandsOutTwice,
    /// The board lets the worker fetch a value that another one fetches.
    FetchesTwice,
    /// The board lets one user of the worker go too early.
    OpensTooEarly,
    /// The board lets nobody go.
    NeverOpens,
    /// The master gives the worker rows that it gave out before.
    GivesTwice,
    /// The worker says that half as many iterations began as did.
    LosesIterations,
    /// People see iterations that were lost as begun.
    CountsLostAsBegun,
    /// People do not see which rows were lost with a worker.
    HidesRowsOfLost,
    /// People do not see that nobody knows which iterations were given out.
    HidesUnknown,
    /// The master asks another worker for the setup that one does.
    AsksTwice,
    /// The worker begins without what the setup returned.
    BeginsUnready,
    /// The master does not know of the teardown.
    ForgetsTeardown,
    /// The master does not keep what a lost worker has handed in.
    ForgetsTheLost,
    /// The master does not keep who has begun.
    ForgetsTheBegun,
    /// A new master does not read what its journal says.
    IgnoresJournal,
    /// A new master adopts runs that it shall not.
    AdoptsAll,
    /// The master does not know of the planned end.
    NeverEndsByPlan,
    /// People see no holes.
    HidesHoles,
    /// People see a hole where nothing is missing.
    InventsHole,
    /// People see no overlaps.
    HidesOverlaps,
    /// Rates divide by half the time.
    RatesOfHalfTheTime,
    /// The least duration is not exact.
    BlursTheLeast,
    /// The master shows fewer users than run.
    MiscountsUsers,
}

/// What becomes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// It is written, then that is told.
    Synced,
    /// It is told, and never written.
    Told,
}

impl Fault {
    /// All of them, each with a word of what the checks say of it.
    pub const ALL: &[(Self, &str)] = &[
        (Self::CountsTwice, "in the table"),
        (Self::ForgetsTooEarly, "in the table"),
        (Self::TakesEverySlot, "run the same user"),
        (Self::IgnoresHandedSlots, "are wanted"),
        (Self::WeighsWrongly, "buyers of"),
        (Self::IgnoresReset, "counts for epoch"),
        (Self::EndsTooEarly, "ended by itself"),
        (Self::WaitsForNobody, "which is away with numbers"),
        (Self::DatesByArrival, "the history tells of"),
        (Self::GivesUpEarly, "ends its users by itself"),
        (Self::NeverGivesUp, "for longer than orphans go on"),
        (Self::NeverPausesAlone, "that shall pause"),
        (Self::IgnoresPause, "makes load in a paused run"),
        (Self::NeverResumes, "is paused in a run that goes on"),
        (Self::FinishesAtOnce, "is called complete"),
        (Self::IgnoresStop, "makes load after the run's end"),
        (Self::NeverExhausted, "no user is left"),
        (Self::IgnoresRevisions, "older revision"),
        (Self::Reshuffles, "slots and loses"),
        (Self::MovesAtOnce, "faster than the spawn rate"),
        (Self::FarewellUnkept, "may go, and delta"),
        (Self::LetsGoUnheard, "has left as whole"),
        (Self::HandsOutTwice, "was handed out twice"),
        (Self::FetchesTwice, "fetch one value"),
        (Self::OpensTooEarly, "were let go"),
        (Self::NeverOpens, "are kept waiting"),
        (Self::GivesTwice, "was taken by users"),
        (Self::LosesIterations, "iterations began"),
        (Self::CountsLostAsBegun, "iterations began"),
        (Self::HidesRowsOfLost, "are said to be all taken"),
        (Self::HidesUnknown, "and nobody is told"),
        (Self::AsksTwice, "at the same time"),
        (Self::BeginsUnready, "before its setup is over"),
        (Self::ForgetsTeardown, "without its teardown"),
        (Self::ForgetsTheLost, "is lost for long"),
        (Self::ForgetsTheBegun, "no hole is shown"),
        (Self::IgnoresJournal, "must be there"),
        (Self::AdoptsAll, "shall not be adopted"),
        (Self::NeverEndsByPlan, "past its planned end"),
        (Self::HidesHoles, "no hole is shown"),
        (Self::InventsHole, "where nothing is missing"),
        (Self::HidesOverlaps, "no overlap is shown"),
        (Self::RatesOfHalfTheTime, "requests a second in"),
        (Self::BlursTheLeast, "in the table"),
        (Self::MiscountsUsers, "the master knows of"),
    ];

    /// A life in which the fault has its occasion, and nothing else goes wrong.
    fn occasion(self) -> Scenario {
        let at = Duration::from_secs(12);
        let alone = |workers| Scenario::plain(workers, 40, Duration::from_secs(40));
        let cut_off = |seconds| Event::Partition { worker: 0, up: true, down: true, lasts: Duration::from_secs(seconds) };
        match self {
            Self::IgnoresReset => alone(3).with(at, Event::Reset),
            Self::EndsTooEarly => {
                let freeze = Event::Freeze { worker: 0, lasts: Duration::from_secs(14) };
                Scenario { orphan_timeout: Duration::from_secs(20), ..alone(1) }.with(at, freeze)
            }
            Self::WaitsForNobody => {
                Scenario { stops_in_quiet: false, ..alone(3) }.with(at, cut_off(9)).with(at + Duration::from_secs(5), Event::Stop)
            }
            Self::DatesByArrival | Self::HidesOverlaps => alone(3).with(at, cut_off(14)),
            Self::GivesUpEarly | Self::NeverGivesUp => {
                Scenario { orphan_timeout: Duration::from_secs(12), ..alone(1) }.with(at, cut_off(21))
            }
            Self::NeverPausesAlone => Scenario { pauses: true, ..alone(1) }.with(at, cut_off(12)),
            Self::IgnoresPause | Self::NeverResumes => alone(2).with(at, Event::Pause).with(at * 2, Event::Resume),
            Self::FinishesAtOnce
            | Self::IgnoresStop
            | Self::MiscountsUsers
            | Self::RatesOfHalfTheTime
            | Self::BlursTheLeast
            | Self::InventsHole => alone(1),
            Self::HandsOutTwice | Self::FetchesTwice => with_habits(alone(2), Habits { shares: true, ..Habits::default() }),
            Self::OpensTooEarly | Self::NeverOpens => with_habits(alone(2), Habits { gathers: Some(5), ..Habits::default() }),
            Self::GivesTwice => with_habits(alone(2), Habits { rows: Some(None), ..Habits::default() }),
            Self::AsksTwice | Self::BeginsUnready | Self::ForgetsTeardown => {
                with_habits(alone(2), Habits { acts: true, ..Habits::default() })
            }
            Self::LosesIterations => Scenario { profile: iterations(200), ..alone(1) },
            Self::CountsLostAsBegun => {
                // Lost before a reset, of which the next master hears from the journal.
                let kill = Event::KillMaster { back_after: Duration::from_secs(1), loses_journal: false, forgets: 0 };
                let gone = Event::Kill { worker: 1, comes_back_after: None };
                let reset = at + Duration::from_secs(5);
                Scenario { profile: iterations(4_000), ..alone(3) }
                    .with(at, gone)
                    .with(reset, Event::Reset)
                    .with(reset + Duration::from_secs(2), kill)
            }
            Self::HidesRowsOfLost => {
                let gone = Event::Kill { worker: 1, comes_back_after: None };
                with_habits(alone(2), Habits { rows: Some(Some(1_500)), ..Habits::default() }).with(at, gone)
            }
            Self::HidesUnknown => {
                let kill = Event::KillMaster { back_after: Duration::from_secs(1), loses_journal: true, forgets: 0 };
                Scenario { profile: iterations(4_000), ..alone(2) }.with(at, kill).with(at * 2, Event::Reset)
            }
            Self::NeverExhausted => Scenario { life: Some(9), ..alone(1) },
            Self::IgnoresRevisions => alone(2).with(at, Event::Revise),
            Self::FarewellUnkept | Self::LetsGoUnheard => alone(3).with(at, Event::Leave { worker: 0 }),
            Self::AdoptsAll | Self::IgnoresJournal => {
                let kill = Event::KillMaster { back_after: Duration::from_secs(1), loses_journal: false, forgets: 0 };
                let gone = Event::Kill { worker: 2, comes_back_after: None };
                Scenario { adopts: self != Self::AdoptsAll, ..alone(3) }.with(at, gone).with(at + Duration::from_secs(6), kill)
            }
            Self::ForgetsTheBegun => {
                let kill = Event::KillMaster { back_after: Duration::from_secs(1), loses_journal: false, forgets: 0 };
                alone(3).with(at, Event::Kill { worker: 2, comes_back_after: None }).with(at + Duration::from_secs(1), kill)
            }
            Self::NeverEndsByPlan => {
                let profile = LoadProfile::plain(40, 60.0, Some(Duration::from_secs(20)));
                Scenario { profile, ..alone(2) }
            }
            _ => occasion(),
        }
    }
}

impl Tamper {
    pub const fn new(fault: Fault) -> Self {
        Self { fault, shift: 0, is_stopped: false, asked: None }
    }

    /// How a master behaves, of how it should.
    pub fn config(&self, mut config: MasterConfig) -> MasterConfig {
        match self.fault {
            Fault::EndsTooEarly => config.orphan.timeout /= 2,
            Fault::WaitsForNobody => config.orphan.timeout = Duration::from_secs(1),
            Fault::AdoptsAll => config.adopts = true,
            _ => {}
        }
        config
    }

    /// The plan that a master starts, of the one that it should.
    pub fn start(&self, plan: &Arc<Plan>) -> Arc<Plan> {
        if self.fault == Fault::ForgetsTeardown {
            return Arc::new(Plan { life: LifePlan { teardown: None, ..plan.life.clone() }, ..Plan::clone(plan) });
        }
        if self.fault != Fault::NeverEndsByPlan {
            return Arc::clone(plan);
        }
        let profile = plan.profile.clone().ending(ProfileEnd::Hold);
        Arc::new(Plan { profile, ..Plan::clone(plan) })
    }

    pub fn keep(&self, record: &Record) -> Keeping {
        match (self.fault, record) {
            (Fault::FarewellUnkept, Record::Worker(worker)) if worker.has_left => Keeping::Told,
            (Fault::ForgetsTheLost, Record::Worker(worker)) if !worker.has_left => Keeping::Told,
            (Fault::ForgetsTheBegun, Record::Began(_)) => Keeping::Told,
            _ => Keeping::Synced,
        }
    }

    pub fn reads_journal(&self) -> bool {
        self.fault != Fault::IgnoresJournal
    }

    /// What people see, of what they should.
    pub fn show(&self, mut snapshot: Snapshot) -> Snapshot {
        match self.fault {
            Fault::HidesHoles => snapshot.holes.clear(),
            Fault::InventsHole => {
                let (from, to) = (Duration::from_secs(3), Duration::from_secs(4));
                snapshot.holes.push(HoleView { worker: format!("{}_1", host_name(0)), from, to });
            }
            Fault::HidesOverlaps => snapshot.overlaps.clear(),
            Fault::CountsLostAsBegun => snapshot.quota.iter_mut().for_each(|quota| quota.begun += std::mem::take(&mut quota.lost)),
            Fault::HidesRowsOfLost => snapshot.warnings.retain(|warning| !warning.contains("were in the hands of")),
            Fault::HidesUnknown => snapshot.warnings.retain(|warning| !warning.contains("known to nobody")),
            Fault::RatesOfHalfTheTime => snapshot.total.total_rps = snapshot.total.total_rps.map(|rate| rate * 2.0),
            Fault::BlursTheLeast => snapshot.entries.iter_mut().for_each(|entry| entry.min = entry.min.map(|min| min / 2)),
            Fault::MiscountsUsers => snapshot.users = snapshot.users.saturating_sub(1),
            _ => {}
        }
        snapshot
    }

    pub fn up(&mut self, seat: usize, message: ToMaster) -> Vec<ToMaster> {
        let ToMaster::Delta { sent, delta } = &message else { return vec![message] };
        if seat != 0 {
            return vec![message];
        }
        let changed = |delta: Delta| ToMaster::Delta { sent: *sent, delta: Arc::new(delta) };
        let numbered = |shift: i64| changed(Delta { sequence: delta.sequence.checked_add_signed(shift).unwrap(), ..Delta::clone(delta) });
        let is_fifth = delta.sequence == 5 && self.shift == 0;
        match self.fault {
            Fault::CountsTwice if is_fifth => {
                self.shift = 1;
                vec![numbered(0), numbered(1)]
            }
            Fault::ForgetsTooEarly if is_fifth => {
                self.shift = -1;
                Vec::new()
            }
            Fault::DatesByArrival => {
                let mut dated = Delta::clone(delta);
                let last = dated.tallies.iter().map(|tally| tally.second).max();
                dated.tallies.iter_mut().for_each(|tally| tally.second = last.unwrap_or(tally.second));
                vec![changed(dated)]
            }
            Fault::FinishesAtOnce if self.is_stopped => vec![changed(Delta { is_last: true, ..Delta::clone(delta) })],
            Fault::LosesIterations => vec![changed(Delta {
                begun: IterationsBegun(delta.begun.0.iter().map(|begun| begun / 2).collect()),
                ..Delta::clone(delta)
            })],
            Fault::NeverExhausted => vec![changed(Delta { is_exhausted: false, ..Delta::clone(delta) })],
            _ => vec![numbered(if delta.sequence > 5 { self.shift } else { 0 })],
        }
    }

    pub fn down(&mut self, seat: usize, message: ToWorker) -> ToWorker {
        match message {
            ToWorker::Orders(orders) => ToWorker::Orders(self.orders(seat, orders)),
            ToWorker::Act { run, act: Act::Setup } if self.fault == Fault::AsksTwice => {
                self.asked = Some((seat, run));
                ToWorker::Act { run, act: Act::Setup }
            }
            ToWorker::Answer(answer) if self.asked.is_some_and(|(asked, _)| asked != seat) => {
                self.asked.take().map_or(ToWorker::Answer(answer), |(_, run)| ToWorker::Act { run, act: Act::Setup })
            }
            ToWorker::Board { word: BoardWord::Notice(Notice::Opened { .. }), .. } if self.fault == Fault::NeverOpens => ToWorker::Farewell,
            message if seat != 0 && self.fault != Fault::NeverOpens => message,
            ToWorker::Answer(answer) if self.fault == Fault::LetsGoUnheard && answer.acknowledged.is_some_and(|(_, last)| last > 9) => {
                ToWorker::Answer(Answer { acknowledged: None, ..answer })
            }
            ToWorker::Answer(Answer { echo, clock, acknowledged: Some((run, sequence)) }) if sequence > 4 => {
                let sequence = sequence.checked_add_signed(-self.shift).unwrap();
                ToWorker::Answer(Answer { echo, clock, acknowledged: Some((run, sequence)) })
            }
            ToWorker::Data { .. } if self.fault == Fault::BeginsUnready => ToWorker::Farewell,
            ToWorker::Grant { run, grant: Grant { source, number, given: Given::Rows(rows) } } if self.fault == Fault::GivesTwice => {
                let rows = Given::Rows(0..rows.end - rows.start);
                ToWorker::Grant { run, grant: Grant { source, number, given: rows } }
            }
            ToWorker::Board { run, word: BoardWord::Reply(mut reply) } => {
                for answer in &mut reply.answers {
                    match answer {
                        BoardAnswer::Sum(sum) if self.fault == Fault::HandsOutTwice && *sum > 5.0 => *sum -= 1.0,
                        BoardAnswer::Gathered { released } if self.fault == Fault::OpensTooEarly => *released += 1,
                        BoardAnswer::Gathered { released } if self.fault == Fault::NeverOpens => *released = 0,
                        BoardAnswer::Wait if self.fault == Fault::FetchesTwice => *answer = BoardAnswer::Fill { flight: 99 },
                        _ => {}
                    }
                }
                ToWorker::Board { run, word: BoardWord::Reply(reply) }
            }
            ToWorker::Welcome(mut welcome) => {
                let rules = &mut welcome.orphan;
                match self.fault {
                    // What it tells workers is as it should be.
                    Fault::EndsTooEarly => rules.timeout *= 2,
                    Fault::WaitsForNobody => rules.timeout *= 60,
                    Fault::GivesUpEarly => rules.timeout /= 2,
                    Fault::NeverGivesUp => rules.timeout *= 9,
                    Fault::NeverPausesAlone => rules.pauses = false,
                    _ => {}
                }
                ToWorker::Welcome(welcome)
            }
            ToWorker::Prepare(plan) if self.fault == Fault::WeighsWrongly => {
                let mut plan = Plan::clone(&plan);
                plan.classes.iter_mut().for_each(|class| class.weight = 1);
                ToWorker::Prepare(Arc::new(plan))
            }
            ToWorker::Prepare(plan) if self.fault == Fault::IgnoresRevisions => {
                ToWorker::Prepare(Arc::new(Plan { revision: 0, ..Plan::clone(&plan) }))
            }
            message => message,
        }
    }

    fn orders(&mut self, seat: usize, mut orders: RunOrders) -> RunOrders {
        let slots = |slots: SlotSet| Arc::new(slots);
        match self.fault {
            Fault::Reshuffles => {
                let mut turned = SlotSet::none();
                let by = u32::try_from(orders.generation * 12_345 % u64::from(SLOTS)).unwrap();
                orders.orders.slots.iter().for_each(|slot| turned.insert((slot + by) % SLOTS));
                orders.orders.slots = slots(turned);
            }
            Fault::MovesAtOnce => orders.orders.handover = None,
            _ if seat != 0 => {}
            Fault::TakesEverySlot => orders.orders = Orders { slots: slots(SlotSet::all()), ..orders.orders },
            Fault::IgnoresHandedSlots => {
                if let Some(handover) = &orders.orders.handover {
                    let mut kept = SlotSet::clone(&orders.orders.slots);
                    handover.moved.iter().for_each(|slot| kept.remove(slot));
                    orders.orders.slots = slots(kept);
                }
            }
            Fault::IgnoresReset => orders.epoch = 0,
            Fault::IgnoresPause => orders.orders.is_paused = false,
            Fault::NeverResumes => orders.orders.is_paused |= orders.generation > 2,
            Fault::IgnoresStop => orders.phase = Phase::Run,
            Fault::FinishesAtOnce => self.is_stopped |= orders.phase != Phase::Run,
            _ => {}
        }
        orders
    }
}

fn with_habits(mut scenario: Scenario, habits: Habits) -> Scenario {
    scenario.habits = habits;
    scenario
}

/// So many iterations in all, for ten users.
fn iterations(total: u64) -> LoadProfile {
    LoadProfile::Iterations(IterationsProfile { users: 10, quota: Quota::Total(total), start: Duration::ZERO, end: ProfileEnd::Hold })
}

/// A life in which each fault has its occasion.
fn occasion() -> Scenario {
    Scenario::plain(3, 40, Duration::from_secs(30)).with(Duration::from_secs(12), Event::Kill { worker: 2, comes_back_after: None })
}

fn tampered(fault: Fault) -> Box<Failure> {
    play(&fault.occasion(), Some(&|| Tamper::new(fault))).err().unwrap_or_else(|| panic!("{fault:?} goes unnoticed"))
}

#[test]
fn without_a_fault_the_lives_that_the_faults_spoil_are_sound() {
    let failures = Fault::ALL.iter().filter_map(|(fault, _)| play(&fault.occasion(), None).err()).collect();
    assert_eq!(verdict(failures), None);
}

#[test]
fn each_fault_of_a_machine_is_caught_for_what_it_is() {
    for &(fault, word) in Fault::ALL {
        let failure = tampered(fault);
        assert!(failure.what.contains(word), "{fault:?} is taken for something else: {}", failure.what);
        assert!(failure.trace.last().is_some_and(|line| line.contains(&failure.what)), "the account ends with what was wrong");
    }
}

#[test]
fn a_failure_names_its_seed_and_the_seed_plays_it_again() {
    let seed = 7_777;
    let scenario = || Scenario { seed, ..occasion() };
    let again = || play(&scenario(), Some(&|| Tamper::new(Fault::CountsTwice))).err().unwrap();
    let (first, second) = (again(), again());
    assert_eq!((&first.what, &first.trace), (&second.what, &second.trace));
    let text = verdict(vec![first]).unwrap();
    assert!(text.contains("seed 7777: ") && text.contains("LUNAMOTH_SIM_SEED=7777"), "{text}");
    assert_eq!(format!("{:?}", Scenario::drawn(seed)), format!("{:?}", Scenario::drawn(seed)));
}

#[test]
fn users_are_counted_in_the_second_run_too_where_that_has_a_setup() {
    let weather = Weather { delay: (700, 1_200), stalls: 0 };
    let scenario = Scenario { weather, stops_in_quiet: false, ..occasion() }.with(Duration::from_secs(6), Event::Stop);
    let scenario = with_habits(scenario, Habits { acts: true, ..Habits::default() });
    assert_eq!(verdict(play(&scenario, None).err().into_iter().collect()), None);
    let failure = play(&scenario, Some(&|| Tamper::new(Fault::MiscountsUsers))).err().expect("somebody looks");
    assert!(failure.what.contains("13 users run, the master knows of 12"), "{}", failure.what);
}
