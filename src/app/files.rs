//! The files that runs leave behind: `--csv`, `--json` and `--html`, and the report in a master's state directory. Of a master's many runs the
//! last one's stay.
//!
//! Written on a thread apart, so that a slow disk, or a pipe that nobody reads, holds up neither master nor workers.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Failure;
use crate::config::{Setting, Settings};
use crate::front::report::{Closing, CsvFiles, HtmlFile, JsonFile, KEPT_HTML, KEPT_JSON, KEPT_TEXT, ReportError};
use crate::plan::RunId;
use crate::stats::snapshot::Snapshot;

/// Writes the files of one run after the other.
pub(super) struct RunFiles {
    /// None while a thread writes, and where no file is wanted.
    desk: Option<Desk>,
}

struct Desk {
    csv_base: Option<PathBuf>,
    json_path: Option<PathBuf>,
    html_path: Option<PathBuf>,
    csv: Option<CsvFiles>,
    json: Option<JsonFile>,
    html: Option<HtmlFile>,
    /// Whose history is in `csv`.
    run: Option<RunId>,
    /// What was told of a row that could not be written; the later ones are tried, and say the same.
    lost: Option<ReportError>,
}

impl RunFiles {
    /// Looks at the places that the settings name, so that a path that cannot be written is known before any load is made.
    pub(super) fn create(settings: &Settings) -> Result<Self, Failure> {
        let (csv_base, json_path, html_path) = (settings.csv.clone(), settings.json.clone(), settings.html.clone());
        if csv_base.is_none() && json_path.is_none() && html_path.is_none() {
            return Ok(Self { desk: None });
        }
        let csv = csv_base.as_deref().map(CsvFiles::create).transpose().map_err(Failure::bad_use)?;
        let json = json_path.as_deref().map(JsonFile::create).transpose().map_err(Failure::bad_use)?;
        let html = html_path.as_deref().map(HtmlFile::create).transpose().map_err(Failure::bad_use)?;
        let desk = Desk { csv_base, json_path, html_path, csv, json, html, run: None, lost: None };
        desk.ensure_apart()?;
        Ok(Self { desk: Some(desk) })
    }

    /// Writes what is current during a run. A full disk is told, and ends neither the run nor the file.
    pub(super) async fn on_snapshot(&mut self, snapshot: Arc<Snapshot>) -> Result<(), Failure> {
        self.apart(move |desk| desk.on_snapshot(&snapshot)).await.map(|_| ())
    }

    /// Writes what is written at the end of a run: all of it that can be, whatever becomes of the rest.
    pub(super) async fn finish(&mut self, last: Arc<Snapshot>, closing: Closing) -> Result<(), Failure> {
        let written = self.apart(move |desk| desk.finish(&last, &closing)).await?;
        written.map_or(Ok(()), |written| written.map_err(Failure::bad_use))
    }

    async fn apart<T: Send + 'static>(&mut self, work: impl FnOnce(&mut Desk) -> T + Send + 'static) -> Result<Option<T>, Failure> {
        let Some(mut desk) = self.desk.take() else { return Ok(None) };
        let done = tokio::task::spawn_blocking(move || {
            let done = work(&mut desk);
            (desk, done)
        });
        let (desk, done) = done.await.map_err(Failure::bug)?;
        self.desk = Some(desk);
        Ok(Some(done))
    }
}

/// Leaves the report of a run that is over in `folder`, where the next master finds it. `text` is the report as people have it on a terminal.
///
/// # Errors
/// The disk is full or gone; a file of an earlier run stays as it was then.
pub(super) async fn keep_report(folder: PathBuf, last: Arc<Snapshot>, closing: Closing, text: String) -> Result<(), Failure> {
    let writing = tokio::task::spawn_blocking(move || {
        let text_path = folder.join(KEPT_TEXT);
        let part = folder.join(format!("{KEPT_TEXT}.part"));
        let text = std::fs::write(&part, text).and_then(|()| std::fs::rename(&part, &text_path));
        let text = text.map_err(|source| ReportError { path: text_path, source });
        let json = JsonFile::create(&folder.join(KEPT_JSON)).and_then(|json| json.finish(&last, &closing));
        let html = HtmlFile::create(&folder.join(KEPT_HTML)).and_then(|html| html.finish(&last, &closing));
        text.and(json).and(html)
    });
    writing.await.map_err(Failure::bug)?.map_err(Failure::bad_use)
}

/// The report that a master before has left in `folder`, as people have it on a terminal; nothing where there is none.
pub(super) fn kept_report(folder: &Path) -> Option<String> {
    match std::fs::read_to_string(folder.join(KEPT_TEXT)) {
        Ok(text) => Some(text),
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => None,
        Err(why) => {
            log::warn!("the report of the run before, in `{}`, cannot be read: {why}", folder.display());
            None
        }
    }
}

impl Desk {
    /// Two reports in one place would leave one of them, and nobody knows which.
    fn ensure_apart(&self) -> Result<(), Failure> {
        let csv = self.csv.iter().flat_map(CsvFiles::keys).map(|key| (Setting::Csv, key));
        let json = self.json.iter().map(|json| (Setting::Json, json.key()));
        let html = self.html.iter().map(|html| (Setting::Html, html.key()));
        let mut places = HashMap::new();
        for (setting, key) in csv.chain(json).chain(html) {
            if let Some(other) = places.insert(key.clone(), setting) {
                let (one, two) = (other.flag(), setting.flag());
                return Err(Failure::bad_use(anyhow::anyhow!(
                    "`{one}` and `{two}` both write `{}`: give them places apart",
                    key.display()
                )));
            }
        }
        Ok(())
    }

    fn on_snapshot(&mut self, snapshot: &Snapshot) {
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
            self.lost = None;
        }
        if let Some(csv) = &mut self.csv
            && let Err(why) = csv.on_snapshot(snapshot)
            && self.lost.is_none()
        {
            log::error!("{why}; the run goes on, and what comes later is tried again");
            self.lost = Some(why);
        }
    }

    fn finish(&mut self, last: &Snapshot, closing: &Closing) -> Result<(), ReportError> {
        self.on_snapshot(last);
        let lost = self.lost.take().map_or(Ok(()), Err);
        let csv = self.csv.take().map_or(Ok(()), |mut csv| csv.finish(last));
        let json = self.json.take().map_or(Ok(()), |json| json.finish(last, closing));
        let html = self.html.take().map_or(Ok(()), |html| html.finish(last, closing));
        // The last of them is answered for; the others are told here.
        let failures: Vec<ReportError> = [lost, csv, json, html].into_iter().filter_map(Result::err).collect();
        let mut failures = failures.into_iter();
        let Some(answered) = failures.next_back() else { return Ok(()) };
        failures.for_each(|why| log::error!("{why}"));
        Err(answered)
    }
}
