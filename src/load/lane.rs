//! A lane: one thread with a current-thread runtime, its users, its recorder.
//!
//! Owns the lane's loop: it starts and drains users as the shape and its slots say, cuts those whose time is up, measures its own
//! lateness and hands its tally over each second. What users do is the workload's; what becomes of tallies is the worker's.
//!
//! User `k` of a profile lives here while `k` is below the profile's level and its slot is held. What is a profile's own is the strand's.
//!
//! | in | event | does | goes to |
//! |---|---|---|---|
//! | open | the run begins | | running |
//! | running | duty | takes its shape and slots on | running |
//! | running | level rises, or a slot comes | starts users | running |
//! | running | level falls, or a slot goes | drains users, highest index first | running |
//! | running | a user's time is up | drops it; starts it again if it is wanted again | running |
//! | running | the workload is renewed | tells all to give way; each that does begins anew by the new one | running |
//! | running | stop, or the planned end | drains all | stopping |
//! | stopping | a user's time is up, or cut | drops it | stopping |
//! | stopping | the last user is gone | last report | finished |

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use super::alarm::Alarm;
use super::dealer::Duty;
use super::foreman::{Brief, Ending};
use super::live_users::LiveUsers;
use super::pair::Pair;
use super::pulse::Pulse;
use super::shape::Shape;
use super::sides::{Side, SideOrder};
use super::slots::Numbering;
use super::stock::{IterationsBegun, Stock};
use super::tenure::Tenure;
use super::user::Life;
use super::{Debt, Gate, LaneWorkload, UserControl, UserStart, VirtualUser, now, user};
use crate::load::Halt;
use crate::plan::Plan;
use crate::stats::recorder::{Limits, Recorder};
use crate::stats::tally::Tally;

mod arrivals;
mod reports;
mod strand;

use strand::Strand;

/// What a lane says once a second, and at its end.
#[derive(Debug)]
pub struct LaneReport {
    /// The lane's number on its worker, from 0.
    pub lane: usize,
    /// What was counted since the last report.
    pub tally: Tally,
    /// Users that are alive at this moment.
    pub users: u64,
    /// No user is alive in this lane and none will ever start again by the orders that it has, though nobody stopped the run and users
    /// are wanted; that the run has a planned end ahead changes nothing. So it is true of a lane whose slots have no user, and false before the first orders.
    pub is_exhausted: bool,
    /// How often the lanes of this worker had been given orders when those came that this report is of.
    pub followed: u64,
    /// This is the last report.
    pub is_finished: bool,
    /// User tasks that panicked so far: bugs of ours.
    pub panics: u32,
    /// Iterations that began so far, where a profile says how many there are.
    pub begun: IterationsBegun,
    /// See [`LaneWorkload::halt`].
    pub halt: Option<Halt>,
}

/// A lane before its loop runs.
pub struct Lane<L> {
    workload: L,
    number: usize,
    plan: Arc<Plan>,
    recorder: Rc<RefCell<Recorder>>,
    stock: Arc<Stock>,
    reports: mpsc::Sender<LaneReport>,
}

impl<L: LaneWorkload> Lane<L> {
    /// A lane that has been told nothing. Iterations that are given out by their number come from `stock`.
    pub(super) fn new(
        workload: L,
        number: usize,
        plan: Arc<Plan>,
        recorder: Rc<RefCell<Recorder>>,
        stock: Arc<Stock>,
        reports: mpsc::Sender<LaneReport>,
    ) -> Self {
        Self { workload, number, plan, recorder, stock, reports }
    }

    /// Runs until the run is over or nobody is left who tells what to do. Must be called where local tasks can be spawned.
    pub(super) async fn run(self, mut inbox: watch::Receiver<Brief>, mut renewals: mpsc::Receiver<Renewal<L>>) {
        let (zero, since) = loop {
            let begun = {
                let brief = inbox.borrow_and_update();
                brief.zero.map(|zero| (zero, brief.since))
            };
            match begun {
                Some(begun) => break begun,
                None if inbox.changed().await.is_err() => return,
                None => {}
            }
        };
        self.workload.begin(zero);
        let ticks = tokio::task::spawn_local(measure_lag(zero + since, self.recorder.clone()));
        let mut running = Running::new(self, zero, since);
        let brief = inbox.borrow_and_update().clone();
        running.heed(&brief, now());
        while !running.turn(now()) {
            let wake = running.next_wake(now());
            let alarm = running.alarm();
            tokio::select! {
                biased;
                told = inbox.changed() => {
                    let brief = inbox.borrow_and_update().clone();
                    running.heed(&brief, now());
                    if told.is_err() {
                        // Nobody is left who would read the numbers.
                        running.cut(now());
                    }
                }
                () = running.users.end_of_one() => {}
                Some(renewal) = renewals.recv() => running.renew(renewal),
                () = rest_until(wake, alarm.as_deref()) => {}
            }
        }
        ticks.abort();
        running.finish().await;
    }
}

