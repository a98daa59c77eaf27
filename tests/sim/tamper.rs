//! Faults of the machines themselves, put in on purpose: they show that the checks bite.

use std::sync::Arc;
use std::time::Duration;

use lunamoth::cluster::message::{Answer, Delta, ToMaster, ToWorker};
use lunamoth::load::slots::{Orders, SlotSet};
use lunamoth::plan::Plan;

use super::course::{Failure, play};
use super::scenario::{Event, Scenario};
use super::verdict;

/// One fault, of the first worker.
pub struct Tamper {
    fault: Fault,
    /// How far the master's numbering is ahead of the worker's.
    shift: i64,
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
}

impl Fault {
    /// All of them, each with a word of what the checks say of it.
    pub const ALL: [(Self, &str); 7] = [
        (Self::CountsTwice, "in the table"),
        (Self::ForgetsTooEarly, "in the table"),
        (Self::TakesEverySlot, "run the same user"),
        (Self::IgnoresHandedSlots, "are wanted"),
        (Self::WeighsWrongly, "buyers of"),
        (Self::IgnoresReset, "counts for epoch"),
        (Self::EndsTooEarly, "ended by itself"),
    ];

    /// A life in which the fault has its occasion, and nothing else goes wrong.
    fn occasion(self) -> Scenario {
        let at = Duration::from_secs(12);
        match self {
            Self::CountsTwice | Self::ForgetsTooEarly | Self::TakesEverySlot | Self::IgnoresHandedSlots | Self::WeighsWrongly => occasion(),
            Self::IgnoresReset => Scenario::plain(3, 40, Duration::from_secs(30)).with(at, Event::Reset),
            Self::EndsTooEarly => {
                let freeze = Event::Freeze { worker: 0, lasts: Duration::from_secs(14) };
                Scenario { orphan_timeout: Duration::from_secs(20), ..Scenario::plain(1, 40, Duration::from_secs(40)) }.with(at, freeze)
            }
        }
    }
}

impl Tamper {
    pub const fn new(fault: Fault) -> Self {
        Self { fault, shift: 0 }
    }

    /// How long the master waits for orphans, of how long it should.
    pub fn patience(&self, orphan_timeout: Duration) -> Duration {
        if self.fault == Fault::EndsTooEarly { orphan_timeout / 2 } else { orphan_timeout }
    }

    pub fn up(&mut self, seat: usize, message: ToMaster) -> Vec<ToMaster> {
        let ToMaster::Delta { sent, delta } = &message else { return vec![message] };
        if seat != 0 {
            return vec![message];
        }
        let numbered = |shift: i64| {
            let sequence = delta.sequence.checked_add_signed(shift).unwrap();
            ToMaster::Delta { sent: *sent, delta: Arc::new(Delta { sequence, ..Delta::clone(delta) }) }
        };
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
            _ => vec![numbered(if delta.sequence > 5 { self.shift } else { 0 })],
        }
    }

    pub fn down(&mut self, seat: usize, message: ToWorker) -> ToWorker {
        match message {
            ToWorker::Answer(Answer { echo, clock, acknowledged: Some((run, sequence)) }) if seat == 0 && sequence > 4 => {
                let sequence = sequence.checked_add_signed(-self.shift).unwrap();
                ToWorker::Answer(Answer { echo, clock, acknowledged: Some((run, sequence)) })
            }
            ToWorker::Orders(mut orders) if seat == 0 && self.fault == Fault::TakesEverySlot => {
                orders.orders = Orders { slots: Arc::new(SlotSet::all()), ..orders.orders };
                ToWorker::Orders(orders)
            }
            ToWorker::Orders(mut orders) if seat == 0 && self.fault == Fault::IgnoresHandedSlots => {
                if let Some(handover) = &orders.orders.handover {
                    let mut slots = SlotSet::clone(&orders.orders.slots);
                    handover.moved.iter().for_each(|slot| slots.remove(slot));
                    orders.orders.slots = Arc::new(slots);
                }
                ToWorker::Orders(orders)
            }
            ToWorker::Orders(mut orders) if seat == 0 && self.fault == Fault::IgnoresReset => {
                orders.epoch = 0;
                ToWorker::Orders(orders)
            }
            ToWorker::Prepare(plan) if seat == 0 && self.fault == Fault::WeighsWrongly => {
                let mut plan = Plan::clone(&plan);
                plan.classes.iter_mut().for_each(|class| class.weight = 1);
                ToWorker::Prepare(Arc::new(plan))
            }
            message => message,
        }
    }
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
    for (fault, word) in Fault::ALL {
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
