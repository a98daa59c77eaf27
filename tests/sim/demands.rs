//! What scripts demand of a run: thresholds that look at windows of it, and users that end it by what they do. Each window is judged by what was
//! truly counted in it, whoever keeps the windows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lunamoth::cluster::master::Master;
use lunamoth::plan::{Plan, RunId, ThresholdPlan};
use lunamoth::stats::snapshot::{RunState, Snapshot};
use lunamoth::stats::threshold::Threshold;

use super::lanes::ENOUGH;
use super::scenario::Demands;
use super::world::World;

/// What was seen of it in a life.
#[derive(Debug, Default)]
pub struct Wishes {
    /// The first user that ended a run: on which worker, and when.
    halted: BTreeMap<RunId, (usize, Duration)>,
    /// Runs that were ended for a threshold, as people were told.
    ended_early: BTreeSet<RunId>,
    /// What was shown last of the worst window, and when, while this master was there.
    shown: Vec<(Duration, Worst)>,
    /// What the journal knows of it, of a master that is gone.
    known: Option<Worst>,
}

/// The worst window of a run's epoch: how many requests were in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Worst {
    run: RunId,
    epoch: u32,
    requests: u64,
}

impl Wishes {
    /// A user has ended the run.
    pub fn on_halted(&mut self, run: RunId, seat: usize, now: Duration) {
        self.halted.entry(run).or_insert((seat, now));
    }

    /// Whether a user has ended the run.
    pub fn is_halted(&self, run: RunId) -> bool {
        self.halted.contains_key(&run)
    }

    /// The master is gone; its journal has all that was until `written`, if it is there.
    pub fn on_master_killed(&mut self, written: Option<Duration>) {
        let shown = std::mem::take(&mut self.shown);
        let is_written = |at: Duration| written.is_some_and(|written| at + KEPT_WITHIN <= written);
        let last = shown.into_iter().rev().find(|(at, _)| is_written(*at)).map(|(_, worst)| worst);
        self.known = last.or(self.known).filter(|_| written.is_some());
    }
}

impl World {
    /// Once a second: the worst window is not forgotten, and a run goes on no longer than its script lets it.
    pub fn broken_demand(&mut self) -> Option<String> {
        let demands = self.scenario.habits.demands;
        if demands.is_none() && self.scenario.habits.halts.is_none() {
            return None;
        }
        let number = self.master.number;
        let has_settled = self.master.has_taken_over(TAKEN_OVER_WITHIN + self.slack(), self.now);
        let is_awake = self.is_master_awake(number) && self.retiring.is_none() && has_settled;
        let master = self.master.machine.as_ref().filter(|_| is_awake)?;
        let (run, epoch) = (master.run()?.0, master.epoch()?);
        let goes_on = !matches!(master.state(self.master_instant()), RunState::Ready | RunState::Waiting | RunState::Stopped);
        if run != self.operator.plan.run || !goes_on {
            return None;
        }
        let snapshot = self.snapshot()?;
        if is_ended_early(&snapshot) {
            self.wishes.ended_early.insert(run);
        }
        let shown = snapshot.thresholds.first().and_then(|view| number_in(&view.actual));
        let known = self.wishes.known.filter(|known| (known.run, known.epoch) == (run, epoch)).map(|known| known.requests);
        if let Some(known) = known.filter(|known| shown.is_none_or(|shown| shown < *known)) {
            return Some(format!("of the worst window, of {known} requests, the next master shows {shown:?}"));
        }
        self.wishes.shown.extend(shown.map(|requests| (self.now, Worst { run, epoch, requests })));
        if snapshot.state == RunState::Stopping || snapshot.state == RunState::Paused || self.now < self.watch.disturbed_until() {
            return None;
        }
        self.goes_on_against_a_threshold(&snapshot, epoch).or_else(|| self.goes_on_against_a_script(run))
    }

