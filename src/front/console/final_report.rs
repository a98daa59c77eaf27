//! The final report: what stays on the screen after a run.

use std::time::Duration;

use anstyle::{AnsiColor, Style};

use super::apart::apart;
use super::by_tag::by_tag;
use super::grid::Grid;
use super::profiles;
use super::table::{table, time};
use super::verdict::{Evidence, ExitCode, NUMBERS_MISSING};
use crate::front::report::{Closing, PERCENTILES};
use crate::front::text::{Align, bytes, clock, duration, escape, number, percent};
use crate::stats::snapshot::{EntryView, MetricValue, Snapshot, TrendView, UnsoundView};

/// The table and all that follows it: percentiles, errors, exceptions, checks, groups, metrics, phases, thresholds, workers, what is lost and
/// what ran twice, the generator's own part, the verdict. Tables without rows are left out. `by` names tags that have tables of their own.
#[must_use]
pub fn final_report(snapshot: &Snapshot, exit_code: ExitCode, width: usize, is_coloured: bool, by: &[String]) -> String {
    [
        apart(snapshot, width),
        table(snapshot, width),
        percentiles(snapshot, width),
        percentiles_since_due(snapshot, width),
        by_tag(snapshot, by, width),
        profiles::table(snapshot, width),
        arrivals(snapshot),
        quota(snapshot),
        errors(snapshot, width),
        exceptions(snapshot),
        checks(snapshot, width),
        groups(snapshot, width),
        metrics(snapshot, width),
        phases(snapshot, width),
        thresholds(snapshot, is_coloured),
        workers(snapshot, width),
        lost(snapshot, width),
        health(snapshot),
        verdict_line(snapshot, exit_code, is_coloured),
    ]
    .concat()
}

/// What went wrong in a run whose numbers are shown elsewhere; nothing where all was well.
#[must_use]
pub fn troubles(snapshot: &Snapshot, width: usize) -> String {
    [errors(snapshot, width), exceptions(snapshot), lost(snapshot, width)].concat()
}

