//! People: what they see of a run, on the console, in files and over HTTP. Knows snapshots only; decides nothing about load.

pub mod api;
pub mod console;
pub mod report;
pub mod text;

#[cfg(test)]
mod tests;
