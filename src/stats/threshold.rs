//! Thresholds: what a script demands of a metric, parsed and checked before the run. How they stand is `verdict`'s.

use std::time::Duration;

use super::catalogue::metrics;
use super::family::{Aggregate, Family, Unit};
use super::histogram::Histogram;
use super::metric::MetricKind;
use super::quantile::Quantile;
use super::span::Span;
use super::tags;
use crate::plan::{NamedProfile, Plan, ThresholdPlan};
use crate::spelling::nearest;

/// One condition on one metric, such as `http_req_duration{name:/cart}` and `p(95) < 200ms or no data`.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    pub(super) plan: ThresholdPlan,
    pub(super) metric: String,
    pub(super) family: Family,
    pub(super) selector: Vec<(String, String)>,
    /// The place of the profile that it looks at among the run's; of what is measured of requests the selector alone tells.
    pub(super) profile: Option<usize>,
    pub(super) aggregate: Aggregate,
    pub(super) operator: Operator,
    /// In the unit of the aggregate: seconds, bytes, a share of 1, or a plain number.
    pub(super) limit: f64,
    pub(super) span: Span,
}

impl Threshold {
    /// Reads a threshold of a run whose profiles have no names. `own` are the script's own metrics with their kinds.
    ///
    /// # Errors
    /// Says what is wrong in the metric or the condition, with the nearest right name where there is one.
    pub fn parse(plan: &ThresholdPlan, own: &[(String, MetricKind)]) -> Result<Self, ThresholdError> {
        Self::parse_in(plan, own, &[])
    }

    /// Those of a plan, and in words why others of it cannot be read.
    #[must_use]
    pub fn of_plan(plan: &Plan) -> (Vec<Self>, Vec<String>) {
        let (mut thresholds, mut unread) = (Vec::new(), Vec::new());
        for threshold in &plan.thresholds {
            match Self::parse_in(threshold, &plan.metrics, plan.profile.named()) {
                Ok(threshold) => thresholds.push(threshold),
                Err(why) => unread.push(why.to_string()),
            }
        }
        (thresholds, unread)
    }

    /// The same of a run with these profiles.
    ///
    /// # Errors
    /// As above.
    pub fn parse_in(plan: &ThresholdPlan, own: &[(String, MetricKind)], profiles: &[NamedProfile]) -> Result<Self, ThresholdError> {
        let problem = |reason: String| ThresholdError { metric: plan.metric.clone(), condition: plan.condition.clone(), reason };
        let (metric, selector) = parse_metric(&plan.metric).map_err(problem)?;
        let family = family_of(metric, own).map_err(problem)?;
        let selector = parse_selector(metric, family, selector).map_err(problem)?;
        let profile = profile_of(&selector, profiles).map_err(problem)?;
        let (condition, span) = Span::split(&plan.condition).map_err(problem)?;
        if family == Family::Users && (span.is_partial() || span.aborts) {
            return Err(problem(format!("`{metric}` is judged over the whole run, at its end: it has no `over`, `after` and `abort`")));
        }
        let (aggregate, operator, limit) = parse_condition(metric, family, condition).map_err(problem)?;
        if family == Family::Phase && !selector.is_empty() && matches!(aggregate, Aggregate::Percentile(_)) {
            let reason = format!("`{metric}` has percentiles for the whole run only; use `avg`, `min`, `max` or `count` with a selector");
            return Err(problem(reason));
        }
        Ok(Self { plan: plan.clone(), metric: metric.to_owned(), family, selector, profile, aggregate, operator, limit, span })
    }

    /// The profile that it looks at, if at one alone.
    #[must_use]
    pub fn profile(&self) -> Option<&str> {
        self.selector.iter().find(|(key, _)| key == tags::PROFILE).map(|(_, name)| name.as_str())
    }

    /// The same in a run of these profiles; `None` where the one that it looks at is none of them.
    #[must_use]
    pub fn among(self, profiles: &[NamedProfile]) -> Option<Self> {
        let Some(name) = self.profile() else { return Some(self) };
        let place = profiles.iter().position(|named| named.name == name)?;
        Some(Self { profile: Some(place), ..self })
    }

