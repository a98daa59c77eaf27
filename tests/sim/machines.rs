//! What the machines ask their shells for, done in the simulated world.

use std::sync::Arc;
use std::time::Duration;

use lunamoth::cluster::link::LinkId;
use lunamoth::cluster::master::{self, RunEnd};
use lunamoth::cluster::message::{Phase, ToMaster, ToWorker};
use lunamoth::cluster::record::Record;
use lunamoth::cluster::worker::{self, DIALS, WorkerEnd};
use lunamoth::plan::Plan;

use super::books::{ABANDONED, GAVE_UP, LEFT, entry_name};
use super::lanes::Lanes;
use super::link::{Link, Parcel};
use super::tamper::Keeping;
use super::world::{Dial, World};

impl World {
    pub fn do_worker(&mut self, seat: usize, actions: Vec<worker::Action>) {
        self.watch.count_worker(seat, actions.len());
        for action in actions {
            if self.seats[seat].machine.is_none() {
                return;
            }
            self.do_one_of_worker(seat, action);
        }
    }

    fn do_one_of_worker(&mut self, seat: usize, action: worker::Action) {
        let instant = self.instant_of(seat);
        match action {
            worker::Action::Dial => self.dial(seat),
            worker::Action::Send(link, message) => {
                if matches!(message, ToMaster::Goodbye) {
                    self.bring_leftovers(seat, link);
                }
                self.send_up(seat, link, message);
            }
            worker::Action::Grant(grant) => self.on_grant(seat, grant),
            worker::Action::Act(plan, act) => self.begin_act(seat, plan.run, act),
            worker::Action::DropAct => self.seats[seat].acting = None,
            worker::Action::GiveData(data) => self.give_data(seat, data),
            worker::Action::CloseLink(LinkId(id)) => {
                let at = self.now + self.delay();
                if let Some(link) = self.links.get_mut(&id).filter(|link| link.worker_end.is_open) {
                    link.worker_end.is_open = false;
                    link.up.lose_suffix(&mut self.chance);
                    link.up.send(at, Parcel::Gone);
                }
            }
            worker::Action::Open(plan) => {
                let at = self.now + self.chance.millis(20, 900);
                self.note(|| format!("worker {seat} opens lanes for {}", plan.run));
                if self.seats[seat].lanes.is_some() || self.seats[seat].opening.is_some() {
                    return self.fail(format!("worker {seat} opens lanes beside lanes"));
                }
                self.seats[seat].opening = Some((at, plan));
            }
            worker::Action::Renew(plan) => {
                let at = self.now + self.chance.millis(20, 900);
                self.note(|| format!("worker {seat} compiles revision {}", plan.revision));
                self.seats[seat].renewing = Some((at, plan));
            }
            worker::Action::Board(word) => self.on_board(seat, word),
            worker::Action::CloseLanes => self.close_lanes(seat),
            worker::Action::Exit(end) => self.on_exit(seat, end),
            worker::Action::Log(level, text) => {
                self.note(|| format!("worker {seat} {level}: {text}"));
            }
            lanes => self.tell_lanes(seat, &lanes, instant),
        }
    }

    fn tell_lanes(&mut self, seat: usize, action: &worker::Action, now: std::time::Instant) {
        self.note(|| match action {
            worker::Action::Follow(orders) => format!("worker {seat}: lanes follow {} slots", orders.slots.len()),
            worker::Action::Begin(_) => format!("worker {seat}: lanes begin"),
            other => format!("worker {seat}: lanes {other:?}"),
        });
        if matches!(action, worker::Action::Stop | worker::Action::Cut) {
            self.check_reason_to_stop(seat);
        }
        if matches!(action, worker::Action::Begin(_)) {
            self.check_set_up(seat);
        }
        let Some(lanes) = &mut self.seats[seat].lanes else {
            return self.fail(format!("worker {seat} tells lanes that it has not: {action:?}"));
        };
        match action {
            worker::Action::Begin(zero) if now.saturating_duration_since(*zero) > LONGEST_LIFE => {
                self.fail(format!("worker {seat} begins a run that is {:?} old", now.saturating_duration_since(*zero)));
            }
            worker::Action::Begin(zero) => lanes.begin(*zero),
            worker::Action::Follow(orders) => lanes.follow(orders, now),
            worker::Action::Stop => lanes.stop(now),
            worker::Action::Cut => lanes.cut(now),
            _ => {}
        }
    }

