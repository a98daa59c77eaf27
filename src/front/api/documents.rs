//! What shows the run: pure functions of a snapshot, each rendered once a snapshot however many ask, and off the runtime's threads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::sync::{Mutex, watch};

use super::metrics::metrics;
use super::packing::pack;
use super::reply::{self, problem};
use super::requests::{Generation, requests, worker_count};
use super::v1::render as v1;
use crate::cluster::logs::{LogPage, MASTER};
use crate::front::console::log::line_of;
use crate::front::console::{Ending, Evidence, ExitCode, Rules, closing, verdict};
use crate::front::exposition::MEDIA_TYPE;
use crate::front::report::{Closing, csv, html, json as report_json};
use crate::stats::snapshot::{ClassShare, RunState, Snapshot};

/// One thing to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Document {
    /// `/stats/requests`.
    Requests,
    /// `/stats/requests?generation=0.8`.
    OldRequests,
    /// `/stats/requests/csv`.
    RequestsCsv,
    /// `/stats/distribution/csv`.
    DistributionCsv,
    /// `/stats/failures/csv`.
    FailuresCsv,
    /// `/stats/requests_full_history/csv`.
    HistoryCsv,
    /// `/exceptions`.
    Exceptions,
    /// `/exceptions/csv`.
    ExceptionsCsv,
    /// `/worker-count`.
    WorkerCount,
    /// `/stats/report`.
    Report,
    /// `/api/v1/report`.
    JsonReport,
    /// `/metrics`.
    Metrics,
    /// An event of `/api/v1/events`, and `/api/v1/snapshot`.
    Event,
    /// The same as a piece of a stream that is packed.
    PackedEvent,
    /// `/api/v1/entries`.
    Entries,
    /// `/api/v1/errors`.
    Errors,
    /// `/api/v1/exceptions`.
    RaisedV1,
    /// `/api/v1/workers`.
    Workers,
}

impl Document {
    const COUNT: usize = Self::Workers as usize + 1;

    /// `number` tells one rendering from the ones before it.
    fn render(self, snapshot: &Snapshot, number: u64) -> Result<Bytes, serde_json::Error> {
        Ok(Bytes::from(match self {
            Self::PackedEvent => return Ok(pack(v1::event(snapshot, number)?.as_bytes()).into()),
            Self::Requests => requests(snapshot, Generation::Second)?,
            Self::OldRequests => requests(snapshot, Generation::First)?,
            Self::RequestsCsv => csv::stats(snapshot),
            Self::DistributionCsv => csv::distribution(snapshot),
            Self::FailuresCsv => csv::failures(snapshot),
            Self::HistoryCsv => csv::full_history(snapshot),
            Self::Exceptions => exceptions(snapshot),
            Self::ExceptionsCsv => csv::exceptions(snapshot),
            Self::WorkerCount => json!({ "worker_count": worker_count(snapshot) }).to_string(),
            Self::Report => html::render(snapshot, closing_so_far(snapshot).as_ref(), SystemTime::now()),
            Self::JsonReport => format!("{:#}\n", report_json::render(snapshot, &closing_so_far(snapshot).unwrap_or_else(under_way))),
            Self::Metrics => metrics(snapshot),
            Self::Event => v1::event(snapshot, number)?,
            Self::Entries => v1::entries(snapshot)?,
            Self::Errors => v1::errors(snapshot)?,
            Self::RaisedV1 => v1::exceptions(snapshot)?,
            Self::Workers => v1::workers(snapshot)?,
        }))
    }

    /// The name of the file that a browser makes of it.
    fn file(self) -> Option<&'static str> {
        match self {
            Self::RequestsCsv => Some("attachment; filename=\"requests.csv\""),
            Self::DistributionCsv => Some("attachment; filename=\"distribution.csv\""),
            Self::FailuresCsv => Some("attachment; filename=\"failures.csv\""),
            Self::HistoryCsv => Some("attachment; filename=\"requests_full_history.csv\""),
            Self::ExceptionsCsv => Some("attachment; filename=\"exceptions.csv\""),
            Self::Requests
            | Self::OldRequests
            | Self::Exceptions
            | Self::WorkerCount
            | Self::Report
            | Self::JsonReport
            | Self::Metrics
            | Self::Event
            | Self::PackedEvent
            | Self::Entries
            | Self::Errors
            | Self::RaisedV1
            | Self::Workers => None,
        }
    }
}

/// How a run that is over ended, as far as its numbers tell; `None` as long as it is under way.
fn closing_so_far(snapshot: &Snapshot) -> Option<Closing> {
    if snapshot.state != RunState::Stopped {
        return None;
    }
    let evidence = Evidence::of(snapshot);
    Some(closing(snapshot, verdict(&evidence, Ending::default(), RULES), evidence.incomplete.is_none()))
}

/// Of a run that nothing can be said of so far.
fn under_way() -> Closing {
    Closing { is_complete: false, exit_code: ExitCode::Passed.code(), has_passed: false, words: "the run is under way".to_owned() }
}

/// Those of a run without flags: who asks has not said others.
const RULES: Rules = Rules { exit_code_on_error: 1, is_strict: false };

/// What a document was rendered from, and its text.
type Rendered = (Arc<Snapshot>, Bytes);

/// The documents of the newest snapshot that somebody has asked for.
#[derive(Debug, Default)]
pub(super) struct Documents {
    /// By document. The lock is held while one is rendered, so that the others who ask wait for it instead of rendering it, too.
    rendered: [Mutex<Option<Rendered>>; Document::COUNT],
    renderings: AtomicU64,
}