/// What users do from here on in one lane: opened there, beside what they did so far.
pub(super) struct Renewal<L> {
    /// Opened; its users have not begun.
    pub workload: L,
    /// The same run's, with the same classes.
    pub plan: Arc<Plan>,
}

/// The recorder of a lane that runs `plan`.
#[must_use]
pub fn recorder_for(plan: &Plan) -> Rc<RefCell<Recorder>> {
    Rc::new(RefCell::new(Recorder::new(Limits { names: plan.settings.names })))
}

/// A lane's loop: state that lives from `Begin` to the last report.
struct Running<L> {
    lane: Lane<L>,
    zero: Instant,
    /// The duty that is followed; a brief that brings it again changes nothing.
    duty: Option<Arc<Duty>>,
    /// See [`LaneReport::followed`].
    followed: u64,
    pulse: Arc<Pulse>,
    /// Of all profiles together.
    shape: Shape,
    tenure: Tenure,
    numbering: Numbering,
    /// A profile each, in their order; none before the first duty.
    strands: Vec<Strand>,
    users: LiveUsers,
    alarm: Option<Rc<Alarm>>,
    /// The run's clock from which on this lane takes part.
    since: Duration,
    /// Shut while the run is paused.
    gate: Rc<Gate>,
    debt: Rc<Debt>,
    /// All users have been told to finish; none is started again.
    is_stopping: bool,
    /// The second of the run's clock that is being counted.
    second: u64,
    /// The worker was told out of turn that nobody will ever run here again.
    has_told_exhaustion: bool,
    /// Reports that the worker had no room for, oldest first.
    unsent: VecDeque<LaneReport>,
    panics: u32,
}

impl<L: LaneWorkload> Running<L> {
    fn new(lane: Lane<L>, zero: Instant, since: Duration) -> Self {
        Self {
            duty: None,
            followed: 0,
            pulse: Arc::default(),
            shape: Shape::default(),
            tenure: Tenure::default(),
            numbering: Numbering::default(),
            strands: Vec::new(),
            lane,
            zero,
            users: LiveUsers::default(),
            alarm: None,
            since,
            gate: Rc::default(),
            debt: Rc::default(),
            is_stopping: false,
            second: since.as_secs(),
            has_told_exhaustion: false,
            unsent: VecDeque::new(),
            panics: 0,
        }
    }

    /// Does what the lane has been told, of which some may be known.
    fn heed(&mut self, brief: &Brief, now: Instant) {
        self.pulse = Arc::clone(&brief.pulse);
        if let Some(duty) = &brief.duty
            && !self.duty.as_ref().is_some_and(|known| Arc::ptr_eq(known, duty))
        {
            let elapsed = now.saturating_duration_since(self.zero);
            self.shape = Shape::new(&duty.profile);
            let has_users = self.strands.iter().any(|strand| strand.level > 0);
            self.tenure.follow(duty, elapsed, has_users);
            self.gate.set_shut(duty.is_paused);
            self.follow_in_strands(duty, elapsed);
            self.duty = Some(duty.clone());
            self.followed = brief.followed;
        }
        match brief.ending {
            None => {}
            Some(Ending::Stop) => self.stop(now),
            Some(Ending::Cut) => self.cut(now),
        }
    }

    /// From here on users begin by what is new; those that live give way to such users of their indices, each between two iterations.
    fn renew(&mut self, renewal: Renewal<L>) {
        renewal.workload.begin(self.zero);
        self.lane.workload = renewal.workload;
        self.lane.plan = renewal.plan;
        self.users.supersede_all();
        self.strands.iter().for_each(|strand| strand.pool.dismiss_free());
    }

    /// Takes a duty on in each profile. How many of those there are never changes in a run.
    fn follow_in_strands(&mut self, duty: &Arc<Duty>, elapsed: Duration) {
        if self.strands.is_empty() {
            let (profile, plan, stock) = (&duty.profile, &self.lane.plan, &self.lane.stock);
            self.numbering = Numbering::of(profile);
            self.users.number_by(self.numbering);
            self.strands = (0..profile.count()).map(|number| Strand::new(number, profile, plan, stock, self.since)).collect();
        }
        for strand in &mut self.strands {
            strand.follow(duty, elapsed);
        }
        self.heed_arrivals(duty.is_paused);
    }

