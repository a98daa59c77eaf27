//! Promises of the cluster that each life is held to besides the books and the number of users: what an orphan does, what a pause and an end mean,
//! what the journal holds, how few slots move. The list of all promises stands in `sim.rs`.

use std::sync::Arc;
use std::time::Duration;

use lunamoth::cluster::master::RunEnd;
use lunamoth::cluster::message::{RunOrders, WorkerId};
use lunamoth::cluster::record::Record;
use lunamoth::load::shape::Shape;
use lunamoth::load::slots::SlotSet;
use lunamoth::plan::{LoadProfile, ProfileEnd, RunId};
use lunamoth::stats::snapshot::{RunState, Snapshot, WorkerState};

use super::books::host_name;
use super::lanes::Lanes;
use super::world::World;

/// What a seat's worker was told to run last.
pub struct Told {
    master: u32,
    run: RunId,
    generation: u64,
    profile: Arc<LoadProfile>,
    slots: Arc<SlotSet>,
}

impl World {
    /// To be called once a second.
    pub fn check_promises(&mut self) {
        let broken = [
            self.broken_orphan(),
            self.broken_pause(),
            self.forgotten_pause(),
            self.broken_end(),
            self.broken_journal(),
            self.unkept_history(),
            self.kept_waiting(),
            self.broken_demand(),
            self.goes_on_after_a_cut(),
        ];
        if let Some(why) = broken.into_iter().flatten().next() {
            self.fail(why);
        }
    }

    /// An orphan goes on by its plan until its patience ends, and no longer; where orphans pause it begins no iteration.
    fn broken_orphan(&self) -> Option<String> {
        (0..self.seats.len()).find_map(|seat| {
            let place = &self.seats[seat];
            // One that stood still greets first of all.
            let worker = place.machine.as_ref().filter(|_| self.now > place.frozen_until + GREETS + LATE)?;
            let lanes = place.lanes.as_ref().filter(|lanes| lanes.has_begun() && !lanes.is_stopping() && !lanes.is_finished)?;
            let alone = worker.status(self.instant_of(seat)).orphaned_for?;
            // A master that is being greeted was told of the run: three seconds more.
            if alone > self.scenario.orphan_timeout + GREETS + LATE {
                return Some(format!("worker {seat} makes load as an orphan for longer than orphans go on: {alone:?}"));
            }
            let is_late = self.scenario.pauses && alone > PAUSES_AFTER + LATE && !lanes.is_paused();
            is_late.then(|| format!("worker {seat} makes load as an orphan that shall pause: {alone:?}"))
        })
    }

    /// A worker ends its users where it was told to, or when its patience as an orphan has ended.
    pub fn check_reason_to_stop(&mut self, seat: usize) {
        let place = &self.seats[seat];
        let (Some(worker), Some(lanes)) = (&place.machine, &place.lanes) else { return };
        let alone = worker.status(self.instant_of(seat)).orphaned_for.unwrap_or_default();
        let is_told = place.is_leaving || place.told_to_end == Some(lanes.run());
        if !is_told && alone < self.scenario.orphan_timeout {
            let timeout = self.scenario.orphan_timeout;
            self.fail(format!("worker {seat} ends its users by itself, an orphan for {alone:?} where orphans go on for {timeout:?}"));
        }
    }

    /// In a paused run nobody who hears the master makes load.
    fn broken_pause(&mut self) -> Option<String> {
        let instant = self.master_instant();
        let is_awake = self.retiring.is_none() && self.is_master_awake(self.master.number);
        let is_paused = is_awake && self.master.machine.as_ref().is_some_and(|master| master.state(instant) == RunState::Paused);
        if !is_paused {
            self.watch.paused_since = None;
            return None;
        }
        let since = *self.watch.paused_since.get_or_insert(self.now);
        let known_since = self.now.checked_sub(HEARD_WITHIN + self.slack())?;
        if since > known_since {
            return None;
        }
        let hears =
            |seat: usize| self.watch.hears_since(seat).is_some_and(|since| since < known_since) && self.now > self.seats[seat].frozen_until;
        let makes_load = |(seat, lanes): (usize, &Lanes)| (hears(seat) && lanes.has_begun() && !lanes.is_paused()).then_some(seat);
        self.running().find_map(makes_load).map(|seat| format!("worker {seat} makes load in a paused run"))
    }