    /// What is wrong with it in a run that ends by itself at `end`.
    ///
    /// # Errors
    /// It looks at a part that such a run never comes to.
    pub fn fits(&self, warmup: Duration, end: Duration) -> Result<(), ThresholdError> {
        let problem = |reason| ThresholdError { metric: self.plan.metric.clone(), condition: self.plan.condition.clone(), reason };
        // What is measured in the warm-up is in no window.
        let after_seconds = self.span.after_seconds.max(warmup.as_secs());
        Span { after_seconds, ..self.span }.fits(end).map_err(problem)
    }
}

impl Threshold {
    /// Whether a value keeps the limit.
    ///
    /// A percentile is known to a thousandth: it is the upper end of the histogram's bucket in which it lies. A limit in that bucket may be the value itself,
    /// as a median of 3 is, and is taken for it.
    pub(super) fn holds(&self, actual: f64) -> bool {
        let is_known_to = if matches!(self.aggregate, Aggregate::Percentile(_)) { Histogram::RESOLUTION } else { 0.0 };
        let is_limit = actual > self.limit && actual - self.limit <= self.limit * is_known_to;
        self.operator.holds(if is_limit { self.limit } else { actual }, self.limit)
    }
}

/// A threshold that cannot be judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("threshold `{metric}: {condition}`: {reason}")]
pub struct ThresholdError {
    /// As the script wrote it.
    pub metric: String,
    /// As the script wrote it.
    pub condition: String,
    /// What is wrong, and what would be right.
    pub reason: String,
}

/// How a value is compared with the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

impl Operator {
    pub(super) fn holds(self, actual: f64, limit: f64) -> bool {
        match self {
            Self::Less => actual < limit,
            Self::LessOrEqual => actual <= limit,
            Self::Greater => actual > limit,
            Self::GreaterOrEqual => actual >= limit,
            Self::Equal => actual == limit,
            Self::NotEqual => actual != limit,
        }
    }
}

