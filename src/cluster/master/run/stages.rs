//! How a run goes from stage to stage as time passes and workers come and go.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::action::{FailureCause, RunEnd, RunFailure};
use super::super::config::MasterConfig;
use super::super::peers::{PeerNumber, Peers, Presence};
use super::super::turn::Turn;
use super::part::{Part, PartStage};
use super::{AWAY_GRACE, LEAD, Run, Stage, takes_slots};
use crate::cluster::message::{Phase, Refusal, ToWorker};
use crate::load::Halt;
use crate::stats::snapshot::HoleView;

impl Run {
    /// Asks a worker to prepare, if this run still takes workers.
    pub fn ask(&mut self, number: PeerNumber, turn: &mut Turn<'_>) {
        if self.takes_workers() && turn.peers.get(number).presence == Presence::Here {
            // What it owned by orders that never reached it goes to the others: it runs nobody, and may never be ready.
            self.parts.remove(&number);
            self.part_with(number, turn);
            self.parts.insert(number, Part::asked(turn.now));
            turn.send(number, ToWorker::Prepare(self.plan.clone()));
        }
    }

    /// A worker's lanes are open.
    pub fn on_prepared(&mut self, number: PeerNumber, turn: &mut Turn<'_>) {
        let Some(part) = self.parts.get_mut(&number) else { return };
        // One that has been told to end meanwhile closes its lanes again.
        if !matches!(part.stage, PartStage::Asked { .. } | PartStage::Unable { .. }) || !takes_slots(number, part, turn.peers) {
            return;
        }
        part.stage = PartStage::Prepared;
        match self.stage {
            Stage::Live => self.join(number, turn),
            Stage::Waiting => self.begin_if_all_agree(turn),
            // Orders come once the run is taken over.
            Stage::Adopting { .. } => {}
            Stage::Stopping { .. } | Stage::Over { .. } => {
                turn.send(number, ToWorker::Abandon(self.id()));
                self.parts.remove(&number);
            }
        }
    }

    /// A worker cannot take part. Answers the failure that ends the run, if it does.
    pub fn on_refused(&mut self, number: PeerNumber, refusal: Refusal, turn: &mut Turn<'_>) -> Option<RunFailure> {
        let now = turn.now;
        let peer = turn.peers.get(number);
        let id = &peer.hello.worker;
        let part = self.parts.get_mut(&number)?;
        match part.stage {
            PartStage::Prepared | PartStage::Ordered => {
                // It has a script to run, and cannot take the changed one over.
                part.on_renewal_refused(id, refusal.text, turn);
                return None;
            }
            // Its last numbers are here: there is nothing that it could still take part in.
            PartStage::Finished => return None,
            PartStage::Asked { .. } | PartStage::Unable { .. } => {}
        }
        let differs = refusal.differs.is_some();
        let may_come_round = differs || peer.was_abandoned;
        // It is asked again and again; people are told when its answer changes.
        let is_told = matches!(&part.stage, PartStage::Unable { why, .. } if *why == refusal.text);
        if differs && !is_told {
            turn.log(log::Level::Warn, format!("Client '{id}' has another script: {}", refusal.text));
        }
        part.stage = PartStage::Unable { at: now, why: refusal.text.clone(), differs };
        if self.stage == Stage::Waiting && !may_come_round {
            return Some(RunFailure::bad_use(format!("worker {id}: {}", refusal.text)));
        }
        if !may_come_round && !is_told {
            turn.log(log::Level::Error, format!("Client '{id}' takes no part in the run: {}", refusal.text));
        }
        None
    }

    pub fn begin_if_all_agree(&mut self, turn: &mut Turn<'_>) {
        let mut here = self.parts.iter().filter(|(number, part)| takes_slots(**number, part, turn.peers)).peekable();
        if here.peek().is_some() && here.all(|(_, part)| part.stage == PartStage::Prepared) && self.is_set_up() {
            self.begin(turn);
        }
    }

    /// A worker is given up: others take its users.
    pub fn on_lost(&mut self, number: PeerNumber, turn: &mut Turn<'_>) {
        let peers = turn.peers;
        let elapsed = self.elapsed(turn.now);
        let is_over = self.is_over();
        let Some(part) = self.parts.get_mut(&number) else { return };
        if peers.get(number).link.is_none() {
            part.unstage();
        }
        if is_over || part.stage == PartStage::Finished {
            return;
        }
        if !part.has_run {
            self.parts.remove(&number);
            return;
        }
        part.away_since = Some(elapsed);
        part.is_begun_kept = false;
        let from = Duration::from_secs(part.covered).min(elapsed);
        let worker = peers.get(number).hello.worker.to_string();
        self.holes.insert(number, HoleView { worker, from, to: elapsed });
        self.part_with(number, turn);
    }

