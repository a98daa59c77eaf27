//! One run on a master: who takes part, who owns which slots, what has been counted.
//!
//! Owns the run's clock and the table. How it goes from stage to stage is `stages`'s, how numbers come in `numbers`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::super::assignment::Assignment;
use super::super::message::{Phase, RunOrders, ToWorker};
use super::action::{RunStart, clock_at};
use super::acts_done::Acts;
use super::commons::Commons;
use super::part::{Part, PartStage, Unheard};
use super::peers::{PeerNumber, Peers, Presence};
use super::turn::Turn;
use crate::load::Halt;
use crate::load::shape::Shape;
use crate::load::slots::{Handover, Orders, SlotSet};
use crate::plan::{LoadProfile, Plan, RunId};
use crate::stats::recorder::Limits;
use crate::stats::snapshot::{HoleView, OverlapView};
use crate::stats::tables::Tables;
use crate::stats::threshold::Threshold;
use crate::stats::windows::{Windows, WorstWindow, windows_of};

#[derive(Debug)]
pub(super) struct Run {
    pub plan: Arc<Plan>,
    pub thresholds: Vec<Threshold>,
    pub wall: SystemTime,
    pub stage: Stage,
    pub phase: Phase,
    /// The run's clock when its users were told to finish, or when it was taken over as one that was at its end.
    pub stopped: Option<Duration>,
    /// When the run was cut.
    pub cut_at: Option<Instant>,
    /// When somebody asked for the run, or its first worker brought it.
    pub asked: Instant,
    pub zero: Option<Instant>,
    pub profile: Arc<LoadProfile>,
    pub shape: Shape,
    pub epoch: u32,
    pub generation: u64,
    /// The newest orders of a former master's that this one knows what was wanted by, from its journal or from workers; the greatest number once
    /// somebody has wanted something of this one.
    pub known: u64,
    pub handover: Option<Arc<Handover>>,
    /// No iteration begins until somebody resumes the run, or it ends.
    pub is_paused: bool,
    /// Slots that may still wait for their moment of a hand-over, which is as far off as the spawn rate of that time made it.
    pub on_their_way: SlotSet,
    /// When the last orders went out.
    pub ordered: Instant,
    pub assignment: Assignment<PeerNumber>,
    /// Workers that have had slots by this master's orders.
    pub dealt_to: BTreeSet<PeerNumber>,
    pub parts: BTreeMap<PeerNumber, Part>,
    pub table: Tables,
    /// Of thresholds that look at a part of the run, or end it: by their place.
    pub windows: BTreeMap<usize, Windows>,
    /// What the journal says of them.
    pub kept_windows: Vec<WorstWindow>,
    /// By worker; a hole is taken away when the worker comes back with the numbers.
    pub holes: BTreeMap<PeerNumber, HoleView>,
    /// Workers that have begun, as the journal tells, and have not come back.
    pub unheard: BTreeMap<PeerNumber, Unheard>,
    /// Workers that may bring the run, as the journal tells.
    pub awaited: BTreeSet<PeerNumber>,
    pub overlaps: Vec<OverlapView>,
    /// What people must know of the run, whatever becomes of its numbers: no reset takes it away.
    pub notices: Vec<Arc<str>>,
    /// Rows that are given out once, and the board.
    pub commons: Commons,
    pub repeats: u64,
    /// Tallies of seconds that cannot have been yet.
    pub misdated: u64,
    pub halt: Option<Halt>,
    /// The run's clock when it took changed scripts over the last time.
    pub revised: Option<Duration>,
    /// Why scripts that changed last cannot be taken over.
    pub unrevised: Option<String>,
    /// The run's clock when the statistics' epoch began, where that is known.
    pub counted_since: Option<Duration>,
    /// Somebody has stopped it before any of its workers came back: they are told to when they do.
    pub wants_stop: bool,
    /// Somebody has cleared the statistics in that time. What workers bring then was counted before.
    pub wants_reset: bool,
    /// Since when nobody is there to make load.
    pub deserted: Option<Instant>,
    /// The planned end, once the run has come to it.
    pub ended_by_plan: Option<Duration>,
    /// The run's clock when this master took it over from another one.
    pub taken_over: Option<Duration>,
    /// Its setup and teardown.
    pub acts: Acts,
    /// The number of users of the profile's last level for which slots were shared out level.
    pub levelled: Option<u64>,
}

