//! How workers come: the hello, and what a worker that comes does in the run that is there, or that it brings.

use std::sync::Arc;
use std::time::Instant;

use super::super::message::{Hello, Phase, RunStanding, ToWorker, Welcome};
use super::super::worker::LinkId;
use super::part::PartStage;
use super::peers::{Arrival, PeerNumber, Presence};
use super::run::{ADOPTION_TIME, Run, Stage};
use super::{Action, Master, send};
use crate::plan::RunId;
use crate::stats::snapshot::OverlapView;

impl Master {
    pub(super) fn on_hello(&mut self, link: LinkId, mut hello: Hello, now: Instant, out: &mut Vec<Action>) {
        let standing = hello.standing.take();
        let (number, arrival, replaced) = self.peers.arrive(link, hello, now);
        out.extend(replaced.map(Action::CloseLink));
        if let Some(standing) = &standing {
            self.adopt_if_free(standing, now, out);
        }
        let run = self.run.as_mut();
        let held = match (&standing, run) {
            (Some(standing), Some(run)) if run.id() == standing.plan.run => run.take_in(number, standing, now),
            _ => None,
        };
        send(&self.peers, number, ToWorker::Welcome(Welcome { clock: self.clock(now), held, orphan: self.config.orphan }), out);
        self.log_arrival(number, arrival, out);
        self.bring_in(number, standing.as_deref(), now, out);
    }

    /// A worker is welcome: what it does in the run.
    fn bring_in(&mut self, number: PeerNumber, standing: Option<&RunStanding>, now: Instant, out: &mut Vec<Action>) {
        let Some(run) = &mut self.run else {
            if let Some(standing) = standing {
                self.abandon(number, standing.plan.run, out);
            }
            return;
        };
        match standing {
            Some(standing) if standing.plan.run == run.id() => {
                if let (Stage::Adopting { .. }, Some(followed)) = (run.stage, &standing.orders) {
                    self.claims.insert(number, followed.clone());
                } else if standing.orders.is_some() {
                    self.on_return(number, now, out);
                } else if run.takes_workers() {
                    run.ask(number, &self.peers, now, out);
                } else {
                    send(&self.peers, number, ToWorker::Abandon(run.id()), out);
                }
            }
            standing => {
                let foreign = standing.map(|standing| standing.plan.run);
                run.ask(number, &self.peers, now, out);
                if let Some(foreign) = foreign {
                    self.abandon(number, foreign, out);
                }
            }
        }
    }

    fn abandon(&mut self, number: PeerNumber, run: RunId, out: &mut Vec<Action>) {
        let peer = self.peers.get_mut(number);
        peer.was_abandoned = true;
        let id = peer.hello.worker.to_string();
        out.push(Action::Log(log::Level::Warn, format!("Client '{id}' brings run {run}, which is none of this master's; it drops it")));
        send(&self.peers, number, ToWorker::Abandon(run), out);
    }

    /// The first worker that brings a run to a master without one.
    fn adopt_if_free(&mut self, standing: &RunStanding, now: Instant, out: &mut Vec<Action>) {
        if standing.orders.is_none() || self.run.as_ref().is_some_and(|run| run.id() == standing.plan.run || !run.is_over()) {
            if let Some(run) = self.run.as_mut().filter(|run| run.id() == standing.plan.run && run.zero.is_none())
                && let Stage::Adopting { until } = &mut run.stage
            {
                // The journal's run: with its first worker the others are near.
                *until = (*until).min(now + ADOPTION_TIME);
            }
            return;
        }
        if self.run.is_some() {
            return;
        }
        let profile = standing.orders.as_ref().map_or_else(|| Arc::new(standing.plan.profile.clone()), |followed| followed.profile.clone());
        let run = Run::adopted(standing.plan.clone(), standing.wall, profile, standing.epoch, now);
        let record = run.record();
        out.push(Action::Log(log::Level::Info, format!("a worker brings run {}; waiting for the others", run.id())));
        self.run = Some(run);
        self.keep(record, out);
    }

    /// A worker that takes part is there again, or on another link.
    pub(super) fn on_return(&mut self, number: PeerNumber, now: Instant, out: &mut Vec<Action>) {
        let Some(run) = &mut self.run else { return };
        let elapsed = run.elapsed(now);
        let Some(part) = run.parts.get_mut(&number) else {
            // It had not begun when it was lost.
            return run.ask(number, &self.peers, now, out);
        };
        let was_away = part.away_since.take();
        if let Some(from) = was_away {
            run.holes.remove(&number);
            if part.stage == PartStage::Ordered && !self.config.orphan.pauses && run.phase == Phase::Run {
                let worker = self.peers.get(number).hello.worker.to_string();
                out.push(Action::Log(
                    log::Level::Warn,
                    format!(
                        "overlap: {worker}, from {from:.0?} to {elapsed:.0?}, {} users ran beside those that had taken over",
                        part.users
                    ),
                ));
                run.overlaps.push(OverlapView { worker, from, to: Some(elapsed), users: part.users });
            }
        }
        let is_leaving = self.peers.get(number).presence == Presence::Leaving;
        let part_stage = part.stage.clone();
        match (run.stage, part_stage) {
            (Stage::Live, PartStage::Ordered) if was_away.is_some() && !is_leaving => {
                run.join(number, &self.peers, self.origin, now, out);
            }
            (Stage::Live | Stage::Stopping { .. } | Stage::Over { .. }, PartStage::Ordered) => {
                run.repeat_orders(number, &self.peers, self.origin, out);
            }
            _ => {}
        }
    }

    pub(super) fn log_arrival(&self, number: PeerNumber, arrival: Arrival, out: &mut Vec<Action>) {
        let id = &self.peers.get(number).hello.worker;
        let count = self.peers.count_here();
        let text = match arrival {
            Arrival::New => format!("Client '{id}' reported as ready. Currently {count} clients ready to swarm."),
            Arrival::Back => format!("Client '{id}' is back. Currently {count} clients ready to swarm."),
            Arrival::Relinked => format!("Client '{id}' has a new link. Currently {count} clients ready to swarm."),
        };
        out.push(Action::Log(log::Level::Info, text));
    }
}