    /// A pause is taken over by the next master from the workers that have heard of it.
    fn forgotten_pause(&self) -> Option<String> {
        let is_awake = self.retiring.is_none() && self.is_master_awake(self.master.number) && self.now >= self.watch.disturbed_until();
        let master = self.master.machine.as_ref().filter(|_| is_awake && self.operator.wants_pause && self.watch.is_pause_known())?;
        let is_it = master.run().is_some_and(|(run, _)| run == self.operator.plan.run);
        let goes_on = matches!(master.state(self.master_instant()), RunState::Running | RunState::Spawning);
        (is_it && goes_on).then(|| "a run goes on that somebody has paused".into())
    }

    /// A run ends at its planned end, and when no user is left; one that shall not be adopted is ended by the master that finds it.
    fn broken_end(&self) -> Option<String> {
        let instant = self.master_instant();
        let master = self.master.machine.as_ref().filter(|_| self.is_master_awake(self.master.number))?;
        let (run, zero) = master.run()?;
        let goes_on = matches!(master.state(instant), RunState::Running | RunState::Spawning);
        if !goes_on || run != self.operator.plan.run {
            return None;
        }
        let elapsed = instant.saturating_duration_since(zero?);
        // A master that is about to take the run over gathers who is there first.
        let has_settled = self.master.has_taken_over(TAKEN_OVER_WITHIN + self.slack(), self.now);
        if let ProfileEnd::StopAt(end) = self.operator.plan.profile.end()
            && elapsed > end + LATE + self.slack()
            && self.now > self.master.frozen_until + LATE
            && has_settled
        {
            return Some(format!("the run goes on past its planned end: {elapsed:?} of {end:?}"));
        }
        if self.now < self.watch.disturbed_until() || self.operator.wants_pause || self.operator.asked_stop {
            return None;
        }
        if !self.scenario.adopts && self.operator.started < self.master.born {
            return Some("a run goes on that shall not be adopted".into());
        }
        let has_users = |(_, lanes): (usize, &Lanes)| lanes.users() > 0 || !lanes.has_begun();
        let is_empty = self.is_finite() && self.running().next().is_some() && !self.running().any(has_users);
        (is_empty && self.watch.empty_for(self.now) > EMPTY_WITHIN).then(|| "a run in which no user is left does not end".into())
    }

    /// Whoever was found lost is in the journal, with all that had been acknowledged. One that left before the run began has counted nothing, and need
    /// not be.
    fn broken_journal(&self) -> Option<String> {
        let number = self.master.number;
        let known_since = self.now.checked_sub(KEPT_WITHIN + self.slack())?;
        let is_awake = self.is_master_awake(number) && self.master.frozen_until < known_since && self.retiring.is_none();
        let master = self.master.machine.as_ref().filter(|_| is_awake && self.scenario.has_journal)?;
        let (run, _) = master.run()?;
        let is_live = matches!(master.state(self.master_instant()), RunState::Running | RunState::Spawning | RunState::Paused);
        if !is_live {
            return None;
        }
        self.watch.killed().filter(|(_, at)| *at < known_since && *at > self.master.born).find_map(|(seat, _)| {
            let account = self.books.get(run, seat)?;
            let takes_part = |sequence: &u64| self.master.begun.contains_key(&(run, seat)) || account.counts_until(*sequence);
            let acknowledged = account.acknowledged_by(number).filter(|sequence| *sequence > 0).filter(takes_part)?;
            let is_kept = self.kept_sequence(&host_name(seat)).is_some_and(|kept| kept >= acknowledged);
            (!is_kept).then(|| format!("worker {seat} is lost for long, and delta {acknowledged} of its is not in the journal"))
        })
    }

