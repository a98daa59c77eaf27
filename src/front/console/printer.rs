//! The printer: follows the snapshots of a run and prints them. What to print when is a pure answer; writing is `screen`'s.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::final_report::final_report;
use super::progress::progress;
use super::screen::Screen;
use super::table::current_table;
use super::verdict::ExitCode;
use crate::plan::RunId;
use crate::stats::snapshot::{ExceptionView, RunState, Snapshot};

/// Prints a run's progress and its end.
#[derive(Debug, Clone)]
pub struct Printer {
    screen: Arc<Screen>,
    options: PrinterOptions,
}

/// How a run is printed.
#[derive(Debug, Clone)]
pub struct PrinterOptions {
    /// How often the table is printed.
    pub print_interval: Duration,
    /// Neither table nor progress line while the run lasts.
    pub is_quiet: bool,
    /// Tags that have tables of their own in the final report.
    pub by: Vec<String>,
}

impl Printer {
    /// A printer on `screen`.
    #[must_use]
    pub const fn new(screen: Arc<Screen>, options: PrinterOptions) -> Self {
        Self { screen, options }
    }

    /// Prints on a thread of its own until the run is stopped or its sender is gone, then takes the progress line away.
    ///
    /// A reader that is slow holds up nobody: what comes meanwhile is passed over, and the latest snapshot is printed.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn follow(&self, snapshots: watch::Receiver<Arc<Snapshot>>) -> std::io::Result<std::thread::JoinHandle<()>> {
        self.spawn(snapshots, true)
    }

    /// As [`Printer::follow`], for one run after the other, until the sender is gone.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn follow_runs(&self, snapshots: watch::Receiver<Arc<Snapshot>>) -> std::io::Result<std::thread::JoinHandle<()>> {
        self.spawn(snapshots, false)
    }

    fn spawn(&self, mut snapshots: watch::Receiver<Arc<Snapshot>>, is_for_one: bool) -> std::io::Result<std::thread::JoinHandle<()>> {
        let printer = self.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        std::thread::Builder::new().name("printer".to_owned()).spawn(move || {
            let mut following = Following::new(RunId::default(), printer.options.print_interval);
            loop {
                let snapshot = Arc::clone(&snapshots.borrow_and_update());
                if snapshot.state == RunState::Stopped {
                    printer.screen.progress(String::new());
                    if is_for_one {
                        break;
                    }
                } else {
                    if following.run != snapshot.run {
                        following = Following::new(snapshot.run, printer.options.print_interval);
                    }
                    let warmup = snapshot.warmup.iter().flat_map(|warmup| &warmup.numbers.exceptions);
                    for message in untold(snapshot.exceptions.iter().chain(warmup), &mut following.told) {
                        log::warn!("the script raised: {message} (more of the same is only counted)");
                    }
                    printer.on_snapshot(&snapshot, &mut following.schedule);
                }
                if runtime.block_on(snapshots.changed()).is_err() {
                    break;
                }
            }
            printer.screen.progress(String::new());
        })
    }

    /// Prints what a person reads after the run.
    pub fn report(&self, snapshot: &Snapshot, exit_code: ExitCode) {
        self.screen.progress(String::new());
        self.screen.print(&final_report(snapshot, exit_code, self.screen.table_width(), self.screen.is_coloured(), &self.options.by));
    }

    fn on_snapshot(&self, snapshot: &Snapshot, schedule: &mut Schedule) {
        if self.options.is_quiet || snapshot.state == RunState::Ready {
            return;
        }
        if schedule.is_due(snapshot.elapsed, self.options.print_interval) {
            self.screen.print(&current_table(snapshot, self.screen.table_width()));
        }
        self.screen.progress(progress(snapshot, self.screen.progress_width()));
    }
}

/// What has been printed of one run.
#[derive(Debug)]
struct Following {
    run: RunId,
    schedule: Schedule,
    told: HashSet<Arc<str>>,
}

