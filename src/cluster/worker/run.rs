//! A run as one worker lives it: its lanes from opening to closing, and the orders that they follow.
//!
//! Owns the stage, the newest orders and what the lanes were told. Its numbers are the [`Ledger`]'s.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::action::Action;
use super::ledger::{DeltaHead, Ledger};
use crate::cluster::message::{Followed, Phase, RunOrders, RunStanding};
use crate::load::Halt;
use crate::load::lane::LaneReport;
use crate::load::shape::Shape;
use crate::load::slots::Orders;
use crate::load::stock::IterationsBegun;
use crate::load::vitals::Vitals;
use crate::plan::{Plan, RunId};

#[derive(Debug)]
pub(super) struct Run {
    pub plan: Arc<Plan>,
    /// The revision that is being compiled.
    renewing: Option<u32>,
    pub ledger: Ledger,
    stage: Stage,
    /// Those of the highest generation that have come.
    orders: Option<RunOrders>,
    /// Time zero of the run's clock. Moves with the estimate of the master's clock until the run begins, and never after.
    zero: Option<Instant>,
    /// Stop or Cut, once the lanes were told so.
    ended_by: Option<Phase>,
    /// The lanes follow `orders` as if the run were paused.
    is_paused: bool,
    /// How often the lanes were told whom to run.
    follows: u64,
    /// The end that the lanes were told and since when, as the clock has shown it.
    end_seen: Option<(Phase, Instant)>,
    /// The planned end that has passed, and since when the clock has shown it: a process that stood still sees it late.
    planned_end_seen: Option<(Duration, Instant)>,
    /// Since when lanes have reported in the round that is not complete.
    round_since: Option<Instant>,
    /// The last report of each lane, by lane.
    lanes: BTreeMap<usize, LaneStanding>,
    vitals: Vitals,
    /// The first halt that a lane has met.
    halt: Option<Halt>,
}

/// How far a run has come in this worker. The columns of the table in `worker` are named after these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The lanes are being opened.
    Opening,
    /// The lanes are open and wait for time zero.
    Prepared,
    /// The lanes make load, or their users finish.
    Running,
    /// The lanes are closed; the numbers are kept.
    Finished,
    /// Nobody wants the run: it is gone as soon as its lanes are.
    Abandoned {
        /// There are lanes to close.
        is_open: bool,
    },
}

impl Run {
    pub fn new(plan: Arc<Plan>, keeps_total: bool) -> Self {
        Self {
            ledger: Ledger::new(&plan, keeps_total),
            plan,
            renewing: None,
            stage: Stage::Opening,
            orders: None,
            zero: None,
            ended_by: None,
            is_paused: false,
            follows: 0,
            end_seen: None,
            planned_end_seen: None,
            round_since: None,
            lanes: BTreeMap::new(),
            vitals: Vitals::default(),
            halt: None,
        }
    }

    /// The lanes are open. Orders that came before are followed.
    pub fn on_opened(&mut self, lanes: u32, out: &mut Vec<Action>) {
        self.stage = Stage::Prepared;
        self.lanes = (0..lanes as usize).map(|lane| (lane, LaneStanding::default())).collect();
        out.extend(self.plan.life.data.clone().map(Action::GiveData));
        self.follow(out);
    }

    /// The run in a higher revision is asked for.
    pub fn renew(&mut self, plan: Arc<Plan>, out: &mut Vec<Action>) {
        if self.renewing.is_none_or(|under_way| under_way < plan.revision) {
            self.renewing = Some(plan.revision);
            out.push(Action::Renew(plan));
        }
    }

    /// Whether this is the revision that is being compiled.
    pub fn awaits(&self, plan: &Plan) -> bool {
        self.renewing == Some(plan.revision)
    }

    /// The revision has been compiled, or could not be.
    pub fn on_renewed(&mut self, plan: &Arc<Plan>, is_done: bool) {
        self.renewing = None;
        if is_done {
            self.plan = Arc::clone(plan);
        }
    }

    /// Orders of this run came; `zero` is their time zero by this machine's clock. True if the ledger needs a new transfer.
    pub fn on_orders(&mut self, orders: RunOrders, zero: Instant, out: &mut Vec<Action>) -> bool {
        if self.orders.as_ref().is_some_and(|followed| followed.generation >= orders.generation) {
            self.resume(out);
            return false;
        }
        if !matches!(self.stage, Stage::Running | Stage::Finished) {
            self.zero = Some(zero);
        }
        let needs_transfer = self.ledger.on_epoch(orders.epoch);
        self.orders = Some(orders);
        self.is_paused = false;
        self.follow(out);
        needs_transfer
    }

