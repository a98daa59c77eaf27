//! A user of a closed profile in a run of two sides: one on each, of which one does the iteration that comes. To the lane and the life loop they are one.
//!
//! Owns whose turn it is. Each of the two has its state, cookies and connections for itself, so that nothing of one side reaches the other; the pace and
//! the number of iterations, which stand in the control that they share, are the user's.

use std::rc::Rc;
use std::time::Duration;

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
}

impl<U: VirtualUser> VirtualUser for Pair<U> {
    /// Both at a time, so that neither side has the other's wake. Where one raises, the other does not begin again.
    async fn on_start(&mut self) -> Step {
        let ([a, b], [a_has, b_has]) = (&mut self.users, self.has_started);
        let start = async |user: &mut U, has_started: bool| if has_started { Step::default() } else { user.on_start().await };
        let steps: [Step; 2] = tokio::join!(start(a, a_has), start(b, b_has)).into();
        for (has_started, step) in self.has_started.iter_mut().zip(steps) {
            *has_started |= !(step.raised || step.interrupted || step.ended);
        }
        both(steps)
    }

    async fn iterate(&mut self) -> Step {
        self.last = match self.order.side(self.control.iterations()) {
            Side::A => 0,
            Side::B => 1,
        };
        self.users[self.last].iterate().await
    }

    async fn on_stop(&mut self) -> Step {
        let [a, b] = &mut self.users;
        both(tokio::join!(a.on_stop(), b.on_stop()).into())
    }

    fn think_time(&mut self) -> Duration {
        self.users[self.last].think_time()
    }

    fn rest(&mut self, pause: Duration) {
        self.users.iter_mut().for_each(|user| user.rest(pause));
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
        back: one.back.max(other.back),
    }
}
