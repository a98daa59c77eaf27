//! What terminal screens cost: a real master with a real worker and the demo target, each a process; screens over ssh by OpenSSH's own
//! client, attached ones, and the master's own, each on a terminal of its own that `script` makes. What an idle one costs, too.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::Serialize;

use super::pages::{USERS, script, wait_for_entries};
use super::worker_cost::{Process, cpu_of, free_tcp_port, free_udp_port, threads_of};
use super::{Options, Row, print_rows};

/// What one phase gave.
#[derive(Debug, Serialize)]
struct Measured {
    name: String,
    screens: usize,
    /// Of the whole process, its user's and its system's time.
    master_cores: f64,
    /// Of those of its threads that draw screens: the ssh server's, or the terminal's.
    drawing_cores: f64,
    /// Of one attached screen's own process.
    attached_cores: f64,
    /// That one screen gets in a second.
    bytes_per_second: f64,
}

pub fn run(options: &Options) -> anyhow::Result<()> {
    let screens = options.screens.unwrap_or_default().max(1);
    let mut measured = Vec::new();
    let busy = Cluster::start(options.entries, true, false)?;
    for (name, place, count) in
        [("nobody", "", 0), ("ssh, overview", "1", 1), ("ssh, statistics", "2>>>", 1), ("ssh, statistics", "2>>>", screens)]
    {
        measured.push(busy.measure(options, name, count, |number| busy.over_ssh(number), place)?);
    }
    measured.push(busy.measure(options, "attached, statistics", 1, |number| busy.attached(number), "2>>>")?);
    drop(busy);
    let own = Cluster::start(options.entries, true, true)?;
    own.master.type_keys("2>>>")?;
    measured.push(own.measure(options, "its own, statistics", 0, |number| own.over_ssh(number), "")?);
    drop(own);
    let idle = Cluster::start(options.entries, false, false)?;
    measured.push(idle.measure(options, "no run, nobody", 0, |number| idle.over_ssh(number), "")?);
    measured.push(idle.measure(options, "no run, ssh", 1, |number| idle.over_ssh(number), "")?);
    measured.push(idle.measure(options, "no run, attached", 1, |number| idle.attached(number), "")?);
    drop(idle);
    if options.json {
        println!("{}", serde_json::to_string_pretty(&measured)?);
    } else {
        print(options, &measured);
    }
    if let Some(most) = options.most_cores {
        for one in measured.iter().filter(|one| one.screens <= 1) {
            ensure!(one.drawing_cores <= most, "`{}` takes {:.4} cores of the master; {most} are allowed", one.name, one.drawing_cores);
        }
    }
    Ok(())
}

fn print(options: &Options, measured: &[Measured]) {
    println!("A master with {} entries, each changed every second, screens of {COLUMNS}x{ROWS}, {} s:", options.entries, options.seconds);
    // A phase a line: there are more of them than figures.
    print_rows(&[Row { name: "", values: ["screens", "master", "drawing", "attached", "bytes/s"].map(str::to_owned).to_vec() }]);
    for one in measured {
        let cores = |cores: f64| if cores == 0.0 { "-".to_owned() } else { format!("{:.3} %", cores * 100.0) };
        let values = [one.screens.to_string(), cores(one.master_cores), cores(one.drawing_cores), cores(one.attached_cores)];
        let bytes = if one.bytes_per_second == 0.0 { "-".to_owned() } else { format!("{:.0}", one.bytes_per_second) };
        let values: String = values.into_iter().chain([bytes]).map(|value| format!("{value:>16}")).collect();
        println!("{:<44}{values}", one.name);
    }
}

/// A master, and, where there is a run, a worker and the target.
struct Cluster {
    master: Terminal,
    web: u16,
    ssh: u16,
    folder: tempfile::TempDir,
    _others: Vec<Process>,
}

