//! What is counted of the hops of one entry, histogram apart. The same type counts in a lane, travels, and is summed up.

use super::phases::PHASES;
use super::sample::{Answer, FailureKind, Sample};
use super::trend::{Spread, Summary as _};

/// Sums over hops. The fields mean what those of [`EntryView`](super::snapshot::EntryView) mean.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HopCounts {
    /// Hops, failed ones included.
    pub requests: u64,
    /// Failed hops by kind, in the order of [`FailureKind::ALL`]; `local` and `cut` have their places here too.
    pub by_kind: [u64; FailureKind::ALL.len()],
    /// Answered hops by status code, ascending.
    pub statuses: Vec<(u16, u64)>,
    /// Hops of which no byte was written.
    pub not_sent: u64,
    /// Attempts of which bytes were written and no head came, those that were sent again included.
    pub unanswered: u64,
    /// Hops sent again because a reused connection was closed.
    pub stale_retries: u64,
    /// Bytes on the wire.
    pub bytes_out: u64,
    /// Bytes on the wire.
    pub bytes_in: u64,
    /// Unpacked bytes of all bodies whose length is known.
    pub body_bytes: u64,
    /// Hops whose body has an unknown length.
    pub bodies_unknown: u64,
    /// The phases, in the order of [`PHASES`].
    pub phases: [Spread; PHASES.len()],
}

impl HopCounts {
    /// Counts one hop, all but its duration and its phases, which one that was cut does not have.
    #[inline]
    pub fn add(&mut self, sample: &Sample) {
        self.requests += 1;
        if let Some(kind) = sample.failure {
            self.by_kind[kind as usize] += 1;
        }
        match sample.answer {
            Answer::NotSent => self.not_sent += 1,
            Answer::Unanswered => self.unanswered += 1,
            Answer::Answered => self.add_status(sample.status, 1),
        }
        self.unanswered += u64::from(sample.stale_unanswered);
        self.stale_retries += u64::from(sample.stale_retries);
        self.bytes_out += sample.bytes_out;
        self.bytes_in += sample.bytes_in;
        match sample.body_bytes {
            Some(bytes) => self.body_bytes += bytes,
            None => self.bodies_unknown += 1,
        }
    }

    /// Adds the counts of `other`. What comes from elsewhere may be wrong without bounds, and must not stop anyone.
    pub fn merge(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        for (sum, count) in self.by_kind.iter_mut().zip(other.by_kind) {
            *sum = sum.saturating_add(count);
        }
        for (status, count) in &other.statuses {
            self.add_status(*status, *count);
        }
        self.not_sent = self.not_sent.saturating_add(other.not_sent);
        self.unanswered = self.unanswered.saturating_add(other.unanswered);
        self.stale_retries = self.stale_retries.saturating_add(other.stale_retries);
        self.bytes_out = self.bytes_out.saturating_add(other.bytes_out);
        self.bytes_in = self.bytes_in.saturating_add(other.bytes_in);
        self.body_bytes = self.body_bytes.saturating_add(other.body_bytes);
        self.bodies_unknown = self.bodies_unknown.saturating_add(other.bodies_unknown);
        for (sum, spread) in self.phases.iter_mut().zip(&other.phases) {
            sum.merge(spread);
        }
    }

    /// Takes what was counted. The list of statuses keeps its memory, so that counting anew allocates nothing.
    pub fn take(&mut self) -> Self {
        let mut taken = self.clone();
        taken.statuses.retain(|(_, count)| *count > 0);
        let mut statuses = std::mem::take(&mut self.statuses);
        for (_, count) in &mut statuses {
            *count = 0;
        }
        *self = Self { statuses, ..Self::default() };
        taken
    }

    /// Failed hops: neither those of kind `local`, nor those that were cut.
    #[must_use]
    pub fn failures(&self) -> u64 {
        let counted =
            FailureKind::ALL.into_iter().zip(self.by_kind).filter(|(kind, _)| !matches!(kind, FailureKind::Local | FailureKind::Cut));
        counted.fold(0_u64, |sum, (_, count)| sum.saturating_add(count))
    }

    /// Hops that came to their own end: all but those that were cut.
    #[must_use]
    pub fn timed(&self) -> u64 {
        self.requests.saturating_sub(self.cut())
    }

    /// Hops that the end of the run, or of their user, cut off.
    #[must_use]
    pub fn cut(&self) -> u64 {
        self.by_kind[FailureKind::Cut as usize]
    }

    /// Hops that failed because the generator itself ran out of something.
    #[must_use]
    pub fn local(&self) -> u64 {
        self.by_kind[FailureKind::Local as usize]
    }

    #[inline]
    fn add_status(&mut self, status: u16, more: u64) {
        match self.statuses.binary_search_by_key(&status, |(status, _)| *status) {
            Ok(place) => self.statuses[place].1 = self.statuses[place].1.saturating_add(more),
            Err(place) => self.statuses.insert(place, (status, more)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_counted_at_their_place_in_the_list() {
        for (place, kind) in FailureKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
        }
    }

    #[test]
    fn a_stale_attempt_that_was_sent_again_is_unanswered_but_no_failure() {
        let mut counts = HopCounts::default();
        let sample = Sample { answer: Answer::Answered, status: 200, stale_retries: 1, stale_unanswered: 1, ..Sample::default() };
        counts.add(&sample);
        assert_eq!((counts.requests, counts.failures(), counts.unanswered, counts.stale_retries), (1, 0, 1, 1));
        assert_eq!(counts.statuses, [(200, 1)]);
    }

    #[test]
    fn taking_leaves_nothing_and_takes_no_empty_status_along() {
        let mut counts = HopCounts::default();
        let sample = Sample { answer: Answer::Answered, status: 404, failure: Some(FailureKind::Status), ..Sample::default() };
        counts.add(&sample);
        assert_eq!(counts.take().statuses, [(404, 1)]);
        assert_eq!(counts.take(), HopCounts::default());
    }
}
