//! What happens to the machines: they start, are killed, are cut off, stand still, and are told what to do by people.

use std::time::Duration;

use lunamoth::cluster::master::{Master, Retarget};
use lunamoth::cluster::record::KeptRun;
use lunamoth::plan::Plan;

use super::books::{KILLED, Keeper};
use super::scenario::Event;
use super::world::World;

impl World {
    pub fn suffer(&mut self, event: &Event) {
        self.note(|| format!("EVENT {event:?}"));
        self.watch.disturb(self.now + SETTLING);
        match *event {
            Event::Join => self.add_seat(self.now),
            Event::Kill { worker, comes_back_after } => self.kill(worker, comes_back_after),
            Event::Leave { worker } => self.leave(worker),
            Event::Partition { worker, up, down, lasts } => {
                let Some(seat) = self.one_alive(worker) else { return };
                let until = self.now + lasts;
                self.watch.disturb(until + SETTLING);
                let place = &mut self.seats[seat];
                if up {
                    place.up_blocked_until = place.up_blocked_until.max(until);
                }
                if down {
                    place.down_blocked_until = place.down_blocked_until.max(until);
                }
                self.note(|| format!("worker {seat} is cut off: up={up}, down={down}"));
            }
            Event::Cut { worker } => self.cut(worker),
            Event::Freeze { worker, lasts } => {
                let Some(seat) = self.one_alive(worker) else { return };
                self.note(|| format!("worker {seat} stands still"));
                self.watch.disturb(self.now + lasts + SETTLING);
                self.seats[seat].frozen_until = self.now + lasts;
            }
            Event::KillMaster { back_after, loses_journal } => self.kill_master(back_after, loses_journal),
            Event::Retarget { users, spawn_rate } => self.retarget(users, spawn_rate),
            Event::Reset => self.reset(),
            Event::Revise => self.revise(),
            Event::Stop => self.stop(),
            Event::Heal => self.heal(),
        }
    }

    pub fn start_master(&mut self) {
        self.master.back_at = None;
        self.master.number += 1;
        self.master.born = self.now;
        let config = self.master_config();
        let kept = KeptRun::from_records(self.master.journal.iter().cloned()).filter(|kept| self.scenario.has_journal && !kept.is_over);
        self.master.keeper = Keeper { master: self.master.number, restored: self.restored(kept.as_ref()) };
        self.note(|| format!("master starts; kept: {:?}", kept.as_ref().map(|kept| (kept.plan.run, kept.epoch, kept.workers.len()))));
        let instant = self.instant();
        self.master.machine = Some(match kept {
            Some(kept) => Master::restored(config, kept, instant),
            None => Master::new(config, instant),
        });
        self.watch.disturb(self.now + SETTLING);
    }

    fn restored(&self, kept: Option<&KeptRun>) -> std::collections::BTreeMap<usize, u64> {
        let workers = kept.into_iter().flat_map(|kept| &kept.workers);
        let seat_of = |host: &str| self.seats.iter().position(|seat| seat.id.host == host);
        workers.filter_map(|worker| Some((seat_of(&worker.worker.host)?, worker.sequence))).collect()
    }

    fn kill_master(&mut self, back_after: Duration, loses_journal: bool) {
        if self.master.machine.take().is_none() {
            return;
        }
        self.master.back_at = Some(self.now + back_after);
        self.master.syncing.clear();
        if loses_journal {
            self.master.journal.clear();
        }
        self.watch.on_master_killed(self.now, back_after + SETTLING);
        for link in self.links.values_mut().filter(|link| link.master_end.is_open) {
            link.master_end.is_open = false;
            link.down.lose_suffix(&mut self.chance);
        }
    }

    fn kill(&mut self, worker: usize, comes_back_after: Option<Duration>) {
        // The last one stays, unless the scenario is about just that.
        let Some(seat) =
            self.one_alive(worker).filter(|_| self.alive().count() > 1 || self.scenario.workers == 0 || comes_back_after.is_some())
        else {
            return;
        };
        self.kill_seat(seat);
        if let Some(after) = comes_back_after {
            self.add_seat(self.now + after);
        }
    }

    pub fn kill_seat(&mut self, seat: usize) {
        self.note(|| format!("worker {seat} is killed"));
        self.watch.on_killed(seat, self.now);
        let place = &mut self.seats[seat];
        if let Some(lanes) = &place.lanes {
            self.books.account(lanes.run(), seat).buried = lanes.unreported;
        }
        (place.machine, place.lanes, place.opening, place.renewing) = (None, None, None, None);
        place.dials.clear();
        self.books.excuse(seat, KILLED);
        for link in self.links.values_mut().filter(|link| link.worker == seat && link.worker_end.is_open) {
            link.worker_end.is_open = false;
            link.up.lose_suffix(&mut self.chance);
        }
    }

