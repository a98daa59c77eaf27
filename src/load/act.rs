//! What is done once for the whole run: its setup before anybody begins, its teardown after the last user. Each runs on a thread of its own, with a
//! recorder of its own, so that nothing of it is among the users' numbers. Which worker does it when is the cluster's to say.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::lane::recorder_for;
use super::{LaneContext, LaneWorkload, Workload};
use crate::plan::{Act, Plan};
use crate::stats::snapshot::ActView;
use crate::stats::tally::Tally;

/// How an act went.
#[derive(Debug, Clone, PartialEq)]
pub struct Acted {
    /// The JSON text of what a setup returned; or what went wrong, in words for people.
    pub result: Result<String, String>,
    /// From its begin to its end.
    pub took: Duration,
    /// What its requests brought.
    pub tally: Tally,
}

impl Acted {
    /// It could not begin.
    #[must_use]
    pub fn failed(why: impl Into<String>) -> Self {
        Self { result: Err(why.into()), took: Duration::ZERO, tally: Tally::default() }
    }
}

/// Does `act` of `plan`, within the time that the plan gives it. Dropping the sender of `cancelled` ends it where it stands.
pub async fn perform<W: Workload>(workload: Arc<W>, plan: Arc<Plan>, act: Act, cancelled: oneshot::Receiver<()>) -> Acted {
    let (done, acted) = oneshot::channel();
    let thread = thread::Builder::new().name(act.name().to_owned()).spawn(move || {
        let acted = catch_unwind(AssertUnwindSafe(|| serve(&*workload, &plan, act, cancelled)));
        let bug = |_| Acted::failed(format!("{act}: it panicked, which is a bug of Lunamoth's"));
        // Without a listener nobody wants to know.
        let _ = done.send(acted.unwrap_or_else(bug));
    });
    match thread {
        Ok(_) => acted.await.unwrap_or_else(|_| Acted::failed(format!("{act}: its thread ended without a word"))),
        Err(why) => Acted::failed(format!("{act}: the system gives no thread: {why}")),
    }
}

fn serve<W: Workload>(workload: &W, plan: &Arc<Plan>, act: Act, cancelled: oneshot::Receiver<()>) -> Acted {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build_local(tokio::runtime::LocalOptions::default()) {
        Ok(runtime) => runtime,
        Err(why) => return Acted::failed(format!("{act}: {why}")),
    };
    let recorder = recorder_for(plan);
    let context = LaneContext { plan: Arc::clone(plan), lane: 0, recorder: recorder.clone() };
    let limit = plan.life.limit_of(act).unwrap_or(Duration::MAX);
    runtime.block_on(async {
        let lane = match workload.open_lane(context) {
            Ok(lane) => lane,
            Err(why) => return Acted::failed(format!("{act}: {why}")),
        };
        let begun = Instant::now();
        lane.begin(begun);
        let result = tokio::select! {
            // What is in flight is counted as it is dropped, before the recorder is asked.
            done = tokio::time::timeout(limit, lane.act(act)) => {
                done.unwrap_or_else(|_| Err(format!("it did not end within {} s ({act}_timeout in the scenario)", limit.as_secs_f64())))
            }
            _ = cancelled => Err(ActView::CUT_SHORT.to_owned()),
        };
        let result = result.map_err(|why| format!("{act}: {why}"));
        Acted { result, took: begun.elapsed(), tally: recorder.borrow_mut().take(0) }
    })
}