    fn dial(&mut self, seat: usize) {
        let takes = self.delay() + self.delay() + self.delay();
        self.seats[seat].dials.push(Dial { at: self.now + takes, gives_up: self.now + DIAL_TIMEOUT });
        if self.seats[seat].dials.len() > DIALS {
            self.fail(format!("worker {seat} has {} dials under way", self.seats[seat].dials.len()));
        }
    }

    /// Dials succeed where the way is free and a master is there; a handshake that gets stuck is tried until it is given up.
    pub fn finish_dials(&mut self, seat: usize) {
        let (now, instant) = (self.now, self.instant_of(seat));
        let is_due = |dial: &Dial| dial.at <= now;
        while self.seats[seat].machine.is_some()
            && let Some(place) = self.seats[seat].dials.iter().position(is_due)
        {
            let is_free = self.seats[seat].goes_up(now) && self.seats[seat].comes_down(now);
            let is_lost = self.chance.percent(self.scenario.weather.stalls / 2);
            let dial = &mut self.seats[seat].dials[place];
            if (!is_free || is_lost) && dial.gives_up > now {
                dial.at = (now + Duration::from_millis(300)).min(dial.gives_up);
                continue;
            }
            self.seats[seat].dials.remove(place);
            let number = self.dialled_master();
            // One that stands still does not even refuse.
            let is_free = is_free && (self.master.machine.is_none() || self.is_master_awake(number));
            let has_master = self.is_master_awake(number);
            let id = self.next_link;
            if is_free && !is_lost && has_master {
                self.next_link += 1;
                self.links.insert(id, Link::new(seat, number));
            }
            let Some(worker) = &mut self.seats[seat].machine else { return };
            let actions = match (is_free && !is_lost, has_master) {
                (true, true) => worker.on_linked(LinkId(id), instant),
                (true, false) => worker.on_dial_failed("connection refused", instant),
                (false, _) => worker.on_dial_failed("no answer", instant),
            };
            self.note(|| format!("worker {seat}: dial ends, free={is_free}, lost={is_lost}, master={has_master}, link {id}"));
            self.do_worker(seat, actions);
        }
    }

    /// Where there are two, a dial comes to either.
    fn dialled_master(&mut self) -> u32 {
        match &self.retiring {
            Some(retiring) if self.whim.percent(50) => retiring.seat.number,
            _ => self.master.number,
        }
    }

    pub fn send_up(&mut self, seat: usize, LinkId(id): LinkId, message: ToMaster) {
        if let ToMaster::Delta { delta, .. } = &message {
            if delta.tallies.len() > SECONDS_IN_A_DELTA {
                self.fail(format!("worker {seat}: a delta of {} seconds", delta.tallies.len()));
            }
            self.books.account(delta.run, seat).on_sealed(delta);
        }
        if let ToMaster::Hello(hello) = &message {
            self.seats[seat].stands_in = hello.standing.as_ref().map(|standing| standing.plan.run);
            self.seats[seat].id = hello.worker.clone();
        }
        let at = self.now + self.delay();
        if let Some(link) = self.links.get_mut(&id).filter(|link| link.worker_end.is_open) {
            link.up.send(at, Parcel::Message(message));
        }
    }

    pub fn finish_opening(&mut self, seat: usize, plan: &Arc<Plan>) {
        if !self.books.account(plan.run, seat).on_opened(&self.seats[seat].id) {
            return self.fail(format!("worker {seat} numbers run {} anew under the name that it had", plan.run));
        }
        let stock = self.open_stock(seat, plan.run);
        self.seats[seat].lanes = Some(Lanes::open(plan.clone(), self.scenario.lanes, &entry_name(seat), stock, self.scenario.habits));
        let instant = self.instant_of(seat);
        if let Some(worker) = &mut self.seats[seat].machine {
            let actions = worker.on_opened(plan.run, Ok(()), instant);
            self.do_worker(seat, actions);
        }
    }

