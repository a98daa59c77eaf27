//! What the journal keeps of a run, so that a master's death loses nothing: the shape only. Its bytes and its file are `journal`'s.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::message::WorkerId;
use crate::load::board::Change;
use crate::load::errand::{BoardAnswer, Posted, Reply};
use crate::load::stock::IterationsBegun;
use crate::plan::{LoadProfile, Plan};
use crate::stats::snapshot::HistoryPoint;
use crate::stats::tally::Tally;
use crate::stats::windows::WorstWindow;

/// One entry of the journal.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// A run begins; all earlier records are void.
    Run {
        /// With everything that workers need to run it.
        plan: Arc<Plan>,
        /// The master's wall clock at its start.
        wall: SystemTime,
    },
    /// The run was re-targeted.
    Retargeted {
        /// In force from here on.
        profile: Arc<LoadProfile>,
        /// Of the orders that told it to workers: those of lower ones know nothing of it.
        generation: u64,
    },
    /// The statistics were reset: numbers of earlier epochs are void.
    Reset {
        /// Numbers of a lower one are void.
        epoch: u32,
        /// The run's clock at the reset, where it is known.
        at: Option<Duration>,
    },
    /// A worker has begun, or is back from having been lost: what it counts from here on is missing unless it brings it itself.
    Began(BegunWorker),
    /// All that a worker has counted, which left or was lost. Replaces what was kept of it before.
    Worker(Box<KeptWorker>),
    /// Seconds of the run that are past, oldest first; they follow those kept before.
    History(Vec<HistoryPoint>),
    /// The run is over, and its report is out of this process's hands.
    End,
    /// Rows were given to a worker, or brought back.
    Lease(KeptLease),
    /// The running test has taken changed scripts over.
    Revised {
        /// From here on; the profile in force stays.
        plan: Arc<Plan>,
    },
    /// An errand has changed the board.
    Errand(Box<KeptErrand>),
    /// The worst window of each threshold that looks at windows, where one is known; in place of those kept before.
    Windows(Vec<WorstWindow>),
    /// The run was brought by a worker, and what had been given out and set before is known to nobody.
    Forgotten,
}

/// What an errand changed, and what its worker is answered: so that an errand which comes again to another master changes nothing more.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptErrand {
    /// Whose; nobody's where the number is 0.
    pub worker: WorkerId,
    /// By which its worker tells its errands apart.
    pub number: u64,
    /// The answers. Those that say a value are [`BoardAnswer::Later`]: it is asked for again.
    pub answers: Vec<BoardAnswer>,
    /// Never none, unless the journal was written anew.
    pub changes: Vec<Change>,
}

impl KeptErrand {
    /// What is kept of an errand that was answered so.
    #[must_use]
    pub fn new(worker: WorkerId, number: u64, mut answers: Vec<BoardAnswer>, changes: Vec<Change>) -> Self {
        for answer in answers.iter_mut().filter(|answer| matches!(answer, BoardAnswer::Value { .. })) {
            *answer = BoardAnswer::Later;
        }
        Self { worker, number, answers, changes }
    }
}

/// What a journal says of the board.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct KeptBoard {
    /// By key: the value, and until when it is good by the run's clock.
    pub values: BTreeMap<String, (Posted, Option<Duration>)>,
    /// To the last errand of each worker that changed something.
    pub replies: BTreeMap<WorkerId, Reply>,
}

impl KeptBoard {
    fn add(&mut self, KeptErrand { worker, number, answers, changes }: KeptErrand) {
        for Change { key, value, expires } in changes {
            match value {
                Some(value) => drop(self.values.insert(key, (value, expires))),
                None => drop(self.values.remove(&key)),
            }
        }
        if number > 0 {
            self.replies.insert(worker, Reply { number, answers });
        }
    }

    /// Records that say the same: of a hundred values each, so that none is too long.
    fn into_records(self) -> Vec<Record> {
        let record = |worker, number, answers, changes| Record::Errand(Box::new(KeptErrand { worker, number, answers, changes }));
        let values: Vec<_> = self.values.into_iter().map(|(key, (value, expires))| Change { key, value: Some(value), expires }).collect();
        let values = values.chunks(100).map(|changes| record(WorkerId::default(), 0, Vec::new(), changes.to_vec()));
        values.chain(self.replies.into_iter().map(|(worker, reply)| record(worker, reply.number, reply.answers, Vec::new()))).collect()
    }
}

