//! Which load profile a run has: the scenario's own, or the plain ramp that settings or a start ask for.

use std::time::Duration;

use super::settings::Settings;
use crate::plan::{LoadProfile, ProfileEnd, StartOrder};
use crate::spelling::nearest;

impl Settings {
    /// Of the scenario's load the profiles that shall run: all, or those of `--only`.
    ///
    /// # Errors
    /// It names one that there is not, or there are no names.
    pub fn chosen_of(&self, scenario: LoadProfile) -> Result<LoadProfile, String> {
        if self.only.is_empty() {
            return Ok(scenario);
        }
        let named = scenario.named();
        if named.is_empty() {
            return Err(format!("--only {}: the scenario's load has no profiles with names", self.only.join(",")));
        }
        let names: Vec<&str> = named.iter().map(|named| named.name.as_str()).collect();
        for wanted in &self.only {
            if !names.contains(&wanted.as_str()) {
                let near = nearest(wanted, names.iter().copied(), |name| name.len().div_ceil(3));
                let hint = near.map_or_else(String::new, |name| format!("did you mean `{name}`? "));
                return Err(format!("--only: there is no profile `{wanted}`; {hint}There are {}", names.join(", ")));
            }
        }
        Ok(LoadProfile::Several(named.iter().filter(|named| self.only.contains(&named.name)).cloned().collect()))
    }

    /// The profile of a run that is started by the settings alone, and the line for the log that says which one applies.
    #[must_use]
    pub fn profile(&self, scenario: Option<LoadProfile>) -> (LoadProfile, String) {
        self.profile_for(&StartOrder::default(), scenario)
    }

    /// The profile of a run that is started by `order`, and the words for log and reply that say which one applies.
    ///
    /// With users in the order it is a plain ramp, and what the order leaves out comes from the settings: `-r` and `-t`, else 1 a second
    /// until stopped. Without users it is what the settings say, else the scenario's own, else 1 user; then the order's time still ends
    /// it, and the order's rate holds where a rate has a meaning, on a plain ramp. The settings' scale multiplies whichever it is.
    #[must_use]
    pub fn profile_for(&self, order: &StartOrder, scenario: Option<LoadProfile>) -> (LoadProfile, String) {
        let (profile, words) = self.unscaled_profile(order, scenario);
        if self.scale == 1.0 {
            (profile, words)
        } else {
            (profile.scaled(self.scale), format!("{words}; every level times {}", self.scale))
        }
    }

    fn unscaled_profile(&self, order: &StartOrder, scenario: Option<LoadProfile>) -> (LoadProfile, String) {
        if let Some(rate) = order.rate.or(self.rate.filter(|_| order.users.is_none())) {
            let run_time = order.run_time.or(self.run_time);
            let ending = run_time.map_or("until stopped".to_owned(), |time| format!("for {}", words_of(time)));
            let why = match (order.rate, scenario) {
                (Some(_), Some(_)) => "; this start's rate replaces the scenario's load as a whole",
                (None, Some(_)) => "; --rate replaces the scenario's load as a whole",
                _ => "",
            };
            let profile = LoadProfile::plain_arrivals(rate, run_time).with_max_users(order.max_users);
            return (profile, format!("arrivals: {rate}, {ending}{why}"));
        }
        let by_settings = self.users.is_some() || self.spawn_rate.is_some() || self.run_time.is_some();
        match scenario {
            Some(own) if order.users.is_none() && !by_settings => scenarios_own(own, order),
            scenario => {
                let (users, rate) = (order.users.or(self.users).unwrap_or(1), order.spawn_rate.or(self.spawn_rate).unwrap_or(1.0));
                let run_time = order.run_time.or(self.run_time);
                let ending = run_time.map_or("until stopped".to_owned(), |time| format!("for {}", words_of(time)));
                let why = match (order.users, scenario) {
                    (Some(_), Some(_)) => "; this start's users replace the scenario's load as a whole",
                    (None, Some(_)) => "; -u -r -t replace the scenario's load as a whole",
                    _ => "",
                };
                let text = if order.leaves_load() && !by_settings {
                    "users: 1 until stopped, since neither the scenario nor -u -r -t says otherwise".to_owned()
                } else {
                    format!("users: {users} at {rate} per second, {ending}{why}")
                };
                (LoadProfile::plain(users, rate, run_time), text)
            }
        }
    }
}

