//! Lua: the host that loads a script, the VMs that run it, the bindings that scripts call. Fills the traits of `load`, using `protocol`.
//!
//! Never hears of the cluster.

pub mod bindings;
pub mod context;
