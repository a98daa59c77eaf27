//! The progress line: the run in one line of a terminal.

use std::time::Duration;

use crate::front::profiles::in_short;
use crate::front::snapshot_json::ProfileJson;
use crate::front::text::{clock, escape, known, milliseconds, percent, shorten};
use crate::stats::snapshot::{RunState, Snapshot};

/// The run as it is, rate and p95 of the last 10 seconds, in one line of at most `width` columns.
#[must_use]
pub fn progress(snapshot: &Snapshot, width: usize) -> String {
    let total = &snapshot.total;
    let users = if snapshot.users == snapshot.target_users {
        format!("{} users", snapshot.users)
    } else {
        format!("{}/{} users", snapshot.users, snapshot.target_users)
    };
    let mut parts = vec![
        state(snapshot.state).to_owned(),
        time(snapshot.elapsed, snapshot.planned, width >= BAR_FROM_WIDTH),
        users,
        snapshot.quota.map_or_else(String::new, |quota| format!("{}/{} iterations", quota.begun, quota.total)),
        snapshot.arrivals.rate.map_or_else(String::new, |rate| format!("{}/s due", (rate * 100.0).round() / 100.0)),
        format!("{} req/s", known(total.current_rps, 1)),
        format!("{} failed ({})", total.failures, percent(total.failures, total.judged())),
        format!("p95 {} ms", snapshot.current_p95.map_or_else(|| "-".to_owned(), milliseconds)),
    ];
    parts.retain(|part| !part.is_empty());
    let profiles: Vec<ProfileJson> = snapshot.profiles.iter().map(ProfileJson::from).collect();
    parts.extend(in_short(&profiles, Some(snapshot.elapsed)).iter().map(|words| format!("[{}]", escape(words))));
    if snapshot.iterations_dropped > 0 {
        parts.push(format!("{} dropped", snapshot.iterations_dropped));
    }
    if snapshot.health.unsound_seconds > 0 {
        parts.push(format!("{} s unsound", snapshot.health.unsound_seconds));
    }
    shorten(&parts.join("  "), width).into_owned()
}

fn state(state: RunState) -> &'static str {
    match state {
        RunState::Ready => "ready",
        RunState::Waiting => "waiting",
        RunState::Spawning => "spawning",
        RunState::Running => "running",
        RunState::Paused => "paused",
        RunState::Stopping => "stopping",
        RunState::Stopped => "stopped",
    }
}

fn time(elapsed: Duration, planned: Option<Duration>, has_bar: bool) -> String {
    let Some(planned) = planned.filter(|planned| !planned.is_zero()) else { return clock(elapsed) };
    if !has_bar {
        return format!("{}/{}", clock(elapsed), clock(planned));
    }
    let share = (elapsed.as_secs_f64() / planned.as_secs_f64()).min(1.0);
    let filled = (share * BAR_WIDTH as f64) as usize;
    format!("{}/{} [{}{}]", clock(elapsed), clock(planned), "#".repeat(filled), ".".repeat(BAR_WIDTH - filled))
}

const BAR_WIDTH: usize = 20;

/// On a narrower terminal the numbers need the bar's place.
const BAR_FROM_WIDTH: usize = 110;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::tests::busy_snapshot;

    #[test]
    fn the_line_says_state_time_users_rate_failures_and_p95() {
        insta::assert_snapshot!(progress(&busy_snapshot(), 200), @"running  0:06/1:00 [##..................]  8/10 users  20.1 req/s  2 failed (1.00%)  p95 15 ms  1 s unsound");
    }

    #[test]
    fn the_line_never_exceeds_the_terminal() {
        assert_eq!(unicode_width::UnicodeWidthStr::width(progress(&busy_snapshot(), 40).as_str()), 40);
    }

    #[test]
    fn a_run_without_an_end_has_no_bar() {
        insta::assert_snapshot!(progress(&Snapshot::default(), 80), @"ready  0:00  0 users  - req/s  0 failed (-)  p95 - ms");
    }
}