    /// Does all that is due; true once the run is over in this lane.
    fn turn(&mut self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.zero);
        if !self.is_stopping && self.shape.end().is_some_and(|end| elapsed >= end) {
            (0..self.strands.len()).for_each(|strand| self.serve_the_rest(strand, elapsed, now));
            self.stop(now);
        }
        if !self.is_stopping {
            self.follow_duty(elapsed, now);
            self.close_ended(elapsed, now);
            (0..self.strands.len()).for_each(|strand| self.serve_due(strand, elapsed, now));
        }
        self.on_ended_users();
        self.serve_waiting(now);
        self.cut_overdue(now);
        self.report_if_due(elapsed);
        self.is_stopping && self.users.count() == 0
    }

    /// When there is something to do again, if nothing else happens.
    fn next_wake(&mut self, now: Instant) -> Instant {
        let elapsed = now.saturating_duration_since(self.zero);
        let mut wake = self.zero + Duration::from_secs(self.second + 1);
        if let Some(deadline) = self.users.next_deadline() {
            wake = wake.min(deadline);
        }
        if !self.is_stopping {
            if self.strands.iter().any(|strand| strand.shape.users_at(elapsed) != strand.level) {
                return now; // More users are due than one turn may start.
            }
            // A turnover that one turn had no room for is due in the past.
            for change in [self.shape.next_change(elapsed), self.tenure.next_due()].into_iter().flatten() {
                // What is further off than the clock can tell never comes.
                wake = self.zero.checked_add(change).map_or(wake, |at| wake.min(at));
            }
            wake = self.next_arrival(elapsed, now).map_or(wake, |at| wake.min(at));
        }
        wake
    }

    /// Brings the users to the level and the slots of this moment, or as near as one turn may: a jump to thousands of users, or as many
    /// slots that change at once, must not keep the lane from its other users.
    fn follow_duty(&mut self, elapsed: Duration, now: Instant) {
        let deadline = now + self.lane.plan.settings.stop_timeout;
        for strand in &mut self.strands {
            let wanted = strand.shape.users_at(elapsed);
            if wanted < strand.level {
                self.users.drain_of(strand.number, u64::from(wanted)..u64::from(strand.level), deadline);
                strand.level = wanted;
            }
        }
        let mut starts = 0;
        let mut looks = 0;
        while starts < STARTS_IN_A_TURN
            && looks < LOOKS_IN_A_TURN
            && let Some(turnover) = self.tenure.take_due(elapsed)
        {
            looks += 1;
            let of_strand = |strand: &Strand| self.numbering.users_of_slot(strand.number, turnover.slot, strand.level);
            let mut users: Vec<u64> = self.strands.iter().flat_map(of_strand).collect();
            users.sort_unstable();
            // From the highest index down where a slot goes, as where the level falls.
            if turnover.gains {
                starts += users.into_iter().map(|index| self.start(index)).sum::<u32>();
            } else {
                users.into_iter().rev().for_each(|index| self.users.drain(index, deadline));
            }
        }
        for place in 0..self.strands.len() {
            let wanted = self.strands[place].shape.users_at(elapsed);
            while self.strands[place].level < wanted && starts < STARTS_IN_A_TURN && looks < LOOKS_IN_A_TURN {
                looks += 1;
                let index = self.numbering.index(place, u64::from(self.strands[place].level));
                if self.tenure.holds(self.numbering.slot(index)) {
                    starts += self.start(index);
                }
                self.strands[place].level += 1;
            }
        }
    }

    /// Starts a user that does not live; returns how many that are. One that still finishes its last life is started again when it has.
    fn start(&mut self, index: u64) -> u32 {
        if self.users.contains(index) {
            return 0;
        }
        self.begin_life(index, 0);
        1
    }

    fn is_wanted(&self, index: u64) -> bool {
        let level = self.strands.get(self.numbering.profile(index)).map_or(0, |strand| strand.level);
        !self.is_stopping && self.numbering.number(index) < u64::from(level) && self.tenure.holds(self.numbering.slot(index))
    }

    fn on_ended_users(&mut self) {
        for departure in self.users.take_ended() {
            if departure.iterations.is_none() {
                self.panics += 1;
                self.lane.recorder.borrow_mut().user_dropped();
            }
            if (departure.drained || departure.gave_way) && self.is_wanted(departure.index) {
                self.begin_life(departure.index, departure.iterations.unwrap_or(0));
            }
        }
    }

    fn cut_overdue(&mut self, now: Instant) {
        let cut = self.users.cut_overdue(now);
        self.count_dropped(cut.len());
        for index in cut.into_iter().filter(|&index| self.is_wanted(index)).collect::<Vec<_>>() {
            // How many iterations a life had that was cut is not known.
            self.start(index);
        }
    }

    fn stop(&mut self, now: Instant) {
        if !self.is_stopping {
            self.is_stopping = true;
            self.strands.iter().for_each(|strand| strand.pool.close());
            self.users.drain_all(now + self.lane.plan.settings.stop_timeout);
        }
    }

    fn cut(&mut self, now: Instant) {
        self.stop(now);
        let cut = self.users.cut_all();
        self.count_dropped(cut);
    }

    fn count_dropped(&self, users: usize) {
        for _ in 0..users {
            self.lane.recorder.borrow_mut().user_dropped();
        }
    }

    /// A user of a closed profile begins, which has done so many iterations here.
    fn begin_life(&mut self, index: u64, iterations_done: u64) {
        let (lane, strand) = (&self.lane, &self.strands[self.numbering.profile(index)]);
        let Some(class) = strand.roster.class_of(self.numbering.number(index)) else {
            return; // All classes have fixed counts and all their places are taken; the start has warned of it.
        };
        let control = Rc::new(UserControl::behind(Rc::clone(&self.gate), Rc::clone(&self.debt), iterations_done));
        let new_user = |side| lane.workload.new_user(UserStart { index, class, iterations_done, side, control: Rc::clone(&control) });
        if lane.plan.other_host.is_none() {
            match new_user(None) {
                Ok(user) => self.spawn(user, class, index, iterations_done, control),
                Err(why) => self.note_not_made(index, &why),
            }
        } else {
            let order = SideOrder::of_user(lane.plan.seed, self.numbering.profile(index), self.numbering.number(index));
            match new_user(Some(Side::A)).and_then(|a| Ok([a, new_user(Some(Side::B))?])) {
                Ok(users) => self.spawn(Pair::new(users, order, Rc::clone(&control)), class, index, iterations_done, control),
                Err(why) => self.note_not_made(index, &why),
            }
        }
    }

    fn spawn(&mut self, mut user: impl VirtualUser + 'static, class: usize, index: u64, iterations_done: u64, control: Rc<UserControl>) {
        let (lane, strand) = (&self.lane, &self.strands[self.numbering.profile(index)]);
        let recorder = lane.recorder.clone();
        let pauses = !lane.plan.settings.no_error_backoff;
        let (life_control, place, mut share) = (control.clone(), strand.place(class), strand.allotment.share(iterations_done));
        // What it has is captured once; given to a function by value, it would be kept twice.
        let life = async move {
            let life = user::live(&mut user, place, &life_control, &recorder, pauses, &mut share).await;
            Life { iterations: iterations_done + life.iterations, ..life }
        };
        self.users.spawn(index, control, life);
    }

    fn note_not_made(&self, index: u64, why: &str) {
        log::error!("user {index} could not be made: {why}");
        self.lane.recorder.borrow_mut().user_dropped();
    }
}

