//! What the network does in a step of time: messages come, links grow old and die. How one link behaves is `link`'s.

use lunamoth::cluster::link::LinkId;
use lunamoth::cluster::message::{ToMaster, ToWorker};

use super::link::Parcel;
use super::world::World;

impl World {
    /// Hands over what has come for one worker, and from it.
    pub fn deliver(&mut self, seat: usize) {
        let links: Vec<u64> = self.links.iter().filter(|(_, link)| link.worker == seat).map(|(&id, _)| id).collect();
        for id in links {
            while self.violation.is_none() && self.seats[seat].comes_down(self.now) {
                let Some(link) = self.links.get_mut(&id) else { break };
                let Some(parcel) = link.down.take_due(self.now) else { break };
                if link.worker_end.is_open {
                    self.give_worker(seat, id, parcel);
                }
            }
            while self.violation.is_none() && self.seats[seat].goes_up(self.now) {
                let Some(master) = self.links.get(&id).map(|link| link.master) else { break };
                if !self.is_master_awake(master) && self.links[&id].master_end.is_open {
                    break;
                }
                let Some(link) = self.links.get_mut(&id) else { break };
                let Some(parcel) = link.up.take_due(self.now) else { break };
                if link.master_end.is_open {
                    self.as_master(master, |world| world.give_master(seat, id, parcel));
                }
            }
        }
    }

    fn give_worker(&mut self, seat: usize, id: u64, parcel: Parcel<ToWorker>) {
        let now = self.instant_of(seat);
        match parcel {
            Parcel::Gone => self.lose_link_at_worker(id),
            Parcel::Message(message) => {
                let message = match &mut self.tamper {
                    None => message,
                    Some(tamper) => tamper.down(seat, message),
                };
                self.book_down(seat, id, &message);
                self.note(|| format!("worker {seat} <- {id}: {}", brief_down(&message)));
                let Some(worker) = &mut self.seats[seat].machine else { return };
                let actions = worker.on_message(LinkId(id), message, now);
                self.do_worker(seat, actions);
            }
        }
    }

    fn give_master(&mut self, seat: usize, id: u64, parcel: Parcel<ToMaster>) {
        let now = self.master_instant();
        match parcel {
            Parcel::Gone => self.lose_link_at_master(id),
            Parcel::Message(message) => {
                let messages = match &mut self.tamper {
                    None => vec![message],
                    Some(tamper) => tamper.up(seat, message),
                };
                for message in messages {
                    // One that goes keeps no run alive: it is gone with its next word.
                    if !self.is_former_speaking && !self.seats[seat].is_leaving {
                        self.watch.on_heard(self.now);
                    }
                    let number = self.master.number;
                    self.book_up(seat, number, &message);
                    self.note(|| format!("master {number} <- {id} ({seat}): {}", brief_up(&message)));
                    let Some(master) = &mut self.master.machine else { return };
                    let actions = master.on_message(LinkId(id), message, now);
                    self.do_master(actions);
                }
            }
        }
    }

    /// Links of which one end is gone, or through which nothing comes, die at the other end as well.
    pub fn age_links(&mut self) {
        let ids: Vec<u64> = self.links.keys().copied().collect();
        for id in ids {
            let now = self.now;
            let master_lives = self.is_master_awake(self.links[&id].master);
            let is_master_there = self.is_master_awake(self.master.number);
            let link = self.links.get_mut(&id).expect("ids of links that stand");
            let seat = &self.seats[link.worker];
            let is_awake = now >= seat.frozen_until;
            let up = is_awake && seat.machine.is_some() && now >= seat.up_blocked_until;
            // A machine whose former process is gone says so, too.
            let answers = master_lives || !link.master_end.is_open && is_master_there;
            let down = answers && now >= seat.down_blocked_until;
            let master_open = link.master_end.is_open;
            let worker_open = link.worker_end.is_open;
            // A machine that knows nothing of a link says so only to packets that reach it.
            let told = down && (master_open || now >= seat.up_blocked_until);
            let worker_learns = worker_open && is_awake && link.worker_end.learns(master_open, told, now, &mut self.chance);
            let master_learns = master_lives && master_open && link.master_end.learns(worker_open, up, now, &mut self.chance);
            if worker_learns {
                self.lose_link_at_worker(id);
            }
            if master_learns {
                self.lose_link_at_master(id);
            }
            if self.links.get(&id).is_some_and(|link| !link.worker_end.is_open && !link.master_end.is_open) {
                self.links.remove(&id);
            }
        }
    }

    pub fn lose_link_at_worker(&mut self, id: u64) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.worker_end.is_open = false;
        let seat = link.worker;
        let now = self.instant_of(seat);
        self.note(|| format!("worker {seat}: link {id} is gone"));
        if let Some(worker) = &mut self.seats[seat].machine {
            let actions = worker.on_link_gone(LinkId(id), now);
            self.do_worker(seat, actions);
        }
    }

    pub fn lose_link_at_master(&mut self, id: u64) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.master_end.is_open = false;
        let (seat, number) = (link.worker, link.master);
        self.note(|| format!("master {number}: link {id} ({seat}) is gone"));
        self.as_master(number, |world| {
            let now = world.master_instant();
            if let Some(master) = world.master.machine.as_mut().filter(|_| world.master.number == number) {
                let actions = master.on_link_gone(LinkId(id), now);
                world.do_master(actions);
            }
        });
    }
}

fn brief_up(message: &ToMaster) -> String {
    match message {
        ToMaster::Hello(hello) => {
            let standing = hello.standing.as_ref().map(|standing| {
                let orders = standing.orders.as_ref().map(|orders| (orders.generation, orders.phase, orders.slots.len()));
                (standing.plan.run, standing.epoch, orders, standing.acknowledged, standing.is_finished)
            });
            format!("Hello leaving={} standing={standing:?}", hello.is_leaving)
        }
        ToMaster::Delta { delta, .. } => {
            let requests = delta.tallies.iter().flat_map(|tally| tally.entries.values()).map(|counts| counts.hops.requests).sum::<u64>();
            let (run, sequence, epoch, users) = (delta.run, delta.sequence, delta.epoch, delta.users);
            format!("Delta {run} #{sequence} epoch {epoch}: {requests} requests, {users} users, last={}", delta.is_last)
        }
        ToMaster::TotalPart { number, .. } => format!("TotalPart {number}"),
        ToMaster::Prepared { run, .. } => format!("Prepared {run}"),
        ToMaster::WindowParts(parts) => format!("WindowParts {} up to #{}: {} seconds", parts.place, parts.sequence, parts.tallies.len()),
        other => format!("{other:?}"),
    }
}

fn brief_down(message: &ToWorker) -> String {
    match message {
        ToWorker::Prepare(plan) => format!("Prepare {}", plan.run),
        ToWorker::Orders(orders) => {
            let moved = orders.orders.handover.as_ref().map(|handover| (handover.at, handover.moved.len(), handover.interval));
            let (run, generation, epoch, phase) = (orders.run, orders.generation, orders.epoch, orders.phase);
            format!("Orders {run} g{generation} e{epoch} {phase:?}: {} slots, moved {moved:?}", orders.orders.slots.len())
        }
        other => format!("{other:?}"),
    }
}
