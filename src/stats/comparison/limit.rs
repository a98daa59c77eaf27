//! A limit: how far a figure may move from one run to the other, such as `p(99) +5%`.

use super::course::Metric;
use super::pair::{Pair, Scale};
use super::side::{Figures, name_of};
use crate::spelling::nearest;
use crate::stats::quantile::Quantile;

/// How far a figure may move.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    /// As it was written.
    pub text: String,
    /// The figure that it bounds.
    pub metric: Metric,
    /// Whether it says how far the figure may rise; else how far it may fall.
    pub is_upper: bool,
    bound: Bound,
}

/// How far, never less than zero.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Bound {
    /// A part of the old figure.
    Part(f64),
    /// In the figure's own unit: per second, a share of one, or milliseconds.
    Plain(f64),
}

/// Why a text is no limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`--limit \"{text}\"`: {reason}")]
pub struct LimitError {
    /// As it was written.
    pub text: String,
    /// What is wrong, and how it would be right.
    pub reason: String,
}

/// What a limit says of one entry, or of the total.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The limit as it was written.
    pub limit: String,
    /// The figure that was looked at.
    pub metric: Metric,
    /// The entry, such as `GET /cart`; `Total`.
    pub name: String,
    /// In the old run.
    pub base: Option<f64>,
    /// In the new one.
    pub new: Option<f64>,
    /// Whether `change` and `interval` are parts of the old figure; else they are in its own unit.
    pub is_part: bool,
    /// By how much the figure moved.
    pub change: Option<f64>,
    /// The 95 % interval of it.
    pub interval: Option<(f64, f64)>,
    /// What follows from change and interval.
    pub state: State,
}

/// Whether a limit is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The figure is within the limit.
    Kept,
    /// The figure is past the limit, which chance alone may have done.
    Unsure,
    /// The whole interval is past the limit.
    Broken,
    /// So many more requests fail that the figure, of what failed as well, tells nothing of the others; how many.
    Failing(String),
    /// The figure may be past the limit, and nobody can say how much of that is chance; why.
    Unjudged(String),
}

impl State {
    /// Whether the limit is not kept, for whatever reason.
    #[must_use]
    pub const fn is_broken(&self) -> bool {
        matches!(self, Self::Broken | Self::Failing(_))
    }
}

impl Limit {
    /// Reads a limit.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, LimitError> {
        let failed = |reason: String| LimitError { text: text.to_owned(), reason };
        let Some(place) = text.find(['+', '-']) else { return Err(failed(without_sign(text))) };
        let metric = parse_metric(text[..place].trim()).map_err(failed)?;
        let is_upper = text[place..].starts_with('+');
        let bound = parse_bound(text[place + 1..].trim(), metric, is_upper).map_err(failed)?;
        Ok(Self { text: text.trim().to_owned(), metric, is_upper, bound })
    }

    /// What it says of an entry.
    pub(super) fn judge(&self, pair: &Pair<'_>) -> Outcome {
        let scale = if matches!(self.bound, Bound::Part(_)) { Scale::Ratio } else { Scale::Plain };
        let seen = |distance: f64| if scale == Scale::Ratio { distance.exp_m1() } else { distance };
        let (Bound::Part(bound) | Bound::Plain(bound)) = self.bound;
        let is_past = |change: f64| if self.is_upper { change > bound } else { change < -bound };
        let distance = pair.distance(self.metric, scale);
        let uncertainty = pair.uncertainty(self.metric, scale);
        let interval = distance.zip(uncertainty.as_ref().ok()).map(|(distance, uncertainty)| {
            let margin = uncertainty.margin();
            (seen(distance - margin), seen(distance + margin))
        });
        let change = distance.map(seen);
        let near = interval.map(|(low, high)| if self.is_upper { low } else { high });
        let state = match (change, near, uncertainty) {
            (None, ..) => State::Unjudged("one of the runs has no such figure".to_owned()),
            (Some(change), ..) if !is_past(change) => State::Kept,
            (_, Some(near), _) if is_past(near) => State::Broken,
            (_, Some(_), _) => State::Unsure,
            (_, None, Err(doubt)) => State::Unjudged(doubt.to_string()),
            (_, None, Ok(_)) => State::Unjudged("nothing tells chance from change".to_owned()),
        };
        let state = if state == State::Broken || self.metric == Metric::Failures { state } else { failing(pair).unwrap_or(state) };
        Outcome {
            limit: self.text.clone(),
            metric: self.metric,
            name: name_of(pair.new),
            base: pair.base.figures.of(self.metric),
            new: pair.new.figures.of(self.metric),
            is_part: scale == Scale::Ratio,
            change,
            interval,
            state,
        }
    }
}

