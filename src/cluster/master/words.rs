//! What workers say once they are in, and what is answered.

use std::time::{Duration, Instant};

use super::super::message::{Answer, Delta, LogLine, ToMaster, ToWorker};
use super::Master;
use super::action::{Action, send};
use super::peers::{PeerNumber, Presence};
use super::run::{Merged, Stage};
use crate::cluster::link::LinkId;
use crate::load::act::Acted;
use crate::plan::{Act, RunId};

impl Master {
    pub(super) fn on_word(&mut self, number: PeerNumber, link: LinkId, message: ToMaster, now: Instant, out: &mut Vec<Action>) {
        match message {
            ToMaster::Hello(_) => {}
            ToMaster::Beat { sent } => self.answer(number, sent, None, now, out),
            ToMaster::Delta { sent, delta } => self.on_delta(number, link, sent, &delta, now, out),
            ToMaster::TotalPart { run: id, number: place, tally } => {
                if let Some(run) = self.run.as_mut().filter(|run| run.id() == id)
                    && let Err(why) = run.on_total_part(number, place, *tally)
                {
                    self.break_off(number, link, why, now, out);
                }
            }
            ToMaster::TotalEnd { run: id, epoch, parts, sequence } => {
                let Some(run) = self.run.as_mut().filter(|run| run.id() == id) else { return };
                match run.on_total_end(number, epoch, parts, sequence, run.keeps_apart(&self.config), now) {
                    // An echo that was sent before makes a long round trip, which no estimate is taken from.
                    Merged::Held(held) => {
                        self.answer(number, self.peers.get(number).sent, held.map(|held| (id, held.get())), now, out);
                    }
                    Merged::Broken(why) => self.break_off(number, link, why, now, out),
                }
                self.after_numbers(now, out);
            }
            ToMaster::WindowParts(parts) => {
                if let Some(run) = self.run.as_mut().filter(|run| run.id() == parts.run)
                    && let Err(why) = run.on_window_parts(number, parts, now)
                {
                    self.break_off(number, link, why, now, out);
                }
            }
            ToMaster::Prepared { run: id, revision } => {
                if self.run.as_ref().is_some_and(|run| run.id() == id) {
                    // It has come round.
                    self.peers.get_mut(number).was_abandoned = false;
                }
                if let Some((run, mut turn)) = self.turn(now, out).filter(|(run, _)| run.id() == id) {
                    let before = run.stage();
                    run.on_revision(number, revision, &mut turn);
                    run.on_prepared(number, &mut turn);
                    self.note_begin(before, out);
                }
            }
            ToMaster::Refused(refusal) => {
                if let Some((run, mut turn)) = self.turn(now, out).filter(|(run, _)| run.id() == refusal.run)
                    && let Some(failure) = run.on_refused(number, refusal, &mut turn)
                {
                    let end = run.end(turn.peers, now, Some(failure));
                    self.finish(Some(end), out);
                }
            }
            ToMaster::Acted { run, act, acted } => self.on_acted(number, run, act, &acted, now, out),
            ToMaster::Ask { run, ask } => self.on_ask(number, run, &ask, now, out),
            ToMaster::Leftover { run, leftover } => self.on_leftover(number, run, &leftover, out),
            ToMaster::Errand { run, errand } => self.on_errand(number, run, &errand, now, out),
            ToMaster::Scripts(scripts) => self.on_scripts(number, scripts, out),
            ToMaster::Leaving => self.on_leaving(number, now, out),
            ToMaster::Goodbye => self.on_goodbye(number, now, out),
            ToMaster::Log(lines) => self.relay(number, lines, out),
        }
    }

    fn on_delta(&mut self, number: PeerNumber, link: LinkId, sent: Duration, delta: &Delta, now: Instant, out: &mut Vec<Action>) {
        let Some(run) = self.run.as_mut().filter(|run| run.id() == delta.run) else {
            return self.answer(number, sent, None, now, out);
        };
        let (before, keeps_apart) = (run.misdated(), run.keeps_apart(&self.config));
        let merged = run.on_delta(number, delta, keeps_apart, now);
        let misdated = run.misdated();
        if misdated > before && before.checked_ilog2() < misdated.checked_ilog2() {
            let text = format!("{misdated} tallies lie ahead of the master's clock; they count in the sums and in no second");
            out.push(Action::Log(log::Level::Warn, format!("Client '{}': {text}", self.peers.get(number).hello.worker)));
        }
        match merged {
            Merged::Held(held) => self.answer(number, sent, held.map(|held| (delta.run, held.get())), now, out),
            Merged::Broken(why) => self.break_off(number, link, why, now, out),
        }
        if let Some((run, mut turn)) = self.turn(now, out).filter(|_| delta.is_last) {
            run.on_last_delta(number, &mut turn);
        }
        self.after_numbers(now, out);
    }

