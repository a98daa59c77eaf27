//! The levels of a run that a person can change: that of its one profile, or of each by name. Owns what a snapshot says of them and what a
//! tenth more is; how they are typed is the form's business.

use crate::front::snapshot_json::SnapshotJson;
use crate::front::tui::feed::Order;

/// What a profile wants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Wanted {
    /// So many users at once.
    Users(u32),
    /// So many iterations per second.
    Rate(f64),
}

impl Wanted {
    /// A tenth more or less: users by whole ones and at least one, a rate to three digits.
    #[must_use]
    pub fn stepped(self, is_more: bool) -> Self {
        match self {
            Self::Users(users) => {
                let step = (users / 10).max(1);
                Self::Users(if is_more { users.saturating_add(step) } else { users.saturating_sub(step).max(1) })
            }
            Self::Rate(rate) => {
                let stepped = if is_more { rate * 1.1 } else { rate / 1.1 };
                let digit = 10_f64.powf(stepped.log10().floor() - 2.0);
                // A rate of nothing has no tenth.
                Self::Rate(if stepped > 0.0 { (stepped / digit).round() * digit } else { 1.0 })
            }
        }
    }

    /// As it is typed: a number of users, or of iterations per second.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::Users(users) => users.to_string(),
            // Shortest of what a step can make; `0.1 * 3` need not show all its digits.
            Self::Rate(rate) => ((rate * 1e6).round() / 1e6).to_string(),
        }
    }
}

/// The level of a profile, and what it may become.
#[derive(Debug, Clone, PartialEq)]
pub struct Level {
    /// Whose; none where the run has one profile without a name.
    pub profile: Option<String>,
    /// What it is, or is on its way to.
    pub wanted: Wanted,
}

impl Level {
    /// As the master is asked for another one.
    #[must_use]
    pub fn order(&self, wanted: Wanted) -> Order {
        let profile = self.profile.clone();
        match wanted {
            Wanted::Users(users) => Order { users: Some(users), profile, ..Order::default() },
            Wanted::Rate(_) => Order { rate: Some(wanted.text()), profile, ..Order::default() },
        }
    }
}

/// Those of a run, in the order of its profiles; never empty.
#[must_use]
pub fn levels(snapshot: &SnapshotJson) -> Vec<Level> {
    let level = |profile, rate: Option<f64>, users: u64| Level {
        profile,
        wanted: rate.map_or_else(|| Wanted::Users(u32::try_from(users).unwrap_or(u32::MAX)), Wanted::Rate),
    };
    if snapshot.profiles.is_empty() {
        return vec![level(None, snapshot.iterations.rate_wanted, snapshot.goal_users)];
    }
    let profiles = snapshot.profiles.iter();
    profiles.map(|profile| level(Some(profile.name.clone()), profile.rate_wanted, profile.goal_users)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_more_is_one_user_at_least_and_a_rate_of_three_digits() {
        let up = |wanted: Wanted| wanted.stepped(true);
        assert_eq!((up(Wanted::Users(3)), up(Wanted::Users(50))), (Wanted::Users(4), Wanted::Users(55)));
        assert_eq!(Wanted::Users(1).stepped(false), Wanted::Users(1));
        assert_eq!(
            (up(Wanted::Rate(20.0)).text(), up(Wanted::Rate(22.0)).text(), up(Wanted::Rate(0.1)).text()),
            ("22".into(), "24.2".into(), "0.11".into())
        );
        assert_eq!((Wanted::Rate(20.0).stepped(false).text(), up(Wanted::Rate(12_345.0)).text()), ("18.2".into(), "13600".into()));
        assert_eq!(up(Wanted::Rate(0.0)), Wanted::Rate(1.0));
    }
}
