//! Lunamoth: a scriptable load-test engine. This page is the map of the house.

pub mod app;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod front;
pub mod load;
pub mod plan;
pub mod protocol;
pub mod script;
pub mod stats;
pub mod target;
