//! What people who watch cost: a real master, a real worker that asks at a steady pace, the demo target, each a process; here as many
//! listeners to the event stream as pages are open, and clients that ask for `/stats/requests`.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::Serialize;
use serde_json::Value;

use super::snapshot::{ask, get, millis, three};
use super::worker_cost::{Process, free_tcp_port, free_udp_port};
use super::{Options, Row, print_rows};

/// What one phase gave.
#[derive(Debug, Default, Serialize)]
struct Measured {
    pages: usize,
    askers: usize,
    master_cores: f64,
    /// Of the master's thread that serves everything; the others render.
    master_thread_cores: f64,
    /// What the load itself measured in the phase: in a second, and the middle one of the seconds' percentiles.
    requests_per_second: f64,
    failures: u64,
    load_p50_ms: f64,
    load_p99_ms: f64,
    unsound_s: u64,
    /// Events that the first page got, and the documents of every kind that were rendered between its first and its last.
    snapshots: usize,
    renderings: u64,
    /// From the first page that has an event whole to the last: the middle one, the 99th of a hundred, the longest.
    spread_ms: [f64; 3],
    /// Events that a page could not take in time; it got the next.
    passed_over: usize,
    at_any_time_ms: [f64; 3],
    after_a_snapshot_ms: [f64; 3],
    all_ms: [f64; 3],
    asked: usize,
}

pub fn run(options: &Options) -> anyhow::Result<()> {
    let pages = options.pages.unwrap_or_default();
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("main.lua"), script(options.entries))?;
    let (port, target_port, web_port) = (free_udp_port()?, free_tcp_port()?, free_tcp_port()?);
    let local = |port: u16| format!("127.0.0.1:{port}");
    let _target = Process::start(folder.path(), &["target", "--bind", &local(target_port)])?;
    let url = format!("http://{}", local(target_port));
    let (bind, web, users) = (local(port), local(web_port), USERS.to_string());
    let master = ["master", "--scripts", ".", "--bind", &bind, "--web", &web, "-H", &url, "-u", &users, "-r", "1000"];
    let alone = ["--autostart", "--expect-workers", "1"];
    let master = Process::start(folder.path(), &[&master[..], &alone[..]].concat())?;
    let _worker = Process::start(folder.path(), &["worker", "--scripts", ".", "--master", &local(port), "--lanes", "1"])?;
    wait_for_entries(web_port, options.entries)?;
    let phases = [(0, 0), (pages, 0), (pages, ASKERS)];
    let mut measured = Vec::new();
    for (pages, askers) in phases {
        measured.push(measure(options, &master, web_port, pages, askers)?);
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&measured)?);
        return Ok(());
    }
    print(options, &measured);
    Ok(())
}

fn print(options: &Options, measured: &[Measured]) {
    println!("A master with {} entries, each changed every second, one worker, {} s:", options.entries, options.seconds);
    let row = |name, value: fn(&Measured) -> String| Row::new(name, measured, value);
    let three = |[p50, p99, longest]: [f64; 3]| if longest == 0.0 { "-".to_owned() } else { format!("{p50:.1} {p99:.1} {longest:.1}") };
    print_rows(&[
        row("open pages", |m| m.pages.to_string()),
        row("others who ask for /stats/requests", |m| m.askers.to_string()),
        row("cores of the master", |m| format!("{:.3}", m.master_cores)),
        row("cores of its first thread", |m| format!("{:.3}", m.master_thread_cores)),
        row("snapshots that a page got", |m| m.snapshots.to_string()),
        row("documents rendered meanwhile", |m| m.renderings.to_string()),
        row("events passed over by slow pages", |m| m.passed_over.to_string()),
        row("the load: requests a second", |m| format!("{:.1}", m.requests_per_second)),
        row("the load: failures", |m| m.failures.to_string()),
        row("the load: p50", |m| format!("{:.3} ms", m.load_p50_ms)),
        row("the load: p99", |m| format!("{:.3} ms", m.load_p99_ms)),
        row("the load: unsound seconds", |m| m.unsound_s.to_string()),
    ]);
    println!("In milliseconds, p50, p99 and longest:");
    for (name, values) in [
        ("from the first page with a snapshot to the last", measured.iter().map(|m| three(m.spread_ms)).collect::<Vec<_>>()),
        ("/stats/requests, asked at any time", measured.iter().map(|m| three(m.at_any_time_ms)).collect()),
        ("/stats/requests, asked right after a snapshot", measured.iter().map(|m| three(m.after_a_snapshot_ms)).collect()),
        ("/stats/requests, all of these", measured.iter().map(|m| three(m.all_ms)).collect()),
    ] {
        let values: String = values.iter().map(|value| format!("{value:>22}")).collect();
        println!("{name:<48}{values}");
    }
}

