//! What is done once for the whole run, on one worker: its setup before anybody begins, its teardown after the last user.
//!
//! | act | is done | not at all where | again where |
//! |---|---|---|---|
//! | setup | once all that are there are prepared | somebody stops the run first | its worker is lost, or drained, before it has told |
//! | teardown | once the last numbers are here | the setup did not come to its end; the run is cut; no worker is left | the same; a master dies in it |
//!
//! A setup that fails ends the run, before it began. One in which somebody stops the run is cut short, and the run is over once its worker has told what
//! it had counted, or has had its time for that. A teardown that fails is told, and changes no verdict: what was measured was measured.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::action::{RunEnd, RunFailure};
use super::super::peers::{PeerNumber, Presence};
use super::super::turn::Turn;
use super::acts_done::UnderWay;
use super::part::{Part, PartStage};
use super::{Run, takes_slots};
use crate::cluster::message::{Phase, ToWorker};
use crate::load::act::Acted;
use crate::plan::{Act, LifePlan, Plan};
use crate::stats::recorder::Limits;
use crate::stats::snapshot::ActView;
use crate::stats::table::{SnapshotContext, Table};

impl Run {
    /// Whether users may begin: there is no setup, or it is over.
    pub(super) fn is_set_up(&self) -> bool {
        self.plan.life.setup.is_none() || self.plan.life.data.is_some()
    }

    /// Users could begin, were the setup over. Sees to it that somebody does it. Answers how the run ended, if it did.
    pub(super) fn mind_setup(&mut self, turn: &mut Turn<'_>) -> Option<RunEnd> {
        let can = |number: PeerNumber, part: &Part| takes_slots(number, part, turn.peers) && part.stage == PartStage::Prepared;
        let able = self.parts.iter().find(|(number, part)| can(**number, part)).map(|(&number, _)| number);
        if self.acts.under_way.is_some() || able.is_some() {
            return self.mind(Act::Setup, able, turn).map(|why| self.end(turn.peers, turn.now, Some(RunFailure::lost(why))));
        }
        None
    }

    /// Whether a setup is being done.
    pub(super) const fn is_setting_up(&self) -> bool {
        matches!(self.acts.under_way, Some(UnderWay { act: Act::Setup, .. }))
    }

    /// Somebody stops the run: a setup is cut short, and its worker has a moment to tell what the target has served of it. Answers whether that is
    /// waited for; whoever stops once more waits no longer.
    pub fn cut_setup(&mut self, turn: &mut Turn<'_>) -> bool {
        let run = self.id();
        let Some(under_way) = self.acts.under_way.as_mut().filter(|it| it.act == Act::Setup && it.cut_at.is_none()) else { return false };
        under_way.cut_at = Some(turn.now);
        turn.send(under_way.worker, ToWorker::Abandon(run));
        true
    }

    /// Whether somebody has stopped the run in its setup.
    pub(super) fn is_cut_in_setup(&self) -> bool {
        self.acts.under_way.is_some_and(|under_way| under_way.cut_at.is_some())
    }

    /// The setup was cut short. Answers how the run ended, where nobody will tell of it any more.
    pub(super) fn mind_cut_setup(&mut self, turn: &Turn<'_>) -> Option<RunEnd> {
        let under_way = self.acts.under_way?;
        let since = under_way.cut_at?;
        let is_there = self.parts.contains_key(&under_way.worker) && turn.peers.get(under_way.worker).presence == Presence::Here;
        let is_late = turn.now.saturating_duration_since(since) >= CUT_GRACE;
        (!is_there || is_late).then(|| self.end(turn.peers, turn.now, None))
    }

    /// What the setup returned goes to those who take part.
    pub(super) fn hand_data_to(&self, number: PeerNumber, turn: &mut Turn<'_>) {
        if let Some(data) = &self.plan.life.data {
            turn.send(number, ToWorker::Data { run: self.id(), data: data.clone() });
        }
    }

    /// All last numbers are here: whether the run has to wait for its teardown.
    pub(super) fn awaits_teardown(&mut self, now: Instant) -> bool {
        if self.plan.life.teardown.is_none() || self.acts.is_torn_down || !self.is_set_up() {
            return false;
        }
        if self.phase == Phase::Cut {
            self.leave_out("the run was cut before its teardown had come to its end");
            return false;
        }
        self.acts.ended.get_or_insert(now);
        true
    }

