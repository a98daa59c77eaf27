//! From settings, a script and an order to the plan of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use super::failure::Failure;
use super::start::Start;
use super::steering::{Steered, SteeredPart};
use crate::config::Settings;
use crate::plan::{ClassPlan, HttpPlan, LoadProfile, NamedProfile, Plan, ProfileEnd, RunId, StartOrder, ThresholdPlan, shown_host};
use crate::script::{Host, LoadOptions};
use crate::spelling::{nearest, third};
use crate::stats::threshold::{Threshold, ThresholdError};
use crate::target::Target;

/// A plan and what people are told of it.
pub(super) struct Planning {
    pub(super) plan: Plan,
    /// Whose load profile applies, for people.
    pub(super) profile_words: String,
    pub(super) thresholds: Vec<Threshold>,
    /// What steers its load, where the script's own load applies and is a function.
    pub(super) steered: Option<Steered>,
}

/// Plans a run of `host`'s script against the base URL `base`.
pub(super) fn plan_run(settings: &Settings, host: &Host, order: &StartOrder, base: Option<String>) -> Result<Planning, Failure> {
    let scenario = host.description();
    let all = scenario.profile.as_ref().map_or(&[][..], LoadProfile::named);
    let chosen = scenario.profile.clone().map(|load| settings.chosen_of(load)).transpose();
    let chosen = chosen.map_err(|why| Failure::bad_use(anyhow::anyhow!(why)))?;
    if scenario.profile.is_none() && !settings.only.is_empty() {
        return Err(Failure::bad_use(anyhow::anyhow!("--only {}: the scenario has no load", settings.only.join(","))));
    }
    let (profile, profile_words) = settings.profile_for(order, chosen);
    counts_fit(&scenario.classes, &profile)?;
    let mut run_settings = settings.run.clone();
    run_settings.warmup = order.warmup.or(run_settings.warmup).or(scenario.warmup).filter(|warmup| !warmup.is_zero());
    if let (Some(warmup), ProfileEnd::StopAt(end)) = (run_settings.warmup, profile.end())
        && warmup >= end
    {
        let [warmup, end] = [warmup, end].map(|time| time.as_secs_f64());
        return Err(Failure::bad_use(anyhow::anyhow!("the warm-up takes {warmup} s and the whole run {end} s: nothing would count")));
    }
    let own_metrics: Vec<_> = scenario.metrics.iter().map(|(name, kind)| (name.clone(), *kind)).collect();
    // Those that -T and -E have left nothing of may be meant, as those that --only does.
    let left_out = scenario.left_out_profiles.iter();
    let left_out = left_out.filter_map(|name| Some(NamedProfile { name: name.clone(), ..all.first()?.clone() }));
    let known: Vec<NamedProfile> = all.iter().cloned().chain(left_out).collect();
    let read = |stated: &ThresholdPlan| {
        let meant = Threshold::parse_in(stated, &own_metrics, &known)?;
        let of_profile = meant.profile().unwrap_or("").to_owned();
        let Some(threshold) = meant.among(profile.named()) else {
            log::warn!("threshold `{}: {}` is left out, since profile `{of_profile}` does not run", stated.metric, stated.condition);
            return Ok(None);
        };
        if let ProfileEnd::StopAt(end) = profile.end() {
            threshold.fits(run_settings.warmup.unwrap_or(Duration::ZERO), end)?;
        }
        Ok(Some(threshold))
    };
    let wanted = order.thresholds.as_ref().unwrap_or(&scenario.thresholds);
    let thresholds: Result<Vec<Option<Threshold>>, ThresholdError> = wanted.iter().map(read).collect();
    let thresholds = thresholds.map_err(Failure::bad_use)?;
    let stated = wanted.iter().zip(&thresholds).filter(|(_, read)| read.is_some()).map(|(plan, _)| plan.clone()).collect();
    let http = HttpPlan {
        extra_roots: settings.extra_roots.clone(),
        hosts: scenario.hosts.clone(),
        client_identity: scenario.client_identity.clone(),
        connections: scenario.connections,
    };
    let plan = Plan {
        run: RunId(random_number()),
        revision: 0,
        seed: settings.seed.unwrap_or_else(random_number),
        scenario: scenario.name.clone(),
        script: host.bundle().main().to_owned(),
        fingerprint: scenario.fingerprint.clone(),
        host: base,
        other_host: None,
        classes: scenario.classes.clone(),
        profile,
        thresholds: stated,
        metrics: own_metrics,
        tags: settings.tag_filter(),
        env: scenario.env.clone(),
        settings: run_settings,
        http,
        life: scenario.life.clone(),
    };
    let helm = host.helm(&settings.tag_filter()).filter(|_| has_own_load(settings, order));
    let parts: Vec<_> = scenario.steered.iter().filter_map(|steered| SteeredPart::of(steered, all, &plan.profile)).collect();
    let steered = helm.filter(|_| !parts.is_empty()).map(|helm| Steered { run: plan.run, scale: settings.scale, helm, parts });
    Ok(Planning { plan, profile_words, thresholds: thresholds.into_iter().flatten().collect(), steered })
}

