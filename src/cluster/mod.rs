//! Machines: a master that plans and sums up, workers that make the load. No Lua.
//!
//! A local run is a cluster of one: the same master and the same worker, joined by the in-memory [`link`]. Both are state machines
//! that take events and the time and answer with actions; `local` is the shell that carries the actions out.

pub mod identity;
pub mod link;
pub mod local;
pub mod master;
pub mod message;
pub mod transport;
pub mod worker;
