//! Chance: the stream of random numbers of one user. When a user is seeded anew is the life of a user's; what scripts draw from it is the
//! libraries'.

use rand_core::RngCore;
use rand_pcg::Pcg64Mcg;

/// Random numbers of one user, seeded from (run seed, index, iteration): nothing repeats, and a run can be repeated.
#[derive(Debug, Clone)]
pub struct Generator {
    stream: Pcg64Mcg,
}

impl Generator {
    /// The stream of one iteration of one user.
    #[must_use]
    pub fn new(seed: u64, index: u64, iteration: u64) -> Self {
        Self { stream: Pcg64Mcg::new(state_of(seed, index, iteration)) }
    }

    /// Begins the stream of another iteration. Some ten nanoseconds.
    #[inline]
    pub fn reseed(&mut self, seed: u64, index: u64, iteration: u64) {
        self.stream = Pcg64Mcg::new(state_of(seed, index, iteration));
    }

    /// The next 64 random bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        self.stream.next_u64()
    }

    /// Evenly from [0, 1), in steps of 2^-53.
    #[inline]
    pub fn unit(&mut self) -> f64 {
        // The upper 53 bits: each result is exact, and 1.0 cannot come out.
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit an f64 exactly")]
        let steps = (self.bits() >> 11) as f64;
        steps * (1.0 / 9_007_199_254_740_992.0)
    }

    /// Evenly from `lo..=hi`, without bias. Where `hi` is below `lo`, the two change places.
    #[inline]
    pub fn int(&mut self, lo: i64, hi: i64) -> i64 {
        let (lo, hi) = if lo <= hi { (lo, hi) } else { (hi, lo) };
        let span = hi.wrapping_sub(lo).cast_unsigned();
        let offset = match span.checked_add(1) {
            Some(choices) => self.below(choices),
            None => self.bits(),
        };
        lo.wrapping_add(offset.cast_signed())
    }

    /// A place in a list of so many choices, evenly; at least one.
    pub(super) fn index_below(&mut self, choices: usize) -> usize {
        usize::try_from(self.below(choices as u64)).expect("a number below a usize is one")
    }

    /// Evenly from `0..choices`. D. Lemire, "Fast random integer generation in an interval", 2019.
    pub(super) fn below(&mut self, choices: u64) -> u64 {
        let mut product = u128::from(self.bits()) * u128::from(choices);
        if low_half(product) < choices {
            let unfair = choices.wrapping_neg() % choices;
            while low_half(product) < unfair {
                product = u128::from(self.bits()) * u128::from(choices);
            }
        }
        high_half(product)
    }
}

/// Two chains of mixing make the 128 bits, so that no two of a few thousand million iterations share a stream.
#[inline]
fn state_of(seed: u64, index: u64, iteration: u64) -> u128 {
    let low = mix(mix(mix(seed) ^ index) ^ iteration);
    let high = mix(mix(mix(!seed) ^ index) ^ iteration);
    (u128::from(high) << 64) | u128::from(low)
}

/// One step of splitmix64 (G. Steele, D. Lea, C. Flood, 2014; constants by D. Stafford).
#[inline]
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
fn low_half(product: u128) -> u64 {
    product as u64
}

fn high_half(product: u128) -> u64 {
    (product >> 64) as u64
}
