//! The places of iterations that come by chance: a Poisson process of rate one, as a pure function of the seed.
//!
//! Of each 2^20 iterations exactly 2^20 fall into their stretch of the same length, so that a run has as many as its rate says. Where they
//! fall in it is by chance: halves of a stretch share its iterations by the tosses of a fair coin, ten times over, down to leaves of length
//! 1,024; in a leaf each place is equally likely. That is a Poisson process of which the number in a stretch is known. Each toss comes from
//! the seed and its place in the tree, so that whoever begins anywhere draws one path and one leaf, and none of the past.

use crate::load::tosses::Tosses;

/// The process of one seed, with the leaf that was looked at last.
#[derive(Debug, Clone)]
pub(super) struct Poisson {
    seed: u64,
    leaf: Option<Leaf>,
}

/// A stretch of length 1,024 and the iterations in it.
#[derive(Debug, Clone)]
struct Leaf {
    /// Its beginning, in iterations.
    begin: u64,
    /// The index of its first iteration.
    first: u64,
    /// In ascending order, from `begin` on, in parts of [`PARTS`] of the leaf's length.
    places: Vec<u64>,
}

impl Poisson {
    pub fn new(seed: u64) -> Self {
        Self { seed, leaf: None }
    }

    /// The place of an iteration, in parts of [`ONE`].
    pub fn place_of(&mut self, index: u64) -> u128 {
        let known = self.leaf.take().filter(|leaf| leaf.first <= index && index - leaf.first < leaf.places.len() as u64);
        let leaf = known.unwrap_or_else(|| self.find(index >> DEPTH_ALL, |node| (index & (STRETCH - 1)) < node.first + node.left));
        let part = leaf.places.get(usize::try_from(index - leaf.first).unwrap_or(usize::MAX)).copied();
        let place = leaf.place_of(part.expect("the way down ends at the leaf that has the index"));
        self.leaf = Some(leaf);
        place
    }

    /// How many iterations have a place up to `place`.
    pub fn up_to(&mut self, place: u128) -> u64 {
        let at = u64::try_from(place / ONE).unwrap_or(u64::MAX);
        let known = self.leaf.take().filter(|leaf| leaf.begin <= at && at - leaf.begin < LEAF);
        let leaf = known.unwrap_or_else(|| self.find(at >> DEPTH_ALL, |node| (at & (STRETCH - 1)) < node.middle));
        let count = leaf.places.partition_point(|&part| leaf.place_of(part) <= place);
        let up_to = leaf.first + count as u64;
        self.leaf = Some(leaf);
        up_to
    }

    /// Goes down the tree of a stretch; `goes_left` decides at each node.
    fn find(&self, stretch: u64, goes_left: impl Fn(&Node) -> bool) -> Leaf {
        let mut number = 1_u64;
        let (mut begin, mut length, mut first, mut count) = (0, STRETCH, 0, STRETCH);
        while length > LEAF {
            let left = heads(&mut Tosses::new(self.seed, stretch, number), count);
            length /= 2;
            if goes_left(&Node { first, left, middle: begin + length }) {
                (number, count) = (2 * number, left);
            } else {
                (number, begin, first, count) = (2 * number + 1, begin + length, first + left, count - left);
            }
        }
        let mut tosses = Tosses::new(self.seed, stretch, number);
        let mut places: Vec<u64> = (0..count).map(|_| tosses.next() >> (64 - PART_BITS)).collect();
        places.sort_unstable();
        let base = stretch.saturating_mul(STRETCH);
        Leaf { begin: base.saturating_add(begin), first: base.saturating_add(first), places }
    }
}

/// A node on the way down, counted within its stretch.
struct Node {
    /// The number of its first iteration.
    first: u64,
    /// Iterations in the left half.
    left: u64,
    /// Where the right half begins.
    middle: u64,
}

impl Leaf {
    fn place_of(&self, part: u64) -> u128 {
        u128::from(self.begin) * ONE + ((u128::from(part) * (u128::from(LEAF) * ONE)) >> PART_BITS)
    }
}

/// How many of `count` tosses of a fair coin are heads.
fn heads(tosses: &mut Tosses, count: u64) -> u64 {
    let whole: u64 = (0..count / 64).map(|_| u64::from(tosses.next().count_ones())).sum();
    let rest = count % 64;
    if rest == 0 { whole } else { whole + u64::from((tosses.next() >> (64 - rest)).count_ones()) }
}

const DEPTH_ALL: u32 = 20;
/// Iterations of which the number is certain.
const STRETCH: u64 = 1 << DEPTH_ALL;
const LEAF: u64 = 1_024;
/// A place in a leaf has so many bits: with those of a leaf's length in parts of `ONE` they fit a `u128`.
const PART_BITS: u32 = 53;

/// What one iteration adds to the integral, in millionths of an iteration an hour times nanoseconds.
pub(super) const ONE: u128 = 1_000_000 * 3_600_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// The greatest distance between the distribution of `values` and `cdf`, times the root of their number: above 1.36 in one of twenty.
    fn kolmogorov_smirnov(mut values: Vec<f64>, cdf: impl Fn(f64) -> f64) -> f64 {
        values.sort_by(f64::total_cmp);
        let count = values.len() as f64;
        let distance =
            |(rank, &value): (usize, &f64)| (cdf(value) - rank as f64 / count).abs().max(((rank + 1) as f64 / count - cdf(value)).abs());
        values.iter().enumerate().map(distance).fold(0.0, f64::max) * count.sqrt()
    }

    fn places(seed: u64, count: u64) -> Vec<f64> {
        let mut process = Poisson::new(seed);
        (0..count).map(|index| process.place_of(index) as f64 / ONE as f64).collect()
    }

    #[test]
    fn gaps_are_exponential_for_nineteen_of_twenty_seeds() {
        let is_far = |seed: u64| {
            let gaps = places(seed, 20_000).windows(2).map(|pair| pair[1] - pair[0]).collect();
            kolmogorov_smirnov(gaps, |gap| 1.0 - (-gap).exp()) > 1.36
        };
        // Of twenty, each of which fails by chance in one case of twenty, more than three fail in one case of sixty.
        assert!((0..20).filter(|&seed| is_far(seed)).count() <= 3);
    }

    #[test]
    fn counts_in_stretches_of_a_hundred_vary_as_those_of_independent_visitors() {
        let mut ratios = 0.0;
        for seed in 0..20 {
            // The last of the iterations lies well past the last stretch.
            let mut counts = vec![0_u32; 490];
            for place in places(seed, 50_000) {
                if let Some(count) = counts.get_mut((place / 100.0) as usize) {
                    *count += 1;
                }
            }
            let mean = counts.iter().map(|&count| f64::from(count)).sum::<f64>() / 490.0;
            ratios += counts.iter().map(|&count| (f64::from(count) - mean).powi(2)).sum::<f64>() / 489.0 / mean / 20.0;
        }
        // 10,000 counts: the ratio's own deviation is a hundredth and a half.
        assert!((ratios - 1.0).abs() < 0.06, "{ratios}");
    }

    #[test]
    fn each_stretch_holds_as_many_as_it_is_long() {
        let mut process = Poisson::new(3);
        for stretch in [0, 1, 77] {
            let begin = u128::from(stretch * STRETCH) * ONE;
            assert!(process.place_of(stretch * STRETCH) >= begin);
            assert!(process.place_of((stretch + 1) * STRETCH - 1) < begin + u128::from(STRETCH) * ONE);
            assert_eq!(process.up_to(begin + u128::from(STRETCH) * ONE - 1), (stretch + 1) * STRETCH);
        }
    }
}
