//! What a script describes: the scenario as data for the plan, and the classes as a VM runs them.
//!
//! The Lua side (`lua-stdlib/scenario.lua`) has checked keys and types at the script's own lines; this file turns its plain tables into values.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mlua::{Table, Value};

use super::bindings::http::{connection_plan, tags_of};
use super::value;
use crate::plan::{
    ArrivalsProfile, ClassPlan, ClientIdentity, ConnectionPlan, HostAddress, IterationsProfile, LifePlan, LoadProfile, NamedProfile,
    ProfileEnd, Quota, Rate, RateStage, Spacing, Stage, ThresholdPlan,
};
use crate::protocol::http::HostRule;
use crate::stats::recorder::MetricKind;

/// A scenario, as the master needs it to make a plan.
#[derive(Debug, Clone)]
pub struct ScenarioDescription {
    /// The script's file name without its ending.
    pub name: String,
    /// The base URL of relative URLs.
    pub host: Option<String>,
    /// The base URLs of classes that have their own, by the class's name: they hold whatever the run's host is.
    pub class_hosts: BTreeMap<String, String>,
    /// The user classes, in the scenario's order. Never empty.
    pub classes: Vec<ClassPlan>,
    /// Names of the classes that have no user in this run, since the tags allow none of their tasks.
    pub left_out: Vec<String>,
    /// Names of the profiles that have only such classes.
    pub left_out_profiles: Vec<String>,
    /// The scenario's `load`; of one that a function steers, how it begins.
    pub profile: Option<LoadProfile>,
    /// Which of its profiles a function steers: see [`super::Helm`].
    pub steered: Vec<SteeredProfile>,
    /// By metric, in alphabetical order.
    pub thresholds: Vec<ThresholdPlan>,
    /// How long the run warms up: whole seconds.
    pub warmup: Option<Duration>,
    /// What is done once for the whole run.
    pub life: LifePlan,
    /// What `env()` answered while the script was evaluated.
    pub env: BTreeMap<String, String>,
    /// The names that `env()` was asked for meanwhile, those without an answer too.
    pub asked: BTreeSet<String>,
    /// The base URLs of clients that have their own: they hold whatever the run's host is.
    pub client_hosts: BTreeSet<String>,
    /// The script's own metrics.
    pub metrics: BTreeMap<String, MetricKind>,
    /// Names that need no look-up.
    pub hosts: BTreeMap<String, HostAddress>,
    /// The scenario's `tls`, read.
    pub client_identity: Option<ClientIdentity>,
    /// The scenario's `http`.
    pub connections: ConnectionPlan,
    /// SHA-256 over the script and all that it read.
    pub fingerprint: String,
}

/// A profile that a function steers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SteeredProfile {
    /// Among those that the scenario has, from 0.
    pub place: usize,
    /// From when on, by the run's clock.
    pub start: Duration,
}

/// A class as a VM runs it.
#[derive(Debug, Clone)]
pub(super) struct ClassRuntime {
    /// The number of its methods in the VM.
    pub(super) number: i64,
    pub(super) host: Option<std::rc::Rc<str>>,
    pub(super) wait: WaitRule,
    pub(super) on_start: Option<i64>,
    pub(super) on_stop: Option<i64>,
    pub(super) tasks: Vec<TaskRuntime>,
    /// The sum of the tasks' weights.
    pub(super) total_weight: i64,
}

impl ClassRuntime {
    /// The task for a number drawn from 1 to `total_weight`.
    pub(super) fn task_at(&self, drawn: i64) -> &TaskRuntime {
        let mut left = drawn;
        let chosen = self.tasks.iter().find(|task| {
            left -= i64::from(task.weight);
            left <= 0
        });
        chosen.unwrap_or_else(|| &self.tasks[self.tasks.len() - 1])
    }
}

/// A task as a VM runs it.
#[derive(Debug, Clone)]
pub(super) struct TaskRuntime {
    pub(super) name: String,
    pub(super) weight: u32,
    /// The number of its function in the VM.
    pub(super) job: i64,
}

/// How long users of a class think.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum WaitRule {
    /// All times between the bounds are equally likely.
    Between {
        low: Duration,
        /// Not below `low`.
        high: Duration,
    },
    /// Exponentially distributed, with this mean.
    Poisson { mean: Duration },
    /// What ends with a wait begins so far apart.
    Pacing { interval: Duration },
}