    /// A lane has reported. True if that was the last report of all: the lanes may be closed.
    pub fn on_report(&mut self, report: LaneReport, vitals: Vitals, now: Instant) -> bool {
        self.round_since.get_or_insert(now);
        let standing = self.lanes.entry(report.lane).or_default();
        // A lane that panicked does not know any more how many it began.
        let mut begun = std::mem::take(&mut standing.begun);
        begun.raise(&report.begun);
        // A lane tells of its exhaustion in mid-second: of that one there may be more.
        let counted_to = standing.counted_to.max(Duration::from_secs(report.tally.second + u64::from(!report.is_exhausted)));
        *standing = LaneStanding {
            begun,
            has_reported: true,
            users: report.users,
            is_exhausted: report.is_exhausted && report.followed >= self.follows,
            is_finished: report.is_finished,
            panics: report.panics,
            counted_to,
            is_lost: false,
        };
        self.vitals = vitals;
        if self.halt.is_none() {
            self.halt = report.halt;
        }
        if matches!(self.stage, Stage::Prepared | Stage::Running) {
            self.ledger.gather(report.tally);
        }
        if self.lanes.values().all(|lane| lane.has_reported || lane.is_finished) {
            self.end_round();
        }
        self.end_if_finished()
    }

    /// Time passes: does without lanes that do not answer. What they have counted comes later, or never. True if no lane is left to wait for.
    pub fn mind_lanes(&mut self, now: Instant, out: &mut Vec<Action>) -> bool {
        if self.round_since.is_some_and(|since| now.saturating_duration_since(since) >= ROUND) {
            self.end_round();
        }
        if !matches!(self.stage, Stage::Running | Stage::Abandoned { is_open: true }) || !self.is_last_word_overdue(now) {
            return false;
        }
        for (number, lane) in self.lanes.iter_mut().filter(|(_, lane)| !lane.is_finished) {
            let (panics, counted_to, begun) = (lane.panics, lane.counted_to, std::mem::take(&mut lane.begun));
            *lane = LaneStanding { is_finished: true, is_lost: true, panics, begun, counted_to, ..LaneStanding::default() };
            let text = "does not come to its end, since a script holds its processor: it is given up, and its numbers are missing from";
            out.push(Action::Log(log::Level::Error, format!("lane {number} {text} {} s of the run on", counted_to.as_secs())));
        }
        self.end_if_finished()
    }

    /// Whether lanes that have not come to their end by `now` never may.
    fn is_last_word_overdue(&mut self, now: Instant) -> bool {
        let told = if let Stage::Abandoned { .. } = self.stage { Some(Phase::Cut) } else { self.ended_by };
        if self.end_seen.map(|(phase, _)| phase) != told {
            self.end_seen = told.map(|phase| (phase, now));
        }
        let told_due = self.end_seen.map(|(phase, since)| match phase {
            Phase::Cut => since + CUT_GRACE,
            Phase::Run | Phase::Stop => since + self.plan.settings.stop_timeout + STOP_GRACE,
        });
        // The lanes know the planned end by themselves. If the whole process stood still across it, they have had no time since.
        let planned = self.orders.as_ref().and_then(|orders| Shape::new(&orders.orders.profile).end());
        let passed = self.zero.zip(planned).and_then(|(zero, end)| (zero.checked_add(end)? <= now).then_some(end));
        if self.planned_end_seen.map(|(end, _)| end) != passed {
            self.planned_end_seen = passed.map(|end| (end, now));
        }
        let planned_due = self.planned_end_seen.map(|(_, since)| since + self.plan.settings.stop_timeout + STOP_GRACE);
        told_due.into_iter().chain(planned_due).min().is_some_and(|due| due <= now)
    }

    fn end_round(&mut self) {
        self.round_since = None;
        self.ledger.on_round();
        for lane in self.lanes.values_mut() {
            lane.has_reported = false;
        }
    }

    fn end_if_finished(&mut self) -> bool {
        let is_end = self.lanes.values().all(|lane| lane.is_finished);
        if is_end {
            self.ledger.on_end();
            if matches!(self.stage, Stage::Prepared | Stage::Running) {
                self.stage = Stage::Finished;
            }
        }
        is_end
    }

    /// Ends the load: `phase` is Stop or Cut. Lanes that never began have nothing to finish.
    pub fn end(&mut self, phase: Phase, out: &mut Vec<Action>) {
        match self.stage {
            Stage::Prepared => {
                out.push(Action::CloseLanes);
                self.stage = Stage::Finished;
                self.ledger.on_end();
            }
            Stage::Running if self.ended_by.is_none_or(|before| before < phase) => {
                out.push(if phase == Phase::Cut { Action::Cut } else { Action::Stop });
                self.ended_by = Some(phase);
            }
            _ => {}
        }
    }

    /// Drops the users. Whatever the lanes still report counts for nothing. True if no lane is left to wait for.
    pub fn abandon(&mut self, out: &mut Vec<Action>) -> bool {
        match self.stage {
            Stage::Opening => self.stage = Stage::Abandoned { is_open: false },
            Stage::Running => {
                if self.ended_by != Some(Phase::Cut) {
                    out.push(Action::Cut);
                }
                self.stage = Stage::Abandoned { is_open: true };
            }
            Stage::Prepared => {
                out.push(Action::CloseLanes);
                self.stage = Stage::Finished;
            }
            Stage::Finished | Stage::Abandoned { .. } => {}
        }
        self.stage == Stage::Finished
    }

