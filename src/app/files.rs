//! The files that runs leave behind: `--csv`, `--json` and `--html`. Of a master's many runs the last one's stay.

use std::path::PathBuf;

use super::Failure;
use crate::config::Settings;
use crate::front::report::{CsvFiles, HtmlFile, JsonFile};
use crate::plan::RunId;
use crate::stats::snapshot::Snapshot;

/// Writes the files of one run after the other.
pub(super) struct RunFiles {
    csv_base: Option<PathBuf>,
    json_path: Option<PathBuf>,
    html_path: Option<PathBuf>,
    csv: Option<CsvFiles>,
    json: Option<JsonFile>,
    html: Option<HtmlFile>,
    /// Whose history is in `csv`.
    run: Option<RunId>,
}

impl RunFiles {
    /// Creates the files that the settings name, so that a path that cannot be written is known before any load is made.
    pub(super) fn create(settings: &Settings) -> Result<Self, Failure> {
        let csv = settings.csv.as_deref().map(CsvFiles::create).transpose().map_err(Failure::bad_use)?;
        let json = settings.json.as_deref().map(JsonFile::create).transpose().map_err(Failure::bad_use)?;
        let html = settings.html.as_deref().map(HtmlFile::create).transpose().map_err(Failure::bad_use)?;
        let (csv_base, json_path, html_path) = (settings.csv.clone(), settings.json.clone(), settings.html.clone());
        Ok(Self { csv_base, json_path, html_path, csv, json, html, run: None })
    }

    /// Adds to the history. A full disk ends the file, not the run.
    pub(super) fn on_snapshot(&mut self, snapshot: &Snapshot) {
        if snapshot.started_at.is_none() {
            return;
        }
        if self.run.replace(snapshot.run).is_some_and(|run| run != snapshot.run) {
            // Another run: its files take the place of those before.
            let (csv, json) = (self.csv_base.as_deref().map(CsvFiles::create), self.json_path.as_deref().map(JsonFile::create));
            let html = self.html_path.as_deref().map(HtmlFile::create);
            let told = |why| log::error!("{why}");
            self.csv = csv.and_then(|csv| csv.map_err(told).ok());
            self.json = json.and_then(|json| json.map_err(told).ok());
            self.html = html.and_then(|html| html.map_err(told).ok());
        }
        if let Some(csv) = &mut self.csv
            && let Err(why) = csv.on_snapshot(snapshot)
        {
            log::error!("{why}");
            self.csv = None;
        }
    }

    /// Writes what is written at the end of a run.
    pub(super) fn finish(&mut self, last: &Snapshot, is_complete: bool) -> Result<(), Failure> {
        self.on_snapshot(last);
        if let Some(mut csv) = self.csv.take() {
            csv.finish(last).map_err(Failure::bad_use)?;
        }
        if let Some(json) = self.json.take() {
            json.finish(last, is_complete).map_err(Failure::bad_use)?;
        }
        if let Some(html) = self.html.take() {
            html.finish(last, is_complete).map_err(Failure::bad_use)?;
        }
        Ok(())
    }
}