    /// Whoever is let go has its numbers in the journal.
    pub fn check_farewell(&mut self, seat: usize) {
        let Some(master) = self.master.machine.as_ref().filter(|_| self.scenario.has_journal) else { return };
        let Some((run, _)) = master.run().filter(|_| master.state(self.master_instant()) != RunState::Stopped) else { return };
        let Some(sealed) = self.books.get(run, seat).and_then(super::books::Account::last_that_counts) else { return };
        if self.kept_sequence(&self.seats[seat].id.host).is_none_or(|kept| kept < sealed) {
            self.fail(format!("worker {seat} may go, and delta {sealed} of its is not in the journal"));
        }
    }

    /// The last delta of a machine's worker that the journal has.
    fn kept_sequence(&self, host: &str) -> Option<u64> {
        let is_it = |worker: &WorkerId| worker.host == host;
        let begin = self.master.journal.iter().rposition(|record| matches!(record, Record::Run { .. })).unwrap_or(0);
        let kept =
            |record: &Record| if let Record::Worker(kept) = record { is_it(&kept.worker).then_some(kept.sequence?.get()) } else { None };
        self.master.journal[begin..].iter().filter_map(kept).max()
    }

    /// The run is over, and called complete or not.
    pub fn note_end(&mut self, end: &RunEnd) {
        let is_called = end.is_complete && end.failure.is_none() && self.master.number == 1;
        // A reset voids the hole of a worker that is away by then: nobody knows whether it lives. One that does may hear of the reset after the end.
        let has_voided =
            |snapshot: &Snapshot| self.watch.last_reset.is_some() && snapshot.workers.iter().any(|view| view.state == WorkerState::Lost);
        self.watch.called_complete = self.snapshot().filter(|it| is_called && !has_voided(it)).map(|snapshot| snapshot.total.requests);
    }

    /// A stop waits for whoever is out of reach and may still come back with numbers, for as long as that is worth while.
    pub fn check_patience(&mut self) {
        let number = self.master.number;
        let is_plain = self.operator.plan.profile.end() == ProfileEnd::Hold
            && self.operator.cut.is_none()
            && !self.is_ended_by_itself()
            && !self.is_finite()
            && self.scenario.adopts
            && self.scenario.orphan_timeout >= Duration::from_secs(60);
        let Some((_, asked)) = self.operator.first_stop.filter(|(master, _)| is_plain && *master == number) else { return };
        let (Some(snapshot), waited) = (self.snapshot(), self.now - asked) else { return };
        if waited + LATE >= WAITS_FOR_THE_AWAY {
            return;
        }
        let epoch = self.master.machine.as_ref().and_then(lunamoth::cluster::master::Master::epoch).unwrap_or(0);
        let is_away = |seat: usize| {
            let id = self.seats[seat].id.to_string();
            let is_lost = snapshot.workers.iter().any(|view| view.id == id && view.state == WorkerState::Lost);
            let alone = self.seats[seat].machine.as_ref().and_then(|worker| worker.status(self.instant_of(seat)).orphaned_for);
            is_lost && alone.is_none_or(|alone| alone < Duration::from_secs(40))
        };
        let brings_numbers = |seat: usize| {
            self.books.get(snapshot.run, seat).is_some_and(|account| {
                let known = account.delivered_to(number).max(account.acknowledged_by(number)).unwrap_or(0);
                // Of one that has begun its journal tells a new master, which has heard nothing of it yet.
                let is_begun = self.master.keeper.begun.contains(&(snapshot.run, seat)) && account.epoch >= epoch;
                (known > 0 || is_begun) && account.last_that_counts().is_some_and(|last| last > known)
            })
        };
        let given_up_on = self.alive().find(|seat| is_away(*seat) && brings_numbers(*seat));
        if let Some(seat) = given_up_on {
            self.fail(format!("a stop has waited {waited:?} and no longer for worker {seat}, which is away with numbers"));
        }
    }

    /// Of a run that was called complete nothing came later.
    pub fn check_complete(&self, snapshot: &Snapshot, epoch: u32) -> Result<(), String> {
        let served = self.books.served_in_one_epoch(snapshot.run, epoch);
        match (self.watch.called_complete, served) {
            (Some(held), Some(served)) if held != served => {
                Err(format!("the run is called complete with {held} requests in the table of {served} served"))
            }
            _ => Ok(()),
        }
    }

