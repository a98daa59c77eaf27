//! The profiles, a file for each kind: who runs at which moment, and what is due when, as pure functions of the plan's data.
//!
//! `load::shape` asks them where the kind does not matter.

pub mod arrivals;
mod poisson;
pub mod ramp;

/// The seed of the schedule of profile number `profile` in a run of this seed: two of one rate that come by chance must not come together.
#[must_use]
pub const fn seed_of(seed: u64, profile: usize) -> u64 {
    // Odd, so that no two of them are one.
    seed ^ (profile as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
