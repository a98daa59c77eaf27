//! A named load profile of a run as it travels.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::parts::TrendJson;
use crate::stats::snapshot::ProfileView;

/// One of the profiles that run side by side, in the order of their indices.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Profile)]
pub struct ProfileJson {
    /// Unique in the run.
    pub name: String,
    /// What it wants: `users`, `arrivals` or `iterations`.
    pub kind: String,
    /// The names of its user classes.
    pub classes: Vec<String>,
    /// The run's clock when it begins.
    pub begins_s: f64,
    /// The run's clock when it ends; null where nobody knows before.
    pub ends_s: Option<f64>,
    /// It has come to its end.
    pub over: bool,
    /// Its users that run; null before workers have told.
    pub users: Option<u64>,
    /// Users that it wants now; of one of arrivals, those that it has.
    pub target_users: u64,
    /// Users that it is on its way to.
    pub goal_users: u64,
    /// Iterations per second that it wants now; null where it wants users.
    pub rate_wanted: Option<f64>,
    /// Iterations that came to their end per second, over the last 10 seconds; null where no whole second is known yet.
    pub current_iterations_per_s: Option<f64>,
    /// How long finished iterations took.
    pub duration: TrendJson,
    /// The same from the due time on.
    pub duration_due: TrendJson,
    /// How late they began.
    pub lateness: TrendJson,
    /// Iterations that were due.
    pub due: u64,
    /// Those of them that began.
    pub started: u64,
    /// Those that could not.
    pub dropped: u64,
    /// The same by reason.
    pub dropped_by_reason: BTreeMap<String, u64>,
    /// Those in the hands of workers that are gone.
    pub lost: u64,
    /// How many iterations it has in all; null where it does not say.
    pub total: Option<u64>,
    /// Those of them that began.
    pub begun: Option<u64>,
    /// Iterations that the script ended by an error.
    pub raised: u64,
    /// Iterations that were ended before their own end.
    pub interrupted: u64,
}

impl From<&ProfileView> for ProfileJson {
    fn from(profile: &ProfileView) -> Self {
        let arrivals = &profile.arrivals;
        Self {
            name: profile.name.clone(),
            kind: profile.kind.name().to_owned(),
            classes: profile.classes.clone(),
            begins_s: profile.begins.as_secs_f64(),
            ends_s: profile.ends.map(|ends| ends.as_secs_f64()),
            over: profile.is_over,
            users: profile.users,
            target_users: profile.target_users,
            goal_users: profile.goal_users,
            rate_wanted: arrivals.rate,
            current_iterations_per_s: profile.current_rate,
            duration: (&profile.iterations).into(),
            duration_due: (&profile.since_due).into(),
            lateness: (&profile.lateness).into(),
            due: arrivals.due,
            started: arrivals.started,
            dropped: arrivals.dropped.iter().map(|(_, count)| count).sum(),
            dropped_by_reason: arrivals.dropped.iter().map(|(reason, count)| (reason.name().to_owned(), *count)).collect(),
            lost: arrivals.lost + profile.quota.map_or(0, |quota| quota.lost),
            total: profile.quota.map(|quota| quota.total),
            begun: profile.quota.map(|quota| quota.begun),
            raised: profile.raised,
            interrupted: profile.interrupted,
        }
    }
}
