//! The witness: what one user did, in full, for `lunamoth check`. A run has none, and pays one look at an empty place for it.
//!
//! Owns the list of what was seen and the walk through all tasks; how it is shown is a front end's.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::host::ScriptWorkload;
use super::session::ScriptUser;
use crate::load::{LaneContext, LaneWorkload, UserControl, UserStart, VirtualUser};
use crate::plan::{ClassPlan, Plan};
use crate::stats::recorder::{Limits, Recorder};
use crate::stats::sample::Sample;

/// One task, or `on_start`, or `on_stop`, as it was seen.
#[derive(Debug, Default)]
pub struct WitnessedStep {
    /// Such as `Shopper: browse`.
    pub name: String,
    /// Its hops, in the order of their ends.
    pub hops: Vec<WitnessedHop>,
    /// Its checks and whether each held, in the order in which they were made.
    pub checks: Vec<(String, bool)>,
    /// What it raised, with the traceback.
    pub exception: Option<String>,
}

/// One hop as it was seen.
#[derive(Debug)]
pub struct WitnessedHop {
    /// The number by which a later judgement finds it; 0 for a hop that was final at once.
    pub id: u64,
    /// Such as `GET`.
    pub method: String,
    /// Where it went.
    pub url: String,
    /// The name under which it is counted.
    pub name: String,
    /// Such as `HTTP/1.1`; empty without an answer.
    pub version: &'static str,
    /// Its numbers.
    pub sample: Sample,
    /// Why it failed, in words for people.
    pub message: Option<String>,
}

/// Sees what the users of a lane do.
#[derive(Debug, Default)]
pub struct Witness {
    seen: RefCell<WitnessedStep>,
}

impl Witness {
    /// A hop has ended.
    pub fn hop(&self, hop: WitnessedHop) {
        self.seen.borrow_mut().hops.push(hop);
    }

    /// The script has judged hop `id` anew.
    pub fn judgement(&self, id: u64, sample: &Sample, message: Option<&str>) {
        if let Some(hop) = self.seen.borrow_mut().hops.iter_mut().find(|hop| hop.id == id) {
            hop.sample.clone_from(sample);
            hop.message = message.map(str::to_owned);
        }
    }

    /// A check was made.
    pub fn check(&self, name: &str, passed: bool) {
        self.seen.borrow_mut().checks.push((name.to_owned(), passed));
    }

    /// The script raised.
    pub fn exception(&self, message: &str, traceback: &str) {
        let text = if traceback.is_empty() { message.to_owned() } else { format!("{message}\n{traceback}") };
        self.seen.borrow_mut().exception = Some(text);
    }

    fn take(&self, name: String) -> WitnessedStep {
        WitnessedStep { name, ..self.seen.take() }
    }
}

/// Lives one user of each class through `on_start`, each of its tasks once, and `on_stop`. Must be called inside a `LocalSet`.
///
/// # Errors
/// The script cannot be set up in a lane.
pub(super) async fn walk(workload: ScriptWorkload, plan: Arc<Plan>, classes: &[ClassPlan]) -> Result<Vec<WitnessedStep>, String> {
    let witness = Rc::new(Witness::default());
    let recorder = Rc::new(RefCell::new(Recorder::new(Limits { names: plan.names_limit })));
    let lane = workload.open_witnessed(LaneContext { plan, lane: 0, recorder }, Some(witness.clone()))?;
    lane.begin(Instant::now());
    let mut steps = Vec::new();
    for (number, class) in classes.iter().enumerate() {
        let control = Rc::new(UserControl::default());
        let mut user = lane.new_user(UserStart { index: number as u64, class: number, iterations_done: 0, control })?;
        walk_user(&mut user, class, &witness, &mut steps).await;
        if let Some(misuse) = lane.misuse() {
            return Err(misuse);
        }
    }
    Ok(steps)
}

async fn walk_user(user: &mut ScriptUser, class: &ClassPlan, witness: &Witness, steps: &mut Vec<WitnessedStep>) {
    let ClassPlan { name: class, tasks, .. } = class;
    let started = user.on_start().await;
    if user.has_on_start() {
        steps.push(witness.take(format!("{class}: on_start")));
    }
    if started.raised || started.ended {
        return;
    }
    for (position, task) in tasks.iter().enumerate() {
        let step = user.run_task(position).await;
        steps.push(witness.take(format!("{class}: {}", task.name)));
        if step.ended {
            break;
        }
    }
    user.on_stop().await;
    if user.has_on_stop() {
        steps.push(witness.take(format!("{class}: on_stop")));
    }
}
