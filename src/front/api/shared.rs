//! What all routes share: the master, its documents, and how what it says becomes an answer.

use std::sync::{Arc, OnceLock};

use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use tokio::sync::{Semaphore, watch};

use super::ApiContext;
use super::documents::{Document, Documents};
use super::reply::problem;
use super::swarm::Rules;
use crate::cluster::handle::Accepted;
use crate::cluster::planner::Declined;
use crate::stats::snapshot::Snapshot;

/// What the routes share.
#[derive(Debug)]
pub(super) struct Api {
    pub context: ApiContext,
    /// Only this machine can ask, so that a start may name any host.
    pub is_local: bool,
    /// Turns true when the server ends.
    pub ending: watch::Receiver<bool>,
    /// Places for streams of events. They leave connections for those who act.
    pub streams: Arc<Semaphore>,
    pub documents: Documents,
    pub description: OnceLock<Bytes>,
}

impl Api {
    pub fn new(context: ApiContext, is_local: bool, ending: watch::Receiver<bool>) -> Self {
        let streams = Arc::new(Semaphore::new(streams_max(&context)));
        Self { context, is_local, ending, streams, documents: Documents::default(), description: OnceLock::new() }
    }

    /// Streams of events that are open.
    pub fn open_streams(&self) -> usize {
        streams_max(&self.context).saturating_sub(self.streams.available_permits())
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.context.handle.snapshots().borrow().clone()
    }

    pub async fn document(&self, document: Document) -> Response {
        self.documents.get(document, &self.context.handle.snapshots()).await
    }

    /// A document of the newest snapshot, or the answer that there is none.
    pub async fn bytes(&self, document: Document) -> Result<Bytes, Response> {
        self.documents.bytes(document, &self.context.handle.snapshots()).await
    }

    /// What the master says to something that was asked of it.
    pub async fn answer(&self, asked: impl Future<Output = Result<Accepted, Declined>>) -> Result<Accepted, Refused> {
        let limit = self.context.limits.action;
        match tokio::time::timeout(limit, asked).await {
            Ok(Ok(accepted)) => Ok(accepted),
            Ok(Err(declined)) if self.is_over() => Err(Refused::Unanswered(declined.reason)),
            Ok(Err(declined)) => Err(Refused::Declined(declined.reason)),
            Err(_) => {
                let seconds = limit.as_secs();
                Err(Refused::Unanswered(format!("the master has not answered for {seconds} seconds; what was asked may still happen")))
            }
        }
    }

    /// Reads a start by what one may ask for at this moment: the hosts that the settings name, the run's, and those of the scripts as they are
    /// now. These have to be evaluated, and are asked for only where the start would be refused without.
    pub async fn with_rules<T, E: From<Refused>>(&self, read: impl Fn(&Rules<'_>) -> Result<T, E>) -> Result<T, E> {
        let snapshot = self.snapshot();
        let mut hosts: Vec<&str> = self.context.hosts.iter().map(String::as_str).chain(snapshot.host.as_deref()).collect();
        let by = |hosts: &[&str]| {
            read(&Rules {
                hosts: (!self.is_local).then_some(hosts),
                read_run_time: self.context.read_run_time,
                read_rate: self.context.read_rate,
            })
        };
        let first = by(&hosts);
        if first.is_ok() || self.is_local {
            return first;
        }
        let scripts = self.context.handle.scripts().await.map_err(|declined| Refused::Unanswered(declined.reason))?;
        hosts.extend(scripts.iter().filter_map(|script| script.host.as_deref()));
        by(&hosts)
    }

    /// The channel closes when the master's shell ends.
    fn is_over(&self) -> bool {
        self.context.handle.snapshots().has_changed().is_err()
    }
}

/// Why something that was asked is not done, for people.
#[derive(Debug)]
pub(super) enum Refused {
    /// The master says no.
    Declined(String),
    /// The master says nothing in time.
    Unanswered(String),
}

impl Refused {
    /// What the person is told.
    pub fn reason(&self) -> &str {
        let (Self::Declined(reason) | Self::Unanswered(reason)) = self;
        reason
    }

    pub fn problem(&self) -> Response {
        let status = if matches!(self, Self::Declined(_)) { StatusCode::CONFLICT } else { StatusCode::SERVICE_UNAVAILABLE };
        problem(status, self.reason())
    }
}

impl From<Refused> for String {
    fn from(refused: Refused) -> Self {
        refused.reason().to_owned()
    }
}

fn streams_max(context: &ApiContext) -> usize {
    (context.limits.connections / 2).max(1)
}
