//! Whatever is lost on the way, a master that keeps the contract ends up with every request once. The model of such a master is here:
//! it merges what it has not seen, acknowledges everything, commits a total at its end, drops what is of an older epoch, and may forget
//! everything (a restart).

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::cluster::link::LinkId;

/// A master's table of one worker.
#[derive(Debug, Default)]
struct Table {
    held: Option<u64>,
    epoch: u32,
    requests: u64,
    staged: Vec<u64>,
    has_last: bool,
}

impl Table {
    /// Takes a message in; what to answer, if anything.
    fn take(&mut self, message: &ToMaster) -> Option<Answer> {
        let mut echo = None;
        match message {
            ToMaster::Delta { sent, delta } => {
                let held = self.held.unwrap_or(0);
                if delta.sequence > held {
                    assert_eq!(delta.sequence, held + 1, "no gap");
                    if delta.epoch == self.epoch {
                        self.requests += delta.tallies.iter().map(requests).sum::<u64>();
                    }
                    self.held = Some(delta.sequence);
                    self.has_last |= delta.is_last;
                }
                echo = Some(*sent);
            }
            ToMaster::TotalPart { number, tally, .. } => {
                assert_eq!(*number as usize, self.staged.len());
                self.staged.push(requests(tally));
            }
            ToMaster::TotalEnd { parts, sequence, epoch, .. } => {
                assert_eq!(*parts as usize, self.staged.len());
                let total = self.staged.drain(..).sum();
                self.requests = if *epoch == self.epoch { total } else { 0 };
                self.held = Some(*sequence);
            }
            ToMaster::Beat { sent } => echo = Some(*sent),
            _ => {}
        }
        echo.map(|echo| Answer { echo, clock: echo, acknowledged: self.held.map(|held| (RUN, held)) })
    }
}

/// One thing that happens.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// A lane reports a second with so many requests.
    Report(u64),
    /// The master reads so many messages.
    Read(usize),
    /// The worker reads so many answers.
    Answers(usize),
    /// The link breaks: all that is on its way is lost.
    Break,
    /// The master dies and forgets everything; another one comes.
    Restart,
    /// Somebody resets the statistics.
    Reset,
    /// A dial succeeds, if one is under way.
    Link,
    Pass(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..50_u64).prop_map(Event::Report),
        6 => (1..6_usize).prop_map(Event::Read),
        6 => (1..6_usize).prop_map(Event::Answers),
        1 => Just(Event::Break),
        1 => Just(Event::Restart),
        1 => Just(Event::Reset),
        3 => Just(Event::Link),
        4 => (1..2_500_u64).prop_map(Event::Pass),
    ]
}

/// A worker, a master and what is between them.
struct World {
    bench: Bench,
    table: Table,
    link: Option<u64>,
    links: u64,
    to_master: VecDeque<ToMaster>,
    to_worker: VecDeque<Answer>,
    dials: usize,
    second: u64,
    /// In the epoch that the worker has heard of.
    reported: u64,
    heard_epoch: u32,
    generation: u64,
    is_welcome: bool,
}

impl World {
    fn new() -> Self {
        // No master is away for so long here that the worker gives up.
        let rules = OrphanRules { timeout: Duration::from_secs(100_000), ..OrphanRules::default() };
        let mut bench = Bench { rules, ..Bench::new(config(1)) };
        bench.tick();
        bench.link(1, None);
        bench.prepare(7);
        bench.orders(1, orders(1, Phase::Run));
        Self {
            bench,
            table: Table::default(),
            link: Some(1),
            links: 1,
            to_master: VecDeque::new(),
            to_worker: VecDeque::new(),
            dials: 0,
            second: 0,
            reported: 0,
            heard_epoch: 0,
            generation: 1,
            is_welcome: true,
        }
    }

