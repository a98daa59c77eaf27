//! The users that live in one lane: their tasks, and which of them have been told to finish and since when.
//!
//! Owns the bookkeeping from spawn to end. Which users shall live is the lane's to decide, from the shape.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::ops::Range;
use std::rc::Rc;
use std::time::Instant;

use tokio::task::JoinHandle;

use super::slots::Numbering;
use super::user::Life;
use super::{UserControl, turn_clock};

/// All users alive in a lane, of all profiles.
#[derive(Debug, Default)]
pub(super) struct LiveUsers {
    live: BTreeMap<u64, Live>,
    numbering: Numbering,
    /// How many live, by profile; what is missing at the end is zero.
    counts: Vec<usize>,
    /// Users told to finish, oldest first: when their time is up, and who, in which of its lives.
    deadlines: VecDeque<(Instant, u64, u64)>,
    ended: Rc<EndedUsers>,
    /// Tasks that were aborted; their drops record what was in flight.
    aborted: Vec<JoinHandle<()>>,
    /// How many lives have been spawned: the number of the next one.
    lives: u64,
}

impl LiveUsers {
    /// Users are numbered like this from here on; none lives yet.
    pub fn number_by(&mut self, numbering: Numbering) {
        self.numbering = numbering;
    }

    /// Spawns the life of user `index`; the iterations that `life` answers are those of its whole index.
    pub fn spawn(&mut self, index: u64, control: Rc<UserControl>, life: impl Future<Output = Life> + 'static) {
        let number = self.lives;
        self.lives += 1;
        let notice = EndNotice { index, life: number, went: None, ended: self.ended.clone() };
        let turns = Rc::clone(&control);
        // Boxed by itself: a task that takes it over has room for it twice.
        let mut life = Box::pin(life);
        let task = tokio::task::spawn_local(async move {
            let went = poll_fn(|context| {
                let begun = turn_clock::begin_turn();
                let polled = life.as_mut().poll(context);
                turns.end_turn(turn_clock::end_turn(begun));
                polled
            })
            .await;
            // A call, so that the whole notice moves in here and is dropped with the task, whatever ends it.
            notice.complete(went);
        });
        if self.live.insert(index, Live { life: number, control, task, drained: false }).is_none() {
            let profile = self.numbering.profile(index);
            self.counts.resize(self.counts.len().max(profile + 1), 0);
            self.counts[profile] += 1;
        }
    }

    fn remove(&mut self, index: u64) -> Option<Live> {
        let gone = self.live.remove(&index)?;
        self.counts[self.numbering.profile(index)] -= 1;
        Some(gone)
    }

    /// Tells user `index` to finish, at the latest by `deadline`. Deadlines must come in ascending order.
    pub fn drain(&mut self, index: u64, deadline: Instant) {
        if let Some(user) = self.live.get_mut(&index).filter(|user| !user.drained) {
            user.drained = true;
            user.control.drain();
            self.deadlines.push_back((deadline, index, user.life));
        }
    }

    /// Tells every user to finish, the highest index first.
    pub fn drain_all(&mut self, deadline: Instant) {
        let indices: Vec<u64> = self.live.keys().rev().copied().collect();
        for index in indices {
            self.drain(index, deadline);
        }
    }

    /// Tells the users of a profile with these numbers in it to finish, the highest first. Costs nothing for a number that nobody lives under.
    pub fn drain_of(&mut self, profile: usize, numbers: Range<u64>, deadline: Instant) {
        let numbering = self.numbering;
        let indices = numbering.index(profile, numbers.start)..numbering.index(profile, numbers.end);
        let of_profile = self.live.range(indices).rev().map(|(&index, _)| index).filter(|index| numbering.profile(*index) == profile);
        let indices: Vec<u64> = of_profile.collect();
        for index in indices {
            self.drain(index, deadline);
        }
    }

    /// Tells every user to give way between two iterations. They have no deadline: an iteration is as long as the script makes it.
    pub fn supersede_all(&self) {
        for user in self.live.values() {
            user.control.supersede();
        }
    }