/// Whether the load is the script's: whatever else says how many users or which rate does so in place of a function, too.
fn has_own_load(settings: &Settings, order: &StartOrder) -> bool {
    let Settings { users, spawn_rate, rate, run_time, .. } = settings;
    let is_set = users.is_some() || spawn_rate.is_some() || rate.is_some() || run_time.is_some();
    !is_set && order.users.is_none() && order.rate.is_none()
}

/// A rate of iterations has no use for a number of users.
fn counts_fit(classes: &[ClassPlan], profile: &LoadProfile) -> Result<(), Failure> {
    for (place, _) in profile.each().enumerate().filter(|(_, part)| part.is_open()) {
        let own = profile.named().get(place).map_or(&[][..], |named| &named.classes);
        let has = |class: &&ClassPlan| own.is_empty() || own.contains(&class.name);
        if let Some(class) = classes.iter().filter(has).find(|class| class.count.is_some()) {
            return Err(Failure::bad_use(anyhow::anyhow!(
                "class `{}` has a count of users, which a rate of iterations has no use for: give it a weight",
                class.name
            )));
        }
    }
    Ok(())
}

/// A run's plan with what was started for it.
pub(super) struct Prepared {
    pub(super) plan: Arc<Plan>,
    pub(super) profile_words: String,
    pub(super) thresholds: Vec<Threshold>,
    pub(super) steered: Option<Steered>,
    /// The built-in target, where the host is one; it serves as long as this lives.
    _target: Option<Target>,
}

/// Plans a run in this process, by the settings alone.
pub(super) fn prepare(settings: &Settings, host: &Host) -> Result<Prepared, Failure> {
    warn_of_kept_hosts(host, settings.host.as_deref());
    let (base, target) = resolve_host(settings.host.clone().or_else(|| host.description().host.clone()))?;
    let Planning { plan, profile_words, thresholds, steered } = plan_run(settings, host, &StartOrder::default(), base)?;
    Ok(Prepared { plan: Arc::new(plan), profile_words, thresholds, steered, _target: target })
}

/// The plan of a run of two sides, with what was started for side B.
pub(super) struct PreparedSides {
    /// Against side A, and without thresholds: its numbers are those of both sides together.
    pub(super) prepared: Prepared,
    /// Where A and B are.
    pub(super) urls: [String; 2],
    /// As of `prepared`, of side B.
    pub(super) _target: Option<Target>,
}

/// Plans a run in this process whose iterations go to one of two base URLs.
pub(super) fn prepare_sides(settings: &Settings, host: &Host, [a, b]: [String; 2]) -> Result<PreparedSides, Failure> {
    let settings = Settings { host: Some(a), ..settings.clone() };
    let prepared = prepare(&settings, host)?;
    warn_of_kept_hosts(host, Some(b.as_str()));
    let (b, target) = resolve_host(Some(b))?;
    let urls = [prepared.plan.host.clone(), b.clone()].map(|url| url.expect("a host that is given is never none"));
    let plan = Plan { other_host: b, thresholds: Vec::new(), ..(*prepared.plan).clone() };
    Ok(PreparedSides { prepared: Prepared { plan: Arc::new(plan), thresholds: Vec::new(), ..prepared }, urls, _target: target })
}

/// The base URL; a `builtin:` target is started for it.
fn resolve_host(host: Option<String>) -> Result<(Option<String>, Option<Target>), Failure> {
    match host.as_deref().and_then(|host| host.strip_prefix("builtin:")) {
        None => Ok((host, None)),
        Some("shop") => {
            let target = Target::start(([127, 0, 0, 1], 0).into())
                .map_err(|why| Failure::bad_use(anyhow::Error::new(why).context("start the built-in target on 127.0.0.1")))?;
            log::info!("the built-in target listens on {}", target.url());
            Ok((Some(target.url()), Some(target)))
        }
        Some(other) => Err(Failure::bad_use(anyhow::anyhow!("there is no built-in target `{other}`; there is `builtin:shop`"))),
    }
}

/// A number that differs from run to run: the standard library's own random seed, drawn from the system.
pub(super) fn random_number() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

