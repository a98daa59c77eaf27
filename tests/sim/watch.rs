//! What must hold while time passes: nobody runs twice unseen, users are as many as wanted in quiet, queues are bounded, machines rest.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lunamoth::cluster::master::RunEnd;
use lunamoth::cluster::message::RunOrders;
use lunamoth::load::shape::Shape;
use lunamoth::plan::RunId;
use lunamoth::stats::snapshot::{RunState, Snapshot, WorkerState};

use super::books::{Account, GAVE_UP, KILLED, host_name};
use super::lanes::{Lanes, SLOTS_MODELLED};
use super::world::World;

/// What has been seen so far.
#[derive(Default)]
pub struct Watch {
    disturbed_until: Duration,
    pub ended_at: Option<Duration>,
    pub last_reset: Option<Duration>,
    master_killed: Option<Duration>,
    /// When any worker's word reached the master last.
    heard: Duration,
    /// How many users have been wanted, and since when that many.
    wanted: (u64, Duration),
    worker_actions: BTreeMap<usize, usize>,
    master_actions: usize,
    generation: Option<(RunId, u64)>,
    generations: usize,
    /// Pairs of workers in which one user lives twice, and since when.
    doubles: BTreeMap<(usize, usize), Duration>,
    prolonged: Vec<Prolonged>,
    in_touch_since: BTreeMap<usize, Duration>,
    killed: BTreeMap<usize, Duration>,
    /// Since when the master shows a pause.
    pub paused_since: Option<Duration>,
    /// What the master showed when it called the run complete.
    pub called_complete: Option<u64>,
    /// Since when no user lives anywhere.
    empty_since: Option<Duration>,
    /// Workers that were without a master for so long that they stopped by themselves.
    pub gave_up_waiting: BTreeSet<usize>,
    pub has_begun: bool,
    /// How often all users were counted in quiet.
    pub quiet_looks: u64,
    /// What the operator wants, where no master can have forgotten it.
    pub target: Option<u32>,
    retargeted_at: Duration,
    /// When somebody paused the run last, where no master can have forgotten it.
    paused_at: Option<Duration>,
    /// The last revision of the script that somebody asked for, and when, where no master can have forgotten it.
    pub revised: Option<(u32, Duration)>,
    /// A master stood still.
    pub was_master_hindered: bool,
    /// To whom anything has happened.
    hindered: BTreeSet<usize>,
    /// While a master is missing, and until the next one has taken the run over: workers that have heard of the target and can tell of it.
    knowers: Option<BTreeSet<usize>>,
    /// The journal of the master that is missing tells of it.
    is_kept: bool,
    /// A master died in this run and left no journal.
    has_lost_journal: bool,
}

/// A user lived twice for long.
struct Prolonged {
    pair: (usize, usize),
    from: Duration,
}

impl Watch {
    pub fn disturb(&mut self, until: Duration) {
        self.disturbed_until = self.disturbed_until.max(until);
    }

    /// Whatever was to come, it has been healed.
    pub const fn settle_by(&mut self, at: Duration) {
        self.disturbed_until = at;
    }

    pub fn on_killed(&mut self, seat: usize, now: Duration) {
        self.killed.insert(seat, now);
    }

