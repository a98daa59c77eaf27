//! Users of one lane: each is a coroutine in one of the lane's VMs, driven from operation to operation.

use std::cell::{Cell, RefCell};
use std::future::ready;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::account::Account;
use super::answer::Answer;
use super::bindings::{Performing, UserLibraries};
use super::chance::Generator;
use super::context::{INDEX_OF_ACTS, Stage, UserState, VmContext};
use super::driver::Request;
use super::lane_state::LaneState;
use super::ledger::Ledger;
use super::library::pause;
use super::scenario::{ClassRuntime, Described};
use super::sources::Sources;
use super::vm::{Resumed, Vm};
use super::watchdog::{self, Watchdog};
use crate::load::sides::Side;
use crate::load::slots::Numbering;
use crate::load::{Halt, LaneWorkload, Step, UserStart, VirtualUser};
use crate::plan::Act;

/// The users of one lane.
#[derive(Debug)]
pub struct ScriptLane {
    lane: Rc<LaneState>,
    sources: Rc<Sources>,
    vms: RefCell<Vec<Rc<Vm>>>,
    // After `vms`: a VM is never run without it.
    watchdog: Rc<Watchdog>,
}

impl ScriptLane {
    /// Opens the lane's first VM, so that whatever is wrong with the script shows before the first user.
    pub(super) fn open(lane: Rc<LaneState>, bundle: Arc<super::Bundle>) -> Result<Self, String> {
        let watchdog = Rc::new(Watchdog::start(watchdog::limit())?);
        let lane = Self { lane, sources: Rc::new(Sources::Memory(bundle)), vms: RefCell::default(), watchdog };
        lane.open_vm()?;
        Ok(lane)
    }

    /// A VM with room for one more user.
    fn vm(&self) -> Result<Rc<Vm>, String> {
        let roomy = self.vms.borrow().iter().find(|vm| vm.users() < USERS_OF_A_VM).map(Rc::clone);
        roomy.map_or_else(|| self.open_vm(), Ok)
    }

    fn open_vm(&self) -> Result<Rc<Vm>, String> {
        let plan = &self.lane.plan;
        let context = Rc::new(VmContext {
            stage: Cell::new(Stage::Loading),
            lane: Some(Rc::clone(&self.lane)),
            env: RefCell::new(plan.env.clone()),
            asked: RefCell::default(),
            client_hosts: RefCell::default(),
            current: RefCell::default(),
            files: RefCell::default(),
            metrics: RefCell::default(),
        });
        let (vm, described) = Vm::open(&self.sources, context, &plan.tags, Rc::clone(&self.watchdog)).map_err(|error| error.to_string())?;
        self.agree(&described)?;
        let vm = Rc::new(vm);
        self.vms.borrow_mut().push(Rc::clone(&vm));
        Ok(vm)
    }

    /// Users are known by the plan's class numbers, so the script must describe the plan's classes in the plan's order.
    fn agree(&self, described: &Described) -> Result<(), String> {
        let planned = self.lane.plan.classes.iter().map(|class| &class.name);
        if planned.eq(described.plans.iter().map(|class| &class.name)) {
            return Ok(());
        }
        Err("the script describes other classes here than on the master: its top level must not depend on time, chance or place".to_owned())
    }

    /// The VMs of this lane.
    #[cfg(test)]
    pub(super) fn vms(&self) -> Vec<Rc<Vm>> {
        self.vms.borrow().clone()
    }
}

impl LaneWorkload for ScriptLane {
    type User = ScriptUser;

    fn halt(&self) -> Option<Halt> {
        self.lane.halt.borrow().clone()
    }

    fn begin(&self, zero: Instant) {
        self.lane.zero.set(zero);
    }

    fn new_user(&self, start: UserStart) -> Result<ScriptUser, String> {
        let vm = self.vm()?;
        let host = vm.classes[start.class].host.clone();
        self.user_in(vm, start, host)
    }

    async fn act(&self, act: Act) -> Result<String, String> {
        let vm = self.vm()?;
        let job = match act {
            Act::Setup => vm.acts.setup,
            Act::Teardown => vm.acts.teardown,
        };
        let job = job.ok_or_else(|| format!("the script has no {act} here"))?;
        if self.lane.plan.other_host.is_none() {
            return self.act_on(vm, job, None).await;
        }
        // Each side has its own data, such as a token or what was made there.
        let of_a = self.act_on(Rc::clone(&vm), job, Some(Side::A)).await.map_err(|why| format!("on side A: {why}"))?;
        let of_b = self.act_on(vm, job, Some(Side::B)).await.map_err(|why| format!("on side B: {why}"))?;
        Ok(format!("[{of_a},{of_b}]"))
    }
}