    /// A worker that takes part is there again, or on another link.
    pub fn on_return(&mut self, number: PeerNumber, turn: &mut Turn<'_>) {
        let Some(part) = self.parts.get_mut(&number) else {
            // It had not begun when it was lost.
            return self.ask(number, turn);
        };
        let (was_away, was_replaced) = (part.away_since.take(), std::mem::take(&mut part.was_replaced));
        if was_away.is_some() {
            part.back = Some(turn.now);
        }
        let is_ordered = part.stage == PartStage::Ordered;
        if let Some(from) = was_away {
            if self.is_over() {
                // Nobody waits for it any more, and it may be gone again before it has handed in what it has.
                self.show_unfinished(turn.peers, self.elapsed(turn.now));
            } else {
                self.holes.remove(&number);
            }
            if is_ordered && self.had_others(number, from, was_replaced) {
                if !turn.config.orphan.pauses {
                    self.show_return(number, from, turn);
                }
                if let Some(part) = self.parts.get_mut(&number) {
                    part.void = Some(Arc::clone(&part.ordered));
                }
            }
        }
        let is_leaving = turn.peers.get(number).presence == Presence::Leaving;
        if is_leaving && self.stage == Stage::Live {
            // What it said of that may have been lost with its last link.
            self.part_with(number, turn);
        }
        let Some(part) = self.parts.get(&number) else { return };
        let (part_stage, has_given_up) = (part.stage.clone(), part.has_given_up);
        match (self.stage, part_stage) {
            (Stage::Live, PartStage::Ordered) if was_away.is_some() && !is_leaving && !has_given_up => {
                self.join(number, turn);
            }
            (Stage::Live | Stage::Stopping { .. } | Stage::Over { .. }, PartStage::Ordered) => {
                self.repeat_orders(number, turn);
            }
            _ => {}
        }
    }

    /// A worker has finished. In a run that nobody has stopped, and that is not at its planned end, others take its users.
    pub fn on_last_delta(&mut self, number: PeerNumber, turn: &mut Turn<'_>) {
        let is_at_end = self.shape.end().is_some_and(|end| self.elapsed(turn.now) + CLOCKS_APART >= end);
        let has_finished = self.parts.get(&number).is_some_and(|part| part.stage == PartStage::Finished);
        if self.stage == Stage::Live && has_finished && !is_at_end {
            self.part_with(number, turn);
        }
    }

    /// A worker leaves, and all that it has counted is here.
    pub fn on_goodbye(&mut self, number: PeerNumber, turn: &mut Turn<'_>) {
        if self.stage == Stage::Live {
            self.part_with(number, turn);
        }
        if let Some(part) = self.parts.get_mut(&number) {
            part.finish(turn.now);
        }
    }

    /// Time passes. Answers how the run ended, if it did.
    pub fn on_tick(&mut self, turn: &mut Turn<'_>) -> Option<RunEnd> {
        match self.stage {
            Stage::Waiting => self.wait(turn),
            Stage::Adopting { .. } | Stage::Over { .. } => None,
            Stage::Live => {
                self.ask_again(LATE_ASK, turn);
                self.ask_those_behind(LATE_ASK, turn);
                self.show_overtaken(turn);
                self.level_out(turn);
                if self.shape.end().is_some_and(|end| self.elapsed(turn.now) >= end) {
                    // The lanes know the planned end by themselves; the orders are for those that are late.
                    self.ended_by_plan = self.shape.end();
                    self.end_users(Phase::Stop, turn);
                    return None;
                }
                self.judge_windows(turn);
                self.end_if_useless(turn);
                self.end_if_deserted(turn)
            }
            Stage::Stopping { since } => {
                self.judge_windows(turn);
                self.mind_teardown(turn);
                self.finish_if_done(since, turn)
            }
        }
    }

