//! The workers' process: many of them on one thread, each with an endpoint, a link and a numbering of its own.
//!
//! Messages, bytes, identity and links are the program's. Lanes are not there: what each worker counts in a second was drawn beforehand.
//! As real workers do, all send the moment their second is over. One task, the [`Crowd`], decides for all.

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use lunamoth::cluster::codec;
use lunamoth::cluster::identity::{Identities, Secret};
use lunamoth::cluster::message::{Delta, Hello, Phase, RunOrders, ToMaster, ToWorker, WorkerId};
use lunamoth::cluster::transport::{FrameReceiver, FrameSender, WorkerEndpoint};
use lunamoth::load::stock::IterationsBegun;
use lunamoth::load::vitals::{self, Vitals};
use lunamoth::plan::{Plan, RunId};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, mpsc};

use super::Options;
use super::latencies::{Draw, Latencies};
use super::truth::Truth;

/// What the workers say of a run once all of it is acknowledged: one line of JSON.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Told {
    pub deltas: u64,
    pub entries: u64,
    /// Of the deltas' frames.
    pub bytes: u64,
    /// How long after the end of its second a delta was handed to its link, at the latest.
    pub late_most: Duration,
    /// From the sending of a delta to its acknowledgement, in milliseconds: the middle one, the 99th of a hundred, the longest.
    pub acknowledged_ms: [f64; 3],
    /// Deltas of one worker that were on their way at once, at most.
    pub in_flight_most: u64,
    /// Processor time of all workers, while deltas were sent.
    pub cpu: Duration,
    pub seconds: u64,
    /// To take one second's numbers out of a recorder, and to write them down: both as means.
    pub taking: Duration,
    pub encoding: Duration,
    pub truths: Vec<Truth>,
}

/// The variable of the plan that says how many percent of the entries change.
pub const CHANGED: &str = "changed";

pub fn run(options: &Options, port: u16) -> anyhow::Result<()> {
    // Each worker has a socket.
    // What it is afterwards, the connections tell.
    let _ = vitals::raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (events, inbox) = mpsc::channel(EVENTS);
        let dials = Arc::new(Semaphore::new(DIALS));
        for number in 0..options.workers {
            let (events, dials) = (events.clone(), dials.clone());
            tokio::spawn(async move {
                if let Err(why) = live(number, port, events, dials).await {
                    log::error!("worker {number}: {why:#}");
                }
            });
        }
        drop(events);
        Crowd::new(options).serve(inbox).await
    })
}

/// What happens to one worker.
struct Event {
    worker: usize,
    what: What,
}

enum What {
    Up(mpsc::Sender<Vec<u8>>),
    Heard(ToWorker),
    Gone,
}

async fn live(number: usize, port: u16, events: mpsc::Sender<Event>, dials: Arc<Semaphore>) -> anyhow::Result<()> {
    let endpoint = WorkerEndpoint::new(&Identities::new(&Secret::none(), None))?;
    let link = {
        let _turn = dials.acquire().await?;
        endpoint.dial(&format!("127.0.0.1:{port}")).await?
    };
    let (outbox, outgoing) = mpsc::channel(OUTBOX);
    let _ = events.send(Event { worker: number, what: What::Up(outbox) }).await;
    let (sender, receiver) = (link.sender, link.receiver);
    let writing = tokio::spawn(write(sender, outgoing));
    let read = read(number, receiver, &events).await;
    let _ = events.send(Event { worker: number, what: What::Gone }).await;
    writing.abort();
    read
}

async fn write(mut sender: FrameSender, mut outgoing: mpsc::Receiver<Vec<u8>>) {
    while let Some(frame) = outgoing.recv().await {
        if let Err(why) = sender.send(&frame).await {
            return log::error!("send: {why}");
        }
    }
}

async fn read(worker: usize, mut receiver: FrameReceiver, events: &mpsc::Sender<Event>) -> anyhow::Result<()> {
    while let Some(frame) = receiver.receive().await? {
        let what = What::Heard(codec::decode_to_worker(&frame)?);
        let _ = events.send(Event { worker, what }).await;
    }
    Ok(())
}

