//! The engine: all lanes of one worker. Opens them, tells them what to run and when to end, and gathers their reports.
//!
//! Owns threads and the reports' channel; the lanes' loop is `lane`'s, what reaches them `foreman`'s. One message a second and lane
//! crosses the channel.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::LocalOptions;
use tokio::sync::{mpsc, oneshot, watch};

use super::foreman::{Brief, Ending, Foreman};
use super::lane::{Lane, LaneReport, Renewal, recorder_for};
use super::slots::Orders;
use super::stock::{IterationsBegun, Stock};
use super::{LaneContext, Workload, turn_clock};
use crate::plan::Plan;
use crate::stats::recorder::Recorder;
use crate::stats::tally::Tally;

/// The lanes of one run on one machine.
#[derive(Debug)]
pub struct Engine<W> {
    foreman: Foreman,
    workload: Arc<W>,
    stock: Arc<Stock>,
    /// The newest workload, and those before it no more.
    renewals: watch::Sender<Option<Arc<Renewed<W>>>>,
    threads: Vec<thread::JoinHandle<()>>,
    reports: mpsc::Receiver<LaneReport>,
    /// Lanes that have not sent their last report.
    unfinished: usize,
}

/// Why an engine could not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenEngineError {
    /// The workload refused, in words for people.
    #[error("{0}")]
    Workload(String),
    /// The operating system gave no thread or runtime.
    #[error("start lane {lane}: {source}")]
    Thread {
        /// The number of the lane, from 0.
        lane: usize,
        /// What the system said.
        source: std::io::Error,
    },
}

impl<W: Workload> Engine<W> {
    /// Opens `lanes` lanes; returns when all of them have compiled what they run. They run nobody before [`Engine::begin`] and the first
    /// [`Engine::follow`], which may come in either order; of `plan` they take all but the profile, which orders bring.
    ///
    /// # Errors
    /// When one lane cannot be opened; the others are closed again.
    pub async fn open(workload: &Arc<W>, plan: &Arc<Plan>, lanes: usize) -> Result<Self, OpenEngineError> {
        let (report_sender, reports) = mpsc::channel(lanes * REPORTS_A_LANE);
        let (foreman, inboxes) = Foreman::new(lanes, plan.settings.stop_timeout);
        let (renewals, renewed) = watch::channel(None);
        let stock = workload.stock().unwrap_or_default();
        let threads = Vec::with_capacity(lanes);
        let mut engine = Self { foreman, workload: workload.clone(), stock, renewals, threads, reports, unfinished: lanes };
        let mut openings = Vec::with_capacity(lanes);
        for (number, inbox) in inboxes.into_iter().enumerate() {
            let (opened, opening) = oneshot::channel();
            let work = LaneThread {
                workload: workload.clone(),
                plan: plan.clone(),
                number,
                stock: engine.stock.clone(),
                reports: report_sender.clone(),
                renewed: renewed.clone(),
            };
            let thread = thread::Builder::new()
                .name(format!("lane-{number}"))
                .spawn(move || work.run(inbox, opened))
                .map_err(|source| OpenEngineError::Thread { lane: number, source })?;
            engine.threads.push(thread);
            openings.push(opening);
        }
        for opening in openings {
            opening.await.unwrap_or_else(|_| Err("the lane ended before it was open".into())).map_err(OpenEngineError::Workload)?;
        }
        Ok(engine)
    }

    /// The run begins; `zero` is time zero of its clock. A second one changes nothing.
    pub fn begin(&self, zero: Instant) {
        self.foreman.begin(zero);
    }

    /// From here on the lanes run what `orders` say; the newest replace all before them. Returns at once and never fails: what a lane
    /// has not looked at yet waits for it, however many come.
    pub fn follow(&self, orders: &Orders) {
        self.foreman.follow(orders);
    }

    /// Whoever minds the lanes is alive at `now`, and `is_sure` that their slots have not gone to others. Where this was said once, nothing that is
    /// due in an open profile is handed out without it; where it never is, all is.
    pub fn beat(&self, now: Instant, is_sure: bool) {
        self.foreman.beat(now, is_sure);
    }

    /// From here on users do what `workload` says, which is opened in each lane beside the one before; `plan` is the same run's, with the same
    /// classes. A user that lives finishes its iteration and gives way to a fresh one of its index. Returns at once; a lane in which the
    /// workload cannot be opened says so in the log and goes on as it was.
    pub fn renew(&mut self, workload: Arc<W>, plan: Arc<Plan>) {
        self.workload = workload.clone();
        self.renewals.send_replace(Some(Arc::new(Renewed { workload, plan })));
    }