    fn wait(&mut self, turn: &mut Turn<'_>) -> Option<RunEnd> {
        let (peers, now) = (turn.peers, turn.now);
        let waited = now.saturating_duration_since(self.asked);
        self.parts.retain(|&number, _| peers.get(number).presence == Presence::Here);
        if self.is_cut_in_setup() {
            return self.mind_cut_setup(turn);
        }
        if self.parts.is_empty() {
            return Some(self.end(peers, now, Some(RunFailure::lost("all workers left before the run began"))));
        }
        self.begin_if_all_agree(turn);
        if self.stage != Stage::Waiting {
            return None;
        }
        let is_slow = |part: &Part| matches!(part.stage, PartStage::Asked { .. });
        let is_time = waited >= PREPARE_TIMEOUT || self.parts.values().all(|part| part.stage == PartStage::Prepared);
        if !self.is_set_up() && (is_time || self.is_setting_up()) {
            let end = self.mind_setup(turn);
            if end.is_some() || self.is_setting_up() {
                return end;
            }
        }
        let unable: Vec<String> = self
            .parts
            .iter()
            .filter_map(|(&number, part)| match &part.stage {
                PartStage::Unable { why, .. } => Some(format!("{}: {why}", peers.get(number).hello.worker)),
                _ => None,
            })
            .collect();
        if !unable.is_empty() && waited >= turn.config.skew_timeout {
            let text = format!(
                "{} of {} workers have another script than the master (--allow-script-skew starts all the same): {}",
                unable.len(),
                self.parts.len(),
                unable.join("; ")
            );
            return Some(self.end(peers, now, Some(RunFailure::bad_use(text))));
        }
        self.ask_again(EARLY_ASK, turn);
        if unable.is_empty() && waited >= PREPARE_TIMEOUT {
            let ready = self.parts.values().any(|part| part.stage == PartStage::Prepared);
            let slow: Vec<_> = self.parts.iter().filter(|(_, part)| is_slow(part)).map(|(&number, _)| number).collect();
            let names: Vec<_> = slow.iter().map(|&number| peers.get(number).hello.worker.to_string()).collect();
            let text = format!("not ready within {} s: {}", PREPARE_TIMEOUT.as_secs(), names.join(", "));
            if !ready {
                return Some(self.end(peers, now, Some(RunFailure::lost(text))));
            }
            turn.log(log::Level::Warn, format!("{text}; the run begins without them, and they join when they are"));
            self.begin(turn);
        }
        None
    }

    /// Asks those again whose scripts differed or who were busy, and those who have not answered at all.
    fn ask_again(&mut self, every: Duration, turn: &mut Turn<'_>) {
        let now = turn.now;
        for (&number, part) in &mut self.parts {
            match &mut part.stage {
                PartStage::Unable { at, .. } if now.saturating_duration_since(*at) >= every => *at = now,
                PartStage::Asked { at } if now.saturating_duration_since(*at) >= PREPARE_TIMEOUT => *at = now,
                _ => continue,
            }
            turn.send(number, ToWorker::Prepare(self.plan.clone()));
        }
    }

    /// A line of the profile has come to its end: the users of its level are shared out level again, where workers that came and went on the way
    /// have left them uneven. On the way itself the highest number of the line counts, so that nobody moves at each step.
    fn level_out(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now;
        let level = self.level(now);
        if self.levelled == Some(level) || self.shape.is_spawning(self.elapsed(now)) {
            return;
        }
        self.levelled = Some(level);
        let moved = self.assignment.level(level);
        if !moved.is_empty() {
            self.hand_over(moved, LEAD, now);
            self.order_all(turn);
        }
    }

    /// No iteration begins from here on, or they begin again.
    pub fn set_paused(&mut self, is_paused: bool, turn: &mut Turn<'_>) {
        if self.is_paused != is_paused {
            self.is_paused = is_paused;
            self.order_all(turn);
        }
    }

    /// Ends a run in which no user will ever run again, or that cannot be of use.
    fn end_if_useless(&mut self, turn: &mut Turn<'_>) {
        match &self.halt {
            Some(Halt::Misuse(_)) => {
                self.end_users(Phase::Cut, turn);
                return;
            }
            Some(Halt::Abort(why)) if self.phase == Phase::Run => {
                turn.log(log::Level::Warn, format!("the script ended the run: {why}"));
                self.end_users(Phase::Stop, turn);
                return;
            }
            Some(Halt::Abort(_)) | None => {}
        }
        let mut running = self.parts.values().filter(|part| part.is_here() && part.stage == PartStage::Ordered).peekable();
        let is_exhausted = running.peek().is_some() && running.all(|part| part.is_exhausted);
        if is_exhausted && self.phase == Phase::Run {
            turn.log(log::Level::Info, self.words_of_exhaustion(turn.peers));
        }
        if is_exhausted || self.panics() > 0 {
            self.end_users(Phase::Stop, turn);
        }
    }