/// All workers of the process.
struct Crowd {
    requests: usize,
    origin: Instant,
    latencies: Latencies,
    members: Vec<Member>,
    /// A moment of this process, and the master's clock then.
    master_clock: Option<(Instant, Duration)>,
    run: Option<Run>,
}

#[derive(Default)]
struct Member {
    outbox: Option<mpsc::Sender<Vec<u8>>>,
    sequence: u64,
    acknowledged: u64,
    is_done: bool,
}

/// One run of all workers.
struct Run {
    id: RunId,
    zero: Instant,
    is_stopped: bool,
    second: u64,
    /// By part of the entries, several of each.
    draws: Vec<Vec<Draw>>,
    /// How often each draw was sent.
    uses: Vec<Vec<u64>>,
    /// This second's frames, as far as they are written down; the draw is the sequence's and the worker's.
    frames: Vec<Vec<u8>>,
    latencies_ms: Vec<f64>,
    cpu_begin: Duration,
    told: Told,
}

impl Crowd {
    fn new(options: &Options) -> Self {
        Self {
            requests: options.requests_per_entry,
            origin: Instant::now(),
            latencies: Latencies::new(options.entries),
            members: (0..options.workers).map(|_| Member::default()).collect(),
            master_clock: None,
            run: None,
        }
    }

    async fn serve(mut self, mut inbox: mpsc::Receiver<Event>) -> anyhow::Result<()> {
        let mut beat = tokio::time::interval(Duration::from_secs(1));
        loop {
            while let Ok(event) = inbox.try_recv() {
                self.on_event(event)?;
            }
            if self.prepare_one() {
                tokio::task::yield_now().await;
                continue;
            }
            let due = self.run.as_ref().filter(|run| !run.is_stopped).map(|run| run.zero + Duration::from_secs(run.second + 1));
            tokio::select! {
                event = inbox.recv() => match event {
                    Some(event) => self.on_event(event)?,
                    None => return Ok(()),
                },
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => self.send_second()?,
                _ = beat.tick(), if due.is_none() => {
                    let message = ToMaster::Beat { sent: self.origin.elapsed() };
                    (0..self.members.len()).try_for_each(|worker| self.say(worker, &message))?;
                }
            }
        }
    }

    fn on_event(&mut self, event: Event) -> anyhow::Result<()> {
        let worker = event.worker;
        match event.what {
            What::Up(outbox) => {
                self.members[worker].outbox = Some(outbox);
                self.say(worker, &ToMaster::Hello(Box::new(hello(worker))))
            }
            What::Gone => {
                self.members[worker].outbox = None;
                anyhow::ensure!(self.run.is_none(), "worker {worker} lost its link in mid-run");
                Ok(())
            }
            What::Heard(ToWorker::Welcome(welcome)) => {
                self.master_clock.get_or_insert((Instant::now(), welcome.clock));
                Ok(())
            }
            What::Heard(ToWorker::Prepare(plan)) => {
                self.prepare(&plan)?;
                self.say(worker, &ToMaster::Prepared { run: plan.run, revision: plan.revision })
            }
            What::Heard(ToWorker::Orders(orders)) => self.on_orders(worker, &orders),
            What::Heard(ToWorker::Answer(answer)) => {
                let latency = self.origin.elapsed().saturating_sub(answer.echo);
                if let (Some((id, sequence)), Some(run)) = (answer.acknowledged, &mut self.run)
                    && id == run.id
                    && sequence > self.members[worker].acknowledged
                {
                    run.latencies_ms.push(latency.as_secs_f64() * 1e3);
                    self.members[worker].acknowledged = sequence;
                }
                self.finish_if_done()
            }
            What::Heard(ToWorker::Refuse(why)) => anyhow::bail!("the master refused worker {worker}: {why}"),
            What::Heard(ToWorker::Abandon(_) | ToWorker::Farewell) => Ok(()),
            What::Heard(ToWorker::Act { .. } | ToWorker::Data { .. }) => anyhow::bail!("the bench's run has neither setup nor teardown"),
            What::Heard(ToWorker::Grant { grant, .. }) => {
                anyhow::bail!("worker {worker} was given rows that it never asked for: {grant:?}")
            }
            What::Heard(ToWorker::Board { word, .. }) => anyhow::bail!("worker {worker} was told what it never asked for: {word:?}"),
        }
    }

