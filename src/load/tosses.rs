//! Chance that is a pure function of where it is asked for: a stream of random bits for each (seed, row, place), none of which follows from another.

/// SplitMix64: a stream of random bits that begins anywhere at no cost.
pub(super) struct Tosses(u64);

impl Tosses {
    pub(super) fn new(seed: u64, row: u64, place: u64) -> Self {
        Self(mixed(mixed(mixed(seed) ^ row.wrapping_mul(GOLDEN)) ^ place.wrapping_mul(GOLDEN)))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mixed(self.0)
    }
}

fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
