//! A hop that is under way: dropped before its end, it is counted as cut, with how far it had come.

use std::rc::Rc;

use super::user::UserHttp;
use crate::protocol::http::{Context, Exchange, Progress, Request};
use crate::stats::recorder::EntryId;
use crate::stats::sample::{Answer, FailureKind, Sample};

/// Makes one hop, over connections with the certificates of `identity` where there is one. A drop in flight is the cut at the stop timeout: the hop is then recorded at
/// once.
pub(super) async fn exchange(user: &UserHttp, request: &Request<'_>, entry: EntryId, identity: Option<&Rc<Context>>) -> Exchange {
    let progress = Progress::default();
    // Declared before the exchange is awaited, so that it is dropped after it and sees the last of its progress.
    let mut guard = InFlight { user, entry, progress: &progress, is_over: false };
    let exchange = match identity {
        Some(context) => user.of_identities.connections(context).exchange(request, &progress).await,
        None => user.connections.exchange(request, &progress).await,
    };
    guard.is_over = true;
    exchange
}

struct InFlight<'a> {
    user: &'a UserHttp,
    entry: EntryId,
    progress: &'a Progress,
    is_over: bool,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.user.ledger.record(self.entry, &cut_sample(self.progress), None);
        }
    }
}

/// A whole answer whose body is being judged: where its user is dropped meanwhile, it is counted as it came, and as cut.
pub(super) struct Unjudged<'a> {
    user: &'a UserHttp,
    entry: EntryId,
    sample: Option<Sample>,
}

impl<'a> Unjudged<'a> {
    /// `sample` is the answer's before its body was looked at.
    pub(super) const fn new(user: &'a UserHttp, entry: EntryId, sample: Sample) -> Self {
        Self { user, entry, sample: Some(sample) }
    }

    /// It has been judged, and is counted by whoever asked.
    pub(super) fn settle(mut self) {
        self.sample = None;
    }
}

impl Drop for Unjudged<'_> {
    fn drop(&mut self) {
        if let Some(sample) = self.sample.take() {
            self.user.ledger.record(self.entry, &Sample { failure: Some(FailureKind::Cut), ..sample }, None);
        }
    }
}

fn cut_sample(progress: &Progress) -> Sample {
    let status = progress.status.get();
    Sample {
        duration: progress.began.get().map(|began| began.elapsed()).unwrap_or_default(),
        bytes_out: progress.bytes_out.get(),
        bytes_in: progress.bytes_in.get(),
        status,
        // Bytes alone do not tell: they may be those of a stale attempt, which is counted by itself.
        answer: match (status, progress.was_sent.get()) {
            (0, false) => Answer::NotSent,
            (0, true) => Answer::Unanswered,
            _ => Answer::Answered,
        },
        failure: Some(FailureKind::Cut),
        stale_retries: progress.stale_retries.get(),
        stale_unanswered: progress.stale_unanswered.get(),
        ..Sample::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_hop_counts_as_far_as_it_had_come() {
        let progress = Progress::default();
        assert_eq!(cut_sample(&progress).answer, Answer::NotSent);
        progress.bytes_out.set(50);
        progress.stale_unanswered.set(1);
        let waiting_for_its_retry = cut_sample(&progress);
        assert_eq!((waiting_for_its_retry.answer, waiting_for_its_retry.stale_unanswered), (Answer::NotSent, 1));
        progress.was_sent.set(true);
        assert_eq!(cut_sample(&progress).answer, Answer::Unanswered);
        progress.status.set(200);
        let sample = cut_sample(&progress);
        assert_eq!((sample.answer, sample.status, sample.failure), (Answer::Answered, 200, Some(FailureKind::Cut)));
    }
}