    /// The last numbers are here. Sees to it that somebody does the teardown.
    pub(super) fn mind_teardown(&mut self, turn: &mut Turn<'_>) {
        if self.acts.ended.is_none() || self.acts.is_torn_down {
            return;
        }
        let can = |number: PeerNumber, part: &Part| part.stage == PartStage::Finished && turn.peers.get(number).presence == Presence::Here;
        let able = self.parts.iter().find(|(number, part)| can(**number, part)).map(|(&number, _)| number);
        if self.acts.under_way.is_none() && able.is_none() {
            return self.leave_out("no worker was left to do the teardown");
        }
        if let Some(why) = self.mind(Act::Teardown, able, turn) {
            self.leave_out(&why);
        }
    }

    /// Asks whom it finds for the act, or looks after whoever does it. Answers why nobody will come to its end.
    fn mind(&mut self, act: Act, able: Option<PeerNumber>, turn: &mut Turn<'_>) -> Option<String> {
        let (peers, now) = (turn.peers, turn.now);
        let run = self.id();
        let is_there = |under_way: &UnderWay| {
            under_way.act == act && self.parts.contains_key(&under_way.worker) && peers.get(under_way.worker).presence == Presence::Here
        };
        let Some(mut under_way) = self.acts.under_way.filter(is_there) else {
            self.acts.under_way = able.map(|worker| {
                let (link, id) = (peers.get(worker).link, &peers.get(worker).hello.worker);
                turn.log(log::Level::Info, format!("{act} of run {run} on '{id}'"));
                turn.send(worker, ToWorker::Act { run, act });
                UnderWay { act, worker, link, since: now, cut_at: None }
            });
            return None;
        };
        let limit = self.plan.life.limit_of(act).unwrap_or(Duration::ZERO) + ACT_GRACE;
        if now.saturating_duration_since(under_way.since) >= limit {
            let id = &peers.get(under_way.worker).hello.worker;
            return Some(format!("{act}: '{id}' has not told of its end within {} s", limit.as_secs_f64()));
        }
        if peers.get(under_way.worker).link != under_way.link {
            under_way.link = peers.get(under_way.worker).link;
            self.acts.under_way = Some(under_way);
            turn.send(under_way.worker, ToWorker::Act { run, act });
        }
        None
    }

    /// An act has come to its end. Answers how the run ended, if it did.
    pub fn on_acted(&mut self, number: PeerNumber, act: Act, acted: &Acted, turn: &mut Turn<'_>) -> Option<RunEnd> {
        // One that was told again, or that another worker has done since, counts once.
        let under_way = self.acts.under_way.take_if(|under_way| under_way.act == act && under_way.worker == number)?;
        let worker = turn.peers.get(number).hello.worker.to_string();
        self.acts.views.push(Arc::new(self.view_of(act, worker, acted)));
        if under_way.cut_at.is_some() {
            // However it came out: nobody wants the run any more.
            return Some(self.end(turn.peers, turn.now, None));
        }
        match (act, &acted.result) {
            (Act::Setup, Ok(data)) => {
                let life = LifePlan { data: Some(data.clone()), ..self.plan.life.clone() };
                self.plan = Arc::new(Plan { life, ..(*self.plan).clone() });
                None
            }
            (Act::Setup, Err(why)) => Some(self.end(turn.peers, turn.now, Some(RunFailure::bad_use(why)))),
            (Act::Teardown, Ok(_)) => {
                self.acts.is_torn_down = true;
                None
            }
            (Act::Teardown, Err(why)) => {
                turn.log(log::Level::Error, why.clone());
                self.leave_out(why);
                None
            }
        }
    }

    fn leave_out(&mut self, why: &str) {
        self.acts.under_way = None;
        self.acts.is_torn_down = true;
        self.tell(why);
    }

    fn view_of(&self, act: Act, worker: String, acted: &Acted) -> ActView {
        let mut table = Table::new(Limits { names: self.plan.settings.names });
        table.merge_undated(&acted.tally);
        let shown = table.snapshot(SnapshotContext::default());
        let error = acted.result.as_ref().err().cloned();
        ActView { act: act.name(), worker, took: acted.took, error, entries: shown.entries, errors: shown.errors }
    }
}

/// How long past its own limit a worker may take to tell.
const ACT_GRACE: Duration = Duration::from_secs(10);
/// How long a worker may take to tell of a setup that was cut short.
const CUT_GRACE: Duration = Duration::from_secs(2);
