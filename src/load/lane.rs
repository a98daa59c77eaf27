//! A lane: one thread with a current-thread runtime, its users, its recorder.
//!
//! Owns the lane's loop: it starts and drains users as the shape says, cuts those whose time is up, measures its own lateness and
//! hands its tally over each second. What users do is the workload's; what becomes of tallies is the worker's.
//!
//! | in | event | does | goes to |
//! |---|---|---|---|
//! | open | `Begin` | | running |
//! | running | level rises | starts users | running |
//! | running | level falls | drains users, highest index first | running |
//! | running | `Stop`, or the planned end | drains all | stopping |
//! | stopping | a user's time is up, or `Cut` | drops it | stopping |
//! | stopping | the last user is gone | last report | finished |

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::live_users::LiveUsers;
use super::roster::Roster;
use super::shape::Shape;
use super::slots::SlotSet;
use super::{LaneWorkload, UserControl, UserStart, now, user};
use crate::plan::Plan;
use crate::stats::recorder::{Limits, Recorder};
use crate::stats::tally::Tally;

/// What a lane is told.
#[derive(Debug, Clone, Copy)]
pub enum LaneCommand {
    /// The run begins; time zero of its clock.
    Begin(Instant),
    /// Users finish.
    Stop,
    /// Users that still live are dropped.
    Cut,
}

/// What a lane says once a second, and at its end.
#[derive(Debug)]
pub struct LaneReport {
    /// 0-based.
    pub lane: usize,
    /// What was counted since the last report.
    pub tally: Tally,
    /// Users alive.
    pub users: u64,
    /// No user is alive and none will ever start again, though nobody stopped the run.
    pub is_exhausted: bool,
    /// This is the last report.
    pub is_finished: bool,
    /// User tasks that panicked so far: bugs of ours.
    pub panics: u32,
    /// See [`LaneWorkload::misuse`].
    pub misuse: Option<String>,
}

/// A lane before its loop runs.
pub struct Lane<L> {
    workload: L,
    number: usize,
    plan: Arc<Plan>,
    slots: SlotSet,
    recorder: Rc<RefCell<Recorder>>,
    reports: mpsc::Sender<LaneReport>,
}

impl<L: LaneWorkload> Lane<L> {
    /// A lane that serves the users of `slots`.
    pub fn new(
        workload: L,
        number: usize,
        plan: Arc<Plan>,
        slots: SlotSet,
        recorder: Rc<RefCell<Recorder>>,
        reports: mpsc::Sender<LaneReport>,
    ) -> Self {
        Self { workload, number, plan, slots, recorder, reports }
    }

    /// Runs until the run is over or the commands end. Must be called inside a `LocalSet`.
    pub async fn run(self, mut commands: mpsc::Receiver<LaneCommand>) {
        let zero = loop {
            match commands.recv().await {
                Some(LaneCommand::Begin(zero)) => break zero,
                Some(LaneCommand::Stop | LaneCommand::Cut) => {}
                None => return,
            }
        };
        self.workload.begin(zero);
        let ticks = tokio::task::spawn_local(measure_lag(zero, self.recorder.clone()));
        let mut running = Running::new(self, zero);
        while !running.turn(now()) {
            let wake = running.next_wake(now());
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(LaneCommand::Begin(_)) => {}
                    Some(LaneCommand::Stop) => running.stop(now()),
                    // Nobody is left who would read the numbers.
                    Some(LaneCommand::Cut) | None => running.cut(now()),
                },
                () = running.users.end_of_one() => {}
                () = tokio::time::sleep_until(wake.into()) => {}
            }
        }
        ticks.abort();
        running.finish().await;
    }
}

/// The recorder of a lane that runs `plan`.
#[must_use]
pub fn recorder_for(plan: &Plan) -> Rc<RefCell<Recorder>> {
    Rc::new(RefCell::new(Recorder::new(Limits { names: plan.names_limit })))
}

/// A lane's loop: state that lives from `Begin` to the last report.
struct Running<L> {
    lane: Lane<L>,
    zero: Instant,
    shape: Shape,
    roster: Roster,
    users: LiveUsers,
    /// Users below this index have been started. It is the shape's answer at the last turn, or less, where more were due than one turn
    /// may start.
    level: u32,
    /// All users have been told to finish; none is started again.
    is_stopping: bool,
    /// The second of the run's clock that is being counted.
    second: u64,
    /// Reports that the worker had no room for, oldest first.
    unsent: VecDeque<LaneReport>,
    panics: u32,
}

impl<L: LaneWorkload> Running<L> {
    fn new(lane: Lane<L>, zero: Instant) -> Self {
        Self {
            shape: Shape::new(&lane.plan.profile),
            roster: Roster::new(&lane.plan.classes),
            lane,
            zero,
            users: LiveUsers::default(),
            level: 0,
            is_stopping: false,
            second: 0,
            unsent: VecDeque::new(),
            panics: 0,
        }
    }

    /// Does all that is due; true once the run is over in this lane.
    fn turn(&mut self, now: Instant) -> bool {
        self.on_ended_users();
        let elapsed = now.saturating_duration_since(self.zero);
        if !self.is_stopping && self.shape.end().is_some_and(|end| elapsed >= end) {
            self.stop(now);
        }
        if !self.is_stopping {
            self.follow_shape(elapsed, now);
        }
        let cut = self.users.cut_overdue(now);
        self.count_dropped(cut);
        self.report_if_due(elapsed);
        self.is_stopping && self.users.count() == 0
    }