impl WaitRule {
    /// The pause for a random number from [0, 1), where what ends here was to begin `since` ago.
    pub(super) fn pause(self, unit: f64, since: Duration) -> Duration {
        match self {
            Self::Between { low, high } => low + high.saturating_sub(low).mul_f64(unit),
            Self::Poisson { mean } => mean.mul_f64(-(1.0 - unit).ln()),
            Self::Pacing { interval } => interval.saturating_sub(since),
        }
    }

    /// Whether users go on at once.
    pub(super) fn is_none(self) -> bool {
        self == Self::Between { low: Duration::ZERO, high: Duration::ZERO }
    }

    /// Whether the rule needs a random number.
    pub(super) fn is_random(self) -> bool {
        match self {
            Self::Between { low, high } => low < high,
            Self::Poisson { .. } => true,
            Self::Pacing { .. } => false,
        }
    }
}

/// The functions of setup and teardown, where there are such.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Acts {
    pub(super) setup: Option<i64>,
    pub(super) teardown: Option<i64>,
}

/// All that a script describes.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) host: Option<String>,
    pub(super) plans: Vec<ClassPlan>,
    pub(super) runtimes: Vec<ClassRuntime>,
    pub(super) profile: Option<LoadProfile>,
    pub(super) steered: Vec<SteeredProfile>,
    pub(super) thresholds: Vec<ThresholdPlan>,
    pub(super) warmup: Option<Duration>,
    pub(super) life: LifePlan,
    /// The numbers of setup and teardown in the VM.
    pub(super) acts: Acts,
    pub(super) hosts: BTreeMap<String, HostAddress>,
    /// Classes without a task that the tags allow.
    pub(super) left_out: Vec<String>,
    /// Profiles without such a class.
    pub(super) left_out_profiles: Vec<String>,
    /// Paths of certificate and key.
    pub(super) tls: Option<(String, String)>,
    pub(super) connections: ConnectionPlan,
}

impl Described {
    /// From what `native.describe` returned.
    ///
    /// # Errors
    /// A text for people.
    pub(super) fn from_table(table: &Table) -> Result<Self, String> {
        let text = |error: mlua::Error| error.to_string();
        let (mut plans, mut runtimes) = (Vec::new(), Vec::new());
        for class in table.get::<Table>("classes").map_err(text)?.sequence_values::<Table>() {
            let class = class.map_err(text)?;
            plans.push(class_plan(&class).map_err(text)?);
            runtimes.push(class_runtime(&class).map_err(text)?);
        }
        let (profile, steered) = load(&table.get("profiles").map_err(text)?)?;
        let tls: Option<Table> = table.get("tls").map_err(text)?;
        let http: Option<Table> = table.get("http").map_err(text)?;
        Ok(Self {
            connections: http.as_ref().map(connection_plan).transpose()?.unwrap_or_default(),
            host: table.get("host").map_err(text)?,
            plans,
            runtimes,
            steered,
            profile,
            thresholds: thresholds(table).map_err(text)?,
            life: LifePlan { setup: limit(table, "setup_limit")?, teardown: limit(table, "teardown_limit")?, data: None },
            acts: Acts { setup: table.get("setup").map_err(text)?, teardown: table.get("teardown").map_err(text)? },
            warmup: limit(table, "warmup")?,
            hosts: hosts(table)?,
            left_out: table.get("left_out").map_err(text)?,
            left_out_profiles: table.get("left_out_profiles").map_err(text)?,
            tls: tls.map(|tls| Ok((tls.get("cert")?, tls.get("key")?))).transpose().map_err(text)?,
        })
    }
}

/// A duration that may be left out.
fn limit(table: &Table, key: &str) -> Result<Option<Duration>, String> {
    let value: Value = table.get(key).map_err(|error| error.to_string())?;
    if value.is_nil() { Ok(None) } else { value::duration(&value).map(Some).map_err(|why| format!("{key}: {why}")) }
}

fn class_plan(class: &Table) -> mlua::Result<ClassPlan> {
    Ok(ClassPlan { name: class.get("name")?, weight: class.get("weight")?, count: class.get("count")?, tasks: Vec::new() })
}

