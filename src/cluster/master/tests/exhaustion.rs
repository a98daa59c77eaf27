//! A run ends when no user will ever run again: whose word counts for that, and which.

use super::*;

impl Stand {
    /// A delta of a worker that follows orders of this generation and has no user.
    fn says_exhausted(&mut self, worker: u64, sequence: u64, generation: u64) {
        let delta = Delta { is_exhausted: true, generation, users: 0, ..delta(sequence, 0) };
        self.message(worker, ToMaster::Delta { sent: Duration::ZERO, delta: Arc::new(delta) });
    }

    fn generation_of(&mut self, worker: u64) -> u64 {
        self.orders()[&worker].generation
    }
}

#[test]
fn users_that_all_stopped_themselves_end_the_run() {
    let mut stand = Stand::running(2, 2);
    let generation = stand.generation_of(2);
    stand.says_exhausted(1, 1, generation);
    stand.live(Duration::from_secs(1), &[1, 2]);
    assert_eq!(stand.state(), RunState::Running);
    stand.says_exhausted(2, 1, generation);
    stand.live(Duration::from_secs(1), &[1, 2]);
    assert_eq!(stand.state(), RunState::Stopping);
}

#[test]
fn a_worker_that_brings_a_run_alone_and_had_no_user_in_it_is_not_exhausted_by_the_orders_that_give_it_all() {
    // Seed 41001742: its word of before crossed the orders, and the run was ended that it had just been given.
    let mut stand = Stand::new();
    stand.hello(1, Some(standing(&SlotSet::none(), Duration::from_secs(41), 0)));
    let actions = stand.master.on_reset(stand.now);
    stand.actions.extend(actions);
    stand.says_exhausted(1, 1, 5);
    stand.live(Duration::from_secs(9), &[1]);
    assert_eq!(stand.state(), RunState::Running);
    let generation = stand.generation_of(1);
    stand.says_exhausted(1, 2, generation);
    stand.live(Duration::from_secs(1), &[1]);
    assert_eq!(stand.state(), RunState::Stopping, "by these orders it is");
}

#[test]
fn orders_that_bring_users_void_what_was_said_of_exhaustion_however_long_their_answer_takes() {
    let mut stand = Stand::running(1, 10);
    let generation = stand.generation_of(1);
    let retarget = Retarget { users: 20, spawn_rate: 20.0, run_time: None };
    let actions = stand.master.on_retarget(retarget, stand.now).unwrap();
    stand.actions.extend(actions);
    stand.says_exhausted(1, 1, generation);
    stand.live(Duration::from_secs(20), &[1]);
    assert_eq!(stand.state(), RunState::Running);
}