    fn carry_out(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Dial => self.dials += 1,
                Action::Send(link, message) if self.link == Some(link.0) => self.to_master.push_back(message),
                Action::CloseLink(link) if self.link == Some(link.0) => self.cut_link(),
                Action::Exit(_) => panic!("nobody has told it to end"),
                _ => {}
            }
        }
        assert!(self.dials <= DIALS);
        assert!(self.bench.worker.status(self.bench.now()).unacknowledged <= 5);
    }

    fn cut_link(&mut self) {
        self.link = None;
        self.to_master.clear();
        self.to_worker.clear();
        self.table.staged.clear();
        self.is_welcome = false;
    }

    fn happen(&mut self, event: Event) {
        let actions = match event {
            Event::Report(requests) => {
                self.reported += requests;
                self.second += 1;
                self.bench.report(report(0, self.second - 1, requests))
            }
            Event::Read(count) => {
                for _ in 0..count {
                    self.read();
                }
                Vec::new()
            }
            Event::Answers(count) => {
                for _ in 0..count {
                    if let (Some(answer), Some(link)) = (self.to_worker.pop_front(), self.link) {
                        let actions = self.bench.message(link, ToWorker::Answer(answer));
                        self.carry_out(actions);
                    }
                }
                Vec::new()
            }
            Event::Break => self.break_link(),
            Event::Restart => {
                // A new master takes the epoch from the worker's standing.
                self.table = Table { epoch: self.heard_epoch, ..Table::default() };
                self.break_link()
            }
            Event::Reset => {
                self.table.epoch += 1;
                self.table.requests = 0;
                return self.order();
            }
            Event::Link if self.dials > 0 => {
                self.dials -= 1;
                self.links += 1;
                if self.link.is_some() {
                    // The old link still stands: the worker decides which one it keeps; one of the two is closed.
                    let actions = self.bench.worker.on_linked(LinkId(self.links), self.bench.now());
                    if actions.iter().any(|action| matches!(action, Action::CloseLink(link) if link.0 == self.links)) {
                        return self.carry_out(actions);
                    }
                    self.cut_link();
                    self.link = Some(self.links);
                    actions
                } else {
                    self.link = Some(self.links);
                    self.bench.worker.on_linked(LinkId(self.links), self.bench.now())
                }
            }
            Event::Link => Vec::new(),
            Event::Pass(time) => self.bench.pass(millis(time)),
        };
        self.carry_out(actions);
    }

    fn read(&mut self) {
        let (Some(message), Some(link)) = (self.to_master.pop_front(), self.link) else { return };
        if matches!(message, ToMaster::Hello(_)) {
            self.is_welcome = true;
            let actions = self.bench.welcome(link, self.table.held);
            self.carry_out(actions);
            self.order();
        } else {
            assert!(self.is_welcome, "{message:?} before the Welcome");
            self.to_worker.extend(self.table.take(&message));
        }
    }

    /// The master's orders reach the worker, if it is linked.
    fn order(&mut self) {
        let Some(link) = self.link.filter(|_| self.is_welcome) else { return };
        self.generation += 1;
        if self.table.epoch > self.heard_epoch {
            self.heard_epoch = self.table.epoch;
            self.reported = 0;
        }
        let actions = self.bench.orders(link, RunOrders { epoch: self.table.epoch, ..orders(self.generation, Phase::Run) });
        self.carry_out(actions);
    }

    fn break_link(&mut self) -> Vec<Action> {
        let link = self.link;
        self.cut_link();
        link.map(|link| self.bench.gone(link)).unwrap_or_default()
    }
}

proptest! {
    #[test]
    fn every_request_reaches_the_table_exactly_once(events in prop::collection::vec(event(), 1..300)) {
        let mut world = World::new();
        for event in events {
            world.happen(event);
        }
        let last = world.bench.report(last(0, world.second));
        world.carry_out(last);
        for _ in 0..50 {
            for event in [Event::Link, Event::Read(100), Event::Answers(100), Event::Pass(500)] {
                world.happen(event);
            }
        }
        let status = world.bench.worker.status(world.bench.now());
        prop_assert!(status.is_linked);
        prop_assert_eq!((world.table.requests, world.table.has_last, status.unacknowledged), (world.reported, true, 0));
    }
}