fn percentiles(snapshot: &Snapshot, width: usize) -> String {
    if snapshot.total.timed() == 0 {
        return String::new();
    }
    let columns: Vec<(&'static str, Align)> = [("Name", Align::Left), ("# reqs", Align::Right)]
        .into_iter()
        .chain(PERCENTILES.iter().map(|(name, _)| (*name, Align::Right)))
        .collect();
    let mut grid = Grid::new("Percentage of the requests completed within given times (ms)", &columns)
        .dispensing(&["66%", "80%", "98%", "75%", "99.99%", "90%"]);
    let row = |entry: &EntryView, name: String| -> Vec<String> {
        let times = PERCENTILES.iter().map(|(_, quantile)| time(entry.percentile(*quantile)));
        [name, entry.requests.to_string()].into_iter().chain(times).collect()
    };
    for entry in &snapshot.entries {
        grid.row(row(entry, format!("{} {}", entry.method, entry.name)));
    }
    grid.row(row(&snapshot.total, "Total".to_owned()));
    grid.render(width)
}

/// The same from the moment at which iterations were due, where they had one.
fn percentiles_since_due(snapshot: &Snapshot, width: usize) -> String {
    let columns: Vec<(&'static str, Align)> = [("Name", Align::Left), ("# reqs", Align::Right)]
        .into_iter()
        .chain(PERCENTILES.iter().map(|(name, _)| (*name, Align::Right)))
        .collect();
    let mut grid = Grid::new("The same, from the moment at which their iterations were due (ms)", &columns);
    let row = |trend: &TrendView, name: String| -> Vec<String> {
        let seconds = |value: Option<f64>| time(value.map(|value| Duration::from_secs_f64(value.max(0.0))));
        let times = PERCENTILES.iter().map(|(_, quantile)| seconds(trend.percentile(*quantile)));
        [name, trend.count.to_string()].into_iter().chain(times).collect()
    };
    for entry in snapshot.entries.iter().filter(|entry| entry.since_due.count > 0) {
        grid.row(row(&entry.since_due, format!("{} {}", entry.method, entry.name)));
    }
    if snapshot.since_due.count > 0 {
        grid.row(row(&snapshot.since_due, "Total".to_owned()));
    }
    grid.render(width)
}

/// What became of the iterations of an open profile.
fn arrivals(snapshot: &Snapshot) -> String {
    let arrivals = &snapshot.arrivals;
    if arrivals.due == 0 {
        return String::new();
    }
    let reasons: Vec<String> = arrivals.dropped.iter().map(|(reason, count)| format!("{count} {}", reason.name())).collect();
    let reasons = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
    let late =
        |seconds: Option<f64>| seconds.map_or_else(|| "unknown".to_owned(), |seconds| duration(Duration::from_secs_f64(seconds.max(0.0))));
    format!(
        "Iterations: {} due, {} started, {} dropped{reasons}, {} lost; begun late by p50 {}, p99 {}, max {}\n\n",
        arrivals.due,
        arrivals.started,
        snapshot.iterations_dropped,
        arrivals.lost,
        late(snapshot.times.lateness.percentile(0.5)),
        late(snapshot.times.lateness.percentile(0.99)),
        late(snapshot.times.lateness.max),
    )
}

/// How many iterations began of a profile that says how many there are.
fn quota(snapshot: &Snapshot) -> String {
    let Some(quota) = &snapshot.quota else { return String::new() };
    let mut rest = Vec::new();
    if quota.lost > 0 {
        rest.push(format!("{} lost with their worker", quota.lost));
    }
    if quota.left() > 0 {
        rest.push(format!("{} not begun", quota.left()));
    }
    let rest = if rest.is_empty() { String::new() } else { format!("; {}", rest.join(", ")) };
    format!("Iterations: {} of {} begun{rest}\n\n", quota.begun, quota.total)
}

fn errors(snapshot: &Snapshot, width: usize) -> String {
    let columns = [("# occurrences", Align::Right), ("Kind", Align::Left), ("Name", Align::Left), ("Error", Align::Left)];
    let mut grid = Grid::new("Error report", &columns);
    for error in &snapshot.errors {
        let name = format!("{} {}", error.method, error.name);
        grid.row(vec![error.occurrences.to_string(), error.kind.name().to_owned(), name, error.message.to_string()]);
    }
    grid.render(width)
}

fn exceptions(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    for exception in &snapshot.exceptions {
        // A traceback keeps its lines; each is escaped by itself.
        let traceback: String = exception.traceback.lines().map(|line| format!("     {}\n", escape(line.trim_start()))).collect();
        text.push_str(&format!(" {} x {}\n{traceback}", exception.count, escape(&exception.message)));
    }
    if text.is_empty() { text } else { format!("Exceptions of the script\n{text}\n") }
}

fn checks(snapshot: &Snapshot, width: usize) -> String {
    let columns = [("Name", Align::Left), ("passes", Align::Right), ("fails", Align::Right), ("passed", Align::Right)];
    let mut grid = Grid::new("Checks", &columns);
    for check in &snapshot.checks {
        let share = percent(check.passes, check.passes + check.fails);
        grid.row(vec![check.name.to_string(), check.passes.to_string(), check.fails.to_string(), share]);
    }
    grid.render(width)
}

fn groups(snapshot: &Snapshot, width: usize) -> String {
    let mut grid = Grid::new("Groups (ms)", &trend_columns("# times"));
    for group in &snapshot.groups {
        grid.row(trend_row(group));
    }
    grid.render(width)
}

fn phases(snapshot: &Snapshot, width: usize) -> String {
    let mut grid = Grid::new("Phases of all requests (ms)", &trend_columns("# times"));
    // The last one is the generator's, which has its own line.
    let [times @ .., _] = snapshot.times.each();
    for phase in snapshot.phases.iter().chain([&snapshot.since_due]).chain(times.iter().copied()).filter(|phase| phase.count > 0) {
        grid.row(trend_row(phase));
    }
    grid.render(width)
}

fn trend_columns(count: &'static str) -> [(&'static str, Align); 7] {
    let right = Align::Right;
    [("Name", Align::Left), (count, right), ("Avg", right), ("Min", right), ("Median", right), ("p95", right), ("Max", right)]
}

/// A row of milliseconds.
fn trend_row(trend: &TrendView) -> Vec<String> {
    let seconds = |value: Option<f64>| time(value.map(|value| Duration::from_secs_f64(value.max(0.0))));
    vec![
        trend.name.to_string(),
        trend.count.to_string(),
        seconds(trend.avg()),
        seconds(trend.min),
        seconds(trend.percentile(0.5)),
        seconds(trend.percentile(0.95)),
        seconds(trend.max),
    ]
}

fn metrics(snapshot: &Snapshot, width: usize) -> String {
    let mut grid = Grid::new("Metrics of the script", &[("Name", Align::Left), ("Kind", Align::Left), ("Value", Align::Left)]);
    for metric in &snapshot.metrics {
        let (kind, value) = match &metric.value {
            MetricValue::Counter(sum) => ("counter", number(*sum)),
            MetricValue::Gauge { last, min, max } => ("gauge", format!("{}  min {}  max {}", number(*last), number(*min), number(*max))),
            MetricValue::Rate { passes, total } => ("rate", format!("{}  {passes} of {total}", percent(*passes, *total))),
            MetricValue::Trend(trend) => ("trend", plain_trend(trend)),
        };
        grid.row(vec![metric.name.to_string(), kind.to_owned(), value]);
    }
    grid.render(width)
}

/// A trend of the script's own has no unit that we know.
fn plain_trend(trend: &TrendView) -> String {
    let parts =
        [("avg", trend.avg()), ("min", trend.min), ("med", trend.percentile(0.5)), ("p95", trend.percentile(0.95)), ("max", trend.max)];
    let text: Vec<String> = parts.iter().map(|(name, value)| format!("{name} {}", value.map_or_else(|| "-".to_owned(), number))).collect();
    format!("{}  of {}", text.join("  "), trend.count)
}

fn thresholds(snapshot: &Snapshot, is_coloured: bool) -> String {
    let mut text = String::new();
    for threshold in &snapshot.thresholds {
        let word = if threshold.passed { paint("passed", GREEN, is_coloured) } else { paint("FAILED", RED, is_coloured) };
        let (metric, condition, actual) = (escape(&threshold.metric), escape(&threshold.condition), escape(&threshold.actual));
        text.push_str(&format!(" {word}  {metric}: {condition}  (actual: {actual})\n"));
    }
    if text.is_empty() { text } else { format!("Thresholds\n{text}\n") }
}

/// The workers at the end; a run in one process has none to tell of.
fn workers(snapshot: &Snapshot, width: usize) -> String {
    let right = Align::Right;
    let columns = [("Worker", Align::Left), ("State", Align::Left), ("Lanes", right), ("Cores", right), ("Memory", right), ("Lag", right)];
    let mut grid = Grid::new("Workers", &columns);
    if snapshot.workers.len() > 1 || snapshot.workers.iter().any(|worker| worker.address.is_some()) {
        for worker in &snapshot.workers {
            grid.row(vec![
                worker.id.clone(),
                worker.state.name().to_owned(),
                worker.lanes.to_string(),
                known(worker.cpu_cores.map(|cores| format!("{cores:.2}"))),
                known(worker.memory_bytes.map(bytes)),
                known(worker.lag.map(duration)),
            ]);
        }
    }
    grid.render(width)
}

/// What nobody has told stays a dash: it is no zero.
fn known(reading: Option<String>) -> String {
    reading.unwrap_or_else(|| "-".to_owned())
}

/// Numbers that are lost, and load that ran twice.
fn lost(snapshot: &Snapshot, width: usize) -> String {
    let columns = [("Worker", Align::Left), ("from", Align::Right), ("to", Align::Right), ("What", Align::Left)];
    let mut grid = Grid::new("Lost with workers, or twice", &columns);
    for hole in &snapshot.holes {
        let what = "its numbers of this time are missing".to_owned();
        grid.row(vec![hole.worker.clone(), clock(hole.from), clock(hole.to), what]);
    }
    for overlap in &snapshot.overlaps {
        let users = overlap.users;
        let what = format!("its {users} user{} ran here and on other workers", if users == 1 { "" } else { "s" });
        let to = overlap.to.map_or_else(|| "the end".to_owned(), clock);
        grid.row(vec![overlap.worker.clone(), clock(overlap.from), to, what]);
    }
    grid.render(width)
}

fn health(snapshot: &Snapshot) -> String {
    let (health, total) = (&snapshot.health, &snapshot.total);
    let lag =
        |seconds: Option<f64>| seconds.map_or_else(|| "unknown".to_owned(), |seconds| duration(Duration::from_secs_f64(seconds.max(0.0))));
    let mut text = format!(
        "Generator: lag p99 {}, max {}; {}, {}; {} out, {} in\n",
        lag(snapshot.times.lag.percentile(0.99)),
        lag(snapshot.times.lag.max),
        health.cpu_cores.map_or_else(|| "cores unknown".to_owned(), |cores| format!("{cores:.2} cores")),
        health.memory_bytes.map_or_else(|| "memory unknown".to_owned(), |memory| format!("{} of memory", bytes(memory))),
        bytes(total.bytes_out),
        bytes(total.bytes_in)
    );
    if let Some(floor) = snapshot.floor() {
        let [cpu, p50, p99] = [floor.cpu, floor.p50, floor.p99].map(duration);
        text.push_str(&format!(
            " Floor: a request that costs the target nothing takes {p50} here, p99 {p99}, and {cpu} of processor time\n"
        ));
    }
    for (count, one, many, words) in counts(snapshot).into_iter().filter(|(count, ..)| *count > 0) {
        text.push_str(&format!(" {count} {} {words}\n", if count == 1 { one } else { many }));
    }
    text.push_str(&unsound(snapshot));
    if !health.throttled.is_zero() {
        text.push_str(&format!(" the cgroup kept the process from running for {}\n", duration(health.throttled)));
    }
    if health.unpacking >= NOTABLE_UNPACKING {
        text.push_str(&format!(" unpacking bodies took {} of processor time here, which is in no duration\n", duration(health.unpacking)));
    }
    for warning in &snapshot.warnings {
        text.push_str(&format!(" warning: {}\n", escape(warning)));
    }
    text.push('\n');
    text
}

/// What happened besides requests that were answered: how often, what one and what many of it are called, and what it means.
fn counts(snapshot: &Snapshot) -> [(u64, &'static str, &'static str, &'static str); 14] {
    let (health, total) = (&snapshot.health, &snapshot.total);
    [
        (total.cut, "request was", "requests were", "cut off with their users: they are no failures, and no time of theirs is counted"),
        (total.not_sent, "request was", "requests were", "not sent"),
        (total.unanswered, "request was", "requests were", "sent and not answered"),
        (
            total.stale_retries,
            "request was",
            "requests were",
            "sent again, since the server had closed the connection or said that it had not processed them",
        ),
        (total.clamped, "duration", "durations", "lay outside 1 us to 1 h"),
        (
            snapshot.iterations_interrupted,
            "iteration was",
            "iterations were",
            "interrupted: their users were to finish, and these had begun",
        ),
        (snapshot.iterations_dropped, "iteration was", "iterations were", "due and could not begin"),
        (
            snapshot.backoffs,
            "pause of a user",
            "pauses of users",
            "after iterations that raised, got no answer or asked for nothing, so that nothing is flooded (--no-error-backoff)",
        ),
        (
            snapshot.hold_pauses,
            "pause of a user",
            "pauses of users",
            "after scripts that held their lane, so that its other users had their turns",
        ),
        (snapshot.start_failures, "time", "times", "an on_start raised"),
        (snapshot.stop_failures, "time", "times", "an on_stop raised"),
        (snapshot.users_dropped, "user was", "users were", "dropped"),
        (
            health.local_failures,
            "request",
            "requests",
            "failed for want of descriptors, ports or buffers here, and are not held against the target",
        ),
        (health.unsound_seconds, "second was", "seconds were", "unsound: numbers of that time are not the target's alone"),
    ]
}

/// Why seconds were unsound, which of which worker, and how much of the run that touches.
fn unsound(snapshot: &Snapshot) -> String {
    let health = &snapshot.health;
    let mut text = String::new();
    for UnsoundView { worker, stretch, holds } in &health.unsound {
        let whose = if worker.is_empty() { "the generator".to_owned() } else { escape(worker).into_owned() };
        let (first, end) = (clock(stretch.first), clock(stretch.end));
        let seconds = if stretch.seconds == 1 { format!("at {first}") } else { format!("{} s from {first} to {end}", stretch.seconds) };
        text.push_str(&format!("   {whose} {} ({seconds})\n", stretch.reason.words()));
        for (holder, counts) in holds {
            text.push_str(&format!("     {}: {}\n", stretch.reason.name(), escape(&holder.words(*counts))));
        }
    }
    if health.unsound_requests > 0 {
        let share = percent(health.unsound_requests, snapshot.total.requests);
        text.push_str(&format!("   {share} of the requests ended in these seconds\n"));
    }
    text
}

/// How the run ended, for its files.
#[must_use]
pub fn closing(snapshot: &Snapshot, exit_code: ExitCode, is_complete: bool) -> Closing {
    Closing { is_complete, exit_code: exit_code.code(), has_passed: exit_code == ExitCode::Passed, words: words(snapshot, exit_code) }
}

fn verdict_line(snapshot: &Snapshot, exit_code: ExitCode, is_coloured: bool) -> String {
    let total = &snapshot.total;
    let verdict = words(snapshot, exit_code);
    // What a check function raised is counted among the exceptions and among what its check failed.
    let raised = snapshot.exceptions_raised().saturating_sub(snapshot.steps_raised());
    let failed = snapshot.checks.iter().map(|check| check.fails).sum::<u64>().saturating_sub(raised);
    let counted = [
        (total.requests, "request"),
        (total.cut, "cut"),
        (snapshot.exceptions_raised() - raised, "exception"),
        (failed, "failed check"),
        (raised, "raised check"),
    ];
    let parts = counted.into_iter().enumerate().filter(|(place, (count, _))| *place == 0 || *count > 0);
    let parts: Vec<String> =
        parts.map(|(_, (count, what))| format!("{count} {what}{}", if count == 1 || what == "cut" { "" } else { "s" })).collect();
    // A run that somebody stopped, or whose users had all ended, tells of less than was planned.
    let planned = snapshot.planned.filter(|planned| snapshot.elapsed + ABOUT < *planned);
    let length = planned
        .map_or_else(|| clock(snapshot.elapsed), |planned| format!("{} of {}, ended early", clock(snapshot.elapsed), clock(planned)));
    let style = if exit_code == ExitCode::Passed { GREEN } else { RED };
    format!("{} ({} in {}, exit code {})\n", paint(&verdict, style, is_coloured), parts.join(", "), length, exit_code.code())
}

/// What the exit code means for this run.
fn words(snapshot: &Snapshot, exit_code: ExitCode) -> String {
    let total = &snapshot.total;
    let failed_thresholds = snapshot.thresholds.iter().filter(|threshold| !threshold.passed).count();
    let hollow = Evidence::of(snapshot).hollow();
    match (exit_code, hollow) {
        (ExitCode::Passed, _) => "passed".to_owned(),
        (ExitCode::RequestsFailed(_), Some(why)) => format!("FAILED: {why}"),
        (ExitCode::RequestsFailed(_), None) if total.failures == 0 && snapshot.steps_raised() > 0 => {
            format!("FAILED: the script raised {} times", snapshot.steps_raised())
        }
        (ExitCode::RequestsFailed(_), None) if total.failures == 0 => {
            format!("FAILED: checks raised {} times", snapshot.exceptions_raised())
        }
        (ExitCode::RequestsFailed(_), None) => format!("FAILED: {} of {} requests failed", total.failures, total.judged()),
        (ExitCode::Unsound, _) => {
            let (unsound, all) = (snapshot.health.unsound_seconds, Evidence::of(snapshot).seconds);
            format!("UNSOUND: the generator was at fault in {unsound} of {all} seconds, and --strict allows a hundredth")
        }
        (ExitCode::ThresholdsFailed, _) => format!("FAILED: {failed_thresholds} of {} thresholds", snapshot.thresholds.len()),
        (ExitCode::Interrupted, _) => "interrupted before any verdict".to_owned(),
        (ExitCode::ClusterLost, _) => {
            let why = Evidence::of(snapshot).incomplete;
            format!("INCOMPLETE: {}", escape(why.as_deref().unwrap_or(NUMBERS_MISSING)))
        }
        (ExitCode::BadUse, _) => match &snapshot.misuse {
            Some(why) => format!("FAILED: {}", escape(why)),
            None if snapshot.steps_raised() > 0 => "FAILED: the script raised, and made no request".to_owned(),
            None => "FAILED: the scenario could not be set up".to_owned(),
        },
        (ExitCode::Bug, _) => "BROKEN: a bug of lunamoth; please report what the log says".to_owned(),
    }
}

fn paint(text: &str, style: Style, is_coloured: bool) -> String {
    if is_coloured { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

/// So much a run's end may be before the planned one: users that had ended need not wait for it.
const ABOUT: Duration = Duration::from_secs(1);
/// Less is no news.
const NOTABLE_UNPACKING: Duration = Duration::from_millis(100);

const GREEN: Style = AnsiColor::Green.on_default();
const RED: Style = AnsiColor::Red.on_default().bold();

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::console::table::TABLE_WIDTH;
    use crate::front::tests::busy_snapshot;
    use crate::stats::snapshot::RunState;

    #[test]
    fn a_run_that_was_ended_early_says_so_in_its_verdict() {
        let of = |elapsed, planned: Option<u64>| {
            let planned = planned.map(Duration::from_secs);
            let snapshot = Snapshot { state: RunState::Stopped, elapsed: Duration::from_secs(elapsed), planned, ..Snapshot::default() };
            verdict_line(&snapshot, ExitCode::Passed, false)
        };
        assert_eq!(of(12, Some(60)), "passed (0 requests in 0:12 of 1:00, ended early, exit code 0)\n");
        assert_eq!(of(60, Some(60)), "passed (0 requests in 1:00, exit code 0)\n");
        assert_eq!(of(12, None), "passed (0 requests in 0:12, exit code 0)\n");
    }

    #[test]
    fn a_run_that_could_not_be_finished_says_why_in_its_verdict() {
        let of = |unfinished: Option<&str>| {
            let snapshot = Snapshot { unfinished: unfinished.map(str::to_owned), ..Snapshot::default() };
            closing(&snapshot, ExitCode::ClusterLost, false)
        };
        assert_eq!(of(None).words, "INCOMPLETE: numbers of a worker are missing");
        let given_up = of(Some("nobody led it"));
        assert_eq!((&*given_up.words, given_up.has_passed, given_up.exit_code), ("INCOMPLETE: nobody led it", false, 3));
    }

    #[test]
    fn the_report_of_a_busy_run_shows_everything_once() {
        let snapshot = Snapshot { state: RunState::Stopped, ..busy_snapshot() };
        insta::assert_snapshot!(final_report(&snapshot, ExitCode::ThresholdsFailed, TABLE_WIDTH, false, &[]), @r##"
         Name                                                          # reqs      # fails     Avg     Min     Max  |  Median   req/s     p95     p99 failures/s
        --------------------------------------------------------------------------------------------------------------------------------------------------------
         GET /cart                                                        100     0(0.00%)    0.42    0.42    0.42  |    0.42   16.67    0.42    0.42       0.00
         POST /日本/long/long/long/long…g/long/long/long/end\u{1b}[2J     101     2(1.98%)      27      15    1234  |      15   16.83      15      15       0.33
        --------------------------------------------------------------------------------------------------------------------------------------------------------
         Total                                                            201     2(1.00%)      14    0.42    1234  |      15   33.50      15      15       0.33
         Rates are those of the whole run.

        Percentage of the requests completed within given times (ms)
         Name                                                          # reqs   50%   66%   75%   80%   90%   95%   98%   99%  99.9%  99.99%  100%
        -------------------------------------------------------------------------------------------------------------------------------------------
         GET /cart                                                        100  0.42  0.42  0.42  0.42  0.42  0.42  0.42  0.42   0.42    0.42  0.42
         POST /日本/long/long/long/long…g/long/long/long/end\u{1b}[2J     101    15    15    15    15    15    15    15    15   1234    1234  1234
         Total                                                            201    15    15    15    15    15    15    15    15   1234    1234  1234

        Error report
         # occurrences  Kind    Name         Error
        ---------------------------------------------------------------
                     2  status  POST /login  =503 Service\nUnavailable

        Exceptions of the script
         3 x shop.lua:3: attempt to index nil
             stack traceback:
             shop.lua:3: in function

        Checks
         Name         passes  fails  passed
        ------------------------------------
         has a price      99      1  99.00%

        Groups (ms)
         Name      # times  Avg  Min  Median  p95  Max
        -----------------------------------------------
         checkout        4   20   20      20   20   20

        Metrics of the script
         Name    Kind     Value
        -----------------------------------------------------------------
         orders  counter  7
         basket  trend    avg 2.75  min 2  med 2.001  p95 5  max 5  of 4
         hits    rate     25.00%  1 of 4
         depth   gauge    2.5  min 1  max 9

        Phases of all requests (ms)
         Name                # times   Avg   Min  Median   p95   Max
        -------------------------------------------------------------
         http_req_waiting        200  0.40  0.40    0.40  0.40  0.40
         iteration_duration       90    16    16      16    16    16

        Thresholds
         passed  http_req_duration: p(95) < 200ms  (actual: 15ms)
         FAILED  http_req_failed: rate < 1%  (actual: 1.5%)

        Generator: lag p99 80us, max 80us; 0.42 cores, 30.0 MiB of memory; 0 B out, 0 B in
         1 second was unsound: numbers of that time are not the target's alone
           the generator was late: it came to its timers after more than 50 ms (at 0:05)
           9.95% of the requests ended in these seconds
         warning: names limit reached

        FAILED: 1 of 2 thresholds (201 requests, 3 raised checks in 0:06 of 1:00, ended early, exit code 99)
        "##);
    }

    #[test]
    fn the_report_of_a_cluster_tells_of_its_workers_and_of_what_is_lost_with_one() {
        let report = final_report(&crate::front::tests::snapshot_of_a_cluster(), ExitCode::ClusterLost, TABLE_WIDTH, false, &[]);
        let at = report.find("Workers\n").unwrap();
        insta::assert_snapshot!(&report[at..report.find("Generator").unwrap()], @r##"
        Workers
         Worker  State    Lanes  Cores    Memory   Lag
        -----------------------------------------------
         a_1     ready        2   0.50  30.0 MiB  80us
         b_2     missing      2      -         -     -

        Lost with workers, or twice
         Worker  from       to  What
        ------------------------------------------------------------------
         b_2     0:03     0:06  its numbers of this time are missing
         b_2     0:04  the end  its 7 users ran here and on other workers
        "##);
    }

    #[test]
    fn the_report_of_a_run_without_requests_has_no_empty_tables() {
        insta::assert_snapshot!(final_report(&Snapshot::default(), ExitCode::Interrupted, TABLE_WIDTH, false, &[]), @r##"
         Name                                                          # reqs      # fails     Avg     Min     Max  |  Median   req/s     p95     p99 failures/s
        --------------------------------------------------------------------------------------------------------------------------------------------------------
        --------------------------------------------------------------------------------------------------------------------------------------------------------
         Total                                                              0         0(-)       -       -       -  |       -       -       -       -          -

        Generator: lag p99 unknown, max unknown; cores unknown, memory unknown; 0 B out, 0 B in

        interrupted before any verdict (0 requests in 0:00, exit code 130)
        "##);
    }

    #[test]
    fn colours_are_added_only_where_they_are_allowed() {
        assert!(final_report(&busy_snapshot(), ExitCode::Passed, TABLE_WIDTH, true, &[]).contains("\x1b[32mpassed\x1b[0m"));
        assert!(!final_report(&busy_snapshot(), ExitCode::Passed, TABLE_WIDTH, false, &[]).contains('\x1b'));
    }
}