    /// Ends a run that has had no worker for longer than any orphan goes on.
    fn end_if_deserted(&mut self, turn: &Turn<'_>) -> Option<RunEnd> {
        let now = turn.now;
        let is_anybody_here = self.parts.iter().any(|(&number, part)| part.is_here() && turn.peers.get(number).presence != Presence::Left);
        if is_anybody_here {
            self.deserted = None;
            return None;
        }
        let since = *self.deserted.get_or_insert(now);
        let is_deserted = now.saturating_duration_since(since) >= turn.config.orphan.timeout;
        is_deserted.then(|| self.end(turn.peers, now, Some(RunFailure::lost("no worker is left"))))
    }

    /// In the stage of stopping: whether all numbers are here, or have been waited for long enough.
    pub fn finish_if_done(&mut self, since: Instant, turn: &Turn<'_>) -> Option<RunEnd> {
        let (config, peers, now) = (turn.config, turn.peers, turn.now);
        let waited = now.saturating_duration_since(since);
        let elapsed = self.elapsed(now);
        let unfinished = |part: &&Part| part.has_run && part.stage != PartStage::Finished;
        let is_cut_late = self.cut_at.is_some_and(|at| now.saturating_duration_since(at) >= CUT_GRACE);
        let grace = self.plan.settings.stop_timeout + LAST_DELTA_GRACE;
        // Whoever was out of reach when the run was stopped hears of it as it comes back. It cannot come and go for ever.
        let since_told = |part: &Part| part.back.map_or(waited, |back| waited.min(now.saturating_duration_since(back)));
        let is_late = |part: &Part| is_cut_late || since_told(part) >= grace || waited >= AWAY_GRACE + grace;
        let waits_for_present = self.parts.values().filter(unfinished).any(|part| part.is_here() && !is_late(part));
        // One that is out of reach may still come back with its numbers; one that was killed never does.
        let may_come_back = |part: &Part| {
            let away = elapsed.saturating_sub(part.away_since.unwrap_or(elapsed));
            self.phase != Phase::Cut && away < config.orphan.timeout && waited < AWAY_GRACE
        };
        let waits_for_away = self.parts.values().filter(unfinished).any(|part| !part.is_here() && may_come_back(part));
        let waits_for_unheard = self.phase != Phase::Cut && waited < AWAY_GRACE && self.may_hear_of_more(config, elapsed);
        if waits_for_present || waits_for_away || waits_for_unheard || self.awaits_teardown(now) {
            return None;
        }
        let missing: Vec<_> = self
            .parts
            .iter()
            .filter(|(_, part)| unfinished(part) && part.is_here())
            .map(|(&number, _)| peers.get(number).hello.worker.to_string())
            .collect();
        let failure = match &self.halt {
            Some(Halt::Misuse(misuse)) => Some(RunFailure::bad_use(misuse.clone())),
            Some(Halt::Abort(_)) | None => self.words_of_loss(&missing, config, peers).map(RunFailure::lost),
        };
        Some(self.end(peers, now, failure))
    }

    /// Why a run that has been stopped could not be finished or collected, if that is so: `missing` are workers whose last numbers did not come.
    fn words_of_loss(&self, missing: &[String], config: &MasterConfig, peers: &Peers) -> Option<String> {
        let late = (!missing.is_empty()).then(|| format!("the last numbers did not come in time from {}", missing.join(", ")));
        let is_nobody_left = self.zero.is_some() && !self.parts.values().any(|part| part.stage == PartStage::Finished);
        let nobody = || is_nobody_left.then(|| "no worker is left to hand in its last numbers".to_owned());
        let lost = late.or_else(|| self.lanes_lost(peers)).or_else(nobody);
        let reasons: Vec<String> = self.words_of_giving_up(config, peers).into_iter().chain(lost).collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }

