//! The lines of `--out jsonl=FILE`: the snapshot of each second, as `/api/v1/snapshot` has it, as they come.

use std::path::{Path, PathBuf};

use super::output::Output;
use super::place::Growing;
use super::{Closing, ReportError, SecondGate};
use crate::front::snapshot_json::SnapshotJson;
use crate::stats::snapshot::Snapshot;

/// A file that grows by a line for each second of the run's clock.
#[derive(Debug)]
pub struct LinesFile {
    file: Growing,
    gate: SecondGate,
}

impl LinesFile {
    /// Opens the file, and empties it; `-` is stdout.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn create(path: &Path) -> Result<Self, ReportError> {
        Ok(Self { file: Growing::create(path)?, gate: SecondGate::default() })
    }
}

impl Output for LinesFile {
    fn keys(&self) -> Vec<PathBuf> {
        vec![self.file.key()]
    }

    fn on_snapshot(&mut self, snapshot: &Snapshot) -> Result<(), ReportError> {
        if self.gate.pass(snapshot).is_some() { self.file.write(&line(snapshot, None)) } else { Ok(()) }
    }

    /// The last line is that of the whole run, and has its verdict.
    fn finish(&mut self, last: &Snapshot, closing: &Closing) -> Result<(), ReportError> {
        self.file.write(&line(last, Some(closing)))
    }
}

fn line(snapshot: &Snapshot, closing: Option<&Closing>) -> String {
    // Who has every line has every point.
    let shown = SnapshotJson { recent: Vec::new(), ..SnapshotJson::from(snapshot) };
    let mut value = serde_json::to_value(shown).expect("a snapshot's keys are texts, and its numbers finite or null");
    if let serde_json::Value::Object(keys) = &mut value {
        keys.remove("recent");
        if let Some(closing) = closing {
            keys.insert("complete".to_owned(), closing.is_complete.into());
            keys.insert("verdict".to_owned(), closing.to_json());
        }
    }
    format!("{value}\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::front::tests::busy_snapshot;

    #[test]
    fn each_second_is_a_line_and_the_last_one_has_the_verdict() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/run.jsonl");
        let mut output = LinesFile::create(&path).unwrap();
        let mut snapshot = busy_snapshot();
        for milliseconds in [1_000, 1_400, 2_010, 2_400] {
            snapshot.elapsed = Duration::from_millis(milliseconds);
            output.on_snapshot(&snapshot).unwrap();
        }
        let closing = Closing { is_complete: true, exit_code: 1, has_passed: false, words: "FAILED: 1 of 2 thresholds".to_owned() };
        output.finish(&snapshot, &closing).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.iter().map(|line| line["elapsed_s"].as_f64().unwrap()).collect::<Vec<f64>>(), [1.0, 2.01, 2.4]);
        assert_eq!(lines[0]["total"]["requests"], snapshot.total.requests);
        assert_eq!(lines[2]["verdict"]["exit_code"], 1);
        assert!(lines[0].get("verdict").is_none() && lines[0].get("recent").is_none(), "{text}");
    }
}