    /// A worker tells of an act.
    fn on_acted(&mut self, number: PeerNumber, id: RunId, act: Act, acted: &Acted, now: Instant, out: &mut Vec<Action>) {
        let Some((run, mut turn)) = self.turn(now, out).filter(|(run, _)| run.id() == id && !run.is_over()) else { return };
        let before = run.stage();
        let end = run.on_acted(number, act, acted, &mut turn);
        if end.is_some() {
            return self.finish(end, out);
        }
        if run.stage() == Stage::Waiting {
            run.begin_if_all_agree(&mut turn);
        }
        self.note_begin(before, out);
        self.after_numbers(now, out);
    }

    fn relay(&self, number: PeerNumber, lines: Vec<LogLine>, out: &mut Vec<Action>) {
        let worker = &self.peers.get(number).hello.worker;
        out.extend(lines.into_iter().map(|line| Action::Relay(worker.clone(), line)));
    }

    fn on_leaving(&mut self, number: PeerNumber, now: Instant, out: &mut Vec<Action>) {
        let peer = self.peers.get_mut(number);
        peer.presence = Presence::Leaving;
        peer.hello.is_leaving = true;
        let id = self.peers.get(number).hello.worker.to_string();
        out.push(Action::Log(
            log::Level::Info,
            format!("Client '{id}' is leaving. Currently {} clients ready to swarm.", self.peers.count_here()),
        ));
        if let Some((run, mut turn)) = self.turn(now, out) {
            run.part_with(number, &mut turn);
        }
    }

    /// All that the worker has counted is here. With a journal it stays until that is kept.
    fn on_goodbye(&mut self, number: PeerNumber, now: Instant, out: &mut Vec<Action>) {
        if self.peers.get(number).presence == Presence::Here {
            self.on_leaving(number, now, out);
        }
        let peer = self.peers.get_mut(number);
        peer.presence = Presence::Left;
        let worker = peer.hello.worker.clone();
        out.push(Action::Log(
            log::Level::Info,
            format!("Client '{worker}' left in order. Currently {} clients ready to swarm.", self.peers.count_here()),
        ));
        self.board_without(&worker, out);
        if let Some((run, mut turn)) = self.turn(now, out) {
            run.on_goodbye(number, &mut turn);
        }
        self.free_unbegun(number, out);
        let kept = self.run.as_ref().filter(|run| self.config.has_journal && !run.is_over());
        match kept.and_then(|run| run.record_of(number, worker, true)) {
            Some(record) => {
                let record = self.keep(record, out);
                self.goodbyes.insert(record, number);
            }
            None => send(&self.peers, number, ToWorker::Farewell, out),
        }
        self.after_numbers(now, out);
    }

    pub(super) fn on_lost(&mut self, number: PeerNumber, silence: Duration, now: Instant, out: &mut Vec<Action>) {
        let worker = self.peers.get(number).hello.worker.clone();
        let count = self.peers.count_here();
        out.push(Action::Log(
            log::Level::Warn,
            format!("Client '{worker}' is lost: no word for {:.1} s. Currently {count} clients ready to swarm.", silence.as_secs_f64()),
        ));
        self.tell_rows_of_lost(&worker, out);
        self.board_without(&worker, out);
        let Some((run, mut turn)) = self.turn(now, out) else { return };
        run.on_lost(number, &mut turn);
        if turn.config.has_journal
            && !run.is_over()
            && let Some(record) = run.record_of(number, worker, false)
        {
            self.keep(record, out);
        }
    }

    /// The master cannot follow what the worker sends: on a new link it begins again from what is held.
    fn break_off(&mut self, number: PeerNumber, link: LinkId, why: &str, now: Instant, out: &mut Vec<Action>) {
        let id = &self.peers.get(number).hello.worker;
        out.push(Action::Log(log::Level::Warn, format!("Client '{id}': {why}; its link is closed, and it sends again")));
        out.push(Action::CloseLink(link));
        self.peers.unlink(link, now);
    }

    fn answer(&mut self, number: PeerNumber, echo: Duration, acknowledged: Option<(RunId, u64)>, now: Instant, out: &mut Vec<Action>) {
        self.peers.get_mut(number).sent = echo;
        send(&self.peers, number, ToWorker::Answer(Answer { echo, clock: self.clock(now), acknowledged }), out);
    }
}
