//! What shows the run: pure functions of a snapshot, each rendered once a snapshot however many ask, and off the runtime's threads.

use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use serde_json::json;
use tokio::sync::Mutex;

use super::reply::{self, problem};
use super::requests::{Generation, requests};
use crate::front::report::csv;
use crate::stats::snapshot::{Snapshot, WorkerState};

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
    /// `/exceptions`.
    Exceptions,
    /// `/exceptions/csv`.
    ExceptionsCsv,
    /// `/worker-count`.
    WorkerCount,
}

impl Document {
    const COUNT: usize = Self::WorkerCount as usize + 1;

    fn render(self, snapshot: &Snapshot) -> Result<String, serde_json::Error> {
        Ok(match self {
            Self::Requests => requests(snapshot, Generation::Second)?,
            Self::OldRequests => requests(snapshot, Generation::First)?,
            Self::RequestsCsv => csv::stats(snapshot),
            Self::DistributionCsv => csv::distribution(snapshot),
            Self::FailuresCsv => csv::failures(snapshot),
            Self::Exceptions => exceptions(snapshot),
            // Which worker an exception is from is not kept.
            Self::ExceptionsCsv => csv::exceptions(snapshot, ""),
            Self::WorkerCount => json!({ "worker_count": worker_count(snapshot) }).to_string(),
        })
    }

    /// The name of the file that a browser makes of it.
    fn file(self) -> Option<&'static str> {
        match self {
            Self::RequestsCsv => Some("attachment; filename=\"requests.csv\""),
            Self::DistributionCsv => Some("attachment; filename=\"distribution.csv\""),
            Self::FailuresCsv => Some("attachment; filename=\"failures.csv\""),
            Self::ExceptionsCsv => Some("attachment; filename=\"exceptions.csv\""),
            Self::Requests | Self::OldRequests | Self::Exceptions | Self::WorkerCount => None,
        }
    }
}

/// What a document was rendered from, and its text.
type Rendered = (Arc<Snapshot>, Bytes);

/// The documents of the newest snapshot that somebody has asked for.
#[derive(Debug, Default)]
pub(super) struct Documents {
    /// By document. The lock is held while one is rendered, so that the others who ask wait for it instead of rendering it, too.
    rendered: [Mutex<Option<Rendered>>; Document::COUNT],
}

impl Documents {
    /// A document of a snapshot, as an answer.
    pub async fn get(&self, document: Document, snapshot: Arc<Snapshot>) -> Response {
        let body = match self.body(document, snapshot).await {
            Ok(body) => body,
            Err(error) => {
                log::error!("a document of the web monitor cannot be rendered: {error}");
                return problem(StatusCode::INTERNAL_SERVER_ERROR, &format!("the document cannot be rendered: {error}"));
            }
        };
        match document.file() {
            Some(file) => ([(header::CONTENT_DISPOSITION, HeaderValue::from_static(file))], reply::text(reply::CSV, body)).into_response(),
            None => reply::text(reply::JSON, body),
        }
    }

    async fn body(&self, document: Document, snapshot: Arc<Snapshot>) -> Result<Bytes, String> {
        let mut rendered = self.rendered[document as usize].lock().await;
        if let Some((of, body)) = &*rendered
            && Arc::ptr_eq(of, &snapshot)
        {
            return Ok(body.clone());
        }
        let source = Arc::clone(&snapshot);
        let rendering = tokio::task::spawn_blocking(move || document.render(&source)).await;
        let text = rendering.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        Ok(rendered.insert((snapshot, Bytes::from(text))).1.clone())
    }
}

/// Workers that are connected.
pub(super) fn worker_count(snapshot: &Snapshot) -> usize {
    snapshot.workers.iter().filter(|worker| !matches!(worker.state, WorkerState::Lost | WorkerState::Left)).count()
}

fn exceptions(snapshot: &Snapshot) -> String {
    let exceptions: Vec<_> = snapshot
        .exceptions
        .iter()
        .map(|exception| json!({ "count": exception.count, "msg": &*exception.message, "traceback": &*exception.traceback, "nodes": "" }))
        .collect();
    json!({ "exceptions": exceptions }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_document_is_rendered_once_a_snapshot() {
        let documents = Documents::default();
        let (first, second) = (Arc::new(Snapshot::default()), Arc::new(Snapshot::default()));
        let address = async |document, snapshot: &Arc<Snapshot>| documents.body(document, Arc::clone(snapshot)).await.unwrap().as_ptr();
        let body = documents.body(Document::Requests, Arc::clone(&first)).await.unwrap();
        assert_eq!(address(Document::Requests, &first).await, body.as_ptr());
        assert_ne!(address(Document::OldRequests, &first).await, body.as_ptr());
        assert_ne!(address(Document::Requests, &second).await, body.as_ptr());
    }
}
