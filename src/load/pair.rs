//! A user of a closed profile in a run of two sides: one on each, of which one does the iteration that comes. To the lane and the life loop they are one.
//!
//! Owns whose turn it is. Each of the two has its state, cookies and connections for itself, so that nothing of one side reaches the other; the pace and
//! the number of iterations, which stand in the control that they share, are the user's.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::sides::{Side, SideOrder};
use super::{Step, UserControl, VirtualUser};

/// One user, on both sides.
pub(super) struct Pair<U> {
    /// In the order of [`Side::BOTH`].
    users: [U; 2],
    /// Whose `on_start` came to a good end.
    has_started: [bool; 2],
    order: SideOrder,
    control: Rc<UserControl>,
    /// Who did the last iteration.
    last: usize,
}

impl<U> Pair<U> {
    /// One user on each side, in the order of [`Side::BOTH`], which share `control`.
    pub(super) fn new(users: [U; 2], order: SideOrder, control: Rc<UserControl>) -> Self {
        Self { users, has_started: [false; 2], order, control, last: 0 }
    }

    /// Who is the first where both have to do something, and who the second: of users 2k and 2k + 1 each begins on another side.
    fn turns(&self) -> [usize; 2] {
        let first = place_of(self.order.side(0));
        [first, 1 - first]
    }
}

impl<U: VirtualUser> VirtualUser for Pair<U> {
    /// One after the other, so that neither waits for the lane while the other has it; who is the first follows from the order, too. Where one raises, the
    /// other does not begin again.
    async fn on_start(&mut self) -> Step {
        let mut whole = Step::default();
        for place in self.turns() {
            if !self.has_started[place] {
                let step = self.users[place].on_start().await;
                self.has_started[place] = !(step.raised || step.interrupted || step.ended);
                whole = both([whole, step]);
            }
            if whole.interrupted || whole.ended {
                break;
            }
        }
        whole
    }

    async fn iterate(&mut self) -> Step {
        self.last = place_of(self.order.side(self.control.iterations()));
        self.users[self.last].iterate().await
    }

    async fn on_stop(&mut self) -> Step {
        let mut whole = Step::default();
        for place in self.turns() {
            whole = both([whole, self.users[place].on_stop().await]);
        }
        whole
    }

    fn think_time(&mut self, ended: Instant) -> Duration {
        self.users[self.last].think_time(ended)
    }

    fn rest(&mut self, pause: Duration) {
        self.users.iter_mut().for_each(|user| user.rest(pause));
    }
}

const fn place_of(side: Side) -> usize {
    match side {
        Side::A => 0,
        Side::B => 1,
    }
}

/// What both steps come to.
fn both([one, other]: [Step; 2]) -> Step {
    Step {
        raised: one.raised || other.raised,
        interrupted: one.interrupted || other.interrupted,
        ended: one.ended || other.ended,
        requests: one.requests.saturating_add(other.requests),
        answered: one.answered.saturating_add(other.answered),
        yielded: one.yielded || other.yielded,
        held: one.held.max(other.held),
    }
}
