//! Which seconds of a run somebody has measured.

use std::ops::Range;

/// A set of seconds: a bit each, so that a year of them has a bound of four megabytes.
#[derive(Debug, Clone, Default)]
pub struct KnownSeconds(Vec<u64>);

impl KnownSeconds {
    /// Adds a second, which must lie within the first year; true if it was not in.
    pub fn insert(&mut self, second: u64) -> bool {
        let (word, bit) = place(second);
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        let was_in = self.0[word] & bit != 0;
        self.0[word] |= bit;
        !was_in
    }

    /// Whether a second is in.
    #[must_use]
    pub fn contains(&self, second: u64) -> bool {
        let (word, bit) = place(second);
        self.0.get(word).is_some_and(|bits| bits & bit != 0)
    }

    /// How many seconds of a stretch are in.
    #[must_use]
    pub fn count(&self, stretch: Range<u64>) -> u64 {
        if stretch.is_empty() {
            return 0;
        }
        self.before(stretch.end) - self.before(stretch.start)
    }

    fn before(&self, second: u64) -> u64 {
        let (word, bit) = place(second);
        let whole: u64 = self.0.iter().take(word).map(|bits| u64::from(bits.count_ones())).sum();
        whole + self.0.get(word).map_or(0, |bits| u64::from((bits & (bit - 1)).count_ones()))
    }
}

fn place(second: u64) -> (usize, u64) {
    ((second / 64) as usize, 1 << (second % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_knows_what_was_put_in_and_how_much_of_it_lies_where(
            seconds in prop::collection::btree_set(0_u64..500, 0..80), from in 0_u64..600, to in 0_u64..600,
        ) {
            let mut known = KnownSeconds::default();
            for second in &seconds {
                prop_assert!(known.insert(*second));
                prop_assert!(!known.insert(*second));
            }
            prop_assert!((0..600).all(|second| known.contains(second) == seconds.contains(&second)));
            prop_assert_eq!(known.count(from..to), seconds.iter().filter(|second| (from..to).contains(second)).count() as u64);
        }
    }
}
