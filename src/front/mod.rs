//! People: what they see of a run, on the console and in files. Knows snapshots only; decides nothing about load.

pub mod console;
pub mod report;
pub mod text;

#[cfg(test)]
mod tests;