/// Rows that a worker was given, or brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptLease {
    /// Whose rows: the name of a file.
    pub source: String,
    /// Who has them, or had.
    pub worker: WorkerId,
    /// By which its worker tells its questions apart.
    pub number: u64,
    /// Never empty; counted from the first row of the source.
    pub rows: Range<u64>,
    /// They are free again.
    pub is_return: bool,
}

/// A worker that makes load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BegunWorker {
    /// Whose loss leaves a hole.
    pub worker: WorkerId,
    /// The seconds of the run's clock before this are in the journal, or were before it came.
    pub since: Duration,
}

/// The numbers of one worker.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptWorker {
    /// Whose numbers these are.
    pub worker: WorkerId,
    /// The epoch in which they were counted.
    pub epoch: u32,
    /// The last delta in them; `None` where none had come.
    pub sequence: Option<NonZeroU64>,
    /// These are all its numbers: it said goodbye, or had finished. Otherwise it was found lost.
    pub has_left: bool,
    /// Iterations that it began, where the profile says how many there are.
    pub begun: IterationsBegun,
    /// User tasks and lanes that panicked: bugs of ours.
    pub panics: u32,
    /// Lanes that it gave up, whose last numbers are missing.
    pub lanes_lost: u32,
    /// The run's clock from which on the numbers of the first of those are unknown.
    pub lost_since: Option<Duration>,
    /// The sums of the whole run; those of its warm-up, where it has one, first and by themselves.
    pub tallies: Vec<Tally>,
}

impl KeptWorker {
    /// A reset voids what was counted before `epoch`; that the worker was there, how it went and how many iterations it began stay as they were.
    fn void_before(&mut self, epoch: u32) {
        if self.epoch < epoch {
            let last = self.tallies.iter().map(|tally| tally.second).max();
            self.tallies = last.map(|second| Tally { second, ..Tally::default() }).into_iter().collect();
        }
    }
}

/// What a journal says of the last run in it.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptRun {
    /// With the newest scripts that the journal knows of.
    pub plan: Arc<Plan>,
    /// The master's wall clock at its start.
    pub wall: SystemTime,
    /// The profile in force.
    pub profile: Arc<LoadProfile>,
    /// Of the orders that told it; 0 where it is the plan's.
    pub generation: u64,
    /// Of the statistics; raised by each reset.
    pub epoch: u32,
    /// The run's clock when it began, where that is known.
    pub counted_since: Option<Duration>,
    /// Workers that have begun, and neither left nor were found lost since.
    pub began: Vec<BegunWorker>,
    /// The last record of each worker; of one that counted in an earlier epoch without its numbers.
    pub workers: Vec<KeptWorker>,
    /// Points in time, oldest first.
    pub history: Vec<HistoryPoint>,
    /// Of thresholds that look at windows.
    pub windows: Vec<WorstWindow>,
    /// In the order in which they were given.
    pub leases: Vec<KeptLease>,
    /// What users share across the cluster.
    pub board: KeptBoard,
    /// What was given out and set before this journal is known to nobody.
    pub is_forgotten: bool,
    /// The run was brought to its end.
    pub is_over: bool,
}

impl Record {
    /// Whether it, or one before it of its run, says more than that the run is there, and what is wanted of it.
    const fn tells_of_more(&self, did_before: bool) -> bool {
        match self {
            Self::Run { .. } => false,
            Self::Retargeted { .. } | Self::Reset { .. } | Self::Revised { .. } => did_before,
            Self::Began(_) | Self::Worker(_) | Self::History(_) | Self::Lease(_) | Self::Errand(_) => true,
            Self::Windows(_) | Self::Forgotten | Self::End => true,
        }
    }
}

