//! Counts over one fixed index space: 1 us to 1 h with three significant digits, blocks allocated as touched.
//!
//! The index space and the quantiles are those of `HdrHistogram` with the same bounds, so that numbers can be compared with
//! other tools to the last digit. The pairs that travel between lanes and machines are `sparse`'s.

use std::sync::Arc;

use base64::Engine as _;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};

use super::quantile::Quantile;
use super::sparse::SparseCounts;

/// Counts of durations in microseconds.
#[derive(Clone, Default)]
pub struct Histogram {
    total: u64,
    body: Body,
}

impl Histogram {
    /// The highest value that is kept apart, in microseconds: one hour. Higher ones count as this one.
    pub const HIGHEST_US: u64 = 3_600_000_000;

    /// The highest value of all that is kept apart, where none of them is a duration.
    pub const HIGHEST: u64 = i64::MAX as u64;
    /// How wide a bucket is at most, as a share of the values in it.
    pub const RESOLUTION: f64 = 1.0 / (1 << (EXACT_BITS - 1)) as f64;

    /// An empty histogram whose clones share memory until one of them changes: for sums that are shown every second.
    #[must_use]
    pub fn shared() -> Self {
        Self { total: 0, body: Body::Shared(Arc::default()) }
    }

    /// Counts one value in microseconds. Answers whether it lay above [`Histogram::HIGHEST_US`] and was counted there.
    #[inline]
    pub fn record(&mut self, value_us: u64) -> bool {
        self.record_n(value_us, 1)
    }

    /// Counts a value `count` times; see [`Histogram::record`].
    #[inline]
    pub fn record_n(&mut self, value_us: u64, count: u64) -> bool {
        self.add_at(index_of(value_us.min(Self::HIGHEST_US)), count);
        value_us > Self::HIGHEST_US
    }

    /// Counts a value that is no duration. Answers whether it lay above [`Histogram::HIGHEST`] and was counted there.
    pub fn record_number(&mut self, value: u64) -> bool {
        self.add_at(index_of(value.min(Self::HIGHEST)), 1);
        value > Self::HIGHEST
    }

