//! What a master costs: the real one, over real QUIC, with as many simulated workers as asked for. Run it with `--help`.
//!
//! The master lives in this process on one thread, the workers in another process, so that each one's processor time can be told. What
//! the workers counted is held against the master's last snapshot; a difference fails the bench. `README.md` beside it has figures.

#[path = "cluster/latencies.rs"]
mod latencies;
#[path = "cluster/master.rs"]
mod master;
#[path = "cluster/pages.rs"]
mod pages;
#[path = "cluster/screens.rs"]
mod screens;
#[path = "cluster/snapshot.rs"]
mod snapshot;
#[path = "cluster/truth.rs"]
mod truth;
#[path = "cluster/worker_cost.rs"]
mod worker_cost;
#[path = "cluster/workers.rs"]
mod workers;

use std::process::ExitCode;

use clap::Parser;

/// The same as the program's.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Measures what a master of many workers costs.
#[derive(Debug, Clone, Parser)]
#[command(name = "cluster")]
struct Options {
    /// Simulated workers, each with a QUIC connection and a UDP port of its own.
    #[arg(long, default_value_t = 500)]
    workers: usize,
    /// Entries of each worker; all workers have the same.
    #[arg(long, default_value_t = 200)]
    entries: usize,
    /// Requests of each changed entry in each second and worker.
    #[arg(long, default_value_t = 20)]
    requests_per_entry: usize,
    /// How long each measurement takes, without its run's first and last two seconds.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// How many of the entries change in each second, in percent: one measurement for each.
    #[arg(long, value_delimiter = ',', default_values_t = [100, 10])]
    changed: Vec<u32>,
    /// Fails when the master takes more cores than this in any measurement.
    #[arg(long)]
    most_cores: Option<f64>,
    /// Measures, instead of a master, how long a snapshot of `--entries` takes to build and `/stats/requests` to answer.
    #[arg(long, conflicts_with = "worker_cost")]
    snapshot: bool,
    /// Measures, instead of a master of many workers, one whose page so many people have open, with `--entries` and one real worker.
    #[arg(long, conflicts_with_all = ["worker_cost", "snapshot"])]
    pages: Option<usize>,
    /// Measures, instead of a master of many workers, what terminal screens cost one with `--entries` and a real worker: one of each kind,
    /// and so many over ssh. With `--most-cores` it fails when one screen takes more of the master.
    #[arg(long, conflicts_with_all = ["worker_cost", "snapshot", "pages"])]
    screens: Option<usize>,
    /// Measures, instead of a master, what reporting costs a real worker with one lane at full load.
    #[arg(long)]
    worker_cost: bool,
    /// Prints JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
    /// This process is the workers' one: the master's port.
    #[arg(long, hide = true)]
    as_workers_of: Option<u16>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let logger: &'static StderrLog = &StderrLog;
    if log::set_logger(logger).is_ok() {
        log::set_max_level(log::LevelFilter::Warn);
    }
    let done = match options.as_workers_of {
        Some(port) => workers::run(&options, port),
        None if options.snapshot => snapshot::run(&options),
        None if options.pages.is_some() => pages::run(&options),
        None if options.screens.is_some() => screens::run(&options),
        None if options.worker_cost => worker_cost::run(&options),
        None => master::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("bench cluster: {why:#}");
            ExitCode::FAILURE
        }
    }
}

/// A measured row for people: its name and its values.
struct Row {
    name: &'static str,
    values: Vec<String>,
}

impl Row {
    fn new<T>(name: &'static str, of: &[T], value: impl Fn(&T) -> String) -> Self {
        Self { name, values: of.iter().map(value).collect() }
    }
}

fn print_rows(rows: &[Row]) {
    for Row { name, values } in rows {
        let values: String = values.iter().map(|value| format!("{value:>16}")).collect();
        println!("{name:<44}{values}");
    }
}

/// The value that `quantile` of the ascending `values` do not exceed.
fn quantile(values: &[f64], quantile: f64) -> f64 {
    let place = (values.len() as f64 * quantile).ceil() as usize;
    values.get(place.saturating_sub(1)).copied().unwrap_or(0.0)
}

/// Warnings of master and workers are part of the result.
struct StderrLog;

impl log::Log for StderrLog {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            eprintln!("{}: {}", record.level(), record.args());
        }
    }

    fn flush(&self) {}
}
