//! The catalogue: every metric that a threshold may judge, with its meaning. The parser reads it, and `lunamoth metrics` prints it.

use super::family::{Aggregate, Family, Unit};
use super::metric::MetricKind;
use super::phases::PHASES;
use super::times::TIMES;

/// One metric, as people know it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listed {
    /// As a threshold names it.
    pub(super) name: &'static str,
    pub(super) family: Family,
    /// What it is, on one line.
    meaning: &'static str,
    /// A condition that makes sense for it.
    example: &'static str,
}

const fn listed(name: &'static str, family: Family, meaning: &'static str, example: &'static str) -> Listed {
    Listed { name, family, meaning, example }
}

/// The metrics that every run has, in the order in which people look for them.
pub(super) fn metrics() -> impl Iterator<Item = Listed> {
    let phases = PHASES.into_iter().map(|phase| listed(phase.metric, Family::Phase, phase.meaning, phase.example));
    let mut times = TIMES.into_iter().map(|time| listed(time.metric, Family::Times, time.meaning, time.example));
    let of_generator = times.next_back().map(|lag| Listed { family: Family::Lag, ..lag });
    REQUESTS.into_iter().chain(phases).chain(COUNTS).chain(times).chain(OTHERS).chain(of_generator)
}

/// Those of requests, phases apart.
const REQUESTS: [Listed; 4] = [
    listed("http_req_duration", Family::Duration, "from the ask to the last byte, connection set-up included", "p(95) < 200ms"),
    listed(
        "http_req_failed",
        Family::Failed,
        "requests without an answer, with a status of 400 or above, or failed by the script",
        "rate < 1%",
    ),
    listed("http_reqs", Family::Requests, "requests that came to their own end", "count > 1000"),
    listed("http_req_duration_due", Family::DurationDue, "from the due time to the last byte, where iterations have one", "p(99) < 1s"),
];

/// The same, of what has to do with no request and is counted.
const COUNTS: [Listed; 5] = [
    listed("checks", Family::Checks, "checks that held", "rate > 99%"),
    listed(
        "exceptions",
        Family::Exceptions,
        "errors that the script raised; the rate is the share of iterations that raised",
        "count == 0",
    ),
    listed("iterations", Family::Count, "iterations that came to their end", "count > 100"),
    listed("iterations_interrupted", Family::Count, "iterations that began, and whose users were to finish or were dropped", "count < 10"),
    listed("dropped_iterations", Family::Count, "iterations that were due and could not begin", "count == 0"),
];

/// The same, of groups, users and bytes.
const OTHERS: [Listed; 4] = [
    listed("group_duration", Family::Groups, "passages through the script's groups", "p(95) < 2s"),
    listed("users", Family::Users, "users that ran at the end of a second", "max >= 50"),
    listed("data_sent", Family::Bytes, "bytes on the wire to the target, headers included", "count < 10MB"),
    listed("data_received", Family::Bytes, "bytes on the wire from the target, headers included", "count < 1GB"),
];

/// The list of metrics for people, with what a threshold may say of each.
#[must_use]
pub fn text() -> String {
    let mut text = String::from(INTRODUCTION);
    for metric in metrics() {
        text.push_str(&entry(metric.name, metric.family, metric.meaning, metric.example));
    }
    text.push_str("\nThe script's own metrics, by the names that it gives them (`require \"metric\"`):\n");
    for (kind, meaning, example) in [
        (MetricKind::Counter, "a sum", "count > 10"),
        (MetricKind::Gauge, "the last value", "value < 100"),
        (MetricKind::Rate, "a share of true values", "rate > 95%"),
        (MetricKind::Trend, "a distribution, of numbers or of seconds", "p(95) < 30"),
    ] {
        text.push_str(&entry(kind.name(), Family::Own(kind), meaning, example));
    }
    text.push_str(GRAMMAR);
    text
}

fn entry(name: &str, family: Family, meaning: &str, example: &str) -> String {
    let aggregates = family.aggregates().join(", ");
    let selectors = match family.selectors() {
        [] => String::new(),
        selectors => format!("   selectors: {}", selectors.join(", ")),
    };
    let unit = unit_of(family);
    format!("\n  {name}\n      {meaning}\n      {unit}: {aggregates}{selectors}\n      such as \"{example}\"\n")
}

/// What the values are numbers of.
fn unit_of(family: Family) -> &'static str {
    // A count has no unit in any family; what tells the family's is any other aggregate.
    let telling = if family.aggregates().contains(&"avg") { Aggregate::Avg } else { Aggregate::Rate };
    match family.unit(telling) {
        Unit::Time => "times (us, ms, s, m, h)",
        Unit::Share => "a share (% or 0 to 1)",
        Unit::Bytes => "bytes (B, kB, MB, GB, KiB, MiB, GiB)",
        Unit::Plain if family.aggregates().contains(&"rate") => "a number; its rate is per second",
        Unit::Plain => "a number",
    }
}

const INTRODUCTION: &str = "\
Metrics for `thresholds` of a scenario, with the aggregates and the selectors that each has:
";

const GRAMMAR: &str = r#"
A threshold is an aggregate, one of `<` `<=` `>` `>=` `==` `!=`, and a number with its unit; ` or no data` lets it pass where nothing was
measured, which fails otherwise. A percentile is p(N) with N from 0 to 100, such as p(99.9). What was cut at the end of a run is in none.
` over 30s`: it must hold in each window of so long, one of which begins with each second. ` after 1m`: what was before counts for nothing.
` abort`: the run ends once it does not hold.

  thresholds = {
    http_req_duration = { "p(95) < 200ms", "avg < 50ms", "p(99) < 1s over 30s after 1m abort" },
    ["http_req_duration{name:/cart,method:POST}"] = "p(99) < 1s",
    ["http_req_duration{kind:read}"] = "p(99) < 300ms",  -- of requests with tags = { kind = "read" }
    ["http_reqs{name:\"/a,b:{c}\"}"] = "count > 1e2",      -- a name in quotes may hold commas, colons and braces
    http_req_failed = "rate < 1%",
    exceptions = "count == 0",
  }
"#;

#[cfg(test)]
mod tests {
    use super::super::threshold::Threshold;
    use super::*;
    use crate::plan::ThresholdPlan;

    #[test]
    fn each_example_is_a_threshold_that_can_be_judged() {
        for metric in metrics() {
            let plan = ThresholdPlan { metric: metric.name.to_owned(), condition: metric.example.to_owned() };
            assert_eq!(Threshold::parse(&plan, &[]).map(|_| ()), Ok(()));
        }
    }

    #[test]
    fn every_metric_is_listed_once_phases_included() {
        let names: std::collections::BTreeSet<&str> = metrics().map(|metric| metric.name).collect();
        assert_eq!(names.len(), metrics().count());
        assert!(PHASES.iter().all(|phase| names.contains(phase.metric)));
    }

    #[test]
    fn the_list_tells_units_aggregates_and_selectors() {
        let text = text();
        for words in [
            "http_req_duration\n",
            "times (us, ms, s, m, h): count, min, max, avg, med, p(N)   selectors: name, method",
            "a share (% or 0 to 1): count, rate   selectors: check",
            "a number; its rate is per second: count, rate   selectors: name, method",
            "bytes (B, kB, MB, GB, KiB, MiB, GiB): count, rate",
            "users\n",
        ] {
            assert!(text.contains(words), "{words}\n{text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 140), "{text}");
    }
}
