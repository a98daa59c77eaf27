//! Faults of the machines themselves, put in on purpose: they show that the checks bite.

use std::sync::Arc;
use std::time::Duration;

use lunamoth::cluster::message::{Answer, Delta, ToMaster, ToWorker};
use lunamoth::load::slots::{Orders, SlotSet};

use super::course::{Failure, play};
use super::scenario::{Event, Scenario};

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
}

impl Tamper {
    pub const fn new(fault: Fault) -> Self {
        Self { fault, shift: 0 }
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
            message => message,
        }
    }
}

/// What the checks say of a life in which the first worker has the fault.
fn caught(fault: fn() -> Tamper, scenario: &Scenario) -> Box<Failure> {
    play(scenario, Some(fault)).err().expect("the checks see the fault")
}

fn life() -> Scenario {
    Scenario::plain(3, 30, Duration::from_secs(20))
}

#[test]
fn a_life_without_a_fault_passes() {
    assert!(play(&life(), None).is_ok());
}

#[test]
fn a_delta_that_is_counted_twice_is_seen() {
    let failure = caught(|| Tamper::new(Fault::CountsTwice), &life());
    assert!(failure.what.contains("607 served, 621 in the table"), "{}", failure.what);
}

#[test]
fn a_delta_that_is_forgotten_is_seen() {
    let failure = caught(|| Tamper::new(Fault::ForgetsTooEarly), &life());
    assert!(failure.what.contains("607 served, 593 in the table"), "{}", failure.what);
}

#[test]
fn a_user_that_runs_twice_is_seen() {
    let failure = caught(|| Tamper::new(Fault::TakesEverySlot), &life());
    assert!(failure.what.contains("run the same user"), "{}", failure.what);
}

#[test]
fn users_that_nobody_runs_are_seen() {
    let life = life().with(Duration::from_secs(10), Event::Leave { worker: 2 });
    let failure = caught(|| Tamper::new(Fault::IgnoresHandedSlots), &life);
    assert!(failure.what.contains("in quiet, 30 users are wanted"), "{}", failure.what);
}

#[test]
fn a_failure_says_how_to_see_it_again() {
    let failure = caught(|| Tamper::new(Fault::CountsTwice), &Scenario { seed: 4_711, ..life() });
    assert!(!failure.trace.is_empty());
    let said = std::panic::catch_unwind(|| super::report(vec![failure])).unwrap_err();
    assert!(said.downcast_ref::<String>().unwrap().contains("LUNAMOTH_SIM_SEED=4711"));
}
