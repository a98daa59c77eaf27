//! The text of a line of the log, broken into the rows that it takes on a screen.

use super::columns::short_id;
use crate::front::text::{escape, wrap};
use crate::front::tui::feed::LogEntry;

/// What a line says, as rows that fit beside its time and its level.
#[must_use]
pub fn log_rows(line: &LogEntry, columns: u16) -> Vec<String> {
    // A message of several lines stands in one here.
    let text: Vec<_> = line.text.split(['\n', '\t']).map(escape).collect();
    let mut text = text.join("  ");
    if !line.source.is_empty() && columns >= SOURCE_FROM {
        text = format!("{}  {text}", short_id(&line.source));
    }
    wrap(&text, usize::from(columns.saturating_sub(LOG_TEXT_AT + 1).max(1)))
}

/// Where the text begins: behind the time and the level.
pub const LOG_TEXT_AT: u16 = 16;

/// Columns from which on there is room to say whose line it is.
const SOURCE_FROM: u16 = 100;
