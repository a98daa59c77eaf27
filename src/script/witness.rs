//! The witness: what one user did, in full, for `lunamoth check`. A run has none, and pays one look at an empty place for it.
//!
//! Owns the list of what was seen and the walk through all tasks; how it is shown is a front end's.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::host::ScriptWorkload;
use super::session::ScriptUser;
use crate::load::Halt;
use crate::load::slots::Numbering;
use crate::load::{LaneContext, LaneWorkload, UserControl, UserStart, VirtualUser, Workload as _};
use crate::plan::{Act, ClassPlan, NamedProfile, Plan};
use crate::stats::recorder::{Limits, Recorder};
use crate::stats::sample::Sample;

/// One task, or `on_start`, or `on_stop`, as it was seen.
#[derive(Debug, Default)]
pub struct WitnessedStep {
    /// Such as `Shopper: browse`.
    pub name: String,
    /// What it did, in the order in which it was done.
    pub events: Vec<Witnessed>,
}

/// One thing that a user did.
#[derive(Debug)]
pub enum Witnessed {
    /// A hop has ended.
    Hop(Box<WitnessedHop>),
    /// A check was made.
    Check {
        /// As the script names it.
        name: String,
        /// Whether it held.
        passed: bool,
    },
    /// The script raised this, with the traceback.
    Raised(String),
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
    /// What the script had sent: the lines of its headers, those that the client adds by itself excluded.
    pub request_headers: Vec<u8>,
    /// The beginning of what was sent.
    pub request_body: Vec<u8>,
    /// The answer's headers.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The beginning of the answer's body, unpacked.
    pub body: Vec<u8>,
}

/// The beginning of a body, as much as people read.
pub fn beginning(body: &[u8]) -> Vec<u8> {
    body.get(..SHOWN_BYTES).unwrap_or(body).to_vec()
}

/// Sees what the users of a lane do.
#[derive(Debug, Default)]
pub struct Witness {
    seen: RefCell<WitnessedStep>,
}

impl Witness {
    /// A hop has ended.
    pub fn hop(&self, hop: WitnessedHop) {
        self.seen.borrow_mut().events.push(Witnessed::Hop(Box::new(hop)));
    }

    /// The script has judged hop `id` anew.
    pub fn judgement(&self, id: u64, sample: &Sample, message: Option<&str>) {
        for event in &mut self.seen.borrow_mut().events {
            if let Witnessed::Hop(hop) = event
                && hop.id == id
            {
                hop.sample.clone_from(sample);
                hop.message = message.map(str::to_owned);
            }
        }
    }

    /// A check was made.
    pub fn check(&self, name: &str, passed: bool) {
        self.seen.borrow_mut().events.push(Witnessed::Check { name: name.to_owned(), passed });
    }

    /// The script raised.
    pub fn exception(&self, message: &str, traceback: &str) {
        let text = if traceback.is_empty() { message.to_owned() } else { format!("{message}\n{traceback}") };
        self.seen.borrow_mut().events.push(Witnessed::Raised(text));
    }

    fn take(&self, name: String) -> WitnessedStep {
        WitnessedStep { name, ..self.seen.take() }
    }
}

/// Lives one user of each class through `on_start`, each of its tasks once, and `on_stop`; tells each step when it is over. Must be called inside a
/// `LocalSet`.
///
/// # Errors
/// The script cannot be set up in a lane.
pub(super) async fn walk(
    workload: ScriptWorkload,
    plan: Arc<Plan>,
    classes: &[ClassPlan],
    mut tell: impl FnMut(WitnessedStep),
) -> Result<(), String> {
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

/// Bytes of a body that are shown.
const SHOWN_BYTES: usize = 4 << 10;