    /// When there is something to do again, if nothing else happens.
    fn next_wake(&self, now: Instant) -> Instant {
        let elapsed = now.saturating_duration_since(self.zero);
        let mut wake = self.zero + Duration::from_secs(self.second + 1);
        if let Some(deadline) = self.users.next_deadline() {
            wake = wake.min(deadline);
        }
        if !self.is_stopping {
            if self.shape.users_at(elapsed) != self.level {
                return now; // More users are due than one turn may start.
            }
            if let Some(change) = self.shape.next_change(elapsed) {
                wake = wake.min(self.zero + change);
            }
        }
        wake
    }

    fn follow_shape(&mut self, elapsed: Duration, now: Instant) {
        let wanted = self.shape.users_at(elapsed);
        // A jump to thousands of users must not keep the lane from its other users.
        let reached = wanted.min(self.level.saturating_add(STARTS_IN_A_TURN));
        for index in (self.level..reached).map(u64::from).filter(|&index| self.lane.slots.has_user(index)) {
            // One that still finishes its last life is started again when it has.
            if !self.users.contains(index) {
                start_user(&self.lane, &mut self.users, &self.roster, index, 0);
            }
        }
        let deadline = now + self.lane.plan.stop_timeout;
        for index in (wanted..self.level).rev().map(u64::from) {
            self.users.drain(index, deadline);
        }
        self.level = reached;
    }

    fn on_ended_users(&mut self) {
        for departure in self.users.take_ended() {
            if departure.iterations.is_none() {
                self.panics += 1;
                self.lane.recorder.borrow_mut().user_dropped();
            }
            let is_wanted = !self.is_stopping && departure.index < u64::from(self.level);
            if departure.drained && is_wanted {
                let iterations = departure.iterations.unwrap_or(0);
                start_user(&self.lane, &mut self.users, &self.roster, departure.index, iterations);
            }
        }
    }

    fn stop(&mut self, now: Instant) {
        if !self.is_stopping {
            self.is_stopping = true;
            self.users.drain_all(now + self.lane.plan.stop_timeout);
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

    fn report_if_due(&mut self, elapsed: Duration) {
        while self.second < elapsed.as_secs() {
            let report = self.report(false);
            self.second += 1;
            self.send(report);
            // A lateness of seconds is measured once, in one second. The others that the lane has slept through were no better.
            if self.second < elapsed.as_secs() {
                self.lane.recorder.borrow_mut().lag(elapsed.saturating_sub(Duration::from_secs(self.second)));
            }
        }
    }

    fn report(&mut self, is_finished: bool) -> LaneReport {
        let elapsed = Duration::from_secs(self.second);
        let is_exhausted = self.users.count() == 0
            && !self.is_stopping
            && self.level > 0
            && self.level == self.shape.users_at(elapsed)
            && self.shape.end().is_none()
            && self.shape.next_change(elapsed).is_none();
        LaneReport {
            lane: self.lane.number,
            tally: self.lane.recorder.borrow_mut().take(self.second),
            users: self.users.count() as u64,
            is_exhausted,
            is_finished,
            panics: self.panics,
            misuse: self.lane.workload.misuse(),
        }
    }

    /// Sends what waits and `report`. What the worker has no room for waits for the next second; past a bound two reports become
    /// one, so that memory stays bounded, nothing is lost, and only the second in which it was counted blurs.
    fn send(&mut self, report: LaneReport) {
        self.unsent.push_back(report);
        while let Some(report) = self.unsent.pop_front() {
            if let Err(mpsc::error::TrySendError::Full(report)) = self.lane.reports.try_send(report) {
                self.unsent.push_front(report);
                break;
            }
        }
        if self.unsent.len() > UNSENT_REPORTS
            && let (Some(older), Some(newer)) = (self.unsent.pop_front(), self.unsent.front_mut())
        {
            newer.tally.merge(older.tally);
        }
    }

    /// Waits for the users that were cut, then hands over the last tally.
    async fn finish(mut self) {
        self.users.settle().await;
        let last = self.report(true);
        self.unsent.push_back(last);
        for report in self.unsent {
            // The worker waits for this report; if it is gone, nobody is left to tell.
            let sent = self.lane.reports.send_timeout(report, LAST_REPORT_TIMEOUT).await;
            if sent.is_err() {
                log::error!("lane {}: the worker did not take the last numbers", self.lane.number);
            }
        }
    }
}

fn start_user<L: LaneWorkload>(lane: &Lane<L>, users: &mut LiveUsers, roster: &Roster, index: u64, iterations_done: u64) {
    let Some(class) = roster.class_of(index) else {
        return; // All classes have fixed counts and all their places are taken; the start has warned of it.
    };
    let control = Rc::new(UserControl::default());
    match lane.workload.new_user(UserStart { index, class, iterations_done, control: control.clone() }) {
        Ok(user) => {
            let recorder = lane.recorder.clone();
            let pauses = lane.plan.error_backoff;
            let life_control = control.clone();
            let life = async move { iterations_done + user::live(user, &life_control, &recorder, pauses).await };
            users.spawn(index, control, life);
        }
        Err(why) => {
            log::error!("user {index} could not be made: {why}");
            lane.recorder.borrow_mut().user_dropped();
        }
    }
}

/// Notes how late the lane's own timer is: what keeps it from being on time keeps users from being on time.
///
/// A stall that began just after a tick is missed by less than one interval. The ticks that fell into it count as well, each with
/// its own lateness, so that percentiles tell how late any moment of the run was, and not only the few that came after stalls.
async fn measure_lag(zero: Instant, recorder: Rc<RefCell<Recorder>>) {
    let mut due = zero;
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
const UNSENT_REPORTS: usize = 60;
const LAG_INTERVAL: Duration = Duration::from_millis(1);
const LONGEST_STALL: Duration = Duration::from_secs(10);
const LAST_REPORT_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
