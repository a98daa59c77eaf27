//! What a journal says, and what becomes of it: it is written anew without what is void, it tells of what is long past, and of a run that is over and
//! reported no other master is told.

use std::time::Duration;

use lunamoth::cluster::master::Master;
use lunamoth::cluster::record::{KeptRun, Record};
use lunamoth::plan::RunId;
use lunamoth::stats::snapshot::{RunState, Snapshot};

use super::world::World;

/// The history of which a journal has told a master.
#[derive(Debug, Clone, Copy)]
pub struct KeptHistory {
    run: RunId,
    epoch: u32,
    /// The end of its last point.
    until: Duration,
    requests: u64,
}

impl KeptHistory {
    pub fn of(kept: &KeptRun) -> Option<Self> {
        let last = kept.history.last()?;
        let requests = kept.history.iter().filter_map(|point| point.seen.as_ref()).map(|seen| seen.requests).sum();
        Some(Self { run: kept.plan.run, epoch: kept.epoch, until: last.at + last.length, requests })
    }
}

impl World {
    /// The journal is written anew, as its file is when it has grown.
    pub fn write_anew(&mut self) {
        let Some(after) = self.scenario.habits.compacts else { return };
        let seat = &mut self.master;
        if seat.journal.len() < seat.compacted + after {
            return;
        }
        let Some(kept) = KeptRun::from_records(seat.journal.iter().cloned()) else { return };
        if kept.is_forgotten && !seat.journal.contains(&Record::Forgotten) {
            return; // No file is so long that has so little to tell.
        }
        seat.journal = kept.clone().into_records();
        if let Some(tamper) = &self.tamper {
            seat.journal.retain(|record| tamper.keeps_anew(record));
        }
        seat.compacted = seat.journal.len();
        if KeptRun::from_records(seat.journal.iter().cloned()) != Some(kept) {
            self.fail("a journal that is written anew says something else".into());
        }
    }

    /// What is long past is in the journal.
    pub fn unkept_history(&self) -> Option<String> {
        let number = self.master.number;
        let since = self.now.checked_sub(KEPT_WITHIN + self.slack())?;
        let is_calm = self.scenario.has_journal && number == 1 && self.is_master_awake(1) && self.retiring.is_none();
        let has_slept = self.watch.was_master_hindered;
        let master = self.master.machine.as_ref().filter(|_| is_calm && !has_slept)?;
        let (run, zero) = master.run()?;
        let is_live = matches!(master.state(self.master_instant()), RunState::Running | RunState::Spawning);
        let elapsed = self.master_instant().saturating_duration_since(zero?);
        let is_told = |seat: usize| self.watch.hears_since(seat).is_some_and(|heard| heard < since);
        let tells =
            (0..self.seats.len()).any(|seat| is_told(seat) && self.seats[seat].lanes.as_ref().is_some_and(|lanes| lanes.users() > 0));
        let was_reset = self.watch.last_reset.is_some_and(|at| at > since);
        if !is_live || run != self.operator.plan.run || !tells || was_reset || elapsed < KEPT_WITHIN + self.slack() {
            return None;
        }
        let begin = self.master.journal.iter().rposition(|record| matches!(record, Record::Run { .. } | Record::Reset { .. }));
        let ends = self.master.journal[begin.unwrap_or(0)..].iter().filter_map(|record| {
            let Record::History(points) = record else { return None };
            points.last().map(|point| point.at + point.length)
        });
        let until = ends.max().unwrap_or_default();
        let is_behind = until + KEPT_WITHIN + self.slack() < elapsed;
        is_behind.then(|| format!("the journal tells of the run until {until:?}, {elapsed:?} of it have passed"))
    }

    /// At a run's end: people see what the journal told of seconds that are long past.
    pub fn check_history(&self, snapshot: &Snapshot, epoch: u32) -> Result<(), String> {
        let is_it = |history: &KeptHistory| (history.run, history.epoch) == (snapshot.run, epoch);
        let Some(history) = self.master.keeper.history.filter(is_it) else { return Ok(()) };
        let points = snapshot.history.iter().filter(|point| point.at + point.length <= history.until);
        let shown: u64 = points.filter_map(|point| point.seen.as_ref()).map(|seen| seen.requests).sum();
        let KeptHistory { until, requests, .. } = history;
        if shown < requests {
            return Err(format!("the journal told of {requests} requests until {until:?}, the history of {shown}"));
        }
        Ok(())
    }

    /// The last master ends in order: its run is over and reported, and nobody brings it to the next one.
    pub fn end_in_order(&mut self) {
        if self.violation.is_some() || !self.scenario.habits.closes || !self.close() {
            return;
        }
        self.go_on(Duration::from_secs(4) + self.slack(), |_| false);
        let stands =
            |seat: &usize| self.seats[*seat].machine.as_ref().is_some_and(|worker| worker.status(self.instant_of(*seat)).run.is_some());
        let still = self.alive().find(stands);
        if let Some(seat) = still {
            return self.fail(format!("the master has ended in order, and worker {seat} stands in its run"));
        }
        self.kill_master(Duration::from_secs(1), self.master.journal.len());
        self.go_on(Duration::from_secs(8) + self.slack() * 2, |_| false);
        if let Some((run, _)) = self.master.machine.as_ref().and_then(Master::run) {
            self.fail(format!("run {run} was over and reported, and the next master has it"));
        }
    }
}

/// A second is history when so many have come after it.
const KEPT_WITHIN: Duration = Duration::from_secs(38);
