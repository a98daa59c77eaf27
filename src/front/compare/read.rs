//! A report of `--json`, read for a comparison. What is not as a report has it is an error that says where.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::front::report::SCHEMA;
use crate::stats::cells::range_of;
use crate::stats::comparison::{CellFigures, Entry, Figures, Side};
use crate::stats::histogram::Histogram;

/// A run as its report tells it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reported {
    /// Which it is: its file or, of a side, its URL.
    pub label: String,
    /// The numbers that are compared.
    pub side: Side,
    /// As its script names it.
    pub scenario: String,
    /// The script's file name; `None` where the report does not say.
    pub script: Option<String>,
    /// The fingerprint of the script and all that it requires; see `script`.
    pub fingerprint: Option<String>,
    /// The host that relative URLs went to.
    pub host: Option<String>,
    /// The seed of every random decision.
    pub seed: Option<u64>,
    /// How long the run took.
    pub elapsed_s: f64,
    /// The most users that ran at the same time; `None` where nobody knows.
    pub users: Option<u64>,
    /// Whether all workers' numbers are in it.
    pub is_complete: bool,
    /// Why it is no passed run by its own verdict, as that says; `None` where it is one.
    pub failed: Option<String>,
    /// Seconds in which the generator itself was late.
    pub unsound_s: u64,
    /// Stretches of a worker's numbers that are lost.
    pub holes: usize,
    /// Load that ran twice.
    pub overlaps: usize,
}

impl Reported {
    /// Why it is no measure for runs to come; `None` where it is one.
    #[must_use]
    pub fn unfit(&self) -> Option<String> {
        let Figures { judged, failures, .. } = self.side.total.figures;
        if !self.is_complete {
            Some("its run is not complete".to_owned())
        } else if judged == 0 {
            Some("the target answered no request".to_owned())
        } else if failures.saturating_mul(2) >= judged {
            Some(format!("{failures} of its {judged} requests failed"))
        } else {
            // Where no request failed it was the script that did, or a threshold.
            self.failed.as_ref().filter(|_| failures == 0).map(|words| format!("its run has not passed: {words}"))
        }
    }
}

/// Why a file cannot be compared.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the text of an error says what its fields are")]
pub enum ReadError {
    /// It cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    /// It is something else, or torn.
    #[error("`{}` is no report of `--json`: {reason}", path.display())]
    NoReport { path: PathBuf, reason: String },
    /// Another version has written it.
    #[error("`{}` has the schema {found}, and this version of lunamoth reads {SCHEMA}: compare reports of the same version", path.display())]
    Schema {
        path: PathBuf,
        /// As the report says.
        found: u64,
    },
}

/// Reads a report.
///
/// # Errors
/// It cannot be read, or is none.
pub fn read(path: &Path) -> Result<Reported, ReadError> {
    let text = std::fs::read_to_string(path).map_err(|source| ReadError::File { path: path.to_owned(), source })?;
    let no_report = |reason: String| ReadError::NoReport { path: path.to_owned(), reason };
    let value: Value = serde_json::from_str(&text).map_err(|why| no_report(format!("it is no JSON: {why}")))?;
    let root = Node { value: &value, place: String::new() };
    match root.field("schema").and_then(|schema| schema.whole()) {
        Ok(found) if found == u64::from(SCHEMA) => {}
        Ok(found) => return Err(ReadError::Schema { path: path.to_owned(), found }),
        Err(why) => return Err(no_report(why)),
    }
    reported(&root, path.display().to_string()).map_err(no_report)
}

/// A report that was made in this process.
pub(super) fn read_value(report: &Value, label: String) -> Result<Reported, String> {
    reported(&Node { value: report, place: String::new() }, label)
}

