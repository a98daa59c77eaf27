//! What happens to the machines: they start, are killed, are cut off, stand still. What people do is `operator`'s.

use std::time::Duration;

use lunamoth::cluster::master::Master;
use lunamoth::cluster::record::KeptRun;

use super::books::{KILLED, Keeper};
use super::keeping::KeptHistory;
use super::scenario::Event;
use super::world::{MasterSeat, Retiring, World};

impl MasterSeat {
    /// Whether a run that was under way before it has been taken over by now, with so much time for it: those who bring it may come late.
    pub fn has_taken_over(&self, within: Duration, now: Duration) -> bool {
        self.number == 1 || now > self.born.max(self.brought) + within
    }
}

impl World {
    pub fn suffer(&mut self, event: &Event) {
        self.note(|| format!("EVENT {event:?}"));
        self.watch.disturb(self.now + self.settling());
        match *event {
            Event::Join => self.add_seat(self.now),
            Event::Kill { worker, comes_back_after } => self.kill(worker, comes_back_after),
            Event::Leave { worker } => self.leave(worker),
            Event::Partition { worker, up, down, lasts } => {
                let Some(seat) = self.one_alive(worker) else { return };
                let until = self.now + lasts;
                self.watch.disturb(until + SETTLING);
                self.watch.on_hindered(seat);
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
                self.watch.on_hindered(seat);
                self.watch.disturb(self.now + lasts + SETTLING);
                (self.seats[seat].frozen_until, self.seats[seat].sleeps) = (self.now + lasts, false);
            }
            Event::Sleep { worker, lasts } => {
                let Some(seat) = self.one_alive(worker) else { return };
                self.note(|| format!("the machine of worker {seat} sleeps"));
                self.watch.on_hindered(seat);
                self.watch.disturb(self.now + lasts + SETTLING);
                (self.seats[seat].frozen_until, self.seats[seat].sleeps) = (self.now + lasts, true);
            }
            Event::KillMaster { back_after, loses_journal, forgets } => {
                // What was written anew is there as a whole.
                let kept = self.master.journal.len().saturating_sub(forgets).max(self.master.compacted);
                let kept = if loses_journal { 0 } else { kept };
                self.kill_master(back_after, kept);
            }
            Event::FreezeMaster { lasts, sleeps } => {
                self.watch.was_master_hindered = true;
                self.watch.disturb(self.now + lasts + SETTLING);
                (self.master.frozen_until, self.master.sleeps) = (self.now + lasts, sleeps);
            }
            Event::Surge { lasts } => self.surge(lasts),
            Event::Roll => self.roll(),
            Event::Pause => self.pause(),
            Event::Resume => self.operator.wants_pause = false,
            Event::Again { users, spawn_rate } => {
                self.operator.wants_again = Some((users, spawn_rate));
                self.stop();
            }
            Event::Retarget { users, spawn_rate } => self.retarget(users, spawn_rate),
            Event::Reset => self.reset(),
            Event::Revise => self.revise(),
            Event::Stop => self.stop(),
            Event::CutShort => self.cut_short(),
            Event::Heal => self.heal(),
        }
    }

    pub fn start_master(&mut self) {
        self.master.back_at = None;
        self.master.number += 1;
        (self.master.born, self.master.brought) = (self.now, Duration::ZERO);
        // Whoever has begun by the clock of a master that slept goes on by it.
        self.former_slept = self.former_slept.max(self.master.slept);
        (self.master.frozen_until, self.master.sleeps, self.master.slept) = (Duration::ZERO, false, Duration::ZERO);
        let config = self.master_config();
        let known = KeptRun::from_records(self.master.journal.iter().cloned()).filter(|_| self.scenario.has_journal);
        let kept = known.clone().filter(|kept| !kept.is_over);
        self.master.keeper = Keeper {
            master: self.master.number,
            run: kept.as_ref().map(|kept| kept.plan.run),
            restored: self.restored(kept.as_ref()),
            history: kept.as_ref().and_then(KeptHistory::of),
            // Of a run that its journal calls over, it is told nothing: that has been reported.
            begun: self.master.begun.keys().copied().filter(|(run, _)| kept.as_ref().is_some_and(|kept| kept.plan.run == *run)).collect(),
            is_torn: self.master.is_torn || !self.scenario.has_journal,
        };
        self.note(|| format!("master starts; kept: {:?}", kept.as_ref().map(|kept| (kept.plan.run, kept.epoch, kept.workers.len()))));
        let instant = self.master_instant();
        let known = known.and_then(|known| if let Some(tamper) = &self.tamper { tamper.read(known) } else { Some(known) });
        self.master.machine = Some(match known {
            Some(kept) => Master::restored(config, kept, instant),
            None => Master::new(config, instant),
        });
        self.watch.disturb(self.now + SETTLING);
    }

    fn restored(&self, kept: Option<&KeptRun>) -> std::collections::BTreeMap<usize, u64> {
        // Of one that counted before a reset its journal has no numbers.
        let workers = kept.into_iter().flat_map(|kept| kept.workers.iter().filter(|worker| worker.epoch >= kept.epoch));
        let seat_of = |host: &str| self.seats.iter().position(|seat| seat.id.host == host);
        workers.filter_map(|worker| Some((seat_of(&worker.worker.host)?, worker.sequence.map_or(0, std::num::NonZeroU64::get)))).collect()
    }

