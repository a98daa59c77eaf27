//! The roster: which class user `k` has, fixed by `k` alone, so that every machine agrees without a message.
//!
//! Classes with a fixed count take the lowest indices; the others share the rest by a smooth weighted round-robin, in which every
//! stretch of users holds the weights as exactly as whole users can.

use std::collections::BTreeMap;

use super::shape::Shape;
use crate::plan::{ClassPlan, LoadProfile};
use crate::stats::snapshot::{ClassShare, TaskShare};
use crate::stats::tally::ClassCounts;

/// The classes of all users.
#[derive(Debug, Clone)]
pub struct Roster {
    /// Class of each user below the fixed counts' sum.
    fixed: Vec<u32>,
    /// The classes of the users after them, repeated for ever. Empty if no class has a weight.
    cycle: Vec<u32>,
}

impl Roster {
    /// Reads the classes. Weights are divided by their greatest common divisor; the script's loader bounds their sum.
    #[must_use]
    pub fn new(classes: &[ClassPlan]) -> Self {
        let counts: Vec<u64> = classes.iter().map(|class| u64::from(class.count.unwrap_or(0))).collect();
        let weights: Vec<u64> = classes.iter().map(|class| if class.count.is_some() { 0 } else { u64::from(class.weight) }).collect();
        let divisor = weights.iter().fold(0, |a, &b| greatest_common_divisor(a, b)).max(1);
        let weights: Vec<u64> = weights.iter().map(|weight| weight / divisor).collect();
        Self { fixed: smooth_cycle(&counts), cycle: smooth_cycle(&weights) }
    }

    /// The roster of profile number `place`: of those classes that it has.
    #[must_use]
    pub fn of(profile: &LoadProfile, place: usize, classes: &[ClassPlan]) -> Self {
        let Some(named) = profile.named().get(place).filter(|named| !named.classes.is_empty()) else { return Self::new(classes) };
        let own: Vec<(u32, &ClassPlan)> = (0..).zip(classes).filter(|(_, class)| named.classes.contains(&class.name)).collect();
        let roster = Self::new(&own.iter().map(|(_, class)| (*class).clone()).collect::<Vec<_>>());
        let in_plan = |classes: Vec<u32>| classes.into_iter().map(|class| own[class as usize].0).collect();
        Self { fixed: in_plan(roster.fixed), cycle: in_plan(roster.cycle) }
    }

    /// The class of user number `index` of its profile: an index into the plan's classes. `None` where all classes have fixed counts and all places are taken.
    #[must_use]
    pub fn class_of(&self, index: u64) -> Option<usize> {
        if let Some(&class) = usize::try_from(index).ok().and_then(|index| self.fixed.get(index)) {
            return Some(class as usize);
        }
        if self.cycle.is_empty() {
            return None;
        }
        let turn = (index - self.fixed.len() as u64) % self.cycle.len() as u64;
        Some(self.cycle[turn as usize] as usize)
    }
}

/// Which parts of the users of a run the classes have, and of their iterations the tasks, where every profile is at its highest level. How many users an
/// open one will need nobody knows: it counts as many as iterations are due in a second.
#[must_use]
pub fn shares(profile: &LoadProfile, classes: &[ClassPlan]) -> Vec<ClassShare> {
    if profile.named().is_empty() {
        return shares_of(classes, Shape::new(profile).peak());
    }
    let mut sums = shares_of(classes, 0);
    let mut all = 0.0;
    for (named, shape) in profile.named().iter().zip(Shape::new(profile).parts()) {
        let is_own = |class: &ClassPlan| named.classes.is_empty() || named.classes.contains(&class.name);
        let own: Vec<ClassPlan> = classes.iter().filter(|class| is_own(class)).cloned().collect();
        let users = match &named.profile {
            LoadProfile::Arrivals(arrivals) => arrivals.stages.iter().map(|stage| stage.rate.as_per_second()).fold(1.0, f64::max),
            LoadProfile::Ramp(_) | LoadProfile::Iterations(_) | LoadProfile::Several(_) => f64::from(shape.peak()),
        };
        all += users;
        // A cast saturates.
        for share in shares_of(&own, users.ceil() as u32) {
            sums.iter_mut().filter(|sum| sum.name == share.name).for_each(|sum| sum.ratio += share.ratio * users);
        }
    }
    sums.iter_mut().for_each(|sum| sum.ratio = if all > 0.0 { sum.ratio / all } else { 0.0 });
    sums
}

/// The classes that no user can have had, by their places: all users that the profile, whose shape is `shape`, ever wants at once are of others. Of an open
/// profile, for which `due` says how many iterations were due, by its place among all, all of those were of others.
#[must_use]
pub fn unreached(profile: &LoadProfile, shape: &Shape, classes: &[ClassPlan], due: &BTreeMap<usize, u64>) -> Vec<usize> {
    let mut is_reached = vec![false; classes.len()];
    for (place, part) in shape.parts().iter().enumerate() {
        let roster = Roster::of(profile, place, classes);
        let given = due.get(&place).copied().unwrap_or_else(|| u64::from(part.peak()));
        for &class in roster.fixed.iter().chain(&roster.cycle).take(usize::try_from(given).unwrap_or(usize::MAX)) {
            is_reached[class as usize] = true;
        }
    }
    (0..classes.len()).filter(|&class| !is_reached[class]).collect()
}