impl ScriptLane {
    /// Does an act on one side, or the only one.
    async fn act_on(&self, vm: Rc<Vm>, job: i64, side: Option<Side>) -> Result<String, String> {
        let start = UserStart { index: INDEX_OF_ACTS, class: 0, iterations_done: 0, side, control: Rc::default() };
        let mut user = self.user_in(vm, start, None)?;
        let step = user.run(job, Phase::Starting).await;
        match self.halt() {
            Some(Halt::Misuse(why)) => return Err(why),
            Some(Halt::Abort(why)) => return Err(format!("the script ended the run: {why}")),
            None => {}
        }
        if step.raised {
            return Err(user.raised.take().unwrap_or_else(|| "the script raised".to_owned()));
        }
        Ok(self.lane.returned.take().unwrap_or_else(|| "null".to_owned()))
    }

    fn user_in(&self, vm: Rc<Vm>, start: UserStart, class_host: Option<Rc<str>>) -> Result<ScriptUser, String> {
        let (profiles, seed) = (self.lane.plan.profile.named(), self.lane.plan.seed);
        let profile = Numbering::of(&self.lane.plan.profile).profile(start.index);
        let named = profiles.get(profile).filter(|_| start.index != INDEX_OF_ACTS);
        let account = vm.admit(start.class, (start.index, start.side), named.map(|named| named.name.as_str()))?;
        let ledger = Rc::new(Ledger::new(&self.lane, Rc::clone(&start.control), named.map(|_| profile), start.side));
        let libraries = UserLibraries::new(&self.lane, &ledger);
        let state = Rc::new(UserState {
            index: start.index,
            random: RefCell::new(Generator::new(seed, start.index, stream_of_start(start.iterations_done, start.side))),
            lane: Rc::clone(&self.lane),
            ledger,
            control: start.control,
            class_host,
            is_in_on_stop: Cell::new(false),
            is_stopping: Cell::new(false),
            libraries,
        });
        Ok(ScriptUser { vm, account, state, class: start.class, is_dead: false, raised: RefCell::default() })
    }
}

/// A user whose steps are coroutines of the script.
#[derive(Debug)]
pub struct ScriptUser {
    vm: Rc<Vm>,
    account: Rc<Account>,
    state: Rc<UserState>,
    class: usize,
    /// The coroutine is gone and has been counted.
    is_dead: bool,
    /// What was raised last.
    raised: RefCell<Option<String>>,
}

impl ScriptUser {
    /// Runs one task of the user's class, by its position in [`super::ScenarioDescription::tasks`]; for `check`, which runs each of them once.
    pub async fn run_task(&mut self, position: usize) -> Step {
        match self.class().tasks.get(position).map(|task| task.job) {
            Some(job) => {
                self.begin_iteration();
                self.run(job, Phase::Iterating).await
            }
            None => Step { ended: true, ..Step::default() },
        }
    }

    /// Whether the class has an `on_start`.
    pub(super) fn has_on_start(&self) -> bool {
        self.class().on_start.is_some()
    }

    /// Whether the class has an `on_stop`.
    pub(super) fn has_on_stop(&self) -> bool {
        self.class().on_stop.is_some()
    }

    fn class(&self) -> &ClassRuntime {
        &self.vm.classes[self.class]
    }

    fn begin_iteration(&mut self) {
        let iteration = self.state.control.count_iteration();
        let seed = self.state.lane.plan.seed;
        // Which user runs an iteration of an open profile is chance: what it draws follows from its own index.
        let (index, stream) = match self.state.control.arrival_index() {
            Some(arrival) => (arrival, STREAM_OF_ARRIVALS),
            None => (self.state.index, iteration),
        };
        self.state.random.borrow_mut().reseed(seed, index, stream);
    }

    async fn run_method(&mut self, job: Option<i64>, phase: Phase) -> Step {
        match job {
            Some(job) => self.run(job, phase).await,
            None => Step::default(),
        }
    }

