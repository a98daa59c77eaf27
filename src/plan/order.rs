//! The order of a start: what somebody wants to be run, and with which load. What is not said is the script's, or the settings'.

use std::time::Duration;

use super::ThresholdPlan;
use super::profile::Rate;

/// What shall be started. What is not said is the script's, or the settings'.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StartOrder {
    /// Of a run that is under way and has several profiles: whose level shall be another one.
    pub profile: Option<String>,
    /// How many users. Without it a start runs the script's own profile.
    pub users: Option<u32>,
    /// Users that start per second; positive and finite.
    pub spawn_rate: Option<f64>,
    /// Iterations that are due, whether or not a user is free. Not together with users.
    pub rate: Option<Rate>,
    /// With a rate: at most so many users in the whole cluster; at least 1.
    pub max_users: Option<u32>,
    /// On the clock of the run that is under way: since when the rate holds, or when the profile ends. Where that is too soon for all to hear of it, as soon as
    /// they have.
    pub at: Option<Duration>,
    /// From the start of the ramp.
    pub run_time: Option<Duration>,
    /// What is measured in it counts in no total; whole seconds.
    pub warmup: Option<Duration>,
    /// What the run is judged by.
    pub thresholds: Option<Vec<ThresholdPlan>>,
    /// The base URL, instead of the script's own.
    pub host: Option<String>,
    /// The script's name in the master's folder.
    pub script: Option<String>,
    /// The beginning of the fingerprint that the master's and all workers' scripts must have; it is waited for. Any is taken without.
    pub scripts_fingerprint: Option<String>,
    /// What it may become.
    pub purpose: Purpose,
}

impl StartOrder {
    /// It says nothing of the load.
    #[must_use]
    pub fn leaves_load(&self) -> bool {
        let Self { users, spawn_rate, rate, run_time, .. } = self;
        users.is_none() && spawn_rate.is_none() && rate.is_none() && run_time.is_none()
    }

    /// What is missing where it says something of the load, and not which level a run that is under way shall have: on the command line and in the API.
    #[must_use]
    pub const fn lacks(&self) -> Option<&'static str> {
        match self {
            Self { users: Some(_), .. } | Self { rate: Some(_), .. } => None,
            Self { spawn_rate: Some(_), .. } => Some("a spawn rate alone (-r, `spawn_rate`) needs the number of users (-u, `users`)"),
            Self { run_time: Some(_), .. } => {
                Some("a run time alone (-t, `run_time`) needs the number of users (-u, `users`), or the rate (--rate, `rate`)")
            }
            Self { users: None, rate: None, spawn_rate: None, run_time: None, .. } => None,
        }
    }
}

/// What a start may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Purpose {
    /// A run, or a re-target of the one that is under way; while one ends, a run after it.
    #[default]
    Any,
    /// A run; declined while there is one.
    NewRun,
    /// A re-target; declined without a run.
    Retarget,
    /// What the script's own function says of the run that is under way: another level, or without one the end of the profile.
    Steer,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_without_a_level_names_what_it_lacks() {
        let time = Some(Duration::from_secs(30));
        let pace = StartOrder { spawn_rate: Some(5.0), run_time: time, ..StartOrder::default() };
        assert!(pace.lacks().is_some_and(|what| what.starts_with("a spawn rate alone (-r") && what.contains("(-u, `users`)")));
        let timed = StartOrder { run_time: time, ..StartOrder::default() };
        assert!(timed.lacks().is_some_and(|what| what.starts_with("a run time alone (-t") && what.contains("--rate")));
        assert_eq!(StartOrder { users: Some(3), ..pace }.lacks(), None);
        assert_eq!(StartOrder { rate: Some(Rate(1)), ..timed }.lacks(), None);
        assert_eq!(StartOrder::default().lacks(), None);
    }
}