    pub fn killed(&self) -> impl Iterator<Item = (usize, Duration)> + '_ {
        self.killed.iter().map(|(&seat, &at)| (seat, at))
    }

    pub const fn disturbed_until(&self) -> Duration {
        self.disturbed_until
    }

    /// Since when the worker and the present master hear one another.
    pub fn hears_since(&self, seat: usize) -> Option<Duration> {
        self.in_touch_since.get(&seat).copied()
    }

    /// For how long no user has lived.
    pub fn empty_for(&self, now: Duration) -> Duration {
        self.empty_since.map_or(Duration::ZERO, |since| now - since)
    }

    /// The master is gone, and its journal tells of all that was done until `written`, if it is there.
    pub fn on_master_killed(&mut self, now: Duration, lasts: Duration, written: Option<Duration>) {
        self.master_killed = Some(now);
        self.has_lost_journal |= written.is_none();
        self.disturb(now + lasts);
        let knowers: BTreeSet<usize> =
            self.in_touch_since.iter().filter(|(_, since)| now >= **since + HEARD_BY_ALL).map(|(seat, _)| *seat).collect();
        self.is_kept = written.is_some_and(|written| self.retargeted_at < written);
        // A worker may take long to take it over.
        self.revised = self.revised.filter(|(_, at)| written.is_some_and(|written| *at < written));
        if !self.is_kept && (now < self.retargeted_at + HEARD_BY_ALL || knowers.is_empty()) {
            self.target = None;
        }
        if knowers.is_empty() || self.paused_at.is_some_and(|at| now < at + HEARD_BY_ALL) {
            self.paused_at = None;
        }
        self.knowers = Some(knowers);
    }

    /// Something happens to a worker. If it is the last that could tell the next master of the target, nobody can.
    pub fn on_hindered(&mut self, seat: usize) {
        self.hindered.insert(seat);
        if let Some(knowers) = &mut self.knowers {
            knowers.remove(&seat);
            if knowers.is_empty() {
                // A journal does not tell of a pause.
                self.paused_at = None;
                self.target = self.target.filter(|_| self.is_kept);
            }
        }
    }

    /// A master has taken over what there was.
    pub fn on_settled(&mut self) {
        self.knowers = None;
    }

    pub const fn on_retargeted(&mut self, users: u32, now: Duration) {
        self.target = Some(users);
        self.retargeted_at = now;
    }

    pub const fn on_paused(&mut self, now: Duration) {
        self.paused_at = Some(now);
    }

    /// Somebody has paused the run, and whoever takes it over is told.
    pub const fn is_pause_known(&self) -> bool {
        self.paused_at.is_some()
    }

    /// A worker's word has reached the master.
    pub const fn on_heard(&mut self, now: Duration) {
        self.heard = now;
    }

    pub fn count_worker(&mut self, seat: usize, actions: usize) {
        *self.worker_actions.entry(seat).or_default() += actions;
    }

    pub const fn count_master(&mut self, actions: usize) {
        self.master_actions += actions;
    }

    /// Another run begins: what was seen of the last one is forgotten.
    pub fn renew(&mut self) {
        let gave_up_waiting = std::mem::take(&mut self.gave_up_waiting);
        drop(gave_up_waiting);
        (self.ended_at, self.has_begun, self.quiet_looks, self.generation, self.generations) = (None, false, 0, None, 0);
        self.prolonged.clear();
        self.doubles.clear();
        self.last_reset = None;
        self.has_lost_journal = false;
        (self.called_complete, self.empty_since, self.paused_since, self.paused_at, self.revised) = (None, None, None, None, None);
    }
}

impl World {
    /// Looks at everything after each step; at what costs more, less often.
    pub fn observe(&mut self) {
        if self.violation.is_some() || !self.now.as_millis().is_multiple_of(100) {
            return;
        }
        self.note_touch();
        self.look_for_doubles();
        if self.now.as_millis().is_multiple_of(1_000) {
            self.check_bounds();
            self.check_promises();
            self.check_quiet();
        }
    }

