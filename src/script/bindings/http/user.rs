//! What one user has: connections, cookies, defaults, and the samples that are not final yet.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::SystemTime;

use super::super::super::context::LaneState;
use super::super::super::witness::WitnessedHop;
use super::address::Address;
use super::lane::Shared;
use super::template::Template;
use crate::load::Halt;
use crate::load::UserControl;
use crate::protocol::http::cookies::Jar;
use crate::protocol::http::{Connections, Headers};
use crate::stats::recorder::EntryId;
use crate::stats::sample::{FailureKind, Sample};

/// What one user has: connections, cookies, defaults, and the samples that are not final yet.
///
/// Dropped, it records the samples that are still pending.
#[derive(Debug)]
pub struct UserHttp {
    lane: Rc<LaneState>,
    control: Rc<UserControl>,
    pub(super) connections: Connections,
    jar: RefCell<Jar>,
    defaults: RefCell<Option<Rc<Template>>>,
    merged: RefCell<Option<Box<Merged>>>,
    pending: RefCell<Vec<PendingSample>>,
    next_id: Cell<u64>,
    requests: Cell<u32>,
    answered: Cell<u32>,
}

impl UserHttp {
    /// Nothing yet.
    #[must_use]
    pub fn new(lane: &Rc<LaneState>, control: Rc<UserControl>) -> Self {
        Self {
            lane: Rc::clone(lane),
            control,
            connections: Connections::new(Rc::clone(&lane.http.shared.context)),
            jar: RefCell::default(),
            defaults: RefCell::default(),
            merged: RefCell::default(),
            pending: RefCell::default(),
            next_id: Cell::new(1),
            requests: Cell::new(0),
            answered: Cell::new(0),
        }
    }

    /// Makes pending samples final: the next request, a wait, or the end of an iteration has come.
    pub fn finish_samples(&self) {
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
        self.finish_samples();
        self.pending.replace(Vec::new());
    }

    /// Hops made and answered since the last call; for the pause after fruitless iterations.
    pub fn take_counts(&self) -> (u32, u32) {
        (self.requests.take(), self.answered.take())
    }

    /// What the lane's users share.
    pub(super) fn shared(&self) -> &Shared {
        &self.lane.http.shared
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

    /// Notes that the script cannot run without what the plan does not have.
    pub(super) fn misuse(&self, why: &str) {
        self.lane.halt.borrow_mut().get_or_insert_with(|| Halt::Misuse(why.to_owned()));
    }

    /// Counts one hop.
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

    /// A number for a result, by which the script can change its sample.
    pub(super) fn next_id(&self) -> u64 {
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        id
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

    /// Lays `template` over the defaults that the user has.
    pub(super) fn add_defaults(&self, template: &Template) {
        let all = match &*self.defaults.borrow() {
            Some(defaults) => template.over(defaults),
            None => template.over(&self.shared().usual),
        };
        self.defaults.replace(Some(Rc::new(all)));
        self.merged.replace(None);
    }

    /// What a request obeys that is made on `client`, or on none.
    pub(super) fn template(&self, client: Option<Rc<Template>>) -> Rc<Template> {
        let defaults = self.defaults.borrow();
        match (client, &*defaults) {
            (None, None) => Rc::clone(&self.shared().usual),
            (None, Some(defaults)) => Rc::clone(defaults),
            (Some(client), None) => client,
            (Some(client), Some(defaults)) => {
                let mut merged = self.merged.borrow_mut();
                if let Some(merged) = &*merged
                    && Rc::ptr_eq(&merged.client, &client)
                {
                    return Rc::clone(&merged.both);
                }
                let both = Rc::new(client.over(defaults));
                *merged = Some(Box::new(Merged { client, both: Rc::clone(&both) }));
                both
            }
        }
    }

    /// What the jar has for the header `cookie` of a hop to `address`, besides the request's `own`, which take the place of those of their names.
    pub(super) fn cookie_line(&self, address: &Address, own: &[(String, Vec<u8>)]) -> Option<Vec<u8>> {
        let jar = self.jar.borrow();
        if jar.is_empty() {
            return None;
        }
        jar.header_for(&address.parsed()?, SystemTime::now(), |name| own.iter().any(|(own, _)| own.as_bytes() == name))
    }

    /// Takes the cookies that an answer sets.
    pub(super) fn take_cookies(&self, address: &Address, headers: &Headers) {
        if !headers.sets_cookies() {
            return;
        }
        if let Some(url) = address.parsed() {
            let (mut jar, now) = (self.jar.borrow_mut(), SystemTime::now());
            headers.all("set-cookie").for_each(|cookie| jar.store(cookie, &url, now));
        }
    }

    /// The user's cookies.
    pub(super) fn jar(&self) -> std::cell::RefMut<'_, Jar> {
        self.jar.borrow_mut()
    }
}

impl Drop for UserHttp {
    fn drop(&mut self) {
        self.finish_samples();
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

/// The client that was used last, over the user's defaults.
#[derive(Debug)]
struct Merged {
    client: Rc<Template>,
    both: Rc<Template>,
}
