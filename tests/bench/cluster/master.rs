//! The master's process: the real shell and the real door, on one thread as `lunamoth master` has them, and what they cost.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, bail, ensure};
use lunamoth::cluster::identity::{Identities, Secret};
use lunamoth::cluster::logs::LogFeed;
use lunamoth::cluster::master::{MasterConfig, RunStart};
use lunamoth::cluster::message::OrphanRules;
use lunamoth::cluster::planner::{Planned, Planner, ScriptView};
use lunamoth::cluster::remote::WorkerDoor;
use lunamoth::cluster::serve_master::{Ended, MasterSetup, MasterShell};
use lunamoth::cluster::transport::MasterEndpoint;
use lunamoth::load::vitals::{self, Vitals};
use lunamoth::plan::{ClassPlan, HttpPlan, LifePlan, LoadProfile, Plan, RunId, RunSettings, StartOrder, TagFilter};
use lunamoth::stats::snapshot::Snapshot;
use serde::Serialize;
use tokio::sync::{mpsc, watch};

use super::workers::{CHANGED, Told};
use super::{Options, Row, print_rows, truth};

/// What one measurement gave.
#[derive(Debug, Serialize)]
struct Measured {
    changed_percent: u32,
    /// Of the master's process, in the measured seconds.
    cores: f64,
    cpu_us_per_entry: f64,
    entries_per_second: f64,
    deltas: u64,
    repeats: u64,
    /// Of the deltas' frames, without QUIC's part.
    bytes_per_entry: f64,
    mib_per_second: f64,
    /// At the begin and the end of the measured seconds.
    memory_mib: [f64; 2],
    acknowledged_ms: [f64; 3],
    in_flight_most: u64,
    late_most_ms: f64,
    /// What a worker pays in a second for its numbers.
    worker_taking_us: f64,
    worker_encoding_us: f64,
    /// Of all simulated workers together.
    workers_cores: f64,
    requests: u64,
    /// Every number of the last snapshot is what the workers sent.
    is_exact: bool,
}

pub fn run(options: &Options) -> anyhow::Result<()> {
    // What it is afterwards, the connections tell.
    let _ = vitals::raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let measured = runtime.block_on(measure_all(options))?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&measured)?);
    } else {
        print(options, &measured);
    }
    let peak = peak_mib();
    if !options.json {
        println!("{:<44}{:>16}", "memory of the master at its peak", format!("{peak:.0} MiB"));
    }
    if let Some(most) = options.most_cores {
        let worst = measured.iter().map(|measured| measured.cores).fold(0.0, f64::max);
        ensure!(worst <= most, "the master took {worst:.2} cores; {most} are allowed");
    }
    Ok(())
}

async fn measure_all(options: &Options) -> anyhow::Result<Vec<Measured>> {
    let identities = Identities::new(&Secret::none(), None);
    let endpoint = MasterEndpoint::bind(([127, 0, 0, 1], 0).into(), &identities)?;
    let port = endpoint.local_address().port();
    let config =
        MasterConfig { orphan: OrphanRules::default(), skew_timeout: ENOUGH, allows_skew: false, adopts: true, has_journal: false };
    let planner = Arc::new(BenchPlanner { workers: options.workers, run_time: run_time(options), runs: AtomicU64::new(0) });
    let shell = MasterShell::start(MasterSetup { config, planner, journal: None, kept: None, logs: LogFeed::default() });
    let door = WorkerDoor::open(endpoint, shell.links().clone());
    let mut crowd = Crowd::start(options, port)?;
    let mut snapshots = shell.handle().snapshots();
    let all_here = async { snapshots.wait_for(|snapshot| snapshot.workers.len() == options.workers).await.map(drop) };
    tokio::select! {
        here = all_here => here?,
        told = crowd.told.recv() => bail!("the workers ended before they were all there ({told:?})"),
        () = tokio::time::sleep(ENOUGH) => bail!("the workers did not come within {ENOUGH:?}"),
    }
    let mut measured = Vec::new();
    for changed in &options.changed {
        measured.push(measure(options, *changed, &shell, &mut crowd).await?);
    }
    drop(crowd);
    shell.close().await;
    door.close("the bench ends").await;
    Ok(measured)
}

