//! The HTML report of `--html` and `/stats/report`: one file that shows a run by itself, from numbers that stand in it as JSON.
//!
//! Owns which numbers it holds and its file; how they are shown is the page's.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::json;

use super::output::Output;
use super::place::Place;
use super::{Closing, ReportError};
use crate::front::moments::unix_ms;
use crate::front::page;
use crate::front::snapshot_json::{EntryDetailJson, PointJson, SnapshotJson};
use crate::stats::snapshot::{EntryView, Snapshot};

/// The report's place, known from before the run; a file only when it is whole.
#[derive(Debug)]
pub struct HtmlFile(Place);

impl HtmlFile {
    /// Looks at the place, and creates the folder before it.
    ///
    /// # Errors
    /// It cannot be written: no permission, or a folder.
    pub fn create(path: &Path) -> Result<Self, ReportError> {
        Place::new(path).map(Self)
    }
}

impl Output for HtmlFile {
    fn keys(&self) -> Vec<PathBuf> {
        vec![self.0.key()]
    }

    fn on_snapshot(&mut self, _: &Snapshot) -> Result<(), ReportError> {
        Ok(())
    }

    fn finish(&mut self, last: &Snapshot, closing: &Closing) -> Result<(), ReportError> {
        self.0.finish(&render(last, Some(closing), SystemTime::now()))
    }
}

/// The report as HTML; without `closing` the run is under way. `made_at` is the wall clock's time of this moment.
pub(in crate::front) fn render(snapshot: &Snapshot, closing: Option<&Closing>, made_at: SystemTime) -> String {
    let total = EntryDetailJson::new(String::new(), &snapshot.total, Some(&*snapshot.phases));
    let details: Vec<EntryDetailJson> = std::iter::once(total)
        .chain(busiest(&snapshot.entries).into_iter().map(|entry| EntryDetailJson::new(String::new(), entry, None)))
        .collect();
    let history: Vec<PointJson> = snapshot.history.iter().map(PointJson::from).collect();
    // The history has them already.
    let shown = SnapshotJson { recent: Vec::new(), ..SnapshotJson::from(snapshot) };
    let report = json!({
        "complete": closing.map_or(snapshot.holes.is_empty(), |closing| closing.is_complete),
        "verdict": closing.map(Closing::to_json),
        // As a text: a number of JavaScript's holds no 64 bits.
        "seed": snapshot.seed.map(|seed| seed.to_string()),
        "made_at_unix_ms": unix_ms(made_at),
        "snapshot": shown,
        "history": history,
        "details": details,
    });
    page::report(&report.to_string())
}

/// The entries whose distributions the report holds: those with the most requests, in the order of the table.
fn busiest(entries: &[EntryView]) -> Vec<&EntryView> {
    let mut requests: Vec<u64> = entries.iter().map(|entry| entry.requests).collect();
    requests.sort_unstable_by(|a, b| b.cmp(a));
    let least = requests.get(DETAILS_MAX).copied().unwrap_or_default();
    entries.iter().filter(|entry| entry.requests > least || requests.len() <= DETAILS_MAX).collect()
}

/// A distribution takes up to 5 KB; all rows are in the table however many there are.
const DETAILS_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::tests::busy_snapshot;

    fn data(html: &str) -> serde_json::Value {
        let block = html.split_once("id=\"report\">").unwrap().1.split_once("</script>").unwrap().0;
        serde_json::from_str(block).unwrap()
    }

    #[test]
    fn the_report_holds_the_numbers_and_asks_nobody() {
        let html = render(&busy_snapshot(), Some(&Closing::default()), SystemTime::UNIX_EPOCH);
        let data = data(&html);
        assert_eq!((&data["complete"], &data["made_at_unix_ms"]), (&json!(false), &json!(0)));
        assert_eq!(data["snapshot"]["scenario"], json!("shop"));
        assert_eq!(data["history"].as_array().unwrap().len(), busy_snapshot().history.len());
        assert_eq!(data["details"].as_array().unwrap().len(), 1 + busy_snapshot().entries.len());
        assert!(html.contains("default-src 'none'") && !html.contains("connect-src"));
    }

    #[test]
    fn names_of_others_stay_text() {
        let mut snapshot = busy_snapshot();
        snapshot.scenario = "</script><img src=x onerror=alert(1)>".to_owned();
        let html = render(&snapshot, None, SystemTime::UNIX_EPOCH);
        assert!(!html.contains("<img"));
        assert_eq!(data(&html)["snapshot"]["scenario"], json!(snapshot.scenario));
    }

    #[test]
    fn of_too_many_entries_the_busiest_have_their_distribution() {
        let entry = |requests| EntryView { requests, ..EntryView::default() };
        let many: Vec<EntryView> = (0..500).map(entry).collect();
        let kept = busiest(&many);
        assert_eq!((kept.len(), kept[0].requests, kept[kept.len() - 1].requests), (200, 300, 499));
        assert_eq!(busiest(&many[..200]).len(), 200);
        assert!(busiest(&vec![entry(7); 201]).len() <= DETAILS_MAX);
    }

    #[test]
    fn the_file_is_there_once_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results/monday.html");
        let mut file = HtmlFile::create(&path).unwrap();
        assert!(!path.exists());
        file.finish(&busy_snapshot(), &Closing::default()).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().ends_with("</html>\n"));
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