    /// A master that is about to go may end the run of another one, which then shows nothing of why.
    pub fn note_early_end(&mut self, text: &str) {
        let run = self.master.machine.as_ref().and_then(|master| master.run());
        if let Some((run, _)) = run.filter(|_| text.contains(ENDED_EARLY)) {
            self.wishes.ended_early.insert(run);
        }
    }

    fn goes_on_against_a_threshold(&self, snapshot: &Snapshot, epoch: u32) -> Option<String> {
        let Demands { over, ends_from, .. } = self.scenario.habits.demands?;
        let limit = ends_from.filter(|_| self.master.number == 1 && self.books.are_whole(snapshot.run, epoch))?;
        let until = snapshot.elapsed.checked_sub(ENDS_WITHIN + self.slack())?.as_secs();
        let worst = self.books.worst_window(snapshot.run, snapshot.counted_since?.as_secs(), until, over)?;
        (worst >= limit).then(|| format!("a run goes on of which a window had {worst} requests, where it shall end from {limit} on"))
    }

    fn goes_on_against_a_script(&self, run: RunId) -> Option<String> {
        let &(seat, at) = self.wishes.halted.get(&run)?;
        let is_late = self.now > at + ENDS_WITHIN + self.slack();
        let is_heard = self.seats[seat].is_alive() && self.was_in_touch(seat, at);
        (is_late && is_heard).then(|| format!("a run goes on that a user of worker {seat} ended at {at:?}"))
    }

    /// Whether the run was to end early, by what it did.
    pub fn is_ended_by_itself(&self) -> bool {
        let run = self.operator.plan.run;
        let is_told = || self.snapshot().is_some_and(|snapshot| is_ended_early(&snapshot));
        self.wishes.is_halted(run) || self.wishes.ended_early.contains(&run) || self.scenario.habits.demands.is_some() && is_told()
    }

    /// At a run's end: each window is judged by what was counted in it, and people see why the run has ended.
    pub fn check_demands(&self, snapshot: &Snapshot, epoch: u32) -> Result<(), String> {
        self.check_reason(snapshot)?;
        let Some(demands) = self.scenario.habits.demands else { return Ok(()) };
        let (is_first, has_slept) = (self.master.number == 1, !self.slack().is_zero());
        // Where windows reach across the death of a master, and somebody is gone who counted in them, people are told.
        let is_told = snapshot.warnings.iter().any(|warning| warning.contains("took the run over"));
        let truth = |from, to| self.books.worst_window(snapshot.run, from, to, demands.over);
        if let Some(limit) =
            demands.ends_from.filter(|_| is_ended_early(snapshot) && is_first && self.watch.last_reset.is_none() && !has_slept)
        {
            let worst = truth(0, self.now.as_secs());
            if worst.is_none_or(|worst| worst < limit) {
                return Err(format!("the run was ended early, and {worst:?} requests were in a window where it ends from {limit} on"));
            }
        }
        let is_complete = self.watch.called_complete == Some(snapshot.total.requests) || !is_first && self.is_called_complete(snapshot);
        let is_exact = is_complete && !is_told && self.books.are_whole(snapshot.run, epoch) && !has_slept;
        let Some(since) = snapshot.counted_since.filter(|_| is_exact).map(|since| since.as_secs()) else { return Ok(()) };
        let [windows, later, ..] = &snapshot.thresholds[..] else { return Err("thresholds are not shown".into()) };
        if let Some(worst) = truth(since, snapshot.elapsed.as_secs()).filter(|worst| *worst > 0) {
            let is_right = number_in(&windows.actual) == Some(worst) && windows.passed == (worst < demands.below);
            if !is_right {
                return Err(format!("{worst} requests were in the worst window, shown is {windows:?}"));
            }
        }
        // A worker whose clock is behind dates some of what it has counted since a reset to before that: it counts all the same, as in the total.
        let counted = self.books.counted_from(snapshot.run, LATER);
        let has_come = snapshot.elapsed.as_secs() > since.max(LATER);
        if has_come && counted > 0 && number_in(&later.actual) != Some(counted) {
            return Err(format!("{counted} requests were counted from {LATER} s on, shown is {later:?}"));
        }
        Ok(())
    }

