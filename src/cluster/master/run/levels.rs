//! Other levels of a run that is under way: how many users one of its profiles has, or which rate.
//!
//! What was before stays as it was, and so do the other profiles. A level is no start: of a profile that has not started it holds from its start on.

use std::sync::Arc;
use std::time::Duration;

use super::super::turn::Turn;
use super::super::{Rerate, Retarget};
use super::{LEAD, Run};
use crate::load::shape::Shape;
use crate::load::slots::SlotSet;
use crate::plan::{LoadProfile, ProfileEnd};

impl Run {
    /// Another rate, of profile number `profile`, which is open.
    pub fn rerate(&mut self, profile: usize, rerate: Rerate, turn: &mut Turn<'_>) {
        let Some(part @ LoadProfile::Arrivals(arrivals)) = self.profile.part(profile) else { return };
        let soonest = (self.elapsed(turn.now) + LEAD).max(part.start());
        let at = rerate.at.map_or(soonest, |at| at.max(soonest));
        let part = LoadProfile::Arrivals(arrivals.retargeted(at, rerate.rate, rerate.run_time));
        self.put(profile, part);
        self.order_all(turn);
    }

    /// Another number of users, of profile number `profile`.
    pub fn retarget(&mut self, profile: usize, retarget: Retarget, turn: &mut Turn<'_>) {
        let now = turn.now;
        let at = self.elapsed(now);
        let (Some(part), Some(shape)) = (self.profile.part(profile), self.shape.parts().get(profile)) else { return };
        let part = part.retargeted(at.max(part.start()), shape.users_at(at), retarget.users, retarget.spawn_rate, retarget.run_time);
        self.put(profile, part);
        // What is still on its way goes on at the pace of the new target: where few users were wanted it might take hours.
        self.forget_arrived(at);
        let mut moved = std::mem::replace(&mut self.on_their_way, SlotSet::none());
        let level = self.level_of_others(profile, at).max(u64::from(retarget.users));
        self.assignment.level(level).iter().for_each(|slot| moved.insert(slot));
        self.hand_over(moved, LEAD, now);
        self.order_all(turn);
    }

    /// Nothing more of profile number `profile`, at once or from that moment of the run's clock on: its users finish.
    pub fn close(&mut self, profile: usize, at: Option<Duration>, turn: &mut Turn<'_>) {
        let Some(part) = self.profile.part(profile).cloned() else { return };
        // Of an open one everybody has to hear of it before.
        let lead = if part.is_open() { LEAD } else { Duration::ZERO };
        let soonest = self.elapsed(turn.now) + lead;
        let at = at.map_or(soonest, |at| at.max(soonest));
        self.put(profile, part.ending(ProfileEnd::StopAt(at)));
        self.order_all(turn);
    }

    fn put(&mut self, profile: usize, part: LoadProfile) {
        let whole = self.profile.with_part(profile, part);
        self.shape = Shape::new(&whole);
        // Somebody wants something of this master: what a former one was asked for is of no more use.
        (self.profile, self.known) = (Arc::new(whole), u64::MAX);
    }

    /// For how many users shares are to be level, were it for the other profiles.
    fn level_of_others(&self, profile: usize, at: Duration) -> u64 {
        let others = self.shape.parts().iter().enumerate().filter(|(place, part)| *place != profile && !part.is_open());
        others.map(|(_, part)| part.level_at(at)).max().unwrap_or(0)
    }
}