    /// Users finish, within the plan's stop timeout. None is started again, whatever orders come.
    pub fn stop(&self) {
        self.foreman.end(Ending::Stop);
    }

    /// Users that still live are dropped.
    pub fn cut(&self) {
        self.foreman.end(Ending::Cut);
    }

    /// What the lanes take rows and iterations from that are given out once in the cluster; a renewed workload goes on with it.
    #[must_use]
    pub const fn stock(&self) -> &Arc<Stock> {
        &self.stock
    }

    /// What the lanes run, or take over.
    #[must_use]
    pub const fn workload(&self) -> &Arc<W> {
        &self.workload
    }

    /// The next report of any lane; `None` once each has sent its last, or ended without one.
    pub async fn next_report(&mut self) -> Option<LaneReport> {
        if self.unfinished == 0 {
            return None;
        }
        let report = self.reports.recv().await?;
        if report.is_finished {
            self.unfinished -= 1;
        }
        Some(report)
    }

    /// Whether every lane has sent its last report.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.unfinished == 0
    }

    /// Waits for the lanes' threads, at most for `patience`; how many have not ended by then. Those end as soon as what holds them lets them.
    pub async fn close(self, patience: Duration) -> usize {
        // Without anybody who tells them, lanes end that have not been told to; and nobody is left whom they could tell.
        drop((self.foreman, self.reports));
        let deadline = tokio::time::Instant::now() + patience;
        let mut threads = self.threads;
        loop {
            // A lane's panic was caught in the lane and reported; what has ended needs no join.
            threads.retain(|thread| !thread.is_finished());
            if threads.is_empty() || tokio::time::Instant::now() >= deadline {
                return threads.len();
            }
            tokio::time::sleep(CLOSE_LOOK).await;
        }
    }
}

/// What a lane's thread takes with it.
struct LaneThread<W> {
    workload: Arc<W>,
    plan: Arc<Plan>,
    number: usize,
    stock: Arc<Stock>,
    reports: mpsc::Sender<LaneReport>,
    renewed: watch::Receiver<Option<Arc<Renewed<W>>>>,
}

/// What the lanes shall run from here on.
#[derive(Debug)]
struct Renewed<W> {
    workload: Arc<W>,
    plan: Arc<Plan>,
}

impl<W: Workload> LaneThread<W> {
    fn run(self, inbox: watch::Receiver<Brief>, opened: oneshot::Sender<Result<(), String>>) {
        let reports = self.reports.clone();
        let lane = self.number;
        if catch_unwind(AssertUnwindSafe(|| self.serve(inbox, opened))).is_err() {
            log::error!("lane {lane} panicked: this is a bug of Lunamoth's; its last second is lost");
            let tally = Tally::default();
            let report = LaneReport {
                lane,
                tally,
                users: 0,
                is_exhausted: false,
                followed: 0,
                is_finished: true,
                panics: 1,
                begun: IterationsBegun::default(),
                halt: None,
            };
            // The thread has nothing else to do than wait; a worker that is gone answers at once.
            let _ = reports.blocking_send(report);
        }
    }

    fn serve(self, inbox: watch::Receiver<Brief>, opened: oneshot::Sender<Result<(), String>>) {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = match builder.enable_all().on_thread_unpark(turn_clock::wake_up).build_local(LocalOptions::default()) {
            Ok(runtime) => runtime,
            Err(why) => return drop(opened.send(Err(format!("start the lane's runtime: {why}")))),
        };
        let recorder = recorder_for(&self.plan);
        let context = LaneContext { plan: self.plan.clone(), lane: self.number, recorder: recorder.clone() };
        // A task of its own: each waking of what `block_on` runs itself costs a system call.
        let lane = async move {
            match self.workload.open_lane(context) {
                Ok(workload) => {
                    // Without a listener the opening was given up; the closed inbox ends the lane at once.
                    let _ = opened.send(Ok(()));
                    let (renewals, renewed) = mpsc::channel(1);
                    tokio::task::spawn_local(open_renewed(self.renewed, self.number, recorder.clone(), renewals));
                    Lane::new(workload, self.number, self.plan, recorder, self.stock, self.reports).run(inbox, renewed).await;
                }
                Err(why) => drop(opened.send(Err(why))),
            }
        };
        let ended = runtime.block_on(async { tokio::task::spawn_local(lane).await });
        if let Err(ended) = ended
            && let Ok(panic) = ended.try_into_panic()
        {
            resume_unwind(panic);
        }
    }
}