async fn measure(options: &Options, changed: u32, shell: &MasterShell, crowd: &mut Crowd) -> anyhow::Result<Measured> {
    let order = StartOrder { script: Some(changed.to_string()), ..StartOrder::default() };
    let run = shell.handle().start(order, "the bench").await?.run;
    let mut ends = shell.ends();
    let mut snapshots = shell.handle().snapshots();
    let begin = reading_at(&mut snapshots, run, MARGIN, crowd).await?;
    let end = reading_at(&mut snapshots, run, MARGIN + Duration::from_secs(options.seconds), crowd).await?;
    let ended = tokio::time::timeout(ENOUGH, wait_for_end(&mut ends, run)).await.context("the run does not end")??;
    ensure!(ended.end.is_complete, "the run is not whole: {:?}", ended.end.failure);
    let told = tokio::time::timeout(ENOUGH, crowd.told.recv()).await.context("the workers do not tell what they sent")?;
    let told = told.context("the workers' process has ended")??;
    truth::compare(&told.truths, &ended.last).context("what the master shows is not what the workers sent")?;
    let seconds = (end.at - begin.at).as_secs_f64();
    let cpu = (end.vitals.cpu - begin.vitals.cpu).as_secs_f64();
    let requests = end.requests - begin.requests;
    let entries = requests as f64 / options.requests_per_entry as f64;
    Ok(Measured {
        changed_percent: changed,
        cores: cpu / seconds,
        cpu_us_per_entry: cpu * 1e6 / entries,
        entries_per_second: entries / seconds,
        deltas: told.deltas,
        repeats: ended.last.repeats,
        bytes_per_entry: told.bytes as f64 / told.entries as f64,
        mib_per_second: told.bytes as f64 / told.seconds as f64 / MIB,
        memory_mib: [begin, end].map(|reading| reading.vitals.memory_bytes as f64 / MIB),
        acknowledged_ms: told.acknowledged_ms,
        in_flight_most: told.in_flight_most,
        late_most_ms: told.late_most.as_secs_f64() * 1e3,
        worker_taking_us: told.taking.as_secs_f64() * 1e6,
        worker_encoding_us: told.encoding.as_secs_f64() * 1e6,
        workers_cores: told.cpu.as_secs_f64() / told.seconds as f64,
        requests: ended.last.total.requests,
        is_exact: true,
    })
}

/// The process at one moment of the run.
#[derive(Debug, Clone, Copy)]
struct Reading {
    at: Instant,
    vitals: Vitals,
    requests: u64,
}

/// Waits for the first snapshot from `elapsed` of the run's clock on.
async fn reading_at(
    snapshots: &mut watch::Receiver<Arc<Snapshot>>,
    run: RunId,
    elapsed: Duration,
    crowd: &mut Crowd,
) -> anyhow::Result<Reading> {
    let there = snapshots.wait_for(|snapshot| snapshot.run == run && snapshot.elapsed >= elapsed);
    tokio::select! {
        snapshot = there => {
            let requests = snapshot?.total.requests;
            Ok(Reading { at: Instant::now(), vitals: Vitals::read(), requests })
        }
        told = crowd.told.recv() => bail!("the workers ended in mid-run ({})", told.is_some()),
        () = tokio::time::sleep(ENOUGH + elapsed) => bail!("the run's clock does not reach {elapsed:?}"),
    }
}

async fn wait_for_end(ends: &mut watch::Receiver<Option<Arc<Ended>>>, run: RunId) -> anyhow::Result<Arc<Ended>> {
    let ended = ends.wait_for(|ended| ended.as_ref().is_some_and(|ended| ended.run == run)).await?.clone();
    ended.context("the run has an end")
}

/// The process that all workers live in.
struct Crowd {
    process: Child,
    told: mpsc::Receiver<anyhow::Result<Told>>,
}

