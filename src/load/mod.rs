//! Making load: who runs when, the life of a user, the lanes. No Lua, no protocol, no cluster.
//!
//! `script` fills the traits below; `cluster` starts the engine. A lane is one core: a thread with a current-thread runtime,
//! its users, its recorder. Lanes share nothing.

pub mod act;
mod alarm;
mod allotment;
pub mod board;
pub mod courier;
mod dealer;
mod debt;
pub mod engine;
pub mod errand;
mod foreman;
pub mod lane;
mod live_users;
mod pair;
mod pool;
pub mod profile;
pub mod pulse;
pub mod roster;
mod rota;
pub mod shape;
pub mod sides;
pub mod slots;
pub mod stock;
mod tenure;
mod tosses;
mod turn_clock;
pub mod user;
pub mod vitals;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use self::debt::Debt;
use self::debt::Turns;
use self::sides::Side;
use crate::plan::{Act, Plan};
use crate::stats::recorder::Recorder;

/// What users do, for one worker. Opened once in each lane, on the lane's thread.
pub trait Workload: Send + Sync + 'static {
    /// What lives in one lane.
    type Lane: LaneWorkload;

    /// Makes ready what the users of one lane share: VMs, compiled scripts, name caches.
    ///
    /// # Errors
    /// A text for people; the run cannot start.
    fn open_lane(&self, lane: LaneContext) -> Result<Self::Lane, String>;

    /// The rows that its users take once in the whole cluster, where there are such: the worker brings what the master gives out. A run's
    /// iterations come from the same stock, where they are given out by their number.
    fn stock(&self) -> Option<Arc<stock::Stock>> {
        None
    }

    /// The way of its users to the board of the run, where they have one: the worker carries what they ask.
    fn courier(&self) -> Option<Arc<courier::Courier>> {
        None
    }

    /// What the run's setup returned, as JSON; before its first user begins. Where lanes are opened later, their plan has it.
    fn give_data(&self, _data: &str) {}
}

/// What a lane gives to its workload.
#[derive(Clone)]
pub struct LaneContext {
    /// The run that the lane is opened for.
    pub plan: Arc<Plan>,
    /// The lane's number on its worker, from 0.
    pub lane: usize,
    /// Where samples go. Borrowed for single calls only, never across an await.
    pub recorder: Rc<RefCell<Recorder>>,
}

/// Why the script ends the run for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Halt {
    /// It cannot run without what the plan does not have, such as a host; every user would meet it again and again.
    Misuse(String),
    /// It says so, and why.
    Abort(String),
}

/// The users of one lane.
pub trait LaneWorkload: 'static {
    /// What runs one user's steps.
    type User: VirtualUser;

    /// The run begins: `zero` is time zero of its clock. Called once, before the first user.
    fn begin(&self, zero: Instant);

    /// Why the run shall end for all, once a user has met it.
    fn halt(&self) -> Option<Halt>;

    /// Makes a user; its `on_start` has not run.
    ///
    /// # Errors
    /// A text for people; the user is counted as dropped.
    fn new_user(&self, start: UserStart) -> Result<Self::User, String>;

    /// Does what is done once for the whole run, in a lane that has no users. Answers the JSON text of what a setup returned.
    ///
    /// # Errors
    /// Why it came to no good end, in words for people.
    fn act(&self, act: Act) -> impl Future<Output = Result<String, String>> {
        std::future::ready(Err(format!("this workload has no {act}")))
    }
}

/// Which user begins, and what is fixed for its life.
#[derive(Clone)]
pub struct UserStart {
    /// The global index, 0-based.
    pub index: u64,
    /// Index into [`Plan::classes`].
    pub class: usize,
    /// Iterations that this user has done elsewhere.
    pub iterations_done: u64,
    /// Where its requests go, in a run of two sides.
    pub side: Option<Side>,
    /// How the lane tells the user to come to an end.
    pub control: Rc<UserControl>,
}