fn class_runtime(class: &Table) -> mlua::Result<ClassRuntime> {
    let mut tasks = Vec::new();
    for task in class.get::<Table>("tasks")?.sequence_values::<Table>() {
        let task = task?;
        tasks.push(TaskRuntime { name: task.get("name")?, weight: task.get("weight")?, job: task.get("job")? });
    }
    let total_weight = tasks.iter().map(|task| i64::from(task.weight)).sum();
    Ok(ClassRuntime {
        number: class.get("class")?,
        host: class.get::<Option<String>>("host")?.map(Into::into),
        wait: wait_rule(class)?,
        on_start: class.get("on_start")?,
        on_stop: class.get("on_stop")?,
        tasks,
        total_weight,
    })
}

fn wait_rule(class: &Table) -> mlua::Result<WaitRule> {
    let (kind, low, high) = (class.get::<String>("wait_kind")?, duration(class, "wait_low")?, duration(class, "wait_high")?);
    match &*kind {
        "between" => Ok(WaitRule::Between { low, high }),
        "poisson" => Ok(WaitRule::Poisson { mean: low }),
        "pacing" => Ok(WaitRule::Pacing { interval: low }),
        other => Err(mlua::Error::runtime(format!("there is no wait rule of the kind `{other}`"))),
    }
}

fn duration(table: &Table, key: &str) -> mlua::Result<Duration> {
    value::duration(&table.get::<Value>(key)?).map_err(|why| mlua::Error::runtime(format!("{key}: {why}")))
}

/// How work arrives, and where a function steers it: one profile without a name, or as many as there are names.
fn load(profiles: &Table) -> Result<(Option<LoadProfile>, Vec<SteeredProfile>), String> {
    let text = |error: mlua::Error| error.to_string();
    let (mut several, mut steered) = (Vec::new(), Vec::new());
    for (place, entry) in profiles.sequence_values::<Table>().enumerate() {
        let entry = entry.map_err(text)?;
        let load: Table = entry.get("load").map_err(text)?;
        if load.get::<String>("kind").map_err(text)? == "shape" {
            steered.push(SteeredProfile { place, start: duration(&load, "start").map_err(text)? });
        }
        let profile = profile(&load).map_err(text)?;
        let Some(name) = entry.get::<Option<String>>("name").map_err(text)? else {
            return Ok((Some(profile), steered));
        };
        let tags = tags_of(&entry.get::<Value>("tags").map_err(text)?)?;
        several.push(NamedProfile { name, classes: entry.get("classes").map_err(text)?, tags, profile });
    }
    Ok(((!several.is_empty()).then_some(LoadProfile::Several(several)), steered))
}

fn profile(load: &Table) -> mlua::Result<LoadProfile> {
    let kind = load.get::<String>("kind")?;
    let profile = match &*kind {
        "ramp" => ramp(&load.get("stages")?),
        "arrivals" => arrivals(load, &load.get("stages")?),
        "iterations" => iterations(load),
        "shape" => shape(load),
        other => Err(mlua::Error::runtime(format!("there is no profile of the kind `{other}`"))),
    };
    Ok(profile?.delayed(duration(load, "start")?))
}

fn ramp(stages: &Table) -> mlua::Result<LoadProfile> {
    let mut out = Vec::new();
    for stage in stages.sequence_values::<Table>() {
        let stage = stage?;
        out.push(Stage { users: stage.get("users")?, over: duration(&stage, "seconds")? });
    }
    let end = out.iter().map(|stage| stage.over).sum();
    Ok(LoadProfile::staged(out, ProfileEnd::StopAt(end)))
}

fn arrivals(load: &Table, stages: &Table) -> mlua::Result<LoadProfile> {
    let mut out = Vec::new();
    for stage in stages.sequence_values::<Table>() {
        let stage = stage?;
        out.push(RateStage { rate: Rate::per_second(stage.get("rate")?), over: duration(&stage, "seconds")? });
    }
    let end = ProfileEnd::StopAt(out.iter().map(|stage| stage.over).sum());
    let spacing = if load.get::<bool>("is_poisson")? { Spacing::Poisson } else { Spacing::Even };
    let (max_users, patience) = (load.get("max_users")?, duration(load, "patience")?);
    Ok(LoadProfile::Arrivals(ArrivalsProfile { stages: out, end, spacing, max_users, patience }))
}

/// The load of a function, as it begins.
fn shape(load: &Table) -> mlua::Result<LoadProfile> {
    if load.get("is_open")? {
        return Ok(LoadProfile::plain_arrivals(Rate::per_second(load.get("level")?), None));
    }
    let users = load.get::<f64>("level")? as u32;
    Ok(LoadProfile::staged(vec![Stage { users, over: Duration::ZERO }], ProfileEnd::Hold))
}

