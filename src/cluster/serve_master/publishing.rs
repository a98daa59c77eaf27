//! When a snapshot is published: each full second of the run's clock, a little late; and as soon as something else that people look at
//! has changed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::cluster::master::Master;
use crate::plan::RunId;
use crate::stats::snapshot::{RunState, Snapshot};

/// Publishes a master's snapshots.
pub(super) struct Publisher {
    snapshots: watch::Sender<Arc<Snapshot>>,
    /// Of the snapshot that was published last; at first, of the one without anything that everybody has from the beginning.
    mark: Mark,
    published: Option<Instant>,
    /// Counts seconds while no run does.
    since: Instant,
}

impl Publisher {
    pub(super) fn new(snapshots: watch::Sender<Arc<Snapshot>>) -> Self {
        let now = Instant::now();
        Self { snapshots, mark: Mark { run: None, stage: Stage::Idle, workers: 0, second: 0 }, published: None, since: now }
    }

    /// Publishes if there is anything that has not been seen.
    pub(super) fn publish_if_due(&mut self, master: &Master, now: Instant) {
        let mark = self.mark(master, now);
        // A start or a stop is seen at once; a thousand workers that come in one second are not a thousand snapshots.
        let is_due = !self.mark.is_same_stage(&mark)
            || (self.mark != mark && self.published.is_none_or(|at| now.saturating_duration_since(at) >= PACE));
        if is_due {
            self.publish(master, now);
        }
    }

    /// Publishes what the master says at this moment.
    pub(super) fn publish(&mut self, master: &Master, now: Instant) -> Arc<Snapshot> {
        self.mark = self.mark(master, now);
        self.published = Some(now);
        let snapshot = Arc::new(master.snapshot(now));
        self.snapshots.send_replace(snapshot.clone());
        snapshot
    }

    fn mark(&self, master: &Master, now: Instant) -> Mark {
        let (state, run) = (master.state(now), master.run());
        let clock = match run {
            // A little after the full second, when the workers' reports of it are in.
            Some((_, Some(zero))) if Stage::of(state) != Stage::Idle => now.saturating_duration_since(zero).saturating_sub(DELAY),
            _ => now.saturating_duration_since(self.since),
        };
        Mark { run: run.map(|(run, _)| run), stage: Stage::of(state), workers: master.worker_count(), second: clock.as_secs() }
    }
}

/// What tells one snapshot from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    run: Option<RunId>,
    stage: Stage,
    workers: usize,
    second: u64,
}

impl Mark {
    fn is_same_stage(&self, other: &Self) -> bool {
        (self.run, self.stage) == (other.run, other.stage)
    }
}

/// States that are announced at once. Whether users are still spawning can wait for the full second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Idle,
    Waiting,
    Load,
    Paused,
    Stopping,
}

impl Stage {
    const fn of(state: RunState) -> Self {
        match state {
            RunState::Ready | RunState::Stopped => Self::Idle,
            RunState::Waiting => Self::Waiting,
            RunState::Spawning | RunState::Running => Self::Load,
            RunState::Paused => Self::Paused,
            RunState::Stopping => Self::Stopping,
        }
    }
}

/// Of the snapshot behind the full second.
const DELAY: Duration = Duration::from_millis(60);
/// At least this long between two snapshots of the same stage.
const PACE: Duration = Duration::from_millis(40);
