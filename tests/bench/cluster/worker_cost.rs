//! What reporting costs a worker: a real master, a real worker with one lane at full load, and the demo target, each a process; the
//! worker's threads are told apart by the kernel's count of their processor time.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Serialize;

use super::Options;

#[derive(Debug, Serialize)]
struct Measured {
    entries: usize,
    seconds: u64,
    /// Threads of the worker by name, and their processor time in seconds.
    threads: Vec<(String, f64)>,
    /// Of all but the lane's thread: the shell, its links, QUIC, and whatever else is no load.
    reporting_percent: f64,
}

pub fn run(options: &Options) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("main.lua"), script(options.entries))?;
    let (port, target_port, web_port) = (free_udp_port()?, free_tcp_port()?, free_tcp_port()?);
    let _target = Process::start(folder.path(), &["target", "--bind", &format!("127.0.0.1:{target_port}")])?;
    let url = format!("http://127.0.0.1:{target_port}");
    let seconds = options.seconds + 4;
    let _master = Process::start(
        folder.path(),
        &[
            "master",
            "--scripts",
            ".",
            "--bind",
            &format!("127.0.0.1:{port}"),
            "--web",
            &format!("127.0.0.1:{web_port}"),
            "-H",
            &url,
            "-u",
            "64",
            "-r",
            "1000",
            "-t",
            &format!("{seconds}s"),
            "--autostart",
            "--expect-workers",
            "1",
        ],
    )?;
    let worker = Process::start(folder.path(), &["worker", "--scripts", ".", "--master", &format!("127.0.0.1:{port}"), "--lanes", "1"])?;
    // A master that starts by itself first waits for workers of a run that another one has left.
    let before = worker.wait_for_load()?;
    std::thread::sleep(Duration::from_secs(options.seconds));
    let after = worker.threads()?;
    let threads: Vec<_> = after
        .iter()
        .map(|(id, name, cpu)| {
            let begin = before.iter().find(|(other, ..)| other == id).map_or(0.0, |(.., cpu)| *cpu);
            (name.clone(), cpu - begin)
        })
        .collect();
    let all: f64 = threads.iter().map(|(_, cpu)| cpu).sum();
    let lanes: f64 = threads.iter().filter(|(name, _)| name.starts_with("lane")).map(|(_, cpu)| cpu).sum();
    ensure!(lanes > 0.2 * options.seconds as f64, "the lane was not at full load: {threads:?}");
    let measured = Measured { entries: options.entries, seconds: options.seconds, threads, reporting_percent: (all - lanes) / all * 100.0 };
    if options.json {
        println!("{}", serde_json::to_string_pretty(&measured)?);
        return Ok(());
    }
    println!("A worker with one lane at full load, {} entries, {} s:", measured.entries, measured.seconds);
    for (name, cpu) in &measured.threads {
        println!("{:<44}{:>16}", format!("processor time of `{name}`"), format!("{cpu:.2} s"));
    }
    println!("{:<44}{:>16}", "all that is not the lane", format!("{:.2} %", measured.reporting_percent));
    Ok(())
}

/// A user that asks for another entry each time.
fn script(entries: usize) -> String {
    format!(
        r#"local http = require "http"
local turn = 0
return function()
  turn = turn + 1
  http.get("/", {{ name = "/api/v1/shops/items-" .. turn % {entries} }})
end
"#
    )
}

pub(super) struct Process(Child);

impl Process {
    pub fn start(folder: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        let child = Command::new(env!("CARGO_BIN_EXE_lunamoth"))
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("start lunamoth {}", arguments[0]))?;
        Ok(Self(child))
    }

    /// Waits until the lane's thread is busy, and two seconds more.
    fn wait_for_load(&self) -> anyhow::Result<Vec<(String, String, f64)>> {
        for _ in 0..600 {
            std::thread::sleep(Duration::from_millis(100));
            if self.threads()?.iter().any(|(_, name, cpu)| name.starts_with("lane") && *cpu > 0.5) {
                std::thread::sleep(Duration::from_secs(2));
                return self.threads();
            }
        }
        anyhow::bail!("the worker makes no load: {:?}", self.threads())
    }

    /// Number, name and processor time in seconds of each thread.
    pub fn threads(&self) -> anyhow::Result<Vec<(String, String, f64)>> {
        threads_of(self.0.id())
    }

    /// Processor time of all threads in seconds, those that have ended included.
    pub fn cpu(&self) -> anyhow::Result<f64> {
        cpu_of(self.0.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A process that has ended by itself is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Number, name and processor time in seconds of each thread of a process.
pub(super) fn threads_of(process: u32) -> anyhow::Result<Vec<(String, String, f64)>> {
    let mut threads = Vec::new();
    for thread in std::fs::read_dir(format!("/proc/{process}/task")).context("the process has ended")? {
        let thread = thread?;
        let (name, cpu) = read_stat(&thread.path())?;
        threads.push((thread.file_name().to_string_lossy().into_owned(), name, cpu));
    }
    Ok(threads)
}

/// Processor time of all threads of a process in seconds, those that have ended included.
pub(super) fn cpu_of(process: u32) -> anyhow::Result<f64> {
    Ok(read_stat(Path::new(&format!("/proc/{process}")))?.1)
}

pub(super) fn free_udp_port() -> std::io::Result<u16> {
    std::net::UdpSocket::bind("127.0.0.1:0")?.local_addr().map(|address| address.port())
}

pub(super) fn free_tcp_port() -> std::io::Result<u16> {
    std::net::TcpListener::bind("127.0.0.1:0")?.local_addr().map(|address| address.port())
}

/// Name and processor time in seconds of a process or a thread.
fn read_stat(folder: &Path) -> anyhow::Result<(String, f64)> {
    let stat = std::fs::read_to_string(folder.join("stat"))?;
    let (head, rest) = stat.rsplit_once(')').context("a stat has a name")?;
    let name = head.split_once('(').map_or("", |(_, name)| name);
    let ticks: f64 = rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    Ok((name.to_owned(), ticks / TICKS_A_SECOND))
}

/// Linux's `USER_HZ`, the same on all machines.
const TICKS_A_SECOND: f64 = 100.0;
