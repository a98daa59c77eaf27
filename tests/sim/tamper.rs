//! Faults of the machines themselves, put in on purpose: they show that the checks bite.

use std::sync::Arc;
use std::time::Duration;

use lunamoth::cluster::master::MasterConfig;
use lunamoth::cluster::message::{Answer, Delta, Hello, Phase, RunOrders, ToMaster, ToWorker};
use lunamoth::cluster::record::{KeptRun, Record};
use lunamoth::load::errand::{BoardAnswer, BoardWord, Notice};
use lunamoth::load::slots::{Orders, SLOTS, SlotSet};
use lunamoth::load::stock::{Given, Grant, IterationsBegun};
use lunamoth::plan::{Act, LifePlan, LoadProfile, Plan, ProfileEnd, RunId};
use lunamoth::stats::snapshot::{HoleView, OverlapView, Snapshot};

use super::books::host_name;
use super::course::{Failure, play};
use super::fault::{Fault, occasion, with_habits};
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

/// What becomes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// It is written, then that is told.
    Synced,
    /// It is told, and never written.
    Told,
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
        if self.fault == Fault::NeverEndsEarly {
            return Arc::new(Plan { thresholds: plan.thresholds[..2].to_vec(), ..Plan::clone(plan) });
        }
        if let (Fault::WantsFewer, LoadProfile::Ramp(ramp)) = (self.fault, &plan.profile) {
            let mut ramp = ramp.clone();
            ramp.stages.iter_mut().next_back().into_iter().for_each(|stage| stage.users -= 1);
            return Arc::new(Plan { profile: LoadProfile::Ramp(ramp), ..Plan::clone(plan) });
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
            (Fault::ForgetsTheBegun, Record::Began(_))
            | (Fault::ForgetsTheWorst, Record::Windows(_))
            | (Fault::ForgetsRevisions, Record::Revised { .. })
            | (Fault::ForgetsHistory, Record::History(_))
            | (Fault::ForgetsEnd, Record::End) => Keeping::Told,
            _ => Keeping::Synced,
        }
    }

    /// What a new master reads of its journal.
    pub fn read(&self, kept: KeptRun) -> Option<KeptRun> {
        match self.fault {
            Fault::IgnoresJournal => None,
            Fault::IgnoresHistory => Some(KeptRun { history: Vec::new(), ..kept }),
            _ => Some(kept),
        }
    }

    /// Whether a record is there when a journal is written anew.
    pub fn keeps_anew(&self, record: &Record) -> bool {
        !(self.fault == Fault::LosesAnew && matches!(record, Record::Began(_)))
    }

    /// Whether a run that somebody cuts is cut.
    pub fn cuts(&self) -> bool {
        self.fault != Fault::StopsForCut
    }

    /// What people see, of what they should.
    pub fn show(&self, mut snapshot: Snapshot) -> Snapshot {
        match self.fault {
            Fault::HidesHoles => snapshot.holes.clear(),
            Fault::LeavesHoles if snapshot.counted_since.is_none_or(|since| since.is_zero()) => {}
            Fault::InventsHole | Fault::LeavesHoles => {
                let (from, to) = (Duration::from_secs(3), Duration::from_secs(4));
                snapshot.holes.push(HoleView { worker: format!("{}_1", host_name(0)), from, to });
            }
            Fault::HidesOverlaps => snapshot.overlaps.clear(),
            Fault::CountsLostAsBegun => snapshot.quota.iter_mut().for_each(|quota| quota.begun += std::mem::take(&mut quota.lost)),
            Fault::HidesRowsOfLost => snapshot.warnings.retain(|warning| !warning.contains("were in the hands of")),
            Fault::HidesUnknown => snapshot.warnings.retain(|warning| !warning.contains("known to nobody")),
            Fault::RatesOfHalfTheTime => snapshot.total.total_rps = snapshot.total.total_rps.map(|rate| rate * 2.0),
            Fault::BlursTheLeast => snapshot.entries.iter_mut().for_each(|entry| entry.min = entry.min.map(|min| min / 2)),
            Fault::HidesTheWorst => snapshot.thresholds.iter_mut().for_each(|view| view.actual = "1 from 0:00 to 0:03".into()),
            Fault::HidesReason => snapshot.aborted = None,
            Fault::InventsOverlap => {
                let (from, to) = (Duration::from_secs(3), Some(Duration::from_secs(4)));
                snapshot.overlaps.push(OverlapView { worker: format!("{}_1", host_name(0)), from, to, users: 5 });
            }
            Fault::NeverEndsOverlaps => snapshot.overlaps.iter_mut().for_each(|overlap| overlap.to = None),
            Fault::MiscountsUsers => snapshot.users = snapshot.users.saturating_sub(1),
            _ => {}
        }
        snapshot
    }

    pub fn up(&mut self, seat: usize, message: ToMaster) -> Vec<ToMaster> {
        if let (Fault::HidesStanding, ToMaster::Hello(hello)) = (self.fault, &message) {
            return vec![ToMaster::Hello(Box::new(Hello { standing: None, ..Hello::clone(hello) }))];
        }
        if let (Fault::ForgetsTheWorst, ToMaster::WindowParts(_)) = (self.fault, &message) {
            return Vec::new();
        }
        if let (Fault::ForgetsRevisions, ToMaster::Hello(hello)) = (self.fault, &message) {
            let mut hello = Hello::clone(hello);
            let older = |plan: &Arc<Plan>| Arc::new(Plan { revision: 0, ..Plan::clone(plan) });
            hello.standing.iter_mut().for_each(|standing| standing.plan = older(&standing.plan));
            return vec![ToMaster::Hello(Box::new(hello))];
        }
        if let (Fault::ForgetsPause, ToMaster::Hello(hello)) = (self.fault, &message) {
            let mut hello = Hello::clone(hello);
            let orders = hello.standing.iter_mut().flat_map(|standing| standing.orders.iter_mut());
            orders.for_each(|orders| orders.is_paused = false);
            return vec![ToMaster::Hello(Box::new(hello))];
        }
        let ToMaster::Delta { sent, delta } = &message else { return vec![message] };
        if self.fault == Fault::IgnoresScripts {
            return vec![ToMaster::Delta { sent: *sent, delta: Arc::new(Delta { halt: None, ..Delta::clone(delta) }) }];
        }
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
            Fault::Panics if is_fifth => panic!("the fifth delta"),
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
            ToWorker::Abandon(_) if self.fault == Fault::IgnoresLeave => ToWorker::Farewell,
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
            ToWorker::Grant { run, grant: Grant { source, number, given: Given::Rows(rows) } } if self.fault == Fault::GivesTooMany => {
                let rows = Given::Rows(rows.start..rows.end + 64);
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