fn reported(root: &Node<'_>, label: String) -> Result<Reported, String> {
    let text = |key: &str| root.known(key)?.map(|node| node.text().map(str::to_owned)).transpose();
    let named = |text: Option<String>| text.filter(|text| !text.is_empty());
    let history = root.field("history")?.list()?;
    let users = history.iter().map(|point| point.known("users")?.map(|users| users.whole()).transpose());
    let users = users.collect::<Result<Vec<_>, String>>()?.into_iter().flatten().max();
    Ok(Reported {
        label,
        side: side(root)?,
        scenario: root.field("scenario")?.text()?.to_owned(),
        script: named(text("script")?),
        fingerprint: named(text("scripts_fingerprint")?),
        host: text("host")?,
        seed: root.known("seed")?.map(|seed| seed.whole()).transpose()?,
        elapsed_s: root.field("elapsed_s")?.number()?,
        users,
        is_complete: root.field("complete")?.truth()?,
        failed: match root.known("verdict")? {
            Some(verdict) if !verdict.field("passed")?.truth()? => Some(verdict.field("words")?.text()?.to_owned()),
            Some(_) | None => None,
        },
        unsound_s: root.field("generator")?.field("unsound_s")?.whole()?,
        holes: root.field("holes")?.list()?.len(),
        overlaps: root.field("overlaps")?.list()?.len(),
    })
}

fn side(root: &Node<'_>) -> Result<Side, String> {
    let mut total = entry(&root.field("total")?)?;
    "Total".clone_into(&mut total.name);
    let mut entries = root.field("entries")?.list()?.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
    let Some(cells) = root.known("cells")? else { return Ok(Side { total, entries, cell_length_s: None }) };
    let length = cells.field("length_s")?;
    let cell_length_s = length.whole()?;
    if !cell_length_s.is_power_of_two() {
        return Err(format!("`{}` is no power of two", length.place));
    }
    let known = cells.field("known_s")?.list()?.iter().map(Node::number).collect::<Result<Vec<f64>, _>>()?;
    total.cells = Some(cell_figures(&cells.field("total")?, &known)?);
    for columns in cells.field("entries")?.list()? {
        let (method, name) = (columns.field("method")?.text()?, columns.field("name")?.text()?);
        let entry = entries.iter_mut().find(|entry| entry.method == method && entry.name == name);
        entry.ok_or_else(|| format!("`{}` is no entry of the report", columns.place))?.cells = Some(cell_figures(&columns, &known)?);
    }
    Ok(Side { total, entries, cell_length_s: Some(cell_length_s) })
}

fn entry(node: &Node<'_>) -> Result<Entry, String> {
    let whole = |key: &str| node.field(key)?.whole();
    let number = |key: &str| node.known(key)?.map(|node| node.number()).transpose();
    let (requests, cut) = (whole("requests")?, whole("cut")?);
    let local = node.field("failures_by_kind")?.known("local")?.map(|local| local.whole()).transpose()?.unwrap_or(0);
    let figures = Figures {
        requests,
        judged: requests.saturating_sub(cut).saturating_sub(local),
        failures: whole("failures")?,
        rate: number("requests_per_s")?,
        avg_ms: number("avg_ms")?,
        min_ms: number("min_ms")?,
        max_ms: number("max_ms")?,
        histogram: node.field("histogram_us_v2_base64")?.histogram()?,
    };
    Ok(Entry { method: node.field("method")?.text()?.to_owned(), name: node.field("name")?.text()?.to_owned(), figures, cells: None })
}

fn cell_figures(columns: &Node<'_>, known: &[f64]) -> Result<Vec<CellFigures>, String> {
    let column = |key: &str| {
        let column = columns.field(key)?;
        let list = column.list()?;
        if list.len() == known.len() { Ok(list) } else { Err(format!("`{}` has not as many places as there are cells", column.place)) }
    };
    let (requests, failures, local) = (column("requests")?, column("failures")?, column("local")?);
    let (timed, sums, histograms) = (column("timed")?, column("sum_ms")?, column("histograms_us_v2_base64")?);
    let cell = |place: usize| {
        let (requests, local, timed) = (requests[place].whole()?, local[place].whole()?, timed[place].whole()?);
        let ranges = if histograms[place].value.is_null() { Vec::new() } else { ranges(&histograms[place].histogram()?) };
        Ok(CellFigures {
            known_s: known[place],
            requests,
            // A hop that was cut has no duration, and is judged by nothing.
            judged: timed.saturating_sub(local),
            failures: failures[place].whole()?,
            timed,
            sum_ms: sums[place].number()?,
            ranges,
        })
    };
    (0..known.len()).map(cell).collect()
}

