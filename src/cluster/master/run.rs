//! One run on a master: who takes part, who owns which slots, what has been counted.
//!
//! Owns the run's clock and the table. How it goes from stage to stage is `stages`'s, how numbers come in `numbers`'s. The rooms below share its
//! fields; the master asks by methods.

mod accounts;
mod acts;
mod acts_done;
mod begun;
mod dues;
mod judging;
mod levels;
mod numbers;
mod orders;
mod overlaps;
mod part;
mod profiles;
mod quota;
mod revision;
mod stages;
mod takeover;
mod view;
mod vitals;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::super::assignment::Assignment;
use super::super::message::Phase;
use super::super::record::KeptRun;
use super::action::RunStart;
use super::commons::Commons;
use super::peers::{PeerNumber, Peers, Presence};
use super::turn::Turn;
use crate::load::Halt;
use crate::load::shape::Shape;
use crate::load::slots::{Handover, SlotSet};
use crate::plan::{LoadProfile, Plan, RunId};
use crate::stats::recorder::Limits;
use crate::stats::snapshot::{HoleView, OverlapView};
use crate::stats::tables::Tables;
use crate::stats::threshold::Threshold;
use crate::stats::windows::{Windows, WorstWindow, windows_of};
use acts_done::Acts;
pub(super) use numbers::Merged;
use part::Unheard;
pub(super) use part::{Part, PartStage};