    /// Orders go out: until the last slot has moved there is no quiet.
    pub fn watch_orders(&mut self, orders: &RunOrders) {
        if orders.run != self.operator.plan.run || self.watch.generation == Some((orders.run, orders.generation)) {
            return;
        }
        self.watch.generation = Some((orders.run, orders.generation));
        self.watch.generations += 1;
        if self.watch.generations == 1
            && let Some(seat) = self.gets_ready()
        {
            return self.fail(format!("the run begins without worker {seat}, which gets ready"));
        }
        let moments = orders.orders.handover.iter().flat_map(|handover| handover.moments().map(|(slot, at)| (slot, at - handover.at)));
        let peak = Shape::new(&orders.orders.profile).peak();
        let lasts = moments.take_while(|(slot, _)| *slot < peak).last().map_or(Duration::ZERO, |(_, lasts)| lasts);
        self.watch.disturb(self.now + lasts + AFTER_ORDERS + self.slack());
        // A run may come after others, and whoever comes or goes may do so several times.
        let bound = 12 + 8 * (self.scenario.events.len() + self.seats.len());
        if self.watch.generations > bound {
            self.fail(format!("the master has given orders {bound} times"));
        }
    }

    /// Somebody who has been in touch since the run was asked for is still opening its lanes, which nobody takes for long.
    pub fn gets_ready(&self) -> Option<usize> {
        let since = self.operator.started;
        let is_new = self.master.number == 1 && self.now < since + READY_WITHIN;
        let is_at_it =
            |seat: &usize| self.seats[*seat].opening.is_some() && !self.seats[*seat].is_leaving && self.was_in_touch(*seat, since);
        self.alive().find(is_at_it).filter(|_| is_new)
    }

    /// Why a run must not have ended, if it must not.
    pub fn premature(&self, end: &RunEnd) -> Option<String> {
        let by_plan = self.operator.plan.profile.end() != lunamoth::plan::ProfileEnd::Hold;
        // Lanes of the run before are none of it: who cannot be reached is not asked for the next one.
        let run = Some(self.operator.plan.run);
        let is_in_it =
            |seat: usize| self.seats[seat].machine.as_ref().is_some_and(|worker| worker.status(self.instant_of(seat)).run == run);
        let has_begun = |seat: usize| self.seats[seat].lanes.as_ref().is_some_and(Lanes::has_begun);
        let nobody_runs = !(0..self.seats.len()).any(|seat| is_in_it(seat) && has_begun(seat));
        let is_expected = self.operator.asked_stop
            || by_plan
            || self.is_finite()
            || self.is_ended_by_itself()
            || (!self.scenario.adopts && self.master.number > 1)
            || !self.watch.gave_up_waiting.is_empty()
            || self.retiring.is_some()
            || nobody_runs
            // To the master a worker that stands still, or cannot be heard, is as dead as one that gave up.
            || self.now >= self.watch.heard + self.scenario.orphan_timeout;
        (!is_expected).then(|| format!("the run ended by itself: {end:?}"))
    }

    /// Whether a worker and the master hear one another since `since`, and did so long before that it cannot be found lost while its words are on their way.
    pub fn was_in_touch(&self, seat: usize, since: Duration) -> bool {
        let hindered_until = self.seats[seat].hindered_until();
        let may_be_found_lost = hindered_until > Duration::ZERO && since < hindered_until + FOUND_LOST + self.slack();
        !may_be_found_lost && self.watch.hears_since(seat).is_some_and(|heard| heard <= since)
    }

    /// Users end by themselves.
    pub fn is_finite(&self) -> bool {
        self.scenario.life.is_some() || self.operator.plan.profile.quota().is_some()
    }

    fn note_touch(&mut self) {
        let now = self.now;
        let is_settled = self.is_master_awake(self.master.number) && self.master.has_taken_over(SETTLED_AFTER + self.slack(), now);
        if is_settled {
            self.watch.on_settled();
        }
        for seat in 0..self.seats.len() {
            let place = &self.seats[seat];
            let is_linked = self
                .links
                .values()
                .any(|link| link.worker == seat && link.master == self.master.number && link.worker_end.is_open && link.master_end.is_open);
            let is_free = place.goes_up(now) && place.comes_down(now);
            if place.is_alive() && is_settled && is_linked && is_free {
                self.watch.in_touch_since.entry(seat).or_insert(now);
            } else {
                self.watch.in_touch_since.remove(&seat);
            }
        }
        let has_begun = self.running().any(|(_, lanes)| lanes.has_begun());
        self.watch.has_begun |= has_begun;
        let has_users = self.running().any(|(_, lanes)| lanes.users() > 0);
        self.watch.empty_since = if has_users { None } else { self.watch.empty_since.or(Some(now)) };
    }

