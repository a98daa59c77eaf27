//! The console: tables on stdout, progress and log on stderr, and the exit code.
//!
//! Everything that is printed is made by pure functions of a snapshot; `screen` and `printer` alone write.

mod apart;
mod by_tag;
pub mod check;
mod final_report;
pub mod find;
mod grid;
pub mod log;
mod masking;
mod printer;
mod profiles;
mod progress;
mod screen;
mod table;
mod verdict;

pub use final_report::{closing, final_report, troubles};
pub use printer::{Printer, PrinterOptions};
pub use progress::progress;
pub use screen::{Colours, Screen, Tables};
pub use table::{TABLE_WIDTH, table};
pub use verdict::{Ending, Evidence, ExitCode, Interrupt, Rules, is_broken, verdict};
