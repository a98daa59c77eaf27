//! The routes and what answers them.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::asker::Asker;
use super::documents::{self, Document};
use super::openapi::{self, LOCUST, MONITORING, PAGE, V1};
use super::reply::{CSV, HTML, JSON, PLAIN, problem, problem_of, refusal, text};
use super::requests::Requests;
use super::route::{Operation, Route};
use super::shared::Api;
use super::swarm::{self, Swarm};
use super::{form, page, v1};
use crate::front::console::log::host_name;
use crate::front::exposition::MEDIA_TYPE;

/// All routes, without the prefix.
pub(super) fn router(api: Arc<Api>) -> Router {
    routes()
        .into_iter()
        .fold(Router::new(), |router, route| router.route(route.path, route.router))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(api.context.limits.body_bytes))
        .with_state(api)
}

/// The table of all routes.
pub(super) fn routes() -> Vec<Route> {
    let page = Operation::show(PAGE, "page", "The page.").text(200, HTML, "The page.");
    let described = Operation::show(V1, "openapi", "This description.").value(200, "OpenAPI 3.1.", json!({ "type": "object" }));
    let mut routes = vec![Route::at("/").get(front_page, page), Route::at("/api/v1/openapi.json").get(description, described)];
    routes.extend(locust_actions());
    routes.extend(locust_documents());
    routes.extend(monitoring());
    routes.extend(v1::routes());
    routes
}

fn locust_actions() -> Vec<Route> {
    let said = || {
        json!({ "type": "object", "required": ["success", "message"], "properties": {
        "success": { "type": "boolean" }, "message": { "type": "string" },
        "warning": { "type": "string", "description": "What was asked for and is not done, where there is such a thing." } } })
    };
    let act = |id, summary| Operation::act(LOCUST, id, summary);
    let stop = |id| act(id, "Lets the users finish, and ends the run.").value(200, "Whether it is stopping, and why not.", said());
    let reset = |id| act(id, "Clears the statistics; the run goes on.").problem(409, "The master declines.").text(200, PLAIN, "`ok`.");
    let start = act("swarm", "Starts a run, or re-targets the one that is under way.").body(&SWARM_BODIES, swarm_schema()).value(
        200,
        "Whether it began, and why not.",
        said(),
    );
    vec![
        Route::at("/swarm").post(swarm, start),
        Route::at("/stop").get(self::stop, stop("locust_stop_by_get")).post(self::stop, stop("locust_stop")),
        Route::at("/stats/reset").get(self::reset, reset("locust_reset_by_get")).post(self::reset, reset("locust_reset")),
    ]
}

/// Whatever is wrong is told as Locust tells it, as a success of HTTP, so that any value may be sent.
fn swarm_schema() -> Value {
    let properties: Map<_, _> = swarm::KNOWN.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
    json!({ "type": "object", "properties": properties })
}