    /// The lanes that make load for the run.
    pub fn running(&self) -> impl Iterator<Item = (usize, &Lanes)> {
        let run = self.operator.plan.run;
        let lanes = self.seats.iter().enumerate().filter_map(|(seat, place)| Some((seat, place.lanes.as_ref()?)));
        lanes.filter(move |(_, lanes)| lanes.run() == run && !lanes.is_finished && !lanes.is_stopping())
    }

    fn look_for_doubles(&mut self) {
        let mut owners = vec![usize::MAX; SLOTS_MODELLED as usize];
        let mut seen = BTreeSet::new();
        for (seat, lanes) in self.running().filter(|(seat, lanes)| self.now >= self.seats[*seat].frozen_until && !lanes.is_paused()) {
            for index in lanes.running() {
                let owner = &mut owners[usize::try_from(index).unwrap()];
                if *owner != usize::MAX {
                    seen.insert((*owner, seat));
                }
                *owner = seat;
            }
        }
        let (now, unseen) = (self.now, UNSEEN_DOUBLE + self.slack());
        let before = std::mem::take(&mut self.watch.doubles);
        for (&pair, &from) in before.iter().filter(|(pair, from)| !seen.contains(pair) && now - **from > unseen) {
            self.watch.prolonged.push(Prolonged { pair, from });
        }
        for pair in seen {
            let from = before.get(&pair).copied().unwrap_or(now);
            self.watch.doubles.insert(pair, from);
            let in_touch = |seat| self.watch.in_touch_since.get(&seat).is_some_and(|since| now - *since > unseen);
            if now - from > unseen && in_touch(pair.0) && in_touch(pair.1) {
                return self.fail(format!("workers {pair:?} run the same user since {from:?}, and both hear the master"));
            }
        }
    }

    fn check_bounds(&mut self) {
        for (seat, actions) in std::mem::take(&mut self.watch.worker_actions) {
            if actions > ACTIONS_A_SECOND {
                self.fail(format!("worker {seat} does not rest: {actions} actions in a second"));
            }
        }
        let actions = std::mem::take(&mut self.watch.master_actions);
        if actions > ACTIONS_A_SECOND * (self.seats.len() + 1) {
            self.fail(format!("the master does not rest: {actions} actions in a second"));
        }
        for seat in 0..self.seats.len() {
            let Some(status) = self.seats[seat].machine.as_ref().map(|worker| worker.status(self.instant_of(seat))) else { continue };
            if status.unacknowledged > 5 {
                self.fail(format!("worker {seat}: {} deltas in flight", status.unacknowledged));
            }
            let alone = status.orphaned_for.unwrap_or_default() + Duration::from_millis(1_100);
            if alone >= self.scenario.orphan_timeout {
                self.watch.gave_up_waiting.insert(seat);
            }
            if alone >= self.scenario.orphan_timeout * 2 {
                self.books.excuse(seat, GAVE_UP);
            }
        }
    }