/// Whether surely more requests fail than a change of times or rates could be told by: what fails at once is quick, and no measure of what does not.
fn failing(pair: &Pair<'_>) -> Option<State> {
    let more = pair.distance(Metric::Failures, Scale::Plain)?;
    let surely = pair.uncertainty(Metric::Failures, Scale::Plain).map(|uncertainty| more - uncertainty.margin());
    let is_sure = surely.map_or(more > FAILING_SHARE, |least| least > FAILING_POINTS);
    let share = |figures: &Figures| figures.of(Metric::Failures).map(|share| format!("{:.1} %", share * 100.0));
    let (base, new) = (share(&pair.base.figures)?, share(&pair.new.figures)?);
    is_sure.then(|| State::Failing(format!("the share of failed requests went from {base} to {new}")))
}

/// As `find` has it: from one request in a hundred on.
const FAILING_POINTS: f64 = 0.01;
/// Where chance cannot be told: of every two requests one.
const FAILING_SHARE: f64 = 0.5;

fn without_sign(text: &str) -> String {
    if text.contains(['<', '>', '=']) {
        return "a limit says how far a figure may move, not where it may stand, which is what a script's thresholds say; write it like `p(99) +5%`"
            .to_owned();
    }
    "it has neither `+`, how far the figure may rise, nor `-`, how far it may fall; write it like `p(99) +5%` or `rate -5%`".to_owned()
}

fn parse_metric(text: &str) -> Result<Metric, String> {
    if let Some(number) = text.strip_prefix("p(").and_then(|rest| rest.strip_suffix(')')) {
        let quantile = Quantile::from_percent(number).ok_or_else(|| {
            format!("`{text}` is no percentile; the number must lie between 0 and 100, with seven digits after the point at most")
        })?;
        return Ok(Metric::Percentile(quantile));
    }
    match text {
        "rate" => Ok(Metric::Rate),
        "failures" => Ok(Metric::Failures),
        "avg" => Ok(Metric::Avg),
        "med" => Ok(Metric::Percentile(Quantile::MEDIAN)),
        "" => Err("it names no metric; write it like `p(99) +5%`".to_owned()),
        _ => Err(format!("there is no metric `{text}`{}; there are p(N), avg, med, rate and failures", nearest_metric(text))),
    }
}

fn nearest_metric(text: &str) -> String {
    let bare = text.trim_start_matches(['p', 'P']).trim_matches(['(', ')', ' ', '%']);
    if text.starts_with(['p', 'P']) && Quantile::from_percent(bare).is_some() {
        return format!(", did you mean `p({bare})`");
    }
    let known = NAMES.iter().flat_map(|(name, others)| others.iter().chain([name]));
    let near = nearest(text, known.copied(), |known| known.len().div_ceil(3));
    let meant = near.and_then(|near| NAMES.iter().find(|(name, others)| *name == near || others.contains(&near)));
    meant.map_or_else(String::new, |(name, _)| format!(", did you mean `{name}`"))
}

