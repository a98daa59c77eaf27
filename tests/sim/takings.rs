//! Rows and iterations that users take from the stocks of their workers, as they are: each once in the whole cluster, and none is forgotten.
//!
//! A journal of which a part is gone that was on the disk, and two masters at a time, may give out what they do not know of: there nothing is promised.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use lunamoth::cluster::link::LinkId;
use lunamoth::cluster::message::ToMaster;
use lunamoth::load::stock::{Given, Grant, Stock};
use lunamoth::plan::{LoadProfile, RunId};
use lunamoth::stats::snapshot::Snapshot;

use super::lanes::{ITERATIONS, ROWS};
use super::world::World;

/// What was taken in a life.
#[derive(Debug, Default)]
pub struct Takings {
    /// By run and source: each row, and whose user took it.
    taken: BTreeMap<(RunId, &'static str), BTreeMap<u64, usize>>,
    /// Somebody was told that no row is left.
    over: BTreeSet<RunId>,
    /// Somebody was told that nobody knows which rows, or iterations, were given out.
    unknown: BTreeSet<(RunId, &'static str)>,
    /// The stocks of workers whose lanes were opened for another run since: what is left in them is gone.
    former: Vec<(RunId, Arc<Stock>)>,
    /// Nothing is promised any more.
    pub is_in_doubt: bool,
}

impl World {
    /// The stock of a worker that opens its lanes.
    pub fn open_stock(&mut self, seat: usize, run: RunId) -> Arc<Stock> {
        let stock = Arc::new(Stock::default());
        stock.attend();
        let former = self.seats[seat].stock.replace((run, Arc::clone(&stock)));
        self.takings.former.extend(former);
        stock
    }

    /// Carries what goes back, and then what a worker's lanes ask for.
    pub fn carry_stock(&mut self, seat: usize) {
        let Some((run, stock)) = self.seats[seat].stock.clone() else { return };
        let now = self.instant_of(seat);
        for leftover in stock.take_returns() {
            self.note(|| format!("worker {seat} gives back {leftover:?}"));
            let Some(worker) = &mut self.seats[seat].machine else { return };
            let actions = worker.on_leftover(run, leftover, now);
            self.do_worker(seat, actions);
        }
        for ask in stock.take_questions() {
            self.note(|| format!("worker {seat} asks {ask:?}"));
            let Some(worker) = &mut self.seats[seat].machine else { return };
            let actions = worker.on_ask(ask, now);
            self.do_worker(seat, actions);
        }
    }

    pub fn on_grant(&mut self, seat: usize, grant: Grant) {
        let now: Instant = self.instant_of(seat);
        self.note(|| format!("worker {seat} is given {grant:?}"));
        let Some((run, stock)) = &self.seats[seat].stock else { return };
        let source = if grant.source == ROWS { ROWS } else { ITERATIONS };
        let most = limit_of(&self.operator.plan.profile, self.scenario.habits.rows, source).map(|limit| (limit / SHARES).max(1));
        if let (Given::Rows(rows), Some(most)) = (&grant.given, most)
            && *run == self.operator.plan.run
            && rows.end - rows.start > most
        {
            let (run, count) = (*run, rows.end - rows.start);
            return self.fail(format!("worker {seat} is given {count} of run {run} at once, where {most} are the most"));
        }
        match grant.given {
            Given::Over if source == ROWS => drop(self.takings.over.insert(*run)),
            Given::Unknown => drop(self.takings.unknown.insert((*run, source))),
            Given::Over | Given::Rows(_) | Given::Later => {}
        }
        stock.on_grant(grant, now);
    }

    /// What nobody takes here any more goes back before the goodbye.
    pub fn bring_leftovers(&mut self, seat: usize, link: LinkId) {
        let Some((run, stock)) = self.seats[seat].stock.clone() else { return };
        for leftover in stock.leftovers() {
            self.note(|| format!("worker {seat} brings back {leftover:?}"));
            self.send_up(seat, link, ToMaster::Leftover { run, leftover });
        }
    }

    /// No row is taken twice.
    pub fn note_taken(&mut self, seat: usize, run: RunId, rows: &[(&'static str, u64)]) {
        for &(source, row) in rows {
            let before = self.takings.taken.entry((run, source)).or_default().insert(row, seat);
            if let Some(before) = before.filter(|_| !self.takings.is_in_doubt) {
                let what = if source == ITERATIONS { "iteration" } else { "row" };
                return self.fail(format!("{what} {row} of run {run} was taken by users of workers {before} and {seat}"));
            }
        }
    }

    /// At a run's end: iterations that began are as many as are shown, but for those shown as lost; and where rows were said to be all taken, none
    /// is left that nobody has.
    pub fn check_takings(&self, snapshot: &Snapshot) -> Result<(), String> {
        let run = snapshot.run;
        let has_one_master = self.master.number == 1;
        if self.takings.is_in_doubt {
            return Ok(());
        }
        // What was given out before a run was brought by a worker is known to nobody: scripts hear so of rows, and people of iterations.
        let is_unknown = |source| self.takings.unknown.contains(&(run, source));
        let is_told = snapshot.warnings.iter().any(|warning| warning.contains("known to nobody"));
        if is_unknown(ITERATIONS) && !is_told {
            return Err("it is known to nobody which iterations were given out, and nobody is told".into());
        }
        if is_unknown(ROWS) || is_told || (self.master.keeper.is_torn && !has_one_master) {
            return Ok(());
        }
        let count = |source| self.takings.taken.get(&(run, source)).map_or(0, BTreeMap::len) as u64;
        if let Some(quota) = &snapshot.quota {
            let begun = count(ITERATIONS);
            if begun < quota.begun || begun > quota.begun + quota.lost {
                return Err(format!("{begun} iterations began, {} are shown and {} as lost", quota.begun, quota.lost));
            }
            let has_failed = self.operator.ended.as_ref().is_none_or(|(_, end)| end.failure.is_some());
            // Where each user has so many, one that was moved has begun anew, and may leave some of its own behind.
            let is_shared = self.operator.plan.profile.quota().is_some_and(|(_, each)| each.is_none());
            let nobody_was_away = has_one_master && self.watch.killed().next().is_none() && snapshot.overlaps.is_empty();
            let is_through = !self.operator.asked_stop
                && !self.is_ended_by_itself()
                && snapshot.planned.is_none()
                && !has_failed
                && is_shared
                && nobody_was_away;
            if is_through && quota.begun + quota.lost != quota.total {
                let (shown, lost, total) = (quota.begun, quota.lost, quota.total);
                return Err(format!("the run is through with {shown} iterations, and {lost} lost, of {total}"));
            }
        }
        if let Some(Some(limit)) = self.scenario.habits.rows.filter(|_| self.takings.over.contains(&run)) {
            let in_hands = self.seats.iter().filter(|seat| seat.is_alive()).filter_map(|seat| seat.stock.as_ref());
            let stocks = in_hands.chain(&self.takings.former);
            let left =
                stocks.filter(|(of, _)| *of == run).flat_map(|(_, stock)| stock.leftovers()).filter(|leftover| leftover.source == ROWS);
            // What was given to a worker that is not there any more may never have come to it; it is named.
            let mut known: BTreeSet<u64> = snapshot.warnings.iter().filter_map(|warning| rows_in_lost_hands(warning)).flatten().collect();
            let named = known.len();
            known.extend(left.flat_map(|leftover| leftover.rows));
            known.extend(self.takings.taken.get(&(run, ROWS)).into_iter().flat_map(BTreeMap::keys));
            if (known.len() as u64) < limit {
                let (taken, known) = (count(ROWS), known.len());
                return Err(format!("rows are said to be all taken: {taken} are, {named} are named as lost, and {known} known of {limit}"));
            }
        }
        Ok(())
    }
}

/// How many rows or iterations there are.
fn limit_of(profile: &LoadProfile, rows: Option<Option<u64>>, source: &str) -> Option<u64> {
    if source == ROWS { rows.flatten() } else { profile.quota().map(|(total, _)| total) }
}

/// No more than this part of all is given at once: so much at most is lost with a worker.
const SHARES: u64 = 64;

/// The rows that a warning names as lost with their worker.
fn rows_in_lost_hands(warning: &str) -> Option<Range<u64>> {
    let (from, rest) = warning.strip_prefix("rows ")?.split_once(" to ")?;
    let (to, rest) = rest.split_once(' ')?;
    let is_it = rest.starts_with(&format!("of `{ROWS}` were in the hands of"));
    is_it.then(|| Some(from.parse::<u64>().ok()?.checked_sub(1)?..to.parse().ok()?)).flatten()
}