impl Following {
    fn new(run: RunId, print_interval: Duration) -> Self {
        Self { run, schedule: Schedule { next: print_interval }, told: HashSet::new() }
    }
}

/// The exceptions that nobody has been told of. The final report has them all; a person who sees no request wants to know at once.
fn untold<'a>(exceptions: impl Iterator<Item = &'a ExceptionView>, told: &mut HashSet<Arc<str>>) -> Vec<Arc<str>> {
    let mut messages = Vec::new();
    for exception in exceptions {
        if told.len() < TOLD && told.insert(Arc::clone(&exception.message)) {
            messages.push(Arc::clone(&exception.message));
        }
    }
    messages
}

/// When the next table is due, on the run's clock.
#[derive(Debug)]
struct Schedule {
    next: Duration,
}

impl Schedule {
    /// Whether a table is due at `elapsed`; if so, plans the one after. What was missed is not made up for.
    fn is_due(&mut self, elapsed: Duration, interval: Duration) -> bool {
        // Snapshots come once a second, a little early or late: the nearest one is the right one.
        let elapsed = elapsed + SNAPSHOT_INTERVAL / 2;
        if elapsed < self.next {
            return false;
        }
        while self.next <= elapsed {
            self.next += interval.max(SNAPSHOT_INTERVAL);
        }
        true
    }
}

/// Exceptions that are told while the run lasts.
const TOLD: usize = 10;

/// How often the master publishes.
const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::console::{Colours, Tables};

    #[test]
    fn tables_are_due_on_the_grid_of_the_interval_however_uneven_snapshots_come() {
        let interval = Duration::from_secs(2);
        let mut schedule = Schedule { next: interval };
        let due: Vec<u64> = [1000, 1990, 3010, 3995, 5002, 9004, 10_001, 11_000]
            .into_iter()
            .filter(|millis| schedule.is_due(Duration::from_millis(*millis), interval))
            .collect();
        assert_eq!(due, [1990, 3995, 9004, 10_001]);
    }

    #[test]
    fn each_exception_is_told_once_and_only_the_first_ones() {
        let raised = |number: usize| ExceptionView { message: format!("a.lua:{number}: no").into(), count: 1, ..ExceptionView::default() };
        let mut told = HashSet::new();
        assert_eq!(untold([raised(1)].iter(), &mut told).len(), 1);
        assert_eq!(*untold([raised(1), raised(2)].iter(), &mut told), ["a.lua:2: no".into()]);
        assert_eq!(untold((0..100).map(raised).collect::<Vec<_>>().iter(), &mut told).len(), TOLD - 2);
    }

    #[test]
    fn following_ends_when_the_run_stops_and_when_its_sender_is_gone() {
        let options = PrinterOptions { print_interval: Duration::from_secs(2), is_quiet: true, by: Vec::new() };
        let printer = Printer::new(Arc::new(Screen::new(Colours::Never, Tables::Stdout)), options);
        let (sender, receiver) = watch::channel(Arc::new(Snapshot::default()));
        let thread = printer.follow(receiver).unwrap();
        sender.send_replace(Arc::new(Snapshot { state: RunState::Stopped, ..Snapshot::default() }));
        thread.join().unwrap();
        let (sender, receiver) = watch::channel(Arc::new(Snapshot::default()));
        let thread = printer.follow(receiver).unwrap();
        drop(sender);
        thread.join().unwrap();
    }

    #[test]
    fn following_runs_goes_on_when_one_stops() {
        let options = PrinterOptions { print_interval: Duration::from_secs(2), is_quiet: true, by: Vec::new() };
        let printer = Printer::new(Arc::new(Screen::new(Colours::Never, Tables::Stdout)), options);
        let (sender, receiver) = watch::channel(Arc::new(Snapshot { state: RunState::Stopped, ..Snapshot::default() }));
        let thread = printer.follow_runs(receiver).unwrap();
        sender.send_replace(Arc::new(Snapshot { state: RunState::Running, ..Snapshot::default() }));
        assert!(!thread.is_finished());
        drop(sender);
        thread.join().unwrap();
    }
}
