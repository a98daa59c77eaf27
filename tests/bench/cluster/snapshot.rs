//! What people wait for: how long a snapshot takes to build, and `/stats/requests` to answer, over HTTP on loopback.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use lunamoth::cluster::handle::MasterHandle;
use lunamoth::cluster::logs::LogFeed;
use lunamoth::cluster::planner::{Planned, Planner, ScriptView};
use lunamoth::front::api::{Access, ApiContext, ApiServer, Limits as ApiLimits};
use lunamoth::plan::StartOrder;
use lunamoth::stats::names::Limits;
use lunamoth::stats::snapshot::{RunState, Snapshot, WorkerView};
use lunamoth::stats::table::{SnapshotContext, Table};
use serde::Serialize;
use tokio::sync::watch;

use super::latencies::Latencies;
use super::{Options, Row, print_rows};

#[derive(Debug, Serialize)]
struct Measured {
    entries: usize,
    workers: usize,
    /// Each is the middle one, the 99th of a hundred, the longest; in milliseconds.
    build_ms: [f64; 3],
    first_answer_ms: [f64; 3],
    further_answers_ms: [f64; 3],
    answer_bytes: usize,
}

pub fn run(options: &Options) -> anyhow::Result<()> {
    let (publisher, snapshots) = watch::channel(Arc::new(Snapshot::default()));
    let (told_address, address) = std::sync::mpsc::channel();
    let server = std::thread::spawn(move || serve(snapshots, &told_address));
    let address = address.recv().context("the server tells its address")?;
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut client = BufReader::new(stream);
    let mut table = Table::new(Limits { names: options.entries + 1 });
    let mut latencies = Latencies::new(options.entries);
    // Wide histograms, as after a while.
    for second in 0..BEFORE {
        merge(&mut table, &mut latencies, second, 100);
    }
    let (mut builds, mut firsts, mut further, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for round in 0..options.seconds.max(1) * ROUNDS_A_SECOND {
        let second = BEFORE + round;
        // Every entry has changed, so that nothing of the snapshot before can be used again.
        merge(&mut table, &mut latencies, second, 2);
        let begin = Instant::now();
        let context = SnapshotContext { state: RunState::Running, elapsed: Duration::from_secs(second + 1), ..SnapshotContext::default() };
        let mut snapshot = table.snapshot(context);
        builds.push(millis(begin));
        snapshot.workers = (0..options.workers).map(worker).collect();
        publisher.send_replace(Arc::new(snapshot));
        let begin = Instant::now();
        bytes = get(&mut client)?;
        firsts.push(millis(begin));
        for _ in 0..FURTHER {
            let begin = Instant::now();
            ensure!(get(&mut client)? == bytes, "two answers of one snapshot differ");
            further.push(millis(begin));
        }
    }
    drop(publisher);
    server.join().map_err(|_| anyhow::anyhow!("the server panicked"))??;
    let [build_ms, first_answer_ms, further_answers_ms] = [builds, firsts, further].map(three);
    print(
        options,
        &Measured {
            entries: options.entries,
            workers: options.workers,
            build_ms,
            first_answer_ms,
            further_answers_ms,
            answer_bytes: bytes,
        },
    )
}

fn print(options: &Options, measured: &Measured) -> anyhow::Result<()> {
    if options.json {
        println!("{}", serde_json::to_string_pretty(measured)?);
        return Ok(());
    }
    println!("A snapshot of {} entries and {} workers; p50, p99, longest:", measured.entries, measured.workers);
    let row = |name, values: [f64; 3]| Row::new(name, &values, |value| format!("{value:.2} ms"));
    print_rows(&[
        row("to build it, every entry changed", measured.build_ms),
        row("/stats/requests, the first who asks", measured.first_answer_ms),
        row("/stats/requests, those who ask after", measured.further_answers_ms),
        Row::new("bytes of an answer", &[measured.answer_bytes], ToString::to_string),
    ]);
    Ok(())
}

/// Serves until the last snapshot is dropped.
fn serve(
    mut snapshots: watch::Receiver<Arc<Snapshot>>,
    told_address: &std::sync::mpsc::Sender<std::net::SocketAddr>,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (handle, _requests) = MasterHandle::new(snapshots.clone(), Arc::new(NoScripts), LogFeed::default());
        let context = ApiContext {
            workers_port: None,
            kept_reports: None,
            handle,
            version: env!("CARGO_PKG_VERSION").into(),
            path_prefix: String::new(),
            hosts: Vec::new(),
            read_run_time: |_| Err("the bench starts nothing".into()),
            read_rate: |_| Err("the bench starts nothing".into()),
            limits: ApiLimits::default(),
            access: Access::default(),
        };
        let server = ApiServer::start(([127, 0, 0, 1], 0).into(), context)?;
        told_address.send(server.address())?;
        while snapshots.changed().await.is_ok() {}
        Ok(())
    })
}

/// Of a master that starts nothing.
struct NoScripts;

impl Planner for NoScripts {
    fn plan(&self, _order: &StartOrder) -> Result<Planned, String> {
        Err("the bench starts nothing".into())
    }

    fn scripts(&self) -> Vec<ScriptView> {
        Vec::new()
    }
}

fn merge(table: &mut Table, latencies: &mut Latencies, second: u64, requests: usize) {
    let mut tally = latencies.draw(requests, 0, 1).tally;
    tally.second = second;
    table.merge(&tally);
}

fn worker(number: usize) -> WorkerView {
    WorkerView { id: format!("bench-{number}_{number:032x}"), host: format!("bench-{number}"), ..WorkerView::default() }
}

/// Asks once for the statistics; answers the body's length.
pub(super) fn get(client: &mut BufReader<TcpStream>) -> anyhow::Result<usize> {
    let body = ask(client, "/stats/requests")?;
    ensure!(body.starts_with(b"{\"state\":\"running\""), "the answer is no statistics of a run");
    Ok(body.len())
}

/// Asks once; answers the body.
pub(super) fn ask(client: &mut BufReader<TcpStream>, path: &str) -> anyhow::Result<Vec<u8>> {
    client.get_mut().write_all(format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").as_bytes())?;
    let mut length = None;
    let mut line = String::new();
    loop {
        line.clear();
        ensure!(client.read_line(&mut line)? > 0, "the server closed the connection");
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = Some(value.trim().parse::<usize>()?);
        }
    }
    let mut body = vec![0; length.context("the answer has a length")?];
    client.read_exact(&mut body)?;
    Ok(body)
}

pub(super) fn millis(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64() * 1e3
}

pub(super) fn three(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [0.5, 0.99, 1.0].map(|quantile| super::quantile(&values, quantile))
}

/// Seconds that are in the table before the first measured one.
const BEFORE: u64 = 12;
const ROUNDS_A_SECOND: u64 = 10;
const FURTHER: usize = 5;