    fn leave(&mut self, worker: usize) {
        let Some(seat) = self.one_alive(worker).filter(|_| self.alive().filter(|seat| !self.seats[*seat].is_leaving).count() > 1) else {
            return;
        };
        self.note(|| format!("worker {seat} shall leave"));
        self.seats[seat].is_leaving = true;
        let now = self.instant();
        if let Some(worker) = &mut self.seats[seat].machine {
            let actions = worker.on_leave(now);
            self.do_worker(seat, actions);
        }
    }

    pub fn cut(&mut self, worker: usize) {
        let Some(seat) = self.one_alive(worker) else { return };
        let Some((&id, link)) = self.links.iter_mut().rev().find(|(_, link)| link.worker == seat && link.worker_end.is_open) else {
            return;
        };
        link.up.lose_suffix(&mut self.chance);
        link.down.lose_suffix(&mut self.chance);
        // Each end learns of it at its own time: one at once, the other by what the first one's machine answers, or by silence.
        let worker_first = self.chance.percent(50);
        self.note(|| format!("link {id} of worker {seat} dies"));
        let (now, LinkEnds { at_worker, at_master }) = (self.instant(), LinkEnds::of(worker_first));
        let link = self.links.get_mut(&id).expect("it was there a moment ago");
        if at_worker {
            link.worker_end.is_open = false;
            if let Some(worker) = &mut self.seats[seat].machine {
                let actions = worker.on_link_gone(lunamoth::cluster::worker::LinkId(id), now);
                self.do_worker(seat, actions);
            }
        }
        if at_master && let Some(link) = self.links.get_mut(&id) {
            link.master_end.is_open = false;
            if let Some(master) = &mut self.master.machine {
                let actions = master.on_link_gone(lunamoth::cluster::worker::LinkId(id), now);
                self.do_master(actions);
            }
        }
    }

    fn retarget(&mut self, users: u32, spawn_rate: u32) {
        let now = self.instant();
        let Some(master) = self.master.machine.as_mut().filter(|_| self.operator.ended.is_none()) else { return };
        let retarget = Retarget { users, spawn_rate: f64::from(spawn_rate), run_time: None };
        if let Ok(actions) = master.on_retarget(retarget, now) {
            self.note(|| format!("re-targeted to {users}"));
            self.watch.on_retargeted(users, self.now);
            self.do_master(actions);
        }
    }

    fn reset(&mut self) {
        let now = self.instant();
        let Some(master) = self.master.machine.as_mut().filter(|_| self.operator.ended.is_none()) else { return };
        let actions = master.on_reset(now);
        self.watch.last_reset = Some(self.now);
        self.do_master(actions);
    }

    fn revise(&mut self) {
        let now = self.instant();
        let Some(master) = self.master.machine.as_mut().filter(|_| self.operator.ended.is_none()) else { return };
        let before = master.snapshot(now).fingerprint;
        let newer = Plan { fingerprint: format!("{before}+"), ..(*self.operator.plan).clone() };
        let actions = master.on_revise(Ok(newer), now);
        self.do_master(actions);
    }

    pub fn stop(&mut self) {
        self.operator.asked_stop = true;
        let now = self.instant();
        if let Some(master) = &mut self.master.machine {
            let actions = master.on_stop(now);
            self.do_master(actions);
        }
    }

    fn heal(&mut self) {
        for seat in &mut self.seats {
            seat.up_blocked_until = seat.up_blocked_until.min(self.now);
            seat.down_blocked_until = seat.down_blocked_until.min(self.now);
            seat.frozen_until = seat.frozen_until.min(self.now);
        }
        if self.master.back_at.is_some() {
            self.start_master();
        }
        self.watch.settle_by(self.now + SETTLING);
    }

    /// The seats of those that live or are about to.
    pub fn alive(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.seats.len()).filter(|seat| self.seats[*seat].is_alive())
    }

    fn one_alive(&self, number: usize) -> Option<usize> {
        let alive: Vec<usize> = self.alive().collect();
        (!alive.is_empty()).then(|| alive[number % alive.len()])
    }
}

/// Which ends of a link learn at once that it is dead.
struct LinkEnds {
    at_worker: bool,
    at_master: bool,
}

impl LinkEnds {
    const fn of(worker_first: bool) -> Self {
        Self { at_worker: worker_first, at_master: !worker_first }
    }
}

/// After this long without any fault everything stands as it should.
const SETTLING: Duration = Duration::from_secs(14);