/// The longer operators first, so that `<=` is not read as `<`.
const OPERATORS: [(&str, Operator); 6] = [
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

/// Each unit's factor and divisor to seconds: divided, `100us` is the float nearest to 0.0001; multiplied by 1e-6, it is not.
const TIME_UNITS: [(&str, f64, f64); 6] =
    [("us", 1.0, 1e6), ("µs", 1.0, 1e6), ("ms", 1.0, 1e3), ("s", 1.0, 1.0), ("m", 60.0, 1.0), ("h", 3600.0, 1.0)];

/// Each unit's factor and divisor to bytes.
const BYTE_UNITS: [(&str, f64, f64); 8] = [
    ("B", 1.0, 1.0),
    ("kB", 1e3, 1.0),
    ("KB", 1e3, 1.0),
    ("MB", 1e6, 1.0),
    ("GB", 1e9, 1.0),
    ("KiB", 1024.0, 1.0),
    ("MiB", 1_048_576.0, 1.0),
    ("GiB", 1_073_741_824.0, 1.0),
];

/// The built-in metric that a threshold looks at, and the keys and values by which it selects: of `http_reqs{profile:buy}` that is one pair. `None` where
/// the text is no built-in metric.
#[must_use]
pub fn selected(text: &str) -> Option<(&str, Vec<(String, String)>)> {
    let (metric, selector) = parse_metric(text).ok()?;
    let family = family_of(metric, &[]).ok()?;
    Some((metric, parse_selector(metric, family, selector).ok()?))
}

fn parse_metric(text: &str) -> Result<(&str, Option<&str>), String> {
    let text = text.trim();
    match text.split_once('{') {
        None => Ok((text, None)),
        Some((metric, rest)) => match rest.strip_suffix('}') {
            Some(selector) => Ok((metric.trim(), Some(selector))),
            None => Err("the selector has no closing `}`".to_owned()),
        },
    }
}

fn family_of(metric: &str, own: &[(String, MetricKind)]) -> Result<Family, String> {
    let built_in = metrics().find(|listed| listed.name == metric).map(|listed| listed.family);
    let of_script = || own.iter().find(|(name, _)| name == metric).map(|(_, kind)| Family::Own(*kind));
    built_in.or_else(of_script).ok_or_else(|| {
        let names = metrics().map(|listed| listed.name).chain(own.iter().map(|(name, _)| name.as_str()));
        let suggestion = did_you_mean(metric, names);
        if suggestion.is_empty() && metric.contains('/') {
            let name = metric.split_once(' ').map_or(metric, |(_, name)| name);
            return format!("there is no metric `{metric}`; of one entry it is `http_req_duration{{name:{name}}}`");
        }
        let suggestion = if suggestion.is_empty() { "; `lunamoth metrics` lists them".to_owned() } else { suggestion };
        format!("there is no metric `{metric}`{suggestion}")
    })
}

fn parse_selector(metric: &str, family: Family, selector: Option<&str>) -> Result<Vec<(String, String)>, String> {
    let Some(selector) = selector else { return Ok(Vec::new()) };
    let known = family.selectors();
    if known.is_empty() {
        return Err(format!("`{metric}` takes no selector"));
    }
    let mut pairs: Vec<(String, String)> = Vec::new();
    for part in parts_of(selector)? {
        // A comma may stand in a name; only `word:` begins a further pair.
        let pair = part.split_once(':').map(|(key, value)| (key.trim(), value.trim()));
        match (pair, pairs.last_mut()) {
            (Some((key, value)), _) if known.contains(&key) => pairs.push((key.to_owned(), unquoted(value)?)),
            (Some((key, value)), _) if takes_tags(known, key) && tags::mistake_in(key, value).is_none() => {
                pairs.push((key.to_owned(), value.to_owned()));
            }
            (Some((key, _)), _) if !key.is_empty() && key.chars().all(|letter| letter.is_ascii_alphabetic() || letter == '_') => {
                let hint = did_you_mean(key, known.iter().copied());
                let takes = quoted(known);
                return Err(format!(
                    "`{metric}` has no selector `{key}`{hint} (it takes {takes}; a name with commas and colons stands in quotes)"
                ));
            }
            (_, Some((_, value))) => {
                value.push(',');
                value.push_str(part);
            }
            // A check or a group may be given by its name alone.
            (_, None) if known.len() == 1 => pairs.push((known[0].to_owned(), unquoted(part.trim())?)),
            (_, None) => return Err(format!("`{part}` is no selector; write it as `{}:VALUE`", known[0])),
        }
    }
    Ok(pairs)
}

/// The place of the profile that a selector names.
fn profile_of(selector: &[(String, String)], profiles: &[NamedProfile]) -> Result<Option<usize>, String> {
    let Some((_, wanted)) = selector.iter().find(|(key, _)| key == tags::PROFILE) else { return Ok(None) };
    let names = || profiles.iter().map(|named| named.name.as_str());
    match names().position(|name| name == wanted) {
        Some(place) => Ok(Some(place)),
        None if profiles.is_empty() => Err(format!("there is no profile `{wanted}`: the load has no profiles with names")),
        None => {
            let hint = did_you_mean(wanted, names());
            Err(format!("there is no profile `{wanted}`{hint} (there are {})", quoted(&names().collect::<Vec<_>>())))
        }
    }
}

/// Whether `key` may be a tag of requests: those whose metrics have entries have them, and what is nearly another selector is a slip.
fn takes_tags(known: &[&str], key: &str) -> bool {
    known.contains(&"name") && did_you_mean(key, known.iter().copied()).is_empty()
}

/// The parts of a selector, which commas separate. In a value that stands in quotes a comma is a letter like any other.
fn parts_of(selector: &str) -> Result<Vec<&str>, String> {
    let (mut parts, mut begin, mut is_quoted, mut is_escaped) = (Vec::new(), 0, false, false);
    for (place, letter) in selector.char_indices() {
        match letter {
            _ if std::mem::take(&mut is_escaped) => {}
            '\\' if is_quoted => is_escaped = true,
            '"' if is_quoted => is_quoted = false,
            // Quotes in the middle of a name are part of it.
            '"' => {
                let before = selector[begin..place].trim_end();
                is_quoted = before.is_empty() || before.ends_with(':');
            }
            ',' if !is_quoted => {
                parts.push(&selector[begin..place]);
                begin = place + 1;
            }
            _ => {}
        }
    }
    if is_quoted {
        return Err(format!("`{selector}` has no closing quotes"));
    }
    parts.push(&selector[begin..]);
    Ok(parts)
}

/// The value of a selector without its quotes, if it has any; in them a backslash stands before quotes and backslashes.
fn unquoted(value: &str) -> Result<String, String> {
    let Some(inner) = value.strip_prefix('"') else { return Ok(value.to_owned()) };
    let (mut text, mut letters) = (String::new(), inner.chars());
    while let Some(letter) = letters.next() {
        match letter {
            '"' if letters.as_str().trim().is_empty() => return Ok(text),
            '"' => return Err(format!("after the closing quotes of `{value}` stands `{}`", letters.as_str().trim())),
            '\\' => text.extend(letters.next()),
            letter => text.push(letter),
        }
    }
    Err(format!("`{value}` has no closing quotes"))
}

fn parse_condition(metric: &str, family: Family, text: &str) -> Result<(Aggregate, Operator, f64), String> {
    let (place, (sign, operator)) = OPERATORS
        .iter()
        .filter_map(|pair| text.find(pair.0).map(|place| (place, *pair)))
        .min_by_key(|(place, (sign, _))| (*place, std::cmp::Reverse(sign.len())))
        .ok_or_else(|| "it has none of the operators `<`, `<=`, `>`, `>=`, `==`, `!=`; write it like `p(95) < 200ms`".to_owned())?;
    let aggregate = parse_aggregate(metric, family, text[..place].trim())?;
    let limit = parse_number(text[place + sign.len()..].trim(), metric, family, aggregate)?;
    Ok((aggregate, operator, limit))
}

fn parse_aggregate(metric: &str, family: Family, text: &str) -> Result<Aggregate, String> {
    let known = family.aggregates();
    let percentile = text.strip_prefix("p(").and_then(|rest| rest.strip_suffix(')'));
    let name = if percentile.is_some() { "p(N)" } else { text };
    if !known.contains(&name) {
        let bare = text.strip_prefix('p').filter(|number| known.contains(&"p(N)") && Quantile::from_percent(number).is_some());
        let hint = bare.map_or_else(|| did_you_mean(text, known.iter().copied()), |number| format!("; did you mean `p({number})`?"));
        return Err(format!("`{metric}` has no `{text}`{hint} (it has {})", quoted(known)));
    }
    Ok(match name {
        "count" => Aggregate::Count,
        "rate" => Aggregate::Rate,
        "min" => Aggregate::Min,
        "max" => Aggregate::Max,
        "avg" => Aggregate::Avg,
        "med" => Aggregate::Percentile(Quantile::MEDIAN),
        "value" => Aggregate::Value,
        _ => {
            let quantile = percentile.and_then(Quantile::from_percent).ok_or_else(|| {
                format!("`{text}` is no percentile; the number must lie between 0 and 100, with seven digits after the point at most")
            })?;
            Aggregate::Percentile(quantile)
        }
    })
}

fn parse_number(text: &str, metric: &str, family: Family, aggregate: Aggregate) -> Result<f64, String> {
    let (digits, unit) = text.split_at(end_of_number(text));
    let (digits, unit) = (digits.trim(), unit.trim());
    let number = digits.parse::<f64>().ok().filter(|number| number.is_finite()).ok_or_else(|| format!("`{text}` is no number"))?;
    let unit_of = family.unit(aggregate);
    if number < 0.0 && matches!(unit_of, Unit::Time | Unit::Bytes) {
        return Err(format!("`{text}` is below zero, as `{metric}` never is"));
    }
    let of =
        |units: &[(&str, f64, f64)]| units.iter().find(|(name, ..)| *name == unit).map(|(_, factor, divisor)| number * factor / divisor);
    match unit_of {
        Unit::Time if unit.is_empty() => Err(format!("`{metric}` is a time and `{text}` has no unit; write `{text}ms` or `{text}s`")),
        Unit::Time => of(&TIME_UNITS).ok_or_else(|| format!("`{unit}` is no unit of time; use us, ms, s, m or h")),
        Unit::Share if unit == "%" && (0.0..=100.0).contains(&number) => Ok(number / 100.0),
        Unit::Share if unit == "%" || unit.is_empty() && !(0.0..=1.0).contains(&number) => {
            let hint =
                if unit.is_empty() && (1.0..=100.0).contains(&number) { format!("; did you mean `{text}%`?") } else { String::new() };
            Err(format!("`{text}` is no share, which lies between 0 and 1, or 0% and 100%{hint}"))
        }
        Unit::Bytes if !unit.is_empty() => {
            of(&BYTE_UNITS).ok_or_else(|| format!("`{unit}` is no unit of size; use B, kB, MB, GB, KiB, MiB or GiB"))
        }
        _ if unit.is_empty() => Ok(number),
        Unit::Plain if family == Family::Own(MetricKind::Trend) && aggregate != Aggregate::Count => {
            of(&TIME_UNITS).ok_or_else(|| format!("`{unit}` is no unit of time; use us, ms, s, m or h, or a plain number"))
        }
        Unit::Share => Err(format!("`{text}` is no share; write it like `1%` or `0.01`")),
        _ => Err(format!("`{text}` has a unit and needs none")),
    }
}

/// Where a text's number ends and its unit begins: after digits, a sign, a point, and an exponent if digits follow its `e`.
fn end_of_number(text: &str) -> usize {
    let unit_from =
        |from: usize| text[from..].find(|letter: char| letter.is_alphabetic() || letter == '%').map_or(text.len(), |place| from + place);
    let end = unit_from(0);
    let exponent = text[end..].strip_prefix(['e', 'E']).map(|rest| rest.trim_start_matches(['+', '-']));
    match exponent {
        Some(rest) if rest.starts_with(|letter: char| letter.is_ascii_digit()) => unit_from(end + 1),
        _ => end,
    }
}

fn did_you_mean<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> String {
    nearest(wrong, names, |name| name.len().div_ceil(3)).map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// A value in its unit, for people.
pub(super) fn show(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Share => format!("{:.2}%", value * 100.0),
        Unit::Plain if value.fract() == 0.0 && value.abs() < 1e15 => format!("{value:.0}"),
        Unit::Plain => format!("{value:.3}"),
        Unit::Bytes => match value {
            value if value < 1e3 => format!("{value:.0}B"),
            value if value < 1e6 => format!("{:.1}kB", value / 1e3),
            value if value < 1e9 => format!("{:.1}MB", value / 1e6),
            value => format!("{:.1}GB", value / 1e9),
        },
        Unit::Time => match Duration::try_from_secs_f64(value).unwrap_or_default() {
            time if time < Duration::from_millis(1) => format!("{:.0}us", value * 1e6),
            time if time < Duration::from_millis(100) => format!("{:.2}ms", value * 1e3),
            time if time < Duration::from_secs(1) => format!("{:.1}ms", value * 1e3),
            _ => format!("{value:.2}s"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::family::Aggregate;
    use crate::stats::family::Unit;

    fn parse(metric: &str, condition: &str) -> Result<Threshold, String> {
        let plan = ThresholdPlan { metric: metric.to_owned(), condition: condition.to_owned() };
        Threshold::parse(&plan, &[("basket_price".to_owned(), MetricKind::Trend)]).map_err(|error| error.reason)
    }

    #[test]
    fn a_percentile_in_whose_bucket_the_limit_lies_is_the_limit() {
        let holds = |condition: &str, actual: f64| parse("basket_price", condition).unwrap().holds(actual);
        // What the histogram says of 3, 0.5 and 1000.
        for (condition, actual, wanted) in [
            ("med == 3", 3.000_2, true),
            ("med <= 0.5", 0.500_05, true),
            ("p(90) <= 1000", 1000.342, true),
            ("p(90) > 1000", 1000.342, false),
            ("p(90) <= 1000", 1001.5, false),
            ("p(90) < 1000", 1000.342, false),
            ("avg <= 1000", 1000.342, false),
            ("med != 3", 3.000_2, false),
        ] {
            assert_eq!(holds(condition, actual), wanted, "{condition} {actual}");
        }
    }

    #[test]
    fn a_share_that_none_can_be_is_refused_and_a_time_below_zero_too() {
        for (metric, condition, why) in [
            ("http_req_failed", "rate < 5", "`5` is no share, which lies between 0 and 1, or 0% and 100%; did you mean `5%`?"),
            ("checks", "rate > 95", "`95` is no share, which lies between 0 and 1, or 0% and 100%; did you mean `95%`?"),
            ("http_req_failed", "rate < 500%", "`500%` is no share, which lies between 0 and 1, or 0% and 100%"),
            ("exceptions", "rate >= -1", "`-1` is no share, which lies between 0 and 1, or 0% and 100%"),
            ("http_req_duration", "avg > -5ms", "`-5ms` is below zero, as `http_req_duration` never is"),
        ] {
            assert_eq!(parse(metric, condition).unwrap_err(), why);
        }
        for condition in ["rate < 1", "rate >= 0", "rate <= 100%", "rate < 0.05"] {
            assert!(parse("http_req_failed", condition).is_ok(), "{condition}");
        }
    }

    #[test]
    fn conditions_are_read_with_their_units() {
        for (metric, condition, aggregate, operator, limit) in [
            ("http_req_duration", "p(95) < 200ms", Aggregate::Percentile(0.95.into()), Operator::Less, 0.2),
            ("http_req_duration", "med<=1.5s", Aggregate::Percentile(Quantile::MEDIAN), Operator::LessOrEqual, 1.5),
            ("http_req_waiting", "max >= 2m", Aggregate::Max, Operator::GreaterOrEqual, 120.0),
            ("generator_lag", "p(99.9) != 100us", Aggregate::Percentile(0.999.into()), Operator::NotEqual, 1e-4),
            ("http_req_failed", "rate < 1%", Aggregate::Rate, Operator::Less, 0.01),
            ("checks", "rate > 0.99", Aggregate::Rate, Operator::Greater, 0.99),
            ("http_reqs", "count == 10", Aggregate::Count, Operator::Equal, 10.0),
            ("http_reqs", "count > 1e2", Aggregate::Count, Operator::Greater, 100.0),
            ("http_reqs", "rate >= 1.5E+1", Aggregate::Rate, Operator::GreaterOrEqual, 15.0),
            ("http_req_duration", "avg < 2e-1s", Aggregate::Avg, Operator::Less, 0.2),
            ("exceptions", "rate < 5%", Aggregate::Rate, Operator::Less, 0.05),
            ("exceptions", "count == 0", Aggregate::Count, Operator::Equal, 0.0),
            ("data_received", "count < 10MB", Aggregate::Count, Operator::Less, 1e7),
            ("users", "value > 1000", Aggregate::Value, Operator::Greater, 1e3),
            ("basket_price", "avg < 30", Aggregate::Avg, Operator::Less, 30.0),
        ] {
            let read = parse(metric, condition).unwrap();
            assert_eq!((read.aggregate, read.operator, read.limit), (aggregate, operator, limit), "{condition}");
        }
    }

    #[test]
    fn selectors_are_read_with_commas_and_colons_in_names() {
        let read = parse("http_req_duration{name:/a,b?x:1,method:POST}", "avg < 1s or no data").unwrap();
        assert!(read.span.passes_without_data);
        assert_eq!(read.selector, [("name".to_owned(), "/a,b?x:1".to_owned()), ("method".to_owned(), "POST".to_owned())]);
        let quoted = |selector: &str| parse(&format!("http_reqs{{{selector}}}"), "count > 1").map(|read| read.selector);
        let named = |name: &str| Ok(vec![("name".to_owned(), name.to_owned())]);
        assert_eq!(quoted(r#"name:"/a,b:{c}""#), named("/a,b:{c}"));
        assert_eq!(quoted(r#" name : "a \"b\" \\ c,method:POST" "#), named(r#"a "b" \ c,method:POST"#));
        assert_eq!(quoted(r#"name:say "hi, you""#), named(r#"say "hi, you""#));
        assert_eq!(quoted(r#"name:"/a",method:"GET""#).unwrap().len(), 2);
        assert_eq!(quoted(r#"name:"/a"#).unwrap_err(), r#"`name:"/a` has no closing quotes"#);
        assert_eq!(quoted(r#"name:"/a" b"#).unwrap_err(), r#"after the closing quotes of `"/a" b` stands `b`"#);
        assert_eq!(parse(r#"checks{"a:b, c"}"#, "rate > 99%").unwrap().selector, [("check".to_owned(), "a:b, c".to_owned())]);
        assert_eq!(parse("checks{has a price}", "rate > 99%").unwrap().selector, [("check".to_owned(), "has a price".to_owned())]);
    }

    #[test]
    fn a_tag_of_requests_is_a_selector_of_what_has_entries() {
        let read = parse("http_req_duration{kind:read,name:/cart}", "avg < 1s").unwrap();
        assert_eq!(read.selector, [("kind".to_owned(), "read".to_owned()), ("name".to_owned(), "/cart".to_owned())]);
        let selects = |name, method| read.selects_entry(name, method);
        assert!(selects("/cart {kind:read}", "GET") && selects("/cart {a:b,kind:read}", "POST"));
        assert!(!selects("/cart", "GET") && !selects("/cart {kind:write}", "GET") && !selects("/ {kind:read}", "GET"));
        let named = parse("http_reqs{name:/cart}", "count > 1").unwrap();
        assert!(named.selects_entry("/cart {kind:read}", "GET") && named.selects_entry("/cart", "GET"));
        for wrong in ["http_reqs{status:200}", "http_reqs{nam:x}", "checks{kind:read}", "http_reqs{kind:}"] {
            assert!(parse(wrong, "count > 1").is_err() || wrong.starts_with("checks"), "{wrong}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_the_nearest_right_name() {
        for (metric, condition, reason) in [
            ("http_req_duratoin", "avg < 1s", "there is no metric `http_req_duratoin`; did you mean `http_req_duration`?"),
            ("GET /x", "avg < 1s", "there is no metric `GET /x`; of one entry it is `http_req_duration{name:/x}`"),
            ("basket_prize", "avg < 1", "there is no metric `basket_prize`; did you mean `basket_price`?"),
            (
                "http_reqs{methd:GET}",
                "count > 1",
                "`http_reqs` has no selector `methd`; did you mean `method`? (it takes `name`, `method`, `profile`; a name with commas and colons stands in quotes)",
            ),
            ("users{name:x}", "value > 1", "`users` takes no selector"),
            ("http_reqs{name:x", "count > 1", "the selector has no closing `}`"),
            ("http_req_failed", "rte < 1%", "`http_req_failed` has no `rte`; did you mean `rate`? (it has `count`, `rate`)"),
            (
                "http_req_duration",
                "p(101) < 1s",
                "`p(101)` is no percentile; the number must lie between 0 and 100, with seven digits after the point at most",
            ),
            (
                "http_req_duration",
                "p95 < 1s",
                "`http_req_duration` has no `p95`; did you mean `p(95)`? (it has `count`, `min`, `max`, `avg`, `med`, `p(N)`)",
            ),
            ("http_req_duration", "p(99) < 300ms over", "`over` has no time; write `over 30s`"),
            ("users", "max > 5 over 10s", "`users` is judged over the whole run, at its end: it has no `over`, `after` and `abort`"),
            ("nonsense", "avg < 1s", "there is no metric `nonsense`; `lunamoth metrics` lists them"),
            ("http_req_duration", "avg < 200", "`http_req_duration` is a time and `200` has no unit; write `200ms` or `200s`"),
            ("http_req_duration", "avg < 1 day", "`day` is no unit of time; use us, ms, s, m or h"),
            ("http_req_duration", "avg < fast", "`fast` is no number"),
            ("http_reqs", "count > 5ms", "`5ms` has a unit and needs none"),
            ("http_req_failed", "rate < 1ms", "`1ms` is no share; write it like `1%` or `0.01`"),
            (
                "http_req_waiting{name:/}",
                "p(95) < 1s",
                "`http_req_waiting` has percentiles for the whole run only; use `avg`, `min`, `max` or `count` with a selector",
            ),
            ("http_reqs", "count", "it has none of the operators `<`, `<=`, `>`, `>=`, `==`, `!=`; write it like `p(95) < 200ms`"),
        ] {
            assert_eq!(parse(metric, condition).unwrap_err(), reason);
        }
    }

    #[test]
    fn a_threshold_of_one_profile_knows_its_place_and_which_metrics_have_profiles() {
        let named = |name: &str| NamedProfile {
            name: name.into(),
            classes: Vec::new(),
            tags: Default::default(),
            profile: crate::plan::LoadProfile::plain(1, 1.0, None),
        };
        let profiles = [named("browse"), named("buy")];
        let parse = |metric: &str, profiles: &[NamedProfile]| {
            let plan = ThresholdPlan { metric: metric.into(), condition: "count > 1".into() };
            Threshold::parse_in(&plan, &[], profiles).map_err(|error| error.reason)
        };
        for metric in ["iteration_duration{profile:buy}", "dropped_iterations{buy}", "exceptions{buy}", "http_reqs{profile:buy,name:/cart}"]
        {
            let threshold = parse(metric, &profiles).unwrap();
            assert_eq!((threshold.profile, threshold.profile()), (Some(1), Some("buy")), "{metric}");
        }
        for (metric, reason) in [
            ("http_reqs{profile:by}", "there is no profile `by`; did you mean `buy`? (there are `browse`, `buy`)"),
            ("generator_lag{profile:buy}", "`generator_lag` takes no selector"),
            ("users{profile:buy}", "`users` takes no selector"),
        ] {
            assert_eq!(parse(metric, &profiles).unwrap_err(), reason);
        }
        let place_among = |metric: &str, profiles: &[NamedProfile]| {
            parse(metric, &[named("browse"), named("buy")]).unwrap().among(profiles).map(|threshold| threshold.profile)
        };
        assert_eq!(place_among("http_reqs{profile:buy}", &profiles[1..]), Some(Some(0)));
        assert_eq!(place_among("http_reqs{profile:buy}", &profiles[..1]), None);
        assert_eq!(place_among("http_reqs", &[]), Some(None));
        assert_eq!(parse("http_reqs{profile:buy}", &[]).unwrap_err(), "there is no profile `buy`: the load has no profiles with names");
    }

    #[test]
    fn values_are_shown_with_enough_digits() {
        for (value, unit, text) in [
            (0.1832, Unit::Time, "183.2ms"),
            (0.00042, Unit::Time, "420us"),
            (0.0123, Unit::Time, "12.30ms"),
            (1.5, Unit::Time, "1.50s"),
            (0.004, Unit::Share, "0.40%"),
            (12.0, Unit::Plain, "12"),
            (12.3456, Unit::Plain, "12.346"),
            (10_500_000.0, Unit::Bytes, "10.5MB"),
        ] {
            assert_eq!(show(value, unit), text);
        }
    }
}