/// The epoch of a run's statistics.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Counted {
    pub epoch: u32,
    /// The run's clock when it began, where that is known.
    pub since: Option<Duration>,
}

/// Where a run is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Workers compile and open their lanes.
    Waiting,
    /// A new master gathers who owns what, until this moment. Workers go on by themselves meanwhile.
    Adopting { until: Instant },
    /// Load is made, by orders that are out.
    Live,
    /// Users finish since then.
    Stopping { since: Instant },
    /// Everything is over since then.
    Over { at: Instant },
}

impl Run {
    /// A run that somebody starts.
    pub fn new(start: RunStart, now: Instant) -> Self {
        let RunStart { plan, thresholds, wall } = start;
        Self {
            profile: Arc::new(plan.profile.clone()),
            shape: Shape::new(&plan.profile),
            table: Tables::new(Limits { names: plan.settings.names }, Some(Duration::ZERO), plan.warmup()),
            windows: windows_of(&thresholds, plan.warmup().as_secs()),
            kept_windows: Vec::new(),
            plan,
            thresholds,
            wall,
            stage: Stage::Waiting,
            phase: Phase::Run,
            stopped: None,
            cut_at: None,
            asked: now,
            zero: None,
            epoch: 0,
            generation: 0,
            known: 0,
            handover: None,
            is_paused: false,
            on_their_way: SlotSet::none(),
            ordered: now,
            assignment: Assignment::new(),
            dealt_to: BTreeSet::new(),
            parts: BTreeMap::new(),
            holes: BTreeMap::new(),
            unheard: BTreeMap::new(),
            awaited: BTreeSet::new(),
            overlaps: Vec::new(),
            notices: Vec::new(),
            commons: Commons::default(),
            repeats: 0,
            misdated: 0,
            halt: None,
            revised: None,
            unrevised: None,
            counted_since: Some(Duration::ZERO),
            wants_stop: false,
            wants_reset: false,
            deserted: None,
            ended_by_plan: None,
            taken_over: None,
            acts: Acts::default(),
            levelled: None,
        }
    }

    /// A run of another master's, as a worker or a journal tells it. A threshold that cannot be read is left out with a warning.
    pub fn adopted(plan: Arc<Plan>, wall: SystemTime, profile: Arc<LoadProfile>, counted: Counted, now: Instant) -> Self {
        let (thresholds, warnings) = Threshold::of_plan(&plan);
        let mut run = Self::new(RunStart { plan, thresholds, wall }, now);
        run.stage = Stage::Adopting { until: now + ADOPTION_TIME };
        run.shape = Shape::new(&profile);
        run.profile = profile;
        run.epoch = counted.epoch;
        run.counted_since = counted.since;
        run.table = run.empty_tables();
        for warning in warnings {
            run.tell(&warning);
        }
        run
    }

    pub fn id(&self) -> RunId {
        self.plan.run
    }

    /// Something that people must know of the run, once; the number of texts is bounded.
    pub fn tell(&mut self, text: &str) {
        if self.notices.len() < NOTICES && !self.notices.iter().any(|known| **known == *text) {
            self.notices.push(text.into());
        }
    }

    /// Whether workers may join.
    pub fn takes_workers(&self) -> bool {
        matches!(self.stage, Stage::Waiting | Stage::Live) && self.phase == Phase::Run
    }

    pub fn is_adopting(&self) -> bool {
        matches!(self.stage, Stage::Adopting { .. })
    }

    /// It was read from a journal, and none of its workers has come back yet: its clock is not known.
    pub fn is_awaited(&self) -> bool {
        self.is_adopting() && self.zero.is_none()
    }