fn iterations(load: &Table) -> mlua::Result<LoadProfile> {
    let within = if load.contains_key("within")? { ProfileEnd::StopAt(duration(load, "within")?) } else { ProfileEnd::Hold };
    let quota = match load.get::<Option<u32>>("each")? {
        Some(each) => Quota::Each(each),
        // Lua has it as a float.
        None => Quota::Total(load.get::<f64>("total")? as u64),
    };
    Ok(LoadProfile::Iterations(IterationsProfile { users: load.get("users")?, quota, start: Duration::ZERO, end: within }))
}

fn thresholds(table: &Table) -> mlua::Result<Vec<ThresholdPlan>> {
    let list: Table = table.get("thresholds")?;
    list.sequence_values::<Table>()
        .map(|threshold| {
            threshold.and_then(|threshold| Ok(ThresholdPlan { metric: threshold.get("metric")?, condition: threshold.get("condition")? }))
        })
        .collect()
}

fn hosts(table: &Table) -> Result<BTreeMap<String, HostAddress>, String> {
    let given: Option<BTreeMap<String, String>> = table.get("hosts").map_err(|error| error.to_string())?;
    given
        .unwrap_or_default()
        .into_iter()
        .map(|(name, address)| {
            if address.contains('%') {
                return Err(format!("hosts: `{address}` (for `{name}`) has a zone (`%`), which is not possible: give an address without"));
            }
            let parsed =
                address.trim().parse::<HostAddress>().map_err(|_| format!("hosts: `{address}` (for `{name}`) is no IP address"))?;
            // Read here for its mistakes; the client of each lane reads it again.
            HostRule::new(&name, parsed.ip, parsed.port).map_err(|why| format!("hosts: {why}"))?;
            Ok((name, parsed))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(weights: &[u32]) -> ClassRuntime {
        let tasks: Vec<_> =
            weights.iter().enumerate().map(|(i, &weight)| TaskRuntime { name: i.to_string(), weight, job: i as i64 }).collect();
        let total_weight = weights.iter().map(|&weight| i64::from(weight)).sum();
        let wait = WaitRule::Between { low: Duration::from_secs(1), high: Duration::from_secs(3) };
        ClassRuntime { number: 1, host: None, wait, on_start: None, on_stop: None, tasks, total_weight }
    }

    #[test]
    fn each_task_has_as_many_numbers_as_its_weight() {
        let class = class(&[3, 1, 2]);
        let drawn: Vec<_> = (1..=class.total_weight).map(|n| class.task_at(n).name.as_str()).collect();
        assert_eq!(drawn, ["0", "0", "0", "1", "2", "2"]);
    }

    #[test]
    fn a_pause_lies_between_its_bounds() {
        let rule = WaitRule::Between { low: Duration::from_secs(1), high: Duration::from_secs(3) };
        assert_eq!(rule.pause(0.0, Duration::from_secs(9)), Duration::from_secs(1));
        assert_eq!(rule.pause(0.5, Duration::ZERO), Duration::from_secs(2));
    }

    #[test]
    fn pauses_around_a_mean_have_it_and_the_quantiles_of_an_exponential_distribution() {
        let rule = WaitRule::Poisson { mean: Duration::from_secs(2) };
        let pauses: Vec<f64> = (0..10_000).map(|n| rule.pause((f64::from(n) + 0.5) / 10_000.0, Duration::ZERO).as_secs_f64()).collect();
        let mean = pauses.iter().sum::<f64>() / pauses.len() as f64;
        assert!((mean - 2.0).abs() < 0.001, "{mean}");
        assert!((pauses[5_000] - 2.0 * 2_f64.ln()).abs() < 0.001 && pauses[0] < 0.001, "{}", pauses[5_000]);
        assert!(rule.is_random() && rule.pause(1.0 - f64::EPSILON / 2.0, Duration::ZERO) < Duration::from_secs(80));
    }

    #[test]
    fn a_paced_user_pauses_for_what_is_left_of_its_interval() {
        let rule = WaitRule::Pacing { interval: Duration::from_secs(10) };
        let pause = |since| rule.pause(0.0, Duration::from_secs(since));
        assert_eq!([pause(0), pause(4), pause(10), pause(25)], [10, 6, 0, 0].map(Duration::from_secs));
    }
}
