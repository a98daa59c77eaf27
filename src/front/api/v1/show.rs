//! What shows the run: the snapshot, and parts of it by themselves.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde_json::json;

use super::super::documents::Document;
use super::super::form::{self, Parameters};
use super::super::openapi::V1;
use super::super::reply::{self, HTML, JSON, problem, problem_of};
use super::super::route::{Operation, Route};
use super::render::run_name;
use crate::front::api::shared::Api;
use crate::front::report::{KEPT_HTML, KEPT_JSON};
use crate::front::snapshot_json::*;
use crate::stats::snapshot::RunState;

pub(super) fn routes() -> Vec<Route> {
    let show = |id, summary| Operation::show(V1, id, summary);
    let document = |document: Document| async move |State(api): State<Arc<Api>>| api.document(document).await;
    let after = json!({ "type": "number" });
    let detail = show("entry_detail", "One entry whole; without parameters all entries together.")
        .query("method", "The entry's method; goes with `name`.", json!({ "type": "string" }))
        .query("name", "The entry's name; goes with `method`.", json!({ "type": "string" }))
        .json::<EntryDetailJson>(200, "The entry.")
        .problem(404, "There is no such entry.");
    vec![
        Route::at("/api/v1/snapshot")
            .get(snapshot, show("snapshot", "All that is known of the run.").json::<SnapshotJson>(200, "The newest snapshot.")),
        Route::at("/api/v1/report").get(
            json_report,
            show("json_report", "The report of the run, or of the last one: what --json writes.")
                .value(200, "The report.", json!({ "type": "object" }))
                .problem(409, "There has been no run, or it has not begun yet."),
        ),
        Route::at("/api/v1/report.html").get(
            html_report,
            show("html_report", "The report of the run, or of the last one, for people: what --html writes.")
                .text(200, HTML, "The report.")
                .problem(409, "There has been no run, or it has not begun yet."),
        ),
        Route::at("/api/v1/history").get(
            history,
            show("history", "The run second by second.")
                .query("after_s", "Only points that begin after this moment of the run's clock.", after)
                .json::<HistoryJson>(200, "The points."),
        ),
        Route::at("/api/v1/entries")
            .get(document(Document::Entries), show("entries", "The rows of the statistics.").json::<EntriesJson>(200, "The rows.")),
        Route::at("/api/v1/entries/detail").get(entry_detail, detail),
        Route::at("/api/v1/errors").get(document(Document::Errors), show("errors", "What failed.").json::<ErrorsJson>(200, "The errors.")),
        Route::at("/api/v1/exceptions")
            .get(document(Document::RaisedV1), show("exceptions", "What scripts raised.").json::<ExceptionsJson>(200, "The exceptions.")),
        Route::at("/api/v1/workers")
            .get(document(Document::Workers), show("workers", "The workers and their health.").json::<WorkersJson>(200, "The workers.")),
        Route::at("/api/v1/scripts").get(
            scripts,
            show("scripts", "The scripts that a start may name, as they were a few seconds ago at most.")
                .json::<ScriptsJson>(200, "The scripts.")
                .problem(503, "The folder of the scripts does not answer."),
        ),
        Route::at("/api/v1/logs").get(
            logs,
            show("logs", "The newest lines of the log, the master's own and its workers'.")
                .query("after", "Only lines after the one with this number.", json!({ "type": "integer", "minimum": 0 }))
                .query("limit", "At most so many lines, the oldest of them first.", json!({ "type": "integer", "minimum": 1 }))
                .json::<LogsJson>(200, "The lines."),
        ),
    ]
}

async fn json_report(State(api): State<Arc<Api>>) -> Response {
    report(&api, Document::JsonReport, JSON, KEPT_JSON).await
}

async fn html_report(State(api): State<Arc<Api>>) -> Response {
    report(&api, Document::Report, HTML, KEPT_HTML).await
}

/// A report of the newest snapshot; before this master's first run the one that its predecessor has left. Of a run that has been asked for and
/// has not begun there is none, and another run's would be taken for it.
async fn report(api: &Api, document: Document, kind: &'static str, file: &str) -> Response {
    let snapshot = api.snapshot();
    if snapshot.started_at.is_some() {
        return api.bytes(document).await.map_or_else(|answer| answer, |body| reply::text(kind, body));
    }
    if snapshot.state == RunState::Waiting {
        return problem(StatusCode::CONFLICT, "the run waits for its workers and has not begun, so that there is nothing to report yet");
    }
    let kept = match &api.context.kept_reports {
        Some(folder) => tokio::fs::read(folder.join(file)).await,
        None => Err(std::io::ErrorKind::NotFound.into()),
    };
    match kept {
        Ok(bytes) => reply::text(kind, bytes),
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => problem(StatusCode::CONFLICT, "there has been no run to report of"),
        Err(why) => problem(StatusCode::INTERNAL_SERVER_ERROR, &format!("the report that was kept cannot be read: {why}")),
    }
}

