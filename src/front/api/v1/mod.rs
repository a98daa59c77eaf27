//! `/api/v1`: the API of Lunamoth's own. Owns its routes, their strictness, and the stream of events. Bodies are `snapshot_json`'s.

mod events;
mod order;
pub(super) mod render;
mod run;
mod show;

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::openapi::V1;
use super::reply;
use super::route::{Operation, Route};
use super::shared::Api;
use crate::front::snapshot_json::ProgramJson;

/// The routes, without that of the description, which needs them all.
pub(super) fn routes() -> Vec<Route> {
    let mut routes = vec![
        Route::at("/api/v1").get(program, Operation::show(V1, "program", "Who answers.").json::<ProgramJson>(200, "This program.")),
        Route::at("/api/v1/events").get(
            events::events,
            Operation::show(
                V1,
                "events",
                "Server-Sent Events: `snapshot` with a Snapshot as data, one at once and one for each that follows; `log` with a LogLine for each line \
                 that is logged from then on.",
            )
            .text(200, "text/event-stream", "The stream; it ends with the master.")
            .problem(503, "Too many clients listen."),
        ),
    ];
    routes.extend(show::routes());
    routes.extend(run::routes());
    routes
}

async fn program(State(api): State<Arc<Api>>) -> Response {
    let version = api.context.version.clone();
    reply::json(&ProgramJson { program: "lunamoth".to_owned(), version, api: "v1".to_owned() })
}
