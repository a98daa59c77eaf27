//! Sparse counts: what a histogram counted, as ascending (index, count) pairs. The form in which counts travel.
//!
//! Knows the bounds of the histogram's index space, and nothing of values.

/// Ascending indices of the histogram's index space with their counts, none of which is zero.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SparseCounts {
    pairs: Vec<(u32, u64)>,
}

impl SparseCounts {
    /// Rebuilds a list from pairs of [`SparseCounts::gaps`] that came from elsewhere.
    ///
    /// # Errors
    /// An index beyond the index space, a count of zero, or counts whose sum exceeds 63 bits.
    pub fn from_gaps(gaps: impl IntoIterator<Item = (u32, u64)>) -> Result<Self, SparseCountsError> {
        let gaps = gaps.into_iter();
        let mut pairs = Vec::with_capacity(gaps.size_hint().0);
        let mut next = 0_u32;
        let mut sum = 0_u64;
        for (gap, count) in gaps {
            let index = next.checked_add(gap).filter(|index| *index < INDICES).ok_or(SparseCountsError::Index { after: next, gap })?;
            if count == 0 {
                return Err(SparseCountsError::Zero { index });
            }
            sum = sum.checked_add(count).filter(|sum| *sum <= i64::MAX as u64).ok_or(SparseCountsError::Sum)?;
            pairs.push((index, count));
            next = index + 1;
        }
        Ok(Self { pairs })
    }

    /// Takes pairs that are already as the type promises.
    pub(super) fn from_ascending(pairs: Vec<(u32, u64)>) -> Self {
        debug_assert!(pairs.windows(2).all(|pair| pair[0].0 < pair[1].0));
        Self { pairs }
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        if self.pairs.is_empty() {
            self.pairs.clone_from(&other.pairs);
            return;
        }
        let mut merged = Vec::with_capacity(self.pairs.len() + other.pairs.len());
        let mut right = other.pairs.iter().copied().peekable();
        for (index, mut count) in self.pairs.drain(..) {
            while let Some(pair) = right.next_if(|(other, _)| *other < index) {
                merged.push(pair);
            }
            if let Some((_, more)) = right.next_if(|(other, _)| *other == index) {
                count = count.saturating_add(more);
            }
            merged.push((index, count));
        }
        merged.extend(right);
        self.pairs = merged;
    }

    /// The pairs, ascending by index.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        self.pairs.iter().copied()
    }

    /// The pairs with how many indices without a count lie before each: small numbers for the wire.
    pub fn gaps(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        let mut next = 0;
        self.pairs.iter().map(move |(index, count)| {
            let gap = index - next;
            next = index + 1;
            (gap, *count)
        })
    }

    /// How many values were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.pairs.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// How many pairs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}

/// Why pairs from elsewhere are no counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the text of an error says what its fields are")]
pub enum SparseCountsError {
    /// The index lies beyond the index space.
    #[error("read histogram counts: a gap of {gap} after index {after} leaves the index space")]
    Index {
        /// The index from which the gap counts.
        after: u32,
        gap: u32,
    },
    /// A count of zero.
    #[error("read histogram counts: index {index} has a count of zero")]
    Zero { index: u32 },
    /// The counts exceed what can be summed.
    #[error("read histogram counts: the counts exceed 63 bits")]
    Sum,
}

/// How many indices a histogram has, each for a range of equivalent values: as many as 63 bits have. Durations, which end at an hour, have the first 23,552.
pub(super) const INDICES: u32 = 55_296;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::histogram::Histogram;
    use proptest::prelude::*;

    fn sparse(values: &[u64]) -> SparseCounts {
        let mut histogram = Histogram::default();
        for value in values {
            histogram.record(*value);
        }
        histogram.to_sparse()
    }

    proptest! {
        #[test]
        fn gaps_rebuild_the_same_counts(values in prop::collection::vec(0..Histogram::HIGHEST_US, 0..100)) {
            let counts = sparse(&values);
            prop_assert_eq!(SparseCounts::from_gaps(counts.gaps()), Ok(counts));
        }

        #[test]
        fn merging_lists_is_merging_histograms(left in prop::collection::vec(0..9_000_u64, 0..100), right in prop::collection::vec(0..9_000_u64, 0..100)) {
            let mut merged = sparse(&left);
            merged.merge(&sparse(&right));
            let mut turned = sparse(&right);
            turned.merge(&sparse(&left));
            prop_assert_eq!(&merged, &sparse(&[left, right].concat()));
            prop_assert_eq!(&merged, &turned);
        }
    }

    #[test]
    fn pairs_out_of_bounds_are_refused() {
        assert_eq!(SparseCounts::from_gaps([(INDICES - 1, 1)]).map(|counts| counts.len()), Ok(1));
        assert_eq!(SparseCounts::from_gaps([(INDICES, 1)]), Err(SparseCountsError::Index { after: 0, gap: INDICES }));
        assert_eq!(SparseCounts::from_gaps([(5, 1), (u32::MAX, 1)]), Err(SparseCountsError::Index { after: 6, gap: u32::MAX }));
        assert_eq!(SparseCounts::from_gaps([(5, 0)]), Err(SparseCountsError::Zero { index: 5 }));
        assert_eq!(SparseCounts::from_gaps([(5, u64::MAX)]), Err(SparseCountsError::Sum));
    }
}