async fn snapshot(State(api): State<Arc<Api>>) -> Response {
    match api.bytes(Document::Event).await {
        Ok(event) => {
            let begin = event.iter().position(|byte| *byte == b'{').unwrap_or(event.len());
            reply::text(JSON, event.slice(begin..event.len().saturating_sub(2).max(begin)))
        }
        Err(response) => response,
    }
}

pub(super) async fn run(State(api): State<Arc<Api>>) -> Response {
    let snapshot = api.snapshot();
    reply::json(&RunJson {
        run: run_name(&snapshot),
        state: snapshot.state.into(),
        scenario: snapshot.scenario.clone(),
        script: snapshot.script.clone(),
        host: snapshot.host.clone(),
        users: snapshot.users,
        target_users: snapshot.target_users,
        elapsed_s: snapshot.elapsed.as_secs_f64(),
        planned_s: snapshot.planned.map(|planned| planned.as_secs_f64()),
    })
}

async fn history(State(api): State<Arc<Api>>, uri: Uri) -> Response {
    let query = match form::query(&uri) {
        Ok(query) => query,
        Err(unreadable) => return unreadable.into_response(),
    };
    let after = match find(&query, "after_s").map(str::parse::<f64>) {
        None => f64::NEG_INFINITY,
        Some(Ok(after)) if after.is_finite() => after,
        Some(_) => return problem_of(StatusCode::BAD_REQUEST, Some("after_s"), "after_s: not a number of seconds"),
    };
    let snapshot = api.snapshot();
    blocking(move || {
        let points = snapshot.history.iter().filter(|point| point.at.as_secs_f64() > after).map(PointJson::from).collect();
        HistoryJson { run: run_name(&snapshot), points }
    })
    .await
}

async fn entry_detail(State(api): State<Arc<Api>>, uri: Uri) -> Response {
    let query = match form::query(&uri) {
        Ok(query) => query,
        Err(unreadable) => return unreadable.into_response(),
    };
    let snapshot = api.snapshot();
    let wanted = match (find(&query, "method"), find(&query, "name")) {
        (None, None) => None,
        (Some(method), Some(name)) => {
            let place = snapshot.entries.iter().position(|entry| &*entry.method == method && &*entry.name == name);
            if place.is_none() {
                return problem(StatusCode::NOT_FOUND, "there is no entry of this method and name");
            }
            place
        }
        (method, _) => {
            let missing = if method.is_none() { "method" } else { "name" };
            return problem_of(StatusCode::BAD_REQUEST, Some(missing), "method and name go together");
        }
    };
    blocking(move || {
        let entry = wanted.map_or(&snapshot.total, |place| &snapshot.entries[place]);
        EntryDetailJson::new(run_name(&snapshot), entry, wanted.is_none().then_some(&*snapshot.phases))
    })
    .await
}

async fn scripts(State(api): State<Arc<Api>>) -> Response {
    match api.context.handle.scripts().await {
        Ok(scripts) => reply::json(&ScriptsJson { scripts: scripts.iter().map(ScriptJson::from).collect() }),
        Err(declined) => problem(StatusCode::SERVICE_UNAVAILABLE, &declined.reason),
    }
}

async fn logs(State(api): State<Arc<Api>>, uri: Uri) -> Response {
    let query = match form::query(&uri) {
        Ok(query) => query,
        Err(unreadable) => return unreadable.into_response(),
    };
    // Answers with the name of what cannot be read, and what it must be.
    let number = |name: &'static str, otherwise: u64, least: u64| match find(&query, name).map(str::parse::<u64>) {
        None => Ok(otherwise),
        Some(Ok(number)) if number >= least => Ok(number),
        Some(_) => Err((name, least)),
    };
    let (after, limit) = match (number("after", 0, 0), number("limit", u64::MAX, 1)) {
        (Ok(after), Ok(limit)) => (after, usize::try_from(limit).unwrap_or(usize::MAX)),
        (Err((name, least)), _) | (_, Err((name, least))) => {
            return problem_of(StatusCode::BAD_REQUEST, Some(name), &format!("{name}: not a whole number from {least} on"));
        }
    };
    let page = api.context.handle.logs().after(after, limit);
    blocking(move || LogsJson::from(page)).await
}

/// Answers with what takes a while to make, off the runtime's threads.
async fn blocking<T: Serialize + Send + 'static>(make: impl FnOnce() -> T + Send + 'static) -> Response {
    match tokio::task::spawn_blocking(move || reply::json(&make())).await {
        Ok(response) => response,
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, &format!("the answer cannot be made: {error}")),
    }
}

/// Other parameters are let pass: clients put random ones there against caches.
fn find<'a>(query: &'a Parameters, name: &str) -> Option<&'a str> {
    query.iter().find(|(other, _)| other == name).map(|(_, value)| &**value)
}
