//! What people see of each named profile: what it wants and what it has.

use std::time::{Duration, Instant};

use super::super::peers::Peers;
use super::Run;
use crate::load::shape::Shape;
use crate::plan::{LoadProfile, NamedProfile, Rate};
use crate::stats::snapshot::{ProfileKind, ProfileView, Snapshot};

impl Run {
    /// Fills in what the plan says of each profile; the snapshot has what was counted.
    pub fn show_profiles(&self, snapshot: &mut Snapshot, peers: &Peers, now: Instant) {
        let elapsed = self.elapsed(now);
        snapshot.profiles.resize_with(self.profile.named().len(), ProfileView::default);
        let profiles = self.profile.named().iter().zip(self.shape.parts());
        for (place, (view, (named, shape))) in snapshot.profiles.iter_mut().zip(profiles).enumerate() {
            let is_wanted = self.is_making_load() && !shape.is_over_at(elapsed);
            view.name.clone_from(&named.name);
            view.kind = kind_of(&named.profile);
            view.classes = self.classes_of(named);
            view.begins = begin_of(shape);
            view.ends = shape.end();
            view.is_over = self.zero.is_some() && !is_wanted;
            if self.is_over() || snapshot.users == 0 && view.users.is_some() {
                // Newer than what the last whole second told.
                view.users = Some(0);
            }
            let (wanted, goal) = (u64::from(shape.users_at(elapsed)), u64::from(shape.target_at(elapsed)));
            let open = view.users.filter(|_| shape.is_open()).unwrap_or(0);
            view.target_users = if is_wanted { wanted.max(open) } else { 0 };
            view.goal_users = if is_wanted { goal.max(open) } else { 0 };
            view.arrivals = self.account_of(place, std::mem::take(&mut view.arrivals));
            view.arrivals.rate = shape.rate_at(elapsed).filter(|_| self.is_making_load()).map(Rate::as_per_second);
            view.quota = self.quota_of(place, peers);
        }
        if snapshot.profiles.iter().any(|profile| profile.kind != ProfileKind::Arrivals) && self.is_making_load() {
            // What the open ones have they need.
            snapshot.target_users = snapshot.profiles.iter().map(|profile| profile.target_users).sum();
            snapshot.goal_users = snapshot.profiles.iter().map(|profile| profile.goal_users).sum();
        }
    }

    fn classes_of(&self, named: &NamedProfile) -> Vec<String> {
        if named.classes.is_empty() { self.plan.classes.iter().map(|class| class.name.clone()).collect() } else { named.classes.clone() }
    }
}

fn kind_of(profile: &LoadProfile) -> ProfileKind {
    match profile {
        LoadProfile::Arrivals(_) => ProfileKind::Arrivals,
        LoadProfile::Iterations(_) => ProfileKind::Iterations,
        // None of several is several.
        LoadProfile::Ramp(_) | LoadProfile::Several(_) => ProfileKind::Users,
    }
}

/// When the first user or iteration is wanted.
fn begin_of(shape: &Shape) -> Duration {
    match shape {
        Shape::Arrivals { rates, .. } => rates.begin(),
        Shape::Ramp(_) | Shape::Several(_) if shape.users_at(Duration::ZERO) > 0 => Some(Duration::ZERO),
        Shape::Ramp(_) | Shape::Several(_) => shape.next_change(Duration::ZERO),
    }
    .unwrap_or(Duration::ZERO)
}
