//! What changes the run: start, re-target, stop, pause, resume, reset. Who asks is known, and other sites are refused, before anything here runs.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use super::super::asker::Asker;
use super::super::openapi::V1;
use super::super::reply::{self, JSON};
use super::super::route::{Operation, Route};
use super::{order, show};
use crate::cluster::handle::Accepted;
use crate::cluster::planner::Declined;
use crate::front::api::shared::{Api, Refused};
use crate::front::snapshot_json::{AcceptedJson, RunJson};
use crate::plan::{Purpose, RunId, StartOrder};

pub(super) fn routes() -> Vec<Route> {
    let act = |id, summary| Operation::act(V1, id, summary).json::<AcceptedJson>(202, "It is done, or under way.");
    let order = |id, summary, purpose, conflict| {
        act(id, summary)
            .body(&[JSON], order::schema(purpose))
            .problem(409, conflict)
            .problem(422, "A key of the body is not known, or its value makes no sense; `field` names it.")
    };
    let run = Operation::show(V1, "run", "The run in a few words.").json::<RunJson>(200, "The run.");
    vec![
        Route::at("/api/v1/run")
            .get(show::run, run)
            .post(start, order("start", "Starts a run.", Purpose::NewRun, "A run is under way, or the master declines: `detail` says why."))
            .patch(retarget, order("retarget", "Re-targets the run that is under way.", Purpose::Retarget, "No run is under way.")),
        Route::at("/api/v1/run/stop")
            .post(stop, act("stop", "Lets the users finish, and ends the run. Where none is under way, `message` says so.")),
        Route::at("/api/v1/run/pause").post(
            pause,
            act("pause", "Lets no iteration begin until the run is resumed; users keep what they have, and the run's clock goes on.")
                .problem(409, "No run is under way."),
        ),
        Route::at("/api/v1/run/resume").post(resume, act("resume", "Lets a paused run go on.").problem(409, "No run is under way.")),
        Route::at("/api/v1/run/reset")
            .post(reset, act("reset", "Clears the statistics; the run goes on. `message` says where it is over, or was never started.")),
    ]
}

async fn start(State(api): State<Arc<Api>>, asker: Asker, request: Request) -> Response {
    give(&api, &asker, request, Purpose::NewRun).await
}

async fn retarget(State(api): State<Arc<Api>>, asker: Asker, request: Request) -> Response {
    give(&api, &asker, request, Purpose::Retarget).await
}

async fn give(api: &Api, asker: &Asker, request: Request, purpose: Purpose) -> Response {
    let order = match read(api, request, purpose).await {
        Ok(order) => order,
        Err(fault) => return fault.into_response(),
    };
    tell(api.answer(api.context.handle.start(order, &asker.by)).await, "")
}

async fn read(api: &Api, request: Request, purpose: Purpose) -> Result<StartOrder, order::Fault> {
    let body = order::read(request, &api.context.limits).await?;
    api.with_rules(|rules| order::understand(body.clone(), purpose, rules)).await
}

async fn stop(State(api): State<Arc<Api>>, asker: Asker) -> Response {
    act(&api, api.context.handle.stop(&asker.by), "the users finish").await
}

async fn pause(State(api): State<Arc<Api>>, asker: Asker) -> Response {
    act(&api, api.context.handle.pause(&asker.by), "no iteration begins until the run is resumed").await
}

async fn resume(State(api): State<Arc<Api>>, asker: Asker) -> Response {
    act(&api, api.context.handle.resume(&asker.by), "the run goes on").await
}

async fn reset(State(api): State<Arc<Api>>, asker: Asker) -> Response {
    act(&api, api.context.handle.reset(&asker.by), "the statistics begin anew").await
}

async fn act(api: &Api, asked: impl Future<Output = Result<Accepted, Declined>>, done: &str) -> Response {
    tell(api.answer(asked).await, done)
}

/// `done` is said where the master has no words of its own.
fn tell(result: Result<Accepted, Refused>, done: &str) -> Response {
    match result {
        Ok(accepted) => {
            let has_run = accepted.run != RunId::default();
            let message = match &*accepted.words {
                "" if has_run => done.to_owned(),
                "" => "there is no run".to_owned(),
                words => words.to_owned(),
            };
            let run = if has_run { accepted.run.to_string() } else { String::new() };
            let mut response = reply::json(&AcceptedJson { run, host: accepted.host, message });
            *response.status_mut() = StatusCode::ACCEPTED;
            response
        }
        Err(refused) => refused.problem(),
    }
}