impl Documents {
    /// A document of the newest snapshot, as an answer.
    pub async fn get(&self, document: Document, snapshots: &watch::Receiver<Arc<Snapshot>>) -> Response {
        let body = match self.bytes(document, snapshots).await {
            Ok(body) => body,
            Err(response) => return response,
        };
        match document.file() {
            Some(file) => ([(header::CONTENT_DISPOSITION, HeaderValue::from_static(file))], reply::text(reply::CSV, body)).into_response(),
            None if document == Document::Metrics => reply::text(MEDIA_TYPE, body),
            None => reply::text(reply::JSON, body),
        }
    }

    /// A document of the newest snapshot.
    ///
    /// # Errors
    /// The answer that it cannot be rendered.
    pub async fn bytes(&self, document: Document, snapshots: &watch::Receiver<Arc<Snapshot>>) -> Result<Bytes, Response> {
        self.body(document, snapshots).await.map_err(|error| {
            log::error!("a document of the web monitor cannot be rendered: {error}");
            problem(StatusCode::INTERNAL_SERVER_ERROR, &format!("the document cannot be rendered: {error}"))
        })
    }

    async fn body(&self, document: Document, snapshots: &watch::Receiver<Arc<Snapshot>>) -> Result<Bytes, String> {
        let mut rendered = self.rendered[document as usize].lock().await;
        // Under the lock, so that nobody renders an older one after a newer one.
        let snapshot = snapshots.borrow().clone();
        if let Some((of, body)) = &*rendered
            && Arc::ptr_eq(of, &snapshot)
        {
            return Ok(body.clone());
        }
        let source = Arc::clone(&snapshot);
        let number = self.renderings.fetch_add(1, Ordering::Relaxed) + 1;
        let rendering = tokio::task::spawn_blocking(move || document.render(&source, number)).await;
        let body = rendering.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        Ok(rendered.insert((snapshot, body)).1.clone())
    }
}

fn exceptions(snapshot: &Snapshot) -> String {
    let exceptions: Vec<_> = snapshot
        .exceptions
        .iter()
        .map(|exception| {
            let nodes = csv::nodes(exception);
            json!({ "count": exception.count, "msg": &*exception.message, "traceback": &*exception.traceback, "nodes": nodes })
        })
        .collect();
    json!({ "exceptions": exceptions }).to_string()
}

/// `/tasks`: the second part tells each share of the whole, the first one of what it is a part of.
pub(super) fn tasks(classes: &[ClassShare]) -> String {
    let part = |scale: fn(&ClassShare) -> f64| -> Value {
        let class = |class: &ClassShare| {
            let tasks = class.tasks.iter().map(|task| (task.name.clone(), json!({ "ratio": task.ratio * scale(class) })));
            (class.name.clone(), json!({ "ratio": class.ratio, "tasks": Map::from_iter(tasks) }))
        };
        Map::from_iter(classes.iter().map(class)).into()
    };
    json!({ "per_class": part(|_| 1.0), "total": part(|class| class.ratio) }).to_string()
}

/// `/logs`: each line as the console of its process shows it.
pub(super) fn logs(page: &LogPage, own_host: &str) -> String {
    let mut own = Vec::new();
    let mut workers = BTreeMap::<&str, Vec<String>>::new();
    for line in &page.lines {
        let lines = if line.source == MASTER { &mut own } else { workers.entry(&line.source).or_default() };
        lines.push(line_of(line, own_host));
    }
    json!({ "master": own, "workers": workers }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::snapshot::TaskShare;

    #[test]
    fn tasks_are_told_as_parts_of_their_class_and_of_the_whole() {
        let tasks = [("browse", 0.75), ("buy", 0.25)].map(|(name, ratio)| TaskShare { name: name.into(), ratio });
        let classes = [
            ClassShare { name: "Shopper".into(), ratio: 0.5, tasks: tasks.to_vec(), ..ClassShare::default() },
            ClassShare { name: "Admin".into(), ratio: 0.5, ..ClassShare::default() },
        ];
        let told: Value = serde_json::from_str(&super::tasks(&classes)).unwrap();
        let shopper = |browse: f64, buy: f64| json!({ "ratio": 0.5, "tasks": { "browse": { "ratio": browse }, "buy": { "ratio": buy } } });
        let admin = json!({ "ratio": 0.5, "tasks": {} });
        assert_eq!(told["per_class"], json!({ "Shopper": shopper(0.75, 0.25), "Admin": admin }));
        assert_eq!(told["total"], json!({ "Shopper": shopper(0.375, 0.125), "Admin": admin }));
    }

    #[tokio::test]
    async fn a_document_is_rendered_once_a_snapshot() {
        let documents = Documents::default();
        let (first, second) = (Arc::new(Snapshot::default()), Arc::new(Snapshot::default()));
        let (publish, snapshots) = watch::channel(first);
        let address = async |document| documents.body(document, &snapshots).await.unwrap().as_ptr();
        let body = documents.body(Document::Requests, &snapshots).await.unwrap();
        assert_eq!(address(Document::Requests).await, body.as_ptr());
        assert_ne!(address(Document::OldRequests).await, body.as_ptr());
        publish.send_replace(second);
        assert_ne!(address(Document::Requests).await, body.as_ptr());
    }
}
