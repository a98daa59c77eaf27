//! The walk of `lunamoth check` through a script: one user of each class does each of its tasks once, seen by a witness.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::host::{Host, ScriptWorkload};
use super::session::ScriptUser;
use super::witness::{Witness, WitnessedStep};
use crate::load::slots::Numbering;
use crate::load::{Halt, LaneContext, LaneWorkload, UserControl, UserStart, VirtualUser, Workload as _};
use crate::plan::{Act, ClassPlan, NamedProfile, Plan};
use crate::stats::recorder::{Limits, Recorder};

impl Host {
    /// Runs each task once, as one user of each class, and tells what was seen of each step when it is over. Must be called inside a `LocalSet`.
    ///
    /// # Errors
    /// The script cannot be set up in a lane.
    pub async fn check(&self, plan: Arc<Plan>, tell: impl FnMut(WitnessedStep)) -> Result<(), String> {
        walk(self.workload(), plan, &self.description().classes, tell).await
    }
}

/// Lives one user of each class through `on_start`, each of its tasks once, and `on_stop`; tells each step when it is over. Must be called inside a
/// `LocalSet`.
///
/// # Errors
/// The script cannot be set up in a lane.
async fn walk(workload: ScriptWorkload, plan: Arc<Plan>, classes: &[ClassPlan], mut tell: impl FnMut(WitnessedStep)) -> Result<(), String> {
    let witness = Rc::new(Witness::default());
    let recorder = Rc::new(RefCell::new(Recorder::new(Limits { names: plan.settings.names })));
    let (life, profile) = (plan.life.clone(), plan.profile.clone());
    let lane = workload.open_witnessed(LaneContext { plan, lane: 0, recorder }, Some(witness.clone()))?;
    lane.begin(Instant::now());
    if life.setup.is_some() {
        let done = lane.act(Act::Setup).await;
        tell(witness.take("setup".to_owned()));
        workload.give_data(&done.map_err(|why| format!("setup: {why}"))?);
    }
    for (number, class) in classes.iter().enumerate() {
        let control = Rc::new(UserControl::default());
        // One of the first profile that has the class.
        let has = |named: &NamedProfile| named.classes.is_empty() || named.classes.contains(&class.name);
        let place = profile.named().iter().position(has).unwrap_or(0);
        let index = Numbering::of(&profile).index(place, number as u64);
        let mut user = lane.new_user(UserStart { index, class: number, iterations_done: 0, side: None, control })?;
        walk_user(&mut user, class, &witness, &mut tell).await;
        match lane.halt() {
            Some(Halt::Misuse(why)) => return Err(why),
            Some(Halt::Abort(why)) => return Err(format!("the script ended the run: {why}")),
            None => {}
        }
    }
    if life.teardown.is_some() {
        let done = lane.act(Act::Teardown).await;
        tell(witness.take("teardown".to_owned()));
        done.map_err(|why| format!("teardown: {why}"))?;
    }
    Ok(())
}

async fn walk_user(user: &mut ScriptUser, class: &ClassPlan, witness: &Witness, tell: &mut impl FnMut(WitnessedStep)) {
    let ClassPlan { name: class, tasks, .. } = class;
    let started = user.on_start().await;
    if user.has_on_start() {
        tell(witness.take(format!("{class}: on_start")));
    }
    if started.raised || started.ended {
        return;
    }
    for (position, task) in tasks.iter().enumerate() {
        let step = user.run_task(position).await;
        tell(witness.take(format!("{class}: {}", task.name)));
        if step.ended {
            break;
        }
    }
    user.on_stop().await;
    if user.has_on_stop() {
        tell(witness.take(format!("{class}: on_stop")));
    }
}