    /// Runs a job to its end, operation by operation.
    async fn run(&mut self, job: i64, phase: Phase) -> Step {
        let mut step = Step::default();
        if self.is_dead {
            step.ended = true;
            return step;
        }
        self.account.begin_step();
        self.state.is_in_on_stop.set(phase == Phase::Stopping);
        let iteration = (phase == Phase::Iterating).then(|| i64::try_from(self.state.control.iterations()).unwrap_or(i64::MAX));
        let mut answer = Answer::Start { job, iteration };
        loop {
            let request = match self.vm.resume(&self.state, &self.account, answer) {
                Resumed::Asks(request) => request,
                Resumed::Dead(why) => {
                    // Others have waited where the lane was held, though this user will never come again.
                    self.note_hold(job);
                    self.on_death(&self.vm.placed(job, why), &mut step);
                    break;
                }
                Resumed::Dropped => {
                    self.on_death("the user was dropped: its iteration grew the VM most when the memory limit was reached", &mut step);
                    break;
                }
            };
            answer = match request {
                Request::Done => {
                    step.held = self.note_hold(job);
                    break;
                }
                Request::Raised { message, traceback } => {
                    step.raised = true;
                    step.held = self.note_hold(job);
                    self.count_exception(&message, &traceback);
                    break;
                }
                Request::Mistake(text) => Answer::Mistake(text),
                asked => {
                    step.yielded = true;
                    if let Some(held) = self.note_hold(job)
                        && self.state.control.make_room_now(held).await
                    {
                        self.state.lane.recorder.borrow_mut().hold_pause();
                    }
                    let Some(answer) = self.perform(asked).await else {
                        self.interrupt(&mut step);
                        break;
                    };
                    if let Some(held) = self.state.control.take_held() {
                        self.pay_for_turns(held).await;
                    }
                    answer
                }
            };
        }
        self.finish(step)
    }

    /// A user that holds the lane turn by turn, each time for no more than a moment, makes room for the others before it goes on. One whose rate is stated keeps
    /// it: it thinks, or its iterations are due at times of their own.
    async fn pay_for_turns(&self, held: Duration) {
        let control = &self.state.control;
        if self.class().wait.is_none() && control.arrival_index().is_none() && control.make_room(held).await {
            self.state.lane.recorder.borrow_mut().hold_pause();
        }
    }

    /// How long the script has held the lane in the stretch of `job` that has just ended; `None` where that was not long. It is noted for people.
    fn note_hold(&self, job: i64) -> Option<Duration> {
        let (held, place) = self.vm.held()?;
        self.state.lane.recorder.borrow_mut().held(&self.name_of(job), place.as_deref(), held);
        if self.state.control.debt().is_news() {
            log::warn!(
                target: "lunamoth::script",
                "user {} held its lane for {} ms without yielding, while all its other users waited: as long as they want the lane, it pauses, so that they get nine tenths of the time. Told once a lane.",
                self.state.index,
                held.as_millis()
            );
        }
        Some(held)
    }

    /// Class and task, such as `Shopper:checkout`; `setup` and `teardown` are nobody's.
    fn name_of(&self, job: i64) -> String {
        let (class, acts) = (self.class(), &self.vm.acts);
        let of_class = if class.on_start == Some(job) {
            Some("on_start")
        } else if class.on_stop == Some(job) {
            Some("on_stop")
        } else {
            class.tasks.iter().find(|task| task.job == job).map(|task| task.name.as_str())
        };
        match of_class {
            Some(part) => format!("{}:{part}", self.state.lane.plan.classes[self.class].name),
            None if acts.setup == Some(job) => Act::Setup.name().to_owned(),
            None => Act::Teardown.name().to_owned(),
        }
    }

