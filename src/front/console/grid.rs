//! A grid of texts whose columns are as wide as what stands in them. The final report's tables are made of it.

use unicode_width::UnicodeWidthStr;

use crate::front::text::{Align, escape, pad, shorten};

/// A titled table. Cells are escaped; the last column is never padded nor cut.
pub(super) struct Grid {
    title: &'static str,
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Grid {
    /// A table without rows.
    pub(super) fn new(title: &'static str, columns: &[(&'static str, Align)]) -> Self {
        Self { title, columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row with a cell for each column.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells.iter().map(|cell| escape(cell).into_owned()).collect());
    }

    /// The text, with a blank line after; nothing without rows.
    pub(super) fn render(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| {
                self.rows.iter().map(|row| row[column].width()).chain([self.columns[column].0.width()]).max().unwrap_or(0).min(CELL_WIDTH)
            })
            .collect();
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let mut text = String::new();
            for (column, cell) in cells.enumerate() {
                let (_, align) = self.columns[column];
                let is_last = column + 1 == self.columns.len();
                text.push_str(if column == 0 { " " } else { "  " });
                match (is_last, align) {
                    (true, Align::Left) => text.push_str(cell),
                    _ => text.push_str(&pad(&shorten(cell, widths[column]), widths[column], align)),
                }
            }
            text.truncate(text.trim_end().len());
            text.push('\n');
            text
        };
        let header = line(&mut self.columns.iter().map(|(name, _)| *name));
        let body: String = self.rows.iter().map(|row| line(&mut row.iter().map(String::as_str))).collect();
        let rule = "-".repeat((widths.iter().sum::<usize>() + 2 * widths.len()).min(140));
        format!("{}\n{header}{rule}\n{body}\n", self.title)
    }
}

/// No column but the last one is wider.
const CELL_WIDTH: usize = 60;
