//! The outputs of runs: `--csv`, `--json`, `--html` and `--out`, and the report in a master's state directory. Of a master's many runs the
//! last one's stay.
//!
//! Owns which outputs are wanted and that no two of them meet; each works by itself ([`Writer`]).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::failure::Failure;
use crate::config::Settings;
use crate::front::report::{
    Closing, Finishing, HtmlFile, JsonFile, KEPT_HTML, KEPT_JSON, KEPT_TEXT, Output as _, ReportError, Wanted, WriteError, Writer,
    is_stdout,
};
use crate::stats::snapshot::Snapshot;

/// The outputs that the settings name.
pub(super) fn wanted(settings: &Settings) -> Result<Vec<Wanted>, Failure> {
    let own = [("csv", &settings.csv), ("json", &settings.json), ("html", &settings.html)];
    let own = own.into_iter().filter_map(|(kind, place)| Some((format!("--{kind}"), kind, place.as_deref()?)));
    let own = own.map(|(said, kind, place)| Wanted::said_by(said, kind, place));
    let named = settings.out.iter().map(|(kind, place)| Wanted::new(kind, Path::new(place)));
    own.chain(named).collect::<Result<_, _>>().map_err(|words| Failure::bad_use(anyhow::anyhow!(words)))
}

/// Whether one of them goes to stdout, which is then no place for tables.
pub(super) fn takes_stdout(settings: &Settings) -> Result<bool, Failure> {
    Ok(wanted(settings)?.iter().any(|wanted| is_stdout(wanted.place())))
}

/// The outputs of one run after the other.
pub(super) struct RunFiles {
    writers: Vec<Writer>,
}

impl RunFiles {
    /// Looks at the places that the settings name, so that a path that cannot be written is known before any load is made.
    pub(super) fn create(settings: &Settings) -> Result<Self, Failure> {
        let (mut writers, mut places) = (Vec::new(), HashMap::new());
        for wanted in wanted(settings)? {
            let output = wanted.open().map_err(Failure::bad_use)?;
            for key in output.keys() {
                // Two reports in one place would leave one of them, and nobody knows which.
                if let Some(other) = places.insert(key.clone(), wanted.said().to_owned()) {
                    return Err(Failure::bad_use(anyhow::anyhow!(
                        "`{other}` and `{}` both write `{}`: give them places apart",
                        wanted.said(),
                        key.display()
                    )));
                }
            }
            writers.push(Writer::start(wanted, output).map_err(Failure::bug)?);
        }
        Ok(Self { writers })
    }

    /// Hands on what is current during a run; waits for nobody.
    pub(super) fn on_snapshot(&mut self, snapshot: &Arc<Snapshot>) {
        if snapshot.started_at.is_some() {
            self.writers.iter_mut().for_each(|writer| writer.on_snapshot(snapshot));
        }
    }

    /// Lets all of them write their ends, and waits for that: all that can be, whatever becomes of the rest.
    pub(super) async fn finish(&mut self, last: &Arc<Snapshot>, closing: &Closing) -> Result<(), Failure> {
        // All are asked before the first is waited for.
        let endings: Vec<Finishing> = self.writers.iter_mut().map(|writer| writer.finish(last, closing)).collect();
        let mut failures = Vec::new();
        for ending in endings {
            failures.extend(ending.done().await.err());
        }
        // The last of them is answered for; the others are told here.
        let Some(answered) = failures.pop() else { return Ok(()) };
        failures.iter().for_each(|why| log::error!("{why}"));
        Err(if matches!(answered, WriteError::Gone { .. }) { Failure::bug(answered) } else { Failure::bad_use(answered) })
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
        let json = JsonFile::create(&folder.join(KEPT_JSON)).and_then(|mut json| json.finish(&last, &closing));
        let html = HtmlFile::create(&folder.join(KEPT_HTML)).and_then(|mut html| html.finish(&last, &closing));
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