    /// Does what a coroutine asked for; `None` where the step ends there. Nothing of Lua is held here.
    fn perform(&mut self, request: Request) -> Performing<'_> {
        match request {
            Request::Asks(operation) => operation.perform(&self.state),
            Request::Wait => {
                let time = self.think_time(now());
                Box::pin(self.state.wait_for(pause(time)))
            }
            Request::End => {
                self.state.is_stopping.set(true);
                Box::pin(ready(None))
            }
            Request::Done | Request::Raised { .. } | Request::Mistake(_) => Box::pin(ready(Some(Answer::Nothing))),
        }
    }

    /// Ends the step where its coroutine waits, so that another one can follow.
    fn interrupt(&mut self, step: &mut Step) {
        step.interrupted = true;
        self.state.libraries.on_interrupt();
        if let Err(why) = self.vm.unwind(&self.account) {
            self.on_death(&why, step);
        }
    }

    fn count_exception(&self, message: &str, traceback: &str) {
        self.state.lane.recorder.borrow_mut().exception(message, traceback);
        self.raised.replace(Some(message.to_owned()));
        if let Some(witness) = &self.state.lane.witness {
            witness.exception(message, traceback);
        }
    }

    /// The coroutine is gone: the user cannot go on.
    fn on_death(&mut self, why: &str, step: &mut Step) {
        self.is_dead = true;
        self.count_exception(why, "");
        self.state.lane.recorder.borrow_mut().user_dropped();
        step.raised = true;
        step.ended = true;
    }

    fn finish(&self, mut step: Step) -> Step {
        self.state.ledger.finish();
        (step.requests, step.answered) = self.state.ledger.take_counts();
        step.ended |= self.state.is_stopping.get();
        step
    }
}

impl VirtualUser for ScriptUser {
    async fn on_start(&mut self) -> Step {
        let job = self.class().on_start;
        self.run_method(job, Phase::Starting).await
    }

    async fn iterate(&mut self) -> Step {
        if self.state.control.paced().is_none() {
            self.state.control.set_paced(now());
        }
        self.begin_iteration();
        let class = self.class();
        let drawn = if class.tasks.len() == 1 { 1 } else { self.state.random.borrow_mut().int(1, class.total_weight) };
        let job = class.task_at(drawn).job;
        self.run(job, Phase::Iterating).await
    }

    async fn on_stop(&mut self) -> Step {
        let job = self.class().on_stop;
        self.run_method(job, Phase::Stopping).await
    }

    fn think_time(&mut self, now: Instant) -> Duration {
        let rule = self.class().wait;
        if rule.is_none() {
            self.state.control.set_paced(now);
            return Duration::ZERO;
        }
        let unit = if rule.is_random() { self.state.random.borrow_mut().unit() } else { 0.0 };
        let pause = rule.pause(unit, now.saturating_duration_since(self.state.control.paced().unwrap_or(now)));
        // From the moment that was meant, so that late timers do not add up.
        self.state.control.set_paced(now + pause);
        pause
    }

    fn rest(&mut self, _pause: Duration) {
        self.state.ledger.rest();
    }
}

/// Which of a user's steps runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Starting,
    Iterating,
    Stopping,
}

/// The runtime's clock, which tests can pause.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl Drop for ScriptUser {
    fn drop(&mut self) {
        self.vm.discharge((self.state.index, self.state.ledger.side()), &self.account);
    }
}

/// The stream of an `on_start`, counted among those of iterations: 0 for a user's first life, and for a later one a number that no
/// iteration has, since the stream of the last iteration before it has been used. The user of side B has others, so that what both make up by chance,
/// such as names, is not the same.
fn stream_of_start(iterations_done: u64, side: Option<Side>) -> u64 {
    match side {
        Some(Side::B) => STREAM_OF_STARTS_ON_B + iterations_done,
        None | Some(Side::A) if iterations_done == 0 => 0,
        None | Some(Side::A) => u64::MAX - iterations_done,
    }
}

/// The stream of an iteration that has an index of its own: no user has as many iterations.
const STREAM_OF_ARRIVALS: u64 = 1 << 62;

/// On side B, the stream of the first `on_start`; those of later lives follow. No user has as many iterations.
const STREAM_OF_STARTS_ON_B: u64 = 1 << 63;

/// Users of one VM: mlua has room for 7,995 handles in one, and a smaller heap is collected in less time.
pub(super) const USERS_OF_A_VM: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_life_begins_with_random_numbers_that_no_iteration_has_had() {
        let first_of = |stream| Generator::new(7, 3, stream).bits();
        let (begun, later) = (stream_of_start(0, None), stream_of_start(5, None));
        assert_eq!((begun, stream_of_start(0, Some(Side::A))), (0, 0));
        assert_ne!(first_of(stream_of_start(0, Some(Side::B))), first_of(begun));
        assert!(first_of(later) != first_of(begun) && (1..=1_000).all(|iteration| first_of(later) != first_of(iteration)));
    }
}
