//! The users that live in one lane: their tasks, and which of them have been told to finish and since when.
//!
//! Owns the bookkeeping from spawn to end. Which users shall live is the lane's to decide, from the shape.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::rc::Rc;
use std::time::Instant;

use tokio::task::JoinHandle;

use super::UserControl;

/// All users alive in a lane.
#[derive(Debug, Default)]
pub(super) struct LiveUsers {
    live: BTreeMap<u64, Live>,
    /// Users told to finish, oldest first: when their time is up, and who.
    deadlines: VecDeque<(Instant, u64)>,
    ended: Rc<EndedUsers>,
    /// Tasks that were aborted; their drops record what was in flight.
    aborted: Vec<JoinHandle<()>>,
}

impl LiveUsers {
    /// Spawns the life of user `index`; `life` answers the number of its iterations.
    pub fn spawn(&mut self, index: u64, control: Rc<UserControl>, life: impl Future<Output = u64> + 'static) {
        let notice = EndNotice { index, iterations: None, ended: self.ended.clone() };
        let task = tokio::task::spawn_local(async move {
            // A call, so that the whole notice moves in here and is dropped with the task, whatever ends it.
            let iterations = life.await;
            notice.complete(iterations);
        });
        self.live.insert(index, Live { control, task, drained: false });
    }

    /// Tells user `index` to finish, at the latest by `deadline`. Deadlines must come in ascending order.
    pub fn drain(&mut self, index: u64, deadline: Instant) {
        if let Some(user) = self.live.get_mut(&index).filter(|user| !user.drained) {
            user.drained = true;
            user.control.drain();
            self.deadlines.push_back((deadline, index));
        }
    }

    /// Tells every user to finish, the highest index first.
    pub fn drain_all(&mut self, deadline: Instant) {
        let indices: Vec<u64> = self.live.keys().rev().copied().collect();
        for index in indices {
            self.drain(index, deadline);
        }
    }

    /// Drops the users whose time is up; returns how many.
    pub fn cut_overdue(&mut self, now: Instant) -> usize {
        let mut cut = 0;
        while let Some(&(deadline, index)) = self.deadlines.front()
            && deadline <= now
        {
            self.deadlines.pop_front();
            // A user of the same index may have been started anew meanwhile; that one has its own deadline.
            if self.live.get(&index).is_some_and(|user| user.drained) {
                cut += usize::from(self.cut(index));
            }
        }
        cut
    }

    /// Drops every user; returns how many there were.
    pub fn cut_all(&mut self) -> usize {
        let indices: Vec<u64> = self.live.keys().copied().collect();
        indices.into_iter().filter(|&index| self.cut(index)).count()
    }

    fn cut(&mut self, index: u64) -> bool {
        let Some(user) = self.live.remove(&index) else { return false };
        user.task.abort();
        self.aborted.push(user.task);
        true
    }

    /// The users that ended since the last call.
    pub fn take_ended(&mut self) -> Vec<Departure> {
        let mut departures = Vec::new();
        for ended in self.ended.list.take() {
            // A user that was cut has left already.
            if let Some(user) = self.live.remove(&ended.index) {
                departures.push(Departure { index: ended.index, iterations: ended.iterations, drained: user.drained });
            }
        }
        departures
    }

    /// Waits for the next user's end.
    pub fn end_of_one(&self) -> impl Future<Output = ()> + use<> {
        let ended = self.ended.clone();
        async move { ended.wake.notified().await }
    }

    /// Waits until the tasks that were cut are gone, so that all they had in flight is recorded.
    pub async fn settle(&mut self) {
        for task in self.aborted.drain(..) {
            // A cut task answers with a `JoinError` that says so; nothing else can be learnt from it.
            let _ = task.await;
        }
    }

    pub fn count(&self) -> usize {
        self.live.len()
    }

    pub fn contains(&self, index: u64) -> bool {
        self.live.contains_key(&index)
    }

    /// When the next user's time is up.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.front().map(|&(deadline, _)| deadline)
    }
}

/// A user that has left.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Departure {
    pub index: u64,
    /// Iterations it has finished; `None` if its task panicked, which is a bug of ours.
    pub iterations: Option<u64>,
    /// It was told to; otherwise it went by itself.
    pub drained: bool,
}

#[derive(Debug)]
struct Live {
    control: Rc<UserControl>,
    task: JoinHandle<()>,
    drained: bool,
}

/// Where ended users are noted for their lane, which is woken by each.
#[derive(Debug, Default)]
struct EndedUsers {
    list: RefCell<Vec<Ended>>,
    wake: tokio::sync::Notify,
}

#[derive(Debug)]
struct Ended {
    index: u64,
    iterations: Option<u64>,
}

/// Notes the end of a user's task by its drop, so that a panic is noted as well.
#[derive(Debug)]
struct EndNotice {
    index: u64,
    iterations: Option<u64>,
    ended: Rc<EndedUsers>,
}

impl EndNotice {
    fn complete(mut self, iterations: u64) {
        self.iterations = Some(iterations);
    }
}

impl Drop for EndNotice {
    fn drop(&mut self) {
        self.ended.list.borrow_mut().push(Ended { index: self.index, iterations: self.iterations });
        self.ended.wake.notify_one();
    }
}