fn locust_documents() -> Vec<Route> {
    let document = |document: Document| async move |State(api): State<Arc<Api>>| api.document(document).await;
    let show = |id, summary| Operation::show(LOCUST, id, summary);
    let csv = |path, shown, id, summary| Route::at(path).get(document(shown), show(id, summary).text(200, CSV, "A file of CSV."));
    let generation = json!({ "type": "string", "enum": ["0.8", "2", "2.47"] });
    let requests = show("stats_requests", "The statistics as Locust tells them.")
        .query("generation", "Whose values are wanted: those of Locust 0.8 or those of 2.47, as without it.", generation)
        .json::<Requests<'_>>(200, "The statistics.");
    let raised = json!({ "type": "object", "required": ["exceptions"], "properties": { "exceptions": { "type": "array", "items": {
        "type": "object", "required": ["count", "msg", "traceback", "nodes"], "properties": {
            "count": { "type": "integer" }, "msg": { "type": "string" }, "traceback": { "type": "string" }, "nodes": { "type": "string" } } } } } });
    let count = json!({ "type": "object", "required": ["worker_count"], "properties": { "worker_count": { "type": "integer" } } });
    let part = json!({ "type": "object", "additionalProperties": { "type": "object", "required": ["ratio", "tasks"] } });
    let shares = json!({ "type": "object", "required": ["per_class", "total"], "properties": { "per_class": part, "total": part } });
    let lines = json!({ "type": "array", "items": { "type": "string" } });
    let lines = json!({ "type": "object", "required": ["master", "workers"], "properties": {
        "master": lines, "workers": { "type": "object", "additionalProperties": lines } } });
    vec![
        Route::at("/stats/requests").get(self::requests, requests),
        csv("/stats/requests/csv", Document::RequestsCsv, "requests_csv", "The statistics."),
        csv("/stats/distribution/csv", Document::DistributionCsv, "distribution_csv", "The percentiles."),
        csv("/stats/failures/csv", Document::FailuresCsv, "failures_csv", "What failed."),
        Route::at("/exceptions")
            .get(document(Document::Exceptions), show("locust_exceptions", "What scripts raised.").value(200, "The exceptions.", raised)),
        csv("/exceptions/csv", Document::ExceptionsCsv, "exceptions_csv", "What scripts raised."),
        Route::at("/worker-count").get(
            document(Document::WorkerCount),
            show("worker_count", "How many workers are connected.").value(200, "Their number.", count),
        ),
        Route::at("/stats/report").get(
            report,
            show("report", "A report for people: one HTML file.")
                .query("download", "1: the browser keeps the file instead of showing it.", json!({ "type": "string" }))
                .query("theme", "The report's look; the system's without it.", json!({ "type": "string", "enum": ["dark", "light"] }))
                .text(200, HTML, "The report.")
                .problem(400, "`theme` is none of these."),
        ),
        csv("/stats/requests_full_history/csv", Document::HistoryCsv, "history_csv", "The run second by second, all entries together."),
        Route::at("/tasks")
            .get(tasks, show("tasks", "The user classes and their tasks, with their shares.").value(200, "The shares.", shares)),
        Route::at("/logs").get(logs, show("locust_logs", "The newest lines of the log.").value(200, "The lines.", lines)),
        Route::at("/user").post(
            user,
            show("user", "Takes what a page of Locust's says of its user, and keeps nothing of it.").value(
                201,
                "It is thanked for.",
                json!({ "type": "object" }),
            ),
        ),
    ]
}

fn monitoring() -> Vec<Route> {
    let show = |id, summary| Operation::show(MONITORING, id, summary);
    let probe = |id, summary| Operation::probe(MONITORING, id, summary);
    let metrics = async |State(api): State<Arc<Api>>| api.document(Document::Metrics).await;
    vec![
        Route::at("/metrics")
            .get(metrics, show("metrics", "The run, for Prometheus.").text(200, MEDIA_TYPE, "Prometheus' text format 0.0.4.")),
        Route::at("/healthz").get(async || text(PLAIN, "ok"), probe("healthz", "Whether the process lives.").text(200, PLAIN, "`ok`.")),
        Route::at("/readyz").get(
            ready,
            probe("readyz", "Whether the master takes requests.").text(200, PLAIN, "`ok`.").problem(503, "It is shutting down."),
        ),
    ]
}

async fn description(State(api): State<Arc<Api>>) -> Response {
    let described = api.description.get_or_init(|| Bytes::from(openapi::describe(&routes(), &api.context.version).to_string()));
    text(JSON, described.clone())
}

async fn front_page(State(api): State<Arc<Api>>, headers: HeaderMap) -> Response {
    let body = page::render(&api.snapshot(), &api.context, page::base(&headers));
    page::answer(&headers, body)
}

async fn report(State(api): State<Arc<Api>>, uri: Uri, headers: HeaderMap) -> Response {
    let query = match form::query(&uri) {
        Ok(query) => query,
        Err(unreadable) => return unreadable.into_response(),
    };
    let find = |name: &str| query.iter().find(|(other, _)| other == name).map(|(_, value)| &**value);
    let theme = match find("theme") {
        None => None,
        Some(theme @ ("dark" | "light")) => Some(theme),
        Some(_) => return problem_of(StatusCode::BAD_REQUEST, Some("theme"), "theme: neither dark nor light"),
    };
    match api.bytes(Document::Report).await {
        Ok(report) => page::report(&headers, report, theme, !matches!(find("download"), None | Some("" | "0" | "false"))),
        Err(response) => response,
    }
}

