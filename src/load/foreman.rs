//! The foreman: what the lanes of one worker are told, and how it reaches them.
//!
//! Each lane has one cell, which holds all that it has been told: the newest state, not a queue of steps. A lane that looks late finds
//! everything in it, so nothing is ever lost, and a cell never fills. What orders mean for each lane is the dealer's.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::dealer::{Dealer, Duty};
use super::now;
use super::pulse::Pulse;
use super::slots::Orders;

/// Tells the lanes of a worker what they shall run, each as much as concerns it.
#[derive(Debug)]
pub(super) struct Foreman {
    cells: Vec<watch::Sender<Brief>>,
    pulse: Arc<Pulse>,
    /// Locked while the lanes are told as well, so that the newest orders are the last that any lane hears.
    state: Mutex<State>,
}

impl Foreman {
    /// A foreman of so many lanes, whose users may take `stop_timeout` to finish, and what each lane listens to.
    pub fn new(lanes: usize, stop_timeout: Duration) -> (Self, Vec<watch::Receiver<Brief>>) {
        let pulse = Arc::<Pulse>::default();
        let brief = || Brief { pulse: Arc::clone(&pulse), ..Brief::default() };
        let (cells, inboxes) = (0..lanes).map(|_| watch::channel(brief())).unzip();
        let dealer = Dealer::new(lanes, stop_timeout.saturating_add(LATENESS));
        (Self { cells, pulse, state: Mutex::new(State { dealer, zero: None, followed: 0 }) }, inboxes)
    }

    /// The run begins; the first `zero` holds.
    pub fn begin(&self, zero: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.zero.get_or_insert(zero);
        for cell in &self.cells {
            cell.send_modify(|brief| {
                brief.zero.get_or_insert(zero);
            });
        }
    }

    /// From here on the lanes follow `orders`. Before the run begins its clock stands at zero.
    pub fn follow(&self, orders: &Orders) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = state.zero.map_or(Duration::ZERO, |zero| now().saturating_duration_since(zero));
        let duties = state.dealer.follow(orders, elapsed);
        state.followed += 1;
        // Lanes that begin with a hand-over join a run that is under way.
        let joins = state.zero.is_none().then(|| orders.handover.as_ref().map_or(Duration::ZERO, |handover| handover.at));
        for (cell, duty) in self.cells.iter().zip(duties) {
            cell.send_modify(|brief| {
                (brief.duty, brief.followed) = (Some(duty), state.followed);
                brief.since = joins.unwrap_or(brief.since);
            });
        }
    }

    /// The worker is alive at `now`, and is sure of its slots or not. Lanes of which it says so once hand out what is due in open profiles as long
    /// as it goes on saying it.
    pub fn beat(&self, now: Instant, is_sure: bool) {
        let followed = self.state.lock().unwrap_or_else(PoisonError::into_inner).followed;
        self.pulse.beat(now, is_sure, followed);
    }

    /// The run comes to an end; a cut is not taken back by a stop.
    pub fn end(&self, ending: Ending) {
        for cell in &self.cells {
            cell.send_modify(|brief| brief.ending = brief.ending.max(Some(ending)));
        }
    }
}

/// All that a lane has been told.
#[derive(Debug, Clone, Default)]
pub(super) struct Brief {
    /// Time zero of the run's clock, once the run has begun.
    pub zero: Option<Instant>,
    /// The run's clock from which on these lanes take part: what was before is not theirs to report, nor to be late for.
    pub since: Duration,
    /// The newest; the same one is the same `Arc`.
    pub duty: Option<Arc<Duty>>,
    /// How often orders were given until then.
    pub followed: u64,
    /// The worker's, the same for all lanes and for good.
    pub pulse: Arc<Pulse>,
    /// Once the run shall end.
    pub ending: Option<Ending>,
}

/// How a run is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ending {
    Stop,
    /// Users that still live are dropped.
    Cut,
}

#[derive(Debug)]
struct State {
    dealer: Dealer,
    zero: Option<Instant>,
    followed: u64,
}

/// How late a lane may be with a slot that goes, before that slot's users could live in two lanes at a time.
const LATENESS: Duration = Duration::from_secs(5);
