//! The routes and what answers them.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get, post};

use super::asker::Asker;
use super::documents::{Document, Documents};
use super::form::{self, Parameters};
use super::reply::{HTML, JSON, PLAIN, Style, problem, refusal, text};
use super::swarm::{Rules, Swarm};
use super::{ApiContext, page};
use crate::cluster::handle::{Accepted, Declined};
use crate::stats::snapshot::Snapshot;

/// What the routes share.
#[derive(Debug)]
pub(super) struct Api {
    pub context: ApiContext,
    /// Only this machine can ask, so that a start may name any host.
    pub is_local: bool,
    documents: Documents,
}

impl Api {
    pub fn new(context: ApiContext, is_local: bool) -> Self {
        Self { context, is_local, documents: Documents::default() }
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        self.context.handle.snapshots().borrow().clone()
    }

    async fn document(&self, document: Document) -> Response {
        self.documents.get(document, self.snapshot()).await
    }

    /// What the master says to something that was asked of it.
    async fn answer(&self, asked: impl Future<Output = Result<Accepted, Declined>>) -> Result<Accepted, String> {
        let limit = self.context.limits.action;
        match tokio::time::timeout(limit, asked).await {
            Ok(result) => result.map_err(|declined| declined.reason),
            Err(_) => Err(format!("the master has not answered for {} seconds; what was asked may still happen", limit.as_secs())),
        }
    }
}

/// All routes, without the prefix.
pub(super) fn router(api: Arc<Api>) -> Router {
    let document = |document: Document| get(async move |State(api): State<Arc<Api>>| api.document(document).await);
    Router::new()
        .route("/", get(front_page))
        .route("/swarm", post(swarm))
        .route("/stop", get(stop).post(stop))
        .route("/stats/reset", get(reset).post(reset))
        .route("/stats/requests", get(requests))
        .route("/stats/requests/csv", document(Document::RequestsCsv))
        .route("/stats/distribution/csv", document(Document::DistributionCsv))
        .route("/stats/failures/csv", document(Document::FailuresCsv))
        .route("/exceptions", document(Document::Exceptions))
        .route("/exceptions/csv", document(Document::ExceptionsCsv))
        .route("/worker-count", document(Document::WorkerCount))
        .route("/healthz", get(async || text(PLAIN, "ok")))
        .route("/readyz", get(ready))
        .route("/stats/report", any(absent))
        .route("/stats/requests_full_history/csv", any(absent))
        .route("/tasks", any(absent))
        .route("/logs", any(absent))
        .route("/user", any(absent))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(api.context.limits.body_bytes))
        .with_state(api)
}

async fn front_page(State(api): State<Arc<Api>>, headers: HeaderMap) -> Response {
    let body = page::render(&api.snapshot(), &api.context.version, page::base(&headers));
    let mut response = text(HTML, body);
    response.headers_mut().extend(page::rules());
    response
}

async fn swarm(State(api): State<Arc<Api>>, asker: Asker, request: Request) -> Response {
    let parameters = match form::parameters(request, &api.context.limits).await {
        Ok(parameters) => parameters,
        Err(unreadable) => return unreadable.into_response(),
    };
    let snapshot = api.snapshot();
    let hosts: Vec<&str> = api.context.hosts.iter().map(String::as_str).chain(snapshot.host.as_deref()).collect();
    let rules = Rules { hosts: (!api.is_local).then_some(&*hosts), read_run_time: api.context.read_run_time };
    let swarm = match Swarm::read(&parameters, &rules) {
        Ok(swarm) => swarm,
        Err(reason) => return Swarm::refuse(&parameters, &reason),
    };
    match api.answer(api.context.handle.start(swarm.order.clone(), &asker.by)).await {
        Ok(accepted) => swarm.reply(&accepted),
        Err(reason) => Swarm::refuse(&parameters, &reason),
    }
}

async fn stop(State(api): State<Arc<Api>>, asker: Asker) -> Response {
    match api.answer(api.context.handle.stop(&asker.by)).await {
        Ok(_) => text(JSON, "{\"success\": true, \"message\": \"Test stopped\"}"),
        Err(reason) => refusal(Style::Spaced, &reason),
    }
}

async fn reset(State(api): State<Arc<Api>>, asker: Asker) -> Response {
    match api.answer(api.context.handle.reset(&asker.by)).await {
        Ok(_) => text(PLAIN, "ok"),
        Err(reason) => problem(StatusCode::SERVICE_UNAVAILABLE, &reason),
    }
}

async fn requests(State(api): State<Arc<Api>>, uri: Uri) -> Response {
    let query = match Query::<Parameters>::try_from_uri(&uri) {
        Ok(query) => query.0,
        Err(error) => return problem(StatusCode::BAD_REQUEST, &format!("the query cannot be read: {error}")),
    };
    // Other parameters are let pass: clients put random ones there against caches.
    match query.iter().find(|(name, _)| name == "generation").map(|(_, value)| &**value) {
        None | Some("2" | "2.47") => api.document(Document::Requests).await,
        Some("0.8") => api.document(Document::OldRequests).await,
        Some(_) => problem(StatusCode::BAD_REQUEST, "generation: neither 0.8 nor 2.47"),
    }
}

async fn ready(State(api): State<Arc<Api>>) -> Response {
    // The channel closes when the master's shell ends.
    match api.context.handle.snapshots().has_changed() {
        Ok(_) => text(PLAIN, "ok"),
        Err(_) => problem(StatusCode::SERVICE_UNAVAILABLE, "the master is shutting down"),
    }
}

async fn absent(uri: Uri) -> Response {
    problem(StatusCode::NOT_IMPLEMENTED, &format!("this version of Lunamoth has no `{}`", uri.path()))
}

async fn unknown(uri: Uri) -> Response {
    problem(StatusCode::NOT_FOUND, &format!("there is no route `{}`", uri.path()))
}

async fn wrong_method(method: Method, uri: Uri) -> Response {
    problem(StatusCode::METHOD_NOT_ALLOWED, &format!("`{}` does not take {method}; the header Allow says what it takes", uri.path()))
}