fn parse_bound(text: &str, metric: Metric, is_upper: bool) -> Result<Bound, String> {
    let end = text.find(|letter: char| !(letter.is_ascii_digit() || letter == '.')).unwrap_or(text.len());
    let (digits, unit) = (text[..end].trim(), text[end..].trim());
    let number =
        digits.parse::<f64>().ok().filter(|number| number.is_finite()).ok_or_else(|| format!("`{text}` is no number with a unit"))?;
    let sign = if is_upper { '+' } else { '-' };
    match (metric, unit) {
        (Metric::Failures, "%" | "pp") if number <= 100.0 => Ok(Bound::Plain(number / 100.0)),
        (Metric::Failures, "%" | "pp") => {
            Err(format!("`{sign}{text}`: failures are counted in percentage points, and never move by more than 100"))
        }
        (Metric::Failures, _) => Err(format!("`{sign}{text}`: failures are counted in percentage points; write `{sign}{digits}%`")),
        (_, "%") if !is_upper && number >= 100.0 => Err(format!("`-{text}`: nothing falls by more than 100 %, so that it is never broken")),
        (_, "%") => Ok(Bound::Part(number / 100.0)),
        (Metric::Rate, "/s") => Ok(Bound::Plain(number)),
        (Metric::Rate, "") => Err(format!("`{sign}{text}` has no unit; write `{sign}{text}%` or `{sign}{text}/s`")),
        (Metric::Rate, _) => Err(format!("`{unit}` is no unit of a rate; write `{sign}{digits}%` or `{sign}{digits}/s`")),
        (_, "") => Err(format!("`{sign}{text}` has no unit; write `{sign}{text}%` or `{sign}{text}ms`")),
        (_, unit) => TIME_UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .map(|(_, factor)| Bound::Plain(number * factor))
            .ok_or_else(|| format!("`{unit}` is no unit of time; use us, ms, s or m, or `{sign}{digits}%`")),
    }
}

/// Each unit with what it is in milliseconds.
const TIME_UNITS: [(&str, f64); 4] = [("us", 1e-3), ("ms", 1.0), ("s", 1e3), ("m", 6e4)];

/// The metrics that have a name, and what else people call them.
const NAMES: [(&str, &[&str]); 4] = [
    ("rate", &["rps", "req/s", "requests", "throughput", "http_reqs"]),
    ("failures", &["failure", "fails", "failed", "errors", "error_rate", "fail_ratio", "http_req_failed"]),
    ("avg", &["average", "mean"]),
    ("med", &["median"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(text: &str) -> String {
        Limit::parse(text).unwrap_err().reason
    }

    #[test]
    fn limits_are_read_with_their_units() {
        let read = |text: &str| Limit::parse(text).map(|limit| (limit.metric, limit.is_upper, limit.bound)).unwrap();
        let p99 = Metric::Percentile(Quantile::P99);
        assert_eq!(read("p(99) +5%"), (p99, true, Bound::Part(0.05)));
        assert_eq!(read("p(99)+10ms"), (p99, true, Bound::Plain(10.0)));
        assert_eq!(read(" p(99) + 1.5 s "), (p99, true, Bound::Plain(1_500.0)));
        assert_eq!(read("p(99.9) +250us"), (Metric::Percentile(0.999.into()), true, Bound::Plain(0.25)));
        assert_eq!(read("med -50%"), (Metric::Percentile(Quantile::MEDIAN), false, Bound::Part(0.5)));
        assert_eq!(read("avg +0%"), (Metric::Avg, true, Bound::Part(0.0)));
        assert_eq!(read("rate -5%"), (Metric::Rate, false, Bound::Part(0.05)));
        assert_eq!(read("rate -20/s"), (Metric::Rate, false, Bound::Plain(20.0)));
        assert_eq!(read("failures +0.5%"), (Metric::Failures, true, Bound::Plain(0.005)));
    }

    #[test]
    fn what_is_no_limit_is_answered_with_the_nearest_right_one() {
        for (text, words) in [
            ("p99 +5%", "did you mean `p(99)`"),
            ("p(99 +5%", "did you mean `p(99)`"),
            ("rps -5%", "did you mean `rate`"),
            ("ratee -5%", "did you mean `rate`"),
            ("errors +1%", "did you mean `failures`"),
            ("mean +5%", "did you mean `avg`"),
            ("wibble +5%", "there are p(N), avg, med, rate and failures"),
            ("p(99) 5%", "neither `+`"),
            ("p(99) < 200ms", "not where it may stand"),
            ("p(99) +5", "write `+5%` or `+5ms`"),
            ("p(99) +5x", "`x` is no unit of time"),
            ("p(101) +5%", "between 0 and 100"),
            ("rate -5ms", "write `-5%` or `-5/s`"),
            ("failures +5ms", "write `+5%`"),
            ("failures +101%", "never move by more than 100"),
            ("rate -100%", "never broken"),
            ("p(99) +-5%", "is no number"),
            ("p(99) +NaN%", "is no number"),
            ("+5%", "names no metric"),
            ("", "neither `+`"),
        ] {
            assert!(reason(text).contains(words), "{text}: {}", reason(text));
        }
    }
}