    /// Draws the numbers of a run, once for all workers.
    fn prepare(&mut self, plan: &Plan) -> anyhow::Result<()> {
        if self.run.as_ref().is_some_and(|run| run.id == plan.run) {
            return Ok(());
        }
        let changed: usize = plan.env.get(CHANGED).context("the plan does not say how much changes")?.parse()?;
        let parts = (100 / changed.clamp(1, 100)).max(1);
        let each = (DRAWS / parts).max(4);
        let draws: Vec<Vec<_>> =
            (0..parts).map(|part| (0..each).map(|_| self.latencies.draw(self.requests, part, parts)).collect()).collect();
        let all = draws.iter().flatten();
        let told = Told { taking: all.clone().map(|draw| draw.taking).sum::<Duration>() / all.count() as u32, ..Told::default() };
        for member in &mut self.members {
            (member.sequence, member.acknowledged, member.is_done) = (0, 0, false);
        }
        self.run = Some(Run {
            id: plan.run,
            zero: Instant::now() + Duration::from_secs(3_600),
            is_stopped: false,
            second: 0,
            uses: draws.iter().map(|draws| vec![0; draws.len()]).collect(),
            draws,
            frames: Vec::new(),
            latencies_ms: Vec::new(),
            cpu_begin: Vitals::read().cpu,
            told,
        });
        Ok(())
    }

    fn on_orders(&mut self, worker: usize, orders: &RunOrders) -> anyhow::Result<()> {
        let Some(run) = self.run.as_mut().filter(|run| run.id == orders.run) else { return Ok(()) };
        if orders.phase == Phase::Run {
            let (at, clock) = self.master_clock.context("no welcome before orders")?;
            run.zero = at + orders.zero.saturating_sub(clock);
            return Ok(());
        }
        if !run.is_stopped {
            run.is_stopped = true;
            run.told.cpu = Vitals::read().cpu.saturating_sub(run.cpu_begin);
        }
        if self.members[worker].is_done {
            return Ok(());
        }
        self.members[worker].is_done = true;
        let delta = Delta { is_last: true, tallies: Vec::new(), ..self.delta(worker) };
        self.members[worker].sequence += 1;
        self.say(worker, &ToMaster::Delta { sent: self.origin.elapsed(), delta: Arc::new(delta) })
    }

    /// Writes one more delta of this second down; false if there is nothing to do.
    fn prepare_one(&mut self) -> bool {
        let Some(run) = &self.run else { return false };
        if run.is_stopped || run.frames.len() >= self.members.len() || run.zero > Instant::now() {
            return false;
        }
        let worker = run.frames.len();
        let mut delta = self.delta(worker);
        let Some(run) = &mut self.run else { return false };
        let (part, place) = run.draw_of(worker);
        let mut tally = run.draws[part][place].tally.clone();
        tally.second = run.second;
        tally.users = 1;
        for counts in tally.errors.values_mut() {
            (counts.first_second, counts.last_second) = (run.second, run.second);
        }
        delta.tallies = vec![tally];
        // The end of its second is when it is sent.
        let sent = (run.zero + Duration::from_secs(run.second + 1)).saturating_duration_since(self.origin);
        let message = ToMaster::Delta { sent, delta: Arc::new(delta) };
        let begin = Instant::now();
        let frame = codec::encode_to_master(&message);
        run.told.encoding += begin.elapsed();
        run.frames.push(frame);
        true
    }

    fn delta(&self, worker: usize) -> Delta {
        Delta {
            run: self.run.as_ref().map_or(RunId(0), |run| run.id),
            epoch: 0,
            sequence: self.members[worker].sequence + 1,
            generation: 1,
            tallies: Vec::new(),
            users: 1,
            vitals: Vitals { cpu: self.origin.elapsed(), throttled: Duration::ZERO, memory_bytes: 100 << 20 },
            is_exhausted: false,
            is_last: false,
            panics: 0,
            lanes_lost: 0,
            lost_since: None,
            begun: IterationsBegun::default(),
            halt: None,
        }
    }