    /// The last master has ended the run with all its numbers.
    fn is_called_complete(&self, snapshot: &Snapshot) -> bool {
        let is_whole = self.operator.ended.as_ref().is_some_and(|(_, end)| end.is_complete && end.failure.is_none());
        is_whole && !self.master.is_torn && self.scenario.has_journal && self.books.served(snapshot.run) == snapshot.total.requests
    }

    fn check_reason(&self, snapshot: &Snapshot) -> Result<(), String> {
        let Some(halts) = self.scenario.habits.halts else { return Ok(()) };
        let is_halted = self.wishes.is_halted(snapshot.run);
        let panics = self.operator.ended.as_ref().map_or(0, |(_, end)| end.panics);
        if !is_halted && (snapshot.aborted.is_some() || panics > 0) {
            return Err(format!("nobody has ended the run, and {:?} is shown, and {panics} panics", snapshot.aborted));
        }
        let has_failed = self.operator.ended.as_ref().is_none_or(|(_, end)| end.failure.is_some());
        // Of a run whose numbers are all there, the word of its end is.
        let is_known = is_halted && !has_failed && self.watch.called_complete == Some(self.books.served(snapshot.run));
        match (is_known, halts.panics) {
            (true, false) if snapshot.aborted.as_deref() != Some(ENOUGH) => Err("a script has ended the run, and nobody sees why".into()),
            (true, true) if panics == 0 => Err("a user's task has panicked, and nobody is told".into()),
            _ => Ok(()),
        }
    }

    /// A run is over. Nobody waits for one that somebody has cut.
    pub fn goes_on_after_a_cut(&self) -> Option<String> {
        let (number, at) = self.operator.cut?;
        let since = self.now.checked_sub(CUT_WITHIN)?;
        let is_awake = self.is_master_awake(number) && self.master.number == number && self.master.frozen_until < at && since > at;
        let state = self.master.machine.as_ref().filter(|_| is_awake).map(|master: &Master| master.state(self.master_instant()))?;
        (state != RunState::Stopped).then(|| format!("a run that was cut at {at:?} is {state:?}"))
    }
}

/// The conditions of a run.
pub fn conditions_of(demands: Option<Demands>) -> Vec<ThresholdPlan> {
    let Some(Demands { over, below, ends_from }) = demands else { return Vec::new() };
    let ends = ends_from.map(|limit| format!("count < {limit} over {over}s abort"));
    let conditions = [Some(format!("count < {below} over {over}s")), Some(format!("count > 0 after {LATER}s")), ends];
    conditions.into_iter().flatten().map(|condition| ThresholdPlan { metric: "http_reqs".into(), condition }).collect()
}

/// The same, as they are judged.
pub fn thresholds_of(plan: &Plan) -> Vec<Threshold> {
    plan.thresholds.iter().map(|condition| Threshold::parse(condition, &[]).expect("it is understood")).collect()
}

fn is_ended_early(snapshot: &Snapshot) -> bool {
    snapshot.warnings.iter().any(|warning| warning.contains(ENDED_EARLY))
}

/// The number with which a text begins.
fn number_in(text: &str) -> Option<u64> {
    text.split(' ').next()?.parse().ok()
}

/// What people are told of a run that a threshold has ended.
const ENDED_EARLY: &str = "the run was ended early";
/// The second of a run from which on one of the thresholds looks at it.
const LATER: u64 = 5;
/// What is shown is in the journal.
const KEPT_WITHIN: Duration = Duration::from_secs(2);
/// See `promises`.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(12);
/// A window has ended, its numbers have come, and the run has been ended for it.
const ENDS_WITHIN: Duration = Duration::from_secs(8);
/// Whoever cuts a run does not wait.
const CUT_WITHIN: Duration = Duration::from_millis(1_500);