/// Gives the lane to its users until `wake`, and once at least: a timer that is due already would not.
async fn rest_until(wake: Instant, alarm: Option<&Alarm>) {
    if wake <= now() {
        tokio::task::yield_now().await;
    } else if let Some(alarm) = alarm {
        tokio::select! {
            () = alarm.ring_at(wake) => {}
            () = tokio::time::sleep_until(wake.into()) => {}
        }
    } else {
        tokio::time::sleep_until(wake.into()).await;
    }
}

/// Notes how late the lane's own timer is: what keeps it from being on time keeps users from being on time.
///
/// A stall that began just after a tick is missed by less than one interval. The ticks that fell into it count as well, each with
/// its own lateness, so that percentiles tell how late any moment of the run was, and not only the few that came after stalls.
async fn measure_lag(begin: Instant, recorder: Rc<RefCell<Recorder>>) {
    let mut due = begin;
    loop {
        due += LAG_INTERVAL;
        tokio::time::sleep_until(due.into()).await;
        let now = now();
        let mut recorder = recorder.borrow_mut();
        recorder.lag(now.saturating_duration_since(due));
        // A machine that slept for hours had one lateness, not millions.
        due = due.max(now.checked_sub(LONGEST_STALL).unwrap_or(due));
        while now.saturating_duration_since(due) > LAG_INTERVAL {
            due += LAG_INTERVAL;
            recorder.lag(now.saturating_duration_since(due));
        }
    }
}

const STARTS_IN_A_TURN: u32 = 64;
/// Slots and indices that one turn may look at for users to start or to drain.
const LOOKS_IN_A_TURN: u32 = 4_096;
const LAG_INTERVAL: Duration = Duration::from_millis(1);
const LONGEST_STALL: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
