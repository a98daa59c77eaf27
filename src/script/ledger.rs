//! A user's ledger: samples that are not final yet, and how many hops were made and answered. Every protocol of a user writes into it, and
//! every wait of a user makes its samples final.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::lane_state::LaneState;
use super::witness::WitnessedHop;
use crate::load::UserControl;
use crate::load::sides::Side;
use crate::stats::recorder::EntryId;
use crate::stats::sample::{FailureKind, Sample};

/// One user's. Dropped, it records the samples that are still pending.
#[derive(Debug)]
pub struct Ledger {
    pub(super) lane: Rc<LaneState>,
    control: Rc<UserControl>,
    /// The place of the user's profile, where that has a name.
    profile: Option<usize>,
    side: Option<Side>,
    pending: RefCell<Vec<PendingSample>>,
    requests: Cell<u32>,
    answered: Cell<u32>,
}

impl Ledger {
    /// Nothing yet, of a user of the profile with this place, where that has a name, on this side, where there are two.
    #[must_use]
    pub fn new(lane: &Rc<LaneState>, control: Rc<UserControl>, profile: Option<usize>, side: Option<Side>) -> Self {
        Self { lane: Rc::clone(lane), control, profile, side, pending: RefCell::default(), requests: Cell::new(0), answered: Cell::new(0) }
    }

    /// The place of the user's profile, where that has a name.
    pub(super) const fn profile(&self) -> Option<usize> {
        self.profile
    }

    /// Where the user's requests go, in a run of two sides.
    pub(super) const fn side(&self) -> Option<Side> {
        self.side
    }

    /// Makes pending samples final: the next request, a wait, or the end of an iteration has come.
    pub fn finish(&self) {
        let mut pending = self.pending.borrow_mut();
        if pending.is_empty() {
            return;
        }
        let mut recorder = self.lane.recorder.borrow_mut();
        for waiting in pending.drain(..) {
            recorder.record(waiting.entry, &waiting.sample, waiting.message.as_deref());
        }
    }

    /// The user is about to be idle: samples become final, memory that can be had again is given back.
    pub fn rest(&self) {
        self.finish();
        self.pending.replace(Vec::new());
    }

    /// Hops made and answered since the last call; for the pause after fruitless iterations.
    pub fn take_counts(&self) -> (u32, u32) {
        (self.requests.take(), self.answered.take())
    }

    /// The entry of (method, name).
    pub(super) fn entry(&self, method: &str, name: &str) -> EntryId {
        self.lane.recorder.borrow_mut().entry(method, name)
    }

    /// Shows a finished hop to the witness of `check`, where there is one.
    pub(super) fn show(&self, hop: impl FnOnce() -> WitnessedHop) {
        if let Some(witness) = &self.lane.witness {
            witness.hop(hop());
        }
    }

    pub(super) fn count(&self, is_answered: bool) {
        self.requests.set(self.requests.get() + 1);
        self.answered.set(self.answered.get() + u32::from(is_answered));
    }

    /// Counts one hop whose sample is final at once.
    pub(super) fn record(&self, entry: EntryId, sample: &Sample, message: Option<&str>) {
        self.count(sample.status != 0);
        match self.since_due(sample) {
            None => self.lane.recorder.borrow_mut().record(entry, sample, message),
            since_due => self.lane.recorder.borrow_mut().record(entry, &Sample { since_due, ..sample.clone() }, message),
        }
    }

    /// The hop's duration from its due time on, where its iteration had one.
    fn since_due(&self, sample: &Sample) -> Option<std::time::Duration> {
        // What was cut has no duration, and leaves the lateness to nobody: its iteration is over.
        self.control.take_late().map(|late| late.saturating_add(sample.duration))
    }

    /// A number for a result, which no other one of the lane has; by it the script can change its sample.
    pub(super) fn next_id(&self) -> u64 {
        self.lane.results.set(self.lane.results.get() + 1);
        self.lane.results.get()
    }

    /// Keeps the sample of a request's last hop until it is final; until then the script can change it by `id`.
    pub(super) fn keep_pending(&self, id: u64, entry: EntryId, sample: Sample, message: Option<Cow<'static, str>>) {
        self.count(sample.status != 0);
        let sample = Sample { since_due: self.since_due(&sample), ..sample };
        self.pending.borrow_mut().push(PendingSample { id, entry, sample, message });
    }

    /// Changes a pending sample: `Some` makes it a failure with this reason, `None` makes it none. False, and nothing done, if the sample is final or the
    /// hop had no whole answer: what did not come cannot be talked away.
    pub(super) fn judge(&self, id: u64, reason: Option<String>) -> bool {
        let mut pending = self.pending.borrow_mut();
        let Some(waiting) = pending.iter_mut().find(|waiting| waiting.id == id) else { return false };
        let is_judgement = matches!(
            waiting.sample.failure,
            None | Some(FailureKind::Status | FailureKind::Expect | FailureKind::Script | FailureKind::TooManyRedirects)
        );
        if is_judgement {
            waiting.sample.failure = reason.is_some().then_some(FailureKind::Script);
            waiting.message = reason.map(Cow::Owned);
            if let Some(witness) = &self.lane.witness {
                witness.judgement(id, &waiting.sample, waiting.message.as_deref());
            }
        }
        is_judgement
    }

    /// Notes what came of unpacking a body whose sample may still be pending: its length, or why the request has failed. An earlier failure stays.
    pub(super) fn note_unpacked(&self, id: u64, unpacked: Result<u64, (FailureKind, &str)>) {
        let mut pending = self.pending.borrow_mut();
        let Some(waiting) = pending.iter_mut().find(|waiting| waiting.id == id) else { return };
        match unpacked {
            Ok(length) => waiting.sample.body_bytes = Some(length),
            Err((kind, message)) => {
                waiting.sample.body_bytes = None;
                if waiting.sample.failure.is_none() {
                    waiting.sample.failure = Some(kind);
                    waiting.message = Some(Cow::Owned(message.to_owned()));
                }
            }
        }
        if let Some(witness) = &self.lane.witness {
            witness.judgement(id, &waiting.sample, waiting.message.as_deref());
        }
    }

    /// Counts processor time that a body took to be unpacked or judged.
    pub(super) fn count_unpacking(&self, took: std::time::Duration) {
        self.lane.recorder.borrow_mut().unpacking(took);
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.finish();
    }
}

/// The last hop of a request, until the user's next request, wait, or end of iteration.
#[derive(Debug)]
struct PendingSample {
    id: u64,
    entry: EntryId,
    sample: Sample,
    message: Option<Cow<'static, str>>,
}
