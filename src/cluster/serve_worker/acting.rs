//! A setup or teardown on its way: its workload is made, then it is done on a thread of its own.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::workshop::{Outcome, Workshop, no_end};
use crate::load::act::{self, Acted};
use crate::plan::{Act, Plan};

/// Does an act, with a workload of its own where the workshop makes one for each, and tells the shell. Dropping the sender of `cancelled` ends it
/// where it stands.
pub(super) async fn perform<S: Workshop>(
    workshop: Arc<S>,
    plan: Arc<Plan>,
    act: Act,
    cancelled: oneshot::Receiver<()>,
    outcomes: mpsc::Sender<Outcome<S::Workload>>,
) {
    let run = plan.run;
    let making = {
        let plan = plan.clone();
        tokio::task::spawn_blocking(move || workshop.workload(&plan))
    };
    let acted = match making.await.unwrap_or_else(|why| Err(no_end(&why))) {
        Ok(workload) => act::perform(workload, plan, act, cancelled).await,
        Err(refusal) => Acted::failed(format!("{act}: {}", refusal.text)),
    };
    // A shell that is gone has no use for it.
    let _ = outcomes.send(Outcome::Acted { run, act, acted: Box::new(acted) }).await;
}
