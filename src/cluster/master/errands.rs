//! Carries the errands of workers to the board, and its words back.

use std::time::Instant;

use super::Master;
use super::action::{Action, send};
use super::peers::PeerNumber;
use super::run::Stage;
use crate::cluster::message::{ToWorker, WorkerId};
use crate::cluster::record::{KeptErrand, Record};
use crate::load::errand::{BoardWord, Errand, Notice, Reply};
use crate::plan::RunId;

impl Master {
    /// Answered once the journal has what it changes, where there is one.
    pub(super) fn on_errand(&mut self, number: PeerNumber, id: RunId, errand: &Errand, now: Instant, out: &mut Vec<Action>) {
        let is_pending = |(of, message): &(PeerNumber, ToWorker)| {
            *of == number && matches!(message, ToWorker::Board { word: BoardWord::Reply(reply), .. } if reply.number == errand.number)
        };
        if self.grants.values().any(is_pending) {
            return;
        }
        let Some(run) = self.run.as_mut().filter(|run| run.id() == id && matches!(run.stage(), Stage::Live | Stage::Stopping { .. }))
        else {
            return;
        };
        let worker = self.peers.get(number).hello.worker.clone();
        let refused = run.commons.board.refused();
        let Some(outcome) = run.commons.board.on_errand(&worker, errand, run.elapsed(now)) else { return };
        let turned_away = run.commons.board.refused();
        if turned_away > refused {
            run.tell(NO_ROOM);
            if refused.checked_ilog2() < turned_away.checked_ilog2() {
                out.push(Action::Log(log::Level::Warn, format!("{NO_ROOM} ({turned_away} so far)")));
            }
        }
        self.tell_of_board(id, outcome.notices, out);
        let message = ToWorker::Board { run: id, word: BoardWord::Reply(outcome.reply.clone()) };
        if outcome.changes.is_empty() || !self.config.has_journal {
            return send(&self.peers, number, message, out);
        }
        let Reply { number: errand, answers } = outcome.reply;
        let record = self.keep(Record::Errand(Box::new(KeptErrand::new(worker, errand, answers, outcome.changes))), out);
        self.grants.insert(record, (number, message));
    }

    /// A worker is gone, and its users with it.
    pub(super) fn board_without(&mut self, worker: &WorkerId, out: &mut Vec<Action>) {
        let Some(run) = self.run.as_mut().filter(|run| !run.is_over()) else { return };
        let (id, notices) = (run.id(), run.commons.board.on_lost(worker));
        self.tell_of_board(id, notices, out);
    }

    fn tell_of_board(&self, run: RunId, notices: Vec<(WorkerId, Notice)>, out: &mut Vec<Action>) {
        for (worker, notice) in notices {
            if let Some(number) = self.peers.number_of(&worker) {
                send(&self.peers, number, ToWorker::Board { run, word: BoardWord::Notice(notice) }, out);
            }
        }
    }
}

const NO_ROOM: &str = "shared.cluster: values or keys found no room on the master; the scripts that brought them have heard so";