    /// Adds all counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        if other.is_empty() {
            return;
        }
        let blocks = self.body.blocks_mut();
        for (block, counts) in other.body.blocks().touched() {
            for (sum, count) in blocks.at_mut(block).iter_mut().zip(counts) {
                *sum = sum.saturating_add(*count);
            }
        }
        self.total = self.total.saturating_add(other.total);
    }

    /// Adds all counts of a sparse list.
    pub fn merge_sparse(&mut self, other: &SparseCounts) {
        if other.is_empty() {
            return;
        }
        let blocks = self.body.blocks_mut();
        for (index, count) in other.iter() {
            let index = index as usize;
            let sum = &mut blocks.at_mut(index / BLOCK)[index % BLOCK];
            *sum = sum.saturating_add(count);
            self.total = self.total.saturating_add(count);
        }
    }

    /// Takes all counts as a sparse list and leaves zeros. Memory stays, so that counting anew allocates nothing.
    pub fn take_sparse(&mut self) -> SparseCounts {
        let sparse = self.to_sparse();
        self.clear();
        sparse
    }

    /// Sets all counts to zero, and keeps the memory.
    pub fn clear(&mut self) {
        if !self.is_empty() {
            self.total = 0;
            self.body.blocks_mut().counts.fill(0);
        }
    }

    /// The value below or at which `quantile` (0..=1) of the counted values lie, in microseconds; 0 without any.
    ///
    /// As `HdrHistogram`, it answers with the highest value that is equivalent, and with the lowest one for a quantile of 0. Unlike there,
    /// which value that is follows from integers alone; see [`Quantile::rank`].
    #[must_use]
    pub fn value_at(&self, quantile: impl Into<Quantile>) -> u64 {
        let [value] = self.values_at([quantile]);
        value
    }

    /// The values at ascending quantiles, all found on one way through the counts; see [`Histogram::value_at`].
    #[must_use]
    pub fn values_at<const N: usize>(&self, quantiles: [impl Into<Quantile>; N]) -> [u64; N] {
        let quantiles: [Quantile; N] = quantiles.map(Into::into);
        debug_assert!(quantiles.is_sorted(), "the way through the counts leads upwards");
        let wanted = quantiles.map(|quantile| quantile.rank(self.total));
        let mut values = [0; N];
        let (mut seen, mut next) = (0_u64, 0);
        for (block, counts) in self.body.blocks().touched() {
            // The sums of whole blocks are fast, and fit where the sum of all has not met its limit.
            let in_block = if self.total < u64::MAX { counts.iter().sum() } else { u64::MAX };
            match wanted.get(next) {
                None => break,
                Some(wanted) if seen.saturating_add(in_block) < *wanted => {
                    seen += in_block;
                    continue;
                }
                Some(_) => {}
            }
            for (offset, count) in counts.iter().enumerate() {
                seen = seen.saturating_add(*count);
                while wanted.get(next).is_some_and(|wanted| seen >= *wanted) {
                    let index = (block * BLOCK + offset) as u32;
                    values[next] = if quantiles[next] == Quantile::LEAST { lowest_of(index) } else { highest_of(index) };
                    next += 1;
                }
            }
        }
        values
    }

    /// How many values were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.total
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// What was counted, ascending: the lowest value of each range of equivalent ones in microseconds, and its count.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.indices().map(|(index, count)| (lowest_of(index), count))
    }

    /// All counts as a sparse list.
    #[must_use]
    pub fn to_sparse(&self) -> SparseCounts {
        SparseCounts::from_ascending(self.indices().collect())
    }

    /// The standard V2 encoding of `HdrHistogram`, compressed and in base64 (it begins with `HISTFAAAA`), as its logs hold it and as its
    /// libraries in other languages decode it.
    #[must_use]
    pub fn to_v2_base64(&self) -> String {
        let highest = self.indices().last().map_or(0, |(index, _)| highest_of(index)).max(Self::HIGHEST_US);
        let mut standard =
            hdrhistogram::Histogram::<u64>::new_with_bounds(1, highest, 3).expect("the bounds are at least an hour and at most 63 bits");
        for (value, count) in self.iter() {
            standard.saturating_record_n(value, count);
        }
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(&standard, &mut bytes).expect("a vector takes all bytes, and counts stay far below i64::MAX");
        base64::engine::general_purpose::STANDARD.encode(bytes)
    }

    /// Reads what [`Histogram::to_v2_base64`] has written.
    ///
    /// # Errors
    /// It is something else, in words.
    pub fn from_v2_base64(text: &str) -> Result<Self, String> {
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).map_err(|why| format!("it is no base64: {why}"))?;
        let read: hdrhistogram::Histogram<u64> =
            Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(|why| format!("it is no histogram: {why}"))?;
        let mut histogram = Self::default();
        for range in read.iter_recorded() {
            histogram.add_at(index_of(read.lowest_equivalent(range.value_iterated_to()).min(Self::HIGHEST)), range.count_at_value());
        }
        Ok(histogram)
    }

    #[inline]
    fn add_at(&mut self, index: u32, count: u64) {
        let index = index as usize;
        self.body.blocks_mut().at_mut(index / BLOCK)[index % BLOCK] += count;
        self.total += count;
    }

    /// The indices with a count, ascending.
    fn indices(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        self.body.blocks().touched().flat_map(|(block, counts)| {
            counts.iter().enumerate().filter(|(_, count)| **count > 0).map(move |(offset, count)| ((block * BLOCK + offset) as u32, *count))
        })
    }
}

impl std::fmt::Debug for Histogram {
    /// The lowest values of the ranges with their counts, as [`Histogram::iter`].
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl PartialEq for Histogram {
    /// Equal counts at equal indices; which memory was touched does not matter.
    fn eq(&self, other: &Self) -> bool {
        self.total == other.total && self.indices().eq(other.indices())
    }
}

impl Eq for Histogram {}

/// Who owns the blocks. Counting on owned blocks costs no atomic operation; shared ones are copied when they change.
#[derive(Clone)]
enum Body {
    Owned(Blocks),
    Shared(Arc<Blocks>),
}

impl Body {
    #[inline]
    fn blocks_mut(&mut self) -> &mut Blocks {
        match self {
            Self::Owned(blocks) => blocks,
            Self::Shared(blocks) => Arc::make_mut(blocks),
        }
    }