    /// Where nothing has happened for a while, everybody has the right users.
    fn check_quiet(&mut self) {
        let wanted = self.master.machine.as_ref().map(|master| master.target_users(self.master_instant()));
        if let Some(wanted) = wanted.filter(|wanted| *wanted != self.watch.wanted.0) {
            self.watch.wanted = (wanted, self.now);
        }
        let is_disturbed = self.now < self.watch.disturbed_until || self.retiring.is_some();
        let is_quiet = !is_disturbed && !self.operator.asked_stop && self.operator.ended.is_none();
        let Some(master) = self.master.machine.as_ref().filter(|_| is_quiet && !self.is_finite()) else { return };
        let run = self.operator.plan.run;
        let is_running = master.run().is_some_and(|(id, _)| id == run) && master.state(self.master_instant()) == RunState::Running;
        if !is_running {
            return;
        }
        // Stages of the profile move users as well: who is to go may take the stop timeout, and then a second until it is told.
        if self.now < self.watch.wanted.1 + self.scenario.stop_timeout + TOLD_WITHIN + self.slack() {
            return;
        }
        let Some(snapshot) = self.snapshot() else { return };
        if snapshot.planned.is_some_and(|end| snapshot.elapsed + CLOCKS_DIFFER + self.slack() > end) {
            return;
        }
        if let Err(why) = self.count_users(&snapshot) {
            self.fail(format!("in quiet, {why}"));
        }
        if let Some(behind) = snapshot.warnings.iter().find(|warning| warning.contains("older revision")) {
            self.fail(format!("in quiet, {behind}"));
        }
        if let Some((wanted, _)) = self.watch.revised.filter(|(wanted, _)| *wanted > snapshot.revision) {
            self.fail(format!("in quiet, revision {wanted} of the script is wanted, and {} is taken over", snapshot.revision));
        }
        self.watch.quiet_looks += 1;
    }

    fn count_users(&self, snapshot: &Snapshot) -> Result<(), String> {
        let mut counts = BTreeMap::new();
        let mut users = BTreeSet::new();
        for (seat, lanes) in self.running() {
            if lanes.is_paused() {
                return Err(format!("worker {seat} is paused in a run that goes on"));
            }
            let before = users.len();
            users.extend(lanes.running());
            counts.insert(seat, users.len() - before);
        }
        for seat in self.alive().filter(|seat| !self.seats[*seat].is_leaving) {
            self.check_presence(seat, counts.contains_key(&seat), snapshot)?;
        }
        if counts.is_empty() {
            return Ok(());
        }
        let wanted = snapshot.target_users;
        // What the last stage of a plan wants is wanted once that is over.
        let is_due = self.watch.retargeted_at >= self.operator.started || self.climb_left().is_zero();
        if let Some(target) = self.watch.target.filter(|target| is_due && u64::from(*target) != wanted) {
            return Err(format!("{wanted} users are wanted where the operator asked for {target}"));
        }
        if users.len() as u64 != wanted || users.iter().any(|index| *index >= wanted) {
            return Err(format!("{wanted} users are wanted, {} run: {users:?}", users.len()));
        }
        let (least, most) = (counts.values().min().unwrap(), counts.values().max().unwrap());
        if most - least > 1 {
            return Err(format!("workers run {counts:?} users"));
        }
        if snapshot.users != wanted {
            return Err(format!("{wanted} users run, the master knows of {}", snapshot.users));
        }
        let buyers: u64 = self.running().map(|(_, lanes)| lanes.running_of_class(1)).sum();
        if (buyers * 4).abs_diff(wanted) > 3 { Err(format!("{buyers} buyers of {wanted} users, of four one")) } else { Ok(()) }
    }

    fn check_presence(&self, seat: usize, takes_part: bool, snapshot: &Snapshot) -> Result<(), String> {
        let place = &self.seats[seat];
        let status = place.machine.as_ref().expect("one of those that live").status(self.instant_of(seat));
        if !status.is_linked {
            return Err(format!("worker {seat} is not linked"));
        }
        let view = snapshot.workers.iter().find(|view| view.id == place.id.to_string());
        let state = view.map(|view| view.state);
        if state.is_none_or(|state| state == WorkerState::Lost || state == WorkerState::Left) {
            return Err(format!("worker {seat} is linked and shown as {state:?}"));
        }
        if !takes_part && !self.watch.gave_up_waiting.contains(&seat) {
            return Err(format!("worker {seat} takes no part"));
        }
        Ok(())
    }