/// Opens in a lane what is new, as often as something is, and hands it to the lane's loop.
async fn open_renewed<W: Workload>(
    mut inbox: watch::Receiver<Option<Arc<Renewed<W>>>>,
    lane: usize,
    recorder: Rc<RefCell<Recorder>>,
    renewals: mpsc::Sender<Renewal<W::Lane>>,
) {
    while inbox.changed().await.is_ok() {
        let Some(renewed) = inbox.borrow_and_update().clone() else { continue };
        let plan = renewed.plan.clone();
        match renewed.workload.open_lane(LaneContext { plan: plan.clone(), lane, recorder: recorder.clone() }) {
            // A lane that is over has no use for it.
            Ok(workload) => drop(renewals.send(Renewal { workload, plan }).await),
            Err(why) => log::error!("lane {lane} goes on with the script that it has, for the changed one cannot be opened: {why}"),
        }
    }
}

/// Reports of one lane that may wait for the worker: more than it can miss in an ordinary stall.
const REPORTS_A_LANE: usize = 8;
/// How often closing looks whether the threads have ended.
const CLOSE_LOOK: Duration = Duration::from_millis(2);

#[cfg(test)]
mod tests {
    use super::super::Halt;
    use super::*;
    use crate::load::slots::SlotSet;
    use crate::load::{LaneWorkload, Step, UserStart, VirtualUser};
    use crate::plan::LoadProfile;

    /// Users that do nothing but sleep, in lanes of which one may misbehave.
    #[derive(Debug, Default)]
    struct Sleepers {
        refuses_in: Option<usize>,
        panics_at_open_in: Option<usize>,
        panics_at_begin_in: Option<usize>,
        /// What each of its lanes' reports says.
        halt: Option<Halt>,
    }

    struct SleepersLane {
        panics: bool,
        halt: Option<Halt>,
    }

    struct Sleeper;

    impl Workload for Sleepers {
        type Lane = SleepersLane;

        fn open_lane(&self, lane: LaneContext) -> Result<SleepersLane, String> {
            assert_ne!(self.panics_at_open_in, Some(lane.lane), "a bug, for this test");
            if self.refuses_in == Some(lane.lane) {
                return Err(format!("lane {} has no room", lane.lane));
            }
            Ok(SleepersLane { panics: self.panics_at_begin_in == Some(lane.lane), halt: self.halt.clone() })
        }
    }

    impl LaneWorkload for SleepersLane {
        type User = Sleeper;

        fn begin(&self, _zero: Instant) {
            assert!(!self.panics, "a bug, for this test");
        }

        fn halt(&self) -> Option<Halt> {
            self.halt.clone()
        }

        fn new_user(&self, _start: UserStart) -> Result<Sleeper, String> {
            Ok(Sleeper)
        }
    }

    impl VirtualUser for Sleeper {
        async fn on_start(&mut self) -> Step {
            Step::default()
        }

        async fn iterate(&mut self) -> Step {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Step { requests: 1, answered: 1, yielded: true, ..Step::default() }
        }

        async fn on_stop(&mut self) -> Step {
            Step::default()
        }

        fn think_time(&mut self, _ended: Instant) -> Duration {
            Duration::ZERO
        }

        fn rest(&mut self, _pause: Duration) {}
    }

    async fn open(sleepers: Sleepers) -> Result<Engine<Sleepers>, OpenEngineError> {
        let plan = Arc::new(Plan::for_tests(LoadProfile::plain(4, 1e6, None)));
        let engine = Engine::open(&Arc::new(sleepers), &plan, 2).await?;
        engine.follow(&Orders::of_all_slots(Arc::new(plan.profile.clone())));
        Ok(engine)
    }

    /// All reports up to each lane's last one; a test that would wait for ever fails instead.
    async fn reports(engine: &mut Engine<Sleepers>) -> Vec<LaneReport> {
        let all = async {
            let mut reports = Vec::new();
            while let Some(report) = engine.next_report().await {
                reports.push(report);
            }
            reports
        };
        tokio::time::timeout(Duration::from_secs(20), all).await.expect("the lanes end soon")
    }