    fn blocks(&self) -> &Blocks {
        match self {
            Self::Owned(blocks) => blocks,
            Self::Shared(blocks) => blocks,
        }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::Owned(Blocks::default())
    }
}

/// The touched blocks in the order of their first touch, and where each stands.
#[derive(Clone, Default)]
struct Blocks {
    /// For each block its place in `counts`, in blocks, plus 1; 0 where it was not touched. As long as blocks were touched, and empty before.
    places: Vec<u16>,
    counts: Vec<u64>,
}

impl Blocks {
    #[inline]
    fn at_mut(&mut self, block: usize) -> &mut [u64] {
        let place = match self.places.get(block) {
            Some(&place) if place > 0 => usize::from(place) - 1,
            _ => self.touch(block),
        };
        &mut self.counts[place * BLOCK..(place + 1) * BLOCK]
    }

    #[cold]
    fn touch(&mut self, block: usize) -> usize {
        if self.places.len() <= block {
            // As far as durations go, at once: hardly a histogram holds more.
            self.places.resize((block + 1).max(PLACES), 0);
        }
        let place = self.counts.len() / BLOCK;
        // Exactly one block more: doubling would double the memory of histograms that stay as they are.
        self.counts.reserve_exact(BLOCK);
        self.counts.resize((place + 1) * BLOCK, 0);
        self.places[block] = place as u16 + 1;
        place
    }

    /// The touched blocks, ascending.
    fn touched(&self) -> impl Iterator<Item = (usize, &[u64])> + '_ {
        self.places.iter().enumerate().filter(|(_, place)| **place > 0).map(|(block, place)| {
            let end = usize::from(*place) * BLOCK;
            (block, &self.counts[end - BLOCK..end])
        })
    }
}

/// Indices in a block: half a KiB of counts.
const BLOCK: usize = 64;

/// Blocks of an hour of microseconds.
const PLACES: usize = index_of(Histogram::HIGHEST_US) as usize / BLOCK + 1;

/// Values below 2 to this power have an index each; `HdrHistogram` calls it the sub-bucket count magnitude of three digits.
const EXACT_BITS: u32 = 11;

/// The index of a value within the range.
#[inline]
pub(super) const fn index_of(value_us: u64) -> u32 {
    let shift = 64 - EXACT_BITS - (value_us | ((1 << EXACT_BITS) - 1)).leading_zeros();
    (shift << (EXACT_BITS - 1)) + (value_us >> shift) as u32
}

/// The lowest value of an index, in microseconds.
pub(super) fn lowest_of(index: u32) -> u64 {
    let half = 1 << (EXACT_BITS - 1);
    match (index / half).checked_sub(1) {
        Some(shift) => u64::from(index % half + half) << shift,
        None => u64::from(index),
    }
}

fn highest_of(index: u32) -> u64 {
    lowest_of(index + 1) - 1
}

#[cfg(test)]
mod tests {
    use super::super::sparse::INDICES;
    use super::*;
    use proptest::prelude::*;

    fn standard() -> hdrhistogram::Histogram<u64> {
        hdrhistogram::Histogram::new_with_bounds(1, Histogram::HIGHEST_US, 3).unwrap()
    }

    fn of(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        for value in values {
            histogram.record(*value);
        }
        histogram
    }

    /// Values of every magnitude, not only large ones.
    fn values() -> impl Strategy<Value = Vec<u64>> {
        prop::collection::vec(
            (0_u32..32, any::<u64>()).prop_map(|(bits, value)| (value & ((1 << bits) - 1)).min(Histogram::HIGHEST_US)),
            0..200,
        )
    }

    const QUANTILES: [f64; 11] = [0.0, 0.001, 0.25, 0.5, 0.66, 0.9, 0.95, 0.99, 0.999, 0.9999, 1.0];