    pub fn finish_renewing(&mut self, seat: usize, plan: &Arc<Plan>) {
        let is_missing = self.chance.percent(30) && self.seats[seat].missed < plan.revision;
        let place = &mut self.seats[seat];
        let renewed = if is_missing {
            place.missed = plan.revision;
            Err(worker::OpenRefusal { text: "another script".into(), differs: Some("other".into()) })
        } else {
            Ok(())
        };
        if let Some(worker) = &mut place.machine {
            let actions = worker.on_renewed(plan, renewed);
            self.do_worker(seat, actions);
        }
    }

    fn close_lanes(&mut self, seat: usize) {
        self.note(|| format!("worker {seat} closes its lanes"));
        let Some(lanes) = self.seats[seat].lanes.take() else {
            return self.fail(format!("worker {seat} closes lanes that it has not"));
        };
        if lanes.has_begun() && !lanes.is_finished {
            self.fail(format!("worker {seat} closes lanes in which users live"));
        }
    }

    /// Of what reaches a master, what its worker's account must know.
    pub fn book_up(&mut self, seat: usize, master: u32, message: &ToMaster) {
        match message {
            ToMaster::Delta { delta, .. } => self.books.account(delta.run, seat).on_delivered(master, delta.sequence),
            ToMaster::TotalEnd { run, sequence, .. } => self.books.account(*run, seat).on_delivered(master, *sequence),
            _ => {}
        }
    }

    /// Of what reaches a worker, what its account must know.
    pub fn book_down(&mut self, seat: usize, id: u64, message: &ToWorker) {
        match message {
            ToWorker::Orders(orders) => {
                let master = self.links.get(&id).map_or(self.master.number, |link| link.master);
                self.books.account(orders.run, seat).on_orders(master, orders.generation, orders.epoch);
                if orders.phase != Phase::Run {
                    self.seats[seat].told_to_end = Some(orders.run);
                } else if let Some(master) = self.links.get(&id).map(|link| link.master) {
                    self.check_moves(seat, master, orders);
                }
            }
            ToWorker::Answer(answer) => {
                if let (Some((run, sequence)), Some(link)) = (answer.acknowledged, self.links.get(&id)) {
                    self.books.account(run, seat).on_answer(link.master, sequence);
                }
            }
            ToWorker::Welcome(welcome) => {
                if let (Some(run), Some(held), Some(link)) = (self.seats[seat].stands_in, welcome.held, self.links.get(&id)) {
                    self.books.account(run, seat).on_answer(link.master, held);
                }
            }
            ToWorker::Abandon(run) => {
                self.seats[seat].told_to_end = Some(*run);
                self.books.account(*run, seat).excuse.get_or_insert(ABANDONED);
            }
            _ => {}
        }
    }

    fn on_exit(&mut self, seat: usize, end: WorkerEnd) {
        self.note(|| format!("worker {seat} ends: {end:?}"));
        if end == WorkerEnd::Whole
            && let Err(why) = self.books.audit_exit(seat)
        {
            self.fail(format!("worker {seat} has left as whole: {why}"));
        }
        let unreported = self.seats[seat].lanes.as_ref().map_or(0, |lanes| lanes.unreported);
        if end == WorkerEnd::Whole && unreported > 0 {
            self.fail(format!("worker {seat} has left as whole with {unreported} requests in its lanes"));
        }
        self.books.excuse(seat, if end == WorkerEnd::Whole { LEFT } else { GAVE_UP });
        let place = &mut self.seats[seat];
        (place.machine, place.lanes, place.opening, place.renewing, place.end) = (None, None, None, None, Some(end));
        place.acting = None;
        place.dials.clear();
        let at = self.now + self.delay();
        for link in self.links.values_mut().filter(|link| link.worker == seat && link.worker_end.is_open) {
            link.worker_end.is_open = false;
            link.up.send(at, Parcel::Gone);
        }
    }

