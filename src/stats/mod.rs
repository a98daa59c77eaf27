//! Numbers: samples are added up where they are born, merged on their way, and shown as one snapshot.
//!
//! No network, no Lua, and no clock of its own: whoever calls says when. Hears only of the plan.

pub mod histogram;
pub mod recorder;
pub mod sample;
pub mod snapshot;
pub mod tally;