    /// No iteration begins until [`Run::resume`], or newer orders.
    pub fn pause(&mut self, out: &mut Vec<Action>) {
        if self.stage == Stage::Running
            && self.ended_by.is_none()
            && !self.is_paused
            && let Some(orders) = &self.orders
        {
            self.is_paused = true;
            // Its users stay: lanes without slots would report that no user of theirs will ever run again, which a master that hears and
            // is not heard would take for the run's end.
            let orders = Orders { is_paused: true, ..orders.orders.clone() };
            self.tell(orders, out);
        }
    }

    /// The lanes follow their true orders again.
    pub fn resume(&mut self, out: &mut Vec<Action>) {
        if std::mem::take(&mut self.is_paused) {
            self.follow(out);
        }
    }

    fn follow(&mut self, out: &mut Vec<Action>) {
        let Some(RunOrders { phase, orders, .. }) = &self.orders else { return };
        match (*phase, self.stage, self.zero) {
            (Phase::Run, Stage::Prepared, Some(zero)) => {
                self.tell(orders.clone(), out);
                out.push(Action::Begin(zero));
                self.stage = Stage::Running;
            }
            (Phase::Run, Stage::Running, _) if self.ended_by.is_none() => self.tell(orders.clone(), out),
            (Phase::Run, ..) => {}
            (phase @ (Phase::Stop | Phase::Cut), ..) => self.end(phase, out),
        }
    }

    /// Tells the lanes whom to run. What they have said of exhaustion, and what is on its way of that, was by other orders.
    fn tell(&mut self, orders: Orders, out: &mut Vec<Action>) {
        self.follows += 1;
        self.lanes.values_mut().for_each(|lane| lane.is_exhausted = false);
        out.push(Action::Follow(orders));
    }

    pub const fn stage(&self) -> Stage {
        self.stage
    }

    /// Its id, if deltas of it were numbered.
    pub fn numbered(&self) -> Option<RunId> {
        self.ledger.has_numbered().then_some(self.plan.run)
    }

    /// The lanes were told to stop.
    pub const fn is_ending(&self) -> bool {
        self.ended_by.is_some()
    }

    /// That are alive in all its lanes.
    pub fn users(&self) -> u64 {
        self.lanes.values().map(|lane| lane.users).sum()
    }

    /// What the next delta says besides its tallies.
    pub fn head(&self) -> DeltaHead {
        let mut begun = IterationsBegun::default();
        self.lanes.values().for_each(|lane| begun.add(&lane.begun));
        DeltaHead {
            generation: self.orders.as_ref().map_or(0, |orders| orders.generation),
            users: self.users(),
            vitals: self.vitals,
            is_exhausted: !self.lanes.is_empty() && self.lanes.values().all(|lane| lane.is_exhausted),
            panics: self.lanes.values().map(|lane| lane.panics).sum(),
            begun,
            lanes_lost: u32::try_from(self.lanes.values().filter(|lane| lane.is_lost).count()).unwrap_or(u32::MAX),
            lost_since: self.lanes.values().filter(|lane| lane.is_lost).map(|lane| lane.counted_to).min(),
            halt: self.halt.clone(),
        }
    }

    /// What a new master must know; `None` if nobody shall take the run over.
    pub fn standing(&self, now: Instant) -> Option<Box<RunStanding>> {
        if matches!(self.stage, Stage::Abandoned { .. }) {
            return None;
        }
        let has_begun = self.stage != Stage::Opening && self.stage != Stage::Prepared;
        let elapsed = self.zero.filter(|_| has_begun).map_or(Duration::ZERO, |zero| now.saturating_duration_since(zero));
        let followed = self.orders.as_ref().map(|RunOrders { generation, phase, orders, .. }| Followed {
            generation: *generation,
            phase: *phase,
            has_stopped: *phase == Phase::Run && self.ended_by.is_some(),
            profile: Arc::clone(&orders.profile),
            slots: Arc::clone(&orders.slots),
            is_paused: orders.is_paused,
        });
        Some(Box::new(RunStanding {
            plan: Arc::clone(&self.plan),
            epoch: self.ledger.epoch(),
            orders: followed,
            elapsed,
            wall: self.orders.as_ref().map_or(SystemTime::UNIX_EPOCH, |orders| orders.wall),
            acknowledged: self.ledger.acknowledged(),
            is_finished: self.stage == Stage::Finished && self.ledger.is_sealed(),
        }))
    }
}

/// What is known of one lane.
#[derive(Debug, Default)]
struct LaneStanding {
    /// Since the last complete round.
    has_reported: bool,
    users: u64,
    is_exhausted: bool,
    is_finished: bool,
    panics: u32,
    /// Iterations of those that are given out by their number.
    begun: IterationsBegun,
    /// The run's clock up to which its numbers have come.
    counted_to: Duration,
    /// It was given up.
    is_lost: bool,
}

/// How long the lanes of a round may be apart before those that have reported go on without the others.
const ROUND: Duration = Duration::from_millis(1_500);
/// How long past the stop timeout a lane may take for its last report.
const STOP_GRACE: Duration = Duration::from_millis(500);
/// The same for a cut.
const CUT_GRACE: Duration = Duration::from_millis(400);
