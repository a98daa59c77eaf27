//! The holds of `lunamoth find` on a master's cluster: each is a run that the master is asked for over its API, and waited for.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::client::options;
use super::super::control::{Patience, failed};
use super::super::failure::Failure;
use super::super::signals::Signals;
use super::super::start::Start;
use super::asked::{Asked, Holder, nothing_but_raised, users_for};
use crate::front::client::{ClientError, MasterClient, is_over};
use crate::front::console::ExitCode;
use crate::front::console::find::Held;
use crate::front::snapshot_json::{OrderJson, RunJson, SnapshotJson};
use crate::plan::Rate;

/// Load from the workers of a master.
pub(super) struct Afar<'a> {
    start: &'a Start,
    master: MasterClient,
    asked: Asked,
    /// What all holds have in common.
    order: OrderJson,
}

impl<'a> Afar<'a> {
    pub(super) fn new(start: &'a Start, asked: Asked) -> Result<Self, Failure> {
        let settings = &start.settings;
        let master = MasterClient::new(&options(settings)?).map_err(failed)?;
        let mut thresholds = BTreeMap::<String, Vec<String>>::new();
        for keep in &asked.keeps {
            thresholds.entry(keep.metric.clone()).or_default().push(keep.condition.clone());
        }
        let order = OrderJson {
            warmup: Some(format!("{}s", asked.warmup.as_secs())),
            thresholds: Some(thresholds),
            // Of these each hold has its own.
            users: None,
            spawn_rate: None,
            ..super::super::control::order(settings)?
        };
        log::warn!("the holds run on the master at {}: it has the script, the hosts and all other settings", settings.master_url());
        Ok(Self { start, master, asked, order })
    }

    /// Waits until run `run` is over; false where somebody wants it so before.
    async fn wait(&self, run: &str, signals: &mut Signals) -> Result<bool, Failure> {
        let (begin, mut patience, mut is_seen) = (Instant::now(), Patience::new(), false);
        loop {
            tokio::select! {
                () = sleep(LOOK) => {}
                () = signals.next() => {
                    log::info!("stopping: the master's users finish what they do");
                    self.master.act("stop").await.map_err(failed)?;
                    return Ok(false);
                }
            }
            let Some((shown, _)) = patience.bear(self.master.get::<RunJson>("run").await)? else { continue };
            is_seen |= shown.run == run;
            // A master shows a new run with its next snapshot.
            if is_over(run, &shown) && (is_seen || begin.elapsed() > APPEARANCE) {
                return Ok(true);
            }
        }
    }

    /// Why what a run that is over shows says nothing of the rate that was asked for.
    fn is_other(&self, snapshot: &SnapshotJson, run: &str, rate: f64, run_time: Duration) -> Option<String> {
        let wanted = rate * (run_time - self.asked.warmup).as_secs_f64();
        let due = snapshot.iterations.due as f64;
        if snapshot.run != run {
            Some("another run is in the place of the hold's".to_owned())
        } else if snapshot.elapsed_s < run_time.as_secs_f64() - MOMENT_S {
            Some(format!("the run of the hold was ended after {:.0} s of {}", snapshot.elapsed_s, run_time.as_secs()))
        } else if (due - wanted).abs() > wanted * APART + 1.0 && snapshot.holes.is_empty() {
            Some(format!("of {wanted:.0} iterations that were asked for {due:.0} were due: does the master multiply its levels (--scale)?"))
        } else {
            None
        }
    }
}

impl Holder for Afar<'_> {
    async fn hold(&mut self, rate: f64, is_long: bool, signals: &mut Signals) -> Result<Option<Held>, Failure> {
        let run_time = self.asked.run_time(is_long);
        let order = OrderJson {
            rate: Some(Rate::per_second(rate).to_string()),
            max_users: Some(users_for(rate)),
            run_time: Some(format!("{}s", run_time.as_secs())),
            ..self.order.clone()
        };
        let run = self.master.start(&order).await.map_err(|why| match why {
            // What the master says of the script and the conditions is of what was typed.
            ClientError::Declined { .. } => Failure::bad_use(why),
            why => failed(why),
        });
        let run = run?.run;
        if !self.wait(&run, signals).await? {
            return Ok(None);
        }
        let snapshot = self.master.get::<SnapshotJson>("snapshot").await.map_err(failed)?.0;
        if let Some(why) = self.is_other(&snapshot, &run, rate, run_time) {
            return Err(Failure { code: ExitCode::ClusterLost, reason: anyhow::anyhow!(why) });
        }
        if snapshot.total.requests == 0 && snapshot.iterations.steps_raised() > 0 {
            return Err(nothing_but_raised(snapshot.exceptions.first().map(|exception| &*exception.message)));
        }
        if !snapshot.holes.is_empty() {
            self.start.screen.progress(String::new());
            log::warn!("a worker was lost while {rate:.1}/s were held: what breaks is doubted");
        }
        Ok(Some(Held::of_json(&snapshot, rate, is_long)))
    }
}

const LOOK: Duration = Duration::from_millis(500);
const APPEARANCE: Duration = Duration::from_secs(10);
/// The end of a run may lie so much before its time.
const MOMENT_S: f64 = 0.5;
/// What is due may be so far from what was asked for.
const APART: f64 = 0.05;
