//! Machines: a master that plans and sums up, workers that make the load. No Lua.
//!
//! A local run is a cluster of one: the same master and the same worker, joined by the in-memory [`link`]. Both are state machines
//! that take events and the time and answer with actions; their shells carry the actions out.

pub mod assignment;
mod catalogue;
pub mod codec;
pub mod handle;
pub mod identity;
pub mod journal;
pub mod link;
pub mod local;
pub mod logs;
pub mod master;
pub mod message;
pub mod planner;
pub mod record;
pub mod remote;
pub mod serve_master;
pub mod serve_worker;
pub mod sole;
pub mod transport;
pub mod worker;

#[cfg(test)]
mod tests;