impl Crowd {
    fn start(options: &Options, port: u16) -> anyhow::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["--as-workers-of", &port.to_string(), "--workers", &options.workers.to_string()])
            .args(["--entries", &options.entries.to_string(), "--requests-per-entry", &options.requests_per_entry.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .context("start the workers' process")?;
        let lines = BufReader::new(process.stdout.take().context("the workers' process has an output")?);
        let (tell, told) = mpsc::channel(4);
        std::thread::spawn(move || {
            for line in lines.lines() {
                let line = line.map_err(anyhow::Error::from).and_then(|line| Ok(serde_json::from_str(&line)?));
                if tell.blocking_send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { process, told })
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        // A process that has ended by itself is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Plans runs in which as many percent of the entries change as the order's script says.
struct BenchPlanner {
    workers: usize,
    run_time: Duration,
    runs: AtomicU64,
}

impl Planner for BenchPlanner {
    fn plan(&self, order: &StartOrder) -> Result<Planned, String> {
        let changed = order.script.clone().unwrap_or_default();
        let plan = Plan {
            revision: 0,
            run: RunId(self.runs.fetch_add(1, Ordering::Relaxed) + 1),
            seed: 1,
            scenario: "bench".into(),
            script: "bench.lua".into(),
            fingerprint: String::new(),
            host: None,
            other_host: None,
            classes: vec![ClassPlan { name: "User".into(), weight: 1, count: None, tasks: Vec::new() }],
            profile: LoadProfile::plain(self.workers as u32, 1e6, Some(self.run_time)),
            thresholds: Vec::new(),
            metrics: Vec::new(),
            tags: TagFilter::default(),
            env: BTreeMap::from([(CHANGED.to_owned(), changed)]),
            settings: RunSettings { stop_timeout: Duration::from_secs(5), names: 10_000, ..RunSettings::default() },
            http: HttpPlan::default(),
            life: LifePlan::default(),
        };
        let start = RunStart { plan: Arc::new(plan), thresholds: Vec::new(), wall: SystemTime::now() };
        Ok(Planned { start, words: "the bench's own profile".into() })
    }

    fn scripts(&self) -> Vec<ScriptView> {
        Vec::new()
    }
}

fn run_time(options: &Options) -> Duration {
    Duration::from_secs(options.seconds) + MARGIN * 2
}

fn print(options: &Options, measured: &[Measured]) {
    let Options { workers, entries, requests_per_entry, seconds, .. } = options;
    println!("A master of {workers} workers with {entries} entries each, {requests_per_entry} requests an entry and second, {seconds} s:");
    let row = |name, value: fn(&Measured) -> String| Row::new(name, measured, value);
    print_rows(&[
        row("entries that change in a second", |m| format!("{} %", m.changed_percent)),
        row("cores of the master", |m| format!("{:.3}", m.cores)),
        row("processor time of an entry", |m| format!("{:.2} us", m.cpu_us_per_entry)),
        row("entries merged a second", |m| format!("{:.0}", m.entries_per_second)),
        row("bytes of an entry", |m| format!("{:.1}", m.bytes_per_entry)),
        row("deltas' bytes a second", |m| format!("{:.2} MiB", m.mib_per_second)),
        row("deltas merged", |m| m.deltas.to_string()),
        row("deltas that came again", |m| m.repeats.to_string()),
        row("acknowledged after, p50", |m| format!("{:.1} ms", m.acknowledged_ms[0])),
        row("acknowledged after, p99", |m| format!("{:.1} ms", m.acknowledged_ms[1])),
        row("acknowledged after, at the latest", |m| format!("{:.1} ms", m.acknowledged_ms[2])),
        row("deltas of one worker in flight, at most", |m| m.in_flight_most.to_string()),
        row("memory of the master, first measured second", |m| format!("{:.1} MiB", m.memory_mib[0])),
        row("memory of the master, last measured second", |m| format!("{:.1} MiB", m.memory_mib[1])),
        row("requests, all exact to the unit", |m| m.requests.to_string()),
        row("a worker takes its numbers in", |m| format!("{:.0} us", m.worker_taking_us)),
        row("a worker writes them down in", |m| format!("{:.0} us", m.worker_encoding_us)),
        row("cores of all simulated workers", |m| format!("{:.3}", m.workers_cores)),
        row("simulated workers late, at most", |m| format!("{:.0} ms", m.late_most_ms)),
    ]);
}

/// Resident memory of this process at its peak.
fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok()).map_or(0.0, |kib| kib / 1024.0)
}

/// Of a run, before and after what is measured.
const MARGIN: Duration = Duration::from_secs(2);
/// For whatever must happen at once.
const ENOUGH: Duration = Duration::from_secs(60);
const MIB: f64 = 1_048_576.0;