    /// At the end: rates divide by the time that is covered, and nobody makes load any more.
    pub fn check_rates_and_rest(&self, snapshot: &Snapshot) -> Result<(), String> {
        if let (Some(rate), Some(covered)) = (snapshot.total.total_rps, snapshot.covered) {
            let (requests, all) = (rate * covered.as_secs_f64(), snapshot.total.requests);
            // An orphan may have gone on after the end: that is in the sums, and in no rate of the run's time.
            let later = self.books.counted_from(snapshot.run, snapshot.elapsed.as_secs());
            if requests > all as f64 + 0.5 || requests < all.saturating_sub(later) as f64 - 0.5 {
                return Err(format!("{rate} requests a second in {covered:?} are {requests}, of {}", snapshot.total.requests));
            }
            let whole = snapshot.counted_since.map(|since| snapshot.elapsed.saturating_sub(since));
            if whole.is_some_and(|whole| covered > whole + LATE) {
                return Err(format!("rates divide by {covered:?}, of {whole:?}"));
            }
        }
        let run = self.operator.plan.run;
        let still = |seat: &usize| {
            self.seats[*seat].lanes.as_ref().is_some_and(|lanes| lanes.run() == run && lanes.has_begun() && !lanes.is_finished)
        };
        match self.alive().find(still) {
            Some(seat) => Err(format!("worker {seat} makes load after the run's end")),
            None => Ok(()),
        }
    }

    /// A churn moves the leaver's slots or the joiner's share, and at most one more of each worker; what moves has its moment.
    pub fn check_moves(&mut self, seat: usize, master: u32, orders: &RunOrders) {
        let before = self.seats[seat].told.replace(Told {
            master,
            run: orders.run,
            generation: orders.generation,
            profile: Arc::clone(&orders.orders.profile),
            slots: Arc::clone(&orders.orders.slots),
        });
        let Some(before) = before.filter(|before| (before.master, before.run) == (master, orders.run)) else { return };
        if before.generation + 1 != orders.generation || before.profile != orders.orders.profile {
            return; // Orders in between, which it has not heard; or another target, for which all are levelled.
        }
        let (gained, lost) = (orders.orders.slots.without(&before.slots), before.slots.without(&orders.orders.slots));
        if gained.len().min(lost.len()) > 1 {
            return self.fail(format!("worker {seat} gains {} slots and loses {}", gained.len(), lost.len()));
        }
        let peak = Shape::new(&orders.orders.profile).peak();
        let is_handed = |slot: u32| orders.orders.handover.as_ref().is_some_and(|handover| handover.moved.contains(slot));
        let at_once = gained.iter().chain(lost.iter()).filter(|slot| *slot < peak && !is_handed(*slot)).count();
        let is_hasty = orders.orders.handover.as_ref().is_some_and(|handover| handover.interval < orders.orders.profile.spawn_interval());
        if at_once > 0 || is_hasty && !gained.is_empty() {
            self.fail(format!("worker {seat} is told to move users faster than the spawn rate: {at_once} of {} at once", gained.len()));
        }
    }
}

/// A tick or a report late.
const LATE: Duration = Duration::from_millis(1_500);
/// How long a master is greeted.
const GREETS: Duration = Duration::from_secs(3);
/// The silence after which orphans pause that do.
const PAUSES_AFTER: Duration = Duration::from_secs(3);
/// An order has come to everybody who hears the master.
const HEARD_WITHIN: Duration = Duration::from_secs(6);
/// A worker is found lost, and that is in the journal.
const KEPT_WITHIN: Duration = Duration::from_secs(7);
/// How long a stop waits for those who are out of reach.
const WAITS_FOR_THE_AWAY: Duration = Duration::from_secs(15);
/// A master has taken a run over of which somebody tells it.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(12);
/// Everybody has reported that no user is left, and that has been believed.
const EMPTY_WITHIN: Duration = Duration::from_secs(9);