#[derive(Debug)]
pub(super) struct Run {
    plan: Arc<Plan>,
    thresholds: Vec<Threshold>,
    wall: SystemTime,
    stage: Stage,
    phase: Phase,
    /// The run's clock when its users were told to finish, or when it was taken over as one that was at its end.
    stopped: Option<Duration>,
    /// When the run was cut.
    cut_at: Option<Instant>,
    /// When somebody asked for the run, or its first worker brought it.
    asked: Instant,
    zero: Option<Instant>,
    profile: Arc<LoadProfile>,
    shape: Shape,
    epoch: u32,
    generation: u64,
    /// The newest orders of a former master's that this one knows what was wanted by, from its journal or from workers; the greatest number once
    /// somebody has wanted something of this one.
    known: u64,
    handover: Option<Arc<Handover>>,
    /// No iteration begins until somebody resumes the run, or it ends.
    is_paused: bool,
    /// Slots that may still wait for their moment of a hand-over, which is as far off as the spawn rate of that time made it.
    on_their_way: SlotSet,
    /// When the last orders went out.
    ordered: Instant,
    assignment: Assignment<PeerNumber>,
    /// Workers that have had slots by this master's orders.
    dealt_to: BTreeSet<PeerNumber>,
    parts: BTreeMap<PeerNumber, Part>,
    table: Tables,
    /// Of thresholds that look at a part of the run, or end it: by their place.
    windows: BTreeMap<usize, Windows>,
    /// What the journal says of them.
    kept_windows: Vec<WorstWindow>,
    /// By worker; a hole is taken away when the worker comes back with the numbers.
    holes: BTreeMap<PeerNumber, HoleView>,
    /// Workers that have begun, as the journal tells, and have not come back.
    unheard: BTreeMap<PeerNumber, Unheard>,
    /// Workers that may bring the run, as the journal tells.
    awaited: BTreeSet<PeerNumber>,
    overlaps: Vec<OverlapView>,
    /// What people must know of the run, whatever becomes of its numbers: no reset takes it away.
    notices: Vec<Arc<str>>,
    /// Rows that are given out once, and the board.
    pub(super) commons: Commons,
    repeats: u64,
    /// Tallies of seconds that cannot have been yet.
    misdated: u64,
    halt: Option<Halt>,
    /// What of the script or the settings could not be used, where that has ended the run.
    misuse: Option<String>,
    /// The run's clock when it took changed scripts over the last time.
    revised: Option<Duration>,
    /// Why scripts that changed last cannot be taken over.
    unrevised: Option<String>,
    /// The run's clock when the statistics' epoch began, where that is known.
    counted_since: Option<Duration>,
    /// Somebody has stopped it before any of its workers came back: they are told to when they do.
    wants_stop: bool,
    /// Somebody has cleared the statistics in that time. What workers bring then was counted before.
    wants_reset: bool,
    /// Since when nobody is there to make load.
    deserted: Option<Instant>,
    /// The planned end, once the run has come to it.
    ended_by_plan: Option<Duration>,
    /// The run's clock when this master took it over from another one.
    taken_over: Option<Duration>,
    /// Workers that had all ended their users by themselves when it was taken over, though nobody had stopped it. Empty where one of them went on.
    given_up_by: Vec<PeerNumber>,
    /// Why it could not be finished or collected, once it is over.
    unfinished: Option<String>,
    /// Its setup and teardown.
    acts: Acts,
    /// The number of users of the profile's last level for which slots were shared out level.
    levelled: Option<u64>,
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
            windows: windows_of(&thresholds, plan.warmup().as_secs(), 0),
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
            misuse: None,
            revised: None,
            unrevised: None,
            counted_since: Some(Duration::ZERO),
            wants_stop: false,
            wants_reset: false,
            deserted: None,
            ended_by_plan: None,
            taken_over: None,
            given_up_by: Vec::new(),
            unfinished: None,
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
        (run.table, run.windows) = (run.empty_tables(), run.empty_windows());
        for warning in warnings {
            run.tell(&warning);
        }
        run
    }

    /// The last run of a journal, which is waited for until then. Its workers are restored one by one.
    pub fn restored(kept: KeptRun, until: Instant, now: Instant) -> Self {
        let counted = Counted { epoch: kept.epoch, since: kept.counted_since };
        let mut run = Self::adopted(kept.plan, kept.wall, kept.profile, counted, now);
        run.stage = Stage::Adopting { until };
        (run.generation, run.known) = (kept.generation, kept.generation);
        run.table.restore_history(&kept.history);
        run.kept_windows = kept.windows;
        run.resume_windows();
        if kept.is_forgotten {
            run.forget_commons();
        }
        run.commons.restore(&kept.leases, kept.board);
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

    pub const fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    pub const fn stage(&self) -> Stage {
        self.stage
    }

    /// Time zero of its clock; `None` before it has begun, and of a journal's run until a worker brings it.
    pub const fn zero(&self) -> Option<Instant> {
        self.zero
    }

    /// The profile in force.
    pub const fn profile(&self) -> &Arc<LoadProfile> {
        &self.profile
    }

    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Tallies of seconds that cannot have been yet.
    pub const fn misdated(&self) -> u64 {
        self.misdated
    }

    pub fn parts(&self) -> impl Iterator<Item = (PeerNumber, &Part)> {
        self.parts.iter().map(|(&number, part)| (number, part))
    }

    pub fn part(&self, number: PeerNumber) -> Option<&Part> {
        self.parts.get(&number)
    }

    /// How many slots each owner has, by number.
    pub fn slot_counts(&self) -> Vec<(PeerNumber, u32)> {
        self.assignment.counts()
    }

    /// What the script does on the master is wrong: the next tick cuts the run. The first reason counts.
    pub fn misuse(&mut self, why: String) {
        self.halt.get_or_insert(Halt::Misuse(why));
    }

    /// Whether workers may join.
    pub fn takes_workers(&self) -> bool {
        matches!(self.stage, Stage::Waiting | Stage::Live) && self.phase == Phase::Run && !self.is_cut_in_setup()
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

    /// The first orders: everybody who is prepared begins.
    fn begin(&mut self, turn: &mut Turn<'_>) {
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

#[cfg(test)]
impl Run {
    /// What it has counted, for tests that ask for another moment than its own.
    pub const fn table(&self) -> &Tables {
        &self.table
    }

    /// As if the plan had these, and no second had been judged yet.
    pub fn judge_by(&mut self, thresholds: Vec<Threshold>) {
        self.thresholds = thresholds;
        self.windows = self.empty_windows();
        self.resume_windows();
    }
}
