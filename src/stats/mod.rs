//! Numbers: samples are added up where they are born, merged on their way, and shown as one snapshot.
//!
//! No network, no Lua, and no clock of its own: whoever calls says when. Hears only of the plan.
//!
//! The way of a number: [`sample`] is counted by a [`recorder`], taken from it as a [`tally`], merged into the master's
//! [`table`] and its [`series`], shown as a [`snapshot`], and judged by a [`threshold`].

pub mod catalogue;
pub mod cells;
pub mod comparison;
pub mod drop_reason;
pub mod entry_name;
mod family;
pub mod floor;
pub mod histogram;
pub mod holds;
pub mod hop_counts;
mod known;
pub mod metric;
pub mod names;
pub mod origin;
pub mod phases;
pub mod profiles;
pub mod quantile;
pub mod recorder;
pub mod sample;
pub mod search;
pub mod series;
pub mod snapshot;
pub mod soundness;
pub mod span;
pub mod sparse;
pub mod table;
pub mod tables;
pub mod tags;
pub mod tally;
pub mod threshold;
pub mod times;
pub mod trend;
pub mod verdict;
pub mod window_parts;
pub mod windows;