/// Loads the script of `run` and `check`.
pub(super) fn load_script(start: &Start) -> Result<Host, Failure> {
    let Some(script) = &start.settings.script else {
        return Err(Failure::bad_use(anyhow::anyhow!("no script is named: give its path, such as scripts/quickstart.lua")));
    };
    let options = LoadOptions { tags: start.settings.tag_filter(), env: start.settings.set.clone(), data: start.settings.data.clone() };
    let host = Host::load(script, &options).map_err(Failure::bad_use)?;
    for class in &host.description().left_out {
        log::warn!("class `{class}` has no users: -T and -E leave none of its tasks");
    }
    for profile in &host.description().left_out_profiles {
        log::warn!("profile `{profile}` does not run: -T and -E leave no task of its classes");
    }
    for line in unasked(&start.settings.set, &host.description().asked, |name| host.bundle().mentions(name)) {
        log::warn!("{line}");
    }
    Ok(host)
}

/// Says at the start where a host that was `given` for the run is not where all of its requests go.
pub(super) fn warn_of_kept_hosts(host: &Host, given: Option<&str>) {
    let told = host.description();
    if let Some(line) = given.and_then(|given| kept_hosts(&told.class_hosts, &told.client_hosts, given)) {
        log::warn!("{line}");
    }
}

/// A line on the classes and clients whose own host is another one than the run's, which replaces the scenario's alone. Who means to load a host of tests
/// would load theirs.
fn kept_hosts(of_classes: &BTreeMap<String, String>, of_clients: &BTreeSet<String>, given: &str) -> Option<String> {
    let other = |own: &String| own.trim().trim_end_matches('/') != given.trim().trim_end_matches('/');
    let classes = of_classes.iter().filter(|(_, own)| other(own)).map(|(class, own)| format!("`{class}` ({})", shown_host(own)));
    let clients = of_clients.iter().filter(|own| other(own)).map(|own| format!("an `http.client` ({})", shown_host(own)));
    let others: Vec<_> = classes.chain(clients).collect();
    let given = shown_host(given);
    let words = "takes the place of the scenario's host alone; whoever has a host of its own sends its requests there:";
    (!others.is_empty()).then(|| format!("{given} {words} {}", others.join(", ")))
}

/// A line for each name of `--set` that the script has not asked for: it may be misspelled, and would change nothing in silence. One that its text mentions
/// may yet be asked for, in a task.
fn unasked(set: &BTreeMap<String, String>, asked: &BTreeSet<String>, is_mentioned: impl Fn(&str) -> bool) -> Vec<String> {
    let line = |name: &String| {
        let free = asked.iter().filter(|asked| !set.contains_key(*asked)).map(String::as_str);
        let hint = nearest(name, free, third).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        format!(
            "--set {name}: the script has not asked for it while it was loaded, as `env(\"{name}\")` at its top does, and mentions it nowhere{hint}"
        )
    };
    set.keys().filter(|name| !asked.contains(*name) && !is_mentioned(name)).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_set_and_never_asked_for_is_told_with_the_one_that_may_be_meant() {
        let set = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect::<BTreeMap<_, _>>();
        let asked = ["CURRENCY", "TENANT"].map(str::to_owned).into();
        let told = |names: &[&str]| unasked(&set(names), &asked, |name| name == "REGION");
        assert!(told(&["CURRENCY", "TENANT"]).is_empty());
        let words = "--set CURENCY: the script has not asked for it while it was loaded, as `env(\"CURENCY\")` at its top does, and mentions it nowhere";
        assert_eq!(told(&["CURENCY", "TENANT"]), [format!("{words}; did you mean `CURRENCY`?")]);
        assert_eq!(told(&["CURENCY", "CURRENCY"]), [words], "that one is set, too");
        assert!(told(&["REGION"]).is_empty(), "a task may ask for it");
    }

    #[test]
    fn classes_and_clients_that_keep_their_host_whatever_the_run_is_given_are_named() {
        let own = [("Admin", "http://me:secret@prod"), ("Shopper", "http://staging/")];
        let own = BTreeMap::from(own.map(|(class, host)| (class.to_owned(), host.to_owned())));
        let clients = BTreeSet::from(["http://me:secret@billing".to_owned(), "http://staging".to_owned()]);
        let words = "takes the place of the scenario's host alone; whoever has a host of its own sends its requests there:";
        assert_eq!(kept_hosts(&own, &BTreeSet::new(), "http://staging"), Some(format!("http://staging {words} `Admin` (http://prod)")));
        let all =
            "`Admin` (http://prod), `Shopper` (http://staging/), an `http.client` (http://billing), an `http.client` (http://staging)";
        assert_eq!(kept_hosts(&own, &clients, "http://me:secret@other"), Some(format!("http://other {words} {all}")));
        assert_eq!(kept_hosts(&BTreeMap::new(), &BTreeSet::new(), "http://staging"), None);
    }
}