/// Which parts of `users` users of one profile the classes have. Users are not rounded to whole ones, so that the shares of
/// a few users are the weights' own.
fn shares_of(classes: &[ClassPlan], users: u32) -> Vec<ClassShare> {
    let fixed: u64 = classes.iter().filter_map(|class| class.count).map(u64::from).sum();
    // Where not all fixed places can be taken, each class has its part of those that are.
    let taken = if fixed == 0 { 0.0 } else { (f64::from(users) / fixed as f64).min(1.0) };
    let rest = u64::from(users).saturating_sub(fixed) as f64;
    let weights: u64 = classes.iter().filter(|class| class.count.is_none()).map(|class| u64::from(class.weight)).sum();
    let users_of = |class: &ClassPlan| match class.count {
        Some(count) => f64::from(count) * taken,
        None => rest * f64::from(class.weight) / weights as f64,
    };
    let total: f64 = classes.iter().map(users_of).sum();
    let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    let class_share = |class: &ClassPlan| {
        let all: f64 = class.tasks.iter().map(|task| f64::from(task.weight)).sum();
        let tasks = class.tasks.iter().map(|task| TaskShare { name: task.name.clone(), ratio: share(f64::from(task.weight), all) });
        ClassShare {
            name: class.name.clone(),
            ratio: share(users_of(class), total),
            tasks: tasks.collect(),
            counts: ClassCounts::default(),
        }
    };
    classes.iter().map(class_share).collect()
}

/// One cycle of the smooth weighted round-robin (as nginx balances upstreams): each turn every class gains its weight, the richest
/// one runs and pays the sum. Each class appears exactly `weight` times in a cycle, as evenly spread as possible.
fn smooth_cycle(weights: &[u64]) -> Vec<u32> {
    let sum: u64 = weights.iter().sum();
    let mut wealth = vec![0_i128; weights.len()];
    let mut cycle = Vec::with_capacity(usize::try_from(sum).unwrap_or(0));
    for _ in 0..sum {
        for (wealth, &weight) in wealth.iter_mut().zip(weights) {
            *wealth += i128::from(weight);
        }
        // The first of the richest, so that ties keep the script's order.
        let richest = (0..weights.len()).rev().max_by_key(|&class| wealth[class]).expect("a positive sum has a class");
        wealth[richest] -= i128::from(sum);
        cycle.push(u32::try_from(richest).expect("a scenario has far fewer than 2^32 classes"));
    }
    cycle
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Rate, TaskPlan};

    fn class(weight: u32, count: Option<u32>) -> ClassPlan {
        ClassPlan { name: String::new(), weight, count, tasks: Vec::new() }
    }

    fn classes_of(classes: &[ClassPlan], users: u64) -> Vec<Option<usize>> {
        let roster = Roster::new(classes);
        (0..users).map(|k| roster.class_of(k)).collect()
    }

    #[test]
    fn shares_follow_fixed_counts_first_and_weights_for_the_rest() {
        let classes = [class(3, None), class(1, None), class(1, Some(2))];
        let ratios = |users| shares_of(&classes, users).iter().map(|share| share.ratio).collect::<Vec<_>>();
        assert_eq!(ratios(10), [0.6, 0.2, 0.2]);
        assert_eq!(ratios(1), [0.0, 0.0, 1.0]);
        assert_eq!(ratios(0), [0.0, 0.0, 0.0]);
        let tasks = vec![TaskPlan { name: "a".into(), weight: 3 }, TaskPlan { name: "b".into(), weight: 1 }];
        let only = shares_of(&[ClassPlan { tasks, ..class(1, None) }], 1);
        assert_eq!(only[0].tasks.iter().map(|task| task.ratio).collect::<Vec<_>>(), [0.75, 0.25]);
    }

    #[test]
    fn classes_that_few_users_do_not_reach_are_known() {
        let classes = [class(1, None), class(9, None), class(1, Some(2))];
        let of_users = |users| {
            let profile = LoadProfile::plain(users, 1.0, None);
            unreached(&profile, &Shape::new(&profile), &classes, &BTreeMap::new())
        };
        assert_eq!((of_users(2), of_users(3), of_users(12)), (vec![0, 1], vec![0], vec![]));
    }

    #[test]
    fn classes_that_few_iterations_of_an_open_profile_do_not_reach_are_known() {
        let classes = [class(1, None), class(9, None)];
        let profile = LoadProfile::plain_arrivals(Rate::per_second(1.0), None);
        let of_iterations = |due| unreached(&profile, &Shape::new(&profile), &classes, &BTreeMap::from([(0, due)]));
        assert_eq!((of_iterations(0), of_iterations(4), of_iterations(10)), (vec![0, 1], vec![0], vec![]));
    }

    #[test]
    fn weights_are_exact_in_each_cycle_and_spread_within_it() {
        let got = classes_of(&[class(3, None), class(1, None)], 8);
        assert_eq!(got, [0, 0, 1, 0, 0, 0, 1, 0].map(Some));
    }

    #[test]
    fn fixed_counts_come_first_and_weights_share_the_rest() {
        let got = classes_of(&[class(1, None), class(1, Some(2))], 5);
        assert_eq!(got, [1, 1, 0, 0, 0].map(Some));
    }

    #[test]
    fn users_beyond_fixed_counts_have_no_class_where_nobody_has_a_weight() {
        assert_eq!(classes_of(&[class(1, Some(2))], 3), [Some(0), Some(0), None]);
    }

    #[test]
    fn equal_weights_take_turns_in_the_scripts_order() {
        assert_eq!(classes_of(&[class(20, None), class(20, None), class(20, None)], 4), [0, 1, 2, 0].map(Some));
    }
}