    /// The second is over: everybody sends.
    fn send_second(&mut self) -> anyhow::Result<()> {
        while self.prepare_one() {}
        let Some(run) = &mut self.run else { return Ok(()) };
        let late = Instant::now().saturating_duration_since(run.zero + Duration::from_secs(run.second + 1));
        run.told.late_most = run.told.late_most.max(late);
        for (worker, frame) in std::mem::take(&mut run.frames).into_iter().enumerate() {
            let (part, place) = run.draw_of(worker);
            let member = &mut self.members[worker];
            let outbox = member.outbox.as_ref().with_context(|| format!("worker {worker} has no link"))?;
            run.told.deltas += 1;
            run.told.entries += run.draws[part][place].tally.entries.len() as u64;
            run.told.bytes += frame.len() as u64 + FRAME_HEADER_BYTES;
            run.uses[part][place] += 1;
            outbox.try_send(frame).map_err(|_| anyhow::anyhow!("the link of worker {worker} takes no more: the master is too slow"))?;
            member.sequence += 1;
            run.told.in_flight_most = run.told.in_flight_most.max(member.sequence - member.acknowledged);
        }
        run.second += 1;
        run.told.seconds += 1;
        Ok(())
    }

    fn finish_if_done(&mut self) -> anyhow::Result<()> {
        let is_done = self.members.iter().all(|member| member.is_done && member.acknowledged == member.sequence);
        let Some(mut run) = self.run.take_if(|_| is_done) else { return Ok(()) };
        run.latencies_ms.sort_by(f64::total_cmp);
        run.told.acknowledged_ms = [0.5, 0.99, 1.0].map(|quantile| super::quantile(&run.latencies_ms, quantile));
        run.told.encoding /= u32::try_from(run.told.deltas.max(1))?;
        run.told.truths = self.truths(&run);
        let mut out = std::io::stdout().lock();
        serde_json::to_writer(&mut out, &run.told)?;
        out.write_all(b"\n")?;
        Ok(out.flush()?)
    }

    fn truths(&self, run: &Run) -> Vec<Truth> {
        let mut truths = Vec::new();
        for (draw, uses) in run.draws.iter().flatten().zip(run.uses.iter().flatten()).filter(|(_, uses)| **uses > 0) {
            for (entry, duration, has_failed) in &draw.hops {
                while truths.len() <= *entry {
                    let (method, name) = self.latencies.name(truths.len());
                    truths.push(Truth { method: method.into(), name: name.into(), ..Truth::default() });
                }
                truths[*entry].add(*duration, *has_failed, *uses);
            }
        }
        truths
    }

    fn say(&self, worker: usize, message: &ToMaster) -> anyhow::Result<()> {
        let Some(outbox) = &self.members[worker].outbox else { return Ok(()) };
        outbox.try_send(codec::encode_to_master(message)).map_err(|_| anyhow::anyhow!("the link of worker {worker} takes no more"))
    }
}

impl Run {
    /// The part of the entries that changes in this second, and which draw of it a worker sends.
    fn draw_of(&self, worker: usize) -> (usize, usize) {
        let part = self.second as usize % self.draws.len();
        (part, (worker + self.second as usize * 7) % self.draws[part].len())
    }
}

fn hello(worker: usize) -> Hello {
    Hello {
        floor: None,
        worker: WorkerId { host: format!("bench-{worker}"), incarnation: worker as u128 + 1 },
        version: env!("CARGO_PKG_VERSION").into(),
        lanes: 1,
        script: "bench.lua".into(),
        fingerprint: String::new(),
        script_error: None,
        is_leaving: false,
        formerly: None,
        standing: None,
    }
}

/// Draws over all parts of the entries.
const DRAWS: usize = 96;
const EVENTS: usize = 4_096;
/// Messages that wait on one link.
const OUTBOX: usize = 64;
/// Dials under way at once.
const DIALS: usize = 32;
/// The length before each frame.
const FRAME_HEADER_BYTES: u64 = 4;