fn measure(options: &Options, master: &Process, web: u16, pages: usize, askers: usize) -> anyhow::Result<Measured> {
    let shared = Arc::new(Shared::default());
    let mut threads = Vec::new();
    for page in 0..pages {
        threads.push(spawn(&shared, move |shared| listen(web, page, shared))?);
    }
    for asker in 0..askers {
        threads.push(spawn(&shared, move |shared| ask_often(web, asker, shared))?);
    }
    std::thread::sleep(SETTLING);
    let mut client = connect(web)?;
    let before = json(&mut client, "/stats/requests")?;
    let (threads_before, cpu_before) = (master.threads()?, master.cpu()?);
    shared.is_measured.store(true, Ordering::Relaxed);
    let begin = Instant::now();
    std::thread::sleep(Duration::from_secs(options.seconds));
    let seconds = begin.elapsed().as_secs_f64();
    shared.is_measured.store(false, Ordering::Relaxed);
    let (threads_after, cpu_after) = (master.threads()?, master.cpu()?);
    let after = json(&mut client, "/stats/requests")?;
    shared.is_over.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().map_err(|_| anyhow::anyhow!("a client panicked"))??;
    }
    let total = |stats: &Value, key: &str| stats["stats"].as_array().and_then(|rows| rows.last()?[key].as_u64()).unwrap_or_default();
    let span = [&before, &after].map(|stats| stats["elapsed"].as_f64().unwrap_or_default());
    let history = json(&mut client, &format!("/api/v1/history?after_s={}", span[0]))?;
    let points: Vec<&Value> = history["points"].as_array().context("a history has points")?.iter().collect();
    let points: Vec<_> = points.into_iter().filter(|point| point["at_s"].as_f64().is_some_and(|at| at < span[1])).collect();
    let middle = |key: &str| three(points.iter().filter_map(|point| point[key].as_f64()).collect())[0];
    let (events, waited) = (lock(&shared.events), lock(&shared.waited));
    // Of the first and the last some pages may have had theirs before or after the phase.
    let whole: Vec<_> = events.values().skip(1).take(events.len().saturating_sub(2)).collect();
    let spread = whole.iter().map(|event| (event.last - event.first).as_secs_f64() * 1e3).collect();
    let ids = events.keys().next().zip(events.keys().last());
    Ok(Measured {
        pages,
        askers,
        master_cores: (cpu_after - cpu_before) / seconds,
        master_thread_cores: (first_thread(&threads_after) - first_thread(&threads_before)) / seconds,
        requests_per_second: (total(&after, "num_requests") - total(&before, "num_requests")) as f64 / (span[1] - span[0]),
        failures: total(&after, "num_failures") - total(&before, "num_failures"),
        load_p50_ms: middle("p50_ms"),
        load_p99_ms: middle("p99_ms"),
        unsound_s: [&after, &before]
            .map(|stats| stats["health"]["unsound_s"].as_u64().unwrap_or_default())
            .into_iter()
            .reduce(u64::saturating_sub)
            .unwrap_or_default(),
        snapshots: events.len(),
        renderings: ids.map_or(0, |(first, last)| last - first + 1),
        spread_ms: three(spread),
        passed_over: whole.iter().map(|event| pages.saturating_sub(event.pages)).sum(),
        at_any_time_ms: three(waited[0].clone()),
        after_a_snapshot_ms: three(waited[1].clone()),
        all_ms: three(waited.concat()),
        asked: waited.iter().map(Vec::len).sum(),
    })
}

/// What the clients of a phase have in common.
#[derive(Debug, Default)]
struct Shared {
    is_measured: AtomicBool,
    is_over: AtomicBool,
    /// By the number of the event.
    events: Mutex<BTreeMap<u64, Event>>,
    /// The newest event that some page has.
    newest: AtomicU64,
    /// In milliseconds: those who asked at any time, and those who asked when a page got its event.
    waited: Mutex<[Vec<f64>; 2]>,
}

#[derive(Debug)]
struct Event {
    first: Instant,
    last: Instant,
    pages: usize,
}

fn spawn(
    shared: &Arc<Shared>,
    client: impl FnOnce(&Shared) -> anyhow::Result<()> + Send + 'static,
) -> std::io::Result<JoinHandle<anyhow::Result<()>>> {
    let shared = Arc::clone(shared);
    std::thread::Builder::new().stack_size(256 << 10).spawn(move || client(&shared))
}