/// One user's life, step by step. The order of the calls is `load::user`'s; what a step does is the script's.
///
/// Dropping a user in mid-step is the cut at the stop timeout: the drop records what was in flight.
pub trait VirtualUser: 'static {
    /// Runs the class's `on_start`. A user that is told to finish ends it at its next sleep or wait, as an iteration.
    fn on_start(&mut self) -> impl Future<Output = Step>;
    /// Runs one task, which it counts in its control ([`UserControl::count_iteration`]). A user that is told to finish ends it at its next sleep or wait: see [`Step::interrupted`].
    fn iterate(&mut self) -> impl Future<Output = Step>;
    /// Runs the class's `on_stop`. A sleep in it takes its time, up to the stop timeout.
    fn on_stop(&mut self) -> impl Future<Output = Step>;
    /// How long the user thinks after the iteration that has `ended`, by its class. Zero without a `wait`.
    fn think_time(&mut self, ended: Instant) -> Duration;
    /// The user is about to be idle for `pause`: samples become final, memory that can be had back is given back.
    fn rest(&mut self, pause: Duration);
}

/// How a step went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Step {
    /// The script raised; the exception is already counted.
    pub raised: bool,
    /// The user was told to finish and the step ended at a sleep or wait, before its own end. Never true of an `on_stop`.
    pub interrupted: bool,
    /// The script called `self:stop()`, or the user cannot go on (its VM is gone).
    pub ended: bool,
    /// Requests that the step made.
    pub requests: u32,
    /// Those of them that got an answer.
    pub answered: u32,
    /// Whether the step gave control back to the lane at least once.
    pub yielded: bool,
    /// So long the user's script has held the lane in one stretch at the step's end: it leaves the lane to the others before it goes on.
    pub held: Option<Duration>,
}

/// How a lane tells one user to come to an end; shared by the lane, the life loop and the script's sleeps.
#[derive(Debug, Default)]
pub struct UserControl {
    draining: Cell<bool>,
    superseded: Cell<bool>,
    /// In an open profile, the iteration that the user runs.
    arrival: Cell<Option<ArrivalNote>>,
    /// Iterations that the user has begun, here or elsewhere.
    iterations: Cell<u64>,
    /// When what comes to the user's next wait was to begin: an iteration, or what follows a wait in one. `None` before the first iteration.
    paced: Cell<Option<Instant>>,
    wake: tokio::sync::Notify,
    gate: Rc<Gate>,
    turns: Turns,
    debt: Rc<Debt>,
}

/// What a step can know of the iteration of an open profile that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ArrivalNote {
    index: u64,
    /// What the next request of the iteration was late already when it was asked for: all of the iteration's lateness for the first one, nothing
    /// for those after it.
    late: Duration,
}

/// What the users of a lane pass before each iteration: open, except in a pause.
#[derive(Debug, Default)]
pub struct Gate {
    is_shut: Cell<bool>,
    opened: tokio::sync::Notify,
}

impl Gate {
    /// Shuts it, or opens it and lets those through who wait.
    pub fn set_shut(&self, is_shut: bool) {
        if self.is_shut.replace(is_shut) && !is_shut {
            self.opened.notify_waiters();
        }
    }
}