    pub fn do_master(&mut self, actions: Vec<master::Action>) {
        self.watch.count_master(actions.len());
        for action in actions {
            match action {
                master::Action::Send(LinkId(id), message) => self.send_down(id, message),
                master::Action::CloseLink(LinkId(id)) => {
                    let at = self.now + self.delay();
                    let number = self.master.number;
                    if let Some(link) = self.links.get_mut(&id).filter(|link| link.master_end.is_open && link.master == number) {
                        link.master_end.is_open = false;
                        link.down.send(at, Parcel::Gone);
                    }
                }
                master::Action::Keep(number, record) => {
                    if let Record::Reset { .. } = record {
                        // Who has begun is told anew.
                        self.master.begun.values_mut().for_each(|at| *at = self.now);
                    }
                    let takes = self.chance.millis(5, 150);
                    let last = self.master.syncing.back().map_or(Duration::ZERO, |(at, ..)| *at);
                    let keeping = self.tamper.as_ref().map_or(Keeping::Synced, |tamper| tamper.keep(&record));
                    let at = if keeping == Keeping::Synced { (self.now + takes).max(last) } else { self.now };
                    self.master.syncing.push_back((at, number, (keeping == Keeping::Synced).then_some(record)));
                }
                master::Action::Log(level, text) => {
                    self.note(|| format!("master {level}: {text}"));
                    self.note_early_end(&text);
                    if text.contains("waiting for the others") {
                        self.master.brought = self.now;
                    }
                    // Of two masters each may hold what the other does not.
                    if text.contains("its link is closed, and it sends again") && self.retiring.is_none() {
                        self.fail(format!("the master cannot place what it is sent: {text}"));
                    }
                }
                master::Action::Relay(worker, line) => self.note(|| format!("{worker} {}: {}", line.level, line.text)),
                master::Action::Finish(end) => self.on_finish(end),
            }
        }
    }

    fn send_down(&mut self, id: u64, message: ToWorker) {
        if let ToWorker::Orders(orders) = &message
            && !self.is_former_speaking
        {
            self.watch_orders(orders);
            if let (Phase::Run, Some(link)) = (orders.phase, self.links.get(&id)) {
                self.master.begun.entry((orders.run, link.worker)).or_insert(self.now);
            }
        }
        if let (ToWorker::Farewell, Some(seat)) = (&message, self.links.get(&id).map(|link| link.worker)) {
            self.check_farewell(seat);
        }
        let at = self.now + self.delay();
        let number = self.master.number;
        if let Some(link) = self.links.get_mut(&id).filter(|link| link.master_end.is_open && link.master == number) {
            link.down.send(at, Parcel::Message(message));
        }
    }

    fn on_finish(&mut self, end: RunEnd) {
        let number = self.master.number;
        let run = self.master.machine.as_ref().and_then(|master| master.run()).map(|(id, _)| id);
        self.note(|| format!("run {run:?} is over in master {number}: {end:?}"));
        if self.is_former_speaking || run != Some(self.operator.plan.run) {
            return; // Of two masters the other one is asked; and an older journal may tell of an older run.
        }
        if let Some((master, _)) = &self.operator.ended
            && *master == number
        {
            return self.fail("a run ended twice".into());
        }
        self.watch.ended_at.get_or_insert(self.now);
        self.note_end(&end);
        self.check_patience();
        self.check_torn_down(&end);
        let why = self.premature(&end);
        self.operator.ended = Some((number, end));
        if let Some(why) = why {
            self.fail(why);
        }
    }
}

/// How long a dial is tried.
const DIAL_TIMEOUT: Duration = Duration::from_secs(4);
/// A worker keeps so many seconds apart, and one that is under way.
const SECONDS_IN_A_DELTA: usize = 61;

/// No simulated run gets as old.
const LONGEST_LIFE: std::time::Duration = std::time::Duration::from_secs(3_600);