    /// The run is over.
    pub fn end(&mut self, peers: &Peers, now: Instant, failure: Option<RunFailure>) -> RunEnd {
        let is_bad_use = failure.as_ref().is_some_and(|failure| failure.cause == FailureCause::BadUse);
        self.misuse = failure.as_ref().filter(|_| is_bad_use).map(|failure| failure.text.clone());
        // The clock of a stopped run stands still from when the last worker that can be heard had finished. What came after was waiting for those
        // that are out of reach, or for the teardown.
        let at = if let Stage::Stopping { since } = self.stage { self.last_finish().map(|last| last.max(since)) } else { None };
        self.stage = Stage::Over { at: at.or(self.acts.ended).unwrap_or(now) };
        let elapsed = self.elapsed(now);
        self.windows.values_mut().for_each(|windows| windows.judge(elapsed, true));
        self.show_unfinished(peers, elapsed);
        if self.phase == Phase::Run {
            // Whoever comes late is told that it is over.
            self.phase = Phase::Stop;
            self.generation += 1;
        }
        // Of who is away it is known how many it had: if it comes back, it has run them meanwhile.
        for part in self.parts.values_mut().filter(|part| part.is_here()) {
            part.users = 0;
        }
        // Whoever sees the snapshot judges the run as whoever hears of its end.
        self.unfinished = failure.as_ref().filter(|failure| failure.cause == FailureCause::Lost).map(|failure| failure.text.clone());
        RunEnd { is_complete: self.holes.is_empty() && (failure.is_none() || is_bad_use), failure, panics: self.panics() }
    }

    /// The run is over without the last numbers of workers that can be heard: they are missing until they come.
    fn show_unfinished(&mut self, peers: &Peers, elapsed: Duration) {
        for (&number, part) in self.parts.iter().filter(|(_, part)| part.is_here() && part.has_run && part.stage != PartStage::Finished) {
            let worker = peers.get(number).hello.worker.to_string();
            self.holes.insert(number, HoleView { worker, from: Duration::from_secs(part.covered).min(elapsed), to: elapsed });
        }
    }

    /// Of a worker whose last numbers are here nothing is missing any more.
    pub fn close_holes(&mut self) {
        let parts = &self.parts;
        self.holes.retain(|number, _| parts.get(number).is_none_or(|part| part.stage != PartStage::Finished));
    }

    /// When the last of the workers that can be heard had finished. `None` where one of them has not, and where nobody is there.
    fn last_finish(&self) -> Option<Instant> {
        let mut here = self.parts.values().filter(|part| part.has_run && part.is_here());
        let last = here.try_fold(None, |last, part| Some(last.max(Some(part.finished_at()?))));
        last.flatten()
    }

    /// Which workers gave lanes up, in words for people.
    fn lanes_lost(&self, peers: &Peers) -> Option<String> {
        let of = |(&number, part): (&PeerNumber, &Part)| {
            let (worker, lanes) = (&peers.get(number).hello.worker, part.lanes_lost());
            let since = part.lost_since().map_or_else(String::new, |since| format!(" from {} s of the run on", since.as_secs()));
            format!("{lanes} lane{} of {worker}{since}", if lanes == 1 { "" } else { "s" })
        };
        let lost: Vec<_> = self.parts.iter().filter(|(_, part)| part.lanes_lost() > 0).map(of).collect();
        let text = || format!("the numbers are missing of {}, where a script held the processor and did not stop", lost.join(", "));
        (!lost.is_empty()).then(text)
    }

    /// Who waits for a word when the run is over: everybody if nobody has begun, or who has finished and has waited for the teardown.
    pub fn waiting_at_end(&self) -> Vec<PeerNumber> {
        let waits = |part: &Part| self.plan.life.teardown.is_some() && part.stage == PartStage::Finished;
        self.parts.iter().filter(|(_, part)| self.zero.is_none() || waits(part)).map(|(&number, _)| number).collect()
    }

    pub(super) fn panics(&self) -> u32 {
        self.parts.values().fold(0, |sum, part| sum.saturating_add(part.panics()))
    }
}

/// A worker comes to the planned end by its own clock.
const CLOCKS_APART: Duration = Duration::from_secs(5);
/// How long a worker may take to open its lanes.
const PREPARE_TIMEOUT: Duration = Duration::from_secs(30);
/// How often workers that differ are asked again before the run begins.
const EARLY_ASK: Duration = Duration::from_secs(1);
/// The same in mid-run.
const LATE_ASK: Duration = Duration::from_secs(5);
/// How long past the stop timeout the last delta may take.
const LAST_DELTA_GRACE: Duration = Duration::from_secs(5);
/// How long after a cut: whoever cuts a run does not wait any longer.
const CUT_GRACE: Duration = Duration::from_millis(750);
