//! A ramp's answers: how many users run at which moment, as pure functions of the profile.
//!
//! User `k` runs at time `t` exactly when `k < users_at(t)`. Nothing here remembers, waits or starts anybody; `lane` does.

use std::time::Duration;

use crate::plan::{ProfileEnd, RampProfile};

/// A [`RampProfile`] made ready for questions. The default one wants nobody, for ever.
#[derive(Debug, Clone, Default)]
pub struct Ramp {
    lines: Vec<Line>,
    end: Option<Duration>,
}

impl Ramp {
    /// Makes a profile ready for questions.
    #[must_use]
    pub fn new(profile: &RampProfile) -> Self {
        let mut begin = Duration::ZERO;
        let mut level = 0;
        let mut lines = Vec::with_capacity(profile.stages.len());
        for stage in &profile.stages {
            lines.push(Line { begin, over: stage.over, from: level, to: stage.users });
            begin = begin.saturating_add(stage.over);
            level = stage.users;
        }
        let end = match profile.end {
            ProfileEnd::StopAt(at) => Some(at),
            ProfileEnd::Hold => None,
        };
        Self { lines, end }
    }

    /// How many users the plan wants at `t` on the run's clock; zero from the planned end on.
    #[must_use]
    pub fn users_at(&self, t: Duration) -> u32 {
        if self.end.is_some_and(|end| t >= end) {
            return 0;
        }
        self.line_at(t).map_or(0, |line| line.users_at(t))
    }

    /// The level that the plan is on its way to at `t`: the one at the end of the line that holds; zero from the planned end on.
    #[must_use]
    pub fn target_at(&self, t: Duration) -> u32 {
        if self.end.is_some_and(|end| t >= end) {
            return 0;
        }
        self.line_at(t).map_or(0, |line| line.to)
    }

    /// The first moment after `t` at which [`Ramp::users_at`] changes; `None` if it never does again.
    #[must_use]
    pub fn next_change(&self, t: Duration) -> Option<Duration> {
        let of_lines = self.lines.iter().filter_map(|line| line.next_change(t)).min();
        let of_end = self.end.filter(|&end| end > t);
        match (of_lines, of_end) {
            (Some(line), Some(end)) => Some(line.min(end)),
            (line, None) => line.filter(|_| self.end.is_none()),
            (None, end) => end,
        }
    }

    /// Whether a user is still to start after `t`: the level rises again, before the planned end.
    #[must_use]
    pub fn rises_after(&self, t: Duration) -> bool {
        let rising = self.lines.iter().filter(|line| line.to > line.from);
        rising.filter_map(|line| line.next_change(t)).any(|at| self.end.is_none_or(|end| at < end))
    }

    /// Whether the number of users is on its way at `t`: inside a line that is no hold.
    #[must_use]
    pub fn is_spawning(&self, t: Duration) -> bool {
        self.end.is_none_or(|end| t < end) && self.line_at(t).is_some_and(|line| line.from != line.to && t < line.end())
    }

    /// When the run ends by itself, counted from its start.
    #[must_use]
    pub fn end(&self) -> Option<Duration> {
        self.end
    }

    /// The greatest number of users that the profile ever wants.
    #[must_use]
    pub fn peak(&self) -> u32 {
        self.lines.iter().map(|line| line.to).max().unwrap_or(0)
    }

    /// The line that holds at `t`; past the last one, the last.
    fn line_at(&self, t: Duration) -> Option<&Line> {
        self.lines.iter().rev().find(|line| line.begin <= t)
    }
}

/// One straight line: from level to level within a span.
#[derive(Debug, Clone, Copy)]
struct Line {
    begin: Duration,
    over: Duration,
    from: u32,
    to: u32,
}

impl Line {
    fn end(&self) -> Duration {
        self.begin.saturating_add(self.over)
    }

    fn span(&self) -> u32 {
        self.from.abs_diff(self.to)
    }

    /// The moment of the line's change number `n`, 0-based.
    ///
    /// Rising, user `from + n` starts at `n / span` of the line: the first one starts at once. Falling, user `from - 1 - n` stops at
    /// `(n + 1) / span`: the last one stops at the line's end.
    fn change_at(&self, n: u32) -> Duration {
        let steps = if self.to > self.from { n } else { n + 1 };
        let nanos = self.over.as_nanos() * u128::from(steps);
        // Rounded up, so that the change has happened by its own moment: `changes_by(change_at(n)) > n`.
        self.begin.saturating_add(duration_of_nanos(nanos.div_ceil(u128::from(self.span()))))
    }