    /// The master is killed, and is back with the first `kept` records of its journal.
    pub fn kill_master(&mut self, back_after: Duration, kept: usize) {
        if self.master.machine.take().is_none() {
            return;
        }
        self.master.back_at = Some(self.now + back_after);
        self.master.syncing.clear();
        let is_torn = kept < self.master.journal.len();
        self.doubt_what_was_given(is_torn && kept > 0);
        // One that stands still writes nothing either.
        let written = self.now.saturating_sub(if self.now < self.master.frozen_until { STANDS_STILL } else { WRITTEN_WITHIN });
        self.master.is_torn |= is_torn;
        self.master.begun.retain(|_, at| !is_torn && *at <= written);
        self.master.journal.truncate(kept);
        self.master.compacted = self.master.compacted.min(kept);
        let written = Some(written).filter(|_| self.scenario.has_journal && !self.master.is_torn);
        self.watch.on_master_killed(self.now, back_after + SETTLING, written);
        self.wishes.on_master_killed(written);
        self.break_links_of(self.master.number);
    }

    fn break_links_of(&mut self, master: u32) {
        for link in self.links.values_mut().filter(|link| link.master_end.is_open && link.master == master) {
            link.master_end.is_open = false;
            link.down.lose_suffix(&mut self.chance);
        }
    }

    /// Another master starts, of which the first one knows nothing: whoever dials may come to either.
    fn surge(&mut self, lasts: Duration) {
        if self.master.machine.is_none() || self.retiring.is_some() {
            return;
        }
        self.doubt_what_was_given(true);
        self.watch.disturb(self.now + lasts + self.settling());
        let mut next = MasterSeat::empty();
        next.number = self.master.number;
        let former = std::mem::replace(&mut self.master, next);
        self.retiring = Some(Retiring { until: self.now + lasts, seat: former });
        self.watch.on_master_killed(self.now, lasts + SETTLING, None);
        self.wishes.on_master_killed(None);
        self.start_master();
    }

    /// The former of two masters goes, as if killed: its run is the other one's.
    pub fn retire(&mut self) {
        if let Some(Retiring { seat, .. }) = self.retiring.take() {
            self.note(|| "the former master goes".into());
            self.break_links_of(seat.number);
            self.watch.on_master_killed(self.now, self.settling(), None);
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
        self.watch.on_hindered(seat);
        let place = &mut self.seats[seat];
        if let Some(lanes) = &place.lanes {
            self.books.account(lanes.run(), seat).buried = lanes.unreported;
        }
        (place.machine, place.lanes, place.opening, place.renewing) = (None, None, None, None);
        place.acting = None;
        place.dials.clear();
        self.books.excuse(seat, KILLED);
        for link in self.links.values_mut().filter(|link| link.worker == seat && link.worker_end.is_open) {
            link.worker_end.is_open = false;
            link.up.lose_suffix(&mut self.chance);
        }
    }

    fn roll(&mut self) {
        let oldest = self.alive().position(|seat| !self.seats[seat].is_leaving);
        if let Some(place) = oldest {
            self.leave(place);
        }
    }

    fn leave(&mut self, worker: usize) {
        let Some(seat) = self.one_alive(worker).filter(|_| self.alive().filter(|seat| !self.seats[*seat].is_leaving).count() > 1) else {
            return;
        };
        self.note(|| format!("worker {seat} shall leave"));
        self.seats[seat].is_leaving = true;
        self.watch.on_hindered(seat);
        let now = self.instant_of(seat);
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
        self.watch.on_hindered(seat);
        let LinkEnds { at_worker, at_master } = LinkEnds::of(worker_first);
        let link = &self.links[&id];
        if at_worker && link.worker_end.is_open {
            self.lose_link_at_worker(id);
        }
        if at_master {
            self.lose_link_at_master(id);
        }
    }

    fn heal(&mut self) {
        for seat in &mut self.seats {
            seat.up_blocked_until = seat.up_blocked_until.min(self.now);
            seat.down_blocked_until = seat.down_blocked_until.min(self.now);
            seat.frozen_until = seat.frozen_until.min(self.now);
        }
        self.master.frozen_until = self.master.frozen_until.min(self.now);
        self.operator.wants_pause = false;
        self.retire();
        if self.master.back_at.is_some() {
            self.start_master();
        }
        self.watch.settle_by(self.now + self.settling());
    }

    /// After this long without any fault everything stands as it should.
    pub fn settling(&self) -> Duration {
        SETTLING + self.slack()
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

/// What a master does is in its journal by then.
const WRITTEN_WITHIN: Duration = Duration::from_millis(500);
/// No master stands still for longer.
const STANDS_STILL: Duration = Duration::from_secs(30);
/// See [`World::settling`], with a fast network and clocks that agree.
const SETTLING: Duration = Duration::from_secs(14);