    /// Nobody is left who could bring it: all of whom the journal tells are here, or have left, and none of them stands in it. They were told of its end,
    /// which the journal does not know. Who is prepared stands in it: it has not begun, and others may have.
    pub fn is_awaited_in_vain(&self, peers: &Peers) -> bool {
        let stands_in_it = |number: &PeerNumber| self.parts.get(number).is_some_and(Part::is_here);
        let is_known = |number: &PeerNumber| peers.get(*number).presence != Presence::Lost && !stands_in_it(number);
        self.is_awaited() && !self.awaited.is_empty() && self.awaited.iter().all(is_known)
    }

    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over { .. })
    }

    /// The run's clock; it stands still once the run is over, its teardown aside.
    pub fn elapsed(&self, now: Instant) -> Duration {
        let now = if let Stage::Over { at } = self.stage { at } else { self.acts.ended.unwrap_or(now) };
        self.zero.map_or(Duration::ZERO, |zero| now.saturating_duration_since(zero))
    }

    /// The number of users for which slots are shared out level: the highest of the line that is running.
    pub(super) fn level(&self, now: Instant) -> u64 {
        self.shape.level_at(self.elapsed(now))
    }

    /// The orders of one worker that owns `slots`.
    fn orders(&self, slots: SlotSet, origin: Instant) -> RunOrders {
        RunOrders {
            run: self.id(),
            epoch: self.epoch,
            generation: self.generation,
            phase: self.phase,
            zero: self.zero.map_or(Duration::ZERO, |zero| clock_at(origin, zero)),
            wall: self.wall,
            orders: Orders {
                profile: self.profile.clone(),
                slots: Arc::new(slots),
                handover: self.handover.clone(),
                is_paused: self.is_paused,
            },
        }
    }

    /// Tells a worker again what it was told: its link is a new one.
    pub fn repeat_orders(&mut self, number: PeerNumber, turn: &mut Turn<'_>) {
        if let Some(part) = self.parts.get_mut(&number) {
            (part.told, part.is_exhausted) = (Some(self.generation), part.is_exhausted && part.told == Some(self.generation));
        }
        turn.send(number, ToWorker::Orders(self.orders(self.assignment.slots_of(number), turn.origin)));
    }

    /// Sends new orders to everybody who takes part.
    pub fn order_all(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now;
        self.generation += 1;
        self.ordered = now;
        self.note_owners();
        let mut shares: BTreeMap<_, _> = self.assignment.shares().into_iter().collect();
        if self.phase == Phase::Run {
            self.dealt_to.extend(shares.keys());
        }
        let at = self.elapsed(now);
        let age = at.as_secs();
        let mut ordered = Vec::new();
        for (&number, part) in &mut self.parts {
            if !part.is_here() && shares.keys().any(|owner| *owner != number) {
                part.was_replaced |= self.phase == Phase::Run;
            } else if part.is_here() && matches!(part.stage, PartStage::Prepared | PartStage::Ordered) {
                part.stage = PartStage::Ordered;
                part.told = Some(self.generation);
                if !part.has_run {
                    // What was before it came is none of its numbers.
                    part.covered = part.covered.max(age);
                }
                part.has_run = true;
                part.is_exhausted = false;
                ordered.push(number);
            }
        }
        for number in ordered {
            let orders = self.orders(shares.remove(&number).unwrap_or_else(SlotSet::none), turn.origin);
            let part = self.parts.get_mut(&number).filter(|_| self.phase == Phase::Run);
            if let Some(regained) = part.and_then(|part| part.on_ordered(self.generation, at, &orders.orders.slots)) {
                self.end_overlap(&regained, at);
            }
            turn.send(number, ToWorker::Orders(orders));
        }
    }

    /// Slots have changed hands: from now on, one after the other at the spawn rate.
    ///
    /// Of an open profile all slots move at one moment: a little ahead where those who give them live, so that they hear of it before it comes
    /// and no iteration has two owners. What is still on its way moves with them, so that none is without one.
    pub(super) fn hand_over(&mut self, mut moved: SlotSet, lead: Duration, now: Instant) {
        let mut at = self.elapsed(now);
        if self.profile.is_open() {
            let pending = self.handover.as_ref().filter(|handover| handover.at > at);
            let lead = if pending.is_some() { LEAD } else { lead };
            pending.iter().flat_map(|handover| handover.moved.iter()).for_each(|slot| moved.insert(slot));
            at += lead;
        }
        // A slot with several users takes as many turns.
        let users_a_slot = self.shape.users_a_slot_at(at).max(1);
        let interval = self.profile.spawn_interval().saturating_mul(users_a_slot);
        self.forget_arrived(at);
        moved.iter().for_each(|slot| self.on_their_way.insert(slot));
        self.handover = Some(Arc::new(Handover { at, moved, interval }));
    }

    /// Slots whose moment of the last hand-over has come are on their way no more.
    pub(super) fn forget_arrived(&mut self, at: Duration) {
        let moments = self.handover.iter().flat_map(|handover| handover.moments());
        for (slot, _) in moments.take_while(|(_, moment)| *moment <= at) {
            self.on_their_way.remove(slot);
        }
    }

    /// The first orders: everybody who is prepared begins.
    pub fn begin(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now;
        self.stage = Stage::Live;
        self.zero = Some(now);
        self.wall += now.saturating_duration_since(self.asked);
        let prepared = |number: PeerNumber, part: &Part| takes_slots(number, part, turn.peers) && part.stage == PartStage::Prepared;
        let owners: Vec<_> = self.parts.iter().filter(|(number, part)| prepared(**number, part)).map(|(&number, _)| number).collect();
        self.assignment.deal(&owners);
        turn.log(log::Level::Info, format!("Sending hatch jobs to {} ready clients", owners.len()));
        owners.iter().for_each(|number| self.hand_data_to(*number, turn));
        self.order_all(turn);
    }

    /// A worker joins in mid-run and takes its share.
    pub fn join(&mut self, number: PeerNumber, turn: &mut Turn<'_>) {
        let now = turn.now;
        let moved = self.assignment.join(number, self.level(now));
        self.hand_over(moved, LEAD, now);
        self.deserted = None;
        self.hand_data_to(number, turn);
        self.order_all(turn);
    }

    /// A worker's slots go to the others.
    pub fn part_with(&mut self, number: PeerNumber, turn: &mut Turn<'_>) {
        let now = turn.now;
        if !self.assignment.owners().contains(&number) {
            return;
        }
        let moved = self.assignment.leave(number, self.level(now));
        if self.stage == Stage::Live {
            // Whoever had them is gone, or has stopped its users.
            self.hand_over(moved, Duration::ZERO, now);
            self.order_all(turn);
        }
    }

    /// Users finish, or are cut.
    pub fn end_users(&mut self, phase: Phase, turn: &mut Turn<'_>) {
        let now = turn.now;
        if phase <= self.phase {
            return;
        }
        self.phase = phase;
        self.stopped.get_or_insert(self.elapsed(now));
        if phase == Phase::Cut {
            self.cut_at = Some(now);
        }
        if !matches!(self.stage, Stage::Stopping { .. } | Stage::Over { .. }) {
            self.stage = Stage::Stopping { since: now };
        }
        self.order_all(turn);
    }
}

/// Whether a worker may be given slots: it is there, and has not been told to end.
pub(super) fn takes_slots(number: PeerNumber, part: &Part, peers: &Peers) -> bool {
    part.is_here() && peers.get(number).presence == Presence::Here
}

/// More than one of each kind, and of rows in lost hands one for each of many workers.
const NOTICES: usize = 64;
/// How far ahead of its moment a change of an open profile is ordered: longer than a message takes, even where one is lost on the way.
pub(super) const LEAD: Duration = Duration::from_millis(500);
/// How long a new master waits for the other workers of a run that one has brought.
pub(super) const ADOPTION_TIME: Duration = Duration::from_secs(4);
/// How long the end of a run waits for workers that are out of reach.
pub(super) const AWAY_GRACE: Duration = Duration::from_secs(15);