    /// Drops the users whose time is up; returns who they were.
    pub fn cut_overdue(&mut self, now: Instant) -> Vec<u64> {
        let mut cut = Vec::new();
        while let Some(&(deadline, index, life)) = self.deadlines.front()
            && deadline <= now
        {
            self.deadlines.pop_front();
            // A user of the same index may have been started anew meanwhile; that one has its own deadline.
            if self.live.get(&index).is_some_and(|user| user.life == life) && self.cut(index) {
                cut.push(index);
            }
        }
        cut
    }

    /// Drops every user; returns how many there were.
    pub fn cut_all(&mut self) -> usize {
        let indices: Vec<u64> = self.live.keys().copied().collect();
        indices.into_iter().filter(|&index| self.cut(index)).count()
    }

    /// Drops a user. One that has ended by itself and was not taken note of yet has not been dropped, and is left to [`LiveUsers::take_ended`].
    fn cut(&mut self, index: u64) -> bool {
        if self.live.get(&index).is_none_or(|user| user.task.is_finished()) {
            return false;
        }
        let Some(user) = self.remove(index) else { return false };
        user.task.abort();
        self.aborted.push(user.task);
        true
    }

    /// The users that ended since the last call.
    pub fn take_ended(&mut self) -> Vec<Departure> {
        let mut departures = Vec::new();
        for ended in self.ended.list.take() {
            // A user that was cut has left already; its index may live anew.
            if self.live.get(&ended.index).is_some_and(|user| user.life == ended.life)
                && let Some(user) = self.remove(ended.index)
            {
                // One that was told to give way, and then ended by the script, has ended.
                let gave_way = user.control.is_superseded() && ended.went.is_some_and(|life| life.was_told);
                let iterations = ended.went.map(|life| life.iterations);
                departures.push(Departure { index: ended.index, iterations, drained: user.drained, gave_way });
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

    /// Those of one profile.
    pub fn count_of(&self, profile: usize) -> usize {
        self.counts.get(profile).copied().unwrap_or(0)
    }

    pub fn contains(&self, index: u64) -> bool {
        self.live.contains_key(&index)
    }

    /// When the next user's time is up.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.front().map(|&(deadline, ..)| deadline)
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
    /// It made room for a fresh user of its index.
    pub gave_way: bool,
}

#[derive(Debug)]
struct Live {
    /// Tells apart the lives of one index.
    life: u64,
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
    life: u64,
    went: Option<Life>,
}

/// Notes the end of a user's task by its drop, so that a panic is noted as well.
#[derive(Debug)]
struct EndNotice {
    index: u64,
    life: u64,
    went: Option<Life>,
    ended: Rc<EndedUsers>,
}

impl EndNotice {
    fn complete(mut self, went: Life) {
        self.went = Some(went);
    }
}

impl Drop for EndNotice {
    fn drop(&mut self) {
        self.ended.list.borrow_mut().push(Ended { index: self.index, life: self.life, went: self.went });
        self.ended.wake.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::time::Duration;

    use super::*;

    /// Runs `test` where tasks can be spawned, with paused time.
    fn with_tasks<F: Future>(test: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, test)
    }

    /// A user that lives until it is told to finish, then answers `iterations`.
    fn spawn_patient(users: &mut LiveUsers, index: u64, iterations: u64) {
        let control = Rc::new(UserControl::default());
        let told = control.clone();
        users.spawn(index, control, async move {
            told.sleep_until(Instant::now() + Duration::from_secs(3_600)).await;
            Life { iterations, was_told: true }
        });
    }

    fn spawn_deaf(users: &mut LiveUsers, index: u64) {
        users.spawn(index, Rc::default(), pending());
    }

    /// Lets every task run that can.
    async fn settle_tasks() {
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn a_user_that_goes_by_itself_is_told_from_one_that_was_told_to() {
        with_tasks(async {
            let mut users = LiveUsers::default();
            users.spawn(3, Rc::default(), ready(Life { iterations: 11, was_told: false }));
            spawn_patient(&mut users, 4, 5);
            users.end_of_one().await;
            assert_eq!(users.take_ended(), [Departure { index: 3, iterations: Some(11), drained: false, gave_way: false }]);
            users.drain(4, Instant::now());
            users.end_of_one().await;
            assert_eq!(users.take_ended(), [Departure { index: 4, iterations: Some(5), drained: true, gave_way: false }]);
            assert_eq!(users.count(), 0);
        });
    }

    #[test]
    fn all_are_told_to_finish_from_the_highest_index_down() {
        with_tasks(async {
            let mut users = LiveUsers::default();
            (0..4).for_each(|index| spawn_patient(&mut users, index, 0));
            settle_tasks().await;
            users.drain_all(Instant::now() + Duration::from_secs(1));
            settle_tasks().await;
            let indices: Vec<u64> = users.take_ended().iter().map(|departure| departure.index).collect();
            assert_eq!(indices, [3, 2, 1, 0]);
        });
    }

    #[test]
    fn a_user_is_cut_when_its_own_time_is_up_and_not_before() {
        with_tasks(async {
            let (mut users, zero) = (LiveUsers::default(), Instant::now());
            let [one, two] = [1, 2].map(Duration::from_secs);
            (0..3).for_each(|index| spawn_deaf(&mut users, index));
            users.drain(2, zero + one);
            users.drain(1, zero + two);
            users.drain(2, zero + two);
            assert_eq!(users.next_deadline(), Some(zero + one), "a second word moves no deadline");
            assert!(users.cut_overdue(zero + one - Duration::from_nanos(1)).is_empty());
            assert_eq!((users.cut_overdue(zero + one), users.count()), (vec![2], 2));
            assert_eq!((users.cut_overdue(zero + two), users.count()), (vec![1], 1));
            assert_eq!((users.next_deadline(), users.contains(0)), (None, true), "a user that was never told to finish stays");
            assert_eq!(users.cut_all(), 1);
        });
    }

    #[test]
    fn a_user_that_has_ended_by_itself_is_not_dropped_by_a_cut_that_comes_before_anybody_took_note() {
        with_tasks(async {
            let mut users = LiveUsers::default();
            users.spawn(0, Rc::default(), ready(Life { iterations: 3, was_told: false }));
            spawn_deaf(&mut users, 1);
            settle_tasks().await;
            assert_eq!(users.cut_all(), 1);
            assert_eq!(users.take_ended(), [Departure { index: 0, iterations: Some(3), drained: false, gave_way: false }]);
            assert_eq!(users.count(), 0);
        });
    }

    #[test]
    fn a_cut_user_is_gone_once_settled_and_departs_only_once() {
        with_tasks(async {
            let mut users = LiveUsers::default();
            let held = Rc::new(());
            let kept = held.clone();
            users.spawn(0, Rc::default(), async move {
                let _kept = kept;
                pending().await
            });
            settle_tasks().await;
            assert_eq!(users.cut_all(), 1);
            users.settle().await;
            assert_eq!((Rc::strong_count(&held), users.take_ended()), (1, Vec::new()));
        });
    }

    #[test]
    fn the_end_of_a_cut_life_is_not_taken_for_the_next_life_of_its_index() {
        with_tasks(async {
            let (mut users, zero) = (LiveUsers::default(), Instant::now());
            spawn_deaf(&mut users, 5);
            settle_tasks().await;
            users.drain(5, zero);
            assert_eq!(users.cut_overdue(zero), [5]);
            spawn_patient(&mut users, 5, 9);
            users.settle().await;
            assert_eq!((users.take_ended(), users.contains(5)), (Vec::new(), true));
        });
    }

    #[test]
    fn a_life_that_was_told_to_finish_is_not_cut_when_the_time_of_the_life_before_it_is_up() {
        with_tasks(async {
            let (mut users, zero) = (LiveUsers::default(), Instant::now());
            let [one, two] = [1, 2].map(Duration::from_secs);
            spawn_patient(&mut users, 5, 9);
            settle_tasks().await;
            users.drain(5, zero + one);
            settle_tasks().await;
            assert_eq!(users.take_ended().len(), 1);
            spawn_deaf(&mut users, 5);
            users.drain(5, zero + two);
            assert_eq!((users.cut_overdue(zero + one), users.cut_overdue(zero + two)), (vec![], vec![5]));
        });
    }

    #[test]
    fn a_panic_is_noted_as_an_end_without_iterations() {
        with_tasks(async {
            let mut users = LiveUsers::default();
            users.spawn(6, Rc::default(), async { panic!("a bug, for this test") });
            users.end_of_one().await;
            assert_eq!(users.take_ended(), [Departure { index: 6, iterations: None, drained: false, gave_way: false }]);
        });
    }
}