async fn swarm(State(api): State<Arc<Api>>, asker: Asker, request: Request) -> Response {
    let parameters = match form::parameters(request, &api.context.limits).await {
        Ok(parameters) => parameters,
        Err(unreadable) => return unreadable.into_response(),
    };
    let swarm = match api.with_rules(|rules| Swarm::read(&parameters, rules)).await {
        Ok(swarm) => swarm,
        Err(reason) => return Swarm::refuse(&parameters, &reason, api.snapshot().host.as_deref()),
    };
    if !swarm.user_classes.is_empty() {
        let judged = match api.context.handle.scripts().await {
            Ok(scripts) => swarm.judge_classes(&scripts),
            Err(declined) => Err(declined.reason),
        };
        if let Err(reason) = judged {
            return Swarm::refuse(&parameters, &reason, api.snapshot().host.as_deref());
        }
    }
    match api.answer(api.context.handle.start(swarm.order.clone(), &asker.by)).await {
        Ok(accepted) => {
            if let Some(warning) = swarm.warning {
                log::warn!("of what {} asks for a part is not done: {warning}", asker.by);
            }
            swarm.reply(&accepted)
        }
        Err(refused) => Swarm::refuse(&parameters, refused.reason(), api.snapshot().host.as_deref()),
    }
}

async fn stop(State(api): State<Arc<Api>>, asker: Asker) -> Response {
    match api.answer(api.context.handle.stop(&asker.by)).await {
        Ok(_) => text(JSON, "{\"success\": true, \"message\": \"Test stopped\"}"),
        Err(refused) => refusal(refused.reason()),
    }
}

async fn reset(State(api): State<Arc<Api>>, asker: Asker) -> Response {
    match api.answer(api.context.handle.reset(&asker.by)).await {
        Ok(_) => text(PLAIN, "ok"),
        Err(refused) => refused.problem(),
    }
}

async fn requests(State(api): State<Arc<Api>>, uri: Uri) -> Response {
    let query = match form::query(&uri) {
        Ok(query) => query,
        Err(unreadable) => return unreadable.into_response(),
    };
    // Other parameters are let pass: clients put random ones there against caches.
    match query.iter().find(|(name, _)| name == "generation").map(|(_, value)| &**value) {
        None | Some("2" | "2.47") => api.document(Document::Requests).await,
        Some("0.8") => api.document(Document::OldRequests).await,
        Some(_) => problem_of(StatusCode::BAD_REQUEST, Some("generation"), "generation: neither 0.8 nor 2.47"),
    }
}

async fn ready(State(api): State<Arc<Api>>) -> Response {
    // The channel closes when the master's shell ends.
    match api.context.handle.snapshots().has_changed() {
        Ok(_) => text(PLAIN, "ok"),
        Err(_) => problem(StatusCode::SERVICE_UNAVAILABLE, "the master is shutting down"),
    }
}

async fn user(_: Asker) -> Response {
    (StatusCode::CREATED, text(JSON, "{}")).into_response()
}

async fn tasks(State(api): State<Arc<Api>>) -> Response {
    text(JSON, documents::tasks(&api.context.handle.tasks().await))
}

async fn logs(State(api): State<Arc<Api>>) -> Response {
    let page = api.context.handle.logs().after(0, usize::MAX);
    let making = tokio::task::spawn_blocking(move || documents::logs(&page, &host_name()));
    match making.await {
        Ok(body) => text(JSON, body),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &format!("the log cannot be shown: {error}")),
    }
}

async fn unknown(uri: Uri) -> Response {
    problem(StatusCode::NOT_FOUND, &format!("there is no route `{}`", uri.path()))
}

async fn wrong_method(method: Method, uri: Uri) -> Response {
    problem(StatusCode::METHOD_NOT_ALLOWED, &format!("`{}` does not take {method}; the header Allow says what it takes", uri.path()))
}

const SWARM_BODIES: [&str; 3] = ["application/x-www-form-urlencoded", "multipart/form-data", JSON];