/// A page. It takes what comes, as a browser does.
fn listen(web: u16, page: usize, shared: &Shared) -> anyhow::Result<()> {
    // People do not open their pages at the same moment.
    std::thread::sleep(Duration::from_millis(page as u64 * 7));
    let mut stream = connect(web)?;
    stream.get_mut().write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")?;
    let (mut line, mut number) = (Vec::new(), None);
    while !shared.is_over.load(Ordering::Relaxed) {
        line.clear();
        ensure!(stream.read_until(b'\n', &mut line)? > 0, "the stream of a page ended");
        if let Some(id) = line.strip_prefix(b"id: ") {
            let id = std::str::from_utf8(id)?.trim().parse::<u64>()?;
            number = Some(id);
            shared.newest.fetch_max(id, Ordering::Relaxed);
        } else if line.starts_with(b"data: {\"version\"")
            && let Some(number) = number.take()
            && shared.is_measured.load(Ordering::Relaxed)
        {
            let now = Instant::now();
            let mut events = lock(&shared.events);
            let event = events.entry(number).or_insert(Event { first: now, last: now, pages: 0 });
            event.last = now;
            event.pages += 1;
        }
    }
    Ok(())
}

/// Asks for the statistics again and again: most at moments of their own, the first few each time that a page hears of a snapshot.
fn ask_often(web: u16, asker: usize, shared: &Shared) -> anyhow::Result<()> {
    let mut client = connect(web)?;
    let waits_for_events = asker < ASKERS_AFTER_A_SNAPSHOT;
    let mut seen = 0;
    std::thread::sleep(PACE * asker as u32 / ASKERS as u32);
    while !shared.is_over.load(Ordering::Relaxed) {
        if waits_for_events {
            let newest = shared.newest.load(Ordering::Relaxed);
            if newest == seen {
                std::thread::sleep(Duration::from_micros(500));
                continue;
            }
            seen = newest;
        } else {
            std::thread::sleep(PACE);
        }
        let begin = Instant::now();
        get(&mut client)?;
        if shared.is_measured.load(Ordering::Relaxed) {
            lock(&shared.waited)[usize::from(waits_for_events)].push(millis(begin));
        }
    }
    Ok(())
}

/// Each user asks for one entry after another, so that all of them change in each second.
pub(super) fn script(entries: usize) -> String {
    format!(
        r#"local http, scenario, wait = require "http", require "scenario", require "wait"
local Asker = scenario.user {{ name = "Asker", wait = wait.constant(0.1) }}
local turn = 0
Asker:task("ask", function()
  turn = turn + 1
  http.get("/", {{ name = "/api/v1/shops/items-" .. turn % {entries} }})
end)
return scenario {{ users = {{ Asker }} }}
"#
    )
}

pub(super) fn wait_for_entries(web: u16, entries: usize) -> anyhow::Result<()> {
    let deadline = Instant::now() + ENOUGH;
    loop {
        let rows = connect(web).and_then(|mut client| json(&mut client, "/stats/requests"));
        let rows = rows.ok().and_then(|stats| (stats["state"] == "running").then(|| stats["stats"].as_array().map_or(0, Vec::len)));
        if rows.is_some_and(|rows| rows > entries) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "the run has not come to {entries} entries within {ENOUGH:?}: {rows:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn connect(web: u16) -> anyhow::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(("127.0.0.1", web))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ENOUGH))?;
    Ok(BufReader::with_capacity(64 << 10, stream))
}

fn json(client: &mut BufReader<TcpStream>, path: &str) -> anyhow::Result<Value> {
    serde_json::from_slice(&ask(client, path)?).with_context(|| format!("{path} is no JSON"))
}

/// The kernel lists a process's first thread first.
fn first_thread(threads: &[(String, String, f64)]) -> f64 {
    threads.iter().min_by_key(|(id, ..)| id.parse::<u64>().unwrap_or(u64::MAX)).map_or(0.0, |(.., cpu)| *cpu)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ten requests a second each: of 1,000 entries each changes in each second.
pub(super) const USERS: u32 = 150;
const ASKERS: usize = 20;
const ASKERS_AFTER_A_SNAPSHOT: usize = 4;
const PACE: Duration = Duration::from_millis(250);
const SETTLING: Duration = Duration::from_secs(3);
const ENOUGH: Duration = Duration::from_secs(60);