fn ranges(histogram: &Histogram) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for (value, count) in histogram.iter() {
        let low = range_of(value).start;
        match ranges.last_mut() {
            Some((last, sum)) if *last == low => *sum = sum.saturating_add(count),
            _ => ranges.push((low, count)),
        }
    }
    ranges
}

/// A value and where it stands in the report.
struct Node<'a> {
    value: &'a Value,
    place: String,
}

impl<'a> Node<'a> {
    fn field(&self, key: &str) -> Result<Self, String> {
        let place = if self.place.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place) };
        match self.value.get(key) {
            Some(value) => Ok(Node { value, place }),
            None => Err(format!("it has no `{place}`")),
        }
    }

    /// `None` where the key is missing or null: nobody knows.
    fn known(&self, key: &str) -> Result<Option<Self>, String> {
        if !self.value.is_object() {
            return Err(self.is_no("object"));
        }
        self.value.get(key).filter(|value| !value.is_null()).map(|_| self.field(key)).transpose()
    }

    fn list(&self) -> Result<Vec<Self>, String> {
        let list = self.value.as_array().ok_or_else(|| self.is_no("list"))?;
        Ok(list.iter().enumerate().map(|(index, value)| Node { value, place: format!("{}[{index}]", self.place) }).collect())
    }

    fn whole(&self) -> Result<u64, String> {
        self.value.as_u64().ok_or_else(|| self.is_no("whole number"))
    }

    fn number(&self) -> Result<f64, String> {
        self.value.as_f64().filter(|number| *number >= 0.0).ok_or_else(|| self.is_no("number from zero on"))
    }

    fn text(&self) -> Result<&'a str, String> {
        self.value.as_str().ok_or_else(|| self.is_no("text"))
    }

    fn truth(&self) -> Result<bool, String> {
        self.value.as_bool().ok_or_else(|| self.is_no("true or false"))
    }

    fn histogram(&self) -> Result<Histogram, String> {
        Histogram::from_v2_base64(self.text()?).map_err(|why| format!("`{}`: {why}", self.place))
    }

    fn is_no(&self, what: &str) -> String {
        format!("`{}` is no {what}", self.place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::report::Closing;
    use crate::front::tests::busy_snapshot;

    fn written(change: impl Fn(&mut Value)) -> Result<Reported, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        let mut report = crate::front::report::json::render(&busy_snapshot(), &Closing::default());
        change(&mut report);
        std::fs::write(&path, report.to_string()).unwrap();
        read(&path).map_err(|why| why.to_string())
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let snapshot = busy_snapshot();
        let read = written(|_| {}).unwrap();
        assert_eq!(read.side.entries.len(), snapshot.entries.len());
        assert_eq!(read.side.total.figures.histogram, snapshot.total.histogram);
        assert_eq!((read.side.total.figures.requests, read.side.total.figures.failures), (201, 2));
        assert_eq!((read.seed, read.unsound_s, read.users), (Some(42), 1, Some(8)));
        assert_eq!(read.side.cell_length_s, None, "the snapshot has no cells");
    }

    #[test]
    fn what_is_no_report_is_told_with_its_place() {
        let words = |change: &dyn Fn(&mut Value)| written(change).unwrap_err();
        assert!(words(&|report| report["schema"] = 2.into()).contains("has the schema 2"));
        assert!(words(&|report| report["entries"][0]["requests"] = (-1).into()).contains("`entries[0].requests` is no whole number"));
        assert!(words(&|report| report["total"]["histogram_us_v2_base64"] = "AAAA".into()).contains("total.histogram_us_v2_base64"));
        assert!(words(&|report| *report = Value::Array(Vec::new())).contains("it has no `schema`"));
        assert!(words(&|report| drop(report.as_object_mut().unwrap().remove("entries"))).contains("it has no `entries`"));
    }
}
