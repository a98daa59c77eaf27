//! Two runs compared: what differs, how sure that is, and whether a limit is broken. Pure; reports are read and shown elsewhere.
//!
//! A [`side`] is one run as its report has it. The [`course`] of an entry, its cells one after the other, is resampled by [`bootstrap`], which
//! answers how far a figure would have moved by chance. [`judgement`] compares all entries of two sides with that, and [`limit`] judges what the
//! user will bear. [`split`] makes two sides of one run whose iterations went to two targets.
//!
//! **What is promised**: of comparisons of runs that do not differ, at most one in twenty says of anything in it that it does. All
//! that is judged shares that one risk (Holm's procedure; half of it for the total, half for the entries), and a difference must surely exceed
//! 1 %, or 0.1 percentage points of failures, to be called one. The promise holds where what disturbs a run is forgotten within about a twentieth of its
//! length: what lasts longer cannot be told from a change by anybody who has seen only these two runs.

pub mod bootstrap;
pub mod course;
pub mod judgement;
pub mod limit;
mod pair;
pub mod side;
pub mod split;

pub use course::{CellFigures, Metric};
pub use judgement::{Comparison, Difference, Row, Verdict, compare};
pub use limit::{Limit, LimitError, Outcome, State};
pub use pair::Doubt;
pub use side::{Entry, Figures, Side};
pub use split::{Split, split};

#[cfg(test)]
mod tests;
