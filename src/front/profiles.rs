//! The load profiles of a run side by side, in a few words each: what every screen shows of them.

use std::time::Duration;

use super::snapshot_json::ProfileJson;
use super::text::{clock, known, length, number};

/// Each profile with what it wants and what it has, in a few words: `browse 20/20 users`, `buy 4.9 of 5/s`, `admin 12/30 iterations`.
#[must_use]
pub fn in_short(profiles: &[ProfileJson], elapsed: Option<Duration>) -> Vec<String> {
    profiles.iter().map(|profile| format!("{} {}", profile.name, state_of(profile, elapsed))).collect()
}

/// What a profile has of what it wants, or that it has not begun, or is over.
#[must_use]
pub fn state_of(profile: &ProfileJson, elapsed: Option<Duration>) -> String {
    let ahead = length(profile.begins_s).filter(|begins| elapsed.is_some_and(|elapsed| elapsed < *begins));
    let iterations = profile.begun.zip(profile.total).map(|(begun, total)| format!("{begun}/{total} iterations"));
    if profile.over {
        return iterations.map_or_else(|| "over".to_owned(), |iterations| format!("over, {iterations}"));
    }
    if let Some(begins) = ahead {
        return format!("from {}", clock(begins));
    }
    match (iterations, profile.rate_wanted) {
        (Some(iterations), _) => iterations,
        (None, Some(rate)) => format!("{} of {}/s", known(profile.current_iterations_per_s, 1), number((rate * 100.0).round() / 100.0)),
        (None, None) => {
            let users = profile.users.map_or_else(|| "-".to_owned(), |users| users.to_string());
            format!("{users}/{} users", profile.target_users)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_says_what_it_has_of_what_it_wants_and_when_it_begins_and_is_over() {
        let browse = ProfileJson { name: "browse".into(), users: Some(18), target_users: 20, ..ProfileJson::default() };
        let buy = ProfileJson { rate_wanted: Some(5.0), current_iterations_per_s: Some(4.93), begins_s: 10.0, ..ProfileJson::default() };
        let admin = ProfileJson { total: Some(30), begun: Some(12), ..ProfileJson::default() };
        let at = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(in_short(std::slice::from_ref(&browse), at(1)), ["browse 18/20 users"]);
        assert_eq!([state_of(&buy, at(9)), state_of(&buy, at(11))], ["from 0:10", "4.9 of 5/s"]);
        assert_eq!(state_of(&admin, at(1)), "12/30 iterations");
        assert_eq!(state_of(&ProfileJson { over: true, ..admin }, at(1)), "over, 12/30 iterations");
        assert_eq!(state_of(&ProfileJson { over: true, users: Some(0), ..browse }, at(1)), "over");
        assert_eq!(state_of(&ProfileJson::default(), at(1)), "-/0 users");
    }
}
