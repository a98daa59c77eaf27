//! What a library may bring besides its natives: state for each worker, lane and user, and operations, at which a coroutine leaves the lane
//! to others. The libraries are in `bindings`, whose table says which of them brings what.

use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use mlua::{Lua, MultiValue};

use super::answer::Answer;
use super::context::UserState;
use super::lane_state::LaneState;
use super::ledger::Ledger;
use super::type_map::of_type;
use crate::plan::Plan;

/// What the users of one lane share of a library.
pub trait OfLane: Sized {
    /// Made when the lane is opened.
    ///
    /// # Errors
    /// A text for people: what the plan asks for cannot be had.
    fn open(plan: &Plan) -> Result<Self, String>;
}

/// What one user has of a library.
pub trait OfUser {
    /// Made with the user.
    fn new(lane: &Rc<LaneState>, ledger: &Rc<Ledger>) -> Self;

    /// The user's step was ended where its coroutine waited, which goes on no more.
    fn on_interrupt(&self) {}
}

/// Something that a coroutine asks of the lane.
pub(super) trait Operation: Sized {
    /// From the values that the coroutine yielded.
    ///
    /// # Errors
    /// The caller's mistake, which is raised at the caller's line.
    fn read(lua: &Lua, values: MultiValue) -> Result<Self, String>;

    /// From values that need no handle: a number, a string, and another string or nil. `None` where that is not all there is to it.
    #[inline]
    fn read_plain(_user: &UserState, _number: f64, _text: &[u8], _name: Option<&[u8]>) -> Option<Self> {
        None
    }

    /// Does it; `None` where the step ends there. Nothing of Lua is held here.
    fn perform(self, user: &Rc<UserState>) -> impl Future<Output = Option<Answer>>;
}

impl LaneState {
    /// What the lane's users share of a library.
    #[inline]
    pub(super) fn library<T: OfLane + 'static>(&self) -> &T {
        of_type(&*self.libraries)
    }

    /// What all users of the worker share of a library.
    pub(super) fn of_worker<T: 'static>(&self) -> &T {
        of_type(&*self.worker)
    }
}

impl UserState {
    /// What the user has of a library.
    #[inline]
    pub(super) fn library<T: OfUser + 'static>(&self) -> &T {
        of_type(&self.libraries)
    }

    /// Lets the user wait, with no request of its own under way. `None` if it is to finish, which it does here; in its `on_stop` it does so already.
    pub(super) async fn wait_for(&self, end: impl Future<Output = ()>) -> Option<Answer> {
        self.ledger.finish();
        if self.is_in_on_stop.get() {
            end.await;
            return Some(Answer::Nothing);
        }
        tokio::select! {
            biased;
            () = self.control.drained() => None,
            () = end => Some(Answer::Nothing),
        }
    }
}

/// A pause; one of nothing lets others run.
pub(super) async fn pause(time: Duration) {
    if time.is_zero() {
        tokio::task::yield_now().await;
    } else {
        tokio::time::sleep(time).await;
    }
}