impl UserControl {
    /// Whether the user shall finish: its iteration is the last, and ends at its next sleep or wait.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.get()
    }

    /// Tells the user to finish; one that sleeps or waits ends there.
    pub fn drain(&self) {
        self.draining.set(true);
        self.wake.notify_waiters();
    }

    /// Whether the script has been renewed: the user finishes its iteration and its think time, and a fresh user of its index takes its place.
    #[must_use]
    pub fn is_superseded(&self) -> bool {
        self.superseded.get()
    }

    /// Tells the user to give way once it is between two iterations. Cuts nothing: if all users began anew at once, their `on_start`s would be
    /// a load that nobody asked for.
    pub fn supersede(&self) {
        self.superseded.set(true);
    }

    /// Whether the user has nothing more to begin.
    #[must_use]
    pub fn is_at_its_end(&self) -> bool {
        self.is_draining() || self.is_superseded()
    }

    /// The user begins iteration `index` of an open profile, so late.
    pub(crate) fn begin_arrival(&self, index: u64, late: Duration) {
        self.arrival.set(Some(ArrivalNote { index, late }));
    }

    /// The iteration of an open profile is over.
    pub(crate) fn end_arrival(&self) {
        self.arrival.set(None);
    }

    /// The index of the iteration that the user runs, unique in the whole run; `None` where the profile is closed, and in `on_start` and `on_stop`.
    #[must_use]
    pub fn arrival_index(&self) -> Option<u64> {
        self.arrival.get().map(|arrival| arrival.index)
    }

    /// What a request that has ended adds to its duration from the due time on; `None` where there is no due time. The iteration's first one adds
    /// the iteration's lateness.
    #[must_use]
    pub fn take_late(&self) -> Option<Duration> {
        let arrival = self.arrival.get()?;
        self.arrival.set(Some(ArrivalNote { late: Duration::ZERO, ..arrival }));
        Some(arrival.late)
    }

    /// The control of a user that passes `gate` before each iteration, shares the lane by `debt`, and has done so many iterations.
    #[must_use]
    pub fn behind(gate: Rc<Gate>, debt: Rc<Debt>, iterations_done: u64) -> Self {
        Self { gate, debt, iterations: Cell::new(iterations_done), ..Self::default() }
    }

    /// What the users of the lane owe each other.
    #[must_use]
    pub fn debt(&self) -> &Debt {
        &self.debt
    }

    /// A turn of the user has ended, so long after it began.
    fn end_turn(&self, length: Duration) {
        self.turns.end_turn(&self.debt, length);
    }

    /// What the user has held the lane for, turn by turn, and has not made room for; it is to do so now.
    pub fn take_held(&self) -> Option<Duration> {
        self.turns.take_held()
    }

    /// The user has held the lane for `held` in the turn that is under way, and makes room for it.
    pub async fn make_room_now(&self, held: Duration) -> bool {
        self.turns.pay_now();
        self.make_room(held).await
    }

    /// Leaves the lane to the light users, since it was held for `held`, until they have had it for long enough, want it no more, or the user is told
    /// to finish. Answers whether anybody wanted it.
    pub async fn make_room(&self, held: Duration) -> bool {
        // Boxed: hardly a user waits here, and none shall carry the room for it.
        Box::pin(self.leave_lane(held)).await
    }

    async fn leave_lane(&self, held: Duration) -> bool {
        let mut seen = self.debt.light_turns();
        // Whoever became ready meanwhile has its turn here.
        tokio::task::yield_now().await;
        if self.debt.light_turns() == seen {
            return false;
        }
        let until = self.debt.owe(now(), held);
        while now() < until && !self.is_draining() {
            seen = self.debt.light_turns();
            // Where nobody wants the lane for as long as it was held, the next hold will hardly meet anybody.
            self.sleep_until(until.min(now() + held)).await;
            if self.debt.light_turns() == seen {
                self.debt.forgive();
                break;
            }
        }
        true
    }

    /// Iterations that the user has begun, here or elsewhere; of one on two sides, on both together.
    #[must_use]
    pub fn iterations(&self) -> u64 {
        self.iterations.get()
    }

    /// The user begins an iteration: which one, counted from 1.
    pub fn count_iteration(&self) -> u64 {
        self.iterations.set(self.iterations.get().saturating_add(1));
        self.iterations.get()
    }

    /// When what comes to the user's next wait was to begin; `None` before the first iteration.
    #[must_use]
    pub fn paced(&self) -> Option<Instant> {
        self.paced.get()
    }

    /// What comes next is to begin at `at`.
    pub fn set_paced(&self, at: Instant) {
        self.paced.set(Some(at));
    }

    /// Whether the user would have to wait before its next iteration.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.gate.is_shut.get()
    }

    /// Waits until the gate is open, or until the user is told to finish.
    pub async fn pass(&self) {
        while self.is_held() && !self.is_draining() {
            let (opened, drained) = (self.gate.opened.notified(), self.wake.notified());
            tokio::select! {
                () = opened => {}
                () = drained => {}
            }
        }
    }

    /// Waits until the user is told to finish.
    pub async fn drained(&self) {
        while !self.is_draining() {
            self.wake.notified().await;
        }
    }

    /// Sleeps until `deadline`, or until the user is told to finish, whichever comes first.
    pub async fn sleep_until(&self, deadline: Instant) {
        let drained = self.wake.notified();
        if self.is_draining() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep_until(deadline.into()) => {}
            () = drained => {}
        }
    }
}

/// The runtime's monotonic clock, which tests can pause.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