    #[tokio::test]
    async fn each_lane_of_a_stopped_run_sends_its_last_report() {
        let mut engine = open(Sleepers::default()).await.unwrap();
        engine.begin(Instant::now());
        assert!(!engine.is_finished());
        // The first report is of a whole second: by then each lane has made load.
        let first = engine.next_report().await.unwrap();
        assert!(first.tally.times.iterations.spread.count > 0);
        engine.stop();
        let mut finished: Vec<_> =
            reports(&mut engine).await.iter().filter(|report| report.is_finished).map(|report| report.lane).collect();
        finished.sort_unstable();
        assert_eq!((finished, engine.is_finished()), (vec![0, 1], true));
        assert_eq!(engine.close(Duration::from_secs(20)).await, 0);
    }

    #[tokio::test]
    async fn however_many_orders_come_the_last_hold_and_the_stop_after_them_is_heard() {
        let mut engine = open(Sleepers::default()).await.unwrap();
        let profile = Arc::new(LoadProfile::plain(4, 1e6, None));
        let nothing = Orders { slots: Arc::new(SlotSet::none()), ..Orders::of_all_slots(profile.clone()) };
        for _ in 0..20 {
            engine.follow(&nothing);
        }
        engine.begin(Instant::now());
        for _ in 0..20 {
            engine.follow(&Orders::of_all_slots(profile.clone()));
            engine.follow(&nothing);
        }
        engine.follow(&Orders::of_all_slots(profile));
        // Two users in each lane, once they have carried out what came before.
        let mut has_users = [false; 2];
        tokio::time::timeout(Duration::from_secs(20), async {
            while has_users != [true; 2] {
                let report = engine.next_report().await.unwrap();
                has_users[report.lane] = report.users == 2;
            }
        })
        .await
        .expect("each lane runs its users");
        for _ in 0..20 {
            engine.follow(&nothing);
        }
        engine.stop();
        assert_eq!(reports(&mut engine).await.iter().filter(|report| report.is_finished).count(), 2);
        assert_eq!(engine.close(Duration::from_secs(20)).await, 0);
    }

    #[tokio::test]
    async fn a_lane_that_cannot_open_what_is_new_goes_on_as_it_was_and_the_others_take_it_over() {
        let mut engine = open(Sleepers::default()).await.unwrap();
        engine.begin(Instant::now());
        let renewed = Sleepers { refuses_in: Some(1), halt: Some(Halt::Misuse("renewed".into())), ..Sleepers::default() };
        let plan = Arc::new(Plan::for_tests(LoadProfile::plain(4, 1e6, None)));
        engine.renew(Arc::new(renewed), plan);
        // The reports of the second that was under way, and of a whole one after it.
        let mut said = [None, None];
        for _ in 0..4 {
            let report = engine.next_report().await.unwrap();
            assert_eq!(report.users, 2);
            said[report.lane] = report.halt;
        }
        assert_eq!(said, [Some(Halt::Misuse("renewed".to_owned())), None]);
        engine.cut();
        assert_eq!(engine.close(Duration::from_secs(20)).await, 0);
    }

    #[tokio::test]
    async fn a_workload_that_refuses_one_lane_refuses_the_engine_in_its_own_words() {
        let refused = open(Sleepers { refuses_in: Some(1), ..Sleepers::default() }).await.unwrap_err();
        assert_eq!(refused.to_string(), "lane 1 has no room");
    }

    #[tokio::test]
    async fn a_lane_that_panics_while_it_opens_is_an_error_and_no_wait_for_ever() {
        let opening = open(Sleepers { panics_at_open_in: Some(0), ..Sleepers::default() });
        let failed = tokio::time::timeout(Duration::from_secs(20), opening).await.expect("the opening ends soon").unwrap_err();
        assert_eq!(failed.to_string(), "the lane ended before it was open");
    }

    #[tokio::test]
    async fn the_panic_of_a_lane_is_its_last_report_and_the_others_go_on() {
        let mut engine = open(Sleepers { panics_at_begin_in: Some(1), ..Sleepers::default() }).await.unwrap();
        engine.begin(Instant::now());
        let first = engine.next_report().await.unwrap();
        assert_eq!((first.lane, first.panics, first.is_finished), (1, 1, true));
        let second = engine.next_report().await.unwrap();
        assert_eq!((second.lane, second.panics, second.is_finished), (0, 0, false));
        engine.cut();
        assert!(reports(&mut engine).await.iter().all(|report| report.lane == 0));
        assert_eq!(engine.close(Duration::from_secs(20)).await, 0);
    }
}