    /// How many of the line's changes have happened by `t` (inclusive).
    fn changes_by(&self, t: Duration) -> u32 {
        let span = self.span();
        if span == 0 || t < self.begin {
            return 0;
        }
        if t >= self.end() {
            return span;
        }
        // `t < end`, so `over` is not zero.
        let done = (t.saturating_sub(self.begin).as_nanos() * u128::from(span)) / self.over.as_nanos();
        let done = u32::try_from(done).unwrap_or(span);
        if self.to > self.from { (done + 1).min(span) } else { done.min(span) }
    }

    fn users_at(&self, t: Duration) -> u32 {
        let changes = self.changes_by(t);
        if self.to >= self.from { self.from + changes } else { self.from - changes }
    }

    fn next_change(&self, t: Duration) -> Option<Duration> {
        let done = if t < self.begin { 0 } else { self.changes_by(t) };
        if done >= self.span() {
            return None;
        }
        let at = self.change_at(done);
        (at > t).then_some(at)
    }
}

fn duration_of_nanos(nanos: u128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::load::shape::Shape;
    use crate::plan::{LoadProfile, Stage};

    fn seconds(s: f64) -> Duration {
        Duration::from_secs_f64(s)
    }

    fn ramp(stages: &[(u32, f64)]) -> Shape {
        let stages: Vec<Stage> = stages.iter().map(|&(users, over)| Stage { users, over: seconds(over) }).collect();
        let length = stages.iter().map(|stage| stage.over).sum();
        Shape::new(&LoadProfile::staged(stages, ProfileEnd::StopAt(length)))
    }

    #[test]
    fn a_plain_ramp_starts_one_user_each_interval_and_the_first_at_once() {
        let shape = Shape::new(&LoadProfile::plain(4, 2.0, Some(seconds(10.0))));
        let levels: Vec<u32> = [0.0, 0.4, 0.5, 1.0, 1.5, 2.0, 9.9, 10.0].map(|t| shape.users_at(seconds(t))).into();
        assert_eq!(levels, [1, 1, 2, 3, 4, 4, 4, 0]);
    }

    #[test]
    fn a_plain_ramp_without_a_run_time_holds_for_ever() {
        let shape = Shape::new(&LoadProfile::plain(3, 1.0, None));
        assert_eq!(shape.users_at(seconds(1e6)), 3);
        assert_eq!(shape.next_change(seconds(2.0)), None);
        assert_eq!(shape.end(), None);
    }

    #[test]
    fn stages_rise_hold_and_fall_to_the_unit() {
        let shape = ramp(&[(4, 2.0), (4, 1.0), (2, 2.0), (2, 1.0)]);
        let levels: Vec<u32> = [0.0, 1.9, 2.5, 3.0, 3.9, 4.0, 4.9, 5.0, 5.9, 6.0].map(|t| shape.users_at(seconds(t))).into();
        assert_eq!(levels, [1, 4, 4, 4, 4, 3, 3, 2, 2, 0]);
        assert!(shape.is_spawning(seconds(1.0)));
        assert!(!shape.is_spawning(seconds(2.5)));
        assert!(shape.is_spawning(seconds(3.5)));
    }

    #[test]
    fn a_jump_starts_all_users_at_once() {
        let shape = ramp(&[(5, 0.0), (5, 1.0)]);
        assert_eq!(shape.users_at(Duration::ZERO), 5);
        assert_eq!(shape.next_change(Duration::ZERO), Some(seconds(1.0)));
    }

    #[test]
    fn the_target_is_where_the_line_of_the_moment_leads() {
        let shape = ramp(&[(4, 2.0), (4, 1.0), (9, 0.0), (2, 2.0)]);
        let targets = [0.0, 1.9, 2.0, 2.9, 3.0, 4.9, 5.0].map(|t| shape.target_at(seconds(t)));
        assert_eq!(targets, [4, 4, 4, 4, 2, 2, 0]);
        let held = Shape::new(&LoadProfile::plain(3, 1.0, None));
        assert_eq!((held.target_at(Duration::ZERO), held.target_at(seconds(1e6))), (3, 3));
        assert_eq!(Shape::default().target_at(seconds(1.0)), 0);
    }

    proptest! {
        #[test]
        fn walking_from_change_to_change_sees_every_level(stages in prop::collection::vec((0_u32..40, 0_u64..3_000), 1..6)) {
            let stages: Vec<(u32, f64)> = stages.iter().map(|&(users, ms)| (users, ms as f64 / 1000.0)).collect();
            let shape = ramp(&stages);
            let mut t = Duration::ZERO;
            let mut level = shape.users_at(t);
            while let Some(next) = shape.next_change(t) {
                prop_assert!(next > t);
                prop_assert_eq!(shape.users_at(next - Duration::from_nanos(1)), level);
                // Where a fall meets a rise one user stops as another starts, and the level stays.
                level = shape.users_at(next);
                t = next;
            }
            prop_assert_eq!(level, 0);
        }
    }
}
