//! People: what they see of a run, on the console, in files and over HTTP, and of a worker's health. Knows snapshots and readings only;
//! decides nothing about load.

pub mod api;
pub mod client;
pub mod compare;
pub mod console;
mod exposition;
pub mod health;
mod moments;
mod page;
mod profiles;
pub mod report;
pub mod snapshot_json;
pub mod ssh;
pub mod text;
pub mod tui;

#[cfg(test)]
mod tests;