impl KeptRun {
    /// What `records`, in the order of the journal, say of the last run; `None` where there is none.
    #[must_use]
    pub fn from_records(records: impl IntoIterator<Item = Record>) -> Option<Self> {
        let mut kept: Option<Self> = None;
        let mut is_told = false;
        for record in records {
            is_told = record.tells_of_more(is_told);
            match (record, &mut kept) {
                (Record::Run { plan, wall }, kept) => {
                    let profile = Arc::new(plan.profile.clone());
                    let counted_since = Some(Duration::ZERO);
                    *kept = Some(Self {
                        plan,
                        wall,
                        profile,
                        generation: 0,
                        epoch: 0,
                        counted_since,
                        began: Vec::new(),
                        workers: Vec::new(),
                        history: Vec::new(),
                        windows: Vec::new(),
                        leases: Vec::new(),
                        board: KeptBoard::default(),
                        is_forgotten: false,
                        is_over: false,
                    });
                }
                (_, None) => {}
                (Record::Retargeted { profile, generation }, Some(kept)) => (kept.profile, kept.generation) = (profile, generation),
                (Record::Reset { epoch, at }, Some(kept)) => {
                    (kept.epoch, kept.counted_since) = (epoch, at);
                    kept.workers.iter_mut().for_each(|worker| worker.void_before(epoch));
                    // Of those that are there it is told anew.
                    kept.began.clear();
                    kept.history.clear();
                    kept.windows.clear();
                }
                (Record::Began(begun), Some(kept)) => match kept.began.iter_mut().find(|other| other.worker == begun.worker) {
                    Some(other) => other.since = other.since.min(begun.since),
                    None => kept.began.push(begun),
                },
                (Record::Worker(mut worker), Some(kept)) => {
                    kept.began.retain(|begun| begun.worker != worker.worker);
                    kept.workers.retain(|other| other.worker != worker.worker);
                    worker.void_before(kept.epoch);
                    kept.workers.push(*worker);
                }
                (Record::History(points), Some(kept)) => {
                    kept.history.extend(points);
                    if kept.history.len() > HISTORY_POINTS {
                        kept.history = thinned(std::mem::take(&mut kept.history));
                    }
                }
                (Record::Windows(windows), Some(kept)) => kept.windows = windows,
                (Record::End, Some(kept)) => kept.is_over = true,
                (Record::Revised { plan }, Some(kept)) => kept.plan = plan,
                (Record::Lease(lease), Some(kept)) => kept.leases.push(lease),
                (Record::Errand(errand), Some(kept)) => kept.board.add(*errand),
                (Record::Forgotten, Some(kept)) => kept.is_forgotten = true,
            }
        }
        // Where that is all, a worker may have brought it, and the word that its rows are known to nobody was still to come.
        kept.iter_mut().for_each(|kept| kept.is_forgotten |= !is_told);
        kept
    }

    /// Records that say the same.
    #[must_use]
    pub fn into_records(self) -> Vec<Record> {
        let mut records = vec![
            Record::Run { plan: self.plan, wall: self.wall },
            Record::Retargeted { profile: self.profile, generation: self.generation },
        ];
        if self.epoch > 0 {
            records.push(Record::Reset { epoch: self.epoch, at: self.counted_since });
        }
        records.extend(self.workers.into_iter().map(|worker| Record::Worker(Box::new(worker))));
        records.extend(self.leases.into_iter().map(Record::Lease));
        records.extend(self.is_forgotten.then_some(Record::Forgotten));
        records.extend(self.board.into_records());
        records.extend(self.began.into_iter().map(Record::Began));
        records.push(Record::History(self.history));
        records.extend((!self.windows.is_empty()).then_some(Record::Windows(self.windows)));
        records.extend(self.is_over.then_some(Record::End));
        records
    }
}

/// Points of a kept history at most: a day of 10 s steps. Past it, two points become one.
const HISTORY_POINTS: usize = 8_640;

fn thinned(points: Vec<HistoryPoint>) -> Vec<HistoryPoint> {
    let mut pairs = Vec::with_capacity(points.len() / 2 + 1);
    let mut points = points.into_iter();
    while let Some(mut pair) = points.next() {
        if let Some(later) = points.next() {
            pair.append(&later);
        }
        pairs.push(pair);
    }
    pairs
}