    proptest! {
        #[test]
        fn quantiles_are_those_of_a_sorted_list_to_the_width_of_hdrhistograms_ranges(values in values(), quantile in 0.0..=1.0_f64) {
            let reference = standard();
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let listed = |quantile: f64| match sorted.get(Quantile::from(quantile).rank(sorted.len() as u64) as usize - 1) {
                None => 0,
                Some(value) if quantile == 0.0 => reference.lowest_equivalent(*value),
                Some(value) => reference.highest_equivalent(*value),
            };
            let histogram = of(&values);
            for quantile in QUANTILES.into_iter().chain([(quantile * 1e9).round() / 1e9]) {
                prop_assert_eq!(histogram.value_at(quantile), listed(quantile));
            }
            prop_assert_eq!(histogram.values_at(QUANTILES), QUANTILES.map(listed));
        }

        #[test]
        fn merged_parts_are_one_histogram_of_all_values(left in values(), right in values()) {
            let whole = of(&[left.clone(), right.clone()].concat());
            let mut merged = of(&left);
            merged.merge(&of(&right));
            prop_assert_eq!(&merged, &whole);
            let mut sparse = Histogram::shared();
            sparse.merge_sparse(&of(&right).to_sparse());
            sparse.merge_sparse(&of(&left).take_sparse());
            prop_assert_eq!(&sparse, &whole);
            for quantile in QUANTILES {
                prop_assert_eq!(merged.value_at(quantile), whole.value_at(quantile));
            }
        }

        #[test]
        fn the_v2_encoding_is_read_back_by_hdrhistogram(values in values()) {
            let bytes = base64::engine::general_purpose::STANDARD.decode(of(&values).to_v2_base64()).unwrap();
            let read: hdrhistogram::Histogram<u64> = Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
            let mut reference = standard();
            for value in &values {
                reference.record(*value).unwrap();
            }
            prop_assert_eq!(read, reference);
            prop_assert_eq!(Histogram::from_v2_base64(&of(&values).to_v2_base64()), Ok(of(&values)));
        }
    }

    #[test]
    fn p99_9_of_a_thousand_values_is_the_999th() {
        let histogram = of(&(1..=1_000).collect::<Vec<_>>());
        assert_eq!(histogram.value_at(0.999), 999);
        assert_eq!(histogram.value_at(99.9 / 100.0), 999);
    }

    #[test]
    fn every_index_stands_for_the_range_that_maps_to_it() {
        for index in 0..INDICES {
            assert_eq!(index_of(lowest_of(index)), index);
            assert_eq!(index_of(highest_of(index)), index);
        }
        assert_eq!((highest_of(INDICES - 1), index_of(Histogram::HIGHEST)), (Histogram::HIGHEST, INDICES - 1));
        assert_eq!(standard().distinct_values(), 23_552);
    }

    #[test]
    fn numbers_that_are_no_durations_have_percentiles_far_above_an_hour() {
        let mut histogram = Histogram::default();
        for kilobytes in 1..=100_u64 {
            assert!(!histogram.record_number(kilobytes * 1_000_000_000));
        }
        assert_eq!([0.5, 0.95].map(|quantile| histogram.value_at(quantile) / 100_000_000), [500, 950]);
        assert!(!histogram.record_number(Histogram::HIGHEST));
        assert!(histogram.record_number(u64::MAX));
        assert_eq!(histogram.value_at(1.0), Histogram::HIGHEST);
        assert_eq!(Histogram::from_v2_base64(&histogram.to_v2_base64()), Ok(histogram.clone()));
        let mut sums = Histogram::shared();
        sums.merge_sparse(&SparseCounts::from_gaps(histogram.to_sparse().gaps()).unwrap());
        sums.merge(&of(&[5]));
        assert_eq!((sums.count(), sums.value_at(0.0)), (103, 5));
    }

    #[test]
    fn a_value_above_an_hour_is_clamped_and_counted() {
        let mut histogram = Histogram::default();
        assert!(!histogram.record(Histogram::HIGHEST_US));
        assert!(histogram.record(u64::MAX));
        assert_eq!(histogram.iter().map(|(_, count)| count).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn five_values_take_few_blocks_and_counting_again_takes_none() {
        let mut histogram = of(&[100, 101, 5_000, 5_001, 90_000]);
        let Body::Owned(blocks) = &histogram.body else { panic!("not owned") };
        assert_eq!(blocks.counts.len(), 3 * BLOCK);
        let capacity = blocks.counts.capacity();
        assert_eq!(histogram.take_sparse().count(), 5);
        assert!(histogram.is_empty());
        histogram.record(5_000);
        let Body::Owned(blocks) = &histogram.body else { panic!("not owned") };
        assert_eq!(blocks.counts.capacity(), capacity);
        assert_eq!(histogram, of(&[5_000]));
    }

    #[test]
    fn a_shared_clone_does_not_see_later_counts() {
        let mut histogram = Histogram::shared();
        histogram.record(7);
        let shown = histogram.clone();
        histogram.record(8);
        assert_eq!(shown, of(&[7]));
        assert_eq!(histogram, of(&[7, 8]));
    }

    #[test]
    fn an_empty_histogram_answers_zero() {
        assert_eq!(Histogram::default().value_at(0.5), 0);
    }
}