impl Cluster {
    fn start(entries: usize, has_run: bool, has_screen: bool) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::write(folder.path().join("main.lua"), script(entries))?;
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", "key"])
            .current_dir(folder.path())
            .status()
            .context("there is no ssh-keygen: apt-get install openssh-client")?;
        ensure!(made.success(), "ssh-keygen fails");
        let (port, target, web, ssh) = (free_udp_port()?, free_tcp_port()?, free_tcp_port()?, free_tcp_port()?);
        let local = |port: u16| format!("127.0.0.1:{port}");
        let mut others = vec![Process::start(folder.path(), &["target", "--bind", &local(target)])?];
        let lunamoth = env!("CARGO_BIN_EXE_lunamoth");
        let mut command = format!(
            "{lunamoth} master --scripts . --bind {} --web {} -H http://{} -u {USERS} -r 1000 --state . --ssh {} --ssh-authorized-keys key.pub",
            local(port),
            local(web),
            local(target),
            local(ssh)
        );
        if has_run {
            command.push_str(" --autostart --expect-workers 1");
        }
        command.push_str(if has_screen { " --tui" } else { " < /dev/null" });
        let master = Terminal::start(folder.path(), "master", &command)?;
        others.push(Process::start(folder.path(), &["worker", "--scripts", ".", "--master", &local(port), "--lanes", "1"])?);
        if has_run {
            wait_for_entries(web, entries)?;
        } else {
            std::thread::sleep(SETTLING);
        }
        Ok(Self { master, web, ssh, folder, _others: others })
    }

    fn over_ssh(&self, number: usize) -> anyhow::Result<Terminal> {
        let options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o IdentitiesOnly=yes -i key";
        Terminal::start(self.folder.path(), &format!("ssh-{number}"), &format!("ssh {options} -p {} 127.0.0.1", self.ssh))
    }

    fn attached(&self, number: usize) -> anyhow::Result<Terminal> {
        let command = format!("{} tui --url http://127.0.0.1:{}", env!("CARGO_BIN_EXE_lunamoth"), self.web);
        Terminal::start(self.folder.path(), &format!("attached-{number}"), &command)
    }

    /// Opens screens, types what leads to their place, and measures them.
    fn measure(
        &self,
        options: &Options,
        name: &str,
        count: usize,
        open: impl Fn(usize) -> anyhow::Result<Terminal>,
        place: &str,
    ) -> anyhow::Result<Measured> {
        let terminals = (0..count).map(open).collect::<anyhow::Result<Vec<_>>>()?;
        std::thread::sleep(SETTLING);
        for terminal in &terminals {
            ensure!(terminal.bytes() > 0, "`{name}`: nothing came to a screen");
            terminal.type_keys(place)?;
        }
        std::thread::sleep(SETTLING);
        let is_attached = name.contains("attached");
        let reading = || -> anyhow::Result<[f64; 4]> {
            let drawing = exactly(self.master.pid, |name| DRAWING.contains(&name))?;
            let attached = terminals.first().filter(|_| is_attached).map_or(Ok(0.0), |terminal| exactly(terminal.pid, |_| true))?;
            let bytes: u64 = terminals.iter().map(Terminal::bytes).sum();
            Ok([cpu_of(self.master.pid)?, drawing, attached, bytes as f64])
        };
        let (before, begin) = (reading()?, Instant::now());
        std::thread::sleep(Duration::from_secs(options.seconds));
        let seconds = begin.elapsed().as_secs_f64();
        let after = reading()?;
        let of = |index: usize| (after[index] - before[index]) / seconds;
        Ok(Measured {
            name: name.to_owned(),
            screens: count,
            master_cores: of(0),
            drawing_cores: of(1),
            attached_cores: of(2),
            bytes_per_second: of(3) / count.max(1) as f64,
        })
    }
}

/// Processor time in seconds of a process's threads with such names, as the scheduler counts it: what is awake for microseconds is below
/// the clock's ticks.
fn exactly(process: u32, is_meant: impl Fn(&str) -> bool) -> anyhow::Result<f64> {
    let mut nanoseconds = 0;
    for (thread, name, _) in threads_of(process)? {
        if is_meant(&name) {
            let text = std::fs::read_to_string(format!("/proc/{process}/task/{thread}/schedstat"))?;
            nanoseconds += text.split_whitespace().next().context("a schedstat has numbers")?.parse::<u64>()?;
        }
    }
    Ok(nanoseconds as f64 / 1e9)
}

/// A process on a terminal of its own, whose output is counted and dropped.
struct Terminal {
    script: Child,
    keys: ChildStdin,
    bytes: Arc<AtomicU64>,
    /// Of the process itself.
    pid: u32,
}

impl Terminal {
    fn start(folder: &Path, name: &str, command: &str) -> anyhow::Result<Self> {
        let pid_file: PathBuf = folder.join(format!("{name}.pid"));
        let line = format!("stty cols {COLUMNS} rows {ROWS}; echo $$ > {name}.pid; exec {command}");
        let mut script = Command::new("script")
            .args(["-q", "-f", "-c", &line, "/dev/null"])
            .current_dir(folder)
            .env("TERM", "xterm-256color")
            .env("LC_ALL", "C.UTF-8")
            .env("SHELL", "/bin/sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("there is no `script`: apt-get install bsdutils")?;
        let keys = script.stdin.take().context("`script` has an input")?;
        let mut output = script.stdout.take().context("`script` has an output")?;
        let bytes = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&bytes);
        std::thread::spawn(move || {
            let mut piece = [0; 16 << 10];
            while let Ok(count @ 1..) = output.read(&mut piece) {
                counted.fetch_add(count as u64, Ordering::Relaxed);
            }
        });
        let mut terminal = Self { script, keys, bytes, pid: 0 };
        let deadline = Instant::now() + ENOUGH;
        while terminal.pid == 0 {
            ensure!(Instant::now() < deadline, "`{command}` does not begin");
            std::thread::sleep(Duration::from_millis(20));
            terminal.pid = std::fs::read_to_string(&pid_file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        }
        Ok(terminal)
    }

    fn type_keys(&self, keys: &str) -> anyhow::Result<()> {
        for key in keys.as_bytes() {
            (&self.keys).write_all(&[*key])?;
            (&self.keys).flush()?;
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The process first: its terminal's end is not the end of every process. One that has ended by itself is as good.
        let _ = Command::new("kill").arg(self.pid.to_string()).stderr(Stdio::null()).status();
        let deadline = Instant::now() + ENOUGH;
        while matches!(self.script.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

const COLUMNS: u16 = 200;
const ROWS: u16 = 60;
/// The master's threads that draw.
const DRAWING: [&str; 2] = ["ssh", "terminal-ui"];
const SETTLING: Duration = Duration::from_secs(3);
const ENOUGH: Duration = Duration::from_secs(20);