    /// At a run's end: whoever ran users that others ran as well, for long and out of reach, is shown; and nobody is who was in touch all the time, nor
    /// as one that still does.
    pub fn check_overlaps(&self, snapshot: &Snapshot) -> Result<(), String> {
        let seat_of = |worker: &str| (0..self.seats.len()).find(|seat| worker.starts_with(&format!("{}_", host_name(*seat))));
        let is_calm = self.master.number == 1 && !self.watch.was_master_hindered && self.scenario.weather.is_fair();
        for overlap in &snapshot.overlaps {
            let Some(seat) = seat_of(&overlap.worker) else {
                return Err(format!("an overlap is shown of {}, whom nobody knows", overlap.worker));
            };
            if is_calm && !self.watch.hindered.contains(&seat) {
                return Err(format!("an overlap is shown of worker {seat}, which was in touch all the time: {overlap:?}"));
            }
            if overlap.to.is_none() && self.seats[seat].is_alive() {
                return Err(format!("worker {seat} is shown to run users beside others still: {overlap:?}"));
            }
        }
        let run = self.operator.plan.run;
        for Prolonged { pair, from } in &self.watch.prolonged {
            let is_void = |at: Option<Duration>| at.is_some_and(|at| at >= *from);
            let is_dead = |seat: usize| self.watch.killed.contains_key(&seat) || self.seats[seat].end.is_some();
            // By whatever name it had then.
            let shown = |seat: usize| snapshot.overlaps.iter().any(|it| it.worker.starts_with(&format!("{}_", host_name(seat))));
            // Orders of a master that is gone may still have been on their way to those who took over.
            let is_master_gone = self.watch.master_killed.is_some_and(|at| at + TOLD_WITHIN + self.slack() >= *from);
            // Nor does anybody know of a worker that was away when the one master went that knew of it, and has dropped its numbers before it came to another.
            let has_dropped = |seat: usize| self.books.get(run, seat).is_some_and(|account| account.excuse == Some(GAVE_UP));
            let is_forgotten = self.watch.has_lost_journal && (has_dropped(pair.0) || has_dropped(pair.1));
            let is_excused = is_void(self.watch.last_reset) || is_master_gone || is_forgotten || is_dead(pair.0) || is_dead(pair.1);
            if !is_excused && !shown(pair.0) && !shown(pair.1) {
                return Err(format!("workers {pair:?} ran the same users since {from:?}, and no overlap is shown"));
            }
        }
        Ok(())
    }

    /// Nothing of the run can be known any more: whoever counted in it is gone. One that was prepared and has begun nobody has nothing to tell of it,
    /// and drops it when its patience as an orphan ends.
    pub fn has_vanished(&self) -> bool {
        let run = self.operator.plan.run;
        let counts = |account: &Account| account.has_counted() && matches!(account.excuse, None | Some(KILLED));
        !self.alive().any(|seat| self.books.get(run, seat).is_some_and(counts))
    }
}

/// So long one user may live twice, while the one who has lost it has not been found out.
const UNSEEN_DOUBLE: Duration = Duration::from_secs(6);
/// After so long a silence a worker is found lost.
const FOUND_LOST: Duration = Duration::from_secs(3);
/// After the last of what orders bring.
const AFTER_ORDERS: Duration = Duration::from_secs(6);
/// A report is due each second, and may be held up by the weather.
const TOLD_WITHIN: Duration = Duration::from_secs(4);
/// A master that has taken a run over by then has given orders.
const SETTLED_AFTER: Duration = Duration::from_secs(12);
/// Orders have reached everybody.
const HEARD_BY_ALL: Duration = Duration::from_secs(5);
/// A worker comes to the planned end by its own clock.
const CLOCKS_DIFFER: Duration = Duration::from_secs(2);
/// A run waits for so long at least until all are ready.
const READY_WITHIN: Duration = Duration::from_secs(25);
const ACTIONS_A_SECOND: usize = 80;
