//! What may be started, and who makes a plan of it: the order of a start, the scripts that it may name, and the trait of whoever reads them.
//! The cluster does not know how.

use std::time::Duration;

use super::master::RunStart;
use crate::plan::StartOrder;
use crate::stats::snapshot::ClassShare;

/// Makes a run from an order: reads the script anew and puts the settings to it. The cluster does not know how. It may take its time, so it
/// is called on a thread of its own.
pub trait Planner: Send + Sync + 'static {
    /// The run, ready to be prepared by workers.
    ///
    /// # Errors
    /// For people: what is wrong with the order or the script.
    fn plan(&self, order: &StartOrder) -> Result<Planned, String>;

    /// What a running test shall take over of scripts that have changed, by its own script and host. A planner that has compiled the change plans of
    /// that: what lies in its folder by then was judged by nobody.
    ///
    /// # Errors
    /// As of [`Planner::plan`].
    fn revision(&self, order: &StartOrder) -> Result<Planned, String> {
        self.plan(order)
    }

    /// The scripts that a start may name, the default one first. May take its time, too.
    fn scripts(&self) -> Vec<ScriptView>;
}

/// A run that may start.
#[derive(Debug, Clone)]
pub struct Planned {
    /// With what the master starts it.
    pub start: RunStart,
    /// Which profile applies, for people.
    pub words: String,
}

/// One script of the master's.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScriptView {
    /// What a start names it by, such as `shop.lua`.
    pub name: String,
    /// A start that names none means this one.
    pub is_default: bool,
    /// The fingerprint of its bundle: 64 hexadecimal digits. `None` where it could not be read, or was not looked at.
    pub fingerprint: Option<String>,
    /// The base URL that it runs against by itself.
    pub host: Option<String>,
    /// Its user classes and their tasks.
    pub classes: Vec<ClassShare>,
    /// The load of a start that says nothing; `None` where it was not looked at, and of arrivals, which want no number of users.
    pub load: Option<LoadView>,
    /// Why no run can start with it, for people. A module that other scripts require is no scenario, which is told here as well.
    pub error: Option<String>,
}

/// What holds of a start where it says nothing itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LoadView {
    /// The most users at once.
    pub users: u32,
    /// Users that start per second, on the steepest way up; `None` where they all start at once.
    pub spawn_rate: Option<f64>,
    /// When the run ends by itself; `None` where somebody has to stop it.
    pub run_time: Option<Duration>,
    /// The same for a start that says how many users, and nothing else: it replaces the scenario's load as a whole.
    pub spawn_rate_of_users: f64,
    /// See `spawn_rate_of_users`.
    pub run_time_of_users: Option<Duration>,
}

/// The reason why what a function of the script says of a profile is not done: somebody has given that another level.
pub const BY_HAND: &str = "somebody has given it another level";

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Declined {
    /// What whoever asked is told.
    pub reason: String,
}
