//! The profiles, a file for each kind: who runs at which moment, and what is due when, as pure functions of the plan's data.
//!
//! `load::shape` asks them where the kind does not matter.

pub mod arrivals;
mod poisson;
pub mod ramp;