fn scenarios_own(own: LoadProfile, order: &StartOrder) -> (LoadProfile, String) {
    let what = match own {
        LoadProfile::Ramp(_) => "users",
        LoadProfile::Arrivals(_) => "arrivals",
        LoadProfile::Iterations(_) => "iterations",
        LoadProfile::Several(_) => "profiles",
    };
    let mut text = match own.named() {
        [] => format!("{what}: as the scenario's load says"),
        named => {
            let names: Vec<&str> = named.iter().map(|named| named.name.as_str()).collect();
            format!("{what}: {}, as the scenario's load says", names.join(", "))
        }
    };
    let mut profile = own;
    if let Some(time) = order.run_time {
        profile = profile.ending(ProfileEnd::StopAt(time));
        text += &format!(", for {}", words_of(time));
    }
    if order.spawn_rate.is_some() {
        text += "; the spawn rate is not used, since no number of users came with it";
    }
    (profile, text)
}

fn words_of(time: Duration) -> String {
    humantime::format_duration(time).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Rate;
    use crate::plan::{NamedProfile, Stage};

    fn own() -> LoadProfile {
        LoadProfile::staged(vec![Stage { users: 20, over: Duration::from_secs(10) }], ProfileEnd::StopAt(Duration::from_secs(60)))
    }

    fn order(users: Option<u32>, spawn_rate: Option<f64>, run_time_seconds: Option<u64>) -> StartOrder {
        StartOrder { users, spawn_rate, run_time: run_time_seconds.map(Duration::from_secs), ..StartOrder::default() }
    }

    #[test]
    fn of_several_profiles_those_run_that_are_named_and_every_level_is_scaled() {
        let named = |name: &str, profile| NamedProfile { name: name.into(), classes: vec![], tags: Default::default(), profile };
        let rate = |per_second| LoadProfile::plain_arrivals(Rate::per_second(per_second), None);
        let load = LoadProfile::Several(vec![named("admin", own()), named("browse", own()), named("buy", rate(5.0))]);
        let only =
            |names: &[&str]| Settings { only: names.iter().map(|name| (*name).to_owned()).collect(), scale: 2.0, ..Settings::default() };
        assert_eq!(only(&[]).chosen_of(load.clone()), Ok(load.clone()));
        let (profile, words) = only(&["buy", "admin"]).profile(only(&["buy", "admin"]).chosen_of(load.clone()).ok());
        assert_eq!(profile, LoadProfile::Several(vec![named("admin", own().scaled(2.0)), named("buy", rate(10.0))]));
        assert_eq!(words, "profiles: admin, buy, as the scenario's load says; every level times 2");
        let told = only(&["buy", "admn"]).chosen_of(load.clone()).unwrap_err();
        assert_eq!(told, "--only: there is no profile `admn`; did you mean `admin`? There are admin, browse, buy");
        assert_eq!(only(&["x"]).chosen_of(own()).unwrap_err(), "--only x: the scenario's load has no profiles with names");
        let (profile, words) = Settings::default().profile_for(&order(Some(4), None, None), Some(load.clone()));
        assert_eq!((profile, words.contains("replace the scenario's load as a whole")), (LoadProfile::plain(4, 1.0, None), true));
        let (profile, words) = Settings::default().profile_for(&order(None, None, Some(30)), Some(load));
        assert_eq!(
            (profile.end(), words.as_str()),
            (ProfileEnd::StopAt(Duration::from_secs(30)), "profiles: admin, browse, buy, as the scenario's load says, for 30s")
        );
    }

    #[test]
    fn any_of_users_rate_and_time_replaces_the_scenarios_load() {
        let nothing = Settings::default();
        assert_eq!(nothing.profile(Some(own())), (own(), "users: as the scenario's load says".to_owned()));
        let (profile, line) = nothing.profile(None);
        assert_eq!(profile, LoadProfile::plain(1, 1.0, None));
        assert_eq!(line, "users: 1 until stopped, since neither the scenario nor -u -r -t says otherwise");
        let timed = Settings { run_time: Some(Duration::from_secs(90)), ..Settings::default() };
        let (profile, line) = timed.profile(Some(own()));
        assert_eq!(profile, LoadProfile::plain(1, 1.0, Some(Duration::from_secs(90))));
        assert_eq!(line, "users: 1 at 1 per second, for 1m 30s; -u -r -t replace the scenario's load as a whole");
        let full = Settings { users: Some(8), spawn_rate: Some(4.0), ..Settings::default() };
        assert_eq!(full.profile(None), (LoadProfile::plain(8, 4.0, None), "users: 8 at 4 per second, until stopped".to_owned()));
    }

    #[test]
    fn users_of_a_start_replace_the_scenarios_load_and_settings_stand_behind_them() {
        let nothing = Settings::default();
        let (profile, words) = nothing.profile_for(&order(Some(4), Some(2.5), None), Some(own()));
        assert_eq!(profile, LoadProfile::plain(4, 2.5, None));
        assert_eq!(words, "users: 4 at 2.5 per second, until stopped; this start's users replace the scenario's load as a whole");
        let settings = Settings { users: Some(9), spawn_rate: Some(3.0), run_time: Some(Duration::from_secs(60)), ..Settings::default() };
        let minute = Some(Duration::from_secs(60));
        assert_eq!(settings.profile_for(&order(Some(4), None, None), Some(own())).0, LoadProfile::plain(4, 3.0, minute));
        let (profile, words) = settings.profile_for(&order(Some(4), Some(8.0), Some(5)), None);
        assert_eq!(profile, LoadProfile::plain(4, 8.0, Some(Duration::from_secs(5))));
        assert_eq!(words, "users: 4 at 8 per second, for 5s");
    }

    #[test]
    fn a_start_without_users_runs_what_settings_or_scenario_say() {
        let settings = Settings { users: Some(9), ..Settings::default() };
        let (profile, words) = settings.profile_for(&order(None, Some(3.0), Some(5)), Some(own()));
        assert_eq!(profile, LoadProfile::plain(9, 3.0, Some(Duration::from_secs(5))));
        assert_eq!(words, "users: 9 at 3 per second, for 5s; -u -r -t replace the scenario's load as a whole");
        let nothing = Settings::default();
        let (profile, words) = nothing.profile_for(&order(None, Some(3.0), Some(5)), Some(own()));
        assert_eq!(profile, own().ending(ProfileEnd::StopAt(Duration::from_secs(5))));
        assert_eq!(words, "users: as the scenario's load says, for 5s; the spawn rate is not used, since no number of users came with it");
        let (profile, words) = nothing.profile_for(&order(None, Some(3.0), None), None);
        assert_eq!((profile, words.as_str()), (LoadProfile::plain(1, 3.0, None), "users: 1 at 3 per second, until stopped"));
    }

    #[test]
    fn the_scale_multiplies_every_level_and_keeps_times_and_at_least_one_user() {
        let settings = Settings { scale: 1.5, ..Settings::default() };
        let (profile, words) = settings.profile(Some(own()));
        assert_eq!(
            profile,
            LoadProfile::staged(vec![Stage { users: 30, over: Duration::from_secs(10) }], ProfileEnd::StopAt(Duration::from_secs(60)))
        );
        assert_eq!(words, "users: as the scenario's load says; every level times 1.5");
        let settings = Settings { scale: 0.01, users: Some(8), spawn_rate: Some(4.0), ..Settings::default() };
        let (profile, words) = settings.profile(None);
        let LoadProfile::Ramp(ramp) = profile else { panic!("no ramp") };
        assert_eq!((ramp.stages[0].users, ramp.stages[0].over), (1, Duration::from_secs(2)));
        assert_eq!(words, "users: 8 at 4 per second, until stopped; every level times 0.01");
    }

    #[test]
    fn a_rate_of_settings_or_of_an_order_is_plain_arrivals_and_an_orders_users_go_before_the_settings_rate() {
        let rate = Rate::per_second(500.0);
        let settings = Settings { rate: Some(rate), run_time: Some(Duration::from_secs(60)), ..Settings::default() };
        let (profile, words) = settings.profile(Some(own()));
        assert_eq!(profile, LoadProfile::plain_arrivals(rate, Some(Duration::from_secs(60))));
        assert_eq!(words, "arrivals: 500/s, for 1m; --rate replaces the scenario's load as a whole");
        let order = StartOrder { rate: Some(Rate::per_second(1.0 / 60.0)), ..StartOrder::default() };
        let (profile, words) = Settings { scale: 2.0, ..Settings::default() }.profile_for(&order, None);
        assert_eq!(profile, LoadProfile::plain_arrivals(Rate::per_second(1.0 / 30.0), None));
        assert_eq!(words, "arrivals: 1/m, until stopped; every level times 2");
        let users = StartOrder { users: Some(3), ..StartOrder::default() };
        assert!(!settings.profile_for(&users, None).0.is_open());
    }
}
